//! dnstap in files: each is one whole stream, from START to STOP.
//!
//! A stream can't be continued, so that nothing is appended to a file that is there already; nor is it overwritten. It
//! is set aside: `x.dnstap` becomes `x.dnstap.1`, the next one `x.dnstap.2`, and so on, the newest with the highest
//! number. Files of such names are taken for this program's own, and the oldest of them go when there are too many. A
//! stream without a frame is not set aside but replaced, so that no good file makes way for it.

use super::frames::Control;
use crate::query_log::{identity::Identity, seldom::Seldom};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    time::Instant,
};

/// Who asked for what is for the owner and who reads logs, and nobody else.
const MODE: u32 = 0o640;
/// Octets of STOP.
const STOP_BYTES: u64 = 12;

/// When a file is full, and how many are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rotation {
    /// Octets of a file at most, unless a single batch has more. `None`: one file for as long as the program runs.
    pub rotate_bytes: Option<u64>,
    /// Files set aside that are kept, the newest. `None`: all.
    pub keep_files: Option<usize>,
}

/// Why there is no file to write to.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("what is there is no plain file, and is left alone")]
    NotAFile,
    #[error("what is there can't be set aside: {0}")]
    SetAside(io::Error),
    #[error("it can't be created: {0}")]
    Create(io::Error),
    #[error("it can't be written: {0}")]
    Write(#[from] io::Error),
}

/// A file that is being written, and those after it.
pub struct StreamFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    /// Octets of whole frames that are in it.
    bytes: u64,
    /// There may be part of a frame behind them.
    is_torn: bool,
    /// There is data in it.
    has_data: bool,
    identity: Identity,
    /// That there is no next file.
    told: Seldom,
}

impl StreamFile {
    /// Begins a file, after what is there was set aside.
    pub fn create(path: &Path, rotation: Rotation) -> Result<Self, FileError> {
        set_aside(path, rotation.keep_files)?;
        let open = OpenOptions::new().append(true).create_new(true).mode(MODE).open(path);
        let mut file = open.map_err(FileError::Create)?;
        let start = Control::Start.frame();
        if let Err(error) = file.write_all(&start) {
            // Or a full disk would fill with the beginnings of files, and push the good ones out.
            let _ = fs::remove_file(path);
            return Err(FileError::Write(error));
        }
        let (bytes, identity) = (start.len() as u64, Identity::of(&file.metadata()?));
        Ok(Self {
            path: path.to_owned(),
            rotation,
            file,
            bytes,
            is_torn: false,
            has_data: false,
            identity,
            told: Seldom::default(),
        })
    }

    /// Writes whole frames, to a new file if they don't fit. Where there can't be one, the full one goes on, which is
    /// told every now and then. After an error none of them is in the file, and the next may be tried.
    pub fn write(&mut self, frames: &[u8], now: Instant) -> Result<(), FileError> {
        let full = self.bytes.saturating_add(frames.len() as u64).saturating_add(STOP_BYTES);
        if self.has_data
            && self.rotation.rotate_bytes.is_some_and(|max| full > max)
            && let Err(error) = self.rotate()
            && self.told.is_due(now)
        {
            tracing::warn!(file = %self.path.display(), %error, "dnstap: there is no next file, and the full one goes on");
        }
        self.put(frames)?;
        self.has_data = true;
        Ok(())
    }

    /// True if the file is no longer where it was created.
    pub fn is_gone(&self) -> bool {
        self.identity.is_gone_from(&self.path)
    }

    /// Ends the stream.
    pub fn finish(mut self) -> io::Result<()> {
        self.put(&Control::Stop.frame())
    }

    /// Begins another file. Until there is one, this one goes on.
    fn rotate(&mut self) -> Result<(), FileError> {
        let next = Self::create(&self.path, self.rotation)?;
        let full = std::mem::replace(self, next);
        if let Err(error) = full.finish() {
            tracing::warn!(file = %self.path.display(), %error, "dnstap: the file set aside has no end mark");
        }
        Ok(())
    }

