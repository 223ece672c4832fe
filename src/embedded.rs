//! The configuration and lists inside the binary, for one that has no file beside it.

use rust_embed::RustEmbed;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

#[derive(RustEmbed)]
#[folder = "blocklists/"]
#[prefix = "blocklists/"]
struct Blocklists;

/// Of its folder nothing else is of use inside the binary.
const CONFIGURATION: (&str, &[u8]) = ("config/cleandns.toml", include_bytes!("../config/cleandns.toml"));

/// Lists that a command makes for itself, where a server would have written files: a command leaves none behind.
static MADE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

fn made() -> MutexGuard<'static, BTreeMap<String, String>> {
    MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Has a list be found as if it were inside the binary.
pub fn add(path: String, text: String) {
    made().insert(path, text);
}

/// The text of a file by its path in the project, such as `config/cleandns.toml`.
pub fn read(path: &str) -> Option<Cow<'static, [u8]>> {
    let (configuration, text) = CONFIGURATION;
    if path == configuration {
        return Some(Cow::Borrowed(text));
    }
    let made = || made().get(path).map(|text| Cow::Owned(text.clone().into_bytes()));
    Blocklists::get(path).map(|file| file.data).or_else(made)
}

/// The paths of all files.
pub fn paths() -> Vec<String> {
    Blocklists::iter().map(Cow::into_owned).chain([CONFIGURATION.0.to_owned()]).chain(made().keys().cloned()).collect()
}
