//! The owner's own names: `[local]` records and hosts files, before conventions and policies.

use crate::{
    harness::{Ask, Server, configure, folder, start, write_list},
    internet::Internet,
    recursion::question,
};
use cleandns::{app, dns::RrType};
use std::fs;

const LOCAL: &str = r#"
[local]
records = [
  "nas.lan. A 192.168.1.10",
  "nas.lan. AAAA fd00::10",
  "nas.lan. 300 IN TXT \"a b\"",
  "www.lan. CNAME nas.lan.",
  "*.apps.lan. A 192.168.1.20",
  "search.lan. CNAME www.signed.org.",
  "gone.lan. CNAME nx.signed.org.",
  "bogus.lan. CNAME www.bogus-sig.org.",
  "me.lan. CNAME localhost.",
  "printer.lan. CNAME printer.local.",
  "evil.lan. CNAME api.blocked.example.",
  "mine.blocked.example. A 192.168.1.30",
  "nas.local. A 192.168.1.40",
  "gateway.home.arpa. A 192.168.1.1",
  "50.1.168.192.in-addr.arpa. PTR fifty.lan.",
  "fifty-one.lan. A 192.168.1.50",
]
hosts = ["hosts"]
[[program]]
name = "mine"
lists = [{ path = "own.list", service = "s" }]
"#;
const HOSTS: &str =
    "127.0.0.1 localhost\n192.168.1.60 tv.lan tv # living room\n0.0.0.0 www.target.org\nfd00::60 tv.lan\n";

