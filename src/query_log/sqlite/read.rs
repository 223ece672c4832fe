//! Reads what was recorded, while it goes on being recorded.

mod bare;
mod marks;
mod open;
mod search;

pub use bare::Bare;
pub use open::open_to_read;
pub use search::{Found, MinuteFates, Page};

use super::{
    super::row::{Fate, Lead, Owner, Row, Said, Seen, Verdicts, kind, read_server},
    FATE, HOUR_MICROS, HOUR_PARTS, Origin, SCHEMA_VERSION, WITHOUT_PARTS, has_table,
};
use crate::{
    config::DEFAULT_GROUP,
    dns::{Rcode, RrType, Transport},
    policy::{Outcome, Trigger},
    query::CacheUse,
    resolve::Security,
};
use foldhash::fast::RandomState;
use marks::Marks;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows that are read one by one, rather than their sums, by whoever waits for a page: half a second's work.
const ROWS_MAX: i64 = 400_000;
/// The same for a command, which tells of its progress: a week of a quarter of a million queries a day. A report of 900,000
/// rows takes 5 seconds, where all are blocked and of 155,000 names.
pub const COMMAND_ROWS_MAX: i64 = 2_000_000;
/// Verdicts of one kind that are remembered.
const VERDICTS_MAX: usize = 1 << 16;
/// The time before which rows may have been removed.
const GONE: &str = "SELECT value FROM meta WHERE key = 'gone'";
/// Stands for the table that a database of the version before has not.
const NO_PARTS: &str = "CREATE TEMP VIEW parts AS
     SELECT NULL AS id, name, client, verdicts, rules, kind, count, first, last FROM hours WHERE 0";

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no query log at {}; is [query_log] on, and has the server answered since?", .0.display())]
    None(PathBuf),
    #[error("the query log {} was written by another version of this program (its tables: {version})", path.display())]
    Version { path: PathBuf, version: i64 },
    #[error(
        "the query log {} can't be read: {error}; beside it is a journal, which is read with it: make room on the disk, or read a \
         copy of both files (-wal) in a folder in which you may write",
        path.display()
    )]
    Beside { path: PathBuf, error: rusqlite::Error },
    #[error("the query log {} can't be read: {error}", path.display())]
    Broken { path: PathBuf, error: rusqlite::Error },
}

