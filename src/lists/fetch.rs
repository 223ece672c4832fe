//! Downloads lists: https alone, bounded, on threads of its own. What becomes of a download is decided elsewhere.
//!
//! The system's resolver is never asked, since it may be this very program; who finds a host's addresses is given.
//! Neither are proxies that the environment names, so that a test or a shell can't lead a server astray.

mod schedule;

pub use schedule::Schedule;

use crate::background::make_way;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use ureq::{
    Agent, Body,
    config::Config,
    http::{HeaderMap, Response, Uri, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{Connector, NextTimeout, RustlsConnector, TcpConnector},
    },
};

/// Octets of the longest list downloaded, unpacked: three million names.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// How long a download may take in all.
const WITHIN: Duration = Duration::from_secs(60);
/// Redirects followed: a mirror or two, not a loop.
const REDIRECTS_MAX: u32 = 5;
/// Downloads at a time: enough that one slow server doesn't hold up all lists, too few to be felt.
const PARALLEL_MAX: usize = 4;
/// Octets of an ETag or a date that are kept to be shown to the server again.
const VALIDATOR_BYTES_MAX: usize = 1024;
/// Octets of a file of certificates.
const CA_BYTES_MAX: u64 = 1 << 20;
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long the end of downloads that were broken off is waited for. Only a host that is being looked up takes longer.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Octets read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Finds the addresses of a host.
pub type LookUpHost = Arc<dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync>;
/// For tests: where a server really is.
pub type ConnectVia = Arc<dyn Fn(SocketAddr) -> SocketAddr + Send + Sync>;

/// What downloads take from the world.
#[derive(Clone)]
pub struct Downloads {
    pub look_up_host: LookUpHost,
    pub limits: FetchLimits,
}

/// The bounds of a download, which tests make smaller, and where servers really are.
#[derive(Clone)]
pub struct FetchLimits {
    pub body_bytes_max: u64,
    pub within: Duration,
    pub connect_via: Option<ConnectVia>,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { body_bytes_max: BODY_BYTES_MAX, within: WITHIN, connect_via: None }
    }
}

/// A download to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which list it is for: where its copy lies.
    pub place: PathBuf,
    pub url: String,
    /// Where the body is written to.
    pub into: PathBuf,
    /// Certificates of authorities trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    pub known: Validators,
}

/// What a server calls one state of a list, to be asked whether it is another by now (RFC 9110 §8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// How a download came out.
#[derive(Debug)]
pub struct Delivery {
    pub order: Order,
    pub result: Result<Fetched, String>,
}

/// What a server gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The list is still the one it was.
    Same,
    /// The order's `into` holds a whole body, on the disk.
    Body(Validators),
}

/// Downloads what is ordered, a few at a time. Dropping it breaks off what is under way.
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    downloads: Downloads,
    deliver: Box<dyn Fn(Delivery) + Send + Sync>,
    state: Mutex<State>,
    /// Told when a thread ends.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Order>,
    threads: usize,
    /// Those under way, by number.
    agents: HashMap<u64, Agent>,
    agents_so_far: u64,
    has_ended: bool,
}

