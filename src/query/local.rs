//! The owner's own names: what is answered for them, before any convention and any policy.

use crate::dns::{Class, Name, Record, RrType};
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Aliases followed from one local name to the next: as many as on the Internet. More are a circle.
const ALIASES_MAX: usize = 12;
/// Records of one name; what comes beyond is left out. Even these fit only over TCP.
const NAME_RECORDS_MAX: usize = 1024;

/// Records by owner. Small or large, a lookup costs one hash, and one more a label where there are wildcards.
#[derive(Debug, Default)]
pub struct LocalData {
    exact: Records,
    /// Records of `*.name`, by `name`.
    below: Records,
}

/// By the owner's wire form, which takes less than a `Name`.
type Records = HashMap<Box<[u8]>, Vec<LocalRecord>, foldhash::fast::RandomState>;

/// A record without its owner, which a wildcard's answers take from the question.
#[derive(Debug, PartialEq)]
struct LocalRecord {
    rr_type: RrType,
    ttl: u32,
    data: Box<[u8]>,
}

/// What local data says to a question.
#[derive(Debug, PartialEq)]
pub struct LocalAnswer {
    /// Aliases in order, then the records asked for.
    pub records: Vec<Record>,
    /// The name asked, or where its aliases lead.
    pub name: Name,
    pub end: LocalEnd,
}

/// How local data ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalEnd {
    /// With the records asked for.
    Data,
    /// With a name that has records, of other types.
    NoData,
    /// With an alias to a name that isn't local.
    Elsewhere,
}

impl LocalData {
    /// Takes records as they come. An address gets a PTR record to the first name that has it, unless its reverse name
    /// has records already.
    pub fn new(records: &[Record]) -> Self {
        let mut data = Self::default();
        records.iter().for_each(|record| data.add(record));
        let mut given: HashSet<Name> = HashSet::new();
        for record in records.iter().filter(|record| wildcard_parent(&record.owner).is_none()) {
            let Some(reverse) = address(record.rr_type, &record.data).map(reverse_name) else { continue };
            let is_taken = data.exact.contains_key(reverse.as_wire()) && !given.contains(&reverse);
            if !is_taken && given.insert(reverse) {
                let target = record.owner.as_wire().to_vec();
                data.add(&Record { owner: reverse, rr_type: RrType::PTR, data: target, ..record.clone() });
            }
        }
        data
    }

    /// Addresses of names with this text in them, so many at most.
    pub fn addresses_called(&self, part: &str, max: usize) -> Vec<IpAddr> {
        let is_called = |owner: &[u8]| Name::from_wire(owner).is_ok_and(|name| name.to_string().contains(part));
        let has_address = |record: &&LocalRecord| matches!(record.rr_type, RrType::A | RrType::AAAA);
        let own = self.exact.iter().flat_map(|(owner, records)| records.iter().map(move |record| (owner, record)));
        let own = own.filter(|(owner, record)| has_address(record) && is_called(owner));
        own.filter_map(|(_, record)| address(record.rr_type, &record.data)).take(max).collect()
    }

    /// What to answer; `None` for a name that isn't local.
    pub fn find(&self, name: &Name, rr_type: RrType) -> Option<LocalAnswer> {
        let mut own = self.of(name)?;
        let mut answer = LocalAnswer { records: Vec::new(), name: *name, end: LocalEnd::Data };
        while answer.records.len() <= ALIASES_MAX {
            let before = answer.records.len();
            let is_asked = |record: &&LocalRecord| rr_type == RrType::ANY || record.rr_type == rr_type;
            answer.records.extend(own.iter().filter(is_asked).map(|record| record.owned_by(answer.name)));
            if answer.records.len() > before {
                return Some(answer);
            }
            let alias = own.iter().find(|record| record.rr_type == RrType::CNAME);
            let alias = alias.map(|record| record.owned_by(answer.name));
            let Some((alias, target)) = alias.and_then(|alias| alias.target().map(|target| (alias, target))) else {
                answer.end = LocalEnd::NoData;
                return Some(answer);
            };
            let is_circle = target == *name || answer.records.iter().any(|record| record.owner == target);
            answer.records.push(alias);
            answer.name = target;
            if is_circle {
                break;
            }
            match self.of(&target) {
                Some(next) => own = next,
                None => {
                    answer.end = LocalEnd::Elsewhere;
                    return Some(answer);
                }
            }
        }
        // The circle alone says best what is wrong.
        Some(answer)
    }

