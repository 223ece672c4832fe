//! What lists there are, which of them changed, and the last good state of each. Time is an argument.

use super::{
    read::{ReadFailure, Stamp, read},
    store::Store,
};
use crate::{
    config::{self, ListSource, Location},
    policy::{
        Role, RuleSet,
        parse::{Format, Header, Options, Parsed, Skipped, Told, Unusable, parse},
    },
};
use foldhash::fast::FixedState;
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    fmt, fs,
    hash::BuildHasher,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// How long a file of a folder must be gone before it counts as deleted: editors and tools delete and recreate.
const DELETED_AFTER: Duration = Duration::from_secs(2);
/// When a file that changed while it was read, or is still being written without events to tell, is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long a list may be held by its writer before that is worth telling.
const UNFINISHED_IS_TROUBLE_AFTER: Duration = Duration::from_secs(10);
/// Endings of the files of a folder that are lists.
const LIST_ENDINGS: [&str; 5] = ["list", "txt", "hosts", "rpz", "zone"];

/// Where a list's text comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum ListPath {
    File(PathBuf),
    /// A file of the copy inside the binary.
    Embedded(String),
}

impl fmt::Display for ListPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Embedded(path) => write!(f, "{path} (built in)"),
        }
    }
}

impl ListPath {
    /// True if anything stands at the path.
    fn is_taken(&self) -> bool {
        match self {
            Self::File(path) => path.symlink_metadata().is_ok(),
            Self::Embedded(_) => false,
        }
    }

    /// The fewest last parts of the path that no other path ends with.
    pub fn shortest_tail_unlike(&self, others: &[&Self]) -> String {
        let text = |path: &Self| match path {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Embedded(path) => path.clone(),
        };
        let own = text(self);
        let others: Vec<String> = others.iter().map(|other| text(other)).collect();
        let tails = own.rmatch_indices('/').map(|(at, _)| &own[at + 1..]);
        let is_unlike = |tail: &&str| !others.iter().any(|other| *other != own && other.ends_with(&format!("/{tail}")));
        { tails }.find(is_unlike).unwrap_or(&own).to_owned()
    }
}

/// The files inside the binary, behind plain functions so that this module need not know how they got there.
#[derive(Clone, Copy)]
pub struct Embedded {
    pub read: fn(&str) -> Option<Cow<'static, [u8]>>,
    pub paths: fn() -> Vec<String>,
}

/// Tells one text of a list from another.
pub fn version_of(text: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(text)
}

/// All lists that the configuration asks for.
pub struct Catalog {
    sources: Vec<Source>,
    entries: Vec<Entry>,
    store: Option<Store>,
    embedded: Embedded,
}

struct Source {
    role: Role,
    spec: ListSource,
    /// Every rule of it is an exception.
    exceptions: bool,
    /// Why the folder can't be read, if it can't.
    trouble: Option<String>,
}

/// One list.
pub struct Entry {
    source: usize,
    pub role: Role,
    pub path: ListPath,
    pub loaded: Option<Loaded>,
    /// Why the file as it is now is not in force.
    pub trouble: Option<String>,
    stamp: Option<Stamp>,
    settled: bool,
    /// A changed stamp seen by a look without events: read once it stays.
    candidate: Option<Stamp>,
    /// Since when a writer has been seen to hold it.
    unfinished_since: Option<Instant>,
    missing_since: Option<Instant>,
}

/// The last good state of a list.
pub struct Loaded {
    pub format: Format,
    pub header: Header,
    pub rules: Arc<RuleSet>,
    pub skipped_count: usize,
    pub skipped: Vec<Skipped>,
    /// Hash of the text: tells one reading from another.
    pub version: u64,
    pub since: SystemTime,
    /// It is a copy from the state folder, not what stands on disk.
    pub from_store: bool,
}

/// Why the catalog is looked through.
#[derive(Default)]
pub struct Occasion {
    /// Paths that something happened to: read even if their stamp looks the same.
    pub touched: HashSet<PathBuf>,
    /// Paths that are being written: left alone, whatever is asked, until their writer is done.
    pub unfinished: HashSet<PathBuf>,
    /// Read everything.
    pub all: bool,
    /// Something happened, so what changed has been written to its end.
    pub events: bool,
}

