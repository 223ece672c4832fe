//! Responses to questions that the policy blocks, in every way a program or a list may ask for.

use super::{Reply, soa};
use crate::{
    dns::{Class, Name, Query, Rcode, Record, RrType, Section},
    policy::{Action, AliasTarget, BlockAnswer, Cause, LocalData, Policy, Trigger, Verdict},
    resolve::Resolution,
};
use smallvec::SmallVec;
use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Names that an application asks for to hear whether it may go round this resolver: only a negative answer says no, so
/// they get one whatever blocked clients get otherwise. Firefox's canary, and Apple's Private Relay.
const CANARY_NAMES: [&[u8]; 3] =
    [b"\x13use-application-dns\x03net\x00", b"\x04mask\x06icloud\x03com\x00", b"\x07mask-h2\x06icloud\x03com\x00"];

/// What became of a blocked question.
pub enum Blocked {
    /// The response is written: its code, and the Extended DNS Error's.
    Written(Rcode, u16),
    /// It gets no response.
    Dropped,
    /// The list's own answer is an alias, and what it leads to must be looked for: then `followed` writes.
    Follow(Box<Name>),
}

/// The Extended DNS Error text of a block: `program/service list:line`.
pub fn block_reason(policy: &Policy, cause: &Cause) -> Reason {
    let mut reason = Reason::default();
    // Writing to memory doesn't fail.
    let _ = write!(reason, "{}{}", policy.list_label(cause.list()), cause.line);
    reason
}

/// A text that is short as a rule, and then takes no memory but its own.
#[derive(Default)]
pub struct Reason(SmallVec<[u8; 160]>);

impl fmt::Write for Reason {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Reason {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes the response to a blocked query, as far as it can be written at once. `answer` is what was resolved before the
/// policy blocked it: a list's own answer keeps the aliases up to where it begins.
pub fn blocked(
    reply: &Reply<'_>,
    query: &Query,
    policy: &Policy,
    verdict: &Verdict,
    answer: &[Record],
    out: &mut Vec<u8>,
) -> Option<Blocked> {
    let said = verdict.block()?;
    let program = &policy.programs()[usize::from(said.program)];
    let cause = &said.cause;
    let mut reason = Reason::default();
    // Only who sent an OPT record will hear of it.
    if reply.edns.is_some() {
        reason = block_reason(policy, cause);
    }
    let writing = Writing { reply, query, policy, cause, ede: (program.ede, reason.as_str()) };
    Some(match policy.action(cause) {
        Action::Given => writing.as_program_says(&program.block, out),
        Action::NoData => writing.negative(Rcode::NOERROR, out),
        Action::Code(Rcode::NXDOMAIN) => writing.negative(Rcode::NXDOMAIN, out),
        Action::Code(rcode) => writing.bare(rcode, out),
        Action::Drop => Blocked::Dropped,
        Action::TcpOnly => {
            reply.truncated(Some(writing.ede), out);
            Blocked::Written(Rcode::NOERROR, program.ede)
        }
        Action::Rewrite(data) => writing.rewritten(&data, answer, out),
    })
}

/// Writes the response to a query that a list answers with an alias, once what the alias leads to is known.
pub fn followed(
    reply: &Reply<'_>,
    query: &Query,
    policy: &Policy,
    verdict: &Verdict,
    answer: &[Record],
    target: &Resolution,
    out: &mut Vec<u8>,
) -> Option<(Rcode, u16)> {
    let said = verdict.block()?;
    let program = &policy.programs()[usize::from(said.program)];
    let reason = block_reason(policy, &said.cause);
    let writing = Writing { reply, query, policy, cause: &said.cause, ede: (program.ede, reason.as_str()) };
    let Action::Rewrite(data) = policy.action(&said.cause) else { return None };
    let (mut chain, owner) = writing.chain(answer);
    chain.push(writing.alias(owner, &data)?);
    let is_shown = |record: &&Record| !record.rr_type.is_dnssec_proof();
    let found = target.answer.iter().filter(is_shown).map(|record| (Section::Answer, record));
    let denied = target.authority.iter().filter(is_shown).map(|record| (Section::Authority, record));
    let chain = chain.iter().map(|record| (Section::Answer, record));
    let records: Vec<_> = chain.chain(found).chain(denied).collect();
    reply.write(target.rcode, false, &records, Some(writing.ede), out);
    Some((target.rcode, program.ede))
}

/// What all ways to answer a blocked query need.
struct Writing<'a> {
    reply: &'a Reply<'a>,
    query: &'a Query,
    policy: &'a Policy,
    cause: &'a Cause,
    /// Code and text of the Extended DNS Error.
    ede: (u16, &'a str),
}

impl Writing<'_> {
    fn as_program_says(&self, block: &BlockAnswer, out: &mut Vec<u8>) -> Blocked {
        let is_canary = CANARY_NAMES.contains(&self.query.question.name.as_wire());
        match block {
            BlockAnswer::NoData => self.negative(Rcode::NOERROR, out),
            // What is blocked for some types only must not be denied for all.
            BlockAnswer::NxDomain if self.cause.by_type => self.negative(Rcode::NOERROR, out),
            BlockAnswer::NxDomain => self.negative(Rcode::NXDOMAIN, out),
            _ if is_canary && self.cause.by_type => self.negative(Rcode::NOERROR, out),
            _ if is_canary => self.negative(Rcode::NXDOMAIN, out),
            BlockAnswer::Refused => self.bare(Rcode::REFUSED, out),
            BlockAnswer::Drop => Blocked::Dropped,
            BlockAnswer::Null => self.addresses(&[Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()], out),
            BlockAnswer::Addresses(addresses) => self.addresses(addresses, out),
        }
    }

