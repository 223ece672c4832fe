//! Databases: our own query log, and which of those that are read one is.
//!
//! They are read where they lie, row by row in the order of their numbers, in pages, so that whoever writes is hindered
//! for no longer than a page takes. Numbers begin with 1.

use super::{Asked, OpenError, Place, Source, Step, pihole_database::PiholeDatabase, recorded::take_row};
use crate::{
    dns::{Rcode, RrType, Transport},
    query::CacheUse,
    query_log::{
        Verdicts,
        sqlite::{Bare, Reader, open_to_read},
    },
};
use rusqlite::Connection;
use std::{collections::VecDeque, io, path::Path, sync::Arc};

/// Rows of a page: some hundred kilobytes, which stay near the processor, and a millisecond of reading.
pub(super) const PAGE_ROWS: usize = 1_000;
/// Columns of `queries` by which the databases are known.
const OURS: [&str; 4] = ["id", "time", "name", "verdicts"];
const PIHOLE: [&str; 6] = ["id", "timestamp", "type", "status", "domain", "client"];

/// Opens a database for reading, in the form that its tables tell.
pub(super) fn open(path: &Path) -> Result<Box<dyn Source>, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Database(error.to_string());
    let connection = open_to_read(path).map_err(failed)?;
    let columns = columns(&connection).map_err(failed)?;
    let has = |wanted: &[&str]| wanted.iter().all(|name| columns.iter().any(|column| column == name));
    if has(&OURS) {
        let reader = Reader::open(path).map_err(|error| OpenError::Database(error.to_string()))?;
        let only_sums = reader.only_sums().map_err(|error| OpenError::Database(error.to_string()))?;
        return Ok(Box::new(Pages { only_sums, ..Pages::new(Ours { reader, texts: String::new() }) }));
    }
    if has(&PIHOLE) {
        let tells_aliases = has(&["additional_info"]);
        return Ok(Box::new(Pages::new(PiholeDatabase::new(connection, tells_aliases))));
    }
    Err(OpenError::OtherDatabase)
}

/// Columns of the table or view `queries`; none if there is no such thing.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('queries')")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A database whose rows have numbers.
pub(super) trait Paged {
    type Row;

    /// Appends the rows after one, by its number, with their numbers: none at the end. What was appended before an
    /// error is good.
    fn page(&mut self, after: i64, rows: &mut VecDeque<(i64, Self::Row)>) -> Result<(), String>;

    /// Fills a place with a row of the last page.
    fn take(&self, row: &Self::Row, asked: &mut Asked) -> Result<Step, String>;
}

/// The rows of a database, one after the other.
pub(super) struct Pages<P: Paged> {
    database: P,
    rows: VecDeque<(i64, P::Row)>,
    /// The number of the last row that was given.
    number: i64,
    /// Why there is no further page.
    broken: Option<String>,
    is_over: bool,
    only_sums: u64,
}

impl<P: Paged> Pages<P> {
    pub(super) fn new(database: P) -> Self {
        Self { database, rows: VecDeque::new(), number: 0, broken: None, is_over: false, only_sums: 0 }
    }
}

impl<P: Paged> Source for Pages<P> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        if self.rows.is_empty() && !self.is_over {
            let read = self.database.page(self.number, &mut self.rows);
            self.is_over = self.rows.is_empty() || read.is_err();
            self.broken = read.err();
        }
        let Some((number, row)) = self.rows.pop_front() else {
            return Ok(self.broken.take().map_or(Step::End, |reason| Step::Broken(reason.into())));
        };
        self.number = number;
        Ok(self.database.take(&row, asked).unwrap_or_else(|reason| Step::Skipped(reason.into())))
    }

    fn place(&self) -> Place {
        Place::Row(self.number)
    }

    fn only_sums(&self) -> u64 {
        self.only_sums
    }
}

/// Our own query log.
struct Ours {
    reader: Reader,
    /// All texts of a page, one behind the other: no row has memory of its own.
    texts: String,
}

/// A row of a page.
struct Packed {
    time: i64,
    transport: Transport,
    rr_type: RrType,
    rcode: Rcode,
    ede: Option<u16>,
    cache: Option<CacheUse>,
    verdicts: Arc<Verdicts>,
    /// Where its texts begin, and where each of them ends: client, group, name, rules, aliases, addresses.
    begin: usize,
    ends: [usize; 6],
}

impl Paged for Ours {
    type Row = Packed;

    fn page(&mut self, after: i64, rows: &mut VecDeque<(i64, Packed)>) -> Result<(), String> {
        let Self { reader, texts } = self;
        texts.clear();
        let read = reader.page(after, PAGE_ROWS, |id, row| {
            let Bare { time, transport, rr_type, rcode, ede, cache, verdicts, .. } = *row;
            let (begin, verdicts) = (texts.len(), verdicts.clone());
            let ends = [row.client, row.group, row.name, row.rules, row.aliases, row.addresses].map(|text| {
                texts.push_str(text);
                texts.len()
            });
            rows.push_back((id, Packed { time, transport, rr_type, rcode, ede, cache, verdicts, begin, ends }));
        });
        read.map(drop).map_err(|error| error.to_string())
    }

    fn take(&self, row: &Packed, asked: &mut Asked) -> Result<Step, String> {
        let Packed { time, transport, rr_type, rcode, ede, cache, ref verdicts, begin, ends } = *row;
        let mut from = begin;
        let [client, group, name, rules, aliases, addresses] =
            ends.map(|end| &self.texts[std::mem::replace(&mut from, end)..end]);
        let row = Bare {
            time,
            client,
            group,
            transport,
            name,
            rr_type,
            rcode,
            ede,
            cache,
            verdicts,
            rules,
            aliases,
            addresses,
        };
        take_row(&row, asked)
    }
}

#[cfg(test)]
mod tests;
