//! Reads a list, and judges whether it is put in force.

use super::{Catalog, Embedded, Entry, Findings, ListPath, Loaded, Trouble, sources::Source};
use crate::{
    config::{self, ListSource, Location},
    dns::Name,
    lists::{
        read::{ReadFailure, Reading, read, shown_version, version_of},
        spec,
        store::{Kept, TextAt, kept_since, kept_text},
    },
    policy::{
        Broad, Canaries, Gate, RuleSet, change_too_large,
        parse::{Admit, Header, Options, Parsed, Parser, Told, Unusable, parse},
    },
    watch::Stamp,
};
use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// How the texts of one list are read, wherever they lie.
#[derive(Clone)]
pub struct Manner {
    spec: Arc<ListSource>,
    /// Names whose rules the gate lets through, besides those of the list's own `release`.
    let_through: Arc<[Name]>,
    /// Every rule is an exception.
    exceptions: bool,
    canaries: Arc<Canaries>,
    embedded: Embedded,
}

impl Manner {
    /// Reads a file. The text is never in memory whole.
    pub fn read(&self, path: &Path) -> Result<(Reading, Result<Parsed, Unusable>), ReadFailure> {
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        let gate = self.gate();
        let options = self.options(gate.as_ref());
        let mut parser = Parser::new(&options, usize::try_from(length).unwrap_or(usize::MAX));
        let reading = read(path, &mut |piece| parser.feed(piece))?;
        Ok((reading, self.meant(parser.finish())))
    }

    /// Reads a text that is kept of the list, or tells why it is of no use now.
    pub fn read_kept(&self, kept: &Kept) -> Result<(Reading, Parsed), String> {
        let shown = shown_version(kept.version);
        match self.read(&kept.path) {
            Ok((reading, Ok(parsed))) if reading.version == kept.version => Ok((reading, parsed)),
            Ok((_, Err(unusable))) => Err(format!("version {shown} is of no use as lists are read now: {unusable}")),
            _ => Err(format!("version {shown} can't be read back")),
        }
    }

    /// Reads the text of a version, wherever it is still to be had: `path` is the list's own, `kept_at` where its copies lie.
    /// 0: whichever there is. With its octets.
    pub fn read_version(
        &self,
        path: &ListPath,
        kept_at: Option<&Path>,
        version: u64,
    ) -> Option<(Result<Parsed, Unusable>, u64)> {
        let is_it = |own: u64| version == 0 || own == version;
        let file = match path {
            ListPath::Embedded(path) => {
                if let Some(text) = (self.embedded.read)(path).filter(|text| is_it(version_of(text))) {
                    return Some((self.parse(&text), text.len() as u64));
                }
                None
            }
            ListPath::File(path) | ListPath::Url { file: path, .. } => Some(path.clone()),
        };
        let kept = kept_at.and_then(|place| Some(kept_text(place, version)?.path));
        file.into_iter().chain(kept).find_map(|path| {
            let (reading, parsed) = self.read(&path).ok()?;
            is_it(reading.version).then(|| (parsed, reading.stamp.length()))
        })
    }

    /// The same with rules on some more names let through.
    pub fn letting_through(&self, names: &[Name]) -> Self {
        Self { let_through: [&self.let_through[..], names].concat().into(), ..self.clone() }
    }

    pub(super) fn parse(&self, text: &[u8]) -> Result<Parsed, Unusable> {
        let gate = self.gate();
        self.meant(parse(text, &self.options(gate.as_ref())))
    }

    fn options<'a>(&self, gate: Option<&'a Gate>) -> Options<'a> {
        let Self { spec, .. } = self;
        let admit = gate.map(|gate| gate as &dyn Admit);
        Options { format: spec.format, extent: spec.extent, admit, now: believed_now() }
    }

    /// The gate that the rules pass. Who wrote a list decides unless the configuration does: strangers' mistakes are held
    /// back, the owner is obeyed.
    pub(super) fn gate(&self) -> Option<Gate> {
        let Self { spec, let_through, .. } = self;
        let by_author = match spec.location {
            Location::Url(_) | Location::Embedded(_) => config::Gate::Hold,
            Location::File(_) | Location::Folder(_) => config::Gate::Warn,
        };
        let broad = match spec.gate.unwrap_or(by_author) {
            config::Gate::Hold => Broad::Hold,
            config::Gate::Warn => Broad::Warn,
            config::Gate::Off => return None,
        };
        Some(Gate::new(self.canaries.clone(), &[&spec.release[..], &let_through[..]].concat(), broad))
    }

    /// What a list's text means where it stands in the configuration.
    fn meant(&self, parsed: Result<Parsed, Unusable>) -> Result<Parsed, Unusable> {
        let mut parsed = match parsed {
            Err(Unusable::Empty | Unusable::OnlyComments) if self.spec.allow_empty => Parsed {
                format: self.spec.format,
                header: Header::default(),
                rules: RuleSet::default(),
                skipped: Told::default(),
                held: Told::default(),
                warned: Told::default(),
            },
            parsed => parsed?,
        };
        if let Some((effect, action)) = self.spec.rpz_override.as_ref().and_then(spec::overriding) {
            parsed.rules = parsed.rules.with_action(effect, &action);
        }
        if self.exceptions {
            parsed.rules = parsed.rules.into_exceptions();
        }
        Ok(parsed)
    }
}

