//! What others write down to ask this server.

use super::super::AdminState;
use std::net::{IpAddr, SocketAddr};

/// Where it can be asked.
pub struct Setup {
    /// Addresses that other machines reach, IPv4 first.
    pub addresses: Vec<SocketAddr>,
    /// Addresses that only this machine reaches.
    pub loopback: Vec<SocketAddr>,
    /// Networks whose clients are answered.
    pub access: Vec<String>,
    /// The address for IPv4 and the one for IPv6 to write down, where the port is the usual one: nothing else can be
    /// written into a router.
    pub ipv4: Option<IpAddr>,
    pub ipv6: Option<IpAddr>,
    /// Only this machine reaches the pages.
    pub pages_are_local: bool,
}

/// The port that clients ask at unless told otherwise (RFC 1035 §4.2).
const PORT: u16 = 53;

/// Looks where this machine can be reached now.
pub async fn setup(state: &AdminState) -> Setup {
    // The system is asked for them.
    let own = tokio::task::spawn_blocking(own_addresses).await.unwrap_or_default();
    let access = state.settings.config().access.iter().map(ToString::to_string).collect();
    let config = state.settings.config();
    let pages_are_local = config.admin.as_ref().is_none_or(|admin| admin.listen.ip().to_canonical().is_loopback());
    Setup { pages_are_local, ..arrange(&state.dns, &own, access) }
}

/// Takes apart the addresses bound; for one that stands for all there are those of this machine.
fn arrange(bound: &[SocketAddr], own: &[IpAddr], access: Vec<String>) -> Setup {
    let mut all: Vec<SocketAddr> = Vec::new();
    for address in bound {
        if !address.ip().is_unspecified() {
            all.push(*address);
            continue;
        }
        // `[::]` is bound for IPv6 alone.
        let alike = own.iter().filter(|own| own.is_ipv4() == address.is_ipv4());
        all.extend(alike.map(|own| SocketAddr::new(*own, address.port())));
    }
    all.sort_by_key(|address| (address.is_ipv6(), address.port() != PORT, *address));
    all.dedup();
    let (loopback, addresses): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.ip().is_loopback());
    let usual = |is_ipv4: bool| {
        let mut usual = addresses.iter().filter(|address| address.port() == PORT && address.is_ipv4() == is_ipv4);
        usual.next().map(SocketAddr::ip)
    };
    let (ipv4, ipv6) = (usual(true), usual(false));
    Setup { addresses, loopback, access, ipv4, ipv6, pages_are_local: true }
}

/// Addresses of this machine that others can use: none that needs a network's name beside it.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let storage = interface.address?;
        let v4 = storage.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())))
    };
    let is_of_use = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    interfaces.filter_map(address).filter(is_of_use).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written_down_is_told_apart() {
        let own: Vec<IpAddr> =
            ["127.0.0.1", "192.168.1.2", "::1", "2001:db8::2"].map(|address| address.parse().unwrap()).into();
        let arranged = |bound: &[&str]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|address| address.parse().unwrap()).collect();
            arrange(&bound, &own, Vec::new())
        };
        let shown = |all: &[SocketAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let everywhere = arranged(&["[::]:53", "0.0.0.0:53"]);
        assert_eq!(shown(&everywhere.addresses), "192.168.1.2:53 [2001:db8::2]:53");
        assert_eq!(shown(&everywhere.loopback), "127.0.0.1:53 [::1]:53");
        assert_eq!(everywhere.ipv4, Some("192.168.1.2".parse().unwrap()));
        assert_eq!(everywhere.ipv6, Some("2001:db8::2".parse().unwrap()));
        let trying = arranged(&["127.0.0.1:5300"]);
        assert_eq!((shown(&trying.loopback), trying.addresses.len()), ("127.0.0.1:5300".to_owned(), 0));
        let odd = arranged(&["192.168.1.2:5300"]);
        assert_eq!((shown(&odd.addresses), odd.ipv4), ("192.168.1.2:5300".to_owned(), None));
    }
}
