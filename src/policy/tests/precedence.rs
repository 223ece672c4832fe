//! Which rule of a program decides.

use super::*;

/// Rules of one list in an enforcing program, a query, its verdict.
type Case = (&'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    for (rules, asked, expected) in cases {
        assert_eq!(decide(&Setup::of(rules).build(), asked), *expected, "{rules:?} {asked}");
    }
}

#[test]
fn names() {
    check(&[
        ("a.test", "a.test", "block p0/s:2"),
        ("a.test", "x.y.a.test", "block p0/s:2"),
        ("a.test", "xa.test", "pass"),
        ("a.test", "test", "pass"),
        ("example.com", "notexample.com", "pass"),
        ("=a.test", "a.test", "block p0/s:2"),
        ("=a.test", "x.a.test", "pass"),
        ("*.a.test", "a.test", "pass"),
        ("*.a.test", "x.a.test", "block p0/s:2"),
        ("*", "a.test", "block p0/s:2"),
        ("*", ".", "block p0/s:2"),
        ("||a*.test^", "ab.test", "block p0/s:2"),
        ("/^a[0-9]/", "a1.test", "block p0/s:2"),
    ]);
}

#[test]
fn important_exception_important_block_exception_block() {
    check(&[
        // An exception beats a block, however broad the one and narrow the other.
        ("=x.a.test\n@a.test", "x.a.test", "except p0/s:3"),
        ("a.test\n@x.a.test", "x.a.test", "except p0/s:3"),
        ("a.test\n@x.a.test", "y.a.test", "block p0/s:2"),
        ("=a.test\n@@/test$/", "a.test", "except p0/s:3"),
        ("=a.test\n@*", "a.test", "except p0/s:3"),
        ("||a.test^$important\n@a.test", "a.test", "block p0/s:2"),
        ("||a.test^$important\n@=x.a.test", "x.a.test", "block p0/s:2"),
        ("||a.test^$important\n@@||a.test^$important", "a.test", "except p0/s:3"),
        ("@@||a.test^$important\n|x.a.test^$important", "x.a.test", "except p0/s:2"),
        ("@@||a.test^$important\na.test", "a.test", "except p0/s:2"),
        ("@a.test\n@@||a.test^$important", "a.test", "except p0/s:3"),
        // An important rule explains, however broad.
        ("=x.a.test\n||a.test^$important", "x.a.test", "block p0/s:3"),
        // A list's own answer is a block.
        ("||a.test^$dnsrewrite=192.0.2.1\n@a.test", "a.test", "except p0/s:3"),
        ("||a.test^$dnsrewrite=192.0.2.1\na.test", "a.test", "block p0/s:2"),
        ("a.test\n||a.test^$dnsrewrite=192.0.2.1", "a.test", "block p0/s:2"),
        ("a.test\n||a.test^$important,dnsrewrite=192.0.2.1", "a.test", "block p0/s:3"),
        // An exception by itself is told of.
        ("@a.test", "x.a.test", "except p0/s:2"),
    ]);
}

#[test]
fn the_most_specific_explains() {
    check(&[
        ("a.test\n=x.a.test\nx.a.test", "x.a.test", "block p0/s:3"),
        ("a.test\nx.a.test", "z.x.a.test", "block p0/s:3"),
        ("*.a.test\nx.a.test", "z.x.a.test", "block p0/s:3"),
        ("test\n*.a.test", "x.a.test", "block p0/s:3"),
        ("||a*.test^\ntest", "a.test", "block p0/s:3"),
        ("/^a/\n*", "a.test", "block p0/s:3"),
        ("@test\n@a.test", "a.test", "except p0/s:3"),
        ("192.0.0.0/16\n192.0.2.0/24\n0.0.0.0/0", "x.test a:192.0.2.1", "block p0/s:3"),
        ("!198.51.100.0/24\n8.0.0.0/7", "x.test a:8.8.8.8", "block p0/s:3"),
        ("2001:db8::/32\n2001:db8::1", "x.test a:2001:db8::1", "block p0/s:3"),
        ("client:192.0.0.0/16\nclient:192.0.2.9", "x.test", "block p0/s:3"),
        ("ns:test\nns:=ns.test", "x.test ns:ns.test", "block p0/s:3"),
        // Then the line.
        ("a.test\na.test", "a.test", "block p0/s:2"),
        ("/^a/\n||a*t^", "a.test", "block p0/s:2"),
        ("||a*t^\n/^a/", "a.test", "block p0/s:2"),
    ]);
    for (first, second, expected) in [
        ("a.test", "a.test", "block p0/s:2"),
        ("test\na.test", "a.test", "block p0/s:3"),
        ("a.test", "=a.test", "block p0/t:2"),
        ("test", "a.test", "block p0/t:2"),
        ("/a/", "*", "block p0/t:2"),
        ("=a.test", "@test", "except p0/t:2"),
        ("@a.test", "||test^$important", "block p0/t:2"),
    ] {
        assert_eq!(decide(&Setup::lists(&[first, second]).build(), "a.test"), expected, "{first:?} {second:?}");
    }
}

