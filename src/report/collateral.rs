//! What else a block hits: names that share an alias target or an address with one that is hit, and who asks again.
//!
//! Only what was seen can be told. A question that is blocked isn't resolved: of names blocked by their own name it is
//! known where they lead only if they were resolved at another time or for another client, as in shadow.

use super::{
    Share,
    breakdown::Breakdown,
    form::{Collateral, NameRow, Neighbour, RetryRow, Sharing, Top},
    intern::Interner,
    tally::NAMES_PASSED_MAX,
};
use crate::{
    dns::RrType,
    policy::Outcome,
    query_log::{Fate, Seen},
};
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _, fast::RandomState};
use std::{cmp::Reverse, collections::BTreeSet, hash::BuildHasher as _, net::IpAddr};

/// Pairs of name and target kept at most, each 20 octets.
const EDGES_MAX: usize = 3_000_000;
/// Addresses kept at most.
const ADDRESSES_MAX: usize = 1_000_000;
/// Different answers remembered, so that none is taken apart twice; more are only slower.
const ANSWERS_MAX: usize = 1_000_000;
/// Names told with what they share: the most asked.
const NAMES_TOLD: usize = 50;
/// Neighbours told of each name: of other registrable domains, and of its own.
const NEIGHBOURS_TOLD: usize = 10;
const OWN_NEIGHBOURS_TOLD: usize = 3;
/// A client that asks for a blocked name again within this time asks because of the block, perhaps.
const RETRY_MICROS: i64 = 10_000_000;
/// Retries in a row that are told: fewer are common, since many stub resolvers ask twice or thrice by themselves.
const RETRIES_MIN: u64 = 3;
/// Clients' questions watched for retries at most.
const WATCHED_MAX: usize = 500_000;

/// What an answer leads to: an alias, by the number of its name, or an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Target {
    Alias(u32),
    Address(u32),
}

/// Where names lead.
pub(super) struct Answers {
    numbers: HashMap<IpAddr, u32>,
    addresses: Vec<IpAddr>,
    edges: HashSet<(u32, Target)>,
    /// Hashes of answers taken apart. Two with the same hash cost an edge at worst.
    seen: HashSet<u64>,
    hasher: RandomState,
    pub(super) beyond: u64,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            addresses: Vec::new(),
            edges: HashSet::new(),
            seen: HashSet::new(),
            hasher: RandomState::default(),
            beyond: 0,
        }
    }

    /// Notes where a name leads.
    pub(super) fn add(&mut self, name: u32, aliases: &[String], addresses: &[IpAddr], names: &mut Interner) {
        if aliases.is_empty() && addresses.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one((name, aliases, addresses));
        if self.seen.contains(&hash) {
            return;
        }
        if self.seen.len() < ANSWERS_MAX {
            self.seen.insert(hash);
        }
        let mut is_whole = true;
        for alias in aliases {
            let target = names.id(alias, NAMES_PASSED_MAX).map(Target::Alias);
            is_whole &= self.join(name, target);
        }
        // Addresses that mean "nowhere" and "here" join nothing.
        for address in addresses.iter().filter(|address| !address.is_unspecified() && !address.is_loopback()) {
            let target = self.number(*address).map(Target::Address);
            is_whole &= self.join(name, target);
        }
        self.beyond += u64::from(!is_whole);
    }

    fn join(&mut self, name: u32, target: Option<Target>) -> bool {
        let Some(target) = target else { return false };
        if self.edges.len() >= EDGES_MAX {
            return self.edges.contains(&(name, target));
        }
        self.edges.insert((name, target));
        true
    }

    fn number(&mut self, address: IpAddr) -> Option<u32> {
        if let Some(&number) = self.numbers.get(&address) {
            return Some(number);
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            return None;
        }
        let number = self.addresses.len() as u32;
        self.addresses.push(address);
        self.numbers.insert(address, number);
        Some(number)
    }
}

/// Watches blocked questions for being asked again.
pub(super) struct Retries {
    watched: HashMap<(u32, u32, RrType), Watched>,
    /// By name: rows of retries so far, and clients that made them.
    found: HashMap<u32, (RetryRow, HashSet<u32>)>,
    pub(super) beyond: u64,
}

