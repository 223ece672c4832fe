//! Patterns over the text of names: compiled once a list, looked for all at once.
//!
//! Nearly every pattern holds some text that a name must hold too for it to match. One automaton over those texts tells
//! in one pass which patterns are worth trying; the few without any are regular expressions tried as one set. Regular
//! expressions run in time linear in the name (no back-references), and what they may grow to is bounded.

use super::rule::{Anchor, Pattern};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Hir, HirKind};
use std::hash::{Hash, Hasher};

/// Characters of a pattern. Real ones have a few dozen; the longest seen in public lists some hundreds.
const PATTERN_CHARS_MAX: usize = 1024;
/// Octets that one compiled regular expression may take: `(a{500}){500}` would take megabytes.
const REGEX_BYTES_MAX: usize = 256 << 10;
/// Octets that all regular expressions without a fixed text may take as one set.
const REGEX_SET_BYTES_MAX: usize = 32 << 20;
/// How deep groups may stand in each other.
const REGEX_DEPTH_MAX: u32 = 50;
/// Regular expressions of a set that matched that are tried one by one to find out which: a tenth of a microsecond each.
const TRIED_ONE_BY_ONE_MAX: usize = 64;
/// Octets of all fixed texts of which tables are made: those of some two thousand patterns, in five megabytes.
const TABLE_TEXT_BYTES_MAX: usize = 20_000;
/// Octets of a fixed text that is worth looking for: one letter is in every name.
const LITERAL_BYTES_MIN: usize = 2;

/// Why a pattern can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern has more than {PATTERN_CHARS_MAX} characters")]
    TooLong,
    #[error("not a regular expression that can be used: {0}")]
    Regex(String),
}

/// A pattern ready to be tried.
#[derive(Clone, Debug)]
pub struct Compiled {
    pattern: Pattern,
    test: Test,
    /// Text that every matching name holds.
    literal: Option<Box<[u8]>>,
}

#[derive(Clone, Debug)]
enum Test {
    Glob,
    Regex(Regex),
}

