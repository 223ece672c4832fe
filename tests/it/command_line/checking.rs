//! What `cleandns check` says.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn check_of_what_is_right() {
    let place = Place::new("");
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["cleandns.toml", "3 lists", "0 lines skipped", "0 lists unusable"]);
    assert_eq!(ended.stderr, "");
    // It looks and leaves no trace.
    assert!(!place.path("state").exists() && !place.path("xdg-state").exists());
    assert_eq!(place.run(&["check", "--strict"]).code, Some(0));
    // In relative terms too, and from elsewhere.
    let mut command = bare(Path::new(env!("CARGO_BIN_EXE_cleandns")), place.folder.path());
    assert_eq!(ended_code(command.args(["check", "--config", "cleandns.toml"])), Some(0));
}

fn ended_code(command: &mut Command) -> Option<i32> {
    ended(command).code
}

#[test]
fn check_reports_every_problem_at_once() {
    let place = Place::new("");
    let text = r#"[listen]
do53 = ["127.0.0.1:70000"]
workerz = 3

[resolve]
validate = "yes"
root_hints = "nowhere.hints"

[policy]
mode = "enforced"
block_ttl = "30"

[[program]]
name = "p"
lists = [{ path = "no-such-folder" }, { path = "lists", format = "domain" }]

[[program]]
name = "p"
lists = [{ path = "lists", requird = true }]

[nonsense]
x = 1
"#;
    fs::write(place.path("cleandns.toml"), text).unwrap();
    // Who only asks a running server reads no files, but the configuration's text like everybody.
    for args in [&["explain", "a.example"][..], &["health"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        has(&ended.stderr, &["cleandns.toml:2:9: ", "cleandns.toml:18:8: ", "cleandns.toml:21:", "workers", "domains"]);
        assert!(!ended.stderr.contains("no-such-folder"), "{ended:?}");
    }
    for args in [&["check"][..], &[], &["explain", "a.example", "--offline"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        let positions = [
            "cleandns.toml:2:9: ",
            "cleandns.toml:3:1: ",
            "cleandns.toml:6:12: ",
            "cleandns.toml:7:14: ",
            "cleandns.toml:10:8: ",
            "cleandns.toml:11:13: ",
            "cleandns.toml:15:",
            "cleandns.toml:18:8: ",
            "cleandns.toml:19:",
            "cleandns.toml:21:",
        ];
        has(&ended.stderr, &positions);
        has(&ended.stderr, &["workers", "required", "nowhere.hints", "no-such-folder", "domains"]);
        assert_eq!(ended.stderr.matches("cleandns.toml:15:").count(), 2, "{}", ended.stderr);
        // One line each: what is wrong, and what to do.
        assert!(ended.stderr.lines().all(|line| line.starts_with("cleandns.toml:")), "{}", ended.stderr);
    }
}

/// What is wrong with one thing is no reason not to look at the others.
#[test]
fn check_reports_problems_of_all_kinds_at_once() {
    let place = Place::new("");
    fs::write(place.path("users"), "anna\n").unwrap();
    fs::write(place.path("empty.list"), "").unwrap();
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/overlay.toml"), "[modes.everybody]\ntest-program = 'of'\n").unwrap();
    let wrong = "[cache]\nstale = \"soon\"\n";
    let extra = "[query_log]\njson.to = \"nowhere/q.json\"\ndnstap.to = \"nowhere/q.dnstap\"\n[[program]]\nname = \"strict\"\n\
                 lists = [{ path = \"empty.list\", required = true }]\n";
    place.configure(&format!("{wrong}{extra}"));
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), text.replace("[admin]\n", "[admin]\nusers_file = \"users\"\n")).unwrap();
    fs::write(place.path("root.hints"), "# nothing\n").unwrap();
    let kinds = [
        "cache.stale: \"soon\" is not a duration",
        "root.hints",
        "users:1: a line is name:role:",
        "query_log.json.to: ",
        "query_log.dnstap.to: ",
        "empty.list: a required list is of no use",
    ];
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &kinds);
    has(&ended.stdout, &["overlay.toml:2:16: modes.everybody.test-program: \"of\" is not one of"]);
    // A start ends with what it can be known to stumble over, all of it.
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), text.replace(wrong, "")).unwrap();
    let kinds_of_start = ["root.hints", "users:1: ", "query_log.json.to: ", "query_log.dnstap.to: "];
    for args in [&[][..], &["check"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        has(&ended.stderr, &kinds_of_start);
    }
    fs::write(place.path("cleandns.toml"), text).unwrap();
    let ended = place.run(&["check", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let problems: Vec<&str> = told["problems"].as_array().unwrap().iter().filter_map(|told| told.as_str()).collect();
    for kind in kinds {
        assert!(problems.iter().any(|problem| problem.contains(kind)), "{kind}: {problems:#?}");
    }
    assert!(told["overlay"].as_str().unwrap().starts_with("overlay.toml:2:16: "), "{told:#}");
}

/// A server starts without what pages and API changed, if that is of no use; who asks to be strict is told by the code.
#[test]
fn check_of_what_pages_changed() {
    let place = Place::new("");
    fs::create_dir(place.path("state")).unwrap();
    let overlay = |text: &str| fs::write(place.path("state/overlay.toml"), text).unwrap();
    overlay("[modes.everybody]\ntest-program = 'shadow'\ngone = 'off'\n");
    let ended = place.run(&["check", "--strict"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["warning: ", "gone"]);
    overlay("nonsense\n");
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["warning: overlay.toml:1:", "; nothing of it is in force"]);
    let ended = place.run(&["check", "--strict"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["overlay.toml:1:", "nothing of it is in force (--strict)"]);
}

#[test]
fn check_of_broken_syntax_and_missing_files() {
    let place = Place::new("");
    fs::write(place.path("cleandns.toml"), "[listen]\ndo53 = [\"127.0.0.1:1\"\n[admin\n").unwrap();
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["cleandns.toml:"]);
    fs::remove_file(place.path("cleandns.toml")).unwrap();
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["cleandns.toml", "no such file"]);
    // Hints without an address.
    place.configure("");
    fs::write(place.path("root.hints"), "# nothing\n").unwrap();
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["root.hints"]);
}

