//! What enforcing would do, before it is done.

use super::super::{
    AdminState,
    auth::Reader,
    view::{
        preview::{CONFIGURED, Hit, Measured, Preview, PreviewAsked, preview},
        programs::ModeView,
    },
};
use super::{
    Shell, show,
    words::{count, counted, matched},
};
use crate::policy::Mode;
use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "preview.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Preview,
    /// It is given back to the configuration.
    configured: bool,
    /// The change that is undone by it.
    undo: Option<u64>,
}

/// What is to be done, as its address has it.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    program: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    mode: String,
    undo: Option<u64>,
}

/// `GET /programs/preview?program&service&group&mode&undo`
pub async fn page(
    State(state): State<AdminState>,
    reader: Reader,
    Query(Wanted { program, service, group, mode, undo }): Query<Wanted>,
) -> Response {
    let configured = mode == CONFIGURED;
    match preview(&state, &PreviewAsked { program, service, group, mode }).await {
        Some(view) => {
            let title =
                if configured { format!("{} as configured", what(&view)) } else { format!("Enforce {}", what(&view)) };
            let shell = Shell::new(&state, reader, "/programs", title);
            show(Page { shell, view, configured, undo })
        }
        None => (StatusCode::NOT_FOUND, "there is no such program, service or group\n").into_response(),
    }
}

/// What is to be enforced.
fn what(view: &Preview) -> String {
    view.service.as_ref().map_or_else(|| view.program.clone(), |service| format!("{}/{service}", view.program))
}

/// The way back.
fn back(view: &Preview) -> String {
    let group = if view.group.is_empty() { String::new() } else { format!("?group={}", view.group) };
    format!("/programs{group}#{}", view.program)
}

/// `In the last day`.
fn span(measured: &Measured) -> String {
    if measured.hours == 24 { "Last day".to_owned() } else { format!("Last {} days", measured.hours / 24) }
}

fn letter(mode: &ModeView) -> &'static str {
    match mode.mode {
        Mode::Enforce => "b",
        Mode::Shadow => "w",
        Mode::Off => "p",
    }
}

/// Rows of a table, or that there are none.
fn rows(hits: &[Hit]) -> Option<&[Hit]> {
    Some(hits).filter(|hits| !hits.is_empty())
}
