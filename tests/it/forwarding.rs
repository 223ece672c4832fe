//! Questions that go to a forwarder instead of the root: what is asked of it, what is believed, and what happens when
//! it is not there.

use crate::{
    harness::{Answer, Ask, Server, eventually, folder, start, start_near, write_list},
    internet::{Internet, answer_to, scripted, scripted_late},
    recursion::{AT_ONCE, BOGUS, PROMISE, outcome, wrong_answers},
};
use cleandns::dns::{Rcode, RrType};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, SOA, TXT},
    },
};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::UdpSocket, task::JoinSet};

/// A forwarder that answers from `script`, and what it was asked: `name type`, in lower case.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<HashMap<String, usize>>>);

impl Asked {
    fn note(&self, question: &Message) {
        let query = &question.queries[0];
        let key = format!("{} {}", query.name().to_ascii().to_ascii_lowercase(), query.query_type());
        *self.0.lock().unwrap().entry(key).or_default() += 1;
    }

    fn of(&self, key: &str) -> usize {
        self.0.lock().unwrap().get(key).copied().unwrap_or(0)
    }

    fn total(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn address(owner: &str) -> Record {
    record(owner, 300, RData::A(Ipv4Addr::new(203, 0, 113, 7).into()))
}

fn alias(owner: &str, target: &str) -> Record {
    record(owner, 300, RData::CNAME(CNAME(name(target))))
}

fn soa(owner: &str, ttl: u32, minimum: u32) -> Record {
    record(owner, ttl, RData::SOA(SOA::new(name("ns.corp.example."), name("x.corp.example."), 1, 2, 3, 4, minimum)))
}

/// What `corp.example` holds; anything else is SERVFAIL.
fn script(question: &Message) -> Option<Message> {
    let query = &question.queries[0];
    let asked = query.name().to_ascii().to_ascii_lowercase();
    let mut answer = answer_to(question, ResponseCode::NoError);
    let is_a = query.query_type() == RecordType::A;
    match asked.as_str() {
        "host.corp.example." | "corp.example." | "1.1.168.192.in-addr.arpa." if is_a => {
            answer.answers = vec![address(&asked)]
        }
        "host.corp.example." | "old-soa.corp.example." => answer.authorities = vec![soa("corp.example.", 900, 60)],
        "short-soa.corp.example." => answer.authorities = vec![soa("corp.example.", 30, 900)],
        "nx.corp.example." => {
            answer = answer_to(question, ResponseCode::NXDomain);
            answer.authorities = vec![soa("corp.example.", 60, 60)];
        }
        "chain.corp.example." | "chain.elsewhere.example." => {
            answer.answers = vec![
                alias(&asked, "middle.corp.example."),
                alias("middle.corp.example.", "host.corp.example."),
                address("host.corp.example."),
            ];
        }
        "to-nx.corp.example." => {
            answer = answer_to(question, ResponseCode::NXDomain);
            answer.answers = vec![alias(&asked, "nx.corp.example.")];
            answer.authorities = vec![soa("corp.example.", 60, 60)];
        }
        "out.corp.example." => answer.answers = vec![alias(&asked, "www.example.com."), address("www.example.com.")],
        "to-blocked.corp.example." => {
            answer.answers = vec![alias(&asked, "www.tiktok.com."), address("www.tiktok.com.")];
        }
        "big.corp.example." => {
            let text = |number: u8| RData::TXT(TXT::new(vec![format!("{number:0>200}")]));
            answer.answers = (0..20).map(|number| record(&asked, 300, text(number))).collect();
        }
        "other.corp.example." => answer.answers = vec![address("unasked.corp.example.")],
        "refused.corp.example." => answer = answer_to(question, ResponseCode::Refused),
        "silent.corp.example." => return None,
        _ => answer = answer_to(question, ResponseCode::ServFail),
    }
    Some(answer)
}

/// Starts the scripted forwarder.
async fn forwarder() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let noted = asked.clone();
    let (address, _) = scripted(move |question| {
        noted.note(question);
        assert!(question.metadata.recursion_desired, "forwarders are asked to recurse");
        script(question)
    })
    .await;
    (address, asked)
}

pub fn forward(zone: &str, servers: &[String]) -> String {
    format!("[[resolve.forward]]\nzone = \"{zone}\"\nservers = {servers:?}\n")
}

async fn timed(server: &Server, name: &str) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = server.ask(name, RrType::A).await;
    (answer, started.elapsed())
}

