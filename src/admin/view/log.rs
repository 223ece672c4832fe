//! Queries that are recorded: a page of those looked for, and one with all that is known of it.

use super::{
    super::{AdminState, live::Unread},
    called::{Called, NameBy, by_name, called},
    explain::{earlier_line, rule_line},
    search::{Asked, Invalid},
};
use crate::{
    config,
    lists::ListStatus,
    policy::Zone,
    query_log::{
        JsonRow, Row, Said, Search, shown_micros,
        sqlite::{Found, Page},
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long one page looks: who looks for something rare goes on from where it ended.
const LOOK_WITHIN: Duration = Duration::from_millis(200);
/// Rows of a page, unless asked for otherwise.
const ROWS: usize = 100;
/// Rows of a page at most.
const ROWS_MAX: usize = 500;

/// A page of the log. `next` and `previous` are what is to be written as `before` and `after` for the pages beside it.
#[derive(Serialize, JsonSchema, Debug)]
pub struct LogView<'r> {
    pub rows: Vec<LogRow<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Time was up: what is beyond this time wasn't looked at, and is on the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_until: Option<String>,
}

/// A query with its number.
#[derive(Serialize, JsonSchema, Debug)]
pub struct LogRow<'r> {
    pub id: i64,
    #[serde(flatten)]
    pub row: JsonRow<'r>,
    /// What its client is called now.
    #[serde(flatten)]
    pub client: ClientNamed,
}

/// What the client of a query is called.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Eq, Default, Debug)]
pub struct ClientNamed {
    #[serde(rename = "client_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(rename = "client_name_by", skip_serializing_if = "Option::is_none")]
    pub by: Option<NameBy>,
}

impl From<Called> for ClientNamed {
    fn from(Called { name, name_by, .. }: Called) -> Self {
        Self { name, by: name_by }
    }
}

/// One query, with the lines that said something of it.
#[derive(Debug)]
pub struct Why {
    pub id: i64,
    pub row: Row,
    /// As many as there are verdicts, and then as many as were overruled.
    pub lines: Vec<Line>,
    pub called: Called,
}

/// A line of a list, as it said something.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub program: String,
    pub list: String,
    pub line: u32,
    /// What stands there; none if the list is another by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub version: String,
    pub is_current: bool,
}

/// The same for programs.
#[derive(Serialize, JsonSchema, Debug)]
pub struct WhyView<'r> {
    #[serde(flatten)]
    pub row: LogRow<'r>,
    /// Of each of `verdicts`, and then of each of `overruled`.
    pub lines: &'r [Line],
}

/// Why there is no log to show.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Unread(#[from] Unread),
}

impl<'r> LogView<'r> {
    pub fn of(state: &AdminState, found: &'r Found) -> Self {
        let number = |row: Option<i64>| row.map(|row| row.to_string());
        Self {
            rows: found.rows.iter().map(|(id, row)| LogRow::of(*id, row, called(state, &row.client))).collect(),
            next: number(found.older),
            previous: number(found.newer),
            scanned_until: found.scanned_until.map(shown_micros),
        }
    }
}

impl<'r> LogRow<'r> {
    fn of(id: i64, row: &'r Row, called: Called) -> Self {
        Self { id, row: JsonRow::of(row, ""), client: called.into() }
    }
}

impl Why {
    pub fn view(&self) -> WhyView<'_> {
        WhyView { row: LogRow::of(self.id, &self.row, self.called.clone()), lines: &self.lines }
    }
}

/// Queries that are looked for.
pub async fn search(state: &AdminState, asked: &Asked) -> Result<Found, LogError> {
    let search = by_name(state, asked.search(state.pipeline.now())?);
    let (page, limit) = asked.page(ROWS, ROWS_MAX)?;
    Ok(look(state, search, page, limit).await?)
}

async fn look(state: &AdminState, search: Search, page: Page, limit: usize) -> Result<Found, Unread> {
    let found = state.recorded.look(move |reader| {
        let began = Instant::now();
        reader.search(&search, page, limit, || began.elapsed() < LOOK_WITHIN)
    });
    match found.await {
        // That nobody has asked anything yet is no error.
        Err(Unread::NotYet) => Ok(Found::default()),
        found => found,
    }
}

/// One query; `None`: there is none of this number, any more or yet.
pub async fn why(state: &AdminState, id: i64) -> Result<Option<Why>, Unread> {
    let published = state.health.published.clone();
    let found = state.recorded.look(move |reader| {
        let row = reader.row(id)?;
        // Lines are read back from their files.
        let status = published.status.load();
        Ok(row.map(|row| {
            let all = row.verdicts.said.iter().chain(&row.verdicts.overruled);
            (all.map(|said| line(said, &status)).collect(), row)
        }))
    });
    match found.await {
        Err(Unread::NotYet) => Ok(None),
        found => Ok(found?.map(|(lines, row)| Why { id, lines, called: called(state, &row.client), row })),
    }
}

/// The number of a query that was seen as it came: by its time as it was told, its name, and what was told of its client.
pub async fn number(state: &AdminState, time: &str, name: &str, client: &str) -> Result<Option<i64>, LogError> {
    let time = config::moment(time, &Zone::utc()).map_err(|why| Invalid { field: "time", why })?;
    let (name, client) = (name.to_owned(), client.to_owned());
    match state.recorded.look(move |reader| reader.find(time, &name, &client)).await {
        Err(Unread::NotYet) => Ok(None),
        found => Ok(found?),
    }
}

/// The line that said it, if its list is still the same or that text of it is kept.
fn line(said: &Said, status: &ListStatus) -> Line {
    let mut lists = status.lists.iter();
    let list = lists.find(|list| list.program == *said.program && list.name == *said.list);
    let current = list.filter(|list| format!("{:016x}", list.version) == *said.version);
    Line {
        program: said.program.to_string(),
        list: said.list.to_string(),
        line: said.line,
        // Rules that look at who asks may have no line here.
        text: match said.line {
            0 => None,
            _ => current
                .map(|list| rule_line(list, said.line))
                .or_else(|| list.and_then(|list| earlier_line(list, &said.version, said.line))),
        },
        version: said.version.to_string(),
        is_current: current.is_some(),
    }
}