/// Reads the database.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    verdicts: Known,
    default_group: Arc<str>,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        if !path.exists() {
            return Err(ReadError::None(path.to_owned()));
        }
        let broken = |error| match open::wants_its_journal(path, &error) {
            true => ReadError::Beside { path: path.to_owned(), error },
            false => ReadError::Broken { path: path.to_owned(), error },
        };
        let connection = open_to_read(path).map_err(broken)?;
        match connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(broken)? {
            // It is just being made.
            0 => return Err(ReadError::None(path.to_owned())),
            SCHEMA_VERSION => {}
            // Whoever writes adds them.
            WITHOUT_PARTS => connection.execute_batch(NO_PARTS).map_err(broken)?,
            version => return Err(ReadError::Version { path: path.to_owned(), version }),
        }
        Ok(Self { connection, path: path.to_owned(), verdicts: Known::default(), default_group: DEFAULT_GROUP.into() })
    }

    /// Whose queries they are, and what a client in them is.
    pub fn origin(&self) -> Result<Origin, ReadError> {
        let meta = |key: &str| {
            let value = "SELECT value FROM meta WHERE key = ?";
            let value = self.connection.query_row(value, [key], |row| row.get::<_, String>(0)).optional();
            value.map_err(|error| self.broken(error))
        };
        let privacy = meta("privacy")?.unwrap_or_default();
        Ok(Origin {
            instance: meta("instance")?.unwrap_or_default(),
            privacy: privacy.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// The time before which rows were removed for want of room, though they weren't too old: at most sums are left of them.
    /// `None`: there was always room.
    pub fn removed_early(&self) -> Result<Option<i64>, ReadError> {
        let early = self.connection.query_row("SELECT value FROM meta WHERE key = 'early'", [], |row| row.get(0));
        early.optional().map_err(|error| self.broken(error))
    }

    /// The time of the first query that is recorded, in sums at least.
    pub fn first(&self) -> Result<Option<i64>, ReadError> {
        let first = "SELECT min(f) FROM (SELECT min(first) f FROM hours WHERE hour = (SELECT min(hour) FROM hours)
                     UNION ALL SELECT min(first) FROM days WHERE day = (SELECT min(day) FROM days)
                     UNION ALL SELECT min(first) FROM parts WHERE id < ((SELECT min(id) FROM parts) / ?1 + 1) * ?1
                     UNION ALL SELECT time FROM (SELECT time FROM queries ORDER BY id LIMIT 1))";
        self.connection.query_row(first, [HOUR_PARTS], |row| row.get(0)).map_err(|error| self.broken(error))
    }

    /// Calls `each` for all queries from one time until before another: one by one from when on all are still there, if these
    /// are few; all others summed up by hours, or days where no hours are left. Returns the times that were really looked at:
    /// sums begin and end with whole hours, except at the end of what is recorded.
    pub fn for_each(&mut self, from: i64, to: i64, each: impl FnMut(Seen<'_>)) -> Result<(i64, i64), ReadError> {
        self.for_each_within(ROWS_MAX, from, to, each)
    }

    /// The same with another bound of rows that are read one by one.
    pub fn for_each_within(
        &mut self,
        rows_max: i64,
        from: i64,
        to: i64,
        mut each: impl FnMut(Seen<'_>),
    ) -> Result<(i64, i64), ReadError> {
        // What is read is of one moment, whatever is written meanwhile.
        self.connection.execute_batch("BEGIN").map_err(|error| self.broken(error))?;
        let result = self.read(rows_max, (from, to), &mut each);
        let _ = self.connection.execute_batch("COMMIT");
        result.map_err(|error| self.broken(error))
    }

    fn read(
        &mut self,
        rows_max: i64,
        (from, to): (i64, i64),
        each: &mut dyn FnMut(Seen<'_>),
    ) -> rusqlite::Result<(i64, i64)> {
        let rolled = self.rolled()?;
        let whole = self.whole_from(from)?;
        let (after, _) = Marks::read(&self.connection)?.between(Some(whole), Some(to), rolled);
        let rows = "SELECT coalesce(max(id) - max(?1, min(id) - 1), 0) FROM queries";
        let rows: i64 = self.connection.query_row(rows, [after], |row| row.get(0))?;
        // Sums without any rows after them tell more than that there are none.
        let by_rows = (whole < to && rows <= rows_max && (whole == from || rows > 0)).then_some(whole);
        if by_rows == Some(from) {
            self.rows(after, from, to, each)?;
            return Ok((from, to));
        }
        let sums_to = by_rows.unwrap_or(to);
        let (mut from_hour, mut to_hour) = (from.div_euclid(HOUR_MICROS), hour_from(sums_to));
        let (from_day, last_day) = (from_hour.div_euclid(24), (to_hour - 1).div_euclid(24));
        // Of a day that is summed up, all is told.
        if self.has_day(from_day)? {
            from_hour = from_day * 24;
        }
        if self.has_day(last_day)? {
            to_hour = (last_day + 1) * 24;
        }
        self.sums("days", "day", from_day, last_day + 1, each)?;
        self.sums("hours", "hour", from_hour, to_hour, each)?;
        let [from_part, to_part] = [from_hour, to_hour].map(|hour| hour.saturating_mul(HOUR_PARTS));
        self.sums("parts", "id", from_part, to_part, each)?;
        // What isn't summed up yet.
        let (looked, end) = (from_hour.saturating_mul(HOUR_MICROS), to_hour.saturating_mul(HOUR_MICROS));
        self.rows(rolled, looked, end, each)?;
        let Some(whole) = by_rows else { return Ok((looked, end)) };
        self.rows(after, whole, to, each)?;
        Ok((looked, to))
    }

    /// From when on all rows are there, if not from a time: with a whole hour of which nothing is in the sums of a day.
    fn whole_from(&self, from: i64) -> rusqlite::Result<i64> {
        let gone: i64 = self.connection.query_row(GONE, [], |row| row.get(0))?;
        if gone <= from {
            return Ok(from);
        }
        let mut hour = hour_from(gone);
        while self.has_day(hour.div_euclid(24))? {
            hour = (hour.div_euclid(24) + 1) * 24;
        }
        Ok(hour.saturating_mul(HOUR_MICROS))
    }

    /// Of how many queries nothing but sums is left. From when on all rows are there nothing is to be counted, so that this
    /// doesn't read all rows and their sums; a row of a clock that was ahead, and is gone, isn't counted.
    pub fn only_sums(&self) -> Result<u64, ReadError> {
        let summed = "SELECT coalesce(sum(count), 0) FROM (
                        SELECT count FROM days WHERE day < ?1 / 24
                          AND day IS NOT (SELECT value FROM meta WHERE key = 'days_going')
                        UNION ALL SELECT count FROM hours WHERE hour < ?1
                          AND hour IS NOT (SELECT value FROM meta WHERE key = 'hours_going')
                        UNION ALL SELECT count FROM parts WHERE id < ?1 * ?2
                          AND id / ?2 IS NOT (SELECT value FROM meta WHERE key = 'hours_going'))";
        let rows = "SELECT count(*) FROM queries WHERE id <= ?1 AND id < ?2 AND time < ?3";
        let count = || -> rusqlite::Result<i64> {
            let _of_one_moment = self.connection.unchecked_transaction()?;
            let gone: i64 = self.connection.query_row(GONE, [], |row| row.get(0))?;
            if gone == 0 {
                return Ok(0);
            }
            let (whole, rolled) = (self.whole_from(i64::MIN)?, self.rolled()?);
            let hour = whole.div_euclid(HOUR_MICROS);
            let summed: i64 = self.connection.query_row(summed, [hour, HOUR_PARTS], |row| row.get(0))?;
            let (_, before) = Marks::read(&self.connection)?.between(None, Some(whole), rolled);
            let rows: i64 = self.connection.query_row(rows, [rolled, before, whole], |row| row.get(0))?;
            Ok(summed - rows)
        };
        let only = count().map_err(|error| self.broken(error))?;
        // Sums may be gone before their rows.
        Ok(u64::try_from(only).unwrap_or(0))
    }

    fn has_day(&self, day: i64) -> rusqlite::Result<bool> {
        self.connection.query_row("SELECT EXISTS (SELECT 1 FROM days WHERE day = ?)", [day], |row| row.get(0))
    }

    /// The last row that is summed up.
    fn rolled(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("SELECT value FROM meta WHERE key = 'rolled'", [], |row| row.get(0))
    }

    fn rows(&mut self, after: i64, from: i64, to: i64, each: &mut dyn FnMut(Seen<'_>)) -> rusqlite::Result<()> {
        let Self { connection, verdicts, default_group, .. } = self;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {ROW_COLUMNS} FROM queries WHERE id > ? AND time >= ? AND time < ? ORDER BY id"
        ))?;
        let mut rows = statement.query(params![after, from, to])?;
        while let Some(row) = rows.next()? {
            each(Seen::one(&read_row(row, connection, verdicts, default_group)?));
        }
        Ok(())
    }

    /// Sums of one table, from one hour, day or number of a part until before another.
    fn sums(
        &mut self,
        table: &str,
        unit: &str,
        from: i64,
        to: i64,
        each: &mut dyn FnMut(Seen<'_>),
    ) -> rusqlite::Result<()> {
        let Self { connection, verdicts, default_group, .. } = self;
        let going = match table {
            "parts" => format!("id / {HOUR_PARTS} IS NOT (SELECT value FROM meta WHERE key = 'hours_going')"),
            _ => format!("{unit} IS NOT (SELECT value FROM meta WHERE key = '{table}_going')"),
        };
        let mut statement = connection.prepare_cached(&format!(
            "SELECT client, name, verdicts, kind, count, first, last, rules FROM {table}
             WHERE {unit} >= ? AND {unit} < ? AND {going}"
        ))?;
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            let kind: i64 = row.get(3)?;
            let is = |bit: u8| kind & i64::from(bit) != 0;
            let (first, last) = (row.get(5)?, row.get(6)?);
            let one = Row {
                time: first,
                client: row.get(0)?,
                group: default_group.clone(),
                transport: Transport::Udp,
                name: row.get(1)?,
                rr_type: RrType(0),
                rcode: rcode_of(kind),
                ede: None,
                micros: 0,
                cache: cache_of(kind),
                security: None,
                upstream: None,
                server: None,
                bypass: is(kind::BYPASS),
                dropped: is(kind::DROPPED),
                verdicts: verdicts.find(connection, row.get(2)?, row.get_ref(7)?.as_str()?)?,
                aliases: Vec::new(),
                addresses: Vec::new(),
            };
            each(Seen { row: &one, count: row.get(4)?, first, last, has_details: false });
        }
        Ok(())
    }

    /// Calls `each` for each name and each alias or address that it led to since a time, and perhaps after the time that
    /// is looked at: only the last time is kept.
    pub fn leads(&self, since: i64, mut each: impl FnMut(&str, Lead<'_>)) -> Result<(), ReadError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare("SELECT name, target FROM leads WHERE last >= ?")?;
            let mut rows = statement.query([since])?;
            while let Some(row) = rows.next()? {
                let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
                each(text(0)?, Lead::of(text(1)?));
            }
            Ok(())
        };
        read().map_err(|error| self.broken(error))
    }

    fn broken(&self, error: rusqlite::Error) -> ReadError {
        ReadError::Broken { path: self.path.clone(), error }
    }
}

/// What the bits of `kind` tell of a response: of other errors than SERVFAIL only that there was one.
fn rcode_of(kind: i64) -> Rcode {
    match kind & i64::from(kind::FAILED) {
        0 if kind / FATE == Fate::Refused as i64 => Rcode::REFUSED,
        0 => Rcode::NOERROR,
        _ => Rcode::SERVFAIL,
    }
}

/// What they tell of the cache.
fn cache_of(kind: i64) -> Option<CacheUse> {
    let at = usize::try_from(kind / i64::from(kind::CACHE) % 4 - 1).ok()?;
    CacheUse::ALL.get(at).copied()
}

/// The first hour that doesn't begin before a time.
fn hour_from(time: i64) -> i64 {
    time.div_euclid(HOUR_MICROS) + i64::from(time.rem_euclid(HOUR_MICROS) > 0)
}

/// What `read_row` reads, in its order.
const ROW_COLUMNS: &str = "time, client, name, type, rcode, ede, micros, cache, security, transport, kind, verdicts,
     client_group, upstream, aliases, addresses, rules";

/// One row of `queries`.
fn read_row(
    row: &rusqlite::Row<'_>,
    connection: &Connection,
    verdicts: &mut Known,
    default_group: &Arc<str>,
) -> rusqlite::Result<Row> {
    let bits: u8 = row.get::<_, i64>(10)? as u8;
    let is = |bit: u8| bits & bit != 0;
    let text = |column: usize| row.get_ref(column)?.as_str_or_null().map_err(Into::into);
    let text = |column: usize| -> rusqlite::Result<Option<&str>> { text(column) };
    let words = |column: usize| -> rusqlite::Result<Vec<String>> {
        Ok(text(column)?.map(|text| text.split(' ').map(str::to_owned).collect()).unwrap_or_default())
    };
    let place = |column: usize| -> rusqlite::Result<usize> {
        Ok(row.get::<_, Option<u8>>(column)?.map_or(usize::MAX, usize::from))
    };
    // Behind who was asked stands who answered, if that is known.
    let upstream = text(13)?.map(|text| {
        let both = text.rsplit_once(' ').and_then(|(asked, server)| Some((asked, read_server(server)?)));
        both.map_or((text, None), |(asked, server)| (asked, Some(server)))
    });
    Ok(Row {
        time: row.get(0)?,
        client: text(1)?.unwrap_or_default().to_owned(),
        group: text(12)?.map_or_else(|| default_group.clone(), Arc::from),
        transport: Transport::ALL.get(place(9)?).copied().unwrap_or(Transport::Udp),
        name: text(2)?.unwrap_or_default().to_owned(),
        rr_type: RrType(row.get(3)?),
        rcode: Rcode(row.get(4)?),
        ede: row.get(5)?,
        micros: row.get(6)?,
        cache: CacheUse::ALL.get(place(7)?).copied(),
        security: Security::ALL.get(place(8)?).copied(),
        upstream: upstream.map(|(asked, _)| asked.into()),
        server: upstream.and_then(|(_, server)| server),
        bypass: is(kind::BYPASS),
        dropped: is(kind::DROPPED),
        verdicts: verdicts.find(connection, row.get(11)?, text(16)?.unwrap_or_default())?,
        aliases: words(14)?,
        addresses: words(15)?.iter().filter_map(|address| address.parse().ok()).collect(),
    })
}

/// Verdicts that were read already.
#[derive(Default)]
struct Known {
    /// Without lines and rules.
    kinds: HashMap<i64, Arc<Verdicts>, RandomState>,
    /// By number, lines and rules.
    whole: HashMap<i64, HashMap<String, Arc<Verdicts>, RandomState>, RandomState>,
}

impl Known {
    fn find(&mut self, connection: &Connection, number: i64, rules: &str) -> rusqlite::Result<Arc<Verdicts>> {
        if let Some(verdicts) = self.whole.get(&number).and_then(|of_number| of_number.get(rules)) {
            return Ok(verdicts.clone());
        }
        let mut verdicts = Verdicts::clone(self.kind(connection, number)?);
        for (said, rule) in verdicts.said.iter_mut().chain(&mut verdicts.overruled).zip(rules.split(' ')) {
            let (line, rule) = rule.split_once(':').unwrap_or_default();
            (said.line, said.rule) = (line.parse().unwrap_or_default(), rule.into());
        }
        let of_number = self.whole.entry(number).or_default();
        if of_number.len() >= VERDICTS_MAX {
            of_number.clear();
        }
        let verdicts = Arc::new(verdicts);
        of_number.insert(rules.to_owned(), verdicts.clone());
        Ok(verdicts)
    }

    /// The same without lines and rules.
    fn kind(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<&Arc<Verdicts>> {
        Ok(match self.kinds.entry(number) {
            Entry::Occupied(kind) => kind.into_mut(),
            Entry::Vacant(place) if number == 0 => place.insert(Arc::default()),
            Entry::Vacant(place) => place.insert(Arc::new(read_verdicts(connection, number)?)),
        })
    }
}

fn read_verdicts(connection: &Connection, number: i64) -> rusqlite::Result<Verdicts> {
    let place: Option<Arc<str>> =
        connection.prepare_cached("SELECT owner FROM verdicts WHERE id = ?")?.query_row([number], |row| row.get(0))?;
    let said = read_said(connection, "said", "acted", number)?;
    // With `excepted`, in one transaction.
    if !has_table(connection, "overruled")? {
        return Ok(Verdicts { owner: place.map(Owner::at), said, ..Verdicts::default() });
    }
    let excepted = connection
        .prepare_cached("SELECT rule, reason, needless FROM excepted WHERE verdicts = ?")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (rule, reason, needless) = excepted.unwrap_or_default();
    let owner = place.map(|place| Owner { place, rule, reason });
    Ok(Verdicts { owner, said, overruled: read_said(connection, "overruled", "0", number)?, needless })
}

/// What programs said by one of the tables that have it.
fn read_said(connection: &Connection, table: &str, acted: &str, number: i64) -> rusqlite::Result<Vec<Said>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT program, service, list, version, trigger, outcome, {acted} FROM {table} WHERE verdicts = ? ORDER BY place"
    ))?;
    let said = statement.query_map([number], |row| {
        let (trigger, outcome): (String, String) = (row.get(4)?, row.get(5)?);
        Ok(Said {
            program: row.get(0)?,
            service: row.get(1)?,
            list: row.get(2)?,
            version: row.get(3)?,
            line: 0,
            rule: "".into(),
            trigger: Trigger::ALL.into_iter().find(|known| known.word() == trigger).unwrap_or(Trigger::Qname),
            outcome: Outcome::ALL.into_iter().find(|known| known.word() == outcome).unwrap_or(Outcome::WouldBlock),
            acted: row.get(6)?,
        })
    })?;
    said.collect()
}
