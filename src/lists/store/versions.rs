//! The last texts of each list by version: what its present text is compared with, and what it is rolled back to.
//!
//! They lie beside the last good copy, one file a text, and each file's name says of which version it is and how many
//! rules that has; its time is when that text came. So what is kept is what lies there, and nothing else has to agree.

use super::places::{COPY_ENDING, KEPT_ENDING};
use crate::{
    lists::read::{read, shown_version},
    whole,
};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Texts kept of one list, the present one among them: enough to find out when something went wrong.
pub const VERSIONS_MAX: usize = 5;
/// Octets of all texts kept: five of a list of five million names. The oldest go first, but of each list the last stays.
const VERSIONS_BYTES_MAX: u64 = 512 << 20;

/// A text of a list that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    pub version: u64,
    /// Rules that were read from it, exceptions among them.
    pub rules: u64,
    /// Octets of it.
    pub bytes: u64,
    /// When it came.
    pub since: SystemTime,
    pub path: PathBuf,
}

/// Texts that stay though they are old: where the list's copy lies, and the version.
pub type Held = HashSet<(PathBuf, u64)>;

/// The texts kept of the list whose copy lies at `place`, the last first.
pub fn kept(place: &Path) -> Vec<Kept> {
    let (Some(own), Some(folder)) = (stem(place), place.parent()) else { return Vec::new() };
    let mut kept: Vec<Kept> =
        all_kept(folder, |stem| stem == own).unwrap_or_default().into_iter().map(|(_, kept)| kept).collect();
    kept.sort_by_key(|own| Reverse((own.since, own.version)));
    kept
}

/// The text of one version, if it is kept.
pub fn kept_text(place: &Path, version: u64) -> Option<Kept> {
    kept(place).into_iter().find(|kept| kept.version == version)
}

/// When the text of one version came, if it is kept and had as many rules. It costs one look, at one file.
pub fn kept_since(place: &Path, version: u64, rules: usize) -> Option<SystemTime> {
    named(place, version, rules)?.metadata().ok()?.modified().ok()
}

/// Where a kept text lies.
fn named(place: &Path, version: u64, rules: usize) -> Option<PathBuf> {
    let stem = stem(place)?;
    Some(place.with_file_name(format!("{stem}.{}.{rules}.{KEPT_ENDING}", shown_version(version))))
}

/// What all files of one list have in common, from the name of one of them.
pub(super) fn stem_of(name: &str) -> Option<&str> {
    let of_copy = |ending: &str| name.strip_suffix(ending)?.strip_suffix('.');
    let of_kept = || parts(name).map(|(stem, ..)| stem);
    of_copy(COPY_ENDING)
        .or_else(|| name.strip_suffix(".json")?.strip_suffix(COPY_ENDING)?.strip_suffix('.'))
        .or_else(of_kept)
}

/// The parts of the name of a kept text: of which list it is, its version, and how many rules it has.
fn parts(name: &str) -> Option<(&str, u64, u64)> {
    let name = name.strip_suffix(KEPT_ENDING)?.strip_suffix('.')?;
    let (name, rules) = name.rsplit_once('.')?;
    let (stem, version) = name.rsplit_once('.')?;
    let version = Some(version).filter(|version| version.len() == 16)?;
    Some((stem, u64::from_str_radix(version, 16).ok()?, rules.parse().ok()?))
}

fn stem(place: &Path) -> Option<String> {
    stem_of(place.file_name()?.to_str()?).map(str::to_owned)
}

/// All texts kept in a folder of some lists, with what tells these apart.
fn all_kept(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<(String, Kept)>> {
    let mut all = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        let name = item.file_name();
        // One that is going just now isn't there.
        if let Some((stem, version, rules)) = name.to_str().and_then(parts)
            && is_wanted(stem)
            && let Ok(metadata) = item.metadata()
            && let Ok(since) = metadata.modified()
        {
            all.push((stem.to_owned(), Kept { version, rules, bytes: metadata.len(), since, path: item.path() }));
        }
    }
    Ok(all)
}

