//! One line each: what it means, or why it means nothing here.

mod skipped;

use super::*;
use crate::dns::Rcode;

/// Keeps everything told.
#[derive(Default)]
pub(super) struct Told {
    pub rules: Vec<Rule>,
    pub disabled: Vec<Rule>,
    pub skipped: Vec<String>,
}

impl Sink for Told {
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
        assert_eq!(line, 7);
        self.skipped.push(format!("{reason}: {detail}"));
    }
}

/// What one line came to.
pub(super) fn told(text: &str) -> Told {
    let mut told = Told::default();
    line(text, 7, &mut told);
    assert!(told.rules.iter().chain(&told.disabled).all(|rule| rule.line == 7), "{text}");
    told
}

/// The rule as text, `off ` before one that is taken back, `skip ` before a reason; empty for nothing.
fn shown(text: &str) -> String {
    let Told { rules, disabled, skipped } = told(text);
    let rules = rules.iter().map(Rule::to_string);
    let disabled = disabled.iter().map(|rule| format!("off {rule}"));
    let skipped = skipped.iter().map(|reason| format!("skip {reason}"));
    rules.chain(disabled).chain(skipped).collect::<Vec<_>>().join(" + ")
}

fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .filter(|(text, expected)| shown(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  is       {}\n  expected {expected}", shown(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines that are skipped for one reason; the detail may be anything.
fn check_skipped(reason: &str, lines: &[&str]) {
    for text in lines {
        let shown = shown(text);
        assert!(shown.starts_with(&format!("skip {reason}: ")), "{text}\n  is {shown}");
    }
}

#[test]
fn names() {
    check(&[
        ("||tiktok.com^", "tiktok.com"),
        ("||TikTok.COM^", "tiktok.com"),
        ("||tiktok.com.^", "tiktok.com"),
        ("||_dmarc.x-.example^", "_dmarc.x-.example"),
        ("||xn--mller-kva.de^", "xn--mller-kva.de"),
        ("||com^", "com"),
        ("||a^", "a"),
        ("||x1^", "x1"),
        ("||1.2.3.4.5^", "1.2.3.4.5"),
        ("||4.3.2.1.in-addr.arpa^", "4.3.2.1.in-addr.arpa"),
        ("||-ads-.example^", "-ads-.example"),
        ("||x.com^|", "x.com"),
        ("||x.com|", "x.com"),
        ("||x.com^*", "x.com"),
        ("||x.com^^", "x.com"),
        ("|x.com^", "=x.com"),
        ("|x.com|", "=x.com"),
        ("|x.com^|", "=x.com"),
        ("|X.com.^", "=x.com"),
        ("x.com", "=x.com"),
        ("X.Com.", "=x.com"),
        ("localhost", "=localhost"),
        ("a_b.c-d.example", "=a_b.c-d.example"),
        ("||*.x.com^", "*.x.com"),
        ("*.x.com^", "*.x.com"),
        ("|*.x.com^", "*.x.com"),
        ("*.x.com", "*.x.com"),
        ("||*.x.com|", "*.x.com"),
        ("*", "*"),
        ("||*^", "*"),
        ("|*|", "*"),
        ("**", "*"),
        ("||*", "*"),
        ("@@*", "@*"),
        ("@@||x.com^", "@x.com"),
        ("@@|x.com^", "@=x.com"),
        ("@@x.com", "@=x.com"),
        ("@@*.x.com^", "@*.x.com"),
        ("||x.com^ # tracker", "x.com"),
        ("||x.com^\t# tracker", "x.com"),
        ("x.com #no", "=x.com"),
    ]);
}

#[test]
fn patterns() {
    check(&[
        ("||ads", "||ads*"),
        ("||ads*", "||ads*"),
        ("||ads.x.com", "||ads.x.com*"),
        ("||x.*^", "||x.*"),
        ("||x.*", "||x.*"),
        ("||ads*.x.com^", "||ads*.x.com^"),
        ("||ads**.x.com^", "||ads*.x.com^"),
        ("||ADS*.x.com^", "||ads*.x.com^"),
        ("||ads.*.x.com^", "||ads.*.x.com^"),
        ("||*.*.x.com^", "*.*.x.com^"),
        (".-ads.x^", "*.-ads.x"),
        ("||*ads*^", "*ads*"),
        ("|ads", "|ads*"),
        ("|ads*", "|ads*"),
        ("|ads.*.com|", "|ads.*.com^"),
        ("|*ads", "*ads*"),
        ("x.com^", "*x.com^"),
        ("x.com|", "*x.com^"),
        (".x.com^", "*.x.com"),
        ("*ads*", "*ads*"),
        ("*ads", "*ads*"),
        ("ads*", "*ads*"),
        ("*ads.x.com*", "*ads.x.com*"),
        (".x.com", "*.x.com*"),
        (".ads.", "*.ads.*"),
        ("-ads-", "*-ads-*"),
        ("_ads.*.com", "*_ads.*.com*"),
        ("ads*.com^", "*ads*.com^"),
        ("*.zip^", "*.zip"),
        ("@@||ads*.x^", "@@||ads*.x^"),
        ("@@*ads*", "@@*ads*"),
        ("@@||ads", "@@||ads*"),
        ("||a*^", "||a*"),
        ("a*b", "*a*b*"),
        ("||1.2*.x^", "||1.2*.x^"),
    ]);
}

#[test]
fn regular_expressions() {
    check(&[
        ("/^ads?[0-9]+\\./", "/^ads?[0-9]+\\./"),
        ("/Ads/", "/Ads/"),
        ("/ads$/", "/ads$/"),
        ("/^a$|^b$/", "/^a$|^b$/"),
        ("@@/^ads$/", "@@/^ads$/"),
        ("/ads$/$important", "/ads$/$important"),
        ("/ads/$dnstype=A", "/ads/$dnstype=A"),
        ("/ads/$client=192.0.2.0/24", "/ads/$client=192.0.2.0/24"),
        ("/(a|b)\\.x$/$client=~10.0.0.0/8", "/(a|b)\\.x$/$client=~10.0.0.0/8"),
        ("@@/ads$/$important,dnstype=~A", "@@/ads$/$important,dnstype=~A"),
        ("/a #b/", "/a #b/"),
        ("/a##b/", "/a##b/"),
        ("/a$$b/", "/a$$b/"),
        ("/[a-z]{3,5}/", "/[a-z]{3,5}/"),
        ("/(/", "/(/"),
        ("/x/$badfilter", "off /x/"),
        ("/x/$third-party", "skip a modifier that a resolver can't honour: `third-party`"),
        ("/a\\/b/", "/a\\/b/"),
        ("/ads\\/", "skip a rule on URLs; a resolver sees only names: /ads\\/"),
        ("//", "skip a rule on URLs; a resolver sees only names: //"),
        ("/^https?://ads/", "skip a rule on URLs; a resolver sees only names: /^https?://ads/"),
        ("/^https?:\\/\\/ads/", "skip a rule on URLs; a resolver sees only names: /^https?:\\/\\/ads/"),
    ]);
}

#[test]
fn addresses() {
    check(&[
        ("||1.2.3.4^", "1.2.3.4/32"),
        ("||1.2.3.4", "1.2.3.4/32"),
        ("|1.2.3.4^", "1.2.3.4/32"),
        ("1.2.3.4", "1.2.3.4/32"),
        ("1.2.3.4^", "1.2.3.4/32"),
        ("||1.2.3.0/24^", "1.2.3.0/24"),
        ("||1.2.3.9/24^", "1.2.3.0/24"),
        ("||1.2.3.0/24", "1.2.3.0/24"),
        ("||2001:db8::1^", "2001:db8::1/128"),
        ("||[2001:db8::1]^", "2001:db8::1/128"),
        ("2001:DB8::1", "2001:db8::1/128"),
        ("||2001:db8::/32^", "2001:db8::/32"),
        ("||1.2.3.*^", "1.2.3.0/24"),
        ("||1.2.*", "1.2.0.0/16"),
        ("|10.*", "10.0.0.0/8"),
        ("1.2.3.*", "*1.2.3.*"),
        ("||1.2.3.", "1.2.3.0/24"),
        ("||300.2.3.*^", "||300.2.3.*"),
        ("||1.2.3.4.*^", "||1.2.3.4.*"),
        ("@@||1.2.3.4^", "@1.2.3.4/32"),
        ("||1.2.3.4^$important", "||1.2.3.4/32^$important"),
        ("@@||1.2.3.0/24^$client=10.0.0.1", "@@||1.2.3.0/24^$client=10.0.0.1"),
        ("||1.2.3.4/33^", "skip a rule on URLs; a resolver sees only names: ||1.2.3.4/33^"),
    ]);
}

#[test]
fn importance_and_taking_back() {
    check(&[
        ("||x.com^$important", "||x.com^$important"),
        ("|x.com^$important", "|x.com^$important"),
        ("x.com$important", "|x.com^$important"),
        ("*.x.com^$important", "||*.x.com^$important"),
        ("@@||x.com^$important", "@@||x.com^$important"),
        ("||ads*$important", "||ads*$important"),
        ("*$important", "*$important"),
        ("||x.com^$important,important", "||x.com^$important"),
        ("||x.com^$ important , _", "||x.com^$important"),
        ("||x.com^$___,important", "||x.com^$important"),
        ("||x.com^$badfilter", "off x.com"),
        ("||x.com^$important,badfilter", "off ||x.com^$important"),
        ("@@||x.com^$badfilter", "off @x.com"),
        ("x.com$badfilter", "off =x.com"),
        ("||ads*$badfilter", "off ||ads*"),
        ("||x.com^$dnstype=A,badfilter", "off ||x.com^$dnstype=A"),
        ("||x.com^$badfilter,dnsrewrite=1.2.3.4", "off ||x.com^$dnsrewrite=1.2.3.4"),
        ("||x.com^$third-party,badfilter", "skip a modifier that a resolver can't honour: `third-party`"),
    ]);
    // The order of types means nothing.
    let [one, other] =
        ["||x^$dnstype=A|AAAA,badfilter", "||x^$dnstype=AAAA|A,badfilter"].map(|text| told(text).disabled);
    assert_eq!(one, other);
}

#[test]
fn clients_and_tags() {
    check(&[
        ("||x^$client=192.0.2.1", "||x^$client=192.0.2.1"),
        ("||x^$client=192.0.2.0/24", "||x^$client=192.0.2.0/24"),
        ("||x^$client=192.0.2.77/24", "||x^$client=192.0.2.0/24"),
        ("||x^$client=2001:db8::/32", "||x^$client=2001:db8::/32"),
        ("||x^$client=2001:DB8::1", "||x^$client=2001:db8::1"),
        ("||x^$client=~192.0.2.1", "||x^$client=~192.0.2.1"),
        ("||x^$client=192.0.2.1|~192.0.2.2", "||x^$client=192.0.2.1|~192.0.2.2"),
        ("||x^$client=kids", "||x^$client=kids"),
        ("||x^$client='kids'", "||x^$client=kids"),
        ("||x^$client=\"kids\"", "||x^$client=kids"),
        ("||x^$client=~kids|10.0.0.1", "||x^$client=10.0.0.1|~kids"),
        ("||x^$client='Frank\\'s laptop'", "||x^$client='Frank\\'s laptop'"),
        ("||x^$client=\"Frank's laptop\"", "||x^$client='Frank\\'s laptop'"),
        ("||x^$client=Frank's", "||x^$client='Frank\\'s'"),
        ("||x^$client=~'Mary\\, John\\|Boris'", "||x^$client=~'Mary\\, John\\|Boris'"),
        ("||x^$client='1.2.3.4'", "||x^$client='1.2.3.4'"),
        ("||x^$client='a #b'", "||x^$client='a #b'"),
        ("||x^$client='##b'", "||x^$client='##b'"),
        ("x$client=a##b", "|x^$client='a##b'"),
        ("||x^$client=Büro", "||x^$client=Büro"),
        ("@@||x^$client=kids", "@@||x^$client=kids"),
        ("$client=10.0.0.1", "*$client=10.0.0.1"),
        ("@@$client=10.0.0.1", "@@*$client=10.0.0.1"),
        ("*$client=kids,important", "*$important,client=kids"),
        ("||x^$client=", "skip a modifier with an empty value: `client`"),
        ("||x^$client=a||b", "skip a modifier with an empty value: `client`"),
        ("||x^$client=~", "skip a modifier with an empty value: `client`"),
        ("||x^$client", "skip a modifier without its value: `client`"),
        ("||x^$client=a,client=b", "skip a modifier that stands there twice: `client`"),
        ("||x^$ctag=user_child", "||x^$ctag=user_child"),
        ("||x^$ctag=device_pc|~user_child", "||x^$ctag=device_pc|~user_child"),
        ("||x^$ctag=", "skip a modifier with an empty value: `ctag`"),
        ("||x^$ctag=a b", "skip not a tag of clients: `a b`"),
        ("||x^$ctag", "skip a modifier without its value: `ctag`"),
    ]);
    check_skipped(
        "a client's name without its second quotation mark (`,` and `|` in it are `\\,` and `\\|`)",
        &["||x^$client='kids", "||x^$client='", "||x^$client=''", "||x^$client=\"a'", "||x^$client='a\\'"],
    );
}

#[test]
fn types_and_names_left_out() {
    check(&[
        ("||x^$dnstype=A", "||x^$dnstype=A"),
        ("||x^$dnstype=aaaa", "||x^$dnstype=AAAA"),
        ("||x^$dnstype=AAAA|A|A", "||x^$dnstype=A|AAAA"),
        ("||x^$dnstype=~A|~CNAME", "||x^$dnstype=~A|~CNAME"),
        ("||x^$dnstype=TYPE65", "||x^$dnstype=HTTPS"),
        ("||x^$dnstype=TYPE1234", "||x^$dnstype=TYPE1234"),
        ("||x^$dnstype=HTTPS|SVCB|ANY", "||x^$dnstype=SVCB|HTTPS|ANY"),
        ("@@||x^$dnstype=A", "@@||x^$dnstype=A"),
        ("$dnstype=HTTPS", "*$dnstype=HTTPS"),
        ("||x^$dnstype=A|~AAAA", "skip `dnstype` takes types with `~` or without, not both: A|~AAAA"),
        ("||x^$dnstype=B", "skip not a record type: `B`"),
        ("||x^$dnstype=TYPE65536", "skip not a record type: `TYPE65536`"),
        ("||x^$dnstype=", "skip a modifier with an empty value: `dnstype`"),
        ("||x^$dnstype=A|", "skip a modifier with an empty value: `dnstype`"),
        ("||x^$dnstype", "skip a modifier without its value: `dnstype`"),
        ("*$denyallow=com|net", "*$denyallow=com|net"),
        ("||x.com^$denyallow=a.x.com|B.x.com", "||x.com^$denyallow=a.x.com|b.x.com"),
        ("$denyallow=com", "*$denyallow=com"),
        ("@@||x.com^$denyallow=a.x.com", "@@||x.com^$denyallow=a.x.com"),
        ("||x^$denyallow=*.a", "skip not a name: `*.a`"),
        ("||x^$denyallow=~a", "skip `denyallow` takes no `~`: ~a"),
        ("||x^$denyallow=", "skip a modifier with an empty value: `denyallow`"),
        ("||x^$denyallow", "skip a modifier without its value: `denyallow`"),
        (
            "||x^$important,dnstype=A,client=10.0.0.1,ctag=t,denyallow=a.x",
            "||x^$important,dnstype=A,client=10.0.0.1,ctag=t,denyallow=a.x",
        ),
    ]);
}

#[test]
fn rewrites() {
    check(&[
        ("||x^$dnsrewrite=1.2.3.4", "||x^$dnsrewrite=1.2.3.4"),
        ("||x^$dnsrewrite=2001:db8::1", "||x^$dnsrewrite=2001:db8::1"),
        ("||x^$dnsrewrite=Other.example", "||x^$dnsrewrite=other.example"),
        ("||x^$dnsrewrite=other.example.", "||x^$dnsrewrite=other.example"),
        ("||x^$dnsrewrite=NXDOMAIN", "||x^$dnsrewrite=NXDOMAIN"),
        ("||x^$dnsrewrite=REFUSED", "||x^$dnsrewrite=REFUSED"),
        ("||x^$dnsrewrite=SERVFAIL", "||x^$dnsrewrite=SERVFAIL"),
        ("||x^$dnsrewrite=NOTIMP", "||x^$dnsrewrite=NOTIMP"),
        ("||x^$dnsrewrite=NOERROR", "||x^$dnsrewrite=NOERROR"),
        ("||x^$dnsrewrite=NOERROR;;", "||x^$dnsrewrite=NOERROR"),
        ("||x^$dnsrewrite=NXDOMAIN;;", "||x^$dnsrewrite=NXDOMAIN"),
        ("||x^$dnsrewrite=nxdomain;;", "||x^$dnsrewrite=NXDOMAIN"),
        ("||x^$dnsrewrite=REFUSED;;", "||x^$dnsrewrite=REFUSED"),
        ("||x^$dnsrewrite=REFUSED;A;1.2.3.4", "||x^$dnsrewrite=REFUSED"),
        ("||x^$dnsrewrite=NOERROR;A;1.2.3.4", "||x^$dnsrewrite=1.2.3.4"),
        ("||x^$dnsrewrite=noerror;a;1.2.3.4", "||x^$dnsrewrite=1.2.3.4"),
        ("||x^$dnsrewrite=NOERROR;AAAA;::1", "||x^$dnsrewrite=::1"),
        ("||x^$dnsrewrite=NOERROR;CNAME;other.example", "||x^$dnsrewrite=other.example"),
        ("||x^$dnsrewrite=NOERROR;MX;10 mail.example", "||x^$dnsrewrite=NOERROR;MX;10 mail.example."),
        ("||x^$dnsrewrite=NOERROR;PTR;host.example.", "||x^$dnsrewrite=NOERROR;PTR;host.example."),
        ("||x^$dnsrewrite=NOERROR;SRV;10 60 8080 srv.example", "||x^$dnsrewrite=NOERROR;SRV;10 60 8080 srv.example."),
        ("||x^$dnsrewrite=NOERROR;TXT;hello world", "||x^$dnsrewrite=NOERROR;TXT;\"hello world\""),
        ("||x^$dnsrewrite=NOERROR;TXT;a\\,b;c #d", "||x^$dnsrewrite=NOERROR;TXT;\"a\\,b;c #d\""),
        ("||x^$dnsrewrite=NOERROR;TXT;\"a\" \"b c\"", "||x^$dnsrewrite=NOERROR;TXT;\"a\" \"b c\""),
        ("||x^$dnsrewrite=NOERROR;TXT;\"say \\\"x\\\"\"", "||x^$dnsrewrite=NOERROR;TXT;\"say \\\"x\\\"\""),
        ("||x^$dnsrewrite=NOERROR;TXT;a$b", "||x^$dnsrewrite=NOERROR;TXT;\"a\\$b\""),
        (
            "||x^$dnsrewrite=NOERROR;HTTPS;32 example.com alpn=h3",
            "||x^$dnsrewrite=NOERROR;HTTPS;\\# 22 0020076578616d706c6503636f6d00000100030268\u{33}3",
        ),
        ("||x^$dnsrewrite=NOERROR;SVCB;1 .", "||x^$dnsrewrite=NOERROR;SVCB;\\# 3 000100"),
        ("||x^$dnsrewrite=NOERROR;TYPE65280;\\# 2 01ff", "||x^$dnsrewrite=NOERROR;TYPE65280;\\# 2 01ff"),
        ("||x^$dnstype=AAAA,dnsrewrite=NOERROR;;", "||x^$dnstype=AAAA,dnsrewrite=NOERROR"),
        ("|x^$important,dnsrewrite=1.2.3.4", "|x^$important,dnsrewrite=1.2.3.4"),
        ("x.com$dnsrewrite=1.2.3.4", "|x.com^$dnsrewrite=1.2.3.4"),
        ("/^ads/$dnsrewrite=NXDOMAIN", "/^ads/$dnsrewrite=NXDOMAIN"),
        ("||ads*$dnsrewrite=1.2.3.4,client=10.0.0.1", "||ads*$client=10.0.0.1,dnsrewrite=1.2.3.4"),
        (
            "||x^$dnsrewrite=NOERROR;HTTPS;1 . alpn=\"h2\\,h3\"",
            "||x^$dnsrewrite=NOERROR;HTTPS;\\# 13 0001000001000602683202\u{36}833",
        ),
        ("||x^$dnsrewrite", "skip a modifier without its value: `dnsrewrite`"),
        ("||x^$dnsrewrite=", "skip a modifier without its value: `dnsrewrite`"),
        ("||x^$dnsrewrite=NOPE", "skip not a response code that `dnsrewrite` can give: `NOPE`"),
        ("||x^$dnsrewrite=BADVERS", "skip not a response code that `dnsrewrite` can give: `BADVERS`"),
        ("||x^$dnsrewrite=nope;;", "skip not a response code that `dnsrewrite` can give: `nope`"),
        ("||x^$dnsrewrite=NOERROR;NOPE;1", "skip not a record type: `NOPE`"),
        ("||x^$dnsrewrite=NOERROR;;1", "skip not a record type: ``"),
    ]);
    check_skipped(
        "not an answer that `dnsrewrite` can give",
        &[
            "||x^$dnsrewrite=NOERROR;A",
            "||x^$dnsrewrite=NOERROR;A;",
            "||x^$dnsrewrite=NOERROR;A;::1",
            "||x^$dnsrewrite=NOERROR;AAAA;1.2.3.4",
            "||x^$dnsrewrite=NOERROR;MX;mail.example",
            "||x^$dnsrewrite=NOERROR;TXT;",
            "||x^$dnsrewrite=NOERROR;TXT;\"a",
            "||x^$dnsrewrite=NOERROR;SRV;1 2 x",
            "||x^$dnsrewrite=NOERROR;HTTPS;a b",
            "||x^$dnsrewrite=NOERROR;ANY;1",
            "||x^$dnsrewrite=NOERROR;DNSKEY;1",
            "||x^$dnsrewrite=NOERROR;A;(1.2.3.4)",
        ],
    );
    check_skipped(
        "an exception from rewrites alone, which this program doesn't have",
        &["@@||x^$dnsrewrite", "@@||x^$dnsrewrite=1.2.3.4", "@@||x^$important,dnsrewrite=NXDOMAIN"],
    );
    check_skipped(
        "not a name",
        &[
            "||x^$dnsrewrite=a..b",
            "||x^$dnsrewrite=NOERROR;CNAME;a..b",
            "||x^$dnsrewrite=https://x/",
            "||x^$dnsrewrite=1.2.3.4:53",
            "||x^$dnsrewrite=1.2.3.4.",
            "||x^$dnsrewrite=*.x",
            "||x^$dnsrewrite=a b",
            "||x^$dnsrewrite=NOERROR;CNAME;1.2.3.4",
        ],
    );
}

#[test]
fn a_long_text_is_split_into_strings() {
    let rule = told(&format!("||x^$dnsrewrite=NOERROR;TXT;{}", "a".repeat(300))).rules.remove(0);
    let Action::Rewrite(data) = rule.action else { panic!("{rule}") };
    assert_eq!((data.records[0].data[0], data.records[0].data[256], data.records[0].data.len()), (255, 45, 302));
}

#[test]
fn codes() {
    for (text, code) in [("NXDOMAIN", Rcode::NXDOMAIN), ("REFUSED", Rcode::REFUSED), ("FORMERR", Rcode::FORMERR)] {
        assert_eq!(told(&format!("||x^$dnsrewrite={text}")).rules[0].action, Action::Code(code));
    }
    assert_eq!(told("||x^$dnsrewrite=NOERROR").rules[0].action, Action::NoData);
}

#[test]
fn lines_that_can_only_be_adblocks() {
    for text in [
        "||x.com^",
        "||x.com",
        "|x.com^",
        "|https://x",
        "@@x.com",
        "@@||x^",
        "/ads/",
        "/^a$/",
        "/a/$important",
        "x.com^",
        "[Adblock Plus 2.0]",
        "[AdBlock]",
        "[uBlock Origin]",
        "! Title: x",
        "!#include y",
        "x.com$important",
        "*$denyallow=com",
        "x.com$third-party,client=a",
        "$dnstype=A",
        "x.com##.ad",
        "x.com#@#.ad",
        "x.com#$#a",
        "x.com#%#a",
        "x.com#?#a",
        "*.x.com^",
        "x$dnsrewrite=1.2.3.4",
        "x$badfilter",
    ] {
        assert!(is_unmistakable(text), "{text}");
    }
    for text in [
        "",
        "x.com",
        "*.x.com",
        "0.0.0.0 x.com",
        "0.0.0.0 x.com # a",
        "0.0.0.0 x.com ## a",
        "# comment",
        "## comment",
        "##comment",
        "####",
        "#x#",
        "#! cleandns",
        "#: service: x",
        "!country:US",
        "@x.com",
        "=x.com",
        "192.0.2.0/24",
        "AS4134",
        "ns:x.com",
        "address=/x.com/",
        "local=/x.com/",
        "server=/x.com/",
        "local-zone: \"x.com\" refuse",
        "$TTL 300",
        "$ORIGIN x.",
        "x.com CNAME .",
        "*.x.com CNAME .",
        "// comment",
        "// a/",
        "//",
        "/etc/hosts",
        "x.com ! comment",
        "; comment",
        "@ SOA a. b. 1 2 3 4 5",
        "x$y",
        "x$third-party",
        "x.com;x",
        "important",
    ] {
        assert!(!is_unmistakable(text), "{text}");
    }
}