    /// The records of a name: its own, else those of the longest wildcard above it (RFC 4592, without its rule that
    /// names in between hide the wildcard).
    fn of(&self, name: &Name) -> Option<&[LocalRecord]> {
        if self.exact.is_empty() && self.below.is_empty() {
            return None;
        }
        let mut wire = name.as_wire();
        if let Some(records) = self.exact.get(wire) {
            return Some(records);
        }
        while !self.below.is_empty() && wire[0] != 0 {
            wire = &wire[1 + usize::from(wire[0])..];
            if let Some(records) = self.below.get(wire) {
                return Some(records);
            }
        }
        None
    }

    fn add(&mut self, record: &Record) {
        let (records, owner) = match wildcard_parent(&record.owner) {
            Some(parent) => (&mut self.below, parent),
            None => (&mut self.exact, record.owner),
        };
        let Record { rr_type, ttl, .. } = *record;
        let added = LocalRecord { rr_type, ttl, data: record.data.as_slice().into() };
        let own = records.entry(owner.as_wire().into()).or_default();
        let is_new = !own.iter().any(|known| known.rr_type == rr_type && known.data == added.data);
        if is_new && own.len() < NAME_RECORDS_MAX {
            own.push(added);
        }
    }
}

impl LocalRecord {
    fn owned_by(&self, owner: Name) -> Record {
        Record { owner, rr_type: self.rr_type, class: Class::IN, ttl: self.ttl, data: self.data.to_vec() }
    }
}

/// `name` of `*.name`.
fn wildcard_parent(name: &Name) -> Option<Name> {
    (name.labels().next() == Some(b"*")).then(|| name.ancestor(1))
}

