//! When a list is downloaded next. Time is an argument, chance a seed.

use foldhash::fast::FixedState;
use std::{hash::BuildHasher, time::Duration};

/// After the first failure a download is tried again so soon, then after twice the time, and so on.
const RETRY_FIRST: Duration = Duration::from_secs(60);

/// When a list is downloaded next, by how long the machine has been running, sleep included: a list is a day old after a
/// day, also on a machine that sleeps at night.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: Duration,
    refresh: Duration,
    failures: u32,
    /// Downloads so far, so that each has a chance of its own.
    rounds: u64,
    seed: u64,
}

impl Schedule {
    /// A list that was checked `age` ago, or never. Lists of one seed and different urls are downloaded apart.
    pub fn new(age: Option<Duration>, refresh: Duration, now: Duration, (seed, url): (u64, &str)) -> Self {
        let seed = FixedState::with_seed(seed).hash_one(url);
        let mut schedule = Self { due: now, refresh, failures: 0, rounds: 0, seed };
        if let Some(age) = age {
            schedule.due = now + schedule.about(refresh).saturating_sub(age);
        }
        schedule
    }

    /// Goes by another time between downloads; what is due sooner already stays so.
    pub fn refresh_every(&mut self, refresh: Duration, now: Duration) {
        if refresh != self.refresh {
            self.refresh = refresh;
            self.due = self.due.min(now + self.about(refresh));
        }
    }

    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }

    pub fn succeeded(&mut self, now: Duration) {
        self.failures = 0;
        self.due = now + self.about(self.refresh);
    }

    pub fn failed(&mut self, now: Duration) {
        let doubled = RETRY_FIRST.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        self.due = now + self.about(doubled.min(self.refresh));
    }

    /// The time, give or take ten percent: many servers that started together shall not come together.
    fn about(&mut self, time: Duration) -> Duration {
        self.rounds += 1;
        let chance = FixedState::with_seed(self.seed).hash_one(self.rounds) as f64 / u64::MAX as f64;
        time.mul_f64(0.9 + 0.2 * chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Asserts that the schedule is due about `expected` after `now`.
    fn due_about(schedule: &Schedule, now: Duration, expected: Duration) {
        let (early, late) = (now + expected.mul_f64(0.89), now + expected.mul_f64(1.11));
        assert!(!schedule.is_due(early) && schedule.is_due(late), "{schedule:?}: not about {expected:?}");
    }

    #[test]
    fn what_is_not_there_is_downloaded_at_once_and_a_copy_when_it_is_old() {
        let now = 77 * HOUR;
        let schedule = |age| Schedule::new(age, 24 * HOUR, now, (1, "https://a.example/"));
        assert!(schedule(None).is_due(now));
        assert!(schedule(Some(27 * HOUR)).is_due(now));
        due_about(&schedule(Some(Duration::ZERO)), now, 24 * HOUR);
        assert!(!schedule(Some(12 * HOUR)).is_due(now + 9 * HOUR));
        assert!(schedule(Some(12 * HOUR)).is_due(now + 15 * HOUR));
    }

    #[test]
    fn failures_are_retried_ever_later_but_not_later_than_the_rest() {
        let now = 77 * HOUR;
        let mut schedule = Schedule::new(None, HOUR, now, (1, "https://a.example/"));
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            schedule.failed(now);
            due_about(&schedule, now, Duration::from_secs(minutes * 60));
        }
        (0..100).for_each(|_| schedule.failed(now));
        due_about(&schedule, now, HOUR);
        schedule.succeeded(now);
        due_about(&schedule, now, HOUR);
        schedule.failed(now);
        due_about(&schedule, now, Duration::from_secs(60));
    }

    #[test]
    fn servers_and_lists_come_at_times_of_their_own() {
        let now = 77 * HOUR;
        let due = |seed, url| Schedule::new(Some(Duration::ZERO), HOUR, now, (seed, url)).due;
        assert_eq!(due(1, "a"), due(1, "a"));
        assert_ne!(due(1, "a"), due(2, "a"));
        assert_ne!(due(1, "a"), due(1, "b"));
    }
}
