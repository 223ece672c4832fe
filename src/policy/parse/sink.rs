//! Where readers of list formats put what they find.

#![cfg_attr(not(test), allow(dead_code, reason = "not yet wired in"))]

use super::super::rule::{Effect, Rule, Scope};
use crate::dns::Name;

/// What one line came to: rules go to the sink, everything else is told.
#[cfg_attr(test, allow(dead_code, reason = "not every reader needs all of it"))]
pub(super) trait Sink {
    /// A plain rule on a name, the fast path.
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32);
    /// Any rule.
    fn rule(&mut self, rule: Rule);
    /// Takes back rules that say the same (`$badfilter`).
    fn disable(&mut self, rule: Rule);
    /// A line that gave no rule: counted, and the first ones kept.
    fn skip(&mut self, line: u32, reason: &'static str, detail: String);
}
