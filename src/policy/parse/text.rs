//! Lines of the text formats, each read as what it unmistakably is.

use super::{
    Extent, Format, Header, Options, Sink, adblock, is_to_come,
    name::{NOT_A_NAME, read_name, shown},
    ours::{self, network},
    output::Output,
    updated,
};
use crate::{
    dns::Name,
    policy::{Effect, Matcher, Pattern, Place, Rule, Scope},
};
use std::net::IpAddr;

/// The names that stand in every hosts file for the machine itself; they are never rules.
const HOSTS_OWN_NAMES: [&str; 15] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];
/// How deep `!#if` may stand in `!#if`: deeper is no list that anybody wrote.
const IF_DEPTH_MAX: u32 = 64;
/// Lines inside one `!#if`. After so many its `!#endif` is missing, and to leave out the rest of the list would be worse.
const IF_LINES_MAX: u32 = 10_000;
/// `key: value` lines kept of one list; ours have about ten.
const HEADER_FIELDS_MAX: usize = 1000;

/// Reads lines one after the other.
pub struct TextReader {
    format: Format,
    extent: Extent,
    now: Option<i64>,
    header: Header,
    /// How many `!#if` lines are open: what stands inside depends on what can't be known here.
    if_depth: u32,
    /// Lines since the first of them.
    if_lines: u32,
    /// The name at hand, kept for its memory: copies of names cost more than the reading.
    name: Name,
}

impl TextReader {
    /// `format`: what was found out if the options leave that open.
    pub fn new(format: Format, options: &Options<'_>) -> Self {
        let Options { extent, now, .. } = *options;
        Self { format, extent, now, header: Header::default(), if_depth: 0, if_lines: 0, name: Name::ROOT }
    }

    pub fn finish(self, _output: &mut Output<'_>) -> (Format, Header) {
        (self.format, self.header)
    }

    /// Reads a trimmed line that is not empty.
    pub fn line(&mut self, line: &str, number: u32, sink: &mut dyn Sink) {
        if self.is_no_rule(line, number, sink) {
            return;
        }
        if self.plain_line(line, number, sink) {
            return;
        }
        // An address and more is a hosts file's line in any format, and no other's; it is the commonest but names.
        let (first, rest) = first_word(line);
        if begins_name(rest) && is_any_address(first) {
            return self.hosts_line(rest, number, sink);
        }
        if adblock::is_unmistakable(line) {
            return adblock::line(line, number, sink);
        }
        let bare_line = without_comment(line);
        let (first, rest) = first_word(bare_line);
        if self.format == Format::Regex && network(first).is_none() {
            return regex(bare_line, number, sink);
        }
        if !rest.is_empty() {
            let reason = "more than one word, and the first is not an address (a reason needs ` # ` before it)";
            return sink.skip(number, reason, String::new());
        }
        match self.format {
            // A star in the middle can only be a pattern's.
            Format::Ours if has_inner_star(first) => match first.strip_prefix('@') {
                Some(pattern) => adblock::line(&format!("@@{pattern}"), number, sink),
                None => adblock::line(first, number, sink),
            },
            Format::Ours => match ours::read(first, number) {
                Ok(Rule { effect, matcher: Matcher::Name { scope, name }, .. }) => {
                    sink.name(effect, scope, &name, number);
                }
                Ok(rule) => sink.rule(rule),
                Err((reason, detail)) => sink.skip(number, reason, detail),
            },
            // Somebody took a name out of a hosts file: that is no rule on the address.
            _ if bare_line.len() < line.len() && is_nowhere(first) => {
                sink.skip(number, "an address that stands for nowhere, and no name", String::new());
            }
            Format::Adblock if network(first).is_none() => adblock::line(first, number, sink),
            format => bare(first, format, self.extent, number, sink),
        }
    }

    /// Reads `name` and `*.name`, which nearly every line of nearly every list is. False: it is something else.
    fn plain_line(&mut self, line: &str, number: u32, sink: &mut dyn Sink) -> bool {
        let scope = match self.format {
            // There they may be patterns.
            Format::Regex | Format::Adblock => return false,
            Format::Ours => Scope::Subtree,
            Format::Wildcard => Scope::Exact,
            _ => self.extent.scope(),
        };
        let (scope, text) = match line.strip_prefix("*.") {
            Some(name) => (Scope::Below, name),
            None => (scope, line),
        };
        let is_plain = is_plain_name(text);
        if is_plain {
            self.name(scope, text, number, sink);
        }
        is_plain
    }

