//! Query files of dnsperf and resperf: a name and a type a line.

use super::{Asked, Place, Source, Step, lines::Lines};
use crate::dns::RrType;
use std::io::{self, BufRead};

/// Reads `name type` lines. Lines that begin with `;` or `#` are comments; what follows the type is an option of
/// dnsperf's.
pub(super) struct Dnsperf<R>(Lines<R>);

impl<R: BufRead> Dnsperf<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        Self(lines)
    }
}

impl<R: BufRead> Source for Dnsperf<R> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        let line = match self.0.next_line()? {
            Ok(line) => line,
            Err(step) => return Ok(step),
        };
        if is_comment(line) {
            return Ok(Step::Ignored);
        }
        asked.clear();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(name), Some(rr_type)) = (words.next(), words.next()) else {
            return Step::skipped("the line is no name and type, such as `example.com A`");
        };
        let Some(rr_type) = type_of(rr_type) else {
            return Step::skipped("the second word is no record type");
        };
        if let Err(error) = asked.name.assign(name) {
            return Step::skipped(error.to_string());
        }
        asked.rr_type = rr_type;
        Ok(Step::Asked)
    }

    fn place(&self) -> Place {
        Place::Line(self.0.number())
    }

    fn is_cut(&self) -> bool {
        self.0.is_cut()
    }
}

pub(super) fn is_comment(line: &[u8]) -> bool {
    matches!(line.first(), Some(b';' | b'#'))
}

/// The type that a word names.
pub(super) fn type_of(word: &[u8]) -> Option<RrType> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
