//! What goes wrong, and leaves the last good list in force.

use super::*;

/// A list of 100 000 octets, gzipped.
const BOMB: &str = "1f8b0800000000000203edc1b10d80201000c0fea7d0d01b5702fd0ed0c4c6f15dc3e2eecaba1c3deb3ce713ed1a6ddff2ade3\
                    ee1905000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                    00000000000000000000f8adf800ed34d50ebb860100";

/// What a server may say in place of a list, and what is said of it.
fn useless() -> Vec<(&'static str, Reply, &'static str)> {
    let good = || list(&["old.example", "never.example"]);
    let long = "#".repeat(BODY_BYTES_MAX as usize);
    let long = || Reply::text(&format!("#! cleandns\nnever.example\n{long}\n"));
    let to = |location: &str| Reply::text("").status(301).header("location", location);
    vec![
        ("500", good().status(500), "the server answered 500"),
        ("404", good().status(404), "the server answered 404"),
        ("206", good().status(206), "the server answered 206"),
        ("304, unasked", Reply::text("").status(304), "the server answered 304"),
        ("a redirect to nowhere", Reply::text("").status(302), "can't be downloaded"),
        (
            "a web page that says so",
            good().header("content-type", "text/html; charset=utf-8"),
            "a web page (text/html)",
        ),
        ("a web page", Reply::text("<!doctype html>\n<html>never.example</html>"), "it is a web page"),
        ("nothing", Reply::text(""), "it is empty"),
        ("no list", Reply::text("((nonsense))\n"), "valid rule"),
        ("too much, announced", long(), "it is longer than 20000 octets"),
        ("too much, not announced", long().manner(Manner::Chunked), "it is longer than 20000 octets"),
        (
            "too much when unpacked",
            Reply::text("").body(&octets(BOMB)).header("content-encoding", "gzip"),
            "it is longer than 20000 octets",
        ),
        ("not really gzip", good().header("content-encoding", "gzip"), "gzip"),
        ("half of it", good().manner(Manner::CutOff), "the connection ended before the list did"),
        ("half of it, slowly", good().manner(Manner::Stalled), "it took longer than 5 s"),
        ("a way out of TLS", to("http://127.0.0.1/b"), "it leads to http://127.0.0.1/b, and only https is followed"),
        ("a loop", to(PATH), "it is redirected more than 5 times"),
        ("a host that isn't there", to("https://nowhere.example/"), "nowhere.example"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_changes_nothing() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]));
    let scene = Scene::start(lists, "").await;
    for (round, (kind, reply, reason)) in useless().into_iter().enumerate() {
        scene.lists.say(PATH, reply);
        scene.server.running.update_lists();
        scene.until_reason(reason).await;
        let said = scene.reasons().await.remove(0);
        measured(&format!("url list: {kind}: {said}"));
        assert!(said.contains(&scene.url) && said.contains("(last downloaded 20"), "{kind}: {said}");
        assert!(scene.is_blocked("old.example").await && !scene.is_blocked("never.example").await, "{kind}");
        assert_eq!(scene.server.metric("cleandns_list_healthy", &["list=\"a.list\""]).await, 0.0, "{kind}");
        let name = format!("repaired{round}.example");
        scene.lists.say(PATH, list(&["old.example", &name]));
        scene.server.running.update_lists();
        eventually(&format!("{kind}: repaired"), || scene.is_blocked(&name)).await;
        // What is told follows the policy.
        eventually(&format!("{kind}: told"), async || scene.reasons().await.is_empty()).await;
    }
    // Nothing is left of what was refused.
    let folder = scene.end().await;
    let files = fs::read_dir(folder.path().join("state/lists")).unwrap();
    let names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let (texts, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with(".good"));
    assert_eq!(others.len(), 2, "the list and what is known of it: {names:?}");
    assert!((1..=5).contains(&texts.len()), "the last of its texts: {names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_prove_who_it_is_is_refused() {
    // Its certificate is not for this name, or of an authority that nobody trusts here.
    for (host, ca_file) in [("www.target.org", true), (HOST, false)] {
        let lists = ListServer::start();
        lists.say(PATH, list(&["old.example"]));
        let extra = if ca_file { "" } else { ", ca_file = \"\"" };
        let scene = Scene::try_start(host, lists, folder(), extra, "").await.unwrap();
        assert!(!scene.is_blocked("old.example").await, "{host}");
        let said = scene.reasons().await;
        assert!(said[0].contains("certificate") && said[0].contains("nothing of it is in force"), "{host}: {said:?}");
        assert!(scene.requests().is_empty(), "{host}: it was asked all the same");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_shrank_or_grew_too_much_is_held_back() {
    let names: Vec<String> = (0..1300).map(|index| format!("n{index}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lists = ListServer::start();
    lists.say(PATH, Reply::list(&names[..100]).etag("\"100\""));
    let scene = Scene::start(lists, "").await;
    for (count, figures) in [(10, "it has 10 rules, 90 % fewer than the 100"), (1300, "it has 1300 rules, 1200 % more")]
    {
        scene.lists.say(PATH, Reply::list(&names[..count]).etag(&format!("\"{count}\"")));
        scene.server.running.update_lists();
        scene.until_reason(figures).await;
        let said = scene.reasons().await.remove(0);
        assert!(said.contains("gate = \"off\"") && said.contains("(last downloaded 20"), "{said}");
        assert!(scene.is_blocked("n99.example").await && !scene.is_blocked("n1299.example").await);
    }
    // As it was again: well again. As it was, and a little more: in force.
    scene.lists.say(PATH, Reply::list(&names[..100]).etag("\"100\""));
    scene.server.running.update_lists();
    eventually("no complaint", || async { scene.reasons().await.is_empty() }).await;
    scene.lists.say(PATH, Reply::list(&names[..125]));
    scene.server.running.update_lists();
    eventually("a small change", || scene.is_blocked("n124.example")).await;
    // Over a restart it is held back all the same, unless the owner says that it is meant.
    scene.lists.say(PATH, Reply::list(&names[..10]));
    let (folder, lists) = scene.stop().await;
    grow_old(&folder);
    let scene = Scene::start_in(folder, lists, "").await;
    scene.until_reason("it has 10 rules, 92 % fewer").await;
    let (folder, lists) = scene.stop().await;
    grow_old(&folder);
    let scene = Scene::start_in(folder, lists, ", gate = \"warn\"").await;
    eventually("the short list", || async { !scene.is_blocked("n124.example").await }).await;
    assert!(scene.is_blocked("n1.example").await);
    assert_eq!(scene.reasons().await, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_a_list_that_was_never_downloaded() {
    // It says so, and takes the list when it comes.
    let lists = ListServer::start();
    lists.say(PATH, Reply::text("").status(503));
    let scene = Scene::start(lists, "").await;
    let said = scene.reasons().await;
    assert!(said[0].contains("the server answered 503") && said[0].contains("nothing of it is in force"), "{said:?}");
    scene.lists.say(PATH, list(&["old.example"]));
    scene.server.running.update_lists();
    eventually("the list", || scene.is_blocked("old.example")).await;
    assert_eq!(scene.reasons().await, Vec::<String>::new());
    let (folder, lists) = scene.stop().await;
    // A required one must come; a copy is good enough.
    lists.say(PATH, Reply::text("").status(503));
    let other = crate::harness::folder();
    let error = Scene::try_start(HOST, ListServer::start(), other, ", required = true", "").await.err().unwrap();
    let AppError::Configuration(error) = error else { panic!("{error:?}") };
    assert!(error.contains("required") && error.contains("the server answered 404"), "{error}");
    grow_old(&folder);
    let scene = Scene::start_in(folder, lists, ", required = true").await;
    assert!(scene.is_blocked("old.example").await);
    scene.end().await;
}

/// A list that is rolled back stays so whatever is downloaded, and is what was downloaded last when it is released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downloaded_list_is_rolled_back_and_released() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\""));
    let scene = Scene::start(lists, "").await;
    assert!(scene.is_blocked("old.example").await);
    scene.lists.say(PATH, list(&["new.example"]).etag("\"2\""));
    scene.update(2).await;
    eventually("the new list", || scene.is_blocked("new.example")).await;
    let of_list = "/api/v1/lists/p/a.list";
    let mut versions = serde_json::Value::Null;
    eventually("both texts are kept", || async {
        scene.server.json(of_list).await["versions"].as_array().is_some_and(|versions| versions.len() == 2)
    })
    .await;
    versions.clone_from(&scene.server.json(of_list).await["versions"]);
    let first = versions[1]["version"].as_str().unwrap();
    let asked = format!("{{\"list\":\"p/a.list\",\"version\":\"{first}\"}}");
    let (status, told) = scene.server.post("/api/v1/lists/rollback", &asked).await;
    assert_eq!(status, 200, "{told}");
    assert!(scene.is_blocked("old.example").await && !scene.is_blocked("new.example").await);
    // What comes now is checked and waits; the server is asked as for the last that came.
    scene.lists.say(PATH, list(&["newer.example"]).etag("\"3\""));
    scene.update(3).await;
    eventually("the newest waits", || async {
        let pinned = scene.server.json(of_list).await["pinned"].clone();
        pinned["waiting"].as_str().is_some_and(|waiting| waiting != versions[0]["version"])
    })
    .await;
    assert_eq!(scene.requests()[2].header("if-none-match"), Some("\"2\""));
    assert!(scene.is_blocked("old.example").await && !scene.is_blocked("newer.example").await);
    // What is of no use is told, and changes nothing.
    scene.lists.say(PATH, Reply::text("<html>").etag("\"4\""));
    scene.update(4).await;
    scene.until_reason("of no use").await;
    let reasons = scene.reasons().await;
    assert!(reasons[0].ends_with("; the version that it is pinned at serves"), "{reasons:?}");
    let (folder, lists) = scene.stop().await;
    let scene = Scene::start_in(folder, lists, "").await;
    assert!(scene.is_blocked("old.example").await && !scene.is_blocked("newer.example").await, "over a restart");
    let (status, told) = scene.server.post("/api/v1/lists/release", "{\"list\":\"p/a.list\"}").await;
    assert_eq!(status, 200, "{told}");
    assert!(scene.is_blocked("newer.example").await && !scene.is_blocked("old.example").await);
    scene.end().await;
}

/// A broken copy is no copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_is_downloaded_again() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\""));
    let (folder, lists) = Scene::start(lists, "").await.stop().await;
    fs::write(state_file(&folder, "last-good"), b"\0\0\0").unwrap();
    let scene = Scene::start_in(folder, lists, "").await;
    assert!(scene.is_blocked("old.example").await, "it is waited for, since there is nothing else");
    assert_eq!(scene.requests()[1].header("if-none-match"), None);
    scene.end().await;
}

/// Of a list that never was in force no text is kept, so nobody is told to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_held_back_of_a_list_that_never_was_in_force_are_released_in_the_configuration() {
    let lists = ListServer::start();
    lists.say(PATH, Reply::list(&["zip"]));
    let scene = Scene::start(lists, "").await;
    let (status, told) = scene.server.get("/api/v1/lists/p/a.list/held?names=zip").await;
    assert!(status >= 400 && told.contains("`release`") && !told.contains("try again"), "{status} {told}");
    scene.end().await;
}
