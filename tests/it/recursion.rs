//! Recursion and validation against the miniature Internet: what comes out for each kind of zone, and how long it
//! takes when nothing does.

use crate::{
    harness::{Answer, Ask, Server, eventually, folder, over_udp, start, try_start},
    internet::Internet,
};
use cleandns::dns::{Rcode, RrType};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// What the product promises: a client has its answer within this.
pub const PROMISE: Duration = Duration::from_secs(4);
/// What needs no waiting for anybody is answered within this, however slow the machine.
pub const AT_ONCE: Duration = Duration::from_millis(1500);

/// No lists: these tests are about resolving.
const OFF: &str = "[policy]\nmode = \"off\"\n";

/// Name and type; rcode, with "AD" where the answer is secure; owners and types of the answer section in order.
pub const ANSWERS: &[(&str, &str, &str)] = &[
    // the root and the top-level domains
    (". NS", "NOERROR AD", ". NS, . NS"),
    (". SOA", "NOERROR AD", ". SOA"),
    (". DNSKEY", "NOERROR AD", ". DNSKEY, . DNSKEY"), // KSK and ZSK
    (". A", "NOERROR AD", ""),
    ("org DNSKEY", "NOERROR AD", "org DNSKEY"),
    ("org NS", "NOERROR AD", "org NS"),
    ("org DS", "NOERROR AD", "org DS"),
    ("nx A", "NXDOMAIN AD", ""),
    ("nx.org A", "NXDOMAIN AD", ""),
    ("nx.net A", "NXDOMAIN AD", ""),
    ("nx.com A", "NXDOMAIN", ""), // covered by opt-out
    // unsigned
    ("example.com A", "NOERROR", "example.com A"),
    ("example.com AAAA", "NOERROR", "example.com AAAA"),
    ("example.com MX", "NOERROR", "example.com MX"),
    ("example.com TXT", "NOERROR", "example.com TXT"),
    ("example.com HTTPS", "NOERROR", "example.com HTTPS"),
    ("example.com NS", "NOERROR", "example.com NS"),
    ("example.com SOA", "NOERROR", "example.com SOA"),
    ("example.com CAA", "NOERROR", ""),
    ("example.com TYPE65280", "NOERROR", ""),
    ("www.example.com A", "NOERROR", "www.example.com A"),
    ("www.example.com AAAA", "NOERROR", ""),
    ("nx.example.com A", "NXDOMAIN", ""),
    ("a.b.c.nx.example.com A", "NXDOMAIN", ""),
    ("alias.example.com A", "NOERROR", "alias.example.com CNAME, www.example.com A"),
    ("alias.example.com CNAME", "NOERROR", "alias.example.com CNAME"),
    ("alias2.example.com A", "NOERROR", "alias2.example.com CNAME, alias.signed.org CNAME, www.signed.org A"),
    (
        "chain1.example.com A",
        "NOERROR",
        "chain1.example.com CNAME, chain2.example.com CNAME, chain3.example.com CNAME, a.example.com A",
    ),
    (
        "chain1.example.com AAAA",
        "NOERROR",
        "chain1.example.com CNAME, chain2.example.com CNAME, chain3.example.com CNAME",
    ),
    ("dangling.example.com A", "NXDOMAIN", "dangling.example.com CNAME"),
    ("dangling.example.com CNAME", "NOERROR", "dangling.example.com CNAME"),
    ("nodata-alias.example.com AAAA", "NOERROR", "nodata-alias.example.com CNAME"),
    ("x.wild.example.com A", "NOERROR", "x.wild.example.com A"),
    ("x.y.wild.example.com A", "NOERROR", "x.y.wild.example.com A"),
    ("x.wild.example.com TXT", "NOERROR", ""),
    ("www.dn.example.com A", "NOERROR", "dn.example.com DNAME, www.dn.example.com CNAME, www.tiktok.com A"),
    ("x.dn.example.com A", "NXDOMAIN", "dn.example.com DNAME, x.dn.example.com CNAME"),
    ("dn.example.com DNAME", "NOERROR", "dn.example.com DNAME"),
    ("dn.example.com A", "NOERROR", ""),
    ("example.com DS", "NOERROR", ""), // opt-out, too
    ("svcb-blocked.example.com HTTPS", "NOERROR", "svcb-blocked.example.com HTTPS"),
    ("www.plain.test A", "NOERROR", "www.plain.test A"),
    ("nx.plain.test A", "NXDOMAIN", ""),
    // servers whose addresses have to be resolved first
    ("www.tiktok.com A", "NOERROR", "www.tiktok.com A"),
    ("nx.tiktokv.com A", "NXDOMAIN", ""),
    // signed, NSEC
    ("signed.org A", "NOERROR AD", "signed.org A"),
    ("signed.org AAAA", "NOERROR AD", "signed.org AAAA"),
    ("signed.org TXT", "NOERROR AD", "signed.org TXT"),
    ("signed.org NS", "NOERROR AD", "signed.org NS"),
    ("signed.org SOA", "NOERROR AD", "signed.org SOA"),
    ("signed.org DS", "NOERROR AD", "signed.org DS"),
    ("signed.org DNSKEY", "NOERROR AD", "signed.org DNSKEY"),
    ("ns1.signed.org A", "NOERROR AD", "ns1.signed.org A"),
    ("signed.org MX", "NOERROR AD", ""),
    ("www.signed.org A", "NOERROR AD", "www.signed.org A"),
    ("www.signed.org AAAA", "NOERROR AD", "www.signed.org AAAA"),
    ("www.signed.org DS", "NOERROR AD", ""),
    ("www.signed.org HTTPS", "NOERROR AD", ""),
    ("only-a.signed.org AAAA", "NOERROR AD", ""),
    ("nx.signed.org A", "NXDOMAIN AD", ""),
    ("a.b.c.signed.org A", "NXDOMAIN AD", ""),
    ("alias.signed.org A", "NOERROR AD", "alias.signed.org CNAME, www.signed.org A"),
    ("alias.signed.org CNAME", "NOERROR AD", "alias.signed.org CNAME"),
    ("alias-nx.signed.org CNAME", "NOERROR AD", "alias-nx.signed.org CNAME"),
    ("alias-nodata.signed.org AAAA", "NOERROR AD", "alias-nodata.signed.org CNAME"),
    ("alias-nx.signed.org A", "NXDOMAIN AD", "alias-nx.signed.org CNAME"),
    ("alias-out.signed.org A", "NOERROR AD", "alias-out.signed.org CNAME, www.target.org A"),
    ("alias-out-nodata.signed.org AAAA", "NOERROR AD", "alias-out-nodata.signed.org CNAME"),
    ("alias-out-nx.signed.org A", "NXDOMAIN AD", "alias-out-nx.signed.org CNAME"),
    ("x.wild.signed.org A", "NOERROR AD", "x.wild.signed.org A"),
    ("x.y.wild.signed.org A", "NOERROR AD", "x.y.wild.signed.org A"),
    ("x.wild.signed.org AAAA", "NOERROR AD", ""),
    ("x.wild-alias.signed.org A", "NOERROR AD", "x.wild-alias.signed.org CNAME, www.signed.org A"),
    ("x.wild-alias.signed.org MX", "NOERROR AD", "x.wild-alias.signed.org CNAME"),
    ("x.wild-alias.signed.org CNAME", "NOERROR AD", "x.wild-alias.signed.org CNAME"),
    ("wild.signed.org A", "NOERROR AD", ""),
    ("*.wild.signed.org A", "NOERROR AD", "*.wild.signed.org A"),
    ("dn.signed.org DNAME", "NOERROR AD", "dn.signed.org DNAME"),
    ("dn.signed.org A", "NOERROR AD", ""),
    ("www.dn.signed.org A", "NOERROR AD", "dn.signed.org DNAME, www.dn.signed.org CNAME, www.target.org A"),
    ("only-a.dn.signed.org AAAA", "NOERROR AD", "dn.signed.org DNAME, only-a.dn.signed.org CNAME"),
    ("nx.dn.signed.org A", "NXDOMAIN AD", "dn.signed.org DNAME, nx.dn.signed.org CNAME"),
    ("ent.signed.org A", "NOERROR AD", ""),
    ("x.ent.signed.org A", "NOERROR AD", "x.ent.signed.org A"),
    ("to-insecure.signed.org A", "NOERROR", "to-insecure.signed.org CNAME, www.example.com A"),
    ("to-insecure.signed.org AAAA", "NOERROR", "to-insecure.signed.org CNAME"),
    ("to-blocked.signed.org A", "NOERROR", "to-blocked.signed.org CNAME, www.tiktok.com A"),
    ("to-bogus.signed.org A", "SERVFAIL", ""),
    ("www.child.signed.org A", "NOERROR AD", "www.child.signed.org A"),
    ("nx.child.signed.org A", "NXDOMAIN AD", ""),
    ("child.signed.org DS", "NOERROR AD", "child.signed.org DS"),
    ("child.signed.org A", "NOERROR AD", "child.signed.org A"),
    ("child.signed.org NS", "NOERROR AD", "child.signed.org NS"),
    ("www.unsigned-child.signed.org A", "NOERROR", "www.unsigned-child.signed.org A"),
    ("nx.unsigned-child.signed.org A", "NXDOMAIN", ""),
    ("unsigned-child.signed.org DS", "NOERROR AD", ""),
    ("www.secure.test A", "NOERROR AD", "www.secure.test A"),
    ("plain.test DS", "NOERROR AD", ""),
    ("bogus-sig.org DS", "NOERROR AD", "bogus-sig.org DS"),
    ("insecure-alg.org DS", "NOERROR AD", "insecure-alg.org DS"),
    ("lame.net DS", "NOERROR AD", ""),
    // signed, NSEC3
    ("signed3.com A", "NOERROR AD", "signed3.com A"),
    ("signed3.com NS", "NOERROR AD", "signed3.com NS"),
    ("www.signed3.com A", "NOERROR AD", "www.signed3.com A"),
    ("www.signed3.com TXT", "NOERROR AD", ""),
    ("only-a.signed3.com AAAA", "NOERROR AD", ""),
    ("nx.signed3.com A", "NXDOMAIN AD", ""),
    ("a.b.c.signed3.com A", "NXDOMAIN AD", ""),
    ("alias.signed3.com A", "NOERROR AD", "alias.signed3.com CNAME, www.signed3.com A"),
    ("alias-nodata.signed3.com AAAA", "NOERROR AD", "alias-nodata.signed3.com CNAME"),
    ("alias-nx.signed3.com A", "NXDOMAIN AD", "alias-nx.signed3.com CNAME"),
    ("x.wild.signed3.com A", "NOERROR AD", "x.wild.signed3.com A"),
    ("x.wild.signed3.com AAAA", "NOERROR AD", ""),
    ("www.dn.signed3.com A", "NOERROR AD", "dn.signed3.com DNAME, www.dn.signed3.com CNAME, www.target.org A"),
    ("ent.signed3.com A", "NOERROR AD", ""),
    ("x.ent.signed3.com A", "NOERROR AD", "x.ent.signed3.com A"),
    ("www.child.signed3.com A", "NOERROR AD", "www.child.signed3.com A"),
    ("www.unsigned-child.signed3.com A", "NOERROR", "www.unsigned-child.signed3.com A"),
    ("nx.unsigned-child.signed3.com A", "NXDOMAIN", ""),
    ("signed3.com DS", "NOERROR AD", "signed3.com DS"),
    ("wild.signed3.com A", "NOERROR AD", ""),
    ("nx.dn.signed3.com A", "NXDOMAIN AD", "dn.signed3.com DNAME, nx.dn.signed3.com CNAME"),
    // signed with what nobody can check
    ("www.insecure-alg.org A", "NOERROR", "www.insecure-alg.org A"),
    ("nx.insecure-alg.org A", "NXDOMAIN", ""),
];

