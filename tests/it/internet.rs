//! The Internet in miniature: a signed root, four top-level domains and the zones below them, good
//! and bad, on real sockets on loopback. A resolver under test sees public addresses and is given
//! the map from those to the sockets ([`Internet::ports`]). Nothing here leaves the machine, and
//! nothing here resolves or validates.
//!
//! What there is to ask stands in [`table`]: zones, names and what is wrong with them.

// The interface is for all tests; not all of it is in use at every time.
#![allow(dead_code)]

mod denial;
mod keys;
mod server;
mod table;
mod tests;
mod world;
mod zone;

use self::{
    server::{ClosedPort, Reaction, Sockets, UDP_BYTES_MAX},
    world::{Host, WORLD},
    zone::{Reply, Zone},
};
use hickory_resolver::proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{DNSClass, RData, RecordType},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::{JoinHandle, JoinSet};

/// The port name servers listen on, logically.
const DNS_PORT: u16 = 53;
/// TTL in the texts that hint at and anchor the root.
const ROOT_TTL_SECONDS: u32 = 3600;

/// A running Internet; dropping it stops its servers.
pub struct Internet {
    ports: HashMap<SocketAddr, SocketAddr>,
    weather: Arc<Weather>,
    /// The servers' tasks, aborted on drop.
    _tasks: JoinSet<()>,
    /// Sockets bound and never read.
    _dead: Vec<Sockets>,
    /// Ports kept closed.
    _closed: Vec<ClosedPort>,
}

/// What all servers have in common: how they feel, and what they were asked.
#[derive(Default)]
struct Weather {
    silent: AtomicBool,
    spoils: AtomicBool,
    keeps_keys: AtomicBool,
    delay_milliseconds: AtomicU64,
    /// Questions by name, see [`key`].
    asked: Mutex<HashMap<String, usize>>,
}

impl Internet {
    /// Starts all servers, as tasks of the current runtime, on ephemeral loopback ports. They
    /// answer from the moment this returns, as long as the runtime isn't blocked.
    pub async fn start() -> Self {
        let weather = Arc::new(Weather::default());
        let (mut ports, mut tasks) = (HashMap::new(), JoinSet::new());
        let (mut dead, mut closed) = (Vec::new(), Vec::new());
        for (address, host) in &WORLD.servers {
            let real = match host {
                Host::Serves(zones) => {
                    let sockets = Sockets::bind().await;
                    let real = sockets.address();
                    let weather = Arc::clone(&weather);
                    let react = move |message: &Message| weather.react(zones, message);
                    tasks.spawn(sockets.serve(Arc::new(react)));
                    real
                }
                Host::Dead => {
                    dead.push(Sockets::bind().await);
                    dead[dead.len() - 1].address()
                }
                Host::Closed => {
                    closed.push(ClosedPort::bind().await);
                    closed[closed.len() - 1].address()
                }
            };
            ports.insert(SocketAddr::new(*address, DNS_PORT), real);
        }
        Self { ports, weather, _tasks: tasks, _dead: dead, _closed: closed }
    }

    /// Logical addresses of the root servers, for hints.
    pub fn root_hints(&self) -> Vec<IpAddr> {
        WORLD.roots.iter().map(|(_, address)| *address).collect()
    }

    /// The same as a hints file: NS and A records in zone-file format.
    pub fn root_hints_zone(&self) -> String {
        let lines = WORLD.roots.iter().map(|(host, address)| {
            let host = host.to_ascii();
            format!(". {ROOT_TTL_SECONDS} IN NS {host}\n{host} {ROOT_TTL_SECONDS} IN A {address}\n")
        });
        lines.collect()
    }

    /// The trust anchor as a DS record in zone-file format.
    pub fn anchor_ds(&self) -> String {
        format!(". {ROOT_TTL_SECONDS} IN DS {}\n", WORLD.anchor_ds)
    }

    /// The trust anchor as a DNSKEY record in zone-file format.
    pub fn anchor_dnskey(&self) -> String {
        format!(". {ROOT_TTL_SECONDS} IN DNSKEY {}\n", WORLD.anchor)
    }

    /// Where to send what is meant for a logical server, both with ports, for UDP and TCP alike.
    pub fn ports(&self) -> HashMap<SocketAddr, SocketAddr> {
        self.ports.clone()
    }

    /// How many questions for exactly this name, of any type, reached any server that reads them,
    /// repeats and TCP included. Case and a final dot don't matter; the root is `"."`.
    pub fn asked(&self, name: &str) -> usize {
        self.weather.asked().get(&key(name)).copied().unwrap_or(0)
    }

    /// How many questions reached any server.
    pub fn asked_total(&self) -> usize {
        self.weather.asked().values().sum()
    }

    /// Makes all servers fall silent, or speak again. Questions go on being counted.
    pub fn set_silent(&self, silent: bool) {
        self.weather.silent.store(silent, Ordering::Relaxed);
    }

    /// Spoils the addresses of all hosts `www`, so that signatures don't fit them, or no longer.
    pub fn set_spoiling(&self, spoils: bool) {
        self.weather.spoils.store(spoils, Ordering::Relaxed);
    }

