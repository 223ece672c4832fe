//! Databases as they are found: ours, Pi-hole's in both of its forms, and others.

use crate::replay::input::tests::steps_at;
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

/// A database that such commands make.
fn database(commands: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    Connection::open(&path).unwrap().execute_batch(commands).unwrap();
    (folder, path)
}

#[test]
fn our_log() {
    let rows = "PRAGMA user_version = 2;
        INSERT INTO verdicts VALUES (1, x'00', NULL), (2, x'01', 'c.toml:3');
        INSERT INTO said VALUES (1, 0, 'p', 's', 's.list', '0', 'cname', 'block', 1);
        INSERT INTO queries (id, time, client, name, type, rcode, ede, micros, transport, kind, verdicts, rules, aliases)
        VALUES (5, 1700000000000000, '10.0.0.7', 'a.example', 1, 3, 15, 9, 1, 0, 1, '7:b.example', 'b.example c.example'),
               (6, 1700000000000000, '10.0.0.7', 'a.example', 65, 3, 15, 9, 0, 0, 1, '7:b.example', NULL),
               (8, 1700000000000000, '', 'w.example', 1, 0, NULL, 9, 0, 64, 2, '', NULL),
               (9, 1700000000000000, '10.0.0.9', 'x.example', 1, 5, 18, 9, 0, 96, 0, '', NULL),
               (11, 1700000000000000, '', 'a..b', 1, 0, NULL, 9, 0, 96, 0, '', NULL);";
    let (_folder, path) = database(&format!("{}{rows}", include_str!("../../../query_log/sqlite/schema.sql")));
    let time = "2023-11-14T22:13:20Z";
    let read = steps_at(&path);
    let expected = [
        format!("a.example A 10.0.0.7 {time} tcp >b.example >c.example blocked p/s s.list:7"),
        format!("a.example HTTPS 10.0.0.7 {time} passed unaskable"),
        format!("w.example A {time} excepted / exception c.toml:3"),
    ];
    assert_eq!(read[..3], expected);
    assert!(read[3].starts_with("row 11: skipped: name: the name has an empty label"), "{read:?}");
    assert_eq!(read.len(), 4);
    // A row that makes no sense ends it, after those before.
    Connection::open(&path).unwrap().execute_batch("UPDATE queries SET type = 'x' WHERE id = 8").unwrap();
    let read = steps_at(&path);
    assert_eq!(read[..2], expected[..2]);
    assert!(read[2].starts_with("row 6: broken: the query log "), "{read:?}");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(steps_at(&path)[0].contains("written by another version of this program"));
}

/// A query is in sums as long as it is recorded, and its row goes first.
#[test]
fn queries_of_which_only_sums_are_left_are_counted() {
    let rows = "PRAGMA user_version = 2;
        INSERT INTO queries (id, time, client, name, type, rcode, ede, micros, transport, kind, verdicts, rules, aliases)
        VALUES (5, 1700000000000000, '10.0.0.7', 'a.example', 1, 0, NULL, 9, 0, 0, 0, '', NULL),
               (6, 1700000000000000, '10.0.0.7', 'a.example', 1, 0, NULL, 9, 0, 0, 0, '', NULL),
               (7, 1700000000000000, '10.0.0.7', 'a.example', 1, 0, NULL, 9, 0, 0, 0, '', NULL);
        UPDATE meta SET value = 6 WHERE key = 'rolled';
        UPDATE meta SET value = 1700000000000000 WHERE key = 'gone';
        INSERT INTO days VALUES (19000, 'a.example', '10.0.0.7', 0, '', 0, 40, 1, 2);
        INSERT INTO hours VALUES (472222, 'a.example', '10.0.0.7', 0, '', 0, 6, 1700000000000000, 1700000000000000);";
    let (_folder, path) = database(&format!("{}{rows}", include_str!("../../../query_log/sqlite/schema.sql")));
    let source = super::open(&path).unwrap();
    assert_eq!((source.only_sums(), steps_at(&path).len()), (44, 3));
}

