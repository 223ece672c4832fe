//! What of the configuration is in force while the server runs, besides lists and clients: how answers are kept and how
//! queries are recorded. Nothing is lost by a change, and nothing is told otherwise than was configured when it was asked.

use crate::{
    harness::{Ask, Server, config_text, configure, eventually, folder, start, start_following, write_list},
    internet::Internet,
};
use cleandns::{
    dns::{Rcode, RrType},
    query_log::{Row, sqlite::Reader},
    resolve::Resolve as _,
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

const PROGRAM: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"block.list\" }]\n";
const BLOCKED: &str = "blocked.example";

fn lists() -> tempfile::TempDir {
    let folder = folder();
    write_list(&folder.path().join("block.list"), &[BLOCKED]);
    folder
}

/// Has a configuration put in force, all of it.
async fn says(server: &Server, internet: Option<&Internet>, toml: &str) {
    let config = configure(&server.folder, internet, toml);
    let applied = server.running.changing.files_say(config).await.unwrap();
    assert_eq!(applied.waiting, [""; 0], "{toml}");
}

/// All rows of a database.
fn rows(path: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    let Ok(mut reader) = Reader::open(path) else { return rows };
    reader.for_each(0, i64::MAX, |seen| rows.push(seen.row.clone())).unwrap();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_is_another_size_at_once() {
    const NAMES: usize = 120;
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let stats = || server.running.pipeline.finder().cache.stats();
    let ask_all = async || {
        for number in 0..NAMES {
            let answer = server.ask(&format!("n{number}.signed.org"), RrType::A).await;
            assert_ne!(answer.rcode, Rcode::SERVFAIL);
        }
    };
    ask_all().await;
    let full = stats();
    assert!(full.entries >= NAMES && full.size == 112 << 20, "{full:?}");
    says(&server, Some(&internet), "[cache]\nsize = \"32 KiB\"\n").await;
    let small = stats();
    assert_eq!(small.size, 28 << 10);
    assert!(small.bytes <= small.size && small.entries < full.entries, "{small:?} after {full:?}");
    // It stays so small, and what has no room is asked for again.
    let asked = internet.asked_total();
    ask_all().await;
    assert!(internet.asked_total() > asked && stats().bytes <= small.size, "{:?}", stats());
    says(&server, Some(&internet), "[cache]\nsize = \"16 MiB\"\n").await;
    ask_all().await;
    assert!(stats().entries >= NAMES && stats().size == 14 << 20, "{:?}", stats());
    let asked = internet.asked_total();
    ask_all().await;
    assert_eq!(internet.asked_total(), asked, "all of them are kept again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_answers_are_of_use_is_asked_each_time() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "[cache]\nstale = \"0s\"\n").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_silent(true);
    server.running.pipeline.finder().let_pass(200_000);
    server.running.health.resolver.forget();
    says(&server, Some(&internet), "[cache]\nstale = \"30d\"\nprefetch = false\n").await;
    let stale = server.ask("www.signed.org", RrType::A).await;
    assert_eq!((stale.rcode, stale.ede_code()), (Rcode::NOERROR, 3));
    says(&server, Some(&internet), "[cache]\nstale = \"0s\"\n").await;
    assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, Rcode::SERVFAIL);
}

/// Answers are kept for the next start as is said last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_saved_as_is_said_last() {
    let internet = Internet::start().await;
    for (first, last) in [(false, true), (true, false)] {
        let server = start(folder(), Some(&internet), &format!("[cache]\nsave = {first}\n")).await;
        server.ask("www.signed.org", RrType::A).await;
        says(&server, Some(&internet), &format!("[cache]\nsave = {last}\n")).await;
        let Server { running, folder, .. } = server;
        running.stop().await;
        assert_eq!(folder.path().join("state/answers").exists(), last);
    }
}

