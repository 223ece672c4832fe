//! Lists are read again.

use super::{
    super::{AdminState, audit::Entry, auth::Who, problem::Refusal},
    note,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was asked of the lists.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct UpdateView {
    /// The lists are being looked at, and `GET /api/v1/lists` tells what comes of it; false if it was only tried.
    pub begun: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// Nothing more is to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAsked {}

/// Every list is read again, and those with a url are downloaded.
pub fn update(state: &AdminState, who: &Who, dry_run: bool) -> Result<UpdateView, Refusal> {
    if dry_run {
        return Ok(UpdateView { begun: false, change: None });
    }
    let change = note(state, Entry::new(who, "update", "lists"))?;
    state.lists.reload();
    state.lists.update();
    Ok(UpdateView { begun: true, change: Some(change) })
}
