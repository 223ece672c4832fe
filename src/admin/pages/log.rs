//! What was asked, and by whom: a page of those looked for.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    live::Unread,
    view::{
        called::called,
        lists::services,
        log::{LogError, number, search},
        search::Asked,
    },
};
use super::{
    Shell, show,
    words::{encoded, fate, micros, ms},
};
use crate::{
    dns::Rcode,
    query_log::{Fate, Row, Verdicts, sqlite::Found},
    report::Moment,
};
use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

/// Verdicts that can be chosen, as they are written in an address and for people.
const VERDICTS: [(&str, &str); 8] = [
    ("", "any or none"),
    ("any", "any"),
    ("blocked", "blocked"),
    ("blocked,would-block", "blocked, or would be"),
    ("would-block", "would be blocked"),
    ("excepted", "excepted"),
    ("passed", "none"),
    ("refused", "refused"),
];

#[derive(Template)]
#[template(path = "log.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    asked: Asked,
    /// Programs with their services, to choose from.
    programs: Vec<(String, Vec<String>)>,
    problem: Option<String>,
    /// Whether there is a database.
    is_recorded: bool,
    rows: Vec<Line>,
    older: Option<i64>,
    newer: Option<i64>,
    scanned_until: Option<Moment>,
}

/// A row of the page.
struct Line {
    id: i64,
    time: Moment,
    name: String,
    rr_type: String,
    client: String,
    /// What that is called; empty if it isn't known.
    called: String,
    /// What became of it: a letter and a word.
    fate: (&'static str, &'static str),
    /// Who said it, `program/service`, and how many others said something.
    said: Option<(String, usize)>,
    answer: String,
    /// Nothing is to be said of the answer's code.
    is_fine: bool,
    took: String,
}

impl Line {
    fn of(state: &AdminState, id: i64, row: Row) -> Self {
        let answer = if row.dropped { "no answer".to_owned() } else { row.rcode.to_string() };
        Self {
            id,
            time: Moment(row.time),
            rr_type: if row.name.is_empty() { String::new() } else { row.rr_type.to_string() },
            fate: fate(&row),
            said: said(&row.verdicts),
            is_fine: row.rcode == Rcode::NOERROR && !row.dropped,
            answer,
            took: ms(row.micros),
            called: called(state, &row.client).name_told().unwrap_or_default(),
            client: row.client,
            name: row.name,
        }
    }
}

/// Who said what became of it, `program/service` or where the owner's exception stands, and how many others said
/// something.
fn said(verdicts: &Verdicts) -> Option<(String, usize)> {
    let Verdicts { owner, said, .. } = verdicts;
    // An exception that is for some programs only let nothing pass where another one acts.
    if let (Fate::Excepted, Some(owner)) = (verdicts.fate(), owner) {
        return Some((owner.place.to_string(), said.len()));
    }
    let first = said.get(verdicts.decisive()?)?;
    Some((format!("{}/{}", first.program, first.service), said.len() - 1 + usize::from(owner.is_some())))
}

/// `GET /log?name&client&service&verdict&type&from&to&before&after`
pub async fn page(State(state): State<AdminState>, reader: Reader, Query(asked): Query<Asked>) -> Response {
    let (found, problem, status) = match search(&state, &asked).await {
        Ok(found) => (found, None, StatusCode::OK),
        Err(LogError::Unread(Unread::Nowhere)) => (Found::default(), None, StatusCode::OK),
        Err(LogError::Invalid(error)) => (Found::default(), Some(error.to_string()), StatusCode::UNPROCESSABLE_ENTITY),
        Err(LogError::Unread(error)) => (Found::default(), Some(error.to_string()), StatusCode::INTERNAL_SERVER_ERROR),
    };
    let page = Page {
        shell: Shell::new(&state, reader, "/log", "Log"),
        asked,
        programs: services(&state),
        problem,
        is_recorded: state.recorded.is_somewhere(),
        rows: found.rows.into_iter().map(|(id, row)| Line::of(&state, id, row)).collect(),
        older: found.older,
        newer: found.newer,
        scanned_until: found.scanned_until.map(Moment),
    };
    (status, show(page)).into_response()
}

