//! Requests that come through a proxy: who they are from, if it may be believed.

use super::{JSON, limits::send_from, serve};
use crate::harness::Server;
use serde_json::{Value, json};
use std::fs;

const PROXY: &str = "127.0.0.80";

/// A wrong or right password, sent through an address of this machine with what that says.
async fn sign_in(server: &Server, through: &str, said: &str, password: &str) -> u16 {
    let body = json!({ "user": "anna", "password": password }).to_string();
    send_from(server, through, "POST /api/v1/session", &format!("{JSON}{said}"), &body).await.status
}

/// Where the last line of the audit log says that somebody came from.
fn last_from(server: &Server) -> Value {
    let text = fs::read_to_string(server.path("state/audit.jsonl")).unwrap();
    serde_json::from_str::<Value>(text.lines().last().unwrap()).unwrap()["from"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_guesses_through_a_proxy_keeps_no_other_out() {
    let server = serve(&format!("trusted_proxies = [\"{PROXY}\", \"2001:db8::/64\"]")).await;
    for number in 0..5 {
        // What they say themselves stands before what the proxy adds.
        let said = format!("X-Forwarded-For: 198.51.100.{number}\r\nX-Forwarded-For: 203.0.113.5\r\n");
        assert_eq!(sign_in(&server, PROXY, &said, "guess guess").await, 401);
        assert_eq!(last_from(&server), "203.0.113.5");
    }
    let theirs = "X-Forwarded-For: 127.0.0.1, 203.0.113.5, 2001:db8::7\r\n";
    assert_eq!(sign_in(&server, PROXY, theirs, "correct horse").await, 429, "that address has to wait");
    assert_eq!(sign_in(&server, PROXY, "X-Forwarded-For: 203.0.113.6\r\n", "correct horse").await, 200);
    assert_eq!(last_from(&server), "203.0.113.6");
    // Without the header, or with one that can't be read, it is the proxy itself.
    for said in
        ["", "X-Forwarded-For: nobody\r\n", "X-Forwarded-For: 203.0.113.6, \r\n", "Forwarded: for=203.0.113.6\r\n"]
    {
        assert_eq!(sign_in(&server, PROXY, said, "correct horse").await, 200);
        assert_eq!(last_from(&server), PROXY, "{said}");
    }
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_proxy_is_who_they_are() {
    let server = serve(&format!("trusted_proxies = [\"{PROXY}\"]")).await;
    for number in 0..5 {
        let said = format!("X-Forwarded-For: 203.0.113.{number}\r\n");
        assert_eq!(sign_in(&server, "127.0.0.9", &said, "guess guess").await, 401);
        assert_eq!(last_from(&server), "127.0.0.9");
    }
    assert_eq!(sign_in(&server, "127.0.0.9", "X-Forwarded-For: 203.0.113.77\r\n", "correct horse").await, 429);
    // By what name it is asked is another matter, whatever a proxy says.
    let token = "Authorization: Bearer s3cret-of-the-owner\r\n";
    let said = format!("{token}X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: localhost\r\n");
    assert_eq!(send_from(&server, PROXY, "GET /api/v1/session", &said, "").await.status, 200);
    // `send_from` says localhost first; two are refused, be it by a proxy.
    let twice = send_from(&server, PROXY, "GET /api/v1/session", &format!("Host: evil.example\r\n{said}"), "").await;
    assert_eq!(twice.status, 400);
    // Nobody is let in for what a header says.
    let from_here = "X-Forwarded-For: 127.0.0.1\r\n";
    assert_eq!(send_from(&server, PROXY, "GET /api/v1/overview", from_here, "").await.status, 401);
    let seen =
        send_from(&server, PROXY, "GET /api/v1/setup/seen", &format!("{token}X-Forwarded-For: 203.0.113.9\r\n"), "")
            .await;
    assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap()["client"], "203.0.113.9");
    server.running.stop().await;
}
