//! One window of a schedule: some days and the times on each, as text and as minutes of the week.

use super::ScheduleError;
use std::fmt;

pub const MINUTES_A_DAY: u16 = 24 * 60;

/// Every day, in words and bits.
const DAILY: &str = "daily";
pub(super) const EVERY_DAY: u8 = 0b111_1111;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Some days, and the times on each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// A bit a day, Monday's the lowest.
    pub(super) days: u8,
    /// Minutes of the day from and until; one that ends before it begins ends on the next day.
    pub(super) times: Vec<(u16, u16)>,
}

impl Window {
    /// Reads days and times.
    pub fn read(text: &str) -> Result<Self, ScheduleError> {
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
    pub fn minutes(&self) -> impl Iterator<Item = (u16, u16)> {
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

/// True for a word such as `Tue` or `Sat-Sun`, which is not a zone's.
pub fn begins_with_day(text: &str) -> bool {
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
