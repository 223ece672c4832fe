//! What packages install beside the program, and what others are given of its lists.

use super::*;

/// The program where there is no configuration.
fn alone(folder: &Path, args: &[&str]) -> Ended {
    let program = folder.join("cleandns");
    // Files of the project lie beside the one that was built.
    if !program.exists() {
        fs::hard_link(env!("CARGO_BIN_EXE_cleandns"), &program)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_cleandns"), &program).map(drop))
            .unwrap();
    }
    ended(bare(&program, folder).args(args))
}

#[test]
fn completions_know_every_command() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let ended = alone(folder.path(), &["completions", shell]);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{shell}");
        has(&ended.stdout, &["cleandns", "take-over", "explain", "lists", "export", "completions"]);
    }
    assert_eq!(alone(folder.path(), &["completions", "dos"]).code, Some(64));
}

#[test]
fn man_pages_of_every_command() {
    let folder = folder();
    let ended = alone(folder.path(), &["man"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    has(&ended.stdout, &[".TH cleandns", ".SH \"EXIT STATUS\"", "64", ".SH FILES", "cleandns\\-lists"]);
    // A configuration isn't needed, and a broken one is no hindrance.
    fs::write(folder.path().join("broken.toml"), "[").unwrap();
    let ended = alone(folder.path(), &["--config", "broken.toml", "man", "pages"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let pages = folder.path().join("pages");
    for (page, part) in [
        ("cleandns.1", "EXIT STATUS"),
        ("cleandns-serve.1", "take\\-over"),
        ("cleandns-lists-export.1", "nftables"),
        ("cleandns-cache-flush.1", "subtree"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(part), "{page}: {text}");
    }
    let ended = alone(folder.path(), &["man", "broken.toml"]);
    assert_eq!(ended.code, Some(1));
    has(&ended.stderr, &["broken.toml: can't be written"]);
}

#[test]
fn addresses_for_a_firewall() {
    let folder = folder();
    let ended = alone(folder.path(), &["lists", "export", "--format", "nftables"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(
        &ended.stdout,
        &[
            "add table inet cleandns\n",
            "flush set inet cleandns bytedance_addresses_4\n",
            "add element inet cleandns public_resolver_addresses_6 {",
            "199.103.24.2",
            "203.107.1.0/24",
            "2001:4860:4860::8888",
        ],
    );
    has(&ended.stderr, &["rules on names and patterns are for a resolver"]);
    let ended = alone(folder.path(), &["lists", "export", "--service", "httpdns-addresses"]);
    has(&ended.stdout, &["\n203.107.1.0/24\n", "\n2402:db40:5100:1011::5\n"]);
    assert!(!ended.stdout.contains("8.8.8.8"));
    let ended = alone(folder.path(), &["lists", "export", "--format", "json", "--output", "all.json"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:?}");
    let all = fs::read(folder.path().join("all.json")).unwrap();
    let all: serde_json::Value = serde_json::from_slice(&all).unwrap();
    assert_eq!(all["program"], "bypass");
    let has_google = all["networks"].as_array().unwrap().iter().any(|one| one["network"] == "8.8.8.8/32");
    assert!(has_google, "{all}");
    // Nothing is left lying about.
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
}

#[test]
fn names_for_other_resolvers() {
    let place = Place::new("");
    let said = |args: &[&str]| {
        let ended = place.run(&[&["lists", "export"], args].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    };
    let zone = said(&["--format", "rpz", "--program", "test-program"]);
    has(&zone.stdout, &["@ SOA ", "\n*.blocked.example CNAME .\n", "\npass.blocked.example CNAME rpz-passthru.\n"]);
    // What is off or in shadow isn't in force.
    assert!(!zone.stdout.contains("idle") && !zone.stdout.contains("watched"), "{}", zone.stdout);
    let names = said(&["--format", "domains", "--program", "test-program", "--mode", "shadow"]);
    has(&names.stdout, &["\nblocked.example\n", "\nwatched.example\n*.watched.example\n", "# 1 rules left out"]);
    assert!(!names.stdout.contains("*.blocked.example"), "{}", names.stdout);
    has(&names.stderr, &["1 rules left out: ", "blocking.list:4"]);
    has(
        &said(&["--format", "adblock", "--program", "test-program"]).stdout,
        &["||blocked.example^", "@@||pass.blocked"],
    );
    for (args, code, parts) in [
        (&["--format", "rpz"][..], 64, &["--program is missing", "test-program"][..]),
        (&[], 64, &["no program `bypass`, only test-program"]),
        (&["--program", "test-program", "--service", "nobody"], 1, &["no service nobody"]),
        (&["--program", "test-program", "--mode", "on"], 64, &["off, shadow, enforce"]),
        (&["--program", "test-program", "--output", "nowhere/x"], 1, &["nowhere/x: can't be written"]),
    ] {
        let ended = place.run(&[&["lists", "export"], args].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        has(&ended.stderr, parts);
    }
}
