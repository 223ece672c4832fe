//! Rules as text, for people and to be read again: our own format where it can say what a rule means, AdBlock's for
//! patterns and whatever has a modifier, and words in parentheses for what neither can say.

use super::{
    Action, AliasTarget, Anchor, ClientIs, Conditions, Effect, LocalData, LocalRecord, Matcher, Pattern, Place, Rule,
    Scope,
};
use crate::dns::{Class, Name, Rcode, Record, RrType};
use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The largest code that `$dnsrewrite` can give: what fits into a header.
const HEADER_RCODE_MAX: u16 = 15;

impl fmt::Display for Rule {
    /// `name`, `@=name`, `192.0.2.0/24`, `ns:*.name`; `@@||name^$important,dnstype=A`; `name (drop)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.as_adblock() {
            return f.write_str(&text);
        }
        if self.effect == Effect::Except {
            f.write_char('@')?;
        }
        write!(f, "{}", self.matcher)?;
        let remarks = self.remarks();
        if remarks.is_empty() { Ok(()) } else { write!(f, " ({})", remarks.join(", ")) }
    }
}

impl Rule {
    /// True if nothing is said but what is looked at, and that lets pass or not.
    fn is_plain(&self) -> bool {
        !self.important && self.action == Action::Given && self.conditions.is_none()
    }

    /// The rule in AdBlock's syntax, if that is needed and can say it.
    fn as_adblock(&self) -> Option<String> {
        let is_ours = self.is_plain() && !matches!(self.matcher, Matcher::Pattern(_));
        if is_ours { None } else { self.in_adblock() }
    }

    /// The rule in AdBlock's syntax, if that can say it.
    pub(super) fn in_adblock(&self) -> Option<String> {
        let mut text = String::from(if self.effect == Effect::Except { "@@" } else { "" });
        text += &adblock_pattern(&self.matcher)?;
        let mut modifiers = Vec::new();
        if self.important {
            modifiers.push("important".to_owned());
        }
        if let Some(conditions) = &self.conditions {
            adblock_conditions(conditions, &mut modifiers)?;
        }
        match (&self.action, self.effect) {
            (Action::Given, _) => {}
            (action, Effect::Block) => modifiers.push(format!("dnsrewrite={}", adblock_action(action)?)),
            (_, Effect::Except) => return None,
        }
        if !modifiers.is_empty() {
            text.push('$');
            text += &modifiers.join(",");
        }
        Some(text)
    }

    /// What a rule has besides its matcher, in words.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if matches!(&self.matcher, Matcher::Name { name, .. } if looks_like_address(name)) {
            remarks.push("name".to_owned());
        }
        if self.important {
            remarks.push("important".to_owned());
        }
        match &self.action {
            Action::Given => {}
            Action::NoData => remarks.push("nodata".to_owned()),
            Action::Code(code) => remarks.push(code.to_string().to_lowercase()),
            Action::Drop => remarks.push("drop".to_owned()),
            Action::TcpOnly => remarks.push("tcp-only".to_owned()),
            Action::Rewrite(data) => remarks.extend(answer(data)),
        }
        if let Some(conditions) = &self.conditions {
            describe(conditions, &mut remarks);
        }
        remarks
    }
}

impl fmt::Display for Matcher {
    /// In our own format; patterns in AdBlock's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { scope: Scope::Subtree, name } if name.is_root() => f.write_char('*'),
            Self::Name { scope, name } => write!(f, "{}{}", scope.prefix(), Listed(name)),
            Self::Pattern(pattern) => write!(f, "{pattern}"),
            Self::Address(place) => write!(f, "{place}"),
            Self::NsName { scope: Scope::Subtree, name } if name.is_root() => f.write_str("ns:*"),
            Self::NsName { scope, name } => write!(f, "ns:{}{}", scope.prefix(), Listed(name)),
            Self::NsAddress(place) => write!(f, "ns:{place}"),
            Self::Client(net) => write!(f, "client:{net}"),
        }
    }
}

