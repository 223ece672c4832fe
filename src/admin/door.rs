//! What of `[admin]` is in force, and how another configuration takes its place while the server runs: who may come in,
//! by what certificate, and where it is written down. The address alone stays.

use super::{Audit, Auth, Tls};
use crate::config::Admin;
use arc_swap::ArcSwapOption;
use std::{path::PathBuf, sync::Arc};

/// Who may come in, and how. Copies are the same.
#[derive(Clone)]
pub struct Door {
    pub auth: Arc<Auth>,
    /// Nothing: plain HTTP.
    pub tls: Arc<ArcSwapOption<Tls>>,
    pub audit: Arc<Audit>,
}

impl Door {
    /// By the configuration, whose files are read. `audit`: where changes are written down, if there is a place for it.
    pub fn open(admin: &Admin, audit: Option<PathBuf>) -> Result<Self, String> {
        if let Some(file) = admin.token_to_make() {
            return Err(format!("admin.token_file: {} isn't there, and nobody has made it", file.display()));
        }
        let tls = admin.tls.as_ref().map(Tls::read).transpose().map_err(|error| error.to_string())?;
        Ok(Self {
            auth: Arc::new(Auth::new(admin).map_err(|error| error.to_string())?),
            tls: Arc::new(ArcSwapOption::new(tls.map(Arc::new))),
            audit: Arc::new(Audit::start(audit)),
        })
    }

    /// Makes ready for another configuration, or tells why it can't be had. What comes back puts it in force.
    pub fn prepare(
        &self,
        running: &Admin,
        next: &Admin,
        audit: Option<PathBuf>,
    ) -> Result<impl FnOnce() + Send + 'static, String> {
        // Files that stay are looked at by themselves, and what is known of them stays too.
        let tls = (running.tls != next.tls).then(|| next.tls.as_ref().map(Tls::read).transpose());
        let tls = tls.transpose().map_err(|error| error.to_string())?;
        let secrets = self.auth.prepare(running, next).map_err(|error| error.to_string())?;
        let door = self.clone();
        Ok(move || {
            tls.into_iter().for_each(|tls| door.tls.store(tls.map(Arc::new)));
            door.auth.put_in_force(secrets);
            door.audit.follow(audit);
        })
    }
}
