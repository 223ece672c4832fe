//! Recorded queries, read from where the configuration or the person who asks has them: the database, ClickHouse, or a
//! file of JSON lines.

use super::{Failure, progress::Progress};
use crate::{
    config::{ClickHouse, Config},
    query_log::{
        JsonRow, Lead, Row, Seen,
        clickhouse::{self, ClickHouseReader},
        sqlite::{COMMAND_ROWS_MAX, Origin, ReadError, Reader},
    },
    replay::{Step, input::Lines},
};
use std::{
    collections::BTreeSet,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

/// Servers that are named in a report.
const INSTANCES_MAX: usize = 16;
/// Octets asked of a file at once.
const READ_BYTES: usize = 1 << 18;
/// The source that is no file; a file of that name is `./clickhouse`.
const SOURCE_CLICKHOUSE: &str = "clickhouse";

/// Where recorded queries are.
pub struct Records {
    source: Source,
    /// Only those of this server, where several write to one place.
    instance: Option<String>,
}

enum Source {
    Database { reader: Box<Reader>, path: PathBuf, origin: Origin },
    ClickHouse { reader: ClickHouseReader, shown: String, own: Origin },
    Lines(PathBuf),
}

/// What was read.
pub struct Read {
    /// The times that were really looked at.
    pub from: i64,
    pub to: i64,
    pub first: Option<i64>,
    /// The time before which single queries were removed though they weren't too old; `None`: none were, or it isn't known.
    pub removed_early: Option<i64>,
    /// Lines that were no rows.
    pub unreadable_lines: u64,
    /// More than one server may have recorded it.
    pub several_servers: bool,
    pub source: String,
    pub origin: Origin,
}

impl Records {
    /// Finds them. `asked`: a file, or `clickhouse`, if not where the configuration has them.
    pub fn open(config: &Config, asked: Option<&Path>, instance: Option<&str>) -> Result<Self, Failure> {
        let is_clickhouse = asked.is_none_or(|source| source.as_os_str() == SOURCE_CLICKHOUSE);
        let source = match (asked, &config.query_log.database) {
            (Some(_), _) | (None, None) if is_clickhouse && let Some(server) = &config.query_log.clickhouse => {
                Source::clickhouse(server, Origin::new(&config.query_log.instance, config.query_log.privacy))
            }
            (Some(_), _) if is_clickhouse => {
                return Err(Failure::Configuration(
                    "--source clickhouse: no server is configured; set url in [query_log.clickhouse], or write \
                     ./clickhouse if a file of that name is meant"
                        .into(),
                ));
            }
            (Some(path), _) if !is_database(path) => Source::Lines(path.to_owned()),
            (Some(path), _) => Source::database(path, instance)?,
            (None, Some(path)) => Source::database(path, instance)?,
            (None, None) => {
                return Err(Failure::Configuration(
                    "nothing is recorded: [query_log] is off, or there is no state folder; set [state] dir, or name a file \
                     by --source"
                        .into(),
                ));
            }
        };
        Ok(Self { source, instance: instance.map(str::to_owned) })
    }

    /// Calls `each` for all queries from one time until before another, or sums of such.
    pub fn for_each(&mut self, (from, to): (i64, i64), each: &mut dyn FnMut(&Seen<'_>)) -> Result<Read, Failure> {
        let mut progress = Progress::of_this_terminal();
        let (mut queries, mut first) = (0, None);
        let mut each = |seen: &Seen<'_>| {
            queries += seen.count;
            // They come in the order of time, nearly; before the first there is nothing to wait for.
            let first = *first.get_or_insert(seen.first);
            progress.tick(queries, || share(seen.last - first, to - first));
            each(seen);
        };
        let instance = self.instance.as_deref();
        let read = match &mut self.source {
            Source::Lines(path) => read_lines(path, instance, (from, to), &mut each),
            Source::Database { reader, path, origin } => {
                let mut read = || -> Result<Read, ReadError> {
                    let (first, removed_early) = (reader.first()?, reader.removed_early()?);
                    let (from, to) = reader.for_each_within(COMMAND_ROWS_MAX, from, to, |seen| each(&seen))?;
                    let (source, origin) = (path.display().to_string(), origin.clone());
                    Ok(Read {
                        from,
                        to,
                        first,
                        removed_early,
                        unreadable_lines: 0,
                        several_servers: false,
                        source,
                        origin,
                    })
                };
                read().map_err(other)
            }
            Source::ClickHouse { reader, shown, own } => {
                let mut read = || -> Result<Read, clickhouse::ReadError> {
                    let first = reader.first(instance)?;
                    let (from, to) = reader.for_each(from, to, instance, |seen| each(&seen))?;
                    // How others keep clients, their configuration says, not this one.
                    let origin = match instance {
                        Some(name) if name == own.instance => own.clone(),
                        Some(name) => Origin { instance: name.to_owned(), privacy: Vec::new() },
                        None => Origin { instance: "all servers".to_owned(), privacy: Vec::new() },
                    };
                    let (several_servers, source) = (instance.is_none(), shown.clone());
                    let removed_early = None;
                    Ok(Read { from, to, first, removed_early, unreadable_lines: 0, several_servers, source, origin })
                };
                read().map_err(other)
            }
        };
        progress.clear();
        read
    }

    /// Calls `each` for each name and each alias or address that it led to in a time: as it is kept beside sums, or as lines
    /// tell it, perhaps more than once.
    pub fn leads(&self, (from, to): (i64, i64), each: &mut dyn FnMut(&str, Lead<'_>)) -> Result<(), Failure> {
        match &self.source {
            Source::Lines(path) => {
                let mut of_row = |seen: &Seen<'_>| {
                    let Row { name, aliases, addresses, .. } = seen.row;
                    aliases.iter().for_each(|alias| each(name, Lead::Alias(alias)));
                    addresses.iter().for_each(|&address| each(name, Lead::Address(address)));
                };
                read_lines(path, self.instance.as_deref(), (from, to), &mut of_row).map(drop)
            }
            Source::Database { reader, .. } => reader.leads(from, each).map_err(other),
            Source::ClickHouse { reader, .. } => reader.leads(from, to, self.instance.as_deref(), each).map_err(other),
        }
    }
}

impl Source {
    fn database(path: &Path, instance: Option<&str>) -> Result<Self, Failure> {
        let reader = Reader::open(path).map_err(other)?;
        let origin = reader.origin().map_err(other)?;
        if instance.is_some_and(|asked| asked != origin.instance) {
            return Err(Failure::Usage(format!(
                "--instance: {} has what one server recorded, {}",
                path.display(),
                if origin.instance.is_empty() { "which has no name" } else { &origin.instance }
            )));
        }
        Ok(Self::Database { reader: Box::new(reader), path: path.to_owned(), origin })
    }

    fn clickhouse(server: &ClickHouse, own: Origin) -> Self {
        let shown = format!("{} of ClickHouse at {}", server.database, server.url);
        Self::ClickHouse { reader: ClickHouseReader::new(server), shown, own }
    }
}

/// How much of a whole that is.
fn share(part: i64, of: i64) -> Option<f64> {
    (of > 0).then(|| (part as f64 / of as f64).clamp(0.0, 1.0))
}

fn other(error: impl std::fmt::Display) -> Failure {
    Failure::Other(error.to_string())
}

/// Reads lines of JSON, as `[query_log.json]` writes them. What is no row is counted.
pub(super) fn read_lines(
    path: &Path,
    instance: Option<&str>,
    (from, to): (i64, i64),
    each: &mut dyn FnMut(&Seen<'_>),
) -> Result<Read, Failure> {
    let mut instances = BTreeSet::new();
    let failed = |error: std::io::Error| Failure::Other(format!("{} can't be read: {error}", path.display()));
    let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, File::open(path).map_err(failed)?));
    let (mut first, mut others, mut unreadable_lines) = (None::<i64>, 0, 0);
    loop {
        let read = match lines.next_line().map_err(failed)? {
            Ok(line) => serde_json::from_slice::<JsonRow<'_>>(line).ok(),
            Err(Step::End) => break,
            // In an empty line nothing is missing.
            Err(Step::Ignored) => continue,
            Err(_) => None,
        };
        match read.as_ref().and_then(|read| Some((read.row().ok()?, &*read.instance))) {
            Some((_, of)) if instance.is_some_and(|asked| asked != of) => others += 1,
            Some((row, of)) => {
                if !instances.contains(of) && instances.len() < INSTANCES_MAX {
                    instances.insert(of.to_owned());
                }
                first = Some(first.map_or(row.time, |first| first.min(row.time)));
                if (from..to).contains(&row.time) {
                    each(&Seen::one(&row));
                }
            }
            None => unreadable_lines += 1,
        }
    }
    if first.is_none() && others + unreadable_lines > 0 {
        let of = instance.map(|name| format!(" of {name}")).unwrap_or_default();
        return Err(Failure::Other(format!(
            "{} holds no recorded queries{of}: {others} of its lines are of other servers, and {unreadable_lines} are none",
            path.display()
        )));
    }
    let several_servers = instances.len() > 1;
    let instance = instances.into_iter().collect::<Vec<_>>().join(", ");
    let instance = if instance.is_empty() { "a server without a name".to_owned() } else { instance };
    // The lines don't say how clients were kept.
    let origin = Origin { instance, privacy: Vec::new() };
    let (removed_early, source) = (None, path.display().to_string());
    Ok(Read { from, to, first, removed_early, unreadable_lines, several_servers, source, origin })
}

fn is_database(path: &Path) -> bool {
    let mut head = [0; 16];
    File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head)).is_ok()
        && &head == b"SQLite format 3\0"
}
