//! `cleandns replay`: what a policy would have done to recorded queries.

mod person;

use super::{Absent, Failure, Outcome, load_config, overlay, progress::Progress, say, say_json, warn};
use crate::{
    app,
    config::{self, CONFIG_PATH, Loaded, Origin, World},
    embedded,
    lists::Lists,
    query::SpecialNames,
    replay::{Around, Before, Comparison, Format, Judge, Opened, Summary, open},
    report::visible,
};
use serde::Serialize;
use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Words in place of a configuration's path; a file that is called so is written `./none`.
const SHIPPED: &str = "shipped";
const RECORDED: &str = "recorded";
const NONE: &str = "none";

/// What is asked.
pub struct Asked {
    /// As `--config` has it.
    pub config: Option<PathBuf>,
    pub file: PathBuf,
    pub against: PathBuf,
    pub before: Option<PathBuf>,
    pub format: Option<Format>,
    /// The port that queries are sent to, in a capture.
    pub port: u16,
    /// Leave out what pages and API changed.
    pub no_overlay: bool,
    pub top: usize,
    pub json: bool,
}

/// A side of the comparison, and what it is called.
struct Side<T> {
    what: T,
    label: String,
}

/// All that is told, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    file: String,
    before: &'a str,
    after: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
    seconds: f64,
    queries_per_second: u64,
}

/// A format by its word.
pub fn format(text: &str) -> Result<Format, String> {
    let words = || Format::ALL.map(Format::word).join(", ");
    Format::ALL.into_iter().find(|format| format.word() == text).ok_or_else(|| format!("is none of {}", words()))
}

/// Replays a file.
pub fn replay(asked: &Asked) -> Outcome {
    let name = match asked.file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => asked.file.display().to_string(),
    };
    let (input, bytes) = open_file(&asked.file).map_err(|error| {
        Failure::Other(format!("{name}: can't be opened: {error}; write the path of a file of recorded queries"))
    })?;
    let read = Arc::new(AtomicU64::new(0));
    let input = Metered { input, read: read.clone() };
    let after = match asked.against.as_os_str() == SHIPPED {
        true => shipped()?,
        false => load_config(Some(&asked.against), Absent::Wrong)?,
    };
    let now = (app::Outside::real().clock)() as i64;
    let around = Around { now, zone: after.config.policy.time_zone.clone(), dns_port: asked.port };
    let path = Some(asked.file.as_path()).filter(|path| path.as_os_str() != "-");
    let Opened { format, mut source, tells_verdicts } = open(input, path, asked.format, &around)
        .map_err(|error| Failure::Other(format!("{name}: {}", visible(&error.to_string()))))?;
    let before = before(asked, format, tells_verdicts)?;
    let after = judge(after, asked.no_overlay)?;
    let mut comparison = Comparison::new(before.what, after.what, now);
    let started = Instant::now();
    // How much of a database was read nobody knows.
    let read = (format != Format::Sqlite).then_some(read);
    let mut progress = Progress::of_this_terminal();
    let mut tick =
        |queries| progress.show(queries, &read.as_ref().map_or_else(String::new, |read| octets(read, bytes)));
    comparison.run(&mut *source, &mut tick);
    progress.clear();
    let seconds = started.elapsed().as_secs_f64();
    let summary = comparison.summary(format, asked.top);
    if summary.queries == 0 {
        return Err(Failure::Other(person::nothing_read(&name, &summary)));
    }
    let queries_per_second = (summary.queries as f64 / seconds.max(1e-6)) as u64;
    let (before, after) = (before.label.as_str(), after.label.as_str());
    let shown = Shown { file: name, before, after, summary: &summary, seconds, queries_per_second };
    match asked.json {
        true => say_json(&shown)?,
        false => say(person::page(&shown)),
    }
    // Whoever goes by the code alone doesn't take a part for the whole.
    let broken = person::broken(&shown);
    broken.map_or(Ok(()), |broken| Err(Failure::Other(broken)))
}

/// The file, and how many octets it has; 0 if that can't be told.
fn open_file(path: &Path) -> io::Result<(Box<dyn Read + Send>, u64)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), 0));
    }
    let file = File::open(path)?;
    let bytes = file.metadata().map_or(0, |about| about.len());
    Ok((Box::new(file), bytes))
}

