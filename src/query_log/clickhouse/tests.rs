//! Whatever a server does, each row is there once in the end, or counted as lost. The server is a scripted one, but for
//! the last test, which `tests/clickhouse.sh` runs against a real one.

mod scripted;

use super::{
    super::{
        drain::{Full, Sink},
        row::Row,
    },
    ClickHouseReader, ClickHouseSink, LIMITS, Limits, ReadError,
};
use crate::{
    config::ClickHouse,
    dns::{Rcode, RrType},
    policy::{Outcome, Trigger},
    query::CacheUse,
    resolve::Security,
};
use scripted::Scripted;
use std::{
    fs,
    ops::Range,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);
/// 2026-01-01, 00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600_000_000;

/// Three rows are a batch.
const SMALL: Limits = Limits { batch_rows: 3, ..LIMITS };

const BAD: (u16, &str) = (400, "Code: 27, e.displayText() = DB::Exception: Cannot parse input");
const FAILED: (u16, &str) = (500, "Code: 241, e.displayText() = DB::Exception: Memory limit exceeded");

fn row(time: i64, name: &str) -> Row {
    Row {
        time,
        client: "192.0.2.7".into(),
        name: name.into(),
        micros: 37,
        cache: Some(CacheUse::Hit),
        security: Some(Security::Secure),
        ..Row::default()
    }
}

fn full(row: Row) -> Full<'static> {
    Full::bare(row)
}

/// Hands over rows of these numbers, and says how many were lost.
fn take(sink: &mut ClickHouseSink, numbers: Range<usize>, now: Instant) -> u64 {
    let rows: Vec<_> = numbers.map(|number| full(row(NEW_YEAR, &number.to_string()))).collect();
    sink.take(&rows, now)
}

fn config(url: &str) -> ClickHouse {
    ClickHouse {
        url: url.to_owned(),
        database: "cleandns".into(),
        user: "writer".into(),
        password: "s3cret".into(),
        spill_bytes: 1 << 20,
    }
}

