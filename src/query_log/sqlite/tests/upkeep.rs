//! Upkeep goes in steps, and whatever their size and wherever they end, each query counts once.

use super::{
    super::{
        PIECE_ROWS,
        fold::fold,
        sums::{RUN_PARTS, merge},
    },
    *,
};
use rusqlite::Connection;

/// By day, name, client, verdicts, rules and kind: count, first and last.
type Days = BTreeMap<Alike, (i64, i64, i64)>;
type Alike = (i64, String, String, i64, String, i64);

fn told(path: &Path, from: &str) -> Days {
    let connection = open(path).unwrap();
    let mut statement = connection.prepare(from).unwrap();
    let told = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(Alike, _)> {
        let alike = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        Ok((alike, (row.get(6)?, row.get(7)?, row.get(8)?)))
    };
    let all = statement.query_map([], told).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let (count, all) = (all.len(), Days::from_iter(all));
    assert_eq!(all.len(), count, "each stands once");
    all
}

/// What rows add up to by day, counted plainly.
fn by_rows(path: &Path) -> Days {
    let day = DAY_MICROS;
    told(
        path,
        &format!(
            "SELECT time / {day}, name, client, verdicts, rules, kind, count(*), min(time), max(time)
             FROM queries GROUP BY 1, 2, 3, 4, 5, 6"
        ),
    )
}

/// The same by what sums of hours and days say together.
fn by_sums(path: &Path) -> Days {
    told(
        path,
        "SELECT day, name, client, verdicts, rules, kind, sum(count), min(first), max(last) FROM
         (SELECT * FROM days UNION ALL SELECT hour / 24, name, client, verdicts, rules, kind, count, first, last FROM sums)
         GROUP BY 1, 2, 3, 4, 5, 6",
    )
}

fn by_days(path: &Path) -> Days {
    told(path, "SELECT * FROM days")
}

/// A database of some rows of the last days, written by several processes; hours are merged or not.
fn written(rows: usize, batch: usize, are_merged: bool) -> (TempDir, PathBuf) {
    let (folder, path) = place();
    for (number, piece) in traffic(rows, 3).chunks(batch).enumerate() {
        let mut writer = Writer::new(&path, LIMITS, origin());
        assert_eq!(write(&mut writer, piece), 0);
        writer.roll().unwrap();
        // It doesn't end by itself.
        std::mem::forget(writer);
        if are_merged && number.is_multiple_of(3) {
            let hour = piece.last().unwrap().time / HOUR_MICROS;
            merge(&mut open(&path).unwrap(), hour).unwrap();
        }
    }
    (folder, path)
}

fn tomorrow() -> i64 {
    now() / DAY_MICROS + 1
}

#[test]
fn days_are_what_rows_add_up_to_whatever_the_steps() {
    for (rows, batch, pieces) in
        [(400, 37, &[1][..]), (900, 100, &[2, 1, 5]), (3_000, 250, &[100, 7]), (3_000, 1_000, &[20_000])]
    {
        let (_folder, path) = written(rows, batch, true);
        let expected = by_rows(&path);
        assert!(by_sums(&path) == expected && count_of("hours", &path) > 0 && count_of("parts", &path) > 0);
        let mut steps = 0;
        // Each step is another process: the one before was killed.
        while fold(&mut open(&path).unwrap(), tomorrow(), pieces[steps % pieces.len()]).unwrap() {
            steps += 1;
            if steps.is_multiple_of(10) {
                assert!(by_sums(&path) == expected, "after {steps} steps of {pieces:?}");
            }
        }
        assert!(by_days(&path) == expected, "{pieces:?}");
        assert_eq!(count_of("sums", &path), 0);
        assert!(steps >= 3, "a day at once");
    }
}

#[test]
fn a_step_that_breaks_off_changed_nothing() {
    for table in ["parts", "hours"] {
        let (_folder, path) = written(600, 60, table == "hours");
        let expected = by_rows(&path);
        let mut connection = open(&path).unwrap();
        let fails = format!(
            "CREATE TEMP TRIGGER fails BEFORE DELETE ON {table} WHEN old.name = 'n7.example' BEGIN
             SELECT RAISE(ROLLBACK, 'the disk is full'); END"
        );
        connection.execute_batch(&fails).unwrap();
        let failed = loop {
            match fold(&mut connection, tomorrow(), 40) {
                Ok(true) => {}
                other => break other,
            }
        };
        assert!(failed.is_err(), "{failed:?} of {table}");
        assert!(by_sums(&path) == expected, "{table}");
        connection.execute_batch("DROP TRIGGER temp.fails").unwrap();
        while fold(&mut connection, tomorrow(), 40).unwrap() {}
        assert!(by_days(&path) == expected);
    }
}

