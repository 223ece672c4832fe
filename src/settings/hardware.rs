//! Clients' hardware addresses, from the moment on that some group is told by them, or somebody may look at them.

use crate::{config::Config, neighbours::Neighbours};
use std::{net::IpAddr, sync::OnceLock};

/// The neighbours of this machine, once somebody wants to know them.
#[derive(Default)]
pub struct Hardware(OnceLock<Option<Neighbours>>);

impl Hardware {
    /// Begins to look at neighbours if a group of the configuration is told by them, or pages show them. It may wait for the
    /// kernel.
    pub fn begin_if_wanted(&self, config: &Config) {
        let decides = config.tells_clients_by_mac();
        if !decides && config.admin.is_none() {
            return;
        }
        let known = self.0.get_or_init(|| {
            let failed = |error: &std::io::Error| tracing::info!(%error, "the kernel's neighbour table can't be read");
            Neighbours::start().inspect_err(failed).ok()
        });
        if decides && known.is_none() {
            tracing::error!(
                "the kernel's neighbour table can't be read: groups and pauses by MAC address have no members"
            );
        }
    }

    /// The hardware address behind a client's address, if it is known. Never waits.
    pub fn mac(&self, client: IpAddr) -> Option<[u8; 6]> {
        self.0.get()?.as_ref()?.mac(client)
    }
}
