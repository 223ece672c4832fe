//! A running server is asked where it listens, whatever has become of the configuration on disk since it started.

use super::*;

/// Asks in all ways that need nothing but a running server.
fn asked_in_vain(place: &Place) -> Vec<String> {
    let ways: [&[&str]; 9] = [
        &["health"],
        &["health", "--live"],
        &["health", "--json"],
        &["query", "blocked.example"],
        &["explain", "blocked.example"],
        &["lists", "status"],
        &["cache", "stats"],
        &["pause"],
        &["pause", "--for", "1m"],
    ];
    let told = ways.iter().map(|args| (args, place.run(args))).filter(|(_, ended)| ended.code != Some(0));
    told.map(|(args, ended)| format!("{args:?}: {ended:?}")).collect()
}

#[test]
fn a_configuration_that_is_wrong_keeps_nobody_from_asking() {
    let (place, serving) = Place::serve("");
    let good = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let spoilt = [
        (format!("{good}\n[policy]\nmode = \"enforcd\"\n"), "policy.mode"),
        (format!("{good}\n[policy\nmode = \n"), "cleandns.toml:"),
        (good.replace(&format!("do53 = [\"{}\"]", place.dns), "do53 = [\"127.0.0.1:70000\"]"), "listen.do53"),
        (good.replace(&format!("listen = \"{}\"", place.admin), "listen = 7"), "admin.listen"),
    ];
    for (text, problem) in &spoilt {
        assert_ne!(*text, good);
        fs::write(place.path("cleandns.toml"), text).unwrap();
        assert_eq!(asked_in_vain(&place), Vec::<String>::new(), "{problem}");
        let health = place.run(&["health"]);
        has(&health.stdout, &[&format!("{} answers\n", place.dns), &format!("http://{}/readyz says: ", place.admin)]);
        has(&health.stderr, &["warning: ", problem, "the one that runs is asked"]);
        assert_eq!(place.run(&["check"]).code, Some(78));
    }
    // Where nobody could write down where the server listens, the text says so as long as that part of it is right.
    fs::remove_file(place.path("state/running.json")).unwrap();
    fs::create_dir(place.path("state/running.json")).unwrap();
    for (text, problem) in &spoilt[..2] {
        fs::write(place.path("cleandns.toml"), text).unwrap();
        assert_eq!(asked_in_vain(&place), Vec::<String>::new(), "{problem}");
    }
    fs::write(place.path("cleandns.toml"), &spoilt[2].0).unwrap();
    assert_eq!(place.run(&["health"]).code, Some(78));
    // A server that is gone isn't well.
    fs::write(place.path("cleandns.toml"), &spoilt[0].0).unwrap();
    drop(serving);
    let health = place.run(&["health"]);
    assert_eq!(health.code, Some(1), "{health:?}");
    has(&health.stderr, &["policy.mode", "no answer from"]);
}

/// Whatever has become of the text, the server goes on with the one before, and is found where it said.
#[test]
fn a_configuration_that_is_no_toml_keeps_nobody_from_asking() {
    let (place, _serving) = Place::serve("");
    let good = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let listen = format!("do53 = [\"{}\"]", place.dns);
    let part = place.path("conf.d/state.toml");
    let without = good.replace("[state]\ndir = \"state\"\n", "");
    let unclosed = |text: &str| text.replace(&listen, &listen[..listen.len() - 1]).into_bytes();
    let spoilt: [(&str, Vec<u8>, Option<&str>); 6] = [
        ("a list that is never closed", unclosed(&good), None),
        ("a text that is never closed", good.replace(&listen, "do53 = [\"127.0.0.1:53").into_bytes(), None),
        ("a header that is never closed", good.replace("[state]", "[state").into_bytes(), None),
        ("marks of two versions", format!("<<<<<<< HEAD\nx = {{\n=======\n{good}").into_bytes(), None),
        ("octets that are no text", [b"# \xff\n", &unclosed(&good)[..]].concat(), None),
        ("a part that is never closed", unclosed(&without), Some("[cache]\nsize = [\n[state]\ndir = \"state\"\n")),
    ];
    for (what, text, of_part) in spoilt {
        if let Some(of_part) = of_part {
            fs::create_dir(place.path("conf.d")).unwrap();
            fs::write(&part, of_part).unwrap();
        }
        fs::write(place.path("cleandns.toml"), text).unwrap();
        assert_eq!(asked_in_vain(&place), Vec::<String>::new(), "{what}");
        let health = place.run(&["health"]);
        has(&health.stderr, &["warning: ", "cleandns.toml", "the one that runs is asked"]);
        has(&health.stdout, &[&format!("{} answers\n", place.dns)]);
        assert_eq!(place.run(&["check"]).code, Some(78), "{what}");
    }
}

