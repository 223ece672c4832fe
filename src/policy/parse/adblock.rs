//! AdBlock's syntax as far as it speaks of names: `||name^`, patterns, regular expressions, exceptions, modifiers.
//!
//! A rule that means more than a resolver can see (a path, a page's parts, who asks for it) is skipped and told, never
//! widened to a rule on the whole name.

mod modifiers;
mod rewrite;

use super::{Sink, name::read_name};
use crate::{
    dns::Name,
    policy::{Action, Anchor, Conditions, Effect, Matcher, Pattern, Place, Rule, Scope},
};
use ipnet::{IpNet, Ipv4Net};
use modifiers::Modifiers;
use std::net::{IpAddr, Ipv4Addr};

/// Why a line gives no rule, and what of it is meant.
type Refusal = (&'static str, String);

/// Characters of a line that a report repeats.
const EXCERPT_CHARS_MAX: usize = 60;
/// Octets of the shortest pattern without conditions, anchors and stars counted, as AdGuard has it: two letters are in
/// half of all names.
const PATTERN_BYTES_MIN: usize = 3;

const NO_PATTERN: &str = "the rule has no name and no pattern";
const NOT_A_NAME: &str = "not a name";
pub(super) const URL_RULE: &str = "a rule on URLs; a resolver sees only names";
const COSMETIC_RULE: &str = "a rule on the parts of pages; a resolver sees only names";
const DIRECTIVE: &str = "a directive, which this program doesn't follow";
const WHITE_SPACE: &str = "white space inside a rule";
const SHORT_PATTERN: &str = "a pattern this short would hit half of all names";

/// Reads one line, without white space around it.
pub(super) fn line(text: &str, number: u32, sink: &mut dyn Sink) {
    // Nearly every line of a long list is `||name^`.
    if let Some(text) = plain_name(text) {
        return match read_name(text) {
            Ok(name) => sink.name(Effect::Block, Scope::Subtree, &name, number),
            Err((reason, detail)) => sink.skip(number, reason, detail),
        };
    }
    match no_rule(text) {
        Some(NoRule::Nothing) => {}
        Some(NoRule::Skipped(reason)) => sink.skip(number, reason, excerpt(text)),
        None => match read_rule(without_comment(text)) {
            Ok(read) => read.give(number, sink),
            Err((reason, detail)) => sink.skip(number, reason, detail),
        },
    }
}

/// True if a line can only be AdBlock's, whatever the rest of the list looks like.
pub(super) fn is_unmistakable(text: &str) -> bool {
    if text.starts_with('|') || text.starts_with("@@") || text.starts_with("! ") || text.starts_with("!#") {
        return true;
    }
    let is_header = || {
        let inner = text.strip_prefix('[').map(str::as_bytes).unwrap_or_default();
        [b"adblock".as_slice(), b"ublock"]
            .iter()
            .any(|word| inner.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
    };
    // `// …` is a comment elsewhere; two `#` at the start are nearly always one, too.
    let is_regex = || !text.starts_with("//") && split_regex(text).is_some();
    let is_cosmetic = || cosmetic_marker(text).is_some_and(|at| at > 0);
    let has_known_modifier = || {
        let (pattern, modifiers) = split_modifiers(text);
        !pattern.contains(char::is_whitespace) && modifiers.is_some_and(modifiers::names_known)
    };
    text.ends_with('^') || is_header() || is_regex() || is_cosmetic() || has_known_modifier()
}

/// The name of a rule that is nothing but `||name^`.
fn plain_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("||")?.strip_suffix('^')?;
    let is_plain =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.') || !octet.is_ascii();
    // What ends in a digit, or in one and a dot, may be an address.
    let ends_well = name.as_bytes().last().is_some_and(|last| !last.is_ascii_digit() && *last != b'.');
    (ends_well && name.bytes().all(is_plain)).then_some(name)
}

/// A line that isn't meant as a rule on names.
enum NoRule {
    Nothing,
    Skipped(&'static str),
}

fn no_rule(text: &str) -> Option<NoRule> {
    match text.as_bytes().first() {
        None => return Some(NoRule::Nothing),
        Some(b'!') if text.starts_with("!#") => return Some(NoRule::Skipped(DIRECTIVE)),
        Some(b'!') => return Some(NoRule::Nothing),
        Some(b'[') if text.starts_with("[$") => return Some(NoRule::Skipped(COSMETIC_RULE)),
        Some(b'[') if text.ends_with(']') => return Some(NoRule::Nothing),
        _ => {}
    }
    match cosmetic_marker(text) {
        Some(_) => Some(NoRule::Skipped(COSMETIC_RULE)),
        None if text.starts_with('#') => Some(NoRule::Nothing),
        None => None,
    }
}

/// Where the marker of a cosmetic rule stands: `##`, `#@#`, `#$#`, `#%#`, `#?#` and their combinations, `$$`, `$@$`.
fn cosmetic_marker(text: &str) -> Option<usize> {
    // Regular expressions may have such signs inside.
    if text.starts_with('/') || text.starts_with("@@/") {
        return None;
    }
    let octets = text.as_bytes();
    // Before the marker stand only names; after white space it would be a comment, after these signs part of a value.
    let ends_names = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'^' | b'|' | b'=' | b'\'' | b'"');
    let names_end = octets.iter().position(ends_names).unwrap_or(octets.len());
    // A line that begins with such a sign is a rule without names, or a comment.
    let names_end = if text.starts_with('#') { 1 } else { names_end };
    (0..names_end).find(|&at| match octets[at] {
        sign @ (b'#' | b'$') => {
            let inside: &[u8] = if sign == b'#' { b"@$%?" } else { b"@" };
            let length = octets[at + 1..].iter().take_while(|octet| inside.contains(octet)).count();
            let rest = &octets[at + 1 + length..];
            rest.first() == Some(&sign) && (at > 0 || length > 0 || begins_selector(&rest[1..])) && rest.len() > 1
        }
        _ => false,
    })
}

/// Tells `##.advert` and `###advert` from the rulers and headings that people make of such signs.
fn begins_selector(text: &[u8]) -> bool {
    match text {
        [b'#', next, ..] => next.is_ascii_alphabetic() || *next == b'_',
        [next, ..] => next.is_ascii_alphabetic() || matches!(next, b'.' | b'[' | b':' | b'*'),
        [] => false,
    }
}

/// A line with whatever follows ` #` taken away, which some write though AdBlock has no such comments.
fn without_comment(text: &str) -> &str {
    // These may have it in their values.
    if text.starts_with('/') || text.starts_with("@@/") || text.contains(['\'', '"']) || text.contains("dnsrewrite=") {
        return text;
    }
    match text.find(" #").or_else(|| text.find("\t#")) {
        Some(at) => text[..at].trim_end(),
        None => text,
    }
}

/// A line as a rule, and whether it takes that rule back.
struct Read {
    rule: Rule,
    badfilter: bool,
}

impl Read {
    fn give(mut self, number: u32, sink: &mut dyn Sink) {
        self.rule.line = number;
        let is_plain = !self.rule.important && self.rule.conditions.is_none() && self.rule.action == Action::Given;
        match &self.rule.matcher {
            _ if self.badfilter => sink.disable(self.rule),
            Matcher::Name { scope, name } if is_plain => sink.name(self.rule.effect, *scope, name, number),
            _ => sink.rule(self.rule),
        }
    }
}

fn read_rule(text: &str) -> Result<Read, Refusal> {
    let (effect, text) = match text.strip_prefix("@@") {
        Some(rest) => (Effect::Except, rest),
        None => (Effect::Block, text),
    };
    let (pattern, modifiers) = split_modifiers(text);
    let modifiers = modifiers.map(|text| modifiers::read(text, effect)).transpose()?.unwrap_or_default();
    let Modifiers { important, badfilter, action, conditions } = modifiers;
    let action = action.unwrap_or(Action::Given);
    let conditions = (conditions != Conditions::default()).then(|| Box::new(conditions));
    let matcher = matcher(pattern, conditions.is_some())?;
    Ok(Read { rule: Rule { effect, important, action, matcher, conditions, line: 0 }, badfilter })
}

/// Pattern and modifiers. A `$` inside a regular expression, or after a backslash, separates nothing.
fn split_modifiers(text: &str) -> (&str, Option<&str>) {
    if let Some((regex, modifiers)) = split_regex(text) {
        return (&text[..regex.len() + 2], modifiers);
    }
    let octets = text.as_bytes();
    let separator = (0..octets.len()).find(|&at| octets[at] == b'$' && (at == 0 || octets[at - 1] != b'\\'));
    match separator {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The inside of `/…/` and the modifiers behind it.
fn split_regex(text: &str) -> Option<(&str, Option<&str>)> {
    let inner = text.strip_prefix('/')?;
    if let Some(regex) = inner.strip_suffix('/').filter(|regex| !regex.is_empty() && !ends_in_escape(regex)) {
        return Some((regex, None));
    }
    let is_end = |(at, _): &(usize, &str)| *at > 0 && modifiers::look_like(&inner[at + 2..]);
    let (at, _) = inner.rmatch_indices("/$").find(is_end)?;
    Some((&inner[..at], Some(&inner[at + 2..])))
}

/// True for a regular expression that no name matches, since it is about URLs.
pub(super) fn is_on_urls(regex: &str) -> bool {
    regex.contains("://") || regex.contains(r":\/\/")
}

/// True if the text ends in a backslash that isn't escaped itself.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|&octet| octet == b'\\').count() % 2 == 1
}

/// What a rule looks at, from the text before its modifiers.
fn matcher(text: &str, has_conditions: bool) -> Result<Matcher, Refusal> {
    if let Some((regex, None)) = split_regex(text) {
        return if is_on_urls(regex) {
            Err((URL_RULE, excerpt(text)))
        } else if regex.contains(char::is_control) {
            Err((WHITE_SPACE, excerpt(text)))
        } else {
            Ok(Matcher::Pattern(Pattern::Regex(regex.to_owned())))
        };
    }
    if text.contains(char::is_whitespace) {
        return Err((WHITE_SPACE, excerpt(text)));
    }
    if text.is_empty() && has_conditions {
        return Ok(EVERY_NAME);
    }
    let glob = Glob::read(text)?;
    if let Some(net) = glob.network() {
        return Ok(Matcher::Address(Place::Net(net)));
    }
    if let Some(bad) = glob.text.chars().find(|&c| !is_of_names(c)) {
        let reason = match bad {
            '/' | ':' | '?' | '=' | '&' | '%' | '@' | '#' | '+' | ';' | '~' => URL_RULE,
            _ => NOT_A_NAME,
        };
        return Err((reason, excerpt(text)));
    }
    if let Some((scope, name)) = glob.as_name() {
        return only_name(name).map(|name| Matcher::Name { scope, name });
    }
    if glob.text.is_empty() {
        return if glob.starry { Ok(EVERY_NAME) } else { Err((NO_PATTERN, excerpt(text))) };
    }
    if !glob.text.is_ascii() {
        return Err(("a pattern with letters beyond ASCII; write A-labels (xn--…)", excerpt(text)));
    }
    if text.len() < PATTERN_BYTES_MIN && !has_conditions {
        return Err((SHORT_PATTERN, excerpt(text)));
    }
    Ok(Matcher::Pattern(glob.into_pattern()))
}

/// What `*` alone means.
const EVERY_NAME: Matcher = Matcher::Name { scope: Scope::Subtree, name: Name::ROOT };

fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*') || (!c.is_ascii() && !c.is_whitespace())
}

/// Reads a name that AdBlock's syntax can write, which has no escapes, and that is no address.
fn only_name(text: &str) -> Result<Name, Refusal> {
    let is_address = || text.strip_suffix('.').unwrap_or(text).parse::<Ipv4Addr>().is_ok();
    if text.contains(|c| c == '*' || !is_of_names(c)) || is_address() {
        return Err((NOT_A_NAME, format!("`{}`", excerpt(text))));
    }
    read_name(text)
}

/// A pattern with its anchors taken off. Stars at its ends are gone, too: they say the same as no anchor.
struct Glob<'a> {
    start: Anchor,
    text: &'a str,
    end: bool,
    /// A star stood at its start or end.
    starry: bool,
    /// It began with `*` and had no other sign around it.
    below: bool,
}

