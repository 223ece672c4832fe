//! Queries of the last 24 hours by minute: differences of the counters, in a ring.

use crate::{
    query_log::Fate,
    report::{
        Moment,
        form::{Bucket, TimeLine},
    },
};
use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, Instant},
};

pub const DAY_SECONDS: i64 = 86_400;
const MINUTE: i64 = 60;
/// Minutes kept.
const MINUTES_MAX: i64 = DAY_SECONDS / MINUTE;
/// How far back the present rate looks.
const RATE_OVER: Duration = Duration::from_secs(60);

/// Looks kept within the time that the present rate is taken over.
const LOOKS_MAX: usize = 64;

/// Queries by what became of them, in the order of [`Fate::ALL`].
pub type Fates = [u64; Fate::ALL.len()];

/// Queries by minute. Who looks at the counters tells it; it has no clock.
#[derive(Default)]
pub struct Minutes(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    /// The counters when they were last looked at.
    last: Fates,
    /// Seconds since 1970 of the first look.
    since: Option<i64>,
    /// Minutes since 1970 with queries, in order.
    minutes: VecDeque<(i64, Fates)>,
    /// All queries counted, and when.
    looks: VecDeque<(Instant, u64)>,
}

impl Minutes {
    /// Notes what the counters say at `now`, in seconds since 1970: what is more than at the last look belongs to this
    /// minute.
    pub fn note(&self, now: i64, at: Instant, counters: Fates) {
        self.ring().note(now, at, counters);
    }

    /// Seconds since 1970 of the first look, or of the start of the day before `now`.
    pub fn since(&self, now: i64) -> i64 {
        let since = self.ring().since.unwrap_or(now);
        since.clamp(now - DAY_SECONDS, now)
    }

    /// Queries a second over the last minute; `None` if there was one look only.
    pub fn rate(&self) -> Option<f64> {
        let ring = self.ring();
        let (&(from, before), &(to, now)) = (ring.looks.front()?, ring.looks.back()?);
        let seconds = to.saturating_duration_since(from).as_secs_f64();
        (seconds >= 1.0).then(|| now.saturating_sub(before) as f64 / seconds)
    }

    /// Steps of `step` seconds, a multiple of 60, from the one that `from` lies in to the one before `to`, both in seconds
    /// since 1970. The step of the present minute may be unfinished.
    pub fn time_line(&self, from: i64, to: i64, step: i64) -> TimeLine {
        time_line(self.ring().minutes.iter().copied(), from, to, step)
    }

