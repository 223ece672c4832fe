//! Lines of Unbound's configuration that block names: `local-zone` and `local-data`.
//!
//! A zone that Unbound answers by itself, and of which it gives nothing away, blocks its names. Zones that let questions
//! through are not exceptions: in Unbound the closest zone decides, here an exception would beat narrower blocks too.

use super::{
    Sink,
    name::{Problem, read_name, shown},
};
use crate::{
    dns::{Name, Record, RrType, presentation::record},
    policy::{Action, Effect, LocalData, LocalRecord, Matcher, Rule, Scope},
};
use std::{collections::HashSet, net::IpAddr, sync::Arc};

/// Zones whose data stands for all below them, remembered until their data comes; what is beyond is read as exact.
const REDIRECTS_MAX: usize = 100_000;
/// Zone types that answer by themselves and give nothing away.
const BLOCKING: [&str; 11] = [
    "deny",
    "refuse",
    "static",
    "redirect",
    "inform_deny",
    "inform_redirect",
    "always_refuse",
    "always_nxdomain",
    "always_nodata",
    "always_deny",
    "always_null",
];

/// Reads lines one after the other.
#[derive(Default)]
pub struct UnboundReader {
    redirects: HashSet<Name>,
}

/// True for a line that only Unbound's configuration has.
pub fn is_directive(text: &str) -> bool {
    ["local-zone:", "local-data:", "local-data-ptr:"].iter().any(|start| text.starts_with(start)) || text == "server:"
}

impl UnboundReader {
    /// Reads a trimmed line that is not empty; several options may stand on one.
    pub fn line(&mut self, text: &str, number: u32, sink: &mut dyn Sink) {
        let mut rest = text;
        while !rest.is_empty() && !rest.starts_with('#') {
            let Some((option, after)) = rest.split_once(':') else {
                return sink.skip(number, "not an option of Unbound's", shown(rest));
            };
            let result = match option {
                "server" => {
                    rest = after.trim_start();
                    continue;
                }
                "local-zone" => two_words(after).map(|(name, kind, left)| {
                    rest = left;
                    self.zone(name, kind, number, sink)
                }),
                "local-data" => word(after).map(|(data, left)| {
                    rest = left;
                    self.data(data, number, sink)
                }),
                "include" => {
                    Some(Err(("includes are refused: name the other list in the configuration", String::new())))
                }
                _ => Some(Err(("an option of Unbound's that blocks no name", shown(option)))),
            };
            match result {
                Some(Ok(())) => {}
                Some(Err((reason, detail))) => {
                    sink.skip(number, reason, detail);
                    if !matches!(option, "local-zone" | "local-data") {
                        return;
                    }
                }
                None => return sink.skip(number, "its value is missing or a quote is not closed", shown(rest)),
            }
        }
    }

    fn zone(&mut self, name: &str, kind: &str, number: u32, sink: &mut dyn Sink) -> Result<(), Problem> {
        if !BLOCKING.contains(&kind) {
            return Err(("a zone of this type lets its names pass", shown(kind)));
        }
        let name = if name == "." { Name::ROOT } else { read_name(name)? };
        if kind.ends_with("redirect") && self.redirects.len() < REDIRECTS_MAX {
            self.redirects.insert(name);
        }
        sink.name(Effect::Block, Scope::Subtree, &name, number);
        Ok(())
    }

    fn data(&self, text: &str, number: u32, sink: &mut dyn Sink) -> Result<(), Problem> {
        let Record { owner, rr_type, ttl, data, .. } =
            record(text).map_err(|error| ("not a record", format!("`{}`: {error}", shown(text))))?;
        let scope = if self.redirects.contains(&owner) { Scope::Subtree } else { Scope::Exact };
        if is_nowhere(rr_type, &data) {
            sink.name(Effect::Block, scope, &owner, number);
            return Ok(());
        }
        let records = vec![LocalRecord { rr_type, ttl: Some(ttl), data }];
        let action = Action::Rewrite(Arc::new(LocalData { records, alias: None }));
        sink.rule(Rule { action, ..Rule::new(Effect::Block, Matcher::Name { scope, name: owner }, number) });
        Ok(())
    }
}

/// True for an address that only says "blocked".
fn is_nowhere(rr_type: RrType, data: &[u8]) -> bool {
    let address: IpAddr = match rr_type {
        RrType::A => <[u8; 4]>::try_from(data).map(IpAddr::from),
        RrType::AAAA => <[u8; 16]>::try_from(data).map(IpAddr::from),
        _ => return false,
    }
    .unwrap_or(IpAddr::from([192, 0, 2, 1]));
    address.is_unspecified() || address.is_loopback()
}

/// The next word, in quotes of either kind or without, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next()?;
    if quote == '"' || quote == '\'' {
        let (word, rest) = text[1..].split_once(quote)?;
        return Some((word, rest.trim_start()));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    Some((&text[..end], text[end..].trim_start()))
}

fn two_words(text: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = word(text)?;
    let (second, rest) = word(rest)?;
    Some((first, second, rest))
}

#[cfg(test)]
mod tests {
    use crate::policy::parse::tests::{skips, takes};

    #[test]
    fn what_blocks() {
        for (line, expected) in [
            ("local-zone: \"ads.example.\" always_nxdomain", "ads.example"),
            ("local-zone: \"ads.example\" refuse", "ads.example"),
            ("local-zone: 'ads.example' static", "ads.example"),
            ("local-zone: ads.example always_null # why", "ads.example"),
            ("local-zone: \"Ads.Example\" redirect", "ads.example"),
            ("local-zone: \".\" refuse", "*"),
            ("local-data: \"ads.example A 0.0.0.0\"", "=ads.example"),
            ("local-data: 'ads.example. 300 IN AAAA ::'", "=ads.example"),
            ("local-data: \"ads.example A 127.0.0.1\"", "=ads.example"),
            ("local-zone: \"a.example\" redirect local-data: \"a.example A 0.0.0.0\"", "a.example a.example"),
            ("server:", ""),
            ("# comment", ""),
        ] {
            takes("unbound", line, expected);
        }
    }

    #[test]
    fn what_does_not() {
        for line in [
            "local-zone: \"ads.example\" transparent",
            "local-zone: \"ads.example\" typetransparent",
            "local-zone: \"ads.example\" always_transparent",
            "local-zone: \"ads.example\" nodefault",
            "local-zone: \"ads.example\" inform",
            "local-zone: \"ads.example\"",
            "local-zone: \"ads.example refuse",
            "local-data: \"ads.example A\"",
            "local-data: \"ads.example A 1.2.3\"",
            "local-data-ptr: \"192.0.2.1 a.example\"",
            "include: \"/etc/x\"",
            "verbosity: 1",
            "rubbish",
        ] {
            skips("unbound", line);
        }
    }
}
