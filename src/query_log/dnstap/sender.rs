//! Sends frames to where they are wanted, a batch at a time, and begins again when what was there is gone.
//!
//! Whoever owns an [`Output`] tells it the time and counts what it lost. It never sleeps: until it is time to try
//! again, frames are lost without being encoded. A call may wait for a collector, though, as long as the bounds in
//! `connect` say, so that it belongs on a thread of its own.

use super::{
    connect::{connect_tcp, connect_unix},
    file::{FileError, Rotation, StreamFile},
    frames::{self, StreamError},
};
use crate::config::DnstapTarget;
use socket2::Socket;
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// Octets that are written together. Larger batches save nothing; smaller ones cost a system call each.
const BATCH_BYTES: usize = 64 << 10;
/// Until a lost target is tried again: twice as long each time, until something was written.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A target, and the frames on their way there.
pub struct Output {
    target: DnstapTarget,
    rotation: Rotation,
    sink: Option<Sink>,
    /// Whole frames, and how many they are.
    batch: Vec<u8>,
    frames: u64,
    /// Not to be tried before. `None`: at once.
    due: Option<Instant>,
    pause: Duration,
    /// Why nothing can be written.
    trouble: Option<String>,
    /// Since there is trouble.
    lost: u64,
}

/// What is written to.
enum Sink {
    File(StreamFile),
    Socket(Socket),
}

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no agreement: {0}")]
    Handshake(#[from] StreamError),
    #[error("the connection is lost: {0}")]
    Lost(io::Error),
}

impl Output {
    /// An output that connects when it is first given the time, and begins a file with the first frames: a process that
    /// has nothing to write yet, and perhaps never will, takes no running one's file away.
    pub fn new(target: DnstapTarget, rotation: Rotation) -> Self {
        let (batch, pause) = (Vec::with_capacity(BATCH_BYTES), PAUSE_MIN);
        Self { target, rotation, sink: None, batch, frames: 0, due: None, pause, trouble: None, lost: 0 }
    }

    /// Where it goes.
    pub fn target(&self) -> &DnstapTarget {
        &self.target
    }

    /// Why nothing can be written, if so, in words for the owner.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes a frame, which `write` appends to what it is given. Writes when the batch is full. Returns how many frames
    /// were lost.
    #[must_use = "lost frames are counted"]
    pub fn put(&mut self, now: Instant, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        if self.sink.is_none() && !self.is_due(now) {
            return self.lose(1);
        }
        if !frames::put_data(&mut self.batch, write) {
            return self.lose(1);
        }
        self.frames += 1;
        if self.batch.len() < BATCH_BYTES { 0 } else { self.flush(now) }
    }

    /// Writes the frames that wait, and opens the target if that is due; to be called every now and then, even without
    /// frames. Returns how many frames were lost. It is a guess where a connection is lost: some of the last batch may
    /// have arrived, and some of the batch before may not, since nothing in the protocol tells.
    #[must_use = "lost frames are counted"]
    pub fn flush(&mut self, now: Instant) -> u64 {
        let is_wanted = self.frames > 0 || !matches!(self.target, DnstapTarget::File(_));
        if self.sink.is_none() && is_wanted && self.is_due(now) {
            match open(&self.target, self.rotation) {
                Ok(sink) => {
                    self.sink = Some(sink);
                    self.recover();
                }
                Err(error) => self.fail(now, &error),
            }
        }
        if self.frames == 0 {
            return 0;
        }
        let written = match &mut self.sink {
            None => None,
            Some(Sink::File(file)) => Some(file.write(&self.batch, now).map_err(OutputError::from)),
            Some(Sink::Socket(socket)) => Some(socket.write_all(&self.batch).map_err(OutputError::Lost)),
        };
        self.batch.clear();
        let frames = std::mem::take(&mut self.frames);
        match written {
            Some(Ok(())) => {
                self.pause = PAUSE_MIN;
                self.recover();
                0
            }
            Some(Err(error)) => {
                // A file is whole as it is, and the next batch may find room. On a connection half a frame may be.
                if matches!(self.sink, Some(Sink::Socket(_))) {
                    self.sink = None;
                }
                self.fail(now, &error);
                self.lose(frames)
            }
            None => self.lose(frames),
        }
    }

    /// Writes the frames that wait and ends the stream. Returns how many frames were lost.
    #[must_use = "lost frames are counted"]
    pub fn stop(mut self, now: Instant) -> u64 {
        let lost = if self.frames == 0 { 0 } else { self.flush(now) };
        let ended = match self.sink.take() {
            None => Ok(()),
            Some(Sink::File(file)) => file.finish().map_err(|error| error.to_string()),
            Some(Sink::Socket(mut socket)) => frames::close_stream(&mut socket).map_err(|error| error.to_string()),
        };
        if let Err(error) = ended {
            tracing::warn!(to = %self.target, error, "dnstap: the stream has no proper end");
        }
        lost
    }

