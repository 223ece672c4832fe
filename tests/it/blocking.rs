//! What a blocked question gets, for every type, transport and flag, and what passes.

use crate::{
    harness::{Answer, Ask, eventually, folder, name, over_udp, start, write_list},
    internet::Internet,
};
use cleandns::dns::{HEADER_BYTES, Name, Rcode, Record, RrType, Section, read_records};
use std::path::Path;
use tempfile::TempDir;

/// Types that people and machines ask for, and one nobody knows.
pub const TYPES: [RrType; 14] = [
    RrType::A,
    RrType::AAAA,
    RrType::HTTPS,
    RrType::SVCB,
    RrType::MX,
    RrType::TXT,
    RrType::NS,
    RrType::SOA,
    RrType::CNAME,
    RrType::ANY,
    RrType::DS,
    RrType::PTR,
    RrType::CAA,
    RrType(65280),
];

/// A program of one list, `own.list`, with these rules from line 2 on.
fn own(rules: &[&str], more: &str) -> (TempDir, String) {
    let folder = folder();
    write_list(&folder.path().join("own.list"), rules);
    let toml = format!(
        "[[program]]\nname = \"mine\"\nlists = [{{ path = \"own.list\", service = \"some-service\" }}]\n{more}\n"
    );
    (folder, toml)
}

/// The line of a shipped list that is this rule.
fn shipped_line(list: &str, rule: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists/clean-store").join(list);
    let text = std::fs::read_to_string(path).unwrap();
    1 + text.lines().position(|line| line.split_whitespace().next() == Some(rule)).unwrap()
}

/// A blocked answer, down to its bits. `owner` is the SOA's; `reason` the text of the Extended DNS Error.
fn assert_blocked(ask: &Ask, answer: &Answer, rcode: Rcode, owner: &str, reason: &str) {
    assert_eq!(answer.rcode, rcode, "{ask:?}: {answer:?}");
    assert!(answer.answer.is_empty(), "{ask:?}: {}", answer.shape());
    assert!(!answer.authoritative && !answer.ad && answer.ra && !answer.truncated, "{ask:?}: {answer:?}");
    assert_eq!((answer.octets[2] & 1 == 1, answer.cd), (ask.rd, ask.cd), "{ask:?}");
    let [soa] = answer.authority.as_slice() else { panic!("{ask:?}: {:?}", answer.authority) };
    assert_eq!((soa.rr_type, soa.owner, soa.ttl), (RrType::SOA, name(owner), 30), "{ask:?}");
    assert_eq!(soa.data.last_chunk(), Some(&30_u32.to_be_bytes()), "{ask:?}: MINIMUM");
    if ask.edns {
        assert_eq!(answer.octets[10..12], [0, 1], "{ask:?}: one OPT");
        let ede = answer.ede.as_ref().unwrap();
        assert_eq!((ede.code, ede.text.as_str()), (15, reason), "{ask:?}");
    } else {
        assert_eq!(answer.octets[10..12], [0, 0], "{ask:?}: no OPT for those who sent none");
    }
}

