//! What a blocked question gets, by mode, type, flag and transport (DESIGN §5).

use super::{
    ask, assert_counted, assert_denied, assert_dropped, assert_own, ours, program, reason, records, serve, shown,
};
use crate::{
    blocking::{TYPES, every_way},
    harness::Ask,
    internet::Internet,
};
use cleandns::dns::{Rcode, RrType};

/// Modes that answer, as the configuration has them, with the records of an answer to `A` and to `AAAA`.
const MODES: [(&str, &[&str], &[&str]); 6] = [
    ("\"nxdomain\"", &[], &[]),
    ("\"nodata\"", &[], &[]),
    ("\"null\"", &["0.0.0.0"], &["::"]),
    ("\"refused\"", &[], &[]),
    ("[\"192.0.2.1\", \"2001:db8::1\", \"192.0.2.2\"]", &["192.0.2.1", "192.0.2.2"], &["2001:db8::1"]),
    ("[\"2001:db8::1\"]", &[], &["2001:db8::1"]),
];

/// The code of an answer without records.
fn rcode(block: &str) -> Rcode {
    match block {
        "\"nxdomain\"" => Rcode::NXDOMAIN,
        "\"refused\"" => Rcode::REFUSED,
        _ => Rcode::NOERROR,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_answers_every_type_in_every_way_as_it_says() {
    for (ede, (block, ipv4, ipv6)) in [15, 17].into_iter().flat_map(|ede| MODES.map(|mode| (ede, mode))) {
        let toml = program("mine", &format!("block = {block}\nede = {ede}"));
        let server = serve(None, &[("mine.list", &ours(&["signed.org"]))], &toml).await;
        for ask in TYPES.into_iter().flat_map(|rr_type| every_way("www.signed.org", rr_type)) {
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, ede, "mine/mine mine.list:2");
            let data = match ask.rr_type {
                RrType::A => ipv4,
                RrType::AAAA => ipv6,
                _ => &[][..],
            };
            let expected: Vec<String> =
                data.iter().map(|data| format!("www.signed.org 30 {} {data}", ask.rr_type)).collect();
            assert_eq!(records(&answer), expected, "{block} {ask:?}");
            match rcode(block) {
                Rcode::REFUSED => assert_eq!((answer.rcode, answer.authority.len()), (Rcode::REFUSED, 0), "{ask:?}"),
                _ if !data.is_empty() => {
                    assert_eq!((answer.rcode, answer.authority.len()), (Rcode::NOERROR, 0), "{ask:?}");
                }
                rcode => assert_denied(&ask, &answer, rcode, "signed.org"),
            }
        }
        server.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_those_who_get_nothing() {
    let internet = Internet::start().await;
    // The name asked, an address and a name server: what is known at once and what is known later.
    let list = ours(&["www.signed.org", "203.0.113.11", "ns:ns1.plain.test"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "block = \"drop\"")).await;
    let after = Ask::new("a.example.com", RrType::A);
    let mut dropped = 0;
    for text in
        ["www.signed.org A", "www.signed.org ANY", "alias.signed.org TXT", "www.example.com A", "www.plain.test A"]
    {
        let (name, rr_type) = crate::recursion::question(text);
        for tcp in [false, true] {
            assert_dropped(&server, &Ask { tcp, dnssec_ok: true, ..Ask::new(name, rr_type) }, &after).await;
            dropped += 1;
        }
    }
    assert_dropped(&server, &Ask { rd: false, edns: false, ..Ask::new("www.signed.org", RrType::A) }, &after).await;
    assert_eq!(internet.asked("www.signed.org"), 2, "only as the target of an alias: over UDP, over TCP it is known");
    assert_counted(&server, "cleandns_blocked_total", &["program=\"mine\""], dropped + 1).await;
    // They are no answers.
    assert_counted(&server, "cleandns_queries_total", &[], dropped + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_are_denied_whatever_blocked_clients_get() {
    let names = ["use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com"];
    let list = ours(&["=use-application-dns.net", "mask.icloud.com", "=mask-h2.icloud.com", "signed.org"]);
    for block in MODES.map(|(block, ..)| block).into_iter().chain(["\"drop\""]) {
        let server = serve(None, &[("mine.list", &list)], &program("mine", &format!("block = {block}"))).await;
        let expected = if block == "\"nodata\"" { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        for (line, canary) in (2..).zip(names) {
            for ask in
                [RrType::A, RrType::AAAA, RrType::HTTPS].into_iter().flat_map(|rr_type| every_way(canary, rr_type))
            {
                let answer = server.ask_with(&ask).await;
                assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
                assert_denied(&ask, &answer, expected, canary);
            }
        }
        // Only those: what is below one, and any other name, gets what the program says.
        for name in ["x.mask.icloud.com", "signed.org"] {
            let ask = Ask::new(name, RrType::A);
            if block == "\"drop\"" {
                assert_dropped(&server, &ask, &Ask::new(names[0], RrType::A)).await;
            } else {
                let refused_or = server.ask_with(&ask).await.rcode;
                assert_eq!(refused_or, rcode(block), "{block} {name}");
            }
        }
        server.running.stop().await;
    }
}

/// A canary that is blocked for some types only is denied for those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_blocked_by_type_is_denied_for_that_type() {
    let list = [("mine.list", "||mask.icloud.com^$dnstype=A|AAAA\n")];
    for block in ["nxdomain", "null", "refused", "drop"] {
        let server = serve(None, &list, &program("mine", &format!("block = \"{block}\""))).await;
        let ask = Ask::new("mask.icloud.com", RrType::AAAA);
        assert_denied(&ask, &server.ask_with(&ask).await, Rcode::NOERROR, "mask.icloud.com");
        let answer = server.ask_with(&Ask { rd: false, ..Ask::new("mask.icloud.com", RrType::HTTPS) }).await;
        assert_ne!(answer.ede_code(), 15, "{block}");
    }
}

/// A pattern has no name that could own the SOA record, and the name of a rule on an alias lies in another zone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_owned_by_the_rules_name_or_the_name_asked() {
    let internet = Internet::start().await;
    let list = "/^pat[0-9]+[.]signed[.]org$/\n|glob*.signed.org^\n||wild.signed.org^\n||tiktok.com^\n";
    let toml = program("mine", "").replace(".list\" }", ".list\", format = \"adblock\" }");
    let server = serve(Some(&internet), &[("mine.list", list)], &toml).await;
    for (text, owner, line) in [
        ("pat12.signed.org A", "pat12.signed.org", 1),
        ("globular.signed.org TXT", "globular.signed.org", 2),
        ("x.y.wild.signed.org MX", "wild.signed.org", 3),
        ("to-blocked.example.com A", "to-blocked.example.com", 4),
        ("www.dn.example.com AAAA", "www.dn.example.com", 4),
    ] {
        let (name, rr_type) = crate::recursion::question(text);
        for ask in every_way(name, rr_type).into_iter().filter(|ask| ask.rd) {
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
            assert_denied(&ask, &answer, Rcode::NXDOMAIN, owner);
        }
    }
}

/// NXDOMAIN would be cached for all types (RFC 2308 §5), so what is blocked for some of them is denied for those alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_depends_on_the_type_is_denied_for_that_type() {
    let internet = Internet::start().await;
    let types = "||www.signed.org^$dnstype=AAAA|HTTPS\n||target.org^$dnstype=~A\n||tiktok.com^\n";
    let places = ours(&["203.0.113.21", "203.0.113.77", "ns:ns1.plain.test"]);
    let toml = "[[program]]\nname = \"mine\"\n\
                lists = [{ path = \"types.list\", format = \"adblock\" }, { path = \"places.list\" }]\n";
    let lists = [("types.list", types), ("places.list", &*places)];
    let blocked = [
        ("www.signed.org AAAA", "www.signed.org", "types.list:1"),
        ("x.www.signed.org HTTPS", "www.signed.org", "types.list:1"),
        ("www.target.org TXT", "target.org", "types.list:2"),
        ("svcb-blocked.example.com HTTPS", "svcb-blocked.example.com", "types.list:3"),
        ("alias.signed.org A", "alias.signed.org", "places.list:2"),
        ("hints.example.com HTTPS", "hints.example.com", "places.list:3"),
    ];
    let server = serve(Some(&internet), &lists, toml).await;
    for (text, owner, rule) in blocked {
        let (name, rr_type) = crate::recursion::question(text);
        for ask in every_way(name, rr_type).into_iter().filter(|ask| ask.rd) {
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/{} {rule}", rule.split('.').next().unwrap()));
            assert_denied(&ask, &answer, Rcode::NOERROR, owner);
        }
    }
    for (text, expected) in [
        ("www.target.org A", "NOERROR www.target.org A 203.0.113.31"),
        ("svcb-blocked.example.com A", "NOERROR"),
        ("hints.example.com A", "NOERROR hints.example.com A 203.0.113.78"),
        ("hints.example.com TXT", "NOERROR hints.example.com TXT \"hints\""),
    ] {
        let answer = ask(&server, text).await;
        assert_eq!((shown(&answer).as_str(), reason(&answer)), (expected, ""), "{text}");
    }
    // Name servers are the same whatever is asked.
    let ask = Ask::new("www.plain.test", RrType::A);
    assert_denied(&ask, &server.ask_with(&ask).await, Rcode::NXDOMAIN, "www.plain.test");
    // The other modes say what they say.
    for (block, expected) in [
        ("\"nodata\"", ["NOERROR", "NOERROR", "NOERROR", "NOERROR", "NOERROR", "NOERROR"]),
        ("\"refused\"", ["REFUSED", "REFUSED", "REFUSED", "REFUSED", "REFUSED", "REFUSED"]),
        (
            "\"null\"",
            [
                "NOERROR www.signed.org AAAA ::",
                "NOERROR",
                "NOERROR",
                "NOERROR",
                "NOERROR alias.signed.org A 0.0.0.0",
                "NOERROR",
            ],
        ),
    ] {
        let server = serve(Some(&internet), &lists, &format!("{toml}block = {block}\n")).await;
        for ((text, ..), expected) in blocked.into_iter().zip(expected) {
            assert_eq!(shown(&super::ask(&server, text).await), expected, "{block} {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_alias_is_shown_on_the_way_to_what_is_blocked() {
    let internet = Internet::start().await;
    for (block, expected) in [
        ("\"nxdomain\"", "NXDOMAIN"),
        ("\"nodata\"", "NOERROR"),
        ("\"refused\"", "REFUSED"),
        ("\"null\"", "NOERROR to-blocked2.example.com A 0.0.0.0"),
        ("[\"192.0.2.1\"]", "NOERROR to-blocked2.example.com A 192.0.2.1"),
    ] {
        let toml = program("mine", &format!("block = {block}"));
        let server = serve(Some(&internet), &[("mine.list", &ours(&["tiktokv.com"]))], &toml).await;
        for (tcp, cd) in [(false, false), (true, false), (false, true)] {
            let ask = Ask { tcp, cd, dnssec_ok: true, ..Ask::new("to-blocked2.example.com", RrType::A) };
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, "mine/mine mine.list:2");
            assert_eq!(shown(&answer), expected, "{ask:?}");
        }
    }
}

/// The explanation gives way before an answer is truncated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reason_gives_way_before_the_answer() {
    let address = |last: usize| format!("\"192.0.2.{last}\"");
    // With this name, OPT, and fifteen addresses a response has 512 octets exactly.
    let long = |octets: usize| {
        let mut name = format!("{}.", "x".repeat(63)).repeat(3);
        name.push_str(&"y".repeat(octets - name.len() - 2 - ".signed.org".len()));
        format!("{name}.signed.org")
    };
    let expected = [(14, 245, true, false), (15, 245, false, false), (16, 245, false, true)];
    for (addresses, octets, has_reason, truncated) in expected {
        let block: Vec<String> = (1..=addresses).map(address).collect();
        let toml = program("mine", &format!("block = [{}]", block.join(", ")));
        let server = serve(None, &[("mine.list", &ours(&["signed.org"]))], &toml).await;
        let ask = Ask { udp_size: 512, ..Ask::new(&long(octets), RrType::A) };
        let answer = server.ask_with(&ask).await;
        let (count, is_told) = (answer.answer.len(), answer.ede.is_some());
        assert_eq!((count, is_told), (if truncated { 0 } else { addresses }, has_reason || truncated), "{addresses}");
        assert_eq!((answer.truncated, answer.octets.len() <= 512), (truncated, true), "{addresses}");
        let answer = server.ask_with(&Ask { tcp: true, ..ask }).await;
        assert_eq!((answer.answer.len(), reason(&answer)), (addresses, "mine/mine mine.list:2"));
    }
}
