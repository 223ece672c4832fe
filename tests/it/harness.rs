//! Starts a cleandns in this process and asks it things.

use crate::internet::Internet;
use cleandns::{
    app::{self, AppError, Outside, Passed, Running, Start},
    config::{self, Config, Origin, World},
    dns::{Class, ExtendedError, MessageWriter, Name, Rcode, Record, RrType, Section, extended_error, read_records},
    embedded,
    lists::FetchLimits,
    pause::Pauses,
    query::{AccessList, Keeping, LocalData, Pipeline, SpecialNames, Surroundings, Terms},
    settings::ReadAgain,
    uptime,
    warm::Awake,
};
use std::{
    borrow::Cow,
    fmt::Write as _,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
};

/// How long a condition may take to come true: far longer than it ever does, so that a slow machine fails no test.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server, its folder, and the Internet it lives in.
pub struct Server {
    pub running: Running,
    pub folder: TempDir,
    /// The server's idea of the time, in seconds since 1970.
    pub clock: Arc<AtomicU64>,
    /// Seconds for which its machine has slept.
    pub slept: Arc<AtomicU64>,
}

/// Starts a server on `toml`, whose relative paths lie in `folder`. Addresses are added: port 0 on loopback.
/// With an Internet, its root and anchors are used, and servers are reached through its port map.
pub async fn start(folder: TempDir, internet: Option<&Internet>, toml: &str) -> Server {
    start_near(folder, internet, &[], toml).await
}

/// The same, with servers outside the Internet, such as forwarders, that are reached where they say.
pub async fn start_near(folder: TempDir, internet: Option<&Internet>, near: &[SocketAddr], toml: &str) -> Server {
    try_start(folder, internet, near, toml).await.unwrap_or_else(|error| panic!("does not start: {error}"))
}

/// The same, if it starts.
pub async fn try_start(
    folder: TempDir,
    internet: Option<&Internet>,
    near: &[SocketAddr],
    toml: &str,
) -> Result<Server, AppError> {
    try_start_fetching(folder, internet, near, FetchLimits::default(), toml).await
}

/// The same, with bounds of its own for downloads.
pub async fn try_start_fetching(
    folder: TempDir,
    internet: Option<&Internet>,
    near: &[SocketAddr],
    fetch: FetchLimits,
    toml: &str,
) -> Result<Server, AppError> {
    let config = configure(&folder, internet, toml);
    try_start_as(folder, internet, near, fetch, config, Start::Alone).await
}

/// Starts a server on a configuration, as [`configure`] reads it.
pub async fn start_as_configured(folder: TempDir, config: Config) -> Server {
    let started = try_start_as(folder, None, &[], FetchLimits::default(), config, Start::Alone).await;
    started.unwrap_or_else(|error| panic!("does not start: {error}"))
}

/// Starts a server that follows its configuration's files: those that `write_config` writes.
pub async fn start_following(folder: TempDir, internet: Option<&Internet>, near: &[SocketAddr], toml: &str) -> Server {
    let config = configure(&folder, internet, toml);
    let file = folder.path().join("cleandns.toml");
    let read: ReadAgain = Arc::new(move || with_world(|world| config::load(Some(&file), world)));
    let started = try_start_reading(folder, internet, near, config, Some(read)).await;
    started.unwrap_or_else(|error| panic!("does not start: {error}"))
}

