//! Which changes take somebody who has seen what they will block.

use crate::{
    config::overlay::{Entry, Key},
    policy::{GroupSpec, Mode, Modes, Policy, ProgramSpec},
};

/// What is said of modes.
const MODE: &str = "enforce blocks: look at what it would have blocked (GET /api/v1/programs/{program}/preview, with \
                    mode=configured for what is given back), and ask again with confirmed";
/// What is said of rules that are let through.
const LET_THROUGH: &str = "rules are held back because they cover so much: look at whom they would have hit (GET \
                           /api/v1/lists/{program}/{list}/held), and ask again with confirmed";

/// Why it has to be confirmed that an entry comes to a key, or goes from it, if it has to be. `modes` is how far everything
/// goes with it.
pub fn to_confirm(
    policy: &Policy,
    key: &Key,
    entry: Option<&Entry>,
    modes: impl Fn() -> Modes,
) -> Option<&'static str> {
    let now = Said { programs: policy.programs(), groups: policy.groups() };
    match (key, entry) {
        // Also where something holds it down for now.
        (Key::Mode { .. }, Some(Entry::Mode(Mode::Enforce))) => (now.at(key) != Some(Mode::Enforce)).then_some(MODE),
        // What is given back to the configuration may be more than it was, also for lists that are still to come.
        (Key::Mode { .. }, None) => {
            let modes = modes();
            let then = Said { programs: &modes.programs, groups: &modes.groups };
            let becomes = then.reach(key) == Some(Mode::Enforce) && now.reach(key) != Some(Mode::Enforce);
            (becomes || !policy.would_newly_act(&modes).is_empty()).then_some(MODE)
        }
        (Key::LetThrough(_), Some(_)) => Some(LET_THROUGH),
        // The rest changes no mode: it is as far as the owner says in so many words, or less.
        _ => None,
    }
}

/// What is said of modes, in the configuration or upon it.
struct Said<'a> {
    programs: &'a [ProgramSpec],
    groups: &'a [GroupSpec],
}

impl Said<'_> {
    /// The mode written at a key, as far as it is known.
    fn at(&self, key: &Key) -> Option<Mode> {
        let Key::Mode { group, program, service } = key else { return None };
        let at = self.programs.iter().position(|own| own.name == *program)?;
        let own = &self.programs[at];
        let Some(group) = group else {
            return service.as_ref().map_or(Some(own.mode), |service| own.services.get(service).copied());
        };
        let group = self.groups.iter().find(|own| own.name == *group)?;
        match service {
            None => group.programs.get(&at).copied(),
            Some(service) => group.services.get(&(at, service.clone())).copied(),
        }
    }

    /// The same, or the mode written where one looks next if there is none: of a group's service that of everybody's, then
    /// that of the program's other services, then that of the program.
    fn reach(&self, key: &Key) -> Option<Mode> {
        let Key::Mode { group, program, service } = key else { return None };
        let at = |group: &Option<String>, service: Option<&str>| {
            let service = service.map(str::to_owned);
            self.at(&Key::Mode { group: group.clone(), program: program.clone(), service })
        };
        let of_service = service.as_deref().and_then(|service| {
            at(group, Some(service)).or_else(|| at(&None, Some(service))).or_else(|| at(&None, Some("*")))
        });
        of_service.or_else(|| at(group, None)).or_else(|| at(&None, None))
    }
}
