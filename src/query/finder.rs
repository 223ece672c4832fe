//! Finds answers: those that are kept, else by resolving, once for all who ask the same at the same time.

use super::{CacheUse, MISSES_MAX, RESOLVE_WITHIN, TOO_MANY};
use crate::{
    cache::{self, Cache, Entry, Key, Life, Seconds},
    dns::{Class, ExtendedError, Name, Question, Rcode, RrType},
    resolve::{NameServersWanted, Resolution, Resolve, Security, Wanted},
    response,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

/// How long a new answer is waited for where an old one is kept past its time (RFC 8767 §5), counted from when it was first
/// asked for: once that was in vain, nobody else who asks meanwhile waits as long again.
const STALE_AFTER: Duration = Duration::from_millis(1800);
/// Seconds in which nobody is asked again for what is kept past its time, once that was in vain (RFC 8767 §5).
const RETRY_AFTER: Seconds = 30;
/// Answers of a shorter life are not asked for again before somebody wants them.
const REFRESHED_LIFE_MIN: u32 = 10;

/// What is looked for, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sought {
    pub name: Name,
    pub rr_type: RrType,
    /// The client wants signatures and proofs (DO).
    pub dnssec_ok: bool,
    /// The client validates by itself (CD).
    pub cd: bool,
    pub name_servers: NameServersWanted,
}

/// What was found: as if it had been resolved just now, whether or not it was kept.
pub struct Found {
    pub resolution: Arc<Resolution>,
    pub cache: CacheUse,
}

/// How answers are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Octets at most.
    pub bytes: u64,
    /// Keys the cache's hashes.
    pub seed: u64,
    /// How long an answer may be given past its time.
    pub stale: Duration,
    /// Popular answers are asked for again when their time is over.
    pub refresh: bool,
}

/// Answers that wait for the end of their time at most, to be asked for again.
const REFRESHES_MAX: usize = 4096;
/// The time at the start by the cache's clock: it reaches back further than anything is kept.
const STARTED: Seconds = 1 << 30;
/// Seconds before its end from which on an answer that is given counts as popular, if its life is long.
const LATE_MAX: u32 = 300;

/// The same questions of the same moment are one resolution.
type Flights = Mutex<HashMap<Sought, Flight>>;

/// A resolution under way.
#[derive(Clone)]
struct Flight {
    begun: Instant,
    landed: watch::Receiver<Option<Arc<Resolution>>>,
}

/// Finds answers. Shared by all that ask.
pub struct Finder {
    pub cache: Cache,
    resolver: Arc<dyn Resolve>,
    flights: Flights,
    /// Seconds for which an answer may be given past its time.
    stale: AtomicU64,
    /// Popular answers are asked for again when their time is over.
    refreshes_popular: AtomicBool,
    /// Resolutions in flight.
    flying: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    /// The cache's clock begins here.
    started: Instant,
    /// Seconds that it was ahead of it then, and what tests add.
    ahead: AtomicU32,
    /// Seconds since 1970 (UTC).
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// `None`: nothing is asked for before somebody wants it.
    runtime: Option<Handle>,
}

impl Finder {
    pub fn new(resolver: Arc<dyn Resolve>, keeping: Keeping, now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self {
            cache: Cache::new(keeping.bytes, keeping.seed),
            resolver,
            flights: Mutex::default(),
            stale: AtomicU64::new(keeping.stale.as_secs()),
            refreshes_popular: AtomicBool::new(keeping.refresh),
            flying: Arc::new(Semaphore::new(MISSES_MAX)),
            refreshes: Arc::new(Semaphore::new(REFRESHES_MAX)),
            started: Instant::now(),
            ahead: AtomicU32::new(STARTED),
            now,
            runtime: Handle::try_current().ok(),
        }
    }

    /// Keeps answers as it is told from now on, those there are already too. The hashes keep their key.
    pub fn keep_as(&self, keeping: Keeping) {
        self.stale.store(keeping.stale.as_secs(), Relaxed);
        self.refreshes_popular.store(keeping.refresh, Relaxed);
        self.cache.resize(keeping.bytes);
    }

    /// Who is asked for a name, as `Resolve::upstream` numbers them.
    pub fn upstream(&self, name: &Name) -> u8 {
        self.resolver.upstream(name)
    }

    /// The time by the cache's clock.
    pub fn seconds(&self, at: Instant) -> Seconds {
        at.saturating_duration_since(self.started).as_secs() as Seconds + self.ahead.load(Relaxed)
    }

    /// Lets so many seconds pass by the cache's clock. For tests, which don't wait.
    pub fn let_pass(&self, seconds: Seconds) {
        self.ahead.fetch_add(seconds, Relaxed);
    }

    /// What is kept and may be given at once: its age, or that its time is over and there is no use in asking.
    #[inline]
    pub fn usable(&self, entry: &Entry, now: Seconds) -> Option<Life> {
        match entry.life(now) {
            life @ Life::Fresh { .. } => Some(life),
            Life::Over { .. } if entry.is_hopeless(now) => self.stale(entry, now),
            Life::Over { .. } => None,
        }
    }

