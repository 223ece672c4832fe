//! Where the readers of formats put what they read, and how a name is read.

use crate::{
    dns::Name,
    policy::{Effect, Rule, Scope},
};

/// What one line came to: rules go to the sink, everything else is told.
pub(super) trait Sink {
    /// A plain rule on a name.
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32);
    /// Any rule.
    fn rule(&mut self, rule: Rule);
    /// A rule that the list takes back (`$badfilter`).
    fn disable(&mut self, rule: Rule);
    /// A line that gives no rule.
    fn skip(&mut self, line: u32, reason: &'static str, detail: String);
}

/// Reads a name that may be a rule's: at least one label.
pub(super) fn read_name(text: &str) -> Result<Name, (&'static str, String)> {
    match text.parse::<Name>() {
        Ok(name) if name.is_root() => Err(("the root would block every name", String::new())),
        Ok(name) => Ok(name),
        Err(error) => Err(("not a name", format!("`{}`: {error}", text.chars().take(60).collect::<String>()))),
    }
}
