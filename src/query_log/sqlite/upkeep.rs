//! Keeps the database within its bounds: what is too old goes, and where there is no room the oldest does.
//!
//! A query is in `parts`, `hours` or `days`, in one of them: sums move from one table to the other, a piece in a transaction.
//! Where there is no room rows go before sums, down to a share of the room: where every query is for another name, sums
//! take as much as rows, and neither is to drive out the other.
//!
//! Rows that come wait meanwhile, so it goes on for as long as it may, and later from where it came to. A piece takes some
//! hundredths of a second.

use super::{
    DAY_MICROS, HOUR_MICROS, Limits, MINUTE_MICROS, PIECE_ROWS,
    bounds::used,
    fold, leads, sieve,
    sums::{Sums, merge, roll},
    units::{end_what_was_begun, first_day, newest_hour, remove_day, remove_hour, remove_of_newest},
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior::Immediate, params};
use std::time::Duration;

/// What rows take at least before sums go, as a part of the octets allowed, and what one takes.
const ROWS_PART: u64 = 4;
const ROW_BYTES: u64 = 150;
/// What `leads` take at most where there is no room, likewise.
const LEADS_PART: u64 = 8;
const LEAD_BYTES: u64 = 80;

/// How far the upkeep of one database has come. All but the first is found anew where it isn't known.
pub(super) struct Upkeep {
    /// Octets that were in use the last time, or those allowed if they were fewer: beyond them room is made, however long
    /// that takes.
    octets: u64,
    /// The time before which rows are too old, the last time.
    oldest: i64,
    /// Of which minute rows were removed, and which one is looked at next; `None`: all were.
    removed: (i64, Option<i64>),
    /// Where leads are thinned out next.
    thin: leads::Place,
    /// Before which day leads are removed, and how far that is; `None`: to the end.
    swept: (i64, Option<leads::Place>),
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            octets: u64::MAX,
            oldest: i64::MIN,
            removed: (i64::MIN, None),
            thin: Default::default(),
            swept: (i64::MIN, None),
        }
    }
}

/// Says whether there is time for another piece.
type MayGoOn<'m> = &'m mut dyn FnMut() -> bool;

