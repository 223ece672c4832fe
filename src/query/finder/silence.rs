//! Whether anybody out there answers, as far as that was just found out: so that not every question finds it out anew.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long it is held to be silent out there, after somebody waited in vain: it may be over, or have been one zone alone.
const LASTS: Duration = Duration::from_secs(10);

/// The last time that somebody waited in vain.
#[derive(Default)]
pub struct Silence(Mutex<Option<(Instant, u64)>>);

impl Silence {
    /// Somebody waited in vain just now. `heard`: how often anybody had answered as they began to.
    pub fn note(&self, heard: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), heard));
    }

    /// Whether that is so still: nobody has answered since that wait began. `heard`: how often anybody has by now.
    pub fn lasts(&self, heard: u64) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|(at, before)| before == heard && at.elapsed() < LASTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_until_somebody_answers() {
        let silence = Silence::default();
        assert!(!silence.lasts(7));
        silence.note(7);
        assert!(silence.lasts(7) && !silence.lasts(8));
        // Somebody has answered while it was waited for another.
        silence.note(7);
        assert!(!silence.lasts(8));
        silence.note(8);
        assert!(silence.lasts(8));
        *silence.0.lock().unwrap() = Some((Instant::now().checked_sub(LASTS).unwrap(), 8));
        assert!(!silence.lasts(8));
    }
}
