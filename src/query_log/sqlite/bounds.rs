//! Keeps the database within its bounds: what is too old goes, and where there is no room the oldest does.
//!
//! A query is in `parts`, `hours` or `days`, in one of them: sums move from one table to the other, a piece in a transaction.
//! Where there is no room rows go before sums, down to a share of the room: where every query is for another name, sums
//! take as much as rows, and neither is to drive out the other.

use super::{
    DAY_MICROS, HOUR_MICROS, Limits, MINUTE_MICROS, sieve,
    sums::{Sums, roll},
    units::{end_what_was_begun, fold, fold_parts, newest_hour, remove_day, remove_hour, remove_of_newest},
};
use rusqlite::{Connection, Transaction, TransactionBehavior::Immediate};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Rows that go in one transaction.
pub(super) const PIECE_ROWS: i64 = 5_000;
/// Transactions in one go: what is left goes the next time.
pub(super) const PIECES_MAX: usize = 800;
/// Of the octets allowed, so many hundredths are used before anything goes: the rest is for what comes meanwhile.
const FULL_PERCENT: u64 = 95;
/// What rows take at least before sums go, as a part of the octets allowed, and what one takes.
const ROWS_PART: u64 = 4;
const ROW_BYTES: u64 = 150;
/// What a row takes at most with its sums and leads, but for very long names.
const ROW_AND_SUMS_BYTES: u64 = 400;
/// What `leads` take at most where there is no room, likewise.
const LEADS_PART: u64 = 8;
const LEAD_BYTES: u64 = 80;
/// Of too many leads this part goes at once, so that they are rarely sorted.
const LEADS_GOING: i64 = 4;

/// Octets of the journal in front of the database, at least and at most. Within a transaction it may be more.
const JOURNAL_BYTES: (u64, u64) = (6 << 20, 64 << 20);
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// A clock that is so far ahead of the time that has passed is not believed at once.
const LEAP_MICROS: i64 = 10 * MINUTE_MICROS;
/// How long it has to stay there to be believed.
const LEAP_WITHIN: Duration = Duration::from_secs(3600);

impl Limits {
    /// The same where the disk has room for so many octets.
    pub(super) fn within(self, room: u64) -> Self {
        Self { bytes: self.bytes.min(room), ..self }
    }

    /// Octets of the journal: beyond them nothing is written until whoever reads has ended, for only then it is emptied.
    /// On a disk that is small it has half of the room: what is removed is written there before there is more.
    pub(super) fn journal_bytes(&self) -> u64 {
        (self.bytes / 8).clamp(JOURNAL_BYTES.0, JOURNAL_BYTES.1).min(self.bytes / 2)
    }

    /// Octets of the journal after which they are put into the database, if nobody reads. What is written at once comes on
    /// top.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        (self.journal_bytes() / 3).min(CHECKPOINT_BYTES)
    }

    /// Octets of the database itself.
    fn page_bytes(&self) -> u64 {
        (self.bytes - self.journal_bytes()) / 100 * FULL_PERCENT
    }

    /// Rows after which the bounds are looked at, however recent the last look is: as many as what is left free has room
    /// for, with their sums.
    pub(super) fn trim_rows(&self) -> u64 {
        self.page_bytes() / FULL_PERCENT * (100 - FULL_PERCENT) / ROW_AND_SUMS_BYTES
    }
}

/// Where the journal is.
pub(super) fn journal(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// A file that SQLite has beside a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Tells the time by which things are too old: a clock that leaps ahead for a moment makes nothing old.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The time believed, when nothing had passed, and since when another was told.
    believed: Option<(i64, Duration)>,
    leaped: Option<Duration>,
}

impl Clock {
    /// `wall`: microseconds since 1970, as the clock has it; `passed`: since the process began, whatever the clock does.
    pub(super) fn now(&mut self, wall: i64, passed: Duration) -> i64 {
        let (then, at) = *self.believed.get_or_insert((wall, passed));
        let expected = then.saturating_add((passed.saturating_sub(at)).as_micros() as i64);
        if wall <= expected.saturating_add(LEAP_MICROS) {
            (self.believed, self.leaped) = (Some((wall, passed)), None);
            return wall;
        }
        let since = *self.leaped.get_or_insert(passed);
        if passed.saturating_sub(since) < LEAP_WITHIN {
            return expected;
        }
        (self.believed, self.leaped) = (Some((wall, passed)), None);
        wall
    }
}

