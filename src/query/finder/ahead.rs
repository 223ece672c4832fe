//! Popular answers are asked for again before their time is over, off the way of any client.

use super::Finder;
use crate::{
    cache::{Entry, Life},
    query::{MISSES_MAX, sought::Sought},
    resolve::ENDS_EARLY_SECONDS,
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// Seconds before its end at which a popular answer is asked for again: what resolution remembers by itself has just ended
/// then, so somebody is asked; and a usual question is answered in time.
pub(super) const REFRESHED_BEFORE: u32 = ENDS_EARLY_SECONDS - 1;
/// Answers that wait for that at most.
pub(super) const REFRESHES_MAX: usize = 4096;
/// Seconds before its end from which on an answer that is given counts as popular, if its life is long.
const LATE_MAX: u32 = 300;
/// Answers of a shorter life are not asked for again before somebody wants them.
const REFRESHED_LIFE_MIN: u32 = 10;

impl Finder {
    /// Notes that an entry was given with so many seconds to live. A popular one is asked for again before its time is
    /// over, off the way of any client; what becomes of that, the one that is kept holds until its end.
    pub fn given(self: &Arc<Self>, entry: &Arc<Entry>, age: u32, life: u32) {
        let left = life - age;
        let is_late = left <= (life / 10).clamp(REFRESHED_BEFORE, LATE_MAX) && life >= REFRESHED_LIFE_MIN;
        if !is_late || !self.refreshes_popular.load(Relaxed) || entry.is_failure() || !entry.given_late() {
            return;
        }
        let Some(runtime) = &self.runtime else { return };
        let Ok(place) = self.refreshes.clone().try_acquire_owned() else { return };
        let key = entry.key();
        let (dnssec_ok, cd, name_servers) = (key.dnssec_ok, key.cd, entry.name_servers_wanted());
        let sought = Sought { name: entry.name(), rr_type: entry.rr_type(), dnssec_ok, cd, name_servers };
        let finder = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(left.saturating_sub(REFRESHED_BEFORE)))).await;
            drop(place);
            finder.refresh(sought);
        });
    }

    /// Asks again for what is kept, if it is about to end and nobody has done so.
    pub(super) fn refresh(self: &Arc<Self>, sought: Sought) {
        let now = self.seconds();
        let is_ending = |entry: Arc<Entry>| match entry.life(now) {
            Life::Fresh { age, life } => life - age <= REFRESHED_BEFORE,
            Life::Over { .. } => !entry.is_hopeless(now),
        };
        let is_due = self.cache.find_by_key(&sought.key()).is_none_or(is_ending);
        // Clients that wait go first.
        if is_due && self.flying.available_permits() > MISSES_MAX / 2 {
            let hash = self.hash(&sought);
            let flights = self.flights.hold();
            if flights.find(&sought).is_none() {
                self.take_off(flights, sought, hash, false);
            }
        }
    }
}
