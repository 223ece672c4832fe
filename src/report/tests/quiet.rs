//! What never hit, and queries by group, type and transport, against naive counts.

use super::made::{START, context, known, report, row, said, tally, traffic, verdicts};
use crate::{
    dns::{RrType, Transport},
    policy::{Outcome, Trigger},
    query_log::{Fate, Row, Said, Seen, Verdicts},
    report::{Candidate, Context, Filter, KindRow, ListText, QuietRule, Tally, Unread, csv, html, text},
};
use std::{collections::BTreeMap, sync::Arc};

/// Traffic of three groups, three types and both transports.
fn mixed() -> Vec<Row> {
    let mut rows = traffic(7, 900, 9);
    for (at, row) in rows.iter_mut().enumerate() {
        row.group = ["default", "guests", "kids"][at % 7 % 3].into();
        row.rr_type = [RrType::A, RrType::AAAA, RrType::HTTPS][at % 5 % 3];
        row.transport = if at % 11 == 0 { Transport::Tcp } else { Transport::Udp };
    }
    rows
}

/// Counts by fate of what has something in common.
fn by(rows: &[Row], key: impl Fn(&Row) -> String) -> BTreeMap<String, [u64; 4]> {
    let mut counts: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    rows.iter().for_each(|row| counts.entry(key(row)).or_default()[row.verdicts.fate() as usize] += 1);
    counts
}

fn compare(rows: &[KindRow], expected: &BTreeMap<String, [u64; 4]>, covered: u64) {
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let [blocked, would_block, excepted, _] = expected[&row.what];
        let own: u64 = expected[&row.what].iter().sum();
        assert_eq!((row.blocked, row.would_block, row.excepted), (blocked, would_block, excepted), "{}", row.what);
        assert_eq!((row.queries.part, row.queries.of), (own, covered), "{}", row.what);
        assert_eq!((row.hit.part, row.hit.of), (blocked + would_block, own), "{}", row.what);
    }
    assert!(rows.is_sorted_by(|a, b| a.queries.part >= b.queries.part));
}

#[test]
fn groups_types_and_transports_are_those_of_a_naive_count() {
    let rows = mixed();
    let kinds = report(&rows).kinds;
    let all = rows.len() as u64;
    assert_eq!((kinds.covered.part, kinds.covered.of), (all, all));
    compare(&kinds.groups.rows, &by(&rows, |row| row.group.to_string()), all);
    let rr_type = |row: &Row| if row.name.is_empty() { String::new() } else { row.rr_type.to_string() };
    compare(&kinds.types.rows, &by(&rows, rr_type), all);
    compare(&kinds.transports.rows, &by(&rows, |row| row.transport.label().to_owned()), all);
}

#[test]
fn what_only_sums_are_left_of_is_told_apart_and_said() {
    let rows = mixed();
    let mut tally = Tally::new(Filter::default());
    rows.iter().for_each(|row| tally.add(&Seen::one(row)));
    let one = Row { group: "not known".into(), ..row("192.168.1.5", "a.example", START - 5) };
    let sum = Seen { row: &one, count: 300, first: START - 5, last: START - 1, has_details: false };
    tally.add(&sum);
    let report = tally.finish(&context());
    let kinds = &report.kinds;
    assert_eq!((kinds.covered.part, kinds.covered.of), (rows.len() as u64, rows.len() as u64 + 300));
    assert!(kinds.groups.rows.iter().all(|row| row.what != "not known"));
    let first = rows.iter().map(|row| row.time).min().unwrap();
    assert_eq!(kinds.first.map(|first| first.0), Some(first));
    let page = text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("of the others only sums are left, which don't tell this"), "{page}");
    // Where there is nothing else, that is said too.
    let mut tally = Tally::new(Filter::default());
    tally.add(&sum);
    assert!(text(&tally.finish(&context())).contains("Nothing is recorded that tells this"));
}

const LIST: ListText<'_> = ListText { program: "p", service: "s", list: "s.list", version: "0123456789abcdef" };

