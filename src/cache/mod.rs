//! Answers kept in wire form, to be given again: facts of DNS, never verdicts. Knows no policy and no clock; who asks says
//! what time it is.
//!
//! Bounded by octets. What is asked again stays, and a flood of names that are asked once passes through without
//! pushing it out (the order is quick_cache's, a Clock-PRO of hot, cold and remembered places). An entry whose time is over
//! stays until it is pushed out, for when nobody can be reached (RFC 8767).

mod entry;
mod front;

pub use entry::{Entry, Key, Life, settle};
pub use front::Front;

use foldhash::fast::FixedState;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync};
use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// Octets that a usual entry takes: how many places are made ready.
const USUAL_ENTRY_BYTES: u64 = 512;
/// Octets that an entry takes beside its own: its place in the order, its place in the table of hashes, half a place for
/// a name that was pushed out and is remembered, and what the allocator adds. Measured; `stays_within_its_size` checks it.
const PLACE_BYTES: u64 = 120;
/// One octet in so many is added for what lies between entries: they are allocated among what resolution needs for moments,
/// and the places of those stay open. Measured: after minutes of misses, resident memory had grown by 0.95 to 1.4 octets, by
/// the run, for each octet counted without this.
const SCATTERED_SHARE: u64 = 8;
/// Parts, each with a lock of its own, held for some tens of nanoseconds.
const SHARDS: usize = 32;
/// Octets by which the ceiling is lowered at a time: some sixty answers of each part, so that no part is locked for long.
const LOWERED_BYTES: u64 = 1 << 20;

/// Seconds by whatever clock the owner of the cache goes by; it never goes back.
pub type Seconds = u32;

/// Kept answers.
pub struct Cache {
    entries: sync::Cache<u64, Arc<Entry>, Bytes>,
    hasher: FixedState,
    /// Octets at most.
    size: AtomicU64,
    counts: Counts,
    /// Grows with each flush.
    generation: AtomicU64,
}

/// What happened to questions that were looked up here.
#[derive(Default)]
struct Counts {
    stored: AtomicU64,
    flushed: AtomicU64,
}

/// What there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub entries: usize,
    /// As far as they are counted; `size` is the ceiling.
    pub bytes: u64,
    pub size: u64,
    /// Since the start.
    pub stored: u64,
    pub flushed: u64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Arc<Entry>> for Bytes {
    fn weight(&self, _: &u64, entry: &Arc<Entry>) -> u64 {
        let own = entry.bytes() as u64 + PLACE_BYTES;
        own + own / SCATTERED_SHARE
    }
}

/// What is left of the cache's octets for itself.
fn own_share(size: u64) -> u64 {
    size - size / front::SHARE
}

impl Cache {
    /// A cache of at most `size` octets, fronts included; `seed` keys its hashes.
    pub fn new(size: u64, seed: u64) -> Self {
        let own_size = own_share(size);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity((own_size / USUAL_ENTRY_BYTES).max(64) as usize)
            .weight_capacity(own_size)
            .build()
            .expect("all that an option needs is given");
        let entries =
            sync::Cache::with_options(options, Bytes, DefaultHashBuilder::default(), sync::DefaultLifecycle::default());
        Self {
            entries,
            hasher: FixedState::with_seed(seed),
            size: AtomicU64::new(size),
            counts: Counts::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// Keeps at most `size` octets from now on, fronts included; what has no room any more goes, the least wanted first.
    pub fn resize(&self, size: u64) {
        let before = self.size.swap(size, Relaxed);
        if before == size {
            return;
        }
        let (mut now, goal) = (own_share(before), own_share(size));
        loop {
            now = now.saturating_sub(LOWERED_BYTES).max(goal);
            self.entries.set_capacity(now);
            if now == goal {
                break;
            }
        }
    }

    /// Octets at most, fronts included.
    fn size(&self) -> u64 {
        self.size.load(Relaxed)
    }

    /// Places of one worker's own in front of this, of which there are so many in all.
    pub fn front(&self, fronts: usize) -> Front {
        Front::new(self, fronts)
    }

    /// What an answer is found by.
    #[inline]
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.name);
        let forms = u32::from(key.dnssec_ok) << 17 | u32::from(key.cd) << 16;
        hasher.write_u32(u32::from(key.rr_type.0) | forms);
        hasher.finish()
    }

    /// The entry for a question by its hash, however old.
    #[inline]
    pub fn find(&self, hash: u64, key: &Key<'_>) -> Option<Arc<Entry>> {
        // Two questions may have one hash: then only one is kept at a time, and the other isn't it.
        let own = self.entries.get(&hash).filter(|entry| entry.is_for(key));
        own.or_else(|| self.entries.get(&self.hash(&key.of_all_types())).filter(|entry| entry.is_for(key)))
    }

    /// The entry for a question, however old.
    pub fn find_by_key(&self, key: &Key<'_>) -> Option<Arc<Entry>> {
        self.find(self.hash(key), key)
    }

    /// Keeps an entry in place of what was there for its question.
    pub fn store(&self, entry: Arc<Entry>) {
        self.store_unless_flushed(entry, self.generation());
    }

