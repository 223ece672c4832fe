//! What changes between two policies, as tables; and that nothing changes between a policy and its own log.

mod equality;

use super::*;
use crate::{
    dns::{RrType, presentation},
    policy::{
        GroupSpec, Link, ListSpec, OwnerException, PolicySpec, ProgramSpec, Scope, Trigger,
        parse::{Options, parse},
    },
    replay::input::{Around, Opened, Place, open},
};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Cursor},
};

const NOW: i64 = 1_795_903_200;

/// A policy of programs `p0`, `p1` …, each with a mode and the rules of one list of the service `s`.
fn policy(programs: &[(Mode, &str)], owner: Vec<OwnerException>) -> Judge {
    let spec = |(index, (mode, _)): (usize, &(Mode, &str))| ProgramSpec {
        mode: *mode,
        ..ProgramSpec::enforced(&format!("p{index}"))
    };
    let list = |(index, (_, rules)): (usize, &(Mode, &str))| {
        ListSpec::of_program(
            index,
            "s",
            "s.list",
            parse(format!("#! cleandns\n{rules}").as_bytes(), &Options::default()).unwrap().rules,
        )
    };
    let group = GroupSpec {
        name: "guests".to_owned(),
        clients: vec!["192.168.7.0/24".parse().unwrap(), "id:tv".parse().unwrap()],
        tags: vec![],
        programs: [(0, Mode::Off)].into(),
        services: BTreeMap::new(),
        schedule: None,
    };
    let spec = PolicySpec {
        owner_exceptions: owner,
        groups: vec![group],
        ..PolicySpec::of(
            programs.iter().enumerate().map(spec).collect(),
            programs.iter().enumerate().map(list).collect(),
        )
    };
    Judge::new(Arc::new(Policy::build(spec).unwrap()), LocalData::default(), SpecialNames::new(std::iter::empty()))
}

/// Queries from memory.
struct Given(std::vec::IntoIter<Asked>);

impl Source for Given {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        Ok(self.0.next().map_or(Step::End, |next| {
            *asked = next;
            Step::Asked
        }))
    }

    fn place(&self) -> Place {
        Place::Line(1)
    }
}

/// `name client`, with ` >alias` or ` =address` of the answer.
fn asked(text: &str) -> Asked {
    let mut words = text.split(' ');
    let name: Name = words.next().unwrap().parse().unwrap();
    let client = words.next().map(|client| client.parse().unwrap());
    let links = words.map(|word| match word.split_at(1) {
        (">", alias) => Link::name(alias.parse().unwrap(), Trigger::Cname),
        (_, address) => Link::address(address.parse().unwrap(), Trigger::Address),
    });
    Asked { name, rr_type: RrType::A, client, links: links.collect(), ..Asked::default() }
}

fn compare(before: Before, after: Judge, queries: &[&str]) -> Summary {
    let mut comparison = Comparison::new(before, after, NOW);
    let queries: Vec<Asked> = queries.iter().map(|query| asked(query)).collect();
    comparison.run(&mut Given(queries.into_iter()), &mut |_| {});
    comparison.summary(Format::Dnsperf, 10)
}

/// A summary's changes in short.
fn shown(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &summary.changes {
        let (queries, names, clients) = (change.queries, change.names, change.clients);
        lines.push(format!("{} > {}: {queries} {names} {clients}", change.before, change.after));
        for row in &change.by_name {
            let because = &row.because;
            let (program, service, rule, of) = (&because.program, &because.service, &because.rule, because.of);
            lines.push(format!("{} {} {} {program}/{service} {rule} {of}", row.name, row.queries, row.clients));
        }
        lines.extend(change.by_client.iter().map(|row| format!("{} {} {}", row.client, row.queries, row.names)));
        for row in &change.by_service {
            lines.push(format!("{}/{} {} {} {}", row.program, row.service, row.queries, row.names, row.clients));
        }
    }
    lines
}

