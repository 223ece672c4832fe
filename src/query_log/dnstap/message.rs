//! One event as a dnstap payload: protobuf by the schema `dnstap.proto`, in its terms.
//!
//! Written here field by field straight into the caller's buffer, since generated types would own a copy of every
//! message.

mod read;

pub use read::{DecodeError, decode, version};

use crate::dns::Transport;
use prost::encoding::{WireType, encode_varint, encoded_len_varint};
use smallvec::SmallVec;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

/// Dnstap.Type of a payload that holds a message. There is no other.
const MESSAGE: i32 = 1;
/// SocketFamily.
const INET: u64 = 1;
const INET6: u64 = 2;

/// Microseconds a second.
const SECOND: i64 = 1_000_000;

/// What was seen of a DNS message. Octets and texts are empty where there is nothing to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    pub kind: Kind,
    /// `None` for what is neither, such as DNS over QUIC. What is encrypted counts as what it runs over.
    pub transport: Option<Transport>,
    /// Who asked: the client, or this resolver. Port 0 where it isn't known.
    pub query_address: Option<SocketAddr>,
    /// Who was asked: this resolver, or a name server.
    pub response_address: Option<SocketAddr>,
    /// When the query was received or sent: microseconds since 1970 (UTC). What was before is not written.
    pub query_time: Option<i64>,
    /// The same of the response.
    pub response_time: Option<i64>,
    /// In wire form.
    pub query: Cow<'a, [u8]>,
    /// In wire form.
    pub response: Cow<'a, [u8]>,
    /// The zone whose name servers were asked: a name in wire form.
    pub zone: Cow<'a, [u8]>,
    /// What a policy did.
    pub policy: Option<PolicyApplied<'a>>,
    /// Any text: the schema leaves it to whoever writes. See [`Extra`] for what this program does.
    pub extra: Cow<'a, [u8]>,
}

/// What this program tells beside a client's message, in words: `privacy=prefix;group=guests`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extra<'a> {
    /// The address is that of the client's network.
    pub is_network: bool,
    /// The name of the client's group; empty: not told.
    pub group: &'a str,
}

impl<'a> Extra<'a> {
    const NETWORK: &'static str = "privacy=prefix";
    const GROUP: &'static str = "group=";

    /// As it is written.
    pub fn text(&self) -> String {
        let network = if self.is_network { Self::NETWORK } else { "" };
        let semicolon = if self.is_network && !self.group.is_empty() { ";" } else { "" };
        let key = if self.group.is_empty() { "" } else { Self::GROUP };
        format!("{network}{semicolon}{key}{}", self.group)
    }

    /// What such a text says; nothing if it is none.
    pub fn read(text: &'a [u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let (is_network, rest) = match text.strip_prefix(Self::NETWORK) {
            Some(rest) => (true, rest.strip_prefix(';').unwrap_or_default()),
            None => (false, text),
        };
        Self { is_network, group: rest.strip_prefix(Self::GROUP).unwrap_or_default() }
    }
}

/// An event that borrows nothing.
pub type OwnedEvent = Event<'static>;

/// Which message it was, and from which side it was seen: always this resolver's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Sent to a name server.
    ResolverQuery = 3,
    /// Received from a name server.
    ResolverResponse = 4,
    /// Received from a client.
    ClientQuery = 5,
    /// Sent to a client.
    ClientResponse = 6,
}

/// A policy and what it did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyApplied<'a> {
    /// What sort of policy, such as `RPZ`.
    pub kind: Cow<'a, str>,
    /// The rule that matched, as text; in an RPZ of other programs the owner's name in wire form.
    pub rule: Cow<'a, [u8]>,
    pub action: Option<Action>,
    pub matched: Option<Matched>,
    /// What matched; its form depends on `matched`.
    pub value: Cow<'a, [u8]>,
}

/// What a policy did (Policy.Action).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    NxDomain = 1,
    NoData = 2,
    Pass = 3,
    Drop = 4,
    Truncate = 5,
    LocalData = 6,
}

/// What about a message a policy's rule matched (Policy.Match).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Matched {
    Qname = 1,
    ClientIp = 2,
    ResponseIp = 3,
    NsName = 4,
    NsIp = 5,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::ResolverQuery, Self::ResolverResponse, Self::ClientQuery, Self::ClientResponse];

    /// The schema's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ResolverQuery => "RESOLVER_QUERY",
            Self::ResolverResponse => "RESOLVER_RESPONSE",
            Self::ClientQuery => "CLIENT_QUERY",
            Self::ClientResponse => "CLIENT_RESPONSE",
        }
    }
}

impl Action {
    pub const ALL: [Self; 6] = [Self::NxDomain, Self::NoData, Self::Pass, Self::Drop, Self::Truncate, Self::LocalData];
}

impl Matched {
    pub const ALL: [Self; 5] = [Self::Qname, Self::ClientIp, Self::ResponseIp, Self::NsName, Self::NsIp];
}

impl Event<'_> {
    /// An event of which nothing more is known.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            transport: None,
            query_address: None,
            response_address: None,
            query_time: None,
            response_time: None,
            query: Cow::default(),
            response: Cow::default(),
            zone: Cow::default(),
            policy: None,
            extra: Cow::default(),
        }
    }
}

