//! Looks for queries, backwards from the newest or forwards from one, and stops when its time is up.

use super::{
    super::{
        super::{
            row::{Fate, Row, Verdicts},
            search::{Facts, NameLike, Search},
        },
        FATE, HOUR_MICROS, HOUR_PARTS, MINUTE_MICROS,
        sieve::{self, Stretch},
    },
    ROW_COLUMNS, ReadError, Reader, cache_of,
    marks::Marks,
    read_row,
};
use crate::dns::{Rcode, RrType};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// Rows that are looked at between two looks at the clock.
const ROWS_BETWEEN: usize = 1024;
/// Minutes of an hour.
const MINUTES: i64 = HOUR_MICROS / MINUTE_MICROS;

/// Where to look, by the numbers of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// From the one before this on, backwards.
    Before(i64),
    /// From the one after this on, forwards.
    After(i64),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// With their numbers, the newest first.
    pub rows: Vec<(i64, Row)>,
    /// Older ones come before the row of this number; `None`: there are none.
    pub older: Option<i64>,
    /// Newer ones come after the row of this number; `None`: there are none.
    pub newer: Option<i64>,
    /// Its time was up: what is beyond this time wasn't looked at.
    pub scanned_until: Option<i64>,
}

/// Queries of one minute by what became of them, in the order of [`Fate::ALL`].
pub type MinuteFates = (i64, [u64; Fate::ALL.len()]);

impl Reader {
    /// Looks for queries, for so many at most. `may_go_on` is asked now and then; if it says no, what was found until then
    /// is all, with where to go on.
    pub fn search(
        &mut self,
        search: &Search,
        page: Page,
        limit: usize,
        may_go_on: impl FnMut() -> bool,
    ) -> Result<Found, ReadError> {
        // What is read is of one moment, whatever is written and removed meanwhile.
        self.connection.execute_batch("BEGIN").map_err(|error| self.broken(error))?;
        let result = self.look(search, page, limit, may_go_on);
        let _ = self.connection.execute_batch("COMMIT");
        result.map_err(|error| self.broken(error))
    }

    fn look(
        &mut self,
        search: &Search,
        page: Page,
        limit: usize,
        may_go_on: impl FnMut() -> bool,
    ) -> rusqlite::Result<Found> {
        let is_back = matches!(page, Page::Before(_));
        let name = search.name.as_ref().and_then(|name| match name {
            NameLike::Exact(name) => Some(&**name),
            _ => None,
        });
        // There is one for each minute: where neither a time nor a name is looked for they are of no use.
        let is_sought = search.from.is_some() || search.to.is_some() || name.is_some();
        let marks = is_sought.then(|| Marks::read(&self.connection)).transpose()?;
        let rolled = self.rolled()?;
        let between = marks.as_ref().map(|marks| marks.between(search.from, search.to, rolled));
        let (mut after, mut before) = between.unwrap_or((0, i64::MAX));
        match page {
            Page::Before(row) => before = before.min(row),
            Page::After(row) => after = after.max(row),
        }
        // Of one name the sums tell when it was asked for, and where they don't, sieves tell where it wasn't: a look
        // through all rows for it would take long.
        let mut stretches = match (name, &marks) {
            (Some(name), Some(marks)) => self.stretches(name, (after, before), marks)?,
            _ => vec![(after, before)],
        };
        if !is_back {
            stretches.reverse();
        }
        let mut scan = Scan { search, name, is_back, limit, ids: Vec::new(), said: HashMap::new(), looked: 0 };
        let end = scan.run(self, &stretches, may_go_on)?;
        let Scan { mut ids, .. } = scan;
        // One more is looked for than is shown: so it is known that there are more.
        let more = ids.len() > limit;
        ids.truncate(limit);
        let mut found = Found { scanned_until: end.map(|(_, time)| time), ..Found::default() };
        let going_on = if more { ids.last().copied() } else { end.map(|(id, _)| id) };
        if !is_back {
            ids.reverse();
        }
        let (newest, oldest) = (ids.first().copied(), ids.last().copied());
        match page {
            Page::Before(row) => {
                found.older = going_on;
                found.newer = (row < i64::MAX).then(|| newest.unwrap_or(row.saturating_sub(1).max(0)));
            }
            Page::After(row) => {
                found.newer = going_on;
                found.older = Some(oldest.unwrap_or(row.saturating_add(1)));
            }
        }
        for id in ids {
            found.rows.extend(self.by_id(id)?.map(|row| (id, row)));
        }
        // Those of several threads are written nearly in the order of time.
        found.rows.sort_by_key(|(id, row)| Reverse((row.time, *id)));
        Ok(found)
    }

