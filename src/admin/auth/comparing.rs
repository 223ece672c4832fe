//! Passwords are compared by few at once, each of which holds its place until it is done: though whoever asked hangs up,
//! the comparison goes on, and takes as much memory and time as before.

use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Passwords compared at once: each takes 19 MiB and a processor for some hundredths of a second.
const COMPARISONS_MAX: usize = 2;
/// How long one waits for one's turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// The places there are.
pub struct Comparing(Arc<Semaphore>);

/// Why nothing was compared.
#[derive(PartialEq, Eq, Debug)]
pub enum NotCompared {
    /// Too many others are at it.
    Busy,
    Fault(String),
}

impl Default for Comparing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(COMPARISONS_MAX)))
    }
}

impl Comparing {
    /// Compares, when there is a place.
    pub async fn run<T: Send + 'static>(&self, compare: impl FnOnce() -> T + Send + 'static) -> Result<T, NotCompared> {
        let place = tokio::time::timeout(TURN_WITHIN, self.0.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(NotCompared::Busy) };
        let comparing = tokio::task::spawn_blocking(move || {
            let compared = compare();
            drop(place);
            compared
        });
        comparing.await.map_err(|error| NotCompared::Fault(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_hangs_up_leaves_no_place_before_the_comparison_ends() {
        let comparing = Arc::new(Comparing::default());
        let (begun, begins) = mpsc::channel();
        let mut ends = Vec::new();
        for _ in 0..COMPARISONS_MAX {
            let (end, ended) = mpsc::channel::<()>();
            let (own, begun) = (comparing.clone(), begun.clone());
            let asked = tokio::spawn(async move {
                let compare = move || {
                    begun.send(()).unwrap();
                    ended.recv().unwrap();
                };
                own.run(compare).await
            });
            tokio::task::block_in_place(|| begins.recv()).unwrap();
            asked.abort();
            assert!(asked.await.unwrap_err().is_cancelled());
            ends.push(end);
        }
        assert_eq!(comparing.0.available_permits(), 0, "they are still being compared");
        ends.iter().for_each(|end| end.send(()).unwrap());
        let all = u32::try_from(COMPARISONS_MAX).unwrap();
        let places = tokio::time::timeout(Duration::from_secs(30), comparing.0.acquire_many(all)).await;
        drop(places.expect("they have ended"));
        assert_eq!(comparing.run(|| 7).await, Ok(7));
    }
}
