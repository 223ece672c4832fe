//! Who changed what.

use super::super::{
    AdminState,
    asked::Query,
    audit::Outcome,
    auth::Reader,
    view::changes::{Change, ChangesView, changes, one_of_all},
};
use super::{Shell, show};
use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "changes.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: ChangesView,
    /// The one that is to be undone, if whoever asks confirms it.
    undo: Option<Change>,
}

#[derive(Deserialize)]
pub struct Wanted {
    before: Option<u64>,
    undo: Option<u64>,
}

pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    let work = state.clone();
    match tokio::task::spawn_blocking(move || read(&work, &wanted)).await {
        Ok((view, undo)) => show(Page { shell: Shell::new(&state, reader, "/changes", "Changes"), view, undo }),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn read(state: &AdminState, wanted: &Wanted) -> (ChangesView, Option<Change>) {
    let undo = wanted.undo.and_then(|change| one_of_all(state, change)).filter(|change| change.can_undo);
    (changes(state, wanted.before), undo)
}

/// What is to be said of how it went, if it didn't go well.
fn went(change: &Change) -> Option<&'static str> {
    match change.outcome {
        Outcome::Done => None,
        outcome => Some(outcome.word()),
    }
}

/// From where it came, in a few words.
fn way(change: &Change) -> String {
    let role = change.role.map(|role| format!("{}, ", role.word())).unwrap_or_default();
    let from = change.from.map(|from| format!(" from {from}")).unwrap_or_default();
    format!("{role}by {}{from}", change.by.word())
}

/// `2026-11-28 21:20:55`.
fn shown(time: &str) -> String {
    time.trim_end_matches('Z').replace('T', " ")
}