/// Asks in every way there is.
pub fn every_way(name: &str, rr_type: RrType) -> Vec<Ask> {
    let bit = |ways: u8, bit: u8| ways >> bit & 1 == 1;
    let ways = (0..64_u8).map(|ways| Ask {
        tcp: bit(ways, 0),
        cd: bit(ways, 1),
        rd: bit(ways, 2),
        ad: bit(ways, 3),
        edns: bit(ways, 4) || bit(ways, 5),
        dnssec_ok: bit(ways, 5),
        ..Ask::new(name, rr_type)
    });
    ways.filter(|ask| ask.rd || rr_type == RrType::A).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_lists_block_every_type_in_every_way() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let reason = format!("clean-store/tiktok tiktok.list:{}", shipped_line("tiktok.list", "tiktok.com"));
    let mut asked = 0;
    for rr_type in TYPES {
        for ask in every_way("www.tiktok.com", rr_type) {
            assert_blocked(&ask, &server.ask_with(&ask).await, Rcode::NXDOMAIN, "tiktok.com", &reason);
            asked += 1;
        }
    }
    for name in ["tiktok.com", "TikTok.com", "a.b.c.d.tiktok.com", "_dns.www.tiktok.com"] {
        let ask = Ask::new(name, RrType::A);
        assert_blocked(&ask, &server.ask_with(&ask).await, Rcode::NXDOMAIN, "tiktok.com", &reason);
        asked += 1;
    }
    for name in ["tiktok.com", "www.tiktok.com", "a.b.c.d.tiktok.com"] {
        assert_eq!(internet.asked(name), 0, "{name} was asked for upstream");
    }
    let labels = ["program=\"clean-store\"", "service=\"tiktok\"", "list=\"tiktok.list\"", "trigger=\"qname\""];
    eventually("all blocks are counted", || async {
        server.metric("cleandns_blocked_total", &labels).await == f64::from(asked)
    })
    .await;
    // One name of each service that the 2020 announcements name, and of the stores.
    for name in [
        "www.wechat.com",
        "api.weixin.qq.com",
        "www.capcut.com",
        "www.lemon8-app.com",
        "appgallery.huawei.com",
        "store-dre.hispace.dbankcloud.com",
        "app.market.xiaomi.com",
        "heytapmobi.com",
        "appstore.vivo.com.cn",
        "appmarket.hihonorcloud.com",
    ] {
        let answer = server.ask(name, RrType::A).await;
        assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15), "{name}");
    }
    for name in ["www.example.com", "www.qq.com", "xtiktok.com", "tiktok.com.example.com"] {
        assert_ne!(server.ask(name, RrType::A).await.ede_code(), 15, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_rules_block_what_they_say() {
    let internet = Internet::start().await;
    let (folder, toml) = own(&["www.signed.org", "=only-a.signed.org", "*.wild.signed.org", "secure.test # why"], "");
    let server = start(folder, Some(&internet), &toml).await;
    for (asked, owner, line) in [
        ("www.signed.org", "www.signed.org", 2),
        ("x.y.www.signed.org", "www.signed.org", 2),
        ("only-a.signed.org", "only-a.signed.org", 3),
        ("x.wild.signed.org", "wild.signed.org", 4),
        ("x.y.wild.signed.org", "wild.signed.org", 4),
        ("secure.test", "secure.test", 5),
        ("www.secure.test", "secure.test", 5),
    ] {
        for rr_type in TYPES {
            for dnssec_ok in [false, true] {
                let ask = Ask { dnssec_ok, cd: dnssec_ok, ..Ask::new(asked, rr_type) };
                let reason = format!("mine/some-service own.list:{line}");
                assert_blocked(&ask, &server.ask_with(&ask).await, Rcode::NXDOMAIN, owner, &reason);
            }
        }
        assert_eq!(internet.asked(asked), 0, "{asked}");
    }
    for asked in ["x.only-a.signed.org", "wild.signed.org", "signed.org", "test", "xwww.signed.org"] {
        assert_ne!(server.ask(asked, RrType::A).await.ede_code(), 15, "{asked}");
    }
    // An alias of an innocent name to a name that only its exact rule blocks.
    let ask = Ask { dnssec_ok: true, ..Ask::new("alias-nodata.signed.org", RrType::AAAA) };
    let answer = server.ask_with(&ask).await;
    assert_blocked(&ask, &answer, Rcode::NXDOMAIN, "alias-nodata.signed.org", "mine/some-service own.list:3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodata_and_another_code_and_ttl_if_told_so() {
    let internet = Internet::start().await;
    let (folder, toml) = own(&["signed.org"], "block = \"nodata\"");
    let server = start(folder, Some(&internet), &toml).await;
    for rr_type in TYPES {
        for ask in every_way("www.signed.org", rr_type) {
            let answer = server.ask_with(&ask).await;
            assert_blocked(&ask, &answer, Rcode::NOERROR, "signed.org", "mine/some-service own.list:2");
        }
    }
    let (folder, toml) = own(&["signed.org"], "ede = 17\n[policy]\nblock_ttl = \"5m\"");
    let server = start(folder, Some(&internet), &toml).await;
    let answer = server.ask("signed.org", RrType::A).await;
    assert_eq!((answer.rcode, answer.ede_code(), answer.authority[0].ttl), (Rcode::NXDOMAIN, 17, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_into_the_blocked_are_blocked() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    let reason = |rule| format!("clean-store/tiktok tiktok.list:{}", shipped_line("tiktok.list", rule));
    for (asked, rule) in [
        ("to-blocked.example.com", "tiktok.com"),
        ("to-blocked2.example.com", "tiktokv.com"),
        ("edge.example.com", "tiktokv.com"),
        ("to-blocked.signed.org", "tiktok.com"),
        ("www.dn.example.com", "tiktok.com"),
        ("x.dn.example.com", "tiktok.com"),
    ] {
        for rr_type in [RrType::A, RrType::AAAA, RrType::HTTPS, RrType::TXT, RrType::MX, RrType::CNAME] {
            for ask in every_way(asked, rr_type).into_iter().filter(|ask| ask.rd) {
                // A question for the alias itself shows only the next link, which may be innocent.
                if rr_type == RrType::CNAME && asked == "to-blocked2.example.com" {
                    continue;
                }
                let answer = server.ask_with(&ask).await;
                assert_blocked(&ask, &answer, Rcode::NXDOMAIN, asked, &reason(rule));
            }
        }
    }
    for (trigger, least) in [("cname", 4 * 40), ("dname", 2 * 40)] {
        let labels = [format!("trigger=\"{trigger}\"")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        eventually("blocks by alias are counted", || async {
            server.metric("cleandns_blocked_total", &labels).await >= f64::from(least)
        })
        .await;
    }
    // A service binding to a blocked name is withheld; NXDOMAIN would deny the name's other types.
    for ask in every_way("svcb-blocked.example.com", RrType::HTTPS).into_iter().filter(|ask| ask.rd) {
        let answer = server.ask_with(&ask).await;
        assert_blocked(&ask, &answer, Rcode::NOERROR, "svcb-blocked.example.com", &reason("tiktok.com"));
    }
    let answer = server.ask("svcb-blocked.example.com", RrType::A).await;
    assert_eq!((answer.rcode, answer.ede), (Rcode::NOERROR, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_pass() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    for (asked, expected) in [
        ("open.weixin.qq.com", Rcode::NOERROR),
        ("nx.open.weixin.qq.com", Rcode::NXDOMAIN),
        ("api.weixin.qq.com", Rcode::NXDOMAIN),
        ("www.weixin.qq.com", Rcode::NXDOMAIN),
        ("weixin.qq.com", Rcode::NXDOMAIN),
    ] {
        let answer = server.ask(asked, RrType::A).await;
        assert_eq!(answer.rcode, expected, "{asked}");
        assert_eq!(answer.ede_code() != 15, asked.contains("open"), "{asked}");
    }
    eventually("the exception is counted", || async {
        server.metric("cleandns_excepted_total", &["service=\"wechat\""]).await >= 1.0
    })
    .await;
    // The owner's exceptions: a name and below, exactly one name, an innocent name with all that it leads to.
    let owner = r#"
        [[policy.exception]]
        names = ["wechat.com", "=tiktok.com", "to-blocked.example.com"]
        reason = "test"
        [[policy.exception]]
        names = ["qq.com"]
        programs = ["clean-apps"]
        reason = "another program"
    "#;
    let server = start(folder(), Some(&internet), owner).await;
    for (asked, expected) in [
        ("wechat.com", "wechat.com A"),
        ("www.wechat.com", "www.wechat.com A"),
        ("tiktok.com", "tiktok.com A"),
        ("www.tiktok.com", ""),
        ("to-blocked.example.com", "to-blocked.example.com CNAME, www.tiktok.com A"),
        ("to-blocked2.example.com", ""),
        ("api.weixin.qq.com", ""),
    ] {
        assert_eq!(server.ask(asked, RrType::A).await.shape(), expected, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_of_a_list_pass_an_alias_or_all_that_a_question_leads_to() {
    let internet = Internet::start().await;
    let (folder, toml) = own(&["tiktok.com", "tiktokv.com", "@www.tiktok.com", "@to-blocked2.example.com"], "");
    let server = start(folder, Some(&internet), &toml).await;
    for (asked, expected) in [
        ("www.tiktok.com", "www.tiktok.com A"),
        ("to-blocked.example.com", "to-blocked.example.com CNAME, www.tiktok.com A"),
        ("www.dn.example.com", "dn.example.com DNAME, www.dn.example.com CNAME, www.tiktok.com A"),
        ("to-blocked2.example.com", "to-blocked2.example.com CNAME, edge.example.com CNAME, api.tiktokv.com A"),
        ("edge.example.com", ""),
        ("api.tiktok.com", ""),
        ("api.dn.example.com", ""),
    ] {
        let answer = server.ask(asked, RrType::A).await;
        assert_eq!((answer.shape().as_str(), answer.ede_code() == 15), (expected, expected.is_empty()), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owners_exception_holds_through_its_last_day() {
    const FEBRUARY_2030: u64 = 1_896_134_400;
    let internet = Internet::start().await;
    let owner = "[[policy.exception]]\nnames = [\"signed.org\"]\nreason = \"test\"\nuntil = \"2030-01-31\"\n";
    let (folder, toml) = own(&["signed.org"], owner);
    let server = start(folder, Some(&internet), &toml).await;
    for (now, expected) in [(FEBRUARY_2030 - 1, Rcode::NOERROR), (FEBRUARY_2030, Rcode::NXDOMAIN)] {
        server.clock.store(now, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(server.ask("www.signed.org", RrType::A).await.rcode, expected, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_name_is_blocked_in_any_case_and_comes_back_as_it_was_spelt() {
    let server = start(folder(), None, "").await;
    let mut packet = Ask::new("www.tiktok.com", RrType::A).packet();
    packet[12..28].make_ascii_uppercase();
    let answer = Answer::read(over_udp(server.dns(), &packet).await.unwrap());
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15));
    assert_eq!(answer.octets[12..32], packet[12..32]);
}

/// A response without what two servers may differ in: id and TTLs.
pub fn timeless(answer: &Answer) -> (Vec<u8>, usize, Vec<(Section, Record)>) {
    let mut records = read_records(&answer.octets).unwrap();
    records.iter_mut().for_each(|(_, record)| record.ttl = 0);
    let (_, question_end) = Name::read(&answer.octets, HEADER_BYTES).unwrap();
    (answer.octets[2..question_end + 4].to_vec(), answer.octets.len(), records)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_changes_nothing_and_counts() {
    let internet = Internet::start().await;
    let rules = ["example.com", "signed.org", "target.org", "tiktok.com", "bogus-sig.org"];
    let (folder, toml) = own(&rules, "mode = \"shadow\"");
    let shadow = start(folder, Some(&internet), &toml).await;
    let none = start(crate::harness::folder(), Some(&internet), "[policy]\nmode = \"off\"\n").await;
    let mut asked = 0;
    for text in [
        "www.example.com A",
        "alias2.example.com A",
        "nx.example.com A",
        "to-blocked.example.com A",
        "www.dn.example.com A",
        "svcb-blocked.example.com HTTPS",
        "www.signed.org A",
        "www.signed.org ANY",
        "nx.signed.org A",
        "alias-out.signed.org A",
        "alias-out-nodata.signed.org AAAA",
        "big.signed.org TXT",
        "www.bogus-sig.org A",
        "www.tiktok.com A",
    ] {
        let (name, rr_type) = crate::recursion::question(text);
        for ask in every_way(name, rr_type) {
            let (with, without) = (shadow.ask_with(&ask).await, none.ask_with(&ask).await);
            assert_eq!(timeless(&with), timeless(&without), "{ask:?}");
            assert_eq!(with.ede, without.ede, "{ask:?}");
            asked += 1;
        }
    }
    eventually("what would be blocked is counted", || async {
        shadow.metric("cleandns_would_block_total", &["program=\"mine\""]).await == f64::from(asked)
    })
    .await;
    assert_eq!(shadow.metric("cleandns_blocked_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enforcing_program_acts_and_a_shadow_beside_it_counts() {
    let internet = Internet::start().await;
    let folder = folder();
    for (list, rule) in [("one.list", "signed.org"), ("two.list", "www.signed.org")] {
        write_list(&folder.path().join(list), &[rule]);
    }
    let program = |name: &str, mode: &str| {
        format!("[[program]]\nname = \"{name}\"\nmode = \"{mode}\"\nlists = [{{ path = \"{name}.list\" }}]\n")
    };
    let toml = program("one", "shadow") + &program("two", "enforce");
    let server = start(folder, Some(&internet), &toml).await;
    let answer = server.ask("www.signed.org", RrType::A).await;
    assert_eq!(answer.ede.map(|ede| ede.text), Some("two/two two.list:2".to_owned()));
    assert_eq!(server.ask("only-a.signed.org", RrType::A).await.rcode, Rcode::NOERROR);
    eventually("both are counted", || async {
        server.metric("cleandns_would_block_total", &["program=\"one\""]).await == 2.0
            && server.metric("cleandns_blocked_total", &["program=\"two\""]).await == 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn special_names_never_leave() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    for (text, expected, shape) in [
        ("localhost A", "NOERROR", "localhost A"),
        ("localhost AAAA", "NOERROR", "localhost AAAA"),
        ("localhost MX", "NOERROR", ""),
        ("a.b.localhost A", "NOERROR", "a.b.localhost A"),
        ("x.invalid A", "NXDOMAIN", ""),
        ("invalid A", "NOERROR", ""),
        ("x.onion AAAA", "NXDOMAIN", ""),
        ("1.0.0.127.in-addr.arpa PTR", "NXDOMAIN", ""),
        ("1.1.168.192.in-addr.arpa PTR", "NXDOMAIN", ""),
        ("home.arpa A", "NOERROR", ""),
        ("router.home.arpa A", "NXDOMAIN", ""),
        ("_dns.resolver.arpa SVCB", "NOERROR", ""),
        ("resolver.arpa A", "NOERROR", ""),
        ("a.b.resolver.arpa A", "NOERROR", ""),
        ("local A", "NOERROR", ""),
        ("printer.local A", "NXDOMAIN", ""),
        ("8.b.d.0.1.0.0.2.ip6.arpa PTR", "NOERROR", ""),
    ] {
        let (name, rr_type) = crate::recursion::question(text);
        for ask in every_way(name, rr_type) {
            let answer = server.ask_with(&ask).await;
            assert_eq!((answer.rcode.to_string().as_str(), answer.shape().as_str()), (expected, shape), "{ask:?}");
            assert!(!answer.ad && !answer.authoritative && answer.ra, "{ask:?}");
            assert_eq!(answer.authority.len(), usize::from(shape.is_empty()), "{ask:?}");
        }
        assert_eq!(internet.asked(name), 0, "{name} was asked for upstream");
    }
    for (rr_type, data) in
        [(RrType::A, &[127, 0, 0, 1][..]), (RrType::AAAA, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]
    {
        assert_eq!(server.ask("localhost", rr_type).await.answer[0].data, data);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_reasons_and_names_stay_within_bounds() {
    let folder = folder();
    let list = format!("{}.list", "l".repeat(200));
    write_list(&folder.path().join(&list), &["example.com"]);
    let service = "s".repeat(40);
    let toml = format!("[[program]]\nname = \"mine\"\nlists = [{{ path = \"{list}\", service = \"{service}\" }}]\n");
    let server = start(folder, None, &toml).await;
    let long = format!("{x}.{x}.{x}.{y}.example.com", x = "x".repeat(60), y = "y".repeat(57));
    assert!(long.len() + 2 <= 255, "{}", long.len());
    for name in ["example.com", &long] {
        for (edns, udp_size) in [(false, 0), (true, 0), (true, 512), (true, 1232)] {
            let answer = server.ask_with(&Ask { edns, udp_size, ..Ask::new(name, RrType::A) }).await;
            let within = answer.octets.len() <= if edns { usize::from(udp_size).max(512) } else { 512 };
            assert!(within && !answer.truncated && answer.rcode == Rcode::NXDOMAIN, "{name} {edns} {udp_size}");
            assert_eq!(answer.authority.len(), 1, "{name} {edns} {udp_size}");
            let text = answer.ede.map(|ede| ede.text);
            assert_eq!(text.is_some(), edns, "{name} {edns} {udp_size}");
            assert!(text.as_ref().is_none_or(|text| text.len() <= 120), "{text:?}");
            assert!(text.is_none_or(|text| text.starts_with("mine/sss")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_needs_no_internet() {
    let server = start(folder(), None, "").await;
    let answer = server.ask("www.tiktok.com", RrType::A).await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15));
}