/// What a look through the catalog found.
#[derive(Default)]
pub struct Findings {
    /// Lists whose rules are others now, or that are new or gone, for the log.
    pub changed: Vec<ListPath>,
    /// Lists whose trouble is new: path and reason.
    pub troubles: Vec<(String, String)>,
    /// Lists whose trouble is over without a change.
    pub recovered: bool,
    /// Texts to be kept as last good copies.
    pub to_store: Vec<(PathBuf, Vec<u8>)>,
    /// Lists that were deleted.
    pub deleted: Vec<PathBuf>,
    /// Something besides the lists changed that the policy depends on.
    pub others_changed: bool,
    /// A list could not be read because it changed meanwhile.
    pub changing: bool,
    /// When to look again without being told.
    pub look_again: Option<Duration>,
}

impl Catalog {
    pub fn new(config: &config::Config, store: Option<Store>, embedded: Embedded) -> Self {
        let mut sources = Vec::new();
        let mut add = |role, specs: &[ListSource], exceptions| {
            let own = specs.iter().cloned();
            sources.extend(own.map(|spec| Source { role, spec, exceptions, trouble: None }));
        };
        for (program, spec) in config.programs.iter().enumerate() {
            add(Role::Program(program), &spec.lists, false);
            add(Role::Program(program), &spec.exceptions, true);
        }
        for (exception, spec) in config.exceptions.iter().enumerate() {
            add(Role::Owner(exception), &spec.lists, true);
        }
        Self { sources, entries: Vec::new(), store, embedded }
    }

