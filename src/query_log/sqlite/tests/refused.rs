//! What was refused is a kind of its own: in rows, sums and minutes, and by hand.

use super::{
    super::{FATE, Page, Reader, Writer},
    LIMITS, MINUTE_MICROS, Sink, forget_rows, now, open, origin, place, row, write,
};
use crate::{
    dns::Rcode,
    query_log::{Fate, Row, Search},
};
use std::{path::Path, sync::Arc};

/// Two that passed and three that were refused, of one minute.
fn rows() -> Vec<Row> {
    let minute = now().div_euclid(MINUTE_MICROS) * MINUTE_MICROS;
    let passed = |name: &str| row(minute, "192.168.1.1", name, &Arc::default());
    let refused = |name: &str, rcode, ede| Row { rcode, ede, cache: None, security: None, ..passed(name) };
    vec![
        passed("a.example"),
        // What somebody else refuses was asked for.
        Row { rcode: Rcode::REFUSED, ede: Some(18), ..passed("b.example") },
        refused("c.example", Rcode::REFUSED, Some(18)),
        refused("", Rcode::FORMERR, None),
        refused("d.example", Rcode::SERVFAIL, Some(0)),
    ]
}

fn refused(path: &Path) -> Vec<String> {
    let search = Search { fates: vec![Fate::Refused], ..Search::default() };
    let found = Reader::open(path).unwrap().search(&search, Page::Before(i64::MAX), 10, || true).unwrap();
    let mut names: Vec<String> = found.rows.into_iter().map(|(_, row)| row.name).collect();
    names.sort();
    names
}

fn by_hand(path: &Path) -> Vec<(String, i64)> {
    let connection = open(path).unwrap();
    let mut statement = connection.prepare("SELECT fate, count(*) FROM log GROUP BY 1 ORDER BY 1").unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    found.collect::<rusqlite::Result<_>>().unwrap()
}

/// Counts by fate, in the order of [`Fate::ALL`].
fn fates(path: &Path) -> [u64; 5] {
    let mut fates = [0; 5];
    let count = |seen: crate::query_log::Seen<'_>| fates[seen.row.fate() as usize] += seen.count;
    Reader::open(path).unwrap().for_each(0, i64::MAX, count).unwrap();
    fates
}

fn minutes(path: &Path) -> [u64; 5] {
    let minutes = Reader::open(path).unwrap().minutes(0, i64::MAX).unwrap();
    assert_eq!(minutes.len(), 1);
    minutes[0].1
}

#[test]
fn what_was_refused_is_told_apart() {
    let (_folder, path) = place();
    let rows = rows();
    let is_prohibited: Vec<bool> = rows.iter().map(Row::is_prohibited).collect();
    assert_eq!(is_prohibited, [false, false, true, false, false]);
    let mut writer = Writer::new(&path, LIMITS, origin());
    assert_eq!(write(&mut writer, &rows), 0);
    assert_eq!((fates(&path), minutes(&path)), ([0, 0, 0, 2, 3], [0, 0, 0, 2, 3]));
    writer.finish();
    assert_eq!(minutes(&path), [0, 0, 0, 2, 3], "summed up");
    assert_eq!(refused(&path), ["", "c.example", "d.example"]);
    let told = [("passed".to_owned(), 2), ("refused".to_owned(), 3)];
    assert_eq!(by_hand(&path), told);
    forget_rows(&path);
    assert_eq!((fates(&path), minutes(&path)), ([0, 0, 0, 2, 3], [0, 0, 0, 2, 3]), "by sums alone");
}

/// Versions that knew no refused ones wrote that they passed.
#[test]
fn what_a_version_before_wrote_of_them_is_told_right_by_row_and_by_hand() {
    let (_folder, path) = place();
    assert_eq!(write(&mut Writer::new(&path, LIMITS, origin()), &rows()), 0);
    let older = format!(
        "UPDATE queries SET kind = kind - {FATE} WHERE kind / {FATE} = 4; DROP VIEW log;
         CREATE VIEW log AS SELECT CASE kind / {FATE} WHEN 0 THEN 'blocked' ELSE 'passed' END AS fate FROM queries"
    );
    open(&path).unwrap().execute_batch(&older).unwrap();
    assert_eq!((fates(&path), minutes(&path)), ([0, 0, 0, 2, 3], [0, 0, 0, 5, 0]));
    assert_eq!(refused(&path), ["", "c.example", "d.example"]);
    assert_eq!(by_hand(&path), [("passed".to_owned(), 2), ("refused".to_owned(), 3)]);
    // The view is made anew once, and not whenever the database is opened.
    let schema = |_| open(&path).unwrap().query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let [one, other] = [1, 2].map(schema);
    assert_eq!(one, other);
}