#[test]
fn what_is_newly_blocked_and_newly_passed() {
    let before = policy(&[(Mode::Enforce, "old.example\nboth.example")], vec![]);
    let after = policy(&[(Mode::Enforce, "both.example\nnew.example\n@ok.new.example")], vec![]);
    let queries = [
        "www.new.example 10.0.0.1",
        "www.new.example 10.0.0.2",
        "new.example 10.0.0.1",
        "www.new.example 10.0.0.1",
        "old.example 10.0.0.3",
        "both.example 10.0.0.1",
        "ok.new.example 10.0.0.1",
        "else.example 10.0.0.1",
        // The group for which the program is off.
        "new.example 192.168.7.1",
        // Nobody's.
        "new.example",
    ];
    let summary = compare(Before::Policy(before), after, &queries);
    assert_eq!(
        shown(&summary),
        [
            "passed > blocked: 5 2 2",
            "www.new.example 3 2 p0/s s.list:3 after",
            "new.example 2 1 p0/s s.list:3 after",
            "10.0.0.1 3 2",
            "10.0.0.2 1 1",
            "p0/s 5 2 2",
            "blocked > passed: 1 1 1",
            "old.example 1 1 p0/s s.list:2 before",
            "10.0.0.3 1 1",
            "p0/s 1 1 1",
            "passed > excepted: 1 1 1",
            "ok.new.example 1 1 p0/s s.list:4 after",
            "10.0.0.1 1 1",
            "p0/s 1 1 1",
        ]
    );
    assert_eq!((summary.queries, summary.changed, summary.newly_blocked, summary.newly_passed), (10, 7, 5, 1));
    assert_eq!((summary.names.count, summary.clients.count, summary.exact), (6, 4, true));
    let fates: Vec<_> = summary.fates.iter().map(|fate| (fate.fate, fate.before, fate.after)).collect();
    assert_eq!(fates, [("blocked", 2, 6), ("would-block", 0, 0), ("excepted", 0, 1), ("passed", 8, 3)]);
    assert_eq!(summary.not_asked.queries_without_client, 1);
}

#[test]
fn shadow_and_the_owners_exceptions() {
    let exception = OwnerException { place: "cleandns.toml:12".to_owned(), ..except("fine.example") };
    let before = policy(&[(Mode::Enforce, "a.example\nfine.example")], vec![]);
    let after = policy(&[(Mode::Shadow, "a.example"), (Mode::Enforce, "fine.example")], vec![exception]);
    let summary = compare(Before::Policy(before), after, &["a.example 10.0.0.1", "x.fine.example 10.0.0.1"]);
    let lines = shown(&summary);
    assert_eq!(lines[..2], ["blocked > would-block: 1 1 1", "a.example 1 1 p0/s s.list:2 after"]);
    assert_eq!(lines[4..6], ["blocked > excepted: 1 1 1", "x.fine.example 1 1 / exception cleandns.toml:12 after"]);
}

/// An exception of the owner's for a name and all below it.
fn except(name: &str) -> OwnerException {
    OwnerException {
        names: vec![(name.parse().unwrap(), Scope::Subtree)],
        programs: vec![],
        groups: vec![],
        until: None,
        reason: String::new(),
        place: "cleandns.toml:1".to_owned(),
    }
}

/// One definition, on both sides: `excepted` is what would be blocked otherwise, told or not.
#[test]
fn an_exception_counts_where_something_would_be_blocked_without_it() {
    let rules = "a.example\n@fine.a.example\n@needless.example\n192.0.2.0/24";
    let exception = except("own.example");
    let judge = || policy(&[(Mode::Enforce, rules)], vec![exception.clone()]);
    let queries = [
        "fine.a.example 10.0.0.1",
        "needless.example 10.0.0.1",
        "needless.example 10.0.0.1 =192.0.2.7",
        "own.example 10.0.0.1",
        "own.example 10.0.0.1 =192.0.2.7",
    ];
    let summary = compare(Before::Nothing, judge(), &queries);
    let fates: Vec<_> = summary.fates.iter().map(|fate| (fate.fate, fate.after)).collect();
    assert_eq!(fates, [("blocked", 0), ("would-block", 0), ("excepted", 3), ("passed", 2)]);
    // A file that tells of exceptions but not of what they beat: what passed before and after is no change.
    let told = |fate: Option<Fate>| queries.map(|query| Asked { recorded: fate, ..asked(query) });
    let mut comparison = Comparison::new(Before::Recorded, judge(), NOW);
    comparison.run(&mut Given(told(Some(Fate::Excepted)).to_vec().into_iter()), &mut |_| {});
    let summary = comparison.summary(Format::Dnstap, 10);
    assert_eq!((summary.changed, summary.not_asked.queries_not_comparable), (0, 2));
}

