//! What the API changes: pauses, lists, and what answers are kept. And who looks for ways round this resolver.

use super::super::{
    AdminState,
    auth::Operator,
    change::{
        at_leisure,
        cache::{FlushAsked, Flushed, flush},
        lists::{UpdateView, update},
        pauses::{PauseAsked, PausesView, pause, pauses},
    },
    problem::Refusal,
};
use crate::{cache::Stats, query::CacheUse};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/pause`
pub async fn paused(State(state): State<AdminState>) -> Json<PausesView> {
    Json(pauses(&state))
}

/// `POST /api/v1/pause`
pub async fn set_pause(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Json(asked): Json<PauseAsked>,
) -> Result<Json<PausesView>, Refusal> {
    at_leisure(&state, move |state| pause(state, &who, &asked)).await.map(Json)
}

/// `POST /api/v1/lists/update`: every list is read again, and those with a url are downloaded. The body is `{}`.
pub async fn update_lists(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Json(_): Json<serde_json::Value>,
) -> Result<Json<UpdateView>, Refusal> {
    at_leisure(&state, move |state| update(state, &who)).await.map(Json)
}

/// A client and how many of its questions looked for a way round this resolver.
#[derive(Serialize)]
pub struct BypassView {
    /// As far as `[query_log] privacy` lets it be told; empty if nothing may be, which is then all clients together.
    client: String,
    questions: u64,
}

/// `GET /api/v1/bypass`
pub async fn bypass(State(state): State<AdminState>) -> Json<Vec<BypassView>> {
    let all = state.telemetry.bypass_by_client(state.pipeline.now());
    Json(all.into_iter().map(|(client, questions)| BypassView { client, questions }).collect())
}

/// The answers that are kept.
#[derive(Serialize, Deserialize, Debug)]
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
pub async fn cache(State(state): State<AdminState>) -> Json<CacheView> {
    let Stats { entries, bytes, size, stored, flushed } = state.pipeline.finder().cache.stats();
    let [hits, stale, misses] = CacheUse::ALL.map(|cache| state.telemetry.cache_uses(cache));
    Json(CacheView { entries, bytes, size, stored, flushed, hits, stale, misses })
}

/// `POST /api/v1/cache/flush`
pub async fn flush_cache(
    State(state): State<AdminState>,
    Operator(who): Operator,
    Json(asked): Json<FlushAsked>,
) -> Result<Json<Flushed>, Refusal> {
    at_leisure(&state, move |state| flush(state, &who, &asked)).await.map(Json)
}
