//! Response policy zones: every trigger, every action, their order, and what overrides them.

use super::{
    ask, assert_denied, assert_dropped, assert_own, assert_verdicts, explain, program, reason, records, serve, shown,
};
use crate::{
    harness::{Ask, Server},
    internet::Internet,
    recursion::question,
};
use cleandns::dns::{Rcode, RrType};

/// A zone's text; its rules begin in line 4.
fn zone(name: &str, rules: &[&str]) -> String {
    format!("$TTL 300\n$ORIGIN {name}.\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n{}\n", rules.join("\n"))
}

/// A program of these lists, each a file and more of its options.
fn zones(lists: &[(&str, &str)]) -> String {
    let all: Vec<String> = lists.iter().map(|(file, more)| format!("{{ path = \"{file}\"{more} }}")).collect();
    format!("[[program]]\nname = \"mine\"\nlists = [{}]\n", all.join(", "))
}

async fn serve_one(internet: &Internet, rules: &[&str]) -> Server {
    serve(Some(internet), &[("mine.list", &zone("rpz.test", rules))], &program("mine", "")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_is_taken() {
    let internet = Internet::start().await;
    let rules = [
        "www.signed.org CNAME .",
        "*.wild.signed.org CNAME *.",
        "only-a.signed.org CNAME rpz-passthru.",
        "*.signed.org CNAME .",
        "drop.example CNAME rpz-drop.",
        "www.example.com CNAME rpz-tcp-only.",
        "www.plain.test CNAME www.plain.test.",
        "*.plain.test CNAME .",
    ];
    let server = serve_one(&internet, &rules).await;
    for (text, rcode, owner, line) in [
        ("www.signed.org AAAA", Rcode::NXDOMAIN, "www.signed.org", 4),
        ("x.wild.signed.org A", Rcode::NOERROR, "wild.signed.org", 5),
        ("x.y.wild.signed.org HTTPS", Rcode::NOERROR, "wild.signed.org", 5),
        ("x.www.signed.org A", Rcode::NXDOMAIN, "signed.org", 7),
        ("a.b.plain.test ANY", Rcode::NXDOMAIN, "plain.test", 11),
    ] {
        let (name, rr_type) = question(text);
        for (tcp, rd, edns) in [(false, true, true), (true, true, true), (false, false, true), (false, true, false)] {
            let ask = Ask { tcp, rd, edns, dnssec_ok: edns, ..Ask::new(name, rr_type) };
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
            assert_denied(&ask, &answer, rcode, owner);
        }
    }
    assert_verdicts(
        &server,
        &[("signed.org A", ""), ("only-a.signed.org A", ""), ("www.plain.test A", ""), ("plain.test A", "")],
    )
    .await;
    for tcp in [false, true] {
        let drop = Ask { tcp, ..Ask::new("drop.example", RrType::A) };
        assert_dropped(&server, &drop, &Ask::new("www.signed.org", RrType::A)).await;
    }
    // Over UDP an empty answer that says: ask over TCP. There it passes.
    for ask in [
        Ask::new("www.example.com", RrType::A),
        Ask { edns: false, rd: false, cd: true, ..Ask::new("www.example.com", RrType::TXT) },
    ] {
        let answer = server.ask_with(&ask).await;
        assert!(answer.truncated && answer.ra && !answer.authoritative && !answer.ad, "{answer:?}");
        assert_eq!((answer.octets[2] & 1 == 1, answer.cd), (ask.rd, ask.cd));
        assert_eq!((shown(&answer).as_str(), answer.authority.len()), ("NOERROR", 0));
        assert_eq!(reason(&answer), if ask.edns { "mine/mine mine.list:9" } else { "" });
    }
    let answer = server.ask_with(&Ask { tcp: true, ..Ask::new("www.example.com", RrType::A) }).await;
    assert_eq!((shown(&answer).as_str(), reason(&answer)), ("NOERROR www.example.com A 203.0.113.11", ""));
    // Behind an alias as well.
    let answer = ask(&server, "alias.example.com A").await;
    assert_eq!((answer.truncated, answer.answer.len(), reason(&answer)), (true, 0, "mine/mine mine.list:9"));
    let answer = server.ask_with(&Ask { tcp: true, ..Ask::new("alias.example.com", RrType::A) }).await;
    assert_eq!(answer.shape(), "alias.example.com CNAME, www.example.com A");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_data_is_given_with_its_own_ttl() {
    let internet = Internet::start().await;
    let rules = [
        "local.example 60 A 192.0.2.1",
        "local.example 60 A 192.0.2.2",
        "local.example AAAA 2001:db8::1",
        "local.example TXT \"hello world\" \"again\"",
        "local.example MX 10 mail.local.example.",
        "*.local.example A 192.0.2.3",
        "www.tiktok.com 120 A 192.0.2.4",
    ];
    let server = serve_one(&internet, &rules).await;
    for (text, expected, line) in [
        ("local.example A", &["local.example 60 A 192.0.2.1", "local.example 60 A 192.0.2.2"][..], 4),
        ("local.example AAAA", &["local.example 300 AAAA 2001:db8::1"], 4),
        ("local.example TXT", &["local.example 300 TXT \"hello world\" \"again\""], 4),
        ("local.example MX", &["local.example 300 MX 10 mail.local.example."], 4),
        ("a.b.local.example A", &["a.b.local.example 300 A 192.0.2.3"], 9),
        // What is there of an alias's target stands behind the alias.
        ("to-blocked.example.com A", &["", "www.tiktok.com 120 A 192.0.2.4"], 10),
    ] {
        let (name, rr_type) = question(text);
        for (tcp, edns) in [(false, true), (true, true), (false, false)] {
            let ask = Ask { tcp, edns, dnssec_ok: edns, ..Ask::new(name, rr_type) };
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
            let mut found = records(&answer);
            if expected[0].is_empty() {
                assert!(found[0].starts_with("to-blocked.example.com ") && found[0].ends_with("CNAME www.tiktok.com."));
                found[0].clear();
            }
            assert_eq!(answer.rcode, Rcode::NOERROR, "{text}");
            assert_eq!(found, expected, "{text}");
        }
    }
    // Types that are not there are denied, for the name alone.
    for (text, owner) in [("local.example HTTPS", "local.example"), ("x.local.example AAAA", "x.local.example")] {
        let (name, rr_type) = question(text);
        let ask = Ask { dnssec_ok: true, ..Ask::new(name, rr_type) };
        assert_denied(&ask, &server.ask_with(&ask).await, Rcode::NOERROR, owner);
    }
    let answer = ask(&server, "local.example ANY").await;
    assert_eq!(answer.answer.len(), 5, "{answer:?}");
    assert!(internet.asked("www.tiktok.com") > 0, "its alias had to be resolved");
    assert_eq!(internet.asked("local.example"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_of_a_list_are_followed() {
    let internet = Internet::start().await;
    let rules = [
        "moved.example CNAME www.secure.test.",
        "gone.example CNAME nx.secure.test.",
        "*.garden.example CNAME *.wild.example.com.",
        "bogus.example CNAME www.bogus-sig.org.",
        "further.example CNAME alias-out.signed.org.",
        "www.tiktok.com 77 CNAME www.plain.test.",
        // A list has its word once: what its own alias leads to is not judged again.
        "www.secure.test CNAME .",
    ];
    let server = serve_one(&internet, &rules).await;
    for (text, expected, line) in [
        ("moved.example A", "NOERROR moved.example CNAME www.secure.test, www.secure.test A 203.0.113.31", 4),
        ("moved.example TXT", "NOERROR moved.example CNAME www.secure.test, www.secure.test TXT \"hello\"", 4),
        ("moved.example MX", "NOERROR moved.example CNAME www.secure.test", 4),
        ("moved.example CNAME", "NOERROR moved.example CNAME www.secure.test", 4),
        ("gone.example A", "NXDOMAIN gone.example CNAME nx.secure.test", 5),
        (
            "x.garden.example A",
            "NOERROR x.garden.example CNAME x.garden.example.wild.example.com, x.garden.example.wild.example.com A 203.0.113.14",
            6,
        ),
        (
            "further.example A",
            "NOERROR further.example CNAME alias-out.signed.org, alias-out.signed.org CNAME www.target.org, www.target.org A 203.0.113.31",
            8,
        ),
        (
            "to-blocked.example.com A",
            "NOERROR to-blocked.example.com CNAME www.tiktok.com, www.tiktok.com CNAME www.plain.test, www.plain.test A 203.0.113.31",
            9,
        ),
    ] {
        let (name, rr_type) = question(text);
        for (tcp, cd, edns) in [(false, false, true), (true, false, true), (false, true, true), (false, false, false)] {
            let ask = Ask { tcp, cd, edns, dnssec_ok: edns, ad: true, ..Ask::new(name, rr_type) };
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
            assert_eq!(shown(&answer), expected, "{ask:?}");
        }
    }
    // The denial is the target's own.
    for text in ["gone.example A", "moved.example MX"] {
        let answer = ask(&server, text).await;
        let owners: Vec<String> = answer.authority.iter().map(|own| format!("{} {}", own.rr_type, own.owner)).collect();
        assert_eq!(owners, ["SOA secure.test"], "{text}");
    }
    // An alias of the list lives as long as the list says.
    let ttls: Vec<u32> = ask(&server, "moved.example A").await.answer.iter().map(|record| record.ttl).collect();
    assert_eq!(ttls[0], 300);
    assert_eq!(ask(&server, "www.tiktok.com CNAME").await.answer[0].ttl, 77);
    // What can't be believed is not given.
    let answer = ask(&server, "bogus.example A").await;
    assert_eq!((answer.rcode, answer.answer.len()), (Rcode::SERVFAIL, 0));
    // Who wants no recursion gets what is known here.
    let ask = Ask { rd: false, ..Ask::new("moved.example", RrType::A) };
    let answer = server.ask_with(&ask).await;
    assert_own(&ask, &answer, 15, "mine/mine mine.list:4");
    assert_eq!(shown(&answer), "NOERROR moved.example CNAME www.secure.test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trigger_is_looked_at() {
    let internet = Internet::start().await;
    let rules = [
        "32.11.113.0.203.rpz-ip CNAME .",
        "28.16.113.0.203.rpz-ip CNAME *.",
        "32.21.113.0.203.rpz-ip CNAME rpz-passthru.",
        "128.21.zz.db8.2001.rpz-ip CNAME *.",
        "32.22.113.0.203.rpz-ip A 192.0.2.5",
        "32.5.0.0.127.rpz-client-ip CNAME .",
        "29.8.0.0.127.rpz-client-ip CNAME rpz-drop.",
        "ns1.plain.test.rpz-nsdname CNAME .",
        "*.dns-host.org.rpz-nsdname CNAME *.",
        "32.9.140.49.185.rpz-nsip CNAME *.",
    ];
    let server = serve_one(&internet, &rules).await;
    assert_verdicts(
        &server,
        &[
            ("www.example.com A", "address mine.list:4 203.0.113.11"),
            ("signed.org A", "address mine.list:5 203.0.113.20"),
            ("www.signed.org A", ""),
            ("www.signed.org AAAA", "address mine.list:7 2001:db8::21"),
            ("alias-nodata.signed.org A", "address mine.list:8 203.0.113.22"),
            ("www.plain.test TXT", "ns-name mine.list:11 ns1.plain.test"),
            ("www.tiktok.com A", "ns-name mine.list:12 ns31.dns-host.org"),
            ("www.secure.test TXT", "ns-address mine.list:13 185.49.140.9"),
            // In the order of RPZ an address comes before the name server.
            ("www.secure.test A", "address mine.list:5 203.0.113.31"),
            ("private.example.com A", ""),
        ],
    )
    .await;
    for (text, expected) in [
        ("www.example.com A", "NXDOMAIN"),
        ("signed.org A", "NOERROR"),
        ("only-a.signed.org A", "NOERROR only-a.signed.org A 192.0.2.5"),
        (
            "alias-nodata.signed.org A",
            "NOERROR alias-nodata.signed.org CNAME only-a.signed.org, only-a.signed.org A 192.0.2.5",
        ),
        ("www.plain.test TXT", "NXDOMAIN"),
        ("www.tiktok.com A", "NOERROR"),
    ] {
        assert_eq!(shown(&ask(&server, text).await), expected, "{text}");
    }
    let any = Ask::new("a.example.com", RrType::A);
    let answer = server.ask_from("127.0.0.5", &any).await;
    assert_own(&any, &answer, 15, "mine/mine mine.list:9");
    assert_denied(&any, &answer, Rcode::NXDOMAIN, "a.example.com");
    assert_eq!(shown(&server.ask_from("127.0.0.6", &any).await), "NOERROR a.example.com A 203.0.113.13");
    let explained = explain(&server, "a.example.com A", "&client=127.0.0.9").await;
    assert_eq!(super::blocker(&explained), "client mine.list:10 127.0.0.9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_zone_with_a_match_decides() {
    let internet = Internet::start().await;
    let one = zone(
        "one.test",
        &["www.signed.org CNAME rpz-passthru.", "only-a.signed.org CNAME .", "32.31.113.0.203.rpz-ip CNAME *."],
    );
    let two = zone(
        "two.test",
        &["*.signed.org CNAME *.", "www.target.org CNAME .", "32.11.113.0.203.rpz-ip CNAME rpz-passthru."],
    );
    // Only a list's place counts, not how closely its rule fits.
    let three = zone("three.test", &["www.signed.org CNAME .", "32.11.113.0.203.rpz-ip CNAME ."]);
    let lists = [("one.zone", &*one), ("two.zone", &*two), ("three.zone", &*three)];
    for (order, table) in [
        (
            ["one.zone", "two.zone", "three.zone"],
            [
                ("www.signed.org A", ""),
                ("only-a.signed.org A", "qname one.zone:5 only-a.signed.org"),
                ("alias.signed.org A", "qname two.zone:4 alias.signed.org"),
                ("www.example.com A", ""),
                ("alias.example.com A", ""),
                // The first zone has a rule on its address, which isn't seen, since a blocked question isn't resolved.
                ("www.target.org A", "qname two.zone:5 www.target.org"),
            ],
        ),
        (
            ["three.zone", "two.zone", "one.zone"],
            [
                ("www.signed.org A", "qname three.zone:4 www.signed.org"),
                ("only-a.signed.org A", "qname two.zone:4 only-a.signed.org"),
                ("alias.signed.org A", "qname two.zone:4 alias.signed.org"),
                ("www.example.com A", "address three.zone:5 203.0.113.11"),
                ("alias.example.com A", "address three.zone:5 203.0.113.11"),
                ("www.target.org A", "qname two.zone:5 www.target.org"),
            ],
        ),
    ] {
        let toml = zones(&order.map(|file| (file, "")));
        let server = serve(Some(&internet), &lists, &toml).await;
        assert_verdicts(&server, &table).await;
    }
}

/// Zones of different programs know nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passthru_passes_its_own_program_alone() {
    let internet = Internet::start().await;
    let one = zone("one.test", &["www.signed.org CNAME rpz-passthru."]);
    let two = zone("two.test", &["*.signed.org CNAME ."]);
    let lists = [("one.list", &*one), ("two.list", &*two)];
    let server = serve(Some(&internet), &lists, &format!("{}{}", program("one", ""), program("two", ""))).await;
    assert_verdicts(&server, &[("www.signed.org A", "qname two.list:4 www.signed.org")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lists_override_replaces_what_its_rules_do() {
    let internet = Internet::start().await;
    let text = zone(
        "rpz.test",
        &[
            "www.signed.org CNAME .",
            "only-a.signed.org CNAME rpz-passthru.",
            "local.example A 192.0.2.1",
            "32.11.113.0.203.rpz-ip CNAME .",
        ],
    );
    for (own, blocked, local, by_address) in [
        ("given", "NXDOMAIN", "NOERROR local.example A 192.0.2.1", "NXDOMAIN"),
        ("nxdomain", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"),
        ("nodata", "NOERROR", "NOERROR", "NOERROR"),
        ("tcp-only", "NOERROR TC", "NOERROR TC", "NOERROR TC"),
        ("passthru", "pass", "pass", "pass"),
        ("disabled", "pass", "pass", "pass"),
        (
            "cname:www.target.org",
            "NOERROR www.signed.org CNAME www.target.org, www.target.org A 203.0.113.31",
            "NOERROR local.example CNAME www.target.org, www.target.org A 203.0.113.31",
            "NOERROR www.example.com CNAME www.target.org, www.target.org A 203.0.113.31",
        ),
        (
            "cname:*.wild.example.com",
            "NOERROR www.signed.org CNAME www.signed.org.wild.example.com, www.signed.org.wild.example.com A 203.0.113.14",
            "NOERROR local.example CNAME local.example.wild.example.com, local.example.wild.example.com A 203.0.113.14",
            "NOERROR www.example.com CNAME www.example.com.wild.example.com, www.example.com.wild.example.com A 203.0.113.14",
        ),
    ] {
        let toml = zones(&[("mine.list", &format!(", format = \"rpz\", override = \"{own}\""))]);
        let server = serve(Some(&internet), &[("mine.list", &text)], &toml).await;
        for (text, expected) in
            [("www.signed.org A", blocked), ("local.example A", local), ("www.example.com A", by_address)]
        {
            let answer = ask(&server, text).await;
            let tc = if answer.truncated { " TC" } else { "" };
            let found = if reason(&answer).is_empty() { "pass".to_owned() } else { format!("{}{tc}", shown(&answer)) };
            assert_eq!(found, expected, "{own}: {text}");
        }
        // Even a rule that lets pass is replaced, as other resolvers have it.
        let passes = reason(&ask(&server, "only-a.signed.org A").await).is_empty();
        assert_eq!(passes, ["given", "passthru", "disabled"].contains(&own), "{own}");
        let would = if own == "disabled" { 3 } else { 0 };
        super::assert_counted(&server, "cleandns_would_block_total", &[], would).await;
    }
    let toml = zones(&[("mine.list", ", override = \"drop\"")]);
    let server = serve(Some(&internet), &[("mine.list", &text)], &toml).await;
    for name in ["www.signed.org", "local.example", "www.example.com"] {
        assert_dropped(&server, &Ask::new(name, RrType::A), &Ask::new("www.target.org", RrType::A)).await;
    }
}
