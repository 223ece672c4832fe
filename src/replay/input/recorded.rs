//! What our own log tells of a query, whichever form it has: the rules by which it becomes one to be asked.

use super::{Answer, Asked, Beaten, Bounded, Step};
use crate::{
    dns::{ExtendedError, Rcode, Transport},
    policy::{Link, Outcome, Trigger},
    query::CacheUse,
    query_log::{Fate, sqlite::Bare},
};
use std::net::IpAddr;

/// Aliases and addresses looked at, as many as a server looks at.
const LINKS_MAX: usize = 128;

/// False for what couldn't be read and what the access list refused: no policy was asked about it.
pub(super) fn was_judged(name: &str, ede: Option<u16>) -> bool {
    !name.is_empty() && ede != Some(ExtendedError::PROHIBITED)
}

/// What a rule looked at; `None` where privacy withholds the rule, and so its line, since it looks at who asks.
pub(super) fn told(trigger: Trigger, line: u32) -> Option<Trigger> {
    (line > 0).then_some(trigger)
}

/// Takes over a row of the database.
pub(super) fn take_row(row: &Bare<'_>, asked: &mut Asked) -> Result<Step, String> {
    asked.clear();
    if !was_judged(row.name, row.ede) {
        return Ok(Step::Ignored);
    }
    asked.time = Some(row.time);
    asked.set_name(row.name)?;
    asked.rr_type = row.rr_type;
    asked.tcp = row.transport == Transport::Tcp;
    asked.set_client(row.client);
    asked.set_group(row.group);
    asked.take_answer(words(row.aliases), words(row.addresses).filter_map(|address| address.parse().ok()))?;
    asked.came_from(row.cache, row.rcode);
    asked.begin_verdict(row.verdicts.owner.as_ref().map(|owner| &*owner.place));
    let mut lines = row.lines();
    for (said, line) in row.verdicts.said.iter().zip(&mut lines) {
        let rule = (&*said.list, Some(line));
        asked.take_said((&said.program, &said.service), rule, told(said.trigger, line), said.outcome);
    }
    for (said, line) in row.verdicts.overruled.iter().zip(lines) {
        asked.take_overruled(told(said.trigger, line), said.outcome);
    }
    asked.end_verdict(row.verdicts.fate());
    Ok(Step::Asked)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

impl Asked {
    pub(super) fn set_name(&mut self, name: &str) -> Result<(), String> {
        self.name.assign(name.as_bytes()).map_err(|error| format!("name: {error}"))
    }

    /// Takes over what the answer led to.
    pub(super) fn take_answer<'a>(
        &mut self,
        aliases: impl Iterator<Item = &'a str>,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), String> {
        for alias in aliases.take(LINKS_MAX) {
            let alias = alias.parse().map_err(|error| format!("aliases: {error}"))?;
            self.links.push(Link::name(alias, Trigger::Cname));
        }
        self.links.extend(addresses.take(LINKS_MAX).map(|address| Link::address(address, Trigger::Address)));
        Ok(())
    }

    /// Notes where the answer came from, after what it led to. A failure leads nowhere.
    pub(super) fn came_from(&mut self, cache: Option<CacheUse>, rcode: Rcode) {
        let is_answer = matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
        self.answer = match cache {
            Some(CacheUse::Miss) if is_answer || !self.links.is_empty() => Answer::Resolved,
            Some(CacheUse::Hit | CacheUse::Stale) if is_answer && self.tells() != [true, true] => Answer::FromCache,
            _ => Answer::Told,
        };
    }

    /// Begins with what no program said: it passed, or an exception of the owner's, at this place, matched.
    pub(super) fn begin_verdict(&mut self, owner: Option<&str>) {
        self.recorded = Some(Fate::Passed);
        if let Some(place) = owner {
            (self.recorded, self.by_owner) = (Some(Fate::Excepted), true);
            self.told.set("", "", "exception ");
            Bounded(&mut self.told.rule).push(place);
        }
    }

    /// Adds what a program said, as `Verdicts::fate` sums it up. Left out is what can't be asked again, since the file
    /// doesn't tell what the rule looked at, or (`trigger` is `None`) withholds it. What the answer led to must be there
    /// already. `rule`: a list and the line, or a text that has both.
    pub(super) fn take_said(
        &mut self,
        (program, service): (&str, &str),
        (rule, line): (&str, Option<u32>),
        trigger: Option<Trigger>,
        outcome: Outcome,
    ) {
        let fate = match outcome {
            Outcome::Block => Fate::Blocked,
            Outcome::WouldBlock => Fate::WouldBlock,
            Outcome::Except => Fate::Excepted,
        };
        if !trigger.is_some_and(|trigger| self.can_be_asked(trigger)) {
            // Without an exception anything may be.
            let fate = if outcome == Outcome::Except { Fate::Blocked } else { fate };
            self.unaskable = Some(self.unaskable.map_or(fate, |other| other.min(fate)));
            return;
        }
        // They are ordered from the strongest.
        if self.recorded.is_none_or(|recorded| fate < recorded) {
            self.recorded = Some(fate);
            match line {
                Some(line) => self.told.set_line(program, service, rule, line),
                None => self.told.set(program, service, rule),
            }
        }
    }

    /// Adds what lost against that.
    pub(super) fn take_overruled(&mut self, trigger: Option<Trigger>, outcome: Outcome) {
        if outcome != Outcome::Except {
            let is_askable = trigger.is_some_and(|trigger| self.can_be_asked(trigger));
            self.beaten = self.beaten.max(if is_askable { Beaten::Told } else { Beaten::Unaskable });
            self.beat_on_question |= outcome == Outcome::Block && trigger.is_none_or(Trigger::is_of_question);
        }
    }

    /// Ends with what became of it, as the file has it: exceptions count only where something would be blocked without
    /// them.
    pub(super) fn end_verdict(&mut self, fate: Fate) {
        if self.recorded != Some(Fate::Excepted) {
            return;
        }
        let is_needless = matches!(fate, Fate::Passed | Fate::Refused);
        if !is_needless && self.beaten == Beaten::Unaskable {
            self.unaskable = Some(self.unaskable.map_or(Fate::Excepted, |other| other.min(Fate::Excepted)));
        }
        if is_needless || self.beaten == Beaten::Unaskable {
            self.recorded = Some(Fate::Passed);
            self.told.clear();
        }
    }

    /// True if the file tells what such a rule looked at.
    fn can_be_asked(&self, trigger: Trigger) -> bool {
        let [leads_to_names, leads_to_addresses] = self.tells();
        match trigger {
            Trigger::Qname => true,
            Trigger::Client => self.client.is_some(),
            Trigger::Cname | Trigger::Dname | Trigger::SvcbTarget => leads_to_names,
            Trigger::Address | Trigger::Hint => leads_to_addresses,
            Trigger::NsName | Trigger::NsAddress => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::RrType,
        query_log::{JsonRow, Row, Said, Verdicts},
        replay::input::{Around, Opened, open},
    };
    use std::{io::Cursor, sync::Arc};

    fn said(trigger: Trigger, outcome: Outcome) -> Said {
        Said {
            program: "p".into(),
            service: "s".into(),
            list: "s.list".into(),
            version: "0".into(),
            line: 7,
            rule: "example.com".into(),
            trigger,
            outcome,
            acted: false,
        }
    }

    /// The same row as a line of JSON and as it stands in the database.
    #[test]
    fn a_row_is_the_same_in_every_form() {
        let bare = Row {
            time: 1_700_000_000_000_123,
            client: "fd00::7".into(),
            transport: Transport::Tcp,
            name: "www.example.com".into(),
            rr_type: RrType::HTTPS,
            micros: 1,
            ..Row::default()
        };
        let mut rows = vec![Row { name: String::new(), ..bare.clone() }, Row { ede: Some(18), ..bare.clone() }];
        for (trigger, outcome) in Trigger::ALL.into_iter().flat_map(|trigger| Outcome::ALL.map(|it| (trigger, it))) {
            let verdicts = |owner: Option<&str>| {
                Arc::new(Verdicts {
                    owner: owner.map(Into::into),
                    said: vec![said(trigger, outcome)],
                    ..Verdicts::default()
                })
            };
            for client in ["192.168.1.7", "192.168.1.0/24"] {
                let row = Row { client: client.into(), verdicts: verdicts(None), ..bare.clone() };
                rows.push(Row { aliases: vec!["a.example".into()], verdicts: verdicts(Some("c:1")), ..row.clone() });
                rows.push(Row { addresses: vec![IpAddr::from([192, 0, 2, 1])], ..row.clone() });
                rows.push(row);
            }
        }
        for (trigger, outcome) in [(Trigger::Qname, Outcome::Except), (Trigger::NsName, Outcome::Block)] {
            let verdicts = Verdicts::new(
                Some("c:1".into()),
                vec![said(Trigger::Qname, Outcome::Except)],
                vec![said(trigger, outcome)],
            );
            rows.push(Row { verdicts: Arc::new(verdicts), ..bare.clone() });
        }
        let mut withheld = said(Trigger::Qname, Outcome::Block);
        (withheld.line, withheld.rule) = (0, "(client)".into());
        let verdicts = Arc::new(Verdicts { said: vec![withheld], ..Verdicts::default() });
        rows.push(Row { client: String::new(), verdicts, ..bare.clone() });
        for row in rows {
            let addresses = row.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let said = row.verdicts.said.iter().chain(&row.verdicts.overruled);
            let rules = said.map(|said| format!("{}:{}", said.line, said.rule)).collect::<Vec<_>>().join(" ");
            let bare = Bare {
                time: row.time,
                client: &row.client,
                group: &row.group,
                transport: row.transport,
                name: &row.name,
                rr_type: row.rr_type,
                rcode: row.rcode,
                ede: row.ede,
                cache: row.cache,
                verdicts: &row.verdicts,
                rules: &rules,
                aliases: &row.aliases.join(" "),
                addresses: &addresses,
            };
            let line = serde_json::to_vec(&JsonRow::of(&row, "here")).unwrap();
            let clock = Around::utc(0);
            let Opened { mut source, .. } = open(Cursor::new(line), None, None, &clock).unwrap();
            let (mut of_line, mut of_row) = (Asked::default(), Asked::default());
            let step = source.advance(&mut of_line).unwrap();
            assert_eq!(take_row(&bare, &mut of_row), Ok(step.clone()), "{row:?}");
            if step == Step::Asked {
                assert_eq!(format!("{of_row:?}"), format!("{of_line:?}"));
                let is_withheld = row.verdicts.said[0].line == 0;
                assert!(
                    !is_withheld || of_row.unaskable.is_some() && of_row.recorded == Some(Fate::Passed),
                    "{of_row:?}"
                );
            }
        }
    }
}
