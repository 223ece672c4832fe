//! Reads payloads, by generated types: bad input is better left to a parser that many others use.
//!
//! Read is only what this resolver writes: the identity and the version of HTTP are skipped.

use super::{Action, Event, Kind, MESSAGE, Matched, OwnedEvent, PolicyApplied, SECOND};
use crate::dns::Transport;
use prost::Message as _;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

/// Why a payload is no event.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("it is no dnstap payload: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("it holds no message (its type is {0})")]
    NoMessage(i32),
    #[error("messages of type {0} are not read; 3 to 6 are, those of a resolver and its clients")]
    Kind(i32),
    #[error("an address of {0} octets")]
    Address(usize),
    #[error("port {0}, but ports end at 65535")]
    Port(u32),
    #[error("a time that is no time: {seconds} s and {nanoseconds} ns since 1970")]
    Time { seconds: u64, nanoseconds: u32 },
}

/// Reads a payload.
pub fn decode(payload: &[u8]) -> Result<OwnedEvent, DecodeError> {
    let read = PayloadRead::decode(payload)?;
    let message = match read.message {
        Some(message) if read.payload_type == Some(MESSAGE) => message,
        _ => return Err(DecodeError::NoMessage(read.payload_type.unwrap_or_default())),
    };
    let number = message.message_type.unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| *kind as i32 == number).ok_or(DecodeError::Kind(number))?;
    Ok(Event {
        kind,
        transport: message.socket_protocol.and_then(transport),
        query_address: address(message.query_address, message.query_port)?,
        response_address: address(message.response_address, message.response_port)?,
        query_time: time(message.query_seconds, message.query_nanoseconds)?,
        response_time: time(message.response_seconds, message.response_nanoseconds)?,
        query: octets(message.query),
        response: octets(message.response),
        zone: octets(message.zone),
        policy: message.policy.map(|policy| PolicyApplied {
            kind: Cow::Owned(policy.policy_type.unwrap_or_default()),
            rule: octets(policy.rule),
            // What a later schema adds is as good as not said.
            action: Action::ALL.into_iter().find(|action| Some(*action as i32) == policy.action),
            matched: Matched::ALL.into_iter().find(|matched| Some(*matched as i32) == policy.matched),
            value: octets(policy.value),
        }),
        extra: octets(read.extra),
    })
}

/// The version of the program that wrote a payload; empty if it doesn't tell.
pub fn version(payload: &[u8]) -> Vec<u8> {
    VersionRead::decode(payload).ok().and_then(|read| read.version).unwrap_or_default()
}

/// What a SocketProtocol runs over: UDP, TCP, DOT, DOH, DNSCryptUDP, DNSCryptTCP.
fn transport(protocol: i32) -> Option<Transport> {
    match protocol {
        1 | 5 => Some(Transport::Udp),
        2 | 3 | 4 | 6 => Some(Transport::Tcp),
        _ => None,
    }
}

/// An address by its length, whatever family was said.
fn address(octets: Option<Vec<u8>>, port: Option<u32>) -> Result<Option<SocketAddr>, DecodeError> {
    let Some(octets) = octets else {
        return Ok(None);
    };
    let ip = match octets[..] {
        [] => return Ok(None),
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(octets).map_err(|octets| DecodeError::Address(octets.len()))?),
    };
    let port = port.unwrap_or_default();
    Ok(Some(SocketAddr::new(ip, u16::try_from(port).map_err(|_| DecodeError::Port(port))?)))
}

/// Microseconds since 1970.
fn time(seconds: Option<u64>, nanoseconds: Option<u32>) -> Result<Option<i64>, DecodeError> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let nanoseconds = nanoseconds.unwrap_or_default();
    let whole = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(SECOND));
    let time = whole.and_then(|whole| whole.checked_add(i64::from(nanoseconds / 1000)));
    let time = time.filter(|_| nanoseconds < 1_000_000_000);
    time.map(Some).ok_or(DecodeError::Time { seconds, nanoseconds })
}

fn octets(octets: Option<Vec<u8>>) -> Cow<'static, [u8]> {
    Cow::Owned(octets.unwrap_or_default())
}

/// `Dnstap` as it is read. What must be there is optional here: a missing field would be read as 0.
#[derive(Clone, PartialEq, prost::Message)]
struct PayloadRead {
    #[prost(bytes = "vec", optional, tag = "3")]
    extra: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<MessageRead>,
    #[prost(int32, optional, tag = "15")]
    payload_type: Option<i32>,
}

/// What of `Dnstap` tells who wrote it.
#[derive(Clone, PartialEq, prost::Message)]
struct VersionRead {
    #[prost(bytes = "vec", optional, tag = "2")]
    version: Option<Vec<u8>>,
}

/// `Message` as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct MessageRead {
    #[prost(int32, optional, tag = "1")]
    message_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_seconds: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_nanoseconds: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "11")]
    zone: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_seconds: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_nanoseconds: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response: Option<Vec<u8>>,
    #[prost(message, optional, tag = "15")]
    policy: Option<PolicyRead>,
}

/// `Policy` as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct PolicyRead {
    #[prost(string, optional, tag = "1")]
    policy_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    rule: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    action: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    matched: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "5")]
    value: Option<Vec<u8>>,
}
