//! Decides, and nothing else: no I/O, no clock, no lock, no await. A `Policy` is immutable; time is an argument.
//!
//! ```text
//! text → parse → RuleSet ┐
//!        programs, modes ┴→ build → Policy: on_question, on_answer → Verdict
//! ```

mod build;
mod groups;
mod index;
mod mode;
pub mod parse;
mod rule;
mod schedule;
mod verdict;
mod zone;

pub use build::{
    Alias, BuildError, ListSpec, MatchedRule, OwnerException, PROGRAMS_MAX, Policy, PolicySpec, ProgramSpec,
};
pub use groups::{CLIENTS_MAX, Client, ClientKey, ClientKeyError, GROUPS_MAX, Groups};
pub use mode::{BlockAnswer, Mode, UnknownWord};
pub use rule::{Effect, Rule, RuleSet, Scope, TooLong};
pub use schedule::{SCHEDULE_BYTES_MAX, Schedule, ScheduleError};
pub use verdict::{Cause, Outcome, OwnerPass, ProgramVerdict, Trigger, Verdict};
pub use zone::{UnknownZone, Zone};
