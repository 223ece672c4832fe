//! Reads a parsed TOML tree option by option, and notes on the way whatever has the wrong type or an unknown name.
//!
//! Whoever reads a table names each key it knows; what is left over at the end is unknown. It knows nothing of what
//! the options mean.

use super::{
    super::report::{DocumentKind, Report, Source},
    merge::{is_of_tables, merge, moved, option_of, overriding},
    text::{choice, nearest, shown, size},
};
use std::{
    cell::{Cell, RefCell},
    ops::{Range, RangeInclusive},
};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Error},
};

/// How often text is read again without a line that stopped the parser: nobody mends more mistakes in one go.
const REREADS_MAX: usize = 16;

/// Reads the report's documents into `read`'s value, later ones over earlier ones, and notes what isn't TOML. What can be
/// read of broken text is read.
pub fn read_documents<T>(report: &Report<'_>, read: impl FnOnce(&Table<'_>) -> T) -> T {
    let readable: Vec<(String, Vec<Error>)> = report.sources().iter().map(|source| readable(source.text)).collect();
    let mut whole = DeTable::new();
    for (source, (readable, stops)) in report.sources().iter().zip(&readable) {
        if let DocumentKind::Variable(variable) = source.kind {
            let option = option_of(variable);
            if is_of_tables(&option) {
                let at = source.start..source.start + source.text.len();
                report.problem(at, &option, in_double_brackets(&option));
                continue;
            }
            merge(&mut whole, overriding(source, variable), "");
            continue;
        }
        let (document, found) = DeTable::parse_recoverable(readable);
        note_syntax(source, report, stops.iter().cloned().chain(found).collect());
        merge(&mut whole, moved(document.into_inner(), source.start), "");
    }
    read_table(Table::new(report, String::new(), 0..0, Some(&whole)), read)
}

/// Why a variable can't set tables: what it says goes before what files say, and of tables those of all files count.
fn in_double_brackets(option: &str) -> String {
    format!(
        "what has double brackets can't be set by a variable; write [[{option}]] into a file, such as one in conf.d"
    )
}

/// The text without lines at which the parser would stop, and what is wrong with these.
fn readable(text: &str) -> (String, Vec<Error>) {
    let mut readable = text.to_owned();
    let mut errors = Vec::new();
    for _ in 0..REREADS_MAX {
        let found = DeTable::parse_recoverable(&readable).1;
        // At a line without `=` the parser gives up, and it joins a header without `]` to the next one. So what
        // follows is read as if that line were empty.
        let stops = ["key with no value", "unclosed table", "unclosed array table"];
        let is_stop = |error: &Error| stops.iter().any(|stop| error.message().starts_with(stop));
        let Some(stop) = found.into_iter().find(is_stop) else { break };
        let line = line_of(&readable, start(&stop));
        readable.replace_range(line.clone(), &" ".repeat(line.len()));
        errors.push(stop);
    }
    (readable, errors)
}

/// Notes syntax errors of a document, one a line.
fn note_syntax(source: &Source<'_>, report: &Report<'_>, mut errors: Vec<Error>) {
    let text = source.text;
    let here = |at: Range<usize>| at.start + source.start..at.end.min(text.len() + 1) + source.start;
    let says = |error: &Error, what: &str| error.message().contains(what);
    let of_bracket = |error: &Error| says(error, "inline table") || says(error, "array") && !says(error, "array table");
    let never_closed = |error: &Error| error.message().starts_with("unclosed") && of_bracket(error);
    errors.sort_by_key(start);
    // An open bracket makes one list of all that follows, and errors of its lines.
    let open = errors.iter().any(never_closed).then(|| errors.iter().position(of_bracket)).flatten();
    for error in &errors[..open.unwrap_or(errors.len())] {
        if report.is_done_with(start(error) + source.start) {
            continue;
        }
        let line = line_of(text, start(error));
        // Its newline is part of it, because errors are often found there.
        let unreadable = match text[line.clone()].trim_start().starts_with('[') {
            // Nobody knows which section it was that begins here.
            true => line.start..text[line.end..].find("\n[").map_or(text.len(), |next| line.end + next + 1),
            false => line.start..line.end + 1,
        };
        report.broken(here(error.span().unwrap_or(0..0)), here(unreadable), syntax_message(text, error));
    }
    if let Some(error) = open.and_then(|first| errors.get(first)) {
        let message = "a [ or { before this is never closed; write its ] or }";
        report.broken(here(start(error)..start(error)), here(start(error)..usize::MAX), message);
    }
}

