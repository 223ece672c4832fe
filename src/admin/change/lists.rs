//! Lists are read again.

use super::{
    super::{AdminState, audit::Entry, auth::Who, problem::Refusal},
    note,
};
use serde::{Deserialize, Serialize};

/// What was asked of the lists.
#[derive(Serialize, Deserialize, Debug)]
pub struct UpdateView {
    /// Always true: the lists are being looked at, and `GET /api/v1/lists` tells what comes of it.
    pub begun: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// Every list is read again, and those with a url are downloaded.
pub fn update(state: &AdminState, who: &Who) -> Result<UpdateView, Refusal> {
    let change = note(state, Entry::new(who, "update", "lists"))?;
    state.lists.reload();
    state.lists.update();
    Ok(UpdateView { begun: true, change: Some(change) })
}
