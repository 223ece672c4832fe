//! One line of JSON a query: what is in it. `sink` writes them.

mod sink;

pub(super) use sink::JsonSink;

use super::row::{Fate, Owner, Row, Said, Verdicts, read_server, shown_server};
use crate::{
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Trigger},
    query::CacheUse,
    resolve::Security,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, net::IpAddr, sync::Arc};

/// A row as JSON. What a query has not is left out. Times are RFC 3339, in UTC.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct JsonRow<'a> {
    /// When it was answered.
    #[schemars(extend("format" = "date-time"))]
    pub time: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub instance: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub client: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub group: Cow<'a, str>,
    /// `udp` or `tcp`.
    pub transport: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Cow<'a, str>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rr_type: Option<Cow<'a, str>>,
    pub rcode: Cow<'a, str>,
    /// Extended DNS Error code (RFC 8914).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ede: Option<u16>,
    /// Microseconds from reception to the finished response.
    pub micros: u32,
    /// `hit`, `stale` or `miss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cow<'a, str>>,
    /// `secure`, `insecure`, `bogus` or `unchecked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Cow<'a, str>>,
    /// The server that gave the last link of the answer, if anybody was asked and that is known: a forwarder, or one of the
    /// zone's. Its address, with its port if that isn't 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub bypass: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub dropped: bool,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    pub aliases: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "<[IpAddr]>::is_empty")]
    pub addresses: Cow<'a, [IpAddr]>,
    /// `blocked`, `would-block`, `excepted`, `passed`, or `refused`: it got an error at once, and no answer was looked for.
    #[schemars(extend("enum" = ["blocked", "would-block", "excepted", "passed", "refused"]))]
    pub fate: Cow<'a, str>,
    /// Where the owner's exception stands that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Cow<'a, str>>,
    /// By which of its names: `example.com` with all below it, `=example.com`; left out if it is by a list of it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub owner_rule: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub owner_reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<JsonSaid<'a>>,
    /// What was weighed against that and lost: what would be blocked but for an exception, or an exception that something
    /// else was stronger than.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overruled: Vec<JsonSaid<'a>>,
}

/// What one program said, as JSON.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct JsonSaid<'a> {
    pub program: Cow<'a, str>,
    pub service: Cow<'a, str>,
    pub list: Cow<'a, str>,
    pub version: Cow<'a, str>,
    pub line: u32,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub rule: Cow<'a, str>,
    pub trigger: Cow<'a, str>,
    /// `block`, `would-block` or `except`.
    #[schemars(extend("enum" = ["block", "would-block", "except"]))]
    pub outcome: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub acted: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A time in microseconds since 1970, as it is written: `2026-11-28T21:12:44.123456Z`.
pub fn shown_micros(time: i64) -> String {
    Timestamp::from_microsecond(time).map_or_else(|_| time.to_string(), |time| format!("{time:.6}"))
}

impl<'a> JsonRow<'a> {
    pub fn of(row: &'a Row, instance: &'a str) -> Self {
        let (has_name, owner) = (!row.name.is_empty(), row.verdicts.owner.as_ref());
        Self {
            time: shown_micros(row.time).into(),
            instance: instance.into(),
            client: row.client.as_str().into(),
            group: (&*row.group).into(),
            transport: row.transport.label().into(),
            name: row.name.as_str().into(),
            rr_type: has_name.then(|| row.rr_type.to_string().into()),
            rcode: row.rcode.to_string().into(),
            ede: row.ede,
            micros: row.micros,
            cache: row.cache.map(|cache| cache.word().into()),
            security: row.security.map(|security| security.word().into()),
            upstream: row.upstream.as_deref().map(Cow::from),
            server: row.server.map(|server| shown_server(server).into()),
            bypass: row.bypass,
            dropped: row.dropped,
            aliases: row.aliases.as_slice().into(),
            addresses: row.addresses.as_slice().into(),
            fate: row.fate().word().into(),
            owner: owner.map(|own| Cow::from(&*own.place)),
            owner_rule: owner.map_or("", |own| &own.rule).into(),
            owner_reason: owner.map_or("", |own| &own.reason).into(),
            verdicts: row.verdicts.said.iter().map(JsonSaid::of).collect(),
            overruled: row.verdicts.overruled.iter().map(JsonSaid::of).collect(),
        }
    }

    /// The row, or the field that can't be read.
    pub fn row(&self) -> Result<Row, String> {
        let time: Timestamp = self.time.parse().map_err(|_| format!("time: {} is no time", self.time))?;
        let said = |all: &[JsonSaid<'_>]| all.iter().map(JsonSaid::said).collect::<Result<_, _>>();
        let owner = self.owner.as_deref().map(|place| Owner {
            place: place.into(),
            rule: (&*self.owner_rule).into(),
            reason: (&*self.owner_reason).into(),
        });
        let verdicts = Verdicts::told(owner, said(&self.verdicts)?, said(&self.overruled)?, self.fate());
        let rr_type = self.rr_type.as_deref().unwrap_or("TYPE0");
        Ok(Row {
            time: time.as_microsecond(),
            client: self.client.to_string(),
            group: (&*self.group).into(),
            transport: word(&Transport::ALL, Transport::label, &self.transport, "transport")?,
            name: self.name.to_string(),
            rr_type: rr_type.parse::<RrType>().map_err(|error| format!("type: {error}"))?,
            rcode: self.rcode.parse::<Rcode>().map_err(|error| format!("rcode: {error}"))?,
            ede: self.ede,
            micros: self.micros,
            cache: self.cache.as_ref().map(|text| word(&CacheUse::ALL, CacheUse::word, text, "cache")).transpose()?,
            security: self
                .security
                .as_ref()
                .map(|text| word(&Security::ALL, Security::word, text, "security"))
                .transpose()?,
            upstream: self.upstream.as_deref().map(Arc::from),
            server: self.server.as_deref().and_then(read_server),
            bypass: self.bypass,
            dropped: self.dropped,
            verdicts: Arc::new(verdicts),
            aliases: self.aliases.to_vec(),
            addresses: self.addresses.to_vec(),
        })
    }

    /// What became of it.
    pub fn fate(&self) -> Option<Fate> {
        Fate::ALL.into_iter().find(|fate| fate.word() == self.fate)
    }
}

impl<'a> JsonSaid<'a> {
    fn of(said: &'a Said) -> Self {
        Self {
            program: (&*said.program).into(),
            service: (&*said.service).into(),
            list: (&*said.list).into(),
            version: (&*said.version).into(),
            line: said.line,
            rule: (&*said.rule).into(),
            trigger: said.trigger.word().into(),
            outcome: said.outcome.word().into(),
            acted: said.acted,
        }
    }

    fn said(&self) -> Result<Said, String> {
        Ok(Said {
            program: (&*self.program).into(),
            service: (&*self.service).into(),
            list: (&*self.list).into(),
            version: (&*self.version).into(),
            line: self.line,
            rule: (&*self.rule).into(),
            trigger: word(&Trigger::ALL, Trigger::word, &self.trigger, "trigger")?,
            outcome: word(&Outcome::ALL, Outcome::word, &self.outcome, "outcome")?,
            acted: self.acted,
        })
    }
}

/// The value that a word stands for.
fn word<T: Copy>(all: &[T], word: fn(T) -> &'static str, text: &str, field: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|value| word(*value) == text);
    found.ok_or_else(|| format!("{field}: {text} is not a word for that"))
}
