//! What others write down to ask this server.

use super::super::AdminState;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where it can be asked, and what would have to change for others to ask it.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Debug)]
pub struct Setup {
    /// The address for IPv4 and the one for IPv6 to write down, at port 53: nothing else can be written into a router. Where
    /// there is something `to_change`, those that will do then.
    pub ipv4: Option<Ipv4Addr>,
    pub ipv6: Option<Ipv6Addr>,
    /// What has to be changed before others can ask here; `null`: nothing.
    pub to_change: Option<ToChange>,
    /// Addresses that other machines reach, IPv4 first, and the best first.
    pub addresses: Vec<SocketAddr>,
    /// Those in networks whose clients are refused, so that nobody writes them down.
    pub refused: Vec<SocketAddr>,
    /// Addresses that only this machine reaches.
    pub loopback: Vec<SocketAddr>,
    /// Networks whose clients are answered.
    pub access: Vec<String>,
    /// Only this machine reaches the pages.
    pub pages_are_local: bool,
}

/// What keeps others from asking here, and what to write into the configuration instead.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
pub struct ToChange {
    pub why: Why,
    /// `listen.do53`, which counts after a restart, or `access.allow`.
    pub option: &'static str,
    /// All to have in `listen.do53`, or what to have in `access.allow` besides what else is; empty: that depends on what is
    /// wanted.
    pub values: Vec<String>,
}

/// What keeps others from asking here.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    OnlyThisMachine,
    /// Routers and phones ask at port 53 and can't be told otherwise.
    AnotherPort,
    /// No network that this machine is in is answered.
    Refused,
}

/// The port that clients ask at unless told otherwise (RFC 1035 §4.2).
const PORT: u16 = 53;
/// A root server's addresses (a.root-servers.net): the way to them is the way outward. Nothing is sent there.
const OUTSIDE: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4))),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30))),
];

/// What is known of this machine.
struct Machine<'a> {
    /// Addresses bound for DNS; port 53 where any will do.
    bound: &'a [SocketAddr],
    /// Its own addresses, each with its network.
    own: &'a [IpNet],
    access: &'a [IpNet],
    /// The address at which whoever looks reaches it.
    reached: IpAddr,
    /// Those by which it reaches others.
    outward: &'a [IpAddr],
    pages_are_local: bool,
}

/// Looks where this machine can be reached now. `reached`: the address at which whoever asks that reaches it.
pub async fn setup(state: &AdminState, reached: IpAddr) -> Setup {
    // The system is asked for them.
    let asking = tokio::task::spawn_blocking(|| (own_networks(), outward()));
    let (own, outward) = asking.await.unwrap_or_default();
    let config = state.settings.config();
    let pages_are_local = config.admin.as_ref().is_none_or(|admin| admin.listen.ip().to_canonical().is_loopback());
    let (bound, access) = (&*state.dns, config.access.as_slice());
    arrange(&Machine { bound, own: &own, access, reached: reached.to_canonical(), outward: &outward, pages_are_local })
}

/// Tells what to write down, and what to change.
fn arrange(machine: &Machine<'_>) -> Setup {
    let mut all: Vec<SocketAddr> = machine.bound.iter().flat_map(|bound| machine.meant_by(*bound)).collect();
    machine.sort(&mut all);
    all.dedup();
    let (loopback, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.ip().is_loopback());
    let (addresses, refused): (Vec<_>, Vec<_>) = others.into_iter().partition(|address| machine.answers(address.ip()));
    let usual: Vec<SocketAddr> = addresses.iter().filter(|address| address.port() == PORT).copied().collect();
    let to_change = usual.is_empty().then(|| machine.to_change(&addresses, &refused));
    // After the change.
    let meant = match &to_change {
        None => usual,
        Some(ToChange { why: Why::Refused, .. }) => {
            refused.iter().filter(|address| is_private(address.ip())).copied().collect()
        }
        Some(ToChange { why: Why::AnotherPort, .. }) => addresses.clone(),
        Some(ToChange { why: Why::OnlyThisMachine, .. }) => machine.possible(),
    };
    let ips = || meant.iter().map(SocketAddr::ip);
    let ipv4 = ips().find_map(|address| if let IpAddr::V4(address) = address { Some(address) } else { None });
    let ipv6 = ips().find_map(|address| if let IpAddr::V6(address) = address { Some(address) } else { None });
    let access = machine.access.iter().map(ToString::to_string).collect();
    let pages_are_local = machine.pages_are_local;
    Setup { ipv4, ipv6, to_change, addresses, refused, loopback, access, pages_are_local }
}

