//! What is done with octets that anybody may have written: each function is a fuzz target, and takes every input or
//! panics. `tests/it/fuzz_corpus.rs` runs the same functions over the corpora and over changed copies of them.

pub mod recipe;
pub mod twin;

use cleandns::{
    dns::{
        Class, HEADER_BYTES, MessageWriter, Name, Record, RrType, Section, extended_error, parse_query, read_records,
    },
    policy::{
        Asking, Client, Link, ListSpec, Mode, OwnerException, Pause, Policy, PolicySpec, ProgramSpec, Reached, Role,
        RuleSet, Trigger,
        parse::{Extent, Format, Options, Parsed, Parser, Unusable, parse},
    },
};
use recipe::Choices;
use std::{net::IpAddr, sync::Arc};
use twin::{Twin, said};

/// What a target is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, by the names of their corpora.
pub const TARGETS: [Target; 7] = [
    ("text", text),
    ("adblock", adblock),
    ("rpz", rpz),
    ("dnsmasq", dnsmasq),
    ("unbound", unbound),
    ("verdict", verdict),
    ("message", message),
];

/// Rules of a list that the twin looks through; with more, a run takes too long.
const RULES_MAX: usize = 300;
/// Shown rules read back in a run.
const SHOWN_MAX: usize = 30;

/// The formats of one rule a line.
pub fn text(data: &[u8]) {
    for format in [Format::Auto, Format::Ours, Format::Domains, Format::Hosts, Format::Wildcard, Format::Regex] {
        list(format, data);
    }
}

pub fn adblock(data: &[u8]) {
    list(Format::Adblock, data);
}

pub fn rpz(data: &[u8]) {
    list(Format::Rpz, data);
}

pub fn dnsmasq(data: &[u8]) {
    list(Format::Dnsmasq, data);
}

pub fn unbound(data: &[u8]) {
    list(Format::Unbound, data);
}

/// A list reads the same in pieces as at once, and what came of it is sound.
fn list(format: Format, data: &[u8]) {
    let options = Options { format, extent: Extent::Subtree, ..Options::default() };
    let at_once = parse(data, &options);
    let size = 1 + data.iter().map(|&octet| usize::from(octet)).sum::<usize>() % 97;
    let mut parser = Parser::new(&options, 0);
    data.chunks(size).for_each(|piece| parser.feed(piece));
    let in_pieces = parser.finish();
    assert_eq!(report(&at_once), report(&in_pieces), "in pieces of {size}");
    let Ok(parsed) = at_once else { return };
    let ends = |octet| data.iter().filter(|&&own| own == octet).count();
    let lines = (ends(b'\n') + ends(b'\r') + 1) as u32;
    for (_, rule) in parsed.rules.iter() {
        assert!((1..=lines).contains(&rule.head.line), "line {} of {lines}", rule.head.line);
    }
    for skipped in &parsed.skipped.first {
        assert!((1..=lines).contains(&skipped.line) && !skipped.reason.is_empty(), "{skipped:?}");
        assert!(!skipped.reason.contains(char::is_control), "{skipped:?}");
    }
    reads_back(&parsed.rules);
}

/// Everything that came of a list.
fn report(parsed: &Result<Parsed, Unusable>) -> String {
    match parsed {
        Err(unusable) => unusable.to_string(),
        Ok(parsed) => {
            let rules: Vec<_> = parsed.rules.iter().map(|(_, rule)| rule.unpack()).collect();
            let Parsed { format, header, rules: set, skipped, held, warned } = parsed;
            let zone = (set.zone(), set.disabled(), set.name_count(), set.exceptions());
            format!("{format:?} {header:?} {skipped:?} {held:?} {warned:?} {zone:?} {rules:?}")
        }
    }
}

/// What a rule is shown as is read as that rule, unless it is shown with words in parentheses.
fn reads_back(rules: &RuleSet) {
    for rule in rules.iter().map(|(_, rule)| rule.unpack()).take(SHOWN_MAX) {
        let shown = rule.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        if shown.contains(" (") {
            continue;
        }
        let again = parse(format!("#! cleandns\n{shown}\n").as_bytes(), &Options::default());
        let again = again.unwrap_or_else(|unusable| panic!("`{shown}` {rule:?}: {unusable}"));
        let again: Vec<_> = again.rules.iter().map(|(_, rule)| rule.unpack()).collect();
        let expected = cleandns::policy::Rule { line: 2, ..rule };
        assert_eq!(again, [expected], "{shown}");
    }
}