fn names(numbers: Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// Names of files that hold batches.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join("clickhouse-spill"))
        .map(|items| items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn rows_go_together_after_a_second_or_when_they_are_many() {
    let server = Scripted::start();
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", None, SMALL);
    let now = Instant::now();
    assert_eq!(take(&mut sink, 0..2, now), 0);
    assert!(server.arrived().is_empty());
    take(&mut sink, 0..0, now + SECOND / 2);
    assert!(server.arrived().is_empty());
    take(&mut sink, 0..0, now + SECOND);
    assert_eq!(server.arrived(), names(0..2));
    take(&mut sink, 2..9, now + SECOND);
    assert_eq!(server.arrived(), names(0..8));
    assert_eq!(sink.finish(), 0);
    assert_eq!(server.arrived(), names(0..9));

    let inserts = server.inserts();
    assert_eq!(inserts.len(), 4);
    assert!(inserts.iter().all(|insert| insert.target.contains("database=cleandns")));
    assert!(inserts.iter().all(|insert| insert.header("x-clickhouse-user") == Some("writer")));
    assert!(inserts.iter().all(|insert| insert.header("x-clickhouse-key") == Some("s3cret")));
    let line: serde_json::Value = serde_json::from_str(inserts[0].body.lines().next().unwrap()).unwrap();
    assert_eq!((line["instance"].as_str(), line["time"].as_i64()), (Some("one"), Some(NEW_YEAR / 1_000_000)));
    assert_eq!(
        (line["type"].as_str(), line["rcode"].as_str(), line["kind"].as_i64()),
        (Some("A"), Some("NOERROR"), Some(8))
    );
    // What programs said in nine, what was overruled in eight, and where the name led to in two.
    assert_eq!(line.as_object().unwrap().values().filter(|value| value.is_array()).count(), 19);
}

#[test]
fn tables_are_made_at_first_contact_and_again_when_they_are_gone() {
    let server = Scripted::start();
    server.lose_tables();
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", None, LIMITS);
    let now = Instant::now();
    take(&mut sink, 0..0, now);
    let statements = server.statements();
    let starts: Vec<&str> = statements.iter().filter_map(|text| text.split('(').next()?.lines().last()).collect();
    assert_eq!(starts[0], "SELECT DISTINCT number FROM migrations FORMAT TabSeparated");
    assert_eq!(starts[1], "CREATE DATABASE IF NOT EXISTS `cleandns`");
    assert!(starts[2].starts_with("CREATE TABLE IF NOT EXISTS migrations"), "{starts:?}");
    assert!(starts[3].starts_with("CREATE TABLE IF NOT EXISTS queries"), "{starts:?}");
    assert!(starts[4].starts_with("INSERT INTO migrations"), "{starts:?}");
    assert!(statements[5].contains("engine = 'Distributed'"), "{statements:?}");
    assert!(
        statements[6].contains("ALTER TABLE queries") && statements[6].contains("overruled_outcome"),
        "{statements:?}"
    );
    assert!(starts[7].starts_with("INSERT INTO migrations"), "{starts:?}");
    take(&mut sink, 0..1, now);
    take(&mut sink, 0..0, now + SECOND);
    assert_eq!((server.arrived(), server.statements().len()), (names(0..1), 8));

    server.lose_tables();
    take(&mut sink, 1..2, now + SECOND);
    take(&mut sink, 0..0, now + 2 * SECOND);
    assert_eq!(server.arrived(), names(0..1));
    take(&mut sink, 0..0, now + 5 * SECOND);
    assert_eq!((server.arrived(), server.statements().len()), (names(0..2), 16));
}

/// As where another server, or this one before it ended, had no time to note it.
#[test]
fn columns_that_are_there_are_noted() {
    let server = Scripted::start();
    server.add_columns();
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", None, LIMITS);
    let now = Instant::now();
    take(&mut sink, 0..1, now);
    take(&mut sink, 0..0, now + SECOND);
    assert_eq!(server.arrived(), names(0..1));
    assert!(server.statements().last().unwrap().contains("VALUES (2, "), "{:?}", server.statements());
}

/// To alter it alone would have every insert fail, as the tables below it lack what it has.
#[test]
fn a_distributed_table_is_left_to_who_made_it_and_rows_wait() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    server.distribute();
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), SMALL);
    let now = Instant::now();
    assert_eq!(take(&mut sink, 0..3, now) + take(&mut sink, 3..6, now + 2 * SECOND), 0);
    assert!(server.arrived().is_empty() && server.inserts().is_empty());
    assert!(server.statements().iter().all(|text| text.starts_with("SELECT")), "{:?}", server.statements());
    assert_eq!((sink.finish(), files(folder.path()).is_empty()), (0, false), "they wait for the next start");
    let server = super::server::Server::new(&config(&server.url));
    let told = super::schema::apply(&server, Instant::now() + SECOND).unwrap_err().to_string();
    assert!(told.contains("migration 2 is yours to make") && told.contains("\"Several machines\""), "{told}");
}

#[test]
fn failures_lose_nothing_and_repeat_nothing_and_keep_the_order() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    for folder in [None, Some(folder.path())] {
        server.forget();
        let mut sink = ClickHouseSink::with(&config(&server.url), "one", folder, SMALL);
        let now = Instant::now();
        take(&mut sink, 0..0, now);
        server.answer([FAILED, (200, ""), FAILED]);
        take(&mut sink, 0..7, now);
        assert!(server.arrived().is_empty());
        // The server is left alone for a second.
        take(&mut sink, 7..9, now + SECOND / 2);
        assert_eq!(server.inserts().len(), 1);
        take(&mut sink, 9..10, now + 2 * SECOND);
        assert_eq!(server.arrived(), names(0..3), "one arrives, and the next fails");
        take(&mut sink, 10..12, now + 5 * SECOND);
        take(&mut sink, 0..0, now + 6 * SECOND);
        assert_eq!(server.arrived(), names(0..12));
        assert_eq!(sink.finish(), 0);
        assert_eq!(server.arrived(), names(0..12));
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn who_answers_in_the_place_of_the_server_has_received_nothing() {
    const PAGE: &str = "<html>Welcome! Please log in to use this network.";
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), SMALL);
    let now = Instant::now();
    // At the start, when the tables are looked for, and later, when they are known.
    server.answer_for_it(Some(PAGE));
    assert_eq!(take(&mut sink, 0..3, now), 0);
    assert_eq!((server.statements().len(), server.inserts().len()), (1, 0), "no table is made in a page");
    server.answer_for_it(None);
    take(&mut sink, 3..6, now + 2 * SECOND);
    assert_eq!(take(&mut sink, 6..7, now + 3 * SECOND), 0);
    assert_eq!(server.arrived(), names(0..6));
    server.answer_for_it(Some(PAGE));
    assert_eq!(take(&mut sink, 0..0, now + 5 * SECOND), 0);
    assert_eq!(files(folder.path()).len(), 1, "it waits");
    server.answer_for_it(None);
    take(&mut sink, 0..0, now + 10 * SECOND);
    assert_eq!((server.arrived(), sink.finish()), (names(0..7), 0));
    assert!(files(folder.path()).is_empty());

    let told = |text| super::server::silence(text).unwrap_err().to_string();
    assert!(told(PAGE).contains("no ClickHouse server; check the url") && told(PAGE).ends_with(PAGE), "{}", told(PAGE));
}