/// The line around an offset, without its newline.
fn line_of(text: &str, offset: usize) -> Range<usize> {
    // In octets, because nothing promises that the parser's offsets lie between characters.
    let (before, after) = text.as_bytes().split_at(offset.min(text.len()));
    let newline = |octet: &u8| *octet == b'\n';
    let line_start = before.iter().rposition(newline).map_or(0, |at| at + 1);
    let line_end = after.iter().position(newline).map_or(text.len(), |at| before.len() + at);
    line_start..line_end
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// A syntax error in this program's words where the parser's don't say what to write.
fn syntax_message(text: &str, error: &Error) -> String {
    let found = error.span().and_then(|at| text.get(at)).unwrap_or_default().trim();
    let message = error.message();
    if message == "duplicate key" {
        return format!("{found} is set a second time; keep one of the two");
    }
    if message.starts_with("key with no value") {
        return "a line needs an =; write it as option = value".to_owned();
    }
    if !message.starts_with("string values must be quoted") {
        return message.to_owned();
    }
    match found.to_ascii_lowercase().as_str() {
        "" => "a value is missing after the =".to_owned(),
        "yes" | "on" | "true" => format!("{found} is not TOML; write true"),
        "no" | "off" | "false" => format!("{found} is not TOML; write false, or \"{found}\" where a word is meant"),
        _ => format!("text stands in quotes; write {}", shown(found)),
    }
}

/// A table, or the absence of one, which reads as an empty table.
pub struct Table<'a> {
    report: &'a Report<'a>,
    /// Dotted name; empty at the top.
    option: String,
    /// Its header, or the whole of an inline table.
    at: Range<usize>,
    entries: Option<&'a DeTable<'a>>,
    known: RefCell<Vec<&'static str>>,
    /// Any key is fine.
    open: Cell<bool>,
}

/// Reads a table, then notes the keys that weren't asked for.
fn read_table<'a, T>(table: Table<'a>, read: impl FnOnce(&Table<'a>) -> T) -> T {
    let value = read(&table);
    table.note_unknown_keys();
    value
}

impl<'a> Table<'a> {
    fn new(report: &'a Report<'a>, option: String, at: Range<usize>, entries: Option<&'a DeTable<'a>>) -> Self {
        Self { report, option, at, entries, known: <_>::default(), open: Cell::new(false) }
    }

