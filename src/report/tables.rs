//! The tables that people read, once for the terminal and the page. Each says what its shares are of.

mod around;
mod quiet;

pub(super) use around::{bypass, clients, collateral, exceptions, matrix, neighbours};
pub(super) use quiet::{kinds, lists_never_hit, rules_never_hit};

use super::{
    form::{Bucket, Hits, Report, RuleRow, TriggerRow},
    words::{Moment, Share, count, counted, queries},
};
use std::borrow::Cow;

/// A table as texts.
pub(super) struct Table {
    /// Of its section: stable, for links.
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, and what shares are of.
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Rows there are in all.
    pub there_are: u64,
    /// By row: queries blocked, that would be, excepted. Empty for tables that aren't about them.
    pub bars: Vec<[u64; 3]>,
    /// Said if there is no row.
    pub empty: Cow<'static, str>,
}

/// The head of a column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub head: &'static str,
    /// Aligned to the right.
    pub is_number: bool,
}

const fn text(head: &'static str) -> Column {
    Column { head, is_number: false }
}

const fn number(head: &'static str) -> Column {
    Column { head, is_number: true }
}

/// Columns of [`hit_cells`].
const HIT_COLUMNS: [Column; 8] = [
    number("blocked"),
    number("would block"),
    number("excepted"),
    number("hit queries"),
    number("hit names"),
    number("hit clients"),
    text("first"),
    text("last"),
];

fn hit_cells(hits: &Hits) -> Vec<String> {
    let [blocked, would_block, excepted] = bar(hits).map(count);
    let shares = [hits.queries, hits.names, hits.clients].map(|share| with_percent(&share));
    let [all, names, clients] = shares;
    vec![blocked, would_block, excepted, all, names, clients, time(hits.first), time(hits.last)]
}

fn bar(hits: &Hits) -> [u64; 3] {
    [hits.blocked, hits.would_block, hits.excepted]
}

/// `412 (1.2 %)`.
fn with_percent(share: &Share) -> String {
    format!("{} ({})", count(share.part), share.percent())
}

