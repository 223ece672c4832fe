//! Lines of Unbound's configuration that block names: `local-zone` and `local-data`.
//!
//! A zone that Unbound answers by itself, and of which it gives nothing away, blocks its names. Zones that let questions
//! through are not exceptions: in Unbound the closest zone decides, here an exception would beat narrower blocks too.
//!
//! Data of a redirecting zone stands for every name below it, and zone and data may come in any order. So both wait for
//! each other, but for the pairs that make up long lists: a zone and, at once, an address that leads nowhere.

use super::{
    Sink,
    name::{Problem, read_name, shown},
};
use crate::{
    dns::{Name, Record, RrType, presentation::record},
    policy::{Action, AliasTarget, Conditions, Effect, LocalData, LocalRecord, Matcher, Rule, Scope},
};
use foldhash::{HashMap, HashMapExt};
use std::{net::IpAddr, sync::Arc};

/// Names of which a zone waits for data or data for a zone; those beyond are taken as they stand.
const WAITING_MAX: usize = 100_000;
/// Zone types that give nothing away but their own data.
const BLOCKING: [&str; 4] = ["static", "deny", "refuse", "inform_deny"];
/// Zone types that give nothing away, not even their own data.
const ALWAYS_BLOCKING: [&str; 5] = ["always_refuse", "always_nxdomain", "always_nodata", "always_deny", "always_null"];
/// Zone types whose own data stands for every name below; without data nothing is given away.
const REDIRECTING: [&str; 2] = ["redirect", "inform_redirect"];
/// What begins a clause of the configuration.
const CLAUSES: [&str; 13] = [
    "server",
    "view",
    "forward-zone",
    "stub-zone",
    "auth-zone",
    "rpz",
    "remote-control",
    "python",
    "dynlib",
    "cachedb",
    "dnscrypt",
    "dnstap",
    "ipset",
];

/// Reads lines one after the other.
pub struct UnboundReader {
    /// The lines at hand stand in a clause on some clients alone.
    in_view: bool,
    /// The zone or data read last, if it blocks.
    last: Option<Last>,
    waiting: HashMap<Box<[u8]>, Waiting>,
}

/// What was read last.
struct Last {
    name: Name,
    kind: LastKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LastKind {
    /// It is told already, and holds for this name at least.
    Told,
    /// The same, and data of this name counts for nothing.
    ToldAlways,
    /// A redirecting zone of this line, whose data may come.
    Redirecting(u32),
}

/// What is known of a name so far.
#[derive(Default)]
struct Waiting {
    /// The line of its redirecting zone.
    zone: Option<u32>,
    /// Its data and the line that it begins in.
    data: Option<(u32, LocalData)>,
}

/// True for a line that only Unbound's configuration has.
pub fn is_directive(text: &str) -> bool {
    ["local-zone:", "local-data:", "local-data-ptr:"].iter().any(|start| text.starts_with(start)) || text == "server:"
}

impl UnboundReader {
    pub fn new() -> Self {
        Self { in_view: false, last: None, waiting: HashMap::new() }
    }

    /// Reads a trimmed line that is not empty; several options may stand on one.
    pub fn line(&mut self, text: &str, number: u32, sink: &mut dyn Sink) {
        let mut rest = text;
        while !rest.is_empty() && !rest.starts_with('#') {
            let Some((option, after)) = rest.split_once(':') else {
                return sink.skip(number, "not an option of Unbound's", shown(rest));
            };
            if CLAUSES.contains(&option) {
                self.in_view = option == "view";
                if option != "server" {
                    sink.skip(number, "a clause of Unbound's that blocks no name", shown(option));
                }
                rest = after.trim_ascii_start();
                continue;
            }
            let words = match option {
                "local-zone" => two_words(after),
                "local-data" => word(after).map(|(data, left)| (data, "", left)),
                "include" => {
                    let reason = "includes are refused: name the other list in the configuration";
                    return sink.skip(number, reason, String::new());
                }
                _ => return sink.skip(number, "an option of Unbound's that blocks no name", shown(option)),
            };
            let Some((first, second, left)) = words else {
                return sink.skip(number, "its value is missing or a quote is not closed", shown(rest));
            };
            rest = left;
            let result = match option {
                _ if self.in_view => Err(("it stands in a view, and so is meant for some clients alone", shown(first))),
                "local-zone" => self.zone(first, second, number, sink),
                _ => self.data(first, number, sink),
            };
            if let Err((reason, detail)) = result {
                sink.skip(number, reason, detail);
            }
        }
    }

