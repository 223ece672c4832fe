//! One zone: its records, signed when it is loaded, and the answer to a question inside it
//! (RFC 1034 section 4.3.2, RFC 4035 section 3.1). Every answer is made with DNSSEC records; the
//! server strips them for those who didn't ask. No I/O.

use super::{
    denial::{self, Denial, Link},
    keys::{Keys, canonical},
};
use hickory_resolver::proto::{
    dnssec::rdata::{DNSSECRData, NSEC3PARAM, RRSIG},
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, NULL},
    },
};
use std::collections::BTreeMap;

/// Records of one owner and type, with their signature.
pub struct RrSet {
    records: Vec<Record>,
    rrsig: Option<Record>,
}

/// How a zone is signed.
pub struct Signing {
    /// Its keys.
    pub keys: Keys,
    /// How it denies.
    pub style: DenialStyle,
}

/// The kind of proof a signed zone gives for what it lacks.
#[derive(Clone, Copy, PartialEq)]
pub enum DenialStyle {
    /// NSEC.
    Nsec,
    /// NSEC3 for every name.
    Nsec3,
    /// NSEC3, insecure delegations left out.
    Nsec3OptOut,
    /// None at all, which is a fault.
    Missing,
}

/// A zone ready to answer.
pub struct Zone {
    /// Its name.
    pub apex: Name,
    nodes: BTreeMap<Name, Node>,
    denial: Denial,
}

/// The RRsets of one name; none at an empty non-terminal.
type Node = BTreeMap<RecordType, RrSet>;

/// What a zone says to a question.
pub struct Reply {
    /// NOERROR or NXDOMAIN.
    pub rcode: ResponseCode,
    /// Whether the zone has authority over (the first name of) the answer: not in a referral.
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section, without OPT.
    pub additionals: Vec<Record>,
}

impl RrSet {
    /// An RRset without signature.
    fn unsigned(records: Vec<Record>) -> Self {
        Self { records, rrsig: None }
    }

    /// An RRset with one signature.
    pub fn signed(records: Vec<Record>, keys: &Keys) -> Self {
        let rrsig = Some(keys.sign(&records));
        Self { records, rrsig }
    }

    /// The records, then the signature.
    fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().chain(&self.rrsig)
    }

    /// The same under another owner: what a wildcard makes, or the asker's spelling of a name.
    fn at<'a>(&'a self, owner: &'a Name) -> impl Iterator<Item = Record> + 'a {
        self.iter().cloned().map(|mut record| {
            record.name = owner.clone();
            record
        })
    }
}

impl Zone {
    /// Loads a zone: its own records, delegations with their DS and glue included, and signs it.
    /// The SOA must be among the records.
    pub fn load(apex: Name, records: Vec<Record>, signing: Option<&Signing>) -> Self {
        let mut zone = Self { apex, nodes: BTreeMap::new(), denial: Denial::Nothing };
        for record in records {
            zone.insert(record);
        }
        if let Some(signing) = signing {
            zone.sign(signing);
        }
        zone
    }

    /// Answers a question about a name at or below the apex. Aliases are followed inside the zone,
    /// once round where they form a loop.
    pub fn answer(&self, name: &Name, query_type: RecordType) -> Reply {
        let mut reply = Reply::default();
        let mut names = vec![name.clone()];
        while let Some(name) = names.last()
            && let Some(target) = self.follow(name, query_type, &mut reply)
            && self.apex.zone_of(&target)
            && !names.contains(&target)
        {
            names.push(target);
        }
        reply
    }

    /// Breaks the signature over one RRset, by one bit.
    pub fn flip_signature_bit(&mut self, owner: &Name, record_type: RecordType) {
        let set = self.nodes.get_mut(owner).and_then(|node| node.get_mut(&record_type));
        let rrsig = set.and_then(|set| set.rrsig.as_mut()).expect("a signed RRset");
        let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &rrsig.data else {
            panic!("{owner} {record_type} is signed with something else");
        };
        let mut bytes = signature.sig().to_vec();
        *bytes.last_mut().expect("a signature") ^= 1;
        let broken = RRSIG::from_sig(signature.input().clone(), bytes);
        rrsig.data = RData::DNSSEC(DNSSECRData::RRSIG(broken));
    }

