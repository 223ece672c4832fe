//! The numbers themselves: relaxed atomics, so that counting costs a few nanoseconds and waits for nobody.

use crate::{
    dns::{Rcode, Transport},
    policy::{Outcome, Policy, Trigger},
    query::CacheUse,
    query_log::Fate,
    resolve::Security,
};
use arc_swap::{ArcSwap, Guard};
use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper bounds of the latency histogram's buckets, in microseconds: from an answer made in place to the deadline.
pub const LATENCY_BOUNDS_MICROS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    4_000_000,
];
/// Response codes counted by name; what is beyond them is counted together.
pub const RCODES: usize = 17;
/// Extended DNS Error codes counted by number: those registered; what is beyond them is counted together, as the last.
pub const EDES: usize = 32;
/// What the cache may have had to say, and last: nothing, since no answer was looked for.
pub const CACHE_STATES: usize = CacheUse::ALL.len() + 1;
const TRANSPORTS: usize = Transport::ALL.len();

/// How a reload ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// Everything that changed is in force.
    Clean,
    /// In force, with at least one list held at its last good state.
    Held,
}

impl Reload {
    pub const ALL: [Self; 2] = [Self::Clean, Self::Held];

    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Held => "held",
        }
    }
}

/// Why a PROXY header, or a query without one, isn't heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderRefused {
    /// Who speaks for others didn't say for whom.
    Missing,
    Malformed,
    /// Who sent it doesn't speak for others.
    Stranger,
}

impl HeaderRefused {
    pub const ALL: [Self; 3] = [Self::Missing, Self::Malformed, Self::Stranger];

    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Stranger => "stranger",
        }
    }
}

/// Counts of queries and of what happened around them.
#[derive(Default)]
pub struct Counters {
    pub queries: [[AtomicU64; RCODES]; TRANSPORTS],
    pub silent: [AtomicU64; TRANSPORTS],
    pub unsent: AtomicU64,
    /// Queries whose handling broke off.
    pub faults: AtomicU64,
    pub connections_refused: AtomicU64,
    pub headers_refused: [AtomicU64; HeaderRefused::ALL.len()],
    pub owner_passed: AtomicU64,
    /// Queries by what became of them, each counted once.
    pub fates: [AtomicU64; Fate::ALL.len()],
    /// Queries that a program left without an answer.
    pub dropped: AtomicU64,
    pub bypass: AtomicU64,
    /// Answers looked for, by what the cache had to say and by what DNSSEC says of them: both are known together.
    pub answers: [[AtomicU64; Security::ALL.len()]; CacheUse::ALL.len()],
    pub extended_errors: [AtomicU64; EDES],
    pub reloads: [AtomicU64; Reload::ALL.len()],
    /// The last is for what took longer than every bound.
    pub latency: [[AtomicU64; LATENCY_BOUNDS_MICROS.len() + 1]; CACHE_STATES],
    pub latency_sum_micros: [AtomicU64; CACHE_STATES],
}

/// Counters by thread: two threads that count in one place wait for each other.
pub struct Shards<T>(Box<[Shard<T>]>);

/// One thread's, on lines of the cache that no other thread writes to.
#[derive(Default)]
#[repr(align(128))]
struct Shard<T>(T);

/// The first threads have a shard each.
const ALONE: usize = 24;
/// All others share these.
const SHARED: usize = 8;
const SHARDS: usize = ALONE + SHARED;

thread_local! {
    static SHARD: usize = match NEXT_SHARD.fetch_add(1, Relaxed) as usize {
        first if first < ALONE => first,
        other => ALONE + other % SHARED,
    };
}
static NEXT_SHARD: AtomicU64 = AtomicU64::new(0);

/// The counters of the thread that asked for them.
pub struct Own<'s, T> {
    counters: &'s T,
    is_alone: bool,
    /// It stays with its thread.
    _here: PhantomData<*const ()>,
}

impl<T> Own<'_, T> {
    /// Adds one.
    #[inline]
    pub fn add(&self, of: impl FnOnce(&T) -> &AtomicU64) {
        self.add_many(of, 1);
    }

    #[inline]
    pub fn add_many(&self, of: impl FnOnce(&T) -> &AtomicU64, count: u64) {
        let counter = of(self.counters);
        if self.is_alone {
            // Where no other thread writes, nothing is lost between the two, and no line of the cache need be locked.
            counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
        } else {
            counter.fetch_add(count, Relaxed);
        }
    }
}

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl<T> Shards<T> {
    /// Those of this thread.
    #[inline]
    pub fn own(&self) -> Own<'_, T> {
        let shard = SHARD.with(|shard| *shard);
        Own { counters: &self.0[shard].0, is_alone: shard < ALONE, _here: PhantomData }
    }

    /// The sum of one of them over all threads.
    pub fn sum(&self, of: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().map(|shard| of(&shard.0).load(Relaxed)).sum()
    }
}