#[test]
fn addresses_that_wait_for_a_restart_are_not_asked() {
    let (mut place, mut serving) = Place::serve("");
    let was = (place.dns, place.admin);
    (place.dns, place.admin) = (free_address(), free_address());
    place.configure("");
    serving.stderr.until("listen.do53");
    assert_eq!(asked_in_vain(&place), Vec::<String>::new());
    let health = place.run(&["health"]);
    has(&health.stdout, &[&format!("{} answers\n", was.0), &format!("http://{}/readyz says: degraded", was.1)]);
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    assert!(!place.path("state/running.json").exists(), "who leaves says so");
    assert_eq!(place.run(&["health"]).code, Some(1));
    // What one that crashed has told is not the last word.
    let Some(serving) = Serving::start(place.command(&["serve"])) else { panic!("a port was taken") };
    let told = fs::read_to_string(place.path("state/running.json")).unwrap();
    let stale = told.replace(&place.dns.to_string(), &was.0.to_string());
    fs::write(place.path("state/running.json"), stale.replace(&place.admin.to_string(), &was.1.to_string())).unwrap();
    has(&place.run(&["health"]).stdout, &[&format!("{} answers\n", place.dns)]);
    drop(serving);
}

#[test]
fn what_needs_no_token_takes_none() {
    let (place, _serving) = Place::serve_with_token();
    fs::remove_file(place.path("token")).unwrap();
    let health = place.run(&["health"]);
    assert_eq!((health.code, health.stderr.as_str()), (Some(0), ""), "{health:?}");
    assert_eq!(place.run(&["query", "blocked.example"]).code, Some(0));
    let ended = place.run(&["lists", "status"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    has(&ended.stderr, &["the server answered 401", "/token can't be read: No such file or directory"]);
}

/// What is recorded is where the server keeps it, whatever became of the configuration.
#[test]
fn a_configuration_that_is_wrong_keeps_nobody_from_reading_what_is_recorded() {
    let (place, _serving) = Place::serve("[query_log]\npath = \"recorded.db\"\n");
    place.run(&["query", "blocked.example"]);
    let queries = |ended: &Ended| {
        let read: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
        read["totals"]["queries"].as_u64().unwrap_or_default()
    };
    until("it is recorded", || queries(&place.run(&["report", "--json"])) == 1);
    let good = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let spoilt = [
        (format!("{good}\n[cache]\nsize = \"much\"\n"), "cache.size"),
        (good.replace("path = \"recorded.db\"", "path = 7"), "query_log.path"),
        (good.replace("dir = \"state\"", "dir = \"state\"\nfolder = 7"), "state.folder"),
    ];
    for (text, problem) in spoilt {
        assert_ne!(text, good);
        fs::write(place.path("cleandns.toml"), text).unwrap();
        let ended = place.run(&["report", "--json"]);
        assert_eq!((ended.code, queries(&ended)), (Some(0), 1), "{problem}: {ended:?}");
        has(&ended.stderr, &["warning: ", problem]);
        let diff = ["lists", "diff", "lists/idle.list", "lists/blocking.list", "--asked", "1d", "--json"];
        let ended = place.run(&diff);
        assert_eq!(ended.code, Some(0), "{problem}: {ended:?}");
        has(&ended.stdout, &["\"queries\": 1"]);
    }
}

/// A server that hears proxies alone hears who asks it from this machine, too, where the proxy is.
#[test]
fn a_server_behind_a_balancer_on_this_machine_is_asked() {
    let (place, serving) = Place::serve("");
    drop(serving);
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let behind = text.replace("workers = 1\n", "workers = 1\nproxy_protocol_from = [\"127.0.0.0/8\"]\n");
    assert_ne!(behind, text);
    fs::write(place.path("cleandns.toml"), behind).unwrap();
    let Some(_serving) = Serving::start(place.command(&["serve"])) else { panic!("a port was taken") };
    has(&place.run(&["query", "blocked.example", "--tcp"]).stdout, &["EDE 15"]);
    assert_eq!(asked_in_vain(&place), Vec::<String>::new());
    // It goes by what the server runs with, which a restart alone changes.
    fs::write(place.path("cleandns.toml"), text).unwrap();
    assert_eq!(asked_in_vain(&place), Vec::<String>::new());
}

/// Each address is asked, and those that don't answer are told by name, in words.
#[test]
fn health_asks_at_all_addresses() {
    let place = Place::new("");
    let second = SocketAddr::new([127, 0, 0, 2].into(), place.dns.port());
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let both =
        text.replace(&format!("do53 = [\"{}\"]", place.dns), &format!("do53 = [\"{}\", \"{second}\"]", place.dns));
    assert_ne!(text, both);
    fs::write(place.path("cleandns.toml"), both).unwrap();
    let Some(serving) = Serving::start(place.command(&["serve"])) else { panic!("a port was taken") };
    let health = place.run(&["health"]);
    assert_eq!(health.code, Some(0), "{health:?}");
    has(&health.stdout, &[&format!("{} answers\n{second} answers\n", place.dns)]);
    // One where nobody says a word, and one where nobody is.
    let own = UdpSocket::bind("127.0.0.3:0").unwrap();
    let (silent, nobody) = (own.local_addr().unwrap(), free_address());
    let told = fs::read_to_string(place.path("state/running.json")).unwrap();
    let more = told.replace(&format!("\"{second}\""), &format!("\"{second}\", \"{silent}\", \"{nobody}\""));
    assert_ne!(told, more);
    fs::write(place.path("state/running.json"), more).unwrap();
    for args in [&["health"][..], &["health", "--live"]] {
        let health = place.run(args);
        assert_eq!(health.code, Some(1), "{health:?}");
        has(&health.stderr, &[&format!("{silent} within "), &format!("{nobody} (Connection refused")]);
        has(&health.stderr, &[&format!(", while {}, {second} answers", place.dns)]);
    }
    // A server that hangs.
    fs::write(place.path("state/running.json"), told).unwrap();
    serving.signal("-STOP");
    let health = place.run(&["health"]);
    serving.signal("-CONT");
    assert_eq!(health.code, Some(1), "{health:?}");
    has(&health.stderr, &[&format!("no answer from {} within 2 s, {second} within 2 s; is `cleandns", place.dns)]);
    assert!(!health.stderr.contains("os error"), "{health:?}");
}

/// Root finds another state folder than the user has who became root to ask.
#[test]
fn who_asks_by_sudo_in_vain_is_told_whom_to_ask_as() {
    let place = Place::new("");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), text.replace("[state]\ndir = \"state\"\n", "")).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    for args in [&["health"][..], &["explain", "a.example"], &["lists", "status"]] {
        let ended = ended(place.command(args).env("SUDO_USER", "joe"));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.contains("run this as joe, without sudo"), is_root, "{ended:?}");
        assert!(!place.run(args).stderr.contains("sudo"));
    }
}
