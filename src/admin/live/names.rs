//! What others call clients, asked for in the background and kept for a while: whoever shows them shows what is known.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Clients whose names are known, or asked for: more than that nobody looks at.
pub const NAMES_MAX: usize = 256;
/// Names asked for at once. The others wait.
const ASKED_AT_ONCE: usize = 4;
/// How long a name is believed, and that there is none.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// When somebody who could not say is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long a client keeps its place after it was shown: who looks at more clients than there are places doesn't have
/// each of them asked for again and again.
const SHOWN_FOR: Duration = Duration::from_secs(60);
/// Characters of a name that are kept: whoever says it may say anything.
const NAME_CHARS_MAX: usize = 100;

/// Says what an address is called: `Ok(None)` nothing, `Err` that nobody could say now.
pub type Ask = Box<dyn Fn(IpAddr) -> Asking + Send + Sync>;
type Asking = Pin<Box<dyn Future<Output = Result<Option<String>, ()>> + Send>>;

/// Names by address. Copies are the same.
#[derive(Clone)]
pub struct Names(Arc<Inner>);

struct Inner {
    ask: Ask,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    known: Mutex<HashMap<IpAddr, Known>>,
    turns: Semaphore,
}

struct Known {
    name: Option<Arc<str>>,
    /// When it is asked for again.
    until: Instant,
    shown: Instant,
    /// Somebody asks, or waits for a turn: no second one does.
    is_asked: bool,
}

impl Names {
    pub fn new(ask: Ask) -> Self {
        Self::with_clock(ask, Box::new(Instant::now))
    }

    fn with_clock(ask: Ask, clock: Box<dyn Fn() -> Instant + Send + Sync>) -> Self {
        Self(Arc::new(Inner { ask, clock, known: Mutex::default(), turns: Semaphore::new(ASKED_AT_ONCE) }))
    }

