//! The versions that lists are held at, as it is written down at this moment: while one process takes over from another
//! on the same state folder, each knows of what the other changed only a little later.

use crate::config::overlay::{Entry, FILE_NAME, LAST_GOOD_NAME, OVERLAY_BYTES_MAX, Overlay};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What the overlay in a state folder holds any list at; where that can't be read, what its last good copy does.
pub fn pinned_now(state_dir: &Path) -> HashSet<u64> {
    let overlay = [FILE_NAME, LAST_GOOD_NAME].into_iter().find_map(|name| match read(&state_dir.join(name)) {
        Ok(text) => Overlay::read(&text).ok(),
        Err(error) => (error.kind() == io::ErrorKind::NotFound).then(Overlay::default),
    });
    let versions = |overlay: &Overlay| {
        let entries = overlay.entries().filter_map(|(_, entry)| match entry {
            Entry::Pin(pin) => Some(pin.number()),
            _ => None,
        });
        entries.collect()
    };
    overlay.as_ref().map(versions).unwrap_or_default()
}

/// One that is too long can't be read as an overlay either.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(OVERLAY_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_written_down_counts_and_else_what_last_was() {
        let folder = tempfile::tempdir().unwrap();
        let pin = |version: &str| format!("[[pin]]\nlist = 'p/a.list'\nversion = '{version}'\n");
        let (one, other) = (pin("00000000000000aa"), pin("00000000000000bb"));
        for (own, last_good, expected) in [
            (None, Some(&*other), vec![]),
            (Some(""), Some(&other), vec![]),
            (Some(&*one), Some(&other), vec![0xaa]),
            (Some("[["), Some(&other), vec![0xbb]),
            (Some("[["), None, vec![]),
            (Some("[["), Some("[["), vec![]),
        ] {
            for (name, text) in [(FILE_NAME, own), (LAST_GOOD_NAME, last_good)] {
                let path = folder.path().join(name);
                let _ = fs::remove_file(&path);
                text.into_iter().for_each(|text| fs::write(&path, text).unwrap());
            }
            assert_eq!(pinned_now(folder.path()), HashSet::from_iter(expected), "{own:?} {last_good:?}");
        }
    }
}
