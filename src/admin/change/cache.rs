//! Answers that are kept are forgotten.

use super::{
    super::{AdminState, audit::Entry, auth::Who, problem::Refusal},
    note,
};
use crate::dns::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is to be forgotten.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct FlushAsked {
    /// `None`: everything.
    #[serde(default)]
    pub name: Option<String>,
    /// All names below it too.
    #[serde(default)]
    pub subtree: bool,
}

/// What was forgotten.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct Flushed {
    pub answers: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// Forgets a name, a name and all below it, or everything, or only tells how many answers that would be. It looks at every
/// entry.
pub fn flush(state: &AdminState, who: &Who, asked: &FlushAsked, dry_run: bool) -> Result<Flushed, Refusal> {
    let (name, subtree) = match asked.name.as_deref().map(str::parse::<Name>) {
        None => (Name::ROOT, true),
        Some(Ok(name)) => (name, asked.subtree),
        Some(Err(error)) => return Err(Refusal::field("name", error.to_string())),
    };
    if dry_run {
        return Ok(Flushed { answers: state.pipeline.finder().kept_about(&name, subtree), change: None });
    }
    let key = asked.name.as_ref().map_or("cache".to_owned(), |_| format!("cache/{name}"));
    let after = Some(json!({ "subtree": subtree }));
    let change = note(state, Entry { after, ..Entry::new(who, "flush", key) })?;
    (state.forget_saved)();
    let answers = state.pipeline.finder().flush(&name, subtree);
    Ok(Flushed { answers, change: Some(change) })
}
