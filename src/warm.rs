//! Answers over a restart: written down when the process leaves, read by the next one before it serves.
//!
//! The file is a line of what it is, then answers, each after its length, and at last a digest of all before. One that is
//! damaged, from another version, or by other settings of resolution is as good as none. It is read once and gone then, and
//! goes with any flush, so that after a crash nothing comes back that was flushed meanwhile.
//!
//! How old the answers are is told by the time since the machine started, for a clock may have been wrong. After the
//! machine was off nobody knows: then they are given for want of better ones alone (RFC 8767).

use crate::{
    config::Config,
    lists::version_of,
    query::Finder,
    uptime,
    whole::{self, Whole},
};
use ring::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
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

/// The file, and what is to be kept in it.
pub struct Warm {
    file: PathBuf,
    /// Another configuration may have it otherwise.
    wanted: Mutex<Option<Wanted>>,
    awake: AwakeFor,
}

/// Answers are to be kept.
#[derive(Clone)]
struct Wanted {
    /// Octets at most.
    size: u64,
    /// The first words that the file must have.
    words: String,
}

impl Wanted {
    /// `None` if they are not.
    fn by(config: &Config) -> Option<Self> {
        let size = config.cache.bytes.saturating_mul(2);
        config.cache.save.then(|| Self { size, words: words(config) })
    }
}

impl Warm {
    /// Said where answers are to be kept, and can't be.
    pub const NOWHERE: &str = "cache.save: there is no folder to keep answers in; set state.dir";

    /// `None` if answers can't be kept. What was kept before the owner said no goes.
    pub fn new(config: &Config, awake: AwakeFor) -> Option<Self> {
        let Some(folder) = &config.state_dir else {
            if config.cache.save {
                tracing::warn!("{}", Self::NOWHERE);
            }
            return None;
        };
        let file = folder.join(FILE_NAME);
        whole::remove_left(folder);
        let warm = Self { file, wanted: Mutex::default(), awake };
        warm.follow(config);
        Some(warm)
    }

    /// What is kept is by this configuration from now on.
    pub fn follow(&self, config: &Config) {
        let wanted = Wanted::by(config);
        if wanted.is_none() {
            self.forget();
        }
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    fn wanted(&self) -> Option<Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives `finder` what an earlier process kept.
    pub fn load(&self, finder: &Finder) {
        let Some(wanted) = self.wanted() else { return };
        match self.read(&wanted, finder) {
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

    /// Writes down what `finder` keeps, if that is wanted.
    pub fn save(&self, finder: &Finder) {
        let Some(wanted) = self.wanted() else { return };
        match self.write(&wanted, finder) {
            Ok(answers) => tracing::info!(answers, "answers kept for the next start"),
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "answers can't be kept for the next start")
            }
        }
    }

    fn read(&self, wanted: &Wanted, finder: &Finder) -> io::Result<u64> {
        let no_use = |why: &str| io::Error::other(why.to_owned());
        // Before it is opened: to open a pipe is to wait for its writer.
        if !self.file.metadata()?.is_file() {
            return Err(no_use("it is not a file"));
        }
        let mut file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        if length > wanted.size {
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
        let saved = line.strip_prefix(&wanted.words).and_then(|rest| rest.trim().split_once(' '));
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

    fn write(&self, wanted: &Wanted, finder: &Finder) -> io::Result<u64> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let (boot, seconds) = (self.awake)().map_or(("-".to_owned(), 0), |awake| (awake.boot, awake.seconds));
        // Names that somebody asked for are nobody else's business. Another process that leaves now writes its own.
        let file = Whole::begin(&self.file, whole::PRIVATE)?;
        let (mut file, mut hash, mut answers) = (BufWriter::new(file), Context::new(&SHA256), 0);
        let mut put = |octets: &[u8]| {
            hash.update(octets);
            file.write_all(octets)
        };
        put(format!("{} {boot} {seconds}\n", wanted.words).as_bytes())?;
        finder.save(|answer| {
            answers += 1;
            put(&(answer.len() as u32).to_be_bytes())?;
            put(answer)
        })?;
        file.write_all(hash.finish().as_ref())?;
        file.into_inner().map_err(|error| error.into_error())?.finish()?;
        Ok(answers)
    }
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
