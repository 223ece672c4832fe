//! Reads a file so that what was read is what stood there: all of it, from one moment.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

/// Octets of the longest list read: forty million names.
const LIST_BYTES_MAX: u64 = 1 << 30;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file's text and the stamp it had before, during and after the reading.
pub struct Text {
    pub octets: Vec<u8>,
    pub stamp: Stamp,
    /// False if it was written so shortly before that another write might leave the same stamp: then the stamp is not
    /// to be trusted once.
    pub settled: bool,
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadFailure {
    /// It changed meanwhile: to be read again.
    Changing,
    Io(io::Error),
}

/// A file system's clock ticks this coarsely at worst.
const CLOCK_TICK: Duration = Duration::from_secs(2);

impl Stamp {
    /// The stamp of the file that a path leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::from(&metadata))
    }

    /// Tells one folder from another of the same name.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
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

/// Reads a whole file, once.
pub fn read(path: &Path) -> Result<Text, ReadFailure> {
    // Before it is opened: to open a pipe is to wait for its writer.
    if !path.metadata().map_err(ReadFailure::Io)?.is_file() {
        return Err(ReadFailure::Io(io::Error::other("it is not a file")));
    }
    let file = File::open(path).map_err(ReadFailure::Io)?;
    let metadata = file.metadata().map_err(ReadFailure::Io)?;
    if metadata.len() > LIST_BYTES_MAX {
        return Err(ReadFailure::Io(io::Error::other("it is longer than 1 GiB")));
    }
    let before = Stamp::from(&metadata);
    let mut octets = Vec::with_capacity(metadata.len() as usize);
    (&file).take(LIST_BYTES_MAX).read_to_end(&mut octets).map_err(ReadFailure::Io)?;
    let same_file = file.metadata().map_err(ReadFailure::Io).map(|after| Stamp::from(&after) == before)?;
    // The path must still lead to the file that was read, not to one renamed into its place.
    let same_path = Stamp::of(path).is_ok_and(|after| after == before);
    if !same_file || !same_path || octets.len() as u64 != before.length {
        return Err(ReadFailure::Changing);
    }
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    Ok(Text { octets, stamp: before, settled: age.is_some_and(|age| age > CLOCK_TICK) })
}
