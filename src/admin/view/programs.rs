//! The programs with their services: how far each goes for whom, and what it hit.

use super::{
    super::AdminState,
    lists::{Hits, ListView, with_hits},
};
use crate::{
    config::DEFAULT_GROUP,
    policy::{Limit, Mode, Policy, Standing},
    report::Moment,
};

/// All programs, as they are for the clients of one group.
pub struct Programs {
    /// Names of the groups, clients in none first.
    pub groups: Vec<String>,
    pub group: String,
    /// When the group's own modes hold; outside it its clients are as those in no group.
    pub schedule: Option<ScheduleView>,
    /// How far any program may go.
    pub programs: Vec<Program>,
    /// Since when matches are counted.
    pub since: Moment,
}

pub struct Program {
    pub name: String,
    pub mode: ModeView,
    /// What a blocked client gets, as in the configuration.
    pub block: &'static str,
    pub schedule: Option<ScheduleView>,
    pub hits: Hits,
    pub services: Vec<Service>,
}

pub struct Service {
    pub name: String,
    pub title: Option<String>,
    pub breaks: Option<String>,
    pub sources: Option<String>,
    pub rules: usize,
    /// One, or more where its lists differ.
    pub modes: Vec<ModeView>,
    pub hits: Hits,
    /// Names of its lists.
    pub lists: Vec<String>,
}

/// A mode in force, and what was written if that is more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModeView {
    pub mode: Mode,
    pub written: Mode,
    /// What holds it down.
    pub limit: Option<&'static str>,
}

impl From<Standing> for ModeView {
    fn from(Standing { in_force, written, limit }: Standing) -> Self {
        let limit = limit.map(|limit| match limit {
            Limit::Ceiling => "[policy] mode",
            Limit::Program => "its program's mode",
            Limit::NeverActs => "override = \"disabled\"",
        });
        Self { mode: in_force, written, limit }
    }
}

pub struct ScheduleView {
    pub text: String,
    pub on_now: bool,
}

/// Programs as they are for a group; `None`: there is no such group, or no policy yet.
pub fn programs(state: &AdminState, group: &str) -> Option<Programs> {
    let policy = state.health.published.policy.load_full()?;
    let number = match group {
        "" | DEFAULT_GROUP => 0,
        name => 1 + policy.groups().iter().position(|group| group.name == name)?,
    };
    let number = u16::try_from(number).ok()?;
    let now = state.pipeline.now();
    let schedule =
        |schedule: &crate::policy::Schedule| ScheduleView { text: schedule.to_string(), on_now: schedule.is_on(now) };
    let (view, hits) = with_hits(state);
    let is_same = view.epoch == policy.epoch();
    let mut programs: Vec<Program> = policy
        .programs()
        .iter()
        .enumerate()
        .map(|(index, spec)| Program {
            name: spec.name.clone(),
            mode: policy.program_standing(index, number).into(),
            block: spec.block.word(),
            schedule: spec.schedule.as_ref().map(schedule),
            hits: Hits::default(),
            services: Vec::new(),
        })
        .collect();
    for (index, (list, hits)) in view.lists.into_iter().zip(hits).enumerate() {
        let Some(program) = programs.iter_mut().find(|program| program.name == list.program) else { continue };
        // A status of another policy than this one numbers its lists otherwise; that lasts for a moment.
        let mode = mode_of(&policy, if is_same { index } else { usize::MAX }, number, &list);
        program.add(list, hits, mode);
    }
    let of_group = usize::from(number).checked_sub(1).and_then(|index| policy.groups()[index].schedule.as_ref());
    let groups = policy.groups().iter().map(|group| group.name.clone());
    Some(Programs {
        groups: std::iter::once(DEFAULT_GROUP.to_owned()).chain(groups).collect(),
        group: policy.group_name(number).to_owned(),
        schedule: of_group.map(schedule),
        programs,
        since: state.started(),
    })
}

/// The mode of a list; one of which nothing is in force has the mode that it would have for clients in no group.
fn mode_of(policy: &Policy, index: usize, group: u16, list: &ListView) -> ModeView {
    if policy.lists().get(index).is_some_and(|own| own.name == list.list) {
        return policy.list_standing(index, group).into();
    }
    let mode = list.mode.parse().unwrap_or(Mode::Off);
    ModeView { mode, written: mode, limit: None }
}

impl Program {
    /// Takes in one of its lists.
    fn add(&mut self, list: ListView, hits: Hits, mode: ModeView) {
        self.hits.iter_mut().zip(hits).for_each(|(own, more)| *own += more);
        let at = self.services.iter().position(|service| service.name == list.service);
        let at = at.unwrap_or_else(|| {
            self.services.push(Service {
                name: list.service.clone(),
                title: None,
                breaks: None,
                sources: None,
                rules: 0,
                modes: Vec::new(),
                hits: Hits::default(),
                lists: Vec::new(),
            });
            self.services.len() - 1
        });
        let service = &mut self.services[at];
        let field = |name: &str| list.header.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        service.title = service.title.take().or_else(|| field("title"));
        service.breaks = service.breaks.take().or_else(|| field("breaks"));
        service.sources = service.sources.take().or_else(|| field("sources"));
        service.rules += list.rules;
        service.hits.iter_mut().zip(hits).for_each(|(own, more)| *own += more);
        if !service.modes.contains(&mode) {
            service.modes.push(mode);
        }
        service.lists.push(list.list);
    }
}
