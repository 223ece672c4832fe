//! Tests of `rpz`: tables of one-liners, and zones against a naive twin.

#[path = "rpz_tests/naive.rs"]
mod naive;

use super::*;
use crate::{
    dns::{Class, Record},
    policy::RuleSet,
};
use proptest::prelude::*;

/// What came of a text: `line: rule` or `line! reason`.
#[derive(Default)]
struct Told(Vec<String>);

impl Sink for Told {
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32) {
        self.rule(Rule::on_name(effect, scope, *name, line));
    }

    fn rule(&mut self, rule: Rule) {
        self.0.push(format!("{}: {}", rule.line, shown(&rule)));
    }

    fn disable(&mut self, _rule: Rule) {
        unreachable!("zones take nothing back");
    }

    fn skip(&mut self, line: u32, reason: &'static str, _detail: String) {
        self.0.push(format!("{line}! {reason}"));
    }
}

fn shown(rule: &Rule) -> String {
    let matcher = match &rule.matcher {
        Matcher::Name { scope, name } => format!("{}{name}", scope.prefix()),
        Matcher::Address(Place::Net(net)) => format!("ip {net}"),
        Matcher::Client(net) => format!("client {net}"),
        Matcher::NsAddress(Place::Net(net)) => format!("nsip {net}"),
        Matcher::NsName { scope, name } => format!("ns {}{name}", scope.prefix()),
        other => panic!("no zone has {other:?}"),
    };
    let action = match (&rule.effect, &rule.action) {
        (Effect::Except, Action::Given) => "pass".to_owned(),
        (Effect::Block, Action::Code(code)) => code.to_string(),
        (Effect::Block, Action::NoData) => "NODATA".to_owned(),
        (Effect::Block, Action::Drop) => "drop".to_owned(),
        (Effect::Block, Action::TcpOnly) => "TCP".to_owned(),
        (Effect::Block, Action::Rewrite(data)) => shown_answer(data),
        other => panic!("no zone has {other:?}"),
    };
    format!("{matcher} {action}")
}

fn shown_answer(data: &LocalData) -> String {
    let alias = data.alias.iter().map(|alias| match alias {
        AliasTarget::Name(name) => format!("-> {name}"),
        AliasTarget::Below(name) => format!("-> *.{name}"),
    });
    let records = data.records.iter().map(|LocalRecord { rr_type, ttl, data }| {
        let record = Record { owner: Name::ROOT, rr_type: *rr_type, class: Class::IN, ttl: 7, data: data.clone() };
        let ttl = ttl.map_or("-".to_owned(), |ttl| ttl.to_string());
        record.to_string().replace(".\t7\tIN\t", &format!("{ttl} ")).replace('\t', " ")
    });
    alias.chain(records).collect::<Vec<_>>().join(", ")
}

fn read_lines<'a>(lines: impl Iterator<Item = &'a [u8]>, sink: &mut dyn Sink) -> Option<Name> {
    let mut reader = RpzReader::new();
    lines.zip(1..).for_each(|(line, number)| reader.line(line, number, sink));
    reader.finish(sink);
    reader.zone()
}

fn read(text: &str) -> Vec<String> {
    let mut told = Told::default();
    read_lines(text.split('\n').map(str::as_bytes), &mut told);
    told.0
}

/// What one record comes to in the zone `rpz.x`, its line left out.
fn in_zone(record: &str) -> String {
    let all = read(&format!("$TTL 60\n$ORIGIN rpz.x.\n@ SOA l. r.l. 1 2 3 4 5\n{record}"));
    let texts: Vec<&str> = all.iter().map(|told| &told[told.find([':', '!']).unwrap()..]).collect();
    texts.join(" | ").trim_start_matches(": ").to_owned()
}

