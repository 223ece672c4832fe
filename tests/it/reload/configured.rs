//! Another configuration while questions are asked: it is in force for the very next query, whole or not at all, and what
//! both have is not read again.

use super::*;
use crate::{
    harness::{configure, try_start_fetching},
    list_server::{ListServer, Reply},
};
use cleandns::{
    config::Config,
    lists::{ConfigureError, FetchLimits},
    policy::RuleSet,
    settings::NotApplied,
};

/// The rules of a list in force.
fn rules(server: &Server, list: &str) -> Arc<RuleSet> {
    let policy = server.running.published.policy.load_full().unwrap();
    let list = policy.lists().iter().find(|own| own.name == list).unwrap_or_else(|| panic!("no list {list}"));
    list.rules.clone()
}

/// Two lists of program `p`, of which the first blocks STEADY, under load.
async fn two_lists() -> Scene {
    let folder = folder();
    fs::create_dir(folder.path().join("lists")).unwrap();
    write_list(&folder.path().join("lists/a.list"), &[STEADY, OLD]);
    write_list(&folder.path().join("b.list"), &[NEW]);
    Scene::start_in(folder, "lists").await
}

impl Scene {
    fn written(&self, toml: &str) -> Config {
        configure(&self.server.folder, None, toml)
    }

    /// Has a configuration put in force.
    async fn says(&self, toml: &str) -> Result<u64, NotApplied> {
        let applied = self.server.running.changing.files_say(self.written(toml)).await?;
        assert_eq!(applied.epoch, self.server.running.published.policy.load().as_ref().unwrap().epoch());
        assert_eq!(applied.epoch, self.epoch(), "what is told of the lists is of the same policy");
        Ok(applied.epoch)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_configuration_is_in_force_for_the_next_query() {
    const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n";
    let scene = two_lists().await;
    let (first, epoch) = (rules(&scene.server, "a.list"), scene.epoch());
    let b = |options: &str| format!("{P}[[program]]\nname = \"q\"\nlists = [{{ path = \"b.list\" }}]\n{options}");
    let except = format!("[[policy.exception]]\nnames = [\"={NEW}\"]\n{}", b(""));
    // The last: before the other in the order of programs, and by another name.
    let before = format!("[[program]]\nname = \"r\"\nlists = [{{ path = \"b.list\" }}]\n{P}");
    let group = |entry: &str| b(&format!("[[group]]\nname = \"g\"\nclients = [\"127.0.0.0/8\"]\n{entry}\n"));
    let steps: [(&str, String, bool); 10] = [
        ("a program more", b(""), true),
        ("in shadow", b("mode = \"shadow\"\n"), false),
        ("a service in shadow", b("services = { \"*\" = \"shadow\" }\n"), false),
        ("a service enforced", b("services = { \"*\" = \"shadow\", b = \"enforce\" }\n"), true),
        ("an exception", except, false),
        ("a group without it", group("programs = { q = \"off\" }"), false),
        ("a group whose time it isn't", group("programs = { q = \"off\" }\nschedule = \"Mon 00:00-00:01\""), true),
        ("a time in which it is off", b("schedule = \"Mon 00:00-00:01\"\n"), false),
        ("another place", before, true),
        ("a program less", P.to_owned(), false),
    ];
    // A Tuesday.
    scene.server.clock.store(1_780_358_400, Relaxed);
    for (index, (what, toml, blocked)) in (1..).zip(steps) {
        let is_first_or_last = index == 1 || index == 10;
        let own = (!is_first_or_last).then(|| rules(&scene.server, "b.list"));
        let begun = Instant::now();
        assert_eq!(scene.says(&toml).await.unwrap(), epoch + index, "{what}");
        let took = begun.elapsed();
        assert_eq!(scene.is_blocked(NEW), blocked, "{what}");
        measured(&format!("reload: configuration, {what}: {} ms", took.as_millis()));
        // What both have is the very same in memory.
        assert!(Arc::ptr_eq(&first, &rules(&scene.server, "a.list")), "{what}: read again");
        let is_same = own.is_none_or(|own| Arc::ptr_eq(&own, &rules(&scene.server, "b.list")));
        assert!(is_same, "{what}: read again");
    }
    // Lists are watched as before, and new ones are from now on.
    scene.says(&b("")).await.unwrap();
    write_list(&scene.path("b.list"), &["newer.example"]);
    scene.in_time("a list that came later", "newer.example");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_how_a_list_is_read_has_it_read_again() {
    let scene = two_lists().await;
    let p = |list: &str| format!("[[program]]\nname = \"p\"\nlists = [{{ path = \"lists\" }}, {list}]\n");
    fs::write(scene.path("b.txt"), "new.example\n").unwrap();
    scene.says(&p("{ path = \"b.txt\" }")).await.unwrap();
    let first = rules(&scene.server, "b.txt");
    // Names and services of lists, and when they are asked for, are no reason to read them.
    scene.says(&p("{ path = \"b.txt\", name = \"other\", service = \"s\", required = true }")).await.unwrap();
    assert!(Arc::ptr_eq(&first, &rules(&scene.server, "other")));
    assert_eq!(scene.server.running.published.policy.load().as_ref().unwrap().lists()[1].service, "s");
    assert!(!scene.is_blocked("www.new.example"));
    scene.says(&p("{ path = \"b.txt\", match = \"subtree\" }")).await.unwrap();
    assert!(scene.is_blocked("www.new.example"));
    // As one of exceptions it blocks nothing.
    let except = p("{ path = \"lists/a.list\" }") + "exceptions = [\"b.txt\"]\n";
    scene.says(&except).await.unwrap();
    assert!(!scene.is_blocked(NEW));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_nothing() {
    const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n";
    let scene = two_lists().await;
    let (first, epoch) = (rules(&scene.server, "a.list"), scene.epoch());
    fs::write(scene.path("empty.list"), "").unwrap();
    let empty =
        "[[program]]\nname = \"q\"\nlists = [{ path = \"b.list\" }, { path = \"empty.list\", required = true }]\n";
    let toml = format!("[access]\nallow = [\"192.0.2.0/24\"]\n[policy]\nmode = \"shadow\"\n{P}{empty}");
    match scene.says(&toml).await {
        Err(NotApplied::Lists(ConfigureError::Lists(error))) => {
            assert!(error.to_string().contains("empty.list"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    fs::write(scene.path("hosts"), vec![b'#'; 5 << 20]).unwrap();
    let hosts = scene.says(&format!("[local]\nhosts = [\"hosts\"]\n[policy]\nmode = \"shadow\"\n{P}")).await;
    assert!(matches!(&hosts, Err(NotApplied::Configuration(why)) if why.contains("is larger than")), "{hosts:?}");
    assert_eq!(scene.epoch(), epoch);
    assert!(scene.is_blocked(OLD) && !scene.is_blocked(NEW));
    assert!(Arc::ptr_eq(&first, &rules(&scene.server, "a.list")));
    assert!(scene.server.running.settings.standing().config.access.len() > 1);
    // The lists are watched as they were.
    write_list(&scene.path("lists/c.list"), &["newer.example"]);
    scene.in_time("a list after a refusal", "newer.example");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_own_names_are_those_of_the_new_configuration() {
    const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n";
    let scene = two_lists().await;
    let server = &scene.server;
    let ask = |name: &str| Ask::new(name, RrType::A);
    assert_eq!(server.ask_from("127.0.0.2", &ask(STEADY)).await.ede_code(), 15);
    let only_one = "[access]\nallow = [\"127.0.0.1/32\"]\n[local]\nrecords = [\"nas.example. A 192.0.2.7\"]\nhosts = [\"hosts\"]\n";
    fs::write(scene.path("hosts"), "192.0.2.8 tv.example\nnonsense\n").unwrap();
    scene.says(&format!("{only_one}{P}")).await.unwrap();
    let refused = server.ask_from("127.0.0.2", &ask(STEADY)).await;
    assert_eq!((refused.rcode, refused.ede_code()), (Rcode::REFUSED, 18));
    for (name, address) in [("nas.example", [192, 0, 2, 7]), ("tv.example", [192, 0, 2, 8])] {
        assert_eq!(server.ask(name, RrType::A).await.answer[0].data, address, "{name}");
    }
    let (_, setup) = server.get("/setup").await;
    assert!(setup.contains("127.0.0.1/32") && !setup.contains("10.0.0.0/8"), "{setup}");
    scene.says(P).await.unwrap();
    assert_eq!(server.ask_from("127.0.0.2", &ask(STEADY)).await.ede_code(), 15);
    scene.end().await;
}

/// A pause is of a group by its name, wherever the configuration has the group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_group_stays_the_paused_one() {
    const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n";
    let scene = two_lists().await;
    let group = |name: &str, client: &str| format!("[[group]]\nname = \"{name}\"\nclients = [\"{client}\"]\n");
    let (kids, office) = (group("kids", "127.0.0.8"), group("office", "127.0.0.9"));
    let blocked = async |client: &str| {
        let answer = scene.server.ask_from(client, &Ask::new(OLD, RrType::ANY)).await;
        answer.ede_code() == 15
    };
    let pause = |group: &str| format!("{{ \"seconds\": 60, \"group\": \"{group}\" }}");
    assert_eq!(scene.server.post("/api/v1/pause", &pause("kids")).await.0, 422, "there is none yet");
    scene.says(&format!("{P}{kids}{office}")).await.unwrap();
    assert_eq!(scene.server.post("/api/v1/pause", &pause("kids")).await.0, 200);
    for toml in [format!("{P}{kids}{office}"), format!("{P}{office}{kids}"), format!("{P}{kids}")] {
        scene.says(&toml).await.unwrap();
        assert_eq!((blocked("127.0.0.8").await, blocked("127.0.0.9").await), (false, true), "{toml}");
    }
    scene.says(&format!("{P}{office}")).await.unwrap();
    assert_eq!((blocked("127.0.0.8").await, blocked("127.0.0.9").await), (true, true), "nobody is left to pause");
    let ended = scene.server.post("/api/v1/pause", "{ \"seconds\": 0, \"group\": \"kids\" }").await;
    assert_eq!(ended.0, 200, "{}", ended.1);
    scene.end().await;
}

/// What only a restart changes is told by its name, and the rest holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_restart_is_told_by_its_name() {
    const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"a.list\" }]\n";
    let folder = folder();
    write_list(&folder.path().join("a.list"), &[OLD]);
    let server = start(folder, None, P).await;
    let says = async |toml: &str| {
        let config = configure(&server.folder, None, toml);
        server.running.changing.files_say(config).await.unwrap().waiting
    };
    let toml =
        "[listen]\ndo53 = [\"127.0.0.1:5\"]\nworkers = 2\n[process]\nsandbox = false\n[policy]\nmode = \"shadow\"\n";
    assert_eq!(says(&format!("{toml}{P}")).await, ["listen.do53", "process.sandbox"]);
    let standing = server.running.settings.standing();
    assert_eq!(standing.waiting, ["listen.do53", "process.sandbox"]);
    assert_eq!(standing.config.listen.do53, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(server.ask(OLD, RrType::ANY).await.rcode, Rcode::NOERROR, "the ceiling is in force");
    assert_eq!(says(P).await, Vec::<&str>::new());
    assert_eq!(server.ask(OLD, RrType::ANY).await.rcode, Rcode::NXDOMAIN);
    server.running.stop().await;
}

/// A list that must be downloaded first is waited for, and the configuration before holds meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_list_is_downloaded_before_it_counts() {
    let lists = ListServer::start();
    lists.say("/a.list", Reply::list(&[OLD]));
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("steady.list"), &[STEADY, "example.com"]);
    fs::write(folder.path().join("ca.pem"), &lists.authority).unwrap();
    let real = lists.address;
    let limits = FetchLimits { connect_via: Some(Arc::new(move |_| real)), ..FetchLimits::default() };
    let p = "[[program]]\nname = \"p\"\nlists = [{ path = \"steady.list\" }]\n";
    let server = try_start_fetching(folder, Some(&internet), &[], limits, p).await.unwrap();
    let url = format!("https://www.example.com:{}/a.list", lists.address.port());
    let q = format!("{p}[[program]]\nname = \"q\"\nlists = [{{ url = \"{url}\", ca_file = \"ca.pem\" }}]\n");
    let steady = rules(&server, "steady.list");
    let config = configure(&server.folder, Some(&internet), &q);
    server.running.changing.files_say(config).await.unwrap();
    let answer = server.ask(OLD, RrType::ANY).await;
    assert_eq!(answer.ede.unwrap().text, "q/a a.list:2");
    // A rule that blocks the host that a list comes from is judged anew: this list warns of it now.
    assert!(!Arc::ptr_eq(&steady, &rules(&server, "steady.list")));
    let steady = rules(&server, "steady.list");
    let (_, shown) = server.get("/api/v1/lists").await;
    assert!(shown.contains("www.example.com (a list comes from there)"), "{shown}");
    // The same again downloads nothing again.
    let config = configure(&server.folder, Some(&internet), &q);
    server.running.changing.files_say(config).await.unwrap();
    assert_eq!(lists.requests().len(), 1);
    assert!(Arc::ptr_eq(&steady, &rules(&server, "steady.list")));
    server.running.stop().await;
}

/// Its sockets stay as they are: whom they may be opened to is judged by them, and not by what is written now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_runs_becomes_no_open_resolver() {
    let wide = |word: &str| {
        format!(
            "[listen]\ndo53 = [\"127.0.0.1:0\"]\n[access]\nallow = [\"0.0.0.0/0\"]\n{word}[admin]\nlisten = \
             \"127.0.0.1:0\"\n"
        )
    };
    let server = crate::harness::start(folder(), None, "[listen]\ndo53 = [\"0.0.0.0:0\"]\n").await;
    let says = async |word: &str| server.running.changing.files_say(configure(&server.folder, None, &wide(word))).await;
    let before = server.running.settings.config().access.clone();
    assert_eq!(says("").await.unwrap().waiting, ["listen.do53", "access.allow"]);
    assert_eq!(server.running.settings.config().access, before);
    assert_eq!(says("i_know_this_is_open = true\n").await.unwrap().waiting, ["listen.do53"]);
    assert_ne!(server.running.settings.config().access, before);
}