async fn server(internet: &Internet) -> Server {
    let folder = folder();
    fs::write(folder.path().join("hosts"), HOSTS).unwrap();
    write_list(&folder.path().join("own.list"), &["blocked.example"]);
    start(folder, Some(internet), LOCAL).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_names_are_answered_before_everything() {
    let internet = Internet::start().await;
    let server = server(&internet).await;
    for (text, rcode, shape) in [
        ("nas.lan A", "NOERROR", "nas.lan A"),
        ("NAS.lan AAAA", "NOERROR", "nas.lan AAAA"),
        ("nas.lan TXT", "NOERROR", "nas.lan TXT"),
        ("nas.lan HTTPS", "NOERROR", ""),
        ("nas.lan MX", "NOERROR", ""),
        ("nas.lan ANY", "NOERROR", "nas.lan A, nas.lan AAAA, nas.lan TXT"),
        ("www.lan A", "NOERROR", "www.lan CNAME, nas.lan A"),
        ("www.lan CNAME", "NOERROR", "www.lan CNAME"),
        ("www.lan MX", "NOERROR", "www.lan CNAME"),
        ("a.b.apps.lan A", "NOERROR", "a.b.apps.lan A"),
        ("a.apps.lan AAAA", "NOERROR", ""),
        // What a list blocks, and what by convention is nowhere.
        ("mine.blocked.example A", "NOERROR", "mine.blocked.example A"),
        ("mine.blocked.example AAAA", "NOERROR", ""),
        ("nas.local A", "NOERROR", "nas.local A"),
        ("gateway.home.arpa A", "NOERROR", "gateway.home.arpa A"),
        ("me.lan A", "NOERROR", "me.lan CNAME, localhost A"),
        ("me.lan TXT", "NOERROR", "me.lan CNAME"),
        ("printer.lan A", "NXDOMAIN", "printer.lan CNAME"),
        // The way back from addresses.
        ("10.1.168.192.in-addr.arpa PTR", "NOERROR", "10.1.168.192.in-addr.arpa PTR"),
        ("50.1.168.192.in-addr.arpa PTR", "NOERROR", "50.1.168.192.in-addr.arpa PTR"),
        ("60.1.168.192.in-addr.arpa PTR", "NOERROR", "60.1.168.192.in-addr.arpa PTR"),
        // The hosts file.
        ("tv.lan A", "NOERROR", "tv.lan A"),
        ("tv.lan AAAA", "NOERROR", "tv.lan AAAA"),
        ("tv A", "NOERROR", "tv A"),
        ("localhost AAAA", "NOERROR", "localhost AAAA"),
    ] {
        let (name, rr_type) = question(text);
        for (rd, dnssec_ok, cd) in [(true, false, false), (false, false, false), (true, true, true)] {
            let ask = Ask { rd, dnssec_ok, cd, ad: true, ..Ask::new(name, rr_type) };
            let answer = server.ask_with(&ask).await;
            assert_eq!((answer.rcode.to_string().as_str(), answer.shape().as_str()), (rcode, shape), "{ask:?}");
            assert!(!answer.ad && !answer.authoritative && answer.ra, "{ask:?}");
            let is_negative = !answer.answer.iter().any(|record| record.rr_type == rr_type || rr_type == RrType::ANY);
            assert_eq!(answer.authority.len(), usize::from(is_negative), "{ask:?}");
        }
        assert_eq!(internet.asked(name), 0, "{name} was asked for upstream");
    }
    let denial = server.ask("nas.lan", RrType::MX).await;
    assert_eq!(denial.authority[0].to_string().split('\t').next(), Some("nas.lan."));
    for (name, expected) in
        [("nas.lan", "nas.lan.\t3600\tIN\tA\t192.168.1.10"), ("tv.lan", "tv.lan.\t300\tIN\tA\t192.168.1.60")]
    {
        assert_eq!(server.ask(name, RrType::A).await.answer[0].to_string(), expected);
    }
    for (last, expected) in [(50, "fifty.lan."), (60, "tv.lan.")] {
        let answer = server.ask(&format!("{last}.1.168.192.in-addr.arpa"), RrType::PTR).await;
        assert!(answer.answer[0].to_string().ends_with(&format!("PTR\t{expected}")), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_records_fall_through() {
    let internet = Internet::start().await;
    let server = server(&internet).await;
    for (text, rcode, ede) in [
        ("other.local A", "NXDOMAIN", 0),
        ("10.in-addr.arpa SOA", "NOERROR", 0),
        ("1.1.168.192.in-addr.arpa PTR", "NOERROR", 0),
        ("9.1.168.192.in-addr.arpa PTR", "NXDOMAIN", 0),
        ("blocked.example A", "NXDOMAIN", 15),
        ("x.mine.blocked.example A", "NXDOMAIN", 15),
        ("lan A", "NXDOMAIN", 0),
        ("www.signed.org A", "NOERROR", 0),
    ] {
        let (name, rr_type) = question(text);
        let answer = server.ask(name, rr_type).await;
        assert_eq!((answer.rcode.to_string().as_str(), answer.ede_code()), (rcode, ede), "{text}: {answer:?}");
    }
    // 0.0.0.0 in a hosts file is nobody's address.
    assert_eq!(server.ask("www.target.org", RrType::A).await.answer[0].data, [203, 0, 113, 31]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_to_the_world_are_followed_and_judged() {
    let internet = Internet::start().await;
    let server = server(&internet).await;
    for (text, expected) in [
        ("search.lan A", "NOERROR search.lan CNAME, www.signed.org A"),
        ("search.lan AAAA", "NOERROR search.lan CNAME, www.signed.org AAAA"),
        ("search.lan MX", "NOERROR search.lan CNAME"),
        ("search.lan CNAME", "NOERROR search.lan CNAME"),
        ("gone.lan A", "NXDOMAIN gone.lan CNAME"),
        ("bogus.lan A", "SERVFAIL "),
        ("evil.lan A", "NXDOMAIN "),
    ] {
        let (name, rr_type) = question(text);
        let answer = server.ask_with(&Ask { ad: true, ..Ask::new(name, rr_type) }).await;
        assert_eq!(format!("{} {}", answer.rcode, answer.shape()), expected, "{text}");
        assert!(!answer.ad && !answer.authoritative && answer.ra, "{text}");
        assert_eq!(internet.asked(name), 0, "{name} was asked for upstream");
    }
    let signed = server.ask_with(&Ask { dnssec_ok: true, ..Ask::new("search.lan", RrType::A) }).await;
    assert_eq!(signed.shape(), "search.lan CNAME, www.signed.org A, www.signed.org RRSIG");
    assert!(!signed.ad, "nobody signed the alias");
    let evil = server.ask("evil.lan", RrType::A).await;
    assert_eq!(evil.ede.map(|ede| ede.text), Some("mine/s own.list:2".to_owned()));
    // Who asks for no recursion gets what is here.
    let alone = server.ask_with(&Ask { rd: false, ..Ask::new("search.lan", RrType::A) }).await;
    assert_eq!((alone.rcode.to_string(), alone.shape()), ("NOERROR".to_owned(), "search.lan CNAME".to_owned()));
    for (name, action, part) in [
        ("nas.lan", "pass", "a name of your own ([local])"),
        ("me.lan", "pass", "a name of your own ([local])"),
        ("search.lan", "pass", "www.signed.org"),
        ("evil.lan", "block", "own.list"),
    ] {
        let (status, body) = server.get(&format!("/api/v1/explain?name={name}")).await;
        let explained: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, explained["action"].as_str()), (200, Some(action)), "{body}");
        assert!(body.contains(part), "{body}");
    }
}

/// A list's own alias to a name that is answered here is answered here, not asked for upstream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lists_own_alias_may_lead_to_an_own_name() {
    let internet = Internet::start().await;
    let folder = folder();
    fs::write(folder.path().join("hosts"), HOSTS).unwrap();
    let list: String = ["nas.lan", "www.lan", "localhost", "printer.local", "search.lan", "tv.lan"]
        .map(|target| format!("||to.{target}.example^$dnsrewrite=NOERROR;CNAME;{target}\n"))
        .concat();
    fs::write(folder.path().join("own.list"), list).unwrap();
    let server = start(folder, Some(&internet), LOCAL).await;
    for (text, expected) in [
        ("to.nas.lan.example A", "NOERROR to.nas.lan.example CNAME, nas.lan A"),
        ("to.nas.lan.example AAAA", "NOERROR to.nas.lan.example CNAME, nas.lan AAAA"),
        ("to.nas.lan.example MX", "NOERROR to.nas.lan.example CNAME"),
        ("to.www.lan.example A", "NOERROR to.www.lan.example CNAME, www.lan CNAME, nas.lan A"),
        ("to.localhost.example A", "NOERROR to.localhost.example CNAME, localhost A"),
        ("to.printer.local.example A", "NXDOMAIN to.printer.local.example CNAME"),
        ("to.search.lan.example A", "NOERROR to.search.lan.example CNAME, search.lan CNAME, www.signed.org A"),
        ("to.tv.lan.example A", "NOERROR to.tv.lan.example CNAME, tv.lan A"),
    ] {
        let (name, rr_type) = question(text);
        let answer = server.ask(name, rr_type).await;
        assert_eq!(format!("{} {}", answer.rcode, answer.shape()), expected, "{text}");
        assert_eq!(answer.ede_code(), 15, "{text}");
    }
    for name in ["nas.lan", "www.lan", "search.lan", "localhost", "printer.local", "tv.lan"] {
        assert_eq!(internet.asked(name), 0, "{name} was asked for upstream");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_file_has_warnings_and_must_be_readable() {
    let folder = folder();
    fs::write(folder.path().join("hosts"), "192.168.1.60 tv.lan\n0.0.0.0 ads.example\nnonsense\n").unwrap();
    let config = configure(&folder, None, "[local]\nhosts = [\"hosts\"]\n");
    let (_, warnings) = app::local_data(&config).unwrap();
    let path = folder.path().join("hosts").display().to_string();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with(&format!("{path}:2: 0.0.0.0 is nobody's address")), "{warnings:?}");
    assert!(warnings[1].starts_with(&format!("{path}:3: `nonsense` is no address")), "{warnings:?}");
    fs::write(folder.path().join("hosts"), "#".repeat((4 << 20) + 1)).unwrap();
    assert!(app::local_data(&config).unwrap_err().to_string().contains("larger than"));
    fs::remove_file(folder.path().join("hosts")).unwrap();
    let error = app::local_data(&config).unwrap_err().to_string();
    assert!(error.contains("local.hosts") && error.contains("can't be read"), "{error}");
}
