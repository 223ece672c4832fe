//! A line of what is in force, as `systemctl status` shows it.

use crate::{app::Running, health::Readiness, policy::Mode};
use std::collections::BTreeSet;

/// Concerns told in the line; of more there is the number.
const CONCERNS_MAX: usize = 1;

/// The line as it was told last.
#[derive(Default)]
pub struct StatusLine {
    told: String,
}

impl StatusLine {
    /// The line now, which counts as told.
    pub fn now(&mut self, running: &Running) -> &str {
        self.told = line(running);
        &self.told
    }

    /// The same, if there is something new.
    pub fn news(&mut self, running: &Running) -> Option<&str> {
        let line = line(running);
        (line != self.told).then(|| {
            self.told = line;
            self.told.as_str()
        })
    }
}

/// `Answers on 127.0.0.1:53; 263 rules of 12 lists in force; blocks for clean-store, clean-apps; degraded: …`.
fn line(running: &Running) -> String {
    let addresses: Vec<String> = running.dns.iter().map(ToString::to_string).collect();
    let status = running.published.status.load();
    let rules = running.published.policy.load().as_ref().map_or(0, |policy| policy.rule_count());
    let lists = status.lists.iter().filter(|list| list.since.is_some()).count();
    let enforced = status.lists.iter().filter(|list| list.mode == Mode::Enforce).map(|list| list.program.as_str());
    let enforced: Vec<&str> = enforced.collect::<BTreeSet<_>>().into_iter().collect();
    let blocks = match enforced.is_empty() {
        true => "blocks nothing".to_owned(),
        false => format!("blocks for {}", enforced.join(", ")),
    };
    let text = format!("Answers on {}; {rules} rules of {lists} lists in force; {blocks}", addresses.join(", "));
    let (readiness, concerns) = running.health.look();
    if readiness != Readiness::Degraded {
        return text;
    }
    let first: Vec<String> = concerns.iter().take(CONCERNS_MAX).map(|concern| concern.sentence()).collect();
    let more = match concerns.len().saturating_sub(CONCERNS_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{text}; degraded: {}{more}", first.join(", "))
}
