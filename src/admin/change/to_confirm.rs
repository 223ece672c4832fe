//! Which changes take somebody who has seen what they will block.

use crate::{
    config::overlay::{Entry, Key},
    policy::{Mode, Modes, Policy},
};

/// What is said of modes.
const MODE: &str = "enforce blocks: look at what it would have blocked (GET /api/v1/programs/{program}/preview), and ask \
                    again with confirmed";
/// What is said of rules that are let through.
const LET_THROUGH: &str = "rules are held back because they cover so much: look at whom they would have hit (GET \
                           /api/v1/lists/{program}/{list}/held), and ask again with confirmed";

/// Why a change of what stands at a key has to be confirmed, if it has to be. `modes` is how far everything goes with it.
pub fn to_confirm(
    policy: &Policy,
    key: &Key,
    was: Option<&Entry>,
    entry: Option<&Entry>,
    modes: impl Fn() -> Modes,
) -> Option<&'static str> {
    match (key, entry) {
        // Also where something holds it down for now.
        (Key::Mode { .. }, Some(Entry::Mode(Mode::Enforce))) => {
            (written(key, policy) != Some(Mode::Enforce)).then_some(MODE)
        }
        // What is given back to the configuration may be more than it was.
        (Key::Mode { .. }, _) => (!policy.would_newly_act(&modes()).is_empty()).then_some(MODE),
        (Key::LetThrough(_), Some(_)) => (was != entry).then_some(LET_THROUGH),
        // The rest changes no mode: it is as far as the owner says in so many words, or less.
        _ => None,
    }
}

/// The mode written at a key, in the configuration or upon it, as far as it is known.
fn written(key: &Key, policy: &Policy) -> Option<Mode> {
    let Key::Mode { group, program, service } = key else { return None };
    let at = policy.programs().iter().position(|own| own.name == *program)?;
    let own = &policy.programs()[at];
    match (group, service) {
        (None, None) => Some(own.mode),
        (None, Some(service)) => own.services.get(service).copied(),
        (Some(group), service) => {
            let group = policy.groups().iter().find(|own| own.name == *group)?;
            match service {
                None => group.programs.get(&at).copied(),
                Some(service) => group.services.get(&(at, service.clone())).copied(),
            }
        }
    }
}
