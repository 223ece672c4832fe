//! What is kept of queries: each one once, with all that was decided, in every place it is written to.

use crate::{
    harness::{Ask, Server, eventually, folder, over_udp, start, write_list},
    internet::Internet,
};
use cleandns::{
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Trigger},
    query::{CacheUse, HEALTH_NAME},
    query_log::{Fate, JsonRow, Row, sqlite::Reader},
    resolve::Security,
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

/// All rows of a database, in the order in which they were answered.
fn rows(path: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    let Ok(mut reader) = Reader::open(path) else { return rows };
    reader.for_each(0, i64::MAX, |seen| rows.push(seen.row.clone())).unwrap();
    rows
}

/// Waits until so many rows are there.
async fn recorded(server: &Server, count: usize) -> Vec<Row> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let path = server.path("state/queries.db");
    eventually("the queries to be recorded", || async {
        *found.lock().unwrap() = rows(&path);
        found.lock().unwrap().len() >= count
    })
    .await;
    let rows = found.lock().unwrap().clone();
    assert_eq!(rows.len(), count);
    rows
}

const PROGRAMS: &str = r#"
[query_log.json]
to = "queries.json"
[[policy.exception]]
names = ["=allowed.blocked.com"]
reason = "we need it"
[[program]]
name = "strict"
lists = [{ path = "strict.list", service = "shop" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watching.list", service = "cloud" }]
[[program]]
name = "silent"
block = "drop"
lists = [{ path = "silent.list" }]
[[group]]
name = "guests"
clients = ["127.0.0.9"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_kept_once_with_all_that_was_decided() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("strict.list"), &["blocked.com", "@=www.passed.com", "passed.com"]);
    write_list(&folder.path().join("watching.list"), &["*.blocked.com", "signed.org"]);
    write_list(&folder.path().join("silent.list"), &["=dropped.com"]);
    let server = start(folder, Some(&internet), PROGRAMS).await;

    let asks = [
        ("127.0.0.1", Ask::new("www.blocked.com", RrType::AAAA)),
        ("127.0.0.9", Ask { tcp: true, ..Ask::new("www.signed.org", RrType::A) }),
        ("127.0.0.1", Ask::new("www.signed.org", RrType::A)),
        ("127.0.0.1", Ask::new("www.passed.com", RrType::TXT)),
        ("127.0.0.1", Ask::new("allowed.blocked.com", RrType::A)),
        ("127.0.0.1", Ask::new("use-application-dns.net", RrType::A)),
    ];
    for (client, ask) in &asks {
        server.ask_from(client, ask).await;
    }
    let dropped = Ask::new("dropped.com", RrType::A).packet();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&dropped, server.dns()).await.unwrap();
    over_udp(server.dns(), b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07no-zero").await.unwrap();

    let rows = recorded(&server, 8).await;
    let find = |name: &str, nth: usize| rows.iter().filter(|row| row.name == name).nth(nth).unwrap();

    let blocked = find("www.blocked.com", 0);
    assert_eq!((blocked.client.as_str(), &*blocked.group), ("127.0.0.1", "default"));
    assert_eq!((blocked.rr_type, blocked.rcode, blocked.ede), (RrType::AAAA, Rcode::NXDOMAIN, Some(15)));
    assert_eq!((blocked.cache, blocked.security, blocked.upstream.as_deref()), (None, None, None));
    let said: Vec<_> = blocked
        .verdicts
        .said
        .iter()
        .map(|said| (&*said.program, &*said.service, &*said.rule, said.line, said.outcome, said.acted))
        .collect();
    assert_eq!(
        said,
        [
            ("strict", "shop", "blocked.com", 2, Outcome::Block, true),
            ("watching", "cloud", "*.blocked.com", 2, Outcome::WouldBlock, false)
        ]
    );
    let said = &blocked.verdicts.said[0];
    assert_eq!((&*said.list, said.trigger, said.version.len()), ("strict.list", Trigger::Qname, 16));
    let lists = server.json("/api/v1/lists").await;
    let versions: Vec<&str> =
        lists["lists"].as_array().unwrap().iter().filter_map(|list| list["version"].as_str()).collect();
    assert!(versions.contains(&&*said.version), "{versions:?} {}", said.version);

    let miss = find("www.signed.org", 0);
    assert_eq!((miss.client.as_str(), &*miss.group, miss.transport), ("127.0.0.9", "guests", Transport::Tcp));
    assert_eq!((miss.cache, miss.security), (Some(CacheUse::Miss), Some(Security::Secure)));
    assert_eq!((miss.upstream.as_deref(), miss.server.is_some()), (Some("recursion"), true));
    assert_eq!((miss.verdicts.fate(), miss.addresses.is_empty()), (Fate::WouldBlock, false));
    let hit = find("www.signed.org", 1);
    assert_eq!((hit.cache, hit.transport, hit.upstream.as_deref()), (Some(CacheUse::Hit), Transport::Udp, None));
    assert_eq!(hit.server, None);
    assert!(hit.micros < miss.micros && hit.time >= miss.time);

    assert_eq!(find("www.passed.com", 0).verdicts.fate(), Fate::Excepted);
    let allowed = find("allowed.blocked.com", 0);
    let owner = allowed.verdicts.owner.as_ref().unwrap();
    assert!(owner.place.contains("cleandns.toml:"), "{owner:?}");
    assert!(allowed.verdicts.said.iter().all(|said| !said.acted));
    assert!(find("use-application-dns.net", 0).bypass);
    let dropped = find("dropped.com", 0);
    assert_eq!((dropped.dropped, dropped.verdicts.fate()), (true, Fate::Blocked));
    let malformed = find("", 0);
    assert_eq!((malformed.rcode, malformed.fate()), (Rcode::FORMERR, Fate::Refused));

    // The same in every place.
    let text = std::fs::read_to_string(server.path("queries.json")).unwrap();
    let mut lines: Vec<Row> =
        text.lines().map(|line| serde_json::from_str::<JsonRow<'_>>(line).unwrap().row().unwrap()).collect();
    lines.sort_by_key(|row| row.time);
    let mut rows = rows.clone();
    rows.sort_by_key(|row| row.time);
    assert_eq!(lines, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_that_leads_to_a_blocked_name_is_kept_with_its_chain_unless_answers_are_not_wanted() {
    let internet = Internet::start().await;
    for (answers, aliases) in [(true, &["alias.signed.org", "www.signed.org"][..]), (false, &[])] {
        let folder = folder();
        write_list(&folder.path().join("own.list"), &["signed.org"]);
        let toml = format!(
            "[query_log]\nanswers = {answers}\n[[program]]\nname = \"own\"\nlists = [{{ path = \"own.list\" }}]\n"
        );
        let server = start(folder, Some(&internet), &toml).await;
        let answer = server.ask("alias2.example.com", RrType::A).await;
        assert_eq!(answer.rcode, Rcode::NXDOMAIN, "{}", answer.shape());
        let rows = recorded(&server, 1).await;
        let [said] = rows[0].verdicts.said.as_slice() else { panic!("{:?}", rows[0]) };
        assert_eq!((said.trigger, &*said.rule, said.acted), (Trigger::Cname, "signed.org", true));
        assert_eq!(rows[0].aliases, aliases);
        assert!(answers || rows[0].addresses.is_empty());
        server.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_written_when_the_server_leaves_and_names_outlast_reloads() {
    const QUERIES: usize = 500;
    let folder = folder();
    write_list(&folder.path().join("own.list"), &["blocked.com"]);
    let toml = "[query_log]\nprivacy = \"prefix\"\n[[program]]\nname = \"own\"\nlists = [{ path = \"own.list\" }]\n";
    let server = start(folder, None, toml).await;
    for index in 0..QUERIES {
        if index == QUERIES / 2 {
            write_list(&server.path("own.list"), &["other.com", "blocked.com"]);
            eventually("the reload", || async {
                let answer = server.ask("blocked.com", RrType::A).await;
                answer.ede.is_some_and(|ede| ede.text.ends_with(":3"))
            })
            .await;
        }
        server.ask("blocked.com", RrType::A).await;
    }
    let (path, kept) = (server.path("state/queries.db"), server.folder);
    server.running.stop().await;
    let rows = rows(&path);
    assert!(rows.len() > QUERIES, "{} rows", rows.len());
    let lines = |line: u32| rows.iter().filter(|row| row.verdicts.said[0].line == line).count();
    assert_eq!(lines(2) + lines(3), rows.len());
    assert!(lines(2) >= QUERIES / 2 && lines(3) > QUERIES / 2);
    assert!(rows.iter().all(|row| row.client == "127.0.0.0/24"), "{:?}", rows[0]);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_for_a_way_round_is_told_as_far_as_privacy_goes() {
    for (privacy, expected) in [
        ("full", vec![("127.0.0.9", 2), ("127.0.0.1", 1)]),
        ("prefix", vec![("127.0.0.0/24", 3)]),
        ("hashed", vec![("", 2), ("", 1)]),
        ("none", vec![("", 3)]),
    ] {
        let server = start(folder(), None, &format!("[query_log]\nprivacy = \"{privacy}\"\n")).await;
        for client in ["127.0.0.1", "127.0.0.9", "127.0.0.9"] {
            server.ask_from(client, &Ask::new("use-application-dns.net", RrType::A)).await;
        }
        // Counted after the answer went out.
        eventually("all counted", || async { server.metric("cleandns_bypass_questions_total", &[]).await >= 3.0 })
            .await;
        let told = server.json("/api/v1/bypass").await;
        let told: Vec<_> = told.as_array().unwrap().iter().map(|row| (&row["client"], &row["questions"])).collect();
        let told: Vec<_> =
            told.into_iter().map(|(client, count)| (client.as_str().unwrap(), count.as_u64().unwrap())).collect();
        if privacy == "hashed" {
            // The same pseudonyms as in what is recorded.
            let rows = recorded(&server, 3).await;
            let of = |client: &str| rows.iter().filter(|row| row.client == client).count() as u64;
            assert!(told.iter().all(|(client, count)| client.len() == 16 && of(client) == *count), "{told:?}");
            assert_eq!(told.len(), expected.len());
        } else {
            assert_eq!(told, expected, "{privacy}");
        }
        server.running.stop().await;
    }
}

/// A rule on a client's address tells it, and the text and the line of any that holds for some clients only do to whoever
/// has the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_on_clients_are_recorded_only_where_clients_are() {
    for (privacy, expected) in [
        ("full", [("client:127.0.0.9/32", 2), ("typed.example", 3)]),
        ("prefix", [("(client)", 0), ("(client)", 0)]),
        ("hashed", [("(client)", 0), ("(client)", 0)]),
        ("none", [("(client)", 0), ("(client)", 0)]),
    ] {
        let folder = folder();
        let list = ["client:127.0.0.9/32", "||typed.example^$client=127.0.0.8"];
        write_list(&folder.path().join("own.list"), &list);
        let tap = folder.path().join("queries.dnstap").display().to_string();
        let toml = format!(
            "[query_log]\nprivacy = \"{privacy}\"\n[query_log.json]\nto = \"queries.json\"\n[query_log.dnstap]\n\
             to = \"{tap}\"\n[[program]]\nname = \"own\"\nlists = [{{ path = \"own.list\" }}]\n"
        );
        let server = start(folder, None, &toml).await;
        for (client, name) in [("127.0.0.9", "other.example"), ("127.0.0.8", "typed.example")] {
            let answer = server.ask_from(client, &Ask::new(name, RrType::A)).await;
            assert_eq!(answer.rcode, Rcode::NXDOMAIN, "{}", answer.shape());
        }
        for row in recorded(&server, 2).await {
            let [said] = row.verdicts.said.as_slice() else { panic!("{row:?}") };
            let (rule, line) = expected[usize::from(row.name == "typed.example")];
            assert_eq!((&*said.rule, said.line, &*said.list), (rule, line, "own.list"), "{privacy} {}", row.name);
        }
        let found = server.json("/api/v1/log?name=other.example").await;
        let one = server.json(&format!("/api/v1/log/{}", found["rows"][0]["id"])).await;
        let shown = one["lines"][0]["text"].as_str();
        assert_eq!(shown, (privacy == "full").then_some("client:127.0.0.9/32"), "{one}");
        let (place, kept) = (server.path(""), server.folder);
        server.running.stop().await;
        for file in ["state/queries.db", "queries.json", "queries.dnstap"] {
            let text = std::fs::read(place.join(file)).unwrap();
            let text = String::from_utf8_lossy(&text);
            for told in ["127.0.0.9", "own.list:2", "own.list:3"] {
                // The database has line and list apart.
                let is_told = privacy == "full" && (!told.starts_with("own") || file == "queries.dnstap");
                assert_eq!(text.contains(told), is_told, "{privacy} {file}: {told}");
            }
            for rule in ["\"rule\":\"typed.example\"", "0 typed.example", "0:typed.example"] {
                assert!(privacy == "full" || !text.contains(rule), "{privacy} {file}: {rule}");
            }
        }
        drop(kept);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_of_a_place_that_loses_queries() {
    let folder = folder();
    std::fs::write(folder.path().join("a-file"), "").unwrap();
    let server = start(folder, None, "[query_log]\npath = \"a-file/queries.db\"\n").await;
    let told = "query log: sqlite loses queries";
    assert!(!server.get("/readyz").await.1.contains(told), "nothing came yet");
    server.ask("www.tiktok.com", RrType::A).await;
    eventually("health to tell of it", || async { server.get("/readyz").await.1.contains(told) }).await;
    assert_eq!(server.get("/readyz").await.0, 200, "it answers all the same");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_by_whoever_does_not_want_it() {
    let server = start(folder(), None, "[query_log]\nenabled = false\n").await;
    server.ask("www.tiktok.com", RrType::A).await;
    assert!(!server.path("state/queries.db").exists());
    server.running.stop().await;
}

/// It asks all the time, in a container each half a minute. That is counted, and recorded nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_it_is_answered_this_machine_asks_without_a_trace() {
    let folder = folder();
    let server = start(folder, None, "[query_log.json]\nto = \"queries.json\"\n").await;
    for tcp in [false, true] {
        for rr_type in [RrType::A, RrType::AAAA] {
            let answer = server.ask_with(&Ask { tcp, ..Ask::new(HEALTH_NAME, rr_type) }).await;
            assert_eq!(answer.rcode, Rcode::NOERROR);
        }
    }
    let beside = [format!("x.{HEALTH_NAME}"), "t-1.check.cleandns.home.arpa".to_owned(), "localhost".to_owned()];
    for name in &beside {
        server.ask(name, RrType::A).await;
    }
    let rows = recorded(&server, beside.len()).await;
    assert!(rows.iter().map(|row| &row.name).eq(&beside), "{rows:?}");
    assert_eq!(server.metric("cleandns_queries_total", &[]).await, 4.0 + beside.len() as f64);
    let lines = server.path("queries.json");
    server.running.stop().await;
    assert_eq!(std::fs::read_to_string(lines).unwrap().lines().count(), beside.len());
}

/// Somebody clears up, or a program that rotates logs moves them: what comes then is found where it is looked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_removed_under_a_server_are_begun_anew() {
    let folder = folder();
    let tap = folder.path().join("queries.dnstap").display().to_string();
    let toml = format!("[query_log.json]\nto = \"queries.json\"\n[query_log.dnstap]\nto = \"{tap}\"\n");
    let server = start(folder, None, &toml).await;
    let files = ["state/queries.db", "queries.json", "queries.dnstap"];
    server.ask("before.tiktok.com", RrType::A).await;
    eventually("the files", || async { files.iter().all(|file| server.path(file).exists()) }).await;
    recorded(&server, 1).await;
    files.iter().for_each(|file| std::fs::remove_file(server.path(file)).unwrap());
    eventually("health to tell of it", || async {
        let told = server.get("/readyz").await.1;
        ["sqlite", "json", "dnstap"].iter().all(|sink| told.contains(&format!("the file of {sink} was removed")))
    })
    .await;
    for sink in ["sqlite", "json", "dnstap"] {
        assert_eq!(server.metric("cleandns_query_log_files_gone_total", &[sink]).await, 1.0, "{sink}");
    }
    server.ask("after.tiktok.com", RrType::A).await;
    let rows = recorded(&server, 1).await;
    assert_eq!(rows[0].name, "after.tiktok.com");
    eventually("the line", || async {
        std::fs::read_to_string(server.path("queries.json")).is_ok_and(|text| text.contains("after.tiktok.com"))
    })
    .await;
    eventually("the frames", || async { server.path("queries.dnstap").exists() }).await;
    server.running.stop().await;
}
