//! Response policy zones: their own order among themselves, and beside other lists.

use super::*;

/// A zone that begins on line 2 with these records, whatever they are.
macro_rules! zone {
    ($records:literal) => {
        concat!("$TTL 60\n", $records, "\n")
    };
}

/// Lists of one program, a query, its verdict.
const CASES: [(&[&str], &str, &str); 30] = [
    (&[zone!("a.test CNAME .")], "a.test", "block p0/s:2"),
    (&[zone!("a.test CNAME .")], "x.a.test", "pass"),
    (&[zone!("*.a.test CNAME .")], "a.test", "pass"),
    (&[zone!("*.a.test CNAME .")], "y.x.a.test", "block p0/s:2"),
    (&[zone!("a.test CNAME rpz-passthru.")], "a.test", "except p0/s:2"),
    (&[zone!("a.test CNAME *.")], "good.test cname:a.test", "block p0/s:2"),
    // Inside a zone the name that says most decides, passthru or not.
    (&[zone!("*.test CNAME .\na.test CNAME rpz-passthru.")], "a.test", "except p0/s:3"),
    (&[zone!("*.test CNAME rpz-passthru.\na.test CNAME .")], "a.test", "block p0/s:3"),
    (&[zone!("*.test CNAME rpz-passthru.\n*.a.test CNAME .")], "x.a.test", "block p0/s:3"),
    (
        &[zone!("16.0.0.0.192.rpz-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME rpz-passthru.")],
        "x.test a:192.0.2.1",
        "except p0/s:3",
    ),
    // The first zone with a match decides, however broad.
    (&[zone!("*.test CNAME ."), zone!("a.test CNAME rpz-passthru.")], "a.test", "block p0/s:2"),
    (&[zone!("*.test CNAME rpz-passthru."), zone!("a.test CNAME .")], "a.test", "except p0/s:2"),
    (&[zone!("b.test CNAME ."), zone!("a.test CNAME .")], "a.test", "block p0/t:2"),
    // In a zone: client, name, address, name server's name, name server's address.
    (&[zone!("a.test CNAME rpz-passthru.\n24.0.2.0.192.rpz-client-ip CNAME .")], "a.test", "block p0/s:3"),
    (&[zone!("a.test CNAME .\n24.0.2.0.192.rpz-client-ip CNAME rpz-passthru.")], "a.test", "except p0/s:3"),
    (
        &[zone!("32.1.100.51.198.rpz-ip CNAME .\nb.test CNAME rpz-passthru.")],
        "a.test cname:b.test a:198.51.100.1",
        "except p0/s:3",
    ),
    (
        &[zone!("ns.test.rpz-nsdname CNAME .\n32.1.100.51.198.rpz-ip CNAME rpz-passthru.")],
        "a.test ns:ns.test a:198.51.100.1",
        "except p0/s:3",
    ),
    (
        &[zone!("32.1.100.51.198.rpz-nsip CNAME .\nns.test.rpz-nsdname CNAME rpz-passthru.")],
        "a.test nsip:198.51.100.1 ns:ns.test",
        "except p0/s:3",
    ),
    (
        &[zone!("32.1.100.51.198.rpz-nsip CNAME rpz-passthru.\n32.1.100.51.198.rpz-ip CNAME .")],
        "a.test nsip:198.51.100.1 a:198.51.100.1",
        "block p0/s:3",
    ),
    // The order of zones goes before that of triggers, across all of an answer.
    (
        &[zone!("32.1.100.51.198.rpz-nsip CNAME rpz-passthru."), zone!("b.test CNAME .")],
        "a.test cname:b.test nsip:198.51.100.1",
        "except p0/s:2",
    ),
    (
        &[zone!("32.1.100.51.198.rpz-ip CNAME ."), zone!("b.test CNAME rpz-passthru.")],
        "a.test cname:b.test a:198.51.100.1",
        "block p0/s:2",
    ),
    (
        &[zone!("b.test CNAME ."), zone!("c.test CNAME rpz-passthru.")],
        "a.test cname:c.test cname:b.test",
        "block p0/s:2",
    ),
    (
        &[zone!("b.test CNAME rpz-passthru."), zone!("c.test CNAME .")],
        "a.test cname:c.test cname:b.test",
        "except p0/s:2",
    ),
    // Let pass on the question, all passes.
    (&[zone!("a.test CNAME rpz-passthru."), zone!("b.test CNAME .")], "a.test cname:b.test", "except p0/s:2"),
    // Beside other lists it counts as the exception or block that it is.
    (&["a.test", zone!("a.test CNAME rpz-passthru.")], "a.test", "except p0/t:2"),
    (&[zone!("a.test CNAME ."), "@test"], "a.test", "except p0/t:2"),
    (&[zone!("a.test CNAME rpz-passthru."), "||a.test^$important"], "a.test", "block p0/t:2"),
    (&["a.test", zone!("a.test CNAME .")], "a.test", "block p0/t:2"),
    (&["b.test", zone!("b.test CNAME rpz-passthru.")], "a.test cname:b.test", "except p0/t:2"),
    (&[zone!("b.test CNAME ."), "@b.test"], "a.test cname:b.test", "except p0/t:2"),
];

#[test]
fn zones_keep_their_order() {
    for (lists, asked, expected) in CASES {
        assert_eq!(decide(&Setup::lists(lists).build(), asked), expected, "{lists:?} {asked}");
    }
}

#[test]
fn tcp_only_passes_over_tcp() {
    let policy = Setup::of(zone!("a.test CNAME rpz-tcp-only.\nb.test CNAME .")).build();
    let over_tcp = |asked| decide_for(&policy, asked, |asking| asking.client.tcp = true);
    assert_eq!(decide(&policy, "a.test"), "block p0/s:2");
    assert_eq!(over_tcp("a.test"), "except p0/s:2");
    assert_eq!(decide(&policy, "x.test cname:a.test"), "block p0/s:2");
    assert_eq!(over_tcp("x.test cname:a.test"), "except p0/s:2");
    assert_eq!((decide(&policy, "b.test").as_str(), over_tcp("b.test").as_str()), ("block p0/s:3", "block p0/s:3"));
}

#[test]
fn a_zone_in_shadow_decides_nothing() {
    let shadow = Some(Mode::Shadow);
    let lists = vec![(0, "s", shadow, zone!("a.test CNAME rpz-passthru.")), (0, "t", None, zone!("a.test CNAME ."))];
    assert_eq!(decide(&Setup { lists, ..Setup::default() }.build(), "a.test"), "block p0/t:2");
    let lists = vec![(0, "s", shadow, zone!("a.test CNAME .")), (0, "t", None, zone!("a.test CNAME rpz-passthru."))];
    assert_eq!(decide(&Setup { lists, ..Setup::default() }.build(), "a.test"), "would-block p0/s:2");
    // Zones of different programs don't know of each other.
    let lists = vec![(0, "s", None, zone!("a.test CNAME rpz-passthru.")), (1, "t", None, zone!("a.test CNAME ."))];
    let programs = vec![(Mode::Enforce, vec![]), (Mode::Enforce, vec![])];
    assert_eq!(decide(&Setup { lists, programs, ..Setup::default() }.build(), "a.test"), "except p0/s:2, block p1/t:2");
}
