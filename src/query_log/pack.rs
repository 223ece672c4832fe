//! Queries as octets, for the short way from whoever answers to whoever writes. Only this process reads them.
//!
//! Numbers are little-endian. A query is its length (4), then fixed fields, then the name in wire form, what programs
//! said, what the answer led to, and, if asked for, the packets.

use super::row::{Row, Said, Verdicts};
use crate::{
    dns::{Name, Question, Rcode, RrType, Transport},
    policy::{Link, Outcome, Policy, Reached, Role, Scope, Trigger},
    query::{CacheUse, QueryRecord, answer_links},
    resolve::{Exchange, Security},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

/// Stands for "none" in fields of two octets, and of one.
const NONE: u16 = u16::MAX;
const NONE_SHORT: u8 = u8::MAX;
/// Verdicts that are remembered by a reader at most, to be shared by rows.
const VERDICTS_MAX: usize = 1 << 12;
/// Links of one query that are packed: their count is an octet.
const LINKS_MAX: usize = 254;

/// What is packed of a query besides its record.
#[derive(Clone, Copy, Default)]
pub struct Packing<'a> {
    /// What the answer led to is packed too, where it was resolved.
    pub answers: bool,
    /// The query and its response as they went over the wire.
    pub packets: Option<(&'a [u8], &'a [u8])>,
}

mod flag {
    pub(super) const BYPASS: u8 = 1;
    pub(super) const DROPPED: u8 = 2;
    pub(super) const TCP: u8 = 4;
    pub(super) const QUESTION: u8 = 8;
    pub(super) const PACKETS: u8 = 16;
}

/// What a piece is.
mod piece {
    pub(super) const QUERY: u8 = 0;
    pub(super) const EXCHANGE: u8 = 1;
}

