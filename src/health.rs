//! What is wrong right now, in words that say what to do. Reads what others publish; changes nothing.

use crate::{
    lists::{ListState, ListStatus, Published, shown_version},
    pause::Pauses,
    policy::shown_time,
    resolve::{Clock, Resolver, UpstreamCounters},
    settings::{OverlayFile, Settings, Standing},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// Questions to name servers after which the lack of any answer means something.
const ASKED_ENOUGH: u64 = 3;
/// How long after the start it is too early to say that nobody answers.
const TOO_EARLY: Duration = Duration::from_secs(2);

/// Said when no name server ever answered.
pub const UPSTREAM_SILENT: &str = "no root server or forwarder ever answered: outbound port 53 seems blocked; set \
                                   [[resolve.forward]] with zone = \".\" to a resolver you can reach";

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

/// What a concern is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Stopping,
    Starting,
    /// The configuration as it is written now is not in force, or not all of it.
    Configuration,
    /// A folder of lists can't be read.
    Folder,
    /// A list as it is now can't be used.
    List,
    /// A database of networks or countries can't be used, or rules want for one.
    Database,
    Paused,
    UpstreamSilent,
    ClockWrong,
    /// Somewhere queries are recorded in part alone.
    QueryLog,
    /// A list can't be held at the version that it is pinned at, or a newer version of it waits.
    Pinned,
    /// Lines of a list that gave no rule, or whose rule is held back.
    Lines,
    /// One of the owner's exceptions is over.
    ExceptionEnded,
    /// Passwords cross a network in the clear.
    InTheClear,
    /// The file of the pages' users can't be used as it is now.
    Users,
    /// The certificate of the pages can't be used as it is now.
    Certificate,
    /// What pages and API changed can't be read, or names something that isn't there.
    Overlay,
    /// Another server keeps its state in the same folder.
    State,
}

/// Something that isn't as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Concern {
    pub code: Code,
    pub what: String,
    /// What holds meanwhile, where that isn't plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<String>,
    /// What would mend it, where somebody here can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

impl Concern {
    fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), in_force: None, to_do: None }
    }

    /// What others than health know of.
    pub fn worth_knowing(code: Code, what: impl Into<String>, to_do: &str) -> Self {
        Self::new(code, what).mended_by(&capital(to_do.trim_end_matches('.')))
    }

    fn meanwhile(self, in_force: &str) -> Self {
        Self { in_force: Some(in_force.to_owned()), ..self }
    }

    fn mended_by(self, to_do: &str) -> Self {
        Self { to_do: Some(to_do.to_owned()), ..self }
    }

    /// One sentence, as `/readyz` tells it.
    pub fn sentence(&self) -> String {
        match (self.code, &self.in_force) {
            (Code::UpstreamSilent, _) => UPSTREAM_SILENT.to_owned(),
            (Code::ClockWrong, Some(in_force)) => format!("{}: {in_force}", self.what),
            (_, Some(in_force)) => format!("{}; {in_force}", self.what),
            (_, None) => self.what.clone(),
        }
    }
}

/// Everything that health is read from.
#[derive(Clone)]
pub struct Health {
    pub published: Arc<Published>,
    pub counters: Arc<UpstreamCounters>,
    pub resolver: Resolver,
    pub settings: Arc<Settings>,
    pub pauses: Arc<Pauses>,
    /// Places where queries are recorded that lose some, by name.
    pub losing: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// Such whose file was removed or moved away lately.
    pub file_gone: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// That another server keeps its state where this one does, in words.
    pub state_shared: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// That nothing can be kept there, in words.
    pub state_unusable: Option<String>,
    /// What pages and API changed.
    pub overlay: Arc<OverlayFile>,
    /// Seconds since 1970 (UTC).
    pub clock: Clock,
    pub started: Instant,
    pub stopping: watch::Receiver<bool>,
}