impl Machine<'_> {
    /// What an address that is bound stands for: one for all stands for this machine's own. `[::]` is bound for IPv6 alone.
    fn meant_by(&self, bound: SocketAddr) -> Vec<SocketAddr> {
        if !bound.ip().is_unspecified() {
            return vec![bound];
        }
        let own = self.own.iter().map(IpNet::addr).filter(|own| own.is_ipv4() == bound.is_ipv4());
        own.map(|own| SocketAddr::new(own, bound.port())).collect()
    }

    /// The best first: the one by which whoever looks comes here, the one by which this machine goes outward, and others,
    /// those of private networks before those of the Internet.
    fn sort(&self, addresses: &mut [SocketAddr]) {
        addresses.sort_by_key(|address| {
            let ip = address.ip();
            let far = (ip != self.reached, !self.outward.contains(&ip), !is_private(ip));
            (ip.is_ipv6(), address.port() != PORT, far, *address)
        });
    }

    /// Whether clients of the network that one of its addresses is in are answered.
    fn answers(&self, address: IpAddr) -> bool {
        let network = self.network_of(address);
        self.access.iter().any(|allowed| allowed.contains(&network) || network.contains(allowed))
    }

    fn network_of(&self, address: IpAddr) -> IpNet {
        self.own.iter().find(|own| own.addr() == address).copied().unwrap_or(address.into()).trunc()
    }

    /// Addresses at which others would be answered, if it listened there.
    fn possible(&self) -> Vec<SocketAddr> {
        let own = self.own.iter().map(IpNet::addr).filter(|own| !own.is_loopback() && self.answers(*own));
        let mut possible: Vec<_> = own.map(|own| SocketAddr::new(own, PORT)).collect();
        self.sort(&mut possible);
        possible.dedup();
        possible
    }

    /// What to change where nobody can ask at the usual port.
    fn to_change(&self, addresses: &[SocketAddr], refused: &[SocketAddr]) -> ToChange {
        let usual = |address: &SocketAddr| SocketAddr::new(address.ip(), PORT).to_string();
        if !addresses.is_empty() {
            let (loopback, odd): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
                self.bound.iter().partition(|address| address.ip().is_loopback());
            // One for all addresses has those of loopback too.
            let has_all = odd.iter().any(|address| address.ip().is_unspecified());
            let kept = loopback.into_iter().filter(|_| !has_all).map(ToString::to_string);
            let values = kept.chain(odd.iter().copied().map(usual)).collect();
            return ToChange { why: Why::AnotherPort, option: "listen.do53", values };
        }
        if !refused.is_empty() {
            // Whoever wants strangers to ask here knows how.
            let private = refused.iter().filter(|address| is_private(address.ip()));
            let mut values: Vec<_> = private.map(|address| self.network_of(address.ip()).to_string()).collect();
            values.dedup();
            return ToChange { why: Why::Refused, option: "access.allow", values };
        }
        let possible = self.possible();
        let first =
            |is_ipv4: bool| possible.iter().find(|address| address.is_ipv4() == is_ipv4).map(ToString::to_string);
        let others: Vec<String> = first(true).into_iter().chain(first(false)).collect();
        // Whoever asks on this machine goes on to be answered.
        let kept = self.bound.iter().filter(|_| !others.is_empty()).map(ToString::to_string);
        let values = kept.chain(others.iter().cloned()).collect();
        ToChange { why: Why::OnlyThisMachine, option: "listen.do53", values }
    }
}

impl Setup {
    /// Addresses with another port than the usual one, which some can be told.
    pub fn odd(&self) -> Option<SocketAddr> {
        self.addresses.iter().find(|address| address.port() != PORT).copied()
    }
}

/// Addresses of a home's or a company's own network.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Addresses of this machine that others can use, with their networks: none that needs a network's name beside it.
fn own_networks() -> Vec<IpNet> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let address = |storage: nix::sys::socket::SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())))
    };
    let network = |interface: nix::ifaddrs::InterfaceAddress| {
        let own = address(interface.address?)?;
        let mask = interface.netmask.and_then(address);
        Some(mask.and_then(|mask| IpNet::with_netmask(own, mask).ok()).unwrap_or(own.into()))
    };
    let is_of_use = |network: &IpNet| match network.addr() {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    interfaces.filter_map(network).filter(is_of_use).collect()
}

