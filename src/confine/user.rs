//! Root becomes somebody else, and keeps the right to low ports alone: sockets are opened only when a policy is in force.

use super::ConfineError;
use crate::{
    accounts::{self, Account},
    config::{Config, rights},
};
use caps::{CapSet, Capability, CapsHashSet};
use nix::{
    sys::prctl::set_no_new_privs,
    unistd::{AccessFlags, Gid, Uid, access, chown, geteuid, setresgid, setresuid},
};
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What root keeps.
const KEPT: Capability = Capability::CAP_NET_BIND_SERVICE;
/// Files of the state folder whose owner is looked at.
const STATE_FILES_MAX: usize = 64;
/// Nobody but the user and the group looks into the state folder.
const STATE_MODE: u32 = 0o750;

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// The number of the user it runs as.
pub(super) fn own_id() -> u32 {
    geteuid().as_raw()
}

/// Becomes the user of the configuration, for good. Returns who it became; `None` if it stayed who it was.
pub(super) fn become_configured(config: &Config) -> Result<Option<String>, ConfineError> {
    let Some(name) = &config.process.user else { return Ok(None) };
    let unknown = |kind| move || ConfineError::Unknown(kind, name.clone());
    let user = accounts::user(name).ok_or_else(unknown("user"))?;
    let group = match &config.process.group {
        None => user.group,
        Some(group) => accounts::group(group).ok_or_else(|| ConfineError::Unknown("group", group.clone()))?,
    };
    if geteuid() == user.id && !user.id.is_root() {
        can_write_state(config, name)?;
        return Ok(None);
    }
    if !is_root() {
        return Err(ConfineError::NotRoot(name.clone()));
    }
    make_state_folder_of(config, user.id, group);
    become_user(&user, group).map_err(|why| ConfineError::Become(name.clone(), why))?;
    can_write_state(config, name)?;
    Ok(Some(format!("{name} ({})", user.id)))
}

/// The order counts: what comes first needs rights that what comes later takes.
fn become_user(user: &Account, group: Gid) -> Result<(), String> {
    let failed = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
    let capabilities = |error: caps::errors::CapsError| format!("capabilities: {error}");
    let kept: CapsHashSet = match caps::has_cap(None, CapSet::Permitted, KEPT).map_err(capabilities)? {
        true => [KEPT].into(),
        false => CapsHashSet::new(),
    };
    for capability in caps::all().difference(&kept) {
        // The kernel doesn't know some, and those can't be had either.
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
    accounts::take_groups(user, group).map_err(failed("its groups"))?;
    setresgid(group, group, group).map_err(failed("its group"))?;
    caps::securebits::set_keepcaps(true).map_err(capabilities)?;
    setresuid(user.id, user.id, user.id).map_err(failed("its id"))?;
    caps::set(None, CapSet::Effective, &kept).map_err(capabilities)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(capabilities)?;
    caps::clear(None, CapSet::Inheritable).map_err(capabilities)?;
    set_no_new_privs().map_err(failed("no new privileges"))?;
    let root = Uid::from_raw(0);
    match setresuid(root, root, root) {
        Ok(()) => Err("it could become root again".to_owned()),
        Err(_) => Ok(()),
    }
}

/// Makes the state folder, if it isn't there, while there are rights to do so. One that is there is its owner's business.
fn make_state_folder_of(config: &Config, user: Uid, group: Gid) {
    let Some(folder) = config.state_dir.as_deref().filter(|folder| !folder.exists()) else { return };
    make_state_folder(config);
    // Should it fail, that shows at once: the folder can't be written to then.
    let _ = chown(folder, Some(user), Some(group));
}

/// Makes the state folder: of what isn't there, nothing can be kept within reach. A server that can't have one goes on
/// without, and says so.
pub(super) fn make_state_folder(config: &Config) {
    let Some(folder) = config.state_dir.as_deref().filter(|folder| !folder.exists()) else { return };
    let _ = folder.parent().map(fs::create_dir_all);
    let _ = DirBuilder::new().mode(STATE_MODE).create(folder);
}

/// Whether the user can write into the state folder, and to the files there, which may be root's from earlier starts.
fn can_write_state(config: &Config, user: &str) -> Result<(), ConfineError> {
    let Some(folder) = &config.state_dir else { return Ok(()) };
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path()).take(STATE_FILES_MAX);
    let writable = |path: &Path, flags| access(path, flags).map_err(|error| format!("{}: {error}", path.display()));
    let all = writable(folder, AccessFlags::W_OK | AccessFlags::X_OK)
        .and_then(|()| files.into_iter().try_for_each(|file| writable(&file, AccessFlags::W_OK)));
    all.map_err(|why| ConfineError::State { folder: folder.display().to_string(), user: user.to_owned(), why })
}

/// Which of these files root has read, and whoever it became can't read again: a configuration that changes then is refused.
pub(super) fn out_of_reach(secrets: &[PathBuf]) -> Vec<String> {
    let why = |path: &PathBuf| access(path, AccessFlags::R_OK).err().filter(|error| *error == nix::Error::EACCES);
    let told = secrets.iter().filter_map(|path| {
        let why = rights::unreadable(path, &why(path)?.into());
        Some(format!("no change of the configuration can be followed: {why}"))
    });
    told.collect()
}