    /// Rows between which those of a name may be, as far as sums tell; the latest first, as two rows around each stretch.
    fn stretches(&self, name: &str, (after, before): Stretch, marks: &Marks) -> rusqlite::Result<Vec<Stretch>> {
        let Some(oldest) = self.oldest_hour()? else { return Ok(vec![(after, before)]) };
        let mut stretches = vec![(self.rolled()?, i64::MAX)];
        // The newest hour and one that is being removed may be told in part alone; among parts of hours no name is found.
        let mut statement = self.connection.prepare_cached(
            "WITH RECURSIVE each(hour) AS (
               SELECT max(coalesce((SELECT max(hour) FROM hours), 0), coalesce((SELECT max(id) FROM parts) / ?3, 0))
               UNION ALL
               SELECT max(coalesce((SELECT max(hour) FROM hours WHERE hour < each.hour), 0),
                 coalesce((SELECT max(id) FROM parts WHERE id < each.hour * ?3) / ?3, 0))
               FROM each WHERE each.hour > ?2),
             told AS (
               SELECT hour, hour = (SELECT max(hour) FROM each)
                 OR hour IS (SELECT value FROM meta WHERE key = 'hours_going')
                 OR EXISTS (SELECT 1 FROM parts WHERE id >= each.hour * ?3 AND id < (each.hour + 1) * ?3) AS is_whole,
                 (SELECT min(first) FROM hours WHERE hours.hour = each.hour AND name = ?1) AS first,
                 (SELECT max(last) FROM hours WHERE hours.hour = each.hour AND name = ?1) AS last
               FROM each WHERE hour > ?2)
             SELECT hour, is_whole, first, last FROM told WHERE is_whole OR first IS NOT NULL",
        )?;
        let mut hours = statement.query(params![name, oldest, HOUR_PARTS])?;
        while let Some(row) = hours.next()? {
            let minute = row.get::<_, i64>(0)? * MINUTES;
            let (from, to) = match row.get(1)? {
                true => (minute, minute + MINUTES),
                false => {
                    let (first, last): (i64, i64) = (row.get(2)?, row.get(3)?);
                    (first.div_euclid(MINUTE_MICROS), last.div_euclid(MINUTE_MICROS) + 1)
                }
            };
            if let Some(first) = marks.first(from, to) {
                stretches.push((first - 1, marks.beyond(to).unwrap_or(i64::MAX)));
            }
        }
        stretches.push((0, marks.beyond((oldest + 1) * MINUTES).unwrap_or(i64::MAX)));
        let within = stretches.into_iter().map(|(from, to)| (from.max(after), to.min(before)));
        Ok(disjoint(within.collect()))
    }

    /// The hour up to which sums or marks may be gone though rows are there; `None`: nothing is summed up.
    fn oldest_hour(&self) -> rusqlite::Result<Option<i64>> {
        let oldest = "SELECT max((SELECT min(hour) FROM
                        (SELECT min(hour) AS hour FROM hours UNION ALL SELECT min(id) / ?2 FROM parts)),
                      (SELECT min(minute) FROM marks) / ?1)";
        self.connection.query_row(oldest, [MINUTES, HOUR_PARTS], |row| row.get(0))
    }

    /// The query of this number, if it is still there.
    pub fn row(&mut self, id: i64) -> Result<Option<Row>, ReadError> {
        self.by_id(id).map_err(|error| self.broken(error))
    }

    fn by_id(&mut self, id: i64) -> rusqlite::Result<Option<Row>> {
        let Self { connection, verdicts, default_group, .. } = self;
        let mut statement = connection.prepare_cached(&format!("SELECT {ROW_COLUMNS} FROM queries WHERE id = ?"))?;
        let mut rows = statement.query([id])?;
        rows.next()?.map(|row| read_row(row, connection, verdicts, default_group)).transpose()
    }

    /// The number of a query by its time, name and client, for who saw it when it had none yet.
    pub fn find(&self, time: i64, name: &str, client: &str) -> Result<Option<i64>, ReadError> {
        let find = || {
            let marks = Marks::read(&self.connection)?;
            let (after, before) = marks.between(Some(time), Some(time + 1), self.rolled()?);
            let found =
                "SELECT id FROM queries WHERE id > ? AND id < ? AND time = ? AND name = ? AND client = ? LIMIT 1";
            self.connection.query_row(found, params![after, before, time, name, client], |row| row.get(0)).optional()
        };
        find().map_err(|error| self.broken(error))
    }

    /// Queries by minute and what became of them, from one time until before another, both in microseconds since 1970;
    /// whole minutes. Minutes since 1970, in order, and only those with queries. Versions that knew no refused ones counted
    /// these as passed.
    pub fn minutes(&self, from: i64, to: i64) -> Result<Vec<MinuteFates>, ReadError> {
        let read = || -> rusqlite::Result<_> {
            let (from, to) = (from.div_euclid(MINUTE_MICROS), to.div_euclid(MINUTE_MICROS));
            let mut minutes: BTreeMap<i64, [u64; Fate::ALL.len()]> = BTreeMap::new();
            let mut add = |minute: i64, fate: i64, count: u64| {
                let fates = minutes.entry(minute).or_default();
                // A fate that this version doesn't know passed, as far as it can tell.
                let fate = usize::try_from(fate).ok().filter(|fate| *fate < fates.len());
                fates[fate.unwrap_or(Fate::Passed as usize)] += count;
            };
            // In one statement, so that both are of one moment; rows that aren't summed up yet count one by one.
            let mut statement = self.connection.prepare_cached(
                "SELECT minute, fate, count FROM minutes WHERE minute >= ?1 AND minute < ?2
                 UNION ALL SELECT time / ?3, kind / ?4, 1 FROM queries
                 WHERE id > (SELECT value FROM meta WHERE key = 'rolled') AND time >= ?1 * ?3 AND time < ?2 * ?3",
            )?;
            let mut rows = statement.query(params![from, to, MINUTE_MICROS, FATE])?;
            while let Some(row) = rows.next()? {
                add(row.get(0)?, row.get(1)?, row.get(2)?);
            }
            Ok(minutes.into_iter().collect())
        };
        read().map_err(|error| self.broken(error))
    }
}

