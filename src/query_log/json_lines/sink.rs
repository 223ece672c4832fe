//! Lines of JSON to standard output, to a pipe, or to a file that is put aside when it is large.

use super::{
    super::{
        drain::{Full, Sink},
        identity::Identity,
        seldom::Seldom,
    },
    JsonRow,
};
use crate::config::{JsonLines, JsonTarget};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Instant,
};

/// Who asked for what is for the owner and who reads logs, and nobody else.
const MODE: u32 = 0o640;

/// Writes the lines.
pub(in crate::query_log) struct JsonSink {
    instance: String,
    output: Output,
    lines: Vec<u8>,
    /// Whether the last write failed: it is said once.
    failing: bool,
    /// The file was removed or moved away.
    has_lost_file: bool,
}

enum Output {
    /// Standard output by a descriptor of our own: whoever writes to the usual one holds a lock meanwhile, and where nobody
    /// reads that would be for good. The end of the process waits for that lock.
    Stdout(File),
    File(Rotated),
}

/// A file that is put aside when it is large. Another process may write to it too, while it takes over: lines are
/// appended, and nothing is ever cut off.
struct Rotated {
    path: PathBuf,
    file: Option<Opened>,
    bytes: u64,
    files: usize,
    /// That it can't be put aside.
    told: Seldom,
}

struct Opened {
    file: File,
    /// A file on disk, and no pipe or device, of which there is only one.
    is_plain: bool,
    /// The last line has no end: its writing failed half way.
    is_torn: bool,
    /// Octets in it.
    written: u64,
    identity: Identity,
}

impl JsonSink {
    pub fn new(lines: &JsonLines, instance: &str) -> io::Result<Self> {
        let output = match &lines.to {
            JsonTarget::Stdout => Output::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()),
            JsonTarget::File(path) => {
                let (path, told) = (path.clone(), Seldom::default());
                let mut file = Rotated { path, file: None, bytes: lines.bytes, files: lines.files, told };
                // What can't be written is found out while somebody is looking. A pipe may get its reader later.
                if !file.is_pipe() {
                    let at_fault =
                        |error| io::Error::other(format!("{} can't be written: {error}", file.path.display()));
                    file.file = Some(Opened::open(&file.path).map_err(at_fault)?);
                }
                Output::File(file)
            }
        };
        let instance = instance.to_owned();
        Ok(Self { instance, output, lines: Vec::new(), failing: false, has_lost_file: false })
    }
}

impl Sink for JsonSink {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        self.lines.clear();
        // As the database has them: threads hand in theirs one after the other.
        let mut in_order: Vec<_> = rows.iter().collect();
        in_order.sort_by_key(|full| full.row.time);
        for full in in_order {
            // Writing to memory doesn't fail.
            let _ = serde_json::to_writer(&mut self.lines, &JsonRow::of(&full.row, &self.instance));
            self.lines.push(b'\n');
        }
        let (written, result) = match &mut self.output {
            Output::Stdout(output) => match output.write_all(&self.lines) {
                Ok(()) => (self.lines.len(), Ok(())),
                Err(error) => (0, Err(error)),
            },
            Output::File(file) => file.write(&self.lines, Instant::now()),
        };
        let failing = result.is_err();
        if let Err(error) = result
            && !self.failing
        {
            tracing::warn!(%error, "query_log.json: lines can't be written and are dropped");
        }
        self.failing = failing;
        let lines = self.lines[..written].iter().filter(|octet| **octet == b'\n').count();
        (rows.len() - lines) as u64
    }

    fn tick(&mut self) {
        if let Output::File(file) = &mut self.output
            && file.let_go_if_gone()
        {
            self.has_lost_file = true;
        }
    }

    fn has_lost_file(&mut self) -> bool {
        std::mem::take(&mut self.has_lost_file)
    }
}

