//! Deciding on a question allocates nothing.

use crate::names;
use allocation_counter::measure;
use cleandns::{
    dns::{Name, RrType},
    policy::{
        Asking, BlockAnswer, Client, ClientKey, Geo, GroupSpec, ListSpec, Mode, OwnerException, Policy, PolicySpec,
        ProgramSpec, Role, Schedule, Scope, Verdict, Zone,
        parse::{Options, parse},
    },
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

/// Programs of which each says something: as many as a verdict holds without allocation.
const PROGRAMS: usize = 4;
const PATTERNS: &str = "#! cleandns\n/^ads?[0-9]+\\./\n||metric*.example^\n*tracker*\n/^[a-z]{3}[0-9]{5}/\n\
    ||typed.example^$dnstype=A,client=192.168.0.0/16,denyallow=ok.typed.example\nclient:10.9.0.0/16\n";

fn policy() -> Policy {
    let program = |number| ProgramSpec {
        name: format!("p{number}"),
        mode: Mode::Enforce,
        block: BlockAnswer::NxDomain,
        ede: 15,
        services: BTreeMap::new(),
        schedule: Some(Schedule::parse("daily 00:00-24:00 Europe/Berlin", &Zone::utc()).unwrap()),
    };
    let list = |(number, text): (usize, &str)| ListSpec {
        role: Role::Program(number),
        service: "s".to_owned(),
        default: None,
        never_acts: false,
        name: "l".to_owned(),
        version: 0,
        rules: Arc::new(parse(text.as_bytes(), &Options::default()).unwrap().rules),
    };
    let group = |number: u8| GroupSpec {
        name: format!("g{number}"),
        clients: vec![ClientKey::Net(format!("192.168.{number}.0/24").parse().unwrap())],
        tags: vec!["kids".to_owned()],
        programs: BTreeMap::from([(1, Mode::Shadow)]),
        services: BTreeMap::new(),
        schedule: Some(Schedule::parse("Mon-Fri 08:00-17:00 Europe/Berlin", &Zone::utc()).unwrap()),
    };
    let exception = OwnerException {
        names: vec![("mine.example".parse().unwrap(), Scope::Subtree)],
        programs: vec![],
        groups: vec![],
        until: None,
        reason: String::new(),
        place: String::new(),
    };
    let names = format!("#! cleandns\n{}seen.example\n", names::domains(2000));
    let texts = [names.as_str(), PATTERNS, "#! cleandns\nseen.example\n", "$TTL 60\nseen.example CNAME .\n"];
    Policy::build(PolicySpec {
        epoch: 1,
        mode: Mode::Enforce,
        block_ttl: Duration::from_secs(30),
        programs: (0..PROGRAMS).map(program).collect(),
        lists: texts.into_iter().enumerate().map(list).collect(),
        owner_exceptions: vec![exception],
        groups: (0..50).map(group).collect(),
        geo: Geo::default(),
        seed: 7,
    })
    .unwrap()
}

#[test]
fn on_question_allocates_nothing() {
    let policy = policy();
    let client =
        |address: [u8; 4]| Client { address: IpAddr::from(address), id: Some("laptop"), mac: None, tcp: false };
    let mut random = names::Random::new(1);
    let listed = names::name(&mut random, 0);
    let deep: Vec<String> = (0..8).map(|_| names::label(&mut random)).collect();
    let deepest = ["a"; 126].join(".");
    let asked = [
        (listed.as_str(), 1),
        ("seen.example", 3),
        ("unlisted.example", 0),
        (&deep.join("."), 0),
        (&deepest, 0),
        ("x.mine.example", 0),
        ("ads1.example", 1),
        ("metrics.example", 1),
        ("mytracker.test", 1),
        ("abc12345.test", 1),
        ("typed.example", 1),
        ("ok.typed.example", 0),
        (".", 0),
    ];
    let names: Vec<(Name, usize)> = asked.iter().map(|(text, said)| (text.parse().unwrap(), *said)).collect();
    let ask = |name: &Name, address| {
        let asking = Asking { name, rr_type: RrType::A, client: client(address), now: 1_767_600_000, pauses: &[] };
        policy.on_question(&asking)
    };
    for address in [[192, 168, 7, 1], [192, 168, 200, 1], [172, 16, 0, 1]] {
        for (name, said) in &names {
            // Regular expressions make their scratch space when they are first used.
            let _ = ask(name, address);
            let mut verdict = Verdict::default();
            let counted = measure(|| verdict = ask(name, address));
            assert_eq!(counted.count_total, 0, "{name} {address:?}");
            if address[1] == 168 {
                assert_eq!(verdict.programs.len(), *said, "{name} {address:?}");
            }
        }
    }
}
