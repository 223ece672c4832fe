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
    server.running.stop().await;
}
