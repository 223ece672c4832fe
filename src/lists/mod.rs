//! The I/O around policy: finds list files, reads them, keeps the last good state of each, and publishes policies.
//!
//! ```text
//! watch (events, every 5 s, SIGHUP) → catalog (what is there, what changed) → gate: parse, or keep the last good
//! fetch (urls, when due)           ↗   → publish: Policy::build, swap, one log line
//!                                         → store: last good copies for the next start
//! ```
//!
//! All of it runs on threads of its own: one that watches, decides and publishes, up to four that download, one that
//! writes copies. A query never waits for any.

mod catalog;
mod databases;
mod diff;
mod fetch;
mod publish;
mod read;
mod spec;
mod store;
mod trial;

pub use catalog::{Embedded, ListPath, Manner};
pub use diff::{DiffError, ServiceDiff, Side, TextDiff, diff, differ};
pub use fetch::{ConnectVia, Downloads, FetchLimits, LookUpHost};
pub use publish::{
    Alongside, Chance, ConfigureError, Control, ListState, ListStatus, Lists, OnPublish, PinnedAt, Published,
    StartError, Waiting, Watching,
};
pub use read::{line_of, shown_version, version_of};
pub use spec::modes;
pub use store::{Kept, VERSIONS_MAX, kept, kept_location, kept_text};
pub use trial::{Before, Trial};
