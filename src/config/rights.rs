//! Whose a file is, for people who wonder why it can't be read.

use crate::accounts;
use nix::unistd::{Uid, geteuid};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// What the links lead to that Kubernetes puts where a secret is mounted, so that all of it changes at once.
const MOUNTED_BY_KUBERNETES: &str = "..data";

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

/// What to say of a secret that every user of this machine can read or change, if they can: one that lies in a folder
/// into which others may not is safe there. What Kubernetes mounts is left alone: it has modes of its own, and nobody
/// else is in there.
pub fn open_to_all(path: &Path) -> Option<String> {
    let about = path.metadata().ok().filter(|about| about.mode() & 0o006 != 0)?;
    if fs::read_link(path).is_ok_and(|target| target.starts_with(MOUNTED_BY_KUBERNETES)) {
        return None;
    }
    let real = path.canonicalize().ok()?;
    let is_open = |folder: &Path| folder.metadata().is_ok_and(|about| about.mode() & 0o001 != 0);
    if !real.ancestors().skip(1).all(is_open) {
        return None;
    }
    let what = if about.mode() & 0o002 != 0 { "changed" } else { "read" };
    let shown = real.display();
    Some(format!(
        "{shown} can be {what} by every user of this machine: it is {}; run `chmod o-rwx {shown}`, and if the server is neither \
         its owner nor of its group, have root give it to the server's user by `chown` first",
        whose(&about)
    ))
}

fn name_of(id: Uid) -> Option<String> {
    accounts::user_of(id).map(|user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_secret_that_others_can_read_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let is_open = |folder: &Path| folder.metadata().is_ok_and(|about| about.mode() & 0o001 != 0);
        if !folder.path().canonicalize().unwrap().ancestors().skip(1).all(is_open) {
            // Where temporary files are this user's alone, nobody else reaches any of it.
            return;
        }
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret-of-the-owner").unwrap();
        for (of_folder, mode, expected) in [
            (0o755, 0o600, None),
            (0o755, 0o640, None),
            (0o755, 0o660, None),
            (0o755, 0o644, Some("can be read by every user")),
            (0o755, 0o444, Some("can be read by every user")),
            (0o755, 0o606, Some("can be changed by every user")),
            (0o755, 0o602, Some("can be changed by every user")),
            (0o750, 0o644, None),
            (0o711, 0o644, Some("can be read by every user")),
        ] {
            set(folder.path(), of_folder);
            set(&path, mode);
            let told = open_to_all(&path);
            assert_eq!(told.is_some(), expected.is_some(), "{of_folder:o} {mode:o}: {told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                let chmod = format!("`chmod o-rwx {}`", path.canonicalize().unwrap().display());
                assert!(told.contains(expected) && told.contains(&chmod), "{told}");
            }
        }
        // As Kubernetes mounts it.
        set(&path, 0o644);
        let mounted = folder.path().join("mounted");
        fs::create_dir_all(mounted.join("..2026_12_01")).unwrap();
        fs::rename(&path, mounted.join("..2026_12_01/token")).unwrap();
        symlink("..2026_12_01", mounted.join("..data")).unwrap();
        symlink("..data/token", mounted.join("token")).unwrap();
        symlink("..2026_12_01/token", mounted.join("other")).unwrap();
        assert_eq!(open_to_all(&mounted.join("token")), None);
        assert!(open_to_all(&mounted.join("other")).is_some());
        assert_eq!(open_to_all(&mounted.join("none")), None);
    }
}
