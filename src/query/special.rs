//! Names that mean something by convention and are never asked of anybody (RFC 6761, 6762, 6303, 7686, 8375, 9462).

use crate::dns::{Name, Rcode, RrType};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a special-use name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// The machine itself.
    Address { ipv4: Ipv4Addr, ipv6: Ipv6Addr, zone: Name },
    /// Nothing: there is no name below the zone.
    Absent { zone: Name },
    /// Names without records: the zone and every name below it.
    Empty { zone: Name },
    /// By which a device finds out whether it asks here.
    Check { zone: Name },
}

impl Special {
    /// The zone that the name lies in.
    pub fn zone(&self) -> Name {
        match *self {
            Self::Address { zone, .. } | Self::Absent { zone } | Self::Empty { zone } | Self::Check { zone } => zone,
        }
    }

    /// What is answered: the code, and data if there is any of that type.
    pub fn answer(&self, name: &Name, rr_type: RrType) -> (Rcode, Option<Vec<u8>>) {
        match (*self, rr_type) {
            (Self::Address { ipv4, .. }, RrType::A) => (Rcode::NOERROR, Some(ipv4.octets().to_vec())),
            (Self::Address { ipv6, .. }, RrType::AAAA) => (Rcode::NOERROR, Some(ipv6.octets().to_vec())),
            (Self::Absent { zone }, _) if *name != zone => (Rcode::NXDOMAIN, None),
            _ => (Rcode::NOERROR, None),
        }
    }
}

/// The special-use names, less those that the owner has a forwarder for.
#[derive(Clone, Debug)]
pub struct SpecialNames {
    forwarded: Vec<Name>,
}

/// Top-level domains and zones of which no name exists on the Internet: asking for them only tells the root what this
/// network is like, and `local` is asked of the link (RFC 6762 §22.1). `test` is not among them: RFC 6761 §6.2 leaves it
/// to the owner; nor is `example`, which exists.
const ABSENT: [&str; 3] = ["invalid", "local", "onion"];

impl SpecialNames {
    /// Names at or below `forwarded` zones are left to their forwarders; the root doesn't count as one of them.
    pub fn new(forwarded: impl Iterator<Item = Name>) -> Self {
        Self { forwarded: forwarded.filter(|zone| !zone.is_root()).collect() }
    }

    /// Looks a name up.
    pub fn find(&self, name: &Name) -> Option<Special> {
        let found = special(name)?;
        // This server alone can answer for itself, whoever has the zone above.
        let is_own = matches!(found, Special::Check { .. });
        (is_own || !self.is_forwarded(name)).then_some(found)
    }

