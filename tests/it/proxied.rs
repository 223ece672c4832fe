//! Clients behind a load balancer that says, in a header of the PROXY protocol, whom it asks for.

use crate::{
    harness::{Answer, Ask, DEADLINE, Server, eventually, folder, framed, over_udp, read_framed, start, write_list},
    internet::Internet,
};
use cleandns::dns::{Rcode, RrType};
use std::net::IpAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

const PROXY: &str = "127.0.0.80";
const GUEST: &str = "198.51.100.7";
const OTHER: &str = "198.51.100.8";
const STRANGER: &str = "203.0.113.9";

const CONFIG: &str = r#"
[listen]
do53 = ["127.0.0.1:0"]
workers = 2
proxy_protocol_from = ["127.0.0.80"]
[access]
allow = ["198.51.100.0/24", "2001:db8::/64", "127.0.0.0/8"]
[[program]]
name = "strict"
lists = [{ path = "strict.list", service = "shop" }]
[[group]]
name = "guests"
clients = ["198.51.100.7"]
programs = { strict = "off" }
"#;

async fn serve(internet: &Internet) -> Server {
    let folder = folder();
    write_list(&folder.path().join("strict.list"), &["www.signed.org"]);
    start(folder, Some(internet), CONFIG).await
}

/// A header of version 2 for this client.
fn header(client: &str) -> Vec<u8> {
    let client: IpAddr = client.parse().unwrap();
    let (family, addresses) = match client {
        IpAddr::V4(ip) => (0x12, [ip.octets(), [192, 0, 2, 53]].concat()),
        IpAddr::V6(ip) => (0x22, [ip.octets(), [0; 16]].concat()),
    };
    let rest = [&addresses[..], &[0x12, 0x34, 0, 53]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, rest.len() as u8][..], &rest].concat()
}

/// A header of version 1.
fn text(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') { "2001:db8::53" } else { "192.0.2.53" };
    format!("PROXY {family} {client} {own} 4660 53\r\n").into_bytes()
}

async fn udp(from: &str, server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind(format!("{from}:0")).await.unwrap();
    socket.connect(server.dns()).await.unwrap();
    socket
}

async fn tcp(from: &str, server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(server.dns()).await.unwrap()
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut octets = vec![0; 4096];
    let length = timeout(DEADLINE, socket.recv(&mut octets)).await.expect("no answer").unwrap();
    octets.truncate(length);
    octets
}

/// Asks over UDP and TCP with each version; all must be answered alike.
async fn ask(server: &Server, client: &str, name: &str) -> Answer {
    let packet = Ask::new(name, RrType::A).packet();
    let socket = udp(PROXY, server).await;
    socket.send(&[header(client), packet.clone()].concat()).await.unwrap();
    let answer = Answer::read(receive(&socket).await);
    for header in [header(client), text(client)] {
        let mut stream = tcp(PROXY, server).await;
        // Two queries after one header.
        stream.write_all(&[header, framed(&packet), framed(&packet)].concat()).await.unwrap();
        for _ in 0..2 {
            let same = Answer::read(timeout(DEADLINE, read_framed(&mut stream)).await.unwrap().expect("no answer"));
            assert_eq!((same.rcode, same.shape()), (answer.rcode, answer.shape()), "{client} {name}");
        }
    }
    answer
}

/// Access, groups and the log go by the client; answers, at once and looked for, go back to the balancer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_who_the_balancer_says() {
    let internet = Internet::start().await;
    let server = serve(&internet).await;
    assert_eq!(ask(&server, OTHER, "www.signed.org").await.rcode, Rcode::NXDOMAIN);
    assert_eq!(ask(&server, "2001:db8::7", "www.signed.org").await.ede_code(), 15);
    assert_eq!(ask(&server, GUEST, "www.signed.org").await.rcode, Rcode::NOERROR);
    let refused = ask(&server, STRANGER, "www.signed.org").await;
    assert_eq!((refused.rcode, refused.ede_code()), (Rcode::REFUSED, 18));
    // Who asks without a balancer is who they are.
    assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, Rcode::NXDOMAIN);
    let rows = || async { server.json("/api/v1/log?limit=100").await["rows"].as_array().unwrap().clone() };
    eventually("all recorded", || async { rows().await.len() >= 21 }).await;
    let rows = rows().await;
    let of = |client: &str| rows.iter().filter(|row| row["client"] == client).count();
    let counts = [OTHER, "2001:db8::7", GUEST, STRANGER, "127.0.0.1", PROXY].map(of);
    assert_eq!(counts, [5, 5, 5, 5, 1, 0], "{rows:#?}");
    assert!(rows.iter().filter(|row| row["client"] == GUEST).all(|row| row["group"] == "guests"));
    assert_eq!(server.metric("cleandns_proxy_headers_refused_total", &[]).await, 0.0);
    server.running.stop().await;
}