/// Calls with the surroundings that configurations are read in.
fn with_world<T>(read: impl FnOnce(&World<'_>) -> T) -> T {
    let paths = || embedded::paths().into_iter().map(Cow::Owned).collect();
    let embedded = config::Embedded { read: &embedded::read, paths: &paths };
    read(&World::of_process(embedded).unwrap())
}

/// Takes over from another server: answers on its address beside it.
pub async fn take_over(folder: TempDir, internet: &Internet, from: &Server, toml: &str) -> Server {
    let at = (from.dns(), from.running.admin.expect("an admin address"));
    let started = try_take_over(folder, Some(internet), at, toml).await;
    started.unwrap_or_else(|error| panic!("does not take over: {error}"))
}

/// Takes addresses over, for DNS and for HTTP, if it may.
pub async fn try_take_over(
    folder: TempDir,
    internet: Option<&Internet>,
    (dns, admin): (SocketAddr, SocketAddr),
    toml: &str,
) -> Result<Server, AppError> {
    let own = format!("do53 = [\"{dns}\"]\nworkers = 2\n");
    let toml = match toml.split_once("[listen]\n") {
        Some((before, listen)) => format!("[admin]\nlisten = \"{admin}\"\n{before}[listen]\n{own}{listen}"),
        None => format!("[listen]\n{own}[admin]\nlisten = \"{admin}\"\n{toml}"),
    };
    let config = configure(&folder, internet, &toml);
    try_start_as(folder, internet, &[], FetchLimits::default(), config, Start::TakeOver).await
}

async fn try_start_as(
    folder: TempDir,
    internet: Option<&Internet>,
    near: &[SocketAddr],
    fetch: FetchLimits,
    config: Config,
    start: Start,
) -> Result<Server, AppError> {
    let outside = |outside: Outside| Outside { fetch, start, ..outside };
    try_start_with(folder, internet, near, config, outside).await
}

async fn try_start_reading(
    folder: TempDir,
    internet: Option<&Internet>,
    near: &[SocketAddr],
    config: Config,
    read_again: Option<ReadAgain>,
) -> Result<Server, AppError> {
    try_start_with(folder, internet, near, config, |outside| Outside { read_again, ..outside }).await
}

async fn try_start_with(
    folder: TempDir,
    internet: Option<&Internet>,
    near: &[SocketAddr],
    config: Config,
    change: impl FnOnce(Outside) -> Outside,
) -> Result<Server, AppError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let clock = Arc::new(AtomicU64::new(now));
    let (own_clock, awake) = (clock.clone(), clock.clone());
    let slept = Arc::new(AtomicU64::new(0));
    let asleep = slept.clone();
    let mut ports = internet.map(Internet::ports).unwrap_or_default();
    ports.extend(near.iter().map(|&server| (server, server)));
    let outside = Outside {
        clock: Arc::new(move || own_clock.load(Ordering::Relaxed)),
        uptime: Arc::new(move || uptime::of_machine() + Duration::from_secs(asleep.load(Ordering::Relaxed))),
        seed: 1,
        ports: Some(Arc::new(ports)),
        built_at: now - 3600,
        fetch: FetchLimits::default(),
        start: Start::Alone,
        read_again: None,
        follow_log: Arc::new(|_| {}),
        passed: Passed::default(),
        reach: Arc::new(|_| Ok(())),
        awake: Arc::new(move || Some(Awake { boot: "this".into(), seconds: awake.load(Ordering::Relaxed) as u32 })),
    };
    let running = app::start(config, change(outside)).await?;
    Ok(Server { running, folder, clock, slept })
}

