//! Proof that something does not exist: a zone's chain of NSEC (RFC 4034, 4035) or NSEC3 (RFC 5155)
//! records and the choice of those that a given negative, wildcard or insecure answer needs.

use super::{keys::Keys, zone::RrSet};
use hickory_resolver::proto::{
    dnssec::{
        Nsec3HashAlgorithm,
        rdata::{DNSSECRData, NSEC, NSEC3},
    },
    rr::{Name, RData, Record, RecordType},
};
use std::collections::BTreeMap;

/// How a zone denies.
pub enum Denial {
    /// It cannot: an unsigned zone, or one that withholds its proofs.
    Nothing,
    /// By name.
    Nsec(BTreeMap<Name, RrSet>),
    /// By SHA-1 of the name, no salt, no further iterations (RFC 9276).
    Nsec3(BTreeMap<Vec<u8>, RrSet>),
}

/// A name in the chain with what exists there.
pub struct Link {
    /// The owner.
    pub name: Name,
    /// The types at the owner that the zone answers for itself, without those of the denial itself.
    pub types: Vec<RecordType>,
    /// Whether something at the owner is signed, besides the denial itself.
    pub signed: bool,
}

impl Denial {
    /// The NSEC chain over the links, apex first, in canonical order.
    pub fn nsec(links: &[Link], ttl: u32, keys: &Keys) -> Self {
        let next = links.iter().cycle().skip(1);
        let chain = links.iter().zip(next).map(|(link, next)| {
            let own = [RecordType::NSEC, RecordType::RRSIG];
            let types = link.types.iter().copied().chain(own);
            let data = DNSSECRData::NSEC(NSEC::new(next.name.clone(), types));
            let record = Record::from_rdata(link.name.clone(), ttl, RData::DNSSEC(data));
            (link.name.clone(), RrSet::signed(vec![record], keys))
        });
        Self::Nsec(chain.collect())
    }

    /// The NSEC3 chain over the links; in an opt-out chain insecure delegations were left out.
    pub fn nsec3(links: &[Link], opt_out: bool, apex: &Name, ttl: u32, keys: &Keys) -> Self {
        let hashed: BTreeMap<Vec<u8>, &Link> = links.iter().map(|link| (hash(&link.name), link)).collect();
        let next = hashed.keys().cycle().skip(1);
        let chain = hashed.iter().zip(next).map(|((hashed, link), next)| {
            let signature = link.signed.then_some(RecordType::RRSIG);
            let data = DNSSECRData::NSEC3(NSEC3::new(
                Nsec3HashAlgorithm::SHA1,
                opt_out,
                0,
                Vec::new(),
                next.clone(),
                link.types.iter().copied().chain(signature),
            ));
            let owner = apex.prepend_label(base32hex(hashed).as_str()).expect("a short label");
            let record = Record::from_rdata(owner, ttl, RData::DNSSEC(data));
            (hashed.clone(), RrSet::signed(vec![record], keys))
        });
        Self::Nsec3(chain.collect())
    }

    /// NXDOMAIN: neither the name nor a wildcard that would make it exists
    /// (RFC 4035 section 3.1.3.2, RFC 5155 section 7.2.2).
    pub fn no_name(&self, name: &Name, encloser: &Name) -> Vec<&RrSet> {
        let wildcard = wildcard(encloser);
        self.none_closer(name, encloser).into_iter().chain(self.covering(&wildcard)).collect()
    }

    /// NODATA: the name exists without the type, or is an empty non-terminal
    /// (RFC 4035 section 3.1.3.1, RFC 5155 sections 7.2.3 and 7.2.4).
    ///
    /// Also the proof that a delegation has no DS, where with opt-out the name itself may be
    /// missing from the chain and the closest name above it that isn't stands in.
    pub fn no_data(&self, name: &Name, apex: &Name) -> Vec<&RrSet> {
        if let Some(set) = self.matching(name) {
            return vec![set];
        }
        match self {
            Self::Nothing => Vec::new(),
            Self::Nsec(_) => self.covering(name).into_iter().collect(),
            Self::Nsec3(_) => {
                let mut encloser = name.base_name();
                while self.matching(&encloser).is_none() && encloser != *apex {
                    encloser = encloser.base_name();
                }
                self.none_closer(name, &encloser)
            }
        }
    }

    /// A positive answer made from a wildcard: the name itself doesn't exist
    /// (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
    pub fn wildcard(&self, name: &Name, encloser: &Name) -> Vec<&RrSet> {
        self.covering(&next_closer(name, encloser)).into_iter().collect()
    }

    /// NODATA at a wildcard: the name doesn't exist and the wildcard is without the type
    /// (RFC 4035 section 3.1.3.4, RFC 5155 section 7.2.5).
    pub fn wildcard_no_data(&self, name: &Name, encloser: &Name) -> Vec<&RrSet> {
        let wildcard = wildcard(encloser);
        self.none_closer(name, encloser).into_iter().chain(self.matching(&wildcard)).collect()
    }

    /// The closest encloser exists and nothing between it and the name does. With NSEC one record
    /// says both, with NSEC3 it takes two (RFC 5155 section 7.2.1).
    fn none_closer(&self, name: &Name, encloser: &Name) -> Vec<&RrSet> {
        let exists = match self {
            Self::Nsec3(_) => self.matching(encloser),
            _ => None,
        };
        exists.into_iter().chain(self.covering(&next_closer(name, encloser))).collect()
    }

    /// The record at a name.
    fn matching(&self, name: &Name) -> Option<&RrSet> {
        match self {
            Self::Nothing => None,
            Self::Nsec(chain) => chain.get(name),
            Self::Nsec3(chain) => chain.get(&hash(name)),
        }
    }

    /// The record whose span holds a name that the chain does not.
    fn covering(&self, name: &Name) -> Option<&RrSet> {
        match self {
            Self::Nothing => None,
            Self::Nsec(chain) => chain.range(..name).next_back().map(|(_, set)| set),
            Self::Nsec3(chain) => {
                // the span of the last record reaches round to the first
                let before = chain.range(..hash(name)).next_back();
                before.or_else(|| chain.last_key_value()).map(|(_, set)| set)
            }
        }
    }
}

/// The wildcard right below a name.
pub fn wildcard(encloser: &Name) -> Name {
    encloser.prepend_label("*").expect("a short name")
}

/// The name one label longer than the encloser on the way to `name`.
fn next_closer(name: &Name, encloser: &Name) -> Name {
    name.trim_to(encloser.iter().count() + 1)
}

/// The NSEC3 hash of a name.
fn hash(name: &Name) -> Vec<u8> {
    let digest = Nsec3HashAlgorithm::SHA1.hash(&[], name, 0).expect("a digest");
    digest.as_ref().to_vec()
}

/// Base 32 with the extended hex alphabet, lower case, for 20 bytes (RFC 4648 section 7).
fn base32hex(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let chunks = bytes.chunks_exact(5);
    debug_assert!(chunks.remainder().is_empty(), "no padding needed");
    let mut text = String::new();
    for chunk in chunks {
        let bits = chunk.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        for place in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (place * 5) & 31) as usize]));
        }
    }
    text
}
