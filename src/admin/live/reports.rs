//! What is counted over all that is recorded, kept for a while: who looks again sees the same numbers, and to look again
//! and again costs no more than to look once.

use crate::query_log::sqlite::ReadError;
use std::{
    any::Any,
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout};

/// So many times as long as it took a count is shown at least: to count it anew takes a part of one processor that is
/// small however much is recorded.
const FRESH_FACTOR: u32 = 40;
/// How long one waits for a new count while there is an old one.
const NEW_WITHIN: Duration = Duration::from_millis(100);
/// Counts kept, of different things and lengths of time.
const KEPT_MAX: usize = 16;
/// Counts that are made or wait for it. Whoever wants yet another is told that it is on the way.
const COMING_MAX: usize = 16;

/// Counts, and who is counting. One at a time is made.
#[derive(Clone, Default)]
pub struct Reports(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: Mutex<Known>,
    turn: tokio::sync::Mutex<()>,
    /// Told whenever one is made, or can't be.
    made: Notify,
}

#[derive(Default)]
struct Known {
    /// Latest last.
    kept: Vec<Kept>,
    /// What is being counted, or waits for it.
    coming: BTreeSet<String>,
}

struct Kept {
    what: String,
    until: Instant,
    count: Arc<dyn Any + Send + Sync>,
}

/// What is to be counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What tells it from other counts; the same has always the same type.
    pub what: String,
    /// How long it is shown at least.
    pub fresh_for: Duration,
    /// How long one waits for it if there is none.
    pub within: Duration,
}

/// Why nothing can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    #[error("nothing is recorded: [query_log] is off, or there is no state folder")]
    Nowhere,
    #[error("nothing is recorded yet")]
    NotYet,
    #[error("it takes long to count; look again in a minute")]
    Coming,
    #[error("{0}")]
    Fault(String),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::None(_) => Self::NotYet,
            other => Self::Fault(other.to_string()),
        }
    }
}

impl Reports {
    /// A count; the one of before while it is made anew, if that takes its time. `None`: there is none within that time; it
    /// is on the way.
    pub async fn of<T: Send + Sync + 'static>(
        &self,
        wanted: &Wanted,
        count: impl FnOnce() -> Result<T, Unread> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Unread> {
        let deadline = Instant::now() + wanted.within;
        let mut count = Some(count);
        loop {
            let made = self.0.made.notified();
            tokio::pin!(made);
            // Whatever is made from here on is heard of.
            made.as_mut().enable();
            let (kept, is_fresh) = self.kept::<T>(&wanted.what);
            if is_fresh {
                return Ok(kept);
            }
            let most = if kept.is_some() { wanted.within.min(NEW_WITHIN) } else { wanted.within };
            let left = deadline.saturating_duration_since(Instant::now()).min(most);
            match self.begin(&wanted.what).then(|| count.take()).flatten() {
                Some(count) => {
                    let making = tokio::spawn(self.clone().make(wanted.clone(), count));
                    return match timeout(left, making).await {
                        Err(_) => Ok(kept),
                        Ok(Err(error)) => Err(Unread::Fault(error.to_string())),
                        Ok(Ok(made)) => made.map(Some),
                    };
                }
                // Somebody else has it made, or too much is made already.
                None if timeout(left, made).await.is_err() => return Ok(kept),
                None => {}
            }
        }
    }

