//! Time zones by name. They are built in: a scratch image has none, and nothing here reads the system's.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};
use std::{fmt, sync::LazyLock};

/// Octets of a time zone's name that are looked at: the longest has 32.
const ZONE_BYTES_MAX: usize = 64;

/// The zones inside this program.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone by its IANA name.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A name that no time zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone; {}", match .near {
    Some(near) => format!("did you mean {near}?"),
    None => "write an IANA name, such as Europe/Berlin or America/New_York".to_owned(),
})]
pub struct UnknownZone {
    pub name: String,
    /// The zone that was most likely meant.
    pub near: Option<String>,
}

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A zone such as `Europe/Berlin`; letter case doesn't matter.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        if name.len() > ZONE_BYTES_MAX || name.chars().any(char::is_control) {
            let start: String = name.chars().take(ZONE_BYTES_MAX).collect();
            return Err(UnknownZone { name: start.escape_debug().to_string(), near: None });
        }
        let zone = ZONES.get(name).ok().filter(|zone| !zone.is_unknown());
        zone.map(Self).ok_or_else(|| UnknownZone { name: name.to_owned(), near: nearest_zone(name) })
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first second since 1970 (UTC) after a day of this zone's calendar; `None` if the calendar has no such day.
    /// What holds through that day holds while the time is less.
    pub fn end_of_day(&self, year: i16, month: i8, day: i8) -> Option<i64> {
        let date = Date::new(year, month, day).ok()?;
        // Where a day's first hour is skipped, it begins with the second.
        let next = date.tomorrow().and_then(|next| self.0.to_timestamp(next.into()));
        // The calendar ends with the year 9999; whoever writes that means never.
        Some(next.map_or(i64::MAX, Timestamp::as_second))
    }

    /// Microseconds since 1970 (UTC) of a time such as `2026-11-28T21:00Z`, or one without an offset, which is this zone's.
    pub fn micros(&self, text: &str) -> Option<i64> {
        let time = text.parse::<Timestamp>().ok().or_else(|| {
            let local = text.parse::<DateTime>().ok().filter(|_| !text.ends_with(['Z', 'z']))?;
            self.0.to_timestamp(local).ok()
        });
        time.map(Timestamp::as_microsecond)
    }

    /// Seconds since 1970 (UTC) as a clock in this zone shows them: `2026-11-28 22:00 Europe/Berlin`.
    pub fn shown(&self, seconds: i64) -> String {
        let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(self.0.clone());
        format!("{} {self}", time.strftime("%Y-%m-%d %H:%M"))
    }

    /// As the library has it.
    #[cfg(test)]
    pub(super) fn inner(&self) -> &TimeZone {
        &self.0
    }

    /// What the clock on the wall shows, as seconds since it showed 1970-01-01 00:00.
    pub(super) fn local_seconds(&self, unix_seconds: i64) -> i64 {
        let offset = Timestamp::from_second(unix_seconds).map_or(0, |time| self.0.to_offset(time).seconds());
        unix_seconds.saturating_add(offset.into())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}

/// The zone that somebody who wrote `name` most likely meant.
fn nearest_zone(name: &str) -> Option<String> {
    let wanted = name.trim().replace(' ', "_").to_ascii_lowercase();
    let city = |zone: &str| zone.rsplit('/').next().unwrap_or(zone).to_ascii_lowercase();
    let distance = |zone: &str| {
        let whole = strsim::damerau_levenshtein(&wanted, &zone.to_ascii_lowercase());
        // A city without its continent, or with another one's.
        whole.min(strsim::damerau_levenshtein(&city(&wanted), &city(zone)) + 1)
    };
    let zones = ZONES.available().map(|zone| zone.as_str().to_owned());
    let (far, zone) = zones.map(|zone| (distance(&zone), zone)).min()?;
    // A third of the letters may differ: more than that is another place.
    (far <= city(&wanted).chars().count() / 3 + 1).then_some(zone)
}

/// Seconds since 1970 (UTC) as `2026-11-23 08:05 UTC`, for reports.
pub fn shown_time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time as RFC 3339 text.
    fn at(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_day_ends_where_the_next_begins() {
        for (zone, (year, month, day), end) in [
            ("UTC", (2027, 1, 31), "2027-02-01T00:00:00Z"),
            ("Europe/Berlin", (2027, 1, 31), "2027-01-31T23:00:00Z"),
            ("Europe/Berlin", (2026, 3, 29), "2026-03-29T22:00:00Z"),
            ("America/New_York", (2026, 12, 31), "2027-01-01T05:00:00Z"),
            ("Australia/Lord_Howe", (2026, 1, 31), "2026-01-31T13:00:00Z"),
            // The next day has no midnight.
            ("Africa/Cairo", (2026, 4, 23), "2026-04-23T22:00:00Z"),
            // The next day has two.
            ("America/Havana", (2026, 10, 31), "2026-11-01T04:00:00Z"),
            ("UTC", (1969, 12, 31), "1970-01-01T00:00:00Z"),
        ] {
            let zone = Zone::named(zone).unwrap();
            assert_eq!(zone.end_of_day(year, month, day), Some(at(end)), "{zone:?} {year}-{month}-{day}");
        }
        assert_eq!(Zone::utc().end_of_day(9999, 12, 31), Some(i64::MAX));
        for (year, month, day) in [(2027, 2, 29), (2027, 13, 1), (2027, 0, 1), (2027, 4, 31), (2100, 2, 29)] {
            assert_eq!(Zone::utc().end_of_day(year, month, day), None, "{year}-{month}-{day}");
        }
    }

    #[test]
    fn every_zone_is_there_and_can_be_shown() {
        let zones: Vec<String> = ZONES.available().map(|zone| zone.as_str().to_owned()).collect();
        assert!(zones.len() > 400, "{}", zones.len());
        for name in zones {
            let zone = Zone::named(&name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Zone::named(zone.name()).as_ref(), Ok(&zone), "{name}");
        }
        assert_eq!(Zone::named("UTC"), Ok(Zone::utc()));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for name in ["", "Etc/Unknown", "Local", "/etc/localtime", "../UTC", "U\nTC", &"a".repeat(10_000)] {
            assert!(Zone::named(name).is_err(), "{name}");
        }
    }

    #[test]
    fn times_of_a_zone_are_read_and_shown() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (text, expected) in [
            ("2026-11-28T22:00", "2026-11-28T21:00:00Z"),
            ("2026-06-28T22:00:30", "2026-06-28T20:00:30Z"),
            ("2026-11-28T22:00:00Z", "2026-11-28T22:00:00Z"),
            ("2026-11-28T22:00:00+02:00", "2026-11-28T20:00:00Z"),
        ] {
            assert_eq!(berlin.micros(text), Some(at(expected) * 1_000_000), "{text}");
        }
        for text in ["", "tomorrow", "22:00", "2026-11-28T25:00", "2026-13-01T00:00"] {
            assert_eq!(berlin.micros(text), None, "{text}");
        }
        assert_eq!(berlin.shown(at("2026-11-28T21:00:00Z")), "2026-11-28 22:00 Europe/Berlin");
    }

    #[test]
    fn times_are_shown_as_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59 UTC"),
            (1_767_225_600, "2026-01-01 00:00 UTC"),
            (i64::MAX, "9999-12-30 22:00 UTC"),
        ] {
            assert_eq!(shown_time(seconds), expected, "{seconds}");
        }
    }
}
