//! Tells when something happened to a file, a list or the configuration, and when its writer is done.
//!
//! Events say that a file was written and that its writer closed it; folders are watched, because files are replaced
//! by renaming. Where the file system gives no events (NFS, some container mounts) a look every few seconds does.

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RemoveKind},
};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

mod stamp;

pub use stamp::Stamp;

/// How long it must be quiet before what happened is looked at.
pub const QUIET: Duration = Duration::from_millis(200);
/// The same after a file was put in its place by renaming: it is whole, and only what is renamed together is waited for.
const QUIET_AFTER_RENAMING: Duration = Duration::from_millis(50);
/// A writer that has not closed its file this long after its last write is done all the same: it holds it open for good,
/// as a log is held, or its closing was never told.
const OPEN_WRITER_MAX: Duration = Duration::from_secs(600);
/// A stream of events that never ends is looked at this often.
const BUSY_MAX: Duration = Duration::from_secs(3);
/// Links followed on the way to a file: as many as Linux follows.
const LINKS_MAX: usize = 40;

/// What is heard of files.
pub enum Happened {
    Event(Event),
    /// Events were lost.
    Unknown,
}

/// Watches folders. Dropping it ends the watch.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Folders watched, each with what told it from another of the same name.
    folders: HashMap<PathBuf, Option<(u64, u64)>>,
}

impl Watch {
    /// Hands events to `tell`. Without inotify (or out of its watches) there are none, which is said once, with what
    /// is `watched`.
    pub fn new(watched: &str, mut tell: impl FnMut(Happened) + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Events were lost, or a folder went away: look at everything.
            tell(event.map_or(Happened::Unknown, Happened::Event));
        });
        let failed =
            |error: &notify::Error| tracing::warn!(%error, "no file events: {watched} looked at every 5 s instead");
        let watcher = watcher.inspect_err(failed).ok();
        Self { watcher, folders: HashMap::new() }
    }

    /// Watches the folders of `paths` and of every link on the way to them, and no others. A folder that was replaced
    /// is watched anew. True if the set changed.
    pub fn follow(&mut self, interest: &Interest) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let mut changed = false;
        self.folders.retain(|folder, known| {
            let keep = interest.folders.contains(folder) && identity(folder) == *known && known.is_some();
            if !keep {
                let _ = watcher.unwatch(folder);
                changed = true;
            }
            keep
        });
        for folder in &interest.folders {
            if self.folders.contains_key(folder) {
                continue;
            }
            let known = identity(folder);
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder.clone(), known);
                    changed = true;
                }
                Err(error) => tracing::debug!(folder = %folder.display(), %error, "can't be watched"),
            }
        }
        changed
    }
}

/// Which file or folder a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    Stamp::of(path).ok().map(|stamp| stamp.identity())
}

/// Which paths matter.
#[derive(Debug)]
pub struct Interest {
    /// Folders to watch.
    folders: HashSet<PathBuf>,
    /// Files, links and folders whose events count.
    paths: HashSet<PathBuf>,
    /// Folders in which the events of every file count that has a name that counts.
    whole_folders: HashSet<PathBuf>,
    counts: fn(&str) -> bool,
}

impl Default for Interest {
    fn default() -> Self {
        Self { folders: HashSet::new(), paths: HashSet::new(), whole_folders: HashSet::new(), counts: |_| true }
    }
}