#[test]
fn aliases_are_judged_like_the_name_asked() {
    check(&[
        ("bad.test", "good.test cname:cdn.bad.test", "block p0/s:2"),
        ("bad.test", "good.test dname:cdn.bad.test", "block p0/s:2"),
        ("bad.test", "good.test svcb:cdn.bad.test", "block p0/s:2"),
        ("bad.test", "good.test cname:mid.test cname:bad.test", "block p0/s:2"),
        ("bad.test", "good.test cname:mid.test", "pass"),
        ("/^bad/", "good.test cname:bad.test", "block p0/s:2"),
        // The first link that is blocked explains.
        ("worse.test\nbad.test", "good.test cname:bad.test cname:worse.test", "block p0/s:3"),
        // On the name asked, an exception passes all that follows; on an alias, that alias alone.
        ("bad.test\n@good.test", "good.test cname:bad.test", "except p0/s:3"),
        ("bad.test\n@@/^good/", "good.test cname:bad.test", "except p0/s:3"),
        ("bad.test\n@ok.bad.test", "good.test cname:ok.bad.test", "except p0/s:3"),
        ("bad.test\n@ok.bad.test", "good.test cname:ok.bad.test cname:worse.bad.test", "block p0/s:2"),
        ("bad.test\n@ok.bad.test", "good.test cname:worse.bad.test cname:ok.bad.test", "block p0/s:2"),
        // Not even what is important further down stops an exception on the name asked.
        ("||bad.test^$important\n@good.test", "good.test cname:bad.test", "except p0/s:3"),
        // But where both match the name asked, the important block decides, and no exception passes anything.
        ("||good.test^$important\n@good.test", "good.test cname:x.test", "block p0/s:2"),
    ]);
}

#[test]
fn addresses_and_name_servers() {
    check(&[
        ("192.0.2.0/24", "x.test a:192.0.2.1", "block p0/s:2"),
        ("192.0.2.0/24", "x.test a:198.51.100.1 a:192.0.2.1", "block p0/s:2"),
        ("192.0.2.0/24", "x.test hint:192.0.2.1", "block p0/s:2"),
        ("192.0.2.0/24", "x.test a:192.0.3.1", "pass"),
        ("192.0.2.1", "x.test a:::ffff:192.0.2.1", "block p0/s:2"),
        ("!192.0.2.0/24", "x.test a:198.51.100.1", "block p0/s:2"),
        ("!192.0.2.0/24", "x.test a:10.0.0.1", "pass"),
        ("ns:bad.test", "x.test ns:ns1.bad.test", "block p0/s:2"),
        ("ns:=bad.test", "x.test ns:ns1.bad.test", "pass"),
        ("ns:*.bad.test", "x.test ns:bad.test", "pass"),
        ("ns:192.0.2.0/24", "x.test nsip:192.0.2.53", "block p0/s:2"),
        // Each kind of rule looks at its own.
        ("bad.test", "x.test ns:bad.test", "pass"),
        ("/bad/", "x.test ns:bad.test", "pass"),
        ("ns:bad.test", "bad.test cname:x.bad.test", "pass"),
        ("192.0.2.0/24", "x.test nsip:192.0.2.53", "pass"),
        ("ns:192.0.2.0/24", "x.test a:192.0.2.1 hint:192.0.2.1", "pass"),
        ("client:192.0.2.0/24", "x.test", "block p0/s:2"),
        ("client:198.51.100.0/24", "x.test a:198.51.100.1 nsip:198.51.100.1", "pass"),
        // An exception on the name asked passes them; one on an alias doesn't; their own pass themselves alone.
        ("192.0.2.0/24\n@good.test", "good.test a:192.0.2.1", "except p0/s:3"),
        ("ns:bad.test\n@good.test", "good.test ns:bad.test", "except p0/s:3"),
        ("ns:192.0.2.0/24\n@good.test", "good.test nsip:192.0.2.53", "except p0/s:3"),
        ("192.0.2.0/24\n@mid.test", "good.test cname:mid.test a:192.0.2.1", "block p0/s:2"),
        ("192.0.0.0/16\n@192.0.2.0/24", "x.test a:192.0.2.1", "except p0/s:3"),
        ("192.0.0.0/16\n@192.0.2.0/24", "x.test a:192.0.2.1 a:192.0.3.1", "block p0/s:2"),
        ("192.0.2.0/24\n@192.0.0.0/16", "x.test a:192.0.2.1", "except p0/s:3"),
        ("bad.test\n@192.0.2.0/24", "x.test cname:bad.test a:192.0.2.1", "block p0/s:2"),
        ("ns:bad.test\n@ns:ns1.bad.test", "x.test ns:ns1.bad.test", "except p0/s:3"),
        ("ns:bad.test\n@ns:ns1.bad.test", "x.test ns:ns1.bad.test ns:ns2.bad.test", "block p0/s:2"),
        ("bad.test\n@client:192.0.2.0/24", "bad.test", "except p0/s:3"),
        ("bad.test\n@client:192.0.2.0/24", "good.test cname:bad.test", "except p0/s:3"),
    ]);
}

