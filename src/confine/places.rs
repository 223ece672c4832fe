//! Which files a server reads and writes, and so which folders it needs: lists are replaced by renaming, and folders by
//! others, so that it is the folders around them that count.

use crate::config::{Config, DnstapTarget, ListSource, Location, Origin};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Links followed on the way to a file: as many as Linux follows.
const LINKS_MAX: usize = 40;
/// What is told of this process and the machine, without which metrics and drops are missing, and how many processors
/// there are; and what libraries read whenever they like.
const OF_THE_SYSTEM: [&str; 6] =
    ["/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/dev/random", "/dev/urandom", "/dev/null"];
/// What is read to find the address of a host that the configuration names: the system's resolver, whose settings are
/// replaced by renaming, and whose parts may be loaded only then.
const TO_LOOK_UP_HOSTS: [&str; 6] =
    ["/etc", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/usr/lib", "/lib"];
/// Folders that many programs have their files in. A configuration's relative paths may start in the folder above its own,
/// but not every file there is any of our business.
const OF_EVERYBODY: [&str; 14] = [
    "/",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/lib",
    "/var/tmp",
];

/// What is within reach.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Places {
    /// Files and folders with all below them.
    pub read: BTreeSet<PathBuf>,
    /// Folders in which files may also be made, changed and removed; or files that may be written.
    pub write: BTreeSet<PathBuf>,
    /// What can't be followed.
    pub warnings: Vec<String>,
}

impl Places {
    /// What a server by this configuration needs. Looks at links on disk, and at nothing else.
    pub fn of(config: &Config) -> Self {
        let mut places = Self::default();
        places.of_configuration(config);
        places.of_lists(config);
        let files = [&config.resolve.root_hints, &config.resolve.trust_anchors, &config.policy.asn_db];
        let files = files.into_iter().flatten().chain(&config.policy.country_db).chain(&config.local.hosts);
        let of_admin = config.admin.iter().flat_map(|admin| {
            let tls = admin.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
            admin.users_file.iter().chain(tls)
        });
        let files = files.chain(&config.secrets).chain(of_admin);
        files.for_each(|file| places.around(file));
        places.of_recording(config);
        written(config).for_each(|(_, file)| places.beside(file));
        places.read.extend(config.process.read.iter().cloned());
        places.read.extend(OF_THE_SYSTEM.map(PathBuf::from));
        // A fault is told with the names of its functions.
        places.read.extend(std::env::current_exe().ok());
        places
    }

    /// The paths that a configuration needs to read, and that are out of reach.
    pub fn lacks(&self, config: &Config) -> Vec<PathBuf> {
        let reach = |path: &PathBuf| self.read.iter().chain(&self.write).any(|place| path.starts_with(place));
        Self::of(config).read.into_iter().filter(|path| !reach(path)).collect()
    }

    /// The files that it writes to, and that are so, each with its option.
    pub fn cannot_write(&self, config: &Config) -> Vec<(&'static str, PathBuf)> {
        let named = written(config).map(|(option, path)| (option, path.clone()));
        named.filter(|(_, path)| !self.write.iter().any(|place| path.starts_with(place))).collect()
    }

    /// Adds where lists may come that aren't there: into the nearest folder that is, or over it by a mount if it is empty. Of
    /// a later configuration this is not asked.
    pub fn expect(&mut self, config: &Config) {
        let on_disk = lists(config).filter_map(|list| match &list.location {
            Location::File(path) | Location::Folder(path) if !path.exists() => Some(path),
            _ => None,
        });
        let is_top = |folder: &&Path| folder.parent().is_none();
        for folder in on_disk.filter_map(|path| path.ancestors().find(|path| path.is_dir())) {
            let is_empty = fs::read_dir(folder).is_ok_and(|mut items| items.next().is_none());
            let around = folder.parent().filter(|_| is_empty);
            self.read
                .extend([Some(folder), around].into_iter().flatten().filter(|own| !is_top(own)).map(Path::to_owned));
        }
    }

    /// The configuration's file with what lies beside it: other parts of it, secrets, lists.
    fn of_configuration(&mut self, config: &Config) {
        let Origin::File(file) = &config.origin else { return };
        self.around(file);
        let above = file.parent().and_then(Path::parent).map(Path::to_owned);
        self.read.extend(above.filter(|above| !OF_EVERYBODY.iter().any(|folder| above == Path::new(folder))));
    }

