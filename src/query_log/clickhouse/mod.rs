//! The query log of many servers: rows go to a ClickHouse server by HTTP, and reports are read from it.
//!
//! ```text
//! rows → line → batch ──┬──────────────→ server (schema first)
//!                       └→ spill → …  ──→ as soon as it can be reached again, oldest first
//! ```
//!
//! What took too long is sent again in smaller inserts, down to a bound, and in larger ones as soon as they are quick.
//! Nothing is lost while the server is down as long as there is room, and nothing counts twice: a batch is sent until
//! the server says that it has it, and each row has a number by which repeated ones are one (`config/clickhouse/`).

mod line;
mod reader;
mod schema;
mod server;
mod sink;
mod spill;

pub use reader::{ClickHouseReader, ReadError};
pub use sink::ClickHouseSink;

#[cfg(test)]
mod tests;

use std::time::Duration;

/// The bounds of writing, which tests make smaller.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Rows and octets of one insert.
    batch_rows: u64,
    batch_bytes: usize,
    /// Octets below which an insert isn't made smaller, however long it takes.
    batch_bytes_min: usize,
    /// How long a row waits for others.
    flush_every: Duration,
    /// How long the sink's thread waits for the server in one turn.
    within: Duration,
    /// How long the server is left alone after a failure: this, then twice the time, and so on.
    retry_first: Duration,
    retry_max: Duration,
    /// Octets that wait in memory where there is no folder for them.
    memory_bytes: u64,
}

/// Inserts as ClickHouse wants them: few and large. A server that answers nothing holds up its thread for five seconds.
const LIMITS: Limits = Limits {
    batch_rows: 50_000,
    batch_bytes: 8 << 20,
    // In four seconds over a way of 130 kbit/s, which is less than anybody logs over.
    batch_bytes_min: 64 << 10,
    flush_every: Duration::from_secs(1),
    within: Duration::from_secs(5),
    retry_first: Duration::from_secs(1),
    retry_max: Duration::from_secs(60),
    memory_bytes: 32 << 20,
};

/// Rows that go together.
#[derive(Default, Debug)]
struct Batch {
    /// Lines of JSON, each with its end.
    lines: Vec<u8>,
    rows: u64,
}
