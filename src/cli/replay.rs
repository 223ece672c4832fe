//! `cleandns replay`: what a policy would have done to recorded queries.

use super::{Failure, Outcome, load_config, say};
use crate::{
    app,
    config::{self, CONFIG_PATH, Loaded, Origin, World},
    embedded,
    lists::Lists,
    query::SpecialNames,
    replay::{Because, Before, Change, Comparison, Counted, Format, Judge, Opened, Summary, WallClock, open},
};
use serde::Serialize;
use std::{
    borrow::Cow,
    fmt::Write as _,
    fs::File,
    io::{self, IsTerminal, Read, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
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
        false => load_config(Some(asked.against.clone()), false)?,
    };
    let now = (app::Outside::real().clock)() as i64;
    let clock = WallClock { now, zone: after.config.policy.time_zone.clone() };
    let path = Some(asked.file.as_path()).filter(|path| path.as_os_str() != "-");
    let Opened { format, mut source, tells_verdicts } =
        open(input, path, asked.format, &clock).map_err(|error| Failure::Other(format!("{name}: {error}")))?;
    let before = before(asked, format, tells_verdicts)?;
    let after = judge(after)?;
    let mut comparison = Comparison::new(before.what, after.what, now);
    let started = Instant::now();
    // How much of a database was read nobody knows.
    let read = (format != Format::Sqlite).then_some(read);
    let mut progress = Progress { started, shown: started, read, bytes, is_on: io::stderr().is_terminal() };
    let ran = comparison.run(&mut *source, &mut |queries| progress.tick(queries));
    progress.clear();
    ran.map_err(|error| Failure::Other(format!("{name}: {}: can't be read on: {error}", source.place())))?;
    let seconds = started.elapsed().as_secs_f64();
    let summary = comparison.summary(format, asked.top);
    if summary.queries == 0 {
        return Err(Failure::Other(nothing_read(&name, &summary)));
    }
    let queries_per_second = (summary.queries as f64 / seconds.max(1e-6)) as u64;
    let (before, after) = (before.label.as_str(), after.label.as_str());
    let shown = Shown { file: name, before, after, summary: &summary, seconds, queries_per_second };
    if asked.json {
        let json = serde_json::to_string_pretty(&shown).map_err(|error| Failure::Other(error.to_string()))?;
        say(json + "\n");
    } else {
        say(for_a_person(&shown));
    }
    Ok(())
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
    let policy = |loaded| judge(loaded).map(|side| Side { what: Before::Policy(side.what), label: side.label });
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
        Some(_) => policy(load_config(asked.before.clone(), false)?),
        None if tells_verdicts => Ok(recorded()),
        None => {
            let loaded = load_config(asked.config.clone(), false)?;
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

/// Compiles a configuration's policy.
fn judge(loaded: Loaded) -> Result<Side<Judge>, Failure> {
    let Loaded { config, warnings } = loaded;
    let label = match &config.origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Embedded => "the shipped programs".to_owned(),
    };
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
        warn(&format!("{label}: groups told by MAC address have no members here: files tell no such addresses"));
    }
    let rules = policy.rule_count();
    Ok(Side { what: Judge { policy, local, special }, label: format!("{label}, {rules} rules") })
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Why a file was of no use.
fn nothing_read(name: &str, summary: &Summary) -> String {
    let mut text = format!("{name}: holds no query that could be read as {}", summary.format);
    for reason in &summary.skipped.reasons {
        let _ = write!(text, "\n  {}: {} ({} of them)", reason.first, plain(&reason.reason), reason.count);
    }
    if let Some(broken) = &summary.broken {
        let _ = write!(text, "\n  {}", plain(broken));
    }
    text + "\n  is it another format? name it with --format"
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

/// A line that is written again and again, for a person who waits.
struct Progress {
    started: Instant,
    shown: Instant,
    /// Octets; `None`: not known.
    read: Option<Arc<AtomicU64>>,
    /// Of the whole file; 0: not known.
    bytes: u64,
    is_on: bool,
}

impl Progress {
    fn tick(&mut self, queries: u64) {
        if !self.is_on || self.shown.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.shown = Instant::now();
        let rate = queries as f64 / self.started.elapsed().as_secs_f64();
        let octets = self.read.as_ref().map_or_else(String::new, |read| {
            let read = read.load(Relaxed);
            let share = (read * 100).checked_div(self.bytes).map_or(String::new(), |share| format!("{share:>3} % "));
            let of = if self.bytes > 0 { format!(" of {}", mebibytes(self.bytes)) } else { String::new() };
            format!("{share}{}{of}, ", mebibytes(read))
        });
        let _ = write!(io::stderr(), "\r\x1b[K{octets}{queries} queries, {rate:.0} a second");
    }

    fn clear(&self) {
        // Written only over a line of its own.
        if self.is_on && self.shown != self.started {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn for_a_person(shown: &Shown<'_>) -> String {
    let Shown { file, before, after, summary, .. } = shown;
    let counted = |counted: Counted| format!("{}{}", if counted.exact { "" } else { "at least " }, counted.count);
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!(
        "{file}: {}, {} queries for {} names from {} clients",
        summary.format,
        summary.queries,
        counted(summary.names),
        counted(summary.clients)
    ));
    if let (Some(first), Some(last)) = (&summary.first, &summary.last) {
        line(&format!("from:   {first} to {last}"));
    }
    line(&format!("before: {before}"));
    line(&format!("after:  {after}"));
    line("");
    let fates = summary.fates.iter().map(|fate| (vec![fate.before, fate.after], fate.fate.to_owned()));
    line(&table(&["before", "after"], "queries", fates));
    match summary.changed {
        0 => line("nothing changes: every query fares as before"),
        changed => line(&format!(
            "{changed} queries change: {} newly blocked, {} newly passed",
            summary.newly_blocked, summary.newly_passed
        )),
    }
    if summary.changed == 0 && before == after {
        line("both sides are the same policy; `--before none` shows all that it does");
    }
    summary.changes.iter().for_each(|change| line(&shown_change(change)));
    line("");
    notes(summary, file).iter().for_each(|note| line(note));
    line(&format!("{} queries a second, in {:.1} seconds", shown.queries_per_second, shown.seconds));
    text
}

/// The tables of one change.
fn shown_change(change: &Change) -> String {
    let Change { before, after, queries, names, clients, by_name, by_client, by_service } = change;
    let mut text = format!("\n{before} → {after}: {queries} queries, {names} names, {clients} clients\n");
    let width = by_name.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let names = by_name
        .iter()
        .map(|row| (vec![row.queries, row.clients], format!("{:<width$}  {}", row.name, shown_because(&row.because))));
    text += &table(&["queries", "clients"], &format!("{:<width$}  by", "name"), names);
    let services = by_service
        .iter()
        .map(|row| (vec![row.queries, row.names, row.clients], shown_service(&row.program, &row.service)));
    text += &("\n".to_owned() + &table(&["queries", "names", "clients"], "program/service", services));
    if !by_client.is_empty() {
        let clients = by_client.iter().map(|row| (vec![row.queries, row.names], row.client.clone()));
        text += &("\n".to_owned() + &table(&["queries", "names"], "client", clients));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The rule, and that it is one of the policy before, if so.
fn shown_because(because: &Because) -> String {
    let Because { program, service, rule, of } = because;
    let before = if *of == "before" { " (before)" } else { "" };
    match program.is_empty() && service.is_empty() {
        true => format!("{rule}{before}"),
        false => format!("{} {rule}{before}", shown_service(program, service)),
    }
}

fn shown_service(program: &str, service: &str) -> String {
    match program.is_empty() && service.is_empty() {
        true => "the owner's exceptions".to_owned(),
        false => format!("{program}/{service}"),
    }
}

/// Numbers in columns, then a text.
fn table(numbers: &[&str], last: &str, rows: impl Iterator<Item = (Vec<u64>, String)>) -> String {
    /// Digits of a number that fits its column.
    const WIDTH: usize = 10;
    let mut text = String::new();
    let mut line = |cells: Vec<String>, last: &str| {
        for cell in cells {
            // Writing to memory doesn't fail.
            let _ = write!(text, "{cell:>WIDTH$}  ");
        }
        text.push_str(plain(last).trim_end());
        text.push('\n');
    };
    line(numbers.iter().map(|&number| number.to_owned()).collect(), last);
    rows.for_each(|(numbers, last)| line(numbers.iter().map(u64::to_string).collect(), &last));
    text
}

/// What must be known to read the numbers rightly.
fn notes(summary: &Summary, file: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let not_asked = summary.not_asked;
    notes.push(format!(
        "rules on answers were not asked, but for aliases and addresses that the file tells ({} queries): {} rules \
         before, {} after, and rules on names as aliases",
        not_asked.queries_with_answer, not_asked.answer_rules_before, not_asked.answer_rules_after
    ));
    if not_asked.verdicts_left_out > 0 {
        notes.push(format!(
            "{} queries have a recorded verdict that was left out: the file doesn't tell what its rule looked at",
            not_asked.verdicts_left_out
        ));
    }
    if not_asked.queries_without_client > 0 {
        notes.push(format!(
            "{} queries tell no client's address: groups and rules by client don't hold for them",
            not_asked.queries_without_client
        ));
    }
    if !summary.exact {
        notes.push("there was more than can be counted: numbers of names and clients are lower bounds".to_owned());
    }
    if summary.ignored > 0 {
        let parts = format(summary.format).map_or("lines", Format::parts);
        notes.push(format!("{} {parts} hold no query", summary.ignored));
    }
    let skipped = &summary.skipped;
    if skipped.count > 0 {
        notes.push(format!("{} could not be read and were skipped:", skipped.count));
        let reason = |reason: &crate::replay::Reason| {
            format!("  {file}: {}: {} ({} of them)", reason.first, plain(&reason.reason), reason.count)
        };
        notes.extend(skipped.reasons.iter().map(reason));
    }
    if let Some(broken) = &summary.broken {
        notes.push(format!("{file}: {}; the numbers are of what stands before", plain(broken)));
    }
    notes
}

/// Without characters that a terminal obeys: files hold what anybody sent.
fn plain(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_control) {
        true => text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect(),
        false => text.into(),
    }
}
