//! Files of events: what is written, and what is read of them.

use super::*;
use crate::{
    dns::{Class, ExtendedError, MessageWriter, Rcode, Record, RrType},
    query_log::dnstap::{encode, frames},
    replay::input::{Around, open, tests::steps},
};
use frames::{Control, put_data};
use std::io::Cursor;

const OWN: &[u8] = b"cleandns 0.1.0";
const BASE: &str = "192.0.2.7 2023-11-14T22:13:20Z";
const TIME: i64 = 1_700_000_000_000_000;

/// A stream of such events, with its end.
fn stream(version: &[u8], events: &[Event<'_>]) -> Vec<u8> {
    let mut out = Control::Start.frame();
    for event in events {
        assert!(put_data(&mut out, |out| encode(event, b"here", version, out)));
    }
    Control::Stop.put(&mut out);
    out
}

/// A message: a query without `answer`.
fn message(id: u16, name: &str, answer: Option<&[Record]>, ede: Option<&ExtendedError>) -> Vec<u8> {
    let mut out = Vec::new();
    let flags = if answer.is_some() { [0x81, 0x80] } else { [1, 0] };
    let mut writer = MessageWriter::new(&mut out, 512, id, flags);
    writer.question(&name.parse().unwrap(), RrType::A, Class::IN);
    for record in answer.unwrap_or_default() {
        writer.record(Section::Answer, record).unwrap();
    }
    let ede = ede.map(|error| (error.code, error.text.as_str()));
    writer.edns(1232, false, Rcode::NOERROR, ede).unwrap();
    writer.finish();
    out
}

fn record(owner: &str, rr_type: RrType, data: &[u8]) -> Record {
    Record { owner: owner.parse().unwrap(), rr_type, class: Class::IN, ttl: 60, data: data.to_vec() }
}

fn wire(name: &str) -> Vec<u8> {
    name.parse::<Name>().unwrap().as_wire().to_vec()
}

fn event(kind: Kind) -> Event<'static> {
    Event {
        transport: Some(Transport::Udp),
        query_address: Some("192.0.2.7:4000".parse().unwrap()),
        query_time: Some(TIME),
        ..Event::new(kind)
    }
}

fn query(id: u16, name: &str) -> Event<'static> {
    Event { query: message(id, name, None, None).into(), ..event(Kind::ClientQuery) }
}

fn response(id: u16, name: &str, answer: &[Record]) -> Event<'static> {
    let response = message(id, name, Some(answer), None).into();
    Event { response, response_time: Some(TIME + 5), ..event(Kind::ClientResponse) }
}

fn policy(
    rule: &str,
    action: Option<Action>,
    matched: Option<Matched>,
    value: &[u8],
) -> Option<PolicyApplied<'static>> {
    let (rule, value) = (rule.as_bytes().to_vec().into(), value.to_vec().into());
    Some(PolicyApplied { kind: POLICY_KIND.into(), rule, action, matched, value })
}

/// A file for whoever wants one to spoil.
pub(in super::super) fn file() -> Vec<u8> {
    let blocked = policy("p/s s.list:7 a.example", Some(Action::NxDomain), Some(Matched::Qname), &wire("a.example"));
    stream(OWN, &[query(1, "a.example"), Event { policy: blocked, ..response(1, "a.example", &[]) }])
}

