//! Last good copies of lists: what a start falls back to when a file is of no use, and what was downloaded.
//!
//! Copies lie in the state folder, one file a list, written by a thread of their own once the policy made from them is
//! in force. A copy is written aside and renamed into its place, so a crash leaves a whole old or a whole new one. A
//! list with a url is its copy: the download, with what is known of it beside it. Without a state folder downloads lie
//! in a private folder that ends with the program.
//!
//! Beside them lie the last texts of each list: `versions`.

mod keeper;
mod pinned;
mod places;
mod versions;

pub use places::{folder_in, place_of_url};
pub use versions::{Held, Kept, VERSIONS_MAX, kept, kept_since, kept_text};

use crate::{background::make_way, config::Location, whole};
use keeper::Keeper;
use places::{DOWNLOAD_ENDING, beside, place_of_embedded, place_of_file};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
};

/// Octets of what is known of a download: a few short lines.
const DOWNLOAD_BYTES_MAX: u64 = 16 << 10;
/// Octets of the names of a folder's lists: some ten thousand.
const LISTED_BYTES_MAX: u64 = 1 << 20;
/// Tries for a temporary folder of a new name.
const TEMPORARY_TRIES: u32 = 100;

/// The folder of copies.
pub struct Store {
    folder: PathBuf,
    /// It ends with the program, so that only downloads are kept in it.
    is_temporary: bool,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What is known of a downloaded copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    pub url: String,
    /// What the server calls this state of the list.
    pub etag: Option<String>,
    /// When the server says that it changed, as it says it.
    pub last_modified: Option<String>,
    /// Seconds since 1970 when it was downloaded.
    pub fetched_at: u64,
    /// Seconds since 1970 when the server last gave it or said that it is still the same.
    pub checked_at: u64,
    /// Seconds since 1970 when this text first came; 0: it was downloaded before that was noted.
    #[serde(default)]
    pub changed_at: u64,
    /// The copy's version, as sixteen hexadecimal digits. Of any other text nothing here is true.
    pub version: String,
}

impl Download {
    /// Seconds since 1970 when this text first came, as far as it is known.
    pub fn came_at(&self) -> u64 {
        if self.changed_at == 0 { self.fetched_at } else { self.changed_at }
    }
}

/// A text that was found good, and is to be kept.
pub struct Keeping {
    pub text: TextAt,
    pub version: u64,
    /// Rules that were read from it.
    pub rules: usize,
}

/// Where such a text is.
pub enum TextAt {
    /// The list's own file, of which a copy is made.
    File(PathBuf),
    /// A download at its place.
    Download(PathBuf),
    /// Inside the binary.
    Embedded { path: String, read: fn(&str) -> Option<Cow<'static, [u8]>> },
}

/// What the store's thread has to do.
enum Job {
    Keep(Keeping),
    Hold(Held),
    Forget(PathBuf),
    Note { place: PathBuf, download: Download },
    Listed { folder: PathBuf, names: Vec<String> },
    Tidy { used: HashSet<PathBuf> },
}

impl Store {
    /// Opens the folder below the state folder, making both if need be.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let folder = folder_in(state_dir);
        fs::create_dir_all(&folder)?;
        Self::start(folder, false)
    }

    /// Makes a folder that nobody else can look into, and that is gone when the store is dropped.
    pub fn temporary() -> io::Result<Self> {
        let process = std::process::id();
        let mut tries = (0..TEMPORARY_TRIES).map(|number| {
            // Never one that is there already: it might be somebody else's.
            let folder = std::env::temp_dir().join(format!("cleandns-{process}-{number}"));
            DirBuilder::new().mode(0o700).create(&folder).map(|()| folder)
        });
        let folder = tries.find(|made| made.as_ref().map_or_else(|error| !is_taken(error), |_| true));
        Self::start(folder.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?, true)
    }

