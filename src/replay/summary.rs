//! What came of a comparison, as data: the same numbers for people and for programs.

use super::{
    count::{Counts, NO_REASON, Row, change_of, fates_of},
    engine::Tally,
    input::{Format, Place},
};
use crate::query_log::Fate;
use serde::Serialize;
use std::borrow::Cow;

/// Reasons for skipping that are told apart.
const REASONS_MAX: usize = 10;
/// Octets of one: some quote what stands in the file.
const REASON_BYTES_MAX: usize = 256;
/// What stands for all others.
const OTHER_REASONS: &str = "other reasons";

/// What two policies say of the same queries.
#[derive(Serialize, Clone, Debug)]
pub struct Summary {
    /// The word for the file's format.
    pub format: &'static str,
    pub queries: u64,
    pub names: Counted,
    pub clients: Counted,
    /// Times of the first query and the last (RFC 3339); `None`: the file tells none.
    pub first: Option<String>,
    pub last: Option<String>,
    /// How many queries had each fate, before and after.
    pub fates: Vec<FateCount>,
    /// Queries whose fate changed.
    pub changed: u64,
    /// Those that are blocked now, and were not.
    pub newly_blocked: u64,
    /// Those that are not blocked any more.
    pub newly_passed: u64,
    /// Every kind of change that occurred: what is newly blocked first, then what is newly passed.
    pub changes: Vec<Change>,
    /// Numbers of names and clients are right; else some bound was reached, and they are lower bounds.
    pub exact: bool,
    pub not_asked: NotAsked,
    /// Lines, packets, frames or rows without a query, such as comments and responses.
    pub ignored: u64,
    /// Queries in a capture that ask for no recursion, as resolvers ask name servers: they were not asked.
    pub between_servers: u64,
    pub skipped: Skipped,
    /// Where and why the file could not be read to its end.
    pub broken: Option<String>,
}

/// A number of distinct things.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counted {
    pub count: u64,
    /// False: there are more.
    pub exact: bool,
}

/// Queries of one fate.
#[derive(Serialize, Clone, Debug)]
pub struct FateCount {
    pub fate: &'static str,
    pub before: u64,
    pub after: u64,
}

/// Queries that had one fate and have another.
#[derive(Serialize, Clone, Debug)]
pub struct Change {
    pub before: &'static str,
    pub after: &'static str,
    pub queries: u64,
    pub names: u64,
    pub clients: u64,
    /// Most queries first, in each table.
    pub by_name: Vec<ByName>,
    pub by_client: Vec<ByClient>,
    pub by_service: Vec<ByService>,
}

/// A name, and the rule that explains its change.
#[derive(Serialize, Clone, Debug)]
pub struct ByName {
    pub name: String,
    pub queries: u64,
    pub clients: u64,
    pub because: Because,
}

/// A rule that decides now, or no longer.
#[derive(Serialize, Clone, Debug)]
pub struct Because {
    /// Empty for the owner's exceptions, as is the service; without a program the service says that there were more rules
    /// than are told apart.
    pub program: String,
    pub service: String,
    /// `list:line`; of another program's log the rule itself, or nothing.
    pub rule: String,
    /// `after`: it decides now; `before`: it did; empty: not told.
    pub of: &'static str,
}

/// A client for whom something changes.
#[derive(Serialize, Clone, Debug)]
pub struct ByClient {
    pub client: String,
    pub queries: u64,
    pub names: u64,
}

/// A service by whose rules something changes.
#[derive(Serialize, Clone, Debug)]
pub struct ByService {
    pub program: String,
    pub service: String,
    pub queries: u64,
    pub names: u64,
    pub clients: u64,
}