/// The address that a record with this data gives its owner.
pub(super) fn address(rr_type: RrType, data: &[u8]) -> Option<IpAddr> {
    match rr_type {
        RrType::A => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
        RrType::AAAA => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// The name whose PTR record says what an address is called (RFC 1035 §3.5, RFC 3596 §2.5).
pub(super) fn reverse_name(address: IpAddr) -> Name {
    let text = match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.chain(["ip6.arpa".to_owned()]).collect()
        }
    };
    text.parse().expect("numbers and dots of bounded length are a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::presentation;

    fn data(records: &[&str]) -> LocalData {
        let records: Vec<_> = records.iter().map(|text| presentation::record(text).unwrap()).collect();
        LocalData::new(&records)
    }

    /// `owner type data, …` and how it ended; `-` for a name that isn't local.
    fn ask(data: &LocalData, question: &str) -> String {
        let (name, rr_type) = question.split_once(' ').unwrap();
        let Some(answer) = data.find(&name.parse().unwrap(), rr_type.parse().unwrap()) else { return "-".to_owned() };
        let records: Vec<_> = (answer.records.iter())
            .map(|record| {
                let shown = record.to_string();
                let fields: Vec<_> = shown.split('\t').collect();
                format!("{} {} {}", fields[0], fields[3], fields[4])
            })
            .collect();
        match answer.end {
            LocalEnd::Data => records.join(", "),
            LocalEnd::NoData => format!("{} nothing at {}", records.join(", "), answer.name).trim_start().to_owned(),
            LocalEnd::Elsewhere => format!("{} to {}", records.join(", "), answer.name),
        }
    }

    #[test]
    fn names_are_answered_from_their_records() {
        let data = data(&[
            "nas.lan. A 192.168.1.10",
            "nas.lan. A 192.168.1.11",
            "nas.lan. A 192.168.1.10",
            "NAS.lan. AAAA fd00::10",
            "printer.lan. A 192.168.1.10",
            "www.lan. CNAME nas.lan.",
            "web.lan. CNAME www.lan.",
            "out.lan. CNAME www.example.com.",
            "circle.lan. CNAME round.lan.",
            "round.lan. CNAME circle.lan.",
            "*.apps.lan. A 192.168.1.20",
            "*.x.apps.lan. CNAME nas.lan.",
            "plain.apps.lan. TXT \"t\"",
            "12.1.168.192.in-addr.arpa. PTR router.lan.",
            "gw.lan. A 192.168.1.12",
        ]);
        for (question, expected) in [
            ("nas.lan A", "nas.lan. A 192.168.1.10, nas.lan. A 192.168.1.11"),
            ("nas.lan AAAA", "nas.lan. AAAA fd00::10"),
            ("nas.lan HTTPS", "nothing at nas.lan"),
            ("lan A", "-"),
            ("other.lan A", "-"),
            ("a.nas.lan A", "-"),
            ("www.lan A", "www.lan. CNAME nas.lan., nas.lan. A 192.168.1.10, nas.lan. A 192.168.1.11"),
            ("www.lan CNAME", "www.lan. CNAME nas.lan."),
            ("web.lan AAAA", "web.lan. CNAME www.lan., www.lan. CNAME nas.lan., nas.lan. AAAA fd00::10"),
            ("web.lan MX", "web.lan. CNAME www.lan., www.lan. CNAME nas.lan. nothing at nas.lan"),
            ("out.lan A", "out.lan. CNAME www.example.com. to www.example.com"),
            ("a.apps.lan A", "a.apps.lan. A 192.168.1.20"),
            ("b.a.apps.lan A", "b.a.apps.lan. A 192.168.1.20"),
            ("a.apps.lan AAAA", "nothing at a.apps.lan"),
            ("apps.lan A", "-"),
            ("plain.apps.lan A", "nothing at plain.apps.lan"),
            ("y.x.apps.lan AAAA", "y.x.apps.lan. CNAME nas.lan., nas.lan. AAAA fd00::10"),
            ("10.1.168.192.in-addr.arpa PTR", "10.1.168.192.in-addr.arpa. PTR nas.lan."),
            ("12.1.168.192.in-addr.arpa PTR", "12.1.168.192.in-addr.arpa. PTR router.lan."),
            ("20.1.168.192.in-addr.arpa PTR", "-"),
            (
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR",
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR nas.lan.",
            ),
            ("nas.lan ANY", "nas.lan. A 192.168.1.10, nas.lan. A 192.168.1.11, nas.lan. AAAA fd00::10"),
        ] {
            assert_eq!(ask(&data, question), expected, "{question}");
        }
        assert_eq!(ask(&data, "circle.lan A").matches("CNAME").count(), 2);
        assert_eq!(ask(&LocalData::default(), "nas.lan A"), "-");
        assert_eq!(ask(&self::data(&["*. A 192.0.2.1"]), "a.b A"), "a.b. A 192.0.2.1");
    }

    #[test]
    fn a_name_has_a_bounded_number_of_records() {
        let record = |i: u32| Record {
            owner: "many.lan".parse().unwrap(),
            rr_type: RrType::A,
            class: Class::IN,
            ttl: 60,
            data: i.to_be_bytes().to_vec(),
        };
        let records: Vec<_> = (0..NAME_RECORDS_MAX as u32 + 10).map(record).collect();
        let answer = LocalData::new(&records).find(&"many.lan".parse().unwrap(), RrType::A).unwrap();
        assert_eq!(answer.records.len(), NAME_RECORDS_MAX);
    }
}
