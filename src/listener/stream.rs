//! DNS over TCP (RFC 7766): many queries on a connection, answered as they become ready, everything bounded.

use super::{
    Service,
    connections::Connections,
    ending::{Incoming, READ_BYTES, Signs, end, hand_over, linger, time_to_end},
    leaving::LastOnes,
    line::{Handed, UNREAD_BYTES_MAX},
    outlet::{Delayed, Outlet, Place, outlet, write},
    places::{MakesWay, Slot},
    proxied::Ends,
};
use crate::{
    dns::Transport,
    query::{Asked, Now, Pending},
};
use std::{
    io::{self, Cursor},
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// How long a proxy may take to say so.
const HEADER_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may stand idle between queries (RFC 7766 §6.2.3 asks for a few seconds).
const IDLE: Duration = Duration::from_secs(10);
/// How long a query may take to arrive once its first octet has: a dribble ends here.
const QUERY_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection usually may live in all, busy or not.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long a connection may live on in all once its time is over: for its last queries, their answers and its end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Octets of the longest query read. A legitimate one has a few hundred; the connection ends at a longer one.
const QUERY_BYTES_MAX: usize = 4096;
/// Octets of a query's length, which stands before it (RFC 1035 §4.2.2).
const LENGTH_BYTES: usize = 2;
// All that may be read of a connection and not answered goes along with it.
const _: () = assert!(LENGTH_BYTES + QUERY_BYTES_MAX + READ_BYTES <= UNREAD_BYTES_MAX);

impl Connections {
    /// Goes on with a connection of another process's. One for which there is no place ends in order: that is false.
    pub fn take_over(&self, stream: std::net::TcpStream, handed: Handed) -> bool {
        let Ok(stream) = TcpStream::from_std(stream) else { return false };
        let left = handed.left.min(self.service.lifetime);
        let begun = self.begin(stream, Handed { left, ..handed });
        begun.map_err(|stream| tokio::spawn(end(stream))).is_ok()
    }

    /// Begins to serve a connection, or gives it back if there is no place for it.
    fn begin(&self, stream: TcpStream, handed: Handed) -> Result<(), TcpStream> {
        let client = handed.ends.0.to_canonical();
        let is_proxy = self.service.proxies.as_ref().is_some_and(|proxies| proxies.has(client));
        // A connection of a proxy's counts for whom it asks for, once it has said so.
        let place = match is_proxy && !handed.is_told {
            true => self.places.take_unnamed(),
            false => self.places.take(client).map(|slot| (slot, None)),
        };
        match place {
            Some(place) => {
                tokio::spawn(connection(stream, handed, self.clone(), place));
                Ok(())
            }
            None => {
                self.service.telemetry.connection_refused();
                Err(stream)
            }
        }
    }
}

/// Accepts connections until told to stop. `passed`: others have the socket too, and use it afterwards.
pub async fn serve(listener: TcpListener, passed: bool, connections: Connections) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.leave() => break,
        };
        accept(accepted, &connections).await;
    }
    let last_ones = LastOnes::of(listener, passed);
    while let Some(accepted) = last_ones.next().await {
        accept(accepted, &connections).await;
    }
    drop(last_ones);
    connections.end().await;
}

