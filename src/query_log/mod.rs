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
mod sinks;
pub mod sqlite;
mod unpack;

pub use drain::{Audience, Full, Kept, Sink, SinkCount, Writing};
pub use json_lines::{JsonRow, shown_micros};
pub use names::PolicyNames;
pub use pack::Packing;
pub use privacy::Privacy;
pub use rings::Place;
pub use row::{Fate, Lead, Owner, Row, Said, Seen, Verdicts, shown_server};
pub use search::{ClientLike, NameLike, Search};
pub use sinks::{Prepared, Shown, check};

use crate::{
    config,
    policy::Policy,
    resolve::{Exchange, Upstreams},
};
use arc_swap::ArcSwap;
use drain::SinkCounts;
use nix::unistd::{AccessFlags, access};
use rings::Rings;
use sinks::Sinks;
use std::{
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::Thread,
    time::Instant,
};

/// Policies whose names are remembered for queries that they decided: a query takes seconds, and reloads at least one.
const POLICIES_MAX: usize = 16;

/// The near end of the log: what those who answer hand their queries to. Shared by all of them.
pub struct QueryLog {
    rings: Rings,
    answers: AtomicBool,
    wants_packets: AtomicBool,
    wants_exchanges: AtomicBool,
    /// There is a sink that keeps what it is given.
    is_kept: AtomicBool,
    /// Latest last.
    policies: Mutex<Vec<Arc<PolicyNames>>>,
    /// Held while the rings are emptied into them, and while others take their places.
    sinks: Mutex<Sinks>,
    /// Of those that keep what they are given.
    counts: ArcSwap<Vec<Arc<SinkCounts>>>,
    /// For those who look at queries as they come.
    shown: Option<Shown>,
    /// Its keys are those of all copies; how much is told is each sink's own.
    privacy: Privacy,
    upstreams: Arc<Upstreams>,
    /// This process serves.
    begun: AtomicBool,
    stopping: AtomicBool,
    /// The thread that empties the rings.
    drain: OnceLock<Thread>,
}

/// A sink that can't be started.
#[derive(Debug, thiserror::Error)]
#[error("query_log.{option}: {why}")]
pub struct StartError {
    option: &'static str,
    why: String,
}

/// Why a database can't be written where it is to be. Its folder is made, as its writer does it.
pub fn check_database(path: &Path) -> Result<(), String> {
    let _ = path.parent().map(fs::create_dir_all);
    judge(path, true)
}

/// Tells of a file that can't be written. `goes_on`: one that is there is written to.
fn judge(path: &Path, goes_on: bool) -> Result<(), String> {
    let may = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    can_be_written(path, goes_on, may).map_err(|why| format!("{}: {why}", path.display()))
}

