//! `cleandns report`: what was blocked and would have been, by what is recorded.

use super::{Failure, Outcome, fetch, say};
use crate::{
    admin::{ListView, ListsView, lists},
    app,
    config::{ClickHouse, Config},
    lists::Lists,
    policy::Mode,
    query_log::{
        JsonRow, Seen,
        clickhouse::{self, ClickHouseReader},
        sqlite::{Origin, ReadError, Reader},
    },
    replay::{Step, input::Lines},
    report::{self, Context, Filter, Held, KnownList, Moment, Tally},
};
use jiff::{Timestamp, civil, tz::TimeZone};
use std::{
    collections::BTreeSet,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What is told unless something else is asked for.
const SPAN_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// Servers that are named in a report.
const INSTANCES_MAX: usize = 16;
/// Octets asked of a file at once.
const READ_BYTES: usize = 1 << 18;

/// The source that is no file; a file of that name is `./clickhouse`.
const SOURCE_CLICKHOUSE: &str = "clickhouse";

/// What is asked.
pub struct Asked {
    pub from: Option<String>,
    pub to: Option<String>,
    pub program: Option<String>,
    pub client: Option<String>,
    pub format: Format,
    pub output: Option<PathBuf>,
    /// Where rows come from, if not from where the configuration has them: a file, or `clickhouse`.
    pub source: Option<PathBuf>,
    /// Only rows of this server, where several write to one place.
    pub instance: Option<String>,
    /// From how many clients on an aggregate is exported.
    pub k: u64,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// One page with plots, to be read in a browser or printed.
    Html,
    Json,
    Csv,
    /// Aggregates from which no client stands out, as lines of JSON.
    ExportJsonl,
    /// The same as CSV.
    ExportCsv,
}

/// Makes the report.
pub fn report(config: &Config, asked: &Asked) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let moment = |option: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| time(text, now))
            .transpose()
            .map_err(|why| Failure::Usage(format!("{option}: {why}")))
    };
    let to = moment("--to", &asked.to)?.unwrap_or(now);
    let from = moment("--from", &asked.from)?.unwrap_or(to - SPAN_DEFAULT.as_micros() as i64);
    let is_export = matches!(asked.format, Format::ExportJsonl | Format::ExportCsv);
    if is_export && asked.k > 1 && asked.client.is_some() {
        return Err(Failure::Usage(
            "--client: an export of one client tells what --k is there to hide; leave one of them out (--k 0), or ask for \
             another --format"
                .into(),
        ));
    }
    if from >= to {
        return Err(Failure::Usage("--from is not before --to, so there is nothing to tell".into()));
    }
    // Whoever reads the rows looks at their time: sums are of whole hours, and a part of one is not left out.
    let filter = Filter { program: asked.program.clone(), client: asked.client.clone() };
    let mut tally = Tally::new(filter);
    let read = read(config, asked, (from, to), &mut tally)?;
    let lists = known_lists(config);
    if let Some(program) = &asked.program
        && !tally.has_program(program)
    {
        is_known(program, &lists)?;
    }
    let context = Context {
        // Before the first record there is nothing to tell, unless it is asked for.
        from: match (&asked.from, read.first) {
            (None, Some(first)) if first < read.to => read.from.max(first),
            _ => read.from,
        },
        // Sums end with whole hours; what is to come is nobody's.
        to: read.to.min(to.max(now)),
        made_at: now,
        instance: read.origin.instance,
        source: read.source,
        privacy: read.origin.privacy,
        lists,
        held: Held { first: read.first.map(Moment), unreadable_lines: read.unreadable_lines },
    };
    let text = match asked.format {
        Format::ExportJsonl => tally.export(&context, asked.k).jsonl(),
        Format::ExportCsv => tally.export(&context, asked.k).csv(),
        Format::Text => report::text(&tally.finish(&context)),
        Format::Html => report::html(&tally.finish(&context)),
        Format::Csv => report::csv(&tally.finish(&context)),
        Format::Json => {
            let json = serde_json::to_string_pretty(&tally.finish(&context));
            json.map_err(|error| Failure::Other(error.to_string()))? + "\n"
        }
    };
    match &asked.output {
        None => say(text),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::Other(format!("{} can't be written: {error}", path.display())))?,
    }
    Ok(())
}

