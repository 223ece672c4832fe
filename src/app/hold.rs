//! One server alone keeps state in a folder: two would write over each other's changes and pauses. The second says so.

use super::whereabouts::Whereabouts;
use crate::listener::collide;
use std::{
    fs::{File, TryLockError, create_dir_all},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// What is locked in the folder, for as long as its server runs. It stays there, empty.
const FILE_NAME: &str = "running.lock";

/// A server's hold of its state folder.
pub(super) enum Hold {
    /// There is none.
    Nothing,
    Ours(Held),
    /// It can't be used; why.
    Unusable(String),
}

pub(super) struct Held {
    folder: PathBuf,
    file: File,
    is_ours: AtomicBool,
    /// Who had it at the start is about to leave.
    is_taken_over: bool,
    /// Where the other one answers; empty: that isn't known.
    other: String,
}

impl Hold {
    /// Takes hold of a folder, if nobody has it and it can be written to. Nobody else is kept from anything. `taken_over`:
    /// the addresses that are taken over, if any are, from whoever has them.
    pub(super) fn take(folder: Option<&Path>, taken_over: &[SocketAddr]) -> Self {
        let Some(folder) = folder else { return Self::Nothing };
        let open = || -> io::Result<File> {
            create_dir_all(folder)?;
            File::options().create(true).append(true).open(folder.join(FILE_NAME))
        };
        let file = match open() {
            Ok(file) => file,
            Err(error) => {
                return Self::Unusable(format!("the state folder {} can't be written to: {error}", folder.display()));
            }
        };
        let others = Whereabouts::in_folder(folder).map(|told| told.dns).unwrap_or_default();
        // Who answers elsewhere is somebody else, who stays. Where that isn't known, it is taken for who leaves.
        let is_left = |own: &SocketAddr| others.is_empty() || others.iter().any(|other| collide(*own, *other));
        let is_taken_over = taken_over.iter().any(is_left);
        let other = match &others[..] {
            [] => String::new(),
            others => {
                let addresses: Vec<String> = others.iter().map(ToString::to_string).collect();
                format!(", and answers on {}", addresses.join(", "))
            }
        };
        let held = Held { folder: folder.to_owned(), file, is_ours: AtomicBool::new(false), is_taken_over, other };
        held.try_again();
        Self::Ours(held)
    }

    /// That another server keeps its state there, in words.
    pub(super) fn shared(&self) -> Option<String> {
        let held = self.held().filter(|held| !held.try_again() && !held.is_taken_over)?;
        Some(format!("another server keeps its state in {} too{}", held.folder.display(), held.other))
    }

    /// That nothing can be kept there, in words.
    pub(super) fn unusable(&self) -> Option<String> {
        if let Self::Unusable(why) = self { Some(why.clone()) } else { None }
    }

    fn held(&self) -> Option<&Held> {
        if let Self::Ours(held) = self { Some(held) } else { None }
    }

    /// Leaves it to the next.
    pub(super) fn let_go(&self) {
        let ours = self.held().filter(|held| held.is_ours.swap(false, Relaxed));
        ours.into_iter().for_each(|held| drop(held.file.unlock()));
    }
}

impl Held {
    /// Whether it is ours, now that another may have left.
    fn try_again(&self) -> bool {
        self.is_ours.load(Relaxed) || {
            // Where nothing can be locked, nothing is known.
            let is_free = !matches!(self.file.try_lock(), Err(TryLockError::WouldBlock));
            self.is_ours.store(is_free, Relaxed);
            is_free
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_knows_of_the_first_until_that_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let take = |is_taken_over: bool| {
            let taken_over = is_taken_over.then(|| "127.0.0.1:53".parse().unwrap());
            Hold::take(Some(&folder), taken_over.as_slice())
        };
        let (first, second, successor) = (take(false), take(false), take(true));
        assert_eq!((first.shared(), successor.shared()), (None, None));
        let told = format!("another server keeps its state in {} too", folder.display());
        assert_eq!(second.shared(), Some(told.clone()));
        first.let_go();
        assert_eq!((second.shared(), take(false).shared()), (None, Some(told)));
        // Who goes without a word leaves nothing behind either.
        drop(second);
        assert_eq!(take(false).shared(), None);
        assert_eq!((Hold::take(None, &[]).shared(), Hold::take(None, &[]).unusable()), (None, None));
        let hold = Hold::take(Some(Path::new("/dev/null/state")), &[]);
        assert_eq!(hold.shared(), None);
        let told = hold.unusable().unwrap();
        assert!(told.starts_with("the state folder /dev/null/state can't be written to: "), "{told}");
    }
}