#[test]
fn check_of_files_that_cannot_be_written() {
    let place = Place::new("");
    for (option, extra) in [
        ("query_log.json.to", "[query_log.json]\nto = \"nowhere/queries.json\"\n"),
        ("query_log.dnstap.to", "[query_log.dnstap]\nto = \"nowhere/queries.dnstap\"\n"),
    ] {
        place.configure(extra);
        for args in [&["check"][..], &[]] {
            let ended = place.run(args);
            assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
            has(&ended.stderr, &[option, "nowhere/queries.", "its folder isn't there; make it, or write another"]);
        }
    }
}

#[test]
fn a_check_for_programs() {
    let place = Place::new("");
    let check = |args: &[&str]| {
        let ended = place.run(&[&["check", "--json"], args].concat());
        (ended.code, serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap())
    };
    let (code, told) = check(&[]);
    assert_eq!((code, &told["rules"], &told["unusable"]), (Some(0), &3.into(), &0.into()), "{told:#}");
    assert!(told["configuration"].as_str().unwrap().ends_with("cleandns.toml"), "{told:#}");
    assert_eq!((&told["problems"], told["lists"].as_array().unwrap().len()), (&serde_json::json!([]), 3), "{told:#}");
    fs::write(place.path("lists/page.list"), "<html>").unwrap();
    let (code, told) = check(&["--strict"]);
    assert_eq!((code, &told["unusable"]), (Some(78), &1.into()), "{told:#}");
    place.configure("[nonsense]\nx = 1\n");
    let (code, told) = check(&[]);
    assert_eq!(code, Some(78), "{told:#}");
    assert!(told["problems"][0].as_str().unwrap().contains("nonsense"), "{told:#}");
}

