//! The databases of networks and countries that the owner supplies: read, and read again when they change.

use crate::watch::Stamp;
use crate::{
    config::Config,
    policy::{Database, Geo},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Octets of the largest database read: the largest on the market has a few hundred megabytes.
const DATABASE_BYTES_MAX: u64 = 1 << 30;
/// When a file that changed is looked at again: it is read once it stays as it is.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The option that names a database of autonomous systems.
const ASN_OPTION: &str = "policy.asn_db";

/// Both databases.
pub struct Databases {
    asn: Option<Source>,
    country: Option<Source>,
}

/// One database.
#[derive(Clone)]
struct Source {
    option: &'static str,
    path: PathBuf,
    database: Option<Arc<Database>>,
    /// Of what was read, good or not.
    stamp: Option<Stamp>,
    /// A changed stamp that was seen once.
    candidate: Option<Stamp>,
    trouble: Option<String>,
}

/// What a look at the databases found.
#[derive(Default)]
pub struct DatabaseFindings {
    /// Another database is to be used.
    pub changed: bool,
    /// New trouble: the file and why.
    pub troubles: Vec<(String, String)>,
    pub look_again: Option<Duration>,
}

impl Databases {
    pub fn new(config: &Config) -> Self {
        Self { asn: None, country: None }.reconfigured(config)
    }

    /// The databases of another configuration. Those that both have are not read again.
    pub fn reconfigured(&self, config: &Config) -> Self {
        let source = |option, path: &Option<PathBuf>, known: &Option<Source>| {
            let path = path.clone()?;
            let same = known.clone().filter(|known| known.path == path);
            let new = Source { option, path, database: None, stamp: None, candidate: None, trouble: None };
            Some(same.unwrap_or(new))
        };
        Self {
            asn: source(ASN_OPTION, &config.policy.asn_db, &self.asn),
            country: source("policy.country_db", &config.policy.country_db, &self.country),
        }
    }

    /// What the policy looks things up in.
    pub fn geo(&self) -> Geo {
        let database = |source: &Option<Source>| source.as_ref().and_then(|source| source.database.clone());
        Geo { asn: database(&self.asn), country: database(&self.country) }
    }

    /// What is wrong with them: option, file and why.
    pub fn troubles(&self) -> Vec<String> {
        let trouble = |source: &Source| {
            let trouble = source.trouble.as_ref()?;
            let serving =
                if source.database.is_some() { "its last good state serves" } else { "its rules are inactive" };
            Some(format!("{}: {}: {trouble}; {serving}", source.option, source.path.display()))
        };
        self.sources().filter_map(trouble).collect()
    }

    /// The files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.sources().map(|source| source.path.clone()).collect()
    }

    /// Reads what changed. `at_once`: without waiting for a file to stay as it is.
    pub fn refresh(&mut self, at_once: bool) -> DatabaseFindings {
        let mut findings = DatabaseFindings::default();
        for source in [&mut self.asn, &mut self.country].into_iter().flatten() {
            source.refresh(at_once, &mut findings);
        }
        findings
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        [&self.asn, &self.country].into_iter().flatten()
    }
}

impl Source {
    fn refresh(&mut self, at_once: bool, findings: &mut DatabaseFindings) {
        let stamp = match Stamp::of(&self.path) {
            Ok(stamp) => stamp,
            Err(error) => {
                // Should the very same file come back, it is looked into all the same.
                self.stamp = None;
                return self.fail(format!("it can't be read: {error}"), findings);
            }
        };
        if self.stamp == Some(stamp) {
            return;
        }
        if !at_once && self.candidate != Some(stamp) {
            self.candidate = Some(stamp);
            findings.look_again = Some(LOOK_AGAIN_AFTER);
            return;
        }
        (self.stamp, self.candidate) = (Some(stamp), None);
        match read(&self.path).and_then(|database| self.fits(database)) {
            Ok(database) => {
                (self.database, self.trouble) = (Some(Arc::new(database)), None);
                findings.changed = true;
            }
            Err(reason) => self.fail(reason, findings),
        }
    }

    /// The database, unless it is of another kind than its option wants.
    fn fits(&self, database: Database) -> Result<Database, String> {
        let (wanted, is_known) = match (self.option, database.knows()) {
            (ASN_OPTION, (asns, _)) => ("AS numbers", asns),
            (_, (_, countries)) => ("countries", countries),
        };
        match is_known {
            true => Ok(database),
            false => Err(format!("it tells of no {wanted}; its maker calls it \"{}\"", database.kind().escape_debug())),
        }
    }

    fn fail(&mut self, reason: String, findings: &mut DatabaseFindings) {
        if self.trouble.as_ref() != Some(&reason) {
            findings.troubles.push((self.path.display().to_string(), reason.clone()));
            self.trouble = Some(reason);
        }
    }
}

fn read(path: &Path) -> Result<Database, String> {
    let octets = || -> io::Result<Vec<u8>> {
        if path.metadata()?.len() > DATABASE_BYTES_MAX {
            return Err(io::Error::other("it is longer than 1 GiB"));
        }
        fs::read(path)
    };
    let octets = octets().map_err(|error| format!("it can't be read: {error}"))?;
    Database::new(octets).map_err(|error| error.to_string())
}