/// A client's question.
struct Watched {
    last: i64,
    /// Times it was asked again in a row.
    again: u64,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self { watched: HashMap::new(), found: HashMap::new(), beyond: 0 }
    }

    /// Notes a blocked question by client, name and type: clients ask for several types at once, which is no retry. So
    /// nothing can be told of alike queries put together whose types are gone. Of others put together the times are
    /// thought to lie evenly between the first and the last. Not all that is read stands in order of time to the
    /// millisecond: a question from a little before the last one goes on with it too.
    pub(super) fn add(&mut self, (client, name, rr_type): (u32, u32, RrType), seen: &Seen<'_>) {
        let key = (client, name, rr_type);
        let is_of_any_type = seen.count > 1 && rr_type == RrType(0);
        if is_of_any_type || self.watched.len() >= WATCHED_MAX && !self.watched.contains_key(&key) {
            self.beyond += seen.count;
            return;
        }
        let Seen { count, first, last, .. } = *seen;
        let gap = last.saturating_sub(first).max(0) / i64::try_from(count.max(2) - 1).unwrap_or(i64::MAX);
        let known = self.watched.contains_key(&key);
        let watched = self.watched.entry(key).or_insert(Watched { last: first, again: 0 });
        let since = first.saturating_sub(watched.last);
        let since_last = known.then_some((since, 1));
        let within = (count > 1).then(|| (gap, count - 1));
        // From long before: what is read begins anew.
        let latest = if since < -RETRY_MICROS { first } else { watched.last };
        watched.last = latest.max(last).max(first);
        for (gap, times) in [since_last, within].into_iter().flatten() {
            let before = watched.again;
            watched.again = if (-RETRY_MICROS..=RETRY_MICROS).contains(&gap) { before + times } else { 0 };
            if watched.again < RETRIES_MIN {
                continue;
            }
            let (row, clients) = self.found.entry(name).or_default();
            let is_new = before < RETRIES_MIN;
            row.rows += u64::from(is_new);
            row.queries += if is_new { watched.again } else { watched.again - before };
            clients.insert(client);
        }
    }

    fn of(&self, name: u32) -> RetryRow {
        self.found
            .get(&name)
            .map(|(row, clients)| RetryRow { clients: clients.len() as u64, ..*row })
            .unwrap_or_default()
    }
}

/// What shares what, once all is counted.
pub(super) struct Look<'b> {
    all: &'b Breakdown<'b>,
    /// Of names that are hit.
    targets: HashMap<u32, Vec<Target>>,
    /// Names that are asked and never hit, by the targets of names that are.
    sharers: HashMap<Target, Vec<u32>>,
    /// Who asks for these.
    askers: HashMap<u32, HashSet<u32>>,
    /// Exceptions by the registrable domain of the names that they matched.
    exceptions: HashMap<u32, BTreeSet<String>>,
}

impl<'b> Look<'b> {
    pub(super) fn new(all: &'b Breakdown<'b>) -> Self {
        let is_hit = |name: u32| all.names[name as usize].counts.hits() > 0;
        let mut targets: HashMap<u32, Vec<Target>> = HashMap::new();
        let mut sharers: HashMap<Target, Vec<u32>> = HashMap::new();
        for name in all.hit() {
            // A name is a target itself: others may be aliases of it.
            sharers.insert(Target::Alias(name), Vec::new());
        }
        for &(name, target) in all.tally.answers.edges.iter().filter(|(name, _)| is_hit(*name)) {
            targets.entry(name).or_default().push(target);
            sharers.entry(target).or_default();
        }
        for &(name, target) in &all.tally.answers.edges {
            let facts = &all.names[name as usize];
            if let (Some(names), true, true) = (sharers.get_mut(&target), facts.queries > 0, facts.counts.hits() == 0) {
                names.push(name);
            }
        }
        for (target, names) in &mut sharers {
            // And so is an alias that is asked for by itself.
            if let Target::Alias(alias) = target
                && all.names[*alias as usize].queries > 0
                && !is_hit(*alias)
            {
                names.push(*alias);
            }
            names.sort_unstable();
            names.dedup();
        }
        targets.values_mut().for_each(|targets| targets.sort_unstable());
        let mut askers: HashMap<u32, HashSet<u32>> = sharers.values().flatten().map(|n| (*n, HashSet::new())).collect();
        for (name, client) in all.pairs() {
            if let (Some(clients), Some(client)) = (askers.get_mut(&name), all.known(client)) {
                clients.insert(client);
            }
        }
        Self { all, targets, sharers, askers, exceptions: exceptions(all) }
    }

