//! When a program or a group's entries apply: days and hours by the clock on the wall of some time zone.
//!
//! ```text
//! Mon-Fri 08:00-12:00, 13:00-17:00; Sat 09:00-12:00 Europe/Berlin
//! └ days ┘ └───── times ─────────┘  └── a second window ┘ └ zone ┘
//! ```
//!
//! A schedule is on while that clock shows a time in one of its windows, whatever daylight saving does: a time that is
//! skipped is never on, and one that comes twice is on twice. Zones are built in.

use super::zone::{UnknownZone, Zone};
use std::fmt;

/// Octets of a schedule's text: two windows for each day of the week fit, and nobody writes more.
pub const SCHEDULE_BYTES_MAX: usize = 500;

const MINUTES_A_DAY: u16 = 24 * 60;
const MINUTES_A_WEEK: u16 = 7 * MINUTES_A_DAY;
/// 1970-01-01 was a Thursday, and weeks begin on Monday here.
const MINUTES_FROM_MONDAY_TO_1970: i64 = 3 * MINUTES_A_DAY as i64;

/// How far ahead is looked for a change: a week, and the hour by which a clock may be put back.
const CHANGES_WITHIN_SECONDS: i64 = 8 * 86_400;

/// Every day, in words and bits.
const DAILY: &str = "daily";
const EVERY_DAY: u8 = 0b111_1111;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Times of the week in a time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule {
    windows: Vec<Window>,
    zone: Zone,
    /// Minutes of the week as `from..until`, in order, apart from each other.
    spans: Vec<(u16, u16)>,
}

/// Some days, and the times on each.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Window {
    /// A bit a day, Monday's the lowest.
    days: u8,
    /// Minutes of the day from and until; one that ends before it begins ends on the next day.
    times: Vec<(u16, u16)>,
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

