//! How often trouble that lasts is told.

use std::time::{Duration, Instant};

const TELL_EVERY: Duration = Duration::from_secs(60);

/// When something was told the last time.
#[derive(Default)]
pub(super) struct Seldom(Option<Instant>);

impl Seldom {
    /// Whether it may be told again, which is then noted.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}