    /// All lists, good or not, in the order of configuration and then of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Folders that can't be read, with reasons.
    pub fn folder_troubles(&self) -> impl Iterator<Item = (Role, String)> + '_ {
        self.sources.iter().filter_map(|source| Some((source.role, source.trouble.clone()?)))
    }

    /// How the list of `entry` is configured.
    pub fn spec(&self, entry: &Entry) -> &ListSource {
        &self.sources[entry.source].spec
    }

    /// Looks for what is there and what changed, and reads it.
    pub fn refresh(&mut self, occasion: &Occasion, now: Instant) -> Findings {
        let mut findings = Findings::default();
        self.find_entries(now, &mut findings);
        let mut entries = std::mem::take(&mut self.entries);
        for entry in &mut entries {
            self.refresh_entry(entry, occasion, now, &mut findings);
        }
        self.entries = entries;
        findings
    }

    /// Brings the set of entries up to date.
    fn find_entries(&mut self, now: Instant, findings: &mut Findings) {
        let mut old = std::mem::take(&mut self.entries);
        let mut taken_paths = HashSet::new();
        for index in 0..self.sources.len() {
            let (found, trouble) = self.paths_of(index);
            let source = &mut self.sources[index];
            if trouble.is_some() && source.trouble != trouble {
                let reason = trouble.clone().unwrap_or_default();
                findings.troubles.push((location(&source.spec.location), reason));
            }
            findings.recovered |= trouble.is_none() && source.trouble.is_some();
            let folder_is_gone = trouble.is_some();
            source.trouble = trouble;
            let role = source.role;
            let (mut own, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|entry| entry.source == index);
            old = others;
            let mut paths: BTreeSet<ListPath> = found.into_iter().collect();
            own.retain_mut(|entry| {
                // Something else in its place, such as a folder, is a list that can't be read, not one that is gone.
                let is_there = paths.remove(&entry.path) || folder_is_gone || entry.path.is_taken();
                if is_there {
                    entry.missing_since = None;
                    return true;
                }
                let since = *entry.missing_since.get_or_insert(now);
                let is_deleted = now.duration_since(since) >= DELETED_AFTER;
                if is_deleted {
                    findings.changed.push(entry.path.clone());
                    if let ListPath::File(path) = &entry.path {
                        findings.deleted.push(path.clone());
                    }
                } else {
                    sooner(&mut findings.look_again, DELETED_AFTER - now.duration_since(since));
                }
                !is_deleted
            });
            own.extend(paths.into_iter().map(|path| Entry::new(index, role, path)));
            own.sort_by(|a, b| a.path.cmp(&b.path));
            // A file that two sources of one program name is one list: the first source's.
            own.retain(|entry| taken_paths.insert((role, entry.path.clone())));
            self.entries.append(&mut own);
        }
    }

    /// The lists of a source as they are now, and what is wrong with the source as a whole.
    fn paths_of(&self, source: usize) -> (Vec<ListPath>, Option<String>) {
        match &self.sources[source].spec.location {
            // A file that the configuration names is a list even while it isn't there.
            Location::File(path) => (vec![ListPath::File(path.clone())], None),
            Location::Embedded(prefix) => {
                let inside = |path: &String| {
                    path == prefix
                        || path.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                            rest.strip_prefix('/').is_some_and(|name| !name.contains('/') && is_list_name(name))
                        })
                };
                ((self.embedded.paths)().into_iter().filter(inside).map(ListPath::Embedded).collect(), None)
            }
            Location::Folder(folder) => match list_files(folder) {
                Ok(paths) => (paths.into_iter().map(ListPath::File).collect(), None),
                Err(error) => (vec![], Some(format!("the folder can't be read: {error}"))),
            },
            Location::Url(_) => (vec![], Some("lists are not downloaded yet".to_owned())),
        }
    }

    fn refresh_entry(&self, entry: &mut Entry, occasion: &Occasion, now: Instant, findings: &mut Findings) {
        let path = match &entry.path {
            ListPath::Embedded(path) => {
                if entry.loaded.is_none()
                    && let Some(text) = (self.embedded.read)(path)
                {
                    self.take(entry, &text, findings);
                }
                return;
            }
            ListPath::File(path) => path.clone(),
        };
        if entry.missing_since.is_some() {
            return;
        }
        let stamp = match Stamp::of(&path) {
            Ok(stamp) => stamp,
            Err(error) => return self.fail(entry, format!("it can't be read: {error}"), findings),
        };
        let is_among = |paths: &HashSet<PathBuf>| {
            let really = || path.canonicalize().is_ok_and(|real| paths.contains(&real));
            !paths.is_empty() && (paths.contains(&path) || really())
        };
        if is_among(&occasion.unfinished) {
            let since = *entry.unfinished_since.get_or_insert(now);
            if now.duration_since(since) >= UNFINISHED_IS_TROUBLE_AFTER {
                self.fail(entry, "it is still being written".to_owned(), findings);
            }
            return;
        }
        entry.unfinished_since = None;
        let is_touched = occasion.all || is_among(&occasion.touched);
        let is_known = entry.stamp == Some(stamp);
        if is_known && entry.settled && !is_touched {
            return;
        }
        if !is_known && !is_touched && !occasion.events && entry.candidate != Some(stamp) {
            // Nobody said that the writer is done: it is, once two looks see the same.
            entry.candidate = Some(stamp);
            return sooner(&mut findings.look_again, LOOK_AGAIN_AFTER);
        }
        entry.candidate = None;
        match read(&path) {
            Ok(text) => {
                (entry.stamp, entry.settled) = (Some(text.stamp), text.settled);
                if self.take(entry, &text.octets, findings) {
                    findings.to_store.push((path, text.octets));
                }
            }
            Err(ReadFailure::Changing) => {
                findings.changing = true;
                sooner(&mut findings.look_again, LOOK_AGAIN_AFTER);
                if entry.loaded.is_none() {
                    self.fail(entry, "it changes while it is read".to_owned(), findings);
                }
            }
            Err(ReadFailure::Io(error)) => {
                (entry.stamp, entry.settled) = (Some(stamp), true);
                self.fail(entry, format!("it can't be read: {error}"), findings);
            }
        }
    }

    /// Puts a text in force if it is good for anything; true if it is and is new.
    fn take(&self, entry: &mut Entry, text: &[u8], findings: &mut Findings) -> bool {
        let version = version_of(text);
        if entry.loaded.as_ref().is_some_and(|loaded| loaded.version == version) {
            if let Some(loaded) = &mut entry.loaded {
                loaded.from_store = false;
            }
            findings.recovered |= entry.trouble.take().is_some();
            return false;
        }
        match self.parse(entry, text) {
            Ok(parsed) => {
                entry.trouble = None;
                entry.loaded = Some(Loaded::new(parsed, version));
                findings.changed.push(entry.path.clone());
                true
            }
            Err(unusable) => {
                self.fail(entry, unusable.to_string(), findings);
                false
            }
        }
    }

    fn parse(&self, entry: &Entry, text: &[u8]) -> Result<Parsed, Unusable> {
        let source = &self.sources[entry.source];
        let mut parsed =
            match parse(text, &Options { format: source.spec.format, extent: source.spec.extent, admit: None }) {
                Err(Unusable::Empty | Unusable::OnlyComments) if source.spec.allow_empty => Parsed {
                    format: source.spec.format,
                    header: Header::default(),
                    rules: RuleSet::default(),
                    skipped: Told::default(),
                    held: Told::default(),
                    warned: Told::default(),
                },
                parsed => parsed?,
            };
        if source.exceptions {
            parsed.rules = parsed.rules.into_exceptions();
        }
        Ok(parsed)
    }

    /// Notes that the file as it is can't be used. What was good stays; at the start the stored copy stands in.
    fn fail(&self, entry: &mut Entry, reason: String, findings: &mut Findings) {
        if entry.loaded.is_none()
            && let (Some(store), ListPath::File(path)) = (&self.store, &entry.path)
            && let Ok(text) = store.load(path)
            && let Ok(parsed) = self.parse(entry, &text)
        {
            let version = version_of(&text);
            entry.loaded = Some(Loaded { from_store: true, ..Loaded::new(parsed, version) });
            findings.changed.push(entry.path.clone());
        }
        if entry.trouble.as_deref() != Some(reason.as_str()) {
            findings.troubles.push((entry.path.to_string(), reason.clone()));
            entry.trouble = Some(reason);
        }
    }

    /// Keeps copies of what was found good. Returns the first failure.
    pub fn keep(&self, findings: &Findings) -> io::Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        findings.deleted.iter().for_each(|path| store.forget(path));
        findings.to_store.iter().try_for_each(|(path, text)| store.save(path, text))
    }

    /// Everything on disk that matters: files with all links on their way, and folders.
    pub fn paths_of_interest(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for source in &self.sources {
            if let Location::File(path) | Location::Folder(path) = &source.spec.location {
                paths.push(path.clone());
            }
        }
        for entry in &self.entries {
            if let ListPath::File(path) = &entry.path {
                paths.push(path.clone());
            }
        }
        paths
    }

    /// The folders whose every list counts.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().filter_map(|source| match &source.spec.location {
            Location::Folder(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// True if an entry's text must be there for the program to start.
    pub fn missing_required(&self) -> Vec<(String, String)> {
        let lacks = |entry: &&Entry| entry.loaded.is_none() && self.spec(entry).required;
        let entries = self.entries.iter().filter(lacks);
        entries.map(|entry| (entry.path.to_string(), entry.trouble.clone().unwrap_or_default())).collect()
    }
}

