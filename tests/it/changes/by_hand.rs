//! The overlay edited by hand, while the server runs and while it doesn't.

use super::*;
use crate::harness::{configure, start_as_configured, start_following};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_by_hand_is_taken_and_a_bad_one_never_replaces_a_good_one() {
    let server = serve("").await;
    let path = server.path("state/overlay.toml");
    done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    fs::write(&path, "version = 1\n[modes.everybody]\n\"strict\" = \"of\"\n").unwrap();
    // It isn't the one that was last read.
    let mode = json!({ "program": "watching", "mode": "off" });
    let (status, kind, told) = refused(&server, "PUT /api/v1/modes", mode.clone()).await;
    assert_eq!((status, kind.as_str()), (409, "changed_since"), "{told}");
    eventually("the page tells of it", || async {
        server.get("/").await.1.contains("overlay.toml:3:12: modes.everybody.strict")
    })
    .await;
    let (status, _, told) = refused(&server, "PUT /api/v1/modes", mode.clone()).await;
    assert!(status == 409 && told["detail"].as_str().unwrap().contains("mend it or delete it"), "{told}");
    assert!(!is_blocked(&server, "blocked.example").await, "the good one stays");
    assert_eq!(server.json("/readyz").await["status"], "degraded");
    fs::write(
        &path,
        "[modes.everybody]\n\"strict\" = \"enforce\"\n[[exception]]\nid = \"e5\"\nnames = [\"ok.blocked.example\"]\n",
    )
    .unwrap();
    eventually("the edit is in force", || async { is_blocked(&server, "blocked.example").await }).await;
    assert!(!is_blocked(&server, "ok.blocked.example").await);
    eventually("it is noted", || async { audit(&server).len() == 3 }).await;
    let by_hand: Vec<Value> = audit(&server).split_off(1);
    let told: Vec<_> =
        by_hand.iter().map(|line| (line["by"].as_str().unwrap(), line["key"].as_str().unwrap())).collect();
    assert_eq!(told, [("file", "modes/everybody/strict"), ("file", "exception/e5")]);
    // What was edited by hand is undone like anything else.
    done(&server, &format!("POST /api/v1/changes/{}/undo", by_hand[0]["change"]), json!({})).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    done(&server, "PUT /api/v1/modes", mode).await;
    fs::remove_file(&path).unwrap();
    eventually("all is undone", || async { is_blocked(&server, "ok.blocked.example").await }).await;
    eventually("that is noted too", async || audit(&server).len() == 8).await;
    // Only what was last done to each thing can be undone, and who wants more is told of what came later.
    let changes = server.json("/api/v1/changes").await;
    let mut undoable: Vec<&str> = Vec::new();
    for change in changes["changes"].as_array().unwrap() {
        match change["can_undo"] == true {
            true => undoable.push(change["key"].as_str().unwrap()),
            false => assert!(change["change"].as_u64().unwrap() < 6, "{change}"),
        }
    }
    undoable.sort_unstable();
    assert_eq!(undoable, ["exception/e5", "modes/everybody/strict", "modes/everybody/watching"], "{changes}");
    let (_, kind, told) = refused(&server, "POST /api/v1/changes/2/undo", json!({})).await;
    assert_eq!(kind, "changed_since", "{told}");
    assert!(
        told["detail"].as_str().unwrap().starts_with("modes/everybody/strict was changed again by change "),
        "{told}"
    );
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_without_an_overlay_that_it_cannot_read() {
    let folder = lists();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/overlay.toml"), "[modes]\nx = 1\n").unwrap();
    let server = start(folder, None, PROGRAMS).await;
    assert!(is_blocked(&server, "blocked.example").await);
    let page = server.get("/").await.1;
    assert!(page.contains("overlay.toml:2:1: modes.x: there is no such option"), "{page}");
    fs::remove_file(server.path("state/overlay.toml")).unwrap();
    eventually("all is well again", || async { !server.get("/").await.1.contains("modes.x") }).await;
    server.running.stop().await;
}

/// What lies upon the files was laid at the start, and nothing is built again for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overlay_is_no_change_of_the_files() {
    let mut versions = Vec::new();
    for overlay in ["", "version = 1\n[modes.everybody]\n\"strict\" = \"shadow\"\n"] {
        let folder = lists();
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::write(folder.path().join("state/overlay.toml"), overlay).unwrap();
        let server = start_following(folder, None, &[], PROGRAMS).await;
        // The files are read once more before this.
        server.running.reloaded().await.unwrap_err();
        assert_eq!(is_blocked(&server, "blocked.example").await, overlay.is_empty());
        versions.push(server.running.published.policy.load().as_ref().unwrap().epoch());
        server.running.stop().await;
    }
    assert_eq!(versions[0], versions[1]);
}

/// Whoever removes or edits the file while nobody looks is found out at the next start, and that is undone like all else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_while_the_server_was_off_is_noted_and_can_be_undone() {
    let server = serve("").await;
    done(&server, "PUT /api/v1/modes", json!({ "program": "strict", "mode": "shadow" })).await;
    done(&server, "POST /api/v1/exceptions", json!({ "names": ["ok.watched.example"], "reason": "ours" })).await;
    let again = async |server: Server| {
        server.running.stop().await;
        let config = configure(&server.folder, None, PROGRAMS);
        start_as_configured(server.folder, config).await
    };
    // Nothing was done to it.
    let server = again(server).await;
    eventually("it looks", async || server.get("/changes").await.0 == 200).await;
    assert_eq!(audit(&server).len(), 2);
    fs::remove_file(server.path("state/overlay.toml")).unwrap();
    let server = again(server).await;
    eventually("it is noted", async || audit(&server).len() == 4).await;
    assert!(is_blocked(&server, "blocked.example").await);
    for (line, key, before) in [(2, "modes/everybody/strict", "shadow"), (3, "exception/e2", "ours")] {
        let line = &audit(&server)[line];
        assert_eq!((&line["by"], &line["who"]), (&json!("file"), &json!("file, while the server was off")), "{line}");
        assert_eq!((&line["key"], &line["after"]), (&json!(key), &Value::Null), "{line}");
        assert!(line["before"].to_string().contains(before), "{line}");
    }
    done(&server, "POST /api/v1/changes/3/undo", json!({})).await;
    assert!(!is_blocked(&server, "blocked.example").await);
    // It is noted once, and what was edited rather than removed likewise.
    fs::write(server.path("state/overlay.toml"), "[modes.everybody]\nstrict = \"off\"\n").unwrap();
    let server = again(server).await;
    eventually("the edit is noted", async || audit(&server).len() == 6).await;
    let line = audit(&server).pop().unwrap();
    assert_eq!((&line["before"], &line["after"]), (&json!("shadow"), &json!("off")), "{line}");
    server.running.stop().await;
}
