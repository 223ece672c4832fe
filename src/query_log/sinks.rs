//! Which sinks a configuration asks for, and how others come in their place while queries are recorded: no row is lost,
//! and each goes where it was meant to when its query was answered.
//!
//! ```text
//! configuration → wanted → prepared (what can fail, threads that wait) → in force: the rings are emptied into the sinks
//!                                                                        before, then the others take their places
//! ```

use super::{
    QueryLog, StartError, clickhouse,
    dnstap::DnstapSink,
    drain::{self, Audience, Counted, Make, Outlet, Plan, Ready, Sink},
    json_lines::JsonSink,
    judge,
    privacy::Privacy,
    sqlite,
};
use crate::config::{self, ClickHouse, Dnstap, JsonLines};
use std::{
    io, mem,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Duration,
};

/// A sink that keeps nothing, for those who look at queries as they come.
#[derive(Clone)]
pub struct Shown {
    pub make: Arc<dyn Fn() -> Box<dyn Sink> + Send + Sync>,
    pub audience: Audience,
}

/// A sink as a configuration has it. One that is wanted as it is goes on undisturbed.
#[derive(Clone, PartialEq)]
struct Wanted {
    kind: Kind,
    privacy: config::Privacy,
    /// What its rows are told apart by; empty for what tells nobody.
    instance: String,
    /// Where what can't be sent waits.
    state_dir: Option<PathBuf>,
}

#[derive(Clone, PartialEq)]
enum Kind {
    Sqlite { path: PathBuf, keep: Duration, keep_sums: Duration, bytes: u64 },
    Json(JsonLines),
    Dnstap(Dnstap),
    ClickHouse(ClickHouse),
    Shown,
}

/// The sinks at work.
#[derive(Default)]
pub(super) struct Sinks {
    running: Vec<Running>,
    /// Threads of such that are wanted no more, and write what came to them.
    leaving: Vec<JoinHandle<()>>,
}

struct Running {
    wanted: Wanted,
    outlet: Outlet,
    thread: JoinHandle<()>,
}

/// Sinks that are ready to come in the place of those there are; gone again if they aren't put in force.
pub struct Prepared {
    log: Arc<QueryLog>,
    privacy: Privacy,
    next: Vec<Next>,
    answers: bool,
    wants_packets: bool,
    wants_exchanges: bool,
}

enum Next {
    Stays(&'static str),
    Comes(Box<Wanted>, Ready),
}

/// Finds files that can't be written, before anything is: they or their folder aren't ours to write to, or that isn't there.
/// A database makes its own folder, and is put aside where it can't be used.
pub fn check(config: &config::QueryLog) -> Vec<StartError> {
    wanted(config, None, false).iter().filter_map(|wanted| wanted.check().err()).collect()
}

/// All sinks that a configuration asks for.
fn wanted(config: &config::QueryLog, state_dir: Option<&Path>, is_shown: bool) -> Vec<Wanted> {
    let config::QueryLog { keep, keep_sums, bytes, privacy, .. } = *config;
    let database = config.database.clone().map(|path| Kind::Sqlite { path, keep, keep_sums, bytes });
    let kinds = database
        .into_iter()
        .chain(config.json.clone().map(Kind::Json))
        .chain(config.dnstap.clone().map(Kind::Dnstap))
        .chain(config.clickhouse.clone().map(Kind::ClickHouse));
    let keeping = |kind: Kind| {
        let state_dir = state_dir.filter(|_| matches!(kind, Kind::ClickHouse(_))).map(Path::to_owned);
        Wanted { kind, privacy, instance: config.instance.clone(), state_dir }
    };
    let shown = is_shown.then(|| Wanted { kind: Kind::Shown, privacy, instance: String::new(), state_dir: None });
    kinds.map(keeping).chain(shown).collect()
}

impl Wanted {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite { .. } => sqlite::SINK,
            Kind::Json(_) => "json",
            Kind::Dnstap(_) => "dnstap",
            Kind::ClickHouse(_) => "clickhouse",
            Kind::Shown => "shown",
        }
    }

    /// The option that is at fault if it can't be made.
    fn option(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite { .. } => "path",
            Kind::Json(_) => "json.to",
            Kind::Dnstap(_) => "dnstap.to",
            Kind::ClickHouse(_) => "clickhouse.url",
            Kind::Shown => "enabled",
        }
    }

    /// The file that must be ready to be written, where one must, and whether one that is there is written to: dnstap puts
    /// it aside, and begins another.
    fn file(&self) -> Option<(&Path, bool)> {
        match &self.kind {
            Kind::Json(lines) => Some((lines.to.file()?, true)),
            Kind::Dnstap(dnstap) => Some((dnstap.to.file()?, false)),
            Kind::Sqlite { .. } | Kind::ClickHouse(_) | Kind::Shown => None,
        }
    }

    /// Finds its file at fault before anything is written.
    fn check(&self) -> Result<(), StartError> {
        let judged = self.file().map_or(Ok(()), |(path, goes_on)| judge(path, goes_on));
        judged.map_err(|why| StartError { option: self.option(), why })
    }

    /// What it counts.
    fn counted(&self) -> Counted {
        match &self.kind {
            Kind::Dnstap(dnstap) => Counted { queries: dnstap.client, exchanges: dnstap.resolver },
            _ => Counted { queries: true, exchanges: false },
        }
    }

    /// How it is made, once the one before it has let go of its files.
    fn make(&self, shown: Option<&Shown>) -> io::Result<Make> {
        let Self { kind, privacy, instance, state_dir } = self.clone();
        Ok(match kind {
            Kind::Sqlite { path, keep, keep_sums, bytes } => Box::new(move || {
                let limits = sqlite::Limits { keep, keep_sums, bytes };
                Box::new(sqlite::Writer::new(&path, limits, sqlite::Origin::new(&instance, privacy)))
            }),
            // It opens its file now, so that it is known whether it can.
            Kind::Json(lines) => {
                let sink = JsonSink::new(&lines, &instance)?;
                Box::new(move || Box::new(sink))
            }
            Kind::Dnstap(dnstap) => Box::new(move || Box::new(DnstapSink::new(&dnstap, &instance, privacy))),
            Kind::ClickHouse(server) => {
                Box::new(move || Box::new(clickhouse::ClickHouseSink::new(&server, &instance, state_dir.as_deref())))
            }
            Kind::Shown => {
                let shown = shown.cloned().ok_or_else(|| io::Error::other("nobody can look"))?;
                Box::new(move || (shown.make)())
            }
        })
    }
}