    fn of_lists(&mut self, config: &Config) {
        for list in lists(config) {
            match &list.location {
                Location::File(path) | Location::Folder(path) => self.around(path),
                Location::Embedded(_) | Location::Url(_) => {}
            }
            list.ca_file.iter().for_each(|file| self.around(file));
            // What is in the folder may lie elsewhere.
            if let Location::Folder(folder) = &list.location {
                let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path());
                files.filter(|file| file.is_symlink()).for_each(|file| self.around(&file));
                self.read.insert(folder.clone());
            }
        }
        let is_remote = |list: &ListSource| matches!(list.location, Location::Url(_));
        if config.state_dir.is_none() && lists(config).any(is_remote) {
            self.write.insert(std::env::temp_dir());
        }
    }

    /// The state folder, and what it takes to send queries elsewhere.
    fn of_recording(&mut self, config: &Config) {
        self.write.extend(config.state_dir.clone());
        let log = &config.query_log;
        // A connection to a socket that is a file asks no leave here.
        let sends = log.dnstap.as_ref().is_some_and(|dnstap| matches!(dnstap.to, DnstapTarget::Tcp(_)));
        if sends || log.clickhouse.is_some() {
            self.read.extend(TO_LOOK_UP_HOSTS.map(PathBuf::from));
        }
    }

    /// A file that is written, beside which others are.
    fn beside(&mut self, file: &Path) {
        let is_plain = fs::metadata(file).map_or(true, |about| about.is_file());
        if !is_plain {
            // A pipe, or a device: it is there, and stays.
            self.write.insert(file.to_owned());
        }
        let folder = file.parent().filter(|folder| folder.parent().is_some() && !folder.starts_with("/dev"));
        self.write.extend(folder.map(Path::to_owned));
    }

    /// The folder that something lies in, and those of every link on the way to it, since it is there that another may
    /// take its place.
    fn around(&mut self, path: &Path) {
        let mut rest = vec![std::path::absolute(path).unwrap_or_else(|_| path.to_owned())];
        let mut links_left = LINKS_MAX;
        while let Some(path) = rest.pop() {
            self.folder_of(&path);
            for prefix in path.ancestors().filter(|prefix| prefix.parent().is_some()) {
                let Ok(target) = fs::read_link(prefix) else { continue };
                let Some(left) = links_left.checked_sub(1) else { return };
                links_left = left;
                let target = prefix.parent().unwrap_or(Path::new("/")).join(target);
                // Another version may stand beside the one that the link leads to now.
                self.folder_of(&target);
                let below = path.strip_prefix(prefix).unwrap_or(Path::new(""));
                rest.push(if below.as_os_str().is_empty() { target } else { target.join(below) });
            }
        }
    }

    /// The folder that something lies in, or else itself: not all there is, because it lies at the very top.
    fn folder_of(&mut self, path: &Path) {
        match path.parent() {
            Some(folder) if folder.parent().is_some() => drop(self.read.insert(folder.to_owned())),
            _ => {
                if self.read.insert(path.to_owned()) {
                    self.warnings.push(format!(
                        "{} lies at the top of all folders: what is put in its place later can't be read before a restart, \
                         unless [process] sandbox is false; better move it into a folder",
                        path.display()
                    ));
                }
            }
        }
    }
}

/// All lists of a configuration.
fn lists(config: &Config) -> impl Iterator<Item = &ListSource> {
    let of_programs = config.programs.iter().flat_map(|program| program.lists.iter().chain(&program.exceptions));
    of_programs.chain(config.exceptions.iter().flat_map(|exception| &exception.lists))
}

