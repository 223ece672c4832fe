//! What is written to a server of ClickHouse itself is read from it. `tests/clickhouse.sh` starts one and runs this, so it is
//! not among what `cargo test` runs.

use cleandns::{
    config::ClickHouse,
    dns::{Rcode, RrType},
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::{
        Fate, Owner, Row, Said, Seen, Sink, Verdicts,
        clickhouse::{ClickHouseReader, ClickHouseSink, ReadError},
    },
    report::{Context, Filter, Tally},
};
use std::{collections::BTreeMap, env, fs, sync::Arc};

/// 2024-01-01 00:00 UTC.
const NEW_YEAR: i64 = 1_704_067_200_000_000;

fn said(program: &str, line: u32, outcome: Outcome) -> Said {
    Said {
        program: program.into(),
        service: "tiktok".into(),
        list: "it's.list".into(),
        version: "0123456789abcdef".into(),
        line,
        rule: r"a\046b.com".into(),
        trigger: Trigger::Qname,
        outcome,
        acted: outcome == Outcome::Block,
    }
}

/// Rows with all that a row may have.
fn varied(count: usize) -> Vec<Row> {
    let verdicts = [
        Arc::default(),
        Arc::new(Verdicts { said: vec![said("clean-store", 7, Outcome::Block)], ..Verdicts::default() }),
        Arc::new(Verdicts {
            said: vec![said("clean-cloud", 9, Outcome::WouldBlock), said("clean-path", 1, Outcome::Except)],
            ..Verdicts::default()
        }),
        Arc::new(Verdicts::new(
            Some(Owner { place: "it's.toml:7".into(), rule: "=n.example".into(), reason: "we\\need it".into() }),
            Vec::new(),
            vec![Said { acted: false, ..said("clean-store", 8, Outcome::Block) }],
        )),
        Arc::new(Verdicts::new(
            None,
            vec![said("clean-path", 2, Outcome::Except)],
            vec![Said { acted: false, ..said("clean-path", 3, Outcome::WouldBlock) }],
        )),
    ];
    let one = |index: usize| Row {
        client: format!("192.0.2.{}", index % 3),
        rcode: if index.is_multiple_of(11) { Rcode::SERVFAIL } else { Rcode::NOERROR },
        rr_type: if index.is_multiple_of(5) { RrType(65400) } else { RrType::AAAA },
        ede: index.is_multiple_of(7).then_some(0),
        cache: (!index.is_multiple_of(3)).then_some(CacheUse::Stale),
        upstream: index.is_multiple_of(4).then(|| "forward corp.example".into()),
        bypass: index.is_multiple_of(13),
        verdicts: verdicts[index % 5].clone(),
        aliases: if index.is_multiple_of(2) { vec![r"al\032ias.example".into()] } else { Vec::new() },
        addresses: if index.is_multiple_of(2) { vec!["2001:db8::1".parse().unwrap()] } else { Vec::new() },
        // Over the end of a month.
        time: NEW_YEAR + (index as i64 - 50) * 1_000_001,
        name: format!(r"n{}\\'\034.example", index % 31),
        micros: 37,
        ..Row::default()
    };
    (0..count).map(one).collect()
}

/// What is alike in rows that are summed up; blocked ones come by themselves.
fn key(row: &Row) -> String {
    if row.verdicts.fate() == Fate::Blocked {
        return format!("{} {:?}", row.time, Row { aliases: Vec::new(), addresses: Vec::new(), ..row.clone() });
    }
    let alike = Row { time: 0, aliases: Vec::new(), addresses: Vec::new(), ..row.clone() };
    format!("{} {alike:?}", row.time.div_euclid(3_600_000_000))
}

/// Counts of rows that are alike, by hour, with their first and last times.
fn sums(rows: &[Row]) -> BTreeMap<String, (u64, i64, i64)> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(key(row)).or_insert((0, i64::MAX, i64::MIN));
        *sum = (sum.0 + 1, sum.1.min(row.time), sum.2.max(row.time));
    }
    sums
}

/// A database of its own for a test.
fn config(test: &str) -> ClickHouse {
    let url = env::var("CLEANDNS_CLICKHOUSE").expect("tests/clickhouse.sh starts a server and runs this against it");
    let text = |name: &str| env::var(name).unwrap_or_default();
    ClickHouse {
        url,
        database: format!("cleandns_{test}_{}", std::process::id()),
        user: text("CLEANDNS_CLICKHOUSE_USER"),
        password: text("CLEANDNS_CLICKHOUSE_PASSWORD"),
        spill_bytes: 1 << 20,
    }
}

