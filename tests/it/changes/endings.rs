//! How changes end: whoever hangs up meanwhile, what came to nothing, and what is put aside.

use super::{audit, done, file, is_blocked, lists, refused, send, serve};
use crate::harness::{configure, eventually, start, start_as_configured};
use serde_json::{Value, json};
use std::fs;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Between being written and being in force a change waits for nobody who could go away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_made_to_its_end_though_who_asked_hangs_up() {
    let server = serve("").await;
    for round in 0..20 {
        let mode = if round % 2 == 0 { "off" } else { "shadow" };
        let body = json!({ "program": "strict", "mode": mode }).to_string();
        let length = body.len();
        let text = format!(
            "PUT /api/v1/modes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        // As soon as it is written, and before it can be in force.
        let written = format!("\"strict\" = \"{mode}\"\n");
        while !file(&server).contains(&written) {
            tokio::task::yield_now().await;
        }
        drop(stream);
        eventually("the change is in force", async || {
            let programs = server.json("/api/v1/programs").await;
            programs["programs"][0]["mode"]["mode"] == mode
        })
        .await;
        assert_eq!(audit(&server).last().unwrap()["after"], mode, "{round}");
    }
    server.running.stop().await;
}

/// What was taken back at once can't be taken back again, and what was refused was never there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_nothing_cannot_be_undone() {
    let folder = lists();
    fs::create_dir(folder.path().join("state")).unwrap();
    let line = |change: u64, outcome: &str| {
        json!({
            "change": change, "time": "2026-11-28T21:20:55Z", "who": "anna", "role": "operator", "by": "page", "from": null,
            "what": "mode", "key": "modes/everybody/strict", "before": "off", "after": null, "undoes": 1, "policy": 1,
            "outcome": outcome
        })
    };
    let lines = format!("{}\n{}\n", line(1, "failed"), line(2, "refused"));
    fs::write(folder.path().join("state/audit.jsonl"), lines).unwrap();
    let server = start(folder, None, super::PROGRAMS).await;
    for (change, why) in [(1, "change 1 came to nothing"), (2, "change 2 was refused")] {
        let (status, kind, told) = refused(&server, &format!("POST /api/v1/changes/{change}/undo"), json!({})).await;
        assert_eq!((status, kind.as_str()), (422, "invalid"), "{told}");
        assert!(told["detail"].as_str().unwrap().starts_with(why), "{told}");
    }
    assert!(is_blocked(&server, "blocked.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_file_put_aside_can_be_undone() {
    let folder = lists();
    fs::create_dir(folder.path().join("state")).unwrap();
    let line = |change: u64| {
        json!({
            "change": change, "time": "2026-11-28T21:20:55Z", "who": "anna", "role": "operator", "by": "page", "from": null,
            "what": "mode", "key": "modes/everybody/strict", "before": null, "after": "shadow", "undoes": null,
            "policy": 1, "outcome": "done"
        })
    };
    let flush = |change: u64| {
        json!({ "what": "flush", "key": "cache", "after": { "subtree": true } }).as_object().map(|own| {
            let mut whole = line(change).as_object().unwrap().clone();
            whole.extend(own.clone());
            format!("{}\n", Value::Object(whole))
        })
    };
    // Far more than are at hand follow on it.
    let after: String = (2..1000).filter_map(flush).collect();
    fs::write(folder.path().join("state/audit.jsonl.2"), format!("{}\n", line(1))).unwrap();
    fs::write(folder.path().join("state/audit.jsonl"), after).unwrap();
    fs::write(folder.path().join("state/overlay.toml"), "[modes.everybody]\nstrict = \"shadow\"\n").unwrap();
    let server = start(folder, None, super::PROGRAMS).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    let (status, told) = send(&server, "POST /api/v1/changes/1/undo?confirmed=true", "", Some(&json!({}))).await;
    assert_eq!((status, &told["change"]), (200, &json!(1000)), "{told}");
    assert!(is_blocked(&server, "blocked.example").await);
    server.running.stop().await;
}

/// A file that was damaged, or edited badly, while nobody ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_at_the_start_is_told_and_the_last_good_one_serves() {
    let server = serve("").await;
    done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    server.running.stop().await;
    let mut folder = server.folder;
    for bad in ["\0\0\0\0\0\0", "[modes.everybody]\nstrict = \"of\"\n", "[[block]]\nid = \"b1\"\n"] {
        fs::write(folder.path().join("state/overlay.toml"), bad).unwrap();
        let config = configure(&folder, None, super::PROGRAMS);
        let server = start_as_configured(folder, config).await;
        assert!(!is_blocked(&server, "blocked.example").await, "{bad:?}");
        let (status, ready) = server.get("/readyz").await;
        assert!(status == 200 && ready.contains("overlay.last-good.toml") && ready.contains("degraded"), "{ready}");
        let body = json!({ "program": "strict", "mode": "off" });
        assert_eq!(refused(&server, "PUT /api/v1/modes", body).await.0, 409, "what is there is not overwritten");
        // Deleted, everything is undone, at once and from then on.
        if bad.starts_with("[[block") {
            fs::remove_file(server.path("state/overlay.toml")).unwrap();
            eventually("all is undone", async || is_blocked(&server, "blocked.example").await).await;
            eventually("its copy too", async || !server.path("state/overlay.last-good.toml").exists()).await;
        }
        server.running.stop().await;
        folder = server.folder;
    }
}
