//! Packets that the kernel dropped because a socket's buffer was full.

use super::Sockets;
use std::{fs, os::fd::AsRawFd};

/// Where the kernel tells of UDP sockets, one a line.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// Counts what sockets lose. The kernel tells by socket; it would also tell with each packet (SO_RXQ_OVFL), but not
/// through a batch whose control buffers are used again.
pub struct Drops {
    /// What the kernel knows the sockets by. Other sockets may have the same address.
    inodes: Vec<String>,
}

impl Drops {
    /// Of the UDP sockets among these.
    pub fn of(sockets: &Sockets) -> Self {
        let inode = |socket: &std::net::UdpSocket| {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        };
        Self { inodes: sockets.udp.iter().filter_map(inode).collect() }
    }

    /// Packets lost so far.
    pub fn count(&self) -> u64 {
        let tables = TABLES.iter().filter_map(|path| fs::read_to_string(path).ok());
        tables.map(|text| self.count_in(&text)).sum()
    }

    /// The same from a table's text.
    fn count_in(&self, text: &str) -> u64 {
        let of_line = |line: &str| {
            // Of the columns, the tenth is the socket's inode, and the last what it lost.
            let mut columns = line.split_whitespace();
            let inode = columns.nth(9)?;
            let is_own = self.inodes.iter().any(|own| own == inode);
            is_own.then(|| columns.next_back()?.parse::<u64>().ok())?
        };
        text.lines().skip(1).filter_map(of_line).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::{Start, bind};

    #[test]
    fn the_kernels_table_is_read() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
             290: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19205 2 0000000000000000 17\n  \
             291: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19206 2 0000000000000000 5\n  \
             292: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19207 2 0000000000000000 99\n";
        let drops = |inodes: &[&str]| Drops { inodes: inodes.iter().map(|&inode| inode.to_owned()).collect() };
        assert_eq!(drops(&["19205", "19206"]).count_in(text), 22);
        assert_eq!(drops(&["1920"]).count_in(text), 0);
        assert_eq!(drops(&["19205"]).count_in(""), 0);
    }

    /// What is sent to a socket that nobody reads is lost once its buffer is full, and counted for that socket alone.
    #[test]
    fn this_kernel_counts_what_a_socket_loses() {
        let bind = || bind(&["127.0.0.1:0".parse().unwrap()], 1, Start::Alone, None).unwrap();
        let (flooded, quiet) = (bind(), bind());
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (lost, none) = (Drops::of(&flooded), Drops::of(&quiet));
        let packet = [0; 4096];
        for _ in 0..100_000 {
            if lost.count() > 0 {
                break;
            }
            (0..100).for_each(|_| drop(sender.send_to(&packet, flooded.addresses[0])));
        }
        assert!(lost.count() > 0);
        assert_eq!(none.count(), 0);
    }
}
