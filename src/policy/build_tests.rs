//! The order of precedence, modes and groups as tables, and against a naive twin.

use super::{
    Asking, BlockAnswer, Client, Geo, GroupSpec, Link, ListSpec, Mode, OwnerException, OwnerPass,
    Policy, PolicySpec, ProgramSpec, Role, RuleSet, Scope, Trigger, Verdict,
    parse::{Options, parse},
};
use crate::dns::{Name, RrType};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Builds a policy from `(program, program mode, [(service, default mode, rules)])`; the first program is `p0`, then `p1`.
struct Setup {
    ceiling: Mode,
    programs: Vec<(Mode, Vec<(&'static str, Mode)>)>,
    lists: Vec<(usize, &'static str, Option<Mode>, &'static str)>,
    owner: Vec<OwnerException>,
    groups: Vec<GroupSpec>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            ceiling: Mode::Enforce,
            programs: vec![(Mode::Enforce, vec![])],
            lists: vec![],
            owner: vec![],
            groups: vec![],
        }
    }
}

impl Setup {
    fn build(self) -> Policy {
        let programs = self.programs.into_iter().enumerate().map(|(i, (mode, services))| ProgramSpec {
            name: format!("p{i}"),
            mode,
            block: BlockAnswer::NxDomain,
            ede: 15,
            services: services.into_iter().map(|(service, mode)| (service.to_owned(), mode)).collect(),
            schedule: None,
        });
        let lists = self.lists.into_iter().map(|(program, service, default, rules)| {
            let (name, rules) = (format!("{service}.list"), Arc::new(rules_of(rules)));
            let role = Role::Program(program);
            ListSpec { role, service: service.to_owned(), default, never_acts: false, name, version: 0, rules }
        });
        Policy::build(PolicySpec {
            epoch: 1,
            mode: self.ceiling,
            block_ttl: Duration::from_secs(30),
            programs: programs.collect(),
            lists: lists.collect(),
            owner_exceptions: self.owner,
            groups: self.groups,
            geo: Geo::default(),
            seed: 7,
        })
        .unwrap()
    }
}

/// The rules of a list: ours, unless the text says of itself what it is.
fn rules_of(text: &str) -> RuleSet {
    let is_other = ["$", "[", "@ "].iter().any(|start| text.starts_with(start));
    let text = if is_other { text.to_owned() } else { format!("#! cleandns\n{text}") };
    let parsed = parse(text.as_bytes(), &Options::default()).unwrap();
    assert_eq!(parsed.skipped.first, [], "{text}");
    parsed.rules
}

/// A question of a client in no group.
fn asking(name: &Name) -> Asking<'_> {
    let client = Client { address: IpAddr::from([192, 0, 2, 9]), id: None, mac: None, tcp: false };
    Asking { name, rr_type: RrType::A, client, now: 0, pauses: &[] }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// `block p0/s:2`, `would-block …`, `except …`, `owner 0` or `pass`; several programs joined by a comma.
fn show(policy: &Policy, verdict: &Verdict) -> String {
    if verdict.is_owners() {
        return format!("owner {}", verdict.owner.unwrap().exception);
    }
    let programs = verdict.programs.iter().map(|said| {
        let list = &policy.lists()[said.cause.list()];
        format!("{} p{}/{}:{}", said.outcome.word(), said.program, list.service, said.cause.line)
    });
    let all: Vec<_> = programs.collect();
    if all.is_empty() { "pass".to_owned() } else { all.join(", ") }
}

/// The verdict on a question and the names its answer leads to.
fn decide(policy: &Policy, names: &[&str]) -> String {
    let links: Vec<Link> = names[1..].iter().map(|text| Link::name(name(text), Trigger::Cname)).collect();
    let question = name(names[0]);
    judge(policy, &asking(&question), &links)
}

/// The verdict on a question and what its answer leads to.
fn judge(policy: &Policy, asking: &Asking<'_>, links: &[Link]) -> String {
    let question = policy.on_question(asking);
    show(policy, &policy.on_answer(&question, asking, links))
}

