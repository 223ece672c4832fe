//! Where the configuration is looked for, and what its paths mean: what reading it depends on besides its text.
//!
//! The process's own surroundings are looked at in one place, `World::of_process`; everything else is given them.

use super::{
    super::{
        Location, Origin,
        report::{Document, DocumentKind},
    },
    text::nearest,
};
use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// Where the configuration lies below each folder that is searched, and inside the binary.
pub const CONFIG_PATH: &str = "config/cleandns.toml";
/// Where the shipped lists lie, likewise.
const LISTS_FOLDER: &str = "blocklists";
/// The same in folders that hold the configuration of many programs.
const SYSTEM_CONFIG_PATH: &str = "cleandns/cleandns.toml";
/// What the names of variables begin with that override options.
pub const OVERRIDES: &str = "CLEANDNS_";
/// Folders above the executable's that may be the root of a clone: `target/release/deps` is three below it.
const FOLDERS_ABOVE_EXECUTABLE_MAX: usize = 3;

/// What reading a configuration depends on besides its text.
#[derive(Clone)]
pub struct World<'a> {
    /// Absolute.
    pub current_folder: PathBuf,
    pub executable_folder: Option<PathBuf>,
    /// `/etc`.
    pub system_folder: PathBuf,
    /// `STATE_DIRECTORY`, as systemd sets it.
    pub state_directory: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// The name of this machine.
    pub host_name: String,
    /// Variables of the environment that override options, with their values.
    pub overrides: Vec<(String, String)>,
    /// Names of variables that begin as theirs do, and override nothing.
    pub unread: Vec<String>,
    pub embedded: Embedded<'a>,
    /// Lists and other files needn't be there: whoever only asks a running server doesn't read them.
    pub may_lack_files: bool,
    /// What serves in place of lists that aren't there.
    pub kept_lists: KeptLists<'a>,
}

/// What lay at a path (the second one) when a state folder (the first one) came by copies of it that are good still: a list
/// or a folder of them, at that path; `None`: no copy is kept.
pub type KeptLists<'a> = &'a dyn Fn(&Path, &Path) -> Option<Location>;

/// The files inside the binary.
#[derive(Clone, Copy)]
pub struct Embedded<'a> {
    /// A file's octets by its path, such as `blocklists/clean-store/tiktok.list`.
    pub read: &'a dyn Fn(&str) -> Option<Cow<'static, [u8]>>,
    /// All paths.
    pub paths: &'a dyn Fn() -> Vec<Cow<'static, str>>,
}

