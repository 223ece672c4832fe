//! Clients' hardware addresses, from the moment on that some group is told by them.

use crate::{config::Config, neighbours::Neighbours};
use std::{net::IpAddr, sync::OnceLock};

/// The neighbours of this machine, once somebody wants to know them.
#[derive(Default)]
pub struct Hardware(OnceLock<Option<Neighbours>>);

impl Hardware {
    /// Begins to look at neighbours if a group of the configuration is told by them. It may wait for the kernel.
    pub fn begin_if_wanted(&self, config: &Config) {
        if !config.tells_clients_by_mac() {
            return;
        }
        self.0.get_or_init(|| {
            let failed = |error: &std::io::Error| {
                tracing::error!(%error, "the kernel's neighbour table can't be read: groups by MAC address have no members");
            };
            Neighbours::start().inspect_err(failed).ok()
        });
    }

    /// The hardware address behind a client's address, if it is known. Never waits.
    pub fn mac(&self, client: IpAddr) -> Option<[u8; 6]> {
        self.0.get()?.as_ref()?.mac(client)
    }
}
