//! What would become of a question, and why.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    serve::Peer,
    view::{
        explain::{Asked, ExplainError, Explained, explain},
        steps::{Step, is_bogus, steps},
    },
};
use super::{
    Shell, show,
    words::{matched, weighed},
};
use crate::policy::Outcome;
use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

/// What was typed.
#[derive(Deserialize, Default)]
pub struct Typed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    client: String,
}

#[derive(Template)]
#[template(path = "explain.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    typed: Typed,
    /// What stands for a client that isn't named.
    client: String,
    problem: Option<String>,
    found: Option<(Explained, Vec<Step>)>,
}

/// `GET /explain?name&type&client`; without a name only the form.
pub async fn page(
    State(state): State<AdminState>,
    reader: Reader,
    Extension(Peer(peer)): Extension<Peer>,
    Query(typed): Query<Typed>,
) -> Response {
    let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let asked = given(&typed.name).map(|name| Asked {
        name,
        r#type: given(&typed.r#type),
        client: given(&typed.client),
        ..Asked::default()
    });
    let found = match asked {
        None => None,
        Some(asked) => Some(explain(&state, asked, peer).await),
    };
    let (found, problem) = match found {
        None => (None, None),
        Some(Ok(mut explained)) => {
            let steps = steps(&mut explained);
            (Some((explained, steps)), None)
        }
        Some(Err(error)) => (None, Some(error)),
    };
    let status = match &problem {
        None => StatusCode::OK,
        Some(ExplainError::Unreadable(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(ExplainError::NotYet) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ExplainError::Fault(_)) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let problem = problem.map(|error| error.to_string());
    let page = Page {
        shell: Shell::new(&state, reader, "/explain", "Explain"),
        typed,
        client: peer.to_string(),
        problem,
        found,
    };
    (status, show(page)).into_response()
}

/// The letter of an outcome's colour and shape, and its word for people.
fn outcome(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Block => ("b", "blocks"),
        Outcome::WouldBlock => ("w", "would block"),
        Outcome::Except => ("e", "lets it pass"),
    }
}

/// The letter and word of what became of it.
fn fate(explained: &Explained, steps: &[Step]) -> (&'static str, &'static str) {
    let has = |wanted| steps.iter().any(|step| step.rule.as_ref().is_some_and(|(outcome, _)| *outcome == wanted));
    match explained.action.as_str() {
        _ if !explained.admitted => ("r", "Refused"),
        "block" => ("b", "Blocked"),
        _ if is_bogus(explained) => ("p", "Fails"),
        _ if has(Outcome::WouldBlock) => ("w", "Would be blocked"),
        _ if explained.excepted_by.is_some() => ("e", "Excepted"),
        _ => ("p", "Passes"),
    }
}

/// The letter of a step: what its rule says, or nothing of it.
fn letter(step: &Step) -> &'static str {
    step.rule.as_ref().map_or("p", |(said, _)| outcome(said).0)
}
