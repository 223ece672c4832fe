//! Sockets in, bytes out: receives packets, hands them to the pipeline, sends what it wrote. Decides nothing about DNS.
//!
//! TCP is our own as well as UDP: hickory-server answers one query at a time on a connection, has no cap on
//! connections, and can't send a response that is already in wire form.
//!
//! ```text
//! bind · passed ─► udp (endpoint, drops)                      a thread and a socket each
//!               └► stream ─► places · proxied · outlet        a connection: its place, whom it is for, its way out
//!                     └─► ending ─► line ─► another process   or its end, in order
//! succession ─► line, stream                                  who takes over from whom
//! ```
//!
//! A process that takes over has the same addresses (SO_REUSEPORT), and who leaves answers all that came to it. Of UDP that is
//! enough. A TCP connection is one process's, so it is handed over: `succession` finds out to whom, `ending` stops reading
//! at any octet, waits until all that was asked is answered and written, and sends the descriptor with the octets that were
//! read and not used; `line` carries it. What the client sends meanwhile waits in the kernel. Idle connections go over as
//! well, since a query may be on its way. Where that can't be, a connection ends in order, and its client asks again what was
//! on its way.

mod advice;
mod beside;
mod bind;
mod connections;
mod drops;
mod ending;
mod endpoint;
mod holder;
mod leaving;
mod line;
mod outlet;
mod passed;
mod places;
mod proxied;
mod stream;
mod succession;
mod udp;

pub use bind::{BindError, Heard, Held, Sockets, Start, bind, heard, http_of_another, obstacles, shares_http};
pub use drops::Drops;
pub use endpoint::reachable;
pub use holder::{collide, is_shared};
pub use passed::{PassedError, adopt};
pub use proxied::{FOR_ITSELF, Proxies};
pub use stream::LIFETIME;
pub use udp::Beat;

use crate::{
    cache::Front,
    dns::Transport,
    query::{Asked, Now, Pipeline, QueryRecord, Turn},
    telemetry::Telemetry,
};
use connections::Connections;
use outlet::Overdue;
use places::Places;
use proxied::Ends;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};
use succession::Succession;
use tokio::sync::watch;

/// What every listener needs. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub pipeline: Arc<Pipeline>,
    pub telemetry: Arc<Telemetry>,
    /// Becomes true when it is time to leave.
    pub stopping: watch::Receiver<bool>,
    /// How long a TCP connection may live in all, busy or not.
    pub lifetime: Duration,
    /// Those who speak for others; `None`: everybody speaks for themselves.
    pub proxies: Option<Arc<Proxies>>,
}

impl Service {
    /// True when it is time to leave: told so, or nobody is left to tell.
    fn is_over(&self) -> bool {
        // Nothing has changed since the service began: that is told without a lock.
        self.stopping.has_changed().map_or(true, |changed| changed && *self.stopping.borrow())
    }

    /// Reads a packet from a client that came to an address of this machine. A fault of this program costs the one packet,
    /// not the thread that all others wait for; so it is in all that follows.
    fn read(&self, asked: &mut Asked, packet: &[u8], (client, at): Ends, transport: Transport, received: Instant) {
        if self.guard(|| asked.read(packet, client, transport, received)).is_none() {
            asked.discard();
        }
        asked.came_to(at);
    }

    /// What holds for packets that are answered now.
    fn turn(&self) -> Option<Turn> {
        self.guard(|| self.pipeline.turn())
    }

    /// Begins to answer packets that were read.
    fn foresee(&self, turn: &Turn, asked: &mut [Asked], mut front: Option<&mut Front>) {
        let together = AssertUnwindSafe(|| self.pipeline.foresee(turn, asked, front.as_deref_mut()));
        if catch_unwind(together).is_err() {
            // Whose fault it is shows one by one.
            for asked in asked {
                if self.guard(|| self.pipeline.foresee(turn, std::slice::from_mut(asked), None)).is_none() {
                    asked.discard();
                }
            }
        }
    }

    /// Answers a packet, or says that it takes longer. After a fault there is `None`, and it is counted.
    fn answer_now<'q>(
        &self,
        turn: &'q Turn,
        asked: &'q Asked,
        packet: &[u8],
        front: Option<&mut Front>,
        record: &mut QueryRecord<'q>,
        out: &mut Vec<u8>,
    ) -> Option<Now> {
        self.guard(|| self.pipeline.answer_now(turn, asked, packet, front, record, out))
    }

    fn record(&self, record: &mut QueryRecord<'_>, finished: Instant, packets: Option<(&[u8], &[u8])>) {
        record.latency = finished.saturating_duration_since(record.received);
        self.telemetry.recorder().record(record, packets);
    }

    fn guard<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(act)).inspect_err(|_| self.telemetry.fault()).ok()
    }
}

/// What serves.
pub struct Serving {
    /// End soon after it is time to leave, when all packets that had come are answered.
    pub workers: Vec<std::thread::JoinHandle<()>>,
    /// End when all connections have.
    pub streams: Vec<tokio::task::JoinHandle<()>>,
    /// By each worker, a sign that it is at work.
    pub beats: Vec<Arc<Beat>>,
}

/// Serves on bound sockets until told to stop. Must be called within the runtime that resolves.
pub fn serve(sockets: Sockets, service: &Service) -> std::io::Result<Serving> {
    let mut serving = Serving { workers: Vec::new(), streams: Vec::new(), beats: Vec::new() };
    let workers = sockets.udp.len();
    for (index, socket) in sockets.udp.into_iter().enumerate() {
        let beat = Arc::new(Beat::default());
        serving.beats.push(beat.clone());
        serving.workers.push(udp::spawn((index, workers), socket, sockets.passed, beat, service.clone())?);
    }
    let (places, overdue) = (Places::default(), Overdue::default());
    for listener in sockets.tcp {
        // Who leaves as soon as this one serves knows of it.
        let succession = Succession::begin(listener.local_addr()?, sockets.start == Start::TakeOver)?;
        let (told, heir) = watch::channel(line::Heir::default());
        let (places, overdue, service) = (places.clone(), overdue.clone(), service.clone());
        let connections = Connections { places, overdue, service, heir };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        serving.streams.push(tokio::spawn(stream::serve(listener, sockets.passed, connections.clone())));
        serving.streams.push(tokio::spawn(succession.run(connections, told)));
    }
    Ok(serving)
}
