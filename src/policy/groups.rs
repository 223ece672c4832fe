//! Who belongs to which group: by client id, then by MAC address, then by the longest prefix.
//!
//! Compiled once; finding a client's group allocates nothing, and costs nothing where there are no groups.

use foldhash::fast::FixedState;
use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;
use std::{collections::HashMap, fmt, net::IpAddr, str::FromStr};

/// Groups: a home has a few, a company one a department.
pub const GROUPS_MAX: usize = 1000;
/// Keys of all groups together: more are networks that should be joined.
pub const CLIENTS_MAX: usize = 10_000;
/// Octets of a client id: encrypted transports carry it as one label of a name.
const ID_BYTES_MAX: usize = 63;

/// How a group names some of its clients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClientKey {
    /// In lower case.
    Id(String),
    Mac([u8; 6]),
    /// Without bits after its prefix; IPv4 is never written as IPv6.
    Net(IpNet),
}

/// A text that names no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyError {
    #[error("is no client id; write id: and 1 to {ID_BYTES_MAX} letters, digits, - and _, such as \"id:laptop\"")]
    Id,
    #[error("is no MAC address; write mac: and six octets, such as \"mac:aa:bb:cc:dd:ee:ff\"")]
    Mac,
    #[error(
        "is no client; write a network or address such as \"192.168.7.0/24\", \"mac:aa:bb:cc:dd:ee:ff\" or \"id:laptop\""
    )]
    Net,
}

impl FromStr for ClientKey {
    type Err = ClientKeyError;

    /// Reads a key as the configuration has it. Bits after a network's prefix are cleared.
    fn from_str(text: &str) -> Result<Self, ClientKeyError> {
        if let Some(id) = text.strip_prefix("id:") {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let fits = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain);
            return fits.then(|| Self::Id(id.to_ascii_lowercase())).ok_or(ClientKeyError::Id);
        }
        if let Some(mac) = text.strip_prefix("mac:") {
            return read_mac(mac).map(Self::Mac).ok_or(ClientKeyError::Mac);
        }
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let network = address.or_else(|_| text.parse::<IpNet>()).map_err(|_| match read_mac(text) {
            Some(_) => ClientKeyError::Mac,
            None => ClientKeyError::Net,
        })?;
        Ok(Self::Net(canonical(network)))
    }
}

impl fmt::Display for ClientKey {
    /// As it is written in the configuration; one address without its prefix length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Mac([a, b, c, d, e, g]) => write!(f, "mac:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Self::Net(network) if network.prefix_len() == network.max_prefix_len() => write!(f, "{}", network.addr()),
            Self::Net(network) => write!(f, "{network}"),
        }
    }
}

impl ClientKey {
    /// Whether it tells this client.
    pub fn is_of(&self, client: &Client<'_>) -> bool {
        match self {
            Self::Id(id) => client.id == Some(id),
            Self::Mac(mac) => client.mac == Some(*mac),
            Self::Net(network) => network.contains(&client.address.to_canonical()),
        }
    }
}

/// `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or `aabbccddeeff`.
fn read_mac(text: &str) -> Option<[u8; 6]> {
    let octets: Vec<&str> = match text.find([':', '-']).map(|at| &text[at..=at]) {
        Some(separator) => text.split(separator).collect(),
        None if text.is_ascii() => (0..text.len()).step_by(2).map(|at| &text[at..text.len().min(at + 2)]).collect(),
        None => return None,
    };
    let octet = |digits: &str| {
        let is_pair = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_pair.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    let octets: Option<Vec<u8>> = octets.into_iter().map(octet).collect();
    octets?.try_into().ok()
}

/// A network without bits after its prefix, as IPv4 if it is IPv4 written as IPv6.
fn canonical(network: IpNet) -> IpNet {
    /// Bits before the IPv4 address of an IPv4-mapped one (RFC 4291 §2.5.5.2).
    const MAPPED_BITS: u8 = 96;
    let as_ipv4 = match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= MAPPED_BITS => mapped.addr().to_ipv4_mapped(),
        _ => None,
    };
    let ipv4 = as_ipv4.and_then(|address| IpNet::new(address.into(), network.prefix_len() - MAPPED_BITS).ok());
    ipv4.unwrap_or(network).trunc()
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client<'a> {
    pub address: IpAddr,
    /// What an encrypted transport says the client is called, in lower case.
    pub id: Option<&'a str>,
    /// What the neighbour table says of its address.
    pub mac: Option<[u8; 6]>,
    /// It asks over TCP.
    pub tcp: bool,
    /// Its group, as the policy numbers it, where that is known already and the rest of this doesn't tell it: of a query
    /// that was recorded without its client's address.
    pub group: Option<u16>,
}

/// The clients of all groups, ready to be looked up.
#[derive(Clone, Default)]
pub struct Groups {
    ids: HashMap<Box<str>, u16, FixedState>,
    macs: HashMap<[u8; 6], u16, FixedState>,
    networks: Option<JointPrefixMap<IpNet, u16>>,
}