/// As versions wrote them that knew no runs.
#[test]
fn parts_in_no_order_become_days_all_the_same() {
    let (_folder, path) = written(1_000, 100, false);
    let expected = by_rows(&path);
    let connection = open(&path).unwrap();
    // Their order is another one, and stays within an hour.
    connection
        .execute_batch(&format!(
            "CREATE TEMP TABLE shuffled AS SELECT id / {HOUR} * {HOUR} + row_number() OVER (ORDER BY id * 7919 % 1009) AS id,
               name, client, verdicts, rules, kind, count, first, last FROM main.parts;
             DELETE FROM main.parts; INSERT INTO main.parts SELECT * FROM shuffled",
            HOUR = super::super::HOUR_PARTS
        ))
        .unwrap();
    assert!(by_sums(&path) == expected);
    for piece in [3, 50, 1].into_iter().cycle() {
        if !fold(&mut open(&path).unwrap(), tomorrow(), piece).unwrap() {
            break;
        }
        assert!(by_sums(&path) == expected);
    }
    assert!(by_days(&path) == expected);
}

#[test]
fn parts_that_are_written_together_stand_in_the_order_of_names() {
    let (_folder, path) = written(2_000, 300, false);
    let connection = open(&path).unwrap();
    let unordered = format!(
        "SELECT count(*) FROM (SELECT name, lag(name) OVER (PARTITION BY id / {RUN_PARTS} ORDER BY id) AS before FROM parts)
         WHERE name < before"
    );
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&unordered), 0);
    assert!(count(&format!("SELECT count(DISTINCT id / {RUN_PARTS}) FROM parts")) > 3);
}

/// Goes on by less than so many pieces at once, as often as it takes, and says how often that was.
fn trim_by(pieces: usize, connection: &mut Connection, limits: Limits, mut between: impl FnMut()) -> usize {
    let (mut upkeep, mut times) = (Upkeep::default(), 0);
    loop {
        let (mut left, mut sums) = (pieces, Default::default());
        let mut may_go_on = || {
            left = left.saturating_sub(1);
            left > 0
        };
        times += 1;
        if upkeep.trim(connection, &mut sums, limits, now(), &mut may_go_on).unwrap() {
            return times;
        }
        between();
        assert!(times < 10_000, "it comes to an end");
    }
}

#[test]
fn rows_are_written_between_the_steps() {
    let (_folder, path) = written(3_000, 250, true);
    let expected = by_rows(&path);
    let limits = Limits { keep: Duration::from_secs(86_400), ..LIMITS };
    let mut writer = Writer::new(&path, LIMITS, origin());
    let mut written = 0;
    let times = trim_by(8, &mut open(&path).unwrap(), limits, || {
        let new = row(now(), "192.168.1.99", "new.example", &Arc::default());
        assert_eq!(write(&mut writer, &[new]), 0);
        written += 1;
    });
    assert!(times > 1 && written == times - 1, "{times} {written}");
    writer.finish();
    let mut left = by_sums(&path);
    let of_new: i64 = left.extract_if(.., |(_, name, ..), _| name == "new.example").map(|(_, (count, ..))| count).sum();
    assert_eq!(of_new, written as i64);
    assert!(left == expected);
    let whole_days = (now() - DAY_MICROS) / DAY_MICROS;
    let old = expected.iter().filter(|((day, ..), _)| *day < whole_days).map(|(alike, told)| (alike.clone(), *told));
    assert!(by_days(&path) == old.collect::<Days>());
    let old = format!("(SELECT 1 FROM queries WHERE time < {})", now() - DAY_MICROS - MINUTE_MICROS);
    assert_eq!(count_of(&old, &path), 0);
}