    /// Ends a file that was removed or moved away, wherever it is now; the next frames begin another. Says whether it was so.
    pub fn let_go_if_gone(&mut self) -> bool {
        if !matches!(&self.sink, Some(Sink::File(file)) if file.is_gone()) {
            return false;
        }
        tracing::warn!(to = %self.target, "dnstap: the file was removed or moved away; the next frames begin another");
        if let Some(Sink::File(file)) = self.sink.take()
            && let Err(error) = file.finish()
        {
            tracing::warn!(to = %self.target, %error, "dnstap: the stream has no proper end");
        }
        true
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    fn lose(&mut self, frames: u64) -> u64 {
        self.lost += frames;
        frames
    }

    /// Says so once, however often it is tried.
    fn fail(&mut self, now: Instant, error: &OutputError) {
        if self.trouble.is_none() {
            tracing::warn!(to = %self.target, %error, "dnstap: nothing can be written");
        }
        self.trouble = Some(error.to_string());
        if self.sink.is_none() {
            self.due = Some(now + self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }

    fn recover(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if self.trouble.take().is_some() {
            tracing::info!(to = %self.target, lost, "dnstap: written again");
        }
    }
}

fn open(target: &DnstapTarget, rotation: Rotation) -> Result<Sink, OutputError> {
    let mut socket = match target {
        DnstapTarget::File(path) => return Ok(Sink::File(StreamFile::create(path, rotation)?)),
        DnstapTarget::Unix(path) => connect_unix(path),
        DnstapTarget::Tcp(place) => connect_tcp(place),
    }
    .map_err(OutputError::Connect)?;
    frames::open_stream(&mut socket)?;
    Ok(Sink::Socket(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::dnstap::frames::{Control, Frames};
    use std::{
        fs::{self, File},
        io::Read,
        net::TcpListener,
        os::unix::net::{UnixListener, UnixStream},
        thread,
    };

    /// Puts a frame in, which must not be lost.
    fn put(output: &mut Output, now: Instant, text: &str) {
        assert_eq!(output.put(now, |out| out.extend_from_slice(text.as_bytes())), 0);
    }

    /// Plays the collector: greets, and reads until STOP, which it answers.
    fn collect(mut peer: impl Read + Write) -> Vec<u8> {
        let mut octets = vec![0; Control::Ready.frame().len()];
        peer.read_exact(&mut octets).unwrap();
        assert_eq!(octets, Control::Ready.frame());
        peer.write_all(&Control::Accept.frame()).unwrap();
        let (mut stream, mut octet) = (Vec::new(), [0]);
        while !stream.ends_with(&Control::Stop.frame()) {
            peer.read_exact(&mut octet).unwrap();
            stream.push(octet[0]);
        }
        peer.write_all(&Control::Finish.frame()).unwrap();
        stream
    }

    fn texts(stream: impl Read) -> Vec<String> {
        Frames::new(stream).map(|frame| String::from_utf8(frame.unwrap()).unwrap()).collect()
    }

    #[test]
    fn frames_go_over_tcp_and_the_stream_ends_properly() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = DnstapTarget::Tcp(listener.local_addr().unwrap().to_string());
        let collector = thread::spawn(move || collect(listener.accept().unwrap().0));
        let now = Instant::now();
        let mut output = Output::new(target, Rotation::default());
        put(&mut output, now, "a");
        assert_eq!(output.flush(now), 0);
        put(&mut output, now, "b");
        assert_eq!(output.trouble(), None);
        assert_eq!(output.stop(now), 0);
        assert_eq!(texts(&collector.join().unwrap()[..]), ["a", "b"]);
    }

    #[test]
    fn a_full_batch_is_written_without_being_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let now = Instant::now();
        let mut output = Output::new(DnstapTarget::File(path.clone()), Rotation::default());
        put(&mut output, now, "small");
        assert!(!path.exists());
        put(&mut output, now, &"x".repeat(BATCH_BYTES));
        assert!(fs::metadata(&path).unwrap().len() > BATCH_BYTES as u64);
        put(&mut output, now, "last");
        assert_eq!(output.put(now, |_| {}), 1, "a frame of nothing");
        assert_eq!(output.stop(now), 0);
        assert_eq!(texts(File::open(&path).unwrap()).len(), 3);
    }

    /// No collector, then one, then one that leaves, then one again.
    #[test]
    fn a_lost_collector_is_tried_again_after_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let start = Instant::now();
        let mut output = Output::new(DnstapTarget::Unix(path.clone()), Rotation::default());
        assert_eq!(output.flush(start), 0);
        assert!(output.trouble().unwrap().starts_with("no connection: "), "{:?}", output.trouble());
        let lost = output.put(start, |_| panic!("it is not encoded"));
        assert_eq!(lost, 1);

        let listener = UnixListener::bind(&path).unwrap();
        let greet = |listener: &UnixListener| {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || {
                let mut peer = listener.accept().unwrap().0;
                peer.read_exact(&mut vec![0; Control::Ready.frame().len()]).unwrap();
                peer.write_all(&Control::Accept.frame()).unwrap();
                peer.read_exact(&mut vec![0; Control::Start.frame().len()]).unwrap();
                peer
            })
        };
        let first: thread::JoinHandle<UnixStream> = greet(&listener);
        let before = start + PAUSE_MIN - Duration::from_millis(1);
        assert_eq!((output.flush(before), output.sink.is_none()), (0, true), "too early");
        assert_eq!(output.flush(start + PAUSE_MIN), 0);
        assert_eq!(output.trouble(), None);
        drop(first.join().unwrap());

        let now = start + PAUSE_MIN;
        put(&mut output, now, "a");
        put(&mut output, now, "b");
        assert_eq!(output.flush(now), 2);
        assert!(output.trouble().unwrap().starts_with("the connection is lost: "), "{:?}", output.trouble());
        assert_eq!(output.put(now + PAUSE_MIN, |_| {}), 1, "nothing was written yet, so the pause is longer");

        let again = listener.try_clone().unwrap();
        let collector = thread::spawn(move || collect(again.accept().unwrap().0));
        let now = now + 2 * PAUSE_MIN;
        put(&mut output, now, "c");
        assert_eq!(output.flush(now), 0);
        assert_eq!((output.pause, output.trouble()), (PAUSE_MIN, None));
        assert_eq!(output.stop(now), 0);
        assert_eq!(texts(&collector.join().unwrap()[..]), ["c"]);
    }

    #[test]
    fn pauses_grow_to_their_bound_and_what_waits_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut now = Instant::now();
        let mut output = Output::new(DnstapTarget::Unix(folder.path().join("none")), Rotation::default());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            put(&mut output, now, "x");
            assert_eq!(output.flush(now), 1);
            assert_eq!(output.due, Some(now + Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
        }
        put(&mut output, now, "x");
        assert_eq!(output.stop(now), 1);
    }

    #[test]
    fn a_collector_of_something_else_is_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = DnstapTarget::Tcp(listener.local_addr().unwrap().to_string());
        let other = thread::spawn(move || {
            let mut peer = listener.accept().unwrap().0;
            peer.read_exact(&mut vec![0; Control::Ready.frame().len()]).unwrap();
            peer.write_all(b"\0\0\0\0\0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x04text").unwrap();
        });
        let mut output = Output::new(target, Rotation::default());
        assert_eq!(output.flush(Instant::now()), 0);
        assert_eq!(output.trouble(), Some("no agreement: it holds `text`, not dnstap"));
        other.join().unwrap();
    }

    #[test]
    fn a_file_is_begun_with_the_first_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        fs::write(&path, "of a process that runs").unwrap();
        let now = Instant::now();
        let mut output = Output::new(DnstapTarget::File(path.clone()), Rotation::default());
        assert_eq!(output.flush(now), 0);
        assert_eq!(output.stop(now), 0);
        assert_eq!(fs::read(&path).unwrap(), b"of a process that runs");
        let mut output = Output::new(DnstapTarget::File(path.clone()), Rotation::default());
        put(&mut output, now, "a");
        assert_eq!(output.stop(now), 0);
        assert_eq!(texts(File::open(&path).unwrap()), ["a"]);
    }

    #[test]
    fn files_are_rotated_by_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let now = Instant::now();
        let rotation = Rotation { rotate_bytes: Some(100), keep_files: Some(1) };
        let mut output = Output::new(DnstapTarget::File(path.clone()), rotation);
        for number in 0..6 {
            put(&mut output, now, &format!("{number:030}"));
            assert_eq!(output.flush(now), 0);
        }
        assert_eq!(output.stop(now), 0);
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["x.dnstap", "x.dnstap.5"]);
        assert_eq!(texts(File::open(&path).unwrap()), [format!("{:030}", 5)]);
    }
}
