//! AdGuard Home's `querylog.json`: a JSON object a line, with the answer as it went over the wire in base64.

use super::{Asked, Bounded, Step, json::parse, micros_of};
use crate::{
    dns::{Class, Question, Section, read_records},
    query::answer_links,
    query_log::Fate,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::borrow::Cow;

/// What its verdicts are told of as.
const PROGRAM: &str = "AdGuard Home";
/// Its reasons by number, as far as they say that something was let pass, or blocked.
const ALLOWED: u8 = 1;
/// From this reason on it made the answer itself.
const FIRST_OF_ITS_OWN: u8 = 3;
const REASONS: [(u8, &str); 6] = [
    (3, "filters"),
    (4, "safe browsing"),
    (5, "parental control"),
    (6, "invalid"),
    (7, "safe search"),
    (8, "blocked services"),
];

/// A line, as far as it is of interest.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, rename = "T")]
    time: Cow<'a, str>,
    #[serde(borrow, rename = "QH")]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "QT")]
    rr_type: Cow<'a, str>,
    #[serde(borrow, rename = "QC", default)]
    class: Cow<'a, str>,
    /// Empty for plain DNS, else `doh`, `dot`, `doq` or `dnscrypt`.
    #[serde(borrow, rename = "CP", default)]
    protocol: Cow<'a, str>,
    #[serde(borrow, rename = "CID", default)]
    client_id: Cow<'a, str>,
    #[serde(borrow, rename = "IP", default)]
    address: Cow<'a, str>,
    #[serde(borrow, rename = "Result", default)]
    result: Outcome<'a>,
    #[serde(borrow, rename = "Answer", default)]
    answer: Cow<'a, str>,
    /// What it was asked upstream, where the answer is another.
    #[serde(borrow, rename = "OrigAnswer", default)]
    original: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
struct Outcome<'a> {
    #[serde(rename = "IsFiltered", default)]
    is_filtered: bool,
    #[serde(rename = "Reason", default)]
    reason: u8,
    #[serde(borrow, rename = "ServiceName", default)]
    service: Cow<'a, str>,
    #[serde(borrow, rename = "Rules", default)]
    rules: Vec<Rule<'a>>,
    /// Before version 0.105 there was one rule.
    #[serde(borrow, rename = "Rule", default)]
    rule: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow, rename = "Text", default)]
    text: Cow<'a, str>,
}

/// Reads a line of the log.
pub(super) fn read_line(line: &[u8], asked: &mut Asked) -> Result<Step, String> {
    let entry: Entry<'_> = parse(line, "AdGuard Home's log")?;
    if !matches!(&*entry.class, "" | "IN") {
        return Err(format!("QC: the class {} is not IN", entry.class));
    }
    asked.time = Some(micros_of(&entry.time).ok_or_else(|| format!("T: `{}` is no time", entry.time))?);
    // Without its last dot nothing is left of the root.
    let name = if entry.name.is_empty() { "." } else { &*entry.name };
    asked.name.assign(name.as_bytes()).map_err(|error| format!("QH: {error}"))?;
    asked.rr_type = entry.rr_type.parse().map_err(|error| format!("QT: {error}"))?;
    asked.tcp = matches!(&*entry.protocol, "dot" | "doh");
    asked.set_client(&entry.address);
    Bounded(&mut asked.client_id).push(&entry.client_id);
    asked.client_id.make_ascii_lowercase();
    let result = &entry.result;
    asked.recorded = Some(match result.is_filtered {
        true => Fate::Blocked,
        false if result.reason == ALLOWED => Fate::Excepted,
        false => Fate::Passed,
    });
    if asked.recorded != Some(Fate::Passed) {
        let known = REASONS.iter().find(|(reason, _)| *reason == result.reason).map_or("allowlists", |known| known.1);
        let service = if result.service.is_empty() { known } else { &*result.service };
        let rule = result.rules.first().map_or(&*result.rule, |rule| &*rule.text);
        asked.told.set(PROGRAM, service, rule);
    }
    take_links(&entry, asked);
    Ok(Step::Asked)
}

/// Takes over what the answer of other servers led to. One that can't be read led to nothing.
fn take_links(entry: &Entry<'_>, asked: &mut Asked) {
    let answer = match (&*entry.original, entry.result.reason) {
        ("", FIRST_OF_ITS_OWN..) => return,
        ("", _) => &*entry.answer,
        (original, _) => original,
    };
    let Ok(octets) = STANDARD.decode(answer) else { return };
    let records = read_records(&octets).unwrap_or_default().into_iter();
    let answer: Vec<_> = records.filter(|(section, _)| *section == Section::Answer).map(|(_, record)| record).collect();
    let question = Question { name: asked.name, rr_type: asked.rr_type, class: Class::IN };
    asked.links.extend(answer_links(&question, &answer));
}
