//! Cells grouped by everything that a report is by.

use super::{
    Tally, registrable,
    tally::{Cell, JudgedKey, Opinion},
};
use crate::{
    policy::{Outcome, Trigger},
    query_log::Fate,
};
use foldhash::{HashMap, HashMapExt as _, HashSet};
use std::{hash::Hash, sync::Arc};

/// How a query counts against something: an index into three counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blocked,
    WouldBlock,
    Excepted,
}

/// Queries by [`Kind`].
#[derive(Clone, Copy, Default)]
pub(super) struct Counts(pub [u64; 3]);

/// Queries that have something in common.
#[derive(Default)]
pub(super) struct Group {
    pub counts: Counts,
    /// Distinct, of queries hit.
    pub names: HashSet<u32>,
    pub clients: HashSet<u32>,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// In order of appearance.
    pub triggers: Vec<(Outcome, Trigger, u64)>,
    /// Of the queries excepted, those that the owner's exceptions let pass what this would have blocked.
    pub beaten: u64,
}

/// Groups by something, numbered.
pub(super) struct Grouped<K> {
    ids: HashMap<K, usize>,
    pub rows: Vec<(K, Group)>,
}

/// A text of a list: program, service, list, version.
pub(super) type ListKey<'t> = (&'t str, &'t str, &'t str, &'t str);

/// All queries, grouped.
pub(super) struct Breakdown<'t> {
    pub tally: &'t Tally,
    /// By number of the name.
    pub names: Vec<NameFacts>,
    /// By number of the client.
    pub clients: Vec<ClientFacts>,
    /// Registrable domains, by number.
    pub domain_texts: Vec<&'t str>,
    pub programs: Grouped<&'t str>,
    pub services: Grouped<(&'t str, &'t str)>,
    pub lists: Grouped<ListKey<'t>>,
    /// By index of the list, line and rule.
    pub rules: Grouped<(usize, u32, &'t str)>,
    /// By number of the domain.
    pub domains: Grouped<u32>,
    /// By index of the program and number of the domain.
    pub program_domains: Grouped<(usize, u32)>,
    /// By number of the client and index of the program.
    pub matrix: Grouped<(u32, usize)>,
    /// By place.
    pub exceptions: Grouped<&'t str>,
}

/// What is known of a name.
#[derive(Clone, Default)]
pub(super) struct NameFacts {
    /// 0 for names that are aliases alone.
    pub queries: u64,
    pub counts: Counts,
    /// Number of its registrable domain.
    pub domain: u32,
    /// Indexes of the programs that hit it.
    pub programs: Vec<usize>,
    /// Of those, the ones that blocked it, whoever acted.
    pub blockers: Vec<usize>,
}

/// What is known of a client.
#[derive(Clone, Default)]
pub(super) struct ClientFacts {
    pub queries: u64,
    pub counts: Counts,
    pub names: HashSet<u32>,
    pub bypass: HashMap<u32, u64>,
    pub first: Option<i64>,
    pub last: Option<i64>,
}

/// Where a program's verdict counts.
struct SaidAt {
    program: usize,
    service: usize,
    list: usize,
    rule: usize,
    outcome: Outcome,
    trigger: Trigger,
    /// The owner's exception let pass what it would have blocked.
    is_beaten: bool,
}

impl Kind {
    fn of_fate(fate: Fate) -> Option<Self> {
        match fate {
            Fate::Blocked => Some(Self::Blocked),
            Fate::WouldBlock => Some(Self::WouldBlock),
            Fate::Excepted => Some(Self::Excepted),
            Fate::Passed | Fate::Refused => None,
        }
    }

    fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Block => Self::Blocked,
            Outcome::WouldBlock => Self::WouldBlock,
            Outcome::Except => Self::Excepted,
        }
    }

    fn is_hit(self) -> bool {
        self != Self::Excepted
    }
}

impl Counts {
    /// Queries that are blocked, or would be.
    pub(super) fn hits(self) -> u64 {
        self.0[Kind::Blocked as usize] + self.0[Kind::WouldBlock as usize]
    }

    /// Queries that an exception let pass.
    pub(super) fn excepted(self) -> u64 {
        self.0[Kind::Excepted as usize]
    }

