//! Where the running server is asked: where it listens and records, whatever has become of the configuration on disk since
//! it started.

use super::{Absent, Failure, warn, with_world};
use crate::{
    app::{self, Whereabouts},
    config::{
        Admin, AdminTls, Config, Problem, Problems, TOKEN_FILE_NAME, ToAsk, foreign, to_ask,
        token::{self, Known},
    },
};
use nix::unistd::geteuid;
use std::{
    env,
    path::{Path, PathBuf},
};

/// Where the service and the image keep state. Who asks them has mostly another surrounding, which names another folder.
const STATE_OF_SERVICE: &str = "/var/lib/cleandns";

/// How the running server is asked.
pub struct Asked {
    /// With the addresses at which it listens.
    pub config: Config,
    /// As it is on disk, where that says otherwise: what the server told last may be of one that has crashed.
    pub or: Option<Config>,
    /// Why it may be elsewhere, if nothing says where it is.
    pub unseen: Option<String>,
    /// The user who says where it records, where that isn't what the configuration says.
    names_database: Option<u32>,
}

impl Asked {
    /// The configuration, for whoever reads what is recorded where that says. What the server's user names may be any
    /// file of this machine; root's word is as good as the configuration's.
    pub fn into_readable(self) -> Result<Config, Failure> {
        if let (Some(owner), Some(path)) = (self.names_database, &self.config.query_log.database)
            && path.symlink_metadata().is_ok()
        {
            let own = [owner];
            let owners = (owner != 0).then_some(&own[..]);
            let unfit = |why| Failure::Other(format!("{why}; if it is meant, name it by --source"));
            foreign::check(path, owners).map_err(unfit)?;
        }
        Ok(self.config)
    }
}

/// Finds the running server. A configuration that can't be used is told, and is an error only if nobody knows where to ask.
pub fn find(file: Option<&Path>) -> Result<Asked, Failure> {
    let ToAsk { mut config, problems, names_addresses } = read(file)?;
    let told = state_folders(&config).find_map(|folder| Some((Whereabouts::told(&folder, &config.origin)?, folder)));
    if told.is_none() && !names_addresses && !problems.is_empty() {
        return Err(Failure::Configuration(Problems(problems).to_string()));
    }
    problems.iter().for_each(|problem| warn(&problem.to_string()));
    if !problems.is_empty() {
        warn("no server would start with the configuration as it is on disk; the one that runs is asked");
    }
    let Some(((told, owner), folder)) = told else {
        // A server that nothing tells of would have left these out, too.
        config.listen.do53 = app::heard(&config).addresses;
        look_for_token(&mut config);
        let usual = with_world(Absent::Fine, |world| Ok(world.state_folder())).ok().flatten();
        let user = env::var("SUDO_USER").ok().filter(|_| geteuid().is_root());
        let unseen = of_another_user(user.as_deref(), config.state_dir.as_deref(), usual.as_deref());
        return Ok(Asked { config, or: None, unseen, names_database: None });
    };
    config.state_dir = Some(folder);
    let is_known = |path: &Path| config.query_log.database.as_deref().is_some_and(|own| is_same(own, path));
    let names_database = told.database.as_deref().filter(|path| !is_known(path)).map(|_| owner);
    let running = at(&config, told, owner);
    let is_elsewhere = running.listen.do53 != config.listen.do53;
    Ok(Asked { config: running, or: (is_elsewhere && names_addresses).then_some(config), unseen: None, names_database })
}

/// That root, whom a user became by sudo, looks into a state folder of its own, unless one is named. That user's isn't looked
/// into: what is there would have root send questions wherever that user likes, and more.
fn of_another_user(user: Option<&str>, state: Option<&Path>, usual: Option<&Path>) -> Option<String> {
    let user = user.filter(|user| !matches!(*user, "" | "root"))?;
    let own = usual.filter(|usual| state == Some(*usual))?.display();
    Some(format!(
        "if {user} started the server, run this as {user}, without sudo: as root it is looked for in {own}, and not where \
         {user}'s keeps its state; or name that folder in [state] dir"
    ))
}

