//! Finds answers: by recursion from the root, or from forwarders; validated; never filtered.
//!
//! ```text
//! Resolver: special-purpose zones go to their forwarder, all else to the recursor
//!    └ chase    follows aliases link by link over `Link`s, so that no link's proof is lost
//!        ├ recursor   hickory's Recursor, validation off
//!        └ forwarder  hickory's name server pools
//!        (afresh: past what is kept, where that broke DNSSEC)
//!        (kept: how long hickory remembers what it heard)
//!        (heard: from which server a response came)
//!    └ validate NLnet Labs' validator over the rebuilt message
//!    └ name_servers  whose name servers the answer came from, if somebody wants to know
//!        └ cuts      what is known of that, mostly because `observed` heard it pass
//! ```
//!
//! hickory's own validation refuses every alias into a signed zone whose target lacks the type asked, and signed
//! wildcards and DNAMEs besides; hence the pair. No other module names hickory_resolver or domain.

mod afresh;
mod anchors;
mod chase;
mod cuts;
mod forwarder;
mod heard;
mod kept;
mod link;
mod name_servers;
mod observed;
mod recursor;
mod remembered;
mod resolver;
mod upstreams;
mod validate;
mod wire;

pub use anchors::{AnchorError, Hints, TrustAnchorText};
pub use kept::ENDS_EARLY_SECONDS;
pub use observed::{Exchange, Watch};
pub use resolver::{Clock, Resolver, ResolverSetup};
pub use upstreams::Upstreams;
pub use wire::{PortMap, UpstreamCounters};

use crate::dns::{ExtendedError, Name, Rcode, Record, RrType};
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

/// Something that finds answers.
pub trait Resolve: Send + Sync {
    /// Finds the answer to a question of class IN. Cancelling the future cancels the work.
    fn resolve(&self, name: Name, rr_type: RrType, wanted: Wanted) -> Pin<Box<dyn Future<Output = Resolution> + Send>>;

    /// Forgets answers that it keeps for itself.
    fn forget(&self) {}

    /// Who is asked for a name: a number that whoever built this knows the meaning of.
    fn upstream(&self, _: &Name) -> u8 {
        0
    }

    /// False while answers are given that would be other ones soon, and so must not be kept.
    fn answers_last(&self) -> bool {
        true
    }

    /// False where no name server is ever told, whatever is wanted.
    fn tells_name_servers(&self) -> bool {
        true
    }

    /// How often anybody who was asked has answered: while it stays the same, nobody has been heard.
    fn heard(&self) -> u64 {
        0
    }
}

/// What a client wants of an answer besides its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// False for a client that set CD: it validates by itself.
    pub validated: bool,
    pub name_servers: NameServersWanted,
    /// True where the answer before broke DNSSEC and its time as a failure is over: what resolution keeps of the name, and
    /// of keys above it, is asked for again.
    pub afresh: bool,
}

/// How much is wanted of the zones behind an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NameServersWanted {
    /// Nothing: no question is asked for it.
    #[default]
    No,
    /// The names of their name servers.
    Names,
    /// Names and addresses.
    Addresses,
}

/// An answer with all its proofs, whatever the client will get of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    pub rcode: Rcode,
    /// The alias chain from the name asked, in order, then the records asked for; signatures beside what they sign.
    /// Of a failed resolution: the chain as far as it was followed.
    pub answer: Vec<Record>,
    /// SOA of a negative answer, NSEC and NSEC3, and their signatures.
    pub authority: Vec<Record>,
    pub security: Security,
    pub ede: Option<ExtendedError>,
    /// The deepest zone at or above the name asked, then that of each alias followed; no zone twice. Empty unless
    /// wanted; may lack a zone whose name servers could not be learnt in time.
    pub delegations: Vec<Delegation>,
    /// True if it lacks one, for somebody gave no answer: another time it may be told.
    pub unheard: bool,
    /// The server that gave the last link of the answer: a forwarder, or one of the zone's. `None` if that isn't known.
    pub server: Option<SocketAddr>,
}

/// A zone and the name servers it is delegated to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delegation {
    pub zone: Name,
    pub servers: Vec<NameServer>,
}

/// A name server and the addresses known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameServer {
    pub name: Name,
    pub addresses: Vec<IpAddr>,
}

/// How DNSSEC validation came out (RFC 4033 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Security {
    Secure,
    Insecure,
    /// A chain of trust exists and this answer breaks it: not to be given to anybody who didn't ask for it.
    Bogus,
    /// Not looked at.
    Unchecked,
}

impl Security {
    pub const ALL: [Self; 4] = [Self::Secure, Self::Insecure, Self::Bogus, Self::Unchecked];

    /// The word used in logs and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
            Self::Unchecked => "unchecked",
        }
    }
}

impl Resolution {
    /// SERVFAIL and why.
    pub fn failed(ede: ExtendedError) -> Self {
        Self {
            rcode: Rcode::SERVFAIL,
            answer: Vec::new(),
            authority: Vec::new(),
            security: Security::Unchecked,
            ede: Some(ede),
            delegations: Vec::new(),
            unheard: false,
            server: None,
        }
    }
}
