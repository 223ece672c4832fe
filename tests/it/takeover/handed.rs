//! TCP connections that go from the old process to the new one: none of their clients notices.

use super::*;
use crate::harness::{Answer, DEADLINE, read_framed};
use socket2::SockAddr;
use std::{
    collections::HashSet,
    io::{ErrorKind, Read},
};
use tokio::{net::TcpSocket, time::timeout};

/// Connections that one client may have open, as `listener::places` bounds them.
const CONNECTIONS_PER_CLIENT_MAX: usize = 64;

async fn stop(server: Server) {
    let Server { running, folder: _kept, .. } = server;
    running.stop().await;
}

/// Asks on a connection that is open; `None` if it ends instead.
async fn ask_on(stream: &mut TcpStream, name: &str) -> Option<Answer> {
    let _ = stream.write_all(&framed(&Ask::new(name, RrType::A).packet())).await;
    read_framed(stream).await.map(Answer::read)
}

/// A query by its id.
fn numbered(name: &str, id: u16) -> Vec<u8> {
    let mut packet = Ask::new(name, RrType::A).packet();
    packet[..2].copy_from_slice(&id.to_be_bytes());
    framed(&packet)
}

/// What is looked for when the old one leaves is answered by it, and all that comes behind by the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_answer_gets_it_and_goes_on_with_the_next() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    old.ask("www.signed.org", RrType::A).await;
    let mut stream = TcpStream::connect(old.dns()).await.unwrap();
    let new = take_over(folder(), &internet, &old, "").await;
    internet.set_delay(Duration::from_millis(400));
    stream.write_all(&numbered("api.signed.org", 1)).await.unwrap();
    eventually("it is looked for", || async { !old.running.pipeline.is_idle() }).await;
    let stopped = tokio::spawn(stop(old));
    let mut ids = HashSet::new();
    // Some while it leaves, some behind it.
    for id in 2..200 {
        stream.write_all(&numbered("www.tiktok.com", id)).await.unwrap();
    }
    while ids.len() < 199 {
        let octets = read_framed(&mut stream).await.expect("an answer to each");
        assert!(ids.insert([octets[0], octets[1]]), "answered twice");
    }
    stopped.await.unwrap();
    assert!(ask_on(&mut stream, "www.tiktok.com").await.is_some());
    stop(new).await;
    let end = timeout(DEADLINE, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof, "in order, where nobody takes over");
}

/// From one to the next and on, with nothing between: who came first is served by the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_outlast_a_chain_of_processes() {
    let internet = Internet::start().await;
    let mut serving = start(folder(), Some(&internet), "").await;
    let query = numbered("www.tiktok.com", 7);
    let mut clients = Vec::new();
    for cut in 0..query.len() {
        clients.push((TcpStream::connect(serving.dns()).await.unwrap(), cut));
    }
    for _ in 0..3 {
        for (client, cut) in &mut clients {
            assert!(ask_on(client, "www.tiktok.com").await.is_some(), "cut at {cut}");
        }
        let next = take_over(folder(), &internet, &serving, "").await;
        // Some are in the midst of a query, and one is idle.
        for (client, cut) in &mut clients {
            client.write_all(&query[..*cut]).await.unwrap();
        }
        stop(std::mem::replace(&mut serving, next)).await;
        for (client, cut) in &mut clients {
            client.write_all(&query[*cut..]).await.unwrap();
            assert!(read_framed(client).await.is_some(), "cut at {cut}");
        }
    }
    stop(serving).await;
}

/// Whom a connection is for goes along; a proxy that has not said so yet says so to the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_proxy_asks_for_goes_along() {
    const PROXIED: &str = "[access]\nallow = [\"198.51.100.7\"]\n[listen]\nproxy_protocol_from = [\"127.0.0.80\"]\n";
    let old = start(folder(), None, &format!("{PROXIED}do53 = [\"127.0.0.1:0\"]\nworkers = 2\n")).await;
    let connect = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.80:0".parse().unwrap()).unwrap();
        socket.connect(old.dns()).await.unwrap()
    };
    let header = |last: u8| format!("PROXY TCP4 198.51.100.{last} 192.0.2.53 4660 53\r\n");
    let (mut told, mut other) = (connect().await, connect().await);
    told.write_all(header(7).as_bytes()).await.unwrap();
    assert_eq!(ask_on(&mut told, "www.tiktok.com").await.unwrap().ede_code(), 15);
    other.write_all(header(8).as_bytes()).await.unwrap();
    assert_eq!(ask_on(&mut other, "www.tiktok.com").await.unwrap().ede_code(), 18);
    let at = (old.dns(), old.running.admin.unwrap());
    let new = try_take_over(folder(), None, at, PROXIED).await.unwrap_or_else(|error| panic!("{error}"));
    // The kernel has some come to the old one.
    let (mut untold, mut halves) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        untold.push(connect().await);
        let mut half = connect().await;
        half.write_all(&header(7).as_bytes()[..20]).await.unwrap();
        halves.push(half);
    }
    let mut stopping = old.running.health.stopping.clone();
    let stopped = tokio::spawn(stop(old));
    stopping.wait_for(|&stopping| stopping).await.unwrap();
    // What has begun is read by the old one yet.
    for half in &mut halves {
        half.write_all(&header(7).as_bytes()[20..]).await.unwrap();
    }
    stopped.await.unwrap();
    for untold in &mut untold {
        untold.write_all(header(7).as_bytes()).await.unwrap();
    }
    let named = [&mut told].into_iter().chain(&mut untold).chain(&mut halves).map(|stream| (stream, 15));
    for (stream, expected) in named.chain([(&mut other, 18)]) {
        let answer = ask_on(stream, "www.tiktok.com").await.expect("an answer");
        assert_eq!(answer.ede_code(), expected);
    }
    stop(new).await;
}

