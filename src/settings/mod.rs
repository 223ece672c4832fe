//! The configuration while the program runs: what is in force of it, and how another one comes in its place.
//!
//! ```text
//! what the files say → what lies on top of it → what a running program can take of it → terms, lists → in force, whole
//! ```
//!
//! `Settings` is what everybody reads; `Changing` puts another configuration in force, or leaves everything as it is;
//! `Files` keeps watch on the files.

mod changing;
mod files;
mod hardware;
mod local;
mod overlay;

pub use changing::{Applied, Changing, Fits, NotApplied, OnTop, Others, Parts};
pub use files::{Files, ReadAgain, Wanted};
pub use hardware::Hardware;
pub use local::local_data;
pub use overlay::{Before, OverlayFile, WriteError};

use crate::{
    config::Config,
    query::{AccessList, SpecialNames, Terms},
};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What is in force of the configuration, for everybody who reads it.
pub struct Settings(ArcSwap<Standing>);

/// How it stands with the configuration.
#[derive(Clone)]
pub struct Standing {
    /// What the program goes by.
    pub config: Arc<Config>,
    /// Options that are written otherwise, and wait for a restart.
    pub waiting: Vec<&'static str>,
    /// Why what the files say now is not in force; empty: it is.
    pub refused: Vec<String>,
}

impl Settings {
    /// Those of the start.
    pub fn new(config: Arc<Config>) -> Self {
        Self(ArcSwap::from_pointee(Standing { config, waiting: Vec::new(), refused: Vec::new() }))
    }

    /// What the program goes by.
    pub fn config(&self) -> Arc<Config> {
        self.0.load().config.clone()
    }

    pub fn standing(&self) -> Arc<Standing> {
        self.0.load_full()
    }

    /// `files_are_good`: it is what the files say now. Else what was refused of them is so still.
    fn put_in_force(&self, config: Arc<Config>, waiting: Vec<&'static str>, files_are_good: bool) {
        self.0.rcu(|standing| Standing {
            config: config.clone(),
            waiting: waiting.clone(),
            refused: if files_are_good { Vec::new() } else { standing.refused.clone() },
        });
    }

    /// What the files say is not in force, for these reasons.
    fn refuse(&self, refused: Vec<String>) {
        self.0.rcu(|standing| Standing { refused: refused.clone(), ..Standing::clone(standing) });
    }
}

/// What the flow of queries goes by besides the policy, and what in the owner's hosts files can't be used. It reads files.
pub fn terms(config: &Config) -> Result<(Terms, Vec<String>), String> {
    let (local, warnings) = local_data(config)?;
    let special = SpecialNames::new(config.resolve.forwards.iter().map(|forward| forward.zone));
    let access = AccessList::new(config.access.clone());
    Ok((Terms { access, local, special, tells_chains: config.log.queries }, warnings))
}
