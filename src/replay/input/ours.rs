//! Our own query log: a JSON object a line.
//!
//! Only what replaying takes is read; what a later version adds is passed over.

use super::{
    Asked, Place, Source, Step,
    lines::{Line, Lines, TOO_LONG},
    micros_of,
};
use crate::{
    dns::Name,
    policy::{Link, Outcome, Trigger},
    query_log::Fate,
};
use serde::Deserialize;
use std::{
    borrow::Cow,
    io::{self, BufRead},
    net::IpAddr,
};

/// Aliases and addresses looked at, as many as a server looks at.
const LINKS_MAX: usize = 128;
/// The Extended DNS Error of a query that the access list refused.
const PROHIBITED: u16 = 18;

/// Reads lines of our log.
pub(super) struct Ours<R>(Lines<R>);

/// A line, as far as it is of interest.
#[derive(Deserialize)]
struct Query<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, default)]
    client: Cow<'a, str>,
    #[serde(borrow, default)]
    transport: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    rr_type: Cow<'a, str>,
    #[serde(default)]
    ede: Option<u16>,
    #[serde(borrow, default)]
    aliases: Vec<Cow<'a, str>>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    #[serde(borrow, default)]
    owner: Cow<'a, str>,
    #[serde(borrow, default)]
    verdicts: Vec<Said<'a>>,
}

/// What one program said.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    program: Cow<'a, str>,
    #[serde(borrow)]
    service: Cow<'a, str>,
    #[serde(borrow)]
    list: Cow<'a, str>,
    line: u32,
    #[serde(borrow)]
    trigger: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
}

impl<R: BufRead> Ours<R> {
    pub(super) fn new(lines: Lines<R>) -> Self {
        Self(lines)
    }
}

impl<R: BufRead> Source for Ours<R> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        let line = match self.0.next()? {
            Line::End => return Ok(Step::End),
            Line::TooLong => return Step::skipped(TOO_LONG),
            Line::Text(b"") => return Ok(Step::Ignored),
            Line::Text(line) => line,
        };
        asked.clear();
        Ok(match serde_json::from_slice(line) {
            Ok(query) => read(&query, asked).unwrap_or_else(|reason| Step::Skipped(reason.into())),
            Err(error) => Step::Skipped(format!("the line is no query of our log: {error}").into()),
        })
    }

    fn place(&self) -> Place {
        Place::Line(self.0.number())
    }
}

fn read(query: &Query<'_>, asked: &mut Asked) -> Result<Step, String> {
    // What couldn't be read, and what the access list refused, no policy was asked about.
    if query.name.is_empty() || query.ede == Some(PROHIBITED) {
        return Ok(Step::Ignored);
    }
    asked.time = Some(micros_of(&query.time).ok_or_else(|| format!("time: `{}` is no time", query.time))?);
    asked.name.assign(query.name.as_bytes()).map_err(|error| format!("name: {error}"))?;
    asked.rr_type = query.rr_type.parse().map_err(|error| format!("type: {error}"))?;
    asked.tcp = query.transport == "tcp";
    asked.set_client(&query.client);
    for alias in query.aliases.iter().take(LINKS_MAX) {
        let alias: Name = alias.parse().map_err(|error| format!("aliases: {error}"))?;
        asked.links.push(Link::name(alias, Trigger::Cname));
    }
    let addresses = query.addresses.iter().take(LINKS_MAX);
    asked.links.extend(addresses.map(|&address| Link::address(address, Trigger::Address)));
    take_verdicts(query, asked)?;
    Ok(Step::Asked)
}

/// Takes over what was said by rules that can be asked again, as `Verdicts::fate` sums it up.
fn take_verdicts(query: &Query<'_>, asked: &mut Asked) -> Result<(), String> {
    let mut fate = Fate::Passed;
    if !query.owner.is_empty() {
        fate = Fate::Excepted;
        asked.told.set("", "", format_args!("exception {}", query.owner));
    }
    for said in &query.verdicts {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.word() == said.outcome);
        let outcome = outcome.ok_or_else(|| format!("outcome: `{}` is no outcome", said.outcome))?;
        let trigger = Trigger::ALL.into_iter().find(|trigger| trigger.word() == said.trigger);
        let trigger = trigger.ok_or_else(|| format!("trigger: `{}` is no trigger", said.trigger))?;
        if !can_be_asked(trigger, query, asked) {
            asked.unaskable = true;
            continue;
        }
        let said_fate = match outcome {
            Outcome::Block => Fate::Blocked,
            Outcome::WouldBlock => Fate::WouldBlock,
            Outcome::Except => Fate::Excepted,
        };
        // They are ordered from the strongest.
        if said_fate < fate {
            fate = said_fate;
            asked.told.set(&said.program, &said.service, format_args!("{}:{}", said.list, said.line));
        }
    }
    asked.recorded = Some(fate);
    Ok(())
}

/// True if the line tells what such a rule looked at.
fn can_be_asked(trigger: Trigger, query: &Query<'_>, asked: &Asked) -> bool {
    match trigger {
        Trigger::Qname => true,
        Trigger::Client => asked.client.is_some(),
        Trigger::Cname | Trigger::Dname | Trigger::SvcbTarget => !query.aliases.is_empty(),
        Trigger::Address | Trigger::Hint => !query.addresses.is_empty(),
        Trigger::NsName | Trigger::NsAddress => false,
    }
}