/// They are looked at, but once.
#[test]
fn rows_of_a_clock_that_was_ahead_do_not_hold_up_the_rest() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = |start: i64| {
        let one =
            |number: i64| row(start + number * 1_000, "192.168.1.1", &format!("n{number}.example"), &Arc::default());
        (0..PIECE_ROWS * 3).map(one).collect::<Vec<_>>()
    };
    for start in [now() + DAY_MICROS, now() - 3 * DAY_MICROS, now() - HOUR_MICROS] {
        assert_eq!(write(&mut writer, &rows(start)), 0);
    }
    writer.finish();
    let limits = Limits { keep: Duration::from_secs(86_400), ..LIMITS };
    trim_by(8, &mut open(&path).unwrap(), limits, || ());
    assert_eq!(count_of("queries", &path), 2 * 3 * PIECE_ROWS);
}

#[test]
fn leads_that_were_not_seen_for_long_go_piece_by_piece() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let day = now() / DAY_MICROS * DAY_MICROS;
    let lead = |number: i64| {
        let time = day - DAY_MICROS * (number % 4);
        let addresses = vec![std::net::Ipv4Addr::from_bits(number as u32).into()];
        Row { addresses, ..row(time, "192.168.1.1", &format!("n{number}.example"), &Arc::default()) }
    };
    let count = PIECE_ROWS * 4 * 5 / 2;
    assert_eq!(write(&mut writer, &(0..count).map(lead).collect::<Vec<_>>()), 0);
    writer.finish();
    let limits = Limits { keep: Duration::from_secs(2 * 86_400), ..LIMITS };
    trim_by(8, &mut open(&path).unwrap(), limits, || ());
    let connection = open(&path).unwrap();
    let first: i64 = connection.query_row("SELECT min(last) FROM leads", [], |row| row.get(0)).unwrap();
    assert_eq!((count_of("leads", &path), first), (count * 3 / 4, day - 2 * DAY_MICROS));
}

#[test]
fn room_is_made_though_there_is_no_time() {
    let (_folder, path) = place();
    let limits = Limits { bytes: 16 << 20, ..LIMITS };
    let mut writer = Writer::new(&path, LIMITS, origin());
    let mut add = |piece: i64| {
        let start = now() - 20 * HOUR_MICROS + piece * HOUR_MICROS;
        let one = |number: i64| {
            let name = format!("{:x}.example.com", (piece * 4_000 + number) * 7919);
            Row {
                addresses: vec!["192.0.2.1".parse().unwrap()],
                ..row(start + number, "192.168.1.1", &name, &Arc::default())
            }
        };
        assert_eq!(write(&mut writer, &(0..4_000).map(one).collect::<Vec<_>>()), 0);
        writer.roll().unwrap();
    };
    // More than is allowed, as after the bound was lowered; it doesn't become more from then on.
    (0..15).for_each(&mut add);
    let (mut upkeep, mut connection) = (Upkeep::default(), open(&path).unwrap());
    let mut trim = |may_go_on: bool| {
        upkeep.trim(&mut connection, &mut Default::default(), limits, now(), &mut || may_go_on).unwrap();
        super::super::bounds::used(&connection).unwrap()
    };
    let before = trim(false);
    assert!(before > limits.page_bytes(), "{before}");
    for piece in 15..20 {
        add(piece);
        assert!(trim(false) <= before, "{piece}");
    }
    assert!(trim(true) <= limits.page_bytes());
    add(20);
    assert!(trim(false) <= limits.page_bytes(), "what is within its bound stays so");
}

#[test]
fn a_day_that_is_made_of_its_hours_goes_with_all_its_names() {
    let (_folder, path) = written(400, 37, true);
    let mut connection = open(&path).unwrap();
    let first = by_sums(&path).into_keys().next().unwrap().0;
    let of_first = || by_sums(&path).into_iter().filter(|(alike, _)| alike.0 == first).collect::<Days>();
    let whole = of_first();
    // Some of its names are moved, and then there is no room.
    assert!(fold(&mut connection, first + 1, 5).unwrap());
    assert!(!by_days(&path).is_empty() && by_days(&path).len() < whole.len());
    let mut upkeep = Upkeep::default();
    // Rows and leads have all the room they want.
    let mut remove =
        || upkeep.remove_oldest(&mut connection, &mut Default::default(), u64::MAX, now(), &mut Some(0)).unwrap();
    while !of_first().is_empty() {
        assert_eq!(of_first(), whole);
        assert!(remove());
    }
}
