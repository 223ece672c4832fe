//! Lists compared with what they were, rolled back, and released.

use super::{
    forms::{browse, csrf, page},
    *,
};
use crate::{harness::list_text, pages};

const LIST: &str = "/api/v1/lists/strict/block.list";
const ROLL_BACK: &str = "POST /api/v1/lists/rollback";
const RELEASE: &str = "POST /api/v1/lists/release";

/// Writes another text of the list that enforces, and waits until a name of it is blocked.
async fn write(server: &Server, rules: &[&str]) {
    write_list(&server.path("block.list"), rules);
    eventually("the new text is in force", || is_blocked(server, rules[0])).await;
}

/// The versions of that list, the last first, once so many are kept.
async fn versions(server: &Server, count: usize) -> Vec<String> {
    eventually("its texts are kept", || async {
        let versions = server.json(LIST).await["versions"].clone();
        versions.as_array().unwrap().iter().filter(|version| version["bytes"].is_number()).count() == count
    })
    .await;
    let one = server.json(LIST).await;
    one["versions"].as_array().unwrap().iter().map(|version| version["version"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_rolled_back_at_once_and_stays_so_until_it_is_released() {
    let server = serve("").await;
    versions(&server, 1).await;
    write(&server, &["second.example", "third.example"]).await;
    let kept = versions(&server, 2).await;
    let (second, first) = (kept[0].as_str(), kept[1].as_str());
    assert!(!is_blocked(&server, "blocked.example").await);
    let asked = json!({ "list": "strict/block.list", "version": &first[..8], "reason": "it broke <b>" });
    let tried = send(&server, &format!("{ROLL_BACK}?dry_run=true"), "", Some(&asked)).await;
    assert_eq!((tried.0, &tried.1["in_force"], file(&server)), (200, &json!(false), String::new()));
    let told = done(&server, ROLL_BACK, asked).await;
    assert!(is_blocked(&server, "blocked.example").await && !is_blocked(&server, "second.example").await);
    assert_eq!(told["summary"], format!("pinned strict/block.list at version {first}: it broke <b>"));
    let written = format!("[[pin]]\nlist = \"strict/block.list\"\nversion = \"{first}\"\nreason = \"it broke <b>\"\n");
    assert!(file(&server).contains(&written), "{}", file(&server));
    // What the owner wrote is left alone.
    let text = fs::read_to_string(server.path("block.list")).unwrap();
    assert_eq!(text, list_text(&["second.example", "third.example"]));
    let line = audit(&server).pop().unwrap();
    assert_eq!((&line["what"], &line["key"]), (&json!("rollback"), &json!("pin/strict/block.list")));
    let one = server.json(LIST).await;
    assert_eq!((&one["version"], &one["rules"]), (&json!(first), &json!(1)));
    assert_eq!(
        (&one["pinned"]["version"], &one["pinned"]["waiting"], &one["pinned"]["waiting_rules"]),
        (&json!(first), &json!(second), &json!(2))
    );
    let states = |version: &Value| ["in_force", "pinned", "newest"].map(|state| version[state].as_bool().unwrap());
    let states: Vec<[bool; 3]> = one["versions"].as_array().unwrap().iter().map(states).collect();
    assert_eq!(states, [[false, false, true], [true, true, false]]);
    // The line that blocks is of the text in force, though the file is another one.
    let explained = server.json("/api/v1/explain?name=blocked.example").await;
    assert_eq!(explained["verdicts"][0]["rule"]["text"], "blocked.example");
    assert!(server.get("/").await.1.contains(&format!("version {second} with 2 rules waits")));
    assert_eq!(server.json("/readyz").await["status"], "ready", "it is so because somebody wanted it");
    // Whatever the list becomes.
    write_list(&server.path("block.list"), &["fourth.example"]);
    eventually("the newest waits", || async { server.json(LIST).await["pinned"]["waiting"] != json!(second) }).await;
    assert!(is_blocked(&server, "blocked.example").await && !is_blocked(&server, "fourth.example").await);
    fs::write(server.path("block.list"), "").unwrap();
    eventually("that it is of no use is told", || async {
        let reasons = server.json("/readyz").await["reasons"].to_string();
        reasons.contains("it is empty; the version that it is pinned at serves")
    })
    .await;
    assert!(is_blocked(&server, "blocked.example").await);
    write_list(&server.path("block.list"), &["fourth.example"]);
    eventually("it is well again", || async { server.json("/readyz").await["status"] == "ready" }).await;
    // Over a restart.
    let Server { running, folder, .. } = server;
    running.stop().await;
    let server = start(folder, None, PROGRAMS).await;
    assert!(is_blocked(&server, "blocked.example").await && !is_blocked(&server, "fourth.example").await);
    // And until it is released, which is undone like anything else.
    let told = done(&server, RELEASE, json!({ "list": "strict/block.list" })).await;
    assert_eq!(told["summary"], format!("released strict/block.list from version {first}"));
    assert!(!is_blocked(&server, "blocked.example").await && is_blocked(&server, "fourth.example").await);
    assert_eq!((file(&server), server.json(LIST).await["pinned"].clone()), (String::new(), Value::Null));
    done(&server, &format!("POST /api/v1/changes/{}/undo", told["change"]), json!({})).await;
    assert!(is_blocked(&server, "blocked.example").await && !is_blocked(&server, "fourth.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_texts_are_kept_and_the_pinned_one_with_them() {
    let server = serve("").await;
    let first = versions(&server, 1).await.remove(0);
    done(&server, ROLL_BACK, json!({ "list": "strict/block.list", "version": first })).await;
    assert!(server.json(LIST).await["pinned"]["waiting"].is_null(), "it is what the list is");
    for number in 0..6 {
        let before = server.json(LIST).await["pinned"]["waiting"].clone();
        write_list(&server.path("block.list"), &[&format!("n{number}.example")]);
        eventually("the text was read and is kept", || async {
            let one = server.json(LIST).await;
            let mut versions = one["versions"].as_array().unwrap().iter();
            one["pinned"]["waiting"] != before
                && versions
                    .any(|version| version["version"] == one["pinned"]["waiting"] && version["bytes"].is_number())
        })
        .await;
    }
    let kept = versions(&server, 6).await;
    assert_eq!(kept[5], first, "five, and the one that it is pinned at");
    assert!(is_blocked(&server, "blocked.example").await);
    let sizes = fs::read_dir(server.path("state/lists")).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(sizes.filter(|name| name.to_str().unwrap().starts_with("block.list")).count(), 7);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_gone_is_a_concern_and_the_list_as_it_is_serves() {
    let server = serve("").await;
    versions(&server, 1).await;
    write(&server, &["second.example"]).await;
    let first = versions(&server, 2).await.remove(1);
    done(&server, ROLL_BACK, json!({ "list": "strict/block.list", "version": first })).await;
    let Server { running, folder, .. } = server;
    running.stop().await;
    for file in fs::read_dir(folder.path().join("state/lists")).unwrap().map(|file| file.unwrap().path()) {
        if file.to_str().unwrap().contains(&first) {
            fs::remove_file(file).unwrap();
        }
    }
    let overlay = folder.path().join("state/overlay.toml");
    let more = "[[pin]]\nlist = \"watching/gone.list\"\nversion = \"0123456789abcdef\"\n";
    fs::write(&overlay, fs::read_to_string(&overlay).unwrap() + more).unwrap();
    let server = start(folder, None, PROGRAMS).await;
    assert!(is_blocked(&server, "second.example").await && !is_blocked(&server, "blocked.example").await);
    let reasons = server.json("/readyz").await["reasons"].clone();
    let expected = format!(
        "strict/block.list is pinned, but version {first} of it is no longer kept; as it is now, it is in force"
    );
    assert_eq!(reasons, json!([expected]));
    let shown = server.get("/lists/strict/block.list").await.1;
    assert!(shown.contains("is no longer kept.</b> So the list as it is now is in force."), "{shown}");
    assert!(
        server.get("/").await.1.contains("overlay.toml: pin/watching/gone.list: there is no list watching/gone.list")
    );
    for list in ["strict/block.list", "watching/gone.list"] {
        done(&server, RELEASE, json!({ "list": list })).await;
    }
    assert_eq!((server.json("/readyz").await["status"].as_str(), file(&server)), (Some("ready"), String::new()));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_is_told_and_whom_it_would_have_hit() {
    let server = serve("").await;
    for name in ["blocked.example", "x.blocked.example", "second.example"] {
        is_blocked_for(&server, KID, name).await;
    }
    let none = send(&server, &format!("GET {LIST}/diff"), "", None).await;
    assert_eq!(none.0, 404, "{none:?}");
    write(&server, &["second.example", "third.example", "@fine.example"]).await;
    let kept = versions(&server, 2).await;
    let hit = |diff: &Value, side: &str| diff[side]["would_hit"].clone();
    eventually("what was asked is recorded", || async {
        hit(&server.json(&format!("{LIST}/diff")).await, "removed")["queries"] == 2
    })
    .await;
    let diff = server.json(&format!("{LIST}/diff")).await;
    assert_eq!((&diff["from"]["version"], &diff["to"]["version"]), (&json!(kept[1]), &json!(kept[0])));
    assert_eq!(diff["added"]["rules"], json!(["second.example", "third.example", "@fine.example"]));
    assert_eq!((&diff["removed"]["rules"], &diff["removed"]["count"]), (&json!(["blocked.example"]), &json!(1)));
    assert_eq!(hit(&diff, "removed"), json!({ "queries": 2, "names": 2, "clients": 1, "upper_bound": false }));
    assert_eq!(hit(&diff, "added")["names"], 1);
    let other = server.json(&format!("{LIST}/diff?from={}&to={}&hours=0", kept[0], &kept[1][..6])).await;
    assert_eq!((&other["added"]["rules"], hit(&other, "added")), (&json!(["blocked.example"]), Value::Null));
    for (query, status) in [("from=zz", 422), ("from=0123456789abcdef", 404), ("hours=100000", 422), ("hour=1", 400)] {
        assert_eq!(send(&server, &format!("GET {LIST}/diff?{query}"), "", None).await.0, status, "{query}");
    }
    assert_eq!(send(&server, "GET /api/v1/lists/strict/none.list", "", None).await.0, 404);
    assert_eq!(send(&server, "GET /api/v1/lists/strict/none.list/diff", "", None).await.0, 404);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_of_lists_and_rules_that_never_hit_are_told() {
    let folder = lists();
    write_list(&folder.path().join("block.list"), &["blocked.example", "quiet.example", "=still.example"]);
    let server = start(folder, None, PROGRAMS).await;
    is_blocked(&server, "blocked.example").await;
    is_blocked(&server, "blocked.example").await;
    eventually("all is recorded", || async { server.json("/api/v1/log").await["rows"].as_array().unwrap().len() == 2 })
        .await;
    eventually("it is counted", || async { server.json(LIST).await["hits_7d"] == 2 }).await;
    let one = server.json(LIST).await;
    assert_eq!(one["hits"]["last_day"], json!({ "blocked": 2, "would_block": 0, "excepted": 0 }));
    assert_eq!(one["hits"]["since_start"]["blocked"], 2);
    assert_eq!(one["never_hit"]["there_are"], 2);
    assert_eq!(one["never_hit"]["rules"][0], json!({ "line": 3, "rule": "quiet.example" }));
    let quiet = server.json("/api/v1/lists?never_hit=true").await["lists"].clone();
    assert_eq!((quiet.as_array().unwrap().len(), &quiet[0]["list"]), (1, &json!("watch.list")));
    assert_eq!(server.json("/api/v1/lists?hits=true").await["lists"][0]["hits_24h"], 2);
    let shown = page(&server, "/lists?never_hit=yes").await;
    assert!(shown.contains("watch.list") && !shown.contains("block.list"), "{shown}");
    let shown = page(&server, "/lists/strict/block.list").await;
    assert!(shown.contains("2 rules of 3 decided nothing") && shown.contains("=still.example"), "{shown}");
    assert!(page(&server, "/lists").await.contains("hits in 7 days"));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rolled_back_is_refused() {
    let server = serve("").await;
    versions(&server, 1).await;
    let long = "x".repeat(301);
    let list = "strict/block.list";
    let own = server.json(LIST).await["version"].clone();
    for (asked, field, message) in [
        (json!({ "list": "strict/none.list", "version": own }), "list", "there is no list strict/none.list"),
        (json!({ "list": "strict", "version": own }), "list", "is no list"),
        (json!({ "list": list, "version": "ab" }), "version", "is no version"),
        (json!({ "list": list, "version": "<b>0123456789" }), "version", "is no version"),
        (json!({ "list": list, "version": "0123456789abcdef" }), "version", "is not kept; kept are"),
        (json!({ "list": list, "version": own, "reason": long }), "reason", "at most 300 octets"),
    ] {
        let (status, kind, told) = refused(&server, ROLL_BACK, asked.clone()).await;
        assert_eq!((status, kind.as_str(), &told["problems"][0]["field"]), (422, "invalid", &json!(field)), "{told}");
        assert!(told["problems"][0]["message"].as_str().unwrap().contains(message), "{asked}: {told}");
    }
    assert_eq!(refused(&server, RELEASE, json!({ "list": list })).await.0, 404);
    assert_eq!(refused(&server, RELEASE, json!({ "list": "x" })).await.0, 422);
    assert_eq!((file(&server), audit(&server)), (String::new(), Vec::new()));
    server.running.stop().await;
    // Without a state folder nothing is kept.
    let folder = lists();
    let mut config = configure(&folder, None, PROGRAMS);
    config.state_dir = None;
    let server = start_as_configured(folder, config).await;
    assert_eq!(server.json(LIST).await["versions"][0]["bytes"], Value::Null);
    let (status, kind, _) = refused(&server, ROLL_BACK, json!({ "list": list, "version": "0123456789abcdef" })).await;
    assert_eq!((status, kind.as_str()), (503, "no_overlay"));
    assert!(server.get("/lists/strict/block.list").await.1.contains("there is no state folder"));
    server.running.stop().await;
}

/// Lines of lists are hostile input, and so is a reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_compared_and_rolled_back_on_the_page() {
    const HOSTILE: &str = "/<script>alert(1)<\\/script>\u{202e}/";
    let server = serve("").await;
    versions(&server, 1).await;
    fs::write(server.path("block.list"), format!("#! cleandns\nsecond.example\n{HOSTILE}\n")).unwrap();
    eventually("the new text is in force", || is_blocked(&server, "second.example")).await;
    let kept = versions(&server, 2).await;
    let shown = page(&server, "/lists/strict/block.list").await;
    let link = format!("/lists/strict/block.list?from={}&#38;to={}#diff", kept[1], kept[0]);
    assert!(shown.contains(&link), "{shown}");
    assert!(shown.contains("Roll back to this") && shown.contains("Pin this one"), "{shown}");
    let diff = page(&server, &format!("/lists/strict/block.list?from={}&to={}&hours=168", kept[1], kept[0])).await;
    pages::check("diff", &diff);
    assert!(diff.contains("2 rules added") && diff.contains("1 rule removed"), "{diff}");
    assert!(diff.contains("&#60;script&#62;alert(1)") && diff.contains("\\u{202e}"), "{diff}");
    let none = page(&server, "/lists/strict/block.list?from=zz%3Cb%3E").await;
    pages::check("no version", &none);
    assert!(none.contains("is no version"), "{none}");
    let form = |rest: &str| format!("csrf={}&list=strict%2Fblock.list&{rest}", csrf(&shown));
    let (status, again) =
        browse(&server, "POST /do/rollback", &form("version=0123456789abcdef&reason=%22%3Cb%3E")).await;
    assert!(status.starts_with("422") && again.contains("is not kept"), "{status} {again}");
    assert!(again.contains("value=\"&#34;&#60;b&#62;\""), "what was typed is kept: {again}");
    let (status, _) = browse(&server, "POST /do/rollback", &form(&format!("version={}&reason=%3Cb%3E", kept[1]))).await;
    assert_eq!(status, "303 /lists/strict/block.list?done=1");
    assert!(is_blocked(&server, "blocked.example").await);
    let told = page(&server, "/lists/strict/block.list?done=1").await;
    pages::check("pinned", &told);
    assert!(told.contains("pinned strict/block.list at version") && told.contains("Release it"), "{told}");
    assert!(page(&server, "/lists").await.contains("pinned, a newer version waits"));
    let (status, _) = browse(&server, "POST /do/release", &form("")).await;
    assert_eq!(status, "303 /lists/strict/block.list?done=2");
    assert!(!is_blocked(&server, "blocked.example").await);
    let (status, _) = browse(&server, "POST /do/release", &form("")).await;
    assert!(status.starts_with("404"), "{status}");
    let (status, _) = browse(&server, "POST /do/rollback", "list=strict%2Fblock.list&version=0123").await;
    assert!(status.starts_with("403"), "without the token: {status}");
    server.running.stop().await;
}