    fn start(folder: PathBuf, is_temporary: bool) -> io::Result<Self> {
        let (jobs, received) = channel();
        let keeper = Keeper { folder: folder.clone(), held: Held::new(), has_failed: false };
        let thread = std::thread::Builder::new().name("lists-store".into()).spawn(move || {
            make_way();
            keeper.run(&received);
        })?;
        Ok(Self { folder, is_temporary, jobs: Some(jobs), thread: Some(thread) })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the copy of the list at `path` lies; `None`: none is kept.
    pub fn place_of_file(&self, path: &Path) -> Option<PathBuf> {
        (!self.is_temporary).then(|| place_of_file(&self.folder, path))
    }

    /// Where a list from `url` lies that belongs to `owner`, which each has to itself.
    pub fn place_of_url(&self, url: &str, owner: &str) -> PathBuf {
        place_of_url(&self.folder, url, owner)
    }

    /// Where the texts kept of a list inside the binary lie.
    pub fn place_of_embedded(&self, path: &str) -> Option<PathBuf> {
        (!self.is_temporary).then(|| place_of_embedded(&self.folder, path))
    }

    /// Has a text kept, if it is still the one of this version by then.
    pub fn keep(&self, keeping: Keeping) {
        if !self.is_temporary {
            self.send(Job::Keep(keeping));
        }
    }

    /// From now on these texts stay, however old they are, and no others.
    pub fn hold(&self, held: Held) {
        self.send(Job::Hold(held));
    }

    /// Has the copy of a list forgotten that was deleted.
    pub fn forget(&self, path: PathBuf) {
        if !self.is_temporary {
            self.send(Job::Forget(path));
        }
    }

    /// Has it written down what is known of the download at `place`.
    pub fn note(&self, place: PathBuf, download: Download) {
        self.send(Job::Note { place, download });
    }

    /// Has it written down which lists a folder has.
    pub fn note_listed(&self, folder: PathBuf, names: Vec<String>) {
        if !self.is_temporary {
            self.send(Job::Listed { folder, names });
        }
    }

    /// Which lists a folder had when that was written down; none if it never was.
    pub fn listed(&self, folder: &Path) -> Vec<String> {
        if self.is_temporary { Vec::new() } else { listed(&self.folder, folder) }
    }

    /// Whether texts are kept over this run.
    pub fn keeps_versions(&self) -> bool {
        !self.is_temporary
    }

    /// Has copies removed that are too many, and what interrupted writings left. Those at `used` stay.
    pub fn tidy(&self, used: HashSet<PathBuf>) {
        // A temporary one ends with the program, and knows of no places that are used.
        if self.keeps_versions() {
            self.send(Job::Tidy { used });
        }
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// What is known of the download at `place`, if anything is.
    pub fn download(&self, place: &Path) -> Option<Download> {
        serde_json::from_slice(&read_beside(place, DOWNLOAD_BYTES_MAX)?).ok()
    }

    /// A new file's path, for what is to be renamed to `place` once it is whole.
    pub fn unfinished(&self, place: &Path) -> PathBuf {
        whole::unfinished(place)
    }

    /// Puts a download that is whole, at `from`, in its place.
    pub fn accept(&self, from: &Path, place: &Path, download: Download) -> io::Result<()> {
        whole::put_in_place(from, place)?;
        self.note(place.to_owned(), download);
        Ok(())
    }
}

impl Drop for Store {
    /// Waits until everything is written that was to be.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// What lay at a path, a list or a folder of them, of which a state folder has good copies; `None`: it has none. Nothing is
/// read but the names of a folder's lists.
pub fn kept_location(state_dir: &Path, path: &Path) -> Option<Location> {
    let copies = folder_in(state_dir);
    let is_kept = |list: &Path| place_of_file(&copies, list).is_file();
    if is_kept(path) {
        return Some(Location::File(path.to_owned()));
    }
    let lists = listed(&copies, path);
    lists.iter().any(|name| is_kept(&path.join(name))).then(|| Location::Folder(path.to_owned()))
}

/// Which lists a folder had, by what stands in the folder of copies.
fn listed(copies: &Path, folder: &Path) -> Vec<String> {
    let text = read_beside(&place_of_file(copies, folder), LISTED_BYTES_MAX);
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// What is known of a copy, as it stands beside it.
fn read_beside(place: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(beside(place, DOWNLOAD_ENDING)).ok()?.take(bytes_max).read_to_end(&mut text).ok()?;
    Some(text)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}

#[cfg(test)]
mod tests {
    use super::{super::read::version_of, keeper::UNUSED_COPIES_MAX, *};
    use std::{
        os::unix::fs::PermissionsExt,
        time::{Duration, SystemTime},
    };

    /// A state folder, and a store in it that does its jobs and is gone when `jobs` returns.
    fn with_store(state: &Path, jobs: impl FnOnce(&Store)) {
        jobs(&Store::open(state).unwrap());
    }

    /// A file's text that is to be kept.
    fn of_file(path: &Path, text: &[u8]) -> Keeping {
        Keeping { text: TextAt::File(path.to_owned()), version: version_of(text), rules: 1 }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_the_text_that_was_found_good_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("a.list");
        let place = place_of_file(&folder.path().join("lists"), &list);
        let keep = |wanted: &[u8]| with_store(folder.path(), |store| store.keep(of_file(&list, wanted)));
        fs::write(&list, "one").unwrap();
        keep(b"one");
        assert_eq!(fs::read(&place).unwrap(), b"one");
        // It changed, or went away, before there was time to copy it.
        fs::write(&list, "two!").unwrap();
        keep(b"2222");
        fs::remove_file(&list).unwrap();
        keep(b"two!");
        assert_eq!(fs::read(&place).unwrap(), b"one");
        fs::write(&list, "two!").unwrap();
        keep(b"two!");
        assert_eq!(fs::read(&place).unwrap(), b"two!");
        assert_eq!(names(&folder.path().join("lists")).len(), 3, "nothing unfinished is left");
        let texts: Vec<Vec<u8>> = kept(&place).iter().map(|kept| fs::read(&kept.path).unwrap()).collect();
        assert_eq!(texts, [b"two!".to_vec(), b"one".to_vec()]);
        with_store(folder.path(), |store| store.forget(list.clone()));
        assert!(!place.exists());
    }

    /// Of what was at a path it is known what it was: from there a start goes on where nothing is any more.
    #[test]
    fn what_lay_at_a_path_is_known_by_its_copies() {
        let folder = tempfile::tempdir().unwrap();
        let (state, lists) = (folder.path().join("state"), folder.path().join("lists"));
        let (list, emptied) = (lists.join("a.list"), folder.path().join("emptied"));
        fs::create_dir(&lists).unwrap();
        fs::write(&list, "one").unwrap();
        assert_eq!(kept_location(&state, &list), None, "nothing is kept yet");
        with_store(&state, |store| {
            store.keep(of_file(&list, b"one"));
            store.note_listed(lists.clone(), vec!["a.list".into(), "b.list".into()]);
            store.note_listed(emptied.clone(), vec!["a.list".into()]);
        });
        fs::remove_dir_all(&lists).unwrap();
        assert_eq!(kept_location(&state, &list), Some(Location::File(list.clone())));
        assert_eq!(kept_location(&state, &lists), Some(Location::Folder(lists.clone())));
        for other in [lists.join("b.list"), folder.path().to_owned(), emptied, "lists/a.list".into()] {
            assert_eq!(kept_location(&state, &other), None, "{other:?}");
        }
        // Without a copy of any of its lists a folder is of no use.
        with_store(&state, |store| store.forget(list.clone()));
        assert_eq!(kept_location(&state, &lists), None);
    }

    #[test]
    fn a_copy_that_is_there_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("a.list");
        fs::write(&list, "one").unwrap();
        let keep = || with_store(folder.path(), |store| store.keep(of_file(&list, b"one")));
        let inode = || crate::watch::Stamp::of(&place_of_file(&folder.path().join("lists"), &list)).unwrap();
        keep();
        let first = inode();
        keep();
        assert_eq!(inode(), first);
    }

    #[test]
    fn a_download_takes_its_place_with_what_is_known_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = "https://lists.example/some/hosts.txt?token=1";
        let known = Download { url: url.into(), etag: Some("\"1\"".into()), fetched_at: 1, ..Download::default() };
        let mut place = PathBuf::new();
        with_store(folder.path(), |store| {
            place = store.place_of_url(url, "p");
            assert_ne!(place, store.place_of_url(url, "q"));
            assert_eq!(store.download(&place), None);
            let unfinished = store.unfinished(&place);
            fs::write(&unfinished, "text").unwrap();
            store.accept(&unfinished, &place, known.clone()).unwrap();
        });
        assert!(place.file_name().unwrap().to_str().unwrap().starts_with("hosts.txt."), "{place:?}");
        with_store(folder.path(), |store| assert_eq!(store.download(&place), Some(known)));
        assert_eq!(fs::read(&place).unwrap(), b"text");
        // Damage is no download, and no panic.
        for damaged in ["", "{", "[]", "{\"url\": 1}"] {
            fs::write(beside(&place, DOWNLOAD_ENDING), damaged).unwrap();
            with_store(folder.path(), |store| assert_eq!(store.download(&place), None, "{damaged}"));
        }
    }

    #[test]
    fn unused_copies_are_bounded_and_leftovers_removed() {
        let folder = tempfile::tempdir().unwrap();
        let lists = folder.path().join("lists");
        fs::create_dir(&lists).unwrap();
        let old = |name: &str, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::create(lists.join(name)).unwrap().set_modified(time).unwrap();
        };
        (0..UNUSED_COPIES_MAX as u64 + 3).for_each(|number| old(&format!("{number:04}.last-good"), number));
        old("0001.last-good.json", 1);
        old("0001.0011223344556677.1.good", 1);
        old("0000.0011223344556677.1.good", 1);
        old("x.unfinished", 1);
        File::create(lists.join("y.unfinished")).unwrap();
        with_store(folder.path(), |store| store.tidy(HashSet::from([lists.join("0000.last-good")])));
        let left = names(&lists);
        for (name, expected) in [
            ("0000.last-good", true),
            ("0001.last-good", false),
            ("0001.last-good.json", false),
            ("0001.0011223344556677.1.good", false),
            ("0000.0011223344556677.1.good", true),
            ("0002.last-good", false),
            ("0003.last-good", true),
            ("x.unfinished", false),
            ("y.unfinished", true),
        ] {
            assert_eq!(left.contains(&name.to_owned()), expected, "{name}");
        }
    }

    /// A process that takes over writes it down, and the one before hasn't read that when it makes room.
    #[test]
    fn a_text_that_another_process_pins_stays() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("a.list");
        let place = place_of_file(&folder.path().join("lists"), &list);
        let text = |number: usize| format!("text {number}");
        let keep = |store: &Store, number| {
            fs::write(&list, text(number)).unwrap();
            store.keep(of_file(&list, text(number).as_bytes()));
        };
        let pinned = version_of(text(0).as_bytes());
        with_store(folder.path(), |store| keep(store, 0));
        let overlay = format!("[[pin]]\nlist = 'p/a.list'\nversion = '{pinned:016x}'\n");
        fs::write(folder.path().join("overlay.toml"), overlay).unwrap();
        // Each in its turn, for the file is another one when the next comes.
        for number in 1..VERSIONS_MAX + 3 {
            with_store(folder.path(), |store| keep(store, number));
        }
        assert!(kept_text(&place, pinned).is_some());
    }