    /// Makes all servers silent to questions for keys (DS and DNSKEY), or no longer.
    pub fn set_keeping_keys(&self, keeps_keys: bool) {
        self.weather.keeps_keys.store(keeps_keys, Ordering::Relaxed);
    }

    /// Delays each answer to a question that comes from now on.
    pub fn set_delay(&self, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_millis()).expect("a delay tests can wait for");
        self.weather.delay_milliseconds.store(milliseconds, Ordering::Relaxed);
    }
}

/// Starts a server on an ephemeral loopback port, UDP and TCP, that answers by a function: a
/// forwarder to forward to. `None` is silence. The id and, where there is none, the question are
/// filled in; answers over the client's UDP size are truncated. Serves until the handle is aborted
/// or the runtime ends.
pub async fn scripted(
    answers: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    scripted_late(Duration::ZERO, answers).await
}

/// The same, so much later.
pub async fn scripted_late(
    delay: Duration,
    answers: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let sockets = Sockets::bind().await;
    let address = sockets.address();
    let react = move |question: &Message| {
        let answer = answers(question).map(|mut answer| {
            answer.metadata.id = question.metadata.id;
            if answer.queries.is_empty() {
                answer.queries.clone_from(&question.queries);
            }
            answer
        });
        Reaction { answer, delay }
    };
    (address, tokio::spawn(sockets.serve(Arc::new(react))))
}

/// An answer to a question for use in [`scripted`]: same id and question, RD and RA set.
pub fn answer_to(question: &Message, rcode: ResponseCode) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.response_code = rcode;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.queries.clone_from(&question.queries);
    if question.edns.is_some() {
        answer.set_edns(our_edns(question));
    }
    answer
}

impl Weather {
    /// Counts a question and answers it from the server's zones.
    fn react(&self, zones: &[Arc<Zone>], question: &Message) -> Reaction {
        let mut delay = Duration::from_millis(self.delay_milliseconds.load(Ordering::Relaxed));
        if let Some(query) = question.queries.first() {
            let name = key(&query.name().to_ascii());
            if name == table::SLOW {
                delay = Duration::from_secs(table::SLOW_SECONDS);
            }
            *self.asked().entry(name).or_default() += 1;
        }
        let is_for_keys = |query: &Query| matches!(query.query_type(), RecordType::DS | RecordType::DNSKEY);
        let keeps = self.keeps_keys.load(Ordering::Relaxed) && question.queries.iter().any(is_for_keys);
        let silent = keeps || self.silent.load(Ordering::Relaxed);
        let mut answer = (!silent).then(|| authoritative(zones, question));
        let spoils = self.spoils.load(Ordering::Relaxed);
        for record in answer.iter_mut().flat_map(|answer| &mut answer.answers).filter(|_| spoils) {
            let is_www = record.name.to_ascii().starts_with("www.");
            if let RData::A(address) = &mut record.data
                && is_www
            {
                address.0 = Ipv4Addr::from_bits(address.0.to_bits() ^ 1);
            }
        }
        Reaction { answer, delay }
    }

    /// The counts.
    fn asked(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a server that has these zones.
fn authoritative(zones: &[Arc<Zone>], question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.queries.clone_from(&question.queries);
    let dnssec_ok = question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    if question.edns.is_some() {
        answer.set_edns(our_edns(question));
    }
    match say(zones, question) {
        Err(rcode) => answer.metadata.response_code = rcode,
        Ok(reply) => {
            answer.metadata.response_code = reply.rcode;
            answer.metadata.authoritative = reply.authoritative;
            answer.answers = reply.answers;
            answer.authorities = reply.authorities;
            answer.additionals = reply.additionals;
        }
    }
    answer.maybe_strip_dnssec_records(dnssec_ok)
}

/// What the zones say to a question, or the rcode that says why not.
fn say(zones: &[Arc<Zone>], question: &Message) -> Result<Reply, ResponseCode> {
    if question.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    if question.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
        return Err(ResponseCode::BADVERS);
    }
    let [query] = question.queries.as_slice() else {
        return Err(ResponseCode::FormErr);
    };
    let zone = zone_for(zones, query).ok_or(ResponseCode::Refused)?;
    Ok(zone.answer(query.name(), query.query_type()))
}

/// The zone that has the say: the deepest one, but for a DS the one above (RFC 4035 section 3.1.4).
fn zone_for<'a>(zones: &'a [Arc<Zone>], query: &Query) -> Option<&'a Zone> {
    if query.query_class() != DNSClass::IN {
        return None;
    }
    let own = zones.iter().filter(|zone| zone.apex.zone_of(query.name()));
    let depth = |zone: &Arc<Zone>| {
        let child_side = query.query_type() == RecordType::DS && zone.apex == *query.name();
        (!child_side, zone.apex.iter().count())
    };
    own.max_by_key(|zone| depth(zone)).map(Arc::as_ref)
}

/// The OPT record of an answer: our size, the asker's DO.
fn our_edns(question: &Message) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_BYTES_MAX);
    edns.set_dnssec_ok(question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok));
    edns
}

/// A name as the counts have it: lower case, no final dot.
fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
