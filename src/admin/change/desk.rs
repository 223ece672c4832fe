//! Where everything that lasts is changed: one change at a time, checked, written, noted, and put in force.
//!
//! ```text
//! turn → checks → overlay.toml → audit line → configuration → in force, or all of it back as it was
//! ```

use super::{
    super::{
        audit,
        auth::{By, Role, Who},
        problem::{FieldProblem, Kind, Refusal},
    },
    Changes, to_confirm,
};
use crate::{
    config::{
        Config, Problems,
        overlay::{Applied, Entry, Key, Overlay, kind, told},
    },
    lists::{self, Published},
    policy::Modes,
    settings::{Before, Changing, OverlayFile, WriteError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::{sync::OwnedMutexGuard, time::timeout};

/// How long who asked waits until a change is in force: it takes far less, unless lists are being read.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(2);
/// How long exceptions and blocks that are over stay in the file: until whoever made them had time to make them anew.
const KEPT_SECONDS: i64 = 30 * 86_400;
/// How often the file is looked at, for who edits it by hand.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Who edits the file by hand, as the audit log has them: nobody knows more.
const BY_HAND: &str = "file";
const BY_HAND_WHILE_OFF: &str = "file, while the server was off";

/// What lasting changes are made with.
pub struct Desk {
    file: Arc<OverlayFile>,
    changing: Arc<Changing>,
    changes: Arc<Changes>,
    published: Arc<Published>,
}

/// Where something is to be changed.
#[derive(Clone, Debug)]
pub enum Target {
    Key(Key),
    /// Something that isn't there yet, and where it belongs by the number that it gets.
    New(fn(u32) -> Key),
}

/// A change that somebody wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The kind of it, as the audit log has it.
    pub what: &'static str,
    pub target: Target,
    /// `None`: what the configuration says is to hold.
    pub entry: Option<Entry>,
    /// What has to stand there now, if that matters, and the change that this undoes.
    pub undoes: Option<(u64, Option<Entry>)>,
    /// Whoever asks has seen what it will block.
    pub confirmed: bool,
}

impl Wish {
    /// A wish that undoes nothing, and that nobody has confirmed.
    pub fn new(what: &'static str, target: Target, entry: Option<Entry>) -> Self {
        Self { what, target, entry, undoes: None, confirmed: false }
    }
}

/// What became of a wish.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Its number; `None`: nothing had to be changed, or it was only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
    /// What is changed by it, in a sentence.
    pub summary: String,
    /// The key that was changed.
    pub key: String,
    /// What an exception or block is called from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The number of the policy in force.
    pub policy: u64,
    /// Whether the next query is answered by it.
    pub in_force: bool,
    /// Why it takes `confirmed`, where it was only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_confirm: Option<String>,
    /// Why it doesn't do all that one may think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// A wish that was found to be possible.
struct Checked {
    key: Key,
    overlay: Overlay,
    was: Option<Entry>,
    /// As it is written from now on.
    entry: Option<Entry>,
    /// The configuration with it.
    config: Config,
}

impl Desk {
    pub fn new(
        file: Arc<OverlayFile>,
        changing: Arc<Changing>,
        changes: Arc<Changes>,
        published: Arc<Published>,
    ) -> Self {
        Self { file, changing, changes, published }
    }

    /// The number of the policy in force.
    fn epoch(&self) -> u64 {
        self.published.policy.load().as_ref().map_or(0, |policy| policy.epoch())
    }

    /// What is changed now.
    pub fn overlay(&self) -> Arc<Overlay> {
        self.file.overlay()
    }

    /// The file as it is in force.
    pub fn text(&self) -> String {
        self.file.text()
    }

    /// Whether anything that lasts can be changed.
    pub fn can_keep(&self) -> bool {
        self.file.path().is_some()
    }

    /// What the files say, without what was changed.
    pub async fn files(&self) -> Config {
        self.changing.files().await
    }

    /// The same with what was changed.
    pub fn laid(&self, files: Config) -> Result<Config, Refusal> {
        self.tried(&self.overlay(), files)
    }

    fn tried(&self, overlay: &Overlay, files: Config) -> Result<Config, Refusal> {
        let applied = self.file.tried(overlay, files);
        applied.map(|applied| applied.config).map_err(|problems| refused(&problems))
    }

    /// How far everything would go with an entry at a key, or none.
    pub async fn modes_with(&self, key: Key, entry: Option<Entry>) -> Result<Modes, Refusal> {
        let config = self.tried(&self.overlay().with(key, entry), self.files().await)?;
        Ok(lists::modes(&config))
    }

    /// The time by which exceptions and blocks end, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.file.now()
    }

    /// Makes a change, or only tries whether it could be made.
    pub async fn change(&self, who: &Who, wish: Wish, dry_run: bool) -> Result<Done, Refusal> {
        if !self.can_keep() {
            return Err(Refusal::new(Kind::NoOverlay, WriteError::NoFolder.to_string()));
        }
        let turn = self.file.turn().await;
        let checked = self.check(&wish, self.changing.files().await)?;
        let summary = told(&checked.key, checked.was.as_ref(), checked.entry.as_ref());
        let is_new = !matches!(wish.target, Target::Key(_));
        let done = Done {
            change: None,
            summary,
            key: checked.key.to_string(),
            id: is_new.then(|| checked.key.id()),
            policy: self.epoch(),
            in_force: false,
            to_confirm: None,
            note: None,
            undo: None,
        };
        if checked.was == checked.entry {
            return Ok(Done { in_force: !dry_run, ..done });
        }
        let to_confirm = Some(&checked).filter(|_| !wish.confirmed).and_then(|checked| self.to_confirm(checked));
        match to_confirm {
            to_confirm if dry_run => return Ok(Done { to_confirm, ..done }),
            Some(why) => return Err(Refusal::new(Kind::Confirm, why)),
            None => {}
        }
        let line = self.line(who, &wish, &checked);
        let (change, before) = self.keep(line.clone(), checked.overlay).await?;
        let done = Done { change: Some(change), undo: Some(format!("/api/v1/changes/{change}/undo")), ..done };
        // The way back, in case it can't be put in force.
        let (was, is) = (line.before.clone(), line.after.clone());
        let failed =
            audit::Entry { before: is, after: was, undoes: Some(change), outcome: audit::Outcome::Failed, ..line };
        self.put_in_force(done, before, failed, turn).await
    }

    /// Whether a wish can be meant, with all that is there now.
    fn check(&self, wish: &Wish, files: Config) -> Result<Checked, Refusal> {
        let now = self.file.overlay();
        let next = || now.last_number().max(u32::try_from(self.changes.audit.last()).unwrap_or(0)).saturating_add(1);
        let key = match &wish.target {
            Target::Key(key) => key.clone(),
            Target::New(key) => key(next()),
        };
        let was = now.entry(&key).cloned();
        if let Some((change, expected)) = &wish.undoes
            && was != *expected
        {
            let what = match self.changes.audit.later_at(&key.to_string(), *change) {
                Some(later) => later.why_not_undone(*change),
                None => format!("{key} isn't as change {change} left it, so there is nothing to undo"),
            };
            return Err(Refusal::new(Kind::ChangedSince, what));
        }
        let forgotten = self.file.now().saturating_sub(KEPT_SECONDS);
        let kept = now.without_ended(&files.policy.time_zone, forgotten);
        let written = kept.with(key.clone(), wish.entry.clone()).to_string();
        // Read as the file will be: so it is known to be readable, and told in the words of the configuration.
        let overlay = Overlay::read(&written).map_err(|problems| refused(&problems))?;
        let Applied { config, resting, .. } =
            self.file.tried(&overlay, files).map_err(|problems| refused(&problems))?;
        if let Some(resting) = resting.iter().find(|resting| resting.key == key)
            && wish.entry.is_some()
            && wish.undoes.is_none()
        {
            return Err(Refusal::new(Kind::Invalid, resting.why.clone()));
        }
        let entry = overlay.entry(&key).cloned();
        Ok(Checked { key, overlay, was, entry, config })
    }

    /// Why it takes somebody who has seen what it will block, if it does.
    fn to_confirm(&self, checked: &Checked) -> Option<String> {
        let policy = self.published.policy.load();
        let modes = || lists::modes(&checked.config);
        let (was, entry) = (checked.was.as_ref(), checked.entry.as_ref());
        to_confirm::to_confirm(policy.as_ref()?, &checked.key, was, entry, modes)
    }

    /// What the audit log is to have of a wish.
    fn line(&self, who: &Who, wish: &Wish, checked: &Checked) -> audit::Entry {
        audit::Entry {
            before: checked.was.as_ref().map(Entry::to_json),
            after: checked.entry.as_ref().map(Entry::to_json),
            undoes: wish.undoes.as_ref().map(|(change, _)| *change),
            policy: self.epoch(),
            ..audit::Entry::new(who, wish.what, checked.key.to_string())
        }
    }

    /// Writes an overlay and notes it: the change's number, and what was there before. What can't be noted isn't written.
    async fn keep(&self, line: audit::Entry, overlay: Overlay) -> Result<(u64, Before), Refusal> {
        let (file, changes, now) = (self.file.clone(), self.changes.clone(), self.file.now());
        let keeping = tokio::task::spawn_blocking(move || {
            let before = file.write(overlay).map_err(|error| unwritten(&error))?;
            match changes.audit.write(line, now) {
                Ok(change) => Ok((change, before)),
                Err(error) => {
                    file.put_back(before);
                    Err(Refusal::new(Kind::NotRecorded, error.to_string()))
                }
            }
        });
        keeping.await.map_err(|error| Refusal::new(Kind::Fault, error.to_string()))?
    }

    /// Has the change be in force, and waits a while for it. What can't be is taken back, and noted as failed.
    async fn put_in_force(
        &self,
        done: Done,
        before: Before,
        failed: audit::Entry,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Done, Refusal> {
        let (file, changing, changes) = (self.file.clone(), self.changing.clone(), self.changes.clone());
        let change = done.change;
        // It goes on though nobody waits for it.
        let applying = tokio::spawn(async move {
            let applied = changing.on_top_changed().await;
            match &applied {
                Ok(_) => {
                    let _ = tokio::task::spawn_blocking(move || file.keep()).await;
                }
                Err(error) => {
                    tracing::error!(%error, change, "a change could not be put in force, and is taken back");
                    let taking_back = move || {
                        file.put_back(before);
                        changes.audit.write(failed, file.now())
                    };
                    if let Ok(Err(error)) = tokio::task::spawn_blocking(taking_back).await {
                        tracing::error!(%error, change, "that a change is taken back could not be noted");
                    }
                }
            }
            drop(turn);
            applied
        });
        match timeout(IN_FORCE_WITHIN, applying).await {
            Err(_) => Ok(done),
            Ok(Err(error)) => Err(Refusal::new(Kind::Fault, error.to_string())),
            Ok(Ok(Ok(applied))) => Ok(Done { policy: applied.epoch, in_force: true, ..done }),
            Ok(Ok(Err(error))) => {
                let detail = format!("it could not be put in force, and nothing is changed: {error}");
                Err(Refusal::new(Kind::Fault, detail))
            }
        }
    }

    /// Looks now and then whether the file was edited by hand, or a block has ended, and puts in force what holds then.
    pub async fn follow(self: Arc<Self>) {
        self.note_what_was_edited_while_off().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let turn = self.file.turn().await;
            let file = self.file.clone();
            let Ok(edited) = tokio::task::spawn_blocking(move || file.look()).await else { return };
            match edited {
                Some(before) => self.take_edit(before).await,
                None if self.file.is_due() => {
                    if let Err(error) = self.changing.on_top_changed().await {
                        tracing::error!(%error, "a block that has ended is still in force");
                    }
                }
                None => {}
            }
            drop(turn);
        }
    }

    /// Puts what was edited by hand in force, and notes it.
    async fn take_edit(&self, before: Before) {
        let now = self.file.overlay();
        if let Err(error) = self.changing.on_top_changed().await {
            return self.file.refuse(before, error.to_string());
        }
        let file = self.file.clone();
        let _ = tokio::task::spawn_blocking(move || file.keep()).await;
        for (key, was, entry) in now.changes_since(before.overlay()) {
            self.note_edit(BY_HAND, key, was, entry).await;
        }
        tracing::info!("the overlay was edited by hand, and is in force");
    }

    /// Notes what is otherwise than an earlier process left it: it was edited, or removed, while nobody ran.
    async fn note_what_was_edited_while_off(&self) {
        let _turn = self.file.turn().await;
        let Some(left) = self.file.left_in_force() else { return };
        let now = self.file.overlay();
        for (key, was, entry) in now.changes_since(&left) {
            // Where there is no copy, or who wrote it ended before it was kept, it may be noted already.
            let (changes, at) = (self.changes.clone(), key.to_string());
            let last = tokio::task::spawn_blocking(move || changes.audit.last_at(&at)).await.ok().flatten();
            if last.is_none_or(|last| last.after != entry.map(Entry::to_json)) {
                tracing::warn!(%key, "the overlay was edited by hand while no server ran");
                self.note_edit(BY_HAND_WHILE_OFF, key, was, entry).await;
            }
        }
    }

    /// Notes an edit by hand.
    async fn note_edit(&self, who: &str, key: &Key, was: Option<&Entry>, entry: Option<&Entry>) {
        let who = Who { name: who.to_owned(), role: Role::Operator, by: By::File, from: None };
        let line = audit::Entry {
            before: was.map(Entry::to_json),
            after: entry.map(Entry::to_json),
            policy: self.epoch(),
            ..audit::Entry::new(&who, kind(key), key.to_string())
        };
        let (changes, time) = (self.changes.clone(), self.file.now());
        let noting = tokio::task::spawn_blocking(move || changes.audit.write(line, time)).await;
        if let Ok(Err(error)) = noting {
            tracing::error!(%error, %key, "an edit of the overlay by hand could not be noted");
        }
    }
}

/// What the configuration's readers say, by field.
fn refused(problems: &Problems) -> Refusal {
    let field = |option: &str| option.rsplit('.').next().unwrap_or_default().to_owned();
    let told = |problem: &crate::config::Problem| FieldProblem {
        field: field(&problem.option),
        message: problem.message.clone(),
    };
    // What is said of the file as a whole is of no field.
    let words = |own: FieldProblem| match own.field.as_str() {
        "" => own.message,
        field => format!("{field}: {}", own.message),
    };
    let detail: Vec<String> = problems.0.iter().map(told).map(words).collect();
    let fields = problems.0.iter().map(told).filter(|own| !own.field.is_empty()).collect();
    Refusal { fields, ..Refusal::new(Kind::Invalid, detail.join("; ")) }
}

fn unwritten(error: &WriteError) -> Refusal {
    let kind = match error {
        WriteError::NoFolder | WriteError::Unreadable(_) | WriteError::Io { .. } => Kind::NoOverlay,
        WriteError::Changed | WriteError::Broken(_) => Kind::ChangedSince,
    };
    Refusal::new(kind, error.to_string())
}
