//! A change undone: what stood there before it stands there again, if nobody has changed it since.

use super::{
    super::{
        AdminState,
        audit::{Line, Outcome},
        auth::Who,
        problem::{Kind, Refusal},
    },
    at_leisure,
    desk::{Done, Target, Wish},
    pauses,
};
use crate::config::overlay::{Entry, Key, kind};

/// A change as it would be undone.
pub struct Undoing {
    pub key: Key,
    /// What stood there, and is to stand there again.
    pub before: Option<Entry>,
    /// What has to stand there now.
    pub after: Option<Entry>,
}

/// Undoes a change. That is a change too, and can be undone. `confirmed`: whoever asks has seen what it will block.
pub async fn undo(state: &AdminState, who: &Who, change: u64, confirmed: bool, dry_run: bool) -> Result<Done, Refusal> {
    let line = find(state, change).await?;
    if line.what == pauses::WHAT {
        let who = who.clone();
        return at_leisure(state, move |state| pauses::undo(state, &who, &line, dry_run)).await;
    }
    let Undoing { key, before, after } = Undoing::of(&line)?;
    let undoes = Some((change, after));
    let wish = Wish { undoes, confirmed, ..Wish::new(kind(&key), Target::Key(key), before) };
    state.desk.change(who, wish, dry_run).await
}

/// What the undo of a change would put where.
pub async fn what_it_undoes(state: &AdminState, change: u64) -> Result<Undoing, Refusal> {
    Undoing::of(&find(state, change).await?)
}

/// A change that was made.
async fn find(state: &AdminState, change: u64) -> Result<Line, Refusal> {
    let find = move |state: &AdminState| {
        let none = || Refusal::new(Kind::NoSuchThing, format!("there is no change {change}, or it is no longer kept"));
        state.changes.audit.find_in_files(change).ok_or_else(none)
    };
    let line = at_leisure(state, find).await?;
    if line.outcome != Outcome::Done {
        let what = format!("change {change} {}, so there is nothing to undo", line.outcome.told());
        return Err(Refusal::new(Kind::Invalid, what));
    }
    Ok(line)
}

impl Undoing {
    fn of(line: &Line) -> Result<Self, Refusal> {
        let key: Option<Key> = line.key.parse().ok();
        let read = |key: Key| {
            let before = Entry::of_json(&key, line.before.as_ref())?;
            Some(Self { before, after: Entry::of_json(&key, line.after.as_ref())?, key })
        };
        let change = line.change;
        let none = || Refusal::new(Kind::Invalid, format!("change {change} is of a kind that can't be undone"));
        key.and_then(read).ok_or_else(none)
    }
}