/// What a verdict that can't be asked again may have hidden is no change, and anything else is one.
#[test]
fn a_verdict_that_can_not_be_asked_again_leaves_room() {
    use Fate::{Blocked, Excepted, Passed, WouldBlock};
    let policy_of = |rules: &str, mode| policy(&[(mode, rules)], vec![]);
    // What the file says by rules that can be asked, what it can't, what is said now; changed, not comparable.
    for (recorded, unaskable, rules, mode, expected) in [
        (Passed, Some(Blocked), "b.example", Mode::Enforce, (0, 1)),
        (Passed, Some(Blocked), "c.example", Mode::Enforce, (0, 0)),
        (Passed, Some(WouldBlock), "b.example", Mode::Shadow, (0, 1)),
        (Passed, Some(WouldBlock), "b.example", Mode::Enforce, (1, 0)),
        (Passed, Some(Excepted), "b.example\n@b.example", Mode::Enforce, (0, 1)),
        (Passed, Some(Excepted), "b.example", Mode::Shadow, (1, 0)),
        (WouldBlock, Some(Blocked), "c.example", Mode::Enforce, (1, 0)),
        (Passed, None, "b.example", Mode::Enforce, (1, 0)),
    ] {
        let query = Asked { recorded: Some(recorded), unaskable, ..asked("b.example 10.0.0.1") };
        let mut comparison = Comparison::new(Before::Recorded, policy_of(rules, mode), NOW);
        comparison.run(&mut Given(vec![query].into_iter()), &mut |_| {});
        let summary = comparison.summary(Format::Ours, 10);
        let told = (summary.changed, summary.not_asked.queries_not_comparable);
        assert_eq!(told, expected, "{recorded:?} {unaskable:?} {rules} {mode:?}");
    }
}

/// A rule on clients that is withheld blocked it, so nobody looked at its alias then, which the owner lets pass.
#[test]
fn what_a_withheld_block_left_unseen_is_no_change() {
    let judge = policy(&[(Mode::Shadow, "b.example")], vec![except("cdn.example")]);
    let query = Asked {
        recorded: Some(Fate::WouldBlock),
        unaskable: Some(Fate::Blocked),
        ..asked("b.example 10.0.0.1 >cdn.example")
    };
    let mut comparison = Comparison::new(Before::Recorded, judge, NOW);
    comparison.run(&mut Given(vec![query].into_iter()), &mut |_| {});
    let summary = comparison.summary(Format::Ours, 10);
    assert_eq!((summary.changed, summary.not_asked.queries_not_comparable), (0, 1));
}