/// Refuses a program of which no list is known: a report on it would say that nothing was blocked.
fn is_known(program: &str, lists: &[KnownList]) -> Result<(), Failure> {
    let known: BTreeSet<&str> = lists.iter().map(|list| &*list.program).collect();
    if known.is_empty() || known.contains(program) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failure::Usage(format!(
        "--program: there is no program {program}, and nothing recorded is of one; there are {known}"
    )))
}

/// What was read.
struct Read {
    /// The times that were really looked at.
    from: i64,
    to: i64,
    first: Option<i64>,
    /// Lines that were no rows.
    unreadable_lines: u64,
    source: String,
    origin: Origin,
}

/// Reads rows from where they are.
fn read(config: &Config, asked: &Asked, (from, to): (i64, i64), tally: &mut Tally) -> Result<Read, Failure> {
    let is_clickhouse = asked.source.as_ref().is_none_or(|source| source.as_os_str() == SOURCE_CLICKHOUSE);
    let instance = asked.instance.as_deref();
    match (&asked.source, &config.query_log.database) {
        (Some(_), _) | (None, None) if is_clickhouse && let Some(server) = &config.query_log.clickhouse => {
            let own = Origin::new(&config.query_log.instance, config.query_log.privacy);
            read_clickhouse(server, own, instance, (from, to), tally)
        }
        (Some(path), _) if !is_database(path) => read_lines(path, instance, (from, to), tally),
        (Some(path), _) | (None, Some(path)) => read_database(path, instance, (from, to), tally),
        (None, None) => Err(Failure::Configuration(
            "nothing is recorded: [query_log] is off, or there is no state folder; set [state] dir, or name a file by \
             --source"
                .into(),
        )),
    }
}

fn read_database(
    path: &Path,
    instance: Option<&str>,
    (from, to): (i64, i64),
    tally: &mut Tally,
) -> Result<Read, Failure> {
    let other = |error: ReadError| Failure::Other(error.to_string());
    let mut reader = Reader::open(path).map_err(other)?;
    let origin = reader.origin().map_err(other)?;
    if instance.is_some_and(|asked| asked != origin.instance) {
        return Err(Failure::Usage(format!(
            "--instance: {} has what one server recorded, {}",
            path.display(),
            if origin.instance.is_empty() { "which has no name" } else { &origin.instance }
        )));
    }
    let mut read = || -> Result<Read, ReadError> {
        let first = reader.first()?;
        let (from, to) = reader.for_each(from, to, |seen| tally.add(&seen))?;
        reader.leads(from, |name, lead| tally.add_lead(name, lead))?;
        let source = path.display().to_string();
        Ok(Read { from, to, first, unreadable_lines: 0, source, origin: origin.clone() })
    };
    read().map_err(other)
}

fn read_clickhouse(
    server: &ClickHouse,
    own: Origin,
    instance: Option<&str>,
    (from, to): (i64, i64),
    tally: &mut Tally,
) -> Result<Read, Failure> {
    let reader = ClickHouseReader::new(server);
    let mut read = || -> Result<Read, clickhouse::ReadError> {
        let first = reader.first(instance)?;
        let (from, to) = reader.for_each(from, to, instance, |seen| tally.add(&seen))?;
        reader.leads(from, to, instance, |name, lead| tally.add_lead(name, lead))?;
        let source = format!("{} of ClickHouse at {}", server.database, server.url);
        // How others keep clients, their configuration says, not this one.
        let origin = match instance {
            Some(name) if name == own.instance => own.clone(),
            Some(name) => Origin { instance: name.to_owned(), privacy: Vec::new() },
            None => Origin { instance: "all servers".to_owned(), privacy: Vec::new() },
        };
        Ok(Read { from, to, first, unreadable_lines: 0, source, origin })
    };
    read().map_err(|error| Failure::Other(error.to_string()))
}

/// Reads lines of JSON, as `[query_log.json]` writes them. What is no row is counted.
fn read_lines(path: &Path, instance: Option<&str>, (from, to): (i64, i64), tally: &mut Tally) -> Result<Read, Failure> {
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
                    tally.add(&Seen::one(&row));
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
    let instance = instances.into_iter().collect::<Vec<_>>().join(", ");
    let instance = if instance.is_empty() { "a server without a name".to_owned() } else { instance };
    // The lines don't say how clients were kept.
    let origin = Origin { instance, privacy: Vec::new() };
    Ok(Read { from, to, first, unreadable_lines, source: path.display().to_string(), origin })
}