impl Fetcher {
    /// Results go to `deliver`, on some thread.
    pub fn new(downloads: Downloads, deliver: impl Fn(Delivery) + Send + Sync + 'static) -> Self {
        let shared = Shared { downloads, deliver: Box::new(deliver), state: Mutex::default(), ended: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Downloads as soon as possible. Each order is delivered once.
    pub fn order(&self, order: Order) {
        let mut state = self.shared.state();
        state.waiting.push_back(order);
        if state.threads == PARALLEL_MAX {
            return;
        }
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("lists-fetch".into());
        let work = move || {
            make_way();
            shared.work();
        };
        match thread.spawn(work) {
            Ok(_) => state.threads += 1,
            Err(error) => {
                let order = state.waiting.pop_back();
                drop(state);
                let fail = |order| Delivery { order, result: Err(format!("no thread can be started: {error}")) };
                order.map(fail).into_iter().for_each(&self.shared.deliver);
            }
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.has_ended = true;
        state.waiting.clear();
        let agents = std::mem::take(&mut state.agents);
        drop(state);
        agents.into_values().for_each(Agent::shutdown);
        // So that nothing is written any more when whoever owns the folder goes on.
        let state = self.shared.state();
        let _ = self.shared.ended.wait_timeout_while(state, END_WITHIN, |state| state.threads > 0);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until nothing waits.
    fn work(&self) {
        loop {
            let mut state = self.state();
            let Some(order) = state.waiting.pop_front() else {
                state.threads -= 1;
                self.ended.notify_all();
                return;
            };
            drop(state);
            // A list whose download is never heard of again would never be downloaded again.
            let download = std::panic::AssertUnwindSafe(|| self.download(&order));
            let result = std::panic::catch_unwind(download).unwrap_or_else(|_| Err("the download broke off".into()));
            if !matches!(result, Ok(Fetched::Body(_))) {
                let _ = std::fs::remove_file(&order.into);
            }
            (self.deliver)(Delivery { order, result });
        }
    }

    fn download(&self, order: &Order) -> Result<Fetched, String> {
        let agent = agent(order, &self.downloads)?;
        let number = {
            let mut state = self.state();
            if state.has_ended {
                return Err("the program ends".to_owned());
            }
            state.agents_so_far += 1;
            let number = state.agents_so_far;
            state.agents.insert(number, agent.clone());
            number
        };
        let result = fetch(&agent, order, &self.downloads.limits);
        self.state().agents.remove(&number);
        result
    }
}

/// One that downloads as it must be done, with nothing from its surroundings.
fn agent(order: &Order, downloads: &Downloads) -> Result<Agent, String> {
    let roots = match &order.ca_file {
        None => RootCerts::WebPki,
        Some(path) => {
            let own = certificates(path).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
            let usual = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
            usual.map(|certificate| Certificate::from_der(certificate)).chain(own).into()
        }
    };
    let config = Config::builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .proxy(None)
        .timeout_global(Some(downloads.limits.within))
        .user_agent(concat!("cleandns/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    let connector = ().chain(TcpConnector::default()).chain(RustlsConnector::default());
    Ok(Agent::with_parts(config, connector, GivenResolver(downloads.clone())))
}

/// The certificates in a PEM file.
pub fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut text));
    read.map_err(|error| format!("it can't be read: {error}"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| "it is no PEM file")? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(certificates) }
}

fn fetch(agent: &Agent, order: &Order, limits: &FetchLimits) -> Result<Fetched, String> {
    let started = Instant::now();
    let mut request = agent.get(&order.url);
    if let Some(etag) = &order.known.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(last_modified) = &order.known.last_modified {
        request = request.header(header::IF_MODIFIED_SINCE, last_modified);
    }
    let mut response = request.call().map_err(|error| in_words(&error, limits))?;
    if response.status() == 304 && order.known != Validators::default() {
        return Ok(Fetched::Same);
    }
    refuse(&response, limits)?;
    let validators = validators(response.headers());
    let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut file = File::create_new(&order.into).map_err(|error| unwritable(&order.into, &error))?;
    let (mut piece, mut length) = (vec![0; PIECE_BYTES], 0);
    loop {
        let octets = match reader.read(&mut piece) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(in_words(&ureq::Error::from(error), limits)),
        };
        if octets == 0 {
            break;
        }
        length += octets as u64;
        if length > limits.body_bytes_max {
            return Err(too_long(limits));
        }
        if started.elapsed() > limits.within {
            return Err(too_slow(limits));
        }
        file.write_all(&piece[..octets]).map_err(|error| unwritable(&order.into, &error))?;
    }
    // Here, not where it is put in its place: nobody waits here.
    file.sync_all().map_err(|error| unwritable(&order.into, &error))?;
    Ok(Fetched::Body(validators))
}

/// Refuses what can't be a list before any of it is read.
fn refuse(response: &Response<Body>, limits: &FetchLimits) -> Result<(), String> {
    let status = response.status();
    if status != 200 {
        return Err(format!("the server answered {status}"));
    }
    let media_type = response.body().mime_type().unwrap_or_default();
    if ["text/html", "application/xhtml+xml"].iter().any(|page| media_type.eq_ignore_ascii_case(page)) {
        return Err(format!("the server sent a web page ({media_type}), not a list"));
    }
    if response.body().content_length().is_some_and(|length| length > limits.body_bytes_max) {
        return Err(too_long(limits));
    }
    Ok(())
}

fn validators(headers: &HeaderMap) -> Validators {
    let text = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= VALIDATOR_BYTES_MAX).then(|| value.to_owned())
    };
    Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
}

/// What went wrong, for a person who runs a server and knows no crate's error types.
fn in_words(error: &ureq::Error, limits: &FetchLimits) -> String {
    match error {
        ureq::Error::Timeout(_) => too_slow(limits),
        ureq::Error::RequireHttpsOnly(url) => format!("it leads to {url}, and only https is followed"),
        ureq::Error::TooManyRedirects => format!("it is redirected more than {REDIRECTS_MAX} times"),
        ureq::Error::Other(own) => own.to_string(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection ended before the list did".to_owned()
        }
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn too_slow(limits: &FetchLimits) -> String {
    format!("it took longer than {} s", limits.within.as_secs_f64())
}

fn too_long(limits: &FetchLimits) -> String {
    match limits.body_bytes_max {
        mebibytes if mebibytes >= 1 << 20 => format!("it is longer than {} MiB", mebibytes >> 20),
        octets => format!("it is longer than {octets} octets"),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("{} can't be written: {error}", path.display())
}

/// Finds addresses as it was told, never by the system.
struct GivenResolver(Downloads);

impl Resolver for GivenResolver {
    fn resolve(&self, url: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().unwrap_or(443);
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let found = literal.map_or_else(|_| (self.0.look_up_host)(host), |address| Ok(vec![address]));
        let addresses = found.map_err(|why| ureq::Error::Other(why.into()))?;
        if addresses.is_empty() {
            return Err(ureq::Error::Other(format!("{host} has no address").into()));
        }
        let mut sockets = self.empty();
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let server = SocketAddr::new(address, port);
            sockets.push(self.0.limits.connect_via.as_ref().map_or(server, |via| via(server)));
        }
        Ok(sockets)
    }
}

impl fmt::Debug for GivenResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenResolver")
    }
}
