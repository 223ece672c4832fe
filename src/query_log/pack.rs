//! Queries as octets, for the short way from whoever answers to whoever writes. Only this process reads them: `unpack`.
//!
//! Numbers are little-endian. A piece is its length (4), what it is (1), then fixed fields; of a query then the name in
//! wire form, what programs said and what of that was overruled, the rules that aren't on names as texts, what the answer
//! led to, and, if asked for, the packets.

use crate::{
    dns::{Name, Question, Transport},
    policy::{Link, Outcome, ProgramVerdict, Reached},
    query::{QueryRecord, answer_links},
    resolve::Exchange,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

/// Stands for "none" in fields of two octets, and of one.
pub(super) const NONE: u16 = u16::MAX;
const NONE_SHORT: u8 = u8::MAX;
/// Octets of what one program said: outcome, bits of [`said`], trigger, link, labels, scope, list (2), line (4).
pub(super) const SAID_BYTES: usize = 12;
/// Links of one query that are packed: their count is an octet.
const LINKS_MAX: usize = 254;

/// Programs whose word on one query is packed: their count is an octet.
const SAID_MAX: usize = u8::MAX as usize;

/// What is packed of a query besides its record.
#[derive(Clone, Copy, Default)]
pub struct Packing<'a> {
    /// What the answer led to is packed too, where it was resolved.
    pub answers: bool,
    /// The query and its response as they went over the wire.
    pub packets: Option<(&'a [u8], &'a [u8])>,
}
pub(super) mod flag {
    pub(in crate::query_log) const BYPASS: u8 = 1;
    pub(in crate::query_log) const DROPPED: u8 = 2;
    pub(in crate::query_log) const TCP: u8 = 4;
    pub(in crate::query_log) const QUESTION: u8 = 8;
    pub(in crate::query_log) const PACKETS: u8 = 16;
    /// Where the answer led to is to be kept; without it, what stands there only names rules.
    pub(in crate::query_log) const ANSWERS: u8 = 32;
    /// Who answered is known.
    pub(in crate::query_log) const SERVER: u8 = 64;
}

/// Bits of what one program said.
pub(super) mod said {
    pub(in crate::query_log) const ACTED: u8 = 1;
    /// Its rule looks at who asks.
    pub(in crate::query_log) const BY_CLIENT: u8 = 2;
}

/// What a piece is.
pub(super) mod piece {
    pub(in crate::query_log) const QUERY: u8 = 0;
    pub(in crate::query_log) const EXCHANGE: u8 = 1;
}

/// Appends a question to another server, and what came of it.
pub fn pack_exchange(exchange: &Exchange<'_>, base: Instant, out: &mut Vec<u8>) {
    let start = begin(piece::EXCHANGE, out);
    for time in [exchange.began, exchange.ended] {
        out.extend_from_slice(&(time.saturating_duration_since(base).as_micros() as u64).to_le_bytes());
    }
    pack_server(exchange.server, out);
    out.extend_from_slice(&[u8::from(exchange.tcp), u8::from(exchange.response.is_some())]);
    pack_packets(exchange.question, exchange.response.unwrap_or_default(), out);
    end(start, out);
}

/// Begins a piece, and returns where.
fn begin(kind: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    start
}

