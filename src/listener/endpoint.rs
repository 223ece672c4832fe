//! A UDP socket that receives and sends packets by the batch, and whose replies leave from the address that was asked.
//!
//! A socket bound to one address does so by itself. One bound to `0.0.0.0` or `[::]` stands for every address of the
//! machine, and the kernel would choose the sender by its routes; a client drops a reply from another address than it
//! asked. So there the address asked is read with each packet (IP_PKTINFO, RFC 3542 §6) and sent with the reply.

use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, sendmsg,
        setsockopt, sockopt,
    },
};
use smallvec::SmallVec;
use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

/// Packets that one system call moves at most. More would wait longer for each other than the calls cost.
pub const BATCH: usize = 64;
/// Packets that are few.
const FEW: usize = 8;
/// Octets of the largest datagram read. Queries are small; what is longer than this is cut and found malformed.
const PACKET_BYTES: usize = 4096;
/// From one packet's place to the next: were it a power of two, all packets would contend for the same few lines of the
/// processor's cache.
const STRIDE: usize = PACKET_BYTES + 192;

/// A bound UDP socket.
pub struct Endpoint {
    socket: UdpSocket,
    /// Its own.
    address: SocketAddr,
}

/// Who sent a packet, and to which address of this machine.
#[derive(Clone, Copy)]
pub struct Peer {
    pub client: SocketAddr,
    asked: Asked,
}

/// The address that a packet came to, and that the reply must leave from.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// The one that the socket is bound to.
    Bound,
    /// By which interface the reply leaves is left to the routes, as for any packet.
    Ipv4(Ipv4Addr),
    /// A link-local address means something on its interface alone, which is named then; otherwise it is 0.
    Ipv6(Ipv6Addr, u32),
}

impl Asked {
    /// Calls `act` with what tells the system so.
    fn told<T>(self, act: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
        match self {
            Self::Bound => act(&[]),
            Self::Ipv4(address) => {
                let address = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
                let info = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address };
                act(&[ControlMessage::Ipv4PacketInfo(&info)])
            }
            Self::Ipv6(address, interface) => {
                let address = in6_addr { s6_addr: address.octets() };
                let info = in6_pktinfo { ipi6_addr: address, ipi6_ifindex: interface };
                act(&[ControlMessage::Ipv6PacketInfo(&info)])
            }
        }
    }
}

impl Endpoint {
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let endpoint = Self { address: socket.local_addr()?, socket };
        match endpoint.address {
            _ if !endpoint.is_wildcard() => {}
            SocketAddr::V4(_) => setsockopt(&endpoint.socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&endpoint.socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(endpoint)
    }

    /// The address of this machine that a packet came to.
    pub fn asked_at(&self, peer: &Peer) -> IpAddr {
        match peer.asked {
            Asked::Bound => self.address.ip(),
            Asked::Ipv4(address) => address.into(),
            Asked::Ipv6(address, _) => address.into(),
        }
    }

    fn is_wildcard(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    /// Takes no more packets than have come, of which `receive` then gives the rest without waiting: a socket that is
    /// connected hears its peer alone, and among several at one address the kernel passes it over.
    pub fn leave(&self) -> io::Result<()> {
        // The discard service, from which no answer comes.
        self.socket.set_nonblocking(true)?;
        self.socket.connect((reachable(self.address).ip(), 9))
    }

    /// Waits for a packet, at most as long as the socket's read time-out, and takes all that have come.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        // Each place costs some steps, filled or not: as long as few packets come, there are few.
        if batch.received.len() < FEW { self.receive_into::<FEW>(batch) } else { self.receive_into::<BATCH>(batch) }
    }

    fn receive_into<const PLACES: usize>(&self, batch: &mut Batch) -> io::Result<()> {
        batch.received.clear();
        let mut places = batch.octets.chunks_exact_mut(STRIDE);
        let mut place = || places.next().map_or(&mut [][..], |place| &mut place[..PACKET_BYTES]);
        let mut parts: [_; PLACES] = std::array::from_fn(|_| [IoSliceMut::new(place())]);
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        for packet in recvmmsg(descriptor, &mut batch.headers, parts.iter_mut(), flags, None)? {
            // What can't be answered is taken for an empty packet, which gets no answer.
            let client = packet.address.as_ref().and_then(socket_address);
            let asked = if self.is_wildcard() { asked_address(packet.cmsgs()) } else { Asked::Bound };
            batch.received.push(client.map(|client| (packet.bytes, Peer { client, asked })));
        }
        Ok(())
    }

    /// Sends responses, in their order; returns how many the system didn't take.
    pub fn send_all(&self, responses: &[(&[u8], &Peer)], outbox: &mut Outbox) -> usize {
        let (mut rest, mut unsent) = (responses, 0);
        while let Some((first, Peer { asked, .. })) = rest.first() {
            // They share what is told of the sender, as they do nearly always.
            let alike = rest.iter().take(BATCH).take_while(|(_, peer)| peer.asked == *asked).count();
            let sent = match asked {
                // A wildcard's outbox has room for an address, and would send what lies there.
                Asked::Bound if self.is_wildcard() => self.send(first, rest[0].1).map(|()| 1),
                _ => self.send_alike(&rest[..alike], *asked, outbox),
            };
            // On failure only the first was tried.
            unsent += usize::from(sent.is_err());
            rest = &rest[sent.unwrap_or(1).clamp(1, alike)..];
        }
        unsent
    }

    /// Sends responses to packets that came to one address; returns how many were sent.
    fn send_alike(&self, responses: &[(&[u8], &Peer)], asked: Asked, outbox: &mut Outbox) -> io::Result<usize> {
        // Not collected: what is that large would be moved.
        let mut parts: SmallVec<[[IoSlice<'_>; 1]; BATCH]> = SmallVec::new();
        parts.extend(responses.iter().map(|(response, _)| [IoSlice::new(response)]));
        let mut clients: SmallVec<[Option<SockaddrStorage>; BATCH]> = SmallVec::new();
        clients.extend(responses.iter().map(|(_, peer)| Some(SockaddrStorage::from(peer.client))));
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let sent = asked.told(|messages| {
            sendmmsg(descriptor, &mut outbox.0, parts.iter(), &clients, messages, flags).map(Iterator::count)
        });
        Ok(sent?)
    }

    /// Sends a response. This waits for nothing but room in the socket's own megabytes.
    pub fn send(&self, response: &[u8], peer: &Peer) -> io::Result<()> {
        let (parts, client) = ([IoSlice::new(response)], SockaddrStorage::from(peer.client));
        let descriptor = self.socket.as_raw_fd();
        peer.asked.told(|messages| sendmsg(descriptor, &parts, messages, MsgFlags::empty(), Some(&client)))?;
        Ok(())
    }

    /// Room for what is sent together.
    pub fn outbox(&self) -> Outbox {
        let control = match self.address {
            _ if !self.is_wildcard() => None,
            SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
            SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
        };
        Outbox(MultiHeaders::preallocate(BATCH, control))
    }
}

/// Packets that came in together. Filled again and again.
pub struct Batch {
    headers: MultiHeaders<SockaddrStorage>,
    octets: Vec<u8>,
    received: Vec<Option<(usize, Peer)>>,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            // Room for the larger of the two.
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in6_pktinfo))),
            octets: vec![0; BATCH * STRIDE],
            received: Vec::with_capacity(BATCH),
        }
    }

    /// The packets, and who sent them.
    pub fn packets(&self) -> impl Iterator<Item = (&[u8], &Peer)> {
        let places = self.octets.chunks_exact(STRIDE);
        let filled = self.received.iter().zip(places);
        filled.filter_map(|(received, place)| received.as_ref().map(|(length, peer)| (&place[..*length], peer)))
    }
}

