//! The programs and their services, for the clients of one group.

use super::super::{
    AdminState,
    view::{
        lists::Hits,
        programs::{Program, Programs, Service, programs},
        tops::{Counts, counts},
    },
};
use super::{
    Shell, show,
    words::{count, counted, stamp},
};
use crate::{policy::Mode, report::Tops};
use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::sync::Arc;

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
    /// Of the last day and of the last week, if they are known.
    recorded: Option<[Arc<Tops>; 2]>,
}

/// Hours of a day and of a week.
const HOURS: [u32; 2] = [24, 7 * 24];

pub async fn page(State(state): State<AdminState>, Query(wanted): Query<Wanted>) -> Response {
    let Some(view) = programs(&state, &wanted.group) else {
        return (StatusCode::NOT_FOUND, "there is no such group\n").into_response();
    };
    let recorded = match [counts(&state, HOURS[0]).await, counts(&state, HOURS[1]).await] {
        [Counts::Known(day), Counts::Known(week)] => Some([day, week]),
        _ => None,
    };
    show(Page { shell: Shell::new(&state, "/programs", "Programs"), view, recorded })
}

/// What of a service's was hit in some hours, with letters and words; empty if nothing was. Without a service: of all of a
/// program's.
fn hits_in(tops: &Tops, program: &str, service: Option<&str>) -> Vec<(&'static str, String)> {
    let is_of = |key: &str| {
        let own = key.strip_prefix(program).and_then(|rest| rest.strip_prefix('/'));
        own.is_some_and(|own| service.is_none_or(|service| own == service))
    };
    // A program says one thing of a query, so none is counted twice.
    let mut hits = Hits::default();
    for row in tops.services.rows.iter().filter(|row| is_of(&row.key)) {
        let more = [row.blocked, row.would_block, row.excepted];
        hits.iter_mut().zip(more).for_each(|(own, more)| *own += more);
    }
    told(&hits)
}

impl Page {
    /// What of a program's was hit: in the last day, if that is known, else since the start.
    fn hits_of(&self, program: &Program) -> Vec<(&'static str, String)> {
        match &self.recorded {
            Some([day, _]) => hits_in(day, &program.name, None),
            None => told(&program.hits),
        }
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
