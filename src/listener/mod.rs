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
    query::{Now, Pipeline, QueryRecord},
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

    /// Answers a packet, or says that it takes longer. A fault of this program costs the one query, not the thread that
    /// all others wait for: then there is `None`, and it is counted.
    fn answer_now(&self, packet: &[u8], client: IpAddr, transport: Transport, out: &mut Vec<u8>) -> Option<Now> {
        let received = Instant::now();
        let answering = AssertUnwindSafe(|| self.pipeline.answer_now(packet, client, transport, received, out));
        catch_unwind(answering).inspect_err(|_| self.telemetry.fault()).ok()
    }

    fn record(&self, record: &QueryRecord) {
        self.telemetry.record(record);
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