    fn bare(&self, rcode: Rcode, out: &mut Vec<u8>) -> Blocked {
        self.reply.write(rcode, false, &[], Some(self.ede), out);
        Blocked::Written(rcode, self.ede.0)
    }

    /// A denial. Its SOA's owner is the rule's name, so that a cache denies the name asked and no wider. A rule that
    /// matched something else stands elsewhere in the tree, where caches would not believe it of this question: there,
    /// and for rules without a name, it is the name asked.
    fn negative(&self, rcode: Rcode, out: &mut Vec<u8>) -> Blocked {
        let name = &self.query.question.name;
        let above = match (self.cause.trigger, self.cause.labels) {
            (Trigger::Qname, labels @ 1..) => name.label_count().saturating_sub(usize::from(labels)),
            _ => 0,
        };
        let ttl = self.policy.block_ttl_seconds();
        self.reply.deny(rcode, name, above, ttl, Some(self.ede), out);
        Blocked::Written(rcode, self.ede.0)
    }

    fn denial(&self, rcode: Rcode, owner: Name, chain: &[Record], out: &mut Vec<u8>) -> Blocked {
        let soa = soa(owner, self.policy.block_ttl_seconds());
        let mut records: Vec<_> = chain.iter().map(|record| (Section::Answer, record)).collect();
        records.push((Section::Authority, &soa));
        self.reply.write(rcode, false, &records, Some(self.ede), out);
        Blocked::Written(rcode, self.ede.0)
    }

    /// The addresses of the family asked for; NODATA for any other type.
    fn addresses(&self, addresses: &[IpAddr], out: &mut Vec<u8>) -> Blocked {
        let rr_type = self.query.question.rr_type;
        let data = addresses.iter().filter_map(|address| match (address, rr_type) {
            (IpAddr::V4(address), RrType::A) => Some(address.octets().to_vec()),
            (IpAddr::V6(address), RrType::AAAA) => Some(address.octets().to_vec()),
            _ => None,
        });
        let owner = self.query.question.name;
        let records: Vec<Record> = data.map(|data| self.record(owner, rr_type, None, data)).collect();
        if records.is_empty() {
            return self.negative(Rcode::NOERROR, out);
        }
        self.answer(&records, out)
    }

    /// The list's own answer.
    fn rewritten(&self, data: &LocalData, answer: &[Record], out: &mut Vec<u8>) -> Blocked {
        let rr_type = self.query.question.rr_type;
        let (mut chain, owner) = self.chain(answer);
        let is_asked = |own: RrType| own == rr_type || rr_type == RrType::ANY;
        let before = chain.len();
        for own in data.records.iter().filter(|own| is_asked(own.rr_type)) {
            chain.push(self.record(owner, own.rr_type, own.ttl, own.data.clone()));
        }
        if chain.len() > before {
            return self.answer(&chain, out);
        }
        let Some(alias) = self.alias(owner, data) else {
            return self.denial(Rcode::NOERROR, owner, &chain, out);
        };
        match alias.target() {
            // Without recursion, the alias is all there is.
            Some(target) if !is_asked(RrType::CNAME) && self.query.rd => Blocked::Follow(Box::new(target)),
            _ => {
                chain.push(alias);
                self.answer(&chain, out)
            }
        }
    }

    /// The aliases from the name asked to what the rule matched, and that name: there the list's own answer begins. It
    /// is the last one where the rule matched no name of the chain.
    fn chain(&self, answer: &[Record]) -> (Vec<Record>, Name) {
        let mut owner = self.query.question.name;
        let mut chain = Vec::new();
        let links = match self.cause.trigger {
            Trigger::Qname | Trigger::Client => 0,
            Trigger::Cname | Trigger::Dname => usize::from(self.cause.link),
            _ => usize::MAX,
        };
        while chain.len() < links {
            let own = answer.iter().find(|record| record.rr_type == RrType::CNAME && record.owner == owner);
            let Some((record, target)) = own.and_then(|record| Some((record, record.target()?))) else {
                break;
            };
            if chain.contains(record) {
                break;
            }
            chain.push(record.clone());
            owner = target;
        }
        (chain, owner)
    }

    /// The alias that a list gives for a name, unless it would be too long to be one.
    fn alias(&self, owner: Name, data: &LocalData) -> Option<Record> {
        let target = match data.alias.as_ref()? {
            AliasTarget::Name(name) => **name,
            AliasTarget::Below(above) => {
                let own = owner.as_wire();
                Name::from_wire(&[&own[..own.len() - 1], above.as_wire()].concat()).ok()?
            }
        };
        Some(self.record(owner, RrType::CNAME, data.alias_ttl, target.as_wire().to_vec()))
    }

    fn answer(&self, records: &[Record], out: &mut Vec<u8>) -> Blocked {
        let records: Vec<_> = records.iter().map(|record| (Section::Answer, record)).collect();
        self.reply.write(Rcode::NOERROR, false, &records, Some(self.ede), out);
        Blocked::Written(Rcode::NOERROR, self.ede.0)
    }

    fn record(&self, owner: Name, rr_type: RrType, ttl: Option<u32>, data: Vec<u8>) -> Record {
        let ttl = ttl.unwrap_or_else(|| self.policy.block_ttl_seconds());
        Record { owner, rr_type, class: Class::IN, ttl, data }
    }
}
