//! Which mode a list has for whom, and why it isn't the one that was written.

use super::{GroupSpec, ListSpec, Mode, Pause, Policy, PolicySpec, ProgramSpec};
use std::sync::Arc;

/// Modes as they may be written: those of a policy, or others.
#[derive(Clone, Debug)]
pub struct Modes {
    pub ceiling: Mode,
    pub programs: Vec<ProgramSpec>,
    pub groups: Vec<GroupSpec>,
}

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
    /// It is outside the program's schedule.
    ProgramSchedule,
    /// It is outside the group's schedule, so that its clients are as those in no group.
    GroupSchedule,
    /// Nothing is blocked for a while.
    Paused,
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

    /// The lists of programs that would act if modes were others: which list, for clients of which group. Programs and
    /// groups that aren't there now are left out; schedules and pauses don't count.
    pub fn would_act(&self, modes: &Modes) -> Vec<(usize, u16)> {
        let (mut act, groups) = (Vec::new(), 0..=u16::try_from(self.spec.groups.len()).unwrap_or(u16::MAX));
        for group in groups {
            let own = match self.group(group) {
                None => None,
                Some(own) => match modes.groups.iter().find(|other| other.name == own.name) {
                    // It is gone; its clients are as others.
                    None => continue,
                    found => found,
                },
            };
            for (at, list) in self.spec.lists.iter().enumerate() {
                let program = list.program().map(|program| self.spec.programs[program].name.as_str());
                let program = program.and_then(|name| modes.programs.iter().position(|own| own.name == name));
                let wanted = program.map(|program| wanted_from(modes.ceiling, &modes.programs, program, list, own));
                if wanted.is_some_and(|wanted| wanted.mode() == Mode::Enforce) {
                    act.push((at, group));
                }
            }
        }
        act
    }

    /// The same without those that act now.
    pub fn would_newly_act(&self, modes: &Modes) -> Vec<(usize, u16)> {
        let mut act = self.would_act(modes);
        act.retain(|&(list, group)| self.list_standing(list, group).in_force != Mode::Enforce);
        act
    }

    /// The groups for whose clients a list of a program's service would act that isn't there yet, and of which it isn't known
    /// what it says of itself.
    pub fn would_act_once_there(&self, modes: &Modes, program: &str, service: &str) -> Vec<u16> {
        let Some(at) = modes.programs.iter().position(|own| own.name == program) else { return Vec::new() };
        let list = ListSpec::of_program(at, service, "", Arc::default());
        let groups = 0..=u16::try_from(self.spec.groups.len()).unwrap_or(u16::MAX);
        let acts = |group: &u16| {
            let named = |own: &GroupSpec| modes.groups.iter().find(|other| other.name == own.name);
            let own = match self.group(*group) {
                None => None,
                // It is gone; its clients are as others.
                Some(own) => match named(own) {
                    None => return false,
                    found => found,
                },
            };
            wanted_from(modes.ceiling, &modes.programs, at, &list, own).mode() == Mode::Enforce
        };
        groups.filter(acts).collect()
    }

    /// The mode that a list has for clients of a group at a time, schedules and pauses counted.
    pub fn list_standing_at(&self, list: usize, group: u16, now: i64, pauses: &[Pause]) -> Standing {
        let program = self.spec.lists[list].program();
        self.at(program, group, now, pauses, |group| self.list_standing(list, group))
    }

    /// The same of a program, whatever its lists say.
    pub fn program_standing_at(&self, program: usize, group: u16, now: i64, pauses: &[Pause]) -> Standing {
        self.at(Some(program), group, now, pauses, |group| self.program_standing(program, group))
    }

    /// What becomes of `standing`, which is within all schedules, at a time. What doesn't lessen it is not told.
    fn at(
        &self,
        program: Option<usize>,
        group: u16,
        now: i64,
        pauses: &[Pause],
        standing: impl Fn(u16) -> Standing,
    ) -> Standing {
        let own = standing(group);
        // Lists that are no program's are the owner's exceptions, which always hold.
        let Some(program) = program else { return own };
        let is_off = |schedule: Option<&super::Schedule>| schedule.is_some_and(|schedule| !schedule.is_on(now));
        let without_group = is_off(self.group(group).and_then(|group| group.schedule.as_ref()));
        let mut in_force = if without_group { standing(0).in_force } else { own.in_force };
        // Clients in no group may have less than the group, or more.
        let mut limit = match in_force {
            _ if in_force == own.written => None,
            _ if in_force == own.in_force => own.limit,
            _ => Some(Limit::GroupSchedule),
        };
        if pauses.iter().any(|pause| pause.holds(now, self.group_name(group))) && in_force > Mode::Shadow {
            (in_force, limit) = (Mode::Shadow, Some(Limit::Paused));
        }
        if is_off(self.spec.programs[program].schedule.as_ref()) && in_force > Mode::Off {
            (in_force, limit) = (Mode::Off, Some(Limit::ProgramSchedule));
        }
        Standing { in_force, limit, ..own }
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
    Some(wanted_from(spec.mode, &spec.programs, list.program()?, list, group))
}

