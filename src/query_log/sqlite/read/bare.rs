//! Rows as far as they tell what was asked and what was said of it, with nothing copied: for whoever reads millions.

use super::{ReadError, Reader};
use crate::{
    config::DEFAULT_GROUP,
    dns::{Rcode, RrType, Transport},
    query::CacheUse,
    query_log::row::Verdicts,
};
use rusqlite::params;
use std::sync::Arc;

const PAGE: &str =
    "SELECT id, time, client, name, type, rcode, ede, cache, transport, verdicts, rules, client_group, aliases,
                    addresses FROM queries WHERE id > ? ORDER BY id LIMIT ?";

/// A row of `queries`, without what was measured of it. Its texts are those of `Row`.
pub struct Bare<'r> {
    /// Microseconds since 1970 (UTC).
    pub time: i64,
    pub client: &'r str,
    pub group: &'r str,
    pub transport: Transport,
    pub name: &'r str,
    pub rr_type: RrType,
    pub rcode: Rcode,
    pub ede: Option<u16>,
    pub cache: Option<CacheUse>,
    /// Without lines and rules: of these there are as many as a list has, and remembering them takes longer than reading.
    pub verdicts: &'r Arc<Verdicts>,
    /// Those, as the column has them.
    pub rules: &'r str,
    /// Separated by blanks, as are the addresses; empty if there are none.
    pub aliases: &'r str,
    pub addresses: &'r str,
}

impl Bare<'_> {
    /// The line of each thing said, and then of each that was overruled; 0 where privacy withholds it.
    pub fn lines(&self) -> impl Iterator<Item = u32> {
        let line = |rule: &str| rule.split_once(':').and_then(|(line, _)| line.parse().ok());
        self.rules.split(' ').map(move |rule| line(rule).unwrap_or(0)).chain(std::iter::repeat(0))
    }
}

impl Reader {
    /// Calls `each` for the queries after a row, by its number, in the order in which they were written, and for so
    /// many at most. Returns the number of the last one; `None` if there is none. Numbers begin with 1.
    pub fn page(
        &mut self,
        after: i64,
        limit: usize,
        mut each: impl FnMut(i64, &Bare<'_>),
    ) -> Result<Option<i64>, ReadError> {
        let mut read = || -> rusqlite::Result<Option<i64>> {
            let Self { connection, verdicts, .. } = &mut *self;
            let mut statement = connection.prepare_cached(PAGE)?;
            let mut rows = statement.query(params![after, limit as i64])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                let text = |column: usize| -> rusqlite::Result<&str> {
                    Ok(row.get_ref(column)?.as_str_or_null()?.unwrap_or_default())
                };
                let place = |column: usize| -> rusqlite::Result<usize> {
                    Ok(row.get::<_, Option<u8>>(column)?.map_or(usize::MAX, usize::from))
                };
                let (id, group) = (row.get(0)?, row.get_ref(11)?.as_str_or_null()?);
                let bare = Bare {
                    time: row.get(1)?,
                    client: text(2)?,
                    group: group.unwrap_or(DEFAULT_GROUP),
                    transport: Transport::ALL.get(place(8)?).copied().unwrap_or(Transport::Udp),
                    name: text(3)?,
                    rr_type: RrType(row.get(4)?),
                    rcode: Rcode(row.get(5)?),
                    ede: row.get(6)?,
                    cache: CacheUse::ALL.get(place(7)?).copied(),
                    verdicts: verdicts.kind(connection, row.get(9)?)?,
                    rules: text(10)?,
                    aliases: text(12)?,
                    addresses: text(13)?,
                };
                each(id, &bare);
                last = Some(id);
            }
            Ok(last)
        };
        read().map_err(|error| self.broken(error))
    }
}
