//! Pauses: everything in shadow until a time, for everybody or one group.

use super::{ask, assert_counted, explain, ours, program, reason, serve};
use crate::{
    harness::{Ask, Server, start},
    internet::Internet,
};
use cleandns::dns::RrType;
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;

const GROUP: &str = "[[group]]\nname = \"kids\"\nclients = [\"127.0.0.8/29\"]\n";

/// Whether clients of nobody's group, and those of the one group, find the name blocked.
async fn blocked(server: &Server) -> (bool, bool) {
    let ask = Ask::new("www.signed.org", RrType::A);
    let of = async |client: &str| server.ask_from(client, &ask).await.ede_code() == 15;
    (of("127.0.0.1").await, of("127.0.0.8").await)
}

async fn pause(server: &Server, group: Option<&str>, seconds: u64) -> (u16, String) {
    let body = match group {
        None => json!({ "seconds": seconds }),
        Some(group) => json!({ "seconds": seconds, "group": group }),
    };
    server.post("/api/v1/pause", &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_for_all_or_one_group_and_ends_by_itself() {
    let internet = Internet::start().await;
    let toml = program("mine", "") + GROUP;
    let server = serve(Some(&internet), &[("mine.list", &ours(&["signed.org"]))], &toml).await;
    let now = server.clock.load(Relaxed);
    assert_eq!(blocked(&server).await, (true, true));
    assert_eq!(server.json("/api/v1/pause").await["pauses"], json!([]));

    assert_eq!(pause(&server, None, 600).await.0, 200);
    assert_eq!(blocked(&server).await, (false, false));
    let (_, ready) = server.get("/readyz").await;
    assert!(ready.contains("paused: nothing is blocked for everybody until 20"), "{ready}");
    let explained = explain(&server, "www.signed.org A", "").await;
    assert!(explained["paused"].as_str().unwrap().contains("another 10 minutes"), "{explained}");
    assert!(explained["summary"].as_str().unwrap().contains("were there no pause"), "{explained}");
    assert_counted(&server, "cleandns_would_block_total", &["program=\"mine\""], 2).await;
    let view = server.json("/api/v1/pause").await;
    assert_eq!(
        (&view["now"], &view["pauses"]),
        (&json!(now), &json!([{ "group": null, "until": now + 600, "who": "local" }]))
    );
    server.clock.store(now + 599, Relaxed);
    assert_eq!(blocked(&server).await, (false, false));
    server.clock.store(now + 600, Relaxed);
    assert_eq!(blocked(&server).await, (true, true));
    assert_eq!(server.json("/api/v1/pause").await["pauses"], json!([]));

    for (group, expected) in [("kids", (true, false)), ("default", (false, true))] {
        assert_eq!(pause(&server, Some(group), 60).await.0, 200);
        assert_eq!(blocked(&server).await, expected, "{group}");
        assert_eq!(pause(&server, Some(group), 0).await.0, 200);
        assert_eq!(blocked(&server).await, (true, true), "{group}");
    }
    for (body, expected) in [
        (r#"{"seconds": 60, "group": "nobody"}"#, 422),
        (r#"{"seconds": 9999999999999999999}"#, 422),
        (r#"{"seconds": 18446744073709551615}"#, 422),
        (r#"{"seconds": 31536000}"#, 422),
        (r#"{"seconds": -1}"#, 422),
        ("{}", 422),
        (r#"{"seconds": 60, "until": "2999-01-01T00:00:00Z"}"#, 422),
        (r#"{"until": "2001-01-01T00:00:00Z"}"#, 422),
        (r#"{"until": "2999-01-01T00:00:00Z"}"#, 422),
        (r#"{"until": "soon"}"#, 422),
        (r#"{"seconds": 60, "other": 1}"#, 422),
        ("nonsense", 400),
    ] {
        let (status, said) = server.post("/api/v1/pause", body).await;
        assert_eq!(status, expected, "{body}: {said}");
    }
    assert_eq!(blocked(&server).await, (true, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_outlives_a_restart_and_a_reload() {
    let internet = Internet::start().await;
    let toml = program("mine", "") + GROUP;
    let list = ours(&["signed.org"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &toml).await;
    let now = server.clock.load(Relaxed);
    assert_eq!(pause(&server, Some("kids"), 86_400).await.0, 200);
    assert_eq!(blocked(&server).await, (true, false));
    let Server { running, folder, .. } = server;
    running.stop().await;
    let server = start(folder, Some(&internet), &toml).await;
    server.clock.store(now + 86_399, Relaxed);
    assert_eq!(blocked(&server).await, (true, false));
    std::fs::write(server.path("mine.list"), ours(&["signed.org", "target.org"])).unwrap();
    crate::harness::eventually("a reload", || async { !reason(&ask(&server, "www.target.org A").await).is_empty() })
        .await;
    assert_eq!(blocked(&server).await, (true, false));
    server.clock.store(now + 86_400, Relaxed);
    assert_eq!(blocked(&server).await, (true, true));
}
