//! Aggregates for research, from which no client stands out.
//!
//! An aggregate is what has day, program, service, list, trigger, outcome and registrable domain in common. One that
//! fewer than *k* clients have a part in is merged with others: first over all domains, then over services, lists and
//! triggers too, then over programs; what is still of fewer than k clients is left out. Days with fewer than k clients
//! have no denominators, and are in none. `config/EXPORT.md` has the columns.
//!
//! What this can't do: hide that somebody is among k, or undo what the numbers of several exports tell together.

use super::{
    Context, Moment, Tally, csv, registrable,
    tally::{Day, JudgedKey},
    words::DAY,
};
use foldhash::{HashMap, HashMapExt as _, HashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// Clients that an aggregate has at least, if nothing else is said.
pub const CLIENTS_MIN: u64 = 5;
/// Raised when a column changes its meaning or goes.
const SCHEMA: &str = "cleandns.export/1";
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

/// What it is, and the denominators of the whole: 0 all of them if there are fewer than k clients.
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
    /// Of the days with at least k clients: nobody can work out those of another.
    pub queries: u64,
    pub names: u64,
    pub clients: u64,
    pub domains: u64,
    /// Verdicts that are in no aggregate, because too few clients have a part in them even when merged. `None` if those
    /// are fewer than k clients in all.
    pub left_out: Option<u64>,
    /// Queries that are in no aggregate, because there are too many names, clients or rules; they are in the denominators.
    pub without_room: u64,
}

/// The denominators of a day with at least k clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DayTotals {
    pub day: String,
    pub queries: u64,
    pub clients: u64,
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
        let mut rest = Group::default();
        open.into_values().for_each(|group| rest.absorb(group));
        let is_told = rest.queries == 0 || rest.clients.len() as u64 >= k;
        let left_out = is_told.then_some(rest.queries);
        Export {
            header: self.header(context, k, left_out),
            days: self.day_totals(k),
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

    fn header(&self, context: &Context, k: u64, left_out: Option<u64>) -> Header {
        let asked: HashSet<u32> = {
            let judged = self.judged.keys().map(|key| key.name);
            let asked = self.passed.keys().map(|(name, _)| *name).chain(judged);
            asked.filter(|name| !self.names.text(*name).is_empty()).collect()
        };
        let domains: HashSet<&str> = asked.iter().map(|name| registrable(self.names.text(*name))).collect();
        let clients = self.clients.texts().iter().filter(|client| !client.is_empty()).count() as u64;
        let told = |number: u64| if clients >= k { number } else { 0 };
        Header {
            schema: SCHEMA,
            from: Moment(context.from),
            to: Moment(context.to),
            made_at: Moment(context.made_at),
            k,
            privacy: context.privacy.clone(),
            queries: if k == 0 { self.sums.queries } else { self.days_of(k).map(|(_, day)| day.queries).sum() },
            names: told(asked.len() as u64),
            clients: told(clients),
            domains: told(domains.len() as u64),
            left_out,
            without_room: told(self.beyond.queries),
        }
    }

    fn days_of(&self, k: u64) -> impl Iterator<Item = (&i64, &Day)> {
        self.days.iter().filter(move |(_, day)| day.clients >= k)
    }

    fn day_totals(&self, k: u64) -> Vec<DayTotals> {
        self.days_of(k)
            .map(|(number, day)| DayTotals { day: shown_day(*number), queries: day.queries, clients: day.clients })
            .collect()
    }
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

    /// The same as CSV (RFC 4180), guarded against formulas; what only the header has stands in `note`.
    pub fn csv(&self) -> String {
        let Header { schema, from, to, made_at, k, privacy, domains, without_room, .. } = &self.header;
        let left_out = self.header.left_out.map_or_else(|| "fewer than k clients".to_owned(), |left| left.to_string());
        let note = format!(
            "schema={schema}; from={from}; to={to}; made_at={made_at}; k={k}; privacy={}; domains={domains}; \
             left_out={left_out}; without_room={without_room}",
            privacy.join(" ")
        );
        let numbers = [self.header.queries, self.header.names, self.header.clients].map(|number| number.to_string());
        let [queries, names, clients] = &numbers;
        let mut text = csv::record(COLUMNS);
        text += &csv::record(["header", "", "", "", "", "", "", "", queries, names, clients, &note]);
        for DayTotals { day, queries, clients } in &self.days {
            let [queries, clients] = [queries, clients].map(u64::to_string);
            text += &csv::record(["day", day, "", "", "", "", "", "", &queries, "", &clients, ""]);
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