#[test]
fn one_record_each() {
    const OUTSIDE: &str = "! outside the zone";
    const NO_ADDRESS: &str = "! not an address";
    const NO_LENGTH: &str = "! not a prefix length";
    const TOO_LONG: &str = "! the prefix is longer than the address";
    const HOST_BITS: &str = "! bits of the address are set behind its prefix";
    const MAPPED: &str = "! an IPv4 address is written as IPv6";
    const STAR: &str = "! `*` may stand only as the first label";
    const NO_ANSWER: &str = "! no record of this type can be an answer";
    const APEX: &str = "! records of the zone's own name are no rules";
    const NO_ACTION: &str = "! no known action";
    for (record, expected) in [
        // Names
        ("a.b CNAME .", "=a.b NXDOMAIN"),
        ("a.b.rpz.x. CNAME .", "=a.b NXDOMAIN"),
        ("A.B.RPZ.x. cname .", "=a.b NXDOMAIN"),
        ("*.a.b CNAME .", "*.a.b NXDOMAIN"),
        ("* CNAME .", "*.. NXDOMAIN"),
        ("com CNAME .", "=com NXDOMAIN"),
        ("_a.b-- CNAME .", "=_a.b-- NXDOMAIN"),
        (r"a\.b.c CNAME .", r"=a\.b.c NXDOMAIN"),
        ("a*.b CNAME .", "=a*.b NXDOMAIN"),
        ("a.*.b CNAME .", STAR),
        ("*.*.b CNAME .", STAR),
        ("*.* CNAME .", STAR),
        ("a.* CNAME .", STAR),
        ("rpz.a CNAME .", "=rpz.a NXDOMAIN"),
        ("rpz-ip.a CNAME .", "=rpz-ip.a NXDOMAIN"),
        ("a.rpz-foo CNAME .", "! no known kind of trigger"),
        ("rpz-foo CNAME .", "! no known kind of trigger"),
        ("a.b CNAME . ; why", "=a.b NXDOMAIN"),
        ("a.b 300 IN CNAME .", "=a.b NXDOMAIN"),
        ("a.b IN 300 CNAME .\r", "=a.b NXDOMAIN"),
        ("a.b\tCNAME\t.", "=a.b NXDOMAIN"),
        ("a.b ( CNAME\n . )", "=a.b NXDOMAIN"),
        ("; a.b CNAME .", ""),
        ("", ""),
        // Out of place
        ("a.b. CNAME .", OUTSIDE),
        ("rpz-x. CNAME .", OUTSIDE),
        ("arpz.x. CNAME .", OUTSIDE),
        ("x. CNAME .", OUTSIDE),
        (". CNAME .", OUTSIDE),
        ("@ CNAME .", APEX),
        ("@ TXT a", APEX),
        ("rpz.x. A 192.0.2.1", APEX),
        ("@ NS localhost.", ""),
        ("rpz.x. NS localhost.", ""),
        ("@ SOA l. r.l. 2 2 3 4 5", ""),
        ("b. SOA l. r.l. 2 2 3 4 5", OUTSIDE),
        ("b. NS l.", OUTSIDE),
        ("a.b NS l.", NO_ANSWER),
        ("a.b SOA l. r.l. 2 2 3 4 5", NO_ANSWER),
        ("a.b DNAME l.", NO_ANSWER),
        (r"a.b TYPE250 \# 1 00", "! the data can't be read"),
        (r"a.b TYPE41 \# 1 00", "! the data can't be read"),
        (r"a.b TYPE0 \# 1 00", "! the data can't be read"),
        ("* CNAME *.", "*.. NODATA"),
        (r"a.b TYPE47 \# 0", ""),
        (r"a.b TYPE25 \# 1 00", ""),
        (r"@ TYPE63 \# 1 00", ""),
        (r"b. TYPE32769 \# 1 00", ""),
        ("a.b DS 1 8 2 00", ""),
        ("a.b RRSIG A 8 2 300 20260101000000 20250101000000 1 x. (\n AAAA\n BBBB )\nb CNAME .", "=b NXDOMAIN"),
        ("@ DNSKEY 257 3 13 AAAA", ""),
        ("a.b NSEC b. A RRSIG", ""),
        (r"a.b DS \# 36 000108020000000000000000000000000000000000000000000000000000000000000000", ""),
        // IPv4
        ("32.1.2.0.192.rpz-ip CNAME .", "ip 192.0.2.1/32 NXDOMAIN"),
        ("24.0.2.0.192.rpz-ip CNAME .", "ip 192.0.2.0/24 NXDOMAIN"),
        ("8.0.0.0.10.RPZ-IP CNAME *.", "ip 10.0.0.0/8 NODATA"),
        ("1.0.0.0.128.rpz-ip CNAME .", "ip 128.0.0.0/1 NXDOMAIN"),
        ("024.000.002.000.192.rpz-ip CNAME .", "ip 192.0.2.0/24 NXDOMAIN"),
        ("24.0.2.0.192.rpz-client-ip CNAME rpz-drop.", "client 192.0.2.0/24 drop"),
        ("24.0.2.0.192.rpz-nsip CNAME rpz-passthru.", "nsip 192.0.2.0/24 pass"),
        ("24.1.2.0.192.rpz-ip CNAME .", HOST_BITS),
        ("31.1.2.0.192.rpz-nsip CNAME .", HOST_BITS),
        ("1.0.0.0.127.rpz-client-ip CNAME .", HOST_BITS),
        ("33.1.2.0.192.rpz-ip CNAME .", TOO_LONG),
        ("999.1.2.0.192.rpz-ip CNAME .", TOO_LONG),
        ("288.1.2.0.192.rpz-ip CNAME .", TOO_LONG),
        ("0.0.0.0.0.rpz-ip CNAME .", NO_LENGTH),
        ("0024.0.2.0.192.rpz-ip CNAME .", NO_LENGTH),
        ("+24.0.2.0.192.rpz-ip CNAME .", NO_LENGTH),
        ("x.0.2.0.192.rpz-ip CNAME .", NO_LENGTH),
        ("*.0.2.0.192.rpz-ip CNAME .", NO_LENGTH),
        ("24.0.2.0.256.rpz-ip CNAME .", NO_ADDRESS),
        ("24.0.2.0.c0.rpz-ip CNAME .", NO_ADDRESS),
        ("24.0.2.0.-1.rpz-ip CNAME .", NO_ADDRESS),
        ("24.2.0.192.rpz-ip CNAME .", NO_ADDRESS),
        ("24.0.0.2.0.192.rpz-ip CNAME .", NO_ADDRESS),
        (r"24.0.2.0.\255.rpz-ip CNAME .", NO_ADDRESS),
        ("24.rpz-ip CNAME .", NO_ADDRESS),
        ("rpz-ip CNAME .", "! no address stands before it"),
        ("rpz-client-ip CNAME .", "! no address stands before it"),
        ("*.rpz-nsip CNAME .", NO_ADDRESS),
        // IPv6
        ("128.8.7.6.5.4.3.2.1.rpz-ip CNAME .", "ip 1:2:3:4:5:6:7:8/128 NXDOMAIN"),
        ("128.1.zz.db8.2001.rpz-ip CNAME .", "ip 2001:db8::1/128 NXDOMAIN"),
        ("48.zz.1.db8.2001.rpz-ip CNAME .", "ip 2001:db8:1::/48 NXDOMAIN"),
        ("32.zz.DB8.2001.rpz-nsip CNAME .", "nsip 2001:db8::/32 NXDOMAIN"),
        ("32.0.zz.db8.2001.rpz-ip CNAME .", "ip 2001:db8::/32 NXDOMAIN"),
        ("64.0.0.0.0.4.3.2.1.rpz-client-ip CNAME .", "client 1:2:3:4::/64 NXDOMAIN"),
        ("128.zz.rpz-ip CNAME .", "ip ::/128 NXDOMAIN"),
        ("128.1.zz.rpz-ip CNAME .", "ip ::1/128 NXDOMAIN"),
        ("128.8.7.6.5.4.3.2.zz.rpz-ip CNAME .", "ip 0:2:3:4:5:6:7:8/128 NXDOMAIN"),
        ("128.8.7.6.zz.4.3.2.1.rpz-ip CNAME .", "ip 1:2:3:4:0:6:7:8/128 NXDOMAIN"),
        ("112.zz.7.6.5.4.3.2.1.rpz-ip CNAME .", "ip 1:2:3:4:5:6:7:0/112 NXDOMAIN"),
        ("127.ffff.zz.fe80.rpz-ip CNAME .", HOST_BITS),
        ("3.zz.2001.rpz-ip CNAME .", HOST_BITS),
        ("3.zz.2000.rpz-ip CNAME .", "ip 2000::/3 NXDOMAIN"),
        ("129.zz.rpz-ip CNAME .", TOO_LONG),
        ("0.zz.rpz-ip CNAME .", NO_LENGTH),
        ("128.zz.1.zz.rpz-ip CNAME .", NO_ADDRESS),
        ("128.8.7.6.5.zz.4.3.2.1.rpz-ip CNAME .", NO_ADDRESS),
        ("128.9.8.7.6.5.4.3.2.1.rpz-ip CNAME .", NO_ADDRESS),
        ("128.1.zz.db8g.2001.rpz-ip CNAME .", NO_ADDRESS),
        ("128.1.zz.0db80.2001.rpz-ip CNAME .", NO_ADDRESS),
        ("128.7.6.5.4.3.2.1.rpz-ip CNAME .", NO_ADDRESS),
        ("zz.rpz-ip CNAME .", NO_ADDRESS),
        ("120.c000:200.zz.ffff.rpz-ip CNAME .", NO_ADDRESS),
        ("120.200.c000.ffff.zz.rpz-ip CNAME .", MAPPED),
        ("96.0.0.ffff.zz.rpz-ip CNAME .", MAPPED),
        ("96.zz.ffff.0.0.0.0.0.rpz-client-ip CNAME .", MAPPED),
        ("95.0.0.fffe.zz.rpz-ip CNAME .", "ip ::fffe:0:0/95 NXDOMAIN"),
        ("80.zz.ffff.0.0.0.0.0.rpz-ip CNAME .", HOST_BITS),
        // Names of name servers
        ("ns.a.rpz-nsdname CNAME .", "ns =ns.a NXDOMAIN"),
        ("*.ns.a.rpz-nsdname CNAME rpz-tcp-only.", "ns *.ns.a TCP"),
        ("*.rpz-nsdname CNAME .", "ns *.. NXDOMAIN"),
        ("rpz-nsdname CNAME .", "! no name stands before rpz-nsdname"),
        ("a.*.rpz-nsdname CNAME .", STAR),
        // Actions
        ("a.b CNAME *.", "=a.b NODATA"),
        ("a.b CNAME rpz-passthru.", "=a.b pass"),
        ("a.b CNAME RPZ-PassThru.", "=a.b pass"),
        ("*.a.b CNAME rpz-passthru.", "*.a.b pass"),
        ("a.b CNAME a.b.", "=a.b pass"),
        ("a.b CNAME A.B.", "=a.b pass"),
        ("a.b CNAME a.b", "=a.b pass"),
        ("*.a.b CNAME *.a.b.", "*.a.b pass"),
        ("24.0.2.0.192.rpz-ip CNAME 24.0.2.0.192.rpz-ip.", "ip 192.0.2.0/24 pass"),
        ("24.0.2.0.192.rpz-ip CNAME 24.0.2.0.192.", "ip 192.0.2.0/24 pass"),
        ("24.0.2.0.192.rpz-client-ip CNAME 24.0.2.0.192.", "client 192.0.2.0/24 pass"),
        ("24.0.2.0.192.rpz-ip CNAME 32.0.2.0.192.", "ip 192.0.2.0/24 -> 32.0.2.0.192"),
        ("24.0.2.0.192.rpz-ip CNAME 24.0.2.0.192.rpz-nsip.", NO_ACTION),
        ("ns.a.rpz-nsdname CNAME ns.a.", "ns =ns.a pass"),
        ("a.b CNAME a.", "=a.b -> a"),
        ("a.b CNAME rpz-drop.", "=a.b drop"),
        ("a.b CNAME rpz-tcp-only.", "=a.b TCP"),
        ("a.b CNAME rpz-nxdomain.", NO_ACTION),
        ("a.b CNAME rpz-.", NO_ACTION),
        ("a.b CNAME a.rpz-drop.", NO_ACTION),
        ("a.b CNAME *.rpz-drop.", NO_ACTION),
        ("a.b CNAME rpz-drop", "! an action needs its final dot"),
        ("a.b CNAME rpz-drop.c", "=a.b -> rpz-drop.c.rpz.x"),
        ("a.b CNAME rpz-drop.c.", "=a.b -> rpz-drop.c"),
        ("a.b CNAME c.d.", "=a.b -> c.d"),
        ("a.b CNAME c", "=a.b -> c.rpz.x"),
        ("a.b CNAME @", "=a.b -> rpz.x"),
        ("*.a.b CNAME a.b.", "*.a.b -> a.b"),
        ("a.b CNAME *.a.b.", "=a.b -> *.a.b"),
        ("a.b CNAME *.garden.example.", "=a.b -> *.garden.example"),
        ("*.a.b CNAME *.garden.example.", "*.a.b -> *.garden.example"),
        ("a.b CNAME a.*.b.", "=a.b -> a.*.b"),
        ("24.0.2.0.192.rpz-ip CNAME c.d.", "ip 192.0.2.0/24 -> c.d"),
        ("a.b A 192.0.2.1", "=a.b 60 A 192.0.2.1"),
        ("a.b 5 A 192.0.2.1", "=a.b 5 A 192.0.2.1"),
        ("a.b 1h AAAA 2001:db8::1", "=a.b 3600 AAAA 2001:db8::1"),
        ("a.b TXT \"c d\" e", "=a.b 60 TXT \"c d\" \"e\""),
        ("a.b MX 10 m", "=a.b 60 MX 10 m.rpz.x."),
        ("a.b MX 0 .", "=a.b 60 MX 0 ."),
        ("a.b PTR c.", "=a.b 60 PTR c."),
        ("a.b SRV 1 2 3 c.", "=a.b 60 SRV 1 2 3 c."),
        (r"a.b TYPE65280 \# 2 0102", r"=a.b 60 TYPE65280 \# 2 0102"),
        ("ns.a.rpz-nsdname A 192.0.2.1", "ns =ns.a 60 A 192.0.2.1"),
        ("32.zz.db8.2001.rpz-ip A 192.0.2.1", "ip 2001:db8::/32 60 A 192.0.2.1"),
        // What the reader of zone files refuses
        ("a.b FOO c", "! the type is unknown"),
        ("a.b A 192.0.2.256", "! the data can't be read"),
        ("a..b CNAME .", "! not a name"),
        ("müller.b CNAME .", "! not a name"),
        ("a.b CH CNAME .", "! classes other than IN are not read"),
        ("a.b CNAME", "! the data can't be read"),
        ("$INCLUDE /etc/passwd", "! includes are refused"),
        ("||a.b^", "! the type is missing"),
    ] {
        assert_eq!(in_zone(record), expected, "{record}");
    }
}

