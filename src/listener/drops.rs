//! Packets that the kernel dropped because a socket's buffer was full.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

/// Where the kernel tells of UDP sockets, one a line.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// Packets lost so far by the sockets that are bound to these addresses' ports. The kernel counts them by socket; it would
/// also tell with each packet (SO_RXQ_OVFL), but not through a batch whose control buffers are used again.
pub fn packets_lost(addresses: &[SocketAddr]) -> u64 {
    let tables = TABLES.iter().filter_map(|path| fs::read_to_string(path).ok());
    tables.map(|text| lost(&text, addresses)).sum()
}

/// The same from a table's text.
fn lost(text: &str, addresses: &[SocketAddr]) -> u64 {
    let own: Vec<String> = addresses.iter().map(as_written).collect();
    let of_line = |line: &str| {
        // Number, local address and port in hexadecimal, …; drops come last.
        let local = line.split_whitespace().nth(1)?;
        let is_own = own.iter().any(|own| own == local);
        is_own.then(|| line.split_whitespace().next_back()?.parse::<u64>().ok())?
    };
    text.lines().skip(1).filter_map(of_line).sum()
}

/// An address as the kernel writes it: words of 32 bits in the machine's own order, in hexadecimal.
fn as_written(address: &SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.as_chunks::<4>().0.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word)));
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
             290: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19205 2 0000000000000000 17\n  \
             291: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19206 2 0000000000000000 5\n  \
             292: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19207 2 0000000000000000 99\n";
        assert_eq!(lost(text, &["127.0.0.1:5300".parse().unwrap()]), 22);
        assert_eq!(lost(text, &["127.0.0.2:5300".parse().unwrap()]), 0);
        assert_eq!(as_written(&"[::1]:53".parse().unwrap()), "00000000000000000000000001000000:0035");
        assert_eq!(lost("", &[]), 0);
    }

    #[test]
    fn this_kernel_has_such_a_table() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(fs::read_to_string(TABLES[0]).unwrap().contains(&format!(":{:04X} ", address.port())));
        assert_eq!(packets_lost(&[address]), 0);
    }
}
