//! One query as it is kept: plain and owned, with the names that its policy gave things.

use crate::{
    config::DEFAULT_GROUP,
    dns::{ExtendedError, Rcode, RrType, Transport},
    policy::{Outcome, Trigger, Verdict},
    query::CacheUse,
    resolve::Security,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// One query and its outcome.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// When it was answered: microseconds since 1970 (UTC).
    pub time: i64,
    /// As much as privacy leaves of who asked: an address, a network, a pseudonym, or nothing.
    pub client: String,
    /// The client's group; `default` for clients in none, empty if privacy keeps none.
    pub group: Arc<str>,
    pub transport: Transport,
    /// Presentation form in lower case without its final dot, `.` for the root; empty if the query couldn't be read.
    pub name: String,
    /// Of no meaning without a name.
    pub rr_type: RrType,
    pub rcode: Rcode,
    /// Extended DNS Error code given, if any.
    pub ede: Option<u16>,
    /// From reception to the finished response.
    pub micros: u32,
    /// `None` if no answer was looked for.
    pub cache: Option<CacheUse>,
    /// `None` if nothing was resolved.
    pub security: Option<Security>,
    /// Who was asked, if anybody was: `recursion`, or `forward` and the zone.
    pub upstream: Option<Arc<str>>,
    /// Which server gave the last link of the answer, if that is known: a forwarder, or one of the zone's.
    pub server: Option<SocketAddr>,
    /// The client looks for a way round this resolver, or uses one.
    pub bypass: bool,
    /// It got no answer, because a program says so.
    pub dropped: bool,
    pub verdicts: Arc<Verdicts>,
    /// Aliases that the name leads to, in order. Known when the answer was resolved, or when a rule looked at it.
    pub aliases: Vec<String>,
    /// Addresses in the answer, likewise, if they are to be kept.
    pub addresses: Vec<IpAddr>,
}

/// What is told of a query in sums, as bits.
pub mod kind {
    pub const BYPASS: u8 = 1;
    pub const DROPPED: u8 = 2;
    /// SERVFAIL.
    pub const FAILED: u8 = 4;
    /// Two bits: 0 if no answer was looked for, else one more than the place in [`CacheUse::ALL`].
    ///
    /// [`CacheUse::ALL`]: crate::query::CacheUse::ALL
    pub const CACHE: u8 = 8;
}

impl Row {
    /// What became of it.
    pub fn fate(&self) -> Fate {
        self.verdicts.fate().answered(self.rcode, self.cache)
    }

    /// The access list refused it (RFC 8914 §4.19), so no list was asked about it.
    pub fn is_prohibited(&self) -> bool {
        // Somebody else's answer may have that code too.
        self.ede == Some(ExtendedError::PROHIBITED) && self.fate() == Fate::Refused
    }

    /// Its bits of `kind`.
    pub fn kind(&self) -> u8 {
        let set = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        set(self.bypass, kind::BYPASS)
            | set(self.dropped, kind::DROPPED)
            | set(self.rcode == Rcode::SERVFAIL, kind::FAILED)
            | (self.cache.map_or(0, |cache| cache as u8 + 1) * kind::CACHE)
    }
}

impl Default for Row {
    /// A query for the root's addresses, of which nothing is known.
    fn default() -> Self {
        Self {
            time: 0,
            client: String::new(),
            group: DEFAULT_GROUP.into(),
            transport: Transport::Udp,
            name: ".".to_owned(),
            rr_type: RrType::A,
            rcode: Rcode::NOERROR,
            ede: None,
            micros: 0,
            cache: None,
            security: None,
            upstream: None,
            server: None,
            bypass: false,
            dropped: false,
            verdicts: Arc::default(),
            aliases: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

/// The port that servers are asked at unless another is told.
const PORT: u16 = 53;

/// A server as people write it: its address, with the port if it isn't the usual one.
pub fn shown_server(server: SocketAddr) -> String {
    if server.port() == PORT { server.ip().to_string() } else { server.to_string() }
}

/// The other way round.
pub(super) fn read_server(text: &str) -> Option<SocketAddr> {
    let address = || Some(SocketAddr::new(text.parse().ok()?, PORT));
    text.parse().ok().or_else(address)
}

/// Where a name led, as it is kept beside sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lead<'l> {
    Alias(&'l str),
    Address(IpAddr),
}

impl<'l> Lead<'l> {
    /// What was kept as text. No name of a host is an address: top-level domains aren't numbers.
    pub(super) fn of(text: &'l str) -> Self {
        text.parse().map_or(Self::Alias(text), Self::Address)
    }
}

/// A row as the source has it: one query, or alike ones put together.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    pub row: &'r Row,
    /// How many queries it stands for.
    pub count: u64,
    /// Time of the first of them, in microseconds since 1970 (UTC). It decides which day they are in.
    pub first: i64,
    pub last: i64,
    /// Group, type and transport of the row are those of all of them; false: of a sum that isn't kept.
    pub has_details: bool,
}

impl<'r> Seen<'r> {
    /// A row that stands for one query.
    pub fn one(row: &'r Row) -> Self {
        Self { row, count: 1, first: row.time, last: row.time, has_details: true }
    }
}

/// What all programs said of a query. Many queries share one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Verdicts {
    /// The owner's exception that matched, if one did.
    pub owner: Option<Owner>,
    /// In order of configuration.
    pub said: Vec<Said>,
    /// What was weighed against that and lost: what an exception lets pass that would be blocked but for it, or an exception
    /// that something else was stronger than. One of a program at most.
    pub overruled: Vec<Said>,
    /// Exceptions matched, and nothing would be blocked without them. Of records from before that was known it is false.
    pub needless: bool,
}

/// An exception of the owner's that matched.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Owner {
    /// Where it stands, as `file:line`.
    pub place: Arc<str>,
    /// By which of its names it matched: `example.com` with all below it, `=example.com`. Empty if that isn't known, or if it
    /// is by a list of it.
    pub rule: Arc<str>,
    /// Empty if none is given, or if it isn't known.
    pub reason: Arc<str>,
}