impl<'a> World<'a> {
    /// The surroundings of this process.
    pub fn of_process(embedded: Embedded<'a>) -> io::Result<Self> {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Ok(Self {
            current_folder: env::current_dir()?,
            executable_folder: env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned)),
            system_folder: "/etc".into(),
            state_directory: folder("STATE_DIRECTORY"),
            xdg_state_home: folder("XDG_STATE_HOME"),
            home: folder("HOME"),
            host_name: host_name(),
            overrides: overrides(env::vars_os()),
            unread: unread(env::vars_os()),
            embedded,
            may_lack_files: false,
            kept_lists: &|_, _| None,
        })
    }

    /// The files that may be the configuration when none is named, best first.
    pub fn search_paths(&self) -> Vec<PathBuf> {
        let executable_folder = self.executable_folder.as_deref();
        let above = executable_folder.into_iter().flat_map(|folder| folder.ancestors());
        let mut paths = vec![self.current_folder.join(CONFIG_PATH)];
        paths.extend(above.take(1 + FOLDERS_ABOVE_EXECUTABLE_MAX).map(|folder| folder.join(CONFIG_PATH)));
        paths.extend(
            executable_folder.and_then(Path::parent).map(|installed| installed.join("etc").join(SYSTEM_CONFIG_PATH)),
        );
        paths.push(self.system_folder.join(SYSTEM_CONFIG_PATH));
        paths
    }

    /// Where state is kept unless the configuration says so; `None`: nowhere.
    pub fn state_folder(&self) -> Option<PathBuf> {
        // systemd separates several by colons; the XDG specification has relative paths ignored.
        let of_systemd = self.state_directory.iter().flat_map(env::split_paths).next();
        let absolute = |folder: &Option<PathBuf>| folder.clone().filter(|folder| folder.is_absolute());
        of_systemd
            .or_else(|| Some(absolute(&self.xdg_state_home)?.join("cleandns")))
            .or_else(|| Some(absolute(&self.home)?.join(".local/state/cleandns")))
    }

    /// How a file is called in messages: as short as the current folder allows.
    pub fn shown(&self, origin: &Origin) -> String {
        match origin {
            Origin::File(path) => self.shown_path(path),
            Origin::Embedded => format!("built-in {CONFIG_PATH}"),
        }
    }

    pub(super) fn shown_path(&self, path: &Path) -> String {
        path.strip_prefix(&self.current_folder).unwrap_or(path).display().to_string()
    }

    /// What the environment says.
    pub(super) fn overrides(&self) -> impl Iterator<Item = Document> {
        self.overrides.iter().map(|(variable, value)| Document {
            name: format!("environment variable {variable}"),
            text: value.clone(),
            kind: DocumentKind::Variable(variable.clone()),
        })
    }

    /// What the configuration's paths are relative to.
    pub fn base(&self, origin: &Origin) -> Base<'_> {
        let folders = match origin {
            // The file's folder first, then its parent: `config/` and `blocklists/` are siblings in a clone.
            Origin::File(path) => path.ancestors().skip(1).take(2).map(Path::to_owned).collect(),
            // Lists may lie there without a configuration, and then they are meant.
            Origin::Embedded => {
                let executable = self.executable_folder.as_deref();
                let above = executable.into_iter().flat_map(Path::ancestors).take(1 + FOLDERS_ABOVE_EXECUTABLE_MAX);
                let folders = std::iter::once(self.current_folder.as_path()).chain(above);
                folders.filter(|folder| folder.join(LISTS_FOLDER).is_dir()).map(Path::to_owned).collect()
            }
        };
        let or_embedded = *origin == Origin::Embedded;
        Base {
            folders,
            or_embedded,
            embedded: self.embedded,
            may_lack_files: self.may_lack_files,
            own_folder: match origin {
                Origin::File(path) => path.parent().unwrap_or(&self.current_folder).to_owned(),
                Origin::Embedded => self.current_folder.clone(),
            },
        }
    }
}

/// The variables that override options, in the order of their names. Others that begin alike, such as those that
/// Kubernetes sets for a service called cleandns, have no two underscores.
pub(super) fn overrides(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let all = variables.map(|(name, value)| (text(name), text(value)));
    let is_ours = |name: &String| name.strip_prefix(OVERRIDES).is_some_and(|option| option.contains("__"));
    let mut own: Vec<(String, String)> = all.filter(|(name, _)| is_ours(name)).collect();
    own.sort();
    own
}

/// The other variables that begin as these do.
pub(super) fn unread(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let names = variables.map(|(name, _)| name.to_string_lossy().into_owned());
    let is_unread = |name: &String| name.strip_prefix(OVERRIDES).is_some_and(|option| !option.contains("__"));
    let mut unread: Vec<String> = names.filter(is_unread).collect();
    unread.sort();
    unread
}

/// The variable that one without two underscores was most likely meant to be, by the names of all options.
pub(super) fn meant<'o>(variable: &str, options: impl Iterator<Item = &'o String>) -> Option<String> {
    let given = variable.strip_prefix(OVERRIDES)?.to_ascii_lowercase();
    let flat: Vec<(String, &String)> =
        options.filter(|option| option.contains('.')).map(|option| (option.replace('.', "_"), option)).collect();
    let nearest = nearest(&given, flat.iter().map(|(flat, _)| flat.as_str()))?;
    let (_, option) = flat.iter().find(|(flat, _)| flat == nearest)?;
    Some(format!("{OVERRIDES}{}", option.to_ascii_uppercase().replace('.', "__")))
}

/// What this machine is called; `cleandns` if it won't say.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name: String = name.trim().chars().filter(|letter| is_plain(*letter)).take(64).collect();
    if name.is_empty() { "cleandns".to_owned() } else { name }
}

/// What relative paths are relative to.
pub struct Base<'a> {
    /// Best first.
    folders: Vec<PathBuf>,
    /// What isn't there is taken from inside the binary.
    or_embedded: bool,
    embedded: Embedded<'a>,
    may_lack_files: bool,
    /// The configuration file's folder, or the current one where there is no file.
    own_folder: PathBuf,
}

