//! Lists with a url: when one is downloaded, and what becomes of the download.
//!
//! A download that is useless, or that shrank or grew too much at once, never replaces a good one.

use super::{Catalog, Downloading, Entry, Findings, ListPath, Occasion};
use crate::{
    config::Gate,
    lists::{
        fetch::{Delivery, Fetched, Order, Schedule, Validators},
        read::shown_version,
        store::{Download, Store, TextAt, place_of_url},
    },
    policy::shown_time,
};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What is known of where a list comes from.
#[derive(Clone)]
pub struct Remote {
    schedule: Schedule,
    is_under_way: bool,
    /// Somebody asked for a download while one was under way, which may have begun before what he knows of.
    is_wanted_again: bool,
    /// Of the copy that is in force; `None`: there is none, or nothing is known of it.
    download: Option<Download>,
}

impl Catalog {
    /// Where a source's download lies.
    pub(super) fn place_of_url(&self, source: usize, url: &str) -> PathBuf {
        let owner = &self.sources[source].owner;
        match (&self.store, &self.downloading) {
            (Some(store), _) => store.place_of_url(url, owner),
            (None, Downloading::No { copies: Some(folder) }) => place_of_url(folder, url, owner),
            (None, _) => PathBuf::new(),
        }
    }

    /// True for a list that only a running server would download.
    pub(super) fn is_out_of_reach(&self, entry: &Entry) -> bool {
        matches!((&entry.path, &self.downloading), (ListPath::Url { .. }, Downloading::No { .. }))
    }

    /// Takes in what was downloaded, and asks for what is due. What an earlier run downloaded comes first.
    pub(super) fn refresh_url(&self, entry: &mut Entry, occasion: &Occasion, findings: &mut Findings) {
        let ListPath::Url { url, file } = entry.path.clone() else {
            return;
        };
        let Downloading::Yes { seed, uptime } = &self.downloading else {
            if entry.loaded.is_none() {
                self.load_copy(entry, &file, findings);
            }
            return;
        };
        let Some(store) = &self.store else {
            return self.fail(entry, "there is no folder to download it to".to_owned(), findings);
        };
        let now = uptime();
        if entry.remote.is_none() {
            self.load_copy(entry, &file, findings);
            let version = entry.loaded.as_ref().map(|loaded| loaded.version);
            let download = store.download(&file).filter(|download| {
                download.url == url && version.is_some_and(|version| download.version == shown_version(version))
            });
            // A copy from the future is as good as new: some clock was wrong, and that must not stop downloads.
            let age = |download: &Download| Duration::from_secs(seconds_now().saturating_sub(download.checked_at));
            let age = download.as_ref().map(age);
            let refresh = self.spec(entry).refresh;
            let schedule = Schedule::new(age, refresh, now, (*seed, &url));
            entry.remote = Some(Remote { schedule, is_under_way: false, is_wanted_again: false, download });
        }
        if let Some(delivery) = occasion.delivered.iter().find(|delivery| delivery.order.place == file) {
            self.receive(entry, store, delivery, now, findings);
        }
        let ca_file = self.spec(entry).ca_file.clone();
        let Some(remote) = &mut entry.remote else {
            return;
        };
        remote.is_wanted_again |= occasion.update;
        if !remote.is_under_way && (remote.is_wanted_again || remote.schedule.is_due(now)) {
            (remote.is_under_way, remote.is_wanted_again) = (true, false);
            let known = remote.validators();
            findings.to_fetch.push(Order { into: store.unfinished(&file), place: file, url, ca_file, known });
        }
    }

    fn receive(&self, entry: &mut Entry, store: &Store, delivery: &Delivery, now: Duration, findings: &mut Findings) {
        let Some(remote) = &mut entry.remote else {
            return;
        };
        remote.is_under_way = false;
        let came = match &delivery.result {
            Ok(Fetched::Same) => {
                if let Some(download) = &mut remote.download {
                    download.checked_at = seconds_now();
                    store.note(delivery.order.place.clone(), download.clone());
                }
                findings.confirmed = true;
                entry.is_well(findings);
                Ok(())
            }
            Ok(Fetched::Body(validators)) => {
                let came = self.take_download(entry, store, &delivery.order, validators, findings);
                // Gone already, if it was taken.
                let _ = fs::remove_file(&delivery.order.into);
                came
            }
            Err(reason) => Err(format!("it can't be downloaded: {reason}")),
        };
        let Some(remote) = &mut entry.remote else {
            return;
        };
        match came {
            Ok(()) => remote.schedule.succeeded(now),
            Err(reason) => {
                remote.schedule.failed(now);
                let reason = format!("{reason}{}", remote.last_good());
                self.fail(entry, reason, findings);
            }
        }
    }

