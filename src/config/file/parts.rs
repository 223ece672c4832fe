//! The files that a configuration is made of: the one that is named or found, and those in `conf.d` beside it.

use super::{super::Origin, LINK_TO_NOTHING, world::is_absence};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

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

/// All files that a configuration is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// In the order in which they are read.
    pub paths: Vec<PathBuf>,
    /// Why there may be more of them than can be seen: `conf.d` is there, and can't be looked into.
    pub unseen: Option<String>,
}

/// All files.
pub fn files_of(origin: &Origin) -> ConfigFiles {
    let Origin::File(path) = origin else { return ConfigFiles::default() };
    let (mut parts, unseen) = match folder_of(origin).map(|folder| parts_in(&folder)) {
        Some(Ok(parts)) => (parts, None),
        Some(Err(why)) => (Vec::new(), Some(why)),
        None => (Vec::new(), None),
    };
    parts.sort();
    ConfigFiles { paths: std::iter::once(path.clone()).chain(parts).collect(), unseen }
}

/// The files in `conf.d`, in no order. Without that folder there are none; one that is there and can't be read is a
/// mistake, since what is in it would be left out without a word.
fn parts_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory => "is no folder; make it one, or give it another name".to_owned(),
        io::ErrorKind::NotFound => LINK_TO_NOTHING.to_owned(),
        _ => format!("can't be read: {error}; let who runs cleandns read it"),
    };
    let items = match fs::read_dir(folder) {
        // A link whose target is gone is there, and so is something that stands where the folder should.
        Err(error) if is_absence(&error) && folder.symlink_metadata().is_err() => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
        Ok(items) => items,
    };
    let mut parts = Vec::new();
    for item in items {
        let item = item.map_err(unreadable)?;
        // Links are followed: a ConfigMap's files are links to the present version's.
        let name = item.file_name();
        let Some(name) = name.to_str().filter(|name| is_part(name)) else { continue };
        // What is in a folder would be left out without a word; whoever opened a pipe would wait for its writer.
        let what = match item.path().metadata() {
            Ok(about) if about.is_dir() => Some("is a folder, and only files are read"),
            Ok(about) if !about.is_file() => Some("is no plain file"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(format!("{name} in it {what}; give it another name"));
        }
        parts.push(item.path());
    }
    Ok(parts)
}
