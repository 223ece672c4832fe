//! Text to rules: reads a list piece by piece, line by line; a bad line is data, kept with its number and reason.
//!
//! ```text
//! pieces → lines → format (told from the first lines) ┬ text: ours, domains, hosts, wildcard, regex, adblock
//!                                                     ├ rpz, dnsmasq, unbound: by file
//!                                                     └→ Output: gate, RuleSet, what was skipped or held
//! ```
//!
//! In text formats each line is read as what it unmistakably is; the format declared for a list only settles what an
//! ambiguous one means. Nothing is ever read as more than it says: what can't be honoured is skipped and told.

mod adblock;
mod dnsmasq;
mod name;
mod ours;
mod output;
mod rpz;
mod text;
mod unbound;
mod updated;

use super::{Effect, Mode, Rule, RuleSet, Scope};
use crate::dns::{Name, zonefile::RECORD_BYTES_MAX};
pub use name::to_ascii;
use output::Output;
use std::borrow::Cow;
use text::TextReader;

/// How a list's text is to be read. The words of configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Format {
    /// Decided from the text.
    #[default]
    Auto,
    /// `#! cleandns`: this project's own.
    Ours,
    /// One name a line.
    Domains,
    /// `0.0.0.0 name name…`, as in a hosts file.
    Hosts,
    /// One name a line; `*.name` means below it.
    Wildcard,
    /// `||name^` and what belongs to it.
    Adblock,
    /// One regular expression a line.
    Regex,
    /// A response policy zone.
    Rpz,
    /// Lines of dnsmasq's configuration.
    Dnsmasq,
    /// Lines of Unbound's configuration.
    Unbound,
}

impl Format {
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Ours,
        Self::Domains,
        Self::Hosts,
        Self::Wildcard,
        Self::Adblock,
        Self::Regex,
        Self::Rpz,
        Self::Dnsmasq,
        Self::Unbound,
    ];

    /// The word used in configuration and shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ours => "ours",
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Wildcard => "wildcard",
            Self::Adblock => "adblock",
            Self::Regex => "regex",
            Self::Rpz => "rpz",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
        }
    }
}

/// Whether a bare name of the domains and hosts formats means itself alone or everything below it too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Extent {
    #[default]
    Exact,
    Subtree,
}

impl Extent {
    pub const ALL: [Self; 2] = [Self::Exact, Self::Subtree];

    /// The word of configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Subtree => "subtree",
        }
    }

    pub fn scope(self) -> Scope {
        match self {
            Self::Exact => Scope::Exact,
            Self::Subtree => Scope::Subtree,
        }
    }
}

/// How a list is read.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    pub format: Format,
    pub extent: Extent,
    /// The safety gate; `None`: every rule is taken.
    pub admit: Option<&'a dyn Admit>,
    /// Seconds since 1970, for dates that are still to come; `None`: no clock that is believed says it.
    pub now: Option<i64>,
}

/// Asked before a rule is taken.
pub trait Admit {
    fn admit(&self, candidate: Candidate<'_>) -> Admission;

    /// Asked again at the end of the list about a rule that is held: `excepted` tells whether an exception of the list
    /// lets a name pass.
    fn settle(&self, rule: &Rule, excepted: &dyn Fn(&Name) -> bool) -> Admission {
        let _ = excepted;
        self.admit(Candidate::Rule(rule))
    }

    /// The names by which the owner lets a rule through that is held; none: it can't be, by itself.
    fn passes_by(&self, rule: &Rule) -> Vec<Name> {
        let _ = rule;
        Vec::new()
    }
}

/// A rule that may be taken.
#[derive(Clone, Copy, Debug)]
pub enum Candidate<'a> {
    /// A plain rule on a name.
    Name(Effect, Scope, &'a Name),
    Rule(&'a Rule),
}

/// What becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    Take,
    /// It is taken, and told of.
    Warn(String),
    /// It is not, and told of.
    Hold(String),
}

/// What a list says of itself in its `#:` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub service: Option<String>,
    pub default: Option<Mode>,
    /// Seconds since 1970 when it was last changed; of somebody else's list by a comment at its beginning.
    pub updated: Option<i64>,
    /// Every `key: value` in order, those above included.
    pub fields: Vec<(String, String)>,
}

