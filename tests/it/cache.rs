//! Answers that are kept: what is asked again, what is mixed up, what a change of policy does to them. Nothing here waits
//! for time to pass: the cache's clock is moved.

mod ahead;
mod full_house;
mod leaving;
mod policies;

use crate::{
    harness::{
        Answer, Ask, DEADLINE, Server, eventually, folder, framed, list_text, over_udp, read_framed, start, write_list,
    },
    internet::Internet,
};
use cleandns::{
    dns::{Rcode, RrType, Transport},
    query::{Asked, CacheUse, Now},
    resolve::Resolve as _,
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A day and more: no answer of the miniature Internet lives longer.
const LONG: u32 = 200_000;

/// An alias, and what it leads to: whether that is blocked shows only in the answer, which is kept.
const ALIAS: &str = "to-blocked.example.com";
const TARGET: &str = "www.tiktok.com";

async fn serve(internet: &Internet, toml: &str) -> Server {
    start(folder(), Some(internet), toml).await
}

/// Waits until so many questions were looked up with this outcome: they are counted after their answers went out.
async fn looked_up(server: &Server, state: &str, count: f64) {
    let label = format!("state=\"{state}\"");
    let label = [label.as_str()];
    let looked_up = || server.metric("cleandns_cache_lookups_total", &label);
    eventually("the lookups to be counted", || async { looked_up().await >= count }).await;
    assert_eq!(looked_up().await, count, "{state}");
}

/// The smallest TTL in an answer.
fn ttl(answer: &Answer) -> u32 {
    answer.answer.iter().chain(&answer.authority).map(|record| record.ttl).min().expect("records")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_asked_for_once_and_counts_down() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let first = server.ask("www.signed.org", RrType::A).await;
    let asked = internet.asked_total();
    let again = server.ask("www.signed.org", RrType::A).await;
    assert_eq!(first.shape(), again.shape());
    server.running.pipeline.finder().let_pass(7);
    let later = server.ask("www.signed.org", RrType::A).await;
    assert_eq!(ttl(&later) + 7, ttl(&first));
    assert_eq!(internet.asked_total(), asked, "nobody was asked again");
    looked_up(&server, "hit", 2.0).await;
    // The question comes back in the client's own spelling.
    let mut shouted = Ask::new("www.signed.org", RrType::A).packet();
    shouted[13..16].copy_from_slice(b"WWW");
    let heard = over_udp(server.dns(), &shouted).await.unwrap();
    assert_eq!(&heard[12..16], b"\x03WWW");
    server.running.pipeline.finder().let_pass(LONG);
    let asked = internet.asked("www.signed.org");
    server.ask("www.signed.org", RrType::A).await;
    // What resolution keeps has a clock of its own, so it may be given; but not by the cache.
    looked_up(&server, "miss", 2.0).await;
    assert!(internet.asked("www.signed.org") >= asked);
}

/// What is kept grows older while the machine sleeps, in the cache and in what resolution remembers beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_end_while_the_machine_sleeps() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let sleep = |seconds| server.slept.fetch_add(seconds, Ordering::Relaxed);
    let first = server.ask("www.signed.org", RrType::A).await;
    let asked = internet.asked_total();
    sleep(7);
    let later = server.ask("www.signed.org", RrType::A).await;
    assert!((7..9).contains(&(ttl(&first) - ttl(&later))), "{} and {}", ttl(&first), ttl(&later));
    assert_eq!(internet.asked_total(), asked, "it is kept");
    // Longer than any answer lives, but not so long that the old one would do.
    sleep(3600);
    let asked = internet.asked("www.signed.org");
    let fresh = server.ask("www.signed.org", RrType::A).await;
    assert_eq!((ttl(&fresh), fresh.ede_code()), (ttl(&first), 0));
    assert!(internet.asked("www.signed.org") > asked, "what resolution remembered was given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_want_never_mixes() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let forms = [(false, false), (true, false), (false, true), (true, true)];
    let ask = |(dnssec_ok, cd)| Ask { dnssec_ok, cd, ..Ask::new("www.signed.org", RrType::A) };
    let mut cold = Vec::new();
    for form in forms {
        cold.push(server.ask_with(&ask(form)).await);
    }
    for (form, cold) in forms.into_iter().zip(&cold) {
        let warm = server.ask_with(&ask(form)).await;
        assert_eq!(warm.shape(), cold.shape(), "{form:?}");
        let signed = warm.answer.iter().any(|record| record.rr_type == RrType::RRSIG);
        assert_eq!(signed, form.0, "{form:?}");
        assert_eq!(warm.cd, form.1, "{form:?}: CD comes back");
    }
    looked_up(&server, "hit", 4.0).await;
    // Other types are other questions.
    assert_ne!(server.ask("www.signed.org", RrType::AAAA).await.shape(), cold[0].shape());
    // A client without EDNS gets no OPT record although one with it asked first.
    let plain = server.ask_with(&Ask { edns: false, ..Ask::new("www.signed.org", RrType::A) }).await;
    assert_eq!((plain.answer, plain.octets[11]), (cold[0].answer.clone(), 0), "no additional record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denials_and_failures_are_kept_each_for_its_time() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let finder = server.running.pipeline.finder();
    let first = server.ask("no-such-name.signed.org", RrType::A).await;
    assert_eq!(first.rcode, Rcode::NXDOMAIN);
    let asked = internet.asked_total();
    finder.let_pass(3);
    let again = server.ask("no-such-name.signed.org", RrType::A).await;
    assert_eq!((again.rcode, ttl(&again) + 3), (Rcode::NXDOMAIN, ttl(&first)));
    assert_eq!(internet.asked_total(), asked);
    // A name that doesn't exist has nothing of any type (RFC 2308 §5).
    for rr_type in [RrType::AAAA, RrType::TXT] {
        let other = server.ask("no-such-name.signed.org", rr_type).await;
        assert_eq!((other.rcode, other.authority.len()), (Rcode::NXDOMAIN, again.authority.len()), "{rr_type}");
    }
    assert_eq!(internet.asked_total(), asked);
    // Another name may.
    assert_eq!(server.ask("signed.org", RrType::TXT).await.rcode, Rcode::NOERROR);
    // A failure is told again for a few seconds, and nobody is asked meanwhile.
    let failed = server.ask("www.bogus-sig.org", RrType::A).await;
    assert_eq!(failed.rcode, Rcode::SERVFAIL);
    let asked = internet.asked_total();
    let again = server.ask("www.bogus-sig.org", RrType::A).await;
    assert_eq!((again.shape(), again.ede_code()), (failed.shape(), failed.ede_code()));
    assert_eq!(internet.asked_total(), asked);
    looked_up(&server, "miss", 3.0).await;
    finder.let_pass(6);
    server.ask("www.bogus-sig.org", RrType::A).await;
    looked_up(&server, "miss", 4.0).await;
}

/// A forged answer, or a broken one, does no harm for longer than a failure is told, whatever TTL it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_bogus_is_asked_for_upstream_again() {
    let internet = Internet::start().await;
    // By recursion, and of the zone's own name server as forwarder.
    let forward = "[[resolve.forward]]\nzone = \"signed.org\"\nservers = [\"185.49.140.2\"]\nvalidate = true\n";
    for (toml, name) in ["", forward].into_iter().flat_map(|toml| ["www", "alias"].map(|label| (toml, label))) {
        let name = format!("{name}.signed.org");
        let server = serve(&internet, toml).await;
        let ask = async || server.ask_with(&Ask { ad: true, ..Ask::new(&name, RrType::A) }).await;
        internet.set_spoiling(true);
        for _ in 0..3 {
            let before = internet.asked(&name);
            assert_eq!(ask().await.rcode, Rcode::SERVFAIL, "{toml}{name}");
            assert!(internet.asked(&name) > before, "{toml}{name} was not asked for again");
            // Once in the time of a failure.
            let asked = internet.asked_total();
            assert_eq!((ask().await.rcode, internet.asked_total()), (Rcode::SERVFAIL, asked), "{toml}{name}");
            server.running.pipeline.finder().let_pass(6);
        }
        internet.set_spoiling(false);
        let good = ask().await;
        assert!(good.rcode == Rcode::NOERROR && good.ad, "{toml}{name}: {:?}", good.ede);
    }
}

/// RFC 8767: when nobody answers, what was known is better than nothing; what is bogus is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_given_when_nobody_answers() {
    let internet = Internet::start().await;
    let server = serve(&internet, "[cache]\nstale = \"30d\"\n").await;
    let finder = server.running.pipeline.finder();
    let first = server.ask("www.signed.org", RrType::A).await;
    server.ask("no-such-name.signed.org", RrType::A).await;
    internet.set_silent(true);
    finder.let_pass(LONG);
    // What resolution keeps beside the cache knows nothing of the cache's clock.
    server.running.health.resolver.forget();
    let stale = server.ask("www.signed.org", RrType::A).await;
    assert_eq!((stale.rcode, stale.ede_code(), ttl(&stale)), (Rcode::NOERROR, 3, 30));
    assert_eq!(stale.answer.len(), first.answer.len());
    let denied = server.ask("no-such-name.signed.org", RrType::A).await;
    assert_eq!((denied.rcode, denied.ede_code()), (Rcode::NXDOMAIN, 19));
    // Who asks while it is still tried doesn't wait as long as the first.
    let begun = std::time::Instant::now();
    assert_eq!(server.ask("no-such-name.signed.org", RrType::A).await.ede_code(), 19);
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    // Until it is worth trying again, they are given at once.
    eventually("the failure is known", || async {
        let asked = internet.asked_total();
        let begun = std::time::Instant::now();
        server.ask("www.signed.org", RrType::A).await.ede_code() == 3
            && internet.asked_total() == asked
            && begun.elapsed() < Duration::from_millis(1500)
    })
    .await;
    internet.set_silent(false);
    finder.let_pass(31);
    eventually("a fresh answer", || async { server.ask("www.signed.org", RrType::A).await.ede_code() == 0 }).await;
}