    /// The option's value, if it is set.
    pub fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.known.borrow_mut().push(key);
        self.report.asks_for(&self.dotted(key));
        let value = self.entries?.get(key)?;
        Some(Value { report: self.report, option: self.dotted(key), value })
    }

    /// Every key, where it stands, and its value: for tables whose keys the user chooses.
    pub fn entries(&self) -> Vec<(&'a str, Range<usize>, Value<'a>)> {
        self.open.set(true);
        let entries = self.entries.into_iter().flat_map(|entries| entries.iter());
        entries
            .map(|(key, value)| {
                let option = self.dotted(key.get_ref());
                (key.get_ref().as_ref(), key.span(), Value { report: self.report, option, value })
            })
            .collect()
    }

    /// The table of that name; an empty one if there is none, or something else in its place.
    pub fn section<T>(&self, key: &'static str, read: impl FnOnce(&Table<'a>) -> T) -> T {
        let value = self.value(key);
        let example = format!("[{}] on a line of its own", self.dotted(key));
        let entries = value.as_ref().and_then(|value| value.table(&example));
        let at = value.map_or(0..0, |value| value.at());
        read_table(Table::new(self.report, self.dotted(key), at, entries), read)
    }

    /// Each `[[key]]` table, in order; `None` if there is none at all.
    pub fn sections<T>(&self, key: &'static str, mut read: impl FnMut(&Table<'a>) -> T) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let Some(array) = value.value.get_ref().as_array() else {
            value.wrong_type("tables", &format!("[[{}]] in double brackets", value.option));
            return Some(Vec::new());
        };
        let elements = value.elements(array);
        let example = format!("[[{}]] in double brackets", value.option);
        Some(elements.iter().filter_map(|element| element.read_table(&example, &mut read)).collect())
    }

    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        self.value(key).and_then(|value| value.boolean()).unwrap_or(default)
    }

    pub fn text(&self, key: &'static str, default: &str) -> String {
        self.value(key).and_then(|value| value.text("")).unwrap_or(default).to_owned()
    }

    pub fn integer(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.value(key).and_then(|value| value.integer(range)).unwrap_or(default)
    }

    /// Octets, as text with a unit or as a plain number.
    pub fn size(&self, key: &'static str, default: u64) -> u64 {
        self.value(key).and_then(|value| value.size()).unwrap_or(default)
    }

    /// Text that `parse` understands; `default` if it isn't set or wrong.
    pub fn parse<T>(
        &self,
        key: &'static str,
        default: T,
        example: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.value(key).and_then(|value| value.parse(example, parse)).unwrap_or(default)
    }

    /// One of some words.
    pub fn choose<T: Copy>(&self, key: &'static str, default: (&str, T), choices: &[(&str, Option<T>)]) -> T {
        let shown_default = format!("\"{}\"", default.0);
        self.value(key).and_then(|value| value.choose(choices, &shown_default)).unwrap_or(default.1)
    }

    /// The option's value, if it is text other than `""`, which stands for not being set.
    pub fn set_text(&self, key: &'static str, example: &str) -> Option<Value<'a>> {
        self.value(key).filter(|value| value.text(example).is_some_and(|text| !text.is_empty()))
    }

    /// An option that can only be off in this version: its default is `[]`.
    pub fn not_yet_list(&self, key: &'static str) {
        if let Some(value) = self.value(key)
            && !value.list("").is_empty()
        {
            value.not_yet("[]");
        }
    }

    /// An option that can only be off in this version: its default is `""`.
    pub fn not_yet_text(&self, key: &'static str) {
        if let Some(value) = self.set_text(key, "") {
            value.not_yet("\"\"");
        }
    }

    /// Notes a problem of the table as a whole.
    pub fn problem(&self, message: impl Into<String>) {
        self.report.problem(self.at.clone(), &self.option, message);
    }

    /// Notes a problem of a key that the user chose.
    pub fn problem_at(&self, at: Range<usize>, key: &str, message: impl Into<String>) {
        self.report.problem(at, &self.dotted(key), message);
    }

    /// Notes that what a key that the user chose names isn't there.
    pub fn missing_at(&self, at: Range<usize>, key: &str, message: impl Into<String>) {
        self.report.missing(at, &self.dotted(key), message);
    }

    /// Notes that a key isn't set and must be.
    pub fn missing(&self, key: &str, message: impl Into<String>) {
        self.report.missing(self.at.clone(), &self.dotted(key), message);
    }

    /// Notes of a key, set or not, what is allowed and yet perhaps not meant.
    pub fn warn(&self, key: &str, message: impl Into<String>) {
        self.report.warn(self.at.clone(), &self.dotted(key), message);
    }

    /// Notes of a place what is allowed and yet perhaps not meant.
    pub fn warn_at(&self, at: Range<usize>, key: &str, message: impl Into<String>) {
        self.report.warn(at, &self.dotted(key), message);
    }

    /// Where the table is, if it isn't in the first of several files.
    pub fn of_later_file(&self) -> Option<Range<usize>> {
        let second = self.report.sources().get(1)?;
        (self.at.start >= second.start).then(|| self.at.clone())
    }

    /// `file:line` of the table.
    pub fn place(&self) -> String {
        self.report.place(self.at.start)
    }

    fn dotted(&self, key: &str) -> String {
        if self.option.is_empty() { key.to_owned() } else { format!("{}.{key}", self.option) }
    }

    fn note_unknown_keys(&self) {
        if self.open.get() {
            return;
        }
        let known = self.known.borrow();
        for (key, _) in self.entries.into_iter().flat_map(|entries| entries.iter()) {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let kind = if self.option.is_empty() { "section" } else { "option" };
            let advice = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("those there are: {}", sorted(&known).join(", ")),
            };
            self.report.problem(key.span(), &self.dotted(name), format!("there is no such {kind}; {advice}"));
        }
    }
}

