//! Proof that the server is alive, for whoever restarts it if it isn't: it asks itself.

use super::Running;
use crate::listener::Beat;
use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::watch};

/// How often it is looked whether a worker has turned.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What must go on for queries to be answered.
pub struct SignsOfLife {
    runtime: Handle,
    /// Reads what every answer needs.
    read: Arc<dyn Fn() + Send + Sync>,
    beats: Vec<Arc<Beat>>,
    stopping: watch::Receiver<bool>,
}

impl Running {
    /// Where its signs of life can be seen. Must be called within the runtime.
    pub fn signs_of_life(&self) -> SignsOfLife {
        let pipeline = self.pipeline.clone();
        SignsOfLife {
            runtime: Handle::current(),
            read: Arc::new(move || drop(pipeline.turn())),
            beats: self.serving.beats.clone(),
            stopping: self.stop.subscribe(),
        }
    }
}

impl SignsOfLife {
    /// Waits until every worker has taken another turn, which it does not unless it got through the packets before, and
    /// until the runtime has run a task that reads what every answer needs. Else it tells what stands still. Blocks.
    pub fn look(&self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let (told, turned) = channel();
        let read = self.read.clone();
        self.runtime.spawn(async move {
            read();
            let _ = told.send(());
        });
        // An idle worker turns a few times a second, a busy one more often.
        let before: Vec<u64> = self.beats.iter().map(|beat| beat.count()).collect();
        let stuck = || (0..before.len()).find(|&worker| self.beats[worker].count() == before[worker]);
        while let Some(worker) = stuck() {
            // They end one by one.
            if *self.stopping.borrow() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("the thread udp-{worker} stands still"));
            }
            thread::sleep(LOOK_EVERY);
        }
        let left = until.saturating_duration_since(Instant::now());
        turned.recv_timeout(left).map_err(|_| "the runtime runs no tasks".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::RecvTimeoutError::Timeout;
    use tokio::runtime::{Builder, Runtime};

    /// Signs of one worker.
    fn signs(runtime: &Runtime, beat: &Arc<Beat>) -> (SignsOfLife, watch::Sender<bool>) {
        let (stop, stopping) = watch::channel(false);
        let beats = vec![beat.clone()];
        (SignsOfLife { runtime: runtime.handle().clone(), read: Arc::new(|| {}), beats, stopping }, stop)
    }

    #[test]
    fn what_stands_still_is_told() {
        let short = Duration::from_millis(60);
        let turning = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        // Nobody runs its tasks.
        let standing = Builder::new_current_thread().build().unwrap();
        let (beat, still) = (Arc::new(Beat::default()), Arc::new(Beat::default()));
        let (own, (ended, end)) = (beat.clone(), channel::<()>());
        let worker = thread::spawn(move || {
            while end.recv_timeout(Duration::from_millis(1)).is_err_and(|error| error == Timeout) {
                own.tick();
            }
        });
        let (alive, _alive) = signs(&turning, &beat);
        assert_eq!(alive.look(Duration::from_secs(30)), Ok(()));
        let (dead, _dead) = signs(&standing, &beat);
        assert_eq!(dead.look(short), Err("the runtime runs no tasks".to_owned()));
        let (stuck, stop) = signs(&turning, &still);
        assert_eq!(stuck.look(short), Err("the thread udp-0 stands still".to_owned()));
        // When it is time to leave they all stand still.
        stop.send(true).unwrap();
        assert_eq!(stuck.look(short), Ok(()));
        drop(ended);
        worker.join().unwrap();
    }
}