#[test]
fn one_program_in_order_of_precedence() {
    for (rules, asked, expected) in [
        ("a.test", "a.test", "block p0/s:2"),
        ("a.test", "x.y.a.test", "block p0/s:2"),
        ("a.test", "xa.test", "pass"),
        ("a.test", "test", "pass"),
        ("=a.test", "a.test", "block p0/s:2"),
        ("=a.test", "x.a.test", "pass"),
        ("*.a.test", "a.test", "pass"),
        ("*.a.test", "x.a.test", "block p0/s:2"),
        // An exception beats a block, however broad the one and narrow the other.
        ("=x.a.test\n@a.test", "x.a.test", "except p0/s:3"),
        ("a.test\n@x.a.test", "x.a.test", "except p0/s:3"),
        ("a.test\n@x.a.test", "y.a.test", "block p0/s:2"),
        // The most specific explains: exact, then longer suffix, then line.
        ("a.test\n=x.a.test\nx.a.test", "x.a.test", "block p0/s:3"),
        ("a.test\nx.a.test", "z.x.a.test", "block p0/s:3"),
        ("a.test\na.test", "a.test", "block p0/s:2"),
    ] {
        let policy = Setup { lists: vec![(0, "s", None, rules)], ..Setup::default() }.build();
        assert_eq!(decide(&policy, &[asked]), expected, "{rules:?} {asked}");
    }
}

#[test]
fn aliases_are_judged_like_the_name_asked() {
    for (rules, names, expected) in [
        ("bad.test", vec!["good.test", "cdn.bad.test"], "block p0/s:2"),
        ("bad.test", vec!["good.test", "mid.test", "bad.test"], "block p0/s:2"),
        ("bad.test", vec!["good.test", "mid.test"], "pass"),
        // On the name asked, an exception passes all that follows; on an alias, that alias alone.
        ("bad.test\n@good.test", vec!["good.test", "bad.test"], "except p0/s:3"),
        ("bad.test\n@ok.bad.test", vec!["good.test", "ok.bad.test"], "except p0/s:3"),
        ("bad.test\n@ok.bad.test", vec!["good.test", "ok.bad.test", "worse.bad.test"], "block p0/s:2"),
        ("bad.test\n@ok.bad.test", vec!["good.test", "worse.bad.test", "ok.bad.test"], "block p0/s:2"),
    ] {
        let policy = Setup { lists: vec![(0, "s", None, rules)], ..Setup::default() }.build();
        assert_eq!(decide(&policy, &names), expected, "{rules:?} {names:?}");
    }
}

#[test]
fn modes_are_the_least_of_ceiling_program_and_service() {
    use Mode::{Enforce, Off, Shadow};
    /// Ceiling, program, its services, the list's own default, what comes of it.
    type Case = (Mode, Mode, &'static [(&'static str, Mode)], Option<Mode>, &'static str);
    let cases: [Case; 13] = [
        (Enforce, Enforce, &[], None, "block p0/s:2"),
        (Shadow, Enforce, &[], None, "would-block p0/s:2"),
        (Off, Enforce, &[], None, "pass"),
        (Enforce, Shadow, &[], None, "would-block p0/s:2"),
        (Enforce, Off, &[("s", Enforce)], None, "pass"),
        (Enforce, Enforce, &[("s", Shadow)], None, "would-block p0/s:2"),
        (Enforce, Enforce, &[("s", Off)], None, "pass"),
        (Enforce, Shadow, &[("s", Enforce)], None, "would-block p0/s:2"),
        // The list's own default stands before the program's `*`, behind the program's word on the service.
        (Enforce, Enforce, &[], Some(Off), "pass"),
        (Enforce, Enforce, &[("*", Enforce)], Some(Off), "pass"),
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
        assert_eq!(decide(&setup.build(), &["a.test"]), expected, "{ceiling} {program} {services:?} {default:?}");
    }
}

#[test]
fn shadow_never_changes_an_answer() {
    let with = |lists| Setup { lists, ..Setup::default() }.build();
    let shadow = Some(Mode::Shadow);
    // An exception in a shadow list does not lift an enforced block, nor does a shadow block touch an enforced exception.
    let policy = with(vec![(0, "s", None, "a.test"), (0, "t", shadow, "@a.test")]);
    assert_eq!(decide(&policy, &["a.test"]), "block p0/s:2");
    let policy = with(vec![(0, "s", None, "@a.test"), (0, "t", shadow, "a.test")]);
    assert_eq!(decide(&policy, &["a.test"]), "except p0/s:2");
    // Among shadow lists it does, and the record says so.
    let policy = with(vec![(0, "s", shadow, "a.test"), (0, "t", shadow, "@a.test")]);
    assert_eq!(decide(&policy, &["a.test"]), "except p0/t:2");
    // A name in two services takes the higher mode.
    let policy = with(vec![(0, "s", shadow, "=a.test"), (0, "t", None, "test")]);
    assert_eq!(decide(&policy, &["a.test"]), "block p0/t:2");
    // A would-be block on the question does not hide an enforced block on an alias.
    let policy = with(vec![(0, "s", shadow, "a.test"), (0, "t", None, "b.test")]);
    assert_eq!(decide(&policy, &["a.test", "b.test"]), "block p0/t:2");
    assert!(policy.on_question(&asking(&name("a.test"))).block().is_none());
}

