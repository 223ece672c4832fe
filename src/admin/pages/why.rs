//! One query: what became of it, and why.

use super::super::{
    AdminState,
    auth::Reader,
    live::Unread,
    view::log::{Line, Why, why},
};
use super::{
    Shell, show,
    words::{ede, fate, micros, ms, trigger},
};
use crate::{
    policy::Outcome,
    query_log::{Fate, Row, Said},
    report::Moment,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::net::IpAddr;

#[derive(Template)]
#[template(path = "why.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    why: Why,
}

/// `GET /log/{id}`
pub async fn page(State(state): State<AdminState>, reader: Reader, Path(id): Path<String>) -> Response {
    let found = match id.parse() {
        Ok(id) => why(&state, id).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(why)) => {
            let title = if why.row.name.is_empty() { "A query" } else { &why.row.name }.to_owned();
            show(Page { shell: Shell::new(&state, reader, "/log", title), why })
        }
        Ok(None) | Err(Unread::Nowhere | Unread::NotYet) => {
            (StatusCode::NOT_FOUND, "there is no such query, or no longer\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

impl Page {
    fn row(&self) -> &Row {
        &self.why.row
    }

    fn time(&self) -> Moment {
        Moment(self.row().time)
    }

    /// What became of it, in a sentence.
    fn sentence(&self) -> String {
        let verdicts = &self.row().verdicts;
        let who = |outcome: Outcome| {
            let said = verdicts.said.iter().filter(|said| said.outcome == outcome);
            said.map(|said| format!("{}/{}", said.program, said.service)).collect::<Vec<_>>().join(", ")
        };
        let acted = verdicts.said.iter().find(|said| said.acted);
        match (verdicts.fate(), &verdicts.owner) {
            (Fate::Blocked, _) => {
                let by = acted.map_or_else(|| who(Outcome::Block), |said| format!("{}/{}", said.program, said.service));
                let end = if self.row().dropped { ", which gives no answer at all" } else { "" };
                format!("Blocked by {by}{end}.")
            }
            (Fate::WouldBlock, _) => {
                format!(
                    "Answered as usual: {} is in shadow, and enforced it would block this.",
                    who(Outcome::WouldBlock)
                )
            }
            (Fate::Excepted, Some(place)) => format!("Your exception at {place} let it pass."),
            (Fate::Excepted, None) => format!("An exception of {} let it pass.", who(Outcome::Except)),
            (Fate::Passed, _) => "No list says anything of it.".to_owned(),
        }
    }

    /// Each verdict with the line that gave it.
    fn said(&self) -> impl Iterator<Item = (&Said, &Line)> {
        self.row().verdicts.said.iter().zip(&self.why.lines)
    }

    /// Services to look for in the log, each once.
    fn services(&self) -> Vec<String> {
        let mut all: Vec<String> = self.said().map(|(said, _)| format!("{}/{}", said.program, said.service)).collect();
        all.dedup();
        all
    }

    /// The client's address, where the log has it.
    fn address(&self) -> Option<IpAddr> {
        self.row().client.parse().ok()
    }

    /// What the cache had to say.
    fn cache(&self) -> &'static str {
        match self.row().cache.map(|cache| cache.word()) {
            Some("hit") => "from memory",
            Some("stale") => "from memory, past its time",
            Some(_) => "resolved for it",
            None => "no answer was looked for",
        }
    }
}

/// The letter of an outcome's colour and shape, and what it means.
fn outcome(said: &Said) -> (&'static str, &'static str) {
    match (said.outcome, said.acted) {
        (Outcome::Block, true) => ("b", "blocks"),
        (Outcome::Block, false) => ("b", "blocks too"),
        (Outcome::WouldBlock, _) => ("w", "would block, in shadow"),
        (Outcome::Except, _) => ("e", "lets it pass"),
    }
}
