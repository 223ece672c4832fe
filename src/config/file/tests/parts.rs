//! Configurations of several files, and of the environment.

use super::*;

/// Reads a clone's `config/cleandns.toml` with files in `config/conf.d` and variables of the environment.
fn load_parts(main: &str, parts: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let (_folder, mut world) = clone();
    let config = world.current_folder.join("config");
    write(&config.join("cleandns.toml"), main);
    for (name, text) in parts {
        write(&config.join("conf.d").join(name), text);
    }
    let own = |text: &&str| (*text).to_owned();
    world.overrides = variables.iter().map(|(name, value)| (own(name), own(value))).collect();
    load(None, &world)
}

fn good_parts(main: &str, parts: &[(&str, &str)], variables: &[(&str, &str)]) -> Config {
    load_parts(main, parts, variables).unwrap_or_else(|problems| panic!("{problems}")).config
}

#[track_caller]
fn bad_parts(main: &str, parts: &[(&str, &str)], variables: &[(&str, &str)], expected: &[&str]) {
    let Err(problems) = load_parts(main, parts, variables) else { panic!("no problem") };
    let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

#[test]
fn files_of_the_folder_are_read_in_the_order_of_their_names() {
    let parts = [
        ("20-b.toml", "[cache]\nstale = '2h'\n[policy]\nmode = 'shadow'"),
        ("10-a.toml", "[cache]\nstale = '1h'\nprefetch = false"),
        // None of these counts.
        ("30.toml~", "nonsense"),
        (".40.toml", "nonsense"),
        ("README", "nonsense"),
    ];
    let main = "[cache]\nsize = '9 MiB'\nstale = '0s'\n[log]\njson = true";
    let loaded = load_parts(main, &parts, &[]).unwrap();
    assert_eq!(
        loaded.sources,
        ["config/cleandns.toml", "config/conf.d/10-a.toml", "config/conf.d/20-b.toml"],
        "in this order"
    );
    let cache = &loaded.config.cache;
    assert_eq!((cache.bytes, cache.stale.as_secs(), cache.prefetch), (9 << 20, 7200, false));
    assert_eq!((loaded.config.policy.mode, loaded.config.log.json), (Mode::Shadow, true));
}

#[test]
fn tables_with_names_are_joined_and_values_are_replaced() {
    let main = "access.allow = ['10.0.0.0/8']\n\
                [[program]]\nname = 'a'\nlists = [{ path = 'own.list' }]\nservices = { x = 'off', y = 'off' }\n\
                [[program]]\nname = 'b'\nlists = [{ path = 'own.list' }]\nmode = 'shadow'\n\
                [[group]]\nname = 'g'\nclients = ['192.0.2.1']\nprograms = { a = 'off' }\n\
                [[policy.exception]]\nnames = ['one.example']\n\
                [[resolve.forward]]\nzone = 'corp.example'\nservers = ['udp://192.0.2.1']\n";
    let part = "access.allow = ['192.0.2.0/24']\n\
                [[program]]\nname = 'b'\nmode = 'enforce'\n\
                [[program]]\nname = 'c'\nlists = [{ path = 'own.list' }]\n\
                [[program]]\nname = 'a'\nservices = { y = 'enforce' }\n\
                [[group]]\nname = 'g'\nprograms = { b = 'shadow' }\n\
                [[policy.exception]]\nnames = ['two.example']\n\
                [[resolve.forward]]\nzone = 'Corp.Example.'\nservers = ['udp://192.0.2.2']\n\
                [[resolve.forward]]\nzone = 'other.example'\nservers = ['udp://192.0.2.3']\n";
    let config = good_parts(main, &[("a.toml", part)], &[]);
    assert_eq!(config.access, ["192.0.2.0/24".parse().unwrap()]);
    let programs: Vec<_> = config.programs.iter().map(|program| (program.name.as_str(), program.mode)).collect();
    assert_eq!(programs, [("a", Mode::Enforce), ("b", Mode::Enforce), ("c", Mode::Enforce)]);
    let services: Vec<_> = config.programs[0].services.iter().map(|(name, mode)| (name.as_str(), *mode)).collect();
    assert_eq!(services, [("x", Mode::Off), ("y", Mode::Enforce)]);
    assert_eq!(config.groups.len(), 1);
    assert_eq!((config.groups[0].clients.len(), config.groups[0].programs.len()), (1, 2));
    assert_eq!(config.exceptions.len(), 2);
    assert_eq!(config.exceptions[1].place, "config/conf.d/a.toml:14");
    let forwards: Vec<_> =
        config.resolve.forwards.iter().map(|own| (own.zone.to_string(), own.servers.len())).collect();
    assert_eq!(forwards, [("corp.example".to_owned(), 1), ("other.example".to_owned(), 1)]);
    assert_eq!(config.resolve.forwards[0].servers[0].address.to_string(), "192.0.2.2:53");
}

/// There are exactly the programs that are named, wherever that is.
#[test]
fn a_part_that_alone_names_programs_leaves_the_others_out() {
    let told = |main: &str, part: &str| {
        let loaded = load_parts(main, &[("40.toml", part)], &[]).unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        (loaded.config.programs.len(), warnings)
    };
    let one = "[[program]]\nname = 'clean-store'\nmode = 'shadow'\n";
    let (programs, warnings) = told("[cache]\nprefetch = true\n", one);
    assert_eq!(programs, 1);
    assert!(
        matches!(&warnings[..], [told] if told.starts_with("config/conf.d/40.toml:1:1: program: there are only the programs \
            that are named, and the first file names none: clean-apps, ")),
        "{warnings:?}"
    );
    // Named in the first file, or with lists of its own, it is meant.
    assert_eq!(told("[[program]]\nname = 'clean-store'\n", one), (1, Vec::new()));
    let own = "[[program]]\nname = 'a'\nlists = [{ path = 'own.list' }]\n";
    assert_eq!(told("", own), (1, Vec::new()));
    assert_eq!(told("", &format!("{own}{one}")), (2, Vec::new()));
}

#[test]
fn every_problem_names_its_own_file() {
    bad_parts(
        "[cache]\nsize = 1.5\n",
        &[
            ("a.toml", "\u{feff}[log]\nnonsense = true\n[policy\nmode = 1\n"),
            ("b.toml", "# ü\n[listen]\nworkers = 'x'\ndo53 = ["),
            ("c.toml", "[cache]\nprefetch = 'yes'"),
        ],
        &[],
        &[
            "config/cleandns.toml:2:8: cache.size: expected text in quotes, found a number (1.5); write size = \"128 MiB\"",
            "config/conf.d/a.toml:2:1: log.nonsense: there is no such option; those there are: filter, json, queries",
            "config/conf.d/a.toml:3:8: unclosed table, expected `]`",
            "config/conf.d/b.toml:3:11: listen.workers: expected a whole number, found a string (\"x\"); write workers = 0",
            "config/conf.d/b.toml:4:8: listen.do53: there is no address, so nobody could ask; write do53 = [\"127.0.0.1:5300\"]",
            "config/conf.d/b.toml:4:9: a [ or { before this is never closed; write its ] or }",
            "config/conf.d/c.toml:2:12: cache.prefetch: expected true or false, found a string (\"yes\"); write prefetch = true",
        ],
    );
    // Two of one name in one file are a mistake; in two files they are one.
    let program = "[[program]]\nname = 'a'\nlists = [{ path = 'own.list' }]\n";
    bad_parts(
        program,
        &[("a.toml", &format!("{program}{program}"))],
        &[],
        &["config/conf.d/a.toml:5:8: program.name: there is a program \"a\" already; put the lists of both into one"],
    );
    let large = load_parts("", &[("a.toml", &"#".repeat(1 << 20)), ("b.toml", "x = 1")], &[]).unwrap_err().to_string();
    assert!(large.starts_with("config/conf.d/b.toml: ") && large.contains("is larger than 0 octets"), "{large}");
    assert!(large.ends_with("; all files together may have 1048576 octets"), "{large}");
}

/// Nothing in it would be in force, and nobody would know: the shipped programs instead of the owner's, say.
#[test]
fn a_folder_that_cannot_be_read_is_a_problem() {
    let (_folder, world) = clone();
    let folder = world.current_folder.join("config/conf.d");
    write(&world.current_folder.join("config/cleandns.toml"), "");
    let told = || load(None, &world).unwrap_err().to_string();
    assert!(load(None, &world).is_ok(), "without it all is well");
    write(&folder, "[log]\nqueries = true\n");
    assert_eq!(told(), "config/conf.d: is no folder; make it one, or give it another name");
    fs::remove_file(&folder).unwrap();
    std::os::unix::fs::symlink("nowhere", &folder).unwrap();
    assert_eq!(told(), "config/conf.d: is a link to nothing; correct it, or take it away");
    let origin = Origin::File(world.current_folder.join("config/cleandns.toml"));
    assert!(files_of(&origin).unseen.is_some(), "whoever keeps watch sees it too");
    fs::remove_file(&folder).unwrap();
    // A link to nothing in it is a problem of that file.
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("a.toml")).unwrap();
    assert_eq!(told(), "config/conf.d/a.toml: is a link to nothing; correct it, or take it away");
    fs::remove_file(folder.join("a.toml")).unwrap();
    // And a folder in it is none of a file; but for those of a ConfigMap, whose names begin with a dot.
    fs::create_dir(folder.join("..data")).unwrap();
    assert!(load(None, &world).is_ok());
    fs::create_dir(folder.join("z.toml")).unwrap();
    assert_eq!(told(), "config/conf.d: z.toml in it is a folder, and only files are read; give it another name");
    // Nor is a pipe, in which nobody may ever write.
    fs::remove_dir(folder.join("z.toml")).unwrap();
    nix::unistd::mkfifo(&folder.join("y.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(told(), "config/conf.d: y.toml in it is no plain file; give it another name");
}

/// It is meant, so it is neither "no such file" nor passed over for the next place.
#[test]
fn a_link_to_nothing_is_no_missing_file() {
    let (_folder, world) = clone();
    let file = world.current_folder.join("config/cleandns.toml");
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    for requested in [None, Some(file.as_path())] {
        let told = load(requested, &world).unwrap_err().to_string();
        assert_eq!(told, "config/cleandns.toml: is a link to nothing; correct it, or take it away");
    }
}

#[test]
fn variables_that_are_not_read_are_told() {
    let (_folder, mut world) = clone();
    write(&world.current_folder.join("config/cleandns.toml"), "");
    let process =
        ["LISTEN_DO53", "QUERYLOG_JSON_TO", "PORT_53_UDP_PROTO", "SERVICE_HOST", "SERVICE_PORT_DNS", "CACHE__SIZE"];
    let process = process.map(|name| (format!("CLEANDNS_{name}").into(), "x".into()));
    world.unread = super::super::world::unread(process.into_iter().chain([("HOME".into(), "/x".into())]));
    let warnings = load(None, &world).unwrap().warnings;
    let told = |name: &str, meant: &str| {
        format!("environment variable {name}: it is not read; did you mean {meant}? Two underscores stand for a dot")
    };
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            told("CLEANDNS_LISTEN_DO53", "CLEANDNS_LISTEN__DO53"),
            told("CLEANDNS_QUERYLOG_JSON_TO", "CLEANDNS_QUERY_LOG__JSON__TO")
        ]
    );
}

