//! Lists as large and as bad as they come, through the reader: every rule and every skipped line accounted for.

use crate::names;
use cleandns::{
    dns::{Name, RrType},
    policy::{
        Asking, Client, ListSpec, Policy, PolicySpec, ProgramSpec, RuleSet,
        parse::{Format, Options, Parsed, Parser, TOLD_KEPT, parse},
    },
};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// No list here takes longer to read in a debug build on a busy machine.
const READ_WITHIN: Duration = Duration::from_secs(60);

fn read(text: &str) -> Parsed {
    parse(text.as_bytes(), &Options::default()).unwrap()
}

fn policy(rules: RuleSet) -> Policy {
    let program = ProgramSpec::enforced("p");
    let list = ListSpec::of_program(0, "s", "l", rules);
    Policy::build(PolicySpec::of(vec![program], vec![list])).unwrap()
}

/// The line that blocks a name.
fn blocked_by(policy: &Policy, name: &str) -> Option<u32> {
    let name: Name = name.parse().unwrap();
    let client = Client { address: IpAddr::from([192, 0, 2, 9]), id: None, mac: None, tcp: false, group: None };
    let asking = Asking { name: &name, rr_type: RrType::A, client, now: 0, pauses: &[] };
    policy.on_question(&asking).block().map(|block| block.cause.line)
}

#[test]
fn a_hosts_file_of_two_hundred_thousand_lines() {
    const LINES: usize = 200_000;
    let parsed = read(&names::hosts(LINES));
    // One line of twenty is a comment, and one has two names.
    assert_eq!((parsed.format, parsed.rules.len(), parsed.rules.name_count()), (Format::Hosts, LINES, LINES));
    assert_eq!((parsed.skipped.count, parsed.held.count, parsed.warned.count), (0, 0, 0));
    let policy = policy(parsed.rules);
    assert_eq!(policy.rule_count(), LINES);
    assert_eq!(blocked_by(&policy, "localhost"), None);
    // The header has three lines.
    let mut random = names::Random::new(2);
    for serial in 0..LINES {
        let name = names::name(&mut random, serial);
        if serial % 97 == 0 || serial == LINES - 1 {
            let expected = (serial % 20 != 0).then_some(serial as u32 + 4);
            assert_eq!(blocked_by(&policy, &name), expected, "{name}");
            assert_eq!(blocked_by(&policy, &format!("below.{name}")), None, "{name}");
        }
    }
}

#[test]
fn a_hundred_thousand_names() {
    const LINES: usize = 100_000;
    let parsed = read(&names::domains(LINES));
    assert_eq!((parsed.format, parsed.rules.len(), parsed.rules.name_count()), (Format::Domains, LINES, LINES));
    assert_eq!((parsed.skipped.count, parsed.rules.exceptions()), (0, 0));
    assert_eq!(
        parsed.rules.iter().map(|(_, rule)| rule.head.line).collect::<Vec<_>>(),
        Vec::from_iter(1..=LINES as u32)
    );
}

#[test]
fn a_mixed_adblock_list_of_a_hundred_thousand_lines() {
    const LINES: usize = 100_000;
    let parsed = read(&names::adblock(LINES));
    let of_fifty = LINES / 50;
    // Modifiers for pages, cosmetic rules and rules on paths: of each one line of fifty.
    assert_eq!((parsed.format, parsed.skipped.count), (Format::Adblock, 3 * of_fifty));
    assert_eq!(parsed.skipped.first.len(), TOLD_KEPT);
    assert_eq!((parsed.rules.len(), parsed.rules.exceptions()), (LINES - 3 * of_fifty, of_fifty));
    // A regular expression and a pattern in a thousand lines.
    assert_eq!(parsed.rules.len() - parsed.rules.name_count(), 2 * LINES / 1000);
    assert_eq!(parsed.rules.iter().filter(|(_, rule)| rule.head.flags.is_important()).count(), of_fifty);
    let lines: Vec<u32> = parsed.skipped.first.iter().map(|skipped| skipped.line).collect();
    assert_eq!(lines[..6], [6, 7, 8, 56, 57, 58]);
    for word in ["modifier", "pages", "URLs"] {
        assert!(parsed.skipped.first[..3].iter().any(|skipped| skipped.reason.contains(word)), "{word}");
    }
}

#[test]
fn a_hostile_list_is_bounded_reported_and_survived() {
    const RULES: usize = 300_000;
    let started = Instant::now();
    let mut parser = Parser::new(&Options { format: Format::Adblock, ..Options::default() }, 0);
    parser.feed(b"||first.example^\n");
    // A line of 100 MB.
    for _ in 0..1000 {
        parser.feed(&[b'x'; 100_000]);
    }
    parser.feed(b"\n||nul\0.example^\n\0\0\0\0\n");
    let mut line = 4;
    let mut feed = |text: &str| {
        parser.feed(text.as_bytes());
        parser.feed(b"\n");
        line += 1;
    };
    let deep = |depth| format!("/{}ab{}/", "(".repeat(depth), ")".repeat(depth));
    let bad = [
        deep(2000),
        deep(60),
        "/(a{500}){500}/".to_owned(),
        "/((((x{100}){100}){100}){100})/".to_owned(),
        format!("/{}/", "(a|b)*".repeat(600)),
        "/(?<n>a)\\k<n>/".to_owned(),
        format!("||{}^", "a.".repeat(1500)),
        format!("||x.example^$client={}", "a|".repeat(1900)),
        format!("||x.example^$denyallow={}", "*|".repeat(1900)),
    ];
    bad.iter().for_each(|text| feed(text));
    for number in 0..RULES {
        feed(&format!("||{}.n{number}.example^", ["a", "A", "ü", "_"][number % 4]));
    }
    // More patterns than a list may have, none of which has a text that must be in a name.
    for number in 0..10_200 {
        feed(&format!("/[a-c][{}-z][0-9]/", char::from(b'a' + (number % 20) as u8)));
    }
    feed("||last.example^");
    let parsed = parser.finish().unwrap();
    assert!(started.elapsed() < READ_WITHIN, "{:?}", started.elapsed());
    assert_eq!(parsed.rules.name_count(), RULES + 2);
    assert_eq!(parsed.rules.len() - parsed.rules.name_count(), 10_000, "{:?}", parsed.skipped.first);
    assert_eq!(parsed.skipped.count, 3 + bad.len() + 200);
    let told: Vec<u32> = parsed.skipped.first.iter().map(|skipped| skipped.line).collect();
    assert_eq!(told[..3 + bad.len()], Vec::from_iter(2..2 + 3 + bad.len() as u32));
    assert!(parsed.skipped.first.iter().all(|skipped| skipped.reason.len() < 300 && !skipped.reason.contains('\0')));
    let policy = policy(parsed.rules);
    assert_eq!(blocked_by(&policy, "x.last.example"), Some(line));
    assert_eq!(blocked_by(&policy, "first.example"), Some(1));
    assert_eq!(blocked_by(&policy, "unlisted.example"), None);
}
