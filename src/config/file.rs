//! Reads the configuration file: TOML text to a checked `Config`, or every problem in it at once.
//!
//! ```text
//! search → files, conf.d, environment → toml trees, merged → sections, each option read and checked → checks across
//! sections → Config
//! ```
//!
//! It looks at the paths the file names, and reads the admin token. It opens no list, creates nothing, prints nothing.

mod admin;
mod groups;
mod local;
mod log;
mod merge;
pub(super) mod names;
mod parts;
mod policy;
mod process;
mod programs;
mod query_log;
pub(super) mod reader;
mod sections;
mod show;
pub(super) mod text;
mod to_ask;
mod world;

pub use self::{
    names::{asked_name, exception_name, name},
    parts::{ConfigFiles, files_of, folder_of, is_part},
    show::{Shown, defaults, show},
    text::{WORD_BYTES_MAX, duration, end_of_day},
    to_ask::{ToAsk, to_ask},
    world::{CONFIG_PATH, Embedded, KeptLists, World},
};

pub(super) use self::policy::read_mode;
pub use self::policy::unknown;
use self::{reader::read_documents, sections::read_config, world::is_absence};
use super::{
    Config, Origin, Problem, Problems,
    report::{Document, DocumentKind, Report},
    rights,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Octets of all files of a configuration: people write it, so more is the wrong file.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// What is wrong with a link whose target isn't there.
const LINK_TO_NOTHING: &str = "is a link to nothing; correct it, or take it away";
/// Options that say who a server becomes, and where it keeps things: whether it can is for the machine to say.
const JUDGED_LATER: [&str; 3] = ["process.user", "process.group", "state.dir"];
/// Files in `conf.d`: more is another folder.
const FILES_MAX: usize = 200;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// What is allowed and yet perhaps not meant.
    pub warnings: Vec<Problem>,
    /// What it was read from, in the order in which it counts: files, then variables of the environment.
    pub sources: Vec<String>,
    /// The first of them is a file that sets no option: it is empty, or has nothing but comments.
    pub is_blank: bool,
}

/// What there is to say of a configuration, be it of use or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// What is wrong is left out of it, or as it is by default. `None`: it could not be read to its end.
    pub config: Option<Config>,
    /// Why it can't be used; empty: it can.
    pub problems: Vec<Problem>,
    /// Told of one without problems.
    pub warnings: Vec<Problem>,
    pub sources: Vec<String>,
    /// Where options stand that are judged later, by who looks at the machine: `file:line:column` by their dotted names.
    pub places: BTreeMap<&'static str, String>,
}

/// Reads what [`load`] would, for whoever wants to know of all that is wrong and not only of what is wrong with the text.
pub fn examine(requested: Option<&Path>, world: &World<'_>) -> Examined {
    let read = find_config(requested, world).and_then(|origin| Ok((documents(&origin, world)?, origin)));
    match read {
        Ok((documents, origin)) => examine_all(&documents, origin, world),
        Err(Problems(problems)) => {
            let (warnings, sources, places) = <_>::default();
            Examined { config: None, problems, warnings, sources, places }
        }
    }
}

/// Reads `requested`, or else the first configuration found where one may be, or else the copy inside the binary; then
/// what is in `conf.d` beside it, and what the environment says.
pub fn load(requested: Option<&Path>, world: &World<'_>) -> Result<Loaded, Problems> {
    let origin = find_config(requested, world)?;
    read_all(&documents(&origin, world)?, origin, world)
}

/// Reads the text of a configuration that came from `origin`, and nothing else.
pub fn read(text: &str, origin: Origin, world: &World<'_>) -> Result<Loaded, Problems> {
    read_all(&[Document::file(world.shown(&origin), text)], origin, world)
}

fn read_all(documents: &[Document], origin: Origin, world: &World<'_>) -> Result<Loaded, Problems> {
    match examine_all(documents, origin, world) {
        Examined { config: Some(config), problems, warnings, sources, .. } if problems.is_empty() => {
            Ok(Loaded { config, warnings, sources, is_blank: is_blank(documents) })
        }
        Examined { problems, .. } => Err(Problems(problems)),
    }
}

fn examine_all(documents: &[Document], origin: Origin, world: &World<'_>) -> Examined {
    let report = Report::new(documents);
    let config = examine_report(&report, origin, world);
    let sources = documents.iter().map(|document| document.name.clone()).collect();
    let config = Some(config).filter(|_| !report.is_broken());
    let (unread, places) = (unread_variables(&report, world), places(&report));
    let (problems, warnings) = match report.finish() {
        Ok(warnings) => (Vec::new(), warnings.into_iter().chain(unread).collect()),
        Err(Problems(problems)) => (problems, Vec::new()),
    };
    Examined { config, problems, warnings, sources, places }
}

fn is_blank(documents: &[Document]) -> bool {
    let is_comment = |line: &str| line.trim_start().starts_with('#') || line.trim().is_empty();
    documents.first().is_some_and(|first| first.kind == DocumentKind::File && first.text.lines().all(is_comment))
}