#[test]
fn a_server_that_fails_is_asked_ever_less_often() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    server.answer([FAILED; 20]);
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), SMALL);
    let now = Instant::now();
    for second in 0..200 {
        assert_eq!(take(&mut sink, second..second + 1, now + SECOND * second as u32), 0);
    }
    // After 1, 3, 6, 11, 20, 37, 70, 131 and 192 seconds.
    assert!((8..=9).contains(&server.inserts().len()), "{}", server.inserts().len());
    server.forget();
    // On a busy machine a turn's time is over before all is sent.
    (300..320).for_each(|second| assert_eq!(take(&mut sink, 0..0, now + second * SECOND), 0));
    assert_eq!(server.arrived(), names(0..200));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_server_that_is_down_at_the_start_gets_all_later() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    server.go_down();
    for folder in [None, Some(folder.path())] {
        let mut sink = ClickHouseSink::with(&config(&server.url), "one", folder, SMALL);
        let now = Instant::now();
        assert_eq!(take(&mut sink, 0..20, now), 0);
        assert_eq!(files(folder.unwrap_or(Path::new("/nowhere"))).len(), if folder.is_some() { 6 } else { 0 });
        server.come_up();
        take(&mut sink, 20..21, now + 10 * SECOND);
        assert_eq!(sink.finish(), 0);
        assert_eq!(server.arrived(), names(0..21));
        server.go_down();
        server.forget();
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn what_waits_has_a_bound_and_the_newest_go() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    server.go_down();
    // Each file counts as four kibibytes.
    let config = ClickHouse { spill_bytes: 10 * 4096, ..config(&server.url) };
    let mut sink = ClickHouseSink::with(&config, "one", Some(folder.path()), SMALL);
    let now = Instant::now();
    assert_eq!(take(&mut sink, 0..0, now), 0);
    assert_eq!(take(&mut sink, 0..31, now), 0);
    assert_eq!(take(&mut sink, 31..40, now), 9, "from the eleventh batch on");
    assert_eq!(files(folder.path()).len(), 10);
    server.come_up();
    take(&mut sink, 0..0, now + 100 * SECOND);
    assert_eq!(sink.finish(), 0);
    let arrived = server.arrived();
    assert_eq!((&arrived[..30], &arrived[30..]), (&names(0..30)[..], &names(39..40)[..]));
}

#[test]
fn without_a_folder_memory_is_bounded_and_its_loss_is_counted() {
    let server = Scripted::start();
    server.go_down();
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", None, Limits { memory_bytes: 4000, ..SMALL });
    let now = Instant::now();
    let lost = take(&mut sink, 0..100, now);
    assert!((80..100).contains(&lost), "{lost}");
    assert_eq!(lost + sink.finish(), 100);
}

#[test]
fn what_an_earlier_process_left_behind_is_sent_first() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    server.go_down();
    let now = Instant::now();
    for process in 0..3 {
        let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), SMALL);
        take(&mut sink, process * 10..process * 10 + 10, now);
        assert_eq!(sink.finish(), 0);
    }
    let waiting = files(folder.path());
    assert_eq!(waiting.len(), 12, "{waiting:?}");
    fs::write(folder.path().join("clickhouse-spill/notes.txt"), "mine").unwrap();
    server.come_up();
    // Two processes at once, as while one takes over.
    let mut first = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), LIMITS);
    let mut second = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), LIMITS);
    take(&mut first, 30..31, now);
    assert_eq!(take(&mut second, 0..0, now), 0);
    assert_eq!((first.finish(), second.finish()), (0, 0));
    assert_eq!(server.arrived(), names(0..31));
    assert_eq!(files(folder.path()), ["notes.txt"]);
    assert_eq!(server.inserts().len(), 2, "small files go together");
    let mut ids: Vec<u64> = server.ids();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 31);
}

