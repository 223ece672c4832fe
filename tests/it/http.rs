//! The HTTP side: health, metrics, explanations, lists, and who is heard.

use crate::{
    exposition,
    harness::{Server, eventually, folder, start, write_list},
};
use cleandns::dns::RrType;
use std::fs;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Program, service and list with names that need escaping where they become labels.
const PROGRAM: &str = r#"
[[program]]
name = "p"
lists = [{ path = "a.list", service = "s" }, { path = "b.list", name = 'a "b" \ c' }]
"#;

async fn serve(toml: &str) -> Server {
    let folder = folder();
    write_list(&folder.path().join("a.list"), &["a.example", "@pass.a.example # not this", "two words"]);
    write_list(&folder.path().join("b.list"), &["#: service: t", "#: title: The list b", "b.example"]);
    fs::write(folder.path().join("token"), "s3cret-of-the-owner\n").unwrap();
    start(folder, None, &format!("{toml}{PROGRAM}")).await
}

/// A request written by hand: status and whole response.
async fn request(server: &Server, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    let text = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health() {
    let server = serve("").await;
    assert_eq!(server.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = server.get("/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    // Nobody can be reached in this test, which may have been noticed already.
    assert!(body["status"] == "ready" || body["reasons"][0].as_str().unwrap().contains("port 53"), "{body}");
    assert!(body["reasons"].is_array());
    assert_eq!(server.get("/nothing/here").await.0, 404);
    assert!(server.get("/").await.1.starts_with("<!doctype html>"));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_well_formed_and_complete() {
    let server = serve("").await;
    for name in ["a.example", "x.a.example", "pass.a.example", "b.example", "localhost"] {
        server.ask(name, RrType::ANY).await;
    }
    // Counted after the answer went out.
    eventually("all counted", || async { server.metric("cleandns_queries_total", &[]).await >= 5.0 }).await;
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, 200);
    exposition::read(&text).unwrap();
    for name in [
        "cleandns_queries_total",
        "cleandns_packets_dropped_total",
        "cleandns_query_duration_seconds_bucket",
        "cleandns_query_duration_seconds_sum",
        "cleandns_query_duration_seconds_count",
        "cleandns_blocked_total",
        "cleandns_would_block_total",
        "cleandns_excepted_total",
        "cleandns_upstream_questions_total",
        "cleandns_upstream_answers_total",
        "cleandns_policy_epoch",
        "cleandns_policy_age_seconds",
        "cleandns_policy_rules",
        "cleandns_policy_bytes",
        "cleandns_ready",
        "cleandns_reloads_total",
        "cleandns_list_rules",
        "cleandns_list_skipped_lines",
        "cleandns_list_healthy",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "no {name} in\n{text}");
    }
    for line in [
        r#"cleandns_queries_total{transport="udp",rcode="NXDOMAIN"} 3"#,
        r#"cleandns_blocked_total{program="p",service="s",list="a.list",trigger="qname"} 2"#,
        r#"cleandns_blocked_total{program="p",service="t",list="a \"b\" \\ c",trigger="qname"} 1"#,
        r#"cleandns_excepted_total{program="p",service="s",list="a.list",trigger="qname"} 1"#,
        r#"cleandns_list_rules{program="p",service="s",list="a.list",mode="enforce"} 2"#,
        r#"cleandns_list_skipped_lines{program="p",service="s",list="a.list",mode="enforce"} 1"#,
        r#"cleandns_list_healthy{program="p",service="t",list="a \"b\" \\ c",mode="enforce"} 1"#,
        "cleandns_policy_rules 3",
        "cleandns_ready 1",
    ] {
        assert!(text.lines().any(|own| own == line), "no `{line}` in\n{text}");
    }
    // Counts go on over a reload.
    let epoch = server.metric("cleandns_policy_epoch", &[]).await;
    write_list(&server.path("a.list"), &["a.example", "c.example"]);
    eventually("a reload", || async { server.metric("cleandns_policy_epoch", &[]).await > epoch }).await;
    assert_eq!(server.metric("cleandns_blocked_total", &["\"a.list\""]).await, 2.0);
    exposition::read(&server.get("/metrics").await.1).unwrap();
    server.running.stop().await;
}

/// Two lists of one program whose files have the same name in different folders are two series, not one twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_lists_of_the_same_name_apart() {
    let folder = folder();
    for part in ["x", "y"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        write_list(&folder.path().join(part).join("a.list"), &[&format!("{part}.example")]);
    }
    let toml = "[[program]]\nname = \"p\"\nlists = [{ path = \"x\" }, { path = \"y\" }]\n";
    let server = start(folder, None, toml).await;
    exposition::read(&server.get("/metrics").await.1).unwrap();
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explanations() {
    let server = serve("").await;
    let (status, body) = server.get("/api/v1/explain?name=x.a.example&type=AAAA&client=192.0.2.1").await;
    let explained: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, explained["action"].as_str()), (200, Some("block")), "{body}");
    assert_eq!(explained["admitted"], false, "{body}");
    let rule = &explained["verdicts"][0]["rule"];
    let field = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((field("program"), field("service"), field("list")), ("p".into(), "s".into(), "a.list".into()));
    assert_eq!((rule["line"].as_u64(), field("text")), (Some(2), "a.example".into()));
    assert_eq!((field("trigger"), field("matched")), ("qname".into(), "x.a.example".into()));
    assert_eq!(explained["chain"][0][0], "x.a.example");
    assert!(explained["answer"].is_null());
    // An exception is explained by the line that passes it, and the block it beat is shown.
    let (_, body) = server.get("/api/v1/explain?name=pass.a.example").await;
    let explained: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(explained["action"], "pass", "{body}");
    assert_eq!(explained["verdicts"][0]["outcome"], "except", "{body}");
    assert_eq!(explained["verdicts"][0]["rule"]["text"], "@pass.a.example # not this", "{body}");
    assert_eq!(explained["considered"].as_array().unwrap().len(), 2, "{body}");
    for bad in [
        "/api/v1/explain",
        "/api/v1/explain?name=a..example",
        "/api/v1/explain?name=a.example&type=NONSENSE",
        "/api/v1/explain?name=a.example&client=localhost",
        &format!("/api/v1/explain?name={}.example", "x".repeat(64)),
    ] {
        let (status, body) = server.get(bad).await;
        assert_eq!(status, 400, "{bad}: {body}");
        assert!(!body.is_empty(), "{bad}");
    }
    // Looking is not asking: nothing was counted.
    assert_eq!(server.metric("cleandns_blocked_total", &[]).await, 0.0);
    server.running.stop().await;
}

