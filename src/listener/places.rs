//! How many TCP connections there are, and for whom: bounds over all, and for each client. It counts, and ends none.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::oneshot;

/// Connections open at once, over all clients; each holds a few kilobytes and a file descriptor.
pub const CONNECTIONS_MAX: usize = 1024;
/// Connections open at once for one client, which is an IPv4 address or an IPv6 network of 64 bits: resolvers behind it
/// need a few, an attacker wants all.
const CONNECTIONS_PER_CLIENT_MAX: usize = 64;
/// Connections open at once of proxies' that don't yet say whom they are for, and so count for nobody: a quarter of all.
/// The oldest makes way for the next. A proxy says so at once, so that there are hardly any.
const HEADERS_AWAITED_MAX: usize = CONNECTIONS_MAX / 4;

/// The places of all listeners' connections.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<Open>>);

/// How many connections there are.
#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
    /// Those of proxies' that don't yet say whom they are for, the oldest first: they end once this is dropped.
    unnamed: VecDeque<(u64, oneshot::Sender<()>)>,
    /// How many of these there were.
    numbered: u64,
}

/// What a connection counts as.
enum Counts {
    Unnamed(u64),
    For(IpAddr),
    /// One that is about to end, of a client that has as many as one may have.
    Alone,
    /// It made way for another.
    Not,
}

/// A place among the open connections, given back when dropped.
pub struct Slot {
    places: Places,
    counts: Counts,
}

/// Ends when a connection is to make way for another.
pub type MakesWay = oneshot::Receiver<()>;

impl Places {
    /// A place for a client's connection, if there is one.
    pub fn take(&self, client: IpAddr) -> Option<Slot> {
        let mut all = self.open();
        let client = holder(client);
        let has_room = all.total < CONNECTIONS_MAX && all.add(client);
        has_room.then(|| {
            all.total += 1;
            Slot { places: self.clone(), counts: Counts::For(client) }
        })
    }

    /// A place for a proxy's connection, until that says whom it is for.
    pub fn take_unnamed(&self) -> Option<(Slot, Option<MakesWay>)> {
        let mut all = self.open();
        if all.unnamed.len() >= HEADERS_AWAITED_MAX && all.unnamed.pop_front().is_some() {
            all.total -= 1;
        }
        (all.total < CONNECTIONS_MAX).then(|| {
            let (end, makes_way) = oneshot::channel();
            all.total += 1;
            all.numbered += 1;
            let number = all.numbered;
            all.unnamed.push_back((number, end));
            (Slot { places: self.clone(), counts: Counts::Unnamed(number) }, Some(makes_way))
        })
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.open().total == 0
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Slot {
    /// Has it count for a client, if it counts for none; false if that client has as many as one may have.
    pub fn count_for(&mut self, client: IpAddr) -> bool {
        let Counts::Unnamed(number) = self.counts else { return matches!(self.counts, Counts::For(_)) };
        let client = holder(client);
        let mut all = self.places.open();
        self.counts = match all.is_named(number) {
            false => Counts::Not,
            true if all.add(client) => Counts::For(client),
            true => Counts::Alone,
        };
        matches!(self.counts, Counts::For(_))
    }
}

impl Open {
    /// Counts one more of a client's, unless it has as many as one may have.
    fn add(&mut self, client: IpAddr) -> bool {
        let own = self.by_client.get(&client).copied().unwrap_or(0);
        let has_room = own < CONNECTIONS_PER_CLIENT_MAX;
        if has_room {
            self.by_client.insert(client, own + 1);
        }
        has_room
    }

    /// Takes one off those that don't say whom they are for; false if it had to make way.
    fn is_named(&mut self, number: u64) -> bool {
        let at = self.unnamed.iter().position(|(own, _)| *own == number);
        at.is_some_and(|at| self.unnamed.remove(at).is_some())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.places.open();
        match self.counts {
            Counts::Not => return,
            Counts::Unnamed(number) if !all.is_named(number) => return,
            Counts::Unnamed(_) | Counts::Alone => {}
            Counts::For(client) => match all.by_client.get_mut(&client) {
                Some(1) | None => drop(all.by_client.remove(&client)),
                Some(count) => *count -= 1,
            },
        }
        all.total -= 1;
    }
}

/// Whom a connection counts for: an address, or the network of IPv6 addresses that one client has to choose from.
fn holder(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_say_whom_they_are_for_has_a_quarter_of_the_places() {
        let (places, client) = (Places::default(), |last| IpAddr::from([192, 0, 2, last]));
        let total = || places.open().total;
        let mut unnamed: Vec<_> = (0..HEADERS_AWAITED_MAX).map_while(|_| places.take_unnamed()).collect();
        assert_eq!((unnamed.len(), total()), (HEADERS_AWAITED_MAX, HEADERS_AWAITED_MAX));
        // One that says so makes room; then the oldest makes way, and counts no more, whatever it still says.
        let (mut named, _) = unnamed.remove(1);
        assert!(named.count_for(client(1)));
        unnamed.push(places.take_unnamed().unwrap());
        unnamed.push(places.take_unnamed().unwrap());
        assert_eq!(total(), HEADERS_AWAITED_MAX + 1);
        let (mut first, makes_way) = unnamed.remove(0);
        assert!(makes_way.unwrap().try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(!first.count_for(client(1)));
        drop(first);
        assert_eq!(total(), HEADERS_AWAITED_MAX + 1);
        // The others are for clients that are known, and no client of a proxy's has more than any other.
        let of_others: Vec<Slot> = (0..=u8::MAX)
            .flat_map(|last| (0..CONNECTIONS_PER_CLIENT_MAX / 8).map(move |_| last))
            .map_while(|last| places.take(client(last)))
            .collect();
        assert_eq!(of_others.len(), CONNECTIONS_MAX - HEADERS_AWAITED_MAX - 1);
        drop(of_others);
        let mut named = vec![named];
        for (mut slot, _) in unnamed.drain(..CONNECTIONS_PER_CLIENT_MAX) {
            assert_eq!(slot.count_for(client(1)), named.len() < CONNECTIONS_PER_CLIENT_MAX);
            named.push(slot);
        }
        drop((named, unnamed));
        assert!(places.is_empty());
        let all = places.open();
        assert!(all.by_client.is_empty() && all.unnamed.is_empty());
    }
}
