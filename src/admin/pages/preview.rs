//! What enforcing would do, before it is done.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    change::{Undoing, what_it_undoes},
    problem::{Kind, Refusal},
    view::{
        preview::{CONFIGURED, Hit, Measured, Preview, PreviewAsked, preview, sought},
        programs::ModeView,
    },
};
use super::{
    Shell, show,
    words::{count, counted, matched},
};
use crate::{
    config::overlay::{Entry, Key},
    policy::Mode,
};
use askama::Template;
use axum::{
    extract::State,
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

/// `GET /programs/preview?program&service&group&mode`, or `?undo`, which says all of that by itself.
pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    let Wanted { program, service, group, mode, undo } = wanted;
    let asked = match undo {
        None => PreviewAsked { program, service, group, mode },
        // What the address says besides might be another thing than the button undoes.
        Some(change) => match what_it_undoes(&state, change).await.and_then(|undoing| undone(undoing, change)) {
            Ok(asked) => asked,
            Err(refusal) => return refusal.into_response(),
        },
    };
    let configured = asked.mode == CONFIGURED;
    let Some(sought) = sought(&state, &asked) else {
        return (StatusCode::NOT_FOUND, "there is no such program, service or group\n").into_response();
    };
    let modes = match state.desk.modes_with(sought.key.clone(), sought.entry.clone()).await {
        Ok(modes) => modes,
        // As a change to it would be refused.
        Err(refusal) => return refusal.into_response(),
    };
    let view = preview(&state, sought, &modes).await;
    let title = if configured { format!("{} as configured", what(&view)) } else { format!("Enforce {}", what(&view)) };
    let shell = Shell::new(&state, reader, "/programs", title);
    show(Page { shell, view, configured, undo })
}

/// What the undo of a change would do to a mode.
fn undone(undoing: Undoing, change: u64) -> Result<PreviewAsked, Refusal> {
    let mode = match undoing.before {
        None => CONFIGURED.to_owned(),
        Some(Entry::Mode(Mode::Enforce)) => Mode::Enforce.to_string(),
        Some(_) => String::new(),
    };
    match undoing.key {
        Key::Mode { group, program, service } if !mode.is_empty() => {
            Ok(PreviewAsked { program, service: service.unwrap_or_default(), group: group.unwrap_or_default(), mode })
        }
        _ => Err(Refusal::new(
            Kind::Invalid,
            format!("to undo change {change} enforces nothing that could be shown before"),
        )),
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
