//! Reads the configuration file: TOML text to a checked `Config`, or every problem in it at once.
//!
//! ```text
//! search → text → toml tree → sections, each option read and checked → checks across sections → Config
//! ```
//!
//! It looks at the paths the file names, and reads the admin token. It opens no list, creates nothing, prints nothing.

mod admin;
mod groups;
mod local;
mod policy;
mod process;
mod programs;
mod query_log;
mod reader;
mod sections;
mod text;
mod world;

pub use self::{
    text::{WORD_BYTES_MAX, duration},
    world::{CONFIG_PATH, Embedded, World},
};

use self::{reader::read_document, sections::read_config, world::is_absence};
use super::{Config, Origin, Problem, Problems, report::Report};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Octets of a configuration: people write it, so more is the wrong file.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// What is allowed and yet perhaps not meant.
    pub warnings: Vec<Problem>,
}

/// Reads `requested`, or else the first configuration found where one may be, or else the copy inside the binary.
pub fn load(requested: Option<&Path>, world: &World<'_>) -> Result<Loaded, Problems> {
    let origin = find_config(requested, world)?;
    let failed = |message: String| Problems(vec![Problem::whole_file(world.shown(&origin), message)]);
    let octets = match &origin {
        Origin::File(path) => read_bounded(path, CONFIG_BYTES_MAX).map_err(failed)?,
        Origin::Embedded => (world.embedded.read)(CONFIG_PATH).unwrap_or_default().into_owned(),
    };
    let text = String::from_utf8(octets).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&octet| octet == b'\n').count();
        failed(format!("line {line} is not UTF-8 text; save the file as UTF-8"))
    })?;
    read(&text, origin, world)
}

/// Reads the text of a configuration that came from `origin`.
pub fn read(text: &str, origin: Origin, world: &World<'_>) -> Result<Loaded, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = world.shown(&origin);
    let report = Report::new(&file, text);
    let config = read_document(text, &report, |root| read_config(root, origin, world));
    Ok(Loaded { config, warnings: report.finish()? })
}

impl Config {
    /// What an empty file means.
    pub fn default_for(world: &World<'_>) -> Self {
        read("", Origin::Embedded, world)
            .expect("defaults have no problem: nothing in them depends on the world")
            .config
    }
}

/// The file to read. One that is asked for must be there.
fn find_config(requested: Option<&Path>, world: &World<'_>) -> Result<Origin, Problems> {
    let Some(requested) = requested else {
        // A file that is there and out of reach is chosen too: reading it will say why it can't be used.
        let there = |path: &PathBuf| path.metadata().map_or_else(|error| !is_absence(&error), |about| about.is_file());
        return Ok(world.search_paths().into_iter().find(there).map_or(Origin::Embedded, Origin::File));
    };
    let path = world.current_folder.join(requested);
    match path.metadata() {
        Err(error) if is_absence(&error) => {
            let message = "there is no such file; correct --config, or leave it out to have the usual places searched";
            Err(Problems(vec![Problem::whole_file(requested.display().to_string(), message)]))
        }
        _ => Ok(Origin::File(path)),
    }
}

/// A file's octets, or what is wrong with it.
fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let read = |octets: &mut Vec<u8>| -> io::Result<()> {
        File::open(path)?.take(bytes_max + 1).read_to_end(octets)?;
        Ok(())
    };
    match read(&mut octets) {
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
        Ok(()) if octets.len() as u64 > bytes_max => {
            Err(format!("{} is larger than {bytes_max} octets", path.display()))
        }
        Ok(()) => Ok(octets),
    }
}

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
