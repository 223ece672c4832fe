//! Queries that are recorded: a page of those looked for, and one with all that is known of it.

use super::{
    super::{AdminState, live::Unread},
    called::{Called, NameBy, by_name, called},
    explain::{Explained, earlier_line, explained, rule_line},
    search::{Asked, Invalid},
};
use crate::{
    config,
    dns::{Name, Transport},
    lists::ListStatus,
    policy::{Link, Trigger, Zone},
    query::{Explanation, Recalled},
    query_log::{
        JsonRow, Row, Said, Search, shown_micros,
        sqlite::{Found, Page},
    },
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

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
    /// `None`: it couldn't be understood, or there is no policy.
    pub as_of_now: Option<AsOfNow>,
}

/// What the policy of now says to a question that was recorded.
#[derive(Serialize, JsonSchema, Debug)]
pub struct AsOfNow {
    /// As `GET /api/v1/explain` tells it; but nothing was resolved for it: `chain` is what its answer led to then.
    #[serde(flatten)]
    pub explained: Explained,
    /// What isn't known of it any more, and so isn't counted in.
    pub unknown: Vec<String>,
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
    /// What the policy of now says to the same question, with the exceptions that it considers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_now: Option<&'r AsOfNow>,
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
        let Self { id, row, lines, called, as_of_now } = self;
        WhyView { row: LogRow::of(*id, row, called.clone()), lines, as_of_now: as_of_now.as_ref() }
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
    let (lines, row) = match found.await {
        Err(Unread::NotYet) | Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(error) => return Err(error),
    };
    let as_of_now = as_of_now(state, &row).await;
    Ok(Some(Why { id, lines, called: called(state, &row.client), row, as_of_now }))
}

/// What the policy of now says to a question that was recorded.
async fn as_of_now(state: &AdminState, row: &Row) -> Option<AsOfNow> {
    let name: Name = row.name.parse().ok()?;
    let address: Option<IpAddr> = row.client.parse().ok();
    let aliases = row.aliases.iter().filter_map(|alias| alias.parse().ok());
    // What kind of alias it was isn't kept, and makes no difference to what rules match.
    let aliases = aliases.map(|alias| Link::name(alias, Trigger::Cname));
    let led_to = aliases.chain(row.addresses.iter().map(|address| Link::address(*address, Trigger::Address)));
    let tcp = row.transport == Transport::Tcp;
    let (rr_type, led_to) = (row.rr_type, led_to.collect());
    let recalled = Recalled { name, rr_type, client: address, group: &row.group, tcp, led_to };
    let (client, explanation) = state.pipeline.explain_again(recalled)?;
    let unknown = unknown(row, address, &explanation);
    let admitted = address.is_none_or(|address| state.pipeline.admits(address));
    let published = state.health.published.clone();
    // Rules are read back from their files.
    let view = tokio::task::spawn_blocking(move || {
        explained(&explanation, rr_type, client, admitted, &published.status.load())
    });
    // Whoever wasn't kept is nobody, and not the address that stands for that.
    Some(AsOfNow { explained: Explained { client: row.client.clone(), ..view.await.ok()? }, unknown })
}

/// What isn't known of a question that was recorded, in sentences.
fn unknown(row: &Row, address: Option<IpAddr>, explanation: &Explanation) -> Vec<String> {
    let Explanation { policy, verdict, own_answer, .. } = explanation;
    let group = match row.group.as_ref() {
        "" => "somebody in no group".to_owned(),
        group if policy.group_named(group).is_none() => format!("somebody in no group, since there is no {group} now"),
        group => format!("somebody in the group {group}"),
    };
    let nobody = || {
        format!(
            "Who asked isn't kept as an address. It is taken for {group}, and what rules and pauses say of single clients isn't \
             known."
        )
    };
    // Of a question that is blocked, or answered here, nothing leads anywhere.
    let leads = verdict.block().is_none_or(|_| verdict.answer_seen) && own_answer.is_none();
    let led = match (row.aliases.is_empty(), row.addresses.is_empty()) {
        _ if !leads => None,
        (true, true) => Some("The log doesn't have where the name led, so rules on that aren't counted in."),
        (false, true) => Some("The log has no addresses of its answer, so rules on those aren't counted in."),
        (_, false) => None,
    };
    let servers = (leads && policy.looks_at_name_servers())
        .then_some("Name servers aren't in the log, so rules on those aren't counted in.");
    let led = led.into_iter().chain(servers).map(str::to_owned);
    address.is_none().then(nobody).into_iter().chain(led).collect()
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
