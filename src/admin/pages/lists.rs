//! All lists, and one of them.

use super::super::{
    AdminState,
    auth::Reader,
    view::lists::{Hits, ListView, OneList, one as one_list, with_hits},
};
use super::{
    Shell, show,
    words::{ago, count, counted, stamp},
};
use crate::report::Moment;
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

#[derive(Template)]
#[template(path = "lists.html", config = "src/admin/pages/askama.toml")]
struct ListsPage {
    shell: Shell,
    programs: Vec<Program>,
    lists: usize,
    rules: usize,
    troubled: usize,
    held: usize,
    skipped: usize,
    now: Moment,
    /// Folders that can't be read, and services that are named and nowhere.
    troubles: Vec<String>,
}

/// The lists of a program.
struct Program {
    name: String,
    lists: Vec<(ListView, Hits)>,
}

#[derive(Template)]
#[template(path = "list.html", config = "src/admin/pages/askama.toml")]
struct ListPage {
    shell: Shell,
    list: ListView,
    hits: Hits,
    now: Moment,
    started: Moment,
}

pub async fn page(State(state): State<AdminState>, reader: Reader) -> Response {
    let (view, hits) = with_hits(&state);
    let sum = |of: fn(&ListView) -> usize| view.lists.iter().map(of).sum::<usize>();
    let folders = view.folder_troubles.iter().map(|(program, why)| format!("{program}: {why}"));
    let unknown = view.unknown_services.iter().map(|service| format!("{service}: no list is of this service"));
    let mut page = ListsPage {
        shell: Shell::new(&state, reader, "/lists", "Lists"),
        programs: Vec::new(),
        lists: view.lists.len(),
        rules: sum(|list| list.rules),
        troubled: sum(|list| usize::from(list.trouble.is_some())),
        held: sum(|list| list.held_count),
        skipped: sum(|list| list.skipped_count),
        now: Moment(state.pipeline.now().saturating_mul(1_000_000)),
        troubles: folders.chain(unknown).collect(),
    };
    for list in view.lists.into_iter().zip(hits) {
        match page.programs.iter_mut().find(|program| program.name == list.0.program) {
            Some(program) => program.lists.push(list),
            None => page.programs.push(Program { name: list.0.program.clone(), lists: vec![list] }),
        }
    }
    show(page)
}

pub async fn one(
    State(state): State<AdminState>,
    reader: Reader,
    Path((program, name)): Path<(String, String)>,
) -> Response {
    let Some(OneList { list, hits }) = one_list(&state, &program, &name) else {
        return (StatusCode::NOT_FOUND, "there is no such list\n").into_response();
    };
    let shell = Shell::new(&state, reader, "/lists", name);
    let now = Moment(state.pipeline.now().saturating_mul(1_000_000));
    show(ListPage { shell, list, hits, now, started: state.started() })
}

/// What is to be looked at in a list, in a few words.
fn to_look_at(list: &ListView) -> Vec<String> {
    let count = |count: usize, one: &str, many: &str| (count > 0).then(|| counted(count as u64, one, many));
    let troubles = [&list.trouble, &list.doubt].into_iter().flatten().cloned();
    let held = count(list.held_count, "rule held back", "rules held back");
    let skipped = count(list.skipped_count, "line skipped", "lines skipped");
    troubles.chain(held).chain(skipped).collect()
}

/// When a list's text came into force.
fn since(list: &ListView) -> Option<Moment> {
    list.since.map(|seconds| Moment(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)))
}

/// The letter of a mode's colour and shape.
fn letter(mode: &str) -> &'static str {
    match mode {
        "enforce" => "b",
        "shadow" => "w",
        _ => "p",
    }
}

/// A field of the list's own header.
fn field<'l>(list: &'l ListView, name: &str) -> Option<&'l str> {
    list.header.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
