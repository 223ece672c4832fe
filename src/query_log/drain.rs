//! Empties the rings and hands what was in them to the sinks, each on a thread of its own.

use super::{
    QueryLog,
    names::PolicyNames,
    privacy::Privacy,
    rings::Dropped,
    row::Row,
    unpack::{Packed, Packets, Tapped, Unpacked, Unpacker, unpack},
};
use crate::resolve::Upstreams;
use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How often the rings are emptied: so long a row waits there. If the process is killed, those are lost, and what waits
/// before a sink.
const DRAIN_EVERY: Duration = Duration::from_millis(100);
/// Octets that wait before one sink at most: a quarter of a minute of twenty thousand queries a second.
const WAITING_BYTES_MAX: u64 = 32 << 20;
/// Batches that wait before one sink at most, however small.
const WAITING_BATCHES_MAX: usize = 1024;
/// How often a sink that has nothing to write may look after itself.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How long it is told that a file was removed under this process: until somebody looked, perhaps.
const GONE_TOLD: Duration = Duration::from_secs(15 * 60);

/// Where rows go. Each has a thread of its own, and may take its time.
pub trait Sink: Send {
    /// Writes rows, and says how many of them could not be written.
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64;

    /// The same for rows of which nothing more is known.
    fn write_rows(&mut self, rows: Vec<Row>) -> u64 {
        self.write(rows.into_iter().map(Full::bare).collect())
    }

    /// Writes them, and says how many of them could not be written.
    fn write_exchanges(&mut self, _: Vec<Tapped<'_>>) -> u64 {
        0
    }

    /// How many rows have arrived since it was asked the last time, of a sink that passes them on later; `None`: what
    /// was taken and isn't lost has arrived.
    fn arrived(&mut self) -> Option<u64> {
        None
    }

    /// Nothing came for a while, or much did.
    fn tick(&mut self) {}

    /// Whether the file that it wrote to has been removed or moved away since it was asked the last time, so that another
    /// was begun.
    fn has_lost_file(&mut self) -> bool {
        false
    }

    /// No more comes. Says how many rows are lost that had been taken.
    fn finish(&mut self) -> u64 {
        0
    }
}

/// How many look right now.
pub type Audience = Arc<AtomicUsize>;

/// All that is known of one query.
pub struct Full<'p> {
    pub row: Row,
    /// The client's address, as far as it may be told.
    pub client: Option<IpAddr>,
    pub packets: Option<Packets<'p>>,
    /// What the rule that decided matched in the answer, see `Unpacked::matched`.
    pub matched: Vec<u8>,
}

impl Full<'_> {
    /// A row of which nothing more is known.
    pub fn bare(row: Row) -> Self {
        Self { row, client: None, packets: None, matched: Vec::new() }
    }
}

/// Queries that were drained together.
struct Batch {
    pieces: Vec<Vec<u8>>,
    /// What their times count from: microseconds since 1970.
    base: i64,
    policies: Vec<Arc<PolicyNames>>,
    rows: u64,
    exchanges: u64,
    octets: u64,
}

/// What a sink did.
pub(super) struct SinkCounts {
    name: &'static str,
    /// `None`: it doesn't take them.
    queries: Option<Counts>,
    exchanges: Option<Counts>,
    /// Octets that wait before it.
    waiting: AtomicU64,
    /// Something of what came to it last was lost.
    is_losing: AtomicBool,
    /// How often its file was removed or moved away, and the last time in seconds since `began`.
    files_gone: AtomicU64,
    gone_at: AtomicU64,
    began: Instant,
}

/// What became of queries, or of questions to other servers. Each is counted when it is known, so that numbers grow.
#[derive(Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

/// What a sink did until now; `None` for what it doesn't take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SinkCount {
    pub sink: &'static str,
    pub queries: Option<Kept>,
    pub exchanges: Option<Kept>,
    /// How often its file was removed or moved away under it.
    pub files_gone: u64,
}

/// How many are where they belong, and how many never will be. Both only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    pub written: u64,
    pub dropped: u64,
}

/// What a sink takes, and so counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counted {
    pub queries: bool,
    pub exchanges: bool,
}

