//! Whether the questions of a device come here: a name that nobody has asked before, `t-<word>.check.cleandns.home.arpa`,
//! is asked for there, and arrives here or not. It is answered with an address of this server.

use crate::dns::{Name, RrType};
use arc_swap::ArcSwap;
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

/// Below it are the names to be asked for.
pub const CHECK_ZONE: &str = "check.cleandns.home.arpa";
/// By which this machine finds out whether the server on it answers: such questions come all the time, and are nobody's.
pub const HEALTH_NAME: &str = "health.check.cleandns.home.arpa";
/// What a name to be asked for begins with.
pub const CHECK_PREFIX: &str = "t-";
/// Checks known at once: that many look at the page where devices are checked. The oldest goes.
const CHECKS_MAX: usize = 64;
/// How long one is known.
const CHECK_SECONDS: i64 = 600;
/// Addresses told of that a name was asked for from: a device's own, a router's, one of each family.
const SENDERS_MAX: usize = 4;

/// Names that are expected to be asked for, the oldest first. Whoever answers reads them without a lock, and notes without
/// one that a name came: strangers can ask for such names as often as they like.
#[derive(Default)]
pub struct Checks(ArcSwap<Vec<Arc<Expected>>>);

/// One of them.
struct Expected {
    word: String,
    /// Where whoever asks for it reaches the pages; `None`: the address that they asked for it at.
    address: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    begun: i64,
    senders: [Sender; SENDERS_MAX],
}

/// A place for the address of one who asked. It is filled once.
#[derive(Default)]
struct Sender {
    state: AtomicU8,
    /// The address as one of IPv6: the first half, and the second.
    halves: [AtomicU64; 2],
}

/// Nobody is there.
const FREE: u8 = 0;
/// Somebody is being noted.
const TAKEN: u8 = 1;
/// The address is there, and stays.
const FILLED: u8 = 2;

/// What became of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Seconds since 1970 (UTC).
    pub begun: i64,
    /// Who asked for it.
    pub from: Vec<IpAddr>,
}

impl Checks {
    /// Expects a name to be asked for from now on.
    pub fn begin(&self, word: &str, address: Option<IpAddr>, now: i64) {
        let senders = Default::default();
        let new = Arc::new(Expected { word: word.to_owned(), address, begun: now, senders });
        self.0.rcu(|all| {
            let known = all.iter().filter(|check| check.is_known(now)).cloned();
            let mut all: Vec<_> = known.chain([new.clone()]).collect();
            all.drain(..all.len().saturating_sub(CHECKS_MAX));
            all
        });
    }

    /// What became of it; `None`: it isn't known, or no longer.
    pub fn find(&self, word: &str, now: i64) -> Option<Check> {
        let all = self.0.load();
        let check = all.iter().find(|check| check.is(word, now))?;
        let mut from = Vec::new();
        for address in check.senders.iter().filter_map(Sender::address) {
            // Two who noted the same at the same time have a place each.
            if !from.contains(&address) {
                from.push(address);
            }
        }
        Some(Check { begun: check.begun, from })
    }

    /// Notes that a name was asked for, by `client` at the address `asked`, and says what the address there is. Waits for
    /// nobody.
    pub(super) fn arrive(&self, name: &Name, client: IpAddr, asked: Option<IpAddr>, now: i64) -> Option<IpAddr> {
        let label = name.labels().next().and_then(|label| std::str::from_utf8(label).ok());
        let Some(word) = label.and_then(|label| label.strip_prefix(CHECK_PREFIX)) else { return asked };
        let all = self.0.load();
        let Some(check) = all.iter().find(|check| check.is(word, now)) else { return asked };
        // More than there are places for are forgotten.
        let _is_noted = check.senders.iter().any(|sender| sender.takes(client));
        check.address.or(asked)
    }
}

impl Expected {
    fn is_known(&self, now: i64) -> bool {
        now - self.begun < CHECK_SECONDS
    }

    fn is(&self, word: &str, now: i64) -> bool {
        self.word == word && self.is_known(now)
    }
}