#[test]
fn what_the_server_cannot_read_is_put_aside_alone() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), SMALL);
    let now = Instant::now();
    take(&mut sink, 0..0, now);
    server.answer([BAD]);
    assert_eq!(take(&mut sink, 0..4, now), 3);
    take(&mut sink, 4..6, now + SECOND);
    assert_eq!(server.arrived(), names(3..6));
    assert_eq!(files(folder.path()), ["rejected-0.jsonl"]);

    // Among others that waited with it, only the bad one goes.
    server.forget();
    server.go_down();
    let single = Limits { batch_rows: 1, ..LIMITS };
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), single);
    assert_eq!((take(&mut sink, 6..12, now), sink.finish()), (0, 0));
    server.come_up();
    server.answer([BAD, (200, ""), BAD]);
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), LIMITS);
    let lost = take(&mut sink, 0..0, now) + take(&mut sink, 0..0, now + SECOND);
    let arrived: Vec<String> = names(6..12).into_iter().filter(|name| name != "7").collect();
    assert_eq!((lost, server.arrived()), (1, arrived));
    assert_eq!(files(folder.path()), ["rejected-0.jsonl", "rejected-1.jsonl"]);
}

#[test]
fn a_slow_server_holds_up_nobody_for_longer_than_allowed() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    let limits = Limits { within: SECOND, ..SMALL };
    let mut sink = ClickHouseSink::with(&config(&server.url), "one", Some(folder.path()), limits);
    server.stall_above(0);
    let now = Instant::now();
    assert_eq!(take(&mut sink, 0..30, now), 0);
    let waited = now.elapsed();
    assert!((limits.within / 2..3 * limits.within).contains(&waited), "{waited:?}");
    let again = Instant::now();
    assert_eq!(take(&mut sink, 30..60, now), 0);
    assert!(again.elapsed() < limits.within, "it is left alone: {:?}", again.elapsed());
    server.stall_above(usize::MAX);
    for turn in 0..100 {
        take(&mut sink, 0..0, now + SECOND * (10 + 100 * turn));
    }
    assert_eq!(server.arrived(), names(0..60));
}

