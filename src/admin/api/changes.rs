//! Modes, exceptions, blocks and schedules over the API: what is asked for, and what became of it.

use super::super::{
    AdminState,
    auth::Operator,
    change::{self, BlockAsked, Done, ExceptionAsked, ModeAsked, ScheduleAsked, set_mode, undo},
    problem::{Kind, Refusal},
    view::{
        clients::{ClientsAsked, ClientsView, GroupView, clients, groups},
        exceptions::{BlockView, ExceptionView, ListExceptions, Own, own, own_with_hits},
        preview::{Preview, PreviewAsked, preview, sought},
        programs::{Programs, ScheduleView, Scheduled, programs, schedule_of},
        tops::API_WITHIN,
    },
};
use super::{
    asked::{Body, MayBody, Nothing, Number, Query, Try},
    openapi::{self, Operation, change as changing},
};
use crate::config::overlay::{Numbered, OwnBlock, OwnException};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, patch, post, put},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/programs", get(all_programs))
        .route("/api/v1/programs/{program}/preview", get(the_preview))
        .route("/api/v1/clients", get(all_clients))
        .route("/api/v1/groups", get(all_groups))
        .route("/api/v1/modes", put(put_mode).delete(unset_mode))
        .route("/api/v1/schedules", put(set_schedule))
        .route("/api/v1/exceptions", get(exceptions).post(except))
        .route("/api/v1/exceptions/{id}", patch(change_exception).delete(remove::<OwnException>))
        .route("/api/v1/blocks", get(blocks).post(block))
        .route("/api/v1/blocks/{id}", patch(change_block).delete(remove::<OwnBlock>))
        .route("/api/v1/changes/{change}/undo", post(undo_change))
        .route("/api/v1/overlay", get(overlay))
}

