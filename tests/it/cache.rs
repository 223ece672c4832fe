//! Answers that are kept: what is asked again, what is mixed up, what a change of policy does to them. Nothing here waits
//! for time to pass: the cache's clock is moved.

use crate::{
    harness::{Answer, Ask, Server, eventually, folder, list_text, over_udp, start, write_list},
    internet::Internet,
};
use cleandns::{
    dns::{Rcode, RrType, Transport},
    query::{Asked, CacheUse, Now},
    resolve::Resolve as _,
};
use std::{sync::atomic::Ordering, time::Duration};

/// A day and more: no answer of the miniature Internet lives longer.
const LONG: u32 = 200_000;

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
    let internet = Internet::start().await;
    let folder = folder();
    std::fs::write(folder.path().join("safe.rpz"), "$TTL 60\nsafe.example CNAME www.signed.org.\n").unwrap();
    let toml = "[[program]]\nname = \"mine\"\nmode = \"enforce\"\nlists = [{ path = \"safe.rpz\", format = \"rpz\" }]\n\
         [local]\nrecords = [\"alias.lan. 86400 CNAME www.signed.org.\"]\n[cache]\nstale = \"30d\"\n";
    let server = start(folder, Some(&internet), toml).await;
    let flood = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    flood.connect(server.dns()).await.unwrap();
    let mut cold = Vec::new();
    for name in ["alias.lan", "safe.example"] {
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
        for (name, cold) in ["alias.lan", "safe.example"].into_iter().zip(&cold) {
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

/// Who is asked for shortly before its time is over, twice, is asked for again then, without anybody wanting it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn popular_answers_are_asked_for_again_by_themselves() {
    let internet = Internet::start().await;
    for (toml, again) in [("", 1.0), ("[cache]\nprefetch = false\n", 0.0)] {
        let server = serve(&internet, toml).await;
        let finder = server.running.pipeline.finder();
        let first = server.ask("www.signed.org", RrType::A).await;
        let stored = async || server.metric("cleandns_cache_stored_total", &[]).await;
        let before = stored().await;
        finder.let_pass(ttl(&first) - 1);
        server.ask("www.signed.org", RrType::A).await;
        server.ask("www.signed.org", RrType::A).await;
        if again == 1.0 {
            eventually("it is stored again", || async { stored().await == before + again }).await;
        }
        looked_up(&server, "miss", 1.0).await;
    }
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

/// A program `mine` with its list, and what else is given.
fn program(more: &str) -> String {
    format!("[[program]]\nname = \"mine\"\nmode = \"enforce\"\nlists = [{{ path = \"mine.list\" }}]\n{more}")
}

/// An alias, and what it leads to: whether that is blocked shows only in the answer, which is kept.
const ALIAS: &str = "to-blocked.example.com";
const TARGET: &str = "www.tiktok.com";

/// Two groups in turn on one kept answer, and a pause on both: no verdict stands in the cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_pauses_hold_for_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &[TARGET]);
    let toml = program(
        "[[group]]\nname = \"free\"\nclients = [\"127.0.0.9\"]\nprograms = { mine = \"off\" }\n\
         [[group]]\nname = \"strict\"\nclients = [\"127.0.0.8\"]\n",
    );
    let server = start(folder, Some(&internet), &toml).await;
    let ask = Ask::new(ALIAS, RrType::A);
    for round in 0..3 {
        let free = server.ask_from("127.0.0.9", &ask).await;
        let strict = server.ask_from("127.0.0.8", &ask).await;
        assert_eq!((free.rcode, free.ede_code()), (Rcode::NOERROR, 0), "{round}");
        assert_eq!(strict.ede_code(), 15, "{round}");
    }
    looked_up(&server, "miss", 1.0).await;
    assert_eq!(server.post("/api/v1/pause", r#"{"group":"strict","seconds":60}"#).await.0, 200);
    assert_eq!(server.ask_from("127.0.0.8", &ask).await.ede_code(), 0);
    assert_eq!(server.post("/api/v1/pause", r#"{"group":"strict","seconds":0}"#).await.0, 200);
    assert_eq!(server.ask_from("127.0.0.8", &ask).await.ede_code(), 15);
    // One that ends by itself.
    assert_eq!(server.post("/api/v1/pause", r#"{"seconds":60}"#).await.0, 200);
    assert_eq!(server.ask_from("127.0.0.8", &ask).await.ede_code(), 0);
    server.clock.fetch_add(61, Ordering::Relaxed);
    assert_eq!(server.ask_from("127.0.0.8", &ask).await.ede_code(), 15);
    looked_up(&server, "miss", 1.0).await;
}

/// An exception's last day ends while the answer is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_ends_for_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &[TARGET]);
    let toml = program(&format!(
        "[[policy.exception]]\nnames = [\"{TARGET}\"]\nreason = \"for a while\"\nuntil = \"2031-01-01\"\n\
         [policy]\ntime_zone = \"UTC\"\n"
    ));
    let server = start(folder, Some(&internet), &toml).await;
    let before = server.clock.load(Ordering::Relaxed);
    let ask = Ask { cd: true, ..Ask::new(ALIAS, RrType::A) };
    assert_eq!(server.ask_with(&ask).await.ede_code(), 0);
    assert_eq!(server.ask_with(&ask).await.ede_code(), 0);
    // 2031-01-02 00:00 UTC.
    server.clock.store(1_925_078_400, Ordering::Relaxed);
    assert_eq!(server.ask_with(&ask).await.ede_code(), 15);
    server.clock.store(before, Ordering::Relaxed);
    assert_eq!(server.ask_with(&ask).await.ede_code(), 0);
    looked_up(&server, "miss", 1.0).await;
}

/// A list that is reloaded holds for the very next query, of a kept answer too, and so does its being taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_holds_for_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
    let server = start(folder, Some(&internet), &program("")).await;
    assert_eq!(server.ask(ALIAS, RrType::A).await.ede_code(), 0);
    for (rules, code) in [(vec![TARGET], 15), (vec!["elsewhere.example"], 0), (vec![TARGET], 15)] {
        std::fs::write(server.path("mine.list"), list_text(&rules)).unwrap();
        server.running.reload();
        eventually("the reload", || async { server.ask(ALIAS, RrType::A).await.ede_code() == code }).await;
    }
    looked_up(&server, "miss", 1.0).await;
}

/// A kept answer of which too little is known for a new rule is better than none when nobody can be asked, and is asked for
/// again when somebody can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_on_name_servers_takes_nothing_away_while_nobody_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
    let server = start(folder, Some(&internet), &program("")).await;
    let finder = server.running.pipeline.finder();
    server.ask("www.plain.test", RrType::A).await;
    internet.set_silent(true);
    write_list(&server.path("mine.list"), &["ns:ns1.plain.test"]);
    let before = server.running.published.policy.load().as_ref().unwrap().epoch();
    server.running.reload();
    let epoch = || server.running.published.policy.load().as_ref().unwrap().epoch();
    eventually("the reload", || async { epoch() > before }).await;
    server.running.health.resolver.forget();
    let ask = async || server.ask("www.plain.test", RrType::A).await;
    let kept = ask().await;
    assert_eq!((kept.rcode, kept.ede_code()), (Rcode::NOERROR, 0));
    eventually("it is given at once", || async {
        let begun = std::time::Instant::now();
        assert_eq!(ask().await.rcode, Rcode::NOERROR);
        begun.elapsed() < Duration::from_millis(200)
    })
    .await;
    internet.set_silent(false);
    finder.let_pass(31);
    eventually("the rule holds", || async { ask().await.ede_code() == 15 }).await;
}

/// Who reads in the log what answers led to reads it of kept ones too, though no rule looks at that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_tell_their_chain_to_the_log() {
    let internet = Internet::start().await;
    for (log, expected) in [("[log]\nqueries = true\n", vec![TARGET]), ("", vec![])] {
        let folder = folder();
        write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
        let server = start(folder, Some(&internet), &program(log)).await;
        server.ask(ALIAS, RrType::A).await;
        let (pipeline, packet, now) =
            (&server.running.pipeline, Ask::new(ALIAS, RrType::A).packet(), std::time::Instant::now());
        let mut asked = [Asked::default()];
        asked[0].read(&packet, "127.0.0.1".parse().unwrap(), Transport::Udp, now);
        let turn = pipeline.turn(now);
        pipeline.foresee(&turn, &mut asked, None);
        let mut record = pipeline.record(&asked[0]);
        let answered = pipeline.answer_now(&turn, &asked[0], &packet, None, &mut record, &mut Vec::new());
        assert!(matches!(answered, Now::Answered) && record.cache == Some(CacheUse::Hit));
        let chain: Vec<String> = record.links.iter().map(|link| link.what.to_string()).collect();
        assert_eq!(chain, expected, "{log}");
    }
}

/// A service that its list switches on and off, for the very next query of a kept answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switched_service_holds_for_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    let list = |default| format!("#! cleandns\n#: service: videos\n#: default: {default}\n{TARGET}\n");
    std::fs::write(folder.path().join("mine.list"), list("off")).unwrap();
    let server = start(folder, Some(&internet), &program("")).await;
    assert_eq!(server.ask(ALIAS, RrType::A).await.ede_code(), 0);
    for (default, code) in [("enforce", 15), ("shadow", 0), ("enforce", 15), ("off", 0)] {
        std::fs::write(server.path("mine.list"), list(default)).unwrap();
        server.running.reload();
        eventually("the switch", || async { server.ask(ALIAS, RrType::A).await.ede_code() == code }).await;
    }
    looked_up(&server, "miss", 1.0).await;
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

/// Who asks the same as others is waited for, too, when it is time to leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leaving_waits_for_all_who_wait_for_one_answer() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_delay(Duration::from_millis(400));
    let (address, packet) = (server.dns(), Ask::new("api.signed.org", RrType::TXT).packet());
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let packet = packet.clone();
            tokio::spawn(async move { over_udp(address, &packet).await })
        })
        .collect();
    eventually("all wait", || async { server.running.pipeline.misses_free() + 50 == cleandns::query::MISSES_MAX })
        .await;
    let Server { running, folder: _kept, .. } = server;
    running.stop().await;
    for one in asking {
        assert!(one.await.unwrap().is_some());
    }
}