/// A line that gave no rule, or one worth telling of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// From 1.
    pub line: u32,
    pub reason: String,
    /// Of a rule that is held back: the names by which the owner lets it through.
    pub passes_by: Vec<String>,
}

/// Lines told of, with their numbers and reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub count: usize,
    /// The first `TOLD_KEPT` of them.
    pub first: Vec<Skipped>,
}

/// A list as read.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub format: Format,
    pub header: Header,
    pub rules: RuleSet,
    /// Lines that gave no rule.
    pub skipped: Told,
    /// Rules that the safety gate held back.
    pub held: Told,
    /// Rules that were taken and that the safety gate warns of.
    pub warned: Told,
}

/// Why a text as a whole is no list. The last good one stays in force then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is empty")]
    Empty,
    #[error("it is binary, not text")]
    Binary,
    #[error("it is a web page, not a list (a login or error page saved in its place?)")]
    Html,
    #[error("none of its {lines} lines is a valid rule (first: line {first_line}: {first_reason})")]
    NoRule { lines: u32, first_line: u32, first_reason: String },
    #[error("all of its rules are held back (first: line {first_line}: {first_reason})")]
    AllHeld { first_line: u32, first_reason: String },
    #[error("it has only comments")]
    OnlyComments,
}

/// How many lines of each kind are kept with their reasons; the rest is counted.
pub const TOLD_KEPT: usize = 200;
/// Octets of the longest line read; a longer one is skipped. It may hold the longest record of a zone; a negated rule of
/// ours with all the places that it may have stays below.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// Octets of a text that are looked at before it is decided what it is.
const HEAD_BYTES: usize = 64 << 10;
/// Of those, the octets that show whether it is text at all.
const SNIFF_BYTES: usize = 4096;
/// Lines of the head that are looked at to tell the format.
const HEAD_LINES: usize = 200;

/// Reads a whole list.
pub fn parse(text: &[u8], options: &Options<'_>) -> Result<Parsed, Unusable> {
    let mut parser = Parser::new(options, text.len());
    parser.feed(text);
    parser.finish()
}

/// Reads a list that is given to it in pieces. It holds no more than the beginning and one line.
pub struct Parser<'a> {
    options: Options<'a>,
    /// Until the format is known: what was fed.
    head: Vec<u8>,
    reader: Option<Reader>,
    /// What is wrong with the text as a whole.
    unusable: Option<Unusable>,
    /// A line whose end is still to come.
    partial: Vec<u8>,
    /// The rest of the present line is passed over; of what was read its first octet is left.
    too_long: bool,
    /// Old files end their lines with CR alone; the editor that shows them counts them as lines.
    ends_in_cr: bool,
    /// In such a file: the last line ended with CR, so that an LF at once is part of its end.
    after_cr: bool,
    line: u32,
    /// Something other than white space was seen.
    has_text: bool,
    /// When it was last changed, by a comment.
    updated: Option<i64>,
    output: Output<'a>,
}

/// What reads the lines.
enum Reader {
    Text(TextReader),
    Rpz(Box<rpz::RpzReader>),
    Dnsmasq,
    Unbound(unbound::UnboundReader),
}

impl<'a> Parser<'a> {
    /// `text_bytes`: how long the text will be, as far as is known.
    pub fn new(options: &Options<'a>, text_bytes: usize) -> Self {
        Self {
            options: *options,
            head: Vec::new(),
            reader: None,
            unusable: None,
            partial: Vec::new(),
            too_long: false,
            ends_in_cr: false,
            after_cr: false,
            line: 0,
            has_text: false,
            updated: None,
            output: Output::new(options.admit, text_bytes),
        }
    }

