//! Reports: what was blocked and would have been, for whom, and what else that hits. Pure: no I/O and no clock.
//!
//! ```text
//! rows → Tally ─ finish → Report → text, html (by tables, summary, plot), csv; JSON by serde
//!        cells └ export → Export → JSONL, CSV: aggregates that no client stands out of
//! ```
//!
//! - `tally` collects; `time_line` what was when; `intern` makes texts numbers.
//! - `breakdown` groups cells by program, service, list, rule, domain and client; `finish` makes rows of the groups.
//! - `collateral`: what shares aliases and addresses with names that are hit; retries.
//! - `form` is the report as data. `tables` and `summary` are what people read of it, `words` how it is written.
//!
//! What is *hit* is blocked, or would be. Every share stands beside its numerator and denominator.

mod breakdown;
mod collateral;
mod csv;
mod export;
mod finish;
pub mod form;
mod html;
mod intern;
mod plot;
mod summary;
mod tables;
mod tally;
mod text;
mod time_line;
mod words;

pub use csv::csv;
pub use export::{CLIENTS_MIN, Export};
pub use form::Report;
pub use html::html;
pub use tally::{Filter, Tally};
pub use text::text;
pub use words::{Moment, Share, visible};

use serde::Serialize;

/// What a report has to know beside the rows.
#[derive(Clone, PartialEq, Debug)]
pub struct Context {
    /// The range asked for, in microseconds since 1970 (UTC): included.
    pub from: i64,
    /// Not included.
    pub to: i64,
    pub made_at: i64,
    pub instance: String,
    /// What was read, such as the path of the query log.
    pub source: String,
    /// How much of clients is kept: `full`, `prefix`, `hashed` or `none`.
    pub privacy: String,
    /// All lists as they are now.
    pub lists: Vec<KnownList>,
    pub held: Held,
    /// What somebody asked an exception for, if such wishes are kept.
    pub exceptions_asked: Option<Vec<AskedException>>,
}

/// A list that is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KnownList {
    pub program: String,
    pub service: String,
    pub list: String,
    /// As in the verdicts: the first 16 hexadecimal digits of its SHA-256.
    pub version: String,
    /// `off`, `shadow` or `enforce`.
    pub mode: String,
    /// Exceptions too.
    pub rules: u64,
}

/// What the source holds, whatever is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Held {
    pub first: Option<Moment>,
    pub last: Option<Moment>,
    /// Lines of a file that are no rows.
    pub unreadable_lines: u64,
}

/// A name that somebody wants to pass.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AskedException {
    pub name: String,
    pub times: u64,
    pub last: Moment,
}

/// The registrable domain of a name in presentation form; the name itself if it is a public suffix, or above one.
fn registrable(name: &str) -> &str {
    // A dot that a backslash precedes is part of a label.
    let masked = name.contains('\\').then(|| name.replace("\\.", "__"));
    let domain = psl::domain_str(masked.as_deref().unwrap_or(name));
    domain.and_then(|domain| name.get(name.len() - domain.len()..)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