impl SinkCounts {
    fn of(name: &'static str, counted: Counted) -> Self {
        let queries = counted.queries.then(Counts::default);
        let exchanges = counted.exchanges.then(Counts::default);
        Self {
            name,
            queries,
            exchanges,
            waiting: AtomicU64::new(0),
            is_losing: AtomicBool::new(false),
            files_gone: AtomicU64::new(0),
            gone_at: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    pub fn counted(&self) -> Counted {
        Counted { queries: self.queries.is_some(), exchanges: self.exchanges.is_some() }
    }

    /// `before`: what was dropped before any sink saw it.
    pub fn now(&self, before: Dropped) -> SinkCount {
        let kept = |counts: &Option<Counts>, before: u64| {
            let Counts { written, dropped } = counts.as_ref()?;
            Some(Kept { written: written.load(Relaxed), dropped: dropped.load(Relaxed) + before })
        };
        let Self { name, queries, exchanges, .. } = self;
        let (queries, exchanges) = (kept(queries, before.queries), kept(exchanges, before.exchanges));
        SinkCount { sink: name, queries, exchanges, files_gone: self.files_gone.load(Relaxed) }
    }

    /// Its name, if its file was gone not long ago.
    pub fn file_gone(&self) -> Option<&'static str> {
        let ago = self.began.elapsed().as_secs().saturating_sub(self.gone_at.load(Relaxed));
        (self.files_gone.load(Relaxed) > 0 && ago < GONE_TOLD.as_secs()).then_some(self.name)
    }

    fn note_file_gone(&self) {
        self.gone_at.store(self.began.elapsed().as_secs(), Relaxed);
        self.files_gone.fetch_add(1, Relaxed);
    }

    /// Its name, if it loses what comes to it.
    pub fn losing(&self) -> Option<&'static str> {
        self.is_losing.load(Relaxed).then_some(self.name)
    }

    /// A batch that didn't come to the sink.
    fn dropped(&self, batch: &Batch) {
        self.is_losing.store(true, Relaxed);
        for (counts, count) in [(&self.queries, batch.rows), (&self.exchanges, batch.exchanges)] {
            counts.iter().for_each(|counts| counts.add(0, count));
        }
    }
}

impl Counts {
    fn add(&self, written: u64, dropped: u64) {
        self.written.fetch_add(written, Relaxed);
        self.dropped.fetch_add(dropped, Relaxed);
    }
}

/// Makes a sink, on the thread that it is going to have.
pub(super) type Make = Box<dyn FnOnce() -> Box<dyn Sink> + Send>;

/// What is known of a sink before it is made.
pub(super) struct Plan {
    pub name: &'static str,
    pub counted: Counted,
    /// Those of the sink in whose place it comes, to go on with.
    pub counts: Option<Arc<SinkCounts>>,
    /// How many look, of a sink that keeps nothing: while nobody does, it is given nothing.
    pub audience: Option<Audience>,
}

/// A sink whose thread waits for the word; without it, it ends and has touched nothing.
pub(super) struct Ready {
    outlet: Outlet,
    thread: JoinHandle<()>,
    word: Sender<Before>,
}

/// The thread of the sink in whose place another comes. They may have the same file, so one begins when the other has ended;
/// what comes meanwhile waits in front of it.
type Before = Option<JoinHandle<()>>;

impl Ready {
    /// Lets it begin.
    pub fn go(self, before: Before) -> (Outlet, JoinHandle<()>) {
        let _ = self.word.send(before);
        (self.outlet, self.thread)
    }
}

/// The threads that write.
pub struct Writing {
    log: Arc<QueryLog>,
    drain: JoinHandle<()>,
}

impl Writing {
    /// Lets the sinks have what comes, which has waited until now. To be called when this process serves: one that can't
    /// start has nothing written, and takes no file of one that runs.
    pub fn begin(&self) {
        self.log.begun.store(true, Relaxed);
        self.log.wake();
    }

    /// Has all that came written, and waits for that. To be called when nobody answers any more.
    pub fn stop(self) {
        self.log.stopping.store(true, Relaxed);
        self.log.wake();
        let _ = self.drain.join();
        self.log.sinks().end();
    }
}

/// Starts a sink's thread.
pub(super) fn ready(plan: Plan, make: Make, privacy: Privacy, upstreams: Arc<Upstreams>) -> io::Result<Ready> {
    let Plan { name, counted, counts, audience } = plan;
    let counts = counts.unwrap_or_else(|| Arc::new(SinkCounts::of(name, counted)));
    let (batches, received) = sync_channel(WAITING_BATCHES_MAX);
    let (word, told) = channel::<Before>();
    let own = counts.clone();
    let thread = thread::Builder::new().name(format!("log-{name}")).spawn(move || {
        let Ok(before) = told.recv() else { return };
        before.into_iter().for_each(|before| drop(before.join()));
        serve(&mut *make(), &received, &own, &privacy, upstreams);
    })?;
    Ok(Ready { outlet: Outlet { batches, counts, audience }, thread, word })
}

