//! Whose a file is, for people who wonder why it can't be read.

use crate::accounts;
use nix::unistd::{Uid, geteuid};
use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path};

/// Why a file can't be read, and what to do if that is for want of rights: whose it is, who asks, and the command that
/// gives it to a server that runs as whoever asks.
pub fn unreadable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    let about = path.metadata().ok().filter(|_| error.kind() == io::ErrorKind::PermissionDenied);
    let Some(about) = about else { return format!("{shown} can't be read: {error}") };
    let own = geteuid();
    let name = name_of(own).unwrap_or_else(|| own.to_string());
    format!(
        "{shown} can't be read by {}: it is {}; ask as its owner or as root, or, if the server runs as {name}, have root \
         run `chown {name} {shown}`",
        user(own.as_raw()),
        whose(&about),
    )
}

/// Whose a file is, and who else may do what with it: `root's, mode 0600`.
pub fn whose(about: &Metadata) -> String {
    format!("{}'s, mode {:04o}", user(about.uid()), about.mode() & 0o7777)
}

/// A user as people are told of one: `cleandns (999)`, or the number alone.
pub fn user(id: u32) -> String {
    name_of(Uid::from_raw(id)).map_or_else(|| format!("user {id}"), |name| format!("{name} ({id})"))
}

fn name_of(id: Uid) -> Option<String> {
    accounts::user_of(id).map(|user| user.name)
}