    /// Counts, when it is this one's turn.
    async fn make<T: Send + Sync + 'static>(
        self,
        wanted: Wanted,
        count: impl FnOnce() -> Result<T, Unread> + Send + 'static,
    ) -> Result<Arc<T>, Unread> {
        let turn = self.0.turn.lock().await;
        let began = Instant::now();
        let made = tokio::task::spawn_blocking(count).await;
        let made = made.map_err(|error| Unread::Fault(error.to_string())).flatten();
        let made = made.map(|made| self.keep(&wanted, began, made));
        self.known().coming.remove(&wanted.what);
        self.0.made.notify_waiters();
        drop(turn);
        made
    }

    /// Whether who asks is to have it made.
    fn begin(&self, what: &str) -> bool {
        let mut known = self.known();
        known.coming.len() < COMING_MAX && known.coming.insert(what.to_owned())
    }

    fn keep<T: Send + Sync + 'static>(&self, wanted: &Wanted, began: Instant, count: T) -> Arc<T> {
        let count = Arc::new(count);
        let fresh_for = wanted.fresh_for.max(began.elapsed().saturating_mul(FRESH_FACTOR));
        let mut known = self.known();
        known.kept.retain(|kept| kept.what != wanted.what);
        if known.kept.len() == KEPT_MAX {
            known.kept.remove(0);
        }
        let what = wanted.what.clone();
        known.kept.push(Kept { what, until: Instant::now() + fresh_for, count: count.clone() });
        count
    }

    /// What is kept, and whether it is fresh.
    fn kept<T: Send + Sync + 'static>(&self, what: &str) -> (Option<Arc<T>>, bool) {
        let known = self.known();
        let Some(kept) = known.kept.iter().find(|kept| kept.what == what) else { return (None, false) };
        (kept.count.clone().downcast().ok(), Instant::now() < kept.until)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    fn wanted(what: &str, within: Duration) -> Wanted {
        Wanted { what: what.to_owned(), fresh_for: Duration::from_secs(60), within }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_looks_again_sees_the_same_and_one_counts_at_a_time() {
        let (counts, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let reports = Reports::default();
        let ask = |what: &str| {
            let (reports, wanted) = (reports.clone(), wanted(what, LONG));
            let (own, now) = (counts.clone(), at_once.clone());
            let count = move || {
                assert_eq!(now.fetch_add(1, SeqCst), 0);
                let number = own.fetch_add(1, SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, SeqCst);
                Ok(number)
            };
            tokio::spawn(async move { reports.of(&wanted, count).await.unwrap().unwrap() })
        };
        let mut told = Vec::new();
        for asked in ["day", "day", "week", "day"].map(ask) {
            told.push(*asked.await.unwrap());
        }
        assert_eq!(counts.load(SeqCst), 2);
        assert!(told[0] == told[1] && told[1] == told[3] && told[0] != told[2], "{told:?}");
        for number in 0..=KEPT_MAX {
            ask(&number.to_string()).await.unwrap();
        }
        assert_eq!(reports.known().kept.len(), KEPT_MAX);
        assert!(reports.known().coming.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_waits_for_long_and_old_counts_stay_until_there_are_new_ones() {
        let (go_on, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        let reports = Reports::default();
        let of = async |within| {
            let wait = wait.clone();
            let count = move || {
                wait.lock().unwrap().recv().unwrap();
                Ok(7)
            };
            reports.of(&wanted("day", within), count).await
        };
        assert_eq!(of(Duration::from_millis(1)).await, Ok(None));
        go_on.send(()).unwrap();
        let first = of(LONG).await.unwrap().unwrap();
        reports.known().kept[0].until = Instant::now();
        let old = of(Duration::ZERO).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &old));
        go_on.send(()).unwrap();
        let deadline = Instant::now() + LONG;
        while Arc::ptr_eq(&of(Duration::ZERO).await.unwrap().unwrap(), &old) {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        // What takes no time is made anew at once.
        reports.known().kept[0].until = Instant::now();
        go_on.send(()).unwrap();
        let newer = of(LONG).await.unwrap().unwrap();
        assert!(!Arc::ptr_eq(&newer, &old));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn so_many_are_on_the_way_and_no_more() {
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let reports = Reports::default();
        for number in 0..100 {
            let wait = wait.clone();
            let count = move || {
                let _ = wait.lock().unwrap().recv();
                Ok(number)
            };
            assert_eq!(reports.of(&wanted(&number.to_string(), Duration::ZERO), count).await, Ok(None));
        }
        assert_eq!(reports.known().coming.len(), COMING_MAX);
        drop(go_on);
    }

    #[tokio::test]
    async fn what_fails_is_tried_again() {
        let no = || Err::<u8, _>(Unread::NotYet);
        let reports = Reports::default();
        assert_eq!(reports.of(&wanted("day", LONG), no).await, Err(Unread::NotYet));
        assert_eq!(reports.of(&wanted("day", LONG), || Ok(7)).await, Ok(Some(Arc::new(7))));
    }
}
