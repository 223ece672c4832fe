//! What is kept of queries: rows, and where they go.
//!
//! ```text
//! who answers → rings (packed octets, a place a thread) → drain → each sink, on a thread of its own → rows → sqlite,
//!                                                          json lines, dnstap, clickhouse
//! ```
//!
//! Nobody who answers waits: where there is no room, a row is dropped and counted; so it is in front of a sink that is
//! slow, which costs the others nothing.

pub mod clickhouse;
pub mod dnstap;
mod drain;
mod identity;
mod json_lines;
mod names;
mod pack;
mod privacy;
mod rings;
pub mod row;
mod search;
mod seldom;
pub mod sqlite;
mod unpack;

pub use drain::{Full, Kept, Sink, SinkCount, Writing};
pub use json_lines::{JsonRow, shown_micros};
pub use names::PolicyNames;
pub use pack::Packing;
pub use privacy::Privacy;
pub use rings::Place;
pub use row::{Fate, Lead, Row, Said, Seen, Verdicts};
pub use search::{ClientLike, NameLike, Search};

use crate::{
    config::{self, DnstapTarget, JsonTarget},
    policy::Policy,
    resolve::{Exchange, Upstreams},
};
use drain::{Audience, SinkCounts, Spawned};
use nix::unistd::{AccessFlags, access};
use rings::Rings;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::Instant,
};

/// Policies whose names are remembered for queries that they decided: a query takes seconds, and reloads at least one.
const POLICIES_MAX: usize = 16;

/// The near end of the log: what those who answer hand their queries to. Shared by all of them.
pub struct QueryLog {
    rings: Rings,
    answers: bool,
    wants_packets: bool,
    /// Latest last.
    policies: Mutex<Vec<Arc<PolicyNames>>>,
    /// Those that keep what they are given.
    sinks: Vec<Arc<SinkCounts>>,
    /// How many look at queries as they come, of whom nothing is kept.
    audience: Audience,
}

/// A sink that can't be started.
#[derive(Debug, thiserror::Error)]
#[error("query_log.{option}: {why}")]
pub struct StartError {
    option: &'static str,
    why: String,
}

/// Finds files that can't be written, before anything is: their folder isn't there, or not ours to write to. A database
/// makes its own folder, and is put aside where it can't be used.
pub fn check(config: &config::QueryLog) -> Result<(), StartError> {
    let json = config.json.as_ref().and_then(|json| match &json.to {
        JsonTarget::File(path) => Some(("json.to", path)),
        JsonTarget::Stdout => None,
    });
    let dnstap = config.dnstap.as_ref().and_then(|dnstap| match &dnstap.to {
        DnstapTarget::File(path) => Some(("dnstap.to", path)),
        DnstapTarget::Unix(_) | DnstapTarget::Tcp(_) => None,
    });
    let judge = |(option, path): (&'static str, &PathBuf)| {
        can_be_written(path).map_err(|why| StartError { option, why: format!("{}: {why}", path.display()) })
    };
    json.map_or(Ok(()), judge).and(dnstap.map_or(Ok(()), judge))
}

