//! One row as the table `queries` takes it, in the format JSONEachRow.

use super::super::row::{Row, Said, Verdicts, shown_server};
use serde::{Serialize, Serializer};
use std::{fmt::Display, net::IpAddr};

/// The columns.
#[derive(Serialize)]
struct Line<'a> {
    instance: &'a str,
    id: u64,
    time: u32,
    time_micros: i64,
    client: &'a str,
    client_group: &'a str,
    transport: &'a str,
    name: &'a str,
    #[serde(rename = "type", serialize_with = "shown")]
    rr_type: Shown<'a>,
    #[serde(serialize_with = "shown")]
    rcode: Shown<'a>,
    ede: Option<u16>,
    micros: u32,
    cache: &'a str,
    security: &'a str,
    upstream: &'a str,
    server: String,
    kind: u8,
    fate: &'a str,
    owner: &'a str,
    owner_rule: &'a str,
    owner_reason: &'a str,
    program: Vec<&'a str>,
    service: Vec<&'a str>,
    list: Vec<&'a str>,
    version: Vec<&'a str>,
    line: Vec<u32>,
    rule: Vec<&'a str>,
    trigger: Vec<&'a str>,
    outcome: Vec<&'a str>,
    acted: Vec<u8>,
    overruled_program: Vec<&'a str>,
    overruled_service: Vec<&'a str>,
    overruled_list: Vec<&'a str>,
    overruled_version: Vec<&'a str>,
    overruled_line: Vec<u32>,
    overruled_rule: Vec<&'a str>,
    overruled_trigger: Vec<&'a str>,
    overruled_outcome: Vec<&'a str>,
    aliases: &'a [String],
    addresses: &'a [IpAddr],
}

/// What is written as it is shown.
type Shown<'a> = &'a dyn Display;

fn shown<S: Serializer>(value: &Shown<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// One thing of each verdict: what belongs to one verdict stands at the same place in all columns.
fn column<'s, T>(said: &'s [Said], of: fn(&'s Said) -> T) -> Vec<T> {
    said.iter().map(of).collect()
}

/// Appends a row and the end of its line.
pub(super) fn write(lines: &mut Vec<u8>, row: &Row, instance: &str, id: u64) {
    let Verdicts { owner, said, overruled, .. } = &*row.verdicts;
    let line = Line {
        instance,
        id,
        time: row.time.div_euclid(1_000_000).clamp(0, u32::MAX.into()) as u32,
        time_micros: row.time,
        client: &row.client,
        client_group: &row.group,
        transport: row.transport.label(),
        name: &row.name,
        rr_type: if row.name.is_empty() { &"" } else { &row.rr_type },
        rcode: &row.rcode,
        ede: row.ede,
        micros: row.micros,
        cache: row.cache.map_or("", |cache| cache.word()),
        security: row.security.map_or("", |security| security.word()),
        upstream: row.upstream.as_deref().unwrap_or_default(),
        server: row.server.map_or_else(String::new, shown_server),
        kind: row.kind(),
        fate: row.fate().word(),
        owner: owner.as_ref().map_or("", |own| &own.place),
        owner_rule: owner.as_ref().map_or("", |own| &own.rule),
        owner_reason: owner.as_ref().map_or("", |own| &own.reason),
        program: column(said, |said| &*said.program),
        service: column(said, |said| &*said.service),
        list: column(said, |said| &*said.list),
        version: column(said, |said| &*said.version),
        line: column(said, |said| said.line),
        rule: column(said, |said| &*said.rule),
        trigger: column(said, |said| said.trigger.word()),
        outcome: column(said, |said| said.outcome.word()),
        acted: column(said, |said| said.acted.into()),
        overruled_program: column(overruled, |said| &*said.program),
        overruled_service: column(overruled, |said| &*said.service),
        overruled_list: column(overruled, |said| &*said.list),
        overruled_version: column(overruled, |said| &*said.version),
        overruled_line: column(overruled, |said| said.line),
        overruled_rule: column(overruled, |said| &*said.rule),
        overruled_trigger: column(overruled, |said| said.trigger.word()),
        overruled_outcome: column(overruled, |said| said.outcome.word()),
        aliases: &row.aliases,
        addresses: &row.addresses,
    };
    // Writing to memory doesn't fail.
    let _ = serde_json::to_writer(&mut *lines, &line);
    lines.push(b'\n');
}
