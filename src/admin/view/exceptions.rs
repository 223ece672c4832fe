//! Exceptions and blocks: the owner's own, and those made here.

use super::{
    super::AdminState,
    lists::{DAY_HOURS, WEEK_HOURS},
    tops::{Counts, counts_within},
};
use crate::{
    config::overlay::{Entry, FILE_NAME, Key, name_told},
    policy::{Effect, ListSpec, Policy},
    report::{ListRule, Tops},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Exceptions of one list that are told one by one, those that matched most first.
const RULES_MAX: usize = 100;
/// Rules of the longest list whose exceptions are looked through.
const LOOKED_MAX: usize = 500_000;

/// All of both.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Own {
    pub exceptions: Vec<ExceptionView>,
    pub blocks: Vec<BlockView>,
    /// Lists that have exceptions of their own.
    pub of_lists: Vec<ListExceptions>,
    /// Why it isn't known how often they matched.
    pub caveat: Option<String>,
}

/// The exceptions of a list that is in force.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ListExceptions {
    pub program: String,
    pub list: String,
    pub there_are: usize,
    /// Those that matched something in the last week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_7d: Option<usize>,
    /// Those that matched most, then those that matched nothing, as far as they are told one by one.
    pub rules: Vec<ListException>,
}

/// One of them.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ListException {
    pub line: u32,
    pub rule: String,
    #[serde(flatten)]
    pub hits: ExceptionHits,
}

/// How often something matched, if that is known.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ExceptionHits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits_24h: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits_7d: Option<u64>,
}

/// An exception.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ExceptionView {
    /// Of one that was made here; the owner's own are written in the configuration, and can't be changed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `=name` is that name alone.
    pub names: Vec<String>,
    /// Lists whose every rule passes.
    #[serde(skip_serializing_if = "is_zero")]
    pub lists: usize,
    /// None: all programs.
    pub programs: Vec<String>,
    /// None: everybody.
    pub groups: Vec<String>,
    pub reason: String,
    /// The last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub place: String,
    /// It isn't over, and what it is limited to is there.
    pub holds: bool,
    #[serde(flatten)]
    pub hits: ExceptionHits,
}

/// A block.
#[derive(Serialize, JsonSchema, Debug)]
pub struct BlockView {
    pub id: String,
    pub name: String,
    pub groups: Vec<String>,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub holds: bool,
    /// Why its name resolves all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ExceptionView {
    /// Its names as they are meant.
    pub fn told(&self) -> Vec<String> {
        self.names.iter().map(|name| name_told(name)).collect()
    }
}

/// All exceptions and blocks.
pub fn own(state: &AdminState) -> Own {
    let (config, overlay, now) = (state.settings.config(), state.desk.overlay(), state.pipeline.now());
    let day = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let of_owner = |place: &str| !place.starts_with(FILE_NAME);
    let ours = config.exceptions.iter().filter(|own| of_owner(&own.place)).map(|own| ExceptionView {
        id: None,
        names: own.names.iter().map(|(name, extent)| crate::config::overlay::written(name, *extent)).collect(),
        lists: own.lists.len(),
        programs: own.programs.clone(),
        groups: own.groups.clone(),
        reason: own.reason.clone(),
        until: day(&own.until_text),
        place: own.place.clone(),
        holds: own.until.is_none_or(|until| now < until),
        hits: ExceptionHits::default(),
    });
    let mut exceptions: Vec<ExceptionView> = ours.collect();
    let mut blocks = Vec::new();
    for (key, entry) in overlay.entries() {
        let place = crate::config::overlay::place(key);
        match entry {
            Entry::Exception(own) => {
                let laid = config.exceptions.iter().find(|laid| laid.place == place);
                exceptions.push(ExceptionView {
                    id: Some(key.id()),
                    names: own.names.clone(),
                    lists: 0,
                    programs: own.programs.clone(),
                    groups: own.groups.clone(),
                    reason: own.reason.clone(),
                    until: day(&own.until),
                    holds: laid.is_some_and(|laid| laid.until.is_none_or(|until| now < until)),
                    place,
                    hits: ExceptionHits::default(),
                });
            }
            Entry::Block(own) => blocks.push(BlockView {
                id: key.id(),
                name: own.name.clone(),
                groups: own.groups.clone(),
                reason: own.reason.clone(),
                until: day(&own.until),
                note: still_answered(state, &own.name),
                holds: !is_over(&own.until, &config.policy.time_zone, now),
            }),
            Entry::Mode(_) | Entry::Schedule(_) | Entry::Pin(_) | Entry::LetThrough(_) => {}
        }
    }
    Own { exceptions, blocks, of_lists: Vec::new(), caveat: None }
}

