//! What pages and API changed counts for commands that look at what a server would do, and nothing is left behind.

use super::{Place, has};
use std::fs;

const CHANGED: &str = r#"
[modes.everybody]
test-program = "shadow"
[[exception]]
id = "e1"
names = ["other.example"]
programs = ["gone"]
[[block]]
id = "b2"
name = "by-hand.example"
"#;

/// A place where something was changed by hand, and no server has seen it yet.
fn changed() -> Place {
    let place = Place::new("");
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/overlay.toml"), CHANGED).unwrap();
    place
}

fn files(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path("state")).unwrap();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn check_reads_what_was_changed_and_tells_what_is_wrong_with_it() {
    let place = changed();
    let ended = place.run(&["check", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(
        &ended.stdout,
        &["besides: ", "state/overlay.toml\n", "overlay.toml:e1: there is no program gone; this change does"],
    );
    has(&ended.stdout, &["own/everybody: enforce, 1 rules", "test-program/blocking: shadow"]);
    assert_eq!(files(&place), ["overlay.toml"]);
    // Bad, it is told, and the last good one counts.
    fs::rename(place.path("state/overlay.toml"), place.path("state/overlay.last-good.toml")).unwrap();
    fs::write(place.path("state/overlay.toml"), "[modes.everybody]\ntest-program = 'of'\n").unwrap();
    let ended = place.run(&["check", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["warning: overlay.toml:2:", "\"of\" is not one of", "overlay.last-good.toml, is so again"]);
    has(&ended.stdout, &["test-program/blocking: shadow"]);
    let ended = place.run(&["check", "--strict"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["overlay.toml:2:", "(--strict)"]);
    let ended = place.run(&["check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(json["overlay"].as_str().unwrap().starts_with("overlay.toml:2:"), "{json}");
    // Without one nothing of it is in force.
    fs::remove_file(place.path("state/overlay.last-good.toml")).unwrap();
    let ended = place.run(&["check", "--verbose"]);
    has(&ended.stdout, &["nothing of it is in force", "test-program/blocking: enforce"]);
    assert_eq!(files(&place), ["overlay.toml"]);
}

#[test]
fn what_is_configured_is_shown_as_it_is_in_force() {
    let place = changed();
    let overlay = place.path("state/overlay.toml");
    let of_service = "[modes.everybody]\n\"test-program/idle\" = \"enforce\"";
    let another = "[[exception]]\nid = \"e3\"\nnames = [\"shown.example\"]\n";
    fs::write(&overlay, CHANGED.replace("[modes.everybody]", of_service) + another).unwrap();
    let shown = place.run(&["config", "show"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let line =
        |option: &str| shown.stdout.lines().filter(|line| line.starts_with(option)).collect::<Vec<_>>().join("\n");
    let from = |key: &str| format!("# {}: {key}", overlay.display());
    has(&line("mode = \"shadow\""), &[&from("modes/everybody/test-program")]);
    let services = line("services");
    has(&services, &["idle = \"enforce\"", "watched = \"shadow\"", "# cleandns.toml:"]);
    has(&services, &[&format!(", {}: modes/everybody/test-program/idle", overlay.display())]);
    has(&line("names"), &["[\"shown.example\"]", &from("exception/e3")]);
    assert!(!line("names").contains("other.example"), "what does nothing is no option: {}", shown.stdout);
    has(&shown.stdout, &["[[policy.exception]]", "# - blocked by-hand.example and all below it for everybody (b2)\n"]);
    has(&shown.stderr, &["there is no program gone; this change does nothing"]);
    let json: serde_json::Value = serde_json::from_str(&place.run(&["config", "show", "--json"]).stdout).unwrap();
    assert_eq!(json["program"][0]["mode"]["value"], "shadow", "{json}");
    assert_eq!(json["program"][0]["services"]["value"]["idle"], "enforce", "{json}");
    assert!(json["overlay"]["file"].as_str().unwrap().ends_with("overlay.toml"), "{json}");
    assert_eq!(json["overlay"]["changes"][0], "set test-program to shadow for everybody", "{json}");
    // What can't be in force is told, and nothing of it is shown.
    fs::write(&overlay, "[modes.everybody]\ntest-program = 'of'\n").unwrap();
    let shown = place.run(&["config", "show"]);
    has(&shown.stderr, &["overlay.toml:2:", "nothing of it is in force"]);
    assert!(!shown.stdout.contains("overlay.toml"), "{shown:?}");
}

#[test]
fn explain_and_replay_say_what_a_server_would_do() {
    let place = changed();
    let explain = |more: &[&str], name: &str| {
        let ended = place.run(&[&["explain", name, "--offline"], more].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    has(&explain(&[], "by-hand.example"), &["is blocked by own/everybody", "by-hand.example # b2"]);
    has(&explain(&[], "blocked.example"), &["test-program/blocking", "(shadow)"]);
    has(&explain(&["--no-overlay"], "by-hand.example"), &["no rule matches"]);
    has(&explain(&["--no-overlay"], "blocked.example"), &["is blocked by test-program/blocking"]);
    assert_eq!(place.run(&["explain", "a.example", "--no-overlay"]).code, Some(64), "only with --offline");

    fs::write(place.path("queries"), "by-hand.example A\nblocked.example A\nother.example A\n").unwrap();
    let replay = |more: &[&str]| {
        let args =
            ["replay", "queries", "--format", "dnsperf", "--before", "none", "--against", "cleandns.toml", "--json"];
        let mut command = place.command(&[&args, more].concat());
        let output = command.output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        told
    };
    let (with, without) = (replay(&[]), replay(&["--no-overlay"]));
    let label = |told: &serde_json::Value| told["after"].as_str().unwrap().to_owned();
    assert!(label(&with).contains("cleandns.toml with overlay.toml, "), "{with}");
    assert!(!label(&without).contains("overlay.toml"), "{without}");
    let text = |told: &serde_json::Value| told.to_string();
    assert!(text(&with).contains("by-hand.example") && !text(&without).contains("by-hand.example"), "{with} {without}");
    assert_eq!(files(&place), ["overlay.toml"]);
}
