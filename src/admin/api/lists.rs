//! Lists over the API: what there is, what differs between texts of one, and which text counts.

use super::super::{
    AdminState,
    auth::Operator,
    change::{ReleaseAsked, RollbackAsked, release, roll_back},
    problem::{Kind, Refusal},
    view::{
        diff::{DiffAsked, DiffError, DiffView, diff},
        list::{WholeList, whole},
        lists::{ListsView, WEEK_HOURS, count, lists, never_hit},
    },
};
use super::{
    asked::{Body, Nothing, Query, Try},
    changes::{lasting, told},
    openapi::{self, Operation},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use schemars::JsonSchema;
use serde::Deserialize;

pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/lists", get(all_lists))
        .route("/api/v1/lists/{program}/{list}", get(one_list))
        .route("/api/v1/lists/{program}/{list}/diff", get(the_diff))
        .route("/api/v1/lists/rollback", post(roll_list_back))
        .route("/api/v1/lists/release", post(release_list))
}

/// What the document says of them.
pub const OPERATIONS: &[Operation] = &[
    openapi::get("/api/v1/lists", "All lists")
        .asks::<Wanted>()
        .gives::<ListsView>(200, "The lists.")
        .refuses(&[Kind::NotYet]),
    openapi::get("/api/v1/lists/{program}/{list}", "One list: what it is, what it decided, its last texts")
        .asks::<Nothing>()
        .gives::<WholeList>(200, "The list.")
        .refuses(&[Kind::NoSuchThing]),
    openapi::get(
        "/api/v1/lists/{program}/{list}/diff",
        "What differs between two texts of a list, and whom that would have hit",
    )
    .asks::<DiffAsked>()
    .gives::<DiffView>(200, "The rules added and removed.")
    .refuses(&[Kind::NoSuchThing, Kind::Invalid, Kind::Fault]),
    lasting("post", "/api/v1/lists/rollback", "Hold a list at one of its last texts")
        .takes::<RollbackAsked>()
        .refuses(&[Kind::NoSuchThing, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("post", "/api/v1/lists/release", "Let a list be what it is now").takes::<ReleaseAsked>().refuses(&[
        Kind::NoSuchThing,
        Kind::NoOverlay,
        Kind::ChangedSince,
    ]),
];

/// Which lists, and whether queries are counted for them: that may take a while on a busy network.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Only those that are on and decided nothing in the last week.
    #[serde(default)]
    never_hit: bool,
    /// With what each decided in the last day and week.
    #[serde(default)]
    hits: bool,
}

async fn all_lists(State(state): State<AdminState>, Query(wanted): Query<Wanted>) -> Result<Json<ListsView>, Refusal> {
    let mut view = lists(&state.health.published.status.load());
    if wanted.hits || wanted.never_hit {
        let why_not = count(&state, &mut view.lists).await;
        if let Some(why) = why_not.filter(|_| wanted.never_hit) {
            return Err(Refusal::new(Kind::NotYet, why));
        }
    }
    view.lists.retain(|list| !wanted.never_hit || never_hit(list));
    Ok(Json(view))
}

async fn one_list(
    State(state): State<AdminState>,
    Path((program, list)): Path<(String, String)>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Json<WholeList>, Refusal> {
    let none = || Refusal::new(Kind::NoSuchThing, format!("there is no list {program}/{list}"));
    whole(&state, &program, &list).await.map(Json).ok_or_else(none)
}

async fn the_diff(
    State(state): State<AdminState>,
    Path((program, list)): Path<(String, String)>,
    Query(asked): Query<DiffAsked>,
) -> Result<Json<DiffView>, Refusal> {
    let asked = DiffAsked { hours: asked.hours.or(Some(WEEK_HOURS)), ..asked };
    diff(&state, &program, &list, asked).await.map(Json).map_err(|error| {
        let kind = match error {
            DiffError::NoList | DiffError::NoVersion(_) => Kind::NoSuchThing,
            DiffError::Invalid(_) => Kind::Invalid,
            DiffError::Fault(_) => Kind::Fault,
        };
        Refusal::new(kind, error.to_string())
    })
}

async fn roll_list_back(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<RollbackAsked>,
) -> Response {
    told(roll_back(&state, &who, &asked, dry_run).await, dry_run, false)
}

async fn release_list(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ReleaseAsked>,
) -> Response {
    told(release(&state, &who, &asked, dry_run).await, dry_run, false)
}
