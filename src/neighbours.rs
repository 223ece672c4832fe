//! Which MAC address stands behind a client's address: the kernel's neighbour table (ARP and IPv6 neighbour
//! discovery), asked over netlink by a thread of its own. Clients beyond a router stand behind the router's address
//! and are not in it.

mod netlink;

use arc_swap::ArcSwap;
use netlink::Table;
use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

/// How often the table is read when nobody asks: an address that changed hands is believed no longer than this.
const READ_EVERY: Duration = Duration::from_secs(30);
/// How often it is read at most, however many clients are unknown.
const READ_AT_SOONEST: Duration = Duration::from_secs(1);

/// The neighbours of this machine, kept up to date until dropped.
pub struct Neighbours {
    shared: Arc<Shared>,
    thread: Thread,
    reading: Option<JoinHandle<()>>,
}

/// What the reading thread and those who ask have in common.
#[derive(Default)]
struct Shared {
    table: ArcSwap<Table>,
    /// Somebody asked for a client that is not in the table.
    is_wanted: AtomicBool,
    is_over: AtomicBool,
}

/// How often the table is read.
#[derive(Clone, Copy)]
struct Pace {
    every: Duration,
    at_soonest: Duration,
}

impl Neighbours {
    /// Reads the table once, so that the first client is known, and goes on reading it.
    pub fn start() -> io::Result<Self> {
        Self::start_with(netlink::read_table, Pace { every: READ_EVERY, at_soonest: READ_AT_SOONEST })
    }

    fn start_with(read: impl Fn() -> io::Result<Table> + Send + 'static, pace: Pace) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.table.store(Arc::new(read()?));
        let own = shared.clone();
        let reading = thread::Builder::new().name("neighbours".into()).spawn(move || own.keep_reading(&read, pace))?;
        Ok(Self { shared, thread: reading.thread().clone(), reading: Some(reading) })
    }

    /// The MAC address of the neighbour with this address. Never waits; if there is none yet, the table is read again
    /// soon.
    pub fn mac(&self, client: IpAddr) -> Option<[u8; 6]> {
        let client = client.to_canonical();
        let mac = self.shared.table.load().mac(client);
        // This machine itself is nobody's neighbour. The flag is looked at before it is set, so that workers who meet
        // many unknown clients don't fight over it.
        if mac.is_none()
            && !client.is_loopback()
            && !self.shared.is_wanted.load(Relaxed)
            && !self.shared.is_wanted.swap(true, Relaxed)
        {
            self.thread.unpark();
        }
        mac
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        self.thread.unpark();
        if let Some(reading) = self.reading.take() {
            // It reads for a moment at most, and a panic of its would have been seen.
            let _ = reading.join();
        }
    }
}

impl Shared {
    fn keep_reading(&self, read: &impl Fn() -> io::Result<Table>, pace: Pace) {
        let (mut last, mut failed) = (Instant::now(), false);
        loop {
            if self.is_over.load(Relaxed) {
                return;
            }
            let wait = if self.is_wanted.load(Relaxed) { pace.at_soonest } else { pace.every };
            match wait.checked_sub(last.elapsed()) {
                Some(rest) if !rest.is_zero() => {
                    thread::park_timeout(rest);
                    continue;
                }
                _ => {}
            }
            last = Instant::now();
            match read() {
                Ok(table) => {
                    self.table.store(Arc::new(table));
                    failed = false;
                }
                // What was known stays: an old neighbour is likelier to be right than none.
                Err(error) if !std::mem::replace(&mut failed, true) => {
                    tracing::warn!(%error, "the kernel's neighbour table can't be read: clients keep the MAC addresses they had");
                }
                Err(_) => {}
            }
            // Whoever asks from here on wants what comes after this.
            self.is_wanted.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU8;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const SOON: Pace = Pace { every: Duration::from_secs(600), at_soonest: Duration::from_millis(1) };

    /// A kernel whose table is empty before the readings in `failing`, fails in these, and then has the client. The
    /// counter is of readings.
    fn neighbours(failing: std::ops::Range<u8>, pace: Pace) -> (Neighbours, Arc<AtomicU8>) {
        let reads = Arc::new(AtomicU8::new(0));
        let counted = reads.clone();
        let read = move || {
            let read = counted.fetch_add(1, Relaxed);
            let is_there = read >= failing.start;
            match failing.contains(&read) {
                true => Err(io::ErrorKind::PermissionDenied.into()),
                false => Ok(if is_there { Table::of(CLIENT, [2, 0, 0, 0, 0, 7]) } else { Table::default() }),
            }
        };
        (Neighbours::start_with(read, pace).unwrap(), reads)
    }

    #[test]
    fn an_unknown_client_has_the_table_read_again() {
        let (neighbours, reads) = neighbours(2..4, SOON);
        let deadline = Instant::now() + Duration::from_secs(30);
        while neighbours.mac(CLIENT).is_none() {
            assert!(Instant::now() < deadline, "never found, after {reads:?}");
            thread::yield_now();
        }
        assert_eq!(neighbours.mac("::ffff:192.0.2.7".parse().unwrap()), Some([2, 0, 0, 0, 0, 7]));
        assert!(reads.load(Relaxed) >= 5);
    }

    #[test]
    fn not_sooner_than_it_may_and_not_for_this_machine() {
        let (neighbours, reads) = neighbours(0..0, Pace { every: Duration::from_secs(600), at_soonest: SOON.every });
        for client in ["192.0.2.9", "127.0.0.1", "::1"] {
            assert_eq!(neighbours.mac(client.parse().unwrap()), None);
        }
        assert_eq!(neighbours.mac(CLIENT), Some([2, 0, 0, 0, 0, 7]));
        let shared = neighbours.shared.clone();
        assert!(shared.is_wanted.swap(false, Relaxed));
        neighbours.mac("127.0.0.1".parse().unwrap());
        assert!(!shared.is_wanted.load(Relaxed));
        drop(neighbours);
        assert_eq!((Arc::strong_count(&shared), reads.load(Relaxed)), (1, 1), "the thread has gone");
    }

    #[test]
    fn a_table_that_cannot_be_read_at_first_is_an_error() {
        let failing = || Err::<Table, _>(io::ErrorKind::PermissionDenied.into());
        assert!(Neighbours::start_with(failing, SOON).is_err());
    }

    #[test]
    fn this_machines_own_table_can_be_read() {
        let neighbours = Neighbours::start().unwrap();
        assert_eq!(neighbours.mac("127.0.0.1".parse().unwrap()), None);
    }
}
