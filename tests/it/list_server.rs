//! A web server with lists, over TLS, in this process: it says what it is told to say, and remembers what it was asked.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

/// The hosts that the server has a certificate for.
const HOSTS: [&str; 3] = ["www.example.com", "www.signed.org", "127.0.0.1"];

/// A running server; dropping it closes its port.
pub struct ListServer {
    /// Where others are told that it is.
    pub address: SocketAddr,
    listens_at: SocketAddr,
    /// The certificate of the authority that vouches for it, as PEM.
    pub authority: String,
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Inner {
    replies: Mutex<HashMap<String, Reply>>,
    requests: Mutex<Vec<Request>>,
    has_ended: AtomicBool,
}

/// What is said to whoever asks for a path.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub manner: Manner,
}

/// How a body is sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Manner {
    /// With its length before it.
    Whole,
    /// In chunks, so that nobody knows how long it will be.
    Chunked,
    /// Announced, and broken off in the middle.
    CutOff,
    /// Announced, and then nothing more until the client has enough.
    Stalled,
}

/// A request as it came: path, and headers with lower-case names.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: HashMap<String, String>,
}

impl Reply {
    /// A list.
    pub fn list(rules: &[&str]) -> Self {
        Self::text(&crate::harness::list_text(rules))
    }

    /// Some text.
    pub fn text(text: &str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: text.as_bytes().to_vec(),
            manner: Manner::Whole,
        }
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn body(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    pub fn manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// In place of a header of the same name, if there is one.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn etag(self, etag: &str) -> Self {
        self.header("etag", etag)
    }
}

impl ListServer {
    pub fn start() -> Self {
        let (config, authority) = certified();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner::default());
        let own = inner.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if own.has_ended.load(Relaxed) {
                    return;
                }
                let (inner, config) = (own.clone(), config.clone());
                // A client that breaks off, or trusts nobody, is none of the server's business.
                thread::spawn(move || stream.and_then(|stream| serve(stream, config, &inner)));
            }
        });
        Self { address, listens_at: address, authority, inner, thread: Some(thread) }
    }

    /// From now on this is said of a path.
    pub fn say(&self, path: &str, reply: Reply) {
        lock(&self.inner.replies).insert(path.to_owned(), reply);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.inner.requests).clone()
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        self.inner.has_ended.store(true, Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.listens_at);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, inner: &Inner) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let request = read_request(&mut stream)?;
    let reply = lock(&inner.replies).get(&request.path).cloned();
    let reply = reply.unwrap_or_else(|| Reply::text("there is no such thing\n").status(404));
    let etag = reply.headers.iter().find(|(name, _)| *name == "etag").map(|(_, etag)| etag.clone());
    let is_known = etag.is_some() && request.headers.get("if-none-match") == etag.as_ref();
    lock(&inner.requests).push(request);
    if is_known {
        stream.write_all(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n")?;
    } else {
        write_reply(&mut stream, &reply)?;
    }
    stream.conn.send_close_notify();
    stream.flush()
}

fn read_request(stream: &mut impl Read) -> io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Ok(Request { path, headers: lines.filter_map(pair).collect() })
}

fn write_reply(stream: &mut (impl Read + Write), reply: &Reply) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Said So\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.manner {
        Manner::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        _ => head.push_str(&format!("content-length: {}\r\n", reply.body.len())),
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let half = reply.body.len() / 2;
    match reply.manner {
        Manner::Whole => stream.write_all(&reply.body),
        Manner::CutOff => stream.write_all(&reply.body[..half]),
        Manner::Chunked => {
            for chunk in reply.body.chunks(100) {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
        Manner::Stalled => {
            stream.write_all(&reply.body[..half])?;
            stream.flush()?;
            // Nothing comes: this returns once the client has gone.
            let _ = stream.read(&mut [0]);
            Ok(())
        }
    }
}

/// A server's setup with a certificate, and the authority's that it is signed with.
fn certified() -> (Arc<ServerConfig>, String) {
    let (authority_key, server_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "tests' authority");
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let server = CertificateParams::new(HOSTS.map(str::to_owned)).unwrap();
    let server = server.signed_by(&server_key, &Issuer::new(authority, authority_key)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], key).unwrap();
    (Arc::new(config), pem)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
