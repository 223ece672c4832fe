//! What commands say as JSON is what COMMANDS.md says of it: no field goes or comes without a word there.

use super::{admin::run_with, running::BLOCKING, *};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that say nothing that a program would read: a server, and texts for shells and readers.
const WITHOUT: [&str; 3] = ["completions", "man", "serve"];
/// Where the table begins.
const HEADING: &str = "## What `--json` writes";

/// The fields of a command's document: those that are always there, and those that may be missing.
#[derive(Default, Debug)]
struct Fields {
    always: BTreeSet<String>,
    at_times: BTreeSet<String>,
}

/// The table, by command.
fn documented() -> BTreeMap<String, Fields> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/COMMANDS.md");
    let text = fs::read_to_string(path).unwrap();
    let after = text.split(HEADING).nth(1).unwrap();
    let rows = after.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let mut fields = Fields::default();
        for word in cells[2].split(", ").map_while(|word| word.strip_prefix('`')) {
            let (name, more) = word.split_once('`').unwrap();
            let into = if more.starts_with('?') { &mut fields.at_times } else { &mut fields.always };
            into.insert(name.to_owned());
            // After the last one stands what is to be said of them.
            if more.contains(':') {
                break;
            }
        }
        (cells[1].trim_matches('`').to_owned(), fields)
    };
    rows.map(row).collect()
}

