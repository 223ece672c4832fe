//! Connections of the HTTP side: bound, accepted, within bounds, and ended when it is time.

mod places;

pub use places::Place;

use super::{
    guard::{CONNECTION_WITHIN, HEAD_BYTES_MAX, SEND_WITHIN},
    tls::Tls,
};
use arc_swap::ArcSwapOption;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use places::Places;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;
/// How often it is looked, while this server leaves, whether another has taken the address over.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long to wait where accepting fails: there are no file descriptors left, which passes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The kind of record that a connection of TLS begins with (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// What is answered without TLS where there has to be TLS.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n\
    Connection: close\r\n\r\nThis is an HTTPS port: ask it by https://.\n";

/// Who asks: the other end of the connection, or whom a trusted proxy there asks for.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Tells whether an address is that of a trusted proxy; which they are may change.
pub type IsProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The address of this machine that was connected to.
#[derive(Clone, Copy)]
pub struct Reached(pub IpAddr);

/// Whether something on this connection takes its time, and is bounded by itself.
#[derive(Clone, Default)]
pub struct Lasting(Arc<AtomicUsize>);

/// Something that takes its time.
pub struct Held(Lasting);

impl Lasting {
    /// Keeps the connection until this is dropped.
    pub fn hold(self) -> Held {
        self.0.fetch_add(1, Relaxed);
        Held(self)
    }

    fn is_held(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// Binds an address so that a new process can take it over; unless `shared`, nobody may have it yet.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let bind = |address: SocketAddr, shared| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(shared)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let address = if shared { address } else { bind(address, false)?.local_addr()? };
    bind(address, true)
}

/// Takes a socket that listens already.
pub fn adopt(passed: std::net::TcpListener) -> io::Result<TcpListener> {
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

/// How it ends.
#[derive(Clone)]
pub struct Leaving {
    /// It is time to leave: from then on only those are answered who ask whether this server is there.
    pub stopping: watch::Receiver<bool>,
    /// What came over DNS is answered: nobody is, any more.
    pub gone: watch::Receiver<bool>,
    /// Whether another process listens at this address too, for whom whoever comes now is.
    pub is_shared: Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>,
}

/// Accepts connections until told to stop, and then, unless somebody else does, for as long as there is something to
/// answer over DNS.
/// `tls`: what connections are answered with from now on; nothing: plain HTTP. `is_proxy`: whether others come through an
/// address. `passed`: others have the socket too, and use it afterwards.
pub async fn accept(
    listener: TcpListener,
    app: Router,
    tls: Arc<ArcSwapOption<Tls>>,
    is_proxy: IsProxy,
    passed: bool,
    leaving: Leaving,
) {
    let reception = Reception { places: Places::default(), app, tls, is_proxy };
    let Leaving { mut stopping, mut gone, is_shared } = leaving;
    let until = stopping.clone();
    tokio::select! {
        // First: whoever comes now would be hung up on.
        biased;
        _ = stopping.wait_for(|&stopping| stopping) => {}
        () = async { loop { reception.next(&listener, true, &until).await } } => {}
    }
    let address = listener.local_addr().ok();
    let is_left = move || passed || address.is_some_and(|address| is_shared(address));
    let until = gone.clone();
    // Each is looked for before it is taken: whoever has taken over has none to lose to who leaves.
    while !tokio::task::spawn_blocking(is_left.clone()).await.unwrap_or(true) {
        tokio::select! {
            () = reception.next(&listener, false, &until) => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = gone.wait_for(|&gone| gone) => return,
        }
    }
}

/// Who comes, and what they are given.
struct Reception {
    places: Places,
    app: Router,
    tls: Arc<ArcSwapOption<Tls>>,
    is_proxy: IsProxy,
}

impl Reception {
    /// Takes the next connection, and has it answered. `keeps`: whether it may ask more than once.
    async fn next(&self, listener: &TcpListener, keeps: bool, until: &watch::Receiver<bool>) {
        self.places.wait().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let peer = peer.ip().to_canonical();
                let Some(place) = self.places.take(peer, peer.is_loopback() || (self.is_proxy)(peer)) else {
                    tracing::debug!(%peer, "too many connections from one address");
                    return;
                };
                let lasting = Lasting::default();
                let own = stream.local_addr().map_or(peer, |own| own.ip());
                let app = self.app.clone().layer(Extension(Peer(peer))).layer(Extension(Reached(own.to_canonical())));
                let app = app.layer(Extension(lasting.clone())).layer(Extension(place.clone()));
                let until = until.clone();
                let acceptor = self.tls.load().as_ref().map(|tls| tls.acceptor());
                tokio::spawn(async move {
                    match acceptor {
                        None => converse(stream, app, lasting, keeps, until).await,
                        Some(acceptor) => match timeout(SEND_WITHIN, shake_hands(stream, acceptor)).await {
                            Ok(Ok(stream)) => converse(stream, app, lasting, keeps, until).await,
                            Ok(Err(error)) => tracing::debug!(%error, "a connection without TLS"),
                            Err(_) => {}
                        },
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

/// Begins TLS. Who speaks plain HTTP is told so.
async fn shake_hands(mut stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    // No other record begins a connection of TLS; nor does its octet begin a method of HTTP.
    if stream.peek(&mut first).await? == 0 || first[0] == HANDSHAKE {
        return acceptor.accept(stream).await;
    }
    // What is left unread would have the system take the answer back.
    let _ = stream.read(&mut vec![0; HEAD_BYTES_MAX]).await?;
    stream.write_all(NO_TLS).await?;
    stream.shutdown().await?;
    Err(io::ErrorKind::InvalidData.into())
}

/// Answers the requests of one connection, or the first; what has begun when it is time to stop is finished.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    lasting: Lasting,
    keeps: bool,
    mut stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.keep_alive(keeps).timer(TokioTimer::new()).header_read_timeout(SEND_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)));
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        _ = stopping.wait_for(|&stopping| stopping) => None,
        () = end(&lasting) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(SEND_WITHIN, connection).await;
    }
}

/// Waits until a connection takes no more requests.
async fn end(lasting: &Lasting) {
    loop {
        tokio::time::sleep(CONNECTION_WITHIN).await;
        if !lasting.is_held() {
            return;
        }
    }
}
