//! Routes for programs. Each takes its request apart, calls a view or a change, and gives JSON.

mod changes;
pub mod control;
mod lists;
mod log;
mod openapi;
mod session;
mod setup;

use super::asked::{self, Nothing, Query};
use super::{
    AdminState,
    gauges::gauges,
    problem::{Kind, Refusal},
    view::{
        changes::{ChangesView, changes},
        explain::{Asked, ExplainError, Explained, explain},
        overview::{self, Overview, STEP_SECONDS},
        tops::{self, HOURS_MAX, Of, TopView},
    },
};
use crate::{config, health::Readiness, policy::Zone, report::form::TimeLine, telemetry::render};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use openapi::Operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Steps that a time line has at most: a day by the minute.
const STEPS_MAX: i64 = 1440;

/// Rows of a top list at most.
const ROWS_MAX: usize = 100;

/// What whoever restarts or routes around a server asks: it needs no secret, and learns none.
pub fn open() -> Router<AdminState> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// Everything else.
pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/overview", get(the_overview))
        .route("/api/v1/overview/time_line", get(time_line))
        .route("/api/v1/overview/top", get(top))
        .route("/api/v1/log", get(log::search))
        .route("/api/v1/log/tail", get(log::tail))
        .route("/api/v1/log/{row}", get(log::row))
        .route("/api/v1/explain", get(explain_name))
        .route("/api/v1/lists/update", post(control::update_lists))
        .route("/api/v1/bypass", get(control::bypass))
        .route("/api/v1/cache", get(control::cache))
        .route("/api/v1/cache/flush", post(control::flush_cache))
        .route("/api/v1/changes", get(all_changes))
        .merge(changes::routes())
        .route("/api/v1/setup", get(setup::show))
        .route("/api/v1/setup/seen", get(setup::seen))
        .merge(lists::routes())
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .route("/api/v1/session", get(session::session).post(session::sign_in).delete(session::sign_out))
        .route("/api/v1/pause", get(control::paused).post(control::set_pause))
}

/// What the document says of the routes above, but for those whose handlers stand elsewhere.
const OPERATIONS: &[Operation] = &[
    openapi::get("/healthz", "Whether the process is alive")
        .by(openapi::Who::Anybody)
        .gives_text("text/plain", "It is."),
    openapi::get("/readyz", "Whether queries should be sent here")
        .by(openapi::Who::Anybody)
        .gives::<ReadyView>(200, "They should; `degraded` has reasons for concern.")
        .gives::<ReadyView>(503, "They should not."),
    openapi::get("/metrics", "Everything that is counted, for Prometheus").gives_text("text/plain", "The metrics."),
    openapi::get("/api/v1/overview", "What is wrong, how many queries there were, how fast they were answered")
        .asks::<Nothing>()
        .gives::<Overview>(200, "What holds now, and counts of the last 24 hours."),
    openapi::get("/api/v1/overview/time_line", "Queries over time, in steps")
        .asks::<Between>()
        .gives::<TimeLine>(200, "The steps.")
        .refuses(&[Kind::NoSuchThing, Kind::Invalid]),
    openapi::get("/api/v1/overview/top", "What was blocked most, or would have been")
        .asks::<TopAsked>()
        .gives::<TopView>(200, "The first rows.")
        .refuses(&[Kind::NoSuchThing, Kind::Invalid, Kind::NotYet]),
    openapi::get("/api/v1/explain", "What would become of a question, and why")
        .more("It is asked and not counted. Without `client`, 127.0.0.1 is meant.")
        .asks::<Asked>()
        .gives::<Explained>(200, "The verdict with all that led to it.")
        .refuses(&[Kind::NotYet]),
    openapi::get("/api/v1/changes", "Who changed what, newest first")
        .asks::<Before>()
        .gives::<ChangesView>(200, "A page of changes."),
];

/// All operations, for the document.
fn operations() -> impl Iterator<Item = &'static Operation> {
    let parts = [
        OPERATIONS,
        log::OPERATIONS,
        openapi::OPERATIONS,
        control::OPERATIONS,
        changes::OPERATIONS,
        lists::OPERATIONS,
        session::OPERATIONS,
        setup::OPERATIONS,
    ];
    parts.into_iter().flatten()
}

