//! The programs and their services, for the clients of one group.

use super::super::{
    AdminState,
    auth::Reader,
    view::{
        lists::Hits,
        programs::{Program, Programs, Service, programs},
    },
};
use super::{
    Shell, show,
    words::{count, counted, stamp},
};
use crate::policy::Mode;
use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

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
}

pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    match programs(&state, &wanted.group) {
        Some(view) => show(Page { shell: Shell::new(&state, reader, "/programs", "Programs"), view }),
        None => (StatusCode::NOT_FOUND, "there is no such group\n").into_response(),
    }
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
