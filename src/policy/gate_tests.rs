//! The gate's judgement as a table, on the shipped lists, and what it costs.

use super::*;
use crate::policy::{
    Anchor, Conditions, LocalData,
    parse::{Options, parse},
    rule::Action,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn gate(release: &[&str], broad: Broad) -> Gate {
    let own = [(name("dns.upstream.test"), "our upstream".to_owned()), (name("apple.com"), "ours".to_owned())];
    let release: Vec<Name> = release.iter().map(|text| name(text)).collect();
    Gate::new(Arc::new(Canaries::new(own)), &release, broad)
}

/// `name`, `=name`, `*.name`, `ns:name`, `net`, `ns:net`, `client:net`, `/regex/`, `~glob` with AdBlock's anchors; with `@`
/// an exception.
fn rule(text: &str) -> Rule {
    let (effect, text) = match text.strip_prefix('@') {
        Some(rest) => (Effect::Except, rest),
        None => (Effect::Block, text),
    };
    let scoped = |text: &str| match (text.strip_prefix('='), text.strip_prefix("*.")) {
        _ if text == "*" => (Scope::Below, Name::ROOT),
        (Some(rest), _) => (Scope::Exact, name(rest)),
        (_, Some(rest)) => (Scope::Below, name(rest)),
        _ => (Scope::Subtree, name(text)),
    };
    let matcher = if let Some(regex) = text.strip_prefix('/') {
        Matcher::Pattern(Pattern::Regex(regex.strip_suffix('/').unwrap().to_owned()))
    } else if let Some(glob) = text.strip_prefix('~') {
        let (glob, end) = glob.strip_suffix('^').map_or((glob, false), |glob| (glob, true));
        let (start, glob) = match (glob.strip_prefix("||"), glob.strip_prefix('|')) {
            (Some(rest), _) => (Anchor::Label, rest),
            (_, Some(rest)) => (Anchor::Start, rest),
            _ => (Anchor::Anywhere, glob),
        };
        Matcher::Pattern(Pattern::Glob { start, text: glob.to_owned(), end })
    } else if let Some(net) = text.strip_prefix("client:") {
        Matcher::Client(net.parse().unwrap())
    } else if let Some(rest) = text.strip_prefix("ns:") {
        match rest.parse::<IpNet>() {
            Ok(net) => Matcher::NsAddress(Place::Net(net)),
            Err(_) => {
                let (scope, name) = scoped(rest);
                Matcher::NsName { scope, name: Box::new(name) }
            }
        }
    } else if let Ok(net) = text.parse::<IpNet>() {
        Matcher::Address(Place::Net(net))
    } else {
        let (scope, name) = scoped(text);
        Matcher::Name { scope, name }
    };
    Rule { effect, ..Rule::new(effect, matcher, 1) }
}

fn judged(gate: &Gate, rule: &Rule) -> String {
    let said = gate.admit(Candidate::Rule(rule));
    if let (Rule { matcher: Matcher::Name { scope, name }, effect, .. }, true) = (rule, rule.conditions.is_none()) {
        assert_eq!(gate.admit(Candidate::Name(*effect, *scope, name)), said);
    }
    match said {
        Admission::Take => String::new(),
        Admission::Hold(reason) | Admission::Warn(reason) => reason,
    }
}

/// Each rule, and how what is said of it begins; nothing is said of good ones.
#[test]
fn rules_one_by_one() {
    let gate = gate(&["zip", "co.uk", "fastly.net", "mov", "b-cdn.net"], Broad::Hold);
    for (text, expected) in [
        // Names nobody minds.
        ("evil.example", ""),
        ("*.evil.example", ""),
        ("evil.com", ""),
        ("a.evil.co.uk", ""),
        ("tiktok.com", ""),
        ("x.y.z.evil.com", ""),
        ("a.b.c.d.e.f.g.h.i.j.com", ""),
        ("notapple.com", ""),
        // What the table's head says is not in it: single social networks. Two of one's hosts once held all of it.
        ("facebook.com", ""),
        ("instagram.com", ""),
        ("x.com", ""),
        ("xapple.com", ""),
        ("example", ""),
        ("lan", ""),
        ("internal", ""),
        ("evil.test", ""),
        // Everything.
        (".", "covers every name"),
        ("*", "covers every name"),
        ("=.", ""),
        // Public suffixes.
        ("com", "covers all of .com"),
        ("*.com", "covers all of .com"),
        ("COM", "covers all of .com"),
        ("net", "covers all of .net"),
        ("org", "covers all of .org"),
        ("cn", "covers all of .cn"),
        ("xn--fiqs8s", "covers all of .xn--fiqs8s"),
        ("ru", "covers all of .ru"),
        ("app", "covers all of .app"),
        ("arpa", "covers all of .arpa"),
        ("onion", "covers all of .onion"),
        ("com.cn", "covers all of com.cn, which is a public suffix"),
        ("*.com.cn", "covers all of com.cn, which is a public suffix"),
        ("gov.uk", "covers all of gov.uk, which is a public suffix"),
        ("tokyo.jp", "covers all of tokyo.jp, which is a public suffix"),
        ("k12.ma.us", "covers all of k12.ma.us, which is a public suffix"),
        ("pvt.k12.ma.us", "covers all of pvt.k12.ma.us, which is a public suffix"),
        ("x.pvt.k12.ma.us", ""),
        ("in-addr.arpa", "covers all of in-addr.arpa, which is a public suffix"),
        // The list has `*.ck` and `!www.ck`.
        ("ck", "covers all of .ck"),
        ("foo.ck", "covers all of foo.ck, which is a public suffix"),
        ("www.ck", ""),
        ("a.foo.ck", ""),
        ("kawasaki.jp", "covers all of kawasaki.jp, which is a public suffix"),
        ("foo.kawasaki.jp", "covers all of foo.kawasaki.jp, which is a public suffix"),
        ("city.kawasaki.jp", ""),
        ("a.foo.kawasaki.jp", ""),
        ("nom.br", "covers all of nom.br, which is a public suffix"),
        ("mm", "covers all of .mm"),
        ("sch.uk", "covers all of sch.uk, which is a public suffix"),
        // The private part.
        ("blogspot.com", ""),
        ("web.app", ""),
        ("com.de", ""),
        ("eu.org", ""),
        ("no-ip.org", ""),
        // One name alone.
        ("=com", ""),
        ("=captive.apple.com", ""),
        ("=google.com", ""),
        ("ns:=com", ""),
        // Exceptions.
        ("@com", ""),
        ("@.", ""),
        ("@*.google.com", ""),
        ("@~*", ""),
        ("@/./", ""),
        ("@0.0.0.0/0", ""),
        // Canaries, and what is above them.
        ("captive.apple.com", "would block captive.apple.com (Apple)"),
        ("*.captive.apple.com", "would block captive.apple.com (Apple)"),
        ("x.captive.apple.com", ""),
        ("lencr.org", "would block lencr.org (Let's Encrypt: revocation and chains)"),
        ("apple.com", "would block apple.com (ours) and "),
        ("gstatic.com", "would block gstatic.com (Google) and "),
        ("googlezip.net", "would block ota.googlezip.net (system update files)"),
        ("debian.org", "would block deb.debian.org (Debian packages) and "),
        ("cloudfront.net", "would block cloudfront.net (Amazon)"),
        ("github.io", "would block github.io (tenants of GitHub) and one more name that much depends on"),
        ("upstream.test", "would block dns.upstream.test (our upstream)"),
        ("dns.upstream.test", "would block dns.upstream.test (our upstream)"),
        ("x.dns.upstream.test", ""),
        // What is released.
        ("zip", ""),
        ("*.zip", ""),
        ("co.uk", ""),
        ("uk", "covers all of .uk"),
        ("org.uk", "covers all of org.uk"),
        ("fastly.net", ""),
        ("=zip", ""),
        // Name servers.
        ("ns:com", "covers all of .com"),
        ("ns:*", "covers every name"),
        ("ns:*.co.jp", "covers all of co.jp"),
        ("ns:evil.example", ""),
        ("ns:cloudflare.com", "would block cloudflare.com"),
        // Addresses.
        ("0.0.0.0/0", "0.0.0.0/0 covers all addresses of IPv4"),
        ("::/0", "::/0 covers all addresses of IPv6"),
        ("128.0.0.0/1", "128.0.0.0/1 covers 1/2 of all addresses of IPv4"),
        ("8.0.0.0/7", "8.0.0.0/7 covers 1/128 of all addresses of IPv4"),
        ("10.0.0.0/8", ""),
        ("192.0.2.1/32", ""),
        ("2000::/3", "2000::/3 covers 1/8 of all addresses of IPv6"),
        ("2400::/12", "2400::/12 covers 1/4096 of all addresses of IPv6"),
        ("2400::/15", "2400::/15 covers 1/32768 of all addresses of IPv6"),
        ("2400::/16", ""),
        ("2001:db8::/32", ""),
        ("ns:0.0.0.0/4", "0.0.0.0/4 covers 1/16 of all name servers' addresses of IPv4"),
        ("ns:192.0.2.0/24", ""),
        ("client:0.0.0.0/1", "0.0.0.0/1 covers 1/2 of all clients' addresses of IPv4"),
        ("client:10.0.0.0/8", ""),
        // Patterns of everything.
        ("~*", "covers every name"),
        ("~", "covers every name"),
        ("~.", "covers every name"),
        ("~||*", "covers every name"),
        ("~|*.*^", "covers every name"),
        ("/./", "covers every name"),
        ("/^/", "covers every name"),
        ("/.*/", "covers every name"),
        (r"/^[a-z0-9.-]+$/", "covers every name"),
        (r"/^[^.]+\.[^.]+$/", "covers all of .com and "),
        (r"/^[^.]+\.[^.]+\.[^.]+$/", "covers "),
        // Of whole top-level domains.
        ("~.com^", "covers all of .com"),
        ("~*.com^", "covers all of .com"),
        ("~|*.com^", "covers all of .com"),
        (r"/\.com$/", "covers all of .com"),
        (r"/^[a-z0-9]+\.com$/", "covers all of .com"),
        (r"/\.(xyz|top)$/", "covers all of .xyz and of 1 more public suffixes"),
        (r"/.\.ru$/", "covers all of .ru"),
        ("~.co.jp^", "covers all of .co.jp"),
        // However small they are.
        (r"/\.pl$/", "covers all of .pl"),
        (r"/\.(se|es|kr)$/", "covers all of .se and of 2 more public suffixes"),
        (r"/^[^.]+\.tk$/", "covers all of .tk"),
        (r"/\.co\.za$/", "covers all of .co.za"),
        (r"/\.xn--p1ai$/", "covers all of .xn--p1ai"),
        ("~||*.*.pl^", "covers all of .pl"),
        ("~.tw", "covers all of .tw"),
        ("~*pl^", "covers all of .pl"),
        (r"/\.pl\.evil\.example$/", ""),
        ("~ads.pl^", ""),
        // Released.
        ("~.co.uk^", ""),
        ("~.zip^", ""),
        ("~*.zip^", ""),
        (r"/\.zip$/", ""),
        (r"/\.(zip|mov)$/", ""),
        (r"/\.(zip|xyz)$/", "covers all of .xyz"),
        ("~b-cdn.net", ""),
        // Of canaries.
        ("~google", "covers all of .google"),
        ("~captive", "would block captive.apple.com (Apple)"),
        ("~||captive.*^", "would block captive.apple.com (Apple)"),
        ("~||*.apple.com^", "would block "),
        (r"/^captive\./", "would block captive.apple.com"),
        (r"/upstream\.test$/", "would block dns.upstream.test (our upstream)"),
        ("~||ads*.evil.example^", ""),
        ("~||doubleclick.*^", ""),
        ("~-banner-ads-", ""),
        (r"/^ad[sx]?[0-9]{1,3}\./", ""),
        (r"/^[a-z]{5}\.com$/", "would block apple.com (ours) and "),
        (r"/^[a-z]{4}[0-9]{4}\.com$/", ""),
        (r"/^[a-f0-9]{32}\.com$/", ""),
        ("/(/", ""),
    ] {
        let found = judged(&gate, &rule(text));
        let is_right = if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) };
        assert!(is_right, "{text}: {found:?}, not {expected:?}");
    }
}

