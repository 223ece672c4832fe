//! What is written is read again, row by row and in sums, whatever happens in between.

use super::{
    super::{
        drain::Sink,
        row::{Fate, Owner, Row, Said, Seen, Verdicts},
    },
    Bare, DAY_MICROS, HOUR_MICROS, Limits, MINUTE_MICROS, Origin, Reader, Writer, bounds, open,
    upkeep::Upkeep,
};
use crate::{
    config::Privacy,
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Trigger},
    query::CacheUse,
    resolve::Security,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

const LIMITS: Limits =
    Limits { keep: Duration::from_secs(30 * 86_400), keep_sums: Duration::from_secs(400 * 86_400), bytes: 1 << 30 };

fn origin() -> Origin {
    Origin::new("home", Privacy::Full)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

/// The same of what was overruled, which never acts.
fn lost(program: &str, line: u32, outcome: Outcome) -> Said {
    Said { acted: false, ..said(program, line, outcome) }
}

fn said(program: &str, line: u32, outcome: Outcome) -> Said {
    Said {
        program: program.into(),
        service: "tiktok".into(),
        list: "tiktok.list".into(),
        version: "0123456789abcdef".into(),
        line,
        rule: "tiktok.com".into(),
        trigger: Trigger::Qname,
        outcome,
        acted: outcome == Outcome::Block,
    }
}

fn row(time: i64, client: &str, name: &str, verdicts: &Arc<Verdicts>) -> Row {
    Row {
        time,
        client: client.into(),
        name: name.into(),
        micros: 37,
        cache: Some(CacheUse::Hit),
        security: Some(Security::Secure),
        verdicts: verdicts.clone(),
        ..Row::default()
    }
}

fn write(writer: &mut Writer, rows: &[Row]) -> u64 {
    writer.write_rows(rows.to_vec())
}

fn read(path: &Path, from: i64, to: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    Reader::open(path)
        .unwrap()
        .for_each(from, to, |seen| {
            assert_eq!((seen.count, seen.first, seen.last), (1, seen.row.time, seen.row.time));
            rows.push(seen.row.clone());
        })
        .unwrap();
    rows
}

/// Counts by client, name, verdicts and all else that sums tell.
fn sums(path: &Path, from: i64, to: i64) -> BTreeMap<(String, String, String, String), u64> {
    let mut sums = BTreeMap::new();
    let mut add = |row: &Row, count| {
        let told = format!("{:?} {} {}", row.cache, row.rcode == Rcode::SERVFAIL, row.bypass);
        let key = (row.client.clone(), row.name.clone(), format!("{:?}", row.verdicts), told);
        *sums.entry(key).or_default() += count;
    };
    Reader::open(path).unwrap().for_each(from, to, |seen| add(seen.row, seen.count)).unwrap();
    sums
}

fn count_of(table: &str, path: &Path) -> i64 {
    open(path).unwrap().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Leaves only sums.
fn forget_rows(path: &Path) {
    let gone = format!("DELETE FROM queries; UPDATE meta SET value = {} WHERE key = 'gone'", i64::MAX);
    open(path).unwrap().execute_batch(&gone).unwrap();
}

fn trim(path: &Path, limits: Limits, now: i64) {
    let mut upkeep = Upkeep::default();
    assert!(upkeep.trim(&mut open(path).unwrap(), &mut Default::default(), limits, now, &mut || true).unwrap());
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/queries.db");
    (folder, path)
}

/// Rows over some days, with verdicts of three kinds; the last is an hour ago.
fn traffic(rows: usize, days: i64) -> Vec<Row> {
    let verdicts = [
        Arc::default(),
        Arc::new(Verdicts { said: vec![said("clean-store", 7, Outcome::Block)], ..Verdicts::default() }),
        Arc::new(Verdicts {
            said: vec![said("clean-cloud", 9, Outcome::WouldBlock), said("clean-path", 1, Outcome::Except)],
            ..Verdicts::default()
        }),
        Arc::new(Verdicts {
            owner: Some(Owner {
                place: "cleandns.toml:7".into(),
                rule: "=a.example".into(),
                reason: "the checkout".into(),
            }),
            overruled: vec![lost("clean-store", 8, Outcome::Block), lost("clean-path", 9, Outcome::WouldBlock)],
            ..Verdicts::default()
        }),
        Arc::new(Verdicts { owner: Some("cleandns.toml:7".into()), needless: true, ..Verdicts::default() }),
    ];
    let end = now() - HOUR_MICROS;
    let step = days * DAY_MICROS / rows as i64;
    let one = |index: usize| {
        let time = end - step * (rows - index) as i64;
        let (client, name) = (format!("192.168.1.{}", index % 7), format!("n{}.example", index * index % 31));
        let rcode = if index.is_multiple_of(11) { Rcode::SERVFAIL } else { Rcode::NOERROR };
        let cache = [None, Some(CacheUse::Hit), Some(CacheUse::Stale), Some(CacheUse::Miss)][index * 5 % 17 % 4];
        Row {
            rcode,
            cache,
            bypass: index.is_multiple_of(13),
            ..row(time, &client, &name, &verdicts[index * 7 % verdicts.len()])
        }
    };
    (0..rows).map(one).collect()
}

#[test]
fn pages_are_what_there_is_in_order() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = traffic(25, 1);
    assert_eq!(write(&mut writer, &rows), 0);
    let mut reader = Reader::open(&path).unwrap();
    let rules = |verdicts: &Verdicts| {
        let said = verdicts.said.iter().chain(&verdicts.overruled);
        said.map(|said| format!("{}:{}", said.line, said.rule)).collect::<Vec<_>>().join(" ")
    };
    let own = |row: &Row| {
        let (client, name, verdicts) = (row.client.clone(), row.name.clone(), &row.verdicts);
        (row.time, client, name, row.rcode, row.cache, verdicts.fate(), rules(verdicts))
    };
    let rows: Vec<_> = rows.iter().map(own).collect();
    for limit in [1, 7, 25, 100] {
        let (mut all, mut ids, mut after) = (Vec::new(), Vec::new(), 0);
        let mut take = |id, row: &Bare<'_>| {
            let (client, name) = (row.client.to_owned(), row.name.to_owned());
            ids.push(id);
            all.push((row.time, client, name, row.rcode, row.cache, row.verdicts.fate(), row.rules.to_owned()));
        };
        while let Some(last) = reader.page(after, limit, &mut take).unwrap() {
            after = last;
        }
        assert_eq!(all, rows, "{limit}");
        assert_eq!(ids, (1..=25).collect::<Vec<i64>>(), "{limit}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let time = now();
    let both = Verdicts {
        owner: Some("cleandns.toml:12".into()),
        said: vec![said("clean-store", 7, Outcome::Block), said("clean-cloud", 2, Outcome::WouldBlock)],
        ..Verdicts::default()
    };
    let full = Row {
        group: "guests".into(),
        transport: Transport::Tcp,
        rr_type: RrType::HTTPS,
        rcode: Rcode::SERVFAIL,
        ede: Some(15),
        cache: Some(CacheUse::Miss),
        security: Some(Security::Bogus),
        upstream: Some("forward corp.example".into()),
        server: Some("[2001:db8::53]:5300".parse().unwrap()),
        bypass: true,
        dropped: true,
        aliases: vec!["a.example".into(), "b.example".into()],
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ..row(time, "fd00::7", "www.tiktok.com", &Arc::new(both))
    };
    let bare = Row { cache: None, security: None, client: String::new(), ..row(time + 1, "", "", &Arc::default()) };
    assert_eq!(write(&mut writer, &[bare.clone(), full.clone()]), 0);
    assert_eq!(read(&path, 0, i64::MAX), [full.clone(), bare.clone()], "in the order of time, while it is open");
    assert_eq!(read(&path, full.time, full.time + 1), std::slice::from_ref(&full));
    let mut leads = Vec::new();
    Reader::open(&path).unwrap().leads(0, |name, lead| leads.push(format!("{name} {lead:?}"))).unwrap();
    let expected = ["Address(192.0.2.1)", "Address(2001:db8::1)", "Alias(\"a.example\")", "Alias(\"b.example\")"]
        .map(|to| format!("www.tiktok.com {to}"));
    assert_eq!(leads, expected);
    writer.finish();
    assert_eq!(write(&mut writer, &[Row { time: full.time + 2, ..full.clone() }]), 0, "it opens it again");
    assert_eq!(
        (read(&path, 0, i64::MAX).len(), count_of("verdicts", &path)),
        (3, 1),
        "what was said once is kept once"
    );
    let mut other = Verdicts::clone(&full.verdicts);
    (other.said[1].line, other.said[1].rule) = (77, "*.other.example".into());
    let other = Row { time: full.time + 3, verdicts: Arc::new(other), ..full };
    assert_eq!(write(&mut writer, std::slice::from_ref(&other)), 0);
    assert_eq!(read(&path, other.time, i64::MAX), [other]);
    assert_eq!(count_of("verdicts", &path), 1, "whatever the rule");
}

#[test]
fn sums_are_what_rows_add_up_to() {
    let (_folder, path) = place();
    let rows = traffic(5_000, 5);
    let mut writer = Writer::new(&path, LIMITS, origin());
    rows.chunks(977).for_each(|piece| assert_eq!(write(&mut writer, piece), 0));
    writer.finish();
    let by_rows = sums(&path, 0, i64::MAX);
    assert_eq!(by_rows.values().sum::<u64>(), 5_000);
    let connection = open(&path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count("SELECT sum(count) FROM sums"), 5_000);
    assert_eq!(count("SELECT sum(count) FROM minutes"), 5_000);
    let blocked = rows.iter().filter(|row| row.verdicts.fate() == Fate::Blocked).count() as u64;
    assert_eq!(count("SELECT sum(count) FROM minutes WHERE fate = 0"), blocked);
    // Without the rows, hours tell the same; where there are no hours, days do.
    forget_rows(&path);
    assert!(sums(&path, 0, now()) == by_rows, "by hours");
    drop(connection);
    trim(&path, Limits { keep: Duration::from_secs(86_400), ..LIMITS }, now());
    assert!(count_of("sums", &path) > 0 && count_of("days", &path) > 0);
    assert!(sums(&path, 0, now()) == by_rows, "by days and hours");
    trim(&path, Limits { keep: Duration::ZERO, ..LIMITS }, now() + HOUR_MICROS);
    assert!(sums(&path, 0, now()) == by_rows, "by days, and the hours of one that isn't over");
    trim(&path, Limits { keep: Duration::ZERO, ..LIMITS }, now() + DAY_MICROS);
    assert_eq!(count_of("sums", &path), 0);
    assert!(sums(&path, 0, now()) == by_rows, "by days");
    trim(&path, Limits { keep: Duration::ZERO, keep_sums: Duration::from_secs(2 * 86_400), ..LIMITS }, now());
    let kept = sums(&path, 0, now()).values().sum::<u64>();
    assert!(kept > 0 && kept < 5_000, "days go too, in the end: {kept}");
}

#[test]
fn a_part_of_the_time_is_read_exactly_from_rows_and_by_whole_hours_from_sums() {
    let (_folder, path) = place();
    let rows = traffic(3_000, 3);
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &rows);
    writer.finish();
    let (from, to) = (rows[700].time, rows[2_100].time);
    assert_eq!(read(&path, from, to), rows[700..2_100]);
    let gone =
        format!("DELETE FROM queries WHERE id < 10; UPDATE meta SET value = {} WHERE key = 'gone'", rows[9].time);
    open(&path).unwrap().execute_batch(&gone).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.for_each(from, to, |_| ()).unwrap(), (from, to), "rows that are gone were before that");
    forget_rows(&path);
    let mut count = 0;
    let looked = reader.for_each(from, to, |seen| count += seen.count).unwrap();
    assert_eq!((looked.0 % HOUR_MICROS, looked.1 % HOUR_MICROS), (0, 0));
    assert!(looked.0 <= from && looked.1 >= to && looked.0 > from - HOUR_MICROS && looked.1 < to + HOUR_MICROS);
    let expected = rows.iter().filter(|row| (looked.0..looked.1).contains(&row.time)).count();
    assert_eq!(count, expected as u64);
}

