//! `[policy]`, `[[program]]` and `[[group]]`: what their options mean, and what is said of wrong ones.

use super::{
    super::{DEFAULT_GROUP, Exception, Gate, Group, ListSource, Location, Override, Program},
    Loaded, Origin, World, read,
    tests::{bad, clone, good, read_in},
};
use crate::policy::{BlockAnswer, ClientKey, Mode, Schedule, Zone, parse::Format};
use std::{net::IpAddr, path::Path, time::Duration};

/// The lists of a program `x`.
fn lists(entries: &str) -> Vec<ListSource> {
    good(&format!("[[program]]\nname = 'x'\nlists = [{entries}]")).programs.remove(0).lists
}

/// The only list of a program `x`, at some path, with these options.
fn list(options: &str) -> ListSource {
    lists(&format!("{{ path = 'own.list', {options} }}")).remove(0)
}

/// Asserts what is said of these options of a list, without the place.
#[track_caller]
fn bad_list(options: &str, expected: &str) {
    let (_folder, world) = clone();
    let text = format!("[[program]]\nname = 'x'\nlists = [{{ path = 'own.list', {options} }}]");
    let problems = read_in(&world, &text).unwrap_err().to_string();
    assert_eq!(problems.split_once(": program.lists.").unwrap().1, expected, "{options}");
}

fn warnings(text: &str) -> Vec<String> {
    let (_folder, world) = clone();
    let loaded = read_in(&world, text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    loaded.warnings.iter().map(|warning| warning.to_string().replace("config/c.toml:", "")).collect()
}

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, &Zone::utc()).unwrap()
}

fn modes(modes: &[(&str, Mode)]) -> std::collections::BTreeMap<String, Mode> {
    modes.iter().map(|&(name, mode)| (name.to_owned(), mode)).collect()
}

#[test]
fn every_answer_to_a_blocked_question() {
    let addresses =
        |texts: &[&str]| BlockAnswer::Addresses(texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect());
    for (text, expected) in [
        ("'nxdomain'", BlockAnswer::NxDomain),
        ("'nodata'", BlockAnswer::NoData),
        ("'null'", BlockAnswer::Null),
        ("'refused'", BlockAnswer::Refused),
        ("'drop'", BlockAnswer::Drop),
        ("['192.0.2.1', '2001:db8::1']", addresses(&["192.0.2.1", "2001:db8::1"])),
        ("['::ffff:192.0.2.1']", addresses(&["192.0.2.1"])),
    ] {
        assert_eq!(good(&format!("policy.block = {text}")).policy.block, expected, "{text}");
        let program = good(&format!("[[program]]\nname = 'clean-store'\nblock = {text}")).programs.remove(0);
        assert_eq!(program.block, Some(expected), "{text}");
    }
    assert_eq!(good("[[program]]\nname = 'clean-store'\nblock = ''").programs[0].block, None);
    bad(
        "[policy]\nblock = ''\n[[program]]\nname = 'clean-store'\nblock = 'addresses'",
        &[
            r#"2:9: policy.block: "" is not one of "nxdomain", "nodata", "null", "refused", "drop"; write one of these"#,
            r#"5:9: program.block: "addresses" is not one of "nxdomain", "nodata", "null", "refused", "drop"; write one of these"#,
        ],
    );
    bad(
        "[policy]\nblock = []\n[[program]]\nname = 'clean-store'\nblock = ['192.0.2.1', 'null', 5, '::ffff:192.0.2.1']",
        &[
            r#"2:9: policy.block: there is no address; write block = ["192.0.2.1"], or "null" for 0.0.0.0 and ::"#,
            r#"5:23: program.block: "null" is not an address; write such as "192.0.2.1" or "2001:db8::1""#,
            r#"5:31: program.block: expected text in quotes, found a number (5); write "192.0.2.1""#,
            "5:34: program.block: 192.0.2.1 stands there twice; remove one",
        ],
    );
    let most: Vec<_> = (0..20).map(|last| format!("'192.0.2.{last}'")).collect();
    good(&format!("policy.block = [{}]", most[..16].join(", ")));
    bad(
        &format!("policy.block = [{}]", most.join(", ")),
        &["1:231: policy.block: there are more than 16 addresses; remove some"],
    );
}