#[test]
fn no_condition_or_action_excuses_a_rule() {
    let gate = gate(&[], Broad::Hold);
    let plain = rule("com");
    for action in [Action::NoData, Action::Drop, Action::TcpOnly, Action::Rewrite(Arc::new(LocalData::default()))] {
        let conditions = Some(Box::new(Conditions { denyallow: vec![name("google.com")], ..Conditions::default() }));
        let rule = Rule { action, conditions, important: true, ..plain.clone() };
        assert_eq!(judged(&gate, &rule), "covers all of .com");
    }
}

/// What a held rule is told to pass by lets it pass, and nothing less does.
#[test]
fn held_rules_pass_by_the_names_that_are_told() {
    for (text, names) in [
        ("com", &["com"][..]),
        ("*.co.uk", &["co.uk"]),
        ("apple.com", &["apple.com"]),
        ("ns:apple.com", &["apple.com"]),
        ("~*.zip", &["zip"]),
        ("~||apple.", &["apple"]),
        (r"/^(www\.)?apple\.com$/", &["apple.com", "www.apple.com"]),
        (r"/\.(zip|mov)$/", &["zip", "mov"]),
        // All or nothing; addresses have no names; so many that somebody should look at the list itself.
        ("*", &[]),
        ("~*", &[]),
        ("::/0", &[]),
        ("client:0.0.0.0/0", &[]),
        ("/^[a-z.]*$/", &[]),
        ("evil.example", &[]),
    ] {
        let told = gate(&[], Broad::Hold).passes_by(&rule(text));
        let told: Vec<String> = told.iter().map(Name::to_string).collect();
        assert_eq!(told, names, "{text}");
        for at in 0..names.len() {
            let others: Vec<&str> =
                names.iter().enumerate().filter(|(own, _)| *own != at).map(|(_, name)| *name).collect();
            let judged = |names: &[&str]| gate(names, Broad::Hold).admit(Candidate::Rule(&rule(text)));
            assert!(matches!(judged(&others), Admission::Hold(_)), "{text} {others:?}");
            assert_eq!(judged(names), Admission::Take, "{text}");
        }
    }
}