    /// Takes the next piece, of any size.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.unusable.is_some() {
            return;
        }
        if self.reader.is_some() {
            return self.lines(piece);
        }
        let (head, rest) = piece.split_at(piece.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        if self.head.len() == HEAD_BYTES {
            self.begin();
            self.feed(rest);
        }
    }

    /// Ends the list.
    pub fn finish(mut self) -> Result<Parsed, Unusable> {
        if self.reader.is_none() {
            self.begin();
        }
        if let Some(unusable) = self.unusable {
            return Err(unusable);
        }
        let partial = std::mem::take(&mut self.partial);
        if !partial.is_empty() || self.too_long {
            self.end_line(&partial);
        }
        if !self.has_text {
            return Err(Unusable::Empty);
        }
        let Some(reader) = self.reader else { return Err(Unusable::Empty) };
        let (format, mut header) = match reader {
            Reader::Text(text) => text.finish(&mut self.output),
            Reader::Rpz(mut zone) => {
                zone.finish(&mut self.output);
                self.output.set_zone(zone.zone().unwrap_or(Name::ROOT));
                let serial = zone.serial().map(|serial| ("serial".to_owned(), serial.to_string()));
                (Format::Rpz, Header { fields: serial.into_iter().collect(), ..Header::default() })
            }
            Reader::Dnsmasq => (Format::Dnsmasq, Header::default()),
            Reader::Unbound(unbound) => {
                unbound.finish(&mut self.output);
                (Format::Unbound, Header::default())
            }
        };
        // What is ours has a header line for it.
        header.updated = header.updated.or(self.updated.filter(|_| format != Format::Ours));
        self.output.finish(format, header, self.line)
    }

    /// Decides what the text is, and reads its beginning.
    fn begin(&mut self) {
        let head = std::mem::take(&mut self.head);
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        if let Err(unusable) = refuse_non_lists(text) {
            self.unusable = Some(unusable);
            return;
        }
        let format = match self.options.format {
            Format::Auto => detect(text),
            declared => declared,
        };
        self.reader = Some(match format {
            Format::Rpz => Reader::Rpz(Box::new(rpz::RpzReader::new())),
            Format::Dnsmasq => Reader::Dnsmasq,
            Format::Unbound => Reader::Unbound(unbound::UnboundReader::new()),
            format => Reader::Text(TextReader::new(format, &self.options)),
        });
        self.ends_in_cr = memchr::memchr(b'\n', text).is_none() && memchr::memchr(b'\r', text).is_some();
        self.lines(text);
    }

    fn lines(&mut self, piece: &[u8]) {
        let next_end = |rest: &[u8], or_cr| match or_cr {
            false => memchr::memchr(b'\n', rest),
            true => memchr::memchr2(b'\n', b'\r', rest),
        };
        let mut rest = piece;
        while let Some(end) = next_end(rest, self.ends_in_cr) {
            let line = &rest[..end];
            let is_in_crlf = std::mem::replace(&mut self.after_cr, rest[end] == b'\r') && rest[end] == b'\n';
            rest = &rest[end + 1..];
            if self.partial.is_empty() && !self.too_long {
                if !(is_in_crlf && line.is_empty()) {
                    self.end_line(line);
                }
            } else {
                self.hold(line);
                let whole = std::mem::take(&mut self.partial);
                self.end_line(&whole);
                self.partial = whole;
                self.partial.clear();
            }
        }
        self.hold(rest);
    }

    /// Keeps the beginning of a line, unless it is too long to be one.
    fn hold(&mut self, part: &[u8]) {
        if self.partial.len() + part.len() > LINE_BYTES_MAX {
            self.too_long = true;
        }
        if !self.too_long {
            self.partial.extend_from_slice(part);
        } else if self.partial.is_empty() {
            self.partial.extend_from_slice(&part[..part.len().min(1)]);
        } else {
            self.partial.truncate(1);
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        self.line = self.line.saturating_add(1);
        if std::mem::take(&mut self.too_long) || line.len() > LINE_BYTES_MAX {
            self.has_text = true;
            if !begins_comment(line) {
                self.output.skip(self.line, "the line is too long to be a rule", String::new());
            }
            return;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match memchr::memchr(b'\r', line) {
            None => self.read_line(line),
            Some(_) => line.split(|&byte| byte == b'\r').for_each(|part| self.read_line(part)),
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        let (number, output) = (self.line, &mut self.output);
        let trimmed = line.trim_ascii();
        self.has_text |= !trimmed.is_empty();
        if number <= updated::COMMENT_LINES && self.updated.is_none() && begins_comment(trimmed) {
            let said = std::str::from_utf8(trimmed).ok().and_then(updated::in_comment);
            self.updated = said.filter(|said| !is_to_come(*said, self.options.now));
        }
        let Some(reader) = &mut self.reader else { return };
        if let Reader::Rpz(zone) = reader {
            // White space at the start means something in a zone file.
            return zone.line(line.trim_ascii_end(), number, output);
        }
        if trimmed.is_empty() {
            return;
        }
        let text = match readable(trimmed) {
            Ok(text) => text,
            Err(reason) => return output.skip(number, reason, String::new()),
        };
        match reader {
            Reader::Text(reader) => reader.line(&text, number, output),
            Reader::Dnsmasq => dnsmasq::line(&text, number, output),
            Reader::Unbound(reader) => reader.line(&text, number, output),
            Reader::Rpz(_) => {}
        }
    }
}

/// A line as text. In which encoding comments are written is of no importance.
fn readable(line: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if begins_comment(line) {
        return Ok(String::from_utf8_lossy(line));
    }
    let text = std::str::from_utf8(line).or_else(|error| match text::comment_start(line) {
        Some(at) if at <= error.valid_up_to() => std::str::from_utf8(line[..at].trim_ascii_end()),
        _ => Err(error),
    });
    match text {
        Ok(text) if text.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) => {
            Err("it has control characters")
        }
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Err("not UTF-8 text"),
    }
}

/// True for what begins a comment in every format but for rare rules that begin alike.
fn begins_comment(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'#' | b'!' | b';'))
}

