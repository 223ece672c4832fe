//! One worker's own places for the answers that it gives most.
//!
//! Finding an answer among all takes a lock and four accesses to memory in a row, each of them beyond the processor's
//! caches; that is more than all else that is done for it. Here they are asked for ahead, by the batch, and no other
//! thread looks in. An answer here is one of the cache's own; what becomes of it there is noticed in time: its life ends
//! here as there, a flush empties this too, and now and then it is looked for there, so that it stays.

use super::{Cache, Entry, Key};
use crate::prefetch::prefetch;
use std::sync::Arc;

/// Pairs of places, if the cache is large enough; each pair takes a line of the processor's cache.
const PAIRS_MAX: u64 = 8192;
const PAIRS_MIN: u64 = 16;
/// The part of the cache's memory that all workers' fronts are reckoned with, one in so many: what stands here may have
/// been pushed out there.
pub(super) const SHARE: u64 = 8;
/// Octets that a usual answer takes.
const USUAL_BYTES: u64 = 512;
/// Larger answers are left to the cache.
const ENTRY_BYTES_MAX: usize = 1024;
/// An answer given here is looked for in the cache one time in so many.
const CACHE_TOLD_EVERY: u32 = 16;
/// Lines of the processor's cache asked for of an answer; most have no more.
const LINES: usize = 4;
const LINE_BYTES: usize = 64;

/// The places.
pub struct Front {
    pairs: Vec<Pair>,
    /// The last that was too large for a place.
    large: Option<Arc<Entry>>,
    /// Of the cache when this was filled last.
    generation: u64,
    size: u64,
    /// Of so many.
    fronts: usize,
}

/// Two answers that may stand in the same place; the one given last comes first, and the other goes first.
#[derive(Clone, Default)]
#[repr(align(64))]
struct Pair([Place; 2]);

#[derive(Clone, Default)]
struct Place {
    hash: u64,
    entry: Option<Arc<Entry>>,
    given: u32,
}

/// How many pairs one of so many fronts has: a power of two.
fn pairs(cache: &Cache, fronts: usize) -> usize {
    let pairs = cache.size() / SHARE / fronts.max(1) as u64 / (2 * USUAL_BYTES);
    1 << pairs.clamp(PAIRS_MIN, PAIRS_MAX).ilog2()
}

impl Front {
    /// One of so many.
    pub(super) fn new(cache: &Cache, fronts: usize) -> Self {
        let pairs = vec![Pair::default(); pairs(cache, fronts)];
        Self { pairs, large: None, generation: cache.generation(), size: cache.size(), fronts }
    }

    /// Begins to look answers up, by `Cache::hash` of their keys: the first of three steps, each for all before the next.
    pub fn begin(&mut self, cache: &Cache) {
        let (generation, size) = (cache.generation(), cache.size());
        if (generation, size) == (self.generation, self.size) {
            return;
        }
        (self.generation, self.size) = (generation, size);
        match pairs(cache, self.fronts) {
            pairs if pairs == self.pairs.len() => self.pairs.fill(Pair::default()),
            pairs => self.pairs = vec![Pair::default(); pairs],
        }
    }

    #[inline]
    pub fn foresee_place(&self, hash: u64) {
        prefetch(&self.pairs[self.pair_of(hash)]);
    }

    #[inline]
    pub fn foresee_entry(&self, hash: u64) {
        if let Some(entry) = self.at(hash) {
            prefetch(&**entry);
            entry.foresee_end();
        }
    }

    #[inline]
    pub fn foresee_octets(&self, hash: u64) {
        if let Some(entry) = self.at(hash) {
            entry.octets().iter().step_by(LINE_BYTES).take(LINES).for_each(prefetch);
        }
    }

    /// The entry for a question: from here if it `will_do`, else from the cache, whatever it is, of which it is kept here
    /// then.
    #[inline]
    pub fn find(
        &mut self,
        cache: &Cache,
        hash: u64,
        key: &Key<'_>,
        will_do: impl Fn(&Entry) -> bool,
    ) -> Option<&Arc<Entry>> {
        let at = self.pair_of(hash);
        let pair = &mut self.pairs[at].0;
        if pair[0].hash != hash {
            pair.swap(0, 1);
        }
        let place = &mut pair[0];
        let is_it = |entry: &Arc<Entry>| will_do(entry) && entry.is_for(key);
        if place.hash == hash && place.entry.as_ref().is_some_and(is_it) {
            place.given = place.given.wrapping_add(1);
            if place.given.is_multiple_of(CACHE_TOLD_EVERY)
                && let Some(entry) = &place.entry
            {
                cache.remind(hash, entry, self.generation);
            }
        } else {
            let entry = cache.find(hash, key)?;
            if entry.bytes() > ENTRY_BYTES_MAX {
                self.large = Some(entry);
                return self.large.as_ref();
            }
            *place = Place { hash, given: 0, entry: Some(entry) };
        }
        place.entry.as_ref()
    }

    fn at(&self, hash: u64) -> Option<&Arc<Entry>> {
        let place = self.pairs[self.pair_of(hash)].0.iter().find(|place| place.hash == hash)?;
        place.entry.as_ref()
    }

    #[inline]
    fn pair_of(&self, hash: u64) -> usize {
        hash as usize & (self.pairs.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_has_as_many_places_as_the_size_gives() {
        let cache = Cache::new(64 << 20, 7);
        let mut front = cache.front(1);
        assert_eq!(front.pairs.len() as u64, PAIRS_MAX);
        for (size, expected) in [(1 << 20, 128), (4 << 20, 512), (64 << 20, PAIRS_MAX)] {
            cache.resize(size);
            front.begin(&cache);
            assert_eq!(front.pairs.len() as u64, expected);
        }
    }
}
