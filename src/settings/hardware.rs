//! Clients' hardware addresses, from the moment on that some group or pause is told by them, or somebody may look at them.

use crate::{config::Config, neighbours::Neighbours};
use std::{net::IpAddr, sync::OnceLock};

/// The neighbours of this machine, once somebody wants to know them.
#[derive(Default)]
pub struct Hardware(OnceLock<Option<Neighbours>>);

impl Hardware {
    /// Begins to look at neighbours if a group of the configuration is told by them, or pages show them and may pause them,
    /// or a client is paused by its MAC address (`is_paused`). It may wait for the kernel.
    pub fn begin_if_wanted(&self, config: &Config, is_paused: bool) {
        let decides = is_paused || config.tells_clients_by_mac();
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

    /// Whether neighbours are looked at.
    pub fn is_known(&self) -> bool {
        self.0.get().is_some_and(Option::is_some)
    }

    /// The hardware address behind a client's address, if it is known. Never waits.
    pub fn mac(&self, client: IpAddr) -> Option<[u8; 6]> {
        self.0.get()?.as_ref()?.mac(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Embedded, Group, World};

    #[test]
    fn neighbours_are_looked_at_where_somebody_may_want_them() {
        let world = World::of_process(Embedded { read: &|_| None, paths: &Vec::new }).unwrap();
        let with_pages = Config::default_for(&world);
        let without = Config { admin: None, ..with_pages.clone() };
        let mut by_mac = without.clone();
        by_mac.groups = vec![Group {
            name: "tv".to_owned(),
            clients: vec!["mac:02:00:00:00:00:01".parse().unwrap()],
            tags: Vec::new(),
            programs: Default::default(),
            services: Default::default(),
            schedule: None,
            place: String::new(),
        }];
        let cases =
            [(&with_pages, false, true), (&without, false, false), (&without, true, true), (&by_mac, false, true)];
        for (config, is_paused, expected) in cases {
            let hardware = Hardware::default();
            hardware.begin_if_wanted(config, is_paused);
            assert_eq!(hardware.is_known(), expected);
        }
    }
}
