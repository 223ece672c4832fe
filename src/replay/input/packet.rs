//! From a recorded packet to the DNS messages in it: link, network and transport headers.
//!
//! What has no message to the port of DNS is nothing to us. What has one that can't be had whole (fragments, segments, a
//! capture that keeps only the beginning of packets) is said.

use etherparse::{
    EtherType, IpNumber, Ipv6ExtensionSlice, LaxIpPayloadSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice,
};
use pcap_parser::Linktype;
use std::net::IpAddr;

/// Octets of the headers before an IP packet: of BSD's loopback, and of both forms of Linux's "any" interface.
const NULL_BYTES: usize = 4;
const SLL_BYTES: usize = 16;
const SLL2_BYTES: usize = 20;
/// Link types of raw IP on some BSDs, where 101 is the usual number.
const RAW_BSD: [i32; 2] = [12, 14];
/// Where link types end in a file's header; above stand lengths of checksums.
const LINK_TYPE_MASK: i32 = 0xffff;

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Payload<'a> {
    /// A datagram to the port of DNS. `is_cut`: the capture has only its beginning.
    Datagram {
        client: IpAddr,
        octets: &'a [u8],
        is_cut: bool,
    },
    /// A piece of a stream to it.
    Segment {
        client: IpAddr,
        octets: &'a [u8],
        is_cut: bool,
    },
    Other,
    Unreadable(&'static str),
}

/// Finds what a packet carries, by the type of its link; `port`: that of DNS.
pub(super) fn payload(link: Linktype, packet: &[u8], port: u16) -> Payload<'_> {
    match Linktype(link.0 & LINK_TYPE_MASK) {
        Linktype::ETHERNET => match LaxSlicedPacket::from_ethernet(packet) {
            Ok(sliced) => of(&sliced, port),
            Err(_) => Payload::Unreadable("the packet is shorter than an Ethernet header"),
        },
        Linktype::LINUX_SLL => below(packet, SLL_BYTES - 2, SLL_BYTES, port),
        Linktype::LINUX_SLL2 => below(packet, 0, SLL2_BYTES, port),
        Linktype::NULL | Linktype::LOOP => packet.get(NULL_BYTES..).map_or(SHORT, |packet| of_ip(packet, port)),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => of_ip(packet, port),
        Linktype(number) if RAW_BSD.contains(&number) => of_ip(packet, port),
        _ => Payload::Unreadable(
            "the capture is of a link other than Ethernet, raw IP, loopback or Linux's \"any\" interface",
        ),
    }
}

/// Why a message is skipped that the capture has only the beginning of.
pub(super) const CUT: &str = "the capture holds only the packet's beginning; capture whole packets (tcpdump -s 0)";
const SHORT: Payload<'static> = Payload::Unreadable("the packet is shorter than its headers");

/// The same where the EtherType stands in a header of so many octets.
fn below(packet: &[u8], type_at: usize, header_bytes: usize, port: u16) -> Payload<'_> {
    let ether_type = packet.get(type_at..).and_then(|rest| rest.first_chunk::<2>());
    match (ether_type, packet.get(header_bytes..)) {
        (Some(ether_type), Some(rest)) => {
            of(&LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes(*ether_type)), rest), port)
        }
        _ => SHORT,
    }
}

fn of_ip(packet: &[u8], port: u16) -> Payload<'_> {
    match LaxSlicedPacket::from_ip(packet) {
        Ok(sliced) => of(&sliced, port),
        Err(_) => Payload::Unreadable("the packet is no IP packet"),
    }
}