/// Sums are read only of what is older than the rows, and a bound of rows is the reader's.
#[test]
fn what_is_older_than_the_rows_is_read_from_sums_and_all_else_from_rows() {
    let (_folder, path) = place();
    let rows = traffic(6_000, 6);
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &rows);
    writer.finish();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.only_sums().unwrap(), 0);
    let gone = rows[2_000].time;
    let sql = format!("DELETE FROM queries WHERE time < {gone}; UPDATE meta SET value = {gone} WHERE key = 'gone'");
    open(&path).unwrap().execute_batch(&sql).unwrap();
    let to = now();
    let read = |reader: &mut Reader, max: i64| {
        let (mut all, mut by_rows, mut first_row) = (0, 0, i64::MAX);
        let each = |seen: Seen<'_>| {
            all += seen.count;
            if seen.has_details {
                by_rows += seen.count;
                first_row = first_row.min(seen.first);
            }
        };
        let looked = reader.for_each_within(max, rows[0].time, to, each).unwrap();
        (all, by_rows, first_row, looked.1)
    };
    let (all, by_rows, first_row, end) = read(&mut reader, 4_000);
    let hour = (gone / HOUR_MICROS + 1) * HOUR_MICROS;
    let expected = rows.iter().filter(|row| row.time >= hour).count() as u64;
    assert_eq!((all, by_rows, end), (6_000, expected, to));
    assert!(first_row >= hour && expected > 3_900);
    // Where there are too many rows, sums tell all of it.
    let (all, by_rows, ..) = read(&mut reader, 1_000);
    assert_eq!((all, by_rows), (6_000, 0));
    assert_eq!(reader.only_sums().unwrap(), 2_000);
    // Of a day that is summed up whole, no rows are read.
    trim(&path, Limits { keep: Duration::from_micros((to - gone) as u64), ..LIMITS }, to);
    assert!(count_of("days", &path) > 0);
    let mut reader = Reader::open(&path).unwrap();
    let (all, by_rows, _, end) = read(&mut reader, 4_000);
    assert_eq!((all, by_rows, end), (6_000, expected, to));
    assert_eq!(reader.only_sums().unwrap(), 2_000);
    assert_eq!(reader.removed_early().unwrap(), None, "what is too old has had its time");
}