/// Appends an event as a payload to `out`. `identity` and `version` name this server and its program; empty, they are
/// left out. Allocates nothing if `out` has room.
pub fn encode(event: &Event<'_>, identity: &[u8], version: &[u8], out: &mut Vec<u8>) {
    let addresses = [event.query_address, event.response_address];
    // There is one family for both: an IPv4 address beside an IPv6 one is written as a mapped one.
    let is_ipv6 = addresses.iter().flatten().any(SocketAddr::is_ipv6);
    let family = if is_ipv6 { INET6 } else { INET };
    let [query_address, response_address] = addresses.map(|address| address_octets(address, is_ipv6));
    let [query_port, response_port] = addresses.map(|address| address.map_or(0, |address| u64::from(address.port())));
    let [(query_seconds, query_nanos), (response_seconds, response_nanos)] =
        [event.query_time, event.response_time].map(time_fields);
    let applied = event.policy.as_ref().map(policy_fields);
    let message = [
        (1, Field::Number(event.kind as u64)),
        (2, addresses.iter().flatten().next().map_or(Field::Absent, |_| Field::Number(family))),
        (3, event.transport.map_or(Field::Absent, |transport| Field::Number(protocol(transport)))),
        (4, Field::Octets(&query_address)),
        (5, Field::Octets(&response_address)),
        (6, if query_port == 0 { Field::Absent } else { Field::Number(query_port) }),
        (7, if response_port == 0 { Field::Absent } else { Field::Number(response_port) }),
        (8, query_seconds),
        (9, query_nanos),
        (10, Field::Octets(&event.query)),
        (11, Field::Octets(&event.zone)),
        (12, response_seconds),
        (13, response_nanos),
        (14, Field::Octets(&event.response)),
        (15, applied.as_ref().map_or(Field::Absent, |fields| Field::Nested(fields))),
    ];
    let payload = [
        (1, Field::Octets(identity)),
        (2, Field::Octets(version)),
        (3, Field::Octets(&event.extra)),
        (14, Field::Nested(&message)),
        (15, Field::Number(MESSAGE as u64)),
    ];
    put(&payload, out);
}

/// A field's number, which is 15 at most, and its value.
type Tagged<'a> = (u8, Field<'a>);

/// A field's value as it is written.
#[derive(Clone, Copy)]
enum Field<'a> {
    /// It is left out.
    Absent,
    Number(u64),
    /// `fixed32`.
    Fixed(u32),
    /// Left out if empty.
    Octets(&'a [u8]),
    /// A message of its own.
    Nested(&'a [Tagged<'a>]),
}

/// Octets that fields take.
fn length(fields: &[Tagged<'_>]) -> usize {
    let after_length = |length: usize| 1 + encoded_len_varint(length as u64) + length;
    let length = |(_, field): &Tagged<'_>| match field {
        Field::Absent | Field::Octets([]) => 0,
        Field::Number(number) => 1 + encoded_len_varint(*number),
        Field::Fixed(_) => 5,
        Field::Octets(octets) => after_length(octets.len()),
        Field::Nested(fields) => after_length(length(fields)),
    };
    fields.iter().map(length).sum()
}

fn put(fields: &[Tagged<'_>], out: &mut Vec<u8>) {
    for (tag, field) in fields {
        // With a number this small the key is one octet.
        let key = |wire_type: WireType| tag << 3 | wire_type as u8;
        match field {
            Field::Absent | Field::Octets([]) => {}
            Field::Number(number) => {
                out.push(key(WireType::Varint));
                put_number(*number, out);
            }
            Field::Fixed(number) => {
                out.push(key(WireType::ThirtyTwoBit));
                out.extend_from_slice(&number.to_le_bytes());
            }
            Field::Octets(octets) => {
                out.push(key(WireType::LengthDelimited));
                put_number(octets.len() as u64, out);
                out.extend_from_slice(octets);
            }
            Field::Nested(fields) => {
                out.push(key(WireType::LengthDelimited));
                put_number(length(fields) as u64, out);
                put(fields, out);
            }
        }
    }
}

/// Most numbers are small, and one octet then.
fn put_number(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(octet) if octet < 0x80 => out.push(octet),
        _ => encode_varint(number, out),
    }
}

fn policy_fields<'a>(policy: &'a PolicyApplied<'_>) -> [Tagged<'a>; 5] {
    [
        (1, Field::Octets(policy.kind.as_bytes())),
        (2, Field::Octets(&policy.rule)),
        (3, policy.action.map_or(Field::Absent, |action| Field::Number(action as u64))),
        (4, policy.matched.map_or(Field::Absent, |matched| Field::Number(matched as u64))),
        (5, Field::Octets(&policy.value)),
    ]
}

/// Seconds, and nanoseconds beyond them.
fn time_fields(time: Option<i64>) -> (Field<'static>, Field<'static>) {
    let Some(Ok(micros)) = time.map(u64::try_from) else {
        return (Field::Absent, Field::Absent);
    };
    let second = SECOND as u64;
    (Field::Number(micros / second), Field::Fixed((micros % second) as u32 * 1000))
}

fn address_octets(address: Option<SocketAddr>, is_ipv6: bool) -> SmallVec<[u8; 16]> {
    match address.map(|address| address.ip()) {
        None => SmallVec::new(),
        Some(IpAddr::V4(ip)) if is_ipv6 => SmallVec::from(ip.to_ipv6_mapped().octets()),
        Some(IpAddr::V4(ip)) => SmallVec::from_slice(&ip.octets()),
        Some(IpAddr::V6(ip)) => SmallVec::from(ip.octets()),
    }
}

/// SocketProtocol.
fn protocol(transport: Transport) -> u64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    }
}

#[cfg(test)]
mod tests;
