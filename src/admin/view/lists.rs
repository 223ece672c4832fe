//! The lists there are, and what is to be known of each.

use super::{
    super::AdminState,
    tops::{Counts, counts},
};
use crate::{
    lists::{ListState, ListStatus, PinnedAt, shown_version},
    policy::{Mode, Outcome, parse::Told},
    report::{ListHits, Tops},
    telemetry::ListKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// All lists, as the API shows them.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct ListsView {
    pub epoch: u64,
    pub lists: Vec<ListView>,
    pub folder_troubles: Vec<(String, String)>,
    pub unknown_services: Vec<String>,
    /// What keeps rules on AS numbers and countries from their work.
    #[serde(default)]
    pub databases: Vec<String>,
    /// The owner's exceptions that are over: place and last day.
    #[serde(default)]
    pub expired_exceptions: Vec<(String, String)>,
}

/// One list.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct ListView {
    pub program: String,
    pub service: String,
    pub list: String,
    pub path: String,
    #[schemars(extend("enum" = ["off", "shadow", "enforce"]))]
    pub mode: String,
    pub format: String,
    pub rules: usize,
    pub exceptions: usize,
    pub skipped_count: usize,
    /// Line numbers and reasons, the first of them.
    pub skipped: Vec<(u32, String)>,
    /// Rules that the safety gate held back, likewise, and those that it took and warns of.
    #[serde(default)]
    pub held_count: usize,
    #[serde(default)]
    pub held: Vec<(u32, String)>,
    /// By which names those are let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passes_by: Vec<PassesBy>,
    #[serde(default)]
    pub warned_count: usize,
    #[serde(default)]
    pub warned: Vec<(u32, String)>,
    /// The first octets of the SHA-256 of the text in force, as hexadecimal digits.
    pub version: String,
    /// Seconds since 1970 when this process took the text in that is in force.
    pub since: Option<u64>,
    /// Seconds since 1970 when that text last changed: as it says itself (`#: updated: 2026-11-19`, or a comment such as
    /// `! Last modified: …`); else when its file was written, and of a list with a url what its server says
    /// (`Last-Modified`) or when it came. Left out of a list inside the program that doesn't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<u64>,
    pub from_store: bool,
    pub trouble: Option<String>,
    /// What is in force perhaps isn't meant: why.
    #[serde(default)]
    pub doubt: Option<String>,
    /// What the list says of itself.
    pub header: Vec<(String, String)>,
    /// It is pinned at a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<PinnedView>,
    /// Queries that it decided in the last day and week, if that was asked for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits_24h: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits_7d: Option<u64>,
}

/// The names by which a rule that is held back is let through.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Eq, Debug)]
pub struct PassesBy {
    pub line: u32,
    pub names: Vec<String>,
}

/// That a list is pinned at a version, whatever it is now.
#[derive(Serialize, Deserialize, Debug, JsonSchema)]
pub struct PinnedView {
    pub version: String,
    pub reason: String,
    /// Why it isn't, and the list as it is now is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The version that the list is now, if that is another one: it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_rules: Option<usize>,
}

/// Queries by what a list made of them. `excepted` are those that its own exceptions let pass, needed or not; of a day
/// and a week also those that it would have blocked, or counted as such, but for an exception of the owner's.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Default, Debug, JsonSchema)]
pub struct Decided {
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
}

impl Decided {
    pub fn all(&self) -> u64 {
        self.blocked + self.would_block + self.excepted
    }

    /// What all texts of a list made of what was counted.
    pub fn by(list: &ListView, tops: &Tops) -> Self {
        let is_own =
            |hits: &&ListHits| (&hits.program, &hits.service, &hits.list) == (&list.program, &list.service, &list.list);
        tops.lists.iter().filter(is_own).fold(Self::default(), |sum, hits| Self {
            blocked: sum.blocked + hits.blocked,
            would_block: sum.would_block + hits.would_block,
            excepted: sum.excepted + hits.excepted,
        })
    }
}

/// Hours of a day and of a week: how far back is counted.
pub const DAY_HOURS: u32 = 24;
pub const WEEK_HOURS: u32 = 7 * 24;

/// Fills in what lists decided in the last day and week. What can't be told, and why.
pub async fn count(state: &AdminState, lists: &mut [ListView]) -> Option<String> {
    let (day, week) = tokio::join!(counts(state, DAY_HOURS), counts(state, WEEK_HOURS));
    for list in lists {
        list.hits_24h = day.known().map(|tops| Decided::by(list, tops).all());
        list.hits_7d = week.known().map(|tops| Decided::by(list, tops).all());
    }
    [day, week].iter().find_map(Counts::why_not)
}

