//! How often one may try to sign in, or show a token. A try counts from its beginning, so that many at once are no way
//! round it.
//!
//! Tries are refused by the address they come from. By the user they name they are only slowed down: else whoever knows a
//! name could keep its owner out.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Wrong tries of an address, and within how many seconds: a person who can't remember, and no more.
const OF_ADDRESS: (usize, i64) = (5, 300);
/// Wrong tries of an address for one user: whoever guesses doesn't go on all day.
const OF_BOTH: (usize, i64) = (10, 3600);
/// Wrong tries of a user's name from everywhere after which each takes its time: somebody guesses from many places.
const OF_USER: (usize, i64) = (20, 3600);
/// How long such a try waits before it is looked at; for a person it is no more than a nuisance.
const SLOWED_BY: Duration = Duration::from_secs(2);
/// Seconds for which an address from which a user signed in is known as theirs, and isn't slowed down.
const KNOWN_FOR: i64 = 30 * 86_400;
/// Wrong tokens of an address: a program whose token is out of date goes on for ever.
const OF_TOKENS: (usize, i64) = (5, 300);
/// Addresses, names of users, and pairs of them that are remembered at once.
const KEYS_MAX: usize = 1024;

/// A user from somewhere.
type Both = (IpAddr, String);

/// The tries of late.
#[derive(Default)]
pub struct Limits {
    all: Mutex<All>,
}

struct All {
    of_address: Tries<IpAddr>,
    of_both: Tries<Both>,
    of_user: Tries<String>,
    of_tokens: Tries<IpAddr>,
    /// Where users signed in from: the last time of each.
    known: Tries<Both>,
}

impl Default for All {
    fn default() -> Self {
        Self {
            of_address: Tries::new(OF_ADDRESS),
            of_both: Tries::new(OF_BOTH),
            of_user: Tries::new(OF_USER),
            of_tokens: Tries::new(OF_TOKENS),
            known: Tries::new((1, KNOWN_FOR)),
        }
    }
}

