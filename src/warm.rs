//! Answers over a restart: written down when the process leaves, read by the next one before it serves.
//!
//! The file is a line of what it is, then answers, each after its length, and at last a digest of all before. One that is
//! damaged, from another version, from the future, or by other settings of resolution is as good as none. It is read once
//! and gone then, so that after a crash nothing comes back that was flushed meanwhile.

use crate::{config::Config, lists::version_of, query::Finder};
use ring::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where the answers are kept in the state folder.
const FILE_NAME: &str = "answers";
/// Octets of the first line at most.
const LINE_BYTES_MAX: u64 = 128;
/// Octets of an answer at most: a message, and where its TTLs stand.
const ANSWER_BYTES_MAX: u32 = 1 << 18;

/// The file, if answers are to be kept, and the first words that it must have.
pub struct Warm {
    file: PathBuf,
    /// Octets at most.
    size: u64,
    words: String,
}

impl Warm {
    /// `None` if answers are not to be kept, or can't be.
    pub fn new(config: &Config) -> Option<Self> {
        if !config.cache.save {
            return None;
        }
        let Some(folder) = &config.state_dir else {
            tracing::warn!("cache.save: there is no folder to keep answers in; set state.dir");
            return None;
        };
        // Other name servers, or another trust anchor, may have other answers.
        let mut settings = format!("{:?}", config.resolve).into_bytes();
        for file in [&config.resolve.root_hints, &config.resolve.trust_anchors].into_iter().flatten() {
            settings.extend(fs::read(file).unwrap_or_default());
        }
        let words = format!("cleandns answers {} {:016x}", env!("CARGO_PKG_VERSION"), version_of(&settings));
        Some(Self { file: folder.join(FILE_NAME), size: 2 * config.cache.bytes, words })
    }

    /// Gives `finder` what an earlier process kept, at `now` in seconds since 1970 (UTC).
    pub fn load(&self, finder: &Finder, now: i64) {
        let place = self.file.display();
        match self.read(finder, now) {
            Ok(answers) => tracing::info!(answers, "answers kept from before"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => tracing::warn!(file = %place, %error, "answers kept from before are of no use"),
        }
        if let Err(error) = fs::remove_file(&self.file) {
            tracing::warn!(file = %place, %error, "a file of kept answers can't be removed");
        }
    }

    /// Writes down what `finder` keeps, at `now` in seconds since 1970 (UTC).
    pub fn save(&self, finder: &Finder, now: i64) {
        match self.write(finder, now) {
            Ok(answers) => tracing::info!(answers, "answers kept for the next start"),
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "answers can't be kept for the next start")
            }
        }
    }

    fn read(&self, finder: &Finder, now: i64) -> io::Result<u64> {
        let no_use = |why: &str| io::Error::other(why.to_owned());
        // Before it is opened: to open a pipe is to wait for its writer.
        if !self.file.metadata()?.is_file() {
            return Err(no_use("it is not a file"));
        }
        let mut file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        if length > self.size {
            return Err(no_use("it is larger than the cache"));
        }
        let content = length.checked_sub(SHA256_OUTPUT_LEN as u64).ok_or_else(|| no_use("it ends too early"))?;
        let digest = digest_of((&file).take(content))?;
        let mut own = [0; SHA256_OUTPUT_LEN];
        file.read_exact(&mut own)?;
        if digest.as_ref() != own {
            return Err(no_use("it is damaged"));
        }
        file.rewind()?;
        let mut content = BufReader::new(file.take(content));
        let mut line = String::new();
        content.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        let saved = line.strip_prefix(&self.words).and_then(|rest| rest.trim().parse::<i64>().ok());
        let saved = saved.ok_or_else(|| no_use("it is from another version, or other settings of [resolve]"))?;
        let passed = u32::try_from(now - saved).map_err(|_| no_use("it is from the future"))?;
        let (mut answers, mut answer) = (0, Vec::new());
        let mut length = [0; 4];
        while !content.fill_buf()?.is_empty() {
            content.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length);
            if length > ANSWER_BYTES_MAX {
                return Err(no_use("it is damaged"));
            }
            answer.resize(length as usize, 0);
            content.read_exact(&mut answer)?;
            answers += u64::from(finder.restore(&answer, passed));
        }
        Ok(answers)
    }

    fn write(&self, finder: &Finder, now: i64) -> io::Result<u64> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let unfinished = self.file.with_extension("unfinished");
        let written = self.write_to(&unfinished, finder, now).and_then(|answers| {
            fs::rename(&unfinished, &self.file)?;
            Ok(answers)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_to(&self, place: &Path, finder: &Finder, now: i64) -> io::Result<u64> {
        // Names that somebody asked for are nobody else's business.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(place)?;
        let (mut file, mut hash, mut answers) = (BufWriter::new(file), Context::new(&SHA256), 0);
        let mut put = |octets: &[u8]| {
            hash.update(octets);
            file.write_all(octets)
        };
        put(format!("{} {now}\n", self.words).as_bytes())?;
        finder.save(|answer| {
            answers += 1;
            put(&(answer.len() as u32).to_be_bytes())?;
            put(answer)
        })?;
        file.write_all(hash.finish().as_ref())?;
        file.into_inner()?.sync_all()?;
        Ok(answers)
    }
}

fn digest_of(mut octets: impl Read) -> io::Result<Digest> {
    let (mut hash, mut piece) = (Context::new(&SHA256), vec![0; 1 << 16]);
    loop {
        match octets.read(&mut piece)? {
            0 => return Ok(hash.finish()),
            count => hash.update(&piece[..count]),
        }
    }
}
