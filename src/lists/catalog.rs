//! What lists there are, which of them changed, and the last good state of each. Time is an argument.

mod url;

use self::url::Remote;
use super::{
    fetch::{Delivery, Order, certificates},
    read::{ReadFailure, Reading, Stamp, read, version_of},
    spec,
    store::Store,
};
use crate::{
    config::{self, ListSource, Location},
    dns::Name,
    policy::{
        Broad, Canaries, Gate, Role, RuleSet, change_too_large,
        parse::{Admit, Format, Header, Options, Parsed, Parser, Told, Unusable, parse},
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    fmt, fs, io,
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
    /// A url, and where what was downloaded from it lies.
    Url {
        url: String,
        file: PathBuf,
    },
    /// A file of the copy inside the binary.
    Embedded(String),
}

impl fmt::Display for ListPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url { url, .. } => f.write_str(url),
            Self::Embedded(path) => write!(f, "{path} (built in)"),
        }
    }
}

impl ListPath {
    /// True if anything stands at the path.
    fn is_taken(&self) -> bool {
        match self {
            Self::File(path) => path.symlink_metadata().is_ok(),
            Self::Url { .. } | Self::Embedded(_) => false,
        }
    }

    /// The fewest last parts of the path that no other path ends with.
    pub fn shortest_tail_unlike(&self, others: &[&Self]) -> String {
        let text = |path: &Self| match path {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Url { url: path, .. } | Self::Embedded(path) => path.clone(),
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

/// All lists that the configuration asks for.
pub struct Catalog {
    sources: Vec<Source>,
    entries: Vec<Entry>,
    store: Option<Store>,
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
    Yes { seed: u64 },
}

struct Source {
    role: Role,
    /// The role in words that no other has.
    owner: String,
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
}

/// The last good state of a list.
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
    /// Downloads that ended.
    pub delivered: Vec<Delivery>,
    /// Download everything, due or not.
    pub update: bool,
}

/// What a look through the catalog found.
#[derive(Default)]
pub struct Findings {
    /// Lists whose rules are others now, or that are new or gone, for the log.
    pub changed: Vec<ListPath>,
    /// New trouble.
    pub troubles: Vec<Trouble>,
    /// What is obeyed and yet perhaps not meant: path and reason.
    pub warnings: Vec<(String, String)>,
    /// Lists whose trouble is over without a change.
    pub recovered: bool,
    /// A server gave a list again, or said that it is still the same.
    pub confirmed: bool,
    /// Files of which a copy is to be kept, each in this version.
    pub to_store: Vec<(PathBuf, u64)>,
    /// Downloads to be made.
    pub to_fetch: Vec<Order>,
    /// Lists that were deleted.
    pub deleted: Vec<PathBuf>,
    /// Something besides the lists changed that the policy depends on.
    pub others_changed: bool,
    /// A list could not be read because it changed meanwhile.
    pub changing: bool,
    /// When to look again without being told.
    pub look_again: Option<Duration>,
}

/// Why a list or a folder of them is not used as it is now.
pub struct Trouble {
    pub place: String,
    pub reason: String,
    /// Its last good state stays in force.
    pub serves: bool,
}

impl Findings {
    /// Adds what a later look found.
    pub fn absorb(&mut self, later: Self) {
        self.changed.extend(later.changed.into_iter().filter(|path| !self.changed.contains(path)).collect::<Vec<_>>());
        self.troubles.extend(later.troubles);
        self.warnings.extend(later.warnings);
        self.recovered |= later.recovered;
        self.confirmed |= later.confirmed;
        self.to_store.extend(later.to_store);
        self.to_fetch.extend(later.to_fetch);
        self.deleted.extend(later.deleted);
        self.others_changed |= later.others_changed;
        (self.changing, self.look_again) = (later.changing, later.look_again);
    }
}

impl Catalog {
    pub fn new(config: &config::Config, store: Option<Store>, embedded: Embedded, downloading: Downloading) -> Self {
        let mut sources = Vec::new();
        let mut add = |role, owner: &str, specs: &[ListSource], exceptions| {
            let owner = || owner.to_owned();
            let own = specs.iter().cloned();
            sources.extend(own.map(|spec| Source { role, owner: owner(), spec, exceptions, trouble: None }));
        };
        for (program, spec) in config.programs.iter().enumerate() {
            add(Role::Program(program), &spec.name, &spec.lists, false);
            add(Role::Program(program), &spec.name, &spec.exceptions, true);
        }
        for (exception, spec) in config.exceptions.iter().enumerate() {
            add(Role::Owner(exception), &format!("exception {exception}"), &spec.lists, true);
        }
        let canaries = Arc::new(Canaries::new(sources.iter().filter_map(|source| list_host(&source.spec.location))));
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
            let (found, trouble) = self.paths_of(index);
            let source = &mut self.sources[index];
            if trouble.is_some() && source.trouble != trouble {
                let reason = trouble.clone().unwrap_or_default();
                findings.troubles.push(Trouble { place: location(&source.spec.location), reason, serves: true });
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
            Location::Folder(folder) => match list_files(folder) {
                Ok(paths) => (paths.into_iter().map(ListPath::File).collect(), None),
                Err(error) => (vec![], Some(format!("the folder can't be read: {error}"))),
            },
        }
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
            ListPath::Url { .. } => return self.refresh_url(entry, occasion, now, findings),
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

    /// Reads a file, and puts it in force if it is good for anything and new.
    fn take_file(
        &self,
        entry: &mut Entry,
        path: &Path,
        stamp: Stamp,
        findings: &mut Findings,
    ) -> Result<(), ReadFailure> {
        // What is as long as before may well be the same: to find out costs less than rules beside those in force.
        if entry.loaded.as_ref().is_some_and(|loaded| loaded.length == stamp.length()) {
            let reading = read(path, &mut |_| {})?;
            if entry.is_in_force(reading.version) {
                (entry.stamp, entry.settled) = (Some(reading.stamp), reading.settled);
                entry.is_well(findings);
                return Ok(());
            }
        }
        let (reading, parsed) = self.read_list(entry, path)?;
        (entry.stamp, entry.settled) = (Some(reading.stamp), reading.settled);
        match parsed {
            Ok(_) if entry.is_in_force(reading.version) => entry.is_well(findings),
            Ok(parsed) => {
                let change = self.too_large_a_change(entry, &parsed);
                entry.put_in_force(parsed, &reading, change, findings);
                findings.to_store.push((path.to_owned(), reading.version));
            }
            Err(unusable) => self.fail(entry, unusable.to_string(), findings),
        }
        Ok(())
    }

    fn take_embedded(&self, entry: &mut Entry, text: &[u8], findings: &mut Findings) {
        let gate = self.gate(entry);
        match self.meant(entry, parse(text, &self.options(entry, gate.as_ref()))) {
            Ok(parsed) => {
                entry.trouble = None;
                entry.loaded = Some(Loaded::new(parsed, version_of(text), text.len() as u64));
                findings.changed.push(entry.path.clone());
            }
            Err(unusable) => self.fail(entry, unusable.to_string(), findings),
        }
    }

    /// Reads the file of a list as that list is to be read. The text is never in memory whole.
    fn read_list(&self, entry: &Entry, path: &Path) -> Result<(Reading, Result<Parsed, Unusable>), ReadFailure> {
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        let gate = self.gate(entry);
        let options = self.options(entry, gate.as_ref());
        let mut parser = Parser::new(&options, usize::try_from(length).unwrap_or(usize::MAX));
        let reading = read(path, &mut |piece| parser.feed(piece))?;
        Ok((reading, self.meant(entry, parser.finish())))
    }

    /// How the text of a list is to be read.
    fn options<'a>(&self, entry: &Entry, gate: Option<&'a Gate>) -> Options<'a> {
        let spec = self.spec(entry);
        Options { format: spec.format, extent: spec.extent, admit: gate.map(|gate| gate as &dyn Admit) }
    }

    /// The gate that a list's rules pass. Who wrote a list decides unless the configuration does: strangers' mistakes
    /// are held back, the owner is obeyed.
    fn gate(&self, entry: &Entry) -> Option<Gate> {
        let spec = self.spec(entry);
        let by_author = match spec.location {
            Location::Url(_) | Location::Embedded(_) => config::Gate::Hold,
            Location::File(_) | Location::Folder(_) => config::Gate::Warn,
        };
        let broad = match spec.gate.unwrap_or(by_author) {
            config::Gate::Hold => Broad::Hold,
            config::Gate::Warn => Broad::Warn,
            config::Gate::Off => return None,
        };
        Some(Gate::new(self.canaries.clone(), &spec.release, broad))
    }

    /// What a list's text means where it stands in the configuration.
    fn meant(&self, entry: &Entry, parsed: Result<Parsed, Unusable>) -> Result<Parsed, Unusable> {
        let source = &self.sources[entry.source];
        let mut parsed = match parsed {
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
        if let Some((effect, action)) = source.spec.rpz_override.as_ref().and_then(spec::overriding) {
            parsed.rules = parsed.rules.with_action(effect, &action);
        }
        if source.exceptions {
            parsed.rules = parsed.rules.into_exceptions();
        }
        Ok(parsed)
    }

    /// What to say of a list that became much longer or shorter than the one in force, if it did and that matters.
    fn too_large_a_change(&self, entry: &Entry, parsed: &Parsed) -> Option<String> {
        let spec = self.spec(entry);
        let before = entry.loaded.as_ref().filter(|_| spec.gate != Some(config::Gate::Off))?;
        change_too_large(before.rules.len(), parsed.rules.len(), spec.change_max)
    }

    /// Notes that the file as it is can't be used. What was good stays; at the start the stored copy stands in.
    fn fail(&self, entry: &mut Entry, reason: String, findings: &mut Findings) {
        if entry.loaded.is_none()
            && let (Some(store), ListPath::File(path)) = (&self.store, &entry.path)
            && let Some(place) = store.place_of_file(path)
        {
            self.load_copy(entry, &place, findings);
        }
        if entry.trouble.as_deref() != Some(reason.as_str()) {
            let (place, serves) = (entry.path.to_string(), entry.loaded.is_some());
            findings.troubles.push(Trouble { place, reason: reason.clone(), serves });
            entry.trouble = Some(reason);
        }
    }

    /// Puts the copy at `place` in force, if it is good for anything.
    fn load_copy(&self, entry: &mut Entry, place: &Path, findings: &mut Findings) {
        if let Ok((reading, Ok(parsed))) = self.read_list(entry, place) {
            let own = Loaded::new(parsed, reading.version, reading.stamp.length());
            entry.loaded = Some(Loaded { from_store: true, ..own });
            findings.changed.push(entry.path.clone());
        }
    }

    /// Has copies kept of what was found good. It is done when there is time.
    pub fn keep(&self, findings: &Findings) {
        let Some(store) = &self.store else {
            return;
        };
        findings.deleted.iter().for_each(|path| store.forget(path.clone()));
        findings.to_store.iter().for_each(|(path, version)| store.keep(path.clone(), *version));
    }

    /// Has copies removed that no list of the configuration has needed for long.
    pub fn tidy(&self) {
        let Some(store) = &self.store else {
            return;
        };
        let place = |entry: &Entry| match &entry.path {
            ListPath::File(path) => store.place_of_file(path),
            ListPath::Url { file, .. } => Some(file.clone()),
            ListPath::Embedded(_) => None,
        };
        store.tidy(self.entries.iter().filter_map(place).collect());
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

    /// True if an entry's text must be there for the program to start.
    pub fn missing_required(&self) -> Vec<(String, String)> {
        let lacks =
            |entry: &&Entry| entry.loaded.is_none() && self.spec(entry).required && !self.is_out_of_reach(entry);
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
            doubt: None,
            stamp: None,
            settled: false,
            candidate: None,
            unfinished_since: None,
            missing_since: None,
            remote: None,
        }
    }

    /// Seconds since 1970 when the server of a list with a url last gave what is in force, or said that it is still the
    /// same.
    pub fn confirmed_at(&self) -> Option<u64> {
        self.remote.as_ref()?.confirmed_at()
    }

    /// True if what is in force is the text of this version.
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
        self.loaded = Some(Loaded::new(parsed, reading.version, reading.stamp.length()));
        findings.changed.push(self.path.clone());
    }
}

impl Loaded {
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
            from_store: false,
        }
    }
}