impl From<&str> for Owner {
    fn from(place: &str) -> Self {
        Self::at(place)
    }
}

impl Owner {
    /// Of which nothing else is known.
    pub fn at(place: impl Into<Arc<str>>) -> Self {
        Self { place: place.into(), ..Self::default() }
    }
}

/// What stands for a rule that looks at who asks, where privacy withholds it.
pub const RULE_WITHHELD: &str = "(client)";

/// What one program said.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Said {
    pub program: Arc<str>,
    pub service: Arc<str>,
    pub list: Arc<str>,
    /// The first 16 hexadecimal digits of the SHA-256 of the list's text.
    pub version: Arc<str>,
    /// Of the list, from 1; 0 where privacy withholds it, since the rule looks at who asks.
    pub line: u32,
    /// The rule: `example.com` with all below it, `=example.com`, `*.example.com`, `192.0.2.0/24`, `AS4134`, `country:CN`,
    /// `ns:example.net`, a pattern; [`RULE_WITHHELD`]. Empty if it isn't known.
    pub rule: Arc<str>,
    pub trigger: Trigger,
    pub outcome: Outcome,
    /// It set the answer: other programs may block as well, and only the first acts.
    pub acted: bool,
}

/// What became of a query, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    Blocked,
    /// Nobody blocked it, and a program in shadow would.
    WouldBlock,
    /// An exception let it pass, without which it would be blocked, or told as what would be.
    Excepted,
    Passed,
    /// It got an error at once, and no answer was looked for: who asked isn't admitted, the query isn't understood or of a
    /// kind that isn't served, or there was no room for it.
    Refused,
}

impl Fate {
    pub const ALL: [Self; 5] = [Self::Blocked, Self::WouldBlock, Self::Excepted, Self::Passed, Self::Refused];
    /// Those that a verdict alone can have.
    pub const DECIDED: [Self; 4] = [Self::Blocked, Self::WouldBlock, Self::Excepted, Self::Passed];

    /// The word used in logs, tables and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::WouldBlock => "would-block",
            Self::Excepted => "excepted",
            Self::Passed => "passed",
            Self::Refused => "refused",
        }
    }

    /// What a verdict says becomes of a query.
    pub fn of(verdict: &Verdict) -> Self {
        Self::from_said(verdict.programs.iter().map(|said| said.outcome), verdict.needs_exception())
    }

    /// What became of a query whose verdict says this, and that was answered so. `cache`: as in [`Row::cache`].
    pub fn answered(self, rcode: Rcode, cache: Option<CacheUse>) -> Self {
        let is_error = !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        if self == Self::Passed && is_error && cache.is_none() { Self::Refused } else { self }
    }

    /// The strongest of what was said; `excepted`: an exception matched without which it would be blocked.
    fn from_said(said: impl Iterator<Item = Outcome>, excepted: bool) -> Self {
        let mut would = false;
        for outcome in said {
            match outcome {
                Outcome::Block => return Self::Blocked,
                Outcome::WouldBlock => would = true,
                Outcome::Except => {}
            }
        }
        match (would, excepted) {
            (true, _) => Self::WouldBlock,
            (false, true) => Self::Excepted,
            (false, false) => Self::Passed,
        }
    }
}

impl Verdicts {
    /// What was said of a query, as it was decided.
    pub fn new(owner: Option<Owner>, said: Vec<Said>, overruled: Vec<Said>) -> Self {
        let verdicts = Self { owner, said, overruled, needless: false };
        let needed = verdicts.overruled.iter().any(|said| said.outcome != Outcome::Except);
        Self { needless: verdicts.fate() == Fate::Excepted && !needed, ..verdicts }
    }

    /// The same as it was told with what became of the query.
    pub fn told(owner: Option<Owner>, said: Vec<Said>, overruled: Vec<Said>, fate: Option<Fate>) -> Self {
        let verdicts = Self { owner, said, overruled, needless: false };
        let needless = matches!(fate, Some(Fate::Passed | Fate::Refused));
        Self { needless: needless && verdicts.fate() == Fate::Excepted, ..verdicts }
    }

    /// What became of a query that all this was said of, if it was answered: see [`Row::fate`].
    pub fn fate(&self) -> Fate {
        let by_list = || self.said.iter().any(|said| said.outcome == Outcome::Except);
        let excepted = !self.needless && (self.owner.is_some() || by_list());
        Fate::from_said(self.said.iter().map(|said| said.outcome), excepted)
    }

    /// What the owner let pass, and no exception of the program's own: it is excepted where the rule stands that was beaten.
    pub fn beaten(&self) -> impl Iterator<Item = &Said> {
        let is_told = |lost: &Said| self.said.iter().any(|said| said.program == lost.program);
        let lost = self.overruled.iter().filter(|_| self.owner.is_some());
        lost.filter(move |lost| lost.outcome != Outcome::Except && !is_told(lost))
    }

    /// Which of what was said decided that: what acted, else the first that says the same.
    pub fn decisive(&self) -> Option<usize> {
        let outcome = match self.fate() {
            Fate::Blocked => Outcome::Block,
            Fate::WouldBlock => Outcome::WouldBlock,
            Fate::Excepted => Outcome::Except,
            Fate::Passed | Fate::Refused => return None,
        };
        let is_it = |said: &Said| said.outcome == outcome;
        let acted = self.said.iter().position(|said| is_it(said) && said.acted);
        acted.or_else(|| self.said.iter().position(is_it))
    }
}
