//! What the API changes: pauses, lists, and what answers are kept. And who looks for ways round this resolver.

use super::super::{
    AdminState,
    auth::Operator,
    change::{
        at_leisure,
        cache::{FlushAsked, Flushed, flush},
        lists::{UpdateAsked, UpdateView, update},
        pauses::{PauseAsked, PausesView, pause, pauses},
    },
    problem::Refusal,
};
use super::{
    asked::{Body, Nothing, Query, Try},
    openapi::{Operation, change, get},
};
use crate::{cache::Stats, query::CacheUse};
use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the document says of them.
pub const OPERATIONS: &[Operation] = &[
    get("/api/v1/pause", "The pauses there are").asks::<Nothing>().gives::<PausesView>(200, "The pauses."),
    change("post", "/api/v1/pause", "Pause, or end a pause")
        .more("While it is paused nothing is blocked, for everybody or for a group: everything is in shadow.")
        .tried()
        .takes::<PauseAsked>()
        .gives::<PausesView>(200, "The pauses there are now."),
    change("post", "/api/v1/lists/update", "Read all lists again, and download those with a url")
        .tried()
        .takes::<UpdateAsked>()
        .gives::<UpdateView>(200, "It has begun."),
    get("/api/v1/bypass", "Clients that look for ways round this resolver")
        .asks::<Nothing>()
        .gives::<Vec<BypassView>>(200, "The clients, since the start."),
    get("/api/v1/cache", "The answers that are kept").asks::<Nothing>().gives::<CacheView>(200, "Their counts."),
    change("post", "/api/v1/cache/flush", "Forget kept answers")
        .tried()
        .takes::<FlushAsked>()
        .gives::<Flushed>(200, "How many were forgotten, or would be."),
];

/// `GET /api/v1/pause`
pub async fn paused(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<PausesView> {
    Json(pauses(&state))
}

/// `POST /api/v1/pause`
pub async fn set_pause(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<PauseAsked>,
) -> Result<Json<PausesView>, Refusal> {
    at_leisure(&state, move |state| pause(state, &who, &asked, dry_run)).await.map(Json)
}

/// `POST /api/v1/lists/update`: every list is read again, and those with a url are downloaded. The body is `{}`.
pub async fn update_lists(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(UpdateAsked {}): Body<UpdateAsked>,
) -> Result<Json<UpdateView>, Refusal> {
    at_leisure(&state, move |state| update(state, &who, dry_run)).await.map(Json)
}

/// A client and how many of its questions looked for a way round this resolver.
#[derive(Serialize, JsonSchema)]
pub struct BypassView {
    /// As far as `[query_log] privacy` lets it be told; empty if nothing may be, which is then all clients together.
    client: String,
    questions: u64,
}

/// `GET /api/v1/bypass`
pub async fn bypass(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<Vec<BypassView>> {
    let all = state.telemetry.bypass_by_client(state.pipeline.now());
    Json(all.into_iter().map(|(client, questions)| BypassView { client, questions }).collect())
}

/// The answers that are kept.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct CacheView {
    pub entries: usize,
    /// Octets that they take, of `size` at most.
    pub bytes: u64,
    pub size: u64,
    /// Answers stored, and forgotten on demand, since the start.
    pub stored: u64,
    pub flushed: u64,
    /// Questions whose answer was kept; was kept and given past its time; was resolved.
    pub hits: u64,
    pub stale: u64,
    pub misses: u64,
}

/// `GET /api/v1/cache`
pub async fn cache(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<CacheView> {
    let Stats { entries, bytes, size, stored, flushed } = state.pipeline.finder().cache.stats();
    let [hits, stale, misses] = CacheUse::ALL.map(|cache| state.telemetry.cache_uses(cache));
    Json(CacheView { entries, bytes, size, stored, flushed, hits, stale, misses })
}

/// `POST /api/v1/cache/flush`
pub async fn flush_cache(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Query(Try { dry_run }): Query<Try>,
    Body(asked): Body<FlushAsked>,
) -> Result<Json<Flushed>, Refusal> {
    at_leisure(&state, move |state| flush(state, &who, &asked, dry_run)).await.map(Json)
}
