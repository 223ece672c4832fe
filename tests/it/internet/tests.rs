//! The harness' own tests: what the servers say on the wire, without any resolver.

use super::{Internet, answer_to, scripted};
use hickory_resolver::proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{Name, Record, RecordType},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long silence has to last to count as such.
const SILENCE: Duration = Duration::from_millis(50);

/// Logical addresses of the servers asked below.
const EXAMPLE_COM: &str = "185.49.140.1:53";
const SIGNED_ORG: &str = "185.49.140.2:53";
const COM: &str = "192.5.6.30:53";

#[tokio::test]
async fn refers_with_glue_and_the_proof_that_there_is_no_ds() {
    let internet = Internet::start().await;
    let answer = over_udp(internet.at(COM), &question("www.example.com", RecordType::A, true)).await;
    assert!(!answer.metadata.authoritative && answer.answers.is_empty());
    assert_eq!(count(&answer.authorities, RecordType::NS), 1);
    assert_eq!(count(&answer.authorities, RecordType::NSEC3), 2);
    assert_eq!(count(&answer.authorities, RecordType::RRSIG), 2);
    assert_eq!(count(&answer.additionals, RecordType::A), 1);
}

#[tokio::test]
async fn keeps_dnssec_to_those_who_ask_for_it() {
    let internet = Internet::start().await;
    let server = internet.at(SIGNED_ORG);
    let plain = over_udp(server, &question("nx.signed.org", RecordType::A, false)).await;
    assert_eq!(plain.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(plain.authorities.len(), 1);
    let full = over_udp(server, &question("nx.signed.org", RecordType::A, true)).await;
    assert!(full.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok));
    assert_eq!(full.edns.map(|edns| edns.max_payload()), Some(1232));
    assert!(count(&full.authorities, RecordType::NSEC) >= 1);
}

#[tokio::test]
async fn refuses_what_is_not_its_own() {
    let internet = Internet::start().await;
    let asked = question("www.example.com", RecordType::A, true);
    let answer = over_udp(internet.at(SIGNED_ORG), &asked).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn truncates_what_only_tcp_can_carry() {
    let internet = Internet::start().await;
    let server = internet.at(EXAMPLE_COM);
    let asked = question("big.example.com", RecordType::TXT, true);
    let cut = over_udp(server, &asked).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = over_tcp(server, &asked).await;
    assert!(!whole.metadata.truncation && whole.to_vec().expect("an answer").len() > 4096);
    let mut old = question("many.example.com", RecordType::A, false);
    old.edns = None;
    assert!(over_udp(server, &old).await.metadata.truncation);
    let new = question("many.example.com", RecordType::A, false);
    assert_eq!(over_udp(server, &new).await.answers.len(), 60);
}

#[tokio::test]
async fn counts_questions_by_name_even_when_silent() {
    let internet = Internet::start().await;
    let server = internet.at(EXAMPLE_COM);
    let asked = question("wWw.example.com", RecordType::A, false);
    over_udp(server, &asked).await;
    internet.set_silent(true);
    assert!(timeout(SILENCE, over_udp(server, &asked)).await.is_err());
    internet.set_silent(false);
    over_udp(server, &asked).await;
    assert_eq!(internet.asked("www.Example.com."), 3);
    assert_eq!(internet.asked("example.com"), 0);
    assert_eq!(internet.asked_total(), 3);
}

#[tokio::test]
async fn delays_answers_on_demand_and_slow_ones_always() {
    let internet = Internet::start().await;
    let server = internet.at(EXAMPLE_COM);
    let slow = question("slow.example.com", RecordType::A, false);
    assert!(timeout(SILENCE, over_udp(server, &slow)).await.is_err());
    internet.set_delay(SILENCE);
    let begun = tokio::time::Instant::now();
    over_udp(server, &question("www.example.com", RecordType::A, false)).await;
    assert!(begun.elapsed() >= SILENCE);
}

#[tokio::test]
async fn keeps_the_closed_port_closed_and_the_dead_server_silent() {
    let internet = Internet::start().await;
    let (dead, closed) = (internet.at("185.49.140.41:53"), internet.at("185.49.140.42:53"));
    let asked = question("www.dead.net", RecordType::A, false);
    assert!(timeout(SILENCE, over_udp(dead, &asked)).await.is_err());
    assert!(TcpStream::connect(closed).await.is_err());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    socket.connect(closed).await.expect("a loopback peer");
    socket.send(b"?").await.expect("room to send");
    let bounced = timeout(DEADLINE, socket.recv(&mut [0; 16])).await.expect("an ICMP message");
    assert!(bounced.is_err());
}

#[tokio::test]
async fn scripted_servers_answer_or_keep_silent() {
    let (server, task) = scripted(|question| {
        let name = question.queries.first()?.name().to_ascii();
        (name != "silent.").then(|| answer_to(question, ResponseCode::ServFail))
    })
    .await;
    let asked = question("x.test", RecordType::A, false);
    for answer in [over_udp(server, &asked).await, over_tcp(server, &asked).await] {
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(answer.queries, asked.queries);
    }
    let unanswered = question("silent", RecordType::A, false);
    assert!(timeout(SILENCE, over_udp(server, &unanswered)).await.is_err());
    task.abort();
}

impl Internet {
    /// The socket behind a logical address.
    fn at(&self, logical: &str) -> SocketAddr {
        self.ports[&logical.parse().expect("an address")]
    }
}

/// A question with EDNS, as a resolver asks it.
fn question(name: &str, query_type: RecordType, dnssec_ok: bool) -> Message {
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    edns.set_dnssec_ok(dnssec_ok);
    let mut message = Message::query();
    message.add_query(Query::query(name, query_type));
    message.set_edns(edns);
    message
}

/// Asks over UDP.
async fn over_udp(server: SocketAddr, question: &Message) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let bytes = question.to_vec().expect("a question");
    socket.send_to(&bytes, server).await.expect("room to send");
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let received = timeout(DEADLINE, socket.recv(&mut buffer)).await.expect("an answer in time");
    read(question, &buffer[..received.expect("an answer")])
}

/// Asks over TCP.
async fn over_tcp(server: SocketAddr, question: &Message) -> Message {
    let mut stream = TcpStream::connect(server).await.expect("a listener");
    let bytes = question.to_vec().expect("a question");
    let length = u16::try_from(bytes.len()).expect("a short question");
    stream.write_u16(length).await.expect("room to send");
    stream.write_all(&bytes).await.expect("room to send");
    let length = timeout(DEADLINE, stream.read_u16()).await.expect("an answer in time");
    let mut buffer = vec![0; usize::from(length.expect("an answer"))];
    stream.read_exact(&mut buffer).await.expect("a whole answer");
    read(question, &buffer)
}

/// Reads the answer to a question.
fn read(question: &Message, bytes: &[u8]) -> Message {
    let answer = Message::from_vec(bytes).expect("a message");
    assert_eq!(answer.metadata.id, question.metadata.id);
    answer
}

/// Records of a type.
fn count(records: &[Record], record_type: RecordType) -> usize {
    records.iter().filter(|record| record.record_type() == record_type).count()
}