/// The first of the rows of the log that a search finds, as soon as there are any.
async fn eventually_some(server: &Server, search: &str) -> serde_json::Value {
    let rows = async || server.json(search).await["rows"].as_array().cloned().unwrap_or_default();
    eventually("it is recorded", || async { !rows().await.is_empty() }).await;
    rows().await.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_goes_to_its_forwarder_and_all_else_to_the_root() {
    let internet = Internet::start().await;
    for protocol in ["udp", "tcp"] {
        let (address, asked) = forwarder().await;
        let servers = [format!("{protocol}://{address}")];
        let toml = forward("corp.example", &servers) + &forward("168.192.in-addr.arpa", &servers);
        let server = start_near(folder(), Some(&internet), &[address], &toml).await;
        for (asked, rcode, shape) in [
            ("host.corp.example A", "NOERROR", "host.corp.example A"),
            ("corp.example A", "NOERROR", "corp.example A"),
            ("host.corp.example AAAA", "NOERROR", ""),
            ("nx.corp.example A", "NXDOMAIN", ""),
            (
                "chain.corp.example A",
                "NOERROR",
                "chain.corp.example CNAME, middle.corp.example CNAME, host.corp.example A",
            ),
            ("to-nx.corp.example A", "NXDOMAIN", "to-nx.corp.example CNAME"),
            // what lies outside its zone is not the forwarder's to say
            ("out.corp.example A", "NOERROR", "out.corp.example CNAME, www.example.com A"),
            ("failing.corp.example A", "SERVFAIL", ""),
            ("refused.corp.example A", "SERVFAIL", ""),
            // a special-use zone that the owner has a forwarder for
            ("1.1.168.192.in-addr.arpa A", "NOERROR", "1.1.168.192.in-addr.arpa A"),
            ("www.signed.org A", "NOERROR AD", "www.signed.org A"),
            ("xcorp.example A", "NXDOMAIN AD", ""),
        ] {
            let (name, rr_type) = crate::recursion::question(asked);
            let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, rr_type) }).await;
            assert_eq!((outcome(&answer).as_str(), answer.shape().as_str()), (rcode, shape), "{protocol} {asked}");
            let codes = if rcode == "SERVFAIL" { 22..=23 } else { 0..=0 };
            assert!(codes.contains(&answer.ede_code()), "{protocol} {asked}: {:?}", answer.ede);
            // They did answer.
            assert!(answer.ede.is_none_or(|ede| !ede.text.contains("no answer")), "{protocol} {asked}");
        }
        // Taken from the recursion, not from the forwarder.
        let answer = server.ask("out.corp.example", RrType::A).await;
        assert_eq!(answer.answer[1].data, [203, 0, 113, 11]);
        // Nobody below the root heard of the zone, and the forwarder of nothing else.
        assert_eq!(internet.asked("host.corp.example") + internet.asked("corp.example"), 0);
        for key in ["www.signed.org. A", "www.example.com. A", "middle.corp.example. A"] {
            assert_eq!(asked.of(key), 0, "{protocol} {key}");
        }
        // The log tells who was asked, and which server gave the last link; of an answer from memory nobody did.
        for (name, rr_type, upstream, is_forwarder) in [
            ("host.corp.example", "A", "forward corp.example", true),
            ("host.corp.example", "AAAA", "forward corp.example", true),
            ("nx.corp.example", "A", "forward corp.example", true),
            ("chain.corp.example", "A", "forward corp.example", true),
            ("out.corp.example", "A", "forward corp.example", false),
            ("www.signed.org", "A", "recursion", false),
            ("xcorp.example", "A", "recursion", false),
        ] {
            let found = format!("/api/v1/log?name=%3D{name}&type={rr_type}&limit=10");
            let row = eventually_some(&server, &found).await;
            assert_eq!(row["upstream"], upstream, "{protocol} {row}");
            let told = row["server"].as_str().unwrap_or_else(|| panic!("{protocol} {row}"));
            assert_eq!(told == address.to_string(), is_forwarder, "{protocol} {row}");
        }
        let failed = eventually_some(&server, "/api/v1/log?name=%3Dfailing.corp.example").await;
        assert_eq!((&failed["upstream"], failed.get("server")), (&serde_json::json!("forward corp.example"), None));
        // A blocked name is blocked behind a forwarder as anywhere.
        let answer = server.ask("to-blocked.corp.example", RrType::A).await;
        assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_to_a_forwarder_for_the_root() {
    let internet = Internet::start().await;
    let (address, asked) = forwarder().await;
    let toml = forward(".", &[address.to_string()]) + "validate = false\n";
    let server = start_near(folder(), Some(&internet), &[address], &toml).await;
    for (name, shape) in [
        ("host.corp.example", "host.corp.example A"),
        ("chain.elsewhere.example", "chain.elsewhere.example CNAME, middle.corp.example CNAME, host.corp.example A"),
        ("out.corp.example", "out.corp.example CNAME, www.example.com A"),
    ] {
        assert_eq!(server.ask(name, RrType::A).await.shape(), shape);
    }
    assert_eq!(asked.of("middle.corp.example. A") + asked.of("www.example.com. A"), 0, "chains are taken whole");
    assert_eq!(internet.asked_total(), 0, "the root was asked");
    assert_eq!(server.ask("www.tiktok.com", RrType::A).await.ede_code(), 15);
    assert_eq!(asked.of("www.tiktok.com. A"), 0);
    // A special-use name stays here: the root doesn't count as its zone.
    assert_eq!(server.ask("x.invalid", RrType::A).await.rcode, Rcode::NXDOMAIN);
    assert_eq!(asked.of("x.invalid. A"), 0);
}

