//! What of a query rules look at: the name asked, aliases, addresses, name servers.

use super::{ask, assert_counted, assert_verdicts, explain, ours, program, reason, serve, shown};
use crate::{harness::Ask, internet::Internet};
use cleandns::dns::{Rcode, RrType};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_found_in_questions_and_in_aliases_of_every_kind() {
    let internet = Internet::start().await;
    let list = ours(&["tiktok.com", "=www.target.org", "api.tiktokv.com", "=alias.signed.org", "@edge.example.com"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    assert_verdicts(
        &server,
        &[
            ("tiktok.com A", "qname mine.list:2 tiktok.com"),
            ("a.b.tiktok.com ANY", "qname mine.list:2 a.b.tiktok.com"),
            ("to-blocked.example.com A", "cname mine.list:2 www.tiktok.com"),
            ("to-blocked.example.com MX", "cname mine.list:2 www.tiktok.com"),
            ("to-blocked.example.com CNAME", "cname mine.list:2 www.tiktok.com"),
            // An exception on one alias passes that alias alone.
            ("to-blocked2.example.com HTTPS", "cname mine.list:4 api.tiktokv.com"),
            ("to-blocked2.example.com CNAME", ""),
            // One on the question passes all that it leads to.
            ("edge.example.com A", ""),
            ("alias2.example.com TXT", "cname mine.list:5 alias.signed.org"),
            ("alias-out.signed.org A", "cname mine.list:3 www.target.org"),
            ("alias-out-nodata.signed.org AAAA", ""),
            ("www.dn.example.com A", "dname mine.list:2 www.tiktok.com"),
            ("nothing.dn.example.com TXT", "dname mine.list:2 nothing.tiktok.com"),
            ("www.dn.signed.org AAAA", "dname mine.list:3 www.target.org"),
            ("other.dn.signed.org AAAA", ""),
            ("svcb-blocked.example.com HTTPS", "svcb-target mine.list:2 www.tiktok.com"),
            ("svcb-blocked.example.com SVCB", ""),
            ("loop1.example.com A", ""),
            ("www.example.com A", ""),
        ],
    )
    .await;
    for (trigger, count) in [("cname", 12), ("dname", 6), ("svcb-target", 2), ("qname", 4)] {
        assert_counted(&server, "cleandns_blocked_total", &[&format!("trigger=\"{trigger}\"")], count).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_found_by_the_longest_prefix_wherever_they_stand() {
    let internet = Internet::start().await;
    let list = ours(&[
        "203.0.113.21",
        "203.0.113.16/28",
        "@203.0.113.22",
        "2001:db8::/32",
        "2001:db8::21/128",
        "198.51.100.60",
        "203.0.113.77",
        "10.0.0.0/8",
    ]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    assert_verdicts(
        &server,
        &[
            ("www.signed.org A", "address mine.list:2 203.0.113.21"),
            ("www.signed.org AAAA", "address mine.list:6 2001:db8::21"),
            ("www.signed.org TXT", ""),
            ("www.signed.org ANY", ""),
            ("signed.org A", "address mine.list:3 203.0.113.20"),
            ("signed.org AAAA", "address mine.list:5 2001:db8::20"),
            ("only-a.signed.org A", ""),
            ("alias.signed.org A", "address mine.list:2 203.0.113.21"),
            ("alias2.example.com AAAA", "address mine.list:6 2001:db8::21"),
            ("alias-out.signed.org A", "address mine.list:3 203.0.113.31"),
            ("x.wild.signed.org A", "address mine.list:3 203.0.113.23"),
            ("www.dn.signed3.com AAAA", "address mine.list:5 2001:db8::31"),
            // One of sixty.
            ("many.example.com A", "address mine.list:7 198.51.100.60"),
            ("hints.example.com HTTPS", "address-hint mine.list:8 203.0.113.77"),
            ("hints.example.com A", ""),
            ("private.example.com A", "address mine.list:9 10.1.2.3"),
            ("www.example.com A", ""),
            ("nx.signed.org A", ""),
        ],
    )
    .await;
    // What breaks DNSSEC fails, and leads nowhere; those who want it all the same are blocked as everybody.
    let bogus = Ask::new("www.bogus-sig.org", RrType::A);
    let answer = server.ask_with(&bogus).await;
    assert_eq!((answer.rcode, answer.ede_code() != 15), (Rcode::SERVFAIL, true));
    assert_eq!(explain(&server, "www.bogus-sig.org A", "").await["action"], "pass");
    let answer = server.ask_with(&Ask { cd: true, ..bogus }).await;
    assert_eq!((answer.rcode, reason(&answer)), (Rcode::NOERROR, "mine/mine mine.list:3"));
    // Without recursion there is no answer to look at.
    let answer = server.ask_with(&Ask { rd: false, ..Ask::new("www.signed.org", RrType::A) }).await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::REFUSED, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_of_either_family_are_found() {
    let internet = Internet::start().await;
    for (rule, matched) in [("203.0.113.77", "203.0.113.77"), ("2001:db8::70/124", "2001:db8::77")] {
        let server = serve(Some(&internet), &[("mine.list", &ours(&[rule]))], &program("mine", "")).await;
        let expected = format!("address-hint mine.list:2 {matched}");
        assert_verdicts(&server, &[("hints.example.com HTTPS", &expected), ("hints.example.com A", "")]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_servers_are_found_by_name_and_by_address() {
    let internet = Internet::start().await;
    let list =
        ours(&["ns:dns-host.org", "ns:185.49.140.2", "ns:*.plain.test", "ns:=ns1.secure.test", "@ns:185.49.140.7"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    let table = [
        ("www.tiktok.com A", "ns-name mine.list:2 ns31.dns-host.org"),
        ("api.tiktokv.com TXT", "ns-name mine.list:2 ns32.dns-host.org"),
        ("to-blocked.example.com A", "ns-name mine.list:2 ns31.dns-host.org"),
        ("www.signed.org A", "ns-address mine.list:3 185.49.140.2"),
        ("nx.signed.org A", "ns-address mine.list:3 185.49.140.2"),
        ("alias2.example.com A", "ns-address mine.list:3 185.49.140.2"),
        // A child has servers of its own.
        ("www.child.signed.org A", ""),
        ("www.plain.test A", "ns-name mine.list:4 ns1.plain.test"),
        ("plain.test AAAA", "ns-name mine.list:4 ns1.plain.test"),
        ("www.secure.test TXT", "ns-name mine.list:5 ns1.secure.test"),
        ("www.child.signed3.com A", ""),
        ("www.example.com A", ""),
        ("www.wechat.com A", ""),
    ];
    assert_verdicts(&server, &table).await;
    let asked = internet.asked_total();
    assert_verdicts(&server, &table).await;
    assert_eq!(internet.asked_total(), asked, "what is known is not asked again");
    for (trigger, count) in [("ns-name", 24), ("ns-address", 12)] {
        assert_counted(&server, "cleandns_blocked_total", &[&format!("trigger=\"{trigger}\"")], count).await;
    }
    // Known before any name of the zone was asked for, or learnt for the first of them: both the same.
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    for _ in 0..2 {
        let answer = ask(&server, "www.tiktok.com A").await;
        assert_eq!((shown(&answer).as_str(), reason(&answer)), ("NXDOMAIN", "mine/mine mine.list:2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_found_by_address() {
    let internet = Internet::start().await;
    let list = ours(&["client:127.0.0.8/30", "@client:127.0.0.9", "@www.target.org"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    for (client, name, expected) in [
        ("127.0.0.8", "www.signed.org", "mine/mine mine.list:2"),
        ("127.0.0.11", "www.example.com", "mine/mine mine.list:2"),
        ("127.0.0.9", "www.signed.org", ""),
        ("127.0.0.12", "www.signed.org", ""),
        // Exceptions beat blocks, whatever both look at.
        ("127.0.0.8", "www.target.org", ""),
    ] {
        for tcp in [false, true] {
            let ask = Ask { tcp, ..Ask::new(name, RrType::A) };
            let answer = server.ask_from(client, &ask).await;
            assert_eq!(reason(&answer), expected, "{client} {name} {tcp}");
            assert_eq!(answer.rcode == Rcode::NXDOMAIN, !expected.is_empty(), "{client} {name}");
        }
        let explained = explain(&server, &format!("{name} A"), &format!("&client={client}")).await;
        let is_blocked = explained["action"] == "block";
        assert_eq!(is_blocked, !expected.is_empty(), "{explained}");
        if is_blocked {
            assert_eq!(super::blocker(&explained), format!("client mine.list:2 {client}"));
        }
    }
}