/// What was kept outlasts the process, if the owner wants it, and is as old as it is; a file that is damaged or of other
/// settings is as good as none, and one of which nobody knows how old it is serves for want of better answers alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_outlast_the_process() {
    const SAVE: &str = "[cache]\nsave = true\n";
    let internet = Internet::start().await;
    let stop = async |server: Server| {
        let Server { running, folder, .. } = server;
        running.stop().await;
        folder
    };
    let server = start(folder(), Some(&internet), SAVE).await;
    let first = ttl(&server.ask("www.signed.org", RrType::A).await);
    server.ask("no-such-name.signed.org", RrType::A).await;
    server.clock.fetch_sub(7, Ordering::Relaxed);
    let mut kept = stop(server).await;
    let file = kept.path().join("state/answers");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let whole = std::fs::read(&file).unwrap();
    // Seven seconds later, and a second more at most.
    let server = start(kept, Some(&internet), SAVE).await;
    assert!(!file.exists(), "it is read once");
    internet.set_silent(true);
    let again = server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
    assert!((7..9).contains(&(first - ttl(&again))), "{first}, then {}", ttl(&again));
    assert!(again.ad, "validated once");
    assert_eq!(server.ask("no-such-name.signed.org", RrType::A).await.rcode, Rcode::NXDOMAIN);
    assert_eq!(server.ask("other.signed.org", RrType::A).await.rcode, Rcode::SERVFAIL, "nobody can be asked");
    // What a process before left meanwhile goes with a flush.
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(server.post("/api/v1/cache/flush", "{}").await.0, 200);
    assert!(!file.exists(), "flushed");
    internet.set_silent(false);
    kept = stop(server).await;
    let text = whole.iter().position(|octet| *octet == b'\n').unwrap();
    let line = std::str::from_utf8(&whole[..text]).unwrap();
    let (words, seconds) = line.rsplit_once(" this ").unwrap();
    let answers = &whole[text..whole.len() - 32];
    let signed = |line: &str, answers: &[u8]| {
        let content = [line.as_bytes(), answers].concat();
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        [&content, digest.as_ref()].concat()
    };
    let changed = |at: usize| {
        let mut octets = whole.clone();
        octets[at] ^= 1;
        octets
    };
    let later = seconds.parse::<u64>().unwrap() + 1_000_000;
    let others =
        "[resolve]\nroot_hints = \"root.hints\"\ntrust_anchors = \"root.ds\"\nipv6 = false\nvalidate = false\n";
    for (what, octets, more, found) in [
        ("as it was", whole.clone(), "", 2),
        ("damaged", changed(whole.len() / 2), "", 0),
        ("longer", [&whole[..], b"x"].concat(), "", 0),
        ("cut", whole[..whole.len() - 40].to_vec(), "", 0),
        ("empty", Vec::new(), "", 0),
        ("of other settings", whole.clone(), others, 0),
        ("another boot", signed(&format!("{words} other {seconds}"), answers), "", 2),
        ("no time", signed(&format!("{words} this soon"), answers), "", 2),
        ("later than now", signed(&format!("{words} this {later}"), answers), "", 2),
        ("older than the clock", signed(&format!("{words} this 0"), answers), "", 0),
        ("another version", signed(&line.replace("answers 0", "answers 9"), answers), "", 0),
        ("no boot", signed(words, answers), "", 0),
        ("an answer without end", signed(line, b"\n\xff\xff\xff\xff"), "", 0),
        ("an answer cut off", signed(line, b"\n\x00\x00\x00\x09x"), "", 0),
        ("an answer of nothing", signed(line, b"\n\x00\x00\x00\x00"), "", 0),
    ] {
        std::fs::write(&file, octets).unwrap();
        let server = start(kept, Some(&internet), &format!("{SAVE}{more}")).await;
        let entries = server.json("/api/v1/cache").await["entries"].as_u64();
        assert_eq!(entries, Some(found), "{what}");
        assert!(!file.exists(), "{what}");
        if ["another boot", "no time", "later than now"].contains(&what) {
            internet.set_silent(true);
            let stale = server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
            assert_eq!((stale.rcode, stale.ede_code(), stale.ad), (Rcode::NOERROR, 3, false), "{what}");
            internet.set_silent(false);
        }
        kept = stop(server).await;
    }
    // Without the option nothing is written, and what was is gone.
    let server = start(kept, Some(&internet), "").await;
    assert!(!file.exists());
    server.ask("www.signed.org", RrType::A).await;
    let _kept = stop(server).await;
    assert!(!file.exists());
}

/// Who can't start takes nothing from who comes next.
#[test]
fn a_failed_start_leaves_kept_answers() {
    // By the program itself: the harness removes a folder with its server.
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let file = folder.path().join("state/answers");
    std::fs::write(&file, "left by another").unwrap();
    let toml = format!(
        "[listen]\ndo53 = [\"127.0.0.1:0\"]\n[state]\ndir = \"state\"\n[cache]\nsave = true\n[admin]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(folder.path().join("own.toml"), toml).unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_cleandns"))
        .args(["serve", "--config", "own.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert!(file.exists(), "{}", String::from_utf8_lossy(&ended.stderr));
}
