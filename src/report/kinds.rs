//! Queries by group, by type and by transport: what single queries tell, and sums by hour and day don't.

use super::{Moment, Share, form::Top};
use crate::{
    dns::{RrType, Transport},
    query_log::{Fate, Seen},
};
use foldhash::HashMap;
use serde::Serialize;
use std::{hash::Hash, sync::Arc};

/// Groups told apart at most, and types: configurations have a thousand at most, and the registry of types some hundred.
const KINDS_MAX: usize = 4096;
/// Rows of a table at most.
const ROWS_MAX: usize = 500;

/// Queries by what is told of each of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Kinds {
    /// Queries that are told apart here, of all: of the others only sums are left, which don't tell this. It is the
    /// denominator of the shares below.
    pub covered: Share,
    /// When the first and the last of them came.
    pub first: Option<Moment>,
    pub last: Option<Moment>,
    pub groups: Top<KindRow>,
    pub types: Top<KindRow>,
    pub transports: Top<KindRow>,
}

/// Queries of one group, type or transport.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KindRow {
    /// The group's name, the type, or `udp` or `tcp`. Empty: not kept, or not understood.
    pub what: String,
    /// Of those covered.
    pub queries: Share,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Blocked or would be, of its own queries.
    pub hit: Share,
}

/// Counts by fate, in the order of [`Fate::ALL`].
type Fates = [u64; Fate::ALL.len()];

/// Collects them.
#[derive(Default)]
pub(super) struct Counts {
    groups: HashMap<Arc<str>, Fates>,
    /// `None`: not understood.
    types: HashMap<Option<RrType>, Fates>,
    transports: HashMap<&'static str, Fates>,
    covered: u64,
    first: Option<i64>,
    last: Option<i64>,
    /// What found no room in a table. They are covered all the same.
    beyond: u64,
}

impl Counts {
    pub(super) fn add(&mut self, seen: &Seen<'_>, fate: Fate) {
        let Seen { row, count, first, last, .. } = *seen;
        if !seen.has_details {
            return;
        }
        self.covered += count;
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
        let rr_type = (!row.name.is_empty()).then_some(row.rr_type);
        let had_room = match self.groups.get_mut(&row.group) {
            Some(fates) => {
                fates[fate as usize] += count;
                true
            }
            None => put(&mut self.groups, row.group.clone(), fate, count),
        } & put(&mut self.types, rr_type, fate, count)
            & put(&mut self.transports, Transport::label(row.transport), fate, count);
        self.beyond += if had_room { 0 } else { count };
    }

    /// As rows. `queries`: all there were.
    pub(super) fn finish(&self, queries: u64) -> Kinds {
        let named = |rr_type: &Option<RrType>| rr_type.map_or_else(String::new, |rr_type| rr_type.to_string());
        Kinds {
            covered: Share::new(self.covered, queries),
            first: self.first.map(Moment),
            last: self.last.map(Moment),
            groups: self.rows(&self.groups, |group| group.to_string()),
            types: self.rows(&self.types, named),
            transports: self.rows(&self.transports, |label| (*label).to_owned()),
        }
    }

    /// Queries that one of the tables lacks.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond
    }

    fn rows<K>(&self, counts: &HashMap<K, Fates>, name: impl Fn(&K) -> String) -> Top<KindRow> {
        let row = |(key, fates): (&K, &Fates)| {
            let [blocked, would_block, excepted, ..] = *fates;
            let own: u64 = fates.iter().sum();
            KindRow {
                what: name(key),
                queries: Share::new(own, self.covered),
                blocked,
                would_block,
                excepted,
                hit: Share::new(blocked + would_block, own),
            }
        };
        let mut rows: Vec<KindRow> = counts.iter().map(row).collect();
        rows.sort_by(|a, b| b.queries.part.cmp(&a.queries.part).then_with(|| a.what.cmp(&b.what)));
        let there_are = rows.len() as u64;
        rows.truncate(ROWS_MAX);
        Top { there_are, rows }
    }
}

/// Counts for a key; false if there is no room for it.
fn put<K: Eq + Hash>(counts: &mut HashMap<K, Fates>, key: K, fate: Fate, count: u64) -> bool {
    if counts.len() >= KINDS_MAX && !counts.contains_key(&key) {
        return false;
    }
    counts.entry(key).or_default()[fate as usize] += count;
    true
}
