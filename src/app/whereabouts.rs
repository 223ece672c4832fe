//! Where a running server is found, written into its state folder: for commands of this machine that ask it while the
//! configuration on disk is another than the one it runs with, or can't be used at all.

use crate::{
    config::{AdminTls, Config, Origin, foreign},
    whole,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Its name in the state folder.
const FILE_NAME: &str = "running.json";
/// Octets read of one: what is larger is something else.
const BYTES_MAX: u64 = 1 << 16;

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

    /// Writes what of them is other with another configuration. The addresses stay those that it has.
    pub(super) fn follow(&self, config: &Config, folder: &Path) {
        let http = self.http.as_ref().map(|http| Http::new(http.listen, config));
        Self { http, database: config.query_log.database.clone(), ..self.clone() }.tell(folder);
    }

    /// Writes them where others of this machine find them. Without it a server is as good.
    pub(super) fn tell(&self, folder: &Path) {
        let told = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            whole::write(&folder.join(FILE_NAME), &serde_json::to_vec_pretty(self)?, whole::USUAL)
        };
        if let Err(error) = told() {
            let file = folder.join(FILE_NAME).display().to_string();
            tracing::warn!(%error, file, "can't be written; commands ask where the configuration on disk says");
        }
    }

    /// Removes what was told, unless another server has come in place of this one.
    pub(super) fn forget(&self, folder: &Path) {
        if read(folder).is_some_and(|(told, _)| told.start == self.start) {
            let _ = fs::remove_file(folder.join(FILE_NAME));
        }
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

    #[test]
    fn what_is_told_is_found_by_who_has_the_same_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let origin = |path: &str| Origin::File(path.into());
        let started = of(Some("/nowhere/a.toml"));
        assert_eq!(told(folder, &Origin::Embedded), None);
        started.tell(folder);
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
        started.tell(folder);
        let embedded = Embedded { read: &|_| None, paths: &Vec::new };
        let without = Config::default_for(&World::of_process(embedded).unwrap());
        started.follow(&without, folder);
        let after = told(folder, &Origin::Embedded).unwrap();
        let http = after.http.unwrap();
        assert_eq!((http.tls, http.token_file, &after.dns), (None, None, &started.dns));
        started.forget(folder);
        assert_eq!(told(folder, &Origin::Embedded), None);
    }

    #[test]
    fn who_leaves_takes_only_its_own_away() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (first, second) = (of(None), of(None));
        first.tell(folder);
        second.tell(folder);
        first.forget(folder);
        assert_eq!(told(folder, &Origin::Embedded), Some(second.clone()));
        second.forget(folder);
        assert_eq!(told(folder, &Origin::Embedded), None);
    }
}
