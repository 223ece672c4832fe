//! Packed queries as rows.

mod octets;

use super::{
    names::{ListNames, OwnerNames, PolicyNames},
    pack::{NONE, SAID_BYTES, flag, piece, said as said_bits},
    row::{Owner, RULE_WITHHELD, Row, Said, Verdicts},
};
use crate::{
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Scope, Trigger},
    query::CacheUse,
    resolve::{Security, Upstreams},
};
use octets::{Cursor, LABELS_AT, Linked, matched, name_octets, presentation, read_links, rule_name};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Verdicts that are remembered by a reader at most, to be shared by rows.
const VERDICTS_MAX: usize = 1 << 12;

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

/// All that was packed of a query.
pub struct Unpacked<'p> {
    /// Without its client.
    pub row: Row,
    /// As it is.
    pub client: IpAddr,
    pub packets: Option<Packets<'p>>,
    /// What the rule that decided matched in the answer: a name in wire form, or the octets of an address. Empty if it
    /// looked at the question, if there are no packets beside which that is told, or if answers are not to be kept.
    pub matched: Vec<u8>,
}

/// What is in octets that `pack` wrote.
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
        let server = cursor.server()?;
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

/// Turns packed queries into rows.
pub struct Unpacker {
    /// Latest last.
    policies: Vec<Arc<PolicyNames>>,
    upstreams: Arc<Upstreams>,
    /// Verdicts by what they were packed as, with the epoch of their policy and the names of their rules.
    verdicts: HashMap<Box<[u8]>, Arc<Verdicts>, foldhash::fast::RandomState>,
    pass: Arc<Verdicts>,
    default_group: Arc<str>,
    /// What stands for the names of a policy that nobody remembers.
    gone: Arc<str>,
    key: Vec<u8>,
    tells_of_clients: bool,
}

impl Unpacker {
    /// `upstreams`: what the numbers of upstreams mean. `tells_of_clients`: rules that look at who asks are told as others
    /// are; else neither what such a rule says nor where it stands.
    pub fn new(upstreams: Arc<Upstreams>, tells_of_clients: bool) -> Self {
        Self {
            tells_of_clients,
            policies: Vec::new(),
            upstreams,
            verdicts: HashMap::default(),
            pass: Arc::default(),
            default_group: crate::config::DEFAULT_GROUP.into(),
            gone: "of a policy that is gone".into(),
            key: Vec::new(),
        }
    }

    /// The policies that queries may have been decided by.
    pub fn follow(&mut self, policies: &[Arc<PolicyNames>]) {
        if self.policies.last().map(|policy| policy.epoch()) != policies.last().map(|policy| policy.epoch()) {
            self.policies = policies.to_vec();
        }
    }

