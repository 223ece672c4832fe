//! Sockets that were bound before this process began.

use listenfd::ListenFd;
use std::{
    env,
    net::{TcpListener, UdpSocket},
};

/// Names (`FileDescriptorName=`) of the socket for HTTP; the second is what systemd says without one.
const HTTP_NAMES: [&str; 2] = ["admin", "cleandns-admin.socket"];

/// What was passed.
#[derive(Default, Debug)]
pub struct Passed {
    /// For DNS.
    pub udp: Vec<UdpSocket>,
    pub tcp: Vec<TcpListener>,
    pub http: Option<TcpListener>,
}

/// Why something that was passed can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    #[error("socket {0} ({1}) that was passed is neither UDP nor TCP; correct its socket unit")]
    Kind(usize, String),
    #[error("socket {0} ({1}) was passed for HTTP, which takes one TCP socket; correct its socket unit")]
    Http(usize, String),
}

impl Passed {
    /// What the service manager passed to this process, and not to its parent. To be called once, before there is any
    /// other thread.
    pub fn take() -> Result<Self, PassedError> {
        // Without a process id they may be meant for anybody.
        let is_own = env::var("LISTEN_PID").is_ok_and(|id| id.parse() == Ok(std::process::id()));
        if !is_own {
            return Ok(Self::default());
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let names = names.split(':').chain(std::iter::repeat("unknown")).take(sockets.len());
        let mut passed = Self::default();
        for (index, name) in names.enumerate() {
            // Each fails for a socket of another kind, and leaves it.
            if let Ok(Some(socket)) = sockets.take_udp_socket(index) {
                passed.put(index, name, Socket::Udp(socket))?;
            } else if let Ok(Some(socket)) = sockets.take_tcp_listener(index) {
                passed.put(index, name, Socket::Tcp(socket))?;
            } else {
                return Err(PassedError::Kind(index, name.to_owned()));
            }
        }
        Ok(passed)
    }

    /// True if there is none for DNS.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }

    /// Puts a socket where its name belongs.
    fn put(&mut self, index: usize, name: &str, socket: Socket) -> Result<(), PassedError> {
        match (socket, HTTP_NAMES.contains(&name)) {
            (Socket::Udp(socket), false) => self.udp.push(socket),
            (Socket::Tcp(socket), false) => self.tcp.push(socket),
            (Socket::Tcp(socket), true) if self.http.is_none() => self.http = Some(socket),
            _ => return Err(PassedError::Http(index, name.to_owned())),
        }
        Ok(())
    }
}

/// A socket as what it is.
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_go_where_their_names_say() {
        let udp = || Socket::Udp(UdpSocket::bind("127.0.0.1:0").unwrap());
        let tcp = || Socket::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        let mut passed = Passed::default();
        for (index, (name, socket)) in
            [("dns", udp()), ("cleandns.socket", tcp()), ("admin", tcp()), ("unknown", udp())].into_iter().enumerate()
        {
            passed.put(index, name, socket).unwrap();
        }
        assert_eq!((passed.udp.len(), passed.tcp.len(), passed.http.is_some()), (2, 1, true));
        for socket in [udp(), tcp()] {
            let error = passed.put(4, "cleandns-admin.socket", socket).unwrap_err().to_string();
            assert!(error.contains("socket 4 (cleandns-admin.socket)"), "{error}");
        }
    }
}
