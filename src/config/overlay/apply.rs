//! Lays an overlay upon a configuration.

use super::{
    super::{
        Config, DEFAULT_GROUP, Exception, Group, LetThrough, ListName, ListSource, Location, Pin, Problem, Problems,
        Program,
        file::{
            names::{exception_name, name},
            text::{end_of_day, schedule},
        },
    },
    Entry, FILE_NAME, Key, Overlay, OwnBlock, OwnException, OwnLetThrough, OwnPin,
    text::place,
};
use crate::policy::{Mode, PROGRAMS_MAX, Schedule, Zone, parse::Format};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The program that blocks make. It stands first, so that its answer counts.
pub const OWN_PROGRAM: &str = "own";
/// The folder of its lists in the state folder.
const OWN_FOLDER: &str = "own";
/// Its service for everybody.
const EVERYBODY: &str = "everybody";
/// EDE code "Blocked" (RFC 8914 §4.16).
const EDE_BLOCKED: u16 = 15;

/// A configuration with an overlay upon it.
#[derive(Clone, PartialEq, Debug)]
pub struct Applied {
    pub config: Config,
    /// Entries, or parts of them, that name something that isn't there.
    pub resting: Vec<Resting>,
    /// Lists that blocks make: path and text.
    pub lists: Vec<(PathBuf, String)>,
    /// When the first of its blocks ends, in seconds since 1970: then it is to be laid anew.
    pub until: Option<i64>,
}

/// An entry that does nothing, in whole or in part, until what it names is there again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resting {
    pub key: Key,
    /// Where it stands, and what isn't there.
    pub why: String,
}

impl Overlay {
    /// Lays it upon a configuration at `now` (seconds since 1970). Modes and schedules take the place of what is written;
    /// exceptions are added after the owner's, blocks make a program of their own. What names a program or group that
    /// isn't there rests.
    pub fn apply(&self, config: Config, now: i64) -> Result<Applied, Problems> {
        let mut laying = Laying { config, resting: Vec::new(), blocks: BTreeMap::new(), now, until: None };
        // Blocks make a program, which other entries may name.
        let (blocks, others): (Vec<_>, Vec<_>) = self.entries().partition(|(key, _)| matches!(key, Key::Block(_)));
        for (key, entry) in blocks {
            laying.lay(key, entry)?;
        }
        let lists = laying.add_own_program()?;
        for (key, entry) in others {
            laying.lay(key, entry)?;
        }
        Ok(Applied { config: laying.config, resting: laying.resting, lists, until: laying.until })
    }
}

/// An overlay that is being laid upon a configuration.
struct Laying<'a> {
    config: Config,
    resting: Vec<Resting>,
    /// By group, `None` for everybody: the blocks that count for it.
    blocks: BTreeMap<Option<&'a str>, Vec<(&'a Key, &'a OwnBlock)>>,
    now: i64,
    until: Option<i64>,
}

impl<'a> Laying<'a> {
    fn lay(&mut self, key: &'a Key, entry: &'a Entry) -> Result<(), Problems> {
        match (key, entry) {
            (Key::Mode { group, program, service }, Entry::Mode(mode)) => {
                self.lay_mode(key, group.as_deref(), program, service.as_deref(), *mode);
            }
            (Key::GroupSchedule(name), Entry::Schedule(written)) => {
                let schedule = read_schedule(key, written, &self.config.policy.time_zone)?;
                match self.group(name) {
                    Some(group) => group.schedule = schedule,
                    None => self.rest(key, "group", name),
                }
            }
            (Key::ProgramSchedule(name), Entry::Schedule(written)) => {
                let schedule = read_schedule(key, written, &self.config.policy.time_zone)?;
                match self.program(name) {
                    Some(program) => program.schedule = schedule,
                    None => self.rest(key, "program", name),
                }
            }
            (Key::Exception(_), Entry::Exception(exception)) => self.lay_exception(key, exception)?,
            (Key::Block(_), Entry::Block(block)) => self.lay_block(key, block)?,
            (Key::Pin { program, list }, Entry::Pin(pin)) => self.lay_pin(key, program, list, pin),
            (Key::LetThrough(_), Entry::LetThrough(own)) => self.lay_let_through(key, own)?,
            // Whoever sets an entry reads it before it counts, and reading gives each key its kind of entry.
            _ => return Err(problem(key, "this can't stand here")),
        }
        Ok(())
    }

