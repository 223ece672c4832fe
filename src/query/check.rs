//! Whether the questions of a device come here: a name that nobody has asked before, `t-<word>.check.cleandns.home.arpa`,
//! is asked for there, and arrives here or not. It is answered with an address of this server.

use crate::dns::{Name, RrType};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
};

/// Below it are the names to be asked for.
pub const CHECK_ZONE: &str = "check.cleandns.home.arpa";
/// What a name to be asked for begins with.
pub const CHECK_PREFIX: &str = "t-";
/// Checks known at once: that many look at the page where devices are checked. The oldest goes.
const CHECKS_MAX: usize = 64;
/// How long one is known.
const CHECK_SECONDS: i64 = 600;
/// Addresses told of that a name was asked for from: a device's own, a router's, one of each family.
const SENDERS_MAX: usize = 4;

/// Names that are expected to be asked for.
#[derive(Default)]
pub struct Checks(Mutex<VecDeque<Check>>);

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    word: String,
    /// Where whoever asks for it reaches the pages; `None`: the address that they asked for it at.
    address: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    pub begun: i64,
    /// Who asked for it, the first one first.
    pub from: Vec<IpAddr>,
}

impl Checks {
    /// Expects a name to be asked for from now on.
    pub fn begin(&self, word: &str, address: Option<IpAddr>, now: i64) {
        let mut all = self.all(now);
        if all.len() == CHECKS_MAX {
            all.pop_front();
        }
        all.push_back(Check { word: word.to_owned(), address, begun: now, from: Vec::new() });
    }

    /// What became of it; `None`: it isn't known, or no longer.
    pub fn find(&self, word: &str, now: i64) -> Option<Check> {
        self.all(now).iter().find(|check| check.word == word).cloned()
    }

    /// Notes that a name was asked for, by `client` at the address `asked`, and says what the address there is.
    pub(super) fn arrive(&self, name: &Name, client: IpAddr, asked: Option<IpAddr>, now: i64) -> Option<IpAddr> {
        let label = name.labels().next().and_then(|label| std::str::from_utf8(label).ok());
        let Some(word) = label.and_then(|label| label.strip_prefix(CHECK_PREFIX)) else { return asked };
        let mut all = self.all(now);
        let Some(check) = all.iter_mut().find(|check| check.word == word) else { return asked };
        if check.from.len() < SENDERS_MAX && !check.from.contains(&client) {
            check.from.push(client);
        }
        check.address.or(asked)
    }

    /// Those that are known yet. There are few, and they are held for moments.
    fn all(&self, now: i64) -> MutexGuard<'_, VecDeque<Check>> {
        let mut all = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.retain(|check| now - check.begun < CHECK_SECONDS);
        all
    }
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
        assert_eq!(checks.all(2000).len(), CHECKS_MAX);
    }
}
