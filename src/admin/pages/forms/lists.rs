//! Lists rolled back to an earlier text, and released from it; their rules let through.

use super::super::{
    super::{
        AdminState,
        auth::{Operator, Reader},
        change::{LetThroughAsked, ReleaseAsked, RollbackAsked, let_through, release, roll_back},
        view::held::names_in,
    },
    lists::{self, Beside},
    words::encoded,
};
use super::{Fields, done};
use crate::config::overlay::OwnLetThrough;
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
        Err(refusal) => {
            let beside = Beside { reason: asked.reason, ..Beside::default() };
            lists::again(&state, reader, &asked.list, refusal, beside).await
        }
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
        Err(refusal) => lists::again(&state, reader, &asked.list, refusal, Beside::default()).await,
    }
}

/// `names` has them with spaces between; `remove` is the id of what is to be held back again.
pub async fn let_rules_through(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    let list = fields.one("list").to_owned();
    let (names, reason) = (names_in(fields.one("names")), fields.one("reason").to_owned());
    let (done_so, beside) = match fields.one("remove") {
        "" => {
            let confirmed = fields.one("confirmed") == "yes";
            let asked = LetThroughAsked { list: list.clone(), names: names.clone(), reason: reason.clone(), confirmed };
            (let_through(&state, &who, &asked, false).await, Beside { names, reason, ..Beside::default() })
        }
        id => (state.desk.remove::<OwnLetThrough>(&who, id, false).await, Beside::default()),
    };
    match done_so {
        Ok(told) => done(&page_of(&list), told.change),
        Err(refusal) => lists::again(&state, reader, &list, refusal, beside).await,
    }
}

/// The page of a list by its program and its name.
pub fn page_of(list: &str) -> String {
    let (program, name) = list.split_once('/').unwrap_or((list, ""));
    format!("/lists/{}/{}", encoded(program), encoded(name))
}
