//! What a server would be made of, for commands that start none.

use super::{AppError, Outside, pipeline, resolving::Resolving};
use crate::{
    admin,
    config::Config,
    lists::Published,
    query::{LocalData, Pipeline},
    settings,
};
use std::sync::Arc;

/// The flow of queries for whoever asks without a server: it decides on questions, and nothing is resolved.
pub fn offline_pipeline(config: &Config, published: &Published) -> Result<Pipeline, AppError> {
    let outside = Outside::real();
    let resolver = Resolving::new(&outside, Arc::default(), None).resolver(config)?;
    let given = (resolver, (outside.clock, outside.uptime), outside.seed);
    pipeline(config, published, given, Arc::default()).map(|(pipeline, _)| pipeline)
}

/// The owner's own names, from the configuration and hosts files, and what in those files can't be used.
pub fn local_data(config: &Config) -> Result<(LocalData, Vec<String>), AppError> {
    settings::local_data(config).map_err(AppError::Configuration)
}

/// What is wrong with the files that say who may use the pages, and with the certificate.
pub fn check_admin(config: &Config) -> Vec<String> {
    let Some(admin) = &config.admin else { return Vec::new() };
    let users = admin::Users::read_for(admin).err();
    let tls = admin.tls.as_ref().and_then(|files| admin::Tls::read(files).err());
    let (users, tls) = (users.map(|error| error.to_string()), tls.map(|error| error.to_string()));
    users.into_iter().chain(tls).collect()
}

/// Checks what `check` can of a configuration's resolver without touching the network.
pub fn check_resolver(config: &Config) -> Result<(), AppError> {
    Resolving::new(&Outside::real(), Arc::default(), None).resolver(config).map(drop)
}
