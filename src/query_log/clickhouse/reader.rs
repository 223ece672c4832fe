//! Reads what many servers wrote: sums by hour of queries that are alike, made by ClickHouse, row by row as they come.

use super::{
    super::row::{Fate, Lead, Owner, Row, Said, Seen, Verdicts, kind},
    server::{Failure, Server, code},
};
use crate::{
    config::ClickHouse,
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Trigger},
    query::CacheUse,
    resolve::Security,
};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    net::IpAddr,
    str::FromStr,
    sync::Arc,
};

/// Octets of one row: a message has 64 KiB, and names in it grow fourfold when they are written.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Octets of a row that are told if it can't be understood.
const TOLD_BYTES_MAX: usize = 300;
/// Different verdicts that are held to be shared.
const VERDICTS_MAX: usize = 1 << 16;

const HOUR_MICROS: i64 = 3600 * 1_000_000;
/// Blocked queries of which each comes by itself, with the time at which it was asked, so that questions asked again are
/// seen: half a gigabyte of lines at most. If there are more, they are summed up too.
const BLOCKED_MAX: u64 = 1_000_000;
/// What is alike in queries that are summed up.
const ALIKE: &str = "client, client_group, transport, name, type, rcode, ede, cache, security, upstream, kind, fate, owner, \
                     owner_rule, owner_reason, program, service, list, version, line, rule, trigger, outcome, acted, \
                     overruled_program, overruled_service, overruled_list, overruled_version, overruled_line, \
                     overruled_rule, overruled_trigger, overruled_outcome";
/// A column of the newest file of tables, and what ClickHouse says of columns that aren't there.
const NEWEST_COLUMN: &str = "overruled_program";
const UNKNOWN_COLUMN: u32 = 47;

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("ClickHouse at {url} has no query log in its database {database}; has a server written to it since?")]
    None { url: String, database: String },
    #[error(
        "the query log of ClickHouse at {url} was made by an older version, and lacks columns: let a server of this version \
         write to it, or apply config/clickhouse/002-overruled.sql by hand (config/clickhouse/README.md)"
    )]
    Old { url: String },
    #[error("the query log can't be read from ClickHouse at {url}: {why}")]
    Failed { url: String, why: String },
    #[error("ClickHouse at {url} gave a row that can't be understood ({why}): {row}")]
    Row { url: String, why: String, row: String },
}

/// Reads the tables.
pub struct ClickHouseReader {
    server: Server,
}

/// A sum as it comes. Numbers that don't fit into 53 bits come as text.
#[derive(Deserialize)]
struct Sum<'a> {
    queries: Cow<'a, str>,
    first_micros: Cow<'a, str>,
    last_micros: Cow<'a, str>,
    mean_micros: u32,
    some_aliases: Vec<String>,
    some_addresses: Vec<IpAddr>,
    client: Cow<'a, str>,
    client_group: Cow<'a, str>,
    transport: Cow<'a, str>,
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    rr_type: Cow<'a, str>,
    rcode: Cow<'a, str>,
    ede: Option<u16>,
    cache: Cow<'a, str>,
    security: Cow<'a, str>,
    upstream: Cow<'a, str>,
    kind: u8,
    fate: Cow<'a, str>,
    owner: Cow<'a, str>,
    owner_rule: Cow<'a, str>,
    owner_reason: Cow<'a, str>,
    program: Vec<Cow<'a, str>>,
    service: Vec<Cow<'a, str>>,
    list: Vec<Cow<'a, str>>,
    version: Vec<Cow<'a, str>>,
    line: Vec<u32>,
    rule: Vec<Cow<'a, str>>,
    trigger: Vec<Cow<'a, str>>,
    outcome: Vec<Cow<'a, str>>,
    acted: Vec<u8>,
    overruled_program: Vec<Cow<'a, str>>,
    overruled_service: Vec<Cow<'a, str>>,
    overruled_list: Vec<Cow<'a, str>>,
    overruled_version: Vec<Cow<'a, str>>,
    overruled_line: Vec<u32>,
    overruled_rule: Vec<Cow<'a, str>>,
    overruled_trigger: Vec<Cow<'a, str>>,
    overruled_outcome: Vec<Cow<'a, str>>,
}

/// How many queries there are, and when the first was.
#[derive(Deserialize)]
struct First<'a> {
    queries: Cow<'a, str>,
    first_micros: Cow<'a, str>,
}

/// Where a name led to.
#[derive(Deserialize)]
struct Led<'a> {
    name: Cow<'a, str>,
    target: Cow<'a, str>,
}

impl ClickHouseReader {
    pub fn new(config: &ClickHouse) -> Self {
        Self { server: Server::new(config) }
    }

    /// The time of the first query that is recorded, by one server or any.
    pub fn first(&self, instance: Option<&str>) -> Result<Option<i64>, ReadError> {
        Ok(self.count("1", instance)?.1)
    }

