//! Whom a load balancer asks for: it says so in a header of the PROXY protocol, before each packet and at a connection's
//! beginning. `ppp` reads the header; here it is decided whose is believed.
//!
//! Whoever is named must send one, and nobody else may: a header that may be there or not lets clients write their own.
//! Over UDP that is version 2, over TCP also version 1, which is text (HAProxy's proxy-protocol.txt §2).

use crate::telemetry::{HeaderRefused, Telemetry};
use ipnet::IpNet;
use ppp::{HeaderResult, PartialResult, v1, v2};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A client's address, and the one at which it asked.
pub type Ends = (IpAddr, IpAddr);

/// Octets of a header at a connection's beginning: addresses have 232 at most, the rest is what balancers add about them.
const HEADER_BYTES_MAX: usize = 512;

/// By which a proxy asks for itself, over UDP and TCP (version 2, LOCAL).
pub const FOR_ITSELF: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Networks of those who speak for others.
pub struct Proxies {
    networks: Vec<IpNet>,
    /// The log has said so, by reason.
    said: [AtomicBool; HeaderRefused::ALL.len()],
}

impl Proxies {
    /// Nothing without a network: then nobody's packets are looked at.
    pub fn new(networks: Vec<IpNet>) -> Option<Self> {
        (!networks.is_empty()).then(|| Self { networks, said: Default::default() })
    }

    /// Whether this address speaks for others.
    pub fn has(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// Whom a packet is from, and where its message begins. `ends`: those of the packet itself.
    pub fn packet(&self, packet: &[u8], ends: Ends) -> Result<(Ends, usize), HeaderRefused> {
        // By the whole of the signature: a message's id may begin like it.
        let is_header = packet.starts_with(v2::PROTOCOL_PREFIX);
        match (self.has(ends.0), is_header) {
            (false, false) => Ok((ends, 0)),
            (false, true) => Err(HeaderRefused::Stranger),
            (true, false) => Err(HeaderRefused::Missing),
            (true, true) => match v2::Header::try_from(packet) {
                Ok(header) => Ok((told_v2(&header, ends), header.len())),
                Err(_) => Err(HeaderRefused::Malformed),
            },
        }
    }

    /// Whom a connection is from, whose header is taken from its beginning. Nothing: it ended before it said so.
    pub async fn connection(
        &self,
        stream: &mut (impl AsyncBufRead + Unpin),
        ends: Ends,
    ) -> Result<Option<Ends>, HeaderRefused> {
        if !self.has(ends.0) {
            let is_header = stream.fill_buf().await.is_ok_and(begins);
            return if is_header { Err(HeaderRefused::Stranger) } else { Ok(Some(ends)) };
        }
        let mut head = Vec::new();
        loop {
            let before = head.len();
            match stream.fill_buf().await {
                Ok([]) if before == 0 => return Ok(None),
                Err(_) => return Ok(None),
                Ok([]) => return Err(HeaderRefused::Malformed),
                Ok(octets) => head.extend(octets.iter().take(HEADER_BYTES_MAX - before)),
            }
            let read = HeaderResult::parse(&head);
            // Of text that breaks off within a number `ppp` says that it is wrong.
            let is_half_a_line = head.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) && !head.contains(&b'\n');
            if (read.is_incomplete() || is_half_a_line) && head.len() < HEADER_BYTES_MAX {
                stream.consume(head.len() - before);
                continue;
            }
            let (told, length) = match read {
                HeaderResult::V1(Ok(header)) => (told_v1(&header, ends), header.header.len()),
                HeaderResult::V2(Ok(header)) => (told_v2(&header, ends), header.len()),
                _ if begins(&head) => return Err(HeaderRefused::Malformed),
                _ => return Err(HeaderRefused::Missing),
            };
            stream.consume(length.saturating_sub(before));
            return Ok(Some(told));
        }
    }

    /// Counts what wasn't believed. The first of each kind is told, with what to do: its sender hears nothing.
    pub fn refuse(&self, why: HeaderRefused, peer: IpAddr, telemetry: &Telemetry) {
        telemetry.header_refused(why);
        let said = &self.said[why as usize];
        // Written once: all workers look at it for each packet of a flood.
        if !said.load(Relaxed) && !said.swap(true, Relaxed) {
            tracing::warn!(from = %peer.to_canonical(), "{}", told(why));
        }
    }
}

/// What to do about it, for people.
fn told(why: HeaderRefused) -> &'static str {
    match why {
        HeaderRefused::Missing => {
            "a query without a PROXY header was dropped, as all are from networks in listen.proxy_protocol_from; have the \
             load balancer send one, or name its own address alone"
        }
        HeaderRefused::Malformed => {
            "a query whose PROXY header can't be read was dropped; over UDP it must be version 2"
        }
        HeaderRefused::Stranger => {
            "a query with a PROXY header was dropped, because listen.proxy_protocol_from doesn't name who sent it; if it is \
             your load balancer, add its address"
        }
    }
}

