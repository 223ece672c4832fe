//! Answers over a restart: written down when the process leaves, read by the next one before it serves.
//!
//! The file is a line of what it is, then answers, each after its length, and at last a digest of all before. One that is
//! damaged, from another version, or by other settings of resolution is as good as none. It is read once and gone then, and
//! goes with any flush, so that after a crash nothing comes back that was flushed meanwhile.
//!
//! How old the answers are is told by the time since the machine started, for a clock may have been wrong. After the
//! machine was off nobody knows: then they are given for want of better ones alone (RFC 8767).

use crate::{config::Config, lists::version_of, query::Finder, uptime};
use ring::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Where the answers are kept in the state folder.
const FILE_NAME: &str = "answers";
/// Octets of the first line at most.
const LINE_BYTES_MAX: u64 = 128;
/// Octets of an answer at most: a message, and where its TTLs stand.
const ANSWER_BYTES_MAX: u32 = 1 << 18;

/// How long this machine has been running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awake {
    /// Tells one start of the machine from another. One word.
    pub boot: String,
    /// Since then, sleep included.
    pub seconds: u32,
}

/// Tells how long this machine has been running; `None` where it can't be told.
pub type AwakeFor = Arc<dyn Fn() -> Option<Awake> + Send + Sync>;

impl Awake {
    /// By the kernel.
    pub fn of_machine() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let seconds = uptime::of_machine().as_secs().try_into().ok()?;
        Some(Self { boot, seconds })
    }
}

/// The file, if answers are to be kept, and the first words that it must have.
pub struct Warm {
    file: PathBuf,
    /// Octets at most.
    size: u64,
    /// Another configuration may have others.
    words: Mutex<String>,
    awake: AwakeFor,
}

impl Warm {
    /// `None` if answers are not to be kept, or can't be. What was kept before the owner said no goes.
    pub fn new(config: &Config, awake: AwakeFor) -> Option<Self> {
        let Some(folder) = &config.state_dir else {
            if config.cache.save {
                tracing::warn!("cache.save: there is no folder to keep answers in; set state.dir");
            }
            return None;
        };
        let file = folder.join(FILE_NAME);
        remove(&unfinished(&file));
        if !config.cache.save {
            remove(&file);
            return None;
        }
        let words = Mutex::new(words(config));
        Some(Self { file, size: config.cache.bytes.saturating_mul(2), words, awake })
    }

    /// What is kept is by this configuration from now on.
    pub fn follow(&self, config: &Config) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words(config);
    }

    fn words(&self) -> String {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives `finder` what an earlier process kept.
    pub fn load(&self, finder: &Finder) {
        match self.read(finder) {
            Ok(answers) => tracing::info!(answers, "answers kept from before"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "answers kept from before are of no use");
            }
        }
        self.forget();
    }

    /// Removes what an earlier process kept.
    pub fn forget(&self) {
        remove(&self.file);
    }

    /// Writes down what `finder` keeps.
    pub fn save(&self, finder: &Finder) {
        match self.write(finder) {
            Ok(answers) => tracing::info!(answers, "answers kept for the next start"),
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "answers can't be kept for the next start")
            }
        }
    }

    fn read(&self, finder: &Finder) -> io::Result<u64> {
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
        let saved = line.strip_prefix(&self.words()).and_then(|rest| rest.trim().split_once(' '));
        let (boot, seconds) =
            saved.ok_or_else(|| no_use("it is from another version, or other settings of [resolve]"))?;
        let same = (self.awake)().filter(|awake| awake.boot == boot);
        let passed = same.and_then(|awake| awake.seconds.checked_sub(seconds.parse().ok()?));
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

    fn write(&self, finder: &Finder) -> io::Result<u64> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let unfinished = unfinished(&self.file);
        let written = self.write_to(&unfinished, finder).and_then(|answers| {
            fs::rename(&unfinished, &self.file)?;
            Ok(answers)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_to(&self, place: &Path, finder: &Finder) -> io::Result<u64> {
        let (boot, seconds) = (self.awake)().map_or(("-".to_owned(), 0), |awake| (awake.boot, awake.seconds));
        // Names that somebody asked for are nobody else's business. Another process that leaves now writes its own.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
        let (mut file, mut hash, mut answers) = (BufWriter::new(file), Context::new(&SHA256), 0);
        let mut put = |octets: &[u8]| {
            hash.update(octets);
            file.write_all(octets)
        };
        put(format!("{} {boot} {seconds}\n", self.words()).as_bytes())?;
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

fn unfinished(file: &Path) -> PathBuf {
    file.with_extension("unfinished")
}

/// The first words of a file of answers that were found by this configuration: other name servers, or another trust
/// anchor, may have other answers.
fn words(config: &Config) -> String {
    let mut settings = format!("{:?}", config.resolve).into_bytes();
    for file in [&config.resolve.root_hints, &config.resolve.trust_anchors].into_iter().flatten() {
        settings.extend(fs::read(file).unwrap_or_default());
    }
    format!("cleandns answers {} {:016x}", env!("CARGO_PKG_VERSION"), version_of(&settings))
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %file.display(), %error, "a file of kept answers can't be removed");
        }
        _ => {}
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
