//! The denominators of each day, for an export.

use foldhash::{HashSet, HashSetExt as _};
use std::collections::BTreeMap;

/// Days counted by themselves at most: ten years.
const DAYS_MAX: usize = 3660;
/// Pairs of day and client kept at most. Beyond it a day has more clients than are counted.
const CLIENTS_MAX: usize = 2_000_000;
/// Pairs of day and name kept at most. Beyond it names aren't counted at all.
const NAMES_MAX: usize = 4_000_000;

/// All days, by their numbers since 1970 (UTC).
pub(super) struct Days {
    all: BTreeMap<i64, Day>,
    clients: HashSet<(i64, u32)>,
    /// `None`: there are too many.
    names: Option<HashSet<(i64, u32)>>,
}

/// One day.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Day {
    pub queries: u64,
    /// Of them, those that are in no cell.
    pub without_room: u64,
    pub clients: u64,
}

impl Days {
    pub fn new() -> Self {
        Self { all: BTreeMap::new(), clients: HashSet::new(), names: Some(HashSet::new()) }
    }

    /// Counts queries of a day, whoever asked for whatever; false if there are too many days.
    pub fn add(&mut self, day: i64, queries: u64) -> bool {
        if self.all.len() >= DAYS_MAX && !self.all.contains_key(&day) {
            return false;
        }
        self.all.entry(day).or_default().queries += queries;
        true
    }

    /// Notes that queries of a day are in no cell.
    pub fn lack_room(&mut self, day: i64, queries: u64) {
        if let Some(own) = self.all.get_mut(&day) {
            own.without_room += queries;
        }
    }

    /// Notes who asked for what on a day, as far as that is known.
    pub fn note(&mut self, day: i64, client: Option<u32>, name: Option<u32>) {
        if let Some(client) = client
            && self.clients.len() < CLIENTS_MAX
            && self.clients.insert((day, client))
        {
            self.all.entry(day).or_default().clients += 1;
        }
        if let (Some(name), Some(names)) = (name, &mut self.names) {
            names.insert((day, name));
            if names.len() > NAMES_MAX {
                self.names = None;
            }
        }
    }

    /// Those with at least so many clients, in their order.
    pub fn of(&self, clients_min: u64) -> impl Iterator<Item = (i64, &Day)> {
        self.all.iter().map(|(number, day)| (*number, day)).filter(move |(_, day)| day.clients >= clients_min)
    }

    /// Which names were asked for on which day; `None`: there are too many.
    pub fn names(&self) -> Option<impl Iterator<Item = (i64, u32)>> {
        Some(self.names.as_ref()?.iter().copied())
    }
}