/// What is compared with.
fn before(asked: &Asked, format: Format, tells_verdicts: bool) -> Result<Side<Before>, Failure> {
    let policy = |loaded| {
        judge(loaded, asked.no_overlay).map(|side| Side { what: Before::Policy(side.what), label: side.label })
    };
    let recorded = || Side { what: Before::Recorded, label: "what the file says".to_owned() };
    let nothing = || Side { what: Before::Nothing, label: "no policy: everything passed".to_owned() };
    let word = asked.before.as_deref().map(|path| path.to_string_lossy());
    match word.as_deref() {
        Some(NONE) => Ok(nothing()),
        Some(SHIPPED) => policy(shipped()?),
        Some(RECORDED) if tells_verdicts => Ok(recorded()),
        Some(RECORDED) => Err(Failure::Usage(format!(
            "--before recorded: this file of the format {} doesn't say what became of its queries; write a \
             configuration, shipped or none",
            format.word()
        ))),
        Some(_) => policy(load_config(asked.before.as_deref(), Absent::Wrong)?),
        None if tells_verdicts => Ok(recorded()),
        None => {
            let loaded = load_config(asked.config.as_deref(), Absent::Wrong)?;
            match loaded.config.origin {
                Origin::File(_) => policy(loaded),
                Origin::Embedded => Ok(nothing()),
            }
        }
    }
}

/// The configuration inside the program with its lists, whatever lies about here.
fn shipped() -> Result<Loaded, Failure> {
    let paths = || embedded::paths().into_iter().map(Cow::Owned).collect();
    let embedded = config::Embedded { read: &embedded::read, paths: &paths };
    let world = World::of_process(embedded)
        .map_err(|error| Failure::Other(format!("the current folder can't be told: {error}")))?;
    // Nothing lies below a file, so no list beside the program is taken for the one inside.
    let world = World { current_folder: "/dev/null".into(), executable_folder: None, ..world };
    let text = embedded::read(CONFIG_PATH).unwrap_or_default();
    config::read(&String::from_utf8_lossy(&text), Origin::Embedded, &world)
        .map_err(|problems| Failure::Configuration(problems.to_string()))
}

/// Compiles a configuration's policy, with what pages and API changed where it is the configuration of a server.
fn judge(loaded: Loaded, no_overlay: bool) -> Result<Side<Judge>, Failure> {
    let Loaded { mut config, warnings, .. } = loaded;
    let mut label = match &config.origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Embedded => "the shipped programs".to_owned(),
    };
    if !no_overlay && config.origin != Origin::Embedded {
        let laid = overlay::lay(config);
        laid.trouble.iter().chain(&laid.pinned).for_each(|why| warn(why));
        if laid.file.is_some() {
            label.push_str(&format!(" with {}", crate::config::overlay::FILE_NAME));
        }
        config = laid.config;
    }
    warnings.iter().for_each(|warning| warn(&warning.to_string()));
    let (local, warnings) = app::local_data(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    warnings.iter().for_each(|warning| warn(warning));
    let special = SpecialNames::new(config.resolve.forwards.iter().map(|forward| forward.zone));
    let lists = Lists::load(Arc::new(config), app::embedded_files(), app::Outside::real().chance())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    for list in &published.status.load().lists {
        if let Some(trouble) = &list.trouble {
            warn(&format!("{}: unusable: {trouble}", list.path));
        }
    }
    let policy = published.policy.load_full();
    let policy = policy.ok_or_else(|| Failure::Other(format!("{label}: no policy could be built")))?;
    if policy.needs_mac() {
        warn(&format!(
            "{label}: files tell no MAC addresses: members of groups told by them are those that our own log names"
        ));
    }
    let rules = policy.rule_count();
    Ok(Side { what: Judge::new(policy, local, special), label: format!("{label}, {rules} rules") })
}

/// Counts what is read of a file.
struct Metered {
    input: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(octets)?;
        self.read.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

/// How much of a file was read: `12 % 1.0 MiB of 8.0 MiB, `. `of`: octets of the whole file; 0: not known.
fn octets(read: &AtomicU64, of: u64) -> String {
    let read = read.load(Relaxed);
    let share = (read * 100).checked_div(of).map_or(String::new(), |share| format!("{share:>3} % "));
    let of = if of > 0 { format!(" of {}", mebibytes(of)) } else { String::new() };
    format!("{share}{}{of}, ", mebibytes(read))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
