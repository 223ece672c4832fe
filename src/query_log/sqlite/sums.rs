//! Sums of what was appended: by minute and fate, and by hour and all that alike queries have in common.
//!
//! They are made in memory as rows are appended, and added to the database now and then, with the note up to which row that
//! was. What is in memory counts only if the database says that it is just what is missing there; else, as after another
//! process wrote, or one ended without warning, the rows themselves are read again.
//!
//! Sums of an hour go to the end of `parts`: to look for one that is there already takes longer than all else, where every
//! query is for another name. The place of each is remembered for as long as there is room, so that alike queries of an hour
//! are one part as a rule. What is written at once stands in the order of names, in runs that `fold` merges without sorting
//! them. When the hour is over, `merge` puts parts that have much in common into `hours`.

use super::{FATE, HOUR_MICROS, HOUR_PARTS, LATE_MINUTES, MINUTE_MICROS, sieve::Sieve};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior::Immediate, params};
use std::collections::{BTreeMap, HashMap};

/// Sums that are remembered at most, each of some 150 octets.
const SUMS_MAX: usize = 1 << 16;
/// Rows that are read again at once, or parts that are merged in one transaction.
pub(super) const ROLLED_ROWS: i64 = 20_000;
/// Parts written at once begin at a multiple of it, so that it is known where they stand in the order of names.
pub(super) const RUN_PARTS: i64 = 1 << 14;
/// Parts are merged if they are few, or stand for so many times as many queries: else there is little in common.
const MERGED_TIMES: i64 = 2;

/// Sums of appended rows.
#[derive(Default)]
pub(super) struct Sums {
    /// By what alike queries have in common, see `split`.
    hours: HashMap<Box<[u8]>, Sum, foldhash::fast::RandomState>,
    /// By minute and fate.
    minutes: BTreeMap<(i64, i64), i64>,
    /// The first row of each minute.
    marks: BTreeMap<i64, i64>,
    /// Rows at which the clock was set back, and to which minute.
    returns: Vec<(i64, i64)>,
    /// The latest minute since then; `None`: it isn't known.
    minute: Option<i64>,
    /// These are the rows after the first number up to the second; `None`: nobody knows.
    span: Option<(i64, i64)>,
    key: Vec<u8>,
}

/// Alike queries of an hour.
struct Sum {
    /// Where it is among `parts`, if it is.
    part: Option<i64>,
    /// Those that aren't in the database's sums: count, first and last.
    count: i64,
    first: i64,
    last: i64,
}

/// What sums tell of one query.
#[derive(Clone, Copy)]
pub(super) struct Summed<'r> {
    pub id: i64,
    pub time: i64,
    pub name: &'r str,
    pub client: &'r str,
    pub verdicts: i64,
    pub rules: &'r str,
    pub kind: i64,
}

impl Sums {
    /// Whether it is time to add them to the database's, so that the rest finds room.
    pub fn are_full(&self) -> bool {
        self.hours.len() >= SUMS_MAX
    }

    /// Rows are about to be appended after the last one, and the sums of the database go up to another: what comes to be in
    /// here follows on that, or isn't all that is missing.
    pub fn follow(&mut self, transaction: &Transaction<'_>, last: i64, rolled: i64) -> rusqlite::Result<()> {
        if self.span.is_none_or(|(_, end)| end != last) {
            self.forget();
            if rolled == last {
                self.begin_anew(transaction, last)?;
            }
        }
        Ok(())
    }

    /// Begins with what comes after a row.
    fn begin_anew(&mut self, transaction: &Transaction<'_>, after: i64) -> rusqlite::Result<()> {
        let minute = "SELECT time FROM queries WHERE id = ?";
        let time: Option<i64> = transaction.prepare_cached(minute)?.query_row([after], |row| row.get(0)).optional()?;
        self.minute = time.map(|time| time.div_euclid(MINUTE_MICROS));
        self.begin(after);
        Ok(())
    }

    /// Adds a row, if it follows on those that are here.
    pub fn add(&mut self, row: Summed<'_>) {
        let Some((_, end)) = &mut self.span else { return };
        *end = row.id;
        let Summed { id, time, name, client, verdicts, rules, kind } = row;
        let minute = time.div_euclid(MINUTE_MICROS);
        *self.minutes.entry((minute, kind / FATE)).or_default() += 1;
        self.marks.entry(minute).or_insert(id);
        match self.minute {
            Some(latest) if minute + LATE_MINUTES <= latest => {
                self.returns.push((id, minute));
                self.minute = Some(minute);
            }
            latest => self.minute = latest.max(Some(minute)),
        }
        self.key.clear();
        self.key.extend_from_slice(&time.div_euclid(HOUR_MICROS).to_be_bytes());
        for text in [name, client] {
            self.key.extend_from_slice(text.as_bytes());
            self.key.push(0);
        }
        self.key.extend_from_slice(&verdicts.to_be_bytes());
        self.key.extend_from_slice(rules.as_bytes());
        self.key.push(0);
        self.key.extend_from_slice(&kind.to_be_bytes());
        let one = Sum { part: None, count: 1, first: time, last: time };
        match self.hours.get_mut(&self.key[..]) {
            Some(sum) => sum.add(&one),
            None => drop(self.hours.insert(self.key.as_slice().into(), one)),
        }
    }

