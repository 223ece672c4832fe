//! Files that are whole or not there: written aside, put on the disk, and renamed into their place. Nobody ever reads a part
//! of one, not even after a crash; and of two who write the same file, whole processes included, the later has it.
//!
//! Each is begun under a name of its own. What a crash leaves of such is removed when it is old, where somebody looks for it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

/// How the names of files end that are being written.
const ENDING: &str = "unfinished";
/// What isn't finished after so long never will be: no writing and no download takes so long.
const LEFT_AFTER: Duration = Duration::from_secs(3600);
/// For its owner alone: most of what is kept here tells who asked for what, or lets in who shows it.
pub const PRIVATE: u32 = 0o600;
/// As files are made usually; the owner's mask takes away from it.
pub const USUAL: u32 = 0o666;

/// A file that is being written aside. Dropped before it is [put in its place](Self::finish), it leaves nothing behind.
pub struct Whole {
    file: File,
    unfinished: PathBuf,
    place: PathBuf,
    is_finished: bool,
}

impl Whole {
    /// Begins one, in a folder that is there. `mode`: who may read and write it.
    pub fn begin(place: &Path, mode: u32) -> io::Result<Self> {
        let unfinished = unfinished(place);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        Ok(Self { file, unfinished, place: place.to_owned(), is_finished: false })
    }

    /// The file, for who changes its owner or writes much.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it this mode whatever the mask.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Gives it to a user and a group, by their numbers.
    pub fn give_to(&self, (user, group): (u32, u32)) -> io::Result<()> {
        fchown(&self.file, Some(user), Some(group))
    }

    /// Puts it in its place if nothing is there; else it is gone, and what is there stays (`AlreadyExists`).
    pub fn finish_new(self) -> io::Result<()> {
        self.finish_new_by(&WAYS_TO_BE_NEW)
    }

    fn finish_new_by(self, ways: &[WayToBeNew]) -> io::Result<()> {
        self.file.sync_all()?;
        let mut placed = Err(io::ErrorKind::Unsupported.into());
        for way in ways {
            placed = way(&self.unfinished, &self.place);
            if placed.as_ref().err().is_none_or(|error| error.kind() == io::ErrorKind::AlreadyExists) {
                break;
            }
        }
        // If it has its first name yet, that goes with this value.
        placed.map(|()| write_down(&self.place))
    }

    /// Puts it in its place, where it lasts from then on.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        put_in_place(&self.unfinished, &self.place)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Write for Whole {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Gives what is at the first path the second one, unless anything has that (`AlreadyExists`).
type WayToBeNew = fn(&Path, &Path) -> io::Result<()>;

/// Each is for file systems that don't know those before it: some have one name for a file (vfat), and some of those
/// can't be told to replace nothing (9p).
const WAYS_TO_BE_NEW: [WayToBeNew; 3] = [|from, to| fs::hard_link(from, to), rename_to_new, copy_to_new];

#[cfg(target_env = "gnu")]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    Ok(renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?)
}

/// It isn't known how another C library is asked for it.
#[cfg(not(target_env = "gnu"))]
fn rename_to_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A crash may leave a part of it.
fn copy_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let about = from.metadata()?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(to)?;
    let mut fill = || -> io::Result<()> {
        io::copy(&mut from, &mut copy)?;
        let own = copy.metadata()?;
        if (own.uid(), own.gid()) != (about.uid(), about.gid()) {
            fchown(&copy, Some(about.uid()), Some(about.gid()))?;
        }
        // After whose it is, for others see it then.
        copy.set_permissions(about.permissions())?;
        copy.sync_all()
    };
    fill().inspect_err(|_| {
        let _ = fs::remove_file(to);
    })
}

/// Writes a file in place of what is there.
pub fn write(place: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    let mut whole = Whole::begin(place, mode)?;
    whole.write_all(octets)?;
    whole.finish()
}

/// A path beside `place` that nobody else writes to, whatever else runs on this folder: in a container every process has the
/// same number, so that doesn't tell them apart.
pub fn unfinished(place: &Path) -> PathBuf {
    let mut path = place.as_os_str().to_owned();
    path.push(format!(".{:016x}.{ENDING}", RandomState::new().hash_one(place)));
    path.into()
}

/// Renames what is whole and on the disk.
pub fn put_in_place(unfinished: &Path, place: &Path) -> io::Result<()> {
    fs::rename(unfinished, place)?;
    write_down(place);
    Ok(())
}

