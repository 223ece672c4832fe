//! Whose name servers an answer came from: what the resolver says of it, what that costs, and who is believed.

use crate::{
    forwarding::forward,
    harness::{configure, folder, name},
    internet::{Internet, answer_to, scripted},
};
use cleandns::{
    dns::RrType,
    resolve::{
        Delegation, Hints, NameServersWanted, PortMap, Resolution, Resolve, Resolver, ResolverSetup, TrustAnchorText,
        UpstreamCounters, Wanted,
    },
};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name as HickoryName, RData, Record, RecordType,
        rdata::{A, NS, SOA},
    },
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How often a measurement is tried again on a machine that was busy meanwhile.
const TRIES_MAX: usize = 10;
use NameServersWanted::{Addresses, Names, No};

/// A resolver in the miniature Internet.
struct Resolving {
    resolver: Resolver,
    counters: Arc<UpstreamCounters>,
}

impl Resolving {
    /// `moved`: servers of the Internet that are somewhere else than it says. `toml` follows `[resolve]`.
    fn new(internet: &Internet, moved: &[(&str, SocketAddr)], toml: &str) -> Self {
        let mut ports: PortMap = internet.ports();
        for (logical, real) in moved {
            ports.insert(logical.parse().unwrap(), *real);
        }
        let config = configure(&folder(), Some(internet), toml);
        for forward in &config.resolve.forwards {
            ports.extend(forward.servers.iter().map(|server| (server.address, server.address)));
        }
        let counters = Arc::new(UpstreamCounters::default());
        let setup = ResolverSetup {
            upstreams: Arc::default(),
            config: config.resolve,
            cache_bytes: 16 << 20,
            hints: Hints(internet.root_hints()),
            anchors: TrustAnchorText::read(&internet.anchor_ds()).unwrap(),
            built_at: 0,
            clock: Arc::new(|| 0),
            uptime: Arc::new(|| Duration::ZERO),
            ports: Some(Arc::new(ports)),
            counters: counters.clone(),
            watch: None,
        };
        Self { resolver: Resolver::new(setup).unwrap(), counters }
    }

    async fn resolve(&self, asked: &str, rr_type: RrType, name_servers: NameServersWanted) -> Resolution {
        let wanted = Wanted { validated: false, name_servers, afresh: false };
        self.resolver.resolve(name(asked), rr_type, wanted).await
    }

    /// `zone server=address …, zone …`
    async fn zones(&self, asked: &str, name_servers: NameServersWanted) -> String {
        show(&self.resolve(asked, RrType::A, name_servers).await.delegations)
    }

    fn asked(&self) -> u64 {
        self.counters.asked.load(Relaxed)
    }
}

fn show(delegations: &[Delegation]) -> String {
    let all = delegations.iter().map(|delegation| {
        let mut text = delegation.zone.to_string();
        for server in &delegation.servers {
            let addresses: Vec<_> = server.addresses.iter().map(ToString::to_string).collect();
            text += &format!(" {}={}", server.name, addresses.join("+"));
        }
        text
    });
    all.collect::<Vec<_>>().join(", ")
}

const EXAMPLE: &str = "example.com ns1.example.com=185.49.140.1";
const SIGNED: &str = "signed.org ns1.signed.org=185.49.140.2";
const COM: &str = "com a.gtld-servers.net=192.5.6.30 b.gtld-servers.net=192.33.14.30";
const ROOT: &str = ". a.root-servers.net=198.41.0.4 b.root-servers.net=170.247.170.2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_name_has_the_zone_it_came_from() {
    let internet = Internet::start().await;
    for (asked, expected) in [
        // with glue
        ("www.example.com", EXAMPLE.to_owned()),
        ("example.com", EXAMPLE.to_owned()),
        ("nx.example.com", EXAMPLE.to_owned()),
        ("a.b.c.nx.example.com", EXAMPLE.to_owned()),
        ("www.child.signed.org", "child.signed.org ns1.child.signed.org=185.49.140.3".to_owned()),
        // without: the server's name is elsewhere
        ("www.tiktok.com", "tiktok.com ns31.dns-host.org=185.49.140.31".to_owned()),
        // never referred to: parent and child are on one server
        ("www.inner.example.com", "inner.example.com ns1.example.com=185.49.140.1".to_owned()),
        // aliases
        ("alias.example.com", EXAMPLE.to_owned()),
        ("alias2.example.com", format!("{EXAMPLE}, {SIGNED}")),
        ("dangling.example.com", EXAMPLE.to_owned()),
        ("www.dn.example.com", format!("{EXAMPLE}, tiktok.com ns31.dns-host.org=185.49.140.31")),
        ("alias-out-nx.signed.org", format!("{SIGNED}, target.org ns1.target.org=185.49.140.5")),
        // names that don't exist, and those above them
        ("nx.com", COM.to_owned()),
        ("a.b.nx.com", COM.to_owned()),
        ("com", COM.to_owned()),
        ("nx", ROOT.to_owned()),
        (".", ROOT.to_owned()),
        // servers that give no answer
        ("www.dead.net", "dead.net ns1.dead.net=185.49.140.41".to_owned()),
        ("www.lame.net", "lame.net ns1.lame.net=185.49.140.40".to_owned()),
    ] {
        // The first time it is heard, the second time remembered.
        let resolving = Resolving::new(&internet, &[], "");
        for _ in 0..2 {
            assert_eq!(resolving.zones(asked, Addresses).await, expected, "{asked}");
        }
        assert_eq!(resolving.zones(asked, No).await, "", "{asked}");
    }
}

