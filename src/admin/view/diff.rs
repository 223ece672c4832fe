//! What differs between two texts of a list, and whom that would have hit.

use super::{
    super::{AdminState, live::Unread},
    lists::of_state,
    moment, recorded_until,
    tried::Tried,
};
use crate::{
    lists::{Kept, Manner, ServiceDiff, TextDiff, Trial, differ, kept, shown_version},
    policy::RuleSet,
    query_log::sqlite::ReadError,
    report::Moment,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio::sync::Semaphore;

/// Rules of each side that are told.
const RULES_TOLD_MAX: usize = 500;
/// Rules that are tried on what was recorded: so many make a policy within a second.
const RULES_TRIED_MAX: usize = 100_000;
/// Hours that are looked back at most.
const HOURS_MAX: u32 = 31 * 24;
/// Fewest digits that name a version.
const DIGITS_MIN: usize = 4;
const DAY_MICROS: i64 = 86_400_000_000;

/// Two texts of a long list and all that they have in common take much memory.
pub(super) static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Which texts are compared.
#[derive(Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct DiffAsked {
    /// The one that came before `to`, unless it is named.
    #[serde(default)]
    pub from: String,
    /// The one in force, unless another is named.
    #[serde(default)]
    pub to: String,
    /// How far back it is looked whom the difference would have hit; 0: not at all. Pages and API differ in what they do
    /// when it isn't said.
    #[serde(default)]
    pub hours: Option<u32>,
}

/// What differs.
#[derive(Serialize, JsonSchema, Debug)]
pub struct DiffView {
    pub program: String,
    pub list: String,
    pub from: TextView,
    pub to: TextView,
    pub added: SideView,
    pub removed: SideView,
    /// What was looked at to tell whom it would have hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedView>,
    /// Why nothing was, though it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// A text that was compared.
#[derive(Serialize, JsonSchema, Debug)]
pub struct TextView {
    pub version: String,
    pub since: Moment,
    /// As they are read now.
    pub rules: usize,
}

/// Rules that one text has and the other hasn't.
#[derive(Serialize, JsonSchema, Debug)]
pub struct SideView {
    pub count: usize,
    /// The first of them.
    pub rules: Vec<String>,
    /// What they would have hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_hit: Option<HitView>,
}

#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HitView {
    pub queries: u64,
    pub names: usize,
    pub clients: usize,
    /// Some of them are sums, of which rules on aliases and addresses match what the name ever led to: there may be fewer.
    pub upper_bound: bool,
}

/// What was looked at.
#[derive(Serialize, JsonSchema, Debug)]
pub struct AskedView {
    pub hours: u32,
    pub since: Moment,
    pub queries: u64,
    /// Of them, those of which only sums are left: they don't tell the type asked for, nor where each of
    /// them led: what rules on aliases and addresses match of them is an upper bound.
    pub without_type: u64,
    /// Of them, those answered from the cache of which nothing tells where they led: what rules on aliases and addresses
    /// match is a lower bound.
    pub without_answer: u64,
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("there is no such list")]
    NoList,
    #[error("{0}")]
    NoVersion(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Fault(String),
}

/// Two texts that are there, and how they are read.
struct Texts {
    from: Kept,
    to: Kept,
    manner: Manner,
}

/// Compares two texts of a list.
pub async fn diff(state: &AdminState, program: &str, name: &str, asked: DiffAsked) -> Result<DiffView, DiffError> {
    let hours = hours_of(asked.hours)?;
    let own = |own: &crate::lists::ListState| (own.kept_at.clone(), own.version, own.manner.clone());
    let (kept_at, in_force, manner) = of_state(state, program, name, own).ok_or(DiffError::NoList)?;
    let fault = |error: &dyn std::fmt::Display| DiffError::Fault(error.to_string());
    let _turn = ONE_AT_A_TIME.acquire().await.map_err(|error| fault(&error))?;
    let comparing = tokio::task::spawn_blocking(move || {
        let texts = Texts::find(kept_at, in_force, manner, &asked)?;
        texts.compare(told_max(hours))
    });
    let (from, to, TextDiff { added, removed }) = comparing.await.map_err(|error| fault(&error))??;
    let Measured { added, removed, asked, why_not } = measured(state, name, TextDiff { added, removed }, hours).await;
    Ok(DiffView { program: program.to_owned(), list: name.to_owned(), from, to, added, removed, asked, why_not })
}

/// How many rules are to be told apart, so that it can be tried whom they would have hit in so many hours.
pub(super) fn told_max(hours: u32) -> usize {
    if hours > 0 { RULES_TRIED_MAX } else { RULES_TOLD_MAX }
}

/// How far back it is looked, if that isn't too far.
pub(super) fn hours_of(asked: Option<u32>) -> Result<u32, DiffError> {
    let hours = asked.unwrap_or(0);
    let is_too_far = hours > HOURS_MAX;
    if is_too_far { Err(DiffError::Invalid(format!("hours: write a number from 0 to {HOURS_MAX}"))) } else { Ok(hours) }
}

/// Rules that differ, as they are told, and whom they would have hit.
pub(super) struct Measured {
    pub added: SideView,
    pub removed: SideView,
    pub asked: Option<AskedView>,
    pub why_not: Option<String>,
}

