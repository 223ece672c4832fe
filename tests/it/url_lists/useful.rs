//! What goes well.

use super::*;

/// `old.example` and `packed.example` in our own format, gzipped.
const PACKED: &str =
    "1f8b080000000000020353565448ce494dcc4bc92be6cacf49d14bad48cc2dc849e52a484cce4e457001b2696c3927000000";

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
    // It is as old as its server says.
    let changed_at = || {
        let changed = scene.server.running.published.status.load().lists[0].changed_at.unwrap();
        changed.duration_since(UNIX_EPOCH).unwrap().as_secs()
    };
    const NEW_YEAR: u64 = 1_767_225_600;
    assert_eq!(changed_at(), NEW_YEAR);
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
    // Which says no time, so that it is as old as the text that came; not as young as what came again.
    let came = changed_at();
    assert!(came > NEW_YEAR);
    scene.update(5).await;
    eventually("no request with an ETag that is over", || async {
        scene.requests().get(4).is_some_and(|request| request.header("if-none-match").is_none())
    })
    .await;
    assert_eq!((scene.epoch(), scene.reasons().await), (epoch + 2, vec![]));
    assert_eq!(changed_at(), came);
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
