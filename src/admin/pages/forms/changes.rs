//! Modes, exceptions, blocks, and changes undone.

use super::super::{
    super::{
        AdminState,
        auth::{Operator, Reader},
        change::{
            BlockAsked, Done, ExceptionAsked, ModeAsked, ScheduleAsked, Undoing, block as block_name, set_mode, undo,
            what_it_undoes,
        },
        problem::{Kind, Refusal},
        view::preview::CONFIGURED,
    },
    clients, exceptions, programs,
    words::encoded,
};
use super::{Fields, done, lists::page_of};
use crate::config::overlay::{Entry, Key, OwnBlock, OwnException};
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use std::fmt::Write;

/// `set` is `service=mode`, or `=mode` for the program; without a mode it is as the configuration says.
pub async fn mode(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    let set = fields.one("set").split_once('=');
    let (service, mode) = set.unwrap_or((fields.one("service"), fields.one("mode")));
    let asked = ModeAsked {
        program: fields.one("program").to_owned(),
        service: some(service),
        group: some(fields.one("group")),
        mode: some(mode),
        confirmed: fields.one("confirmed") == "yes",
    };
    match set_mode(&state, &who, &asked, false).await {
        Ok(done) => {
            let group = asked.group.map(|group| ("group", group));
            to("/programs", &[group, told(&done)], &asked.program)
        }
        Err(refusal) if refusal.kind == Kind::Confirm => {
            let given = [
                Some(("program", asked.program.clone())),
                asked.service.map(|service| ("service", service)),
                asked.group.map(|group| ("group", group)),
                Some(("mode", asked.mode.unwrap_or_else(|| CONFIGURED.to_owned()))),
            ];
            to("/programs/preview", &given, "")
        }
        Err(refusal) => programs::again(&state, reader, &asked.group.unwrap_or_default(), refusal).await,
    }
}

pub async fn except(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    if let Some(id) = some(fields.one("remove")) {
        let removed = state.desk.remove::<OwnException>(&who, &id, false).await;
        return removed.map_or_else(IntoResponse::into_response, |done| to("/except", &[told(&done)], ""));
    }
    let typed = typed(&fields, "names");
    let asked = ExceptionAsked {
        names: Some(typed.names.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        r#match: some(fields.one("match")),
        programs: Some(typed.programs.clone()),
        groups: Some(typed.groups.clone()),
        reason: Some(typed.reason.clone()),
        until: Some(typed.until.clone()),
        confirmed: is_confirmed(&fields, &typed),
    };
    match state.desk.except(&who, some(fields.one("id")).as_deref(), asked, false).await {
        Ok(done) => to("/except", &[told(&done)], ""),
        Err(refusal) => exceptions::again(&state, reader, false, typed, refusal).await,
    }
}

pub async fn block(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    if let Some(id) = some(fields.one("remove")) {
        let removed = state.desk.remove::<OwnBlock>(&who, &id, false).await;
        return removed.map_or_else(IntoResponse::into_response, |done| to("/except", &[told(&done)], ""));
    }
    let typed = typed(&fields, "name");
    let asked = BlockAsked {
        name: Some(typed.names.clone()),
        r#match: some(fields.one("match")),
        groups: Some(typed.groups.clone()),
        reason: Some(typed.reason.clone()),
        until: Some(typed.until.clone()),
        confirmed: is_confirmed(&fields, &typed),
    };
    match block_name(&state, &who, some(fields.one("id")).as_deref(), asked, false).await {
        Ok(done) => to("/except", &[told(&done)], ""),
        Err(refusal) => exceptions::again(&state, reader, true, typed, refusal).await,
    }
}

/// `schedule` of a `group` or of a `program`; with `back` it is as the configuration says.
pub async fn schedule(
    State(state): State<AdminState>,
    Operator(who): Operator,
    reader: Reader,
    fields: Fields,
) -> Response {
    let typed = fields.one("schedule").to_owned();
    let schedule = fields.one("back").is_empty().then(|| typed.clone());
    let asked = ScheduleAsked { group: some(fields.one("group")), program: some(fields.one("program")), schedule };
    match (state.desk.set_schedule(&who, &asked, false).await, asked.program) {
        (Ok(done), None) => to("/clients", &[told(&done)], ""),
        (Ok(done), Some(program)) => to("/programs", &[told(&done)], &program),
        (Err(refusal), Some(program)) => programs::again_schedule(&state, reader, program, typed, refusal).await,
        (Err(refusal), None) => clients::again(&state, reader, asked.group.unwrap_or_default(), typed, refusal).await,
    }
}

pub async fn undo_change(State(state): State<AdminState>, Operator(who): Operator, fields: Fields) -> Response {
    let Ok(change) = fields.one("change").parse::<u64>() else {
        return Refusal::new(Kind::NoSuchThing, "there is no such change").into_response();
    };
    let undone = match undo(&state, &who, change, fields.one("confirmed") == "yes", false).await {
        Err(refusal) if refusal.kind == Kind::Confirm => return ask_before_undo(&state, change, refusal).await,
        undone => undone,
    };
    let back = if fields.one("back").is_empty() { "/changes" } else { fields.back() };
    undone.map_or_else(IntoResponse::into_response, |undone| done(back, undone.change))
}

/// To the page that shows what an undo would block.
async fn ask_before_undo(state: &AdminState, change: u64, refusal: Refusal) -> Response {
    match what_it_undoes(state, change).await {
        // The page knows what it undoes.
        Ok(Undoing { key: Key::Mode { .. }, .. }) => to("/programs/preview", &[Some(("undo", change.to_string()))], ""),
        // The rules are looked at where they were let through.
        Ok(Undoing { before: Some(Entry::LetThrough(own)), .. }) => {
            to(&page_of(&own.list), &[Some(("let_through", own.names.join(" ")))], "let-through")
        }
        Ok(_) => to("/changes", &[Some(("undo", change.to_string()))], ""),
        Err(_) => refusal.into_response(),
    }
}

/// What is confirmed is names, so that others typed instead are asked about anew.
fn is_confirmed(fields: &Fields, typed: &exceptions::Asked) -> bool {
    !typed.names.is_empty() && fields.one("confirmed") == typed.names
}

fn typed(fields: &Fields, names: &str) -> exceptions::Asked {
    exceptions::Asked {
        id: fields.one("id").to_owned(),
        names: fields.one(names).to_owned(),
        exact: fields.one("match") == "exact",
        programs: fields.all("programs").map(str::to_owned).collect(),
        groups: fields.all("groups").map(str::to_owned).collect(),
        reason: fields.one("reason").to_owned(),
        until: fields.one("until").to_owned(),
    }
}

/// What isn't empty.
fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// The change that the page is to tell of.
fn told(done: &Done) -> Option<(&'static str, String)> {
    done.change.map(|change| ("done", change.to_string()))
}

/// To a page, whose address tells what to show.
fn to(path: &str, fields: &[Option<(&str, String)>], part: &str) -> Response {
    let mut address = path.to_owned();
    for (index, (name, value)) in fields.iter().flatten().enumerate() {
        let before = if index == 0 { '?' } else { '&' };
        let _ = write!(address, "{before}{name}={}", encoded(value));
    }
    if !part.is_empty() {
        let _ = write!(address, "#{}", encoded(part));
    }
    Redirect::to(&address).into_response()
}
