//! It stays within its bounds, whatever is asked, whoever reads and whatever the clock says.

use super::*;

/// Rows of one hour, from a time on, each for a name that nobody asked for before.
fn unique(start: i64, numbers: std::ops::Range<i64>) -> Vec<Row> {
    let one = |number: i64| Row {
        addresses: vec![std::net::Ipv4Addr::from_bits(number as u32).into()],
        ..row(start + number * 1_000, "192.168.1.1", &format!("{:x}.example.com", number * 7919), &Arc::default())
    };
    numbers.map(one).collect()
}

fn octets(path: &Path) -> u64 {
    let size = |ending| fs::metadata(format!("{}{ending}", path.display())).map_or(0, |file| file.len());
    size("") + size("-wal")
}

#[test]
fn rows_have_numbers_that_never_come_again() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let (old, new) = (traffic(1_000, 2), unique(now() - MINUTE_MICROS, 0..50));
    write(&mut writer, &old);
    writer.finish();
    let keep = Duration::from_secs(1_800);
    trim(&path, Limits { keep, ..LIMITS }, now());
    assert_eq!(count_of("queries", &path), 0);
    write(&mut writer, &new);
    let sums = |from, to| {
        let mut count = 0;
        Reader::open(&path).unwrap().for_each(from, to, |seen| count += seen.count).unwrap();
        count
    };
    assert_eq!((sums(now() - 2 * MINUTE_MICROS, now()), sums(0, now())), (50, 1_050), "before they are summed up");
    writer.finish();
    assert_eq!((sums(now() - 2 * MINUTE_MICROS, now()), sums(0, now())), (50, 1_050), "and after");
}

#[test]
fn it_takes_so_many_octets_and_has_something_of_everything() {
    let (_folder, path) = place();
    let limits = Limits { bytes: 16 << 20, ..LIMITS };
    let mut writer = Writer::new(&path, limits, origin());
    let start = now() - 10 * HOUR_MICROS;
    for piece in 0..40 {
        assert_eq!(
            write(&mut writer, &unique(start + piece * 8 * MINUTE_MICROS, piece * 4_000..(piece + 1) * 4_000)),
            0
        );
        writer.roll().unwrap();
        writer.trim(|| true).unwrap();
        assert!(octets(&path) <= limits.bytes + (1 << 20), "{} octets after {piece}", octets(&path));
    }
    let last = start + 40 * 8 * MINUTE_MICROS;
    assert!(read(&path, last - 20 * MINUTE_MICROS, i64::MAX).len() > 4_000, "the newest are there");
    for table in ["queries", "sums", "leads"] {
        assert!(count_of(table, &path) > 5_000, "{} {table}", count_of(table, &path));
    }
    // Nothing is too old, so it is known that room was wanting, and for which rows.
    let early = Reader::open(&path).unwrap().removed_early().unwrap().unwrap();
    let first: i64 = open(&path).unwrap().query_row("SELECT min(time) FROM queries", [], |row| row.get(0)).unwrap();
    assert!(early > start && early <= first, "{start} {early} {first}");
}

#[test]
fn who_reads_for_long_does_not_empty_it() {
    let (_folder, path) = place();
    let limits = Limits { bytes: 16 << 20, ..LIMITS };
    let mut writer = Writer::new(&path, limits, origin());
    let start = now() - HOUR_MICROS;
    assert_eq!(write(&mut writer, &unique(start, 0..4_000)), 0);
    let reader = open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM queries", [], |row| row.get::<_, u64>(0)).unwrap();
    let mut dropped = 0;
    for piece in 1..40 {
        dropped += write(&mut writer, &unique(start, piece * 4_000..(piece + 1) * 4_000));
        writer.trim(|| true).unwrap();
        assert!(octets(&path) <= limits.bytes + (4 << 20), "{} octets after {piece}", octets(&path));
    }
    assert!(dropped > 0, "the journal is full");
    assert!(count_of("queries", &path) >= 8_000, "what was there stays");
    drop(reader);
    assert_eq!(write(&mut writer, &unique(now(), 0..10)), 0, "and it goes on at once");
    assert_eq!(read(&path, now() - MINUTE_MICROS, i64::MAX).len(), 10);
}

