//! Response policy zones (draft-vixie-dnsop-dns-rpz): zone files whose owners say what is looked at, and whose records
//! say what becomes of it.
//!
//! Zones of millions of records are read, so the two forms that make nearly all of them, `x CNAME .` and
//! `*.x CNAME .`, allocate nothing. A record that can't be used is told and harms no other.

use super::Sink;
use crate::{
    dns::{
        Name, Rcode, RrType,
        zonefile::{ZoneEntry, ZoneReader, ZoneRecord},
    },
    policy::{Action, AliasTarget, Effect, LocalData, LocalRecord, Matcher, Place, Rule, Scope},
};
use foldhash::fast::FixedState;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::{
    collections::HashMap,
    hash::BuildHasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Triggers with answers of the list's own that are remembered, so that what contradicts them later is told: 24 octets
/// each while the list is read. A list with more has its records sorted, and then the last trigger is enough.
const ANSWERED_MAX: usize = 1 << 20;
/// Labels of the longest address: a prefix length and eight groups.
const ADDRESS_LABELS_MAX: usize = 9;
/// What the last label of a reserved trigger or target begins with.
const RESERVED: &[u8] = b"rpz-";
/// Reads a response policy zone that is given to it line by line.
pub(super) struct RpzReader {
    records: ZoneReader,
    triggers: Triggers,
}

/// Makes rules of records.
struct Triggers {
    /// The zone's name: the SOA record's owner, or where none comes first, what names are relative to at the first
    /// trigger.
    zone: Option<Name>,
    /// An SOA record has said it.
    is_said: bool,
    /// Which version of itself the zone is, by that record.
    serial: Option<u32>,
    /// The trigger of the last rule, and what its record said. Records of one trigger stand together in all but odd
    /// files, so this tells most contradictions.
    last: Option<(u64, Said)>,
    /// The same of triggers that have answers of the list's own.
    answered: HashMap<u64, Said, FixedState>,
}

/// What kind of record a trigger has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A CNAME, with the hash of its target.
    Alias(u64),
    Data,
}

/// Why a record gives no rule: the reason, and what exactly.
type Refusal = (&'static str, String);

/// True if a text is a zone file's beginning: it has a directive of one, or an SOA record.
pub(super) fn looks_like_zone(head: &str) -> bool {
    head.strip_prefix('\u{feff}').unwrap_or(head).lines().any(|line| is_directive(line) || is_soa(line))
}

impl RpzReader {
    pub fn new() -> Self {
        let triggers = Triggers { zone: None, is_said: false, serial: None, last: None, answered: HashMap::default() };
        Self { records: ZoneReader::new(), triggers }
    }

    /// Reads a line, with or without its end, but with the white space it begins with.
    pub fn line(&mut self, line: &[u8], number: u32, sink: &mut dyn Sink) {
        let origin = self.origin();
        let Self { records, triggers } = self;
        records.line(line, number, &mut |entry| triggers.entry(entry, origin.as_ref(), sink));
    }

    /// To be called after the last line.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        let origin = self.origin();
        let Self { records, triggers } = self;
        records.finish(&mut |entry| triggers.entry(entry, origin.as_ref(), sink));
    }

    /// The zone's name, as soon as a record has said it.
    pub fn zone(&self) -> Option<Name> {
        self.triggers.zone
    }

    /// The serial of its SOA record, if it has one.
    pub fn serial(&self) -> Option<u32> {
        self.triggers.serial
    }

    /// What names are relative to, for as long as it matters.
    fn origin(&self) -> Option<Name> {
        if self.triggers.zone.is_some() { None } else { self.records.origin() }
    }
}

impl Triggers {
    fn entry(&mut self, entry: ZoneEntry<'_>, origin: Option<&Name>, sink: &mut dyn Sink) {
        match entry {
            ZoneEntry::Record(record) => match self.record(&record, origin) {
                Ok(Some(rule)) => sink.rule(rule),
                Ok(None) => {}
                Err((reason, detail)) => sink.skip(record.line, reason, detail),
            },
            ZoneEntry::Problem { line, reason, detail } => sink.skip(line, reason, detail),
        }
    }

