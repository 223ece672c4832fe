//! Collects rows. Fast, because most of a report is worked out at the end, from cells: who asked for what, with which
//! verdicts, how often.

use super::{
    collateral::{Answers, Retries},
    days::Days,
    intern::Interner,
    kinds,
    time_line::Minutes,
    words::DAY,
};
use crate::{
    dns::Rcode,
    query::CacheUse,
    query_log::{Fate, Lead, Row, Said, Seen, Verdicts},
};
use foldhash::{HashMap, HashMapExt as _};
use std::{hash::Hash, sync::Arc};

/// Names kept at most, each about a hundred octets.
const NAMES_MAX: usize = 1_500_000;
/// Of these, names of queries that nobody said anything of, and aliases: made-up names don't drive out those that
/// matter.
pub(super) const NAMES_PASSED_MAX: usize = 1_000_000;
/// Clients kept at most: a large network's.
const CLIENTS_MAX: usize = 200_000;
/// Different verdicts kept at most: about one a rule that hits.
const VERDICTS_MAX: usize = 500_000;
/// Pairs of name and client kept of queries that nobody said anything of, each 50 octets.
const PASSED_CELLS_MAX: usize = 3_000_000;
/// The same with day and verdicts, of queries that somebody said something of.
const JUDGED_CELLS_MAX: usize = 1_000_000;

/// Which queries a report is about, of those that it is given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only what this program said counts; queries that it said nothing of stay in the denominators, as passed.
    pub program: Option<String>,
    /// Only this client's queries count, in the denominators too.
    pub client: Option<String>,
}

/// Counts rows; [`finish`](Self::finish) makes a report of them, and [`export`](Self::export) an export of one that
/// counts [by day](Self::by_day) too.
pub struct Tally {
    pub(super) filter: Filter,
    /// Names asked, and aliases that they lead to.
    pub(super) names: Interner,
    pub(super) clients: Interner,
    pub(super) opinions: Opinions,
    /// By name and client: nobody said anything.
    pub(super) passed: HashMap<(u32, u32), Cell>,
    pub(super) judged: HashMap<JudgedKey, Cell>,
    pub(super) minutes: Minutes,
    pub(super) days: Option<Days>,
    pub(super) sums: Sums,
    pub(super) kinds: kinds::Counts,
    pub(super) answers: Answers,
    pub(super) retries: Retries,
    pub(super) beyond: Beyond,
}

/// Whose queries a cell holds, of which name, on which day, and what was said of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct JudgedKey {
    /// Since 1970 (UTC).
    pub day: i64,
    pub name: u32,
    pub client: u32,
    /// Index into [`Opinions::kept`].
    pub opinion: u32,
}

/// Alike queries.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub queries: u64,
    /// Of them, those that looked for a way round.
    pub bypass: u64,
    pub first: i64,
    pub last: i64,
}

/// Sums over all queries.
#[derive(Default)]
pub(super) struct Sums {
    pub queries: u64,
    /// In the order of [`Fate::ALL`].
    pub fates: [u64; Fate::ALL.len()],
    pub dropped: u64,
    pub failed: u64,
    pub bypass: u64,
    pub unreadable: u64,
    /// In the order of [`CacheUse::ALL`].
    pub cache: [u64; 3],
}

/// What no longer found room.
#[derive(Default)]
pub(super) struct Beyond {
    pub queries: u64,
}

/// All different verdicts.
pub(super) struct Opinions {
    ids: HashMap<Arc<Verdicts>, u32>,
    pub kept: Vec<Opinion>,
}

/// What was said of a query, as far as it is asked for.
pub(super) struct Opinion {
    pub fate: Fate,
    pub verdicts: Arc<Verdicts>,
}

