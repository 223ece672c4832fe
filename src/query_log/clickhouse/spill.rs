//! Batches that wait for the server, oldest first: files in a folder, or memory where there is none.
//!
//! A file is a batch, written aside and renamed, so there is a whole one or none. What an earlier process left behind
//! is found at the start; two that use one folder while one takes over from the other don't disturb each other.

use super::Batch;
use crate::whole;
use std::{
    collections::VecDeque,
    fs::{self, DirBuilder},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The least that a file counts as: so much a small one takes on disk.
const FILE_BYTES_MIN: u64 = 4096;
/// Batches that the server can't read, kept for its owner to look at.
const REJECTED_MAX: u64 = 4;
const ENDING: &str = ".jsonl";

/// The batches.
pub(super) struct Spill {
    folder: Option<PathBuf>,
    /// Octets that all may take: on disk, and in memory.
    disk_max: u64,
    memory_max: u64,
    /// Tells the files of this process from those of others.
    tag: u64,
    /// Of the next file.
    number: u64,
    /// Oldest first.
    pieces: VecDeque<Piece>,
    on_disk: u64,
    in_memory: u64,
    /// Batches so far that the server couldn't read.
    rejected: u64,
    has_failed: bool,
}

/// One batch.
struct Piece {
    place: Place,
    /// All octets, and those at its beginning that have arrived already. After a restart these are sent again, which
    /// changes nothing.
    octets: u64,
    arrived: u64,
    /// Rows that have not arrived.
    rows: u64,
}

/// What `oldest` took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// So many whole batches.
    Whole(usize),
    /// So many octets of one that is too long to go at once.
    Part(u64),
}

enum Place {
    File(PathBuf),
    Memory(Vec<u8>),
}

impl Spill {
    /// Finds what waits in the folder, if there is one.
    pub fn open(folder: Option<PathBuf>, disk_max: u64, memory_max: u64, tag: u64) -> Self {
        let mut spill = Self {
            folder,
            disk_max,
            memory_max: memory_max.min(disk_max),
            tag,
            number: 1,
            pieces: VecDeque::new(),
            on_disk: 0,
            in_memory: 0,
            rejected: 0,
            has_failed: false,
        };
        spill.look_again();
        spill
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether batches outlive the process: there is a folder for them, and they could be written so far.
    pub fn is_on_disk(&self) -> bool {
        self.folder.is_some() && self.in_memory == 0 && !self.has_failed
    }

    /// Rows that wait.
    pub fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.rows).sum()
    }

    /// Rows that wait and are lost with the process.
    pub fn rows_in_memory(&self) -> u64 {
        let in_memory = self.pieces.iter().filter(|piece| matches!(piece.place, Place::Memory(_)));
        in_memory.map(|piece| piece.rows).sum()
    }

    /// Finds files, if nothing is known to wait: another process may have left some since.
    pub fn look_again(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.pieces.is_empty()) else { return };
        // No folder: nothing waits in it.
        let mut found: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|item| {
                let name = item.file_name().into_string().ok()?;
                let metadata = item.metadata().ok()?;
                let _ = whole::remove_if_left(&item.path());
                let (number, rows) = read_name(&name)?;
                Some((number, name, item.path(), rows, metadata.len()))
            })
            .collect();
        found.sort();
        for (number, _, path, rows, octets) in found {
            self.number = self.number.max(number + 1);
            self.on_disk += charge(octets);
            self.pieces.push_back(Piece { place: Place::File(path), octets, arrived: 0, rows });
        }
    }

    /// Keeps a batch behind all others; false if there is no room for it.
    pub fn push(&mut self, batch: Batch) -> bool {
        let (rows, octets) = (batch.rows, batch.lines.len() as u64);
        if let Some(folder) = &self.folder {
            if self.on_disk + charge(octets) > self.disk_max {
                return false;
            }
            let path = folder.join(format!("{:016}-{:016x}-{rows}{ENDING}", self.number, self.tag));
            match write(folder, &path, &batch.lines) {
                Ok(()) => {
                    (self.number, self.has_failed) = (self.number + 1, false);
                    self.on_disk += charge(octets);
                    self.pieces.push_back(Piece { place: Place::File(path), octets, arrived: 0, rows });
                    return true;
                }
                Err(error) if !self.has_failed => {
                    self.has_failed = true;
                    tracing::error!(folder = %folder.display(), %error, "query_log.clickhouse: no questions can wait on disk");
                }
                Err(_) => {}
            }
        }
        if self.in_memory + octets > self.memory_max {
            return false;
        }
        self.in_memory += octets;
        self.pieces.push_back(Piece { place: Place::Memory(batch.lines), octets, arrived: 0, rows });
        true
    }

    /// The oldest batches as one of so many rows and octets at most, or as many lines of a longer one; at least a line.
    /// Counts in `lost` the rows of files that can't be read any more.
    pub fn oldest(
        &mut self,
        (pieces_max, rows_max, bytes_max): (usize, u64, usize),
        lost: &mut u64,
    ) -> Option<(Batch, Taken)> {
        let (mut batch, mut count) = (Batch::default(), 0);
        while count < pieces_max
            && let Some(piece) = self.pieces.get(count)
        {
            let octets = batch.lines.len() as u64 + piece.octets - piece.arrived;
            if count > 0 && (batch.rows + piece.rows > rows_max || octets > bytes_max as u64) {
                break;
            }
            let before = batch.lines.len();
            match piece.read_to(&mut batch.lines) {
                Ok(()) if octets > bytes_max as u64 && cut(&mut batch.lines, bytes_max) => {
                    batch.rows = rows_in(&batch.lines);
                    let part = batch.lines.len() as u64;
                    return Some((batch, Taken::Part(part)));
                }
                Ok(()) => (batch.rows, count) = (batch.rows + piece.rows, count + 1),
                Err(error) => {
                    batch.lines.truncate(before);
                    // Another process that took over has sent it.
                    if error.kind() != io::ErrorKind::NotFound {
                        *lost += piece.rows;
                        tracing::error!(%error, rows = piece.rows, "query_log.clickhouse: questions that waited are lost");
                    }
                    self.forget(count);
                }
            }
        }
        (count > 0).then_some((batch, Taken::Whole(count)))
    }

    /// Removes what `oldest` gave: it has arrived, or never will.
    pub fn remove(&mut self, taken: Taken, batch: &Batch) {
        match taken {
            Taken::Whole(count) => {
                for _ in 0..count {
                    if let Some(Place::File(path)) = self.forget(0) {
                        // Should it stay, it is sent again at the next start, and changes nothing.
                        let _ = fs::remove_file(path);
                    }
                }
            }
            Taken::Part(octets) => {
                if let Some(piece) = self.pieces.front_mut() {
                    piece.arrived += octets;
                    piece.rows = piece.rows.saturating_sub(batch.rows);
                }
            }
        }
    }

    fn forget(&mut self, index: usize) -> Option<Place> {
        let piece = self.pieces.remove(index)?;
        match piece.place {
            Place::File(_) => self.on_disk -= charge(piece.octets),
            Place::Memory(_) => self.in_memory -= piece.octets,
        }
        Some(piece.place)
    }

    /// Keeps a batch that the server can't read for a person; the latest few of them.
    pub fn put_aside(&mut self, batch: &Batch) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        let path = |number: u64| folder.join(format!("rejected-{number}{ENDING}"));
        // Those of earlier processes make way last.
        let free = (0..REJECTED_MAX).map(path).find(|path| !path.exists());
        let path = free.unwrap_or_else(|| path(self.rejected % REJECTED_MAX));
        self.rejected += 1;
        write(folder, &path, &batch.lines).ok().map(|()| path)
    }
}

