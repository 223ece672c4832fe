//! The first rows of what is blocked and would be: services, names, clients. A small part of a report, for who looks
//! often.

use super::{
    Moment, Tally,
    breakdown::{Breakdown, Counts},
    form::Top,
    never::{Candidate, QuietRule, others},
};
use foldhash::{HashMap, HashMapExt as _, HashSet};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{self, BTreeMap};

/// Rows of a table at most. Services aren't bounded: there are as many as lists name.
const ROWS_MAX: usize = 100;
/// Exceptions that matched something, which are told of.
const EXCEPTIONS_MAX: usize = 10_000;

/// Rules that are known to have hit, of all lists: a busy network's in a week, some 60 octets each.
const RULES_HIT_MAX: usize = 50_000;

/// What was and would be blocked most, and excepted.
#[derive(Clone, PartialEq, Debug)]
pub struct Tops {
    /// The times that were really looked at.
    pub from: Moment,
    pub to: Moment,
    pub made_at: Moment,
    /// All queries, whatever became of them.
    pub queries: u64,
    /// All that any query is said of; by `program/service`.
    pub services: Top<TopRow>,
    pub names: Top<TopRow>,
    /// Those that privacy left something of.
    pub clients: Top<TopRow>,
    /// Of the owner's exceptions, by where they stand, those that matched something, with how often.
    pub owners: BTreeMap<String, u64>,
    /// The same of lists' exceptions.
    pub excepting: BTreeMap<ListRule, u64>,
    /// Of all texts of lists that decided anything.
    pub lists: Vec<ListHits>,
}

/// A rule of a list, whatever line it is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ListRule {
    pub program: String,
    pub list: String,
    /// As in verdicts.
    pub rule: String,
}

/// What the text of a list decided.
#[derive(Clone, PartialEq, Debug)]
pub struct ListHits {
    pub program: String,
    pub service: String,
    pub list: String,
    /// As verdicts have it.
    pub version: String,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Line and rule of those that did; `None`: they are too many to be known.
    rules: Option<Vec<(u32, String)>>,
}

impl ListHits {
    /// Those of its rules that decided nothing: how many, and the first of them. `rules`: all of them. `None`: that isn't known.
    pub fn never_hit<T: FnOnce() -> String>(
        &self,
        rules: impl Iterator<Item = Candidate<T>>,
    ) -> Option<(u64, Vec<QuietRule>)> {
        let mut hit: collections::HashMap<u32, collections::HashSet<&str>> = collections::HashMap::new();
        for (line, rule) in self.rules.as_ref()? {
            hit.entry(*line).or_default().insert(rule);
        }
        Some(others(&hit, &collections::HashSet::new(), rules))
    }
}

/// What became of queries that have something in common.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct TopRow {
    pub key: String,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Clients whose queries are blocked or would be; of a client, itself.
    pub clients: u64,
}

impl TopRow {
    fn new(key: String, counts: Counts, clients: u64) -> Self {
        let [blocked, would_block, excepted] = counts.0;
        Self { key, blocked, would_block, excepted, clients }
    }

    /// Blocked, or would be.
    pub fn hits(&self) -> u64 {
        self.blocked + self.would_block
    }
}

impl Tally {
    /// The first rows, of what was counted from one time until before another, in microseconds since 1970.
    pub fn tops(&self, (from, to): (i64, i64), made_at: i64) -> Tops {
        let all = Breakdown::new(self);
        let services = all.services.rows.iter().map(|((program, service), group)| {
            TopRow::new(format!("{program}/{service}"), group.counts, group.clients.len() as u64)
        });
        let clients = (0u32..).zip(&all.clients).filter_map(|(client, facts)| {
            let text = self.clients.text(all.known(client)?);
            Some(TopRow::new(text.to_owned(), facts.counts, u64::from(facts.counts.hits() > 0)))
        });
        let owners = all.exceptions.rows.iter().take(EXCEPTIONS_MAX);
        let excepting = Self::excepting(&all);
        Tops {
            from: Moment(from),
            to: Moment(to),
            made_at: Moment(made_at),
            queries: self.sums.queries,
            services: first(services.collect(), usize::MAX),
            names: self.top_names(&all),
            clients: first(clients.collect(), ROWS_MAX),
            owners: owners.map(|(place, group)| ((*place).to_owned(), group.counts.excepted())).collect(),
            excepting,
            lists: lists(&all),
        }
    }

