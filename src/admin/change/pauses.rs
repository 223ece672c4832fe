//! Pauses begin and end.

use super::{
    super::{
        AdminState,
        audit::{Entry, Line, Outcome},
        auth::Who,
        problem::{Kind, Refusal},
    },
    Done, note,
};
use crate::{
    config,
    pause::{Kept, PauseError, Undoing},
    policy::ClientKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The kind of change, as the audit log has it.
pub const WHAT: &str = "pause";

/// Octets of a reason.
pub const REASON_BYTES_MAX: usize = 200;

/// A pause that is asked for: `seconds` or `until`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct PauseAsked {
    /// `None`: everybody, or `client`; `default`: clients in no group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// One client: an address, a network, or `mac:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// From now on; 0 ends the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// A time such as `2026-11-28T21:00:00Z`; without an offset it is of `[policy] time_zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The pauses there are.
#[derive(Serialize, Deserialize, JsonSchema, Debug)]
pub struct PausesView {
    /// Seconds since 1970 (UTC).
    pub now: i64,
    pub pauses: Vec<Kept>,
    /// Why they don't outlast a restart, if they don't.
    #[serde(default)]
    pub warning: Option<String>,
    /// The change that made them so, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
}

/// The pauses that hold now.
pub fn pauses(state: &AdminState) -> PausesView {
    let now = state.pipeline.now();
    PausesView { now, pauses: state.pipeline.pauses().list(now), warning: None, change: None }
}

/// Begins, replaces or ends a pause, or only tells what pauses there would be.
pub fn pause(state: &AdminState, who: &Who, asked: &PauseAsked, dry_run: bool) -> Result<PausesView, Refusal> {
    let (now, all) = (state.pipeline.now(), state.pipeline.pauses());
    let pause = wanted(state, who, asked, now)?;
    let _alone = state.changes.alone();
    state.pipeline.check_pause(&pause).map_err(|error| unfit(&error))?;
    if dry_run {
        let mut pauses = all.list(now);
        pauses.retain(|own| !own.is_of_same(&pause));
        pauses.extend((now < pause.until).then_some(pause));
        return Ok(PausesView { now, pauses, warning: None, change: None });
    }
    // Who ends what isn't there changes nothing.
    if pause.until <= now && all.of_same(&pause, now).is_none() {
        return Ok(pauses(state));
    }
    let (change, warning) = set(state, who, pause, None)?;
    Ok(PausesView { warning, change: Some(change), ..pauses(state) })
}

/// Writes down a pause, and has it hold. Called by who is alone at it. Returns the change's number, and why it doesn't
/// outlast a restart, if it doesn't.
fn set(state: &AdminState, who: &Who, pause: Kept, undoes: Option<u64>) -> Result<(u64, Option<String>), Refusal> {
    let now = state.pipeline.now();
    let entry = Entry {
        before: state.pipeline.pauses().of_same(&pause, now).map(|before| json!(before)),
        after: (now < pause.until).then(|| json!(pause)),
        undoes,
        ..Entry::new(who, WHAT, key(&pause))
    };
    let change = note(state, entry.clone())?;
    match state.pipeline.pause(pause) {
        Ok(()) => Ok((change, None)),
        Err(error @ PauseError::NotKept(_)) => Ok((change, Some(error.to_string()))),
        Err(error) => {
            let _ = note(state, Entry { outcome: Outcome::Failed, ..entry });
            Err(unfit(&error))
        }
    }
}

/// What the audit log has a pause under.
fn key(pause: &Kept) -> String {
    match (&pause.client, &pause.group) {
        (Some(client), _) => format!("pause/client/{client}"),
        (None, group) => format!("pause/{}", group.as_deref().unwrap_or("everybody")),
    }
}

/// Ends what a change began, or begins again what it ended or replaced, for as long as remains, if nobody has changed it
/// since.
pub fn undo(state: &AdminState, who: &Who, line: &Line, dry_run: bool) -> Result<Done, Refusal> {
    let (now, all, change) = (state.pipeline.now(), state.pipeline.pauses(), line.change);
    let Some(undoing) = Undoing::of(line.before.as_ref(), line.after.as_ref(), now) else {
        return Err(Refusal::new(
            Kind::Invalid,
            format!("change {change} ended no pause, so there is nothing to undo"),
        ));
    };
    let _alone = state.changes.alone();
    let Undoing { left, wanted } = &undoing;
    if all.of_same(wanted, now) != *left {
        let what = match state.changes.audit.later_at(&line.key, change) {
            Some(later) => later.why_not_undone(change),
            None => format!("{} isn't as change {change} left it, so there is nothing to undo", line.key),
        };
        return Err(Refusal::new(Kind::ChangedSince, what));
    }
    let (whom, holds) = (wanted.whom(), now < wanted.until);
    let summary = match (holds, undoing.is_open(all, now)) {
        (_, false) => format!("the pause of {whom} is over by itself; nothing is changed"),
        (true, true) => format!("paused {whom} until {}", state.zone().shown(wanted.until)),
        (false, true) => format!("ended the pause of {whom}"),
    };
    let policy = state.health.published.status.load().epoch;
    let done = Done {
        change: None,
        summary,
        key: line.key.clone(),
        id: None,
        policy,
        in_force: !dry_run,
        to_confirm: None,
        note: None,
        undo: None,
    };
    if dry_run || !undoing.is_open(all, now) {
        return Ok(done);
    }
    state.pipeline.check_pause(wanted).map_err(|error| unfit(&error))?;
    let (change, _) = set(state, who, wanted.clone(), Some(change))?;
    Ok(Done { change: Some(change), undo: Some(format!("/api/v1/changes/{change}/undo")), ..done })
}

/// The pause that is meant.
fn wanted(state: &AdminState, who: &Who, asked: &PauseAsked, now: i64) -> Result<Kept, Refusal> {
    let until = match (asked.seconds, &asked.until) {
        (Some(seconds), None) => now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)),
        (None, Some(until)) => {
            let until = config::moment(until, &state.zone()).map_err(|why| Refusal::field("until", why))?;
            let until = until.div_euclid(1_000_000);
            if until <= now {
                return Err(Refusal::field(
                    "until",
                    format!("that time is over; now it is {}", state.zone().shown(now)),
                ));
            }
            until
        }
        _ => return Err(Refusal::field("seconds", "say either for how many seconds, or until when")),
    };
    let reason = asked.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
        return Err(Refusal::field("reason", format!("at most {REASON_BYTES_MAX} octets")));
    }
    let client = asked.client.as_deref().map(str::trim).filter(|client| !client.is_empty());
    let client = client.map(|text| match text.parse() {
        Ok(ClientKey::Id(_)) => Err(Refusal::field("client", "ids of clients aren't known yet; write an address")),
        Ok(key) => Ok(key),
        Err(error) => Err(Refusal::field("client", format!("`{text}` {error}"))),
    });
    let (who, reason) = (Some(who.name.clone()), reason.map(str::to_owned));
    Ok(Kept { group: asked.group.clone(), client: client.transpose()?, until, who, reason })
}

fn unfit(error: &PauseError) -> Refusal {
    match error {
        PauseError::UnknownGroup(_) => Refusal::field("group", error.to_string()),
        PauseError::Both | PauseError::TooMany | PauseError::NoHardware => Refusal::field("client", error.to_string()),
        PauseError::TooLong => Refusal::field("until", error.to_string()),
        PauseError::NotKept(_) => Refusal::new(Kind::Fault, error.to_string()),
    }
}