/// Tries rules of a list that differ on what was recorded in the last hours; 0: not at all.
pub(super) async fn measured(state: &AdminState, name: &str, differing: TextDiff, hours: u32) -> Measured {
    let TextDiff { added, removed } = differing;
    let is_tried = hours > 0 && added.count + removed.count > 0;
    let beyond = added.count.max(removed.count) > RULES_TRIED_MAX;
    let (tried, why_not) = match is_tried {
        true if beyond => {
            (None, Some(format!("more than {RULES_TRIED_MAX} rules differ, which are too many to be tried")))
        }
        true => {
            let differing =
                ServiceDiff { service: name.to_owned(), added: added.first.clone(), removed: removed.first.clone() };
            match tried(state, differing, hours).await {
                Ok(tried) => (Some(tried), None),
                Err(why) => (None, Some(why.to_string())),
            }
        }
        false => (None, None),
    };
    let hit = |is_added: bool| {
        let (tried, _) = tried.as_ref()?;
        Some(tried.hit(name, is_added).map_or_else(HitView::default, |hit| HitView {
            queries: hit.queries,
            names: hit.names.len(),
            clients: hit.clients.len(),
            upper_bound: hit.is_upper_bound,
        }))
    };
    let side = |side: crate::lists::Side, is_added: bool| SideView {
        count: side.count,
        rules: side.first.into_iter().take(RULES_TOLD_MAX).collect(),
        would_hit: hit(is_added),
    };
    Measured {
        added: side(added, true),
        removed: side(removed, false),
        asked: tried.as_ref().map(|(tried, since)| AskedView {
            hours,
            since: *since,
            queries: tried.queries,
            without_type: tried.without_type,
            without_answer: tried.without_answer,
        }),
        why_not,
    }
}

impl Texts {
    fn find(kept_at: Option<PathBuf>, in_force: u64, manner: Manner, asked: &DiffAsked) -> Result<Self, DiffError> {
        let none =
            || DiffError::NoVersion("no versions are kept: there is no state folder; set [state] dir".to_owned());
        let kept = kept(&kept_at.ok_or_else(none)?);
        let to = match asked.to.as_str() {
            "" => kept
                .iter()
                .position(|kept| kept.version == in_force)
                .ok_or_else(|| not_kept("the one in force", &kept))?,
            text => named(&kept, text)?,
        };
        let from = match asked.from.as_str() {
            "" if to + 1 < kept.len() => to + 1,
            "" => {
                let what = "there is no earlier version to compare with; it is kept from the next change on".to_owned();
                return Err(DiffError::NoVersion(what));
            }
            text => named(&kept, text)?,
        };
        Ok(Self { from: kept[from].clone(), to: kept[to].clone(), manner })
    }

    fn compare(&self, told_max: usize) -> Result<(TextView, TextView, TextDiff), DiffError> {
        let (from, to) = (self.read(&self.from)?, self.read(&self.to)?);
        let view = |kept: &Kept, rules: &RuleSet| TextView {
            version: shown_version(kept.version),
            since: moment(kept.since),
            rules: rules.len(),
        };
        Ok((view(&self.from, &from), view(&self.to, &to), differ(&from, &to, told_max)))
    }

    fn read(&self, kept: &Kept) -> Result<RuleSet, DiffError> {
        self.manner.read_kept(kept).map(|(_, parsed)| parsed.rules).map_err(DiffError::NoVersion)
    }
}

/// Which of some texts is meant, by the first digits of its version.
pub fn named(kept: &[Kept], text: &str) -> Result<usize, DiffError> {
    let digits = text.trim().to_ascii_lowercase();
    if digits.len() < DIGITS_MIN || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        let message = format!("`{}` is no version; write its hexadecimal digits, {DIGITS_MIN} at least", shown(text));
        return Err(DiffError::Invalid(message));
    }
    let mut meant = kept.iter().enumerate().filter(|(_, kept)| shown_version(kept.version).starts_with(&digits));
    match (meant.next(), meant.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => Err(DiffError::Invalid(format!("`{digits}` begins several versions; write more of it"))),
        (None, _) => Err(not_kept(&digits, kept)),
    }
}

/// What somebody wrote, in as far as it fits into a message.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn not_kept(what: &str, kept: &[Kept]) -> DiffError {
    let all: Vec<String> = kept.iter().map(|kept| shown_version(kept.version)).collect();
    let there_are = if all.is_empty() { "none are yet".to_owned() } else { format!("kept are {}", all.join(", ")) };
    DiffError::NoVersion(format!("version {what} is not kept; {there_are}"))
}

/// Tries rules that differ on what was recorded in the last hours; with the first time that was looked at.
async fn tried(state: &AdminState, differing: ServiceDiff, hours: u32) -> Result<(Tried, Moment), Unread> {
    let to = recorded_until();
    let from = to - i64::from(hours) * 3_600_000_000;
    let trying = move |reader: &mut crate::query_log::sqlite::Reader| {
        let Ok(trial) = Trial::new(&[differing]) else { return Ok(None) };
        let mut tried = Tried::new(trial);
        // Sums may begin a day earlier.
        reader.leads(from.saturating_sub(DAY_MICROS), |name, lead| tried.add_lead(name, lead))?;
        let (from, _) = reader.for_each(from, to, |seen| tried.add(&seen))?;
        Ok::<_, ReadError>(Some((tried, Moment(from))))
    };
    let looked = state.recorded.look(trying).await?;
    looked.ok_or_else(|| Unread::Fault("the rules that differ can't be tried".to_owned()))
}