/// The files that a configuration names to be written, each with its option.
fn written(config: &Config) -> impl Iterator<Item = (&'static str, &PathBuf)> {
    let log = &config.query_log;
    let named = [
        ("query_log.path", log.database.as_ref()),
        ("query_log.json.to", log.json.as_ref().and_then(|json| json.to.file())),
        ("query_log.dnstap.to", log.dnstap.as_ref().and_then(|dnstap| dnstap.to.file())),
        ("admin.audit", config.admin.as_ref().and_then(|admin| admin.audit.as_ref())),
    ];
    named.into_iter().filter_map(|(option, file)| Some((option, file?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Embedded, World, read};
    use std::{borrow::Cow, os::unix::fs::symlink};

    fn places(folder: &Path, toml: &str) -> Places {
        places_of(&configure(folder, toml))
    }

    fn places_of(config: &Config) -> Places {
        let mut places = Places::of(config);
        places.read.retain(|place| !OF_THE_SYSTEM.iter().any(|own| place == Path::new(own)));
        places.read.remove(&std::env::current_exe().unwrap());
        places
    }

    fn configure(folder: &Path, toml: &str) -> Config {
        let embedded = Embedded { read: &|_| None, paths: &|| vec![Cow::from("blocklists/a")] };
        let world = World { state_directory: Some(folder.join("state")), ..World::of_process(embedded).unwrap() };
        let toml = format!("{toml}\n[[program]]\nname = \"p\"\nlists = [{{ path = \"lists\" }}]\n");
        let origin = Origin::File(folder.join("conf/cleandns.toml"));
        read(&toml, origin, &world).unwrap_or_else(|problems| panic!("{problems}")).config
    }

    #[test]
    fn what_is_read_and_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["conf", "conf/lists", "elsewhere/v1", "secrets", "hosts.d"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("secrets/token"), "s3cret-of-the-owner").unwrap();
        fs::write(at("hosts.d/hosts"), "").unwrap();
        fs::write(at("elsewhere/v1/a.list"), "a.example").unwrap();
        symlink("v1", at("elsewhere/current")).unwrap();
        symlink(at("elsewhere/current/a.list"), at("conf/lists/a.list")).unwrap();
        let toml = format!(
            "admin.token_file = \"{}\"\nlocal.hosts = [\"{}\"]\n[query_log]\njson.to = \"/var/log/x/q.json\"\ndnstap.to = \
             \"tcp:collector.example:6000\"\n",
            at("secrets/token").display(),
            at("hosts.d/hosts").display()
        );
        let found = places(folder.path(), &toml);
        // The folder above the configuration's, which relative paths may start in; those of links on the way.
        let own = ["conf", "conf/lists", "elsewhere", "elsewhere/current", "elsewhere/v1", "hosts.d", "secrets", ""];
        let own = own.map(|path| if path.is_empty() { folder.path().to_owned() } else { at(path) });
        assert_eq!(found.read, own.into_iter().chain(TO_LOOK_UP_HOSTS.map(PathBuf::from)).collect());
        assert_eq!(found.write, [at("state"), "/var/log/x".into()].into());
        assert_eq!(found.warnings, [""; 0]);
    }

    /// A share that is mounted later is read then, whether its folder is there or not.
    #[test]
    fn where_lists_may_come_is_within_reach() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["conf/lists", "shares/of-lists", "made/other"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        let mut config = configure(folder.path(), "");
        let list = config.programs[0].lists[0].clone();
        let of = |path| ListSource { location: Location::Folder(path), ..list.clone() };
        config.programs[0].lists =
            vec![of(at("shares/of-lists/mine/lists")), of(at("made/later")), of("/nowhere".into())];
        let before = Places::of(&config);
        let mut places = before.clone();
        places.expect(&config);
        let more: Vec<_> = places.read.difference(&before.read).collect();
        assert_eq!(more, [&at("shares"), &at("shares/of-lists")], "{before:?}");
        // Where all are there, nothing is added.
        let config = configure(folder.path(), "");
        let mut places = Places::of(&config);
        places.expect(&config);
        assert_eq!(places, Places::of(&config));
    }

    #[test]
    fn what_a_later_configuration_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let (other, above) = (tempfile::tempdir().unwrap(), folder.path().join("hosts"));
        fs::create_dir_all(folder.path().join("conf/lists")).unwrap();
        let far = other.path().join("hosts");
        [&above, &far].iter().for_each(|file| fs::write(file, "").unwrap());
        let now = Places::of(&configure(folder.path(), ""));
        let lacks = |file: &Path| now.lacks(&configure(folder.path(), &format!("local.hosts = [{file:?}]")));
        assert_eq!(lacks(&above), [""; 0].map(PathBuf::from));
        assert_eq!(lacks(&far), [other.path()]);
        // What may be read may not be written to for that.
        let writes =
            |file: &Path| now.cannot_write(&configure(folder.path(), &format!("query_log.json.to = {file:?}")));
        assert_eq!(writes(&folder.path().join("state/q.json")), []);
        let q = folder.path().join("q.json");
        assert_eq!(writes(&q), [("query_log.json.to", q.clone())]);
    }
}