#[test]
fn whole_zones() {
    for (text, zone, expected) in [
        ("", None, &[][..]),
        ("; nothing", None, &[]),
        // The origin is the root where nothing else is said.
        ("$TTL 1\n@ ~\nevil.x CNAME .\nevil.y. CNAME .", Some("."), &["3: =evil.x NXDOMAIN", "4: =evil.y NXDOMAIN"]),
        ("rpz.x. ~\nevil.y CNAME .\nevil.z. CNAME .", Some("rpz.x"), &["2: =evil.y NXDOMAIN", "3! outside the zone"]),
        ("$ORIGIN x.\nrpz ~\n$ORIGIN rpz\na CNAME .", Some("rpz.x"), &["4: =a NXDOMAIN"]),
        (
            "$ORIGIN rpz.x.\n@ ~\n$ORIGIN com.rpz.x.\n@ CNAME .\na CNAME .\n$ORIGIN x.\nb CNAME .\nc.rpz CNAME .",
            Some("rpz.x"),
            &["4: =com NXDOMAIN", "5: =a.com NXDOMAIN", "7! outside the zone", "8: =c NXDOMAIN"],
        ),
        ("$ORIGIN rpz-ip.x.\n@ ~\n24.0.2.0.192.rpz-ip CNAME .", Some("rpz-ip.x"), &["3: ip 192.0.2.0/24 NXDOMAIN"]),
        (
            "@ IN SOA l. r.l. ( 1 ; serial\n 2 3\n 4 5 )\n  NS l.\na CNAME .\n  A 192.0.2.1\n",
            Some("."),
            &["5: =a NXDOMAIN", "6! the name has a CNAME above, which counts alone"],
        ),
        ("@ NS l.\nrpz.x. ~\na CNAME .", Some("rpz.x"), &["3: =a NXDOMAIN"]),
        // An SOA record that comes late corrects the guess, once.
        (
            "a.b CNAME .\nrpz.x. ~\nc CNAME .\nd.rpz.x. CNAME .\ne. CNAME .\ne. ~\nrpz.x. ~\nf CNAME .",
            Some("rpz.x"),
            &[
                "1: =a.b NXDOMAIN",
                "3: =c NXDOMAIN",
                "4: =d NXDOMAIN",
                "5! outside the zone",
                "6! outside the zone",
                "8: =f NXDOMAIN",
            ],
        ),
        ("$ORIGIN x.\n$ORIGIN y.\na CNAME .\nb.x. CNAME .", Some("y"), &["3: =a NXDOMAIN", "4! outside the zone"]),
        ("a CNAME .\nb.x. CNAME .", Some("."), &["1: =a NXDOMAIN", "2: =b.x NXDOMAIN"]),
        ("@ ~\na CNAME .\n@ ~\n", Some("."), &["2: =a NXDOMAIN"]),
        // A record of each kind, and the first kind counts.
        (
            "@ ~\na CNAME c.\na A 192.0.2.1\nb A 192.0.2.1\nb CNAME .\nb A 192.0.2.2\na CNAME d.\na CNAME c.",
            Some("."),
            &[
                "2: =a -> c",
                "3! the name has a CNAME above, which counts alone",
                "4: =b - A 192.0.2.1",
                "5! the name has other records above, which count instead of the CNAME",
                "6: =b - A 192.0.2.2",
                "7! the name has another CNAME above, which counts",
            ],
        ),
        (
            "@ ~\na CNAME .\nA CNAME .\na CNAME *.\n*.a CNAME *.\n*.a CNAME *.",
            Some("."),
            &["2: =a NXDOMAIN", "4! the name has another CNAME above, which counts", "5: *.a NODATA"],
        ),
        // A refused record doesn't count.
        ("@ ~\na CNAME rpz-foo.\na A 192.0.2.1", Some("."), &["2! no known action", "3: =a - A 192.0.2.1"]),
        ("@ ~\na NS b.\na CNAME .", Some("."), &["2! no record of this type can be an answer", "3: =a NXDOMAIN"]),
        // A slip harms no other.
        ("@ ~\na ( CNAME .\nb CNAME .", Some("."), &["2! an opening parenthesis is never closed", "3: =b NXDOMAIN"]),
    ] {
        let text = text.replace('~', "SOA l. r.l. 1 2 3 4 5");
        assert_eq!(read(&text), expected, "{text}");
        let found = read_lines(text.split('\n').map(str::as_bytes), &mut Told::default());
        assert_eq!(found, zone.map(|zone| zone.parse().unwrap()), "{text}");
    }
}

