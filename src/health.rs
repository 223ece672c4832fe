//! What is wrong right now, in words that say what to do. Reads what others publish; changes nothing.

use crate::{
    lists::{ListStatus, Published},
    pause::Pauses,
    resolve::{Clock, Resolver, UpstreamCounters},
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Questions to name servers after which the lack of any answer means something.
const ASKED_ENOUGH: u64 = 3;
/// How long after the start it is too early to say that nobody answers.
const TOO_EARLY: Duration = Duration::from_secs(2);

/// Said when no name server ever answered.
pub const UPSTREAM_SILENT: &str = "no root server or forwarder ever answered: outbound port 53 seems blocked; set \
                                   [[resolve.forward]] with zone = \".\" to a resolver you can reach";
/// Said while the clock is wrong.
const CLOCK_WRONG: &str = "the system clock stands before this program's build date: answers are not validated until \
                           it is set";

/// Whether queries are answered, and as well as they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// No policy is in force yet.
    Starting,
    Ready,
    /// Ready, with reasons for concern.
    Degraded,
    /// Told to stop.
    Draining,
}

impl Readiness {
    /// The word in `/readyz`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
        }
    }

    /// Whether queries should be sent here.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// Everything that health is read from.
#[derive(Clone)]
pub struct Health {
    pub published: Arc<Published>,
    pub counters: Arc<UpstreamCounters>,
    pub resolver: Resolver,
    pub pauses: Arc<Pauses>,
    /// Places where queries are recorded that lose some, by name.
    pub losing: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// Seconds since 1970 (UTC).
    pub clock: Clock,
    pub started: Instant,
    pub stopping: watch::Receiver<bool>,
}

impl Health {
    /// The state and its reasons.
    pub fn look(&self) -> (Readiness, Vec<String>) {
        if *self.stopping.borrow() {
            return (Readiness::Draining, vec!["told to stop".to_owned()]);
        }
        if self.published.policy.load().is_none() {
            return (Readiness::Starting, vec!["no policy is loaded yet".to_owned()]);
        }
        let status = self.published.status.load();
        let mut reasons = list_troubles(&status);
        reasons.extend(status.databases.iter().cloned());
        reasons.extend(self.pauses_told());
        if self.upstream_is_silent() {
            reasons.push(UPSTREAM_SILENT.to_owned());
        }
        if self.resolver.clock_is_wrong() {
            reasons.push(CLOCK_WRONG.to_owned());
        }
        reasons.extend(
            (self.losing)()
                .into_iter()
                .map(|sink| format!("query log: {sink} loses queries; the program's log says why")),
        );
        (if reasons.is_empty() { Readiness::Ready } else { Readiness::Degraded }, reasons)
    }

    /// The pauses that hold now, in words.
    pub fn pauses_told(&self) -> Vec<String> {
        self.pauses.told((self.clock)() as i64)
    }

    /// True if name servers were asked and none ever answered.
    pub fn upstream_is_silent(&self) -> bool {
        let asked = self.counters.asked.load(Relaxed);
        self.counters.answered.load(Relaxed) == 0 && asked >= ASKED_ENOUGH && self.started.elapsed() > TOO_EARLY
    }
}

fn list_troubles(status: &ListStatus) -> Vec<String> {
    let folders = status.folders.iter().map(|(program, why)| format!("{program}: {why}; its last good lists serve"));
    let lists = status.lists.iter().filter_map(|list| {
        let trouble = list.trouble.as_ref()?;
        let serving = match (list.version, list.from_store) {
            (0, _) => "nothing of it is in force",
            (_, true) => "the copy kept from an earlier run serves",
            (_, false) => "its last good state serves",
        };
        Some(format!("{}/{}: {}: {trouble}; {serving}", list.program, list.service, list.path))
    });
    folders.chain(lists).collect()
}
