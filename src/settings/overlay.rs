//! The overlay's file: what pages and API changed, beside the state. Read at the start and whenever it has changed, written
//! by nobody else. One that can't be read never takes the place of one that could, nor does it over a restart: a copy of what
//! was last in force lies beside it.

use crate::{
    config::{
        Config, Problems,
        overlay::{Applied, FILE_NAME, LAST_GOOD_NAME, OVERLAY_BYTES_MAX, Overlay},
    },
    resolve::Clock,
    whole,
};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// The overlay as it is in force, and its file.
pub struct OverlayFile {
    /// `None`: there is no state folder, and nothing that lasts can be changed.
    path: Option<PathBuf>,
    clock: Clock,
    held: Mutex<Held>,
    /// Held by whoever changes it, until the change is in force.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of the file.
#[derive(Default)]
struct Held {
    overlay: Arc<Overlay>,
    /// The text that `overlay` was read from or written as; `None`: there is no file.
    text: Option<String>,
    /// What the file was when it was last looked at.
    seen: Option<String>,
    /// Why the file as it is now isn't in force.
    trouble: Option<String>,
    /// What names something that isn't there.
    resting: Vec<String>,
    /// When it is to be laid anew, because a block ends.
    until: Option<i64>,
    /// The text of the last good copy.
    kept: Option<String>,
    /// What an earlier process had last in force, until somebody asks for it.
    left: Option<String>,
    instead: Instead,
}

/// What is in force in place of a file that can't be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Instead {
    /// There was nothing before it.
    #[default]
    Nothing,
    /// What was read or written before it.
    Before,
    /// What an earlier process had last in force.
    LastGood,
}

/// Why the overlay isn't written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(
        "there is no state folder, so nothing that lasts can be changed here; set [state] dir, or change the \
         configuration (pauses work all the same)"
    )]
    NoFolder,
    #[error("{FILE_NAME} was changed by hand a moment ago; look at it, and try again")]
    Changed,
    #[error("{FILE_NAME} was edited by hand and can't be read: {0}; mend it or delete it, then try again")]
    Broken(String),
    /// It isn't there to be read, whoever is at fault: its folder can't exist, or may not be looked into.
    #[error("{0}; nothing that lasts can be changed until that is mended")]
    Unreadable(String),
    #[error("{} can't be written: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// The overlay before a change, to be put back if that comes to nothing.
pub struct Before {
    overlay: Arc<Overlay>,
    text: Option<String>,
    instead: Instead,
}

impl OverlayFile {
    /// Reads the file of a state folder. One that can't be read changes nothing, and is told.
    pub fn open(state_dir: Option<&Path>, clock: Clock) -> Self {
        let path = state_dir.map(|folder| folder.join(FILE_NAME));
        let file = Self { path, clock, held: Mutex::default(), turn: Arc::default() };
        let kept = file.last_good_path().and_then(|path| read_text(&path).ok().flatten());
        {
            let mut held = file.held();
            held.left = Some(kept.clone().unwrap_or_default());
            held.kept = kept;
        }
        file.look();
        let trouble = file.held().trouble.clone();
        if let Some(why) = trouble {
            file.fall_back(why);
        }
        file
    }

    fn last_good_path(&self) -> Option<PathBuf> {
        self.path.as_ref().map(|path| path.with_file_name(LAST_GOOD_NAME))
    }

    /// At the start, when the file can't be in force: its last good copy comes in its place, or nothing.
    fn fall_back(&self, why: String) {
        let mut held = self.held();
        held.trouble = Some(why);
        let good = held.kept.as_deref().filter(|_| held.instead != Instead::LastGood);
        let good = good.and_then(|text| Some((Overlay::read(text).ok()?, text.to_owned())));
        (held.overlay, held.text, held.instead) = match good {
            Some((overlay, text)) => {
                tracing::warn!(file = LAST_GOOD_NAME, "what pages and API changed is in force as it last was");
                (Arc::new(overlay), Some(text), Instead::LastGood)
            }
            None => {
                tracing::error!("nothing of what pages and API changed is in force");
                (Arc::default(), None, Instead::Nothing)
            }
        };
    }