/// What was answered before a change is told as it was to be told then, and where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_recorded_as_was_configured_when_they_were_asked() {
    let server = start(lists(), None, PROGRAM).await;
    let ask = async |name: &str| drop(server.ask_from("127.0.0.9", &Ask::new(name, RrType::ANY)).await);
    ask("one.blocked.example").await;
    let other =
        "[query_log]\npath = \"other.db\"\nprivacy = \"none\"\ninstance = \"other\"\njson.to = \"queries.json\"\n";
    says(&server, None, &format!("{other}{PROGRAM}")).await;
    ask("two.blocked.example").await;
    says(&server, None, &format!("[query_log]\nenabled = false\n{PROGRAM}")).await;
    ask("three.blocked.example").await;
    says(&server, None, &format!("[query_log]\nprivacy = \"prefix\"\n{PROGRAM}")).await;
    ask("four.blocked.example").await;
    // The pages look where it is now.
    eventually("the last is shown", || async {
        let (_, page) = server.get("/api/v1/log").await;
        page.contains("four.blocked.example")
    })
    .await;
    let (_, page) = server.get("/api/v1/log").await;
    assert!(page.contains("one.blocked.example") && !page.contains("two.blocked.example"), "{page}");
    let Server { running, folder, .. } = server;
    running.stop().await;
    let told = |path: &str| {
        let rows = rows(&folder.path().join(path)).into_iter();
        rows.map(|row| format!("{} {}", row.name, row.client)).collect::<Vec<_>>()
    };
    assert_eq!(
        told("state/queries.db"),
        ["one.blocked.example 127.0.0.9", "four.blocked.example 127.0.0.0/24"].map(str::to_owned)
    );
    assert_eq!(told("other.db"), ["two.blocked.example "].map(str::to_owned));
    let lines = fs::read_to_string(folder.path().join("queries.json")).unwrap();
    assert!(
        lines.lines().count() == 1 && lines.contains("two.blocked.example") && lines.contains("\"other\""),
        "{lines}"
    );
}

/// One sink comes after the other while questions are asked all the time: each question is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_lost_when_sinks_change() {
    let server = Arc::new(start(lists(), None, PROGRAM).await);
    let stop = Arc::new(AtomicBool::new(false));
    let (own, stopping) = (server.clone(), stop.clone());
    let asking = tokio::spawn(async move {
        let mut asked = 0;
        while !stopping.load(Relaxed) {
            own.ask(BLOCKED, RrType::ANY).await;
            asked += 1;
        }
        asked
    });
    for round in 0..6 {
        // Another file, the same file by other bounds, and back.
        for log in ["path = \"other.db\"\n", "keep = \"2d\"\n", "keep = \"3d\"\njson.to = \"queries.json\"\n", ""] {
            says(&server, None, &format!("[query_log]\n{log}answers = {}\n{PROGRAM}", round % 2 == 0)).await;
        }
    }
    stop.store(true, Relaxed);
    let asked: usize = asking.await.unwrap();
    let server = Arc::into_inner(server).unwrap();
    let dropped = server.metric("cleandns_query_log", &["dropped"]).await;
    let Server { running, folder, .. } = server;
    running.stop().await;
    let count = |path: &str| rows(&folder.path().join(path)).len();
    let (first, other) = (count("state/queries.db"), count("other.db"));
    assert!(first > 0 && other > 0, "{first} {other}");
    assert_eq!((first + other, dropped), (asked, 0.0));
}

/// Whole or not at all: a place that can't be written to keeps everything else from being in force, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_had_changes_nothing() {
    let server = start(lists(), None, PROGRAM).await;
    let toml = format!("[policy]\nmode = \"shadow\"\n[query_log]\njson.to = \"nowhere/q.json\"\n{PROGRAM}");
    let refused = server.running.changing.files_say(configure(&server.folder, None, &toml)).await;
    let why = refused.unwrap_err().to_string();
    assert!(why.starts_with("query_log.json.to: ") && why.contains("its folder isn't there"), "{why}");
    assert_eq!(server.ask(BLOCKED, RrType::ANY).await.rcode, Rcode::NXDOMAIN);
    let Server { running, folder, .. } = server;
    running.stop().await;
    assert_eq!(rows(&folder.path().join("state/queries.db")).len(), 1, "what there was goes on");
}

/// A change by page or API says nothing about the files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_page_does_not_make_a_broken_file_look_well() {
    let server = start_following(lists(), None, &[], PROGRAM).await;
    let readiness = async || server.get("/readyz").await.1;
    let write = |toml: &str| {
        fs::write(server.path("cleandns.toml"), config_text(&server.folder, None, &format!("{toml}{PROGRAM}")))
            .unwrap();
    };
    write("[cache]\nsize = 1.5\n");
    eventually("the broken file is told", || async { readiness().await.contains("cache.size: expected") }).await;
    let mode = json!({ "program": "p", "mode": "shadow" }).to_string();
    let url = format!("http://{}/api/v1/modes", server.running.admin.unwrap());
    let status = tokio::task::spawn_blocking(move || {
        ureq::put(url).header("Content-Type", "application/json").send(mode).unwrap().status().as_u16()
    });
    assert_eq!(status.await.unwrap(), 200);
    assert_ne!(server.ask(BLOCKED, RrType::ANY).await.rcode, Rcode::NXDOMAIN, "the change is in force");
    let told = readiness().await;
    assert!(told.contains("degraded") && told.contains("cache.size: expected"), "{told}");
    write("");
    eventually("no complaint any more", || async { !readiness().await.contains("cache.size") }).await;
    tokio::time::timeout(Duration::from_secs(30), server.running.stop()).await.unwrap();
}