/// A query that was seen as it came.
#[derive(Deserialize)]
pub struct Told {
    time: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    client: String,
}

/// `GET /log/why?time&name&client`: leads to the query's own page.
pub async fn seen(State(state): State<AdminState>, Query(told): Query<Told>) -> Response {
    match number(&state, &told.time, &told.name, &told.client).await {
        Ok(Some(id)) => Redirect::to(&format!("/log/{id}")).into_response(),
        Ok(None) | Err(LogError::Unread(Unread::Nowhere | Unread::NotYet)) => {
            (StatusCode::NOT_FOUND, "there is no record of that query\n").into_response()
        }
        Err(LogError::Invalid(error)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

impl Page {
    /// Whether what comes now belongs at the top.
    fn is_newest(&self) -> bool {
        let Asked { before, after, to, .. } = &self.asked;
        self.problem.is_none() && [before, after, to].iter().all(|text| text.trim().is_empty())
    }

    /// The search as the query of an address, empty if there is none, with something more.
    fn query(&self, more: &str) -> String {
        let own = self.asked.fields().into_iter().filter(|(_, text)| !text.trim().is_empty());
        let own = own.map(|(name, text)| format!("{name}={}", encoded(text.trim())));
        let all: Vec<String> = own.chain((!more.is_empty()).then(|| more.to_owned())).collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }

    fn page(&self, word: &str, row: &i64) -> String {
        format!("/log{}", self.query(&format!("{word}={row}")))
    }

    /// Whether something narrows the search.
    fn is_narrowed(&self) -> bool {
        !self.query("").is_empty()
    }

    /// Whether something of what is folded up narrows it.
    fn is_more_open(&self) -> bool {
        let Asked { r#type, from, to, .. } = &self.asked;
        [r#type, from, to].iter().any(|text| !text.trim().is_empty())
    }

    fn verdicts(&self) -> [(&'static str, &'static str); 8] {
        VERDICTS
    }

    /// Whether what is asked for isn't among those that can be chosen.
    fn is_other_verdict(&self) -> bool {
        !VERDICTS.iter().any(|(value, _)| self.is_verdict(value))
    }

    fn is_verdict(&self, value: &str) -> bool {
        value == self.asked.verdict.trim()
    }

    /// The service chosen, as it is among those to choose from.
    fn chosen(&self) -> String {
        match (self.asked.program.trim(), self.asked.service.trim()) {
            ("", service) => service.to_owned(),
            (program, service) if !service.contains('/') => format!("{program}/{service}"),
            (_, service) => service.to_owned(),
        }
    }

    /// Whether what is chosen isn't among those to choose from.
    fn is_other(&self) -> bool {
        let chosen = self.chosen();
        let is = |(program, services): &(String, Vec<String>)| {
            let rest = chosen.strip_prefix(program.as_str()).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|rest| rest.is_empty() || services.iter().any(|service| service == rest))
        };
        !chosen.is_empty() && !self.programs.iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::auth::{By, Role, Who},
        *,
    };
    use crate::{
        policy::{Outcome, Trigger},
        query_log::Said,
    };

    /// A page on which nothing was found.
    fn page(asked: Asked) -> Page {
        let who = Who { name: "local".to_owned(), role: Role::ReadOnly, by: By::Page, from: None };
        let shell = Shell {
            current: "/log",
            title: "Log".to_owned(),
            state: String::new(),
            is_well: true,
            epoch: 1,
            reader: Reader { who, csrf: "".into(), session: None, done: None },
            done: None,
        };
        Page {
            shell,
            asked,
            programs: vec![("own".to_owned(), vec!["shop".to_owned()])],
            problem: None,
            is_recorded: true,
            rows: Vec::new(),
            older: None,
            newer: None,
            scanned_until: None,
        }
    }

    #[test]
    fn that_nothing_is_found_is_told_by_what_is_looked_for() {
        const NONE_FITS: &str = "No query that is kept fits. <a href=\"/log\">All queries</a>";
        const NONE_CAME: &str = "No query has come yet.";
        let none = Asked::default;
        for (asked, told) in [
            (none(), NONE_CAME),
            (Asked { name: " ".into(), ..none() }, NONE_CAME),
            (Asked { name: "x".into(), ..none() }, NONE_FITS),
            (Asked { verdict: "refused".into(), ..none() }, NONE_FITS),
            (Asked { before: "7".into(), ..none() }, NONE_FITS),
        ] {
            let html = page(asked.clone()).render().unwrap();
            let other = if told == NONE_FITS { NONE_CAME } else { NONE_FITS };
            assert!(html.contains(told) && !html.contains(other), "{asked:?}: {html}");
        }
        // What wasn't looked at may have some, and without a database it isn't known.
        let further = Page { scanned_until: Some(Moment(0)), ..page(Asked { name: "x".into(), ..none() }) };
        let unknown = Page { is_recorded: false, ..page(none()) };
        for (page, told) in [(further, "there may be more beyond."), (unknown, "What was asked isn't kept")] {
            let html = page.render().unwrap();
            assert!(html.contains(told) && !html.contains(NONE_FITS) && !html.contains(NONE_CAME), "{html}");
        }
    }

    #[test]
    fn the_filter_shows_what_it_is_set_to() {
        let none = Asked::default;
        for (asked, part) in [
            (none(), "<option value=\"\" selected>any or none</option>"),
            (Asked { verdict: "passed".into(), ..none() }, "<option value=\"passed\" selected>none</option>"),
            (Asked { verdict: "refused".into(), ..none() }, "<option value=\"refused\" selected>refused</option>"),
            // What can't be chosen stands there all the same, as text.
            (Asked { verdict: "<b>".into(), ..none() }, "<option selected>&#60;b&#62;</option>"),
            (Asked { service: "own/shop".into(), ..none() }, "<option value=\"own/shop\" selected>shop</option>"),
            (Asked { program: "own".into(), service: "shop".into(), ..none() }, "value=\"own/shop\" selected>"),
            (Asked { service: "own/".into(), ..none() }, "<option value=\"own/\" selected>all of own</option>"),
            (Asked { service: "gone/x".into(), ..none() }, "<option selected>gone/x</option>"),
            (Asked { r#type: "AAAA".into(), ..none() }, "<details open><summary>Type and time</summary>"),
            (Asked { name: "=a.example".into(), ..none() }, "data-tail=\"/api/v1/log/tail?name=%3Da.example\""),
        ] {
            let html = page(asked.clone()).render().unwrap();
            assert!(html.contains(part), "{asked:?}: no {part} in {html}");
        }
    }

    #[test]
    fn an_exception_that_let_nothing_pass_is_not_called_the_reason() {
        let of = |outcome, acted| Said {
            program: "strict".into(),
            service: "own".into(),
            list: "own".into(),
            version: "0".into(),
            line: 1,
            rule: "blocked.example".into(),
            trigger: Trigger::Qname,
            outcome,
            acted,
        };
        let owner = || Some("overlay.toml:e6".into());
        for (owner, own, expected) in [
            (owner(), vec![of(Outcome::Block, true)], Some(("strict/own", 1))),
            (owner(), vec![of(Outcome::WouldBlock, false)], Some(("strict/own", 1))),
            (owner(), vec![], Some(("overlay.toml:e6", 0))),
            (None, vec![of(Outcome::Block, true)], Some(("strict/own", 0))),
            (None, vec![], None),
        ] {
            let found = said(&Verdicts { owner, said: own, ..Verdicts::default() });
            assert_eq!(found.as_ref().map(|(who, others)| (who.as_str(), *others)), expected);
        }
    }
}
