//! The embedded query log: one SQLite database, written by one thread, read by whoever asks.
//!
//! Rows are only appended, with numbers that never come again; sums by minute and hour of what was appended since the
//! last time are added in one transaction with the note of how far that was. So they are right after any end of the
//! process, and if two processes write at once while one takes over from the other. Sums of a day whose hours are too old
//! become its own.

mod bounds;
mod fold;
mod index;
mod leads;
mod numbers;
mod read;
mod sieve;
mod sums;
mod units;
mod upkeep;
mod write;

pub use read::{Bare, COMMAND_ROWS_MAX, Found, MinuteFates, Page, ReadError, Reader, open_to_read};
pub use write::Writer;

#[cfg(test)]
mod tests;

use crate::config::Privacy;
use rusqlite::{Connection, OptionalExtension};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What the sink that writes it is called.
pub const SINK: &str = "sqlite";

/// Version of the tables. Those of the one before lack `parts`, and get it; a database of another one is put aside.
const SCHEMA_VERSION: i64 = 3;
const WITHOUT_PARTS: i64 = 2;
/// How many numbers of `parts` an hour has.
const HOUR_PARTS: i64 = 1 << 31;
/// Rows that go in one transaction.
const PIECE_ROWS: i64 = 5_000;
/// How long one waits for another that writes.
const BUSY_WITHIN: Duration = Duration::from_secs(10);
/// Files that can't be used and are kept.
const ASIDE_MAX: u32 = 5;

const MINUTE_MICROS: i64 = 60 * 1_000_000;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// A row is written so many minutes after the first of a later minute at most, when its thread's turn came, and not that
/// late.
const LATE_MINUTES: i64 = 2;

/// What the fate is multiplied by in the column `kind`, which has the bits of `row::kind` besides.
const FATE: i64 = 32;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows, and sums by hour.
    pub keep: Duration,
    /// Sums by day.
    pub keep_sums: Duration,
    /// Octets of the database, with the journal in front of it.
    pub bytes: u64,
}

/// Whose queries they are, and what a client in them is. It is kept with them: they may be read elsewhere, and after
/// another configuration is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// What the server is told apart by from others; empty if that isn't known.
    pub instance: String,
    /// How much of clients was kept: the words of all that was ever in force, in order. Empty if that isn't known.
    pub privacy: Vec<String>,
}

impl Origin {
    pub fn new(instance: &str, privacy: Privacy) -> Self {
        Self { instance: instance.to_owned(), privacy: vec![privacy.word().to_owned()] }
    }

    /// Adds this to what the database says of itself.
    fn note(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT INTO meta VALUES ('instance', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [&self.instance],
        )?;
        for word in &self.privacy {
            connection.execute(
                "INSERT INTO meta VALUES ('privacy', ?) ON CONFLICT DO UPDATE SET value = value || ' ' || excluded.value
                 WHERE instr(' ' || value || ' ', ' ' || excluded.value || ' ') = 0",
                [word],
            )?;
        }
        Ok(())
    }
}

/// Opens the database for writing, makes it if need be, and puts aside one that can't be used.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    match open_own(path) {
        Err(error) if is_broken(&error) => {
            put_aside(path, &error);
            open_own(path)
        }
        other => other,
    }
}

/// Whether there is such a table: whoever wrote last may be of a version without it.
fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)";
    connection.prepare_cached(sql)?.query_row([name], |row| row.get(0))
}

fn open_own(path: &Path) -> rusqlite::Result<Connection> {
    index::has_room(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    // With these, a killed process loses nothing that it had written; a machine that loses power may lose the last
    // moments, never the whole.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;",
    )?;
    // This reads the journal, so that its index is there; nothing was written to it yet.
    connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    index::fill(path, 0)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        SCHEMA_VERSION => {}
        0 | WITHOUT_PARTS => {
            if version == 0 {
                transaction.execute_batch(include_str!("schema.sql"))?;
            }
            transaction.execute_batch(include_str!("parts.sql"))?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        other => {
            let text = format!("its tables are of version {other}, and this program's are of version {SCHEMA_VERSION}");
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB),
                Some(text),
            ));
        }
    }
    // Versions without them mind neither that they are there nor that they are not.
    transaction.execute_batch(include_str!("sieves.sql"))?;
    transaction.execute_batch(include_str!("returns.sql"))?;
    transaction.execute_batch(include_str!("overruled.sql"))?;
    let (view, sql) = (include_str!("view.sql"), "SELECT sql FROM sqlite_master WHERE type = 'view' AND name = 'log'");
    let known: Option<String> = transaction.query_row(sql, [], |row| row.get(0)).optional()?;
    if !known.is_some_and(|known| view.contains(&known)) {
        transaction.execute_batch(view)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// True if the file is no database, or no whole one.
fn is_broken(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Renames what can't be used: it may be worth something to its owner. Another process may still write to it, and goes on
/// to; so its journal goes with it.
fn put_aside(path: &Path, error: &rusqlite::Error) {
    let with = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let places = (1..=ASIDE_MAX).map(|number| with(path, &format!(".unusable-{number}")));
    // Of too many the oldest goes.
    let written = |place: &PathBuf| std::fs::metadata(place).and_then(|file| file.modified()).ok();
    let Some(aside) = places.min_by_key(written) else { return };
    tracing::error!(file = %path.display(), %error, "the query log can't be used, and a new one begins; it is kept as {}", aside.display());
    for ending in ["-wal", "-shm", ""] {
        let _ = std::fs::remove_file(with(&aside, ending));
        match std::fs::rename(with(path, ending), with(&aside, ending)) {
            Err(error) if ending.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(file = %path.display(), %error, "the query log can't be put aside");
            }
            _ => {}
        }
    }
}
