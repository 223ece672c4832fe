//! Sums of what was appended: by minute and fate, and by hour and all that alike queries have in common.

use super::{FATE, HOUR_MICROS, MINUTE_MICROS};
use rusqlite::{Transaction, params};
use std::collections::{BTreeMap, HashMap};

/// Adds what was appended since the last time to the sums.
pub(super) fn roll(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let from: i64 = transaction.query_row("SELECT value FROM meta WHERE key = 'rolled'", [], |row| row.get(0))?;
    let to: i64 = transaction.query_row("SELECT coalesce(max(id), 0) FROM queries", [], |row| row.get(0))?;
    if to <= from {
        return Ok(());
    }
    let mut sums = Sums::default();
    let mut statement = transaction.prepare_cached(
        "SELECT id, time, name, client, verdicts, rules, kind FROM queries WHERE id > ? AND id <= ? ORDER BY id",
    )?;
    let mut rows = statement.query([from, to])?;
    while let Some(row) = rows.next()? {
        sums.add(row)?;
    }
    sums.write(transaction)?;
    transaction.execute("UPDATE meta SET value = ? WHERE key = 'rolled'", [to])?;
    Ok(())
}

/// Sums of some rows.
#[derive(Default)]
struct Sums {
    /// By what alike queries have in common, see `key`: in the order of these octets the table has its rows too.
    hours: HashMap<Box<[u8]>, Sum, foldhash::fast::RandomState>,
    /// By minute and fate.
    minutes: BTreeMap<(i64, i64), i64>,
    /// The first row of each minute.
    marks: BTreeMap<i64, i64>,
    key: Vec<u8>,
}

/// Alike queries.
struct Sum {
    count: i64,
    first: i64,
    last: i64,
}

impl Sums {
    fn add(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        let (id, time, verdicts, kind): (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(4)?, row.get(6)?);
        let minute = time.div_euclid(MINUTE_MICROS);
        *self.minutes.entry((minute, kind / FATE)).or_default() += 1;
        self.marks.entry(minute).or_insert(id);
        self.key.clear();
        self.key.extend_from_slice(&time.div_euclid(HOUR_MICROS).to_be_bytes());
        for column in [2, 3] {
            self.key.extend_from_slice(row.get_ref(column)?.as_bytes()?);
            self.key.push(0);
        }
        self.key.extend_from_slice(&verdicts.to_be_bytes());
        self.key.extend_from_slice(row.get_ref(5)?.as_bytes()?);
        self.key.push(0);
        self.key.extend_from_slice(&kind.to_be_bytes());
        match self.hours.get_mut(&self.key[..]) {
            Some(sum) => {
                sum.count += 1;
                (sum.first, sum.last) = (sum.first.min(time), sum.last.max(time));
            }
            None => {
                self.hours.insert(self.key.as_slice().into(), Sum { count: 1, first: time, last: time });
            }
        }
        Ok(())
    }

    fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO hours (hour, name, client, verdicts, rules, kind, count, first, last) VALUES (?,?,?,?,?,?,?,?,?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count, first = min(first, excluded.first),
               last = max(last, excluded.last)",
        )?;
        let mut hours: Vec<(Box<[u8]>, Sum)> = self.hours.into_iter().collect();
        hours.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (key, Sum { count, first, last }) in &hours {
            let Some((hour, name, client, verdicts, rules, kind)) = split(key) else { continue };
            statement.execute(params![hour, name, client, verdicts, rules, kind, count, first, last])?;
        }
        let mut statement = transaction.prepare_cached(
            "INSERT INTO minutes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for ((minute, fate), count) in self.minutes {
            statement.execute([minute, fate, count])?;
        }
        let mut statement = transaction.prepare_cached("INSERT INTO marks VALUES (?, ?) ON CONFLICT DO NOTHING")?;
        for (minute, id) in self.marks {
            statement.execute([minute, id])?;
        }
        Ok(())
    }
}

/// What a key of `Sums::hours` is made of: hour, name, client, number of verdicts, rules, kind.
fn split(key: &[u8]) -> Option<(i64, &str, &str, i64, &str, i64)> {
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
    Some((number(key)?, text(key)?, text(key)?, number(key)?, text(key)?, number(key)?))
}
