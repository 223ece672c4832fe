//! How numbers and times are written on a page.

pub use super::super::address::encoded;

use crate::{
    admin::view::weighed::Weighed,
    policy::Trigger,
    query_log::{Fate, Row, shown_micros},
    report::{self, Moment, span},
};
use std::borrow::Borrow;

// Templates hand over some values and references to others, hence `Borrow`.

/// `34,201`.
pub fn count(number: impl Borrow<u64>) -> String {
    report::count(*number.borrow())
}

/// `1 client`, `3 clients`.
pub fn counted(number: impl Borrow<u64>, one: &str, many: &str) -> String {
    report::counted(*number.borrow(), one, many)
}

/// Microseconds as `0.05 ms`, `25 ms`, `2.5 s`; what is beyond every bound of the histogram as such.
pub fn took(micros: impl Borrow<Option<u64>>) -> String {
    match *micros.borrow() {
        None => "longer".to_owned(),
        Some(micros) if micros < 1_000 => format!("{:.2} ms", micros as f64 / 1e3),
        Some(micros) if micros < 1_000_000 => format!("{} ms", micros as f64 / 1e3),
        Some(micros) => format!("{} s", micros as f64 / 1e6),
    }
}

/// Octets as `21.4 MiB`.
pub fn octets(bytes: impl Borrow<u64>) -> String {
    let bytes = *bytes.borrow();
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, word)) if bytes % unit == 0 => format!("{} {word}", bytes / unit),
        Some((unit, word)) => format!("{:.1} {word}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// Queries a second.
pub fn rate(rate: impl Borrow<f64>) -> String {
    let rate = *rate.borrow();
    if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{}/s", count(rate.round() as u64)) }
}

/// How long ago a time is: `3 hours ago`.
pub fn ago(then: impl Borrow<Moment>, now: impl Borrow<Moment>) -> String {
    match now.borrow().0.saturating_sub(then.borrow().0) / 1_000_000 {
        ..=1 => "just now".to_owned(),
        seconds => format!("{} ago", span(whole(seconds) * 1_000_000)),
    }
}

/// Seconds as a whole number of the unit in which they are told: nobody wants to know of the rest.
fn whole(seconds: i64) -> i64 {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    seconds / unit * unit
}

/// A time for programs, as `2026-11-28T21:20:55Z`.
pub fn stamp(time: impl Borrow<Moment>) -> String {
    time.borrow().shown("%Y-%m-%dT%H:%M:%SZ")
}

/// How long one answer took: `0.04 ms`, `25.0 ms`.
pub fn ms(micros: impl Borrow<u32>) -> String {
    let micros = *micros.borrow();
    match micros {
        0..1_000 => format!("{:.2} ms", f64::from(micros) / 1e3),
        1_000..100_000 => format!("{:.1} ms", f64::from(micros) / 1e3),
        _ => format!("{} ms", report::count(u64::from(micros / 1_000))),
    }
}

/// The letter of what became of a query, for its colour and shape, and its word.
pub fn fate(row: &Row) -> (&'static str, &'static str) {
    match row.fate() {
        Fate::Blocked => ("b", "blocked"),
        Fate::WouldBlock => ("w", "would be"),
        Fate::Excepted => ("e", "excepted"),
        Fate::Passed => ("p", "passed"),
        Fate::Refused => ("r", "refused"),
    }
}

/// A time for programs with all that is known of it, as `2026-11-28T21:20:55.123456Z`.
pub fn micros(time: impl Borrow<Moment>) -> String {
    shown_micros(time.borrow().0)
}

/// What of a query a rule matched.
pub fn trigger(trigger: impl Borrow<Trigger>) -> &'static str {
    match trigger.borrow() {
        Trigger::Client => "the client",
        Trigger::Qname => "the name asked",
        Trigger::Cname => "an alias that the name leads to (CNAME)",
        Trigger::Dname => "an alias that the name leads to (DNAME)",
        Trigger::SvcbTarget => "the target of a service that the answer names (HTTPS, SVCB)",
        Trigger::Address => "an address in the answer",
        Trigger::Hint => "an address that the answer hints at (HTTPS, SVCB)",
        Trigger::NsName => "the name of a name server that the answer is from",
        Trigger::NsAddress => "the address of a name server that the answer is from",
    }
}

/// The same of its word.
pub fn matched(word: &str) -> &str {
    let found = Trigger::ALL.into_iter().find(|own| own.word() == word);
    found.map(trigger).unwrap_or(word)
}

/// The letter of an exception's colour and shape, whose it is and whether it counts, and its line with the reason.
pub fn weighed(own: &Weighed) -> (&'static str, String, String) {
    let Weighed { rule, reason, counts, why } = own;
    let (letter, counts) = if *counts { ("e", "counts") } else { ("p", "doesn't count") };
    let (whose, text) = match rule.program.as_str() {
        "" => (format!("your exception at {}", rule.path), &rule.name),
        program => (format!("{program}/{}, {} line {}", rule.service, rule.list, rule.line), &rule.text),
    };
    let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    (letter, format!("{whose} {counts}"), format!("{text}{because}: {why}."))
}

/// What an Extended DNS Error code means (RFC 8914 §5.2).
pub fn ede(code: impl Borrow<u16>) -> Option<&'static str> {
    const WORDS: [&str; 25] = [
        "other",
        "unsupported DNSKEY algorithm",
        "unsupported DS digest type",
        "stale answer",
        "forged answer",
        "DNSSEC indeterminate",
        "DNSSEC bogus",
        "signature expired",
        "signature not yet valid",
        "DNSKEY missing",
        "RRSIGs missing",
        "no zone key bit set",
        "NSEC missing",
        "cached error",
        "not ready",
        "blocked",
        "censored",
        "filtered",
        "prohibited",
        "stale NXDOMAIN answer",
        "not authoritative",
        "not supported",
        "no reachable authority",
        "network error",
        "invalid data",
    ];
    WORDS.get(usize::from(*code.borrow())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_codes_are_told() {
        assert_eq!([ms(40), ms(1_240), ms(25_000), ms(2_500_000)], ["0.04 ms", "1.2 ms", "25.0 ms", "2,500 ms"]);
        assert_eq!((ede(15), ede(22), ede(25)), (Some("blocked"), Some("no reachable authority"), None));
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        for (micros, text) in [(50, "0.05 ms"), (2_500, "2.5 ms"), (25_000, "25 ms"), (2_500_000, "2.5 s")] {
            assert_eq!(took(Some(micros)), text);
        }
        assert_eq!(took(None), "longer");
        for (bytes, text) in [(12, "12 B"), (1536, "1.5 KiB"), (112 << 20, "112 MiB"), (3 << 30, "3 GiB")] {
            assert_eq!(octets(bytes), text);
        }
        assert_eq!((rate(0.25), rate(1234.4)), ("0.2/s".to_owned(), "1,234/s".to_owned()));
        let ago = |seconds: i64| super::ago(Moment(0), Moment(seconds * 1_000_000));
        assert_eq!(
            (ago(0), ago(59), ago(150), ago(7_300)),
            ("just now".to_owned(), "59 seconds ago".to_owned(), "2 minutes ago".to_owned(), "2 hours ago".to_owned())
        );
        assert_eq!(stamp(Moment(1_795_900_855_123_456)), "2026-11-28T21:20:55Z");
    }
}
