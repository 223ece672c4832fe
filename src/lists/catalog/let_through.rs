//! Rules that the safety gate would hold back, and that somebody lets through: the text stays, and is read again.

use super::{Catalog, Entry, Findings, ListPath, Loaded, Occasion, findings::is_among};
use crate::{dns::Name, watch::Stamp};

impl Catalog {
    /// Lets rules on some names through. `wanted`: for each list, in the order of the entries, on which.
    pub fn let_through(&mut self, wanted: &[Vec<Name>], occasion: &Occasion, findings: &mut Findings) {
        let mut entries = std::mem::take(&mut self.entries);
        for (entry, wanted) in
            entries.iter_mut().zip(wanted).filter(|(entry, wanted)| entry.let_through[..] != wanted[..])
        {
            entry.let_through = wanted.as_slice().into();
            findings.told = true;
            self.read_again(entry, occasion, findings);
        }
        self.entries = entries;
    }

    /// Reads what counts of a list as it is to be read now.
    fn read_again(&self, entry: &mut Entry, occasion: &Occasion, findings: &mut Findings) {
        let before = entry.loaded.clone();
        match before.as_ref().and_then(|before| {
            let read = self.manner(entry).read_version(&entry.path, self.place_of(entry).as_deref(), before.version)?;
            Some((before, read))
        }) {
            Some((before, (Ok(parsed), length))) => {
                let now = Loaded::new(parsed, before.version, length);
                let Loaded { since, from_store, written_at, .. } = *before;
                entry.loaded = Some(Loaded { since, from_store, written_at, ..now });
                entry.note_change(findings);
            }
            Some((_, (Err(unusable), _))) => {
                // Without those rules nothing is left of it.
                entry.loaded = None;
                entry.note_change(findings);
                self.fail(entry, unusable.to_string(), findings);
            }
            None if before.is_some() => {
                let what = "its text can't be read again; which rules are let through counts with its next text";
                findings.warnings.push((entry.path.to_string(), what.to_owned()));
            }
            None => {}
        }
        if entry.trouble.is_some() && before.is_none_or(|_| entry.loaded.is_some()) {
            self.try_again(entry, occasion, findings);
        }
    }

    /// Reads a list anew that is of no use as it is: perhaps because all of its rules were held back.
    fn try_again(&self, entry: &mut Entry, occasion: &Occasion, findings: &mut Findings) {
        match entry.path.clone() {
            ListPath::File(path) => {
                // What is being written is read when that is over, and so is what changes just now.
                let Some(stamp) = Stamp::of(&path).ok().filter(|_| !is_among(&occasion.unfinished, &path)) else {
                    return;
                };
                let _ = self.take_file(entry, &path, stamp, findings);
            }
            ListPath::Embedded(path) => {
                if let Some(text) = (self.embedded.read)(&path) {
                    self.take_embedded(entry, &text, findings);
                }
            }
            // It is downloaded again when its time comes, or somebody wants it.
            ListPath::Url { .. } => {}
        }
        if entry.trouble.is_none() {
            // What was said of it a moment ago is over.
            let place = entry.path.to_string();
            findings.troubles.retain(|trouble| trouble.place != place);
        }
    }
}

impl Entry {
    pub fn lets_nothing_through(&self) -> bool {
        self.let_through.is_empty()
    }
}