/// Octets that the database and its journal have room for: what they take, and what is free beside them.
pub(super) fn room(connection: &Connection, path: &Path) -> rusqlite::Result<u64> {
    let taken = pragma(connection, "page_count")? * pragma(connection, "page_size")?;
    let taken = taken + fs::metadata(journal(path)).map_or(0, |file| file.len());
    Ok(path.parent().and_then(free).map_or(u64::MAX, |free| free.saturating_add(taken)))
}

/// Octets that are free where a folder is.
fn free(folder: &Path) -> Option<u64> {
    let system = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(system.blocks_available().saturating_mul(system.fragment_size()))
}

/// Removes what is too old, and what there is no room for. `now` is in microseconds since 1970.
pub(super) fn trim(connection: &mut Connection, sums: &mut Sums, limits: Limits, now: i64) -> rusqlite::Result<()> {
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)).max(0);
    let oldest = before(limits.keep);
    remove_rows(connection, oldest)?;
    let has_folded = fold(connection, oldest.div_euclid(HOUR_MICROS))?;
    let has_folded = fold_parts(connection, oldest.div_euclid(HOUR_MICROS))? || has_folded;
    connection.prepare_cached("DELETE FROM minutes WHERE minute < ?")?.execute([oldest / MINUTE_MICROS])?;
    if has_folded {
        connection.execute("DELETE FROM leads WHERE last < ?", [oldest])?;
    }
    let first_day = before(limits.keep_sums).div_euclid(DAY_MICROS);
    for _ in 0..PIECES_MAX {
        if !remove_day(connection, first_day)? {
            break;
        }
    }
    end_what_was_begun(connection)?;
    let allowed = limits.page_bytes();
    for _ in 0..PIECES_MAX {
        if used(connection)? <= allowed || !remove_oldest(connection, sums, allowed, now)? {
            break;
        }
    }
    connection.execute(
        "DELETE FROM marks WHERE id < (SELECT coalesce(min(id), (SELECT value + 1 FROM meta WHERE key = 'rolled'))
         FROM queries)",
        [],
    )?;
    sieve::trim(connection)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Octets in use: pages of the database that aren't free. The journal has a bound of its own.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")?.saturating_sub(pragma(connection, "freelist_count")?);
    Ok(pages * pragma(connection, "page_size")?)
}