/// True if a list is on, and is known to have decided nothing in the last week.
pub fn never_hit(list: &ListView) -> bool {
    list.mode != Mode::Off.word() && list.hits_7d == Some(0)
}

/// Shows all lists.
pub fn lists(status: &ListStatus) -> ListsView {
    ListsView {
        epoch: status.epoch,
        lists: status.lists.iter().map(list_view).collect(),
        folder_troubles: status.folders.clone(),
        unknown_services: status.unknown_services.clone(),
        databases: status.database_troubles(),
        expired_exceptions: status.expired_exceptions.clone(),
    }
}

/// One list in force, or meant to be, with its matches since the start.
pub struct OneList {
    pub list: ListView,
    /// Blocked, would be blocked, excepted: in the order of [`Outcome::ALL`].
    pub hits: Hits,
}

/// Matches in the order of [`Outcome::ALL`].
pub type Hits = [u64; Outcome::ALL.len()];

/// All lists with their matches.
pub fn with_hits(state: &AdminState) -> (ListsView, Vec<Hits>) {
    let view = lists(&state.health.published.status.load());
    let hits: HashMap<ListKey, Hits> = state.telemetry.hits_by_list().into_iter().collect();
    let of = |list: &ListView| {
        let key = (list.program.clone(), list.service.clone(), list.list.clone());
        hits.get(&key).copied().unwrap_or_default()
    };
    let hits = view.lists.iter().map(of).collect();
    (view, hits)
}

/// Something of the state of a list.
pub fn of_state<T>(state: &AdminState, program: &str, name: &str, what: impl FnOnce(&ListState) -> T) -> Option<T> {
    let status = state.health.published.status.load();
    status.lists.iter().find(|own| own.program == program && own.name == name).map(what)
}

/// The list of a program by its name, if there is one. Names are unique within a program.
pub fn one(state: &AdminState, program: &str, name: &str) -> Option<OneList> {
    let (view, hits) = with_hits(state);
    let mut all = view.lists.into_iter().zip(hits);
    all.find(|(list, _)| list.program == program && list.list == name).map(|(list, hits)| OneList { list, hits })
}

/// Programs in order of configuration, each with its services in the order of its lists.
pub fn services(state: &AdminState) -> Vec<(String, Vec<String>)> {
    let mut programs: Vec<(String, Vec<String>)> = Vec::new();
    for ListState { program, service, .. } in &state.health.published.status.load().lists {
        // Lists of the owner's exceptions are of no program.
        if program.is_empty() {
            continue;
        }
        match programs.iter_mut().find(|(known, _)| known == program) {
            Some((_, services)) if services.contains(service) => {}
            Some((_, services)) => services.push(service.clone()),
            None => programs.push((program.clone(), vec![service.clone()])),
        }
    }
    programs
}

fn told(told: &Told) -> Vec<(u32, String)> {
    told.first.iter().map(|told| (told.line, told.reason.clone())).collect()
}

fn passes_by(told: &Told) -> Vec<PassesBy> {
    let named = told.first.iter().filter(|told| !told.passes_by.is_empty());
    named.map(|told| PassesBy { line: told.line, names: told.passes_by.clone() }).collect()
}

fn list_view(list: &ListState) -> ListView {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    ListView {
        program: list.program.clone(),
        service: list.service.clone(),
        list: list.name.clone(),
        path: list.path.to_string(),
        mode: list.mode.word().to_owned(),
        format: list.format.word().to_owned(),
        rules: list.rules,
        exceptions: list.exceptions,
        skipped_count: list.skipped.count,
        skipped: told(&list.skipped),
        held_count: list.held.count,
        held: told(&list.held),
        passes_by: passes_by(&list.held),
        warned_count: list.warned.count,
        warned: told(&list.warned),
        version: shown_version(list.version),
        since: list.since.map(seconds),
        changed_at: list.changed_at.map(seconds),
        from_store: list.from_store,
        trouble: list.trouble.clone(),
        doubt: list.doubt.clone(),
        header: list.header.fields.clone(),
        pinned: list.pinned.as_ref().map(pinned),
        hits_24h: None,
        hits_7d: None,
    }
}

fn pinned(pinned: &PinnedAt) -> PinnedView {
    PinnedView {
        version: shown_version(pinned.version),
        reason: pinned.reason.clone(),
        trouble: pinned.trouble.clone(),
        waiting: pinned.waiting.map(|(version, _)| shown_version(version)),
        waiting_rules: pinned.waiting.map(|(_, rules)| rules),
    }
}
