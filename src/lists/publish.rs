//! Turns the catalog into policies and puts them in force, at the start and whenever something changed.

mod configure;
mod differences;
mod start;
mod status;
mod telling;

pub use configure::{Alongside, ConfigureError, Wish};
pub use status::{ListState, ListStatus, PinnedAt};

use super::{
    catalog::{Catalog, Embedded, Entry, Findings, Occasion, Trouble, is_list_name},
    databases::Databases,
    fetch::{Delivery, Downloads, Fetcher},
    spec,
};
use crate::{
    background::{aside, make_way},
    config::{Config, ListName, Override},
    dns::Name,
    policy::{BuildError, ListSpec, Mode, Policy, PolicySpec},
    uptime::Uptime,
    watch::{self, Happened, Interest, Pending, Watch},
};
use arc_swap::{ArcSwap, ArcSwapOption};
use differences::{by_service, differences};
use start::Purpose;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often the lists are looked at without being told, for file systems without events.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often a start that waits for downloads looks whether it has waited long enough.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// The thread that reads lists and builds policies while one is in force, as tools show it.
const WORK: &str = "lists-work";

/// What is in force, for everybody who reads it.
pub struct Published {
    pub policy: Arc<ArcSwapOption<Policy>>,
    pub status: ArcSwap<ListStatus>,
}

/// Why there is no policy to start with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A line each.
    #[error("{}", .0.join("\n"))]
    Unusable(Vec<String>),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Told to the thread that keeps watch.
pub enum Signal {
    Event(notify::Event),
    /// Events were lost.
    Rescan,
    /// Read everything again (SIGHUP), and drop this when it is done.
    Reload(Option<Waiting>),
    /// Download everything again.
    Update,
    /// Go by another configuration.
    Configured(Box<Wish>),
    /// A download ended.
    Delivered(Delivery),
    Stop,
}

/// Kept for who waits for a reload, and dropped when it is done.
pub type Waiting = tokio::sync::oneshot::Sender<()>;

/// What the lists take from the world besides their texts.
#[derive(Clone)]
pub struct Chance {
    /// Keys the index's hash, and spreads downloads over time.
    pub seed: u64,
    /// Seconds since 1970 (UTC).
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// What the time between downloads is told by.
    pub uptime: Uptime,
}

/// Called with each new policy before it is in force, and with whether lists are held.
pub type OnPublish = Box<dyn Fn(&Policy, bool) + Send>;

/// The lists, loaded.
pub struct Lists {
    config: Arc<Config>,
    /// `None`: nothing is downloaded. It stands before the catalog, whose store it writes to, so that it ends first.
    fetcher: Option<Fetcher>,
    catalog: Catalog,
    databases: Databases,
    published: Arc<Published>,
    on_publish: OnPublish,
    chance: Chance,
    /// The owner's exceptions that are known to be over.
    expired: Vec<(String, String)>,
    signals: (Sender<Signal>, Receiver<Signal>),
    /// Signals that came while only downloads were heard of.
    deferred: VecDeque<Signal>,
}

/// Tells the thread that keeps watch what somebody wants. Cheap to clone.
#[derive(Clone)]
pub struct Control(Sender<Signal>);

impl Control {
    /// Has everything read again.
    pub fn reload(&self) {
        self.reload_for(None);
    }

    /// The same; what is handed in is dropped when it is done.
    pub fn reload_for(&self, waiting: Option<Waiting>) {
        let _ = self.0.send(Signal::Reload(waiting));
    }

    /// Has every list with a url downloaded, due or not.
    pub fn update(&self) {
        let _ = self.0.send(Signal::Update);
    }
}

/// The thread that keeps watch.
pub struct Watching {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Lists {
    /// Reads all lists and puts the first policy in force, for whoever only looks at them: nothing is downloaded and
    /// nothing written. Of lists with a url, what a server downloaded before counts; files count as they are now.
    pub fn load(config: Arc<Config>, embedded: Embedded, chance: Chance) -> Result<Self, StartError> {
        Self::start(config, embedded, chance, Purpose::Look, Box::new(|_, _| {}))
    }

    /// The same for whoever tells what a start would make of them: a required list that is of no use now doesn't matter to
    /// one that has a copy of it.
    pub fn foresee(config: Arc<Config>, embedded: Embedded, chance: Chance) -> Result<Self, StartError> {
        Self::start(config, embedded, chance, Purpose::Foresee, Box::new(|_, _| {}))
    }

    /// The same for a server: lists with a url are downloaded. It may block for as long as required ones take.
    pub fn load_and_download(
        config: Arc<Config>,
        embedded: Embedded,
        chance: Chance,
        downloads: Downloads,
        on_publish: OnPublish,
    ) -> Result<Self, StartError> {
        Self::start(config, embedded, chance, Purpose::Serve(downloads), on_publish)
    }

    /// The next download that ends within a moment. What else comes meanwhile is kept for later.
    fn next_delivery(&mut self) -> Option<Delivery> {
        match self.signals.1.recv_timeout(WAIT_STEP).ok()? {
            Signal::Delivered(delivery) => Some(delivery),
            other => {
                self.deferred.push_back(other);
                None
            }
        }
    }

