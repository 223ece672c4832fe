//! The flow of a query, top to bottom, in two speeds.
//!
//! `now` is synchronous and awaits nothing: it reads the query, decides on the question, and writes the response if it
//! can. What it can't finish goes to `later` with the policy and the question's verdict, so that a query is decided by
//! one policy and counted once. `explain` takes the same steps for people who ask.

mod access;
mod aliased;
mod answering;
mod check;
mod explain;
mod finder;
mod flights;
mod hosts;
mod later;
mod links;
mod local;
mod now;
mod own;
mod record;
mod reverse;
mod sought;
mod special;
mod terms;
mod turn;

pub use access::AccessList;
pub use answering::Now;
pub use check::{CHECK_PREFIX, CHECK_ZONE, Check, Checks, HEALTH_NAME};
pub use explain::{Explanation, Recalled};
pub use finder::{Finder, Keeping};
pub use hosts::{HostsFile, read_hosts};
pub use later::Pending;
pub use links::answer_links;
pub use local::{LocalAnswer, LocalData, LocalEnd};
pub use now::{Asked, FORESEEN_MAX, NOT_ALLOWED};
pub use record::{CacheUse, QueryRecord};
pub use reverse::{Reverse, Unanswered};
pub use special::SpecialNames;
pub use terms::Terms;
pub use turn::Turn;

use crate::{
    dns::Transport,
    pause::{Kept, PauseError, Pauses},
    policy::{Client, ClientKey, Pause, Policy},
    resolve::Resolve,
    response::UDP_PAYLOAD_BYTES,
    uptime::Uptime,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// When a query is answered at the latest. Stub resolvers ask again after five seconds; what comes after four is late.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(3800);
/// How long a resolution may go on after its client was told that it failed: what it still finds serves the next.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// Queries that wait for a resolution at most, and resolutions in flight at most. Each of these costs a few sockets and
/// tens of kilobytes.
pub const MISSES_MAX: usize = 2048;
/// Queries beyond those that wait, at most, for what is being resolved already: each costs a few kilobytes, and nothing else.
const JOINING_MAX: usize = 1024;
/// What a client is told beyond that.
const TOO_MANY: &str = "too many questions are being resolved";
/// The same where they are all of its own connection.
const TOO_MANY_OF_ONE: &str = "too many questions of this connection are being resolved";
/// Octets that every client takes over UDP (RFC 1035 §2.3.4).
const UDP_BYTES_MIN: usize = 512;

/// Answers queries. Shared by all listeners.
pub struct Pipeline {
    /// `None` until the first policy is in force.
    policy: Arc<ArcSwapOption<Policy>>,
    terms: ArcSwap<Terms>,
    finder: Arc<Finder>,
    misses: Arc<Semaphore>,
    /// Room for queries beyond those, for what is in flight.
    joining: Arc<Semaphore>,
    pauses: Arc<Pauses>,
    checks: Checks,
    surroundings: Surroundings,
}

/// What the flow asks of the world for each query.
pub struct Surroundings {
    /// Seconds since 1970 (UTC).
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// What ages are told by.
    pub uptime: Uptime,
    /// The hardware address behind a client's address, if this machine knows it. Asked only where a group or a pause is
    /// told by one.
    pub mac: Arc<dyn Fn(IpAddr) -> Option<[u8; 6]> + Send + Sync>,
    /// Whether it can know any.
    pub knows_macs: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Pipeline {
    pub fn new(
        policy: Arc<ArcSwapOption<Policy>>,
        terms: Terms,
        resolver: Arc<dyn Resolve>,
        keeping: Keeping,
        pauses: Arc<Pauses>,
        surroundings: Surroundings,
    ) -> Self {
        let [misses, joining] = [MISSES_MAX, JOINING_MAX].map(|most| Arc::new(Semaphore::new(most)));
        let clocks = (surroundings.now.clone(), surroundings.uptime.clone());
        let finder = Arc::new(Finder::new(resolver, keeping, clocks));
        let (terms, checks) = (ArcSwap::from_pointee(terms), Checks::default());
        Self { policy, terms, finder, misses, joining, pauses, checks, surroundings }
    }

    /// What answers are kept.
    pub fn finder(&self) -> &Finder {
        &self.finder
    }

    fn client(&self, address: IpAddr, transport: Transport, policy: &Policy, turn: &Turn) -> Client<'static> {
        let mac = self.mac(address, policy, &turn.pauses, turn.now);
        Client { address, id: None, mac, tcp: transport == Transport::Tcp, group: None }
    }

    fn mac(&self, address: IpAddr, policy: &Policy, pauses: &[Pause], now: i64) -> Option<[u8; 6]> {
        let is_needed = policy.needs_mac() || pauses.iter().any(|pause| pause.needs_mac(now));
        if is_needed { (self.surroundings.mac)(address) } else { None }
    }

    /// Goes by these from the next query on.
    pub fn put_in_force(&self, terms: Arc<Terms>) {
        self.terms.store(terms);
    }

    /// Names of the groups of the policy in force; clients in none come first.
    pub fn groups(&self) -> Vec<String> {
        let policy = self.policy.load();
        let groups = policy.as_ref().map_or(0, |policy| policy.groups().len());
        policy.iter().flat_map(|policy| (0..=groups).map(|group| policy.group_name(group as u16).to_owned())).collect()
    }

    /// Whether a pause could be set.
    pub fn check_pause(&self, pause: &Kept) -> Result<(), PauseError> {
        self.check_hardware(pause)?;
        let groups = self.groups();
        self.pauses.check(pause, self.now(), |name| groups.iter().any(|group| group == name))
    }

    /// Pauses everybody, or one group of the policy in force, until a time; see [`Pauses::set`].
    pub fn pause(&self, pause: Kept) -> Result<(), PauseError> {
        self.check_hardware(&pause)?;
        let groups = self.groups();
        self.pauses.set(pause, self.now(), |name| groups.iter().any(|group| group == name))
    }

    /// A pause of a hardware address needs a machine that knows its neighbours; ending one doesn't.
    fn check_hardware(&self, pause: &Kept) -> Result<(), PauseError> {
        let is_by_mac = self.now() < pause.until && matches!(pause.client, Some(ClientKey::Mac(_)));
        if is_by_mac && !(self.surroundings.knows_macs)() { Err(PauseError::NoHardware) } else { Ok(()) }
    }

    /// The pauses there are.
    pub fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
    }

    /// Names by which devices find out whether they ask here.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// The hardware address behind a client's address, if this machine knows it. Never waits.
    pub fn hardware_address(&self, client: IpAddr) -> Option<[u8; 6]> {
        (self.surroundings.mac)(client.to_canonical())
    }

    /// Seconds since 1970 (UTC), by the clock that decisions go by.
    pub fn now(&self) -> i64 {
        (self.surroundings.now)()
    }

    /// Whether clients at this address are answered.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.terms.load().access.allows(client.to_canonical())
    }

    /// Whether no query waits for its answer.
    pub fn is_idle(&self) -> bool {
        self.misses_free() == MISSES_MAX && self.joining.available_permits() == JOINING_MAX
    }

    /// How many more resolutions may start now.
    pub fn misses_free(&self) -> usize {
        self.misses.available_permits()
    }
}

/// Octets that a response may have. `udp_size` is what the client says it takes.
fn response_bytes_max(transport: Transport, udp_size: usize) -> usize {
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => udp_size.clamp(UDP_BYTES_MIN, UDP_PAYLOAD_BYTES),
    }
}
