//! What is known of the last hours without a database.

mod minutes;

pub use minutes::{DAY_SECONDS, Minutes};