    fn lay_mode(&mut self, key: &Key, group: Option<&str>, program: &str, service: Option<&str>, mode: Mode) {
        if self.program(program).is_none() {
            return self.rest(key, "program", program);
        }
        let Some(group) = group else {
            let Some(program) = self.program(program) else { return };
            match service {
                None => program.mode = mode,
                Some(service) => drop(program.services.insert(service.to_owned(), mode)),
            }
            return;
        };
        let Some(own) = self.group(group) else { return self.rest(key, "group", group) };
        match service {
            None => drop(own.programs.insert(program.to_owned(), mode)),
            Some(service) => drop(own.services.insert((program.to_owned(), service.to_owned()), mode)),
        }
    }

    fn lay_exception(&mut self, key: &Key, own: &OwnException) -> Result<(), Problems> {
        let programs = self.those_there(key, "program", &own.programs);
        let groups = self.those_there(key, "group", &own.groups);
        // Limited to what isn't there it passes nothing. To drop the limit would be to pass everything.
        let (Some(programs), Some(groups)) = (programs, groups) else { return Ok(()) };
        let names: Result<Vec<_>, String> = own.names.iter().map(|name| exception_name(name)).collect();
        let exception = Exception {
            names: names.map_err(|message| problem(key, message))?,
            lists: Vec::new(),
            programs,
            groups,
            reason: own.reason.clone(),
            until: self.end_of(key, &own.until)?,
            until_text: own.until.clone(),
            place: place(key),
        };
        self.config.exceptions.push(exception);
        Ok(())
    }

    fn lay_block(&mut self, key: &'a Key, block: &'a OwnBlock) -> Result<(), Problems> {
        let end = self.end_of(key, &block.until)?;
        if end.is_some_and(|end| self.now >= end) {
            return Ok(());
        }
        self.until = self.until.into_iter().chain(end).min();
        if block.groups.is_empty() {
            self.blocks.entry(None).or_default().push((key, block));
            return Ok(());
        }
        // Those that rest are told; the others have it.
        let there = self.those_there(key, "group", &block.groups).unwrap_or_default();
        for group in block.groups.iter().filter(|group| there.contains(group)) {
            self.blocks.entry(Some(group.as_str())).or_default().push((key, block));
        }
        Ok(())
    }

    /// Which lists there are is known where they are read.
    fn lay_pin(&mut self, key: &Key, program: &str, list: &str, own: &OwnPin) {
        if self.program(program).is_none() {
            return self.rest(key, "program", program);
        }
        let list = ListName { program: program.to_owned(), list: list.to_owned() };
        self.config.pins.push(Pin { list, version: own.number(), reason: own.reason.clone(), place: place(key) });
    }

    /// Likewise.
    fn lay_let_through(&mut self, key: &Key, own: &OwnLetThrough) -> Result<(), Problems> {
        let (program, list) = own.list.split_once('/').unwrap_or_default();
        if self.program(program).is_none() {
            self.rest(key, "program", program);
            return Ok(());
        }
        let names: Result<Vec<_>, String> = own.names.iter().map(|own| name(own)).collect();
        self.config.let_through.push(LetThrough {
            list: ListName { program: program.to_owned(), list: list.to_owned() },
            names: names.map_err(|message| problem(key, message))?,
            place: place(key),
        });
        Ok(())
    }

