use super::{ahead::REFRESHED_BEFORE, *};
use crate::{
    dns::{Record, RrType},
    resolve::NameServersWanted,
};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
};
use tokio::sync::Notify;

const LIFE: u32 = 300;

/// Answers as it is told, and counts.
#[derive(Default)]
struct Scripted {
    asked: AtomicUsize,
    /// `None`: an address.
    next: Mutex<Option<Resolution>>,
    waits: AtomicBool,
    go: Notify,
    /// Done once, as an answer is about to be kept.
    before_kept: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Scripted {
    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

struct Shared(Arc<Scripted>);

impl Resolve for Shared {
    fn resolve(&self, name: Name, rr_type: RrType, _: Wanted) -> Pin<Box<dyn Future<Output = Resolution> + Send>> {
        let scripted = self.0.clone();
        scripted.asked.fetch_add(1, Relaxed);
        Box::pin(async move {
            if scripted.waits.load(Relaxed) {
                scripted.go.notified().await;
            }
            scripted.next.lock().unwrap().clone().unwrap_or_else(|| answer(name, rr_type))
        })
    }

    fn answers_last(&self) -> bool {
        if let Some(act) = self.0.before_kept.lock().unwrap().take() {
            act();
        }
        true
    }
}

fn answer(name: Name, rr_type: RrType) -> Resolution {
    Resolution {
        rcode: Rcode::NOERROR,
        answer: vec![Record { owner: name, rr_type, class: Class::IN, ttl: LIFE, data: vec![192, 0, 2, 1] }],
        authority: Vec::new(),
        security: Security::Insecure,
        ede: None,
        delegations: Vec::new(),
        unheard: false,
        server: None,
    }
}

fn keeping() -> Keeping {
    Keeping { bytes: 1 << 20, seed: 1, stale: Duration::from_secs(86_400), refresh: true }
}

fn finder() -> (Arc<Finder>, Arc<Scripted>) {
    let scripted = Arc::new(Scripted::default());
    let finder = Finder::new(
        Arc::new(Shared(scripted.clone())),
        keeping(),
        (Arc::new(|| 1_800_000_000), Arc::new(|| Duration::ZERO)),
    );
    (Arc::new(finder), scripted)
}

fn sought() -> Sought {
    let (name, name_servers) = ("www.example".parse().unwrap(), NameServersWanted::No);
    Sought { name, rr_type: RrType::A, dnssec_ok: false, cd: false, name_servers }
}

async fn find(finder: &Arc<Finder>, looked: Looked) -> Found {
    finder.find(looked, Instant::now() + Duration::from_secs(3)).await
}

/// Waits until all that was begun has ended.
async fn at_rest(finder: &Finder) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while finder.flying.available_permits() < MISSES_MAX || finder.is_in_flight(&sought()) {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

/// Gives what is kept twice, shortly before its end, and waits until somebody was asked that often, and what came of it.
async fn given_late(finder: &Arc<Finder>, scripted: &Scripted, asked: usize) {
    finder.let_pass(LIFE - REFRESHED_BEFORE);
    for _ in 0..2 {
        let found = find(finder, finder.look(sought())).await;
        assert_eq!((found.cache, found.resolution.rcode), (CacheUse::Hit, Rcode::NOERROR));
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while scripted.asked() < asked {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    at_rest(finder).await;
    assert_eq!(scripted.asked(), asked);
}

/// How old what is kept is, if it is not over.
fn age(finder: &Finder) -> Option<u32> {
    match finder.look(sought()).entry?.life(finder.seconds()) {
        Life::Fresh { age, .. } => Some(age),
        Life::Over { .. } => None,
    }
}

#[tokio::test]
async fn a_popular_answer_is_asked_for_before_its_end_and_replaced() {
    let (finder, scripted) = finder();
    find(&finder, finder.look(sought())).await;
    at_rest(&finder).await;
    for round in 1..4 {
        given_late(&finder, &scripted, 1 + round).await;
        assert_eq!(age(&finder), Some(0));
    }
}

/// Until its end a kept answer holds against whatever came of asking again; after it, failures stand in for it or not as
/// for any other.
#[tokio::test]
async fn a_refresh_in_vain_leaves_what_is_kept() {
    let bogus = Resolution { security: Security::Bogus, ..answer(sought().name, RrType::A) };
    for (came, after) in [
        (Resolution::failed(ExtendedError::new(22, "")), (CacheUse::Stale, Rcode::NOERROR)),
        (bogus, (CacheUse::Miss, Rcode::NOERROR)),
    ] {
        let (finder, scripted) = finder();
        find(&finder, finder.look(sought())).await;
        at_rest(&finder).await;
        *scripted.next.lock().unwrap() = Some(came);
        given_late(&finder, &scripted, 2).await;
        assert_eq!(age(&finder), Some(LIFE - REFRESHED_BEFORE));
        *scripted.next.lock().unwrap() = None;
        finder.let_pass(REFRESHED_BEFORE);
        let found = find(&finder, finder.look(sought())).await;
        assert_eq!((found.cache, found.resolution.rcode), after);
    }
}

/// Who asks while it is asked for again begins nothing, and nothing is begun where somebody asks already.
#[tokio::test]
async fn a_refresh_and_a_client_share_their_flight() {
    let (finder, scripted) = finder();
    find(&finder, finder.look(sought())).await;
    at_rest(&finder).await;
    scripted.waits.store(true, Relaxed);
    finder.let_pass(LIFE);
    let looked = finder.look(sought());
    let client = tokio::spawn({
        let finder = finder.clone();
        async move { find(&finder, looked).await }
    });
    while !finder.is_in_flight(&sought()) {
        tokio::task::yield_now().await;
    }
    finder.refresh(sought());
    scripted.go.notify_one();
    assert_eq!(client.await.unwrap().cache, CacheUse::Miss);
    assert_eq!(scripted.asked(), 2);
}

/// What the fast half found is believed, and the cache asked again only if the same has come since, whatever else has.
#[tokio::test]
async fn the_cache_is_asked_once_unless_the_same_came_since() {
    let (finder, scripted) = finder();
    let before = finder.look(sought());
    assert!(before.entry.is_none());
    // It comes in another way than by a landing, so nobody looks.
    let question = Question { name: sought().name, rr_type: RrType::A, class: Class::IN };
    let resolution = answer(sought().name, RrType::A);
    let entry = Entry::new(&question, (false, false), NameServersWanted::No, &resolution, finder.seconds());
    finder.cache.restore(Arc::new(entry));
    let other = Sought { name: "other.example".parse().unwrap(), ..sought() };
    find(&finder, finder.look(other)).await;
    at_rest(&finder).await;
    assert_eq!(scripted.asked(), 1);
    assert_eq!(find(&finder, before.clone()).await.cache, CacheUse::Miss);
    assert_eq!(scripted.asked(), 2);
    at_rest(&finder).await;
    // It has landed by now.
    assert_eq!(find(&finder, before).await.cache, CacheUse::Hit);
    assert_eq!(scripted.asked(), 2);
}

/// Another size takes nothing from what is in flight; a flush does.
#[tokio::test]
async fn what_is_in_flight_is_kept_though_the_size_changes() {
    for flushed in [false, true] {
        let (finder, scripted) = finder();
        scripted.waits.store(true, Relaxed);
        let client = tokio::spawn({
            let (finder, looked) = (finder.clone(), finder.look(sought()));
            async move { find(&finder, looked).await }
        });
        while !finder.is_in_flight(&sought()) {
            tokio::task::yield_now().await;
        }
        finder.keep_as(Keeping { bytes: 2 << 20, ..keeping() });
        if flushed {
            finder.flush(&Name::ROOT, true);
        }
        scripted.go.notify_one();
        assert_eq!(client.await.unwrap().cache, CacheUse::Miss);
        assert_eq!(finder.look(sought()).entry.is_none(), flushed);
    }
}

/// A flush in the very moment in which an answer lands forgets it too.
#[tokio::test]
async fn a_flush_as_an_answer_lands_lets_nothing_come_back() {
    let (finder, scripted) = finder();
    let flushing = finder.clone();
    *scripted.before_kept.lock().unwrap() = Some(Box::new(move || {
        flushing.flush(&Name::ROOT, true);
    }));
    assert_eq!(find(&finder, finder.look(sought())).await.cache, CacheUse::Miss);
    at_rest(&finder).await;
    assert!(finder.look(sought()).entry.is_none());
}
