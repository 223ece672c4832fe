//! Text to rules: reads a list line by line; a bad line is data, kept with its number and reason.
//!
//! Formats are told apart a line at a time: the format declared for a list only settles what a bare name means.

mod line;
#[cfg_attr(not(test), allow(dead_code, reason = "not yet wired in"))]
mod rpz;
mod sink;

use super::{Mode, RuleSet};
use line::{Meaning, read_line};

/// How a list's text is to be read. The words of configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Decided from the text.
    Auto,
    /// `#! cleandns`: this project's own.
    Ours,
    /// One name a line.
    Domains,
    /// `0.0.0.0 name name…`, as in a hosts file.
    Hosts,
    /// One name a line; `*.name` means below it.
    Wildcard,
}

impl Format {
    /// The word used in configuration and shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ours => "ours",
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Wildcard => "wildcard",
        }
    }
}

/// Whether a bare name of the domains and hosts formats means itself alone or everything below it too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extent {
    Exact,
    Subtree,
}

/// What a list says of itself in its `#:` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub service: Option<String>,
    pub default: Option<Mode>,
    /// Every `key: value` in order, those above included.
    pub fields: Vec<(String, String)>,
}

/// A line that gave no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// From 1.
    pub line: u32,
    pub reason: String,
}

/// A list as read.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub format: Format,
    pub header: Header,
    pub rules: RuleSet,
    pub skipped_count: usize,
    /// The first `SKIPPED_KEPT` of them.
    pub skipped: Vec<Skipped>,
}

/// Why a text as a whole is no list. The last good one stays in force then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is empty")]
    Empty,
    #[error("it is binary, not text")]
    Binary,
    #[error("it is a web page, not a list (a login or error page saved in its place?)")]
    Html,
    #[error("none of its {lines} lines is a valid rule (first: line {first_line}: {first_reason})")]
    NoRule { lines: u32, first_line: u32, first_reason: &'static str },
    #[error("it has only comments")]
    OnlyComments,
}

/// How many skipped lines are kept with their reasons; the rest is counted.
pub const SKIPPED_KEPT: usize = 200;
/// Octets of the longest line read; a longer one can't hold a name and is skipped.
const LINE_BYTES_MAX: usize = 4096;
/// How much of a text is looked at to tell what it is.
const SNIFF_BYTES: usize = 4096;

/// Reads a whole list.
pub fn parse(text: &[u8], declared: Format, extent: Extent) -> Result<Parsed, Unusable> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    refuse_non_lists(text)?;
    let format = match declared {
        Format::Auto => detect(text),
        declared => declared,
    };
    let mut parsed =
        Parsed { format, header: Header::default(), rules: RuleSet::default(), skipped_count: 0, skipped: Vec::new() };
    let mut first_reason = "";
    let mut number = 0u32;
    for raw in text.split(|&byte| byte == b'\n') {
        number = number.saturating_add(1);
        let line = raw.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let mut skip = |parsed: &mut Parsed, reason: &'static str, detail: String| {
            if parsed.skipped_count == 0 {
                first_reason = reason;
            }
            parsed.skipped_count += 1;
            if parsed.skipped.len() < SKIPPED_KEPT {
                let reason = if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
                parsed.skipped.push(Skipped { line: number, reason });
            }
        };
        if line.len() > LINE_BYTES_MAX {
            skip(&mut parsed, "longer than 4096 octets", String::new());
            continue;
        }
        if format == Format::Ours
            && let Some(field) = line.strip_prefix(b"#:")
        {
            if let Err(reason) = parsed.header.read(field) {
                skip(&mut parsed, "bad header line", reason);
            }
            continue;
        }
        let rules = &mut parsed.rules;
        match read_line(line, format, extent, number, &mut |rule| rules.push(rule).is_ok()) {
            Meaning::Rules | Meaning::Nothing => {}
            Meaning::Skipped { reason, detail } => skip(&mut parsed, reason, detail),
        }
    }
    parsed.rules.shrink();
    if parsed.rules.is_empty() {
        return Err(match parsed.skipped.first() {
            Some(first) => Unusable::NoRule { lines: number, first_line: first.line, first_reason },
            None => Unusable::OnlyComments,
        });
    }
    Ok(parsed)
}

impl Header {
    /// Reads the rest of a `#:` line: `key: value`.
    fn read(&mut self, field: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(field);
        let (key, value) = text.split_once(':').ok_or("it has no `key: value`")?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "service" => self.service = Some(value.to_owned()),
            "default" => self.default = Some(value.parse().map_err(|error: super::UnknownWord| error.to_string())?),
            _ => {}
        }
        self.fields.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}

fn refuse_non_lists(text: &[u8]) -> Result<(), Unusable> {
    let head = &text[..text.len().min(SNIFF_BYTES)];
    if text.trim_ascii().is_empty() {
        return Err(Unusable::Empty);
    }
    // No list format has a NUL or other control octets in its text; a compressed file has them at once.
    let is_control = |&byte: &u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if head.iter().any(is_control) {
        return Err(Unusable::Binary);
    }
    let start = head.trim_ascii_start();
    let opens_like = |tag: &[u8]| start.get(..tag.len()).is_some_and(|own| own.eq_ignore_ascii_case(tag));
    if [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml", b"<body"].into_iter().any(opens_like) {
        return Err(Unusable::Html);
    }
    Ok(())
}

/// Which format bare names are read in.
fn detect(text: &[u8]) -> Format {
    if text.starts_with(b"#! cleandns") { Format::Ours } else { Format::Domains }
}
