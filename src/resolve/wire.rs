//! Sockets for hickory: connected, counted, confined to the address families that are switched on.

use crate::dns::Rcode;
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime, iocompat::AsyncIoTokioAsStd,
};
use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::{Instant, Sleep},
};

/// What went out to name servers and what came back, counted for metrics and for telling that nothing ever did.
#[derive(Default, Debug)]
pub struct UpstreamCounters {
    /// Questions over UDP and TCP connections, tried.
    pub asked: AtomicU64,
    /// Datagrams received and TCP connections made.
    pub answered: AtomicU64,
}

/// Where servers are really reached: for tests, which put a whole Internet on ephemeral ports of one machine. A server
/// that is not in the map can't be reached at all then, so that no test asks the real one.
pub type PortMap = HashMap<SocketAddr, SocketAddr>;

/// Opens sockets towards name servers.
#[derive(Clone, Default)]
pub struct Wire {
    inner: TokioRuntimeProvider,
    map: Option<Arc<PortMap>>,
    ipv4: bool,
    ipv6: bool,
    counters: Arc<UpstreamCounters>,
    patience: Duration,
}

impl Wire {
    pub fn new(ipv4: bool, ipv6: bool, map: Option<Arc<PortMap>>, counters: Arc<UpstreamCounters>) -> Self {
        Self { inner: TokioRuntimeProvider::new(), map, ipv4, ipv6, counters, patience: PATIENCE }
    }

    /// The same, for servers that all are asked at once, so that nobody else could be turned to meanwhile.
    pub fn patient(self) -> Self {
        Self { patience: PATIENCE_WITH_THE_LAST, ..self }
    }

    fn real(&self, server: SocketAddr) -> io::Result<SocketAddr> {
        let allowed = match server.ip() {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        };
        if !allowed {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this address family is switched off"));
        }
        match &self.map {
            None => Ok(server),
            Some(map) => map.get(&server).copied().ok_or_else(|| io::ErrorKind::NetworkUnreachable.into()),
        }
    }
}

/// How long one socket waits for its answer. hickory asks a server up to three times, a third of a second apart, each
/// time by a socket of its own, and would give it five seconds before it turns to the next; by then the client is gone.
/// The first socket's error ends all three.
const PATIENCE: Duration = Duration::from_millis(1200);
/// The same where nobody else is left to be asked: a forwarder that resolves by itself may take as long as that, above all
/// when its own cache is cold. Most stub resolvers wait for five seconds.
const PATIENCE_WITH_THE_LAST: Duration = Duration::from_millis(2400);

/// When a socket's error is first looked for; later looks follow at three times the distance each.
const ERROR_LOOK_FIRST: Duration = Duration::from_millis(3);

/// A UDP socket for one question to one server.
///
/// It is connected, although hickory would have it otherwise: then the kernel drops what comes from elsewhere, and a
/// closed port is an error at once instead of a time-out. hickory compares the source with the address it knows, so
/// that one is reported.
pub struct ConnectedUdp {
    socket: UdpSocket,
    known_as: SocketAddr,
    counters: Arc<UpstreamCounters>,
    /// Id of the question sent; there is one for each socket.
    question_id: AtomicU32,
    /// What is waited for besides the answer. Behind a lock only because hickory polls through a shared reference.
    waiting: Mutex<Waiting>,
}

/// Waits for the end of patience, and for an error of the socket's. An ICMP message that says a port is closed makes a
/// socket ready for nothing but the error, which tokio doesn't wake a reader for; so it is looked for, soon and then
/// ever less often.
struct Waiting {
    sleep: Pin<Box<Sleep>>,
    look_after: Duration,
    ends: Instant,
}

impl Waiting {
    fn begin(patience: Duration) -> Self {
        let now = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(now + ERROR_LOOK_FIRST));
        Self { sleep, look_after: ERROR_LOOK_FIRST, ends: now + patience }
    }

    fn poll(&mut self, cx: &mut Context<'_>, socket: &UdpSocket) -> Poll<io::Error> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            if let Ok(Some(error)) = socket.take_error() {
                return Poll::Ready(error);
            }
            let now = Instant::now();
            if now >= self.ends {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.look_after *= 3;
            self.sleep.as_mut().reset((now + self.look_after).min(self.ends));
        }
        Poll::Pending
    }
}

impl ConnectedUdp {
    /// An error in place of an answer that says the server can't or won't answer. hickory would take the first such
    /// answer for the zone's last word (RFC 2308 §7.1 and common sense say: ask the next server).
    fn refusal(&self, answer: &[u8]) -> Option<io::Error> {
        let id = u16::from_be_bytes(*answer.first_chunk::<2>()?);
        let is_ours = u32::from(id) == self.question_id.load(Relaxed);
        let rcode = Rcode(u16::from(answer.get(3)? & 0x0f));
        let is_refusal = matches!(rcode, Rcode::FORMERR | Rcode::SERVFAIL | Rcode::NOTIMP | Rcode::REFUSED);
        (is_ours && is_refusal).then(|| io::Error::other(format!("answered {rcode}")))
    }
}

impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut read = tokio::io::ReadBuf::new(buffer);
        match self.socket.poll_recv(cx, &mut read) {
            Poll::Ready(Ok(())) => {
                self.counters.answered.fetch_add(1, Relaxed);
                match self.refusal(read.filled()) {
                    Some(refusal) => Poll::Ready(Err(refusal)),
                    None => Poll::Ready(Ok((read.filled().len(), self.known_as))),
                }
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let mut waiting = self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                waiting.poll(cx, &self.socket).map(Err)
            }
        }
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buffer: &[u8], _target: SocketAddr) -> Poll<io::Result<usize>> {
        if let Some(id) = buffer.first_chunk::<2>() {
            self.question_id.store(u32::from(u16::from_be_bytes(*id)), Relaxed);
        }
        self.socket.poll_send(cx, buffer)
    }
}

impl RuntimeProvider for Wire {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.inner.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.counters.asked.fetch_add(1, Relaxed);
        let counters = self.counters.clone();
        let connecting = self.real(server).map(|real| self.inner.connect_tcp(real, local, timeout));
        Box::pin(async move {
            let stream = connecting?.await?;
            counters.answered.fetch_add(1, Relaxed);
            Ok(stream)
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<ConnectedUdp>>>> {
        // hickory opens a socket for each question, so this counts those that got no further, too.
        self.counters.asked.fetch_add(1, Relaxed);
        let (real, counters, patience) = (self.real(server), self.counters.clone(), self.patience);
        Box::pin(async move {
            let real = real?;
            let socket = UdpSocket::bind(local).await?;
            socket.connect(real).await?;
            let waiting = Mutex::new(Waiting::begin(patience));
            let question_id = AtomicU32::new(u32::MAX);
            Ok(ConnectedUdp { socket, known_as: server, counters, question_id, waiting })
        })
    }
}
