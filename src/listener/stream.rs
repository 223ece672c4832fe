//! DNS over TCP (RFC 7766): many queries on a connection, answered as they become ready, everything bounded.

use super::{
    Service,
    outlet::{Delayed, Outlet, Overdue, Place, outlet, write},
    places::{MakesWay, Places, Slot},
    proxied::Ends,
};
use crate::{
    dns::Transport,
    query::{Asked, Now, Pending},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    time::timeout,
};

/// How long a proxy may take to say so.
const HEADER_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may stand idle between queries (RFC 7766 §6.2.3 asks for a few seconds).
const IDLE: Duration = Duration::from_secs(10);
/// How long a query may take to arrive once its first octet has: a dribble ends here.
const QUERY_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection usually may live in all, busy or not.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long, when it is time to leave, connections are still accepted, and nothing must come on one for it to end.
const LAST_QUERIES_WITHIN: Duration = Duration::from_millis(100);
/// How long, then, queries are read from connections on which they never cease to come. What is read last may take as long
/// as any answer, and all of it must be over when the process ends.
const LAST_QUERIES_BUSY: Duration = Duration::from_secs(1);
/// How long a client may take to end a connection that has ended here, while it goes on sending.
const LINGER_WITHIN: Duration = Duration::from_millis(500);
/// How long a connection may live on in all once its time is over: for its last queries, their answers and its end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long nobody connects before it is taken that nobody will.
const LEAVING: Duration = Duration::from_millis(10);
/// Octets of the longest query read. A legitimate one has a few hundred; the connection ends at a longer one.
const QUERY_BYTES_MAX: usize = 4096;
/// Octets that are read by one call: some ten queries.
const READ_BYTES: usize = 1024;

/// What the connections of all listeners share: how many there are, and the room for what their clients don't read.
#[derive(Clone, Default)]
pub struct Connections {
    places: Places,
    overdue: Overdue,
}

/// Accepts connections until told to stop. `passed`: others have the socket too, and use it afterwards.
pub async fn serve(listener: TcpListener, passed: bool, connections: Connections, service: Service) {
    let mut stopping = service.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|&stopping| stopping) => break,
        };
        accept(accepted, &connections, &service).await;
    }
    // What had come is served yet; then the address is left to whoever takes it over.
    if !passed {
        take_no_more(&listener);
    }
    let until = Instant::now() + LAST_QUERIES_WITHIN;
    while Instant::now() < until
        && let Ok(accepted) = timeout(LEAVING, listener.accept()).await
    {
        accept(accepted, &connections, &service).await;
    }
    drop(listener);
    while !connections.places.is_empty() {
        tokio::time::sleep(LEAVING).await;
    }
}

/// Has the kernel drop packets that ask for a new connection, where it can, while handshakes that have begun go on. To
/// close a socket ends all that wait to be accepted, and where clients come one after the other some always do. Whoever
/// was dropped asks again after a second, and is then with the one who took over.
fn take_no_more(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        use nix::libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET};
        /// Where the flags stand in a TCP header, and two of them (RFC 9293 §3.1).
        const FLAGS_OFFSET: u32 = 13;
        const SYN: u32 = 0x02;
        const ACK: u32 = 0x10;
        let act = |code: u32, value| socket2::SockFilter::new(code as u16, 0, 0, value);
        let filter = [
            act(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
            act(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
            // Such a packet goes on to the next line, all others to the one after it.
            socket2::SockFilter::new((BPF_JMP | BPF_JEQ | BPF_K) as u16, 0, 1, SYN),
            act(BPF_RET | BPF_K, 0),
            act(BPF_RET | BPF_K, u32::MAX),
        ];
        if let Err(error) = socket2::SockRef::from(listener).attach_filter(&filter) {
            tracing::debug!(%error, "connections that come while this process leaves may be lost");
        }
    }
}

