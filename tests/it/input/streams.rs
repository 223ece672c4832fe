//! TCP: many queries on one connection, half of one, and clients that read or write slowly.

use super::*;

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
