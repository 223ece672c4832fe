//! How far a list goes: for whom, and when.

use super::*;
use Mode::{Enforce, Off, Shadow};

#[test]
fn modes_are_the_least_of_ceiling_program_and_service() {
    /// Ceiling, program, its services, the list's own default, what comes of it.
    type Case = (Mode, Mode, &'static [(&'static str, Mode)], Option<Mode>, &'static str);
    let cases: [Case; 15] = [
        (Enforce, Enforce, &[], None, "block p0/s:2"),
        (Shadow, Enforce, &[], None, "would-block p0/s:2"),
        (Shadow, Enforce, &[("s", Enforce)], Some(Enforce), "would-block p0/s:2"),
        (Off, Enforce, &[], None, "pass"),
        (Enforce, Shadow, &[], None, "would-block p0/s:2"),
        (Enforce, Off, &[("s", Enforce)], None, "pass"),
        (Enforce, Enforce, &[("s", Shadow)], None, "would-block p0/s:2"),
        (Enforce, Enforce, &[("s", Off)], None, "pass"),
        (Enforce, Shadow, &[("s", Enforce)], None, "would-block p0/s:2"),
        // The list's own default stands before the program's `*`, behind the program's word on the service.
        (Enforce, Enforce, &[], Some(Off), "pass"),
        (Enforce, Enforce, &[("*", Enforce)], Some(Off), "pass"),
        (Enforce, Enforce, &[("*", Shadow)], Some(Enforce), "block p0/s:2"),
        (Enforce, Enforce, &[("s", Enforce)], Some(Off), "block p0/s:2"),
        (Enforce, Enforce, &[("*", Shadow)], None, "would-block p0/s:2"),
        (Enforce, Enforce, &[("*", Shadow), ("s", Enforce)], None, "block p0/s:2"),
    ];
    for (ceiling, program, services, default, expected) in cases {
        let setup = Setup {
            ceiling,
            programs: vec![(program, services.to_vec())],
            lists: vec![(0, "s", default, "a.test")],
            ..Setup::default()
        };
        assert_eq!(decide(&setup.build(), "a.test"), expected, "{ceiling} {program} {services:?} {default:?}");
    }
}