async fn accept(accepted: io::Result<(TcpStream, SocketAddr)>, connections: &Connections) {
    match accepted {
        Ok((stream, client)) => {
            let own = stream.local_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |own| own.ip());
            let ends = (client.ip().to_canonical(), own);
            let left = connections.service.lifetime;
            let begun = connections.begin(stream, Handed { ends, is_told: false, left, unread: Vec::new() });
            // Closed at once, without a word.
            drop(begun);
        }
        Err(error) => {
            // Out of descriptors, most likely: the connections that are open will end.
            tracing::warn!(%error, "could not accept a TCP connection");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn connection(
    stream: TcpStream,
    handed: Handed,
    connections: Connections,
    (mut slot, makes_way): (Slot, Option<MakesWay>),
) {
    // Responses are written whole; waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let Handed { ends, is_told, left, unread } = handed;
    let over = Instant::now() + left;
    let (reading, writing) = stream.into_split();
    let mut reading = BufReader::with_capacity(READ_BYTES, Cursor::new(unread).chain(reading));
    let (outlet, ready) = outlet(connections.overdue.clone());
    let (watched, signs, mut begun) = (outlet.clone(), Signs::default(), Vec::new());
    let service = &connections.service;
    let life = async {
        let asking = async {
            let watched = watched;
            tokio::select! {
                stands = async {
                    let whom = match is_told {
                        true => Whom::Is(ends),
                        false => whom_for(&mut reading, ends, service, &mut slot, makes_way, &signs).await,
                    };
                    match whom {
                        Whom::Is(ends) => {
                            let stops = read(&mut reading, &mut begun, ends, service, outlet, &signs).await;
                            stops.then_some((ends, true))
                        }
                        Whom::Untold => Some((ends, false)),
                        Whom::Nobody => None,
                    }
                } => stands,
                () = time_to_end(&connections, over, &watched, &signs) => None,
            }
        };
        let (stands, written) = tokio::join!(asking, write(writing, ready));
        match (stands, written) {
            (Some(stands), Some(writing)) => hand_over(reading, writing, begun, stands, over, &connections).await,
            (None, Some(mut writing)) => {
                let _ = writing.shutdown().await;
                linger(&mut reading).await;
            }
            (_, None) => linger(&mut reading).await,
        }
    };
    let _ = timeout(left + END_WITHIN, life).await;
}

/// Whom a connection is for.
enum Whom {
    Is(Ends),
    /// Nothing has come, and reading is to stop.
    Untold,
    /// Nobody who may have one more.
    Nobody,
}

/// Whom a connection is for, if they may have one more. A proxy says so at its beginning.
async fn whom_for(
    stream: &mut Incoming,
    ends: Ends,
    service: &Service,
    slot: &mut Slot,
    makes_way: Option<MakesWay>,
    signs: &Signs,
) -> Whom {
    let Some(proxies) = &service.proxies else { return Whom::Is(ends) };
    let within = if makes_way.is_some() { HEADER_WITHIN } else { IDLE };
    let telling = async {
        tokio::select! {
            biased;
            _ = stream.fill_buf() => {}
            () = signs.stopped() => return None,
        }
        // What has begun is read to its end.
        Some(proxies.connection(stream, ends).await)
    };
    let told = tokio::select! {
        told = timeout(within, telling) => told,
        () = async {
            match makes_way {
                Some(makes_way) => drop(makes_way.await),
                None => std::future::pending().await,
            }
        } => {
            service.telemetry.connection_refused();
            return Whom::Nobody;
        }
    };
    match told {
        Ok(None) => Whom::Untold,
        Ok(Some(Ok(Some(told)))) if slot.count_for(told.0.to_canonical()) => Whom::Is(told),
        Ok(Some(Ok(Some(_)))) => {
            service.telemetry.connection_refused();
            Whom::Nobody
        }
        Ok(Some(Err(why))) => {
            proxies.refuse(why, ends.0, &service.telemetry);
            Whom::Nobody
        }
        Ok(Some(Ok(None))) | Err(_) => Whom::Nobody,
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

/// Reads queries and has them answered; ends when the client does, or breaks a bound, or when it is told to stop, which is
/// true. `begun`: octets of a query that isn't whole. `ends`: the client's address, and that of this machine.
async fn read(
    stream: &mut Incoming,
    begun: &mut Vec<u8>,
    ends: Ends,
    service: &Service,
    outlet: Outlet,
    signs: &Signs,
) -> bool {
    let mut asked = Asked::default();
    // Who never pauses never waits, and so hears of it nowhere else.
    while !signs.stops() {
        // A place for the response first: a client that doesn't read its answers can't ask more.
        let coming = async {
            let place = timeout(IDLE, outlet.place()).await.ok()??;
            query(stream, begun, signs).await.ok()?;
            Some(place)
        };
        let place = tokio::select! {
            biased;
            place = coming => place,
            () = signs.stopped() => return true,
        };
        let Some(place) = place else { return false };
        let after = answer(&begun[LENGTH_BYTES..], &mut asked, ends, service, &outlet, place);
        begun.clear();
        match after {
            After::Read => {}
            After::Wait(delayed) => {
                if timeout(IDLE, outlet.send_delayed(delayed)).await.is_err() {
                    return false;
                }
            }
            After::Look(pending, query, place) => {
                let Ok(Some(looking)) = timeout(IDLE, outlet.look()).await else {
                    return false;
                };
                let (service, outlet) = (service.clone(), outlet.clone());
                tokio::spawn(async move {
                    answer_later(pending, query, service, outlet, place).await;
                    drop(looking);
                });
            }
            After::End => return false,
        }
    }
    true
}

/// Waits until a query is whole, its length before it. Nothing of it is lost to whoever stops waiting: it is in `begun`.
async fn query(stream: &mut (impl AsyncBufRead + Unpin), begun: &mut Vec<u8>, signs: &Signs) -> io::Result<()> {
    if begun.is_empty() {
        timeout(IDLE, stream.fill_buf()).await??;
    }
    signs.steps.fetch_add(1, Relaxed);
    let gathering = async {
        loop {
            let missing = missing(begun)?;
            if missing == 0 {
                return Ok::<(), io::Error>(());
            }
            let octets = stream.fill_buf().await?;
            if octets.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = missing.min(octets.len());
            begun.extend_from_slice(&octets[..count]);
            stream.consume(count);
        }
    };
    timeout(QUERY_WITHIN, gathering).await??;
    signs.steps.fetch_add(1, Relaxed);
    Ok(())
}

/// Octets that are missing of a query, as far as it is known; 0: it is whole.
fn missing(begun: &[u8]) -> io::Result<usize> {
    let Some((length, rest)) = begun.split_first_chunk() else { return Ok(LENGTH_BYTES - begun.len()) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > QUERY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(length.saturating_sub(rest.len()))
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