/// Reads a configuration the way `start` does, without starting anything.
pub fn configure(folder: &TempDir, internet: Option<&Internet>, toml: &str) -> Config {
    let text = config_text(folder, internet, toml);
    let file = folder.path().join("cleandns.toml");
    std::fs::write(&file, &text).unwrap();
    match with_world(|world| config::read(&text, Origin::File(file), world)) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The text of a configuration with what all servers of tests have.
pub fn config_text(folder: &TempDir, internet: Option<&Internet>, toml: &str) -> String {
    let mut text = String::new();
    // Sections may stand in any order, but only once: a test that wants one of these writes it itself.
    for (section, own) in [
        ("[listen]", "[listen]\ndo53 = [\"127.0.0.1:0\"]\nworkers = 2\n"),
        ("[admin]", "[admin]\nlisten = \"127.0.0.1:0\"\n"),
        ("[state]", "[state]\ndir = \"state\"\n"),
    ] {
        if !toml.contains(section) {
            text.push_str(own);
        }
    }
    if let Some(internet) = internet {
        std::fs::write(folder.path().join("root.hints"), internet.root_hints_zone()).unwrap();
        std::fs::write(folder.path().join("root.ds"), internet.anchor_ds()).unwrap();
        if !toml.contains("[resolve]") {
            text.push_str("[resolve]\nroot_hints = \"root.hints\"\ntrust_anchors = \"root.ds\"\nipv6 = false\n");
        }
    }
    let _ = write!(text, "{toml}");
    text
}

/// An empty folder for a server's files.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

impl Server {
    pub fn dns(&self) -> SocketAddr {
        self.running.dns[0]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The number of the policy in force, once that is told too: what is told of lists follows on what they block.
    pub fn epoch(&self) -> u64 {
        let published = &self.running.published;
        loop {
            let epoch = published.policy.load().as_ref().unwrap().epoch();
            if published.status.load().epoch == epoch {
                return epoch;
            }
            std::thread::yield_now();
        }
    }

    /// Another way to answers by the server's own policy and resolver, in other surroundings: for who is on loopback.
    pub fn pipeline_in(&self, surroundings: Surroundings) -> Pipeline {
        Pipeline::new(
            self.running.published.policy.clone(),
            Terms {
                access: AccessList::new(vec!["127.0.0.0/8".parse().unwrap()]),
                local: LocalData::new(&[]),
                special: SpecialNames::new(std::iter::empty()),
                tells_chains: false,
            },
            Arc::new(self.running.health.resolver.clone()),
            Keeping { bytes: 1 << 20, seed: 1, stale: Duration::ZERO, refresh: false },
            Arc::new(Pauses::load(None, 0)),
            surroundings,
        )
    }

    /// Asks over UDP with EDNS, as most clients do.
    pub async fn ask(&self, name: &str, rr_type: RrType) -> Answer {
        self.ask_with(&Ask::new(name, rr_type)).await
    }

    /// Asks as told.
    pub async fn ask_with(&self, ask: &Ask) -> Answer {
        let packet = ask.packet();
        let octets = if ask.tcp { over_tcp(self.dns(), &packet).await } else { over_udp(self.dns(), &packet).await };
        Answer::read(octets.unwrap_or_else(|| panic!("no answer to {ask:?}")))
    }

    /// Asks as told from an address of this machine: all of 127.0.0.0/8 is.
    pub async fn ask_from(&self, client: &str, ask: &Ask) -> Answer {
        let (packet, client) = (ask.packet(), SocketAddr::new(client.parse().unwrap(), 0));
        let octets = if ask.tcp {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(client).unwrap();
            let mut stream = socket.connect(self.dns()).await.unwrap();
            stream.write_all(&framed(&packet)).await.unwrap();
            read_framed(&mut stream).await
        } else {
            let socket = UdpSocket::bind(client).await.unwrap();
            socket.connect(self.dns()).await.unwrap();
            exchange(&socket, &packet).await
        };
        Answer::read(octets.unwrap_or_else(|| panic!("no answer to {ask:?} from {client}")))
    }

    /// Posts JSON to the server's HTTP side: status and body.
    pub async fn post(&self, path: &str, json: &str) -> (u16, String) {
        let (url, json) = (format!("http://{}{path}", self.running.admin.unwrap()), json.to_owned());
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut response = agent.post(url).header("Content-Type", "application/json").send(json).unwrap();
            (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
        })
        .await
        .unwrap()
    }

    /// Gets a page that is JSON.
    pub async fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Gets a page from the server's HTTP side: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.running.admin.unwrap());
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut response = agent.get(url).call().unwrap();
            (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
        })
        .await
        .unwrap()
    }

    /// The sum of all lines of a metric whose labels contain every part given.
    pub async fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(name) && parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// A question and how it is put.
#[derive(Clone, Debug)]
pub struct Ask {
    pub name: String,
    pub rr_type: RrType,
    pub edns: bool,
    pub dnssec_ok: bool,
    pub ad: bool,
    pub cd: bool,
    pub rd: bool,
    pub tcp: bool,
    pub udp_size: u16,
}

impl Ask {
    pub fn new(name: &str, rr_type: RrType) -> Self {
        Self {
            name: name.to_owned(),
            rr_type,
            edns: true,
            dnssec_ok: false,
            ad: false,
            cd: false,
            rd: true,
            tcp: false,
            udp_size: 1232,
        }
    }

