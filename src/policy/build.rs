//! What a policy is built from, and the building: everything that can be worked out before a query comes.

use super::{
    Action, BlockAnswer, Cause, Client, ClientKey, Effect, GROUPS_MAX, Geo, Groups, Mode, Needs, RuleSet, RuleView,
    Schedule, Scope,
    index::{Index, LISTS_MAX},
    standing::mode_of,
};
use crate::dns::Name;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// Programs one policy can hold: sets of them are 32-bit masks.
pub const PROGRAMS_MAX: usize = 32;
/// The program whose every match is counted by client, in any mode: it watches for ways round this resolver.
const BYPASS: &str = "bypass";

/// The Extended DNS Error of a block: "Blocked" (RFC 8914).
const EDE_BLOCKED: u16 = 15;

/// Everything a policy is built from.
#[derive(Clone)]
pub struct PolicySpec {
    /// Number of this policy; grows with each one published.
    pub epoch: u64,
    /// Ceiling for every program's mode.
    pub mode: Mode,
    pub block_ttl: Duration,
    pub programs: Vec<ProgramSpec>,
    pub lists: Vec<ListSpec>,
    pub owner_exceptions: Vec<OwnerException>,
    pub groups: Vec<GroupSpec>,
    /// Databases for rules on autonomous systems and countries.
    pub geo: Geo,
    /// Keys the index.
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub struct ProgramSpec {
    pub name: String,
    pub mode: Mode,
    pub block: BlockAnswer,
    /// Extended DNS Error code of its blocks (RFC 8914).
    pub ede: u16,
    /// Modes by service; `*` is the default for those that neither this table nor their list names.
    pub services: BTreeMap<String, Mode>,
    /// Outside it the program is off.
    pub schedule: Option<Schedule>,
}

impl PolicySpec {
    /// With these programs and lists, and nothing else.
    pub fn of(programs: Vec<ProgramSpec>, lists: Vec<ListSpec>) -> Self {
        Self {
            epoch: 1,
            mode: Mode::Enforce,
            block_ttl: Duration::from_secs(30),
            programs,
            lists,
            owner_exceptions: Vec::new(),
            groups: Vec::new(),
            geo: Geo::default(),
            seed: 7,
        }
    }
}

impl ProgramSpec {
    /// Enforced always, with the answers that blocked clients get if nothing else is said.
    pub fn enforced(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Enforce,
            block: BlockAnswer::NxDomain,
            ede: EDE_BLOCKED,
            services: BTreeMap::new(),
            schedule: None,
        }
    }
}

#[derive(Clone)]
pub struct ListSpec {
    pub role: Role,
    pub service: String,
    /// The mode the list itself asks for.
    pub default: Option<Mode>,
    /// Matches are recorded and never acted upon (RPZ's override "disabled").
    pub never_acts: bool,
    /// Short name shown to people: the file's name.
    pub name: String,
    /// Tells one reading of the list from another.
    pub version: u64,
    pub rules: Arc<RuleSet>,
}

/// Whose list it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Of a program, by its index.
    Program(usize),
    /// Of one of the owner's exceptions, by its index: what matches passes.
    Owner(usize),
}

impl ListSpec {
    /// A list of a program, in that program's mode.
    pub fn of_program(program: usize, service: &str, name: &str, rules: impl Into<Arc<RuleSet>>) -> Self {
        Self {
            role: Role::Program(program),
            service: service.to_owned(),
            default: None,
            never_acts: false,
            name: name.to_owned(),
            version: 0,
            rules: rules.into(),
        }
    }

    /// Index of the program, if it is a program's list.
    pub fn program(&self) -> Option<usize> {
        match self.role {
            Role::Program(program) => Some(program),
            Role::Owner(_) => None,
        }
    }
}

/// The owner's own exception.
#[derive(Clone, Debug)]
pub struct OwnerException {
    pub names: Vec<(Name, Scope)>,
    /// Indexes of the programs it is limited to; empty: all.
    pub programs: Vec<usize>,
    /// Groups it is limited to, as `Groups::find` numbers them; empty: all.
    pub groups: Vec<u16>,
    /// Seconds since 1970 (UTC) at which it ends.
    pub until: Option<i64>,
    pub reason: String,
    /// Where it stands in the configuration.
    pub place: String,
}

