//! What is blocked most, and would be: of the last hours, counted from what is recorded.

use super::{
    super::{AdminState, live::Unread},
    called::{Called, called},
};
use crate::report::{Moment, TopRow, Tops};
use schemars::JsonSchema;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Hours that can be asked for: a month of days.
pub const HOURS_MAX: u32 = 31 * 24;
/// How long a page waits for counts that aren't there yet; it is shown without them then.
pub const PAGE_WITHIN: Duration = Duration::from_millis(120);
/// How long a program waits for them.
pub const API_WITHIN: Duration = Duration::from_secs(30);

/// What rows are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    Services,
    Names,
    Clients,
}

/// The first rows of one kind.
#[derive(Serialize, JsonSchema, Debug)]
pub struct TopView {
    /// The times that were really looked at.
    pub from: Moment,
    pub to: Moment,
    /// When it was counted: a minute ago at most, or 40 times as long as the count takes, if that is more.
    pub made_at: Moment,
    pub queries: u64,
    pub there_are: u64,
    pub rows: Vec<NamedRow>,
}

/// A row, of a client with what it is called.
#[derive(Serialize, JsonSchema, Debug)]
pub struct NamedRow {
    #[serde(flatten)]
    pub row: TopRow,
    #[serde(flatten)]
    pub called: Called,
}

/// Counts for a page.
pub enum Counts {
    Known(Arc<Tops>),
    /// Somebody is counting.
    Coming,
    /// Nothing is recorded, or can't be read: why.
    None(String),
}

impl Counts {
    pub fn known(&self) -> Option<&Tops> {
        match self {
            Self::Known(tops) => Some(tops),
            Self::Coming | Self::None(_) => None,
        }
    }

    /// Why they aren't known.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Known(_) => None,
            Self::Coming => Some("it is being counted; look again in a moment".to_owned()),
            Self::None(why) => Some(why.clone()),
        }
    }
}

impl Of {
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "services" => Some(Self::Services),
            "names" => Some(Self::Names),
            "clients" => Some(Self::Clients),
            _ => None,
        }
    }
}

/// Counts of the last so many hours, for a page that doesn't wait long.
pub async fn counts(state: &AdminState, hours: u32) -> Counts {
    counts_within(state, hours, PAGE_WITHIN).await
}

/// The same, for whoever waits that long.
pub async fn counts_within(state: &AdminState, hours: u32, within: Duration) -> Counts {
    if !state.recorded.is_somewhere() {
        return Counts::None(Unread::Nowhere.to_string());
    }
    match state.recorded.tops(hours, within).await {
        Ok(Some(tops)) => Counts::Known(tops),
        Ok(None) => Counts::Coming,
        Err(why) => Counts::None(why.to_string()),
    }
}

/// The first rows of one kind, of the last so many hours.
pub async fn top(state: &AdminState, of: Of, hours: u32, limit: usize) -> Result<TopView, Unread> {
    if !state.recorded.is_somewhere() {
        return Err(Unread::Nowhere);
    }
    let tops = state.recorded.tops(hours, API_WITHIN).await?;
    let tops = tops.ok_or(Unread::Coming)?;
    let named = |row: &TopRow| NamedRow {
        called: if of == Of::Clients { called(state, &row.key) } else { Called::default() },
        row: row.clone(),
    };
    let table = match of {
        Of::Services => &tops.services,
        Of::Names => &tops.names,
        Of::Clients => &tops.clients,
    };
    Ok(TopView {
        from: tops.from,
        to: tops.to,
        made_at: tops.made_at,
        queries: tops.queries,
        there_are: table.there_are,
        rows: table.rows.iter().take(limit).map(named).collect(),
    })
}
