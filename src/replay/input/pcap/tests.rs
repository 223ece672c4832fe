//! Captures, put together by hand, and what is read of them.

use crate::{
    dns::Name,
    replay::input::{Around, Asked, Place, Step, open, tests::steps},
};
use etherparse::PacketBuilder;
use std::io::Cursor;

/// A query for `name`, A.
fn query(name: &str) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name.as_wire(), &[0, 1, 0, 1]].concat()
}

fn udp(message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 53], 64);
    builder.udp(4000, 53).write(&mut packet, message).unwrap();
    packet
}

fn tcp(stream: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6([0xfd; 16], [1; 16], 64);
    builder.tcp(4000, 53, 1, 1000).write(&mut packet, stream).unwrap();
    packet
}

/// Messages as they stand in a stream.
fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat()).collect()
}

/// A number in one of two orders.
fn u32_in(big_endian: bool, number: u32) -> [u8; 4] {
    if big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
}

fn u16_in(big_endian: bool, number: u16) -> [u8; 2] {
    if big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
}

/// A capture of Ethernet, each packet at a second and a fraction.
fn pcap(big_endian: bool, nanoseconds: bool, packets: &[Vec<u8>]) -> Vec<u8> {
    let number = |number| u32_in(big_endian, number);
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let versions = [u16_in(big_endian, 2), u16_in(big_endian, 4)].concat();
    let mut file = [&number(magic)[..], &versions, &number(0), &number(0), &number(65535), &number(1)].concat();
    for packet in packets {
        let (fraction, length) = (if nanoseconds { 250_000_999 } else { 250_000 }, packet.len() as u32);
        [1_700_000_000, fraction, length, length].map(number).iter().for_each(|part| file.extend(part));
        file.extend(packet);
    }
    file
}

/// A block of pcapng.
fn block(big_endian: bool, kind: u32, content: &[u8]) -> Vec<u8> {
    let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
    let length = u32_in(big_endian, (content.len() + padding.len() + 12) as u32);
    [&u32_in(big_endian, kind)[..], &length, content, &padding, &length].concat()
}

fn section(big_endian: bool) -> Vec<u8> {
    let versions = [u16_in(big_endian, 1), u16_in(big_endian, 0)].concat();
    block(big_endian, 0x0a0d_0d0a, &[&u32_in(big_endian, 0x1a2b_3c4d)[..], &versions, &[0xff; 8]].concat())
}

/// An interface of Ethernet; `resolution` as the option has it.
fn interface(big_endian: bool, resolution: Option<u8>) -> Vec<u8> {
    let mut content = [&u16_in(big_endian, 1)[..], &[0; 6]].concat();
    if let Some(resolution) = resolution {
        content.extend([&u16_in(big_endian, 9)[..], &u16_in(big_endian, 1), &[resolution, 0, 0, 0], &[0; 4]].concat());
    }
    block(big_endian, 1, &content)
}

fn enhanced(big_endian: bool, interface: u32, ticks: u64, packet: &[u8]) -> Vec<u8> {
    let length = packet.len() as u32;
    let head = [interface, (ticks >> 32) as u32, ticks as u32, length, length].map(|part| u32_in(big_endian, part));
    block(big_endian, 6, &[&head.concat(), packet].concat())
}

/// Files for whoever wants some to spoil.
pub(in super::super) fn file() -> Vec<u8> {
    pcap(false, false, &[udp(&query("a.example")), tcp(&stream(&[query("b.example")]))])
}

pub(in super::super) fn file_of_blocks() -> Vec<u8> {
    [section(true), interface(true, Some(9)), enhanced(true, 0, 1, &udp(&query("a.example")))].concat()
}

/// Headers and descriptions of interfaces are no packets that hold no query.
#[test]
fn what_describes_packets_is_none() {
    for file in [pcap(false, false, &[udp(&query("a.example"))]), file_of_blocks()] {
        let clock = Around::utc(0);
        let mut source = open(Cursor::new(file), None, None, &clock).unwrap().source;
        let mut asked = Asked::default();
        assert_eq!(source.advance(&mut asked).unwrap(), Step::Asked);
        assert_eq!(source.place(), Place::Packet(1));
        assert_eq!(source.advance(&mut asked).unwrap(), Step::End);
    }
}

#[test]
fn packets_of_pcap() {
    let response = {
        let mut message = query("a.example");
        message[2] |= 0x80;
        message
    };
    let packets = [udp(&query("a.example")), udp(&response), tcp(&stream(&[query("b.example"), query("c.example")]))];
    for (big_endian, nanoseconds) in [(false, false), (true, false), (false, true), (true, true)] {
        let time = "2023-11-14T22:13:20.25Z";
        let client = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
        let expected = [
            format!("a.example A 10.0.0.1 {time}"),
            format!("b.example A {client} {time} tcp"),
            format!("c.example A {client} {time} tcp"),
        ];
        assert_eq!(steps(&pcap(big_endian, nanoseconds, &packets), None), expected, "{big_endian} {nanoseconds}");
    }
}

