//! How much of a client is kept.

use crate::config;
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
};

/// Days whose keys are kept at once.
const KEYS: usize = 2;
const DAY_SECONDS: i64 = 86_400;
/// Octets of a pseudonym: a million clients meet by chance once in forty million days.
const PSEUDONYM_BYTES: usize = 8;
/// Leading bits that are kept of a network.
const IPV4_BITS: u32 = 24;
const IPV6_BITS: u32 = 48;

/// Tells clients as far as they may be told. All copies share their keys, so that a client has one pseudonym a day,
/// whoever tells it and however late.
#[derive(Clone)]
pub struct Privacy {
    kept: config::Privacy,
    /// Those drawn last, of two different days, the latest last.
    keys: Arc<Mutex<VecDeque<DayKey>>>,
}

/// A key of one day (UTC) that is never written down. It is gone when those of two other days have been drawn: a sink
/// that is behind may still tell yesterday's clients as the others did, and then nobody can tell any more who a
/// pseudonym was, or that two of different days were one client. It counts for its own day alone, whatever the clock
/// said before.
struct DayKey {
    day: i64,
    key: hmac::Key,
}

impl Privacy {
    pub fn new(kept: config::Privacy) -> Self {
        Self { kept, keys: Arc::default() }
    }

    /// The same with another measure: a client keeps its pseudonym.
    pub fn with(&self, kept: config::Privacy) -> Self {
        Self { kept, keys: self.keys.clone() }
    }

    /// The text for a client that was answered at `seconds` since 1970.
    pub fn tell(&self, client: IpAddr, seconds: i64) -> String {
        match self.kept {
            config::Privacy::Full => client.to_string(),
            config::Privacy::Prefix => network(client),
            config::Privacy::Hashed => self.pseudonym(client, seconds),
            config::Privacy::None => String::new(),
        }
    }

    /// The address that stands for a client where an address is needed; `None`: there is none to tell.
    pub fn address(&self, client: IpAddr) -> Option<IpAddr> {
        match self.kept {
            config::Privacy::Full => Some(client),
            config::Privacy::Prefix => Some(masked(client)),
            config::Privacy::Hashed | config::Privacy::None => None,
        }
    }

    /// Whether all may be told: addresses as they are, and so rules that look at them. Such a rule may name one client, and
    /// where it stands tells what it says to whoever has its list.
    pub fn tells_addresses(&self) -> bool {
        self.kept == config::Privacy::Full
    }

    /// Whether the name of a client's group may be told. A group may be one person's, so where nothing is told of clients,
    /// it isn't either.
    pub fn tells_group(&self) -> bool {
        self.kept != config::Privacy::None
    }

    fn pseudonym(&self, client: IpAddr, seconds: i64) -> String {
        let mut keys = self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let day = seconds.div_euclid(DAY_SECONDS);
        if !keys.iter().any(|key| key.day == day) {
            let mut secret = [0; 32];
            if SystemRandom::new().fill(&mut secret).is_err() {
                return String::new();
            }
            if keys.len() == KEYS {
                keys.pop_front();
            }
            keys.push_back(DayKey { day, key: hmac::Key::new(hmac::HMAC_SHA256, &secret) });
        }
        let Some(DayKey { key, .. }) = keys.iter().find(|key| key.day == day) else { return String::new() };
        let octets = match client {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let tag = hmac::sign(key, &octets);
        tag.as_ref().iter().take(PSEUDONYM_BYTES).map(|octet| format!("{octet:02x}")).collect()
    }
}

fn masked(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & (u32::MAX << (32 - IPV4_BITS))).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << (128 - IPV6_BITS))).into(),
    }
}

fn network(client: IpAddr) -> String {
    let bits = if client.is_ipv4() { IPV4_BITS } else { IPV6_BITS };
    format!("{}/{bits}", masked(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_700_000_000;

    fn tell(kept: config::Privacy, client: &str) -> String {
        Privacy::new(kept).tell(client.parse().unwrap(), NOON)
    }

    #[test]
    fn as_much_is_told_as_may_be() {
        for (kept, client, told) in [
            (config::Privacy::Full, "192.168.1.77", "192.168.1.77"),
            (config::Privacy::Full, "fd00:1:2:3::7", "fd00:1:2:3::7"),
            (config::Privacy::Prefix, "192.168.1.77", "192.168.1.0/24"),
            (config::Privacy::Prefix, "fd00:1:2:3::7", "fd00:1:2::/48"),
            (config::Privacy::None, "192.168.1.77", ""),
        ] {
            assert_eq!(tell(kept, client), told);
        }
    }

    #[test]
    fn a_pseudonym_lasts_a_day_and_tells_clients_apart() {
        let privacy = Privacy::new(config::Privacy::Hashed);
        let [one, other] = ["192.168.1.77", "192.168.1.78"].map(|client| client.parse().unwrap());
        let today = privacy.tell(one, NOON);
        assert_eq!(today.len(), 2 * PSEUDONYM_BYTES);
        assert_eq!(privacy.clone().tell(one, NOON + 60), today, "the same in every sink");
        assert_ne!(privacy.tell(other, NOON), today);
        let tomorrow = privacy.tell(one, NOON + DAY_SECONDS);
        assert_ne!(tomorrow, today);
        assert_eq!(privacy.clone().tell(one, NOON), today, "a slower sink tells the same");
        assert_eq!(privacy.tell(one, NOON + DAY_SECONDS + 1), tomorrow);
        privacy.tell(one, NOON + 2 * DAY_SECONDS);
        assert_ne!(privacy.tell(one, NOON), today, "that key is gone");
        assert_ne!(tell(config::Privacy::Hashed, "192.168.1.77"), tell(config::Privacy::Hashed, "192.168.1.77"));
        assert_eq!(privacy.address(one), None);
    }

    #[test]
    fn no_pseudonym_outlives_its_day_even_if_the_clock_was_ahead() {
        let privacy = Privacy::new(config::Privacy::Hashed);
        let client = "192.168.1.77".parse().unwrap();
        let days: Vec<String> =
            [400, 0, 1, 2].into_iter().map(|day| privacy.tell(client, NOON + day * DAY_SECONDS)).collect();
        let mut different = days.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), days.len(), "{days:?}");
    }
}