/// Ends the piece that began there.
fn end(start: usize, out: &mut [u8]) {
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn set(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

fn pack_address(address: IpAddr, out: &mut Vec<u8>) {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    out.extend_from_slice(&address.octets());
}

fn pack_server(server: SocketAddr, out: &mut Vec<u8>) {
    pack_address(server.ip(), out);
    out.extend_from_slice(&server.port().to_le_bytes());
}

fn pack_packets(query: &[u8], response: &[u8], out: &mut Vec<u8>) {
    for packet in [query, response] {
        out.extend_from_slice(&(packet.len() as u32).to_le_bytes());
        out.extend_from_slice(packet);
    }
}

/// Appends a query.
pub fn pack(record: &QueryRecord<'_>, base: Instant, packing: &Packing<'_>, out: &mut Vec<u8>) {
    let start = begin(piece::QUERY, out);
    let answered = record.received.saturating_duration_since(base) + record.latency;
    out.extend_from_slice(&(answered.as_micros() as u64).to_le_bytes());
    out.extend_from_slice(&(record.latency.as_micros().min(u128::from(u32::MAX)) as u32).to_le_bytes());
    pack_address(record.client, out);
    let flags = set(record.bypass, flag::BYPASS)
        | set(record.dropped, flag::DROPPED)
        | set(record.transport == Transport::Tcp, flag::TCP)
        | set(record.question.is_some(), flag::QUESTION)
        | set(packing.packets.is_some(), flag::PACKETS)
        | set(packing.answers, flag::ANSWERS)
        | set(record.server.is_some(), flag::SERVER);
    let cache = record.cache.map_or(NONE_SHORT, |cache| cache as u8);
    let security = record.security.map_or(NONE_SHORT, |security| security as u8);
    out.extend_from_slice(&[flags, cache, security, record.upstream.unwrap_or(NONE_SHORT)]);
    for number in [record.rcode.0, record.ede.unwrap_or(NONE), record.verdict.group] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&record.policy.map_or(0, |policy| policy.epoch()).to_le_bytes());
    if let Some(server) = record.server {
        pack_server(server, out);
    }
    if let Some(Question { name, rr_type, .. }) = record.question {
        out.extend_from_slice(&rr_type.0.to_le_bytes());
        pack_name(name, out);
    }
    pack_verdict(record, out);
    pack_links(&record.links, out);
    match record.answer.as_ref().zip(record.question).filter(|_| packing.answers) {
        Some((answer, question)) => pack_links(&answer_links(question, &answer.answer), out),
        None => out.push(0),
    }
    if let Some((query, response)) = packing.packets {
        pack_packets(query, response, out);
    }
    end(start, out);
}

fn pack_name(name: &Name, out: &mut Vec<u8>) {
    let wire = name.as_wire();
    out.push(wire.len() as u8);
    out.extend_from_slice(wire);
}

fn pack_verdict(record: &QueryRecord<'_>, out: &mut Vec<u8>) {
    let verdict = &record.verdict;
    out.extend_from_slice(&verdict.owner.map_or(NONE, |pass| pass.exception).to_le_bytes());
    let said = verdict.programs.len().min(SAID_MAX);
    out.push(said as u8);
    out.push(verdict.overruled.len().min(SAID_MAX) as u8);
    let all = || verdict.programs.iter().take(SAID_MAX).chain(verdict.overruled.iter().take(SAID_MAX));
    let acts = verdict.block().map(|said| said.program).filter(|_| !verdict.is_owners());
    for (at, ProgramVerdict { program, outcome, cause }) in all().enumerate() {
        let acted = at < said && *outcome == Outcome::Block && acts == Some(*program);
        out.extend_from_slice(&[
            *outcome as u8,
            set(acted, said::ACTED) | set(cause.by_client, said::BY_CLIENT),
            cause.trigger as u8,
            cause.link,
            cause.labels,
            cause.scope as u8,
        ]);
        out.extend_from_slice(&(cause.list() as u16).to_le_bytes());
        out.extend_from_slice(&cause.line.to_le_bytes());
    }
    // A rule on a name is told by how much of the name it covers; of others only the policy knows what they are.
    for said in all().filter(|said| said.cause.labels == 0) {
        let start = out.len();
        out.push(0);
        if let Some(policy) = record.policy {
            policy.rule(&said.cause).tell(out);
        }
        // A rule is told in as many octets as that has room for.
        out[start] = (out.len() - start - 1) as u8;
    }
}

fn pack_links(links: &[Link], out: &mut Vec<u8>) {
    let links = &links[..links.len().min(LINKS_MAX)];
    out.push(links.len() as u8);
    for link in links {
        out.push(link.trigger as u8);
        match &link.what {
            Reached::Name(name) => pack_name(name, out),
            Reached::Address(address) => {
                out.push(0);
                pack_address(*address, out);
            }
        }
    }
}