/// All of them, with how often they matched, for whoever waits that long for it.
pub async fn own_with_hits(state: &AdminState, within: Duration) -> Own {
    let mut all = own(state);
    let (day, week) = tokio::join!(counts_within(state, DAY_HOURS, within), counts_within(state, WEEK_HOURS, within));
    all.caveat = day.why_not().or_else(|| week.why_not());
    let known = match (day, week) {
        (Counts::Known(day), Counts::Known(week)) => Some([day, week]),
        _ => None,
    };
    if let Some(known) = &known {
        for own in &mut all.exceptions {
            own.hits = hits(known, |tops| tops.owners.get(&own.place));
        }
    }
    if let Some(policy) = state.health.published.policy.load_full() {
        // Long lists take a while.
        let looking = tokio::task::spawn_blocking(move || of_lists(&policy, known.as_ref()));
        all.of_lists = looking.await.unwrap_or_default();
    }
    all
}

fn hits(known: &[Arc<Tops>; 2], of: impl Fn(&Tops) -> Option<&u64>) -> ExceptionHits {
    let [day, week] = known.each_ref().map(|tops| of(tops).copied().unwrap_or(0));
    ExceptionHits { hits_24h: Some(day), hits_7d: Some(week) }
}

fn of_lists(policy: &Policy, known: Option<&[Arc<Tops>; 2]>) -> Vec<ListExceptions> {
    let own = policy.lists().iter().filter(|list| list.rules.exceptions() > 0);
    own.filter_map(|list| of_list(&policy.programs()[list.program()?].name, list, known)).collect()
}

fn of_list(program: &str, list: &ListSpec, known: Option<&[Arc<Tops>; 2]>) -> Option<ListExceptions> {
    let key = |rule: String| ListRule { program: program.to_owned(), list: list.name.clone(), rule };
    let mut rules = Vec::new();
    let is_looked_through = list.rules.len() <= LOOKED_MAX;
    if is_looked_through {
        let excepting = list.rules.iter().filter(|(_, rule)| rule.head.flags.effect() == Effect::Except);
        rules.extend(excepting.map(|(_, view)| {
            let (line, rule) = (view.head.line, view.told());
            let key = key(rule.clone());
            let hits = known.map(|known| hits(known, |tops| tops.excepting.get(&key)));
            ListException { line, rule, hits: hits.unwrap_or_default() }
        }));
    }
    rules.sort_by_key(|own| (std::cmp::Reverse((own.hits.hits_7d, own.hits.hits_24h)), own.line));
    let used_7d = known
        .filter(|_| is_looked_through)
        .map(|_| rules.iter().filter(|own| own.hits.hits_7d.is_some_and(|hits| hits > 0)).count());
    rules.truncate(RULES_MAX);
    let (program, there_are) = (program.to_owned(), list.rules.exceptions());
    Some(ListExceptions { program, list: list.name.clone(), there_are, used_7d, rules })
}

/// Why a name resolves though a block of it is in force, if it does.
pub fn still_answered(state: &AdminState, written: &str) -> Option<String> {
    let (name, _) = crate::config::exception_name(written).ok()?;
    state.pipeline.answered_before_policy(&name).map(|why| format!("{name} still resolves: it is {why}"))
}

/// The one that was made here under an id, to be changed.
pub fn one(state: &AdminState, id: &str) -> Option<Entry> {
    let keys = [format!("exception/{id}"), format!("block/{id}")];
    let overlay = state.desk.overlay();
    keys.iter().find_map(|key| overlay.entry(&key.parse::<Key>().ok()?).cloned())
}

fn is_over(until: &str, zone: &crate::policy::Zone, now: i64) -> bool {
    crate::config::end_of_day(until, zone).is_ok_and(|end| now >= end)
}
