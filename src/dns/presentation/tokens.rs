//! Text of a zone file as words (RFC 1035 §5.1): white space, quotation marks, parentheses, comments, escapes.

/// One word of a zone file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Without the quotation marks around it; escapes are still inside.
    pub text: &'a [u8],
    pub quoted: bool,
}

impl<'a> Field<'a> {
    /// A word without quotation marks.
    pub fn word(text: &'a str) -> Self {
        Self { text: text.as_bytes(), quoted: false }
    }

    /// A word that stood in quotation marks.
    pub fn quoted(text: &'a str) -> Self {
        Self { text: text.as_bytes(), quoted: true }
    }
}

/// What text is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'a> {
    Field(Field<'a>),
    /// `(`: the record goes on over the ends of lines.
    Open,
    /// `)`
    Close,
}

/// A quotation mark has no partner on its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a quotation mark is never closed; each needs a second one on its line, and `\\\"` stands for a mark itself")]
pub struct UnclosedQuote;

/// Splits text, of one line or more, into tokens. Comments are left out; nothing comes after an unclosed quote.
pub struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The offset of the quotation mark that ends what begins at `from`.
    fn end_of_quote(&self, from: usize) -> Result<usize, UnclosedQuote> {
        let mut at = from;
        while let Some(&octet) = self.text.get(at) {
            match octet {
                b'"' => return Ok(at),
                b'\n' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        Err(UnclosedQuote)
    }

    /// The offset after the word that begins at `from`. A quotation mark ends a word, except after `=`: there it
    /// belongs to it, because that is how the parameters of service records are written (RFC 9460 §2.1).
    fn end_of_word(&self, from: usize) -> Result<usize, UnclosedQuote> {
        let mut at = from;
        while let Some(&octet) = self.text.get(at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b';' => break,
                b'"' if at > from && self.text[at - 1] == b'=' => at = self.end_of_quote(at + 1)? + 1,
                b'"' => break,
                b'\\' if self.text.get(at + 1).is_some_and(|&next| next != b'\n') => at += 2,
                _ => at += 1,
            }
        }
        Ok(at)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, UnclosedQuote>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.text;
            match *text.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b';' => {
                    let comment = &text[self.at..];
                    self.at += comment.iter().position(|&octet| octet == b'\n').unwrap_or(comment.len());
                }
                b'(' => {
                    self.at += 1;
                    return Some(Ok(Token::Open));
                }
                b')' => {
                    self.at += 1;
                    return Some(Ok(Token::Close));
                }
                first => {
                    let quoted = first == b'"';
                    let start = self.at + usize::from(quoted);
                    let end = if quoted { self.end_of_quote(start) } else { self.end_of_word(start) };
                    self.at = end.map_or(text.len(), |end| end + usize::from(quoted));
                    return Some(end.map(|end| Token::Field(Field { text: &text[start..end], quoted })));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words, `"quoted"` ones in marks, parentheses; `!` for an unclosed quote.
    fn show(text: &str) -> String {
        let all: Vec<String> = Tokens::new(text.as_bytes())
            .map(|token| match token {
                Ok(Token::Field(Field { text, quoted: false })) => String::from_utf8_lossy(text).into_owned(),
                Ok(Token::Field(Field { text, quoted: true })) => format!("\"{}\"", String::from_utf8_lossy(text)),
                Ok(Token::Open) => "(".to_owned(),
                Ok(Token::Close) => ")".to_owned(),
                Err(UnclosedQuote) => "!".to_owned(),
            })
            .collect();
        all.join("|")
    }

    #[test]
    fn text_is_split_into_words() {
        for (text, expected) in [
            ("", ""),
            (" \t\r\n", ""),
            ("a b\tc\r\n", "a|b|c"),
            ("a ; comment ( \" )\nb", "a|b"),
            ("a;b", "a"),
            (r"a\;b c\ d", r"a\;b|c\ d"),
            ("(a)b(", "(|a|)|b|("),
            ("\"a b\" \"\" c", "\"a b\"|\"\"|c"),
            (r#""a\"b" c"#, r#""a\"b"|c"#),
            (r#""a\\" c"#, r#""a\\"|c"#),
            ("a\"b c\"d", "a|\"b c\"|d"),
            ("\"a;(\"", "\"a;(\""),
            ("alpn=\"h2,h3\" port=53", "alpn=\"h2,h3\"|port=53"),
            ("key=\"a b;(\"x y", "key=\"a b;(\"x|y"),
            ("=\"a b\"", "=\"a b\""),
            ("a \"b", "a|!"),
            ("a \"b\nc\" d", "a|!"),
            (r#"a "b\"#, "a|!"),
            ("k=\"b", "!"),
            (r"a\", r"a\"),
            ("a\\\nb", "a\\|b"),
        ] {
            assert_eq!(show(text), expected, "{text:?}");
        }
    }
}
