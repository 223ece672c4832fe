//! One query: what became of it, and why.

use super::super::{
    AdminState,
    auth::Reader,
    live::Unread,
    view::log::{Line, Why, why},
};
use super::{
    Shell, show,
    words::{ede, fate, micros, ms, trigger, weighed},
};
use crate::{
    dns::{ExtendedError, Rcode},
    policy::Outcome,
    query_log::{Fate, Owner, Row, Said, shown_server},
    report::Moment,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::net::{IpAddr, SocketAddr};

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
        match (self.row().fate(), &verdicts.owner) {
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
            (Fate::Excepted, owner) => {
                let by = owner.as_ref().map(|owner| format!("Your exception at {}", owner.place));
                let by = by.unwrap_or_else(|| format!("An exception of {}", who(Outcome::Except)));
                let but_for_it = match self.but_for_exceptions().as_str() {
                    "" => String::new(),
                    who => format!("; but for it, {who}"),
                };
                format!("{by} let it pass{but_for_it}.")
            }
            (Fate::Passed, Some(owner)) => {
                format!("Nothing would block it; your exception at {} is for it too.", owner.place)
            }
            (Fate::Refused, _) if self.row().is_prohibited() => {
                format!("Refused: {} is outside [access] allow, so no list was asked.", self.row().client)
            }
            (Fate::Refused, _) => format!("Answered with {} at once: {}.", self.row().rcode, refused(self.row())),
            (Fate::Passed, None) => match who(Outcome::Except).as_str() {
                "" => "No list says anything of it.".to_owned(),
                who => format!("Nothing would block it; an exception of {who} is for it."),
            },
        }
    }

    /// What would have become of it without exceptions; empty if that isn't known.
    fn but_for_exceptions(&self) -> String {
        let all = |outcome: Outcome| {
            let said = self.row().verdicts.overruled.iter().filter(|said| said.outcome == outcome);
            said.map(|said| format!("{}/{}", said.program, said.service)).collect::<Vec<_>>().join(", ")
        };
        match (all(Outcome::Block).as_str(), all(Outcome::WouldBlock).as_str()) {
            ("", "") => String::new(),
            ("", would) => format!("{would}, in shadow, would say that it is to be blocked"),
            (block, _) => format!("{block} would have blocked it"),
        }
    }

    /// The owner's exception that matched.
    fn owner(&self) -> Option<&Owner> {
        self.row().verdicts.owner.as_ref()
    }

    /// Each verdict with the line that gave it.
    fn said(&self) -> impl Iterator<Item = (&Said, &Line)> {
        self.row().verdicts.said.iter().zip(&self.why.lines)
    }

    /// The same of what was overruled.
    fn overruled(&self) -> impl Iterator<Item = (&Said, &Line)> {
        let verdicts = &self.row().verdicts;
        verdicts.overruled.iter().zip(self.why.lines.iter().skip(verdicts.said.len()))
    }

    /// Services to look for in the log, each once.
    fn services(&self) -> Vec<String> {
        let all = self.said().chain(self.overruled());
        let mut all: Vec<String> = all.map(|(said, _)| format!("{}/{}", said.program, said.service)).collect();
        all.sort_unstable();
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

/// Why no answer was looked for to a query that got an error, as far as that is known.
fn refused(row: &Row) -> &'static str {
    match (row.rcode, row.ede) {
        (_, Some(ExtendedError::NOT_READY)) => "no policy was in force yet",
        (_, Some(ExtendedError::NOT_AUTHORITATIVE)) => {
            "it asked for no recursion (RD), and nothing here is authoritative"
        }
        (Rcode::SERVFAIL, _) => "too many questions were being resolved",
        (Rcode::FORMERR, _) => "it could not be understood",
        _ => "queries of this kind aren't served",
    }
}

/// A server as people write it.
fn server(server: &SocketAddr) -> String {
    shown_server(*server)
}

/// The same of what was overruled.
fn overruled(said: &Said) -> (&'static str, &'static str) {
    match said.outcome {
        Outcome::Block => ("p", "would block it, but for an exception"),
        Outcome::WouldBlock => ("p", "would block it if it were enforced, but for an exception"),
        Outcome::Except => ("p", "would let it pass, and something else is stronger"),
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