/// A name as it is written in a list: signs that mean something there are written as numbers.
struct Listed<'a>(&'a Name);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_root() {
            return f.write_char('.');
        }
        for (index, label) in self.0.labels().enumerate() {
            f.write_str(if index > 0 { "." } else { "" })?;
            for &octet in label {
                match octet {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => f.write_char(char::from(octet))?,
                    b'.' => f.write_str("\\.")?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    /// `192.0.2.0/24`, `AS4134`, `country:CN`; what it must lie outside of after `!`, with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => write!(f, "{net}"),
            Self::Asn(number) => write!(f, "AS{number}"),
            Self::Country([first, second]) => write!(f, "country:{}{}", char::from(*first), char::from(*second)),
            Self::Outside(places) => {
                let mut in_countries = false;
                for (index, place) in places.iter().enumerate() {
                    f.write_char(if index == 0 { '!' } else { ',' })?;
                    // Said once: two letters after it can be nothing else.
                    match place {
                        Self::Country(code) if in_countries => {
                            code.iter().try_for_each(|&letter| f.write_char(char::from(letter)))?;
                        }
                        place => write!(f, "{place}")?,
                    }
                    in_countries |= matches!(place, Self::Country(_));
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Pattern {
    /// With a star at each end that is open, so that no pattern looks like a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(text) => write!(f, "/{text}/"),
            Self::Glob { start, text, end } => {
                let start = match start {
                    Anchor::Anywhere => "*",
                    Anchor::Start => "|",
                    Anchor::Label => "||",
                };
                write!(f, "{start}{text}{}", if *end { "^" } else { "*" })
            }
        }
    }
}

impl fmt::Display for ClientIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            Self::Net(net) => write!(f, "{net}"),
            Self::Id(id) => f.write_str(id),
        }
    }
}

/// What stands before the `$`.
fn adblock_pattern(matcher: &Matcher) -> Option<String> {
    match matcher {
        Matcher::Name { scope: Scope::Subtree, name } if name.is_root() => Some("*".to_owned()),
        Matcher::Name { scope, name } if is_host_name(name) => Some(match scope {
            Scope::Exact => format!("|{name}^"),
            Scope::Subtree => format!("||{name}^"),
            Scope::Below => format!("||*.{name}^"),
        }),
        Matcher::Pattern(pattern) => Some(pattern.to_string()),
        Matcher::Address(Place::Net(net)) => Some(format!("||{net}^")),
        _ => None,
    }
}

fn adblock_conditions(conditions: &Conditions, modifiers: &mut Vec<String>) -> Option<()> {
    let Conditions { types, clients, tags, denyallow } = conditions;
    let sign = |wanted: bool| if wanted { "" } else { "~" };
    if let Some((wanted, types)) = types {
        let types = joined(types.iter().map(|rr_type| Some(format!("{}{rr_type}", sign(*wanted)))))?;
        modifiers.push(format!("dnstype={types}"));
    }
    if !clients.is_empty() {
        let clients = clients.iter().map(|(wanted, who)| Some(format!("{}{}", sign(*wanted), adblock_client(who)?)));
        modifiers.push(format!("client={}", joined(clients)?));
    }
    if !tags.is_empty() {
        let tags = tags.iter().map(|(wanted, tag)| Some(format!("{}{tag}", sign(*wanted))));
        modifiers.push(format!("ctag={}", joined(tags)?));
    }
    if !denyallow.is_empty() {
        let names = denyallow.iter().map(|name| is_host_name(name).then(|| name.to_string()));
        modifiers.push(format!("denyallow={}", joined(names)?));
    }
    Some(())
}

/// Values with `|` between; `None` if there are none, or one can't be written.
fn joined(values: impl Iterator<Item = Option<String>>) -> Option<String> {
    let values: Vec<String> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.join("|"))
}

/// A client; names in quotation marks unless they are made of letters and digits, signs that mean something escaped.
fn adblock_client(who: &ClientIs) -> Option<String> {
    let ClientIs::Id(id) = who else { return Some(who.to_string()) };
    let is_bare = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if id.is_empty() || id.contains(char::is_control) {
        return None;
    }
    if id.chars().all(is_bare) && id.parse::<IpAddr>().is_err() {
        return Some(id.clone());
    }
    let mut quoted = String::from("'");
    for c in id.chars() {
        if matches!(c, ',' | '|' | '\'' | '"' | '~' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('\'');
    Some(quoted)
}

/// The value of `$dnsrewrite`.
fn adblock_action(action: &Action) -> Option<String> {
    match action {
        Action::NoData => Some("NOERROR".to_owned()),
        Action::Code(code) if code.0 > HEADER_RCODE_MAX || *code == Rcode::NOERROR => None,
        Action::Code(code) => code.mnemonic().map(str::to_owned),
        Action::Rewrite(data) => match (&data.records[..], &data.alias) {
            ([], Some(_)) if data.alias_ttl.is_some() => None,
            ([], Some(AliasTarget::Name(target))) if is_host_name(target) => Some(target.to_string()),
            ([LocalRecord { rr_type, ttl: None, data }], None) => adblock_record(*rr_type, data),
            _ => None,
        },
        Action::Given | Action::Drop | Action::TcpOnly => None,
    }
}

/// A record: addresses in the short form, others with their type, commas escaped.
fn adblock_record(rr_type: RrType, data: &[u8]) -> Option<String> {
    match (rr_type, data.len()) {
        (RrType::A, 4) => return Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string()),
        (RrType::AAAA, 16) => return Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string()),
        _ => {}
    }
    Some(format!("NOERROR;{rr_type};{}", within_modifiers(&data_text(rr_type, data))))
}

