//! Who is answered.

use ipnet::IpNet;
use std::net::IpAddr;

/// Networks whose clients are answered. A handful, so they are tried in turn.
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    /// Address and mask.
    ipv4: Vec<(u32, u32)>,
    ipv6: Vec<(u128, u128)>,
}

impl AccessList {
    pub fn new(networks: Vec<IpNet>) -> Self {
        let mut list = Self::default();
        for network in networks {
            match network {
                IpNet::V4(network) => list.ipv4.push((network.network().to_bits(), network.netmask().to_bits())),
                IpNet::V6(network) => list.ipv6.push((network.network().to_bits(), network.netmask().to_bits())),
            }
        }
        list
    }

    /// `client` must be canonical: an IPv4-mapped address is its IPv4 address.
    pub fn allows(&self, client: IpAddr) -> bool {
        match client {
            IpAddr::V4(client) => self.ipv4.iter().any(|(network, mask)| client.to_bits() & mask == *network),
            IpAddr::V6(client) => self.ipv6.iter().any(|(network, mask)| client.to_bits() & mask == *network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_who_is_in_them() {
        let networks = ["10.0.0.0/8", "192.168.7.9/24", "fd00::/8", "2001:db8::1/128", "127.0.0.0/8"];
        let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        let list = AccessList::new(networks.clone());
        for client in [
            "10.1.2.3",
            "11.0.0.0",
            "192.168.7.1",
            "192.168.8.1",
            "127.0.0.1",
            "::1",
            "fdff::1",
            "2001:db8::1",
            "2001:db8::2",
        ] {
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(list.allows(client), networks.iter().any(|network| network.contains(&client)), "{client}");
        }
        assert!(AccessList::new(vec!["0.0.0.0/0".parse().unwrap()]).allows("192.0.2.1".parse().unwrap()));
        assert!(!AccessList::new(vec![]).allows("127.0.0.1".parse().unwrap()));
    }
}
