//! A new process beside the old: no query is lost while one leaves and the other stays.

mod handed;

use crate::{
    harness::{
        Ask, Server, eventually, folder, framed, free_address, over_tcp, over_udp, start, take_over, try_take_over,
    },
    internet::Internet,
};
use cleandns::{app::AppError, dns::RrType};
use socket2::{Domain, Socket, Type};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Clients that ask at the same time, each question from a port of its own, so that the kernel spreads them.
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_process_takes_over_without_a_lost_query() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    let address = old.dns();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (stop, asked) = (stop.clone(), asked.clone());
            tokio::spawn(async move {
                let packet = Ask::new("www.tiktok.com", RrType::A).packet();
                let mut lost = 0;
                while !stop.load(Relaxed) {
                    let answer = match client % 4 {
                        0 => over_tcp(address, &packet).await,
                        _ => over_udp(address, &packet).await,
                    };
                    lost += usize::from(answer.is_none());
                    asked.fetch_add(1, Relaxed);
                }
                lost
            })
        })
        .collect();
    let some_more = async |asked: &AtomicUsize| {
        let before = asked.load(Relaxed);
        eventually("some more queries", || async { asked.load(Relaxed) > before + 500 }).await;
    };
    some_more(&asked).await;
    let new = take_over(folder(), &internet, &old, "").await;
    some_more(&asked).await;
    let Server { running, folder: _kept, .. } = old;
    running.stop().await;
    some_more(&asked).await;
    assert!(new.get("/readyz").await.0 == 200);
    stop.store(true, Relaxed);
    let mut lost = 0;
    for client in clients {
        lost += client.await.unwrap();
    }
    assert_eq!(lost, 0, "of {}", asked.load(Relaxed));
}

/// A connection that is busy when its server leaves gets all its answers if its client pauses meanwhile; else it ends in
/// order, with answers to all that was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_connection_loses_nothing_if_it_pauses_while_its_server_leaves() {
    /// Questions under way at any time.
    const OPEN: usize = 20;
    let query = framed(&Ask::new("www.tiktok.com", RrType::A).packet());
    for (busy, most_lost) in [(Duration::from_millis(400), 0), (Duration::from_secs(20), OPEN)] {
        let server = start(folder(), None, "").await;
        let mut stream = TcpStream::connect(server.dns()).await.unwrap();
        stream.write_all(&query.repeat(OPEN)).await.unwrap();
        let Server { running, folder: _kept, .. } = server;
        let mut stopping = running.health.stopping.clone();
        let stopped = tokio::spawn(running.stop());
        stopping.wait_for(|&stopping| stopping).await.unwrap();
        let (begun, mut open) = (Instant::now(), OPEN);
        let end = loop {
            match stream.read_u16().await {
                Ok(length) => {
                    stream.read_exact(&mut vec![0; usize::from(length)]).await.unwrap();
                    open -= 1;
                }
                Err(error) => break error,
            }
            if begun.elapsed() < busy {
                stream.write_all(&query).await.unwrap();
                open += 1;
            }
        };
        assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof, "{end}, {open} open");
        assert!(open <= most_lost, "{open} lost of a client that was busy for {busy:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        drop(stream);
        stopped.await.unwrap();
    }
}

/// A socket that others of the same user may have the address of, too.
fn shared_socket(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.into()
}

/// Who shares a port with another server of the same user, which it can't see, would answer half of its clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_answers_is_not_taken_over_from() {
    let at = (free_address(), free_address());
    let stranger = shared_socket(at.0);
    thread::spawn(move || {
        let mut octets = [0; 512];
        while let Ok((length, client)) = stranger.recv_from(&mut octets) {
            // NXDOMAIN, as every other resolver says of such a name.
            (octets[2], octets[3]) = (0x81, 0x83);
            let _ = stranger.send_to(&octets[..length], client);
        }
    });
    match try_take_over(folder(), None, at, "").await {
        Err(AppError::Configuration(told)) => {
            let said = format!("another server answers at {}, and it is no cleandns", at.0);
            assert!(told.contains(&said) && told.contains("NXDOMAIN"), "{told}");
        }
        Err(error) => panic!("another kind of error: {error:#}"),
        Ok(_) => panic!("it shares the port"),
    }
}

