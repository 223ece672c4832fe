//! Names that mean something by convention and are never asked of anybody (RFC 6761, 6303, 7686, 8375 apart).

use crate::dns::Name;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a special-use name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// The machine itself.
    Address { ipv4: Ipv4Addr, ipv6: Ipv6Addr, zone: Name },
    /// Nothing: there is no such name at or below the zone.
    Absent { zone: Name },
}

/// The special-use names, less those that the owner has a forwarder for.
#[derive(Clone, Debug)]
pub struct SpecialNames {
    forwarded: Vec<Name>,
}

/// Top-level domains and zones of which no name exists on the Internet: asking for them only tells the root what this
/// network is like. `test` is not among them: RFC 6761 §6.2 leaves it to the owner.
const ABSENT: [&str; 2] = ["invalid", "onion"];

impl SpecialNames {
    /// Names at or below `forwarded` zones are left to their forwarders; the root doesn't count as one of them.
    pub fn new(forwarded: impl Iterator<Item = Name>) -> Self {
        Self { forwarded: forwarded.filter(|zone| !zone.is_root()).collect() }
    }

    /// Looks a name up.
    pub fn find(&self, name: &Name) -> Option<Special> {
        let found = special(name)?;
        let is_forwarded = self.forwarded.iter().any(|zone| name.is_at_or_below(zone));
        (!is_forwarded).then_some(found)
    }
}

/// True for the names that a client asks to hear whether it may go round this resolver, or how: Firefox's canary,
/// Apple's Private Relay, and designated resolvers (RFC 9462).
pub fn asks_for_a_way_round(name: &Name) -> bool {
    const NAMES: [&[u8]; 4] = [
        b"\x13use-application-dns\x03net\x00",
        b"\x04mask\x06icloud\x03com\x00",
        b"\x07mask-h2\x06icloud\x03com\x00",
        b"\x04_dns\x08resolver\x04arpa\x00",
    ];
    NAMES.contains(&name.as_wire())
}

/// The last labels of a name, from the right.
type LastLabels<'a> = [&'a [u8]; 8];

fn special(name: &Name) -> Option<Special> {
    let mut labels: LastLabels<'_> = [&[]; 8];
    let count = name.label_count();
    for (index, label) in name.labels().enumerate() {
        if let Some(place) = labels.get_mut(count - 1 - index) {
            *place = label;
        }
    }
    let zone = |depth: usize| name.ancestor(count - depth);
    match labels[0] {
        b"localhost" => Some(Special::Address { ipv4: Ipv4Addr::LOCALHOST, ipv6: Ipv6Addr::LOCALHOST, zone: zone(1) }),
        b"arpa" => match labels[1] {
            b"in-addr" => reverse_ipv4(&labels).map(|depth| Special::Absent { zone: zone(depth) }),
            b"ip6" => reverse_ipv6(&labels).map(|depth| Special::Absent { zone: zone(depth) }),
            b"resolver" | b"home" => Some(Special::Absent { zone: zone(2) }),
            _ => None,
        },
        top => ABSENT.iter().any(|absent| absent.as_bytes() == top).then(|| Special::Absent { zone: zone(1) }),
    }
}

/// Labels of the locally served zone of RFC 6303 §4.1-4.3 or RFC 7793 that the name lies in.
fn reverse_ipv4(labels: &LastLabels<'_>) -> Option<usize> {
    let number = |index: usize| std::str::from_utf8(labels[index]).ok().and_then(|text| text.parse::<u8>().ok());
    match (number(2)?, number(3), number(4), number(5)) {
        (0 | 10 | 127, ..) => Some(3),
        (172, Some(16..=31), ..) | (100, Some(64..=127), ..) | (192, Some(168), ..) | (169, Some(254), ..) => Some(4),
        (192, Some(0), Some(2), _) | (198, Some(51), Some(100), _) | (203, Some(0), Some(113), _) => Some(5),
        (255, Some(255), Some(255), Some(255)) => Some(6),
        _ => None,
    }
}

/// Labels of the locally served zone of RFC 6303 §4.4-4.5: unique local and link-local addresses.
fn reverse_ipv6(labels: &LastLabels<'_>) -> Option<usize> {
    match (labels[2], labels[3], labels[4]) {
        (b"f", b"d", _) => Some(4),
        (b"f", b"e", b"8" | b"9" | b"a" | b"b") => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_zones() {
        for (name, expected) in [
            ("localhost", Some("localhost")),
            ("a.b.localhost", Some("localhost")),
            ("x.invalid", Some("invalid")),
            ("abc.onion", Some("onion")),
            ("_dns.resolver.arpa", Some("resolver.arpa")),
            ("1.0.0.127.in-addr.arpa", Some("127.in-addr.arpa")),
            ("1.1.254.169.in-addr.arpa", Some("254.169.in-addr.arpa")),
            ("b.e.f.ip6.arpa", Some("b.e.f.ip6.arpa")),
            ("4.3.2.1.in-addr.arpa", None),
            ("1.1.168.192.in-addr.arpa", Some("168.192.in-addr.arpa")),
            ("10.in-addr.arpa", Some("10.in-addr.arpa")),
            ("1.31.172.in-addr.arpa", Some("31.172.in-addr.arpa")),
            ("1.32.172.in-addr.arpa", None),
            ("1.1.64.100.in-addr.arpa", Some("64.100.in-addr.arpa")),
            ("1.128.100.in-addr.arpa", None),
            ("router.home.arpa", Some("home.arpa")),
            ("1.d.f.ip6.arpa", Some("d.f.ip6.arpa")),
            ("x.fritz.box", None),
            ("x.test", None),
            ("notlocalhost", None),
            ("localhost.example", None),
            ("arpa", None),
            (".", None),
        ] {
            let zone = match special(&name.parse().unwrap()) {
                Some(Special::Address { zone, .. } | Special::Absent { zone }) => Some(zone.to_string()),
                None => None,
            };
            assert_eq!(zone.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_forwarder_takes_precedence() {
        let names = SpecialNames::new(["168.192.in-addr.arpa", "."].into_iter().map(|zone| zone.parse().unwrap()));
        assert_eq!(names.find(&"1.1.168.192.in-addr.arpa".parse().unwrap()), None);
        assert!(names.find(&"1.1.169.254.in-addr.arpa".parse().unwrap()).is_none());
        assert!(names.find(&"1.254.169.in-addr.arpa".parse().unwrap()).is_some());
    }
}
