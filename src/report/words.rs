//! How numbers, shares, times and foreign texts are written, in every format alike.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::{borrow::Cow, fmt};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Characters that change the direction of the text around them: a name could show as another.
const DIRECTIONS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// How clients were kept, in words.
pub(super) fn kept(privacy: &[String]) -> String {
    let words = privacy.join(", then ");
    if words.is_empty() { "not known".to_owned() } else { visible(&words).into_owned() }
}

/// A time: microseconds since 1970 (UTC). Shown as `2026-11-28 21:20:55`, serialized as RFC 3339, whole seconds both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, JsonSchema)]
#[schemars(description = "A time, RFC 3339 in UTC, in whole seconds.")]
pub struct Moment(#[schemars(with = "String", extend("format" = "date-time"))] pub i64);

impl Moment {
    /// The day it is in (UTC), as `2026-11-28`.
    pub fn day(self) -> String {
        self.shown("%Y-%m-%d")
    }

    /// Without seconds.
    pub fn minute(self) -> String {
        self.shown("%Y-%m-%d %H:%M")
    }

    /// By a pattern of `strftime`.
    pub fn shown(self, pattern: &str) -> String {
        let end = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(end).strftime(pattern).to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown("%Y-%m-%d %H:%M:%S"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// A part beside what it is a part of.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Share {
    pub part: u64,
    pub of: u64,
    /// `part / of`, to six digits; 0 of nothing.
    pub share: f64,
}

impl Share {
    pub fn new(part: u64, of: u64) -> Self {
        let share = if of == 0 { 0.0 } else { (part as f64 / of as f64 * 1e6).round() / 1e6 };
        Self { part, of, share }
    }

    /// `1.2 %`. Says 0 % and 100 % of nothing else than that.
    pub fn percent(&self) -> String {
        let percent = if self.of == 0 { 0.0 } else { self.part as f64 / self.of as f64 * 100.0 };
        match percent {
            _ if self.part == 0 || self.of == 0 => "0 %".to_owned(),
            _ if self.part == self.of => "100 %".to_owned(),
            _ if percent < 0.01 => "< 0.01 %".to_owned(),
            _ if percent < 1.0 => format!("{percent:.2} %"),
            _ if (99.95..100.0).contains(&percent) => "> 99.9 %".to_owned(),
            _ => format!("{percent:.1} %"),
        }
    }

    /// `412 of 34,201 queries (1.2 %)`.
    pub(super) fn told(&self, one: &str, many: &str) -> String {
        let Self { part, of, .. } = *self;
        format!("{} of {} ({})", count(part), counted(of, one, many), self.percent())
    }
}

/// `34,201`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 client`, `3 clients`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `1 query`, `3 queries`.
pub(super) fn queries(number: u64) -> String {
    counted(number, "query", "queries")
}

/// How long from one time to another, in the largest unit of which it is a whole number, or nearly: `7 days`.
pub fn span(micros: i64) -> String {
    let units = [(DAY, "day", "days"), (HOUR, "hour", "hours"), (MINUTE, "minute", "minutes")];
    let fits = units.into_iter().find(|(unit, ..)| micros >= 2 * unit || (micros >= *unit && micros % unit == 0));
    let (unit, one, many) = fits.unwrap_or((SECOND, "second", "seconds"));
    let whole = (micros.max(0) + unit / 2) / unit;
    let nearly = if micros % unit == 0 { "" } else { "about " };
    format!("{nearly}{}", counted(whole.unsigned_abs(), one, many))
}

/// A foreign text so that it shows what it is: control characters and changes of direction as `\u{…}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |sign: char| sign.is_control() || DIRECTIONS.contains(&sign);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let show = |sign: char| if is_hidden(sign) { sign.escape_unicode().to_string() } else { sign.to_string() };
    Cow::Owned(text.chars().map(show).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (34_201, "34,201"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!((queries(1), queries(2)), ("1 query".to_owned(), "2 queries".to_owned()));
    }

    #[test]
    fn shares_say_nothing_that_is_not_so() {
        let percent = |part, of| Share::new(part, of).percent();
        for (part, of, text) in [
            (0, 0, "0 %"),
            (5, 0, "0 %"),
            (0, 9, "0 %"),
            (9, 9, "100 %"),
            (1, 1_000_000, "< 0.01 %"),
            (1, 1000, "0.10 %"),
            (412, 34_201, "1.2 %"),
            (99_999, 100_000, "> 99.9 %"),
            (3, 2, "150.0 %"),
        ] {
            assert_eq!(percent(part, of), text, "{part} of {of}");
        }
        assert_eq!(Share::new(1, 3).share, 0.333333);
        assert_eq!(Share::new(412, 34_201).told("query", "queries"), "412 of 34,201 queries (1.2 %)");
    }

    #[test]
    fn times_and_spans() {
        let moment = Moment(1_795_900_855_123_456);
        assert_eq!(moment.to_string(), "2026-11-28 21:20:55");
        assert_eq!(moment.day(), "2026-11-28");
        assert_eq!(serde_json::to_string(&moment).unwrap(), "\"2026-11-28T21:20:55Z\"");
        assert!(Moment(i64::MAX).to_string().starts_with("9999"));
        assert!(Moment(i64::MIN).to_string().starts_with('-'));
        for (micros, text) in [
            (7 * DAY, "7 days"),
            (DAY, "1 day"),
            (36 * HOUR, "36 hours"),
            (HOUR, "1 hour"),
            (90 * SECOND, "90 seconds"),
            (7 * DAY - SECOND, "about 7 days"),
            (0, "0 seconds"),
        ] {
            assert_eq!(span(micros), text);
        }
    }

    #[test]
    fn hidden_characters_show() {
        assert_eq!(visible("plain.example"), "plain.example");
        assert_eq!(visible("a\x1b[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
    }
}
