//! Opens the sockets, and says in plain words what stands in the way.

use super::{
    advice::{self, Holder, Known},
    beside::{self, Stranger},
    holder,
    proxied::Proxies,
};
use crate::accounts;
use nix::{libc, unistd::geteuid};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
};

/// Octets asked for as a UDP socket's buffers: some ten milliseconds of packets at full speed. The kernel gives what
/// it allows (net.core.rmem_max).
const UDP_BUFFER_BYTES: usize = 4 << 20;
/// How many ports that are free for TCP are tried, where any will do, until one is free for UDP as well.
const FREE_PORT_TRIES_MAX: usize = 32;
/// The option that names the addresses.
pub(super) const OPTION: &str = "listen.do53";
/// The first port that needs no privilege, unless the kernel says otherwise.
const FIRST_FREE_PORT: u16 = 1024;
/// Connections that may wait to be accepted.
const TCP_BACKLOG: i32 = 512;

/// Sockets, bound and ready.
pub struct Sockets {
    /// For each address one a worker, told apart by the kernel (SO_REUSEPORT); or, of sockets that were passed, several
    /// workers' handles of the same one.
    pub udp: Vec<UdpSocket>,
    pub tcp: Vec<TcpListener>,
    /// The addresses really bound: they differ from those asked for where port 0 was.
    pub addresses: Vec<SocketAddr>,
    /// Somebody else has them too, and hears on when this process leaves.
    pub passed: bool,
    /// Whether they are taken over.
    pub start: Start,
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{option}: can't listen on {address} ({protocol}): {why}")]
pub struct BindError {
    /// The option that names the address.
    pub option: &'static str,
    pub address: SocketAddr,
    pub protocol: &'static str,
    pub why: String,
    /// `None`: nobody has it.
    pub held: Option<Held>,
}

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    ByCleandns,
    ByAnother,
    /// Somebody, at whom this process may not look.
    BySomebody,
}

impl BindError {
    /// Puts what the system says into words that say what to do, and who has the address, if it is taken.
    pub fn new(option: &'static str, address: SocketAddr, protocol: &'static str, error: &io::Error) -> Self {
        // The system looks at rights first: who lacks them may lack the port, too.
        let may_be_taken = matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
        let holder = may_be_taken.then(|| holder::of(address, protocol != "UDP")).flatten();
        let why = advice::on(option, address, error, holder.as_ref(), first_free_port());
        let held = match &holder {
            None => (error.kind() == io::ErrorKind::AddrInUse).then_some(Held::BySomebody),
            Some(holder) => Some(match holder.known() {
                Some(Known::Cleandns) => Held::ByCleandns,
                None if holder.process.is_none() => Held::BySomebody,
                _ => Held::ByAnother,
            }),
        };
        Self { option, address, protocol, why, held }
    }

    /// Where whoever has an address doesn't share it with who takes it over.
    fn not_shared(option: &'static str, address: SocketAddr, protocol: &'static str) -> Self {
        let holder = holder::of(address, protocol != "UDP");
        let why = advice::not_shared(option, address, holder.as_ref(), &own_user());
        Self { option, address, protocol, why, held: Some(Held::BySomebody) }
    }
}

/// The user this process runs as, as people are told of one.
fn own_user() -> String {
    let own = geteuid();
    accounts::user_of(own).map_or_else(|| own.to_string(), |user| format!("{} ({own})", user.name))
}

/// The first port that needs no privilege.
fn first_free_port() -> u16 {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(FIRST_FREE_PORT)
}

/// Addresses to listen on, as far as there is IPv6.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// Those that are listened on.
    pub addresses: Vec<SocketAddr>,
    /// What is left out, and why: a line each.
    pub left_out: Vec<String>,
}

/// Leaves out what a machine without IPv6 can't have by any means, if there is another address: those that stand for this
/// machine, or for all of its addresses. Any other that can't be had is a mistake, or not there yet.
pub fn heard(option: &'static str, addresses: &[SocketAddr]) -> Heard {
    let is_of_machine = |address: &SocketAddr| match address.ip() {
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified(),
        IpAddr::V4(_) => false,
    };
    leave_out(option, addresses, |address| is_of_machine(address) && lacks_ipv6(address.ip()))
}

/// The same where it is known which can't be had.
fn leave_out(option: &'static str, addresses: &[SocketAddr], cannot: impl Fn(&SocketAddr) -> bool) -> Heard {
    let (out, rest): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses.iter().partition(|address| cannot(address));
    match rest.is_empty() {
        // Told of as of any other that can't be had.
        true => Heard { addresses: out, left_out: Vec::new() },
        false => Heard { addresses: rest, left_out: out.iter().map(|out| advice::left_out(option, *out)).collect() },
    }
}

