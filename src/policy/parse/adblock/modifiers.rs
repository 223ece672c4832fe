//! What stands behind the `$` of a rule: `important,client=192.0.2.1,dnstype=A`.

use super::{Refusal, excerpt, only_name, rewrite};
use crate::{
    dns::RrType,
    policy::{Action, ClientIs, Conditions, Effect},
};
use ipnet::IpNet;
use std::net::IpAddr;

/// Values of one modifier. Real rules have a handful; a line has room for two thousand.
const VALUES_MAX: usize = 1024;
/// The modifiers that a resolver can honour.
const KNOWN: [&str; 7] = ["important", "badfilter", "client", "ctag", "denyallow", "dnstype", "dnsrewrite"];

/// What the modifiers of one rule say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Modifiers {
    pub important: bool,
    pub badfilter: bool,
    /// `None`: the program's own.
    pub action: Option<Action>,
    pub conditions: Conditions,
}

/// True if the text begins as modifiers do, so that a `$` before it is no part of a regular expression.
pub(super) fn look_like(text: &str) -> bool {
    let text = text.strip_prefix('~').unwrap_or(text);
    let name = text.split([',', '=']).next().unwrap_or_default();
    !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// True if a modifier that a resolver can honour is among them.
pub(super) fn names_known(text: &str) -> bool {
    split(text, b',').any(|modifier| KNOWN.contains(&modifier.split('=').next().unwrap_or_default()))
}

/// Reads the modifiers of a rule.
pub(super) fn read(text: &str, effect: Effect) -> Result<Modifiers, Refusal> {
    if text.contains(char::is_control) {
        return Err(("a modifier with control characters", excerpt(text)));
    }
    let mut modifiers = Modifiers::default();
    let mut seen: Vec<&str> = Vec::new();
    for modifier in split(text, b',') {
        let modifier = modifier.trim();
        let (name, value) = match modifier.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (modifier, None),
        };
        if seen.contains(&name) && value.is_some() {
            return Err(("a modifier that stands there twice", format!("`{name}`")));
        }
        seen.push(name);
        modifiers.add(name, value, effect)?;
    }
    // The same values in another order are the same rule, which `$badfilter` takes back.
    modifiers.conditions.sort();
    Ok(modifiers)
}

impl Modifiers {
    fn add(&mut self, name: &str, value: Option<&str>, effect: Effect) -> Result<(), Refusal> {
        match (name, value) {
            ("important", None) => self.important = true,
            ("badfilter", None) => self.badfilter = true,
            ("client", Some(value)) => self.conditions.clients = each("client", value, client)?,
            ("ctag", Some(value)) => self.conditions.tags = each("ctag", value, tag)?,
            ("denyallow", Some(value)) => self.conditions.denyallow = names(value)?,
            ("dnstype", Some(value)) => self.conditions.types = Some(types(value)?),
            ("dnsrewrite", _) if effect == Effect::Except => {
                return Err((
                    "an exception from rewrites alone, which this program doesn't have",
                    "`dnsrewrite`".into(),
                ));
            }
            ("dnsrewrite", Some(value)) => self.action = Some(rewrite::read(&without_escapes(value, b",$"))?),
            ("", None) => return Err(("an empty modifier", String::new())),
            ("important" | "badfilter", Some(_)) => {
                return Err(("a modifier that takes no value", format!("`{name}`")));
            }
            ("client" | "ctag" | "denyallow" | "dnstype" | "dnsrewrite", None) => {
                return Err(("a modifier without its value", format!("`{name}`")));
            }
            // AdBlock's way to put a gap between modifiers.
            (name, None) if name.bytes().all(|octet| octet == b'_') => {}
            (name, _) => return Err(("a modifier that a resolver can't honour", format!("`{}`", excerpt(name)))),
        }
        Ok(())
    }
}

/// The pieces between separators; one after a backslash separates nothing.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let octets = text.as_bytes();
        let mut at = 0;
        while at < octets.len() && octets[at] != separator {
            at += if octets[at] == b'\\' { 2 } else { 1 };
        }
        // Both are ASCII, so that no character is cut in two.
        let (piece, after) = if at < octets.len() { (&text[..at], Some(&text[at + 1..])) } else { (text, None) };
        rest = after;
        Some(piece)
    })
}

/// The text with the backslashes before these octets taken away; other escapes are left to whom they concern.
fn without_escapes(text: &str, octets: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                if !u8::try_from(next).is_ok_and(|next| octets.contains(&next)) {
                    shown.push('\\');
                }
                shown.push(next);
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// Values between `|`, each with whether it is wanted (`~`: not).
fn each<T>(
    name: &'static str,
    value: &str,
    read: impl Fn(&str) -> Result<T, Refusal>,
) -> Result<Vec<(bool, T)>, Refusal> {
    let mut all = Vec::new();
    for piece in split(value, b'|') {
        if all.len() == VALUES_MAX {
            return Err(("a modifier with more than 1024 values", format!("`{name}`")));
        }
        let (wanted, piece) = match piece.trim().strip_prefix('~') {
            Some(rest) => (false, rest),
            None => (true, piece.trim()),
        };
        if piece.is_empty() {
            return Err(("a modifier with an empty value", format!("`{name}`")));
        }
        all.push((wanted, read(piece)?));
    }
    Ok(all)
}

/// An address, a network, or a name of a client or group, which may stand in quotation marks.
fn client(text: &str) -> Result<ClientIs, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(ClientIs::Net(address.into()));
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(ClientIs::Net(net.trunc()));
    }
    let unclosed =
        || ("a client's name without its second quotation mark (`,` and `|` in it are `\\,` and `\\|`)", excerpt(text));
    let id = match text.chars().next() {
        Some(mark @ ('\'' | '"')) => {
            let inner = text[1..].strip_suffix(mark).filter(|inner| !inner.is_empty() && !super::ends_in_escape(inner));
            inner.ok_or_else(unclosed)?
        }
        _ => text,
    };
    Ok(ClientIs::Id(without_escapes(id, b",|'\"~\\$")))
}

fn tag(text: &str) -> Result<String, Refusal> {
    let is_tag = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if is_tag { Ok(text.to_owned()) } else { Err(("not a tag of clients", format!("`{}`", excerpt(text)))) }
}

fn names(value: &str) -> Result<Vec<crate::dns::Name>, Refusal> {
    let all = each("denyallow", value, only_name)?;
    if all.iter().any(|(wanted, _)| !wanted) {
        return Err(("`denyallow` takes no `~`", excerpt(value)));
    }
    Ok(all.into_iter().map(|(_, name)| name).collect())
}

/// The types asked, or with false those not asked.
fn types(value: &str) -> Result<(bool, Vec<RrType>), Refusal> {
    let all = each("dnstype", value, |text| {
        text.parse::<RrType>().map_err(|_| ("not a record type", format!("`{}`", excerpt(text))))
    })?;
    let wanted = all.iter().all(|(wanted, _)| *wanted);
    if !wanted && all.iter().any(|(wanted, _)| *wanted) {
        return Err(("`dnstype` takes types with `~` or without, not both", excerpt(value)));
    }
    let mut types: Vec<RrType> = all.into_iter().map(|(_, rr_type)| rr_type).collect();
    // Their order means nothing, and a `$badfilter` must find the rule it is for.
    types.sort_unstable();
    types.dedup();
    Ok((wanted, types))
}