/// Appends a question to another server, and what came of it.
pub fn pack_exchange(exchange: &Exchange<'_>, base: Instant, out: &mut Vec<u8>) {
    let start = begin(piece::EXCHANGE, out);
    for time in [exchange.began, exchange.ended] {
        out.extend_from_slice(&(time.saturating_duration_since(base).as_micros() as u64).to_le_bytes());
    }
    pack_address(exchange.server.ip(), out);
    out.extend_from_slice(&exchange.server.port().to_le_bytes());
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

fn pack_address(address: IpAddr, out: &mut Vec<u8>) {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    out.extend_from_slice(&address.octets());
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
    let set = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let flags = set(record.bypass, flag::BYPASS)
        | set(record.dropped, flag::DROPPED)
        | set(record.transport == Transport::Tcp, flag::TCP)
        | set(record.question.is_some(), flag::QUESTION)
        | set(packing.packets.is_some(), flag::PACKETS);
    let cache = record.cache.map_or(NONE_SHORT, |cache| cache as u8);
    let security = record.security.map_or(NONE_SHORT, |security| security as u8);
    out.extend_from_slice(&[flags, cache, security, record.upstream.unwrap_or(NONE_SHORT)]);
    for number in [record.rcode.0, record.ede.unwrap_or(NONE), record.verdict.group] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&record.policy.map_or(0, |policy| policy.epoch()).to_le_bytes());
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
    out.push(verdict.programs.len().min(usize::from(u8::MAX)) as u8);
    let acts = verdict.block().map(|said| said.program).filter(|_| !verdict.is_owners());
    for said in verdict.programs.iter().take(usize::from(u8::MAX)) {
        let acted = said.outcome == Outcome::Block && acts == Some(said.program);
        let cause = &said.cause;
        out.extend_from_slice(&[
            said.outcome as u8,
            u8::from(acted),
            cause.trigger as u8,
            cause.link,
            cause.labels,
            cause.scope as u8,
        ]);
        out.extend_from_slice(&(cause.list() as u16).to_le_bytes());
        out.extend_from_slice(&cause.line.to_le_bytes());
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

/// The names that one policy gave things.
#[derive(Debug, Default)]
pub struct PolicyNames {
    epoch: u64,
    lists: Vec<ListNames>,
    groups: Vec<Arc<str>>,
    owner: Vec<Arc<str>>,
}

#[derive(Debug)]
struct ListNames {
    program: Arc<str>,
    service: Arc<str>,
    list: Arc<str>,
    version: Arc<str>,
}

impl PolicyNames {
    pub fn of(policy: &Policy) -> Self {
        let lists = policy.lists().iter().map(|list| ListNames {
            program: match list.role {
                Role::Program(program) => policy.programs()[program].name.as_str().into(),
                Role::Owner(_) => "".into(),
            },
            service: list.service.as_str().into(),
            list: list.name.as_str().into(),
            version: format!("{:016x}", list.version).into(),
        });
        Self {
            epoch: policy.epoch(),
            lists: lists.collect(),
            groups: (0..=policy.groups().len()).map(|group| policy.group_name(group as u16).into()).collect(),
            owner: policy.owner_exceptions().iter().map(|exception| exception.place.as_str().into()).collect(),
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Something that was packed.
pub enum Packed<'p> {
    Query(PackedQuery<'p>),
    Exchange(PackedExchange<'p>),
}

/// A query as it was packed.
pub struct PackedQuery<'p>(&'p [u8]);

/// A question to another server as it was packed.
pub struct PackedExchange<'p>(&'p [u8]);

/// A question to another server, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tapped<'p> {
    pub server: SocketAddr,
    pub transport: Transport,
    /// Microseconds since 1970.
    pub began: i64,
    pub ended: i64,
    pub question: &'p [u8],
    pub response: Option<&'p [u8]>,
}

/// The packets of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets<'p> {
    pub query: &'p [u8],
    /// Empty if there was none.
    pub response: &'p [u8],
}

/// What is in octets that `pack` and `pack_exchange` wrote.
pub fn unpack(mut octets: &[u8]) -> impl Iterator<Item = Packed<'_>> {
    std::iter::from_fn(move || {
        let (length, rest) = octets.split_first_chunk::<4>()?;
        let (own, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        octets = rest;
        let (kind, own) = own.split_first()?;
        Some(match *kind {
            piece::QUERY => Packed::Query(PackedQuery(own)),
            _ => Packed::Exchange(PackedExchange(own)),
        })
    })
}

impl<'p> PackedExchange<'p> {
    /// The exchange; `base` is what packed times count from, in microseconds since 1970.
    pub fn read(&self, base: i64) -> Option<Tapped<'p>> {
        let mut cursor = Cursor(self.0);
        let mut time = || cursor.array().map(|octets| base + u64::from_le_bytes(octets) as i64);
        let (began, ended) = (time()?, time()?);
        let server = SocketAddr::new(cursor.address()?, cursor.short()?);
        let [tcp, is_answered] = cursor.array()?;
        let Packets { query, response } = cursor.packets()?;
        let transport = if tcp == 1 { Transport::Tcp } else { Transport::Udp };
        Some(Tapped {
            server,
            transport,
            began,
            ended,
            question: query,
            response: (is_answered == 1).then_some(response),
        })
    }
}

/// What is read from, in order. Everything here was written by this process, so what is missing is a fault.
struct Cursor<'p>(&'p [u8]);

impl<'p> Cursor<'p> {
    fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn packets(&mut self) -> Option<Packets<'p>> {
        let mut packet = || {
            let length = self.long()? as usize;
            self.take(length)
        };
        Some(Packets { query: packet()?, response: packet()? })
    }

    fn address(&mut self) -> Option<IpAddr> {
        self.array::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
    }
}

/// Turns packed queries into rows.
pub struct Unpacker {
    /// Latest last.
    policies: Vec<Arc<PolicyNames>>,
    upstreams: Vec<Arc<str>>,
    /// Verdicts by what they were packed as, with the epoch of their policy and the names of their rules.
    verdicts: HashMap<Box<[u8]>, Arc<Verdicts>, foldhash::fast::RandomState>,
    pass: Arc<Verdicts>,
    default_group: Arc<str>,
    empty: Arc<str>,
    /// What stands for the names of a policy that nobody remembers.
    gone: Arc<str>,
    key: Vec<u8>,
}

impl Unpacker {
    /// `upstreams`: what the numbers of upstreams mean.
    pub fn new(upstreams: Vec<Arc<str>>) -> Self {
        Self {
            policies: Vec::new(),
            upstreams,
            verdicts: HashMap::default(),
            pass: Arc::default(),
            default_group: crate::config::DEFAULT_GROUP.into(),
            empty: "".into(),
            gone: "of a policy that is gone".into(),
            key: Vec::new(),
        }
    }