    /// `name name…`, after the address.
    fn hosts_line(&mut self, names: &str, number: u32, sink: &mut dyn Sink) {
        for text in names.split_ascii_whitespace() {
            // In a hosts file a comment may begin anywhere.
            if text.starts_with(';') || text.starts_with("//") {
                return;
            }
            let name = before_mark(text);
            let is_own = HOSTS_OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name.trim_end_matches('.')));
            let (scope, name) = match name.strip_prefix("*.") {
                Some(below) => (Scope::Below, below),
                None => (self.extent.scope(), name),
            };
            match scope {
                _ if is_own || is_address(name) || name.is_empty() => {}
                scope if is_plain_name(name) => self.name(scope, name, number, sink),
                scope => match read_name(name) {
                    Ok(name) => sink.name(Effect::Block, scope, &name, number),
                    Err((reason, detail)) => sink.skip(number, reason, detail),
                },
            }
            if text.contains('#') {
                return;
            }
        }
    }

    /// Gives the rule on a plain name.
    fn name(&mut self, scope: Scope, text: &str, number: u32, sink: &mut dyn Sink) {
        match self.name.assign(text.as_bytes()) {
            Ok(()) => sink.name(Effect::Block, scope, &self.name, number),
            Err(error) => sink.skip(number, NOT_A_NAME, format!("`{}`: {error}", shown(text))),
        }
    }

    /// Deals with comments, headers and directives.
    fn is_no_rule(&mut self, line: &str, number: u32, sink: &mut dyn Sink) -> bool {
        if let Some(directive) = line.strip_prefix("!#") {
            self.directive(directive, number, sink);
            return true;
        }
        if self.if_depth > 0 {
            self.if_lines += 1;
            if self.if_lines > IF_LINES_MAX {
                self.if_depth = 0;
                sink.skip(number, "!#if is not closed within 10000 lines; what follows is read again", String::new());
                return self.is_no_rule(line, number, sink);
            }
            sink.skip(number, "it stands inside !#if, whose condition can't be known here", String::new());
            return true;
        }
        if self.format == Format::Ours
            && let Some(field) = line.strip_prefix("#:")
        {
            // It begins like a comment, which may hold anything.
            let field = field.replace('\t', " ");
            let is_text = !field.contains(char::is_control);
            let control = || Err("it has control characters".to_owned());
            let read = if is_text { self.header.read(&field, self.now) } else { control() };
            if let Err(reason) = read {
                sink.skip(number, "bad header line", reason);
            }
            return true;
        }
        let is_cosmetic = self.format == Format::Adblock
            && ["##", "#@#", "#$#", "#%#", "#?#"].iter().any(|mark| line.starts_with(mark));
        match line.as_bytes()[0] {
            b'#' => !is_cosmetic,
            b'!' => !ours::is_negated(line) || self.format != Format::Ours,
            b';' => true,
            _ => line.starts_with("//"),
        }
    }

    fn directive(&mut self, directive: &str, number: u32, sink: &mut dyn Sink) {
        let word = directive.trim_start().split([' ', '\t', '(']).next().unwrap_or_default();
        match word {
            "if" => {
                self.if_lines = if self.if_depth == 0 { 0 } else { self.if_lines };
                self.if_depth = (self.if_depth + 1).min(IF_DEPTH_MAX);
            }
            "endif" => self.if_depth = self.if_depth.saturating_sub(1),
            "include" => {
                sink.skip(number, "includes are refused: name the other list in the configuration", String::new())
            }
            _ => {}
        }
    }
}

impl Header {
    /// Reads the rest of a `#:` line: `key: value`.
    fn read(&mut self, field: &str, now: Option<i64>) -> Result<(), String> {
        let (key, value) = field.split_once(':').ok_or("it has no `key: value`")?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "service" => self.service = Some(value.to_owned()),
            "default" => {
                self.default = Some(value.parse().map_err(|error: crate::policy::UnknownWord| error.to_string())?);
            }
            "updated" => {
                let time = updated::read(value)
                    .ok_or_else(|| format!("`{}` is no date; write one as 2026-11-19", shown(value)))?;
                if is_to_come(time, now) {
                    return Err(format!("`{}` is still to come", shown(value)));
                }
                self.updated = Some(time);
            }
            _ => {}
        }
        if self.fields.len() == HEADER_FIELDS_MAX {
            return Err("the list has more than 1000 of them".to_owned());
        }
        self.fields.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// True for a word that can only be a name.
fn is_plain_name(text: &str) -> bool {
    const DIGIT: u8 = 0;
    const LETTER: u8 = 1;
    const OTHER: u8 = 2;
    const KINDS: [u8; 256] = {
        let mut kinds = [OTHER; 256];
        let mut octet = 0;
        while octet < 256 {
            kinds[octet] = match octet as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
                b'0'..=b'9' | b'.' | b'-' => DIGIT,
                _ => OTHER,
            };
            octet += 1;
        }
        kinds
    };
    let kinds = text.bytes().fold(DIGIT, |all, octet| all | KINDS[usize::from(octet)]);
    // Capitals at the start may be an AS number; without a letter it may be an address.
    kinds == LETTER && !text.starts_with("AS")
}

