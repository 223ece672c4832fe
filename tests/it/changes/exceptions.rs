//! How often exceptions let something pass: the owner's, those made here, and those of lists.

use super::{forms::page, *};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_taken_as_its_host() {
    let server = serve("").await;
    let pasted = json!({ "names": ["https://shop.blocked.example:8443/a?b=c", "plain.example"] });
    let told = done(&server, "POST /api/v1/exceptions", pasted).await;
    let taken = "https://shop.blocked.example:8443/a?b=c is taken as shop.blocked.example";
    assert_eq!(told["note"], taken, "{told}");
    assert!(!is_blocked(&server, "shop.blocked.example").await);
    assert!(is_blocked(&server, "blocked.example").await);
    let told = done(&server, "POST /api/v1/blocks", json!({ "name": "=game.example/play" })).await;
    assert_eq!(told["note"], "=game.example/play is taken as =game.example", "{told}");
    assert!(is_blocked(&server, "game.example").await && !is_blocked(&server, "www.game.example").await);
    let (status, _, told) = refused(&server, "POST /api/v1/blocks", json!({ "name": "http://192.0.2.1/" })).await;
    assert_eq!(status, 422, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("leads to an address, not to a name"), "{told}");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_tell_how_often_they_matched() {
    let folder = lists();
    write_list(
        &folder.path().join("block.list"),
        &["blocked.example", "@pass.blocked.example", "@quiet.blocked.example"],
    );
    let toml = format!(
        "[[policy.exception]]\nnames = [\"own.blocked.example\"]\nreason = \"mine\"\n\
         [[policy.exception]]\nnames = [\"never.blocked.example\"]\n{PROGRAMS}"
    );
    let server = start(folder, None, &toml).await;
    let made = json!({ "names": ["shop.blocked.example"], "reason": "checkout" });
    assert_eq!(send(&server, "POST /api/v1/exceptions", "", Some(&made)).await.0, 201);
    for (name, times) in [("own.blocked.example", 2), ("shop.blocked.example", 3), ("pass.blocked.example", 1)] {
        for _ in 0..times {
            assert!(!is_blocked(&server, name).await, "{name}");
        }
    }
    eventually("all is recorded", || async { server.json("/api/v1/log").await["rows"].as_array().unwrap().len() == 6 })
        .await;
    let told = server.json("/api/v1/exceptions").await;
    let hits = |name: &str| {
        let all = told["exceptions"].as_array().unwrap().iter();
        let mut own = all.filter(|own| own["names"][0].as_str().unwrap().ends_with(name));
        own.next().map(|own| (own["hits_24h"].clone(), own["hits_7d"].clone())).unwrap_or_else(|| panic!("{told}"))
    };
    assert_eq!(hits("own.blocked.example"), (json!(2), json!(2)), "{told}");
    assert_eq!(hits("shop.blocked.example"), (json!(3), json!(3)), "{told}");
    assert_eq!(hits("never.blocked.example"), (json!(0), json!(0)), "{told}");
    let of_list = &told["of_lists"][0];
    assert_eq!(
        (&of_list["list"], &of_list["there_are"], &of_list["used_7d"]),
        (&json!("block.list"), &json!(2), &json!(1))
    );
    let first = json!({ "line": 3, "rule": "pass.blocked.example", "hits_24h": 1, "hits_7d": 1 });
    assert_eq!(of_list["rules"][0], first, "{told}");
    assert_eq!(of_list["rules"][1]["hits_7d"], 0, "{told}");
    let shown = page(&server, "/except").await;
    for part in
        ["<b>unused</b>", "block.list, 2 exceptions, 1 used in 7 days", "Unused: <code>quiet.blocked.example</code>"]
    {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    server.running.stop().await;
    // Without a record nobody knows.
    let server = serve("[query_log]\nenabled = false\n").await;
    assert_eq!(send(&server, "POST /api/v1/exceptions", "", Some(&made)).await.0, 201);
    let told = server.json("/api/v1/exceptions").await;
    assert!(
        told["exceptions"][0]["hits_7d"].is_null() && told["caveat"].as_str().unwrap().contains("[query_log]"),
        "{told}"
    );
    assert!(page(&server, "/except").await.contains("isn't known: nothing is recorded"));
    server.running.stop().await;
}