    /// The policies that queries may have been decided by.
    pub fn follow(&mut self, policies: &[Arc<PolicyNames>]) {
        if self.policies.last().map(|policy| policy.epoch) != policies.last().map(|policy| policy.epoch) {
            self.policies = policies.to_vec();
        }
    }

    /// The row of a query, its client as it is, and its packets. `base` is what packed times count from, in
    /// microseconds since 1970. `None` for octets that nobody packed.
    pub fn row<'p>(&mut self, packed: &PackedQuery<'p>, base: i64) -> Option<(Row, IpAddr, Option<Packets<'p>>)> {
        let mut cursor = Cursor(packed.0);
        let time = base + cursor.array().map(u64::from_le_bytes)? as i64;
        let micros = cursor.long()?;
        let client = cursor.address()?;
        let [flags, cache, security, upstream] = cursor.array()?;
        let (rcode, ede, group) = (cursor.short()?, cursor.short()?, cursor.short()?);
        let epoch = cursor.array().map(u64::from_le_bytes)?;
        let is_set = |bit| flags & bit != 0;
        let (mut wire, mut name, mut rr_type) = (&[][..], String::new(), RrType(0));
        if is_set(flag::QUESTION) {
            rr_type = RrType(cursor.short()?);
            wire = name_octets(&mut cursor)?;
            name = presentation(wire)?;
        }
        let said_at = cursor.0;
        let owner = cursor.short()?;
        let count = usize::from(cursor.octet()?);
        let said = cursor.take(count * SAID_BYTES)?;
        let said_at = &said_at[..3 + said.len()];
        let links = read_links(&mut cursor)?;
        let answer = read_links(&mut cursor)?;
        let policy = self.policies.iter().rev().find(|policy| policy.epoch == epoch).cloned();
        let verdicts = if count == 0 && owner == NONE {
            self.pass.clone()
        } else {
            self.verdicts(epoch, policy.as_deref(), said_at, wire, &links)?
        };
        let reached = if answer.is_empty() { links } else { answer };
        let packets = if is_set(flag::PACKETS) { Some(cursor.packets()?) } else { None };
        let group = policy.and_then(|policy| policy.groups.get(usize::from(group)).cloned());
        let mut row = Row {
            time,
            client: String::new(),
            group: group.unwrap_or_else(|| self.default_group.clone()),
            transport: if is_set(flag::TCP) { Transport::Tcp } else { Transport::Udp },
            name,
            rr_type,
            rcode: Rcode(rcode),
            ede: (ede != NONE).then_some(ede),
            micros,
            cache: CacheUse::ALL.get(usize::from(cache)).copied(),
            security: Security::ALL.get(usize::from(security)).copied(),
            upstream: self.upstreams.get(usize::from(upstream)).cloned(),
            bypass: is_set(flag::BYPASS),
            dropped: is_set(flag::DROPPED),
            verdicts,
            aliases: Vec::new(),
            addresses: Vec::new(),
        };
        for link in reached {
            match link {
                (Trigger::NsName | Trigger::NsAddress, _) => {}
                (_, Linked::Name(wire)) => row.aliases.push(presentation(wire)?),
                (_, Linked::Address(address)) => row.addresses.push(address),
            }
        }
        Some((row, client, packets))
    }

    /// What was said, shared by all queries of which the same was said.
    fn verdicts(
        &mut self,
        epoch: u64,
        policy: Option<&PolicyNames>,
        packed: &[u8],
        name: &[u8],
        links: &[(Trigger, Linked<'_>)],
    ) -> Option<Arc<Verdicts>> {
        let (owner, said) = packed.split_first_chunk::<2>()?;
        let owner = u16::from_le_bytes(*owner);
        let said = || said.get(1..).unwrap_or_default().chunks_exact(SAID_BYTES);
        self.key.clear();
        self.key.extend_from_slice(&epoch.to_le_bytes());
        self.key.extend_from_slice(packed);
        for said in said() {
            self.key.extend_from_slice(rule_name(said, name, links));
        }
        if let Some(verdicts) = self.verdicts.get(&self.key[..]) {
            return Some(verdicts.clone());
        }
        let owner = (owner != NONE).then(|| {
            let place = policy.and_then(|policy| policy.owner.get(usize::from(owner)).cloned());
            place.unwrap_or_else(|| self.gone.clone())
        });
        let said = said().map(|said| {
            let [outcome, acted, trigger, _, labels, scope] = *said.first_chunk::<6>()?;
            let list = u16::from_le_bytes([said[6], said[7]]);
            let line = u32::from_le_bytes([said[8], said[9], said[10], said[11]]);
            let list = policy.and_then(|policy| policy.lists.get(usize::from(list)));
            let of = |field: fn(&ListNames) -> &Arc<str>| list.map_or(&self.gone, field).clone();
            let rule = match labels {
                0 => self.empty.clone(),
                _ => {
                    let scope = [Scope::Exact, Scope::Subtree, Scope::Below].into_iter().nth(usize::from(scope))?;
                    format!("{}{}", scope.prefix(), presentation(rule_name(said, name, links))?).into()
                }
            };
            Some(Said {
                program: of(|list| &list.program),
                service: of(|list| &list.service),
                list: of(|list| &list.list),
                version: of(|list| &list.version),
                line,
                rule,
                trigger: *Trigger::ALL.get(usize::from(trigger))?,
                outcome: *Outcome::ALL.get(usize::from(outcome))?,
                acted: acted == 1,
            })
        });
        let verdicts = Arc::new(Verdicts { owner, said: said.collect::<Option<_>>()? });
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.clear();
        }
        self.verdicts.insert(self.key.clone().into(), verdicts.clone());
        Some(verdicts)
    }
}

