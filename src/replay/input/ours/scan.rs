//! A line as our own log writes it: fields in their order, nothing between them, no escapes. Whatever isn't just so is left
//! to a reader of JSON, which takes several times as long; a field that is added or moved here costs speed alone.

use super::{Query, Said};
use std::net::IpAddr;

/// Reads a line; `None`: it isn't just so, and may be right all the same.
pub(super) fn scan(line: &str) -> Option<Query<'_>> {
    let mut rest = Rest(line);
    rest.pass("{\"time\":\"")?;
    let time = rest.text()?;
    rest.field(",\"instance\":\"")?;
    let client = rest.field(",\"client\":\"")?;
    let group = rest.field(",\"group\":\"")?;
    let transport = rest.field(",\"transport\":\"")?;
    let name = rest.field(",\"name\":\"")?;
    let rr_type = rest.field(",\"type\":\"")?;
    let rcode = rest.field(",\"rcode\":\"")?;
    let ede = rest.number(",\"ede\":")?;
    rest.number(",\"micros\":")?;
    let cache = rest.field(",\"cache\":\"")?;
    for measured in [",\"security\":\"", ",\"upstream\":\"", ",\"server\":\""] {
        rest.field(measured)?;
    }
    let _ = (rest.pass(",\"bypass\":true"), rest.pass(",\"dropped\":true"));
    let mut aliases = Vec::new();
    rest.each(",\"aliases\":[", |rest| rest.quoted().map(|alias| aliases.push(alias.into())))?;
    let mut addresses = Vec::new();
    let mut address = |text: &str| text.parse::<IpAddr>().ok().map(|address| addresses.push(address));
    rest.each(",\"addresses\":[", |rest| address(rest.quoted()?))?;
    let fate = rest.field(",\"fate\":\"")?;
    let owner = rest.field(",\"owner\":\"")?;
    rest.field(",\"owner_rule\":\"")?;
    rest.field(",\"owner_reason\":\"")?;
    let (mut verdicts, mut overruled) = (Vec::new(), Vec::new());
    rest.each(",\"verdicts\":[", |rest| said(rest).map(|said| verdicts.push(said)))?;
    rest.each(",\"overruled\":[", |rest| said(rest).map(|said| overruled.push(said)))?;
    rest.pass("}")?;
    let ede = match ede {
        Some(ede) => Some(u16::try_from(ede).ok()?),
        None => None,
    };
    let query = Query {
        time: time.into(),
        client: client.into(),
        group: group.into(),
        transport: transport.into(),
        name: name.into(),
        rr_type: rr_type.into(),
        rcode: rcode.into(),
        ede,
        cache: cache.into(),
        aliases,
        addresses,
        owner: owner.into(),
        verdicts,
        overruled,
        fate: fate.into(),
    };
    rest.0.is_empty().then_some(query)
}

fn said<'a>(rest: &mut Rest<'a>) -> Option<Said<'a>> {
    rest.pass("{\"program\":\"")?;
    let program = rest.text()?;
    rest.pass(",\"service\":\"")?;
    let service = rest.text()?;
    rest.pass(",\"list\":\"")?;
    let list = rest.text()?;
    rest.field(",\"version\":\"")?;
    let line = rest.number(",\"line\":")??;
    rest.field(",\"rule\":\"")?;
    rest.pass(",\"trigger\":\"")?;
    let trigger = rest.text()?;
    rest.pass(",\"outcome\":\"")?;
    let outcome = rest.text()?;
    let _ = rest.pass(",\"acted\":true");
    rest.pass("}")?;
    let (program, service, list) = (program.into(), service.into(), list.into());
    Some(Said { program, service, list, line, trigger: trigger.into(), outcome: outcome.into() })
}