    /// Whether an entry tells as much of the name servers as is wanted, or there is no use in asking for more.
    #[inline]
    pub fn suffices(&self, entry: &Entry, wanted: NameServersWanted, now: Seconds) -> bool {
        entry.tells(wanted) || entry.is_hopeless(now)
    }

    /// How old an entry is that may be given for want of a better one: its time is over, or it tells too little of the name
    /// servers, as an answer does whose name servers can't be learnt in time.
    pub fn spare(&self, entry: &Entry, now: Seconds) -> Option<Life> {
        match entry.life(now) {
            life @ Life::Fresh { .. } => (!entry.is_failure()).then_some(life),
            Life::Over { .. } => self.stale(entry, now),
        }
    }

    /// How long an entry's time is over, if it may be given all the same for want of a better one.
    pub fn stale(&self, entry: &Entry, now: Seconds) -> Option<Life> {
        match entry.life(now) {
            life @ Life::Over { since } if u64::from(since) < self.stale.load(Relaxed) => Some(life),
            _ => None,
        }
        .filter(|_| !entry.is_failure())
    }

    /// What is kept of this and may be given at once; `at_any_age`, for want of a better one too.
    pub fn kept(&self, sought: &Sought, now: Seconds, at_any_age: bool) -> Option<Found> {
        let entry = self.cache.find_by_key(&sought.key())?;
        let life = match self.suffices(&entry, sought.name_servers, now) {
            true => self.usable(&entry, now),
            false => None,
        };
        let life = life.or_else(|| if at_any_age { self.spare(&entry, now) } else { None })?;
        Some(Found::kept(&entry, life))
    }

