//! Sockets in, bytes out: receives packets, hands them to the pipeline, sends what it wrote. Decides nothing about DNS.
//!
//! TCP is our own as well as UDP: hickory-server answers one query at a time on a connection, has no cap on
//! connections, and can't send a response that is already in wire form.

mod bind;
mod endpoint;
mod stream;
mod udp;

pub use bind::{BindError, Sockets, bind};

use crate::{
    dns::Transport,
    query::{Asked, Now, Pipeline, QueryRecord, Turn},
    telemetry::Telemetry,
};
use std::{
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};
use tokio::sync::watch;

/// What every listener needs. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub pipeline: Arc<Pipeline>,
    pub telemetry: Arc<Telemetry>,
    /// Becomes true when it is time to leave.
    pub stopping: watch::Receiver<bool>,
}

impl Service {
    /// True when it is time to leave: told so, or nobody is left to tell.
    fn is_over(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }

    /// Reads a packet. A fault of this program costs the one packet, not the thread that all others wait for; so it is in
    /// all that follows.
    fn read(&self, asked: &mut Asked, packet: &[u8], client: IpAddr, transport: Transport, received: Instant) {
        if self.guard(|| asked.read(packet, client, transport, received)).is_none() {
            asked.discard();
        }
    }

    /// Begins to answer packets that were read.
    fn turn(&self, asked: &mut [Asked]) -> Option<Turn> {
        let turn = self.guard(|| self.pipeline.turn())?;
        let together = AssertUnwindSafe(|| self.pipeline.foresee(&turn, asked));
        if catch_unwind(together).is_err() {
            // Whose fault it is shows one by one.
            for asked in asked {
                if self.guard(|| self.pipeline.foresee(&turn, std::slice::from_mut(asked))).is_none() {
                    asked.discard();
                }
            }
        }
        Some(turn)
    }

    /// Answers a packet, or says that it takes longer. After a fault there is `None`, and it is counted.
    fn answer_now<'q>(&self, turn: &'q Turn, asked: &'q Asked, packet: &[u8], out: &mut Vec<u8>) -> Option<Now<'q>> {
        self.guard(|| self.pipeline.answer_now(turn, asked, packet, out))
    }

    fn record(&self, mut record: QueryRecord<'_>, finished: Instant) {
        record.latency = finished.saturating_duration_since(record.received);
        self.telemetry.record(&record);
    }

    fn guard<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(act)).inspect_err(|_| self.telemetry.fault()).ok()
    }
}

/// Serves on bound sockets until told to stop. Must be called within the runtime that resolves.
pub fn serve(sockets: Sockets, service: &Service) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let mut workers = Vec::new();
    for (index, socket) in sockets.udp.into_iter().enumerate() {
        workers.push(udp::spawn(index, socket, service.clone())?);
    }
    for listener in sockets.tcp {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(stream::serve(listener, service.clone()));
    }
    Ok(workers)
}
