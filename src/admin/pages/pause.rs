//! The part of a page from which everything is paused for a while.

use super::super::{AdminState, change::pauses::pauses};
use crate::{pause::another, report::Moment};

/// It.
pub struct PauseCard {
    /// Who has none of their verdicts carried out now.
    pub paused: Vec<Paused>,
    /// Groups that there are, besides everybody.
    pub groups: Vec<String>,
    /// Of the time until which it is to last.
    pub zone: String,
    /// The page to go back to.
    pub back: &'static str,
    pub typed: Typed,
    pub problem: Option<String>,
}

/// A pause that holds.
pub struct Paused {
    /// As in the form; both empty: everybody.
    pub group: String,
    pub client: String,
    pub text: String,
    pub until: Moment,
}

/// What was typed.
#[derive(Default)]
pub struct Typed {
    pub group: String,
    /// One client, which was chosen elsewhere; empty: a group or everybody is chosen here.
    pub client: String,
    pub until: String,
    pub reason: String,
}

impl PauseCard {
    pub fn new(state: &AdminState, typed: Typed, problem: Option<String>) -> Self {
        let groups = state.pipeline.groups();
        let view = pauses(state);
        let paused = view.pauses.into_iter().map(|pause| {
            let who = pause.whom();
            let by = pause.who.map(|who| format!(", by {who}")).unwrap_or_default();
            let reason = pause.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let (left, until) = (another(pause.until, view.now), state.zone().shown(pause.until));
            let text = format!("Nothing is blocked for {who} for {left}, until {until}{by}{reason}");
            let client = pause.client.map(|client| client.to_string()).unwrap_or_default();
            let until = Moment(pause.until.saturating_mul(1_000_000));
            Paused { group: pause.group.unwrap_or_default(), client, text, until }
        });
        Self {
            paused: paused.collect(),
            // Where there are no groups, everybody is in none.
            groups: if groups.len() > 1 { groups } else { Vec::new() },
            zone: state.zone().to_string(),
            back: "/",
            typed,
            problem,
        }
    }
}