    /// To be called after the last line.
    pub fn finish(mut self, sink: &mut dyn Sink) {
        self.settle_last(sink);
        let mut waiting: Vec<_> = self.waiting.into_iter().collect();
        let line = |waiting: &Waiting| waiting.zone.or(waiting.data.as_ref().map(|(line, _)| *line));
        // One line may have given several.
        waiting.sort_by(|(name, own), (other_name, other)| (line(own), name).cmp(&(line(other), other_name)));
        for (wire, Waiting { zone, data }) in waiting {
            let Ok(name) = Name::from_wire(&wire) else { continue };
            match (zone, data) {
                (Some(_), Some((line, data))) => rewrite(Scope::Subtree, name, data, line, sink),
                (Some(line), None) => sink.name(Effect::Block, Scope::Subtree, &name, line),
                (None, Some((line, data))) => rewrite(Scope::Exact, name, data, line, sink),
                (None, None) => {}
            }
        }
    }

    fn zone(&mut self, name: &str, kind: &str, number: u32, sink: &mut dyn Sink) -> Result<(), Problem> {
        let is_always = ALWAYS_BLOCKING.contains(&kind);
        let is_redirecting = REDIRECTING.contains(&kind);
        if !is_always && !is_redirecting && !BLOCKING.contains(&kind) && kind != "block_a" {
            return Err(("a zone of this type lets its names pass", shown(kind)));
        }
        let name = if name == "." { Name::ROOT } else { read_name(name)? };
        self.settle_last(sink);
        if kind == "block_a" {
            let types = Some((true, vec![RrType::A]));
            let conditions = Some(Box::new(Conditions { types, ..Conditions::default() }));
            let matcher = Matcher::Name { scope: Scope::Subtree, name };
            let rule = Rule::new(Effect::Block, matcher, number);
            sink.rule(Rule { action: Action::NoData, conditions, ..rule });
            return Ok(());
        }
        let kind = match (is_redirecting, is_always) {
            (true, _) => LastKind::Redirecting(number),
            (false, true) => LastKind::ToldAlways,
            (false, false) => LastKind::Told,
        };
        if !is_redirecting {
            sink.name(Effect::Block, Scope::Subtree, &name, number);
        }
        self.last = Some(Last { name, kind });
        Ok(())
    }

    fn data(&mut self, text: &str, number: u32, sink: &mut dyn Sink) -> Result<(), Problem> {
        let ascii;
        let text = match text.split_once(char::is_whitespace) {
            Some((owner, rest)) if !owner.is_ascii() => {
                ascii = format!("{} {rest}", read_name(owner)?);
                ascii.as_str()
            }
            _ => text,
        };
        let Record { owner, rr_type, ttl, data, .. } =
            record(text).map_err(|error| ("not a record", format!("`{}`: {error}", shown(text))))?;
        let last = self.last.as_ref().filter(|last| last.name == owner).map(|last| last.kind);
        if is_nowhere(rr_type, &data) {
            self.block(owner, last, number, sink);
            return Ok(());
        }
        if last == Some(LastKind::ToldAlways) {
            return Err(("its zone is of a type that never gives its data", shown(text)));
        }
        self.settle_last(sink);
        let ttl = says_ttl(text).then_some(ttl);
        let mut own = LocalData::default();
        let target = if rr_type == RrType::CNAME { Name::from_wire(&data).ok() } else { None };
        match target {
            Some(target) => (own.alias, own.alias_ttl) = (Some(AliasTarget::Name(Box::new(target))), ttl),
            None => own.records.push(LocalRecord { rr_type, ttl, data }),
        }
        match self.waiting_for(&owner) {
            Some(waiting) => {
                let (_, before) = waiting.data.get_or_insert_with(|| (number, LocalData::default()));
                before.records.append(&mut own.records);
                if before.alias.is_none() {
                    (before.alias, before.alias_ttl) = (own.alias, own.alias_ttl);
                }
            }
            None => rewrite(Scope::Exact, owner, own, number, sink),
        }
        Ok(())
    }

