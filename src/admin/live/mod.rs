//! What is known of the last hours: counted in memory, recorded, or just happening.

mod minutes;
mod names;
mod recorded;
mod reports;
mod tail;

pub use minutes::{DAY_SECONDS, Minutes, time_line};
pub use names::Names;
pub use recorded::Recorded;
pub use reports::Unread;
pub use tail::{Tail, Tails, Told};
