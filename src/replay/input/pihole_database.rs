//! Pi-hole's database of queries, `pihole-FTL.db`, of all its versions: `queries` was a table at first, and is a view
//! of several since (<https://docs.pi-hole.net/database/query-database/>).

use super::{
    Asked, Step,
    database::{PAGE_ROWS, Paged},
    pihole::PROGRAM,
};
use crate::{
    dns::RrType,
    policy::{Link, Trigger},
    query_log::Fate,
};
use rusqlite::{Connection, params, types::ValueRef};
use std::{collections::VecDeque, net::IpAddr};

/// Its numbers of record types, from 1. Type 14 is "another".
const TYPES: [Option<RrType>; 16] = [
    Some(RrType::A),
    Some(RrType::AAAA),
    Some(RrType::ANY),
    Some(RrType::SRV),
    Some(RrType::SOA),
    Some(RrType::PTR),
    Some(RrType::TXT),
    Some(RrType::NAPTR),
    Some(RrType::MX),
    Some(RrType::DS),
    Some(RrType::RRSIG),
    Some(RrType::DNSKEY),
    Some(RrType::NS),
    None,
    Some(RrType::SVCB),
    Some(RrType::HTTPS),
];
/// To types that have no such number this is added.
const OTHER_TYPES: i64 = 100;
/// The statuses that mean "blocked", and by what. All others passed: forwarded (2), from the cache (3, 17), asked again
/// (12, 13), not answered yet (14), unknown (0).
const BLOCKS: [(i64, &str); 12] = [
    (1, "gravity"),
    (4, "regex"),
    (5, "exact"),
    (6, "upstream"),
    (7, "upstream"),
    (8, "upstream"),
    (9, "gravity, an alias"),
    (10, "regex, an alias"),
    (11, "exact, an alias"),
    (15, "database busy"),
    (16, "special"),
    (18, "upstream"),
];
/// Those of them for which the database may tell the alias that was blocked.
const BY_ALIAS: [i64; 3] = [9, 10, 11];
/// What stands in place of names and addresses that its privacy level hides.
const HIDDEN_NAME: &str = "hidden";
const HIDDEN_CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
const SECOND_MICROS: f64 = 1e6;
/// Octets of a text that are read: the longest name takes less, even where all of it is escaped.
const CELL_BYTES_MAX: usize = 2048;

/// The database.
pub(super) struct PiholeDatabase {
    connection: Connection,
    select: &'static str,
}

/// A row, as it stands there. `None`, and empty texts: there is nothing of the kind in the cell.
pub(super) struct Row {
    /// Seconds since 1970.
    timestamp: Option<f64>,
    rr_type: Option<i64>,
    status: Option<i64>,
    domain: String,
    client: String,
    /// The alias that was blocked.
    alias: Option<String>,
}

impl PiholeDatabase {
    /// `tells_aliases`: it has a column for what a status is about.
    pub(super) fn new(connection: Connection, tells_aliases: bool) -> Self {
        let select = match tells_aliases {
            true => {
                "SELECT id, timestamp, type, status, domain, client, additional_info FROM queries WHERE id > ?
                 ORDER BY id LIMIT ?"
            }
            false => {
                "SELECT id, timestamp, type, status, domain, client, NULL FROM queries WHERE id > ? ORDER BY id LIMIT ?"
            }
        };
        Self { connection, select }
    }

    fn read(&self, after: i64, rows: &mut VecDeque<(i64, Row)>) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(self.select)?;
        let mut found = statement.query(params![after, PAGE_ROWS as i64])?;
        while let Some(row) = found.next()? {
            // What a table that is linked doesn't have, and what isn't a text, is as good as empty.
            let text = |column: usize| -> rusqlite::Result<Option<String>> {
                Ok(match row.get_ref(column)? {
                    ValueRef::Text(text) => {
                        Some(String::from_utf8_lossy(&text[..text.len().min(CELL_BYTES_MAX)]).into_owned())
                    }
                    _ => None,
                })
            };
            let whole = |column: usize| -> rusqlite::Result<Option<i64>> {
                Ok(match row.get_ref(column)? {
                    ValueRef::Integer(number) => Some(number),
                    _ => None,
                })
            };
            let timestamp = match row.get_ref(1)? {
                ValueRef::Integer(seconds) => Some(seconds as f64),
                ValueRef::Real(seconds) => Some(seconds),
                _ => None,
            };
            let one = Row {
                timestamp,
                rr_type: whole(2)?,
                status: whole(3)?,
                domain: text(4)?.unwrap_or_default(),
                client: text(5)?.unwrap_or_default(),
                alias: text(6)?,
            };
            rows.push_back((row.get(0)?, one));
        }
        Ok(())
    }
}

impl Paged for PiholeDatabase {
    type Row = Row;

    fn page(&mut self, after: i64, rows: &mut VecDeque<(i64, Row)>) -> Result<(), String> {
        self.read(after, rows).map_err(|error| format!("the database can't be read on: {error}"))
    }

    fn take(&self, row: &Row, asked: &mut Asked) -> Result<Step, String> {
        asked.clear();
        if row.domain == HIDDEN_NAME {
            return Err("Pi-hole's privacy level hid the name".to_owned());
        }
        asked.set_name(&row.domain)?;
        let rr_type = row.rr_type.ok_or("type: the cell holds no whole number")?;
        asked.rr_type = type_of(rr_type).ok_or_else(|| format!("type: {rr_type} is no number of a type"))?;
        asked.time = Some(row.timestamp.and_then(micros).ok_or("timestamp: the cell holds no time")?);
        let status = row.status.ok_or("status: the cell holds no whole number")?;
        asked.set_client(&row.client);
        asked.client = asked.client.filter(|client| *client != HIDDEN_CLIENT);
        asked.recorded = Some(Fate::Passed);
        if let Some((_, service)) = BLOCKS.iter().find(|(blocks, _)| *blocks == status) {
            asked.recorded = Some(Fate::Blocked);
            asked.told.set(PROGRAM, service, "");
        }
        let alias = row.alias.as_deref().filter(|_| BY_ALIAS.contains(&status));
        let alias = alias.and_then(|alias| alias.parse().ok());
        asked.links.extend(alias.map(|alias| Link::name(alias, Trigger::Cname)));
        Ok(Step::Asked)
    }
}

/// Microseconds since 1970, if there is a date for them.
fn micros(seconds: f64) -> Option<i64> {
    let micros = (seconds * SECOND_MICROS).round() as i64;
    jiff::Timestamp::from_microsecond(micros).is_ok().then_some(micros)
}

/// The type that a number of Pi-hole's stands for.
fn type_of(number: i64) -> Option<RrType> {
    match number.checked_sub(OTHER_TYPES) {
        Some(number @ 1..) => u16::try_from(number).ok().map(RrType),
        _ => *TYPES.get(usize::try_from(number.checked_sub(1)?).ok()?)?,
    }
}
