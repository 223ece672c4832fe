//! What is configured, from where, and what becomes of changes while the program runs.

use super::*;
use serde_json::Value;

#[test]
fn every_value_is_shown_with_its_place() {
    let place = Place::new("");
    fs::create_dir(place.path("conf.d")).unwrap();
    fs::write(place.path("conf.d/10.toml"), "[cache]\nstale = \"2h\"\n").unwrap();
    let run = |args: &[&str]| ended(place.command(args).env("CLEANDNS_CACHE__SIZE", "9 MiB"));
    let shown = run(&["config", "show"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    let line = |option: &str| shown.stdout.lines().find(|line| line.starts_with(option)).unwrap_or_default().to_owned();
    has(&line("size = \"9 MiB\""), &["# environment variable CLEANDNS_CACHE__SIZE"]);
    has(&line("stale"), &["\"2h\"", "# conf.d/10.toml:2"]);
    has(&line("prefetch"), &["true", "# default"]);
    has(&line("workers"), &["1", "# cleandns.toml:3"]);
    has(&line("path = \"\""), &["# default; in effect: ", "state/queries.db"]);
    // What is shown can be used as it is.
    fs::write(place.path("cleandns.toml"), &shown.stdout).unwrap();
    fs::remove_dir_all(place.path("conf.d")).unwrap();
    let again = place.run(&["config", "show"]);
    assert_eq!(again.code, Some(0), "{again:?}\n{}", shown.stdout);
    let values =
        |text: &str| text.lines().map(|line| line.split("  # ").next().unwrap().trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&again.stdout), values(&shown.stdout));
    // For programs.
    let json: Value = serde_json::from_str(&place.run(&["config", "show", "--json"]).stdout).unwrap();
    assert_eq!(json["cache"]["size"]["value"], "9 MiB", "{json}");
    assert!(json["cache"]["size"]["from"].as_str().unwrap().starts_with("cleandns.toml:"), "{json}");
    assert_eq!(json["program"][0]["name"]["value"], "test-program", "{json}");
    // One that can't be used is none.
    let ended = ended(place.command(&["config", "show"]).env("CLEANDNS_CACHE__SIZE", "much"));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["environment variable CLEANDNS_CACHE__SIZE: cache.size: \"much\" is not a size"]);
}

#[test]
fn the_schema_needs_no_configuration() {
    let folder = folder();
    let mut command = bare(Path::new(env!("CARGO_BIN_EXE_cleandns")), folder.path());
    let ended = ended(command.args(["--config", "nowhere.toml", "config", "schema"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["cache"]["properties"]["prefetch"]["default"], true);
}

#[test]
fn check_says_what_else_is_read() {
    let place = Place::new("");
    fs::create_dir(place.path("conf.d")).unwrap();
    fs::write(place.path("conf.d/10.toml"), "").unwrap();
    let ended = ended(place.command(&["check"]).env("CLEANDNS_LOG__QUERIES", "true"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["besides: conf.d/10.toml\n", "besides: environment variable CLEANDNS_LOG__QUERIES\n"]);
}

#[test]
fn a_running_server_follows_its_files() {
    let (place, serving) = Place::serve("");
    fs::create_dir(place.path("conf.d")).unwrap();
    let say = |text: &str| fs::write(place.path("conf.d/mine.toml"), text).unwrap();
    let is_blocked = || place.run(&["query", "blocked.example"]).stdout.contains("NXDOMAIN");
    assert!(is_blocked());
    say("[policy]\nmode = \"shadow\"\n");
    until("in shadow", || !is_blocked());
    serving.stderr.until("the configuration was read again, and is in force");
    // A wrong one is told with its place, and changes nothing.
    say("# as before?\n[policy]\n  mode = \"enforced\"\n");
    serving.stderr.until("conf.d/mine.toml:3:10: policy.mode: ");
    serving.stderr.until("the configuration is not used as it is now; the one before stays in force");
    assert!(!is_blocked());
    // The log is told otherwise at once, and a filter that nobody can read is refused.
    say("[log]\nqueries = true\n");
    until("blocked again", is_blocked);
    until("queries in the log", || is_blocked() && serving.stderr.text().contains("blocked.example"));
    say("[log]\nqueries = true\njson = true\n");
    until("lines of JSON", || is_blocked() && serving.stderr.text().contains("\"name\":\"blocked.example\""));
    say("[log]\nfilter = \"in=fo=o\"\n");
    serving.stderr.until("log.filter: ");
    // What needs a restart is named; without the file all is as it was.
    say("[listen]\nworkers = 3\n[process]\nread = [\"lists\"]\n");
    serving.stderr.until("listen.workers, process.read");
    fs::remove_file(place.path("conf.d/mine.toml")).unwrap();
    let health = || place.run(&["health"]).stdout;
    until("no complaint of it", || !health().contains("waiting for a restart"));
    drop(serving);
}

/// What a full disk, or a copy that broke off, leaves of a configuration takes no program out of force.
#[test]
fn a_configuration_that_was_emptied_is_refused_while_it_runs() {
    let (place, serving) = Place::serve("");
    let file = place.path("cleandns.toml");
    let is_blocked = || place.run(&["query", "blocked.example"]).stdout.contains("NXDOMAIN");
    let before = fs::read(&file).unwrap();
    for (number, emptied) in ["", "# [[program]]\n\n"].into_iter().enumerate() {
        fs::write(&file, emptied).unwrap();
        until("it is told", || {
            serving.stderr.text().matches("cleandns.toml: it sets no option any more").count() == number + 1
        });
        fs::write(&file, [&before[..], b"# as before\n"].concat()).unwrap();
        until("it is taken up again", || {
            serving.stderr.text().matches("the configuration was read again, and is in force").count() == number + 1
        });
    }
    assert!(is_blocked());
    drop(serving);
}

/// A folder that nobody looked into is no empty one.
#[test]
fn a_part_that_cannot_be_seen_is_told() {
    let place = Place::new("");
    fs::write(place.path("conf.d"), "").unwrap();
    for args in [&["check"][..], &["config", "show"], &[]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        has(&ended.stderr, &["conf.d: is no folder; make it one, or give it another name"]);
    }
}

/// Whoever asks for a text gets it whole, or an error.
#[test]
fn a_full_disk_is_an_error() {
    let place = Place::new("");
    for args in [
        &["lists", "export", "--program", "test-program", "--format", "domains"][..],
        &["check"],
        &["config", "show"],
        &["config", "schema"],
        &["completions", "bash"],
        &["man"],
        &["explain", "blocked.example", "--offline"],
        &["--help"],
        &["--version"],
    ] {
        let to = |path: &str| {
            let full = fs::OpenOptions::new().write(true).open(path).unwrap();
            let output = place.command(args).stdout(full).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, stderr) = to("/dev/full");
        assert_eq!(code, Some(1), "{args:?}: {stderr}");
        has(&stderr, &["standard output can't be written to: No space left on device"]);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(to("/dev/null").0, Some(0), "{args:?}");
    }
    // Who has seen enough is no fault of ours.
    let mut child = place.command(&["config", "schema"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