/// The name that DNS can't carry is shown escaped, never raw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists() {
    let server = serve("").await;
    let (status, body) = server.get("/api/v1/lists").await;
    let view: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, view["epoch"].as_u64()), (200, Some(1)), "{body}");
    let lists = view["lists"].as_array().unwrap();
    assert_eq!(lists.len(), 2, "{body}");
    let a = &lists[0];
    assert_eq!(a["path"].as_str(), server.path("a.list").to_str());
    assert_eq!(
        (a["service"].as_str(), a["mode"].as_str(), a["format"].as_str()),
        (Some("s"), Some("enforce"), Some("ours"))
    );
    assert_eq!(
        (a["rules"].as_u64(), a["exceptions"].as_u64(), a["skipped_count"].as_u64()),
        (Some(2), Some(1), Some(1))
    );
    assert_eq!(a["skipped"][0][0], 4, "{body}");
    assert!(a["trouble"].is_null());
    assert_eq!(lists[1]["header"][1], serde_json::json!(["title", "The list b"]));
    server.running.stop().await;
}

/// A page in somebody's browser reaches loopback by a name of its own making (DNS rebinding).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_names_an_address_is_heard() {
    let server = serve("").await;
    let port = server.running.admin.unwrap().port();
    for path in ["/", "/metrics", "/api/v1/lists", "/api/v1/explain?name=a.example"] {
        for (host, expected) in [
            (format!("127.0.0.1:{port}"), 200),
            (format!("localhost:{port}"), 200),
            (format!("[::1]:{port}"), 200),
            ("evil.example".to_owned(), 421),
            (format!("evil.example:{port}"), 421),
            (format!("localhost.evil.example:{port}"), 421),
            (format!("127.0.0.1.evil.example:{port}"), 421),
            (String::new(), 421),
        ] {
            let (status, response) = request(&server, path, &format!("Host: {host}\r\n")).await;
            assert_eq!(status, expected, "{path} at `{host}`: {response}");
            assert!(expected == 200 || !response.contains("a.example"), "{response}");
        }
    }
    assert_eq!(request(&server, "/healthz", "Host: any.name\r\n").await.0, 200);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for() {
    let server = serve("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n").await;
    for path in ["/", "/metrics", "/api/v1/lists", "/api/v1/explain?name=a.example"] {
        for (header, expected) in [
            ("", 401),
            ("Authorization: Bearer s3cret-of-the-owner\r\n", 200),
            ("Authorization: bearer s3cret-of-the-owner\r\n", 200),
            ("Authorization: Bearer s3cret-of-the-owne\r\n", 401),
            ("Authorization: Bearer s3cret-of-the-owners\r\n", 401),
            ("Authorization: Bearer \r\n", 401),
            ("Authorization: Basic s3cret-of-the-owner\r\n", 401),
            ("Authorization: s3cret-of-the-owner\r\n", 401),
        ] {
            let (status, response) = request(&server, path, &format!("Host: 127.0.0.1\r\n{header}")).await;
            assert_eq!(status, expected, "{path} with `{header}`: {response}");
            assert!(!response.contains("s3cret-of-the-owner"), "{response}");
        }
        // After five that are wrong one waits.
        server.clock.fetch_add(300, std::sync::atomic::Ordering::Relaxed);
    }
    // Whoever restarts or routes around a server needs no secret, and learns none.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(request(&server, path, "Host: 127.0.0.1\r\n").await.0, 200, "{path}");
    }
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_reading_is_possible() {
    let server = serve("").await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
        let text = format!(
            "{method} /api/v1/lists HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 405"), "{method}: {response}");
    }
    server.running.stop().await;
}
