//! What goes by the configuration besides lists and clients: how answers are kept, how queries are recorded, who may come
//! in. Built at the start, and changed while the program runs.

use super::{
    AppError, FollowLog, RESOLVER_SHARE,
    resolving::{self, Resolving},
    whereabouts::Told,
};
use crate::{
    admin,
    config::{self, Config},
    dns::Name,
    query::{Keeping, Pipeline},
    query_log::{self, Privacy, QueryLog, Shown, Writing},
    resolve::{Resolver, Upstreams},
    telemetry::Telemetry,
    warm::Warm,
};
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// What goes by the configuration and by nothing else.
pub(super) struct Others {
    /// `None`: there is no HTTP.
    pub(super) door: Option<admin::Door>,
    pub(super) resolving: Arc<Resolving>,
    pub(super) resolver: Resolver,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) warm: Option<Arc<Warm>>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) query_log: Arc<QueryLog>,
    pub(super) seed: u64,
    pub(super) follow_log: FollowLog,
    /// Where this server is found; empty until it listens.
    pub(super) told: Arc<OnceLock<Told>>,
}

impl Others {
    /// Makes ready for the next configuration.
    pub(super) fn prepare(&self, running: &Config, next: &Config) -> Result<Box<dyn FnOnce() + Send>, String> {
        let asks_others = running.resolve != next.resolve;
        let is_another = asks_others
            || running.cache.bytes != next.cache.bytes
            || resolving::is_watched(running) != resolving::is_watched(next);
        let resolver = is_another.then(|| self.resolving.resolver(next)).transpose();
        let made = resolver.map_err(|error| error.to_string())?;
        let recording = self.query_log.prepare(&next.query_log, next.state_dir.as_deref());
        let recording = recording.map_err(|error| error.to_string())?;
        let door = match (&self.door, &running.admin, &next.admin) {
            (Some(door), Some(running), Some(admin)) if running != admin => {
                Some(door.prepare(running, admin, audit_file(next, admin))?)
            }
            _ => None,
        };
        let is_recorded_otherwise = running.query_log != next.query_log;
        let is_kept_otherwise = asks_others || running.cache != next.cache;
        if next.cache.save && !running.cache.save && self.warm.is_none() {
            tracing::warn!("{}", Warm::NOWHERE);
        }
        let (resolver, pipeline, warm) = (self.resolver.clone(), self.pipeline.clone(), self.warm.clone());
        let (telemetry, follow_log, next) = (self.telemetry.clone(), self.follow_log.clone(), next.clone());
        let (query_log, seed, told) = (self.query_log.clone(), self.seed, self.told.clone());
        Ok(Box::new(move || {
            door.into_iter().for_each(|door| door());
            told.get().into_iter().for_each(|told| told.follow(&next));
            telemetry.tell_clients(recording.privacy().clone());
            recording.put_in_force();
            if is_recorded_otherwise {
                tell_what_is_recorded(&next, &query_log);
            }
            if let Some(made) = made {
                resolver.become_like(&made);
            }
            if is_kept_otherwise {
                pipeline.finder().keep_as(keeping(&next, seed));
                warm.iter().for_each(|warm| warm.follow(&next));
            }
            if asks_others {
                // They may have other answers.
                pipeline.finder().flush(&Name::ROOT, true);
            }
            telemetry.log_queries(next.log.queries);
            follow_log(&next.log);
        }))
    }
}

/// How answers are kept.
pub(super) fn keeping(config: &Config, seed: u64) -> Keeping {
    let config::Cache { bytes, stale, prefetch, .. } = config.cache;
    Keeping { bytes: bytes - bytes / RESOLVER_SHARE, seed, stale, refresh: prefetch }
}

/// Where queries are kept, and the threads that write them. `shown`: where they go for those who look as they come.
pub(super) fn query_log(
    config: &Config,
    privacy: &Privacy,
    upstreams: Arc<Upstreams>,
    shown: Option<Shown>,
) -> Result<(Arc<QueryLog>, Writing), AppError> {
    let started = QueryLog::start(&config.query_log, privacy, config.state_dir.as_deref(), upstreams, shown);
    let (log, writing) = started.map_err(|error| AppError::Configuration(error.to_string()))?;
    tell_what_is_recorded(config, &log);
    Ok((log, writing))
}

fn tell_what_is_recorded(config: &Config, log: &QueryLog) {
    match &config.query_log.database {
        Some(path) => {
            let days = config.query_log.keep.as_secs() / 86_400;
            match query_log::check_database(path) {
                Ok(()) => tracing::info!(file = %path.display(), days, "questions are recorded"),
                Err(why) => tracing::warn!("questions are not recorded: {why}"),
            }
        }
        None if !log.counts().is_empty() => {
            tracing::info!("there is no database of questions: [query_log] is off, or there is no state folder");
        }
        None => tracing::info!("questions are not recorded: [query_log] is off, or there is no state folder"),
    }
}

/// Where it is written down who changes what, if there is a place for it.
pub(super) fn audit_file(config: &Config, admin: &config::Admin) -> Option<PathBuf> {
    let in_state = || Some(config.state_dir.as_ref()?.join(admin::AUDIT_FILE_NAME));
    admin.audit.clone().or_else(in_state)
}
