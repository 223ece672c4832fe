//! The world that the program runs in, which tests replace in part.

use crate::{
    config::Log,
    listener::Start,
    lists::{Chance, FetchLimits},
    resolve::{Clock, PortMap},
    settings::{Fits, ReadAgain},
    systemd::Passed,
    uptime::{self, Uptime},
    warm::{Awake, AwakeFor},
};
use std::{
    hash::BuildHasher,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// What the program takes from the world besides its configuration.
pub struct Outside {
    pub clock: Clock,
    /// What ages are told by.
    pub uptime: Uptime,
    /// Keys hashes that others must not be able to foresee.
    pub seed: u64,
    /// For tests: where name servers really are.
    pub ports: Option<Arc<PortMap>>,
    /// Seconds since 1970 when this program was built.
    pub built_at: u64,
    pub fetch: FetchLimits,
    /// Whether another process may have the addresses yet.
    pub start: Start,
    /// Sockets that are open already.
    pub passed: Passed,
    /// Whether the process can read what a later configuration names.
    pub reach: Fits,
    pub awake: AwakeFor,
    /// Reads the configuration again, for whoever wants it followed.
    pub read_again: Option<ReadAgain>,
    /// Has the program's own log go by what is configured now.
    pub follow_log: FollowLog,
}

/// Tells who writes the program's own log what is configured.
pub type FollowLog = Arc<dyn Fn(&Log) + Send + Sync>;

impl Outside {
    /// The real one.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
            uptime: Arc::new(uptime::of_machine),
            seed: foldhash::fast::RandomState::default().hash_one(Instant::now().elapsed()),
            ports: None,
            built_at: env!("CLEANDNS_BUILT_AT").parse().unwrap_or(0),
            fetch: FetchLimits::default(),
            start: Start::Alone,
            passed: Passed::default(),
            reach: Arc::new(|_| Ok(())),
            awake: Arc::new(Awake::of_machine),
            read_again: None,
            follow_log: Arc::new(|_| {}),
        }
    }

    /// What the lists take of it.
    pub fn chance(&self) -> Chance {
        Chance { seed: self.seed, clock: self.clock.clone(), uptime: self.uptime.clone() }
    }
}
