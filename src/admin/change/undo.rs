//! A change undone: what stood there before it stands there again, if nobody has changed it since.

use super::{
    super::{
        AdminState,
        audit::Outcome,
        auth::Who,
        problem::{Kind, Refusal},
    },
    at_leisure,
    desk::{Done, Target, Wish},
    pauses,
};
use crate::config::overlay::{Entry, Key, kind};

/// Undoes a change. That is a change too, and can be undone.
pub async fn undo(state: &AdminState, who: &Who, change: u64, dry_run: bool) -> Result<Done, Refusal> {
    let find = move |state: &AdminState| {
        let none = || Refusal::new(Kind::NoSuchThing, format!("there is no change {change}, or it is no longer kept"));
        state.changes.audit.find_in_files(change).ok_or_else(none)
    };
    let line = at_leisure(state, find).await?;
    if line.outcome != Outcome::Done {
        let what = format!("change {change} {}, so there is nothing to undo", line.outcome.told());
        return Err(Refusal::new(Kind::Invalid, what));
    }
    if line.what == pauses::WHAT {
        let who = who.clone();
        return at_leisure(state, move |state| pauses::undo(state, &who, &line, dry_run)).await;
    }
    let key: Option<Key> = line.key.parse().ok();
    let read = |key: Key| {
        let before = Entry::of_json(&key, line.before.as_ref())?;
        Some((before, Entry::of_json(&key, line.after.as_ref())?, key))
    };
    let Some((before, after, key)) = key.and_then(read) else {
        return Err(Refusal::new(Kind::Invalid, format!("change {change} is of a kind that can't be undone")));
    };
    let undoes = Some((change, after));
    let wish = Wish { what: kind(&key), target: Target::Key(key), entry: before, undoes };
    state.desk.change(who, wish, dry_run).await
}
