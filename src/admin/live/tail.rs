//! Queries as they come, for those who look: nothing is kept, and while nobody looks nothing is made.

use crate::query_log::{Audience, Full, JsonRow, Search, Sink};
use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Tails at once.
pub const TAILS_MAX: usize = 32;
/// Rows that one tail is given in a second: more than that nobody reads.
pub const ROWS_A_SECOND: u32 = 50;
/// Rows that wait for one reader.
const WAITING_MAX: usize = 2 * ROWS_A_SECOND as usize;

/// All who look. Copies are the same.
#[derive(Clone, Default)]
pub struct Tails(Arc<Inner>);

#[derive(Default)]
struct Inner {
    places: Mutex<Vec<Arc<Place>>>,
    /// As many as there are places.
    audience: Audience,
}

/// A query as it is told.
#[derive(Debug)]
pub struct Told {
    pub json: String,
    /// As much as privacy leaves of who asked.
    pub client: String,
}

/// Where one looks.
struct Place {
    search: Search,
    rows: Sender<Arc<Told>>,
    /// Rows that were looked for and not given.
    missed: AtomicU64,
    /// A second, and how many rows were given in it.
    given: Mutex<(Instant, u32)>,
}

/// Queries as they come, for one who looks. It ends when it is dropped.
pub struct Tail {
    place: Arc<Place>,
    rows: Receiver<Arc<Told>>,
    tails: Tails,
}

impl Tails {
    /// Begins to look; `None` if too many do.
    pub fn watch(&self, search: Search) -> Option<Tail> {
        let mut places = self.places();
        if places.len() >= TAILS_MAX {
            return None;
        }
        let (sender, rows) = channel(WAITING_MAX);
        let given = Mutex::new((Instant::now(), 0));
        let place = Arc::new(Place { search, rows: sender, missed: AtomicU64::new(0), given });
        places.push(place.clone());
        self.0.audience.store(places.len(), Relaxed);
        Some(Tail { place, rows, tails: self.clone() })
    }

    /// What gives them queries.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(TailSink(self.clone()))
    }

    /// How many look, kept up to date.
    pub fn audience(&self) -> Audience {
        self.0.audience.clone()
    }

    fn places(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.0.places.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Tail {
    /// The next query.
    pub async fn next(&mut self) -> Option<Arc<Told>> {
        self.rows.recv().await
    }

    /// The next one if it is there already.
    pub fn waiting(&mut self) -> Option<Arc<Told>> {
        self.rows.try_recv().ok()
    }

    /// How many were not given since this was asked the last time.
    pub fn missed(&self) -> u64 {
        self.place.missed.swap(0, Relaxed)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut places = self.tails.places();
        places.retain(|place| !Arc::ptr_eq(place, &self.place));
        self.tails.0.audience.store(places.len(), Relaxed);
    }
}

impl Place {
    /// Whether one more may be given now.
    fn has_room(&self, now: Instant) -> bool {
        let mut given = self.given.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if now.saturating_duration_since(given.0) >= Duration::from_secs(1) {
            *given = (now, 0);
        }
        given.1 += 1;
        given.1 <= ROWS_A_SECOND
    }

    /// Gives a row, if there is room for it: only then it is written at all.
    fn give(&self, row: impl FnOnce() -> Arc<Told>, now: Instant) {
        if !self.has_room(now) || self.rows.try_send(row()).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }
}

/// Gives rows to all who look for them.
struct TailSink(Tails);

impl Sink for TailSink {
    fn write(&mut self, mut rows: Vec<Full<'_>>) -> u64 {
        let (places, now) = (self.0.places().clone(), Instant::now());
        // Threads hand in theirs one after the other.
        if !rows.is_sorted_by_key(|full| full.row.time) {
            rows.sort_by_key(|full| full.row.time);
        }
        for Full { row, .. } in &rows {
            let mut told: Option<Arc<Told>> = None;
            for place in places.iter().filter(|place| place.search.finds(row)) {
                let written = || {
                    let json = serde_json::to_string(&JsonRow::of(row, "")).unwrap_or_default();
                    Arc::new(Told { json, client: row.client.clone() })
                };
                place.give(|| told.get_or_insert_with(written).clone(), now);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::{Fate, NameLike, Row};

    fn row(name: &str) -> Row {
        Row { name: name.to_owned(), ..Row::default() }
    }

    #[test]
    fn each_is_given_what_it_looks_for_and_not_too_much_of_it() {
        let tails = Tails::default();
        let (mut sink, audience) = (tails.sink(), tails.audience());
        assert_eq!(audience.load(Relaxed), 0);
        let name = |text| Search { name: Some(NameLike::read(text)), ..Search::default() };
        let mut one = tails.watch(name(".a.example")).unwrap();
        let mut blocked = tails.watch(Search { fates: vec![Fate::Blocked], ..Search::default() }).unwrap();
        assert_eq!(audience.load(Relaxed), 2);
        let more = 7;
        let mut rows = vec![row("b.example"); 3];
        rows.extend(vec![row("x.a.example"); ROWS_A_SECOND as usize + more]);
        assert_eq!(sink.write_rows(rows), 0);
        let given = std::iter::from_fn(|| one.waiting()).collect::<Vec<_>>();
        assert_eq!(given.len(), ROWS_A_SECOND as usize);
        assert!(given[0].json.contains("\"name\":\"x.a.example\""), "{:?}", given[0]);
        assert_eq!((one.missed(), one.missed()), (more as u64, 0));
        assert!(blocked.waiting().is_none() && blocked.missed() == 0);
        drop(one);
        assert_eq!(audience.load(Relaxed), 1);
        drop(blocked);
        assert_eq!(audience.load(Relaxed), 0);
    }

    #[test]
    fn who_reads_too_slowly_misses_rows_and_holds_nobody_up() {
        let tails = Tails::default();
        let tail = tails.watch(Search::default()).unwrap();
        let second = |number| tail.place.given.lock().unwrap().0 + Duration::from_secs(number);
        let row = || Arc::new(Told { json: "{}".to_owned(), client: String::new() });
        // Three seconds of as much as is given, and nobody reads.
        for number in 1..=3 {
            let now = second(1);
            (0..ROWS_A_SECOND).for_each(|_| tail.place.give(row, now));
            assert_eq!(tail.place.given.lock().unwrap().1, ROWS_A_SECOND, "{number}");
            tail.place.give(|| panic!("what nobody is given isn't written"), now);
        }
        assert_eq!(tail.missed(), u64::from(3 * ROWS_A_SECOND + 3) - WAITING_MAX as u64);
    }

    #[test]
    fn only_so_many_look_at_once() {
        let tails = Tails::default();
        let mut all: Vec<Tail> = (0..TAILS_MAX).map(|_| tails.watch(Search::default()).unwrap()).collect();
        assert!(tails.watch(Search::default()).is_none());
        all.pop();
        assert!(tails.watch(Search::default()).is_some());
    }
}