/// A new name lasts only when its folder is written, too. Some file systems can't say so, and then it is as it is.
fn write_down(place: &Path) {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Whether a path is of a file that is being written, or was.
pub fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

/// Removes a file that was never finished, if it is one and old enough that it never will be.
pub fn remove_if_left(path: &Path) -> io::Result<()> {
    let is_old = || {
        let modified = path.metadata()?.modified()?;
        Ok::<_, io::Error>(modified.elapsed().is_ok_and(|age| age > LEFT_AFTER))
    };
    match is_unfinished(path) && is_old()? {
        true => fs::remove_file(path),
        false => Ok(()),
    }
}

/// Removes all such in a folder, as far as that can be done.
pub fn remove_left(folder: &Path) {
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = remove_if_left(&item.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.json");
        write(&place, b"one", PRIVATE).unwrap();
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, PRIVATE);
        let mut begun = Whole::begin(&place, PRIVATE).unwrap();
        begun.write_all(b"tw").unwrap();
        // Another, of this process or of the one that takes over from it.
        write(&place, b"three", PRIVATE).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"three");
        begun.write_all(b"o").unwrap();
        begun.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
        let mut given_up = Whole::begin(&place, PRIVATE).unwrap();
        given_up.write_all(b"never").unwrap();
        drop(given_up);
        assert_eq!((fs::read(&place).unwrap(), names(folder.path())), (b"two".to_vec(), vec!["a.json".to_owned()]));
        assert!(write(&folder.path().join("nowhere/a"), b"", PRIVATE).is_err());
        // What can't be put in its place isn't left lying about.
        fs::create_dir_all(folder.path().join("full/inside")).unwrap();
        assert!(write(&folder.path().join("full"), b"", PRIVATE).is_err());
        assert_eq!(names(folder.path()).len(), 2);
    }

    /// By each way, as it is on file systems that don't know those before it.
    #[test]
    fn a_new_file_takes_nobodys_place() {
        let cant: WayToBeNew = |_, _| Err(io::Error::from_raw_os_error(nix::libc::EPERM));
        // Another makes the file when this one has just found that it isn't there.
        let late: WayToBeNew = |_, to| {
            fs::write(to, "other")?;
            Err(io::ErrorKind::Unsupported.into())
        };
        let [link, rename, copy] = WAYS_TO_BE_NEW;
        for ways in [&WAYS_TO_BE_NEW[..], &[link], &[cant, rename, copy], &[cant, cant, copy]] {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join("new");
            let new = |text: &[u8], ways: &[WayToBeNew]| {
                let mut begun = Whole::begin(&place, PRIVATE)?;
                begun.write_all(text)?;
                begun.set_mode(0o640)?;
                begun.finish_new_by(ways)
            };
            let found = || (fs::read_to_string(&place).unwrap(), names(folder.path()).len());
            new(b"first", ways).unwrap();
            assert_eq!(found(), ("first".to_owned(), 1));
            assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o640);
            assert_eq!(new(b"second", ways).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(found(), ("first".to_owned(), 1));
            // A link to nothing is something too, and is no way to another place.
            fs::remove_file(&place).unwrap();
            std::os::unix::fs::symlink(folder.path().join("elsewhere"), &place).unwrap();
            assert_eq!(new(b"third", ways).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            fs::remove_file(&place).unwrap();
            assert_eq!(names(folder.path()).len(), 0);
            let raced = [&[late][..], ways].concat();
            assert_eq!(new(b"fourth", &raced).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(found(), ("other".to_owned(), 1));
        }
        let folder = tempfile::tempdir().unwrap();
        let begun = Whole::begin(&folder.path().join("new"), PRIVATE).unwrap();
        assert_eq!(begun.finish_new_by(&[cant]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(names(folder.path()).len(), 0);
    }

    #[test]
    fn what_a_crash_left_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * LEFT_AFTER;
        let make = |name: &str, time| File::create(folder.path().join(name)).unwrap().set_modified(time).unwrap();
        make("a.json.1.unfinished", old);
        make("a.json", old);
        make("b.json.2.unfinished", SystemTime::now());
        remove_left(folder.path());
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, ["a.json", "b.json.2.unfinished"]);
        remove_left(Path::new("/nowhere"));
    }
}