/// Whoever has the address for HTTP and shares it with nobody is told of before a question comes to the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_has_the_pages_is_not_taken_over_from() {
    let old = start(folder(), None, "").await;
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = (old.dns(), stranger.local_addr().unwrap());
    match try_take_over(folder(), None, at, "").await {
        Err(AppError::Configuration(told)) => {
            let said =
                format!("admin.listen: can't listen on {} (HTTP): port {} can't be taken over", at.1, at.1.port());
            assert!(told.contains(&said), "{told}");
        }
        Err(error) => panic!("another kind of error: {error:#}"),
        Ok(_) => panic!("both have it"),
    }
    assert_eq!(old.ask("www.tiktok.com", RrType::A).await.rcode, cleandns::dns::Rcode::NXDOMAIN);
    old.running.stop().await;
}

/// A cleandns that hangs must be replaceable, and says as little as nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_nothing_is_taken_over_from() {
    let silent = (free_address(), free_address());
    let _hung = shared_socket(silent.0);
    for at in [silent, (free_address(), free_address())] {
        let server = try_take_over(folder(), None, at, "").await;
        let server = server.unwrap_or_else(|error| panic!("does not take over: {error}"));
        assert_eq!(server.get("/readyz").await.0, 200);
        server.running.stop().await;
    }
}

/// One that is to let nobody in but others, or hears proxies alone, is a cleandns all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleandns_is_taken_over_from_whomever_it_answers() {
    for old in ["[access]\nallow = [\"192.0.2.0/24\"]\n", "proxied"] {
        let address = free_address();
        let listen = |more: &str| format!("[listen]\ndo53 = [\"{address}\"]\nworkers = 2\n{more}");
        let old = match old {
            "proxied" => listen("proxy_protocol_from = [\"127.0.0.0/8\"]\n"),
            access => listen(access),
        };
        let old = start(folder(), None, &old).await;
        let at = (address, old.running.admin.unwrap());
        let new = try_take_over(folder(), None, at, "").await;
        let new = new.unwrap_or_else(|error| panic!("does not take over: {error}"));
        old.running.stop().await;
        assert_eq!(new.get("/readyz").await.0, 200);
        new.running.stop().await;
    }
}

/// A configuration's state folder.
fn state_in(folder: &TempDir) -> String {
    format!("[state]\ndir = \"{}\"\n", folder.path().display())
}

/// What one keeps the other may lose: whoever comes second to a state folder says so, but for who takes over from the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_with_one_state_folder_are_told() {
    let internet = Internet::start().await;
    let state = folder();
    let (own, told) = (state_in(&state), format!("another server keeps its state in {} too", state.path().display()));
    let is_told = async |server: &Server| server.get("/readyz").await.1.contains(&told);
    let first = start(folder(), Some(&internet), &own).await;
    let second = start(folder(), Some(&internet), &own).await;
    let (_, said) = second.get("/readyz").await;
    assert!(said.contains(&format!("{told}, and answers on {}", first.dns())), "{said}");
    second.running.stop().await;
    let successor = take_over(folder(), &internet, &first, &own).await;
    assert!(!is_told(&first).await && !is_told(&successor).await);
    first.running.stop().await;
    // The one that took over has it now, if it looked.
    assert!(!is_told(&successor).await);
    let third = start(folder(), Some(&internet), &own).await;
    assert!(is_told(&third).await);
    successor.running.stop().await;
    assert!(!is_told(&third).await, "alone");
    third.running.stop().await;
}

/// Who is about to take over from somebody at other addresses takes nothing over from whoever has the folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_over_elsewhere_is_told_of_a_shared_state_folder() {
    let state = folder();
    let (own, told) = (state_in(&state), format!("another server keeps its state in {} too", state.path().display()));
    let first = start(folder(), None, &own).await;
    let elsewhere = (free_address(), free_address());
    let second = try_take_over(folder(), None, elsewhere, &own).await;
    let second = second.unwrap_or_else(|error| panic!("does not take over: {error}"));
    let (_, said) = second.get("/readyz").await;
    assert!(said.contains(&format!("{told}, and answers on {}", first.dns())), "{said}");
    second.running.stop().await;
    first.running.stop().await;
}