/// Who has no keys can't judge: what was known stands for it, as where nobody answers at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_given_when_nobody_gives_keys() {
    let internet = Internet::start().await;
    let server = serve(&internet, "[cache]\nstale = \"30d\"\n").await;
    let ask = async || server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
    assert!(ask().await.ad);
    internet.set_keeping_keys(true);
    server.running.pipeline.finder().let_pass(LONG);
    // Keys go with all else that is forgotten, else the answer would be judged by them.
    server.post("/api/v1/cache/flush", r#"{"name":"www.example.com"}"#).await;
    assert_eq!((ask().await.ede_code(), ask().await.answer.len()), (3, 1));
    eventually("the failure is known, and what was kept is given on", || async {
        let asked = internet.asked_total();
        let begun = std::time::Instant::now();
        let given = ask().await;
        assert_ne!(given.rcode, Rcode::SERVFAIL, "{:?}", given.ede);
        given.ede_code() == 3 && internet.asked_total() == asked && begun.elapsed() < Duration::from_millis(1500)
    })
    .await;
    // Nothing is kept of another name: that there are no keys is nobody's fault but the network's.
    assert_eq!(server.ask("api.signed.org", RrType::A).await.ede_code(), 22);
    internet.set_keeping_keys(false);
    server.post("/api/v1/cache/flush", "{}").await;
    assert!(ask().await.ad);
}

