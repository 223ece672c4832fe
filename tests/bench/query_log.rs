#![allow(clippy::print_stdout, reason = "what it is for")]
//! What recording and reporting cost: nanoseconds a query, on the threads of their own.
//!
//! `cargo bench --bench query_log`

use cleandns::{
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::{
        Row, Said, Sink, Verdicts,
        sqlite::{Limits, Origin, Reader, Writer},
    },
    report::{Context, Filter, Held, Tally},
};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const ROWS: usize = 300_000;
/// Rows that are written together: what comes in a tenth of a second of twenty thousand a second.
const BATCH: usize = 2_000;

fn row(time: i64, index: usize, names: usize, rules: usize) -> Row {
    // Spread over all names, not in order.
    let number = index.wrapping_mul(7_919) % names;
    let said = |rule: usize| Said {
        program: "clean-store".into(),
        service: "tiktok".into(),
        list: "tiktok.list".into(),
        version: "0123456789abcdef".into(),
        line: rule as u32,
        rule: format!("rule{rule}.example").into(),
        trigger: Trigger::Qname,
        outcome: Outcome::Block,
        acted: true,
    };
    let said = if rules > 0 { vec![said(number % rules)] } else { Vec::new() };
    Row {
        time,
        client: format!("192.168.1.{}", index % 20),
        name: format!("host{number}.some-domain.example"),
        micros: 40,
        cache: Some(CacheUse::Hit),
        verdicts: Arc::new(Verdicts { owner: None, said }),
        ..Row::default()
    }
}

fn measure(what: &str, path: &Path, names: usize, rules: usize) {
    let _ = fs::remove_file(path);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let limits = Limits { keep: Duration::from_secs(86_400), keep_sums: Duration::from_secs(86_400), bytes: 1 << 30 };
    let mut writer = Writer::new(path, limits, Origin::default());
    let mut spent = Duration::ZERO;
    for batch in 0..ROWS / BATCH {
        let rows = (batch * BATCH..(batch + 1) * BATCH).map(|index| row(now + index as i64 * 50, index, names, rules));
        let rows: Vec<Row> = rows.collect();
        let begun = Instant::now();
        assert_eq!(writer.write_rows(rows), 0);
        spent += begun.elapsed();
    }
    let begun = Instant::now();
    writer.finish();
    spent += begun.elapsed();
    let octets = fs::metadata(path).map_or(0, |file| file.len());
    let begun = Instant::now();
    let mut tally = Tally::new(Filter::default());
    let mut reader = Reader::open(path).expect("the database was just written");
    reader.for_each(0, i64::MAX, |seen| tally.add(&seen)).expect("it can be read");
    let read = begun.elapsed();
    let context = Context {
        from: now,
        to: now,
        made_at: now,
        instance: String::new(),
        source: String::new(),
        privacy: vec!["full".into()],
        lists: Vec::new(),
        held: Held::default(),
    };
    let begun = Instant::now();
    let report = tally.finish(&context);
    let finished = begun.elapsed();
    assert_eq!(report.totals.queries, ROWS as u64);
    println!(
        "{what:<44} write and sum up {:>5} ns a row, {} octets; read and count {:>5} ns, report {:>5} ns",
        spent.as_nanos() / ROWS as u128,
        octets / ROWS as u64,
        read.as_nanos() / ROWS as u128,
        finished.as_nanos() / ROWS as u128,
    );
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queries.db");
    for (what, names, rules) in [
        ("10,000 names", 10_000, 0),
        ("10,000 names, 500 rules", 10_000, 500),
        ("every name another", usize::MAX, 0),
        ("every name another, 100,000 rules", usize::MAX, 100_000),
    ] {
        measure(what, &path, names, rules);
    }
}