/// Reads a configuration of which one section alone is wanted. What is wrong elsewhere is told, and no error.
pub fn read_section(file: Option<&Path>, section: &str) -> Result<Config, Failure> {
    let ToAsk { config, problems, .. } = read(file)?;
    // What isn't of an option may be of any.
    let is_within =
        |problem: &Problem| problem.option.split('.').next().is_none_or(|of| of.is_empty() || of == section);
    if problems.iter().any(is_within) {
        return Err(Failure::Configuration(Problems(problems).to_string()));
    }
    problems.iter().for_each(|problem| warn(&problem.to_string()));
    Ok(config)
}

fn read(file: Option<&Path>) -> Result<ToAsk, Failure> {
    let read = with_world(Absent::Fine, |world| Ok(to_ask(file, world)));
    read.map_err(|problems| Failure::Configuration(problems.to_string()))
}

/// A configuration with the addresses that a server has told, as the user `owner`, and where it records.
fn at(config: &Config, told: Whereabouts, owner: u32) -> Config {
    let mut config = config.clone();
    (config.listen.do53, config.listen.proxies) = (told.dns, told.proxies);
    config.query_log.database = told.database.or(config.query_log.database);
    let admin = config.admin.take();
    config.admin = told.http.map(|http| {
        let tls = http.tls.map(|tls| AdminTls { cert: tls.cert, key: tls.key });
        let mut admin = admin.unwrap_or_else(|| Admin::plain(http.listen));
        // What the configuration names is known already; what that user names may be any file of this machine.
        let is_known = |file: &PathBuf| admin.token.is_some() && admin.token_file.as_ref() == Some(file);
        if let Some(file) = http.token_file.filter(|file| !is_known(file)) {
            let read = token::read_told(&file, owner);
            admin = admin.with_token(Known::new(file, read));
        }
        Admin { listen: http.listen, tls, ..admin }
    });
    config
}

/// Whether both are one file, by whatever names.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    one == other || whole(one).is_some_and(|one| Some(one) == whole(other))
}

/// Where the state may be of a server with a configuration.
pub(super) fn state_folders(config: &Config) -> impl Iterator<Item = PathBuf> {
    let own = config.state_dir.clone().into_iter();
    own.chain([PathBuf::from(STATE_OF_SERVICE)])
}

/// A token that no option names is in the state folder, which whoever asks may know by another name than the server.
fn look_for_token(config: &mut Config) {
    let folders: Vec<PathBuf> = state_folders(config).collect();
    let own = config.state_dir.as_ref().map(|folder| folder.join(TOKEN_FILE_NAME));
    let Some(admin) = config.admin.as_mut().filter(|admin| admin.token_file == own) else { return };
    if admin.token.is_some() || (admin.token_file.is_none() && !admin.is_unguarded()) {
        return;
    }
    let mut files = folders.iter().map(|folder| folder.join(TOKEN_FILE_NAME));
    let Some(file) = files.find(|file| file.symlink_metadata().is_ok()) else { return };
    let read = token::read_in_state(&file);
    *admin = admin.clone().with_token(Known::new(file, read));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_by_sudo_is_told_of_the_user_they_were() {
        let (usual, other) = (Some(Path::new("/root/.local/state/cleandns")), Some(Path::new("/var/lib/cleandns")));
        let told = of_another_user(Some("joe"), usual, usual).unwrap();
        assert!(told.starts_with("if joe started the server, run this as joe, without sudo: as root"), "{told}");
        for (user, state, usual) in [
            (None, usual, usual),
            (Some(""), usual, usual),
            (Some("root"), usual, usual),
            (Some("joe"), other, usual),
            (Some("joe"), None, None),
        ] {
            assert_eq!(of_another_user(user, state, usual), None, "{user:?} {state:?}");
        }
    }
}