/// Octets of what one program said.
const SAID_BYTES: usize = 12;

/// Something that an answer led to.
#[derive(Clone, Copy)]
enum Linked<'p> {
    /// In wire form.
    Name(&'p [u8]),
    Address(IpAddr),
}

/// The rule's own name, in wire form: so many rightmost labels of the name it matched.
fn rule_name<'p>(said: &[u8], name: &'p [u8], links: &[(Trigger, Linked<'p>)]) -> &'p [u8] {
    let (link, labels) = (usize::from(said[3]), usize::from(said[4]));
    let matched = match link.checked_sub(1).map(|link| links.get(link)) {
        None => name,
        Some(Some((_, Linked::Name(name)))) => name,
        Some(_) => return &[],
    };
    if labels == 0 {
        return &[];
    }
    let count = label_starts(matched).count();
    let start = label_starts(matched).nth(count.saturating_sub(labels)).unwrap_or(0);
    &matched[start..]
}

/// Where the labels of a name in wire form begin, the root's not among them.
fn label_starts(wire: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let length = usize::from(*wire.get(at).filter(|length| **length > 0)?);
        at += 1 + length;
        Some(start)
    })
}

fn name_octets<'p>(cursor: &mut Cursor<'p>) -> Option<&'p [u8]> {
    let length = usize::from(cursor.octet()?);
    cursor.take(length)
}

/// A name's presentation form.
fn presentation(wire: &[u8]) -> Option<String> {
    // Nearly all names are letters, digits and hyphens, which stand for themselves.
    let mut text = String::with_capacity(wire.len());
    for start in label_starts(wire) {
        let label = &wire[start + 1..start + 1 + usize::from(wire[start])];
        if !label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
            return Some(Name::from_wire(wire).ok()?.to_string());
        }
        if start > 0 {
            text.push('.');
        }
        label.iter().for_each(|&octet| text.push(char::from(octet)));
    }
    if text.is_empty() {
        text.push('.');
    }
    Some(text)
}

fn read_links<'p>(cursor: &mut Cursor<'p>) -> Option<Vec<(Trigger, Linked<'p>)>> {
    let count = cursor.octet()?;
    let mut links = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let trigger = *Trigger::ALL.get(usize::from(cursor.octet()?))?;
        let name = name_octets(cursor)?;
        links.push((trigger, if name.is_empty() { Linked::Address(cursor.address()?) } else { Linked::Name(name) }));
    }
    Some(links)
}
