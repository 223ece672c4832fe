//! The database of queries, for whoever looks: opened for each look, and by few at once.

use super::reports::{Reports, Unread, Wanted};
use crate::{
    query_log::sqlite::{self, ReadError, Reader},
    report::{Filter, Tally, Tops},
    settings::Settings,
};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Semaphore;

/// Looks at once: each has a processor for itself for as long as it takes. The others wait.
const LOOKS_MAX: usize = 2;
/// How long what was blocked most is shown.
const TOPS_FRESH_FOR: Duration = Duration::from_secs(60);
/// How long other counts are shown at least, if they were quickly made: a person who looks again sees what is new.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Where queries are recorded, if they are, and what was counted of them.
#[derive(Clone)]
pub struct Recorded {
    /// Which database it is may change.
    settings: Arc<Settings>,
    looks: Arc<Semaphore>,
    reports: Reports,
    /// The sinks that lose what comes to them.
    losing: Losing,
}

pub type Losing = Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>;

impl Recorded {
    pub fn new(settings: Arc<Settings>, losing: Losing) -> Self {
        Self { settings, looks: Arc::new(Semaphore::new(LOOKS_MAX)), reports: Reports::default(), losing }
    }

    fn database(&self) -> Option<PathBuf> {
        self.settings.config().query_log.database.clone()
    }

    /// Whether there is a database.
    pub fn is_somewhere(&self) -> bool {
        self.database().is_some()
    }

    /// What was blocked most in the last so many hours. `None`: it is being counted.
    pub async fn tops(&self, hours: u32, within: Duration) -> Result<Option<Arc<Tops>>, Unread> {
        let wanted = Wanted { what: format!("tops {hours}"), fresh_for: TOPS_FRESH_FOR, within };
        let is_lost = (self.losing)().contains(&sqlite::SINK);
        self.count(wanted, move |reader| tops(reader, hours, is_lost)).await
    }

    /// What is counted over all that is recorded, if it wasn't counted just now; `what` tells it from other counts. `None`:
    /// it is being counted, and can't be had within that time.
    pub async fn counted<T: Send + Sync + 'static>(
        &self,
        what: String,
        within: Duration,
        count: impl FnOnce(&mut Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Unread> {
        let wanted = Wanted { what, fresh_for: FRESH_FOR, within };
        self.count(wanted, move |reader| count(&mut reader?)).await
    }

    async fn count<T: Send + Sync + 'static>(
        &self,
        wanted: Wanted,
        count: impl FnOnce(Result<Reader, ReadError>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Unread> {
        let path = self.database().ok_or(Unread::Nowhere)?;
        // Another database has other counts.
        let wanted = Wanted { what: format!("{} of {}", wanted.what, path.display()), ..wanted };
        self.reports.of(&wanted, move || Ok(count(Reader::open(&path))?)).await
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

/// Counts the last hours. `is_lost`: where there is no database, that isn't because nobody asked anything yet.
fn tops(reader: Result<Reader, ReadError>, hours: u32, is_lost: bool) -> Result<Tops, ReadError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let mut tally = Tally::new(Filter::default());
    let from = now - i64::from(hours) * 3_600_000_000;
    let read = reader.and_then(|mut reader| reader.for_each(from, now, |seen| tally.add(&seen)));
    match read {
        Ok(between) => Ok(tally.tops(between, now)),
        // Before the first query nothing is blocked.
        Err(ReadError::None(_)) if !is_lost => Ok(tally.tops((from, now), now)),
        Err(error) => Err(error),
    }
}