fn of<'a>(sliced: &LaxSlicedPacket<'a>, port: u16) -> Payload<'a> {
    let (client, ip): (IpAddr, _) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.payload()),
        Some(LaxNetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.payload()),
        _ => return Payload::Other,
    };
    if ip.fragmented {
        let is_first = match &sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => ip.header().fragments_offset().value() == 0,
            Some(LaxNetSlice::Ipv6(ip)) => !ip.extensions().clone().into_iter().any(is_later),
            _ => false,
        };
        // What isn't the first tells no port, and what isn't to ours is nothing to us.
        return match is_first && port_of(ip) == Some(port) {
            true => Payload::Unreadable("the packet is a fragment of another; fragments are not put together"),
            false => Payload::Other,
        };
    }
    let is_cut = ip.incomplete;
    match &sliced.transport {
        Some(TransportSlice::Udp(udp)) if udp.destination_port() == port => {
            Payload::Datagram { client, octets: udp.payload(), is_cut }
        }
        Some(TransportSlice::Tcp(tcp)) if tcp.destination_port() == port => {
            Payload::Segment { client, octets: tcp.payload(), is_cut }
        }
        // Its own header isn't there in whole; without a port it may be anything's.
        None if is_cut && has_ports(ip) && port_of(ip).is_none_or(|own| own == port) => Payload::Unreadable(CUT),
        _ => Payload::Other,
    }
}

fn has_ports(ip: &LaxIpPayloadSlice<'_>) -> bool {
    matches!(ip.ip_number, IpNumber::UDP | IpNumber::TCP)
}

/// The port that a datagram or a segment is sent to, of which only the beginning is there; `None`: not even that.
fn port_of(ip: &LaxIpPayloadSlice<'_>) -> Option<u16> {
    let port = ip.payload.get(2..).and_then(|rest| rest.first_chunk()).filter(|_| has_ports(ip));
    port.map(|port| u16::from_be_bytes(*port))
}

/// True for the extension header of a fragment that isn't the first.
fn is_later(extension: Ipv6ExtensionSlice<'_>) -> bool {
    matches!(extension, Ipv6ExtensionSlice::Fragment(fragment) if fragment.fragment_offset().value() != 0)
}

#[cfg(test)]
mod tests {
    use super::{super::DNS_PORT, *};
    use etherparse::{LinuxSllPacketType, PacketBuilder};

    const CLIENT: [u8; 4] = [192, 168, 1, 7];

    /// What stands before an IP packet.
    fn behind(header: &[u8], ip: &[u8]) -> Vec<u8> {
        [header, ip].concat()
    }

    fn udp4(port: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(CLIENT, [9, 9, 9, 9], 64).udp(4000, port).write(&mut packet, b"query").unwrap();
        packet
    }

