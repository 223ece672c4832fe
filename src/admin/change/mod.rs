//! What is changed, by pages and API alike: one function a change. It checks, writes down who does it, and does it; where
//! it can't be written down, nothing is changed.
//!
//! Every such function may wait for a disk: `at_leisure` calls it where that holds up nobody.

pub mod cache;
mod desk;
mod exceptions;
mod let_through;
pub mod lists;
mod modes;
pub mod pauses;
mod pins;
mod schedules;
pub mod sessions;
mod to_confirm;
mod undo;

pub use desk::{Desk, Done};
pub use exceptions::{BlockAsked, ExceptionAsked, block};
pub use let_through::{LetThroughAsked, let_through};
pub use modes::{ModeAsked, set_mode};
pub use pins::{ReleaseAsked, RollbackAsked, release, roll_back};
pub use schedules::ScheduleAsked;
pub use undo::{Undoing, undo, what_it_undoes};

use super::{
    AdminState,
    audit::{self, Audit, AuditError, Entry},
    auth::{By, Role, Who},
    problem::{Kind, Refusal},
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

/// What all changes go through.
pub struct Changes {
    pub audit: Arc<Audit>,
    one_at_a_time: Mutex<()>,
}

impl Changes {
    pub fn new(audit: Arc<Audit>) -> Self {
        Self { audit, one_at_a_time: Mutex::new(()) }
    }

    /// Between the look at what is there and the change of it nobody else changes it: to be held over both.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Writes down what is about to be done; returns the change's number.
pub fn note(state: &AdminState, entry: Entry) -> Result<u64, Refusal> {
    let policy = state.health.published.status.load().epoch;
    let written = state.changes.audit.write(Entry { policy, ..entry }, state.pipeline.now());
    written.map_err(|error| {
        if matches!(error, AuditError::Unwritable { .. }) {
            tracing::error!(%error, "nothing can be changed until it can be written");
        }
        Refusal::new(Kind::NotRecorded, error.to_string())
    })
}

/// Writes down that somebody was kept from something. Whether that can be written changes nothing.
pub fn note_refusal(state: &AdminState, who: &Who, what: &str) {
    let entry = Entry { outcome: audit::Outcome::Refused, ..Entry::new(who, "refused", what) };
    if let Err(refusal) = note(state, entry) {
        tracing::warn!(user = who.name, what, why = refusal.detail, "refused, and not written down");
    }
}

/// Writes down that somebody showed a token that isn't one of ours.
pub fn note_wrong_token(state: &AdminState, by: By, from: IpAddr) {
    tracing::warn!(%from, "a wrong token");
    let nobody = Who { name: String::new(), role: Role::ReadOnly, by, from: Some(from) };
    let entry = Entry { is_known: false, outcome: audit::Outcome::Refused, ..Entry::new(&nobody, "token", "bearer") };
    if let Err(refusal) = note(state, entry) {
        tracing::warn!(%from, why = refusal.detail, "a wrong token, and not written down");
    }
}

/// Calls what may wait for a disk.
pub async fn at_leisure<T: Send + 'static>(
    state: &AdminState,
    work: impl FnOnce(&AdminState) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let state = state.clone();
    let done = tokio::task::spawn_blocking(move || work(&state)).await;
    done.unwrap_or_else(|error| Err(Refusal::new(Kind::Fault, error.to_string())))
}
