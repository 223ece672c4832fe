//! The I/O around policy: finds list files, reads them, keeps the last good state of each, and publishes policies.
//!
//! ```text
//! watch (events, every 5 s, SIGHUP) → catalog (what is there, what changed) → gate: parse, or keep the last good
//!      → publish: Policy::build, swap, one log line → store: last good copies for the next start
//! ```
//!
//! All of it runs on a thread of its own; a query never waits for it.

mod catalog;
mod databases;
mod diff;
mod publish;
mod read;
mod spec;
mod store;
mod watch;

pub use catalog::{Embedded, ListPath, version_of};
pub use diff::{DiffError, ServiceDiff, diff};
pub use publish::{ListState, ListStatus, Lists, OnPublish, Published, StartError, Watching};