    fn udp6() -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6([0xfd; 16], [1; 16], 64).udp(4000, 53).write(&mut packet, b"query").unwrap();
        packet
    }

    #[test]
    fn every_link_type() {
        let ethernet = |ether_type: [u8; 2]| [&[0u8; 12][..], &ether_type].concat();
        let tagged = [&[0u8; 12][..], &[0x81, 0, 0, 5, 0x88, 0xa8, 0, 6, 8, 0]].concat();
        let sll = [&[0u8; 14][..], &[8, 0]].concat();
        let sll2 = [&[0x86, 0xdd][..], &[0; 18]].concat();
        let v4 = Payload::Datagram { client: CLIENT.into(), octets: b"query", is_cut: false };
        let v6 = Payload::Datagram { client: [0xfd; 16].into(), octets: b"query", is_cut: false };
        for (link, packet, expected) in [
            (1, behind(&ethernet([8, 0]), &udp4(53)), v4),
            (1, behind(&ethernet([0x86, 0xdd]), &udp6()), v6),
            (1, behind(&tagged, &udp4(53)), v4),
            // With the octets of a checksum told in the upper half.
            (0x1400_0001, behind(&ethernet([8, 0]), &udp4(53)), v4),
            (1, behind(&ethernet([8, 6]), &[0; 28]), Payload::Other),
            (1, behind(&ethernet([8, 0]), &udp4(5353)), Payload::Other),
            // Short frames are padded.
            (1, behind(&ethernet([8, 0]), &[&udp4(53)[..], &[0; 9]].concat()), v4),
            (113, behind(&sll, &udp4(53)), v4),
            (276, behind(&sll2, &udp6()), v6),
            (0, behind(&[2, 0, 0, 0], &udp4(53)), v4),
            (108, behind(&[0, 0, 0, 2], &udp4(53)), v4),
            (101, udp4(53), v4),
            (12, udp6(), v6),
            (228, udp4(53), v4),
            (229, udp6(), v6),
            (1, vec![0; 13], Payload::Unreadable("the packet is shorter than an Ethernet header")),
            (113, vec![0; 15], SHORT),
            (276, vec![0; 19], SHORT),
            (0, vec![0; 3], SHORT),
            (101, vec![0xff; 40], Payload::Unreadable("the packet is no IP packet")),
        ] {
            assert_eq!(payload(Linktype(link), &packet, DNS_PORT), expected, "{link}: {packet:02x?}");
        }
        assert_eq!(payload(Linktype::RAW, &udp4(5353), 5353), v4, "another port, if somebody says so");
        assert_eq!(payload(Linktype::RAW, &udp4(53), 5353), Payload::Other);
        assert!(
            matches!(payload(Linktype(105), &udp4(53), DNS_PORT), Payload::Unreadable(why) if why.contains("link"))
        );
    }

    #[test]
    fn extension_headers_fragments_and_cut_packets() {
        // Hop-by-hop options before UDP.
        let mut extended = udp6();
        extended[6] = 0;
        extended[5] += 8;
        extended.splice(40..40, [17, 0, 1, 4, 0, 0, 0, 0]);
        let v6 = Payload::Datagram { client: [0xfd; 16].into(), octets: b"query", is_cut: false };
        assert_eq!(payload(Linktype::RAW, &extended, DNS_PORT), v6);
        let fragment = |port: u16, flags_and_offset: [u8; 2]| {
            let mut packet = udp4(port);
            packet[6..8].copy_from_slice(&flags_and_offset);
            packet
        };
        let fragment6 = |port: u16, offset: [u8; 2]| {
            let mut packet = udp6();
            packet[6] = 44;
            packet[5] += 8;
            packet[42..44].copy_from_slice(&port.to_be_bytes());
            packet.splice(40..40, [17, 0, offset[0], offset[1], 0, 0, 0, 9]);
            packet
        };
        let is_told = |packet: &[u8], what: &str| match payload(Linktype::RAW, packet, DNS_PORT) {
            Payload::Unreadable(why) => why.contains(what),
            other => panic!("{other:?}"),
        };
        for first in [fragment(53, [0x20, 0]), fragment6(53, [0, 1])] {
            assert!(is_told(&first, "fragment"));
        }
        // What isn't sent to the port of DNS, and what tells no port, because its first fragment does.
        for other in [
            fragment(443, [0x20, 0]),
            fragment(53, [0x20, 1]),
            fragment(53, [0, 1]),
            fragment6(443, [0, 1]),
            fragment6(53, [0, 9]),
        ] {
            assert_eq!(payload(Linktype::RAW, &other, DNS_PORT), Payload::Other, "{other:02x?}");
        }
        let whole = udp4(53);
        let cut = payload(Linktype::RAW, &whole[..whole.len() - 2], DNS_PORT);
        assert_eq!(cut, Payload::Datagram { client: CLIENT.into(), octets: b"que", is_cut: true });
        // Of its headers only some is there.
        assert!(is_told(&whole[..24], "only the packet's beginning"));
        assert!(is_told(&whole[..20], "only the packet's beginning"));
        assert_eq!(payload(Linktype::RAW, &udp4(443)[..24], DNS_PORT), Payload::Other);
    }

    #[test]
    fn streams() {
        let mut packet = Vec::new();
        let builder = PacketBuilder::linux_sll(LinuxSllPacketType::HOST, 6, [0; 8]).ipv4(CLIENT, [9, 9, 9, 9], 64);
        builder.tcp(4000, 53, 1, 1000).write(&mut packet, b"\0\x05query").unwrap();
        let expected = Payload::Segment { client: CLIENT.into(), octets: b"\0\x05query", is_cut: false };
        assert_eq!(payload(Linktype::LINUX_SLL, &packet, DNS_PORT), expected);
    }

    proptest::proptest! {
        #[test]
        fn no_octets_are_too_strange(
            link in proptest::sample::select(&[0, 1, 12, 101, 108, 113, 228, 229, 276, 9][..]),
            start in proptest::sample::select(vec![vec![], udp4(53), udp6(), vec![0; 12], vec![0; 14]]),
            octets in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
            cut in 0..60usize,
        ) {
            let packet = [start, octets].concat();
            let _ = payload(Linktype(link), &packet[cut.min(packet.len())..], DNS_PORT);
        }
    }
}