/// Over a slow way a batch takes longer the more is in it.
#[test]
fn what_takes_too_long_is_sent_in_smaller_inserts_and_again_in_larger_ones() {
    let (server, folder) = (Scripted::start(), tempfile::tempdir().unwrap());
    for folder in [None, Some(folder.path())] {
        server.forget();
        server.go_down();
        let limits = Limits { within: SECOND, batch_rows: 40, batch_bytes: 16 << 10, batch_bytes_min: 1000, ..LIMITS };
        let mut sink = ClickHouseSink::with(&config(&server.url), "one", folder, limits);
        let now = Instant::now();
        // Batches that are too long alone, and small ones that are too long together.
        take(&mut sink, 0..60, now);
        for number in 60..80 {
            assert_eq!(take(&mut sink, number..number + 1, now + SECOND * number as u32), 0);
        }
        server.come_up();
        server.stall_above(3000);
        for turn in 1..60 {
            assert_eq!(take(&mut sink, 0..0, now + SECOND * 100 * turn), 0);
        }
        assert_eq!(server.arrived(), names(0..80), "in order, each once");
        assert!(server.inserts().iter().all(|insert| insert.body.len() <= 3000));

        server.stall_above(usize::MAX);
        take(&mut sink, 80..400, now + SECOND * 10_000);
        for turn in 0..20 {
            take(&mut sink, 0..0, now + SECOND * (10_100 + 100 * turn));
        }
        assert_eq!(server.arrived(), names(0..400));
        assert!(server.inserts().iter().any(|insert| insert.body.len() > 5_000), "they grow again");
        assert_eq!(sink.finish(), 0);
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn reports_are_read_line_by_line() {
    let server = Scripted::start();
    let reader = ClickHouseReader::new(&config(&server.url));
    let sum = r#"{"client":"192.0.2.7","client_group":"guests","transport":"tcp","name":"a.example","type":"AAAA",
        "rcode":"SERVFAIL","ede":15,"cache":"","security":"bogus","upstream":"forward x","kind":5,"fate":"blocked","owner":"c:1",
        "owner_rule":"=a.example","owner_reason":"we need it","overruled_program":["r"],"overruled_service":["t"],
        "overruled_list":["n"],"overruled_version":["x"],"overruled_line":[3],"overruled_rule":["o"],
        "overruled_trigger":["address"],"overruled_outcome":["except"],
        "program":["p","q"],"service":["s","t"],"list":["l","m"],"version":["v","w"],"line":[1,2],"rule":["r",""],
        "trigger":["qname","cname"],"outcome":["block","would-block"],"acted":[1,0],"queries":"18446744073709551615",
        "some_aliases":["b.example"],"some_addresses":["::1"],"first_micros":"1767225600000001","last_micros":"1767225600000009","mean_micros":7}"#;
    let sum = sum.replace("\n", "");
    let few = "{\"queries\":\"2\",\"first_micros\":\"1\"}\n";
    server.reply(200, few);
    server.reply(200, &format!("{sum}\n{sum}\n"));
    let mut seen = Vec::new();
    let all = reader
        .for_each(5, i64::MAX, Some("it's\\"), |one| seen.push((one.row.clone(), one.count, one.first, one.last)));
    assert_eq!(all.unwrap(), (5, i64::MAX));
    assert_eq!(seen.len(), 2);
    let (row, count, first, last) = &seen[0];
    assert_eq!((*count, *first, *last), (u64::MAX, NEW_YEAR + 1, NEW_YEAR + 9));
    assert_eq!(
        (row.rr_type, row.rcode, row.ede, row.bypass, row.dropped),
        (RrType::AAAA, Rcode::SERVFAIL, Some(15), true, false)
    );
    assert_eq!((row.cache, row.security, row.upstream.as_deref()), (None, Some(Security::Bogus), Some("forward x")));
    assert_eq!((row.verdicts.said[1].trigger, row.verdicts.said[1].outcome), (Trigger::Cname, Outcome::WouldBlock));
    assert!(Arc::ptr_eq(&row.verdicts, &seen[1].0.verdicts));
    let statement = server.statements().pop().unwrap();
    assert!(statement.contains(r"AND instance = 'it\'s\\'"), "{statement}");
    assert!(statement.contains("if(fate = 'blocked', time_micros, 0), client"), "{statement}");
    let owner = row.verdicts.owner.as_ref().unwrap();
    assert_eq!((&*owner.place, &*owner.rule, &*owner.reason), ("c:1", "=a.example", "we need it"));
    let overruled = &row.verdicts.overruled[0];
    assert_eq!((&*overruled.program, overruled.line, overruled.trigger), ("r", 3, Trigger::Address));
    server.reply(200, "{\"queries\":\"1000001\",\"first_micros\":\"1\"}\n");
    server.reply(200, "");
    reader.for_each(0, 1, None, |_| ()).unwrap();
    let statement = server.statements().pop().unwrap();
    assert!(!statement.contains("if(fate"), "too many to come one by one: {statement}");
    server
        .reply(400, "Code: 47, e.displayText() = DB::Exception: Missing columns: 'overruled_program' while processing");
    let error = reader.for_each(0, 1, None, |_| ()).unwrap_err();
    assert!(matches!(error, ReadError::Old { .. }), "{error}");

    server.reply(200, few);
    server.reply(200, &format!("{sum}\nCode: 395, e.displayText() = DB::Exception: no more\n"));
    let mut count = 0;
    let error = reader.for_each(0, 1, None, |_| count += 1).unwrap_err();
    assert!(count == 1 && matches!(&error, ReadError::Failed { why, .. } if why.contains("no more")), "{error}");
    server.reply(200, few);
    server.reply(200, &sum[..sum.len() / 2]);
    assert!(matches!(reader.for_each(0, 1, None, |_| ()), Err(ReadError::Row { .. })));
    server.reply(404, "Code: 60, e.displayText() = DB::Exception: Table cleandns.queries doesn't exist.");
    assert!(matches!(reader.first(None), Err(ReadError::None { .. })));
    server.reply(200, "{\"queries\":\"0\",\"first_micros\":\"0\"}\n");
    assert_eq!(reader.first(None).unwrap(), None);
    server.reply(200, "{\"name\":\"a\",\"target\":\"b\"}\n{\"name\":\"a\\\\\",\"target\":\"::1\"}\n");
    let mut leads = Vec::new();
    reader.leads(0, i64::MAX, None, |name, lead| leads.push((name.to_owned(), format!("{lead:?}")))).unwrap();
    assert_eq!(leads, [("a".to_owned(), "Alias(\"b\")".to_owned()), ("a\\".to_owned(), "Address(::1)".to_owned())]);
    server.go_down();
    assert!(matches!(reader.first(None), Err(ReadError::Failed { .. })));
}
