//! Lines that are skipped, and why.

use super::*;

#[test]
fn what_a_resolver_cant_honour() {
    for modifier in [
        "third-party",
        "~third-party",
        "3p",
        "1p",
        "first-party",
        "script",
        "~script",
        "image",
        "stylesheet",
        "xhr",
        "subdocument",
        "document",
        "doc",
        "popup",
        "all",
        "other",
        "ping",
        "media",
        "font",
        "object",
        "websocket",
        "webrtc",
        "match-case",
        "elemhide",
        "generichide",
        "genericblock",
        "ehide",
        "ghide",
        "urlblock",
        "jsinject",
        "content",
        "extension",
        "stealth",
        "cname",
        "empty",
        "mp4",
        "inline-script",
        "inline-font",
        "strict1p",
        "~client",
        "noop",
        "IMPORTANT",
    ] {
        let expected = format!("skip a modifier that a resolver can't honour: `{modifier}`");
        check(&[
            (&format!("||x.com^${modifier}"), &expected),
            (&format!("||x.com^$important,{modifier}"), &expected),
            (&format!("@@||x.com^${modifier},important"), &expected),
        ]);
    }
    for modifier in [
        "domain=a.com|~b.com",
        "app=com.x",
        "path=/ads",
        "csp=script-src",
        "redirect=noopjs",
        "redirect-rule=1x1.gif",
        "removeparam=x",
        "removeheader=y",
        "replace=/a/b/",
        "method=get",
        "to=x.com",
        "from=x.com",
        "cookie=z",
        "header=a:b",
        "permissions=x",
        "rewrite=abp-resource:x",
        "sitekey=k",
        "hls=x",
        "jsonprune=x",
        "network=x",
        "urltransform=/a/b/",
        "referrerpolicy=no-referrer",
    ] {
        let name = modifier.split('=').next().unwrap();
        let expected = format!("skip a modifier that a resolver can't honour: `{name}`");
        check(&[(&format!("||x.com^${modifier}"), &expected)]);
    }
    check(&[
        ("||x.com^$", "skip an empty modifier: "),
        ("||x.com^$important,", "skip an empty modifier: "),
        ("||x.com^$,important", "skip an empty modifier: "),
        ("||x.com^$important=1", "skip a modifier that takes no value: `important`"),
        ("||x.com^$badfilter=", "skip a modifier that takes no value: `badfilter`"),
        ("||x.com^$=a", "skip a modifier that a resolver can't honour: ``"),
    ]);
}

#[test]
fn rules_on_urls_and_pages() {
    check_skipped(
        URL_RULE,
        &[
            "||x.com/path",
            "||x.com/",
            "||x.com/*",
            "||x.com^path",
            "||x.com^*path",
            "||x.com^path^",
            "||x.com/a^",
            "http://x.com",
            "https://x.com/",
            "|https://x.com",
            "|http://x.com^",
            "||https://x.com^",
            "://x.com^",
            "|wss://x.com^",
            "||x.com:8080^",
            "||x.com:443",
            "/ads/banner.",
            "/banner*.gif",
            "&ad_box_",
            "?ad=",
            "x.com/ads.js",
            "-ad.jpg?",
            "=ads&",
            "@@||x.com/path",
            "@@|https://x.com^",
            "||x.com%2f^",
            "x|y",
            "x^y",
            "||x.com/path$important",
            "||x.com^*/ads",
            "||x^.com^",
            "ads+x",
        ],
    );
    check_skipped(
        COSMETIC_RULE,
        &[
            "##.ad",
            "###ad",
            "##div[id]",
            "x.com##.ad",
            "x.com,~y.com##.ad",
            "x.com#@#.ad",
            "#@#.ad",
            "x.com#$#a { }",
            "#$#body",
            "x.com#%#window.a = 1",
            "#%#//scriptlet('a')",
            "x.com#?#div:has(a)",
            "#?#div",
            "x.com#@?#div",
            "x.com#$?#div",
            "x.com#@$#div",
            "x.com#@%#a",
            "x.com$$script[a]",
            "x.com$@$script[a]",
            "x.com##+js(a)",
            "*##.ad",
            "##*",
            "##:root",
            "~x.com##.a",
            "x.*##.ad",
            "[$path=/a]x.com##.ad",
            "[$path=/a]x.com##div[id]",
        ],
    );
    check_skipped(DIRECTIVE, &["!#if adguard", "!#endif", "!#include x.txt", "!#else", "!#safari_cb_affinity"]);
}

#[test]
fn lines_that_say_nothing() {
    for text in [
        "",
        "!",
        "! Title: x",
        "!comment",
        "!+ NOT_OPTIMIZED",
        "! ||x.com^",
        "[Adblock Plus 2.0]",
        "[AdBlock]",
        "#",
        "# x",
        "#x",
        "#||x.com^",
        "####",
        "#### x ####",
        "## x",
        "# ## x",
        "###",
        "[uBlock Origin]",
        "#!x",
        "### x",
    ] {
        assert_eq!(shown(text), "", "{text}");
    }
}

#[test]
fn lines_that_are_no_rules() {
    check_skipped(NO_PATTERN, &["||^", "|", "||", "^", "@@", "@@||", "||^$important", "$important", "|^", "||^|"]);
    check_skipped(
        "not a name",
        &["||1.2.3.4.^", "1.2.3.4.", "||a..b^", "||.x.com^", "|a..b^", "||x\"y^", "||x,y^", "||x'^", "{}", "||x(y)^"],
    );
    check_skipped("a modifier with control characters", &["||x.com^$client=a\tb", "||x.com^$ctag=a\tb"]);
    check_skipped(WHITE_SPACE, &["||x.com y.com^", "x.com y.com", "0.0.0.0 x.com", "||x.com^ $important", "|| x.com^"]);
    check_skipped(SHORT_PATTERN, &["a*", "*a", "x^", ".a", "|a"]);
    check_skipped("a pattern with letters beyond ASCII; write A-labels (xn--…)", &["||mü*^", "||müller", "*ü*"]);
    let long = format!("||{}.com^", "a".repeat(64));
    check_skipped("not a name", &[&long]);
    // A condition makes a short pattern narrow.
    check(&[("a*$client=10.0.0.1", "*a*$client=10.0.0.1")]);
}

#[test]
fn strange_lines_never_panic() {
    let signs = [
        "||",
        "|",
        "@@",
        "^",
        "$",
        "*",
        "/",
        "\\",
        ",",
        "=",
        "'",
        "\"",
        "#",
        "~",
        "ü",
        "x.com",
        "!",
        "[",
        "]",
        ";",
        "client",
        "dnsrewrite",
        "dnstype",
        "denyallow",
        "ctag",
        "NOERROR",
        " ",
        "1.2.3.4",
        ":",
        ".",
    ];
    for one in signs {
        for two in signs {
            for three in signs {
                for text in [
                    format!("{one}{two}{three}"),
                    format!("||x^$dnsrewrite={one}{two}{three}"),
                    format!("||x^$client={one}{two}{three}"),
                ] {
                    let told = told(&text);
                    assert!(told.rules.len() + told.disabled.len() + told.skipped.len() <= 1, "{text}");
                    is_unmistakable(&text);
                }
            }
        }
    }
}
