//! Lists that are rolled back to an earlier text, and released from it.

use super::{
    super::{
        AdminState,
        auth::Who,
        problem::{Kind, Refusal},
        view::{diff::named, lists::of_state},
    },
    desk::{Done, Target, Wish},
};
use crate::{
    config::overlay::{Entry, Key, OwnPin},
    lists::{ListState, kept, shown_version},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A list that is to be rolled back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct RollbackAsked {
    /// Its program and its name, such as `clean-store/tiktok.list`.
    pub list: String,
    /// The first digits of the version; the present one pins the list as it is.
    pub version: String,
    #[serde(default)]
    pub reason: String,
}

/// A list that is to be released.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct ReleaseAsked {
    pub list: String,
}

/// Pins a list at a text that is kept, so that it stays whatever the list becomes.
pub async fn roll_back(state: &AdminState, who: &Who, asked: &RollbackAsked, dry_run: bool) -> Result<Done, Refusal> {
    let (key, (program, name)) = key_of(&asked.list)?;
    let own = |own: &ListState| (own.kept_at.clone(), own.manner.clone());
    let no_list = || Refusal::field("list", format!("there is no list {}", asked.list));
    let (kept_at, manner) = of_state(state, &program, &name, own).ok_or_else(no_list)?;
    let nowhere = || Refusal::new(Kind::NoOverlay, "no versions are kept: there is no state folder; set [state] dir");
    let (kept_at, text) = (kept_at.ok_or_else(nowhere)?, asked.version.clone());
    // A text that can't be read back, or is of no use, is refused before anything is written.
    let looking = tokio::task::spawn_blocking(move || {
        let kept = kept(&kept_at);
        let at = named(&kept, &text).map_err(|error| error.to_string())?;
        manner.read_kept(&kept[at]).map(|_| kept[at].version)
    });
    let found = looking.await.map_err(|error| Refusal::new(Kind::Fault, error.to_string()))?;
    let version = found.map_err(|why| Refusal::field("version", why))?;
    let pin = OwnPin { version: shown_version(version), reason: asked.reason.trim().to_owned() };
    let wish = Wish::new("rollback", Target::Key(key), Some(Entry::Pin(pin)));
    state.desk.change(who, wish, dry_run).await
}

/// Lets a list be what it is now. One that isn't there any more can be released all the same.
pub async fn release(state: &AdminState, who: &Who, asked: &ReleaseAsked, dry_run: bool) -> Result<Done, Refusal> {
    let (key, _) = key_of(&asked.list)?;
    if state.desk.overlay().entry(&key).is_none() {
        return Err(Refusal::new(Kind::NoSuchThing, format!("{} is not pinned", asked.list)));
    }
    let wish = Wish::new("release", Target::Key(key), None);
    state.desk.change(who, wish, dry_run).await
}

/// Where it stands, with the list's program and name.
fn key_of(list: &str) -> Result<(Key, (String, String)), Refusal> {
    let key = Key::of_list(list.trim()).map_err(|message| Refusal::field("list", message))?;
    let parts = match &key {
        Key::Pin { program, list } => (program.clone(), list.clone()),
        _ => return Err(Refusal::field("list", "write a program and the name of one of its lists")),
    };
    Ok((key, parts))
}
