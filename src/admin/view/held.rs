//! Rules of a list that the safety gate holds back: by which names they are let through, what that would come to, and
//! which are.

use super::{
    super::AdminState,
    diff::{AskedView, DiffError, Measured, ONE_AT_A_TIME, SideView, hours_of, measured, told_max},
    lists::of_state,
};
use crate::{
    config::{
        self,
        overlay::{Entry, OwnLetThrough},
    },
    dns::Name,
    lists::{ListPath, ListState, Manner, TextDiff, differ},
    policy::{RuleSet, parse::Unusable},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Names that are let through at once.
const NAMES_MAX: usize = 100;

/// Which rules would be let through.
#[derive(Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct HeldAsked {
    /// The names by which they pass, with commas or spaces between them.
    pub names: String,
    /// How far back it is looked whom they would have hit; 0: not at all. A week, unless it is said.
    #[serde(default)]
    pub hours: Option<u32>,
}

/// What letting them through would come to.
#[derive(Serialize, JsonSchema, Debug)]
pub struct HeldView {
    pub program: String,
    pub list: String,
    pub names: Vec<String>,
    /// The rules that would be in force, and what they would have hit.
    pub rules: SideView,
    /// What was looked at to tell whom they would have hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedView>,
    /// Why nothing was, though it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Rules that are let through.
#[derive(Serialize, JsonSchema, Clone, Debug)]
pub struct LetThroughView {
    pub id: String,
    /// The program and the name of the list.
    pub list: String,
    /// The names by which they pass.
    pub names: Vec<String>,
    pub reason: String,
}

/// All that is let through, of one list or of all.
pub fn let_through(state: &AdminState, list: Option<&str>) -> Vec<LetThroughView> {
    let overlay = state.desk.overlay();
    let own = overlay.entries().filter_map(|(key, entry)| match entry {
        Entry::LetThrough(own) if list.is_none_or(|list| own.list == list) => {
            let OwnLetThrough { list, names, reason } = own.clone();
            Some(LetThroughView { id: key.id(), list, names, reason })
        }
        _ => None,
    });
    own.collect()
}

/// The names in a text, with commas or spaces between them.
pub fn names_in(text: &str) -> Vec<String> {
    text.split(|sign: char| sign == ',' || sign.is_whitespace())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Which of the rules held back in a list some names would let through, and whom those would have hit.
pub async fn held(
    state: &AdminState,
    program: &str,
    name: &str,
    names: &[String],
    hours: Option<u32>,
) -> Result<HeldView, DiffError> {
    let hours = hours_of(hours)?;
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(DiffError::Invalid(format!("write 1 to {NAMES_MAX} names")));
    }
    let read: Result<Vec<Name>, String> = names.iter().map(|name| config::name(name)).collect();
    let read = read.map_err(DiffError::Invalid)?;
    let text = of_state(state, program, name, TextNow::of).ok_or(DiffError::NoList)?;
    let fault = |error: &dyn std::fmt::Display| DiffError::Fault(error.to_string());
    let _turn = ONE_AT_A_TIME.acquire().await.map_err(|error| fault(&error))?;
    let reading = tokio::task::spawn_blocking(move || text.difference(&read, told_max(hours)));
    let differing = reading.await.map_err(|error| fault(&error))??;
    if differing.added.count == 0 {
        let what = format!("no rule of {program}/{name} is held back for {}", names.join(", "));
        return Err(DiffError::Invalid(what));
    }
    let Measured { added, asked, why_not, .. } = measured(state, name, differing, hours).await;
    let (program, list, names) = (program.to_owned(), name.to_owned(), names.to_vec());
    Ok(HeldView { program, list, names, rules: added, asked, why_not })
}

/// The text of a list that counts now, or would if its rules weren't held back.
struct TextNow {
    path: ListPath,
    kept_at: Option<PathBuf>,
    /// 0: nothing of it is in force, and whichever there is will do.
    version: u64,
    manner: Manner,
}

impl TextNow {
    fn of(list: &ListState) -> Self {
        let ListState { path, kept_at, version, manner, .. } = list;
        Self { path: path.clone(), kept_at: kept_at.clone(), version: *version, manner: manner.clone() }
    }

    /// The rules that some more names let through.
    fn difference(&self, names: &[Name], told_max: usize) -> Result<TextDiff, DiffError> {
        let (before, after) = (self.read(&self.manner)?, self.read(&self.manner.letting_through(names))?);
        Ok(differ(&before, &after, told_max))
    }

    fn read(&self, manner: &Manner) -> Result<RuleSet, DiffError> {
        match manner.read_version(&self.path, self.kept_at.as_deref(), self.version) {
            Some((Ok(parsed), _)) => Ok(parsed.rules),
            // Then nothing is in force.
            Some((Err(Unusable::AllHeld { .. }), _)) => Ok(RuleSet::default()),
            Some((Err(unusable), _)) => Err(DiffError::NoVersion(unusable.to_string())),
            None => Err(DiffError::NoVersion(self.why_none().to_owned())),
        }
    }

    fn why_none(&self) -> &'static str {
        match (&self.path, self.version) {
            (ListPath::Url { .. }, 0) => {
                "nothing of this list was ever in force, and only what was is kept of a download; write the names as \
                 `release` of the list in the configuration"
            }
            _ => "its text isn't kept yet; try again in a moment",
        }
    }
}