    /// True if the end came while only downloads were heard of.
    fn is_stopping(&self) -> bool {
        self.deferred.iter().any(|signal| matches!(signal, Signal::Stop))
    }

    /// Looks for what changed, and orders what is to be downloaded.
    fn refresh(&mut self, occasion: &Occasion, now: Instant) -> Findings {
        let mut findings = self.catalog.refresh(occasion, now);
        self.let_rules_through(occasion, &mut findings);
        self.hold_at_versions(occasion, &mut findings);
        // Of a list that is gone, nobody takes what was downloaded.
        for delivery in &occasion.delivered {
            let _ = std::fs::remove_file(&delivery.order.into);
        }
        for order in findings.to_fetch.drain(..) {
            if let Some(fetcher) = &self.fetcher {
                fetcher.order(order);
            }
        }
        findings
    }

    /// Has rules let through that the configuration lets through by the name of a list, besides each list's own `release`.
    fn let_rules_through(&mut self, occasion: &Occasion, findings: &mut Findings) {
        let config = self.config.clone();
        if config.let_through.is_empty() && self.catalog.entries().iter().all(Entry::lets_nothing_through) {
            return;
        }
        let names = |called: Option<ListName>| {
            let own = config.let_through.iter().filter(|own| called.as_ref() == Some(&own.list));
            own.flat_map(|own| own.names.iter().copied()).collect()
        };
        let wanted: Vec<Vec<Name>> = self.called().into_iter().map(names).collect();
        self.catalog.let_through(&wanted, occasion, findings);
    }

    /// Has lists held at the versions that the configuration says.
    fn hold_at_versions(&mut self, occasion: &Occasion, findings: &mut Findings) {
        if self.config.pins.is_empty() && self.catalog.entries().iter().all(|entry| entry.pinned.is_none()) {
            return;
        }
        let config = self.config.clone();
        let pin = |called: Option<ListName>| config.pins.iter().find(|pin| called.as_ref() == Some(&pin.list));
        let wanted: Vec<_> = self.called().into_iter().map(pin).collect();
        self.catalog.hold(&wanted, occasion, findings);
    }

