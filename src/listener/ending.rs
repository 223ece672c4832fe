//! How a TCP connection ends: when it is time to, in order, or as another process's.

use super::{
    connections::{Connections, LEAVING},
    line::Handed,
    outlet::Outlet,
    proxied::Ends,
};
use std::{
    io::Cursor,
    os::fd::AsFd,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader, Chain},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    time::{sleep, timeout},
};

/// How long, when it is time to leave, nothing must come on a connection for it to end.
const LAST_QUERIES_WITHIN: Duration = Duration::from_millis(100);
/// How long, then, queries are read from connections on which they never cease to come, or which another process takes over,
/// for as long as something is looked for. What is read last may take as long as any answer, and all of it must be over when
/// the process ends.
const LAST_QUERIES_BUSY: Duration = Duration::from_secs(1);
/// How long a client may take to read what keeps a connection from being handed over: the response that there is no room
/// for, as it has so many unread.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to end a connection that has ended here, while it goes on sending.
const LINGER_WITHIN: Duration = Duration::from_millis(500);
/// How long another process may take to take a connection over.
const HAND_OVER_WITHIN: Duration = Duration::from_millis(500);
/// Octets that are read by one call: some ten queries.
pub const READ_BYTES: usize = 1024;

/// What comes on a connection: what came to the process before, then what comes here.
pub type Incoming = BufReader<Chain<Cursor<Vec<u8>>, OwnedReadHalf>>;

/// A connection whose queries so far are answered, whom it is for, and whether that is told.
pub type Stands = (Ends, bool);

/// What whoever reads from a connection, and whoever says when it ends, tell each other.
#[derive(Default)]
pub struct Signs {
    /// Counts the beginnings and the ends of queries that are read: odd in the midst of one.
    pub steps: AtomicU64,
    /// Reading is to stop where nothing is lost.
    stops: AtomicBool,
    stop: Notify,
}

impl Signs {
    /// Whether reading is to stop.
    pub fn stops(&self) -> bool {
        self.stops.load(Relaxed)
    }

    fn stop(&self) {
        self.stops.store(true, Relaxed);
        self.stop.notify_one();
    }

    /// Waits until it is told to.
    pub async fn stopped(&self) {
        if !self.stops() {
            self.stop.notified().await;
        }
    }
}

/// Waits until a connection should end: it is time to leave, or its own time is over, and its client pauses. Whoever never
/// does is read from for a while, for all that is on its way when the connection ends must be sent again (RFC 7766 §6.2.4).
/// Where another process takes it over no pause is needed: reading is told to stop, and this lasts while it still doesn't.
pub async fn time_to_end(connections: &Connections, over: Instant, outlet: &Outlet, signs: &Signs) {
    let _ = timeout(over.saturating_duration_since(Instant::now()), connections.leave()).await;
    if connections.service.is_over() && connections.heir().await.is_some() {
        let until = Instant::now() + LAST_QUERIES_BUSY;
        // What is asked meanwhile needn't wait for what is looked for.
        while outlet.is_looking() && Instant::now() < until {
            sleep(LEAVING).await;
        }
        signs.stop();
        // A client that doesn't read its answers, or slowly.
        return sleep(READ_WITHIN).await;
    }
    let until = Instant::now() + LAST_QUERIES_BUSY;
    let mut pauses = false;
    while !pauses && Instant::now() < until {
        let before = signs.steps.load(Relaxed);
        // Who connected just before has not asked yet, and gets as long for it.
        sleep(LAST_QUERIES_WITHIN).await;
        pauses = signs.steps.load(Relaxed) == before && before.is_multiple_of(2) && outlet.is_idle();
    }
}

/// Hands a connection over, with all that came and isn't answered. It ends here if nobody takes it.
pub async fn hand_over(
    reading: Incoming,
    writing: OwnedWriteHalf,
    begun: Vec<u8>,
    (ends, is_told): Stands,
    over: Instant,
    connections: &Connections,
) {
    let read = reading.buffer().to_vec();
    let (before, reading) = reading.into_inner().into_inner();
    let rest = before.get_ref().get(before.position() as usize..).unwrap_or_default();
    let unread = [&begun[..], &read, rest].concat();
    let Ok(stream) = reading.reunite(writing) else { return };
    let left = over.saturating_duration_since(Instant::now());
    let handed = Handed { ends, is_told, left, unread };
    let handing = async { connections.heir().await?.hand_over(stream.as_fd(), &handed).await.ok() };
    if !timeout(HAND_OVER_WITHIN, handing).await.is_ok_and(|done| done.is_some()) {
        end(stream).await;
    }
}

/// Ends a connection in order.
pub async fn end(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    linger(&mut BufReader::with_capacity(READ_BYTES, stream)).await;
}

/// Reads past what the client still sends, until it ends the connection too, or pauses: to close a socket in which
/// something is unread takes away what was written last, if the client hasn't it yet (RFC 1122 §4.2.2.13).
pub async fn linger(stream: &mut (impl AsyncBufRead + Unpin)) {
    let until = Instant::now() + LINGER_WITHIN;
    while Instant::now() < until
        && let Ok(Ok(octets)) = timeout(LAST_QUERIES_WITHIN, stream.fill_buf()).await
        && !octets.is_empty()
    {
        let count = octets.len();
        stream.consume(count);
    }
}