/// Keeps the text that lies at `from`, if it is of this version, as one of the list whose copy lies at `place`. True if it
/// wasn't kept before.
pub(super) fn keep(from: &Path, place: &Path, version: u64, rules: usize) -> io::Result<bool> {
    let known = kept(place);
    if let Some(at) = known.iter().position(|kept| kept.version == version) {
        if at > 0 {
            // It came again, so it is the last from now on.
            File::options().write(true).open(&known[at].path)?.set_modified(SystemTime::now())?;
        }
        return Ok(false);
    }
    let Some(own) = named(place, version, rules) else { return Ok(false) };
    let unfinished = whole::unfinished(&own);
    // Texts are only ever put in their places whole, so that one file may have two names.
    let linked = fs::hard_link(from, &unfinished).or_else(|_| copy(from, &unfinished));
    let is_of_version = || read(&unfinished, &mut |_| {}).is_ok_and(|reading| reading.version == version);
    let placed = linked
        .and_then(|()| if is_of_version() { whole::put_in_place(&unfinished, &own).map(|()| true) } else { Ok(false) });
    // A rename onto another name of the same file leaves both.
    let _ = fs::remove_file(&unfinished);
    placed
}

/// For file systems on which a file has one name.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// Removes what is too much of the list whose copy lies at `place`, and of all. `pinned`: the versions that any list is
/// to be held at right now, as far as it is written down; asked when something is about to go.
pub(super) fn evict(place: &Path, held: &Held, pinned: &dyn Fn() -> HashSet<u64>) -> io::Result<()> {
    let may_go = |kept: &Kept| !held.contains(&(place.to_owned(), kept.version));
    for old in kept(place).into_iter().skip(VERSIONS_MAX).filter(may_go) {
        remove(&old, pinned)?;
    }
    let Some(folder) = place.parent() else { return Ok(()) };
    let mut all = all_kept(folder, |_| true)?;
    let mut bytes: u64 = all.iter().map(|(_, kept)| kept.bytes).sum();
    if bytes <= VERSIONS_BYTES_MAX {
        return Ok(());
    }
    all.sort_by_key(|(_, kept)| kept.since);
    let last: HashMap<&String, u64> = all.iter().map(|(stem, kept)| (stem, kept.version)).collect();
    let held: HashSet<(String, u64)> =
        held.iter().filter_map(|(place, version)| Some((stem(place)?, *version))).collect();
    let may_go = |(stem, kept): &&(String, Kept)| {
        last.get(stem) != Some(&kept.version) && !held.contains(&(stem.clone(), kept.version))
    };
    for (_, old) in all.iter().filter(may_go) {
        if bytes <= VERSIONS_BYTES_MAX {
            break;
        }
        if remove(old, pinned)? {
            bytes -= old.bytes;
        }
    }
    Ok(())
}