/// True for a word with a star anywhere but in front, where it is a scope.
fn has_inner_star(word: &str) -> bool {
    let word = word.strip_prefix('@').unwrap_or(word);
    let word = word.strip_prefix("ns:").unwrap_or(word);
    let rest = word.strip_prefix("*.").unwrap_or(word);
    // One after a backslash is a letter of a name.
    word != "*" && memchr::memchr_iter(b'*', rest.as_bytes()).any(|at| !rest[..at].ends_with('\\'))
}

/// True for `address name…`.
pub fn is_hosts_line(line: &str) -> bool {
    let (first, rest) = first_word(line);
    begins_name(rest) && is_any_address(first)
}

/// A word alone on its line in a format that isn't ours.
fn bare(text: &str, format: Format, extent: Extent, number: u32, sink: &mut dyn Sink) {
    let text = before_mark(text);
    if let Some(net) = network(text) {
        return sink.rule(Rule::new(Effect::Block, Matcher::Address(Place::Net(net)), number));
    }
    let (scope, name) = match text.strip_prefix("*.") {
        Some(name) => (Scope::Below, name),
        None if format == Format::Wildcard => (Scope::Exact, text),
        None => (extent.scope(), text),
    };
    match read_name(name) {
        Ok(name) => sink.name(Effect::Block, scope, &name, number),
        Err(_) if name.contains('*') => star(text, scope, number, sink),
        Err((reason, detail)) => sink.skip(number, reason, detail),
    }
}

/// A word with stars in it: it stands for whole names, as the words of these formats do, and not for parts of names.
fn star(text: &str, scope: Scope, number: u32, sink: &mut dyn Sink) {
    let text = text.strip_suffix('.').unwrap_or(text);
    let start = match scope {
        // Whatever stands before it, the star takes.
        _ if text.starts_with('*') => "",
        Scope::Exact => "|",
        Scope::Subtree | Scope::Below => "||",
    };
    let end = if text.ends_with('*') { "" } else { "^" };
    match text.contains(['^', '|', '$']) {
        true => adblock::line(text, number, sink),
        false => adblock::line(&format!("{start}{text}{end}"), number, sink),
    }
}

/// A regular expression alone on its line.
fn regex(text: &str, number: u32, sink: &mut dyn Sink) {
    if text.contains(|c: char| c.is_whitespace()) {
        return sink.skip(number, "a regular expression with white space, which no name has", shown(text));
    }
    if [";querytype=", ";reply=", ";invert"].iter().any(|option| text.contains(option)) {
        return sink.skip(number, "a regular expression with an option of Pi-hole's", shown(text));
    }
    if adblock::is_on_urls(text) {
        return sink.skip(number, adblock::URL_RULE, shown(text));
    }
    // Between slashes it would have been read before.
    if text.starts_with('/') {
        return sink.skip(
            number,
            "a regular expression that begins with a slash and doesn't end with one",
            shown(text),
        );
    }
    let pattern = Pattern::Regex(text.to_owned());
    sink.rule(Rule::new(Effect::Block, Matcher::Pattern(pattern), number));
}

/// A word up to the `#` of a comment that begins in the middle of it.
fn before_mark(word: &str) -> &str {
    &word[..memchr::memchr(b'#', word.as_bytes()).unwrap_or(word.len())]
}

/// The first word of a line, and what follows it.
fn first_word(line: &str) -> (&str, &str) {
    let end = line.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(line.len());
    (&line[..end], line[end..].trim_ascii())
}

fn begins_name(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('#')
}

fn is_address(text: &str) -> bool {
    // Most words of most lists are names: what can't be an address is told at a glance.
    let Some(&first) = text.as_bytes().first() else { return false };
    let may_be = first.is_ascii_digit() || first == b':' || first.is_ascii_hexdigit() && text.contains(':');
    may_be && text.split('%').next().unwrap_or(text).parse::<IpAddr>().is_ok()
}

/// True for an address in whatever way people write it before a name: `0`, `127.1`, `0x7f.1`, `[::]`.
fn is_any_address(text: &str) -> bool {
    let is_number = |part: &str| match part.strip_prefix("0x") {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_hexdigit()),
        None => !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit()),
    };
    let is_old = || text.split('.').count() <= 4 && text.split('.').all(is_number);
    let first = text.as_bytes().first();
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => is_address(inner),
        None => is_address(text) || first.is_some_and(u8::is_ascii_digit) && is_old(),
    }
}

/// True for the addresses that hosts files send blocked names to.
fn is_nowhere(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified() || address.is_loopback())
}

/// The line up to a `#` that stands after white space.
fn without_comment(line: &str) -> &str {
    line[..comment_start(line.as_bytes()).unwrap_or(line.len())].trim_ascii_end()
}

/// Where a `#` stands after white space.
pub fn comment_start(line: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'#', line).find(|&at| at > 0 && line[at - 1].is_ascii_whitespace())
}
