//! A program that serves, and how it ends.

use super::{hold::Hold, whereabouts::Told};
use crate::{
    health::Health,
    listener::Serving,
    lists::{Published, Watching},
    query::Pipeline,
    query_log::Writing,
    settings::{Changing, Files, Settings},
    warm::Warm,
};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// How long queries in flight are waited for when it is time to leave.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long it is waited until the address for HTTP is free: whoever looks for another process there may be held up.
const GONE_WITHIN: Duration = Duration::from_secs(1);
/// How long what was recorded is waited for until it is written, when it is time to leave.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// A program that serves.
pub struct Running {
    /// Addresses bound for DNS.
    pub dns: Vec<SocketAddr>,
    /// Address bound for HTTP.
    pub admin: Option<SocketAddr>,
    pub published: Arc<Published>,
    pub health: Health,
    pub pipeline: Arc<Pipeline>,
    /// Puts another configuration in force.
    pub changing: Arc<Changing>,
    pub settings: Arc<Settings>,
    pub(super) files: Option<Files>,
    pub(super) warm: Option<Arc<Warm>>,
    /// Where this server is found was written down.
    pub(super) told: Arc<OnceLock<Told>>,
    pub(super) watching: Watching,
    pub(super) stop: watch::Sender<bool>,
    /// True once all is answered that came over DNS.
    pub(super) gone: watch::Sender<bool>,
    /// Ends soon after that.
    pub(super) accepting: Option<JoinHandle<()>>,
    pub(super) serving: Serving,
    /// What is done now and then until the end.
    pub(super) upkeep: [JoinHandle<()>; 2],
    pub(super) writing: Writing,
    /// Nobody else keeps state where it does.
    pub(super) hold: Arc<Hold>,
}

impl Running {
    /// Has the configuration's files and all lists read again.
    pub fn reload(&self) {
        self.have_reloaded(None);
    }

    /// The same; what is returned ends when it is done.
    pub fn reloaded(&self) -> oneshot::Receiver<()> {
        let (waiting, done) = oneshot::channel();
        self.have_reloaded(Some(waiting));
        done
    }

    fn have_reloaded(&self, waiting: Option<oneshot::Sender<()>>) {
        match &self.files {
            Some(files) => files.reload(waiting),
            None => self.watching.reload(waiting),
        }
    }

    /// Has all lists with a url downloaded, due or not.
    pub fn update_lists(&self) {
        self.watching.update();
    }

    /// Answers what has come, takes no more, and leaves.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        self.upkeep.iter().for_each(JoinHandle::abort);
        let Serving { workers, streams, .. } = self.serving;
        let (watching, files) = (self.watching, self.files);
        let joined = tokio::task::spawn_blocking(move || {
            files.into_iter().for_each(Files::stop);
            watching.stop();
            workers.into_iter().for_each(|worker| drop(worker.join()));
        });
        let drained = async {
            // They end within a fraction of a second, unless a file system keeps one waiting.
            let _ = joined.await;
            while !self.pipeline.is_idle() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for stream in streams {
                let _ = stream.await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_WITHIN, drained).await;
        let _ = self.gone.send(true);
        if let Some(accepting) = self.accepting {
            let _ = tokio::time::timeout(GONE_WITHIN, accepting).await;
        }
        let writing = self.writing;
        let written = tokio::task::spawn_blocking(move || writing.stop());
        let _ = tokio::time::timeout(WRITE_WITHIN, written).await;
        if let Some(warm) = self.warm {
            let pipeline = self.pipeline;
            let _ = tokio::task::spawn_blocking(move || warm.save(pipeline.finder())).await;
        }
        // Until now it was found where it always was, for whoever asks how it is.
        let (told, hold) = (self.told, self.hold);
        let gone = move || {
            told.get().into_iter().for_each(Told::forget);
            hold.let_go();
        };
        let _ = tokio::task::spawn_blocking(gone).await;
    }
}
