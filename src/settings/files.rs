//! The configuration's files while the program runs: read whole and checked whole when they change or somebody asks,
//! and put in force whole. What is of no use is told, and the one before stays.

use super::{Changing, Settings};
use crate::{
    config::{self, Config, ConfigFiles, Loaded, Problems},
    lists::{Control, Waiting},
    watch::{self, Happened, Interest, Pending, Stamp, Watch},
};
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How often the files are looked at without being told, for file systems without events.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// When files that changed without an event, or are being written, are looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long a file must be gone before that counts: editors and tools delete and recreate.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// How often a configuration that is of no use is tried again: a list that it names may come later.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// By how much the time of a file may lag: file systems go by the kernel's ticks.
const CLOCK_STEP: Duration = Duration::from_millis(10);
/// Problems told in the log and kept for whoever asks how it goes.
const TOLD_MAX: usize = 20;

/// Reads the configuration again: all files that it is made of.
pub type ReadAgain = Arc<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>;

/// The thread that keeps watch on the files.
pub struct Files {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    Happened(Happened),
    /// Read everything again (SIGHUP), and then the lists, and drop this when it is done.
    Reload(Option<Waiting>),
    Stop,
}

/// What the thread works with.
pub struct Wanted {
    pub read: ReadAgain,
    pub changing: Arc<Changing>,
    pub settings: Arc<Settings>,
    /// Told to read the lists again after the files.
    pub lists: Control,
    /// What the files said at the start, without what lies on top.
    pub said: Config,
}

