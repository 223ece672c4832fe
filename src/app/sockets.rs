//! The sockets it serves on: bound as the configuration says, or passed by the service manager.

use super::AppError;
use crate::{
    config::{Config, open_to_the_internet},
    listener::{self, BindError, Heard, Held, Sockets, Start},
    systemd::Passed,
};
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// The option that names the address for HTTP.
const ADMIN: &str = "admin.listen";

/// The sockets for DNS, and the one for HTTP if it was passed. Passed ones for DNS stand in place of `listen.do53`.
pub(super) fn open(config: &Config, passed: Passed, start: Start) -> Result<(Sockets, Option<TcpListener>), AppError> {
    let workers = match config.listen.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    if let Some(address) = http_address(&passed)? {
        may_serve_http(config, address).map_err(AppError::Configuration)?;
    }
    let own_http = config.admin.as_ref().filter(|_| start == Start::TakeOver && passed.http.is_none());
    if let Some(admin) = own_http {
        // Before there is a socket for DNS to which questions come: were it to end here, they would be lost.
        listener::shares_http(ADMIN, admin.listen)?;
    }
    let Passed { udp, tcp, http } = passed;
    if udp.is_empty() && tcp.is_empty() {
        let proxies = listener::Proxies::new(config.listen.proxies.clone());
        let Heard { addresses, left_out } = heard(config);
        left_out.iter().for_each(|left_out| tracing::warn!("{left_out}"));
        return Ok((listener::bind(&addresses, workers, start, proxies.as_ref())?, http));
    }
    let at_fault = |error: listener::PassedError| AppError::Configuration(error.to_string());
    let sockets = listener::adopt(udp, tcp, workers).map_err(at_fault)?;
    // Of these addresses the configuration knew nothing when it was checked.
    stay_closed(config, &sockets.addresses).map_err(AppError::Configuration)?;
    tracing::info!(addresses = ?sockets.addresses, "sockets were passed: listen.do53 is not used");
    Ok((sockets, http))
}

/// Where DNS is going to be served, a port still open where any will do.
pub(super) fn addresses(config: &Config, passed: &Passed) -> Result<Vec<SocketAddr>, AppError> {
    if passed.is_empty() {
        return Ok(config.listen.do53.clone());
    }
    let addresses = passed.udp.iter().map(UdpSocket::local_addr).chain(passed.tcp.iter().map(TcpListener::local_addr));
    Ok(addresses.collect::<std::io::Result<Vec<_>>>().map_err(anyhow::Error::from)?)
}

/// Nobody becomes an open resolver by mistake, with these addresses.
pub(super) fn stay_closed(config: &Config, addresses: &[SocketAddr]) -> Result<(), String> {
    match open_to_the_internet(addresses, &config.access) {
        Some(open) if !config.open => Err(format!("access.allow: {}", open.told())),
        _ => Ok(()),
    }
}

/// Where HTTP is going to be served, if its socket was passed.
pub(super) fn http_address(passed: &Passed) -> Result<Option<SocketAddr>, AppError> {
    Ok(passed.http.as_ref().map(TcpListener::local_addr).transpose().map_err(anyhow::Error::from)?)
}

/// A socket for HTTP that was passed keeps to the rules that one of our own does.
pub(super) fn may_serve_http(config: &Config, address: SocketAddr) -> Result<(), String> {
    let wrong = match &config.admin {
        None => {
            "admin.listen is \"\", which switches HTTP off; take the socket out of its unit, or write an address there"
        }
        Some(admin) if admin.is_unguarded_at(address) => {
            "it can be reached from other machines, and anybody there could use it; set admin.token_file or admin.users_file"
        }
        Some(_) => return Ok(()),
    };
    Err(format!("a socket for HTTP on {address} was passed, and {wrong}"))
}

/// The configured addresses that are listened on, and those that are left out, since this machine has no IPv6.
pub fn heard(config: &Config) -> Heard {
    listener::heard("listen.do53", &config.listen.do53)
}

/// What there is to say of the configured addresses, in words that say what to do.
#[derive(Default)]
pub struct Obstacles {
    /// What would keep a server from them.
    pub in_the_way: Vec<BindError>,
    /// Those that a cleandns has already.
    pub own: Vec<BindError>,
    /// Those that a start leaves out.
    pub left_out: Vec<String>,
}

/// What would keep a server from the configured addresses, but for those in whose place sockets were passed.
pub fn obstacles(config: &Config, passed: &Passed) -> Obstacles {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    if passed.is_empty() {
        let heard = heard(config);
        found.extend(listener::obstacles("listen.do53", &heard.addresses, false));
        left_out = heard.left_out;
    }
    if let Some(admin) = config.admin.as_ref().filter(|_| passed.http.is_none()) {
        found.extend(listener::obstacles(ADMIN, &[admin.listen], true));
    }
    let (own, in_the_way) = found.into_iter().partition(|obstacle| obstacle.held == Some(Held::ByCleandns));
    Obstacles { in_the_way, own, left_out }
}

/// Why HTTP can't be taken over with DNS, if another server than the one that is to leave is seen to have its address.
pub fn http_of_another(config: &Config, passed: &Passed) -> Option<BindError> {
    let admin = config.admin.as_ref().filter(|_| passed.http.is_none())?;
    listener::http_of_another(ADMIN, admin.listen, &addresses(config, passed).ok()?)
}