    fn add(&mut self, kind: Kind, queries: u64) {
        self.0[kind as usize] += queries;
    }
}

impl Group {
    fn add(&mut self, kind: Kind, name: Option<u32>, client: Option<u32>, cell: &Cell) {
        self.counts.add(kind, cell.queries);
        widen(&mut self.first, &mut self.last, cell);
        if kind.is_hit() {
            self.names.extend(name);
            self.clients.extend(client);
        }
    }

    /// Adds all that is in another, of other queries.
    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.0.iter_mut().zip(other.counts.0).for_each(|(own, more)| *own += more);
        self.names.extend(&other.names);
        self.clients.extend(&other.clients);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.beaten += other.beaten;
        for &(outcome, trigger, queries) in &other.triggers {
            self.add_trigger(outcome, trigger, queries);
        }
    }

    fn add_said(&mut self, said: &SaidAt, name: Option<u32>, client: Option<u32>, cell: &Cell) {
        self.add(Kind::of_outcome(said.outcome), name, client, cell);
        self.beaten += if said.is_beaten { cell.queries } else { 0 };
        self.add_trigger(said.outcome, said.trigger, cell.queries);
    }

    fn add_trigger(&mut self, outcome: Outcome, trigger: Trigger, queries: u64) {
        match self.triggers.iter_mut().find(|(own, by, _)| (*own, *by) == (outcome, trigger)) {
            Some((.., known)) => *known += queries,
            None => self.triggers.push((outcome, trigger, queries)),
        }
    }
}

fn widen(first: &mut Option<i64>, last: &mut Option<i64>, cell: &Cell) {
    *first = Some(first.map_or(cell.first, |first| first.min(cell.first)));
    *last = Some(last.map_or(cell.last, |last| last.max(cell.last)));
}

impl<K: Clone + Eq + Hash> Grouped<K> {
    fn new() -> Self {
        Self { ids: HashMap::new(), rows: Vec::new() }
    }

    fn at(&mut self, key: K) -> usize {
        let rows = &mut self.rows;
        *self.ids.entry(key).or_insert_with_key(|key| {
            rows.push((key.clone(), Group::default()));
            rows.len() - 1
        })
    }

    fn group(&mut self, key: K) -> &mut Group {
        let at = self.at(key);
        &mut self.rows[at].1
    }

    /// Those that anything is in.
    pub(super) fn told(&self) -> impl Iterator<Item = &(K, Group)> {
        self.rows.iter().filter(|(_, group)| group.first.is_some())
    }

    /// The group of a key, if anything is in it.
    pub(super) fn find(&self, key: &K) -> Option<&Group> {
        self.ids.get(key).map(|&at| &self.rows[at].1)
    }
}

impl<'t> Breakdown<'t> {
    pub(super) fn new(tally: &'t Tally) -> Self {
        let (domains_of_names, domain_texts) = domains(tally.names.texts());
        let mut this = Self {
            tally,
            names: domains_of_names.into_iter().map(|domain| NameFacts { domain, ..NameFacts::default() }).collect(),
            clients: vec![ClientFacts::default(); tally.clients.texts().len()],
            domain_texts,
            programs: Grouped::new(),
            services: Grouped::new(),
            lists: Grouped::new(),
            rules: Grouped::new(),
            domains: Grouped::new(),
            program_domains: Grouped::new(),
            matrix: Grouped::new(),
            exceptions: Grouped::new(),
        };
        let said: Vec<Vec<SaidAt>> = tally.opinions.kept.iter().map(|opinion| this.places(opinion)).collect();
        for (key, cell) in &tally.judged {
            let opinion = &tally.opinions.kept[key.opinion as usize];
            this.add_judged(*key, cell, opinion, &said[key.opinion as usize]);
        }
        for ((name, client), cell) in &tally.passed {
            this.add_asked(*name, *client, None, cell);
        }
        this
    }

