//! What is known of the last hours without a database.

mod minutes;
mod recorded;
mod reports;

pub use minutes::{DAY_SECONDS, Minutes};
pub use recorded::{Recorded, Unread};
pub use reports::Reports;