/// IPv4 addresses that a proxy writes as IPv6 ones are as many clients as they are, also for the next process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mapped_addresses_are_no_one_client() {
    const PROXIED: &str = "[listen]\nproxy_protocol_from = [\"127.0.0.80\"]\n";
    let old = start(folder(), None, &format!("{PROXIED}do53 = [\"127.0.0.1:0\"]\nworkers = 2\n")).await;
    let mut held = Vec::new();
    for last in 0..CONNECTIONS_PER_CLIENT_MAX + 6 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.80:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(old.dns()).await.unwrap();
        let header = format!("PROXY TCP6 ::ffff:127.0.9.{last} ::ffff:192.0.2.53 4660 53\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        assert_eq!(ask_on(&mut stream, "www.tiktok.com").await.unwrap().ede_code(), 15);
        held.push(stream);
    }
    let at = (old.dns(), old.running.admin.unwrap());
    let new = try_take_over(folder(), None, at, PROXIED).await.unwrap_or_else(|error| panic!("{error}"));
    stop(old).await;
    for stream in &mut held {
        assert_eq!(ask_on(stream, "www.tiktok.com").await.expect("an answer").ede_code(), 15);
    }
    stop(new).await;
}

/// A connection for which the new process has no place ends as where there is none: in order, and no other with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finds_no_place_ends_in_order() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_PER_CLIENT_MAX {
        let mut stream = TcpStream::connect(old.dns()).await.unwrap();
        assert!(ask_on(&mut stream, "www.tiktok.com").await.is_some());
        held.push(stream);
    }
    let new = take_over(folder(), &internet, &old, "").await;
    // The kernel has some come to the old one, which has no place left.
    let mut of_new = Vec::new();
    while of_new.len() < 3 {
        let mut stream = TcpStream::connect(new.dns()).await.unwrap();
        if ask_on(&mut stream, "www.tiktok.com").await.is_some() {
            of_new.push(stream);
        }
    }
    for stream in held.iter_mut().chain(&mut of_new) {
        assert!(ask_on(stream, "www.tiktok.com").await.is_some());
    }
    stop(old).await;
    let over = async || {
        let mut over = HashSet::new();
        for (number, stream) in held.iter().enumerate() {
            if let Ok(end) = timeout(Duration::ZERO, stream.peek(&mut [0])).await {
                assert_eq!(end.unwrap(), 0, "an answer without a question");
                over.insert(number);
            }
        }
        over
    };
    eventually("those without a place end", || async { over().await.len() == of_new.len() }).await;
    let over = over().await;
    for (number, stream) in held.iter_mut().enumerate() {
        assert_eq!(ask_on(stream, "www.tiktok.com").await.is_none(), over.contains(&number));
    }
    for stream in &mut of_new {
        assert!(ask_on(stream, "www.tiktok.com").await.is_some());
    }
    drop((held, of_new));
    stop(new).await;
}

/// Who calls and says nothing, or has gone again, holds nothing up; connections go to the one before it, or end in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_heir_that_does_not_listen_gets_nothing() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    let mut stream = TcpStream::connect(old.dns()).await.unwrap();
    assert!(ask_on(&mut stream, "www.tiktok.com").await.is_some());
    let name = SockAddr::unix(format!("\0cleandns/1/{}", old.dns())).unwrap();
    let caller = || Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let new = take_over(folder(), &internet, &old, "").await;
    let (mut silent, gone) = (caller(), caller());
    silent.connect(&name).unwrap();
    gone.connect(&name).unwrap();
    drop(gone);
    assert!(ask_on(&mut stream, "www.tiktok.com").await.is_some());
    let begun = Instant::now();
    stop(old).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(ask_on(&mut stream, "www.tiktok.com").await.is_some());
    let mut heard = [0; 64];
    assert_eq!(silent.read(&mut heard).unwrap(), b"leaving".len());
    assert_eq!(silent.read(&mut heard).unwrap(), 0, "and nothing else");
    // The one that took over has the name now, and nobody takes over from it.
    let silent = caller();
    eventually("it is called", || async { silent.connect(&name).is_ok() }).await;
    stop(new).await;
    let end = timeout(DEADLINE, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