    #[test]
    fn texts_of_all_sources_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut places = Vec::new();
        with_store(folder.path(), |store| {
            let place = store.place_of_url("https://lists.example/a.txt", "p");
            let unfinished = store.unfinished(&place);
            fs::write(&unfinished, "text").unwrap();
            store.accept(&unfinished, &place, Download::default()).unwrap();
            store.keep(Keeping { text: TextAt::Download(place.clone()), version: version_of(b"text"), rules: 3 });
            let read = |_: &str| Some(Cow::Borrowed(b"inside".as_slice()));
            let text = TextAt::Embedded { path: "p/a.list".into(), read };
            store.keep(Keeping { text, version: version_of(b"inside"), rules: 2 });
            places = vec![place, store.place_of_embedded("p/a.list").unwrap()];
        });
        let texts: Vec<_> = places.iter().map(|place| fs::read(&kept(place)[0].path).unwrap()).collect();
        assert_eq!((texts, places[1].exists()), (vec![b"text".to_vec(), b"inside".to_vec()], false));
    }

    #[test]
    fn a_temporary_folder_is_private_and_ends_with_its_store() {
        let (store, other) = (Store::temporary().unwrap(), Store::temporary().unwrap());
        let folder = store.folder().to_owned();
        assert_ne!(folder, other.folder());
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        store.note(store.place_of_url("https://a.example/", "p"), Download::default());
        assert_eq!(store.place_of_file(Path::new("/a.list")), None);
        drop(store);
        assert!(!folder.exists());
    }

    #[test]
    fn names_of_copies_fit_and_differ() {
        let folder = Path::new("/state");
        let long = format!("/{}", "ä".repeat(120));
        for (one, other) in [("/a/x.list", "/b/x.list"), (&long, "/b")] {
            let (one, other) = (place_of_file(folder, Path::new(one)), place_of_file(folder, Path::new(other)));
            assert_ne!(one, other);
            let name = one.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.is_ascii() && name.len() < 200, "{name}");
        }
    }
}
