//! The programs with their services: how far each goes for whom, and what it hit.

use super::{
    super::AdminState,
    lists::{Hits, ListView, with_hits},
};
use crate::{
    config::{
        DEFAULT_GROUP,
        overlay::{Key, Overlay},
    },
    policy::{Limit, Mode, Pause, Policy, Schedule, Standing},
    report::Moment,
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// All programs, as they are for the clients of one group.
#[derive(Serialize, JsonSchema)]
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

#[derive(Serialize, JsonSchema)]
pub struct Program {
    pub name: String,
    pub mode: ModeView,
    /// Its mode was changed here, for this group.
    pub changed: bool,
    /// What a blocked client gets, as in the configuration.
    pub block: &'static str,
    pub schedule: Option<ScheduleView>,
    /// Its schedule was changed here.
    pub schedule_changed: bool,
    /// Matches: blocked, would be blocked, excepted.
    pub hits: Hits,
    pub services: Vec<Service>,
}

#[derive(Serialize, JsonSchema)]
pub struct Service {
    pub name: String,
    /// Its mode was changed here, for this group.
    pub changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
    pub rules: usize,
    /// One, or more where its lists differ.
    pub modes: Vec<ModeView>,
    /// Matches: blocked, would be blocked, excepted.
    pub hits: Hits,
    /// Names of its lists.
    pub lists: Vec<String>,
}

/// A mode in force, and what was written if that is more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ModeView {
    #[serde(serialize_with = "word")]
    #[schemars(with = "String", extend("enum" = ["off", "shadow", "enforce"]))]
    pub mode: Mode,
    #[serde(serialize_with = "word")]
    #[schemars(with = "String", extend("enum" = ["off", "shadow", "enforce"]))]
    pub written: Mode,
    /// What holds it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
}

fn word<S: Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.word())
}

impl From<Standing> for ModeView {
    fn from(Standing { in_force, written, limit }: Standing) -> Self {
        let limit = limit.map(|limit| match limit {
            Limit::Ceiling => "[policy] mode",
            Limit::Program => "its program's mode",
            Limit::NeverActs => "override = \"disabled\"",
            Limit::ProgramSchedule => "its program's schedule",
            Limit::GroupSchedule => "the group's schedule",
            Limit::Paused => "a pause",
        });
        Self { mode: in_force, written, limit }
    }
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct ScheduleView {
    pub text: String,
    pub on_now: bool,
    /// When that changes; none: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Moment>,
    /// The same by the clock that it goes by.
    #[serde(skip)]
    pub next_shown: Option<String>,
}

impl ScheduleView {
    /// How it stands at a time in seconds since 1970.
    pub fn new(schedule: &Schedule, now: i64) -> Self {
        let next = schedule.next_change(now);
        Self {
            text: schedule.to_string(),
            on_now: schedule.is_on(now),
            next: next.map(|next| Moment(next.saturating_mul(1_000_000))),
            next_shown: next.map(|next| schedule.zone().shown(next)),
        }
    }
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
    let schedule = |schedule: &Schedule| ScheduleView::new(schedule, now);
    let (view, hits) = with_hits(state);
    let is_same = view.epoch == policy.epoch();
    let overlay = state.desk.overlay();
    let changed = Changed { overlay: &overlay, group: (number > 0).then(|| policy.group_name(number)) };
    let pauses = state.pipeline.pauses().current().clone();
    let at = At { policy: &policy, group: number, now, pauses: &pauses };
    let mut programs: Vec<Program> = policy
        .programs()
        .iter()
        .enumerate()
        .map(|(index, spec)| Program {
            name: spec.name.clone(),
            mode: policy.program_standing_at(index, number, now, &pauses).into(),
            changed: changed.has(&spec.name, None),
            block: spec.block.word(),
            schedule: spec.schedule.as_ref().map(schedule),
            schedule_changed: overlay.entry(&Key::ProgramSchedule(spec.name.clone())).is_some(),
            hits: Hits::default(),
            services: Vec::new(),
        })
        .collect();
    for (index, (list, hits)) in view.lists.into_iter().zip(hits).enumerate() {
        let Some(program) = programs.iter_mut().find(|program| program.name == list.program) else { continue };
        // A status of another policy than this one numbers its lists otherwise; that lasts for a moment.
        let mode = at.mode_of(if is_same { index } else { usize::MAX }, &list);
        program.add(list, hits, mode, &changed);
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

/// How a schedule stands that is set, or tried: `None` if it is always on.
pub fn schedule_of(state: &AdminState, asked: Scheduled<'_>) -> Option<ScheduleView> {
    let (config, now) = (state.settings.config(), state.pipeline.now());
    let read = |text: &str| Schedule::parse(text, &config.policy.time_zone).ok();
    let schedule = match asked {
        Scheduled::Text(text) => read(text),
        Scheduled::Group(name) => config.groups.iter().find(|own| own.name == name)?.schedule.clone(),
        Scheduled::Program(name) => config.programs.iter().find(|own| own.name == name)?.schedule.clone(),
    };
    schedule.map(|schedule| ScheduleView::new(&schedule, now))
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Scheduled<'a> {
    /// What was written.
    Text(&'a str),
    /// What is in force of a group's, or of a program's.
    Group(&'a str),
    Program(&'a str),
}

/// For whom modes are looked at, and when.
struct At<'a> {
    policy: &'a Policy,
    group: u16,
    now: i64,
    pauses: &'a [Pause],
}

impl At<'_> {
    /// The mode of a list; one of which nothing is in force has the mode that it would have for clients in no group.
    fn mode_of(&self, index: usize, list: &ListView) -> ModeView {
        if self.policy.lists().get(index).is_some_and(|own| own.name == list.list) {
            return self.policy.list_standing_at(index, self.group, self.now, self.pauses).into();
        }
        let mode = list.mode.parse().unwrap_or(Mode::Off);
        ModeView { mode, written: mode, limit: None }
    }
}

/// Which modes were changed here, for a group or, if there is none, for everybody.
struct Changed<'a> {
    overlay: &'a Overlay,
    group: Option<&'a str>,
}

impl Changed<'_> {
    fn has(&self, program: &str, service: Option<&str>) -> bool {
        let own = |text: &str| text.to_owned();
        let key = Key::Mode { group: self.group.map(own), program: own(program), service: service.map(own) };
        self.overlay.entry(&key).is_some()
    }
}

impl Program {
    /// Takes in one of its lists.
    fn add(&mut self, list: ListView, hits: Hits, mode: ModeView, changed: &Changed<'_>) {
        self.hits.iter_mut().zip(hits).for_each(|(own, more)| *own += more);
        let at = self.services.iter().position(|service| service.name == list.service);
        let at = at.unwrap_or_else(|| {
            self.services.push(Service {
                name: list.service.clone(),
                changed: changed.has(&self.name, Some(&list.service)),
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
