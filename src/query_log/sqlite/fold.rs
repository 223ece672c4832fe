//! Sums of hours become those of their day: of a whole day at once, a range of names after the other.
//!
//! Sums of an hour stand in the order of names, and so do parts that were written together. Merged, they give the day in its
//! own order from the first name to the last. Added hour by hour instead, nearly each sum would have a page of its own read and
//! written again, and that for each hour.

use super::{DAY_MICROS, HOUR_MICROS, HOUR_PARTS, sums::RUN_PARTS, units::end_hour};
use rusqlite::{CachedStatement, Connection, Row, Transaction, TransactionBehavior::Immediate, params};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    rc::Rc,
};

/// Sums that are merged in one transaction.
pub(super) const PIECE_SUMS: usize = 20_000;
/// Runs of parts that are merged at once: those written in a day, each half a minute, are fewer. What is in others is added
/// afterwards.
const RUNS_MAX: usize = 4_096;
const DAY_HOURS: i64 = DAY_MICROS / HOUR_MICROS;

/// Moves a piece of the sums of the first day before one from their hours to it, some `piece` of them; false if there were
/// none.
pub(super) fn fold(connection: &mut Connection, before_day: i64, piece: usize) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let Some(hour) = end_hour(&transaction, "min", before_day.saturating_mul(DAY_HOURS))? else { return Ok(false) };
    let day = hour.div_euclid(DAY_HOURS);
    let mut sources = sources(&transaction, day)?;
    merge(&transaction, day, &mut sources, piece)?;
    for source in &sources {
        source.remove_taken(&transaction)?;
    }
    transaction.commit()?;
    Ok(true)
}

/// What alike queries have in common, in the order of the tables' keys.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    name: String,
    client: String,
    verdicts: i64,
    rules: String,
    kind: i64,
}

struct Sum {
    count: i64,
    first: i64,
    last: i64,
}

/// A sum in its place: the number of a part; of hours it is what alike queries have in common.
struct Placed {
    part: i64,
    alike: Rc<Alike>,
    sum: Sum,
}

/// Sums that stand in order; if they don't, they are merged all the same, but slower.
struct Source {
    run: Run,
    /// What was read and isn't taken yet.
    ahead: VecDeque<Placed>,
    /// The last one taken.
    taken: Option<(i64, Rc<Alike>)>,
}

enum Run {
    Hour(i64),
    /// Those from one number until before another.
    Parts(i64, i64),
}

/// All there is of a day.
fn sources(transaction: &Transaction<'_>, day: i64) -> rusqlite::Result<Vec<Source>> {
    let hours = day.saturating_mul(DAY_HOURS)..(day + 1).saturating_mul(DAY_HOURS);
    let end = hours.end.saturating_mul(HOUR_PARTS);
    let mut at = hours.start.saturating_mul(HOUR_PARTS);
    let mut runs: Vec<Run> = hours.map(Run::Hour).collect();
    let mut next = transaction.prepare_cached("SELECT min(id) FROM parts WHERE id >= ? AND id < ?")?;
    while runs.len() < RUNS_MAX
        && let Some(first) = next.query_row([at, end], |row| row.get::<_, Option<i64>>(0))?
    {
        at = (first / RUN_PARTS + 1) * RUN_PARTS;
        runs.push(Run::Parts(first, at));
    }
    Ok(runs.into_iter().map(|run| Source { run, ahead: VecDeque::new(), taken: None }).collect())
}

/// Adds the first sums of all to the day, `piece` of them, or all there are.
fn merge(transaction: &Transaction<'_>, day: i64, sources: &mut [Source], piece: usize) -> rusqlite::Result<()> {
    // What is read ahead is as much as what is taken at most, or one of each.
    let ahead = (piece / sources.len()).max(1);
    let mut read = Read::new(transaction, ahead)?;
    let mut write = transaction.prepare_cached(
        "INSERT INTO days VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE
         SET count = count + excluded.count, first = min(first, excluded.first), last = max(last, excluded.last)",
    )?;
    let mut write = |alike: &Alike, sum: &Sum| {
        let Alike { name, client, verdicts, rules, kind } = alike;
        write.execute(params![day, name, client, verdicts, rules, kind, sum.count, sum.first, sum.last])
    };
    let mut firsts = BinaryHeap::new();
    for (index, source) in sources.iter_mut().enumerate() {
        firsts.extend(source.first(&mut read)?.map(|alike| Reverse((alike, index))));
    }
    let mut alike: Option<(Rc<Alike>, Sum)> = None;
    for _ in 0..piece {
        let Some(Reverse((_, index))) = firsts.pop() else { break };
        let Some(Placed { alike: own, sum, .. }) = sources[index].take() else { break };
        match &mut alike {
            Some((common, all)) if *common == own => all.add(&sum),
            other => {
                if let Some((common, all)) = other.replace((own, sum)) {
                    write(&common, &all)?;
                }
            }
        }
        firsts.extend(sources[index].first(&mut read)?.map(|alike| Reverse((alike, index))));
    }
    alike.iter().try_for_each(|(common, all)| write(common, all).map(drop))
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
    }
}