    /// Puts a download in force, if it is good for anything, new, and not suspicious. An error is one that another
    /// download may mend.
    fn take_download(
        &self,
        entry: &mut Entry,
        store: &Store,
        order: &Order,
        validators: &Validators,
        findings: &mut Findings,
    ) -> Result<(), String> {
        let read = self.read_list(entry, &order.into);
        let (reading, parsed) = read.map_err(|_| "what was downloaded can't be read back".to_owned())?;
        let parsed = parsed.map_err(|unusable| format!("what was downloaded is of no use: {unusable}"))?;
        let change = self.too_large_a_change(entry, &parsed);
        if let Some(change) = &change
            && self.spec(entry).gate.unwrap_or(Gate::Hold) == Gate::Hold
        {
            let last_good = entry.remote.as_ref().map(Remote::last_good).unwrap_or_default();
            self.fail(entry, held(change, &last_good), findings);
            return Ok(());
        }
        // A server that tells no time of change sends what is the same again.
        let before = entry.remote.as_ref().and_then(|remote| remote.download.as_ref());
        let version = shown_version(reading.version);
        let before = before.filter(|before| before.url == order.url && before.version == version);
        let changed_at = before.map_or_else(seconds_now, Download::came_at);
        let download = Download {
            url: order.url.clone(),
            etag: validators.etag.clone(),
            last_modified: validators.last_modified.clone(),
            fetched_at: seconds_now(),
            checked_at: seconds_now(),
            changed_at,
            version,
        };
        let placed = store.accept(&order.into, &order.place, download.clone());
        placed.map_err(|error| format!("it can't be written to {}: {error}", store.folder().display()))?;
        if let Some(remote) = &mut entry.remote {
            remote.download = Some(download);
        }
        if entry.is_in_force(reading.version) {
            entry.is_well(findings);
            findings.confirmed = true;
        } else {
            entry.put_in_force(parsed, &reading, change, findings);
            entry.have_kept(TextAt::Download(order.place.clone()), findings);
        }
        Ok(())
    }

    /// True while the start should wait for a list of which there is no copy. `is_late`: only for required ones.
    pub fn awaits_downloads(&self, is_late: bool) -> bool {
        self.entries.iter().any(|entry| {
            let is_under_way = entry.remote.as_ref().is_some_and(|remote| remote.is_under_way);
            is_under_way && entry.loaded.is_none() && (!is_late || self.spec(entry).required)
        })
    }

    /// The same for lists that a catalog before this one hadn't.
    pub fn awaits_new_downloads(&self, before: &Self) -> bool {
        let is_new = |entry: &Entry| !before.entries.iter().any(|old| old.path == entry.path);
        self.entries.iter().any(|entry| {
            let is_under_way = entry.remote.as_ref().is_some_and(|remote| remote.is_under_way);
            is_under_way && entry.loaded.is_none() && is_new(entry)
        })
    }

    /// Forgets what is known of downloads that another catalog took in meanwhile: the store knows better.
    pub fn forget_downloads(&mut self, places: &[PathBuf]) {
        for entry in &mut self.entries {
            if matches!(&entry.path, ListPath::Url { file, .. } if places.contains(file)) {
                entry.remote = None;
            }
        }
    }

    /// Says of lists that have not come yet that nothing of them is in force.
    pub fn tell_of_missing_downloads(&mut self, findings: &mut Findings) {
        let mut entries = std::mem::take(&mut self.entries);
        for entry in entries.iter_mut().filter(|entry| entry.remote.is_some()) {
            if entry.loaded.is_none() && entry.trouble.is_none() {
                self.fail(entry, "it has not been downloaded yet; the download goes on".to_owned(), findings);
            }
        }
        self.entries = entries;
    }
}

impl Remote {
    /// Goes by another time between downloads from now on.
    pub(super) fn refresh_every(&mut self, refresh: Duration, now: Duration) {
        self.schedule.refresh_every(refresh, now);
    }

    /// What to show the server, so that it sends nothing if nothing changed.
    fn validators(&self) -> Validators {
        let known = self.download.as_ref();
        Validators {
            etag: known.and_then(|download| download.etag.clone()),
            last_modified: known.and_then(|download| download.last_modified.clone()),
        }
    }

    /// Seconds since 1970 when the server last gave what is in force or said that it is still the same.
    pub(super) fn confirmed_at(&self) -> Option<u64> {
        self.download.as_ref().map(|download| download.checked_at)
    }

    /// When the text of this version last changed: as its server says, else when it came.
    pub(super) fn changed_at(&self, version: u64) -> Option<SystemTime> {
        let own = self.download.as_ref().filter(|own| own.version == shown_version(version))?;
        let said = own.last_modified.as_deref().and_then(http_date);
        Some(said.unwrap_or_else(|| UNIX_EPOCH + Duration::from_secs(own.came_at())))
    }

    /// When what is in force was downloaded, as an aside.
    fn last_good(&self) -> String {
        match &self.download {
            Some(download) => {
                format!(" (last downloaded {})", shown_time(i64::try_from(download.fetched_at).unwrap_or(i64::MAX)))
            }
            None => String::new(),
        }
    }
}

fn held(change: &str, last_good: &str) -> String {
    format!(
        "what was downloaded is held back, since {change}; look at it, and write gate = \"off\" or \"warn\" on the \
         list if it is meant{last_good}"
    )
}

/// A time as HTTP has it (RFC 9110 §5.6.7): `Tue, 06 Jan 2026 04:10:00 GMT`. One in the future is of no use.
fn http_date(text: &str) -> Option<SystemTime> {
    let seconds = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?);
    Some(time).filter(|time| *time <= SystemTime::now())
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
