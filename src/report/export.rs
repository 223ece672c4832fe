//! Aggregates for research, from which no client stands out.
//!
//! An aggregate is what has day, program, service, list, trigger, outcome and registrable domain in common. One that
//! fewer than *k* clients have a part in is merged with others: first over all domains, then over services, lists and
//! triggers too, then over programs; what is still of fewer than k clients is left out. Days with fewer than k clients
//! have no denominators, and are in none. `config/EXPORT.md` has the columns.
//!
//! Each day stands for itself, and what is told of the whole is a sum over days that are told: so an export of several
//! days is that of each of them, and two that differ by a day tell no more than that day's. Of a program alone there is
//! nothing in an export that isn't in that of all.
//!
//! What this can't do: hide that somebody is among k, or undo what exports by another k or of other servers tell
//! together.

use super::{Context, Moment, Tally, csv, registrable, tally::JudgedKey, words::DAY};
use foldhash::{HashMap, HashMapExt as _, HashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// Clients that an aggregate has at least, if nothing else is said.
pub const CLIENTS_MIN: u64 = 5;
/// Raised when a column changes its meaning or goes.
const SCHEMA: &str = "cleandns.export/2";
/// What stands for a value that is merged away.
const MERGED: &str = "(fewer than k clients)";
/// How often an aggregate is merged: once a level of [`Key::merged`].
const LEVELS: usize = 3;
/// All columns of the CSV form, in order. New ones go to the end.
const COLUMNS: [&str; 12] = [
    "record", "day", "program", "service", "list", "trigger", "outcome", "domain", "queries", "names", "clients",
    "note",
];

/// An export.
#[derive(Clone, PartialEq, Debug)]
pub struct Export {
    pub header: Header,
    pub days: Vec<DayTotals>,
    pub aggregates: Vec<Aggregate>,
}

/// What it is, and sums over the days that are told.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Header {
    pub schema: &'static str,
    /// Included.
    pub from: Moment,
    /// Not included.
    pub to: Moment,
    pub made_at: Moment,
    /// Clients that an aggregate has at least; 0 switches merging off.
    pub k: u64,
    /// How much of clients was kept: what a client is. Empty if that isn't known.
    pub privacy: Vec<String>,
    pub queries: u64,
    /// `None` if that of some day is.
    pub left_out: Option<u64>,
    pub without_room: u64,
}

/// The denominators of a day with at least k clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DayTotals {
    pub day: String,
    pub queries: u64,
    /// Asked for; `None`: there were too many in all to count them.
    pub names: Option<u64>,
    pub clients: u64,
    /// Registrable ones of these names.
    pub domains: Option<u64>,
    /// Verdicts that are in no aggregate, because too few clients have a part in them even when merged. `None` if those
    /// are fewer than k clients in all, or if it is an export of one program: beside that of all it would tell what of
    /// that program is merged with others.
    pub left_out: Option<u64>,
    /// Queries that are in no aggregate, because there are too many names, clients or rules; they are in the
    /// denominators.
    pub without_room: u64,
}

/// Verdicts with everything in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Aggregate {
    pub day: String,
    pub program: String,
    pub service: String,
    pub list: String,
    pub trigger: String,
    pub outcome: String,
    /// Registrable.
    pub domain: String,
    /// A query that several programs have something to say of is in an aggregate of each.
    pub queries: u64,
    pub names: u64,
    pub clients: u64,
}

/// A line of the JSONL form.
#[derive(Serialize)]
struct Line<'l, T> {
    record: &'static str,
    #[serde(flatten)]
    of: &'l T,
}

/// What is in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key<'t> {
    day: i64,
    program: &'t str,
    service: &'t str,
    list: &'t str,
    trigger: &'t str,
    outcome: &'t str,
    domain: &'t str,
}

/// Who has a part in it.
#[derive(Default)]
struct Group {
    queries: u64,
    names: HashSet<u32>,
    clients: HashSet<u32>,
}

impl<'t> Key<'t> {
    /// The key of what this is merged into, each time with less.
    fn merged(self, level: usize) -> Self {
        let key = Self { domain: MERGED, ..self };
        match level {
            0 => key,
            1 => Self { service: MERGED, list: MERGED, trigger: MERGED, ..key },
            _ => Self { program: MERGED, service: MERGED, list: MERGED, trigger: MERGED, ..key },
        }
    }
}

impl Group {
    fn absorb(&mut self, other: Self) {
        self.queries += other.queries;
        self.names.extend(other.names);
        self.clients.extend(other.clients);
    }
}

impl Tally {
    /// Aggregates of at least `k` clients each ([`CLIENTS_MIN`] is usual). Alike queries put together count for the day
    /// of the first. What the owner's exceptions alone let pass is in no aggregate.
    pub fn export(&self, context: &Context, k: u64) -> Export {
        let mut kept: BTreeMap<Key<'_>, Group> = BTreeMap::new();
        let mut open = self.groups();
        for level in 0..=LEVELS {
            let mut small: HashMap<Key<'_>, Group> = HashMap::new();
            for (key, group) in open {
                if group.clients.len() as u64 >= k {
                    kept.insert(key, group);
                } else {
                    small.entry(key.merged(level)).or_default().absorb(group);
                }
            }
            open = small;
        }
        let mut rest: BTreeMap<i64, Group> = BTreeMap::new();
        open.into_iter().for_each(|(key, group)| rest.entry(key.day).or_default().absorb(group));
        let days = self.day_totals(k, &rest);
        Export {
            header: self.header(context, k, &days),
            days,
            aggregates: kept.into_iter().map(|(key, group)| aggregate(key, &group)).collect(),
        }
    }

