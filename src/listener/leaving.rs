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

/// Those who had come; once this is dropped the address is left.
pub struct LastOnes {
    listener: TcpListener,
    until: Instant,
}

impl LastOnes {
    /// From now on nobody comes in. `passed`: others have the socket too, and use it afterwards, so whoever comes is theirs.
    pub fn of(listener: TcpListener, passed: bool) -> Self {
        if !passed {
            take_no_more(&listener);
        }
        Self { listener, until: Instant::now() + LAST_ONES_WITHIN }
    }

    /// The next of them.
    pub async fn next(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        if Instant::now() >= self.until {
            return None;
        }
        timeout(NOBODY_WITHIN, self.listener.accept()).await.ok()
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
