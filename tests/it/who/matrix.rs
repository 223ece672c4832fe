//! Every route of the source, by everybody.

use super::{Browser, FORM, HOST, JSON, SAME, send, serve};
use crate::{
    harness::Server,
    pages::{Response, request},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering::Relaxed,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// What is there for those who aren't known.
const TO_SIGN_IN: [(&str, &str); 3] = [("GET", "/sign-in"), ("POST", "/do/sign-in"), ("POST", "/api/v1/session")];
/// What a reader may send.
const TO_SIGN_OUT: [(&str, &str); 2] = [("POST", "/do/sign-out"), ("DELETE", "/api/v1/session")];

/// Method and path of every guarded route, as the source has them.
fn routes() -> Vec<(&'static str, String)> {
    let mut routes = Vec::new();
    for (method, path) in crate::routes::of_source() {
        // Who restarts servers needs no secret.
        if ["/healthz", "/readyz"].contains(&path.as_str()) {
            continue;
        }
        let path = path.replace("{program}", "strict").replace("{list}", "block.list");
        let path =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/");
        routes.push((method, path));
    }
    routes
}

/// Everything but the sign-in pages, each to be asked by everybody.
fn guarded() -> impl Iterator<Item = (&'static str, String)> {
    routes().into_iter().filter(|(method, path)| !TO_SIGN_IN.contains(&(method, path.as_str())))
}

fn is_of_api(path: &str) -> bool {
    path.starts_with("/api/")
}

#[test]
fn the_routes_are_found() {
    let routes: BTreeSet<String> = routes().iter().map(|(method, path)| format!("{method} {path}")).collect();
    for expected in [
        "GET /",
        "GET /metrics",
        "POST /api/v1/pause",
        "GET /api/v1/pause",
        "POST /do/pause",
        "GET /lists/strict/block.list",
        "DELETE /api/v1/session",
        "PUT /api/v1/modes",
        "PATCH /api/v1/exceptions/1",
        "GET /api/v1/lists/strict/block.list/diff",
        "POST /api/v1/lists/rollback",
        "POST /do/release",
    ] {
        assert!(routes.contains(expected), "{routes:?}");
    }
    assert!(routes.len() > 25, "{routes:?}");
}

/// The response to a request that may be let in; of one that goes on for as long as somebody reads, its status alone.
async fn answer(server: &Server, line: &str, headers: &str, body: &str) -> Response {
    if !line.ends_with("/tail") {
        return send(server, line, headers, body).await;
    }
    let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    stream.write_all(format!("{line} HTTP/1.1\r\n{HOST}{headers}\r\n").as_bytes()).await.unwrap();
    let mut first = String::new();
    BufReader::new(stream).read_line(&mut first).await.unwrap();
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, headers: BTreeMap::new(), body: String::new() }
}

/// Programs: they show a token, or none, and send JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_by_programs() {
    let server = serve("").await;
    for (method, path) in guarded() {
        let line = format!("{method} {path}");
        // Five wrong tokens in five minutes are looked at.
        server.clock.fetch_add(300, Relaxed);
        let status = async |header: &str| answer(&server, &line, &format!("{header}{JSON}"), "{}").await.status;
        let is_read = method == "GET";
        let is_own = TO_SIGN_OUT.contains(&(method, path.as_str()));
        for (header, expected) in [
            ("", Some(401)),
            ("Authorization: Bearer other\r\n", Some(401)),
            ("Authorization: Bearer \r\n", Some(401)),
            ("Authorization: Basic bDAwazpzM2NyZXQ=\r\n", Some(401)),
            ("Authorization: Bearer l00k-and-no-more\r\n", (!is_read && !is_own).then_some(403)),
            ("Authorization: Bearer s3cret-of-the-owner\r\n", None),
        ] {
            let status = status(header).await;
            match expected {
                Some(expected) => assert_eq!(status, expected, "{line} with `{header}`"),
                None => assert!(![401, 403, 421, 500].contains(&status), "{line} with `{header}`: {status}"),
            }
        }
        if !is_read {
            let headers = "Authorization: Bearer s3cret-of-the-owner\r\nContent-Type: text/plain\r\n";
            assert_eq!(send(&server, &line, headers, "{}").await.status, 415, "{line}: pages can send that");
        }
        let name =
            format!("Host: evil.example\r\nAuthorization: Bearer s3cret-of-the-owner\r\n{JSON}Content-Length: 2\r\n");
        assert_eq!(request(&server, &line, &name, "{}").await.status, 421, "{line}");
        let none = format!("Authorization: Bearer s3cret-of-the-owner\r\n{JSON}Content-Length: 2\r\n");
        assert_eq!(request(&server, &line, &none, "{}").await.status, 400, "{line} without Host");
    }
    server.running.stop().await;
}