impl OwnerException {
    /// True if it holds at `now` for clients of `group`.
    pub fn holds(&self, now: i64, group: u16) -> bool {
        self.until.is_none_or(|until| now < until) && (self.groups.is_empty() || self.groups.contains(&group))
    }
}

/// Clients that share programs.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    pub name: String,
    pub clients: Vec<ClientKey>,
    /// What rules with `$ctag` ask for.
    pub tags: Vec<String>,
    /// Modes by program, in place of the programs' own.
    pub programs: BTreeMap<usize, Mode>,
    /// Modes by program and service, in place of the programs' own.
    pub services: BTreeMap<(usize, String), Mode>,
    /// Outside it the group's entries don't apply.
    pub schedule: Option<Schedule>,
}

/// Everything is in shadow until a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// By its name, which means the same in every policy; `None`: every group.
    pub group: Option<Arc<str>>,
    /// Of these, the one client; `None`: all of them.
    pub client: Option<ClientKey>,
    /// Seconds since 1970 (UTC).
    pub until: i64,
}

impl Pause {
    /// True if it holds at `now` for all clients of `group`.
    pub fn holds(&self, now: i64, group: &str) -> bool {
        self.client.is_none() && self.is_on(now, group)
    }

    /// True if it holds at `now` for a client of `group`.
    pub fn holds_for(&self, now: i64, group: &str, client: &Client<'_>) -> bool {
        self.is_on(now, group) && self.client.as_ref().is_none_or(|key| key.is_of(client))
    }

    fn is_on(&self, now: i64, group: &str) -> bool {
        now < self.until && self.group.as_deref().is_none_or(|paused| paused == group)
    }

    /// True if at `now` telling whom it is for takes the client's MAC address.
    pub fn needs_mac(&self, now: i64) -> bool {
        now < self.until && matches!(self.client, Some(ClientKey::Mac(_)))
    }
}

/// A spec that no policy can be built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("more than {PROGRAMS_MAX} programs")]
    TooManyPrograms,
    #[error("more than {LISTS_MAX} lists")]
    TooManyLists,
    #[error("more than {GROUPS_MAX} groups")]
    TooManyGroups,
    #[error("the lists together have more than 8 GiB of rules")]
    TooLarge,
}

/// A compiled policy, ready to decide.
pub struct Policy {
    pub(super) spec: PolicySpec,
    /// By group, 0 for clients in none: the mode of each list.
    pub(super) modes: Vec<Vec<Mode>>,
    /// By group: what of an answer the lists that may not be off look at.
    pub(super) needs: Vec<Needs>,
    /// Whose list each is: those of the spec, then one for the names of each of the owner's exceptions.
    pub(super) roles: Vec<Role>,
    /// For each list whether it is a response policy zone.
    pub(super) zones: Vec<bool>,
    /// Programs that have a schedule.
    pub(super) scheduled: Vec<u8>,
    /// `program/service list:` of each list, for the text of an Extended DNS Error.
    labels: Vec<String>,
    pub(super) groups: Groups,
    pub(super) bypass: Option<usize>,
    pub(super) index: Index,
}

