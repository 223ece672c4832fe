//! `cleandns replay` as a person starts it: what it prints, and the code it leaves with.

mod own_logs;

use crate::{
    harness::{Ask, eventually, folder, start, write_list},
    internet::Internet,
};
use cleandns::{dns::RrType, query_log::sqlite::Reader};
use etherparse::PacketBuilder;
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// A folder with a configuration that blocks names below blocked.example and watches watched.example, and one that
/// doesn't, but others.
fn place() -> TempDir {
    let folder = folder();
    let config = |name: &str, services: &str| {
        let program =
            format!("[[program]]\nname = \"p\"\nlists = [{{ path = \"lists-{name}\" }}]\nservices = {services}");
        fs::write(folder.path().join(format!("{name}.toml")), program + "\n").unwrap();
        fs::create_dir(folder.path().join(format!("lists-{name}"))).unwrap();
    };
    config("old", "{ watched = \"shadow\" }");
    config("new", "{}");
    write_list(&folder.path().join("lists-old/blocking.list"), &["blocked.example", "gone.example"]);
    write_list(&folder.path().join("lists-old/watched.list"), &["watched.example"]);
    write_list(&folder.path().join("lists-new/blocking.list"), &["blocked.example", "192.0.2.0/24", "fresh.example"]);
    let queries = "; a comment\nwww.blocked.example A\nfresh.example A\na.fresh.example AAAA\nfresh.example A\n\
                   gone.example A\nwatched.example A\nwww.tiktok.com HTTPS\nother.example A\nbroken\n";
    fs::write(folder.path().join("queries.txt"), queries).unwrap();
    folder
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleandns"));
    command.current_dir(folder).env_remove("HOME").env_remove("STATE_DIRECTORY").env_remove("RUST_LOG");
    command.env("XDG_STATE_HOME", folder.join("xdg-state")).arg("replay").args(args).stdin(Stdio::null());
    command
}

/// Exit code, standard output, standard error.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    told(command(folder, args).output().unwrap())
}