    /// How many queries there are for which a condition holds, and the time of the first.
    fn count(&self, condition: &str, instance: Option<&str>) -> Result<(u64, Option<i64>), ReadError> {
        let statement = format!(
            "SELECT toString(count()) AS queries, toString(min(time_micros)) AS first_micros FROM queries FINAL \
             WHERE {condition}{} FORMAT JSONEachRow",
            of(instance)
        );
        let (mut count, mut first) = (0, None);
        self.rows(&statement, |line| {
            let found: First<'_> = parse(line)?;
            count = number(&found.queries)?;
            first = (count > 0).then(|| number(&found.first_micros)).transpose()?;
            Ok(())
        })?;
        Ok((count, first))
    }

    /// Calls `each` for all queries from one time until before another, of one server or of all: those of an hour that
    /// are alike are summed up, but for blocked ones of which there are not too many, and come in the order of their first
    /// ones. A sum's `micros` are the mean, and its aliases and addresses those of one of its queries; for all of them see
    /// `leads`. Returns the times that were looked at, which are those asked for.
    pub fn for_each(
        &self,
        from: i64,
        to: i64,
        instance: Option<&str>,
        mut each: impl FnMut(Seen<'_>),
    ) -> Result<(i64, i64), ReadError> {
        let (blocked, _) = self.count(&format!("fate = 'blocked' AND {}", between(from, to)), instance)?;
        let alone = if blocked <= BLOCKED_MAX { "if(fate = 'blocked', time_micros, 0), " } else { "" };
        let statement = format!(
            "SELECT {ALIKE}, toString(count()) AS queries, toString(min(time_micros)) AS first_micros, \
             toString(max(time_micros)) AS last_micros, toUInt32(avg(micros)) AS mean_micros, \
             anyIf(aliases, notEmpty(aliases)) AS some_aliases, anyIf(addresses, notEmpty(addresses)) AS some_addresses \
             FROM queries FINAL WHERE {}{} GROUP BY intDiv(time_micros, {HOUR_MICROS}), {alone}{ALIKE} \
             ORDER BY min(time_micros) FORMAT JSONEachRow",
            between(from, to),
            of(instance)
        );
        let mut verdicts = Known::default();
        self.rows(&statement, |line| {
            let sum: Sum<'_> = parse(line)?;
            let (count, last) = (number(&sum.queries)?, number(&sum.last_micros)?);
            let row = sum.row(&mut verdicts)?;
            each(Seen { row: &row, count, first: row.time, last, has_details: true });
            Ok(())
        })?;
        Ok((from, to))
    }

    /// Calls `each` for each name and each alias or address that it led to from one time until before another, by what
    /// one server recorded or all did.
    pub fn leads(
        &self,
        from: i64,
        to: i64,
        instance: Option<&str>,
        mut each: impl FnMut(&str, Lead<'_>),
    ) -> Result<(), ReadError> {
        let statement = format!(
            "SELECT DISTINCT name, target FROM (SELECT name, arrayJoin(arrayConcat(aliases, addresses)) AS target \
             FROM queries WHERE {}{}) FORMAT JSONEachRow",
            between(from, to),
            of(instance)
        );
        self.rows(&statement, |line| {
            let led: Led<'_> = parse(line)?;
            each(&led.name, Lead::of(&led.target));
            Ok(())
        })
    }

    /// Asks, and calls `each` for each line of the answer.
    fn rows(&self, statement: &str, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<(), ReadError> {
        let url = || self.server.url().to_owned();
        let failed = |why: String| ReadError::Failed { url: url(), why };
        let body = self.server.read(statement).map_err(|failure| match failure {
            Failure::Absent(_) => ReadError::None { url: url(), database: self.server.database().to_owned() },
            Failure::Refused(why) if code(&why) == Some(UNKNOWN_COLUMN) && why.contains(NEWEST_COLUMN) => {
                ReadError::Old { url: url() }
            }
            other => failed(other.to_string()),
        })?;
        let (mut body, mut octets) = (BufReader::new(body), Vec::new());
        loop {
            octets.clear();
            let length = body.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut octets);
            if length.map_err(|error| failed(error.to_string()))? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&octets);
            // The server may find in the middle of an answer that it can't go on.
            if code(&line).is_some() {
                return Err(failed(line.trim().to_owned()));
            }
            each(&line).map_err(|why| {
                let row = String::from_utf8_lossy(&octets[..octets.len().min(TOLD_BYTES_MAX)]).trim().to_owned();
                ReadError::Row { url: url(), why, row }
            })?;
        }
    }
}

impl Sum<'_> {
    fn row(&self, known: &mut Known) -> Result<Row, String> {
        let has_name = !self.name.is_empty();
        let rr_type = if has_name { &*self.rr_type } else { "TYPE0" };
        let is = |bit: u8| self.kind & bit != 0;
        Ok(Row {
            time: number(&self.first_micros)?,
            client: self.client.to_string(),
            group: (&*self.client_group).into(),
            transport: word(&Transport::ALL, Transport::label, &self.transport).ok_or("transport")?,
            name: self.name.to_string(),
            rr_type: rr_type.parse::<RrType>().map_err(|error| format!("type: {error}"))?,
            rcode: self.rcode.parse::<Rcode>().map_err(|error| format!("rcode: {error}"))?,
            ede: self.ede,
            micros: self.mean_micros,
            cache: word(&CacheUse::ALL, CacheUse::word, &self.cache),
            security: word(&Security::ALL, Security::word, &self.security),
            upstream: (!self.upstream.is_empty()).then(|| (&*self.upstream).into()),
            server: None,
            bypass: is(kind::BYPASS),
            dropped: is(kind::DROPPED),
            verdicts: known.share(self.verdicts()?),
            aliases: self.some_aliases.clone(),
            addresses: self.some_addresses.clone(),
        })
    }

