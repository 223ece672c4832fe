//! The owner's own exceptions, which beat everything that lists say.

use super::*;

/// An exception of these names and what is below, for all programs and groups, for ever.
pub fn exception(names: &[&str]) -> OwnerException {
    OwnerException {
        names: names.iter().map(|text| (name(text), Scope::Subtree)).collect(),
        programs: vec![],
        groups: vec![],
        until: None,
        reason: String::new(),
        place: String::new(),
    }
}

/// Two programs: one blocks `bad.test` and an address, the other something below.
fn policy(owner: Vec<OwnerException>, owner_lists: Vec<(usize, &'static str)>) -> Policy {
    let lists =
        vec![(0, "s", None, "bad.test\n192.0.2.0/24\nns:ns.test"), (1, "t", None, "||worse.bad.test^$important")];
    let programs = vec![(Mode::Enforce, vec![]), (Mode::Enforce, vec![])];
    Setup { lists, programs, owner, owner_lists, groups: vec![group("g", &[], &[])], ..Setup::default() }.build()
}

#[test]
fn it_passes_the_whole_answer_wherever_it_matched() {
    let policy = policy(vec![exception(&["bad.test", "ok.test"])], vec![]);
    for (asked, expected) in [
        ("x.bad.test", "owner 0"),
        ("worse.bad.test", "owner 0"),
        ("good.test cname:bad.test", "owner 0"),
        ("ok.test cname:bad.test a:192.0.2.1 ns:ns.test", "owner 0"),
        ("good.test a:192.0.2.1 cname:ok.test", "owner 0"),
        ("good.test a:192.0.2.1", "block p0/s:3"),
        // A name server is no part of the answer.
        ("good.test a:192.0.2.1 ns:ok.test", "block p0/s:3"),
    ] {
        assert_eq!(decide(&policy, asked), expected, "{asked}");
    }
    let verdict = policy.on_question(&asking(&name("bad.test")));
    assert_eq!(verdict.owner, Some(OwnerPass { exception: 0, whole: true }));
    assert!(verdict.programs.is_empty() && verdict.block().is_none());
}

#[test]
fn its_names_mean_what_they_say() {
    for (scope, asked, expected) in [
        (Scope::Exact, "bad.test", "owner 0"),
        (Scope::Exact, "x.bad.test", "block p0/s:2"),
        (Scope::Subtree, "x.bad.test", "owner 0"),
        (Scope::Below, "x.bad.test", "owner 0"),
        (Scope::Below, "bad.test", "block p0/s:2"),
    ] {
        let own = OwnerException { names: vec![(name("bad.test"), scope)], ..exception(&[]) };
        assert_eq!(decide(&policy(vec![own], vec![]), asked), expected, "{scope:?} {asked}");
    }
    // The first in the order of configuration is told.
    let two = policy(vec![exception(&["x.test"]), exception(&["test"]), exception(&["bad.test"])], vec![]);
    assert_eq!(decide(&two, "bad.test"), "owner 1");
}

#[test]
fn it_ends_and_not_a_second_later() {
    let policy = policy(vec![OwnerException { until: Some(10), ..exception(&["bad.test"]) }], vec![]);
    let at = |now| decide_for(&policy, "bad.test", |asking| asking.now = now);
    assert_eq!((at(9).as_str(), at(10).as_str()), ("owner 0", "block p0/s:2"));
}

#[test]
fn it_may_be_limited_to_groups() {
    let policy =
        |groups: &[u16]| policy(vec![OwnerException { groups: groups.to_vec(), ..exception(&["test"]) }], vec![]);
    let outside = |asking: &mut Asking<'_>| asking.client = client("198.51.100.1");
    for (groups, member, other) in [
        (&[][..], "owner 0", "owner 0"),
        (&[1], "owner 0", "block p0/s:2"),
        (&[0], "block p0/s:2", "owner 0"),
        (&[0, 1], "owner 0", "owner 0"),
    ] {
        assert_eq!(decide(&policy(groups), "bad.test"), member, "{groups:?}");
        assert_eq!(decide_for(&policy(groups), "bad.test", outside), other, "{groups:?}");
    }
}

#[test]
fn limited_to_programs_it_passes_the_whole_answer_for_them() {
    let limited = |names: &[&str], programs: &[usize]| {
        policy(vec![OwnerException { programs: programs.to_vec(), ..exception(names) }], vec![])
    };
    let bad = limited(&["bad.test"], &[0]);
    assert_eq!(decide(&bad, "worse.bad.test"), "block p1/t:2");
    assert_eq!(decide(&bad, "bad.test cname:x.bad.test a:192.0.2.1"), "pass");
    assert_eq!(decide(&limited(&["bad.test"], &[0, 1]), "worse.bad.test"), "pass");
    // Wherever in the chain it matched.
    let ok = limited(&["ok.test"], &[0]);
    assert_eq!(decide(&ok, "good.test cname:bad.test"), "block p0/s:2");
    assert_eq!(decide(&ok, "good.test cname:bad.test cname:ok.test"), "pass");
    assert_eq!(decide(&ok, "good.test cname:worse.bad.test cname:ok.test"), "block p1/t:2");
    let told = ok.on_question(&asking(&name("ok.test"))).owner;
    assert_eq!(told, Some(OwnerPass { exception: 0, whole: false }));
    // One for all programs goes before one for some.
    let both =
        policy(vec![OwnerException { programs: vec![0], ..exception(&["bad.test"]) }, exception(&["test"])], vec![]);
    assert_eq!(decide(&both, "bad.test"), "owner 1");
    // A program that has nothing to say of the question has nothing to say of the answer, exceptions included.
    let lists = vec![(0, "s", None, "bad.test\n@fine.test")];
    let owner = vec![OwnerException { programs: vec![0], ..exception(&["ok.test"]) }];
    let silent = Setup { lists, owner, ..Setup::default() }.build();
    assert_eq!(decide(&silent, "ok.test cname:fine.test"), "pass");
    assert_eq!(decide(&silent, "good.test cname:fine.test cname:ok.test"), "pass");
}

#[test]
fn its_lists_pass_whatever_they_match() {
    let rules = "ok.bad.test\n192.0.2.7\nns:ns.test\n||typed.test^$dnstype=AAAA\n/^re[0-9]/";
    let policy = policy(
        vec![exception(&[]), OwnerException { until: Some(10), ..exception(&[]) }],
        vec![(1, "later.bad.test"), (0, rules)],
    );
    for (asked, expected) in [
        ("ok.bad.test", "owner 0"),
        ("bad.test", "block p0/s:2"),
        ("good.test cname:ok.bad.test", "owner 0"),
        ("re1.bad.test", "owner 0"),
        ("good.test a:192.0.2.7", "owner 0"),
        ("good.test a:192.0.2.7 a:192.0.2.8", "owner 0"),
        ("good.test a:192.0.2.8", "block p0/s:3"),
        ("good.test ns:ns.test a:192.0.2.8", "owner 0"),
        ("typed.test a:192.0.2.8", "block p0/s:3"),
        ("later.bad.test", "owner 1"),
    ] {
        assert_eq!(decide(&policy, asked), expected, "{asked}");
    }
    assert_eq!(decide_for(&policy, "later.bad.test", |asking| asking.now = 10), "block p0/s:2");
    // What of an answer they look at is asked for, and modes and pauses don't touch them.
    let needs = policy.needs_for(&policy.on_question(&asking(&name("good.test"))));
    assert!(needs.addresses && needs.ns_names && !needs.ns_addresses);
    let pauses = [Pause { group: None, client: None, until: 10 }];
    let asked = name("ok.bad.test");
    assert!(policy.on_question(&Asking { pauses: &pauses, ..asking(&asked) }).is_owners());
}

/// What was overruled: outcome, program, list and line of each, and whether the query would be blocked but for exceptions.
fn overruled(policy: &Policy, text: &str) -> (String, bool) {
    let (asked, links) = query(text);
    let asking = asking(&asked);
    let verdict = policy.on_answer(&policy.on_question(&asking), &asking, &links);
    let told = verdict.overruled.iter().map(|said| {
        let line = said.cause.line;
        format!("{} p{}/{}:{line}", said.outcome.word(), said.program, policy.lists()[said.cause.list()].service)
    });
    (told.collect::<Vec<_>>().join(", "), verdict.needs_exception())
}

#[test]
fn what_an_exception_lets_pass_is_told_and_what_it_lost_against() {
    let whole = policy(vec![exception(&["bad.test", "ok.test"])], vec![]);
    for (asked, expected, needs) in [
        ("bad.test", "block p0/s:2", true),
        ("worse.bad.test", "block p0/s:2, block p1/t:2", true),
        ("ok.test", "", false),
        ("ok.test cname:x.bad.test", "block p0/s:2", true),
        ("ok.test a:192.0.2.1", "block p0/s:3", true),
        // An exception on what the answer leads to, and nothing that it is needed for.
        ("good.test cname:ok.test", "", false),
        ("good.test a:192.0.2.1 cname:ok.test", "block p0/s:3", true),
        ("good.test a:192.0.2.1", "", false),
        ("good.test", "", false),
    ] {
        assert_eq!(overruled(&whole, asked), (expected.to_owned(), needs), "{asked}");
    }
    // Limited to a program, it overrules that one alone.
    let limited = policy(vec![OwnerException { programs: vec![0], ..exception(&["bad.test"]) }], vec![]);
    assert_eq!(overruled(&limited, "bad.test"), ("block p0/s:2".to_owned(), true));
    assert_eq!(overruled(&limited, "worse.bad.test"), ("block p0/s:2".to_owned(), false), "the other one blocks");
    // Name servers aren't asked for what the owner passes.
    let verdict = whole.on_question(&asking(&name("ok.test")));
    let needs = whole.needs_for(&verdict);
    assert!(needs.addresses && !needs.ns_names && !needs.ns_addresses);
}

#[test]
fn of_lists_it_is_told_too() {
    let lists = [
        "bad.test\n@ok.bad.test\n@alone.test\n192.0.2.0/24",
        "@must.bad.test\nmust.bad.test",
        "||must.bad.test^$important",
    ];
    let policy = Setup::lists(&lists).build();
    for (asked, expected, needs) in [
        ("ok.bad.test", "block p0/s:2", true),
        ("alone.test", "", false),
        // It passes the answer too.
        ("alone.test a:192.0.2.1", "block p0/s:5", true),
        ("bad.test", "", false),
        // A block that is stronger than an exception.
        ("must.bad.test", "except p0/t:2", false),
        ("good.test cname:ok.bad.test", "block p0/s:2", true),
        ("good.test cname:ok.bad.test cname:bad.test", "except p0/s:3", false),
        ("good.test cname:bad.test cname:ok.bad.test", "except p0/s:3", false),
    ] {
        assert_eq!(overruled(&policy, asked), (expected.to_owned(), needs), "{asked}");
    }
    // In shadow too an exception is needed: without it a would-block would be told.
    let policy = Setup { ceiling: Mode::Shadow, ..Setup::of("bad.test\n@ok.bad.test") }.build();
    assert_eq!(overruled(&policy, "ok.bad.test"), ("would-block p0/s:2".to_owned(), true));
}
