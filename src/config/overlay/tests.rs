//! The overlay against a naive twin, and what is said of one that can't be read.

use super::*;
use crate::{
    config::{Config, DEFAULT_GROUP, Embedded, Exception, Group, Location, Origin, Program, World},
    dns::Name,
    policy::{ClientKey, Schedule, Zone, parse::Extent},
};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// A configuration with programs `a`, `b` and groups `g`, `h`, and one exception of the owner's.
fn config() -> Config {
    let nothing = Embedded { read: &|_| None, paths: &Vec::new };
    let world = World {
        current_folder: "/nowhere".into(),
        executable_folder: None,
        system_folder: "/nowhere".into(),
        state_directory: Some("/state".into()),
        xdg_state_home: None,
        home: None,
        host_name: "host".to_owned(),
        overrides: Vec::new(),
        unread: Vec::new(),
        embedded: nothing,
        may_lack_files: true,
        kept_lists: &|_, _| None,
    };
    let text = "[[program]]\nname = 'a'\nlists = [{ path = 'a.list' }]\nservices = { s = 'off' }\n\
                [[program]]\nname = 'b'\nmode = 'shadow'\nlists = [{ path = 'b.list' }]\nschedule = 'daily 08:00-09:00'\n\
                [[group]]\nname = 'g'\nclients = ['192.0.2.1']\nprograms = { a = 'off' }\n\
                [[group]]\nname = 'h'\nclients = ['192.0.2.2']\n\
                [[policy.exception]]\nnames = ['own.example']\n";
    crate::config::read(text, Origin::File("/nowhere/cleandns.toml".into()), &world)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

fn overlay(text: &str) -> Overlay {
    Overlay::read(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn applied(text: &str) -> Applied {
    overlay(text).apply(config(), 0).unwrap_or_else(|problems| panic!("{problems}"))
}

fn resting(applied: &Applied) -> Vec<&str> {
    applied.resting.iter().map(|resting| resting.why.as_str()).collect()
}

const EVERYTHING: &str = "version = 1\n\
    [modes.everybody]\na = 'shadow'\n'a/s' = 'enforce'\n'b/*' = 'off'\n\
    [modes.group.g]\na = 'enforce'\n'b/t' = 'off'\n\
    [schedules]\n'group/g' = 'Mon-Fri   08:00-17:00'\n'program/b' = ''\n\
    [[exception]]\nid = 'e3'\nnames = ['=Shop.example.', 'x.example']\nprograms = ['a']\ngroups = ['default']\n\
    reason = 'check \"out\"'\nuntil = 2027-01-31\n\
    [[block]]\nid = 'b4'\nname = 'game.example'\nreason = 'homework'\n\
    [[block]]\nid = 'b5'\nname = '=video.example'\ngroups = ['g', 'default']\nuntil = '2027-02-28'\n";

#[test]
fn an_overlay_lies_upon_the_configuration() {
    let Applied { config, resting, lists, .. } = applied(EVERYTHING);
    assert_eq!(resting, []);
    let program = |name: &str| config.programs.iter().find(|program| program.name == name).unwrap();
    let group = |name: &str| config.groups.iter().find(|group| group.name == name).unwrap();
    assert_eq!((program("a").mode, program("a").services["s"]), (Mode::Shadow, Mode::Enforce));
    assert_eq!((program("b").mode, program("b").services["*"]), (Mode::Shadow, Mode::Off));
    assert_eq!(program("b").schedule, None, "always");
    assert_eq!(group("g").programs["a"], Mode::Enforce);
    assert_eq!(group("g").services[&("b".to_owned(), "t".to_owned())], Mode::Off);
    let schedule = Schedule::parse("Mon-Fri 08:00-17:00", &Zone::utc()).unwrap();
    assert_eq!(group("g").schedule, Some(schedule));
    assert_eq!(config.exceptions.len(), 2);
    let exception = &config.exceptions[1];
    let name = |text: &str| text.parse::<Name>().unwrap();
    assert_eq!(exception.names, [(name("shop.example"), Extent::Exact), (name("x.example"), Extent::Subtree)]);
    assert_eq!(
        (exception.programs.as_slice(), exception.groups.as_slice()),
        (&["a".into()][..], &["default".into()][..])
    );
    assert_eq!((exception.until, exception.until_text.as_str()), (Some(20_850 * 86_400), "2027-01-31"));
    assert_eq!((exception.reason.as_str(), exception.place.as_str()), ("check \"out\"", "overlay.toml:e3"));
    // Blocks are a program before all others, with a list for each whom they are for.
    assert_eq!(config.programs[0].name, OWN_PROGRAM);
    let text = |name: &str| lists.iter().find(|(path, _)| path == Path::new(name)).unwrap().1.lines().last().unwrap();
    assert_eq!(text("/state/own/everybody.list"), "game.example # b4: homework");
    assert_eq!(
        (text("/state/own/for-g.list"), text("/state/own/for-default.list")),
        ("=video.example # b5", "=video.example # b5")
    );
    let own = |group: Option<&str>, service: &str| {
        let of_group = group.and_then(|name| config.groups.iter().find(|group| group.name == name));
        let of_group = of_group.and_then(|group| group.services.get(&(OWN_PROGRAM.to_owned(), service.to_owned())));
        of_group.or_else(|| config.programs[0].services.get(service)).copied().unwrap_or(Mode::Enforce)
    };
    for (service, everybody, g, h) in [
        ("everybody", Mode::Enforce, Mode::Enforce, Mode::Enforce),
        ("for-g", Mode::Off, Mode::Enforce, Mode::Off),
        ("for-default", Mode::Enforce, Mode::Off, Mode::Off),
    ] {
        assert_eq!(
            (own(None, service), own(Some("g"), service), own(Some("h"), service)),
            (everybody, g, h),
            "{service}"
        );
    }
}

#[test]
fn what_is_written_is_read_again() {
    for text in ["", EVERYTHING, "[[block]]\nid = 'b4294967295'\nname = '\\000\\\"x.example'\n"] {
        let read = overlay(text);
        assert_eq!(overlay(&read.to_string()), read, "{read}");
        for (key, entry) in read.entries() {
            assert_eq!(key.to_string().parse::<Key>().as_ref(), Ok(key));
            // What the audit log has is read back.
            assert_eq!(Entry::of_json(key, Some(&entry.to_json())), Some(Some(entry.clone())));
            assert_eq!((Entry::of_json(key, None), Entry::of_json(key, Some(&true.into()))), (Some(None), None));
        }
    }
    for text in [
        "",
        "modes",
        "modes/everybody",
        "modes/group/g",
        "modes/everybody/A",
        "exception/e",
        "exception/e07",
        "block/e7",
        "exception/e99999999999",
        "modes/everybody/a/b/c",
    ] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}

#[test]
fn what_names_something_that_is_not_there_rests() {
    let gone = applied(
        "[modes.everybody]\nz = 'off'\n[modes.group.nobody]\na = 'off'\n[schedules]\n'group/nobody' = ''\n'program/z' = ''\n\
         [[exception]]\nid = 'e1'\nnames = ['x.example']\nprograms = ['z']\n\
         [[exception]]\nid = 'e2'\nnames = ['x.example']\ngroups = ['nobody', 'g']\n\
         [[block]]\nid = 'b1'\nname = 'x.example'\ngroups = ['nobody']\n",
    );
    let expected = [
        "overlay.toml:b1: there is no group nobody",
        "overlay.toml: modes/everybody/z: there is no program z",
        "overlay.toml: modes/group/nobody/a: there is no group nobody",
        "overlay.toml: schedules/group/nobody: there is no group nobody",
        "overlay.toml: schedules/program/z: there is no program z",
        "overlay.toml:e1: there is no program z",
        "overlay.toml:e2: there is no group nobody",
    ];
    assert_eq!(resting(&gone), expected);
    // An exception whose whole limit is gone passes nothing; of one that is there in part, that part holds.
    assert_eq!(gone.config.exceptions.len(), 2);
    assert_eq!(gone.config.exceptions[1].groups, ["g"]);
    assert_eq!(
        Applied { config: Config { exceptions: config().exceptions, ..gone.config.clone() }, ..gone.clone() }.config,
        config()
    );
    assert_eq!(gone.lists, []);
}

#[test]
fn rules_are_let_through_in_a_list() {
    let text = "[[let_through]]\nid = 'l2'\nlist = 'b/folder/b.list'\nnames = ['ZIP', 'co.uk.']\nreason = 'we \"mean\" it'\n\
                [[let_through]]\nid = 'l3'\nlist = 'z/z.list'\nnames = ['zip']\n";
    let own = overlay(text);
    assert_eq!(Overlay::read(&own.to_string()), Ok(own.clone()));
    let applied = own.apply(config(), 0).unwrap();
    let laid = &applied.config.let_through[0];
    assert_eq!((applied.config.let_through.len(), laid.list.to_string()), (1, "b/folder/b.list".to_owned()));
    assert_eq!(laid.names, ["zip", "co.uk"].map(|name| name.parse::<Name>().unwrap()));
    assert_eq!(laid.place, "overlay.toml:l2");
    assert_eq!(resting(&applied), ["overlay.toml:l3: there is no program z"]);
    let key: Key = "let_through/l2".parse().unwrap();
    let entry = own.entry(&key).unwrap();
    assert_eq!(Entry::of_json(&key, Some(&entry.to_json())), Some(Some(entry.clone())));
    assert_eq!((key.to_string(), own.last_number()), ("let_through/l2".to_owned(), 3));
}

#[test]
fn a_list_is_pinned_at_a_version() {
    let text = "[[pin]]\nlist = 'b/folder/b.list'\nversion = '77AE1290c3d4e5f6'\nreason = 'rolled \"back\"'\n\
                [[pin]]\nlist = 'z/z.list'\nversion = '0000000000000001'\n";
    let read = overlay(text);
    assert_eq!(overlay(&read.to_string()), read, "{read}");
    for (key, entry) in read.entries() {
        assert_eq!(key.to_string().parse::<Key>().as_ref(), Ok(key));
        assert_eq!(Entry::of_json(key, Some(&entry.to_json())), Some(Some(entry.clone())));
    }
    let Applied { config, resting, .. } = applied(text);
    let pin = &config.pins[0];
    assert_eq!((config.pins.len(), pin.list.to_string()), (1, "b/folder/b.list".to_owned()));
    assert_eq!((pin.version, pin.reason.as_str()), (0x77ae_1290_c3d4_e5f6, "rolled \"back\""));
    assert_eq!(pin.place, "overlay.toml: pin/b/folder/b.list");
    assert_eq!(resting[0].why, "overlay.toml: pin/z/z.list: there is no program z");
    let long = format!("pin/a/{}", "x".repeat(LIST_NAME_BYTES_MAX + 1));
    for text in ["pin", "pin/a", "pin/a/", "pin/A/x", "pin/a/x\ny", &long] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}

#[test]
fn a_block_ends_after_its_last_day() {
    let text = "[[block]]\nid = 'b1'\nname = 'x.example'\nuntil = '1970-01-01'\n";
    let at = |now| overlay(text).apply(config(), now).unwrap();
    assert_eq!((at(86_399).lists.len(), at(86_399).until), (1, Some(86_400)));
    assert_eq!((at(86_400).lists.len(), at(86_400).until, at(86_400).config), (0, None, config()));
}

#[test]
fn wrong_ones_are_told_with_their_line() {
    for (text, expected) in [
        ("version = 2", "overlay.toml:1:11: version: 2 is out of range; write 1 to 1"),
        ("[mode]", "overlay.toml:1:2: mode: there is no such section; did you mean modes?"),
        (
            "[modes.everybody]\na = 'on'",
            "overlay.toml:2:5: modes.everybody.a: \"on\" is not one of \"off\", \"shadow\", \"enforce\"; write one of these",
        ),
        (
            "[modes.everybody]\n'A/s' = 'off'",
            "overlay.toml:2:1: modes.everybody.A/s: \"A\" is not usable as a name; write 1 to 40 lower-case letters, digits, - and _",
        ),
        (
            "[modes.group]\ng = 1",
            "overlay.toml:2:5: modes.group.g: expected a table, found a number (1); write [modes.group.g] on a line of its own",
        ),
        ("[schedules]\nkids = 'daily'", "overlay.toml:2:8: schedules.kids: "),
        (
            "[schedules]\n'kids/x' = ''",
            "overlay.toml:2:1: schedules.kids/x: write \"group/…\" or \"program/…\", with a name",
        ),
        (
            "[[exception]]\nid = 'e1'",
            "overlay.toml:1:1: exception.names: an exception needs names; write names = [\"www.example.com\"]",
        ),
        ("[[exception]]\nnames = ['x.example']", "overlay.toml:1:1: exception.id: an id is missing; write id = \"e1\""),
        (
            "[[exception]]\nid = 'b1'\nnames = ['x.example']",
            "overlay.toml:2:6: exception.id: \"b1\" is no id; write such as \"e1\"",
        ),
        (
            "[[exception]]\nid = 'e1'\nnames = ['.']",
            "overlay.toml:3:10: exception.names: passes every name there is; a pause does that for a time, and modes do it for longer",
        ),
        (
            "[[exception]]\nid = 'e1'\nnames = ['x.example']\nlists = ['x.list']",
            "overlay.toml:4:1: exception.lists: there is no such option; ",
        ),
        (
            "[[exception]]\nid = 'e1'\nnames = ['x.example']\nuntil = 'soon'",
            "overlay.toml:4:9: exception.until: \"soon\" is not a day; write year-month-day, such as \"2027-01-31\"",
        ),
        (
            "[[block]]\nid = 'b1'\nname = 'x.example'\n[[block]]\nid = 'b1'\nname = 'y.example'",
            "overlay.toml:5:6: block.id: there is another b1; write another number",
        ),
        (
            "[[block]]\nid = 'b1'\nname = '=.'",
            "overlay.toml:3:8: block.name: blocks every name there is; write one of them",
        ),
        (
            "[[block]]\nid = 'b1'\nname = 'http://x.example'",
            "overlay.toml:3:8: block.name: \"http://x.example\" is a URL, not a name; write a name such as \"example.com\"",
        ),
        (
            "[[let_through]]\nid = 'l1'\nnames = ['zip']",
            "overlay.toml:1:1: let_through.list: a list is missing; write list",
        ),
        (
            "[[let_through]]\nid = 'l1'\nlist = 'a/x'",
            "overlay.toml:1:1: let_through.names: names are missing; write names",
        ),
        (
            "[[let_through]]\nid = 'l1'\nlist = 'a/x'\nnames = ['.']",
            "overlay.toml:4:10: let_through.names: no rule on every name there is can be let through here",
        ),
        (
            "[[let_through]]\nid = 'l1'\nlist = 'a/x'\nnames = ['*.zip']",
            "overlay.toml:4:10: let_through.names: \"*.zip\" is not a name, because of its `*`",
        ),
        ("[[pin]]\nversion = '77ae1290c3d4e5f6'", "overlay.toml:1:1: pin.list: a list is missing; write list = "),
        ("[[pin]]\nlist = 'a/x'", "overlay.toml:1:1: pin.version: a version is missing; write version = "),
        (
            "[[pin]]\nlist = 'a/x'\nversion = '77ae'",
            "overlay.toml:3:11: pin.version: \"77ae\" is no version; write sixteen hexadecimal digits",
        ),
        (
            "[[pin]]\nlist = 'x'\nversion = '77ae1290c3d4e5f6'",
            "overlay.toml:2:8: pin.list: is no list; write its program",
        ),
        (
            "[[pin]]\nlist = 'a/x'\nversion = '77ae1290c3d4e5f6'\n[[pin]]\nlist = 'a/x'\nversion = '77ae1290c3d4e5f7'",
            "overlay.toml:5:8: pin.list: it is held at another version already; write one of them",
        ),
    ] {
        let told = Overlay::read(text).map(|read| read.to_string()).unwrap_err().to_string();
        assert!(told.lines().any(|line| line.starts_with(expected)), "{text}\n{told}");
    }
    let long = format!("[[block]]\nid = 'b1'\nname = 'x.example'\nreason = '{}'", "x".repeat(REASON_BYTES_MAX + 1));
    assert!(Overlay::read(&long).unwrap_err().to_string().contains("is no reason; write at most 300 octets"));
    let many = |count: u32| -> String {
        (1..=count).map(|number| format!("[[exception]]\nid = 'e{number}'\nnames = ['x.example']\n")).collect()
    };
    assert_eq!(overlay(&many(1000)).last_number(), 1000);
    assert!(Overlay::read(&many(1001)).unwrap_err().to_string().contains("more than 1000 exceptions"));
    let large = " ".repeat(OVERLAY_BYTES_MAX as usize + 1);
    assert!(Overlay::read(&large).unwrap_err().to_string().contains("is larger than"));
}

#[test]
fn blocks_need_a_place_of_their_own() {
    let blocks = overlay("[[block]]\nid = 'b1'\nname = 'x.example'\n");
    let without = Config { state_dir: None, ..config() };
    let told = |config: Config| blocks.apply(config, 0).unwrap_err().to_string();
    assert!(told(without).contains("set [state] dir"));
    let mut taken = config();
    taken.programs[1].name = OWN_PROGRAM.to_owned();
    assert!(told(taken).contains("rename it there"));
    let mut full = config();
    full.programs = vec![full.programs[0].clone(); crate::policy::PROGRAMS_MAX];
    assert!(told(full).contains("remove one"));
}

#[test]
fn what_was_changed_is_told_by_key() {
    let before = overlay("[modes.everybody]\na = 'shadow'\nb = 'off'\n");
    let shadow = Key::Mode { group: None, program: "a".into(), service: None };
    let off = Key::Mode { group: None, program: "b".into(), service: None };
    let after = before.with(shadow.clone(), Some(Entry::Mode(Mode::Enforce))).with(off.clone(), None);
    let changes = after.changes_since(&before);
    let expected = [
        (&shadow, Some(&Entry::Mode(Mode::Shadow)), Some(&Entry::Mode(Mode::Enforce))),
        (&off, Some(&Entry::Mode(Mode::Off)), None),
    ];
    assert_eq!(changes, expected);
    assert_eq!(before.changes_since(&before), []);
}

#[test]
fn what_ended_long_ago_is_forgotten() {
    let kept = |before: i64| {
        let kept = overlay(EVERYTHING).without_ended(&Zone::utc(), before);
        ["exception/e3", "block/b4", "block/b5"].map(|key| kept.entry(&key.parse().unwrap()).is_some())
    };
    let end = 20_850 * 86_400;
    assert_eq!((kept(end), kept(end + 1)), ([true; 3], [false, true, true]));
    assert_eq!(kept(i64::MAX), [false, true, false]);
}

/// A step in a history of changes.
#[derive(Clone, Debug)]
enum Step {
    Mode(Option<&'static str>, &'static str, Option<&'static str>, Option<Mode>),
    GroupSchedule(&'static str, Option<&'static str>),
    ProgramSchedule(&'static str, Option<&'static str>),
    Except(u32, Option<(&'static str, Vec<&'static str>, Vec<&'static str>)>),
    Block(u32, Option<(&'static str, Vec<&'static str>)>),
}

fn step() -> impl Strategy<Value = Step> {
    let group = || prop::sample::select(&["g", "h", "gone"][..]);
    let program = || prop::sample::select(&["a", "b", "gone"][..]);
    let mode = || prop::option::weighted(0.8, prop::sample::select(&Mode::ALL[..]));
    let service = || prop::option::of(prop::sample::select(&["s", "t", "*"][..]));
    let schedule = || {
        prop::option::weighted(
            0.8,
            prop::sample::select(&["", "daily 10:00-12:00", "Sat 22:00-06:00 Europe/Berlin"][..]),
        )
    };
    let name = || prop::sample::select(&["x.example", "=y.example", "\\\"\\000.example", "*.z.example"][1..3]);
    let groups = || prop::collection::vec(prop::sample::select(&["g", "h", "gone", DEFAULT_GROUP][..]), 0..3);
    let programs = || prop::collection::vec(program(), 0..3);
    prop_oneof![
        (prop::option::of(group()), program(), service(), mode()).prop_map(|(g, p, s, m)| Step::Mode(g, p, s, m)),
        (group(), schedule()).prop_map(|(name, schedule)| Step::GroupSchedule(name, schedule)),
        (program(), schedule()).prop_map(|(name, schedule)| Step::ProgramSchedule(name, schedule)),
        (1u32..4, prop::option::of((name(), programs(), groups()))).prop_map(|(id, own)| Step::Except(id, own)),
        (1u32..4, prop::option::of((name(), groups()))).prop_map(|(id, own)| Step::Block(id, own)),
    ]
}

fn texts(words: &[&str]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for word in words {
        if !texts.iter().any(|text| text == word) {
            texts.push((*word).to_owned());
        }
    }
    texts
}

impl Step {
    fn change(&self) -> (Key, Option<Entry>) {
        let own = |text: &&str| (*text).to_owned();
        match self {
            Self::Mode(group, program, service, mode) => {
                let key = Key::Mode {
                    group: group.as_ref().map(own),
                    program: own(program),
                    service: service.as_ref().map(own),
                };
                (key, mode.map(Entry::Mode))
            }
            Self::GroupSchedule(group, text) => {
                (Key::GroupSchedule(own(group)), text.as_ref().map(own).map(Entry::Schedule))
            }
            Self::ProgramSchedule(program, text) => {
                (Key::ProgramSchedule(own(program)), text.as_ref().map(own).map(Entry::Schedule))
            }
            Self::Except(id, given) => {
                let entry = given.as_ref().map(|(name, programs, groups)| {
                    let exception = OwnException {
                        names: vec![own(name)],
                        programs: texts(programs),
                        groups: texts(groups),
                        ..OwnException::default()
                    };
                    Entry::Exception(exception)
                });
                (Key::Exception(*id), entry)
            }
            Self::Block(id, given) => {
                let entry = given.as_ref().map(|(name, groups)| {
                    Entry::Block(OwnBlock { name: own(name), groups: texts(groups), ..OwnBlock::default() })
                });
                (Key::Block(*id), entry)
            }
        }
    }
}

/// What a program's or group's mode is after a history, by looking at the last word of it alone.
fn mode_naively(
    history: &[Step],
    group: Option<&str>,
    program: &str,
    service: Option<&str>,
    written: Option<Mode>,
) -> Option<Mode> {
    let last = history.iter().rev().find_map(|step| match step {
        Step::Mode(own_group, own_program, own_service, mode)
            if (*own_group, *own_program, *own_service) == (group, program, service) =>
        {
            Some(*mode)
        }
        _ => None,
    });
    last.flatten().or(written)
}

/// The schedule after a history.
fn schedule_naively(last: Option<Option<&'static str>>, written: Option<&Schedule>) -> Option<Schedule> {
    match last.flatten() {
        None => written.cloned(),
        Some("") => None,
        Some(text) => Some(Schedule::parse(text, &Zone::utc()).unwrap()),
    }
}

/// The exceptions after a history that have something to pass: the group and program of each, as they were written.
fn exceptions_naively(history: &[Step]) -> Vec<(String, Vec<String>, Vec<String>)> {
    let mut kept = Vec::new();
    for id in 1..4 {
        let last = history.iter().rev().find_map(|step| match step {
            Step::Except(own, given) if *own == id => Some(given.clone()),
            _ => None,
        });
        let Some(Some((_, programs, groups))) = last else { continue };
        let there = |words: &[&str]| texts(words).into_iter().filter(|word| word != "gone").collect::<Vec<_>>();
        let is_void = |words: &[&str]| !words.is_empty() && there(words).is_empty();
        if !is_void(&programs) && !is_void(&groups) {
            kept.push((format!("overlay.toml:e{id}"), there(&programs), there(&groups)));
        }
    }
    kept
}

proptest! {
    #[test]
    fn agrees_with_a_naive_twin(history in prop::collection::vec(step(), 0..40)) {
        let mut overlay = Overlay::default();
        for step in &history {
            let (key, entry) = step.change();
            let before = overlay.clone();
            overlay = overlay.with(key.clone(), entry);
            // What was written is read the same, and back is back.
            prop_assert_eq!(&Overlay::read(&overlay.to_string()).unwrap(), &overlay);
            prop_assert_eq!(&overlay.with(key.clone(), before.entry(&key).cloned()), &before);
        }
        let base = config();
        let Applied { config, lists, .. } = overlay.apply(base.clone(), 0).unwrap();
        let of_base = |program: &Program| base.programs.iter().find(|own| own.name == program.name).unwrap();
        for program in config.programs.iter().filter(|program| program.name != OWN_PROGRAM) {
            let written = of_base(program);
            prop_assert_eq!(Some(program.mode), mode_naively(&history, None, &program.name, None, Some(written.mode)));
            for service in ["s", "t", "*"] {
                let expected = mode_naively(&history, None, &program.name, Some(service), written.services.get(service).copied());
                prop_assert_eq!(program.services.get(service).copied(), expected);
            }
            let last = history.iter().rev().find_map(|step| match step {
                Step::ProgramSchedule(own, text) if *own == program.name => Some(*text),
                _ => None,
            });
            prop_assert_eq!(&program.schedule, &schedule_naively(last, written.schedule.as_ref()));
        }
        for (group, written) in config.groups.iter().zip(&base.groups) {
            for program in ["a", "b"] {
                let expected = mode_naively(&history, Some(&group.name), program, None, written.programs.get(program).copied());
                prop_assert_eq!(group.programs.get(program).copied(), expected);
                for service in ["s", "t", "*"] {
                    let key = (program.to_owned(), service.to_owned());
                    let expected = mode_naively(&history, Some(&group.name), program, Some(service), written.services.get(&key).copied());
                    prop_assert_eq!(group.services.get(&key).copied(), expected);
                }
            }
            let last = history.iter().rev().find_map(|step| match step {
                Step::GroupSchedule(own, text) if *own == group.name => Some(*text),
                _ => None,
            });
            prop_assert_eq!(&group.schedule, &schedule_naively(last, written.schedule.as_ref()));
        }
        let exceptions = config.exceptions[1..].iter().map(|own: &Exception| (own.place.clone(), own.programs.clone(), own.groups.clone()));
        prop_assert_eq!(exceptions.collect::<Vec<_>>(), exceptions_naively(&history));
        prop_assert_eq!(&config.exceptions[0], &base.exceptions[0], "the owner's own stay");
        let sources: Vec<PathBuf> = config.programs.iter().filter(|program| program.name == OWN_PROGRAM).flat_map(|program| &program.lists).map(|list| match &list.location {
            Location::File(path) => path.clone(),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(sources, lists.into_iter().map(|(path, _)| path).collect::<Vec<_>>());
        // All else is as it was.
        let clients = |groups: &[Group]| groups.iter().map(|group| group.clients.clone()).collect::<Vec<Vec<ClientKey>>>();
        prop_assert_eq!(clients(&config.groups), clients(&base.groups));
        prop_assert_eq!((config.policy, config.access, config.listen), (base.policy, base.access, base.listen));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([a-z\\[\\]\"'=./ \n0-9]|version|modes|everybody|exception|block|id|names|enforce|until){0,60}") {
        if let Ok(read) = Overlay::read(&text) {
            prop_assert_eq!(Overlay::read(&read.to_string()), Ok(read));
        }
    }
}