/// Who took over and is taken back, or came by mistake, takes nothing along that the one before has told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stays_is_found_again() {
    let internet = Internet::start().await;
    let state = folder();
    let own = state_in(&state);
    let first = start(folder(), Some(&internet), &own).await;
    let file = state.path().join("running.json");
    let told = fs::read(&file).unwrap();
    let is_found = || async { fs::read(&file).is_ok_and(|now| now == told) };
    let successor = take_over(folder(), &internet, &first, &own).await;
    assert!(!is_found().await);
    successor.running.stop().await;
    eventually("it is found after it was taken over from and given back", is_found).await;
    let second = start(folder(), Some(&internet), &own).await;
    assert!(!is_found().await);
    second.running.stop().await;
    eventually("it is found after another had its folder", is_found).await;
    // Of one that died, what it wrote is left.
    let other = String::from_utf8(told.clone()).unwrap().replace("\"start\": \"", "\"start\": \"x");
    fs::write(state.path().join("other"), other).unwrap();
    fs::rename(state.path().join("other"), &file).unwrap();
    eventually("it is found after another died", is_found).await;
    first.running.stop().await;
    assert!(!file.exists());
}

/// Whoever routes around a server that leaves is told so for as long as it answers, and all others to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_says_so_until_the_last_is_answered() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let (address, admin) = (server.dns(), server.running.admin.unwrap());
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    let asking = tokio::spawn(async move { over_udp(address, &Ask::new("api.signed.org", RrType::A).packet()).await });
    eventually("it is looked for", || async { !server.running.pipeline.is_idle() }).await;
    let Server { running, folder: _kept, .. } = server;
    let mut stopping = running.health.stopping.clone();
    let stopped = tokio::spawn(running.stop());
    stopping.wait_for(|&stopping| stopping).await.unwrap();
    let asked = ["/readyz", "/healthz", "/", "/api/v1/lists", "/metrics", "/sign-in"];
    let mut told = Vec::new();
    for path in asked {
        told.push(status(admin, path).await);
    }
    assert_eq!(told.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [503, 200, 503, 503, 503, 503], "{told:?}");
    assert!(told[0].1.contains("\"draining\"") && told[2].1.contains("leaving"), "{told:?}");
    assert!(!stopped.is_finished(), "all of it while a question is in flight");
    assert!(asking.await.unwrap().is_some());
    stopped.await.unwrap();
    eventually("nobody is there", || async { TcpStream::connect(admin).await.is_err() }).await;
}

/// Who took over is the one that is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_says_nothing_where_another_has_taken_over() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    old.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    let (address, admin) = (old.dns(), old.running.admin.unwrap());
    let asking = tokio::spawn(async move { over_udp(address, &Ask::new("api.signed.org", RrType::A).packet()).await });
    eventually("it is looked for", || async { !old.running.pipeline.is_idle() }).await;
    let new = take_over(folder(), &internet, &old, "").await;
    let Server { running, folder: _kept, .. } = old;
    let mut stopping = running.health.stopping.clone();
    let stopped = tokio::spawn(running.stop());
    stopping.wait_for(|&stopping| stopping).await.unwrap();
    // It had accepted whoever came before it was told.
    eventually("the new one alone listens", || async { !listener_is_shared(admin) }).await;
    for _ in 0..20 {
        assert_eq!(status(admin, "/healthz").await.0, 200);
        assert_eq!(status(admin, "/api/v1/lists").await.0, 200);
    }
    drop(asking);
    stopped.await.unwrap();
    new.running.stop().await;
}

/// Whether two sockets listen at an address of IPv4.
fn listener_is_shared(address: SocketAddr) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let own = format!(":{:04X}", address.port());
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|columns| columns[1].ends_with(&own) && columns[3] == "0A").count() > 1
}

/// What somebody is told over HTTP.
async fn status(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    (response.split(' ').nth(1).unwrap().parse().unwrap(), response)
}

/// While the last are answered, the server is found where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_found_until_the_last_is_answered() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let (address, told) = (server.dns(), server.path("state/running.json"));
    server.ask("www.signed.org", RrType::A).await;
    // Nobody answers for some seconds.
    internet.set_silent(true);
    let asking = tokio::spawn(async move { over_udp(address, &Ask::new("api.signed.org", RrType::A).packet()).await });
    eventually("it is looked for", || async { !server.running.pipeline.is_idle() }).await;
    let Server { running, folder: _kept, .. } = server;
    let mut stopping = running.health.stopping.clone();
    let (there, pipeline) = (told.clone(), running.pipeline.clone());
    let watching = tokio::spawn(async move {
        stopping.wait_for(|&stopping| stopping).await.unwrap();
        // Looked at in this order: it may be removed as soon as nobody waits.
        while !pipeline.is_idle() {
            assert!(there.exists() || pipeline.is_idle(), "gone before the last was answered");
            tokio::task::yield_now().await;
        }
    });
    running.stop().await;
    watching.await.unwrap();
    assert!(asking.await.unwrap().is_some());
    assert!(!told.exists(), "who left says so");
}