    /// Keeps a copy of what has come into force, for a start that finds a bad file. It waits for the disk.
    pub fn keep(&self) {
        let Some(path) = self.last_good_path() else { return };
        let mut held = self.held();
        if held.trouble.is_some() || held.kept == held.text {
            return;
        }
        match put(&path, held.text.as_deref()) {
            Ok(()) => held.kept = held.text.clone(),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the overlay's last good copy can't be written")
            }
        }
    }

    /// What is in force.
    pub fn overlay(&self) -> Arc<Overlay> {
        self.held().overlay.clone()
    }

    /// What an earlier process had last in force, as far as its copy tells: once, for who notes what became of it meanwhile.
    pub fn left_in_force(&self) -> Option<Overlay> {
        let text = self.held().left.take()?;
        Overlay::read(&text).ok()
    }

    /// Where it lies, if there is a place for it.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The text that is in force; empty if there is no file.
    pub fn text(&self) -> String {
        self.held().text.clone().unwrap_or_default()
    }

    /// What is in force in place of a file that can't be.
    pub fn in_its_place(&self) -> &'static str {
        match self.held().instead {
            Instead::Nothing => "nothing of it is in force",
            Instead::Before => "what was changed before is in force",
            Instead::LastGood => "what was last in force, in overlay.last-good.toml, is so again",
        }
    }

    /// Why the file as it is now isn't in force, and entries that rest.
    pub fn troubles(&self) -> (Option<String>, Vec<String>) {
        let held = self.held();
        (held.trouble.clone(), held.resting.clone())
    }

    /// Waits until nobody else changes it.
    pub async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// Lays the overlay in force upon what the files say. The lists that blocks make are written first.
    pub fn lay(&self, files: Config) -> Result<Config, String> {
        let applied = self.tried(&self.overlay(), files).map_err(|problems| problems.to_string())?;
        self.put_down(applied)
    }

    /// Writes the lists that blocks make, and remembers what is to be told.
    fn put_down(&self, Applied { config, resting, lists, until }: Applied) -> Result<Config, String> {
        write_lists(&lists)?;
        let mut held = self.held();
        let resting: Vec<String> = resting.into_iter().map(|resting| resting.why).collect();
        for why in resting.iter().filter(|why| !held.resting.contains(why)) {
            tracing::warn!(why, "a change made by page or API does nothing for now");
        }
        (held.resting, held.until) = (resting, until);
        Ok(config)
    }

    /// The same at the start, when an overlay that can't be laid must not keep anybody from their names.
    pub fn lay_if_possible(&self, files: &Config) -> Config {
        self.put_down(self.laid_if_possible(files)).unwrap_or_else(|why| {
            tracing::error!(why, "what pages and API changed is not in force");
            let mut held = self.held();
            // Without its text: nothing is written over a file whose entries aren't in force.
            (held.trouble, held.overlay, held.text, held.instead) = (Some(why), Arc::default(), None, Instead::Nothing);
            files.clone()
        })
    }

    /// What a start would have of it. Nothing is written.
    pub fn laid_if_possible(&self, files: &Config) -> Applied {
        loop {
            match self.tried(&self.overlay(), files.clone()) {
                Ok(applied) => return applied,
                // The last good copy is tried once; and nothing can always be laid.
                Err(problems) => {
                    tracing::error!(%problems, "the overlay can't be laid upon the configuration");
                    self.fall_back(problems.to_string());
                }
            }
        }
    }

    /// True if a block has ended since it was laid.
    pub fn is_due(&self) -> bool {
        self.held().until.is_some_and(|until| self.now() >= until)
    }

    /// What would come of an overlay.
    pub fn tried(&self, overlay: &Overlay, files: Config) -> Result<Applied, Problems> {
        overlay.apply(files, self.now())
    }

    /// Looks whether the file is another than was last seen. What can be read of it is then the overlay, and the one before
    /// comes back, to be put back if the new one can't be put in force.
    pub fn look(&self) -> Option<Before> {
        let path = self.path.as_deref()?;
        let found = read_text(path);
        let mut held = self.held();
        let text = match found {
            Ok(text) if text == held.seen => return None,
            Ok(text) => text,
            Err(why) if held.trouble.as_ref() == Some(&why) => return None,
            Err(why) => {
                tracing::error!(why, "the overlay stays as it was");
                held.trouble = Some(why);
                return None;
            }
        };
        held.seen.clone_from(&text);
        if text == held.text && held.trouble.take().is_some() {
            tracing::info!(file = FILE_NAME, "the overlay is what is in force again");
            return None;
        }
        match Overlay::read(text.as_deref().unwrap_or_default()) {
            Ok(overlay) => {
                held.trouble = None;
                let instead = std::mem::replace(&mut held.instead, Instead::Before);
                let overlay = std::mem::replace(&mut held.overlay, Arc::new(overlay));
                Some(Before { overlay, text: std::mem::replace(&mut held.text, text), instead })
            }
            Err(problems) => {
                tracing::error!(%problems, "the overlay can't be read, and stays as it was");
                held.trouble = Some(problems.to_string());
                None
            }
        }
    }

    /// Writes another overlay, if the file is still the one that was read. It counts from the next laying on.
    pub fn write(&self, overlay: Overlay) -> Result<Before, WriteError> {
        let path = self.path.as_deref().ok_or(WriteError::NoFolder)?;
        let mut held = self.held();
        let failed = |error| WriteError::Io { path: path.to_owned(), error };
        if read_text(path).map_err(WriteError::Unreadable)? != held.text {
            return Err(held.trouble.clone().map_or(WriteError::Changed, WriteError::Broken));
        }
        let text = if overlay.is_empty() { None } else { Some(overlay.to_string()) };
        put(path, text.as_deref()).map_err(failed)?;
        held.trouble = None;
        held.seen.clone_from(&text);
        let instead = std::mem::replace(&mut held.instead, Instead::Before);
        let overlay = std::mem::replace(&mut held.overlay, Arc::new(overlay));
        Ok(Before { overlay, text: std::mem::replace(&mut held.text, text), instead })
    }

    /// Undoes a write that came to nothing.
    pub fn put_back(&self, before: Before) {
        let Some(path) = self.path.as_deref() else { return };
        let mut held = self.held();
        if let Err(error) = put(path, before.text.as_deref()) {
            tracing::error!(file = %path.display(), %error, "a change that is not in force could not be taken back");
        }
        held.seen.clone_from(&before.text);
        (held.overlay, held.text, held.instead) = (before.overlay, before.text, before.instead);
    }

    /// Goes on with the overlay before an edit by hand that can't be put in force. The file stays as its editor left it.
    pub fn refuse(&self, before: Before, why: String) {
        tracing::error!(why, "the overlay as it was edited can't be put in force, and stays as it was");
        let mut held = self.held();
        (held.overlay, held.text, held.trouble) = (before.overlay, before.text, Some(why));
        held.instead = before.instead;
    }

    /// The seconds since 1970 by which blocks end.
    pub fn now(&self) -> i64 {
        i64::try_from((self.clock)()).unwrap_or(i64::MAX)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Before {
    /// What was in force.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }
}

/// A file's text; `None` if it isn't there.
fn read_text(path: &Path) -> Result<Option<String>, String> {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|file| file.take(OVERLAY_BYTES_MAX + 1).read_to_end(&mut octets));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
        Ok(_) if octets.len() as u64 > OVERLAY_BYTES_MAX => {
            return Err(format!("{} is larger than {OVERLAY_BYTES_MAX} octets", path.display()));
        }
        Ok(_) => {}
    }
    String::from_utf8(octets).map(Some).map_err(|_| format!("{} is not UTF-8 text", path.display()))
}

