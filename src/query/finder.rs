//! Finds answers: those that are kept, else by resolving, once for all who ask the same at the same time.

mod ahead;
mod silence;

use super::{
    CacheUse, MISSES_MAX, RESOLVE_WITHIN, TOO_MANY,
    flights::{Flight, Flights, Held},
    sought::{Found, Looked, Sought},
};
use crate::{
    cache::{self, Cache, Entry, Life, Seconds},
    dns::{Class, ExtendedError, Name, Question, Rcode},
    resolve::{NameServersWanted, Resolution, Resolve, Security, Wanted},
    uptime::Uptime,
};
use ahead::REFRESHES_MAX;
use silence::Silence;
use std::{
    sync::{
        Arc,
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
/// How long a kept answer that holds waits for the name servers behind it, where rules look at them and it tells none:
/// counted from when they were first looked for, and long enough for those that are well.
const NAME_SERVERS_WITHIN: Duration = Duration::from_millis(300);
/// How long it waits where that was in vain before: for what is known without asking anybody.
const AT_HAND_WITHIN: Duration = Duration::from_millis(10);
/// Seconds in which nobody is asked again for what is kept past its time, once that was in vain (RFC 8767 §5).
const RETRY_AFTER: Seconds = 30;
/// How often the cache is asked once more for what others brought meanwhile. If it came and went that often, nothing of it
/// is kept, and it is asked for anew.
const LOOKS_MAX: usize = 3;
/// The time at the start by the cache's clock: it reaches back further than anything is kept.
const STARTED: Seconds = 1 << 30;

/// How answers are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Octets at most.
    pub bytes: u64,
    /// Keys the cache's hashes.
    pub seed: u64,
    /// How long an answer may be given past its time.
    pub stale: Duration,
    /// Popular answers are asked for again before their time is over.
    pub refresh: bool,
}

/// Finds answers. Shared by all that ask.
pub struct Finder {
    pub cache: Cache,
    resolver: Arc<dyn Resolve>,
    flights: Flights,
    /// Seconds for which an answer may be given past its time.
    stale: AtomicU64,
    /// Popular answers are asked for again before their time is over.
    refreshes_popular: AtomicBool,
    /// Resolutions in flight.
    flying: Arc<Semaphore>,
    refreshes: Arc<Semaphore>,
    silence: Silence,
    uptime: Uptime,
    /// The cache's clock begins here.
    started: Duration,
    /// Seconds that it was ahead of it then, and what tests add.
    ahead: AtomicU32,
    /// Seconds since 1970 (UTC).
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// `None`: nothing is asked for before somebody wants it.
    runtime: Option<Handle>,
}

impl Finder {
    pub fn new(
        resolver: Arc<dyn Resolve>,
        keeping: Keeping,
        (now, uptime): (Arc<dyn Fn() -> i64 + Send + Sync>, Uptime),
    ) -> Self {
        Self {
            cache: Cache::new(keeping.bytes, keeping.seed),
            resolver,
            flights: Flights::default(),
            stale: AtomicU64::new(keeping.stale.as_secs()),
            refreshes_popular: AtomicBool::new(keeping.refresh),
            flying: Arc::new(Semaphore::new(MISSES_MAX)),
            refreshes: Arc::new(Semaphore::new(REFRESHES_MAX)),
            silence: Silence::default(),
            started: uptime(),
            uptime,
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

    /// The time by the cache's clock, which goes on while the machine sleeps.
    pub fn seconds(&self) -> Seconds {
        (self.uptime)().saturating_sub(self.started).as_secs() as Seconds + self.ahead.load(Relaxed)
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
        entry.tells(wanted) || entry.is_hopeless(now) || !self.resolver.tells_name_servers()
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

    /// How old an entry is that may be given at once; `at_any_age`, for want of a better one too.
    #[inline]
    pub fn life(&self, entry: &Entry, wanted: NameServersWanted, now: Seconds, at_any_age: bool) -> Option<Life> {
        let life = if self.suffices(entry, wanted, now) { self.usable(entry, now) } else { None };
        life.or_else(|| if at_any_age { self.spare(entry, now) } else { None })
    }

    /// Looks for what is kept.
    pub fn look(&self, sought: Sought) -> Looked {
        let landings = self.landings();
        Looked { sought, entry: self.cache.find_by_key(&sought.key()), landings }
    }

    /// How many resolutions have ended. What ends while the cache is asked may be missed, and is looked for again.
    pub fn landings(&self) -> u64 {
        self.flights.landings()
    }

    /// What was kept, if it may be given at once; `at_any_age`, for want of a better one too.
    pub fn kept(self: &Arc<Self>, looked: &Looked, now: Seconds, at_any_age: bool) -> Option<Found> {
        let entry = looked.entry.as_ref()?;
        let life = self.life(entry, looked.sought.name_servers, now, at_any_age)?;
        if let Life::Fresh { age, life } = life {
            self.given(entry, age, life);
        }
        Some(Found::kept(entry, life))
    }

    /// Whether this is being resolved just now.
    pub fn is_in_flight(&self, sought: &Sought) -> bool {
        self.flights.has(sought, self.hash(sought))
    }

    fn hash(&self, sought: &Sought) -> u64 {
        self.cache.hash(&sought.key())
    }

    /// Finds an answer by `deadline`.
    pub async fn find(self: &Arc<Self>, mut looked: Looked, deadline: Instant) -> Found {
        let now = self.seconds();
        if let Some(found) = self.kept(&looked, now, false) {
            return found;
        }
        let flight = match self.join(&mut looked, now) {
            Joined::Kept(found) => return found,
            Joined::Flight(flight) => Some(flight),
            Joined::Full => None,
        };
        let spare = looked.entry.and_then(|entry| self.spare(&entry, now).map(|life| (entry, life)));
        let Some(Flight { begun, mut landed }) = flight else {
            return match spare {
                Some((entry, life)) => Found::kept(&entry, life),
                None => Found { resolution: Arc::new(too_many()), cache: CacheUse::Miss },
            };
        };
        let heard = self.resolver.heard();
        let (patience, is_brief) = match &spare {
            None => (deadline, false),
            Some((_, Life::Over { .. })) => (begun + STALE_AFTER, false),
            Some((entry, Life::Fresh { .. })) if self.is_in_vain(entry) => (Instant::now() + AT_HAND_WITHIN, true),
            Some((_, Life::Fresh { .. })) => (begun + NAME_SERVERS_WITHIN, false),
        };
        let patience = patience.min(deadline);
        let landed = tokio::time::timeout_at(patience.into(), landed.wait_for(Option::is_some)).await;
        let resolution = match landed {
            Ok(Ok(resolution)) => resolution.clone(),
            // It broke off.
            Ok(Err(_)) => Some(Arc::new(Resolution::failed(ExtendedError::new(0, "internal error")))),
            Err(_) => {
                if !is_brief {
                    self.silence.note(heard);
                }
                None
            }
        };
        match (resolution, spare) {
            (Some(resolution), None) => Found { resolution, cache: CacheUse::Miss },
            (Some(resolution), Some(_)) if !has_failed(&resolution) => Found { resolution, cache: CacheUse::Miss },
            (_, Some((entry, life))) => Found::kept(&entry, life),
            (None, None) => Found { resolution: Arc::new(no_answer(&looked.sought.name)), cache: CacheUse::Miss },
        }
    }

    /// Whether there is no use in waiting for the name servers behind a kept answer: that was in vain before, or was just
    /// now for another, and nobody has answered since. They are looked for all the same, behind the answer.
    fn is_in_vain(&self, entry: &Entry) -> bool {
        entry.has_failed() || self.silence.lasts(self.resolver.heard())
    }

    /// Whether it may be given now, if only for want of a better one.
    fn is_of_use(&self, entry: &Entry, now: Seconds) -> bool {
        matches!(entry.life(now), Life::Fresh { .. }) || self.stale(entry, now).is_some()
    }

    /// Hands over what is kept and of use to a later process, answer by answer.
    pub fn save<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let now = self.seconds();
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
        let now = self.seconds();
        let entry = Entry::load(saved, now, passed).filter(|entry| self.is_of_use(entry, now));
        entry.map(|entry| self.cache.restore(Arc::new(entry))).is_some()
    }

    /// Forgets what is kept of a name, and of all names below it; of all names, if it is the root with those below. What
    /// aliases lead to such a name goes too, for their answers hold what was kept of it.
    pub fn flush(&self, name: &Name, subtree: bool) -> u64 {
        // What the resolver keeps for itself would come back otherwise.
        self.resolver.forget();
        self.cache.flush(|entry| is_about(entry, name, subtree))
    }

    /// How many answers [`Self::flush`] would forget.
    pub fn kept_about(&self, name: &Name, subtree: bool) -> u64 {
        self.cache.entries().filter(|entry| is_about(entry, name, subtree)).count() as u64
    }

    /// The resolution that is in flight for what was looked for, or a new one.
    fn join(self: &Arc<Self>, looked: &mut Looked, now: Seconds) -> Joined {
        let hash = self.hash(&looked.sought);
        let mut looks = 0;
        loop {
            let flights = self.flights.hold();
            if let Some(flight) = flights.find(&looked.sought) {
                return Joined::Flight(flight.clone());
            }
            if looks == LOOKS_MAX || !flights.has_landed_since(looked.landings, hash) {
                // Nobody waits for it: clients that do go first.
                let holds = looked.entry.as_ref().is_some_and(|entry| {
                    matches!(self.spare(entry, now), Some(Life::Fresh { .. })) && self.is_in_vain(entry)
                });
                if holds && self.flying.available_permits() <= MISSES_MAX / 2 {
                    return Joined::Full;
                }
                let was_bogus = looked.entry.as_ref().is_some_and(|entry| has_been_bogus(entry, now));
                return self.take_off(flights, looked.sought, hash, was_bogus).map_or(Joined::Full, Joined::Flight);
            }
            // What has come since may be this. Nobody waits at the table until the cache has told; what lands meanwhile is
            // noticed by the next round.
            drop(flights);
            looks += 1;
            *looked = self.look(looked.sought);
            if let Some(found) = self.kept(looked, now, false) {
                return Joined::Kept(found);
            }
        }
    }

    /// Begins a resolution that there is none of yet; `None` if there are too many.
    fn take_off(self: &Arc<Self>, flights: Held<'_>, sought: Sought, hash: u64, afresh: bool) -> Option<Flight> {
        // Of its own: it may go on after all who wait for it were answered.
        let permit = self.flying.clone().try_acquire_owned().ok()?;
        let (sender, landed) = watch::channel(None);
        let flight = Flight { begun: Instant::now(), landed };
        flights.begin(sought, hash, flight.clone());
        let landing = Landing { finder: self.clone(), sought, generation: self.cache.generation() };
        let wanted = Wanted { validated: !sought.cd, name_servers: sought.name_servers, afresh };
        let resolving = self.resolver.resolve(sought.name, sought.rr_type, wanted);
        // A task of its own: a client that goes away, or is told that time is up, stops nothing that another may wait for.
        tokio::spawn(async move {
            let resolution = tokio::time::timeout(RESOLVE_WITHIN, resolving).await;
            drop(permit);
            let mut resolution = resolution.unwrap_or_else(|_| no_answer(&sought.name));
            cache::settle(&mut resolution, (landing.finder.now)());
            let resolution = Arc::new(resolution);
            landing.finder.keep(&sought, &resolution, landing.generation);
            drop(landing);
            sender.send_replace(Some(resolution));
        });
        Some(flight)
    }

    /// `generation`: the cache's as it was asked for.
    fn keep(&self, sought: &Sought, resolution: &Resolution, generation: u64) {
        if !self.resolver.answers_last() || generation != self.cache.generation() {
            return;
        }
        let now = self.seconds();
        let question = Question { name: sought.name, rr_type: sought.rr_type, class: Class::IN };
        let forms = (sought.dnssec_ok, sought.cd);
        let entry = Entry::new(&question, forms, sought.name_servers, resolution, now);
        if let Life::Fresh { age, life } = entry.life(now)
            && resolution.unheard
        {
            // Nor does anybody wait for them again meanwhile.
            entry.failed(now + RETRY_AFTER.min(life - age));
        }
        let before = self.cache.find_by_key(&sought.key()).filter(|before| !before.is_failure());
        let holds =
            |before: &Entry| matches!(before.life(now), Life::Fresh { .. }) && before.tells(sought.name_servers);
        match before {
            // It was asked for ahead of time. Until then it holds, also against an answer that breaks DNSSEC, which may
            // be somebody else's.
            Some(before) if entry.is_failure() && !has_failed(resolution) && holds(&before) => {}
            // Who wanted to know more than is kept, and failed, takes nothing from those who don't.
            Some(before) if has_failed(resolution) && self.spare(&before, now).is_some() => {
                before.failed(now + RETRY_AFTER);
            }
            _ if entry.lives() => self.cache.store_unless_flushed(Arc::new(entry), generation),
            // What holds for this moment alone supersedes what was kept, all the same.
            _ => self.cache.remove(&sought.key()),
        }
    }
}

/// What came of joining those who look for the same.
enum Joined {
    Flight(Flight),
    /// It has come meanwhile.
    Kept(Found),
    /// There are too many.
    Full,
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
        self.finder.flights.land(&self.sought, self.finder.hash(&self.sought));
    }
}

/// Whether a kept answer is about a name, or with `subtree` about any name at it or below.
fn is_about(entry: &Entry, name: &Name, subtree: bool) -> bool {
    entry.is_about(|kept| match subtree {
        false => kept == name,
        true => kept.is_at_or_below(name),
    })
}

/// Whether the answer before broke DNSSEC, and that has been told for as long as a failure is.
fn has_been_bogus(entry: &Entry, now: Seconds) -> bool {
    entry.is_failure() && entry.security() == Security::Bogus && matches!(entry.life(now), Life::Over { .. })
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

#[cfg(test)]
mod tests;
