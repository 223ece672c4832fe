//! The state of all lists, for people: what each is called, what is in force of it, what is wrong with it.

use super::Lists;
use crate::{
    config::{Config, ListName},
    lists::{
        catalog::{Entry, ListPath, Manner, Pinned},
        spec,
    },
    policy::{
        Mode, Policy, Role,
        parse::{Format, Header, Told},
    },
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

/// What the lists of a program's `exceptions` are called among its services.
const EXCEPTIONS: &str = "exceptions";

/// The state of all lists when a policy came into force.
#[derive(Default)]
pub struct ListStatus {
    /// The policy's number.
    pub epoch: u64,
    pub since: Option<Instant>,
    /// First those of the policy, by its own indexes; then those that have never been of use.
    pub lists: Vec<ListState>,
    /// Folders that can't be read: program and reason.
    pub folders: Vec<(String, String)>,
    /// Services that the configuration names and no list has.
    pub unknown_services: Vec<String>,
    /// The owner's exceptions that are over: place and last day.
    pub expired_exceptions: Vec<(String, String)>,
    /// What is wrong with the databases of networks and countries.
    pub databases: Vec<String>,
    /// Rules in force that can't match for want of a database: on AS numbers, on countries.
    pub rules_without_database: (usize, usize),
    /// Lists that are to be held at a version, or rules of which are to be let through, and that aren't there: where that
    /// stands, and which.
    pub without_list: Vec<(String, String)>,
    /// There are rules on name servers in force, and every name is forwarded, so that no name server is heard of.
    pub name_servers_unheard: bool,
}

/// The state of one list.
pub struct ListState {
    pub program: String,
    pub service: String,
    pub name: String,
    pub path: ListPath,
    pub mode: Mode,
    pub format: Format,
    pub header: Header,
    pub rules: usize,
    pub exceptions: usize,
    /// Lines that gave no rule.
    pub skipped: Told,
    /// Rules that the safety gate held back, and those that it warns of.
    pub held: Told,
    pub warned: Told,
    /// Hash of the text in force; 0: nothing is.
    pub version: u64,
    /// When this process took it in.
    pub since: Option<SystemTime>,
    /// When its content last changed; `None`: that isn't known, or nothing is in force.
    pub changed_at: Option<SystemTime>,
    /// Seconds since 1970 when the server of a list with a url last gave it or said that it is still the same.
    pub confirmed_at: Option<u64>,
    /// What is in force is a copy from the state folder.
    pub from_store: bool,
    /// Why the file as it is now is not in force.
    pub trouble: Option<String>,
    /// What is in force perhaps isn't meant: why.
    pub doubt: Option<String>,
    /// The version that it is held at, whatever it is now.
    pub pinned: Option<PinnedAt>,
    /// Where its copies and its last texts lie, if any are kept.
    pub kept_at: Option<PathBuf>,
    /// How its texts are read.
    pub manner: Manner,
}

/// That a list is held at a version.
pub struct PinnedAt {
    pub version: u64,
    pub reason: String,
    /// Why it isn't, and the list as it is now is in force.
    pub trouble: Option<String>,
    /// The version of its last good text, and how many rules that has, if it is another one: it waits.
    pub waiting: Option<(u64, usize)>,
}

impl PinnedAt {
    fn new(entry: &Entry, pinned: &Pinned) -> Self {
        let other = entry.loaded.as_ref().filter(|loaded| loaded.version != pinned.version);
        Self {
            version: pinned.version,
            reason: pinned.reason.clone(),
            trouble: pinned.trouble().map(str::to_owned),
            waiting: other.filter(|_| pinned.loaded().is_some()).map(|loaded| (loaded.version, loaded.rules.len())),
        }
    }
}

impl ListStatus {
    /// Said while rules on name servers can't match.
    pub(super) const NAME_SERVERS_UNHEARD: &str = "rules on name servers (ns:, rpz-nsdname, rpz-nsip) are inactive: every name is \
                                        forwarded, and a forwarder doesn't tell whose answer it passes on";

    /// What keeps rules on AS numbers and countries from their work: databases that can't be used as they are, and
    /// rules that none is named for.
    pub fn database_troubles(&self) -> Vec<String> {
        let (asns, countries) = self.rules_without_database;
        let idle = [(asns, "AS numbers", "policy.asn_db"), (countries, "countries", "policy.country_db")];
        let idle = idle.into_iter().filter(|(count, ..)| *count > 0);
        let idle = idle.map(|(count, what, option)| {
            format!("{count} rules on {what} are inactive: {option} names no usable database")
        });
        let unheard = self.name_servers_unheard.then(|| Self::NAME_SERVERS_UNHEARD.to_owned());
        self.databases.iter().cloned().chain(idle).chain(unheard).collect()
    }
}

impl ListState {
    /// True if its last good state serves in place of what is on disk, or if nothing does.
    pub fn is_held(&self) -> bool {
        self.trouble.is_some()
    }
}

impl Lists {
    /// The configuration's word, else the list's own, else the file's name without its ending.
    pub(super) fn service_of(&self, entry: &Entry) -> String {
        if self.catalog.is_exceptions(entry) {
            return EXCEPTIONS.to_owned();
        }
        let own = entry.in_force().and_then(|loaded| loaded.header.service.clone());
        let configured = self.catalog.spec(entry).service.clone();
        let given = || own.unwrap_or_else(|| part_of_name(&entry.path, Path::file_stem));
        configured.unwrap_or_else(|| spec::service_word(&given()))
    }

    /// The name of each list of the catalog: the configured one or the file's, with as much of its path before it as
    /// tells it from the program's others.
    pub(super) fn names(&self) -> Vec<String> {
        let plain = |entry: &Entry| {
            let configured = self.catalog.spec(entry).name.clone();
            configured.unwrap_or_else(|| part_of_name(&entry.path, Path::file_name))
        };
        let mut alike: HashMap<(Role, String), Vec<&ListPath>> = HashMap::new();
        for entry in self.catalog.entries() {
            alike.entry((entry.role, plain(entry))).or_default().push(&entry.path);
        }
        let name = |entry: &Entry| {
            let name = plain(entry);
            match alike.get(&(entry.role, name.clone())) {
                Some(paths) if paths.len() > 1 => entry.path.shortest_tail_unlike(paths),
                _ => name,
            }
        };
        self.catalog.entries().iter().map(name).collect()
    }

    /// What configuration and pages call each list of the catalog: its program and its name. `None`: it is of an
    /// exception of the owner's.
    pub(super) fn called(&self) -> Vec<Option<ListName>> {
        let called = |(entry, list): (&Entry, String)| match entry.role {
            Role::Program(program) => Some(ListName { program: self.config.programs[program].name.clone(), list }),
            Role::Owner(_) => None,
        };
        self.catalog.entries().iter().zip(self.names()).map(called).collect()
    }

    pub(super) fn status(&self, policy: &Policy) -> ListStatus {
        let entries = self.catalog.entries().iter().zip(self.names());
        let (used, unused): (Vec<_>, Vec<_>) = entries.partition(|(entry, _)| entry.in_force().is_some());
        let used = used.into_iter().enumerate().map(|(index, entry)| (policy.list_mode(index), entry));
        let mode_meant = |entry: &Entry| policy.mode_meant(entry.role, &self.service_of(entry));
        let unused = unused.into_iter().map(|(entry, name)| (mode_meant(entry), (entry, name)));
        let program = |role: Role| role_name(&self.config, role);
        ListStatus {
            epoch: policy.epoch(),
            since: Some(self.since(policy)),
            lists: used.chain(unused).map(|(mode, (entry, name))| self.state(mode, entry, name)).collect(),
            folders: self.catalog.folder_troubles().map(|(role, why)| (program(role), why)).collect(),
            unknown_services: self.unknown_services(),
            expired_exceptions: spec::expired(&self.config, (self.chance.clock)()),
            databases: self.databases.troubles(),
            rules_without_database: policy.rules_without_database(),
            without_list: self.without_list(),
            name_servers_unheard: policy.looks_at_name_servers()
                && self.config.resolve.forwards.iter().any(|forward| forward.zone.is_root()),
        }
    }

    /// When `policy` came into force: now, unless it is in force already.
    pub(super) fn since(&self, policy: &Policy) -> Instant {
        let status = self.published.status.load();
        status.since.filter(|_| status.epoch == policy.epoch()).unwrap_or_else(Instant::now)
    }

    pub(super) fn state(&self, mode: Mode, entry: &Entry, name: String) -> ListState {
        let loaded = entry.in_force();
        ListState {
            program: role_name(&self.config, entry.role),
            service: self.service_of(entry),
            name,
            path: entry.path.clone(),
            mode,
            format: loaded.map_or(self.catalog.spec(entry).format, |loaded| loaded.format),
            header: loaded.map(|loaded| loaded.header.clone()).unwrap_or_default(),
            rules: loaded.map_or(0, |loaded| loaded.rules.len()),
            exceptions: loaded.map_or(0, |loaded| loaded.rules.exceptions()),
            skipped: loaded.map(|loaded| loaded.skipped.clone()).unwrap_or_default(),
            held: loaded.map(|loaded| loaded.held.clone()).unwrap_or_default(),
            warned: loaded.map(|loaded| loaded.warned.clone()).unwrap_or_default(),
            version: loaded.map_or(0, |loaded| loaded.version),
            since: loaded.map(|loaded| loaded.since),
            changed_at: entry.changed_at(),
            confirmed_at: entry.confirmed_at(),
            from_store: loaded.is_some_and(|loaded| loaded.from_store),
            trouble: entry.trouble.clone(),
            doubt: entry.doubt.clone(),
            pinned: entry.pinned.as_ref().map(|pinned| PinnedAt::new(entry, pinned)),
            kept_at: self.catalog.place_of(entry),
            manner: self.catalog.manner(entry),
        }
    }

    /// What was changed of lists that aren't there.
    fn without_list(&self) -> Vec<(String, String)> {
        let Config { pins, let_through, .. } = &*self.config;
        if pins.is_empty() && let_through.is_empty() {
            return Vec::new();
        }
        let called = self.called();
        let pins = pins.iter().map(|own| (&own.place, &own.list));
        let let_through = let_through.iter().map(|own| (&own.place, &own.list));
        let gone = pins.chain(let_through).filter(|(_, list)| !called.iter().flatten().any(|own| own == *list));
        gone.map(|(place, list)| (place.clone(), list.to_string())).collect()
    }

    pub(super) fn unknown_services(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        for (index, program) in self.config.programs.iter().enumerate() {
            let own = self.catalog.entries().iter().filter(|entry| entry.role == Role::Program(index));
            let known: Vec<String> = own.map(|entry| self.service_of(entry)).collect();
            for service in program.services.keys().filter(|service| *service != "*" && !known.contains(service)) {
                unknown.push(format!("{}/{service}", program.name));
            }
            let of_groups = self.config.groups.iter().flat_map(|group| group.services.keys());
            for (_, service) in of_groups.filter(|(own, service)| *own == program.name && !known.contains(service)) {
                unknown.push(format!("{}/{service}", program.name));
            }
        }
        unknown.sort();
        unknown.dedup();
        unknown
    }
}

/// What a list belongs to, for people: its program, or the owner's exception.
pub(super) fn role_name(config: &Config, role: Role) -> String {
    match role {
        Role::Program(program) => config.programs[program].name.clone(),
        Role::Owner(exception) => format!("exception {}", config.exceptions[exception].place),
    }
}

fn part_of_name(path: &ListPath, part: impl Fn(&Path) -> Option<&std::ffi::OsStr>) -> String {
    let path = match path {
        ListPath::File(path) => path.as_path(),
        ListPath::Url { url, .. } => Path::new(url.split(['?', '#']).next().unwrap_or(url)),
        ListPath::Embedded(path) => Path::new(path),
    };
    part(path).unwrap_or_default().to_string_lossy().into_owned()
}
