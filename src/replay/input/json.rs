//! Logs of a JSON object a line: what they have in common, whoever wrote them.

use super::{Asked, Place, Source, Step, lines::Lines};
use serde::Deserialize;
use std::io::{self, BufRead};

/// Fills a place, in which all but the question is empty, with a line; or why that can't be.
pub(super) type ReadLine = fn(&[u8], &mut Asked) -> Result<Step, String>;

/// Reads lines of a log.
pub(super) struct JsonLines<R> {
    lines: Lines<R>,
    read: ReadLine,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(lines: Lines<R>, read: ReadLine) -> Self {
        Self { lines, read }
    }
}

impl<R: BufRead> Source for JsonLines<R> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        let line = match self.lines.next_line()? {
            Ok(line) => line,
            Err(step) => return Ok(step),
        };
        asked.clear();
        Ok((self.read)(line, asked).unwrap_or_else(|reason| Step::Skipped(reason.into())))
    }

    fn place(&self) -> Place {
        Place::Line(self.lines.number())
    }

    fn is_cut(&self) -> bool {
        self.lines.is_cut()
    }
}

/// A line as an object of somebody's log.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8], whose: &str) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        let error = error.to_string();
        // Where in the line that is would make as many reasons of one as there are lines.
        let what = error.rsplit_once(" at line ").map_or(&*error, |(what, _)| what);
        format!("the line is no query of {whose}: {what}")
    })
}