/// Removes a text, unless a list is to be held at it since a moment ago. True if it is gone.
fn remove(old: &Kept, pinned: &dyn Fn() -> HashSet<u64>) -> io::Result<bool> {
    if pinned().contains(&old.version) {
        return Ok(false);
    }
    let aside = whole::unfinished(&old.path);
    match fs::rename(&old.path, &aside) {
        // The other process that runs on this folder has removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        renamed => renamed?,
    }
    // Who wrote it down before it went out of sight has it back. Who did after that finds that it isn't kept.
    match pinned().contains(&old.version) {
        true => fs::rename(&aside, &old.path)?,
        false => fs::remove_file(&aside)?,
    }
    Ok(!old.path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::read::version_of;
    use std::{cell::Cell, time::Duration};

    /// Has a text kept that came so many seconds after 1970.
    fn keep_text(place: &Path, text: &str, rules: usize, second: u64) -> u64 {
        let from = place.with_file_name("from");
        fs::write(&from, text).unwrap();
        File::options()
            .write(true)
            .open(&from)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second))
            .unwrap();
        let version = version_of(text.as_bytes());
        keep(&from, place, version, rules).unwrap();
        fs::remove_file(from).unwrap();
        version
    }

    fn versions(place: &Path) -> Vec<u64> {
        kept(place).into_iter().map(|kept| kept.version).collect()
    }

    #[test]
    fn texts_are_kept_by_version_with_their_times_and_rules() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.list.0011223344556677.last-good");
        let other = folder.path().join("a.list.ffff223344556677.last-good");
        let first = keep_text(&place, "one", 1, 100);
        let second = keep_text(&place, "two!", 22, 200);
        keep_text(&other, "one", 1, 300);
        let found = kept(&place);
        assert_eq!(
            found.iter().map(|kept| (kept.version, kept.rules, kept.bytes)).collect::<Vec<_>>(),
            [(second, 22, 4), (first, 1, 3)]
        );
        assert_eq!(found[1].since, SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        assert_eq!(fs::read(&kept_text(&place, first).unwrap().path).unwrap(), b"one");
        // The present text is kept once, however often it is found; one that comes again is the last.
        keep_text(&place, "two!", 22, 400);
        assert_eq!(kept(&place), found);
        keep_text(&place, "one", 1, 500);
        assert_eq!(versions(&place), [first, second]);
        // Another text than it is said to be isn't kept.
        let from = folder.path().join("from");
        fs::write(&from, "three").unwrap();
        keep(&from, &place, 7, 1).unwrap();
        assert_eq!((versions(&place), kept(&folder.path().join("b.last-good"))), (vec![first, second], vec![]));
        assert!(!folder.path().join("x").exists() && keep(&folder.path().join("x"), &place, 8, 1).is_err());
        let names = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|name| name.ends_with(".good") || name == "from"), "nothing unfinished is left");
    }

    #[test]
    fn old_texts_go_unless_they_are_held() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.list.0011223344556677.last-good");
        let all: Vec<u64> =
            (0..8).map(|number| keep_text(&place, &format!("text {number}"), 1, 100 + number)).collect();
        let held = Held::from([(place.clone(), all[1])]);
        evict(&place, &held, &HashSet::new).unwrap();
        assert_eq!(versions(&place), [all[7], all[6], all[5], all[4], all[3], all[1]]);
        evict(&place, &Held::new(), &HashSet::new).unwrap();
        assert_eq!(versions(&place).len(), VERSIONS_MAX);
    }

    /// Another process pins a text that this one doesn't know to be held: before it is looked at, or when it has just
    /// gone out of sight.
    #[test]
    fn a_text_that_is_pinned_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.list.0011223344556677.last-good");
        for pinned_at_look in 0..2 {
            let first = 10 * pinned_at_look;
            let all: Vec<u64> = (first..first + 7)
                .map(|number| keep_text(&place, &format!("text {number}"), 1, 100 + number))
                .collect();
            let looks = Cell::new(0);
            let pinned = || -> HashSet<u64> {
                let pinned = if looks.get() >= pinned_at_look { vec![all[1]] } else { vec![] };
                looks.set(looks.get() + 1);
                HashSet::from_iter(pinned)
            };
            evict(&place, &Held::new(), &pinned).unwrap();
            assert_eq!(versions(&place), [all[6], all[5], all[4], all[3], all[2], all[1]], "{pinned_at_look}");
            evict(&place, &Held::new(), &HashSet::new).unwrap();
            assert_eq!(versions(&place).len(), VERSIONS_MAX);
            let names = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().path());
            assert!(names.into_iter().all(|path| !whole::is_unfinished(&path)), "nothing is left aside");
        }
    }

    #[test]
    fn all_texts_together_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(format!("{name}.0011223344556677.last-good")));
        let mut second = 100;
        // Holes take no room on the disk, and count as what would be read.
        let mut put = |place: &Path, version: u64| {
            second += 1;
            let path = place.with_file_name(format!("{}.{version:016x}.1.good", stem(place).unwrap()));
            let file = File::create(path).unwrap();
            file.set_len(200 << 20).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        };
        for (place, version) in [(&b, 1), (&a, 1), (&a, 2), (&a, 3), (&a, 4)] {
            put(place, version);
        }
        evict(&a, &Held::from([(a.clone(), 1)]), &HashSet::new).unwrap();
        assert_eq!((versions(&a), versions(&b)), (vec![4, 1], vec![1]), "the last of each list, and what is held");
    }

    #[test]
    fn names_say_of_which_list_a_file_is() {
        for (name, expected) in [
            ("a.list.0011223344556677.last-good", Some("a.list.0011223344556677")),
            ("a.list.0011223344556677.last-good.json", Some("a.list.0011223344556677")),
            ("a.list.0011223344556677.8899aabbccddeeff.12.good", Some("a.list.0011223344556677")),
            ("a.good", None),
            ("a.12.good", None),
            ("a.8899aabbccddeeff.x.good", None),
            ("a.list.0011223344556677.8899aabbccddeeff.12.good.1-2.unfinished", None),
        ] {
            assert_eq!(stem_of(name), expected, "{name}");
        }
    }
}
