//! What is counted of two verdicts on many queries, in bounded memory.
//!
//! Queries on which both agree cost two lookups: of their name only a hash is kept, and their client gets a number. Names
//! and rules get numbers only where something changes.

mod reasons;

pub(super) use reasons::{NO_REASON, Reasons};

use crate::{dns::Name, query_log::Fate};
use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher, Hash},
    net::IpAddr,
};

/// Distinct names that are counted: 75 MB. A house asks for some thousands a day, a carrier for millions.
const NAMES_MAX: usize = 1 << 22;
/// Distinct clients that are told apart.
const CLIENTS_MAX: usize = 1 << 20;
/// Distinct names of which something changes, and rows of each table.
const ROWS_MAX: usize = 1 << 19;
/// Pairs that are remembered to count names by client, clients by name and so on: 75 MB.
const PAIRS_MAX: usize = 1 << 22;
/// Stands for a client of whom nothing is known.
pub(super) const NOBODY: u32 = u32::MAX;
const FATES: usize = Fate::ALL.len();

type Map<K, V> = HashMap<K, V, RandomState>;

/// Everything that is counted.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) queries: u64,
    /// Queries by fate before and after.
    pub(super) fates: [[u64; FATES]; FATES],
    pub(super) names: Distinct,
    pub(super) clients: Clients,
    pub(super) changes: [Row; FATES * FATES],
    pub(super) by_name: Table<(u32, u8, u32)>,
    pub(super) by_client: Table<(u32, u8)>,
    pub(super) by_service: Table<(u32, u8)>,
    pub(super) changed_names: ChangedNames,
    pub(super) reasons: Reasons,
    pairs: Pairs,
    /// Hashes names.
    state: RandomState,
}

/// How often something changed, for how many names and clients.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Row {
    pub(super) queries: u64,
    pub(super) names: u64,
    pub(super) clients: u64,
}

/// A change as a small number.
pub(super) fn change_of(before: Fate, after: Fate) -> u8 {
    before as u8 * FATES as u8 + after as u8
}

/// The change that a number stands for.
pub(super) fn fates_of(change: u8) -> (Fate, Fate) {
    (Fate::ALL[usize::from(change) / FATES], Fate::ALL[usize::from(change) % FATES])
}

impl Counts {
    /// Counts a query. Returns what `changed` wants to know if the fates differ.
    pub(super) fn query(&mut self, name: &Name, client: (Option<IpAddr>, &str), fates: (Fate, Fate)) -> (u64, u32) {
        self.queries += 1;
        self.fates[fates.0 as usize][fates.1 as usize] += 1;
        let hash = self.state.hash_one(name.as_wire());
        self.names.add(hash);
        (hash, self.clients.number(client))
    }

    /// Counts a query whose fate changed for some reason.
    pub(super) fn changed(&mut self, name: &Name, (hash, client): (u64, u32), fates: (Fate, Fate), reason: u32) {
        let change = change_of(fates.0, fates.1);
        let name = self.changed_names.number(hash, name);
        let service = self.reasons.service_of(reason);
        let pairs = &mut self.pairs;
        let row = &mut self.changes[usize::from(change)];
        row.queries += 1;
        row.names += pairs.add(Pair::ChangeName, change.into(), name);
        row.clients += pairs.add(Pair::ChangeClient, change.into(), client);
        if let Some((number, row)) = name.and_then(|name| self.by_name.row((name, change, reason))) {
            row.queries += 1;
            row.clients += pairs.add(Pair::NameClient, number, client);
        }
        if client != NOBODY
            && let Some((number, row)) = self.by_client.row((client, change))
        {
            row.queries += 1;
            row.names += pairs.add(Pair::ClientName, number, name);
        }
        if let Some((number, row)) = self.by_service.row((service, change)) {
            row.queries += 1;
            row.names += pairs.add(Pair::ServiceName, number, name);
            row.clients += pairs.add(Pair::ServiceClient, number, client);
        }
    }

    /// True if all numbers of names and clients are right; else they are lower bounds.
    pub(super) fn are_exact(&self) -> bool {
        let is_full = [
            self.names.is_full,
            self.clients.is_full,
            self.changed_names.is_full,
            self.pairs.is_full,
            self.by_name.is_full,
            self.by_client.is_full,
            self.by_service.is_full,
            self.reasons.is_full,
        ];
        !is_full.contains(&true)
    }
}

