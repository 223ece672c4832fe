//! Who has a port already, as the kernel tells it: sockets from its tables, processes from their open files.
//!
//! The process is told only to those who may look at it: its own user, and root. Else the user it runs as is known, and
//! the address it has, by which the usual ones are known too.

use super::advice::Holder;
use crate::accounts;
use nix::unistd::Uid;
use std::{
    collections::HashSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

/// Processes looked at, to find the one with a socket.
const PROCESSES_MAX: usize = 65_536;
/// Addresses told that stand in the way of one.
const TOLD_MAX: usize = 16;
/// What the kernel calls a TCP socket that listens.
const LISTENING: &str = "0A";

/// A socket in the kernel's tables.
#[derive(PartialEq, Debug)]
struct Found {
    address: SocketAddr,
    uid: u32,
    inode: String,
}

/// Who keeps an address from being bound for TCP, or for UDP.
pub fn of(address: SocketAddr, is_tcp: bool) -> Option<Holder> {
    let tables = if is_tcp { ["/proc/net/tcp", "/proc/net/tcp6"] } else { ["/proc/net/udp", "/proc/net/udp6"] };
    let texts = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    let all: Vec<Found> = texts.flat_map(|text| sockets(&text, is_tcp)).collect();
    // The very address before another that gets in its way.
    let same = all.iter().find(|found| found.address == address);
    let found = same.or_else(|| all.iter().find(|found| collide(found.address, address)))?;
    let process = process_with(&found.inode);
    let user = accounts::user_of(Uid::from_raw(found.uid)).map(|user| user.name);
    Some(Holder { address: found.address, process, user })
}

/// The addresses of UDP sockets that stand where this address is, or a part of it. Some at most: there are few.
pub fn udp_sockets_at(address: SocketAddr) -> Vec<SocketAddr> {
    let texts = ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|path| fs::read_to_string(path).ok());
    let all = texts.flat_map(|text| sockets(&text, false)).map(|found| found.address);
    let mut found: Vec<SocketAddr> = all.filter(|&other| collide(other, address)).collect();
    found.sort();
    found.dedup();
    found.truncate(TOLD_MAX);
    found
}

/// Whether more than one socket listens for TCP where this address is.
pub fn is_shared(address: SocketAddr) -> bool {
    let texts = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| sockets(&text, true)).filter(|found| collide(found.address, address)).count() > 1
}

/// Who listens for TCP where `http` is, and elsewhere, but at none of the addresses of `dns`: whoever serves those is another.
/// With where it listens instead. Processes that this one may not look at are passed over.
pub fn of_another_server(http: SocketAddr, dns: &[SocketAddr]) -> Option<(Holder, Vec<SocketAddr>)> {
    let texts = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::read_to_string(path).ok());
    let all: Vec<Found> = texts.flat_map(|text| sockets(&text, true)).collect();
    all.iter().filter(|found| collide(found.address, http)).find_map(|found| {
        let process = process_with(&found.inode)?;
        let open = sockets_of(process.0);
        let own = all.iter().filter(|other| open.contains(&other.inode)).map(|other| other.address);
        let mut elsewhere: Vec<SocketAddr> = own.filter(|other| !collide(*other, http)).collect();
        // One that is leaving has given up the others.
        let is_other = !elsewhere.is_empty() && !elsewhere.iter().any(|own| dns.iter().any(|dns| collide(*own, *dns)));
        elsewhere.truncate(TOLD_MAX);
        let user = accounts::user_of(Uid::from_raw(found.uid)).map(|user| user.name);
        is_other.then_some((Holder { address: found.address, process: Some(process), user }, elsewhere))
    })
}

/// Whether one can't be bound while the other is: the same port, and an address in common.
pub fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, ip: IpAddr| match wide {
        IpAddr::V4(wide) => wide.is_unspecified() && ip.is_ipv4(),
        // It may hear both families.
        IpAddr::V6(wide) => wide.is_unspecified(),
    };
    let (one_ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (one_ip == other_ip || covers(one_ip, other_ip) || covers(other_ip, one_ip))
}

/// The sockets in a table of the kernel's that are bound (UDP) or listen (TCP).
fn sockets(table: &str, is_tcp: bool) -> Vec<Found> {
    let of_line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, uid, _, inode, ..] = columns[..] else { return None };
        if is_tcp && state != LISTENING {
            return None;
        }
        Some(Found { address: address(local)?, uid: uid.parse().ok()?, inode: inode.to_owned() })
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

/// `0100007F:0035`: words of the address as this machine has them in memory, and the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The process that has a socket open, and what it is called.
fn process_with(inode: &str) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten().take(PROCESSES_MAX);
    let mut ids = processes.filter_map(|item| item.file_name().to_str()?.parse::<u32>().ok());
    ids.find_map(|id| {
        let mut files = fs::read_dir(format!("/proc/{id}/fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))?;
        let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
        Some((id, name.trim_end().to_owned()))
    })
}

/// The sockets that a process has open, by the numbers that tables call them by.
fn sockets_of(process: u32) -> HashSet<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let number = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    files.filter_map(|file| number(fs::read_link(file.path()).ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    /// Who has an address of HTTP is the one that is taken over from if it has one of DNS, too, or none at all.
    #[test]
    fn another_server_is_known_by_where_it_listens() {
        let [http, dns, free] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let at = |listener: &TcpListener| listener.local_addr().unwrap();
        let (holder, elsewhere) = of_another_server(at(&http), &[]).unwrap();
        assert_eq!((holder.address, holder.process.unwrap().0), (at(&http), std::process::id()));
        assert!(elsewhere.contains(&at(&dns)) || elsewhere.len() == TOLD_MAX, "{elsewhere:?}");
        assert_eq!(of_another_server(at(&http), &[at(&dns)]), None);
        let address = at(&free);
        drop(free);
        assert_eq!(of_another_server(address, &[at(&dns)]), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_tables_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 17 1 0 100 0 0 10 0\n   \
             1: 0100007F:0035 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 20 4 30 10 -1\n";
        let found =
            |address: &str, uid, inode: &str| Found { address: address.parse().unwrap(), uid, inode: inode.into() };
        assert_eq!(sockets(tcp, true), [found("127.0.0.53:53", 101, "17")]);
        let udp6 = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
             8: 00000000000000000000000001000000:14B4 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 19 2 0 0\n\
             damaged\n";
        assert_eq!(sockets(udp6, false), [found("[::1]:5300", 1000, "19")]);
    }

    #[test]
    fn what_gets_in_each_others_way() {
        let collide = |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());
        for (one, other) in [
            ("127.0.0.1:53", "127.0.0.1:53"),
            ("0.0.0.0:53", "127.0.0.53:53"),
            ("192.168.1.2:53", "0.0.0.0:53"),
            ("[::]:53", "192.168.1.2:53"),
            ("[::ffff:192.168.1.2]:53", "192.168.1.2:53"),
        ] {
            assert!(collide(one, other) && collide(other, one), "{one} {other}");
        }
        for (one, other) in
            [("127.0.0.1:53", "127.0.0.53:53"), ("0.0.0.0:53", "0.0.0.0:54"), ("0.0.0.0:53", "[::1]:53")]
        {
            assert!(!collide(one, other) && !collide(other, one), "{one} {other}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
        for (address, is_tcp) in [(udp.local_addr().unwrap(), false), (tcp.local_addr().unwrap(), true)] {
            let found = of(address, is_tcp).unwrap();
            assert_eq!(found.address, address);
            assert_eq!(found.process.unwrap().0, std::process::id());
            assert!(of(address, !is_tcp).is_none_or(|other| other.address != address));
        }
    }
}
