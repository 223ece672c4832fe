//! Where lists lie, and which files are lists.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Endings of the files of a folder that are lists.
const LIST_ENDINGS: [&str; 5] = ["list", "txt", "hosts", "rpz", "zone"];

/// Where a list's text comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum ListPath {
    File(PathBuf),
    /// A url, and where what was downloaded from it lies.
    Url {
        url: String,
        file: PathBuf,
    },
    /// A file of the copy inside the binary.
    Embedded(String),
}

impl fmt::Display for ListPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url { url, .. } => f.write_str(url),
            Self::Embedded(path) => write!(f, "{path} (built in)"),
        }
    }
}

impl ListPath {
    /// True if anything stands at the path.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::File(path) => path.symlink_metadata().is_ok(),
            Self::Url { .. } | Self::Embedded(_) => false,
        }
    }

    /// The fewest last parts of the path that no other path ends with.
    pub fn shortest_tail_unlike(&self, others: &[&Self]) -> String {
        let text = |path: &Self| match path {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Url { url: path, .. } | Self::Embedded(path) => path.clone(),
        };
        let own = text(self);
        let others: Vec<String> = others.iter().map(|other| text(other)).collect();
        let tails = own.rmatch_indices('/').map(|(at, _)| &own[at + 1..]);
        let is_unlike = |tail: &&str| !others.iter().any(|other| *other != own && other.ends_with(&format!("/{tail}")));
        { tails }.find(is_unlike).unwrap_or(&own).to_owned()
    }
}

/// The list files of a folder.
pub(super) fn list_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        let is_list = item.file_name().to_str().is_some_and(is_list_name);
        // Follows links: a ConfigMap's files are links to the present version's. A link to nowhere is a list that can't
        // be read, not a list that was deleted.
        if is_list && item.path().metadata().map_or(true, |metadata| metadata.is_file()) {
            paths.push(item.path());
        }
    }
    Ok(paths)
}

/// True for names that lists have: not READMEs, hidden files or what editors leave behind.
pub fn is_list_name(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_readme = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme"));
    let is_leftover = name.starts_with(['.', '#', '~']) || name.ends_with(['~', '#']);
    LIST_ENDINGS.contains(&ending) && !is_readme && !is_leftover
}
