//! Where the running server is asked: where it listens, whatever has become of the configuration on disk since it started.

use super::{Failure, warn, with_world};
use crate::{
    app::Whereabouts,
    config::{Admin, AdminTls, Config, Problems, ToAsk, to_ask},
};
use std::path::{Path, PathBuf};

/// Where the service and the image keep state. Who asks them has mostly another surrounding, which names another folder.
const STATE_OF_SERVICE: &str = "/var/lib/cleandns";

/// How the running server is asked.
pub struct Asked {
    /// With the addresses at which it listens.
    pub config: Config,
    /// As it is on disk, where that says otherwise: what the server told last may be of one that has crashed.
    pub or: Option<Config>,
}

/// Finds the running server. A configuration that can't be used is told, and is an error only if nobody knows where to ask.
pub fn find(file: Option<&Path>) -> Result<Asked, Failure> {
    let read = with_world(true, |world| Ok(to_ask(file, world)));
    let read = read.map_err(|problems| Failure::Configuration(problems.to_string()))?;
    let ToAsk { config, problems, names_addresses } = read;
    let mut folders = config.state_dir.iter().cloned().chain([PathBuf::from(STATE_OF_SERVICE)]);
    let told = folders.find_map(|folder| Whereabouts::told(&folder, &config.origin));
    if told.is_none() && !names_addresses && !problems.is_empty() {
        return Err(Failure::Configuration(Problems(problems).to_string()));
    }
    problems.iter().for_each(|problem| warn(&problem.to_string()));
    if !problems.is_empty() {
        warn("no server would start with the configuration as it is on disk; the one that runs is asked");
    }
    let Some(told) = told else { return Ok(Asked { config, or: None }) };
    let running = at(&config, told);
    let is_elsewhere = running.listen.do53 != config.listen.do53;
    Ok(Asked { config: running, or: (is_elsewhere && names_addresses).then_some(config) })
}

/// A configuration with the addresses that a server has told.
fn at(config: &Config, told: Whereabouts) -> Config {
    let mut config = config.clone();
    (config.listen.do53, config.listen.proxies) = (told.dns, told.proxies);
    let admin = config.admin.take();
    config.admin = told.http.map(|http| {
        let tls = http.tls.map(|(cert, key)| AdminTls { cert, key });
        let admin = admin.unwrap_or_else(|| Admin::plain(http.listen));
        Admin { listen: http.listen, tls, ..admin }
    });
    config
}
