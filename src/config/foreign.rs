//! Files in places where another user may put what they like, read by whoever may read more than that user: no link is
//! followed, no writer is waited for, and what was opened is what is judged.

use super::rights;
use nix::{fcntl::OFlag, sys::stat::SFlag};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Reads a plain file of at most `bytes_max` octets, and whose it is. `owners`: whose it has to be; `None`: anybody's.
/// The error says which file and why.
pub fn read(path: &Path, bytes_max: u64, owners: Option<&[u32]>) -> Result<(Vec<u8>, u32), String> {
    let (file, owner) = open_plain(path, owners)?;
    let mut octets = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut octets).map_err(|error| rights::unreadable(path, &error))?;
    match octets.len() as u64 > bytes_max {
        true => Err(unfit(path, &format!("it is larger than {bytes_max} octets"))),
        false => Ok((octets, owner)),
    }
}

/// Whether it would be read. For what others open by its name: so nobody is sent to a file of somebody else's, unless
/// it is another one a moment later.
pub fn check(path: &Path, owners: Option<&[u32]>) -> Result<(), String> {
    open_plain(path, owners).map(drop)
}

/// Opens a plain file, and tells whose it is.
fn open_plain(path: &Path, owners: Option<&[u32]>) -> Result<(File, u32), String> {
    let failed = |error: io::Error| match path.is_symlink() {
        true => unfit(path, "it is a link, which could lead to any file"),
        false => rights::unreadable(path, &error),
    };
    let file = open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    judge(about.mode(), about.uid(), owners).map_err(|why| unfit(path, &why))?;
    Ok((file, about.uid()))
}

fn unfit(path: &Path, why: &str) -> String {
    format!("{} isn't read: {why}", path.display())
}

/// Opens a file, be it plain or not.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Whether a file of this mode, kind included, and owner is read.
fn judge(mode: u32, owner: u32, owners: Option<&[u32]>) -> Result<(), String> {
    if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err("it is no plain file".to_owned());
    }
    let Some(owners) = owners.filter(|owners| !owners.contains(&owner)) else { return Ok(()) };
    let names: Vec<String> = owners.iter().map(|owner| rights::user(*owner)).collect();
    Err(format!("it is {}'s, and what names it is {}'s", rights::user(owner), names.join("'s or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn a_file_is_plain_and_of_whom_it_should_be() {
        const SERVICE: u32 = 65_533;
        let (plain, of_service) = (0o100_600, Some(&[SERVICE][..]));
        for (mode, owner, owners, why) in [
            (plain, SERVICE, of_service, None),
            (plain, SERVICE, Some(&[0, SERVICE][..]), None),
            (plain, 0, None, None),
            (plain, 65_534, of_service, Some("it is ")),
            (plain, 0, of_service, Some("it is root (0)'s, and what names it is user 65533's")),
            (0o040_700, SERVICE, of_service, Some("no plain file")),
            (0o010_600, SERVICE, of_service, Some("no plain file")),
            (0o020_600, SERVICE, None, Some("no plain file")),
            (0o060_600, SERVICE, None, Some("no plain file")),
            (0o120_777, SERVICE, None, Some("no plain file")),
            (0o140_777, SERVICE, None, Some("no plain file")),
        ] {
            let judged = judge(mode, owner, owners).err();
            let is_so = judged.as_deref().map(|told| why.is_some_and(|why| told.contains(why)));
            assert_eq!(is_so, why.map(|_| true), "{mode:o} {owner}: {judged:?}");
        }
    }

    #[test]
    fn no_link_is_followed_and_no_writer_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plain"), "0123456789").unwrap();
        symlink(at("plain"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let owner = fs::metadata(at("plain")).unwrap().uid();
        assert_eq!(read(&at("plain"), 10, Some(&[owner])), Ok((b"0123456789".to_vec(), owner)));
        for (name, bytes_max, owners, why) in [
            ("plain", 9, None, "plain isn't read: it is larger than 9 octets"),
            ("plain", 10, Some(&[owner + 1][..]), "and what names it is "),
            ("link", 10, None, "link isn't read: it is a link"),
            ("pipe", 10, None, "pipe isn't read: it is no plain file"),
            (".", 10, None, "it is no plain file"),
            ("none", 10, None, "none can't be read: No such file"),
        ] {
            let told = read(&at(name), bytes_max, owners).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
