//! Where in the folder of copies each list has its files, by what it is.

use super::super::read::{shown_version, version_of};
use std::path::{Path, PathBuf};

/// Octets of a list's own name in its copy's: file systems allow 255, and a hash and endings follow.
const NAME_BYTES_MAX: usize = 80;

pub(super) const COPY_ENDING: &str = "last-good";
pub(super) const KEPT_ENDING: &str = "good";
pub(super) const DOWNLOAD_ENDING: &str = "json";

/// The folder of copies below the state folder.
pub fn folder_in(state_dir: &Path) -> PathBuf {
    state_dir.join("lists")
}

/// Where in the folder of copies a list from `url` lies that belongs to `owner`, which each has to itself.
pub fn place_of_url(folder: &Path, url: &str, owner: &str) -> PathBuf {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(url);
    place(folder, name, format!("{owner} {url}").as_bytes())
}

/// Where the copy of the list at `path` lies.
pub(super) fn place_of_file(folder: &Path, path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    place(folder, &path.file_name().unwrap_or_default().to_string_lossy(), whole.as_os_str().as_encoded_bytes())
}

/// Where the texts kept of a list inside the binary lie.
pub(super) fn place_of_embedded(folder: &Path, path: &str) -> PathBuf {
    place(folder, path.rsplit('/').next().unwrap_or(path), format!("embedded {path}").as_bytes())
}

/// One file a list: a name for people, a hash of what it is against mistaken identity.
fn place(folder: &Path, name: &str, identity: &[u8]) -> PathBuf {
    let plain = |octet: char| octet.is_ascii_alphanumeric() || "._-".contains(octet);
    let name: String = name.chars().map(|octet| if plain(octet) { octet } else { '_' }).take(NAME_BYTES_MAX).collect();
    folder.join(format!("{name}.{}.{COPY_ENDING}", shown_version(version_of(identity))))
}

/// The path with one more ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
