//! Groups and clients, and schedules by the page.

use super::{
    forms::{browse, csrf, page},
    *,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_clients_are_shown_and_schedules_set() {
    let server = serve("").await;
    for name in ["blocked.example", "watched.example", "localhost"] {
        is_blocked_for(&server, KID, name).await;
    }
    is_blocked(&server, "blocked.example").await;
    eventually("all is recorded", || async {
        let clients = server.json("/api/v1/clients").await["clients"].clone();
        let queries = clients.as_array().unwrap().iter().map(|client| client["queries"].as_u64().unwrap());
        queries.sum::<u64>() == 4
    })
    .await;
    let clients = server.json("/api/v1/clients?hours=1").await["clients"].clone();
    let kid = &clients[0];
    assert_eq!((&kid["client"], &kid["group"], &kid["queries"]), (&json!(KID), &json!("kids"), &json!(3)));
    assert_eq!((&kid["blocked"], &kid["would_block"], &kid["excepted"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!((&clients[1]["group"], &clients[1]["blocked"]), (&json!("default"), &json!(1)));
    let groups = server.json("/api/v1/groups").await["groups"].clone();
    assert_eq!((&groups[0]["name"], &groups[0]["clients"]), (&json!("kids"), &json!([KID])));
    assert_eq!((&groups[1]["name"], &groups[1]["schedule"]), (&json!("default"), &Value::Null));
    assert_eq!(send(&server, "GET /api/v1/clients?days=1", "", None).await.0, 400);
    let shown = page(&server, "/clients").await;
    assert!(shown.contains(KID) && shown.contains("kids"), "{shown}");
    let form = |rest: &str| format!("csrf={}&{rest}", csrf(&shown));
    let (status, body) = browse(&server, "POST /do/schedule", &form("group=kids&schedule=%3Cnow%3E")).await;
    assert!(status.starts_with("422") && body.contains("value=\"&#60;now&#62;\""), "{status} {body}");
    let (status, _) = browse(&server, "POST /do/schedule", &form("group=kids&schedule=Mon+08%3A00-09%3A00")).await;
    assert_eq!(status, "303 /clients?done=1");
    let groups = server.json("/api/v1/groups").await["groups"].clone();
    assert_eq!((&groups[0]["schedule"]["text"], &groups[0]["changed"]), (&json!("Mon 08:00-09:00 UTC"), &json!(true)));
    let (status, _) = browse(&server, "POST /do/schedule", &form("group=kids&schedule=x&back=yes")).await;
    assert_eq!(status, "303 /clients?done=2");
    assert_eq!(server.json("/api/v1/groups").await["groups"][0]["schedule"], Value::Null);
    // When it changes next is told, by the answer too. 2026-01-05 is a Monday.
    let monday_noon = 1_767_614_400;
    server.clock.store(monday_noon, Relaxed);
    let daily = json!({ "group": "kids", "schedule": "daily 11:00-13:00 Europe/Berlin" });
    let told = done(&server, "PUT /api/v1/schedules", daily).await["schedule"].clone();
    assert_eq!((&told["on_now"], &told["next"]), (&json!(false), &json!("2026-01-06T10:00:00Z")), "{told}");
    let shown = page(&server, "/clients").await;
    assert!(shown.contains("now they don't, until 2026-01-06 11:00"), "{shown}");
    let tried = json!({ "program": "strict", "schedule": "Mon 10:00-12:30" });
    let (_, told) = send(&server, "PUT /api/v1/schedules?dry_run=true", "", Some(&tried)).await;
    assert_eq!(
        (&told["schedule"]["on_now"], &told["schedule"]["next"]),
        (&json!(true), &json!("2026-01-05T12:30:00Z"))
    );
    assert!(is_blocked(&server, "blocked.example").await, "it was only tried");
    // Programs have schedules too.
    let shown = page(&server, "/programs").await;
    assert!(shown.contains("When it is on: always"), "{shown}");
    let (status, body) = browse(&server, "POST /do/schedule", &form("program=strict&schedule=Mon+8-9")).await;
    assert!(
        status.starts_with("422") && body.contains("`8-9` is no time; write such as 08:00-17:00"),
        "{status} {body}"
    );
    assert!(body.contains("value=\"Mon 8-9\"") && body.contains("<details class=\"when\" open>"), "{body}");
    let (status, _) = browse(&server, "POST /do/schedule", &form("program=strict&schedule=Mon+08%3A00-09%3A00")).await;
    assert!(status.starts_with("303 /programs?done=") && status.ends_with("#strict"), "{status}");
    assert!(!is_blocked(&server, "blocked.example").await, "off since nine");
    let shown = page(&server, "/programs").await;
    assert!(shown.contains("on Mon 08:00-09:00 UTC: now it is off, until 2026-01-12 08:00"), "{shown}");
    let (status, _) = browse(&server, "POST /do/schedule", &form("program=strict&schedule=x&back=yes")).await;
    assert!(status.starts_with("303 /programs?done="), "{status}");
    assert!(is_blocked(&server, "blocked.example").await);
    let (status, body) = browse(&server, "POST /do/schedule", &form("program=nope&schedule=")).await;
    assert!(status.starts_with("422") && body.contains("there is no program"), "{status} {body}");
    server.running.stop().await;
}
