//! Lines and whole lists, as tables. What a line comes to is written as the rules it gives, in our own format.

use super::*;
use crate::policy::{Matcher, What};
use proptest::prelude::*;

/// A sink that keeps everything.
#[derive(Default)]
pub struct Kept {
    pub rules: Vec<Rule>,
    pub disabled: Vec<Rule>,
    pub skipped: Vec<(u32, &'static str, String)>,
}

impl Sink for Kept {
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32) {
        self.rules.push(Rule::on_name(effect, scope, *name, line));
    }

    fn rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    fn disable(&mut self, rule: Rule) {
        self.disabled.push(rule);
    }

    fn skip(&mut self, line: u32, reason: &'static str, detail: String) {
        self.skipped.push((line, reason, detail));
    }
}

/// What one line comes to in a format.
pub fn read(format: &str, line: &str) -> Kept {
    let mut kept = Kept::default();
    let format = Format::ALL.into_iter().find(|own| own.word() == format).unwrap();
    match format {
        Format::Dnsmasq => dnsmasq::line(line, 1, &mut kept),
        Format::Unbound => {
            let mut reader = unbound::UnboundReader::new();
            reader.line(line, 1, &mut kept);
            reader.finish(&mut kept);
        }
        format => TextReader::new(format, &Options::default()).line(line, 1, &mut kept),
    }
    kept
}

/// Checks that a line gives these rules, separated by spaces, and nothing to report.
#[track_caller]
pub fn takes(format: &str, line: &str, expected: &str) {
    let kept = read(format, line);
    let rules: Vec<String> = kept.rules.iter().map(ToString::to_string).collect();
    assert_eq!((rules.join(" "), kept.skipped), (expected.to_owned(), vec![]), "{format}: {line}");
}

/// Checks that a line gives no rule and is reported.
#[track_caller]
pub fn skips(format: &str, line: &str) {
    let kept = read(format, line);
    assert!(kept.rules.is_empty() && !kept.skipped.is_empty(), "{format}: {line}: {:?} {:?}", kept.rules, kept.skipped);
}

fn whole(text: &str, format: Format, extent: Extent) -> Result<Parsed, Unusable> {
    parse(text.as_bytes(), &Options { format, extent, ..Options::default() })
}

/// Rules of a set as text, with their lines.
fn rules_of(parsed: &Parsed) -> Vec<String> {
    parsed.rules.iter().map(|(_, rule)| format!("{}:{}", rule.head.line, rule.unpack())).collect()
}

/// A date that is none, or still to come, is told and skipped; the rules stand. Of somebody else's list it is passed over.
#[test]
fn when_a_list_was_changed_by_its_own_word() {
    const DAY: i64 = 1_795_046_400; // 2026-11-19
    let comments = "# a\n".repeat(50);
    for (text, expected, skipped) in [
        ("#! cleandns\n#: updated: 2026-11-19\na.example\n", Some(DAY), None),
        ("#! cleandns\n#: updated: 2026-11-19T01:00:00Z\na.example\n", Some(DAY + 3600), None),
        // It is that day somewhere already.
        ("#! cleandns\n#: updated: 2026-11-20\na.example\n", Some(DAY + 86_400), None),
        (
            "#! cleandns\n#: updated: 2026-11-21\na.example\n",
            None,
            Some("bad header line: `2026-11-21` is still to come"),
        ),
        (
            "#! cleandns\n#: updated: 19.11.2026\na.example\n",
            None,
            Some("bad header line: `19.11.2026` is no date; write one as 2026-11-19"),
        ),
        (
            "#! cleandns\n#: updated:\na.example\n",
            None,
            Some("bad header line: `` is no date; write one as 2026-11-19"),
        ),
        ("#! cleandns\n# Last modified: 19 Nov 2026\na.example\n", None, None),
        ("a.example\n#: updated: 2026-11-19\n", None, None),
        ("! Last modified: 19 Nov 2026 00:00 UTC\n||a.example^\n", Some(DAY), None),
        ("# Last updated: 2026-11-19\n0.0.0.0 a.example\n", Some(DAY), None),
        ("# Last updated: 2026-11-19\naddress=/a.example/\n", Some(DAY), None),
        (
            "; Last modified: 2026-11-19\n$TTL 1\n$ORIGIN rpz.x.\n@ SOA l. r.l. 1 2 3 4 5\na.example CNAME .\n",
            Some(DAY),
            None,
        ),
        ("# Last updated: 2027-11-19\n# Date: 2026-11-19\n0.0.0.0 a.example\n", Some(DAY), None),
        ("# Last updated: soon\n0.0.0.0 a.example\n", None, None),
        (&format!("{comments}# Last updated: 2026-11-19\n0.0.0.0 a.example\n"), None, None),
    ] {
        let parsed = parse(text.as_bytes(), &Options { now: Some(DAY + 3600), ..Options::default() }).unwrap();
        let told: Vec<&str> = parsed.skipped.first.iter().map(|told| told.reason.as_str()).collect();
        assert_eq!((parsed.header.updated, told), (expected, Vec::from_iter(skipped)), "{text}");
        assert_eq!(parsed.rules.len(), 1, "{text}");
    }
    // Without a clock that is believed nothing is still to come.
    let parsed = parse(b"#! cleandns\n#: updated: 2100-01-01\na.example\n", &Options::default()).unwrap();
    assert!(parsed.header.updated.is_some() && parsed.skipped.count == 0);
}

