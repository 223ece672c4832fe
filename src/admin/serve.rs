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
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
    sync::watch,
    time::timeout,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;
/// How long to wait where accepting fails: there are no file descriptors left, which passes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

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
pub fn listen(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
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
pub fn adopt(passed: std::net::TcpListener) -> std::io::Result<TcpListener> {
    passed.set_nonblocking(true)?;
    TcpListener::from_std(passed)
}

/// Accepts connections until told to stop.
/// `tls`: what connections are answered with from now on; nothing: plain HTTP. `is_proxy`: whether others come through an
/// address.
pub async fn accept(
    listener: TcpListener,
    app: Router,
    tls: Arc<ArcSwapOption<Tls>>,
    is_proxy: IsProxy,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Places::default();
    let stopped = stopping.clone();
    let accepting = async {
        loop {
            places.wait().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let peer = peer.ip().to_canonical();
                    let Some(place) = places.take(peer, peer.is_loopback() || is_proxy(peer)) else {
                        tracing::debug!(%peer, "too many connections from one address");
                        continue;
                    };
                    let lasting = Lasting::default();
                    let own = stream.local_addr().map_or(peer, |own| own.ip());
                    let app = app.clone().layer(Extension(Peer(peer))).layer(Extension(Reached(own.to_canonical())));
                    let app = app.layer(Extension(lasting.clone())).layer(Extension(place.clone()));
                    let stopping = stopped.clone();
                    let acceptor = tls.load().as_ref().map(|tls| tls.acceptor());
                    tokio::spawn(async move {
                        match acceptor {
                            None => converse(stream, app, lasting, stopping).await,
                            Some(acceptor) => match timeout(SEND_WITHIN, acceptor.accept(stream)).await {
                                Ok(Ok(stream)) => converse(stream, app, lasting, stopping).await,
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
    };
    tokio::select! {
        () = accepting => {}
        _ = stopping.wait_for(|&stopping| stopping) => {}
    }
}

/// Answers the requests of one connection; what has begun when it is time to stop is finished.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    lasting: Lasting,
    mut stopping: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SEND_WITHIN).max_buf_size(HEAD_BYTES_MAX);
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
