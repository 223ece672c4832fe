//! Numbers for those who are asked. A number keeps its meaning as long as the program runs, whatever becomes of the
//! configuration, so that what was recorded stays true.

use crate::dns::Name;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Upstreams told apart; the number that is left means that it isn't told.
const UPSTREAMS_MAX: usize = u8::MAX as usize - 1;

/// What the numbers that `Resolve::upstream` gives mean: `recursion`, then `forward` and a zone.
pub struct Upstreams(ArcSwap<Vec<Arc<str>>>);

impl Default for Upstreams {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(vec!["recursion".into()]))
    }
}

impl Upstreams {
    /// What a number means.
    pub fn name(&self, number: u8) -> Option<Arc<str>> {
        self.0.load().get(usize::from(number)).cloned()
    }

    /// The number of the servers that a zone is forwarded to.
    pub(super) fn forward(&self, zone: &Name) -> u8 {
        let name = format!("forward {zone}");
        let position = |names: &[Arc<str>]| names.iter().position(|known| **known == *name);
        self.0.rcu(|names| {
            let mut names = Vec::clone(names);
            if position(&names).is_none() && names.len() < UPSTREAMS_MAX {
                names.push(name.as_str().into());
            }
            names
        });
        position(&self.0.load()).unwrap_or(UPSTREAMS_MAX) as u8
    }
}
