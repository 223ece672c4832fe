//! How far programs and services go, for everybody or for a group.

use super::{
    super::{
        AdminState,
        auth::Who,
        problem::{Kind, Refusal},
    },
    desk::{Done, Target, Wish},
};
use crate::{
    config::{
        DEFAULT_GROUP,
        overlay::{Entry, Key},
        unknown,
    },
    lists::ListStatus,
    policy::{Mode, Policy},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A mode that is asked for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct ModeAsked {
    pub program: String,
    /// `None`: the program as a whole.
    #[serde(default)]
    pub service: Option<String>,
    /// `None`: everybody.
    #[serde(default)]
    pub group: Option<String>,
    /// `None`: what the configuration says.
    #[serde(default)]
    pub mode: Option<String>,
    /// Whoever asks for `enforce`, or gives back what is to enforce, has seen what it will block.
    #[serde(default)]
    pub confirmed: bool,
}

/// Sets a mode, or gives it back to the configuration.
pub async fn set_mode(state: &AdminState, who: &Who, asked: &ModeAsked, dry_run: bool) -> Result<Done, Refusal> {
    let published = &state.health.published;
    let not_yet = || Refusal::new(Kind::NotYet, "no policy is loaded yet");
    let policy = published.policy.load_full().ok_or_else(not_yet)?;
    let mode = asked.mode.as_deref().map(read_mode).transpose()?;
    // What is changed of something that is gone can be given back all the same.
    let key = match written_key(asked) {
        key if mode.is_none() && state.desk.overlay().entry(&key).is_some() => key,
        _ => key_of(asked, &policy, &published.status.load())?,
    };
    let wish = Wish { confirmed: asked.confirmed, ..Wish::new("mode", Target::Key(key), mode.map(Entry::Mode)) };
    state.desk.change(who, wish, dry_run).await
}

/// Where it stands. Whatever it names has to be there.
fn key_of(asked: &ModeAsked, policy: &Policy, status: &ListStatus) -> Result<Key, Refusal> {
    let programs: Vec<&str> = policy.programs().iter().map(|program| program.name.as_str()).collect();
    if !programs.contains(&asked.program.as_str()) {
        return Err(Refusal::field("program", unknown("program", &asked.program, &programs)));
    }
    let group = asked.group.as_deref().filter(|group| !group.is_empty());
    if group == Some(DEFAULT_GROUP) {
        let message = format!("clients in no group have the modes of everybody; leave {DEFAULT_GROUP} out");
        return Err(Refusal::field("group", message));
    }
    let groups: Vec<&str> = policy.groups().iter().map(|group| group.name.as_str()).collect();
    if let Some(group) = group.filter(|group| !groups.contains(group)) {
        return Err(Refusal::field("group", unknown("group", group, &groups)));
    }
    let service = asked.service.as_deref().filter(|service| !service.is_empty());
    let own = status.lists.iter().filter(|list| list.program == asked.program);
    let mut services: Vec<&str> = own.map(|list| list.service.as_str()).chain(["*"]).collect();
    services.sort_unstable();
    services.dedup();
    if let Some(service) = service.filter(|service| !services.contains(service)) {
        return Err(Refusal::field("service", unknown("service", service, &services)));
    }
    Ok(written_key(asked))
}

/// Where it stands, whether it is there or not.
fn written_key(asked: &ModeAsked) -> Key {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Key::Mode { group: some(&asked.group), program: asked.program.clone(), service: some(&asked.service) }
}

fn read_mode(text: &str) -> Result<Mode, Refusal> {
    text.parse().map_err(|error: crate::policy::UnknownWord| Refusal::field("mode", error.to_string()))
}
