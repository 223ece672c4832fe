//! The files that a configuration is made of: the one that is named or found, and those in `conf.d` beside it.

use super::super::Origin;
use std::{fs, path::PathBuf};

/// The folder beside the configuration file whose files are read after it.
const FOLDER: &str = "conf.d";

/// That folder, whether or not it is there; `None`: there is no file that it could be beside.
pub fn folder_of(origin: &Origin) -> Option<PathBuf> {
    match origin {
        Origin::File(path) => Some(path.parent()?.join(FOLDER)),
        Origin::Embedded => None,
    }
}

/// True for the names of files in `conf.d` that are read.
pub fn is_part(name: &str) -> bool {
    name.ends_with(".toml") && !name.starts_with(['.', '#', '~'])
}

/// All files, in the order in which they are read.
pub fn files_of(origin: &Origin) -> Vec<PathBuf> {
    let Origin::File(path) = origin else { return Vec::new() };
    let items = folder_of(origin).and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let parts = items.filter(|item| item.file_name().to_str().is_some_and(is_part)).map(|item| item.path());
    // Links are followed: a ConfigMap's files are links to the present version's.
    let mut parts: Vec<PathBuf> = parts.filter(|path| !path.is_dir()).collect();
    parts.sort();
    std::iter::once(path.clone()).chain(parts).collect()
}
