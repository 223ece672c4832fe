//! The order of precedence, modes and groups as tables. Against a naive twin: `tests/it/twin.rs`.

mod modes;
mod owner;
mod precedence;
mod zones;

use super::{
    Asking, Client, GroupSpec, Link, ListSpec, Mode, OwnerException, OwnerPass, Pause, Policy, PolicySpec, ProgramSpec,
    Role, RuleSet, Schedule, Scope, Trigger, Verdict, Zone,
    parse::{Options, parse},
};
use crate::dns::{Name, RrType};

/// The midnight with which 2026-01-05 begins in UTC, a Monday.
const MONDAY: i64 = 1_767_571_200;
const HOUR: i64 = 3600;

/// A policy in short: its first program is called `p0`, then `p1`.
struct Setup {
    ceiling: Mode,
    /// Mode, and those of its services.
    programs: Vec<(Mode, Vec<(&'static str, Mode)>)>,
    /// Program, service, the list's own default, rules.
    lists: Vec<(usize, &'static str, Option<Mode>, &'static str)>,
    /// Lists of the owner's exceptions: which, rules.
    owner_lists: Vec<(usize, &'static str)>,
    owner: Vec<OwnerException>,
    groups: Vec<GroupSpec>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            ceiling: Mode::Enforce,
            programs: vec![(Mode::Enforce, vec![])],
            lists: vec![],
            owner_lists: vec![],
            owner: vec![],
            groups: vec![],
        }
    }
}

impl Setup {
    /// One enforcing program with one list.
    fn of(rules: &'static str) -> Self {
        Self::lists(&[rules])
    }

    /// One enforcing program with lists of the services `s`, `t`, `u`.
    fn lists(rules: &[&'static str]) -> Self {
        let lists = ["s", "t", "u"].into_iter().zip(rules).map(|(service, rules)| (0, service, None, *rules));
        Self { lists: lists.collect(), ..Self::default() }
    }

    fn spec(self) -> PolicySpec {
        let programs = self.programs.into_iter().enumerate().map(|(i, (mode, services))| ProgramSpec {
            mode,
            services: services.into_iter().map(|(service, mode)| (service.to_owned(), mode)).collect(),
            ..ProgramSpec::enforced(&format!("p{i}"))
        });
        let list = |role, service: &str, default, rules| ListSpec {
            role,
            default,
            ..ListSpec::of_program(0, service, &format!("{service}.list"), rules_of(rules))
        };
        let own = self
            .lists
            .into_iter()
            .map(|(program, service, default, rules)| list(Role::Program(program), service, default, rules));
        let owners = self.owner_lists.into_iter().map(|(index, rules)| list(Role::Owner(index), "own", None, rules));
        PolicySpec {
            mode: self.ceiling,
            owner_exceptions: self.owner,
            groups: self.groups,
            ..PolicySpec::of(programs.collect(), own.chain(owners).collect())
        }
    }

    fn build(self) -> Policy {
        Policy::build(self.spec()).unwrap()
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

/// A group of the network `192.0.2.0/28`, with modes of programs and of the first program's services.
fn group(name: &str, programs: &[(usize, Mode)], services: &[(&str, Mode)]) -> GroupSpec {
    GroupSpec {
        name: name.to_owned(),
        clients: vec!["192.0.2.0/28".parse().unwrap()],
        tags: vec![],
        programs: programs.iter().copied().collect(),
        services: services.iter().map(|(service, mode)| ((0, (*service).to_owned()), *mode)).collect(),
        schedule: None,
    }
}

fn schedule(text: &str) -> Option<Schedule> {
    Some(Schedule::parse(text, &Zone::utc()).unwrap())
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn client(address: &str) -> Client<'static> {
    Client { address: address.parse().unwrap(), id: None, mac: None, tcp: false, group: None }
}

/// A question of a client that is in every `group` and has no id.
fn asking(name: &Name) -> Asking<'_> {
    Asking { name, rr_type: RrType::A, client: client("192.0.2.9"), now: 0, pauses: &[] }
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

/// `good.test cname:x.test a:192.0.2.1 ns:ns.test`: a name and what its answer leads to.
fn query(text: &str) -> (Name, Vec<Link>) {
    let mut words = text.split(' ');
    let asked = name(words.next().unwrap());
    let link = |word: &str| {
        let (kind, what) = word.split_once(':').unwrap();
        let address = |trigger| Link::address(what.parse().unwrap(), trigger);
        match kind {
            "cname" => Link::name(name(what), Trigger::Cname),
            "dname" => Link::name(name(what), Trigger::Dname),
            "svcb" => Link::name(name(what), Trigger::SvcbTarget),
            "a" => address(Trigger::Address),
            "hint" => address(Trigger::Hint),
            "ns" => Link::name(name(what), Trigger::NsName),
            "nsip" => address(Trigger::NsAddress),
            _ => panic!("{word}"),
        }
    };
    (asked, words.map(link).collect())
}

/// The verdict on a query as `query` reads it.
fn decide(policy: &Policy, text: &str) -> String {
    decide_for(policy, text, |_| {})
}

/// The same for somebody else, or another time.
fn decide_for(policy: &Policy, text: &str, change: impl FnOnce(&mut Asking<'_>)) -> String {
    let (name, links) = query(text);
    let mut asking = asking(&name);
    change(&mut asking);
    let question = policy.on_question(&asking);
    show(policy, &policy.on_answer(&question, &asking, &links))
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

#[test]
fn rules_that_wait_for_a_database_are_counted() {
    let rules = "AS4134\nns:AS4134\ncountry:CN\n!country:US,AS7018\n192.0.2.0/24\na.test";
    let count = |default| Setup { lists: vec![(0, "s", default, rules)], ..Setup::default() }.build();
    assert_eq!(count(None).rules_without_database(), (3, 2));
    assert_eq!(count(Some(Mode::Shadow)).rules_without_database(), (3, 2));
    assert_eq!(count(Some(Mode::Off)).rules_without_database(), (0, 0), "a list that is off waits for nothing");
    // What can't be known matches nothing, inside or outside.
    assert_eq!(decide(&count(None), "x.test a:8.8.8.8 nsip:8.8.8.8"), "pass");
    // A list that only one group has in force waits, too.
    let lists = vec![(0, "s", Some(Mode::Off), rules)];
    let groups = vec![group("g", &[], &[("s", Mode::Enforce)])];
    assert_eq!(Setup { lists, groups, ..Setup::default() }.build().rules_without_database(), (3, 2));
}

#[test]
fn the_answer_is_seen_unless_the_question_was_decided() {
    let rules = "bad.test\n@good.test";
    let exception = owner::exception(&["mine.test"]);
    let policy = Setup { owner: vec![exception], ..Setup::of(rules) }.build();
    for (asked, expected) in [
        ("bad.test", false),
        ("good.test", true),
        ("x.test", true),
        ("x.test cname:bad.test", true),
        ("mine.test", false),
    ] {
        let (name, links) = query(asked);
        let asking = asking(&name);
        let question = policy.on_question(&asking);
        assert!(!question.answer_seen, "{asked}");
        assert_eq!(policy.on_answer(&question, &asking, &links).answer_seen, expected, "{asked}");
    }
}
