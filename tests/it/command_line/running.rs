//! What is asked of a running server.

use super::*;

#[test]
fn a_hangup_reloads() {
    let (place, serving) = Place::serve("");
    let reloads = || serving.stderr.text().matches("policy in force").count();
    until("the first policy", || reloads() == 1);
    serving.signal("-HUP");
    until("a reload", || reloads() == 2);
    write_list(&place.path("lists/blocking.list"), &["other.example"]);
    serving.signal("-HUP");
    until("the new rule", || place.run(&["query", "other.example"]).stdout.contains("blocking.list:2"));
    assert_eq!(place.run(&["health"]).code, Some(0));
}

#[test]
fn the_lists_of_a_running_server() {
    let (place, _serving) = Place::serve("");
    fs::write(place.path("lists/page.list"), "<html>").unwrap();
    until("its trouble", || place.run(&["lists", "status"]).stdout.contains("it is a web page"));
    let ended = place.run(&["lists", "status", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["test-program/blocking\tenforce\t1 rules\t1 exceptions", "test-program/idle\toff\t2 rules"]);
}

pub(super) const BLOCKING: &str = "test-program/blocking.list";

#[test]
fn a_list_is_rolled_back_and_released() {
    let (place, _serving) = Place::serve("");
    let versions = || place.run(&["lists", "versions", BLOCKING]).stdout;
    let none = place.run(&["lists", "rollback", BLOCKING]);
    assert_eq!(none.code, Some(1), "{none:?}");
    has(&none.stderr, &["no version of test-program/blocking.list before the one in force is kept"]);
    until("its text is kept", || versions().ends_with("\t2 rules\tin force\n"));
    let first = versions()[..16].to_owned();
    write_list(&place.path("lists/blocking.list"), &["newer.example", "other.example", "third.example"]);
    until("the new text", || place.run(&["query", "newer.example"]).stdout.contains("NXDOMAIN"));
    until("both are kept", || versions().lines().count() == 2 && !versions().contains("not kept"));
    let differs = place.run(&["lists", "versions", BLOCKING, "--diff"]).stdout;
    has(
        &differs,
        &[&format!("{first} to "), "3 added, 2 removed\n- blocked.example\n- @pass.blocked.example\n+ newer.example\n"],
    );
    let same = place.run(&["lists", "versions", BLOCKING, "--diff", &first, "--to", &first[..5]]).stdout;
    has(&same, &["0 added, 0 removed"]);
    let ended = place.run(&["lists", "rollback", BLOCKING, "--reason", "too much"]);
    assert_eq!(ended.stdout, format!("pinned {BLOCKING} at version {first}: too much\n"), "{ended:?}");
    let status = place.run(&["lists", "status"]).stdout;
    has(&status, &[&format!("  pinned at {first}: too much\n  version "), " waits\n"]);
    has(&versions(), &["newest, waits\n", "in force, pinned\n"]);
    has(&place.run(&["check"]).stdout, &[&format!("warning: {BLOCKING} is pinned at version {first} (overlay.toml)")]);
    let ended = place.run(&["lists", "release", BLOCKING]);
    assert_eq!(ended.stdout, format!("released {BLOCKING} from version {first}\n"), "{ended:?}");
    let ended = place.run(&["lists", "release", BLOCKING]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    has(&ended.stderr, &["test-program/blocking.list is not pinned"]);
    assert_eq!(place.run(&["lists", "versions", "blocking"]).code, Some(64));
}

/// Who reads lines of JSON reads nothing else.
#[test]
fn lines_of_json_have_standard_output_for_themselves() {
    let (place, serving) = Place::serve("[query_log.json]\nto = \"stdout\"\n");
    place.run(&["query", "blocked.example"]);
    serving.stdout.until("blocked.example");
    for line in serving.stdout.text().lines() {
        let read = serde_json::from_str::<serde_json::Value>(line);
        assert!(read.is_ok_and(|line| line["name"].is_string()), "{line}");
    }
    has(&serving.stderr.text(), &["is ready", "test-program", "Try it:"]);
}

#[test]
fn the_token_is_sent_along() {
    let (place, _serving) = Place::serve_with_token();
    assert_eq!(place.run(&["lists", "status"]).code, Some(0));
    fs::write(place.path("token"), "another-than-the-owner-s\n").unwrap();
    let ended = place.run(&["lists", "status"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // Of the problem what is for people.
    has(&ended.stderr, &["the server answered 401 Unauthorized: send `Authorization: Bearer` with the token"]);
    assert!(!ended.stderr.contains('{'), "{ended:?}");
}

// ---- explain -------------------------------------------------------------------------------------------------------

#[test]
fn explain_asks_the_running_server() {
    let (place, _serving) = Place::serve("");
    let list = place.path("lists/blocking.list").display().to_string();
    let ended = place.run(&["explain", "www.blocked.example", "--type", "AAAA", "--client", "192.168.1.7"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rule = format!("{list}:4: blocked.example");
    has(&ended.stdout, &["www.blocked.example is blocked by test-program/blocking", "line 4", &rule]);
    has(&ended.stdout, &["AAAA from 192.168.1.7", "qname"]);
    assert!(!ended.stdout.contains("Offline"));
    let ended = place.run(&["explain", "www.blocked.example", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["action"], "block", "{json}");
    assert_eq!(json["verdicts"][0]["rule"]["text"], "blocked.example", "{json}");
    assert_eq!(json["verdicts"][0]["rule"]["line"], 4, "{json}");
    // An exception, a shadow rule, a rule that is off, nothing at all; a client that isn't let in.
    for (name, said) in [
        ("pass.blocked.example", "exception of test-program/blocking"),
        ("watched.example", "would block it if it were enforced"),
        ("idle.example", "no rule matches"),
        ("other.example", "no rule matches"),
    ] {
        let ended = place.run(&["explain", name]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        has(&ended.stdout, &[name, "passes", said]);
    }
    let ended = place.run(&["explain", "blocked.example", "--client", "8.8.8.8"]);
    has(&ended.stdout, &["[access]"]);
}

#[test]
fn explain_of_a_list_that_changed_and_was_refused() {
    let (place, _serving) = Place::serve("");
    let explain = || place.run(&["explain", "blocked.example"]);
    has(&explain().stdout, &["blocking.list:4: blocked.example"]);
    until("its text is kept", || place.run(&["lists", "versions", BLOCKING]).stdout.ends_with("\tin force\n"));
    fs::write(place.path("lists/blocking.list"), "<html>\n\n\n\nnot the rule\n</html>").unwrap();
    let ended = explain();
    has(&ended.stdout, &["is blocked by test-program/blocking", "blocking.list:4: blocked.example"]);
    assert!(!ended.stdout.contains("not the rule"), "{ended:?}");
    // So it stays, since the page never comes into force.
    until("held", || place.run(&["lists", "status"]).stdout.contains("it is a web page"));
    let ended = explain();
    has(&ended.stdout, &["is blocked by test-program/blocking", "blocking.list:4: blocked.example"]);
    // Without the text that was kept it isn't made up.
    for file in fs::read_dir(place.path("state/lists")).unwrap().map(|file| file.unwrap().path()) {
        fs::remove_file(file).unwrap();
    }
    let ended = explain();
    has(&ended.stdout, &["is blocked by test-program/blocking", "line 4, changed since load"]);
    assert_eq!(ended.code, Some(0));
}

#[test]
fn explain_offline_says_so() {
    let place = Place::new("");
    let ended = place.run(&["explain", "www.blocked.example", "--offline"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["Offline", "is blocked by test-program/blocking", "blocking.list:4: blocked.example"]);
    let ended = place.run(&["explain", "other.example", "--offline"]);
    has(&ended.stdout, &["Offline", "no rule matches", "not resolved"]);
    let ended = place.run(&["explain", "www.blocked.example", "--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON alone, without a remark");
    assert_eq!(json["action"], "block", "{json}");
    assert!(!place.path("state").exists());
}

/// What is answered before any policy, and what keeps a policy from blocking, count offline too.
#[test]
fn explain_offline_knows_what_stands_before_the_policy() {
    let place = Place::new(
        "[local]\nrecords = [\"nas.blocked.example. A 192.0.2.7\"]\n\
         [[policy.exception]]\nnames = [\"=www.blocked.example\"]\nreason = \"we need it\"\n\
         [[policy.exception]]\nnames = [\"old.blocked.example\"]\nuntil = \"2020-01-31\"\n",
    );
    let explain = |name: &str| place.run(&["explain", name, "--offline"]).stdout;
    has(&explain("nas.blocked.example"), &["a name of your own ([local])"]);
    has(&explain("printer.local"), &["a special-use name"]);
    has(&explain("www.blocked.example"), &["passes: the owner's exception", "we need it", "cleandns.toml"]);
    let ended = explain("old.blocked.example");
    has(
        &ended,
        &["is blocked by test-program/blocking", "except old.blocked.example by the owner's exception at", "(ended)"],
    );
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/pauses.json"), r#"[{"group":null,"until":99999999999}]"#).unwrap();
    has(&explain("blocked.example"), &["would block it were there no pause", "pause  ", "pause --end"]);
    assert_eq!(fs::read_dir(place.path("state")).unwrap().count(), 1, "it left something behind");
}

/// A list that is gone is the server's trouble, not that of whoever asks it.
#[test]
fn a_server_is_asked_whatever_became_of_its_lists() {
    let (place, serving) = Place::serve("");
    until("a copy is kept", || {
        let kept = fs::read_dir(place.path("state/lists")).into_iter().flatten().flatten();
        kept.map(|file| file.file_name()).any(|name| name.to_string_lossy().ends_with(".last-good"))
    });
    fs::rename(place.path("lists"), place.path("elsewhere")).unwrap();
    let ended = place.run(&["health"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&place.run(&["explain", "blocked.example"]).stdout, &["is blocked by test-program/blocking"]);
    has(&place.run(&["query", "blocked.example"]).stdout, &["NXDOMAIN"]);
    until("it is said", || place.run(&["lists", "status"]).stdout.contains("the folder can't be read"));
    // A start would go by the copies; who is to tell of the lists as they are has none.
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["there is no such file or folder", "a server goes by the last good copy"]);
    let ended = place.run(&["explain", "blocked.example", "--offline"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["there is no such file or folder"]);
    drop(serving);
}

/// Whatever a list is called, its service has a name that the configuration can say.
#[test]
fn services_have_names_that_can_be_configured() {
    let place = Place::new(
        "[[program]]\nname = \"p\"\nlists = [{ path = \"more\" }]\nservices = { stevenblack = \"off\", bad-name = \"shadow\" }\n\
         [[group]]\nname = \"g\"\nclients = [\"10.0.0.1\"]\nservices = { \"p/stevenblak\" = \"off\" }\n",
    );
    fs::create_dir(place.path("more")).unwrap();
    fs::write(place.path("more/StevenBlack.hosts"), "0.0.0.0 a.example\n").unwrap();
    fs::write(place.path("more/x.list"), "#! cleandns\n#: service: Bad Name!\nb.example\nns:ns.example\n").unwrap();
    let ended = place.run(&["check", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["p/stevenblack: off, 1 rules", "p/bad-name: shadow, 2 rules"]);
    has(&ended.stdout, &["p/stevenblak: the configuration names a service that no list has"]);
    // Here every name is forwarded.
    has(&ended.stdout, &["rules on name servers (ns:, rpz-nsdname, rpz-nsip) are inactive"]);
    let ended = place.run(&["explain", "a.example", "--offline"]);
    has(&ended.stdout, &["no rule matches"]);
}

#[test]
fn a_file_of_certificates_must_hold_some() {
    let list = "[[program]]\nname = \"p\"\nlists = [{ url = \"HTTPS://lists.example/a\", ca_file = \"root.hints\" }]\n";
    let place = Place::new(list);
    for args in [&["check"][..], &[]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, &["ca_file: ", "root.hints: it holds no certificate"]);
    }
}
