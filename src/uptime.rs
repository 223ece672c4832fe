//! How long this machine has been running, sleep included: what ages are told by.
//!
//! `Instant` stands still while a machine sleeps, and what is kept would outlive its time by as much.

use nix::time::{ClockId, clock_gettime};
use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Tells how long the machine has been running, sleep included. Called for each batch of packets, so it must be cheap.
pub type Uptime = Arc<dyn Fn() -> Duration + Send + Sync>;

/// By the kernel: read without a system call, in some tens of nanoseconds.
pub fn of_machine() -> Duration {
    /// Without that clock, which every Linux has, sleep doesn't count.
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or_else(|_| BEGUN.elapsed(), Duration::from)
}

/// Shorter sleep isn't told from two clocks that were read one after the other.
const SLEEP_MIN: Duration = Duration::from_secs(2);

/// Notices that the machine has slept, for whoever keeps something whose age is told by `Instant`.
pub struct SleepWatch {
    uptime: Duration,
    awake: Instant,
    /// Since then, as far as it was noticed.
    slept: Mutex<Duration>,
}

impl SleepWatch {
    /// From now on, by both clocks; here `awake` is to be read first.
    pub fn new(uptime: Duration, awake: Instant) -> Self {
        Self { uptime, awake, slept: Mutex::default() }
    }

    /// True once after each sleep. `uptime` is to be read before `awake`: who is held up in between must not take that for
    /// sleep.
    pub fn has_slept(&self, uptime: Duration, awake: Instant) -> bool {
        let passed = uptime.saturating_sub(self.uptime);
        let slept = passed.saturating_sub(awake.saturating_duration_since(self.awake));
        let mut before = self.slept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = slept >= *before + SLEEP_MIN;
        if is_new {
            *before = slept;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_noticed_once() {
        let begun = Instant::now();
        let watch = SleepWatch::new(Duration::from_secs(1000), begun);
        let looks = [
            // Uptime, seconds awake since the beginning, whether there was sleep.
            (1000, 0, false),
            (1060, 60, false),
            // Held up between the clocks.
            (1061, 69, false),
            (1070, 70, false),
            (1071, 70, false),
            (1672, 72, true),
            (1673, 73, false),
            (1674, 80, false),
            (1681, 81, false),
            (5681, 2081, true),
            (5682, 2082, false),
        ];
        for (uptime, awake, expected) in looks {
            let slept = watch.has_slept(Duration::from_secs(uptime), begun + Duration::from_secs(awake));
            assert_eq!(slept, expected, "{uptime} {awake}");
        }
    }

    #[test]
    fn the_machine_is_as_old_as_its_kernel_says() {
        let told = std::fs::read_to_string("/proc/uptime").unwrap();
        let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
        let own = of_machine().as_secs_f64();
        assert!((told - 0.1..told + 60.0).contains(&own), "{own}, and the kernel says {told}");
    }
}