/// Writes a file aside and puts it in its place, so that nobody ever reads a part of it; without text there is no file.
fn put(path: &Path, text: Option<&str>) -> io::Result<()> {
    let Some(text) = text else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    whole::write(path, text.as_bytes(), whole::PRIVATE)
}

/// Writes lists that differ from what is there.
fn write_lists(lists: &[(PathBuf, String)]) -> Result<(), String> {
    for (path, text) in lists {
        if fs::read_to_string(path).is_ok_and(|there| there == *text) {
            continue;
        }
        put(path, Some(text)).map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::overlay::{Entry, Key},
        policy::Mode,
    };
    use std::os::unix::fs::PermissionsExt;

    fn mode(program: &str, mode: Mode) -> (Key, Option<Entry>) {
        (Key::Mode { group: None, program: program.into(), service: None }, Some(Entry::Mode(mode)))
    }

    fn open(folder: &Path) -> OverlayFile {
        OverlayFile::open(Some(folder), Arc::new(|| 0))
    }

    /// A folder that can't exist: nobody edited anything.
    #[test]
    fn why_nothing_can_be_written_is_the_true_reason() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let file = open(&folder.path().join("file/state"));
        let error = file.write(with(&file, mode("a", Mode::Shadow))).map(|_| ()).unwrap_err();
        assert!(matches!(error, WriteError::Unreadable(_)), "{error:?}");
        let told = error.to_string();
        assert!(told.contains("/file/state/overlay.toml can't be read: Not a directory"), "{told}");
        assert!(!told.contains("by hand"), "{told}");
    }

    /// What an earlier process left is told once, whatever became of the file meanwhile.
    #[test]
    fn what_was_left_in_force_is_told_to_who_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = open(&state);
        assert!(file.left_in_force().unwrap().is_empty());
        file.write(with(&file, mode("a", Mode::Shadow))).unwrap();
        file.keep();
        fs::remove_file(state.join(FILE_NAME)).unwrap();
        let file = open(&state);
        file.keep();
        let left = file.left_in_force().unwrap();
        assert_eq!(file.overlay().changes_since(&left).len(), 1);
        assert!(file.left_in_force().is_none());
    }

    fn with(file: &OverlayFile, (key, entry): (Key, Option<Entry>)) -> Overlay {
        file.overlay().with(key, entry)
    }

    #[test]
    fn what_is_written_is_there_after_a_restart_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = open(&state);
        assert!(file.overlay().is_empty() && file.look().is_none());
        let written = with(&file, mode("a", Mode::Shadow));
        file.write(written.clone()).unwrap();
        assert_eq!(*file.overlay(), written);
        assert_eq!(*open(&state).overlay(), written);
        let permissions = fs::metadata(state.join(FILE_NAME)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, whole::PRIVATE, "it tells what somebody wants to see blocked");
        assert!(file.look().is_none(), "our own writing is no news");
        let before = file.write(with(&file, (mode("a", Mode::Off).0, None))).unwrap();
        assert!(!state.join(FILE_NAME).exists(), "an empty overlay is none");
        file.put_back(before);
        assert_eq!((file.overlay(), open(&state).overlay()), (Arc::new(written.clone()), Arc::new(written)));
    }

    #[test]
    fn an_edit_by_hand_is_seen_and_a_bad_one_never_replaces_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let file = open(folder.path());
        file.write(with(&file, mode("a", Mode::Shadow))).unwrap();
        let good = file.text();
        fs::write(&path, "[modes.everybody]\na = 'of'\n").unwrap();
        assert!(file.look().is_none());
        assert!(file.troubles().0.unwrap().starts_with("overlay.toml:2:5: modes.everybody.a: \"of\" is not one of"));
        assert_eq!(file.text(), good);
        let error = file.write(Overlay::default()).err().unwrap();
        assert!(matches!(error, WriteError::Broken(_)), "{error}");
        fs::write(&path, &good).unwrap();
        assert!(file.look().is_none());
        assert_eq!(file.troubles().0, None, "it is again what is in force");
        fs::write(&path, "[modes.everybody]\na = 'off'\n").unwrap();
        assert!(matches!(file.write(Overlay::default()), Err(WriteError::Changed)));
        let before = file.look().unwrap();
        assert_eq!(before.overlay().to_string(), good);
        assert_eq!(*file.overlay(), with(&file, mode("a", Mode::Off)));
        file.refuse(before, "no".into());
        assert_eq!((file.text(), file.troubles().0.as_deref()), (good, Some("no")));
        assert!(file.look().is_none(), "it is told once");
        fs::remove_file(&path).unwrap();
        assert!(file.look().is_some() && file.overlay().is_empty());
    }

    /// A file that was damaged while nobody ran, or edited badly.
    #[test]
    fn the_last_good_copy_takes_the_place_of_a_bad_file_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join(FILE_NAME), folder.path().join(LAST_GOOD_NAME));
        let file = open(folder.path());
        file.write(with(&file, mode("a", Mode::Shadow))).unwrap();
        assert!(!copy.exists(), "it isn't in force yet");
        file.keep();
        let good = file.text();
        assert_eq!(fs::read_to_string(&copy).unwrap(), good);
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, whole::PRIVATE);
        for bad in ["[modes.everybody]\na = 'of'\n", "\0\0\0\0", "[modes"] {
            fs::write(&path, bad).unwrap();
            let file = open(folder.path());
            assert_eq!((file.text(), file.troubles().0.is_some()), (good.clone(), true), "{bad:?}");
            assert!(file.in_its_place().contains(LAST_GOOD_NAME), "{}", file.in_its_place());
            assert!(matches!(file.write(Overlay::default()), Err(WriteError::Broken(_))), "what is there is kept");
            file.keep();
            assert_eq!(fs::read_to_string(&copy).unwrap(), good);
            // Mended, it counts.
            fs::write(&path, "[modes.everybody]\na = 'off'\n").unwrap();
            assert!(file.look().is_some() && file.troubles().0.is_none());
        }
        // Who deletes the file undoes everything.
        fs::remove_file(&path).unwrap();
        let file = open(folder.path());
        assert!(file.overlay().is_empty() && file.troubles().0.is_none());
        file.keep();
        assert!(!copy.exists());
        fs::write(&path, "[modes").unwrap();
        let file = open(folder.path());
        assert!(file.overlay().is_empty());
        assert_eq!(file.in_its_place(), "nothing of it is in force");
        // A copy that is bad too is no better.
        fs::write(&copy, "[modes").unwrap();
        assert!(open(folder.path()).overlay().is_empty());
    }

    #[test]
    fn without_a_folder_nothing_lasts() {
        let file = OverlayFile::open(None, Arc::new(|| 0));
        assert!(matches!(file.write(Overlay::default()), Err(WriteError::NoFolder)));
        assert!(file.look().is_none());
        let lost = open(Path::new("/proc/nowhere"));
        let error = lost.write(with(&lost, mode("a", Mode::Off))).err().unwrap().to_string();
        assert!(error.starts_with("/proc/nowhere/overlay.toml can't be written"), "{error}");
    }
}
