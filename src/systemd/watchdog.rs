//! Signs of life, as long as there is proof of it.

use std::{
    io,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

/// Signs in the time after which the service manager loses its patience: one may be late.
const SIGNS: u32 = 3;

/// The thread that gives signs of life. It ends when this is dropped.
pub struct Watchdog {
    _until_dropped: Sender<()>,
}

/// Gives signs of life if the service manager wants them, each after `proof` found some within the time it is given; what
/// it says otherwise is logged. The thread stands apart from all that it looks at.
pub fn watch_over(proof: impl Fn(Duration) -> Result<(), String> + Send + 'static) -> io::Result<Option<Watchdog>> {
    let Some(patience) = sd_notify::watchdog_enabled() else { return Ok(None) };
    let every = patience / SIGNS;
    let (until_dropped, ends) = channel();
    thread::Builder::new().name("watchdog".into()).spawn(move || {
        loop {
            match proof(every) {
                Ok(()) => super::alive(),
                Err(why) => tracing::error!(why, "no sign of life: the service manager will start this program anew"),
            }
            // Between two signs no more than half of the patience may pass, the search for proof included.
            if ends.recv_timeout(every / 2) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(Some(Watchdog { _until_dropped: until_dropped }))
}
