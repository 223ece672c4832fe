//! What tells one state of a file from another without reading it.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that a path leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::from(&metadata))
    }

    /// Tells one folder from another of the same name.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// When the file was written.
    pub fn modified(&self) -> SystemTime {
        Self::time(self.modified)
    }

    /// When it was written, or came to where it is, by the file system's own clock: nobody sets this.
    pub fn changed(&self) -> SystemTime {
        Self::time(self.changed)
    }

    fn time((seconds, nanos): (i64, i64)) -> SystemTime {
        let nanos = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        time.and_then(|time| time.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
    }

    /// Octets in the file.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
