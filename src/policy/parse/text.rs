//! Lines of the text formats, each read as what it unmistakably is.

use super::{
    Extent, Format, Header, Sink, adblock,
    name::read_name,
    ours::{self, network},
    output::Output,
};
use crate::policy::{Effect, Matcher, Pattern, Place, Rule, Scope};
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

/// Reads lines one after the other.
pub struct TextReader {
    format: Format,
    extent: Extent,
    header: Header,
    /// How many `!#if` lines are open: what stands inside depends on what can't be known here.
    if_depth: u32,
}

impl TextReader {
    pub fn new(format: Format, extent: Extent) -> Self {
        Self { format, extent, header: Header::default(), if_depth: 0 }
    }

    pub fn finish(self, _output: &mut Output<'_>) -> (Format, Header) {
        (self.format, self.header)
    }

    /// Reads a trimmed line that is not empty.
    pub fn line(&mut self, line: &str, number: u32, sink: &mut dyn Sink) {
        if self.is_no_rule(line, number, sink) {
            return;
        }
        if is_plain_name(line) && !matches!(self.format, Format::Regex | Format::Adblock) {
            let scope = match self.format {
                Format::Ours => Scope::Subtree,
                Format::Wildcard => Scope::Exact,
                _ => self.extent.scope(),
            };
            return match read_name(line) {
                Ok(name) => sink.name(Effect::Block, scope, &name, number),
                Err((reason, detail)) => sink.skip(number, reason, detail),
            };
        }
        if self.format == Format::Regex && !is_slashed(line) {
            let pattern = Pattern::Regex(line.to_owned());
            return sink.rule(Rule::new(Effect::Block, Matcher::Pattern(pattern), number));
        }
        if adblock::is_unmistakable(line) {
            return adblock::line(line, number, sink);
        }
        let line = without_comment(line);
        let mut fields = line.split_ascii_whitespace();
        let Some(first) = fields.next() else { return };
        let mut more = fields.clone().peekable();
        if is_address(first) && more.peek().is_some() {
            return hosts_line(fields, self.extent.scope(), number, sink);
        }
        if more.peek().is_some() {
            let reason = "more than one word, and the first is not an address (a reason needs ` # ` before it)";
            return sink.skip(number, reason, String::new());
        }
        match self.format {
            // A star in the middle can only be a pattern's.
            Format::Ours if has_inner_star(first) => adblock::line(first, number, sink),
            Format::Ours => match ours::read(first, number) {
                Ok(Rule { effect, matcher: Matcher::Name { scope, name }, .. }) => {
                    sink.name(effect, scope, &name, number);
                }
                Ok(rule) => sink.rule(rule),
                Err((reason, detail)) => sink.skip(number, reason, detail),
            },
            Format::Adblock => adblock::line(first, number, sink),
            format => bare(first, format, self.extent, number, sink),
        }
    }

    /// Deals with comments, headers and directives.
    fn is_no_rule(&mut self, line: &str, number: u32, sink: &mut dyn Sink) -> bool {
        if let Some(directive) = line.strip_prefix("!#") {
            self.directive(directive, number, sink);
            return true;
        }
        if self.if_depth > 0 {
            sink.skip(number, "it stands inside !#if, whose condition can't be known here", String::new());
            return true;
        }
        if self.format == Format::Ours
            && let Some(field) = line.strip_prefix("#:")
        {
            if let Err(reason) = self.header.read(field) {
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
            "if" => self.if_depth = (self.if_depth + 1).min(IF_DEPTH_MAX),
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
    fn read(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = field.split_once(':').ok_or("it has no `key: value`")?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            "service" => self.service = Some(value.to_owned()),
            "default" => {
                self.default = Some(value.parse().map_err(|error: crate::policy::UnknownWord| error.to_string())?);
            }
            _ => {}
        }
        self.fields.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// True for a word that can only be a name: nearly every line of nearly every list, so it is told in one pass.
fn is_plain_name(line: &str) -> bool {
    let (mut letters, mut all) = (false, true);
    for byte in line.bytes() {
        letters |= byte.is_ascii_alphabetic() || byte == b'_';
        all &= byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    }
    // Capitals at the start may be an AS number; without a letter it may be an address.
    all && letters && !line.starts_with("AS")
}

/// True for a word with a star anywhere but in front, where it is a scope.
fn has_inner_star(word: &str) -> bool {
    let word = word.strip_prefix('@').unwrap_or(word);
    let word = word.strip_prefix("ns:").unwrap_or(word);
    word != "*" && word.strip_prefix("*.").unwrap_or(word).contains('*')
}

/// True for `address name…`.
pub fn is_hosts_line(line: &str) -> bool {
    let mut fields = without_comment(line).split_ascii_whitespace();
    fields.next().is_some_and(is_address) && fields.next().is_some()
}

/// A word alone on its line in a format that isn't ours.
fn bare(text: &str, format: Format, extent: Extent, number: u32, sink: &mut dyn Sink) {
    if let Some(net) = network(text) {
        return sink.rule(Rule::new(Effect::Block, Matcher::Address(Place::Net(net)), number));
    }
    let (scope, name) = match text.strip_prefix("*.") {
        Some(name) => (Scope::Below, name),
        None if format == Format::Wildcard => (Scope::Exact, text),
        None => (extent.scope(), text),
    };
    if name.contains('*') {
        return adblock::line(text, number, sink);
    }
    match read_name(name) {
        Ok(name) => sink.name(Effect::Block, scope, &name, number),
        Err((reason, detail)) => sink.skip(number, reason, detail),
    }
}

/// `name name…`, after the address.
fn hosts_line<'a>(names: impl Iterator<Item = &'a str>, scope: Scope, number: u32, sink: &mut dyn Sink) {
    for text in names {
        let is_own = HOSTS_OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(text.trim_end_matches('.')));
        if is_own || is_address(text) {
            continue;
        }
        match read_name(text) {
            Ok(name) => sink.name(Effect::Block, scope, &name, number),
            Err((reason, detail)) => sink.skip(number, reason, detail),
        }
    }
}

fn is_address(text: &str) -> bool {
    // Most words of most lists are names: what can't be an address is told at a glance.
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || first == b':' || first.is_ascii_hexdigit() && text.contains(':')) {
        return false;
    }
    let text = text.split('%').next().unwrap_or(text);
    text.parse::<IpAddr>().is_ok()
}

/// True for a regular expression between slashes, perhaps with modifiers after it.
fn is_slashed(line: &str) -> bool {
    line.len() > 1 && line.starts_with('/') && (line.ends_with('/') || line.rfind("/$").is_some_and(|at| at > 0))
}

/// The line up to a `#` that stands after white space.
fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let comment = bytes.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#');
    line[..comment.unwrap_or(line.len())].trim_end()
}
