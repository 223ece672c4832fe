//! Names blocked by hand, and schedules.

use super::{
    forms::{browse, csrf, page},
    *,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_blocked_by_hand_for_everybody_or_a_group() {
    let server = serve("").await;
    let told = done(&server, "POST /api/v1/blocks", json!({ "name": "Game.example", "reason": "homework" })).await;
    let first = told["id"].as_str().unwrap().to_owned();
    assert!(is_blocked(&server, "www.game.example").await);
    let answer = server.ask("www.game.example", RrType::ANY).await;
    let ede = answer.ede.unwrap();
    assert_eq!((ede.code, ede.text.as_str()), (15, "own/everybody everybody.list:4"));
    // A second one, and of one group alone: the lists are others, and counted at once.
    done(&server, "POST /api/v1/blocks", json!({ "name": "=video.example", "groups": ["kids"] })).await;
    done(&server, "POST /api/v1/blocks", json!({ "name": "chat.example" })).await;
    assert!(is_blocked(&server, "chat.example").await && is_blocked(&server, "game.example").await);
    assert!(is_blocked_for(&server, KID, "video.example").await);
    assert!(!is_blocked(&server, "video.example").await);
    assert!(!is_blocked_for(&server, KID, "www.video.example").await);
    // Clients in no group.
    done(&server, "POST /api/v1/blocks", json!({ "name": "work.example", "groups": ["default"] })).await;
    assert!(is_blocked(&server, "work.example").await);
    assert!(!is_blocked_for(&server, KID, "work.example").await);
    let explained = server.json("/api/v1/explain?name=game.example").await;
    assert_eq!(explained["verdicts"][0]["rule"]["text"], format!("game.example # {first}: homework"));
    // An exception of its own program, and what an exception passes.
    done(&server, "POST /api/v1/exceptions", json!({ "names": ["ok.game.example"], "programs": ["own"] })).await;
    assert!(!is_blocked(&server, "ok.game.example").await);
    let (status, kind, told) = refused(&server, "POST /api/v1/blocks", json!({ "name": "x.ok.game.example" })).await;
    assert_eq!((status, kind.as_str()), (409, "excepted"));
    assert!(told["detail"].as_str().unwrap().starts_with("overlay.toml:e"), "{told}");
    done(&server, &format!("PATCH /api/v1/blocks/{first}"), json!({ "name": "=game.example" })).await;
    assert!(!is_blocked(&server, "www.game.example").await && is_blocked(&server, "game.example").await);
    let removed = done(&server, &format!("DELETE /api/v1/blocks/{first}"), json!({})).await;
    assert!(!is_blocked(&server, "game.example").await && is_blocked(&server, "chat.example").await);
    done(&server, &format!("POST /api/v1/changes/{}/undo", removed["change"]), json!({})).await;
    assert!(is_blocked(&server, "game.example").await);
    assert_eq!(server.json("/api/v1/blocks").await["blocks"][0]["name"], "=game.example");
    let Server { running, folder, .. } = server;
    running.stop().await;
    let server = start(folder, None, PROGRAMS).await;
    assert!(is_blocked(&server, "game.example").await && is_blocked_for(&server, KID, "video.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_ends_by_itself() {
    let server = serve("").await;
    // 2026-11-28, in the afternoon.
    server.clock.store(1_795_874_400, Relaxed);
    done(&server, "POST /api/v1/blocks", json!({ "name": "game.example", "until": "2026-11-28" })).await;
    assert!(is_blocked(&server, "game.example").await);
    server.clock.store(1_795_874_400 + 86_400, Relaxed);
    eventually("the block ends", || async { !is_blocked(&server, "game.example").await }).await;
    assert_eq!(server.json("/api/v1/blocks").await["blocks"][0]["holds"], false);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_set_and_given_back() {
    let server = serve("").await;
    // A Saturday, 14:00.
    server.clock.store(1_795_874_400, Relaxed);
    let schedules = "PUT /api/v1/schedules";
    let told = done(&server, schedules, json!({ "program": "strict", "schedule": "Mon-Fri 08:00-17:00" })).await;
    assert_eq!(told["summary"], "had the program strict hold Mon-Fri 08:00-17:00");
    assert!(!is_blocked(&server, "blocked.example").await);
    let programs = server.json("/api/v1/programs").await;
    assert_eq!(programs["programs"][0]["services"][0]["modes"][0]["limit"], "its program's schedule");
    done(&server, schedules, json!({ "program": "strict", "schedule": "Sat 13:00-15:00" })).await;
    assert!(is_blocked(&server, "blocked.example").await);
    done(&server, schedules, json!({ "program": "strict", "schedule": null })).await;
    assert_eq!(file(&server), "");
    server.running.stop().await;
}

/// What the safety gate would hold back in a list isn't done by hand unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_suffix_takes_a_confirmation() {
    let server = serve("[local]\nrecords = [\"nas.lan. A 192.168.1.10\"]\n").await;
    let blocks = "POST /api/v1/blocks";
    for name in ["com", "CO.UK", "com.", "lan", "Corp."] {
        let (status, kind, told) = refused(&server, blocks, json!({ "name": name })).await;
        assert_eq!((status, kind.as_str()), (409, "confirm"), "{told}");
        assert!(told["detail"].as_str().unwrap().contains(" covers all of "), "{told}");
    }
    for name in ["=com", "x.com", "=lan"] {
        done(&server, blocks, json!({ "name": name })).await;
    }
    done(&server, blocks, json!({ "name": "lan", "confirmed": true })).await;
    let except = "POST /api/v1/exceptions";
    assert_eq!(refused(&server, except, json!({ "names": ["ok.example", "com"] })).await.1, "confirm");
    // What is only tried tells of it.
    for (line, body) in [(blocks, json!({ "name": "com" })), (except, json!({ "names": ["com"] }))] {
        let (status, told) = send(&server, &format!("{line}?dry_run=true"), "", Some(&body)).await;
        assert_eq!((status, &told["in_force"]), (200, &json!(false)), "{told}");
        assert!(told["to_confirm"].as_str().unwrap().starts_with("com covers all of .com;"), "{told}");
    }
    assert!(!is_blocked(&server, "a.example.com").await);
    let made = done(&server, blocks, json!({ "name": "com", "confirmed": true })).await;
    assert!(is_blocked(&server, "a.example.com").await);
    // What stays as it is isn't asked about again; what comes back is.
    let block = made["id"].as_str().unwrap();
    done(&server, &format!("PATCH /api/v1/blocks/{block}"), json!({ "reason": "for a day" })).await;
    let removed = done(&server, &format!("DELETE /api/v1/blocks/{block}"), json!({})).await;
    let undo = format!("POST /api/v1/changes/{}/undo", removed["change"]);
    assert_eq!(refused(&server, &undo, json!({})).await.1, "confirm");
    let wait = page(&server, "/changes").await;
    let form = |rest: &str| format!("csrf={}&{rest}", csrf(&wait));
    let change = format!("change={}", removed["change"]);
    let (status, _) = browse(&server, "POST /do/undo", &form(&change)).await;
    assert_eq!(status, format!("303 /changes?undo={}", removed["change"]));
    let asked = page(&server, status.split_once(' ').unwrap().1).await;
    assert!(
        asked.contains("It covers a whole suffix again") && asked.contains("\"confirmed\" value=\"yes\""),
        "{asked}"
    );
    let (status, _) = browse(&server, "POST /do/undo", &form(&format!("{change}&confirmed=yes"))).await;
    assert!(status.starts_with("303 /changes?done=") && is_blocked(&server, "a.example.com").await, "{status}");
    // By the form: what is confirmed is what stands there.
    let (status, body) = browse(&server, "POST /do/except", &form("names=org&confirmed=com")).await;
    assert!(status.starts_with("409") && body.contains("name=\"confirmed\" value=\"org\""), "{status} {body}");
    let (status, _) = browse(&server, "POST /do/except", &form("names=org&confirmed=org")).await;
    assert!(status.starts_with("303"), "{status}");
    // A name of this network is answered before any block.
    let told = done(&server, blocks, json!({ "name": "nas.lan" })).await;
    let note = "nas.lan still resolves: it is a name of your own ([local]), answered here before any policy";
    assert_eq!(told["note"], note, "{told}");
    assert!(page(&server, "/except").await.contains(note));
    assert!(done(&server, blocks, json!({ "name": "other.lan" })).await.get("note").is_none());
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_block_is_made_twice_and_none_says_two_things() {
    let server = serve("").await;
    let blocks = "POST /api/v1/blocks";
    let made = done(&server, blocks, json!({ "name": "game.example" })).await;
    let (status, _, told) = refused(&server, blocks, json!({ "name": "Game.example.", "reason": "again" })).await;
    assert_eq!((status, &told["problems"][0]["field"]), (422, &json!("name")), "{told}");
    assert!(told["detail"].as_str().unwrap().ends_with(&format!("by {}", made["id"].as_str().unwrap())), "{told}");
    for other in [
        json!({ "name": "=game.example" }),
        json!({ "name": "game.example", "groups": ["kids"] }),
        json!({ "name": "game.example", "until": "2099-12-31" }),
    ] {
        done(&server, blocks, other).await;
    }
    done(&server, &format!("PATCH /api/v1/blocks/{}", made["id"].as_str().unwrap()), json!({ "reason": "why" })).await;
    for (line, body) in [
        (blocks, json!({ "name": "=foo2.example", "match": "subtree" })),
        ("POST /api/v1/exceptions", json!({ "names": ["=foo2.example"], "match": "subtree" })),
    ] {
        let (status, _, told) = refused(&server, line, body).await;
        assert_eq!((status, &told["problems"][0]["field"]), (422, &json!("match")), "{told}");
    }
    server.running.stop().await;
}
