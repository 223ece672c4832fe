//! Puts another configuration in force while the program runs, whole or not at all.

use super::{Hardware, Settings, terms};
use crate::{
    config::{Config, Following},
    lists::{ConfigureError, Control},
    query::Pipeline,
};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Makes of what the files say what the owner wants, or tells why it can't be done: what changes that were not written
/// into a file lie on top.
pub type OnTop = Arc<dyn Fn(Config) -> Result<Config, String> + Send + Sync>;

/// Tells why a configuration can't hold in this process, with the sockets it has and the files it may read.
pub type Fits = Arc<dyn Fn(&Config) -> Result<(), String> + Send + Sync>;

/// Makes ready whatever else goes by the configuration, from the running one and the next, or tells why it can't be; what
/// comes back is done when the next one is put in force.
pub type Others = Arc<dyn Fn(&Config, &Config) -> Result<Box<dyn FnOnce() + Send>, String> + Send + Sync>;

/// Who goes by the configuration.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub lists: Control,
    pub pipeline: Arc<Pipeline>,
    pub hardware: Arc<Hardware>,
    pub on_top: OnTop,
    pub fits: Fits,
    pub others: Others,
}

/// Puts configurations in force, one after the other.
pub struct Changing {
    parts: Parts,
    /// What the files say. Held while a configuration is put in force.
    files: Mutex<Config>,
}

/// A configuration is in force.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number of the policy made of it.
    pub epoch: u64,
    /// Options that are written otherwise, and wait for a restart.
    pub waiting: Vec<&'static str>,
}

/// Why a configuration is not in force, and the one before is.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// What it names, or what lies on top of it, is at fault.
    #[error("{0}")]
    Configuration(String),
    #[error(transparent)]
    Lists(#[from] ConfigureError),
}

impl Changing {
    /// `files`: what the files said at the start, without what lies on top.
    pub fn new(parts: Parts, files: Config) -> Self {
        Self { parts, files: Mutex::new(files) }
    }

    /// Goes by what the files say now. It comes back once that holds for the very next query. Who doesn't want to wait so
    /// long may give up waiting: what was begun goes on.
    pub async fn files_say(&self, config: Config) -> Result<Applied, NotApplied> {
        let mut files = self.files.lock().await;
        let applied = self.apply(config.clone(), true).await?;
        *files = config;
        Ok(applied)
    }

    /// The same when what lies on top of the files has changed.
    pub async fn on_top_changed(&self) -> Result<Applied, NotApplied> {
        let files = self.files.lock().await;
        self.apply(files.clone(), false).await
    }

    /// What the files say, without what lies on top.
    pub async fn files(&self) -> Config {
        self.files.lock().await.clone()
    }

    /// `are_new`: the files were read just now.
    async fn apply(&self, files: Config, are_new: bool) -> Result<Applied, NotApplied> {
        let Parts { settings, lists, pipeline, hardware, on_top, fits, others } = &self.parts;
        // It may write lists.
        let on_top = on_top.clone();
        let laying = tokio::task::spawn_blocking(move || on_top(files)).await;
        let whole = laying.map_err(|error| NotApplied::Configuration(error.to_string()))?;
        let whole = whole.map_err(NotApplied::Configuration)?;
        let running = settings.config();
        let Following { config, waiting } = whole.following(&running);
        fits(&config).map_err(NotApplied::Configuration)?;
        let config = Arc::new(config);
        let (own, hardware, others) = (config.clone(), hardware.clone(), others.clone());
        let is_paused = pipeline.pauses().need_mac(pipeline.now());
        let preparing = tokio::task::spawn_blocking(move || {
            hardware.begin_if_wanted(&own, is_paused);
            Ok((terms(&own)?, others(&running, &own)?))
        });
        let prepared = preparing.await.map_err(|error| NotApplied::Configuration(error.to_string()))?;
        let ((terms, warnings), others) = prepared.map_err(NotApplied::Configuration)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let alongside = {
            let (settings, pipeline) = (settings.clone(), pipeline.clone());
            let (config, waiting) = (config.clone(), waiting.clone());
            Box::new(move || {
                others();
                pipeline.put_in_force(Arc::new(terms));
                settings.put_in_force(config, waiting, are_new);
            })
        };
        let epoch = lists.configure(config, alongside).await?;
        if !waiting.is_empty() {
            let options = waiting.join(", ");
            tracing::warn!(options, "these options are written otherwise now, and wait for a restart");
        }
        Ok(Applied { epoch, waiting })
    }
}
