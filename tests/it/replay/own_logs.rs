//! What a server recorded, replayed against its own policy, changes nothing, however little of clients was kept.

use super::*;

/// Guests are left alone; rules are on names, aliases and addresses, enforced and in shadow.
const GROUPS: &str = r#"
[[program]]
name = "strict"
lists = [{ path = "strict.list" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watching.list" }]
[[group]]
name = "guests"
clients = ["127.0.0.9"]
programs = { strict = "off" }
"#;
const NAMES: [&str; 5] =
    ["www.blocked.com", "www.example.com", "www.signed.org", "alias2.example.com", "alias.example.com"];

/// Has a server record the same of two clients, one of them a guest.
async fn recorded(privacy: &str, answers: bool) -> TempDir {
    let internet = Internet::start().await;
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write_list(&path("strict.list"), &["blocked.com", "203.0.113.11", "only-a.signed.org", "=alias.signed.org"]);
    write_list(&path("watching.list"), &["203.0.113.0/24"]);
    let to = path("queries.dnstap").display().to_string();
    let logs = format!(
        "[query_log]\nprivacy = \"{privacy}\"\nanswers = {answers}\n[query_log.json]\nto = \"queries.json\"\n\
         [query_log.dnstap]\nto = \"{to}\"\n{GROUPS}"
    );
    let server = start(folder, Some(&internet), &logs).await;
    for (name, client) in NAMES.iter().flat_map(|name| [(name, "127.0.0.1"), (name, "127.0.0.9")]) {
        server.ask_from(client, &Ask::new(name, RrType::A)).await;
    }
    let folder = server.folder;
    server.running.stop().await;
    folder
}

fn replayed(place: &Path, file: &str) -> Value {
    let (code, text, errors) = run(place, &[file, "--against", "cleandns.toml", "--json"]);
    assert_eq!(code, Some(0), "{file}: {errors}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_changes_however_little_is_kept_of_clients() {
    for privacy in ["full", "prefix", "hashed"] {
        let place = recorded(privacy, true).await;
        let lines = fs::read_to_string(place.path().join("queries.json")).unwrap();
        for rule in
            [r#""rule":"203.0.113.0/24","trigger":"address""#, r#""rule":"203.0.113.11/32","trigger":"address""#]
        {
            assert!(lines.contains(rule), "{rule} in {lines}");
        }
        for file in ["state/queries.db", "queries.json", "queries.dnstap"] {
            let told = replayed(place.path(), file);
            let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap();
            assert_eq!((number("/queries"), number("/changed")), (10, 0), "{privacy} {file}: {told:#}");
            assert_eq!(number("/not_asked/verdicts_left_out"), 0, "{privacy} {file}: {told:#}");
            assert_eq!(number("/not_asked/queries_without_group"), 0, "{privacy} {file}: {told:#}");
            let by_group = if privacy == "full" { 0 } else { 10 };
            assert_eq!(number("/not_asked/queries_by_recorded_group"), by_group, "{privacy} {file}: {told:#}");
            assert_eq!(number("/not_asked/queries_without_client"), by_group, "{privacy} {file}: {told:#}");
        }
    }
}

/// Which rule that was would tell who asked, so it is told by nothing, and can't be asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_on_clients_said_is_left_out_where_it_is_withheld() {
    for (privacy, left_out) in [("full", 0), ("prefix", 2), ("hashed", 2), ("none", 2)] {
        let folder = folder();
        let list = ["||typed.example^$client=127.0.0.8", "client:127.0.0.9/32", "@@||needless.example^"];
        write_list(&folder.path().join("own.list"), &list);
        // What else was said of the same queries dnstap doesn't tell.
        write_list(&folder.path().join("other.list"), &["typed.example", "other.example"]);
        let to = folder.path().join("queries.dnstap").display().to_string();
        let toml = format!(
            "[query_log]\nprivacy = \"{privacy}\"\n[query_log.json]\nto = \"queries.json\"\n[query_log.dnstap]\n\
             to = \"{to}\"\n[[program]]\nname = \"own\"\nlists = [{{ path = \"own.list\" }}]\n\
             [[program]]\nname = \"other\"\nmode = \"shadow\"\nlists = [{{ path = \"other.list\" }}]\n"
        );
        let server = start(folder, None, &toml).await;
        let needless = ("127.0.0.10", "needless.example");
        for (client, name) in [("127.0.0.8", "typed.example"), ("127.0.0.9", "other.example"), needless] {
            server.ask_from(client, &Ask::new(name, RrType::A)).await;
        }
        let place = server.folder;
        server.running.stop().await;
        for file in ["state/queries.db", "queries.json", "queries.dnstap"] {
            let told = replayed(place.path(), file);
            let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap();
            assert_eq!((number("/queries"), number("/changed")), (3, 0), "{privacy} {file}: {told:#}");
            let passed = told["fates"][3]["before"].as_u64();
            assert!(passed >= Some(1) && told["fates"][2]["before"] == 0, "{privacy} {file}: {told:#}");
            assert_eq!(number("/not_asked/verdicts_left_out"), left_out, "{privacy} {file}: {told:#}");
        }
    }
}

/// Then no group is kept either: it may be one person's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_only_because_nothing_is_kept_of_clients_is_told() {
    let place = recorded("none", true).await;
    for file in ["state/queries.db", "queries.json", "queries.dnstap"] {
        let told = replayed(place.path(), file);
        let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap();
        assert_eq!(number("/not_asked/queries_without_group"), 10, "{file}: {told:#}");
        assert!(number("/changed") > 0, "{file}: guests are taken for others");
        assert_eq!(number("/changed"), number("/not_asked/changed_without_group"), "{file}: {told:#}");
    }
    let lines = fs::read_to_string(place.path().join("queries.json")).unwrap();
    assert!(!lines.contains("guests") && !lines.contains("\"group\""), "{lines}");
    for file in ["state/queries.db", "queries.dnstap"] {
        let octets = fs::read(place.path().join(file)).unwrap();
        assert!(!octets.windows(6).any(|part| part == b"guests"), "{file}");
    }
}

/// As far as the packets tell: what blocked shows no address, and then the verdict is left out and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_tell_what_rules_on_answers_looked_at() {
    let place = recorded("hashed", false).await;
    let told = replayed(place.path(), "queries.dnstap");
    let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap();
    assert_eq!((number("/queries"), number("/changed")), (10, 0), "{told:#}");
    // For the one who is no guest: an address, and an alias.
    let left_out = number("/not_asked/verdicts_left_out");
    assert!((1..=4).contains(&left_out), "{told:#}");
    let fates: Vec<_> = told["fates"].as_array().unwrap().iter().map(|fate| fate["before"].clone()).collect();
    assert_eq!(fates[0], 1, "a name is blocked by itself: {told:#}");
    assert!(fates[1].as_u64() >= Some(4), "guests' answers would have been blocked: {told:#}");
}

/// What came from the cache leads where the query did that was resolved, so a candidate's rules on aliases and addresses
/// match all of them, in every form of the log; and a list's new rules, tried on it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_from_the_cache_is_counted_by_rules_on_answers() {
    const TIMES: usize = 7;
    let internet = Internet::start().await;
    let folder = folder();
    let to = folder.path().join("queries.dnstap").display().to_string();
    let toml = format!("[query_log.json]\nto = \"queries.json\"\n[query_log.dnstap]\nto = \"{to}\"\n");
    let server = start(folder, Some(&internet), &toml).await;
    for name in ["www.example.com", "alias.example.com"].repeat(TIMES) {
        server.ask(name, RrType::A).await;
    }
    let place = server.folder;
    server.running.stop().await;
    let path = |name: &str| place.path().join(name);
    write_list(&path("empty.list"), &["never.example.net"]);
    write_list(&path("new.list"), &["203.0.113.0/24"]);
    write_list(&path("aliases.list"), &["=www.example.com"]);
    for (list, newly) in [("new.list", 2 * TIMES), ("aliases.list", 2 * TIMES)] {
        let candidate = format!("[[program]]\nname = \"new\"\nlists = [{{ path = \"{list}\" }}]\n");
        fs::write(path("new.toml"), candidate).unwrap();
        for file in ["state/queries.db", "queries.json", "queries.dnstap"] {
            let (code, text, errors) = run(place.path(), &[file, "--against", "new.toml", "--json"]);
            assert_eq!(code, Some(0), "{file}: {errors}");
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(told["newly_blocked"], newly, "{list} {file}: {told:#}");
            assert_eq!(told["not_asked"]["queries_without_answer"], 0, "{list} {file}: {told:#}");
            if file.ends_with("dnstap") {
                continue;
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_cleandns"));
            let diff = ["lists", "diff", "empty.list", list, "--asked", "1d", "--source", file, "--json"];
            let (code, text, errors) = super::told(command.current_dir(place.path()).args(diff).output().unwrap());
            assert_eq!(code, Some(0), "{file}: {errors}");
            let told: Value = serde_json::from_str(&text).unwrap();
            let hits =
                told["services"].as_array().unwrap().iter().filter_map(|it| it["added"]["hit"]["queries"].as_u64());
            assert_eq!(hits.sum::<u64>(), newly as u64, "{list} {file}: {told:#}");
            assert_eq!(told["asked"]["without_answer"], 0, "{list} {file}: {told:#}");
        }
    }
}
