//! One reading of the kernel's neighbour table: a question over a netlink socket (rtnetlink(7), RTM_GETNEIGH) and the
//! datagrams that answer it. Numbers are in this machine's byte order, and everything begins at multiples of four.

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvmsg, sendto, setsockopt,
            socket, sockopt,
        },
        time::TimeVal,
    },
};
use std::{
    collections::HashMap,
    io::{self, IoSliceMut},
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

/// Neighbours remembered at most: as many as a network of 16 bits has hosts. The kernel itself keeps a thousand unless
/// it was told otherwise.
const ENTRIES_MAX: usize = 65_536;
/// Octets of a datagram. The kernel fills up to 32 KiB.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Datagrams read for one question. Each has at least one neighbour, so more would be no answer.
const DATAGRAMS_MAX: usize = ENTRIES_MAX;
/// Seconds that the kernel is waited for; it answers at once.
const WAIT_SECONDS: i64 = 1;

/// Octets of a message's header: length, type, flags, sequence number, port.
const HEADER_BYTES: usize = 16;
/// Octets of a neighbour's fixed part: family, padding, interface, state, flags, type.
const NEIGHBOUR_BYTES: usize = 12;
/// Octets of an attribute's header: length, type.
const ATTRIBUTE_BYTES: usize = 4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// NLM_F_REQUEST and NLM_F_DUMP: all there is.
const REQUEST_FLAGS: u16 = 0x0301;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// An attribute's type without its two flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;
/// NTF_PROXY: not a neighbour, but an address for which this machine answers.
const NTF_PROXY: u8 = 0x08;

/// The states in which an address is known, the surest last (NUD_STALE, _DELAY, _PROBE, _REACHABLE, _PERMANENT). In
/// all others it is being asked for, or was and isn't there, or there is none.
const USABLE_STATES: [u16; 5] = [0x04, 0x08, 0x10, 0x02, 0x80];

/// Neighbours by their addresses.
#[derive(Default, Debug, PartialEq)]
pub struct Table(HashMap<IpAddr, Neighbour, foldhash::fast::RandomState>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Neighbour {
    mac: [u8; 6],
    /// Place of the state in [`USABLE_STATES`].
    sureness: usize,
}

/// Whether more datagrams follow.
#[derive(Debug, PartialEq)]
enum Progress {
    More,
    Done,
}

/// Why a datagram is of no use.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Damage {
    #[error("the kernel's answer ends too early")]
    Truncated,
    #[error("the kernel refused: {0}")]
    Refused(Errno),
}

impl Table {
    pub fn mac(&self, address: IpAddr) -> Option<[u8; 6]> {
        self.0.get(&address).map(|neighbour| neighbour.mac)
    }

    /// A table of one.
    #[cfg(test)]
    pub fn of(address: IpAddr, mac: [u8; 6]) -> Self {
        Self([(address, Neighbour { mac, sureness: 0 })].into_iter().collect())
    }

    /// Takes the neighbours from one datagram.
    fn read(&mut self, mut rest: &[u8]) -> Result<Progress, Damage> {
        while !rest.is_empty() {
            let length = number32(rest, 0)? as usize;
            let message = rest.get(..length).ok_or(Damage::Truncated)?;
            let body = message.get(HEADER_BYTES..).ok_or(Damage::Truncated)?;
            match number16(message, 4)? {
                NLMSG_DONE => return Ok(Progress::Done),
                NLMSG_ERROR => {
                    let errno = (number32(body, 0)? as i32).wrapping_neg();
                    return Err(Damage::Refused(Errno::from_raw(errno)));
                }
                RTM_NEWNEIGH => self.take(body)?,
                _ => {}
            }
            rest = after(rest, length);
        }
        Ok(Progress::More)
    }

    /// Takes one neighbour, if it is one that is of use.
    fn take(&mut self, body: &[u8]) -> Result<(), Damage> {
        let attributes = body.get(NEIGHBOUR_BYTES..).ok_or(Damage::Truncated)?;
        let (family, state, flags) = (body[0], number16(body, 8)?, body[10]);
        let address = attribute(attributes, NDA_DST)?.and_then(|octets| read_address(family, octets));
        let mac = attribute(attributes, NDA_LLADDR)?.and_then(|octets| <[u8; 6]>::try_from(octets).ok());
        let sureness = USABLE_STATES.iter().position(|usable| *usable == state);
        let (Some(address), Some(mac), Some(sureness)) = (address, mac, sureness) else {
            return Ok(());
        };
        if mac == [0; 6] || flags & NTF_PROXY != 0 {
            return Ok(());
        }
        // The same link-local address may stand on several interfaces.
        let is_surer = self.0.get(&address).is_none_or(|known| known.sureness < sureness);
        if is_surer && (self.0.len() < ENTRIES_MAX || self.0.contains_key(&address)) {
            self.0.insert(address, Neighbour { mac, sureness });
        }
        Ok(())
    }
}

/// Reads the kernel's table.
pub fn read_table() -> io::Result<Table> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(WAIT_SECONDS, 0))?;
    sendto(socket.as_raw_fd(), &question(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut table = Table::default();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    for _ in 0..DATAGRAMS_MAX {
        let length = receive(&socket, &mut datagram)?;
        let progress = table.read(&datagram[..length]);
        if progress.map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))? == Progress::Done {
            return Ok(table);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer does not end"))
}

/// The next datagram from the kernel itself: other processes may send to this socket, too.
fn receive(socket: &OwnedFd, datagram: &mut [u8]) -> io::Result<usize> {
    for _ in 0..DATAGRAMS_MAX {
        let mut parts = [IoSliceMut::new(datagram)];
        match recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut parts, None, MsgFlags::empty()) {
            Ok(received) if received.flags.contains(MsgFlags::MSG_TRUNC) => {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(received) if received.address.is_some_and(|sender| sender.pid() == 0) => return Ok(received.bytes),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// The question for all neighbours of all families.
fn question() -> [u8; HEADER_BYTES + NEIGHBOUR_BYTES] {
    let mut question = [0; HEADER_BYTES + NEIGHBOUR_BYTES];
    let length = question.len() as u32;
    question[..4].copy_from_slice(&length.to_ne_bytes());
    question[4..6].copy_from_slice(&RTM_GETNEIGH.to_ne_bytes());
    question[6..8].copy_from_slice(&REQUEST_FLAGS.to_ne_bytes());
    question
}

/// The data of the first attribute of a type.
fn attribute(mut rest: &[u8], wanted: u16) -> Result<Option<&[u8]>, Damage> {
    // What is left may be padding.
    while rest.len() >= ATTRIBUTE_BYTES {
        let length = usize::from(number16(rest, 0)?);
        let data = rest.get(ATTRIBUTE_BYTES..length).ok_or(Damage::Truncated)?;
        if number16(rest, 2)? & ATTRIBUTE_TYPE == wanted {
            return Ok(Some(data));
        }
        rest = after(rest, length);
    }
    Ok(None)
}

fn read_address(family: u8, octets: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        AF_INET6 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// What follows after `length` octets, which are at least one, and padding. At the end there may be none.
fn after(octets: &[u8], length: usize) -> &[u8] {
    octets.get(length.next_multiple_of(4)..).unwrap_or_default()
}

fn number16(octets: &[u8], at: usize) -> Result<u16, Damage> {
    let number = octets.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Damage::Truncated)?;
    Ok(u16::from_ne_bytes(*number))
}

fn number32(octets: &[u8], at: usize) -> Result<u32, Damage> {
    let number = octets.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Damage::Truncated)?;
    Ok(u32::from_ne_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// What Linux 6.1 said on a little-endian machine of a bridge with a stale, a permanent and a reachable neighbour
    /// and two multicast addresses, which need no asking.
    #[cfg(target_endian = "little")]
    const RECORDED: &str = "\
        4c0000001c000200010000009003000002000000020000000400000108000100c00002080a00020002005e10000800000800040000000000\
        140003007b1700000b0000000b000000000000004c0000001c00020001000000900300000200000002000000400000050800010\
        0e00000160a00020001005e00001600000800040000000000140003007a1700000a0000000a000000000000004c0000001c000200010000\
        009003000002000000020000008000000108000100c00002070a00020002005e10000700000800040000000000140003000b0000000b0000\
        000b00000000000000580000001c00020001000000900300000a000000020000004000000514000100ff0200000000000000000000000000\
        160a00020033330000001600000800040000000000140003007a1700000a0000000a00000000000000580000001c0002000100000090\
        0300000a00000002000000020000011400010020010db80000000000000000000000070a00020002005e1000070000080004000000000014\
        0003000b0000000b0000000b000000010000001400000003000200010000009003000000000000";

    #[cfg(target_endian = "little")]
    fn recorded() -> Vec<u8> {
        let digits: Vec<u8> = RECORDED.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect()
    }

    /// A message of any type.
    fn message(message_type: u16, body: &[u8]) -> Vec<u8> {
        let mut message = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        message.extend(message_type.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn neighbour(address: &str, mac: &[u8], state: u16, flags: u8) -> Vec<u8> {
        let (family, octets) = match address.parse().unwrap() {
            IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
        };
        let mut body = vec![family, 0, 0, 0, 1, 0, 0, 0];
        body.extend(state.to_ne_bytes());
        body.extend([flags, 1]);
        for (attribute_type, data) in [(7, &[1][..]), (NDA_DST, &octets), (NDA_LLADDR, mac)] {
            body.extend(((ATTRIBUTE_BYTES + data.len()) as u16).to_ne_bytes());
            body.extend(attribute_type.to_ne_bytes());
            body.extend(data);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        message(RTM_NEWNEIGH, &body)
    }

    fn mac_of(datagram: &[u8], address: &str) -> Option<[u8; 6]> {
        let mut table = Table::default();
        assert_eq!(table.read(datagram), Ok(Progress::More));
        table.mac(address.parse().unwrap())
    }

    const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 7];

    #[cfg(target_endian = "little")]
    #[test]
    fn a_recorded_table_is_read() {
        let mut table = Table::default();
        assert_eq!(table.read(&recorded()), Ok(Progress::Done));
        for (address, mac) in [
            ("192.0.2.7", Some(MAC)),
            ("192.0.2.8", Some([2, 0, 0x5e, 0x10, 0, 8])),
            ("2001:db8::7", Some(MAC)),
            ("224.0.0.22", None),
            ("ff02::16", None),
        ] {
            assert_eq!(table.mac(address.parse().unwrap()), mac, "{address}");
        }
        assert_eq!(table.0.len(), 3);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_table_cut_short_is_refused_and_never_a_panic() {
        let whole = recorded();
        let ends = [0, 76, 152, 228, 316, 404];
        for length in 0..whole.len() {
            let expected = if ends.contains(&length) { Ok(Progress::More) } else { Err(Damage::Truncated) };
            assert_eq!(Table::default().read(&whole[..length]), expected, "{length}");
        }
    }

    #[test]
    fn only_known_ethernet_addresses_count() {
        for (mac, state, flags, expected) in [
            (&MAC[..], 0x02, 0, Some(MAC)),
            (&MAC, 0x04, 0, Some(MAC)),
            (&MAC, 0x08, 0, Some(MAC)),
            (&MAC, 0x10, 0, Some(MAC)),
            (&MAC, 0x80, 0, Some(MAC)),
            (&MAC, 0x01, 0, None),
            (&MAC, 0x20, 0, None),
            (&MAC, 0x40, 0, None),
            (&MAC, 0x00, 0, None),
            (&MAC, 0x80, NTF_PROXY, None),
            (&MAC[..4], 0x02, 0, None),
            (&[1; 8], 0x02, 0, None),
            (&[0; 6], 0x02, 0, None),
            (&[], 0x02, 0, None),
        ] {
            for address in ["192.0.2.7", "fe80::7"] {
                let datagram = neighbour(address, mac, state, flags);
                assert_eq!(mac_of(&datagram, address), expected, "{mac:?} {state} {flags}");
            }
        }
    }

    #[test]
    fn the_surest_of_several_wins() {
        let (one, two) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        for (first, second, expected) in [(0x04, 0x02, two), (0x02, 0x04, one), (0x02, 0x02, one), (0x02, 0x80, two)] {
            let both = [neighbour("fe80::1", &one, first, 0), neighbour("fe80::1", &two, second, 0)].concat();
            assert_eq!(mac_of(&both, "fe80::1"), Some(expected), "{first} {second}");
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        let refusal = message(NLMSG_ERROR, &(-(Errno::EPERM as i32)).to_ne_bytes());
        assert_eq!(Table::default().read(&refusal), Err(Damage::Refused(Errno::EPERM)));
        let unknown = message(99, b"whatever");
        assert_eq!(Table::default().read(&unknown), Ok(Progress::More));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Table::default();
        for number in 0..ENTRIES_MAX as u32 + 10 {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
            table.read(&neighbour(&address, &MAC, 0x02, 0)).unwrap();
        }
        assert_eq!(table.0.len(), ENTRIES_MAX);
    }

    proptest! {
        #[test]
        fn garbage_is_no_panic(garbage in vec(any::<u8>(), 0..300), place in 0..400usize) {
            let _ = Table::default().read(&garbage);
            // Garbage in the place of something good.
            let mut datagram = [neighbour("192.0.2.7", &MAC, 0x02, 0), neighbour("fe80::7", &MAC, 0x02, 0)].concat();
            for (octet, garbage) in datagram.iter_mut().skip(place).zip(&garbage) {
                *octet = *garbage;
            }
            let _ = Table::default().read(&datagram);
        }
    }
}
