//! What a program that doesn't enforce leaves as it is, what is recorded all the same, and who goes round this resolver.

use super::{ask, assert_counted, explain, ours, program, reason, serve};
use crate::{
    blocking::{every_way, timeless},
    harness::{Ask, Server, eventually},
    internet::Internet,
    recursion::question,
};
use cleandns::dns::RrType;
use serde_json::{Value, json};

const ADBLOCK: &str = "||www.secure.test^$dnsrewrite=192.0.2.1\n||www.child.signed.org^$dnsrewrite=www.target.org\n\
                       ||signed3.com^$important\n@@||example.com^$important\n";
const ZONE: &str = "$ORIGIN rpz.test.\n@ 60 SOA l. r. 1 2 3 4 5\nwww.plain.test CNAME rpz-drop.\nplain.test CNAME rpz-tcp-only.\n\
                    *.wild.signed3.com CNAME www.target.org.\n32.23.113.0.203.rpz-ip A 192.0.2.7\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_changes_no_octet_whatever_the_rules_are() {
    let internet = Internet::start().await;
    let own = ours(&[
        "203.0.113.21",
        "203.0.113.77",
        "ns:185.49.140.5",
        "ns:dns-host.org",
        "2001:db8::/32",
        "client:127.0.0.0/8",
    ]);
    let lists = [("own.list", &*own), ("adblock.list", ADBLOCK), ("zone.list", ZONE)];
    let toml: String =
        ["own", "adblock", "zone"].map(|name| program(name, "mode = \"shadow\"\nblock = \"drop\"")).concat();
    let shadow = serve(Some(&internet), &lists, &toml).await;
    let none = serve(Some(&internet), &[], "[policy]\nmode = \"off\"\n").await;
    let mut asked = 0;
    for text in [
        "www.signed.org A",
        "alias.signed.org A",
        "www.signed.org AAAA",
        "nx.signed.org A",
        "signed.org ANY",
        "x.wild.signed.org A",
        "hints.example.com HTTPS",
        "many.example.com A",
        "big.signed.org TXT",
        "www.target.org A",
        "to-blocked.example.com A",
        "www.dn.example.com A",
        "www.secure.test A",
        "www.child.signed.org A",
        "x.wild.signed3.com A",
        "www.plain.test A",
        "plain.test A",
        "www.bogus-sig.org A",
        "www.tiktok.com A",
    ] {
        let (name, rr_type) = question(text);
        for ask in every_way(name, rr_type) {
            let (with, without) = (shadow.ask_with(&ask).await, none.ask_with(&ask).await);
            assert_eq!(timeless(&with), timeless(&without), "{ask:?}");
            assert_eq!(with.ede, without.ede, "{ask:?}");
            asked += 1;
        }
    }
    // The rule on clients matches everything.
    assert_counted(&shadow, "cleandns_would_block_total", &["program=\"own\""], asked).await;
    for (program, trigger) in [("adblock", "qname"), ("zone", "qname"), ("zone", "address")] {
        let labels = [format!("program=\"{program}\""), format!("trigger=\"{trigger}\"")];
        let labels = [&*labels[0], &*labels[1]];
        eventually("would-be blocks are counted by trigger", || async {
            shadow.metric("cleandns_would_block_total", &labels).await > 0.0
        })
        .await;
    }
    assert_eq!(shadow.metric("cleandns_blocked_total", &[]).await, 0.0);
    assert_eq!(shadow.metric("cleandns_queries_dropped_total", &[]).await, 0.0);
}