/// Where those options stand that are judged later, as far as they are set.
fn places(report: &Report<'_>) -> BTreeMap<&'static str, String> {
    let whole = merge::tree(report, 0..report.sources().len());
    let offset = |option: &str| {
        let (section, key) = option.split_once('.')?;
        Some(whole.get(section)?.get_ref().as_table()?.get(key)?.span().start)
    };
    JUDGED_LATER.iter().filter_map(|&option| Some((option, report.exact_place(offset(option)?)))).collect()
}

/// Variables of the environment that look as if they were meant to override an option, and don't. Others, such as those
/// that Kubernetes sets for a service called cleandns, are nobody's mistake.
fn unread_variables(report: &Report<'_>, world: &World<'_>) -> Vec<Problem> {
    if world.unread.is_empty() {
        return Vec::new();
    }
    let options = report.asked();
    let told = world.unread.iter().filter_map(|variable| {
        let meant = world::meant(variable, options.iter())?;
        let message = format!("it is not read; did you mean {meant}? Two underscores stand for a dot");
        Some(Problem::whole_file(format!("environment variable {variable}"), message))
    });
    told.collect()
}

/// Reads a report's documents, and notes in it what is wrong.
fn examine_report(report: &Report<'_>, origin: Origin, world: &World<'_>) -> Config {
    read_documents(report, |root| read_config(root, origin, world))
}

/// All texts that make up a configuration, in the order in which they count.
fn documents(origin: &Origin, world: &World<'_>) -> Result<Vec<Document>, Problems> {
    let (documents, problems) = gather(origin, world);
    if problems.is_empty() { Ok(documents) } else { Err(Problems(problems)) }
}

/// Those texts that can be read, if only in part, and why others can't.
fn gather(origin: &Origin, world: &World<'_>) -> (Vec<Document>, Vec<Problem>) {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    let mut add = |name: String, octets: Result<Vec<u8>, String>| match octets {
        Ok(octets) => {
            let (text, wrong) = as_text(octets);
            problems.extend(wrong.map(|message| Problem::whole_file(name.clone(), message)));
            documents.push(Document::file(name, text));
        }
        Err(message) => problems.push(Problem::whole_file(name, message)),
    };
    if *origin == Origin::Embedded {
        add(world.shown(origin), Ok((world.embedded.read)(CONFIG_PATH).unwrap_or_default().into_owned()));
    }
    let ConfigFiles { paths: files, unseen } = files_of(origin);
    let mut bytes_left = CONFIG_BYTES_MAX;
    for path in files.iter().take(1 + FILES_MAX) {
        let octets = read_bounded(path, bytes_left).map_err(|why| {
            let is_first = *path == files[0];
            let is_larger = path.metadata().is_ok_and(|about| about.len() > bytes_left);
            match is_larger && !is_first {
                true => format!("{why}; all files together may have {CONFIG_BYTES_MAX} octets"),
                false => why,
            }
        });
        bytes_left -= octets.as_ref().map_or(0, |octets| octets.len() as u64);
        add(world.shown_path(path), octets);
    }
    let too_many = (files.len() > 1 + FILES_MAX)
        .then(|| format!("there are more than {FILES_MAX} files; is it a folder of configurations at all?"));
    for message in unseen.into_iter().chain(too_many) {
        let folder = folder_of(origin).unwrap_or_default();
        problems.push(Problem::whole_file(world.shown_path(&folder), message));
    }
    documents.extend(world.overrides());
    (documents, problems)
}

/// As much of it as is text, and why that isn't all.
fn as_text(octets: Vec<u8>) -> (String, Option<String>) {
    match String::from_utf8(octets) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&octet| octet == b'\n').count();
            let wrong = format!("line {line} is not UTF-8 text; save the file as UTF-8");
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(wrong))
        }
    }
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
        // A file that is there and out of reach is chosen too: reading it will say why it can't be used. So is a link to
        // nothing.
        let there = |path: &PathBuf| match path.metadata() {
            Ok(about) => about.is_file(),
            Err(error) => !is_absence(&error) || path.is_symlink(),
        };
        return Ok(world.search_paths().into_iter().find(there).map_or(Origin::Embedded, Origin::File));
    };
    let path = world.current_folder.join(requested);
    match path.metadata() {
        Err(error) if is_absence(&error) && !path.is_symlink() => {
            let message = "there is no such file; correct --config, or leave it out to have the usual places searched";
            Err(Problems(vec![Problem::whole_file(requested.display().to_string(), message)]))
        }
        _ => Ok(Origin::File(path)),
    }
}

/// A file's octets, or what is wrong with it.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let read = |octets: &mut Vec<u8>| -> io::Result<()> {
        File::open(path)?.take(bytes_max + 1).read_to_end(octets)?;
        Ok(())
    };
    match read(&mut octets) {
        Err(error) if is_absence(&error) && path.is_symlink() => Err(LINK_TO_NOTHING.to_owned()),
        Err(error) => Err(rights::unreadable(path, &error)),
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