fn sorted<'k>(keys: &[&'k str]) -> Vec<&'k str> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A value that is set, with its name and place.
pub struct Value<'a> {
    report: &'a Report<'a>,
    option: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// `file:line` of what begins at an offset of the same file.
    pub fn place_of(&self, offset: usize) -> String {
        self.report.place(offset)
    }

    pub fn boolean(&self) -> Option<bool> {
        let found = self.value.get_ref();
        if found.as_bool().is_none() {
            let word = match found.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" | "1" => "true".to_owned(),
                "no" | "off" | "false" | "0" => "false".to_owned(),
                _ => format!("true or {} = false", self.key()),
            };
            self.wrong_type("true or false", &format!("{} = {word}", self.key()));
        }
        found.as_bool()
    }

    /// Text; `example` is shown when it is something else.
    pub fn text(&self, example: &str) -> Option<&'a str> {
        let found = self.value.get_ref();
        if found.as_str().is_none() {
            self.wrong_type("text in quotes", &format!("{} = \"{example}\"", self.key()));
        }
        found.as_str()
    }

    /// Text that `parse` understands.
    pub fn parse<T>(&self, example: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(self.text(example)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(message);
                None
            }
        }
    }

    /// Text that `parse` understands, or a date without quotes.
    pub fn parse_date<T>(&self, example: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(date) = self.value.get_ref().as_datetime() else { return self.parse(example, parse) };
        parse(&date.to_string()).map_err(|message| self.problem(message)).ok()
    }

    pub fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let DeValue::Integer(found) = self.value.get_ref() else {
            self.wrong_type("a whole number", &format!("{} = {}", self.key(), range.start()));
            return None;
        };
        let number = u64::from_str_radix(found.as_str(), found.radix()).ok();
        if number.is_none_or(|number| !range.contains(&number)) {
            self.problem(format!("{found} is out of range; write {} to {}", range.start(), range.end()));
            return None;
        }
        number
    }

    /// Octets, as text with a unit or as a plain number.
    pub fn size(&self) -> Option<u64> {
        match self.value.get_ref() {
            DeValue::Integer(_) => self.integer(0..=i64::MAX as u64),
            _ => self.parse("128 MiB", size),
        }
    }

    /// One of some words; a word that has no value is one that only a later version knows.
    pub fn choose<T: Clone>(&self, choices: &[(&str, Option<T>)], default: &str) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|&(word, _)| word).collect();
        let word = self.parse(words[0], |text| choice(text, &words).map(str::to_owned))?;
        let (_, value) = choices.iter().find(|(known, _)| *known == word)?;
        if value.is_none() {
            self.not_yet(default);
        }
        value.clone()
    }

    /// The elements of an array; none if it is something else. `example` is an element, as written, to show then.
    pub fn list(&self, example: &str) -> Vec<Value<'a>> {
        if let DeValue::Array(array) = self.value.get_ref() {
            return self.elements(array);
        }
        let element = match self.value.get_ref() {
            DeValue::String(text) if !example.starts_with('{') => shown(text),
            _ => example.to_owned(),
        };
        self.wrong_type("a list in brackets", &format!("{} = [{element}]", self.key()));
        Vec::new()
    }

    /// The elements of an array that `parse` understands, each with its place.
    pub fn parse_list<T>(&self, example: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<(Value<'a>, T)> {
        let parsed = |element: Value<'a>| match element.value.get_ref() {
            DeValue::String(_) => element.parse("", &parse).map(|parsed| (element, parsed)),
            _ => {
                element.wrong_type("text in quotes", example);
                None
            }
        };
        self.list(example).into_iter().filter_map(parsed).collect()
    }

    /// Reads the value as a table; `example` is shown when it is something else.
    pub fn read_table<T>(&self, example: &str, read: impl FnOnce(&Table<'a>) -> T) -> Option<T> {
        let entries = self.table(example)?;
        Some(read_table(Table::new(self.report, self.option.clone(), self.at(), Some(entries)), read))
    }

    /// True for `[]`.
    pub fn is_empty_list(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|array| array.is_empty())
    }

    /// True for text, whatever it says.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    pub fn problem(&self, message: impl Into<String>) {
        self.report.problem(self.at(), &self.option, message);
    }

    /// Notes that what the value names isn't there.
    pub fn missing(&self, message: impl Into<String>) {
        self.report.missing(self.at(), &self.option, message);
    }

    pub fn warn(&self, message: impl Into<String>) {
        self.report.warn(self.at(), &self.option, message);
    }

    /// Notes that this version can only do what the default says.
    pub fn not_yet(&self, default: &str) {
        self.problem(format!("not yet supported by this version; remove it or leave it at its default ({default})"));
    }

    fn table(&self, example: &str) -> Option<&'a DeTable<'a>> {
        let found = self.value.get_ref();
        if found.as_table().is_none() {
            self.wrong_type("a table", example);
        }
        found.as_table()
    }

    fn elements(&self, array: &'a DeArray<'a>) -> Vec<Value<'a>> {
        let element = |value| Value { report: self.report, option: self.option.clone(), value };
        array.iter().map(element).collect()
    }

    fn wrong_type(&self, expected: &str, write: &str) {
        self.problem(format!("expected {expected}, found {}; write {write}", describe(self.value.get_ref())));
    }

    /// The last part of the dotted name.
    fn key(&self) -> &str {
        self.option.rsplit('.').next().unwrap_or(&self.option)
    }
}

/// A value in the words of somebody who doesn't know TOML's.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("a string ({})", shown(text)),
        DeValue::Integer(number) => format!("a number ({number})"),
        DeValue::Float(number) => format!("a number ({number})"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => format!("a date ({date})"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
