//! The text log of dnsmasq, and of Pi-hole, whose resolver it is: `query[A] example.com from 192.168.1.2`.
//!
//! A query's fate stands some lines further down, so queries wait until others have come. Lines belong together by name,
//! and with extra logging by number.

use super::{Around, Asked, Place, Source, Step, lines::Lines, micros_of};
use crate::{
    dns::{Name, RrType},
    query_log::Fate,
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, BufRead},
};

/// Queries that wait for their fate at most: more are hardly in work at once.
const WAITING_MAX: usize = 64;
/// A clock may be wrong by so many seconds before a line counts as of last year.
const AHEAD_SECONDS: i64 = 86_400;
/// What its verdicts are told of as.
pub(super) const PROGRAM: &str = "Pi-hole";
/// What Pi-hole says of a name that it blocks, of all versions, and what it means.
const BLOCKS: [(&str, &str); 13] = [
    ("gravity blocked ", "gravity"),
    ("exactly denied ", "exact"),
    ("exactly blacklisted ", "exact"),
    ("regex denied ", "regex"),
    ("regex blacklisted ", "regex"),
    ("Mozilla canary domain ", "special"),
    ("Apple iCloud Private Relay domain ", "special"),
    ("Designated Resolver domain ", "special"),
    // The same three, when a client asks again.
    ("special domain ", "special"),
    // What the resolver that it forwards to blocks counts as blocked in its database too.
    ("blocked upstream with known address ", "upstream"),
    ("blocked upstream with NULL address ", "upstream"),
    ("blocked upstream with NXRA address ", "upstream"),
    ("blocked upstream with EDE15 ", "upstream"),
];
/// The same of a name that is an alias, before the name.
const BY_ALIAS: &str = "(CNAME) ";
/// How a reply ends whose alias is blocked.
const ALIAS_BLOCKED: &str = "blocked during CNAME inspection";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads lines of the log.
pub(super) struct Pihole<R> {
    lines: Lines<R>,
    now: i64,
    zone: TimeZone,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    /// Places to be filled again.
    spare: Vec<Waiting>,
    /// The name asked whose chain of aliases was told last.
    chain: Option<Name>,
    /// The lines are over.
    is_over: bool,
}

/// A query whose fate may still be told.
#[derive(Default)]
struct Waiting {
    asked: Asked,
    /// Its number, with extra logging.
    number: Option<u64>,
}

/// What became of a line.
enum Seen {
    Step(Step),
    /// A query waits.
    Waits,
    End,
}

impl Seen {
    fn skipped(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Step(Step::Skipped(reason.into()))
    }
}

impl<R: BufRead> Pihole<R> {
    pub(super) fn new(lines: Lines<R>, around: &Around) -> Self {
        let zone = TimeZone::get(around.zone.name()).unwrap_or(TimeZone::UTC);
        let (waiting, spare) = (VecDeque::new(), Vec::new());
        Self { lines, now: around.now, zone, waiting, spare, chain: None, is_over: false }
    }

    /// Gives the oldest query away.
    fn give(&mut self, asked: &mut Asked) -> Step {
        let Some(mut oldest) = self.waiting.pop_front() else { return Step::End };
        std::mem::swap(asked, &mut oldest.asked);
        self.spare.push(oldest);
        Step::Asked
    }

    /// Notes that a name is blocked: the youngest query for it that isn't yet, or the one with that number.
    fn block(&mut self, name: &Name, number: Option<u64>, service: &str) {
        let is_it = |waiting: &Waiting| match number {
            Some(_) => waiting.number == number,
            None => waiting.asked.name == *name,
        };
        let is_open = |waiting: &Waiting| waiting.asked.recorded != Some(Fate::Blocked);
        let found = self.waiting.iter_mut().rev().find(|waiting| is_open(waiting) && is_it(waiting));
        if let Some(Waiting { asked, .. }) = found {
            asked.recorded = Some(Fate::Blocked);
            asked.told.set(PROGRAM, service, "");
        }
    }
}

impl<R: BufRead> Source for Pihole<R> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        while !self.is_over && self.waiting.len() <= WAITING_MAX {
            if let Seen::Step(step) = self.take()? {
                return Ok(step);
            }
        }
        Ok(self.give(asked))
    }

    fn place(&self) -> Place {
        Place::Line(self.lines.number())
    }

    fn is_cut(&self) -> bool {
        self.lines.is_cut()
    }
}

impl<R: BufRead> Pihole<R> {
    /// Takes a line.
    fn take(&mut self) -> io::Result<Seen> {
        let line = match self.lines.next_line()? {
            Ok(line) => line,
            Err(Step::End) => {
                self.is_over = true;
                return Ok(Seen::End);
            }
            Err(step) => return Ok(Seen::Step(step)),
        };
        let Some((head, message)) = message(line) else {
            return Ok(Seen::skipped("the line is none of dnsmasq's log"));
        };
        match Message::read(message) {
            Ok(Message::Query { rr_type, name, client, number }) => {
                let Some(time) = time_of(head, self.now, &self.zone) else {
                    return Ok(Seen::skipped("the line begins with no time, such as `Nov 28 21:12:44`"));
                };
                let mut waiting = self.spare.pop().unwrap_or_default();
                let new = &mut waiting.asked;
                new.clear();
                (new.time, new.name, new.rr_type) = (Some(time), name, rr_type);
                new.recorded = Some(Fate::Passed);
                new.set_client(client);
                waiting.number = number;
                self.waiting.push_back(waiting);
                return Ok(Seen::Waits);
            }
            Ok(Message::Blocked { name, by_alias, number, service }) => {
                let is_asked = self.waiting.iter().any(|waiting| waiting.asked.name == name);
                let name = self.chain.filter(|_| by_alias && !is_asked).unwrap_or(name);
                self.block(&name, number, service);
            }
            // Only the first link's owner was asked for.
            Ok(Message::Alias { name }) => {
                if self.waiting.iter().any(|waiting| waiting.asked.name == name) {
                    self.chain = Some(name);
                }
            }
            Ok(Message::AliasBlocked { number }) => {
                // With a number the name doesn't matter.
                if let Some(name) = self.chain.or(number.map(|_| Name::ROOT)) {
                    self.block(&name, number, "an alias");
                }
            }
            Ok(Message::Other) => {}
            Err(reason) => return Ok(Seen::skipped(reason)),
        }
        Ok(Seen::Step(Step::Ignored))
    }
}

