//! Which changes take somebody who has seen what they will block.

use crate::{
    config::{
        exception_name,
        overlay::{Entry, Key},
    },
    policy::{GroupSpec, Mode, Modes, Policy, ProgramSpec, parse::Extent, whole_suffix},
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
    was: Option<&Entry>,
    entry: Option<&Entry>,
    modes: impl Fn() -> Modes,
) -> Option<String> {
    let now = Said { programs: policy.programs(), groups: policy.groups() };
    match (key, entry) {
        // Also where something holds it down for now.
        (Key::Mode { .. }, Some(Entry::Mode(Mode::Enforce))) => {
            (now.at(key) != Some(Mode::Enforce)).then(|| MODE.into())
        }
        // What is given back to the configuration may be more than it was, also for lists that are still to come.
        (Key::Mode { .. }, None) => {
            let modes = modes();
            let then = Said { programs: &modes.programs, groups: &modes.groups };
            let becomes = then.reach(key) == Some(Mode::Enforce) && now.reach(key) != Some(Mode::Enforce);
            (becomes || !policy.would_newly_act(&modes).is_empty()).then(|| MODE.into())
        }
        (Key::LetThrough(_), Some(_)) => Some(LET_THROUGH.into()),
        // What the safety gate would hold back in a list.
        (Key::Block(_) | Key::Exception(_), Some(entry)) => {
            let known = was.map(names).unwrap_or_default();
            let mut new = names(entry).iter().filter(|name| !known.contains(name));
            let (name, broad) = new.find_map(|name| Some((name, broad(name)?)))?;
            Some(format!("{name} {broad}; if every name below it is meant, ask again with confirmed"))
        }
        // The rest changes no mode: it is as far as the owner says in so many words, or less.
        _ => None,
    }
}

/// The names that are blocked or excepted by hand, as they are written.
fn names(entry: &Entry) -> &[String] {
    match entry {
        Entry::Block(own) => std::slice::from_ref(&own.name),
        Entry::Exception(own) => &own.names,
        Entry::Mode(_) | Entry::Schedule(_) | Entry::Pin(_) | Entry::LetThrough(_) => &[],
    }
}

/// Why a written name is more than anybody owns, if it is.
fn broad(written: &str) -> Option<String> {
    match exception_name(written) {
        Ok((name, Extent::Subtree)) => whole_suffix(&name),
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
