//! The counters as numbers for people: sums over all threads, and how long answers took.

use super::{
    Telemetry,
    counters::{CACHE_STATES, LATENCY_BOUNDS_MICROS, ListKey},
};
use crate::{
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::Fate,
};

/// Counts since the start.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sums {
    /// Queries by what became of them, in the order of [`Fate::ALL`].
    pub fates: [u64; Fate::ALL.len()],
    /// How long answers took, in the order of [`CacheUse::ALL`], and last where no answer was looked for.
    pub latency: [Latency; CACHE_STATES],
}

/// Answers by how long they took, as far as the histogram's bounds tell.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Latency([u64; LATENCY_BOUNDS_MICROS.len() + 1]);

impl Latency {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The least bound, in microseconds, that this share of all kept. `None`: there are none, or it is beyond the last.
    pub fn within(&self, share: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut counted = 0;
        let bucket = self.0.iter().position(|&count| {
            counted += count;
            counted > 0 && counted >= wanted
        })?;
        LATENCY_BOUNDS_MICROS.get(bucket).copied()
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own += other);
        self
    }
}

impl Telemetry {
    /// Sums up what a page shows.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums { fates: self.fates(), ..Sums::default() };
        for (state, latency) in sums.latency.iter_mut().enumerate() {
            for (bucket, count) in latency.0.iter_mut().enumerate() {
                *count = self.counters.sum(|own| &own.latency[state][bucket]);
            }
        }
        sums
    }

    /// Queries by what became of them, in the order of [`Fate::ALL`].
    pub fn fates(&self) -> [u64; Fate::ALL.len()] {
        Fate::ALL.map(|fate| self.counters.sum(|own| &own.fates[fate as usize]))
    }

    /// Every list that had rules since the start, with its matches in the order of [`Outcome::ALL`].
    pub fn hits_by_list(&self) -> Vec<(ListKey, [u64; Outcome::ALL.len()])> {
        let mut all = Vec::new();
        self.hits.for_each(|key, hits| {
            let of = |outcome| Trigger::ALL.into_iter().map(|trigger| hits.of(outcome, trigger)).sum();
            all.push((key.clone(), Outcome::ALL.map(of)));
        });
        all
    }
}

impl Sums {
    /// Of answers that the cache had this to say to.
    pub fn of_cache(&self, cache: CacheUse) -> Latency {
        self.latency[cache as usize]
    }

    /// Of answers that were not looked for: blocked, refused, the owner's own.
    pub fn of_none(&self) -> Latency {
        self.latency[CACHE_STATES - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_keeps_the_bound_that_it_says() {
        let mut latency = Latency::default();
        assert_eq!((latency.count(), latency.within(0.5)), (0, None));
        latency.0[0] = 5;
        latency.0[3] = 4;
        latency.0[LATENCY_BOUNDS_MICROS.len()] = 1;
        assert_eq!(latency.count(), 10);
        assert_eq!((latency.within(0.0), latency.within(0.5), latency.within(0.51)), (Some(50), Some(50), Some(500)));
        assert_eq!((latency.within(0.9), latency.within(0.95)), (Some(500), None), "beyond every bound");
        assert_eq!(latency.and(latency).count(), 20);
    }
}
