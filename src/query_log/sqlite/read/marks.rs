//! Where rows of a time are, by marks: the first row of each minute, and where the clock was set back.

use super::super::{LATE_MINUTES, MINUTE_MICROS, has_table};
use rusqlite::Connection;

/// The marks of one moment.
pub(super) struct Marks {
    /// Minutes since 1970 in order, and each one's first row. A minute may come again, at each row from which on it was told
    /// once more.
    firsts: Vec<(i64, i64)>,
    /// For each of them, the last row that is first of something up to there.
    last: Vec<i64>,
    /// All such rows in order.
    rows: Vec<i64>,
}

impl Marks {
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut firsts = Vec::new();
        let tables = if has_table(connection, "returns")? { &["marks", "returns"][..] } else { &["marks"] };
        for table in tables {
            let mut statement = connection.prepare_cached(&format!("SELECT minute, id FROM {table}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                firsts.push((row.get(0)?, row.get(1)?));
            }
        }
        firsts.sort_unstable();
        let mut rows: Vec<i64> = firsts.iter().map(|(_, row)| *row).collect();
        let greatest = |greatest: &mut i64, row: &i64| {
            *greatest = (*greatest).max(*row);
            Some(*greatest)
        };
        let last = rows.iter().scan(i64::MIN, greatest).collect();
        rows.sort_unstable();
        Ok(Self { firsts, last, rows })
    }

    /// The first row of a minute until before another; `None`: there is none that is summed up.
    pub fn first(&self, from: i64, to: i64) -> Option<i64> {
        let at = |minute: i64| self.firsts.partition_point(|(own, _)| *own < minute);
        self.firsts.get(at(from)..at(to))?.iter().map(|(_, row)| *row).min()
    }

    /// A row before which all those are that are of a minute before this one and summed up; `None`: there is none.
    pub fn beyond(&self, minute: i64) -> Option<i64> {
        // Rows come late: they are written when that thread's turn came.
        let before = self.firsts.partition_point(|(own, _)| *own < minute.saturating_add(LATE_MINUTES - 1));
        let last = self.last[before.checked_sub(1)?];
        self.rows.get(self.rows.partition_point(|row| *row <= last)).copied()
    }

    /// Two rows between which those from one time until before another are. `rolled`: the last one summed up.
    pub fn between(&self, from: Option<i64>, to: Option<i64>, rolled: i64) -> (i64, i64) {
        let minute = |time: i64| time.div_euclid(MINUTE_MICROS);
        let beyond = to.map_or(i64::MAX, |to| minute(to).saturating_add(1));
        let before = to.and_then(|_| self.beyond(beyond)).unwrap_or(i64::MAX);
        // Of the first minute that is left, the mark may be gone with the first of its rows.
        let is_marked = |minute: i64| self.firsts.first().is_some_and(|(first, _)| *first < minute);
        let after = match from.map(minute).filter(|from| is_marked(*from)) {
            // Of those not summed up yet no minute is known.
            Some(from) => self.first(from, beyond).unwrap_or(i64::MAX).min(rolled.saturating_add(1)) - 1,
            None => 0,
        };
        (after, before)
    }
}