/// Where every name is forwarded, a rule on name servers rests: nothing is asked for it, nor does a kept answer wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_on_name_servers_costs_nothing_where_every_name_is_forwarded() {
    let (address, asked) = forwarder().await;
    let folder = folder();
    let list = folder.path().join("mine.list");
    write_list(&list, &["elsewhere.example"]);
    let toml = forward(".", &[address.to_string()])
        + "validate = false\n[[program]]\nname = \"mine\"\nlists = [{ path = \"mine.list\" }]\n";
    let server = start_near(folder, None, &[address], &toml).await;
    assert_eq!(server.ask("host.corp.example", RrType::A).await.rcode, Rcode::NOERROR);
    let before = server.epoch();
    write_list(&list, &["ns:ns.elsewhere.example", "ns:192.0.2.0/24"]);
    server.running.reload();
    eventually("the reload", || async { server.epoch() > before }).await;
    for name in ["host.corp.example", "corp.example", "corp.example"] {
        assert_eq!(server.ask(name, RrType::A).await.rcode, Rcode::NOERROR);
    }
    for (key, times) in [("host.corp.example. A", 1), ("corp.example. A", 1)] {
        assert_eq!(asked.of(key), times, "{key}");
    }
    for zone in ["host.corp.example.", "corp.example.", "example."] {
        assert_eq!(asked.of(&format!("{zone} NS")), 0, "{zone}");
    }
    let label = ["state=\"hit\""];
    let hits = || server.metric("cleandns_cache_lookups_total", &label);
    eventually("two of kept answers", || async { hits().await == 2.0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_forwarder_said_is_remembered_and_denials_as_long_as_they_may() {
    let (address, asked) = forwarder().await;
    let toml = forward("corp.example", &[address.to_string()]);
    let server = start_near(folder(), None, &[address], &toml).await;
    for (question, key) in [
        ("host.corp.example A", "host.corp.example. A"),
        ("chain.corp.example A", "chain.corp.example. A"),
        ("nx.corp.example A", "nx.corp.example. A"),
        ("old-soa.corp.example A", "old-soa.corp.example. A"),
    ] {
        let (name, rr_type) = crate::recursion::question(question);
        for (dnssec_ok, cd) in [(false, false), (true, false), (false, true)] {
            server.ask_with(&Ask { dnssec_ok, cd, ..Ask::new(name, rr_type) }).await;
        }
        assert_eq!(asked.of(key), 1, "{question}");
    }
    for (name, at_most) in [("old-soa.corp.example", 60), ("short-soa.corp.example", 30), ("nx.corp.example", 60)] {
        let answer = server.ask(name, RrType::A).await;
        let [soa] = answer.authority.as_slice() else { panic!("{name}: {:?}", answer.authority) };
        assert!(soa.rr_type == RrType::SOA && soa.ttl <= at_most, "{name}: {}", soa.ttl);
        assert!(soa.ttl + 20 > at_most, "{name}: {}", soa.ttl);
    }
    assert_eq!(asked.total(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let (address, asked) = forwarder().await;
    for protocol in ["udp", "tcp"] {
        let toml = forward("corp.example", &[format!("{protocol}://{address}")]);
        let server = start_near(folder(), None, &[address], &toml).await;
        let before = asked.of("big.corp.example. TXT");
        let answer = server.ask_with(&Ask { tcp: true, ..Ask::new("big.corp.example", RrType::TXT) }).await;
        assert_eq!((answer.rcode, answer.answer.len()), (Rcode::NOERROR, 20), "{protocol}: {:?}", answer.ede);
        let expected = if protocol == "udp" { 2 } else { 1 };
        assert_eq!(asked.of("big.corp.example. TXT") - before, expected, "{protocol}");
    }
}

/// Servers of the miniature Internet that say nothing, and that are not there.
const DEAD: &str = "185.49.140.41";
const CLOSED: &str = "185.49.140.42";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_is_not_there_fails_at_once_or_in_time() {
    let internet = Internet::start().await;
    let mut asking = JoinSet::new();
    for (servers, within) in [
        (vec![CLOSED], AT_ONCE),
        (vec!["udp://185.49.140.42", "tcp://185.49.140.42"], AT_ONCE),
        (vec!["tcp://185.49.140.42"], AT_ONCE),
        (vec![DEAD], PROMISE),
        (vec!["tcp://185.49.140.41"], PROMISE),
        (vec![DEAD, CLOSED], PROMISE),
    ] {
        for zone in ["corp.example", "."] {
            let servers: Vec<String> = servers.iter().map(|&server| server.to_owned()).collect();
            let server = start(folder(), Some(&internet), &forward(zone, &servers)).await;
            asking.spawn(async move {
                for name in ["host.corp.example", "other.corp.example"] {
                    let (answer, took) = timed(&server, name).await;
                    assert_eq!(answer.rcode, Rcode::SERVFAIL, "{servers:?} {zone}");
                    assert!(matches!(answer.ede_code(), 22 | 23), "{servers:?} {zone}: {:?}", answer.ede);
                    assert!(took < within, "{servers:?} {zone}: {took:?}");
                }
            });
        }
    }
    asking.join_all().await;
}

/// One that resolves by itself, with a cold cache, may take as long as that: nobody else could be asked meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_forwarder_is_waited_for_where_there_is_no_other() {
    let (slow, _) = scripted_late(Duration::from_millis(1800), script).await;
    for others in [&[][..], &[DEAD]] {
        let servers: Vec<String> = others.iter().map(|&it| it.to_owned()).chain([format!("udp://{slow}")]).collect();
        let internet = Internet::start().await;
        let server = start_near(folder(), Some(&internet), &[slow], &forward("corp.example", &servers)).await;
        let answer = server.ask("host.corp.example", RrType::A).await;
        assert_eq!(answer.rcode, Rcode::NOERROR, "{servers:?}: {:?}", answer.ede);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_forwarder_stands_in_for_the_first() {
    let internet = Internet::start().await;
    let (address, _) = forwarder().await;
    for first in [DEAD, CLOSED, "tcp://185.49.140.41", "tcp://185.49.140.42"] {
        for zone in ["corp.example", "."] {
            let toml = forward(zone, &[first.to_owned(), format!("udp://{address}")]) + "validate = false\n";
            let server = start_near(folder(), Some(&internet), &[address], &toml).await;
            for name in ["host.corp.example", "chain.corp.example"] {
                let (answer, took) = timed(&server, name).await;
                assert_eq!(answer.rcode, Rcode::NOERROR, "{first} {zone} {name}: {:?} after {took:?}", answer.ede);
                assert!(took < PROMISE, "{first} {zone} {name}: {took:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_forwarder_for_the_root_are_validated() {
    let internet = Internet::start().await;
    // The forwarder is another resolver that validates by itself and has no lists.
    let upstream = start(folder(), Some(&internet), "[policy]\nmode = \"off\"\n").await;
    let toml = forward(".", &[format!("udp://{}", upstream.dns())]) + "[policy]\nmode = \"off\"\n";
    let server = start_near(folder(), Some(&internet), &[upstream.dns()], &toml).await;
    assert_eq!(wrong_answers(&server).await, [""; 0]);
    for &(name, codes) in BOGUS {
        let (answer, took) = timed(&server, name).await;
        assert_eq!(answer.rcode, Rcode::SERVFAIL, "{name}");
        assert!(codes.contains(&answer.ede_code()) && took < PROMISE, "{name}: {:?} after {took:?}", answer.ede);
        let unchecked = server.ask_with(&Ask { cd: true, ..Ask::new(name, RrType::A) }).await;
        assert!(unchecked.rcode != Rcode::SERVFAIL && !unchecked.ad, "{name} with CD: {unchecked:?}");
    }
    for name in ["www.dead.net", "www.closed.net", "loop1.example.com"] {
        let (answer, took) = timed(&server, name).await;
        assert!(answer.rcode == Rcode::SERVFAIL && took < PROMISE, "{name}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_zone_is_not_validated_unless_told_so() {
    let internet = Internet::start().await;
    // The zone's own name server as forwarder: its answers are forged as far as the root is concerned.
    let toml = |more: &str| forward("bogus-sig.org", &["185.49.140.20".to_owned()]) + more;
    for (more, cd, expected) in [
        ("", false, "NOERROR"),
        ("validate = false\n", false, "NOERROR"),
        ("validate = true\n", false, "SERVFAIL"),
        ("validate = true\n", true, "NOERROR"),
    ] {
        let server = start(folder(), Some(&internet), &toml(more)).await;
        let answer = server.ask_with(&Ask { ad: true, cd, ..Ask::new("www.bogus-sig.org", RrType::A) }).await;
        assert_eq!(outcome(&answer), expected, "{more:?} CD {cd}: {:?}", answer.ede);
    }
    // A secure zone's, validated on request with keys from the root down.
    let toml = forward("signed.org", &["185.49.140.2".to_owned()]) + "validate = true\n";
    let server = start(folder(), Some(&internet), &toml).await;
    for name in ["www.signed.org", "alias.signed.org", "x.wild.signed.org"] {
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, RrType::A) }).await;
        assert_eq!(outcome(&answer), "NOERROR AD", "{name}: {:?}", answer.ede);
    }
}

/// What a forger or a broken forwarder sends back to a question.
type Forgery = fn(&[u8]) -> Vec<Vec<u8>>;

/// An answer with address 6.6.6.6 to the question in `query`.
fn forged(query: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(query).unwrap();
    let mut answer = answer_to(&question, ResponseCode::NoError);
    let owner = question.queries[0].name().clone();
    answer.answers = vec![Record::from_rdata(owner, 300, RData::A(Ipv4Addr::new(6, 6, 6, 6).into()))];
    answer.to_vec().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_a_forwarder_is_never_an_answer() {
    let forgeries: [(&str, Forgery); 8] = [
        ("wrong id", |query| {
            let mut answer = forged(query);
            answer[0] ^= 0x55;
            vec![answer]
        }),
        ("the question itself", |query| vec![query.to_vec()]),
        ("nothing at all", |_| vec![vec![]]),
        ("octets", |_| vec![(0..200).collect(), vec![0xff; 512]]),
        ("id and octets", |query| vec![[&query[..2], &[0xff; 60]].concat()]),
        ("half an answer", |query| {
            let answer = forged(query);
            vec![answer[..answer.len() / 2].to_vec()]
        }),
        ("another question's answer", |query| {
            let mut other = Message::from_vec(query).unwrap();
            other.queries[0].set_name(name("unasked.corp.example."));
            vec![forged(&other.to_vec().unwrap())]
        }),
        ("QR=0", |query| {
            let mut answer = forged(query);
            answer[2] &= 0x7f;
            vec![answer]
        }),
    ];
    for (what, forge) in forgeries {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let forger = tokio::spawn(async move {
            let mut octets = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut octets).await {
                for answer in forge(&octets[..length]) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        let toml = forward("corp.example", &[address.to_string()]);
        let server = start_near(folder(), None, &[address], &toml).await;
        let (answer, took) = timed(&server, "host.corp.example").await;
        assert!(answer.rcode == Rcode::SERVFAIL && answer.answer.is_empty(), "{what}: {answer:?}");
        assert!(took < PROMISE, "{what}: {took:?}");
        let localhost = server.ask("localhost", RrType::A).await;
        assert_eq!(localhost.rcode, Rcode::NOERROR, "{what}");
        forger.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_nobody_asked_for_are_not_passed_on() {
    let (address, _) = forwarder().await;
    let server = start_near(folder(), None, &[address], &forward("corp.example", &[address.to_string()])).await;
    let answer = server.ask("other.corp.example", RrType::A).await;
    assert_eq!(answer.shape(), "", "{answer:?}");
    let (answer, took) = timed(&server, "silent.corp.example").await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::SERVFAIL, 22));
    assert!(took < PROMISE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_fails_or_refuses_is_stood_in_for() {
    let mut wrong = Vec::new();
    let codes = [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr];
    for rcode in codes {
        let (bad, _) = scripted(move |question| Some(answer_to(question, rcode))).await;
        let (good, _) = forwarder().await;
        for servers in [[bad, good], [good, bad]] {
            let toml = forward("corp.example", &servers.map(|server| server.to_string()));
            let server = start_near(folder(), None, &[bad, good], &toml).await;
            for name in ["host.corp.example", "chain.corp.example", "corp.example"] {
                let answer = server.ask(name, RrType::A).await;
                if answer.rcode != Rcode::NOERROR {
                    wrong.push(format!("{name} beside {rcode}: {} {:?}", answer.rcode, answer.ede));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}
