//! The audit log: who did what, when, from where, and what was there before. One JSON object a line, in a file that only
//! its owner reads. A change whose line can't be written isn't made; what isn't written to a disk isn't written.
//!
//! Without a place for the file the lines go to the program's log, and the last of them are kept in memory.

mod files;

use self::files::{aside, end_half_line, lines_at_end, put_aside};
use super::auth::{By, Role, Who};
use crate::report::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    cmp::Reverse,
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

/// The file's name in the state folder.
pub const FILE_NAME: &str = "audit.jsonl";
/// Octets after which a file is put aside, and how many that were put aside are kept: years of people's changes.
const FILE_BYTES_MAX: u64 = 16 << 20;
const FILES_KEPT: usize = 5;
/// The last lines, which are at hand in memory.
const AT_HAND: usize = 256;
/// Octets at the end of a file in which they are looked for at the start.
const TAIL_BYTES: u64 = 512 << 10;
/// Lines about refusals, failed sign-ins and wrong tokens within a minute, and within a day: strangers can write them, and
/// would else put changes aside, and in the end out of the log. With these it takes them more than half a year.
const REFUSALS_A_MINUTE: usize = 60;
const REFUSALS_A_DAY: usize = 1000;
/// Octets of each text of such a line.
const REFUSAL_TEXT_BYTES_MAX: usize = 256;
/// Such lines that are at hand in memory; they don't push out more of the others.
const REFUSALS_AT_HAND: usize = AT_HAND / 4;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// A line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Counts up from 1 and goes on over restarts.
    pub change: u64,
    /// RFC 3339, UTC.
    pub time: String,
    pub who: String,
    /// `None`: whoever it was isn't known, as with a failed sign-in.
    pub role: Option<Role>,
    pub by: By,
    pub from: Option<IpAddr>,
    /// `pause`, `flush`, `update`, `sign-in`, `sign-out`, `refused` and whatever else there is.
    pub what: String,
    /// What it was done to, such as `pause/everybody`.
    pub key: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The change that this one takes back.
    pub undoes: Option<u64>,
    /// The epoch of the policy in force when it was asked for.
    pub policy: u64,
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    /// It may not be done by who asked.
    Refused,
    /// It was to be done, and went wrong.
    Failed,
}

impl Line {
    /// Why a change can't be undone that isn't as it left things, if this is what was last done there.
    pub fn why_not_undone(&self, change: u64) -> String {
        let Self { change: later, who, key, undoes, .. } = self;
        match undoes {
            Some(undone) if *undone == change => {
                format!("change {change} is undone already, by change {later} ({who}); undo that to have it back")
            }
            _ => format!("{key} was changed again by change {later}; undo that first"),
        }
    }
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// What became of a change, in a sentence.
    pub fn told(self) -> &'static str {
        match self {
            Self::Done => "was made",
            Self::Refused => "was refused",
            Self::Failed => "came to nothing",
        }
    }
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    pub who: Who,
    /// Who it is has been made out.
    pub is_known: bool,
    pub what: &'static str,
    pub key: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub undoes: Option<u64>,
    pub policy: u64,
    pub outcome: Outcome,
}

impl Entry {
    /// Something that `who` does.
    pub fn new(who: &Who, what: &'static str, key: impl Into<String>) -> Self {
        Self {
            who: who.clone(),
            is_known: true,
            what,
            key: key.into(),
            before: None,
            after: None,
            undoes: None,
            policy: 0,
            outcome: Outcome::Done,
        }
    }

    fn is_refusal(&self) -> bool {
        self.outcome == Outcome::Refused
    }

    fn line(mut self, change: u64, now: i64) -> Line {
        if self.is_refusal() {
            // Nothing was changed, so there is no value before or after it.
            (self.before, self.after) = (None, None);
            for text in [&mut self.who.name, &mut self.key] {
                text.truncate(text.floor_char_boundary(REFUSAL_TEXT_BYTES_MAX));
            }
        }
        Line {
            change,
            time: Moment(now.saturating_mul(1_000_000)).shown("%Y-%m-%dT%H:%M:%SZ"),
            who: self.who.name,
            role: self.is_known.then_some(self.who.role),
            by: self.who.by,
            from: self.who.from,
            what: self.what.to_owned(),
            key: self.key,
            before: self.before,
            after: self.after,
            undoes: self.undoes,
            policy: self.policy,
            outcome: self.outcome,
        }
    }
}