/// Clean Store as it ships: two services in force, one that is opted into.
fn store(ceiling: Mode, services: &[(&'static str, Mode)], groups: Vec<GroupSpec>) -> Policy {
    let lists = vec![
        (0, "tiktok", None, "tiktok.test\nshared.test"),
        (0, "wechat", None, "wechat.test\nshared.test"),
        (0, "bilibili", Some(Off), "bilibili.test"),
    ];
    Setup { ceiling, programs: vec![(Enforce, services.to_vec())], lists, groups, ..Setup::default() }.build()
}

#[test]
fn the_examples_of_the_documentation() {
    let all = ["tiktok.test", "wechat.test", "bilibili.test", "shared.test"];
    let ask = |policy: Policy| all.map(|name| decide(&policy, name));
    let (block, would, pass) = ("block p0/tiktok:2", "would-block p0/wechat:2", "pass");
    assert_eq!(ask(store(Enforce, &[], vec![])), [block, "block p0/wechat:2", pass, "block p0/tiktok:3"]);
    // Only TikTok is enforced; a name in two services takes the higher mode, whichever list stands first.
    let only = [("*", Shadow), ("tiktok", Enforce)];
    assert_eq!(ask(store(Enforce, &only, vec![])), [block, would, pass, "block p0/tiktok:3"]);
    let only = [("*", Shadow), ("wechat", Enforce)];
    let expected = ["would-block p0/tiktok:2", "block p0/wechat:2", pass, "block p0/wechat:3"];
    assert_eq!(ask(store(Enforce, &only, vec![])), expected);
    // Guests: all of it off.
    assert_eq!(ask(store(Enforce, &[], vec![group("guests", &[(0, Off)], &[])])), [pass; 4]);
    assert_eq!(ask(store(Enforce, &[], vec![group("guests", &[(0, Off)], &[("tiktok", Enforce)])])), [pass; 4]);
    // A group's word on the program never switches on what is opted into; its word on the service does.
    let office = group("office", &[(0, Enforce)], &[]);
    assert_eq!(decide(&store(Enforce, &[], vec![office]), "bilibili.test"), "pass");
    let office = group("office", &[], &[("bilibili", Enforce)]);
    assert_eq!(decide(&store(Enforce, &[], vec![office]), "bilibili.test"), "block p0/bilibili:2");
    let office = || group("office", &[], &[("bilibili", Enforce)]);
    let outside = |asking: &mut Asking<'_>| asking.client = client("198.51.100.1");
    assert_eq!(decide_for(&store(Enforce, &[], vec![office()]), "bilibili.test", outside), "pass");
    // `[policy] mode = "shadow"`: nothing blocks, whatever a group says.
    let expected = ["would-block p0/tiktok:2", would, "would-block p0/bilibili:2", "would-block p0/tiktok:3"];
    assert_eq!(ask(store(Shadow, &[], vec![office()])), expected);
}

#[test]
fn a_group_has_its_own_modes() {
    /// Mode of the program, of its service, of the group's program and service, what comes of it.
    type Case = (Mode, Option<Mode>, Option<Mode>, Option<Mode>, &'static str);
    let cases: [Case; 10] = [
        (Enforce, None, Some(Shadow), None, "would-block p0/s:2"),
        (Enforce, None, Some(Off), None, "pass"),
        (Shadow, None, Some(Enforce), None, "block p0/s:2"),
        (Off, None, Some(Enforce), None, "block p0/s:2"),
        (Enforce, Some(Off), Some(Enforce), None, "pass"),
        (Enforce, Some(Off), None, Some(Enforce), "block p0/s:2"),
        (Enforce, None, None, Some(Shadow), "would-block p0/s:2"),
        (Shadow, None, None, Some(Enforce), "would-block p0/s:2"),
        (Off, None, None, Some(Enforce), "pass"),
        (Off, None, Some(Shadow), Some(Enforce), "would-block p0/s:2"),
    ];
    for (program, service, groups_program, groups_service, expected) in cases {
        let programs: Vec<_> = groups_program.into_iter().map(|mode| (0, mode)).collect();
        let services: Vec<_> = groups_service.into_iter().map(|mode| ("s", mode)).collect();
        let setup = Setup {
            programs: vec![(program, service.into_iter().map(|mode| ("s", mode)).collect())],
            groups: vec![group("g", &programs, &services)],
            ..Setup::of("a.test")
        };
        let told = format!("{program} {service:?} {groups_program:?} {groups_service:?}");
        assert_eq!(decide(&setup.build(), "a.test"), expected, "{told}");
    }
    let policy = Setup { groups: vec![group("g", &[], &[])], ..Setup::of("a.test") }.build();
    assert_eq!(policy.on_question(&asking(&name("a.test"))).group, 1);
    assert_eq!((policy.group_name(0), policy.group_name(1)), ("default", "g"));
}

#[test]
fn shadow_never_changes_an_answer() {
    let with = |lists| Setup { lists, ..Setup::default() }.build();
    let shadow = Some(Shadow);
    for (lists, asked, expected) in [
        // An exception in a shadow list does not lift an enforced block, nor does a shadow block touch an enforced
        // exception.
        (vec![(0, "s", None, "a.test"), (0, "t", shadow, "@a.test")], "a.test", "block p0/s:2"),
        (vec![(0, "s", None, "a.test"), (0, "t", shadow, "@@||a.test^$important")], "a.test", "block p0/s:2"),
        (vec![(0, "s", None, "@a.test"), (0, "t", shadow, "a.test")], "a.test", "except p0/s:2"),
        // Among shadow lists it does, and the record says so.
        (vec![(0, "s", shadow, "a.test"), (0, "t", shadow, "@a.test")], "a.test", "except p0/t:2"),
        // What would be blocked for its importance is told, and changes nothing.
        (vec![(0, "s", None, "@a.test"), (0, "t", shadow, "||a.test^$important")], "a.test", "would-block p0/t:2"),
        // A name in two services takes the higher mode.
        (vec![(0, "s", shadow, "=a.test"), (0, "t", None, "test")], "a.test", "block p0/t:2"),
        // A would-be block on the question does not hide an enforced block on an alias.
        (vec![(0, "s", shadow, "a.test"), (0, "t", None, "b.test")], "a.test cname:b.test", "block p0/t:2"),
        // A shadow exception on the question passes no enforced block behind it, but would-be blocks.
        (vec![(0, "s", None, "b.test"), (0, "t", shadow, "@a.test")], "a.test cname:b.test", "block p0/s:2"),
        (vec![(0, "s", shadow, "b.test"), (0, "t", shadow, "@a.test")], "a.test cname:b.test", "except p0/t:2"),
        (vec![(0, "s", shadow, "b.test"), (0, "t", None, "@a.test")], "a.test cname:b.test", "except p0/t:2"),
    ] {
        let story = format!("{lists:?} {asked}");
        assert_eq!(decide(&with(lists), asked), expected, "{story}");
    }
    let policy = with(vec![(0, "s", shadow, "a.test"), (0, "t", None, "b.test")]);
    assert!(policy.on_question(&asking(&name("a.test"))).block().is_none());
}

#[test]
fn a_list_that_never_acts_is_in_shadow() {
    let with = |own, default| {
        let mut spec = Setup { lists: vec![(0, "s", default, own)], ..Setup::default() }.spec();
        spec.lists[0].never_acts = true;
        Policy::build(spec).unwrap()
    };
    assert_eq!(decide(&with("a.test", None), "a.test"), "would-block p0/s:2");
    assert_eq!(decide(&with("a.test", Some(Off)), "a.test"), "pass");
    assert_eq!(decide(&with("@a.test", None), "a.test"), "except p0/s:2");
    assert_eq!(with("a.test", None).list_mode(0), Shadow);
}

#[test]
fn programs_stand_beside_each_other() {
    let two = |first, second, lists| {
        Setup { programs: vec![(first, vec![]), (second, vec![])], lists, ..Setup::default() }.build()
    };
    let lists = || vec![(0, "s", None, "@a.test"), (1, "t", None, "a.test")];
    // An exception in one program never reaches another.
    assert_eq!(decide(&two(Enforce, Enforce, lists()), "a.test"), "except p0/s:2, block p1/t:2");
    let lists = || vec![(0, "s", None, "@@||a.test^$important"), (1, "t", None, "b.test")];
    assert_eq!(decide(&two(Enforce, Enforce, lists()), "a.test cname:b.test"), "except p0/s:2, block p1/t:2");
    let lists = || vec![(1, "t", None, "a.test"), (0, "s", None, "test")];
    let policy = two(Enforce, Enforce, lists());
    assert_eq!(decide(&policy, "a.test"), "block p0/s:2, block p1/t:2");
    // The first enforcing program in the order of configuration sets the action, whatever the order of lists.
    assert_eq!(policy.on_question(&asking(&name("a.test"))).block().unwrap().program, 0);
    let policy = two(Shadow, Enforce, lists());
    assert_eq!(decide(&policy, "a.test"), "would-block p0/s:2, block p1/t:2");
    assert_eq!(policy.on_question(&asking(&name("a.test"))).block().unwrap().program, 1);
    // The verdicts of all are in the order of configuration, though the second one's came first.
    let lists = || vec![(0, "s", None, "b.test"), (1, "t", None, "a.test")];
    assert_eq!(decide(&two(Enforce, Shadow, lists()), "a.test cname:b.test"), "block p0/s:2, would-block p1/t:2");
    // A question that is blocked is not resolved: what its answer would have said is not seen.
    assert_eq!(decide(&two(Enforce, Enforce, lists()), "a.test cname:b.test"), "block p1/t:2");
}

#[test]
fn outside_its_schedule_a_groups_entries_do_not_apply() {
    let guests = |programs: &[(usize, Mode)], services: &[(&str, Mode)]| GroupSpec {
        schedule: schedule("Mon 08:00-17:00"),
        ..group("guests", programs, services)
    };
    let at = |policy: &Policy, asked: &str, time| decide_for(policy, asked, |asking| asking.now = MONDAY + time);
    let policy = Setup { groups: vec![guests(&[(0, Off)], &[])], ..Setup::of("a.test\n192.0.2.0/24") }.build();
    for (time, expected) in [
        (8 * HOUR - 1, "block p0/s:2"),
        (8 * HOUR, "pass"),
        (17 * HOUR - 1, "pass"),
        (17 * HOUR, "block p0/s:2"),
        (32 * HOUR, "block p0/s:2"),
    ] {
        assert_eq!(at(&policy, "a.test", time), expected, "{time}");
    }
    // What of an answer is looked at goes with it.
    let x = name("x.test");
    let needs = |time| {
        let asking = Asking { now: MONDAY + time, ..asking(&x) };
        policy.needs_for(&policy.on_question(&asking)).addresses
    };
    assert!(needs(7 * HOUR), "addresses are looked at while the program is on");
    assert_eq!(at(&policy, "x.test a:192.0.2.1", 7 * HOUR), "block p0/s:3");
    // The client stays in the group for all else.
    let opted = Setup {
        groups: vec![guests(&[], &[("s", Enforce)])],
        lists: vec![(0, "s", Some(Off), "a.test"), (0, "t", None, "||b.test^$client=guests")],
        ..Setup::default()
    };
    let opted = opted.build();
    assert_eq!((at(&opted, "a.test", 9 * HOUR).as_str(), at(&opted, "a.test", 0).as_str()), ("block p0/s:2", "pass"));
    assert_eq!(at(&opted, "b.test", 0), "block p0/t:2");
    assert_eq!(opted.on_question(&asking(&name("a.test"))).group, 1);
}

#[test]
fn outside_its_schedule_a_program_is_off() {
    let mut spec = Setup {
        programs: vec![(Enforce, vec![]), (Enforce, vec![])],
        lists: vec![(0, "s", None, "a.test"), (1, "t", None, "=a.test\n@x.a.test")],
        groups: vec![group("g", &[(0, Enforce)], &[])],
        ..Setup::default()
    }
    .spec();
    spec.programs[0].schedule = schedule("Mon 08:00-17:00 Europe/Berlin");
    let policy = Policy::build(spec).unwrap();
    for (time, expected) in [
        (7 * HOUR - 1, "block p1/t:2"),
        (7 * HOUR, "block p0/s:2, block p1/t:2"),
        (16 * HOUR - 1, "block p0/s:2, block p1/t:2"),
        (16 * HOUR, "block p1/t:2"),
    ] {
        assert_eq!(decide_for(&policy, "a.test", |asking| asking.now = MONDAY + time), expected, "{time}");
    }
    let asked = name("a.test");
    assert_eq!(policy.mode_for(&asking(&asked), 0), Off);
    assert_eq!(policy.mode_for(&Asking { now: MONDAY + 8 * HOUR, ..asking(&asked) }, 0), Enforce);
}

#[test]
fn a_pause_makes_shadow_of_everything_until_it_ends() {
    let groups = vec![group("g", &[], &[])];
    let lists = vec![(0, "s", None, "a.test"), (0, "t", Some(Off), "b.test"), (0, "u", None, "c.test\n@d.c.test")];
    let policy = Setup { groups, lists, ..Setup::default() }.build();
    let ask = |asked, now, pauses: &[Pause], address| {
        let asked = name(asked);
        let asking = Asking { now, pauses, client: client(address), ..asking(&asked) };
        show(&policy, &policy.on_question(&asking))
    };
    let (member, other) = ("192.0.2.9", "198.51.100.9");
    let pause = |group: Option<&str>| [Pause { group: group.map(Into::into), client: None, until: 100 }];
    for (now, group, address, expected) in [
        (99, None, member, "would-block p0/s:2"),
        (99, None, other, "would-block p0/s:2"),
        (100, None, member, "block p0/s:2"),
        (99, Some("g"), member, "would-block p0/s:2"),
        (99, Some("g"), other, "block p0/s:2"),
        (100, Some("g"), member, "block p0/s:2"),
        (99, Some("default"), member, "block p0/s:2"),
        (99, Some("default"), other, "would-block p0/s:2"),
        (99, Some("gone"), member, "block p0/s:2"),
        (i64::MIN, None, member, "would-block p0/s:2"),
    ] {
        assert_eq!(ask("a.test", now, &pause(group), address), expected, "{now} {group:?} {address}");
    }
    // Of one client alone, by its address, its network or its hardware address.
    for (key, address, expected) in [
        ("192.0.2.9", member, "would-block p0/s:2"),
        ("192.0.2.9", "::ffff:192.0.2.9", "would-block p0/s:2"),
        ("192.0.2.9", other, "block p0/s:2"),
        ("192.0.2.0/24", member, "would-block p0/s:2"),
        ("mac:02:00:00:00:00:01", member, "block p0/s:2"),
    ] {
        let pauses = [Pause { group: None, client: Some(key.parse().unwrap()), until: 100 }];
        assert_eq!(ask("a.test", 99, &pauses, address), expected, "{key} {address}");
        assert_eq!(ask("a.test", 100, &pauses, address), "block p0/s:2", "{key} {address}");
        let asked = name("a.test");
        let known = Client { mac: Some([2, 0, 0, 0, 0, 1]), ..client(address) };
        let asking = Asking { now: 99, pauses: &pauses, client: known, ..asking(&asked) };
        let is_paused = expected.starts_with("would") || pauses[0].needs_mac(99);
        assert_eq!(policy.paused_until(&asking), is_paused.then_some(100), "{key} {address}");
    }
    // What is off stays off, exceptions stay exceptions, and the longest of several counts.
    assert_eq!(ask("b.test", 0, &pause(None), member), "pass");
    assert_eq!(ask("d.c.test", 0, &pause(None), member), "except p0/u:3");
    let two =
        [Pause { group: Some("g".into()), client: None, until: 50 }, Pause { group: None, client: None, until: 60 }];
    assert_eq!(ask("a.test", 59, &two, member), "would-block p0/s:2");
    assert_eq!(ask("a.test", 60, &two, member), "block p0/s:2");
}

#[test]
fn ways_round_are_counted_in_any_mode() {
    for (mode, list, shown) in [
        (Enforce, None, "block p0/s:2"),
        (Shadow, None, "would-block p0/s:2"),
        (Off, None, "pass"),
        (Enforce, Some(Off), "pass"),
    ] {
        let lists = vec![(0, "s", list, "doh.test\n192.0.2.53\n||typed.test^$dnstype=AAAA")];
        let mut spec = Setup { programs: vec![(mode, vec![])], lists, ..Setup::default() }.spec();
        spec.programs[0].name = "bypass".to_owned();
        let policy = Policy::build(spec).unwrap();
        let bypass = |text: &str| {
            let (name, links) = query(text);
            let asking = asking(&name);
            let verdict = policy.on_answer(&policy.on_question(&asking), &asking, &links);
            (show(&policy, &verdict), verdict.bypass)
        };
        assert_eq!(bypass("doh.test"), (shown.to_owned(), true), "{mode} {list:?}");
        assert!(bypass("x.test cname:doh.test").1, "{mode} {list:?}");
        assert!(bypass("x.test a:192.0.2.53").1, "{mode} {list:?}");
        assert!(!bypass("x.test").1 && !bypass("typed.test").1, "{mode} {list:?}");
    }
    // Of another program it is a rule like any.
    assert!(!Setup::of("doh.test").build().on_question(&asking(&name("doh.test"))).bypass);
}
