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

/// The configuration of a place, listening for HTTP where others reach it.
fn opened(place: &Place) -> String {
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let open = text.lines().map(|line| match line.starts_with("listen = ") && !line.contains('[') {
        true => line.replace("127.0.0.1", "0.0.0.0"),
        false => line.to_owned(),
    });
    open.collect::<Vec<_>>().join("\n")
}

fn mode(file: &Path) -> u32 {
    file.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_server_that_others_reach_makes_a_token() {
    let place = Place::new("");
    fs::write(place.path("cleandns.toml"), opened(&place)).unwrap();
    let file = place.path("state/token");
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["state/token isn't there; a start with these surroundings makes it"]);
    assert!(!file.exists(), "to look is to leave no trace");
    let ended = place.run(&["admin", "token", "show"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    has(&ended.stderr, &["state/token isn't there yet", "start of the server makes it"]);
    let serving = Serving::start(place.command(&["serve"])).expect("it doesn't start");
    let shown_file = file.display().to_string();
    serving.stderr.until("made a token");
    has(&serving.stderr.text(), &[&format!("file={shown_file}"), "cleandns --config", "admin token show` prints it"]);
    has(&serving.stdout.text(), &["sign in      with a token; `cleandns --config"]);
    let token = fs::read_to_string(&file).unwrap();
    let token = token.trim();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(place.run(&["admin", "token", "show"]).stdout, format!("{token}\n"));
    // The commands have it, and nobody else gets in.
    assert_eq!(place.run(&["pause"]).code, Some(0));
    let status = |header: Option<&str>| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.get(format!("http://{}/api/v1/lists", place.admin));
        let request = header.iter().fold(request, |request, value| request.header("Authorization", *value));
        request.call().unwrap().status().as_u16()
    };
    assert_eq!((status(None), status(Some(&format!("Bearer {token}")))), (401, 200));
    // Whoever has another surrounding than the server finds it by where the server is.
    let elsewhere = place.path("elsewhere.toml");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(&elsewhere, text.replace("0.0.0.0", "127.0.0.1")).unwrap();
    fs::rename(&elsewhere, place.path("cleandns.toml")).unwrap();
    assert_eq!(place.run(&["admin", "token", "show"]).stdout, format!("{token}\n"), "the running server asks for it");
    fs::write(place.path("cleandns.toml"), text).unwrap();
    // What a running server lacks it doesn't make: whoever is about to write another is not forestalled.
    fs::remove_file(&file).unwrap();
    serving.signal("-HUP");
    serving.stderr.until("wait for a restart");
    assert!(!file.exists());
    assert_eq!(status(Some(&format!("Bearer {token}"))), 200);
    let said = serving.stderr.text() + &serving.stdout.text();
    assert!(!said.contains(token), "no log has it: {said}");
    drop(serving);
    let serving = Serving::start(place.command(&["serve"])).expect("it doesn't start again");
    serving.stderr.until("made a token");
    let second = fs::read_to_string(&file).unwrap();
    assert_ne!(second.trim(), token);
    drop(serving);
    let serving = Serving::start(place.command(&["serve"])).expect("it doesn't start a third time");
    assert!(!serving.stderr.text().contains("made a token"), "{}", serving.stderr.text());
    assert_eq!(fs::read_to_string(&file).unwrap(), second);
}

#[test]
fn a_token_that_is_named_is_made_where_it_is_named() {
    let place = Place::new("");
    let open = opened(&place);
    let named = |file: &str| {
        fs::write(
            place.path("cleandns.toml"),
            open.replace("[admin]\n", &format!("[admin]\ntoken_file = \"{file}\"\n")),
        )
        .unwrap();
    };
    named("own-token");
    let serving = Serving::start(place.command(&["serve"])).expect("it doesn't start");
    serving.stderr.until("made a token");
    assert_eq!(mode(&place.path("own-token")), 0o600);
    assert!(!place.path("state/token").exists());
    assert_eq!(place.run(&["pause"]).code, Some(0));
    drop(serving);
    // Nobody makes files there, root included.
    for (file, told) in [
        ("/proc/token", &["admin.token_file: /proc/token isn't there, and", "can't make it", "leave it empty"][..]),
        ("/nowhere/token", &["admin.token_file: there is no such file or folder; looked for /nowhere/token"]),
    ] {
        named(file);
        let ended = place.run(&["serve"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, told);
    }
    fs::write(place.path("cleandns.toml"), open.replace("dir = \"state\"", "dir = \"/proc/state\"")).unwrap();
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(
        &ended.stderr,
        &["admin.token_file: /proc/state/token isn't there, and", "install -d -o", "cleandns admin token new"],
    );
}

#[test]
fn a_server_that_others_reach_says_how_to_guard_it() {
    let place = Place::new("");
    let open = opened(&place);
    fs::write(place.path("cleandns.toml"), open.replace("dir = \"state\"", "")).unwrap();
    let ended = ended(place.command(&["serve"]).env_remove("XDG_STATE_HOME"));
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

/// A start goes on, and so does a check; both say what to do.
#[test]
fn a_secret_that_everybody_can_read_is_warned_of() {
    let place = Place::new("");
    let open = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let named = "[admin]\ntoken_file = \"token\"\nread_token_file = \"read\"\nusers_file = \"users\"\n";
    fs::write(place.path("cleandns.toml"), open.replace("[admin]\n", named)).unwrap();
    fs::write(place.path("token"), "s3cret-of-the-owner\n").unwrap();
    fs::write(place.path("read"), "l00k-and-no-more-than-that\n").unwrap();
    run_with(&place, &["admin", "user", "add", "anna", "--file", "users"], "correct horse\n");
    let set = |name: &str, mode| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let told = |text: &str| text.lines().filter(|line| line.contains("by every user of this machine")).count();
    // Into a folder of one's own nobody else may look.
    ["token", "read", "users"].into_iter().for_each(|name| set(name, 0o644));
    set("", 0o700);
    assert_eq!(told(&place.run(&["check"]).stdout), 0);
    set("", 0o755);
    let ended = place.run(&["check"]);
    assert_eq!((ended.code, told(&ended.stdout)), (Some(0), 3), "{ended:?}");
    for (option, name) in [("token_file", "token"), ("read_token_file", "read"), ("users_file", "users")] {
        has(&ended.stdout, &[&format!(" admin.{option}: "), &format!("`chmod o-rwx {}`", place.path(name).display())]);
    }
    let serving = Serving::start(place.command(&["serve"])).expect("it doesn't start");
    until("three warnings", || told(&serving.stderr.text()) == 3);
    drop(serving);
    ["token", "read"].into_iter().for_each(|name| set(name, 0o640));
    set("users", 0o600);
    let ended = place.run(&["check"]);
    assert_eq!((ended.code, told(&ended.stdout)), (Some(0), 0), "{ended:?}");
}

/// The same of a token that nobody named.
#[test]
fn a_token_in_the_state_folder_that_everybody_can_read_is_warned_of() {
    let place = Place::new("");
    fs::write(place.path("cleandns.toml"), opened(&place)).unwrap();
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/token"), "s3cret-of-the-owner\n").unwrap();
    for name in ["", "state"] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (mode, warns) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(place.path("state/token"), fs::Permissions::from_mode(mode)).unwrap();
        let ended = place.run(&["check"]);
        let is_told = ended.stdout.contains("admin.token_file: ") && ended.stdout.contains("`chmod o-rwx ");
        assert_eq!((ended.code, is_told), (Some(0), warns), "{ended:?}");
    }
}

/// What root writes for a server is that server's.
#[test]
fn a_token_that_root_writes_is_the_servers() {
    // Nobody else can give a file away.
    if owner(Path::new("/proc/self")) != 0 {
        return;
    }
    let place = Place::new("");
    fs::create_dir(place.path("state")).unwrap();
    std::os::unix::fs::chown(place.path("state"), Some(65_533), Some(65_534)).unwrap();
    for file in ["state/token", "token"] {
        let ended = place.run(&["admin", "token", "new", file]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        has(&ended.stdout, &["user 65533 alone, besides root, can read"]);
        assert_eq!((owner(&place.path(file)), mode(&place.path(file))), (65_533, 0o600));
    }
    let ended = run_with(&place, &["admin", "user", "add", "anna", "--file", "users"], "correct horse\n");
    has(&ended.stdout, &["user 65533 alone, besides root, can read"]);
    assert_eq!((owner(&place.path("users")), mode(&place.path("users"))), (65_533, 0o600));
    // Whoever may not read it learns whose it is, and what to do.
    let named = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), named.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n")).unwrap();
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Strangers may not look into every folder that programs are built in.
    let program = place.path("cleandns");
    let own = Path::new(env!("CARGO_BIN_EXE_cleandns"));
    fs::hard_link(own, &program).or_else(|_| fs::copy(own, &program).map(|_| ())).unwrap();
    let mut stranger = bare(&program, place.folder.path());
    stranger.arg("--config").arg(place.path("cleandns.toml")).arg("check");
    std::os::unix::process::CommandExt::uid(&mut stranger, 65_532);
    let ended = super::ended(&mut stranger);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(
        &ended.stderr,
        &["admin.token_file: ", "can't be read by user 65532: it is user 65533's, mode 0600", "`chown 65532 "],
    );
}

fn owner(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap())
}