#[test]
fn rows_are_found_and_removed_whatever_the_clock_did() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let base = now() - 5 * HOUR_MICROS;
    let at =
        |minute: i64| row(base + minute * MINUTE_MICROS, "192.168.1.1", &format!("m{minute}.example"), &Arc::default());
    // The clock is twenty minutes ahead, and set back; then it is a year ahead for a moment.
    let year = 365 * 24 * 60;
    for minutes in [vec![60, 61, 62], vec![40, 41, 50, 61, 62, 63], vec![year], vec![64, 65, 66]] {
        write(&mut writer, &minutes.iter().map(|minute| at(*minute)).collect::<Vec<_>>());
        writer.finish();
    }
    let found = |from: i64, to: i64| {
        let rows = read(&path, base + from * MINUTE_MICROS, base + to * MINUTE_MICROS);
        rows.iter().map(|row| (row.time - base) / MINUTE_MICROS).collect::<Vec<_>>()
    };
    assert_eq!(found(60, 64), [60, 61, 62, 61, 62, 63]);
    assert_eq!(found(64, 70), [64, 65, 66]);
    assert_eq!(found(0, 42), [40, 41]);
    let keep = Duration::from_micros((now() - base - 63 * MINUTE_MICROS - MINUTE_MICROS / 2) as u64);
    trim(&path, Limits { keep, ..LIMITS }, now());
    assert_eq!(found(64, 2 * year), [year, 64, 65, 66]);
    assert_eq!(count_of("queries", &path), 4);
    assert_eq!(sums(&path, 0, now()).values().sum::<u64>(), 12, "nothing is missing in the sums");
}

#[test]
fn where_there_is_no_room_whole_hours_go() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    for hour in 0..6 {
        write(&mut writer, &unique(now() - (7 - hour) * HOUR_MICROS, hour * 25_000..(hour + 1) * 25_000));
    }
    writer.finish();
    let pages = fs::metadata(&path).unwrap().len();
    trim(&path, Limits { bytes: pages / 3 + (4 << 20), ..LIMITS }, now());
    let connection = open(&path).unwrap();
    let hours: Vec<(i64, i64)> = connection
        .prepare("SELECT hour, sum(count) FROM sums GROUP BY hour ORDER BY hour")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let going: Option<i64> =
        connection.query_row("SELECT value FROM meta WHERE key = 'hours_going'", [], |row| row.get(0)).unwrap();
    let all: Vec<i64> = hours.iter().filter(|(hour, _)| Some(*hour) != going).map(|(_, count)| *count).collect();
    assert!(!all.is_empty() && all.len() < 7, "{hours:?}");
    forget_rows(&path);
    let told = sums(&path, 0, now()).values().sum::<u64>();
    assert_eq!(told as i64, all.iter().sum::<i64>(), "an hour of which a part is gone isn't told");
    connection.execute("UPDATE meta SET value = (SELECT min(hour) FROM sums) WHERE key = 'hours_going'", []).unwrap();
    trim(&path, LIMITS, now());
    let left: i64 =
        connection.query_row("SELECT count(*) FROM sums WHERE hour <= ?", [hours[0].0], |row| row.get(0)).unwrap();
    let going: Option<i64> =
        connection.query_row("SELECT value FROM meta WHERE key = 'hours_going'", [], |row| row.get(0)).unwrap();
    assert_eq!((left, going), (0, None), "what was begun is ended, though there is room again");
}

#[test]
fn a_minute_of_reading_does_not_stop_the_trimming() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &traffic(100, 1));
    writer.finish();
    let reader = open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM queries", [], |row| row.get::<_, u64>(0)).unwrap();
    trim(&path, Limits { keep: Duration::ZERO, ..LIMITS }, now() + MINUTE_MICROS);
    drop(reader);
    assert_eq!(count_of("queries", &path), 0);
}