impl Interest {
    /// `paths` are files and folders; in `whole_folders` every file whose name `counts`.
    pub fn new<'a>(paths: &[PathBuf], whole_folders: impl Iterator<Item = &'a Path>, counts: fn(&str) -> bool) -> Self {
        let mut interest = Self { counts, ..Self::default() };
        for folder in whole_folders {
            interest.whole_folders.insert(folder.to_owned());
            interest.folders.insert(folder.to_owned());
            if let Ok(real) = folder.canonicalize() {
                interest.whole_folders.insert(real);
            }
        }
        for path in paths {
            interest.follow_links(path);
        }
        interest
    }

    /// Adds a path, every link on the way to it, and the folders in which they all lie.
    fn follow_links(&mut self, path: &Path) {
        let mut rest = vec![std::path::absolute(path).unwrap_or_else(|_| path.to_owned())];
        let mut links_left = LINKS_MAX;
        while let Some(path) = rest.pop() {
            self.add(&path);
            // Any part of the path may be a link: `current/lists/a.list`, `current -> 2026-11-23`.
            for prefix in path.ancestors().filter(|prefix| prefix.parent().is_some()) {
                let Ok(target) = fs::read_link(prefix) else {
                    continue;
                };
                self.add(prefix);
                let Some(left) = links_left.checked_sub(1) else {
                    return;
                };
                links_left = left;
                let target = prefix.parent().unwrap_or(Path::new("/")).join(target);
                let below = path.strip_prefix(prefix).unwrap_or(Path::new(""));
                rest.push(if below.as_os_str().is_empty() { target } else { target.join(below) });
            }
        }
    }

    /// Adds a path, the folder it lies in, and the folder above: only that is told when the folder itself is replaced.
    fn add(&mut self, path: &Path) {
        self.paths.insert(path.to_owned());
        let Some(folder) = path.parent() else {
            return;
        };
        self.folders.insert(folder.to_owned());
        if let Some(above) = folder.parent() {
            self.paths.insert(folder.to_owned());
            self.folders.insert(above.to_owned());
        }
    }

    fn concerns(&self, path: &Path) -> bool {
        let has_name = || path.file_name().and_then(|name| name.to_str()).is_some_and(self.counts);
        let in_whole_folder = || path.parent().is_some_and(|folder| self.whole_folders.contains(folder));
        self.paths.contains(path) || has_name() && in_whole_folder()
    }
}

/// Gathers events until it is time to look. Time is an argument.
#[derive(Default)]
pub struct Pending {
    touched: HashSet<PathBuf>,
    /// Files being written, with the time of the last write and which file it was that the path led to.
    open: HashMap<PathBuf, (Instant, Option<(u64, u64)>)>,
    /// What a path led to after the last renaming. Writes to a file that was renamed over, but is still open, are told
    /// under the name that it had; they leave what the path leads to as it was.
    renamed: HashMap<PathBuf, Stamp>,
    first: Option<Instant>,
    /// When it was last heard of something, and how long it must be quiet after that.
    last: Option<(Instant, Duration)>,
}