/// Lists and other files that are read may lie beside the folder of the configuration, as in a clone. What is written lies
/// in the configuration's own, whatever there is beside it.
#[test]
fn what_is_written_lies_beside_the_configuration() {
    let (_folder, world) = clone();
    let here = world.current_folder.clone();
    for folder in ["state", "log"] {
        fs::create_dir(here.join(folder)).unwrap();
    }
    let toml = "state.dir = 'state'\nadmin.audit = 'log/audit.jsonl'\n[query_log]\npath = 'log/q.db'\njson.to = 'log/q.json'\n\
                dnstap.to = 'log/q.dnstap'\n";
    let check = |config: &Config, base: &Path| {
        assert_eq!(config.state_dir, Some(base.join("state")));
        assert_eq!(config.admin.as_ref().unwrap().audit, Some(base.join("log/audit.jsonl")));
        assert_eq!(config.query_log.database, Some(base.join("log/q.db")));
        let to = crate::config::JsonTarget::File(base.join("log/q.json"));
        assert_eq!(config.query_log.json.as_ref().unwrap().to, to);
        let to = crate::config::DnstapTarget::File(base.join("log/q.dnstap"));
        assert_eq!(config.query_log.dnstap.as_ref().unwrap().to, to);
    };
    check(&read_in(&world, toml).unwrap().config, &here.join("config"));
    // Without a file they lie here, and not where the lists were found.
    let elsewhere = World { current_folder: here.join("log"), executable_folder: Some(here.join("bin")), ..world };
    check(&read(toml, Origin::Embedded, &elsewhere).unwrap().config, &here.join("log"));
}

