//! Rules that the safety gate holds back are let through.

use super::{
    super::{
        AdminState,
        auth::Who,
        problem::{Kind, Refusal},
        view::{diff::DiffError, held::held},
    },
    desk::{Done, Target, Wish},
};
use crate::config::overlay::{Numbered, OwnLetThrough};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rules that are to be let through.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct LetThroughAsked {
    /// Its program and its name, such as `clean-store/tiktok.list`.
    pub list: String,
    /// The names by which they pass: a list's `passes_by` tells them.
    pub names: Vec<String>,
    #[serde(default)]
    pub reason: String,
    /// Whoever asks for it has seen what they will block.
    #[serde(default)]
    pub confirmed: bool,
}

/// Lets rules of a list through, whichever of its texts has them. There has to be one that is held back.
pub async fn let_through(
    state: &AdminState,
    who: &Who,
    asked: &LetThroughAsked,
    dry_run: bool,
) -> Result<Done, Refusal> {
    let list = asked.list.trim();
    let no_list = || Refusal::field("list", format!("there is no list {list}"));
    let (program, name) = list.split_once('/').ok_or_else(no_list)?;
    held(state, program, name, &asked.names, None).await.map_err(|error| match error {
        DiffError::NoList => no_list(),
        DiffError::Fault(why) => Refusal::new(Kind::Fault, why),
        error => Refusal::field("names", error.to_string()),
    })?;
    let own =
        OwnLetThrough { list: list.to_owned(), names: asked.names.clone(), reason: asked.reason.trim().to_owned() };
    let target = Target::New(OwnLetThrough::key);
    let wish = Wish { confirmed: asked.confirmed, ..Wish::new(OwnLetThrough::WORD, target, Some(own.entry())) };
    state.desk.change(who, wish, dry_run).await
}
