//! Bad input: what is malformed, hostile or not for us gets what it deserves, and the next query its answer.

mod streams;

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
