//! How often one may try to sign in. A try counts from its beginning, so that many at once are no way round it.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
};

/// Wrong tries of an address, and within how many seconds: a person who can't remember, and no more.
const OF_ADDRESS: (usize, i64) = (5, 300);
/// Wrong tries of a user's name from everywhere, and within how many seconds: somebody guesses from many places.
const OF_USER: (usize, i64) = (20, 3600);
/// Addresses, and names of users, that are remembered at once.
const KEYS_MAX: usize = 1024;

/// The tries of late.
pub struct Limits {
    tries: Mutex<(Tries<IpAddr>, Tries<String>)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tries: Mutex::new((Tries::new(OF_ADDRESS), Tries::new(OF_USER))) }
    }
}

impl Limits {
    /// Counts a try, or says in how many seconds the next may be made.
    pub fn begin(&self, from: IpAddr, user: &str, now: i64) -> Result<(), i64> {
        let mut tries = self.lock();
        let (of_address, of_user) = (network(from), user.to_owned());
        let waits = [tries.0.wait(&of_address, now), tries.1.wait(&of_user, now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        tries.0.count(of_address, now);
        tries.1.count(of_user, now);
        Ok(())
    }

    /// The try was right, so it doesn't count.
    pub fn forgive(&self, from: IpAddr, user: &str, began: i64) {
        let mut tries = self.lock();
        tries.0.forget(&network(from), began);
        tries.1.forget(&user.to_owned(), began);
    }

    fn lock(&self) -> MutexGuard<'_, (Tries<IpAddr>, Tries<String>)> {
        self.tries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An IPv4 address, and the first 64 bits of an IPv6 address: one host has all of those below.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

/// The tries of late by address or by user.
struct Tries<K> {
    most: usize,
    within: i64,
    /// Seconds since 1970, in order.
    by_key: HashMap<K, VecDeque<i64>>,
}

impl<K: Hash + Eq + Clone> Tries<K> {
    fn new((most, within): (usize, i64)) -> Self {
        Self { most, within, by_key: HashMap::new() }
    }

    /// Seconds to wait, if there were too many.
    fn wait(&self, key: &K, now: i64) -> Option<i64> {
        let times = self.by_key.get(key)?;
        // Tries of a time to come are of before the clock was set back: nobody waits for that time.
        let counting: Vec<i64> =
            times.iter().copied().filter(|time| (0..self.within).contains(&(now - time))).collect();
        let oldest = counting.len().checked_sub(self.most).and_then(|at| counting.get(at))?;
        Some(oldest + self.within - now)
    }

    fn count(&mut self, key: K, now: i64) {
        if self.by_key.len() >= KEYS_MAX && !self.by_key.contains_key(&key) {
            self.make_room(now);
        }
        let (most, times) = (self.most, self.by_key.entry(key).or_default());
        times.push_back(now);
        while times.len() > most {
            times.pop_front();
        }
    }

    fn forget(&mut self, key: &K, began: i64) {
        if let Some(times) = self.by_key.get_mut(key)
            && let Some(at) = times.iter().rposition(|time| *time == began)
        {
            times.remove(at);
        }
        self.by_key.retain(|_, times| !times.is_empty());
    }

    /// Drops what no longer counts, and if nothing does, who tried longest ago.
    fn make_room(&mut self, now: i64) {
        self.by_key.retain(|_, times| times.back().is_some_and(|last| now - last < self.within));
        while self.by_key.len() >= KEYS_MAX {
            let oldest = self.by_key.iter().min_by_key(|(_, times)| times.back().copied());
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.by_key.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_be_wrong_five_times_in_five_minutes() {
        let limits = Limits::default();
        let try_at = |from: &str, now| limits.begin(address(from), "anna", now);
        for now in 0..5 {
            assert_eq!(try_at("192.0.2.1", now), Ok(()));
        }
        assert_eq!(try_at("192.0.2.1", 10), Err(290));
        assert_eq!(try_at("::ffff:192.0.2.1", 10), Err(290), "the same address");
        assert_eq!(try_at("192.0.2.2", 10), Ok(()), "another");
        assert_eq!(try_at("192.0.2.1", 299), Err(1));
        assert_eq!(try_at("192.0.2.1", 300), Ok(()));
        assert_eq!(try_at("192.0.2.1", 300), Err(1), "those of the next seconds count yet");
    }

    #[test]
    fn an_ipv6_host_is_one() {
        let limits = Limits::default();
        for host in 0..5 {
            assert_eq!(limits.begin(address(&format!("2001:db8::{host}")), "", 0), Ok(()));
        }
        assert!(limits.begin(address("2001:db8:0:0:ffff::1"), "", 0).is_err());
        assert!(limits.begin(address("2001:db8:0:1::1"), "", 0).is_ok());
    }

    #[test]
    fn a_user_may_be_wrong_twenty_times_an_hour_from_everywhere() {
        let limits = Limits::default();
        for host in 0..20 {
            assert_eq!(limits.begin(address(&format!("192.0.2.{host}")), "anna", host), Ok(()));
        }
        assert_eq!(limits.begin(address("198.51.100.1"), "anna", 100), Err(3500));
        assert_eq!(limits.begin(address("198.51.100.1"), "bob", 100), Ok(()));
    }

    #[test]
    fn who_is_right_is_not_counted() {
        let limits = Limits::default();
        for now in 0..50 {
            assert_eq!(limits.begin(address("192.0.2.1"), "anna", now), Ok(()));
            limits.forgive(address("192.0.2.1"), "anna", now);
        }
        assert!(limits.lock().0.by_key.is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_a_clock_set_back_locks_nobody_out_for_long() {
        let limits = Limits::default();
        for host in 0..3000u32 {
            let _ = limits.begin(IpAddr::V4(host.into()), &host.to_string(), 1000 + i64::from(host / 100));
        }
        let tries = limits.lock();
        assert!(tries.0.by_key.len() <= KEYS_MAX && tries.1.by_key.len() <= KEYS_MAX);
        drop(tries);
        for _ in 0..5 {
            let _ = limits.begin(address("192.0.2.1"), "anna", 9_000_000);
        }
        assert!(limits.begin(address("192.0.2.1"), "anna", 9_000_000).is_err());
        assert_eq!(limits.begin(address("192.0.2.1"), "anna", 1000), Ok(()));
    }
}
