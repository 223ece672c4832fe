//! What is being looked for just now: equal questions of the same moment are one resolution.

use super::sought::Sought;
use crate::resolve::Resolution;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU16, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Instant,
};
use tokio::sync::watch;

/// Places of the marks. Of 2048 flights, as many as there may be, they keep 94 of 100 questions that none is for from
/// the table.
const MARKS: usize = 32_768;
/// Places by which it is known what has landed lately. While an answer is looked for some ten others land at most: they
/// keep 99 of 100 questions from asking the cache again in vain.
const PLACES: usize = 4096;

/// A resolution under way.
#[derive(Clone)]
pub struct Flight {
    pub begun: Instant,
    pub landed: watch::Receiver<Option<Arc<Resolution>>>,
}

/// All of them.
pub struct Flights {
    table: Mutex<Table>,
    /// How many flights have each remainder of their hash. Told without the lock: in a flood of questions of which every one
    /// is another, none should wait for it only to hear that nobody looks for the same.
    marks: Box<[AtomicU16]>,
    /// Those that have come to their end, and whose answers are kept.
    landings: AtomicU64,
}

/// What only one changes at a time.
struct Table {
    flights: HashMap<Sought, Flight>,
    /// The number of the last landing by each remainder of its hash.
    landings: Box<[u64]>,
}

/// The table, while nobody else changes it.
pub struct Held<'a> {
    flights: &'a Flights,
    table: MutexGuard<'a, Table>,
}

impl Default for Flights {
    fn default() -> Self {
        let marks = (0..MARKS).map(|_| AtomicU16::new(0)).collect();
        let table = Table { flights: HashMap::new(), landings: vec![0; PLACES].into() };
        Self { table: Mutex::new(table), marks, landings: AtomicU64::new(0) }
    }
}

impl Flights {
    /// Grows with each landing, after its answer is kept: who finds it unchanged missed none in between.
    pub fn landings(&self) -> u64 {
        self.landings.load(Acquire)
    }

    /// Whether one is for this, whose hash this is.
    pub fn has(&self, sought: &Sought, hash: u64) -> bool {
        self.mark(hash).load(Relaxed) > 0 && self.hold().table.flights.contains_key(sought)
    }

    pub fn hold(&self) -> Held<'_> {
        Held { flights: self, table: self.table.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// One has come to its end, and what it brought is kept, if it is to be.
    pub fn land(&self, sought: &Sought, hash: u64) {
        let mut held = self.hold();
        held.table.landings[hash as usize % PLACES] = self.landings.fetch_add(1, Release) + 1;
        if held.table.flights.remove(sought).is_some() {
            self.mark(hash).fetch_sub(1, Relaxed);
        }
    }

    fn mark(&self, hash: u64) -> &AtomicU16 {
        &self.marks[hash as usize % MARKS]
    }
}

impl Held<'_> {
    pub fn find(&self, sought: &Sought) -> Option<&Flight> {
        self.table.flights.get(sought)
    }

    /// Whether one of this hash may have come to its end after so many landings.
    pub fn has_landed_since(&self, landings: u64, hash: u64) -> bool {
        self.table.landings[hash as usize % PLACES] > landings
    }

    /// Begins one that there is none of yet.
    pub fn begin(mut self, sought: Sought, hash: u64, flight: Flight) {
        self.flights.mark(hash).fetch_add(1, Relaxed);
        self.table.flights.insert(sought, flight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dns::RrType, resolve::NameServersWanted};

    fn sought(name: &str) -> Sought {
        let name = name.parse().unwrap();
        Sought { name, rr_type: RrType::A, dnssec_ok: false, cd: false, name_servers: NameServersWanted::No }
    }

    #[test]
    fn what_is_in_flight_is_known_until_it_lands() {
        let flights = Flights::default();
        let flight = || Flight { begun: Instant::now(), landed: watch::channel(None).1 };
        // Two of one mark.
        let (one, other) = (sought("one.example"), sought("other.example"));
        flights.hold().begin(one, 7, flight());
        assert!(flights.has(&one, 7) && !flights.has(&other, 7));
        flights.hold().begin(other, 7 + MARKS as u64, flight());
        assert_eq!(flights.landings(), 0);
        flights.land(&one, 7);
        assert!(!flights.has(&one, 7) && flights.has(&other, 7 + MARKS as u64));
        flights.land(&other, 7 + MARKS as u64);
        // Once more, as after a fault: nothing is counted twice.
        flights.land(&other, 7 + MARKS as u64);
        assert_eq!(flights.mark(7).load(Relaxed), 0);
        assert_eq!(flights.landings(), 3);
    }

    #[test]
    fn what_landed_is_told_by_its_hash() {
        let flights = Flights::default();
        let since = |landings, hash| flights.hold().has_landed_since(landings, hash);
        flights.land(&sought("one.example"), 7);
        flights.land(&sought("other.example"), 8);
        assert!(since(0, 7) && since(0, 8) && since(1, 8) && since(0, 7 + PLACES as u64));
        assert!(!since(1, 7) && !since(2, 8) && !since(0, 9));
        flights.land(&sought("one.example"), 7);
        assert!(since(2, 7) && !since(3, 7));
    }

    /// Whom no flight is for doesn't wait for the table.
    #[test]
    fn who_is_alone_takes_no_lock() {
        let flights = Flights::default();
        let held = flights.hold();
        assert!(!flights.has(&sought("alone.example"), 7));
        drop(held);
    }
}
