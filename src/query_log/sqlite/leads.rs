//! Where names led, as far as it is kept: in pieces, in the order of names.

use super::PIECE_ROWS;
use rusqlite::{Connection, Transaction, TransactionBehavior::Immediate, params};

/// Leads that are looked at in one transaction.
const PIECE_LEADS: i64 = 4 * PIECE_ROWS;
/// Where there are too many, this part of each piece goes.
const GOING: usize = 4;

/// How far one has come: the last name that was looked at, and where it led.
pub(super) type Place = (String, String);

/// Leads that stand one after the other.
struct Piece {
    /// When each was seen last.
    seen: Vec<i64>,
    /// The last of them; `None`: there are none.
    end: Option<Place>,
}

/// Removes a piece of those that weren't seen since a time, after a place; the place that it came to, or `None` at the end.
pub(super) fn sweep(connection: &mut Connection, after: &Place, oldest: i64) -> rusqlite::Result<Option<Place>> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let piece = piece(&transaction, after)?;
    let is_last = piece.seen.len() < PIECE_LEADS as usize;
    if let Some(end) = &piece.end {
        remove(&transaction, after, end, oldest)?;
    }
    transaction.commit()?;
    Ok(piece.end.filter(|_| !is_last))
}

/// Removes a quarter of a piece after a place, of those that weren't seen for the longest time, and goes on from there the
/// next time. How many went; 0 if there are none at all.
pub(super) fn thin(connection: &mut Connection, place: &mut Place) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let mut found = piece(&transaction, place)?;
    if found.end.is_none() {
        *place = Place::default();
        found = piece(&transaction, place)?;
    }
    let Some(end) = found.end else { return Ok(0) };
    let going = found.seen.len() / GOING;
    let (_, last, _) = found.seen.select_nth_unstable(going);
    let removed = remove(&transaction, place, &end, last.saturating_add(1))?;
    transaction.commit()?;
    *place = end;
    Ok(removed)
}

pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM leads", [], |row| row.get(0))
}

fn piece(transaction: &Transaction<'_>, (name, target): &Place) -> rusqlite::Result<Piece> {
    let mut statement = transaction.prepare_cached(
        "SELECT last, name, target FROM leads WHERE (name, target) > (?, ?) ORDER BY name, target LIMIT ?",
    )?;
    let mut rows = statement.query(params![name, target, PIECE_LEADS])?;
    let mut piece = Piece { seen: Vec::new(), end: None };
    while let Some(row) = rows.next()? {
        piece.seen.push(row.get(0)?);
        if piece.seen.len() == PIECE_LEADS as usize {
            piece.end = Some((row.get(1)?, row.get(2)?));
        }
    }
    if piece.end.is_none() && !piece.seen.is_empty() {
        let last = "SELECT name, target FROM leads ORDER BY name DESC, target DESC LIMIT 1";
        piece.end = Some(transaction.prepare_cached(last)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?);
    }
    Ok(piece)
}

/// Removes those after a place up to another that weren't seen since a time; how many.
fn remove(transaction: &Transaction<'_>, after: &Place, end: &Place, oldest: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM leads WHERE (name, target) > (?, ?) AND (name, target) <= (?, ?) AND last < ?";
    transaction.prepare_cached(sql)?.execute(params![after.0, after.1, end.0, end.1, oldest])
}