#[test]
fn a_block_says_whether_it_depends_on_the_type() {
    let rules = "bad.test\n192.0.2.0/24\nns:ns.test\nns:198.51.100.0/24\n||typed.test^$dnstype=A";
    let policy = Setup::of(rules).build();
    for (asked, expected) in [
        ("bad.test", false),
        ("x.test cname:bad.test", false),
        ("x.test dname:bad.test", false),
        ("x.test svcb:bad.test", true),
        ("x.test a:192.0.2.1", true),
        ("x.test hint:192.0.2.1", true),
        ("x.test ns:ns.test", false),
        ("x.test nsip:198.51.100.1", false),
        ("typed.test", true),
        ("x.test cname:typed.test", true),
    ] {
        let (name, links) = query(asked);
        let asking = asking(&name);
        let verdict = policy.on_answer(&policy.on_question(&asking), &asking, &links);
        assert_eq!(verdict.block().unwrap().cause.by_type, expected, "{asked}");
    }
}

#[test]
fn a_rule_holds_under_its_conditions() {
    let on = |rules, asked, change: &dyn Fn(&mut Asking<'_>)| {
        let groups = vec![GroupSpec { tags: vec!["kids".into()], ..group("nursery", &[], &[]) }];
        decide_for(&Setup { groups, ..Setup::of(rules) }.build(), asked, change)
    };
    let nothing = |_: &mut Asking<'_>| {};
    let elsewhere = |asking: &mut Asking<'_>| asking.client.address = "198.51.100.7".parse().unwrap();
    let mapped = |asking: &mut Asking<'_>| asking.client.address = "::ffff:198.51.100.7".parse().unwrap();
    let laptop = |asking: &mut Asking<'_>| asking.client.id = Some("laptop");
    let aaaa = |asking: &mut Asking<'_>| asking.rr_type = RrType::AAAA;
    /// Rules, name asked, what is changed of the asking, what comes of it.
    type Case<'a> = (&'static str, &'a str, &'a dyn Fn(&mut Asking<'_>), &'a str);
    let cases: [Case<'_>; 34] = [
        ("||a.test^$client=192.0.2.9", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$client=192.0.2.0/24", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$client=192.0.2.0/24", "a.test", &elsewhere, "pass"),
        ("||a.test^$client=~192.0.2.9", "a.test", &nothing, "pass"),
        ("||a.test^$client=~192.0.2.9", "a.test", &elsewhere, "block p0/s:2"),
        ("||a.test^$client=192.0.2.0/24|~192.0.2.9", "a.test", &nothing, "pass"),
        ("||a.test^$client=198.51.100.0/24", "a.test", &mapped, "block p0/s:2"),
        ("||a.test^$client=laptop", "a.test", &laptop, "block p0/s:2"),
        ("||a.test^$client=laptop", "a.test", &nothing, "pass"),
        ("||a.test^$client=laptop|192.0.2.9", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$client=nursery", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$client=nursery", "a.test", &elsewhere, "pass"),
        ("||a.test^$client=~nursery", "a.test", &elsewhere, "block p0/s:2"),
        ("||a.test^$ctag=kids", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$ctag=kids", "a.test", &elsewhere, "pass"),
        ("||a.test^$ctag=~kids", "a.test", &nothing, "pass"),
        ("||a.test^$ctag=~kids", "a.test", &elsewhere, "block p0/s:2"),
        ("||a.test^$ctag=parents|kids", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$dnstype=A", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$dnstype=A", "a.test", &aaaa, "pass"),
        ("||a.test^$dnstype=~A", "a.test", &nothing, "pass"),
        ("||a.test^$dnstype=~A", "a.test", &aaaa, "block p0/s:2"),
        ("||a.test^$dnstype=AAAA|HTTPS", "x.test cname:a.test", &aaaa, "block p0/s:2"),
        ("||a.test^$denyallow=ok.a.test", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$denyallow=ok.a.test", "x.ok.a.test", &nothing, "pass"),
        ("||a.test^$denyallow=ok.a.test", "xok.a.test", &nothing, "block p0/s:2"),
        ("||a.test^$denyallow=ok.a.test", "x.test cname:ok.a.test", &nothing, "pass"),
        ("*$denyallow=test|example", "a.test", &nothing, "pass"),
        ("*$denyallow=test|example", "a.zip", &nothing, "block p0/s:2"),
        // A rule that doesn't hold is as if it weren't there.
        ("a.test\n@@||a.test^$dnstype=AAAA", "a.test", &nothing, "block p0/s:2"),
        ("a.test\n@@||a.test^$dnstype=AAAA", "a.test", &aaaa, "except p0/s:3"),
        ("a.test\n|a.test^$client=10.0.0.1", "a.test", &nothing, "block p0/s:2"),
        ("||a.test^$important,client=10.0.0.1\n@a.test", "a.test", &nothing, "except p0/s:3"),
        ("||192.0.2.0/24^$dnstype=AAAA", "x.test a:192.0.2.1", &nothing, "pass"),
    ];
    for (rules, asked, change, expected) in cases {
        assert_eq!(on(rules, asked, change), expected, "{rules:?} {asked}");
    }
}

#[test]
fn badfilter_takes_a_rule_back_wherever_in_its_program() {
    for (first, second, expected) in [
        ("||a.test^\n||a.test^$badfilter", "b.test", "pass"),
        ("||a.test^", "||a.test^$badfilter\nb.test", "pass"),
        ("||a.test^$badfilter\nb.test", "a.test", "pass"),
        ("||a.test^$important", "||a.test^$important,badfilter\nb.test", "pass"),
        ("/^a/", "/^a/$badfilter\nb.test", "pass"),
        ("a.test\n@a.test", "@@||a.test^$badfilter\nb.test", "block p0/s:2"),
        // Only the very same rule.
        ("||a.test^$important", "||a.test^$badfilter\nb.test", "block p0/s:2"),
        ("=a.test", "||a.test^$badfilter\nb.test", "block p0/s:2"),
        ("a.test", "@@||a.test^$badfilter\nb.test", "block p0/s:2"),
        ("test", "||a.test^$badfilter\nb.test", "block p0/s:2"),
    ] {
        let policy = Setup::lists(&[first, second]).build();
        assert_eq!(decide(&policy, "a.test"), expected, "{first:?} {second:?}");
    }
    // Not in another program.
    let lists = vec![(0, "s", None, "a.test"), (1, "t", None, "||a.test^$badfilter\nb.test")];
    let programs = vec![(Mode::Enforce, vec![]), (Mode::Enforce, vec![])];
    assert_eq!(decide(&Setup { lists, programs, ..Setup::default() }.build(), "a.test"), "block p0/s:2");
}

#[test]
fn badfilter_of_a_list_that_does_less_takes_nothing_from_one_that_does_more() {
    let taking = |own, other| {
        let lists = vec![(0, "s", own, "a.test"), (0, "t", other, "||a.test^$badfilter\nb.test")];
        decide(&Setup { lists, ..Setup::default() }.build(), "a.test")
    };
    let (shadow, off) = (Some(Mode::Shadow), Some(Mode::Off));
    assert_eq!(taking(None, shadow), "block p0/s:2", "shadow never changes an answer");
    assert_eq!(taking(None, off), "block p0/s:2", "off means it isn't there");
    assert_eq!(taking(shadow, off), "would-block p0/s:2");
    assert_eq!(taking(shadow, shadow), "pass");
    assert_eq!(taking(shadow, None), "pass");
    // In some group it does less, so it takes nothing back.
    let lists = vec![(0, "s", None, "a.test"), (0, "t", None, "||a.test^$badfilter\nb.test")];
    let groups = vec![group("g", &[], &[("t", Mode::Off)])];
    assert_eq!(decide(&Setup { lists, groups, ..Setup::default() }.build(), "a.test"), "block p0/s:2");
}