impl Source {
    /// What comes first of what isn't taken yet.
    fn first(&mut self, read: &mut Read<'_>) -> rusqlite::Result<Option<Rc<Alike>>> {
        if self.ahead.is_empty() {
            read.ahead(self)?;
        }
        Ok(self.ahead.front().map(|first| first.alike.clone()))
    }

    fn take(&mut self) -> Option<Placed> {
        let first = self.ahead.pop_front()?;
        self.taken = Some((first.part, first.alike.clone()));
        Some(first)
    }

    fn remove_taken(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let Some((part, alike)) = &self.taken else { return Ok(()) };
        match self.run {
            Run::Hour(hour) => {
                let sql = "DELETE FROM hours
                           WHERE hour = ? AND (name, client, verdicts, rules, kind) <= (?, ?, ?, ?, ?)";
                let Alike { name, client, verdicts, rules, kind } = &**alike;
                transaction.prepare_cached(sql)?.execute(params![hour, name, client, verdicts, rules, kind])?;
            }
            Run::Parts(first, _) => {
                let sql = "DELETE FROM parts WHERE id >= ? AND id <= ?";
                transaction.prepare_cached(sql)?.execute([first, *part])?;
            }
        }
        Ok(())
    }
}

/// Reads sums of a source, so many at once.
struct Read<'t> {
    of_hours: CachedStatement<'t>,
    of_parts: CachedStatement<'t>,
    count: usize,
}

impl<'t> Read<'t> {
    fn new(transaction: &'t Transaction<'_>, count: usize) -> rusqlite::Result<Self> {
        let of_hours = "SELECT name, client, verdicts, rules, kind, count, first, last, 0 FROM hours
                        WHERE hour = ? AND (name, client, verdicts, rules, kind) > (?, ?, ?, ?, ?)
                        ORDER BY name, client, verdicts, rules, kind LIMIT ?";
        let of_parts = "SELECT name, client, verdicts, rules, kind, count, first, last, id FROM parts
                        WHERE id > ? AND id < ? ORDER BY id LIMIT ?";
        let [of_hours, of_parts] = [of_hours, of_parts].map(|sql| transaction.prepare_cached(sql));
        Ok(Self { of_hours: of_hours?, of_parts: of_parts?, count })
    }

    /// Reads those after the last one taken.
    fn ahead(&mut self, source: &mut Source) -> rusqlite::Result<()> {
        let mut rows = match (&source.run, &source.taken) {
            (Run::Hour(hour), Some((_, after))) => {
                let Alike { name, client, verdicts, rules, kind } = &**after;
                self.of_hours.query(params![hour, name, client, verdicts, rules, kind, self.count])?
            }
            (Run::Hour(hour), None) => {
                self.of_hours.query(params![hour, "", "", i64::MIN, "", i64::MIN, self.count])?
            }
            (Run::Parts(first, end), taken) => {
                let after = taken.as_ref().map_or(first - 1, |(part, _)| *part);
                self.of_parts.query(params![after, end, self.count])?
            }
        };
        while let Some(row) = rows.next()? {
            source.ahead.push_back(placed(row)?);
        }
        Ok(())
    }
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    let alike =
        Alike { name: row.get(0)?, client: row.get(1)?, verdicts: row.get(2)?, rules: row.get(3)?, kind: row.get(4)? };
    let sum = Sum { count: row.get(5)?, first: row.get(6)?, last: row.get(7)? };
    Ok(Placed { part: row.get(8)?, alike: Rc::new(alike), sum })
}
