//! Another configuration while the program runs: lists that both have stay as they are, new ones are read, and the policy
//! made of them is put in force, or nothing changes at all.

use super::{
    Control, Lists, Signal, StartError,
    start::{START_WAITS_FOR_DOWNLOADS, all_usable, open_store},
};
use crate::{
    config::{Config, ListSource, Location, overlay::OWN_PROGRAM},
    lists::catalog::{Findings, Occasion},
    policy::BuildError,
};
use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Instant};
use tokio::sync::oneshot;

/// A configuration that somebody wants in force.
pub struct Wish {
    config: Arc<Config>,
    alongside: Alongside,
    /// Told the number of the policy that is in force, or why nothing changed.
    answer: oneshot::Sender<Result<u64, ConfigureError>>,
}

/// What is put in force together with a policy, right before it.
pub type Alongside = Box<dyn FnOnce() + Send>;

/// Why another configuration is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    #[error(transparent)]
    Lists(#[from] StartError),
    #[error("the program is stopping")]
    Stopping,
}

impl From<BuildError> for ConfigureError {
    fn from(error: BuildError) -> Self {
        Self::Lists(error.into())
    }
}

impl Control {
    /// Wants a configuration in force, whole or not at all, and `alongside` done right before it is. What comes back tells
    /// when that is so: then it holds for the very next query. Nobody need wait for it. Wishes are seen to one by one.
    ///
    /// It takes as long as new lists take to be read, and new ones with a url at most
    /// `START_WAITS_FOR_DOWNLOADS` to be downloaded.
    pub fn configure(
        &self,
        config: Arc<Config>,
        alongside: Alongside,
    ) -> impl Future<Output = Result<u64, ConfigureError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let _ = self.0.send(Signal::Configured(Box::new(Wish { config, alongside, answer })));
        async { answered.await.unwrap_or(Err(ConfigureError::Stopping)) }
    }
}

impl Lists {
    /// Puts another configuration in force, or leaves everything as it is. `unfinished`: files that are being written.
    pub(super) fn configure(&mut self, wish: Wish, unfinished: HashSet<PathBuf>) {
        let Wish { config, alongside, answer } = wish;
        let outcome = self.change_to(config, alongside, unfinished);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a new configuration is not put in force; the one before stays");
        }
        // Who asked may have gone.
        let _ = answer.send(outcome);
    }

    fn change_to(
        &mut self,
        config: Arc<Config>,
        alongside: Alongside,
        unfinished: HashSet<PathBuf>,
    ) -> Result<u64, ConfigureError> {
        let started = Instant::now();
        let mut catalog = self.catalog.reconfigured(&config);
        if self.fetcher.is_some() {
            catalog.use_store(|| open_store(&config));
        }
        let databases = self.databases.reconfigured(&config);
        // Everything is prepared in the place of what is in force, of which nothing is lost.
        let catalog = std::mem::replace(&mut self.catalog, catalog);
        let databases = std::mem::replace(&mut self.databases, databases);
        let config = std::mem::replace(&mut self.config, config);
        let mut taken_in = Vec::new();
        let outcome = self
            .prepare(&catalog, unfinished, &mut taken_in)
            .and_then(|findings| Ok(self.publish(findings, started, alongside)?));
        match outcome {
            Ok(epoch) => {
                self.tell_of_expired();
                self.warn_of_unknown_services();
                self.warn_of_missing_databases();
                Ok(epoch)
            }
            Err(error) => {
                (self.catalog, self.databases, self.config) = (catalog, databases, config);
                self.catalog.forget_downloads(&taken_in);
                self.catalog.keep_what_is_held();
                Err(error)
            }
        }
    }

    /// Reads what is new. `before`: the catalog that is in force; `taken_in`: where downloads lie that came meanwhile.
    fn prepare(
        &mut self,
        before: &crate::lists::catalog::Catalog,
        unfinished: HashSet<PathBuf>,
        taken_in: &mut Vec<PathBuf>,
    ) -> Result<Findings, ConfigureError> {
        let started = Instant::now();
        let touched = made_here(&self.config);
        let occasion = Occasion { configured: true, touched, unfinished, ..Occasion::default() };
        let mut findings = self.refresh(&occasion, started);
        self.wait_for_writers(&mut findings, &occasion, started);
        while self.catalog.awaits_new_downloads(before) && started.elapsed() < START_WAITS_FOR_DOWNLOADS {
            if self.is_stopping() {
                return Err(ConfigureError::Stopping);
            }
            let Some(delivery) = self.next_delivery() else { continue };
            taken_in.push(delivery.order.place.clone());
            let occasion = Occasion { delivered: vec![delivery], ..Occasion::default() };
            let later = self.refresh(&occasion, Instant::now());
            findings.absorb(later);
        }
        self.catalog.tell_of_missing_downloads(&mut findings);
        all_usable(&self.catalog, None)?;
        let databases = self.databases.refresh(true);
        self.tell_of_databases(&databases.troubles);
        // Modes, groups and exceptions may be others, whatever the lists are.
        findings.others_changed = true;
        Ok(findings)
    }
}

/// The lists that are made by this program and may be others now, though they are called the same.
fn made_here(config: &Config) -> HashSet<PathBuf> {
    let own = config.programs.iter().filter(|program| program.name == OWN_PROGRAM).flat_map(|program| &program.lists);
    let path = |list: &ListSource| match &list.location {
        Location::File(path) => Some(path.clone()),
        Location::Folder(_) | Location::Embedded(_) | Location::Url(_) => None,
    };
    own.filter_map(path).collect()
}