#[test]
fn sums_by_day_end_where_the_time_asked_for_ends() {
    let (_folder, path) = place();
    let rows = traffic(6_000, 12);
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &rows);
    writer.finish();
    // Sums of days are there for all but the last days.
    let day = now() / DAY_MICROS - 7;
    let keep = Duration::from_micros((now() - (day + 5) * DAY_MICROS) as u64);
    trim(&path, Limits { keep, ..LIMITS }, now());
    // From and to in hours of a day; what is looked at in days, or hours where there still are some.
    for (from, to, looked) in [
        ((0, 0), (1, 0), (0, 24)),
        ((0, 0), (0, 12), (0, 24)),
        ((0, 5), (1, 0), (0, 24)),
        ((0, 5), (1, 1), (0, 48)),
        ((0, 0), (5, 0), (0, 120)),
        ((0, 0), (5, 1), (0, 121)),
        ((4, 23), (5, 2), (96, 122)),
        ((5, 1), (5, 2), (121, 122)),
    ] {
        let at = |(days, hours): (i64, i64)| (day + days) * DAY_MICROS + hours * HOUR_MICROS;
        let mut count = 0;
        let range = Reader::open(&path).unwrap().for_each(at(from), at(to), |seen| count += seen.count).unwrap();
        assert_eq!(range, (at((0, looked.0)), at((0, looked.1))), "{from:?} {to:?}");
        let expected = rows.iter().filter(|row| (range.0..range.1).contains(&row.time)).count() as u64;
        assert_eq!(count, expected, "{from:?} {to:?}");
    }
}