    /// Adds a record, and the empty non-terminals above it.
    fn insert(&mut self, record: Record) {
        assert!(self.apex.zone_of(&record.name), "{} is outside {}", record.name, self.apex);
        let mut above = record.name.clone();
        while above != self.apex {
            above = above.base_name();
            self.nodes.entry(above.clone()).or_default();
        }
        let node = self.nodes.entry(record.name.clone()).or_default();
        let set = node.entry(record.record_type()).or_insert_with(|| RrSet::unsigned(Vec::new()));
        if !set.records.contains(&record) {
            set.records.push(record);
        }
    }

    /// Adds the keys, signs what the zone has authority over and forges the chain of denial.
    fn sign(&mut self, Signing { keys, style }: &Signing) {
        let ttl = self.nodes[&self.apex][&RecordType::SOA].records[0].ttl;
        let apex = self.apex.clone();
        let mut insert = |data| {
            self.insert(Record::from_rdata(apex.clone(), ttl, RData::DNSSEC(data)));
        };
        keys.dnskeys().into_iter().map(DNSSECRData::DNSKEY).for_each(&mut insert);
        if matches!(style, DenialStyle::Nsec3 | DenialStyle::Nsec3OptOut) {
            let parameters = NSEC3PARAM::new(Default::default(), false, 0, Vec::new());
            insert(DNSSECRData::NSEC3PARAM(parameters));
        }
        let mut last_cut: Option<&Name> = None;
        for (name, node) in &mut self.nodes {
            if last_cut.is_some_and(|cut| cut.zone_of(name)) {
                continue; // glue
            }
            let cut = *name != apex && node.contains_key(&RecordType::NS);
            if cut {
                last_cut = Some(name);
            }
            for (record_type, set) in node {
                if !cut || *record_type == RecordType::DS {
                    set.rrsig = Some(keys.sign(&set.records));
                }
            }
        }
        self.denial = match style {
            DenialStyle::Missing => Denial::Nothing,
            DenialStyle::Nsec => {
                let mut links = self.links();
                links.retain(|link| !link.types.is_empty());
                Denial::nsec(&links, ttl, keys)
            }
            DenialStyle::Nsec3 => Denial::nsec3(&self.links(), false, &apex, ttl, keys),
            DenialStyle::Nsec3OptOut => {
                let mut links = self.links();
                links.retain(|link| link.signed || link.types.is_empty());
                Denial::nsec3(&links, true, &apex, ttl, keys)
            }
        };
    }

    /// The names the zone has authority over, cuts included, in canonical order.
    fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        let mut last_cut: Option<&Name> = None;
        for (name, node) in &self.nodes {
            if last_cut.is_some_and(|cut| cut.zone_of(name)) {
                continue; // glue
            }
            let cut = *name != self.apex && node.contains_key(&RecordType::NS);
            if cut {
                last_cut = Some(name);
            }
            let own = |record_type: &RecordType| !cut || matches!(record_type, RecordType::NS | RecordType::DS);
            let types: Vec<_> = node.keys().copied().filter(own).collect();
            let signed = if cut { types.contains(&RecordType::DS) } else { !types.is_empty() };
            links.push(Link { name: name.clone(), types, signed });
        }
        links
    }

    /// Answers for one name and returns where it leads on to, if it is an alias.
    fn follow(&self, name: &Name, query_type: RecordType, reply: &mut Reply) -> Option<Name> {
        let mut encloser = self.apex.clone();
        for labels in self.apex.iter().count()..=name.iter().count() {
            let at = name.trim_to(labels);
            let Some(node) = self.nodes.get(&at) else {
                return self.expand(name, &encloser, query_type, reply);
            };
            let here = at == *name;
            let cut = at != self.apex && node.contains_key(&RecordType::NS);
            if cut && !(here && query_type == RecordType::DS) {
                self.refer(&at, node, reply);
                return None;
            }
            if let Some(dname) = node.get(&RecordType::DNAME).filter(|_| !here) {
                let target = redirect(name, &at, dname, reply);
                return (query_type != RecordType::CNAME).then_some(target);
            }
            encloser = at;
        }
        let node = &self.nodes[name];
        let (found, target) = pick(node, query_type);
        if found.is_empty() {
            self.deny(reply, ResponseCode::NoError, self.denial.no_data(name, &self.apex));
        }
        for set in found {
            reply.answers.extend(set.at(name));
            self.add_addresses(&set.records, reply);
        }
        target
    }

    /// Answers for a name that doesn't exist: from the wildcard below its closest encloser, if any.
    fn expand(&self, name: &Name, encloser: &Name, query_type: RecordType, reply: &mut Reply) -> Option<Name> {
        let Some(node) = self.nodes.get(&denial::wildcard(encloser)) else {
            let proofs = self.denial.no_name(name, encloser);
            self.deny(reply, ResponseCode::NXDomain, proofs);
            return None;
        };
        let (found, target) = pick(node, query_type);
        if found.is_empty() {
            let proofs = self.denial.wildcard_no_data(name, encloser);
            self.deny(reply, ResponseCode::NoError, proofs);
            return None;
        }
        for set in found {
            reply.answers.extend(set.at(name));
        }
        for proof in self.denial.wildcard(name, encloser) {
            reply.add_authority(proof);
        }
        target
    }

    /// Sends the asker to the zone below: its name servers, their addresses, and its DS or the
    /// proof that it has none (RFC 4035 section 3.1.4.1).
    fn refer(&self, cut: &Name, node: &Node, reply: &mut Reply) {
        if !reply.answers.is_empty() {
            return; // at the end of a chain: the asker will come back for the target
        }
        reply.authoritative = false;
        let name_servers = &node[&RecordType::NS].records;
        reply.authorities.extend(name_servers.iter().cloned());
        match node.get(&RecordType::DS) {
            Some(ds) => reply.add_authority(ds),
            None => {
                for proof in self.denial.no_data(cut, &self.apex) {
                    reply.add_authority(proof);
                }
            }
        }
        self.add_addresses(name_servers, reply);
    }

    /// Denies: the SOA and the proofs. The rcode is that of the last name of a chain (RFC 6604).
    fn deny(&self, reply: &mut Reply, rcode: ResponseCode, proofs: Vec<&RrSet>) {
        reply.rcode = rcode;
        reply.add_authority(&self.nodes[&self.apex][&RecordType::SOA]);
        for proof in proofs {
            reply.add_authority(proof);
        }
    }

    /// Adds the addresses of name servers, where this zone has them. Unsigned, as glue is.
    fn add_addresses(&self, records: &[Record], reply: &mut Reply) {
        for record in records {
            let RData::NS(host) = &record.data else {
                continue;
            };
            let Some(node) = self.nodes.get(&host.0) else {
                continue;
            };
            for set in [RecordType::A, RecordType::AAAA].iter().filter_map(|kind| node.get(kind)) {
                reply.additionals.extend(set.records.iter().cloned());
            }
        }
    }
}

