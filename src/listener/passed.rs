//! Sockets that a service manager bound and passed: several workers share one, and it outlives this process.
//!
//! All handles of a socket have its settings in common, those of the service manager and of the next process too. So a
//! worker that leaves must not connect it elsewhere, nor let it stay without waiting; what comes meanwhile waits in it for
//! the next process.

use super::{
    Sockets,
    bind::{Start, widen},
};
use socket2::SockRef;
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

/// Why passed sockets can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    #[error(
        "the sockets that were passed have {0} for {1} alone, and DNS needs UDP and TCP; write both ListenDatagram={0} and \
         ListenStream={0} into the socket unit"
    )]
    Half(SocketAddr, &'static str),
    #[error("a socket that was passed can't be used: {0}")]
    Io(#[from] io::Error),
}

/// Takes sockets of others for so many workers: each socket gets its share of them, and at least one.
pub fn adopt(udp: Vec<UdpSocket>, tcp: Vec<TcpListener>, workers: usize) -> Result<Sockets, PassedError> {
    let mut by_address: BTreeMap<SocketAddr, Vec<UdpSocket>> = BTreeMap::new();
    for socket in udp {
        // Whoever had it before may have left it so.
        socket.set_nonblocking(false)?;
        widen(&SockRef::from(&socket));
        by_address.entry(socket.local_addr()?).or_default().push(socket);
    }
    let mut addresses = Vec::new();
    for listener in &tcp {
        listener.set_nonblocking(true)?;
        addresses.push(listener.local_addr()?);
    }
    if let Some(address) = by_address.keys().find(|address| !addresses.contains(address)) {
        return Err(PassedError::Half(*address, "UDP"));
    }
    if let Some(address) = addresses.iter().find(|address| !by_address.contains_key(address)) {
        return Err(PassedError::Half(*address, "TCP"));
    }
    let mut handles = Vec::new();
    for sockets in by_address.values() {
        for worker in 0..workers.max(sockets.len()) {
            handles.push(sockets[worker % sockets.len()].try_clone()?);
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Sockets { udp: handles, tcp, addresses, passed: true, start: Start::Alone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, TcpListener) {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                return (udp, tcp);
            }
        }
    }

    #[test]
    fn workers_share_what_was_passed() {
        let ((udp, tcp), (other_udp, other_tcp)) = (pair(), pair());
        udp.set_nonblocking(true).unwrap();
        let wanted = [udp.local_addr().unwrap(), other_udp.local_addr().unwrap()];
        let sockets = adopt(vec![udp, other_udp], vec![tcp, other_tcp], 3).unwrap();
        assert_eq!(sockets.udp.len(), 6);
        assert!(wanted.iter().all(|address| sockets.addresses.contains(address)));
        // A worker waits: a socket that never waits would keep it busy.
        let before = std::time::Instant::now();
        let wait = std::time::Duration::from_millis(20);
        sockets.udp[0].set_read_timeout(Some(wait)).unwrap();
        assert!(sockets.udp[0].recv(&mut [0; 16]).is_err());
        assert!(before.elapsed() >= wait);
    }

    #[test]
    fn one_protocol_alone_is_half_a_server() {
        let (udp, tcp) = pair();
        let address = udp.local_addr().unwrap();
        let error = adopt(vec![udp], vec![], 1).err().unwrap().to_string();
        assert!(error.contains(&format!("{address} for UDP alone")) && error.contains("ListenStream="), "{error}");
        let error = adopt(vec![], vec![tcp], 1).err().unwrap().to_string();
        assert!(error.contains("for TCP alone"), "{error}");
    }
}