impl Groups {
    /// Compiles the groups' keys. A key that two groups name is the first's; the configuration refuses such.
    pub fn new<'a>(groups: impl Iterator<Item = &'a [ClientKey]>) -> Self {
        let mut all = Self::default();
        for (number, keys) in (1..=u16::MAX).zip(groups) {
            for key in keys {
                match key {
                    ClientKey::Id(id) => _ = all.ids.entry(id.as_str().into()).or_insert(number),
                    ClientKey::Mac(mac) => _ = all.macs.entry(*mac).or_insert(number),
                    ClientKey::Net(network) => {
                        let networks = all.networks.get_or_insert_default();
                        networks.entry(canonical(*network)).or_insert(number);
                    }
                }
            }
        }
        all
    }

    /// The group of a client: 0 is the default, nobody's; n + 1 is the n-th.
    pub fn find(&self, client: &Client<'_>) -> u16 {
        let by_id = || client.id.and_then(|id| self.ids.get(id)).copied();
        let by_mac = || client.mac.and_then(|mac| self.macs.get(&mac)).copied();
        let by_address = || {
            let networks = self.networks.as_ref()?;
            networks.get_lpm(&client.address.to_canonical().into()).map(|(_, number)| *number)
        };
        client.group.or_else(by_id).or_else(by_mac).or_else(by_address).unwrap_or(0)
    }

    /// True if finding some client's group takes its MAC address.
    pub fn needs_mac(&self) -> bool {
        !self.macs.is_empty()
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.as_ref().map_or(0, JointPrefixMap::len);
        let (ids, macs) = (self.ids.len(), self.macs.len());
        write!(f, "Groups({ids} ids, {macs} MAC addresses, {networks} networks)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> Vec<ClientKey> {
        text.split_whitespace().map(|key| key.parse().unwrap_or_else(|error| panic!("{key} {error}"))).collect()
    }

    fn groups(texts: &[&str]) -> Groups {
        let keys: Vec<_> = texts.iter().map(|text| keys(text)).collect();
        Groups::new(keys.iter().map(Vec::as_slice))
    }

    fn client(address: &str) -> Client<'static> {
        Client { address: address.parse().unwrap(), id: None, mac: None, tcp: false, group: None }
    }

    #[test]
    fn keys_and_what_they_are_shown_as() {
        for (text, expected) in [
            ("id:laptop", "id:laptop"),
            ("id:Anna-s_Phone2", "id:anna-s_phone2"),
            ("mac:aa:bb:cc:dd:ee:ff", "mac:aa:bb:cc:dd:ee:ff"),
            ("mac:AA-BB-CC-00-EE-0F", "mac:aa:bb:cc:00:ee:0f"),
            ("mac:aabbccddeeff", "mac:aa:bb:cc:dd:ee:ff"),
            ("192.168.7.0/24", "192.168.7.0/24"),
            ("192.168.7.5", "192.168.7.5"),
            ("192.168.7.5/32", "192.168.7.5"),
            ("192.168.7.5/24", "192.168.7.0/24"),
            ("fd00::1", "fd00::1"),
            ("fd00::1/64", "fd00::/64"),
            ("::ffff:192.168.7.5", "192.168.7.5"),
            ("::ffff:192.168.7.5/120", "192.168.7.0/24"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let key = text.parse::<ClientKey>().unwrap_or_else(|error| panic!("{text} {error}"));
            assert_eq!(key.to_string(), expected, "{text}");
            assert_eq!(expected.parse(), Ok(key), "{text}");
        }
        let long = format!("id:{}", "a".repeat(64));
        for (text, error) in [
            ("id:", ClientKeyError::Id),
            ("id:a.b", ClientKeyError::Id),
            ("id:ä", ClientKeyError::Id),
            (&long, ClientKeyError::Id),
            ("mac:", ClientKeyError::Mac),
            ("mac:aa:bb:cc:dd:ee", ClientKeyError::Mac),
            ("mac:aa:bb:cc:dd:ee:ff:00", ClientKeyError::Mac),
            ("mac:aa:bb-cc:dd:ee:ff", ClientKeyError::Mac),
            ("mac:a:b:c:d:e:f", ClientKeyError::Mac),
            ("mac:aabbccddeef", ClientKeyError::Mac),
            ("mac:+a:bb:cc:dd:ee:ff", ClientKeyError::Mac),
            ("mac:äö:bb:cc", ClientKeyError::Mac),
            ("aa:bb:cc:dd:ee:ff", ClientKeyError::Mac),
            ("", ClientKeyError::Net),
            ("laptop", ClientKeyError::Net),
            ("192.168.7.0/33", ClientKeyError::Net),
            ("192.168.7", ClientKeyError::Net),
        ] {
            assert_eq!(text.parse::<ClientKey>(), Err(error), "{text}");
        }
    }

    #[test]
    fn id_goes_before_mac_before_the_longest_prefix() {
        let groups =
            groups(&["192.168.0.0/16 fd00::/8 id:tv", "192.168.7.0/24", "mac:aabbccddeeff 192.168.7.9", "::/0"]);
        let mac = Some([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        for (client, expected) in [
            (client("192.168.1.1"), 1),
            (client("192.168.7.1"), 2),
            (client("192.168.7.9"), 3),
            (client("::ffff:192.168.7.1"), 2),
            (client("10.0.0.1"), 0),
            (client("fd00::1"), 1),
            (client("2001:db8::1"), 4),
            (Client { mac, ..client("192.168.7.1") }, 3),
            (Client { mac: Some([0; 6]), ..client("192.168.7.1") }, 2),
            (Client { id: Some("tv"), mac, ..client("192.168.7.1") }, 1),
            (Client { id: Some("radio"), mac, ..client("192.168.7.1") }, 3),
        ] {
            assert_eq!(groups.find(&client), expected, "{client:?}");
        }
        assert!(groups.needs_mac());
    }

    #[test]
    fn without_groups_everybody_is_in_the_default() {
        let none = groups(&[]);
        assert_eq!(none.find(&Client { id: Some("tv"), mac: Some([0; 6]), ..client("192.168.7.1") }), 0);
        assert!(!none.needs_mac() && !groups(&["id:tv 10.0.0.0/8"]).needs_mac());
        assert_eq!(groups(&["10.0.0.1", "10.0.0.1"]).find(&client("10.0.0.1")), 1, "the first has it");
    }

    /// Few addresses, so that keys meet clients and each other.
    fn address() -> impl Strategy<Value = IpAddr> {
        let bits = prop::collection::vec(prop::sample::select(&[0u8, 1, 128, 255][..]), 16);
        (0..3u8, bits).prop_map(|(family, bits)| {
            let v6: [u8; 16] = bits.try_into().unwrap();
            let v4 = std::net::Ipv4Addr::new(v6[0], v6[1], v6[2], v6[3]);
            match family {
                0 => v4.into(),
                1 => v4.to_ipv6_mapped().into(),
                _ => std::net::Ipv6Addr::from(v6).into(),
            }
        })
    }

    fn key() -> impl Strategy<Value = ClientKey> {
        prop_oneof![
            "[a-c]{1,2}".prop_map(ClientKey::Id),
            (0..4u8).prop_map(|last| ClientKey::Mac([0, 0, 0, 0, 0, last])),
            (address(), 0..=128u8).prop_map(|(address, bits)| {
                let bits_max = if address.is_ipv4() { 32 } else { 128 };
                ClientKey::Net(IpNet::new(address, bits.min(bits_max)).unwrap())
            }),
        ]
    }

    /// The same by looking at every key.
    fn find_naively(groups: &[Vec<ClientKey>], client: &Client<'_>) -> u16 {
        let all = || (1..).zip(groups).flat_map(|(number, keys)| keys.iter().map(move |key| (number, key)));
        let first = |is_it: &dyn Fn(&ClientKey) -> bool| all().find(|(_, key)| is_it(key)).map(|(number, _)| number);
        let by_id = client.id.and_then(|id| first(&|key| *key == ClientKey::Id(id.to_owned())));
        let by_mac = client.mac.and_then(|mac| first(&|key| *key == ClientKey::Mac(mac)));
        let mut longest: Option<(u8, u16)> = None;
        for (number, key) in all() {
            let ClientKey::Net(network) = key else { continue };
            let network = canonical(*network);
            let is_longer = longest.is_none_or(|(bits, _)| network.prefix_len() > bits);
            if network.contains(&client.address.to_canonical()) && is_longer {
                longest = Some((network.prefix_len(), number));
            }
        }
        by_id.or(by_mac).or(longest.map(|(_, number)| number)).unwrap_or(0)
    }

    proptest! {
        #[test]
        fn agrees_with_a_look_at_every_key(
            groups in prop::collection::vec(prop::collection::vec(key(), 0..8), 0..6),
            clients in prop::collection::vec((address(), "[a-c]{1,2}", 0..6u8, 0..4u8), 1..20),
        ) {
            let compiled = Groups::new(groups.iter().map(Vec::as_slice));
            for (address, id, last, known) in &clients {
                let id = (known & 1 != 0).then_some(id.as_str());
                let mac = (known & 2 != 0).then_some([0, 0, 0, 0, 0, *last]);
                let client = Client { address: *address, id, mac, tcp: false, group: None };
                prop_assert_eq!(compiled.find(&client), find_naively(&groups, &client), "{:?}", client);
            }
        }

        #[test]
        fn keys_parse_back(key in key()) {
            let expected = match &key {
                ClientKey::Net(network) => ClientKey::Net(canonical(*network)),
                _ => key.clone(),
            };
            prop_assert_eq!(key.to_string().parse(), Ok(expected));
        }
    }
}