/// Presentation format with its commas and dollar signs kept from meaning something to the syntax around it.
fn within_modifiers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ',' | '$' => shown.extend(['\\', c]),
            // Its number stands for a sign that has a backslash already.
            '\\' => match chars.next() {
                Some(next @ (',' | '$')) => shown += &format!("\\{:03}", u32::from(next)),
                next => shown.extend(std::iter::once(c).chain(next)),
            },
            _ => shown.push(c),
        }
    }
    shown
}

/// A record's data in presentation format.
fn data_text(rr_type: RrType, data: &[u8]) -> String {
    let record = Record { owner: Name::ROOT, rr_type, class: Class::IN, ttl: 0, data: data.to_vec() };
    let text = record.to_string();
    text.splitn(5, '\t').last().unwrap_or_default().to_owned()
}

impl LocalRecord {
    /// The data in presentation format.
    pub(super) fn shown_data(&self) -> String {
        data_text(self.rr_type, &self.data)
    }
}

/// A list's own answer in words.
fn answer(data: &LocalData) -> Vec<String> {
    let records = data.records.iter().map(|record| {
        let ttl = record.ttl.map(|seconds| format!("{seconds} ")).unwrap_or_default();
        format!("{ttl}{} {}", record.rr_type, data_text(record.rr_type, &record.data))
    });
    let ttl = data.alias_ttl.map(|seconds| format!("{seconds} ")).unwrap_or_default();
    let alias = data.alias.iter().map(|target| match target {
        AliasTarget::Name(name) => format!("{ttl}CNAME {name}"),
        AliasTarget::Below(name) => format!("{ttl}CNAME *.{name}"),
    });
    records.chain(alias).collect()
}

/// Conditions in words.
fn describe(conditions: &Conditions, remarks: &mut Vec<String>) {
    let sign = |wanted: &bool| if *wanted { "" } else { "not " };
    let Conditions { types, clients, tags, denyallow } = conditions;
    if let Some((wanted, types)) = types {
        let types: Vec<String> = types.iter().map(RrType::to_string).collect();
        remarks.push(format!("{}type {}", sign(wanted), types.join(" ")));
    }
    remarks.extend(clients.iter().map(|(wanted, who)| format!("{}client {who}", sign(wanted))));
    remarks.extend(tags.iter().map(|(wanted, tag)| format!("{}tag {tag}", sign(wanted))));
    remarks.extend(denyallow.iter().map(|name| format!("not below {name}")));
}

/// True for names of letters, digits, hyphens and underscores alone, which no format takes for anything else.
fn is_host_name(name: &Name) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'_');
    !name.is_root() && name.labels().all(|label| label.iter().all(is_plain)) && !looks_like_address(name)
}