impl Health {
    /// The state and its reasons.
    pub fn look(&self) -> (Readiness, Vec<Concern>) {
        if *self.stopping.borrow() {
            return (Readiness::Draining, vec![Concern::new(Code::Stopping, "told to stop")]);
        }
        if self.published.policy.load().is_none() {
            return (Readiness::Starting, vec![Concern::new(Code::Starting, "no policy is loaded yet")]);
        }
        let status = self.published.status.load();
        let mut reasons = configuration_troubles(&self.settings.standing());
        reasons.extend(list_troubles(&status));
        reasons.extend(status.lists.iter().filter_map(pin_trouble));
        let database = |why: &String| Concern::new(Code::Database, why).mended_by(DATABASE_TO_DO);
        reasons.extend(status.databases.iter().map(database));
        reasons.extend(self.pauses_told().into_iter().map(|told| {
            Concern::new(Code::Paused, told)
                .mended_by("The first page ends it before its time, and so does `cleandns pause --end`; for a group with `--group`, for a client with `--client`.")
        }));
        if self.upstream_is_silent() {
            reasons.push(upstream_silent());
        }
        if self.resolver.clock_is_wrong() {
            reasons.push(
                Concern::new(Code::ClockWrong, "the system clock stands before this program's build date")
                    .meanwhile("answers are not validated until it is set")
                    .mended_by("Set the clock of this machine, or have it set over the network."),
            );
        }
        reasons.extend((self.losing)().into_iter().map(|sink| {
            Concern::new(Code::QueryLog, format!("query log: {sink} loses queries"))
                .meanwhile("answers are as they should be")
                .mended_by("The program's own log says why.")
        }));
        reasons.extend((self.file_gone)().into_iter().map(|sink| {
            Concern::new(Code::QueryLog, format!("query log: the file of {sink} was removed or moved away"))
                .meanwhile("another was begun")
                .mended_by("What was recorded before is where that file is; this is told for a quarter of an hour.")
        }));
        reasons.extend(self.overlay.troubles().0.map(|why| {
            Concern::new(Code::Overlay, why).meanwhile(self.overlay.in_its_place()).mended_by(
                "Mend overlay.toml in the state folder, or delete it to undo all changes; it is read again by itself.",
            )
        }));
        reasons.extend(self.state_unusable.as_ref().map(|told| {
            Concern::new(Code::State, told)
                .meanwhile("changes, pauses, the query log and copies of lists aren't kept")
                .mended_by(
                    "Give the folder to the user whom this runs as, or set another [state] dir; then restart it.",
                )
        }));
        reasons.extend((self.state_shared)().map(|told| {
            Concern::new(Code::State, told)
                .meanwhile("what one keeps there the other may lose")
                .mended_by("Give each a [state] dir of its own, and restart it.")
        }));
        (if reasons.is_empty() { Readiness::Ready } else { Readiness::Degraded }, reasons)
    }

    /// What is worth a look, and no reason to be called degraded: what is in force is so as it was written.
    pub fn notes(&self) -> Vec<Concern> {
        let status = self.published.status.load();
        let lines = status.lists.iter().filter_map(lines_left_out);
        // Those that can't be used are reasons for concern already.
        let idle = status.database_troubles().into_iter().skip(status.databases.len());
        let idle = idle.map(|why| Concern::new(Code::Database, why).mended_by("config/POLICY.md says more."));
        let ended = status.expired_exceptions.iter().map(|(place, until)| {
            Concern::new(Code::ExceptionEnded, format!("{place}: the exception ended on {until}"))
                .mended_by("Remove it, or give it a later end.")
        });
        let resting = self.overlay.troubles().1.into_iter().map(|why| {
            Concern::new(Code::Overlay, why)
                .meanwhile("this change does nothing")
                .mended_by("Undo it on the page Changes, or give back what it names.")
        });
        let waiting = status.lists.iter().filter_map(newer_waits);
        let without_list = status.without_list.iter().map(|(place, list)| {
            Concern::new(Code::Overlay, format!("{place}: there is no list {list}"))
                .meanwhile("this change does nothing")
                .mended_by("Undo it on the page Changes, or give back what it names.")
        });
        lines.chain(idle).chain(ended).chain(resting).chain(waiting).chain(without_list).collect()
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

const DATABASE_TO_DO: &str = "Put a good file where [policy] names it; it is read again by itself.";

/// The parts of [`UPSTREAM_SILENT`].
fn upstream_silent() -> Concern {
    let (what, to_do) = UPSTREAM_SILENT.split_once("; ").unwrap_or((UPSTREAM_SILENT, ""));
    Concern::new(Code::UpstreamSilent, what).mended_by(&capital(to_do))
}

/// With a capital letter and a full stop.
fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), signs.as_str()))
}

/// What keeps the configuration as it is written from being in force.
fn configuration_troubles(standing: &Standing) -> Vec<Concern> {
    let refused = told_once(&standing.refused).into_iter().map(|problem| {
        Concern::new(Code::Configuration, problem)
            .meanwhile("the configuration before stays in force")
            .mended_by("Mend what is written there; it is read again by itself.")
    });
    let waiting = (!standing.waiting.is_empty()).then(|| {
        Concern::new(
            Code::Configuration,
            format!("written, and waiting for a restart: {}", standing.waiting.join(", ")),
        )
        .meanwhile("the values of the start hold")
        .mended_by("Restart cleandns, or take the change back.")
    });
    refused.chain(waiting).collect()
}

/// Problems of a file, those alike as one: a slip may be met again at each line that it puts out of place.
fn told_once(problems: &[String]) -> Vec<String> {
    let text = |problem: &str| problem.split_once(": ").map_or(problem, |(_, text)| text).to_owned();
    let mut told: Vec<(&String, usize)> = Vec::new();
    for problem in problems {
        match told.iter_mut().find(|(first, _)| text(first) == text(problem)) {
            Some((_, more)) => *more += 1,
            None => told.push((problem, 0)),
        }
    }
    let worded = |(first, more): (&String, usize)| match more {
        0 => first.clone(),
        more => format!("{first} (and so at {more} more)"),
    };
    told.into_iter().map(worded).collect()
}