fn time(moment: Option<Moment>) -> String {
    moment.map_or_else(|| "-".to_owned(), Moment::minute)
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// What shares of hits are of.
fn denominators(report: &Report) -> String {
    let totals = &report.totals;
    format!(
        "Hit: blocked, or would be. Shares are of all {}, {} and {}.",
        queries(totals.queries),
        counted(totals.names, "name", "names"),
        counted(totals.clients, "client", "clients")
    )
}

/// As much of a version as tells it from others.
fn start(version: &str) -> String {
    version.chars().take(8).collect()
}

/// `qname 300, cname 12 would-block`.
fn trigger_words(rows: &[TriggerRow]) -> String {
    let word = |row: &TriggerRow| {
        let outcome = if row.outcome == "block" { String::new() } else { format!(" {}", row.outcome) };
        format!("{} {}{outcome}", row.trigger, count(row.queries))
    };
    rows.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Columns beside those of hits, and a row's cells for them.
type Columns<'c, R> = (&'c [Column], &'c dyn Fn(&R) -> Vec<String>);

/// A table of hits: `keys` before [`HIT_COLUMNS`] and `more` behind them.
fn of_hits<'r, R: 'r>(
    (id, title, caption): (&'static str, &'static str, String),
    rows: (&'r [R], u64),
    keys: Columns<'_, R>,
    hits: &dyn Fn(&R) -> &Hits,
    more: Columns<'_, R>,
) -> Table {
    let ((rows, there_are), (key_columns, key_cells), (more_columns, more_cells)) = (rows, keys, more);
    Table {
        id,
        title,
        caption,
        columns: [key_columns, &HIT_COLUMNS, more_columns].concat(),
        rows: rows.iter().map(|row| [key_cells(row), hit_cells(hits(row)), more_cells(row)].concat()).collect(),
        there_are,
        bars: rows.iter().map(|row| bar(hits(row))).collect(),
        empty: "Nothing was blocked or would have been.".into(),
    }
}

/// All sums.
pub(super) fn totals(report: &Report) -> Table {
    let row = |(_, what, share, of): (&str, &str, Share, &str)| {
        vec![what.to_owned(), count(share.part), format!("{} {of}", count(share.of)), share.percent()]
    };
    let rows: Vec<Vec<String>> = report.totals.shares().map(row).into();
    Table {
        id: "totals",
        title: "Totals",
        caption: "Blocked, would be blocked, excepted, passed and refused make up all queries.".to_owned(),
        columns: vec![text("what"), number("count"), number("of"), number("share")],
        there_are: rows.len() as u64,
        rows,
        bars: Vec::new(),
        empty: "".into(),
    }
}

/// The time line in at most so many rows.
pub(super) fn time_line(report: &Report, rows_max: usize) -> Table {
    let line = &report.time_line;
    let step = line.buckets.len().div_ceil(rows_max.max(1)).max(1);
    let row = |buckets: &[Bucket]| {
        let sum = |of: fn(&Bucket) -> u64| count(buckets.iter().map(of).sum());
        let start = buckets.first().map(|bucket| bucket.start);
        vec![
            time(start),
            sum(|at| at.blocked),
            sum(|at| at.would_block),
            sum(|at| at.excepted),
            sum(|at| at.passed),
            sum(|at| at.refused),
        ]
    };
    let rows: Vec<Vec<String>> = line.buckets.chunks(step).map(row).collect();
    let length = super::words::span((line.bucket_seconds * step as u64) as i64 * 1_000_000);
    Table {
        id: "time",
        title: "Time line",
        caption: format!("Queries by time (UTC), each row {length}."),
        columns: vec![
            text("from"),
            number("blocked"),
            number("would block"),
            number("excepted"),
            number("passed"),
            number("refused"),
        ],
        there_are: rows.len() as u64,
        rows,
        bars: Vec::new(),
        empty: "".into(),
    }
}

/// By program.
pub(super) fn programs(report: &Report) -> Table {
    of_hits(
        ("programs", "By program", denominators(report)),
        (&report.programs, report.programs.len() as u64),
        (&[text("program"), text("mode")], &|row| vec![row.program.clone(), or_dash(&row.modes.join(", "))]),
        &|row| &row.hits,
        (&[text("matched")], &|row| vec![or_dash(&trigger_words(&row.triggers))]),
    )
}

/// By service.
pub(super) fn services(report: &Report) -> Table {
    of_hits(
        ("services", "By service", denominators(report)),
        (&report.services, report.services.len() as u64),
        (&[text("program"), text("service")], &|row| vec![row.program.clone(), row.service.clone()]),
        &|row| &row.hits,
        (&[], &|_| Vec::new()),
    )
}

/// By text of a list.
pub(super) fn lists(report: &Report) -> Table {
    let note = "A rule that never decided anything may still match: a more specific one went first.";
    of_hits(
        ("lists", "By list", format!("{} {note}", denominators(report))),
        (&report.lists, report.lists.len() as u64),
        (&[text("list"), text("version")], &|row| {
            let others = match row.versions.there_are {
                ..2 => String::new(),
                all => format!(", {}", counted(all - 1, "other", "others")),
            };
            vec![format!("{}/{} {}", row.program, row.service, row.list), start(&row.version) + &others]
        }),
        &|row| &row.hits,
        (&[number("rules hit"), number("rules never hit"), text("matched")], &|row| {
            let of = row.rules.map_or("?".to_owned(), count);
            let unknown = match (row.rules, row.versions.there_are) {
                (None, _) => "? (not there now)",
                (_, 2..) => "? (several texts)",
                _ => "? (not named in the log)",
            };
            let never = row.rules_never_hit.map_or(unknown.to_owned(), count);
            vec![format!("{} of {of}", count(row.rules_hit)), never, trigger_words(&row.triggers)]
        }),
    )
}

/// By rule.
pub(super) fn rules(report: &Report) -> Table {
    of_hits(
        ("rules", "By rule", denominators(report)),
        (&report.rules.rows, report.rules.there_are),
        (&[text("rule"), text("place")], &|row| vec![or_dash(&row.rule), place(row)]),
        &|row| &row.hits,
        (&[text("matched")], &|row| vec![trigger_words(&row.triggers)]),
    )
}

/// Where a rule stands, as far as that is told.
fn place(row: &RuleRow) -> String {
    let RuleRow { program, service, list, line, .. } = row;
    let line = if *line == 0 { String::new() } else { format!(":{line}") };
    format!("{program}/{service} {list}{line}")
}

/// By registrable domain.
pub(super) fn domains(report: &Report) -> Table {
    let note = "Asked: all queries for names of the domain, by how many clients.";
    of_hits(
        ("domains", "By registrable domain", format!("{} {note}", denominators(report))),
        (&report.domains.rows, report.domains.there_are),
        (&[text("domain")], &|row| vec![row.domain.clone()]),
        &|row| &row.hits,
        (&[number("asked"), number("by clients")], &|row| vec![count(row.asked_queries), count(row.asked_clients)]),
    )
}