/// Whether files can be made and renamed where one is to be written; of a pipe or a device only whether it can be written.
fn can_be_written(path: &Path) -> Result<(), String> {
    let may = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    if let Ok(there) = path.metadata()
        && !there.is_file()
    {
        return may(path).then_some(()).ok_or_else(|| "can't be written by who runs this".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("its folder isn't there; make it, or write another".to_owned())
        }
        Err(error) => Err(format!("its folder can't be looked at: {error}")),
        Ok(there) if !there.is_dir() => Err(format!("{} is no folder; write another", folder.display())),
        Ok(_) if !may(folder) => {
            Err("its folder can't be written by who runs this; give it to them, or write another".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

impl QueryLog {
    /// Starts the sinks that the configuration asks for; `None` if there are none. They have nothing to write before
    /// [`Writing::begin`]. What can't be sent waits in the state
    /// folder. `privacy` is shared with all others who tell clients. `upstreams` tells what the numbers of upstreams mean.
    /// `shown`: a sink that keeps nothing, for those who look at queries as they come.
    pub fn start(
        config: &config::QueryLog,
        privacy: &Privacy,
        state_dir: Option<&Path>,
        upstreams: Arc<Upstreams>,
        shown: Option<Box<dyn Sink>>,
    ) -> Result<Option<(Arc<Self>, Writing)>, StartError> {
        check(config)?;
        let mut sinks: Vec<Spawned> = Vec::new();
        let mut spawn = |name: &'static str, sink: Box<dyn drain::Sink>| -> io::Result<()> {
            sinks.push(drain::spawn(name, sink, privacy.clone(), upstreams.clone())?);
            Ok(())
        };
        let failed = |option| move |error: io::Error| StartError { option, why: error.to_string() };
        if let Some(path) = &config.database {
            let limits = sqlite::Limits { keep: config.keep, keep_sums: config.keep_sums, bytes: config.bytes };
            let origin = sqlite::Origin::new(&config.instance, config.privacy);
            spawn("sqlite", Box::new(sqlite::Writer::new(path, limits, origin))).map_err(failed("path"))?;
        }
        if let Some(lines) = &config.json {
            let sink = json_lines::JsonSink::new(lines, &config.instance).map_err(failed("json.to"))?;
            spawn("json", Box::new(sink)).map_err(failed("json.to"))?;
        }
        if let Some(dnstap) = &config.dnstap {
            let sink = dnstap::DnstapSink::new(dnstap, &config.instance, config.privacy);
            spawn("dnstap", Box::new(sink)).map_err(failed("dnstap.to"))?;
        }
        if let Some(server) = &config.clickhouse {
            let sink = clickhouse::ClickHouseSink::new(server, &config.instance, state_dir);
            spawn("clickhouse", Box::new(sink)).map_err(failed("clickhouse.url"))?;
        }
        let audience = shown.as_ref().and_then(|sink| sink.audience()).unwrap_or_default();
        if let Some(sink) = shown {
            spawn("shown", sink).map_err(failed("enabled"))?;
        }
        if sinks.is_empty() {
            return Ok(None);
        }
        let kept = sinks.iter().filter(|sink| sink.audience.is_none());
        let log = Arc::new(Self {
            rings: Rings::new(Instant::now()),
            answers: config.answers,
            wants_packets: config.dnstap.as_ref().is_some_and(|dnstap| dnstap.client),
            policies: Mutex::default(),
            sinks: kept.map(|sink| sink.counts.clone()).collect(),
            audience,
        });
        let writing = drain::start(log.clone(), sinks).map_err(failed("enabled"))?;
        Ok(Some((log, writing)))
    }

    /// Whether anybody wants queries: without a sink that keeps them, and while nobody looks, they aren't even packed.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        !self.sinks.is_empty() || self.audience.load(Relaxed) > 0
    }

    /// This thread's place, to be left again soon.
    #[inline]
    pub fn place(&self) -> Place<'_> {
        self.rings.place()
    }

    /// How queries are packed, with their packets if somebody wants them.
    #[inline]
    pub fn packing<'a>(&self, packets: Option<(&'a [u8], &'a [u8])>) -> Packing<'a> {
        Packing { answers: self.answers, packets: packets.filter(|_| self.wants_packets) }
    }

    /// Notes a question to another server, if somebody wants to see them.
    pub fn exchanged(&self, exchange: &Exchange<'_>) {
        self.place().push_exchange(exchange);
    }

    /// Whether some sink wants the packets themselves.
    pub fn wants_packets(&self) -> bool {
        self.wants_packets
    }

    /// Learns the names of a policy that is about to be in force.
    pub fn follow(&self, policy: &Policy) {
        let names = Arc::new(PolicyNames::of(policy));
        let mut policies = self.policies.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if policies.len() == POLICIES_MAX {
            policies.remove(0);
        }
        policies.push(names);
    }

    fn policies(&self) -> Vec<Arc<PolicyNames>> {
        self.policies.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Sinks that lose what comes to them, by name.
    pub fn losing(&self) -> Vec<&'static str> {
        self.sinks.iter().filter_map(|sink| sink.losing()).collect()
    }

    /// Sinks whose file was removed or moved away lately, by name: they have begun another.
    pub fn file_gone(&self) -> Vec<&'static str> {
        self.sinks.iter().filter_map(|sink| sink.file_gone()).collect()
    }

    /// What each sink wrote and could not write; what had no room before any of them is in each that takes such.
    pub fn counts(&self) -> Vec<SinkCount> {
        let before = self.rings.dropped();
        self.sinks.iter().map(|sink| sink.now(before)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};

    #[test]
    fn files_that_cannot_be_written_are_found_before_anything_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a-file"), "").unwrap();
        for (name, expected) in [
            ("x.json", None),
            ("a-file", None),
            ("nowhere/x.json", Some("its folder isn't there; make it, or write another")),
            ("a-file/x.json", Some("is no folder; write another")),
        ] {
            let found = can_be_written(&path(name)).err();
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().ends_with(expected.unwrap_or_default()), "{name}");
        }
        assert_eq!(can_be_written(Path::new("/dev/null")), Ok(()));
    }

    /// Lists are downloaded before sockets are bound, so that there may be something to write before it is known whether
    /// this process can serve.
    #[test]
    fn who_does_not_serve_takes_no_file_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        fs::write(&path, "of a process that runs").unwrap();
        let to = config::DnstapTarget::File(path.clone());
        let config = config::QueryLog {
            database: None,
            keep: Duration::ZERO,
            keep_sums: Duration::ZERO,
            bytes: 0,
            privacy: config::Privacy::Full,
            answers: true,
            instance: String::new(),
            json: None,
            dnstap: Some(config::Dnstap { to, bytes: 1 << 20, files: 2, client: true, resolver: true }),
            clickhouse: None,
        };
        let privacy = Privacy::new(config.privacy);
        for (serves, left) in [(false, 1), (true, 2)] {
            let (log, writing) = QueryLog::start(&config, &privacy, None, Arc::default(), None).unwrap().unwrap();
            let (began, ended) = (Instant::now(), Instant::now());
            let server = "192.0.2.53:53".parse().unwrap();
            log.exchanged(&Exchange { server, tcp: false, question: b"asked", response: None, began, ended });
            if serves {
                writing.begin();
            }
            writing.stop();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), left, "{serves}");
        }
    }
}