/// What replaying can't see.
#[derive(Serialize, Clone, Copy, Debug)]
pub struct NotAsked {
    /// Queries in the log of which only sums are left: they are in no number here.
    pub only_sums: u64,
    /// Rules on addresses and name servers in answers, in force before and after. They, and rules on names as targets of
    /// aliases, are asked only where the file tells what the answer led to, and never about name servers.
    pub answer_rules_before: u64,
    pub answer_rules_after: u64,
    /// Queries of which something is known of where the answer led: the file tells it of them, or of those whose answers
    /// they got from the cache.
    pub queries_with_answer: u64,
    /// Queries answered from the cache that lead where a query did for which the same was resolved.
    pub queries_with_remembered_answer: u64,
    /// Queries answered from the cache of which nothing in the file tells where they led: what rules on answers match in
    /// them isn't counted.
    pub queries_without_answer: u64,
    /// Queries with a recorded verdict that was left out, because what its rule looked at isn't recorded.
    pub verdicts_left_out: u64,
    /// Queries that count as unchanged, because what is recorded of them may be what is said now, and the file doesn't tell
    /// whether it is: a verdict was left out, or what an exception beat isn't told.
    pub queries_not_comparable: u64,
    /// Queries without a client's whole address: rules by client don't hold for them.
    pub queries_without_client: u64,
    /// Queries that were judged in the group that the file names, since their address doesn't tell it.
    pub queries_by_recorded_group: u64,
    /// Queries that were judged as nobody's, since neither their address is told nor a group that is there; 0 where there
    /// are no groups. Of them so many changed, perhaps for that reason alone.
    pub queries_without_group: u64,
    pub changed_without_group: u64,
}

/// What could not be read.
#[derive(Serialize, Clone, Default, Debug)]
pub struct Skipped {
    pub count: u64,
    pub reasons: Vec<Reason>,
}

/// Why something could not be read.
#[derive(Serialize, Clone, Debug)]
pub struct Reason {
    pub reason: Cow<'static, str>,
    pub count: u64,
    /// Where it came first, such as `line 12`.
    pub first: String,
}

/// Collects what could not be read.
#[derive(Default)]
pub(super) struct Skips(Skipped);

impl Skips {
    pub(super) fn add(&mut self, place: Place, reason: Cow<'static, str>) {
        let reason = short(reason);
        let Skipped { count, reasons } = &mut self.0;
        *count += 1;
        let is_full = reasons.len() == REASONS_MAX;
        if let Some(known) = reasons.iter_mut().find(|known| known.reason == reason) {
            known.count += 1;
        } else if let (true, Some(last)) = (is_full, reasons.last_mut()) {
            last.reason = OTHER_REASONS.into();
            last.count += 1;
        } else {
            reasons.push(Reason { reason, count: 1, first: place.to_string() });
        }
    }
}

/// A reason's beginning.
pub(super) fn short(reason: Cow<'static, str>) -> Cow<'static, str> {
    match reason.len() > REASON_BYTES_MAX {
        true => format!("{}…", &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]).into(),
        false => reason,
    }
}

/// Sums up. `answer_rules` are the rules on answers before and after.
pub(super) fn summarize(tally: &Tally, format: Format, top: usize, answer_rules: (u64, u64)) -> Summary {
    let counts = &tally.counts;
    let sum = |has: &dyn Fn(Fate, Fate) -> bool| -> u64 {
        let pairs = Fate::ALL.into_iter().flat_map(|before| Fate::ALL.map(|after| (before, after)));
        let of = |(before, after): (Fate, Fate)| counts.fates[before as usize][after as usize];
        pairs.filter(|&(before, after)| has(before, after)).map(of).sum()
    };
    let fate = |fate: Fate| FateCount {
        fate: fate.word(),
        before: sum(&|before, _| before == fate),
        after: sum(&|_, after| after == fate),
    };
    let shown = |micros: i64| jiff::Timestamp::from_microsecond(micros).ok().map(|time| format!("{time:.0}"));
    let times = tally.times;
    Summary {
        format: format.word(),
        queries: counts.queries,
        names: Counted { count: counts.names.len() as u64, exact: !counts.names.is_full },
        clients: Counted { count: counts.clients.len() as u64, exact: !counts.clients.is_full },
        first: times.and_then(|(first, _)| shown(first)),
        last: times.and_then(|(_, last)| shown(last)),
        fates: Fate::DECIDED.map(fate).into(),
        changed: sum(&|before, after| before != after),
        newly_blocked: sum(&|before, after| before != Fate::Blocked && after == Fate::Blocked),
        newly_passed: sum(&|before, after| before == Fate::Blocked && after != Fate::Blocked),
        changes: changes(counts, top),
        exact: counts.are_exact(),
        not_asked: NotAsked {
            only_sums: tally.only_sums,
            answer_rules_before: answer_rules.0,
            answer_rules_after: answer_rules.1,
            queries_with_answer: tally.with_answer,
            queries_with_remembered_answer: tally.remembered,
            queries_without_answer: tally.without_answer,
            verdicts_left_out: tally.unaskable,
            queries_not_comparable: tally.incomparable,
            queries_without_client: tally.without_client,
            queries_by_recorded_group: tally.recorded_group,
            queries_without_group: tally.without_group,
            changed_without_group: tally.changed_without_group,
        },
        ignored: tally.ignored,
        between_servers: tally.between_servers,
        skipped: tally.skips.0.clone(),
        broken: tally.broken.clone(),
    }
}