impl Sender {
    /// Notes this address in this place, if it is free; true if it stands here now.
    fn takes(&self, client: IpAddr) -> bool {
        let is_free = self.state.load(Relaxed) == FREE;
        if !is_free || self.state.compare_exchange(FREE, TAKEN, Relaxed, Relaxed).is_err() {
            return self.address() == Some(client);
        }
        let bits = match client {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
        .to_bits();
        self.halves[0].store((bits >> 64) as u64, Relaxed);
        self.halves[1].store(bits as u64, Relaxed);
        self.state.store(FILLED, Release);
        true
    }

    /// Who is noted here, if somebody is by now.
    fn address(&self) -> Option<IpAddr> {
        if self.state.load(Acquire) != FILLED {
            return None;
        }
        let [first, second] = [0, 1].map(|half: usize| u128::from(self.halves[half].load(Relaxed)));
        Some(IpAddr::V6(Ipv6Addr::from_bits(first << 64 | second)).to_canonical())
    }
}

/// Whether a question is this machine's own, which is to be recorded nowhere: for that one name, and from here.
pub(super) fn is_probe(name: &Name, client: IpAddr, asked: Option<IpAddr>) -> bool {
    const WIRE: &[u8] = b"\x06health\x05check\x08cleandns\x04home\x04arpa\x00";
    name.as_wire() == WIRE && (client.is_loopback() || asked == Some(client))
}

/// An address as a record's data, if that is of the type.
pub(super) fn address_data(address: IpAddr, rr_type: RrType) -> Option<Vec<u8>> {
    match (address, rr_type) {
        (IpAddr::V4(address), RrType::A) => Some(address.octets().to_vec()),
        (IpAddr::V6(address), RrType::AAAA) => Some(address.octets().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_asks_without_a_trace() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let [own, other] = ["192.0.2.53", "192.0.2.7"].map(ip);
        for (name, client, asked, expected) in [
            (HEALTH_NAME, ip("127.0.0.1"), None, true),
            (HEALTH_NAME, ip("::1"), Some(own), true),
            (HEALTH_NAME, own, Some(own), true),
            (HEALTH_NAME, other, Some(own), false),
            (HEALTH_NAME, other, None, false),
            (CHECK_ZONE, own, Some(own), false),
            ("x.health.check.cleandns.home.arpa", own, Some(own), false),
            ("localhost", ip("127.0.0.1"), None, false),
        ] {
            assert_eq!(is_probe(&name.parse().unwrap(), client, asked), expected, "{name} {client} {asked:?}");
        }
    }

    #[test]
    fn a_name_that_is_expected_tells_who_asked_for_it() {
        let checks = Checks::default();
        let (page, client, asked) = ("192.0.2.1", "192.0.2.7", Some("192.0.2.2".parse().unwrap()));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let name = |word: &str| format!("{word}.{CHECK_ZONE}").parse::<Name>().unwrap();
        checks.begin("a1", Some(ip(page)), 1000);
        checks.begin("b2", None, 1000);
        assert_eq!(checks.find("a1", 1000).unwrap().from, Vec::<IpAddr>::new());
        assert_eq!(checks.arrive(&name("T-A1"), ip(client), asked, 1001), Some(ip(page)));
        assert_eq!(checks.arrive(&name("t-b2"), ip(client), asked, 1001), asked);
        for other in ["t-c3", "a1", "t-", "x.t-a1"] {
            assert_eq!(checks.arrive(&name(other), ip("192.0.2.9"), asked, 1001), asked, "{other}");
        }
        for sender in 1..=9 {
            checks.arrive(&name("t-a1"), ip(&format!("198.51.100.{sender}")), asked, 1002);
        }
        let found = checks.find("a1", 1599).unwrap();
        assert_eq!((found.from[0], found.from.len()), (ip(client), SENDERS_MAX));
        assert_eq!(checks.find("a1", 1600), None);
        for word in 0..=CHECKS_MAX {
            checks.begin(&word.to_string(), None, 2000);
        }
        assert!(checks.find("0", 2000).is_none() && checks.find("1", 2000).is_some());
        assert_eq!(checks.0.load().len(), CHECKS_MAX);
    }

    /// However many workers meet a name at once, each client that is noted is told as it is, and none twice.
    #[test]
    fn senders_are_noted_by_all_workers_at_once() {
        const WORKERS: usize = 4;
        let name: Name = format!("t-a1.{CHECK_ZONE}").parse().unwrap();
        let clients = ["192.0.2.7", "2001:db8::7", "198.51.100.7"].map(|text| text.parse::<IpAddr>().unwrap());
        for _ in 0..200 {
            let checks = Checks::default();
            checks.begin("a1", None, 1000);
            let start = std::sync::Barrier::new(WORKERS);
            std::thread::scope(|scope| {
                for worker in 0..WORKERS {
                    let (checks, start, name) = (&checks, &start, &name);
                    scope.spawn(move || {
                        start.wait();
                        checks.arrive(name, clients[worker % clients.len()], None, 1001);
                    });
                }
            });
            let mut from = checks.find("a1", 1001).unwrap().from;
            from.sort();
            let mut expected = clients.to_vec();
            expected.sort();
            assert_eq!(from, expected);
        }
    }
}
