//! Which lists a configuration asks for, and which of them are the same as those of another.

use super::{Catalog, Downloading, Entry, ListPath};
use crate::{
    config::{self, ListSource, Location, overlay::OWN_PROGRAM},
    dns::Name,
    lists::store::Store,
    policy::{Canaries, Role},
};
use std::{path::Path, sync::Arc};

/// A file, folder or url of lists, and whose it is.
pub struct Source {
    pub role: Role,
    /// The role in words that no other has.
    pub owner: String,
    pub spec: Arc<ListSource>,
    /// Every rule of it is an exception.
    pub exceptions: bool,
    /// Why the folder isn't used as it is, if it isn't.
    pub trouble: Option<String>,
}

/// All of a configuration, in its order.
pub fn of(config: &config::Config) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut add = |role, owner: &str, specs: &[ListSource], exceptions| {
        let owner = || owner.to_owned();
        let own = specs.iter().cloned();
        let own = own.map(Arc::new);
        sources.extend(own.map(|spec| Source { role, owner: owner(), spec, exceptions, trouble: None }));
    };
    for (program, spec) in config.programs.iter().enumerate() {
        add(Role::Program(program), &spec.name, &spec.lists, false);
        add(Role::Program(program), &spec.name, &spec.exceptions, true);
    }
    for (exception, spec) in config.exceptions.iter().enumerate() {
        add(Role::Owner(exception), &format!("exception {exception}"), &spec.lists, true);
    }
    sources
}

/// The hosts that lists come from: to block one would be to block the list's own updates.
pub fn hosts(sources: &[Source]) -> impl Iterator<Item = (Name, String)> {
    sources.iter().filter_map(|source| Some((list_host(&source.spec.location)?, "a list comes from there".to_owned())))
}

fn list_host(location: &Location) -> Option<Name> {
    let Location::Url(url) = location else { return None };
    let authority = url.strip_prefix("https://")?.split(['/', '?']).next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host.parse().ok()
}

impl Source {
    /// True if lists of `other` would be read into the very same rules, and kept in the same place.
    fn reads_as(&self, other: &Self) -> bool {
        // What is left out here says what lists are called, and when they are looked at.
        let ListSource { location, format, extent, allow_empty, rpz_override, gate, release, .. } = &*self.spec;
        let theirs = &other.spec;
        let same_place = !matches!(location, Location::Url(_)) || self.owner == other.owner;
        same_place
            && self.exceptions == other.exceptions
            && *location == theirs.location
            && (*format, *extent, *allow_empty) == (theirs.format, theirs.extent, theirs.allow_empty)
            && (rpz_override, gate, release) == (&theirs.rpz_override, &theirs.gate, &theirs.release)
    }
}

impl Catalog {
    /// The catalog of another configuration. Lists that both have are taken over as they are, and not read again, unless
    /// a host that lists come from now is one that their broad rules would block.
    pub fn reconfigured(&self, config: &config::Config) -> Self {
        let mut sources = of(config);
        // By the old source: which one it is now.
        let mut heirs: Vec<Option<usize>> = vec![None; self.sources.len()];
        // A program that has another name now comes after those that are called the same.
        for same_owner in [true, false] {
            for (index, source) in sources.iter_mut().enumerate() {
                let is_free = |heirs: &[Option<usize>]| !heirs.contains(&Some(index));
                let is_twin = |(at, old): &(usize, &Source)| {
                    heirs[*at].is_none() && (!same_owner || old.owner == source.owner) && source.reads_as(old)
                };
                if is_free(&heirs)
                    && let Some((at, old)) = self.sources.iter().enumerate().find(is_twin)
                {
                    heirs[at] = Some(index);
                    source.trouble = old.trouble.clone();
                }
            }
        }
        let entries = self.entries.iter().filter_map(|entry| Some((heirs[entry.source]?, entry.clone())));
        let entries = entries.map(|(source, mut entry)| {
            (entry.source, entry.role) = (source, sources[source].role);
            if let (Some(remote), Downloading::Yes { uptime, .. }) = (&mut entry.remote, &self.downloading) {
                remote.refresh_every(sources[source].spec.refresh, uptime());
            }
            entry
        });
        let entries = entries.collect();
        let canaries = match hosts(&sources).all(|(host, _)| hosts(&self.sources).any(|(known, _)| known == host)) {
            true => self.canaries.clone(),
            false => Arc::new(Canaries::new(hosts(&sources))),
        };
        let has_new_hosts = !Arc::ptr_eq(&canaries, &self.canaries);
        let (store, downloading) = (self.store.clone(), self.downloading.clone());
        let mut catalog = Self { sources, entries, store, embedded: self.embedded, downloading, canaries };
        if has_new_hosts {
            catalog.forget_what_the_gate_would_hold();
        }
        catalog
    }

    /// Files and folders that the configuration names and that aren't there, with nothing in force of what was.
    pub fn gone(&self) -> impl Iterator<Item = &Path> {
        let of_files = self.sources.iter().filter(|source| source.owner != OWN_PROGRAM);
        let on_disk = of_files.filter_map(|source| match &source.spec.location {
            Location::File(path) | Location::Folder(path) => Some(path.as_path()),
            Location::Embedded(_) | Location::Url(_) => None,
        });
        let serves = |path: &Path| {
            let is_of =
                |own: &ListPath| matches!(own, ListPath::File(file) if file == path || file.parent() == Some(path));
            self.entries.iter().any(|entry| is_of(&entry.path) && entry.in_force().is_some())
        };
        on_disk.filter(move |path| !path.exists() && !serves(path))
    }

    /// Uses a store from now on, if there is none yet.
    pub fn use_store(&mut self, open: impl FnOnce() -> Option<Store>) {
        if self.store.is_none() {
            self.store = open().map(Arc::new);
        }
    }

    /// Has lists read again of which the gate now has something else to say.
    fn forget_what_the_gate_would_hold(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        for entry in &mut entries {
            // Of a pinned list the text that counts is another.
            let objects = |entry: &Entry| {
                let mut texts = entry.loaded.iter().chain(entry.in_force());
                self.manner(entry).gate().is_some_and(|gate| texts.any(|text| gate.objects_to(&text.rules)))
            };
            if objects(entry) {
                *entry = Entry::new(entry.source, entry.role, entry.path.clone());
            }
        }
        self.entries = entries;
    }
}
