//! Room for the index of the journal, the file `-shm`.
//!
//! SQLite maps it, and makes it longer by one octet for every 4 KiB. Where blocks are smaller the rest are holes, and a store
//! into one ends the process (SIGBUS) when the disk is full. So it is opened only where there is room for what is made of
//! the journal then, and its holes are filled before rows are written.

use super::bounds;
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};
use rusqlite::{Error, ffi};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Octets by which the index grows, and frames of the journal that one such piece is sure to tell of (its first tells of 4062).
const PIECE_BYTES: u64 = 32 << 10;
const PIECE_FRAMES: u64 = 4062;
/// Octets of a page of the database, at least: no frame of the journal is shorter.
const PAGE_BYTES: u64 = 4096;
/// Octets of a block in which file systems count.
const BLOCK_BYTES: u64 = 512;

/// Files that were filled. POSIX has a process lose its locks on a file when it closes any descriptor of it, and SQLite's locks
/// tell other processes not to cut the index off: so they stay open until nobody can find them.
static FILLED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Octets of the index of a journal of so many octets.
fn octets(journal: u64) -> u64 {
    (journal / PAGE_BYTES / PIECE_FRAMES + 1) * PIECE_BYTES
}

/// Fails as on a full disk if there is no room for the index that is made when the database is opened, and one piece more.
/// What there is of one counts as room: it is cut off then, unless somebody has it open, and then none is made.
pub(super) fn has_room(path: &Path) -> rusqlite::Result<()> {
    let there = fs::metadata(bounds::beside(path, "-shm")).map_or(0, |file| file.blocks() * BLOCK_BYTES);
    let journal = fs::metadata(bounds::journal(path)).map_or(0, |file| file.len());
    let free = path.parent().and_then(bounds::free).unwrap_or(u64::MAX);
    if free.saturating_add(there) >= octets(journal) + PIECE_BYTES { Ok(()) } else { Err(full()) }
}

/// Fills the holes of the index of a database that is open, for a journal of so many octets, or as long as it is now, and of
/// what one transaction adds. Does nothing where file systems can't.
///
/// # Errors
/// As on a full disk: nothing may be written then.
pub(super) fn fill(path: &Path, journal: u64) -> rusqlite::Result<()> {
    let place = bounds::beside(path, "-shm");
    let Ok(there) = fs::metadata(&place) else { return Ok(()) };
    let now = fs::metadata(bounds::journal(path)).map_or(0, |file| file.len());
    let wanted = (octets(journal.max(now)) + PIECE_BYTES).max(there.len());
    if there.blocks() * BLOCK_BYTES >= wanted {
        return Ok(());
    }
    let mut filled = FILLED.lock().unwrap_or_else(PoisonError::into_inner);
    filled.retain(|file| file.metadata().is_ok_and(|file| file.nlink() > 0));
    let is_there = |file: &File| file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()));
    let number = match filled.iter().position(is_there) {
        Some(number) => number,
        None => {
            let Ok(file) = File::options().write(true).open(&place) else { return Ok(()) };
            filled.push(file);
            filled.len() - 1
        }
    };
    match fallocate(&filled[number], FallocateFlags::empty(), 0, wanted as i64) {
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(full()),
        // A file system that can't is used as it is.
        _ => Ok(()),
    }
}

fn full() -> Error {
    let why = "the disk is full: no room for the index of its journal";
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), Some(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_so_many_octets() {
        for (journal, pieces) in [(0, 1), (4096 * 4061, 1), (4096 * 4062, 2), (64 << 20, 5)] {
            assert_eq!(octets(journal), pieces * PIECE_BYTES, "{journal}");
        }
    }

    #[test]
    fn holes_are_filled_and_the_file_stays_open_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.db");
        fill(&path, 0).unwrap();
        let index = bounds::beside(&path, "-shm");
        assert!(!index.exists(), "it is SQLite's to make it");
        File::create(&index).unwrap().set_len(PIECE_BYTES).unwrap();
        fill(&path, 64 << 20).unwrap();
        let file = fs::metadata(&index).unwrap();
        assert_eq!(file.len(), 6 * PIECE_BYTES);
        assert!(file.blocks() * BLOCK_BYTES >= file.len(), "{} blocks", file.blocks());
        let is_held = || {
            let held = FILLED.lock().unwrap();
            held.iter().any(|held| held.metadata().unwrap().ino() == file.ino())
        };
        assert!(is_held());
        fs::remove_file(&index).unwrap();
        File::create(&index).unwrap();
        fill(&path, 0).unwrap();
        assert!(!is_held());
    }
}
