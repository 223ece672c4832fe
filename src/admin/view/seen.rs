//! Whether the device that looks asks here: what it asked of late, and whether a name came that is asked for nowhere else.

use super::{
    super::{AdminState, auth, live::Unread},
    called::{Called, called},
    recorded_until,
    setup::Setup,
};
use crate::{
    config::Privacy,
    query::{CHECK_PREFIX, CHECK_ZONE},
    query_log::{ClientLike, Search, sqlite::Page},
    report::Moment,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// How far back is looked.
const MINUTES: i64 = 10;
/// Queries that are counted; of more is said that there are more.
const QUERIES_MAX: usize = 500;
/// How long is looked for them.
const LOOK_WITHIN: Duration = Duration::from_millis(200);
/// How long a name may be on its way. A browser asks for it at once.
const ARRIVES_WITHIN_SECONDS: i64 = 4;
/// Octets of a word that nobody can foresee.
const WORD_BYTES: usize = 8;
/// Characters of a word that somebody shows.
const WORD_CHARS_MAX: usize = 40;

/// What is asked for.
#[derive(Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct SeenAsked {
    /// A check that was begun; without one another is.
    #[serde(default)]
    pub nonce: Option<String>,
}

/// A device that looks.
#[derive(Serialize, JsonSchema, Debug)]
pub struct SeenView {
    /// Its address, as this server sees it.
    pub client: IpAddr,
    #[serde(flatten)]
    pub called: Called,
    /// What it asked of late, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries_10m: Option<usize>,
    /// There are more than were counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub there_are_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Moment>,
    /// Why that isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Where others ask, IPv4 first.
    pub addresses: Vec<String>,
    pub check: CheckView,
}

/// A name that is asked for nowhere else.
#[derive(Serialize, JsonSchema, Debug)]
pub struct CheckView {
    pub nonce: String,
    /// To be asked for by the device.
    pub name: String,
    pub state: CheckState,
    /// Who asked for it.
    pub from: Vec<IpAddr>,
}

/// What became of it.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It may be on its way.
    Waiting,
    Arrived,
    NotArrived,
    /// There is no such check, or no longer.
    Unknown,
}

/// Looks how it stands with a device. `reached`: the address at which it reaches the pages; `setup`: where others ask.
pub async fn seen(
    state: &AdminState,
    client: IpAddr,
    reached: Option<IpAddr>,
    asked: &SeenAsked,
    setup: &Setup,
) -> SeenView {
    let check = match asked.nonce.as_deref().filter(|nonce| !nonce.is_empty()) {
        Some(nonce) => look(state, nonce),
        None => begin(state, reached),
    };
    let counted = count(state, client).await;
    let (asked, caveat) = match counted {
        Ok(counted) => (Some(counted), None),
        Err(why) => (None, Some(why)),
    };
    SeenView {
        client,
        called: called(state, &client.to_string()),
        queries_10m: asked.as_ref().map(|counted| counted.queries),
        there_are_more: asked.as_ref().is_some_and(|counted| counted.there_are_more),
        last: asked.and_then(|counted| counted.last),
        caveat,
        addresses: setup.addresses.iter().chain(&setup.loopback).map(ToString::to_string).collect(),
        check,
    }
}

fn begin(state: &AdminState, reached: Option<IpAddr>) -> CheckView {
    let Ok(nonce) = auth::word::<WORD_BYTES>() else { return unknown("") };
    state.pipeline.checks().begin(&nonce, reached, state.pipeline.now());
    CheckView { name: name_of(&nonce), nonce, state: CheckState::Waiting, from: Vec::new() }
}

fn look(state: &AdminState, nonce: &str) -> CheckView {
    let now = state.pipeline.now();
    let Some(check) = state.pipeline.checks().find(nonce, now) else { return unknown(nonce) };
    let became = match check.from.is_empty() {
        false => CheckState::Arrived,
        true if now - check.begun < ARRIVES_WITHIN_SECONDS => CheckState::Waiting,
        true => CheckState::NotArrived,
    };
    CheckView { nonce: nonce.to_owned(), name: name_of(nonce), state: became, from: check.from }
}

fn unknown(nonce: &str) -> CheckView {
    let nonce: String = nonce.chars().filter(char::is_ascii_alphanumeric).take(WORD_CHARS_MAX).collect();
    CheckView { name: name_of(&nonce), nonce, state: CheckState::Unknown, from: Vec::new() }
}

fn name_of(nonce: &str) -> String {
    format!("{CHECK_PREFIX}{nonce}.{CHECK_ZONE}")
}

/// What a client asked of late.
struct Counted {
    queries: usize,
    there_are_more: bool,
    last: Option<Moment>,
}

async fn count(state: &AdminState, client: IpAddr) -> Result<Counted, String> {
    if state.settings.config().query_log.privacy != Privacy::Full {
        return Err("addresses of clients aren't recorded ([query_log] privacy)".to_owned());
    }
    let search = Search {
        client: Some(ClientLike::Network(client.into())),
        from: Some(recorded_until() - MINUTES * 60_000_000),
        ..Search::default()
    };
    let began = Instant::now();
    let found = state.recorded.look(move |reader| {
        reader.search(&search, Page::Before(i64::MAX), QUERIES_MAX, || began.elapsed() < LOOK_WITHIN)
    });
    match found.await {
        Ok(found) => Ok(Counted {
            queries: found.rows.len(),
            there_are_more: found.older.is_some(),
            last: found.rows.first().map(|(_, row)| Moment(row.time)),
        }),
        Err(Unread::NotYet) => Ok(Counted { queries: 0, there_are_more: false, last: None }),
        Err(why) => Err(why.to_string()),
    }
}
