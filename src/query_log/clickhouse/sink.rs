//! Sends rows in batches, and keeps them while they can't be sent.
//!
//! A turn is what is done for one call: it waits for the server for a bounded time, however much there is to send.
//! After a failure the server is left alone for a while, in which batches go to the spill at once.

use super::{
    super::{
        drain::{Full, Sink},
        seldom::Seldom,
    },
    Batch, LIMITS, Limits, line, schema,
    server::{Failure, Server},
    spill::{Spill, Taken},
};
use crate::config::ClickHouse;
use foldhash::fast::RandomState;
use std::{
    hash::BuildHasher,
    mem,
    path::Path,
    time::{Duration, Instant},
};

/// Where batches wait, in the state folder.
const FOLDER: &str = "clickhouse-spill";
/// How often files of another process are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// So many inserts must be quick before they become longer, so that where longer ones fail, few of all do.
const QUICK_BEFORE_GROWTH: u32 = 8;

/// Writes to a ClickHouse server.
pub struct ClickHouseSink {
    server: Server,
    instance: String,
    limits: Limits,
    /// What is being filled, since when.
    batch: Batch,
    begun: Option<Instant>,
    spill: Spill,
    /// Of the next row: from a number that no other process begins with.
    id: u64,
    /// The tables are as they should be.
    is_ready: bool,
    down: Option<Down>,
    /// Octets of an insert: fewer after one that took too long.
    insert_bytes: usize,
    /// Inserts of that length in a row that were quick.
    quick: u32,
    /// Batches that are sent one by one, since one of them can't be read.
    alone: usize,
    /// Rows that have arrived or are lost, and not told yet to whoever counts them.
    arrived: u64,
    lost: u64,
    told: Seldom,
    told_full: Seldom,
    looked: Instant,
}

/// The server failed.
#[derive(Clone, Copy)]
struct Down {
    /// When it is tried again, and how long it has been left alone.
    again: Instant,
    wait: Duration,
}

/// One call's time.
struct Turn {
    /// When it began, as the caller has it, and by the clock.
    now: Instant,
    started: Instant,
    /// When it must be over.
    until: Instant,
    /// So much time must be left for another request.
    spare: Duration,
}

impl Turn {
    fn new(now: Instant, within: Duration) -> Self {
        let started = Instant::now();
        // Whatever is begun in the first fifth has the other four for itself.
        Self { now, started, until: started + within, spare: within / 5 * 4 }
    }

    fn now(&self) -> Instant {
        self.now + self.started.elapsed()
    }

    fn has_time(&self) -> bool {
        self.until.saturating_duration_since(Instant::now()) > self.spare
    }
}

impl ClickHouseSink {
    /// Makes contact with the first turn. Without a state folder, what can't be sent waits in memory.
    pub fn new(config: &ClickHouse, instance: &str, state_dir: Option<&Path>) -> Self {
        Self::with(config, instance, state_dir, LIMITS)
    }

    pub(super) fn with(config: &ClickHouse, instance: &str, state_dir: Option<&Path>, limits: Limits) -> Self {
        let seed = RandomState::default();
        let folder = state_dir.map(|folder| folder.join(FOLDER));
        let now = Instant::now();
        let spill = Spill::open(folder, config.spill_bytes, limits.memory_bytes, seed.hash_one("tag"));
        if !spill.is_empty() {
            tracing::info!(rows = spill.rows(), "query_log.clickhouse: questions wait from before");
        }
        Self {
            server: Server::new(config),
            instance: instance.to_owned(),
            limits,
            batch: Batch::default(),
            begun: None,
            spill,
            id: seed.hash_one((now, std::process::id(), "id")),
            is_ready: false,
            down: None,
            insert_bytes: limits.batch_bytes,
            quick: 0,
            alone: 0,
            arrived: 0,
            lost: 0,
            told: Seldom::default(),
            told_full: Seldom::default(),
            looked: now,
        }
    }

