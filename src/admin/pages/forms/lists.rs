//! Lists rolled back to an earlier text, and released from it.

use super::super::{
    super::{
        AdminState,
        auth::{Operator, Reader},
        change::{ReleaseAsked, RollbackAsked, release, roll_back},
    },
    lists,
    words::encoded,
};
use super::{Fields, done};
use axum::{extract::State, response::Response};

/// `list` is `program/name`; `version` the one that it is rolled back to.
pub async fn roll_list_back(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    let [list, version, reason] = ["list", "version", "reason"].map(|name| fields.one(name).to_owned());
    let asked = RollbackAsked { list, version, reason };
    match roll_back(&state, &who, &asked, false).await {
        Ok(told) => done(&page_of(&asked.list), told.change),
        Err(refusal) => lists::again(&state, reader, &asked.list, asked.reason, refusal).await,
    }
}

pub async fn release_list(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    let asked = ReleaseAsked { list: fields.one("list").to_owned() };
    match release(&state, &who, &asked, false).await {
        Ok(told) => done(&page_of(&asked.list), told.change),
        Err(refusal) => lists::again(&state, reader, &asked.list, String::new(), refusal).await,
    }
}

/// The page of a list by its program and its name.
fn page_of(list: &str) -> String {
    let (program, name) = list.split_once('/').unwrap_or((list, ""));
    format!("/lists/{}/{}", encoded(program), encoded(name))
}
