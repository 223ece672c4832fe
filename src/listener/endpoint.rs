//! A UDP socket whose replies leave from the address that was asked.
//!
//! A socket bound to one address does so by itself. One bound to `0.0.0.0` or `[::]` stands for every address of the
//! machine, and the kernel would choose the sender by its routes; a client drops a reply from another address than it
//! asked. So there the address asked is read with each packet (IP_PKTINFO, RFC 3542 §6) and sent with the reply.

use nix::{
    cmsg_space,
    libc::{in_pktinfo, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

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

    /// Waits for a packet, at most as long as the socket's read time-out.
    pub fn receive(&self, packet: &mut [u8]) -> io::Result<(usize, Peer)> {
        if !self.is_wildcard {
            let (length, client) = self.socket.recv_from(packet)?;
            return Ok((length, Peer { client, asked: Asked::Bound }));
        }
        // Room for the larger of the two.
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(packet)];
        let descriptor = self.socket.as_raw_fd();
        let received = recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let client = received.address.as_ref().and_then(socket_address);
        let client = client.ok_or_else(|| io::Error::other("a packet without a sender"))?;
        let asked = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::Ipv4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::Ipv6(info)),
            _ => None,
        });
        Ok((received.bytes, Peer { client, asked: asked.unwrap_or(Asked::Bound) }))
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

fn is_link_local(info: &in6_pktinfo) -> bool {
    let [first, second, ..] = info.ipi6_addr.s6_addr;
    first == 0xfe && second & 0xc0 == 0x80
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let ipv4 = address.as_sockaddr_in().map(|address| SocketAddr::V4(SocketAddrV4::from(*address)));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6(SocketAddrV6::from(*address))))
}
