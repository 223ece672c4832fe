//! No verdict stands in the cache: what changes of policy, clients and time do to kept answers, without any flush.

use super::*;
use crate::harness::{config_text, start_following};
use std::time::Instant;

/// A program `mine` with its list, and what else is given.
fn program(more: &str) -> String {
    format!("[[program]]\nname = \"mine\"\nmode = \"enforce\"\nlists = [{{ path = \"mine.list\" }}]\n{more}")
}

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

/// Has a rule on a name server come in force in place of another, and the resolver forget what it heard of zones.
async fn rule_on(server: &Server, name_server: &str) {
    let epoch = || server.running.published.policy.load().as_ref().unwrap().epoch();
    let before = epoch();
    write_list(&server.path("mine.list"), &[&format!("ns:{name_server}")]);
    server.running.reload();
    eventually("the reload", || async { epoch() > before }).await;
    server.running.health.resolver.forget();
}

/// While nobody answers, a rule that comes in force has kept answers wait once, not each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_on_name_servers_slows_no_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
    let server = start(folder, Some(&internet), &program("")).await;
    let names = ["www.plain.test", "www.example.com", "www.signed.org", "www.child.signed.org", "nx.com", "nx.org"];
    for name in names {
        server.ask(name, RrType::A).await;
    }
    internet.set_silent(true);
    rule_on(&server, "ns1.plain.test").await;
    let begun = Instant::now();
    for name in names {
        assert_ne!(server.ask(name, RrType::A).await.rcode, Rcode::SERVFAIL, "{name}");
    }
    // 300 milliseconds for the first, next to nothing for the others: far less than that for each of the six.
    assert!(begun.elapsed() < Duration::from_millis(5 * 300), "{:?}", begun.elapsed());
    internet.set_silent(false);
    server.running.pipeline.finder().let_pass(31);
    eventually("the rule holds", || async { server.ask(names[0], RrType::A).await.ede_code() == 15 }).await;
}

/// While others answer, what a rule that comes in force looks at is looked for before a kept answer is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_on_name_servers_holds_for_kept_answers() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
    let server = start(folder, Some(&internet), &program("")).await;
    server.ask("www.plain.test", RrType::A).await;
    rule_on(&server, "ns1.plain.test").await;
    let begun = Instant::now();
    let answer = server.ask("www.plain.test", RrType::A).await;
    // A machine that is so busy answers late, like a server far away.
    assert!(answer.ede_code() == 15 || begun.elapsed() > Duration::from_millis(250), "{:?}", begun.elapsed());
    eventually("the rule holds", || async { server.ask("www.plain.test", RrType::A).await.ede_code() == 15 }).await;
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
        let turn = pipeline.turn();
        pipeline.foresee(&turn, &mut asked, None);
        let mut record = pipeline.record(&asked[0]);
        let answered = pipeline.answer_now(&turn, &asked[0], &packet, None, &mut record, &mut Vec::new());
        assert!(matches!(answered, Now::Answered) && record.cache == Some(CacheUse::Hit));
        let chain: Vec<String> = record.links.iter().map(|link| link.what.to_string()).collect();
        assert_eq!(chain, expected, "{log}");
    }
}

/// Whether anybody reads that is said while the server runs, and holds for the very next query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_are_told_once_somebody_reads_them() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("mine.list"), &["elsewhere.example"]);
    let server = start_following(folder, Some(&internet), &[], &program("")).await;
    server.ask(ALIAS, RrType::A).await;
    for (log, expected) in [("[log]\nqueries = true\n", 1), ("", 0)] {
        let text = config_text(&server.folder, Some(&internet), &program(log));
        std::fs::write(server.path("cleandns.toml"), text).unwrap();
        server.running.reloaded().await.unwrap_err();
        let packet = Ask::new(ALIAS, RrType::A).packet();
        let mut asked = [Asked::default()];
        asked[0].read(&packet, "127.0.0.1".parse().unwrap(), Transport::Udp, std::time::Instant::now());
        let pipeline = &server.running.pipeline;
        let turn = pipeline.turn();
        pipeline.foresee(&turn, &mut asked, None);
        let mut record = pipeline.record(&asked[0]);
        let answered = pipeline.answer_now(&turn, &asked[0], &packet, None, &mut record, &mut Vec::new());
        assert!(matches!(answered, Now::Answered));
        assert_eq!(record.links.len(), expected, "{log}");
    }
}

/// A query goes from its question to its answer by what was in force when it came, the owner's own names included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_meanwhile_holds_for_the_next_query() {
    let internet = Internet::start().await;
    let folder = folder();
    std::fs::write(folder.path().join("mine.rpz"), format!("$TTL 60\n{TARGET} CNAME mine.lan.\n")).unwrap();
    let program = |address: &str| {
        format!(
            "[[program]]\nname = \"mine\"\nmode = \"enforce\"\nlists = [{{ path = \"mine.rpz\", format = \"rpz\" }}]\n\
             [local]\nrecords = [\"mine.lan. A {address}\"]\n"
        )
    };
    let server = start_following(folder, Some(&internet), &[], &program("192.0.2.1")).await;
    // The zones are known.
    for name in ["www.example.com", "tiktok.com"] {
        server.ask(name, RrType::A).await;
    }
    internet.set_delay(Duration::from_millis(400));
    let asked = internet.asked(ALIAS);
    let address = |answer: &Answer| {
        let last = answer.answer.last().and_then(|record| record.address());
        last.unwrap_or_else(|| panic!("no address: {answer:?}")).to_string()
    };
    let (answer, ()) = tokio::join!(server.ask(ALIAS, RrType::A), async {
        eventually("it is in flight", || async { internet.asked(ALIAS) > asked }).await;
        let text = config_text(&server.folder, Some(&internet), &program("192.0.2.2"));
        std::fs::write(server.path("cleandns.toml"), text).unwrap();
        server.running.reloaded().await.unwrap_err();
        assert_eq!(address(&server.ask("mine.lan", RrType::A).await), "192.0.2.2");
    });
    assert_eq!(address(&answer), "192.0.2.1");
    assert_eq!(address(&server.ask(ALIAS, RrType::A).await), "192.0.2.2");
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
