//! Connections to collectors, each call within a bound.

use socket2::{Domain, SockAddr, Socket, Type};
use std::{io, net::ToSocketAddrs, path::Path, time::Duration};

/// How long a collector may take to accept a connection, and then keep a call waiting without any progress. It is near.
const WAIT: Duration = Duration::from_secs(2);
/// Addresses of a host's name that are tried, one after the other.
const ADDRESSES_MAX: usize = 4;
/// To a collector's socket.
pub(super) fn connect_unix(path: &Path) -> io::Result<Socket> {
    let socket = new_socket(Domain::UNIX)?;
    // Waits for a place in the queue as long as a write would.
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// To a collector's address, the first of a name's that takes it.
pub(super) fn connect_tcp(place: &str) -> io::Result<Socket> {
    let mut failure = io::Error::other("the name has no address");
    for address in place.to_socket_addrs()?.take(ADDRESSES_MAX) {
        let socket = new_socket(Domain::for_address(address))?;
        match socket.connect_timeout(&address.into(), WAIT) {
            Ok(()) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn new_socket(family: Domain) -> io::Result<Socket> {
    let socket = Socket::new(family, Type::STREAM, None)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.set_write_timeout(Some(WAIT))?;
    Ok(socket)
}
