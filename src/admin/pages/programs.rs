//! The programs and their services, for the clients of one group.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    problem::Refusal,
    view::{
        lists::{DAY_HOURS, Hits, WEEK_HOURS},
        programs::{Program, Programs, Service, programs},
        tops::{Counts, counts},
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
    report::Tops,
};
use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::sync::Arc;

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
    /// Of the last day and of the last week, if they are known.
    recorded: Option<[Arc<Tops>; 2]>,
    /// There is a place where changes are kept.
    can_keep: bool,
    /// The program whose services are shown at once.
    open: String,
    /// Why what was asked for isn't done.
    refusal: Option<Refusal>,
    /// Of schedules that name no zone.
    zone: String,
    /// What was typed for a program's schedule, and why that isn't done.
    refused: Option<(String, String, Refusal)>,
}

pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    let Some(view) = programs(&state, &wanted.group) else {
        return (StatusCode::NOT_FOUND, "there is no such group\n").into_response();
    };
    let (open, recorded) = (changed_last(&state, &reader), recorded(&state).await);
    let shell = Shell::new(&state, reader, "/programs", "Programs");
    let (can_keep, zone) = (state.desk.can_keep(), zone(&state));
    show(Page { shell, view, recorded, can_keep, open, refusal: None, zone, refused: None })
}

fn zone(state: &AdminState) -> String {
    state.zone().to_string()
}

/// What was hit in the last day and week, if that is known.
async fn recorded(state: &AdminState) -> Option<[Arc<Tops>; 2]> {
    match tokio::join!(counts(state, DAY_HOURS), counts(state, WEEK_HOURS)) {
        (Counts::Known(day), Counts::Known(week)) => Some([day, week]),
        _ => None,
    }
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

/// What of a service's was hit in some hours.
fn hits_of(tops: &Tops, program: &Program, service: &Service) -> Vec<(&'static str, String)> {
    hits_in(tops, &program.name, Some(&service.name))
}

impl Page {
    /// Whether a program's services are shown at once.
    fn is_open(&self, program: &Program) -> bool {
        self.view.programs.len() == 1 || program.services.len() <= 4 || self.open == program.name
    }

    /// What stands in the field of a program's schedule.
    fn typed(&self, program: &Program) -> String {
        match &self.refused {
            Some((name, typed, _)) if *name == program.name => typed.clone(),
            _ => program.schedule.as_ref().map(|schedule| schedule.text.clone()).unwrap_or_default(),
        }
    }

    fn problem(&self, program: &Program) -> Option<&str> {
        self.refused.as_ref().filter(|(name, ..)| *name == program.name).map(|(.., refusal)| refusal.detail.as_str())
    }

    /// What of a program's was hit: in the last day, if that is known, else since the start.
    fn hits_of(&self, program: &Program) -> Vec<(&'static str, String)> {
        match &self.recorded {
            Some([day, _]) => hits_in(day, &program.name, None),
            None => told(&program.hits),
        }
    }
}

/// The page again, with why a mode isn't set.
pub async fn again(state: &AdminState, reader: Reader, group: &str, refusal: Refusal) -> Response {
    refused(state, reader, group, refusal, None).await
}

/// The page again, with the schedule that was typed for a program and what is wrong with it.
pub async fn again_schedule(
    state: &AdminState,
    reader: Reader,
    program: String,
    typed: String,
    refusal: Refusal,
) -> Response {
    refused(state, reader, "", refusal, Some((program, typed))).await
}

async fn refused(
    state: &AdminState,
    reader: Reader,
    group: &str,
    refusal: Refusal,
    schedule: Option<(String, String)>,
) -> Response {
    let Some(view) = programs(state, group) else { return refusal.into_response() };
    let shell = Shell::new(state, reader, "/programs", "Programs");
    let (status, can_keep) = (refusal.kind.status(), state.desk.can_keep());
    let recorded = recorded(state).await;
    let is_there = |program: &String| view.programs.iter().any(|own| own.name == *program);
    let (refusal, refused) = match schedule.filter(|(program, _)| is_there(program)) {
        Some((program, typed)) => (None, Some((program, typed, refusal))),
        None => (Some(refusal), None),
    };
    let page = Page { shell, view, recorded, can_keep, open: String::new(), refusal, zone: zone(state), refused };
    (status, show(page)).into_response()
}

/// The program that the change was about of which the page is told.
fn changed_last(state: &AdminState, reader: &Reader) -> String {
    let line = reader.done.and_then(|change| state.changes.audit.find(change));
    match line.and_then(|line| line.key.parse().ok()) {
        Some(Key::Mode { program, .. } | Key::ProgramSchedule(program)) => program,
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

/// What people call a service.
fn title(service: &Service) -> &str {
    service.title.as_ref().unwrap_or(&service.name)
}

/// True if it is not as is chosen, or not in all of its lists, so that its switch doesn't say it all.
fn is_limited(service: &Service) -> bool {
    service.modes.len() > 1 || service.modes.iter().any(|mode| mode.limit.is_some())
}

/// True if none of a service's lists bears its name, so that it has to be said.
fn is_apart(service: &Service) -> bool {
    !service.lists.iter().any(|list| list.strip_suffix(".list") == Some(&service.name))
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