impl Files {
    /// Keeps watch from now on. Called on a runtime, which it uses.
    pub fn watch(wanted: Wanted) -> std::io::Result<Self> {
        let (signals, received) = channel();
        let sender = signals.clone();
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("configuration".into());
        let thread = thread.spawn(move || {
            let watch = Watch::new("the configuration's files are", move |happened| {
                let _ = sender.send(Signal::Happened(happened));
            });
            Watcher {
                seen: Seen::default(),
                candidate: None,
                gone_since: None,
                refused_since: None,
                said: wanted.said.clone(),
                was_blank: is_blank(&wanted),
                wanted,
                runtime,
            }
            .run(watch, &received);
        })?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Has everything read again, whether or not it changed, and then the lists; then `waiting` is dropped.
    pub fn reload(&self, waiting: Option<Waiting>) {
        let _ = self.signals.send(Signal::Reload(waiting));
    }

    /// Ends the watch, and waits for it.
    pub fn stop(mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the first of the files sets no option. A pipe isn't looked into: it says what it has to say once.
fn is_blank(wanted: &Wanted) -> bool {
    let ConfigFiles { paths, .. } = config::files_of(&wanted.said.origin);
    paths.first().is_some_and(|first| first.is_file()) && (wanted.read)().is_ok_and(|loaded| loaded.is_blank)
}

impl Drop for Files {
    /// Nobody is left who could end the watch.
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

/// Why a file that had options isn't used without any.
const EMPTIED: &str = "it sets no option any more, as one that was cut off; write it anew, or start the server again if all \
                       defaults are meant";

/// All files with what tells their states apart; `None`: it can't be looked at.
type Seen = BTreeMap<PathBuf, Option<Stamp>>;

struct Watcher {
    wanted: Wanted,
    runtime: tokio::runtime::Handle,
    /// The state that was read last.
    seen: Seen,
    /// A changed state seen by a look without events: read once it stays.
    candidate: Option<Seen>,
    gone_since: Option<Instant>,
    /// When what the files say was last tried in vain.
    refused_since: Option<Instant>,
    /// What the files said when they were last of use.
    said: Config,
    /// The first of them set no option then.
    was_blank: bool,
}

/// Why the files are looked at.
#[derive(Default)]
struct Occasion {
    /// Somebody asked.
    asked: bool,
    /// Something happened, so what changed has been written to its end.
    events: bool,
    /// Files that are being written.
    unfinished: HashSet<PathBuf>,
}

impl Watcher {
    fn run(mut self, mut watch: Watch, signals: &Receiver<Signal>) {
        // What was read at the start was read before this watch: it may have changed since.
        self.seen = self.now();
        self.read(false);
        let mut interest = self.interest();
        watch.follow(&interest);
        let (mut pending, mut next_look, mut asked) = (Pending::default(), Instant::now(), Vec::new());
        loop {
            let now = Instant::now();
            let due = pending.due_in(now);
            let wait = due.unwrap_or(Duration::MAX).min(next_look.saturating_duration_since(now));
            if !wait.is_zero() && asked.is_empty() {
                match signals.recv_timeout(wait) {
                    Ok(Signal::Happened(Happened::Event(event))) => pending.note(&event, &interest, Instant::now()),
                    Ok(Signal::Happened(Happened::Unknown)) => {
                        pending.forget_writers();
                        pending.touch(Instant::now());
                    }
                    Ok(Signal::Reload(waiting)) => asked.push(waiting),
                    Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                continue;
            }
            let events = due.is_some_and(|due| due.is_zero()) && !pending.take().is_empty();
            let occasion = Occasion { asked: !asked.is_empty(), events, unfinished: pending.unfinished(now) };
            let look_again = self.look(&occasion);
            asked.drain(..).for_each(|waiting| self.wanted.lists.reload_for(waiting));
            next_look = Instant::now() + look_again.unwrap_or(LOOK_EVERY);
            interest = self.interest();
            if watch.follow(&interest) {
                // What happened before the new watch stood gave no event.
                next_look = next_look.min(Instant::now() + watch::QUIET);
            }
        }
    }

    /// Reads the files if they changed and their writers are done. Returns when to look again, if that is soon.
    fn look(&mut self, occasion: &Occasion) -> Option<Duration> {
        let now = self.now();
        let is_due = self.refused_since.is_some_and(|since| since.elapsed() >= TRY_AGAIN_AFTER);
        if now == self.seen && !occasion.asked && !is_due {
            (self.candidate, self.gone_since) = (None, None);
            return None;
        }
        if !occasion.asked {
            if now.keys().any(|path| occasion.unfinished.contains(path)) {
                return Some(LOOK_AGAIN_AFTER);
            }
            let is_there = |path: &PathBuf| now.get(path).is_some_and(Option::is_some);
            let is_gone = self.seen.iter().any(|(path, stamp)| stamp.is_some() && !is_there(path));
            if is_gone && self.gone_since.get_or_insert_with(Instant::now).elapsed() < GONE_AFTER {
                return Some(LOOK_AGAIN_AFTER);
            }
            if !occasion.events && !is_due && self.candidate.as_ref() != Some(&now) {
                // Nobody said that the writer is done: it is, once two looks see the same.
                self.candidate = Some(now);
                return Some(LOOK_AGAIN_AFTER);
            }
        }
        (self.candidate, self.gone_since) = (None, None);
        let is_changed = now != self.seen;
        self.seen = now;
        let began = SystemTime::now().checked_sub(CLOCK_STEP).unwrap_or(UNIX_EPOCH);
        self.read(is_changed);
        // It may have changed while it was read, and other files may belong to it now, written since who knows when.
        let after = self.now();
        let is_new = |path: &PathBuf, stamp: &Stamp| !self.seen.contains_key(path) && stamp.changed() >= began;
        let is_same = self.seen.iter().all(|(path, stamp)| after.get(path) == Some(stamp))
            && !after.iter().any(|(path, stamp)| stamp.is_some_and(|stamp| is_new(path, &stamp)));
        if is_same {
            self.seen = after;
        }
        (!is_same).then_some(LOOK_AGAIN_AFTER)
    }

    /// Reads the files, and has what they say put in force: if they say something else, or files that they name do
    /// (`anyhow`), or it was refused before.
    fn read(&mut self, anyhow: bool) {
        let loaded = match (self.wanted.read)() {
            Ok(loaded) => loaded,
            Err(Problems(problems)) => return self.refuse(problems.iter().map(ToString::to_string).collect()),
        };
        // A start takes it for all defaults. Of a file in use that is what a full disk, or a copy that broke off, leaves, and
        // the owner's programs would be out of force by it.
        if loaded.is_blank && !self.was_blank {
            let file = loaded.sources.first().map_or("the configuration", String::as_str);
            return self.refuse(vec![format!("{file}: {EMPTIED}")]);
        }
        if loaded.config == self.said && !anyhow && self.refused_since.is_none() {
            return;
        }
        match self.runtime.block_on(self.wanted.changing.files_say(loaded.config.clone())) {
            Ok(applied) => {
                loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                tracing::info!(version = applied.epoch, "the configuration was read again, and is in force");
                (self.said, self.was_blank) = (loaded.config, loaded.is_blank);
                self.refused_since = None;
            }
            Err(error) => self.refuse(vec![error.to_string()]),
        }
    }

    /// Tells of a configuration that is not put in force, once for the same reasons.
    fn refuse(&mut self, mut problems: Vec<String>) {
        self.refused_since = Some(Instant::now());
        let more = problems.len().saturating_sub(TOLD_MAX);
        problems.truncate(TOLD_MAX);
        if more > 0 {
            problems.push(format!("and {more} problems more"));
        }
        if self.wanted.settings.standing().refused == problems {
            return;
        }
        for problem in &problems {
            tracing::error!("{problem}");
        }
        tracing::error!("the configuration is not used as it is now; the one before stays in force");
        self.wanted.settings.refuse(problems);
    }

    /// Everything on disk that the configuration is read from.
    fn now(&self) -> Seen {
        let config = self.wanted.settings.config();
        let ConfigFiles { paths, unseen } = config::files_of(&self.said.origin);
        // Told apart from a folder that isn't there, also where no file in it was known before.
        let hidden = unseen.and_then(|_| config::folder_of(&self.said.origin)).map(|folder| (folder, None));
        // Files whose text is part of the configuration, too.
        let paths = paths.into_iter().chain(config.local.hosts.iter().chain(&config.secrets).cloned());
        paths.map(|path| (path.clone(), Stamp::of(&path).ok())).chain(hidden).collect()
    }

    fn interest(&self) -> Interest {
        let folder = config::folder_of(&self.said.origin);
        // In the state folder something happens all the time: a token that lies there is looked at now and then.
        let config = self.wanted.settings.config();
        let token = config.admin.as_ref().and_then(|admin| admin.token_file.as_ref());
        let token = token.filter(|file| file.parent() == config.state_dir.as_deref());
        let files = self.now().into_keys().filter(|path| Some(path) != token);
        // The folder too, for it may come later.
        let paths: Vec<PathBuf> = files.chain(folder.clone()).collect();
        Interest::new(&paths, folder.as_deref().filter(|folder| folder.is_dir()).into_iter(), config::is_part)
    }
}
