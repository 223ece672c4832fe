//! Bad input: what is malformed, hostile or not for us gets what it deserves, and the next query its answer.

use crate::{
    harness::{Answer, Ask, DEADLINE, eventually, folder, framed, over_tcp, over_udp, read_framed, start},
    internet::Internet,
    recursion::PROMISE,
};
use cleandns::{
    config,
    dns::{Name, Rcode, RrType},
    listener::{self, Service},
    query::{Pipeline, Surroundings},
    query_log::Privacy,
    telemetry::{Gauges, Telemetry, render},
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

/// Octets that hold the question when packets are made by hand.
const QUESTION: &[u8] = b"\x03www\x07example\x03com\x00\x00\x01\x00\x01";
/// An OPT record: 1232 octets, version 0, no flags.
const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
/// The id of bad packets.
const BAD_ID: [u8; 2] = [0xbb, 0xad];
/// The id of good queries, as `Ask` has it.
const GOOD_ID: [u8; 2] = [0x12, 0x34];
/// Connections of one client, as `listener::stream` bounds them.
const CONNECTIONS_PER_CLIENT_MAX: usize = 64;

/// A packet by hand: flags, the four counts, and what follows.
fn packet(flags: [u8; 2], counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let counts: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
    [&BAD_ID[..], &flags, &counts, &rest.concat()].concat()
}

/// A query by hand, for a type and class.
fn typed(name: &[u8], rr_type: u16, class: u16) -> Vec<u8> {
    packet([1, 0], [1, 0, 0, 0], &[name, &rr_type.to_be_bytes(), &class.to_be_bytes()])
}

/// A query whose question is these octets.
fn asking(question: &[u8]) -> Vec<u8> {
    packet([1, 0], [1, 0, 0, 0], &[question])
}

/// Bad packets: what they are, their octets, and the code they get; none means silence.
fn bad_packets() -> Vec<(String, Vec<u8>, Option<&'static str>)> {
    const WWW: &[u8] = b"\x03www\x07example\x03com\x00";
    let labels = b"\x3f".iter().chain([b'a'; 63].iter()).copied().collect::<Vec<u8>>();
    let too_long = [labels.repeat(4).as_slice(), b"\x00\x00\x01\x00\x01"].concat();
    let of = |what: &str, octets: Vec<u8>, expected| (what.to_owned(), octets, expected);
    let mut all = vec![
        of("empty", vec![], None),
        of("one octet", vec![0], None),
        of("eleven octets", packet([1, 0], [1, 0, 0, 0], &[])[..11].to_vec(), None),
        of("a response", packet([0x81, 0x80], [1, 0, 0, 0], &[QUESTION]), None),
        of("a response of another kind", packet([0xa9, 0x80], [1, 0, 0, 0], &[QUESTION]), None),
        of("a response that counts too much", packet([0x80, 0], [9, 9, 9, 9], &[]), None),
        of("a response with nothing", packet([0xff, 0xff], [0, 0, 0, 0], &[]), None),
        of("header alone", packet([1, 0], [1, 0, 0, 0], &[]), Some("FORMERR")),
        of("no question", packet([1, 0], [0, 0, 0, 0], &[]), Some("FORMERR")),
        of("no question but octets", packet([1, 0], [0, 0, 0, 0], &[QUESTION]), Some("FORMERR")),
        of("two questions", packet([1, 0], [2, 0, 0, 0], &[QUESTION, QUESTION]), Some("FORMERR")),
        of("65535 questions", packet([1, 0], [65535, 0, 0, 0], &[QUESTION]), Some("FORMERR")),
        of("an answer", packet([1, 0], [1, 1, 0, 0], &[QUESTION, OPT]), Some("FORMERR")),
        of("an authority", packet([1, 0], [1, 0, 1, 0], &[QUESTION, OPT]), Some("FORMERR")),
        of("additional record missing", packet([1, 0], [1, 0, 0, 1], &[QUESTION]), Some("FORMERR")),
        of("65535 additional records", packet([1, 0], [1, 0, 0, 65535], &[QUESTION, OPT]), Some("FORMERR")),
        of("two OPTs", packet([1, 0], [1, 0, 0, 2], &[QUESTION, OPT, OPT]), Some("FORMERR")),
        of("OPT not at the root", packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\x01a", OPT]), Some("FORMERR")),
        of(
            "OPT longer than the packet",
            packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\0\0\x29\x04\xd0\0\0\0\0\xff\xff"]),
            Some("FORMERR"),
        ),
        of(
            "option longer than its OPT",
            packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0a\0\x10"]),
            Some("FORMERR"),
        ),
        of(
            "EDNS version 1",
            packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\0\0\x29\x04\xd0\0\x01\0\0\0\0"]),
            Some("BADVERS"),
        ),
        of(
            "EDNS version 255",
            packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\0\0\x29\x04\xd0\0\xff\0\0\0\0"]),
            Some("BADVERS"),
        ),
        of("AXFR", typed(WWW, 252, 1), Some("REFUSED")),
        of("IXFR", typed(WWW, 251, 1), Some("REFUSED")),
        of("type OPT", typed(WWW, 41, 1), Some("FORMERR")),
        of("type 0", typed(WWW, 0, 1), Some("FORMERR")),
        of("version.bind CH TXT", typed(b"\x07version\x04bind\x00", 16, 3), Some("REFUSED")),
        of("hostname.bind CH TXT", typed(b"\x08hostname\x04bind\x00", 16, 3), Some("REFUSED")),
        of("class HS", typed(WWW, 1, 4), Some("REFUSED")),
        of("class NONE", typed(WWW, 1, 254), Some("REFUSED")),
        of("class ANY", typed(WWW, 1, 255), Some("REFUSED")),
        of("class 0", typed(WWW, 1, 0), Some("REFUSED")),
        of("label of 64 octets", asking(b"\x40aaaa\x00\x00\x01\x00\x01"), Some("FORMERR")),
        of("label of type 10", asking(b"\x80aaaa\x00\x00\x01\x00\x01"), Some("FORMERR")),
        of("name of 257 octets", asking(&too_long), Some("FORMERR")),
        of("name without end", asking(b"\x03www\x07exam"), Some("FORMERR")),
        of("no class", asking(&QUESTION[..QUESTION.len() - 2]), Some("FORMERR")),
        of("pointer to itself", asking(b"\xc0\x0c\x00\x01\x00\x01"), Some("FORMERR")),
        of("two pointers in a circle", asking(b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01"), Some("FORMERR")),
        of("labels in a circle", asking(b"\x01a\xc0\x0c\x00\x01\x00\x01"), Some("FORMERR")),
        of("pointer beyond the end", asking(b"\xff\xff\x00\x01\x00\x01"), Some("FORMERR")),
        of("half a pointer", asking(b"\xc0"), Some("FORMERR")),
    ];
    for opcode in 1..16_u8 {
        let expected = if matches!(opcode, 4 | 5) { "REFUSED" } else { "NOTIMP" };
        let octets = packet([opcode << 3 | 1, 0], [1, 0, 0, 0], &[QUESTION]);
        all.push(of(&format!("opcode {opcode}"), octets, Some(expected)));
    }
    // The question's octets cut anywhere.
    for end in 0..QUESTION.len() {
        all.push(of(&format!("question cut to {end}"), asking(&QUESTION[..end]), Some("FORMERR")));
    }
    all
}

/// The response code with what an OPT record at the end adds to it.
fn full_rcode(octets: &[u8]) -> Rcode {
    let low = u16::from(octets[3] & 0x0f);
    let high = match octets.len().checked_sub(OPT.len()).map(|at| &octets[at..]) {
        Some(opt) if octets[11] == 1 && opt[..3] == OPT[..3] => u16::from(opt[5]),
        _ => 0,
    };
    Rcode(high << 4 | low)
}

/// Receives one datagram.
async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut octets = vec![0; 65_535];
    let length = timeout(DEADLINE, socket.recv(&mut octets)).await.expect("a datagram in time").unwrap();
    octets.truncate(length);
    octets
}

/// A question that is answered at once, hence in its turn.
fn good() -> Vec<u8> {
    Ask::new("localhost", RrType::A).packet()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_packet_gets_its_due_and_harms_nobody() {
    let server = start(folder(), None, "").await;
    let mut wrong = Vec::new();
    for (what, octets, expected) in bad_packets() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.dns()).await.unwrap();
        socket.send(&octets).await.unwrap();
        socket.send(&good()).await.unwrap();
        // The socket's packets are all read by one worker, in order: what is not answered before the good query is
        // not answered.
        let mut answer = receive(&socket).await;
        let mut got = None;
        if answer[..2] == BAD_ID {
            assert!(answer[2] & 0x80 != 0 && answer[2] & 0x78 == octets[2] & 0x78, "{what}: QR and opcode");
            assert!(answer[2] & 0x06 == 0 && answer[3] & 0x80 != 0, "{what}: AA, TC, RA");
            assert!(answer.len() <= octets.len() + OPT.len(), "{what}: the answer is longer than the question");
            got = Some(full_rcode(&answer).to_string());
            answer = receive(&socket).await;
        }
        if got.as_deref() != expected {
            wrong.push(format!("{what}: {got:?}, not {expected:?}"));
        }
        assert_eq!(answer[..2], GOOD_ID, "{what}");
        assert_eq!(Answer::read(answer).shape(), "localhost A", "{what}");
    }
    assert_eq!(wrong, [""; 0]);
    let silent = bad_packets().iter().filter(|(_, _, expected)| expected.is_none()).count();
    eventually("silence is counted", || async {
        server.metric("cleandns_packets_dropped_total", &["udp"]).await == silent as f64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_packet_over_tcp_too() {
    let server = start(folder(), None, "").await;
    for (what, octets, expected) in bad_packets() {
        let mut stream = TcpStream::connect(server.dns()).await.unwrap();
        stream.write_all(&framed(&octets)).await.unwrap();
        let Some(expected) = expected else {
            assert_eq!(read_framed(&mut stream).await, None, "{what}");
            continue;
        };
        let answer = read_framed(&mut stream).await.unwrap_or_else(|| panic!("no answer to {what}"));
        assert_eq!((&answer[..2], full_rcode(&answer).to_string().as_str()), (&BAD_ID[..], expected), "{what}");
        stream.write_all(&framed(&good())).await.unwrap();
        let answer = read_framed(&mut stream).await.unwrap_or_else(|| panic!("no answer after {what}"));
        assert_eq!(Answer::read(answer).shape(), "localhost A", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_edns_version_is_told_ours() {
    let server = start(folder(), None, "").await;
    let query = packet([1, 0], [1, 0, 0, 1], &[QUESTION, b"\0\0\x29\x04\xd0\0\x07\0\0\0\0"]);
    let answer = over_udp(server.dns(), &query).await.unwrap();
    let opt = &answer[answer.len() - OPT.len()..];
    // Owner and type; any size; extended code 1 and version 0; no flags, no options (RFC 6891 §6.1.3).
    assert_eq!((&opt[..3], &opt[5..]), (&OPT[..3], &[1, 0, 0, 0, 0, 0][..]), "{answer:?}");
    assert_eq!(answer[3] & 0x0f, 0);
}

/// Pseudo-random numbers, the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Changes a packet here and there.
    fn mutate(&mut self, packet: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(packet.len().max(1));
            match self.below(6) {
                _ if packet.is_empty() => packet.push(0),
                0 => packet[at] ^= 1 << self.below(8),
                1 => packet[at] = self.below(256) as u8,
                2 => packet[at] = [0, 0x3f, 0x40, 0x80, 0xc0, 0xff][self.below(6)],
                3 => packet.truncate(at),
                4 => packet.insert(at, self.below(256) as u8),
                _ => packet.extend_from_within(at..),
            }
        }
    }
}

/// Whether a packet is to be answered: a header, and QR=0.
fn deserves_an_answer(packet: &[u8]) -> bool {
    packet.len() >= 12 && packet[2] & 0x80 == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_mutations_get_an_answer_each_or_silence() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let seeds: Vec<Vec<u8>> = [
        Ask::new("localhost", RrType::A),
        Ask::new("www.tiktok.com", RrType::HTTPS),
        Ask { dnssec_ok: true, cd: true, ..Ask::new("www.signed.org", RrType::A) },
        Ask { edns: false, ..Ask::new("alias.example.com", RrType::AAAA) },
        Ask::new("a.b.c.signed3.com", RrType::ANY),
        Ask { rd: false, ..Ask::new(".", RrType::NS) },
    ]
    .iter()
    .map(Ask::packet)
    .collect();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.dns()).await.unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for batch in 0..40_u16 {
        let mut open = HashSet::new();
        for index in 0..50_u16 {
            let mut packet = seeds[dice.below(seeds.len())].clone();
            dice.mutate(&mut packet);
            let id = batch * 50 + index;
            if let Some(start) = packet.get_mut(..2) {
                start.copy_from_slice(&id.to_be_bytes());
            }
            if deserves_an_answer(&packet) {
                open.insert(id);
            }
            socket.send(&packet).await.unwrap();
        }
        while !open.is_empty() {
            let answer = receive(&socket).await;
            let id = u16::from_be_bytes([answer[0], answer[1]]);
            assert!(open.remove(&id), "an answer that nobody asked for, or a second one: {id} {answer:?}");
            assert!(answer[2] & 0x80 != 0, "{answer:?}");
            Answer::read(answer);
        }
    }
    assert_eq!(server.ask("www.signed.org", RrType::A).await.shape(), "www.signed.org A");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_queries_are_answered_as_they_become_ready() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let mut all = Vec::new();
    for id in 0..20_u16 {
        let name = match id {
            0 => "slow.example.com".to_owned(),
            id if id % 4 == 1 => "www.tiktok.com".to_owned(),
            id => format!("x{id}.wild.signed.org"),
        };
        let mut query = Ask::new(&name, RrType::A).packet();
        query[..2].copy_from_slice(&id.to_be_bytes());
        all.extend(framed(&query));
    }
    let mut stream = TcpStream::connect(server.dns()).await.unwrap();
    let started = Instant::now();
    // In pieces that fit no message.
    for piece in all.chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut order = Vec::new();
    while let Some(octets) = read_framed(&mut stream).await {
        let id = u16::from_be_bytes([octets[0], octets[1]]);
        let rcode = Answer::read(octets).rcode;
        let expected = match id {
            0 => Rcode::SERVFAIL,
            id if id % 4 == 1 => Rcode::NXDOMAIN,
            _ => Rcode::NOERROR,
        };
        assert_eq!(rcode, expected, "{id}");
        order.push(id);
    }
    assert!(started.elapsed() < PROMISE, "{:?}", started.elapsed());
    assert_eq!(order.last(), Some(&0), "the slow one holds up the others: {order:?}");
    order.sort_unstable();
    assert_eq!(order, (0..20).collect::<Vec<u16>>());
}

/// What is kept or blocked waits for nothing that is looked for on the same connection, however much that is: what is too
/// much is refused, and the newest of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_hold_up_nothing_behind_them() {
    /// As `listener::outlet` bounds what is looked for.
    const LOOKED_FOR_MAX: u16 = 256;
    const MISSES: u16 = LOOKED_FOR_MAX + 20;
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    let mut all = Vec::new();
    for id in 0..MISSES + 2 {
        let name = match id {
            MISSES => "www.signed.org".to_owned(),
            id if id > MISSES => "www.tiktok.com".to_owned(),
            id => format!("n{id}.signed.org"),
        };
        let mut query = Ask::new(&name, RrType::A).packet();
        query[..2].copy_from_slice(&id.to_be_bytes());
        all.extend(framed(&query));
    }
    let mut stream = TcpStream::connect(server.dns()).await.unwrap();
    let begun = Instant::now();
    stream.write_all(&all).await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut order, mut refused) = (Vec::new(), Vec::new());
    while let Some(octets) = read_framed(&mut stream).await {
        let id = u16::from_be_bytes([octets[0], octets[1]]);
        let answer = Answer::read(octets);
        let expected = match id {
            MISSES => Rcode::NOERROR,
            id if id > MISSES => Rcode::NXDOMAIN,
            _ => Rcode::SERVFAIL,
        };
        assert_eq!(answer.rcode, expected, "{id}");
        if answer.ede.is_some_and(|ede| ede.text.contains("too many questions of this connection")) {
            refused.push(id);
        }
        order.push(id);
    }
    assert!(begun.elapsed() < PROMISE + Duration::from_secs(2), "{:?}", begun.elapsed());
    // By then none had been given up that was looked for.
    let early: Vec<u16> = order.iter().copied().take_while(|id| *id <= MISSES).collect();
    assert_eq!(early, (LOOKED_FOR_MAX..=MISSES).collect::<Vec<_>>());
    assert_eq!(refused, (LOOKED_FOR_MAX..MISSES).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..MISSES + 2).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_lengths_end_their_connection_and_no_other() {
    let server = start(folder(), None, "").await;
    let query = framed(&good());
    for (what, octets, leaves) in [
        ("half a length", &[0][..], true),
        ("a length and no message", &[0, 40], true),
        ("half a message", &query[..20], true),
        ("nothing", &[], true),
        ("length 0", &[0, 0], false),
        ("length 65535", &[0xff, 0xff], false),
        ("length 65535 and some octets", &[0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], false),
        ("length 11", b"\x00\x0babcdefghijk", false),
    ] {
        let mut stream = TcpStream::connect(server.dns()).await.unwrap();
        stream.write_all(octets).await.unwrap();
        if leaves {
            stream.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        // A reset is an end as well as any.
        let ended = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty(), "{what}: {rest:?}");
        let answer = over_tcp(server.dns(), &good()).await.unwrap_or_else(|| panic!("no answer after {what}"));
        assert_eq!(Answer::read(answer).shape(), "localhost A", "{what}");
    }
}

/// A TCP connection from one of this machine's loopback addresses.
async fn connect_from(client: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{client}:0").parse().unwrap()).unwrap();
    socket.connect(server).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_of_one_client_are_bounded_and_bother_no_other() {
    let server = start(folder(), None, "").await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut stream = connect_from("127.0.0.1", server.dns()).await;
        // Half a length; a connection that was refused may be closed already.
        let _ = stream.write_all(&[0]).await;
        held.push(stream);
    }
    let refused = || async { server.metric("cleandns_tcp_connections_refused_total", &[]).await };
    let expected = (held.len() - CONNECTIONS_PER_CLIENT_MAX) as f64;
    eventually("what is beyond the bound is refused", || async { refused().await == expected }).await;
    let mut other = connect_from("127.0.0.2", server.dns()).await;
    other.write_all(&framed(&good())).await.unwrap();
    assert!(read_framed(&mut other).await.is_some(), "another client is held up");
    assert!(over_udp(server.dns(), &good()).await.is_some(), "UDP is held up");
    // One more of the same client ends without an answer.
    let mut more = connect_from("127.0.0.1", server.dns()).await;
    let _ = more.write_all(&framed(&good())).await;
    assert_eq!(read_framed(&mut more).await, None);
    drop(held);
    eventually("places are given back", || async {
        let mut stream = connect_from("127.0.0.1", server.dns()).await;
        let _ = stream.write_all(&framed(&good())).await;
        read_framed(&mut stream).await.is_some()
    })
    .await;
}

/// A client that asks for much, and reads late, gets all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_late_gets_every_answer() {
    const QUESTIONS: usize = 300;
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    server.ask_with(&Ask { tcp: true, ..Ask::new("big.signed.org", RrType::TXT) }).await;
    let packets: Vec<u8> = (0..QUESTIONS)
        .flat_map(|number| {
            // Some must be looked for, most are kept.
            let name = if number % 50 == 0 { format!("n{number}.signed.org") } else { "big.signed.org".to_owned() };
            let mut packet = Ask::new(&name, RrType::TXT).packet();
            packet[..2].copy_from_slice(&(number as u16).to_be_bytes());
            framed(&packet)
        })
        .collect();
    let (mut reading, mut writing) = TcpStream::connect(server.dns()).await.unwrap().into_split();
    // All are asked before the first answer is read, or as many as the server takes.
    let asking = tokio::spawn(async move {
        writing.write_all(&packets).await.unwrap();
        writing
    });
    let hits = || async { server.metric("cleandns_cache_lookups_total", &["state=\"hit\""]).await };
    eventually("answers pile up", || async { hits().await > 20.0 }).await;
    let mut seen = HashSet::new();
    while seen.len() < QUESTIONS {
        let mut length = [0; 2];
        timeout(DEADLINE, reading.read_exact(&mut length)).await.unwrap().unwrap();
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        timeout(DEADLINE, reading.read_exact(&mut octets)).await.unwrap().unwrap();
        assert!(seen.insert([octets[0], octets[1]]), "answered twice");
    }
    drop(asking.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dribble_is_cut_while_others_are_served() {
    let server = start(folder(), None, "").await;
    let (mut reading, mut writing) = TcpStream::connect(server.dns()).await.unwrap().into_split();
    let query = framed(&good());
    let dribble = async {
        // Far slower than any client: the message would take a minute.
        let mut ticks = tokio::time::interval(Duration::from_secs(2));
        for octet in query.chunks(1) {
            ticks.tick().await;
            if writing.write_all(octet).await.is_err() {
                break;
            }
            assert!(over_tcp(server.dns(), &good()).await.is_some());
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = dribble => panic!("the whole dribble was listened to"),
        ended = timeout(DEADLINE, reading.read_to_end(&mut rest)) => assert!(ended.is_ok(), "never cut"),
    }
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "[access]\nallow = [\"10.0.0.0/8\"]\n").await;
    for name in ["www.signed.org", "www.tiktok.com", "localhost"] {
        for tcp in [false, true] {
            for edns in [false, true] {
                let answer = server.ask_with(&Ask { tcp, edns, ..Ask::new(name, RrType::A) }).await;
                assert_eq!((answer.rcode, answer.answer.len() + answer.authority.len()), (Rcode::REFUSED, 0), "{name}");
                assert_eq!(answer.ede_code(), if edns { 18 } else { 0 }, "{name}");
                assert_eq!(answer.octets[11], u8::from(edns), "{name}: OPT");
            }
        }
    }
    for (what, octets, expected) in bad_packets() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.dns()).await.unwrap();
        socket.send(&octets).await.unwrap();
        socket.send(&good()).await.unwrap();
        let mut answer = receive(&socket).await;
        if expected.is_some() {
            assert_eq!((&answer[..2], full_rcode(&answer)), (&BAD_ID[..], Rcode::REFUSED), "{what}");
            answer = receive(&socket).await;
        }
        assert_eq!((&answer[..2], Answer::read(answer.clone()).rcode), (&GOOD_ID[..], Rcode::REFUSED), "{what}");
    }
    assert_eq!(internet.asked("www.signed.org"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_clients_have_networks_of_their_own() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return; // no IPv6 on this machine
    }
    for (allow, expected) in [("::1/128", Rcode::NOERROR), ("127.0.0.0/8", Rcode::REFUSED)] {
        let toml =
            format!("[listen]\ndo53 = [\"[::1]:0\", \"127.0.0.1:0\"]\nworkers = 1\n[access]\nallow = [\"{allow}\"]\n");
        let server = start(folder(), None, &toml).await;
        let socket = UdpSocket::bind("[::1]:0").await.unwrap();
        socket.connect(server.dns()).await.unwrap();
        socket.send(&good()).await.unwrap();
        assert_eq!(Answer::read(receive(&socket).await).rcode, expected, "{allow}");
        assert_eq!(Answer::read(over_tcp(server.dns(), &good()).await.unwrap()).rcode, expected, "{allow} TCP");
        let other = Answer::read(over_udp(server.running.dns[1], &good()).await.unwrap());
        assert_ne!(other.rcode, expected, "{allow} IPv4");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_we_do_not_take_are_answered_by_convention() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    for tcp in [false, true] {
        let answer = server.ask_with(&Ask { rd: false, tcp, ..Ask::new("www.signed.org", RrType::A) }).await;
        assert_eq!((answer.rcode, answer.ede_code()), (Rcode::REFUSED, 20));
        let answer = server.ask_with(&Ask { tcp, ..Ask::new("www.signed.org", RrType::ANY) }).await;
        assert_eq!((answer.rcode, answer.shape().as_str()), (Rcode::NOERROR, "www.signed.org HINFO"));
        assert_eq!(answer.answer[0].data, b"\x07RFC8482\x00", "RFC 8482 §4.2");
    }
    assert_eq!(internet.asked("www.signed.org"), 0);
    let qname = Name::read(&asking(QUESTION), 12).unwrap().0;
    assert_eq!(qname.to_string(), "www.example.com", "the question made by hand is right");
}

/// Sockets on which a pipeline answers, with what counts; connections live so long. It stops when the last is dropped.
fn listen(pipeline: Pipeline, lifetime: Duration) -> (SocketAddr, Arc<Telemetry>, tokio::sync::watch::Sender<bool>) {
    let telemetry = Arc::new(Telemetry::new(false, Privacy::new(config::Privacy::Full), None));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let sockets = listener::bind(&["127.0.0.1:0".parse().unwrap()], 1, listener::Start::Alone, None).unwrap();
    let address = sockets.addresses[0];
    let service =
        Service { pipeline: Arc::new(pipeline), telemetry: telemetry.clone(), stopping, lifetime, proxies: None };
    listener::serve(sockets, &service).unwrap();
    (address, telemetry, stop)
}

/// However busy a connection is, it ends when its time is over, and the next begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_connection_ends_with_its_time() {
    const LIFETIME: Duration = Duration::from_millis(300);
    let server = start(folder(), None, "").await;
    let pipeline = server.pipeline_in(Surroundings {
        now: Arc::new(|| 0),
        uptime: Arc::new(|| Duration::ZERO),
        mac: Arc::new(|_| None),
        knows_macs: Arc::new(|| false),
    });
    let (address, _, _stop) = listen(pipeline, LIFETIME);
    let query = Ask { rd: false, ..Ask::new("www.example.com", RrType::A) }.packet();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answers = 0;
    while stream.write_all(&framed(&query)).await.is_ok() && read_framed(&mut stream).await.is_some() {
        answers += 1;
        assert!(begun.elapsed() < DEADLINE, "it lives on, after {answers} answers");
    }
    assert!(answers > 0 && (LIFETIME..DEADLINE).contains(&begun.elapsed()), "{answers} in {:?}", begun.elapsed());
    assert!(over_tcp(address, &query).await.is_some());
}

/// A fault of this program costs the query that met it, and no thread that others wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_costs_one_query() {
    // A server's own policy, with a clock that fails when told to.
    let server = start(folder(), None, "").await;
    let fails = Arc::new(AtomicBool::new(false));
    let own_fails = fails.clone();
    let now = move || {
        assert!(!own_fails.swap(false, Ordering::Relaxed), "a fault, as this test wants it");
        0
    };
    let pipeline = server.pipeline_in(Surroundings {
        now: Arc::new(now),
        uptime: Arc::new(|| Duration::ZERO),
        mac: Arc::new(|_| None),
        knows_macs: Arc::new(|| false),
    });
    let (address, telemetry, _stop) = listen(pipeline, listener::LIFETIME);
    let query = Ask { rd: false, ..Ask::new("www.example.com", RrType::A) }.packet();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(address).await.unwrap();
    fails.store(true, Ordering::Relaxed);
    socket.send(&query).await.unwrap();
    eventually("the fault", || async { !fails.load(Ordering::Relaxed) }).await;
    assert!(over_udp(address, &query).await.is_some(), "the worker is gone");
    fails.store(true, Ordering::Relaxed);
    assert_eq!(over_tcp(address, &query).await, None);
    assert!(over_tcp(address, &query).await.is_some());
    let page = render(&telemetry, &Gauges::default());
    assert!(page.contains("\ncleandns_faults_total 2\n"), "{page}");
    // They are queries, so they are not counted among the packets that are none.
    assert!(page.contains("cleandns_packets_dropped_total{transport=\"udp\"} 0\n"), "{page}");
}