impl Running {
    /// Lets it write what came to it, and end.
    fn let_go(self) -> JoinHandle<()> {
        self.thread
    }
}

impl Sinks {
    pub(super) fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.running.iter().map(|running| &running.outlet)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Lets all go, and waits for what they write yet.
    pub(super) fn end(&mut self) {
        let Self { running, leaving } = mem::take(self);
        let ending: Vec<_> = running.into_iter().map(Running::let_go).chain(leaving).collect();
        ending.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl QueryLog {
    /// Makes ready what another configuration asks for, or tells why it can't be had; then nothing has changed.
    pub fn prepare(
        self: &Arc<Self>,
        config: &config::QueryLog,
        state_dir: Option<&Path>,
    ) -> Result<Prepared, StartError> {
        let privacy = self.privacy.with(config.privacy);
        // Not held meanwhile: to open a file may take a while, and the rings are emptied under the same lock.
        let running: Vec<_> = {
            let sinks = self.sinks();
            sinks.running.iter().map(|running| (running.wanted.clone(), running.outlet.counts.clone())).collect()
        };
        let mut next = Vec::new();
        for wanted in wanted(config, state_dir, self.shown.is_some()) {
            let (name, option) = (wanted.name(), wanted.option());
            let before = running.iter().find(|(before, _)| before.name() == name);
            if before.is_some_and(|(before, _)| *before == wanted) {
                next.push(Next::Stays(name));
                continue;
            }
            let failed = |why: String| StartError { option, why };
            wanted.check()?;
            // Its numbers go on, if they are of the same things.
            let counts = before.map(|(_, counts)| counts.clone());
            let counts = counts.filter(|counts| counts.counted() == wanted.counted());
            let make = wanted.make(self.shown.as_ref()).map_err(|error| failed(error.to_string()))?;
            let shown = self.shown.as_ref().filter(|_| wanted.kind == Kind::Shown);
            let audience = shown.map(|shown| shown.audience.clone());
            let plan = Plan { name, counted: wanted.counted(), counts, audience };
            let ready = drain::ready(plan, make, privacy.clone(), self.upstreams.clone());
            next.push(Next::Comes(Box::new(wanted), ready.map_err(|error| failed(error.to_string()))?));
        }
        let dnstap = config.dnstap.as_ref();
        Ok(Prepared {
            log: self.clone(),
            privacy,
            next,
            answers: config.answers,
            wants_packets: dnstap.is_some_and(|dnstap| dnstap.client),
            wants_exchanges: dnstap.is_some_and(|dnstap| dnstap.resolver),
        })
    }
}

impl Prepared {
    /// How much of a client is told from now on.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// Puts them in the places of those there are. What was answered until now goes to these yet, told as it was to be told
    /// then.
    pub fn put_in_force(self) {
        let Self { log, privacy: _, next, answers, wants_packets, wants_exchanges } = self;
        let mut sinks = log.sinks();
        if log.begun.load(Relaxed) {
            drain::drain(&log, sinks.outlets());
        }
        let mut before = mem::take(&mut sinks.running);
        let mut take = |name: &str| {
            let at = before.iter().position(|running| running.wanted.name() == name)?;
            Some(before.swap_remove(at))
        };
        for next in next {
            match next {
                Next::Stays(name) => sinks.running.extend(take(name)),
                Next::Comes(wanted, ready) => {
                    let (outlet, thread) = ready.go(take(wanted.name()).map(Running::let_go));
                    sinks.running.push(Running { wanted: *wanted, outlet, thread });
                }
            }
        }
        sinks.leaving.retain(|thread| !thread.is_finished());
        sinks.leaving.extend(before.into_iter().map(Running::let_go));
        let kept = sinks.outlets().filter(|outlet| outlet.audience.is_none());
        let kept: Vec<_> = kept.map(|outlet| outlet.counts.clone()).collect();
        log.is_kept.store(!kept.is_empty(), Relaxed);
        log.counts.store(Arc::new(kept));
        log.answers.store(answers, Relaxed);
        log.wants_packets.store(wants_packets, Relaxed);
        log.wants_exchanges.store(wants_exchanges, Relaxed);
        drop(sinks);
        log.wake();
    }
}

#[cfg(test)]
mod tests;