impl Limits {
    /// Counts a try to sign in, and says how long it has to wait before it is looked at; or in how many seconds the next
    /// may be made.
    pub fn begin(&self, from: IpAddr, user: &str, now: i64) -> Result<Duration, i64> {
        let mut all = self.lock();
        let from = network(from);
        let both = (from, user.to_owned());
        let waits = [all.of_address.wait(&from, now), all.of_both.wait(&both, now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        let is_slow = all.of_user.wait(&both.1, now).is_some() && all.known.wait(&both, now).is_none();
        all.of_address.count(from, now);
        all.of_user.count(both.1.clone(), now);
        all.of_both.count(both, now);
        Ok(if is_slow { SLOWED_BY } else { Duration::ZERO })
    }

    /// The try was right, so it doesn't count; and the user is known to come from there.
    pub fn forgive(&self, from: IpAddr, user: &str, began: i64) {
        let mut all = self.lock();
        let both = (network(from), user.to_owned());
        all.of_address.forget(&both.0, began);
        all.of_user.forget(&both.1, began);
        all.of_both.forget(&both, began);
        all.known.count(both, began);
    }

    /// Counts a wrong token: whether it is the first of late from there, or in how many seconds the next is looked at.
    pub fn wrong_token(&self, from: IpAddr, now: i64) -> Result<bool, i64> {
        let mut all = self.lock();
        let from = network(from);
        if let Some(wait) = all.of_tokens.wait(&from, now) {
            return Err(wait);
        }
        let is_first = all.of_tokens.counting(&from, now).is_empty();
        all.of_tokens.count(from, now);
        Ok(is_first)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An IPv4 address, and the first 64 bits of an IPv6 address: one host has all of those below.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

/// The tries of late by address, by user, or by both.
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
        let counting = self.counting(key, now);
        let oldest = counting.len().checked_sub(self.most).and_then(|at| counting.get(at))?;
        Some(oldest + self.within - now)
    }

    /// Those that count now. Tries of a time to come are of before the clock was set back: nobody waits for that time.
    fn counting(&self, key: &K, now: i64) -> Vec<i64> {
        let times = self.by_key.get(key).into_iter().flatten().copied();
        times.filter(|time| (0..self.within).contains(&(now - time))).collect()
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
        if self.by_key.get(key).is_some_and(VecDeque::is_empty) {
            self.by_key.remove(key);
        }
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

    const AT_ONCE: Result<Duration, i64> = Ok(Duration::ZERO);

    #[test]
    fn an_address_may_be_wrong_five_times_in_five_minutes() {
        let limits = Limits::default();
        let try_at = |from: &str, now| limits.begin(address(from), "anna", now);
        for now in 0..5 {
            assert_eq!(try_at("192.0.2.1", now), AT_ONCE);
        }
        assert_eq!(try_at("192.0.2.1", 10), Err(290));
        assert_eq!(try_at("::ffff:192.0.2.1", 10), Err(290), "the same address");
        assert_eq!(try_at("192.0.2.2", 10), AT_ONCE, "another");
        assert_eq!(try_at("192.0.2.1", 299), Err(1));
        assert_eq!(try_at("192.0.2.1", 300), AT_ONCE);
        assert_eq!(try_at("192.0.2.1", 300), Err(1), "those of the next seconds count yet");
    }

    #[test]
    fn an_address_may_be_wrong_about_a_user_ten_times_an_hour() {
        let limits = Limits::default();
        for round in 0..10 {
            assert_eq!(limits.begin(address("192.0.2.1"), "anna", round * 200), AT_ONCE);
        }
        assert_eq!(limits.begin(address("192.0.2.1"), "anna", 2000), Err(1600));
        assert_eq!(limits.begin(address("192.0.2.1"), "bob", 2000), AT_ONCE);
    }

    #[test]
    fn an_ipv6_host_is_one() {
        let limits = Limits::default();
        for host in 0..5 {
            assert_eq!(limits.begin(address(&format!("2001:db8::{host}")), "", 0), AT_ONCE);
        }
        assert!(limits.begin(address("2001:db8:0:0:ffff::1"), "", 0).is_err());
        assert!(limits.begin(address("2001:db8:0:1::1"), "", 0).is_ok());
    }

    /// Whoever knows a name can't keep its owner out.
    #[test]
    fn a_user_who_is_guessed_from_everywhere_is_slowed_down_and_not_locked_out() {
        let limits = Limits::default();
        limits.forgive(address("192.0.2.77"), "anna", 0);
        for host in 0..40 {
            let expected = if host < 20 { Duration::ZERO } else { SLOWED_BY };
            assert_eq!(limits.begin(address(&format!("192.0.2.{host}")), "anna", 1), Ok(expected), "{host}");
        }
        assert_eq!(limits.begin(address("198.51.100.1"), "anna", 100), Ok(SLOWED_BY));
        assert_eq!(limits.begin(address("198.51.100.1"), "bob", 100), AT_ONCE);
        assert_eq!(limits.begin(address("192.0.2.77"), "anna", 100), AT_ONCE, "she signed in from there before");
        assert_eq!(limits.begin(address("198.51.100.2"), "anna", 3700), AT_ONCE, "an hour later");
    }

    #[test]
    fn who_is_right_is_not_counted() {
        let limits = Limits::default();
        for now in 0..50 {
            assert_eq!(limits.begin(address("192.0.2.1"), "anna", now), AT_ONCE);
            limits.forgive(address("192.0.2.1"), "anna", now);
        }
        let all = limits.lock();
        assert!(all.of_address.by_key.is_empty() && all.of_both.by_key.is_empty() && all.of_user.by_key.is_empty());
        assert_eq!(all.known.by_key.len(), 1);
    }

    #[test]
    fn wrong_tokens_are_told_once_and_then_wait() {
        let limits = Limits::default();
        let shown = |from: &str, now| limits.wrong_token(address(from), now);
        assert_eq!([0, 1, 2, 3, 4].map(|now| shown("192.0.2.1", now)), [true, false, false, false, false].map(Ok));
        assert_eq!(shown("192.0.2.1", 10), Err(290));
        assert_eq!(shown("192.0.2.2", 10), Ok(true), "another");
        assert_eq!(limits.begin(address("192.0.2.1"), "anna", 10), AT_ONCE, "who signs in is another matter");
        // A program that goes on and on is not told of again and again.
        assert_eq!((300..600).filter(|now| shown("192.0.2.1", *now) == Ok(true)).count(), 0);
        assert_eq!(shown("192.0.2.1", 2000), Ok(true));
    }

    #[test]
    fn the_tables_are_bounded_and_a_clock_set_back_locks_nobody_out_for_long() {
        let limits = Limits::default();
        for host in 0..3000u32 {
            let (from, name, now) = (IpAddr::V4(host.into()), host.to_string(), 1000 + i64::from(host / 100));
            let _ = (limits.begin(from, &name, now), limits.wrong_token(from, now));
            limits.forgive(from, &format!("{name}-"), now);
        }
        let all = limits.lock();
        let sizes = [all.of_address.by_key.len(), all.of_both.by_key.len(), all.of_user.by_key.len()];
        let others = [all.of_tokens.by_key.len(), all.known.by_key.len()];
        assert!(sizes.iter().chain(&others).all(|size| *size <= KEYS_MAX), "{sizes:?} {others:?}");
        drop(all);
        for _ in 0..5 {
            let _ = limits.begin(address("192.0.2.1"), "anna", 9_000_000);
        }
        assert!(limits.begin(address("192.0.2.1"), "anna", 9_000_000).is_err());
        assert_eq!(limits.begin(address("192.0.2.1"), "anna", 1000), AT_ONCE);
    }
}
