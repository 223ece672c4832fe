//! Lists that are held at a version: its text is taken from the store, whatever the list is now. What the list is now is
//! read and checked all the same, and waits.

use super::{Catalog, Entry, Findings, Loaded, Occasion};
use crate::{
    config::Pin,
    dns::Name,
    lists::{
        read::shown_version,
        store::{Held, kept_text},
    },
};
use std::sync::Arc;

/// A list is held at a version.
#[derive(Clone)]
pub struct Pinned {
    pub version: u64,
    pub reason: String,
    /// What it is held at, or why that can't be had.
    text: Result<Loaded, String>,
    /// As it was read.
    let_through: Arc<[Name]>,
}

impl Pinned {
    /// What counts of the list, if that can be had.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.text.as_ref().ok()
    }

    /// Why the list as it is now counts all the same.
    pub fn trouble(&self) -> Option<&str> {
        self.text.as_ref().err().map(String::as_str)
    }
}

impl Catalog {
    /// Holds lists at their versions, and lets go those that are no longer to be held. `wanted`: for each list, in the order
    /// of the entries, what it is to be held at.
    pub fn hold(&mut self, wanted: &[Option<&Pin>], occasion: &Occasion, findings: &mut Findings) {
        let mut entries = std::mem::take(&mut self.entries);
        let mut has_changed = false;
        for (entry, wanted) in entries.iter_mut().zip(wanted) {
            has_changed |= self.hold_entry(entry, *wanted, occasion, findings);
        }
        self.entries = entries;
        if has_changed {
            self.keep_what_is_held();
        }
    }

    /// Has the texts that lists are held at kept, however old they are.
    pub fn keep_what_is_held(&self) {
        let Some(store) = &self.store else { return };
        let held = |entry: &Entry| Some((self.place_of(entry)?, entry.pinned.as_ref()?.version));
        store.hold(self.entries.iter().filter_map(held).collect::<Held>());
    }

    /// True if it is held otherwise than before.
    fn hold_entry(
        &self,
        entry: &mut Entry,
        wanted: Option<&Pin>,
        occasion: &Occasion,
        findings: &mut Findings,
    ) -> bool {
        let Some(pin) = wanted else {
            let Some(before) = entry.pinned.take() else { return false };
            if before.text.is_ok() {
                findings.changed.push(entry.path.clone());
            }
            findings.told = true;
            return true;
        };
        // What could not be had may be there again when somebody asks for everything anew.
        let is_it_now = entry.is_in_force(pin.version);
        let is_read_so = entry.pinned.as_ref().is_none_or(|before| before.let_through == entry.let_through);
        let is_settled = |before: &Pinned| {
            is_read_so && (before.text.is_ok() || !(occasion.all || occasion.configured || is_it_now))
        };
        let same = entry.pinned.as_mut().filter(|before| before.version == pin.version && is_settled(before));
        if let Some(same) = same {
            if same.reason != pin.reason {
                same.reason.clone_from(&pin.reason);
                findings.told = true;
            }
            return false;
        }
        let before = entry.pinned.take();
        let text = self.text_of(entry, pin.version);
        let counted = |held: Option<&Loaded>| held.or(entry.loaded.as_ref()).map(|loaded| loaded.version);
        if !is_read_so || counted(before.as_ref().and_then(Pinned::loaded)) != counted(text.as_ref().ok()) {
            findings.changed.push(entry.path.clone());
        }
        if let Err(why) = &text
            && before.as_ref().and_then(Pinned::trouble) != Some(why.as_str())
        {
            tracing::warn!(list = %entry.path, why, "a list can't be held at a version; as it is now, it is in force");
        }
        findings.told = true;
        let (reason, let_through) = (pin.reason.clone(), entry.let_through.clone());
        entry.pinned = Some(Pinned { version: pin.version, reason, text, let_through });
        before.is_none_or(|before| before.version != pin.version)
    }

    /// The text of a version, read as the list is read.
    fn text_of(&self, entry: &Entry, version: u64) -> Result<Loaded, String> {
        if let Some(loaded) = entry.loaded.as_ref().filter(|loaded| loaded.version == version) {
            return Ok(loaded.clone());
        }
        let shown = shown_version(version);
        let place = self.place_of(entry).ok_or_else(|| format!("no versions of it are kept, so not {shown}"))?;
        let kept = kept_text(&place, version).ok_or_else(|| format!("version {shown} of it is no longer kept"))?;
        let (reading, parsed) = self.manner(entry).read_kept(&kept)?;
        // A kept text's time is when it came.
        Ok(Loaded { from_store: true, ..Loaded::of(parsed, &reading) })
    }
}
