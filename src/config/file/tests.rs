//! Whole files: text to the lines of problems it must give, or to values; and where files and paths are looked for.

mod parts;
mod problems;
mod process;
mod schema;
mod show;

use super::{
    super::{
        Admin, Exception, Forward, ForwardProtocol, ForwardServer, Gate, ListSource, Listen, Location, Log, Policy,
        Program,
    },
    *,
};
use crate::policy::{
    BlockAnswer, Mode, Zone,
    parse::{Extent, Format},
};
use std::{borrow::Cow, fs, net::SocketAddr, time::Duration};
use tempfile::TempDir;

/// The file that people get, and that is inside the binary.
const TEMPLATE: &str = include_str!("../../../config/cleandns.toml");

/// A tree inside the binary: a file in each shipped program's folder, and the template.
const EMBEDDED: Embedded<'static> = Embedded {
    read: &|path| (path == CONFIG_PATH).then(|| Cow::Borrowed(TEMPLATE.as_bytes())),
    paths: &|| {
        let lists =
            ["clean-store", "clean-apps", "clean-cloud", "clean-carrier", "clean-path", "clean-cable", "bypass"];
        let lists = lists.map(|program| Cow::from(format!("blocklists/{program}/{program}.list")));
        lists.into_iter().chain([CONFIG_PATH.into()]).collect()
    },
};

/// A world below `folder` that has no environment.
pub(super) fn world(folder: &Path) -> World<'static> {
    World {
        current_folder: folder.join("here"),
        executable_folder: None,
        system_folder: folder.join("etc"),
        state_directory: None,
        xdg_state_home: None,
        home: None,
        host_name: "resolver".to_owned(),
        overrides: Vec::new(),
        unread: Vec::new(),
        embedded: EMBEDDED,
        may_lack_files: false,
        kept_lists: &|_, _| None,
    }
}

/// A clone in `here`: `config/`, and lists in `blocklists/`. The file itself is given as text.
pub(super) fn clone() -> (TempDir, World<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path());
    for file in ["clean-store/tiktok", "clean-apps/vivo", "clean-cloud/a", "clean-carrier/a", "clean-path/a"] {
        write(&world.current_folder.join(format!("blocklists/{file}.list")), "a.example\n");
    }
    for file in ["blocklists/clean-cable/a.list", "blocklists/bypass/a.list", "config/own.list"] {
        write(&world.current_folder.join(file), "a.example\n");
    }
    write(&world.current_folder.join("config/token"), "s3cret-of-the-owner\n");
    write(&world.current_folder.join("config/empty-token"), "\n");
    write(&world.current_folder.join("config/short-token"), "fifteen-letters\n");
    write(&world.current_folder.join("config/bad-state/token"), "\n");
    write(&world.current_folder.join("config/state/token"), "s3cret-of-the-server\n");
    (folder, world)
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Reads `text` as the clone's `config/c.toml`.
pub(super) fn read_in(world: &World<'_>, text: &str) -> Result<Loaded, Problems> {
    read(text, Origin::File(world.current_folder.join("config/c.toml")), world)
}

pub(super) fn good(text: &str) -> Config {
    let (_folder, world) = clone();
    schema::assert_valid(text);
    match read_in(&world, text) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{text}\n{problems}"),
    }
}

/// Asserts the problems of `text`, a line each, without the name of the file.
#[track_caller]
pub(super) fn bad(text: &str, expected: &[&str]) {
    let (folder, world) = clone();
    let Err(problems) = read_in(&world, text) else { panic!("no problem in:\n{text}") };
    let here = world.current_folder.display().to_string();
    let lines: Vec<_> = problems.0.iter().map(|problem| problem.to_string().replace(&here, "HERE")).collect();
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix("config/c.toml:").unwrap_or(line)).collect();
    assert_eq!(lines, expected, "in:\n{text}");
    drop(folder);
}

fn default_config() -> Config {
    let (_folder, world) = clone();
    Config::default_for(&world)
}

