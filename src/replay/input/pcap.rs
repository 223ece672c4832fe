//! Recorded packets, as tcpdump and Wireshark write them: pcap and pcapng.
//!
//! Queries over UDP are datagrams to the port of DNS, 53 unless somebody says another. Over TCP they are read where a
//! segment holds whole messages, which is so for nearly all; what lies across segments is counted as skipped. A packet
//! that was captured twice is asked twice.
//!
//! A capture on a resolver holds what it asks name servers, too. That is told by RD, which is not set there; where a
//! resolver asks another for recursion, nothing tells its queries from a client's.

use super::{
    Asked, NOT_JUDGED, OpenError, Place, Source, Step,
    packet::{CUT, Payload, payload},
};
use crate::dns::{HEADER_BYTES, Query, Reject, is_query};
use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError,
    traits::{PcapNGPacketBlock, PcapReaderIterator},
};
use std::{
    io::{self, Read},
    net::IpAddr,
};

/// Octets of the read buffer: at first, and for the largest block there may be.
const BUFFER_BYTES: usize = 1 << 18;
const BUFFER_BYTES_MAX: usize = 1 << 24;
/// Interfaces of one section: a machine has some, and a file that has more is broken.
const INTERFACES_MAX: usize = 1 << 16;
/// Octets before each message of a stream (RFC 1035 §4.2.2).
const LENGTH_BYTES: usize = 2;
/// Where the bit stands by which a query asks for recursion (RFC 1035 §4.1.1): the octet, and the bit in it.
const RD: (usize, u8) = (2, 1);
const MICROS: i128 = 1_000_000;

/// Reads packets.
pub(super) struct Packets {
    reader: Box<dyn PcapReaderIterator + Send>,
    /// Octets of the read buffer.
    buffer_bytes: usize,
    /// The port that queries are sent to.
    port: u16,
    interfaces: Vec<Interface>,
    /// Packets read.
    number: u64,
    current: Packet,
    query: Query,
    is_over: bool,
}

/// What packets were captured on.
struct Interface {
    link: Linktype,
    /// Units of time in a second.
    units: u128,
    /// Seconds to be added.
    offset: i64,
}

/// What is being read of a packet.
struct Packet {
    time: Option<i64>,
    client: IpAddr,
    /// Messages of a stream, each after its length; those before `at` are read.
    stream: Vec<u8>,
    at: usize,
}

/// What became of one attempt to read a block.
enum Next {
    Step(Step),
    /// A stream's messages are to be read.
    Stream,
    /// It was no packet, but what describes them.
    Described,
    More,
    Grow,
}

impl Packets {
    pub(super) fn new(input: impl Read + Send + 'static, port: u16) -> Result<Self, OpenError> {
        let reader = pcap_parser::create_reader(BUFFER_BYTES, input);
        let reader = reader.map_err(|error| {
            OpenError::Pcap(match error {
                PcapError::Incomplete(_) => "its header is cut off".to_owned(),
                PcapError::ReadError => "it can't be read".to_owned(),
                _ => "its header is neither that of pcap nor of pcapng; correct --format".to_owned(),
            })
        })?;
        let current = Packet { time: None, client: IpAddr::from([0; 4]), stream: Vec::new(), at: 0 };
        Ok(Self {
            reader,
            buffer_bytes: BUFFER_BYTES,
            port,
            interfaces: Vec::new(),
            number: 0,
            current,
            query: Query::BLANK,
            is_over: false,
        })
    }

    /// Reads one block.
    fn next(&mut self, asked: &mut Asked) -> Next {
        let Self { reader, port, interfaces, number, current, query, .. } = self;
        let (offset, block) = match reader.next() {
            Ok(read) => read,
            Err(PcapError::Eof) => return Next::Step(Step::End),
            Err(PcapError::Incomplete(_)) => return Next::More,
            Err(PcapError::BufferTooSmall) => return Next::Grow,
            Err(PcapError::UnexpectedEof) => {
                return Next::Step(Step::Broken("the file ends within a packet; the capture was cut off".into()));
            }
            Err(PcapError::ReadError) => return Next::Step(Step::Broken("the file can't be read on".into())),
            Err(_) => {
                return Next::Step(Step::Broken("what follows this packet is no block of a capture".into()));
            }
        };
        let mut take = |interface: usize, time: &dyn Fn(&Interface) -> Option<i64>, packet: &[u8]| {
            *number += 1;
            let Some(interface) = interfaces.get(interface) else {
                return Next::Step(Step::Skipped(
                    "the packet names an interface that the file doesn't describe".into(),
                ));
            };
            current.time = time(interface);
            current.take(payload(interface.link, packet, *port), query, asked)
        };
        let next = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let units = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
                interfaces.push(Interface { link: header.network, units, offset: 0 });
                Next::Described
            }
            PcapBlockOwned::Legacy(packet) => {
                let time = |interface: &Interface| {
                    micros(u128::from(packet.ts_sec) * interface.units + u128::from(packet.ts_usec), interface)
                };
                take(0, &time, packet.data)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                interfaces.clear();
                Next::Described
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(_)) if interfaces.len() == INTERFACES_MAX => {
                Next::Step(Step::Broken("the section describes more than 65536 interfaces".into()))
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                let units = units_of(block.if_tsresol);
                interfaces.push(Interface { link: block.linktype, units, offset: block.if_tsoffset });
                Next::Described
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                let ticks = u128::from(block.ts_high) << 32 | u128::from(block.ts_low);
                take(block.if_id as usize, &|interface| micros(ticks, interface), block.packet_data())
            }
            // It has no time.
            PcapBlockOwned::NG(Block::SimplePacket(block)) => take(0, &|_| None, block.packet_data()),
            PcapBlockOwned::NG(_) => Next::Described,
        };
        reader.consume(offset);
        next
    }

    /// Has the reader read on. `None`: there is more to look at.
    fn read_on(&mut self, grow: bool) -> io::Result<Option<Step>> {
        if grow {
            self.buffer_bytes *= 2;
            if self.buffer_bytes > BUFFER_BYTES_MAX || !self.reader.grow(self.buffer_bytes) {
                return Ok(Some(Step::Broken("the packet is longer than 16 MiB, so it is none".into())));
            }
        }
        match self.reader.refill() {
            Ok(()) => Ok(None),
            Err(_) => Err(io::Error::other("reading on failed")),
        }
    }
}

