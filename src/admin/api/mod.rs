//! Routes for programs. Each takes its request apart, calls a view or a change, and gives JSON.

mod changes;
pub mod control;
mod lists;
mod log;
mod session;
mod setup;

use super::{
    AdminState,
    gauges::gauges,
    view::{
        changes::{ChangesView, changes},
        explain::{Asked, ExplainError, explain},
        overview::{self, Overview, STEP_SECONDS},
        tops::{self, HOURS_MAX, Of, TopView},
    },
};
use crate::{config, health::Readiness, policy::Zone, report::form::TimeLine, telemetry::render};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
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
        .route("/api/v1/log/{id}", get(log::row))
        .route("/api/v1/explain", get(explain_name))
        .route("/api/v1/lists/update", post(control::update_lists))
        .route("/api/v1/bypass", get(control::bypass))
        .route("/api/v1/cache", get(control::cache))
        .route("/api/v1/cache/flush", post(control::flush_cache))
        .route("/api/v1/changes", get(all_changes))
        .merge(changes::routes())
        .route("/api/v1/setup/seen", get(setup::seen))
        .merge(lists::routes())
        .route("/api/v1/session", get(session::session).post(session::sign_in).delete(session::sign_out))
        .route("/api/v1/pause", get(control::paused).post(control::set_pause))
}

async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct ReadyView {
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

async fn the_overview(State(state): State<AdminState>) -> Json<Overview> {
    Json(overview::overview(&state))
}

/// Which part of the time line, and how fine.
#[derive(Deserialize)]
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

async fn time_line(
    State(state): State<AdminState>,
    Query(between): Query<Between>,
) -> Result<Json<TimeLine>, (StatusCode, String)> {
    let invalid = |what: String| (StatusCode::UNPROCESSABLE_ENTITY, what);
    let step = between.step.unwrap_or(STEP_SECONDS);
    if !(60..=86_400).contains(&step) || step % 60 != 0 {
        return Err(invalid("step: write seconds of whole minutes, from 60 to 86400".to_owned()));
    }
    let time = |name: &str, text: Option<&str>| {
        let micros = text.map(|text| config::moment(text, &Zone::utc())).transpose();
        let seconds = micros.map(|micros| micros.map(|micros| micros.div_euclid(1_000_000)));
        seconds.map_err(|why| invalid(format!("{name}: {why}")))
    };
    let (from, to) = (time("from", between.from.as_deref())?, time("to", between.to.as_deref())?);
    let (earliest, latest) = (from.unwrap_or(i64::MIN), to.unwrap_or_else(|| state.pipeline.now()));
    if from.is_some() && latest.saturating_sub(earliest) > STEPS_MAX * step {
        return Err(invalid(format!("from, to: {STEPS_MAX} steps at most")));
    }
    let line = overview::time_line_of(&state, from, to, step).await;
    line.map(Json).map_err(|error| (log::status_of(&error), error.to_string()))
}

/// Which rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopAsked {
    of: String,
    #[serde(default)]
    hours: Option<u32>,
    #[serde(default)]
    limit: Option<usize>,
}

async fn top(
    State(state): State<AdminState>,
    Query(asked): Query<TopAsked>,
) -> Result<Json<TopView>, (StatusCode, String)> {
    let invalid = |what: &str| (StatusCode::UNPROCESSABLE_ENTITY, what.to_owned());
    let of = Of::read(&asked.of).ok_or_else(|| invalid("of: write services, names or clients"))?;
    let (hours, limit) = (asked.hours.unwrap_or(24), asked.limit.unwrap_or(10));
    if !(1..=HOURS_MAX).contains(&hours) {
        return Err(invalid(&format!("hours: write a number from 1 to {HOURS_MAX}")));
    }
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(invalid(&format!("limit: write a number from 1 to {ROWS_MAX}")));
    }
    let view = tops::top(&state, of, hours, limit).await;
    view.map(Json).map_err(|error| (log::status_of(&error), error.to_string()))
}

/// Where the changes go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    #[serde(default)]
    before: Option<u64>,
}

async fn all_changes(
    State(state): State<AdminState>,
    Query(before): Query<Before>,
) -> Result<Json<ChangesView>, (StatusCode, String)> {
    let reading = tokio::task::spawn_blocking(move || changes(&state, before.before));
    reading.await.map(Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))
}

async fn explain_name(State(state): State<AdminState>, Query(asked): Query<Asked>) -> Response {
    match explain(&state, asked, IpAddr::V4(Ipv4Addr::LOCALHOST)).await {
        Ok(explained) => Json(explained).into_response(),
        Err(error) => (status_of(&error), error.to_string()).into_response(),
    }
}

/// The status that tells of it.
fn status_of(error: &ExplainError) -> StatusCode {
    match error {
        ExplainError::Unreadable(_) => StatusCode::BAD_REQUEST,
        ExplainError::NotYet => StatusCode::SERVICE_UNAVAILABLE,
        ExplainError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