#[test]
fn the_environment_goes_before_files() {
    let variables = [
        ("CLEANDNS_ACCESS__ALLOW", "[\"192.0.2.0/24\"]"),
        ("CLEANDNS_ADMIN__LISTEN", ""),
        ("CLEANDNS_CACHE__PREFETCH", "false"),
        ("CLEANDNS_CACHE__SIZE", "9 MiB"),
        ("CLEANDNS_LISTEN__WORKERS", "3"),
        ("CLEANDNS_QUERY_LOG__JSON__TO", "stdout"),
        ("CLEANDNS_STATE__DIR", "'/x'"),
    ];
    let parts = [("a.toml", "[cache]\nsize = '1 MiB'\nstale = '1h'")];
    let config = good_parts("listen.workers = 1", &parts, &variables);
    assert_eq!(config.access, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!((config.admin, config.listen.workers), (None, 3));
    assert_eq!((config.cache.bytes, config.cache.stale.as_secs(), config.cache.prefetch), (9 << 20, 3600, false));
    assert_eq!(config.state_dir, Some("/x".into()));
    assert!(config.query_log.json.is_some());
}

#[test]
fn problems_of_the_environment_name_the_variable() {
    bad_parts(
        "",
        &[],
        &[
            ("CLEANDNS_ACCESS__ALLOW", "10.0.0.0/8"),
            ("CLEANDNS_CACHE__STALE", "soon"),
            ("CLEANDNS_CACHE__STALLE", "1h"),
            ("CLEANDNS_POLICY__EXCEPTION", "[]"),
            ("CLEANDNS_PROGRAM__CLEAN_STORE__MODE", "off"),
        ],
        &[
            "environment variable CLEANDNS_ACCESS__ALLOW: access.allow: expected a list in brackets, found a string \
             (\"10.0.0.0/8\"); write allow = [\"10.0.0.0/8\"]",
            "environment variable CLEANDNS_CACHE__STALE: cache.stale: \"soon\" is not a duration; write a whole number and \
             s, m, h or d, such as \"30s\" or \"1d\"",
            "environment variable CLEANDNS_CACHE__STALLE: cache.stalle: there is no such option; did you mean stale?",
            "environment variable CLEANDNS_POLICY__EXCEPTION: policy.exception: what has double brackets can't be set by a \
             variable; write [[policy.exception]] into a file, such as one in conf.d",
            "environment variable CLEANDNS_PROGRAM__CLEAN_STORE__MODE: program: expected tables, found a table; write \
             [[program]] in double brackets",
        ],
    );
    let process = [("CLEANDNS_PORT_53_UDP", "x"), ("CLEANDNS_CACHE__SIZE", "1 MiB"), ("HOME", "/x")];
    let process = process.map(|(name, value)| (name.into(), value.into()));
    let own = super::super::world::overrides(process.into_iter());
    assert_eq!(own, [("CLEANDNS_CACHE__SIZE".to_owned(), "1 MiB".to_owned())]);
}
