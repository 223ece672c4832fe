//! Where queries wait to be written down: packed octets, by the thread that answered. Nobody who answers waits for
//! whoever writes.

use super::pack::{Packing, pack, pack_exchange};
use crate::{query::QueryRecord, resolve::Exchange};
use std::{
    cell::Cell,
    mem,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Threads beyond so many share places with others.
const THREADS: usize = 32;
/// Octets in one place at most: a second of twenty thousand queries.
const PLACE_BYTES_MAX: usize = 4 << 20;
/// Octets in all places at most.
const BYTES_MAX: u64 = 64 << 20;

/// Packed queries that wait.
pub struct Rings {
    threads: Box<[Thread]>,
    /// Octets that wait in all.
    waiting: AtomicU64,
    dropped_queries: AtomicU64,
    dropped_exchanges: AtomicU64,
    /// What packed times count from.
    base: Instant,
}

/// For how many there was no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    pub queries: u64,
    /// Questions to other servers.
    pub exchanges: u64,
}

/// One thread's two places: while one is emptied, the other is free.
#[derive(Default)]
#[repr(align(128))]
struct Thread([Mutex<Vec<u8>>; 2]);

thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// The place of the thread that asked for it.
pub struct Place<'r> {
    rings: &'r Rings,
    octets: MutexGuard<'r, Vec<u8>>,
    begun: usize,
}

impl Rings {
    pub fn new(base: Instant) -> Self {
        Self {
            threads: (0..THREADS).map(|_| Thread::default()).collect(),
            waiting: AtomicU64::new(0),
            dropped_queries: AtomicU64::new(0),
            dropped_exchanges: AtomicU64::new(0),
            base,
        }
    }

    /// What packed times count from.
    pub fn base(&self) -> Instant {
        self.base
    }

    /// This thread's place, to be left again soon.
    #[inline]
    pub fn place(&self) -> Place<'_> {
        let number = NUMBER.get().unwrap_or_else(|| {
            let number = NEXT_NUMBER.fetch_add(1, Relaxed) as usize % THREADS;
            NUMBER.set(Some(number));
            number
        });
        let Thread(places) = &self.threads[number];
        let free = places.iter().find_map(|place| place.try_lock().ok());
        // Both are taken only where threads share them, and then for as long as a few queries are packed.
        let octets = free.unwrap_or_else(|| places[0].lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let begun = octets.len();
        Place { rings: self, octets, begun }
    }

    /// Takes all that waits, one piece for each place that had something.
    pub fn drain(&self) -> Vec<Vec<u8>> {
        let places = self.threads.iter().flat_map(|Thread(places)| places);
        let taken = places.map(|place| mem::take(&mut *place.lock().unwrap_or_else(|poisoned| poisoned.into_inner())));
        let taken: Vec<Vec<u8>> = taken.filter(|octets| !octets.is_empty()).collect();
        let octets: usize = taken.iter().map(Vec::len).sum();
        self.waiting.fetch_sub(octets as u64, Relaxed);
        taken
    }

    /// What there was no room for until now.
    pub fn dropped(&self) -> Dropped {
        Dropped { queries: self.dropped_queries.load(Relaxed), exchanges: self.dropped_exchanges.load(Relaxed) }
    }
}

impl Place<'_> {
    /// Packs a query, if there is room.
    #[inline]
    pub fn push(&mut self, record: &QueryRecord<'_>, packing: &Packing<'_>) {
        if self.has_room(&self.rings.dropped_queries) {
            pack(record, self.rings.base, packing, &mut self.octets);
        }
    }

    /// Packs a question to another server, if there is room.
    pub fn push_exchange(&mut self, exchange: &Exchange<'_>) {
        if self.has_room(&self.rings.dropped_exchanges) {
            pack_exchange(exchange, self.rings.base, &mut self.octets);
        }
    }

    /// Whether there is room for one more; it is counted in `dropped` if there is none.
    fn has_room(&self, dropped: &AtomicU64) -> bool {
        let is_full = self.octets.len() >= PLACE_BYTES_MAX || self.rings.waiting.load(Relaxed) >= BYTES_MAX;
        if is_full {
            dropped.fetch_add(1, Relaxed);
        }
        !is_full
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.rings.waiting.fetch_add((self.octets.len() - self.begun) as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Transport;
    use std::net::{IpAddr, Ipv4Addr};

    fn record() -> QueryRecord<'static> {
        QueryRecord::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Transport::Udp, Instant::now())
    }

    fn exchange() -> Exchange<'static> {
        Exchange {
            server: "192.0.2.53:53".parse().unwrap(),
            tcp: false,
            began: Instant::now(),
            ended: Instant::now(),
            question: b"asked",
            response: None,
        }
    }

    #[test]
    fn all_that_is_pushed_is_drained_once_even_while_it_is_pushed() {
        const ROUNDS: usize = 5_000;
        const THREADS: usize = 8;
        let rings = Rings::new(Instant::now());
        let mut one = Vec::new();
        pack(&record(), rings.base(), &Packing::default(), &mut one);
        let drained: usize = std::thread::scope(|scope| {
            let pushers = (0..THREADS)
                .map(|_| scope.spawn(|| (0..ROUNDS).for_each(|_| rings.place().push(&record(), &Packing::default()))));
            let pushers: Vec<_> = pushers.collect();
            let mut drained = 0;
            while !pushers.iter().all(|pusher| pusher.is_finished()) {
                drained += rings.drain().iter().map(Vec::len).sum::<usize>();
            }
            drained + rings.drain().iter().map(Vec::len).sum::<usize>()
        });
        assert_eq!((drained, rings.dropped()), (THREADS * ROUNDS * one.len(), Dropped::default()));
        assert_eq!(rings.waiting.load(Relaxed), 0);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let rings = Rings::new(Instant::now());
        let pushed = PLACE_BYTES_MAX / 20;
        let mut place = rings.place();
        (0..pushed).for_each(|_| place.push(&record(), &Packing::default()));
        let Dropped { queries, exchanges } = rings.dropped();
        assert!(queries > 0 && exchanges == 0, "{queries} {exchanges}");
        place.push_exchange(&exchange());
        drop(place);
        assert_eq!(rings.dropped(), Dropped { queries, exchanges: 1 });
        let octets: usize = rings.drain().iter().map(Vec::len).sum();
        assert!(octets < PLACE_BYTES_MAX + 4096, "{octets}");
        rings.place().push(&record(), &Packing::default());
        assert_eq!(rings.drain().len(), 1, "there is room again");
    }
}