    fn forget(&mut self) {
        *self = Self { key: std::mem::take(&mut self.key), ..Self::default() };
    }

    fn begin(&mut self, after: i64) {
        self.span = Some((after, after));
    }

    /// Adds what is here to the database's sums.
    fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let unwritten = self.hours.iter_mut().filter(|(_, sum)| sum.count > 0);
        let mut unwritten: Vec<Unwritten<'_>> = unwritten.filter_map(|(key, sum)| Some((split(key)?, sum))).collect();
        unwritten.sort_unstable_by_key(|(alike, _)| *alike);
        if let Some(rows) = self.span.filter(|(first, last)| first < last) {
            write_sieve(transaction, rows, &unwritten)?;
        }
        write_again(transaction, &mut unwritten)?;
        write_new(transaction, unwritten)?;
        let mut statement = transaction.prepare_cached(
            "INSERT INTO minutes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((minute, fate), count) in std::mem::take(&mut self.minutes) {
            statement.execute([minute, fate, count])?;
        }
        let mut statement = transaction.prepare_cached("INSERT INTO marks VALUES (?, ?) ON CONFLICT DO NOTHING")?;
        for (minute, id) in std::mem::take(&mut self.marks) {
            statement.execute([minute, id])?;
        }
        let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO returns VALUES (?, ?)")?;
        for (id, minute) in std::mem::take(&mut self.returns) {
            statement.execute([id, minute])?;
        }
        Ok(())
    }

    /// Makes room for others.
    fn shrink(&mut self) {
        if self.hours.len() > SUMS_MAX / 2 {
            // Of those that come again in every hour, none is lost for long.
            self.hours.clear();
        }
    }
}

impl Sum {
    fn add(&mut self, other: &Self) {
        if self.count == 0 {
            (self.first, self.last) = (other.first, other.last);
        }
        self.count += other.count;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
    }
}

/// Keeps which names the rows between two are for.
fn write_sieve(transaction: &Transaction<'_>, rows: (i64, i64), sums: &[Unwritten<'_>]) -> rusqlite::Result<()> {
    // Sums of one name stand together.
    let names = || sums.chunk_by(|(one, _), (other, _)| one.name == other.name).filter_map(|alike| alike.first());
    let mut sieve = Sieve::new(names().count());
    names().for_each(|(alike, _)| sieve.add(alike.name.as_bytes()));
    sieve.write(transaction, rows)
}

/// Adds to sums that are there already.
fn write_again(transaction: &Transaction<'_>, unwritten: &mut [Unwritten<'_>]) -> rusqlite::Result<()> {
    let mut again: Vec<_> = unwritten.iter_mut().filter(|(_, sum)| sum.part.is_some()).collect();
    again.sort_unstable_by_key(|(_, sum)| sum.part);
    // An hour whose parts are gone numbers them anew: another may have this one's number.
    let mut statement = transaction.prepare_cached(
        "UPDATE parts SET count = count + ?2, first = min(first, ?3), last = max(last, ?4)
         WHERE id = ?1 AND name = ?5 AND client = ?6 AND verdicts = ?7 AND rules = ?8 AND kind = ?9",
    )?;
    for (alike, sum) in again {
        let Alike { name, client, verdicts, rules, kind, .. } = *alike;
        let values = params![sum.part, sum.count, sum.first, sum.last, name, client, verdicts, rules, kind];
        match statement.execute(values)? {
            // It was removed, or merged.
            0 => sum.part = None,
            _ => sum.count = 0,
        }
    }
    Ok(())
}

/// Appends those that aren't there yet, in their order.
fn write_new(transaction: &Transaction<'_>, unwritten: Vec<Unwritten<'_>>) -> rusqlite::Result<()> {
    let mut next: Option<(i64, i64)> = None;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO parts (id, name, client, verdicts, rules, kind, count, first, last) VALUES (?,?,?,?,?,?,?,?,?)",
    )?;
    for (alike, sum) in unwritten.into_iter().filter(|(_, sum)| sum.count > 0) {
        let Alike { hour, name, client, verdicts, rules, kind } = alike;
        let part = match next {
            Some((of, part)) if of == hour => part,
            _ => next_part(transaction, hour)?,
        };
        statement.execute(params![part, name, client, verdicts, rules, kind, sum.count, sum.first, sum.last])?;
        (sum.part, sum.count) = (Some(part), 0);
        next = Some((hour, part + 1));
    }
    Ok(())
}