impl Policy {
    /// Compiles a policy. Lists whose mode is off for everybody are held, counted and not looked at.
    pub fn build(spec: PolicySpec) -> Result<Self, BuildError> {
        let own_lists = spec.owner_exceptions.len();
        if spec.programs.len() > PROGRAMS_MAX {
            return Err(BuildError::TooManyPrograms);
        }
        if spec.lists.len() + own_lists > LISTS_MAX {
            return Err(BuildError::TooManyLists);
        }
        if spec.groups.len() > GROUPS_MAX {
            return Err(BuildError::TooManyGroups);
        }
        let all_ids: u64 = spec.lists.iter().map(|list| u64::from(list.rules.id_end())).sum();
        if all_ids > u64::from(u32::MAX) {
            return Err(BuildError::TooLarge);
        }
        let bypass = spec.programs.iter().position(|program| program.name == BYPASS);
        let groups = std::iter::once(None).chain(spec.groups.iter().map(Some));
        let modes: Vec<Vec<Mode>> =
            groups.map(|group| spec.lists.iter().map(|list| mode_of(&spec, list, group)).collect()).collect();
        let needs = (0..modes.len()).map(|group| needs_of(&spec, &modes, group, bypass)).collect();
        let label = |list: &ListSpec| match list.role {
            Role::Program(program) => format!("{}/{} {}:", spec.programs[program].name, list.service, list.name),
            Role::Owner(_) => format!("exception {}:", list.name),
        };
        let own = spec.owner_exceptions.iter().map(|exception| format!("exception {}:", exception.place));
        let labels = spec.lists.iter().map(label).chain(own).collect();
        let roles: Vec<Role> = spec.lists.iter().map(|list| list.role).chain((0..own_lists).map(Role::Owner)).collect();
        let mut sets: Vec<Arc<RuleSet>> = spec.lists.iter().map(|list| list.rules.clone()).collect();
        sets.extend(spec.owner_exceptions.iter().map(|exception| Arc::new(names_of(exception))));
        let zones = spec.lists.iter().map(|list| list.rules.zone().is_some()).collect();
        let programs = (0u8..).zip(&spec.programs);
        let scheduled = programs.filter(|(_, program)| program.schedule.is_some()).map(|(at, _)| at).collect();
        let in_force = |list: usize| match roles[list] {
            Role::Owner(_) => true,
            Role::Program(program) => Some(program) == bypass || modes.iter().any(|modes| modes[list] != Mode::Off),
        };
        let disabled = disabled_by_program(&spec);
        let is_disabled = |list: usize, rule: &RuleView<'_>| {
            let Role::Program(program) = roles[list] else { return false };
            let by = disabled.get(&(program, rule.identity()));
            by.is_some_and(|by| by.iter().any(|&other| modes.iter().all(|modes| modes[other] >= modes[list])))
        };
        let index = Index::build(sets, in_force, is_disabled, spec.seed);
        let groups = Groups::new(spec.groups.iter().map(|group| group.clients.as_slice()));
        Ok(Self { spec, modes, needs, roles, zones, scheduled, labels, groups, bypass, index })
    }

    pub fn epoch(&self) -> u64 {
        self.spec.epoch
    }

    pub fn programs(&self) -> &[ProgramSpec] {
        &self.spec.programs
    }

    pub fn lists(&self) -> &[ListSpec] {
        &self.spec.lists
    }

    pub fn owner_exceptions(&self) -> &[OwnerException] {
        &self.spec.owner_exceptions
    }

    pub fn groups(&self) -> &[GroupSpec] {
        &self.spec.groups
    }

    /// The name of a group as `Verdict::group` numbers it.
    pub fn group_name(&self, group: u16) -> &str {
        match group {
            0 => "default",
            group => &self.spec.groups[usize::from(group) - 1].name,
        }
    }

    /// The number of the group with this name, if there is one.
    pub fn group_named(&self, name: &str) -> Option<u16> {
        if name == self.group_name(0) {
            return Some(0);
        }
        (1u16..).zip(&self.spec.groups).find(|(_, group)| group.name == name).map(|(number, _)| number)
    }

    /// True if an address alone doesn't tell who is in the group: some of its clients are told by other things.
    pub fn is_told_by_more(&self, group: u16) -> bool {
        let spec = usize::from(group).checked_sub(1).and_then(|at| self.spec.groups.get(at));
        spec.is_some_and(|spec| spec.clients.iter().any(|key| !matches!(key, ClientKey::Net(_))))
    }

    /// True if some group is told by the hardware addresses of its clients.
    pub fn needs_mac(&self) -> bool {
        self.groups.needs_mac()
    }

    /// The mode that a list has for clients in no group.
    pub fn list_mode(&self, list: usize) -> Mode {
        self.modes[0][list]
    }

    /// The mode that a program has under the ceiling, for clients in no group.
    pub fn program_mode(&self, program: usize) -> Mode {
        self.spec.mode.min(self.spec.programs[program].mode)
    }

    /// The mode that a list would have of which nothing is in force, for clients in no group.
    pub fn mode_meant(&self, role: Role, service: &str) -> Mode {
        let list = ListSpec {
            role,
            service: service.to_owned(),
            default: None,
            never_acts: false,
            name: String::new(),
            version: 0,
            rules: Arc::default(),
        };
        mode_of(&self.spec, &list, None)
    }

    /// `program/service list:`, to which an Extended DNS Error's text appends the line.
    pub fn list_label(&self, list: usize) -> &str {
        &self.labels[list]
    }

    /// Whose list it is. The names of the owner's exceptions are lists too, after all others.
    pub fn list_role(&self, list: usize) -> Role {
        self.roles[list]
    }

    /// The rule that decided.
    pub fn rule(&self, cause: &Cause) -> RuleView<'_> {
        self.index.view(cause.rule)
    }

    /// What becomes of a question that the rule blocks.
    pub fn action(&self, cause: &Cause) -> Action {
        self.index.head(cause.rule).action()
    }

    /// TTL of blocked answers, in seconds.
    pub fn block_ttl_seconds(&self) -> u32 {
        self.spec.block_ttl.as_secs() as u32
    }

    /// Rules in force.
    pub fn rule_count(&self) -> usize {
        self.index.len()
    }

    /// True if a list that isn't off for everybody has rules on name servers.
    pub fn looks_at_name_servers(&self) -> bool {
        self.needs.iter().any(|needs| needs.ns_names || needs.ns_addresses)
    }

    /// Octets held by the index and the lists.
    pub fn bytes(&self) -> usize {
        self.index.table_bytes() + self.spec.lists.iter().map(|list| list.rules.bytes()).sum::<usize>()
    }

    /// How many rules of lists that are in force wait for a database that isn't there: on autonomous systems, on
    /// countries.
    pub fn rules_without_database(&self) -> (usize, usize) {
        let geo = &self.spec.geo;
        let (mut asns, mut countries) = (0, 0);
        for (index, list) in self.spec.lists.iter().enumerate() {
            if self.modes.iter().any(|modes| modes[index] != Mode::Off) {
                let (by_asn, by_country) = list.rules.places_by_database();
                asns += by_asn;
                countries += by_country;
            }
        }
        (if geo.asn.is_some() { 0 } else { asns }, if geo.country.is_some() { 0 } else { countries })
    }
}

