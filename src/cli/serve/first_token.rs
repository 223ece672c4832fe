//! The token that a server makes when it starts for the first time where others can reach its pages.

use super::super::Failure;
use crate::{
    admin::token,
    config::{self, Config, Origin, rights},
};
use nix::unistd::geteuid;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Makes the token that is asked for and isn't there, and has the configuration know it. Returns its file; `None`: there is
/// one, or none is asked for.
pub fn make(config: &mut Config) -> Result<Option<PathBuf>, Failure> {
    let state = config.state_dir.clone();
    let Some(admin) = &mut config.admin else { return Ok(None) };
    let Some(file) = admin.token_to_make().map(Path::to_owned) else { return Ok(None) };
    let made = match token::write_new(&file, None) {
        // Another server of this configuration starts at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            config::token::read(&file).map_err(io::Error::other)
        }
        made => made,
    };
    let is_of_state = file.parent().is_some_and(|folder| state.as_deref() == Some(folder));
    let token = made.map_err(|error| Failure::Configuration(cannot(&file, is_of_state, &error)))?;
    admin.token = Some(token);
    Ok(Some(file))
}

fn cannot(file: &Path, is_of_state: bool, error: &io::Error) -> String {
    let (shown, own) = (file.display(), rights::user(geteuid().as_raw()));
    let folder = file.parent().unwrap_or(Path::new("/"));
    let about =
        folder.metadata().map(|about| format!(" (its folder is {})", rights::whose(&about))).unwrap_or_default();
    let to_do = match is_of_state {
        true => format!(
            "have root run `install -d -o {} -m 0750 {}`, or name a file that `cleandns admin token new FILE` makes",
            geteuid(),
            folder.display()
        ),
        false => format!("have root run `cleandns admin token new {shown}`, or leave it empty for one in [state] dir"),
    };
    format!("admin.token_file: {shown} isn't there, and {own} can't make it: {error}{about}; {to_do}")
}

/// How a person gets to see the token.
pub fn how_to_see(config: &Config) -> String {
    let with = match &config.origin {
        Origin::File(path) => format!("--config {} ", path.display()),
        Origin::Embedded => String::new(),
    };
    format!("`cleandns {with}admin token show` prints it")
}