impl Reply {
    /// Adds an RRset to the authority section, once.
    fn add_authority(&mut self, set: &RrSet) {
        for record in set.iter() {
            if !self.authorities.contains(record) {
                self.authorities.push(record.clone());
            }
        }
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            rcode: ResponseCode::NoError,
            authoritative: true,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }
}

/// The data of a DNAME record, a type hickory carries as opaque bytes.
pub fn dname(target: &Name) -> RData {
    RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(canonical(target)) }
}

/// What of a node answers a question, and the target if that is an alias.
fn pick(node: &Node, query_type: RecordType) -> (Vec<&RrSet>, Option<Name>) {
    if query_type == RecordType::ANY {
        return (node.values().collect(), None);
    }
    if let Some(set) = node.get(&query_type) {
        return (vec![set], None);
    }
    match node.get(&RecordType::CNAME) {
        None => (Vec::new(), None),
        Some(set) => match &set.records[0].data {
            RData::CNAME(target) => (vec![set], Some(target.0.clone())),
            other => panic!("{other} is filed as a CNAME"),
        },
    }
}

/// Answers with a DNAME and the CNAME it stands for (RFC 6672 section 3.1); returns the target.
fn redirect(name: &Name, owner: &Name, dname: &RrSet, reply: &mut Reply) -> Name {
    let RData::Unknown { rdata, .. } = &dname.records[0].data else {
        panic!("{owner} has something else for a DNAME");
    };
    let below = name.iter().count() - owner.iter().count();
    let target = wire_labels(&rdata.anything);
    let labels = name.iter().take(below).chain(target);
    let target = Name::from_labels(labels).expect("a short name");
    reply.answers.extend(dname.iter().cloned());
    let cname = RData::CNAME(CNAME(target.clone()));
    reply.answers.push(Record::from_rdata(name.clone(), dname.records[0].ttl, cname));
    target
}

/// The labels of an uncompressed name.
fn wire_labels(mut wire: &[u8]) -> Vec<&[u8]> {
    let mut labels = Vec::new();
    while let Some((&length @ 1.., rest)) = wire.split_first() {
        let (label, rest) = rest.split_at(usize::from(length));
        labels.push(label);
        wire = rest;
    }
    labels
}