fn list_troubles(status: &ListStatus) -> Vec<Concern> {
    let folders = status.folders.iter().map(|(program, why)| {
        Concern::new(Code::Folder, format!("{program}: {why}"))
            .meanwhile("its last good lists serve")
            .mended_by("Give the folder back, or take it out of the program's lists.")
    });
    let lists = status.lists.iter().filter_map(|list| {
        let trouble = list.trouble.as_ref()?;
        let is_pinned = list.pinned.as_ref().is_some_and(|pinned| pinned.trouble.is_none());
        let serving = match (list.version, list.from_store) {
            (0, _) => "nothing of it is in force".to_owned(),
            _ if is_pinned => "the version that it is pinned at serves".to_owned(),
            (_, true) => "the copy kept from an earlier run serves".to_owned(),
            (_, false) => last_good(list.since),
        };
        let concern = Concern::new(Code::List, format!("{}/{}: {}: {trouble}", list.program, list.service, list.path));
        Some(concern.meanwhile(&serving).mended_by("Mend the list where it comes from; it is read again by itself."))
    });
    folders.chain(lists).collect()
}

/// What serves in place of a list, and since when.
fn last_good(since: Option<SystemTime>) -> String {
    let seconds = since.and_then(|since| i64::try_from(since.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok());
    let of = seconds.map_or_else(String::new, |seconds| format!(", which came at {},", shown_time(seconds)));
    format!("its last good state{of} serves")
}

/// A list whose pin doesn't hold.
fn pin_trouble(list: &ListState) -> Option<Concern> {
    let trouble = list.pinned.as_ref()?.trouble.as_ref()?;
    let concern = Concern::new(Code::Pinned, format!("{}/{} is pinned, but {trouble}", list.program, list.name));
    let meanwhile = if list.version == 0 { "nothing of it is in force" } else { "as it is now, it is in force" };
    Some(concern.meanwhile(meanwhile).mended_by("On its page roll it back to a version that is kept, or release it."))
}

/// A list of which a newer text waits.
fn newer_waits(list: &ListState) -> Option<Concern> {
    let pinned = list.pinned.as_ref()?;
    let (version, rules) = pinned.waiting?;
    let (own, version) = (shown_version(pinned.version), shown_version(version));
    let what = format!(
        "{}/{} is pinned at version {own}; version {version} with {rules} rules waits",
        list.program, list.name
    );
    Some(
        Concern::new(Code::Pinned, what).mended_by("Release it on its page once the newer version is as it should be."),
    )
}

/// A list that is in force but for some lines.
fn lines_left_out(list: &ListState) -> Option<Concern> {
    let count = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let held = count(list.held.count, "rule is held back as too broad", "rules are held back as too broad");
    let skipped = count(list.skipped.count, "line gave no rule", "lines gave no rule");
    let told: Vec<String> = held.into_iter().chain(skipped).collect();
    if told.is_empty() {
        return None;
    }
    let what = format!("{}/{}: {}", list.program, list.name, told.join(", "));
    let to_do = match list.held.count {
        0 => "The list's page tells which lines, and why.",
        _ => "The list's page tells which lines, and why; rules that are meant are let through there.",
    };
    Some(Concern::new(Code::Lines, what).meanwhile("the others are in force").mended_by(to_do))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[program]` for `[[program]]`, once.
    #[test]
    fn one_slip_is_one_thing_to_look_at() {
        let again = |line: u32| format!("cleandns.toml:{line}:3: program is set a second time; keep one of the two");
        let problems = ["cleandns.toml:201:1: program: expected tables".to_owned(), again(213), again(226), again(239)];
        assert_eq!(told_once(&problems), [problems[0].clone(), format!("{} (and so at 2 more)", problems[1])]);
    }

    #[test]
    fn sentences_are_made_of_their_parts() {
        assert_eq!(upstream_silent().sentence(), UPSTREAM_SILENT);
        assert!(upstream_silent().to_do.is_some_and(|to_do| to_do.starts_with("Set [[resolve.forward]]")));
        let list = Concern::new(Code::List, "p/s: a.list: it is empty").meanwhile("its last good state serves");
        assert_eq!(list.mended_by("Mend it.").sentence(), "p/s: a.list: it is empty; its last good state serves");
        assert_eq!(Concern::new(Code::Stopping, "told to stop").sentence(), "told to stop");
        let since = UNIX_EPOCH + Duration::from_secs(1_796_035_320);
        assert_eq!(last_good(Some(since)), "its last good state, which came at 2026-11-30 10:42 UTC, serves");
        assert_eq!(last_good(None), "its last good state serves");
    }
}
