//! What lists there are, which of them changed, and the last good state of each. Time is an argument.

mod findings;
mod let_through;
mod path;
mod pins;
mod reading;
mod sources;
#[cfg(test)]
mod tests;
mod url;

pub use findings::{Findings, Occasion, Trouble};
pub use path::{ListPath, is_list_name};
pub use pins::Pinned;
pub use reading::Manner;

use self::{findings::is_among, path::list_files, sources::Source, url::Remote};
use super::{
    fetch::certificates,
    read::{ReadFailure, Reading},
    store::{Keeping, Store, TextAt},
};
use crate::{
    config::{self, ListSource, Location},
    dns::Name,
    policy::{
        Canaries, Role, RuleSet,
        parse::{Format, Header, Parsed, Told},
    },
    uptime::Uptime,
    watch::Stamp,
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a file of a folder must be gone before it counts as deleted: editors and tools delete and recreate.
const DELETED_AFTER: Duration = Duration::from_secs(2);
/// When a file that changed while it was read, or is still being written without events to tell, is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long a list may be held by its writer before that is worth telling.
const UNFINISHED_IS_TROUBLE_AFTER: Duration = Duration::from_secs(10);

/// What is wrong with a folder of lists that has none.
const NO_LISTS: &str = "the folder has no lists (*.list, *.txt, *.hosts, *.rpz, *.zone); what it had, if anything, stays in force; put \
                        them back, or take the folder out of the configuration, or write allow_empty = true there";

/// The files inside the binary, behind plain functions so that this module need not know how they got there.
#[derive(Clone, Copy)]
pub struct Embedded {
    pub read: fn(&str) -> Option<Cow<'static, [u8]>>,
    pub paths: fn() -> Vec<String>,
}

/// All lists that the configuration asks for.
pub struct Catalog {
    sources: Vec<Source>,
    entries: Vec<Entry>,
    store: Option<Arc<Store>>,
    embedded: Embedded,
    downloading: Downloading,
    /// What no broad rule may block.
    canaries: Arc<Canaries>,
}

/// Whether lists with a url are downloaded.
#[derive(Clone)]
pub enum Downloading {
    /// Only a running server does. What it downloaded lies in this folder, if there is one.
    No { copies: Option<PathBuf> },
    /// At times that this seed and the list decide.
    Yes { seed: u64, uptime: Uptime },
}

/// One list.
#[derive(Clone)]
pub struct Entry {
    source: usize,
    pub role: Role,
    pub path: ListPath,
    pub loaded: Option<Loaded>,
    /// Why the file as it is now is not in force.
    pub trouble: Option<String>,
    /// What is in force perhaps isn't meant: why.
    pub doubt: Option<String>,
    stamp: Option<Stamp>,
    settled: bool,
    /// A changed stamp seen by a look without events: read once it stays.
    candidate: Option<Stamp>,
    /// Since when a writer has been seen to hold it.
    unfinished_since: Option<Instant>,
    missing_since: Option<Instant>,
    /// Of a list with a url, once it was looked at.
    remote: Option<Remote>,
    /// The version that it is held at, and what came of that.
    pub pinned: Option<Pinned>,
    /// Names whose rules the gate lets through, besides those of its `release`.
    let_through: Arc<[Name]>,
}

/// The last good state of a list.
#[derive(Clone)]
pub struct Loaded {
    pub format: Format,
    pub header: Header,
    pub rules: Arc<RuleSet>,
    /// Lines that gave no rule.
    pub skipped: Told,
    /// Rules that the safety gate held back, and those that it warns of.
    pub held: Told,
    pub warned: Told,
    /// Hash of the text: tells one reading from another.
    pub version: u64,
    /// Octets of the text.
    length: u64,
    /// When it was taken in.
    pub since: SystemTime,
    /// When the text was written, as far as its file tells; `None`: it is as old as this program.
    written_at: Option<SystemTime>,
    /// It is a copy from the state folder, not what stands on disk.
    pub from_store: bool,
}

impl Catalog {
    pub fn new(config: &config::Config, store: Option<Store>, embedded: Embedded, downloading: Downloading) -> Self {
        let sources = sources::of(config);
        let canaries = Arc::new(Canaries::new(sources::hosts(&sources)));
        let store = store.map(Arc::new);
        Self { sources, entries: Vec::new(), store, embedded, downloading, canaries }
    }

    /// All lists, good or not, in the order of configuration and then of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Folders that can't be read, with reasons.
    pub fn folder_troubles(&self) -> impl Iterator<Item = (Role, String)> + '_ {
        self.sources.iter().filter_map(|source| Some((source.role, source.trouble.clone()?)))
    }

    /// True if every rule of the list is an exception.
    pub fn is_exceptions(&self, entry: &Entry) -> bool {
        self.sources[entry.source].exceptions
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
            let (mut own, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|entry| entry.source == index);
            old = others;
            let (found, trouble) = self.paths_of(index, &own);
            let source = &mut self.sources[index];
            if trouble.is_some() && source.trouble != trouble {
                let reason = trouble.clone().unwrap_or_default();
                findings.troubles.push(Trouble { place: location(&source.spec.location), reason, serves: true });
            }
            findings.recovered |= trouble.is_none() && source.trouble.is_some();
            let folder_is_gone = trouble.is_some();
            source.trouble = trouble;
            let role = source.role;
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
            if let (Location::Folder(folder), false) = (&source.spec.location, folder_is_gone) {
                findings.listed.push((folder.clone(), own.iter().filter_map(|entry| file_name(&entry.path)).collect()));
            }
            // A file that two sources of one program name is one list: the first source's.
            own.retain(|entry| taken_paths.insert((role, entry.path.clone())));
            self.entries.append(&mut own);
        }
    }

    /// The lists of a source as they are now, and what is wrong with the source as a whole. `own`: those that it had.
    fn paths_of(&self, source: usize, own: &[Entry]) -> (Vec<ListPath>, Option<String>) {
        match &self.sources[source].spec.location {
            // A file that the configuration names is a list even while it isn't there.
            Location::File(path) => (vec![ListPath::File(path.clone())], None),
            Location::Url(url) => {
                (vec![ListPath::Url { url: url.clone(), file: self.place_of_url(source, url) }], None)
            }
            Location::Embedded(prefix) => {
                let inside = |path: &String| {
                    path == prefix
                        || path.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                            rest.strip_prefix('/').is_some_and(|name| !name.contains('/') && is_list_name(name))
                        })
                };
                ((self.embedded.paths)().into_iter().filter(inside).map(ListPath::Embedded).collect(), None)
            }
            Location::Folder(folder) => {
                let had = || match own.is_empty() {
                    true => self.listed_before(folder),
                    false => own.iter().map(|entry| entry.path.clone()).collect(),
                };
                match list_files(folder) {
                    Ok(paths) if !paths.is_empty() || self.sources[source].spec.allow_empty => {
                        (paths.into_iter().map(ListPath::File).collect(), None)
                    }
                    // A share that isn't there leaves an empty folder behind.
                    Ok(_) => (had(), Some(NO_LISTS.to_owned())),
                    Err(error) => (had(), Some(format!("the folder can't be read: {error}"))),
                }
            }
        }
    }

    /// The lists that a folder had when a process before this one saw it last.
    fn listed_before(&self, folder: &Path) -> Vec<ListPath> {
        let names = self.store.as_ref().map(|store| store.listed(folder)).unwrap_or_default();
        names.into_iter().filter(|name| is_list_name(name)).map(|name| ListPath::File(folder.join(name))).collect()
    }

    fn refresh_entry(&self, entry: &mut Entry, occasion: &Occasion, now: Instant, findings: &mut Findings) {
        let path = match &entry.path {
            ListPath::Embedded(path) => {
                if entry.loaded.is_none()
                    && let Some(text) = (self.embedded.read)(path)
                {
                    self.take_embedded(entry, &text, findings);
                }
                return;
            }
            ListPath::Url { .. } => return self.refresh_url(entry, occasion, findings),
            ListPath::File(path) => path.clone(),
        };
        if entry.missing_since.is_some() {
            return;
        }
        let stamp = match Stamp::of(&path) {
            Ok(stamp) => stamp,
            Err(error) => return self.fail(entry, format!("it can't be read: {error}"), findings),
        };
        if is_among(&occasion.unfinished, &path) {
            let since = *entry.unfinished_since.get_or_insert(now);
            if now.duration_since(since) >= UNFINISHED_IS_TROUBLE_AFTER {
                self.fail(entry, "it is still being written".to_owned(), findings);
            }
            return;
        }
        entry.unfinished_since = None;
        let is_new = occasion.configured && entry.stamp.is_none();
        let is_touched = occasion.all || is_new || is_among(&occasion.touched, &path);
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
        match self.take_file(entry, &path, stamp, findings) {
            Ok(()) => {}
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

    /// Has copies kept of what was found good. It is done when there is time.
    pub fn keep(&self, findings: Findings) {
        let Some(store) = &self.store else {
            return;
        };
        findings.deleted.iter().for_each(|path| store.forget(path.clone()));
        findings.listed.into_iter().for_each(|(folder, names)| store.note_listed(folder, names));
        findings.to_store.into_iter().for_each(|keeping| store.keep(keeping));
    }

    /// Has copies removed that no list of the configuration has needed for long.
    pub fn tidy(&self) {
        let Some(store) = &self.store else {
            return;
        };
        let lists = self.entries.iter().filter_map(|entry| self.place_of(entry));
        store.tidy(lists.chain(self.folders().filter_map(|folder| store.place_of_file(folder))).collect());
    }

    /// Where the copies of a list lie, if any are kept.
    pub fn place_of(&self, entry: &Entry) -> Option<PathBuf> {
        let store = self.store.as_ref()?;
        match &entry.path {
            ListPath::File(path) => store.place_of_file(path),
            ListPath::Url { file, .. } => store.keeps_versions().then(|| file.clone()),
            ListPath::Embedded(path) => store.place_of_embedded(path),
        }
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

    /// Files of certificates that hold none, with reasons.
    pub fn unusable_ca_files(&self) -> impl Iterator<Item = (PathBuf, String)> {
        let paths = self.sources.iter().filter_map(|source| source.spec.ca_file.as_ref());
        paths.filter_map(|path| Some((path.clone(), certificates(path).err()?)))
    }

    /// What must be there for the program to start and isn't, with reasons: lists, and folders without any.
    pub fn missing_required(&self) -> Vec<(String, String)> {
        let lacks =
            |entry: &&Entry| entry.in_force().is_none() && self.spec(entry).required && !self.is_out_of_reach(entry);
        let entries = self.entries.iter().filter(lacks);
        let lists = entries.map(|entry| (entry.path.to_string(), entry.trouble.clone().unwrap_or_default()));
        let is_without = |at: usize| self.entries.iter().all(|entry| entry.source != at);
        let folders = self.sources.iter().enumerate().filter(|(at, source)| source.spec.required && is_without(*at));
        let folders =
            folders.filter_map(|(_, source)| Some((location(&source.spec.location), source.trouble.clone()?)));
        lists.chain(folders).collect()
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
            doubt: None,
            stamp: None,
            settled: false,
            candidate: None,
            unfinished_since: None,
            missing_since: None,
            remote: None,
            pinned: None,
            let_through: Arc::default(),
        }
    }

    /// What counts of the list: the text that it is held at, or else its last good one.
    pub fn in_force(&self) -> Option<&Loaded> {
        self.pinned.as_ref().and_then(Pinned::loaded).or(self.loaded.as_ref())
    }

    /// Seconds since 1970 when the server of a list with a url last gave what is in force, or said that it is still the
    /// same.
    pub fn confirmed_at(&self) -> Option<u64> {
        self.remote.as_ref()?.confirmed_at()
    }

    /// When the content in force last changed, as far as it is known: as it says itself; else as its server says, or when it
    /// came, of a list with a url; else when its file was written. `None`: it is as old as this program, or nothing is in
    /// force.
    pub fn changed_at(&self) -> Option<SystemTime> {
        let loaded = self.in_force()?;
        let said = loaded.header.updated.and_then(|seconds| u64::try_from(seconds).ok());
        let said = said.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let of_download = || self.remote.as_ref().and_then(|remote| remote.changed_at(loaded.version));
        said.or_else(of_download).or(loaded.written_at)
    }

    /// True if the last good text is the one of this version.
    fn is_in_force(&self, version: u64) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| loaded.version == version)
    }

    /// Notes that what is in force is what is there.
    fn is_well(&mut self, findings: &mut Findings) {
        if let Some(loaded) = &mut self.loaded {
            loaded.from_store = false;
        }
        findings.recovered |= self.trouble.take().is_some();
    }

    /// `doubt`: why it perhaps isn't meant.
    fn put_in_force(&mut self, parsed: Parsed, reading: &Reading, doubt: Option<String>, findings: &mut Findings) {
        findings.warnings.extend(doubt.iter().map(|doubt| (self.path.to_string(), doubt.clone())));
        (self.trouble, self.doubt) = (None, doubt);
        self.loaded = Some(Loaded::of(parsed, reading));
        self.note_change(findings);
    }

    /// Notes that the last good text is another one, which counts unless the list is held at a version.
    fn note_change(&self, findings: &mut Findings) {
        match self.pinned.as_ref().and_then(Pinned::loaded) {
            None => findings.changed.push(self.path.clone()),
            Some(_) => findings.told = true,
        }
    }

    /// Has the last good text kept, which is the one at `text`.
    fn have_kept(&self, text: TextAt, findings: &mut Findings) {
        if let Some(Loaded { version, rules, .. }) = &self.loaded {
            findings.to_store.push(Keeping { text, version: *version, rules: rules.len() });
        }
    }
}

impl Loaded {
    /// What was read from a file.
    fn of(parsed: Parsed, reading: &Reading) -> Self {
        let written_at = Some(reading.stamp.modified());
        Self { written_at, ..Self::new(parsed, reading.version, reading.stamp.length()) }
    }

    fn new(parsed: Parsed, version: u64, length: u64) -> Self {
        Self {
            format: parsed.format,
            header: parsed.header,
            rules: Arc::new(parsed.rules),
            skipped: parsed.skipped,
            held: parsed.held,
            warned: parsed.warned,
            version,
            length,
            since: SystemTime::now(),
            written_at: None,
            from_store: false,
        }
    }
}

fn file_name(path: &ListPath) -> Option<String> {
    let ListPath::File(path) = path else { return None };
    path.file_name().and_then(|name| name.to_str()).map(str::to_owned)
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