    /// What is in force.
    pub fn published(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// A way to tell what is wanted, once watch is kept.
    pub fn control(&self) -> Control {
        Control(self.signals.0.clone())
    }

    /// Keeps watch from now on.
    pub fn watch(self) -> std::io::Result<Watching> {
        let signals = self.signals.0.clone();
        let sender = signals.clone();
        let thread = std::thread::Builder::new().name("lists".into());
        let thread = thread.spawn(move || {
            make_way();
            let tell = move |happened| {
                let _ = sender.send(match happened {
                    Happened::Event(event) => Signal::Event(event),
                    Happened::Unknown => Signal::Rescan,
                });
            };
            self.run(Watch::new("lists are", tell));
        })?;
        Ok(Watching { signals, thread: Some(thread) })
    }

    fn run(mut self, mut watch: Watch) {
        let mut interest = self.interest();
        watch.follow(&interest);
        let mut pending = Pending::default();
        // Something may have happened between the first reading and the first watch.
        let mut next_look = Instant::now();
        let mut occasion = Occasion::default();
        let mut waiters: Vec<Waiting> = Vec::new();
        loop {
            let now = Instant::now();
            let due = pending.due_in(now);
            let wait = due.unwrap_or(Duration::MAX).min(next_look.saturating_duration_since(now));
            let is_asked = occasion.all || occasion.update || !occasion.delivered.is_empty();
            if !wait.is_zero() && !is_asked {
                let next = match self.deferred.pop_front() {
                    Some(signal) => Ok(signal),
                    None => self.signals.1.recv_timeout(wait),
                };
                match next {
                    Ok(Signal::Event(event)) => pending.note(&event, &interest, Instant::now()),
                    Ok(Signal::Rescan) => {
                        pending.forget_writers();
                        pending.touch(Instant::now());
                    }
                    Ok(Signal::Reload(waiting)) => {
                        occasion.all = true;
                        waiters.extend(waiting);
                    }
                    Ok(Signal::Update) => occasion.update = true,
                    Ok(Signal::Delivered(delivery)) => occasion.delivered.push(delivery),
                    Ok(Signal::Configured(wish)) => {
                        let unfinished = pending.unfinished(now);
                        aside(WORK, || self.configure(*wish, unfinished));
                        // There may be other things to watch, and some that could not be read at once.
                        next_look = Instant::now();
                    }
                    Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                continue;
            }
            if due.is_some_and(|due| due.is_zero()) {
                occasion.touched = pending.take();
                occasion.events = true;
            }
            occasion.unfinished = pending.unfinished(now);
            let occasion = std::mem::take(&mut occasion);
            let look_again = aside(WORK, || self.look(&occasion));
            waiters.clear();
            next_look = Instant::now() + look_again.unwrap_or(LOOK_EVERY);
            interest = self.interest();
            if watch.follow(&interest) {
                // What happened before the new watch stood gave no event.
                next_look = next_look.min(Instant::now() + watch::QUIET);
            }
        }
    }

    /// Looks for changes, and publishes if there are any. Returns when to look again.
    fn look(&mut self, occasion: &Occasion) -> Option<Duration> {
        let started = Instant::now();
        let mut findings = self.refresh(occasion, started);
        let databases = self.databases.refresh(occasion.events || occasion.all);
        self.tell_of_databases(&databases.troubles);
        findings.others_changed |= databases.changed;
        findings.recovered |= self.tell_of_expired();
        let look_again = findings.look_again.into_iter().chain(databases.look_again).min();
        let is_news = !findings.changed.is_empty()
            || !findings.troubles.is_empty()
            || !databases.troubles.is_empty()
            || findings.others_changed
            || findings.told
            || findings.recovered;
        let confirmed = findings.confirmed;
        if is_news || occasion.all {
            if let Err(error) = self.publish(findings, started, Box::new(|| {})) {
                tracing::error!(%error, "the policy could not be built; the one before stays in force");
            }
        } else if confirmed && let Some(policy) = &*self.published.policy.load() {
            self.published.status.store(Arc::new(self.status(policy)));
        }
        look_again
    }

    fn interest(&self) -> Interest {
        let paths = [self.catalog.paths_of_interest(), self.databases.paths()].concat();
        Interest::new(&paths, self.catalog.folders(), is_list_name)
    }

    /// Puts a policy in force in which everything found counts, and `alongside` right before it. Returns its number.
    fn publish(&mut self, findings: Findings, started: Instant, alongside: Alongside) -> Result<u64, BuildError> {
        for Trouble { place, reason, serves } in &findings.troubles {
            match serves {
                true => {
                    tracing::warn!(list = %place, reason, "a list is not used as it is now; its last good state stays in force")
                }
                false => tracing::warn!(list = %place, reason, "a list can't be used, and nothing of it is in force"),
            }
        }
        for (path, reason) in &findings.warnings {
            tracing::warn!(list = %path, reason, "a list is used as it is now, but look at it");
        }
        let before = self.published.policy.load_full();
        // Trouble alone changes no rule: then the policy stays, and only what is said of the lists is new.
        let policy = match &before {
            Some(before) if findings.changed.is_empty() && !findings.others_changed => before.clone(),
            _ => {
                let epoch = before.as_ref().map_or(0, |policy| policy.epoch()) + 1;
                Arc::new(Policy::build(self.spec(epoch))?)
            }
        };
        self.tell_of_gate(&findings.changed);
        let status = Arc::new(self.status(&policy));
        let held: Vec<String> =
            status.lists.iter().filter(|list| list.is_held()).map(|list| list.path.to_string()).collect();
        let lists = status.lists.len();
        (self.on_publish)(&policy, !held.is_empty());
        alongside();
        self.published.policy.store(Some(policy.clone()));
        self.published.status.store(status);
        let millis = started.elapsed().as_millis() as u64;
        // Of the first policy everything is new, which needs no telling.
        let news = before.map(|before| differences(&before, &policy));
        tracing::info!(
            version = policy.epoch(),
            lists,
            files = findings.changed.len(),
            added = news.as_ref().map(|(added, _)| by_service(added)),
            removed = news.as_ref().map(|(_, removed)| by_service(removed)),
            held = held.join(", "),
            rules = policy.rule_count(),
            millis,
            "policy in force"
        );
        self.catalog.keep(findings);
        Ok(policy.epoch())
    }

    fn spec(&self, epoch: u64) -> PolicySpec {
        let config = &self.config;
        let lists = self.catalog.entries().iter().zip(self.names()).filter_map(|(entry, name)| {
            let loaded = entry.in_force()?;
            Some(ListSpec {
                role: entry.role,
                service: self.service_of(entry),
                // A program's own exceptions go as far as the program does.
                default: if self.catalog.is_exceptions(entry) { Some(Mode::Enforce) } else { loaded.header.default },
                never_acts: self.catalog.spec(entry).rpz_override == Some(Override::Disabled),
                name,
                version: loaded.version,
                rules: loaded.rules.clone(),
            })
        });
        PolicySpec {
            epoch,
            mode: config.policy.mode,
            block_ttl: config.policy.block_ttl,
            programs: spec::programs(config),
            lists: lists.collect(),
            owner_exceptions: spec::owner_exceptions(config),
            groups: spec::groups(config),
            geo: self.databases.geo(),
            seed: self.chance.seed,
        }
    }
}

impl Watching {
    /// Has everything read again.
    pub fn reload(&self, waiting: Option<Waiting>) {
        let _ = self.signals.send(Signal::Reload(waiting));
    }

    /// Has every list with a url downloaded, due or not.
    pub fn update(&self) {
        let _ = self.signals.send(Signal::Update);
    }

    /// Ends the watch, and waits for it.
    pub fn stop(mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watching {
    /// Nobody is left who could end the watch.
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}