/// Counts distinct values by their hashes.
#[derive(Default)]
pub(super) struct Distinct {
    seen: HashSet<u64, RandomState>,
    /// There are more.
    pub(super) is_full: bool,
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        if self.seen.len() < NAMES_MAX {
            self.seen.insert(hash);
        } else if !self.is_full && !self.seen.contains(&hash) {
            self.is_full = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

/// Clients by number.
#[derive(Default)]
pub(super) struct Clients {
    by_address: Map<IpAddr, u32>,
    by_text: Map<Box<str>, u32>,
    shown: Vec<Box<str>>,
    pub(super) is_full: bool,
}

impl Clients {
    fn number(&mut self, (address, text): (Option<IpAddr>, &str)) -> u32 {
        let known = match address {
            Some(address) => self.by_address.get(&address),
            None if text.is_empty() => return NOBODY,
            None => self.by_text.get(text),
        };
        if let Some(&number) = known {
            return number;
        }
        if self.shown.len() == CLIENTS_MAX {
            self.is_full = true;
            return NOBODY;
        }
        let number = self.shown.len() as u32;
        match address {
            Some(address) => {
                self.by_address.insert(address, number);
                self.shown.push(address.to_string().into());
            }
            None => {
                self.by_text.insert(text.into(), number);
                self.shown.push(text.into());
            }
        }
        number
    }

    pub(super) fn shown(&self, number: u32) -> &str {
        self.shown.get(number as usize).map_or("", |shown| shown)
    }

    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }
}

/// Names of which something changed, by number.
#[derive(Default)]
pub(super) struct ChangedNames {
    by_hash: Map<u64, u32>,
    wires: Vec<Box<[u8]>>,
    is_full: bool,
}

impl ChangedNames {
    fn number(&mut self, hash: u64, name: &Name) -> Option<u32> {
        match self.by_hash.entry(hash) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(_) if self.wires.len() == ROWS_MAX => {
                self.is_full = true;
                None
            }
            Entry::Vacant(place) => {
                self.wires.push(name.as_wire().into());
                Some(*place.insert(self.wires.len() as u32 - 1))
            }
        }
    }

    pub(super) fn shown(&self, number: u32) -> String {
        let wire = self.wires.get(number as usize).and_then(|wire| Name::from_wire(wire).ok());
        wire.map(|name| name.to_string()).unwrap_or_default()
    }
}

/// Rows by key.
pub(super) struct Table<K> {
    index: Map<K, u32>,
    rows: Vec<(K, Row)>,
    is_full: bool,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { index: HashMap::default(), rows: Vec::new(), is_full: false }
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    /// The row of a key with its number; `None` if there is no room for another.
    fn row(&mut self, key: K) -> Option<(u32, &mut Row)> {
        let number = match self.index.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if self.rows.len() == ROWS_MAX => {
                self.is_full = true;
                return None;
            }
            Entry::Vacant(place) => {
                self.rows.push((key, Row::default()));
                *place.insert(self.rows.len() as u32 - 1)
            }
        };
        Some((number, &mut self.rows[number as usize].1))
    }

    pub(super) fn rows(&self) -> &[(K, Row)] {
        &self.rows
    }
}

/// What is paired with what.
#[derive(Clone, Copy)]
enum Pair {
    ChangeName,
    ChangeClient,
    NameClient,
    ClientName,
    ServiceName,
    ServiceClient,
}

/// Pairs that were there before.
#[derive(Default)]
struct Pairs {
    seen: HashSet<u64, RandomState>,
    is_full: bool,
}

impl Pairs {
    /// 1 for a pair that wasn't there yet.
    fn add(&mut self, kind: Pair, row: u32, other: impl Into<Option<u32>>) -> u64 {
        let Some(other) = other.into().filter(|&other| other != NOBODY) else { return 0 };
        // Rows are fewer than 2^19, kinds than 2^3.
        let pair = (kind as u64) << 61 | u64::from(row) << 32 | u64::from(other);
        if self.seen.len() < PAIRS_MAX {
            return self.seen.insert(pair).into();
        }
        self.is_full |= !self.seen.contains(&pair);
        0
    }
}
