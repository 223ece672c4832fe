#![allow(clippy::print_stdout, reason = "what it is for")]
//! What recording and reporting cost: nanoseconds of processor time a query, on the threads of their own.
//!
//! `cargo bench --bench query_log` measures; with `-- count` it has valgrind (a Debian package) count the instructions that
//! a row takes to be written and summed up, which are the same on a busy machine; with `-- upkeep` it has a day become too
//! old while rows are written.

#[path = "instructions.rs"]
mod instructions;
#[path = "upkeep.rs"]
mod upkeep;

use cleandns::{
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::{
        Row, Said, Sink, Verdicts,
        sqlite::{Limits, Origin, Reader, Writer},
    },
    report::{Context, Filter, Tally},
};
use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const ROWS: usize = 300_000;
/// Rows that are written together: what comes in a tenth of a second of twenty thousand a second.
const BATCH: usize = 2_000;
/// Batches of a round that instructions are counted of.
const ROUND: usize = 20;

/// What is asked.
struct Kind {
    word: &'static str,
    what: &'static str,
    names: usize,
    /// Rules that say something; 0: none does.
    rules: usize,
}

const KINDS: [Kind; 4] = [
    Kind { word: "popular", what: "10,000 names", names: 10_000, rules: 0 },
    Kind { word: "popular-rules", what: "10,000 names, 500 rules", names: 10_000, rules: 500 },
    Kind { word: "unique", what: "every name another", names: usize::MAX, rules: 0 },
    Kind { word: "unique-rules", what: "every name another, 100,000 rules", names: usize::MAX, rules: 100_000 },
];

/// Makes rows. Queries of which the same was said share it, as those that come from a server do.
struct Traffic<'k> {
    kind: &'k Kind,
    begun: i64,
    verdicts: HashMap<usize, Arc<Verdicts>>,
}

/// Verdicts that are shared at once, as a server does.
const SHARED_MAX: usize = 1 << 12;

impl<'k> Traffic<'k> {
    fn new(kind: &'k Kind) -> Self {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
        Self { kind, begun, verdicts: HashMap::new() }
    }

    fn batch(&mut self, batch: usize) -> Vec<Row> {
        (batch * BATCH..(batch + 1) * BATCH).map(|index| self.row(index)).collect()
    }

    fn row(&mut self, index: usize) -> Row {
        // Spread over all names, not in order.
        let number = index.wrapping_mul(7_919) % self.kind.names;
        let verdicts = match self.kind.rules {
            0 => Arc::default(),
            rules => self.said(number % rules),
        };
        Row {
            time: self.begun + index as i64 * 50,
            client: format!("192.168.1.{}", index % 20),
            name: format!("host{number}.some-domain.example"),
            micros: 40,
            cache: Some(CacheUse::Hit),
            verdicts,
            ..Row::default()
        }
    }

    fn said(&mut self, rule: usize) -> Arc<Verdicts> {
        if self.verdicts.len() >= SHARED_MAX {
            self.verdicts.clear();
        }
        let said = || Said {
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
        let made = || Arc::new(Verdicts { said: vec![said()], ..Verdicts::default() });
        self.verdicts.entry(rule).or_insert_with(made).clone()
    }
}

fn writer(path: &Path) -> Writer {
    let limits = Limits { keep: Duration::from_secs(86_400), keep_sums: Duration::from_secs(86_400), bytes: 1 << 30 };
    Writer::new(path, limits, Origin::default())
}

/// Processor time of this thread until now: on a busy machine the clock tells of others.
fn spent() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a kernel that counts the time of threads"))
}

fn measure(path: &Path, kind: &Kind) {
    let _ = fs::remove_file(path);
    let (mut writer, mut traffic) = (writer(path), Traffic::new(kind));
    let mut writing = Duration::ZERO;
    for batch in 0..ROWS / BATCH {
        let rows = traffic.batch(batch);
        let begun = spent();
        assert_eq!(writer.write_rows(rows), 0);
        writing += spent() - begun;
    }
    let begun = spent();
    writer.finish();
    writing += spent() - begun;
    let octets = fs::metadata(path).map_or(0, |file| file.len());
    let begun = spent();
    let mut tally = Tally::new(Filter::default());
    let mut reader = Reader::open(path).expect("the database was just written");
    reader.for_each(0, i64::MAX, |seen| tally.add(&seen)).expect("it can be read");
    let reading = spent() - begun;
    let now = traffic.begun;
    let context = Context { from: now, to: now, made_at: now, privacy: vec!["full".into()], ..Context::default() };
    let begun = spent();
    let report = tally.finish(&context);
    let finishing = spent() - begun;
    assert_eq!(report.totals.queries, ROWS as u64);
    let a_row = |time: Duration| time.as_nanos() / ROWS as u128;
    println!(
        "{:<36} write and sum up {:>5} ns a row, {} octets; read and count {:>5} ns, report {:>5} ns",
        kind.what,
        a_row(writing),
        octets / ROWS as u64,
        a_row(reading),
        a_row(finishing),
    );
}

/// What valgrind looks at: so many rounds.
fn work(path: &Path, kind: &Kind, rounds: usize) {
    let (mut writer, mut traffic) = (writer(path), Traffic::new(kind));
    // Rows are made in all rounds alike, whether they are written or not.
    for batch in 0..ROUND * 5 {
        let rows = traffic.batch(batch);
        if batch < ROUND * rounds {
            assert_eq!(writer.write_rows(rows), 0);
        }
    }
    writer.finish();
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("queries.db");
    if let Some((word, rounds)) = instructions::asked() {
        let kind = KINDS.iter().find(|kind| kind.word == word).expect("a word of one of them");
        return work(&path, kind, rounds);
    }
    let is_asked = |word: &str| std::env::args().any(|arg| arg == word);
    if is_asked("upkeep") {
        return upkeep::measure(&path);
    }
    let counts = is_asked("count");
    for kind in &KINDS {
        if counts {
            let instructions = instructions::of(kind.word, ROUND * BATCH).unwrap_or_else(|why| panic!("{why}"));
            println!("{:<36} write and sum up {instructions:>6.0} instructions a row", kind.what);
        } else {
            measure(&path, kind);
        }
    }
}