/// Browsers: they have a session, or none, and send forms and JSON with the page's token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_by_browsers() {
    let server = serve("").await;
    for (method, path) in guarded() {
        let line = format!("{method} {path}");
        let is_read = method == "GET";
        let is_own = TO_SIGN_OUT.contains(&(method, path.as_str()));
        check_nobody(&server, &line, &path).await;
        for (token, may_change) in [("l00k-and-no-more", false), ("s3cret-of-the-owner", true)] {
            let browser = Browser::new(&server, "", token).await;
            let kind = if is_of_api(&path) { JSON } else { FORM };
            let shown = format!("{}{kind}X-CSRF-Token: {}\r\n", browser.headers(), browser.csrf);
            let body = if is_of_api(&path) { "{}" } else { "" };
            if !is_read {
                // What isn't meant is told so before who may, and does nothing.
                let foreign = shown.replace(SAME, "Origin: http://evil.example\r\n");
                for headers in [format!("{}{kind}", browser.headers()), foreign] {
                    let response = send(&server, &line, &headers, body).await;
                    assert_eq!(response.status, 403, "{line} with {headers}");
                    assert!(!response.body.contains("may look"), "{line}: {}", response.body);
                }
            }
            let response = answer(&server, &line, &shown, body).await;
            match is_read || is_own || may_change {
                true => assert!(![401, 403, 415, 500].contains(&response.status), "{line}: {}", response.status),
                false => {
                    assert_eq!(response.status, 403, "{line}");
                    assert!(response.body.contains("may look"), "{line}: {}", response.body);
                }
            }
        }
    }
    server.running.stop().await;
}

/// A browser without a session, with one that isn't there, and with one that somebody made up.
async fn check_nobody(server: &Server, line: &str, path: &str) {
    for cookie in ["", "Cookie: cleandns=\r\n", "Cookie: cleandns=0123456789abcdef\r\n"] {
        let headers = format!("{cookie}Accept: text/html\r\n{SAME}{JSON}");
        let response = send(server, line, &headers, "{}").await;
        match is_of_api(path) || path == "/metrics" {
            true => assert_eq!((response.status, response.header("www-authenticate")), (401, "Bearer"), "{line}"),
            false => {
                assert_eq!(response.status, 303, "{line}");
                assert!(response.header("location").starts_with("/sign-in"), "{line}");
            }
        }
    }
}

/// Bodies that can't be meant, to every route that takes one: each is refused as a problem, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_by_every_route() {
    let server = crate::pages::serve("").await;
    let deep = "[".repeat(50_000);
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "7",
        "{\"nothing_like_it\": 1}",
        "{\"group\": {\"a\": 1}}",
        "{\"group\": \"a\", \"group\": \"b\"}",
        "{\"seconds\": 1e999}",
        "\u{feff}{}",
        "{\"name\": \"\\ud800\"}",
        &deep,
    ];
    // Whose body says nothing, since the address says all; and what is to be said of lists that are read again is any JSON.
    let says_nothing = |method: &str, path: &str| method == "DELETE" && path != "/api/v1/modes";
    for (method, path) in routes().into_iter().filter(|(method, path)| *method != "GET" && is_of_api(path)) {
        if says_nothing(method, &path) {
            continue;
        }
        for body in bodies {
            let response = send(&server, &format!("{method} {path}"), JSON, body).await;
            let told =
                format!("{method} {path} {}: {} {}", &body[..body.len().min(40)], response.status, response.body);
            assert!((400..500).contains(&response.status), "{told}");
            assert_eq!(response.header("content-type"), "application/problem+json", "{told}");
        }
    }
    assert!(!server.path("state/overlay.toml").exists());
    let changes = server.json("/api/v1/changes").await;
    assert!(changes["changes"].as_array().unwrap().iter().all(|change| change["outcome"] != "done"), "{changes}");
    server.running.stop().await;
}

/// Where nothing is configured everybody on this machine may, but for pages of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_loopback_without_a_token_all_may() {
    let server = crate::pages::serve("").await;
    for (method, path) in guarded() {
        let line = format!("{method} {path}");
        let response = answer(&server, &line, JSON, "{}").await;
        assert!(![401, 403, 415, 500].contains(&response.status), "{line}: {}", response.status);
        if method != "GET" {
            for headers in [
                format!("{SAME}{JSON}"),
                format!("Origin: http://evil.example\r\n{FORM}"),
                format!("Sec-Fetch-Site: cross-site\r\n{JSON}"),
                format!("Cookie: other=1\r\n{FORM}"),
            ] {
                assert_eq!(send(&server, &line, &headers, "{}").await.status, 403, "{line} with {headers}");
            }
            assert_eq!(send(&server, &line, FORM, "").await.status, 415, "{line}: pages can send that");
        }
    }
    assert_eq!(request(&server, "GET /", &format!("{HOST}Cookie: cleandns=stale\r\n"), "").await.status, 200);
    assert_eq!(send(&server, "GET /sign-in", "", "").await.header("location"), "/");
    server.running.stop().await;
}