/// The balancer must say for whom it asks, and nobody else may say such a thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_believed_is_dropped_and_counted() {
    let internet = Internet::start().await;
    let server = serve(&internet).await;
    let good = Ask::new("localhost", RrType::A).packet();
    let other = |id: u8| [&[id, id], &good[2..]].concat();
    let (balancer, client) = (udp(PROXY, &server).await, udp("127.0.0.9", &server).await);
    let cut = header(GUEST)[..20].to_vec();
    for packet in [other(1), [text(GUEST), other(2)].concat(), cut, [header(GUEST), other(3)].concat()] {
        balancer.send(&packet).await.unwrap();
    }
    for packet in [[header(GUEST), other(4)].concat(), other(5)] {
        client.send(&packet).await.unwrap();
    }
    // Packets of one socket are answered in their order: the first answer would be to what came first.
    assert_eq!(receive(&balancer).await[..2], [3, 3]);
    assert_eq!(receive(&client).await[..2], [5, 5]);
    for (from, octets) in [
        (PROXY, framed(&good)),
        (PROXY, [b"PROXY TCP4 nobody 192.0.2.53 1 2\r\n", &framed(&good)[..]].concat()),
        ("127.0.0.9", [header(GUEST), framed(&good)].concat()),
        ("127.0.0.9", [text(GUEST), framed(&good)].concat()),
    ] {
        let mut stream = tcp(from, &server).await;
        stream.write_all(&octets).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end as well as any.
        let ended = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty(), "{from}: {rest:?}");
    }
    let mut counts = Vec::new();
    for reason in ["missing", "malformed", "stranger"] {
        counts.push(server.metric("cleandns_proxy_headers_refused_total", &[reason]).await);
    }
    // By the balancer: without one over UDP, text over UDP, without one over TCP; one cut, one with no address in it.
    assert_eq!(counts, [3.0, 2.0, 3.0]);
    // Whoever only looks whether somebody is there is no mistake.
    drop(tcp(PROXY, &server).await);
    let mut stream = tcp("127.0.0.9", &server).await;
    stream.write_all(&framed(&good)).await.unwrap();
    assert!(read_framed(&mut stream).await.is_some());
    assert_eq!(server.metric("cleandns_proxy_headers_refused_total", &[]).await, 8.0);
    server.running.stop().await;
}

/// All clients come from one address, and none of them takes the others' places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_count_for_the_client_behind_the_balancer() {
    let internet = Internet::start().await;
    let server = serve(&internet).await;
    let packet = framed(&Ask::new("localhost", RrType::A).packet());
    let connect = async |client: &str| {
        let mut stream = tcp(PROXY, &server).await;
        stream.write_all(&[header(client), packet.clone()].concat()).await.unwrap();
        let answer = timeout(DEADLINE, read_framed(&mut stream)).await.unwrap();
        answer.map(|_| stream)
    };
    let mut held = Vec::new();
    for client in 0..100 {
        held.push(connect(&format!("198.51.100.{client}")).await.expect("a place of its own"));
    }
    let mut of_one = Vec::new();
    for _ in 0..64 {
        of_one.push(connect("198.51.100.200").await.expect("a place within the bound"));
    }
    assert!(connect("198.51.100.200").await.is_none(), "one more than a client may have");
    assert_eq!(server.metric("cleandns_tcp_connections_refused_total", &[]).await, 1.0);
    drop(of_one);
    eventually("places are given back", || async { connect("198.51.100.200").await.is_some() }).await;
    server.running.stop().await;
}

/// Whoever sends half a header takes nobody's place for long: the oldest makes way, and all of them end before who is idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_headers_fill_a_part_of_the_places_for_a_moment() {
    let internet = Internet::start().await;
    let server = serve(&internet).await;
    let half = async || {
        let mut stream = tcp(PROXY, &server).await;
        stream.write_all(&header(GUEST)[..20]).await.unwrap();
        stream
    };
    let mut halves = Vec::new();
    // A quarter of all may wait; those that wait longest make way.
    while server.metric("cleandns_tcp_connections_refused_total", &[]).await == 0.0 {
        for _ in 0..100 {
            halves.push(half().await);
        }
        assert!(halves.len() < 1000, "nobody makes way");
    }
    let mut ended = Vec::new();
    let _ = timeout(DEADLINE, halves[0].read_to_end(&mut ended)).await.expect("the first made way");
    let mut stream = tcp(PROXY, &server).await;
    stream.write_all(&[header(GUEST), framed(&Ask::new("localhost", RrType::A).packet())].concat()).await.unwrap();
    assert!(timeout(DEADLINE, read_framed(&mut stream)).await.unwrap().is_some());
    let (mut idle, mut half) = (tcp("127.0.0.9", &server).await, half().await);
    let (mut of_idle, mut of_half) = (Vec::new(), Vec::new());
    let is_half = tokio::select! {
        _ = idle.read_to_end(&mut of_idle) => false,
        _ = half.read_to_end(&mut of_half) => true,
    };
    assert!(is_half, "an idle connection ended first");
    server.running.stop().await;
}

/// Without the option nobody's octets are a header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_believed_unless_named() {
    let server = start(folder(), None, "").await;
    let packet = Ask::new("localhost", RrType::A).packet();
    let answer = over_udp(server.dns(), &[header(GUEST), packet].concat()).await.map(Answer::read);
    assert!(answer.is_none_or(|answer| answer.rcode != Rcode::NOERROR && answer.answer.is_empty()));
    assert_eq!(server.metric("cleandns_proxy_headers_refused_total", &[]).await, 0.0);
    server.running.stop().await;
}