#[test]
fn a_warning_takes_the_rule() {
    for (text, is_broad) in [("com", true), ("apple.com", true), ("~*", true), ("::/0", true), ("evil.example", false)]
    {
        let hold = gate(&[], Broad::Hold).admit(Candidate::Rule(&rule(text)));
        let warn = gate(&[], Broad::Warn).admit(Candidate::Rule(&rule(text)));
        match (hold, warn) {
            (Admission::Hold(held), Admission::Warn(warned)) if is_broad => assert_eq!(held, warned),
            (Admission::Take, Admission::Take) => assert!(!is_broad, "{text}"),
            other => panic!("{text} {other:?}"),
        }
    }
}

/// Only what lets the canary pass whoever asks, and stays in force, makes a broad rule good.
#[test]
fn exceptions_that_except_nothing_excuse_nothing() {
    let gate = gate(&[], Broad::Hold);
    for (block, exception, is_held) in [
        ("||upstream.test^", "@@||dns.upstream.test^", false),
        ("||upstream.test^", "@@||upstream.test^$important", false),
        ("||upstream.test^", "@@|dns.upstream.test^", false),
        ("||upstream.test^$important", "@@||dns.upstream.test^", true),
        ("||upstream.test^$important", "@@||dns.upstream.test^$important", false),
        ("||upstream.test^", "@@||dns.upstream.test^$client=10.9.9.9", true),
        ("||upstream.test^", "@@||dns.upstream.test^$dnstype=TXT", true),
        ("||upstream.test^", "@@||dns.upstream.test^\n@@||dns.upstream.test^$badfilter", true),
        ("||upstream.test^", "@@||dns.upstream.test^\n@@|dns.upstream.test^$badfilter", false),
    ] {
        let text = format!("[Adblock Plus]\n{block}\n{exception}\n||other.example^\n");
        let parsed = parse(text.as_bytes(), &Options { admit: Some(&gate), ..Options::default() }).unwrap();
        assert_eq!(parsed.held.count, usize::from(is_held), "{block} {exception}: {:?}", parsed.held);
    }
}

