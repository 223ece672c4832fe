//! The configuration and lists inside the binary, for one that has no file beside it.

use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "blocklists/"]
#[prefix = "blocklists/"]
struct Blocklists;

/// Of its folder nothing else is of use inside the binary.
const CONFIGURATION: (&str, &[u8]) = ("config/cleandns.toml", include_bytes!("../config/cleandns.toml"));

/// The text of a file by its path in the project, such as `config/cleandns.toml`.
pub fn read(path: &str) -> Option<Cow<'static, [u8]>> {
    let (configuration, text) = CONFIGURATION;
    if path == configuration { Some(Cow::Borrowed(text)) } else { Blocklists::get(path).map(|file| file.data) }
}

/// The paths of all files.
pub fn paths() -> Vec<String> {
    Blocklists::iter().map(Cow::into_owned).chain([CONFIGURATION.0.to_owned()]).collect()
}
