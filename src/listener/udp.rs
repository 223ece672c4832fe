//! UDP workers: a thread and a socket each. Packets that came in together are answered together. What can be answered at
//! once is answered in the same turn; only what must be resolved crosses to the runtime.

use super::{
    Service,
    endpoint::{BATCH, Batch, Endpoint, Outbox, Peer},
};
use crate::{
    cache::Front,
    dns::Transport,
    query::{Asked, FORESEEN_MAX, Now, Pending, QueryRecord},
};
use smallvec::SmallVec;
use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// Octets that a response's buffer has from the start: enough for what goes over UDP.
const RESPONSE_BYTES: usize = 1232;
/// How often an idle worker looks whether it is time to leave.
const WAKE_UP_EVERY: Duration = Duration::from_millis(200);

/// Batches answered when it is time to leave: more than a socket's buffer holds.
const LAST_BATCHES_MAX: usize = 4096;

/// Counts a worker's turns, of which an idle one has some every second: whoever sees it stand still knows that the worker
/// is stuck. It has a line of the processor's cache to itself.
#[derive(Default)]
#[repr(align(64))]
pub struct Beat(AtomicU64);

impl Beat {
    /// Turns so far.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts one. Only its worker does so.
    pub fn tick(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// Starts a worker, the first number of the second. `passed`: others have the socket too, and use it afterwards. Must be
/// called within the runtime that resolves.
pub fn spawn(
    (index, workers): (usize, usize),
    socket: UdpSocket,
    passed: bool,
    beat: Arc<Beat>,
    service: Service,
) -> io::Result<JoinHandle<()>> {
    socket.set_read_timeout(Some(WAKE_UP_EVERY))?;
    let runtime = Handle::current();
    let endpoint = Arc::new(Endpoint::new(socket)?);
    thread::Builder::new()
        .name(format!("udp-{index}"))
        .spawn(move || Worker::new(endpoint, workers, service, runtime).work(passed, &beat))
}

/// One thread's own things, used again for each batch.
struct Worker {
    endpoint: Arc<Endpoint>,
    service: Service,
    runtime: Handle,
    asked: Vec<Asked>,
    responses: Vec<Vec<u8>>,
    outbox: Outbox,
    front: Front,
}

impl Worker {
    fn new(endpoint: Arc<Endpoint>, workers: usize, service: Service, runtime: Handle) -> Self {
        let asked = (0..BATCH).map(|_| Asked::default()).collect();
        let responses = (0..BATCH).map(|_| Vec::with_capacity(RESPONSE_BYTES)).collect();
        let front = service.pipeline.front(workers);
        let outbox = endpoint.outbox();
        Self { endpoint, service, runtime, asked, responses, outbox, front }
    }

    fn work(mut self, passed: bool, beat: &Beat) {
        let mut batch = Batch::new();
        while !self.service.is_over() {
            beat.tick();
            // On failure: a time-out of ours, a signal, or an ICMP error about a response sent before. Nothing is wrong.
            if self.endpoint.receive(&mut batch).is_ok() {
                self.answer(&batch);
            }
        }
        // What comes from now on waits in the socket for whoever has it next.
        if passed {
            return;
        }
        // A new process may have the address too by now. What had come here is answered here, and no more comes.
        let _ = self.endpoint.leave();
        for _ in 0..LAST_BATCHES_MAX {
            match self.endpoint.receive(&mut batch) {
                Ok(()) => self.answer(&batch),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // About a response sent before.
                Err(_) => {}
            }
        }
    }

    /// Answers packets that came in together.
    fn answer(&mut self, batch: &Batch) {
        let Self { endpoint, service, runtime, asked, responses, outbox, front } = self;
        let received = Instant::now();
        // Not collected: what is that large would be moved.
        let mut packets: SmallVec<[(&[u8], &Peer); BATCH]> = SmallVec::new();
        packets.extend(batch.packets());
        let ends = |peer: &Peer| (peer.client.ip(), endpoint.asked_at(peer));
        match &service.proxies {
            None => {
                for (asked, (packet, peer)) in asked.iter_mut().zip(&packets) {
                    service.read(asked, packet, ends(peer), Transport::Udp, received);
                }
            }
            Some(proxies) => {
                let mut places = asked.iter_mut();
                packets.retain(|(packet, peer)| match proxies.packet(packet, ends(peer)) {
                    Ok((ends, from)) => {
                        *packet = &packet[from..];
                        let read = |asked| service.read(asked, packet, ends, Transport::Udp, received);
                        places.next().map(read).is_some()
                    }
                    Err(why) => {
                        proxies.refuse(why, peer.client.ip(), &service.telemetry);
                        false
                    }
                });
            }
        }
        let asked = &mut asked[..packets.len()];
        let Some(turn) = service.turn() else { return };
        let mut told: SmallVec<[QueryRecord<'_>; BATCH]> = SmallVec::new();
        let mut told_of: SmallVec<[(&[u8], &[u8]); BATCH]> = SmallVec::new();
        let mut ready: SmallVec<[(&[u8], &Peer); BATCH]> = SmallVec::new();
        let packets = packets.chunks(FORESEEN_MAX);
        let responses = responses.chunks_mut(FORESEEN_MAX);
        for ((asked, packets), responses) in asked.chunks_mut(FORESEEN_MAX).zip(packets).zip(responses) {
            service.foresee(&turn, asked, Some(front));
            for ((asked, (packet, peer)), response) in asked.iter().zip(packets).zip(responses) {
                told.push(service.pipeline.record(asked));
                let Some(record) = told.last_mut() else { break };
                match service.answer_now(&turn, asked, packet, Some(front), record, response) {
                    Some(Now::Answered) => {
                        ready.push((response, peer));
                        told_of.push((packet, response));
                        continue;
                    }
                    Some(Now::Dropped) => {
                        told_of.push((packet, &[]));
                        continue;
                    }
                    Some(Now::Later(pending)) => {
                        let query = service.telemetry.wants_packets().then(|| (*packet).into());
                        runtime.spawn(answer_later(endpoint.clone(), pending, query, **peer, service.clone()));
                    }
                    Some(Now::Silent) => service.telemetry.silent(Transport::Udp),
                    // A fault, which is counted.
                    None => {}
                }
                // Told of later, or not at all.
                told.pop();
            }
        }
        for _ in 0..endpoint.send_all(&ready, outbox) {
            service.telemetry.unsent();
        }
        let latency = received.elapsed();
        let mut recorder = service.telemetry.recorder();
        for (record, packets) in told.iter_mut().zip(&told_of) {
            record.latency = latency;
            recorder.record(record, Some(*packets));
        }
    }
}

/// `query`: the packet, if somebody wants to keep it.
async fn answer_later(
    endpoint: Arc<Endpoint>,
    pending: Box<Pending>,
    query: Option<Box<[u8]>>,
    peer: Peer,
    service: Service,
) {
    let mut response = Vec::with_capacity(RESPONSE_BYTES);
    let mut record = service.pipeline.answer(&pending, &mut response).await;
    // A response that the system refuses is lost, as the network may lose it, and counted.
    if !record.dropped && endpoint.send(&response, &peer).is_err() {
        service.telemetry.unsent();
    }
    service.record(&mut record, Instant::now(), query.as_deref().map(|query| (query, response.as_slice())));
}
