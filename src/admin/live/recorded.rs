//! The database of queries, for whoever looks: opened for each look, and by few at once.

use super::Reports;
use crate::{
    query_log::sqlite::{ReadError, Reader},
    report::{Filter, Tally, Tops},
    settings::Settings,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::Semaphore;

/// Looks at once: each has a processor for itself for as long as it takes. The others wait.
const LOOKS_MAX: usize = 2;

/// Where queries are recorded, if they are, and what was counted of them.
#[derive(Clone)]
pub struct Recorded {
    /// Which database it is may change.
    settings: Arc<Settings>,
    looks: Arc<Semaphore>,
    pub reports: Reports,
}

/// Why nothing can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    #[error("nothing is recorded: [query_log] is off, or there is no state folder")]
    Nowhere,
    #[error("nothing is recorded yet")]
    NotYet,
    #[error("{0}")]
    Fault(String),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::None(_) => Self::NotYet,
            other => Self::Fault(other.to_string()),
        }
    }
}

impl Recorded {
    pub fn new(settings: Arc<Settings>) -> Self {
        let own = settings.clone();
        let count = move |hours| match &own.config().query_log.database {
            Some(path) => tops(path, hours).map_err(|error| error.to_string()),
            None => Err(Unread::Nowhere.to_string()),
        };
        Self { settings, looks: Arc::new(Semaphore::new(LOOKS_MAX)), reports: Reports::new(Arc::new(count)) }
    }

    fn database(&self) -> Option<PathBuf> {
        self.settings.config().query_log.database.clone()
    }

    /// Whether there is a database.
    pub fn is_somewhere(&self) -> bool {
        self.database().is_some()
    }

    /// Has somebody look into the database.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Unread> {
        let path = self.database().ok_or(Unread::Nowhere)?;
        let fault = |error: &dyn std::fmt::Display| Unread::Fault(error.to_string());
        let place = self.looks.clone().acquire_owned().await.map_err(|error| fault(&error))?;
        let looking = tokio::task::spawn_blocking(move || {
            let found = Reader::open(&path).and_then(|mut reader| look(&mut reader));
            drop(place);
            found
        });
        Ok(looking.await.map_err(|error| fault(&error))??)
    }
}

/// Counts the last hours.
fn tops(path: &Path, hours: u32) -> Result<Tops, ReadError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let mut tally = Tally::new(Filter::default());
    let from = now - i64::from(hours) * 3_600_000_000;
    let read = Reader::open(path).and_then(|mut reader| reader.for_each(from, now, |seen| tally.add(&seen)));
    match read {
        Ok(between) => Ok(tally.tops(between, now)),
        // Before the first query nothing is blocked.
        Err(ReadError::None(_)) => Ok(tally.tops((from, now), now)),
        Err(error) => Err(error),
    }
}