/// What sending by the batch needs.
pub struct Outbox(MultiHeaders<SockaddrStorage>);

/// The address at which a listener is reached from this machine: a wildcard stands for loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The address that a packet came to.
fn asked_address(messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>) -> Asked {
    let asked = messages.ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::Ipv4(info.ipi_addr.s_addr.to_ne_bytes().into())),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let interface = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                Some(Asked::Ipv6(address, interface))
            }
            _ => None,
        })
    });
    asked.unwrap_or(Asked::Bound)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let ipv4 = address.as_sockaddr_in().map(|address| SocketAddr::V4(SocketAddrV4::from(*address)));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6(SocketAddrV6::from(*address))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Packets to several addresses of one machine, in one batch: a client's socket is connected, and hears nobody but
    /// whom it asked.
    #[test]
    fn replies_to_a_mixed_batch_leave_from_the_addresses_asked() {
        let v4 = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.9.8.7", "127.0.0.1"];
        let mixed = ["::1", "127.0.0.1", "127.0.0.2", "::1", "::1", "127.0.0.1"];
        for (bound, asked) in [("0.0.0.0:0", &v4[..]), ("[::]:0", &mixed), ("127.0.0.1:0", &v4[..2])] {
            let socket = UdpSocket::bind(bound).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let port = socket.local_addr().unwrap().port();
            let endpoint = Endpoint::new(socket).unwrap();
            let ask = |address: &&str| {
                let ip: IpAddr = address.parse().unwrap();
                let own = if ip.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
                let client = UdpSocket::bind(own).unwrap();
                client.connect((ip, port)).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                client.send(address.as_bytes()).unwrap();
                client
            };
            let clients: Vec<UdpSocket> = asked.iter().map(ask).collect();
            let (mut batch, mut outbox) = (Batch::new(), endpoint.outbox());
            let mut seen = 0;
            while seen < asked.len() {
                endpoint.receive(&mut batch).unwrap();
                let replies: Vec<(&[u8], &Peer)> = batch.packets().collect();
                assert_eq!(endpoint.send_all(&replies, &mut outbox), 0, "{bound}");
                seen += replies.len();
            }
            for (client, address) in clients.iter().zip(asked) {
                let mut reply = [0; 64];
                let length = client.recv(&mut reply).unwrap_or_else(|error| panic!("{bound}, {address}: {error}"));
                assert_eq!(&reply[..length], address.as_bytes(), "{bound}");
            }
        }
    }
}