/// Names that break their chain of trust, and the Extended DNS Errors that say how.
pub const BOGUS: &[(&str, &[u16])] = &[
    ("www.bogus-expired.org", &[7]),
    ("nx.bogus-expired.org", &[7]),
    ("www.bogus-future.org", &[8]),
    ("www.bogus-ds.org", &[9]),
    ("nx.bogus-ds.org", &[9]),
    ("www.bogus-sig.org", &[6]),
    ("to-bogus.signed.org", &[6]),
    ("www.bogus-nosig.org", &[9, 10]),
    ("nx.bogus-nonsec.org", &[12]),
];

/// A question as the tables write it.
pub fn question(text: &str) -> (&str, RrType) {
    let (name, rr_type) = text.split_once(' ').unwrap();
    (name, rr_type.parse().unwrap())
}

/// An answer as the tables write it.
pub fn outcome(answer: &Answer) -> String {
    format!("{}{}", answer.rcode, if answer.ad { " AD" } else { "" })
}

/// Asks everything in `ANSWERS` with AD set and returns what came out otherwise than it should.
pub async fn wrong_answers(server: &Server) -> Vec<String> {
    let mut wrong = Vec::new();
    for &(asked, expected, shape) in ANSWERS {
        let (name, rr_type) = question(asked);
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, rr_type) }).await;
        let got = (outcome(&answer), answer.shape());
        if got != (expected.to_owned(), shape.to_owned()) {
            wrong.push(format!("{asked}: {} [{}], not {expected} [{shape}]; {:?}", got.0, got.1, answer.ede));
        }
    }
    wrong
}