/// What follows of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Goes on behind something that stands here.
    fn pass(&mut self, what: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(what)?;
        Some(())
    }

    /// A text whose quotation mark is passed already.
    fn text(&mut self) -> Option<&'a str> {
        let is_special = |octet: &u8| matches!(octet, b'"' | b'\\' | ..b' ');
        let end = self.0.as_bytes().iter().position(is_special)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    fn quoted(&mut self) -> Option<&'a str> {
        self.pass("\"")?;
        self.text()
    }

    /// The text of a field if that stands here, else an empty one.
    fn field(&mut self, key: &str) -> Option<&'a str> {
        if self.pass(key).is_none() { Some("") } else { self.text() }
    }

    /// The number of a field if that stands here.
    fn number(&mut self, key: &str) -> Option<Option<u32>> {
        if self.pass(key).is_none() {
            return Some(None);
        }
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        // JSON has no zeros in front.
        if digits > 1 && number.starts_with('0') { None } else { number.parse().ok().map(Some) }
    }

    /// Reads each element of a field's array, if it stands here.
    fn each(&mut self, key: &str, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.pass(key).is_none() || self.pass("]").is_some() {
            return Some(());
        }
        loop {
            element(self)?;
            if self.pass(",").is_none() {
                return self.pass("]");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Outcome, Trigger},
        query::CacheUse,
        query_log::{JsonRow, Owner, Row, Said as LoggedSaid, Verdicts},
        resolve::Security,
    };
    use std::sync::Arc;

    fn row() -> Row {
        let said = |line, outcome| LoggedSaid {
            program: "p".into(),
            service: "s".into(),
            list: "s.list".into(),
            version: "0123456789abcdef".into(),
            line,
            rule: "*.example".into(),
            trigger: Trigger::Cname,
            outcome,
            acted: outcome == Outcome::Block,
        };
        let owner = Owner { place: "c:1".into(), rule: "=a.example".into(), reason: "we need it".into() };
        let verdicts = Verdicts::new(
            Some(owner),
            vec![said(7, Outcome::Block), said(0, Outcome::Except)],
            vec![said(9, Outcome::WouldBlock)],
        );
        Row {
            time: 1_795_900_364_123_456,
            client: "192.168.1.7".into(),
            name: "www.example.com".into(),
            ede: Some(15),
            micros: 77,
            cache: Some(CacheUse::Miss),
            security: Some(Security::Secure),
            upstream: Some("forward example".into()),
            server: "192.0.2.53:53".parse().ok(),
            bypass: true,
            dropped: true,
            verdicts: Arc::new(verdicts),
            aliases: vec!["a.example".into(), "b.example".into()],
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            ..Row::default()
        }
    }

    fn line(row: &Row, instance: &str) -> String {
        serde_json::to_string(&JsonRow::of(row, instance)).unwrap()
    }

    /// All that our log writes is read here, and says the same as JSON does.
    #[test]
    fn what_our_log_writes_is_read_without_a_reader_of_json() {
        let full = row();
        let bare = Row { client: String::new(), group: "".into(), ..Row::default() };
        let few = Row { verdicts: Arc::default(), aliases: vec![], addresses: vec![], ..full.clone() };
        let unread = Row { name: String::new(), ..bare.clone() };
        for (row, instance) in [(&full, "home"), (&full, ""), (&bare, ""), (&few, "home"), (&unread, "")] {
            let line = line(row, instance);
            assert_eq!(scan(&line), Some(serde_json::from_str(&line).unwrap()), "{line}");
        }
    }

    /// What is cut off, or is no JSON, isn't read; nor what only a reader of JSON understands.
    #[test]
    fn whatever_is_not_just_so_is_left_to_json() {
        let line = line(&row(), "home");
        for end in 0..line.len() {
            assert_eq!(scan(&line[..end]), None, "{end}");
        }
        for (from, to) in [
            ("www.example.com", "www\\\\.example.com"),
            ("www.example.com", "www\u{1}.example.com"),
            ("\"ede\":15", "\"ede\":015"),
            ("\"ede\":15", "\"ede\":65536"),
            ("\"ede\":15", "\"ede\":-1"),
            ("\"ede\":15", "\"ede\":"),
            ("\"micros\":77", "\"micros\":77.5"),
            ("192.0.2.1\"", "192.0.2.256\""),
            (",\"fate\"", " ,\"fate\""),
            (",\"fate\"", ",\"later\":1,\"fate\""),
        ] {
            let other = line.replacen(from, to, 1);
            assert_ne!(other, line);
            assert_eq!(scan(&other), None, "{other}");
        }
        assert_eq!(scan(&(line + " ")), None);
    }
}
