//! Starting with lists, folders and ports that are not as they should be, and leaving.

use crate::{
    harness::{
        Answer, Ask, DEADLINE, Server, configure, eventually, folder, free_address, over_tcp, over_udp, start,
        write_list,
    },
    internet::Internet,
};
use cleandns::{
    app::{self, AppError, Outside},
    dns::{Rcode, RrType},
};
use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::symlink,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// One list that is good, and one that the test spoils. The latter's file is named, so that it counts in whatever state.
const PROGRAM: &str = r#"
[[program]]
name = "p"
lists = [{ path = "good.list" }, { path = "bad.list" }]
"#;

/// What may stand in a list's place at the start, and what is said of it.
const USELESS: [(&str, &[u8], &str); 7] = [
    ("empty", b"", "it is empty"),
    ("only comments", b"#! cleandns\n# nothing\n", "only comments"),
    ("NULs", b"a.example\n\0\0\0\0", "binary"),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "binary"),
    ("a web page", b"<html><body>login.example</body></html>\n", "web page"),
    ("no rule", b"#! cleandns\ntwo words\n((\n", "valid rule"),
    ("one long line", &[b'a'; 5000], "valid rule"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_useless_list_and_no_copy_of_it() {
    for (kind, text, reason) in USELESS {
        let folder = folder_with_good();
        fs::write(folder.path().join("bad.list"), text).unwrap();
        let server = start(folder, None, PROGRAM).await;
        assert!(is_blocked(&server, "good.example").await, "{kind}");
        assert!(!is_blocked(&server, "bad.example").await, "{kind}");
        let said = reasons(&server, "bad.list").await;
        let nothing = |said: &String| said.contains(reason) && said.contains("nothing of it is in force");
        assert!(said.iter().any(nothing), "{kind}: {said:?}");
        assert_eq!(server.metric("cleandns_list_healthy", &["\"bad.list\""]).await, 0.0, "{kind}");
        assert_eq!(server.metric("cleandns_list_healthy", &["\"good.list\""]).await, 1.0, "{kind}");
        assert_eq!(server.metric("cleandns_ready", &[]).await, 1.0, "{kind}");
        // It comes into force as soon as it is good.
        write_list(&server.path("bad.list"), &["bad.example"]);
        eventually("the repaired list", || is_blocked(&server, "bad.example")).await;
        // What is told of lists follows the policy.
        eventually(kind, || async { reasons(&server, "bad.list").await.is_empty() }).await;
        server.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_useless_list_and_a_good_copy_of_it() {
    let folder = folder_with_good();
    write_list(&folder.path().join("bad.list"), &["bad.example"]);
    let mut server = start(folder, None, PROGRAM).await;
    for (kind, text, reason) in USELESS {
        let folder = stop(server).await;
        fs::write(folder.path().join("bad.list"), text).unwrap();
        server = start(folder, None, PROGRAM).await;
        assert!(is_blocked(&server, "bad.example").await, "{kind}: the copy is not in force");
        let said = reasons(&server, "bad.list").await;
        let copy = |said: &String| said.contains(reason) && said.contains("copy kept from an earlier run");
        assert!(said.iter().any(copy), "{kind}: {said:?}");
    }
    // A copy outlives any number of such starts, and goes on serving while the file stays bad.
    let reloads = server.metric("cleandns_reloads_total", &[]).await;
    server.running.reload();
    eventually("a reload", || async { server.metric("cleandns_reloads_total", &[]).await > reloads }).await;
    assert!(is_blocked(&server, "bad.example").await);
    write_list(&server.path("bad.list"), &["better.example"]);
    eventually("the repaired list", || is_blocked(&server, "better.example")).await;
    assert!(!is_blocked(&server, "bad.example").await);
    eventually("nothing wrong is told of it", || async { reasons(&server, "bad.list").await.is_empty() }).await;
    server.running.stop().await;
}

/// A damaged copy is as useless as the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_useless_list_and_a_useless_copy_of_it() {
    let folder = folder_with_good();
    write_list(&folder.path().join("bad.list"), &["bad.example"]);
    let folder = stop(start(folder, None, PROGRAM).await).await;
    let copies = fs::read_dir(folder.path().join("state/lists")).unwrap();
    let copies: Vec<_> = copies.map(|copy| copy.unwrap().path()).collect();
    assert_eq!(copies.len(), 4, "of each list the last good copy, and that text by its version: {copies:?}");
    copies.iter().for_each(|copy| fs::write(copy, b"\0\0\0").unwrap());
    fs::write(folder.path().join("bad.list"), "").unwrap();
    let server = start(folder, None, PROGRAM).await;
    assert!(is_blocked(&server, "good.example").await && !is_blocked(&server, "bad.example").await);
    assert_eq!(reasons(&server, "bad.list").await.len(), 1);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_something_in_a_folder_that_cannot_be_read() {
    let folder = folder();
    let lists = folder.path().join("lists");
    fs::create_dir_all(lists.join("folder.list")).unwrap();
    symlink("/nowhere/at/all", lists.join("link.list")).unwrap();
    write_list(&lists.join("good.list"), &["good.example"]);
    let server = start(folder, None, "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n").await;
    assert!(is_blocked(&server, "good.example").await);
    assert!(!reasons(&server, "link.list").await.is_empty(), "a list of which nothing is in force must be named");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_required_list_it_does_not_start() {
    let program = PROGRAM.replace("\"bad.list\"", "\"bad.list\", required = true");
    for (kind, text, reason) in USELESS {
        let folder = folder_with_good();
        fs::write(folder.path().join("bad.list"), text).unwrap();
        let error = refused(&folder, &program).await;
        let path = folder.path().join("bad.list").display().to_string();
        assert!(error.contains(&path) && error.contains(reason) && error.contains("required"), "{kind}: {error}");
    }
    // A copy is good enough.
    let folder = folder_with_good();
    write_list(&folder.path().join("bad.list"), &["bad.example"]);
    let folder = stop(start(folder, None, &program).await).await;
    fs::write(folder.path().join("bad.list"), "").unwrap();
    let server = start(folder, None, &program).await;
    assert!(is_blocked(&server, "bad.example").await);
    server.running.stop().await;
}

/// As the place of a share that isn't there, while a server runs and when it starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_folder_that_has_become_empty() {
    const FOLDER: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\", required = true }]\n";
    let folder = folder();
    let place = folder.path().join("lists");
    fs::create_dir(&place).unwrap();
    let error = refused(&folder, FOLDER).await;
    assert!(error.contains("lists") && error.contains("the folder has no lists"), "{error}");
    write_list(&place.join("a.list"), &["a.example"]);
    write_list(&place.join("b.list"), &["b.example"]);
    let server = start(folder, None, FOLDER).await;
    fs::remove_file(place.join("a.list")).unwrap();
    eventually("one of several to count as deleted", || async { !is_blocked(&server, "a.example").await }).await;
    fs::remove_file(place.join("b.list")).unwrap();
    let told = |said: &Vec<String>| said.iter().any(|said| said.contains("the folder has no lists"));
    eventually("it to be told", || async { told(&reasons(&server, "folder").await) }).await;
    assert!(is_blocked(&server, "b.example").await);
    let server = start(stop(server).await, None, FOLDER).await;
    assert!(is_blocked(&server, "b.example").await && !is_blocked(&server, "a.example").await);
    assert!(told(&reasons(&server, "folder").await));
    write_list(&place.join("c.list"), &["c.example"]);
    eventually("what is there to count again", || is_blocked(&server, "c.example")).await;
    eventually("what isn't to be gone", || async { !is_blocked(&server, "b.example").await }).await;
    assert!(!told(&reasons(&server, "folder").await));
    let server = start(stop(server).await, None, &FOLDER.replace("required", "allow_empty")).await;
    fs::remove_file(place.join("c.list")).unwrap();
    eventually("an empty one that is meant", || async { !is_blocked(&server, "c.example").await }).await;
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_usable_state_folder() {
    // A file stands where the folder, or the folder in it, should be made.
    for (state, file) in [("blocked/state", "blocked"), ("state", "state/lists")] {
        let folder = folder_with_good();
        write_list(&folder.path().join("bad.list"), &["bad.example"]);
        fs::create_dir_all(folder.path().join(file).parent().unwrap()).unwrap();
        fs::write(folder.path().join(file), "not a folder").unwrap();
        let server = start(folder, None, &format!("[state]\ndir = \"{state}\"\n{PROGRAM}")).await;
        assert!(is_blocked(&server, "good.example").await && is_blocked(&server, "bad.example").await);
        if state == "blocked/state" {
            let said = reasons(&server, "the state folder").await;
            assert!(said.iter().any(|said| said.contains("can't be written to")), "{said:?}");
            // What can't be recorded isn't told as nothing.
            eventually("it to be lost", || async { !reasons(&server, "sqlite loses queries").await.is_empty() }).await;
            let (status, programs) = server.get("/programs").await;
            assert!(status == 200 && !programs.contains("the last 24 hours"), "{programs}");
        }
        write_list(&server.path("bad.list"), &["other.example"]);
        eventually("a reload all the same", || is_blocked(&server, "other.example")).await;
        server.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_port_that_is_taken() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    // Its TCP port is tried first, so that one must be free.
    let udp = UdpSocket::bind(free_address()).unwrap();
    let folder = folder_with_good();
    write_list(&folder.path().join("bad.list"), &["bad.example"]);
    let taken = |address: SocketAddr| {
        let port = address.port();
        [
            address.to_string(),
            format!("another program has port {port}: "),
            format!("(PID {}); stop it", std::process::id()),
            "another port".into(),
        ]
    };
    for (option, protocol, address) in [
        ("listen.do53", "TCP", tcp.local_addr().unwrap()),
        ("listen.do53", "UDP", udp.local_addr().unwrap()),
        ("admin.listen", "HTTP", tcp.local_addr().unwrap()),
    ] {
        let section = match option {
            "admin.listen" => format!("[admin]\nlisten = \"{address}\"\n"),
            _ => format!("[listen]\ndo53 = [\"{address}\"]\n"),
        };
        let error = refused(&folder, &format!("{section}{PROGRAM}")).await;
        for part in taken(address).iter().map(String::as_str).chain([option, protocol]) {
            assert!(error.contains(part), "{option} {protocol}: no `{part}` in: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
    // A second instance is noticed, although UDP ports are shared among workers.
    let server = start(folder_with_both(), None, PROGRAM).await;
    let error = refused(&folder, &format!("[listen]\ndo53 = [\"{}\"]\n{PROGRAM}", server.dns())).await;
    assert!(error.contains("another program has port"), "{error}");
    server.running.stop().await;
}

/// Whoever asks from before the port is open gets as the first answer one that the policy gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_in_force_before_sockets_open() {
    let folder = folder();
    let mut text = String::from("#! cleandns\n");
    (0..200_000).for_each(|index| text.push_str(&format!("n{index}.example\n")));
    text.push_str("good.example\n");
    fs::write(folder.path().join("long.list"), text).unwrap();
    let address = free_address();
    let first_answer = thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let (packet, mut octets) = (Ask::new("good.example", RrType::A).packet(), [0; 4096]);
        // Refused until the port opens.
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            let _ = socket.send(&packet);
            if let Ok(length) = socket.recv(&mut octets) {
                return octets[..length].to_vec();
            }
        }
        panic!("no answer");
    });
    let toml = "[[program]]\nname = \"p\"\nlists = [{ path = \"long.list\" }]\n";
    let server = start(folder, None, &format!("[listen]\ndo53 = [\"{address}\"]\n{toml}")).await;
    let answer = Answer::read(first_answer.join().unwrap());
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15), "{answer:?}");
    server.running.stop().await;
}

/// Stops a server that has a question in flight, which must be answered all the same. Returns where it was.
async fn stop_with_a_question_in_flight(tcp: bool) -> SocketAddr {
    let internet = Internet::start().await;
    let server = start(folder_with_both(), Some(&internet), PROGRAM).await;
    let address = server.dns();
    // The way there is known; what is left takes a moment.
    assert_eq!(server.ask("www.example.com", RrType::A).await.rcode, Rcode::NOERROR);
    internet.set_delay(Duration::from_millis(200));
    let asked = internet.asked_total();
    let in_flight = tokio::spawn(async move {
        let packet = Ask::new("alias.example.com", RrType::TXT).packet();
        if tcp { over_tcp(address, &packet).await } else { over_udp(address, &packet).await }
    });
    eventually("the question is on its way", || async { internet.asked_total() > asked }).await;
    server.running.stop().await;
    let answer = Answer::read(in_flight.await.unwrap().expect("an answer"));
    assert_eq!(answer.rcode, Rcode::NOERROR, "{answer:?}");
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_before_the_end_gets_an_answer() {
    let address = stop_with_a_question_in_flight(false).await;
    // And nobody listens any more: the ports are free.
    let packet = Ask::new("localhost", RrType::A).packet();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(address).unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let _ = udp.send(&packet);
    assert!(udp.recv(&mut [0; 512]).is_err(), "UDP is still served");
    UdpSocket::bind(address).expect("the UDP port is free");
    eventually("the TCP port is closed", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_over_tcp_before_the_end_gets_an_answer() {
    stop_with_a_question_in_flight(true).await;
}

// ---- How it is done ------------------------------------------------------------------------------------------------

fn folder_with_good() -> TempDir {
    let folder = folder();
    write_list(&folder.path().join("good.list"), &["good.example"]);
    folder
}

fn folder_with_both() -> TempDir {
    let folder = folder_with_good();
    write_list(&folder.path().join("bad.list"), &["bad.example"]);
    folder
}

/// Stops a server and keeps its files.
async fn stop(server: Server) -> TempDir {
    let Server { running, folder, .. } = server;
    running.stop().await;
    folder
}

/// Why the server doesn't start.
async fn refused(folder: &TempDir, toml: &str) -> String {
    let config = configure(folder, None, toml);
    let outside = Outside { ports: Some(Arc::default()), ..Outside::real() };
    match app::start(config, outside).await {
        Err(AppError::Configuration(text)) => text,
        Err(error) => panic!("another kind of error: {error:#}"),
        Ok(_) => panic!("it starts"),
    }
}

/// The type ANY is answered at once where the name passes.
async fn is_blocked(server: &Server, name: &str) -> bool {
    let answer = server.ask(name, RrType::ANY).await;
    assert!(matches!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15) | (Rcode::NOERROR, 0)), "{answer:?}");
    answer.rcode == Rcode::NXDOMAIN
}

/// What `/readyz` says about a list.
async fn reasons(server: &Server, list: &str) -> Vec<String> {
    let (status, body) = server.get("/readyz").await;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let all = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned());
    let of_list: Vec<String> = all.filter(|reason| reason.contains(Path::new(list).to_str().unwrap())).collect();
    assert!(of_list.is_empty() || body["status"] == "degraded", "{body}");
    of_list
}

/// A list is as old as it says itself, whatever became of its file; one that says nothing doesn't grow young over a
/// restart because its file was touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_as_old_as_it_says_and_touching_its_file_changes_nothing() {
    let mut folder = folder();
    let [says, silent, third] = ["says.list", "silent.list", "third.list"].map(|name| folder.path().join(name));
    write_list(&says, &["#: updated: 2026-01-01", "a.example"]);
    write_list(&silent, &["#: updated: 2999-01-01", "#: updated: soon", "b.example"]);
    const NEW_YEAR: u64 = 1_767_225_600;
    let touch = |path: &Path, at: SystemTime| {
        fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
    };
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let program = r#"
[[program]]
name = "p"
lists = [{ path = "says.list" }, { path = "silent.list" }, { path = "third.list" }]
"#;
    for run in 0..2 {
        write_list(&third, &["c.example"]);
        let server = start(folder, None, program).await;
        let ages = async || {
            let lists = server.json("/api/v1/lists").await["lists"].clone();
            (lists[0]["changed_at"].as_u64().unwrap(), lists[1]["changed_at"].as_u64().unwrap(), lists)
        };
        let (first, second, lists) = ages().await;
        assert_eq!(first, NEW_YEAR, "{lists}");
        assert!(second <= seconds(SystemTime::now()), "run {run}: the file's own age, not one still to come: {lists}");
        let told: Vec<&str> =
            lists[1]["skipped"].as_array().unwrap().iter().map(|told| told[1].as_str().unwrap()).collect();
        assert_eq!(
            told,
            [
                "bad header line: `2999-01-01` is still to come",
                "bad header line: `soon` is no date; write one as 2026-11-19"
            ]
        );
        // Touched while it runs: the same text is as old as before.
        let later = SystemTime::now() + Duration::from_secs(3000);
        [&says, &silent].into_iter().for_each(|path| touch(path, later));
        let epoch = server.epoch();
        write_list(&third, &["c.example", "d.example"]);
        eventually("a look at the files", async || server.epoch() > epoch).await;
        assert_eq!((ages().await.0, ages().await.1), (NEW_YEAR, second), "run {run}");
        folder = stop(server).await;
    }
}

/// With the lists inside the program the first page says how old they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_inside_the_program_have_an_age() {
    let server = start(folder(), None, "").await;
    let lists = server.json("/api/v1/lists").await["lists"].clone();
    let lists = lists.as_array().unwrap();
    assert!(lists.len() > 100 && lists.iter().all(|list| list["changed_at"].is_u64()), "{lists:?}");
    let overview = server.json("/api/v1/overview").await["lists"].clone();
    assert!(overview["newest_change_seconds"].is_u64() && overview["oldest_change_seconds"].is_u64(), "{overview}");
    let (_, text) = server.get("/").await;
    assert!(text.contains("lists changed "), "{text}");
    let (_, text) = server.get("/lists").await;
    assert!(!text.contains("with this program"), "{text}");
    let (_, text) = server.get("/metrics").await;
    let ages = text.lines().filter(|line| line.starts_with("cleandns_list_age_seconds{")).count();
    assert_eq!(ages, lists.len());
}

