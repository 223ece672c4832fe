//! What it takes to make a day of very many names a sum by day, and how long rows wait meanwhile.

use crate::{BATCH, spent};
use cleandns::query_log::{
    Row, Sink,
    sqlite::{Limits, Origin, Writer},
};
use rusqlite::{Connection, OpenFlags};
use std::{
    path::Path,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const HOUR_MICROS: i64 = 3_600_000_000;
const HOURS: i64 = 24;
/// Names of an hour; this many of them are asked for in every hour. In each other hour each is asked for twice, and its
/// sums are merged for that.
const NAMES: usize = 200_000;
const COMMON_NAMES: usize = 100_000;
/// How often a batch comes, as from twenty thousand queries a second.
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// How often a sink may look after itself, as `query_log::drain` has it.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How many times a writer is ended, each time with some hours merged.
const ENDS: usize = 40;

fn writer(path: &Path, keep_days: u64) -> Writer {
    let keep = Duration::from_secs(keep_days * 86_400);
    let limits = Limits { keep, keep_sums: Duration::from_secs(400 * 86_400), bytes: 16 << 30 };
    Writer::new(path, limits, Origin::default())
}

fn row(time: i64, hour: usize, number: usize) -> Row {
    // Spread over all names, not in order.
    let number = number.wrapping_mul(7_919) % NAMES;
    let name = match number < COMMON_NAMES {
        true => format!("host{number}.some-domain.example"),
        false => format!("h{hour}-{number}.other-domain.example"),
    };
    Row { time, client: format!("192.168.1.{}", number % 20), name, micros: 40, ..Row::default() }
}

/// Writes a day that begins at a time; how many rows it has.
fn write_day(path: &Path, day: i64) -> u64 {
    let mut writer = writer(path, 30);
    let mut count = 0;
    for hour in 0..HOURS {
        let times = 1 + hour as usize % 2;
        let rows = NAMES * times;
        let step = HOUR_MICROS / rows as i64;
        for batch in 0..rows / BATCH {
            let at = |index: usize| row(day + hour * HOUR_MICROS + index as i64 * step, hour as usize, index / times);
            assert_eq!(writer.write_rows((batch * BATCH..(batch + 1) * BATCH).map(at).collect()), 0);
        }
        count += rows as u64;
    }
    for _ in 0..ENDS {
        writer.finish();
        assert_eq!(writer.write_rows(vec![row(day + HOURS * HOUR_MICROS, 0, 0)]), 0);
    }
    writer.finish();
    count
}

pub fn measure(path: &Path) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let day = (now() / HOUR_MICROS / HOURS - 4) * HOURS;
    let rows = write_day(path, day * HOUR_MICROS);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it was just written");
    let count = |sql: &str, of: i64| connection.query_row(sql, [of], |row| row.get::<_, i64>(0)).expect("an answer");
    let is_left = || {
        count("SELECT EXISTS (SELECT 1 FROM hours WHERE hour < ?)", day + HOURS)
            + count("SELECT EXISTS (SELECT 1 FROM parts WHERE id < ? * 2147483648)", day + HOURS)
            > 0
    };
    let hours = count("SELECT count(*) FROM hours WHERE hour < ?", day + HOURS);
    let parts = count("SELECT count(*) FROM parts WHERE id < ? * 2147483648", day + HOURS);
    let (batches, received) = sync_channel(1024);
    thread::spawn(move || {
        for batch in 0.. {
            let rows: Vec<Row> = (0..BATCH).map(|index| row(now(), 1_000 + batch, NAMES - 1 - index)).collect();
            if batches.send(rows).is_err() {
                break;
            }
            thread::sleep(BATCH_EVERY);
        }
    });
    let mut writer = writer(path, 1);
    let (mut writing, mut keeping, mut written, mut longest) = (Duration::ZERO, Duration::ZERO, 0, Duration::ZERO);
    let begun = Instant::now();
    let (mut ticked, mut wrote) = (begun, begun);
    while is_left() {
        match received.recv_timeout(TICK_EVERY) {
            Ok(rows) => {
                written += rows.len() as u64;
                let before = spent();
                assert_eq!(writer.write_rows(rows), 0);
                writing += spent() - before;
                longest = longest.max(wrote.elapsed());
                wrote = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ticked.elapsed() >= TICK_EVERY {
            let before = spent();
            writer.tick();
            keeping += spent() - before;
            ticked = Instant::now();
        }
    }
    longest = longest.max(wrote.elapsed());
    let took = begun.elapsed();
    println!(
        "a day of {rows} rows, {hours} sums of hours and {parts} parts, becomes {} sums of a day in {:.1} s: {} ns of upkeep \
         a row; meanwhile {written} rows, {} ns each, and none for {} ms at most",
        count("SELECT count(*) FROM days WHERE day = ? / 24", day),
        took.as_secs_f64(),
        keeping.as_nanos() / u128::from(rows),
        writing.as_nanos() / u128::from(written.max(1)),
        longest.as_millis(),
    );
}