impl Pending {
    /// Notes an event if it concerns somebody.
    pub fn note(&mut self, event: &Event, interest: &Interest, now: Instant) {
        let paths: Vec<&PathBuf> = event.paths.iter().filter(|path| interest.concerns(path)).collect();
        if paths.is_empty() && !event.need_rescan() {
            return;
        }
        let is_renaming = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
        let quiet = if is_renaming { QUIET_AFTER_RENAMING } else { QUIET };
        for path in paths {
            let stamp = Stamp::of(path).ok();
            let is_unchanged = stamp.is_some() && self.renamed.get(path) == stamp.as_ref();
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                    self.open.remove(path);
                }
                // Reading is no event, not even our own.
                EventKind::Access(_) => continue,
                EventKind::Modify(ModifyKind::Data(_)) if is_unchanged => {}
                EventKind::Modify(ModifyKind::Data(_)) => {
                    self.open.insert(path.clone(), (now, identity(path)));
                }
                EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(RemoveKind::File) => {
                    self.open.remove(path);
                }
                _ => {}
            }
            match (event.kind, stamp) {
                (EventKind::Modify(ModifyKind::Name(_)), Some(stamp)) => {
                    self.renamed.insert(path.clone(), stamp);
                }
                _ if is_unchanged => {}
                _ => {
                    self.renamed.remove(path);
                }
            }
            self.touched.insert(path.clone());
            self.last = Some((now, quiet));
            self.first.get_or_insert(now);
        }
        if event.need_rescan() {
            self.touch(now);
        }
    }

    /// Something happened, nobody knows what.
    pub fn touch(&mut self, now: Instant) {
        self.last = Some((now, QUIET));
        self.first.get_or_insert(now);
    }

    /// The files whose writers are not done. A writer holds up its own file and no other.
    pub fn unfinished(&mut self, now: Instant) -> HashSet<PathBuf> {
        // A writer of a file that was since replaced is waited for by nobody.
        self.open
            .retain(|path, (written, file)| now.duration_since(*written) < OPEN_WRITER_MAX && identity(path) == *file);
        self.open.keys().cloned().collect()
    }

    /// Events were lost, the closing of files perhaps among them.
    pub fn forget_writers(&mut self) {
        self.open.clear();
    }

    /// How long until it is time to look; `None`: nothing happened.
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        let (first, (last, quiet)) = (self.first?, self.last?);
        let quiet_in = (last + quiet).saturating_duration_since(now);
        let busy_in = (first + BUSY_MAX).saturating_duration_since(now);
        Some(quiet_in.min(busy_in))
    }

    /// Hands over what was touched and starts anew.
    pub fn take(&mut self) -> HashSet<PathBuf> {
        (self.first, self.last) = (None, None);
        std::mem::take(&mut self.touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RenameMode};

    #[test]
    fn a_look_waits_for_quiet_and_for_writers() {
        let list = PathBuf::from("/lists/a.list");
        let interest = Interest { whole_folders: HashSet::from([PathBuf::from("/lists")]), ..Interest::default() };
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let millis = Duration::from_millis;
        let event = |kind| Event::new(kind).add_path(list.clone());
        let modified = event(EventKind::Modify(ModifyKind::Data(DataChange::Any)));
        let closed = event(EventKind::Access(AccessKind::Close(AccessMode::Write)));
        let mut pending = Pending::default();
        assert_eq!(pending.due_in(at(0)), None);
        // Not ours, and our own reading.
        pending.note(&Event::new(EventKind::Create(CreateKind::File)).add_path("/other/x".into()), &interest, at(0));
        pending.note(&event(EventKind::Access(AccessKind::Open(AccessMode::Read))), &interest, at(0));
        assert_eq!(pending.due_in(at(0)), None);
        // A writer holds its own file, until it closes; what it closed is looked at 200 ms later.
        let open = |list: &PathBuf| HashSet::from([list.clone()]);
        pending.note(&modified, &interest, at(0));
        assert_eq!((pending.due_in(at(0)), pending.unfinished(at(1000))), (Some(millis(200)), open(&list)));
        pending.take();
        pending.note(&modified, &interest, at(1000));
        assert_eq!(pending.unfinished(at(9000)), open(&list));
        pending.take();
        pending.note(&closed, &interest, at(9500));
        assert_eq!((pending.due_in(at(9500)), pending.unfinished(at(9500))), (Some(millis(200)), HashSet::new()));
        assert_eq!(pending.due_in(at(9800)), Some(millis(0)));
        assert_eq!(pending.take(), open(&list));
        assert_eq!(pending.due_in(at(9800)), None);
        // One that never closes is not waited for without end.
        pending.note(&modified, &interest, at(10_000));
        assert_eq!(pending.unfinished(at(610_000)), HashSet::new());
        pending.take();
        // A rename needs no closing, and is looked at sooner, unless something else happens; events that never end are cut.
        let start = 700_000;
        let renamed = event(EventKind::Modify(ModifyKind::Name(RenameMode::To)));
        for i in 0..20 {
            pending.note(&renamed, &interest, at(start + i * 149));
            assert_eq!(pending.due_in(at(start + i * 149)), Some(millis(50)));
        }
        pending.note(&closed, &interest, at(start + 2832));
        assert_eq!(pending.due_in(at(start + 2832)), Some(millis(168)));
    }

    #[test]
    fn links_are_followed_to_their_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("..v1")).unwrap();
        fs::write(root.join("..v1/a.list"), "x").unwrap();
        std::os::unix::fs::symlink("..v1", root.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.list", root.join("a.list")).unwrap();
        let interest = Interest::new(&[root.join("a.list")], std::iter::empty(), |_| true);
        for path in ["a.list", "..data", "..data/a.list", "..v1/a.list"] {
            assert!(interest.paths.contains(&root.join(path)), "{path}: {interest:?}");
        }
        for path in ["", "..v1"] {
            let path = if path.is_empty() { root.to_owned() } else { root.join(path) };
            assert!(interest.folders.contains(&path), "{path:?}: {interest:?}");
        }
    }
}
