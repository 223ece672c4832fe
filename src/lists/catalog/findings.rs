//! Why the catalog is looked through, and what comes of it.

use super::ListPath;
use crate::lists::{
    fetch::{Delivery, Order},
    store::Keeping,
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// Why the catalog is looked through.
#[derive(Default)]
pub struct Occasion {
    /// Paths that something happened to: read even if their stamp looks the same.
    pub touched: HashSet<PathBuf>,
    /// Paths that are being written: left alone, whatever is asked, until their writer is done.
    pub unfinished: HashSet<PathBuf>,
    /// Read everything.
    pub all: bool,
    /// The configuration is another one: lists that it names anew are read at once.
    pub configured: bool,
    /// Something happened, so what changed has been written to its end.
    pub events: bool,
    /// Downloads that ended.
    pub delivered: Vec<Delivery>,
    /// Download everything, due or not.
    pub update: bool,
}

/// Whether a path, or what it leads to, is among some.
pub fn is_among(paths: &HashSet<PathBuf>, path: &Path) -> bool {
    let really = || path.canonicalize().is_ok_and(|real| paths.contains(&real));
    !paths.is_empty() && (paths.contains(path) || really())
}

/// What a look through the catalog found.
#[derive(Default)]
pub struct Findings {
    /// Lists whose rules are others now, or that are new or gone, for the log.
    pub changed: Vec<ListPath>,
    /// New trouble.
    pub troubles: Vec<Trouble>,
    /// What is obeyed and yet perhaps not meant: path and reason.
    pub warnings: Vec<(String, String)>,
    /// Lists whose trouble is over without a change.
    pub recovered: bool,
    /// A server gave a list again, or said that it is still the same.
    pub confirmed: bool,
    /// Texts that are to be kept.
    pub to_store: Vec<Keeping>,
    /// Something is to be told of lists whose rules are as they were.
    pub told: bool,
    /// Downloads to be made.
    pub to_fetch: Vec<Order>,
    /// Lists that were deleted.
    pub deleted: Vec<PathBuf>,
    /// Folders that are well, with the names of their lists.
    pub listed: Vec<(PathBuf, Vec<String>)>,
    /// Something besides the lists changed that the policy depends on.
    pub others_changed: bool,
    /// A list could not be read because it changed meanwhile.
    pub changing: bool,
    /// When to look again without being told.
    pub look_again: Option<Duration>,
}

/// Why a list or a folder of them is not used as it is now.
pub struct Trouble {
    pub place: String,
    pub reason: String,
    /// Its last good state stays in force.
    pub serves: bool,
}

impl Findings {
    /// Adds what a later look found.
    pub fn absorb(&mut self, later: Self) {
        self.changed.extend(later.changed.into_iter().filter(|path| !self.changed.contains(path)).collect::<Vec<_>>());
        self.troubles.extend(later.troubles);
        self.warnings.extend(later.warnings);
        self.recovered |= later.recovered;
        self.confirmed |= later.confirmed;
        self.to_store.extend(later.to_store);
        self.to_fetch.extend(later.to_fetch);
        self.deleted.extend(later.deleted);
        self.listed = later.listed;
        self.told |= later.told;
        self.others_changed |= later.others_changed;
        (self.changing, self.look_again) = (later.changing, later.look_again);
    }
}
