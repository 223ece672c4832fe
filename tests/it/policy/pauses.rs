//! Pauses: everything in shadow until a time, for everybody, one group or one client.

use super::{ask, assert_counted, explain, ours, program, reason, serve};
use crate::{
    changes::forms::{browse, csrf, page},
    harness::{Ask, Server, eventually, start},
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

/// Over the API and by the page, where the client is chosen from those that were seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_for_one_client() {
    let internet = Internet::start().await;
    let toml = program("mine", "") + GROUP;
    let server = serve(Some(&internet), &[("mine.list", &ours(&["signed.org"]))], &toml).await;
    let ask = Ask::new("www.signed.org", RrType::A);
    let blocked = async || {
        let mut all = Vec::new();
        for client in ["127.0.0.1", "127.0.0.8", "127.0.0.9"] {
            all.push(server.ask_from(client, &ask).await.ede_code() == 15);
        }
        all
    };
    let post = async |body: &str| server.post("/api/v1/pause", body).await;
    for (client, expected) in
        [("127.0.0.8", [true, false, true]), ("127.0.0.8/31", [true, false, false]), ("127.0.0.1", [false, true, true])]
    {
        let (status, told) = post(&json!({ "client": client, "seconds": 300 }).to_string()).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(blocked().await, expected, "{client}");
        let pauses = server.json("/api/v1/pause").await["pauses"].clone();
        assert_eq!((&pauses[0]["client"], &pauses[0]["group"]), (&json!(client), &json!(null)), "{pauses}");
        let (_, ready) = server.get("/readyz").await;
        assert!(ready.contains(&format!("nothing is blocked for client {client} until")), "{ready}");
        let changes = server.json("/api/v1/changes").await["changes"][0]["summary"].clone();
        assert!(changes.as_str().unwrap().starts_with(&format!("paused client {client} until")), "{changes}");
        assert_eq!(post(&json!({ "client": client, "seconds": 0 }).to_string()).await.0, 200);
        assert_eq!(blocked().await, [true; 3], "{client}");
    }
    for body in [
        r#"{"client": "nobody", "seconds": 60}"#,
        r#"{"client": "id:laptop", "seconds": 60}"#,
        r#"{"client": "127.0.0.8", "group": "kids", "seconds": 60}"#,
    ] {
        let (status, told) = post(body).await;
        assert!(status == 422 && told.contains("client"), "{body}: {status} {told}");
    }
    let explained = explain(&server, "www.signed.org A", "&client=127.0.0.8").await;
    assert!(explained["paused"].is_null(), "{explained}");
    post(r#"{"client": "127.0.0.8", "seconds": 600}"#).await;
    let explained = explain(&server, "www.signed.org A", "&client=127.0.0.8").await;
    assert!(explained["paused"].as_str().unwrap().contains("another 10 minutes"), "{explained}");
    post(r#"{"client": "127.0.0.8", "seconds": 0}"#).await;
    // By the page.
    eventually("clients were seen", || async { !server.json("/api/v1/clients").await["clients"][0].is_null() }).await;
    let shown = page(&server, "/clients").await;
    assert!(shown.contains("href=\"/clients?pause=127.0.0.8#pause\""), "{shown}");
    let chosen = page(&server, "/clients?pause=127.0.0.8").await;
    assert!(chosen.contains("name=\"client\" value=\"127.0.0.8\""), "{chosen}");
    let form = |rest: &str| format!("csrf={}&back=%2Fclients&client=127.0.0.8&{rest}", csrf(&chosen));
    let (status, _) = browse(&server, "POST /do/pause", &form("seconds=1800")).await;
    assert!(status.starts_with("303 /clients?done="), "{status}");
    assert_eq!(blocked().await, [true, false, true]);
    let shown = page(&server, "/clients").await;
    assert!(shown.contains("Nothing is blocked for client 127.0.0.8 for another 30 minutes"), "{shown}");
    let (status, body) = browse(&server, "POST /do/pause", &form("until=soon")).await;
    assert!(
        status.starts_with("422") && body.contains("is no time; write a day") && body.contains("127.0.0.8"),
        "{status}"
    );
    assert!(body.contains("<h1>Clients</h1>"), "{body}");
    let (status, _) = browse(&server, "POST /do/pause", &form("seconds=0")).await;
    assert!(status.starts_with("303 /clients?done="), "{status}");
    assert_eq!(blocked().await, [true; 3]);
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
    eventually("a reload", || async { !reason(&ask(&server, "www.target.org A").await).is_empty() }).await;
    assert_eq!(blocked(&server).await, (true, false));
    server.clock.store(now + 86_400, Relaxed);
    assert_eq!(blocked(&server).await, (true, true));
}