impl Upkeep {
    /// Removes what is too old, and what there is no room for, until all is done (true) or `may_go_on` says no; it is asked
    /// before each piece. `now` is in microseconds since 1970.
    pub fn trim(
        &mut self,
        connection: &mut Connection,
        sums: &mut Sums,
        limits: Limits,
        now: i64,
        may_go_on: MayGoOn<'_>,
    ) -> rusqlite::Result<bool> {
        let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)).max(0);
        let (oldest, hour) = (before(limits.keep), now.div_euclid(HOUR_MICROS));
        self.oldest = oldest;
        let (first_day, first_sums) = (oldest.div_euclid(DAY_MICROS), before(limits.keep_sums).div_euclid(DAY_MICROS));
        // Room is made in any case, and before all else that takes long.
        let is_done = self.make_room(connection, sums, limits, now, may_go_on)?
            && self.remove_rows(connection, oldest, may_go_on)?
            && go_on(may_go_on, || end_what_was_begun(connection))?
            && go_on(may_go_on, || remove_day(connection, first_sums))?
            && go_on(may_go_on, || merge(connection, hour))?
            // Nobody looks for rows by sums of which a part is gone: so rows go first.
            && go_on(may_go_on, || fold::fold(connection, first_day, fold::PIECE_SUMS))?
            && self.sweep_leads(connection, first_day, may_go_on)?;
        if may_go_on() {
            connection.prepare_cached("DELETE FROM minutes WHERE minute < ?")?.execute([oldest / MINUTE_MICROS])?;
            trim_marks(connection, now.div_euclid(MINUTE_MICROS))?;
            sieve::trim(connection)?;
        }
        Ok(is_done)
    }

    /// Makes room, piece by piece.
    fn make_room(
        &mut self,
        connection: &mut Connection,
        sums: &mut Sums,
        limits: Limits,
        now: i64,
        may_go_on: MayGoOn<'_>,
    ) -> rusqlite::Result<bool> {
        let allowed = limits.page_bytes();
        // Counting them takes as long as some pieces.
        let mut leads = None;
        loop {
            let octets = used(connection)?;
            if octets <= allowed || (octets <= self.octets && !may_go_on()) {
                self.octets = octets.max(allowed);
                return Ok(octets <= allowed);
            }
            if !self.remove_oldest(connection, sums, allowed, now, &mut leads)? {
                return Ok(true);
            }
        }
    }

    /// Removes the rows before a time, once in a minute. They stand nearly in its order; rows of a clock that was ahead stand
    /// anywhere, so all numbers are looked at up to the last that may be so old.
    fn remove_rows(
        &mut self,
        connection: &mut Connection,
        oldest: i64,
        may_go_on: MayGoOn<'_>,
    ) -> rusqlite::Result<bool> {
        let minute = oldest.div_euclid(MINUTE_MICROS);
        if self.removed.1.is_none() && self.removed.0 != minute {
            self.removed = (minute, Some(0));
        }
        if self.removed.1.is_none() {
            return Ok(true);
        }
        // What was written in the last minutes that are too old begins at their marks, and ends before the next one that
        // isn't.
        let end = "SELECT min(coalesce(next, unrolled), unrolled) FROM (SELECT
                     (SELECT min(id) FROM marks WHERE id >
                       (SELECT max(id) FROM (SELECT minute, id FROM marks UNION ALL SELECT minute, id FROM returns)
                        WHERE minute <= ?1)
                     ) AS next,
                     (SELECT value + 1 FROM meta WHERE key = 'rolled') AS unrolled)
                   WHERE EXISTS (SELECT 1 FROM marks WHERE minute <= ?1)";
        let end: Option<i64> = connection.query_row(end, [minute], |row| row.get(0)).optional()?;
        go_on(may_go_on, || {
            let Some(next) = self.removed.1 else { return Ok(false) };
            let transaction = connection.transaction_with_behavior(Immediate)?;
            let from = "SELECT min(id) FROM queries WHERE id >= ?";
            let from: Option<i64> = transaction.prepare_cached(from)?.query_row([next], |row| row.get(0))?;
            let (Some(from), Some(end)) = (from, end.filter(|end| from.is_some_and(|from| from < *end))) else {
                self.removed.1 = None;
                return Ok(false);
            };
            let to = from.saturating_add(PIECE_ROWS).min(end);
            let removed = transaction
                .prepare_cached("DELETE FROM queries WHERE id >= ? AND id < ? AND time < ?")?
                .execute([from, to, oldest])?;
            if removed > 0 {
                note_gone(&transaction, oldest)?;
            }
            transaction.commit()?;
            self.removed.1 = Some(to);
            Ok(true)
        })
    }

    /// Removes a piece of what goes first where there is no room; false if there is nothing to remove. `leads`: how many
    /// there are, if that is known.
    pub(super) fn remove_oldest(
        &mut self,
        connection: &mut Connection,
        sums: &mut Sums,
        allowed: u64,
        now: i64,
        leads: &mut Option<u64>,
    ) -> rusqlite::Result<bool> {
        let rows_least = (allowed / ROWS_PART / ROW_BYTES) as i64;
        let oldest = self.oldest;
        if remove_first_rows(connection, sums, rows_least, (now, oldest))?
            || self.remove_leads(connection, leads, allowed / LEADS_PART / LEAD_BYTES)?
        {
            return Ok(true);
        }
        let newest = newest_hour(connection)?;
        // A day goes with all its names: those that are still in its hours would be taken for the whole day later.
        let first_day = first_day(connection)?;
        if let Some(first_day) = first_day
            && fold::fold(connection, first_day.saturating_add(1), fold::PIECE_SUMS)?
        {
            return Ok(true);
        }
        Ok(remove_day(connection, i64::MAX)?
            || remove_hour(connection, newest)?
            || remove_first_rows(connection, sums, 0, (now, oldest))?
            || self.remove_leads(connection, leads, 0)?
            || remove_of_newest(connection, newest)?)
    }

    /// Removes a piece of the leads, if there are more than so many.
    fn remove_leads(
        &mut self,
        connection: &mut Connection,
        leads: &mut Option<u64>,
        most: u64,
    ) -> rusqlite::Result<bool> {
        let count = match leads {
            Some(count) => count,
            None => leads.insert(leads::count(connection)?),
        };
        if *count <= most {
            return Ok(false);
        }
        let removed = leads::thin(connection, &mut self.thin)?;
        *count = count.saturating_sub(removed as u64);
        Ok(removed > 0)
    }

    /// Removes leads that weren't seen since a day began; once for each day, and after each start.
    fn sweep_leads(
        &mut self,
        connection: &mut Connection,
        first_day: i64,
        may_go_on: MayGoOn<'_>,
    ) -> rusqlite::Result<bool> {
        if self.swept.0 != first_day {
            self.swept = (first_day, Some(leads::Place::default()));
        }
        go_on(may_go_on, || {
            let Some(after) = &self.swept.1 else { return Ok(false) };
            self.swept.1 = leads::sweep(connection, after, first_day.saturating_mul(DAY_MICROS))?;
            Ok(true)
        })
    }
}