#[test]
fn a_query_is_one_with_its_response() {
    let said = |name: &str, policy| vec![query(7, name), Event { policy, ..response(7, name, &[]) }];
    let (qname, address) = (Some(Matched::Qname), Some(Matched::ResponseIp));
    let chain = [
        record("www.a.example", RrType::CNAME, &wire("cdn.b.example")),
        record("cdn.b.example", RrType::A, &[192, 0, 2, 9]),
    ];
    let zeros = [record("www.a.example", RrType::A, &[0; 4])];
    let block = |rule, value: &[u8]| policy(rule, Some(Action::NxDomain), qname, value);
    let own = wire("www.a.example");
    let refused = message(7, "www.a.example", Some(&[]), Some(&ExtendedError::new(18, "")));
    let table: Vec<(Vec<Event<'_>>, &str)> = vec![
        (vec![query(7, "www.a.example")], "passed"),
        (said("www.a.example", None), "passed"),
        (said("www.a.example", block("p/s s.list:7 a.example", &own)), "blocked p/s s.list:7"),
        (said("www.a.example", block("p/s my s.list:7 a.example", &[])), "blocked p/s my s.list:7"),
        (said("www.a.example", policy("p/s s.list:7 a.example", None, qname, &own)), "would-block p/s s.list:7"),
        (said("www.a.example", policy("p/s s.list:7", Some(Action::Pass), qname, &own)), "excepted p/s s.list:7"),
        (
            said("www.a.example", policy("exception c.toml:3", Some(Action::Pass), None, &[])),
            "excepted / exception c.toml:3",
        ),
        (
            said("www.a.example", block("p/s s.list:7 b.example", &wire("cdn.b.example"))),
            ">cdn.b.example blocked p/s s.list:7",
        ),
        // Which alias that was isn't told: not the name asked.
        (said("www.a.example", block("p/s s.list:7 b.example", &[])), "passed unaskable"),
        (said("www.a.example", block("p/s s.list:7 =a.example", &[])), "passed unaskable"),
        (
            said("www.a.example", policy("p/s s.list:7 192.0.2.0/24", Some(Action::NoData), address, &[192, 0, 2, 9])),
            "=192.0.2.9 blocked p/s s.list:7",
        ),
        // Neither is what a rule in shadow looked at, but the packet has it.
        (
            vec![
                query(7, "www.a.example"),
                Event {
                    policy: policy("p/s s.list:7 192.0.2.0/24", None, address, &[]),
                    ..response(7, "www.a.example", &chain)
                },
            ],
            ">cdn.b.example =192.0.2.9 would-block p/s s.list:7",
        ),
        // What the rule looked at is not told.
        (
            said("www.a.example", policy("p/s s.list:7", Some(Action::NoData), Some(Matched::ResponseIp), &[])),
            "passed unaskable",
        ),
        (
            said("www.a.example", policy("p/s s.list:7", Some(Action::NoData), Some(Matched::ClientIp), &[])),
            "blocked p/s s.list:7",
        ),
        // No response at all.
        (
            vec![Event {
                policy: policy("p/s s.list:7 a.example", Some(Action::Drop), qname, &own),
                ..query(7, "www.a.example")
            }],
            "blocked p/s s.list:7",
        ),
        (vec![query(7, "www.a.example"), response(7, "www.a.example", &chain)], ">cdn.b.example =192.0.2.9 passed"),
        // An address that was made up to block is none that the name leads to.
        (
            vec![
                query(7, "www.a.example"),
                Event {
                    policy: policy("p/s s.list:7 a.example", Some(Action::LocalData), qname, &own),
                    ..response(7, "www.a.example", &zeros)
                },
            ],
            "blocked p/s s.list:7",
        ),
        // Another program's word is none of ours.
        (
            said("www.a.example", Some(PolicyApplied { kind: "RPZ".into(), ..block("p/s s.list:7", &own).unwrap() })),
            "passed",
        ),
        (vec![query(7, "www.a.example"), Event { response: refused.into(), ..event(Kind::ClientResponse) }], ""),
    ];
    for (events, expected) in table {
        let expected = if expected.is_empty() { vec![] } else { vec![format!("www.a.example A {BASE} {expected}")] };
        assert_eq!(steps(&stream(OWN, &events), None), expected);
    }
}

#[test]
fn what_stands_beside_a_message_tells_of_the_client() {
    let with = |extra: &str, own: &[u8]| {
        let event = Event { extra: extra.as_bytes().to_vec().into(), ..query(7, "a.example") };
        let clock = Around::utc(0);
        let mut source = open(Cursor::new(stream(own, &[event])), None, None, &clock).unwrap().source;
        let mut asked = Asked::default();
        assert_eq!(source.advance(&mut asked).unwrap(), Step::Asked);
        (asked.client.map(|client| client.to_string()).unwrap_or_default(), asked.client_text, asked.group)
    };
    let told = |client: &str, text: &str, group: &str| (client.to_owned(), text.to_owned(), group.to_owned());
    assert_eq!(with("", OWN), told("192.0.2.7", "", ""));
    assert_eq!(with("group=kids", OWN), told("192.0.2.7", "", "kids"));
    assert_eq!(with("privacy=prefix;group=kids", OWN), told("", "192.0.2.0/24", "kids"));
    assert_eq!(with("privacy=prefix;group=kids", b"other 1.0"), told("192.0.2.7", "", ""));
}