impl Entry {
    fn new(source: usize, role: Role, path: ListPath) -> Self {
        Self {
            source,
            role,
            path,
            loaded: None,
            trouble: None,
            stamp: None,
            settled: false,
            candidate: None,
            unfinished_since: None,
            missing_since: None,
        }
    }
}

impl Loaded {
    fn new(parsed: Parsed, version: u64) -> Self {
        Self {
            format: parsed.format,
            header: parsed.header,
            rules: Arc::new(parsed.rules),
            skipped_count: parsed.skipped.count,
            skipped: parsed.skipped.first,
            version,
            since: SystemTime::now(),
            from_store: false,
        }
    }
}

fn location(location: &Location) -> String {
    match location {
        Location::File(path) | Location::Folder(path) => path.display().to_string(),
        Location::Embedded(path) | Location::Url(path) => path.clone(),
    }
}

fn sooner(when: &mut Option<Duration>, after: Duration) {
    *when = Some(when.map_or(after, |when| when.min(after)));
}

/// The list files of a folder.
fn list_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        let is_list = item.file_name().to_str().is_some_and(is_list_name);
        // Follows links: a ConfigMap's files are links to the present version's. A link to nowhere is a list that can't
        // be read, not a list that was deleted.
        if is_list && item.path().metadata().map_or(true, |metadata| metadata.is_file()) {
            paths.push(item.path());
        }
    }
    Ok(paths)
}

/// True for names that lists have: not READMEs, hidden files or what editors leave behind.
pub fn is_list_name(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_readme = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme"));
    let is_leftover = name.starts_with(['.', '#', '~']) || name.ends_with(['~', '#']);
    LIST_ENDINGS.contains(&ending) && !is_readme && !is_leftover
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_files_of_a_folder_are_lists() {
        for (name, expected) in [
            ("tiktok.list", true),
            ("a.txt", true),
            ("a.hosts", true),
            ("a.rpz", true),
            ("a.zone", true),
            ("a.list~", false),
            ("a.list.swp", false),
            (".a.list", false),
            (".a.list.swp", false),
            ("#a.list#", false),
            (".#a.list", false),
            ("~a.txt", false),
            ("README.txt", false),
            ("readme.list", false),
            ("4913", false),
            ("a.list.bak", false),
            ("a.conf", false),
            ("..data", false),
        ] {
            assert_eq!(is_list_name(name), expected, "{name}");
        }
    }
}
