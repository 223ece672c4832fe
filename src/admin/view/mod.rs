//! What stands now as plain data: the API gives it as JSON, and the pages show it. One function a view.

pub mod called;
pub mod changes;
pub mod clients;
pub mod diff;
mod excepted;
pub mod exceptions;
pub mod explain;
pub mod held;
pub mod list;
pub mod lists;
pub mod log;
mod meant;
pub mod overview;
pub mod preview;
pub mod programs;
pub mod search;
pub mod seen;
pub mod setup;
pub mod steps;
pub mod tops;
pub mod tried;
pub mod weighed;

use crate::report::Moment;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now by the clock that queries are recorded by, in microseconds since 1970.
fn recorded_until() -> i64 {
    moment(SystemTime::now()).0
}

/// A time as it is shown and serialized.
fn moment(time: SystemTime) -> Moment {
    let micros = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Moment(i64::try_from(micros).unwrap_or(i64::MAX))
}
