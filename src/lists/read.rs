//! Reads a file in pieces, so that what was read is what stood there: all of it, from one moment. A long list is never
//! in memory as a whole.

use crate::watch::Stamp;
use ring::digest::{Context, SHA256, digest};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime},
};

/// Octets of the longest list read: forty million names.
pub const LIST_BYTES_MAX: u64 = 1 << 30;
/// Octets read at once, and written where a copy is made: enough that the system call costs little beside what is done
/// with them, and no more, for many a kernel interrupts none. To read 256 KiB took it 80 us, and to write them 400 to 700,
/// for which a packet waited that came to the same processor.
const PIECE_BYTES: usize = 32 << 10;
/// Octets of a line that are shown to a person; no rule is longer.
const LINE_BYTES_MAX: usize = 4096;

/// What is known of a file that was read, besides the text.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The stamp it had before, during and after.
    pub stamp: Stamp,
    /// False if it was written so shortly before that another write might leave the same stamp: then the stamp is not
    /// to be trusted once.
    pub settled: bool,
    /// See `version_of`.
    pub version: u64,
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

/// Tells one text from another: the first eight octets of its SHA-256, whose sixteen hexadecimal digits are the first
/// that `sha256sum` prints.
pub fn version_of(text: &[u8]) -> u64 {
    first_octets(digest(&SHA256, text).as_ref())
}

/// A version as people compare it.
pub fn shown_version(version: u64) -> String {
    format!("{version:016x}")
}

fn first_octets(digest: &[u8]) -> u64 {
    u64::from_be_bytes(*digest.first_chunk().expect("a SHA-256 has thirty-two octets"))
}

/// Reads a whole file, once, and hands it over piece by piece. What was handed over counts only if this succeeds.
pub fn read(path: &Path, take: &mut dyn FnMut(&[u8])) -> Result<Reading, ReadFailure> {
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
    let (length, version) = hand_over(&file, take).map_err(ReadFailure::Io)?;
    let same_file = file.metadata().map_err(ReadFailure::Io).map(|after| Stamp::from(&after) == before)?;
    // The path must still lead to the file that was read, not to one renamed into its place.
    let same_path = Stamp::of(path).is_ok_and(|after| after == before);
    if !same_file || !same_path || length != before.length() {
        return Err(ReadFailure::Changing);
    }
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    Ok(Reading { stamp: before, settled: age.is_some_and(|age| age > CLOCK_TICK), version })
}

/// Hands over what can be read, to the bound; returns its length and version.
fn hand_over(from: impl Read, take: &mut dyn FnMut(&[u8])) -> io::Result<(u64, u64)> {
    let mut from = from.take(LIST_BYTES_MAX);
    let (mut piece, mut length, mut hash) = (vec![0; PIECE_BYTES], 0, Context::new(&SHA256));
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok((length, first_octets(hash.finish().as_ref()))),
            Ok(octets) => {
                length += octets as u64;
                hash.update(&piece[..octets]);
                take(&piece[..octets]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The line of a file with this number (from 1), if the file is still the text of that version.
pub fn line_of(path: &Path, version: u64, line: u32) -> Option<Vec<u8>> {
    let mut finder = LineFinder { newlines_left: line.checked_sub(1)?, line: Vec::new(), is_whole: false };
    let reading = read(path, &mut |piece| finder.feed(piece)).ok()?;
    (reading.version == version).then_some(finder.line)
}

/// Picks one line out of a text that comes in pieces.
struct LineFinder {
    newlines_left: u32,
    line: Vec<u8>,
    is_whole: bool,
}

impl LineFinder {
    fn feed(&mut self, mut piece: &[u8]) {
        while self.newlines_left > 0 {
            let Some(newline) = piece.iter().position(|&octet| octet == b'\n') else {
                return;
            };
            piece = &piece[newline + 1..];
            self.newlines_left -= 1;
        }
        if self.is_whole {
            return;
        }
        let end = piece.iter().position(|&octet| octet == b'\n');
        self.is_whole = end.is_some();
        let room = LINE_BYTES_MAX - self.line.len();
        let own = &piece[..end.unwrap_or(piece.len())];
        self.line.extend_from_slice(&own[..own.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_sha256sum_prints() {
        assert_eq!(shown_version(version_of(b"")), "e3b0c44298fc1c14");
        assert_eq!(shown_version(version_of(b"abc")), "ba7816bf8f01cfea");
    }

    #[test]
    fn a_file_is_read_in_pieces_and_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.list");
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &text).unwrap();
            let mut seen = Vec::new();
            let reading = read(&path, &mut |piece| {
                assert!(piece.len() <= PIECE_BYTES);
                seen.extend_from_slice(piece);
            });
            assert_eq!(seen, text, "{length}");
            assert_eq!(reading.unwrap().version, version_of(&text), "{length}");
        }
    }

    #[test]
    fn what_changes_meanwhile_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.list");
        std::fs::write(&path, "one\n").unwrap();
        for change in [
            (|path| std::fs::write(path, "one\ntwo\n").unwrap()) as fn(&Path),
            |path| {
                std::fs::write(path.with_extension("new"), "two\n").unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            },
            |path| std::fs::remove_file(path).unwrap(),
        ] {
            let failure = read(&path, &mut |_| change(&path)).unwrap_err();
            assert!(matches!(failure, ReadFailure::Changing), "{failure:?}");
        }
        assert!(matches!(read(&path, &mut |_| {}), Err(ReadFailure::Io(_))), "gone");
        assert!(matches!(read(folder.path(), &mut |_| {}), Err(ReadFailure::Io(_))), "a folder");
    }

    #[test]
    fn a_line_is_found_in_the_right_text_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.list");
        let long = "x".repeat(2 * PIECE_BYTES);
        let text = format!("one\n\n{long}\nlast");
        std::fs::write(&path, &text).unwrap();
        let version = version_of(text.as_bytes());
        for (line, expected) in [(1, "one"), (2, ""), (3, &long[..LINE_BYTES_MAX]), (4, "last"), (5, "")] {
            assert_eq!(line_of(&path, version, line).unwrap(), expected.as_bytes(), "{line}");
        }
        assert_eq!(line_of(&path, version, 0), None);
        assert_eq!(line_of(&path, version + 1, 1), None);
    }
}