/// The host that a list comes from: to block it would be to block the list's own updates.
fn list_host(location: &Location) -> Option<(Name, String)> {
    let Location::Url(url) = location else { return None };
    let authority = url.strip_prefix("https://")?.split(['/', '?']).next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some((host.parse().ok()?, "a list comes from there".to_owned()))
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

    /// A catalog of one list at `path`.
    fn catalog(path: &Path, gate: Option<config::Gate>) -> Catalog {
        let world = config::World {
            current_folder: "/".into(),
            ..config::World::of_process(config::Embedded { read: &|_| None, paths: &Vec::new }).unwrap()
        };
        let list = ListSource { gate, ..ListSource::plain(Location::File(path.to_owned())) };
        let mut config = config::Config::default_for(&world);
        config.programs.truncate(1);
        config.programs[0].lists = vec![list];
        let embedded = Embedded { read: |_| None, paths: Vec::new };
        Catalog::new(&config, None, embedded, Downloading::No { copies: None })
    }

    /// Writes a list of so many rules, and has it read.
    fn look(catalog: &mut Catalog, path: &Path, rules: usize) -> Findings {
        let text: String = (0..rules).map(|index| format!("n{index}.example\n")).collect();
        fs::write(path, text).unwrap();
        catalog.refresh(&Occasion { all: true, ..Occasion::default() }, Instant::now())
    }

    #[test]
    fn an_owners_file_is_obeyed_however_much_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for (gate, warnings) in
            [(None, 1), (Some(config::Gate::Hold), 1), (Some(config::Gate::Warn), 1), (Some(config::Gate::Off), 0)]
        {
            let mut catalog = catalog(&path, gate);
            for (rules, warnings) in [(100, 0), (10, warnings), (12, 0), (1200, warnings), (1200, 0)] {
                let before = catalog.entries.first().and_then(|entry| Some(entry.loaded.as_ref()?.rules.len()));
                let findings = look(&mut catalog, &path, rules);
                assert_eq!(findings.warnings.len(), warnings, "{gate:?} {rules}: {:?}", findings.warnings);
                assert_eq!(catalog.entries[0].loaded.as_ref().unwrap().rules.len(), rules);
                let is_new = before != Some(rules);
                assert_eq!((findings.changed.len(), findings.to_store.len()), (is_new.into(), is_new.into()));
            }
        }
    }

    #[test]
    fn what_is_as_long_as_before_may_be_another_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut catalog = catalog(&path, None);
        let mut versions = HashSet::new();
        for (text, is_new) in [("one.example\n", true), ("two.example\n", true), ("two.example\n", false)] {
            fs::write(&path, text).unwrap();
            let findings = catalog.refresh(&Occasion { all: true, ..Occasion::default() }, Instant::now());
            assert_eq!(findings.changed.len(), usize::from(is_new), "{text}");
            let version = catalog.entries[0].loaded.as_ref().unwrap().version;
            assert_eq!(version, version_of(text.as_bytes()));
            assert_eq!(versions.insert(version), is_new);
        }
    }

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
