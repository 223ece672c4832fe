//! What is changed while the server runs: in force for the very next query, kept over restarts, noted, and undone.

use crate::harness::{Ask, Server, configure, eventually, folder, start, start_as_configured, write_list};
use cleandns::dns::{Rcode, RrType};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, sync::atomic::Ordering::Relaxed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

mod blocks;
mod by_hand;
mod clients;
mod endings;
mod exceptions;
pub mod forms;
mod held;
mod pins;

const PROGRAMS: &str = r#"
[[program]]
name = "strict"
lists = [{ path = "block.list" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watch.list", service = "seen" }]
[[group]]
name = "kids"
clients = ["127.0.0.7"]
"#;
const KID: &str = "127.0.0.7";

fn lists() -> tempfile::TempDir {
    let folder = folder();
    write_list(&folder.path().join("block.list"), &["blocked.example"]);
    write_list(&folder.path().join("watch.list"), &["#: title: What is seen", "#: breaks: nothing", "watched.example"]);
    fs::write(folder.path().join("token"), "0perator-of-all-\n").unwrap();
    fs::write(folder.path().join("read-token"), "r3ader-of-pages-\n").unwrap();
    folder
}

async fn serve(more: &str) -> Server {
    start(lists(), None, &format!("{more}{PROGRAMS}")).await
}

/// A request with JSON, as a program sends it: status and body.
async fn send(server: &Server, line: &str, headers: &str, body: Option<&Value>) -> (u16, Value) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let head =
        format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}", body.len());
    let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    let text = format!("{line} HTTP/1.1\r\n{head}Connection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned())))
}

/// The same, which has to be done.
async fn done(server: &Server, line: &str, body: Value) -> Value {
    let (status, told) = send(server, line, "", Some(&body)).await;
    assert!(status == 200 || status == 201, "{line} {body}: {status} {told}");
    assert_eq!(told["in_force"], true, "{told}");
    told
}

/// The same, which has to be refused: its status, and the last part of its type.
async fn refused(server: &Server, line: &str, body: Value) -> (u16, String, Value) {
    let (status, told) = send(server, line, "", Some(&body)).await;
    let kind = told["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
    assert!(status >= 400, "{line} {body}: {status} {told}");
    (status, kind, told)
}

/// Whether a client's question is blocked. What isn't gets the minimal answer to ANY (RFC 8482).
async fn is_blocked_for(server: &Server, client: &str, name: &str) -> bool {
    let answer = server.ask_from(client, &Ask::new(name, RrType::ANY)).await;
    match answer.rcode {
        Rcode::NXDOMAIN => true,
        Rcode::NOERROR => false,
        other => panic!("{name}: {other:?}"),
    }
}

async fn is_blocked(server: &Server, name: &str) -> bool {
    is_blocked_for(server, "127.0.0.1", name).await
}

/// The lines of the audit log, without those of other kinds than changes.
fn audit(server: &Server) -> Vec<Value> {
    let text = fs::read_to_string(server.path("state/audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn file(server: &Server) -> String {
    fs::read_to_string(server.path("state/overlay.toml")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mode_counts_for_the_next_query_and_an_undo_takes_it_back() {
    let server = serve("").await;
    assert!(is_blocked(&server, "blocked.example").await);
    let epoch = server.json("/api/v1/lists").await["epoch"].as_u64().unwrap();
    let told = done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    let change = told["change"].as_u64().unwrap();
    assert_eq!(told["policy"], epoch + 1);
    assert_eq!(told["summary"], "set strict to shadow for everybody");
    assert_eq!(told["undo"], format!("/api/v1/changes/{change}/undo"));
    assert!(file(&server).contains("[modes.everybody]\n\"strict\" = \"shadow\"\n"), "{}", file(&server));
    let permissions = fs::metadata(server.path("state/overlay.toml")).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let line = audit(&server).pop().unwrap();
    assert_eq!(
        (&line["change"], &line["what"], &line["key"], &line["before"], &line["after"], &line["by"], &line["outcome"]),
        (
            &json!(change),
            &json!("mode"),
            &json!("modes/everybody/strict"),
            &Value::Null,
            &json!("shadow"),
            &json!("api"),
            &json!("done")
        )
    );
    // The configuration's own file is left alone, and what pages show is what was chosen.
    assert!(!fs::read_to_string(server.path("cleandns.toml")).unwrap().contains("shadow\"\n[[group"));
    let programs = server.json("/api/v1/programs").await;
    assert_eq!(programs["programs"][0]["mode"]["mode"], "shadow");
    assert_eq!(programs["programs"][0]["changed"], true);
    let undo = format!("POST /api/v1/changes/{change}/undo");
    // The body is read as that of any other change.
    for (body, expected) in
        [(json!({ "confirmed": "yes" }), (422, "invalid")), (json!({ "confirm": true }), (422, "invalid"))]
    {
        let (status, kind, told) = refused(&server, &undo, body).await;
        assert_eq!((status, kind.as_str()), expected, "{told}");
    }
    let (status, kind, _) = refused(&server, &undo, json!({})).await;
    assert_eq!((status, kind.as_str()), (409, "confirm"));
    let undone = done(&server, &undo, json!({ "confirmed": true })).await;
    assert!(is_blocked(&server, "blocked.example").await);
    assert_eq!(file(&server), "", "nothing is left of it");
    assert_eq!(audit(&server).pop().unwrap()["undoes"], change);
    // What isn't as the change left it isn't undone; an undo can be.
    let (status, kind, told) = refused(&server, &format!("{undo}?confirmed=true"), json!({})).await;
    assert_eq!((status, kind.as_str()), (409, "changed_since"));
    let by = &undone["change"];
    let why = format!("change {change} is undone already, by change {by} (local); undo that to have it back");
    assert_eq!(told["detail"], why, "{told}");
    // Nothing of it need be said where nothing has to be confirmed.
    let (status, told) = send(&server, &format!("POST /api/v1/changes/{}/undo", undone["change"]), "", None).await;
    assert_eq!(status, 200, "{told}");
    assert!(!is_blocked(&server, "blocked.example").await);
    let (status, _, _) = refused(&server, "POST /api/v1/changes/999/undo", json!({})).await;
    assert_eq!(status, 404);
    let (status, text) = send(&server, "GET /api/v1/overlay", "", None).await;
    assert_eq!((status, text.as_str().unwrap()), (200, file(&server).as_str()));
    // Given back to the configuration.
    let strict = json!({ "program": "strict", "confirmed": true });
    let told = done(&server, "DELETE /api/v1/modes", strict).await;
    assert_eq!(told["summary"], "gave strict back to the configuration for everybody");
    assert!(is_blocked(&server, "blocked.example").await);
    // What is so already is no change.
    let lines = audit(&server).len();
    let told = done(&server, "DELETE /api/v1/modes", json!({ "program": "strict" })).await;
    assert_eq!((&told["change"], audit(&server).len()), (&Value::Null, lines));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforcing_is_confirmed_and_a_group_has_modes_of_its_own() {
    let server = serve("").await;
    let enforce = |confirmed: bool| json!({ "program": "watching", "service": "seen", "group": "kids", "mode": "enforce", "confirmed": confirmed });
    let (status, kind, _) = refused(&server, "PUT /api/v1/modes", enforce(false)).await;
    assert_eq!((status, kind.as_str()), (409, "confirm"));
    assert!(!is_blocked_for(&server, KID, "watched.example").await);
    // The program holds its services down.
    done(&server, "PUT /api/v1/modes", enforce(true)).await;
    assert!(!is_blocked_for(&server, KID, "watched.example").await);
    let kids = server.json("/api/v1/programs?group=kids").await;
    let mode = &kids["programs"][1]["services"][0]["modes"][0];
    assert_eq!((&mode["mode"], &mode["written"]), (&json!("shadow"), &json!("enforce")));
    assert_eq!(mode["limit"], "its program's mode");
    let whole = json!({ "program": "watching", "group": "kids", "mode": "enforce", "confirmed": true });
    done(&server, "PUT /api/v1/modes", whole).await;
    assert!(is_blocked_for(&server, KID, "watched.example").await);
    assert!(!is_blocked(&server, "watched.example").await, "only for the group");
    // A pause is what holds it down now, and the page says so.
    server.post("/api/v1/pause", r#"{"group":"kids","seconds":600}"#).await;
    let kids = server.json("/api/v1/programs?group=kids").await;
    assert_eq!(kids["programs"][1]["mode"]["limit"], "a pause");
    server.post("/api/v1/pause", r#"{"group":"kids","seconds":0}"#).await;
    // Over a restart.
    let Server { running, folder, .. } = server;
    running.stop().await;
    let server = start(folder, None, PROGRAMS).await;
    assert!(is_blocked_for(&server, KID, "watched.example").await);
    server.running.stop().await;
}

/// What refuses a change that would block, unless whoever asks has seen what.
async fn takes_confirming(server: &Server, line: &str, body: Value) {
    let before = (file(server), audit(server).len());
    let (status, kind, told) = refused(server, line, body.clone()).await;
    assert_eq!((status, kind.as_str()), (409, "confirm"), "{line} {body}");
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.starts_with("enforce blocks: ") && detail.contains("/preview"), "{told}");
    assert_eq!((file(server), audit(server).len()), before, "nothing is changed");
    let tried = if line.contains('?') { format!("{line}&dry_run=true") } else { format!("{line}?dry_run=true") };
    assert_eq!(send(server, &tried, "", Some(&body)).await.0, 200, "it can be tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_anything_enforce_is_confirmed_whichever_way_it_comes() {
    let server = serve("").await;
    let strict = |more: &str| serde_json::from_str::<Value>(&format!(r#"{{"program":"strict"{more}}}"#)).unwrap();
    let confirmed = r#","confirmed":true"#;
    let change = |told: Value| told["change"].as_u64().unwrap();
    // Given back to the configuration, which says enforce.
    let shadow = change(done(&server, "PUT /api/v1/modes", strict(r#","mode":"shadow""#)).await);
    takes_confirming(&server, "DELETE /api/v1/modes", strict("")).await;
    // Undone.
    takes_confirming(&server, &format!("POST /api/v1/changes/{shadow}/undo"), json!({})).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    let back = change(done(&server, "DELETE /api/v1/modes", strict(confirmed)).await);
    assert!(is_blocked(&server, "blocked.example").await);
    // The undo of that asks for less, and the undo of the undo for more again.
    let undone = change(done(&server, &format!("POST /api/v1/changes/{back}/undo"), json!({})).await);
    assert!(!is_blocked(&server, "blocked.example").await);
    let again = format!("POST /api/v1/changes/{undone}/undo");
    takes_confirming(&server, &again, json!({})).await;
    done(&server, &format!("{again}?confirmed=true"), json!({})).await;
    assert!(is_blocked(&server, "blocked.example").await);
    // A mode that was written here and comes again by an undo, also where something holds it down for now.
    let seen = |mode: &str| json!({ "program": "watching", "service": "seen", "mode": mode, "confirmed": true });
    done(&server, "PUT /api/v1/modes", seen("enforce")).await;
    let off = change(done(&server, "PUT /api/v1/modes", seen("off")).await);
    takes_confirming(&server, &format!("POST /api/v1/changes/{off}/undo"), json!({})).await;
    // For a group, and for the one service of it.
    let kids = json!({ "program": "strict", "service": "block", "group": "kids", "mode": "shadow" });
    let kids = change(done(&server, "PUT /api/v1/modes", kids).await);
    assert!(!is_blocked_for(&server, KID, "blocked.example").await && is_blocked(&server, "blocked.example").await);
    takes_confirming(&server, &format!("POST /api/v1/changes/{kids}/undo"), json!({})).await;
    takes_confirming(&server, "DELETE /api/v1/modes", strict(r#","service":"block","group":"kids""#)).await;
    // What is given back and stays in shadow needs nobody's word.
    done(&server, "PUT /api/v1/modes", json!({ "program": "watching", "mode": "off" })).await;
    done(&server, "DELETE /api/v1/modes", json!({ "program": "watching" })).await;
    server.running.stop().await;
}

/// Of a list that isn't there yet nothing acts, and it blocks as soon as it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_will_enforce_a_list_that_is_still_to_come_is_confirmed() {
    const LATE: &str =
        "[[program]]\nname = \"late\"\nlists = [{ path = \"late.list\", service = \"s\", gate = \"hold\" }]\n";
    let folder = lists();
    // As a whole it is held back.
    write_list(&folder.path().join("late.list"), &["zip"]);
    let server = start(folder, None, &format!("{LATE}{PROGRAMS}")).await;
    let change = |told: Value| told["change"].as_u64().unwrap();
    for place in [json!({}), json!({ "group": "kids" })] {
        let body = |more: Value| {
            let mut body = json!({ "program": "late" });
            for more in [&place, &more] {
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            body
        };
        let shadow = change(done(&server, "PUT /api/v1/modes", body(json!({ "mode": "shadow" }))).await);
        takes_confirming(&server, "DELETE /api/v1/modes", body(json!({}))).await;
        takes_confirming(&server, &format!("POST /api/v1/changes/{shadow}/undo"), json!({})).await;
        done(&server, "DELETE /api/v1/modes", body(json!({ "confirmed": true }))).await;
    }
    // What everybody's mode holds down is given back to a group without a word.
    done(&server, "PUT /api/v1/modes", json!({ "program": "late", "mode": "shadow" })).await;
    let kids = json!({ "program": "late", "group": "kids" });
    done(&server, "PUT /api/v1/modes", json!({ "program": "late", "group": "kids", "mode": "off" })).await;
    done(&server, "DELETE /api/v1/modes", kids).await;
    // Once it is there, it blocks whom it is to block, who said so.
    done(&server, "DELETE /api/v1/modes", json!({ "program": "late", "confirmed": true })).await;
    write_list(&server.path("late.list"), &["late.example"]);
    eventually("the list comes", || is_blocked(&server, "late.example")).await;
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_by_field_and_changes_nothing() {
    let server = serve("").await;
    let modes = "PUT /api/v1/modes";
    let exceptions = "POST /api/v1/exceptions";
    for (line, body, field, message) in [
        (
            modes,
            json!({ "program": "strikt", "mode": "off" }),
            "program",
            "there is no program \"strikt\"; did you mean \"strict\"?",
        ),
        (modes, json!({ "program": "strict", "service": "x", "mode": "off" }), "service", "there is no service \"x\""),
        (modes, json!({ "program": "strict", "group": "kid", "mode": "off" }), "group", "did you mean \"kids\"?"),
        (modes, json!({ "program": "strict", "group": "default", "mode": "off" }), "group", "leave default out"),
        (modes, json!({ "program": "strict", "mode": "on" }), "mode", "off, shadow, enforce"),
        (modes, json!({ "program": "strict" }), "mode", "write off, shadow or enforce"),
        (exceptions, json!({ "names": [] }), "names", "an exception needs names"),
        (exceptions, json!({ "names": ["http://192.0.2.7/x"] }), "names", "leads to an address, not to a name"),
        (exceptions, json!({ "names": ["x.example"], "until": "soon" }), "until", "is not a day"),
        (exceptions, json!({ "names": ["x.example"], "until": "2020-12-24" }), "until", "that day is over; now it is "),
        ("POST /api/v1/blocks", json!({ "name": "x.example", "until": "2020-12-24" }), "until", "that day is over"),
        (
            exceptions,
            json!({ "names": ["x.example"], "programs": ["nope"] }),
            "programs",
            "there is no program \"nope\"",
        ),
        (exceptions, json!({ "names": ["x.example"], "groups": ["kid"] }), "groups", "did you mean \"kids\"?"),
        (exceptions, json!({ "names": ["x.example"], "reason": "x".repeat(301) }), "reason", "at most 300 octets"),
        (exceptions, json!({ "names": ["x.example"], "match": "prefix" }), "match", "exact or subtree"),
        ("PUT /api/v1/schedules", json!({ "group": "kids", "schedule": "now" }), "schedule", ""),
        ("PUT /api/v1/schedules", json!({ "group": "kid", "schedule": "" }), "group", "did you mean \"kids\"?"),
    ] {
        let (status, kind, told) = refused(&server, line, body.clone()).await;
        assert_eq!((status, kind.as_str()), (422, "invalid"), "{body}");
        let problem = &told["problems"][0];
        assert_eq!(problem["field"], field, "{body}: {told}");
        assert!(problem["message"].as_str().unwrap().contains(message), "{body}: {told}");
    }
    for (line, body) in [
        (modes, json!({ "program": "strict", "mode": "off", "mood": "bad" })),
        (exceptions, json!({ "names": "x.example" })),
        ("PUT /api/v1/schedules", json!({ "schedule": "" })),
    ] {
        assert_eq!(refused(&server, line, body).await.0, 422);
    }
    for line in ["PATCH /api/v1/exceptions/e9", "DELETE /api/v1/exceptions/x", "DELETE /api/v1/blocks/b1"] {
        assert_eq!(refused(&server, line, json!({})).await.0, 404, "{line}");
    }
    let tried =
        send(&server, "PUT /api/v1/modes?dry_run=true", "", Some(&json!({ "program": "strict", "mode": "off" }))).await;
    assert_eq!((tried.0, &tried.1["change"], &tried.1["in_force"]), (200, &Value::Null, &json!(false)));
    assert_eq!(tried.1["summary"], "set strict to off for everybody");
    assert!(is_blocked(&server, "blocked.example").await);
    assert_eq!((file(&server), audit(&server)), (String::new(), Vec::new()));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_passes_until_its_last_day_ends() {
    let server = serve("[[policy.exception]]\nnames = [\"own.blocked.example\"]\nreason = \"mine\"\n").await;
    // 2026-11-28, in the afternoon.
    server.clock.store(1_795_874_400, Relaxed);
    let asked =
        json!({ "names": ["shop.blocked.example"], "match": "exact", "reason": "check <b>out", "until": "2026-11-29" });
    let told = done(&server, "POST /api/v1/exceptions", asked).await;
    let id = told["id"].as_str().unwrap().to_owned();
    assert!(!is_blocked(&server, "shop.blocked.example").await);
    assert!(is_blocked(&server, "x.shop.blocked.example").await, "it is that name alone");
    let all = server.json("/api/v1/exceptions").await["exceptions"].clone();
    assert_eq!(
        (&all[0]["names"], &all[0]["id"], &all[0]["reason"]),
        (&json!(["own.blocked.example"]), &Value::Null, &json!("mine"))
    );
    assert!(all[0]["place"].as_str().unwrap().contains("cleandns.toml:"), "{all}");
    assert_eq!(
        (&all[1]["names"], &all[1]["id"], &all[1]["holds"]),
        (&json!(["=shop.blocked.example"]), &json!(id), &json!(true))
    );
    // Explain names it.
    let explained = server.json("/api/v1/explain?name=shop.blocked.example").await;
    assert_eq!(explained["owner_exception"], json!([format!("overlay.toml:{id}"), "check <b>out"]));
    // For the group alone; the rest stays.
    let at = format!("/api/v1/exceptions/{id}");
    done(&server, &format!("PATCH {at}"), json!({ "groups": ["kids"] })).await;
    assert!(is_blocked(&server, "shop.blocked.example").await);
    assert!(!is_blocked_for(&server, KID, "shop.blocked.example").await);
    server.clock.store(1_795_874_400 + 2 * 86_400, Relaxed);
    assert!(is_blocked_for(&server, KID, "shop.blocked.example").await, "its day is over");
    assert_eq!(server.json("/api/v1/exceptions").await["exceptions"][1]["holds"], false);
    // One that is over may be changed, and not to another day that is over.
    done(&server, &format!("PATCH {at}"), json!({ "reason": "no more" })).await;
    let (status, _, told) = refused(&server, &format!("PATCH {at}"), json!({ "until": "2026-11-29" })).await;
    assert_eq!((status, &told["problems"][0]["field"]), (422, &json!("until")), "{told}");
    done(&server, &format!("PATCH {at}"), json!({ "until": null })).await;
    assert!(!is_blocked_for(&server, KID, "shop.blocked.example").await);
    let removed = done(&server, &format!("DELETE {at}"), json!({})).await;
    assert!(is_blocked_for(&server, KID, "shop.blocked.example").await);
    assert!(!is_blocked(&server, "own.blocked.example").await, "the owner's own stays");
    done(&server, &format!("POST /api/v1/changes/{}/undo", removed["change"]), json!({})).await;
    assert!(!is_blocked_for(&server, KID, "shop.blocked.example").await, "as it was last");
    // A number is never given twice.
    let told =
        done(&server, "POST /api/v1/exceptions", json!({ "names": ["a.blocked.example", "b.blocked.example"] })).await;
    assert_ne!(told["id"], json!(id));
    assert!(!is_blocked(&server, "x.b.blocked.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_undone_and_so_is_its_end() {
    let server = serve("").await;
    // 2026-11-28, in the afternoon.
    const NOW: u64 = 1_795_874_400;
    server.clock.store(NOW, Relaxed);
    let pause = async |body: Value| {
        let (status, told) = send(&server, "POST /api/v1/pause", "", Some(&body)).await;
        assert_eq!(status, 200, "{told}");
        told
    };
    // Who ends what isn't there changes nothing.
    let (status, told) = send(&server, "POST /api/v1/pause", "", Some(&json!({ "seconds": 0, "reason": "x" }))).await;
    assert_eq!((status, told.get("change")), (200, None), "{told}");
    let begun = pause(json!({ "seconds": 600, "reason": "guests" })).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    let can_undo = |all: &Value| -> Vec<bool> {
        all["changes"].as_array().unwrap().iter().map(|change| change["can_undo"] == true).collect()
    };
    let shown = server.json("/api/v1/changes").await;
    assert_eq!(can_undo(&shown), [true], "{shown}");
    let at = |told: &Value| format!("POST /api/v1/changes/{}/undo", told["change"]);
    // Tried first, then done: it ends.
    let tried = send(&server, &format!("{}?dry_run=true", at(&begun)), "", Some(&json!({}))).await;
    assert_eq!((tried.0, &tried.1["summary"]), (200, &json!("ended the pause of everybody")), "{}", tried.1);
    assert!(!is_blocked(&server, "blocked.example").await);
    let ended = done(&server, &at(&begun), json!({})).await;
    assert_eq!((&ended["summary"], &ended["in_force"]), (&json!("ended the pause of everybody"), &json!(true)));
    assert!(is_blocked(&server, "blocked.example").await);
    let (_, kind, told) = refused(&server, &at(&begun), json!({})).await;
    assert_eq!(kind, "changed_since");
    assert!(told["detail"].as_str().unwrap().contains("is undone already, by change 2 (local)"), "{told}");
    // Its end undone: it goes on for what remains, as it was.
    server.clock.store(NOW + 60, Relaxed);
    let again = done(&server, &at(&ended), json!({})).await;
    assert!(again["summary"].as_str().unwrap().starts_with("paused everybody until 2026-11-28 "), "{again}");
    let pauses = server.json("/api/v1/pause").await["pauses"].clone();
    assert_eq!((&pauses[0]["until"], &pauses[0]["reason"]), (&json!(NOW + 600), &json!("guests")), "{pauses}");
    assert!(!is_blocked(&server, "blocked.example").await);
    let lines = audit(&server);
    let of = |index: usize| (lines[index]["before"]["until"].as_u64(), lines[index]["after"]["until"].as_u64());
    assert_eq!((of(0), of(1), of(2)), ((None, Some(NOW + 600)), (Some(NOW + 600), None), (None, Some(NOW + 600))));
    assert_eq!((&lines[1]["undoes"], &lines[2]["undoes"]), (&begun["change"], &ended["change"]), "{lines:?}");
    // What was changed since is not undone, and what is over by itself is left so.
    let shorter = pause(json!({ "seconds": 60 })).await;
    assert_eq!(refused(&server, &at(&again), json!({})).await.1, "changed_since");
    let shown = server.json("/api/v1/changes").await;
    assert_eq!(can_undo(&shown), [true, false, false, false], "{shown}");
    server.clock.store(NOW + 700, Relaxed);
    let late = done(&server, &at(&shorter), json!({})).await;
    assert_eq!(
        (&late["change"], &late["summary"]),
        (&Value::Null, &json!("the pause of everybody is over by itself; nothing is changed"))
    );
    assert!(is_blocked(&server, "blocked.example").await);
    assert_eq!(audit(&server).len(), 4);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_state_folder_nothing_lasting_is_changed() {
    let folder = lists();
    let mut config = configure(&folder, None, PROGRAMS);
    config.state_dir = None;
    let server = start_as_configured(folder, config).await;
    for (line, body) in [
        ("PUT /api/v1/modes", json!({ "program": "strict", "mode": "off" })),
        ("POST /api/v1/exceptions", json!({ "names": ["blocked.example"] })),
        ("POST /api/v1/blocks", json!({ "name": "x.example" })),
    ] {
        let (status, kind, told) = refused(&server, line, body).await;
        assert_eq!((status, kind.as_str()), (503, "no_overlay"));
        assert!(told["detail"].as_str().unwrap().contains("set [state] dir"), "{told}");
    }
    assert!(is_blocked(&server, "blocked.example").await);
    let page = server.get("/programs").await.1;
    assert!(page.contains("there is no state folder") && !page.contains("/do/mode"), "{page}");
    assert!(server.get("/except").await.1.contains("There is no state folder"));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_changes_nothing() {
    let server =
        serve("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\nread_token_file = \"read-token\"\n").await;
    let (reader, operator) =
        ("Authorization: Bearer r3ader-of-pages-\r\n", "Authorization: Bearer 0perator-of-all-\r\n");
    let mode = json!({ "program": "strict", "mode": "off" });
    for (line, body) in [
        ("PUT /api/v1/modes", mode.clone()),
        ("PUT /api/v1/modes?dry_run=true", mode.clone()),
        ("DELETE /api/v1/modes", json!({ "program": "strict" })),
        ("PUT /api/v1/schedules", json!({ "group": "kids", "schedule": "" })),
        ("POST /api/v1/exceptions", json!({ "names": ["x.example"] })),
        ("PATCH /api/v1/exceptions/e1", json!({})),
        ("DELETE /api/v1/exceptions/e1", json!({})),
        ("POST /api/v1/blocks", json!({ "name": "x.example" })),
        ("PATCH /api/v1/blocks/b1", json!({})),
        ("DELETE /api/v1/blocks/b1", json!({})),
        ("POST /api/v1/changes/1/undo", json!({})),
        ("POST /api/v1/lists/rollback", json!({ "list": "strict/block.list", "version": "0123456789abcdef" })),
        ("POST /api/v1/lists/release", json!({ "list": "strict/block.list" })),
        ("POST /api/v1/let-through", json!({ "list": "strict/block.list", "names": ["com"], "confirmed": true })),
        ("DELETE /api/v1/let-through/l1", json!({})),
    ] {
        let (status, told) = send(&server, line, reader, Some(&body)).await;
        assert_eq!(status, 403, "{line}: {told}");
        assert!(told["type"].as_str().unwrap().ends_with("/read_only"), "{told}");
        assert_eq!(send(&server, line, "", Some(&body)).await.0, 401, "{line}");
    }
    for line in [
        "GET /api/v1/programs",
        "GET /api/v1/exceptions",
        "GET /api/v1/blocks",
        "GET /api/v1/overlay",
        "GET /api/v1/clients",
        "GET /api/v1/groups",
        "GET /api/v1/programs/strict/preview",
        "GET /api/v1/lists/strict/block.list",
        "GET /api/v1/let-through",
    ] {
        assert_eq!(send(&server, line, reader, None).await.0, 200, "{line}");
        assert_eq!(send(&server, line, "", None).await.0, 401, "{line}");
    }
    assert!(is_blocked(&server, "blocked.example").await);
    assert_eq!(send(&server, "PUT /api/v1/modes", operator, Some(&mode)).await.0, 200);
    assert!(!is_blocked(&server, "blocked.example").await);
    let line = audit(&server).into_iter().rfind(|line| line["what"] == "mode").unwrap();
    assert_eq!(
        (&line["who"], &line["role"], &line["from"]),
        (&json!("token"), &json!("operator"), &json!("127.0.0.1"))
    );
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_put_in_force_is_taken_back() {
    let folder = lists();
    fs::write(folder.path().join("hosts"), "127.0.0.1 me\n").unwrap();
    let server = start(folder, None, &format!("[local]\nhosts = [\"hosts\"]\n{PROGRAMS}")).await;
    done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    let before = file(&server);
    // Another part of the configuration no longer holds, so that nothing new can be put in force.
    fs::remove_file(server.path("hosts")).unwrap();
    let (status, _, told) = refused(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "off" })).await;
    assert_eq!(status, 500);
    assert!(told["detail"].as_str().unwrap().contains("nothing is changed: local.hosts"), "{told}");
    assert_eq!(file(&server), before);
    assert_eq!(server.json("/api/v1/programs").await["programs"][0]["mode"]["mode"], "shadow");
    let lines = audit(&server);
    let outcomes: Vec<_> = lines.iter().map(|line| (&line["outcome"], &line["before"], &line["after"])).collect();
    let (done, failed) = (json!("done"), json!("failed"));
    let (shadow, off) = (json!("shadow"), json!("off"));
    assert_eq!(outcomes, [(&done, &Value::Null, &shadow), (&done, &shadow, &off), (&failed, &off, &shadow)]);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_changes_keeps_what_lies_upon_it() {
    let server = serve("").await;
    done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    done(&server, "POST /api/v1/exceptions", json!({ "names": ["watched.example"], "programs": ["watching"] })).await;
    let renamed = PROGRAMS.replace("\"strict\"", "\"stern\"");
    let files = configure(&server.folder, None, &renamed);
    server.running.changing.files_say(files).await.unwrap();
    assert!(is_blocked(&server, "blocked.example").await, "the mode was of a program that is gone");
    eventually("the page tells that an entry rests", || async {
        server.get("/").await.1.contains("there is no program strict")
    })
    .await;
    let files = configure(&server.folder, None, PROGRAMS);
    server.running.changing.files_say(files).await.unwrap();
    assert!(!is_blocked(&server, "blocked.example").await, "it is there again");
    // What rests can be given back.
    let files = configure(&server.folder, None, &renamed);
    server.running.changing.files_say(files).await.unwrap();
    done(&server, "DELETE /api/v1/modes", json!({ "program": "strict" })).await;
    assert!(!file(&server).contains("strict"), "{}", file(&server));
    server.running.stop().await;
}