impl<'a> Glob<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let (mut start, rest) = match (text.strip_prefix("||"), text.strip_prefix('|')) {
            (Some(rest), _) => (Anchor::Label, rest),
            (None, Some(rest)) => (Anchor::Start, rest),
            (None, None) => (Anchor::Anywhere, text),
        };
        let (body, after) = rest.split_at(rest.find(['^', '|']).unwrap_or(rest.len()));
        // A separator can only be the end of the name. What may follow that is nothing, or anything.
        if !after.bytes().all(|octet| matches!(octet, b'^' | b'|' | b'*')) {
            return Err((URL_RULE, excerpt(text)));
        }
        let from_star = body.trim_start_matches('*');
        let inner = from_star.trim_end_matches('*');
        let (star_before, star_after) = (from_star.len() < body.len(), inner.len() < from_star.len());
        let below = star_before && !star_after && start == Anchor::Anywhere && after.is_empty();
        if star_before {
            start = Anchor::Anywhere;
        }
        Ok(Self { start, text: inner, end: !after.is_empty() && !star_after, starry: star_before || star_after, below })
    }

    /// The network, if the pattern is an address, a prefix, or the octets before `.*`, which may be left unsaid.
    fn network(&self) -> Option<IpNet> {
        let text = self.text;
        if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':' || c == '[') {
            return None;
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(address.into());
        }
        if let Ok(net) = bare.parse::<IpNet>() {
            return Some(net.trunc());
        }
        let octets = text.strip_suffix('.').filter(|_| !self.end && self.start != Anchor::Anywhere)?;
        let (mut address, mut count) = ([0u8; 4], 0usize);
        for octet in octets.split('.') {
            *address.get_mut(count).filter(|_| count < 3)? = octet.parse().ok()?;
            count += 1;
        }
        Ipv4Net::new(Ipv4Addr::from(address), count as u8 * 8).ok().map(IpNet::V4)
    }

    /// Scope and name, if the pattern says nothing but a name.
    fn as_name(&self) -> Option<(Scope, &'a str)> {
        if self.text.is_empty() || self.text.contains('*') {
            return None;
        }
        match (self.start, self.end) {
            (Anchor::Start, true) => Some((Scope::Exact, self.text)),
            (Anchor::Label, true) => Some((Scope::Subtree, self.text)),
            (Anchor::Anywhere, end) => {
                let is_below = end || self.below;
                let below = self.text.strip_prefix('.').filter(|name| is_below && !name.starts_with('.'));
                let bare = Some(self.text).filter(|name| !end && !self.starry && is_host_name(name));
                below.map(|name| (Scope::Below, name)).or(bare.map(|name| (Scope::Exact, name)))
            }
            _ => None,
        }
    }

    fn into_pattern(self) -> Pattern {
        let mut text = self.text.to_ascii_lowercase();
        while text.contains("**") {
            text = text.replace("**", "*");
        }
        Pattern::Glob { start: self.start, text, end: self.end }
    }
}

/// True for what can stand as a host name by itself, unlike a piece of one such as `-ads-` or `.ads.`.
fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

/// The beginning of somebody's text.
fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
