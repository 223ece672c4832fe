//! When a program or a group's entries apply: days and hours by the clock on the wall of some time zone.
//!
//! ```text
//! Mon-Fri 08:00-12:00, 13:00-17:00; Sat 09:00-12:00 Europe/Berlin
//! └ days ┘ └───── times ─────────┘  └── a second window ┘ └ zone ┘
//! ```
//!
//! A schedule is on while that clock shows a time in one of its windows, whatever daylight saving does: a time that is
//! skipped is never on, and one that comes twice is on twice. Zones are built in.

mod window;

use super::zone::{UnknownZone, Zone};
use std::fmt;
use window::{MINUTES_A_DAY, Window, begins_with_day};

/// Octets of a schedule's text: two windows for each day of the week fit, and nobody writes more.
pub const SCHEDULE_BYTES_MAX: usize = 500;

const MINUTES_A_WEEK: u16 = 7 * MINUTES_A_DAY;
/// 1970-01-01 was a Thursday, and weeks begin on Monday here.
const MINUTES_FROM_MONDAY_TO_1970: i64 = 3 * MINUTES_A_DAY as i64;

/// How far ahead is looked for a change: a week, and the hour by which a clock may be put back.
const CHANGES_WITHIN_SECONDS: i64 = 8 * 86_400;

/// Times of the week in a time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule {
    windows: Vec<Window>,
    zone: Zone,
    /// Minutes of the week as `from..until`, in order, apart from each other.
    spans: Vec<(u16, u16)>,
}

/// A text that is no schedule: what is wrong with it, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("it is empty; write such as Mon-Fri 08:00-17:00")]
    Empty,
    #[error("it has control characters; write such as Mon-Fri 08:00-17:00")]
    NoText,
    #[error("it is longer than {SCHEDULE_BYTES_MAX} octets; days can be joined, as in Mon-Fri")]
    TooLong,
    #[error("`{0}` has no days; write daily or such as Mon-Fri before it")]
    NoDays(String),
    #[error("`{0}` has no times; write them after it, 00:00-24:00 for the whole day")]
    NoTimes(String),
    #[error("`{0}` is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon-Fri or daily")]
    Day(String),
    #[error("`{0}` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight")]
    Time(String),
    #[error("`{0}` begins when it ends; write 00:00-24:00 for the whole day")]
    NoLength(String),
    #[error("`{0}` belongs to other days; write ; before it, not a comma or space")]
    Joined(String),
    #[error("`{0}` stands in the middle; the time zone stands once, at the end")]
    ZoneInside(String),
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

impl Schedule {
    /// Reads a schedule; one that names no zone is meant in `zone`.
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, ScheduleError> {
        if text.len() > SCHEDULE_BYTES_MAX {
            return Err(ScheduleError::TooLong);
        }
        // A long one may stand on several lines.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().any(char::is_control) {
            return Err(ScheduleError::NoText);
        }
        let mut parts: Vec<&str> = text.split(';').map(str::trim).collect();
        // A final semicolon ends the last window.
        if parts.last() == Some(&"") {
            parts.pop();
        }
        let mut windows = Vec::new();
        let mut zone = zone.clone();
        for (index, part) in parts.iter().enumerate() {
            let (window, word) = split_zone(part);
            match word {
                Some(word) if begins_with_day(word) => return Err(ScheduleError::Joined(word.to_owned())),
                Some(word) if index + 1 < parts.len() => return Err(ScheduleError::ZoneInside(word.to_owned())),
                Some(name) => zone = Zone::named(name)?,
                None => {}
            }
            windows.push(Window::read(window)?);
        }
        if windows.is_empty() {
            return Err(ScheduleError::Empty);
        }
        let spans = spans(&windows);
        Ok(Self { windows, zone, spans })
    }

    /// True if the schedule is on at that second since 1970 (UTC).
    pub fn is_on(&self, unix_seconds: i64) -> bool {
        let minute = self.minute_of_week(unix_seconds);
        let begun = self.spans.partition_point(|&(from, _)| from <= minute);
        begun > 0 && minute < self.spans[begun - 1].1
    }

    /// When it is next switched on or off, in seconds since 1970; `None`: it never is.
    pub fn next_change(&self, unix_seconds: i64) -> Option<i64> {
        let is_on = self.is_on(unix_seconds);
        let offset = |seconds: i64| self.zone.local_seconds(seconds).wrapping_sub(seconds);
        let end = unix_seconds.saturating_add(CHANGES_WITHIN_SECONDS);
        let mut at = unix_seconds.saturating_sub(unix_seconds.rem_euclid(60));
        while at < end {
            let next = at.saturating_add(60 * i64::from(self.minutes_to_edge(at)));
            // Where the clock is put forward or back meanwhile, edges come sooner or later, or not at all.
            at = if offset(next) == offset(at) { next } else { at.saturating_add(60) };
            if self.is_on(at) != is_on {
                return Some(at);
            }
        }
        None
    }

    /// Minutes until that clock shows a time at which a span begins or ends.
    fn minutes_to_edge(&self, unix_seconds: i64) -> u16 {
        let minute = self.minute_of_week(unix_seconds);
        let edges = self.spans.iter().flat_map(|&(from, until)| [from, until]);
        let ahead = |edge: u16| match edge > minute {
            true => edge - minute,
            false => edge + MINUTES_A_WEEK - minute,
        };
        edges.map(ahead).min().unwrap_or(MINUTES_A_WEEK)
    }

    fn minute_of_week(&self, unix_seconds: i64) -> u16 {
        let local_minutes = self.zone.local_seconds(unix_seconds).div_euclid(60);
        (local_minutes + MINUTES_FROM_MONDAY_TO_1970).rem_euclid(i64::from(MINUTES_A_WEEK)) as u16
    }

    /// The zone whose clock counts.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

impl fmt::Display for Schedule {
    /// As it would be written, always with its zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, window) in self.windows.iter().enumerate() {
            write!(f, "{}{window}", if index > 0 { "; " } else { "" })?;
        }
        write!(f, " {}", self.zone)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

/// The windows of a week as spans in order, joined where they touch, cut at the week's end.
fn spans(windows: &[Window]) -> Vec<(u16, u16)> {
    let mut all = Vec::new();
    for (from, until) in windows.iter().flat_map(Window::minutes) {
        all.push((from, until.min(MINUTES_A_WEEK)));
        if until > MINUTES_A_WEEK {
            // Sunday's night ends on Monday.
            all.push((0, until - MINUTES_A_WEEK));
        }
    }
    all.sort_unstable();
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for (from, until) in all {
        match spans.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => spans.push((from, until)),
        }
    }
    spans
}

/// A window's own text, and the word after its times, which a zone begins with.
fn split_zone(text: &str) -> (&str, Option<&str>) {
    let times = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let Some(word) = text[times..].find(|c: char| c.is_alphabetic()) else { return (text, None) };
    let (window, word) = text.split_at(times + word);
    (window.trim_end().trim_end_matches(',').trim_end(), Some(word.trim()))
}

#[cfg(test)]
mod tests;