impl Rotated {
    fn is_pipe(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.file_type().is_fifo())
    }

    fn open(&mut self) -> io::Result<&mut Opened> {
        if self.file.is_none() {
            self.file = Some(Opened::open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is not open"))
    }

    /// Closes a file that is no longer where it was opened; the next lines begin another. Says whether it was so.
    fn let_go_if_gone(&mut self) -> bool {
        let is_gone = |file: &Opened| file.is_plain && file.identity.is_gone_from(&self.path);
        if !self.file.as_ref().is_some_and(is_gone) {
            return false;
        }
        let file = self.path.display();
        tracing::warn!(%file, "query_log.json: the file was removed or moved away; the next lines begin another");
        self.file = None;
        true
    }

    /// Says how many octets were written, and why not all.
    fn write(&mut self, lines: &[u8], now: Instant) -> (usize, io::Result<()>) {
        let mut count = 0;
        while let Some(rest) = lines.get(count..).filter(|rest| !rest.is_empty()) {
            let (written, result) = match self.room_for(rest, now) {
                Ok((file, fits)) => file.append(&rest[..fits]),
                Err(error) => (0, Err(error)),
            };
            count += written;
            if result.is_err() {
                self.file = None;
                return (count, result);
            }
        }
        (count, Ok(()))
    }

    /// The file that is to be written to, and how many octets of the lines, one at least: whole lines, as many as it has room
    /// for; another, if it has none.
    fn room_for(&mut self, lines: &[u8], now: Instant) -> io::Result<(&mut Opened, usize)> {
        let bytes = self.bytes;
        let mut fits = self.open()?.fits(lines, bytes);
        if fits == 0 {
            match self.put_aside() {
                // A line that is longer than a file may be has one to itself.
                Ok(()) => fits = self.open()?.fits(lines, bytes).max(first_line(lines)),
                // A file that is too large is better than none.
                Err(error) => {
                    if self.told.is_due(now) {
                        let file = self.path.display();
                        tracing::warn!(%file, %error, "query_log.json: the full file can't be put aside, and goes on");
                    }
                    fits = lines.len();
                }
            }
        }
        Ok((self.open()?, fits))
    }

    /// The file becomes the first that was put aside, that the second, and the last is gone. If that fails, it is still
    /// written to.
    fn put_aside(&mut self) -> io::Result<()> {
        for number in (1..self.files).rev() {
            let from = if number == 1 { self.path.clone() } else { numbered(&self.path, number - 1) };
            match fs::rename(from, numbered(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.files == 1 {
            fs::remove_file(&self.path)?;
        }
        self.file = None;
        Ok(())
    }
}

/// Octets of the first line, with its end.
fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|octet| *octet == b'\n').map_or(lines.len(), |end| end + 1)
}

impl Opened {
    /// Opens what is there, or a new file. Of a pipe without a reader, that is an error at once.
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(MODE).custom_flags(OFlag::O_NONBLOCK.bits());
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        let (is_plain, written) = (metadata.is_file(), metadata.len());
        if !is_plain {
            // From here on a slow reader is waited for.
            fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
        }
        let is_torn = is_plain && !ends_with_a_line(path, written);
        Ok(Self { file, is_plain, is_torn, written, identity: Identity::of(&metadata) })
    }

    /// How many octets of the lines there is room for: whole lines; if the file is empty, the first at least.
    fn fits(&self, lines: &[u8], bytes: u64) -> usize {
        let room = usize::try_from(bytes.saturating_sub(self.written)).unwrap_or(usize::MAX);
        if !self.is_plain || lines.len() <= room {
            return lines.len();
        }
        let whole = lines[..room].iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
        if self.written == 0 { whole.max(first_line(lines)) } else { whole }
    }

    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.is_torn {
            // Half a line would spoil the next.
            if let Err(error) = self.file.write_all(b"\n") {
                return (0, Err(error));
            }
            (self.is_torn, self.written) = (false, self.written + 1);
        }
        let mut count = 0;
        while let Some(rest) = lines.get(count..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (count, Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => (count, self.written) = (count + written, self.written + written as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (count, Err(error)),
            }
        }
        (count, Ok(()))
    }
}

/// Whether the last line of a file has its end, as far as that can be found out.
fn ends_with_a_line(path: &Path, octets: u64) -> bool {
    let Some(last) = octets.checked_sub(1) else { return true };
    let mut octet = [0];
    match File::open(path).and_then(|file| file.read_at(&mut octet, last)) {
        Ok(1) => octet == *b"\n",
        _ => true,
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::Row;
    use nix::{
        fcntl::SealFlag,
        sys::{
            memfd::{MFdFlags, memfd_create},
            stat::Mode,
        },
        unistd::mkfifo,
    };
    use std::{io::Read, sync::mpsc, thread, time::Duration};

    fn sink(path: &Path, bytes: u64, files: usize) -> JsonSink {
        JsonSink::new(&JsonLines { to: JsonTarget::File(path.to_owned()), bytes, files }, "").unwrap()
    }

    fn write(sink: &mut JsonSink, name: &str) -> u64 {
        let row = Row { name: name.to_owned(), ..Row::default() };
        sink.write(vec![Full::bare(row)])
    }

    /// The names in whole lines, and other lines as they are.
    fn names(text: &str) -> Vec<String> {
        let name = |line| serde_json::from_str::<JsonRow<'_>>(line).map(|row| row.name.into_owned());
        text.lines().map(|line| name(line).unwrap_or_else(|_| line.to_owned())).collect()
    }

    fn content(path: &Path) -> Vec<String> {
        names(&fs::read_to_string(path).unwrap())
    }

    /// As in the database: whoever reads either has the same before him.
    #[test]
    fn rows_that_come_together_stand_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let mut sink = sink(&path, 1 << 20, 2);
        let row = |(name, time): (&str, i64)| Full::bare(Row { name: name.to_owned(), time, ..Row::default() });
        assert_eq!(sink.write([("c", 3), ("a", 1), ("d", 3), ("b", 2)].map(row).into()), 0);
        assert_eq!(content(&path), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_full_file_is_put_aside_and_goes_on_where_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let mut sink = sink(&path, 1, 2);
        assert_eq!((write(&mut sink, "a"), write(&mut sink, "b")), (0, 0));
        assert_eq!((content(&path), content(&numbered(&path, 1))), (vec!["b".to_owned()], vec!["a".to_owned()]));
        // Something else stands at the place of the file that is put aside.
        fs::remove_file(numbered(&path, 1)).unwrap();
        fs::create_dir(numbered(&path, 1)).unwrap();
        assert_eq!((write(&mut sink, "c"), write(&mut sink, "d")), (0, 0));
        assert_eq!(content(&path), ["b", "c", "d"]);
        fs::remove_dir(numbered(&path, 1)).unwrap();
        assert_eq!(write(&mut sink, "e"), 0);
        assert_eq!(content(&path), ["e"]);
        assert_eq!(content(&numbered(&path, 1)), ["b", "c", "d"]);
    }

    /// However many rows are written at once; but for a line that is longer, which has a file to itself.
    #[test]
    fn no_file_is_larger_than_it_may_be() {
        const BYTES: u64 = 1000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let mut sink = sink(&path, BYTES, 100);
        let long = "x".repeat(2000);
        let wanted: Vec<String> =
            (0..40).map(|number| if number == 20 { long.clone() } else { number.to_string() }).collect();
        for part in wanted.chunks(16) {
            let rows = part.iter().map(|name| Full::bare(Row { name: name.clone(), ..Row::default() }));
            assert_eq!(sink.write(rows.collect()), 0);
        }
        let files: Vec<PathBuf> = (1..100).rev().map(|number| numbered(&path, number)).chain([path.clone()]).collect();
        let mut found = Vec::new();
        for file in files.iter().filter(|file| file.exists()) {
            let (octets, names) = (fs::metadata(file).unwrap().len(), content(file));
            assert!(octets <= BYTES || names == [long.as_str()], "{octets} octets: {names:?}");
            found.extend(names);
        }
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_file_that_is_gone_is_let_go_and_another_begins() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("x.json"), folder.path().join("moved"));
        let mut sink = sink(&path, 1 << 20, 2);
        let look = |sink: &mut JsonSink| {
            sink.tick();
            sink.has_lost_file()
        };
        assert_eq!((write(&mut sink, "a"), look(&mut sink)), (0, false));
        fs::rename(&path, &moved).unwrap();
        assert_eq!((look(&mut sink), look(&mut sink)), (true, false), "it is told once");
        assert_eq!((write(&mut sink, "b"), look(&mut sink)), (0, false));
        assert_eq!((content(&moved), content(&path)), (vec!["a".to_owned()], vec!["b".to_owned()]));
        fs::remove_file(&path).unwrap();
        assert!(look(&mut sink));
        assert_eq!((write(&mut sink, "c"), content(&path)), (0, vec!["c".to_owned()]));
    }

    #[test]
    fn half_a_line_is_ended_and_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        fs::write(&path, "{\"time\":").unwrap();
        let mut sink = sink(&path, 1 << 20, 2);
        assert_eq!((write(&mut sink, "a"), write(&mut sink, "b")), (0, 0));
        assert_eq!(content(&path), ["{\"time\":", "a", "b"]);
    }

    #[test]
    fn a_failed_write_cuts_nothing_of_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = sink(&folder.path().join("x.json"), 1 << 20, 2);
        // A disk that is full: it takes nothing, and whatever is in the file may be cut off.
        let file = File::from(memfd_create("full", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        (&file).write_all(b"mine\nof another process\n").unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
        let Output::File(output) = &mut sink.output else { panic!("a file") };
        let full = file.try_clone().unwrap();
        let identity = Identity::of(&full.metadata().unwrap());
        output.file = Some(Opened { file: full, is_plain: true, is_torn: false, written: 5, identity });
        assert_eq!(write(&mut sink, "lost"), 1);
        let mut octets = [0; 64];
        let count = file.read_at(&mut octets, 0).unwrap();
        assert_eq!(names(std::str::from_utf8(&octets[..count]).unwrap()), ["mine", "of another process"]);
        assert_eq!(write(&mut sink, "kept"), 0, "it is opened again");
    }

    #[test]
    fn a_pipe_is_waited_for_by_nobody_and_never_put_aside() {
        const ROWS: usize = 2000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let (sender, started) = mpsc::channel();
        let own = path.clone();
        thread::spawn(move || drop(sender.send(sink(&own, 1, 2))));
        let mut sink = started.recv_timeout(Duration::from_secs(30)).expect("it starts without a reader");
        assert_eq!(write(&mut sink, "lost"), 1);
        // More than a pipe holds.
        let mut reader = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path).unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let writing = thread::spawn(move || (0..ROWS).map(|number| write(&mut sink, &number.to_string())).sum::<u64>());
        let mut text = String::new();
        let until = Instant::now() + Duration::from_secs(60);
        while text.matches('\n').count() < ROWS {
            assert!(Instant::now() < until, "{text}");
            let mut octets = [0; 4096];
            let count = reader.read(&mut octets).unwrap();
            text.push_str(std::str::from_utf8(&octets[..count]).unwrap());
            assert!(count > 0 || !writing.is_finished(), "it ended too early");
        }
        assert_eq!(writing.join().unwrap(), 0);
        assert_eq!(names(&text), (0..ROWS).map(|number| number.to_string()).collect::<Vec<_>>());
        assert!(!numbered(&path, 1).exists());
    }
}
