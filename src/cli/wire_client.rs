//! One DNS question to one server, over UDP or TCP.

use crate::{
    app::{FOR_ITSELF, reachable},
    config::Config,
    dns::{Class, MessageWriter, Name, Rcode, RrType},
};
use ipnet::IpNet;
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// How long an answer is waited for: the server's own deadline and a little.
pub const WAIT: Duration = Duration::from_secs(5);

/// Where a question is sent.
pub struct Server {
    pub address: SocketAddr,
    /// From these networks it hears nobody without a header of the PROXY protocol.
    proxies: Vec<IpNet>,
    /// How long an answer of its is waited for.
    within: Duration,
}

/// A question to send.
pub struct Asking {
    pub name: Name,
    pub rr_type: RrType,
    pub dnssec: bool,
    pub cd: bool,
}

impl Server {
    /// The server by this configuration, at the first of its addresses.
    pub fn of(config: &Config, within: Duration) -> Option<Self> {
        let address = reachable(*config.listen.do53.first()?);
        Some(Self { address, proxies: config.listen.proxies.clone(), within })
    }

    /// The server by this configuration, at each of its addresses.
    pub fn all(config: &Config, within: Duration) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for address in config.listen.do53.iter().copied().map(reachable) {
            if all.iter().all(|server| server.address != address) {
                all.push(Self { address, proxies: config.listen.proxies.clone(), within });
            }
        }
        all
    }

    /// Why it gave no answer, behind its address.
    pub fn why_silent(&self, error: &io::Error) -> String {
        match error.kind() {
            // What the system calls it tells nobody that it was waited for.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{} within {} s", self.address, self.within.as_secs_f64())
            }
            _ => format!("{} ({error})", self.address),
        }
    }

    /// What stands before a question that comes from this address.
    fn header(&self, own: SocketAddr) -> &'static [u8] {
        let own = own.ip().to_canonical();
        if self.proxies.iter().any(|network| network.contains(&own)) { FOR_ITSELF } else { &[] }
    }
}

/// Asks, and returns the response's octets. Over UDP a truncated response is asked for again over TCP.
pub fn exchange(server: &Server, asking: &Asking, tcp: bool) -> io::Result<Vec<u8>> {
    // One question at a time from a port of the kernel's choosing, on this machine: the id need not be random.
    let id = std::process::id() as u16;
    let mut packet = Vec::new();
    let mut writer = MessageWriter::new(&mut packet, 512, id, [0x01, 0x20 | u8::from(asking.cd) << 4]);
    writer.question(&asking.name, asking.rr_type, Class::IN);
    let _ = writer.edns(1232, asking.dnssec, Rcode::NOERROR, None);
    writer.finish();
    if !tcp {
        let response = over_udp(server, &packet)?;
        if response.get(2).is_none_or(|flags| flags & 0x02 == 0) {
            return Ok(response);
        }
    }
    over_tcp(server, &packet)
}

fn over_udp(server: &Server, packet: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server.address)?;
    socket.set_read_timeout(Some(server.within))?;
    socket.send(&[server.header(socket.local_addr()?), packet].concat())?;
    let mut response = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut response)?;
        if length >= 12 && response[..2] == packet[..2] {
            response.truncate(length);
            return Ok(response);
        }
    }
}

fn over_tcp(server: &Server, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server.address, server.within)?;
    stream.set_read_timeout(Some(server.within))?;
    let header = server.header(stream.local_addr()?);
    stream.write_all(&[header, &(packet.len() as u16).to_be_bytes(), packet].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response)?;
    Ok(response)
}