#[test]
fn our_own_lines() {
    for (line, expected) in [
        ("tiktok.com", "tiktok.com"),
        ("TikTok.COM.", "tiktok.com"),
        ("tiktok.com # the app's web site", "tiktok.com"),
        ("tiktok.com\t# tab before the reason", "tiktok.com"),
        ("=api.tiktok.com", "=api.tiktok.com"),
        ("*.tiktok.com", "*.tiktok.com"),
        ("*", "*"),
        ("@open.weixin.qq.com # third-party login", "@open.weixin.qq.com"),
        ("@=a.b", "@=a.b"),
        ("@*.a.b", "@*.a.b"),
        ("_dmarc.x-y-.example", "_dmarc.x-y-.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("as4134", "as4134"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("@192.0.2.0/24", "@192.0.2.0/24"),
        ("AS4134 # CHINANET", "AS4134"),
        ("country:cn", "country:CN"),
        ("!country:US,CA", "!country:US,CA"),
        ("!country:US,CA,AS7018,192.0.2.0/24", "!country:US,CA,AS7018,192.0.2.0/24"),
        ("!AS7018,AS701", "!AS7018,AS701"),
        ("!192.0.2.0/24", "!192.0.2.0/24"),
        ("ns:hichina.com", "ns:hichina.com"),
        ("ns:=ns1.x", "ns:=ns1.x"),
        ("ns:*.x", "ns:*.x"),
        ("ns:192.0.2.0/24", "ns:192.0.2.0/24"),
        ("ns:AS4134", "ns:AS4134"),
        ("ns:country:CN", "ns:country:CN"),
        ("@ns:x", "@ns:x"),
        ("client:192.0.2.0/24", "client:192.0.2.0/24"),
        ("# comment", ""),
        ("! comment", ""),
        ("; comment", ""),
        ("// comment", ""),
        // What is unmistakably of another format is read as that.
        ("0.0.0.0 a.example b.example", "=a.example =b.example"),
    ] {
        takes("ours", line, expected);
    }
    for line in [
        "two words",
        "a..b",
        ".",
        "http://x.example/",
        "a,b",
        "AS99999999999",
        "country:CHN",
        "ns:",
        "ns:a..b",
        "client:nobody",
        "!country:US,xyz",
        "@",
        "=",
        "192.0.2.0/33",
    ] {
        skips("ours", line);
    }
}

#[test]
fn plain_lists() {
    for (format, line, expected) in [
        ("domains", "x.example", "=x.example"),
        ("domains", "X.Example.", "=x.example"),
        ("domains", "*.x.example", "*.x.example"),
        ("domains", "x.example # why", "=x.example"),
        ("domains", "_x.example", "=_x.example"),
        ("domains", "xn--mller-kva.example", "=xn--mller-kva.example"),
        ("domains", "müller.example", "=xn--mller-kva.example"),
        ("wildcard", "x.example", "=x.example"),
        ("wildcard", "*.x.example", "*.x.example"),
        ("domains", "0.0.0.0 a.example b.example # both", "=a.example =b.example"),
        ("hosts", "0.0.0.0\ta.example", "=a.example"),
        ("hosts", "198.51.100.7 a.example", "=a.example"),
        ("hosts", ":: A.Example.", "=a.example"),
        ("hosts", "2001:db8::1 a.example", "=a.example"),
        ("hosts", "127.0.0.1 localhost", ""),
        ("hosts", "127.0.0.1 localhost.localdomain LOCALHOST.", ""),
        ("hosts", "fe80::1%lo0 localhost", ""),
        ("hosts", "ff02::2 ip6-allrouters", ""),
        ("hosts", "0.0.0.0 0.0.0.0", ""),
        ("hosts", "0.0.0.0 com", "=com"),
        ("hosts", "0.0.0.0 a.example ; used by b.example", "=a.example"),
        ("hosts", "0.0.0.0 a.example // see b.example", "=a.example"),
        ("hosts", "0.0.0.0 a.example#b c.example", "=a.example"),
        ("hosts", "0.0.0.0 *.a.example b.example", "*.a.example =b.example"),
        ("hosts", "127.1 a.example", "=a.example"),
        ("hosts", "0 a.example", "=a.example"),
        ("hosts", "127.0.0.01 a.example", "=a.example"),
        ("hosts", "00.00.00.00 a.example", "=a.example"),
        ("hosts", "0x7f.1 a.example", "=a.example"),
        ("hosts", "[::] a.example", "=a.example"),
        ("domains", "cdn*.x.example", "|cdn*.x.example^"),
        ("hosts", "ads.*.example", "|ads.*.example^"),
        ("wildcard", "*j.example", "*j.example^"),
        ("wildcard", "ads.*", "|ads.*"),
        ("domains", "*.ads*.x.example.", "*.ads*.x.example^"),
        ("domains", "192.0.2.1", "192.0.2.1/32"),
        ("hosts", "2001:db8::1", "2001:db8::1/128"),
        ("domains", "192.0.2.0/24", "192.0.2.0/24"),
        ("domains", "! an AdBlock comment", ""),
        ("regex", "^ads[0-9]+\\.", "/^ads[0-9]+\\./"),
        ("regex", "/^ads/", "/^ads/"),
        ("regex", "# comment", ""),
        ("regex", "ads # why", "/ads/"),
        // As a regular expression it would match every name.
        ("regex", "||ads.example^", "ads.example"),
        ("regex", "0.0.0.0 ads.example", "=ads.example"),
        ("regex", "192.0.2.1", "192.0.2.1/32"),
        ("regex", "(^|\\.)ads\\.example$", "/(^|\\.)ads\\.example$/"),
        ("hosts", "0 ads.example", "=ads.example"),
        ("hosts", "0.0.0.0 a.example#why b.example", "=a.example"),
        ("hosts", "0.0.0.0 a.example b.example#", "=a.example =b.example"),
        ("hosts", "192.0.2.1 # theirs", "192.0.2.1/32"),
        ("ours", "127.0.0.1 # rebinding", "127.0.0.1/32"),
        ("domains", "a.example#why", "=a.example"),
        ("domains", "||a.example^", "a.example"),
        ("domains", "@@||a.example^", "@a.example"),
        ("domains", "/^ads/", "/^ads/"),
        ("adblock", "a.example", "=a.example"),
        ("adblock", "192.0.2.1", "192.0.2.1/32"),
        ("adblock", "0.0.0.0 a.example", "=a.example"),
        ("adblock", "[Adblock Plus 2.0]", ""),
        ("domains", "[Adblock Plus 2.0]", ""),
    ] {
        takes(format, line, expected);
    }
    for (format, line) in [
        ("domains", "x.example y.example"),
        ("domains", "example.com/path"),
        ("domains", "a..b"),
        ("hosts", "0.0.0.0 a..b"),
        ("domains", "x.example,y.example"),
        // Names were taken out of the line; it was never a rule on the address.
        ("hosts", "0.0.0.0 # a.example"),
        ("hosts", "127.0.0.1 #a.example"),
        ("domains", "x.example##.advert"),
        ("domains", "x.example$third-party"),
        ("domains", "192.0.2.300"),
        ("regex", "a b"),
        ("regex", "^ads;querytype=A"),
        ("regex", "^https?://ads"),
    ] {
        skips(format, line);
    }
}

#[test]
fn one_bad_name_of_a_line_loses_no_other() {
    let kept = read("hosts", "0.0.0.0 a.example b..c d.example");
    let rules: Vec<String> = kept.rules.iter().map(ToString::to_string).collect();
    assert_eq!((rules.join(" ").as_str(), kept.skipped.len()), ("=a.example =d.example", 1));
}

#[test]
fn the_format_is_told_from_the_text() {
    for (text, expected) in [
        ("#! cleandns\na.example\n", Format::Ours),
        ("a.example\nb.example\n", Format::Domains),
        ("! title\n! x\n! y\n! z\n0.0.0.0 a.example\n", Format::Hosts),
        ("[Adblock Plus 2.0]\na.example\nb.example\n", Format::Adblock),
        ("# x\r||a.example^\r", Format::Adblock),
        ("# title\n0.0.0.0 a.example\n0.0.0.0 b.example\n", Format::Hosts),
        ("[Adblock Plus]\n||a.example^\n||b.example^\n", Format::Adblock),
        ("address=/a.example/0.0.0.0\naddress=/b.example/\n", Format::Dnsmasq),
        ("server:\nlocal-zone: \"a.example\" refuse\n", Format::Unbound),
        ("$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\n", Format::Rpz),
        (
            "@ IN SOA localhost. root.localhost. 1 3600 600 86400 60\n@ IN NS localhost.\na.example CNAME .\n",
            Format::Rpz,
        ),
    ] {
        let parsed = whole(text, Format::Auto, Extent::Exact).unwrap();
        assert_eq!(parsed.format, expected, "{text}");
        assert!(parsed.skipped.first.is_empty(), "{text}: {:?}", parsed.skipped);
    }
}

#[test]
fn lines_end_in_every_way_there_is() {
    for text in [
        "\u{feff}a.example\nb.example\n",
        "a.example\r\nb.example\r\n",
        "a.example\rb.example\r",
        "a.example\nb.example",
        "  a.example  \n\tb.example\t\n",
    ] {
        let parsed = whole(text, Format::Auto, Extent::Subtree).unwrap();
        assert_eq!(rules_of(&parsed), ["1:a.example", "2:b.example"], "{text:?}");
    }
    for (text, expected) in [
        ("a.example\n\n# x\n\nb.example\n", ["1:a.example", "5:b.example"]),
        ("a.example\r\n\r\n# x\r\n\r\nb.example", ["1:a.example", "5:b.example"]),
        ("a.example\r\r# x\r\rb.example", ["1:a.example", "5:b.example"]),
        // A CR in the middle ends a line of the list, but none that an editor counts.
        ("# x\na.example\rb.example\n", ["2:a.example", "2:b.example"]),
    ] {
        let parsed = whole(text, Format::Auto, Extent::Subtree).unwrap();
        assert_eq!(rules_of(&parsed), expected, "{text:?}");
    }
    // A whole list of such lines is many lines, however long it is; at its end it may change its mind.
    let text = "ads.example\r".repeat(20_000) + "x.example\r\ny.example\nz.example";
    let parsed = whole(&text, Format::Auto, Extent::Subtree).unwrap();
    assert_eq!((parsed.rules.len(), parsed.skipped.count), (20_003, 0));
    assert_eq!(&rules_of(&parsed)[20_000..], ["20001:x.example", "20002:y.example", "20003:z.example"]);
}

#[test]
fn pieces_of_any_size_are_the_whole() {
    let long = |bytes: usize| format!("{}.example", "a".repeat(bytes - ".example".len()));
    for end in ["\n", "\r\n", "\r"] {
        let lines = ["x.example".to_owned(), long(LINE_BYTES_MAX), long(LINE_BYTES_MAX + 1), "# é".to_owned()];
        let text = lines.join(end) + end + &["y.example", end].concat().repeat(8000) + "z.example";
        let whole = whole(&text, Format::Domains, Extent::Exact).unwrap();
        assert_eq!((whole.rules.len(), rules_of(&whole).last().unwrap().as_str()), (8002, "8005:=z.example"));
        assert_eq!(whole.skipped.first.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [2, 3]);
        for size in [1, 2, 7, 4096, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, LINE_BYTES_MAX + 11] {
            let mut parser = Parser::new(&Options { format: Format::Domains, ..Options::default() }, 0);
            text.as_bytes().chunks(size).for_each(|piece| parser.feed(piece));
            let parsed = parser.finish().unwrap();
            assert_eq!((rules_of(&parsed), &parsed.skipped), (rules_of(&whole), &whole.skipped), "{end:?} {size}");
        }
    }
}

#[test]
fn comments_may_be_written_in_any_encoding() {
    let text = b"# Gr\xfc\xdfe\n! caf\xe9\na.example # f\xfcr\nb\xfc.example\n;\xff\n";
    let mut long = text.to_vec();
    long.extend_from_slice(&b"#".repeat(LINE_BYTES_MAX + 1));
    let parsed = parse(&long, &Options { extent: Extent::Subtree, ..Options::default() }).unwrap();
    assert_eq!(rules_of(&parsed), ["3:a.example"]);
    let skipped: Vec<_> = parsed.skipped.first.iter().map(|skipped| (skipped.line, skipped.reason.as_str())).collect();
    assert_eq!(skipped, [(4, "not UTF-8 text")]);
}

#[test]
fn a_negated_rule_may_have_many_places() {
    let nets: Vec<String> = (0..4000u32).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect();
    let parsed = whole(&format!("#! cleandns\n!{}\n", nets.join(",")), Format::Auto, Extent::Exact).unwrap();
    assert_eq!((parsed.rules.len(), parsed.skipped.count), (1, 0));
}

#[test]
fn what_is_no_list_is_refused() {
    let binary = b"\x1f\x8b\x08\x00\x00";
    assert_eq!(parse(binary, &Options::default()).unwrap_err(), Unusable::Binary);
    for (text, expected) in [
        ("", Unusable::Empty),
        (" \n\t\r\n", Unusable::Empty),
        ("# only\n! comments\n", Unusable::OnlyComments),
        ("<!DOCTYPE html><title>Login</title>", Unusable::Html),
        ("\n\n <HTML>\n", Unusable::Html),
        ("<!-- moved --><p>Moved</p>", Unusable::Html),
        ("\u{feff}<script>location = 'x'</script>", Unusable::Html),
        ("a\0b", Unusable::Binary),
    ] {
        assert_eq!(whole(text, Format::Auto, Extent::Exact).unwrap_err(), expected, "{text:?}");
    }
    let error = whole("a..b\nc d\n", Format::Auto, Extent::Exact).unwrap_err();
    assert!(matches!(error, Unusable::NoRule { lines: 2, first_line: 1, .. }), "{error:?}");
}

#[test]
fn a_hostile_list_is_bounded_and_reported() {
    // A line that never ends, NULs, deep regular expressions, and something good among them.
    let mut parser = Parser::new(&Options { format: Format::Domains, ..Options::default() }, 0);
    parser.feed(b"good.example\n");
    for _ in 0..1000 {
        parser.feed(&[b'a'; 100_000]);
    }
    assert!(parser.partial.capacity() <= 2 * LINE_BYTES_MAX, "{}", parser.partial.capacity());
    parser.feed(b"\nnul\0.example\n");
    parser.feed(format!("/{}a{}/\n", "(".repeat(1000), ")".repeat(1000)).as_bytes());
    parser.feed(b"/(a{1000}){1000}/\n\xff\xfe\nlast.example");
    let parsed = parser.finish().unwrap();
    assert_eq!(rules_of(&parsed), ["1:=good.example", "7:=last.example"]);
    assert_eq!(parsed.skipped.first.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
}

#[test]
fn what_stands_inside_a_condition_is_left_out() {
    let text = "||a.example^\n!#if ext_ublock\n||b.example^\n!#endif\n||c.example^\n";
    let parsed = whole(text, Format::Auto, Extent::Exact).unwrap();
    assert_eq!(rules_of(&parsed), ["1:a.example", "5:c.example"]);
    assert_eq!(parsed.skipped.count, 1);
    // One that is never closed leaves out no more than so much.
    let text = format!("!#if ext_ublock\n{}||c.example^\n", "||b.example^\n".repeat(10_000));
    let parsed = whole(&text, Format::Auto, Extent::Exact).unwrap();
    assert_eq!((rules_of(&parsed), parsed.skipped.count), (vec!["10002:c.example".to_owned()], 10_001));
}

/// Holds everything on `com`, and lets an exception settle it.
struct HoldsCom;

impl Admit for HoldsCom {
    fn admit(&self, candidate: Candidate<'_>) -> Admission {
        match candidate {
            Candidate::Name(Effect::Block, Scope::Subtree, name) if name.to_string() == "com" => {
                Admission::Hold("covers all of .com".into())
            }
            Candidate::Name(_, _, name) if name.to_string() == "odd.example" => Admission::Warn("odd".into()),
            _ => Admission::Take,
        }
    }

    fn settle(&self, _rule: &Rule, excepted: &dyn Fn(&Name) -> bool) -> Admission {
        if excepted(&"x.com".parse().unwrap()) { Admission::Take } else { Admission::Hold(String::new()) }
    }
}

#[test]
fn the_gate_is_asked_and_asked_again() {
    let read = |text: &str| {
        let options = Options { extent: Extent::Subtree, admit: Some(&HoldsCom), ..Options::default() };
        parse(text.as_bytes(), &options)
    };
    let parsed = read("a.example\ncom\nodd.example\n").unwrap();
    assert_eq!(rules_of(&parsed), ["1:a.example", "3:odd.example"]);
    assert_eq!((parsed.held.first[0].line, parsed.warned.first[0].line), (2, 3));
    // An exception of the list itself settles it.
    let parsed = read("#! cleandns\ncom\n@x.com\n").unwrap();
    assert_eq!((parsed.held.count, parsed.rules.len()), (0, 2));
    assert!(matches!(read("com\n").unwrap_err(), Unusable::AllHeld { first_line: 1, .. }));
}

/// Lines that mean the same in every text format but ours and that of regular expressions.
const MIXED: [&str; 24] = [
    "a.example",
    "b.example # why",
    "*.c.example",
    "0.0.0.0 d.example e.example",
    "127.0.0.1 localhost",
    ":: f.example",
    "192.0.2.7",
    "2001:db8::/32",
    "||g.example^",
    "@@||h.example^",
    "|i.example^",
    "||j.example^$important",
    "@@||k.example^$client=192.0.2.1",
    "||ads*.example^",
    "/^ads[0-9]/",
    "/^ads/$dnstype=AAAA",
    "||192.0.2.8^",
    "||l.example^$badfilter",
    "müller.example",
    "# comment",
    "! comment",
    "; comment",
    "",
    "\t",
];

proptest! {
    #[test]
    fn any_octets_are_survived_and_pieces_make_no_difference(
        text in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b'#'), Just(b'!'), Just(b'*'), Just(b'"'), Just(b':'), Just(b'@'), Just(b'.'), Just(b'|'), Just(b'^'), Just(b'a'), Just(b' '), Just(b'/'), Just(b'$')
        ], 0..400),
        format in prop::sample::select(Format::ALL.to_vec()),
        cut in 1usize..50,
    ) {
        let options = Options { format, ..Options::default() };
        let at_once = parse(&text, &options);
        let mut parser = Parser::new(&options, 0);
        text.chunks(cut).for_each(|piece| parser.feed(piece));
        match (at_once, parser.finish()) {
            (Ok(at_once), Ok(in_pieces)) => {
                prop_assert_eq!(rules_of(&at_once), rules_of(&in_pieces));
                prop_assert_eq!(at_once.skipped, in_pieces.skipped);
            }
            (Err(at_once), Err(in_pieces)) => prop_assert_eq!(at_once, in_pieces),
            (at_once, in_pieces) => prop_assert!(false, "{:?} {:?}", at_once, in_pieces),
        }
    }

    /// Good lines of every text format, in any order, with any end: the same rules, each with the number of its line.
    #[test]
    fn lines_of_all_text_formats_may_be_mixed(
        lines in prop::collection::vec(prop::sample::select(MIXED.to_vec()), 1..30),
        format in prop::sample::select(vec![Format::Domains, Format::Hosts, Format::Wildcard, Format::Adblock]),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        is_closed in any::<bool>(),
    ) {
        let text = lines.join(end) + if is_closed { end } else { "" };
        let mut expected = Vec::new();
        for (line, number) in lines.iter().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            expected.extend(read(format.word(), line).rules.iter().map(|rule| format!("{number}:{rule}")));
        }
        expected.sort();
        match whole(&text, format, Extent::Exact) {
            Ok(parsed) => {
                let mut found = rules_of(&parsed);
                found.sort();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(parsed.skipped.count, 0);
            }
            Err(error) => prop_assert!(
                expected.is_empty() && matches!(error, Unusable::OnlyComments | Unusable::Empty),
                "{}",
                error
            ),
        }
    }

    /// Whatever octets a name has, its rule is read back from its text.
    #[test]
    fn rules_on_odd_names_read_back(
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5), 0..5),
        scope in prop::sample::select(vec![Scope::Exact, Scope::Subtree, Scope::Below]),
        is_ns in any::<bool>(),
    ) {
        let mut wire: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], label.as_slice()].concat()).collect();
        wire.push(0);
        let name = Name::from_wire(&wire).unwrap();
        let matcher = match is_ns {
            true => Matcher::NsName { scope, name: Box::new(name) },
            false => Matcher::Name { scope, name },
        };
        for effect in [Effect::Block, Effect::Except] {
            let rule = Rule::new(effect, matcher.clone(), 1);
            let shown = rule.to_string();
            prop_assume!(!shown.ends_with(" (name)"));
            let kept = read("ours", &shown);
            prop_assert_eq!((kept.rules, kept.skipped), (vec![rule], vec![]), "{}", shown);
        }
    }

    #[test]
    fn the_order_of_lines_is_of_no_importance(
        mut lines in prop::collection::vec("(@|=|\\*\\.)?[ab]{1,2}(\\.[ab]{1,2}){0,2}", 1..20),
        seed in any::<u64>(),
    ) {
        let text = |lines: &[String]| format!("#! cleandns\n{}\n", lines.join("\n"));
        let says = |lines: &[String]| {
            let parsed = parse(text(lines).as_bytes(), &Options::default()).unwrap();
            let mut all: Vec<String> = parsed.rules.iter().map(|(_, rule)| rule.unpack().to_string()).collect();
            all.sort();
            all
        };
        let before = says(&lines);
        let count = lines.len();
        lines.rotate_left(seed as usize % count);
        lines.reverse();
        prop_assert_eq!(before, says(&lines));
    }

    /// What a rule is shown as is read back as the same rule.
    #[test]
    fn a_rule_that_is_shown_reads_back(line in prop::sample::select(vec![
        "a.b", "=a.b", "*.a.b", "@a.b", "*", "192.0.2.0/24", "2001:db8::/32", "AS1", "country:CN", "!country:US,AS7018",
        "ns:x", "ns:=x", "ns:*.x", "ns:192.0.2.0/24", "ns:AS1", "client:192.0.2.0/24", "||a.b^$important",
        "@@||a.b^$important", "||a.b^$dnstype=A|AAAA", "||a.b^$dnstype=~A", "||a.b^$denyallow=c.a.b",
        "||a.b^$client=192.0.2.0/24", "||a.b^$ctag=kids", "/^ad[0-9]/", "@@/^ad/", "a*b.c", "||a*.b^", "|a.*",
        "||a.b^$dnsrewrite=192.0.2.1", "||a.b^$dnsrewrite=NXDOMAIN;;", "||a.b^$dnsrewrite=NOERROR;CNAME;c.d",
    ])) {
        let first = read("ours", line);
        prop_assert_eq!(first.skipped, vec![]);
        let shown = first.rules[0].to_string();
        let again = read("ours", &shown);
        prop_assert_eq!(&first.rules, &again.rules, "{} {}", line, shown);
    }
}

#[test]
fn names_lie_packed_and_nothing_else() {
    let parsed = whole("a.example\n||b.example^$important\n192.0.2.1\n", Format::Domains, Extent::Exact).unwrap();
    let names = parsed.rules.iter().filter(|(_, rule)| matches!(rule.what, What::Name(_))).count();
    assert_eq!((names, parsed.rules.name_count(), parsed.rules.len()), (2, 2, 3));
}