    /// The row of a query, and what belongs to it. `base` is what packed times count from, in microseconds since 1970.
    /// `None` for octets that nobody packed.
    pub fn row<'p>(&mut self, packed: &PackedQuery<'p>, base: i64) -> Option<Unpacked<'p>> {
        let mut cursor = Cursor(packed.0);
        let time = base + cursor.array().map(u64::from_le_bytes)? as i64;
        let micros = cursor.long()?;
        let client = cursor.address()?;
        let [flags, cache, security, upstream] = cursor.array()?;
        let (rcode, ede, group) = (cursor.short()?, cursor.short()?, cursor.short()?);
        let epoch = cursor.array().map(u64::from_le_bytes)?;
        let is_set = |bit| flags & bit != 0;
        let server = if is_set(flag::SERVER) { Some(cursor.server()?) } else { None };
        let (mut wire, mut name, mut rr_type) = (&[][..], String::new(), RrType(0));
        if is_set(flag::QUESTION) {
            rr_type = RrType(cursor.short()?);
            wire = name_octets(&mut cursor)?;
            name = presentation(wire)?;
        }
        let said_at = cursor.0;
        let owner = cursor.short()?;
        let [said, overruled] = cursor.array()?;
        let count = usize::from(said) + usize::from(overruled);
        let said = cursor.take(count * SAID_BYTES)?;
        for _ in said.chunks_exact(SAID_BYTES).filter(|said| said[LABELS_AT] == 0) {
            let length = usize::from(cursor.octet()?);
            cursor.take(length)?;
        }
        let said_at = &said_at[..said_at.len() - cursor.0.len()];
        let links = read_links(&mut cursor)?;
        let answer = read_links(&mut cursor)?;
        let policy = self.policies.iter().rev().find(|policy| policy.epoch() == epoch).cloned();
        let verdicts = if count == 0 && owner == NONE {
            self.pass.clone()
        } else {
            self.verdicts(epoch, policy.as_deref(), said_at, wire, &links)?
        };
        let is_told = is_set(flag::PACKETS) && is_set(flag::ANSWERS);
        let matched = verdicts.decisive().filter(|_| is_told).map(|at| matched(&said[at * SAID_BYTES..], &links));
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
            upstream: self.upstreams.name(upstream),
            server,
            bypass: is_set(flag::BYPASS),
            dropped: is_set(flag::DROPPED),
            verdicts,
            aliases: Vec::new(),
            addresses: Vec::new(),
        };
        for link in reached.into_iter().filter(|_| is_set(flag::ANSWERS)) {
            match link {
                (Trigger::NsName | Trigger::NsAddress, _) => {}
                (_, Linked::Name(wire)) => row.aliases.push(presentation(wire)?),
                (_, Linked::Address(address)) => row.addresses.push(address),
            }
        }
        Some(Unpacked { row, client, packets, matched: matched.unwrap_or_default() })
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
        let (owner, rest) = packed.split_first_chunk::<2>()?;
        let owner = u16::from_le_bytes(*owner);
        let ([count, overruled], rest) = rest.split_first_chunk::<2>()?;
        let (count, overruled) = (usize::from(*count), usize::from(*overruled));
        let (said, texts) = rest.split_at_checked((count + overruled) * SAID_BYTES)?;
        let said = || said.chunks_exact(SAID_BYTES);
        let mut texts = Cursor(texts);
        self.key.clear();
        self.key.extend_from_slice(&epoch.to_le_bytes());
        self.key.extend_from_slice(packed);
        for said in said() {
            self.key.extend_from_slice(rule_name(said, name, links));
        }
        let exception = (owner != NONE).then(|| policy.and_then(|policy| policy.owner.get(usize::from(owner))));
        // By which of its names is told too.
        let led = links.iter().filter_map(|(_, link)| if let Linked::Name(wire) = link { Some(*wire) } else { None });
        let rule = exception.flatten().and_then(|own| own.rule_of(std::iter::once(name).chain(led)));
        if let Some((name, scope)) = rule {
            self.key.push(scope as u8);
            self.key.extend_from_slice(name.as_wire());
        }
        if let Some(verdicts) = self.verdicts.get(&self.key[..]) {
            return Some(verdicts.clone());
        }
        let owner = exception.map(|own| match own {
            Some(OwnerNames { place, reason, .. }) => {
                let rule = rule.map_or_else(|| "".into(), |(name, scope)| format!("{}{name}", scope.prefix()).into());
                Owner { place: place.clone(), rule, reason: reason.clone() }
            }
            None => Owner::at(self.gone.clone()),
        });
        let said = said().map(|said| {
            let [outcome, bits, trigger, _, labels, scope] = *said.first_chunk::<6>()?;
            let list = u16::from_le_bytes([said[6], said[7]]);
            let line = u32::from_le_bytes([said[8], said[9], said[10], said[11]]);
            let trigger = *Trigger::ALL.get(usize::from(trigger))?;
            let is_withheld = bits & said_bits::BY_CLIENT != 0 && !self.tells_of_clients;
            let list = policy.and_then(|policy| policy.lists.get(usize::from(list)));
            let of = |field: fn(&ListNames) -> &Arc<str>| list.map_or(&self.gone, field).clone();
            let rule = match labels {
                0 => {
                    let length = usize::from(texts.octet()?);
                    let text = String::from_utf8_lossy(texts.take(length)?);
                    text.into()
                }
                _ => {
                    let scope = [Scope::Exact, Scope::Subtree, Scope::Below].into_iter().nth(usize::from(scope))?;
                    let of_server = if trigger == Trigger::NsName { "ns:" } else { "" };
                    format!("{of_server}{}{}", scope.prefix(), presentation(rule_name(said, name, links))?).into()
                }
            };
            Some(Said {
                program: of(|list| &list.program),
                service: of(|list| &list.service),
                list: of(|list| &list.list),
                version: of(|list| &list.version),
                // Whoever has the list finds by either what is withheld.
                line: if is_withheld { 0 } else { line },
                rule: if is_withheld { RULE_WITHHELD.into() } else { rule },
                trigger,
                outcome: *Outcome::ALL.get(usize::from(outcome))?,
                acted: bits & said_bits::ACTED != 0,
            })
        });
        let mut said: Vec<Said> = said.collect::<Option<_>>()?;
        let overruled = said.split_off(count);
        let verdicts = Arc::new(Verdicts::new(owner, said, overruled));
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.clear();
        }
        self.verdicts.insert(self.key.clone().into(), verdicts.clone());
        Some(verdicts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::{Class, Question},
        query::QueryRecord,
        query_log::pack::{Packing, pack},
    };
    use std::time::{Duration, Instant};

    const BASE: i64 = 1_700_000_000_000_000;

    fn packed(question: &Question, packets: Option<(&[u8], &[u8])>) -> Vec<u8> {
        let base = Instant::now();
        let client = "192.0.2.7".parse().unwrap();
        let mut record = QueryRecord::new(client, Transport::Tcp, base + Duration::from_micros(1_000));
        record.question = Some(question);
        record.latency = Duration::from_micros(500);
        let mut octets = Vec::new();
        pack(&record, base, &Packing { answers: true, packets }, &mut octets);
        octets
    }

    fn question(name: &str) -> Question {
        Question { name: name.parse().unwrap(), rr_type: RrType::HTTPS, class: Class::IN }
    }

    #[test]
    fn what_was_packed_is_read_and_what_was_cut_off_is_nothing() {
        for name in ["www.example.com", ".", "a_b.example", r"we\.ird.\000\255.example"] {
            let question = question(name);
            let octets = packed(&question, Some((b"asked", b"said")));
            let mut unpacker = Unpacker::new(Arc::default(), true);
            let mut read = |octets: &[u8]| {
                let queries = unpack(octets).filter_map(|packed| match packed {
                    Packed::Query(query) => unpacker.row(&query, BASE).map(|unpacked| {
                        let Unpacked { row, client, packets, .. } = unpacked;
                        assert_eq!(packets, Some(Packets { query: b"asked", response: b"said" }));
                        (row.name, row.time, row.micros, row.transport, client.to_string())
                    }),
                    Packed::Exchange(_) => None,
                });
                queries.collect::<Vec<_>>()
            };
            let expected = (question.name.to_string(), BASE + 1_500, 500, Transport::Tcp, "192.0.2.7".to_owned());
            assert_eq!(read(&octets), std::slice::from_ref(&expected));
            assert_eq!(read(&[&octets[..], &octets[..]].concat()), [expected.clone(), expected]);
            for cut in 0..octets.len() {
                assert_eq!(read(&octets[..cut]), [], "{cut}");
                // The same, as if it were whole.
                let mut shortened = octets[..cut].to_vec();
                if let Some(length) = shortened.first_chunk_mut::<4>() {
                    *length = (cut as u32 - 4).to_le_bytes();
                    assert_eq!(read(&shortened), [], "{cut}");
                }
            }
        }
    }
}