/// Whether the system has no such address, or no IPv6 at all. Any port will do to know.
fn lacks_ipv6(ip: IpAddr) -> bool {
    let lacks = |error: io::Error| {
        error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
    };
    UdpSocket::bind(SocketAddr::new(ip, 0)).err().is_some_and(lacks)
}

/// What would keep these addresses from being listened on, for UDP and TCP or, for HTTP, TCP alone. Nothing is left behind.
pub fn obstacles(option: &'static str, addresses: &[SocketAddr], is_http: bool) -> Vec<BindError> {
    let wanted = addresses.iter().filter(|address| address.port() != 0);
    let obstacle = |&address: &SocketAddr| {
        let both_families = serves_both_families(address, addresses);
        let free = match is_http {
            true => free_for_tcp(address, both_families).map(drop).map_err(|error| ("HTTP", error)),
            false => free(address, both_families),
        };
        free.err().map(|(protocol, error)| BindError::new(option, address, protocol, &error))
    };
    wanted.filter_map(obstacle).collect()
}

/// Whether another process may have the addresses already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// No: who has one of them is told of.
    #[default]
    Alone,
    /// An older cleandns of the same user, which is about to leave; until then both answer.
    TakeOver,
}

/// Binds every address for UDP, once for each of `workers`, and for TCP. `proxies`: those that are spoken through. To take
/// over blocks for as long as somebody may take to say who they are.
pub fn bind(
    addresses: &[SocketAddr],
    workers: usize,
    start: Start,
    proxies: Option<&Proxies>,
) -> Result<Sockets, BindError> {
    if start == Start::TakeOver {
        // Before the first is bound: who asks would hear nothing from a socket of its own.
        if let Some(Stranger { address, at, says }) = beside::stranger(addresses, proxies) {
            let why = advice::answered_by_another(OPTION, at, &says);
            return Err(BindError { option: OPTION, address, protocol: "UDP", why, held: Some(Held::ByAnother) });
        }
    }
    let mut sockets = Sockets { udp: Vec::new(), tcp: Vec::new(), addresses: Vec::new(), passed: false, start };
    for &asked in addresses {
        let both_families = serves_both_families(asked, addresses);
        let mut tries_left = if asked.port() == 0 { FREE_PORT_TRIES_MAX } else { 1 };
        let (tcp, udp, address) = loop {
            tries_left -= 1;
            match open(asked, both_families, workers, start) {
                Ok(opened) => break opened,
                // Somebody was quicker: another port will do as well.
                Err((_, error)) if tries_left > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                Err((protocol, error)) if start == Start::TakeOver && error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(BindError::not_shared(OPTION, asked, protocol));
                }
                Err((protocol, error)) => return Err(BindError::new(OPTION, asked, protocol, &error)),
            }
        };
        sockets.tcp.push(tcp);
        sockets.udp.extend(udp);
        sockets.addresses.push(address);
    }
    Ok(sockets)
}

/// The protocol that an address can't be had for, and what the system says.
type Refused = (&'static str, io::Error);

/// What keeps an address for HTTP from being taken over along with those of `dns`: another cleandns has it, which stays.
/// `option` names the address. Only processes that this one may look at are seen.
pub fn http_of_another(option: &'static str, address: SocketAddr, dns: &[SocketAddr]) -> Option<BindError> {
    let is_cleandns = |holder: &Holder| holder.known() == Some(Known::Cleandns);
    let found =
        holder::of_another_server(address, dns).filter(|(holder, _)| address.port() != 0 && is_cleandns(holder));
    let (holder, elsewhere) = found?;
    let why = advice::of_another_server(option, address, &holder, &elsewhere);
    Some(BindError { option, address, protocol: "HTTP", why, held: Some(Held::ByCleandns) })
}

/// Makes sure that whoever has an address for HTTP shares it with who takes it over. Nobody's connections come to the
/// socket that tells: it never listens.
pub fn shares_http(option: &'static str, address: SocketAddr) -> Result<(), BindError> {
    let bind = || {
        let both_families = serves_both_families(address, &[address]);
        let socket = new_socket(address, both_families, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(address))
    };
    bind().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::not_shared(option, address, "HTTP"),
        _ => BindError::new(option, address, "HTTP", &error),
    })
}