fn serve(
    sink: &mut dyn Sink,
    batches: &Receiver<Arc<Batch>>,
    counts: &SinkCounts,
    privacy: &Privacy,
    upstreams: Arc<Upstreams>,
) {
    let mut unpacker = Unpacker::new(upstreams, privacy.tells_addresses());
    let no_group: Option<Arc<str>> = (!privacy.tells_group()).then(|| "".into());
    let mut ticked = Instant::now();
    loop {
        match batches.recv_timeout(TICK_EVERY) {
            Ok(batch) => {
                unpacker.follow(&batch.policies);
                let (mut rows, mut exchanges) = (Vec::new(), Vec::new());
                if counts.queries.is_some() {
                    rows.reserve_exact(batch.rows as usize);
                }
                for packed in batch.pieces.iter().flat_map(|piece| unpack(piece)) {
                    match packed {
                        Packed::Query(query) if counts.queries.is_some() => {
                            let Some(unpacked) = unpacker.row(&query, batch.base) else { continue };
                            let Unpacked { mut row, client, packets, matched } = unpacked;
                            row.client = privacy.tell(client, row.time / 1_000_000);
                            no_group.iter().for_each(|none| row.group = none.clone());
                            rows.push(Full { row, client: privacy.address(client), packets, matched });
                        }
                        Packed::Exchange(exchange) if counts.exchanges.is_some() => {
                            exchanges.extend(exchange.read(batch.base));
                        }
                        Packed::Query(_) | Packed::Exchange(_) => {}
                    }
                }
                let mut lost_of_all = 0;
                if let Some(counts) = &counts.queries {
                    let (taken, unread) = (rows.len() as u64, batch.rows - rows.len() as u64);
                    let lost = sink.write(rows);
                    counts.add(sink.arrived().unwrap_or(taken.saturating_sub(lost)), lost + unread);
                    lost_of_all += lost;
                }
                if let Some(counts) = &counts.exchanges {
                    let (taken, unread) = (exchanges.len() as u64, batch.exchanges - exchanges.len() as u64);
                    let lost = sink.write_exchanges(exchanges);
                    counts.add(taken.saturating_sub(lost), lost + unread);
                    lost_of_all += lost;
                }
                counts.is_losing.store(lost_of_all > 0, Relaxed);
                counts.waiting.fetch_sub(batch.octets, Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ticked.elapsed() >= TICK_EVERY {
            sink.tick();
            if sink.has_lost_file() {
                counts.note_file_gone();
            }
            counts.queries.iter().for_each(|counts| counts.add(sink.arrived().unwrap_or(0), 0));
            ticked = Instant::now();
        }
    }
    let lost = sink.finish();
    counts.queries.iter().for_each(|counts| counts.add(sink.arrived().unwrap_or(0), lost));
}

/// Starts emptying the rings into the sinks, as soon as it may begin.
pub(super) fn start(log: Arc<QueryLog>) -> io::Result<Writing> {
    let own = log.clone();
    let drain = thread::Builder::new().name("log-drain".into()).spawn(move || {
        loop {
            let is_last = own.stopping.load(Relaxed);
            let sinks = own.sinks();
            if own.begun.load(Relaxed) {
                drain(&own, sinks.outlets());
            }
            let is_idle = sinks.is_empty();
            drop(sinks);
            match (is_last, is_idle) {
                (true, _) => break,
                (false, true) => thread::park(),
                (false, false) => thread::park_timeout(DRAIN_EVERY),
            }
        }
    })?;
    let _ = log.drain.set(drain.thread().clone());
    Ok(Writing { log, drain })
}

/// A sink as the drain sees it.
pub(super) struct Outlet {
    batches: SyncSender<Arc<Batch>>,
    pub counts: Arc<SinkCounts>,
    pub audience: Option<Audience>,
}

/// Gives all that waits to the sinks; without any it is gone.
pub(super) fn drain<'o>(log: &QueryLog, sinks: impl IntoIterator<Item = &'o Outlet>) {
    let pieces = log.rings.drain();
    if pieces.is_empty() {
        return;
    }
    let octets = pieces.iter().map(|piece| piece.len() as u64).sum();
    let (mut rows, mut exchanges) = (0, 0);
    for packed in pieces.iter().flat_map(|piece| unpack(piece)) {
        match packed {
            Packed::Query(_) => rows += 1,
            Packed::Exchange(_) => exchanges += 1,
        }
    }
    let (base, policies) = (wall_clock(log.rings.base()), log.policies());
    let batch = Arc::new(Batch { pieces, base, policies, rows, exchanges, octets });
    for Outlet { batches, counts, audience } in sinks {
        if audience.as_ref().is_some_and(|audience| audience.load(Relaxed) == 0) {
            continue;
        }
        // A batch that is alone always has room.
        let is_full = counts.waiting.fetch_add(octets, Relaxed) > WAITING_BYTES_MAX;
        let sent = if is_full { Err(TrySendError::Full(batch.clone())) } else { batches.try_send(batch.clone()) };
        if sent.is_err() {
            counts.waiting.fetch_sub(octets, Relaxed);
            counts.dropped(&batch);
        }
    }
}

/// The time of day at `base`, by the clock as it stands now: microseconds since 1970.
fn wall_clock(base: Instant) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_micros() as i64 - base.elapsed().as_micros() as i64
}

#[cfg(test)]
mod tests;