    /// Exceptions of lists that matched something.
    fn excepting(all: &Breakdown<'_>) -> BTreeMap<ListRule, u64> {
        let mut excepting = BTreeMap::new();
        for ((list, _, rule), group) in &all.rules.rows {
            // Rules that an exception of the owner's beat are none.
            let queries = group.counts.excepted() - group.beaten;
            if queries == 0 {
                continue;
            }
            let (program, _, list, _) = all.lists.rows[*list].0;
            let [program, list, rule] = [program, list, rule].map(str::to_owned);
            let rule = ListRule { program, list, rule };
            if excepting.len() < EXCEPTIONS_MAX || excepting.contains_key(&rule) {
                // A list that changed has it perhaps in another line.
                *excepting.entry(rule).or_default() += queries;
            }
        }
        excepting
    }

    fn top_names(&self, all: &Breakdown<'_>) -> Top<TopRow> {
        let row = |name: u32| TopRow::new(self.names.text(name).to_owned(), all.names[name as usize].counts, 0);
        let mut top = first(all.asked().map(row).collect(), ROWS_MAX);
        // Clients are counted of the few that are shown.
        let mut clients: HashMap<&str, HashSet<u32>> = HashMap::new();
        clients.extend(top.rows.iter().map(|row| (row.key.as_str(), HashSet::default())));
        for key in self.judged.keys() {
            let is_hit = super::breakdown::is_hit(self.opinions.kept[key.opinion as usize].fate);
            let client = all.known(key.client).filter(|_| is_hit);
            if let (Some(of_name), Some(client)) = (clients.get_mut(self.names.text(key.name)), client) {
                of_name.insert(client);
            }
        }
        let counts: Vec<u64> = top.rows.iter().map(|row| clients[row.key.as_str()].len() as u64).collect();
        top.rows.iter_mut().zip(counts).for_each(|(row, count)| row.clients = count);
        top
    }
}

/// What each text of a list decided, with its rules if those of all aren't too many.
fn lists(all: &Breakdown<'_>) -> Vec<ListHits> {
    let is_hit = |counts: Counts| counts.0.iter().any(|&queries| queries > 0);
    let rules = || all.rules.rows.iter().filter(|(_, group)| is_hit(group.counts)).map(|(key, _)| key);
    let are_known = rules().count() <= RULES_HIT_MAX;
    let mut by_list: HashMap<usize, Vec<(u32, String)>> = HashMap::new();
    for (list, line, rule) in rules().filter(|_| are_known) {
        by_list.entry(*list).or_default().push((*line, (*rule).to_owned()));
    }
    let mut lists = Vec::new();
    for (at, (key, group)) in all.lists.rows.iter().enumerate().filter(|(_, (_, group))| is_hit(group.counts)) {
        let [program, service, list, version] = [key.0, key.1, key.2, key.3].map(str::to_owned);
        let [blocked, would_block, excepted] = group.counts.0;
        let rules = are_known.then(|| by_list.remove(&at).unwrap_or_default());
        lists.push(ListHits { program, service, list, version, blocked, would_block, excepted, rules });
    }
    lists
}

/// The first rows of which anything is to be told: what hits most comes first, then what has most exceptions.
fn first(mut rows: Vec<TopRow>, max: usize) -> Top<TopRow> {
    rows.retain(|row| row.hits() + row.excepted > 0);
    rows.sort_by(|a, b| (b.hits(), b.excepted, &a.key).cmp(&(a.hits(), a.excepted, &b.key)));
    let there_are = rows.len() as u64;
    rows.truncate(max);
    Top { there_are, rows }
}