async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize, JsonSchema)]
struct ReadyView {
    #[schemars(extend("enum" = ["starting", "ready", "degraded", "draining"]))]
    status: &'static str,
    reasons: Vec<String>,
}

async fn readyz(State(state): State<AdminState>) -> impl IntoResponse {
    let (readiness, concerns) = state.health.look();
    let status = if readiness.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reasons = concerns.iter().map(|concern| concern.sentence()).collect();
    (status, Json(ReadyView { status: Readiness::word(readiness), reasons }))
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let text = render(&state.telemetry, &gauges(&state));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn the_overview(State(state): State<AdminState>, Query(Nothing {}): Query<Nothing>) -> Json<Overview> {
    Json(overview::overview(&state))
}

/// Which part of the time line, and how fine.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Between {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    /// Seconds of a step, whole minutes.
    #[serde(default)]
    step: Option<i64>,
}

async fn time_line(State(state): State<AdminState>, Query(between): Query<Between>) -> Result<Json<TimeLine>, Refusal> {
    let step = between.step.unwrap_or(STEP_SECONDS);
    if !(60..=86_400).contains(&step) || step % 60 != 0 {
        return Err(Refusal::field("step", "write seconds of whole minutes, from 60 to 86400"));
    }
    let time = |name: &str, text: Option<&str>| {
        let micros = text.map(|text| config::moment(text, &Zone::utc())).transpose();
        let seconds = micros.map(|micros| micros.map(|micros| micros.div_euclid(1_000_000)));
        seconds.map_err(|why| Refusal::field(name, why))
    };
    let (from, to) = (time("from", between.from.as_deref())?, time("to", between.to.as_deref())?);
    let (earliest, latest) = (from.unwrap_or(i64::MIN), to.unwrap_or_else(|| state.pipeline.now()));
    if from.is_some() && latest.saturating_sub(earliest) > STEPS_MAX * step {
        return Err(Refusal::field("from", format!("{STEPS_MAX} steps at most")));
    }
    let line = overview::time_line_of(&state, from, to, step).await;
    line.map(Json).map_err(|error| log::unread(&error))
}

/// Which rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TopAsked {
    of: String,
    #[serde(default)]
    hours: Option<u32>,
    #[serde(default)]
    limit: Option<usize>,
}

async fn top(State(state): State<AdminState>, Query(asked): Query<TopAsked>) -> Result<Json<TopView>, Refusal> {
    let of = Of::read(&asked.of).ok_or_else(|| Refusal::field("of", "write services, names or clients"))?;
    let (hours, limit) = (asked.hours.unwrap_or(24), asked.limit.unwrap_or(10));
    if !(1..=HOURS_MAX).contains(&hours) {
        return Err(Refusal::field("hours", format!("write a number from 1 to {HOURS_MAX}")));
    }
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Refusal::field("limit", format!("write a number from 1 to {ROWS_MAX}")));
    }
    let view = tops::top(&state, of, hours, limit).await;
    view.map(Json).map_err(|error| log::unread(&error))
}

/// Where the changes go on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Before {
    #[serde(default)]
    before: Option<u64>,
}

async fn all_changes(
    State(state): State<AdminState>,
    Query(before): Query<Before>,
) -> Result<Json<ChangesView>, Refusal> {
    let reading = tokio::task::spawn_blocking(move || changes(&state, before.before));
    reading.await.map(Json).map_err(|error| Refusal::new(Kind::Fault, error.to_string()))
}

async fn explain_name(State(state): State<AdminState>, Query(asked): Query<Asked>) -> Result<Json<Explained>, Refusal> {
    let explained = explain(&state, asked, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    explained.map(Json).map_err(|error| Refusal::new(kind_of(&error), error.to_string()))
}

/// What kind of problem it is.
fn kind_of(error: &ExplainError) -> Kind {
    match error {
        ExplainError::Unreadable(_) => Kind::BadRequest,
        ExplainError::NotYet => Kind::NotYet,
        ExplainError::Fault(_) => Kind::Fault,
    }
}
