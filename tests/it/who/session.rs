//! To sign in, to stay so, and to be thrown out.

use super::{Browser, JSON, audit, send, serve, sign_in, sign_in_to};
use crate::{
    harness::{Server, eventually},
    pages::{check, text},
};
use cleandns::admin::{Role, Users};
use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;

const HOUR: u64 = 3600;

fn later(server: &Server, seconds: u64) {
    server.clock.fetch_add(seconds, Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_signs_in_and_out() {
    let server = serve("").await;
    let page = send(&server, "GET /sign-in", "Accept: text/html\r\n", "").await;
    check("/sign-in", &page.body);
    assert!(!page.body.contains("strict"), "it tells nothing of the server");

    let response = sign_in_to(&server, "anna", "correct horse", "/lists%3Fa%3Db").await;
    assert_eq!((response.status, response.header("location")), (303, "/lists?a=b"));
    let (cookie, rest) = response.header("set-cookie").split_once("; ").unwrap();
    let id = cookie.strip_prefix("cleandns=").unwrap();
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(rest, "HttpOnly; SameSite=Strict; Path=/");
    assert_eq!(response.header("cache-control"), "no-store");
    for back in
        ["https://evil.example/", "//evil.example", "/%5Cevil.example", "%2F%2Fevil.example", "javascript:alert(1)"]
    {
        assert_eq!(sign_in_to(&server, "", "s3cret-of-the-owner", back).await.header("location"), "/", "{back}");
    }

    let anna = Browser::new(&server, "anna", "correct horse").await;
    let page = anna.get(&server, "/").await;
    assert!(text(&page.body).contains("anna operator Sign out"), "{}", page.body);
    let session = send(&server, "GET /api/v1/session", &format!("Cookie: {}\r\n", anna.cookie), "").await;
    let session: Value = serde_json::from_str(&session.body).unwrap();
    assert_eq!((session["user"].as_str(), session["role"].as_str()), (Some("anna"), Some("operator")), "{session}");
    assert!(session["expires"].as_str().is_some_and(|expires| expires.ends_with('Z')), "{session}");

    let response = anna.post(&server, "/do/sign-out", "").await;
    assert_eq!((response.status, response.header("location")), (303, "/sign-in"));
    assert!(
        response.header("set-cookie").starts_with("cleandns=; ") && response.header("set-cookie").contains("Max-Age=0")
    );
    assert_eq!(anna.get(&server, "/").await.status, 303, "the cookie is worth nothing any more");
    let lines = audit(&server);
    assert!(lines.contains(&"anna operator page sign-in session done".to_owned()), "{lines:?}");
    assert!(lines.contains(&"anna operator page sign-out session done".to_owned()), "{lines:?}");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_look_gets_no_form() {
    let server = serve("").await;
    let (anna, bob) =
        (Browser::new(&server, "anna", "correct horse").await, Browser::new(&server, "bob", "battery staple").await);
    for path in ["/", "/programs", "/lists", "/changes", "/setup"] {
        let page = bob.get(&server, path).await;
        check(path, &page.body);
        let forms = page.body.matches("method=\"post\"").count();
        assert!(forms == 1 && page.body.contains("action=\"/do/sign-out\""), "{path}: {}", page.body);
        assert!(!page.body.contains("s3cret-of-the-owner") && !page.body.contains("l00k-and-no-more"), "{path}");
    }
    for path in ["/", "/lists"] {
        assert!(anna.get(&server, path).await.body.matches("method=\"post\"").count() > 1, "{path}");
    }
    let response = bob.post(&server, "/do/pause", "seconds=60").await;
    assert_eq!(response.status, 403);
    check("403", &response.body);
    assert!(text(&response.body).contains("You can look, and change nothing"), "{}", response.body);
    assert_eq!(audit(&server).last().unwrap(), "bob read-only page refused POST /do/pause refused");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_when_idle_and_when_old() {
    let server = serve("").await;
    let browser = Browser::new(&server, "", "s3cret-of-the-owner").await;
    later(&server, 12 * HOUR - 1);
    assert_eq!(browser.get(&server, "/").await.status, 200);
    later(&server, 12 * HOUR);
    assert_eq!(browser.get(&server, "/").await.status, 303);
    let browser = Browser::new(&server, "", "s3cret-of-the-owner").await;
    for _ in 0..27 {
        later(&server, 6 * HOUR);
        assert_eq!(browser.get(&server, "/").await.status, 200);
    }
    later(&server, 6 * HOUR);
    assert_eq!(browser.get(&server, "/").await.status, 303, "after seven days");
    server.running.stop().await;
}

/// Whoever was removed is thrown out, and whoever is new can come in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_of_users_ends_their_sessions() {
    let server = serve("").await;
    let (bob, token) =
        (Browser::new(&server, "bob", "battery staple").await, Browser::new(&server, "", "s3cret-of-the-owner").await);
    std::fs::write(server.path("users"), "bob:operator\n").unwrap();
    let told = async || {
        let notes = token.get(&server, "/api/v1/overview").await.body;
        notes.contains("\"users\"") && notes.contains("users:1: a line is name:role")
    };
    eventually("a bad file is told of", told).await;
    assert_eq!(bob.get(&server, "/").await.status, 200, "and replaces no good one");
    let mut all = Users::default();
    all.set("carol", Role::Operator, "something else").unwrap();
    all.write(&server.path("users"), None).unwrap();
    assert_eq!(sign_in(&server, "carol", "something else").await.status, 303, "at once");
    eventually("bob is thrown out", async || bob.get(&server, "/").await.status == 303).await;
    assert_eq!(token.get(&server, "/").await.status, 200, "tokens are no users");
    assert_eq!(sign_in(&server, "bob", "battery staple").await.status, 401);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_tries_are_bounded() {
    let server = serve("").await;
    for (user, password) in [("anna", "wrong horse"), ("nobody", "correct horse"), ("anna", ""), ("", "other")] {
        let response = sign_in(&server, user, password).await;
        assert_eq!((response.status, response.header("set-cookie")), (401, ""), "{user} {password}");
        check("401", &response.body);
        assert!(text(&response.body).contains("That isn't right") || response.body.contains("isn&#39;t right"));
        // The name is still there, and the password isn't.
        assert!(response.body.contains(&format!("value=\"{user}\"")) && !response.body.contains("horse"));
    }
    // Those who are right don't count.
    for _ in 0..3 {
        assert_eq!(sign_in(&server, "", "s3cret-of-the-owner").await.status, 303);
    }
    let wrong = async || {
        let body = r#"{"user": "anna", "password": "wrong horse"}"#;
        send(&server, "POST /api/v1/session", JSON, body).await
    };
    assert_eq!(wrong().await.status, 401);
    let response = wrong().await;
    assert_eq!((response.status, response.header("retry-after")), (429, "300"));
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(problem["type"], "https://cleandns.invalid/problems/too_many");
    let response = sign_in(&server, "anna", "correct horse").await;
    assert_eq!(response.status, 429, "even with the right password");
    assert!(text(&response.body).contains("Try again in 5 minutes"), "{}", response.body);
    later(&server, 299);
    assert_eq!(sign_in(&server, "anna", "correct horse").await.status, 429);
    later(&server, 1);
    assert_eq!(sign_in(&server, "anna", "correct horse").await.status, 303);
    let lines = audit(&server);
    let refused =
        |who: &str| lines.iter().filter(|line| **line == format!("{who} - page sign-in session refused")).count();
    assert_eq!((refused("anna"), refused("nobody")), (2, 1), "{lines:?}");
    assert!(lines.contains(&"anna - api sign-in session refused".to_owned()), "{lines:?}");
    server.running.stop().await;
}
