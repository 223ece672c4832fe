//! Which mode a list has for whom, and why it isn't the one that was written.

use super::{GroupSpec, ListSpec, Mode, Policy, PolicySpec};

/// A mode for clients of a group, and why it isn't the one that was written for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub in_force: Mode,
    pub written: Mode,
    /// What holds it down, if something does.
    pub limit: Option<Limit>,
}

/// What holds a mode down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// The mode of the whole policy.
    Ceiling,
    /// The program's mode.
    Program,
    /// The list's matches are recorded and never acted upon.
    NeverActs,
}

impl Policy {
    /// The mode that a list has for clients of a group within its schedule, and what was asked for.
    pub fn list_standing(&self, list: usize, group: u16) -> Standing {
        let spec = &self.spec.lists[list];
        let Some(wanted) = wanted_of(&self.spec, spec, self.group(group)) else {
            return Standing { in_force: Mode::Enforce, written: Mode::Enforce, limit: None };
        };
        let Wanted { ceiling, program, service } = wanted;
        let written = service.unwrap_or(program);
        let limit = match service {
            _ if written <= ceiling.min(program) => None,
            _ if spec.never_acts && written.min(self.spec.mode).min(program) > Mode::Shadow => Some(Limit::NeverActs),
            // That the program is held down is said of the program.
            None => None,
            Some(_) if program <= ceiling => Some(Limit::Program),
            Some(_) => Some(Limit::Ceiling),
        };
        Standing { in_force: wanted.mode(), written, limit }
    }

    /// The same of a program, whatever its lists say.
    pub fn program_standing(&self, program: usize, group: u16) -> Standing {
        let of_group = self.group(group).and_then(|group| group.programs.get(&program).copied());
        let written = of_group.unwrap_or(self.spec.programs[program].mode);
        let limit = (written > self.spec.mode).then_some(Limit::Ceiling);
        Standing { in_force: written.min(self.spec.mode), written, limit }
    }

    /// `None`: clients in no group.
    fn group(&self, group: u16) -> Option<&GroupSpec> {
        usize::from(group).checked_sub(1).and_then(|index| self.spec.groups.get(index))
    }
}

/// min(ceiling, P, S): P is the group's word on the program, else the program's mode; S the group's word on the service,
/// else the program's, else the list's own, else the program's `*`, else enforce.
pub(super) fn mode_of(spec: &PolicySpec, list: &ListSpec, group: Option<&GroupSpec>) -> Mode {
    wanted_of(spec, list, group).map_or(Mode::Enforce, Wanted::mode)
}

/// What meets in the mode of a program's list.
#[derive(Clone, Copy)]
struct Wanted {
    ceiling: Mode,
    program: Mode,
    /// `None`: nobody said anything of it, so that it goes as far as its program.
    service: Option<Mode>,
}

impl Wanted {
    fn mode(self) -> Mode {
        self.ceiling.min(self.program).min(self.service.unwrap_or(Mode::Enforce))
    }
}

/// `None` for a list that is no program's.
fn wanted_of(spec: &PolicySpec, list: &ListSpec, group: Option<&GroupSpec>) -> Option<Wanted> {
    let index = list.program()?;
    let program = &spec.programs[index];
    let of_group = group.and_then(|group| group.programs.get(&index).copied());
    let service = group.and_then(|group| group.services.get(&(index, list.service.clone())).copied());
    let service = service.or_else(|| program.services.get(&list.service).copied());
    let service = service.or(list.default).or_else(|| program.services.get("*").copied());
    let ceiling = if list.never_acts { spec.mode.min(Mode::Shadow) } else { spec.mode };
    Some(Wanted { ceiling, program: of_group.unwrap_or(program.mode), service })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{BlockAnswer, Geo, ProgramSpec, Role};
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    /// A policy of one program with one list and one group, by the modes of all.
    fn policy(ceiling: Mode, program: Mode, service: Mode, of_group: Option<Mode>, never_acts: bool) -> Policy {
        let program = ProgramSpec {
            name: "p".into(),
            mode: program,
            block: BlockAnswer::NxDomain,
            ede: 15,
            services: [("s".to_owned(), service)].into(),
            schedule: None,
        };
        let list = ListSpec {
            role: Role::Program(0),
            service: "s".into(),
            default: None,
            never_acts,
            name: "l".into(),
            version: 1,
            rules: Arc::default(),
        };
        let group = GroupSpec {
            name: "g".into(),
            clients: Vec::new(),
            tags: Vec::new(),
            programs: of_group.map(|mode| (0, mode)).into_iter().collect(),
            services: BTreeMap::new(),
            schedule: None,
        };
        let spec = PolicySpec {
            epoch: 1,
            mode: ceiling,
            block_ttl: Duration::from_secs(30),
            programs: vec![program],
            lists: vec![list],
            owner_exceptions: Vec::new(),
            groups: vec![group],
            geo: Geo::default(),
            seed: 1,
        };
        Policy::build(spec).unwrap()
    }

    #[test]
    fn a_mode_that_is_held_down_says_by_what() {
        use Mode::{Enforce, Off, Shadow};
        for (ceiling, program, service, never_acts, in_force, limit) in [
            (Enforce, Enforce, Enforce, false, Enforce, None),
            (Enforce, Enforce, Shadow, false, Shadow, None),
            (Enforce, Shadow, Enforce, false, Shadow, Some(Limit::Program)),
            (Shadow, Enforce, Enforce, false, Shadow, Some(Limit::Ceiling)),
            (Shadow, Off, Enforce, false, Off, Some(Limit::Program)),
            (Enforce, Enforce, Enforce, true, Shadow, Some(Limit::NeverActs)),
            (Shadow, Enforce, Enforce, true, Shadow, Some(Limit::Ceiling)),
            (Enforce, Enforce, Shadow, true, Shadow, None),
            (Off, Enforce, Enforce, false, Off, Some(Limit::Ceiling)),
        ] {
            let policy = policy(ceiling, program, service, None, never_acts);
            let expected = Standing { in_force, written: service, limit };
            assert_eq!(policy.list_standing(0, 0), expected, "{ceiling} {program} {service} {never_acts}");
            assert_eq!(policy.list_standing(0, 0).in_force, policy.list_mode(0));
            let standing = policy.program_standing(0, 0);
            assert_eq!((standing.in_force, standing.written), (program.min(ceiling), program));
        }
    }

    #[test]
    fn a_service_of_which_nothing_is_said_goes_as_far_as_its_program() {
        let mut policy = policy(Mode::Shadow, Mode::Enforce, Mode::Enforce, None, false);
        policy.spec.programs[0].services.clear();
        let expected = Standing { in_force: Mode::Shadow, written: Mode::Enforce, limit: None };
        assert_eq!(policy.list_standing(0, 0), expected);
        assert_eq!(policy.program_standing(0, 0).limit, Some(Limit::Ceiling));
    }

    #[test]
    fn a_groups_word_counts_for_its_clients() {
        let policy = policy(Mode::Enforce, Mode::Shadow, Mode::Enforce, Some(Mode::Enforce), false);
        assert_eq!(
            (policy.list_standing(0, 0).in_force, policy.list_standing(0, 1).in_force),
            (Mode::Shadow, Mode::Enforce)
        );
        assert_eq!(policy.program_standing(0, 1).written, Mode::Enforce);
    }
}
