//! Who is answered.

use ipnet::IpNet;
use std::net::IpAddr;

/// Networks whose clients are answered. A handful, so they are tried in turn.
#[derive(Clone, Debug)]
pub struct AccessList(Vec<IpNet>);

impl AccessList {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// `client` must be canonical: an IPv4-mapped address is its IPv4 address.
    pub fn allows(&self, client: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&client))
    }
}