impl Sink for RuleSet {
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32) {
        self.push_name(effect, scope, name, line).unwrap();
    }

    fn rule(&mut self, rule: Rule) {
        self.push(rule).unwrap();
    }

    fn disable(&mut self, rule: Rule) {
        RuleSet::disable(self, rule);
    }

    fn skip(&mut self, line: u32, reason: &'static str, detail: String) {
        panic!("{line} {reason} {detail}");
    }
}

#[test]
fn records_of_one_trigger_are_one_rule() {
    let mut set = RuleSet::default();
    let text =
        "@ 60 SOA . . 1 2 3 4 5\na A 192.0.2.1\nb A 192.0.2.9\na AAAA ::1\na A 192.0.2.1\nc CNAME d.\nc CNAME d.";
    read_lines(text.split('\n').map(str::as_bytes), &mut set);
    let rules: Vec<String> = set.iter().map(|(_, view)| shown(&view.unpack())).collect();
    assert_eq!(rules, ["=a 60 A 192.0.2.1, 60 AAAA ::1", "=b 60 A 192.0.2.9", "=c -> d"]);
}

#[test]
fn zones_are_recognised() {
    for (head, expected) in [
        ("$TTL 60", true),
        ("\u{feff}$ttl 1h ; so long\r\n", true),
        ("; comment\n\n$ORIGIN rpz.x.\n", true),
        ("@ SOA l. r.l. 1 2 3 4 5", true),
        ("; comment\n@ 300 IN SOA localhost. root.localhost. (", true),
        ("rpz.x. IN 1h soa l. r.l. 1 2 3 4 5", true),
        ("@\tIN\tSOA\t(", true),
        ("  IN SOA l. r.l. (1 2 3 4 5)", true),
        ("@ IN SOA a. b.", true),
        ("", false),
        ("$TTL", false),
        (" $TTL 60", false),
        ("$TTLS 60", false),
        ("! $TTL 60", false),
        ("# $ORIGIN x.", false),
        ("; @ SOA l. r.l. 1 2 3 4 5", false),
        ("soa\nsoa.x\nx.soa", false),
        ("SOA", false),
        ("0.0.0.0 soa a b c", false),
        ("::1 soa soa.x", false),
        ("127.0.0.1 localhost soa a b", false),
        ("||soa^$third-party\n@@||x^\n! SOA is a record", false),
        ("a word SOA more words here", false),
        ("a.x # SOA a b", false),
        ("a.x CNAME .", false),
        ("$third-party\n$script,domain=x", false),
        ("address=/a.x/0.0.0.0", false),
        ("local-zone: \"a.x\" always_nxdomain", false),
        ("/soa in soa/", false),
    ] {
        assert_eq!(looks_like_zone(head), expected, "{head}");
    }
}

#[test]
fn a_zone_tells_which_version_of_itself_it_is() {
    let serial = |text: &str| crate::policy::parse::parse(text.as_bytes(), &crate::policy::parse::Options::default());
    for (soa, expected) in [
        ("@ IN SOA l. r.l. ( 2026010501 ; serial\n 2 3\n 4 5 )", Some("2026010501")),
        ("@ 60 IN SOA localhost. root.localhost. 4294967295 2 3 4 5", Some("4294967295")),
        ("", None),
    ] {
        let parsed = serial(&format!("$TTL 60\n$ORIGIN rpz.x.\n{soa}\na.test CNAME .\n")).unwrap();
        let told = parsed.header.fields.iter().find(|(name, _)| name == "serial").map(|(_, value)| value.as_str());
        assert_eq!((told, parsed.rules.len()), (expected, 1), "{soa}");
    }
}
