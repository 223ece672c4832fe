//! UDP workers: a thread and a socket each. What can be answered at once is answered in the same turn; only what must
//! be resolved crosses to the runtime.

use super::{
    Service,
    endpoint::{Endpoint, Peer},
};
use crate::{
    dns::Transport,
    query::{Now, Pending},
};
use std::{
    io,
    net::UdpSocket,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::runtime::Handle;

/// Octets of the largest datagram read. Queries are small; what is longer than this is cut and found malformed.
const PACKET_BYTES: usize = 4096;
/// How often an idle worker looks whether it is time to leave.
const WAKE_UP_EVERY: Duration = Duration::from_millis(200);

/// Starts a worker. Must be called within the runtime that resolves.
pub fn spawn(index: usize, socket: UdpSocket, service: Service) -> io::Result<JoinHandle<()>> {
    socket.set_read_timeout(Some(WAKE_UP_EVERY))?;
    let runtime = Handle::current();
    let endpoint = Arc::new(Endpoint::new(socket)?);
    thread::Builder::new().name(format!("udp-{index}")).spawn(move || work(&endpoint, &service, &runtime))
}

fn work(endpoint: &Arc<Endpoint>, service: &Service, runtime: &Handle) {
    let mut packet = vec![0u8; PACKET_BYTES];
    let mut response = Vec::with_capacity(PACKET_BYTES);
    while !service.is_over() {
        let (length, peer) = match endpoint.receive(&mut packet) {
            Ok(received) => received,
            // A time-out of ours, a signal, or an ICMP error about a response sent before: nothing is wrong.
            Err(_) => continue,
        };
        match service.answer_now(&packet[..length], peer.client.ip(), Transport::Udp, &mut response) {
            None => {}
            Some(Now::Silent) => service.telemetry.silent(Transport::Udp),
            Some(Now::Dropped(record)) => service.record(&record),
            Some(Now::Answered(record)) => {
                send(endpoint, &response, &peer, service);
                service.record(&record);
            }
            Some(Now::Later(pending)) => {
                runtime.spawn(answer_later(endpoint.clone(), *pending, peer, service.clone()));
            }
        }
    }
}

async fn answer_later(endpoint: Arc<Endpoint>, pending: Pending, peer: Peer, service: Service) {
    let mut response = Vec::with_capacity(1024);
    let record = service.pipeline.answer(pending, &mut response).await;
    if !record.dropped {
        send(&endpoint, &response, &peer, &service);
    }
    service.record(&record);
}

/// Sends; a response that the system refuses is lost, as the network may lose it, and counted.
fn send(endpoint: &Endpoint, response: &[u8], peer: &Peer, service: &Service) {
    if endpoint.send(response, peer).is_err() {
        service.telemetry.unsent();
    }
}