/// Why a line isn't there.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit log {} can't be written: {error}; nothing is changed", .path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    #[error("there were too many refusals of late; they are not written down for a while")]
    TooMany,
}

/// The log.
pub struct Audit {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None`: the program's log has the lines.
    path: Option<PathBuf>,
    /// The file as it is open, with its inode and its size as we left it.
    open: Option<(File, u64, u64)>,
    last: u64,
    at_hand: VecDeque<Line>,
    /// Seconds since 1970 of the refusals written within a day.
    refusals: VecDeque<i64>,
}

impl Audit {
    /// Goes on where an earlier process ended. A file that can't be read or written is told of when something is changed.
    pub fn start(path: Option<PathBuf>) -> Self {
        Self::bounded(path, FILE_BYTES_MAX)
    }

    fn bounded(path: Option<PathBuf>, bytes_max: u64) -> Self {
        let mut state = State::default();
        if let Some(path) = &path {
            // The newest file may have been begun just now.
            for file in [aside(path, 1), path.clone()] {
                state.remember(lines_at_end(&file));
            }
        }
        state.path = path;
        Self { bytes_max, state: Mutex::new(state) }
    }

    /// Where it is kept, if it outlasts the process.
    pub fn path(&self) -> Option<PathBuf> {
        self.lock().path.clone()
    }

    /// Goes on in another place, from the next line on. Numbers go on too.
    pub fn follow(&self, path: Option<PathBuf>) {
        let mut state = self.lock();
        if state.path != path {
            (state.path, state.open) = (path, None);
        }
    }

    /// Writes a line, and waits until it is on the disk. Returns the change's number.
    pub fn write(&self, entry: Entry, now: i64) -> Result<u64, AuditError> {
        let mut state = self.lock();
        if entry.is_refusal() && !state.takes_refusal(now) {
            return Err(AuditError::TooMany);
        }
        let Some(path) = state.path.clone() else {
            let line = entry.line(state.last + 1, now);
            tracing::info!(target: "audit", "{}", serde_json::to_string(&line).unwrap_or_default());
            return Ok(state.take(line));
        };
        let failed = |error| AuditError::Unwritable { path: path.clone(), error };
        state.open(&path, self.bytes_max).map_err(failed)?;
        let line = entry.line(state.last + 1, now);
        state.append(&line).map_err(|error| {
            // Half a line may be there: the file is looked at anew before the next.
            state.open = None;
            failed(error)
        })?;
        Ok(state.take(line))
    }

    /// The number of the last line; 0 before the first.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// A change that isn't long ago.
    pub fn find(&self, change: u64) -> Option<Line> {
        self.lock().at_hand.iter().rev().find(|line| line.change == change).cloned()
    }

    /// A change, however long ago, as long as its file is kept. It may read files.
    pub fn find_in_files(&self, change: u64) -> Option<Line> {
        let in_files = || {
            let mut found = None;
            // Numbers count up, so those before it are further back only.
            self.for_each_in_files(|line| {
                let goes_on = line.change > change;
                found = Some(line).filter(|line| line.change == change);
                goes_on
            });
            found
        };
        self.find(change).or_else(in_files)
    }

    /// The last change that was made at a key after another one, if it isn't long ago.
    pub fn later_at(&self, key: &str, change: u64) -> Option<Line> {
        let state = self.lock();
        let mut later = state.at_hand.iter().rev().take_while(|line| line.change > change);
        later.find(|line| line.key == key && line.outcome == Outcome::Done).cloned()
    }

    /// What was last done at a key, as long as its file is kept; what came to nothing was taken back. It may read files.
    pub fn last_at(&self, key: &str) -> Option<Line> {
        let is_it = |line: &Line| line.key == key && line.outcome != Outcome::Refused;
        let at_hand = self.lock().at_hand.iter().rev().find(|line| is_it(line)).cloned();
        at_hand.or_else(|| {
            let mut found = None;
            self.for_each_in_files(|line| {
                found = Some(line).filter(is_it);
                found.is_none()
            });
            found
        })
    }

    /// Lines before a change, newest first; and whether there are more. It may read files.
    pub fn before(&self, before: Option<u64>, limit: usize) -> (Vec<Line>, bool) {
        let is_wanted = |line: &Line| before.is_none_or(|before| line.change < before);
        let mut found: Vec<Line> = Vec::new();
        {
            let state = self.lock();
            let newest = state.at_hand.iter().rev().filter(|line| is_wanted(line)).take(limit + 1);
            found.extend(newest.cloned());
        }
        // Refusals that were pushed out of memory are in the file.
        let has_gap = || found.windows(2).any(|pair| pair[0].change != pair[1].change + 1);
        if self.path().is_some() && (found.len() <= limit || has_gap()) {
            let mut in_files = 0;
            self.for_each_in_files(|line| {
                if is_wanted(&line) {
                    in_files += 1;
                    found.push(line);
                }
                in_files <= limit
            });
            // Memory has those of a place that was left; most others are in both.
            found.sort_by_key(|line| Reverse(line.change));
            found.dedup_by_key(|line| line.change);
        }
        let is_more = found.len() > limit;
        found.truncate(limit);
        (found, is_more)
    }

    /// Hands over the lines of all files, newest first, until it is told to stop.
    fn for_each_in_files(&self, mut take: impl FnMut(Line) -> bool) {
        let Some(path) = &self.path() else { return };
        for number in 0..=FILES_KEPT {
            let text = fs::read(aside(path, number)).unwrap_or_default();
            let lines = text.rsplit(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
            for line in lines {
                if !take(line) {
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn takes_refusal(&mut self, now: i64) -> bool {
        self.refusals.retain(|time| (0..DAY).contains(&(now - time)));
        let of_late = self.refusals.iter().rev().take_while(|time| now - **time < MINUTE).count();
        let takes = of_late < REFUSALS_A_MINUTE && self.refusals.len() < REFUSALS_A_DAY;
        if takes {
            self.refusals.push_back(now);
        }
        if takes && self.refusals.len() == REFUSALS_A_DAY {
            tracing::warn!("{REFUSALS_A_DAY} refusals within a day: the audit log takes no more of them for a while");
        }
        takes
    }

    fn take(&mut self, line: Line) -> u64 {
        let change = line.change;
        self.remember(vec![line]);
        change
    }

    fn remember(&mut self, lines: Vec<Line>) {
        for line in lines {
            self.last = self.last.max(line.change);
            self.at_hand.push_back(line);
        }
        while self.at_hand.len() > AT_HAND {
            let mut refusals = (0..).zip(&self.at_hand).filter(|(_, line)| line.outcome == Outcome::Refused);
            let oldest = refusals.next().map(|(at, _)| at).filter(|_| refusals.count() >= REFUSALS_AT_HAND);
            self.at_hand.remove(oldest.unwrap_or(0));
        }
    }

    /// Opens the file unless it is open and as we left it: somebody may have put it aside or removed it, and another
    /// process, which takes over from this one, may have written to it.
    fn open(&mut self, path: &Path, bytes_max: u64) -> io::Result<()> {
        let is_as_left = |(_, inode, size): &(File, u64, u64)| {
            fs::metadata(path).is_ok_and(|about| about.ino() == *inode && about.size() == *size)
        };
        if !self.open.as_ref().is_some_and(is_as_left) {
            self.open = None;
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let last = self.last;
            self.remember(lines_at_end(path).into_iter().filter(|line| line.change > last).collect());
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
            end_half_line(&mut file)?;
            let about = file.metadata()?;
            self.open = Some((file, about.ino(), about.size()));
        }
        if self.open.as_ref().is_some_and(|(_, _, size)| *size >= bytes_max) {
            self.open = None;
            put_aside(path)?;
            return self.open(path, bytes_max);
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let (file, _, size) = self.open.as_mut().ok_or_else(|| io::Error::other("it isn't open"))?;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_data()?;
        *size += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
