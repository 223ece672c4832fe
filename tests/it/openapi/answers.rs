//! Every operation, done: what comes of it is what the document says.

use super::{Api, JSON, send, serve};
use crate::{
    harness::{Ask, eventually, write_list},
    internet::Internet,
};
use cleandns::dns::RrType;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is done one after the other: the operation, its path with a query, its body, and the status. `{id}` and
/// `{change}` are what the change before said; `{row}` is the last query of the log, `{version}` that of the first list.
fn examples() -> Vec<(&'static str, &'static str, Value, u16)> {
    let none = Value::Null;
    let name = json!({ "name": "shop.example", "match": "exact", "groups": ["kids"], "reason": "theirs" });
    let names =
        json!({ "names": ["cdn.shop.example"], "programs": ["strict"], "groups": ["kids"], "reason": "checkout" });
    let let_through = |confirmed| json!({ "list": "strict/block.list", "names": ["com"], "confirmed": confirmed });
    let mode = json!({ "program": "watching", "mode": "enforce", "confirmed": true });
    vec![
        ("GET /healthz", "/healthz", none.clone(), 200),
        ("GET /readyz", "/readyz", none.clone(), 200),
        ("GET /metrics", "/metrics", none.clone(), 200),
        ("GET /api/v1/openapi.json", "/api/v1/openapi.json", none.clone(), 200),
        ("GET /api/v1/overview", "/api/v1/overview", none.clone(), 200),
        ("GET /api/v1/overview/time_line", "/api/v1/overview/time_line", none.clone(), 200),
        (
            "GET /api/v1/overview/time_line",
            "/api/v1/overview/time_line?from=2026-11-28T00:00:00Z&to=2026-11-29T00:00:00Z&step=3600",
            none.clone(),
            200,
        ),
        ("GET /api/v1/overview/top", "/api/v1/overview/top?of=services", none.clone(), 200),
        ("GET /api/v1/overview/top", "/api/v1/overview/top?of=names&hours=1&limit=3", none.clone(), 200),
        ("GET /api/v1/overview/top", "/api/v1/overview/top?of=clients", none.clone(), 200),
        ("GET /api/v1/log", "/api/v1/log", none.clone(), 200),
        ("GET /api/v1/log", "/api/v1/log?limit=2&verdict=any&client=127.0.0.0/8&from=2h&type=A", none.clone(), 200),
        ("GET /api/v1/log/{row}", "/api/v1/log/{row}", none.clone(), 200),
        ("GET /api/v1/log/tail", "/api/v1/log/tail?name=.example", none.clone(), 200),
        ("GET /api/v1/explain", "/api/v1/explain?name=a.blocked.example&type=AAAA&client=127.0.0.7", none.clone(), 200),
        ("GET /api/v1/explain", "/api/v1/explain?name=www.signed.org", none.clone(), 200),
        (
            "GET /api/v1/explain",
            "/api/v1/explain?name=allowed.blocked.example&client=127.0.0.7&mac=02:00:00:00:00:01&id=x",
            none.clone(),
            200,
        ),
        ("GET /api/v1/lists", "/api/v1/lists", none.clone(), 200),
        ("GET /api/v1/lists", "/api/v1/lists?hits=true", none.clone(), 200),
        ("GET /api/v1/lists/{program}/{list}", "/api/v1/lists/strict/block.list", none.clone(), 200),
        ("GET /api/v1/lists/{program}/{list}/diff", "/api/v1/lists/strict/block.list/diff?hours=24", none.clone(), 200),
        ("GET /api/v1/programs", "/api/v1/programs", none.clone(), 200),
        ("GET /api/v1/programs", "/api/v1/programs?group=kids", none.clone(), 200),
        ("GET /api/v1/programs/{program}/preview", "/api/v1/programs/watching/preview", none.clone(), 200),
        (
            "GET /api/v1/programs/{program}/preview",
            "/api/v1/programs/watching/preview?service=seen&group=kids&mode=enforce",
            none.clone(),
            200,
        ),
        ("GET /api/v1/clients", "/api/v1/clients?hours=1", none.clone(), 200),
        ("GET /api/v1/groups", "/api/v1/groups", none.clone(), 200),
        ("GET /api/v1/setup", "/api/v1/setup", none.clone(), 200),
        ("GET /api/v1/setup/seen", "/api/v1/setup/seen", none.clone(), 200),
        ("GET /api/v1/bypass", "/api/v1/bypass", none.clone(), 200),
        ("GET /api/v1/cache", "/api/v1/cache", none.clone(), 200),
        ("GET /api/v1/session", "/api/v1/session", none.clone(), 200),
        ("POST /api/v1/pause", "/api/v1/pause?dry_run=true", json!({ "seconds": 60 }), 200),
        ("POST /api/v1/pause", "/api/v1/pause", json!({ "group": "kids", "seconds": 60, "reason": "guests" }), 200),
        ("POST /api/v1/pause", "/api/v1/pause", json!({ "until": "2020-12-24T18:00:00Z" }), 422),
        ("GET /api/v1/pause", "/api/v1/pause", none.clone(), 200),
        ("POST /api/v1/pause", "/api/v1/pause", json!({ "group": "kids", "seconds": 0 }), 200),
        ("PUT /api/v1/modes", "/api/v1/modes?dry_run=true", mode.clone(), 200),
        (
            "PUT /api/v1/modes",
            "/api/v1/modes",
            json!({ "program": "watching", "service": "seen", "mode": "enforce" }),
            409,
        ),
        ("PUT /api/v1/modes", "/api/v1/modes", mode, 200),
        ("DELETE /api/v1/modes", "/api/v1/modes", json!({ "program": "watching" }), 200),
        ("POST /api/v1/changes/{change}/undo", "/api/v1/changes/{change}/undo?dry_run=true", json!({}), 200),
        ("POST /api/v1/changes/{change}/undo", "/api/v1/changes/{change}/undo", json!({}), 409),
        ("POST /api/v1/changes/{change}/undo", "/api/v1/changes/{change}/undo", json!({ "confirmed": false }), 409),
        ("POST /api/v1/changes/{change}/undo", "/api/v1/changes/{change}/undo", json!({ "confirmed": true }), 200),
        (
            "PUT /api/v1/schedules",
            "/api/v1/schedules",
            json!({ "group": "kids", "schedule": "Mon-Fri 08:00-17:00" }),
            200,
        ),
        ("POST /api/v1/exceptions", "/api/v1/exceptions?dry_run=true", names.clone(), 200),
        ("POST /api/v1/exceptions", "/api/v1/exceptions", names, 201),
        ("PATCH /api/v1/exceptions/{id}", "/api/v1/exceptions/{id}", json!({ "until": "2098-12-31" }), 200),
        ("GET /api/v1/exceptions", "/api/v1/exceptions", none.clone(), 200),
        ("DELETE /api/v1/exceptions/{id}", "/api/v1/exceptions/{id}", none.clone(), 200),
        (
            "POST /api/v1/blocks",
            "/api/v1/blocks",
            json!({ "name": "=allowed.blocked.example", "groups": ["kids"] }),
            409,
        ),
        ("POST /api/v1/blocks", "/api/v1/blocks", name, 201),
        ("PATCH /api/v1/blocks/{id}", "/api/v1/blocks/{id}", json!({ "until": "2098-12-31", "reason": "" }), 200),
        ("GET /api/v1/blocks", "/api/v1/blocks", none.clone(), 200),
        ("GET /api/v1/overlay", "/api/v1/overlay", none.clone(), 200),
        ("DELETE /api/v1/blocks/{id}", "/api/v1/blocks/{id}", none.clone(), 200),
        ("GET /api/v1/overview", "/api/v1/overview", none.clone(), 200),
        ("POST /api/v1/cache/flush", "/api/v1/cache/flush?dry_run=true", json!({}), 200),
        ("POST /api/v1/cache/flush", "/api/v1/cache/flush", json!({ "name": "signed.org", "subtree": true }), 200),
        ("POST /api/v1/lists/update", "/api/v1/lists/update?dry_run=true", json!({}), 200),
        ("POST /api/v1/lists/update", "/api/v1/lists/update", json!({}), 200),
        (
            "GET /api/v1/lists/{program}/{list}/held",
            "/api/v1/lists/strict/block.list/held?names=com",
            none.clone(),
            200,
        ),
        ("POST /api/v1/let-through", "/api/v1/let-through", let_through(false), 409),
        ("POST /api/v1/let-through", "/api/v1/let-through", let_through(true), 201),
        ("GET /api/v1/let-through", "/api/v1/let-through", none.clone(), 200),
        ("GET /api/v1/lists/{program}/{list}", "/api/v1/lists/strict/block.list", none.clone(), 200),
        ("DELETE /api/v1/let-through/{id}", "/api/v1/let-through/{id}", none.clone(), 200),
        (
            "POST /api/v1/lists/rollback",
            "/api/v1/lists/rollback?dry_run=true",
            json!({ "list": "strict/block.list", "version": "{version}" }),
            200,
        ),
        (
            "POST /api/v1/lists/rollback",
            "/api/v1/lists/rollback",
            json!({ "list": "strict/block.list", "version": "{version}", "reason": "tried" }),
            200,
        ),
        ("GET /api/v1/lists/{program}/{list}", "/api/v1/lists/strict/block.list", none.clone(), 200),
        ("POST /api/v1/lists/release", "/api/v1/lists/release", json!({ "list": "strict/block.list" }), 200),
        ("GET /api/v1/changes", "/api/v1/changes", none.clone(), 200),
        ("GET /api/v1/changes", "/api/v1/changes?before=3", none.clone(), 200),
        ("DELETE /api/v1/session", "/api/v1/session", none, 204),
    ]
}

