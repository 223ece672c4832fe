//! What holds for all packets that are answered in one go.

use super::{Pipeline, Terms};
use crate::{
    cache::Seconds,
    policy::{Pause, Policy},
};
use arc_swap::Guard;
use std::sync::Arc;

/// One policy, one time.
pub struct Turn {
    pub(super) policy: Guard<Option<Arc<Policy>>>,
    pub(super) terms: Guard<Arc<Terms>>,
    pub(super) pauses: Guard<Arc<Vec<Pause>>>,
    /// Seconds since 1970 (UTC).
    pub(super) now: i64,
    /// The time by the cache's clock.
    pub(super) seconds: Seconds,
    /// `Finder::landings` as it began.
    pub(super) landings: u64,
}

impl Pipeline {
    /// What holds for packets that are answered now.
    pub fn turn(&self) -> Turn {
        Turn {
            policy: self.policy.load(),
            terms: self.terms.load(),
            pauses: self.pauses.current(),
            now: (self.surroundings.now)(),
            seconds: self.finder.seconds(),
            landings: self.finder.landings(),
        }
    }
}
