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
use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Instant,
};

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

/// How often a test is tried again on a machine that was busy meanwhile.
const TRIES_MAX: usize = 5;
/// Clients that could not ask for so long may have missed what they are there for.
const HELD_UP: Duration = Duration::from_millis(700);

/// Clients who ask for some names again and again.
struct Clients<'a> {
    server: &'a Server,
    last: Instant,
    held_up: bool,
}

impl<'a> Clients<'a> {
    fn of(server: &'a Server) -> Self {
        Self { server, last: Instant::now(), held_up: false }
    }

    /// Asks for each name, until `is_done` of their TTLs.
    async fn ask_until(&mut self, names: &[&str], is_done: impl Fn(&[u32]) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut ttls = Vec::new();
            for name in names {
                let answer = self.server.ask(name, RrType::A).await;
                assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NOERROR, 0), "{name}");
                ttls.push(ttl(&answer));
            }
            self.held_up |= self.last.elapsed() > HELD_UP;
            self.last = Instant::now();
            if is_done(&ttls) {
                return;
            }
            assert!(Instant::now() < deadline, "{names:?}: {ttls:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Clients ask all the time, and nobody waits for a name server but the first: shortly before the end, once, somebody is
/// asked for the answer after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn popular_answers_are_asked_for_before_their_end() {
    let internet = Internet::start().await;
    let (address, forwarded) = forwarder().await;
    let toml = forward("corp.example", &[format!("udp://{address}")]);
    let names = ["brief.example.com", "host.corp.example"];
    let asked = || [internet.asked(names[0]), forwarded.load(Ordering::Relaxed)];
    for _ in 0..TRIES_MAX {
        let server = start_near(folder(), Some(&internet), &[address], &toml).await;
        let mut clients = Clients::of(&server);
        clients.ask_until(&names, |ttls| ttls == [LIFE, LIFE]).await;
        let (cold, began) = (asked(), Instant::now());
        clients.ask_until(&names, |_| asked().iter().zip(cold).all(|(asked, cold)| *asked > cold)).await;
        let took = began.elapsed();
        clients.ask_until(&names, |ttls| ttls.iter().all(|&ttl| ttl > LIFE / 2)).await;
        if !clients.held_up {
            // Not from the beginning, and before it is too late.
            assert!((Duration::from_secs(5)..Duration::from_secs(10)).contains(&took), "{took:?}");
            assert_eq!(asked(), cold.map(|cold| cold + 1), "one question each");
            return looked_up(&server, "miss", 2.0).await;
        }
    }
    panic!("the machine was busy all the time");
}

/// Of an alias only what ends is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_alias_only_what_ends_is_asked_for() {
    let internet = Internet::start().await;
    let names = ["to-brief.plain.test"];
    let asked = || [names[0], "brief.example.com"].map(|name| internet.asked(name));
    for _ in 0..TRIES_MAX {
        let server = serve(&internet, "").await;
        let mut clients = Clients::of(&server);
        clients.ask_until(&names, |_| true).await;
        let cold = asked();
        clients.ask_until(&names, |_| asked() != cold).await;
        clients.ask_until(&names, |ttls| ttls[0] > LIFE / 2).await;
        if !clients.held_up {
            assert_eq!(asked(), [cold[0], cold[1] + 1]);
            return looked_up(&server, "miss", 1.0).await;
        }
    }
    panic!("the machine was busy all the time");
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