#[test]
fn a_database_says_whose_it_is_and_what_a_client_is() {
    let (_folder, path) = place();
    for (instance, privacy, expected) in [
        ("home", Privacy::Full, "full"),
        ("home", Privacy::Hashed, "full hashed"),
        ("office", Privacy::Full, "full hashed"),
    ] {
        let mut writer = Writer::new(&path, LIMITS, Origin::new(instance, privacy));
        assert_eq!(write(&mut writer, &traffic(1, 1)), 0);
        let Origin { instance: named, privacy } = Reader::open(&path).unwrap().origin().unwrap();
        assert_eq!((&*named, &*privacy.join(" ")), (instance, expected));
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_wrote() {
    let (_folder, path) = place();
    let rows = traffic(400, 1);
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &rows[..200]);
    // It never gets to finish; another process goes on.
    std::mem::forget(writer);
    let mut next = Writer::new(&path, LIMITS, origin());
    write(&mut next, &rows[200..]);
    next.finish();
    assert_eq!(read(&path, 0, i64::MAX), rows);
    let summed: u64 = open(&path).unwrap().query_row("SELECT sum(count) FROM sums", [], |row| row.get(0)).unwrap();
    assert_eq!(summed, 400, "what it had not summed up is, once");
}

#[test]
fn two_processes_may_write_while_one_takes_over() {
    let (_folder, path) = place();
    let rows = traffic(2_000, 1);
    std::thread::scope(|scope| {
        // Of the same hours: one writes what the other doesn't.
        for half in 0..2 {
            let (path, half) = (&path, rows.iter().skip(half).step_by(2).cloned().collect::<Vec<Row>>());
            scope.spawn(move || {
                let mut writer = Writer::new(path, LIMITS, origin());
                half.chunks(100).for_each(|piece| assert_eq!(write(&mut writer, piece), 0));
                writer.finish();
            });
        }
    });
    let connection = open(&path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM queries"), 2_000);
    assert_eq!(count("SELECT sum(count) FROM sums"), 2_000);
    assert_eq!(sums(&path, 0, now()).values().sum::<u64>(), 2_000);
}

#[test]
fn what_is_too_old_goes_and_its_days_stay() {
    let (_folder, path) = place();
    let rows = traffic(4_000, 40);
    let mut writer = Writer::new(&path, Limits { keep: Duration::from_secs(10 * 86_400), ..LIMITS }, origin());
    write(&mut writer, &rows);
    let before = sums(&path, 0, now());
    writer.finish();
    let oldest = now() - 10 * DAY_MICROS;
    let kept: Vec<Row> = rows.iter().filter(|row| row.time >= oldest).cloned().collect();
    assert_eq!(
        read(&path, oldest + HOUR_MICROS, now()).len(),
        kept.len() - kept.iter().filter(|row| row.time < oldest + HOUR_MICROS).count()
    );
    assert!(sums(&path, 0, now()) == before, "sums of days tell what was before");
}

mod broken;
mod parts;
mod refused;
mod search;
mod upkeep;
mod within;

#[test]
fn what_a_version_before_wrote_is_read_and_written_to() {
    let (_folder, path) = place();
    let rows = traffic(40, 1);
    assert_eq!(write(&mut Writer::new(&path, LIMITS, origin()), &rows), 0);
    assert_eq!(read(&path, 0, i64::MAX), rows);
    // As one that knew nothing of what is overruled.
    let old = open(&path).unwrap();
    old.execute_batch("DROP TABLE overruled; DROP TABLE excepted").unwrap();
    let bare = |row: &Row| {
        let Verdicts { owner, said, .. } = &*row.verdicts;
        let owner = owner.as_ref().map(|owner| Owner::at(owner.place.clone()));
        Row { verdicts: Arc::new(Verdicts { owner, said: said.clone(), ..Verdicts::default() }), ..row.clone() }
    };
    let known: Vec<Row> = rows.iter().map(bare).collect();
    assert_eq!(read(&path, 0, i64::MAX), known);
    assert!(known.iter().all(|row| row.verdicts.owner.is_none() || row.verdicts.fate() == Fate::Excepted));
    drop(old);
    // It is written to, and nothing that is told from then on is missing.
    let mut writer = Writer::new(&path, LIMITS, origin());
    let owner = Some(Owner { place: "cleandns.toml:9".into(), rule: "new.example".into(), reason: "why".into() });
    let overruled = vec![lost("clean-store", 3, Outcome::Block)];
    let verdicts = Arc::new(Verdicts { owner, overruled, ..Verdicts::default() });
    let new = row(now(), "192.168.1.1", "new.example", &verdicts);
    assert_eq!(write(&mut writer, std::slice::from_ref(&new)), 0);
    assert_eq!(read(&path, 0, i64::MAX).last(), Some(&new));
}