/// What dnsmasq says in a line, as far as it is of interest.
enum Message<'a> {
    Query {
        rr_type: RrType,
        name: Name,
        client: &'a str,
        number: Option<u64>,
    },
    Blocked {
        name: Name,
        by_alias: bool,
        number: Option<u64>,
        service: &'static str,
    },
    /// The name has an alias.
    Alias {
        name: Name,
    },
    /// An alias further down the chain is blocked.
    AliasBlocked {
        number: Option<u64>,
    },
    Other,
}

impl<'a> Message<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let (number, text) = without_number(text);
        let name_of = |text: &str| text.parse::<Name>().map_err(|error| format!("`{}`: {error}", text.escape_debug()));
        if let Some(rest) = text.strip_prefix("query[") {
            let parts = rest.split_once("] ").and_then(|(rr_type, rest)| {
                let (name, client) = rest.rsplit_once(" from ")?;
                Some((rr_type, name, client))
            });
            let (rr_type, name, client) = parts.ok_or("the query has no type, name or client")?;
            let generic = rr_type.strip_prefix("type=").and_then(|number| number.parse().ok()).map(RrType);
            let rr_type = generic.or_else(|| rr_type.parse().ok());
            let rr_type = rr_type.ok_or("the type in brackets is no record type")?;
            return Ok(Self::Query { rr_type, name: name_of(name)?, client, number });
        }
        for (words, service) in BLOCKS {
            if let Some(rest) = text.strip_prefix(words) {
                let (by_alias, rest) = rest.strip_prefix(BY_ALIAS).map_or((false, rest), |rest| (true, rest));
                let name = rest.split(' ').next().unwrap_or_default();
                return Ok(Self::Blocked { name: name_of(name)?, by_alias, number, service });
            }
        }
        let Some((source, rest)) = text.split_once(' ') else { return Ok(Self::Other) };
        let Some((name, what)) = rest.split_once(" is ") else { return Ok(Self::Other) };
        let is_reply = matches!(source, "reply" | "cached" | "cached-stale");
        Ok(match what {
            // What dnsmasq's own configuration says so is a block; its other answers may be anything.
            "0.0.0.0" | "::" if source == "config" => {
                Self::Blocked { name: name_of(name)?, by_alias: false, number, service: "configuration" }
            }
            "<CNAME>" if is_reply => Self::Alias { name: name_of(name)? },
            ALIAS_BLOCKED if is_reply => Self::AliasBlocked { number },
            _ => Self::Other,
        })
    }
}

/// What stands before dnsmasq's message in a line, and the message; `None` if the line is none of its log.
pub(super) fn message(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (before, message) = line.split_once(": ")?;
    // The last word alone is the tag: the host before it may be called anything.
    let (head, tag) = before.rsplit_once(' ').unwrap_or(("", before));
    let rest = tag.strip_prefix("dnsmasq")?;
    // `dnsmasq[123]`, `dnsmasq`, and `dnsmasq-dhcp[123]`, whose messages are of no interest.
    let is_tag = rest.is_empty() || rest.starts_with(['[', '-']);
    is_tag.then_some((head.trim_end(), if rest.starts_with('-') { "" } else { message }))
}

/// With extra logging a message begins with a number and the client, and in some versions with the protocol before.
fn without_number(text: &str) -> (Option<u64>, &str) {
    let rest = ["UDP ", "TCP "].into_iter().find_map(|protocol| text.strip_prefix(protocol)).unwrap_or(text);
    let parts = rest.split_once(' ').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
    let Some((number, rest)) = parts else { return (None, text) };
    // `192.168.1.2/40001`
    match rest.split_once(' ') {
        Some((client, message)) if client.contains('/') => (Some(number), message),
        _ => (Some(number), rest),
    }
}

/// Microseconds since 1970 of `Nov 28 21:12:44`, which has no year and no zone, or of a time as RFC 3339 has it. What
/// follows the time is a host's name.
fn time_of(head: &str, now: i64, zone: &TimeZone) -> Option<i64> {
    if head.starts_with(|first: char| first.is_ascii_digit()) {
        return micros_of(head.split(' ').next()?);
    }
    let mut words = head.split(' ').filter(|word| !word.is_empty());
    let (month, day, time) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? as i8 + 1;
    let day: i8 = day.parse().ok()?;
    let mut parts = time.splitn(3, ':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let this_year = zone.to_datetime(Timestamp::from_second(now).ok()?).year();
    // The latest that isn't ahead; the 29th of February is in one of nine years.
    (0..9).find_map(|ago| {
        let year = this_year + 1 - ago;
        let midnight: DateTime = Date::new(year, month, day).ok()?.into();
        let time = midnight.with().hour(hour).minute(minute).second(second).build().ok()?;
        let time = zone.to_timestamp(time).ok()?;
        (time.as_second() <= now + AHEAD_SECONDS).then(|| time.as_microsecond())
    })
}
