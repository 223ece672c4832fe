//! `[process]`: what the process gives up, as it is written.

use super::{super::super::Process, *};

fn process(toml: &str) -> Process {
    good(&format!("[process]\n{toml}")).process
}

#[test]
fn what_a_process_gives_up() {
    let nothing = Process { user: None, group: None, sandbox: true, read: Vec::new() };
    assert_eq!((default_config().process, process("")), (nothing.clone(), nothing.clone()));
    assert_eq!(process("user = ''\ngroup = ''\nread = []"), nothing, "as the template has it");
    assert_eq!(process("user = 'cleandns'"), Process { user: Some("cleandns".into()), ..nothing.clone() });
    let named = process("user = 'cleandns'\ngroup = '998'\nsandbox = false");
    assert_eq!(
        named,
        Process { user: Some("cleandns".into()), group: Some("998".into()), sandbox: false, read: vec![] }
    );
}

/// Folders and files are looked for as lists are: beside the configuration, then in the folder above.
#[test]
fn what_else_is_within_reach() {
    let (_folder, world) = clone();
    let here = world.current_folder.clone();
    let config =
        read_in(&world, "process.read = ['own.list', 'blocklists', '/', 'blocklists/clean-store/tiktok.list']");
    let expected = [
        here.join("config/own.list"),
        here.join("blocklists"),
        "/".into(),
        here.join("blocklists/clean-store/tiktok.list"),
    ];
    assert_eq!(config.unwrap().config.process.read, expected);
}

#[test]
fn what_is_wrong_in_it_is_told() {
    bad(
        "[process]\nuser = 5\ngroup = 'g'\nsandbox = 'no'\nread = ['nowhere', 5]\nusr = 'x'",
        &[
            r#"2:8: process.user: expected text in quotes, found a number (5); write user = "cleandns""#,
            "3:9: process.group: a group needs a user who is in it; set user too, or leave group empty",
            r#"4:11: process.sandbox: expected true or false, found a string ("no"); write sandbox = false"#,
            "5:9: process.read: there is no such file or folder; looked for HERE/config/nowhere and HERE/nowhere",
            r#"5:20: process.read: expected text in quotes, found a number (5); write "/srv/lists""#,
            "6:1: process.usr: there is no such option; did you mean user?",
        ],
    );
    bad(
        "process.read = '/srv'",
        &[r#"1:16: process.read: expected a list in brackets, found a string ("/srv"); write read = ["/srv"]"#],
    );
    // Variables of the environment set it too.
    let (_folder, world) = clone();
    let world = World { overrides: vec![("CLEANDNS_PROCESS__SANDBOX".into(), "off".into())], ..world };
    let told = load(None, &world).unwrap_err().to_string();
    assert!(
        told.starts_with("environment variable CLEANDNS_PROCESS__SANDBOX: process.sandbox: expected true or false"),
        "{told}"
    );
}