impl Catalog {
    /// Reads a file, and puts it in force if it is good for anything and new.
    pub(super) fn take_file(
        &self,
        entry: &mut Entry,
        path: &Path,
        stamp: Stamp,
        findings: &mut Findings,
    ) -> Result<(), ReadFailure> {
        // What is as long as before may well be the same: to find out costs less than rules beside those in force.
        if entry.loaded.as_ref().is_some_and(|loaded| loaded.length == stamp.length()) {
            let reading = read(path, &mut |_| {})?;
            if entry.is_in_force(reading.version) {
                (entry.stamp, entry.settled) = (Some(reading.stamp), reading.settled);
                entry.is_well(findings);
                return Ok(());
            }
        }
        let (reading, parsed) = self.read_list(entry, path)?;
        (entry.stamp, entry.settled) = (Some(reading.stamp), reading.settled);
        match parsed {
            Ok(_) if entry.is_in_force(reading.version) => entry.is_well(findings),
            Ok(parsed) => {
                let change = self.too_large_a_change(entry, &parsed);
                let is_first = entry.loaded.is_none();
                entry.put_in_force(parsed, &reading, change, findings);
                if is_first {
                    self.date_back(entry, path);
                }
                entry.have_kept(TextAt::File(path.to_owned()), findings);
            }
            Err(unusable) => self.fail(entry, unusable.to_string(), findings),
        }
        Ok(())
    }

    /// A file that was only touched since an earlier run took its text in is no younger for it.
    fn date_back(&self, entry: &mut Entry, path: &Path) {
        let place = self.store.as_ref().and_then(|store| store.place_of_file(path));
        if let (Some(place), Some(loaded)) = (place, &mut entry.loaded) {
            let came = kept_since(&place, loaded.version, loaded.rules.len());
            loaded.written_at = loaded.written_at.into_iter().chain(came).min();
        }
    }

    pub(super) fn take_embedded(&self, entry: &mut Entry, text: &[u8], findings: &mut Findings) {
        match self.manner(entry).parse(text) {
            Ok(parsed) => {
                entry.trouble = None;
                entry.loaded = Some(Loaded::new(parsed, version_of(text), text.len() as u64));
                entry.note_change(findings);
                if let ListPath::Embedded(path) = &entry.path {
                    let read = self.embedded.read;
                    entry.have_kept(TextAt::Embedded { path: path.clone(), read }, findings);
                }
            }
            Err(unusable) => self.fail(entry, unusable.to_string(), findings),
        }
    }

    /// Reads the file of a list as that list is to be read. The text is never in memory whole.
    pub(super) fn read_list(
        &self,
        entry: &Entry,
        path: &Path,
    ) -> Result<(Reading, Result<Parsed, Unusable>), ReadFailure> {
        self.manner(entry).read(path)
    }

    /// How the text of a list is to be read.
    pub fn manner(&self, entry: &Entry) -> Manner {
        let Source { spec, exceptions, .. } = &self.sources[entry.source];
        let (let_through, canaries) = (entry.let_through.clone(), self.canaries.clone());
        Manner { spec: spec.clone(), let_through, exceptions: *exceptions, canaries, embedded: self.embedded }
    }

    /// What to say of a list that became much longer or shorter than the one in force, if it did and that matters.
    pub(super) fn too_large_a_change(&self, entry: &Entry, parsed: &Parsed) -> Option<String> {
        let spec = self.spec(entry);
        let before = entry.loaded.as_ref().filter(|_| spec.gate != Some(config::Gate::Off))?;
        change_too_large(before.rules.len(), parsed.rules.len(), spec.change_max)
    }

    /// Notes that the file as it is can't be used. What was good stays; at the start the stored copy stands in.
    pub(super) fn fail(&self, entry: &mut Entry, reason: String, findings: &mut Findings) {
        if entry.loaded.is_none()
            && let (Some(store), ListPath::File(path)) = (&self.store, &entry.path)
            && let Some(place) = store.place_of_file(path)
        {
            self.load_copy(entry, &place, findings);
        }
        if entry.trouble.as_deref() != Some(reason.as_str()) {
            let (place, serves) = (entry.path.to_string(), entry.loaded.is_some());
            findings.troubles.push(Trouble { place, reason: reason.clone(), serves });
            entry.trouble = Some(reason);
        }
    }

    /// Puts the copy at `place` in force, if it is good for anything.
    pub(super) fn load_copy(&self, entry: &mut Entry, place: &Path, findings: &mut Findings) {
        if let Ok((reading, Ok(parsed))) = self.read_list(entry, place) {
            let own = Loaded::of(parsed, &reading);
            // A copy is written later than what it is a copy of; beside it lies when that text came.
            let came = kept_text(place, reading.version).map(|kept| kept.since);
            let written_at = own.written_at.into_iter().chain(came).min();
            entry.loaded = Some(Loaded { from_store: true, written_at, ..own });
            entry.note_change(findings);
            if let ListPath::Url { file, .. } = &entry.path {
                entry.have_kept(TextAt::Download(file.clone()), findings);
            }
        }
    }
}

/// Seconds since 1970, by a clock that isn't known to be wrong: one that was never set stands before this was built.
fn believed_now() -> Option<i64> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let built_at = env!("CLEANDNS_BUILT_AT").parse().unwrap_or(0);
    Some(now).filter(|now| *now >= built_at)
}