/// Removes the rows before a time. They stand nearly in its order; rows of a clock that was ahead stand anywhere, so
/// all numbers are looked at up to the last that may be so old.
fn remove_rows(connection: &mut Connection, oldest: i64) -> rusqlite::Result<()> {
    let minute = oldest.div_euclid(MINUTE_MICROS);
    let bounds = |connection: &Connection| {
        // What was written in the last minutes that are too old begins at their marks, and ends before the next one that
        // isn't.
        let sql = "SELECT (SELECT min(id) FROM queries),
                   (SELECT min(id) FROM marks WHERE id > (SELECT max(id) FROM marks WHERE minute <= ?1)),
                   (SELECT value + 1 FROM meta WHERE key = 'rolled'),
                   EXISTS (SELECT 1 FROM marks WHERE minute <= ?1)";
        connection.query_row(sql, [minute], |row| {
            let (first, next, unrolled, any): (Option<i64>, Option<i64>, i64, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(first.filter(|_| any).map(|first| (first, next.unwrap_or(unrolled).min(unrolled))))
        })
    };
    let Some((mut from, end)) = bounds(connection)? else { return Ok(()) };
    for _ in 0..PIECES_MAX {
        if from >= end {
            break;
        }
        let transaction = connection.transaction_with_behavior(Immediate)?;
        let to = from.saturating_add(PIECE_ROWS).min(end);
        let removed = transaction
            .prepare_cached("DELETE FROM queries WHERE id >= ? AND id < ? AND time < ?")?
            .execute([from, to, oldest])?;
        if removed > 0 {
            note_gone(&transaction, oldest)?;
        }
        let next = "SELECT min(id) FROM queries WHERE id >= ?";
        let next: Option<i64> = transaction.prepare_cached(next)?.query_row([to], |row| row.get(0))?;
        transaction.commit()?;
        from = next.unwrap_or(end);
    }
    Ok(())
}

/// Removes a piece of what goes first where there is no room; false if there is nothing to remove.
fn remove_oldest(connection: &mut Connection, sums: &mut Sums, allowed: u64, now: i64) -> rusqlite::Result<bool> {
    let rows_least = (allowed / ROWS_PART / ROW_BYTES) as i64;
    if remove_first_rows(connection, sums, rows_least, now)?
        || remove_leads(connection, allowed / LEADS_PART / LEAD_BYTES)?
    {
        return Ok(true);
    }
    let newest = newest_hour(connection)?;
    Ok(remove_day(connection, i64::MAX)?
        || remove_hour(connection, newest)?
        || remove_first_rows(connection, sums, 0, now)?
        || remove_leads(connection, 0)?
        || remove_of_newest(connection, newest)?)
}

/// Removes a piece of the first rows, if there are more than so many.
fn remove_first_rows(connection: &mut Connection, sums: &mut Sums, least: i64, now: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let rows = "SELECT coalesce(max(id) - min(id) + 1, 0) FROM queries";
    if transaction.prepare_cached(rows)?.query_row([], |row| row.get::<_, i64>(0))? <= least {
        return Ok(false);
    }
    roll(&transaction, sums)?;
    let last = "SELECT max(time) FROM queries WHERE id < (SELECT min(id) FROM queries) + ?";
    let last: Option<i64> = transaction.prepare_cached(last)?.query_row([PIECE_ROWS], |row| row.get(0))?;
    note_gone(&transaction, last.unwrap_or(0).min(now) + 1)?;
    let removed = transaction
        .prepare_cached("DELETE FROM queries WHERE id < (SELECT min(id) FROM queries) + ?")?
        .execute([PIECE_ROWS])?;
    transaction.commit()?;
    Ok(removed > 0)
}

/// Notes that rows before a time may be gone.
fn note_gone(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE meta SET value = max(value, ?) WHERE key = 'gone'")?.execute([before])?;
    Ok(())
}

/// Removes those leads that weren't seen for the longest time, if there are more than so many.
fn remove_leads(connection: &mut Connection, most: u64) -> rusqlite::Result<bool> {
    let count: i64 = connection.query_row("SELECT count(*) FROM leads", [], |row| row.get(0))?;
    if count <= most as i64 {
        return Ok(false);
    }
    let last = "SELECT last FROM leads ORDER BY last LIMIT 1 OFFSET ?";
    let last: i64 = connection.query_row(last, [count / LEADS_GOING], |row| row.get(0))?;
    loop {
        let sql = "DELETE FROM leads WHERE (name, target) IN
                   (SELECT name, target FROM leads WHERE last <= ? LIMIT ?)";
        if connection.prepare_cached(sql)?.execute([last, PIECE_ROWS])? < PIECE_ROWS as usize {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_leave_room_for_the_journal_in_front_of_them() {
        let limits = Limits { keep: Duration::ZERO, keep_sums: Duration::ZERO, bytes: 0 };
        // Megabytes: allowed, free on the disk; of the database, the journal, and what of it is put into the database.
        for (bytes, room, pages, journal, checkpoint) in [
            (1000, 9999, 889, 64, 4),
            (1000, 400, 332, 50, 4),
            (16, 9999, 9, 6, 2),
            (1000, 8, 3, 4, 1),
            (1000, 0, 0, 0, 0),
        ] {
            let limits = Limits { bytes: bytes << 20, ..limits }.within(room << 20);
            let told =
                [limits.page_bytes(), limits.journal_bytes(), limits.checkpoint_bytes()].map(|octets| octets >> 20);
            assert_eq!(told, [pages, journal, checkpoint], "{bytes} {room}");
            assert!(limits.page_bytes() + limits.journal_bytes() <= limits.bytes);
        }
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_not_believed_at_once() {
        const HOUR: u64 = 3600;
        let mut clock = Clock::default();
        // Seconds passed, seconds of the clock, seconds believed.
        for (passed, wall, believed) in [
            (0, 1000, 1000),
            (5, 1005, 1005),
            (10, 1_000_000, 1010),
            (15, 1015, 1015),
            (20, 500, 500),
            (25, 1025, 1025),
            (30, 50_000, 1030),
            (30 + HOUR - 1, 50_000 + HOUR as i64 - 1, 1030 + HOUR as i64 - 1),
            (30 + HOUR, 50_000 + HOUR as i64, 50_000 + HOUR as i64),
            (31 + HOUR, 50_001 + HOUR as i64, 50_001 + HOUR as i64),
        ] {
            let now = clock.now(wall * 1_000_000, Duration::from_secs(passed));
            assert_eq!(now, believed * 1_000_000, "{passed} {wall}");
        }
    }
}