    /// The rule that a record says, if it is there for one.
    fn record(&mut self, record: &ZoneRecord<'_>, origin: Option<&Name>) -> Result<Option<Rule>, Refusal> {
        let &ZoneRecord { ref owner, rr_type, .. } = record;
        match rr_type {
            RrType::CNAME => {}
            // Only a guess is corrected: what stands above was read as it was meant, and what is relative below is
            // relative to this from now on.
            RrType::SOA if !self.is_said || self.zone == Some(*owner) => {
                (self.zone, self.is_said) = (Some(*owner), true);
                // The serial and four times are the last of its data (RFC 1035 §3.3.13).
                let numbers = record.data.last_chunk::<20>().and_then(|numbers| numbers.first_chunk());
                self.serial = self.serial.or(numbers.map(|serial| u32::from_be_bytes(*serial)));
                return Ok(None);
            }
            RrType::NS if self.zone.is_none_or(|zone| zone == *owner) => return Ok(None),
            _ if rr_type.is_of_signed_zones() => return Ok(None),
            _ => {}
        }
        let zone = self.zone.get_or_insert_with(|| origin.copied().unwrap_or(Name::ROOT));
        let Some(trigger) = owner.relative_to(zone) else {
            return Err(("outside the zone", format!("`{owner}` is not below `{zone}`")));
        };
        let matcher = matcher(&trigger)?;
        let (effect, action, said) = match rr_type {
            RrType::CNAME => alias(record, &trigger, zone)?,
            _ => data(record)?,
        };
        let is_new = self.is_new(&trigger, said, matches!(action, Action::Rewrite(_)))?;
        let rule = Rule { effect, important: false, action, matcher, conditions: None, line: record.line };
        Ok(is_new.then_some(rule))
    }

    /// False if the same was said before; refuses what contradicts it.
    fn is_new(&mut self, trigger: &Name, said: Said, is_answer: bool) -> Result<bool, Refusal> {
        let key = hash(trigger.as_wire());
        let before = match self.last {
            Some((last, before)) if last == key => Some(before),
            _ if self.answered.is_empty() => None,
            _ => self.answered.get(&key).copied(),
        };
        match (before, said) {
            (None, _) => {
                self.last = Some((key, said));
                if is_answer && self.answered.len() < ANSWERED_MAX {
                    self.answered.insert(key, said);
                }
                Ok(true)
            }
            (Some(Said::Data), Said::Data) => Ok(true),
            (Some(Said::Alias(first)), Said::Alias(second)) if first == second => Ok(false),
            (Some(Said::Alias(_)), Said::Alias(_)) => {
                Err(("the name has another CNAME above, which counts", trigger.to_string()))
            }
            (Some(Said::Alias(_)), Said::Data) => {
                Err(("the name has a CNAME above, which counts alone", trigger.to_string()))
            }
            (Some(Said::Data), Said::Alias(_)) => {
                Err(("the name has other records above, which count instead of the CNAME", trigger.to_string()))
            }
        }
    }
}

/// What a trigger looks at: an owner without the zone's name.
fn matcher(trigger: &Name) -> Result<Matcher, Refusal> {
    let Some(last) = trigger.labels().last() else {
        return Err(("records of the zone's own name are no rules", String::new()));
    };
    if !last.starts_with(RESERVED) {
        let (scope, name) = scoped(trigger)?;
        return Ok(Matcher::Name { scope, name });
    }
    match last {
        b"rpz-ip" => network(trigger).map(Place::Net).map(Matcher::Address),
        b"rpz-client-ip" => network(trigger).map(Matcher::Client),
        b"rpz-nsip" => network(trigger).map(Place::Net).map(Matcher::NsAddress),
        b"rpz-nsdname" => {
            let (scope, name) = scoped(&without_last(trigger))?;
            if scope == Scope::Exact && name.is_root() {
                return Err(("no name stands before rpz-nsdname", String::new()));
            }
            Ok(Matcher::NsName { scope, name: Box::new(name) })
        }
        _ => Err(("no known kind of trigger", trigger.to_string())),
    }
}

/// A name with its wildcard, which means every name below.
fn scoped(name: &Name) -> Result<(Scope, Name), Refusal> {
    let (scope, bare) = match is_wildcard(name) {
        true => (Scope::Below, name.ancestor(1)),
        false => (Scope::Exact, *name),
    };
    if bare.labels().any(|label| label == b"*") {
        return Err(("`*` may stand only as the first label", name.to_string()));
    }
    Ok((scope, bare))
}

