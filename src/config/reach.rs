//! Whom a server that listens there, and answers those networks, could be used by: is it open to the Internet?

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, SocketAddr};

/// Where nothing on the Internet can be.
pub const NOT_PUBLIC: [&str; 21] = [
    "0.0.0.0/8",       // this network
    "10.0.0.0/8",      // private
    "100.64.0.0/10",   // shared by carriers (CGNAT)
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local
    "172.16.0.0/12",   // private
    "192.0.0.0/24",    // protocol assignments
    "192.0.2.0/24",    // documentation: nobody legitimately runs a server there, nor in the next three
    "192.168.0.0/16",  // private
    "198.18.0.0/15",   // benchmarks
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // class E and broadcast
    "::/128",          // unspecified
    "::1/128",         // loopback
    "::ffff:0:0/96",   // IPv4 written as IPv6, which would get round the lines above
    "2001:db8::/32",   // documentation
    "fc00::/7",        // private
    "fe80::/10",       // link-local
    "ff00::/8",        // multicast
];

/// Public IPv4 addresses that one owner may well have, as a prefix: a whole /8. Whoever answers more answers strangers.
const OWN_IPV4_PREFIX_MIN: u32 = 8;
/// The same for IPv6: the largest blocks that go to one operator are smaller than a /16.
const OWN_IPV6_PREFIX_MIN: u32 = 16;

/// An address at which strangers are answered, and the family that they come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    pub address: SocketAddr,
    pub family: &'static str,
}

impl Open {
    /// What is wrong with it, and what to do.
    pub fn told(self) -> String {
        let Self { address, family } = self;
        let at = if address.ip().is_unspecified() { "all addresses of this machine" } else { "a public address" };
        format!(
            "strangers all over the Internet would be answered: {address} is {at}, and [access] allow has more {family} \
             networks than one owner can have. Such servers are used to attack others. Write the networks of your own \
             clients, or listen on an inner address alone; if it is meant to be open, write i_know_this_is_open = true \
             in [access]"
        )
    }
}

/// The first address, if any, at which the Internet at large is answered: one that can be reached from there (a public
/// address, or all addresses of this machine), with more public clients allowed than one owner can have.
///
/// The networks of an owner who has public ones are no mistake, nor is a wildcard address with the private networks.
pub fn open_to_the_internet(listen: &[SocketAddr], allow: &[IpNet]) -> Option<Open> {
    let (ipv4, ipv6) = (allows_many_ipv4(allow), allows_many_ipv6(allow));
    listen.iter().find_map(|&address| {
        let ip = address.ip().to_canonical();
        if !ip.is_unspecified() && !is_public(ip) {
            return None;
        }
        // `[::]` hears IPv4 clients too.
        let hears_ipv4 = ip.is_ipv4() || ip.is_unspecified();
        let family = match () {
            () if ipv4 && hears_ipv4 => "IPv4",
            () if ipv6 && ip.is_ipv6() => "IPv6",
            () => return None,
        };
        Some(Open { address, family })
    })
}

/// Which of these addresses stands for all of a family, or of both, and so for this one as well.
pub fn covered_by(address: SocketAddr, all: &[SocketAddr]) -> Option<SocketAddr> {
    let has_ipv4_too = |port: u16| all.iter().any(|other| other.is_ipv4() && other.port() == port);
    let covers = |wide: &SocketAddr| match (wide, address) {
        _ if !wide.ip().is_unspecified() || wide.port() != address.port() || *wide == address => false,
        (SocketAddr::V4(_), _) => address.ip().to_canonical().is_ipv4(),
        (SocketAddr::V6(_), SocketAddr::V6(_)) => true,
        // It leaves IPv4 to what has sockets of its own there.
        (SocketAddr::V6(_), SocketAddr::V4(_)) => !has_ipv4_too(wide.port()),
    };
    // Port 0 is a new port each time.
    all.iter().copied().find(|wide| address.port() != 0 && covers(wide))
}

/// False for addresses that nobody on the Internet has.
pub fn is_public(address: IpAddr) -> bool {
    !not_public().any(|network| network.contains(&address))
}

fn not_public() -> impl Iterator<Item = IpNet> {
    NOT_PUBLIC.iter().map(|network| network.parse().expect("the constants above are networks"))
}

/// Whether there are more public IPv4 addresses in these networks than one owner can have.
fn allows_many_ipv4(allow: &[IpNet]) -> bool {
    let own = |network: &IpNet| if let IpNet::V4(network) = network { Some(*network) } else { None };
    let networks = Ipv4Net::aggregate(&allow.iter().filter_map(own).collect());
    let special: Vec<Ipv4Net> = not_public().filter_map(|network| own(&network)).collect();
    let addresses = |network: &Ipv4Net| 1_u64 << (32 - network.prefix_len());
    let public = networks.iter().filter(|network| !special.iter().any(|special| special.contains(*network)));
    let public = public.map(|network| {
        let inside = special.iter().filter(|special| network.contains(*special)).map(addresses).sum::<u64>();
        addresses(network) - inside
    });
    public.sum::<u64>() > 1 << (32 - OWN_IPV4_PREFIX_MIN)
}