/// Does one piece after the other, until there is none (true) or no time for it.
fn go_on(may_go_on: MayGoOn<'_>, mut piece: impl FnMut() -> rusqlite::Result<bool>) -> rusqlite::Result<bool> {
    while may_go_on() {
        if !piece()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a piece of the first rows, if there are more than so many. `oldest`: before that they are too old all the same.
fn remove_first_rows(
    connection: &mut Connection,
    sums: &mut Sums,
    least: i64,
    (now, oldest): (i64, i64),
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let rows = "SELECT coalesce(max(id) - min(id) + 1, 0) FROM queries";
    if transaction.prepare_cached(rows)?.query_row([], |row| row.get::<_, i64>(0))? <= least {
        return Ok(false);
    }
    roll(&transaction, sums)?;
    let last = "SELECT max(time) FROM queries WHERE id < (SELECT min(id) FROM queries) + ?";
    let last: Option<i64> = transaction.prepare_cached(last)?.query_row([PIECE_ROWS], |row| row.get(0))?;
    let gone = last.unwrap_or(0).min(now) + 1;
    note_gone(&transaction, gone)?;
    if gone > oldest {
        note_early(&transaction, gone)?;
    }
    let removed = transaction
        .prepare_cached("DELETE FROM queries WHERE id < (SELECT min(id) FROM queries) + ?")?
        .execute([PIECE_ROWS])?;
    transaction.commit()?;
    Ok(removed > 0)
}

/// Removes the marks of rows that are gone. Where their minutes go on in rows that are left, or come again there, as after a
/// clock was ahead, the first row of all stands for them. `minute`: this one.
fn trim_marks(connection: &mut Connection, minute: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let first = "SELECT min(id), time / ?, (SELECT value + 1 FROM meta WHERE key = 'rolled') FROM queries";
    let (first, begins, unrolled): (Option<i64>, Option<i64>, i64) = transaction
        .prepare_cached(first)?
        .query_row([MINUTE_MICROS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let first = first.unwrap_or(unrolled);
    transaction.prepare_cached("DELETE FROM returns WHERE id < ?")?.execute([first])?;
    let moved = "UPDATE marks SET id = ?1 WHERE id < ?1 AND minute <= ?2
                 AND minute >= min(?3, coalesce((SELECT min(minute) FROM returns), ?3))";
    transaction.prepare_cached(moved)?.execute(params![first, minute, begins])?;
    transaction.prepare_cached("DELETE FROM marks WHERE id < ?")?.execute([first])?;
    transaction.commit()
}

/// Notes that rows before a time are gone for want of room, though they weren't too old. Versions without this note mind neither
/// that it is there nor that it isn't.
fn note_early(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    let note = "INSERT INTO meta VALUES ('early', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    transaction.prepare_cached(note)?.execute([before])?;
    Ok(())
}

/// Notes that rows before a time may be gone.
fn note_gone(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE meta SET value = max(value, ?) WHERE key = 'gone'")?.execute([before])?;
    Ok(())
}
