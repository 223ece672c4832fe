//! One list with all that is known of it: its texts, what they decided, and which of its rules never decided anything.

use super::{
    super::AdminState,
    held::{LetThroughView, let_through},
    lists::{DAY_HOURS, Decided, ListView, WEEK_HOURS, of_state, one as one_list},
    moment,
    tops::counts,
};
use crate::{
    lists::{Kept, kept, shown_version},
    policy::Policy,
    report::{self, Moment, QuietRule, Tops},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One list.
#[derive(Serialize, JsonSchema, Debug)]
pub struct WholeList {
    #[serde(flatten)]
    pub list: ListView,
    pub hits: HitsView,
    /// Rules that decided nothing in the last week, of a list of which others did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_hit: Option<NeverHitView>,
    /// Its last texts, the last that came first; none if there is no state folder.
    pub versions: Vec<VersionView>,
    /// Rules that the safety gate would hold back, and that somebody let through.
    pub let_through: Vec<LetThroughView>,
}

/// What it decided.
#[derive(Serialize, JsonSchema, Debug)]
pub struct HitsView {
    /// Since this process began; `excepted` by its own exceptions alone.
    pub since_start: Decided,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Decided>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_week: Option<Decided>,
    /// When the day was counted: a minute ago at most, or 40 times as long as the count takes, if that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Moment>,
    /// Why the day and the week aren't told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Rules that decided nothing, though they are in force.
#[derive(Serialize, JsonSchema, Debug)]
pub struct NeverHitView {
    pub hours: u32,
    pub there_are: u64,
    /// The first of them.
    pub rules: Vec<QuietRule>,
}

/// A text of a list.
#[derive(Serialize, Deserialize, JsonSchema, Clone, PartialEq, Debug)]
pub struct VersionView {
    /// The first octets of its SHA-256, as hexadecimal digits.
    pub version: String,
    /// When it came, in seconds since 1970.
    pub since: i64,
    /// Exceptions among them.
    pub rules: u64,
    /// Octets; `None`: it isn't kept, or not yet, and can't be compared with or rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    pub in_force: bool,
    /// The list is it now.
    pub newest: bool,
    pub pinned: bool,
}

/// The list of a program by its name, if there is one. It counts what is recorded, which it doesn't wait long for.
pub async fn whole(state: &AdminState, program: &str, name: &str) -> Option<WholeList> {
    let found = one_list(state, program, name)?;
    let (mut list, [blocked, would_block, excepted]) = (found.list, found.hits);
    let (day, week) = tokio::join!(counts(state, DAY_HOURS), counts(state, WEEK_HOURS));
    let last_day = day.known().map(|tops| Decided::by(&list, tops));
    let last_week = week.known().map(|tops| Decided::by(&list, tops));
    (list.hits_24h, list.hits_7d) = (last_day.map(|hits| hits.all()), last_week.map(|hits| hits.all()));
    let hits = HitsView {
        since_start: Decided { blocked, would_block, excepted },
        last_day,
        last_week,
        made_at: day.known().map(|tops| tops.made_at),
        why_not: day.why_not().or_else(|| week.why_not()),
    };
    let kept_at = of_state(state, program, name, |own| own.kept_at.clone()).flatten();
    let policy = state.health.published.policy.load_full();
    let let_through = let_through(state, Some(&format!("{program}/{name}")));
    // Files, and perhaps a million rules, are looked at where that holds up nobody.
    let looking = tokio::task::spawn_blocking(move || {
        let versions = versions(&list, kept_at);
        let never_hit = match (&policy, week.known()) {
            (Some(policy), Some(tops)) => never_hit(policy, &list, tops),
            _ => None,
        };
        WholeList { list, hits, never_hit, versions, let_through }
    });
    looking.await.ok()
}

/// The texts of a list, the last that came first. It reads a folder.
pub fn versions(list: &ListView, kept_at: Option<PathBuf>) -> Vec<VersionView> {
    let pinned = list.pinned.as_ref();
    let newest = pinned.and_then(|pinned| pinned.waiting.as_ref()).unwrap_or(&list.version);
    let view = |kept: Kept| {
        let version = shown_version(kept.version);
        VersionView {
            since: moment(kept.since).0.div_euclid(1_000_000),
            // What is let through by hand counts.
            rules: if version == list.version { list.rules as u64 } else { kept.rules },
            bytes: Some(kept.bytes),
            in_force: version == list.version,
            newest: version == *newest,
            pinned: pinned.is_some_and(|pinned| pinned.version == version),
            version,
        }
    };
    let Some(kept_at) = kept_at else { return Vec::new() };
    let mut versions: Vec<VersionView> = kept(&kept_at).into_iter().map(view).collect();
    if let Some(since) = list.since.filter(|_| !versions.iter().any(|own| own.in_force)) {
        let in_force = VersionView {
            version: list.version.clone(),
            since: i64::try_from(since).unwrap_or(i64::MAX),
            rules: list.rules as u64,
            bytes: None,
            in_force: true,
            newest: list.version == *newest,
            pinned: pinned.is_some_and(|pinned| pinned.version == list.version),
        };
        versions.insert(0, in_force);
    }
    versions
}

/// Rules of the text in force that decided nothing of what was counted, if others did.
fn never_hit(policy: &Policy, list: &ListView, tops: &Tops) -> Option<NeverHitView> {
    let is_it = |own: &&crate::policy::ListSpec| {
        let program = own.program().map(|at| policy.programs()[at].name.as_str());
        program == Some(list.program.as_str()) && own.name == list.list && shown_version(own.version) == list.version
    };
    let own = policy.lists().iter().find(is_it)?;
    let hits = tops.lists.iter().find(|hits| {
        (&hits.program, &hits.service, &hits.list, &hits.version)
            == (&list.program, &list.service, &list.list, &list.version)
    })?;
    let (there_are, rules) = hits.never_hit(own.rules.iter().map(|(_, rule)| report::candidate(rule)))?;
    Some(NeverHitView { hours: WEEK_HOURS, there_are, rules })
}

impl VersionView {
    /// When it came.
    pub fn moment(&self) -> Moment {
        Moment(self.since.saturating_mul(1_000_000))
    }
}