    fn groups(&self) -> HashMap<Key<'_>, Group> {
        let mut groups: HashMap<Key<'_>, Group> = HashMap::new();
        for (JudgedKey { day, name, client, opinion }, cell) in &self.judged {
            let domain = registrable(self.names.text(*name));
            for said in &self.opinions.kept[*opinion as usize].verdicts.said {
                let group = groups.entry(Key {
                    day: *day,
                    program: &said.program,
                    service: &said.service,
                    list: &said.list,
                    trigger: said.trigger.word(),
                    outcome: said.outcome.word(),
                    domain,
                });
                let group = group.or_default();
                group.queries += cell.queries;
                group.names.extend(Some(*name).filter(|name| !self.names.text(*name).is_empty()));
                group.clients.extend(Some(*client).filter(|client| !self.clients.text(*client).is_empty()));
            }
        }
        groups
    }

    fn header(&self, context: &Context, k: u64, days: &[DayTotals]) -> Header {
        Header {
            schema: SCHEMA,
            from: Moment(context.from),
            to: Moment(context.to),
            made_at: Moment(context.made_at),
            k,
            privacy: context.privacy.clone(),
            queries: days.iter().map(|day| day.queries).sum(),
            left_out: days.iter().map(|day| day.left_out).sum(),
            without_room: days.iter().map(|day| day.without_room).sum(),
        }
    }

    /// `rest`: what of each day is in no aggregate.
    fn day_totals(&self, k: u64, rest: &BTreeMap<i64, Group>) -> Vec<DayTotals> {
        let Some(days) = &self.days else { return Vec::new() };
        let asked = days.names().map(|names| {
            let mut domains: Vec<(i64, &str)> =
                names.map(|(day, name)| (day, registrable(self.names.text(name)))).collect();
            let names = by_day(&domains);
            domains.sort_unstable();
            domains.dedup();
            (names, by_day(&domains))
        });
        let is_of_one = self.filter.program.is_some() && k > 1;
        let left_out = |day: i64| match rest.get(&day) {
            _ if is_of_one => None,
            None => Some(0),
            Some(rest) => Some(rest.queries).filter(|_| rest.clients.len() as u64 >= k),
        };
        let of = |counts: &BTreeMap<i64, u64>, day: i64| counts.get(&day).copied().unwrap_or(0);
        days.of(k)
            .map(|(number, day)| DayTotals {
                day: shown_day(number),
                queries: day.queries,
                names: asked.as_ref().map(|(names, _)| of(names, number)),
                clients: day.clients,
                domains: asked.as_ref().map(|(_, domains)| of(domains, number)),
                left_out: left_out(number),
                without_room: day.without_room,
            })
            .collect()
    }
}

/// How many of them each day has.
fn by_day<T>(all: &[(i64, T)]) -> BTreeMap<i64, u64> {
    let mut counts = BTreeMap::new();
    all.iter().for_each(|(day, _)| *counts.entry(*day).or_default() += 1);
    counts
}

fn shown_day(day: i64) -> String {
    Moment(day.saturating_mul(DAY)).day()
}

fn aggregate(key: Key<'_>, group: &Group) -> Aggregate {
    Aggregate {
        day: shown_day(key.day),
        program: key.program.to_owned(),
        service: key.service.to_owned(),
        list: key.list.to_owned(),
        trigger: key.trigger.to_owned(),
        outcome: key.outcome.to_owned(),
        domain: key.domain.to_owned(),
        queries: group.queries,
        names: group.names.len() as u64,
        clients: group.clients.len() as u64,
    }
}

impl Export {
    /// A JSON object a line: one `header`, then each `day`, then each `aggregate`.
    pub fn jsonl(&self) -> String {
        let mut text = json("header", &self.header);
        self.days.iter().for_each(|day| text += &json("day", day));
        self.aggregates.iter().for_each(|aggregate| text += &json("aggregate", aggregate));
        text
    }

    /// The same as CSV (RFC 4180), guarded against formulas; what has no column stands in `note`.
    pub fn csv(&self) -> String {
        let shown = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let left = |left_out: Option<u64>| left_out.map_or_else(|| "not told".to_owned(), |left| left.to_string());
        let Header { schema, from, to, made_at, k, privacy, queries, left_out, without_room } = &self.header;
        let note = format!(
            "schema={schema}; from={from}; to={to}; made_at={made_at}; k={k}; privacy={}; left_out={}; \
             without_room={without_room}",
            privacy.join(" "),
            left(*left_out)
        );
        let mut text = csv::record(COLUMNS);
        text += &csv::record(["header", "", "", "", "", "", "", "", &queries.to_string(), "", "", &note]);
        for DayTotals { day, queries, names, clients, domains, left_out, without_room } in &self.days {
            let domains = domains.map_or_else(|| "not counted".to_owned(), |domains| domains.to_string());
            let note = format!("domains={domains}; left_out={}; without_room={without_room}", left(*left_out));
            let [queries, names, clients] = [Some(*queries), *names, Some(*clients)].map(shown);
            text += &csv::record(["day", day, "", "", "", "", "", "", &queries, &names, &clients, &note]);
        }
        for row in &self.aggregates {
            let [queries, names, clients] = [row.queries, row.names, row.clients].map(|number| number.to_string());
            let Aggregate { day, program, service, list, trigger, outcome, domain, .. } = row;
            let keys = [day, program, service, list, trigger, outcome, domain].map(String::as_str);
            let [day, program, service, list, trigger, outcome, domain] = keys;
            text += &csv::record([
                "aggregate",
                day,
                program,
                service,
                list,
                trigger,
                outcome,
                domain,
                &queries,
                &names,
                &clients,
                "",
            ]);
        }
        text
    }
}

fn json<T: Serialize>(record: &'static str, of: &T) -> String {
    let line = serde_json::to_string(&Line { record, of }).expect("plain values are always JSON");
    line + "\n"
}
