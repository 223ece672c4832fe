//! What a service manager gives and is told: sockets, readiness, signs of life (sd_listen_fds(3), sd_notify(3)).
//!
//! Where there is none, nothing is passed, and telling does nothing. It knows nothing of what is served.

mod passed;
mod watchdog;

pub use passed::{Passed, PassedError};
pub use watchdog::{Watchdog, watch_over};

use sd_notify::NotifyState;
use std::{env, time::Duration};

/// Whether somebody is told at all.
pub fn is_told() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// The start needs so much longer, from now on.
pub fn starting(longer: Duration) {
    tell(&[NotifyState::ExtendTimeoutUsec(longer.as_micros().try_into().unwrap_or(u32::MAX))]);
}

/// It serves, and so it stands. Also said at the end of a reload.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// So it stands now.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(&one_line(status))]);
}

/// A reload begins. The time tells the service manager that it is the reload it asked for.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// It leaves.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A sign of life.
fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        // It will draw its own conclusions; here nothing changes.
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// A line break would end the status, and begin something else.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