/// Adds what was appended since the last time to the sums.
pub(super) fn roll(transaction: &Transaction<'_>, sums: &mut Sums) -> rusqlite::Result<()> {
    let (to, mut from) = rows_and_sums(transaction)?;
    if sums.span != Some((from, to)) {
        sums.forget();
        sums.begin_anew(transaction, from)?;
        while from < to {
            sums.begin(from);
            from = read_again(transaction, sums, from)?;
            sums.write(transaction)?;
            sums.shrink();
        }
    } else if from < to {
        sums.write(transaction)?;
        sums.shrink();
    }
    sums.begin(to);
    transaction.prepare_cached("UPDATE meta SET value = max(value, ?) WHERE key = 'rolled'")?.execute([to])?;
    Ok(())
}

/// The last row there ever was, and up to which one sums go. What was removed is in the sums, so no number comes again,
/// though no row is left.
pub(super) fn rows_and_sums(transaction: &Transaction<'_>) -> rusqlite::Result<(i64, i64)> {
    let numbers = "SELECT max(coalesce((SELECT max(id) FROM queries), 0), value), value FROM meta WHERE key = 'rolled'";
    transaction.prepare_cached(numbers)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Adds a piece of the rows after one, and says which is the last of it.
fn read_again(transaction: &Transaction<'_>, sums: &mut Sums, from: i64) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, time, name, client, verdicts, rules, kind FROM queries WHERE id > ? ORDER BY id LIMIT ?",
    )?;
    let (mut rows, mut last) = (statement.query([from, ROLLED_ROWS])?, i64::MAX);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        sums.add(Summed {
            id: last,
            time: row.get(1)?,
            name: text(2)?,
            client: text(3)?,
            verdicts: row.get(4)?,
            rules: text(5)?,
            kind: row.get(6)?,
        });
    }
    Ok(last)
}

/// Where the next parts of an hour begin.
fn next_part(transaction: &Transaction<'_>, hour: i64) -> rusqlite::Result<i64> {
    let first = hour.saturating_mul(HOUR_PARTS);
    let beyond = first.saturating_add(HOUR_PARTS);
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(id) FROM parts WHERE id >= ? AND id < ?")?
        .query_row([first, beyond], |row| row.get(0))?;
    let Some(last) = last else { return Ok(first) };
    // Where so many were begun that no number is left, they go where they find room: their order is of use, not of need.
    let next = (last / RUN_PARTS + 1) * RUN_PARTS;
    Ok(if next < beyond { next } else { last + 1 })
}

/// Puts a piece of the parts of hours before one into `hours`, where they have much in common: that takes less room, and a
/// name is found there. Each part is looked at once; false if all were.
pub(super) fn merge(connection: &mut Connection, before_hour: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let piece: (i64, Option<i64>, i64, i64) = transaction
        .prepare_cached(
            "SELECT merged, max(id), count(*), coalesce(sum(count), 0) FROM
             (SELECT value AS merged FROM meta WHERE key = 'merged') LEFT JOIN
             (SELECT id, count FROM parts WHERE id > (SELECT value FROM meta WHERE key = 'merged') AND id < ?
              ORDER BY id LIMIT ?)",
        )?
        .query_row([before_hour.saturating_mul(HOUR_PARTS), ROLLED_ROWS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let (merged, Some(last), parts, queries) = piece else { return Ok(false) };
    if queries >= parts * MERGED_TIMES || parts < ROLLED_ROWS {
        transaction
            .prepare_cached(
                "INSERT INTO hours
                 SELECT id / ?3, name, client, verdicts, rules, kind, sum(count), min(first), max(last)
                 FROM parts WHERE id > ?1 AND id <= ?2 GROUP BY 1, 2, 3, 4, 5, 6
                 ON CONFLICT DO UPDATE SET count = count + excluded.count, first = min(first, excluded.first),
                   last = max(last, excluded.last)",
            )?
            .execute([merged, last, HOUR_PARTS])?;
        transaction.prepare_cached("DELETE FROM parts WHERE id > ? AND id <= ?")?.execute([merged, last])?;
    }
    transaction.prepare_cached("UPDATE meta SET value = ? WHERE key = 'merged'")?.execute([last])?;
    transaction.commit()?;
    Ok(parts == ROLLED_ROWS)
}

/// What a key of `Sums::hours` is made of, and the order of the tables of sums.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'k> {
    hour: i64,
    name: &'k str,
    client: &'k str,
    verdicts: i64,
    rules: &'k str,
    kind: i64,
}

/// Of what there are more queries than the database knows of.
type Unwritten<'s> = (Alike<'s>, &'s mut Sum);

fn split(key: &[u8]) -> Option<Alike<'_>> {
    fn number<'k>(key: &mut &'k [u8]) -> Option<i64> {
        let (number, rest): (&'k [u8; 8], _) = key.split_first_chunk()?;
        *key = rest;
        Some(i64::from_be_bytes(*number))
    }
    fn text<'k>(key: &mut &'k [u8]) -> Option<&'k str> {
        let (text, rest) = key.split_at(memchr::memchr(0, key)?);
        *key = rest.get(1..)?;
        std::str::from_utf8(text).ok()
    }
    let key = &mut { key };
    Some(Alike {
        hour: number(key)?,
        name: text(key)?,
        client: text(key)?,
        verdicts: number(key)?,
        rules: text(key)?,
        kind: number(key)?,
    })
}