#[test]
fn files_of_other_programs() {
    let answer = [record("b.example", RrType::A, &[192, 0, 2, 9])];
    let resolver = Event { query: message(1, "c.example", None, None).into(), ..Event::new(Kind::ResolverQuery) };
    let lone = |at: u16| response(at, "b.example", &answer);
    let (a, b) = (format!("a.example A {BASE}"), format!("b.example A {BASE} =192.0.2.9"));
    for (events, expected) in [
        // Responses out of order; the last comes for nothing that waits.
        (vec![query(1, "a.example"), query(2, "b.example"), resolver, lone(2), lone(3)], [&b[..], &a]),
        // Nothing but responses.
        (vec![lone(1), lone(2)], [&b, &b]),
        // The file begins within an exchange.
        (vec![lone(1), query(2, "a.example"), lone(1)], [&b, &a]),
        // The same number, from another client, and at another time.
        (
            vec![
                query(2, "b.example"),
                Event { query_address: Some("192.0.2.8:1".parse().unwrap()), ..lone(2) },
                Event { query_time: Some(TIME + 1), ..lone(2) },
                query(3, "a.example"),
            ],
            [&format!("b.example A {BASE}"), &a],
        ),
    ] {
        let file = stream(b"other 1.0", &events);
        assert_eq!(steps(&file, None), expected);
        let clock = Around::utc(0);
        assert!(!open(Cursor::new(file), None, None, &clock).unwrap().tells_verdicts);
    }
}

/// Responses that no query stands beside count only where their query would.
#[test]
fn lone_responses_to_what_no_policy_is_asked_about() {
    let spoilt = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut message = message(1, "a.example", Some(&[]), None);
        spoil(&mut message);
        Event { response: message.into(), ..event(Kind::ClientResponse) }
    };
    // The question's type and class stand before the OPT record.
    let (class, rr_type) = (|message: &[u8]| message.len() - 12, |message: &[u8]| message.len() - 14);
    let not_judged = format!("frame 2: skipped: {NOT_JUDGED}");
    for (response, expected) in [
        (spoilt(&|_| {}), format!("a.example A {BASE}")),
        (
            spoilt(&|message| {
                let at = class(message);
                message[at] = 3;
            }),
            not_judged.clone(),
        ),
        (
            spoilt(&|message| {
                let at = rr_type(message);
                message[at] = 252;
            }),
            not_judged.clone(),
        ),
        // NOTIFY.
        (spoilt(&|message| message[2] |= 4 << 3), not_judged),
        (
            spoilt(&|message| message[5] = 0),
            "frame 2: skipped: the event holds no message, or one without a question".to_owned(),
        ),
    ] {
        assert_eq!(steps(&stream(b"other 1.0", &[response]), None), [expected]);
    }
}

/// What resolvers ask name servers is no query of a client's, whoever wrote it down.
#[test]
fn only_messages_of_clients_count() {
    let others = [Kind::ResolverQuery, Kind::ResolverResponse].map(|kind| {
        let (query, response) = (message(1, "c.example", None, None), message(1, "c.example", Some(&[]), None));
        Event { query: query.into(), response: response.into(), ..event(kind) }
    });
    let file = stream(b"other 1.0", &[others[0].clone(), query(2, "a.example"), others[1].clone()]);
    assert_eq!(steps(&file, None), [format!("a.example A {BASE}")]);
}

#[test]
fn more_wait_than_may() {
    let names: Vec<String> = (0..WAITING_MAX + 10).map(|at| format!("n{at}.example")).collect();
    let mut events: Vec<_> = names.iter().map(|name| query(1, name)).collect();
    // Too late: it isn't counted once more.
    events.push(response(1, &names[0], &[]));
    let expected: Vec<_> = names.iter().map(|name| format!("{name} A {BASE} passed")).collect();
    assert_eq!(steps(&stream(OWN, &events), None), expected);
}

#[test]
fn files_that_end_early_and_events_that_are_none() {
    let whole = file();
    let line = format!("a.example A {BASE} blocked p/s s.list:7");
    // Its writer is still at work.
    assert_eq!(steps(&whole[..whole.len() - 12], None), [line.as_str()]);
    let torn = [&whole[..whole.len() - 12], b"\0\0\0\x09hal"].concat();
    assert_eq!(steps(&torn, None), [line.as_str(), "frame 4: broken: it ends within the frame"]);
    let mut odd = Control::Start.frame();
    assert!(put_data(&mut odd, |out| out.extend_from_slice(b"\xff\xff")));
    let class_any = {
        let mut message = message(1, "a.example", None, None);
        let at = message.len() - 11 - 1;
        message[at] = 255;
        message
    };
    for query in [Vec::new(), vec![0; 3], class_any] {
        let event = Event { query: query.into(), ..event(Kind::ClientQuery) };
        assert!(put_data(&mut odd, |out| encode(&event, b"", b"", out)));
    }
    let read = steps(&odd, None);
    assert!(read[0].starts_with("frame 2: skipped: it is no dnstap payload"), "{read:?}");
    let others = ["frame 3: skipped: the event holds no message".to_owned(), format!("frame 5: skipped: {NOT_JUDGED}")];
    assert_eq!(read[1..], others);
}