/// On one connection, what is kept is given while as many as may be are looked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_does_not_wait_behind_what_is_looked_for() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    server.ask("www.signed.org", RrType::A).await;
    let mut stream = TcpStream::connect(server.dns()).await.unwrap();
    // Of a zone whose servers are silent, and in the end one that is kept.
    let misses: Vec<String> = (0..32).map(|number| format!("n{number}.dead.net")).collect();
    let asked = misses.iter().map(String::as_str).chain(["www.signed.org"]);
    let packets: Vec<u8> = asked.flat_map(|name| framed(&Ask::new(name, RrType::A).packet())).collect();
    stream.write_all(&packets).await.unwrap();
    let mut first = None;
    for _ in 0..=misses.len() {
        let answer = Answer::read(read_framed(&mut stream).await.expect("all are answered"));
        first.get_or_insert(answer.rcode);
    }
    assert_eq!(first, Some(Rcode::NOERROR));
}

/// What was asked before a flush, and answered after it, isn't kept: the flush may have been meant for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_holds_for_what_is_in_flight() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_delay(Duration::from_millis(300));
    let asked = internet.asked("api.signed.org");
    let (answer, ()) = tokio::join!(server.ask("api.signed.org", RrType::A), async {
        eventually("it is in flight", || async { internet.asked("api.signed.org") > asked }).await;
        let (status, _) = server.post("/api/v1/cache/flush", "{}").await;
        assert_eq!(status, 200);
    });
    assert_ne!(answer.rcode, Rcode::SERVFAIL);
    assert_eq!(server.json("/api/v1/cache").await["entries"].as_u64(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_stale_answers_silence_is_a_failure() {
    let internet = Internet::start().await;
    let server = serve(&internet, "[cache]\nstale = \"0s\"\n").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    server.running.pipeline.finder().let_pass(LONG);
    server.running.health.resolver.forget();
    assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, Rcode::SERVFAIL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_questions_in_flight_are_one() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    // Warm: the zone is known, so that one question is one more.
    server.ask("www.signed.org", RrType::A).await;
    internet.set_delay(Duration::from_millis(300));
    let before = internet.asked("api.signed.org");
    let asking = (0..10).map(|_| server.ask("api.signed.org", RrType::TXT));
    let answers = futures_all(asking).await;
    assert!(answers.iter().all(|answer| answer.shape() == answers[0].shape()));
    let asked = internet.asked("api.signed.org") - before;
    // For TXT, and for an alias that a denial may hide.
    assert!(asked <= 2, "{asked} questions upstream for ten equal ones");
}

async fn futures_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|one| Some(Box::pin(one))).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, place) in waiting.iter_mut().zip(&mut done) {
            if let Some(future) = one
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                (*place, *one) = (Some(value), None);
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_flushed_is_asked_for_again() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    let fill = async || {
        for name in ["www.signed.org", "api.signed.org", "www.example.com"] {
            server.ask(name, RrType::A).await;
        }
    };
    for (body, forgotten, asked_again) in [
        (r#"{"name":"www.signed.org"}"#, 1, vec!["www.signed.org"]),
        (r#"{"name":"signed.org","subtree":true}"#, 2, vec!["www.signed.org", "api.signed.org"]),
        (r#"{"name":"signed.org"}"#, 0, vec![]),
        ("{}", 3, vec!["www.signed.org", "api.signed.org", "www.example.com"]),
    ] {
        fill().await;
        let before: Vec<usize> = asked_again.iter().map(|name| internet.asked(name)).collect();
        let (status, text) = server.post("/api/v1/cache/flush", body).await;
        let answers = serde_json::from_str::<serde_json::Value>(&text).unwrap()["answers"].as_u64();
        assert_eq!((status, answers), (200, Some(forgotten)), "{body}");
        fill().await;
        for (name, before) in asked_again.iter().zip(before) {
            assert!(internet.asked(name) > before, "{body}: {name} was not asked for again");
        }
    }
    // An alias's answer holds what was kept of the name it leads to, so it goes with that.
    server.ask(ALIAS, RrType::A).await;
    let (_, text) = server.post("/api/v1/cache/flush", &format!("{{\"name\":\"{TARGET}\"}}")).await;
    assert!(text.contains("\"answers\":1"), "{text}");
    let (status, text) = server.post("/api/v1/cache/flush", r#"{"name":"a..b"}"#).await;
    assert_eq!(status, 422, "{text}");
    let view = server.json("/api/v1/cache").await;
    assert_eq!((view["entries"].as_u64(), view["flushed"].as_u64()), (Some(3), Some(7)), "{view}");
}

/// What is kept counts down behind an alias of the owner's too, and says so when its time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_behind_local_aliases_are_no_younger() {
    let internet = Internet::start().await;
    let local = "[local]\nrecords = [\"alias.lan. 86400 CNAME www.signed.org.\"]\n[cache]\nstale = \"30d\"\n";
    let server = serve(&internet, local).await;
    let finder = server.running.pipeline.finder();
    let address = |answer: &Answer| answer.answer.iter().find(|record| record.rr_type == RrType::A).map(|a| a.ttl);
    let first = address(&server.ask("www.signed.org", RrType::A).await).expect("an address");
    finder.let_pass(7);
    assert_eq!(address(&server.ask("alias.lan", RrType::A).await), Some(first - 7));
    internet.set_silent(true);
    finder.let_pass(LONG);
    server.running.health.resolver.forget();
    let stale = server.ask("alias.lan", RrType::A).await;
    assert_eq!((address(&stale), stale.ede_code(), stale.ad), (Some(30), 3, false));
}
