//! Files of tokens, and what is one. A file that the configuration names is read as its writer wants it; one that the
//! server's user named or put there only if it is that user's own, for whoever asks sends it where that user says.

use super::{file::read_bounded, foreign};
use nix::unistd::geteuid;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Octets of a token file: what fits into a request's header with room to spare.
const BYTES_MAX: u64 = 4096;
/// And at least: whoever guesses so many letters and digits guesses for ever.
const BYTES_MIN: usize = 16;

/// Reads a file that the configuration names.
pub fn read(path: &Path) -> Result<String, String> {
    of_octets(path, &read_bounded(path, BYTES_MAX)?)
}

/// Reads a file that something of this user's names.
pub fn read_told(path: &Path, owner: u32) -> Result<String, String> {
    let (octets, _) = foreign::read(path, BYTES_MAX, Some(&[owner]))?;
    of_octets(path, &octets)
}

/// Reads a file that nobody named and that is in a state folder.
pub fn read_in_state(path: &Path) -> Result<String, String> {
    // One that isn't there has no file in it either, which is told then.
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok()).map_or(0, |about| about.uid());
    let owners = owners_in(folder, geteuid().as_raw());
    let (octets, _) = foreign::read(path, BYTES_MAX, Some(&owners))?;
    of_octets(path, &octets)
}

/// Whose a token may be in a folder of this owner's: root's folder may be lent to a server by its group, as in Kubernetes,
/// and whoever asks is that server's user then.
fn owners_in(folder: u32, asks: u32) -> Vec<u32> {
    match folder == 0 && asks != 0 {
        true => vec![folder, asks],
        false => vec![folder],
    }
}

/// The token that a file holds: one line of visible ASCII, as it stands in an HTTP header.
fn of_octets(path: &Path, octets: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(octets).map(str::trim) {
        Ok(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(no_token(path)),
        Ok(token) if token.len() < BYTES_MIN => Err(format!(
            "{0} holds a token of {1} signs, which can be guessed; it needs at least {BYTES_MIN}: remove the file, and \
             have `cleandns admin token new {0}` make one",
            path.display(),
            token.len()
        )),
        Ok(token) => Ok(token.to_owned()),
        Err(_) => Err(no_token(path)),
    }
}

fn no_token(path: &Path) -> String {
    format!(
        "{} holds no token; write one line of letters and digits into it, such as `openssl rand -hex 32` prints",
        path.display()
    )
}

/// What is known of a token where its file is known.
#[derive(Default)]
pub struct Known {
    pub file: Option<PathBuf>,
    pub token: Option<String>,
    /// Why it isn't known though there is something in the file's place.
    pub unread: Option<String>,
}

impl Known {
    /// Of a file, and what came of reading it.
    pub fn new(file: PathBuf, read: Result<String, String>) -> Self {
        let (token, unread) = match read {
            Ok(token) => (Some(token), None),
            Err(why) => (None, Some(why)),
        };
        Self { file: Some(file), token, unread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_told_by_another_is_a_token_and_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let owner = fs::metadata(folder.path()).unwrap().uid();
        for (text, why) in [
            ("s3cret-of-the-owner\n", None),
            ("first-line-of-a-key\nsecond-line-of-it\n", Some("token holds no token; write one line")),
            ("a line of words, as in letters", Some("token holds no token")),
            ("short", Some("holds a token of 5 signs")),
            ("", Some("holds no token")),
        ] {
            fs::write(&path, text).unwrap();
            for read in [read_told(&path, owner), read_in_state(&path)] {
                match why {
                    None => assert_eq!(read.as_deref(), Ok(text.trim())),
                    Some(why) => assert!(read.as_ref().is_err_and(|told| told.contains(why)), "{read:?}"),
                }
            }
        }
        fs::write(&path, "s3cret-of-the-owner\n").unwrap();
        let told = read_told(&path, owner + 1).unwrap_err();
        assert!(told.contains("token isn't read: it is "), "{told}");
    }

    #[test]
    fn in_a_folder_of_the_service_a_token_is_the_services() {
        for (folder, asks, owners) in
            [(999, 0, &[999][..]), (999, 1000, &[999]), (0, 0, &[0]), (0, 65_532, &[0, 65_532])]
        {
            assert_eq!(owners_in(folder, asks), owners, "{folder} {asks}");
        }
    }
}