/// All commands that have none below them.
fn commands(place: &Place) -> BTreeSet<String> {
    assert_eq!(place.run(&["man", "pages"]).code, Some(0));
    let names: BTreeSet<String> = fs::read_dir(place.path("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .filter_map(|page| Some(page.strip_prefix("cleandns-")?.strip_suffix(".1")?.replace('-', " ")))
        .collect();
    let is_last = |name: &&String| !names.iter().any(|other| other.starts_with(&format!("{name} ")));
    names.iter().filter(is_last).cloned().collect()
}

#[test]
fn what_is_said_as_json_is_documented() {
    let (place, _serving) = Place::serve("");
    let table = documented();
    let of_table: BTreeSet<String> =
        table.keys().map(|command| command.split(" --").next().unwrap().to_owned()).collect();
    let expected: BTreeSet<String> =
        commands(&place).into_iter().filter(|command| !WITHOUT.contains(&&**command)).collect();
    assert_eq!(of_table, expected, "the table of COMMANDS.md");
    let list = place.path("lists/blocking.list");
    let in_force = |count: usize| {
        let kept = || place.run(&["lists", "versions", BLOCKING]).stdout;
        until("its text is kept", || kept().lines().count() == count && !kept().contains("not kept"));
    };
    in_force(1);
    write_list(&list, &["blocked.example", "more.example", "@pass.blocked.example"]);
    in_force(2);
    until("it is in force", || place.run(&["explain", "more.example"]).stdout.contains("is blocked"));
    place.run(&["query", "blocked.example"]);
    fs::write(place.path("queries"), "blocked.example A\n").unwrap();
    let database = place.path("state/queries.db");
    until("a query to be recorded", || {
        cleandns::query_log::sqlite::Reader::open(&database)
            .is_ok_and(|reader| reader.first().is_ok_and(|it| it.is_some()))
    });
    // Each with a field in its depth that those who read it lean on.
    let asked: &[(&str, &[&str], &str)] = &[
        ("admin token new", &["admin", "token", "new", "token"], "/token_file"),
        ("admin token show", &["admin", "token", "show"], "/token"),
        ("admin user add", &["admin", "user", "add", "anna", "--file", "users"], "/role"),
        ("admin user list", &["admin", "user", "list", "--file", "users"], "/users/0/name"),
        ("admin user remove", &["admin", "user", "remove", "anna", "--file", "users"], "/done"),
        ("cache flush", &["cache", "flush", "example.com", "--subtree"], "/answers"),
        ("cache stats", &["cache", "stats"], "/size"),
        ("check", &["check"], "/lists/0/rules"),
        ("config schema", &["config", "schema"], "/properties/listen"),
        ("config show", &["config", "show"], "/listen/do53/value"),
        ("explain", &["explain", "blocked.example"], "/verdicts/0/rule/line"),
        ("explain", &["explain", "blocked.example", "--offline"], "/verdicts/0/rule/line"),
        ("health", &["health"], "/readyz/status"),
        ("health", &["health", "--live"], "/answers"),
        (
            "lists diff",
            &["lists", "diff", "lists/blocking.list", "lists/idle.list", "--asked", "1d"],
            "/services/0/removed/hit/queries",
        ),
        ("lists diff", &["lists", "diff", "lists/idle.list", "lists/idle.list"], "/services"),
        ("lists diff", &["lists", "diff", "lists/idle.list", "lists/watched.list"], "/services/0/added/rules/0"),
        ("lists export", &["lists", "export", "--program", "test-program", "--format", "rpz"], "/left_out"),
        ("lists export", &["lists", "export", "--program", "test-program"], "/networks"),
        ("lists status", &["lists", "status"], "/lists/0/rules"),
        ("lists update", &["lists", "update"], "/begun"),
        ("lists versions", &["lists", "versions", BLOCKING], "/versions/1/version"),
        ("lists versions --diff", &["lists", "versions", BLOCKING, "--diff"], "/added/rules/0"),
        ("lists rollback", &["lists", "rollback", BLOCKING], "/in_force"),
        ("lists release", &["lists", "release", BLOCKING], "/in_force"),
        ("pause", &["pause", "--for", "10m"], "/pauses/0/until"),
        ("pause", &["pause"], "/pauses/0/until"),
        ("query", &["query", "blocked.example"], "/ede/code"),
        (
            "replay",
            &["replay", "queries", "--against", "cleandns.toml", "--before", "none"],
            "/changes/0/by_name/0/name",
        ),
        ("report", &["report"], "/totals/queries"),
    ];
    // The server needs no token; one that does has it named.
    let guarded = Place::new("");
    let text = fs::read_to_string(guarded.path("cleandns.toml")).unwrap();
    let text = text.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
    fs::write(guarded.path("cleandns.toml"), text).unwrap();
    fs::write(guarded.path("token"), "s3cret-of-the-owner\n").unwrap();
    for (command, args, field) in asked {
        let place = if *command == "admin token show" { &guarded } else { &place };
        let ended = run_with(place, &[args, &["--json"][..]].concat(), "correct horse\n");
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        let read: Value =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {ended:?}"));
        assert!(read.pointer(field).is_some(), "{args:?} has no {field}: {}", ended.stdout);
        let own: BTreeSet<String> = read.as_object().unwrap().keys().cloned().collect();
        let Fields { always, at_times } = &table[*command];
        if !always.is_empty() {
            let missing: Vec<_> = always.difference(&own).collect();
            let unknown: Vec<_> = own.iter().filter(|it| !always.contains(*it) && !at_times.contains(*it)).collect();
            assert!(missing.is_empty() && unknown.is_empty(), "{args:?} lacks {missing:?}, and has {unknown:?}");
        }
    }
    let tried: BTreeSet<&str> = asked.iter().map(|(command, ..)| *command).collect();
    assert!(table.keys().map(String::as_str).eq(tried), "each of the table is tried");
}

/// A format and --json are one and the same word, said twice.
#[test]
fn a_report_has_one_format() {
    let ended = Place::new("").run(&["report", "--json", "--format", "csv"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
}

/// Whoever watches a server reads why it doesn't answer where they read that it does.
#[test]
fn a_server_that_does_not_answer_is_told_as_json_too() {
    let place = Place::new("");
    let ended = place.run(&["health", "--json"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(1), ""), "{ended:?}");
    let read: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(read["answers"], false, "{read}");
    assert!(read["why"].as_str().is_some_and(|why| why.contains("is `cleandns serve` running")), "{read}");
    has(&place.run(&["health"]).stderr, &["is `cleandns serve` running"]);
    // Also where nothing says whom to ask.
    fs::remove_file(place.path("cleandns.toml")).unwrap();
    let ended = place.run(&["health", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(78), ""), "{ended:?}");
    let read: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(
        read["answers"] == false && read["why"].as_str().is_some_and(|why| why.contains("cleandns.toml")),
        "{read}"
    );
}

#[test]
fn an_export_as_json_tells_what_it_lacks() {
    let place = Place::new("");
    let export = |more: &[&str]| {
        let ended = place.run(&[&["lists", "export", "--program", "test-program", "--json"], more].concat());
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let names = export(&["--format", "domains", "--mode", "shadow"]);
    has(names["text"].as_str().unwrap(), &["\nblocked.example\n", "\nwatched.example\n*.watched.example\n"]);
    let left = serde_json::json!([{ "rules": 1, "why": names["left_out"][0]["why"], "places": ["blocking.list:4"] }]);
    assert_eq!((&names["left_out"], &names["mode"], &names["rules"]), (&left, &"shadow".into(), &2.into()), "{names}");
    assert_eq!((&names["output"], &names["networks"], &names["empty"]), (&Value::Null, &Value::Null, &Value::Null));
    // With a file the text goes there, and what is told of it stays here.
    let told = export(&["--format", "rpz", "--output", "zone"]);
    has(&fs::read_to_string(place.path("zone")).unwrap(), &["@ SOA ", "\n*.blocked.example CNAME .\n"]);
    assert_eq!((&told["output"], &told["text"]), (&"zone".into(), &Value::Null), "{told}");
    // Addresses are data already.
    write_list(&place.path("lists/blocking.list"), &["192.0.2.0/24", "blocked.example"]);
    let addresses = export(&[]);
    assert_eq!((&addresses["format"], &addresses["text"]), (&"json".into(), &Value::Null), "{addresses}");
    assert_eq!(addresses["networks"][0]["network"], "192.0.2.0/24", "{addresses}");
    assert_eq!(addresses["networks"][0]["line"], 2, "{addresses}");
    // What can't be read, and why nothing is there.
    fs::write(place.path("lists/blocking.list"), "<html>").unwrap();
    let nothing = export(&["--format", "adblock"]);
    assert_eq!(nothing["rules"], 0, "{nothing}");
    assert!(nothing["unusable"][0]["why"].is_string() && nothing["empty"].is_string(), "{nothing}");
}