/// The template with its examples in force.
fn uncommented() -> String {
    let uncommented = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
        Some(example) if example.starts_with(|c: char| c == '[' || c.is_ascii_alphabetic()) => example,
        _ => line,
    });
    uncommented.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_template_means_the_same_as_an_empty_file() {
    let (_folder, world) = clone();
    // As the copy inside the binary, and as a file in a clone.
    for origin in [Origin::Embedded, Origin::File(world.current_folder.join(CONFIG_PATH))] {
        let template = read(TEMPLATE, origin.clone(), &world).unwrap_or_else(|problems| panic!("{problems}"));
        let empty = read("", origin.clone(), &world).unwrap();
        assert!(empty.is_blank && !template.is_blank, "{origin:?}");
        assert_eq!(template, Loaded { is_blank: false, ..empty }, "{origin:?}");
        assert_eq!(template.warnings, []);
    }
    assert_eq!(Config::default_for(&world), load(None, &world).unwrap().config);
}

#[test]
fn the_template_has_every_option_and_its_examples_can_be_used() {
    let uncommented = uncommented();
    let (_folder, world) = clone();
    let problems = read_in(&world, &uncommented).unwrap_err();
    let lines: Vec<_> = problems.0.iter().map(|problem| format!("{}: {}", problem.option, problem.message)).collect();
    assert_eq!(lines, ["program.lists.path: there is no such file or folder; looked for /etc/cleandns/my.list"]);

    let document = toml::de::DeTable::parse(&uncommented).unwrap();
    let option = |dotted: &str| {
        let mut value = toml::de::DeValue::Table(document.get_ref().clone());
        for key in dotted.split('.') {
            // Of several tables, any may have it.
            let tables = value
                .as_array()
                .map_or(vec![value.clone()], |array| array.iter().map(|element| element.get_ref().clone()).collect());
            value = tables.iter().find_map(|table| Some(table.get(key)?.get_ref().clone()))?;
            if key == "lists" && dotted.starts_with("program.") {
                // Those of the example, which has all options.
                value = tables.last()?.get(key)?.get_ref().clone();
            }
        }
        Some(value)
    };
    for section in [
        "listen: do53 dot doh doq workers proxy_protocol_from",
        "tls: cert key",
        "access: allow i_know_this_is_open",
        "resolve: root_hints trust_anchors validate negative_trust_anchors ipv4 ipv6 do_not_query forward",
        "resolve.forward: zone servers validate",
        "local: records hosts",
        "cache: size stale prefetch",
        "state: dir",
        "policy: mode block block_ttl asn_db country_db time_zone exception",
        "policy.exception: names lists programs groups reason until",
        "program: name mode block ede lists services exceptions schedule",
        "program.lists: path url format name service match override allow_empty required gate release refresh",
        "program.lists: change_max ca_file",
        "group: name clients tags programs services schedule",
        "admin: listen names token_file read_token_file users_file tls_cert tls_key insecure audit trusted_proxies",
        "query_log: enabled path keep keep_sums size privacy answers instance json dnstap clickhouse",
        "query_log.json: to size files",
        "query_log.dnstap: to client resolver size files",
        "query_log.clickhouse: url database user password_file spill",
        "process: user group sandbox read",
        "log: filter json queries",
    ] {
        let (section, keys) = section.split_once(": ").unwrap();
        for key in keys.split(' ') {
            assert!(option(&format!("{section}.{key}")).is_some(), "{section}.{key} is not in the template");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = default_config();
    let do53 = vec!["127.0.0.1:5300".parse().unwrap()];
    assert_eq!(config.listen, Listen { do53, workers: 0, proxies: Vec::new() });
    assert_eq!(config.admin, Some(Admin::plain("127.0.0.1:8053".parse().unwrap())));
    assert_eq!(config.cache.bytes, 128 << 20);
    assert_eq!(config.state_dir, None);
    assert_eq!(
        config.policy,
        Policy {
            mode: Mode::Enforce,
            block: BlockAnswer::NxDomain,
            block_ttl: Duration::from_secs(30),
            asn_db: None,
            country_db: None,
            time_zone: Zone::utc(),
        }
    );
    let programs: Vec<_> = config.programs.iter().map(|program| (program.name.as_str(), program.mode)).collect();
    assert_eq!(
        programs,
        [
            ("clean-store", Mode::Enforce),
            ("clean-apps", Mode::Enforce),
            ("clean-cloud", Mode::Shadow),
            ("clean-carrier", Mode::Shadow),
            ("clean-path", Mode::Shadow),
            ("clean-cable", Mode::Shadow),
            ("bypass", Mode::Shadow),
        ]
    );
    assert_eq!((config.exceptions, config.groups), (vec![], vec![]));
    let location = &config.programs[0].lists[0].location;
    assert!(matches!(location, Location::Folder(path) if path.ends_with("blocklists/clean-store")), "{location:?}");
    assert!(config.resolve.validate && config.resolve.ipv4 && config.resolve.ipv6);
    let never_asked = |address: &str| {
        let address: std::net::IpAddr = address.parse().unwrap();
        config.resolve.do_not_query.iter().any(|network| network.contains(&address))
    };
    for address in ["127.0.0.1", "10.1.2.3", "100.127.0.1", "198.19.0.1", "255.255.255.255", "::", "::ffff:8.8.8.8"] {
        assert!(never_asked(address), "{address}");
    }
    for address in ["198.41.0.4", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2001:503:ba3e::2:30", "2001:db9::1"] {
        assert!(!never_asked(address), "{address}");
    }
}

#[test]
fn every_option_is_read() {
    let config = good(
        r#"
        listen = { do53 = ["127.0.0.1:53", "[::1]:53", "127.0.0.1:0", "127.0.0.1:0"], workers = 3 }
        access.allow = ["192.0.2.1", "10.0.0.0/8"]
        cache = { size = "1 GiB", stale = "24h", prefetch = true }
        state.dir = "/var/lib/cleandns"
        log = { filter = "debug", json = true, queries = true }
        admin = { listen = "0.0.0.0:80", token_file = "token" }
        [resolve]
        root_hints = "own.list"
        trust_anchors = "config/own.list"
        validate = false
        ipv6 = false
        do_not_query = []
        [[resolve.forward]]
        zone = "corp.example"
        servers = ["10.0.0.1", "tcp://[fd00::1]:5300"]
        [[resolve.forward]]
        zone = "signed.example"
        servers = ["udp://10.0.0.1:54"]
        validate = true
        [policy]
        mode = "shadow"
        block = "nodata"
        block_ttl = "1d"
        [[policy.exception]]
        names = ["Example.com", "=a.example"]
        programs = ["mine"]
        reason = "why"
        until = "2027-01-31"
        [[policy.exception]]
        names = ["b.example"]
        until = 1970-01-02
        [[program]]
        name = "clean-store"
        [[program]]
        name = "mine"
        mode = "off"
        block = "nodata"
        ede = 17
        lists = [
          { path = "blocklists/clean-store/tiktok.list", format = "domains", match = "subtree", name = "Mine", service = "x" },
          { path = "own.list", allow_empty = true, required = true, gate = "hold", refresh = "1d", url = "" },
        ]
        services = { "*" = "shadow", tiktok = "enforce" }
        exceptions = ["own.list"]
        "#,
    );
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let name = |text: &str| text.parse().unwrap();
    let Origin::File(file) = &config.origin else { panic!("{:?}", config.origin) };
    let here = file.parent().unwrap().parent().unwrap();
    assert_eq!(config.listen.do53, ["127.0.0.1:53", "[::1]:53", "127.0.0.1:0", "127.0.0.1:0"].map(address));
    assert_eq!(config.listen.workers, 3);
    assert_eq!(config.access, ["192.0.2.1/32", "10.0.0.0/8"].map(|network| network.parse().unwrap()));
    assert_eq!(config.cache.bytes, 1 << 30);
    assert_eq!(config.state_dir, Some("/var/lib/cleandns".into()));
    assert_eq!(config.log, Log { filter: "debug".into(), json: true, queries: true });
    assert_eq!(
        config.admin,
        Some(Admin {
            token: Some("s3cret-of-the-owner".into()),
            token_file: Some(here.join("config/token")),
            ..Admin::plain(address("0.0.0.0:80"))
        })
    );
    assert_eq!(config.resolve.root_hints, Some(here.join("config/own.list")));
    assert_eq!(config.resolve.trust_anchors, Some(here.join("config/own.list")));
    assert_eq!((config.resolve.validate, config.resolve.ipv4, config.resolve.ipv6), (false, true, false));
    assert_eq!(config.resolve.do_not_query, []);
    let server = |protocol, text: &str| ForwardServer { protocol, address: address(text) };
    assert_eq!(
        config.resolve.forwards,
        [
            Forward {
                zone: name("corp.example"),
                servers: vec![
                    server(ForwardProtocol::Udp, "10.0.0.1:53"),
                    server(ForwardProtocol::Tcp, "[fd00::1]:5300")
                ],
                validate: false
            },
            Forward {
                zone: name("signed.example"),
                servers: vec![server(ForwardProtocol::Udp, "10.0.0.1:54")],
                validate: true
            },
        ]
    );
    assert_eq!(
        config.policy,
        Policy {
            mode: Mode::Shadow,
            block: BlockAnswer::NoData,
            block_ttl: Duration::from_secs(86_400),
            asn_db: None,
            country_db: None,
            time_zone: Zone::utc(),
        }
    );
    assert_eq!(
        config.exceptions,
        [
            Exception {
                names: vec![(name("example.com"), Extent::Subtree), (name("a.example"), Extent::Exact)],
                lists: vec![],
                programs: vec!["mine".into()],
                groups: vec![],
                reason: "why".into(),
                until: Some(20_850 * 86_400),
                until_text: "2027-01-31".into(),
                place: "config/c.toml:25".into(),
            },
            Exception {
                names: vec![(name("b.example"), Extent::Subtree)],
                lists: vec![],
                programs: vec![],
                groups: vec![],
                reason: String::new(),
                until: Some(2 * 86_400),
                until_text: "1970-01-02".into(),
                place: "config/c.toml:30".into(),
            },
        ]
    );
    let plain = ListSource::plain(Location::Folder(here.join("blocklists/clean-store")));
    let own = ListSource { location: Location::File(here.join("config/own.list")), ..plain.clone() };
    assert_eq!(config.programs[0].lists, std::slice::from_ref(&plain));
    assert_eq!(
        config.programs[1],
        Program {
            name: "mine".into(),
            mode: Mode::Off,
            block: Some(BlockAnswer::NoData),
            ede: 17,
            lists: vec![
                ListSource {
                    location: Location::File(here.join("blocklists/clean-store/tiktok.list")),
                    format: Format::Domains,
                    name: Some("Mine".into()),
                    service: Some("x".into()),
                    extent: Extent::Subtree,
                    ..plain
                },
                ListSource { allow_empty: true, required: true, gate: Some(Gate::Hold), ..own.clone() },
            ],
            services: [("*".into(), Mode::Shadow), ("tiktok".into(), Mode::Enforce)].into(),
            exceptions: vec![own],
            schedule: None,
        }
    );
}

#[test]
fn small_files_mean_what_they_say() {
    let root = |text: &str| good(text).resolve.forwards[0].validate;
    assert!(root("[[resolve.forward]]\nzone = '.'\nservers = ['10.0.0.1']"), "as [resolve] validate");
    assert!(!root("resolve.validate = false\n[[resolve.forward]]\nzone = '.'\nservers = ['10.0.0.1']"));
    assert_eq!(good("admin.listen = ''").admin, None);
    assert_eq!(good("cache.size = 65536").cache.bytes, 65_536);
    let cache = good("cache = { stale = '0s', prefetch = false }").cache;
    assert_eq!((cache.stale, cache.prefetch), (Duration::ZERO, false));
    assert_eq!(good("cache.size = 0x1_0000").cache.bytes, 65_536);
    assert_eq!(good("program = []").programs.len(), 7);
    assert!(good("\u{feff}[log]\r\njson = true\r\n").log.json, "as Windows editors write it");
    let token = good("admin.token_file = 'token'").admin;
    assert!(!format!("{token:?}").contains("s3cret-of-the-owner"), "{token:?}");
}

#[test]
fn the_first_configuration_found_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let mut world = world(folder.path());
    world.executable_folder = Some(at("clone/target/release"));
    assert_eq!(load(None, &world).unwrap().config.origin, Origin::Embedded);
    // Each goes before the one before it.
    for path in [
        "etc/cleandns/cleandns.toml",
        "clone/target/etc/cleandns/cleandns.toml",
        "config/cleandns.toml",
        "clone/config/cleandns.toml",
        "clone/target/release/config/cleandns.toml",
        "here/config/cleandns.toml",
    ] {
        write(&at(path), "");
        assert_eq!(load(None, &world).unwrap().config.origin, Origin::File(at(path)), "{path}");
    }
    write(&at("here/own.toml"), "log.json = 1");
    let problems = load(Some(Path::new("own.toml")), &world).unwrap_err().to_string();
    assert!(problems.starts_with("own.toml:1:12: log.json: "), "{problems}");
    let problems = load(Some(Path::new("none.toml")), &world).unwrap_err().to_string();
    assert!(problems.starts_with("none.toml: there is no such file; correct --config"), "{problems}");
    let problems = load(Some(Path::new("config")), &world).unwrap_err().to_string();
    assert!(problems.starts_with("config: ") && problems.contains("can't be read"), "{problems}");
    fs::write(at("here/own.toml"), b"# fine\n# \xff").unwrap();
    let problems = load(Some(Path::new("own.toml")), &world).unwrap_err().to_string();
    assert_eq!(problems, "own.toml: line 2 is not UTF-8 text; save the file as UTF-8");
    write(&at("here/own.toml"), &"#".repeat(2 << 20));
    let problems = load(Some(Path::new("own.toml")), &world).unwrap_err().to_string();
    assert!(problems.contains("is larger than 1048576 octets"), "{problems}");
}

#[test]
fn paths_start_at_the_files_folder_then_its_parent() {
    let (_folder, world) = clone();
    let here = &world.current_folder;
    write(&here.join("config/both.list"), "");
    write(&here.join("both.list"), "");
    let base = world.base(&Origin::File(here.join("config/c.toml")));
    for (path, expected) in [
        ("own.list", Location::File(here.join("config/own.list"))),
        ("./own.list", Location::File(here.join("config/own.list"))),
        ("config/own.list", Location::File(here.join("config/own.list"))),
        ("both.list", Location::File(here.join("config/both.list"))),
        ("../both.list", Location::File(here.join("config/../both.list"))),
        ("blocklists/clean-store/", Location::Folder(here.join("blocklists/clean-store"))),
        (here.join("both.list").to_str().unwrap(), Location::File(here.join("both.list"))),
    ] {
        assert_eq!(base.find(path), Ok(expected), "{path}");
    }
    assert!(base.find("own.list/x").unwrap_err().contains("no such file or folder"));
    assert_eq!(base.written_folder("state"), Ok(here.join("config/state")));
    assert_eq!(base.written_folder("blocklists"), Ok(here.join("config/blocklists")), "never above");
    assert!(base.written_folder("own.list").unwrap_err().contains("is a file"));

    // Lists that lie here are meant even without a configuration; elsewhere there are only those inside the binary.
    let found = world.base(&Origin::Embedded).find("blocklists/clean-store");
    assert_eq!(found, Ok(Location::Folder(here.join("blocklists/clean-store"))));
    let elsewhere = World { current_folder: here.join("config"), executable_folder: None, ..world.clone() };
    let base = elsewhere.base(&Origin::Embedded);
    for (path, expected) in [
        ("blocklists/clean-store", Some("blocklists/clean-store")),
        ("./blocklists/clean-store/clean-store.list", Some("blocklists/clean-store/clean-store.list")),
        ("blocklists/clean", None),
        ("own.list", None),
    ] {
        assert_eq!(base.find(path).ok(), expected.map(|path| Location::Embedded(path.into())), "{path}");
    }
    assert!(base.find_file("config/cleandns.toml").is_err());
}

#[test]
fn shipped_lists_beside_the_file_go_before_those_inside_the_binary() {
    let (_folder, world) = clone();
    let here = &world.current_folder;
    let location = |origin| read("", origin, &world).unwrap().config.programs[1].lists[0].location.clone();
    assert_eq!(
        location(Origin::File(here.join("config/c.toml"))),
        Location::Folder(here.join("blocklists/clean-apps"))
    );
    assert_eq!(location(Origin::File(here.join("x/y/c.toml"))), Location::Embedded("blocklists/clean-apps".into()));
}

#[test]
fn state_is_kept_where_the_environment_says() {
    let path = |path: &str| Some(PathBuf::from(path));
    for (systemd, xdg, home, expected) in [
        (path("/var/lib/a:/var/lib/b"), path("/x"), path("/h"), path("/var/lib/a")),
        (None, path("/x"), path("/h"), path("/x/cleandns")),
        (None, path("relative"), path("/h"), path("/h/.local/state/cleandns")),
        (None, None, None, None),
    ] {
        let world = World { state_directory: systemd, xdg_state_home: xdg, home, ..world(Path::new("/nowhere")) };
        assert_eq!(Config::default_for(&world).state_dir, expected);
    }
}
