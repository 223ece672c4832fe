//! When a list was last changed, as its own text says.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// In how many of the first lines of somebody else's list a comment may say it: there such comments stand.
pub const COMMENT_LINES: u32 = 50;
/// By how many seconds it may be ahead: a day has begun elsewhere that is still to come here, and clocks differ.
pub const AHEAD_MAX: i64 = 86_400;
/// What the comments of well-known lists call it.
const KEYS: [&str; 8] =
    ["last modified", "last-modified", "last updated", "last update", "last change", "updated", "timeupdated", "date"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `2026-11-19`, whose first second in UTC is meant, or a time as RFC 3339 has it, with its zone. Seconds since 1970;
/// nothing that is before that.
pub fn read(text: &str) -> Option<i64> {
    let is_date = text.len() == 10;
    let time = match is_date {
        true => at(text.parse::<Date>().ok()?.at(0, 0, 0, 0))?,
        false => text.parse::<Timestamp>().ok()?.as_second(),
    };
    Some(time).filter(|time| *time > 0)
}

/// Reads a comment of somebody else's list: `! Last modified: 30 Nov 2026 12:41 UTC`. What isn't sure to be meant so is none.
pub fn in_comment(line: &str) -> Option<i64> {
    let text = line.trim_start_matches(['#', '!', ';', '/', ' ', '\t']);
    let (key, value) = text.split_once(':')?;
    let is_it = KEYS.iter().any(|own| own.eq_ignore_ascii_case(key.trim_end()));
    let value = value.trim();
    if is_it { read(value).or_else(|| in_words(value)) } else { None }
}

/// `Sat, 28 November 2026 at 16:27:40 (UTC)`, of which the weekday and the time may be missing. Without a zone that is known
/// to be UTC a time is none.
fn in_words(text: &str) -> Option<i64> {
    let is_between = |letter: char| letter.is_ascii_whitespace() || matches!(letter, ',' | '(' | ')');
    let mut words = text.split(is_between).filter(|word| !word.is_empty() && *word != "at").peekable();
    let begins = |word: &str, whole: &str| {
        word.len() >= 3 && whole.get(..word.len()).is_some_and(|own| own.eq_ignore_ascii_case(word))
    };
    words.next_if(|word| word.get(..3).is_some_and(|own| WEEKDAYS.iter().any(|day| day.eq_ignore_ascii_case(own))));
    let day: i8 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|whole| begins(month, whole))? + 1;
    let date = Date::new(words.next()?.parse().ok()?, i8::try_from(month).ok()?, day).ok()?;
    let time = match words.next() {
        None => Time::midnight(),
        Some(time) => {
            words.next().filter(|zone| matches!(*zone, "UTC" | "GMT" | "Z" | "+0000"))?;
            time.parse().ok()?
        }
    };
    if words.next().is_some() {
        return None;
    }
    at(date.to_datetime(time)).filter(|time| *time > 0)
}

fn at(time: DateTime) -> Option<i64> {
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 1_795_046_400; // 2026-11-19

    #[test]
    fn days_and_times() {
        for (text, expected) in [
            ("2026-11-19", Some(DAY)),
            ("1970-01-02", Some(86_400)),
            ("2026-11-19T08:00:00Z", Some(DAY + 8 * 3600)),
            ("2026-11-19T08:00:00.5Z", Some(DAY + 8 * 3600)),
            ("2026-11-19 08:00+02:00", Some(DAY + 6 * 3600)),
            ("2026-11-19T08:00:00", None),
            ("1970-01-01", None),
            ("1960-11-19", None),
            ("2026-02-30", None),
            ("2026-13-01", None),
            ("19.11.2026", None),
            ("11/19/2026", None),
            ("2026-11", None),
            ("20261119", None),
            ("today", None),
            ("", None),
            ("ääääää", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_of_well_known_lists() {
        let (day, time) = (Some(DAY), Some(DAY + 12 * 3600 + 41 * 60));
        for (line, expected) in [
            ("! Last modified: 19 Nov 2026 12:41 UTC", time),
            ("# Last modified: 19 Nov 2026 12:41 UTC", time),
            ("; Last modified: 19 Nov 2026 12:41 UTC", time),
            ("! Last modified: 2026-11-19T12:41:00.000Z", time),
            ("! Last modified: 2026-11-19T12:41:00+0000", time),
            ("# Date: 19 November 2026 12:41:00 (UTC)", time),
            ("#  Last updated: Thu, 19 Nov 2026 at 12:41:00 GMT", time),
            ("! TimeUpdated: 2026-11-19T12:41:00.000Z", time),
            ("#last update: 2026-11-19", day),
            ("// updated: 19 Nov 2026", day),
            ("! Last modified: 19 Nov 2026 12:41 CET", None),
            ("! Last modified: 19 Nov 2026 12:41", None),
            ("! Last modified: 19 Nov 2026 12:41 UTC or so", None),
            ("! Last modified: 31 Nov 2026", None),
            ("! Last modified: %timestamp%", None),
            ("! Last modified: 11/19/2026", None),
            ("! Expires: 4 days", None),
            ("! This was last modified: 19 Nov 2026", None),
            ("! Last modified 19 Nov 2026", None),
            ("!", None),
            ("# : ", None),
            ("# date: ä ö ü", None),
        ] {
            assert_eq!(in_comment(line), expected, "{line}");
        }
    }
}
