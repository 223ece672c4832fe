//! The files of the audit log: the one that is written, and those that were put aside before it.

use super::{AT_HAND, FILES_KEPT, Line, TAIL_BYTES};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A process may have ended, or a disk been full, in the middle of a line: the next begins on its own.
pub fn end_half_line(file: &mut File) -> io::Result<()> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}

/// The file that was put aside so many times; the newest is 0.
pub fn aside(path: &Path, number: usize) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            name.into()
        }
    }
}

pub fn put_aside(path: &Path) -> io::Result<()> {
    for number in (0..FILES_KEPT).rev() {
        match fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The last lines of a file; none if it can't be read. Lines that can't be read are passed over.
pub fn lines_at_end(path: &Path) -> Vec<Line> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().unwrap_or_default();
    let lines = text.rsplit(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut lines: Vec<Line> = lines.take(AT_HAND).collect();
    lines.reverse();
    lines
}