/// A rule on clients that is withheld let the question pass, and all that is told is the owner's exception for its alias.
#[test]
fn what_a_withheld_exception_let_pass_is_no_change() {
    let with = |owner: Vec<OwnerException>| policy(&[(Mode::Enforce, "b.example\n@client:10.0.0.1")], owner);
    let recorded = |client: &str, led: &str| Asked {
        recorded: Some(Fate::Excepted),
        by_owner: true,
        beat_on_question: true,
        beaten: Beaten::Told,
        client: client.parse().ok(),
        ..asked(&format!("b.example 10.0.0.1 >{led}"))
    };
    let excepts = || vec![except("cdn.example")];
    for (query, owner, expected) in [
        (recorded("", "cdn.example"), excepts(), (0, 1)),
        // The exception is gone, or was for the question itself; or it is told who asked.
        (recorded("", "cdn.example"), vec![], (1, 0)),
        (recorded("", "other.example"), excepts(), (1, 0)),
        (recorded("10.0.0.2", "cdn.example"), excepts(), (1, 0)),
        (recorded("10.0.0.1", "cdn.example"), excepts(), (0, 0)),
        (Asked { beat_on_question: false, ..recorded("", "cdn.example") }, excepts(), (1, 0)),
        (Asked { beaten: Beaten::Untold, ..recorded("", "cdn.example") }, excepts(), (0, 1)),
        (
            Asked {
                recorded: Some(Fate::Passed),
                beaten: Beaten::Untold,
                beat_on_question: false,
                ..recorded("", "cdn.example")
            },
            excepts(),
            (1, 0),
        ),
    ] {
        let told = format!("{query:?}");
        let mut comparison = Comparison::new(Before::Recorded, with(owner), NOW);
        comparison.run(&mut Given(vec![query].into_iter()), &mut |_| {});
        let summary = comparison.summary(Format::Ours, 10);
        assert_eq!((summary.changed, summary.not_asked.queries_not_comparable), expected, "{told}");
    }
}

#[test]
fn what_the_file_tells_of_answers_is_judged_too() {
    let rules = "alias.example\n192.0.2.0/24\nns:dns.example";
    let queries = [
        "a.x 10.0.0.1 >b.x",
        "a.y 10.0.0.1 >b.y >c.alias.example",
        "a.z 10.0.0.1 =192.0.2.7",
        "a.z 10.0.0.1 =198.51.100.7",
        "a.z 10.0.0.1",
    ];
    let summary = compare(Before::Nothing, policy(&[(Mode::Enforce, rules)], vec![]), &queries);
    assert_eq!(
        shown(&summary)[..3],
        ["passed > blocked: 2 2 1", "a.y 1 1 p0/s s.list:2 after", "a.z 1 1 p0/s s.list:3 after"]
    );
    let not_asked = summary.not_asked;
    let numbers = (not_asked.answer_rules_before, not_asked.answer_rules_after, not_asked.queries_with_answer);
    assert_eq!(numbers, (0, 2, 4));
}

/// `name group`, without an address.
fn of_group(text: &str) -> Asked {
    let (name, group) = text.split_once(' ').unwrap();
    Asked { group: group.to_owned(), ..asked(name) }
}

#[test]
fn a_recorded_group_counts_where_the_address_does_not_tell_it() {
    let of = |query: Asked| {
        let mut comparison = Comparison::new(Before::Nothing, policy(&[(Mode::Enforce, "b.example")], vec![]), NOW);
        comparison.run(&mut Given(vec![query].into_iter()), &mut |_| {});
        let summary = comparison.summary(Format::Ours, 10);
        let told = summary.not_asked;
        let groups = (told.queries_by_recorded_group, told.queries_without_group, told.changed_without_group);
        (summary.newly_blocked, groups)
    };
    let at = |client: &str, group: &str| Asked { group: group.to_owned(), ..asked(&format!("b.example {client}")) };
    for (query, expected) in [
        (of_group("b.example guests"), (0, (1, 0, 0))),
        (of_group("b.example default"), (1, (1, 0, 0))),
        // Of another configuration, and not told at all.
        (of_group("b.example servers"), (1, (0, 1, 1))),
        (of_group("b.example "), (1, (0, 1, 1))),
        (of_group("c.example "), (0, (0, 1, 0))),
        // A whole address is better, but for those whom it doesn't tell: some guests are known by what they are called.
        (at("10.0.0.1", "servers"), (1, (0, 0, 0))),
        (at("192.168.7.1", "default"), (0, (0, 0, 0))),
        (at("10.0.0.1", "guests"), (0, (1, 0, 0))),
    ] {
        let shown = format!("{query:?}");
        assert_eq!(of(query), expected, "{shown}");
    }
}

#[test]
fn names_that_no_policy_is_asked_about() {
    let after = policy(&[(Mode::Enforce, "localhost\nprinter.local\nin-addr.arpa\nb.example")], vec![]);
    let queries = ["localhost 10.0.0.1", "printer.local 10.0.0.1", "1.0.168.192.in-addr.arpa 10.0.0.1", "b.example"];
    assert_eq!(compare(Before::Nothing, after, &queries).changed, 1);
}

