//! One DNS question to one server, over UDP or TCP.

use crate::dns::{Class, MessageWriter, Name, Rcode, RrType};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// How long an answer is waited for: the server's own deadline and a little.
const WAIT: Duration = Duration::from_secs(5);

/// A question to send.
pub struct Asking {
    pub name: Name,
    pub rr_type: RrType,
    pub dnssec: bool,
    pub cd: bool,
}

/// The address at which a listener is reached from this machine: a wildcard stands for loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Asks, and returns the response's octets. Over UDP a truncated response is asked for again over TCP.
pub fn exchange(server: SocketAddr, asking: &Asking, tcp: bool) -> io::Result<Vec<u8>> {
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

fn over_udp(server: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(WAIT))?;
    socket.send(packet)?;
    let mut response = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut response)?;
        if length >= 12 && response[..2] == packet[..2] {
            response.truncate(length);
            return Ok(response);
        }
    }
}

fn over_tcp(server: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.write_all(&[&(packet.len() as u16).to_be_bytes(), packet].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response)?;
    Ok(response)
}
