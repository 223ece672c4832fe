//! What is wrong with a configuration: where it stands, which option it is, what was found, and what to write instead.
//!
//! Problems are gathered, not thrown: one reading reports them all. Nothing here prints or ends the program.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt,
    ops::Range,
};

/// Problems told of one file: more fill the screen, and mean that the file is something else.
const PROBLEMS_MAX: usize = 100;

/// One thing wrong, or worth knowing, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it is shown: relative to the current folder where it is below it.
    pub file: String,
    /// Counted from 1; 0: the file as a whole.
    pub line: usize,
    /// In characters, counted from 1; 0: the file as a whole.
    pub column: usize,
    /// Dotted name, such as `resolve.validate`; empty when the text could not be read that far.
    pub option: String,
    /// What is wrong, then what to do.
    pub message: String,
}

impl Problem {
    /// A problem of a whole file, such as one that can't be read.
    pub(super) fn whole_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, option: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    /// `config/cleandns.toml:12:5: resolve.validate: expected …; write …`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.option.is_empty() {
            write!(f, ": {}", self.option)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that keeps a configuration from being used, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<std::io::Error> for Problems {
    /// The process can't tell where it is.
    fn from(error: std::io::Error) -> Self {
        let message = format!("can't be looked for, since the current folder can't be told: {error}");
        Self(vec![Problem::whole_file("configuration", message)])
    }
}

/// A text that belongs to a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is called in messages.
    pub name: String,
    pub text: String,
    pub kind: DocumentKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    File,
    /// A variable of the environment, by its name.
    Variable(String),
}

impl Document {
    pub fn file(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), kind: DocumentKind::File }
    }
}

/// A document at its place among all that are read together: offsets count through all of them.
#[derive(Clone)]
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub kind: &'a DocumentKind,
    /// The offset of its first octet.
    pub start: usize,
}