/// The age of a list is that of its content, and a restart doesn't make it young.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_as_old_as_its_file_over_a_restart() {
    let mut folder = folder();
    let path = folder.path().join("old.list");
    write_list(&path, &["blocked.example"]);
    let day = Duration::from_secs(86_400);
    let written = SystemTime::now() - 300 * day;
    fs::File::options().append(true).open(&path).unwrap().set_modified(written).unwrap();
    let seconds = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
    for _ in 0..2 {
        let server = start(folder, None, "[[program]]\nname = \"p\"\nlists = [{ path = \"old.list\" }]\n").await;
        let list = server.json("/api/v1/lists").await["lists"][0].clone();
        assert_eq!(list["changed_at"], seconds, "{list}");
        assert!(list["since"].as_u64().unwrap() > seconds + 299 * 86_400, "{list}");
        let of = ["list=\"old.list\""];
        let age = server.metric("cleandns_list_age_seconds", &of).await;
        let loaded = server.metric("cleandns_list_loaded_seconds", &of).await;
        assert!((299.0..301.0).contains(&(age / 86_400.0)) && loaded < 86_400.0, "{age} {loaded}");
        let overview = server.json("/api/v1/overview").await["lists"].clone();
        assert!(overview["newest_change_seconds"].as_u64().unwrap() > 299 * 86_400, "{overview}");
        for page in ["/", "/lists", "/lists/p/old.list"] {
            let (_, text) = server.get(page).await;
            assert!(text.contains("300 d"), "{page}: {text}");
        }
        let Server { running, folder: same, .. } = server;
        running.stop().await;
        folder = same;
    }
}