    /// What is known by now of what an address is called. It never waits: what isn't known yet, or no longer, is asked for
    /// in the background. Within a runtime.
    pub fn of(&self, address: IpAddr) -> Option<Arc<str>> {
        let (address, now) = (address.to_canonical(), (self.0.clock)());
        let mut known = self.known();
        if !known.contains_key(&address) && known.len() >= NAMES_MAX {
            let longest = known.iter().min_by_key(|(_, known)| known.shown)?;
            let (gone, shown) = (*longest.0, longest.1.shown);
            if now.duration_since(shown) < SHOWN_FOR {
                return None;
            }
            known.remove(&gone);
        }
        let (name, is_due) = match known.entry(address) {
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                known.shown = now;
                let is_due = !known.is_asked && now >= known.until;
                known.is_asked |= is_due;
                (known.name.clone(), is_due)
            }
            Entry::Vacant(entry) => {
                entry.insert(Known { name: None, until: now, shown: now, is_asked: true });
                (None, true)
            }
        };
        drop(known);
        if is_due {
            tokio::spawn(self.clone().learn(address));
        }
        name
    }

    /// Addresses of those known names that have this text in them, in small letters.
    pub fn addresses_called(&self, part: &str) -> Vec<IpAddr> {
        let is_called = |known: &Known| known.name.as_ref().is_some_and(|name| name.to_lowercase().contains(part));
        self.known().iter().filter(|(_, known)| is_called(known)).map(|(address, _)| *address).collect()
    }

    /// Asks, when there is room.
    async fn learn(self, address: IpAddr) {
        let Ok(_turn) = self.0.turns.acquire().await else { return };
        let answer = (self.0.ask)(address).await;
        let now = (self.0.clock)();
        if let Some(known) = self.known().get_mut(&address) {
            known.is_asked = false;
            known.until = now + if answer.is_ok() { KEPT_FOR } else { AGAIN_AFTER };
            if let Ok(name) = answer {
                known.name = name.map(|name| bounded(&name).into());
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Known>> {
        self.0.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// As much of a name as is kept.
fn bounded(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
    use tokio::{sync::Notify, task::yield_now};

    fn address(number: usize) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xc0a8_0000 + number as u32).into()
    }

    /// Counts who is asked, and how many at once.
    #[derive(Default)]
    struct Router {
        asked: AtomicUsize,
        now: AtomicUsize,
        most: AtomicUsize,
        silent: AtomicBool,
        go_on: Notify,
        /// Seconds since it began.
        clock: AtomicU64,
    }

    impl Router {
        fn advance(&self, by: Duration) {
            self.clock.fetch_add(by.as_secs(), SeqCst);
        }
    }

    fn names(router: &Arc<Router>, waits: bool) -> Names {
        let (router, clock, began) = (router.clone(), router.clone(), Instant::now());
        let clock = Box::new(move || began + Duration::from_secs(clock.clock.load(SeqCst)));
        let ask: Ask = Box::new(move |address| {
            let router = router.clone();
            Box::pin(async move {
                router.asked.fetch_add(1, SeqCst);
                router.most.fetch_max(router.now.fetch_add(1, SeqCst) + 1, SeqCst);
                if waits {
                    router.go_on.notified().await;
                }
                router.now.fetch_sub(1, SeqCst);
                let text = format!("{address}.{}", "x".repeat(200));
                if router.silent.load(SeqCst) { Err(()) } else { Ok(Some(text)) }
            })
        });
        Names::with_clock(ask, clock)
    }

    async fn settle() {
        for _ in 0..2000 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_and_again_after_a_while() {
        let router = Arc::new(Router::default());
        let names = names(&router, false);
        assert_eq!(names.of(address(1)), None);
        settle().await;
        let name = names.of(address(1)).unwrap();
        assert!(name.starts_with("192.168.0.1.xx") && name.chars().count() == NAME_CHARS_MAX + 1, "{name}");
        assert_eq!(names.addresses_called("168.0.1.x"), [address(1)]);
        assert!(names.addresses_called("nobody").is_empty());
        assert_eq!(names.of("::ffff:192.168.0.1".parse().unwrap()).as_deref(), Some(&*name));
        router.advance(KEPT_FOR - Duration::from_secs(1));
        names.of(address(1));
        settle().await;
        assert_eq!(router.asked.load(SeqCst), 1);
        // Who can't be asked any more has said so once, and the name stays.
        router.silent.store(true, SeqCst);
        router.advance(Duration::from_secs(1));
        for _ in 0..9 {
            assert!(names.of(address(1)).is_some());
            settle().await;
        }
        assert_eq!(router.asked.load(SeqCst), 2);
        router.advance(AGAIN_AFTER);
        names.of(address(1));
        settle().await;
        assert_eq!(router.asked.load(SeqCst), 3);
    }

    #[tokio::test]
    async fn few_are_asked_for_at_once_and_not_without_end() {
        let router = Arc::new(Router::default());
        let names = names(&router, true);
        (0..2 * NAMES_MAX).for_each(|number| drop(names.of(address(number))));
        settle().await;
        assert_eq!((router.asked.load(SeqCst), names.known().len()), (ASKED_AT_ONCE, NAMES_MAX));
        while router.asked.load(SeqCst) < NAMES_MAX || router.now.load(SeqCst) > 0 {
            router.go_on.notify_waiters();
            yield_now().await;
        }
        assert_eq!((router.asked.load(SeqCst), router.most.load(SeqCst)), (NAMES_MAX, ASKED_AT_ONCE));
        assert!(names.of(address(NAMES_MAX)).is_none() && names.of(address(0)).is_some());
        // One that nobody looked at for a while makes room.
        router.advance(SHOWN_FOR);
        names.of(address(0));
        names.of(address(NAMES_MAX));
        assert!(names.known().contains_key(&address(NAMES_MAX)) && names.known().contains_key(&address(0)));
        assert_eq!(names.known().len(), NAMES_MAX);
    }
}
