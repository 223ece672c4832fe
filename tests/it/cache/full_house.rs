//! When more is asked than may be resolved at once.

use super::*;

/// A house full of questions that nobody answers still gives what is over, at once, and says no to the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_gives_what_is_over() {
    let internet = Internet::start().await;
    let server = serve(&internet, "[cache]\nstale = \"30d\"\n").await;
    let pipeline = &server.running.pipeline;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    pipeline.finder().let_pass(LONG);
    server.running.health.resolver.forget();
    let flood = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    flood.connect(server.dns()).await.unwrap();
    let mut serial = 0;
    let asked = internet.asked("www.signed.org");
    let stale = ask_in_a_full_house(&server, &flood, &mut serial, "www.signed.org").await;
    assert_eq!((stale.rcode, stale.ede_code(), ttl(&stale)), (Rcode::NOERROR, 3, 30));
    assert_eq!(internet.asked("www.signed.org"), asked, "no name server was waited for");
    let refused = ask_in_a_full_house(&server, &flood, &mut serial, "other.signed.org").await;
    assert_eq!(refused.rcode, Rcode::SERVFAIL);
    let text = refused.ede.expect("a reason").text;
    assert!(text.contains("too many questions"), "{text}");
}

/// Asks while there is no room for another question. Packets may be lost among so many, and questions end: so both are
/// done again until there is an answer.
async fn ask_in_a_full_house(server: &Server, flood: &tokio::net::UdpSocket, serial: &mut u32, name: &str) -> Answer {
    let packet = Ask::new(name, RrType::A).packet();
    for _ in 0..30 {
        while server.running.pipeline.misses_free() > 0 {
            for _ in 0..64 {
                *serial += 1;
                flood.send(&Ask::new(&format!("n{serial}.signed.org"), RrType::A).packet()).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
        let answered = tokio::time::timeout(Duration::from_secs(1), over_udp(server.dns(), &packet));
        if let Ok(Some(octets)) = answered.await {
            return Answer::read(octets);
        }
    }
    panic!("no answer to {name}");
}

/// What is known already is given in a full house, though an alias of the owner's or of a list leads there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_gives_what_is_kept_behind_aliases() {
    /// The owner's alias, a list's own for a question, and one for what an answer leads to.
    const NAMES: [&str; 3] = ["alias.lan", "safe.example", ALIAS];
    let internet = Internet::start().await;
    let folder = folder();
    let list = format!("$TTL 60\nsafe.example CNAME www.signed.org.\n{TARGET} CNAME www.signed.org.\n");
    std::fs::write(folder.path().join("safe.rpz"), list).unwrap();
    let toml = "[[program]]\nname = \"mine\"\nmode = \"enforce\"\nlists = [{ path = \"safe.rpz\", format = \"rpz\" }]\n\
         [local]\nrecords = [\"alias.lan. 86400 CNAME www.signed.org.\"]\n[cache]\nstale = \"30d\"\n";
    let server = start(folder, Some(&internet), toml).await;
    let flood = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    flood.connect(server.dns()).await.unwrap();
    let mut cold = Vec::new();
    for name in NAMES {
        cold.push(server.ask(name, RrType::A).await);
        assert_eq!(server.ask(name, RrType::A).await.shape(), cold.last().unwrap().shape());
    }
    internet.set_silent(true);
    let mut serial = 0;
    for over in [false, true] {
        if over {
            server.running.pipeline.finder().let_pass(LONG);
            server.running.health.resolver.forget();
        }
        for (name, cold) in NAMES.into_iter().zip(&cold) {
            let answer = ask_in_a_full_house(&server, &flood, &mut serial, name).await;
            assert_eq!((answer.rcode, answer.shape()), (Rcode::NOERROR, cold.shape()), "{name}, over: {over}");
        }
    }
}

/// Who asks for what is being resolved already costs no resolution, and waits with the others though the house is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_lets_more_wait_for_what_is_in_flight() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let pipeline = &server.running.pipeline;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    let equal = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    equal.connect(server.dns()).await.unwrap();
    let packet = Ask::new("api.signed.org", RrType::TXT).packet();
    eventually("all places are taken by one question", || async {
        for _ in 0..64 {
            equal.send(&packet).await.unwrap();
        }
        pipeline.misses_free() == 0
    })
    .await;
    let refused = over_udp(server.dns(), &Ask::new("other.signed.org", RrType::A).packet()).await.unwrap();
    assert!(Answer::read(refused).ede.expect("a reason").text.contains("too many questions"));
    let waiting = over_udp(server.dns(), &packet).await.unwrap();
    let text = Answer::read(waiting).ede.expect("a reason").text;
    assert!(!text.contains("too many questions"), "{text}");
}
