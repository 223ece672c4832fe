//! Names as they stand in lists: any case, with or without a final dot, internationalised or not.

use crate::dns::Name;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Characters of a bad word that are told.
const SHOWN_CHARS_MAX: usize = 60;

/// Why something gives no rule: the reason, and what in particular.
pub type Problem = (&'static str, String);

pub const NOT_A_NAME: &str = "not a name";

/// What an octet of a word tells about it; most words have none of these.
const SIGNS: [u8; 256] = {
    let mut signs = [ODD; 256];
    let mut octet = 0;
    while octet < 256 {
        signs[octet] = match octet as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => 0,
            // In no host's name, but in some that are asked for all the same.
            b'+' => 0,
            b'*' => STAR,
            b'\\' => ESCAPE,
            0x80.. => BEYOND_ASCII,
            _ => ODD,
        };
        octet += 1;
    }
    signs
};
const STAR: u8 = 1;
/// A backslash: what follows it is meant as it stands.
const ESCAPE: u8 = 2;
const BEYOND_ASCII: u8 = 4;
/// Signs that have a meaning in some format, white space, control characters.
const ODD: u8 = 8;

/// Reads a name that may be a rule's: at least one label, and nothing that only looks like a name.
pub fn read_name(text: &str) -> Result<Name, Problem> {
    // One pass tells nearly all words to be plain.
    let found = text.bytes().fold(0, |all, octet| all | SIGNS[usize::from(octet)]);
    if found != 0 {
        return read_unusual(text, found);
    }
    if looks_like_ipv4(text) {
        return Err(("an address that is none; each of its four numbers is at most 255", shown(text)));
    }
    read_ascii(text)
}

/// Four numbers, which nobody means as a name.
fn looks_like_ipv4(text: &str) -> bool {
    text.as_bytes().last().is_some_and(u8::is_ascii_digit)
        && text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.')
        && text.bytes().filter(|&octet| octet == b'.').count() == 3
}

/// Reads a word with other signs than names usually have.
fn read_unusual(text: &str, found: u8) -> Result<Name, Problem> {
    let found = if found & ESCAPE == 0 { found } else { unescaped_signs(text) };
    if found & BEYOND_ASCII != 0 {
        return if text.contains('\\') {
            Err(("not a name: backslashes and letters beyond ASCII don't go together", shown(text)))
        } else {
            read_name(&to_ascii(text)?)
        };
    }
    if found & ODD != 0 {
        return Err(("not a name; a rule of another format?", shown(text)));
    }
    if found & STAR != 0 {
        return Err(("`*` may stand only as the first label", shown(text)));
    }
    read_ascii(text)
}

/// What the octets tell that no backslash stands before.
fn unescaped_signs(text: &str) -> u8 {
    let (mut found, mut octets) = (0, text.bytes());
    while let Some(octet) = octets.next() {
        if octet == b'\\' {
            octets.next();
        } else {
            found |= SIGNS[usize::from(octet)];
        }
    }
    found
}

fn read_ascii(text: &str) -> Result<Name, Problem> {
    match text.parse::<Name>() {
        Ok(name) if name.is_root() => {
            Err(("the root would cover every name; write `*` if that is meant", String::new()))
        }
        Ok(name) => Ok(name),
        Err(error) => Err((NOT_A_NAME, format!("`{}`: {error}", shown(text)))),
    }
}

/// The A-labels of an internationalised name (UTS 46, non-transitional). Underscores and odd hyphens are legal in the
/// DNS, so neither is looked at.
pub fn to_ascii(text: &str) -> Result<String, Problem> {
    let converted = Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
    match converted {
        // What is still not ASCII was not understood, and would come back here for ever.
        Ok(ascii) if ascii.is_ascii() => Ok(ascii.into_owned()),
        _ => Err(("not a name that can be written in A-labels (xn--…)", shown(text))),
    }
}

/// The beginning of a word, for a report.
pub fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_they_stand_in_lists() {
        for (text, expected) in [
            ("a.example", "a.example"),
            ("A.Example.", "a.example"),
            ("com", "com"),
            ("_dmarc.x-y-.example", "_dmarc.x-y-.example"),
            ("-a-.ex--ample", "-a-.ex--ample"),
            ("xn--fiqs8s", "xn--fiqs8s"),
            ("xn--mller-kva.de", "xn--mller-kva.de"),
            ("müller.de", "xn--mller-kva.de"),
            ("MÜLLER.de.", "xn--mller-kva.de"),
            // Not transitional: ß stays itself.
            ("straße.example", "xn--strae-oqa.example"),
            ("中国", "xn--fiqs8s"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("_a.müller.de", "_a.xn--mller-kva.de"),
            ("ｅｘａｍｐｌｅ．com", "example.com"),
            ("x.1", "x.1"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("1e100.net", "1e100.net"),
            ("a+b.example", r"a+b.example"),
            // After a backslash everything is meant as it stands.
            (r"a\.b.example", r"a\.b.example"),
            (r"a\$b\047c.example", r"a\$b/c.example"),
            (r"\*.example", "*.example"),
            (r"\195\188.example", r"\195\188.example"),
        ] {
            assert_eq!(read_name(text).map(|name| name.to_string()), Ok(expected.to_owned()), "{text}");
        }
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a.*.b",
            "x*",
            "a/b",
            "a,b",
            "a$b",
            "||a^",
            "http://a",
            "a b",
            "a@b",
            "\u{200d}.x",
            "a;b",
            "a:53",
            "a=b",
            "=a",
            "#a",
            "a?",
            "(a)",
            "[a]",
            "{a}",
            "<a>",
            "\"a\"",
            "'a'",
            "a|b",
            "a!",
            "a%20b",
            "a\u{7f}",
            "a／b",
            "192.0.2.300",
            "1..2",
            r"a\",
            r"a\25",
            r"a\256",
            r"ü\.x",
            "xn--\u{fc}.x",
            &long,
        ] {
            assert!(read_name(text).is_err(), "{text}");
        }
    }
}