#[test]
fn programs_stand_beside_each_other() {
    let two = |first, second, lists| {
        Setup { programs: vec![(first, vec![]), (second, vec![])], lists, ..Setup::default() }.build()
    };
    use Mode::{Enforce, Shadow};
    let lists = || vec![(0, "s", None, "@a.test"), (1, "t", None, "a.test")];
    // An exception in one program never reaches another.
    assert_eq!(decide(&two(Enforce, Enforce, lists()), &["a.test"]), "except p0/s:2, block p1/t:2");
    let lists = || vec![(1, "t", None, "a.test"), (0, "s", None, "test")];
    let policy = two(Enforce, Enforce, lists());
    assert_eq!(decide(&policy, &["a.test"]), "block p0/s:2, block p1/t:2");
    // The first enforcing program in the order of configuration sets the action, whatever the order of lists.
    assert_eq!(policy.on_question(&asking(&name("a.test"))).block().unwrap().program, 0);
    let policy = two(Shadow, Enforce, lists());
    assert_eq!(decide(&policy, &["a.test"]), "would-block p0/s:2, block p1/t:2");
    assert_eq!(policy.on_question(&asking(&name("a.test"))).block().unwrap().program, 1);
}

#[test]
fn the_owner_beats_every_program() {
    let exception = |text: &str, scope, programs: &[usize], until| OwnerException {
        names: vec![(name(text), scope)],
        programs: programs.to_vec(),
        groups: vec![],
        until,
        reason: String::new(),
        place: String::new(),
    };
    let policy = |owner| {
        let lists = vec![(0, "s", None, "bad.test"), (1, "t", None, "worse.bad.test")];
        let programs = vec![(Mode::Enforce, vec![]), (Mode::Enforce, vec![])];
        Setup { lists, programs, owner, ..Setup::default() }.build()
    };
    let whole = policy(vec![exception("bad.test", Scope::Subtree, &[], Some(10))]);
    assert_eq!(decide(&whole, &["x.bad.test"]), "owner 0");
    assert_eq!(decide(&whole, &["good.test", "bad.test"]), "owner 0");
    // Until it ends, and not a second longer.
    let bad = name("bad.test");
    assert_eq!(judge(&whole, &Asking { now: 9, ..asking(&bad) }, &[]), "owner 0");
    assert_eq!(judge(&whole, &Asking { now: 10, ..asking(&bad) }, &[]), "block p0/s:2");
    let exact = policy(vec![exception("bad.test", Scope::Exact, &[], None)]);
    assert_eq!(decide(&exact, &["x.bad.test"]), "block p0/s:2");
    let limited = policy(vec![exception("bad.test", Scope::Subtree, &[0], None)]);
    assert_eq!(decide(&limited, &["worse.bad.test"]), "block p1/t:2");
    assert_eq!(decide(&limited, &["bad.test", "x.bad.test"]), "pass");
    // Limited to some programs, it passes the whole answer for them and is told of, wherever in the chain it matched.
    let limited = policy(vec![exception("ok.test", Scope::Exact, &[0], None)]);
    assert_eq!(decide(&limited, &["good.test", "bad.test"]), "block p0/s:2");
    assert_eq!(decide(&limited, &["good.test", "bad.test", "ok.test"]), "pass");
    assert_eq!(decide(&limited, &["good.test", "worse.bad.test", "ok.test"]), "block p1/t:2");
    let told = limited.on_question(&asking(&name("ok.test"))).owner;
    assert_eq!(told, Some(OwnerPass { exception: 0, whole: false }));
}

#[test]
fn what_is_shown_of_a_match_is_all_there_is() {
    let lists = vec![(0, "s", None, "a.test\n@x.a.test"), (0, "t", Some(Mode::Shadow), "test")];
    let policy = Setup { lists, ..Setup::default() }.build();
    let asked = name("x.a.test");
    let matched = policy.matching_rules(&asking(&asked), 0, &Link::name(asked, Trigger::Qname));
    let shown: Vec<_> = matched.iter().map(|m| (m.cause.list(), m.cause.line, m.mode, m.cause.labels)).collect();
    assert_eq!(shown, [(1, 2, Mode::Shadow, 1), (0, 2, Mode::Enforce, 2), (0, 3, Mode::Enforce, 3)]);
    assert_eq!(policy.list_label(0), "p0/s s.list:");
    assert_eq!(policy.rule_count(), 3);
}
