//! The configuration and lists inside the binary, for one that has no file beside it.

use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "blocklists/"]
#[prefix = "blocklists/"]
struct Blocklists;

#[derive(RustEmbed)]
#[folder = "config/"]
#[prefix = "config/"]
struct Configuration;

/// The text of a file by its path in the project, such as `config/cleandns.toml`.
pub fn read(path: &str) -> Option<Cow<'static, [u8]>> {
    Blocklists::get(path).or_else(|| Configuration::get(path)).map(|file| file.data)
}

/// The paths of all files.
pub fn paths() -> Vec<String> {
    Blocklists::iter().chain(Configuration::iter()).map(Cow::into_owned).collect()
}