    /// Aliases and addresses that a name is known to lead to.
    fn targets(&self, name: u32) -> &[Target] {
        self.targets.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Names that share a target with this one, and one such target of each.
    fn neighbours(&self, name: u32) -> HashMap<u32, Target> {
        let mut found = HashMap::new();
        let own = Target::Alias(name);
        for target in self.targets(name).iter().chain([&own]) {
            for &neighbour in self.sharers.get(target).into_iter().flatten() {
                found.entry(neighbour).or_insert(*target);
            }
        }
        found
    }

    /// What these names come to.
    fn sum(&self, names: impl Iterator<Item = u32>) -> Sharing {
        let mut clients: HashSet<u32> = HashSet::new();
        let mut sum = Sharing::default();
        for name in names {
            sum.names += 1;
            sum.queries += self.all.names[name as usize].queries;
            clients.extend(self.askers.get(&name).into_iter().flatten());
        }
        sum.clients = clients.len() as u64;
        sum
    }

    /// Names that share a target with any that a program hits; how many of the names it hits have a target known, and
    /// of how many there were retries.
    pub(super) fn program(&self, program: usize) -> (Sharing, u64, u64) {
        let mut sharing: HashSet<u32> = HashSet::new();
        let (mut with_answer, mut retried) = (0, 0);
        for name in self.all.hit().filter(|name| self.all.names[*name as usize].programs.contains(&program)) {
            with_answer += u64::from(!self.targets(name).is_empty());
            let is_blocker = self.all.names[name as usize].blockers.contains(&program);
            retried += u64::from(is_blocker && self.all.tally.retries.of(name).rows > 0);
            let own = Target::Alias(name);
            let targets = self.targets(name).iter().chain([&own]);
            sharing.extend(targets.filter_map(|target| self.sharers.get(target)).flatten());
        }
        (self.sum(sharing.into_iter()), with_answer, retried)
    }

    /// The names hit most, and what they share.
    pub(super) fn told(&self, clients: u64) -> Collateral {
        let mut hit: Vec<u32> = self.all.hit().collect();
        let there_are = hit.len() as u64;
        hit.sort_unstable_by_key(|name| (Reverse(self.all.names[*name as usize].counts.hits()), self.text(*name)));
        hit.truncate(NAMES_TOLD);
        let mut askers: HashMap<u32, HashSet<u32>> = hit.iter().map(|name| (*name, HashSet::new())).collect();
        for key in self.all.tally.judged.keys() {
            let fate = self.all.tally.opinions.kept[key.opinion as usize].fate;
            let is_hit = matches!(fate, Fate::Blocked | Fate::WouldBlock);
            if let (Some(askers), Some(client), true) = (askers.get_mut(&key.name), self.all.known(key.client), is_hit)
            {
                askers.insert(client);
            }
        }
        let rows = hit.iter().map(|name| self.row(*name, Share::new(askers[name].len() as u64, clients))).collect();
        Collateral {
            names: Top { there_are, rows },
            retry_seconds: RETRY_MICROS.unsigned_abs() / 1_000_000,
            retries_min: RETRIES_MIN,
        }
    }

    fn row(&self, name: u32, clients: Share) -> NameRow {
        let facts = &self.all.names[name as usize];
        let found = self.neighbours(name);
        let is_own = |neighbour: &u32| self.all.names[*neighbour as usize].domain == facts.domain;
        let [blocked, would_block, excepted] = facts.counts.0;
        let mut programs: Vec<String> =
            facts.programs.iter().map(|program| self.all.programs.rows[*program].0.to_owned()).collect();
        programs.sort_unstable();
        NameRow {
            name: self.text(name).to_owned(),
            domain: self.all.domain_texts[facts.domain as usize].to_owned(),
            programs,
            blocked,
            would_block,
            excepted,
            exceptions: self.exceptions.get(&facts.domain).into_iter().flatten().cloned().collect(),
            clients,
            targets: self.targets(name).len() as u64,
            sharing: self.sum(found.keys().copied().filter(|neighbour| !is_own(neighbour))),
            own_domain: self.sum(found.keys().copied().filter(is_own)),
            neighbours: self.most_asked(&found, facts.domain),
            retries: self.all.tally.retries.of(name),
        }
    }

    fn most_asked(&self, found: &HashMap<u32, Target>, domain: u32) -> Vec<Neighbour> {
        let mut all: Vec<Neighbour> =
            found.iter().map(|(name, target)| self.neighbour(*name, *target, domain)).collect();
        all.sort_unstable_by(|a, b| {
            (a.same_domain, Reverse(a.queries), &a.name).cmp(&(b.same_domain, Reverse(b.queries), &b.name))
        });
        let own = all.split_off(all.partition_point(|neighbour| !neighbour.same_domain));
        all.into_iter().take(NEIGHBOURS_TOLD).chain(own.into_iter().take(OWN_NEIGHBOURS_TOLD)).collect()
    }

    fn neighbour(&self, name: u32, target: Target, domain: u32) -> Neighbour {
        let facts = &self.all.names[name as usize];
        let (via, target) = match target {
            Target::Alias(alias) => ("alias", self.text(alias).to_owned()),
            Target::Address(address) => ("address", self.all.tally.answers.addresses[address as usize].to_string()),
        };
        Neighbour {
            name: self.text(name).to_owned(),
            via,
            target,
            same_domain: facts.domain == domain,
            queries: facts.queries,
            clients: self.askers.get(&name).map_or(0, |clients| clients.len() as u64),
        }
    }

    fn text(&self, name: u32) -> &str {
        self.all.tally.names.text(name)
    }
}

/// Exceptions that matched something, by the registrable domain of the names.
fn exceptions(all: &Breakdown<'_>) -> HashMap<u32, BTreeSet<String>> {
    let mut found: HashMap<u32, BTreeSet<String>> = HashMap::new();
    for key in all.tally.judged.keys() {
        let verdicts = &all.tally.opinions.kept[key.opinion as usize].verdicts;
        let by_list = verdicts.said.iter().filter(|said| said.outcome == Outcome::Except);
        let by_list = by_list.map(|said| format!("{}/{} {}:{}", said.program, said.service, said.list, said.line));
        let by_owner = verdicts.owner.as_ref().map(|owner| owner.place.to_string());
        for place in by_list.chain(by_owner) {
            found.entry(all.names[key.name as usize].domain).or_default().insert(place);
        }
    }
    found
}