    /// Whether this is being resolved just now.
    pub fn is_in_flight(&self, sought: &Sought) -> bool {
        self.flights.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).contains_key(sought)
    }

    /// Finds an answer by `deadline`.
    pub async fn find(self: &Arc<Self>, sought: Sought, deadline: Instant) -> Found {
        let now = self.seconds(Instant::now());
        let kept = self.cache.find_by_key(&sought.key());
        if let Some(entry) = &kept
            && self.suffices(entry, sought.name_servers, now)
            && let Some(life) = self.usable(entry, now)
        {
            return Found::kept(entry, life);
        }
        let spare = kept.and_then(|entry| self.spare(&entry, now).map(|life| (entry, life)));
        let Some(Flight { begun, mut landed }) = self.join(sought) else {
            return match spare {
                Some((entry, life)) => Found::kept(&entry, life),
                None => Found { resolution: Arc::new(too_many()), cache: CacheUse::Miss },
            };
        };
        let patience = if spare.is_some() { deadline.min(begun + STALE_AFTER) } else { deadline };
        let landed = tokio::time::timeout_at(patience.into(), landed.wait_for(Option::is_some)).await;
        let resolution = match landed {
            Ok(Ok(resolution)) => resolution.clone(),
            // It broke off.
            Ok(Err(_)) => Some(Arc::new(Resolution::failed(ExtendedError::new(0, "internal error")))),
            Err(_) => None,
        };
        match (resolution, spare) {
            (Some(resolution), None) => Found { resolution, cache: CacheUse::Miss },
            (Some(resolution), Some(_)) if !has_failed(&resolution) => Found { resolution, cache: CacheUse::Miss },
            (_, Some((entry, life))) => Found::kept(&entry, life),
            (None, None) => Found { resolution: Arc::new(no_answer(&sought.name)), cache: CacheUse::Miss },
        }
    }

    /// Notes that an entry was given with so many seconds to live. A popular one is asked for again when its time is
    /// over, before the next client wants it.
    pub fn given(self: &Arc<Self>, entry: &Arc<Entry>, age: u32, life: u32) {
        let left = life - age;
        let is_late = left <= (life / 10).min(LATE_MAX) && life >= REFRESHED_LIFE_MIN;
        if !is_late || !self.refreshes_popular.load(Relaxed) || entry.is_failure() || !entry.given_late() {
            return;
        }
        let Some(runtime) = &self.runtime else { return };
        let Ok(place) = self.refreshes.clone().try_acquire_owned() else { return };
        let key = entry.key();
        let (dnssec_ok, cd, name_servers) = (key.dnssec_ok, key.cd, entry.name_servers());
        let sought = Sought { name: entry.name(), rr_type: entry.rr_type(), dnssec_ok, cd, name_servers };
        let finder = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(left))).await;
            drop(place);
            let kept = finder.cache.find_by_key(&sought.key());
            let is_over = kept.is_none_or(|entry| finder.usable(&entry, finder.seconds(Instant::now())).is_none());
            // Clients that wait go first.
            if is_over && finder.flying.available_permits() > MISSES_MAX / 2 {
                finder.join(sought);
            }
        });
    }

    /// Whether it may be given now, if only for want of a better one.
    fn is_of_use(&self, entry: &Entry, now: Seconds) -> bool {
        matches!(entry.life(now), Life::Fresh { .. }) || self.stale(entry, now).is_some()
    }

    /// Hands over what is kept and of use to a later process, answer by answer.
    pub fn save<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let now = self.seconds(Instant::now());
        let mut octets = Vec::new();
        for entry in self.cache.entries() {
            octets.clear();
            if self.is_of_use(&entry, now) && entry.save(now, &mut octets) {
                take(&octets)?;
            }
        }
        Ok(())
    }

    /// Keeps an answer that an earlier process handed over so many seconds ago, or nobody knows when: then it is taken for
    /// one whose time is just over. False if it is of no use.
    pub fn restore(&self, saved: &[u8], passed: Option<Seconds>) -> bool {
        let now = self.seconds(Instant::now());
        let entry = Entry::load(saved, now, passed).filter(|entry| self.is_of_use(entry, now));
        entry.map(|entry| self.cache.restore(Arc::new(entry))).is_some()
    }

    /// Forgets what is kept of a name, and of all names below it; of all names, if it is the root with those below. What
    /// aliases lead to such a name goes too, for their answers hold what was kept of it.
    pub fn flush(&self, name: &Name, subtree: bool) -> u64 {
        // What the resolver keeps for itself would come back otherwise.
        self.resolver.forget();
        self.cache.flush(|entry| {
            entry.is_about(|kept| match subtree {
                false => kept == name,
                true => kept.is_at_or_below(name),
            })
        })
    }

    /// The resolution that is in flight for this, or a new one; `None` if there are too many.
    fn join(self: &Arc<Self>, sought: Sought) -> Option<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(flight) = flights.get(&sought) {
            return Some(flight.clone());
        }
        // Of its own: it may go on after all who wait for it were answered.
        let permit = self.flying.clone().try_acquire_owned().ok()?;
        let (sender, landed) = watch::channel(None);
        let flight = Flight { begun: Instant::now(), landed };
        flights.insert(sought, flight.clone());
        drop(flights);
        let landing = Landing { finder: self.clone(), sought, generation: self.cache.generation() };
        let wanted = Wanted { validated: !sought.cd, name_servers: sought.name_servers };
        let resolving = self.resolver.resolve(sought.name, sought.rr_type, wanted);
        // A task of its own: a client that goes away, or is told that time is up, stops nothing that another may wait for.
        tokio::spawn(async move {
            let resolution = tokio::time::timeout(RESOLVE_WITHIN, resolving).await;
            drop(permit);
            let mut resolution = resolution.unwrap_or_else(|_| no_answer(&sought.name));
            cache::settle(&mut resolution, (landing.finder.now)());
            let resolution = Arc::new(resolution);
            // What was asked before a flush may be what the flush was meant for.
            if landing.generation == landing.finder.cache.generation() {
                landing.finder.keep(&sought, &resolution);
            }
            drop(landing);
            sender.send_replace(Some(resolution));
        });
        Some(flight)
    }

    fn keep(&self, sought: &Sought, resolution: &Resolution) {
        if !self.resolver.answers_last() {
            return;
        }
        let now = self.seconds(Instant::now());
        let question = Question { name: sought.name, rr_type: sought.rr_type, class: Class::IN };
        let forms = (sought.dnssec_ok, sought.cd);
        let entry = Entry::new(&question, forms, sought.name_servers, resolution, now);
        let before = self.cache.find_by_key(&sought.key()).filter(|before| !before.is_failure());
        match before {
            // Who wanted to know more than is kept, and failed, takes nothing from those who don't.
            Some(before) if has_failed(resolution) && self.spare(&before, now).is_some() => {
                before.failed(now + RETRY_AFTER);
            }
            _ if entry.lives() => self.cache.store(Arc::new(entry)),
            // What holds for this moment alone supersedes what was kept, all the same.
            _ => self.cache.remove(&sought.key()),
        }
    }
}

/// Takes a flight off the list, however it ends.
struct Landing {
    finder: Arc<Finder>,
    sought: Sought,
    /// Of the cache, as it began.
    generation: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.finder.flights.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        flights.remove(&self.sought);
    }
}

impl Sought {
    pub fn key(&self) -> Key<'_> {
        Key { name: self.name.as_wire(), rr_type: self.rr_type, dnssec_ok: self.dnssec_ok, cd: self.cd }
    }
}

impl Found {
    fn kept(entry: &Entry, life: Life) -> Self {
        Self { resolution: Arc::new(response::as_kept(entry, life)), cache: CacheUse::of(life) }
    }
}

/// True if nobody gave an answer. One that breaks DNSSEC is an answer, and what was kept before must not stand for it.
fn has_failed(resolution: &Resolution) -> bool {
    resolution.rcode == Rcode::SERVFAIL && resolution.security != Security::Bogus
}

fn too_many() -> Resolution {
    Resolution::failed(ExtendedError::new(0, TOO_MANY))
}

fn no_answer(name: &Name) -> Resolution {
    let text = format!("no name server answered for {name} in time");
    Resolution::failed(ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, text))
}
