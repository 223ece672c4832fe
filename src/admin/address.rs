//! Texts as parts of addresses.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What isn't written as it is: all but letters, digits and `-._~` (RFC 3986 §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one part of an address, whatever stands in it.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_into_addresses() {
        for (text, expected) in [
            ("a.b-c_~9", "a.b-c_~9"),
            ("=x&y <\"ü>/", "%3Dx%26y%20%3C%22%C3%BC%3E%2F"),
            ("/log?a=b&c=%20#", "%2Flog%3Fa%3Db%26c%3D%2520%23"),
        ] {
            assert_eq!(encoded(text), expected);
        }
    }
}
