//! What the process gives up before it serves: its user, and what a server has no need of. Done once, before there is a
//! second thread; later threads inherit it, and nothing brings it back.
//!
//! ```text
//! Config → places: what is read and written → user: root becomes somebody → landlock: files → seccomp: system calls
//! ```
//!
//! A kernel that lacks something is no reason not to serve: then that is missing, and the report says so.

mod landlock;
mod places;
mod seccomp;
mod user;

pub use places::Places;

use crate::{background::keep_way_back, config::Config};
use std::fmt;

/// Why the process can't become what it is told to.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    #[error("process.{0}: there is no {0} {1}; make it with `useradd --system --no-create-home {1}`, or correct it")]
    Unknown(&'static str, String),
    #[error("process.user: this process is not root's, and so can't become {0}; start it as root, or leave user empty")]
    NotRoot(String),
    #[error("process.user: the process can't become {0}: {1}")]
    Become(String, String),
    #[error(
        "state.dir: {folder} can't be written to by {user}: {why}; run `install -d -o {user} -m 0750 {folder}`, and `chown \
         -R {user} {folder}` if there is something in it"
    )]
    State { folder: String, user: String, why: String },
    #[error(
        "state.dir: {folder} can't be made or written to: {why}; without such a folder nothing outlives a restart, and \
         questions are not recorded; write another"
    )]
    NoState { folder: String, why: String },
}

impl ConfineError {
    /// The option that is at fault.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Unknown("group", _) => "process.group",
            Self::Unknown(..) | Self::NotRoot(_) | Self::Become(..) => "process.user",
            Self::State { .. } | Self::NoState { .. } => "state.dir",
        }
    }
}

/// What a start would stumble over in becoming the user of the configuration, and in its state folder. What it would go on
/// without, and say so, is the second one. Nothing is changed by asking.
pub fn foresee(config: &Config) -> Result<Option<ConfineError>, ConfineError> {
    user::foresee(config)
}

/// What holds from now on.
#[derive(Debug)]
pub struct Confined {
    /// Who it became; `None`: it stayed who it was.
    user: Option<String>,
    /// `None`: switched off.
    sandbox: Option<(landlock::Held, seccomp::Held)>,
    /// What is within reach, if nothing else is.
    places: Option<Places>,
    /// What can't be followed by the sandbox.
    pub warnings: Vec<String>,
}

impl Confined {
    /// Tells why a later configuration can't be followed: it names files that are out of reach for good.
    pub fn reaches(&self, config: &Config) -> Result<(), String> {
        let Some(places) = &self.places else { return Ok(()) };
        let lacks: Vec<String> = places.lacks(config).iter().map(|path| path.display().to_string()).collect();
        let read = (!lacks.is_empty()).then(|| {
            format!(
                "out of reach for the server that runs, which was told before it began what it may read: {}; restart it, and \
                 to go without a restart another time, write the folder into [process] read now",
                lacks.join(", ")
            )
        });
        let written = places.cannot_write(config).into_iter().map(|(option, path)| {
            format!(
                "{option}: {} is out of reach for the server that runs, which was told before it began where it may write; \
                 restart it, or write a file in the state folder",
                path.display()
            )
        });
        let told: Vec<String> = read.into_iter().chain(written).collect();
        if told.is_empty() { Ok(()) } else { Err(told.join("\n")) }
    }
}

impl fmt::Display for Confined {
    /// One line: `becomes cleandns (999); reads 7 places and writes to 2 (Landlock); 60 system calls refused (seccomp)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "became {user}; ")?,
            None if user::is_root() => f.write_str("stays root, since [process] user is empty; ")?,
            None => write!(f, "user {}; ", user::own_id())?,
        }
        match &self.sandbox {
            Some((files, calls)) => write!(f, "{files}; {calls}"),
            None => f.write_str("[process] sandbox is off"),
        }
    }
}

/// Whom the process runs as from now on.
pub struct Became(Option<String>);

/// Becomes the user of the configuration, for good, and makes the state folder. What is made from now on is that user's.
pub fn become_user(config: &Config) -> Result<Became, ConfineError> {
    keep_way_back();
    let became = user::become_configured(config)?;
    user::make_state_folder(config);
    Ok(Became(became))
}

/// Gives up what else the configuration says. What comes later, configurations included, has to do with what is left.
pub fn confine(config: &Config, Became(user): Became) -> Confined {
    let secrets = user::out_of_reach(&config.secrets);
    if !config.process.sandbox {
        return Confined { user, sandbox: None, places: None, warnings: secrets };
    }
    let mut places = Places::of(config);
    places.expect(config);
    let warnings = std::mem::take(&mut places.warnings).into_iter().chain(secrets).collect();
    let files = landlock::restrict(&places);
    // Last, since it takes from the process what the other needs.
    let calls = seccomp::restrict();
    let is_held = matches!(files, landlock::Held::Held { .. });
    Confined { user, sandbox: Some((files, calls)), places: is_held.then_some(places), warnings }
}
