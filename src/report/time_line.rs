//! What happened when, by the minute, and put together in as many steps as a plot can show.

use super::{form, words::Moment};
use crate::query_log::Fate;
use foldhash::{HashMap, HashMapExt as _};

const MINUTE: i64 = 60_000_000;
/// Minutes kept at most: more than a year of them.
const MINUTES_MAX: usize = 600_000;
/// Steps over which alike queries, of which only the first and last time are known, are spread.
const SPREAD_STEPS_MAX: i64 = 60;
/// Steps of a plot at most: more than that are thinner than a line.
pub(super) const BUCKETS_MAX: i64 = 200;
/// How long a step may be, in minutes: a minute, 5, 15, an hour, 6, a day, a week.
const WIDTHS: [i64; 7] = [1, 5, 15, 60, 360, 1440, 10_080];

/// In the order of [`Fate::ALL`].
type Fates = [u64; Fate::ALL.len()];

/// Queries by minute and fate.
#[derive(Default)]
pub(super) struct Minutes {
    counts: HashMap<i64, Fates>,
    /// Queries in minutes that could no longer be kept.
    pub(super) beyond: u64,
}

impl Minutes {
    pub(super) fn new() -> Self {
        Self { counts: HashMap::new(), beyond: 0 }
    }

    /// Notes queries between two times. Of those in several minutes one is at the first and one at the last; the others
    /// are thought to lie evenly between.
    pub(super) fn add(&mut self, first: i64, last: i64, fate: Fate, count: u64) {
        let (start, end) = (first.div_euclid(MINUTE), last.max(first).div_euclid(MINUTE));
        let steps = (end - start).saturating_add(1).min(SPREAD_STEPS_MAX).min(i64::try_from(count).unwrap_or(i64::MAX));
        for step in 0..steps {
            let minute = if steps == 1 { start } else { spread(start, end, step, steps - 1) };
            let until =
                |step: i64| (u128::from(count) * step.unsigned_abs() as u128 / steps.unsigned_abs() as u128) as u64;
            self.put(minute, fate, until(step + 1) - until(step));
        }
    }

    fn put(&mut self, minute: i64, fate: Fate, count: u64) {
        if self.counts.len() >= MINUTES_MAX && !self.counts.contains_key(&minute) {
            self.beyond += count;
            return;
        }
        self.counts.entry(minute).or_default()[fate as usize] += count;
    }

    /// All of it in equal steps from one time to another. What lies outside counts at the ends.
    pub(super) fn buckets(&self, from: i64, to: i64) -> form::TimeLine {
        let (from, to) = (from.div_euclid(MINUTE), to.saturating_sub(1).max(from).div_euclid(MINUTE));
        let width = width(from, to);
        let (start, end) = (from.div_euclid(width), to.div_euclid(width));
        let mut sums = vec![Fates::default(); (end - start + 1) as usize];
        for (minute, counts) in &self.counts {
            let at = (minute.div_euclid(width).clamp(start, end) - start) as usize;
            sums[at].iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let bucket = |(step, [blocked, would_block, excepted, passed, refused]): (i64, Fates)| form::Bucket {
            start: Moment(step.saturating_mul(width).saturating_mul(MINUTE)),
            blocked,
            would_block,
            excepted,
            passed,
            refused,
        };
        form::TimeLine { bucket_seconds: width.unsigned_abs() * 60, buckets: (start..).zip(sums).map(bucket).collect() }
    }
}

/// The place of a step between two ends.
fn spread(start: i64, end: i64, step: i64, steps: i64) -> i64 {
    start + (i128::from(end - start) * i128::from(step) / i128::from(steps)) as i64
}

/// The shortest width, in minutes, of which few enough lie between two minutes.
fn width(from: i64, to: i64) -> i64 {
    let steps = |width: i64| to.div_euclid(width) - from.div_euclid(width) + 1;
    let weeks = std::iter::successors(WIDTHS.last().copied(), |width| width.checked_mul(2));
    WIDTHS.into_iter().chain(weeks).find(|width| steps(*width) <= BUCKETS_MAX).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * MINUTE;

    #[test]
    fn the_step_fits_the_span() {
        for (span, seconds) in [
            (HOUR, 60),
            (3 * HOUR, 60),
            (12 * HOUR, 300),
            (24 * HOUR, 900),
            (7 * 24 * HOUR, 3600),
            (30 * 24 * HOUR, 21_600),
            (90 * 24 * HOUR, 86_400),
            (365 * 24 * HOUR, 604_800),
            (10 * 365 * 24 * HOUR, 2 * 604_800 * 2),
            (0, 60),
        ] {
            let line = Minutes::new().buckets(0, span);
            assert_eq!(line.bucket_seconds, seconds, "{span}");
            assert!(line.buckets.len() as i64 <= BUCKETS_MAX);
        }
        assert!(Minutes::new().buckets(i64::MIN, i64::MAX).buckets.len() as i64 <= BUCKETS_MAX);
    }

    #[test]
    fn nothing_is_lost_or_made_up() {
        let mut minutes = Minutes::new();
        minutes.add(0, 10 * HOUR, Fate::Blocked, 7);
        minutes.add(5, 5, Fate::Passed, 3);
        minutes.add(-HOUR, -HOUR, Fate::Excepted, 1);
        minutes.add(99 * HOUR, 0, Fate::WouldBlock, 1_000_000);
        let line = minutes.buckets(0, 11 * HOUR);
        let sum = |of: fn(&form::Bucket) -> u64| line.buckets.iter().map(of).sum::<u64>();
        assert_eq!(
            (sum(|at| at.blocked), sum(|at| at.passed), sum(|at| at.excepted), sum(|at| at.would_block)),
            (7, 3, 1, 1_000_000)
        );
        assert_eq!((line.buckets[0].blocked, line.buckets[0].excepted), (1, 1));
        assert_eq!(line.buckets.last().map(|at| at.would_block), Some(1_000_000));
    }
}