fn told(Output { status, stdout, stderr }: Output) -> (Option<i32>, String, String) {
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn what_a_candidate_would_change() {
    let place = place();
    let (code, text, errors) = run(place.path(), &["queries.txt", "--before", "old.toml", "--against", "new.toml"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    let expected = "queries.txt: dnsperf, 8 queries for 7 names from 0 clients
before: FOLDER/old.toml, 3 rules
after:  FOLDER/new.toml, 3 rules

    before       after  queries
         2           4  blocked
         1           0  would-block
         0           0  excepted
         5           4  passed

5 queries change: 3 newly blocked, 1 newly passed

passed → blocked: 3 queries, 2 names, 0 clients
   queries     clients  name             by
         2           0  fresh.example    p/blocking blocking.list:4
         1           0  a.fresh.example  p/blocking blocking.list:4

   queries       names     clients  program/service
         3           2           0  p/blocking

blocked → passed: 1 queries, 1 names, 0 clients
   queries     clients  name          by
         1           0  gone.example  p/blocking blocking.list:3 (before)

   queries       names     clients  program/service
         1           1           0  p/blocking

would-block → passed: 1 queries, 1 names, 0 clients
   queries     clients  name             by
         1           0  watched.example  p/watched watched.list:2 (before)

   queries       names     clients  program/service
         1           1           0  p/watched

rules on answers were not asked, but for aliases and addresses that the file tells (0 queries): 0 rules before, 1 after, \
                    and rules on names as aliases
8 queries tell no client's whole address: rules by client don't hold for them
1 lines hold no query
1 could not be read and were skipped:
  queries.txt: line 10: the line is no name and type, such as `example.com A` (1 of them)
";
    let folder = fs::canonicalize(place.path()).unwrap().display().to_string();
    let (rest, rate) = text.trim_end().rsplit_once('\n').unwrap();
    let rest = rest.replace(&folder, "FOLDER").replace(&place.path().display().to_string(), "FOLDER");
    assert_eq!(rest + "\n", expected);
    assert!(rate.contains(" queries a second, in "), "{rate}");
}

#[test]
fn the_same_as_json() {
    let place = place();
    let args = ["queries.txt", "--before", "old.toml", "--against", "new.toml", "--json", "--top", "1"];
    let (code, text, _) = run(place.path(), &args);
    assert_eq!(code, Some(0), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    for (pointer, expected) in [
        ("/file", Value::from("queries.txt")),
        ("/format", "dnsperf".into()),
        ("/queries", 8.into()),
        ("/names/count", 7.into()),
        ("/names/exact", true.into()),
        ("/changed", 5.into()),
        ("/newly_blocked", 3.into()),
        ("/newly_passed", 1.into()),
        ("/fates/0/fate", "blocked".into()),
        ("/fates/0/after", 4.into()),
        ("/changes/0/before", "passed".into()),
        ("/changes/0/after", "blocked".into()),
        ("/changes/0/names", 2.into()),
        ("/changes/0/by_name/0/name", "fresh.example".into()),
        ("/changes/0/by_name/0/because/program", "p".into()),
        ("/changes/0/by_name/0/because/rule", "blocking.list:4".into()),
        ("/changes/0/by_name/0/because/of", "after".into()),
        ("/changes/0/by_service/0/queries", 3.into()),
        ("/not_asked/answer_rules_after", 1.into()),
        ("/skipped/count", 1.into()),
        ("/skipped/reasons/0/first", "line 10".into()),
        ("/broken", Value::Null),
    ] {
        assert_eq!(json.pointer(pointer), Some(&expected), "{pointer} in {text}");
    }
    assert_eq!(json["changes"][0]["by_name"].as_array().map(Vec::len), Some(1));
    assert!(json["queries_per_second"].as_u64().is_some_and(|rate| rate > 0));
}

#[test]
fn without_options_the_shipped_programs_are_tried() {
    let place = place();
    // What is compared with is named: a configuration may lie above the folder of the program that is tested.
    let (code, text, _) = run(place.path(), &["queries.txt", "--before", "none"]);
    assert_eq!(code, Some(0));
    for part in ["before: no policy", "after:  the shipped programs", "www.tiktok.com  clean-store/tiktok tiktok.list:"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (code, text, _) = run(place.path(), &["queries.txt", "--before", "shipped"]);
    assert_eq!(code, Some(0));
    for part in ["nothing changes", "`--before none`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // What the log says is compared with, where it says something.
    let log = r#"{"time":"2026-11-28T21:12:44Z","client":"10.0.0.7","name":"www.tiktok.com","type":"A"}"#;
    fs::write(place.path().join("log.json"), log).unwrap();
    let (code, text, _) = run(place.path(), &["log.json"]);
    assert_eq!(code, Some(0));
    for part in ["1 clients", "2026-11-28T21:12:44Z", "what the file says", "passed → blocked: 1", "  10.0.0.7\n"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A question for fresh.example, with or without RD, from an address.
fn packet(rd: u8, address: [u8; 4]) -> Vec<u8> {
    let message = [&[0, 7, rd, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x05fresh\x07example\0", &[0, 1, 0, 1]].concat();
    let mut packet = Vec::new();
    PacketBuilder::ipv4(address, [9, 9, 9, 9], 64).udp(4000, 53).write(&mut packet, &message).unwrap();
    packet
}

fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    // Raw IP (101), microseconds.
    let mut file = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65535, 101].map(u32::to_be_bytes).concat();
    for packet in packets {
        let length = packet.len() as u32;
        file.extend([1_700_000_000, 0, length, length].map(u32::to_be_bytes).concat());
        file.extend(packet);
    }
    file
}

/// Half a file is no whole one, whatever it is of: what can be read is told, where that ends, and the code says it too.
#[test]
fn a_file_that_was_cut_off() {
    let place = place();
    let line = |name: &str| format!(r#"{{"time":"2026-11-28T21:12:44Z","name":"{name}","type":"A","fate":"passed"}}"#);
    let log = format!("{}\n{}", line("fresh.example"), line("a.example"));
    let capture = capture(&[packet(1, [10, 0, 0, 7]), packet(1, [10, 0, 0, 8])]);
    let database = place.path().join("queries.db");
    let rows = "CREATE TABLE queries (id INTEGER PRIMARY KEY, timestamp, type, status, domain, client);
                INSERT INTO queries VALUES (1, 1700000000, 1, 2, 'fresh.example', '10.0.0.7');
                WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO queries SELECT i, 1700000000, 1, 2, 'other.example', '10.0.0.7' FROM n";
    rusqlite::Connection::open(&database).unwrap().execute_batch(rows).unwrap();
    let database = fs::read(&database).unwrap();
    let mut damaged = database.clone();
    damaged[database.len() / 8192 * 4096..][..4096].fill(0xff);
    let log = log.as_bytes();
    for (name, whole, part, end) in [
        ("log.json", log, &log[..log.len() - 9], "line 2: the file ends in it: the line is no query of our log"),
        (
            "queries.txt",
            b"fresh.example A\nother.example A",
            b"fresh.example A\nother",
            "line 2: the file ends in it: ",
        ),
        ("a.pcap", &*capture, &capture[..capture.len() - 9], "packet 1: the file ends within a packet"),
        // Of one that was cut off SQLite reads nothing at all.
        ("a.db", &*database, &*damaged, "database disk image is malformed"),
    ] {
        for (octets, code, ends) in [(whole, 0, None), (part, 1, Some(end))] {
            fs::write(place.path().join(name), octets).unwrap();
            let args = [name, "--before", "old.toml", "--against", "new.toml"];
            let (left, text, errors) = run(place.path(), &args);
            assert_eq!(left, Some(code), "{name}: {errors}");
            assert!(text.contains("fresh.example  p/blocking blocking.list:4"), "{name}: {text}");
            assert_eq!(ends.map_or("", |_| errors.trim_end()).is_empty(), ends.is_none(), "{name}: {errors}");
            for told in [&text, &errors] {
                assert!(ends.is_none_or(|end| told.contains(end)), "{name}: {told}");
            }
            let (left, text, _) = run(place.path(), &[&args[..], &["--json"]].concat());
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((left, json["newly_blocked"].as_u64().is_some_and(|some| some > 0)), (Some(code), true));
            assert_eq!(json["broken"].as_str().is_some_and(|broken| broken.contains(end)), ends.is_some(), "{text}");
        }
    }
}

/// A capture on a resolver holds what it asks name servers, and that is nobody's query.
#[test]
fn a_capture_with_queries_between_servers() {
    let place = place();
    let (of_client, of_resolver) = (packet(1, [10, 0, 0, 7]), packet(0, [10, 0, 0, 53]));
    let both = capture(&[of_client, of_resolver.clone(), of_resolver.clone()]);
    fs::write(place.path().join("both.pcap"), both).unwrap();
    fs::write(place.path().join("servers.pcap"), capture(&[of_resolver])).unwrap();
    let (code, text, errors) = run(place.path(), &["both.pcap", "--before", "old.toml", "--against", "new.toml"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for part in [
        "both.pcap: pcap, 1 queries for 1 names from 1 clients\n",
        "\n2 queries between servers (they ask for no recursion) were left out\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (code, text, errors) = run(place.path(), &["servers.pcap", "--before", "old.toml", "--against", "new.toml"]);
    assert_eq!((code, text.as_str()), (Some(1), ""));
    assert!(errors.contains("1 queries between servers"), "{errors}");
}

#[test]
fn a_file_from_standard_input() {
    let place = place();
    let mut command = command(place.path(), &["-", "--before", "old.toml", "--against", "new.toml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"fresh.example A\n").unwrap();
    let (code, text, _) = told(child.wait_with_output().unwrap());
    assert_eq!(code, Some(0));
    assert!(text.starts_with("standard input: dnsperf, 1 queries"), "{text}");
}

#[test]
fn what_cannot_be_replayed_is_one_clear_line() {
    let place = place();
    let write = |name: &str, text: &[u8]| fs::write(place.path().join(name), text).unwrap();
    write("empty", b"");
    write("text", b"hello there\n");
    write("gzip", b"\x1f\x8b\x08\0");
    write("database", b"SQLite format 3\0");
    let other = rusqlite::Connection::open(place.path().join("other.db")).unwrap();
    other.execute_batch("CREATE TABLE queries (id INTEGER PRIMARY KEY, what TEXT)").unwrap();
    write("bad.toml", b"[listen]\nworkerz = 1\n");
    for (args, code, expected) in [
        (&["nowhere"][..], 1, "nowhere: can't be opened"),
        (&["."], 1, ".: can't be read"),
        (&["empty"], 1, "empty: is empty"),
        (&["text"], 1, "text: is in no format that can be told from its beginning; name it with --format"),
        (&["text", "--format", "dnsperf"], 1, "line 1: the second word is no record type"),
        (&["gzip"], 1, "zcat FILE | cleandns replay -"),
        (&["database"], 1, "database: is a database that can't be read: "),
        (&["other.db"], 1, "neither our query log nor Pi-hole's"),
        (&["queries.txt", "--format", "dnstap"], 1, "is no stream of dnstap that can be read"),
        (&["queries.txt", "--against", "bad.toml"], 78, "workerz"),
        (&["queries.txt", "--against", "nowhere.toml"], 78, "nowhere.toml"),
        (&["queries.txt", "--before", "recorded"], 64, "doesn't say what became of its queries"),
        (&["queries.txt", "--format", "papyrus"], 64, "is none of ours, pcap"),
        (&[], 64, "FILE"),
    ] {
        let (left, text, errors) = run(place.path(), args);
        assert_eq!((left, text.as_str()), (Some(code), ""), "{args:?}: {errors}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
}

/// A server's policy, and what it is asked: blocked, would be blocked, excepted, passed, dropped; by name and by alias.
const PROGRAMS: &str = r#"
[[policy.exception]]
names = ["=www.wechat.com"]
reason = "we need it"
[[program]]
name = "strict"
lists = [{ path = "strict.list" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watching.list" }]
[[program]]
name = "silent"
block = "drop"
lists = [{ path = "silent.list" }]
"#;

/// The same queries in the database, as lines of JSON and as dnstap lead to the same numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_recorded_is_replayed_from_each_of_its_logs() {
    const QUERIES: usize = 11;
    let internet = Internet::start().await;
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write_list(&path("strict.list"), &["tiktok.com", "=alias.signed.org", "wechat.com"]);
    write_list(&path("watching.list"), &["=only-a.signed.org"]);
    write_list(&path("silent.list"), &["=dropped.com"]);
    write_list(&path("new.list"), &["wechat.com", "=www.example.com"]);
    let logs = format!(
        "[query_log.json]\nto = \"queries.json\"\n[query_log.dnstap]\nto = \"{}\"\nclient = true\n",
        path("queries.dnstap").display()
    );
    let server = start(folder, Some(&internet), &format!("{logs}{PROGRAMS}")).await;
    for (name, times) in [
        ("www.tiktok.com", 2),
        ("alias2.example.com", 1),
        ("only-a.signed.org", 1),
        ("www.wechat.com", 1),
        ("alias.example.com", 1),
        ("www.example.com", 3),
    ] {
        for _ in 0..times {
            server.ask(name, RrType::A).await;
        }
    }
    server.ask_with(&Ask { tcp: true, ..Ask::new("only-a.signed.org", RrType::A) }).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&Ask::new("dropped.com", RrType::A).packet(), server.dns()).await.unwrap();
    let database = server.path("state/queries.db");
    eventually("the queries to be recorded", || async {
        let mut count = 0;
        let read = Reader::open(&database).and_then(|mut reader| reader.page(0, 100, |_, _| count += 1));
        read.is_ok() && count >= QUERIES
    })
    .await;
    let place = server.folder;
    server.running.stop().await;

    let old = fs::read_to_string(place.path().join("cleandns.toml")).unwrap();
    fs::write(place.path().join("new.toml"), old.replace("strict.list", "new.list")).unwrap();
    for (file, format) in [("state/queries.db", "sqlite"), ("queries.json", "ours"), ("queries.dnstap", "dnstap")] {
        let replay = |against: &str| -> Value {
            let (code, text, errors) = run(place.path(), &[file, "--against", against, "--json"]);
            assert_eq!(code, Some(0), "{file}: {errors}");
            serde_json::from_str(&text).unwrap()
        };
        let same = replay("cleandns.toml");
        assert_eq!(
            (&same["format"], &same["queries"], &same["changed"]),
            (&format.into(), &QUERIES.into(), &0.into()),
            "{file}: {same:#}"
        );
        assert_eq!(same["before"], "what the file says", "{file}");
        let counted =
            |json: &Value| json["fates"].as_array().unwrap().iter().map(|fate| fate["before"].clone()).collect();
        let counted: Vec<Value> = counted(&same);
        assert_eq!(counted, [4, 2, 1, 4], "{file}: {same:#}");
        for pointer in ["/not_asked/verdicts_left_out", "/skipped/count", "/not_asked/queries_without_client"] {
            assert_eq!(same.pointer(pointer), Some(&0.into()), "{file}: {pointer}");
        }
        let new = replay("new.toml");
        assert_eq!(
            (&new["changed"], &new["newly_blocked"], &new["newly_passed"]),
            (&7.into(), &4.into(), &3.into()),
            "{file}: {new:#}"
        );
        let mut rows = Vec::new();
        for change in new["changes"].as_array().unwrap() {
            for row in change["by_name"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let because = ["program", "service", "rule"].map(|field| text(&row["because"][field])).join(" ");
                let (before, after, name) = (text(&change["before"]), text(&change["after"]), text(&row["name"]));
                rows.push(format!("{before} {after} {name} {} {because}", row["queries"]));
            }
        }
        let expected = [
            "passed blocked www.example.com 3 strict new new.list:3",
            "passed blocked alias.example.com 1 strict new new.list:3",
            "blocked passed www.tiktok.com 2 strict strict strict.list:2",
            "blocked passed alias2.example.com 1 strict strict strict.list:3",
        ];
        assert_eq!(rows, expected, "{file}");
    }
    // A database can't come from a pipe.
    let mut command = command(place.path(), &["-"]);
    let input = fs::File::open(place.path().join("state/queries.db")).unwrap();
    let (code, _, errors) = told(command.stdin(input).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(errors.contains("a database can't be read from standard input"), "{errors}");
}