async fn accept(accepted: std::io::Result<(TcpStream, SocketAddr)>, connections: &Connections, service: &Service) {
    match accepted {
        Ok((stream, client)) => {
            let client = client.ip().to_canonical();
            // A connection of a proxy's counts for whom it asks for, once it has said so.
            let is_proxy = service.proxies.as_ref().is_some_and(|proxies| proxies.has(client));
            let place = match is_proxy {
                true => connections.places.take_unnamed(),
                false => connections.places.take(client).map(|slot| (slot, None)),
            };
            match place {
                Some(place) => {
                    tokio::spawn(connection(stream, client, connections.overdue.clone(), service.clone(), place));
                }
                None => service.telemetry.connection_refused(),
            }
        }
        Err(error) => {
            // Out of descriptors, most likely: the connections that are open will end.
            tracing::warn!(%error, "could not accept a TCP connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn connection(
    stream: TcpStream,
    client: IpAddr,
    overdue: Overdue,
    service: Service,
    (mut slot, makes_way): (Slot, Option<MakesWay>),
) {
    // Responses are written whole; waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let ends = (client, stream.local_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |own| own.ip()));
    let (reading, writing) = stream.into_split();
    let mut reading = BufReader::with_capacity(READ_BYTES, reading);
    let (outlet, ready) = outlet(overdue);
    let (watched, steps) = (outlet.clone(), Steps::default());
    let life = async {
        let asking = async {
            let watched = watched;
            tokio::select! {
                () = async {
                    if let Some(ends) = whom_for(&mut reading, ends, &service, &mut slot, makes_way).await {
                        read(&mut reading, ends, &service, outlet, &steps).await;
                    }
                } => {}
                () = time_to_end(&service, &watched, &steps) => {}
            }
        };
        tokio::join!(asking, write(writing, ready));
        linger(&mut reading).await;
    };
    let _ = timeout(service.lifetime + END_WITHIN, life).await;
}

/// Counts the beginnings and the ends of queries that are read: odd in the midst of one.
#[derive(Default)]
struct Steps(AtomicU64);

/// Waits until a connection should end: it is time to leave, or its own time is over, and its client pauses. Whoever never
/// does is read from for a while, for all that is on its way when the connection ends must be sent again (RFC 7766 §6.2.4).
async fn time_to_end(service: &Service, outlet: &Outlet, Steps(steps): &Steps) {
    let mut stopping = service.stopping.clone();
    // Time is over without a sign as well, and if nobody is left to give one.
    let _ = timeout(service.lifetime, stopping.wait_for(|&stopping| stopping)).await;
    let until = Instant::now() + LAST_QUERIES_BUSY;
    let mut pauses = false;
    while !pauses && Instant::now() < until {
        let before = steps.load(Relaxed);
        // Who connected just before has not asked yet, and gets as long for it.
        tokio::time::sleep(LAST_QUERIES_WITHIN).await;
        pauses = steps.load(Relaxed) == before && before.is_multiple_of(2) && outlet.is_idle();
    }
}

/// Reads past what the client still sends, until it ends the connection too, or pauses: to close a socket in which
/// something is unread takes away what was written last, if the client hasn't it yet (RFC 1122 §4.2.2.13).
async fn linger(stream: &mut BufReader<OwnedReadHalf>) {
    let until = Instant::now() + LINGER_WITHIN;
    while Instant::now() < until
        && let Ok(Ok(octets)) = timeout(LAST_QUERIES_WITHIN, stream.fill_buf()).await
        && !octets.is_empty()
    {
        let count = octets.len();
        stream.consume(count);
    }
}

/// Whom a connection is for, if they may have one more. A proxy says so at its beginning.
async fn whom_for(
    stream: &mut BufReader<OwnedReadHalf>,
    ends: Ends,
    service: &Service,
    slot: &mut Slot,
    makes_way: Option<MakesWay>,
) -> Option<Ends> {
    let Some(proxies) = &service.proxies else { return Some(ends) };
    let within = if makes_way.is_some() { HEADER_WITHIN } else { IDLE };
    let told = tokio::select! {
        told = timeout(within, proxies.connection(stream, ends)) => told.ok()?,
        () = async {
            match makes_way {
                Some(makes_way) => drop(makes_way.await),
                None => std::future::pending().await,
            }
        } => {
            service.telemetry.connection_refused();
            return None;
        }
    };
    match told {
        Ok(told) => {
            let has_room = slot.count_for(told?.0.to_canonical());
            if !has_room {
                service.telemetry.connection_refused();
            }
            told.filter(|_| has_room)
        }
        Err(why) => {
            proxies.refuse(why, ends.0, &service.telemetry);
            None
        }
    }
}

/// What becomes of a connection after a query.
enum After {
    Read,
    /// Its response waits until the client has read others.
    Wait(Delayed),
    /// Its response must be looked for, as one of the few for which that is done at once. With the packet, if somebody
    /// wants to keep it.
    Look(Box<Pending>, Option<Vec<u8>>, Place),
    End,
}

/// Reads queries and has them answered; ends when the client does, or breaks a bound. `ends`: the client's address, and
/// that of this machine.
async fn read(
    stream: &mut BufReader<OwnedReadHalf>,
    ends: Ends,
    service: &Service,
    outlet: Outlet,
    Steps(steps): &Steps,
) {
    let (mut packet, mut asked) = (Vec::new(), Asked::default());
    loop {
        // A place for the response first: a client that doesn't read its answers can't ask more.
        let Ok(Some(place)) = timeout(IDLE, outlet.place()).await else {
            return;
        };
        let mut length = [0u8; 2];
        let Ok(Ok(_)) = timeout(IDLE, stream.read_exact(&mut length[..1])).await else {
            return;
        };
        steps.fetch_add(1, Relaxed);
        let query = async {
            stream.read_exact(&mut length[1..]).await?;
            let length = usize::from(u16::from_be_bytes(length));
            if length > QUERY_BYTES_MAX {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            packet.resize(length, 0);
            stream.read_exact(&mut packet).await
        };
        let Ok(Ok(_)) = timeout(QUERY_WITHIN, query).await else {
            return;
        };
        steps.fetch_add(1, Relaxed);
        match answer(&packet, &mut asked, ends, service, &outlet, place) {
            After::Read => {}
            After::Wait(delayed) => {
                if timeout(IDLE, outlet.send_delayed(delayed)).await.is_err() {
                    return;
                }
            }
            After::Look(pending, query, place) => {
                let Ok(Some(looking)) = timeout(IDLE, outlet.look()).await else {
                    return;
                };
                let (service, outlet) = (service.clone(), outlet.clone());
                tokio::spawn(async move {
                    answer_later(pending, query, service, outlet, place).await;
                    drop(looking);
                });
            }
            After::End => return,
        }
    }
}

/// Answers a query, or leaves it to the slow half.
fn answer(packet: &[u8], asked: &mut Asked, ends: Ends, service: &Service, outlet: &Outlet, place: Place) -> After {
    let wants_packets = service.telemetry.wants_packets();
    let mut response = Vec::new();
    let received = Instant::now();
    service.read(asked, packet, ends, Transport::Tcp, received);
    // Whatever is looked for, what comes behind it doesn't wait: the newest that would be looked for too is refused.
    asked.at_once(outlet.is_full());
    let Some(turn) = service.turn() else { return After::End };
    service.foresee(&turn, std::slice::from_mut(asked), None);
    let mut record = service.pipeline.record(asked);
    match service.answer_now(&turn, asked, packet, None, &mut record, &mut response) {
        None => return After::End,
        // Nothing that speaks DNS sends such a thing over TCP; there is no use in reading on.
        Some(Now::Silent) => {
            service.telemetry.silent(Transport::Tcp);
            return After::End;
        }
        Some(Now::Dropped) => service.record(&mut record, Instant::now(), Some((packet, &[]))),
        Some(Now::Answered) => {
            let kept = wants_packets.then(|| response.clone());
            let sent = outlet.send(place, response);
            service.record(&mut record, Instant::now(), kept.as_deref().map(|response| (packet, response)));
            if let Err(delayed) = sent {
                return After::Wait(delayed);
            }
        }
        Some(Now::Later(pending)) => {
            let query = wants_packets.then(|| packet.to_vec());
            return After::Look(pending, query, place);
        }
    }
    After::Read
}

/// `query`: the packet, if somebody wants to keep it.
async fn answer_later(pending: Box<Pending>, query: Option<Vec<u8>>, service: Service, outlet: Outlet, place: Place) {
    let mut response = Vec::new();
    let mut record = service.pipeline.answer(&pending, &mut response).await;
    let kept = query.as_ref().map(|_| response.clone());
    let sent = if record.dropped { Ok(()) } else { outlet.send(place, response) };
    service.record(&mut record, Instant::now(), query.as_deref().zip(kept.as_deref()));
    if let Err(delayed) = sent {
        // What others wait for isn't held for a client that doesn't read.
        drop(record);
        drop(pending);
        if !outlet.send_overdue(delayed).await {
            service.telemetry.unsent();
        }
    }
}