/// Whatever lists say, the index finds what a scan finds. Octets with `===` in them are a case written down, for which
/// see `written`; any others are choices.
pub fn verdict(data: &[u8]) {
    if let Some(sections) = std::str::from_utf8(data).ok().filter(|text| text.contains("===\n")) {
        return written(sections);
    }
    let mut choices = Choices(data);
    let spec = choices.policy();
    let policy = Policy::build(spec.clone()).expect("a small policy");
    let backwards = backwards(&spec).map(|spec| Policy::build(spec).expect("a small policy"));
    for _ in 0..4 {
        let query = choices.query();
        agree(&spec, &policy, backwards.as_ref(), &query.asking(), &query.links);
    }
}

/// Policy and twin say the same, and so do the policy with its lines the other way round and the policy that is told
/// no more than it says it needs.
fn agree(spec: &PolicySpec, policy: &Policy, backwards: Option<&Policy>, asking: &Asking<'_>, links: &[Link]) {
    let twin = Twin::new(spec);
    let question = policy.on_question(asking);
    assert_eq!(said(&question), twin.on_question(asking), "the question: {}", story(spec, asking, links));
    let answer = policy.on_answer(&question, asking, links);
    assert_eq!(said(&answer), twin.on_answer(asking, links), "the answer: {}", story(spec, asking, links));
    let outcomes = |verdict: &cleandns::policy::Verdict| {
        let programs: Vec<_> = verdict.programs.iter().map(|said| (said.program, said.outcome)).collect();
        (verdict.owner, programs)
    };
    let needs = policy.needs_for(&question);
    let needed = links.iter().filter(|link| match (&link.what, link.trigger) {
        (_, Trigger::NsName) => needs.ns_names,
        (_, Trigger::NsAddress) => needs.ns_addresses,
        (Reached::Address(_), _) => needs.addresses,
        (Reached::Name(_), _) => true,
    });
    let needed: Vec<Link> = needed.copied().collect();
    let with_needed = policy.on_answer(&question, asking, &needed);
    assert_eq!(outcomes(&with_needed), outcomes(&answer), "needed is {needs:?}: {}", story(spec, asking, links));
    if let Some(backwards) = backwards {
        let question = backwards.on_question(asking);
        let other = backwards.on_answer(&question, asking, links);
        assert_eq!(outcomes(&other), outcomes(&answer), "backwards: {}", story(spec, asking, links));
    }
}

/// The same lists with their lines in reverse. `None` if there are zones, in which the first of two contradicting lines
/// counts.
fn backwards(spec: &PolicySpec) -> Option<PolicySpec> {
    let mut spec = spec.clone();
    for list in &mut spec.lists {
        if list.rules.zone().is_some() {
            return None;
        }
        if !list.rules.disabled().is_empty() {
            continue;
        }
        let own: Vec<_> = list.rules.iter().map(|(_, rule)| rule.unpack()).collect();
        let mut rules = RuleSet::default();
        for (line, rule) in own.into_iter().rev().enumerate() {
            rules.push(cleandns::policy::Rule { line: line as u32 + 1, ..rule }).expect("a small list");
        }
        list.rules = Arc::new(rules);
    }
    Some(spec)
}

/// A failing case in words.
fn story(spec: &PolicySpec, asking: &Asking<'_>, links: &[Link]) -> String {
    let mut text = format!("{asking:?}\n  {links:?}\n  ceiling {}\n", spec.mode);
    for program in &spec.programs {
        text += &format!("  {} {} {:?} {:?}\n", program.name, program.mode, program.services, program.schedule);
    }
    spec.groups.iter().for_each(|group| text += &format!("  {group:?}\n"));
    spec.owner_exceptions.iter().for_each(|exception| text += &format!("  {exception:?}\n"));
    for list in &spec.lists {
        let ListSpec { role, service, default, never_acts, .. } = list;
        let zone = list.rules.zone().is_some();
        text += &format!("  {role:?} {service} {default:?} never acts {never_acts} zone {zone}\n");
        list.rules.iter().for_each(|(_, rule)| text += &format!("    {}: {}\n", rule.head.line, rule.unpack()));
    }
    text
}