/// A resolver's own queries, as a capture on it has them, are not a client's; nor is what servers tell each other.
#[test]
fn queries_between_servers() {
    let iterative = |name: &str| {
        let mut message = query(name);
        message[2] &= !1;
        message
    };
    let notify = {
        let mut message = iterative("zone.example");
        message[2] |= 4 << 3;
        message
    };
    let packets = [
        udp(&iterative("a.example")),
        udp(&query("a.example")),
        tcp(&stream(&[iterative("b.example"), query("b.example")])),
        udp(&notify),
    ];
    let read = steps(&pcap(false, false, &packets), None);
    let time = "2023-11-14T22:13:20.25Z";
    let client = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
    let expected = [
        "packet 1: between servers".to_owned(),
        format!("a.example A 10.0.0.1 {time}"),
        "packet 3: between servers".to_owned(),
        format!("b.example A {client} {time} tcp"),
        "packet 4: between servers".to_owned(),
    ];
    assert_eq!(read, expected);
}

#[test]
fn packets_that_have_no_query_in_whole() {
    let whole = stream(&[query("a.example"), query("b.example")]);
    let class_any = {
        let mut message = query("a.example");
        *message.last_mut().unwrap() = 255;
        message
    };
    let packets = [
        tcp(&whole[..whole.len() - 3]),
        tcp(&[]),
        tcp(&[0]),
        udp(&class_any),
        udp(&[0; 5]),
        udp(&query("c.example"))[..50].to_vec(),
        vec![1, 2, 3],
    ];
    let read = steps(&pcap(false, false, &packets), None);
    let expected = [
        "a.example A fdfd",
        "packet 1: skipped: a query over TCP lies across segments",
        "packet 3: skipped: a query over TCP lies across segments",
        "packet 4: skipped: the query is answered with an error code alone",
        "packet 6: skipped: the capture holds only the packet's beginning",
        "packet 7: skipped: the packet is shorter than an Ethernet header",
    ];
    assert_eq!(read.len(), expected.len(), "{read:#?}");
    for (read, expected) in read.iter().zip(expected) {
        assert!(read.starts_with(expected), "{read}");
    }
}

#[test]
fn packets_of_pcapng() {
    let packet = udp(&query("a.example"));
    let ticks = 1_700_000_000u64;
    for big_endian in [false, true] {
        let file = [
            section(big_endian),
            interface(big_endian, None),
            interface(big_endian, Some(9)),
            // 2^10 units in a second.
            interface(big_endian, Some(0x8a)),
            enhanced(big_endian, 0, ticks * 1_000_000 + 500_000, &packet),
            enhanced(big_endian, 1, ticks * 1_000_000_000 + 500_000_000, &packet),
            enhanced(big_endian, 2, ticks * 1024 + 512, &packet),
            enhanced(big_endian, 3, 0, &packet),
            // A kind of block that nobody knows, and a packet without a time.
            block(big_endian, 0x7777, b"abc"),
            block(big_endian, 3, &[&u32_in(big_endian, packet.len() as u32)[..], &packet].concat()),
            // Another section has interfaces of its own, and its own order of octets.
            section(!big_endian),
            enhanced(!big_endian, 0, 0, &packet),
        ]
        .concat();
        let with_time = "a.example A 10.0.0.1 2023-11-14T22:13:20.5Z";
        let unknown = |number: u64| {
            format!("packet {number}: skipped: the packet names an interface that the file doesn't describe")
        };
        let (fourth, sixth) = (unknown(4), unknown(6));
        let expected = [with_time, with_time, with_time, &fourth, "a.example A 10.0.0.1", &sixth];
        assert_eq!(steps(&file, None), expected, "{big_endian}");
    }
}

#[test]
fn captures_that_end_too_early() {
    let file = pcap(false, false, &[udp(&query("a.example")), udp(&query("b.example"))]);
    let read = steps(&file[..file.len() - 4], None);
    assert_eq!(read[1], "packet 1: broken: the file ends within a packet; the capture was cut off");
    // A length that no packet has.
    let mut absurd = file.clone();
    absurd[32..36].copy_from_slice(&[0xff; 4]);
    let read = steps(&absurd, None);
    assert!(read.len() == 1 && read[0].starts_with("packet 0: broken: "), "{read:?}");
    let read = steps(&file[..20], None);
    assert_eq!(read, ["cannot: is no file of captured packets: its header is cut off"]);
    // A large packet of something else is no trouble.
    let file = pcap(false, false, &[vec![0; 3 << 20], udp(&query("a.example"))]);
    assert_eq!(steps(&file, None).len(), 1);
}