#[test]
fn check_of_names_of_ones_own() {
    let place = Place::new("");
    fs::write(place.path("hosts"), "192.168.1.60 tv.lan\n0.0.0.0 ads.example\n").unwrap();
    place.configure("[local]\nrecords = [\"nas.lan. A 192.168.1.10\"]\nhosts = [\"hosts\"]\n");
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["warning: ", "hosts:2: 0.0.0.0 is nobody's address"]);
    place.configure("[local]\nrecords = [\"nas.lan. A nas\"]\nhosts = [\"nowhere\"]\n");
    for args in [&["check"][..], &[]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        has(&ended.stderr, &["local.records: `nas` is no IPv4 address", "local.hosts: ", "nowhere"]);
    }
}

#[test]
fn check_of_lists() {
    let place = Place::new("");
    write_list(&place.path("lists/spotty.list"), &["good.example", "two words", "", "-bad-.example/x", "a..example"]);
    fs::write(place.path("lists/page.list"), "<html>").unwrap();
    let ended = place.run(&["check"]);
    // A skipped line is no error, and neither is a list that can't be used: the server would start.
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["5 lists", "3 lines skipped", "1 lists unusable", "page.list: unusable: it is a web page"]);
    assert!(!ended.stdout.contains("spotty.list:3"), "{}", ended.stdout);
    let ended = place.run(&["check", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["spotty.list:3: ", "spotty.list:5: ", "spotty.list:6: ", "more than one word"]);
    has(&ended.stdout, &["test-program/spotty: enforce, 1 rules", "3 lines skipped"]);
    has(&ended.stdout, &["test-program/idle: off, 2 rules", "test-program/watched: shadow"]);
    for args in [&["check", "--strict"][..], &["check", "--verbose", "--strict"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, &["3 skipped lines and 1 unusable lists"]);
    }
}

/// The default configuration's own words about it.
#[test]
fn check_warns_of_services_that_no_list_has() {
    let place = Place::new("");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap().replace("idle = ", "idel = ");
    fs::write(place.path("cleandns.toml"), text).unwrap();
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["warning", "test-program/idel"]);
}

/// What a start would become, and where it would keep things, is looked at and left as it is.
#[test]
fn check_foresees_the_user_and_the_state_folder() {
    let place = Place::new("[process]\nuser = \"no-such-user\"\n");
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("user = ")).unwrap();
    has(&ended.stderr, &[&format!("cleandns.toml:{line}:8: process.user: there is no user no-such-user; make it")]);
    assert!(!place.path("state").exists());

    let with = |state: &str, more: &str| {
        let text =
            text.replace("[process]\nuser = \"no-such-user\"\n", more).replace("\"state\"", &format!("\"{state}\""));
        fs::write(place.path("cleandns.toml"), text).unwrap();
        place.run(&["check"])
    };
    let line = 1 + text.lines().position(|line| line.starts_with("dir = ")).unwrap();
    let ended = with("/proc/x", "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = format!(
        "warning: cleandns.toml:{line}:7: state.dir: /proc/x can't be made or written to: /proc is the kernel's"
    );
    assert!(
        ended.stdout.replace(&format!("{}/", place.folder.path().display()), "").contains(&told),
        "{}",
        ended.stdout
    );
    let ended = with("state/inner", "");
    assert_eq!((ended.code, ended.stdout.contains("state.dir")), (Some(0), false), "{ended:?}");
    assert!(!place.path("state").exists());
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Root may do whatever it likes, and becomes somebody who may not.
    fs::create_dir(place.path("state")).unwrap();
    fs::set_permissions(place.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let ended = with("state", "[process]\nuser = \"nobody\"\n");
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &[&format!(":{line}:7: state.dir: "), "can't be written to by nobody: ", "EACCES"]);
    assert_eq!(fs::read_dir(place.path("state")).unwrap().count(), 0);
}