/// A case as text: words, a list, another, and what is asked, with `===` between.
///
/// - Words: `shadow` or `off` is the second list's mode, `other` has it in a program of its own, `owner` makes it the
///   owner's exceptions; `tcp` and `paused` are the query's.
/// - A line asks for a name and type; after them stands what the answer leads to: `cname:x`, `dname:x`, `svcb:x`,
///   `a:192.0.2.1`, `hint:192.0.2.1`, `ns:x`, `nsip:192.0.2.1`.
fn written(text: &str) {
    let mut sections = text.split("===\n");
    let mut next = || sections.next().unwrap_or_default();
    let words: Vec<&str> = next().split_whitespace().collect();
    let is = |word| words.contains(&word);
    let mut lists = Vec::new();
    for (at, text) in [next(), next()].into_iter().enumerate() {
        let options = Options { extent: Extent::Subtree, ..Options::default() };
        let Some(parsed) = parse(text.as_bytes(), &options).ok().filter(|parsed| parsed.rules.len() < RULES_MAX) else {
            continue;
        };
        let own_mode = if is("shadow") { Some(Mode::Shadow) } else { is("off").then_some(Mode::Off) };
        let role = match at {
            1 if is("owner") => Role::Owner(0),
            1 if is("other") => Role::Program(1),
            _ => Role::Program(0),
        };
        lists.push(ListSpec {
            role,
            service: format!("s{at}"),
            default: own_mode.filter(|_| at == 1).or(parsed.header.default),
            never_acts: false,
            name: format!("l{at}"),
            version: 0,
            rules: Arc::new(parsed.rules),
        });
    }
    let program = |name: &str| ProgramSpec::enforced(name);
    let exception = OwnerException {
        names: vec![],
        programs: vec![],
        groups: vec![],
        until: None,
        reason: String::new(),
        place: String::new(),
    };
    let spec =
        PolicySpec { owner_exceptions: vec![exception], ..PolicySpec::of(vec![program("p0"), program("p1")], lists) };
    let policy = Policy::build(spec.clone()).expect("a small policy");
    let pauses = if is("paused") { vec![Pause { group: None, client: None, until: 1 }] } else { vec![] };
    for line in next().lines().take(20) {
        let Some((name, rr_type, links)) = asked(line) else { continue };
        let client = Client { address: IpAddr::from([192, 0, 2, 9]), id: None, mac: None, tcp: is("tcp"), group: None };
        let asking = Asking { name: &name, rr_type, client, now: 0, pauses: &pauses };
        agree(&spec, &policy, None, &asking, &links);
    }
}

/// `name type link…`
fn asked(line: &str) -> Option<(Name, RrType, Vec<Link>)> {
    let mut words = line.split_whitespace();
    let (name, rr_type) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let link = |word: &str| {
        let (kind, what) = word.split_once(':')?;
        let name = |trigger| Some(Link::name(what.parse().ok()?, trigger));
        let address = |trigger| Some(Link::address(what.parse().ok()?, trigger));
        match kind {
            "cname" => name(Trigger::Cname),
            "dname" => name(Trigger::Dname),
            "svcb" => name(Trigger::SvcbTarget),
            "ns" => name(Trigger::NsName),
            "a" => address(Trigger::Address),
            "hint" => address(Trigger::Hint),
            "nsip" => address(Trigger::NsAddress),
            _ => None,
        }
    };
    Some((name, rr_type, words.filter_map(link).take(10).collect()))
}

/// Messages off the wire: read without harm, and what is written of their records reads the same.
pub fn message(data: &[u8]) {
    if let Ok(query) = parse_query(data) {
        let wire = query.question.name.as_wire();
        assert_eq!(Name::from_wire(wire).as_ref(), Ok(&query.question.name));
        let shown = query.question.name.to_string();
        assert_eq!(shown.parse::<Name>().as_ref(), Ok(&query.question.name), "{shown}");
        answered(data, query.question_bytes);
    }
    let _ = extended_error(data);
    let Ok(records) = read_records(data) else { return };
    let mut out = Vec::new();
    let mut writer = MessageWriter::new(&mut out, usize::from(u16::MAX), 1, [0x80, 0]);
    let written = records.iter().take_while(|(section, record)| writer.record(*section, record).is_ok()).count();
    writer.finish();
    let again = read_records(&out).expect("what was written can be read");
    assert_eq!(again, records[..written]);
}

/// A response begins with the question's own octets; names after them may point into it, and read as they are.
fn answered(data: &[u8], question_bytes: usize) {
    let question = &data[HEADER_BYTES..HEADER_BYTES + question_bytes];
    let (name, _) = Name::read(data, HEADER_BYTES).expect("it was read before");
    let below: Result<Name, _> = Name::from_wire(&[b"\x01x".as_slice(), name.as_wire()].concat());
    let owners = [Some(name), below.ok(), Some(name.ancestor(1)), name.ancestor(1).relative_to(&name.ancestor(2))];
    let record = |owner: &Name| Record {
        owner: *owner,
        rr_type: RrType::CNAME,
        class: Class::IN,
        ttl: 1,
        data: owner.as_wire().to_vec(),
    };
    let records: Vec<Record> = owners.iter().flatten().map(record).collect();
    let mut out = Vec::new();
    let mut writer = MessageWriter::new(&mut out, 4096, 1, [0x81, 0x80]);
    writer.echo_question(question);
    records.iter().for_each(|record| writer.record(Section::Answer, record).expect("four names fit"));
    writer.finish();
    let again = read_records(&out).expect("what was written can be read");
    assert_eq!(again.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), records);
}