/// Questions to name servers for each of the names, asked twice in turn. On a busy machine an answer may come too late, so
/// that its question is asked again, which says nothing of what is measured: then all is measured again.
async fn cost_in_time(internet: &Internet, names: &[&str], wanted: NameServersWanted) -> Vec<u64> {
    for _ in 0..TRIES_MAX {
        let resolving = Resolving::new(internet, &[], "");
        let mut cost = Vec::new();
        for asked in names.iter().chain(names) {
            let before = resolving.asked();
            resolving.resolve(asked, RrType::A, wanted).await;
            cost.push(resolving.asked() - before);
        }
        if resolving.asked() == resolving.counters.answered.load(Relaxed) {
            return cost;
        }
    }
    panic!("this machine is too busy: in each of {TRIES_MAX} tries some answer came too late");
}

/// What it costs, in questions to name servers, for answers that were not known before and for those that were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_it_that_was_heard() {
    let internet = Internet::start().await;
    let names =
        ["www.example.com", "alias2.example.com", "www.tiktok.com", "nx.com", "x.nx.com", "www.inner.example.com"];
    let mut costs = Vec::new();
    for wanted in [No, Names, Addresses] {
        let cost = cost_in_time(&internet, &names, wanted).await;
        assert!(cost[names.len()..].iter().all(|asked| *asked == 0), "{wanted:?}: {cost:?}");
        costs.push(cost);
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(costs[0], costs[2]);
}

/// A server of `hostile.net` that puts what it likes beside each answer.
async fn hostile(volunteers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let answers = move |question: &Message| {
        let query = &question.queries[0];
        let mut answer = answer_to(question, ResponseCode::NoError);
        answer.metadata.authoritative = true;
        match query.query_type() {
            RecordType::A => answer.answers.push(address(query.name(), Ipv4Addr::new(203, 0, 113, 66))),
            RecordType::NS => answer.answers.push(name_server(query.name(), "ns1.hostile.net.")),
            _ => {}
        }
        for (zone, server) in volunteers {
            answer.authorities.push(name_server(&hickory(zone), server));
            answer.additionals.push(address(&hickory(server), Ipv4Addr::new(203, 0, 113, 67)));
        }
        Some(answer)
    };
    scripted(answers).await.0
}

fn hickory(text: &str) -> HickoryName {
    HickoryName::from_ascii(text).unwrap()
}

fn address(owner: &HickoryName, address: Ipv4Addr) -> Record {
    Record::from_rdata(owner.clone(), 300, RData::A(A(address)))
}