/// Whether these octets begin as a header of either version does.
fn begins(octets: &[u8]) -> bool {
    octets.starts_with(v2::PROTOCOL_PREFIX) || octets.starts_with(v1::PROTOCOL_PREFIX.as_bytes())
}

/// Who is no client of others, such as a balancer that looks whether this server lives, is who they are.
fn told_v2(header: &v2::Header<'_>, ends: Ends) -> Ends {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(of)) => (of.source_address.into(), of.destination_address.into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(of)) => (of.source_address.into(), of.destination_address.into()),
        _ => ends,
    }
}

fn told_v1(header: &v1::Header<'_>, ends: Ends) -> Ends {
    match header.addresses {
        v1::Addresses::Tcp4(of) => (of.source_address.into(), of.destination_address.into()),
        v1::Addresses::Tcp6(of) => (of.source_address.into(), of.destination_address.into()),
        v1::Addresses::Unknown => ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };
    use tokio::io::{AsyncReadExt, BufReader};

    const MESSAGE: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";

    fn proxies() -> Proxies {
        Proxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ends(client: &str) -> Ends {
        (ip(client), ip("192.0.2.53"))
    }

    /// A header of version 2 with this command, family and protocol, and what comes after its length.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [v2::PROTOCOL_PREFIX, &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    fn with_message(header: &[u8]) -> Vec<u8> {
        [header, MESSAGE].concat()
    }

    const OF_IPV4: [u8; 12] = [198, 51, 100, 7, 203, 0, 113, 53, 0x12, 0x34, 0, 53];

    /// What is read from a connection that sends these pieces and ends, and what is left of it.
    fn connected(pieces: &[&[u8]], peer: &str) -> (Result<Option<Ends>, HeaderRefused>, Vec<u8>) {
        struct Pieces<'a>(Vec<&'a [u8]>);
        impl tokio::io::AsyncRead for Pieces<'_> {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut Context<'_>,
                into: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<std::io::Result<()>> {
                if let Some(first) = self.0.first_mut() {
                    let length = first.len().min(into.remaining());
                    into.put_slice(&first[..length]);
                    *first = &first[length..];
                    if first.is_empty() {
                        self.0.remove(0);
                    }
                }
                Poll::Ready(Ok(()))
            }
        }
        let pieces = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
        let read = async {
            let mut stream = BufReader::with_capacity(1024, Pieces(pieces));
            let told = proxies().connection(&mut stream, ends(peer)).await;
            let mut left = Vec::new();
            stream.read_to_end(&mut left).await.unwrap();
            (told, left)
        };
        // What it reads is always there.
        match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_packet_is_from_whom_its_header_says() {
        let of_ipv6: Vec<u8> =
            [ip("2001:db8::7"), ip("2001:db8::53")].iter().flat_map(|ip| octets(*ip)).chain([0; 4]).collect();
        let with_more = [&OF_IPV4[..], &[0x04, 0, 2, 0, 0]].concat();
        let told = (ip("198.51.100.7"), ip("203.0.113.53"));
        for (header, expected) in [
            (v2(0x21, 0x12, &OF_IPV4), told),
            // Over TCP, the client came to the balancer.
            (v2(0x21, 0x11, &OF_IPV4), told),
            (v2(0x21, 0x12, &with_more), told),
            (v2(0x21, 0x22, &of_ipv6), (ip("2001:db8::7"), ip("2001:db8::53"))),
            // The balancer itself, whatever stands there besides; and a client without an address.
            (v2(0x20, 0x00, &[]), ends("10.0.0.1")),
            (v2(0x20, 0x12, &OF_IPV4), ends("10.0.0.1")),
            (v2(0x21, 0x00, &[1, 2, 3]), ends("10.0.0.1")),
            (v2(0x21, 0x31, &[0; 216]), ends("10.0.0.1")),
        ] {
            let packet = with_message(&header);
            assert_eq!(proxies().packet(&packet, ends("10.0.0.1")), Ok((expected, header.len())), "{header:02x?}");
            let (read, left) = connected(&[&packet], "10.0.0.1");
            assert_eq!((read, &left[..]), (Ok(Some(expected)), MESSAGE), "{header:02x?}");
        }
    }

    fn octets(ip: IpAddr) -> Vec<u8> {
        match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }
    }

    #[test]
    fn who_is_named_must_send_one_and_nobody_else_may() {
        let good = with_message(&v2(0x21, 0x12, &OF_IPV4));
        let cut = &good[..20];
        let version_3 = with_message(&v2(0x31, 0x12, &OF_IPV4));
        let short = with_message(&v2(0x21, 0x12, &OF_IPV4[..8]));
        let text = with_message(b"PROXY TCP4 198.51.100.7 203.0.113.53 4660 53\r\n");
        use HeaderRefused::{Malformed, Missing, Stranger};
        for (packet, named, stranger) in [
            (&good[..], Ok(28), Err(Stranger)),
            (cut, Err(Malformed), Err(Stranger)),
            (&version_3, Err(Malformed), Err(Stranger)),
            (&short, Err(Malformed), Err(Stranger)),
            (MESSAGE, Err(Missing), Ok(0)),
            (b"", Err(Missing), Ok(0)),
            // Text is for connections.
            (&text, Err(Missing), Ok(0)),
        ] {
            let read = |peer| proxies().packet(packet, ends(peer)).map(|(_, length)| length);
            for peer in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
                assert_eq!(read(peer), named, "{peer} {packet:02x?}");
            }
            for peer in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db8::1"] {
                assert_eq!(read(peer), stranger, "{peer} {packet:02x?}");
            }
        }
    }

    #[test]
    fn a_connection_is_from_whom_its_header_says_however_it_comes() {
        let text: &[u8] = b"PROXY TCP4 198.51.100.7 203.0.113.53 4660 53\r\n";
        let of_ipv6: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::53 4660 53\r\n";
        let told = (ip("198.51.100.7"), ip("203.0.113.53"));
        let long = v2(0x21, 0x11, &[&OF_IPV4[..], &[0; HEADER_BYTES_MAX - 28]].concat());
        for (header, expected) in [
            (text, told),
            (of_ipv6, (ip("2001:db8::7"), ip("2001:db8::53"))),
            (b"PROXY UNKNOWN\r\n", ends("10.0.0.1")),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ends("10.0.0.1")),
            (&v2(0x21, 0x11, &OF_IPV4), told),
            (&long, told),
        ] {
            let sent = with_message(header);
            for at in 0..=header.len() {
                let (read, left) = connected(&[&sent[..at], &sent[at..]], "10.0.0.1");
                assert_eq!((read, &left[..]), (Ok(Some(expected)), MESSAGE), "{at} of {header:02x?}");
            }
            let one_by_one: Vec<&[u8]> = sent.chunks(1).collect();
            assert_eq!(connected(&one_by_one, "10.0.0.1"), (Ok(Some(expected)), MESSAGE.to_vec()));
            assert_eq!(connected(&[&sent], "11.0.0.1").0, Err(HeaderRefused::Stranger), "{header:02x?}");
        }
        let framed = [&[0, 12][..], MESSAGE].concat();
        let too_long = v2(0x21, 0x11, &[&OF_IPV4[..], &[0; HEADER_BYTES_MAX - 27]].concat());
        for (sent, expected) in [
            (&framed[..], Err(HeaderRefused::Missing)),
            (b"", Ok(None)),
            (&text[..20], Err(HeaderRefused::Malformed)),
            (b"PROXY TCP4 198.51.100.777 203.0.113.53 4660 53\r\n", Err(HeaderRefused::Malformed)),
            (&too_long, Err(HeaderRefused::Malformed)),
            (&[b'P'; 600], Err(HeaderRefused::Missing)),
        ] {
            assert_eq!(connected(&[sent], "10.0.0.1").0, expected, "{sent:02x?}");
        }
        assert_eq!(connected(&[&framed], "11.0.0.1"), (Ok(Some(ends("11.0.0.1"))), framed));
    }

    proptest! {
        /// Whatever octets come, they are read or refused, and no more is taken of them than a header.
        #[test]
        fn hostile_octets_are_data(
            begin in 0..4_usize,
            octets in prop::collection::vec(any::<u8>(), 0..700),
            length in prop::option::of(0..800_u16),
            cut in 1..64_usize,
        ) {
            let begin: &[u8] = [b"".as_slice(), v2::PROTOCOL_PREFIX, b"PROXY ", b"PROXY TCP6 "][begin];
            let mut sent = [begin, &octets].concat();
            // Lengths at random are mostly beyond what came.
            if let Some(place) = sent.get_mut(14..16).filter(|_| length.is_some()) {
                place.copy_from_slice(&length.unwrap_or_default().to_be_bytes());
            }
            if let Ok((_, from)) = proxies().packet(&sent, ends("10.0.0.1")) {
                prop_assert!((16..=sent.len()).contains(&from));
            }
            let pieces: Vec<&[u8]> = sent.chunks(cut).collect();
            let (read, left) = connected(&pieces, "10.0.0.1");
            if let Ok(Some(_)) = read {
                let taken = sent.len() - left.len();
                prop_assert!(sent.ends_with(&left));
                prop_assert!((1..=HEADER_BYTES_MAX).contains(&taken), "{}", taken);
                // In one piece it is read alike.
                prop_assert_eq!(connected(&[&sent], "10.0.0.1"), (read, left));
            }
        }
    }
}