impl Tally {
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            names: Interner::new(),
            clients: Interner::new(),
            opinions: Opinions { ids: HashMap::new(), kept: Vec::new() },
            passed: HashMap::new(),
            judged: HashMap::new(),
            minutes: Minutes::new(),
            days: None,
            sums: Sums::default(),
            kinds: kinds::Counts::default(),
            answers: Answers::new(),
            retries: Retries::new(),
            beyond: Beyond::default(),
        }
    }

    /// One for an export.
    pub fn by_day(filter: Filter) -> Self {
        Self { days: Some(Days::new()), ..Self::new(filter) }
    }

    /// Counts a row. Those of one client have to come in the order of time, but for some seconds, or retries
    /// are missed.
    pub fn add(&mut self, seen: &Seen<'_>) {
        let Seen { row, count, first, .. } = *seen;
        if count == 0 || self.filter.client.as_ref().is_some_and(|only| *only != row.client) {
            return;
        }
        let program = self.filter.program.as_deref();
        let (fate, opinion) = self.opinions.on(&row.verdicts, program);
        // Of several programs only the one that acted is why there was no answer.
        let acted = |program: &str| row.verdicts.said.iter().any(|said| said.acted && *said.program == *program);
        let dropped = row.dropped && program.is_none_or(acted);
        // All else is about what programs said, and of those refused none said anything.
        let became = if row.fate() == Fate::Refused { Fate::Refused } else { fate };
        self.sums.add(row, became, dropped, count);
        self.minutes.add(first, seen.last, became, count);
        self.kinds.add(seen, became);
        let day = first.div_euclid(DAY);
        let has_day = self.days.as_mut().is_none_or(|days| days.add(day, count));
        if !has_day || self.keep(seen, day, fate, opinion).is_none() {
            self.beyond.queries += count;
            self.days.iter_mut().for_each(|days| days.lack_room(day, count));
        }
    }

    /// Whether a program said anything of what was counted.
    pub fn has_program(&self, program: &str) -> bool {
        self.opinions.kept.iter().any(|opinion| opinion.verdicts.said.iter().any(|said| *said.program == *program))
    }

    /// Notes an alias or address that a name led to, for what was counted without them. Names that nobody asked for are of
    /// no interest.
    pub fn add_lead(&mut self, name: &str, lead: Lead<'_>) {
        let Some(name) = self.names.known(name) else { return };
        match lead {
            Lead::Address(address) => self.answers.add(name, &[], &[address], &mut self.names),
            Lead::Alias(alias) => self.answers.add(name, &[alias.to_owned()], &[], &mut self.names),
        }
    }

    /// Puts a row into its cell; `None` if there is no room.
    fn keep(&mut self, seen: &Seen<'_>, day: i64, fate: Fate, opinion: Option<u32>) -> Option<()> {
        let Seen { row, count, first, last, .. } = *seen;
        let names_max = if fate == Fate::Passed { NAMES_PASSED_MAX } else { NAMES_MAX };
        let name = self.names.id(&row.name, names_max)?;
        let client = self.clients.id(&row.client, CLIENTS_MAX)?;
        if let Some(days) = &mut self.days {
            let known = |id: u32, text: &str| Some(id).filter(|_| !text.is_empty());
            days.note(day, known(client, &row.client), known(name, &row.name));
        }
        let bypass = if row.bypass { count } else { 0 };
        let cell = Cell { queries: count, bypass, first, last: last.max(first) };
        // An exception that nothing is blocked without has matched all the same.
        let is_excepted = opinion.is_some_and(|id| self.opinions.kept[id as usize].verdicts.needless);
        if fate == Fate::Passed && !is_excepted {
            put(&mut self.passed, (name, client), PASSED_CELLS_MAX, cell)?;
        } else {
            put(&mut self.judged, JudgedKey { day, name, client, opinion: opinion? }, JUDGED_CELLS_MAX, cell)?;
        }
        self.answers.add(name, &row.aliases, &row.addresses, &mut self.names);
        if fate == Fate::Blocked {
            self.retries.add((client, name, row.rr_type), seen);
        }
        Some(())
    }
}

/// Adds a cell to a map that holds `max` of them; `None` if it is new and there is no room.
fn put<K: Eq + Hash>(cells: &mut HashMap<K, Cell>, key: K, max: usize, cell: Cell) -> Option<()> {
    if cells.len() >= max && !cells.contains_key(&key) {
        return None;
    }
    cells.entry(key).and_modify(|kept| kept.merge(cell)).or_insert(cell);
    Some(())
}

impl Cell {
    fn merge(&mut self, other: Self) {
        self.queries += other.queries;
        self.bypass += other.bypass;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Sums {
    fn add(&mut self, row: &Row, fate: Fate, dropped: bool, count: u64) {
        let when = |is: bool| if is { count } else { 0 };
        self.queries += count;
        self.fates[fate as usize] += count;
        self.dropped += when(dropped);
        self.failed += when(row.rcode == Rcode::SERVFAIL);
        self.bypass += when(row.bypass);
        self.unreadable += when(row.name.is_empty());
        if let Some(at) = row.cache.and_then(|cache| CacheUse::ALL.iter().position(|kind| *kind == cache)) {
            self.cache[at] += count;
        }
    }
}

impl Opinions {
    /// What became of a query by these verdicts, as far as `program` goes, and their number if they say anything and
    /// there is room.
    fn on(&mut self, verdicts: &Arc<Verdicts>, program: Option<&str>) -> (Fate, Option<u32>) {
        if verdicts.said.is_empty() && verdicts.owner.is_none() {
            return (Fate::Passed, None);
        }
        if let Some(&id) = self.ids.get(verdicts) {
            return (self.kept[id as usize].fate, Some(id));
        }
        let narrow = |program: &str| {
            let of = |all: &[Said]| all.iter().filter(|said| *said.program == *program).cloned().collect();
            let (owner, said, overruled) = (verdicts.owner.clone(), of(&verdicts.said), of(&verdicts.overruled));
            Arc::new(match verdicts.overruled.is_empty() {
                true => Verdicts { owner, said, overruled, needless: verdicts.needless },
                false => Verdicts::new(owner, said, overruled),
            })
        };
        let narrowed = program.map_or_else(|| verdicts.clone(), narrow);
        let fate = narrowed.fate();
        let id = u32::try_from(self.kept.len()).ok().filter(|_| self.kept.len() < VERDICTS_MAX);
        if let Some(id) = id {
            self.ids.insert(verdicts.clone(), id);
            self.kept.push(Opinion { fate, verdicts: narrowed });
        }
        (fate, id)
    }
}
