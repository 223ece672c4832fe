//! Root becomes somebody else, and keeps the right to low ports alone: sockets are opened only when a policy is in force.

use super::ConfineError;
use crate::{
    accounts::{self, Account},
    config::{Config, rights},
};
use caps::{CapSet, Capability, CapsHashSet};
use nix::{
    fcntl::{AT_FDCWD, AtFlags},
    sys::prctl::set_no_new_privs,
    unistd::{
        AccessFlags, Gid, Uid, access, chown, faccessat, geteuid, getgroups, setfsgid, setfsuid, setgroups, setresgid,
        setresuid,
    },
};
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, MetadataExt},
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
    let (user, group) = configured(config, name)?;
    if geteuid() == user.id && !user.id.is_root() {
        can_write_state(config, name, &|path, flags| access(path, flags))?;
        return Ok(None);
    }
    if !is_root() {
        return Err(ConfineError::NotRoot(name.clone()));
    }
    make_state_folder_of(config, user.id, group);
    become_user(&user, group).map_err(|why| ConfineError::Become(name.clone(), why))?;
    can_write_state(config, name, &|path, flags| access(path, flags))?;
    Ok(Some(format!("{name} ({})", user.id)))
}

/// The user of the configuration, and the group.
fn configured(config: &Config, name: &str) -> Result<(Account, Gid), ConfineError> {
    let user = accounts::user(name).ok_or_else(|| ConfineError::Unknown("user", name.to_owned()))?;
    let group = match &config.process.group {
        None => user.group,
        Some(group) => accounts::group(group).ok_or_else(|| ConfineError::Unknown("group", group.clone()))?,
    };
    Ok((user, group))
}

/// What a start would stumble over here, of which nothing is done: nobody becomes anybody, and no folder is made. What it
/// would go on without is the second one.
pub(super) fn foresee(config: &Config) -> Result<Option<ConfineError>, ConfineError> {
    let own = geteuid();
    let Some(name) = &config.process.user else {
        let name = accounts::user_of(own).map_or_else(|| own.to_string(), |user| user.name);
        return Ok(foresee_state(config, &name, &|path, flags| access(path, flags)).err());
    };
    let (user, group) = configured(config, name)?;
    match own == user.id {
        true => foresee_state(config, name, &|path, flags| access(path, flags))?,
        false if own.is_root() => {
            let groups = accounts::groups_of(&user, group);
            let try_it = |path: &Path, flags| as_user(user.id, group, &groups, || tried(path, flags));
            // Root that lacks the right to be somebody else goes by what modes say.
            let may = |path: &Path, flags| try_it(path, flags).unwrap_or_else(|| may(path, flags, user.id, &groups));
            foresee_state(config, name, &may)?;
        }
        // Whoever starts it has other rights than who asks now.
        false => {}
    }
    Ok(None)
}

/// Whether the state folder can be had, and be written to by the user of the configuration. `may`: what that user may.
fn foresee_state(
    config: &Config,
    user: &str,
    may: &dyn Fn(&Path, AccessFlags) -> nix::Result<()>,
) -> Result<(), ConfineError> {
    let Some(folder) = &config.state_dir else { return Ok(()) };
    let nowhere = |why: String| ConfineError::NoState { folder: folder.display().to_string(), why };
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let is_kernels = there.canonicalize().is_ok_and(|real| ["/proc", "/sys"].iter().any(|of| real.starts_with(of)));
    if is_kernels {
        return Err(nowhere(format!("{} is the kernel's", there.display())));
    }
    if !there.is_dir() {
        return Err(nowhere(format!("{} is no folder", there.display())));
    }
    // Whoever starts it makes the folder; what is there must be the user's own to write to.
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Err(nix::Error::EROFS) => Err(nowhere(format!("{} can't be written to by anybody", there.display()))),
        Err(error) if there != folder => {
            let why = format!("{}: {error}", there.display());
            Err(ConfineError::State { folder: folder.display().to_string(), user: user.to_owned(), why })
        }
        _ if there != folder => Ok(()),
        _ => can_write_state(config, user, may),
    }
}

