//! What the API changes: pauses, and what answers are kept. And who looks for ways round this resolver.
//!
//! A change is asked for by a JSON body. A page of another origin can't send one without asking first (CORS), which
//! nothing here answers.

use super::super::AdminState;
use crate::{
    cache::Stats,
    dns::Name,
    pause::{Kept, PauseError},
    query::CacheUse,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// A pause that is asked for.
#[derive(Serialize, Deserialize, Debug)]
pub struct PauseAsked {
    /// `None`: everybody; `default`: clients in no group.
    #[serde(default)]
    pub group: Option<String>,
    /// From now on; 0 ends the pause.
    pub seconds: u64,
}

/// The pauses there are.
#[derive(Serialize, Deserialize, Debug)]
pub struct PausesView {
    /// Seconds since 1970 (UTC).
    pub now: i64,
    pub pauses: Vec<Kept>,
    /// Why they don't outlast a restart, if they don't.
    #[serde(default)]
    pub warning: Option<String>,
}

/// `GET /api/v1/pause`
pub async fn pauses(State(state): State<AdminState>) -> Json<PausesView> {
    Json(view(&state, None))
}

/// `POST /api/v1/pause`
pub async fn pause(State(state): State<AdminState>, Json(asked): Json<PauseAsked>) -> Response {
    let work = state.clone();
    let set = tokio::task::spawn_blocking(move || {
        let now = work.pipeline.now();
        let seconds = i64::try_from(asked.seconds).unwrap_or(i64::MAX - now);
        work.pipeline.pause(asked.group.as_deref(), now.saturating_add(seconds))
    });
    match set.await {
        Ok(Ok(())) => Json(view(&state, None)).into_response(),
        Ok(Err(error @ PauseError::NotKept(_))) => Json(view(&state, Some(error.to_string()))).into_response(),
        Ok(Err(error)) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn view(state: &AdminState, warning: Option<String>) -> PausesView {
    let now = state.pipeline.now();
    PausesView { now, pauses: state.pipeline.pauses().list(now), warning }
}

/// What was asked of the lists.
#[derive(Serialize, Deserialize, Debug)]
pub struct UpdateView {
    /// Always true: the lists are being looked at, and `GET /api/v1/lists` tells what comes of it.
    pub begun: bool,
}

/// `POST /api/v1/lists/update`: every list is read again, and those with a url are downloaded. The body is `{}`.
pub async fn update(State(state): State<AdminState>, Json(_): Json<serde_json::Value>) -> Json<UpdateView> {
    state.lists.reload();
    state.lists.update();
    Json(UpdateView { begun: true })
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

/// What is to be forgotten.
#[derive(Serialize, Deserialize, Debug)]
pub struct FlushAsked {
    /// `None`: everything.
    #[serde(default)]
    pub name: Option<String>,
    /// All names below it too.
    #[serde(default)]
    pub subtree: bool,
}

/// What was forgotten.
#[derive(Serialize, Deserialize, Debug)]
pub struct Flushed {
    pub answers: u64,
}

/// `POST /api/v1/cache/flush`
pub async fn flush(State(state): State<AdminState>, Json(asked): Json<FlushAsked>) -> Response {
    let (name, subtree) = match asked.name.as_deref().map(str::parse::<Name>) {
        None => (Name::ROOT, true),
        Some(Ok(name)) => (name, asked.subtree),
        Some(Err(error)) => {
            let name = asked.name.unwrap_or_default();
            return (StatusCode::BAD_REQUEST, format!("name `{name}`: {error}\n")).into_response();
        }
    };
    // It looks at every entry.
    let flushing = tokio::task::spawn_blocking(move || {
        (state.forget_saved)();
        state.pipeline.finder().flush(&name, subtree)
    });
    match flushing.await {
        Ok(answers) => Json(Flushed { answers }).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
