//! Names blocked by hand, and schedules.

use super::*;

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
