//! Popular answers are asked for again before their time is over. What counts is what name servers are asked: what
//! resolution remembers for itself would be the rest of the old answer.

use super::*;
use crate::{
    forwarding::forward,
    harness::start_near,
    internet::{answer_to, scripted},
};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType, rdata::A},
};
use std::sync::{Arc, atomic::AtomicUsize};

/// Seconds that the answers of these names live.
const LIFE: u32 = 10;

/// A forwarder that says the same for every name, and how often it was asked for an address.
async fn forwarder() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answers = move |question: &Message| {
        let mut answer = answer_to(question, ResponseCode::NoError);
        let query = &question.queries[0];
        if query.query_type() == RecordType::A {
            count.fetch_add(1, Ordering::Relaxed);
            answer.answers = vec![Record::from_rdata(query.name().clone(), LIFE, RData::A(A::new(192, 0, 2, 1)))];
        }
        Some(answer)
    };
    (scripted(answers).await.0, asked)
}

/// Clients ask all the time, and nobody waits for a name server but the first: shortly before the end, once, somebody is
/// asked for the answer after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn popular_answers_are_asked_for_before_their_end() {
    let internet = Internet::start().await;
    let (address, forwarded) = forwarder().await;
    let toml = forward("corp.example", &[format!("udp://{address}")]);
    let server = start_near(folder(), Some(&internet), &[address], &toml).await;
    let names = ["brief.example.com", "host.corp.example"];
    let asked = |name: &str| match name {
        "host.corp.example" => forwarded.load(Ordering::Relaxed),
        _ => internet.asked(name),
    };
    for name in names {
        assert_eq!(ttl(&server.ask(name, RrType::A).await), LIFE, "{name}");
    }
    let cold = names.map(asked);
    let began = std::time::Instant::now();
    eventually("both are asked for again", || async {
        for name in names {
            let answer = server.ask(name, RrType::A).await;
            assert_eq!((answer.answer.len(), answer.ede_code()), (1, 0), "{name}");
        }
        names.iter().zip(cold).all(|(name, cold)| asked(name) > cold)
    })
    .await;
    // Not from the beginning, and not when it is too late.
    assert!(began.elapsed() > Duration::from_secs(u64::from(LIFE / 2)), "{:?}", began.elapsed());
    eventually("the new answers are given", || async {
        let mut all_new = true;
        for name in names {
            all_new &= ttl(&server.ask(name, RrType::A).await) > LIFE / 2;
        }
        all_new
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(u64::from(LIFE)) + DEADLINE / 2, "{:?}", began.elapsed());
    for (name, cold) in names.iter().zip(cold) {
        assert_eq!(asked(name), cold + 1, "{name}: one question");
    }
    looked_up(&server, "miss", 2.0).await;
}

/// Of an alias only what ends is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_alias_only_what_ends_is_asked_for() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    server.ask("to-brief.plain.test", RrType::A).await;
    let asked = || ["to-brief.plain.test", "brief.example.com"].map(|name| internet.asked(name));
    let cold = asked();
    eventually("it is asked for again", || async {
        server.ask("to-brief.plain.test", RrType::A).await;
        asked() != cold
    })
    .await;
    assert_eq!(asked(), [cold[0], cold[1] + 1]);
    looked_up(&server, "miss", 1.0).await;
}

/// If the owner doesn't want it, or nobody asks, nobody is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_that_nobody_wants() {
    let internet = Internet::start().await;
    for (toml, times) in [("", 1), ("[cache]\nprefetch = false\n", 3)] {
        let server = serve(&internet, toml).await;
        let finder = server.running.pipeline.finder();
        let first = server.ask("www.signed.org", RrType::A).await;
        let stored = async || server.metric("cleandns_cache_stored_total", &[]).await;
        let before = stored().await;
        finder.let_pass(ttl(&first) - 2);
        for _ in 0..times {
            server.ask("www.signed.org", RrType::A).await;
        }
        // Everything that was begun has come to its end.
        server.ask("www.example.com", RrType::A).await;
        assert_eq!(stored().await, before + 1.0);
    }
}
