//! Lists with a url: downloaded over TLS, kept, downloaded again; and whatever a server says instead of a list, the last
//! good one stays in force.
//!
//! Questions have the type ANY here, as in `reload`.

use crate::{
    harness::{Server, eventually, folder, free_address, measured, try_start_fetching},
    internet::{Internet, answer_to, scripted},
    list_server::{ListServer, Manner, Reply, Request},
};
use cleandns::{
    app::AppError,
    dns::{Rcode, RrType},
    lists::FetchLimits,
};
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tempfile::TempDir;

const PATH: &str = "/some/a.list";
/// Where it is.
const HOST: &str = "www.example.com";
/// Octets of a body in these tests.
const BODY_BYTES_MAX: u64 = 20_000;
/// Longer than any download takes that isn't meant to be broken off.
const WITHIN: Duration = Duration::from_secs(5);
/// `old.example` and `packed.example` in our own format, gzipped.
const PACKED: &str =
    "1f8b080000000000020353565448ce494dcc4bc92be6cacf49d14bad48cc2dc849e52a484cce4e457001b2696c3927000000";
/// A list of 100 000 octets, gzipped.
const BOMB: &str = "1f8b0800000000000203edc1b10d80201000c0fea7d0d01b5702fd0ed0c4c6f15dc3e2eecaba1c3deb3ce713ed1a6ddff2ade3\
                    ee1905000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                    000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                    00000000000000000000f8adf800ed34d50ebb860100";

// ---- What goes well ------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_downloaded_before_the_first_answer_and_again_only_if_it_changed() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\"").header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"));
    let scene = Scene::start(lists, "").await;
    assert!(scene.is_blocked("old.example").await);
    assert_eq!(scene.reasons().await, Vec::<String>::new());
    let first = scene.requests().remove(0);
    assert_eq!((first.header("if-none-match"), first.header("if-modified-since")), (None, None));
    assert_eq!(first.header("accept-encoding"), Some("gzip"));
    // What is there already is not sent again.
    let epoch = scene.epoch();
    scene.update(2).await;
    let second = scene.requests().remove(1);
    assert_eq!(second.header("if-none-match"), Some("\"1\""));
    assert_eq!(second.header("if-modified-since"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    // A changed one is in force without a restart.
    scene.lists.say(PATH, list(&["old.example", "new.example"]).etag("\"2\"").manner(Manner::Chunked));
    scene.update(3).await;
    eventually("the new rule", || scene.is_blocked("new.example")).await;
    assert_eq!(scene.epoch(), epoch + 1, "304 and the same text change nothing");
    // A server without ETags sends the whole every time.
    scene.lists.say(PATH, list(&["old.example", "newer.example"]));
    scene.update(4).await;
    eventually("the newer rule", || scene.is_blocked("newer.example")).await;
    scene.update(5).await;
    eventually("no request with an ETag that is over", || async {
        scene.requests().get(4).is_some_and(|request| request.header("if-none-match").is_none())
    })
    .await;
    assert_eq!((scene.epoch(), scene.reasons().await), (epoch + 2, vec![]));
    // The copy is what was downloaded, so that a rule can be shown.
    let (_, explained) = scene.server.get("/api/v1/explain?name=newer.example&type=ANY").await;
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["verdicts"][0]["rule"]["text"], "newer.example", "{explained}");
    assert_eq!(explained["verdicts"][0]["rule"]["path"], scene.url, "{explained}");
    assert_eq!(scene.server.metric("cleandns_list_healthy", &["list=\"a.list\""]).await, 1.0);
    // Without the server, what it downloaded is looked at.
    let config = scene.server.folder.path().join("cleandns.toml");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cleandns")).arg("--config").arg(&config).args(args).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let explained = run(&["explain", "newer.example", "--offline"]);
    assert!(explained.contains("newer.example is blocked by"), "{explained}");
    let checked = run(&["check", "--verbose"]);
    assert!(
        checked.contains(&format!("2 rules, 0 exceptions, 0 lines skipped: {}, as downloaded before", scene.url)),
        "{checked}"
    );
    fs::rename(scene.server.folder.path().join("state/lists"), scene.server.folder.path().join("elsewhere")).unwrap();
    let checked = run(&["check"]);
    assert!(checked.contains(&format!("{}: not downloaded yet", scene.url)), "{checked}");
    scene.end().await;
}

/// The age of a download counts from the last time that the server gave it or said that it is still the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_still_the_same_is_young_again() {
    for reply in [list(&["old.example"]).etag("\"1\""), list(&["old.example"])] {
        let lists = ListServer::start();
        lists.say(PATH, reply);
        let scene = Scene::start(lists, "").await;
        let confirmed_at = || scene.server.running.published.status.load().lists[0].confirmed_at.unwrap();
        let (epoch, first) = (scene.epoch(), confirmed_at());
        let age = scene.server.metric("cleandns_list_download_age_seconds", &["list=\"a.list\""]).await;
        assert!(0.0 < age && age < 600.0, "{age}");
        eventually("a later time", || async {
            scene.server.running.update_lists();
            confirmed_at() > first
        })
        .await;
        assert_eq!(scene.epoch(), epoch, "nothing else changed");
        scene.end().await;
    }
}

