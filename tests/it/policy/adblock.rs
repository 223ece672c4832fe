//! What AdBlock's modifiers do to answers.

use super::{ask, assert_denied, assert_own, explain, program, reason, records, serve, shown};
use crate::{harness::Ask, internet::Internet, recursion::question};
use cleandns::dns::{Rcode, RrType};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewrites_answer_as_they_say() {
    let internet = Internet::start().await;
    let list = "||a.example^$dnsrewrite=192.0.2.1
||a.example^$dnsrewrite=2001:db8::1
||alias.example^$dnsrewrite=NOERROR;CNAME;www.secure.test
||t.example^$dnsrewrite=NOERROR;TXT;hello world
||m.example^$dnsrewrite=NOERROR;MX;10 mail.example
||nx.example^$dnsrewrite=NXDOMAIN
||refused.example^$dnsrewrite=REFUSED
||nothing.example^$dnsrewrite=NOERROR
||short.example^$dnsrewrite=gone.secure.test
||www.tiktok.com^$dnsrewrite=192.0.2.9
||api.tiktokv.com^$dnsrewrite=www.target.org
||some.example^$dnstype=A,dnsrewrite=NXDOMAIN
";
    // A list's own answer goes before what the program says.
    let server = serve(Some(&internet), &[("mine.list", list)], &program("mine", "block = \"null\"")).await;
    for (text, expected, line) in [
        ("a.example A", "NOERROR a.example A 192.0.2.1", 1),
        ("x.a.example A", "NOERROR x.a.example A 192.0.2.1", 1),
        ("a.example AAAA", "NOERROR a.example AAAA 2001:db8::1", 1),
        ("a.example TXT", "NOERROR", 1),
        ("alias.example A", "NOERROR alias.example CNAME www.secure.test, www.secure.test A 203.0.113.31", 3),
        ("alias.example AAAA", "NOERROR alias.example CNAME www.secure.test, www.secure.test AAAA 2001:db8::31", 3),
        ("t.example TXT", "NOERROR t.example TXT \"hello world\"", 4),
        ("t.example A", "NOERROR", 4),
        ("m.example MX", "NOERROR m.example MX 10 mail.example", 5),
        ("nx.example A", "NXDOMAIN", 6),
        ("refused.example A", "REFUSED", 7),
        ("nothing.example A", "NOERROR", 8),
        ("short.example A", "NXDOMAIN short.example CNAME gone.secure.test", 9),
        (
            "to-blocked.example.com A",
            "NOERROR to-blocked.example.com CNAME www.tiktok.com, www.tiktok.com A 192.0.2.9",
            10,
        ),
        ("to-blocked.example.com AAAA", "NOERROR to-blocked.example.com CNAME www.tiktok.com", 10),
        (
            "to-blocked2.example.com A",
            "NOERROR to-blocked2.example.com CNAME edge.example.com, edge.example.com CNAME api.tiktokv.com, \
             api.tiktokv.com CNAME www.target.org, www.target.org A 203.0.113.31",
            11,
        ),
        ("some.example A", "NXDOMAIN", 12),
    ] {
        let (name, rr_type) = question(text);
        for (tcp, edns, cd) in [(false, true, false), (true, true, false), (false, false, false), (false, true, true)] {
            let ask = Ask { tcp, edns, cd, ad: true, dnssec_ok: edns, ..Ask::new(name, rr_type) };
            let answer = server.ask_with(&ask).await;
            assert_own(&ask, &answer, 15, &format!("mine/mine mine.list:{line}"));
            assert_eq!(shown(&answer), expected, "{ask:?}");
        }
        let explained = explain(&server, text, "").await;
        let said = &explained["verdicts"][0];
        assert_eq!((&said["outcome"], &said["rule"]["line"]), (&"block".into(), &line.into()), "{text}");
        let written = list.lines().nth(line as usize - 1).unwrap();
        assert_eq!(said["rule"]["text"], written, "{text}");
    }
    assert_eq!(records(&ask(&server, "a.example A").await), ["a.example 30 A 192.0.2.1"], "as long as a block");
    for (text, rcode, owner) in [
        ("a.example TXT", Rcode::NOERROR, "a.example"),
        ("nx.example A", Rcode::NXDOMAIN, "nx.example"),
        ("x.nothing.example A", Rcode::NOERROR, "nothing.example"),
    ] {
        let (name, rr_type) = question(text);
        let ask = Ask::new(name, rr_type);
        assert_denied(&ask, &server.ask_with(&ask).await, rcode, owner);
    }
    assert_eq!(reason(&ask(&server, "some.example AAAA").await), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_hold_for_whom_they_say() {
    let list = "||c.example^$client=127.0.0.2
||not.example^$client=~127.0.0.2
||net.example^$client=127.0.0.0/30|127.0.0.77
||group.example^$client=kids
||tag.example^$ctag=user_child
||untagged.example^$ctag=~user_child
||both.example^$ctag=user_child,client=~127.0.0.9
";
    let groups =
        "[[group]]\nname = \"kids\"\nclients = [\"127.0.0.8/29\"]\ntags = [\"user_child\", \"device_phone\"]\n";
    let server = serve(None, &[("mine.list", list)], &format!("{}{groups}", program("mine", ""))).await;
    for (client, blocked) in [
        ("127.0.0.2", &[1, 3, 6][..]),
        ("127.0.0.3", &[2, 3, 6]),
        ("127.0.0.77", &[2, 3, 6]),
        ("127.0.0.4", &[2, 6]),
        ("127.0.0.8", &[2, 4, 5, 7]),
        ("127.0.0.9", &[2, 4, 5]),
    ] {
        for (line, rule) in (1..).zip(list.lines()) {
            let name = &rule[2..rule.find('^').unwrap()];
            let expected = blocked.contains(&line);
            for tcp in [false, true] {
                // Nothing is asked of anybody: what isn't blocked is answered for want of recursion.
                let ask = Ask { tcp, rd: false, ..Ask::new(name, RrType::A) };
                let answer = server.ask_from(client, &ask).await;
                let told =
                    if expected { format!("mine/mine mine.list:{line}") } else { "recursion was not desired".into() };
                assert_eq!(reason(&answer), told, "{client} {rule}");
            }
        }
    }
}

/// An alias of all names below one, such as to the safe version of a site, may lead to one of them, which then is itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_to_itself_passes() {
    const REAL: &str = "NOERROR www.secure.test A 203.0.113.31";
    let internet = Internet::start().await;
    for list in [
        "||secure.test^$dnsrewrite=NOERROR;CNAME;www.secure.test\n",
        "server:\nlocal-zone: secure.test redirect\nlocal-data: 'secure.test CNAME www.secure.test.'\n",
        "@ SOA a.b. c.d. 1 1 1 1 1\n*.secure.test CNAME www.secure.test.\n",
    ] {
        let list = list.replace("@ SOA", "$ORIGIN rpz.test.\n@ SOA");
        let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
        assert_eq!(shown(&ask(&server, "www.secure.test A").await), REAL, "{list}");
        let answer = ask(&server, "ns1.secure.test A").await;
        let expected = "NOERROR ns1.secure.test CNAME www.secure.test, www.secure.test A 203.0.113.31";
        assert_eq!(shown(&answer), expected, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_importance_and_withdrawn_rules() {
    let one = "||deny.example^$denyallow=ok.deny.example|fine.deny.example
||imp.example^$important
@@||imp.example^
||plain.example^
@@||plain.example^
||both.example^$important
@@||both.example^$important
||gone.example^
||gone.example^$dnstype=A
||other.example^
";
    let two = "||gone.example^$badfilter\n||plain.example^\n@@||other.example^$badfilter\n@@||other.example^\n";
    let other = "||gone.example^\n";
    let toml = "[[program]]\nname = \"mine\"\nlists = [{ path = \"one.list\" }, { path = \"two.list\" }]\n".to_owned()
        + &program("other", "mode = \"shadow\"");
    let lists = [("one.list", one), ("two.list", two), ("other.list", other)];
    let server = serve(None, &lists, &toml).await;
    for (text, expected) in [
        ("deny.example A", "mine/one one.list:1"),
        ("x.deny.example A", "mine/one one.list:1"),
        ("ok.deny.example A", ""),
        ("x.fine.deny.example A", ""),
        ("imp.example A", "mine/one one.list:2"),
        ("plain.example A", ""),
        ("both.example A", ""),
        // Only the very rule is withdrawn, not one that says something else of the same name.
        ("gone.example AAAA", ""),
        ("gone.example A", "mine/one one.list:9"),
        ("other.example A", "mine/one one.list:10"),
    ] {
        let (name, rr_type) = question(text);
        let answer = server.ask_with(&Ask { rd: false, ..Ask::new(name, rr_type) }).await;
        let told = if expected.is_empty() { "recursion was not desired" } else { expected };
        assert_eq!(reason(&answer), told, "{text}");
    }
    // Another program's list is its own.
    super::assert_counted(&server, "cleandns_would_block_total", &["program=\"other\""], 2).await;
}
