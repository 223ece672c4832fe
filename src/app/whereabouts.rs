//! Where a running server is found, written into its state folder: for commands of this machine that ask it while the
//! configuration on disk is another than the one it runs with, or can't be used at all.

use crate::{
    config::{AdminTls, Config, Origin, foreign},
    whole::{self, Whole},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

/// Its name in the state folder.
const FILE_NAME: &str = "running.json";
/// Octets read of one: what is larger is something else.
const BYTES_MAX: u64 = 1 << 16;
/// How often it is looked whether what was told still stands there: another server may have come, and gone.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// When it is tried again to write where that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Another for each start: in containers all processes have the same number.
    start: String,
    /// The file that it was configured by; `None`: the copy inside the binary.
    config: Option<PathBuf>,
    /// For DNS.
    pub dns: Vec<SocketAddr>,
    /// Networks from which it hears nobody without a header of the PROXY protocol.
    #[serde(default)]
    pub proxies: Vec<IpNet>,
    /// For HTTP, if there is any.
    pub http: Option<Http>,
    /// The database in which it records queries, if it does.
    #[serde(default)]
    pub database: Option<PathBuf>,
}

/// Where the pages and the API are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    pub listen: SocketAddr,
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Where the token is that it asks for, if it does.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl Http {
    fn new(listen: SocketAddr, config: &Config) -> Self {
        let token_file = config.admin.as_ref().and_then(|admin| admin.token_file.clone());
        Self { listen, tls: tls_of(config), token_file }
    }
}

/// Files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Whereabouts {
    /// Those of a server that listens.
    pub(super) fn new(config: &Config, dns: &[SocketAddr], http: Option<SocketAddr>) -> Self {
        Self {
            start: format!("{:016x}", RandomState::new().hash_one(dns)),
            config: file_of(&config.origin),
            dns: dns.to_vec(),
            proxies: config.listen.proxies.clone(),
            http: http.map(|listen| Http::new(listen, config)),
            database: config.query_log.database.clone(),
        }
    }

    /// Those with another configuration, but for the addresses.
    fn follow(&mut self, config: &Config) {
        self.http = self.http.as_ref().map(|http| Http::new(http.listen, config));
        self.database.clone_from(&config.query_log.database);
    }

    /// Those that a server told last, whatever its configuration.
    pub(super) fn in_folder(folder: &Path) -> Option<Self> {
        Some(read(folder)?.0)
    }

    /// Those that a server by the configuration from `origin` told last, if one did, and the user that it told them as.
    pub fn told(folder: &Path, origin: &Origin) -> Option<(Self, u32)> {
        let (told, owner) = read(folder)?;
        let whole = |path: &PathBuf| path.canonicalize().ok();
        let is_same = match (&told.config, &file_of(origin)) {
            (Some(told), Some(own)) => told == own || whole(told).is_some() && whole(told) == whole(own),
            (told, own) => told == own,
        };
        (is_same && !told.dns.is_empty()).then_some((told, owner))
    }
}

/// What a server tells of itself, for as long as it is there.
pub(super) struct Told {
    folder: PathBuf,
    telling: Mutex<Telling>,
}

struct Telling {
    whereabouts: Whereabouts,
    /// What it wrote, locked: by that others see that it lives, whatever numbers their processes have.
    held: Option<File>,
    failed_at: Option<Instant>,
    has_left: bool,
}

impl Told {
    pub(super) fn new(whereabouts: Whereabouts, folder: PathBuf) -> Self {
        let telling = Telling { whereabouts, held: None, failed_at: None, has_left: false };
        Self { folder, telling: Mutex::new(telling) }
    }

    /// Tells it where others of this machine find it. Without it a server is as good.
    pub(super) fn tell(&self) {
        self.telling().tell(&self.folder);
    }