    /// The same, unless there was a flush since this `generation`, in which it was asked for: it may be what the flush was
    /// meant for.
    pub fn store_unless_flushed(&self, entry: Arc<Entry>, generation: u64) {
        if self.generation() != generation {
            return;
        }
        self.counts.stored.fetch_add(1, Relaxed);
        // It stands for what was kept, and that isn't always in the same place.
        if entry.denies_name() {
            let of_type = Key { rr_type: entry.rr_type(), ..entry.key() };
            self.entries.remove_if(&self.hash(&of_type), |kept| kept.key() == of_type);
        } else if !entry.is_failure() {
            self.remove_denial(&entry.key());
        }
        let hash = self.hash(&entry.key());
        self.entries.insert(hash, entry.clone());
        self.unless_flushed(hash, &entry, generation);
    }

    /// Forgets that a name doesn't exist, for now it does.
    fn remove_denial(&self, key: &Key<'_>) {
        self.entries.remove_if(&self.hash(&key.of_all_types()), |entry| entry.is_for(key));
    }

    /// Keeps an entry from an earlier process, unless there is one for its question by now.
    pub fn restore(&self, entry: Arc<Entry>) {
        let hash = self.hash(&entry.key());
        if self.entries.get(&hash).is_none() {
            self.entries.insert(hash, entry);
        }
    }

    /// Forgets the entry for a question.
    pub fn remove(&self, key: &Key<'_>) {
        self.remove_denial(key);
        self.entries.remove_if(&self.hash(key), |entry| entry.is_for(key));
    }

    /// Hears that an entry was given in front of the cache, which was filled since so many flushes: it is kept yet, or again.
    fn remind(&self, hash: u64, entry: &Arc<Entry>, generation: u64) {
        let hash = if entry.denies_name() { self.hash(&entry.key()) } else { hash };
        if self.generation() == generation && self.entries.get(&hash).is_none() {
            self.entries.insert(hash, entry.clone());
            self.unless_flushed(hash, entry, generation);
        }
    }

    /// Takes an entry back that a flush may have missed, as it came between.
    fn unless_flushed(&self, hash: u64, entry: &Arc<Entry>, generation: u64) {
        if self.generation() != generation {
            self.entries.remove_if(&hash, |kept| Arc::ptr_eq(kept, entry));
        }
    }

    /// Changes with each flush.
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Forgets the entries that `is_gone` says; returns their number.
    pub fn flush(&self, is_gone: impl Fn(&Entry) -> bool) -> u64 {
        let gone = AtomicU64::new(0);
        // Before and after: what stands in front must not come back meanwhile.
        self.generation.fetch_add(1, Release);
        self.entries.retain(|_, entry| {
            let is_gone = is_gone(entry);
            gone.fetch_add(u64::from(is_gone), Relaxed);
            !is_gone
        });
        let gone = gone.into_inner();
        self.generation.fetch_add(1, Release);
        self.counts.flushed.fetch_add(gone, Relaxed);
        gone
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = Arc<Entry>> + '_ {
        self.entries.iter().map(|(_, entry)| entry)
    }

    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.entries.len(),
            bytes: self.entries.weight(),
            size: self.size(),
            stored: self.counts.stored.load(Relaxed),
            flushed: self.counts.flushed.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::{Class, ExtendedError, Question, RrType},
        resolve::{NameServersWanted, Resolution},
    };
    use std::{hint::spin_loop, sync::atomic::AtomicUsize};

    /// Whatever moment a flush falls into, what was asked for before it is gone after it.
    #[test]
    fn what_a_flush_meets_stays_gone() {
        const ROUNDS: usize = 50_000;
        let cache = Cache::new(1 << 20, 7);
        let resolution = Resolution::failed(ExtendedError::new(0, "kept"));
        // In all parts of the cache.
        let entries: Vec<_> = (0..256)
            .map(|number| {
                let name = format!("www{number}.example").parse().unwrap();
                let question = Question { name, rr_type: RrType::A, class: Class::IN };
                Arc::new(Entry::new(&question, (false, false), NameServersWanted::No, &resolution, 0))
            })
            .collect();
        let (begun, flushed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let wait_for = |counter: &AtomicUsize, round| {
            for turn in 0_u32.. {
                match counter.load(Acquire) >= round {
                    true => break,
                    // Somebody else may need the processor.
                    false if turn % 4096 == 4095 => std::thread::yield_now(),
                    false => spin_loop(),
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait_for(&begun, round);
                    cache.flush(|_| true);
                    flushed.store(round, Release);
                }
            });
            let came_back = (1..=ROUNDS).filter(|&round| {
                let entry = &entries[round % entries.len()];
                let hash = cache.hash(&entry.key());
                let asked_in = cache.generation();
                begun.store(round, Release);
                // So that they meet at another point each time.
                (0..round % 97).for_each(|_| spin_loop());
                match round % 2 {
                    0 => cache.store_unless_flushed(entry.clone(), asked_in),
                    _ => cache.remind(hash, entry, asked_in),
                }
                wait_for(&flushed, round);
                cache.find_by_key(&entry.key()).is_some()
            });
            assert_eq!(came_back.count(), 0);
        });
    }
}
