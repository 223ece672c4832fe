//! Sums of hours and days on their way out of the database.
//!
//! All of it goes in pieces, each in a transaction of its own. While a part of an hour or day is gone, nobody reads the rest.

use super::{HOUR_PARTS, PIECE_ROWS};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior::Immediate, params};

/// No hour is so late, and its parts have numbers yet.
const HOURS_MAX: i64 = i64::MAX / HOUR_PARTS;

/// With which part a piece of those of hours before one ends; `None`: there are none.
fn last_part(transaction: &Transaction<'_>, before_hour: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max(id) FROM (SELECT id FROM parts WHERE id < ? ORDER BY id LIMIT ?)";
    let beyond = before_hour.saturating_mul(HOUR_PARTS);
    transaction.prepare_cached(sql)?.query_row([beyond, PIECE_ROWS], |row| row.get(0))
}

/// Removes all parts up to one.
fn remove_parts(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<usize> {
    transaction.prepare_cached("DELETE FROM parts WHERE id <= ?")?.execute([last])
}

/// The name with which a piece of an hour or day ends; `None` if it is all one piece.
fn last_name(transaction: &Transaction<'_>, table: &str, unit: &str, at: i64) -> rusqlite::Result<Option<String>> {
    let sql = format!("SELECT name FROM {table} WHERE {unit} = ? ORDER BY name LIMIT 1 OFFSET ?");
    transaction.prepare_cached(&sql)?.query_row([at, PIECE_ROWS], |row| row.get(0)).optional()
}

/// Removes the sums of an hour or day up to a name. No text comes after the empty blob, and so bounded the key is searched:
/// with `OR` all that is left would be gone through for each piece.
fn remove_names(
    transaction: &Transaction<'_>,
    table: &str,
    unit: &str,
    at: i64,
    last: Option<&str>,
) -> rusqlite::Result<usize> {
    let sql = format!("DELETE FROM {table} WHERE {unit} = ?1 AND name <= coalesce(?2, x'')");
    transaction.prepare_cached(&sql)?.execute(params![at, last])
}

/// The first day of which there are sums.
pub(super) fn first_day(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT min(day) FROM days")?.query_row([], |row| row.get(0))
}

/// Removes a piece of the oldest day before one; false if there is none. While a part of it is left, nobody reads it.
pub(super) fn remove_day(connection: &mut Connection, before: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let oldest = "SELECT min(day) FROM days WHERE day < ?";
    let oldest: Option<i64> = transaction.prepare_cached(oldest)?.query_row([before], |row| row.get(0))?;
    let Some(oldest) = oldest else { return Ok(false) };
    let last = last_name(&transaction, "days", "day", oldest)?;
    remove_names(&transaction, "days", "day", oldest, last.as_deref())?;
    note_going(&transaction, "days_going", last.is_some().then_some(oldest))?;
    transaction.commit()?;
    Ok(true)
}

/// The same for hours.
pub(super) fn remove_hour(connection: &mut Connection, before: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let Some(oldest) = end_hour(&transaction, "min", before)? else { return Ok(false) };
    remove_piece(&transaction, oldest)?;
    let is_left = end_hour(&transaction, "min", oldest.saturating_add(1))?.is_some();
    note_going(&transaction, "hours_going", is_left.then_some(oldest))?;
    transaction.commit()?;
    Ok(true)
}

/// The first or last (`min`, `max`) hour before one of which there are sums.
pub(super) fn end_hour(transaction: &Transaction<'_>, end: &str, before: i64) -> rusqlite::Result<Option<i64>> {
    let sql = format!(
        "SELECT {end}(hour) FROM (SELECT {end}(hour) AS hour FROM hours WHERE hour < ?1
         UNION ALL SELECT {end}(id) / ?3 FROM parts WHERE id < ?2)"
    );
    let beyond = before.saturating_mul(HOUR_PARTS);
    transaction.prepare_cached(&sql)?.query_row([before, beyond, HOUR_PARTS], |row| row.get(0))
}

/// Removes a piece of an hour before which there are no sums.
fn remove_piece(transaction: &Transaction<'_>, hour: i64) -> rusqlite::Result<()> {
    let last = last_name(transaction, "hours", "hour", hour)?;
    if remove_names(transaction, "hours", "hour", hour, last.as_deref())? == 0
        && let Some(last) = last_part(transaction, hour.saturating_add(1))?
    {
        remove_parts(transaction, last)?;
    }
    Ok(())
}

/// Notes which hour or day is there in part alone.
fn note_going(transaction: &Transaction<'_>, key: &str, going: Option<i64>) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE meta SET value = ? WHERE key = ?")?.execute(params![going, key])?;
    Ok(())
}

/// Removes a piece of the rest of an hour or day of which a part is gone, though there may be room again: nobody reads it.
/// False if there is none.
pub(super) fn end_what_was_begun(connection: &mut Connection) -> rusqlite::Result<bool> {
    type Remove = fn(&mut Connection, i64) -> rusqlite::Result<bool>;
    for (key, remove) in [("hours_going", remove_hour as Remove), ("days_going", remove_day)] {
        let going = "SELECT value FROM meta WHERE key = ?";
        let going: Option<i64> = connection.prepare_cached(going)?.query_row([key], |row| row.get(0))?;
        if let Some(going) = going
            && remove(connection, going.saturating_add(1))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a piece of the newest hour, where there is room for nothing else. It goes on being written, so what is left of
/// it is told.
pub(super) fn remove_of_newest(connection: &mut Connection, hour: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let is_there = end_hour(&transaction, "max", HOURS_MAX)?.is_some();
    remove_piece(&transaction, hour)?;
    transaction.commit()?;
    Ok(is_there)
}

/// The last hour of which there are sums.
pub(super) fn newest_hour(connection: &mut Connection) -> rusqlite::Result<i64> {
    Ok(end_hour(&connection.transaction()?, "max", HOURS_MAX)?.unwrap_or(0))
}