    fn put(&mut self, frames: &[u8]) -> io::Result<()> {
        self.mend()?;
        if let Err(error) = self.file.write_all(frames) {
            self.is_torn = true;
            // What fails now is tried again before the next frames.
            let _ = self.mend();
            return Err(error);
        }
        self.bytes += frames.len() as u64;
        Ok(())
    }

    /// Cuts off part of a frame: on a full disk, only some octets find room.
    fn mend(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.bytes)?;
            self.is_torn = false;
        }
        Ok(())
    }
}

/// Gives what stands at `path` the next number, and removes the oldest of those that have one.
fn set_aside(path: &Path, keep_files: Option<usize>) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::SetAside(error)),
        // A device, a pipe or a link is somebody's purpose.
        Ok(found) if !found.is_file() => return Err(FileError::NotAFile),
        Ok(found) if holds_nothing(path, found.len()) => return fs::remove_file(path).map_err(FileError::SetAside),
        Ok(_) => {}
    }
    let mut numbers = numbers(path).map_err(FileError::SetAside)?;
    let last = numbers.last().copied().unwrap_or_default();
    let next = last.checked_add(1).ok_or_else(|| FileError::SetAside(io::Error::other("there are no more numbers")))?;
    fs::rename(path, numbered(path, next)).map_err(FileError::SetAside)?;
    numbers.push(next);
    let surplus = keep_files.map_or(0, |keep| numbers.len().saturating_sub(keep));
    for number in &numbers[..surplus] {
        let file = numbered(path, *number);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) => tracing::warn!(file = %file.display(), %error, "dnstap: an old file can't be removed"),
        }
    }
    Ok(())
}

/// Whether a file is a stream without a frame, or the beginning of one.
fn holds_nothing(path: &Path, octets: u64) -> bool {
    let nothing = [Control::Start.frame(), Control::Stop.frame()].concat();
    let mut found = Vec::new();
    octets <= nothing.len() as u64
        && File::open(path).and_then(|file| file.take(octets).read_to_end(&mut found)).is_ok()
        && nothing.starts_with(&found)
}

