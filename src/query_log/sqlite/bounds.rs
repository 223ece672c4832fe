//! The bounds of the database: its room, on the disk and by what is allowed, and the time by which things are too old.

use super::{Limits, MINUTE_MICROS};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Of the octets allowed, so many hundredths are used before anything goes: the rest is for what comes meanwhile.
const FULL_PERCENT: u64 = 95;
/// What a row takes at most with its sums and leads, but for very long names.
const ROW_AND_SUMS_BYTES: u64 = 400;
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
    pub(super) fn page_bytes(&self) -> u64 {
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
pub(super) fn free(folder: &Path) -> Option<u64> {
    let system = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(system.blocks_available().saturating_mul(system.fragment_size()))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

/// Octets in use: pages of the database that aren't free. The journal has a bound of its own.
pub(super) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")?.saturating_sub(pragma(connection, "freelist_count")?);
    Ok(pages * pragma(connection, "page_size")?)
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
