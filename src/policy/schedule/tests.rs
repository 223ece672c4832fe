//! Texts that are schedules and texts that are none, and when they are on, by jiff's own calendar.

use super::{window::EVERY_DAY, *};
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
