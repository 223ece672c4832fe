//! What is told of queries, and where: plain values.

use super::DnstapTarget;
use std::{fmt, path::PathBuf, time::Duration};

/// What is kept of queries, and where it goes.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryLog {
    /// The embedded database; `None`: there is none.
    pub database: Option<PathBuf>,
    /// How long it keeps a query.
    pub keep: Duration,
    /// How long it keeps sums by day: who asked for what, how often.
    pub keep_sums: Duration,
    /// Octets that it may take.
    pub bytes: u64,
    pub privacy: Privacy,
    /// Aliases and addresses of answers are kept too.
    pub answers: bool,
    /// What the queries of this server are told apart by from those of others.
    pub instance: String,
    pub json: Option<JsonLines>,
    pub dnstap: Option<Dnstap>,
    pub clickhouse: Option<ClickHouse>,
}

impl QueryLog {
    /// All is kept that there is, and goes nowhere.
    pub fn nowhere() -> Self {
        Self {
            database: None,
            keep: Duration::from_secs(30 * 86_400),
            keep_sums: Duration::from_secs(400 * 86_400),
            bytes: 1 << 30,
            privacy: Privacy::Full,
            answers: true,
            instance: String::new(),
            json: None,
            dnstap: None,
            clickhouse: None,
        }
    }
}

/// How much of a client is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privacy {
    /// Its address.
    Full,
    /// Its network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
    Prefix,
    /// A pseudonym that is another one the next day.
    Hashed,
    /// Nothing.
    None,
}

impl Privacy {
    pub const ALL: [Self; 4] = [Self::Full, Self::Prefix, Self::Hashed, Self::None];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Prefix => "prefix",
            Self::Hashed => "hashed",
            Self::None => "none",
        }
    }
}

/// One line of JSON a query.
#[derive(Clone, PartialEq, Debug)]
pub struct JsonLines {
    pub to: JsonTarget,
    /// Octets of a file after which the next begins.
    pub bytes: u64,
    /// Files kept, the one that is written among them.
    pub files: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub enum JsonTarget {
    Stdout,
    File(PathBuf),
}

impl JsonTarget {
    /// The file that it is, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path),
        }
    }
}

/// Messages as they went over the wire, in the form of dnstap.
#[derive(Clone, PartialEq, Debug)]
pub struct Dnstap {
    pub to: DnstapTarget,
    /// Octets of a file after which the next begins.
    pub bytes: u64,
    /// Files kept, the one that is written among them.
    pub files: usize,
    /// Messages between clients and this server.
    pub client: bool,
    /// Messages between this server and name servers.
    pub resolver: bool,
}

/// A database for many servers.
#[derive(Clone, PartialEq)]
pub struct ClickHouse {
    /// Of its HTTP interface.
    pub url: String,
    pub database: String,
    pub user: String,
    pub password: String,
    /// Octets that wait on disk while it can't be reached.
    pub spill_bytes: u64,
}

impl fmt::Debug for ClickHouse {
    /// Without the password, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, database, user, spill_bytes, .. } = self;
        write!(f, "ClickHouse {{ {url} {database} {user} {spill_bytes} }}")
    }
}
