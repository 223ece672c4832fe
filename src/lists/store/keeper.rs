//! The store's thread: makes copies, keeps texts by version, and tidies.

use super::{
    super::read::{ReadFailure, Reading, read},
    Held, Job, Keeping, TextAt, listed,
    pinned::pinned_now,
    places::{DOWNLOAD_ENDING, beside, place_of_embedded, place_of_file},
    versions,
};
use crate::{
    background::aside,
    whole::{self, Whole},
};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    time::SystemTime,
};

/// Copies of lists that the configuration no longer has are kept, since it may have them again; but not more than these,
/// so that the folder doesn't grow for ever.
pub(super) const UNUSED_COPIES_MAX: usize = 200;

/// The store's thread.
pub(super) struct Keeper {
    pub(super) folder: PathBuf,
    pub(super) held: Held,
    /// The trouble was said.
    pub(super) has_failed: bool,
}

impl Keeper {
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            if let Err(error) = aside("lists-copy", || self.see_to(job))
                && !std::mem::replace(&mut self.has_failed, true)
            {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "last good copies of lists can't be kept in the state folder");
            }
        }
    }

    fn see_to(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Keep(keeping) => self.keep(&keeping),
            Job::Hold(held) => {
                self.held = held;
                Ok(())
            }
            Job::Forget(path) => {
                let _ = fs::remove_file(place_of_file(&self.folder, &path));
                Ok(())
            }
            Job::Note { place, download } => note(&place, &download),
            Job::Listed { folder, names } if listed(&self.folder, &folder) == names => Ok(()),
            Job::Listed { folder, names } => note(&place_of_file(&self.folder, &folder), &names),
            Job::Tidy { used } => self.tidy(&used),
        }
    }

    fn keep(&self, Keeping { text, version, rules }: &Keeping) -> io::Result<()> {
        let (version, rules) = (*version, *rules);
        let place = match text {
            TextAt::File(path) => {
                self.copy(path, version)?;
                place_of_file(&self.folder, path)
            }
            TextAt::Download(place) => place.clone(),
            TextAt::Embedded { path, read } => {
                let place = place_of_embedded(&self.folder, path);
                if versions::kept_text(&place, version).is_none()
                    && let Some(text) = read(path)
                {
                    whole::write(&place, &text, whole::USUAL)?;
                }
                place
            }
        };
        let kept = versions::keep(&place, &place, version, rules);
        if let TextAt::Embedded { .. } = text {
            // A start falls back to the binary itself, even if nothing could be kept.
            let _ = fs::remove_file(&place);
        }
        let is_new = match kept {
            // The file is another one by now, and no text of it was ever good.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            kept => kept?,
        };
        let pinned = || self.folder.parent().map(pinned_now).unwrap_or_default();
        if is_new { versions::evict(&place, &self.held, &pinned) } else { Ok(()) }
    }

    /// Makes a copy of the list at `path`.
    fn copy(&self, path: &Path, version: u64) -> io::Result<()> {
        let place = place_of_file(&self.folder, path);
        if is_copy(&place, path, version) {
            return Ok(());
        }
        let mut copy = Whole::begin(&place, whole::USUAL)?;
        let mut written = Ok(());
        let reading = read(path, &mut |piece| {
            if written.is_ok() {
                written = copy.write_all(piece);
            }
        });
        written?;
        match reading {
            Ok(reading) if reading.version == version => copy.finish(),
            // The list moved on: what it is now will be looked at, and kept if it is good.
            _ => Ok(()),
        }
    }

    fn tidy(&self, used: &HashSet<PathBuf>) -> io::Result<()> {
        let name_of = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let stem_of = |path: &Path| versions::stem_of(&name_of(path)?).map(str::to_owned);
        let used: HashSet<String> = used.iter().filter_map(|place| stem_of(place)).collect();
        // By list: when the last of its files was written, and all of them.
        let mut unused: HashMap<String, (SystemTime, Vec<PathBuf>)> = HashMap::new();
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            let (path, Ok(modified)) = (item.path(), item.metadata().and_then(|metadata| metadata.modified())) else {
                continue;
            };
            match stem_of(&path) {
                Some(stem) if !used.contains(&stem) => {
                    let own = unused.entry(stem).or_insert((modified, Vec::new()));
                    own.0 = own.0.max(modified);
                    own.1.push(path);
                }
                Some(_) => {}
                None => whole::remove_if_left(&path)?,
            }
        }
        let mut unused: Vec<(SystemTime, Vec<PathBuf>)> = unused.into_values().collect();
        unused.sort();
        let too_many = unused.len().saturating_sub(UNUSED_COPIES_MAX);
        for path in unused.drain(..too_many).flat_map(|(_, paths)| paths) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Writes what is known of a download beside it, or of a folder's lists.
fn note(place: &Path, known: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(known).map_err(io::Error::other)?;
    whole::write(&beside(place, DOWNLOAD_ENDING), &text, whole::USUAL)
}

/// True if the file at `place` is a copy of the one at `path` in that version.
fn is_copy(place: &Path, path: &Path, version: u64) -> bool {
    let length = |path: &Path| path.metadata().map(|metadata| metadata.len()).ok();
    let is_as_long = length(place).is_some_and(|own| Some(own) == length(path));
    let same = |reading: Result<Reading, ReadFailure>| reading.is_ok_and(|own| own.version == version);
    is_as_long && same(read(place, &mut |_| {}))
}