/// What is asked in both of Pi-hole's forms, and what is read of it: type, status, name, client, what is read.
const PIHOLE: [(i64, i64, &str, &str, &str); 19] = [
    (1, 2, "Www.Example.com", "192.168.1.7", "www.example.com A 192.168.1.7 T passed"),
    (2, 1, "ads.example", "fd00::7", "ads.example AAAA fd00::7 T blocked Pi-hole/gravity "),
    (16, 4, "ads.example", "10.0.0.1", "ads.example HTTPS 10.0.0.1 T blocked Pi-hole/regex "),
    (15, 5, "ads.example", "10.0.0.1", "ads.example SVCB 10.0.0.1 T blocked Pi-hole/exact "),
    (1, 3, "c.example", "10.0.0.1", "c.example A 10.0.0.1 T passed"),
    (1, 6, "u.example", "10.0.0.1", "u.example A 10.0.0.1 T blocked Pi-hole/upstream "),
    (1, 7, "u.example", "10.0.0.1", "u.example A 10.0.0.1 T blocked Pi-hole/upstream "),
    (1, 8, "u.example", "10.0.0.1", "u.example A 10.0.0.1 T blocked Pi-hole/upstream "),
    (1, 9, "a.example", "10.0.0.1", "a.example A 10.0.0.1 T>b.example blocked Pi-hole/gravity, an alias "),
    (1, 10, "a.example", "10.0.0.1", "a.example A 10.0.0.1 T>b.example blocked Pi-hole/regex, an alias "),
    (1, 11, "a.example", "10.0.0.1", "a.example A 10.0.0.1 T>b.example blocked Pi-hole/exact, an alias "),
    (6, 12, "1.0.0.10.in-addr.arpa", "10.0.0.1", "1.0.0.10.in-addr.arpa PTR 10.0.0.1 T passed"),
    (1, 15, "d.example", "10.0.0.1", "d.example A 10.0.0.1 T blocked Pi-hole/database busy "),
    (1, 16, "mask.icloud.com", "10.0.0.1", "mask.icloud.com A 10.0.0.1 T blocked Pi-hole/special "),
    (1, 17, "c.example", "0.0.0.0", "c.example A T passed"),
    (357, 18, "x.example", "10.0.0.1", "x.example CAA 10.0.0.1 T blocked Pi-hole/upstream "),
    (14, 2, "x.example", "10.0.0.1", "row N: skipped: type: 14 is no number of a type"),
    (1, 2, "hidden", "0.0.0.0", "row N: skipped: Pi-hole's privacy level hid the name"),
    (1, 99, "c.example", "10.0.0.1", "c.example A 10.0.0.1 T passed"),
];

/// What is expected, with the alias where it is told.
fn expected(time: &str, alias: &str) -> Vec<String> {
    let one = |(at, (.., text)): (usize, &(i64, i64, &str, &str, &str))| {
        let text = text.replace("T>b.example", &format!("T{alias}")).replace("row N", &format!("row {}", at + 1));
        text.replacen(" T", &format!(" {time}"), usize::from(!text.contains("skipped")))
    };
    PIHOLE.iter().enumerate().map(one).collect()
}

#[test]
fn pihole_as_a_table() {
    let (_folder, path) = database(
        "CREATE TABLE queries (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, type INTEGER NOT NULL,
         status INTEGER NOT NULL, domain TEXT NOT NULL, client TEXT NOT NULL, forward TEXT)",
    );
    let connection = Connection::open(&path).unwrap();
    for (rr_type, status, name, client, _) in PIHOLE {
        let insert = "INSERT INTO queries (timestamp, type, status, domain, client) VALUES (1700000000, ?, ?, ?, ?)";
        connection.execute(insert, (rr_type, status, name, client)).unwrap();
    }
    assert_eq!(steps_at(&path), expected("2023-11-14T22:13:20Z", ""));
}