/// Every number: what is read as sums makes the report that the rows themselves make, with what owner's exceptions beat, and
/// who asked again after a block.
#[test]
fn a_report_is_the_one_of_the_rows() {
    let config = config("report");
    let mut rows = varied(3000);
    let again = |at: i64, name: &str, step: i64| Row {
        time: NEW_YEAR + at * step,
        client: "192.0.2.1".into(),
        name: name.into(),
        verdicts: Arc::new(Verdicts { said: vec![said("clean-store", 7, Outcome::Block)], ..Verdicts::default() }),
        ..Row::default()
    };
    // One that asks every two seconds, one that comes back after a quarter of an hour, as two apps do.
    rows.extend((0..6).map(|at| again(at, "often.example", 2_000_000)));
    rows.extend((0..6).map(|at| again(at, "seldom.example", 900_000_000)));
    rows.extend((0..5).map(|at| again(at + 1000, "often.example", 2_000_000)));
    rows.sort_by_key(|row| row.time);
    let mut sink = ClickHouseSink::new(&config, "one", None);
    assert_eq!((sink.write_rows(rows.clone()), sink.finish()), (0, 0));

    let context = Context { from: 0, to: i64::MAX, ..Context::default() };
    let report = |tally: &Tally| serde_json::to_value(tally.finish(&context)).unwrap();
    let mut of_rows = Tally::new(Filter::default());
    rows.iter().for_each(|row| of_rows.add(&Seen::one(row)));
    let reader = ClickHouseReader::new(&config);
    let mut read = Tally::new(Filter::default());
    reader.for_each(0, i64::MAX, None, |seen| read.add(&seen)).unwrap();
    reader.leads(0, i64::MAX, None, |name, lead| read.add_lead(name, lead)).unwrap();
    let (expected, read) = (report(&of_rows), report(&read));
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&read[part], expected, "{part}");
    }
    let names = expected["collateral"]["names"]["rows"].as_array().unwrap();
    let retried = names.iter().find(|row| row["name"] == "often.example").unwrap();
    assert_eq!((&retried["retries"]["rows"], &retried["retries"]["queries"]), (&2.into(), &9.into()), "{retried}");
}

#[test]
fn a_server_gives_back_what_it_was_given() {
    let config = config("test");
    let reader = ClickHouseReader::new(&config);
    assert!(matches!(reader.first(None), Err(ReadError::None { .. })));
    let rows = varied(2000);
    let folder = tempfile::tempdir().unwrap();
    for instance in ["one", "two"] {
        // An insert each.
        for rows in rows.chunks(300) {
            let mut sink = ClickHouseSink::new(&config, instance, Some(folder.path()));
            assert_eq!((sink.write_rows(rows.to_vec()), sink.finish()), (0, 0));
        }
        let waiting = fs::read_dir(folder.path().join("clickhouse-spill")).map_or(0, |files| files.count());
        assert_eq!(waiting, 0);
    }

    let mut has_aliases = false;
    let mut read = |from, to, instance| {
        let mut sums = BTreeMap::new();
        let each = |seen: Seen<'_>| {
            let is_alias = seen.row.aliases == rows[0].aliases && seen.row.addresses == rows[0].addresses;
            assert!(is_alias || seen.row.aliases.is_empty() && seen.row.addresses.is_empty(), "{:?}", seen.row);
            has_aliases |= is_alias;
            assert!(sums.insert(key(seen.row), (seen.count, seen.first, seen.last)).is_none());
        };
        reader.for_each(from, to, instance, each).unwrap();
        sums
    };
    assert_eq!(reader.first(None).unwrap(), Some(rows[0].time));
    assert_eq!(read(0, i64::MAX, Some("one")), sums(&rows));
    assert_eq!(read(0, i64::MAX, Some("three")), BTreeMap::new());
    assert_eq!(read(0, i64::MAX, None).values().map(|sum| sum.0).sum::<u64>(), 4000);
    // Exact to the microsecond.
    assert_eq!(read(rows[3].time, rows[99].time, Some("two")), sums(&rows[3..99]));
    assert_eq!(read(rows[3].time + 1, rows[99].time + 1, Some("two")), sums(&rows[4..100]));

    assert!(has_aliases);

    let mut leads = Vec::new();
    reader.leads(NEW_YEAR, i64::MAX, None, |name, lead| leads.push((name.to_owned(), format!("{lead:?}")))).unwrap();
    leads.sort();
    assert_eq!(leads.len(), 62);
    assert_eq!((leads[0].0.as_str(), leads[0].1.as_str()), (r"n0\\'\034.example", "Address(2001:db8::1)"));
    assert_eq!(leads[1].1, r#"Alias("al\\032ias.example")"#);
}
