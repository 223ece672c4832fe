//! What is believed of browsers, and what a body may be.

use super::{Browser, FORM, JSON, SAME, form_token, send, serve};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_our_own_pages_change_something() {
    let server = serve("").await;
    let (anna, other) = (
        Browser::new(&server, "", "s3cret-of-the-owner").await,
        Browser::new(&server, "", "s3cret-of-the-owner").await,
    );
    assert_ne!((&anna.cookie, &anna.csrf), (&other.cookie, &other.csrf));
    let cookie = format!("Cookie: {}\r\n", anna.cookie);
    let form = |token: &str| format!("csrf={token}&seconds=60");
    let own = form(&anna.csrf);
    for (headers, body, expected) in [
        (format!("{cookie}{SAME}{FORM}"), own.clone(), 303),
        (format!("{cookie}Sec-Fetch-Site: same-origin\r\n{FORM}"), own.clone(), 303),
        // Another's token, one of nobody, none, and the one of those who aren't signed in.
        (format!("{cookie}{SAME}{FORM}"), form(&other.csrf), 403),
        (format!("{cookie}{SAME}{FORM}"), form(&"0".repeat(64)), 403),
        (format!("{cookie}{SAME}{FORM}"), "seconds=60".to_owned(), 403),
        (format!("{cookie}{SAME}{FORM}"), form(&form_token(&send(&server, "GET /sign-in", "", "").await.body)), 403),
        // From elsewhere, or from nobody knows where.
        (format!("{cookie}{FORM}"), own.clone(), 403),
        (format!("{cookie}Origin: null\r\n{FORM}"), own.clone(), 403),
        (format!("{cookie}Origin: https://localhost\r\n{FORM}"), own.clone(), 403),
        (format!("{cookie}Origin: http://localhost:1\r\n{FORM}"), own.clone(), 403),
        (format!("{cookie}{SAME}Sec-Fetch-Site: cross-site\r\n{FORM}"), own.clone(), 403),
        (format!("{cookie}{SAME}Sec-Fetch-Site: same-site\r\n{FORM}"), own.clone(), 403),
        (format!("{cookie}{SAME}Sec-Fetch-Site: none\r\n{FORM}"), own.clone(), 403),
        // A form that isn't sent as one.
        (format!("{cookie}{SAME}Content-Type: text/plain\r\n"), own.clone(), 403),
        (format!("{cookie}{SAME}Content-Type: multipart/form-data; boundary=x\r\n"), own.clone(), 403),
    ] {
        let response = send(&server, "POST /do/pause", &headers, &body).await;
        assert_eq!(response.status, expected, "{headers}{body}: {}", response.body);
        assert!(!response.headers.contains_key("access-control-allow-origin"));
    }
    // A program with a session's cookie is told what it lacks.
    let token = format!("X-CSRF-Token: {}\r\n", anna.csrf);
    for (headers, status, told) in [
        (format!("{cookie}{token}{JSON}"), 403, "A program that comes with a session's cookie sends `Origin`"),
        (format!("{cookie}{JSON}{SAME}"), 403, "load the page again"),
        (format!("{cookie}{token}{JSON}Origin: http://evil.example\r\n"), 403, "A page of another server sent this"),
        (format!("{cookie}{token}{JSON}{SAME}"), 200, "pauses"),
    ] {
        let response = send(&server, "POST /api/v1/pause", &headers, r#"{"seconds": 60}"#).await;
        assert_eq!(response.status, status, "{headers}: {}", response.body);
        assert!(response.body.contains(told), "{}", response.body);
        assert!(!response.body.contains("token of the page is missing"), "{}", response.body);
    }
    // Nothing answers a browser that asks whether it may.
    let asks = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    let response = send(&server, "OPTIONS /api/v1/pause", asks, "").await;
    assert!(response.status >= 400 && !response.headers.keys().any(|name| name.starts_with("access-control")));
    server.running.stop().await;
}

/// To sign somebody in as somebody else is an attack too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_signed_in_by_another_page() {
    let server = serve("").await;
    let token = form_token(&send(&server, "GET /sign-in", "", "").await.body);
    let body = format!("csrf={token}&user=&password=s3cret-of-the-owner");
    for (headers, body) in [
        (format!("Origin: http://evil.example\r\n{FORM}"), body.as_str()),
        (format!("{SAME}{FORM}"), "user=&password=s3cret-of-the-owner"),
        (FORM.to_owned(), body.as_str()),
    ] {
        let response = send(&server, "POST /do/sign-in", &headers, body).await;
        assert!([403, 415].contains(&response.status) && response.header("set-cookie").is_empty(), "{headers}");
    }
    let elsewhere = format!("Origin: http://evil.example\r\n{JSON}");
    let response = send(&server, "POST /api/v1/session", &elsewhere, r#"{"password": "s3cret-of-the-owner"}"#).await;
    assert_eq!((response.status, response.header("set-cookie")), (403, ""));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_json_are_problems() {
    let server = serve("").await;
    let token = "Authorization: Bearer s3cret-of-the-owner\r\n";
    for (path, body, status, word) in [
        ("/api/v1/pause", "", 400, "bad_request"),
        ("/api/v1/pause", "{", 400, "bad_request"),
        ("/api/v1/pause", "{\"seconds\": 60} {", 400, "bad_request"),
        ("/api/v1/pause", "\u{feff}{}", 400, "bad_request"),
        ("/api/v1/pause", "null", 422, "invalid"),
        ("/api/v1/pause", "[]", 422, "invalid"),
        ("/api/v1/pause", "{\"seconds\": \"60\"}", 422, "invalid"),
        ("/api/v1/pause", "{\"seconds\": 1e99}", 422, "invalid"),
        ("/api/v1/pause", "{\"seconds\": 60, \"seconds\": 60}", 422, "invalid"),
        ("/api/v1/cache/flush", "{\"name\": \"a..b\"}", 422, "invalid"),
        ("/api/v1/cache/flush", "{\"names\": \"a\"}", 422, "invalid"),
        ("/api/v1/lists/update", "{", 400, "bad_request"),
        ("/api/v1/session", "{\"user\": 1}", 422, "invalid"),
    ] {
        let response = send(&server, &format!("POST {path}"), &format!("{token}{JSON}"), body).await;
        assert_eq!(response.status, status, "{path} {body}: {}", response.body);
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(problem["type"], format!("https://cleandns.invalid/problems/{word}"), "{path} {body}");
    }
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(send(&server, "POST /api/v1/lists/update", &format!("{token}{JSON}"), &deep).await.status, 400);
    // By field, where it is about one.
    let headers = format!("{token}{JSON}");
    let response = send(&server, "POST /api/v1/pause", &headers, r#"{"seconds": 60, "group": "nobody"}"#).await;
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(problem["problems"][0]["field"], "group", "{problem}");
    server.running.stop().await;
}
