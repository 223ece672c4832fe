//! Last good copies of lists in the state folder: what a start falls back to when the file itself is of no use.

use foldhash::fast::FixedState;
use std::{
    fs,
    hash::BuildHasher,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder of copies.
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the folder below the state folder, making both if need be.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let folder = state_dir.join("lists");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The copy of the list at `path`.
    pub fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(self.place(path))
    }

    /// Keeps a copy of the list at `path`, whole or not at all.
    pub fn save(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let place = self.place(path);
        if fs::read(&place).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let unfinished = place.with_extension("unfinished");
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&unfinished, &place)
    }

    /// Forgets the copy of a list that was deleted.
    pub fn forget(&self, path: &Path) {
        let _ = fs::remove_file(self.place(path));
    }

    /// One file a path: the file's name for people, a hash of the whole path against mistaken identity.
    fn place(&self, path: &Path) -> PathBuf {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let hash = FixedState::with_seed(0).hash_one(&whole);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.folder.join(format!("{name}.{hash:016x}.last-good"))
    }
}