    /// Whether the owner has a forwarder for the zone that a name is in, and not just for everything.
    pub fn is_forwarded(&self, name: &Name) -> bool {
        self.forwarded.iter().any(|zone| name.is_at_or_below(zone))
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
/// Labels looked at, from the right: as many as the deepest of the zones has, apart from two addresses' own.
const LABELS: usize = 10;
/// Labels of an IPv6 address's reverse name.
const REVERSE_IPV6_LABELS: usize = 34;

/// The last labels of a name, from the right.
type LastLabels<'a> = [&'a [u8]; LABELS];

/// The last four octets of each top-level domain that `special` knows: of hardly any other name need it look at labels.
const ENDS: [[u8; 4]; 2 + ABSENT.len()] = {
    let (mut ends, mut at) = ([*b"host", *b"arpa", [0; 4], [0; 4], [0; 4]], 0);
    while at < ABSENT.len() {
        ends[2 + at] = *ABSENT[at].as_bytes().last_chunk().expect("none is shorter");
        at += 1;
    }
    ends
};

fn special(name: &Name) -> Option<Special> {
    let [end @ .., _] = name.as_wire().last_chunk::<5>()?;
    if !ENDS.contains(end) {
        return None;
    }
    let zone = |depth: usize| name.ancestor(name.label_count() - depth);
    match name.labels().last()? {
        b"localhost" => Some(Special::Address { ipv4: Ipv4Addr::LOCALHOST, ipv6: Ipv6Addr::LOCALHOST, zone: zone(1) }),
        b"arpa" => special_arpa(name, zone),
        top => ABSENT.iter().any(|absent| absent.as_bytes() == top).then(|| Special::Absent { zone: zone(1) }),
    }
}

/// The same below `arpa`; `zone` is the zone of so many labels that the name lies in.
fn special_arpa(name: &Name, zone: impl Fn(usize) -> Name) -> Option<Special> {
    let mut labels: LastLabels<'_> = [&[]; LABELS];
    let count = name.label_count();
    for (index, label) in name.labels().enumerate() {
        if let Some(place) = labels.get_mut(count - 1 - index) {
            *place = label;
        }
    }
    match labels[1] {
        b"in-addr" => reverse_ipv4(&labels).map(|depth| Special::Absent { zone: zone(depth) }),
        b"ip6" => reverse_ipv6(&labels, name).map(|depth| Special::Absent { zone: zone(depth) }),
        b"home" if labels[2..4] == [&b"cleandns"[..], b"check"] => Some(Special::Check { zone: zone(4) }),
        b"home" => Some(Special::Absent { zone: zone(2) }),
        // Who asks here for encrypted resolvers is told that this one designates none (RFC 9462 §6.4).
        b"resolver" => Some(Special::Empty { zone: zone(2) }),
        _ => None,
    }
}

/// Labels of the locally served zone of RFC 6303 §4.1-4.2 or RFC 7793 that the name lies in.
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

/// Labels of the locally served zone of RFC 6303 §4.3-4.6 that the name lies in: no address and loopback, unique local,
/// link-local, and documentation.
fn reverse_ipv6(labels: &LastLabels<'_>, name: &Name) -> Option<usize> {
    match (labels[2], labels[3], labels[4]) {
        (b"f", b"d", _) => return Some(4),
        (b"f", b"e", b"8" | b"9" | b"a" | b"b") => return Some(5),
        (b"0", b"0", b"0") => {}
        _ => return (labels[2..] == [b"2", b"0", b"0", b"1", b"0", b"d", b"b", b"8"].map(|l| &l[..])).then_some(10),
    }
    let above = name.label_count().checked_sub(REVERSE_IPV6_LABELS)?;
    let mut nibbles = name.labels().skip(above);
    let is_own = matches!(nibbles.next(), Some(b"0" | b"1"));
    (is_own && nibbles.take(31).all(|nibble| nibble == b"0")).then_some(REVERSE_IPV6_LABELS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";

    #[test]
    fn names_and_their_zones() {
        let below_loopback = format!("x.{LOOPBACK}");
        for (name, expected) in [
            ("localhost", Some("localhost")),
            ("a.b.localhost", Some("localhost")),
            ("x.invalid", Some("invalid")),
            ("abc.onion", Some("onion")),
            ("x.local", Some("local")),
            ("local", Some("local")),
            ("resolver.arpa", Some("resolver.arpa")),
            ("_dns.resolver.arpa", Some("resolver.arpa")),
            ("resolver.example", None),
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
            ("cleandns.home.arpa", Some("home.arpa")),
            ("check.cleandns.home.arpa", Some("check.cleandns.home.arpa")),
            ("x.t-1.check.cleandns.home.arpa", Some("check.cleandns.home.arpa")),
            ("check.x.home.arpa", Some("home.arpa")),
            ("1.d.f.ip6.arpa", Some("d.f.ip6.arpa")),
            ("c.f.ip6.arpa", None),
            ("x.b.e.f.ip6.arpa", Some("b.e.f.ip6.arpa")),
            ("c.e.f.ip6.arpa", None),
            ("1.8.b.d.0.1.0.0.2.ip6.arpa", Some("8.b.d.0.1.0.0.2.ip6.arpa")),
            ("b.d.0.1.0.0.2.ip6.arpa", None),
            ("9.b.d.0.1.0.0.2.ip6.arpa", None),
            (LOOPBACK, Some(LOOPBACK)),
            (&below_loopback, Some(LOOPBACK)),
            (&LOOPBACK.replacen('1', "0", 1), Some(&LOOPBACK.replacen('1', "0", 1))),
            (&LOOPBACK.replacen('1', "2", 1), None),
            (&LOOPBACK.replacen("1.0", "1.1", 1), None),
            (&LOOPBACK[2..], None),
            ("0.in-addr.arpa", Some("0.in-addr.arpa")),
            ("1.2.0.192.in-addr.arpa", Some("2.0.192.in-addr.arpa")),
            ("1.100.51.198.in-addr.arpa", Some("100.51.198.in-addr.arpa")),
            ("1.113.0.203.in-addr.arpa", Some("113.0.203.in-addr.arpa")),
            ("255.255.255.255.in-addr.arpa", Some("255.255.255.255.in-addr.arpa")),
            ("254.255.255.255.in-addr.arpa", None),
            ("in-addr.arpa", None),
            ("nas", None),
            ("x.example", None),
            ("x.fritz.box", None),
            ("x.test", None),
            ("notlocalhost", None),
            ("localhost.example", None),
            ("arpa", None),
            (".", None),
        ] {
            let zone = special(&name.parse().unwrap()).map(|special| special.zone().to_string());
            assert_eq!(zone.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_answered() {
        const NONE: Option<&[u8]> = None;
        for (name, rr_type, rcode, data) in [
            ("localhost", RrType::A, Rcode::NOERROR, Some(&[127, 0, 0, 1][..])),
            ("a.localhost", RrType::AAAA, Rcode::NOERROR, Some(&Ipv6Addr::LOCALHOST.octets())),
            ("localhost", RrType::MX, Rcode::NOERROR, NONE),
            ("local", RrType::A, Rcode::NOERROR, NONE),
            ("nas.local", RrType::A, Rcode::NXDOMAIN, NONE),
            ("home.arpa", RrType::SOA, Rcode::NOERROR, NONE),
            ("nas.home.arpa", RrType::A, Rcode::NXDOMAIN, NONE),
            ("resolver.arpa", RrType::A, Rcode::NOERROR, NONE),
            ("_dns.resolver.arpa", RrType::SVCB, Rcode::NOERROR, NONE),
            ("a.b.resolver.arpa", RrType::TXT, Rcode::NOERROR, NONE),
            ("1.1.168.192.in-addr.arpa", RrType::PTR, Rcode::NXDOMAIN, NONE),
        ] {
            let name: Name = name.parse().unwrap();
            let (found, found_data) = special(&name).unwrap().answer(&name, rr_type);
            assert_eq!((found, found_data.as_deref()), (rcode, data), "{name} {rr_type}");
        }
    }

    #[test]
    fn a_forwarder_takes_precedence() {
        let zones = ["168.192.in-addr.arpa", "home.arpa", "."];
        let names = SpecialNames::new(zones.into_iter().map(|zone| zone.parse().unwrap()));
        assert_eq!(names.find(&"nas.home.arpa".parse().unwrap()), None);
        assert!(names.find(&"t-1.check.cleandns.home.arpa".parse().unwrap()).is_some(), "but for this server's own");
        assert_eq!(names.find(&"1.1.168.192.in-addr.arpa".parse().unwrap()), None);
        assert!(names.find(&"1.1.169.254.in-addr.arpa".parse().unwrap()).is_none());
        assert!(names.find(&"1.254.169.in-addr.arpa".parse().unwrap()).is_some());
    }
}
