//! The programs and their services, for the clients of one group.

use super::super::{
    AdminState,
    auth::Reader,
    problem::Refusal,
    view::{
        lists::Hits,
        programs::{Program, Programs, Service, programs},
    },
};
use super::{
    Shell, show,
    words::{count, counted, stamp},
};
use crate::{
    config::{
        DEFAULT_GROUP,
        overlay::{Key, OWN_PROGRAM},
    },
    policy::Mode,
};
use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

/// Words of modes, from the least on.
const MODES: [&str; 3] = ["off", "shadow", "enforce"];

/// Whom it is shown for.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    group: String,
}

#[derive(Template)]
#[template(path = "programs.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Programs,
    /// There is a place where changes are kept.
    can_keep: bool,
    /// The program whose services are shown at once.
    open: String,
    /// Why what was asked for isn't done.
    refusal: Option<Refusal>,
}

pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    match programs(&state, &wanted.group) {
        Some(view) => {
            let open = changed_last(&state, &reader);
            let shell = Shell::new(&state, reader, "/programs", "Programs");
            show(Page { shell, view, can_keep: state.desk.can_keep(), open, refusal: None })
        }
        None => (StatusCode::NOT_FOUND, "there is no such group\n").into_response(),
    }
}

/// The page again, with why what was asked for isn't done.
pub fn again(state: &AdminState, reader: Reader, group: &str, refusal: Refusal) -> Response {
    let Some(view) = programs(state, group) else { return refusal.into_response() };
    let shell = Shell::new(state, reader, "/programs", "Programs");
    let (status, can_keep) = (refusal.kind.status(), state.desk.can_keep());
    let page = Page { shell, view, can_keep, open: String::new(), refusal: Some(refusal) };
    (status, show(page)).into_response()
}

/// The program that the change was about of which the page is told.
fn changed_last(state: &AdminState, reader: &Reader) -> String {
    let line = reader.done.and_then(|change| state.changes.audit.find(change));
    match line.and_then(|line| line.key.parse().ok()) {
        Some(Key::Mode { program, .. }) => program,
        _ => String::new(),
    }
}

/// Whether modes can be changed by who looks.
fn can_change(shell: &Shell, can_keep: bool) -> bool {
    can_keep && shell.may_change()
}

/// The group as changes name it: empty for everybody.
fn named(view: &Programs) -> &str {
    if view.group == DEFAULT_GROUP { "" } else { &view.group }
}

/// The letter of a mode's colour and shape.
fn letter(mode: &Mode) -> &'static str {
    match mode {
        Mode::Enforce => "b",
        Mode::Shadow => "w",
        Mode::Off => "p",
    }
}

/// What was hit, with letters and words; empty if nothing was.
fn told(hits: &Hits) -> Vec<(&'static str, String)> {
    let words = [("b", "blocked"), ("w", "would be blocked"), ("e", "excepted")];
    let hits = words.into_iter().zip(hits).filter(|(_, hits)| **hits > 0);
    hits.map(|((letter, word), hits)| (letter, format!("{} {word}", count(*hits)))).collect()
}

/// How many services are in which mode.
fn summary(program: &Program) -> String {
    let modes = [(Mode::Enforce, "enforced"), (Mode::Shadow, "in shadow"), (Mode::Off, "off")];
    let strongest = |service: &Service| service.modes.iter().map(|own| own.mode).max();
    let told = modes.into_iter().filter_map(|(mode, word)| {
        let number = program.services.iter().filter(|service| strongest(service) == Some(mode)).count();
        (number > 0).then(|| format!("{number} {word}"))
    });
    let told: Vec<String> = told.collect();
    let services = counted(program.services.len() as u64, "service", "services");
    if told.is_empty() { services } else { format!("{services}: {}", told.join(", ")) }
}