/// What a group's lists look at, at whatever hour. The program that watches for ways round this resolver counts them in
/// any mode, as far as that costs no question.
fn needs_of(spec: &PolicySpec, modes: &[Vec<Mode>], group: usize, bypass: Option<usize>) -> Needs {
    // Outside its schedule a group has the modes of those in none.
    let has_schedule = group > 0 && spec.groups[group - 1].schedule.is_some();
    let is_on = |list: usize| modes[group][list] != Mode::Off || has_schedule && modes[0][list] != Mode::Off;
    let mut needs = Needs::default();
    for (index, list) in spec.lists.iter().enumerate() {
        let own = list.rules.needs();
        if is_on(index) {
            needs = needs.and(own);
        } else if bypass.is_some() && list.program() == bypass {
            needs.addresses |= own.addresses;
        }
    }
    needs
}

/// The names of one of the owner's exceptions as a set.
fn names_of(exception: &OwnerException) -> RuleSet {
    let mut set = RuleSet::default();
    for (line, (name, scope)) in exception.names.iter().enumerate() {
        // A configuration is far shorter than the longest list.
        let _ = set.push_name(Effect::Except, *scope, name, line as u32 + 1);
    }
    set
}

/// By program and identity the lists that take a rule back. One does so only where it goes as far as the rule's own list
/// in every group: what is in shadow changes no answer, and what is off isn't there.
fn disabled_by_program(spec: &PolicySpec) -> HashMap<(usize, u64), Vec<usize>> {
    let mut all: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
    for (index, list) in spec.lists.iter().enumerate() {
        let Some(program) = list.program() else { continue };
        for &identity in list.rules.disabled() {
            all.entry((program, identity)).or_default().push(index);
        }
    }
    all
}