/// Whether files can be made and renamed where one is to be written; of a pipe or a device only whether it can be written.
/// `goes_on`: a file that is there is written to. `may`: whether something is ours to write to.
fn can_be_written(path: &Path, goes_on: bool, may: impl Fn(&Path) -> bool) -> Result<(), String> {
    if let Ok(there) = path.metadata() {
        if (goes_on || !there.is_file()) && !may(path) {
            return Err("it can't be written by who runs this; give it to them, or write another".to_owned());
        }
        if !there.is_file() {
            return Ok(());
        }
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
    /// Starts the sinks that the configuration asks for. They have nothing to write before [`Writing::begin`]. What can't be
    /// sent waits in the state folder. `privacy` is shared with all others who tell clients. `upstreams` tells what the
    /// numbers of upstreams mean. `shown`: a sink that keeps nothing, for those who look at queries as they come.
    pub fn start(
        config: &config::QueryLog,
        privacy: &Privacy,
        state_dir: Option<&Path>,
        upstreams: Arc<Upstreams>,
        shown: Option<Shown>,
    ) -> Result<(Arc<Self>, Writing), StartError> {
        let log = Arc::new(Self::new(privacy.clone(), upstreams, shown));
        let prepared = log.prepare(config, state_dir)?;
        let failed = |error: io::Error| StartError { option: "enabled", why: error.to_string() };
        let writing = drain::start(log.clone()).map_err(failed)?;
        prepared.put_in_force();
        Ok((log, writing))
    }

    /// One without sinks.
    fn new(privacy: Privacy, upstreams: Arc<Upstreams>, shown: Option<Shown>) -> Self {
        Self {
            rings: Rings::new(Instant::now()),
            answers: AtomicBool::new(false),
            wants_packets: AtomicBool::new(false),
            wants_exchanges: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
            policies: Mutex::default(),
            sinks: Mutex::default(),
            counts: ArcSwap::default(),
            shown,
            privacy,
            upstreams,
            begun: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            drain: OnceLock::new(),
        }
    }

    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Has the rings emptied now.
    fn wake(&self) {
        self.drain.get().into_iter().for_each(Thread::unpark);
    }

    /// Whether anybody wants queries: without a sink that keeps them, and while nobody looks, they aren't even packed.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        let is_seen = |shown: &Shown| shown.audience.load(Relaxed) > 0;
        self.is_kept.load(Relaxed) || self.shown.as_ref().is_some_and(is_seen)
    }

    /// This thread's place, to be left again soon.
    #[inline]
    pub fn place(&self) -> Place<'_> {
        self.rings.place()
    }

    /// How queries are packed, with their packets if somebody wants them.
    #[inline]
    pub fn packing<'a>(&self, packets: Option<(&'a [u8], &'a [u8])>) -> Packing<'a> {
        let packets = packets.filter(|_| self.wants_packets());
        Packing { answers: self.answers.load(Relaxed), packets }
    }

    /// Notes a question to another server, if somebody wants to see them.
    pub fn exchanged(&self, exchange: &Exchange<'_>) {
        if self.wants_exchanges.load(Relaxed) {
            self.place().push_exchange(exchange);
        }
    }

    /// Whether some sink wants the packets themselves.
    #[inline]
    pub fn wants_packets(&self) -> bool {
        self.wants_packets.load(Relaxed)
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
        self.counts.load().iter().filter_map(|sink| sink.losing()).collect()
    }

    /// Sinks whose file was removed or moved away lately, by name: they have begun another.
    pub fn file_gone(&self) -> Vec<&'static str> {
        self.counts.load().iter().filter_map(|sink| sink.file_gone()).collect()
    }

    /// What each sink wrote and could not write; what had no room before any of them is in each that takes such.
    pub fn counts(&self) -> Vec<SinkCount> {
        let before = self.rings.dropped();
        self.counts.load().iter().map(|sink| sink.now(before)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_cannot_be_written_are_found_before_anything_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a-file"), "").unwrap();
        let ours = |path: &Path| !path.ends_with("not-ours");
        fs::create_dir(path("folder")).unwrap();
        fs::create_dir(path("folder/not-ours")).unwrap();
        fs::write(path("not-ours"), "").unwrap();
        let not_ours = Some("it can't be written by who runs this; give it to them, or write another");
        let folder_not_ours = Some("its folder can't be written by who runs this; give it to them, or write another");
        for (name, goes_on, expected) in [
            ("x.json", true, None),
            ("a-file", true, None),
            ("nowhere/x.json", true, Some("its folder isn't there; make it, or write another")),
            ("a-file/x.json", true, Some("is no folder; write another")),
            ("not-ours", true, not_ours),
            ("not-ours", false, None),
            ("folder/not-ours/x.json", true, folder_not_ours),
        ] {
            let found = can_be_written(&path(name), goes_on, ours).err();
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().ends_with(expected.unwrap_or_default()), "{name}");
        }
        for (may, expected) in [(true, None), (false, not_ours)] {
            assert_eq!(can_be_written(Path::new("/dev/null"), true, |_| may).err().as_deref(), expected);
        }
    }

    /// Lists are downloaded before sockets are bound, so that there may be something to write before it is known whether
    /// this process can serve.
    #[test]
    fn who_does_not_serve_takes_no_file_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        fs::write(&path, "of a process that runs").unwrap();
        let to = config::DnstapTarget::File(path.clone());
        let dnstap = config::Dnstap { to, bytes: 1 << 20, files: 2, client: true, resolver: true };
        let config = config::QueryLog { dnstap: Some(dnstap), ..config::QueryLog::nowhere() };
        let privacy = Privacy::new(config.privacy);
        for (serves, left) in [(false, 1), (true, 2)] {
            let (log, writing) = QueryLog::start(&config, &privacy, None, Arc::default(), None).unwrap();
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
