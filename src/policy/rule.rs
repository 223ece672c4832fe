//! Rules: what one line of a list means.

use crate::dns::{Name, Rcode, RrType};
use ipnet::IpNet;
use std::sync::Arc;

/// One rule, as it stands on one line of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    pub effect: Effect,
    /// Beats rules without it (AdBlock's `$important`).
    pub important: bool,
    pub action: Action,
    pub matcher: Matcher,
    /// `None`: it holds for every question and client.
    pub conditions: Option<Box<Conditions>>,
    /// Line number in the list, from 1.
    pub line: u32,
}

impl Rule {
    /// A plain rule on a name: no modifier, the program's own action.
    pub fn on_name(effect: Effect, scope: Scope, name: Name, line: u32) -> Self {
        Self::new(effect, Matcher::Name { scope, name }, line)
    }

    /// A rule without modifiers, with the program's own action.
    pub fn new(effect: Effect, matcher: Matcher, line: u32) -> Self {
        Self { effect, important: false, action: Action::Given, matcher, conditions: None, line }
    }
}

/// What a matching rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    Block,
    /// Lets pass what other rules of the same program block.
    Except,
}

/// What becomes of a question that a rule blocks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// What the program says.
    Given,
    /// NOERROR with an empty answer section.
    NoData,
    /// This code and no data: NXDOMAIN, REFUSED …
    Code(Rcode),
    /// No answer.
    Drop,
    /// Over UDP an empty answer with TC, over TCP it passes.
    TcpOnly,
    /// The list's own answer.
    Rewrite(Arc<LocalData>),
}

/// An answer that a list gives in place of the real one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LocalData {
    /// Records by type, in the order of the list; types that are not there are answered with NODATA.
    pub records: Vec<LocalRecord>,
    /// Stands for every type that has no record of its own.
    pub alias: Option<AliasTarget>,
    /// Seconds that the alias lives; `None`: as long as a block.
    pub alias_ttl: Option<u32>,
}

/// One record of an answer that a list gives; its owner is the name asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LocalRecord {
    pub rr_type: RrType,
    /// Seconds; `None`: as long as a block.
    pub ttl: Option<u32>,
    /// Uncompressed wire form.
    pub data: Vec<u8>,
}

/// Where a list's CNAME leads.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AliasTarget {
    Name(Box<Name>),
    /// The name asked, put before this one (RPZ's `CNAME *.garden.example`).
    Below(Box<Name>),
}

/// What a rule looks at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are names, and a rule is packed as soon as it is read")]
pub enum Matcher {
    /// The name asked and the aliases it leads to.
    Name { scope: Scope, name: Name },
    /// The same, by their text.
    Pattern(Pattern),
    /// Addresses in the answer, those in hints of HTTPS and SVCB records included.
    Address(Place),
    /// Names of the name servers of the zones that answered.
    NsName { scope: Scope, name: Box<Name> },
    /// Addresses of those name servers.
    NsAddress(Place),
    /// The client itself.
    Client(IpNet),
}

/// Which names a rule's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// That name alone.
    Exact,
    /// That name and every name below it.
    Subtree,
    /// Every name below it, not the name itself.
    Below,
}

impl Scope {
    /// True if a rule of this scope matches a name that has `below` labels more than the rule's own.
    pub fn covers(self, below: usize) -> bool {
        match self {
            Self::Exact => below == 0,
            Self::Subtree => true,
            Self::Below => below > 0,
        }
    }

    /// What stands before a name of this scope in our own format.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Exact => "=",
            Self::Subtree => "",
            Self::Below => "*.",
        }
    }
}

/// A pattern over the text of a name: lower case, without the final dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Pattern {
    /// AdBlock's: `*` stands for anything. Anchors: `|` at the start and end, `||` at the start of any label, `^` at
    /// the end (a name has no other separator).
    Glob { start: Anchor, text: String, end: bool },
    /// A regular expression, found anywhere in the name unless it says otherwise.
    Regex(String),
}

/// Where a glob may begin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Anchor {
    Anywhere,
    /// At the start of the name.
    Start,
    /// At the start of a label.
    Label,
}

/// Where an address lies.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Net(IpNet),
    /// Announced by this autonomous system.
    Asn(u32),
    /// In this country (ISO 3166-1 alpha-2, upper case).
    Country([u8; 2]),
    /// In none of these, as far as can be known: an address that the databases don't know is not outside.
    Outside(Arc<[Place]>),
}

impl Place {
    /// Whether a database of autonomous systems, and one of countries, is needed to tell.
    pub fn databases(&self) -> (bool, bool) {
        match self {
            Self::Net(_) => (false, false),
            Self::Asn(_) => (true, false),
            Self::Country(_) => (false, true),
            Self::Outside(places) => {
                places.iter().map(Self::databases).fold((false, false), |(a, b), (c, d)| (a || c, b || d))
            }
        }
    }
}

/// When a rule holds. Empty parts demand nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Conditions {
    /// Types asked (`$dnstype`): true: only these; false: all but these.
    pub types: Option<(bool, Vec<RrType>)>,
    /// Clients (`$client`): any of those with true, none of those with false.
    pub clients: Vec<(bool, ClientIs)>,
    /// Tags of the client's group (`$ctag`), likewise.
    pub tags: Vec<(bool, String)>,
    /// Names, with all below them, for which the rule does not hold (`$denyallow`).
    pub denyallow: Vec<Name>,
}

impl Conditions {
    /// Puts the values of each in the one order that they are compared in: those that hold first. Types are in theirs
    /// from the start.
    pub fn sort(&mut self) {
        self.clients.sort_by_cached_key(|(holds, who)| (!holds, format!("{who:?}")));
        self.tags.sort_by(|(holds, tag), (other_holds, other)| (!holds, tag).cmp(&(!other_holds, other)));
        self.denyallow.sort_by(|a, b| a.as_wire().cmp(b.as_wire()));
    }
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ClientIs {
    Net(IpNet),
    /// A client id, or the name of its group.
    Id(String),
}