impl Compiled {
    pub fn new(pattern: Pattern) -> Result<Self, PatternError> {
        let text = match &pattern {
            Pattern::Glob { text, .. } | Pattern::Regex(text) => text,
        };
        if text.chars().count() > PATTERN_CHARS_MAX {
            return Err(PatternError::TooLong);
        }
        let (test, literal) = match &pattern {
            Pattern::Glob { text, .. } => (Test::Glob, longest(text.as_bytes().split(|&byte| byte == b'*'))),
            Pattern::Regex(text) => {
                let regex = RegexBuilder::new(text)
                    .case_insensitive(true)
                    .unicode(false)
                    .size_limit(REGEX_BYTES_MAX)
                    .dfa_size_limit(REGEX_BYTES_MAX)
                    .nest_limit(REGEX_DEPTH_MAX)
                    .build()
                    .map_err(|error| PatternError::Regex(one_line(&error.to_string())))?;
                (Test::Regex(regex), required_literal(text))
            }
        };
        let literal = literal.filter(|literal| literal.len() >= LITERAL_BYTES_MIN);
        Ok(Self { pattern, test, literal })
    }

    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// True if the pattern is found in a name's text: lower case, without the final dot.
    pub fn is_match(&self, name: &[u8]) -> bool {
        match (&self.pattern, &self.test) {
            (_, Test::Regex(regex)) => regex.is_match(name),
            (Pattern::Glob { start, text, end }, Test::Glob) => glob_matches(*start, text.as_bytes(), *end, name),
            (Pattern::Regex(_), Test::Glob) => false,
        }
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Compiled {}

impl Hash for Compiled {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.pattern.hash(hasher);
    }
}

/// Many patterns, each with what is to be told when it matches.
pub struct Patterns<T> {
    all: Vec<(std::sync::Arc<Compiled>, T)>,
    /// Finds the fixed texts, by number.
    texts: Option<AhoCorasick>,
    /// For each fixed text, the patterns that hold it.
    by_text: Vec<Vec<u32>>,
    /// Regular expressions without a fixed text, as one set; `None` if there are none or the set would be too large.
    set: Option<RegexSet>,
    in_set: Vec<u32>,
    /// What must be tried on every name.
    always: Vec<u32>,
}

impl<T: Copy> Patterns<T> {
    pub fn new(all: Vec<(std::sync::Arc<Compiled>, T)>) -> Self {
        let mut texts: std::collections::BTreeMap<&[u8], Vec<u32>> = std::collections::BTreeMap::new();
        let (mut in_set, mut always) = (Vec::new(), Vec::new());
        for (index, (compiled, _)) in all.iter().enumerate() {
            let index = index as u32;
            match (&compiled.literal, &compiled.test) {
                (Some(literal), _) => texts.entry(literal).or_default().push(index),
                (None, Test::Regex(_)) => in_set.push(index),
                (None, Test::Glob) => always.push(index),
            }
        }
        let regexes = in_set.iter().filter_map(|&index| match &all[index as usize].0.test {
            Test::Regex(regex) => Some(regex.as_str()),
            Test::Glob => None,
        });
        let set = (!in_set.is_empty())
            .then(|| {
                RegexSetBuilder::new(regexes)
                    .case_insensitive(true)
                    .unicode(false)
                    .size_limit(REGEX_SET_BYTES_MAX)
                    .dfa_size_limit(REGEX_SET_BYTES_MAX)
                    .build()
                    .ok()
            })
            .flatten();
        if set.is_none() {
            always.append(&mut in_set);
        }
        let found = (!texts.is_empty()).then(|| {
            let octets: usize = texts.keys().map(|text| text.len()).sum();
            // A table for each state takes one access a letter, and a quarter of a kilobyte an octet of text.
            let is_small = octets <= TABLE_TEXT_BYTES_MAX;
            AhoCorasick::builder()
                .kind(Some(if is_small { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA }))
                .match_kind(MatchKind::Standard)
                .build(texts.keys())
                .ok()
        });
        let found = found.flatten();
        if found.is_none() {
            always.extend(texts.values().flatten());
        }
        let by_text = texts.into_values().collect();
        Self { all, texts: found, by_text, set, in_set, always }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Calls `found` for every pattern that matches a name's text. One that holds its text in several places of the
    /// name may be told several times.
    pub fn matches(&self, name: &[u8], mut found: impl FnMut(T)) {
        let mut attempt = |index: u32| {
            let (compiled, what) = &self.all[index as usize];
            if compiled.is_match(name) {
                found(*what);
            }
        };
        self.always.iter().for_each(|&index| attempt(index));
        if let Some(set) = &self.set
            && set.is_match(name)
        {
            // To ask the set which ones is an allocation; a few are tried faster.
            if self.in_set.len() <= TRIED_ONE_BY_ONE_MAX {
                self.in_set.iter().for_each(|&index| attempt(index));
            } else {
                set.matches(name).iter().for_each(|at| attempt(self.in_set[at]));
            }
        }
        if let Some(texts) = &self.texts {
            for text in texts.find_overlapping_iter(name) {
                self.by_text[text.pattern().as_usize()].iter().for_each(|&index| attempt(index));
            }
        }
    }
}

/// Finds a glob in a name. Each piece between stars is looked for as far left as it can stand, which leaves most room
/// for those after it; only the last may have to stand at the end.
fn glob_matches(start: Anchor, glob: &[u8], end: bool, name: &[u8]) -> bool {
    let mut pieces = glob.split(|&byte| byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return match (start, end) {
            (Anchor::Start, true) => name == first,
            (Anchor::Start, false) => name.starts_with(first),
            (Anchor::Anywhere, true) => name.ends_with(first),
            (Anchor::Anywhere, false) => find(name, first, 0).is_some(),
            (Anchor::Label, true) => name.ends_with(first) && is_label_start(name, name.len() - first.len()),
            (Anchor::Label, false) => find_at_label(name, first).is_some(),
        };
    }
    let began = match start {
        Anchor::Start => name.starts_with(first).then_some(0),
        Anchor::Anywhere => find(name, first, 0),
        Anchor::Label => find_at_label(name, first),
    };
    let Some(mut at) = began.map(|at| at + first.len()) else {
        return false;
    };
    while let Some(piece) = pieces.next() {
        if end && pieces.peek().is_none() {
            return name.len() >= at + piece.len() && name.ends_with(piece);
        }
        match find(name, piece, at) {
            Some(found) => at = found + piece.len(),
            None => return false,
        }
    }
    true
}

fn is_label_start(name: &[u8], at: usize) -> bool {
    at == 0 || name[at - 1] == b'.'
}

fn find(name: &[u8], piece: &[u8], from: usize) -> Option<usize> {
    if piece.is_empty() {
        return Some(from);
    }
    name.get(from..)?.windows(piece.len()).position(|own| own == piece).map(|at| from + at)
}

fn find_at_label(name: &[u8], piece: &[u8]) -> Option<usize> {
    let starts =
        std::iter::once(0).chain(name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at + 1));
    { starts }.find(|&at| name[at..].starts_with(piece))
}

fn longest<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Box<[u8]>> {
    pieces.max_by_key(|piece| piece.len()).filter(|piece| !piece.is_empty()).map(Box::from)
}

/// The longest text that every match of a regular expression holds, lower case, as the names are.
fn required_literal(text: &str) -> Option<Box<[u8]>> {
    // As written, not folded: folded, every letter would be a choice of two.
    let hir =
        regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(REGEX_DEPTH_MAX).build().parse(text);
    let mut literal = in_every_match(&hir.ok()?)?;
    literal.make_ascii_lowercase();
    Some(literal)
}

fn in_every_match(hir: &Hir) -> Option<Box<[u8]>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.clone()),
        HirKind::Capture(capture) => in_every_match(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => in_every_match(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(in_every_match).max_by_key(|literal| literal.len()),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn glob(start: Anchor, text: &str, end: bool) -> Pattern {
        Pattern::Glob { start, text: text.to_owned(), end }
    }

    #[test]
    fn globs() {
        use Anchor::{Anywhere, Label, Start};
        for (start, text, end, yes, no) in [
            (Anywhere, "ads", false, "x.ads.y roads.z adsense.w", "a.d.s"),
            (Anywhere, "ads.*", false, "ads.x.y roads.z", "ads adsx.y"),
            (Anywhere, "*", false, "a a.b", ""),
            (Start, "ads", false, "ads ads.x adsense.x", "x.ads"),
            (Start, "ads.x", true, "ads.x", "ads.x.y x.ads.x"),
            (Label, "ads", false, "ads.x x.ads.y x.adsense.y", "roads.x x.loads"),
            (Label, "ads*.x", true, "ads1.x y.ads.x ads.b.x", "roads.x ads.x.y"),
            (Label, "x.y", true, "x.y a.x.y", "ax.y x.y.z"),
            (Anywhere, "a*b*c", true, "abc xa.b.c aXbbXcc", "abcd ab acb"),
            (Anywhere, "ab*ba", true, "abba ab.ba", "aba"),
            (Start, "a*", true, "a a.b", "b.a"),
            (Anywhere, "*.zip", true, "x.zip a.b.zip", "zip x.zip.y"),
        ] {
            let compiled = Compiled::new(glob(start, text, end)).unwrap();
            let all = Patterns::new(vec![(Arc::new(compiled.clone()), ())]);
            for (names, expected) in [(yes, true), (no, false)] {
                for name in names.split_whitespace() {
                    let name = name.to_ascii_lowercase();
                    assert_eq!(compiled.is_match(name.as_bytes()), expected, "{start:?} {text} {end} {name}");
                    let mut found = false;
                    all.matches(name.as_bytes(), |()| found = true);
                    assert_eq!(found, expected, "{start:?} {text} {end} {name} among others");
                }
            }
        }
    }

    #[test]
    fn regular_expressions_and_the_text_they_need() {
        for (text, literal, yes, no) in [
            ("^ads?[0-9]+\\.", Some("ad"), "ad1.x ads22.y", "xads1.y ads.x"),
            ("(foo|bar)\\.example$", Some(".example"), "foo.example a.bar.example", "example foo.example.x"),
            ("TrackER", Some("tracker"), "mytracker.x", "track.er"),
            ("^[a-z]{3}$", None, "abc", "abcd a.c"),
            ("(?:abc)+d", Some("abc"), "abcabcd", "abd"),
            ("(abc)?d", None, "d abcd", "abc"),
        ] {
            let compiled = Compiled::new(Pattern::Regex(text.to_owned())).unwrap();
            let own = compiled.literal.as_deref().map(|literal| String::from_utf8_lossy(literal).into_owned());
            assert_eq!(own.as_deref(), literal, "{text}");
            let all = Patterns::new(vec![(Arc::new(compiled.clone()), ())]);
            for (names, expected) in [(yes, true), (no, false)] {
                for name in names.split_whitespace() {
                    assert_eq!(compiled.is_match(name.as_bytes()), expected, "{text} {name}");
                    let mut found = false;
                    all.matches(name.as_bytes(), |()| found = true);
                    assert_eq!(found, expected, "{text} {name} among others");
                }
            }
        }
        let long = "a".repeat(2000);
        let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        for text in ["(", "a{5000}{5000}", "(?<=a)b", "\\1", long.as_str(), deep.as_str()] {
            assert!(Compiled::new(Pattern::Regex(text.to_owned())).is_err(), "{text}");
        }
    }
}