    /// Takes data that only says "blocked".
    fn block(&mut self, owner: Name, last: Option<LastKind>, number: u32, sink: &mut dyn Sink) {
        let known = self.waiting.get(owner.as_wire()).map(|waiting| (waiting.zone, waiting.data.is_some()));
        match (last, known) {
            (Some(LastKind::Told | LastKind::ToldAlways), _) => return,
            (Some(LastKind::Redirecting(line)), None) => sink.name(Effect::Block, Scope::Subtree, &owner, line),
            (_, Some((Some(line), false))) => {
                self.waiting.remove(owner.as_wire());
                sink.name(Effect::Block, Scope::Subtree, &owner, line);
            }
            _ => {
                self.settle_last(sink);
                sink.name(Effect::Block, Scope::Exact, &owner, number);
            }
        }
        if last.is_none() {
            self.settle_last(sink);
        }
        self.last = Some(Last { name: owner, kind: LastKind::Told });
    }

    /// Leaves what was read last. A redirecting zone whose data didn't follow waits for it.
    fn settle_last(&mut self, sink: &mut dyn Sink) {
        let Some(Last { name, kind: LastKind::Redirecting(line) }) = self.last.take() else { return };
        match self.waiting_for(&name) {
            Some(waiting) => waiting.zone = waiting.zone.or(Some(line)),
            None => sink.name(Effect::Block, Scope::Subtree, &name, line),
        }
    }

    /// What is known of a name; `None` if it is unknown and there is no room for it.
    fn waiting_for(&mut self, name: &Name) -> Option<&mut Waiting> {
        let has_room = self.waiting.len() < WAITING_MAX || self.waiting.contains_key(name.as_wire());
        has_room.then(|| self.waiting.entry(name.as_wire().into()).or_default())
    }
}

fn rewrite(scope: Scope, name: Name, data: LocalData, line: u32, sink: &mut dyn Sink) {
    let rule = Rule::new(Effect::Block, Matcher::Name { scope, name }, line);
    sink.rule(Rule { action: Action::Rewrite(Arc::new(data)), ..rule });
}

/// True if a record's text has a TTL: before or after the class, which may be left out.
fn says_ttl(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().skip(1);
    let is_ttl = |word: Option<&str>| word.is_some_and(|word| word.as_bytes()[0].is_ascii_digit());
    match words.next() {
        Some(class) if class.eq_ignore_ascii_case("IN") => is_ttl(words.next()),
        first => is_ttl(first),
    }
}

/// True for an address that only says "blocked".
fn is_nowhere(rr_type: RrType, data: &[u8]) -> bool {
    let address = match rr_type {
        RrType::A => <[u8; 4]>::try_from(data).map(IpAddr::from).ok(),
        RrType::AAAA => <[u8; 16]>::try_from(data).map(IpAddr::from).ok(),
        _ => None,
    };
    address.is_some_and(|address| address.is_unspecified() || address.is_loopback())
}

/// The next word, in quotes of either kind or without, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let (word, rest) = match text.as_bytes().first()? {
        b'#' => return None,
        b'"' => text[1..].split_once('"')?,
        b'\'' => text[1..].split_once('\'')?,
        _ => text.split_at(text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len())),
    };
    Some((word, rest.trim_ascii_start()))
}

