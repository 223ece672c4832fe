//! How many connections there are, in all and from one address.

use super::super::{
    auth::network,
    guard::{CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_MAX, CONNECTIONS_OF_PROXY_MAX},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;

/// The places for connections.
#[derive(Clone, Default)]
pub struct Places(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// By address, those that are taken; none of them is 0.
    taken: Mutex<HashMap<IpAddr, usize>>,
    left: Notify,
}

/// A place that is taken, until the last of its clones is dropped.
#[derive(Clone)]
pub struct Place(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Taken>);

struct Taken {
    places: Places,
    of: IpAddr,
}

impl Places {
    /// Waits until there is a place for anybody.
    pub async fn wait(&self) {
        loop {
            let left = self.0.left.notified();
            if self.taken().values().sum::<usize>() < CONNECTIONS_MAX {
                return;
            }
            left.await;
        }
    }

    /// Takes a place, unless that address has too many. `for_others`: others come through it.
    pub fn take(&self, from: IpAddr, for_others: bool) -> Option<Place> {
        let most = if for_others { CONNECTIONS_OF_PROXY_MAX } else { CONNECTIONS_OF_ADDRESS_MAX };
        let of = network(from);
        let mut taken = self.taken();
        let own = taken.entry(of).or_default();
        if *own >= most {
            return None;
        }
        *own += 1;
        Some(Place(Arc::new(Taken { places: self.clone(), of })))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.of) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.of);
            }
        }
        drop(taken);
        // There is one who accepts, and who may be about to wait.
        self.places.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task};

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_a_part_of_the_places() {
        let places = Places::default();
        let all = |from: &str| -> Vec<Place> {
            (0..CONNECTIONS_MAX).map_while(|_| places.take(address(from), false)).collect()
        };
        let first = all("192.0.2.1");
        assert_eq!(first.len(), CONNECTIONS_OF_ADDRESS_MAX);
        let second = all("2001:db8::1");
        assert!(places.take(address("2001:db8::2"), false).is_none(), "one host has all of a /64");
        assert!(places.take(address("2001:db8:0:1::1"), false).is_some());
        drop(second);
        assert!(places.take(address("2001:db8::2"), false).is_some());
        let own: Vec<Place> = (0..CONNECTIONS_MAX).map_while(|_| places.take(address("10.0.0.7"), true)).collect();
        assert_eq!(own.len(), CONNECTIONS_OF_PROXY_MAX, "others come through it");
        drop((first, own));
        assert!(places.taken().is_empty(), "nobody is remembered who isn't there");
    }

    #[test]
    fn who_is_beyond_all_waits_until_somebody_leaves() {
        let places = Places::default();
        let mut all: Vec<Place> = (0..CONNECTIONS_MAX)
            .map(|number| places.take(IpAddr::from([192, 0, 2, (number % 8) as u8]), false).unwrap())
            .collect();
        let mut context = task::Context::from_waker(task::Waker::noop());
        let mut waiting = pin!(places.wait());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        // A change that goes on after its asker hung up keeps the place.
        let kept = all.pop().unwrap();
        let other = kept.clone();
        drop(kept);
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(other);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }
}