/// A list in shadow never acts, not even by an exception; its exception counts for what it would have done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadowed_exception_passes_nothing() {
    let internet = Internet::start().await;
    let lists = [("block.list", ours(&["signed.org"])), ("pass.list", ours(&["@www.signed.org", "target.org"]))];
    let lists = [("block.list", &*lists[0].1), ("pass.list", &lists[1].1)];
    let toml = "[[program]]\nname = \"mine\"\nlists = [{ path = \"block.list\" }, { path = \"pass.list\" }]\n\
                services = { pass = \"shadow\" }\n";
    let server = serve(Some(&internet), &lists, toml).await;
    assert_eq!(reason(&ask(&server, "www.signed.org A").await), "mine/block block.list:2");
    assert_eq!(reason(&ask(&server, "www.target.org A").await), "");
    assert_counted(&server, "cleandns_would_block_total", &["service=\"pass\""], 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_question_records_what_all_programs_say_of_it() {
    let internet = Internet::start().await;
    let rules = [
        ("first", "mode = \"shadow\"", vec!["signed.org"]),
        ("second", "", vec!["www.signed.org"]),
        ("third", "mode = \"shadow\"", vec!["203.0.113.21"]),
        ("fourth", "block = \"refused\"", vec!["=www.signed.org"]),
        ("fifth", "", vec!["@www.signed.org"]),
        ("sixth", "mode = \"off\"", vec!["www.signed.org"]),
        ("seventh", "", vec!["ns:185.49.140.2"]),
    ];
    let texts: Vec<(String, String)> =
        rules.iter().map(|(name, _, rules)| (format!("{name}.list"), ours(rules))).collect();
    let lists: Vec<(&str, &str)> = texts.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let toml: String = rules.iter().map(|(name, more, _)| program(name, more)).collect();
    let server = serve(Some(&internet), &lists, &toml).await;
    let answer = ask(&server, "www.signed.org A").await;
    assert_eq!((answer.rcode.to_string().as_str(), reason(&answer)), ("NXDOMAIN", "second/second second.list:2"));
    assert_eq!(internet.asked("www.signed.org"), 0);
    for (metric, program) in
        [("would_block", "first"), ("blocked", "second"), ("blocked", "fourth"), ("excepted", "fifth")]
    {
        let labels = [format!("program=\"{program}\"")];
        assert_counted(&server, &format!("cleandns_{metric}_total"), &[&labels[0]], 1).await;
    }
    assert_counted(&server, "cleandns_blocked_total", &[], 2).await;
    assert_counted(&server, "cleandns_would_block_total", &[], 1).await;
    let said = |explained: &Value| -> Vec<String> {
        let all = explained["verdicts"].as_array().unwrap().iter();
        let part = |said: &Value| {
            format!("{} {}", said["rule"]["program"].as_str().unwrap(), said["outcome"].as_str().unwrap())
        };
        all.map(part).collect()
    };
    let explained = explain(&server, "www.signed.org A", "").await;
    assert_eq!(said(&explained), ["first would-block", "second block", "fourth block", "fifth except"]);
    // What the third and the seventh would say of the answer was not seen.
    assert_eq!((&explained["answer_seen"], &explained["answer"]), (&json!(false), &Value::Null));
    // Of what is only known from the answer, all is seen.
    let explained = explain(&server, "alias2.example.com A", "").await;
    assert_eq!(
        said(&explained),
        ["first would-block", "second block", "third would-block", "fourth block", "fifth except", "seventh block"]
    );
    assert_eq!((&explained["answer_seen"], &explained["answer"]["rcode"]), (&json!(true), &json!("NOERROR")));
    let considered: Vec<&str> =
        explained["considered"].as_array().unwrap().iter().map(|rule| rule["program"].as_str().unwrap()).collect();
    assert!(!considered.contains(&"sixth"), "{considered:?}");
}

/// Clients and their numbers of questions.
async fn bypass(server: &Server) -> Value {
    server.json("/api/v1/bypass").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_round_is_counted_in_every_mode() {
    let internet = Internet::start().await;
    let list = ours(&["=use-application-dns.net", "dns.google", "www.tiktok.com", "203.0.113.22", "@fine.dns.google"]);
    for mode in ["off", "shadow", "enforce", "ceiling"] {
        let own = if mode == "ceiling" { "enforce" } else { mode };
        let mut toml = program("bypass", &format!("mode = \"{own}\"")) + &program("other", "");
        if mode == "ceiling" {
            toml += "[policy]\nmode = \"off\"\n";
        }
        let lists = [("bypass.list", &*list), ("other.list", &ours(&["=x.dns.google"]))];
        let server = serve(Some(&internet), &lists, &toml).await;
        for (client, text) in [
            ("127.0.0.2", "use-application-dns.net A"),
            ("127.0.0.2", "mask.icloud.com AAAA"),
            ("127.0.0.2", "mask-h2.icloud.com HTTPS"),
            ("127.0.0.2", "_dns.resolver.arpa SVCB"),
            ("127.0.0.2", "dns.google A"),
            ("127.0.0.3", "x.dns.google A"),
            // By what an answer leads to.
            ("127.0.0.3", "to-blocked.example.com A"),
            ("127.0.0.4", "only-a.signed.org A"),
            ("127.0.0.5", "www.example.com A"),
            ("127.0.0.5", "x.mask.icloud.com A"),
        ] {
            let (name, rr_type) = question(text);
            server.ask_from(client, &Ask { rd: true, ..Ask::new(name, rr_type) }).await;
        }
        let expected = json!([
            { "client": "127.0.0.2", "questions": 5 },
            { "client": "127.0.0.3", "questions": 2 },
            { "client": "127.0.0.4", "questions": 1 },
        ]);
        eventually(&format!("all are counted in mode {mode}: {}", bypass(&server).await), || async {
            bypass(&server).await == expected
        })
        .await;
        assert_counted(&server, "cleandns_bypass_questions_total", &[], 8).await;
        let blocked = server.ask("dns.google", RrType::A).await.ede_code() == 15;
        assert_eq!(blocked, mode == "enforce", "{mode}");
    }
}