fn two_words(text: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = word(text)?;
    let (second, rest) = word(rest)?;
    Some((first, second, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse::tests::{Kept, skips, takes};

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
            ("local-data: \"müller.example A 0.0.0.0\"", "=xn--mller-kva.example"),
            ("local-data: 'müller.example 60 IN A 192.0.2.1'", "=xn--mller-kva.example (60 A 192.0.2.1)"),
            ("local-zone: \"a.example\" redirect local-data: \"a.example A 0.0.0.0\"", "a.example"),
            ("local-zone:\"ads.example\" inform_deny", "ads.example"),
            ("server: local-zone: ads.example deny", "ads.example"),
            ("local-zone: ads.example block_a", "||ads.example^$dnstype=A,dnsrewrite=NOERROR"),
            ("local-data: 'nas.example A 192.0.2.7'", "|nas.example^$dnsrewrite=192.0.2.7"),
            ("local-data: 'www.example CNAME a.example.'", "|www.example^$dnsrewrite=a.example"),
            ("server:", ""),
            ("# comment", ""),
        ] {
            takes("unbound", line, expected);
        }
    }

    /// Rules that lines give together, with their line numbers; `!` before the number of one that is reported.
    fn read(lines: &[&str]) -> String {
        let (mut reader, mut kept) = (UnboundReader::new(), Kept::default());
        lines.iter().zip(1..).for_each(|(line, number)| reader.line(line, number, &mut kept));
        reader.finish(&mut kept);
        let mut all: Vec<_> = kept.rules.iter().map(|rule| (rule.line, rule.to_string())).collect();
        all.extend(kept.skipped.iter().map(|(line, ..)| (*line, "!".to_owned())));
        all.sort();
        all.iter().map(|(line, what)| format!("{line}:{what}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn zones_and_their_data() {
        const REDIRECT: &str = "local-zone: x redirect";
        const STATIC: &str = "local-zone: x static";
        const NOWHERE: &str = "local-data: 'x A 0.0.0.0'";
        const NOWHERE_6: &str = "local-data: 'x AAAA ::'";
        const HOST: &str = "local-data: 'x A 192.0.2.1'";
        const HOST_6: &str = "local-data: 'x AAAA 2001:db8::1'";
        const OTHER: &str = "local-zone: y static";
        for (lines, expected) in [
            (&[REDIRECT][..], "1:x".to_owned()),
            (&[REDIRECT, OTHER], "1:x 2:y".to_owned()),
            // What a zone blocks, its data doesn't block again.
            (&[REDIRECT, NOWHERE, NOWHERE_6], "1:x".to_owned()),
            (&[REDIRECT, OTHER, NOWHERE, NOWHERE_6], "1:x 2:y".to_owned()),
            (&[STATIC, NOWHERE, NOWHERE_6], "1:x".to_owned()),
            (&[NOWHERE, NOWHERE_6, OTHER], "1:=x 3:y".to_owned()),
            (&[NOWHERE, REDIRECT], "1:=x 2:x".to_owned()),
            // A redirecting zone with data is a rewrite of all its names, and no block that would stand in its way.
            (&[REDIRECT, HOST], "2:||x^$dnsrewrite=192.0.2.1".to_owned()),
            (&[HOST, OTHER, REDIRECT], "1:||x^$dnsrewrite=192.0.2.1 2:y".to_owned()),
            (&[REDIRECT, OTHER, HOST], "2:y 3:||x^$dnsrewrite=192.0.2.1".to_owned()),
            (&[STATIC, HOST], "1:x 2:|x^$dnsrewrite=192.0.2.1".to_owned()),
            (&["local-zone: x always_nxdomain", HOST], "1:x 2:!".to_owned()),
            (&["view:", STATIC, "server:", OTHER], "1:! 2:! 4:y".to_owned()),
        ] {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
        // Two addresses of one name are one answer, however that is shown.
        let (mut reader, mut kept) = (UnboundReader::new(), Kept::default());
        [HOST, REDIRECT, HOST_6].iter().for_each(|line| reader.line(line, 1, &mut kept));
        reader.finish(&mut kept);
        assert_eq!(kept.rules.len(), 1);
        assert!(matches!(&kept.rules[0].action, Action::Rewrite(data) if data.records.len() == 2));
    }

    #[test]
    fn a_ttl_is_kept_if_it_is_said() {
        for (text, expected) in [
            ("x A 192.0.2.1", None),
            ("x IN A 192.0.2.1", None),
            ("x 60 A 192.0.2.1", Some(60)),
            ("x 1h IN A 192.0.2.1", Some(3600)),
            ("x IN 60 A 192.0.2.1", Some(60)),
            ("x CNAME y.", None),
            ("x 60 CNAME y.", Some(60)),
        ] {
            let (mut reader, mut kept) = (UnboundReader::new(), Kept::default());
            reader.line(&format!("local-data: \"{text}\""), 1, &mut kept);
            reader.finish(&mut kept);
            let Action::Rewrite(data) = &kept.rules[0].action else { panic!("{text}") };
            let ttl = data.records.first().map_or(data.alias_ttl, |record| record.ttl);
            assert_eq!(ttl, expected, "{text}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut reader, mut kept) = (UnboundReader::new(), Kept::default());
        for number in 0..WAITING_MAX as u32 + 10 {
            reader.line(&format!("local-zone: x{number} redirect"), number + 1, &mut kept);
        }
        assert_eq!((kept.rules.len(), reader.waiting.len()), (9, WAITING_MAX));
        reader.finish(&mut kept);
        assert_eq!(kept.rules.len(), WAITING_MAX + 10);
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
            "forward-zone:",
            "local-zone: # why",
            "local-zone: ads.example ipset",
            "local-zone: ads.example noview",
            "rubbish",
        ] {
            skips("unbound", line);
        }
    }
}
