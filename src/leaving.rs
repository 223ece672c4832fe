//! How an address is left to another process that listens there too, without losing whoever is about to come in.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long nobody connects before it is taken that nobody will.
const NOBODY_WITHIN: Duration = Duration::from_millis(10);
/// How long connections that had come are taken yet.
const LAST_ONES_WITHIN: Duration = Duration::from_millis(100);

/// Has those connections taken that had come; then the address is left. `passed`: others have the socket too, and use it
/// afterwards.
pub async fn leave(
    listener: TcpListener,
    passed: bool,
    mut take: impl AsyncFnMut(io::Result<(TcpStream, SocketAddr)>),
) {
    if !passed {
        take_no_more(&listener);
    }
    let until = Instant::now() + LAST_ONES_WITHIN;
    while Instant::now() < until
        && let Ok(accepted) = timeout(NOBODY_WITHIN, listener.accept()).await
    {
        take(accepted).await;
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