/// The same for IPv6. Special networks are too small a part to be taken off what is larger.
fn allows_many_ipv6(allow: &[IpNet]) -> bool {
    let own = |network: &IpNet| if let IpNet::V6(network) = network { Some(*network) } else { None };
    let networks = Ipv6Net::aggregate(&allow.iter().filter_map(own).collect());
    let special: Vec<Ipv6Net> = not_public().filter_map(|network| own(&network)).collect();
    let public = networks.iter().filter(|network| !special.iter().any(|special| special.contains(*network)));
    // In blocks of the size that is allowed, so that all of them can be counted.
    let blocks = public.map(|network| 2_f64.powi(OWN_IPV6_PREFIX_MIN as i32 - i32::from(network.prefix_len())));
    blocks.sum::<f64>() > 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_another_address() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (address, all, wide) in [
            ("127.0.0.1:53", "0.0.0.0:53 127.0.0.1:53", Some("0.0.0.0:53")),
            ("127.0.0.1:53", "0.0.0.0:5300 127.0.0.1:53", None),
            ("127.0.0.1:0", "0.0.0.0:0 127.0.0.1:0", None),
            ("0.0.0.0:53", "0.0.0.0:53 127.0.0.1:53", None),
            ("[::1]:53", "[::1]:53 [::]:53", Some("[::]:53")),
            ("[::1]:53", "[::1]:53 0.0.0.0:53", None),
            ("[::]:53", "[::]:53 0.0.0.0:53", None),
            // `[::]` is for IPv6 alone then.
            ("127.0.0.1:53", "[::]:53 127.0.0.1:53", None),
            // Of another option.
            ("127.0.0.1:8053", "[::]:8053", Some("[::]:8053")),
            ("127.0.0.1:8053", "[::]:8053 192.168.1.2:8053", None),
        ] {
            let all: Vec<SocketAddr> = all.split(' ').map(parse).collect();
            assert_eq!(covered_by(parse(address), &all), wide.map(parse), "{address} {all:?}");
        }
    }

    fn is_open(listen: &str, allow: &str) -> bool {
        let listen: Vec<SocketAddr> = listen.split(' ').map(|address| address.parse().unwrap()).collect();
        let allow: Vec<IpNet> = allow.split_whitespace().map(|network| network.parse().unwrap()).collect();
        open_to_the_internet(&listen, &allow).is_some()
    }

    #[test]
    fn what_is_open_and_what_is_normal() {
        const PRIVATE: &str = "127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fe80::/10";
        for (listen, allow) in [
            ("0.0.0.0:53", "0.0.0.0/0"),
            ("0.0.0.0:53", "0.0.0.0/1 128.0.0.0/1"),
            ("[::]:53", "0.0.0.0/0"),
            ("[::]:53", "::/0"),
            ("[::]:53", "2000::/3"),
            ("127.0.0.1:53 8.8.8.8:53", "0.0.0.0/0"),
            ("[2a00::1]:53", "::/0"),
            ("8.8.8.8:53", "64.0.0.0/2"),
            ("8.8.8.8:53", "17.0.0.0/8 19.0.0.0/8"),
            // Half of it is private, and the rest is still more than anybody's.
            ("0.0.0.0:53", "8.0.0.0/6"),
            ("[::ffff:8.8.8.8]:53", "0.0.0.0/0"),
        ] {
            assert!(is_open(listen, allow), "{listen} {allow}");
        }
        for (listen, allow) in [
            ("127.0.0.1:5300", PRIVATE),
            ("0.0.0.0:53 [::]:53", PRIVATE),
            ("8.8.8.8:53", PRIVATE),
            // Behind a router that hides it, or for this machine alone.
            ("192.168.1.2:53", "0.0.0.0/0"),
            ("127.0.0.1:53", "0.0.0.0/0 ::/0"),
            ("[fd00::1]:53", "::/0"),
            // Networks that a university, a company or a provider has.
            ("0.0.0.0:53", "141.20.0.0/16 10.0.0.0/8"),
            ("8.8.8.8:53", "17.0.0.0/8"),
            ("[::]:53", "2a00:1450::/29 2001:db8::/32"),
            ("0.0.0.0:53", "10.0.0.0/7"),
            ("0.0.0.0:53", "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 224.0.0.0/3"),
            // Nobody of that family can reach it.
            ("0.0.0.0:53", "::/0"),
            ("[2a00::1]:53", "0.0.0.0/0"),
            ("0.0.0.0:53", ""),
        ] {
            assert!(!is_open(listen, allow), "{listen} {allow}");
        }
    }
}
