//! Lists over the API: what there is, what differs between texts of one, and which text counts.

use super::super::{
    AdminState,
    auth::Operator,
    change::{Done, LetThroughAsked, ReleaseAsked, RollbackAsked, let_through, release, roll_back},
    problem::{Kind, Refusal},
    view::{
        diff::{DiffAsked, DiffError, DiffView, diff},
        held::{self, HeldAsked, HeldView, LetThroughView, held, names_in},
        list::{WholeList, whole},
        lists::{ListsView, WEEK_HOURS, count, lists, never_hit},
    },
};
use super::{
    asked::{Body, Nothing, Query, Try},
    changes::{MADE, lasting, remove, told},
    openapi::{self, Operation},
};
use crate::config::overlay::OwnLetThrough;
use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::{delete, get, post},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/lists", get(all_lists))
        .route("/api/v1/lists/{program}/{list}", get(one_list))
        .route("/api/v1/lists/{program}/{list}/diff", get(the_diff))
        .route("/api/v1/lists/{program}/{list}/held", get(the_held))
        .route("/api/v1/let-through", get(all_let_through).post(let_rules_through))
        .route("/api/v1/let-through/{id}", delete(remove::<OwnLetThrough>))
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
    openapi::get("/api/v1/lists/{program}/{list}/held", "What letting rules through would come to that are held back")
        .asks::<HeldAsked>()
        .gives::<HeldView>(200, "The rules, and whom they would have hit.")
        .refuses(&[Kind::NoSuchThing, Kind::Invalid, Kind::Fault]),
    openapi::get("/api/v1/let-through", "Rules that would be held back, and that were let through here")
        .asks::<Nothing>()
        .gives::<AllLetThrough>(200, "Which they are."),
    lasting("post", "/api/v1/let-through", "Let rules of a list through that are held back")
        .more("It takes `confirmed`: look at what they cover first.")
        .takes::<LetThroughAsked>()
        .gives::<Done>(201, MADE)
        .refuses(&[Kind::Confirm, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("delete", "/api/v1/let-through/{id}", "Have rules held back again").refuses(&[
        Kind::NoSuchThing,
        Kind::NoOverlay,
        Kind::ChangedSince,
    ]),
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
    diff(&state, &program, &list, asked).await.map(Json).map_err(|error| refused(&error))
}

fn refused(error: &DiffError) -> Refusal {
    let kind = match error {
        DiffError::NoList | DiffError::NoVersion(_) => Kind::NoSuchThing,
        DiffError::Invalid(_) => Kind::Invalid,
        DiffError::Fault(_) => Kind::Fault,
    };
    Refusal::new(kind, error.to_string())
}

async fn the_held(
    State(state): State<AdminState>,
    Path((program, list)): Path<(String, String)>,
    Query(HeldAsked { names, hours }): Query<HeldAsked>,
) -> Result<Json<HeldView>, Refusal> {
    let hours = hours.or(Some(WEEK_HOURS));
    held(&state, &program, &list, &names_in(&names), hours).await.map(Json).map_err(|error| refused(&error))
}

#[derive(Serialize, JsonSchema)]
struct AllLetThrough {
    let_through: Vec<LetThroughView>,
}

async fn all_let_through(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<AllLetThrough> {
    Json(AllLetThrough { let_through: held::let_through(&state, None) })
}

async fn let_rules_through(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<LetThroughAsked>,
) -> Response {
    told(let_through(&state, &who, &asked, dry_run).await, dry_run, true)
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
