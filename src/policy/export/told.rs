//! What a form doesn't say, for whoever relies on it.

use serde::Serialize;
use std::fmt;

/// Places of rules that are told by reason; more are only counted.
const PLACES_KEPT: usize = 5;

/// Rules that were left out for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Left {
    #[serde(rename = "rules")]
    pub count: usize,
    pub why: &'static str,
    /// The first of them: list and line.
    pub places: Vec<String>,
}

impl fmt::Display for Left {
    /// `12 rules left out: patterns can't be said (own.list:3, own.list:7 …)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.count > self.places.len() { " …" } else { "" };
        write!(f, "{} rules left out: {} ({}{more})", self.count, self.why, self.places.join(", "))
    }
}

/// Collects them.
#[derive(Default)]
pub struct Telling(Vec<Left>);

impl Telling {
    /// A rule at `place` is left out.
    pub fn leave(&mut self, why: &'static str, place: impl FnOnce() -> String) {
        let at = self.0.iter().position(|left| left.why == why).unwrap_or_else(|| {
            self.0.push(Left { why, count: 0, places: Vec::new() });
            self.0.len() - 1
        });
        let left = &mut self.0[at];
        left.count += 1;
        if left.places.len() < PLACES_KEPT {
            left.places.push(place());
        }
    }

    /// What was told so far.
    pub fn left(&self) -> &[Left] {
        &self.0
    }

    pub fn finish(self) -> Vec<Left> {
        self.0
    }
}