impl Source for Packets {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        loop {
            if let Some(step) = self.current.next_of_stream(&mut self.query, asked) {
                return Ok(step);
            }
            if self.is_over {
                return Ok(Step::End);
            }
            let step = match self.next(asked) {
                Next::Stream | Next::Described => continue,
                Next::Step(step) => Some(step),
                Next::More => self.read_on(false)?,
                Next::Grow => self.read_on(true)?,
            };
            if let Some(step) = step {
                self.is_over = matches!(step, Step::Broken(_) | Step::End);
                return Ok(step);
            }
        }
    }

    fn place(&self) -> Place {
        Place::Packet(self.number)
    }
}

impl Packet {
    /// Takes what a packet carries.
    fn take(&mut self, payload: Payload<'_>, query: &mut Query, asked: &mut Asked) -> Next {
        match payload {
            Payload::Other => Next::Step(Step::Ignored),
            Payload::Unreadable(why) => Next::Step(Step::Skipped(why.into())),
            Payload::Datagram { client, octets, is_cut } => {
                self.client = client;
                Next::Step(self.read(octets, is_cut, false, query, asked))
            }
            Payload::Segment { octets: [], .. } => Next::Step(Step::Ignored),
            Payload::Segment { is_cut: true, .. } => Next::Step(Step::Skipped(CUT.into())),
            Payload::Segment { client, octets, .. } => {
                self.client = client;
                self.stream.clear();
                self.stream.extend_from_slice(octets);
                self.at = 0;
                Next::Stream
            }
        }
    }

    /// The next message of a stream; `None` if there is none left.
    fn next_of_stream(&mut self, query: &mut Query, asked: &mut Asked) -> Option<Step> {
        let rest = self.stream.get(self.at..).filter(|rest| !rest.is_empty())?;
        let whole = rest.split_first_chunk::<LENGTH_BYTES>().and_then(|(length, rest)| {
            let length = usize::from(u16::from_be_bytes(*length));
            rest.get(..length).map(|_| length)
        });
        let Some(length) = whole else {
            self.stream.clear();
            return Some(Step::Skipped("a query over TCP lies across segments; segments are not put together".into()));
        };
        let start = self.at + LENGTH_BYTES;
        self.at = start + length;
        let stream = std::mem::take(&mut self.stream);
        let step = self.read(&stream[start..self.at], false, true, query, asked);
        self.stream = stream;
        Some(step)
    }

    fn read(&self, message: &[u8], is_cut: bool, tcp: bool, query: &mut Query, asked: &mut Asked) -> Step {
        if is_cut && message.len() < HEADER_BYTES {
            return Step::Skipped(CUT.into());
        }
        if !is_query(message) {
            return Step::Ignored;
        }
        if message[RD.0] & RD.1 == 0 {
            return Step::BetweenServers;
        }
        match query.read(message) {
            Ok(()) => {
                asked.clear();
                (asked.time, asked.client, asked.tcp) = (self.time, Some(self.client.to_canonical()), tcp);
                (asked.name, asked.rr_type) = (query.question.name, query.question.rr_type);
                Step::Asked
            }
            Err(Reject::Silent) => Step::Ignored,
            Err(_) if is_cut => Step::Skipped(CUT.into()),
            Err(_) => Step::Skipped(NOT_JUDGED.into()),
        }
    }
}

/// Units in a second of an interface's resolution: a power of two with the highest bit set, else of ten. One that is out
/// of any range counts as microseconds, as where none is given.
fn units_of(resolution: u8) -> u128 {
    let exponent = u32::from(resolution & 0x7f);
    let units = if resolution & 0x80 == 0 { 10u128.checked_pow(exponent) } else { 1u128.checked_shl(exponent) };
    // With more, no time fits into 64 bits.
    units.filter(|&units| units <= u128::from(u64::MAX)).unwrap_or(1_000_000)
}

fn micros(ticks: u128, interface: &Interface) -> Option<i64> {
    let micros = ticks.checked_mul(MICROS as u128)? / interface.units;
    let micros = i128::try_from(micros).ok()?.checked_add(i128::from(interface.offset) * MICROS)?;
    i64::try_from(micros).ok()
}

#[cfg(test)]
pub(super) mod tests;
