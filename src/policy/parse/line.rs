//! One line of a text list.

use super::{
    super::rule::{Effect, Rule, Scope},
    Extent, Format,
};
use crate::dns::Name;
use std::net::IpAddr;

/// What a line came to. Its rules, if any, went to the sink.
pub enum Meaning {
    Rules,
    /// A comment, or a hosts file's own entries.
    Nothing,
    Skipped {
        reason: &'static str,
        detail: String,
    },
}

/// The names that stand in every hosts file for the machine itself; they are never rules.
const HOSTS_OWN_NAMES: [&str; 14] = [
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
];

/// Reads a trimmed, non-empty line and gives its rules to `sink`, which answers false when it takes no more.
pub fn read_line(
    line: &[u8],
    format: Format,
    extent: Extent,
    number: u32,
    sink: &mut dyn FnMut(Rule) -> bool,
) -> Meaning {
    let skipped = |reason: &'static str| Meaning::Skipped { reason, detail: String::new() };
    // `!country:` is a rule of our own format; every other `!` begins a comment, as in AdBlock lists.
    let is_comment = matches!(line[0], b'#' | b'!' | b';') || line.starts_with(b"//");
    if is_comment && !line.starts_with(b"!country:") {
        return Meaning::Nothing;
    }
    let Ok(line) = std::str::from_utf8(without_comment(line)) else {
        return skipped("not UTF-8 text");
    };
    let line = line.trim();
    let mut fields = line.split_ascii_whitespace();
    let Some(first) = fields.next() else {
        return Meaning::Nothing;
    };
    if format != Format::Ours {
        if let Some(reason) = belongs_to_another_format(first) {
            return skipped(reason);
        }
        if is_address(first) {
            return hosts_line(fields, extent, number, sink);
        }
    }
    if fields.next().is_some() {
        return skipped("more than one word, and the first is not an address (a reason needs ` # ` before it)");
    }
    let rule = if format == Format::Ours { ours(first) } else { bare(first, format, extent) };
    match rule {
        Ok((effect, scope, name)) => push(Rule::on_name(effect, scope, name, number), sink),
        Err((reason, detail)) => Meaning::Skipped { reason, detail },
    }
}

type Reading = Result<(Effect, Scope, Name), (&'static str, String)>;

fn push(rule: Rule, sink: &mut dyn FnMut(Rule) -> bool) -> Meaning {
    if sink(rule) { Meaning::Rules } else { Meaning::Skipped { reason: "the list is too long", detail: String::new() } }
}

/// A rule in this project's own format.
fn ours(text: &str) -> Reading {
    let (effect, text) = match text.strip_prefix('@') {
        Some(rest) => (Effect::Except, rest),
        None => (Effect::Block, text),
    };
    let not_yet = |what| Err((what, String::new()));
    let bare = text.strip_prefix('!').unwrap_or(text);
    if bare.starts_with("country:") {
        return not_yet("country rules are not yet supported by this version");
    }
    if bare.starts_with("ns:") {
        return not_yet("name-server rules are not yet supported by this version");
    }
    let is_as_number = bare.strip_prefix("AS").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if is_as_number {
        return not_yet("AS number rules are not yet supported by this version");
    }
    if is_address(bare.split('/').next().unwrap_or(bare)) {
        return not_yet("address rules are not yet supported by this version");
    }
    if let Some(name) = text.strip_prefix('=') {
        return read_name(name).map(|name| (effect, Scope::Exact, name));
    }
    if let Some(name) = text.strip_prefix("*.") {
        return read_name(name).map(|name| (effect, Scope::Below, name));
    }
    read_name(text).map(|name| (effect, Scope::Subtree, name))
}

/// A name alone on its line in a format that isn't ours.
fn bare(text: &str, format: Format, extent: Extent) -> Reading {
    if let Some(name) = text.strip_prefix("*.") {
        return read_name(name).map(|name| (Effect::Block, Scope::Below, name));
    }
    let scope = match (format, extent) {
        (Format::Wildcard, _) | (_, Extent::Exact) => Scope::Exact,
        (_, Extent::Subtree) => Scope::Subtree,
    };
    read_name(text).map(|name| (Effect::Block, scope, name))
}

/// `address name name…`
fn hosts_line<'a>(
    names: impl Iterator<Item = &'a str>,
    extent: Extent,
    number: u32,
    sink: &mut dyn FnMut(Rule) -> bool,
) -> Meaning {
    let scope = match extent {
        Extent::Exact => Scope::Exact,
        Extent::Subtree => Scope::Subtree,
    };
    let (mut meaning, mut any) = (Meaning::Nothing, false);
    for text in names {
        any = true;
        if is_address(text) || HOSTS_OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(text.trim_end_matches('.'))) {
            continue;
        }
        let result = match read_name(text) {
            Ok(name) => push(Rule::on_name(Effect::Block, scope, name, number), sink),
            Err((reason, detail)) => Meaning::Skipped { reason, detail },
        };
        // One bad name among good ones makes the line worth reporting, and loses nothing else.
        if !matches!(meaning, Meaning::Skipped { .. }) {
            meaning = result;
        }
    }
    if any {
        meaning
    } else {
        Meaning::Skipped { reason: "address rules are not yet supported by this version", detail: String::new() }
    }
}

/// Reads a name that may be a rule's: at least one label, and not one that only looks like an address.
fn read_name(text: &str) -> Result<Name, (&'static str, String)> {
    match text.parse::<Name>() {
        Ok(name) if name.is_root() => Err(("the root would block every name", String::new())),
        Ok(name) if text.contains('*') => Err(("`*` may stand only as the first label", name.to_string())),
        Ok(_) if text.contains(['/', '$', '^', '|', ',', '(', '[']) => {
            Err(("not a name; a rule of another format?", text.chars().take(60).collect()))
        }
        Ok(name) => Ok(name),
        Err(error) => Err(("not a name", format!("`{}`: {error}", text.chars().take(60).collect::<String>()))),
    }
}

/// Why a word can only be a rule of a format that this version doesn't read.
fn belongs_to_another_format(word: &str) -> Option<&'static str> {
    if word.starts_with("||") || word.starts_with("@@") || word.starts_with('|') {
        return Some("AdBlock rules are not yet supported by this version");
    }
    if word.len() > 1 && word.starts_with('/') && word.ends_with('/') {
        return Some("regular expressions are not yet supported by this version");
    }
    if ["address=/", "local=/", "server=/"].iter().any(|prefix| word.starts_with(prefix)) {
        return Some("dnsmasq rules are not yet supported by this version");
    }
    if ["local-zone:", "local-data:"].contains(&word) {
        return Some("Unbound rules are not yet supported by this version");
    }
    if word == "$TTL" || word == "$ORIGIN" {
        return Some("RPZ zone files are not yet supported by this version");
    }
    None
}

fn is_address(text: &str) -> bool {
    let text = text.split('%').next().unwrap_or(text);
    text.parse::<IpAddr>().is_ok()
}

/// The line up to a `#` that stands after white space.
fn without_comment(line: &[u8]) -> &[u8] {
    let comment = line.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#');
    &line[..comment.unwrap_or(line.len())]
}