/// The numbers of files set aside, the oldest first.
fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = path.file_name().unwrap_or_default().as_bytes();
    let mut numbers = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        let name = item.file_name();
        let number = name.as_bytes().strip_prefix(own).and_then(|rest| rest.strip_prefix(b"."));
        // As it would be written: no sign, no zero in front.
        let is_number = |text: &&[u8]| text.iter().all(u8::is_ascii_digit) && !text.starts_with(b"0");
        let number = number.filter(is_number).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        if let Some(number) = number
            && item.file_type().is_ok_and(|found| found.is_file())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.extend_from_slice(format!(".{number}").as_bytes());
    PathBuf::from(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::dnstap::frames::{Frames, put_data};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn batch(texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for text in texts {
            assert!(put_data(&mut out, |out| out.extend_from_slice(text.as_bytes())));
        }
        out
    }

    /// The frames of a whole stream, with spaces between.
    fn content(path: &Path) -> String {
        let frames = Frames::new(File::open(path).unwrap()).map(|frame| String::from_utf8(frame.unwrap()).unwrap());
        frames.collect::<Vec<_>>().join(" ")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_is_there_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        for text in ["a", "b", "c"] {
            let mut file = StreamFile::create(&path, Rotation::default()).unwrap();
            file.write(&batch(&[text, text]), Instant::now()).unwrap();
            file.finish().unwrap();
        }
        assert_eq!(names(folder.path()), ["x.dnstap", "x.dnstap.1", "x.dnstap.2"]);
        assert_eq!(content(&path), "c c");
        assert_eq!(content(&numbered(&path, 1)), "a a");
        assert_eq!(content(&numbered(&path, 2)), "b b");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !MODE, 0, "{mode:o}");
    }

    #[test]
    fn full_files_make_room_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        // Not ours, by their names or by what they are.
        let others = ["x.dnstap.07", "x.dnstap.old", "x.dnstap.", "x.dnstap.+1", "y.dnstap.1"];
        for name in others {
            fs::write(folder.path().join(name), "other").unwrap();
        }
        fs::create_dir(folder.path().join("x.dnstap.900")).unwrap();
        fs::write(numbered(&path, 9), "old").unwrap();
        // START, STOP and two frames of ten octets.
        let rotation = Rotation { rotate_bytes: Some(42 + 12 + 2 * 14), keep_files: Some(2) };
        let mut file = StreamFile::create(&path, rotation).unwrap();
        for number in 0..7 {
            file.write(&batch(&[&format!("{number:010}")]), Instant::now()).unwrap();
        }
        file.finish().unwrap();
        assert_eq!(content(&numbered(&path, 11)), "0000000002 0000000003");
        assert_eq!(content(&numbered(&path, 12)), "0000000004 0000000005");
        assert_eq!(content(&path), "0000000006");
        let left: Vec<_> = names(folder.path()).into_iter().filter(|name| !others.contains(&name.as_str())).collect();
        assert_eq!(left, ["x.dnstap", "x.dnstap.11", "x.dnstap.12", "x.dnstap.900"]);
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn a_batch_larger_than_a_file_has_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let mut file = StreamFile::create(&path, Rotation { rotate_bytes: Some(1), keep_files: None }).unwrap();
        for text in ["a", "b"] {
            file.write(&batch(&[text]), Instant::now()).unwrap();
        }
        file.finish().unwrap();
        assert_eq!(names(folder.path()), ["x.dnstap", "x.dnstap.1"]);
        assert_eq!((content(&numbered(&path, 1)), content(&path)), ("a".to_owned(), "b".to_owned()));
    }

    #[test]
    fn what_is_no_plain_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), folder.path(), &link] {
            let created = StreamFile::create(path, Rotation::default());
            assert!(matches!(created, Err(FileError::NotAFile)), "{}", path.display());
        }
        let nowhere = StreamFile::create(&folder.path().join("none/x.dnstap"), Rotation::default());
        assert!(matches!(nowhere, Err(FileError::Create(_))));
        assert_eq!(names(folder.path()), ["link"]);
    }

    #[test]
    fn a_failed_write_leaves_no_half_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let mut file = StreamFile::create(&path, Rotation::default()).unwrap();
        file.write(&batch(&["a"]), Instant::now()).unwrap();
        // The disk is full, in effect: what was written before it was is there, and nothing else can be done.
        fs::write(&path, [fs::read(&path).unwrap(), b"\0\0\0\x09hal".to_vec()].concat()).unwrap();
        let good = std::mem::replace(&mut file.file, File::open(&path).unwrap());
        assert!(file.write(&batch(&["lost"]), Instant::now()).is_err());
        assert!(file.write(&batch(&["lost"]), Instant::now()).is_err());
        file.file = good;
        file.write(&batch(&["b"]), Instant::now()).unwrap();
        file.finish().unwrap();
        assert_eq!(content(&path), "a b");
    }

    #[test]
    fn without_a_next_file_the_full_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let mut file = StreamFile::create(&path, Rotation { rotate_bytes: Some(1), keep_files: None }).unwrap();
        file.write(&batch(&["a"]), Instant::now()).unwrap();
        // Something else stands at its place for a while.
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        file.write(&batch(&["b"]), Instant::now()).unwrap();
        file.write(&batch(&["c"]), Instant::now()).unwrap();
        fs::remove_dir(&path).unwrap();
        file.write(&batch(&["d"]), Instant::now()).unwrap();
        file.finish().unwrap();
        assert_eq!((content(&moved), content(&path)), ("a b c".to_owned(), "d".to_owned()));
    }

    #[test]
    fn a_file_without_a_frame_takes_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let (start, stop) = (Control::Start.frame(), Control::Stop.frame());
        fs::write(numbered(&path, 1), "good").unwrap();
        let rotation = Rotation { rotate_bytes: None, keep_files: Some(1) };
        for nothing in [&b""[..], &start[..9], &start, &[&start[..], &stop].concat()] {
            fs::write(&path, nothing).unwrap();
            StreamFile::create(&path, rotation).unwrap().finish().unwrap();
            assert_eq!(names(folder.path()), ["x.dnstap", "x.dnstap.1"]);
        }
        fs::write(&path, "something else").unwrap();
        StreamFile::create(&path, rotation).unwrap();
        assert_eq!(names(folder.path()), ["x.dnstap", "x.dnstap.2"]);
    }
}