    /// Takes in what is known of the time before the first look: minutes with queries, in order, and since when they are
    /// known, in seconds since 1970.
    pub fn recall(&self, since: i64, minutes: Vec<(i64, Fates)>) {
        let mut ring = self.ring();
        ring.since = Some(ring.since.map_or(since, |own| own.min(since)));
        for (minute, fates) in minutes.into_iter().rev() {
            match ring.minutes.front_mut() {
                Some((first, own)) if *first == minute => {
                    own.iter_mut().zip(fates).for_each(|(own, more)| *own += more);
                }
                Some((first, _)) if *first < minute => {}
                _ => ring.minutes.push_front((minute, fates)),
            }
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Minutes in steps of `step` seconds, as in [`Minutes::time_line`].
pub fn time_line(minutes: impl IntoIterator<Item = (i64, Fates)>, from: i64, to: i64, step: i64) -> TimeLine {
    let step = step.max(MINUTE) / MINUTE * MINUTE;
    let first = from.div_euclid(step) * step;
    let steps = ((to - first).max(0) + step - 1) / step;
    let mut sums = vec![Fates::default(); steps as usize];
    for (minute, fates) in minutes {
        let place = usize::try_from((minute * MINUTE - first).div_euclid(step));
        if let Some(sum) = place.ok().and_then(|place| sums.get_mut(place)) {
            sum.iter_mut().zip(fates).for_each(|(sum, fate)| *sum += fate);
        }
    }
    let bucket = |(index, fates): (usize, &Fates)| Bucket {
        start: Moment((first + index as i64 * step) * 1_000_000),
        blocked: fates[Fate::Blocked as usize],
        would_block: fates[Fate::WouldBlock as usize],
        excepted: fates[Fate::Excepted as usize],
        passed: fates[Fate::Passed as usize],
        refused: fates[Fate::Refused as usize],
    };
    TimeLine { bucket_seconds: step as u64, buckets: sums.iter().enumerate().map(bucket).collect() }
}

impl Ring {
    fn note(&mut self, now: i64, at: Instant, counters: Fates) {
        let minute = now.div_euclid(MINUTE);
        self.since.get_or_insert(now);
        // A clock that was put back: what was counted by the wrong one is of no minute that there is.
        if self.minutes.back().is_some_and(|(last, _)| *last > minute + 1) {
            self.minutes.clear();
            self.since = Some(now);
        }
        let mut more = Fates::default();
        more.iter_mut().zip(counters).zip(self.last).for_each(|((more, now), last)| *more = now.saturating_sub(last));
        self.last = counters;
        if more.iter().any(|&count| count > 0) {
            match self.minutes.back_mut() {
                Some((last, fates)) if *last >= minute => {
                    fates.iter_mut().zip(more).for_each(|(own, more)| *own += more);
                }
                _ => self.minutes.push_back((minute, more)),
            }
        }
        while self.minutes.front().is_some_and(|(first, _)| *first <= minute - MINUTES_MAX) {
            self.minutes.pop_front();
        }
        self.looks.push_back((at, counters.iter().sum()));
        // One from before that minute stays, so that it is looked at whole.
        while self.looks.get(1).is_some_and(|(look, _)| at.saturating_duration_since(*look) >= RATE_OVER) {
            self.looks.pop_front();
        }
        // Whoever reloads a page in a loop adds looks too.
        while self.looks.len() > LOOKS_MAX {
            self.looks.remove(self.looks.len() / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_900_800;

    fn shown(line: &TimeLine) -> Vec<Fates> {
        line.buckets.iter().map(|at| [at.blocked, at.would_block, at.excepted, at.passed, at.refused]).collect()
    }

    #[test]
    fn what_is_more_belongs_to_the_minute_it_was_seen_in() {
        let (minutes, at) = (Minutes::default(), Instant::now());
        minutes.note(NOON, at, [1, 0, 0, 4, 0]);
        minutes.note(NOON + 59, at, [1, 2, 0, 4, 6]);
        minutes.note(NOON + 60, at, [1, 2, 3, 5, 6]);
        minutes.note(NOON + 60, at, [1, 2, 3, 5, 6]);
        let line = minutes.time_line(NOON, NOON + 180, 60);
        assert_eq!(shown(&line), [[1, 2, 0, 4, 6], [0, 0, 3, 1, 0], [0; 5]]);
        assert_eq!(line.buckets[1].start, Moment((NOON + 60) * 1_000_000));
        // Steps begin at whole multiples of their length, and the last may be cut.
        assert_eq!(shown(&minutes.time_line(NOON + 30, NOON + 100, 120)), [[1, 2, 3, 5, 6]]);
        assert_eq!(shown(&minutes.time_line(NOON + 60, NOON, 60)).len(), 0);
        assert_eq!((minutes.since(NOON + 60), minutes.since(NOON + 2 * DAY_SECONDS)), (NOON, NOON + DAY_SECONDS));
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let (minutes, at) = (Minutes::default(), Instant::now());
        for minute in 0..2 * MINUTES_MAX {
            minutes.note(NOON + minute * MINUTE, at, [0, 0, 0, minute as u64 + 1, 0]);
        }
        assert_eq!(minutes.ring().minutes.len() as i64, MINUTES_MAX);
        let all = minutes.time_line(NOON, NOON + 3 * DAY_SECONDS, 900);
        assert_eq!(all.buckets.iter().map(|at| at.passed).sum::<u64>() as i64, MINUTES_MAX);
        assert!(minutes.ring().looks.len() <= LOOKS_MAX);
        // A clock that is put back begins anew, and one that jumps ahead leaves nothing of before.
        minutes.note(NOON, at, [0, 0, 7, 2 * MINUTES_MAX as u64, 0]);
        assert_eq!(minutes.ring().minutes, [(NOON / MINUTE, [0, 0, 7, 0, 0])]);
        minutes.note(NOON + 9 * DAY_SECONDS, at, [0, 0, 7, 2 * MINUTES_MAX as u64, 0]);
        assert!(minutes.ring().minutes.is_empty());
    }

    #[test]
    fn what_was_recorded_before_the_start_is_told_too() {
        let (minutes, at) = (Minutes::default(), Instant::now());
        minutes.note(NOON, at, [1, 0, 0, 0, 0]);
        let minute = NOON / MINUTE;
        let recorded = [(minute - 3, [0, 0, 0, 7, 1]), (minute, [2, 0, 0, 0, 0])];
        minutes.recall(NOON - 180, recorded.into());
        minutes.note(NOON + 60, at, [2, 0, 0, 0, 0]);
        let line = minutes.time_line(NOON - 180, NOON + 120, 60);
        assert_eq!(shown(&line), [[0, 0, 0, 7, 1], [0; 5], [0; 5], [3, 0, 0, 0, 0], [1, 0, 0, 0, 0]]);
        assert_eq!((minutes.since(NOON), minutes.since(NOON + 2 * DAY_SECONDS)), (NOON - 180, NOON + DAY_SECONDS));
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let (minutes, at) = (Minutes::default(), Instant::now());
        let second = |seconds| at + Duration::from_secs(seconds);
        minutes.note(NOON, at, [0; 5]);
        assert_eq!(minutes.rate(), None);
        minutes.note(NOON, second(10), [0, 0, 0, 50, 0]);
        assert_eq!(minutes.rate(), Some(5.0));
        for look in 0..100 {
            minutes.note(NOON, second(100 + look), [0, 0, 0, 50 + 2 * look, 0]);
        }
        assert!((1.9..2.1).contains(&minutes.rate().unwrap()), "{:?}", minutes.rate());
    }
}