/// Operations that another test does, where there are tokens.
const ELSEWHERE: [&str; 1] = ["POST /api/v1/session"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_answers_as_it_says() {
    let internet = Internet::start().await;
    let server = serve(Some(&internet), "").await;
    let api = Api::of(&server, "").await;
    for (client, name, rr_type) in [
        ("127.0.0.1", "a.blocked.example", RrType::AAAA),
        ("127.0.0.7", "watched.example", RrType::A),
        ("127.0.0.1", "watched.example", RrType::A),
        ("127.0.0.1", "pass.blocked.example", RrType::HTTPS),
        ("127.0.0.7", "allowed.blocked.example", RrType::A),
        ("127.0.0.1", "use-application-dns.net", RrType::A),
        ("127.0.0.1", "localhost", RrType::A),
        ("127.0.0.1", "www.signed.org", RrType::A),
        ("127.0.0.1", "alias.signed.org", RrType::A),
    ] {
        server.ask_from(client, &Ask::new(name, rr_type)).await;
    }
    eventually("all recorded", || async { server.json("/api/v1/log").await["rows"].as_array().unwrap().len() >= 9 })
        .await;
    // The list gets another text, to be compared with the one it had.
    write_list(&server.path("block.list"), &["#: title: Shops", "blocked.example", "@pass.blocked.example", "com"]);
    server.post("/api/v1/lists/update", "{}").await;
    let versions = async || server.json("/api/v1/lists/strict/block.list").await["versions"].clone();
    eventually("two versions", || async { versions().await.as_array().unwrap().len() == 2 }).await;
    let mut done = BTreeSet::new();
    let (mut id, mut change) = (String::new(), String::new());
    for (place, path, body, status) in examples() {
        let (method, described) = place.split_once(' ').unwrap();
        let row = match path.contains("{row}") {
            true => server.json("/api/v1/log?verdict=blocked").await["rows"][0]["id"].to_string(),
            false => String::new(),
        };
        let version = match path.starts_with("/api/v1/lists/") {
            true => server.json("/api/v1/lists/strict/block.list").await["version"].clone(),
            false => Value::Null,
        };
        let version = version.as_str().unwrap_or_default();
        let path =
            path.replace("{version}", version).replace("{id}", &id).replace("{change}", &change).replace("{row}", &row);
        let line = format!("{method} {path}");
        let body = if body.is_null() { String::new() } else { body.to_string().replace("{version}", version) };
        let response = send(&server, &line, JSON, &body).await;
        assert_eq!(response.status, status, "{line} {body}: {}", response.body);
        api.check(api.operation(method, described), &line, &response);
        let told: Value = serde_json::from_str(&response.body).unwrap_or_default();
        if let Some(own) = told["id"].as_str() {
            id = own.to_owned();
        }
        if let Some(own) = told["change"].as_u64() {
            change = own.to_string();
        }
        if path.contains("dry_run") {
            assert!(told.get("change").is_none(), "{line}: {told}");
        }
        if status < 300 {
            done.insert(place);
        }
    }
    let all: BTreeSet<String> =
        api.operations().map(|own| format!("{} {}", own.method.to_uppercase(), own.path)).collect();
    let left: Vec<&String> =
        all.iter().filter(|own| !done.contains(own.as_str()) && !ELSEWHERE.contains(&own.as_str())).collect();
    assert!(left.is_empty(), "write examples of these: {left:?}");
    server.running.stop().await;
}

/// What is tried is told, and nothing is another than before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_changes_nothing() {
    let internet = Internet::start().await;
    let server = serve(Some(&internet), "").await;
    server.ask("www.signed.org", RrType::A).await;
    eventually("it is kept, and counted", || async {
        let cache = server.json("/api/v1/cache").await;
        ["entries", "misses"].iter().all(|count| cache[count].as_u64() > Some(0))
    })
    .await;
    let state = async || {
        let parts = ["cache", "pause", "overlay", "changes", "lists"].map(|part| format!("/api/v1/{part}"));
        let mut all = Vec::new();
        for path in parts {
            all.push(server.get(&path).await);
        }
        all
    };
    let before = state().await;
    let tried = async |path: &str, body: &str| -> Value {
        let (status, told) = server.post(&format!("/api/v1/{path}?dry_run=true"), body).await;
        assert_eq!(status, 200, "{path}: {told}");
        serde_json::from_str(&told).unwrap()
    };
    assert!(tried("cache/flush", "{}").await["answers"].as_u64() > Some(0));
    assert_eq!(tried("cache/flush", r#"{ "name": "nobody.example" }"#).await["answers"], 0);
    assert_eq!(tried("lists/update", "{}").await, json!({ "begun": false }));
    let told = tried("pause", r#"{ "group": "kids", "seconds": 60, "reason": "guests" }"#).await;
    assert_eq!(
        (&told["pauses"][0]["group"], &told["pauses"][0]["reason"]),
        (&json!("kids"), &json!("guests")),
        "{told}"
    );
    assert_eq!(tried("pause", r#"{ "seconds": 0 }"#).await["pauses"], json!([]));
    tried("exceptions", r#"{ "names": ["a.example"] }"#).await;
    tried("blocks", r#"{ "name": "a.example" }"#).await;
    let now = |part: &(u16, String)| {
        let mut body: Value = serde_json::from_str(&part.1).unwrap_or_default();
        // The time goes on.
        body.as_object_mut().map(|body| body.remove("now"));
        (part.0, body)
    };
    let after = state().await;
    assert_eq!(before.iter().map(now).collect::<Vec<_>>(), after.iter().map(now).collect::<Vec<_>>());
    server.running.stop().await;
}