/// Between downloads the time counts in which the machine sleeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_a_day_old_after_a_day_though_the_machine_slept() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]));
    let scene = Scene::start(lists, "").await;
    // Every look orders what is due.
    let sleep = async |hours: u64| {
        scene.server.slept.fetch_add(hours * 3600, Ordering::Relaxed);
        scene.server.running.reloaded().await.unwrap_err();
    };
    sleep(12).await;
    assert_eq!(scene.requests().len(), 1);
    sleep(15).await;
    eventually("another download", || async { scene.requests().len() == 2 }).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gzipped_list_and_a_redirect_are_understood() {
    let lists = ListServer::start();
    lists.say(PATH, Reply::text("elsewhere").status(302).header("location", "/b"));
    lists.say("/b", Reply::text("").status(308).header("location", "https://127.0.0.1/c?d=e"));
    lists.say("/c?d=e", Reply::text("").body(&octets(PACKED)).header("content-encoding", "gzip"));
    let scene = Scene::start(lists, "").await;
    assert!(scene.is_blocked("old.example").await && scene.is_blocked("packed.example").await);
    let paths: Vec<String> = scene.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, [PATH, "/b", "/c?d=e"]);
    scene.end().await;
}

/// The list blocks the host it comes from: for clients, not for the list's own next download.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_cannot_block_its_own_download() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["example.com"]));
    // By itself the gate would hold back a rule on the host that the list comes from.
    let scene = Scene::start(lists, ", gate = \"off\"").await;
    assert!(scene.is_blocked("www.example.com").await);
    assert_eq!(scene.connections(), ["203.0.113.11:443".parse().unwrap()], "the address that our own resolver found");
    assert!(scene.internet.asked(HOST) > 0);
    scene.lists.say(PATH, list(&["example.com", "new.example"]));
    scene.update(2).await;
    eventually("the new rule", || scene.is_blocked("new.example")).await;
    assert_eq!(scene.reasons().await, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_a_network_has_the_same_policy_before_any_download() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\""));
    let folder = Scene::start(lists, "").await.end().await;
    // The copy is young: nothing is due.
    let scene = Scene::start_in(folder, gone(), "").await;
    assert!(scene.is_blocked("old.example").await);
    assert_eq!((scene.connections(), scene.reasons().await), (vec![], vec![]));
    let folder = scene.end().await;
    // The copy is old: it is in force before the download that is due fails, and after.
    grow_old(&folder);
    let scene = Scene::start_in(folder, gone(), "").await;
    assert!(scene.is_blocked("old.example").await);
    scene.until_reason("it can't be downloaded").await;
    assert!(scene.is_blocked("old.example").await);
    let folder = scene.end().await;
    // The server is back, and remembers what it called the copy.
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\""));
    let scene = Scene::start_in(folder, lists, "").await;
    eventually("the request", || async { !scene.requests().is_empty() }).await;
    assert_eq!(scene.requests()[0].header("if-none-match"), Some("\"1\""));
    let folder = scene.end().await;
    // What is known of another text says nothing of this one.
    let copy = state_file(&folder, "last-good");
    fs::write(&copy, list(&["other.example"]).body).unwrap();
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]).etag("\"1\""));
    let scene = Scene::start_in(folder, lists, "").await;
    eventually("the whole list again", || scene.is_blocked("old.example")).await;
    assert_eq!(scene.requests()[0].header("if-none-match"), None);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_state_folder_lists_are_downloaded_for_this_run() {
    let folder = folder();
    fs::write(folder.path().join("blocked"), "not a folder").unwrap();
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]));
    let toml = "[state]\ndir = \"blocked/state\"\n";
    let scene = Scene::start_with(folder, lists, "", toml).await;
    assert!(scene.is_blocked("old.example").await);
    scene.lists.say(PATH, list(&["new.example"]));
    scene.update(2).await;
    eventually("the new rule", || scene.is_blocked("new.example")).await;
    scene.end().await;
}