/// What the document says of them.
pub const OPERATIONS: &[Operation] = &[
    openapi::get("/api/v1/programs", "The programs with their services, and how far each goes")
        .asks::<Whose>()
        .gives::<Programs>(200, "As they are for one group.")
        .refuses(&[Kind::NoSuchThing]),
    openapi::get(
        "/api/v1/programs/{program}/preview",
        "What it would do if it were enforced, or given back to the configuration",
    )
    .asks::<PreviewAsked>()
    .gives::<Preview>(200, "What it hit, or would have, in the last day and week.")
    .refuses(&[Kind::NoSuchThing, Kind::Invalid]),
    openapi::get("/api/v1/clients", "Who asked of late")
        .asks::<ClientsAsked>()
        .gives::<ClientsView>(200, "Those that asked most."),
    openapi::get("/api/v1/groups", "The groups of clients").asks::<Nothing>().gives::<GroupsView>(200, "The groups."),
    lasting("put", "/api/v1/modes", "Set a mode")
        .more("To set `enforce` it takes `confirmed`: look at what it would block first.")
        .takes::<ModeAsked>()
        .refuses(&[Kind::Confirm, Kind::NoOverlay, Kind::NotYet, Kind::ChangedSince]),
    lasting("delete", "/api/v1/modes", "Give a mode back to the configuration")
        .more("Where that makes something `enforce` it takes `confirmed`, as to set it does.")
        .takes::<ModeAsked>()
        .refuses(&[Kind::Confirm, Kind::NoOverlay, Kind::NotYet, Kind::ChangedSince]),
    changing("put", "/api/v1/schedules", "Set when a program, or a group's own modes, hold")
        .tried()
        .takes::<ScheduleAsked>()
        .gives::<ScheduleDone>(200, IN_FORCE)
        .gives::<ScheduleDone>(202, NOT_YET)
        .refuses(&[Kind::NoOverlay, Kind::ChangedSince]),
    openapi::get("/api/v1/exceptions", "The exceptions: those of the configuration, and those made here")
        .asks::<Nothing>()
        .gives::<ExceptionsView>(200, "The exceptions."),
    lasting("post", "/api/v1/exceptions", "Make an exception")
        .more(SUFFIX)
        .takes::<ExceptionAsked>()
        .gives::<Done>(201, MADE)
        .refuses(&[Kind::Confirm, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("patch", "/api/v1/exceptions/{id}", "Change an exception that was made here")
        .more(STAYS)
        .takes::<ExceptionAsked>()
        .refuses(&[Kind::NoSuchThing, Kind::Confirm, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("delete", "/api/v1/exceptions/{id}", "Remove an exception that was made here").refuses(&[
        Kind::NoSuchThing,
        Kind::NoOverlay,
        Kind::ChangedSince,
    ]),
    openapi::get("/api/v1/blocks", "The blocks that were made here")
        .asks::<Nothing>()
        .gives::<BlocksView>(200, "The blocks."),
    lasting("post", "/api/v1/blocks", "Block a name")
        .more(SUFFIX)
        .takes::<BlockAsked>()
        .gives::<Done>(201, MADE)
        .refuses(&[Kind::Excepted, Kind::Confirm, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("patch", "/api/v1/blocks/{id}", "Change a block that was made here")
        .more(STAYS)
        .takes::<BlockAsked>()
        .refuses(&[Kind::NoSuchThing, Kind::Excepted, Kind::Confirm, Kind::NoOverlay, Kind::ChangedSince]),
    lasting("delete", "/api/v1/blocks/{id}", "Remove a block that was made here").refuses(&[
        Kind::NoSuchThing,
        Kind::NoOverlay,
        Kind::ChangedSince,
    ]),
    lasting("post", "/api/v1/changes/{change}/undo", "Undo a change, if nobody has changed it since")
        .more("Where what it puts back would take `confirmed`, so does it: in its body or its query.")
        .asks::<UndoTried>()
        .may_take::<UndoAsked>()
        .refuses(&[Kind::NoSuchThing, Kind::Confirm, Kind::ChangedSince, Kind::Invalid, Kind::NoOverlay]),
    openapi::get("/api/v1/overlay", "The file of what was changed here, as it is in force")
        .asks::<Nothing>()
        .gives_text("text/plain", "TOML; empty if nothing was changed."),
];

/// What is said of names that are blocked or excepted.
const SUFFIX: &str = "A single label or public suffix with all below it, such as `lan` or `co.uk`, takes `confirmed`.";

/// The same of what is there.
const STAYS: &str = "What is left out stays. A single label or public suffix with all below it, such as `lan` or `co.uk`, takes `confirmed`.";

/// What is said of something new.
pub const MADE: &str = "It is made, and in force.";

/// The same of what was there.
const IN_FORCE: &str = "It is in force; or it was only tried.";

/// What is said of what takes its time.
const NOT_YET: &str = "It is kept, and not in force yet.";

/// A change that lasts: it is in force, or soon will be.
pub const fn lasting(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    changing(method, path, summary).tried().gives::<Done>(200, IN_FORCE).gives::<Done>(202, NOT_YET)
}

/// What became of a change: 200 once it is in force, 202 while it isn't.
pub fn told<D: Borrow<Done> + Serialize>(done: Result<D, Refusal>, dry_run: bool, created: bool) -> Response {
    match done {
        Err(refusal) => refusal.into_response(),
        Ok(done) => {
            let status = match done.borrow().in_force {
                false if !dry_run => StatusCode::ACCEPTED,
                _ if created && !dry_run => StatusCode::CREATED,
                _ => StatusCode::OK,
            };
            (status, Json(done)).into_response()
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// Empty: clients in no group.
    #[serde(default)]
    group: String,
}

async fn all_programs(State(state): State<AdminState>, Query(whose): Query<Whose>) -> Result<Json<Programs>, Refusal> {
    let none = || Refusal::new(Kind::NoSuchThing, format!("there is no group {}", whose.group));
    programs(&state, &whose.group).map(Json).ok_or_else(none)
}

async fn the_preview(
    State(state): State<AdminState>,
    Path(program): Path<String>,
    Query(asked): Query<PreviewAsked>,
) -> Result<Json<Preview>, Refusal> {
    let asked = PreviewAsked { program, ..asked };
    let none = || Refusal::new(Kind::NoSuchThing, "there is no such program, service or group");
    let sought = sought(&state, &asked).ok_or_else(none)?;
    // As a change to it would be refused.
    let modes = state.desk.modes_with(sought.key.clone(), sought.entry.clone()).await?;
    Ok(Json(preview(&state, sought, &modes).await))
}

async fn all_clients(State(state): State<AdminState>, Query(asked): Query<ClientsAsked>) -> Json<ClientsView> {
    Json(clients(&state, asked).await)
}

#[derive(Serialize, JsonSchema)]
struct GroupsView {
    groups: Vec<GroupView>,
}

async fn all_groups(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<GroupsView> {
    Json(GroupsView { groups: groups(&state) })
}

async fn put_mode(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ModeAsked>,
) -> Response {
    if asked.mode.is_none() {
        return Refusal::field("mode", "write off, shadow or enforce; DELETE gives it back to the configuration")
            .into_response();
    }
    told(set_mode(&state, &who, &asked, dry_run).await, dry_run, false)
}

async fn unset_mode(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ModeAsked>,
) -> Response {
    let asked = ModeAsked { mode: None, ..asked };
    told(set_mode(&state, &who, &asked, dry_run).await, dry_run, false)
}

/// What became of a schedule, and how it stands now; without one it is always on.
#[derive(Serialize, JsonSchema)]
struct ScheduleDone {
    #[serde(flatten)]
    done: Done,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleView>,
}

impl Borrow<Done> for ScheduleDone {
    fn borrow(&self) -> &Done {
        &self.done
    }
}

async fn set_schedule(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ScheduleAsked>,
) -> Response {
    let done = state.desk.set_schedule(&who, &asked, dry_run).await;
    let asked = match (&asked.schedule, &asked.group, &asked.program) {
        (Some(text), ..) => Scheduled::Text(text),
        (None, Some(group), _) => Scheduled::Group(group),
        (None, None, program) => Scheduled::Program(program.as_deref().unwrap_or_default()),
    };
    let schedule = done.is_ok().then(|| schedule_of(&state, asked)).flatten();
    told(done.map(|done| ScheduleDone { done, schedule }), dry_run, false)
}

#[derive(Serialize, JsonSchema)]
struct ExceptionsView {
    exceptions: Vec<ExceptionView>,
    /// Lists that have exceptions of their own.
    of_lists: Vec<ListExceptions>,
    /// Why it isn't known how often they matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    caveat: Option<String>,
}

async fn exceptions(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<ExceptionsView> {
    let Own { exceptions, of_lists, caveat, .. } = own_with_hits(&state, API_WITHIN).await;
    Json(ExceptionsView { exceptions, of_lists, caveat })
}

async fn except(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ExceptionAsked>,
) -> Response {
    told(state.desk.except(&who, None, asked, dry_run).await, dry_run, true)
}

async fn change_exception(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<ExceptionAsked>,
) -> Response {
    told(state.desk.except(&who, Some(&id), asked, dry_run).await, dry_run, false)
}

/// Removes something that is called by a number.
pub async fn remove<T: Numbered>(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Query(Try { dry_run }): Query<Try>,
) -> Response {
    told(state.desk.remove::<T>(&who, &id, dry_run).await, dry_run, false)
}

#[derive(Serialize, JsonSchema)]
struct BlocksView {
    blocks: Vec<BlockView>,
}

async fn blocks(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<BlocksView> {
    Json(BlocksView { blocks: own(&state).blocks })
}

async fn block(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<BlockAsked>,
) -> Response {
    told(change::block(&state, &who, None, asked, dry_run).await, dry_run, true)
}

async fn change_block(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<BlockAsked>,
) -> Response {
    told(change::block(&state, &who, Some(&id), asked, dry_run).await, dry_run, false)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UndoTried {
    /// It is checked and told, and nothing is changed.
    #[serde(default)]
    dry_run: bool,
    /// As in the body.
    #[serde(default)]
    confirmed: bool,
}

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
struct UndoAsked {
    /// Whoever asks for it has seen what it will block.
    #[serde(default)]
    confirmed: bool,
}

async fn undo_change(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Number(change): Number<u64>,
    Query(tried): Query<UndoTried>,
    MayBody(asked): MayBody<UndoAsked>,
) -> Response {
    let (confirmed, dry_run) = (tried.confirmed || asked.confirmed, tried.dry_run);
    told(undo(&state, &who, change, confirmed, dry_run).await, dry_run, false)
}

async fn overlay(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], state.desk.text())
}