/// True for four labels that are numbers, which every format takes for an address, or for one that is none.
fn looks_like_address(name: &Name) -> bool {
    name.label_count() == 4 && name.labels().all(|label| label.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn on(scope: Scope, text: &str) -> Matcher {
        Matcher::Name { scope, name: name(text) }
    }

    fn on_ns(scope: Scope, text: &str) -> Matcher {
        Matcher::NsName { scope, name: Box::new(name(text)) }
    }

    fn net(text: &str) -> Place {
        Place::Net(text.parse().unwrap())
    }

    fn glob(start: Anchor, text: &str, end: bool) -> Matcher {
        Matcher::Pattern(Pattern::Glob { start, text: text.to_owned(), end })
    }

    fn local(records: &[(RrType, Option<u32>, &[u8])], alias: Option<AliasTarget>) -> Action {
        let record =
            |&(rr_type, ttl, data): &(RrType, Option<u32>, &[u8])| LocalRecord { rr_type, ttl, data: data.to_vec() };
        Action::Rewrite(Arc::new(LocalData { records: records.iter().map(record).collect(), alias, alias_ttl: None }))
    }

    #[test]
    fn what_rules_look_at() {
        use Scope::{Below, Exact, Subtree};
        let outside = Place::Outside(Arc::from([Place::Country(*b"US"), Place::Asn(7018), net("192.0.2.0/24")]));
        for (matcher, expected) in [
            (on(Subtree, "tiktok.com"), "tiktok.com"),
            (on(Exact, "tiktok.com"), "=tiktok.com"),
            (on(Below, "tiktok.com"), "*.tiktok.com"),
            (on(Subtree, "."), "*"),
            (on(Exact, "."), "=."),
            (on(Below, "."), "*.."),
            (on(Subtree, "_dmarc.x-.example"), "_dmarc.x-.example"),
            (on(Subtree, r"a\.b.x"), r"a\.b.x"),
            (on(Subtree, "0/25.2.0.192.in-addr.arpa"), r"0\04725.2.0.192.in-addr.arpa"),
            (on(Subtree, r"\*.x"), r"\042.x"),
            (on(Subtree, "1.2.3.4"), "1.2.3.4 (name)"),
            (Matcher::Address(net("192.0.2.0/24")), "192.0.2.0/24"),
            (Matcher::Address(net("192.0.2.1/32")), "192.0.2.1/32"),
            (Matcher::Address(net("2001:db8::/32")), "2001:db8::/32"),
            (Matcher::Address(Place::Asn(4134)), "AS4134"),
            (Matcher::Address(Place::Country(*b"CN")), "country:CN"),
            (Matcher::Address(outside.clone()), "!country:US,AS7018,192.0.2.0/24"),
            (on_ns(Subtree, "hichina.com"), "ns:hichina.com"),
            (on_ns(Exact, "hichina.com"), "ns:=hichina.com"),
            (on_ns(Below, "hichina.com"), "ns:*.hichina.com"),
            (on_ns(Subtree, "."), "ns:*"),
            (Matcher::NsAddress(net("192.0.2.0/24")), "ns:192.0.2.0/24"),
            (Matcher::NsAddress(Place::Asn(1)), "ns:AS1"),
            (Matcher::NsAddress(Place::Country(*b"CN")), "ns:country:CN"),
            (Matcher::NsAddress(outside), "ns:!country:US,AS7018,192.0.2.0/24"),
            (Matcher::Client("192.0.2.0/24".parse().unwrap()), "client:192.0.2.0/24"),
        ] {
            assert_eq!(Rule::new(Effect::Block, matcher.clone(), 1).to_string(), expected);
            assert_eq!(Rule::new(Effect::Except, matcher, 1).to_string(), format!("@{expected}"));
        }
    }

    #[test]
    fn patterns() {
        use Anchor::{Anywhere, Label, Start};
        for (matcher, expected) in [
            (glob(Anywhere, "ads", false), "*ads*"),
            (glob(Anywhere, "ads", true), "*ads^"),
            (glob(Start, "ads", false), "|ads*"),
            (glob(Start, "ads*x", true), "|ads*x^"),
            (glob(Label, "ads", false), "||ads*"),
            (glob(Label, "ads*.x", true), "||ads*.x^"),
            (Matcher::Pattern(Pattern::Regex("^ads$".to_owned())), "/^ads$/"),
        ] {
            assert_eq!(Rule::new(Effect::Block, matcher.clone(), 1).to_string(), expected);
            assert_eq!(Rule::new(Effect::Except, matcher, 1).to_string(), format!("@@{expected}"));
        }
    }

    #[test]
    fn modifiers_and_remarks() {
        use Scope::{Below, Exact, Subtree};
        let plain = || on(Subtree, "x.y");
        let target = |text| AliasTarget::Name(Box::new(name(text)));
        let a: (RrType, Option<u32>, &[u8]) = (RrType::A, None, &[192, 0, 2, 1]);
        for (matcher, important, action, expected) in [
            (plain(), true, Action::Given, "||x.y^$important"),
            (on(Exact, "x.y"), true, Action::Given, "|x.y^$important"),
            (on(Below, "x.y"), true, Action::Given, "||*.x.y^$important"),
            (on(Subtree, "."), true, Action::Given, "*$important"),
            (on(Exact, "."), true, Action::Given, "=. (important)"),
            (on(Subtree, r"a\.b"), true, Action::Given, r"a\.b (important)"),
            (on(Subtree, "1.2.3.4"), true, Action::Given, "1.2.3.4 (name, important)"),
            (Matcher::Address(net("192.0.2.0/24")), true, Action::Given, "||192.0.2.0/24^$important"),
            (Matcher::Address(Place::Asn(7)), true, Action::Given, "AS7 (important)"),
            (on_ns(Subtree, "x.y"), true, Action::NoData, "ns:x.y (important, nodata)"),
            (plain(), false, Action::NoData, "||x.y^$dnsrewrite=NOERROR"),
            (plain(), false, Action::Code(Rcode::NXDOMAIN), "||x.y^$dnsrewrite=NXDOMAIN"),
            (plain(), true, Action::Code(Rcode::REFUSED), "||x.y^$important,dnsrewrite=REFUSED"),
            (plain(), false, Action::Code(Rcode(13)), "x.y (rcode13)"),
            (plain(), false, Action::Code(Rcode::BADVERS), "x.y (badvers)"),
            (plain(), false, Action::Drop, "x.y (drop)"),
            (on(Below, "x.y"), false, Action::TcpOnly, "*.x.y (tcp-only)"),
            (plain(), false, local(&[a], None), "||x.y^$dnsrewrite=192.0.2.1"),
            (plain(), false, local(&[(RrType::A, Some(60), a.2)], None), "x.y (60 A 192.0.2.1)"),
            (plain(), false, local(&[a, a], None), "x.y (A 192.0.2.1, A 192.0.2.1)"),
            (plain(), false, local(&[(RrType::A, None, b"\x01")], None), r"||x.y^$dnsrewrite=NOERROR;A;\# 1 01"),
            (
                plain(),
                false,
                local(&[(RrType::TXT, None, b"\x03a,b")], None),
                r#"||x.y^$dnsrewrite=NOERROR;TXT;"a\,b""#,
            ),
            (plain(), false, local(&[], Some(target("a.b"))), "||x.y^$dnsrewrite=a.b"),
            (plain(), false, local(&[], Some(target("1.2.3.4"))), "x.y (CNAME 1.2.3.4)"),
            (plain(), false, local(&[a], Some(target("a.b"))), "x.y (A 192.0.2.1, CNAME a.b)"),
            (plain(), false, local(&[], Some(AliasTarget::Below(Box::new(name("a.b"))))), "x.y (CNAME *.a.b)"),
            (
                plain(),
                false,
                local(&[(RrType::PTR, None, b"\x03a,b\0")], None),
                r"||x.y^$dnsrewrite=NOERROR;PTR;a\044b.",
            ),
        ] {
            let rule = Rule { important, action, ..Rule::new(Effect::Block, matcher, 1) };
            assert_eq!(rule.to_string(), expected);
        }
    }

    #[test]
    fn conditions() {
        let clients = vec![
            (true, ClientIs::Net("10.0.0.0/8".parse().unwrap())),
            (false, ClientIs::Net("10.0.0.1/32".parse().unwrap())),
            (true, ClientIs::Id("Frank's, laptop".to_owned())),
        ];
        let all = Conditions {
            types: Some((false, vec![RrType::A, RrType(1234)])),
            clients,
            tags: vec![(true, "kids".to_owned())],
            denyallow: vec![name("a.x.y")],
        };
        for (matcher, expected) in [
            (
                on(Scope::Subtree, "x.y"),
                r"||x.y^$dnstype=~A|~TYPE1234,client=10.0.0.0/8|~10.0.0.1|'Frank\'s\, laptop',ctag=kids,denyallow=a.x.y",
            ),
            (
                Matcher::Address(Place::Asn(7)),
                "AS7 (not type A TYPE1234, client 10.0.0.0/8, not client 10.0.0.1, client Frank's, laptop, tag kids, \
                 not below a.x.y)",
            ),
        ] {
            let conditions = Some(Box::new(all.clone()));
            assert_eq!(Rule { conditions, ..Rule::new(Effect::Block, matcher, 1) }.to_string(), expected);
        }
    }
}