impl Piece {
    /// Appends what has not arrived.
    fn read_to(&self, lines: &mut Vec<u8>) -> io::Result<()> {
        match &self.place {
            Place::Memory(own) => lines.extend_from_slice(own.get(self.arrived as usize..).unwrap_or_default()),
            Place::File(path) => {
                let left = self.octets - self.arrived;
                let mut file = fs::File::open(path)?;
                file.seek(SeekFrom::Start(self.arrived))?;
                if file.take(left).read_to_end(lines)? as u64 != left {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }
}

/// Leaves as many whole lines as fit, but at least one; false if that is all there is.
fn cut(lines: &mut Vec<u8>, bytes_max: usize) -> bool {
    let is_end = |octet: &u8| *octet == b'\n';
    let fitting = lines[..bytes_max.min(lines.len())].iter().rposition(is_end);
    let Some(end) = fitting.or_else(|| lines.iter().position(is_end)).map(|at| at + 1) else { return false };
    let is_part = end < lines.len();
    lines.truncate(end);
    is_part
}

/// Each line has its end.
fn rows_in(lines: &[u8]) -> u64 {
    lines.iter().filter(|octet| **octet == b'\n').count() as u64
}

fn charge(octets: u64) -> u64 {
    octets.max(FILE_BYTES_MIN)
}

/// Number and rows of a file that holds a batch.
fn read_name(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.strip_suffix(ENDING)?.split('-');
    let (number, tag, rows) = (parts.next()?, parts.next()?, parts.next()?);
    u64::from_str_radix(tag, 16).ok()?;
    Some((number.parse().ok()?, rows.parse().ok()?))
}

/// Writes a whole file or none. Who asked for what is nobody else's business.
fn write(folder: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    whole::write(path, octets, whole::PRIVATE)
}