/// The addresses by which this machine reaches others.
fn outward() -> Vec<IpAddr> {
    let towards = |(from, to): &(IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((*from, 0)).ok()?;
        socket.connect((*to, PORT)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    OUTSIDE.iter().filter_map(towards).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Embedded, World};

    const HOME: &str = "127.0.0.1/8 192.168.1.2/24 172.17.0.1/16 ::1/128 2001:db8::2/64 fd00::2/64";

    /// The usual ones.
    fn access() -> Vec<IpNet> {
        let embedded = Embedded { read: &|_| None, paths: &Vec::new };
        Config::default_for(&World::of_process(embedded).unwrap()).access
    }

    fn all<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Vec<T> {
        text.split_whitespace().map(|part| part.parse().unwrap()).collect()
    }

    /// What is told of a machine, as words.
    fn told(bound: &str, own: &str, access: &[IpNet], reached: &str, outward: &str) -> String {
        let (bound, own, outward) = (all(bound), all(own), all(outward));
        let reached = reached.parse().unwrap();
        let machine = Machine { bound: &bound, own: &own, access, reached, outward: &outward, pages_are_local: true };
        let Setup { ipv4, ipv6, to_change, addresses, refused, loopback, .. } = arrange(&machine);
        let write = |address: Option<String>| address.unwrap_or("-".to_owned());
        let list = |all: Vec<SocketAddr>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let change = to_change.map(|it| format!(" {:?} {}={}", it.why, it.option, it.values.join(",")));
        let (ipv4, ipv6) = (write(ipv4.map(|it| it.to_string())), write(ipv6.map(|it| it.to_string())));
        let (addresses, refused, loopback) = (list(addresses), list(refused), list(loopback));
        format!("{ipv4} {ipv6}{} | {addresses} | {refused} | {loopback}", change.unwrap_or_default())
    }

    #[test]
    fn what_can_be_written_down_is_told_apart() {
        let usual = access();
        const EVERYWHERE: &str = "[::]:53 0.0.0.0:53";
        const SHOWN: &str = "[2001:db8::2]:53 | 127.0.0.1:53,[::1]:53";
        for (bound, own, reached, outward, expected) in [
            // By the way the machine goes outward, and not by the lowest number; a network that is refused is told to nobody.
            (
                EVERYWHERE,
                HOME,
                "127.0.0.1",
                "192.168.1.2 2001:db8::2",
                format!("192.168.1.2 fd00::2 | 192.168.1.2:53,172.17.0.1:53,[fd00::2]:53 | {SHOWN}"),
            ),
            // By the way whoever looks came, wherever the machine goes outward.
            (
                EVERYWHERE,
                HOME,
                "172.17.0.1",
                "192.168.1.2",
                format!("172.17.0.1 fd00::2 | 172.17.0.1:53,192.168.1.2:53,[fd00::2]:53 | {SHOWN}"),
            ),
            // Unless DNS isn't served there, or refused.
            ("192.168.1.2:53", HOME, "172.17.0.1", "172.17.0.1", "192.168.1.2 - | 192.168.1.2:53 |  | ".to_owned()),
            (
                EVERYWHERE,
                HOME,
                "2001:db8::2",
                "2001:db8::2",
                format!("172.17.0.1 fd00::2 | 172.17.0.1:53,192.168.1.2:53,[fd00::2]:53 | {SHOWN}"),
            ),
            // A port of its own beside the usual one.
            (
                "192.168.1.2:5300 192.168.1.2:53",
                HOME,
                "192.168.1.2",
                "",
                "192.168.1.2 - | 192.168.1.2:53,192.168.1.2:5300 |  | ".to_owned(),
            ),
            // Only this machine: what to set, and what will do then.
            (
                "127.0.0.1:5300",
                HOME,
                "127.0.0.1",
                "192.168.1.2",
                "192.168.1.2 fd00::2 OnlyThisMachine listen.do53=127.0.0.1:5300,192.168.1.2:53,[fd00::2]:53 |  |  | 127.0.0.1:5300"
                    .to_owned(),
            ),
            (
                "127.0.0.1:53",
                "127.0.0.1/8",
                "127.0.0.1",
                "",
                "- - OnlyThisMachine listen.do53= |  |  | 127.0.0.1:53".to_owned(),
            ),
            // A port that devices can't be told.
            (
                "0.0.0.0:5300",
                "127.0.0.1/8 192.168.1.2/24",
                "192.168.1.2",
                "",
                "192.168.1.2 - AnotherPort listen.do53=0.0.0.0:53 | 192.168.1.2:5300 |  | 127.0.0.1:5300".to_owned(),
            ),
            (
                "127.0.0.1:53 192.168.1.2:5300",
                "127.0.0.1/8 192.168.1.2/24",
                "192.168.1.2",
                "",
                "192.168.1.2 - AnotherPort listen.do53=127.0.0.1:53,192.168.1.2:53 | 192.168.1.2:5300 |  | 127.0.0.1:53"
                    .to_owned(),
            ),
            // A machine on the Internet alone.
            (
                "0.0.0.0:53",
                "203.0.113.5/24",
                "203.0.113.5",
                "203.0.113.5",
                "- - Refused access.allow= |  | 203.0.113.5:53 | ".to_owned(),
            ),
        ] {
            assert_eq!(told(bound, own, &usual, reached, outward), expected, "{bound} {own} {reached} {outward}");
        }
        // A network that [access] has in part is answered in part.
        let part = all("192.168.1.128/25 127.0.0.0/8");
        let some = told("0.0.0.0:53", "192.168.1.2/24 10.0.0.1/8", &part, "10.0.0.1", "10.0.0.1");
        assert_eq!(some, "192.168.1.2 - | 192.168.1.2:53 | 10.0.0.1:53 | ");
        let none = told("0.0.0.0:53", "10.0.0.1/8", &part, "10.0.0.1", "");
        assert_eq!(none, "10.0.0.1 - Refused access.allow=10.0.0.0/8 |  | 10.0.0.1:53 | ");
    }

    #[test]
    fn this_machine_has_addresses_with_networks() {
        let own = own_networks();
        assert!(own.iter().any(|network| network.to_string() == "127.0.0.1/8"), "{own:?}");
        assert!(outward().iter().all(|address| !address.is_unspecified()));
    }
}
