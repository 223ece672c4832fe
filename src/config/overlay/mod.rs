//! What pages and API change, in a file of its own: it lies upon the configuration, and is stronger. Pure: texts and
//! configurations in, texts and configurations out.
//!
//! ```text
//! overlay.toml → read → Overlay ─ apply(Config) → Config, and which entries rest
//!                         │ with(key, entry)
//!                         └ text → overlay.toml
//! ```
//!
//! An entry is kept as it is written; `read` is what knows whether it can be meant. So whatever is to be written is
//! written and read first, and is refused in the words of the configuration's own readers.

mod apply;
mod key;
mod numbered;
mod read;
mod shown;
mod text;
mod told;

pub use self::{
    apply::{Applied, OWN_PROGRAM, Resting},
    key::Key,
    numbered::Numbered,
    text::{name_told, place, written},
    told::{kind, told},
};

use super::end_of_day;
use crate::policy::{Mode, Zone};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The file in the state folder.
pub const FILE_NAME: &str = "overlay.toml";
/// Its copy as it was last in force, beside it.
pub const LAST_GOOD_NAME: &str = "overlay.last-good.toml";
/// Octets of the file: as many as of a configuration.
pub const OVERLAY_BYTES_MAX: u64 = 1 << 20;
/// Modes and schedules: a mode for each of thirty services in each of a hundred groups.
const SETTINGS_MAX: usize = 3000;
/// Exceptions, each of which is a list of its own to the policy.
const EXCEPTIONS_MAX: usize = 1000;
/// Blocks: who has more of them writes a list.
const BLOCKS_MAX: usize = 5000;
/// Names of one exception.
const NAMES_MAX: usize = 100;
/// Lists held at a version: each of them takes its memory twice.
const PINS_MAX: usize = 200;
/// Rules that are let through the safety gate: who has more of them means another list.
const LET_THROUGH_MAX: usize = 1000;
/// Octets of what a list is called: a file's name, with folders before it where two are called the same.
const LIST_NAME_BYTES_MAX: usize = 300;
/// Octets of a reason: a sentence or two.
const REASON_BYTES_MAX: usize = 300;

/// All that was changed and not changed back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overlay {
    entries: BTreeMap<Key, Entry>,
}

/// What stands at a key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    #[serde(serialize_with = "mode_word")]
    Mode(Mode),
    /// As in the configuration; empty: always.
    Schedule(String),
    Exception(OwnException),
    Block(OwnBlock),
    Pin(OwnPin),
    LetThrough(OwnLetThrough),
}

/// An exception as it is written: the options of `[[policy.exception]]`, without lists.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnException {
    /// `=name` is that name alone.
    pub names: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(default)]
    pub reason: String,
    /// The last day; empty: for good.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub until: String,
}

/// A name that is blocked, as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnBlock {
    /// `=name` is that name alone.
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(default)]
    pub reason: String,
    /// The last day; empty: for good.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub until: String,
}

/// The version that a list is held at, as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPin {
    /// Sixteen hexadecimal digits: the first of the SHA-256 of the list's text.
    pub version: String,
    #[serde(default)]
    pub reason: String,
}

/// Names whose rules the safety gate lets through in a list, as they are written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnLetThrough {
    /// Its program and its name.
    pub list: String,
    pub names: Vec<String>,
    #[serde(default)]
    pub reason: String,
}

impl OwnPin {
    /// The version as lists have it; what was read has one.
    pub fn number(&self) -> u64 {
        u64::from_str_radix(&self.version, 16).unwrap_or(0)
    }
}

impl Overlay {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// What stands at a key; `None`: what the configuration says holds.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The same with another entry at a key, or none. Whether it can be meant is known when it is read.
    pub fn with(&self, key: Key, entry: Option<Entry>) -> Self {
        let mut changed = self.clone();
        match entry {
            Some(entry) => drop(changed.entries.insert(key, entry)),
            None => drop(changed.entries.remove(&key)),
        }
        changed
    }

    /// The same without what ended before a time, in seconds since 1970.
    pub fn without_ended(&self, zone: &Zone, before: i64) -> Self {
        let is_over =
            |entry: &Entry| entry.until().is_some_and(|day| end_of_day(day, zone).is_ok_and(|end| end < before));
        let kept = self.entries.iter().filter(|(_, entry)| !is_over(entry));
        Self { entries: kept.map(|(key, entry)| (key.clone(), entry.clone())).collect() }
    }

    /// What differs from `before`: key, what stood there, what stands there now.
    pub fn changes_since<'a>(&'a self, before: &'a Self) -> Vec<(&'a Key, Option<&'a Entry>, Option<&'a Entry>)> {
        let gone = before.entries.keys().filter(|key| !self.entries.contains_key(key));
        let keys = self.entries.keys().chain(gone);
        let changes = keys.map(|key| (key, before.entries.get(key), self.entries.get(key)));
        changes.filter(|(_, before, after)| before != after).collect()
    }

    /// The greatest number that anything has.
    pub fn last_number(&self) -> u32 {
        let numbers = self.entries.keys().map(|key| match key {
            Key::Exception(number) | Key::Block(number) | Key::LetThrough(number) => *number,
            Key::Mode { .. } | Key::GroupSchedule(_) | Key::ProgramSchedule(_) | Key::Pin { .. } => 0,
        });
        numbers.max().unwrap_or(0)
    }
}

impl Entry {
    /// As the audit log has it.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What the audit log has at a key; the inner `None`: nothing stood there, the outer one: it can't be read.
    pub fn of_json(key: &Key, value: Option<&Value>) -> Option<Option<Self>> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Some(None) };
        let text = || value.as_str().map(str::to_owned);
        let entry = match key {
            Key::Mode { .. } => Self::Mode(text()?.parse().ok()?),
            Key::GroupSchedule(_) | Key::ProgramSchedule(_) => Self::Schedule(text()?),
            Key::Exception(_) => Self::Exception(serde_json::from_value(value.clone()).ok()?),
            Key::Block(_) => Self::Block(serde_json::from_value(value.clone()).ok()?),
            Key::Pin { .. } => Self::Pin(serde_json::from_value(value.clone()).ok()?),
            Key::LetThrough(_) => Self::LetThrough(serde_json::from_value(value.clone()).ok()?),
        };
        Some(Some(entry))
    }

    /// The last day, of what has one.
    pub fn until(&self) -> Option<&str> {
        let until = match self {
            Self::Exception(exception) => &exception.until,
            Self::Block(block) => &block.until,
            Self::Mode(_) | Self::Schedule(_) | Self::Pin(_) | Self::LetThrough(_) => return None,
        };
        Some(until.as_str()).filter(|until| !until.is_empty())
    }
}

fn mode_word<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.word())
}

#[cfg(test)]
mod tests;
