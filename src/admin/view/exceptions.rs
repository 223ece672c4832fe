//! Exceptions and blocks: the owner's own, and those made here.

use super::super::AdminState;
use crate::config::overlay::{Entry, FILE_NAME, Key, name_told};
use serde::Serialize;

/// All of both.
#[derive(Serialize, Debug)]
pub struct Own {
    pub exceptions: Vec<ExceptionView>,
    pub blocks: Vec<BlockView>,
}

/// An exception.
#[derive(Serialize, Debug)]
pub struct ExceptionView {
    /// Of one that was made here; the owner's own are written in the configuration, and can't be changed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `=name` is that name alone.
    pub names: Vec<String>,
    /// Lists whose every rule passes.
    #[serde(skip_serializing_if = "is_zero")]
    pub lists: usize,
    /// None: all programs.
    pub programs: Vec<String>,
    /// None: everybody.
    pub groups: Vec<String>,
    pub reason: String,
    /// The last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub place: String,
    /// It isn't over, and what it is limited to is there.
    pub holds: bool,
}

/// A block.
#[derive(Serialize, Debug)]
pub struct BlockView {
    pub id: String,
    pub name: String,
    pub groups: Vec<String>,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub holds: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ExceptionView {
    /// Its names as they are meant.
    pub fn told(&self) -> Vec<String> {
        self.names.iter().map(|name| name_told(name)).collect()
    }
}

/// All exceptions and blocks.
pub fn own(state: &AdminState) -> Own {
    let (config, overlay, now) = (state.settings.config(), state.desk.overlay(), state.pipeline.now());
    let day = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let of_owner = |place: &str| !place.starts_with(FILE_NAME);
    let ours = config.exceptions.iter().filter(|own| of_owner(&own.place)).map(|own| ExceptionView {
        id: None,
        names: own.names.iter().map(|(name, extent)| crate::config::overlay::written(name, *extent)).collect(),
        lists: own.lists.len(),
        programs: own.programs.clone(),
        groups: own.groups.clone(),
        reason: own.reason.clone(),
        until: day(&own.until_text),
        place: own.place.clone(),
        holds: own.until.is_none_or(|until| now < until),
    });
    let mut exceptions: Vec<ExceptionView> = ours.collect();
    let mut blocks = Vec::new();
    for (key, entry) in overlay.entries() {
        let place = crate::config::overlay::place(key);
        match entry {
            Entry::Exception(own) => {
                let laid = config.exceptions.iter().find(|laid| laid.place == place);
                exceptions.push(ExceptionView {
                    id: Some(key.id()),
                    names: own.names.clone(),
                    lists: 0,
                    programs: own.programs.clone(),
                    groups: own.groups.clone(),
                    reason: own.reason.clone(),
                    until: day(&own.until),
                    holds: laid.is_some_and(|laid| laid.until.is_none_or(|until| now < until)),
                    place,
                });
            }
            Entry::Block(own) => blocks.push(BlockView {
                id: key.id(),
                name: own.name.clone(),
                groups: own.groups.clone(),
                reason: own.reason.clone(),
                until: day(&own.until),
                holds: !is_over(&own.until, &config.policy.time_zone, now),
            }),
            Entry::Mode(_) | Entry::Schedule(_) => {}
        }
    }
    Own { exceptions, blocks }
}

/// The one that was made here under an id, to be changed.
pub fn one(state: &AdminState, id: &str) -> Option<Entry> {
    let keys = [format!("exception/{id}"), format!("block/{id}")];
    let overlay = state.desk.overlay();
    keys.iter().find_map(|key| overlay.entry(&key.parse::<Key>().ok()?).cloned())
}

fn is_over(until: &str, zone: &crate::policy::Zone, now: i64) -> bool {
    crate::config::end_of_day(until, zone).is_ok_and(|end| now >= end)
}