/// In a process of its own, since only that has an environment of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_of_the_environment_are_ignored() {
    let lists = ListServer::start();
    lists.say(PATH, list(&["old.example"]));
    let folder = folder();
    // Whatever it asks for is on this machine.
    let (resolver, _serving) = scripted(|question| {
        let mut answer = answer_to(question, ResponseCode::NoError);
        if question.queries[0].query_type() == RecordType::A {
            let here = RData::A(std::net::Ipv4Addr::LOCALHOST.into());
            answer.answers.push(Record::from_rdata(question.queries[0].name().clone(), 60, here));
        }
        Some(answer)
    })
    .await;
    fs::write(folder.path().join("ca.pem"), &lists.authority).unwrap();
    let config = format!(
        "[listen]\ndo53 = [\"{}\"]\n[admin]\nlisten = \"\"\n[state]\ndir = \"state\"\n[[resolve.forward]]\nzone = \".\"\n\
         servers = [\"udp://{resolver}\"]\nvalidate = false\n[[program]]\nname = \"p\"\nlists = [{{ url = \
         \"https://{HOST}:{}{PATH}\", ca_file = \"ca.pem\" }}]\n",
        free_address(),
        lists.address.port(),
    );
    fs::write(folder.path().join("cleandns.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleandns"));
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    command.arg("--config").arg(folder.path().join("cleandns.toml")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    eventually("the request", || async { !lists.requests().is_empty() }).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

// ---- What goes wrong -----------------------------------------------------------------------------------------------

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

// ---- How it is done ------------------------------------------------------------------------------------------------

/// A server with one list, and where that is downloaded from.
struct Scene {
    server: Server,
    internet: Internet,
    lists: ListServer,
    url: String,
    /// Where connections were meant to go.
    connections: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Scene {
    /// `extra` is what else the configuration says of the list.
    async fn start(lists: ListServer, extra: &str) -> Self {
        Self::start_in(folder(), lists, extra).await
    }

    async fn start_in(folder: TempDir, lists: ListServer, extra: &str) -> Self {
        Self::start_with(folder, lists, extra, "").await
    }

    async fn start_with(folder: TempDir, lists: ListServer, extra: &str, toml: &str) -> Self {
        Self::try_start(HOST, lists, folder, extra, toml).await.unwrap()
    }

    async fn try_start(
        host: &str,
        lists: ListServer,
        folder: TempDir,
        extra: &str,
        toml: &str,
    ) -> Result<Self, AppError> {
        let internet = Internet::start().await;
        let url = format!("https://{host}{PATH}");
        fs::write(folder.path().join("ca.pem"), &lists.authority).unwrap();
        let ca_file = if extra.contains("ca_file") { "" } else { ", ca_file = \"ca.pem\"" };
        let toml = format!("{toml}[[program]]\nname = \"p\"\nlists = [{{ url = \"{url}\"{ca_file}{extra} }}]\n");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (own, real) = (connections.clone(), lists.address);
        let connect_via = move |server| {
            own.lock().unwrap().push(server);
            real
        };
        let limits =
            FetchLimits { body_bytes_max: BODY_BYTES_MAX, within: WITHIN, connect_via: Some(Arc::new(connect_via)) };
        let server = try_start_fetching(folder, Some(&internet), &[], limits, &toml).await?;
        Ok(Self { server, internet, lists, url, connections })
    }

    async fn is_blocked(&self, name: &str) -> bool {
        let answer = self.server.ask(name, RrType::ANY).await;
        let known = matches!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15) | (Rcode::NOERROR, 0));
        assert!(known, "{name}: {answer:?}");
        answer.rcode == Rcode::NXDOMAIN
    }

    fn epoch(&self) -> u64 {
        self.server.running.published.status.load().epoch
    }

    fn requests(&self) -> Vec<Request> {
        self.lists.requests()
    }

    fn connections(&self) -> Vec<SocketAddr> {
        self.connections.lock().unwrap().clone()
    }

    /// Has the list downloaded, until the server was asked so many times in all.
    async fn update(&self, requests: usize) {
        self.server.running.update_lists();
        eventually("the request", || async { self.requests().len() >= requests }).await;
    }

    /// What `/readyz` says.
    async fn reasons(&self) -> Vec<String> {
        let (status, body) = self.server.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
    }

    async fn until_reason(&self, reason: &str) {
        eventually(&format!("a reason: {reason}"), || async {
            let said = self.reasons().await;
            said.iter().any(|said| said.contains(reason))
        })
        .await;
    }

    /// Stops the server, and keeps its files and the lists' server.
    async fn stop(self) -> (TempDir, ListServer) {
        let Server { running, folder, .. } = self.server;
        running.stop().await;
        (folder, self.lists)
    }

    async fn end(self) -> TempDir {
        self.stop().await.0
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A list with these rules, and as many others as make a rule more or less a small change.
fn list(rules: &[&str]) -> Reply {
    let others: Vec<String> = (0..50).map(|index| format!("other{index}.example")).collect();
    Reply::list(&[rules, &others.iter().map(String::as_str).collect::<Vec<_>>()].concat())
}

/// A server whose port is closed, as if there were no network.
fn gone() -> ListServer {
    let mut lists = ListServer::start();
    lists.address = free_address();
    lists
}

/// The one file in the store with this ending.
fn state_file(folder: &TempDir, ending: &str) -> PathBuf {
    let files = fs::read_dir(folder.path().join("state/lists")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().unwrap() == ending).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Makes a download that is kept one of long ago.
fn grow_old(folder: &TempDir) {
    let file = state_file(folder, "json");
    let mut known: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    known["checked_at"] = 1.into();
    fs::write(file, known.to_string()).unwrap();
}

/// Octets from hexadecimal digits.
fn octets(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