    /// Tells what is other with another configuration, unless somebody else has come who lives. The addresses stay those
    /// that it has.
    pub(super) fn follow(&self, config: &Config) {
        let mut telling = self.telling();
        telling.whereabouts.follow(config);
        if telling.stands(&self.folder) != Some(Whose::Other) {
            telling.tell(&self.folder);
        }
    }

    /// Tells it again, unless it stands there or somebody else does who lives: one that took over and was taken back, or
    /// came by mistake, leaves nothing, or what is wrong.
    fn look(&self) {
        let mut telling = self.telling();
        let waits = telling.failed_at.is_some_and(|at| at.elapsed() < TRY_AGAIN_AFTER);
        if !waits && telling.stands(&self.folder).is_none() {
            telling.tell(&self.folder);
        }
    }

    /// Removes what was told, unless another server has come in place of this one. From then on it tells nothing.
    pub(super) fn forget(&self) {
        let mut telling = self.telling();
        telling.has_left = true;
        if read(&self.folder).is_some_and(|(told, _)| told.start == telling.whereabouts.start) {
            let _ = fs::remove_file(self.folder.join(FILE_NAME));
        }
    }

    fn telling(&self) -> MutexGuard<'_, Telling> {
        self.telling.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Telling {
    fn tell(&mut self, folder: &Path) {
        if self.has_left {
            return;
        }
        let told = || -> io::Result<File> {
            fs::create_dir_all(folder)?;
            let mut whole = Whole::begin(&folder.join(FILE_NAME), whole::USUAL)?;
            whole.write_all(&serde_json::to_vec_pretty(&self.whereabouts)?)?;
            // Before anybody sees it. Where nothing can be locked, nobody is taken for gone.
            let held = whole.file().try_clone()?;
            let _ = held.try_lock();
            whole.finish()?;
            Ok(held)
        };
        match told() {
            Ok(held) => (self.held, self.failed_at) = (Some(held), None),
            Err(error) => {
                if self.failed_at.replace(Instant::now()).is_none() {
                    let file = folder.join(FILE_NAME).display().to_string();
                    tracing::warn!(%error, file, "can't be written; commands ask where the configuration on disk says");
                }
            }
        }
    }

    /// Whose stands there: this server's own, or that of one that lives.
    fn stands(&self, folder: &Path) -> Option<Whose> {
        let (told, _) = read(folder)?;
        if told.start == self.whereabouts.start {
            return Some(Whose::Own);
        }
        // Who came between the two looks wrote the one that is looked at, and lives.
        let lives = foreign::open(&folder.join(FILE_NAME)).is_ok_and(|file| file.try_lock_shared().is_err());
        lives.then_some(Whose::Other)
    }
}

/// Whose it is that is told.
#[derive(PartialEq, Eq)]
enum Whose {
    Own,
    Other,
}

/// Looks now and then whether what was told still stands there.
pub(super) async fn keep(told: Arc<OnceLock<Told>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let own = told.clone();
        let _ = tokio::task::spawn_blocking(move || own.get().into_iter().for_each(Told::look)).await;
    }
}

fn tls_of(config: &Config) -> Option<Tls> {
    let AdminTls { cert, key } = config.admin.as_ref()?.tls.clone()?;
    Some(Tls { cert, key })
}

fn file_of(origin: &Origin) -> Option<PathBuf> {
    match origin {
        Origin::File(path) => Some(path.clone()),
        Origin::Embedded => None,
    }
}

