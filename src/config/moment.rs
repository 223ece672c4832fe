//! Times as people write them, wherever they do: in forms, addresses and commands.

use super::duration;
use crate::policy::Zone;

/// A time, in microseconds since 1970: `2026-11-28T21:00:00Z`; one without an offset, or a day, which is its midnight, is
/// `zone`'s.
pub fn moment(text: &str, zone: &Zone) -> Result<i64, String> {
    read(text, zone).ok_or_else(|| {
        format!("`{text}` is no time; write a day as 2026-11-28, or a time as 2026-11-28T21:00 ({zone}) or 2026-11-28T21:00:00Z")
    })
}

/// The same, or how long before `now` (microseconds since 1970) it was: `2h`, `7d`.
pub fn moment_or_ago(text: &str, zone: &Zone, now: i64) -> Result<i64, String> {
    if let Ok(ago) = duration(text.trim()) {
        return Ok(now.saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX)).max(0));
    }
    read(text, zone).ok_or_else(|| {
        format!(
            "`{text}` is no time; write 2h for two hours ago, a day as 2026-11-28, or a time as 2026-11-28T21:00 ({zone}) \
             or 2026-11-28T21:00:00Z"
        )
    })
}

fn read(text: &str, zone: &Zone) -> Option<i64> {
    // A zone is the configuration's, and no part of a time.
    zone.micros(text.trim()).filter(|_| !text.contains('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_900_000_000_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-11-28", Some(1_795_824_000_000_000)),
            ("2026-11-28T01:00:00Z", Some(1_795_827_600_000_000)),
            ("2026-11-28T01:00:00.25Z", Some(1_795_827_600_250_000)),
            ("2026-11-28T01:00:00+01:00", Some(1_795_824_000_000_000)),
            ("2026-11-28T11:00:00", Some(1_795_863_600_000_000)),
            (" 2026-11-28T11:00 ", Some(1_795_863_600_000_000)),
            ("2026-11-28 11:00", Some(1_795_863_600_000_000)),
            ("2026-11-28T11:00:00[Europe/Berlin]", None),
            ("2026-11-28T11:00:00Z[Europe/Berlin]", None),
            ("yesterday", None),
            ("2026-13-28", None),
            ("11:00", None),
            ("", None),
        ] {
            assert_eq!(moment(text, &Zone::utc()).ok(), expected, "{text}");
            assert_eq!(moment_or_ago(text, &Zone::utc(), NOW).ok(), expected, "{text}");
        }
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (text, utc) in [
            ("2026-11-28", "2026-11-27T23:00Z"),
            ("2026-11-28T22:00", "2026-11-28T21:00Z"),
            ("2026-06-28T22:00:30", "2026-06-28T20:00:30Z"),
            ("2026-11-28T22:00:00Z", "2026-11-28T22:00Z"),
        ] {
            assert_eq!(moment(text, &berlin), moment(utc, &Zone::utc()), "{text}");
        }
        assert_eq!(moment_or_ago("7d", &berlin, NOW), Ok(NOW - 7 * 86_400_000_000));
        assert_eq!(moment_or_ago("90m", &berlin, NOW), Ok(NOW - 5_400_000_000));
        assert_eq!(moment_or_ago("90000d", &berlin, NOW).ok(), Some(0), "nothing was before 1970");
        assert!(moment("90m", &berlin).is_err(), "not a length");
        let told = moment("soon", &berlin).unwrap_err();
        assert!(
            told.starts_with("`soon` is no time; write a day as ") && told.contains("T21:00 (Europe/Berlin)"),
            "{told}"
        );
    }
}