    fn verdicts(&self) -> Result<Verdicts, String> {
        let said = Columns {
            program: &self.program,
            service: &self.service,
            list: &self.list,
            version: &self.version,
            line: &self.line,
            rule: &self.rule,
            trigger: &self.trigger,
            outcome: &self.outcome,
        };
        let overruled = Columns {
            program: &self.overruled_program,
            service: &self.overruled_service,
            list: &self.overruled_list,
            version: &self.overruled_version,
            line: &self.overruled_line,
            rule: &self.overruled_rule,
            trigger: &self.overruled_trigger,
            outcome: &self.overruled_outcome,
        };
        let owner = (!self.owner.is_empty()).then(|| Owner {
            place: (&*self.owner).into(),
            rule: (&*self.owner_rule).into(),
            reason: (&*self.owner_reason).into(),
        });
        let (said, overruled) = said.all(Some(&self.acted)).zip(overruled.all(None)).ok_or("verdicts")?;
        Ok(Verdicts::told(owner, said, overruled, word(&Fate::ALL, Fate::word, &self.fate)))
    }
}

/// Arrays of one length: what stands at one place in all of them is what one program said.
struct Columns<'c, 'a> {
    program: &'c [Cow<'a, str>],
    service: &'c [Cow<'a, str>],
    list: &'c [Cow<'a, str>],
    version: &'c [Cow<'a, str>],
    line: &'c [u32],
    rule: &'c [Cow<'a, str>],
    trigger: &'c [Cow<'a, str>],
    outcome: &'c [Cow<'a, str>],
}

impl Columns<'_, '_> {
    /// All of it; `None` if something is missing or unknown. `acted`: which decided, if any may have.
    fn all(&self, acted: Option<&[u8]>) -> Option<Vec<Said>> {
        let said = |place: usize| -> Option<Said> {
            let text = |texts: &[Cow<'_, str>]| texts.get(place).map(|text| Arc::from(&**text));
            Some(Said {
                program: text(self.program)?,
                service: text(self.service)?,
                list: text(self.list)?,
                version: text(self.version)?,
                line: *self.line.get(place)?,
                rule: text(self.rule)?,
                trigger: word(&Trigger::ALL, Trigger::word, self.trigger.get(place)?)?,
                outcome: word(&Outcome::ALL, Outcome::word, self.outcome.get(place)?)?,
                acted: acted.map_or(Some(false), |acted| acted.get(place).map(|acted| *acted != 0))?,
            })
        };
        (0..self.program.len()).map(said).collect()
    }
}

/// Verdicts that were seen, so that many rows share one.
#[derive(Default)]
struct Known(HashSet<Arc<Verdicts>>);

impl Known {
    fn share(&mut self, verdicts: Verdicts) -> Arc<Verdicts> {
        if let Some(known) = self.0.get(&verdicts) {
            return known.clone();
        }
        if self.0.len() == VERDICTS_MAX {
            self.0.clear();
        }
        let verdicts = Arc::new(verdicts);
        self.0.insert(verdicts.clone());
        verdicts
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn word<T: Copy>(all: &[T], word: fn(T) -> &'static str, text: &str) -> Option<T> {
    all.iter().copied().find(|value| word(*value) == text)
}

/// The condition that a query is from a time until before another. The table is ordered by seconds.
fn between(from: i64, to: i64) -> String {
    let (from, to) = (from.max(0), to.max(0));
    let second = |time: i64| time.div_euclid(1_000_000).min(u32::MAX.into());
    format!(
        "time >= toDateTime({}) AND time <= toDateTime({}) AND time_micros >= {from} AND time_micros < {to}",
        second(from),
        second(to)
    )
}

/// Of one server, or of all of them.
fn of(instance: Option<&str>) -> String {
    instance.map_or_else(String::new, |name| format!(" AND instance = {}", quoted(name)))
}

/// Text as it stands in a statement.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