/// What is told in a folder, and the user whose file it is.
fn read(folder: &Path) -> Option<(Whereabouts, u32)> {
    let (octets, owner) = foreign::read(&folder.join(FILE_NAME), BYTES_MAX, None).ok()?;
    Some((serde_json::from_slice(&octets).ok()?, owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Embedded, World};

    fn told(folder: &Path, origin: &Origin) -> Option<Whereabouts> {
        Whereabouts::told(folder, origin).map(|(told, _)| told)
    }

    fn of(config: Option<&str>) -> Whereabouts {
        let (dns, http) = ("127.0.0.1:53".parse().unwrap(), "127.0.0.1:8053".parse().unwrap());
        let tls = Some(Tls { cert: "/cert".into(), key: "/key".into() });
        let http = Some(Http { listen: http, tls, token_file: Some("/token".into()) });
        let start = format!("{:016x}", RandomState::new().hash_one(1));
        let proxies = vec!["10.0.0.7/32".parse().unwrap()];
        Whereabouts {
            start,
            config: config.map(PathBuf::from),
            dns: vec![dns],
            proxies,
            http,
            database: Some("/queries.db".into()),
        }
    }

    fn config_without_http() -> Config {
        let embedded = Embedded { read: &|_| None, paths: &Vec::new };
        Config::default_for(&World::of_process(embedded).unwrap())
    }

    #[test]
    fn what_is_told_is_found_by_who_has_the_same_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let origin = |path: &str| Origin::File(path.into());
        let started = of(Some("/nowhere/a.toml"));
        assert_eq!(told(folder, &Origin::Embedded), None);
        Told::new(started.clone(), folder.to_owned()).tell();
        assert_eq!(told(folder, &origin("/nowhere/./a.toml")), Some(started));
        for other in [origin("/nowhere/b.toml"), Origin::Embedded] {
            assert_eq!(told(folder, &other), None);
        }
        fs::write(folder.join(FILE_NAME), "{").unwrap();
        assert_eq!(told(folder, &origin("/nowhere/a.toml")), None);
    }

    #[test]
    fn a_certificate_that_came_or_went_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let started = of(None);
        let telling = Told::new(started.clone(), folder.to_owned());
        telling.tell();
        telling.follow(&config_without_http());
        let after = told(folder, &Origin::Embedded).unwrap();
        let http = after.http.unwrap();
        assert_eq!((http.tls, http.token_file, &after.dns), (None, None, &started.dns));
        telling.forget();
        assert_eq!(told(folder, &Origin::Embedded), None);
    }

    #[test]
    fn who_leaves_takes_only_its_own_away() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (own, other) = (of(None), Whereabouts { start: "other".to_owned(), ..of(None) });
        let all = |whereabouts: &Whereabouts| Told::new(whereabouts.clone(), folder.to_owned());
        let (first, second) = (all(&own), all(&other));
        let stands = || told(folder, &Origin::Embedded).map(|told| told.start);
        first.tell();
        second.tell();
        first.forget();
        assert_eq!(stands(), Some("other".to_owned()));
        second.forget();
        assert_eq!(stands(), None);
        // Who has left stays away.
        second.look();
        second.follow(&config_without_http());
        assert_eq!(stands(), None);
    }

    #[test]
    fn who_stays_is_told_again_once_the_other_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (own, other) = (of(None), Whereabouts { start: "other".to_owned(), ..of(None) });
        let all = |whereabouts: &Whereabouts| Told::new(whereabouts.clone(), folder.to_owned());
        let stands = || told(folder, &Origin::Embedded).map(|told| told.start);
        let first = all(&own);
        first.tell();
        // One that leaves in order, and one that dies.
        for is_killed in [false, true] {
            let second = all(&other);
            second.tell();
            first.look();
            first.follow(&config_without_http());
            assert_eq!(stands(), Some("other".to_owned()), "it lives");
            if !is_killed {
                second.forget();
            }
            drop(second);
            first.look();
            assert_eq!(stands(), Some(own.start.clone()), "{is_killed}");
        }
        fs::write(folder.join(FILE_NAME), "{").unwrap();
        first.look();
        assert_eq!(stands(), Some(own.start.clone()));
        // What can't be written is not tried all the time.
        fs::remove_file(folder.join(FILE_NAME)).unwrap();
        fs::create_dir(folder.join(FILE_NAME)).unwrap();
        first.look();
        fs::remove_dir(folder.join(FILE_NAME)).unwrap();
        first.look();
        assert_eq!(stands(), None);
        first.tell();
        assert_eq!(stands(), Some(own.start.clone()));
    }
}
