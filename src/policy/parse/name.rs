//! Names as they stand in lists: any case, with or without a final dot, internationalised or not.

use crate::dns::Name;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Characters of a bad word that are told.
const SHOWN_CHARS_MAX: usize = 60;

/// Why something gives no rule: the reason, and what in particular.
pub type Problem = (&'static str, String);

/// Reads a name that may be a rule's: at least one label, and nothing that only looks like a name.
pub fn read_name(text: &str) -> Result<Name, Problem> {
    if !text.is_ascii() {
        return read_name(&to_ascii(text)?);
    }
    match text.parse::<Name>() {
        Ok(name) if name.is_root() => {
            Err(("the root would cover every name; write `*` if that is meant", String::new()))
        }
        Ok(name) if text.contains('*') => Err(("`*` may stand only as the first label", name.to_string())),
        Ok(_) if text.contains(['/', '$', '^', '|', ',', '(', '[', '=', ':', '@', '#', '"', '\\', '\'']) => {
            Err(("not a name; a rule of another format?", shown(text)))
        }
        Ok(name) => Ok(name),
        Err(error) => Err(("not a name", format!("`{}`: {error}", shown(text)))),
    }
}

/// The A-labels of an internationalised name (UTS 46, non-transitional). Underscores and odd hyphens are legal in the
/// DNS, so neither is looked at.
fn to_ascii(text: &str) -> Result<String, Problem> {
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
            &long,
        ] {
            assert!(read_name(text).is_err(), "{text}");
        }
    }
}