fn name_server(zone: &HickoryName, server: &str) -> Record {
    Record::from_rdata(zone.clone(), 300, RData::NS(NS(hickory(server))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_of_foreign_zones_is_not_believed() {
    let internet = Internet::start().await;
    let server = hostile(&[
        ("signed.org.", "ns1.hostile.net."),
        ("org.", "ns1.hostile.net."),
        ("com.", "ns1.hostile.net."),
        (".", "ns1.hostile.net."),
        ("example.com.", "ns1.example.com."),
        ("hostile.net.", "ns1.signed.org."),
    ])
    .await;
    let resolving = Resolving::new(&internet, &[("185.49.140.43:53", server)], "");
    let known = ["www.signed.org", "www.example.com"];
    resolving.resolve(known[0], RrType::A, No).await;
    for rr_type in [RrType::A, RrType::NS] {
        for asked in ["hostile.net", "www.hostile.net", "x.y.hostile.net"] {
            resolving.resolve(asked, rr_type, Addresses).await;
        }
    }
    assert_eq!(resolving.zones(known[0], Addresses).await, SIGNED);
    assert_eq!(resolving.zones(known[1], Addresses).await, EXAMPLE);
    assert_eq!(resolving.zones("nx.com", Addresses).await, COM);
    // Its own zone has the server its parent says, whatever it says besides.
    let own = resolving.zones("hostile.net", Names).await;
    assert!(own.starts_with("hostile.net ns1.hostile.net=185.49.140.43"), "{own}");
}

/// A forwarder for everything, which knows two zones.
async fn forwarder() -> (SocketAddr, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let counting = asked.clone();
    let answers = move |question: &Message| {
        counting.fetch_add(1, Relaxed);
        let query = &question.queries[0];
        let (owner, text) = (query.name().clone(), query.name().to_ascii().to_ascii_lowercase());
        let mut answer = answer_to(question, ResponseCode::NoError);
        match (text.as_str(), query.query_type()) {
            ("corp.example.", RecordType::NS) => answer.answers.push(name_server(&owner, "ns.host.example.")),
            ("sub.corp.example.", RecordType::NS) => answer.answers.push(name_server(&owner, "ns.sub.corp.example.")),
            ("ns.host.example." | "www.corp.example." | "a.b.sub.corp.example.", RecordType::A) => {
                answer.answers.push(address(&owner, Ipv4Addr::new(203, 0, 113, 53)));
            }
            ("ns.sub.corp.example.", RecordType::A) => return None,
            _ => {
                let zone = if text.ends_with("sub.corp.example.") { "sub.corp.example." } else { "corp.example." };
                let soa = SOA::new(hickory("ns.host.example."), hickory("x.corp.example."), 1, 2, 3, 4, 300);
                answer.authorities.push(Record::from_rdata(hickory(zone), 300, RData::SOA(soa)));
            }
        }
        Some(answer)
    };
    (scripted(answers).await.0, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarders_are_asked_if_somebody_wants_to_know() {
    let internet = Internet::start().await;
    let (address, asked) = forwarder().await;
    let zones = ["corp.example", "host.example"];
    let toml: String = zones.map(|zone| forward(zone, &[format!("udp://{address}")])).concat();
    let resolving = Resolving::new(&internet, &[], &toml);
    assert_eq!(resolving.zones("www.corp.example", No).await, "");
    assert_eq!(asked.load(Relaxed), 1, "one question for an answer");
    let expected = "corp.example ns.host.example=203.0.113.53";
    assert_eq!(resolving.zones("www.corp.example", Addresses).await, expected);
    // www's name servers, corp.example's, two kinds of address
    assert_eq!(asked.load(Relaxed), 5);
    assert_eq!(resolving.zones("www.corp.example", Addresses).await, expected);
    assert_eq!(asked.load(Relaxed), 5, "then it is known");
    assert_eq!(resolving.zones("a.b.sub.corp.example", Names).await, "sub.corp.example ns.sub.corp.example=");
}

/// Where every name is forwarded, rules on name servers rest: nobody is asked for what they would look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_of_every_name_is_not_asked() {
    let internet = Internet::start().await;
    let (address, asked) = forwarder().await;
    let toml: String = [".", "host.example"].map(|zone| forward(zone, &[format!("udp://{address}")])).concat();
    let resolving = Resolving::new(&internet, &[], &toml);
    for name in ["www.corp.example", "ns.host.example"] {
        assert_eq!(resolving.zones(name, Addresses).await, "");
    }
    assert_eq!(asked.load(Relaxed), 2, "one question for an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_for_it() {
    let internet = Internet::start().await;
    let (address, _) = forwarder().await;
    let toml = forward("corp.example", &[format!("udp://{address}")]);
    let resolving = Resolving::new(&internet, &[], &toml);
    // The name server's own address is a question that is never answered.
    for is_first in [true, false] {
        let begun = Instant::now();
        let zones = resolving.zones("a.b.sub.corp.example", Addresses).await;
        assert_eq!(zones, "sub.corp.example ns.sub.corp.example=");
        let within = Duration::from_millis(if is_first { 2000 } else { 700 });
        assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    }
}

/// Some servers answer for a zone's names and won't say that they are its name servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_do_not_name_themselves_are_known_from_their_parent() {
    let internet = Internet::start().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let (server, _) = scripted(move |question| {
        let query = &question.queries[0];
        noted.lock().unwrap().push(format!("{} {}", query.name(), query.query_type()));
        if query.query_type() != RecordType::A {
            return Some(answer_to(question, ResponseCode::Refused));
        }
        let mut answer = answer_to(question, ResponseCode::NoError);
        answer.answers.push(address(query.name(), Ipv4Addr::new(203, 0, 113, 66)));
        Some(answer)
    })
    .await;
    let resolving = Resolving::new(&internet, &[("185.49.140.43:53", server)], "");
    for asked in ["www.hostile.net", "www.hostile.net", "hostile.net"] {
        assert_eq!(resolving.zones(asked, Addresses).await, "hostile.net ns1.hostile.net=185.49.140.43");
    }
    let asked = asked.lock().unwrap();
    assert!(!asked.iter().any(|question| question == "hostile.net. NS"), "{asked:?}");
}
