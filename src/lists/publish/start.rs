//! The first policy: everything is read, and what is on its way is waited for, before anybody is answered.

use super::{Chance, Lists, OnPublish, Published, Signal, StartError};
use crate::{
    config::{Config, ListSource, Location},
    lists::{
        catalog::{Catalog, Downloading, Embedded, Findings, Occasion},
        databases::Databases,
        fetch::{Downloads, Fetcher},
        store::{self, Store},
    },
};
use arc_swap::ArcSwap;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

/// How long a start waits for lists that are being written.
const START_WAITS_FOR_WRITERS: Duration = Duration::from_secs(2);
/// How long a start waits for downloads of lists of which there is no copy, unless they are required: long enough for a
/// working network, short enough that a house isn't without names because a list's server is down.
pub(super) const START_WAITS_FOR_DOWNLOADS: Duration = Duration::from_secs(10);

/// What lists are loaded for.
pub(super) enum Purpose {
    /// To look at them as they are now.
    Look,
    /// The same, to tell what a start would make of them: what it has copies of keeps it from nothing.
    Foresee,
    Serve(Downloads),
}

impl Lists {
    pub(super) fn start(
        config: Arc<Config>,
        embedded: Embedded,
        chance: Chance,
        purpose: Purpose,
        on_publish: OnPublish,
    ) -> Result<Self, StartError> {
        let (foresees, serves) = (matches!(purpose, Purpose::Foresee), matches!(purpose, Purpose::Serve(_)));
        let downloads = if let Purpose::Serve(downloads) = purpose { Some(downloads) } else { None };
        let store = if downloads.is_some() { open_store(&config) } else { None };
        let published = Arc::new(Published { policy: Arc::default(), status: ArcSwap::default() });
        let downloading = match downloads {
            Some(_) => Downloading::Yes { seed: chance.seed, uptime: chance.uptime.clone() },
            None => Downloading::No { copies: config.state_dir.as_deref().map(store::folder_in) },
        };
        let catalog = Catalog::new(&config, store, embedded, downloading);
        let signals = channel();
        let sender: Sender<Signal> = signals.0.clone();
        let fetcher = downloads.map(|downloads| {
            Fetcher::new(downloads, move |delivery| {
                let _ = sender.send(Signal::Delivered(delivery));
            })
        });
        let databases = Databases::new(&config);
        let mut lists = Self {
            config,
            catalog,
            databases,
            published,
            on_publish,
            chance,
            expired: Vec::new(),
            fetcher,
            signals,
            deferred: VecDeque::new(),
        };
        let started = Instant::now();
        let everything = Occasion { all: true, ..Occasion::default() };
        let mut findings = lists.refresh(&everything, started);
        lists.wait_for_writers(&mut findings, &everything, started);
        lists.wait_for_downloads(&mut findings, started);
        if serves {
            none_gone(&lists.catalog)?;
        }
        all_usable(&lists.catalog, lists.config.state_dir.as_deref().filter(|_| foresees))?;
        let databases = lists.databases.refresh(true);
        lists.tell_of_databases(&databases.troubles);
        lists.tell_of_expired();
        lists.publish(findings, started, Box::new(|| {}))?;
        lists.catalog.tidy();
        lists.warn_of_unknown_services();
        lists.warn_of_missing_databases();
        Ok(lists)
    }

    /// A list that changes while it is read is read again, for a while: to go on without it would be to fail open.
    pub(super) fn wait_for_writers(&mut self, findings: &mut Findings, occasion: &Occasion, started: Instant) {
        while findings.changing && started.elapsed() < START_WAITS_FOR_WRITERS {
            std::thread::sleep(Duration::from_millis(100));
            let later = self.refresh(occasion, Instant::now());
            findings.absorb(later);
        }
    }

    /// Waits, for a while, for lists that no earlier run downloaded: to start without them is to fail open.
    fn wait_for_downloads(&mut self, findings: &mut Findings, started: Instant) {
        while self.catalog.awaits_downloads(started.elapsed() >= START_WAITS_FOR_DOWNLOADS) {
            if let Some(delivery) = self.next_delivery() {
                let occasion = Occasion { delivered: vec![delivery], ..Occasion::default() };
                let later = self.refresh(&occasion, Instant::now());
                findings.absorb(later);
            }
        }
        self.catalog.tell_of_missing_downloads(findings);
    }
}

/// Of whatever isn't there a copy serves; else all of which none does. They seemed to have one, or were there a moment ago.
fn none_gone(catalog: &Catalog) -> Result<(), StartError> {
    let told = |path: &Path| {
        let path = path.display();
        format!("{path}: it isn't there, and no copy in the state folder is of use; put it back, or correct the path")
    };
    let gone: Vec<String> = catalog.gone().map(told).collect();
    if gone.is_empty() { Ok(()) } else { Err(StartError::Unusable(gone)) }
}

/// Nothing that must be of use is of none; else all that isn't. `copies`: the state folder whose copies would serve, too.
pub(super) fn all_usable(catalog: &Catalog, copies: Option<&Path>) -> Result<(), StartError> {
    let ca_files = catalog.unusable_ca_files();
    let ca_files = ca_files
        .map(|(path, reason)| format!("ca_file: {}: {reason}; write a PEM file of certificates", path.display()));
    let is_kept = |path: &str| copies.is_some_and(|state| store::kept_location(state, Path::new(path)).is_some());
    let required = catalog.missing_required().into_iter().filter(|(path, _)| !is_kept(path));
    let required = required.map(|(path, reason)| format!("{path}: a required list is of no use: {reason}"));
    let unusable: Vec<String> = ca_files.chain(required).collect();
    if unusable.is_empty() { Ok(()) } else { Err(StartError::Unusable(unusable)) }
}

/// The store in the state folder, or else one for this run if something is downloaded.
pub(super) fn open_store(config: &Config) -> Option<Store> {
    let open = |state_dir: &PathBuf| {
        let failed = |error: &std::io::Error| {
            let folder = state_dir.display();
            tracing::warn!(%folder, %error, "the state folder can't be used: no last good copies over a restart");
        };
        Store::open(state_dir).inspect_err(failed).ok()
    };
    if let Some(store) = config.state_dir.as_ref().and_then(open) {
        return Some(store);
    }
    let of_programs = config.programs.iter().flat_map(|program| program.lists.iter().chain(&program.exceptions));
    let mut all = of_programs.chain(config.exceptions.iter().flat_map(|exception| &exception.lists));
    let has_url = |list: &ListSource| matches!(list.location, Location::Url(_));
    if !all.any(has_url) {
        return None;
    }
    let store = Store::temporary().inspect_err(|error| tracing::warn!(%error, "no list can be downloaded")).ok()?;
    tracing::warn!(
        folder = %store.folder().display(),
        "there is no state folder: downloaded lists are kept for this run only, and downloaded again at the next start"
    );
    Some(store)
}