/// The same of the program of that number.
fn wanted_from(
    ceiling: Mode,
    programs: &[ProgramSpec],
    index: usize,
    list: &ListSpec,
    group: Option<&GroupSpec>,
) -> Wanted {
    let program = &programs[index];
    let of_group = group.and_then(|group| group.programs.get(&index).copied());
    let service = group.and_then(|group| group.services.get(&(index, list.service.clone())).copied());
    let service = service.or_else(|| program.services.get(&list.service).copied());
    let service = service.or(list.default).or_else(|| program.services.get("*").copied());
    let ceiling = if list.never_acts { ceiling.min(Mode::Shadow) } else { ceiling };
    Wanted { ceiling, program: of_group.unwrap_or(program.mode), service }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::RrType,
        policy::{Asking, Client, ProgramSpec, Schedule, Zone},
    };
    use std::collections::BTreeMap;

    /// A policy of one program with one list and one group, by the modes of all.
    fn policy(ceiling: Mode, program: Mode, service: Mode, of_group: Option<Mode>, never_acts: bool) -> Policy {
        let program =
            ProgramSpec { mode: program, services: [("s".to_owned(), service)].into(), ..ProgramSpec::enforced("p") };
        let list = ListSpec { never_acts, ..ListSpec::of_program(0, "s", "l", Arc::default()) };
        let group = GroupSpec {
            name: "g".into(),
            clients: Vec::new(),
            tags: Vec::new(),
            programs: of_group.map(|mode| (0, mode)).into_iter().collect(),
            services: BTreeMap::new(),
            schedule: None,
        };
        let spec = PolicySpec { mode: ceiling, groups: vec![group], ..PolicySpec::of(vec![program], vec![list]) };
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
            // What would be is what is, once it is set.
            for (program, service, of_group) in
                Mode::ALL.into_iter().flat_map(|mode| [(mode, service, None), (program, mode, Some(mode))])
            {
                let set = self::policy(ceiling, program, service, of_group, never_acts);
                let PolicySpec { mode: ceiling, programs, groups, .. } = set.spec.clone();
                let acts = |of: &Policy, group| of.list_standing(0, group).in_force == Mode::Enforce;
                let act: Vec<_> = (0..2).filter(|&group| acts(&set, group)).map(|group| (0, group)).collect();
                let newly: Vec<_> = act.iter().copied().filter(|&(_, group)| !acts(&policy, group)).collect();
                let modes = Modes { ceiling, programs, groups };
                assert_eq!((policy.would_act(&modes), policy.would_newly_act(&modes)), (act, newly));
            }
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

    #[test]
    fn schedules_and_pauses_hold_a_mode_down_as_they_do_for_a_query() {
        let schedule = |text: &str| Some(Schedule::parse(text, &Zone::utc()).unwrap());
        let name = "x.example".parse().unwrap();
        for (of_program, of_group) in
            [(Mode::Enforce, Mode::Shadow), (Mode::Shadow, Mode::Enforce), (Mode::Off, Mode::Enforce)]
        {
            let mut spec = policy(Mode::Enforce, of_program, Mode::Enforce, Some(of_group), false).spec;
            spec.groups[0].clients = vec!["192.0.2.1".parse().unwrap()];
            spec.groups[0].schedule = schedule("daily 01:00-03:00");
            spec.programs[0].schedule = schedule("daily 02:00-04:00");
            let policy = Policy::build(spec).unwrap();
            let pauses = [Pause { group: None, client: None, until: 9000 }];
            for (now, address, group) in
                (0..5).flat_map(|hour| [(hour * 3600, "192.0.2.1", 1), (hour * 3600, "192.0.2.2", 0)])
            {
                let client = Client { address: address.parse().unwrap(), id: None, mac: None, tcp: false, group: None };
                let asking = Asking { name: &name, rr_type: RrType::A, client, now, pauses: &pauses };
                let standing = policy.list_standing_at(0, group, now, &pauses);
                assert_eq!(standing.in_force, policy.mode_for(&asking, 0), "{of_program} {of_group} {now} {group}");
                let of_program = policy.program_standing_at(0, group, now, &pauses);
                assert_eq!(of_program.in_force, standing.in_force, "its only list goes as far as it");
                assert_eq!(standing.limit.is_none(), standing.in_force == standing.written);
            }
        }
        let mut spec = policy(Mode::Enforce, Mode::Enforce, Mode::Enforce, None, false).spec;
        spec.programs[0].schedule = schedule("daily 02:00-04:00");
        let policy = Policy::build(spec).unwrap();
        let limit = |now, pauses: &[Pause]| policy.list_standing_at(0, 0, now, pauses).limit;
        assert_eq!(limit(0, &[]), Some(Limit::ProgramSchedule));
        assert_eq!(limit(7200, &[]), None);
        assert_eq!(limit(7200, &[Pause { group: None, client: None, until: 9000 }]), Some(Limit::Paused));
    }
}
