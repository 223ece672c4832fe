//! Who may use the pages: files of users and tokens, and a server that asks for them.

use super::*;
use std::{io::Write, os::unix::fs::PermissionsExt};

/// Runs a command with something on its input.
pub(super) fn run_with(place: &Place, args: &[&str], input: &str) -> Ended {
    let mut command = place.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn users_are_added_shown_and_removed() {
    let (place, serving) = Place::serve("");
    drop(serving);
    let ended = run_with(&place, &["admin", "user", "add", "anna"], "correct horse\n");
    assert_eq!(ended.code, Some(64), "{ended:?}");
    has(&ended.stderr, &["users_file names no file", "--file FILE"]);
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), text.replace("[admin]\n", "[admin]\nusers_file = \"users\"\n")).unwrap();
    let ended = run_with(&place, &["admin", "user", "list"], "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for (args, password, told) in [
        (&["add", "anna"][..], "correct horse\n", "anna is added, operator"),
        (&["add", "bob", "--read-only"], "battery staple\r\n", "bob is added, read-only"),
        (&["add", "bob"], "battery staple", "bob has a new password, and is operator"),
    ] {
        let ended = run_with(&place, &[&["admin", "user"], args].concat(), password);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        has(&ended.stdout, &[told]);
        assert!(!format!("{ended:?}").contains(password.trim()), "{ended:?}");
    }
    for (args, password, told) in [
        (&["add", "carol"][..], "", "no password was given"),
        (&["add", "carol"], "short\n", "a password has 8 to 1024 octets"),
        (&["add", "a:b"], "correct horse\n", "a user's name is"),
        (&["remove", "carol"], "", "there is no user carol"),
    ] {
        let ended = run_with(&place, &[&["admin", "user"], args].concat(), password);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        has(&ended.stderr, &[told]);
    }
    // A password has no place in a list of processes.
    assert_eq!(place.run(&["admin", "user", "add", "carol", "correct horse"]).code, Some(64));
    assert_eq!(place.path("users").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.run(&["admin", "user", "list"]).stdout, "anna  operator\nbob  operator\n");
    assert_eq!(place.run(&["admin", "user", "remove", "bob"]).code, Some(0));
    let file = place.path("users");
    let elsewhere = place.run(&["admin", "user", "list", "--file", file.to_str().unwrap()]);
    assert_eq!(elsewhere.stdout, "anna  operator\n");
    // What is wrong in other sections is another's concern; in this one it isn't known which file is meant.
    let good = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), format!("{good}\n[cache]\nsize = \"much\"\n")).unwrap();
    let ended = place.run(&["admin", "user", "list"]);
    assert_eq!(ended.stdout, "anna  operator\n");
    has(&ended.stderr, &["warning: ", "cache.size"]);
    for wrong in [good.replace("users_file", "user_file"), format!("{good}\n[cache\n")] {
        fs::write(place.path("cleandns.toml"), wrong).unwrap();
        assert_eq!(place.run(&["admin", "user", "list"]).code, Some(78));
    }
    fs::write(place.path("cleandns.toml"), good).unwrap();
    // What is written is what a start reads.
    let Some(_serving) = Serving::start(place.command(&["serve"])) else { panic!("it doesn't start") };
    let ended = place.run(&["pause"]);
    assert_eq!(ended.code, Some(1), "the commands need a token: {ended:?}");
    has(&ended.stderr, &["401", "Authorization: Bearer"]);
}

#[test]
fn a_server_that_others_reach_says_how_to_guard_it() {
    let place = Place::new("");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let open = text.lines().map(|line| match line.starts_with("listen = ") && !line.contains('[') {
        true => line.replace("127.0.0.1", "0.0.0.0"),
        false => line.to_owned(),
    });
    let open = open.collect::<Vec<_>>().join("\n");
    fs::write(place.path("cleandns.toml"), &open).unwrap();
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["can be reached from other machines", "cleandns admin token new FILE"]);
    // As it says.
    let ended = place.run(&["admin", "token", "new", "token"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["[admin]", "token_file = "]);
    let token = fs::read_to_string(place.path("token")).unwrap();
    assert!(!ended.stdout.contains(token.trim()));
    assert_eq!(place.path("token").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let ended = place.run(&["admin", "token", "new", "token"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    has(&ended.stderr, &["is there already"]);
    fs::write(place.path("cleandns.toml"), open.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n")).unwrap();
    let Some(serving) = Serving::start(place.command(&["serve"])) else { panic!("it doesn't start") };
    until("a warning", || serving.stderr.text().contains("passwords and tokens cross the network in the clear"));
    assert_eq!(place.run(&["pause"]).code, Some(0));
    // A file of users that can't be read is as wrong as any other option.
    fs::write(place.path("users"), "anna\n").unwrap();
    drop(serving);
    fs::write(place.path("cleandns.toml"), open.replace("[admin]\n", "[admin]\nusers_file = \"users\"\n")).unwrap();
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["users:1: a line is name:role"]);
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["users:1: a line is name:role"]);
}