impl Own<'_, Counters> {
    /// Counts an answer.
    pub fn answered(&self, transport: Transport, rcode: Rcode, cache: Option<CacheUse>, latency: Duration) {
        self.add(|own| &own.queries[transport as usize][usize::from(rcode.0).min(RCODES - 1)]);
        let cache = cache.map_or(CACHE_STATES - 1, |cache| cache as usize);
        let micros = latency.as_secs() * 1_000_000 + u64::from(latency.subsec_micros());
        let bucket = LATENCY_BOUNDS_MICROS.partition_point(|&bound| bound < micros);
        self.add(|own| &own.latency[cache][bucket]);
        self.add_many(|own| &own.latency_sum_micros[cache], micros);
    }
}

/// Clients whose ways round this resolver are counted one by one; what is beyond them is in the total alone.
const BYPASS_CLIENTS_MAX: usize = 10_000;

/// Questions of clients that look for a way round this resolver, by client. They are rare, so a lock does.
#[derive(Default)]
pub struct BypassCounts(Mutex<HashMap<IpAddr, u64>>);

impl BypassCounts {
    pub fn add(&self, client: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let is_full = counts.len() >= BYPASS_CLIENTS_MAX;
        match counts.get_mut(&client) {
            Some(count) => *count += 1,
            None if is_full => {}
            None => drop(counts.insert(client, 1)),
        }
    }

    /// All clients as they may be told, most first. Those that are told alike are one.
    pub fn list(&self, tell: impl Fn(IpAddr) -> String) -> Vec<(String, u64)> {
        // Who answers waits for this lock, so what takes long is done without it.
        let counts = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let mut told: HashMap<String, u64> = HashMap::new();
        counts.into_iter().for_each(|(client, count)| *told.entry(tell(client)).or_default() += count);
        let mut all: Vec<(String, u64)> = told.into_iter().collect();
        all.sort_by(|(one, more), (other, less)| less.cmp(more).then_with(|| one.cmp(other)));
        all
    }
}

/// What a list is known by in metrics: program, service, list.
pub type ListKey = (String, String, String);

/// Matches of one list, by outcome and trigger.
#[derive(Default)]
pub struct ListHits(Shards<[[AtomicU64; Trigger::ALL.len()]; Outcome::ALL.len()]>);

impl ListHits {
    pub fn of(&self, outcome: Outcome, trigger: Trigger) -> u64 {
        self.0.sum(|own| &own[outcome as usize][trigger as usize])
    }
}

/// Matches by list. Counts of a list go on over reloads; those of a list that is gone stay.
pub struct Hits(ArcSwap<HitTable>);

/// The hits of all lists, and those of one policy by its own indexes.
#[derive(Default)]
pub struct HitTable {
    epoch: u64,
    by_index: Vec<Arc<ListHits>>,
    by_key: BTreeMap<ListKey, Arc<ListHits>>,
}

impl HitTable {
    /// Counts a match of a list of `policy`.
    pub fn count(&self, policy: &Policy, list: usize, outcome: Outcome, trigger: Trigger) {
        let hits = if self.epoch == policy.epoch() {
            self.by_index.get(list)
        } else {
            // A query that began under the policy before.
            self.by_key.get(&key(policy, list))
        };
        if let Some(hits) = hits {
            hits.0.own().add(|own| &own[outcome as usize][trigger as usize]);
        }
    }
}

impl Default for Hits {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(HitTable::default()))
    }
}

impl Hits {
    /// Makes a table for a policy that is about to be in force.
    pub fn follow(&self, policy: &Policy) {
        let mut by_key = self.0.load().by_key.clone();
        let by_index = (0..policy.lists().len()).map(|list| by_key.entry(key(policy, list)).or_default().clone());
        let by_index = by_index.collect();
        self.0.store(Arc::new(HitTable { epoch: policy.epoch(), by_index, by_key }));
    }

    /// What hits are counted in now.
    pub fn table(&self) -> Guard<Arc<HitTable>> {
        self.0.load()
    }

    /// Calls `each` for every list.
    pub fn for_each(&self, mut each: impl FnMut(&ListKey, &ListHits)) {
        self.0.load().by_key.iter().for_each(|(key, hits)| each(key, hits));
    }
}

fn key(policy: &Policy, list: usize) -> ListKey {
    let list = &policy.lists()[list];
    let program = list.program().map(|program| policy.programs()[program].name.clone());
    (program.unwrap_or_default(), list.service.clone(), list.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_are_told_alike_are_one() {
        let counts = BypassCounts::default();
        for (client, times) in [("192.0.2.1", 1), ("192.0.2.2", 2), ("198.51.100.1", 2)] {
            (0..times).for_each(|_| counts.add(client.parse().unwrap()));
        }
        let told = |tell: fn(IpAddr) -> String| {
            let all = counts.list(tell).into_iter().map(|(client, count)| format!("{client} {count}"));
            all.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(|client| client.to_string()), "192.0.2.2 2, 198.51.100.1 2, 192.0.2.1 1");
        assert_eq!(told(|client| client.to_string()[..6].to_owned()), "192.0. 3, 198.51 2");
        assert_eq!(told(|_| String::new()), " 5");
    }

    #[test]
    fn no_count_is_lost_however_many_threads_count() {
        const ROUNDS: u64 = 20_000;
        let counts: Shards<AtomicU64> = Shards::default();
        let threads = 2 * SHARDS as u64;
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..ROUNDS).for_each(|_| counts.own().add(|own| own)));
            }
        });
        assert_eq!(counts.sum(|own| own), threads * ROUNDS);
    }
}