    /// Where the verdicts of an opinion count.
    fn places(&mut self, opinion: &'t Opinion) -> Vec<SaidAt> {
        let verdicts = &opinion.verdicts;
        let all = verdicts.said.iter().map(|said| (said, said.outcome, false));
        let mut places = Vec::new();
        for (said, outcome, is_beaten) in all.chain(verdicts.beaten().map(|lost| (lost, Outcome::Except, true))) {
            let (program, service) = (&*said.program, &*said.service);
            let list = self.lists.at((program, service, &said.list, &said.version));
            places.push(SaidAt {
                program: self.programs.at(program),
                service: self.services.at((program, service)),
                list,
                rule: self.rules.at((list, said.line, &said.rule)),
                outcome,
                trigger: said.trigger,
                is_beaten,
            });
        }
        places
    }

    fn add_judged(&mut self, key: JudgedKey, cell: &Cell, opinion: &'t Opinion, said: &[SaidAt]) {
        let kind = Kind::of_fate(opinion.fate);
        self.add_asked(key.name, key.client, kind, cell);
        let domain = self.names[key.name as usize].domain;
        let (name, client) = (self.named(key.name), self.known(key.client));
        for at in said {
            self.programs.rows[at.program].1.add_said(at, name, client, cell);
            self.services.rows[at.service].1.add_said(at, name, client, cell);
            self.lists.rows[at.list].1.add_said(at, name, client, cell);
            self.rules.rows[at.rule].1.add_said(at, name, client, cell);
            self.matrix.group((key.client, at.program)).add_said(at, name, client, cell);
            if Kind::of_outcome(at.outcome).is_hit() {
                self.program_domains.group((at.program, domain)).add_said(at, name, client, cell);
                let facts = &mut self.names[key.name as usize];
                note(&mut facts.programs, at.program);
                if at.outcome == Outcome::Block {
                    note(&mut facts.blockers, at.program);
                }
            }
        }
        if let Some(kind) = kind {
            self.domains.group(domain).add(kind, name, client, cell);
        }
        if let Some(owner) = &opinion.verdicts.owner {
            self.exceptions.group(&owner.place).add(Kind::Excepted, name, client, cell);
        }
    }

    fn add_asked(&mut self, name: u32, client: u32, kind: Option<Kind>, cell: &Cell) {
        let facts = &mut self.names[name as usize];
        facts.queries += cell.queries;
        if let Some(kind) = kind {
            facts.counts.add(kind, cell.queries);
        }
        let named = self.named(name);
        let facts = &mut self.clients[client as usize];
        facts.queries += cell.queries;
        facts.names.extend(named);
        widen(&mut facts.first, &mut facts.last, cell);
        if let Some(kind) = kind {
            facts.counts.add(kind, cell.queries);
        }
        if cell.bypass > 0 {
            *facts.bypass.entry(name).or_default() += cell.bypass;
        }
    }

    /// A name that was read.
    pub(super) fn named(&self, name: u32) -> Option<u32> {
        (!self.tally.names.text(name).is_empty()).then_some(name)
    }

    /// A client that was kept.
    pub(super) fn known(&self, client: u32) -> Option<u32> {
        (!self.tally.clients.text(client).is_empty()).then_some(client)
    }

    /// Numbers of the names asked.
    pub(super) fn asked(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.names).filter(|(_, facts)| facts.queries > 0).filter_map(|(name, _)| self.named(name))
    }

    /// Numbers of the names that are blocked, or would be.
    pub(super) fn hit(&self) -> impl Iterator<Item = u32> {
        self.asked().filter(|name| self.names[*name as usize].counts.hits() > 0)
    }

    /// All pairs of name and client; some may come twice.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        let judged = self.tally.judged.keys().map(|key| (key.name, key.client));
        self.tally.passed.keys().copied().chain(judged)
    }
}

/// Blocked, or would be.
pub(super) fn is_hit(fate: Fate) -> bool {
    Kind::of_fate(fate).is_some_and(Kind::is_hit)
}

/// Adds an index to some, once.
fn note(indexes: &mut Vec<usize>, index: usize) {
    if !indexes.contains(&index) {
        indexes.push(index);
    }
}

/// The number of each name's registrable domain, and these.
fn domains(names: &[Arc<str>]) -> (Vec<u32>, Vec<&str>) {
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut texts = Vec::new();
    let mut of_names = Vec::with_capacity(names.len());
    for name in names {
        let domain = registrable(name);
        let next = texts.len() as u32;
        of_names.push(*ids.entry(domain).or_insert_with(|| {
            texts.push(domain);
            next
        }));
    }
    (of_names, texts)
}
