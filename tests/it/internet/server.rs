//! The sockets: a name server is one UDP and one TCP socket on the same loopback port, and a
//! function that reacts to each question. Framing, sizes and truncation are decided here, what to
//! say is not.

use hickory_resolver::proto::op::{Message, MessageType};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    task::JoinSet,
};

/// What a UDP answer may take up at most, and what our OPT records say (DNS flag day 2020).
pub const UDP_BYTES_MAX: u16 = 1232;
/// What a UDP answer may take up when the question has no OPT record (RFC 1035 section 4.2.1).
const UDP_BYTES_PLAIN: u16 = 512;
/// What a TCP answer may take up.
const TCP_BYTES_MAX: u16 = u16::MAX;
/// Ports tried until one is free for UDP and TCP alike.
const PORT_TRIES_MAX: usize = 64;

/// What a server does about a question.
pub struct Reaction {
    /// What to send; nothing means silence.
    pub answer: Option<Message>,
    /// How long to wait before.
    pub delay: Duration,
}

/// Reacts to a message; must not block.
pub type React = dyn Fn(&Message) -> Reaction + Send + Sync;

/// Sockets bound but not read.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

/// A port where nobody listens, but that nobody else gets either: questions bounce at once.
pub struct ClosedPort {
    udp: UdpSocket,
    _tcp: TcpSocket,
}

impl Sockets {
    /// Binds UDP and TCP to one ephemeral loopback port.
    pub async fn bind() -> Self {
        for _ in 0..PORT_TRIES_MAX {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP port");
            let address = udp.local_addr().expect("a bound socket");
            if let Ok(tcp) = TcpListener::bind(address).await {
                return Self { udp, tcp };
            }
        }
        panic!("no port is free for both UDP and TCP");
    }

    /// Where they are.
    pub fn address(&self) -> SocketAddr {
        self.udp.local_addr().expect("a bound socket")
    }

    /// Serves until dropped.
    pub async fn serve(self, react: Arc<React>) {
        tokio::join!(serve_udp(self.udp, Arc::clone(&react)), serve_tcp(self.tcp, react));
    }
}

impl ClosedPort {
    /// Takes an ephemeral loopback port out of service.
    pub async fn bind() -> Self {
        for _ in 0..PORT_TRIES_MAX {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP port");
            let address = udp.local_addr().expect("a bound socket");
            // connected to itself it hears nobody else: the kernel reports the port unreachable
            udp.connect(address).await.expect("a loopback peer");
            let tcp = TcpSocket::new_v4().expect("a TCP socket");
            if tcp.bind(address).is_ok() {
                return Self { udp, _tcp: tcp };
            }
        }
        panic!("no port is free for both UDP and TCP");
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.udp.local_addr().expect("a bound socket")
    }
}

/// Answers datagrams, those without delay in order.
async fn serve_udp(socket: UdpSocket, react: Arc<React>) {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        while waiting.try_join_next().is_some() {}
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some(question) = parse(&buffer[..length]) else {
            continue;
        };
        let Reaction { answer: Some(answer), delay } = react(&question) else {
            continue;
        };
        let size = question
            .edns
            .as_ref()
            .map_or(UDP_BYTES_PLAIN, |edns| edns.max_payload().clamp(UDP_BYTES_PLAIN, UDP_BYTES_MAX));
        let bytes = encode(&answer, size);
        if delay.is_zero() {
            let _gone = socket.send_to(&bytes, client).await;
        } else {
            let socket = Arc::clone(&socket);
            waiting.spawn(async move {
                tokio::time::sleep(delay).await;
                let _gone = socket.send_to(&bytes, client).await;
            });
        }
    }
}

/// Accepts connections, each served by a task of its own.
async fn serve_tcp(listener: TcpListener, react: Arc<React>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve_connection(stream, Arc::clone(&react)));
        }
    }
}

/// Answers the questions of one connection in order, until the client leaves.
async fn serve_connection(mut stream: TcpStream, react: Arc<React>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await?;
        let Some(question) = parse(&buffer) else {
            return Ok(());
        };
        let Reaction { answer: Some(answer), delay } = react(&question) else {
            continue;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let bytes = encode(&answer, TCP_BYTES_MAX);
        let length = u16::try_from(bytes.len()).expect("encode keeps to the limit");
        stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await?;
    }
}

/// Reads a question; anything else is dropped.
fn parse(bytes: &[u8]) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    (message.metadata.message_type == MessageType::Query).then_some(message)
}

/// Writes an answer; one over the limit is emptied and says TC.
fn encode(answer: &Message, bytes_max: u16) -> Vec<u8> {
    let bytes = answer.to_vec().expect("an answer that can be written");
    if bytes.len() <= usize::from(bytes_max) {
        return bytes;
    }
    answer.truncate().to_vec().expect("an answer that can be written")
}
