//! Reports: what was blocked and would have been, for whom, and what else that hits. Pure: no I/O and no clock.
//!
//! ```text
//! rows → Tally ─ finish → Report → text, html (by tables, summary, plot), csv; JSON by serde
//!        cells ├ export → Export → JSONL, CSV: aggregates that no client stands out of
//!              └ tops → Tops: the first rows alone, for pages
//! ```
//!
//! - `tally` collects; `time_line` what was when, `days` what each day had; `intern` makes texts numbers.
//! - `kinds` counts by group, type and transport; `never` names rules that never hit.
//! - `breakdown` groups cells by program, service, list, rule, domain and client; `finish` makes rows of the groups.
//! - `collateral`: what shares aliases and addresses with names that are hit; retries.
//! - `form` is the report as data. `tables` and `summary` are what people read of it, `words` how it is written.
//!
//! What is *hit* is blocked, or would be. Every share stands beside its numerator and denominator.

mod breakdown;
mod collateral;
mod csv;
mod days;
mod export;
mod finish;
pub mod form;
mod html;
mod intern;
mod kinds;
mod never;
mod plot;
mod summary;
mod tables;
mod tally;
mod text;
mod time_line;
mod tops;
mod words;

pub use csv::csv;
pub use export::{CLIENTS_MIN, Export};
pub use form::Report;
pub use html::html;
pub use kinds::{KindRow, Kinds};
pub use never::{Candidate, ListText, NeverHit, QuietRule, candidate};
pub use plot::round_up;
pub use tally::{Filter, Tally};
pub use text::text;
pub use tops::{ListHits, ListRule, TopRow, Tops};
pub use words::{Moment, Share, count, counted, span, visible};

use serde::Serialize;

/// What a report has to know beside the rows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context {
    /// The range asked for, in microseconds since 1970 (UTC): included.
    pub from: i64,
    /// Not included.
    pub to: i64,
    pub made_at: i64,
    /// Whose queries they are.
    pub instance: String,
    /// What was read, such as the path of the query log.
    pub source: String,
    /// How much of clients was kept, in the order in which it was in force: `full`, `prefix`, `hashed`, `none`. Empty if
    /// that isn't known.
    pub privacy: Vec<String>,
    /// All lists as they are now.
    pub lists: Vec<KnownList>,
    /// Programs whose modes aren't the same for all clients at all times.
    pub varying: Vec<Varying>,
    pub unread: Unread,
    pub held: Held,
}

/// What of the lists could not be read, so that nobody can tell what of it never hit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Unread {
    /// Why none of them could be.
    pub all: Option<String>,
    /// Lists that aren't off, and whose rules could not be looked at: `program/service list`.
    pub lists: Vec<String>,
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
    /// It stays in shadow, or off, until its service is named in the configuration: its program's mode isn't enough.
    pub until_named: bool,
    /// Exceptions too.
    pub rules: u64,
}

/// A program whose mode isn't the same for all clients at all times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Varying {
    pub program: String,
    /// Some groups have another mode.
    pub by_group: bool,
    /// It has a schedule.
    pub by_time: bool,
}

/// What the source holds, whatever is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Held {
    pub first: Option<Moment>,
    /// Before this time single queries were removed for want of room, earlier than `keep` says: at most sums of them are left.
    /// `None`: none were, or the source doesn't tell.
    pub removed_early: Option<Moment>,
    /// Lines of the source that are no query.
    pub unreadable_lines: u64,
    /// It may be of several servers, at which an address may be that of different clients.
    pub several_servers: bool,
}

/// The registrable domain of a name in presentation form; the name itself if it is a public suffix, or above one.
fn registrable(name: &str) -> &str {
    // What a backslash precedes is part of a label, dots and further backslashes too.
    let masked = name.contains('\\').then(|| {
        let mut is_escaped = false;
        let mask = |octet: u8| {
            let is_part = is_escaped;
            is_escaped = octet == b'\\' && !is_part;
            if is_part && octet == b'.' { b'_' } else { octet }
        };
        name.bytes().map(mask).collect::<Vec<u8>>()
    });
    let masked = masked.as_deref().map(String::from_utf8_lossy);
    let domain = psl::domain_str(masked.as_deref().unwrap_or(name));
    domain.and_then(|domain| name.get(name.len() - domain.len()..)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
