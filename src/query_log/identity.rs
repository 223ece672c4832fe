//! Whether a file that is written is still where it was opened. Somebody may remove it, or move it away, under a running
//! server, whose writes then go where nobody looks.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// What tells a file from all others as long as it is open, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }

    /// Of what a path leads to.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|file| Self::of(&file))
    }

    /// True if the path leads to nothing any more, or to another file. What can't be found out counts as no.
    pub fn is_gone_from(self, path: &Path) -> bool {
        match Self::at(path) {
            Ok(found) => found != self,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_gone_when_its_name_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let _open = fs::File::create(&path).unwrap();
        let identity = Identity::at(&path).unwrap();
        assert!(!identity.is_gone_from(&path));
        fs::rename(&path, &other).unwrap();
        assert!(identity.is_gone_from(&path) && !identity.is_gone_from(&other));
        fs::write(&path, "another").unwrap();
        assert!(identity.is_gone_from(&path));
        // A folder in its place says nothing of the file.
        assert!(!identity.is_gone_from(&other.join("below")));
    }
}