/// Looks with the rights that a user has to files, whatever they come from: modes, access lists, a file system that takes no
/// writing. The process is who it was before and afterwards. `None`: it may not look as that user.
fn as_user<T>(user: Uid, group: Gid, groups: &[Gid], look: impl FnOnce() -> T) -> Option<T> {
    let own_groups = getgroups().ok()?;
    setgroups(groups).ok()?;
    // The kernel takes from root with another user's files its powers over files, and gives them back.
    let (own_group, own) = (setfsgid(group), setfsuid(user));
    // To set it once more is the one way to see that it is set.
    let looked = (setfsuid(user) == user && setfsgid(group) == group).then(look);
    setfsuid(own);
    setfsgid(own_group);
    setgroups(&own_groups).ok()?;
    looked
}

/// Whether that may be done with the rights to files that this thread has now.
fn tried(path: &Path, flags: AccessFlags) -> nix::Result<()> {
    faccessat(AT_FDCWD, path, flags, AtFlags::AT_EACCESS)
}

/// Whether a user may do that, as owner, group and mode of what is there say, and of all folders that it is in. What access
/// lists say besides isn't known.
fn may(path: &Path, flags: AccessFlags, user: Uid, groups: &[Gid]) -> nix::Result<()> {
    let has = |path: &Path, wanted: u32| {
        let about = path.metadata().map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(0)))?;
        let shift = match () {
            () if about.uid() == user.as_raw() => 6,
            () if groups.iter().any(|group| group.as_raw() == about.gid()) => 3,
            () => 0,
        };
        let is_so = user.is_root() || about.mode() >> shift & wanted == wanted;
        if is_so { Ok(()) } else { Err(nix::Error::EACCES) }
    };
    let real = path.canonicalize().map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(0)))?;
    real.ancestors().skip(1).try_for_each(|folder| has(folder, 1))?;
    // As access(2) and modes number them: read 4, write 2, go through 1.
    has(&real, flags.bits() as u32)
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

/// Whether the user can write into the state folder, and to the files there, which may be root's from earlier starts. `may`:
/// what that user may.
fn can_write_state(
    config: &Config,
    user: &str,
    may: &dyn Fn(&Path, AccessFlags) -> nix::Result<()>,
) -> Result<(), ConfineError> {
    let Some(folder) = &config.state_dir else { return Ok(()) };
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path()).take(STATE_FILES_MAX);
    let writable = |path: &Path, flags| may(path, flags).map_err(|error| format!("{}: {error}", path.display()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::getegid;
    use std::os::unix::fs::PermissionsExt;

    /// As the modes say it, for who asks and for others.
    #[test]
    fn what_a_user_may() {
        let folder = tempfile::tempdir().unwrap();
        let (own, groups, other) = (geteuid(), [getegid()], Uid::from_raw(65_533));
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let enters = AccessFlags::W_OK | AccessFlags::X_OK;
        let is_open = |path: &Path| path.metadata().is_ok_and(|about| about.mode() & 0o001 != 0);
        let is_reached = folder.path().canonicalize().unwrap().ancestors().skip(1).all(is_open);
        set(0o700);
        assert_eq!(may(folder.path(), enters, own, &groups), Ok(()));
        assert_eq!(may(folder.path(), enters, other, &[]), Err(nix::Error::EACCES));
        set(0o770);
        assert_eq!(may(folder.path(), enters, other, &groups).is_ok(), is_reached);
        assert_eq!(may(folder.path(), enters, other, &[]), Err(nix::Error::EACCES));
        set(0o757);
        assert_eq!(may(folder.path(), enters, other, &[]).is_ok(), is_reached);
        assert_eq!(may(&folder.path().join("gone"), enters, own, &groups), Err(nix::Error::ENOENT));
    }

    /// Who tries it finds what modes say, and is nobody else afterwards. Root alone can.
    #[test]
    fn what_a_user_may_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let (enters, other) = (AccessFlags::W_OK | AccessFlags::X_OK, Uid::from_raw(65_533));
        let (group, foreign) = (getegid(), Gid::from_raw(65_533));
        let tried_as = |groups: &[Gid]| as_user(other, foreign, groups, || tried(folder.path(), enters));
        if !is_root() {
            assert_eq!(tried_as(&[foreign]), None);
            return;
        }
        for mode in [0o700, 0o770, 0o757, 0o755] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            for groups in [&[foreign][..], &[foreign, group]] {
                let by_mode = may(folder.path(), enters, other, groups);
                assert_eq!(tried_as(groups).unwrap_or(by_mode), by_mode, "{mode:o} {groups:?}");
            }
            assert_eq!(tried(folder.path(), enters), Ok(()), "root again");
        }
        assert!(getgroups().unwrap() != [foreign]);
    }
}