impl Base<'_> {
    /// The file or folder that is meant, or where it was looked for in vain.
    pub fn find(&self, path: &str) -> Result<Location, String> {
        if path.is_empty() {
            return Err("the path is empty; write a file's or folder's path".to_owned());
        }
        let is_nowhere = || !self.candidates(path).iter().any(|candidate| candidate.exists());
        if self.or_embedded && Path::new(path).is_relative() && is_nowhere() {
            let tidy = tidy(path).display().to_string();
            let below = format!("{tidy}/");
            let found = (self.embedded.paths)().iter().any(|path| **path == tidy || path.starts_with(&below));
            return match found {
                true => Ok(Location::Embedded(tidy)),
                false => Err(format!("there is no {path} inside this program; write an absolute path")),
            };
        }
        let candidates = self.candidates(path);
        for candidate in &candidates {
            match candidate.metadata() {
                Ok(about) if about.is_dir() => return Ok(Location::Folder(candidate.clone())),
                Ok(_) => return Ok(Location::File(candidate.clone())),
                Err(error) if is_absence(&error) => {}
                Err(error) => return Err(format!("{} can't be looked at: {error}", candidate.display())),
            }
        }
        if let (true, Some(first)) = (self.may_lack_files, candidates.first()) {
            return Ok(Location::File(first.clone()));
        }
        let looked: Vec<_> = candidates.iter().map(|path| path.display().to_string()).collect();
        Err(format!("there is no such file or folder; looked for {}", looked.join(" and ")))
    }

    /// What is meant by a path at which nothing is now, as `kept` knows of what was there, best first.
    pub fn find_kept(&self, path: &str, kept: impl Fn(&Path) -> Option<Location>) -> Option<Location> {
        let candidates = if path.is_empty() { Vec::new() } else { self.candidates(path) };
        candidates.iter().find_map(|candidate| kept(candidate))
    }

    /// The file on disk that is meant.
    pub fn find_file(&self, path: &str) -> Result<PathBuf, String> {
        match self.find(path)? {
            Location::File(path) => Ok(path),
            Location::Folder(path) => Err(format!("{} is a folder; write the path of a file", path.display())),
            Location::Embedded(_) | Location::Url(_) => {
                Err("only a file on disk will do; write an absolute path".to_owned())
            }
        }
    }

    /// The file on disk that is meant, and whether it is there. One that isn't is going to be made: beside the
    /// configuration, if it is relative, and in a folder that is there.
    pub fn found_or_made(&self, path: &str) -> Result<(PathBuf, bool), String> {
        let is_nothing = |path: &PathBuf| path.symlink_metadata().is_err_and(|error| is_absence(&error));
        let made = self.own_folder.join(tidy(path));
        let can_be_made = !path.is_empty() && made.parent().is_some_and(Path::is_dir);
        match can_be_made && self.candidates(path).iter().all(is_nothing) {
            true => Ok((made, false)),
            false => self.find_file(path).map(|file| (file, true)),
        }
    }

    /// The folder that is going to be written into, whether it is there yet or not: beside the configuration, if it is
    /// relative. What is written is looked for nowhere else: it would lie in a folder that the owner never named.
    pub fn written_folder(&self, path: &str) -> Result<PathBuf, String> {
        let folder = self.own_folder.join(tidy(path));
        match folder.is_file() {
            true => Err(format!("{} is a file; write the path of a folder", folder.display())),
            false => Ok(folder),
        }
    }

    /// The file or folder on disk that is meant.
    pub fn folder_or_file(&self, path: &str) -> Result<PathBuf, String> {
        match self.find(path)? {
            Location::File(path) | Location::Folder(path) => Ok(path),
            Location::Embedded(_) | Location::Url(_) => {
                Err("only a file or folder on disk will do; write an absolute path".to_owned())
            }
        }
    }

    /// The path of a file that is going to be written: beside the configuration, if it is relative.
    pub fn written_file(&self, path: &str) -> Result<PathBuf, String> {
        let file = self.own_folder.join(tidy(path));
        if file.is_dir() { Err(format!("{} is a folder; write the path of a file", file.display())) } else { Ok(file) }
    }

    fn candidates(&self, path: &str) -> Vec<PathBuf> {
        match Path::new(path).is_absolute() {
            true => vec![tidy(path)],
            false => self.folders.iter().map(|folder| folder.join(tidy(path))).collect(),
        }
    }
}

/// Not there, as against there and out of reach.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Without `./` and a final slash.
fn tidy(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}