impl Window {
    /// Reads days and times.
    fn read(text: &str) -> Result<Self, ScheduleError> {
        let (days, times) = text.split_at(text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len()));
        match (days.trim(), times.trim()) {
            ("", "") => Err(ScheduleError::Empty),
            ("", times) => Err(ScheduleError::NoDays(times.to_owned())),
            (days, times) => {
                let days_read = read_days(days)?;
                if times.is_empty() {
                    return Err(ScheduleError::NoTimes(days.to_owned()));
                }
                let times = times.split(',').map(read_times).collect::<Result<_, _>>()?;
                Ok(Self { days: days_read, times })
            }
        }
    }

    /// The minutes of the week from and until which it is on; an end may lie beyond the week's.
    fn minutes(&self) -> impl Iterator<Item = (u16, u16)> {
        let days = (0..7).filter(|day| self.days & 1 << day != 0);
        days.flat_map(|day| {
            self.times.iter().map(move |&(from, until)| {
                let until = if until < from { until + MINUTES_A_DAY } else { until };
                (day * MINUTES_A_DAY + from, day * MINUTES_A_DAY + until)
            })
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_days(self.days, f)?;
        for (index, (from, until)) in self.times.iter().enumerate() {
            let (from_hour, until_hour) = (from / 60, until / 60);
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma} {from_hour:02}:{:02}-{until_hour:02}:{:02}", from % 60, until % 60)?;
        }
        Ok(())
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

/// True for a word such as `Tue` or `Sat-Sun`, which is not a zone's.
fn begins_with_day(text: &str) -> bool {
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    day(word).is_some() || word.eq_ignore_ascii_case(DAILY)
}

/// `Mon-Fri`, `Mon, Wed`, `Sat-Mon`, `daily`: a bit a day.
fn read_days(text: &str) -> Result<u8, ScheduleError> {
    let mut days = 0;
    for part in text.split(',').map(str::trim) {
        let unknown = || ScheduleError::Day(part.to_owned());
        if part.eq_ignore_ascii_case(DAILY) {
            days = EVERY_DAY;
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = day(first.trim()).zip(day(last.trim())).ok_or_else(unknown)?;
        // From the first day on, past Sunday if need be.
        let length = (last + 7 - first) % 7;
        days |= (0..=length).fold(0, |bits, day| bits | 1 << ((first + day) % 7));
    }
    Ok(days)
}

/// The number of a day, from 0 for Monday.
fn day(word: &str) -> Option<usize> {
    (0..7).find(|&day| word.eq_ignore_ascii_case(DAYS[day]) || word.eq_ignore_ascii_case(LONG_DAYS[day]))
}

/// `08:00-17:00`: minutes of the day.
fn read_times(text: &str) -> Result<(u16, u16), ScheduleError> {
    let text = text.trim();
    let wrong = || ScheduleError::Time(text.to_owned());
    let (from, until) = text.split_once('-').ok_or_else(wrong)?;
    let (from, until) = minute(from.trim()).zip(minute(until.trim())).ok_or_else(wrong)?;
    match (from, until) {
        (MINUTES_A_DAY, _) => Err(wrong()),
        _ if from == until => Err(ScheduleError::NoLength(text.to_owned())),
        times => Ok(times),
    }
}

/// `8:00`, `08:00`, `24:00`: minutes since midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !is_number(hour) || !is_number(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= MINUTES_A_DAY).then_some(hour * 60 + minute)
}

/// Days as they are written: runs of three and more as ranges.
fn write_days(days: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if days == EVERY_DAY {
        return f.write_str(DAILY);
    }
    let is_in = |day: usize| days & 1 << (day % 7) != 0;
    let mut comma = "";
    for first in (0..7).filter(|&day| is_in(day) && !is_in(day + 6)) {
        let length = (1..7).take_while(|&more| is_in(first + more)).count();
        match length {
            0 => write!(f, "{comma}{}", DAYS[first])?,
            1 => write!(f, "{comma}{},{}", DAYS[first], DAYS[(first + 1) % 7])?,
            _ => write!(f, "{comma}{}-{}", DAYS[first], DAYS[(first + length) % 7])?,
        }
        comma = ",";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, civil::DateTime};
    use proptest::prelude::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text, &Zone::utc()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> String {
        Schedule::parse(text, &Zone::utc()).unwrap_err().to_string()
    }

    /// A time as RFC 3339 text.
    fn at(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn texts_and_what_they_are_shown_as() {
        for (text, expected) in [
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "Mon-Fri 08:00-17:00 Europe/Berlin"),
            ("mon-FRI 8:00-17:00 europe/berlin", "Mon-Fri 08:00-17:00 Europe/Berlin"),
            ("Monday - Friday\n08:00\t-  17:00", "Mon-Fri 08:00-17:00 UTC"),
            (
                "Mon-Fri 08:00-12:00, 13:00-17:00; Sat 09:00-12:00 Europe/Berlin",
                "Mon-Fri 08:00-12:00, 13:00-17:00; Sat 09:00-12:00 Europe/Berlin",
            ),
            ("daily 22:00-06:00", "daily 22:00-06:00 UTC"),
            ("Mon-Sun 22:00-06:00;", "daily 22:00-06:00 UTC"),
            ("Sat-Mon 0:00-24:00 UTC", "Sat-Mon 00:00-24:00 UTC"),
            ("Wed,Mon 08:00-09:00", "Mon,Wed 08:00-09:00 UTC"),
            ("Mon, Wed-Fri, Sun 08:00-09:00", "Wed-Fri,Sun,Mon 08:00-09:00 UTC"),
            ("Sat,Sun 08:00-09:00 Etc/GMT+1", "Sat,Sun 08:00-09:00 Etc/GMT+1"),
            ("Fri-Fri 23:59-24:00 America/Argentina/Ushuaia", "Fri 23:59-24:00 America/Argentina/Ushuaia"),
        ] {
            assert_eq!(schedule(text).to_string(), expected, "{text}");
        }
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(Schedule::parse("Mon 08:00-09:00", &berlin).unwrap().zone(), &berlin);
        assert_eq!(Schedule::parse("Mon 08:00-09:00 UTC", &berlin).unwrap().zone(), &Zone::utc());
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, expected) in [
            ("", "it is empty; write such as Mon-Fri 08:00-17:00"),
            (" ; ", "it is empty; write such as Mon-Fri 08:00-17:00"),
            ("08:00-17:00", "`08:00-17:00` has no days; write daily or such as Mon-Fri before it"),
            ("Mon-Fri", "`Mon-Fri` has no times; write them after it, 00:00-24:00 for the whole day"),
            ("Mo-Fr 08:00-17:00", "`Mo-Fr` is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon-Fri or daily"),
            ("Mon,,Tue 08:00-17:00", "`` is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon-Fri or daily"),
            ("Mon 8-17", "`8-17` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight"),
            ("Mon 08:00", "`08:00` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight"),
            ("Mon 08:00-17:60", "`08:00-17:60` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight"),
            ("Mon 24:00-06:00", "`24:00-06:00` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight"),
            ("Mon 08:00-24:01", "`08:00-24:01` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight"),
            (
                "Mon 08:00-09:00 10:00-11:00",
                "`08:00-09:00 10:00-11:00` is no time; write such as 08:00-17:00, or 22:00-06:00 over midnight",
            ),
            ("Mon 08:00-08:00", "`08:00-08:00` begins when it ends; write 00:00-24:00 for the whole day"),
            (
                "Mon 08:00-09:00, Tue 10:00-11:00",
                "`Tue 10:00-11:00` belongs to other days; write ; before it, not a comma or space",
            ),
            (
                "Mon 08:00-09:00 Europe/Berlin; Tue 10:00-11:00",
                "`Europe/Berlin` stands in the middle; the time zone stands once, at the end",
            ),
            ("Mon 08:00-09:00 Berlin", "`Berlin` is not a time zone; did you mean Europe/Berlin?"),
            ("Mon 08:00-09:00 Europe/Belin", "`Europe/Belin` is not a time zone; did you mean Europe/Berlin?"),
            ("Mon 08:00-09:00 New York", "`New York` is not a time zone; did you mean America/New_York?"),
            ("Mon 08:00-09:00 Europe/Tokyo", "`Europe/Tokyo` is not a time zone; did you mean Asia/Tokyo?"),
            (
                "Mon 08:00-09:00 Middle-earth",
                "`Middle-earth` is not a time zone; write an IANA name, such as Europe/Berlin or America/New_York",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error(&"Mon 08:00-09:00;".repeat(100)).starts_with("it is longer than 500 octets"));
        assert!(error("Mon\u{7} 08:00-09:00").starts_with("it has control characters"));
    }

    #[test]
    fn on_and_off() {
        for (text, time, expected) in [
            // Winter: Berlin is an hour ahead. 2026-01-05 is a Monday.
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T06:59:59Z", false),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T07:00:00Z", true),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T15:59:59Z", true),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T16:00:00Z", false),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-10T10:00:00Z", false),
            // Summer: two hours.
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-07-06T06:00:00Z", true),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-07-06T15:00:00Z", false),
            // It is Monday there while it is Sunday in UTC, and the other way round.
            ("Mon 00:00-01:00 Europe/Berlin", "2026-01-04T23:30:00Z", true),
            ("Sun 23:00-24:00 America/New_York", "2026-01-05T04:59:59Z", true),
            ("Sun 23:00-24:00 America/New_York", "2026-01-05T05:00:00Z", false),
            // Over midnight: the night belongs to the day it begins on.
            ("Fri 22:00-06:00", "2026-01-09T22:00:00Z", true),
            ("Fri 22:00-06:00", "2026-01-10T05:59:59Z", true),
            ("Fri 22:00-06:00", "2026-01-10T06:00:00Z", false),
            ("Fri 22:00-06:00", "2026-01-09T05:00:00Z", false),
            ("Sun 22:00-06:00", "2026-01-05T05:00:00Z", true),
            ("Sun 22:00-06:00", "2026-01-04T05:00:00Z", false),
            ("daily 22:00-00:00", "2026-01-05T23:59:59Z", true),
            ("daily 22:00-00:00", "2026-01-05T00:00:00Z", false),
            // Days past Sunday, several times, several windows.
            ("Sat-Mon 00:00-24:00", "2026-01-05T23:59:59Z", true),
            ("Sat-Mon 00:00-24:00", "2026-01-06T00:00:00Z", false),
            ("Mon 08:00-12:00, 13:00-17:00; Sat 09:00-12:00", "2026-01-05T12:30:00Z", false),
            ("Mon 08:00-12:00, 13:00-17:00; Sat 09:00-12:00", "2026-01-05T13:00:00Z", true),
            ("Mon 08:00-12:00, 13:00-17:00; Sat 09:00-12:00", "2026-01-10T11:00:00Z", true),
            ("Mon 08:00-12:00, 11:00-13:00", "2026-01-05T12:00:00Z", true),
            // Before 1970 and before zones.
            ("Wed 23:00-24:00", "1969-12-31T23:30:00Z", true),
            ("daily 00:00-24:00 Europe/Berlin", "0001-01-01T00:00:00Z", true),
        ] {
            assert_eq!(schedule(text).is_on(at(time)), expected, "{text} at {time}");
        }
        for far in [i64::MIN, i64::MAX] {
            assert!(schedule("daily 00:00-24:00 Europe/Berlin").is_on(far));
            let _ = schedule("Mon 08:00-12:00 Europe/Berlin").is_on(far);
        }
    }

    #[test]
    fn what_comes_next_is_found() {
        for (text, time, expected) in [
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T06:59:59Z", Some("2026-01-05T07:00:00Z")),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-05T07:00:00Z", Some("2026-01-05T16:00:00Z")),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-01-09T16:00:00Z", Some("2026-01-12T07:00:00Z")),
            ("Mon 08:00-12:00, 13:00-17:00", "2026-01-05T12:30:10Z", Some("2026-01-05T13:00:00Z")),
            ("Mon 08:00-12:00, 12:00-17:00", "2026-01-05T09:00:00Z", Some("2026-01-05T17:00:00Z")),
            ("Sun 22:00-06:00", "2026-01-04T23:00:00Z", Some("2026-01-05T06:00:00Z")),
            ("Mon 00:00-24:00", "2026-01-06T00:00:00Z", Some("2026-01-12T00:00:00Z")),
            ("daily 00:00-24:00", "2026-01-05T00:00:00Z", None),
            ("Mon-Sun 00:00-12:00, 12:00-24:00 Europe/Berlin", "2026-03-28T00:00:00Z", None),
            // Where the clock is put forward, and back.
            ("Sun 02:30-04:00 Europe/Berlin", "2026-03-28T12:00:00Z", Some("2026-03-29T01:00:00Z")),
            ("Sun 01:00-02:30 Europe/Berlin", "2026-03-29T00:00:00Z", Some("2026-03-29T01:00:00Z")),
            ("Sun 02:00-03:00 Europe/Berlin", "2026-10-24T12:00:00Z", Some("2026-10-25T00:00:00Z")),
            ("Sun 02:00-03:00 Europe/Berlin", "2026-10-25T00:00:00Z", Some("2026-10-25T02:00:00Z")),
        ] {
            assert_eq!(schedule(text).next_change(at(time)), expected.map(at), "{text} at {time}");
        }
        for far in [i64::MIN, i64::MAX] {
            let _ = schedule("Mon 08:00-12:00 Europe/Berlin").next_change(far);
        }
    }

    #[test]
    fn daylight_saving_moves_the_clock_and_not_the_schedule() {
        for (text, changes) in [
            // Gap: 02:00 becomes 03:00 at 01:00 UTC.
            (
                "Sun 02:30-04:00 Europe/Berlin",
                &[("2026-03-29T00:59:59Z", false), ("2026-03-29T01:00:00Z", true), ("2026-03-29T02:00:00Z", false)][..],
            ),
            (
                "Sun 01:00-02:30 Europe/Berlin",
                &[("2026-03-29T00:00:00Z", true), ("2026-03-29T00:59:59Z", true), ("2026-03-29T01:00:00Z", false)],
            ),
            // A time that is skipped is never on.
            ("Sun 02:00-03:00 Europe/Berlin", &[("2026-03-29T00:59:59Z", false), ("2026-03-29T01:00:00Z", false)]),
            // Overlap: 03:00 becomes 02:00 at 01:00 UTC, so that 02:00-03:00 comes twice.
            (
                "Sun 02:00-03:00 Europe/Berlin",
                &[
                    ("2026-10-24T23:59:59Z", false),
                    ("2026-10-25T00:00:00Z", true),
                    ("2026-10-25T01:59:59Z", true),
                    ("2026-10-25T02:00:00Z", false),
                ],
            ),
            (
                "Sun 02:00-02:30 Europe/Berlin",
                &[("2026-10-25T00:00:00Z", true), ("2026-10-25T00:30:00Z", false), ("2026-10-25T01:00:00Z", true)],
            ),
            (
                "daily 08:00-17:00 Europe/Berlin",
                &[("2026-10-24T06:00:00Z", true), ("2026-10-25T06:59:59Z", false), ("2026-10-25T07:00:00Z", true)],
            ),
            // A night over the change begins and ends when the clock says so: it is an hour shorter or longer.
            (
                "Sat 22:00-06:00 America/New_York",
                &[
                    ("2026-03-08T03:00:00Z", true),
                    ("2026-03-08T09:59:59Z", true),
                    ("2026-03-08T10:00:00Z", false),
                    ("2026-11-01T02:00:00Z", true),
                    ("2026-11-01T10:59:59Z", true),
                    ("2026-11-01T11:00:00Z", false),
                ],
            ),
            (
                "Sun 01:00-02:00 America/New_York",
                &[("2026-11-01T05:00:00Z", true), ("2026-11-01T06:59:59Z", true), ("2026-11-01T07:00:00Z", false)],
            ),
            // Half an hour: 02:00 becomes 02:30 in October (at 15:30 UTC on Saturday), and 01:30 in April.
            (
                "Sun 02:00-02:45 Australia/Lord_Howe",
                &[("2026-10-03T15:29:59Z", false), ("2026-10-03T15:30:00Z", true), ("2026-10-03T15:45:00Z", false)],
            ),
            ("Sun 02:00-02:30 Australia/Lord_Howe", &[("2026-10-03T15:30:00Z", false)]),
            (
                "Sun 01:30-02:00 Australia/Lord_Howe",
                &[("2026-04-04T14:30:00Z", true), ("2026-04-04T15:29:59Z", true), ("2026-04-04T15:30:00Z", false)],
            ),
            // The gap lies at midnight: Friday begins at 01:00.
            ("Fri 00:00-24:00 Africa/Cairo", &[("2026-04-23T21:59:59Z", false), ("2026-04-23T22:00:00Z", true)]),
            // Long after the tables end, by rule.
            ("daily 08:00-17:00 Europe/Berlin", &[("2199-07-01T06:00:00Z", true), ("2199-01-01T06:00:00Z", false)]),
        ] {
            for &(time, expected) in changes {
                assert_eq!(schedule(text).is_on(at(time)), expected, "{text} at {time}");
            }
        }
    }

    /// Days, minutes from and until.
    fn window() -> impl Strategy<Value = Window> {
        let time = (0..MINUTES_A_DAY, 0..=MINUTES_A_DAY).prop_filter("some length", |(from, until)| from != until);
        (1..=EVERY_DAY, prop::collection::vec(time, 1..4)).prop_map(|(days, times)| Window { days, times })
    }

    /// On, by asking each window of the date and time that jiff's own calendar shows.
    fn is_on_naively(schedule: &Schedule, unix_seconds: i64) -> bool {
        let local: DateTime = schedule.zone.inner().to_datetime(Timestamp::from_second(unix_seconds).unwrap());
        let today = local.weekday().to_monday_zero_offset();
        let now = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let is_day = |window: &Window, day: i8| window.days & 1 << day.rem_euclid(7) != 0;
        schedule.windows.iter().any(|window| {
            window.times.iter().any(|&(from, until)| {
                let (from, until) = (i32::from(from), i32::from(until));
                match from < until {
                    true => is_day(window, today) && from <= now && now < until,
                    false => (is_day(window, today) && from <= now) || (is_day(window, today - 1) && now < until),
                }
            })
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_and_parses_back(
            windows in prop::collection::vec(window(), 1..4),
            zone in prop::sample::select(&["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"][..]),
            times in prop::collection::vec(-2_000_000_000i64..6_000_000_000, 1..20),
        ) {
            let zone = Zone::named(zone).unwrap();
            let schedule = Schedule { spans: spans(&windows), windows, zone };
            let minute = times[0] - times[0].rem_euclid(60);
            let later = (1..CHANGES_WITHIN_SECONDS / 60).map(|minutes| minute + 60 * minutes);
            let next = later.into_iter().find(|time| schedule.is_on(*time) != schedule.is_on(minute));
            prop_assert_eq!(schedule.next_change(minute), next, "{} from {}", schedule, minute);
            for time in times {
                prop_assert_eq!(schedule.is_on(time), is_on_naively(&schedule, time), "{} at {}", schedule, time);
            }
            prop_assert_eq!(Schedule::parse(&schedule.to_string(), &Zone::utc()), Ok(schedule));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[ ;:,0-9A-Za-z/ö-]{0,40}") {
            if let Ok(schedule) = Schedule::parse(&text, &Zone::utc()) {
                prop_assert_eq!(Schedule::parse(&schedule.to_string(), &Zone::utc()), Ok(schedule));
            }
        }
    }
}