/// Asks, and returns the answer with the time the client waited for it.
async fn timed(server: &Server, name: &str) -> (Answer, Duration) {
    let started = Instant::now();
    let answer = server.ask(name, RrType::A).await;
    (answer, started.elapsed())
}

fn count(answer: &Answer, rr_type: RrType) -> usize {
    answer.answer.iter().chain(&answer.authority).filter(|record| record.rr_type == rr_type).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_family_of_names_resolves() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    assert_eq!(wrong_answers(&server).await, [""; 0]);
    // once more, from what is remembered by now
    assert_eq!(wrong_answers(&server).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_and_proofs_go_to_those_who_ask() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    for &(asked, expected, shape) in ANSWERS {
        let (name, rr_type) = question(asked);
        let plain = server.ask(name, rr_type).await;
        assert!(!plain.ad, "{asked}: AD without AD or DO in the query");
        assert!(!plain.authoritative && plain.ra && !plain.cd, "{asked}: {plain:?}");
        assert_eq!(plain.shape(), shape, "{asked}");
        let without_edns = server.ask_with(&Ask { edns: false, ..Ask::new(name, rr_type) }).await;
        assert!(!without_edns.ad && without_edns.octets[10..12] == [0, 0], "{asked}: additional records");
        let full = server.ask_with(&Ask { dnssec_ok: true, tcp: true, ..Ask::new(name, rr_type) }).await;
        assert_eq!(outcome(&full), expected, "{asked} with DO");
        for proof in [RrType::RRSIG, RrType::NSEC, RrType::NSEC3] {
            assert!(count(&plain, proof) == 0 || rr_type == proof, "{asked}: {proof} without DO");
        }
        let is_negative = !plain.answer.iter().any(|record| record.rr_type == rr_type);
        let denials = count(&full, RrType::NSEC) + count(&full, RrType::NSEC3);
        if expected.ends_with("AD") {
            assert!(count(&full, RrType::RRSIG) > 0, "{asked}: no signatures for DO");
            assert!(denials > 0 || !is_negative, "{asked}: no proof of the denial");
        }
        if expected != "SERVFAIL" && is_negative {
            let soas: Vec<_> = plain.authority.iter().filter(|record| record.rr_type == RrType::SOA).collect();
            assert_eq!(soas.len(), 1, "{asked}: {:?}", plain.authority);
            let minimum = u32::from_be_bytes(*soas[0].data.last_chunk().unwrap());
            assert!(soas[0].ttl <= minimum, "{asked}: {} > {minimum}", soas[0].ttl);
        } else {
            assert_eq!(count(&plain, RrType::SOA), usize::from(rr_type == RrType::SOA), "{asked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bogus_answers_fail_and_say_why() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    let mut wrong = Vec::new();
    for &(name, codes) in BOGUS {
        let (answer, took) = timed(&server, name).await;
        if answer.rcode != Rcode::SERVFAIL || !codes.contains(&answer.ede_code()) || answer.ad || took > PROMISE {
            wrong.push(format!("{name}: {} {:?} after {took:?}, not {codes:?}", answer.rcode, answer.ede));
        }
        assert!(answer.answer.is_empty() && answer.authority.is_empty(), "{name}");
        // A client that checks by itself gets the data, and no word on its security.
        let ask = Ask { cd: true, ad: true, dnssec_ok: true, tcp: true, ..Ask::new(name, RrType::A) };
        let unchecked = server.ask_with(&ask).await;
        let expected = if name.starts_with("nx.") { "NXDOMAIN" } else { "NOERROR" };
        assert_eq!(outcome(&unchecked), expected, "{name} with CD");
        assert!(unchecked.cd && (expected == "NXDOMAIN" || !unchecked.answer.is_empty()), "{name} with CD");
    }
    assert_eq!(wrong, [""; 0]);
    // What is right in these zones stays right.
    let answer = server.ask_with(&Ask { ad: true, ..Ask::new("www.bogus-nonsec.org", RrType::A) }).await;
    assert_eq!(outcome(&answer), "NOERROR AD");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_resolved_fails_in_time_and_says_why() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    let server = Arc::new(server);
    // All at once the first time; asked again, a name is no slower.
    for _ in 0..2 {
        let mut asking = JoinSet::new();
        for (name, codes, within) in [
            ("www.lame.net", &[22, 23][..], PROMISE),
            ("www.dead.net", &[22, 23], PROMISE),
            ("dead.net", &[22, 23], PROMISE),
            ("www.closed.net", &[22, 23], AT_ONCE),
            ("loop1.example.com", &[0], PROMISE),
            ("loop2.example.com", &[0], PROMISE),
            ("slow.example.com", &[22, 23], PROMISE),
        ] {
            let server = server.clone();
            asking.spawn(async move {
                let (answer, took) = timed(&server, name).await;
                let code = answer.ede.as_ref().map(|ede| ede.code);
                let is_right = answer.rcode == Rcode::SERVFAIL && code.is_some_and(|code| codes.contains(&code));
                assert!(is_right && took < within, "{name}: {} {:?} after {took:?}", answer.rcode, answer.ede);
            });
        }
        asking.join_all().await;
    }
    assert_eq!(server.ask("www.example.com", RrType::A).await.rcode, Rcode::NOERROR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_internet_is_reported_and_its_return_noticed() {
    let internet = Internet::start().await;
    internet.set_silent(true);
    let server = start(folder(), Some(&internet), OFF).await;
    let (answer, took) = timed(&server, "www.signed.org").await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::SERVFAIL, 22));
    assert!(took < PROMISE, "{took:?}");
    eventually("not ready for want of upstream", || async {
        let (_, page) = server.get("/readyz").await;
        page.contains("degraded") && page.contains("outbound port 53") && page.contains("[[resolve.forward]]")
    })
    .await;
    internet.set_silent(false);
    let (answer, took) = timed(&server, "www.secure.test").await;
    assert_eq!(answer.shape(), "www.secure.test A", "{answer:?} after {took:?}");
    let (status, page) = server.get("/readyz").await;
    assert!(status == 200 && page.contains("\"ready\""), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_zone_falls_silent_and_speaks_again() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, Rcode::NOERROR);
    internet.set_silent(true);
    let (answer, took) = timed(&server, "only-a.signed.org").await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::SERVFAIL, 22));
    assert!(took < PROMISE, "{took:?}");
    assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, Rcode::NOERROR, "what is remembered");
    internet.set_silent(false);
    let (answer, took) = timed(&server, "x.ent.signed.org").await;
    assert_eq!(answer.shape(), "x.ent.signed.org A", "{answer:?} after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anchors_may_be_keys() {
    let internet = Internet::start().await;
    let folder = folder();
    std::fs::write(folder.path().join("root.key"), internet.anchor_dnskey()).unwrap();
    let toml = format!("[resolve]\nroot_hints = \"root.hints\"\ntrust_anchors = \"root.key\"\nipv6 = false\n{OFF}");
    let server = start(folder, Some(&internet), &toml).await;
    let secure = server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
    assert_eq!(outcome(&secure), "NOERROR AD");
    assert_eq!(server.ask("www.bogus-sig.org", RrType::A).await.rcode, Rcode::SERVFAIL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validation_can_be_switched_off() {
    let internet = Internet::start().await;
    let toml = format!("[resolve]\nroot_hints = \"root.hints\"\nvalidate = false\nipv6 = false\n{OFF}");
    let server = start(folder(), Some(&internet), &toml).await;
    for name in ["www.signed.org", "www.bogus-sig.org", "www.bogus-nosig.org", "www.bogus-expired.org"] {
        let answer = server.ask_with(&Ask { ad: true, dnssec_ok: true, ..Ask::new(name, RrType::A) }).await;
        assert_eq!(outcome(&answer), "NOERROR", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_suspends_validation_alone() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    let right = server.clock.swap(0, Ordering::Relaxed);
    for name in ["www.signed.org", "www.bogus-sig.org", "www.bogus-expired.org", "www.bogus-ds.org"] {
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, RrType::A) }).await;
        assert_eq!((outcome(&answer), answer.shape()), ("NOERROR".into(), format!("{name} A")));
    }
    let (status, page) = server.get("/readyz").await;
    assert!(status == 200 && page.contains("degraded") && page.contains("clock"), "{status} {page}");
    server.clock.store(right, Ordering::Relaxed);
    for (name, expected) in [("www.signed.org", "NOERROR AD"), ("www.bogus-sig.org", "SERVFAIL")] {
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, RrType::A) }).await;
        assert_eq!(outcome(&answer), expected, "{name}");
    }
    let (_, page) = server.get("/readyz").await;
    assert!(!page.contains("clock"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn address_families_and_forbidden_networks_are_kept_to() {
    let internet = Internet::start().await;
    let files = "root_hints = \"root.hints\"\ntrust_anchors = \"root.ds\"\n";
    let server = start(folder(), Some(&internet), &format!("[resolve]\n{files}ipv4 = false\n{OFF}")).await;
    let (answer, took) = timed(&server, "www.signed.org").await;
    assert_eq!(answer.rcode, Rcode::SERVFAIL);
    assert!(matches!(answer.ede_code(), 22 | 23) && took < AT_ONCE, "{:?} after {took:?}", answer.ede);
    assert_eq!(internet.asked_total(), 0);
    // The root is asked all the same: hints are the owner's word.
    let networks = r#"do_not_query = ["185.49.140.0/24", "198.41.0.0/24", "170.247.170.0/24"]"#;
    let toml = format!("[resolve]\n{files}ipv6 = false\n{networks}\n{OFF}");
    let server = start(folder(), Some(&internet), &toml).await;
    for (asked, expected) in [("org NS", "NOERROR AD"), ("nx.org A", "NXDOMAIN AD"), ("www.signed.org A", "SERVFAIL")] {
        let (name, rr_type) = question(asked);
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, rr_type) }).await;
        assert_eq!(outcome(&answer), expected, "{asked}");
    }
    assert_eq!(internet.asked("www.signed.org"), 0, "a forbidden server was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_hints_and_anchors_are_named_with_their_line() {
    let internet = Internet::start().await;
    let mut wrong = Vec::new();
    for (option, text, expected) in [
        ("root_hints", ". 60 IN NS a.x.\na.x. 60 IN A 1.2.3.400\n", "damaged:2"),
        ("root_hints", "; nothing\n", "damaged:"),
        ("root_hints", "<html>\n<body>not found</body>\n", "damaged:1"),
        ("trust_anchors", "\n. 60 IN DS 20326 8 2 XYZ\n", "damaged:2"),
        ("trust_anchors", "\n. 60 IN DS 20326 8 2 XYZ ; comment\n. 60 IN NS a.\n", "damaged:2"),
        ("trust_anchors", "; nothing\n", "damaged:"),
    ] {
        let folder = folder();
        std::fs::write(folder.path().join("damaged"), text).unwrap();
        let other = if option == "root_hints" { "trust_anchors = \"root.ds\"" } else { "root_hints = \"root.hints\"" };
        let toml = format!("[resolve]\n{option} = \"damaged\"\n{other}\n{OFF}");
        let Err(error) = try_start(folder, Some(&internet), &[], &toml).await else {
            panic!("starts with {option} {text:?}");
        };
        if !error.to_string().contains(expected) {
            wrong.push(format!("{option} {text:?}: {error}, not {expected}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_is_not_asked_again() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    for (asked, upstream) in [
        ("www.secure.test A", "www.secure.test"),
        ("www.example.com A", "www.example.com"),
        ("nx.signed.org A", "nx.signed.org"),
        ("only-a.signed.org AAAA", "only-a.signed.org"),
        ("alias.signed.org A", "www.signed.org"),
        ("alias-nx.signed.org A", "alias-nx.signed.org"),
        ("www.dn.signed.org A", "www.target.org"),
        ("www.bogus-sig.org A", "www.bogus-sig.org"),
    ] {
        let (name, rr_type) = question(asked);
        server.ask(name, rr_type).await;
        let (once, all) = (internet.asked(upstream), internet.asked_total());
        assert!(once > 0, "{asked}");
        for (dnssec_ok, cd) in [(false, false), (true, false), (false, true)] {
            server.ask_with(&Ask { dnssec_ok, cd, ..Ask::new(name, rr_type) }).await;
        }
        assert_eq!((internet.asked(upstream), internet.asked_total()), (once, all), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_udp_cannot_carry_is_truncated_and_whole_over_tcp() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    for name in ["big.example.com", "big.signed.org"] {
        for udp_size in [512, 1232, 4096, 65_535] {
            let cut = server.ask_with(&Ask { udp_size, ..Ask::new(name, RrType::TXT) }).await;
            assert!(cut.truncated && cut.answer.is_empty() && cut.rcode == Rcode::NOERROR, "{name} {udp_size}");
        }
        let whole = server.ask_with(&Ask { tcp: true, ..Ask::new(name, RrType::TXT) }).await;
        assert!(!whole.truncated && whole.answer.len() == 20 && whole.octets.len() > 4096, "{name}");
    }
    let many = Ask::new("many.example.com", RrType::A);
    for (ask, expected) in [
        (Ask { edns: false, ..many.clone() }, None),
        (Ask { udp_size: 100, ..many.clone() }, None),
        (Ask { udp_size: 512, ..many.clone() }, None),
        (many.clone(), Some(60)),
        (Ask { edns: false, tcp: true, ..many }, Some(60)),
    ] {
        let answer = server.ask_with(&ask).await;
        assert_eq!((!answer.truncated).then_some(answer.answer.len()), expected, "{ask:?}");
        assert!(ask.tcp || answer.octets.len() <= usize::from(ask.udp_size).max(512), "{ask:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_question_comes_back_as_it_was_spelt() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    for (name, rcode) in [
        ("alias.signed.org", Rcode::NOERROR),
        ("nx.signed.org", Rcode::NXDOMAIN),
        ("www.bogus-sig.org", Rcode::SERVFAIL),
        ("localhost", Rcode::NOERROR),
    ] {
        for pattern in [0b0101_0101_0110_u32, 0b1111_1111_1111, 0b1000_0000_0001] {
            let mut packet = Ask::new(name, RrType::A).packet();
            let end = 12 + name.len() + 2;
            for (bit, octet) in packet[12..end].iter_mut().filter(|octet| octet.is_ascii_alphabetic()).enumerate() {
                *octet = if pattern >> (bit % 12) & 1 == 1 { octet.to_ascii_uppercase() } else { *octet };
            }
            let answer = Answer::read(over_udp(server.dns(), &packet).await.unwrap());
            assert_eq!(answer.octets[12..end + 4], packet[12..end + 4], "{name}");
            assert_eq!(answer.rcode, rcode, "{name}");
        }
    }
}

/// Downstream validators ask for the DS of any name on their way down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ds_question_about_an_alias_follows_it_too() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), OFF).await;
    let mut wrong = Vec::new();
    for (name, expected, shape) in [
        ("alias.example.com", "NOERROR", "alias.example.com CNAME"),
        ("dangling.example.com", "NXDOMAIN", "dangling.example.com CNAME"),
        ("alias.signed.org", "NOERROR AD", "alias.signed.org CNAME"),
        ("alias-nx.signed.org", "NXDOMAIN AD", "alias-nx.signed.org CNAME"),
        ("alias-out.signed.org", "NOERROR AD", "alias-out.signed.org CNAME"),
        ("x.wild-alias.signed.org", "NOERROR AD", "x.wild-alias.signed.org CNAME"),
        ("www.dn.signed.org", "NOERROR AD", "dn.signed.org DNAME, www.dn.signed.org CNAME"),
        ("alias.signed3.com", "NOERROR AD", "alias.signed3.com CNAME"),
    ] {
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, RrType::DS) }).await;
        if (outcome(&answer).as_str(), answer.shape().as_str()) != (expected, shape) {
            wrong.push(format!("{name}: {} [{}] {:?}", outcome(&answer), answer.shape(), answer.ede));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_one_question_is_one_question_upstream() {
    let internet = Internet::start().await;
    let server = Arc::new(start(folder(), Some(&internet), OFF).await);
    // The way to the zone is known before the crowd comes.
    server.ask("only-a.signed.org", RrType::A).await;
    internet.set_delay(Duration::from_millis(300));
    let mut crowd = JoinSet::new();
    for number in 0..50 {
        let server = server.clone();
        let ask = Ask { tcp: number % 2 == 0, ad: true, ..Ask::new("www.signed.org", RrType::A) };
        crowd.spawn(async move { outcome(&server.ask_with(&ask).await) });
    }
    assert!(crowd.join_all().await.iter().all(|outcome| outcome == "NOERROR AD"));
    let asked = internet.asked("www.signed.org");
    assert!(asked <= 2, "asked {asked} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lame_server_beside_a_good_one_is_passed_over() {
    let internet = Internet::start().await;
    let folder = folder();
    // A zone with two name servers, of which one refuses: that of example.com knows nothing of the root.
    let hints = ". 60 IN NS lame.\nlame. 60 IN A 185.49.140.1\n. 60 IN NS good.\ngood. 60 IN A 198.41.0.4\n";
    std::fs::write(folder.path().join("half.hints"), hints).unwrap();
    let toml = format!("[resolve]\nroot_hints = \"half.hints\"\ntrust_anchors = \"root.ds\"\nipv6 = false\n{OFF}");
    let server = start(folder, Some(&internet), &toml).await;
    let mut wrong = Vec::new();
    for number in 0..20 {
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(&format!("nx{number}"), RrType::A) }).await;
        if outcome(&answer) != "NXDOMAIN AD" {
            wrong.push(format!("nx{number}: {} {:?}", outcome(&answer), answer.ede));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
