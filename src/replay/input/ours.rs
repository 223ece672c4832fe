//! Our own query log: a JSON object a line.
//!
//! Only what replaying takes is read; what a later version adds is passed over.

mod scan;

use super::{
    Asked, Step,
    json::parse,
    micros_of,
    recorded::{told, was_judged},
};
use crate::{
    dns::Rcode,
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::Fate,
};
use serde::Deserialize;
use std::{borrow::Cow, net::IpAddr};

/// A line, as far as it is of interest.
#[derive(Deserialize, PartialEq, Debug)]
struct Query<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, default)]
    client: Cow<'a, str>,
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    #[serde(borrow, default)]
    transport: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    rr_type: Cow<'a, str>,
    #[serde(borrow, default)]
    rcode: Cow<'a, str>,
    #[serde(default)]
    ede: Option<u16>,
    #[serde(borrow, default)]
    cache: Cow<'a, str>,
    #[serde(borrow, default)]
    aliases: Vec<Cow<'a, str>>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    #[serde(borrow, default)]
    owner: Cow<'a, str>,
    #[serde(borrow, default)]
    verdicts: Vec<Said<'a>>,
    #[serde(borrow, default)]
    overruled: Vec<Said<'a>>,
    #[serde(borrow, default)]
    fate: Cow<'a, str>,
}

/// What one program said.
#[derive(Deserialize, PartialEq, Debug)]
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

/// Reads a line of our log.
pub(super) fn read_line(line: &[u8], asked: &mut Asked) -> Result<Step, String> {
    let written = std::str::from_utf8(line).ok().and_then(scan::scan);
    let query = written.map_or_else(|| parse(line, "our log"), Ok)?;
    if !was_judged(&query.name, query.ede) {
        return Ok(Step::Ignored);
    }
    asked.time = Some(micros_of(&query.time).ok_or_else(|| format!("time: `{}` is no time", query.time))?);
    asked.set_name(&query.name)?;
    asked.rr_type = query.rr_type.parse().map_err(|error| format!("type: {error}"))?;
    asked.tcp = query.transport == "tcp";
    asked.set_client(&query.client);
    asked.set_group(&query.group);
    asked.take_answer(query.aliases.iter().map(|alias| &**alias), query.addresses.iter().copied())?;
    let cache = CacheUse::ALL.into_iter().find(|cache| cache.word() == query.cache);
    asked.came_from(cache, query.rcode.parse().unwrap_or(Rcode::SERVFAIL));
    asked.begin_verdict(Some(&*query.owner).filter(|owner| !owner.is_empty()));
    for said in &query.verdicts {
        let (trigger, outcome) = said.read()?;
        let rule = (&*said.list, Some(said.line));
        asked.take_said((&said.program, &said.service), rule, told(trigger, said.line), outcome);
    }
    for said in &query.overruled {
        let (trigger, outcome) = said.read()?;
        asked.take_overruled(told(trigger, said.line), outcome);
    }
    let fate = Fate::ALL.into_iter().find(|fate| fate.word() == query.fate);
    // It isn't looked at where nothing was excepted.
    asked.end_verdict(fate.unwrap_or(Fate::Excepted));
    Ok(Step::Asked)
}

impl Said<'_> {
    fn read(&self) -> Result<(Trigger, Outcome), String> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.word() == self.outcome);
        let outcome = outcome.ok_or_else(|| format!("outcome: `{}` is no outcome", self.outcome))?;
        let trigger = Trigger::ALL.into_iter().find(|trigger| trigger.word() == self.trigger);
        let trigger = trigger.ok_or_else(|| format!("trigger: `{}` is no trigger", self.trigger))?;
        Ok((trigger, outcome))
    }
}
