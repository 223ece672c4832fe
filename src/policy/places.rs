//! Rules on addresses, found by address: prefixes, autonomous systems, countries, and all but some of those.

use super::{geo::Geo, rule::Place};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use smallvec::SmallVec;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Where a rule lies: the list, and its id in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleRef {
    pub list: u16,
    pub id: u32,
}

type Refs = SmallVec<[RuleRef; 1]>;

/// What about an address matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// A prefix of so many bits.
    Prefix(u8),
    Asn,
    Country,
    Outside,
}

/// Rules by place.
#[derive(Default)]
pub struct Places {
    ipv4: PrefixMap<Ipv4Net, Refs>,
    ipv6: PrefixMap<Ipv6Net, Refs>,
    asns: HashMap<u32, Refs>,
    countries: HashMap<[u8; 2], Refs>,
    outside: Vec<(Arc<[Place]>, RuleRef)>,
    len: usize,
}

impl Places {
    pub fn insert(&mut self, place: &Place, rule: RuleRef) {
        self.len += 1;
        match place {
            Place::Net(IpNet::V4(net)) => self.ipv4.entry(net.trunc()).or_default().push(rule),
            Place::Net(IpNet::V6(net)) => self.ipv6.entry(net.trunc()).or_default().push(rule),
            Place::Asn(asn) => self.asns.entry(*asn).or_default().push(rule),
            Place::Country(code) => self.countries.entry(*code).or_default().push(rule),
            Place::Outside(places) => self.outside.push((places.clone(), rule)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `found` for every rule whose place the address lies in.
    pub fn matches(&self, address: IpAddr, geo: &Geo, mut found: impl FnMut(RuleRef, By)) {
        let address = address.to_canonical();
        let mut all = |refs: &Refs, by: By| refs.iter().for_each(|&rule| found(rule, by));
        match address {
            IpAddr::V4(address) if !self.ipv4.is_empty() => {
                for (net, refs) in self.ipv4.cover(&Ipv4Net::from(address)) {
                    all(refs, By::Prefix(net.prefix_len()));
                }
            }
            IpAddr::V6(address) if !self.ipv6.is_empty() => {
                for (net, refs) in self.ipv6.cover(&Ipv6Net::from(address)) {
                    all(refs, By::Prefix(net.prefix_len()));
                }
            }
            _ => {}
        }
        if !self.asns.is_empty()
            && let Some(refs) = geo.asn(address).and_then(|asn| self.asns.get(&asn))
        {
            all(refs, By::Asn);
        }
        if !self.countries.is_empty()
            && let Some(refs) = geo.country(address).and_then(|country| self.countries.get(&country))
        {
            all(refs, By::Country);
        }
        for (places, rule) in &self.outside {
            if is_outside(address, places, geo) {
                found(*rule, By::Outside);
            }
        }
    }
}

/// True if the address is known to lie in none of the places. An address that nobody can have on the Internet lies
/// nowhere, and one that a database doesn't know may lie anywhere.
fn is_outside(address: IpAddr, places: &[Place], geo: &Geo) -> bool {
    if !is_global(address) {
        return false;
    }
    let (mut asn, mut country) = (None, None);
    places.iter().all(|place| match place {
        Place::Net(net) => !net.contains(&address),
        Place::Asn(own) => asn.get_or_insert_with(|| geo.asn(address)).is_some_and(|asn| asn != *own),
        Place::Country(own) => {
            country.get_or_insert_with(|| geo.country(address)).is_some_and(|country| country != *own)
        }
        // Not outside something that is outside something: nobody writes it, and the parser refuses it.
        Place::Outside(_) => false,
    })
}

/// True for addresses that a public host can have, as far as it matters here.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || is_shared
                || a == 0
                || a >= 224)
        }
        // Global unicast (RFC 4291 §2.4) is 2000::/3 as yet; the rest is local, multicast or unassigned.
        IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(places: &[Place], address: &str) -> Vec<u32> {
        let mut index = Places::default();
        for (id, place) in places.iter().enumerate() {
            index.insert(place, RuleRef { list: 0, id: id as u32 });
        }
        let mut found = Vec::new();
        index.matches(address.parse().unwrap(), &Geo::default(), |rule, _| found.push(rule.id));
        found.sort_unstable();
        found
    }

    #[test]
    fn every_covering_prefix_is_told() {
        let net = |text: &str| Place::Net(text.parse().unwrap());
        let places = [
            net("192.0.2.0/24"),
            net("192.0.0.0/16"),
            net("192.0.2.7/32"),
            net("0.0.0.0/0"),
            net("2001:db8::/32"),
            net("192.0.2.0/24"),
            Place::Outside([net("192.0.0.0/16"), net("2001:db8::/32")].into()),
            Place::Outside([net("10.0.0.0/8"), Place::Country(*b"US")].into()),
        ];
        for (address, expected) in [
            ("192.0.2.7", vec![0, 1, 2, 3, 5]),
            ("192.0.2.8", vec![0, 1, 3, 5]),
            ("192.0.3.1", vec![1, 3]),
            ("::ffff:192.0.2.8", vec![0, 1, 3, 5]),
            ("8.8.8.8", vec![3, 6]),
            ("10.0.0.1", vec![3]),
            ("2001:db8::1", vec![4]),
            ("2001:4860::1", vec![6]),
            ("fe80::1", vec![]),
        ] {
            assert_eq!(matched(&places, address), expected, "{address}");
        }
    }
}