/// Takes an address for TCP and, once for each of `workers`, for UDP; any port that is free for both, where port 0 is asked
/// for. Returns the address that it became.
fn open(
    asked: SocketAddr,
    both_families: bool,
    workers: usize,
    start: Start,
) -> Result<(TcpListener, Vec<UdpSocket>, SocketAddr), Refused> {
    let by = |protocol: &'static str| move |error: io::Error| (protocol, error);
    if start == Start::Alone && asked.port() != 0 {
        free(asked, both_families)?;
    }
    let tcp = tcp_listener(asked, both_families).map_err(by("TCP"))?;
    let address = tcp.local_addr().map_err(by("TCP"))?;
    if asked.port() == 0 {
        // The kernel gives no port twice for TCP; for UDP somebody may share it.
        udp_socket(address, both_families, false).map_err(by("UDP"))?;
    }
    let udp = (0..workers.max(1)).map(|_| udp_socket(address, both_families, true));
    Ok((tcp, udp.collect::<io::Result<_>>().map_err(by("UDP"))?, address))
}

/// Makes sure that nobody has the address. Workers share a port among themselves, and the kernel would let another process
/// of the same user share it, too, and take half the queries.
fn free(asked: SocketAddr, both_families: bool) -> Result<(), Refused> {
    free_for_tcp(asked, both_families).map_err(|error| ("TCP", error))?;
    udp_socket(asked, both_families, false).map_err(|error| ("UDP", error))?;
    Ok(())
}

/// Takes an address for TCP that nobody has.
fn free_for_tcp(asked: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    let socket = new_socket(asked, both_families, Type::STREAM, Protocol::TCP)?;
    // A connection of the old process that lingers is no obstacle; a listener is.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(asked))?;
    socket.listen(1)?;
    Ok(socket.into())
}

fn udp_socket(address: SocketAddr, both_families: bool, shared: bool) -> io::Result<UdpSocket> {
    let socket = new_socket(address, both_families, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(shared)?;
    widen(&SockRef::from(&socket));
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Asks for buffers that hold a burst. The kernel may give less; then a burst is lost a little earlier, which is no reason
/// not to serve.
pub(super) fn widen(socket: &SockRef<'_>) {
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
}

fn tcp_listener(address: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    let socket = new_socket(address, both_families, Type::STREAM, Protocol::TCP)?;
    // Lets a restart bind while connections of the old process linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Lets a new process take over.
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// True for `[::]`, which stands for every address of both families, unless IPv4 has a socket of its own on that port.
fn serves_both_families(address: SocketAddr, all: &[SocketAddr]) -> bool {
    let own_ipv4 = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
    address.is_ipv6() && address.ip().is_unspecified() && !all.iter().any(own_ipv4)
}

fn new_socket(address: SocketAddr, both_families: bool, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(!both_families)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn without_ipv6_the_addresses_of_ipv4_are_heard() {
        let parse = |all: &[&str]| all.iter().map(|address| address.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let both = parse(&["127.0.0.1:53", "[::1]:53"]);
        let without = leave_out(OPTION, &both, |address| address.is_ipv6());
        assert_eq!(without.addresses, parse(&["127.0.0.1:53"]));
        let told = &without.left_out[..];
        assert!(
            matches!(told, [told] if told.starts_with("listen.do53: [::1]:53 is left out: this machine has no IPv6"))
        );
        // Where nothing else is left it is an error, which is told when it is bound.
        let alone = parse(&["[::1]:53", "[::]:5300"]);
        assert_eq!(
            leave_out(OPTION, &alone, |address| address.is_ipv6()),
            Heard { addresses: alone, ..Heard::default() }
        );
        // An address of one network may come yet, or be a mistake.
        let of_network = parse(&["127.0.0.1:53", "[2001:db8::1]:53"]);
        assert_eq!(heard(OPTION, &of_network), Heard { addresses: of_network, ..Heard::default() });
    }

    /// A cleandns shares its address with who takes it over, and nobody's connections come to whoever only looks.
    #[test]
    fn an_address_for_http_is_shared_or_not() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = tcp_listener("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let at = |listener: &TcpListener| listener.local_addr().unwrap();
        let refused = shares_http("admin.listen", at(&alone)).unwrap_err().to_string();
        let begin = format!("admin.listen: can't listen on {} (HTTP): port {} can't", at(&alone), at(&alone).port());
        assert!(refused.starts_with(&begin) && refused.contains(&std::process::id().to_string()), "{refused}");
        shares_http("admin.listen", at(&shared)).unwrap();
        let free = at(&alone);
        drop(alone);
        shares_http("admin.listen", free).unwrap();
    }

    /// Another server may take a port between two looks at it.
    #[test]
    fn any_port_is_found_however_many_look_for_one() {
        let rounds = || {
            for _ in 0..100 {
                let sockets = bind(&["127.0.0.1:0".parse().unwrap()], 2, Start::Alone, None).unwrap();
                assert_eq!(sockets.tcp[0].local_addr().unwrap(), sockets.addresses[0]);
                assert!(sockets.udp.iter().all(|socket| socket.local_addr().unwrap() == sockets.addresses[0]));
            }
        };
        thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(rounds))));
    }
}