/// Every change that occurred.
fn changes(counts: &Counts, top: usize) -> Vec<Change> {
    let all = Fate::ALL.into_iter().flat_map(|before| Fate::ALL.map(|after| (before, after)));
    let mut all: Vec<(Fate, Fate)> = all.filter(|(before, after)| before != after).collect();
    // A stable order that has what people look for first.
    all.sort_by_key(|&(before, after)| (after != Fate::Blocked, before != Fate::Blocked));
    let numbers = all.into_iter().map(|(before, after)| change_of(before, after));
    let occurred = numbers.filter(|&change| counts.changes[usize::from(change)].queries > 0);
    occurred.map(|change| of_change(counts, change, top)).collect()
}

fn of_change(counts: &Counts, change: u8, top: usize) -> Change {
    let Row { queries, names, clients } = counts.changes[usize::from(change)];
    let (before, after) = fates_of(change);
    let name = |&(name, _, reason): &(u32, u8, u32), row: &Row| {
        let (program, service) = counts.reasons.service_of_reason(reason);
        let is_told = reason != NO_REASON;
        let reason = counts.reasons.reason(reason);
        ByName {
            name: counts.changed_names.shown(name),
            queries: row.queries,
            clients: row.clients,
            because: Because {
                program: program.to_owned(),
                service: service.to_owned(),
                rule: reason.rule.to_string(),
                of: match reason.is_of_before {
                    _ if !is_told => "",
                    true => "before",
                    false => "after",
                },
            },
        }
    };
    let client = |&(client, _): &(u32, u8), row: &Row| ByClient {
        client: counts.clients.shown(client).to_owned(),
        queries: row.queries,
        names: row.names,
    };
    let service = |&(service, _): &(u32, u8), row: &Row| {
        let (program, service) = counts.reasons.service(service);
        let (program, service) = (program.to_owned(), service.to_owned());
        ByService { program, service, queries: row.queries, names: row.names, clients: row.clients }
    };
    Change {
        before: before.word(),
        after: after.word(),
        queries,
        names,
        clients,
        by_name: first(counts.by_name.rows(), |key| key.1 == change, top).map(|(key, row)| name(key, row)).collect(),
        by_client: first(counts.by_client.rows(), |key| key.1 == change, top)
            .map(|(key, row)| client(key, row))
            .collect(),
        by_service: first(counts.by_service.rows(), |key| key.1 == change, top)
            .map(|(key, row)| service(key, row))
            .collect(),
    }
}

/// The rows with the most queries; among equals, those that came first.
fn first<K>(rows: &[(K, Row)], is_it: impl Fn(&K) -> bool, top: usize) -> impl Iterator<Item = (&K, &Row)> {
    let mut found: Vec<(usize, &(K, Row))> = rows.iter().enumerate().filter(|(_, (key, _))| is_it(key)).collect();
    found.sort_by_key(|(at, (_, row))| (std::cmp::Reverse(row.queries), *at));
    found.into_iter().take(top).map(|(_, (key, row))| (key, row))
}
