//! Keeps the database within its bounds: the oldest goes first, rows before sums.

use super::{DAY_MICROS, HOUR_MICROS, Limits, MINUTE_MICROS, sums::roll};
use rusqlite::{Connection, TransactionBehavior::Immediate};
use std::{fs, path::Path};

/// Rows that go in one transaction.
const PIECE_ROWS: i64 = 20_000;
/// Transactions in one go: what is left goes the next time.
const PIECES_MAX: usize = 200;
/// Days that sums by day are kept at most.
const DAYS_MAX: i64 = 800;
/// Of the octets allowed, so many hundredths are used before anything goes: the rest is for what comes meanwhile.
const FULL_PERCENT: u64 = 95;

/// Removes what is too old, and what there is no room for. `now` is in microseconds since 1970.
pub(super) fn trim(connection: &mut Connection, path: &Path, limits: Limits, now: i64) -> rusqlite::Result<()> {
    let oldest = now - i64::try_from(limits.keep.as_micros()).unwrap_or(i64::MAX).min(now);
    sum_days(connection, now)?;
    for _ in 0..PIECES_MAX {
        if !remove_rows(connection, oldest)? {
            break;
        }
    }
    // By whole days, so that each day is told by its hours or by its sum, and by one of them alone.
    let hours = connection.prepare_cached("DELETE FROM hours WHERE hour < ?")?.execute([oldest / DAY_MICROS * 24])?;
    connection.prepare_cached("DELETE FROM minutes WHERE minute < ?")?.execute([oldest / MINUTE_MICROS])?;
    connection.prepare_cached("DELETE FROM leads WHERE last < ? AND ? > 0")?.execute([oldest, hours as i64])?;
    connection.prepare_cached("DELETE FROM days WHERE day < ?")?.execute([now / DAY_MICROS - DAYS_MAX])?;
    let allowed = limits.bytes / 100 * FULL_PERCENT;
    for _ in 0..PIECES_MAX {
        if used(connection, path)? <= allowed || !remove_oldest(connection)? {
            break;
        }
    }
    Ok(())
}

/// Octets in use: pages of the database that aren't free, and what waits to be put into it.
fn used(connection: &Connection, path: &Path) -> rusqlite::Result<u64> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    let mut waiting = path.as_os_str().to_owned();
    waiting.push("-wal");
    let waiting = fs::metadata(waiting).map_or(0, |file| file.len());
    Ok(pages * pragma("page_size")? + waiting)
}

/// Sums up whole days by what there is of their hours; afterwards the hours may go.
fn sum_days(connection: &mut Connection, now: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let from: i64 = transaction.query_row("SELECT value FROM meta WHERE key = 'days'", [], |row| row.get(0))?;
    // Rows of a day are written soon after its end.
    let to = (now - HOUR_MICROS) / DAY_MICROS;
    roll(&transaction)?;
    if to > from {
        transaction.execute(
            "INSERT INTO days
             SELECT hour / 24, name, client, verdicts, rules, kind, sum(count), min(first), max(last)
             FROM hours WHERE hour >= ?1 * 24 AND hour < ?2 * 24 GROUP BY 1, 2, 3, 4, 5, 6
             ON CONFLICT DO UPDATE SET count = count + excluded.count, first = min(first, excluded.first),
               last = max(last, excluded.last)",
            [from, to],
        )?;
        transaction.execute("UPDATE meta SET value = ? WHERE key = 'days'", [to])?;
    }
    transaction.commit()
}

/// Removes a piece of the rows before a time; false if there were none.
fn remove_rows(connection: &mut Connection, oldest: i64) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    // They stand nearly in order, so the piece is looked for at the beginning alone.
    let removed = transaction
        .prepare_cached(
            "DELETE FROM queries WHERE id < (SELECT min(id) FROM queries) + ?1 AND time < ?2
         AND id <= (SELECT value FROM meta WHERE key = 'rolled')",
        )?
        .execute([PIECE_ROWS, oldest])?;
    transaction.commit()?;
    Ok(removed > 0)
}

/// Removes a piece of the oldest rows, or of the oldest sums if there are no rows; false if there is nothing.
fn remove_oldest(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    roll(&transaction)?;
    let mut removed = transaction
        .prepare_cached("DELETE FROM queries WHERE id < (SELECT min(id) FROM queries) + ?")?
        .execute([PIECE_ROWS])?;
    for sums in [
        "DELETE FROM hours WHERE hour < (SELECT min(hour) / 24 * 24 + 24 FROM hours)",
        "DELETE FROM days WHERE day = (SELECT min(day) FROM days)",
        "DELETE FROM leads WHERE name IN (SELECT name FROM leads ORDER BY last LIMIT 20000)",
    ] {
        if removed == 0 {
            removed = transaction.prepare_cached(sums)?.execute([])?;
        }
    }
    transaction.execute("DELETE FROM marks WHERE id < (SELECT coalesce(min(id), 0) FROM queries)", [])?;
    transaction.commit()?;
    Ok(removed > 0)
}