/// A network of either family: the prefix length, then the address backwards, then what kind of trigger it is.
fn network(trigger: &Name) -> Result<IpNet, Refusal> {
    let bad = |reason: &'static str| (reason, trigger.to_string());
    let mut labels: SmallVec<[&str; ADDRESS_LABELS_MAX]> = SmallVec::new();
    for label in trigger.labels().take(trigger.label_count() - 1) {
        labels.push(std::str::from_utf8(label).map_err(|_| bad("not an address"))?);
    }
    let Some((length, reversed)) = labels.split_first() else {
        return Err(bad("no address stands before it"));
    };
    let is_ipv4 = reversed.len() == 4 && !reversed.contains(&"zz");
    let address = if is_ipv4 { ipv4(reversed).map(IpAddr::V4) } else { ipv6(reversed).map(IpAddr::V6) };
    let address = address.ok_or_else(|| bad("not an address"))?;
    // A length of nothing would mean every address, which is more likely a slip; BIND refuses it too.
    let length = number(length, 10, 3).filter(|&length| length > 0).ok_or_else(|| bad("not a prefix length"))?;
    let length = u8::try_from(length).unwrap_or(u8::MAX);
    let net = IpNet::new(address, length).map_err(|_| bad("the prefix is longer than the address"))?;
    if net.trunc() != net {
        return Err((
            "bits of the address are set behind its prefix",
            format!("{net}; the network is {}", net.trunc()),
        ));
    }
    match net.addr() {
        // As IPv4 it might be `0.0.0.0/0`, which is refused above, or any other slip.
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(("an IPv4 address is written as IPv6", format!("{net}; write it as IPv4")))
        }
        _ => Ok(net),
    }
}

fn ipv4(reversed: &[&str]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for (to, text) in octets.iter_mut().zip(reversed.iter().rev()) {
        *to = u8::try_from(number(text, 10, 3)?).ok()?;
    }
    Some(octets.into())
}

/// Eight groups, or fewer with one `zz` in place of the missing ones, which are zero.
fn ipv6(reversed: &[&str]) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    let gap = reversed.iter().rev().position(|&text| text == "zz");
    if reversed.len() > 8 || (gap.is_none() && reversed.len() < 8) {
        return None;
    }
    for (index, text) in reversed.iter().rev().enumerate().filter(|&(index, _)| Some(index) != gap) {
        let is_behind = gap.is_some_and(|gap| index > gap);
        let at = if is_behind { index + 8 - reversed.len() } else { index };
        groups[at] = u16::try_from(number(text, 16, 4)?).ok()?;
    }
    Some(groups.into())
}

/// A number without a sign.
fn number(text: &str, radix: u32, digits_max: usize) -> Option<u32> {
    let is_number = text.len() <= digits_max && text.chars().all(|digit| digit.is_digit(radix));
    if is_number { u32::from_str_radix(text, radix).ok() } else { None }
}

/// What a CNAME says.
fn alias(record: &ZoneRecord<'_>, trigger: &Name, zone: &Name) -> Result<(Effect, Action, Said), Refusal> {
    let said = Said::Alias(hash(record.data));
    if record.data == Name::ROOT.as_wire() {
        return Ok((Effect::Block, Action::Code(Rcode::NXDOMAIN), said));
    }
    let target = Name::from_wire(record.data).map_err(|error| ("not a name", error.to_string()))?;
    let is_star = is_wildcard(&target);
    if is_star && target.label_count() == 1 {
        return Ok((Effect::Block, Action::NoData, said));
    }
    // The old way to let pass. Who forgets the final dot names the owner itself, which can mean nothing else.
    if target == *trigger || target == record.owner || is_without_kind(&target, trigger) {
        return Ok((Effect::Except, Action::Given, said));
    }
    let action = match reserved(&target, zone)? {
        Some(b"rpz-passthru") => return Ok((Effect::Except, Action::Given, said)),
        Some(b"rpz-drop") => Action::Drop,
        Some(b"rpz-tcp-only") => Action::TcpOnly,
        Some(_) => return Err(("no known action", target.to_string())),
        None if is_star => own_alias(AliasTarget::Below(Box::new(target.ancestor(1))), record.ttl),
        None => own_alias(AliasTarget::Name(Box::new(target)), record.ttl),
    };
    Ok((Effect::Block, action, said))
}