    /// The query's octets; the id is always 0x1234.
    pub fn packet(&self) -> Vec<u8> {
        let mut packet = Vec::new();
        let flags = [u8::from(self.rd), u8::from(self.ad) << 5 | u8::from(self.cd) << 4];
        let mut writer = MessageWriter::new(&mut packet, 512, 0x1234, flags);
        writer.question(&self.name.parse().unwrap(), self.rr_type, Class::IN);
        if self.edns {
            writer.edns(self.udp_size, self.dnssec_ok, Rcode::NOERROR, None).unwrap();
        }
        writer.finish();
        packet
    }
}

/// A response taken apart.
#[derive(Debug)]
pub struct Answer {
    pub octets: Vec<u8>,
    /// The header's four bits.
    pub rcode: Rcode,
    pub authoritative: bool,
    pub truncated: bool,
    pub ra: bool,
    pub ad: bool,
    pub cd: bool,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub ede: Option<ExtendedError>,
}

impl Answer {
    pub fn read(octets: Vec<u8>) -> Self {
        let records = read_records(&octets).unwrap_or_else(|error| panic!("damaged response: {error}: {octets:?}"));
        let of = |wanted: Section| {
            records.iter().filter(|(section, _)| *section == wanted).map(|(_, record)| record.clone()).collect()
        };
        Self {
            rcode: Rcode(u16::from(octets[3] & 0x0f)),
            authoritative: octets[2] & 0x04 != 0,
            truncated: octets[2] & 0x02 != 0,
            ra: octets[3] & 0x80 != 0,
            ad: octets[3] & 0x20 != 0,
            cd: octets[3] & 0x10 != 0,
            answer: of(Section::Answer),
            authority: of(Section::Authority),
            ede: extended_error(&octets),
            octets,
        }
    }

    /// Code of the Extended DNS Error, 0 without one.
    pub fn ede_code(&self) -> u16 {
        self.ede.as_ref().map_or(0, |ede| ede.code)
    }

    /// Types and owners of the answer section in order: `www.x CNAME, y A`.
    pub fn shape(&self) -> String {
        let all: Vec<String> =
            self.answer.iter().map(|record| format!("{} {}", record.owner, record.rr_type)).collect();
        all.join(", ")
    }
}

/// One exchange over UDP; `None` if nothing came within the deadline that an answer always keeps.
pub async fn over_udp(server: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
    let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(server).await.unwrap();
    exchange(&socket, packet).await
}

/// One exchange over a connected socket.
async fn exchange(socket: &UdpSocket, packet: &[u8]) -> Option<Vec<u8>> {
    socket.send(packet).await.unwrap();
    let mut octets = vec![0; 65_535];
    let length = tokio::time::timeout(DEADLINE, socket.recv(&mut octets)).await.ok()?.ok()?;
    octets.truncate(length);
    Some(octets)
}

/// One exchange over TCP; `None` if the connection ended without a response.
pub async fn over_tcp(server: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&framed(packet)).await.unwrap();
    read_framed(&mut stream).await
}

/// A message with its length before it (RFC 1035 §4.2.2).
pub fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

/// Reads one message from a connection; `None` at its end.
pub async fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = tokio::time::timeout(DEADLINE, stream.read_u16()).await.ok()?.ok()?;
    let mut octets = vec![0; usize::from(length)];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut octets)).await.ok()?.ok()?;
    Some(octets)
}

/// Waits until `condition` holds, and fails the test if it doesn't within the deadline. Returns how long it took.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) -> Duration {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < DEADLINE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

/// An address on loopback whose port is free for UDP and TCP, for whoever must know it beforehand. It lies below the
/// ports that systems give to those who ask for any, so that no other test gets it meanwhile.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let own_start = u64::from(std::process::id()) * 100;
    loop {
        let port = 20_000 + ((own_start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() && std::net::UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Tells a person a figure; `cargo test -- --nocapture` shows it.
#[expect(clippy::print_stderr, reason = "figures are for whoever reads along")]
pub fn measured(figure: &str) {
    eprintln!("{figure}");
}

/// Writes a list in our own format.
pub fn write_list(path: &Path, rules: &[&str]) {
    std::fs::write(path, list_text(rules)).unwrap();
}

/// A list's text in our own format.
pub fn list_text(rules: &[&str]) -> String {
    format!("#! cleandns\n{}\n", rules.join("\n"))
}

/// A name.
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}