/// True for a time that can't be one at which something was changed.
fn is_to_come(time: i64, now: Option<i64>) -> bool {
    now.is_some_and(|now| time > now.saturating_add(updated::AHEAD_MAX))
}

/// Where the readers put what they find.
trait Sink {
    /// A plain rule on a name.
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32);

    /// Any rule.
    fn rule(&mut self, rule: Rule);

    /// Every rule that says the same is taken back (`$badfilter`).
    fn disable(&mut self, rule: Rule);

    /// A line, or a part of one, that gives no rule.
    fn skip(&mut self, line: u32, reason: &'static str, detail: String);
}

fn refuse_non_lists(text: &[u8]) -> Result<(), Unusable> {
    let head = &text[..text.len().min(SNIFF_BYTES)];
    // No list format has a NUL or other control octets in its text; a compressed file has them at once.
    let is_control = |&byte: &u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if head.iter().any(is_control) {
        return Err(Unusable::Binary);
    }
    // No list begins with a tag, whatever the page is.
    let is_tag = |second: &u8| second.is_ascii_alphabetic() || matches!(second, b'!' | b'?');
    match text.trim_ascii_start() {
        [b'<', second, ..] if is_tag(second) => Err(Unusable::Html),
        _ => Ok(()),
    }
}

/// Tells the format from the first lines.
fn detect(text: &[u8]) -> Format {
    let first = text.trim_ascii_start().split(|octet| matches!(octet, b'\n' | b'\r')).next().unwrap_or_default();
    let mut words = first.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next() == Some(b"#!") && words.next() == Some(b"cleandns") {
        return Format::Ours;
    }
    // What is cut in the middle of a character is of no importance here.
    let text = String::from_utf8_lossy(text);
    if rpz::looks_like_zone(&text) {
        return Format::Rpz;
    }
    let lines = text.split(['\n', '\r']).map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !begins_comment(line.as_bytes()));
    let (mut all, mut counts) = (0, [0; 4]);
    for line in lines.take(HEAD_LINES) {
        if line.starts_with('[') && adblock::is_unmistakable(line) {
            return Format::Adblock;
        }
        all += 1;
        let is = [
            dnsmasq::is_directive(line),
            unbound::is_directive(line),
            adblock::is_unmistakable(line),
            text::is_hosts_line(line),
        ];
        counts.iter_mut().zip(is).for_each(|(count, is)| *count += usize::from(is));
    }
    let formats = [Format::Dnsmasq, Format::Unbound, Format::Adblock, Format::Hosts];
    let most = counts.iter().zip(formats).filter(|(count, _)| **count * 2 > all).max_by_key(|(count, _)| **count);
    most.map_or(Format::Domains, |(_, format)| format)
}

#[cfg(test)]
mod tests;
