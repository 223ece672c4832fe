//! What is changed from pages, and that it is written down.

use super::{Browser, JSON, audit, send, serve};
use crate::{
    harness::{Ask, Server},
    pages::{check, text},
};
use cleandns::dns::RrType;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, sync::atomic::Ordering::Relaxed};

/// Whether everybody, and the group, find the name blocked.
async fn blocked(server: &Server) -> (bool, bool) {
    let ask = Ask::new("blocked.example", RrType::A);
    let of = async |client: &str| server.ask_from(client, &ask).await.ede_code() == 15;
    (of("127.0.0.1").await, of("127.0.0.7").await)
}

fn last(server: &Server) -> Value {
    let text = fs::read_to_string(server.path("state/audit.jsonl")).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_paused_from_the_page() {
    let server = serve("").await;
    let anna = Browser::new(&server, "anna", "correct horse").await;
    let now = server.clock.load(Relaxed);
    assert_eq!(blocked(&server).await, (true, true));
    // For a group, with a reason; the page tells of it.
    let response = anna.post(&server, "/do/pause", "group=kids&seconds=1800&until=&reason=a+%3Cb%3Egame").await;
    assert_eq!(response.status, 303, "{}", response.body);
    let change = last(&server)["change"].as_u64().unwrap();
    assert_eq!(response.header("location"), format!("/?done={change}"));
    assert_eq!(blocked(&server).await, (true, false));
    let page = anna.get(&server, response.header("location")).await;
    check("/", &page.body);
    let shown = text(&page.body);
    assert!(shown.contains("anna paused group kids until ") && shown.contains(": a &#60;b&#62;game."), "{shown}");
    assert!(shown.contains("Nothing is blocked for group kids for another 30 minutes, until "), "{shown}");
    assert!(shown.contains(" Europe/Berlin, by anna: a &#60;b&#62;game"), "{shown}");
    let line = last(&server);
    let pause = json!({ "group": "kids", "until": now + 1800, "who": "anna", "reason": "a <b>game" });
    assert_eq!((&line["before"], &line["after"], &line["key"]), (&Value::Null, &pause, &json!("pause/kids")));
    assert_eq!((&line["from"], &line["policy"]), (&json!("127.0.0.1"), &json!(1)), "{line}");
    // Its end.
    let response = anna.post(&server, "/do/pause", "group=kids&seconds=0").await;
    assert_eq!((response.status, blocked(&server).await), (303, (true, true)));
    assert_eq!((&last(&server)["before"], &last(&server)["after"]), (&pause, &Value::Null));
    // For all, until a time of day in the owner's zone.
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let until = jiff::Timestamp::from_second(now as i64 + 7200).unwrap().to_zoned(zone);
    let typed = until.strftime("%Y-%m-%dT%H:%M").to_string();
    let response =
        anna.post(&server, "/do/pause", &format!("group=&seconds=&until={typed}&back=/lists%23strict")).await;
    assert_eq!(response.status, 303, "{}", response.body);
    assert!(
        response.header("location").starts_with("/lists?done=") && response.header("location").ends_with("#strict")
    );
    assert_eq!(blocked(&server).await, (false, false));
    let view: Value = serde_json::from_str(&anna.get(&server, "/api/v1/pause").await.body).unwrap();
    assert_eq!(view["pauses"][0]["until"], now + 7200 - (now + 7200) % 60, "{view}");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_shown_again() {
    let server = serve("").await;
    let anna = Browser::new(&server, "anna", "correct horse").await;
    for (fields, problem) in [
        ("group=kids&seconds=&until=&reason=guests", "until: say until when"),
        ("group=kids&seconds=&until=2001-01-01T00:00&reason=guests", "until: that time is over; now it is "),
        ("group=kids&seconds=&until=soon&reason=guests", "until: `soon` is no time; write a day as"),
        ("group=kids&seconds=-1&until=&reason=guests", "seconds: write a number"),
        ("group=kids&seconds=99999999&until=&reason=guests", "until: a pause takes at most 31 days"),
        ("group=%3Cb%3E&seconds=60&until=&reason=guests", "group: there is no group &#60;b&#62;"),
    ] {
        let response = anna.post(&server, "/do/pause", fields).await;
        assert_eq!(response.status, 422, "{fields}");
        check(fields, &response.body);
        assert!(text(&response.body).contains(problem), "{fields}: {}", response.body);
        assert!(response.body.contains("name=\"reason\" value=\"guests\""), "{}", response.body);
        assert!(
            fields.contains("%3C") || response.body.contains("<option value=\"kids\" selected>"),
            "{}",
            response.body
        );
    }
    let long = "x".repeat(201);
    assert_eq!(anna.post(&server, "/do/pause", &format!("seconds=60&reason={long}")).await.status, 422);
    assert_eq!(blocked(&server).await, (true, true));
    assert_eq!(audit(&server).len(), 1, "only the sign-in: {:?}", audit(&server));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_has_a_line() {
    let server = serve("").await;
    let anna = Browser::new(&server, "anna", "correct horse").await;
    for (path, fields, back) in [("/do/update", "back=/lists", "/lists?done=2"), ("/do/flush", "", "/?done=3")] {
        assert_eq!(anna.post(&server, path, fields).await.header("location"), back);
    }
    let headers = format!("Authorization: Bearer s3cret-of-the-owner\r\nUser-Agent: cleandns/1\r\n{JSON}");
    let body = r#"{"name": "a.example", "subtree": true}"#;
    let flushed = send(&server, "POST /api/v1/cache/flush", &headers, body).await;
    assert_eq!(serde_json::from_str::<Value>(&flushed.body).unwrap()["change"], 4, "{}", flushed.body);
    let headers = format!("Authorization: Bearer l00k-and-no-more\r\n{JSON}");
    assert_eq!(send(&server, "POST /api/v1/lists/update", &headers, "{}").await.status, 403);
    let expected = [
        "anna operator page sign-in session done",
        "anna operator page update lists done",
        "anna operator page flush cache done",
        "token operator cli flush cache/a.example done",
        "read-token read-only api refused POST /api/v1/lists/update refused",
    ];
    assert_eq!(audit(&server), expected);
    let path = server.path("state/audit.jsonl");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Newest first, for those who may look too.
    let bob = Browser::new(&server, "bob", "battery staple").await;
    let view: Value = serde_json::from_str(&bob.get(&server, "/api/v1/changes").await.body).unwrap();
    let told = |at: usize| view["changes"][at]["summary"].as_str().unwrap_or_default().to_owned();
    assert_eq!((told(0), told(1)), ("signed in".to_owned(), "asked for POST /api/v1/lists/update".to_owned()));
    assert_eq!(told(2), "had a.example and all below it forgotten");
    assert_eq!(view["file"].as_str(), path.to_str());
    let view: Value = serde_json::from_str(&bob.get(&server, "/api/v1/changes?before=3").await.body).unwrap();
    assert_eq!((view["changes"].as_array().unwrap().len(), &view["next"]), (2, &Value::Null), "{view}");
    let page = bob.get(&server, "/changes").await;
    check("/changes", &page.body);
    assert!(
        text(&page.body).contains("asked for POST /api/v1/lists/update refused read-token read-only, by api"),
        "{}",
        text(&page.body)
    );
    server.running.stop().await;
}

/// Without a line there is no change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_is_not_done() {
    let server = serve("audit = \"place/audit.jsonl\"\n").await;
    fs::write(server.path("place"), "a file, where a folder should be").unwrap();
    let anna = Browser::new(&server, "anna", "correct horse").await;
    let headers = format!("Authorization: Bearer s3cret-of-the-owner\r\n{JSON}");
    let response = send(&server, "POST /api/v1/pause", &headers, r#"{"seconds": 60}"#).await;
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!((response.status, &problem["type"]), (503, &json!("https://cleandns.invalid/problems/not_recorded")));
    let response = anna.post(&server, "/do/pause", "seconds=60&reason=guests").await;
    assert_eq!(response.status, 503);
    assert!(text(&response.body).contains("nothing is changed") && response.body.contains("value=\"guests\""));
    for path in ["/do/update", "/do/flush"] {
        assert_eq!(anna.post(&server, path, "").await.status, 503, "{path}");
    }
    assert_eq!(blocked(&server).await, (true, true));
    fs::remove_file(server.path("place")).unwrap();
    assert_eq!(anna.post(&server, "/do/pause", "seconds=60").await.status, 303);
    assert_eq!(blocked(&server).await, (false, false));
    assert_eq!(fs::read_to_string(server.path("place/audit.jsonl")).unwrap().lines().count(), 1);
    server.running.stop().await;
}