/// Those that begin as rules on clients do look at them.
fn candidates<'r>(rules: &'r [(u32, &'r str)]) -> impl Iterator<Item = Candidate<impl FnOnce() -> String>> + 'r {
    let of = |&(line, rule): &(u32, &'r str)| Candidate {
        line,
        is_by_client: rule.starts_with("client:"),
        text: move || rule.to_owned(),
    };
    rules.iter().map(of)
}

fn quiet(tally: &Tally, list: ListText<'_>, rules: &[(u32, &str)]) -> Option<(u64, Vec<(u32, String)>)> {
    let found = tally.never_hit(list, candidates(rules))?;
    Some((found.there_are, found.rules.into_iter().map(|QuietRule { line, rule }| (line, rule)).collect()))
}

#[test]
fn rules_that_never_hit_are_named() {
    let hit = |line, rule| Row {
        verdicts: verdicts([said("p/s", (line, rule), Trigger::Qname, Outcome::Block)]),
        ..row("192.168.1.5", "a.example", START)
    };
    let tally = tally(&[hit(3, "a.example"), hit(5, "b.example"), hit(5, "b.example")], Filter::default());
    let rules = [(2, "quiet.example"), (3, "a.example"), (5, "b.example"), (5, "=c.example"), (9, "192.0.2.0/24")];
    let expected =
        [(2, "quiet.example"), (5, "=c.example"), (9, "192.0.2.0/24")].map(|(at, rule)| (at, rule.to_owned()));
    assert_eq!(quiet(&tally, LIST, &rules), Some((3, expected.into())));
    assert_eq!(quiet(&tally, LIST, &rules[1..3]), None, "all of them hit");
    // A list that never hit is told as one thing.
    assert_eq!(quiet(&tally, ListText { service: "other", ..LIST }, &rules), None);
    // What an older text says it says of rules, wherever they stood, and of those that it doesn't name nobody knows.
    let another = ListText { version: "another", ..LIST };
    let moved = [(2, "b.example"), (3, "quiet.example"), (5, "fresh.example"), (6, "a.example")];
    let fresh = [(3, "quiet.example"), (5, "fresh.example")].map(|(at, rule)| (at, rule.to_owned()));
    assert_eq!(quiet(&tally, another, &moved), Some((2, fresh.into())));
    assert_eq!(quiet(&self::tally(&[hit(3, "")], Filter::default()), another, &moved), None);
    let many: Vec<(u32, &str)> = (2..5000).map(|line| (line, "x.example")).collect();
    let (there_are, named) = quiet(&tally, LIST, &many).unwrap();
    assert_eq!((there_are, named.len(), named[0].0), (4998, 100, 2), "of lines 3 and 5 other rules hit");

    // Nor is a rule quiet that an exception of the owner's beats each time.
    let beaten = vec![said("p/s", (9, "192.0.2.0/24"), Trigger::Address, Outcome::Block)];
    let verdicts = Verdicts { owner: Some("c:1".into()), overruled: beaten, ..Verdicts::default() };
    let excepted = Row { verdicts: Arc::new(verdicts), ..row("192.168.1.5", "b.example", START) };
    let beaten_too = self::tally(&[hit(3, "a.example"), excepted], Filter::default());
    assert_eq!(quiet(&beaten_too, LIST, &rules).unwrap().1.last(), Some(&(5, "b.example".to_owned())));

    let mut told = tally.finish(&context());
    told.rules_never_hit = vec![tally.never_hit(LIST, candidates(&rules)).unwrap()];
    for page in [text(&told), csv(&told), crate::report::html(&told), serde_json::to_string(&told).unwrap()] {
        assert!(page.contains("quiet.example") && page.contains("192.0.2.0/24"), "{page}");
    }
}

#[test]
fn rules_that_the_log_does_not_name_are_not_said_to_be_quiet() {
    let hit = |line, rule, trigger| Row {
        verdicts: verdicts([said("p/s", (line, rule), trigger, Outcome::Block)]),
        ..row("192.168.1.5", "a.example", START)
    };
    let rules = [(2, "a.example"), (3, "client:192.0.2.7/32"), (4, "192.0.2.0/24"), (4, "198.51.100.0/24")];
    let named = |rules: &[(u32, &str)]| rules.iter().map(|&(line, rule)| (line, rule.to_owned())).collect::<Vec<_>>();
    for (row, expected) in [
        // As privacy withholds it: it may be this one or another.
        (hit(0, "(client)", Trigger::Client), vec![rules[0], rules[2], rules[3]]),
        // As older versions wrote it.
        (hit(4, "", Trigger::Address), vec![rules[0], rules[1]]),
        (hit(3, "client:192.0.2.7/32", Trigger::Client), vec![rules[0], rules[2], rules[3]]),
        (hit(4, "192.0.2.0/24", Trigger::Address), vec![rules[0], rules[1], rules[3]]),
    ] {
        let tally = tally(std::slice::from_ref(&row), Filter::default());
        let expected = named(&expected);
        assert_eq!(quiet(&tally, LIST, &rules), Some((expected.len() as u64, expected)), "{row:?}");
        // How many never hit can be told only where all are named.
        let lists = vec![crate::report::KnownList { version: LIST.version.into(), ..known("p/s", "enforce", 4) }];
        let report = tally.finish(&Context { lists, ..context() });
        let is_named = row.verdicts.said[0].line > 0 && !row.verdicts.said[0].rule.is_empty();
        assert_eq!(report.lists[0].rules_never_hit, is_named.then_some(3), "{row:?}");
    }
}

#[test]
fn lists_that_could_not_be_read_are_not_said_to_have_hit() {
    let rows = [row("192.168.1.5", "a.example", START)];
    let of = |context: Context| {
        let report = tally(&rows, Filter::default()).finish(&context);
        let words = |page: String| page.replace("&#39;", "'").split_whitespace().collect::<Vec<_>>().join(" ");
        [words(text(&report)), words(html(&report))]
    };
    let unread = Unread { all: Some("a required list is of no use".to_owned()), lists: Vec::new() };
    for page in of(Context { lists: Vec::new(), unread: unread.clone(), ..context() }) {
        for told in [
            "Which lists never hit isn't known: the lists could not be read here (a required list is of no use).",
            "Which rules never hit isn't known: the lists could not be read here (a required list is of no use).",
        ] {
            assert!(page.contains(told), "{page}");
        }
        assert!(!page.contains("Every list that is known here hit something"), "{page}");
    }
    // The server tells which lists there are, and not what is in them.
    for page in of(Context { unread, ..context() }) {
        assert!(page.contains("Which rules never hit isn't known") && page.contains("hmn.list"), "{page}");
    }
    let unread = Unread { all: None, lists: vec!["p/s s.list".to_owned()] };
    for page in of(Context { unread, ..context() }) {
        assert!(page.contains("Nothing is said of 1 list that could not be read here: p/s s.list."), "{page}");
    }
}

#[test]
fn every_fate_has_its_place() {
    // Counts by fate are arrays in this order.
    assert_eq!(Fate::ALL.map(|fate| fate as usize), [0, 1, 2, 3, 4]);
}

/// The page as one line.
fn told(report: &crate::report::Report) -> String {
    text(report).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn modes_that_are_not_the_same_for_all_are_told_so() {
    let blocked = verdicts([said("clean-cable/hmn", (1, "h.example"), Trigger::Qname, Outcome::Block)]);
    let rows = [Row { verdicts: blocked, ..row("c1", "h.example", START) }];
    let page = |varying: &[(&str, bool, bool)]| {
        let varying = varying.iter().map(|&(program, by_group, by_time)| {
            let program = program.to_owned();
            crate::report::Varying { program, by_group, by_time }
        });
        told(&tally(&rows, Filter::default()).finish(&Context { varying: varying.collect(), ..context() }))
    };
    let page_of_all = page(&[]);
    for part in ["clean-cable is in shadow now: it counts, and blocks nothing any more.", "clean-apps is enforced."] {
        assert!(page_of_all.contains(part), "{part}: {page_of_all}");
    }
    let page = page(&[("clean-cable", true, false), ("clean-apps", false, true)]);
    for part in [
        "clean-cable is in shadow for clients in no group; some groups have another mode. It blocked 1 of 1 query",
        "clean-apps is enforced at the times of its schedule, and off at all others. It hit none",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn rules_on_clients_are_about_who_asks() {
    let said = |trigger| said("clean-store/tiktok", (1, "x"), trigger, Outcome::Block);
    let page = |triggers: &[Trigger]| {
        let rows = triggers
            .iter()
            .map(|&trigger| Row { verdicts: verdicts([said(trigger)]), ..row("c1", "a.example", START) });
        told(&report(&rows.collect::<Vec<_>>()))
    };
    let (client, qname, address) = (Trigger::Client, Trigger::Qname, Trigger::Address);
    for (triggers, expected) in [
        (&[client][..], "All of it because of who asks, whatever the name. "),
        (
            &[client, qname],
            "1 because of who asks, whatever the name. All the rest because of the name asked; none because",
        ),
        (
            &[client, address],
            "1 because of who asks, whatever the name. All the rest only because of where the name leads",
        ),
        (&[qname, address], " 1 because of the name asked itself; 1 only because of where the name leads (address 1)"),
    ] {
        assert!(page(triggers).contains(expected), "{expected}: {}", page(triggers));
    }
}

#[test]
fn where_nothing_is_kept_of_clients_none_are_counted_in_words() {
    let said = said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block);
    let page = told(&report(&[Row { verdicts: verdicts([said]), ..row("", "t.example", START) }]));
    for part in ["1 query came for 1 name", "Clients asked 1 time for what clean-store blocks", "(1 query)."] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let words = page.split("TOTALS").next().unwrap();
    assert!(!words.contains("0 of 0") && !words.contains("of 0 clients"), "{words}");
}

/// What an exception matched isn't all that it let pass.
#[test]
fn exceptions_that_nothing_would_have_blocked_are_not_told_as_let_pass() {
    let all = [
        said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block),
        said("clean-store/tiktok", (2, "u.example"), Trigger::Qname, Outcome::Except),
    ];
    let rows = all.map(|said| Row {
        verdicts: Arc::new(Verdicts::new(None, vec![said], vec![])),
        ..row("c1", "t.example", START)
    });
    let page = told(&report(&rows));
    assert!(page.contains("matched 1 query, with those that nothing would have blocked all the same"), "{page}");
    assert!(!page.contains("let 1"), "{page}");
}

/// A list that is downloaded again and again is one, with all that its texts said.
#[test]
fn a_list_is_one_in_all_its_texts() {
    let at = |version: &str, rule| Said {
        version: version.into(),
        ..said("p/s", (1, rule), Trigger::Qname, Outcome::Block)
    };
    let hit = |client, said, second| Row { verdicts: verdicts([said]), ..row(client, "a.example", START + second) };
    let rows = [
        hit("c1", at("a", "a.example"), 0),
        hit("c2", at("c", "a.example"), 2),
        hit("c1", at("b", "b.example"), 1),
        hit("c1", at("b", "b.example"), 1),
    ];
    let tally = tally(&rows, Filter::default());
    let lists = vec![crate::report::KnownList { version: "c".into(), ..known("p/s", "enforce", 4) }];
    let report = tally.finish(&Context { lists, ..context() });
    let one = &report.lists[0];
    assert_eq!((report.lists.len(), one.hits.blocked, one.hits.clients.part), (1, 4, 2));
    assert_eq!((&*one.version, one.versions.there_are, one.versions.rows.join(" ")), ("c", 3, "c b a".to_owned()));
    assert_eq!((one.rules_hit, one.rules, one.rules_never_hit), (2, Some(4), None), "one may have been removed");
    assert_eq!((one.hits.first.map(|at| at.0), one.hits.last.map(|at| at.0)), (Some(START), Some(START + 2)));
    // Whoever has its text knows which.
    let text_in_force = ListText { version: "c", ..LIST };
    let rules = [(1, "a.example"), (2, "c.example"), (3, "d.example"), (4, "e.example")];
    let report = report.with_never_hit(vec![tally.never_hit(text_in_force, candidates(&rules)).unwrap()]);
    assert_eq!(report.lists[0].rules_never_hit, Some(3));
    let page = text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("c, 2 others"), "{page}");
    assert!(csv(&report).contains(",versions,3,"), "{}", csv(&report));
}

/// Its line moves, and its list's text changes with each download.
#[test]
fn a_rule_is_one_in_all_texts_of_its_list() {
    let at = |version: &str, line, rule| Said {
        version: version.into(),
        ..said("clean-store/tiktok", (line, rule), Trigger::Qname, Outcome::Block)
    };
    let rows: Vec<Row> = [
        ("c1", at("a", 1, "t.example"), 0),
        ("c2", at("c", 9, "t.example"), 2),
        ("c1", at("b", 5, "t.example"), 1),
        // Which rule that is only its line tells.
        ("c1", at("a", 3, ""), 0),
        ("c1", at("a", 4, ""), 0),
        ("c1", at("b", 3, ""), 1),
    ]
    .map(|(client, said, second)| Row { verdicts: verdicts([said]), ..row(client, "t.example", START + second) })
    .into();
    let rules = report(&rows).rules;
    let first = &rules.rows[0];
    assert_eq!((rules.there_are, first.hits.blocked, first.hits.clients.part), (4, 3, 2));
    assert_eq!((&*first.rule, &*first.version, first.line), ("t.example", "c", 9));
    assert_eq!(first.triggers.iter().map(|at| at.queries).sum::<u64>(), 3);
    assert_eq!((first.hits.first.map(|at| at.0), first.hits.last.map(|at| at.0)), (Some(START), Some(START + 2)));
}