/// Gathers problems while documents are read.
pub(super) struct Report<'a> {
    sources: Vec<Source<'a>>,
    /// Each with its offset.
    problems: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<(usize, Problem)>>,
    /// Where syntax is broken.
    unreadable: RefCell<Vec<Range<usize>>>,
    /// Problems beyond the bound have been left out.
    cut: Cell<bool>,
    /// The options that were asked for, by their dotted names, set or not.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Report<'a> {
    pub fn new(documents: &'a [Document]) -> Self {
        let mut start = 0;
        let sources = documents.iter().map(|Document { name, text, kind }| {
            // A byte order mark is no text.
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let source = Source { name, text, kind, start };
            // One more, so that the end of a text is its own.
            start += text.len() + 1;
            source
        });
        Self {
            sources: sources.collect(),
            problems: <_>::default(),
            warnings: <_>::default(),
            unreadable: <_>::default(),
            cut: Cell::new(false),
            asked: <_>::default(),
        }
    }

    /// Notes that there is an option of this name.
    pub fn asks_for(&self, option: &str) {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(option) {
            asked.insert(option.to_owned());
        }
    }

    /// The options that were asked for.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// True if some of the text isn't TOML, so that there may be more in it than was seen.
    pub fn is_broken(&self) -> bool {
        !self.unreadable.borrow().is_empty() || self.cut.get()
    }

    /// What is read, in the order in which it counts.
    pub fn sources(&self) -> &[Source<'a>] {
        &self.sources
    }

    /// Notes that the text at `at` isn't TOML, and that nothing in `unreadable` can be trusted because of it: what
    /// else is wrong there is mostly the same mistake.
    pub fn broken(&self, at: Range<usize>, unreadable: Range<usize>, message: impl Into<String>) {
        self.problem(at, "", message);
        self.unreadable.borrow_mut().push(unreadable);
    }

    /// True where nothing more needs to be said, so nothing more needs to be found out.
    pub fn is_done_with(&self, offset: usize) -> bool {
        self.cut.get() || self.unreadable.borrow().iter().any(|unreadable| unreadable.contains(&offset))
    }

    /// Notes what is wrong with the option at `at`.
    pub fn problem(&self, at: Range<usize>, option: &str, message: impl Into<String>) {
        if self.is_done_with(at.start) {
            return;
        }
        if self.problems.borrow().len() == PROBLEMS_MAX {
            self.cut.set(true);
            return;
        }
        self.problems.borrow_mut().push((at.start, self.at(at.start, option, message)));
    }

    /// Notes that something isn't there. Silent in broken text, where it may be there and only unreadable.
    pub fn missing(&self, at: Range<usize>, option: &str, message: impl Into<String>) {
        if self.unreadable.borrow().is_empty() {
            self.problem(at, option, message);
        }
    }

    /// Notes what is allowed and yet perhaps not meant.
    pub fn warn(&self, at: Range<usize>, option: &str, message: impl Into<String>) {
        // Bounded apart from the problems: no number of warnings may hide one.
        if self.warnings.borrow().len() < PROBLEMS_MAX {
            self.warnings.borrow_mut().push((at.start, self.at(at.start, option, message)));
        }
    }

    /// `file:line` of an offset, or the name of what has no lines.
    pub fn place(&self, offset: usize) -> String {
        let (source, line, _) = self.position(offset);
        if line == 0 { source.to_owned() } else { format!("{source}:{line}") }
    }

    /// `file:line:column` of an offset, as problems have it, or the name of what has no lines.
    pub fn exact_place(&self, offset: usize) -> String {
        let (source, line, column) = self.position(offset);
        if line == 0 { source.to_owned() } else { format!("{source}:{line}:{column}") }
    }

    /// The warnings, if there was no problem.
    pub fn finish(self) -> Result<Vec<Problem>, Problems> {
        let sorted = |problems: RefCell<Vec<(usize, Problem)>>| {
            let mut problems = problems.into_inner();
            problems.sort_by_key(|(offset, _)| *offset);
            problems.into_iter().map(|(_, problem)| problem).collect::<Vec<_>>()
        };
        let mut problems = sorted(self.problems);
        if problems.is_empty() {
            return Ok(sorted(self.warnings));
        }
        if self.cut.get() {
            let name = self.sources.first().map_or("", |source| source.name);
            problems.push(Problem::whole_file(name, "there are more problems; is it a configuration at all?"));
        }
        Err(Problems(problems))
    }

    fn at(&self, offset: usize, option: &str, message: impl Into<String>) -> Problem {
        let (file, line, column) = self.position(offset);
        Problem { file: file.to_owned(), line, column, option: option.to_owned(), message: message.into() }
    }

    /// The document at an offset in octets, its line, and its column in characters; both are 0 where there are none.
    fn position(&self, offset: usize) -> (&str, usize, usize) {
        let Some(source) = self.sources.iter().rfind(|source| source.start <= offset) else { return ("", 0, 0) };
        if matches!(source.kind, DocumentKind::Variable(_)) {
            return (source.name, 0, 0);
        }
        let before = source.text.get(..offset - source.start).unwrap_or(source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (source.name, before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let documents = [Document::file("f", "a\nöß = x\r\nlast"), Document::file("g", "x")];
        let report = Report::new(&documents);
        for (offset, line, column) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (4, 2, 2), (9, 2, 6), (12, 3, 1), (16, 3, 5)] {
            assert_eq!(report.position(offset), ("f", line, column), "{offset}");
        }
        // The end of a text is its own; what follows is the next one's.
        for (offset, column) in [(17, 1), (18, 2), (99, 2)] {
            assert_eq!(report.position(offset), ("g", 1, column), "{offset}");
        }
    }

    #[test]
    fn problems_are_shown_in_the_order_of_the_file() {
        let document = |text: &str| [Document::file("f", text)];
        let documents = document("a\nb\nc");
        let report = Report::new(&documents);
        report.problem(4..5, "x.c", "third");
        report.problem(0..1, "x.a", "first");
        report.broken(2..3, 2..4, "second");
        report.problem(2..3, "x.b", "not said: the line is broken");
        report.missing(4..5, "x.d", "not said: it may stand in the broken line");
        let problems = report.finish().unwrap_err();
        assert_eq!(problems.to_string(), "f:1:1: x.a: first\nf:2:1: second\nf:3:1: x.c: third");
        let documents = document("x");
        let report = Report::new(&documents);
        (0..200).for_each(|_| report.warn(0..1, "x", "odd"));
        (0..200).for_each(|_| report.problem(0..1, "x", "wrong"));
        assert_eq!(report.finish().unwrap_err().0.len(), PROBLEMS_MAX + 1);
        assert_eq!(Problem::whole_file("f", "gone").to_string(), "f: gone");
    }
}