/// True if a target is what a trigger names without its kind: `24.0.2.0.192.` is that of `24.0.2.0.192.rpz-ip`, which
/// BIND lets pass too.
fn is_without_kind(target: &Name, trigger: &Name) -> bool {
    let is_kind = trigger.labels().last().is_some_and(|last| last.starts_with(RESERVED));
    is_kind && !target.is_root() && without_last(trigger) == *target
}

/// The target if only this format can mean it.
fn reserved<'a>(target: &'a Name, zone: &Name) -> Result<Option<&'a [u8]>, Refusal> {
    if target.labels().last().is_some_and(|last| last.starts_with(RESERVED)) {
        let is_alone = target.label_count() == 1;
        return if is_alone { Ok(target.labels().next()) } else { Err(("no known action", target.to_string())) };
    }
    match target.relative_to(zone) {
        Some(relative) if relative.label_count() == 1 && relative.as_wire()[1..].starts_with(RESERVED) => {
            Err(("an action needs its final dot", format!("`{relative}.`")))
        }
        _ => Ok(None),
    }
}

/// What any other record says: itself.
fn data(record: &ZoneRecord<'_>) -> Result<(Effect, Action, Said), Refusal> {
    let &ZoneRecord { ttl, rr_type, data, .. } = record;
    // They shape a zone, and are no data of the names they stand on.
    if matches!(rr_type, RrType::NS | RrType::SOA | RrType::DNAME) {
        return Err(("no record of this type can be an answer", rr_type.to_string()));
    }
    let record = LocalRecord { rr_type, ttl, data: data.to_vec() };
    let data = LocalData { records: vec![record], ..LocalData::default() };
    Ok((Effect::Block, Action::Rewrite(Arc::new(data)), Said::Data))
}

fn own_alias(target: AliasTarget, ttl: Option<u32>) -> Action {
    Action::Rewrite(Arc::new(LocalData { alias: Some(target), alias_ttl: ttl, ..LocalData::default() }))
}

fn is_wildcard(name: &Name) -> bool {
    name.as_wire().starts_with(b"\x01*")
}

/// A name without its rightmost label.
fn without_last(name: &Name) -> Name {
    let last = name.ancestor(name.label_count().saturating_sub(1));
    name.relative_to(&last).unwrap_or(Name::ROOT)
}

fn hash(octets: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(octets)
}

/// `$TTL 1h`, `$ORIGIN x.`
fn is_directive(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let first = if line.starts_with('$') { words.next() } else { None };
    let is_known = first.is_some_and(|word| ["$TTL", "$ORIGIN"].iter().any(|own| own.eq_ignore_ascii_case(word)));
    is_known && words.next().is_some()
}

/// `owner TTL IN SOA primary mailbox …`, owner, TTL and class being optional, and what follows perhaps on other lines.
fn is_soa(line: &str) -> bool {
    // Comments of other formats may say anything.
    let line = if line.starts_with(['#', '!']) { "" } else { line.split(';').next().unwrap_or(line) };
    let words: SmallVec<[&str; 8]> = line.split_ascii_whitespace().take(6).collect();
    let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case("SOA")) else { return false };
    let has_owner = !line.starts_with([' ', '\t']);
    let Some(between) = words[..at].get(usize::from(has_owner)..) else { return false };
    let is_class_or_ttl =
        |word: &&str| word.eq_ignore_ascii_case("IN") || crate::dns::presentation::ttl(word.as_bytes()).is_some();
    // A host may be named `soa`, on a hosts file's line.
    let is_hosts_line = has_owner && words.first().is_some_and(|word| word.parse::<IpAddr>().is_ok());
    let has_data = words.len() > at + 2 || words.get(at + 1).is_some_and(|word| word.starts_with('('));
    between.len() <= 2 && between.iter().all(is_class_or_ttl) && has_data && !is_hosts_line
}

#[cfg(test)]
#[path = "rpz_tests.rs"]
mod tests;
