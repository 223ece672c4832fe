//! Who changed what: the audit log, newest first.

use super::super::{
    AdminState,
    audit::{Line, Outcome},
    auth::{By, Role},
};
use crate::{
    config::overlay::{Entry, Key, Overlay, told},
    pause::Undoing,
    policy::Zone,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;

/// Changes that are shown at once.
pub const CHANGES_SHOWN: usize = 100;

/// Some of the changes.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ChangesView {
    pub changes: Vec<Change>,
    /// What `before` is for the next of them, if there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Where they are written down; nowhere that outlasts this process, if it isn't there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// One change, or what somebody was kept from.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Change {
    pub change: u64,
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    pub who: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    pub by: By,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    pub what: String,
    pub key: String,
    /// In words.
    pub summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
    pub policy: u64,
    pub outcome: Outcome,
    /// What it changed is as it left it, so that it can be undone.
    pub can_undo: bool,
}

/// The changes before one of them, or the last. It may read files.
pub fn changes(state: &AdminState, before: Option<u64>) -> ChangesView {
    let audit = &state.changes.audit;
    let (lines, is_more) = audit.before(before, CHANGES_SHOWN);
    ChangesView {
        next: lines.last().filter(|_| is_more).map(|line| line.change),
        changes: lines.into_iter().map(|line| change(state, line)).collect(),
        file: audit.path().map(|path| path.display().to_string()),
    }
}

/// One that isn't long ago.
pub fn one(state: &AdminState, number: u64) -> Option<Change> {
    state.changes.audit.find(number).map(|line| change(state, line))
}

/// Any that is still kept. It may read files.
pub fn one_of_all(state: &AdminState, number: u64) -> Option<Change> {
    state.changes.audit.find_in_files(number).map(|line| change(state, line))
}

fn change(state: &AdminState, line: Line) -> Change {
    let summary = summary(&line, &state.zone());
    let now = state.pipeline.now();
    let undoing = (line.what == "pause").then(|| Undoing::of(line.before.as_ref(), line.after.as_ref(), now)).flatten();
    let can_undo = match undoing {
        Some(undoing) => line.outcome == Outcome::Done && undoing.is_open(state.pipeline.pauses(), now),
        // What came later may have left the same, and is what is to be undone first.
        None if state.changes.audit.later_at(&line.key, line.change).is_some() => false,
        None => state.desk.can_keep() && can_undo(&line, &state.desk.overlay()),
    };
    let Line { change, time, who, role, by, from, what, key, before, after, undoes, policy, outcome } = line;
    Change { change, time, who, role, by, from, what, key, summary, before, after, undoes, policy, outcome, can_undo }
}

/// Whether what a change left is still there, and what was there before is known.
fn can_undo(line: &Line, overlay: &Overlay) -> bool {
    let Ok(key) = line.key.parse::<Key>() else { return false };
    let read = |value: &Option<Value>| Entry::of_json(&key, value.as_ref());
    let (Some(before), Some(after)) = (read(&line.before), read(&line.after)) else { return false };
    line.outcome == Outcome::Done && before != after && overlay.entry(&key) == after.as_ref()
}

/// What was done, in words. What isn't known here is told as it is written.
fn summary(line: &Line, zone: &Zone) -> String {
    if let Ok(key) = line.key.parse::<Key>()
        && let (Some(before), Some(after)) =
            (Entry::of_json(&key, line.before.as_ref()), Entry::of_json(&key, line.after.as_ref()))
    {
        return told(&key, before.as_ref(), after.as_ref());
    }
    let whom = line.key.split_once('/').map_or(line.key.as_str(), |(_, whom)| whom);
    match (line.what.as_str(), &line.after) {
        ("pause", None) => format!("ended the pause of {}", of_group(whom)),
        ("pause", Some(after)) => {
            let until =
                after["until"].as_i64().map(|until| format!(" until {}", zone.shown(until))).unwrap_or_default();
            let reason = after["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("paused {}{until}{reason}", of_group(whom))
        }
        ("update", _) => "had all lists read again".to_owned(),
        ("flush", _) if line.key == "cache" => "had all kept answers forgotten".to_owned(),
        ("flush", Some(after)) if after["subtree"] == true => format!("had {whom} and all below it forgotten"),
        ("flush", _) => format!("had {whom} forgotten"),
        ("sign-in", _) if line.outcome == Outcome::Refused => "tried to sign in".to_owned(),
        ("sign-in", _) => "signed in".to_owned(),
        ("sign-out", _) => "signed out".to_owned(),
        ("refused", _) => format!("asked for {}", line.key),
        ("token", _) => "showed a wrong token".to_owned(),
        (what, after) => {
            let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
            format!("{what} {}: {} instead of {}", line.key, shown(after), shown(&line.before))
        }
    }
}

fn of_group(name: &str) -> String {
    match name.strip_prefix("client/") {
        Some(client) => format!("client {client}"),
        None if name == "everybody" => name.to_owned(),
        None => format!("group {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_are_told_in_words() {
        let told = |what: &str, key: &str, after: Option<Value>| {
            let (what, key) = (what.to_owned(), key.to_owned());
            let line = Line {
                change: 1,
                time: String::new(),
                who: "anna".into(),
                role: Some(Role::Operator),
                by: By::Page,
                from: None,
                what,
                key,
                before: None,
                after,
                undoes: None,
                policy: 1,
                outcome: Outcome::Done,
            };
            summary(&line, &Zone::utc())
        };
        let pause = json!({ "group": null, "until": 1_795_900_855, "who": "anna", "reason": "guests" });
        for (what, key, after, expected) in [
            ("pause", "pause/everybody", Some(pause), "paused everybody until 2026-11-28 21:20 UTC: guests"),
            ("pause", "pause/kids", None, "ended the pause of group kids"),
            ("pause", "pause/client/192.0.2.0/24", None, "ended the pause of client 192.0.2.0/24"),
            ("update", "lists", None, "had all lists read again"),
            ("flush", "cache", Some(json!({ "subtree": true })), "had all kept answers forgotten"),
            (
                "flush",
                "cache/a.example.",
                Some(json!({ "subtree": true })),
                "had a.example. and all below it forgotten",
            ),
            ("refused", "POST /do/pause", None, "asked for POST /do/pause"),
            ("token", "bearer", None, "showed a wrong token"),
            ("mode", "modes/everybody/p", Some(json!("shadow")), "set p to shadow for everybody"),
            ("mode", "modes/p", Some(json!("shadow")), "mode modes/p: \"shadow\" instead of nothing"),
        ] {
            assert_eq!(told(what, key, after), expected);
        }
    }
}
