//! Files that are whole or not there: written aside, put on the disk, and renamed into their place. Nobody ever reads a part
//! of one, not even after a crash; and of two who write the same file, whole processes included, the later has it.
//!
//! Each is begun under a name of its own. What a crash leaves of such is removed when it is old, where somebody looks for it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown},
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
        self.file.sync_all()?;
        match fs::hard_link(&self.unfinished, &self.place) {
            // The other name goes with this value.
            Ok(()) => {
                write_down(&self.place);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems have one name for a file.
            Err(_) if self.place.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.finish(),
        }
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
        // A new one takes nobody's place.
        let new = |text: &[u8]| {
            let mut begun = Whole::begin(&folder.path().join("new"), PRIVATE)?;
            begun.write_all(text)?;
            begun.finish_new()
        };
        new(b"first").unwrap();
        assert_eq!(new(b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(folder.path().join("new")).unwrap(), names(folder.path()).len()), (b"first".to_vec(), 2));
        fs::remove_file(folder.path().join("new")).unwrap();
        // What can't be put in its place isn't left lying about.
        fs::create_dir_all(folder.path().join("full/inside")).unwrap();
        assert!(write(&folder.path().join("full"), b"", PRIVATE).is_err());
        assert_eq!(names(folder.path()).len(), 2);
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