/// The same stretches, the latest first, without what is in two of them: hours overlap, and stand in no order where a
/// clock was set back.
fn disjoint(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_unstable();
    let mut all: Vec<Stretch> = Vec::new();
    for (after, before) in stretches {
        match all.last_mut() {
            _ if after.saturating_add(1) >= before => {}
            Some((_, end)) if after < *end => *end = before.max(*end),
            _ => all.push((after, before)),
        }
    }
    all.reverse();
    all
}

/// A look through rows.
struct Scan<'s> {
    search: &'s Search,
    /// The one name that is looked for, if it is one.
    name: Option<&'s str>,
    is_back: bool,
    limit: usize,
    /// Those found, in the order in which they were looked at; one more than is wanted at most.
    ids: Vec<i64>,
    /// Whether verdicts fit, by their number.
    said: HashMap<i64, bool>,
    /// Rows looked at.
    looked: usize,
}

impl Scan<'_> {
    /// Looks at all rows in some stretches. Returns the last one's number and time if its time was up.
    fn run(
        &mut self,
        reader: &Reader,
        stretches: &[Stretch],
        mut may_go_on: impl FnMut() -> bool,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        for stretch in stretches {
            let mut rest = Some(*stretch);
            while let Some(between) = rest {
                let mut left;
                (left, rest) = self.sift(reader, between)?;
                if !self.is_back {
                    left.reverse();
                }
                while let Some(stretch) = left.pop() {
                    let end = self.look(reader, stretch, &mut may_go_on)?;
                    if end.is_some() || self.ids.len() > self.limit {
                        return Ok(end);
                    }
                }
                if let Some(rest) = rest
                    && !may_go_on()
                    && let Some(end) = self.end_before(reader, rest)?
                {
                    return Ok(Some(end));
                }
            }
        }
        Ok(None)
    }

    /// What is left of the rows between two to be looked at next, in their order, and after that.
    fn sift(&self, reader: &Reader, between: Stretch) -> rusqlite::Result<(Vec<Stretch>, Option<Stretch>)> {
        match self.name {
            Some(name) => sieve::sift(&reader.connection, name, between, self.is_back),
            None => Ok((vec![between], None)),
        }
    }

    /// The number and time of the last row before those that are left.
    fn end_before(&self, reader: &Reader, (after, before): Stretch) -> rusqlite::Result<Option<(i64, i64)>> {
        let (sql, id) = match self.is_back {
            true => ("SELECT id, time FROM queries WHERE id >= ? ORDER BY id LIMIT 1", before),
            false => ("SELECT id, time FROM queries WHERE id <= ? ORDER BY id DESC LIMIT 1", after),
        };
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        reader.connection.prepare_cached(sql)?.query_row([id], row).optional()
    }

    /// Looks at the rows between two, likewise.
    fn look(
        &mut self,
        reader: &Reader,
        (after, before): Stretch,
        may_go_on: &mut impl FnMut() -> bool,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let order = if self.is_back { "DESC" } else { "ASC" };
        let mut statement = reader.connection.prepare_cached(&format!(
            "SELECT id, time, client, name, type, kind, verdicts, rcode FROM queries WHERE id > ? AND id < ? ORDER BY id {order}"
        ))?;
        let mut rows = statement.query([after, before])?;
        while let Some(row) = rows.next()? {
            let (id, time) = (row.get(0)?, row.get(1)?);
            let kind: i64 = row.get(5)?;
            let fate = usize::try_from(kind / FATE).ok().and_then(|at| Fate::ALL.get(at).copied());
            let facts = Facts {
                time,
                client: row.get_ref(2)?.as_str()?,
                name: row.get_ref(3)?.as_str()?,
                rr_type: RrType(row.get(4)?),
                // Versions that knew no refused ones wrote that they passed.
                fate: fate.unwrap_or(Fate::Passed).answered(Rcode(row.get(7)?), cache_of(kind)),
            };
            if self.search.fits(&facts) && self.fits_said(&reader.connection, row.get(6)?)? {
                self.ids.push(id);
                if self.ids.len() > self.limit {
                    return Ok(None);
                }
            }
            self.looked += 1;
            if self.looked.is_multiple_of(ROWS_BETWEEN) && !may_go_on() {
                return Ok(Some((id, time)));
            }
        }
        Ok(None)
    }

    fn fits_said(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<bool> {
        if !self.search.asks_said() {
            return Ok(true);
        }
        if let Some(fits) = self.said.get(&number) {
            return Ok(*fits);
        }
        let verdicts = if number == 0 { Verdicts::default() } else { super::read_verdicts(connection, number)? };
        let fits = self.search.fits_said(&verdicts);
        self.said.insert(number, fits);
        Ok(fits)
    }
}