/// As the server judges it: the owner's own name by no rule, but what its alias leads to by all, whether or not the file
/// tells it.
#[test]
fn what_is_behind_the_owners_alias_is_judged() {
    let records = [
        "shop.lan. CNAME www.blocked.example.",
        "own.lan. CNAME fine.example.",
        "here.lan. CNAME there.lan.",
        "there.lan. A 192.0.2.1",
        "self.lan. CNAME localhost.",
    ];
    let judge = |records: &[&str]| {
        let records: Vec<_> = records.iter().map(|text| presentation::record(text).unwrap()).collect();
        let rules = "blocked.example\nlan\nlocalhost\n192.0.2.0/24";
        Judge { local: LocalData::new(&records), ..policy(&[(Mode::Enforce, rules)], vec![]) }
    };
    let queries = [
        "shop.lan 10.0.0.1",
        "shop.lan 10.0.0.1 >www.blocked.example",
        // The group for which the program is off.
        "shop.lan 192.168.7.1",
        "own.lan 10.0.0.1",
        "own.lan 10.0.0.1 =192.0.2.7",
        "here.lan 10.0.0.1",
        "self.lan 10.0.0.1",
    ];
    let summary = compare(Before::Nothing, judge(&records), &queries);
    let expected = ["passed > blocked: 3 2 1", "shop.lan 2 1 p0/s s.list:2 after", "own.lan 1 1 p0/s s.list:5 after"];
    assert_eq!(shown(&summary)[..3], expected);
    // Without those records all but the other group's, and `localhost`, are blocked by their names.
    assert_eq!(compare(Before::Policy(judge(&records)), judge(&[]), &queries).newly_blocked, 3);
}

#[test]
fn the_first_rows_and_the_first_reasons() {
    let mut text = String::new();
    (0..40).for_each(|at| text.push_str(&format!("n{at}.b.example A\n").repeat(at + 1)));
    (0..30).for_each(|at| text.push_str(&format!("{}\n", "x".repeat(at + 1))));
    text.push_str("a..b A\n");
    let clock = Around::utc(NOW);
    let Opened { mut source, format, .. } = open(Cursor::new(text), None, None, &clock).unwrap();
    let mut comparison = Comparison::new(Before::Nothing, policy(&[(Mode::Enforce, "b.example")], vec![]), NOW);
    comparison.run(&mut *source, &mut |_| {});
    let summary = comparison.summary(format, 3);
    let names: Vec<_> = summary.changes[0].by_name.iter().map(|row| (row.name.as_str(), row.queries)).collect();
    assert_eq!(names, [("n39.b.example", 40), ("n38.b.example", 39), ("n37.b.example", 38)]);
    assert_eq!((summary.queries, summary.changes[0].names, summary.changes[0].by_client.len()), (820, 40, 0));
    let reasons = &summary.skipped.reasons;
    assert_eq!((summary.skipped.count, reasons.len(), reasons[0].count, &*reasons[0].first), (31, 2, 30, "line 821"));
    // More reasons than are told apart.
    let mut skips = Skips::default();
    (0..30u64).for_each(|at| skips.add(Place::Line(at), Cow::from(format!("reason {at}"))));
    let mut quoting = Skips::default();
    quoting.add(Place::Line(1), "\u{fc}".repeat(1 << 20).into());
    let quoted = summary::summarize(&Tally { skips: quoting, ..Tally::default() }, format, 3, (0, 0)).skipped;
    assert!(quoted.reasons[0].reason.ends_with("\u{fc}…") && quoted.reasons[0].reason.len() < 300);
    let tally = Tally { skips, ..Tally::default() };
    let skipped = summary::summarize(&tally, format, 3, (0, 0)).skipped;
    assert_eq!((skipped.count, skipped.reasons.len()), (30, 10));
    assert_eq!((&*skipped.reasons[9].reason, skipped.reasons[9].count), ("other reasons", 21));
}
