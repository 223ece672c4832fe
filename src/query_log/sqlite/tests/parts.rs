//! Sums of hours, in parts and merged, however they came to be.

use super::{
    super::{
        HOUR_PARTS, SCHEMA_VERSION, WITHOUT_PARTS,
        sums::{ROLLED_ROWS, merge},
    },
    *,
};
use rusqlite::Connection;

/// Rows of one past hour for some names, each asked for so many times.
fn hour(start: i64, names: usize, times: usize) -> Vec<Row> {
    let one = |index: usize| {
        row(start + index as i64 * 1_000, "192.168.1.1", &format!("n{}.example", index % names), &Arc::default())
    };
    (0..names * times).map(one).collect()
}

fn an_hour_ago() -> i64 {
    (now() / HOUR_MICROS - 1) * HOUR_MICROS
}

#[test]
fn alike_queries_of_an_hour_are_one_part_while_there_is_room() {
    let (_folder, path) = place();
    let rows = hour(an_hour_ago(), 50, 20);
    let mut writer = Writer::new(&path, LIMITS, origin());
    for piece in rows.chunks(170) {
        write(&mut writer, piece);
        writer.roll().unwrap();
    }
    assert_eq!((count_of("parts", &path), count_of("hours", &path)), (50, 0));
    // One is removed, as where there is no room: what comes is told all the same.
    open(&path).unwrap().execute("DELETE FROM parts WHERE name = 'n7.example'", []).unwrap();
    write(&mut writer, &rows);
    writer.finish();
    let left: BTreeMap<_, _> = sums_of(&path);
    assert_eq!((left.len(), left["n7.example"], left["n8.example"]), (50, 20, 40));
}

fn sums_of(path: &Path) -> BTreeMap<String, i64> {
    let connection = open(path).unwrap();
    let mut statement = connection.prepare("SELECT name, sum(count) FROM sums GROUP BY name").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn parts_of_an_hour_that_is_over_are_merged_where_that_is_of_use() {
    let many = ROLLED_ROWS as usize;
    for (names, times, processes, merged) in
        [(30, 100, 3, true), (3_000, 1, 3, true), (many, 1, 3, false), (many, 2, 1, true)]
    {
        let (_folder, path) = place();
        // One that isn't over for whoever wrote it.
        let start = an_hour_ago() + 2 * HOUR_MICROS;
        // Each process begins parts of its own.
        for piece in hour(start, names, times).chunks((names * times).div_ceil(processes)) {
            let mut writer = Writer::new(&path, LIMITS, origin());
            write(&mut writer, piece);
            writer.finish();
        }
        let before = sums(&path, 0, i64::MAX);
        let merge = |before| while merge(&mut open(&path).unwrap(), before).unwrap() {};
        merge(start / HOUR_MICROS);
        assert_eq!(count_of("hours", &path), 0, "the hour isn't over");
        for _ in 0..2 {
            merge(start / HOUR_MICROS + 1);
            let expected = if merged { (names as i64, 0) } else { (0, names as i64) };
            assert_eq!((count_of("hours", &path), count_of("parts", &path)), expected);
        }
        // A row that is late is told too.
        let mut writer = Writer::new(&path, LIMITS, origin());
        write(&mut writer, &hour(start, 1, 1));
        writer.finish();
        assert_eq!(count_of("parts", &path), 1 + if merged { 0 } else { names as i64 });
        forget_rows(&path);
        let mut expected = before;
        *expected.values_mut().next().unwrap() += 1;
        assert!(sums(&path, 0, start + HOUR_MICROS) == expected);
    }
}

#[test]
fn a_database_of_the_version_before_goes_on() {
    let (_folder, path) = place();
    let start = an_hour_ago();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../schema.sql")).unwrap();
    old.pragma_update(None, "user_version", WITHOUT_PARTS).unwrap();
    let hour_number = start / HOUR_MICROS;
    old.execute("UPDATE meta SET value = ? WHERE key = 'gone'", [start]).unwrap();
    for (hour, count) in [(hour_number, 5), (hour_number - 24 * 40, 7)] {
        let time = hour * HOUR_MICROS;
        old.execute(
            "INSERT INTO hours VALUES (?1, 'n0.example', '192.168.1.1', 0, '', 128, ?2, ?3, ?3)",
            [hour, count, time],
        )
        .unwrap();
    }
    let total = |path: &Path| sums(path, 0, now()).values().sum::<u64>();
    open_reader_only(&path, |path| assert_eq!(total(path), 12, "it can be read as it is"));
    let mut writer = Writer::new(&path, LIMITS, origin());
    assert_eq!(write(&mut writer, &hour(start, 2, 3)), 0);
    // Whoever had it open before goes on, as while another process takes over.
    old.execute("UPDATE hours SET count = count + 1 WHERE hour = ?", [hour_number]).unwrap();
    writer.finish();
    let version: i64 = old.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!((version, read(&path, start, now()).len()), (SCHEMA_VERSION, 6));
    forget_rows(&path);
    assert_eq!(total(&path), 19);
    assert_eq!(Reader::open(&path).unwrap().first().unwrap(), Some((hour_number - 24 * 40) * HOUR_MICROS));
    trim(&path, LIMITS, now());
    assert_eq!((count_of("days", &path), count_of("hours", &path), count_of("parts", &path)), (1, 3, 0));
    assert_eq!(total(&path), 19, "in days and hours");
    trim(&path, Limits { keep: Duration::ZERO, ..LIMITS }, now() + DAY_MICROS);
    assert_eq!((count_of("days", &path), count_of("sums", &path), total(&path)), (4, 0, 19));
}

/// Looks, and sees to it that looking changed nothing.
fn open_reader_only(path: &Path, look: impl FnOnce(&Path)) {
    look(path);
    let version: i64 = Connection::open(path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, WITHOUT_PARTS);
}

#[test]
fn hours_have_room_for_as_many_parts_as_there_can_be_rows() {
    // Of the latest time that can be written down.
    const { assert!(i64::MAX / HOUR_MICROS < i64::MAX / HOUR_PARTS) };
}
