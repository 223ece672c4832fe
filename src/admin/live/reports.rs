//! What was blocked most, counted now and then: who looks again within a minute sees the same numbers.

use crate::report::Tops;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// How long a count is shown.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// So many times as long as it took a count is shown at least: to count it anew takes a part of one processor that is
/// small however much is recorded.
const FRESH_FACTOR: u32 = 40;
/// Counts kept, of different lengths of time.
const KEPT_MAX: usize = 8;

/// Counts the last so many hours; it may take seconds.
pub type Count = Arc<dyn Fn(u32) -> Result<Tops, String> + Send + Sync>;

/// Counts, and who is counting. One at a time is made.
#[derive(Clone)]
pub struct Reports(Arc<Inner>);

struct Inner {
    count: Count,
    known: Mutex<Known>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// Latest last.
    kept: Vec<Kept>,
    /// Hours that are being counted, or wait for it.
    coming: BTreeSet<u32>,
}

struct Kept {
    hours: u32,
    until: Instant,
    tops: Arc<Tops>,
}

impl Reports {
    pub fn new(count: Count) -> Self {
        Self(Arc::new(Inner { count, known: Mutex::default(), turn: tokio::sync::Mutex::default() }))
    }

    /// The counts of the last so many hours; those of before while they are being made anew. `None`: there are none
    /// `within` that time; they are on the way.
    pub async fn of(&self, hours: u32, within: Duration) -> Result<Option<Arc<Tops>>, String> {
        let (kept, is_fresh) = self.kept(hours);
        if is_fresh {
            return Ok(kept);
        }
        let is_first = self.known().coming.insert(hours);
        if kept.is_some() {
            if is_first {
                tokio::spawn(self.clone().make(hours));
            }
            return Ok(kept);
        }
        // Whoever else waits for the same takes what the first of them made.
        match tokio::time::timeout(within, tokio::spawn(self.clone().make(hours))).await {
            Err(_) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(made)) => made.map(Some),
        }
    }

    /// Counts, when it is this one's turn.
    async fn make(self, hours: u32) -> Result<Arc<Tops>, String> {
        let turn = self.0.turn.lock().await;
        let made = match self.kept(hours) {
            (Some(tops), true) => Ok(tops),
            _ => {
                let (count, began) = (self.0.count.clone(), Instant::now());
                let made = tokio::task::spawn_blocking(move || count(hours)).await;
                made.map_err(|error| error.to_string()).flatten().map(|tops| self.keep(hours, began, tops))
            }
        };
        self.known().coming.remove(&hours);
        drop(turn);
        made
    }

    fn keep(&self, hours: u32, began: Instant, tops: Tops) -> Arc<Tops> {
        let tops = Arc::new(tops);
        let fresh_for = FRESH_FOR.max(began.elapsed().saturating_mul(FRESH_FACTOR));
        let mut known = self.known();
        known.kept.retain(|kept| kept.hours != hours);
        if known.kept.len() == KEPT_MAX {
            known.kept.remove(0);
        }
        known.kept.push(Kept { hours, until: Instant::now() + fresh_for, tops: tops.clone() });
        tops
    }

    /// What is kept, and whether it is fresh.
    fn kept(&self, hours: u32) -> (Option<Arc<Tops>>, bool) {
        let known = self.known();
        let kept = known.kept.iter().find(|kept| kept.hours == hours);
        (kept.map(|kept| kept.tops.clone()), kept.is_some_and(|kept| Instant::now() < kept.until))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Filter, Tally};
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    fn tops() -> Tops {
        Tally::new(Filter::default()).tops((0, 1), 1)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_looks_again_sees_the_same_and_one_counts_at_a_time() {
        let (counts, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (own, now) = (counts.clone(), at_once.clone());
        let reports = Reports::new(Arc::new(move |_| {
            assert_eq!(now.fetch_add(1, SeqCst), 0);
            own.fetch_add(1, SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, SeqCst);
            Ok(tops())
        }));
        let ask = |hours| {
            let reports = reports.clone();
            tokio::spawn(async move { reports.of(hours, Duration::from_secs(30)).await.unwrap().unwrap() })
        };
        for asked in [24, 24, 168, 24].map(ask) {
            asked.await.unwrap();
        }
        assert_eq!(counts.load(SeqCst), 2);
        for hours in 1..=9 {
            ask(hours).await.unwrap();
        }
        assert_eq!(reports.known().kept.len(), KEPT_MAX);
        assert!(reports.known().coming.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_waits_for_long_and_old_counts_stay_until_there_are_new_ones() {
        let (go_on, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let reports = Reports::new(Arc::new(move |_| {
            wait.lock().unwrap().recv().unwrap();
            Ok(tops())
        }));
        assert_eq!(reports.of(24, Duration::from_millis(1)).await, Ok(None));
        go_on.send(()).unwrap();
        let first = reports.of(24, Duration::from_secs(30)).await.unwrap().unwrap();
        reports.known().kept[0].until = Instant::now();
        let old = reports.of(24, Duration::ZERO).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &old));
        go_on.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Arc::ptr_eq(&reports.of(24, Duration::ZERO).await.unwrap().unwrap(), &old) {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_fails_is_tried_again() {
        let tries = Arc::new(AtomicUsize::new(0));
        let own = tries.clone();
        let fails = move |_| if own.fetch_add(1, SeqCst) == 0 { Err("no".to_owned()) } else { Ok(tops()) };
        let reports = Reports::new(Arc::new(fails));
        assert_eq!(reports.of(1, Duration::from_secs(30)).await, Err("no".to_owned()));
        assert!(reports.of(1, Duration::from_secs(30)).await.unwrap().is_some());
    }
}