    /// Those of some names that there are; `None`: there is none of them, though some are named.
    fn those_there(&mut self, key: &Key, what: &str, names: &[String]) -> Option<Vec<String>> {
        let is_there = |name: &String| match what {
            "program" => self.config.programs.iter().any(|program| program.name == *name),
            _ => name == DEFAULT_GROUP || self.config.groups.iter().any(|group| group.name == *name),
        };
        let (there, gone): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_there(name));
        let there: Vec<String> = there.into_iter().cloned().collect();
        for name in gone {
            self.rest(key, what, name);
        }
        (names.is_empty() || !there.is_empty()).then_some(there)
    }

    fn end_of(&self, key: &Key, until: &str) -> Result<Option<i64>, Problems> {
        if until.is_empty() {
            return Ok(None);
        }
        end_of_day(until, &self.config.policy.time_zone).map(Some).map_err(|message| problem(key, message))
    }

    fn program(&mut self, name: &str) -> Option<&mut Program> {
        self.config.programs.iter_mut().find(|program| program.name == name)
    }

    fn group(&mut self, name: &str) -> Option<&mut Group> {
        self.config.groups.iter_mut().find(|group| group.name == name)
    }

    fn rest(&mut self, key: &Key, what: &str, name: &str) {
        let why = format!("{}: there is no {what} {name}", place(key));
        self.resting.push(Resting { key: key.clone(), why });
    }

    /// Adds the program of the blocks, if there are any: its lists with their texts.
    fn add_own_program(&mut self) -> Result<Vec<(PathBuf, String)>, Problems> {
        if self.blocks.is_empty() {
            return Ok(Vec::new());
        }
        let whole = |message: String| Problems(vec![Problem::whole_file(FILE_NAME, message)]);
        if self.config.programs.iter().any(|program| program.name == OWN_PROGRAM) {
            return Err(whole(format!(
                "blocks make a program {OWN_PROGRAM}, and the configuration has one of that name; rename it there"
            )));
        }
        if self.config.programs.len() >= PROGRAMS_MAX {
            return Err(whole(format!("blocks make a program, and there are {PROGRAMS_MAX} already; remove one")));
        }
        let Some(folder) = self.config.state_dir.as_ref().map(|folder| folder.join(OWN_FOLDER)) else {
            return Err(whole("blocks need a state folder; set [state] dir".to_owned()));
        };
        let mut program = Program {
            name: OWN_PROGRAM.to_owned(),
            mode: Mode::Enforce,
            block: None,
            ede: EDE_BLOCKED,
            lists: Vec::new(),
            services: BTreeMap::new(),
            exceptions: Vec::new(),
            schedule: None,
        };
        let mut texts = Vec::new();
        for (group, blocks) in std::mem::take(&mut self.blocks) {
            let service = group.map_or(EVERYBODY.to_owned(), |group| format!("for-{group}"));
            self.limit(&mut program, group, &service);
            let path = folder.join(format!("{service}.list"));
            let source = ListSource { format: Format::Ours, service: Some(service), ..own_list(&path) };
            program.lists.push(source);
            texts.push((path, list_text(group, &blocks)));
        }
        self.config.programs.insert(0, program);
        Ok(texts)
    }

    /// Has a list count for one group alone: it is off in general, and on there. Clients in no group have no modes of
    /// their own, so for them it is the other way round.
    fn limit(&mut self, program: &mut Program, group: Option<&str>, service: &str) {
        let of_program = match group {
            None => return,
            Some(DEFAULT_GROUP) => Mode::Enforce,
            Some(_) => Mode::Off,
        };
        program.services.insert(service.to_owned(), of_program);
        for own in &mut self.config.groups {
            let mode = match group {
                Some(DEFAULT_GROUP) => Mode::Off,
                Some(group) if group == own.name => Mode::Enforce,
                _ => continue,
            };
            own.services.insert((OWN_PROGRAM.to_owned(), service.to_owned()), mode);
        }
    }
}

/// A list that is as good empty as full, because whoever makes it knows, and whose rules are meant however broad.
fn own_list(path: &Path) -> ListSource {
    ListSource {
        allow_empty: true,
        gate: Some(super::super::Gate::Warn),
        ..ListSource::plain(Location::File(path.to_owned()))
    }
}

/// The blocks of a group in our own format.
fn list_text(group: Option<&str>, blocks: &[(&Key, &OwnBlock)]) -> String {
    let whose = group.map_or("everybody".to_owned(), |group| format!("clients of {group}"));
    let mut text = format!("#! cleandns\n#: title: Blocked by hand for {whose}\n#: note: made from {FILE_NAME}\n");
    // Two blocks of one name, which end on different days, are one rule.
    let mut names = BTreeSet::new();
    for (key, block) in blocks.iter().filter(|(_, block)| names.insert(block.name.as_str())) {
        let reason = if block.reason.is_empty() { String::new() } else { format!(": {}", block.reason) };
        text.push_str(&format!("{} # {}{reason}\n", block.name, key.id()));
    }
    text
}

fn read_schedule(key: &Key, written: &str, zone: &Zone) -> Result<Option<Schedule>, Problems> {
    match written {
        "" => Ok(None),
        written => schedule(written, zone).map(Some).map_err(|message| problem(key, message)),
    }
}

fn problem(key: &Key, message: impl Into<String>) -> Problems {
    let option = key.to_string().replace('/', ".");
    Problems(vec![Problem { option, ..Problem::whole_file(FILE_NAME, message) }])
}