#[test]
fn pihole_as_a_view_of_linked_tables() {
    let (_folder, path) = database(
        "CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
           type INTEGER NOT NULL, status INTEGER NOT NULL, domain INTEGER NOT NULL, client INTEGER NOT NULL,
           forward INTEGER, additional_info INTEGER, reply_type INTEGER, reply_time REAL, dnssec INTEGER, list_id INTEGER);
         CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL UNIQUE);
         CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL UNIQUE, name TEXT);
         CREATE TABLE addinfo_by_id (id INTEGER PRIMARY KEY, type INTEGER NOT NULL, content NOT NULL);
         INSERT INTO addinfo_by_id VALUES (1, 1, 'b.example'), (2, 2, 77);
         CREATE VIEW queries AS SELECT id, timestamp, type, status,
           CASE typeof(domain) WHEN 'integer' THEN (SELECT domain FROM domain_by_id d WHERE d.id = q.domain)
             ELSE domain END domain,
           CASE typeof(client) WHEN 'integer' THEN (SELECT ip FROM client_by_id c WHERE c.id = q.client)
             ELSE client END client,
           CASE typeof(additional_info) WHEN 'integer' THEN (SELECT content FROM addinfo_by_id a
             WHERE a.id = q.additional_info) ELSE additional_info END additional_info,
           reply_type, reply_time, dnssec, list_id FROM query_storage q",
    );
    let connection = Connection::open(&path).unwrap();
    for (rr_type, status, name, client, _) in PIHOLE {
        connection.execute("INSERT OR IGNORE INTO domain_by_id (domain) VALUES (?)", [name]).unwrap();
        connection.execute("INSERT OR IGNORE INTO client_by_id (ip) VALUES (?)", [client]).unwrap();
        let insert = "INSERT INTO query_storage (timestamp, type, status, domain, client, additional_info)
            SELECT 1700000000.25, ?1, ?2, (SELECT id FROM domain_by_id WHERE domain = ?3),
            (SELECT id FROM client_by_id WHERE ip = ?4), CASE WHEN ?2 BETWEEN 9 AND 11 THEN 1 WHEN ?2 = 4 THEN 2 END";
        connection.execute(insert, (rr_type, status, name, client)).unwrap();
    }
    assert_eq!(steps_at(&path), expected("2023-11-14T22:13:20.25Z", " >b.example"));
    // Many pages, and a name that the linked table lacks.
    let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
        INSERT INTO query_storage (timestamp, type, status, domain, client) SELECT 1700000000, 1, 2, 1, 1 FROM n;
        INSERT INTO query_storage (timestamp, type, status, domain, client) VALUES (1700000000, 1, 2, 999, 1)";
    connection.execute_batch(more).unwrap();
    let read = steps_at(&path);
    assert_eq!(read.len(), PIHOLE.len() + 25_001);
    assert!(read[PIHOLE.len() + 25_000].starts_with("row 25020: skipped: name: "), "{:?}", read.last());
}

/// One odd cell is one row that can't be read, and no more.
#[test]
fn pihole_with_cells_that_nobody_expects() {
    let (_folder, path) = database(
        "CREATE TABLE queries (id INTEGER PRIMARY KEY, timestamp, type, status, domain, client);
         INSERT INTO queries VALUES (1, NULL, 1, 2, 'a.example', '10.0.0.1'), (2, x'00', 1, 2, 'a.example', '10.0.0.1'),
           (3, 1700000000, NULL, 2, 'a.example', '10.0.0.1'), (4, 1700000000, 'A', 2, 'a.example', '10.0.0.1'),
           (5, 1700000000, 1, NULL, 'a.example', '10.0.0.1'), (6, 1700000000, 1, 'x', 'a.example', '10.0.0.1'),
           (7, 1700000000, 1, 2, NULL, '10.0.0.1'), (8, 1700000000, 1, 2, x'00', '10.0.0.1'),
           (9, 1700000000, 1, 2, 'a.example', NULL), (10, 1700000000, 1.5, 2, 'a.example', '10.0.0.1'),
           (11, 1e300, 1, 2, 'a.example', '10.0.0.1'), (12, 1700000000, 1, 2, 'b.example', '10.0.0.1')",
    );
    let read = steps_at(&path);
    let expected = [
        "row 1: skipped: timestamp: ",
        "row 2: skipped: timestamp: ",
        "row 3: skipped: type: ",
        "row 4: skipped: type: ",
        "row 5: skipped: status: ",
        "row 6: skipped: status: ",
        "row 7: skipped: name: ",
        "row 8: skipped: name: ",
        "a.example A 2023-11-14T22:13:20Z passed",
        "row 10: skipped: type: ",
        "row 11: skipped: timestamp: ",
        "b.example A 10.0.0.1 2023-11-14T22:13:20Z passed",
    ];
    assert_eq!(read.len(), expected.len(), "{read:#?}");
    for (read, expected) in read.iter().zip(expected) {
        assert!(read.starts_with(expected), "{read}");
    }
}

#[test]
fn databases_of_others() {
    let (_folder, path) = database("CREATE TABLE queries (id INTEGER PRIMARY KEY, name TEXT)");
    assert!(steps_at(&path)[0].contains("neither our query log nor Pi-hole's"));
    let (_folder, path) = database("CREATE TABLE x (id INTEGER PRIMARY KEY)");
    assert!(steps_at(&path)[0].contains("neither our query log nor Pi-hole's"));
    std::fs::write(&path, b"SQLite format 3\0 and then nothing").unwrap();
    assert!(steps_at(&path)[0].starts_with("cannot: is a database that can't be read: "));
}