fn is_database(path: &Path) -> bool {
    let mut head = [0; 16];
    File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head)).is_ok()
        && &head == b"SQLite format 3\0"
}

/// All lists: those of the running server, or else those that it would have.
fn known_lists(config: &Config) -> Vec<KnownList> {
    let view = fetch::<ListsView>(config, "/api/v1/lists", &[]).ok().or_else(|| {
        let chance = app::Outside::real().chance();
        let loaded = Lists::load(Arc::new(config.clone()), app::embedded_files(), chance).ok()?;
        Some(lists(&loaded.published().status.load()))
    });
    let stays = |(key, value): &(String, String)| key == "default" && value.trim() != Mode::Enforce.word();
    let known = |list: ListView| KnownList {
        until_named: list.header.iter().any(stays),
        program: list.program,
        service: list.service,
        list: list.list,
        version: list.version,
        mode: list.mode,
        rules: list.rules as u64,
    };
    view.into_iter().flat_map(|view| view.lists).map(known).collect()
}

/// A time as a person writes it: `2026-11-28`, `2026-11-28T21:00:00Z`, or `7d` for seven days ago. Microseconds since
/// 1970.
fn time(text: &str, now: i64) -> Result<i64, String> {
    if let Ok(ago) = super::duration(text) {
        return Ok(now - i64::try_from(ago.as_micros()).unwrap_or(i64::MAX).min(now));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_microsecond());
    }
    // A day is its midnight; a time of no zone is one of UTC, as all that is told.
    let time = Some(text).filter(|text| !text.contains('[')).and_then(|text| text.parse::<civil::DateTime>().ok());
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    time.map(|time| time.timestamp().as_microsecond()).ok_or_else(|| {
        format!(
            "`{text}` is no time; write a day as 2026-11-28, a time as 2026-11-28T21:00:00Z, or 7d for seven days ago"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row, blank lines, what is no row, and what is one only if a line that is too long is read in pieces.
    #[test]
    fn lines_that_are_no_rows_are_told_as_what_they_are() {
        let row = r#"{"time":"2026-11-28T21:12:44Z","group":"default","transport":"udp","name":"a.example","type":"A","rcode":"NOERROR","micros":1,"fate":"passed"}"#;
        let text = format!("{row}\n\n \nno row\n{}{row}\n{row}", " ".repeat(1 << 20));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.json");
        std::fs::write(&path, text).unwrap();
        let mut tally = Tally::new(Filter::default());
        let (from, to) = (1_795_824_000_000_000, 1_796_000_000_000_000);
        let read = read_lines(&path, None, (from, to), &mut tally).unwrap_or_else(|_| panic!("it can't be read"));
        assert_eq!(read.unreadable_lines, 2);
        let context = Context {
            from,
            to,
            made_at: to,
            instance: String::new(),
            source: read.source,
            privacy: read.origin.privacy,
            lists: Vec::new(),
            held: Held { unreadable_lines: read.unreadable_lines, ..Held::default() },
        };
        let report = tally.finish(&context);
        assert_eq!(report.totals.queries, 2);
        let page = report::text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains("2 lines could not be read as queries"), "{page}");
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        const NOW: i64 = 1_795_900_000_000_000;
        for (text, expected) in [
            ("7d", Some(NOW - 7 * 86_400_000_000)),
            ("90m", Some(NOW - 5_400_000_000)),
            ("2026-11-28", Some(1_795_824_000_000_000)),
            ("2026-11-28T01:00:00Z", Some(1_795_827_600_000_000)),
            ("2026-11-28T01:00:00+01:00", Some(1_795_824_000_000_000)),
            ("2026-11-28T11:00:00", Some(1_795_863_600_000_000)),
            ("2026-11-28T11:00", Some(1_795_863_600_000_000)),
            ("2026-11-28 11:00", Some(1_795_863_600_000_000)),
            ("2026-11-28T11:00:00[Europe/Berlin]", None),
            ("yesterday", None),
            ("2026-13-28", None),
            ("", None),
        ] {
            assert_eq!(time(text, NOW).ok(), expected, "{text}");
        }
    }
}