#[test]
fn what_a_list_excepts_itself_is_no_reason() {
    let gate = gate(&["zip"], Broad::Hold);
    for (text, excepted, expected) in [
        ("hicloud.com", &["query.hicloud.com", "connectivitycheck.platform.hicloud.com"][..], ""),
        ("hicloud.com", &["platform.hicloud.com", "query.hicloud.com"], ""),
        ("hicloud.com", &["query.hicloud.com"], "would block connectivitycheck.platform.hicloud.com (Huawei; probe)"),
        ("hicloud.com", &[], "would block "),
        ("~hicloud", &["query.hicloud.com", "connectivitycheck.platform.hicloud.com"], ""),
        ("com", &["com"], "covers all of .com"),
        ("~.com^", &["com"], "covers all of .com"),
        (".", &["."], "covers every name"),
        ("0.0.0.0/0", &["."], "0.0.0.0/0 covers all"),
        ("zip", &[], ""),
    ] {
        let is_excepted = |canary: &Name| excepted.iter().any(|own| canary.is_at_or_below(&name(own)));
        let found = match gate.settle(&rule(text), &is_excepted) {
            Admission::Take => String::new(),
            Admission::Hold(reason) | Admission::Warn(reason) => reason,
        };
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{text} {excepted:?}: {found}");
    }
}