#[test]
fn databases_and_the_time_zone() {
    let policy =
        good("[policy]\nasn_db = 'own.list'\ncountry_db = 'config/own.list'\ntime_zone = 'europe/berlin'").policy;
    let file = policy.asn_db.unwrap();
    assert!(file.ends_with("config/own.list"), "{}", file.display());
    assert_eq!(policy.country_db, Some(file));
    assert_eq!(policy.time_zone, Zone::named("Europe/Berlin").unwrap());
    assert_eq!(good("policy.time_zone = ''").policy.time_zone, Zone::utc());
    bad(
        "[policy]\nasn_db = 'asn.mmdb'\ncountry_db = 'blocklists'\ntime_zone = 'Berlin'",
        &[
            "2:10: policy.asn_db: there is no such file or folder; looked for HERE/config/asn.mmdb and HERE/asn.mmdb",
            "3:14: policy.country_db: HERE/blocklists is a folder; write the path of a file",
            "4:13: policy.time_zone: `Berlin` is not a time zone; did you mean Europe/Berlin?",
        ],
    );
    let long = format!("policy.time_zone = '{}'", "Europe/".repeat(10_000));
    let (_folder, world) = clone();
    assert!(read_in(&world, &long).unwrap_err().to_string().len() < 200);
}

#[test]
fn exceptions_hold_through_their_last_day_in_the_owners_zone() {
    let text = "[policy]\ntime_zone = 'Europe/Berlin'\n[[policy.exception]]\nlists = ['own.list']\ngroups = ['tv', 'default']\nuntil = 2027-01-31\n[[group]]\nname = 'tv'\nclients = ['10.0.0.1']";
    let exception = good(text).exceptions.remove(0);
    let Location::File(path) = &exception.lists[0].location else { panic!("{exception:?}") };
    assert!(path.ends_with("config/own.list"));
    assert_eq!(
        exception,
        Exception {
            names: vec![],
            lists: vec![ListSource::plain(Location::File(path.clone()))],
            programs: vec![],
            groups: vec!["tv".into(), DEFAULT_GROUP.into()],
            reason: String::new(),
            // An hour before UTC's.
            until: Some(20_850 * 86_400 - 3600),
            until_text: "2027-01-31".into(),
            place: "config/c.toml:3".into(),
        }
    );
    let forever = good("[[policy.exception]]\nnames = ['a.example']\nlists = []").exceptions.remove(0);
    assert_eq!((forever.until, forever.until_text.as_str(), forever.lists), (None, "", vec![]));
    bad(
        "[[policy.exception]]\nnames = []\nlists = []\n[[policy.exception]]\nlists = ['none.list']\ngroups = ['guest']\n[[group]]\nname = 'guests'\nclients = ['10.0.0.1']",
        &[
            r#"1:1: policy.exception.names: an exception needs names or lists; write names = ["example.com"]"#,
            "5:10: policy.exception.lists: there is no such file or folder; looked for HERE/config/none.list and HERE/none.list",
            r#"6:11: policy.exception.groups: there is no group "guest"; did you mean "guests"?"#,
        ],
    );
    bad(
        "[[policy.exception]]\nnames = ['a.example']\ngroups = ['everybody']",
        &[r#"3:11: policy.exception.groups: there is no group "everybody"; there are default"#],
    );
}

#[test]
fn schedules_are_meant_in_the_policys_zone_unless_they_name_one() {
    let program = |zone: &str, text: &str| -> Option<Schedule> {
        let text = format!("policy.time_zone = '{zone}'\n[[program]]\nname = 'clean-store'\nschedule = '{text}'");
        good(&text).programs.remove(0).schedule
    };
    assert_eq!(program("", "Mon-Fri 08:00-17:00"), Some(schedule("Mon-Fri 08:00-17:00 UTC")));
    assert_eq!(program("Europe/Berlin", "daily 22:00-06:00"), Some(schedule("daily 22:00-06:00 Europe/Berlin")));
    assert_eq!(program("Europe/Berlin", "Mon 08:00-09:00 UTC"), Some(schedule("Mon 08:00-09:00 UTC")));
    assert_eq!(program("Europe/Berlin", ""), None);
    bad(
        "[[program]]\nname = 'clean-store'\nschedule = 'Mo-Fr 08:00-17:00'\n[[program]]\nname = 'clean-apps'\nschedule = 8\n[[group]]\nname = 'a'\nclients = ['10.0.0.1']\nschedule = 'daily 08:00-17:00 Europe/Brelin'",
        &[
            "3:12: program.schedule: `Mo-Fr` is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon-Fri or daily",
            r#"6:12: program.schedule: expected text in quotes, found a number (8); write schedule = "Mon-Fri 08:00-17:00""#,
            "10:12: group.schedule: `Europe/Brelin` is not a time zone; did you mean Europe/Berlin?",
        ],
    );
}

#[test]
fn lists_at_a_url() {
    let found = lists(
        "{ url = 'https://lists.example/a', refresh = '15m', change_max = '100%', ca_file = 'own.list', gate = 'off' }, { url = 'https://lists.example:8443/b?c' }",
    );
    let plain = |url: &str| ListSource::plain(Location::Url(url.into()));
    let ca_file = found[0].ca_file.clone();
    assert!(ca_file.as_ref().unwrap().ends_with("config/own.list"));
    assert_eq!(
        found,
        [
            ListSource {
                refresh: Duration::from_secs(900),
                change_max: 100,
                ca_file,
                gate: Some(Gate::Off),
                ..plain("https://lists.example/a")
            },
            plain("https://lists.example:8443/b?c"),
        ]
    );
    let both = "a list has a path or a url; remove one of them";
    bad_list("url = 'https://lists.example/a'", &format!("url: {both}"));
    bad(
        "[[program]]\nname = 'x'\nlists = [{ url = 'http://lists.example/a', refresh = '5m' }, { path = 'https://lists.example/a' }, { url = '' }]",
        &[
            r#"3:18: program.lists.url: "http://lists.example/a" could be changed on its way; write "https://lists.example/a""#,
            r#"3:54: program.lists.refresh: "5m" is out of range; write "15m" to "30d""#,
            r#"3:71: program.lists.path: a URL is no path; write url = "https://lists.example/a""#,
            r#"3:100: program.lists.path: a list needs a path or a url; write { path = "blocklists/clean-store" }"#,
        ],
    );
}

#[test]
fn options_of_a_list() {
    let name = |text: &str| text.parse().unwrap();
    for (word, format) in [
        ("auto", Format::Auto),
        ("ours", Format::Ours),
        ("domains", Format::Domains),
        ("hosts", Format::Hosts),
        ("wildcard", Format::Wildcard),
        ("adblock", Format::Adblock),
        ("regex", Format::Regex),
        ("rpz", Format::Rpz),
        ("dnsmasq", Format::Dnsmasq),
        ("unbound", Format::Unbound),
    ] {
        assert_eq!(list(&format!("format = '{word}'")).format, format);
        assert_eq!(format.word(), word);
    }
    for (word, gate) in [("hold", Gate::Hold), ("warn", Gate::Warn), ("off", Gate::Off)] {
        assert_eq!(list(&format!("gate = '{word}'")).gate, Some(gate));
    }
    for (options, expected) in [
        ("override = ''", None),
        ("override = 'given'", None),
        ("format = 'hosts', override = 'given'", None),
        ("override = 'nodata'", Some(Override::NoData)),
        ("format = 'rpz', override = 'cname:*.garden.example'", Some(Override::CnameBelow(name("garden.example")))),
    ] {
        assert_eq!(list(options).rpz_override, expected, "{options}");
    }
    assert_eq!(list("release = ['zip', 'co.uk.']").release, [name("zip"), name("co.uk")]);
    assert_eq!(list("refresh = '30d', change_max = '1%'").change_max, 1);
    let plain = list("allow_empty = false");
    assert_eq!((plain.refresh, plain.change_max), (Duration::from_secs(86_400), 50), "the documented defaults");
    for (options, expected) in [
        (
            "override = 'block'",
            r#"override: "block" is not one of "given", "passthru", "nxdomain", "nodata", "drop", "tcp-only", "disabled", "cname:garden.example"; write one of these"#,
        ),
        (
            "override = 'tcp_only'",
            r#"override: "tcp_only" is not one of "given", "passthru", "nxdomain", "nodata", "drop", "tcp-only", "disabled", "cname:garden.example"; write "tcp-only""#,
        ),
        (
            "override = 'cname:a..b'",
            r#"override: "a..b" is not a name: the name has an empty label (two dots in a row, or a leading dot)"#,
        ),
        (
            "format = 'hosts', override = 'drop'",
            r#"override: only rpz lists have an override; remove it, or write format = "rpz""#,
        ),
        ("gate = 'holds'", r#"gate: "holds" is not one of "hold", "warn", "off"; write "hold""#),
        ("gate = false", r#"gate: expected text in quotes, found false; write gate = "hold""#),
        ("release = 'zip'", r#"release: expected a list in brackets, found a string ("zip"); write release = ["zip"]"#),
        (
            "release = ['*.zip']",
            r#"release: "*.zip" is not a name, because of its `*`; write a name such as "example.com""#,
        ),
        ("refresh = '31d'", r#"refresh: "31d" is out of range; write "15m" to "30d""#),
        ("refresh = 3600", r#"refresh: expected text in quotes, found a number (3600); write refresh = "24h""#),
        ("change_max = 50", r#"change_max: expected text in quotes, found a number (50); write change_max = "50%""#),
        ("change_max = '0%'", r#"change_max: "0%" is not a share; write "1%" to "100%""#),
        ("ca_files = 'own.list'", "ca_files: there is no such option; did you mean ca_file?"),
    ] {
        bad_list(options, expected);
    }
}

#[test]
fn groups_are_read() {
    let config = good(
        r#"
        [policy]
        time_zone = "Europe/Berlin"
        [[group]]
        name = "guests"
        clients = ["192.168.7.0/24", "mac:AA-BB-CC-DD-EE-FF", "id:Laptop", "fd00::7"]
        tags = ["user_child", "device_pc"]
        programs = { clean-store = "off", bypass = "enforce" }
        services = { "clean-apps/vivo" = "shadow", "clean-store/whatever" = "off" }
        schedule = "Mon-Fri 08:00-17:00"
        [[group]]
        name = "tv"
        clients = ["192.168.7.5"]
        "#,
    );
    let key = |text: &str| text.parse::<ClientKey>().unwrap();
    let service = |program: &str, service: &str| (program.to_owned(), service.to_owned());
    assert_eq!(
        config.groups,
        [
            Group {
                name: "guests".into(),
                clients: ["192.168.7.0/24", "mac:aa:bb:cc:dd:ee:ff", "id:laptop", "fd00::7"].map(key).into(),
                tags: ["user_child", "device_pc"].map(str::to_owned).into(),
                programs: modes(&[("clean-store", Mode::Off), ("bypass", Mode::Enforce)]),
                services: [
                    (service("clean-apps", "vivo"), Mode::Shadow),
                    (service("clean-store", "whatever"), Mode::Off)
                ]
                .into(),
                schedule: Some(schedule("Mon-Fri 08:00-17:00 Europe/Berlin")),
                place: "config/c.toml:4".into(),
            },
            Group {
                name: "tv".into(),
                clients: vec![key("192.168.7.5")],
                tags: vec![],
                programs: modes(&[]),
                services: [].into(),
                schedule: None,
                place: "config/c.toml:11".into(),
            },
        ]
    );
    assert_eq!(good("group = []").groups, []);
}

#[test]
fn groups_are_checked() {
    bad(
        "[[group]]\n[[group]]\nname = 'default'\nclients = []\n[[group]]\nname = 'Kids'\nclients = ['10.0.0.1']\n[[group]]\nname = 'tv'\nclients = '10.0.0.2'\n[[group]]\nname = 'tv'\nclient = ['10.0.0.3']",
        &[
            r#"1:1: group.name: a group needs a name; write name = "guests""#,
            r#"1:1: group.clients: a group needs a client; write clients = ["192.168.7.0/24"]"#,
            r#"2:1: group.clients: a group needs a client; write clients = ["192.168.7.0/24"]"#,
            r#"3:8: group.name: "default" are all clients that no group names; write another name"#,
            r#"6:8: group.name: "Kids" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _"#,
            r#"10:11: group.clients: expected a list in brackets, found a string ("10.0.0.2"); write clients = ["10.0.0.2"]"#,
            r#"11:1: group.clients: a group needs a client; write clients = ["192.168.7.0/24"]"#,
            r#"12:8: group.name: there is a group "tv" already; put the clients of both into one"#,
            "13:1: group.client: there is no such option; did you mean clients?",
        ],
    );
    bad(
        "[[group]]\nname = 'a'\nclients = ['laptop', 'id:my laptop', 'mac:aabb', '10.0.0.0/33']\ntags = ['User Child']",
        &[
            r#"3:12: group.clients: "laptop" is no client; write a network or address such as "192.168.7.0/24", "mac:aa:bb:cc:dd:ee:ff" or "id:laptop""#,
            r#"3:22: group.clients: "id:my laptop" is no client id; write id: and 1 to 63 letters, digits, - and _, such as "id:laptop""#,
            r#"3:38: group.clients: "mac:aabb" is no MAC address; write mac: and six octets, such as "mac:aa:bb:cc:dd:ee:ff""#,
            r#"3:50: group.clients: "10.0.0.0/33" is no client; write a network or address such as "192.168.7.0/24", "mac:aa:bb:cc:dd:ee:ff" or "id:laptop""#,
            r#"4:9: group.tags: "User Child" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _"#,
        ],
    );
    bad(
        "[[group]]\nname = 'a'\nclients = ['10.0.0.1']\nprograms = { clean-stor = 'off', bypass = 'on' }\nservices = { 'vivo' = 'off', 'clean-app/vivo' = 'off', 'clean-apps/*' = 'off', 'clean-apps/vivo' = 1 }",
        &[
            r#"4:14: group.programs.clean-stor: there is no program "clean-stor"; did you mean "clean-store"?"#,
            r#"4:43: group.programs.bypass: "on" is not one of "off", "shadow", "enforce"; write one of these"#,
            r#"5:14: group.services.vivo: a program stands before the service; write such as "clean-store/vivo""#,
            r#"5:30: group.services.clean-app/vivo: there is no program "clean-app"; did you mean "clean-apps"?"#,
            r#"5:56: group.services.clean-apps/*: "*" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _"#,
            r#"5:100: group.services.clean-apps/vivo: expected text in quotes, found a number (1); write clean-apps/vivo = "off""#,
        ],
    );
}

#[test]
fn a_client_is_in_one_group() {
    bad(
        "[[group]]\nname = 'a'\nclients = ['10.0.0.0/8', 'mac:aabbccddeeff', 'id:tv']\n[[group]]\nname = 'b'\nclients = ['10.1.2.3/8', 'mac:aa-bb-cc-dd-ee-ff', 'id:TV', '10.1.0.0/16', '10.1.0.0/16']",
        &[
            r#"6:12: group.clients: 10.0.0.0/8 is in the group "a" already (config/c.toml:3); remove one of the two"#,
            r#"6:26: group.clients: mac:aa:bb:cc:dd:ee:ff is in the group "a" already (config/c.toml:3); remove one of the two"#,
            r#"6:51: group.clients: id:tv is in the group "a" already (config/c.toml:3); remove one of the two"#,
            r#"6:75: group.clients: 10.1.0.0/16 is in the group "b" already (config/c.toml:6); remove one of the two"#,
        ],
    );
    let text = "[[group]]\nname = 'a'\nclients = ['192.168.7.5/24', '10.0.0.1/32']";
    assert_eq!(
        warnings(text),
        [
            r#"3:12: group.clients: "192.168.7.5/24" has bits set after its prefix and means 192.168.7.0/24; write "192.168.7.0/24", or "192.168.7.5" for that client alone"#
        ]
    );
    assert_eq!(good(text).groups[0].clients[0].to_string(), "192.168.7.0/24");
}

#[test]
fn groups_and_clients_are_bounded() {
    let group = |index| format!("[[group]]\nname = 'g{index}'\nclients = ['id:{index}']\n");
    let most: String = (0..1000).map(group).collect();
    assert_eq!(good(&most).groups.len(), 1000);
    bad(
        &format!("{most}{}{}", group(1000), group(1001)),
        &["3001:1: group: there are more than 1000 groups; put clients with the same modes into one"],
    );
    let clients: String = (0..10_000).map(|index| format!("'id:{index}', ")).collect();
    let text = format!("[[group]]\nname = 'a'\nclients = [{clients}\n'id:tv']");
    let (_folder, world) = clone();
    assert_eq!(
        read_in(&world, &text).unwrap_err().to_string(),
        "config/c.toml:4:1: group.clients: there are more than 10000 clients in all groups; join some to networks"
    );
}

#[test]
fn shipped_programs_keep_their_modes_when_they_are_named() {
    for (name, mode) in [("clean-store", Mode::Enforce), ("clean-cloud", Mode::Shadow), ("bypass", Mode::Shadow)] {
        let programs: Vec<Program> = good(&format!("[[program]]\nname = '{name}'")).programs;
        assert_eq!((programs[0].name.as_str(), programs[0].mode), (name, mode));
        assert!(matches!(&programs[0].lists[0].location, Location::Folder(path) if path.ends_with(name)));
    }
}

/// A share that isn't there when the server starts: what it had is kept in the state folder that the configuration names.
#[test]
fn lists_that_are_not_there_are_where_they_were_if_copies_are_kept() {
    let (_folder, world) = clone();
    let here = &world.current_folder;
    let (share, one) = (here.join("share"), here.join("config/one.list"));
    let kept = |state: &Path, path: &Path| match state == Path::new("/kept") {
        true if path == share => Some(Location::Folder(path.to_owned())),
        true if path == one => Some(Location::File(path.to_owned())),
        _ => None,
    };
    let world = World { kept_lists: &kept, ..world.clone() };
    let of = |state: &str, path: &str| {
        let text = format!(
            "[[program]]\nname = 'p'\nlists = [{{ path = '{path}' }}]\nexceptions = ['{path}']\n[state]\ndir = '{state}'\n"
        );
        read(&text, Origin::File(here.join("config/c.toml")), &world)
    };
    for (path, location) in [("share", Location::Folder(share.clone())), ("one.list", Location::File(one.clone()))] {
        let Loaded { config, warnings, .. } = of("/kept", path).unwrap();
        let program = &config.programs[0];
        assert_eq!((&program.lists[0].location, &program.exceptions[0].location), (&location, &location));
        let told: Vec<(usize, &str)> = warnings.iter().map(|told| (told.line, told.option.as_str())).collect();
        assert_eq!(told, [(3, "program.lists.path"), (4, "program.exceptions")], "{warnings:?}");
        let said = "until it is back, a server goes by the last good copy, kept in /kept";
        assert!(warnings.iter().all(|told| told.message.contains(said)), "{warnings:?}");
    }
    for (state, path) in [("/other", "share"), ("/kept", "sharee"), ("/kept", "")] {
        assert_eq!(of(state, path).unwrap_err().0.len(), 2, "{state} {path}");
    }
    // What is there goes before what was.
    let Loaded { config, warnings, .. } = of("/kept", "own.list").unwrap();
    assert_eq!(config.programs[0].lists[0].location, Location::File(here.join("config/own.list")));
    assert_eq!(warnings, []);
}