    /// Takes rows, sends what is due, and says how many rows were lost since it was asked the last time.
    pub(super) fn take(&mut self, rows: &[Full<'_>], now: Instant) -> u64 {
        let turn = Turn::new(now, self.limits.within);
        for full in rows {
            self.add(full, &turn);
        }
        self.send_due(&turn);
        mem::take(&mut self.lost)
    }

    fn add(&mut self, full: &Full<'_>, turn: &Turn) {
        let before = self.batch.lines.len();
        line::write(&mut self.batch.lines, &full.row, &self.instance, self.id);
        self.id = self.id.wrapping_add(1);
        let is_too_long = self.batch.lines.len() > self.insert_bytes;
        if before > 0 && (is_too_long || self.batch.rows == self.limits.batch_rows) {
            let line = self.batch.lines.split_off(before);
            self.close(turn);
            self.batch.lines = line;
        }
        self.batch.rows += 1;
        self.begun.get_or_insert(turn.now);
    }

    fn send_due(&mut self, turn: &Turn) {
        if !self.is_ready && self.may_try(turn) {
            // Trouble shows at the start, not with the first question.
            match self.make_ready(turn) {
                Ok(()) => self.down = None,
                Err(failure) => self.failed(&failure, turn),
            }
        }
        // First what waits: it is older, and leaves its room to the rest.
        self.catch_up(turn);
        if self.begun.is_some_and(|begun| turn.now.saturating_duration_since(begun) >= self.limits.flush_every) {
            self.close(turn);
        }
        if turn.now.saturating_duration_since(self.looked) >= LOOK_EVERY {
            self.looked = turn.now;
            self.spill.look_again();
        }
    }

    /// Ends the batch, and sends it unless others wait before it.
    fn close(&mut self, turn: &Turn) {
        let batch = mem::take(&mut self.batch);
        self.begun = None;
        if batch.rows == 0 {
            return;
        }
        if self.spill.is_empty() && self.may_try(turn) {
            match self.deliver(&batch, turn) {
                Ok(()) => return self.succeeded(&batch),
                Err(Failure::Rejected(why)) => return self.put_aside(&batch, &why),
                Err(failure) => self.failed(&failure, turn),
            }
        }
        let rows = batch.rows;
        if !self.spill.push(batch) {
            self.lost += rows;
            if self.told_full.is_due(turn.now) {
                let waiting = self.spill.rows();
                tracing::error!(waiting, "query_log.clickhouse: no more questions can wait, and new ones are dropped");
            }
        }
    }

    /// Sends what waits, as far as the turn's time reaches.
    fn catch_up(&mut self, turn: &Turn) {
        while !self.spill.is_empty() && self.may_try(turn) {
            let pieces_max = if self.alone > 0 { 1 } else { usize::MAX };
            let bounds = (pieces_max, self.limits.batch_rows, self.insert_bytes);
            let Some((batch, taken)) = self.spill.oldest(bounds, &mut self.lost) else { continue };
            let whole = if let Taken::Whole(count) = taken { count } else { 0 };
            match self.deliver(&batch, turn) {
                Ok(()) => {
                    self.spill.remove(taken, &batch);
                    self.alone = self.alone.saturating_sub(whole);
                    self.succeeded(&batch);
                }
                Err(Failure::Rejected(_)) if whole > 1 => self.alone = whole,
                Err(Failure::Rejected(why)) => {
                    self.spill.remove(taken, &batch);
                    self.alone = self.alone.saturating_sub(whole);
                    self.put_aside(&batch, &why);
                }
                Err(failure) => return self.failed(&failure, turn),
            }
        }
    }

    fn may_try(&self, turn: &Turn) -> bool {
        self.down.is_none_or(|down| turn.now >= down.again) && turn.has_time()
    }

    fn make_ready(&mut self, turn: &Turn) -> Result<(), Failure> {
        if !self.is_ready {
            schema::apply(&self.server, turn.until)?;
            self.is_ready = true;
            tracing::info!(url = self.server.url(), instance = self.instance, "questions are sent to ClickHouse");
        }
        Ok(())
    }

    fn deliver(&mut self, batch: &Batch, turn: &Turn) -> Result<(), Failure> {
        self.make_ready(turn)?;
        let begun = Instant::now();
        let delivered = self.server.insert(schema::QUERIES, &batch.lines, turn.until);
        match delivered {
            Ok(()) => self.grow(batch.lines.len(), begun.elapsed(), turn.until.saturating_duration_since(begun)),
            // Over a slow way, or to a slow server, the same again would take as long again, for ever.
            Err(Failure::Late(_)) => {
                let halved = self.insert_bytes.min(batch.lines.len()) / 2;
                self.insert_bytes = halved.clamp(self.limits.batch_bytes_min, self.limits.batch_bytes);
                self.quick = 0;
            }
            Err(_) => {}
        }
        delivered
    }

    /// Lets the next inserts be twice as long when some of full length took less than a quarter of their time.
    fn grow(&mut self, octets: usize, took: Duration, had: Duration) {
        if octets < self.insert_bytes / 2 {
            return;
        }
        self.quick = if took < had / 4 { self.quick + 1 } else { 0 };
        if self.quick == QUICK_BEFORE_GROWTH {
            self.insert_bytes = (self.insert_bytes * 2).min(self.limits.batch_bytes);
            self.quick = 0;
        }
    }

    fn succeeded(&mut self, batch: &Batch) {
        self.arrived += batch.rows;
        if self.down.take().is_some() {
            tracing::info!(url = self.server.url(), "query_log.clickhouse: questions arrive again");
        }
    }

    /// What the server can't read is not sent again.
    fn put_aside(&mut self, batch: &Batch, why: &str) {
        self.down = None;
        self.lost += batch.rows;
        let kept = self.spill.put_aside(batch).map(|path| path.display().to_string());
        let kept = kept.as_deref().unwrap_or("nowhere");
        tracing::error!(
            url = self.server.url(),
            rows = batch.rows,
            why,
            kept,
            "query_log.clickhouse: the server can't read questions, and they are dropped"
        );
    }

    fn failed(&mut self, failure: &Failure, turn: &Turn) {
        let doubled = |down: Down| (down.wait * 2).min(self.limits.retry_max);
        let wait = self.down.map_or(self.limits.retry_first, doubled);
        self.down = Some(Down { again: turn.now() + wait, wait });
        if matches!(failure, Failure::Absent(_)) {
            self.is_ready = false;
        }
        if self.told.is_due(turn.now) {
            let url = self.server.url();
            tracing::error!(url, %failure, "query_log.clickhouse: questions can't be sent, and wait");
        }
    }
}

impl Sink for ClickHouseSink {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        self.take(&rows, Instant::now())
    }

    fn arrived(&mut self) -> Option<u64> {
        Some(mem::take(&mut self.arrived))
    }

    fn tick(&mut self) {
        self.send_due(&Turn::new(Instant::now(), self.limits.within));
    }

    fn finish(&mut self) -> u64 {
        let mut turn = Turn::new(Instant::now(), self.limits.within);
        if !self.spill.is_on_disk() {
            // The last chance of what would be lost.
            (self.down, turn.spare) = (None, Duration::ZERO);
        }
        self.close(&turn);
        self.catch_up(&turn);
        mem::take(&mut self.lost) + self.spill.rows_in_memory()
    }
}
