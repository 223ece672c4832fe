//! `[policy]`: what all programs share, and the owner's own exceptions.

use super::{
    super::{DEFAULT_GROUP, Exception, Group, ListSource, Policy, Program},
    names,
    reader::{Table, Value},
    sections::Reading,
    text::{self, nearest, shown},
};
use crate::policy::{BlockAnswer, Mode, Zone, parse::Extent};
use std::{ops::RangeInclusive, time::Duration};

const BLOCK_TTL: Duration = Duration::from_secs(30);
/// Clients keep a block this long after it is lifted; beyond a day nobody means it.
const BLOCK_TTL_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Addresses a blocked client can be given: so many fit in 512 octets, the least that every client takes.
const BLOCK_ADDRESSES_MAX: usize = 16;

/// The sections that name each other.
pub struct Policies {
    pub policy: Policy,
    pub exceptions: Vec<Exception>,
    pub programs: Vec<Program>,
    pub groups: Vec<Group>,
}

impl Reading<'_> {
    /// `[policy]`, and with it programs and groups: they need its time zone, and its exceptions name them.
    pub fn policies(&self, root: &Table<'_>) -> Policies {
        root.section("policy", |table| {
            let policy = self.policy(table);
            let programs = self.programs(root, &policy.time_zone);
            let groups = super::groups::read_groups(root, &programs, &policy.time_zone);
            let exceptions =
                table.sections("exception", |table| self.exception(table, &programs, &groups, &policy.time_zone));
            Policies { policy, exceptions: exceptions.unwrap_or_default(), programs, groups }
        })
    }

    fn policy(&self, table: &Table<'_>) -> Policy {
        let zone = table.set_text("time_zone", "Europe/Berlin");
        Policy {
            mode: table.parse("mode", Mode::Enforce, "enforce", read_mode),
            block: table.value("block").and_then(|value| read_block(&value)).unwrap_or(BlockAnswer::NxDomain),
            block_ttl: table.parse("block_ttl", BLOCK_TTL, "30s", read_block_ttl),
            asn_db: self.optional_file(table, "asn_db"),
            country_db: self.optional_file(table, "country_db"),
            time_zone: zone.and_then(|value| value.parse("", text::time_zone)).unwrap_or_else(Zone::utc),
        }
    }

    fn exception(&self, table: &Table<'_>, programs: &[Program], groups: &[Group], zone: &Zone) -> Exception {
        const EXAMPLE: &str = "\"example.com\"";
        let (names, lists) = (table.value("names"), table.value("lists"));
        let is_empty = |value: &Option<Value<'_>>| value.as_ref().is_none_or(Value::is_empty_list);
        if is_empty(&names) && is_empty(&lists) {
            table.missing("names", format!("an exception needs names or lists; write names = [{EXAMPLE}]"));
        }
        let names = names.map(|value| value.parse_list(EXAMPLE, names::exception_name)).unwrap_or_default();
        for (element, _) in names.iter().filter(|(_, (name, extent))| name.is_root() && *extent == Extent::Subtree) {
            element.warn("passes every name there is; [policy] mode = \"shadow\" does that and still records matches");
        }
        let until = table
            .value("until")
            .and_then(|value| value.parse_date("2027-01-31", |day| Ok((text::end_of_day(day, zone)?, day.to_owned()))));
        let (until, until_text) = until.unzip();
        let groups = groups.iter().map(|group| group.name.as_str()).chain([DEFAULT_GROUP]);
        Exception {
            names: names.into_iter().map(|(_, name)| name).collect(),
            lists: lists.map(|value| self.plain_lists(&value)).unwrap_or_default(),
            programs: limits(table, "programs", "program", program_names(programs)),
            groups: limits(table, "groups", "group", groups.collect()),
            reason: table.text("reason", ""),
            until,
            until_text: until_text.unwrap_or_default(),
            place: table.place(),
        }
    }

    /// Lists named by their paths alone.
    pub fn plain_lists(&self, value: &Value<'_>) -> Vec<ListSource> {
        let locations = value.parse_list("\"exceptions.list\"", |path| self.find_list(path));
        locations.into_iter().map(|(element, found)| ListSource::plain(found.told(&element))).collect()
    }
}

/// Names of what there is, to which an exception is limited.
fn limits(table: &Table<'_>, key: &'static str, what: &str, known: Vec<&str>) -> Vec<String> {
    let Some(value) = table.value(key) else { return Vec::new() };
    let example = shown(known.first().copied().unwrap_or_default());
    let names = value.parse_list(&example, |text| Ok(text.to_owned()));
    for (element, name) in names.iter().filter(|(_, name)| !known.contains(&name.as_str())) {
        element.missing(unknown(what, name, &known));
    }
    names.into_iter().map(|(_, name)| name).collect()
}

/// That there is no such program or group, and which may be meant.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    /// Names that a message lists.
    const NAMES_MAX: usize = 20;
    let more = if known.len() > NAMES_MAX { " and others" } else { "" };
    let advice = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", shown(near)),
        None => format!("there are {}{more}", known[..known.len().min(NAMES_MAX)].join(", ")),
    };
    format!("there is no {what} {}; {advice}", shown(name))
}

pub fn program_names(programs: &[Program]) -> Vec<&str> {
    programs.iter().map(|program| program.name.as_str()).collect()
}

/// What blocked clients get: a word, or a list of addresses.
pub fn read_block(value: &Value<'_>) -> Option<BlockAnswer> {
    let words =
        [BlockAnswer::NxDomain, BlockAnswer::NoData, BlockAnswer::Null, BlockAnswer::Refused, BlockAnswer::Drop];
    if value.is_text() {
        let word = value.parse("nxdomain", |text| {
            text::choice(text, &words.each_ref().map(BlockAnswer::word)).map(str::to_owned)
        })?;
        return words.into_iter().find(|answer| answer.word() == word);
    }
    if value.is_empty_list() {
        value.problem("there is no address; write block = [\"192.0.2.1\"], or \"null\" for 0.0.0.0 and ::");
    }
    let addresses = value.parse_list("\"192.0.2.1\"", text::address);
    for (index, (element, address)) in addresses.iter().enumerate() {
        if index == BLOCK_ADDRESSES_MAX {
            element.problem(format!("there are more than {BLOCK_ADDRESSES_MAX} addresses; remove some"));
        }
        if addresses[..index].iter().take(BLOCK_ADDRESSES_MAX).any(|(_, earlier)| earlier == address) {
            element.problem(format!("{address} stands there twice; remove one"));
        }
    }
    Some(BlockAnswer::Addresses(addresses.into_iter().map(|(_, address)| address).collect()))
}

fn read_block_ttl(text: &str) -> Result<Duration, String> {
    match text::duration(text)? {
        ttl if BLOCK_TTL_RANGE.contains(&ttl) => Ok(ttl),
        _ => Err(format!("{} is out of range; write \"1s\" to \"1d\"", shown(text))),
    }
}

pub fn read_mode(text: &str) -> Result<Mode, String> {
    let word = text::choice(text, &Mode::ALL.map(Mode::word))?;
    Ok(Mode::ALL.into_iter().find(|mode| mode.word() == word).expect("the words are those of these modes"))
}
