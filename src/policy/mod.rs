//! Decides, and nothing else: no I/O, no clock, no lock, no await. A `Policy` is immutable; time is an argument.
//!
//! ```text
//! text → parse (→ gate) → RuleSet ┐
//!        programs, groups, modes  ┴→ build → Policy { index } : on_question, on_answer → Verdict
//!                                                                └ decide → tally
//! ```
//!
//! - `rule`: what a line means. `set`: a list's rules packed. `parse`: text to rules. `gate`: what is too broad to be meant.
//! - `export`: a program's rules in forms that others read.
//! - `index`: finds what matches: names by `table`, `pattern`, `places` (with `geo`).
//! - `build`: modes by group, worked out beforehand. `groups`, `schedule`: who, and when.
//! - `decide`: what is looked at, in which order. `tally`: the order of precedence. `verdict`: what comes out.

mod build;
mod decide;
pub mod export;
mod gate;
mod geo;
mod groups;
mod index;
mod mode;
pub mod parse;
mod pattern;
mod places;
mod rule;
mod schedule;
mod set;
mod show;
mod standing;
mod table;
mod tally;
mod verdict;
mod zone;

pub use build::{
    BuildError, GroupSpec, ListSpec, OwnerException, PROGRAMS_MAX, Pause, Policy, PolicySpec, ProgramSpec, Role,
};
pub use decide::{Asking, MatchedRule};
pub use gate::{Broad, Canaries, Gate, change_too_large, whole_suffix};
pub use geo::{Database, DatabaseError, Geo};
pub use groups::{CLIENTS_MAX, Client, ClientKey, ClientKeyError, GROUPS_MAX, Groups};
pub use mode::{BlockAnswer, Mode, UnknownWord};
pub use pattern::{Compiled, PatternError};
pub use places::RuleRef;
pub use rule::{
    Action, AliasTarget, Anchor, ClientIs, Conditions, Effect, LocalData, LocalRecord, Matcher, Pattern, Place, Rule,
    Scope,
};
pub use schedule::{SCHEDULE_BYTES_MAX, Schedule, ScheduleError};
pub use set::{Extra, Flags, Needs, OtherMatcher, PackedRule, PushError, RuleHead, RuleSet, RuleView, What};
pub use standing::{Limit, Modes, Standing};
pub use table::Foreseen;
pub use verdict::{Cause, Link, Outcome, OwnerPass, ProgramVerdict, Reached, Trigger, Verdict};
pub use zone::{UnknownZone, Zone, shown_time};

#[cfg(test)]
mod tests;
