//! A UDP socket that receives and sends packets by the batch, and whose replies leave from the address that was asked.
//!
//! A socket bound to one address does so by itself. One bound to `0.0.0.0` or `[::]` stands for every address of the
//! machine, and the kernel would choose the sender by its routes; a client drops a reply from another address than it
//! asked. So there the address asked is read with each packet (IP_PKTINFO, RFC 3542 §6) and sent with the reply.

use nix::{
    cmsg_space,
    libc::{in_pktinfo, in6_pktinfo},
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
pub const BATCH: usize = 32;
/// Octets of the largest datagram read. Queries are small; what is longer than this is cut and found malformed.
const PACKET_BYTES: usize = 4096;
/// From one packet's place to the next: were it a power of two, all packets would contend for the same few lines of the
/// processor's cache.
const STRIDE: usize = PACKET_BYTES + 192;

/// A bound UDP socket.
pub struct Endpoint {
    socket: UdpSocket,
    is_wildcard: bool,
}

/// Who sent a packet, and to which address of this machine.
#[derive(Clone, Copy)]
pub struct Peer {
    pub client: SocketAddr,
    asked: Asked,
}

/// The address that a packet came to.
#[derive(Clone, Copy)]
enum Asked {
    /// The one that the socket is bound to.
    Bound,
    Ipv4(in_pktinfo),
    Ipv6(in6_pktinfo),
}

impl Endpoint {
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let is_wildcard = address.ip().is_unspecified();
        if is_wildcard && address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else if is_wildcard {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self { socket, is_wildcard })
    }

    /// Takes no more packets than have come, of which `receive` then gives the rest without waiting: a socket that is
    /// connected hears its peer alone, and among several at one address the kernel passes it over.
    pub fn leave(&self) -> io::Result<()> {
        let own = self.socket.local_addr()?;
        let nobody = match own.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        // The discard service, from which no answer comes.
        self.socket.set_nonblocking(true)?;
        self.socket.connect((nobody, 9))
    }

    /// Waits for a packet, at most as long as the socket's read time-out, and takes all that have come.
    pub fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.received.clear();
        let mut places = batch.octets.chunks_exact_mut(STRIDE);
        let mut place = || places.next().map_or(&mut [][..], |place| &mut place[..PACKET_BYTES]);
        let mut parts: [_; BATCH] = std::array::from_fn(|_| [IoSliceMut::new(place())]);
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        for packet in recvmmsg(descriptor, &mut batch.headers, parts.iter_mut(), flags, None)? {
            // What can't be answered is taken for an empty packet, which gets no answer.
            let client = packet.address.as_ref().and_then(socket_address);
            let asked = if self.is_wildcard { asked_address(packet.cmsgs()) } else { Asked::Bound };
            batch.received.push(client.map(|client| (packet.bytes, Peer { client, asked })));
        }
        Ok(())
    }

    /// Sends responses, in their order; returns how many the system didn't take.
    pub fn send_all<'r>(&self, responses: &[(&'r [u8], &'r Peer)], outbox: &mut Outbox) -> usize {
        if self.is_wildcard {
            return responses.iter().filter(|(response, peer)| self.send(response, peer).is_err()).count();
        }
        let (mut at, mut unsent) = (0, 0);
        while at < responses.len() {
            let rest = &responses[at..responses.len().min(at + BATCH)];
            let parts: SmallVec<[[IoSlice<'_>; 1]; BATCH]> =
                rest.iter().map(|(response, _)| [IoSlice::new(response)]).collect();
            let clients: SmallVec<[Option<SockaddrStorage>; BATCH]> =
                rest.iter().map(|(_, peer)| Some(SockaddrStorage::from(peer.client))).collect();
            let descriptor = self.socket.as_raw_fd();
            match sendmmsg(descriptor, &mut outbox.0, parts.iter(), &clients, [], MsgFlags::empty()) {
                Ok(sent) => at += sent.count().max(1),
                // Only the first was tried.
                Err(_) => (at, unsent) = (at + 1, unsent + 1),
            }
        }
        unsent
    }

    /// Sends a response. This waits for nothing but room in the socket's own megabytes.
    pub fn send(&self, response: &[u8], peer: &Peer) -> io::Result<()> {
        let control = match &peer.asked {
            Asked::Bound => return self.socket.send_to(response, peer.client).map(drop),
            // The address asked becomes the sender; by which interface is left to the routes, as for any packet.
            Asked::Ipv4(info) => &Asked::Ipv4(in_pktinfo { ipi_spec_dst: info.ipi_addr, ipi_ifindex: 0, ..*info }),
            // A link-local address means something on its interface alone.
            Asked::Ipv6(info) if is_link_local(info) => &peer.asked,
            Asked::Ipv6(info) => &Asked::Ipv6(in6_pktinfo { ipi6_ifindex: 0, ..*info }),
        };
        let message = match control {
            Asked::Ipv4(info) => ControlMessage::Ipv4PacketInfo(info),
            Asked::Ipv6(info) => ControlMessage::Ipv6PacketInfo(info),
            Asked::Bound => return Ok(()),
        };
        let parts = [IoSlice::new(response)];
        let client = SockaddrStorage::from(peer.client);
        sendmsg(self.socket.as_raw_fd(), &parts, &[message], MsgFlags::empty(), Some(&client))?;
        Ok(())
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

impl Outbox {
    pub fn new() -> Self {
        Self(MultiHeaders::preallocate(BATCH, None))
    }
}

/// The address that a packet came to.
fn asked_address(messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>) -> Asked {
    let asked = messages.ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::Ipv4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::Ipv6(info)),
            _ => None,
        })
    });
    asked.unwrap_or(Asked::Bound)
}

fn is_link_local(info: &in6_pktinfo) -> bool {
    let [first, second, ..] = info.ipi6_addr.s6_addr;
    first == 0xfe && second & 0xc0 == 0x80
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let ipv4 = address.as_sockaddr_in().map(|address| SocketAddr::V4(SocketAddrV4::from(*address)));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6(SocketAddrV6::from(*address))))
}
