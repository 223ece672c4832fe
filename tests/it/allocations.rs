//! Deciding on a question allocates nothing.

use crate::names;
use allocation_counter::measure;
use cleandns::{
    cache::{Cache, Entry, Key, Life},
    config,
    dns::{Class, Name, Question, Rcode, Record, RrType, Transport},
    policy::{
        Asking, Client, ClientKey, GroupSpec, Link, ListSpec, Mode, OwnerException, Policy, PolicySpec, ProgramSpec,
        Schedule, Scope, Trigger, Verdict, Zone,
        parse::{Options, parse},
    },
    query::QueryRecord,
    query_log::{Privacy, QueryLog},
    resolve::{NameServersWanted, Resolution, Security},
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

const PATTERNS: &str = "#! cleandns\n/^ads?[0-9]+\\./\n||metric*.example^\n*tracker*\n/^[a-z]{3}[0-9]{5}/\n\
    ||typed.example^$dnstype=A,client=192.168.0.0/16,denyallow=ok.typed.example\nclient:10.9.0.0/16\n";

/// Four programs of which each says something: as many as a verdict holds without allocation.
fn policy() -> Policy {
    let seen = "seen.example\nseen.mine.example\n";
    let names = format!("#! cleandns\n{}{seen}listed.example\n@ok.listed.example\n", names::domains(2000));
    let patterns = format!("{PATTERNS}seen.mine.example\n");
    let zone = "$TTL 60\nseen.example CNAME .\nseen.mine.example CNAME .\n";
    policy_of([&names, &patterns, &format!("#! cleandns\n{seen}"), zone])
}

/// With a program for each list.
fn policy_of<const LISTS: usize>(texts: [&str; LISTS]) -> Policy {
    let program = |number| ProgramSpec {
        schedule: Some(Schedule::parse("daily 00:00-24:00 Europe/Berlin", &Zone::utc()).unwrap()),
        ..ProgramSpec::enforced(&format!("p{number}"))
    };
    let list = |(number, text): (usize, &str)| {
        ListSpec::of_program(number, "s", "l", parse(text.as_bytes(), &Options::default()).unwrap().rules)
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
    Policy::build(PolicySpec {
        owner_exceptions: vec![exception],
        groups: (0..50).map(group).collect(),
        ..PolicySpec::of((0..LISTS).map(program).collect(), texts.into_iter().enumerate().map(list).collect())
    })
    .unwrap()
}

#[test]
fn on_question_allocates_nothing() {
    let policy = policy();
    let client = |address: [u8; 4]| Client {
        address: IpAddr::from(address),
        id: Some("laptop"),
        mac: None,
        tcp: false,
        group: None,
    };
    let mut random = names::Random::new(1);
    let listed = names::name(&mut random, 0);
    let deep: Vec<String> = (0..8).map(|_| names::label(&mut random)).collect();
    let deepest = ["a"; 126].join(".");
    // How many programs say something, and of how many an exception overrules what they say.
    let asked = [
        (listed.as_str(), 1, 0),
        ("seen.example", 3, 0),
        ("unlisted.example", 0, 0),
        (&deep.join("."), 0, 0),
        (&deepest, 0, 0),
        ("x.mine.example", 0, 0),
        ("seen.mine.example", 0, 4),
        ("ok.listed.example", 1, 1),
        ("ads1.example", 1, 0),
        ("metrics.example", 1, 0),
        ("mytracker.test", 1, 0),
        ("abc12345.test", 1, 0),
        ("typed.example", 1, 0),
        ("ok.typed.example", 0, 0),
        (".", 0, 0),
    ];
    let names: Vec<(Name, [usize; 2])> =
        asked.iter().map(|(text, said, overruled)| (text.parse().unwrap(), [*said, *overruled])).collect();
    // An answer that no rule looks at is judged without allocation too.
    let ask = |name: &Name, address| {
        let asking = Asking { name, rr_type: RrType::A, client: client(address), now: 1_767_600_000, pauses: &[] };
        policy.on_answer(&policy.on_question(&asking), &asking, &[])
    };
    for address in [[192, 168, 7, 1], [192, 168, 200, 1], [172, 16, 0, 1]] {
        for (name, said) in &names {
            // Regular expressions make their scratch space when they are first used.
            let _ = ask(name, address);
            let mut verdict = Verdict::default();
            let counted = measure(|| verdict = ask(name, address));
            assert_eq!(counted.count_total, 0, "{name} {address:?}");
            if address[1] == 168 {
                assert_eq!([verdict.programs.len(), verdict.overruled.len()], *said, "{name} {address:?}");
            }
        }
    }
}

/// A query is handed to the log without allocation too, whatever rule spoke: but for the place that it goes to, which
/// grows.
#[test]
fn what_is_recorded_is_packed_without_allocation() {
    const QUERIES: usize = 4000;
    let text = "#! cleandns\n/^ads?[0-9]+\\./\nclient:10.9.0.0/16\n192.0.2.0/24\nns:198.51.100.0/24\nAS64500\n";
    let policy = Arc::new(policy_of([text]));
    let folder = tempfile::tempdir().unwrap();
    let config = config::QueryLog { database: Some(folder.path().join("queries.db")), ..config::QueryLog::nowhere() };
    let privacy = Privacy::new(config.privacy);
    let (log, writing) = QueryLog::start(&config, &privacy, None, Arc::default(), None).unwrap();
    let question = Question { name: "ads1.example".parse().unwrap(), rr_type: RrType::A, class: Class::IN };
    let links = [
        Link::address("192.0.2.7".parse().unwrap(), Trigger::Address),
        Link::address("198.51.100.7".parse().unwrap(), Trigger::NsAddress),
    ];
    for (client, links, trigger) in [
        ([10, 9, 0, 1], vec![], Trigger::Client),
        ([10, 1, 0, 1], vec![], Trigger::Qname),
        ([10, 1, 0, 1], vec![links[0]], Trigger::Address),
        ([10, 1, 0, 1], vec![links[1]], Trigger::NsAddress),
    ] {
        let client = Client { address: IpAddr::from(client), id: None, mac: None, tcp: false, group: None };
        let name = if links.is_empty() { question.name } else { "other.example".parse().unwrap() };
        let asking = Asking { name: &name, rr_type: RrType::A, client, now: 1_767_600_000, pauses: &[] };
        let mut record = QueryRecord::new(client.address, Transport::Udp, std::time::Instant::now());
        record.verdict = policy.on_answer(&policy.on_question(&asking), &asking, &links);
        assert_eq!(record.verdict.programs[0].cause.trigger, trigger);
        (record.question, record.policy, record.links) = (Some(&question), Some(&policy), links);
        let counted = measure(|| (0..QUERIES).for_each(|_| log.place().push(&record, &log.packing(None))));
        // It doubles.
        assert!(counted.count_total <= 20, "{trigger:?}: {} for {QUERIES} queries", counted.count_total);
    }
    writing.stop();
}

/// An answer of one address, with as many signatures' octets besides as given.
fn entry(name: &str, extra: usize) -> Arc<Entry> {
    let owner: Name = name.parse().unwrap();
    let record = |rr_type, data: Vec<u8>| Record { owner, rr_type, class: Class::IN, ttl: 300, data };
    let mut answer = vec![record(RrType::A, vec![192, 0, 2, 1])];
    if extra > 0 {
        answer.push(record(RrType::TXT, vec![b'x'; extra]));
    }
    let question = Question { name: owner, rr_type: RrType::A, class: Class::IN };
    let resolution = Resolution {
        rcode: Rcode::NOERROR,
        answer,
        authority: vec![],
        security: Security::Insecure,
        ede: None,
        delegations: vec![],
        unheard: false,
        server: None,
    };
    Arc::new(Entry::new(&question, (false, false), NameServersWanted::No, &resolution, 0))
}

fn key(name: &Name) -> Key<'_> {
    Key { name: name.as_wire(), rr_type: RrType::A, dnssec_ok: false, cd: false }
}

/// `[cache] size` is what the cache takes of memory, whatever the answers are, and it isn't far below.
#[test]
fn the_cache_stays_within_its_size() {
    for size in [1 << 20, 16 << 20] {
        for extra in [0, 100, 1500] {
            let mut kept = None;
            let taken = measure(|| {
                let cache = Cache::new(size, 7);
                for number in 0..3 * size as usize / (200 + extra) {
                    cache.store(entry(&format!("n{number}.example-{}.test", number % 977), extra));
                }
                kept = Some(cache);
            });
            let (taken, size) = (taken.bytes_current as f64, size as f64);
            assert!(taken < 1.1 * size, "{size} octets asked for, {extra} a name: {taken} taken");
            assert!(taken > 0.7 * size, "{size} octets asked for, {extra} a name: only {taken} taken");
            drop(kept);
        }
    }
}

/// Names that are asked once don't push out those that are asked again and again.
#[test]
fn a_flood_of_random_names_leaves_popular_ones_alone() {
    let cache = Cache::new(1 << 20, 7);
    let popular: Vec<Name> = (0..500).map(|number| format!("p{number}.test").parse().unwrap()).collect();
    popular.iter().for_each(|name| cache.store(entry(&name.to_string(), 0)));
    let asked = |name: &Name| cache.find_by_key(&key(name)).is_some();
    assert!(popular.iter().all(asked));
    for flood in 0..50_000 {
        cache.store(entry(&format!("r{flood}.flooded.test"), 0));
        // One question in ten is for a popular name.
        if flood % 10 == 0 {
            asked(&popular[flood / 10 % popular.len()]);
        }
    }
    let left = popular.iter().filter(|name| asked(name)).count();
    assert!(left >= 475, "{left} of 500 are left");
    assert!(cache.stats().bytes <= cache.stats().size);
}

/// That a name doesn't exist is kept once for all types, and until it does.
#[test]
fn a_denied_name_is_denied_for_all_types() {
    let cache = Cache::new(1 << 20, 7);
    let name: Name = "gone.test".parse().unwrap();
    let keep = |rr_type, rcode| {
        let resolution = Resolution {
            rcode,
            answer: vec![],
            authority: vec![],
            security: Security::Insecure,
            ede: None,
            delegations: vec![],
            unheard: false,
            server: None,
        };
        let question = Question { name, rr_type, class: Class::IN };
        cache.store(Arc::new(Entry::new(&question, (false, false), NameServersWanted::No, &resolution, 0)));
    };
    let of =
        |rr_type, dnssec_ok| cache.find_by_key(&Key { rr_type, dnssec_ok, ..key(&name) }).map(|found| found.rcode());
    keep(RrType::A, Rcode::NXDOMAIN);
    keep(RrType::AAAA, Rcode::NXDOMAIN);
    assert_eq!(cache.stats().entries, 1);
    for rr_type in [RrType::A, RrType::AAAA, RrType::TXT] {
        assert_eq!(of(rr_type, false), Some(Rcode::NXDOMAIN), "{rr_type}");
        assert_eq!(of(rr_type, true), None, "{rr_type}");
    }
    keep(RrType::TXT, Rcode::SERVFAIL);
    assert_eq!((of(RrType::A, false), of(RrType::TXT, false)), (Some(Rcode::NXDOMAIN), Some(Rcode::SERVFAIL)));
    keep(RrType::TXT, Rcode::NOERROR);
    assert_eq!((of(RrType::A, false), of(RrType::TXT, false)), (None, Some(Rcode::NOERROR)));
    keep(RrType::TXT, Rcode::NXDOMAIN);
    assert_eq!((of(RrType::A, false), of(RrType::TXT, false)), (Some(Rcode::NXDOMAIN), Some(Rcode::NXDOMAIN)));
}

/// What a worker keeps in front of the cache is the cache's own, and ends when that ends.
#[test]
fn a_front_gives_what_the_cache_would() {
    let cache = Cache::new(1 << 20, 7);
    let mut front = cache.front(1);
    let names: Vec<Name> = (0..2000).map(|number| format!("n{number}.test").parse().unwrap()).collect();
    let find = |front: &mut cleandns::cache::Front, name: &Name, now: u32| {
        let hash = cache.hash(&key(name));
        front.begin(&cache);
        front.foresee_place(hash);
        front.foresee_entry(hash);
        front.foresee_octets(hash);
        front.find(&cache, hash, &key(name), |entry| matches!(entry.life(now), Life::Fresh { .. })).cloned()
    };
    assert!(find(&mut front, &names[0], 0).is_none());
    names.iter().for_each(|name| cache.store(entry(&name.to_string(), 3000 * usize::from(name.label_count() == 9))));
    for round in 0..3 {
        for name in &names {
            let found = find(&mut front, name, round).expect("it was stored");
            assert_eq!(found.name(), *name);
        }
    }
    // A new answer takes an old one's place once that is over.
    let newer = entry("n0.test", 10);
    cache.store(newer.clone());
    let found = find(&mut front, &names[0], 301).unwrap();
    assert!(Arc::ptr_eq(&found, &newer) && matches!(found.life(301), Life::Over { since: 1 }));
    // A large answer is given, and not held but for the last.
    let large: Vec<Arc<Entry>> = (0..3).map(|number| entry(&format!("large{number}.test"), 3000)).collect();
    for large in &large {
        cache.store(large.clone());
        assert!(Arc::ptr_eq(&find(&mut front, &large.name(), 0).unwrap(), large));
    }
    cache.flush(|entry| large.iter().any(|large| large.is_for(&entry.key())));
    assert_eq!(large.iter().map(Arc::strong_count).sum::<usize>(), 3 + 1);
    // A flush holds here too.
    cache.flush(|entry| entry.name() == names[1]);
    assert!(find(&mut front, &names[1], 0).is_none());
    assert!(find(&mut front, &names[2], 0).is_some());
    let again = || {
        let mut found = true;
        let counted = measure(|| found = find(&mut front, &names[3], 0).is_some());
        (found, counted.count_total)
    };
    let mut again = again;
    again();
    assert_eq!(again(), (true, 0), "what was found here is found again without allocation");
}