#[test]
fn the_table_is_in_order() {
    let canaries = Canaries::new([]);
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines.clone() {
        let (name, why) = table_line(line).unwrap_or_else(|| panic!("{line}"));
        assert!(name.label_count() >= 2 && !why.is_empty(), "{line}");
    }
    assert_eq!(lines.count(), canaries.len(), "a name stands there twice");
    assert_eq!(canaries.made_up.len(), BIG_SUFFIXES.len());
    for suffix in &canaries.made_up {
        assert!(is_public_suffix(&suffix.name), "{}", suffix.name);
    }
    for flat in FLAT {
        let flat = std::str::from_utf8(flat).unwrap();
        assert!(is_public_suffix(&name(flat)), "{flat}");
        for second in ["com", "co", "net", "org", "gov", "edu", "ac", "in", "uk", "us", "de", "br", "0"] {
            let both = format!("{second}.{flat}");
            assert_ne!(
                psl::suffix(both.as_bytes()).map(|found| (found.as_bytes(), found.typ())),
                Some((both.as_bytes(), Some(Type::Icann))),
                "{both}"
            );
        }
    }
}

/// Nothing in the shipped lists is held back once each list's own exceptions are known.
#[test]
fn shipped_lists_pass() {
    let gate = gate(&[], Broad::Hold);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists");
    let mut held = Vec::new();
    let folders = std::fs::read_dir(root).unwrap().map(|item| item.unwrap().path()).filter(|path| path.is_dir());
    for folder in folders {
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "list") {
                let text = std::fs::read(&file).unwrap();
                match parse(&text, &Options { admit: Some(&gate), ..Options::default() }) {
                    Ok(list) => {
                        held.extend(list.held.first.into_iter().map(|told| (file.clone(), told.line, told.reason)))
                    }
                    Err(error) => held.push((file, 0, error.to_string())),
                }
            }
        }
    }
    held.retain(|(file, ..)| !file.ends_with("placeholder.list"));
    assert!(held.is_empty(), "{held:#?}");
}

#[test]
fn changes_of_size() {
    for (before, after, percent, expected) in [
        (0, 0, 50, ""),
        (0, 5_000_000, 50, ""),
        (1000, 1000, 50, ""),
        (1000, 500, 50, ""),
        (1000, 499, 50, "it has 499 rules, 50 % fewer than the 1000 before; 50 % are allowed at once"),
        (1000, 0, 50, "it has 0 rules, 100 % fewer than the 1000 before; 50 % are allowed at once"),
        (1000, 0, 100, ""),
        (1000, 999, 0, "it has 999 rules, 0 % fewer than the 1000 before; 0 % are allowed at once"),
        (1, 0, 50, "it has 0 rules, 100 % fewer than the 1 before; 50 % are allowed at once"),
        (2, 1, 50, ""),
        (10, 1010, 50, ""),
        (10, 1011, 50, "it has 1011 rules, 10010 % more than the 10 before; 50 % are allowed at once"),
        (10, 1011, 100, ""),
        (1000, 2000, 50, ""),
        (2000, 3000, 50, ""),
        (2001, 3001, 0, ""),
        (2001, 3002, 50, "it has 3002 rules, 50 % more than the 2001 before; 50 % are allowed at once"),
        (100_000, 149_000, 50, ""),
        (100_000, 150_001, 50, "it has 150001 rules, 50 % more than the 100000 before; 50 % are allowed at once"),
        (usize::MAX, 0, 50, "it has 0 rules, "),
    ] {
        let found = change_too_large(before, after, percent).unwrap_or_default();
        let is_right = if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) };
        assert!(is_right, "{before} {after} {percent}: {found:?}, not {expected:?}");
    }
}
