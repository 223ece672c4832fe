//! `cleandns report`: what was blocked and would have been, by what is recorded.

use super::{Failure, Outcome, fetch, overlay, records::Records, say};
use crate::{
    admin::{ListView, ListsView, lists},
    app,
    config::{self, Config, Group, Program},
    lists::{Lists, Published},
    policy::{ListSpec, Mode, Policy, Zone},
    report::{self, Context, Filter, Held, KnownList, ListText, Moment, NeverHit, Report, Tally, Unread, Varying},
};
use ipnet::IpNet;
use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What is told unless something else is asked for.
const SPAN_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
const DAY_MICROS: i64 = 86_400_000_000;

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
    // The server's programs and lists are those with what pages and API changed.
    let config = &overlay::laid(config.clone());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let moment = |option: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| config::moment_or_ago(text, &Zone::utc(), now))
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
    let (from, to) = match is_export && asked.k > 1 {
        true => whole_days((asked.from.is_some().then_some(from), to), now).ok_or_else(|| {
            Failure::Usage(
                "an export is of whole days (UTC) that are over, since two of parts of one tell by their difference what --k is \
                 there to hide; there is none between --from and --to: ask for more, or leave --k out of it (--k 0)"
                    .into(),
            )
        })?,
        false => (from, to),
    };
    // Whoever reads the rows looks at their time: sums are of whole hours, and a part of one is not left out.
    let filter = Filter { program: asked.program.clone(), client: asked.client.as_deref().map(recorded) };
    let mut tally = if is_export { Tally::by_day(filter) } else { Tally::new(filter) };
    let mut records = Records::open(config, asked.source.as_deref(), asked.instance.as_deref())?;
    let read = records.for_each((from, to), &mut |seen| tally.add(seen))?;
    records.leads((read.from, read.to), &mut |name, lead| tally.add_lead(name, lead))?;
    if let Some(program) = &asked.program
        && !tally.has_program(program)
    {
        is_known(program, config)?;
    }
    let context = Context {
        // Before the first record there is nothing to tell, unless it is asked for.
        from: match (&asked.from, read.first) {
            // Of when the first came an export tells the day.
            (None, Some(first)) if first < read.to && is_export && asked.k > 1 => {
                read.from.max(first.div_euclid(DAY_MICROS) * DAY_MICROS)
            }
            (None, Some(first)) if first < read.to => read.from.max(first),
            _ => read.from,
        },
        // Sums end with whole hours; what is to come is nobody's.
        to: read.to.min(to.max(now)),
        made_at: now,
        instance: read.origin.instance,
        source: read.source,
        privacy: read.origin.privacy,
        held: Held {
            first: read.first.map(Moment),
            removed_early: read.removed_early.map(Moment),
            unreadable_lines: read.unreadable_lines,
            several_servers: read.several_servers,
        },
        ..Context::default()
    };
    let finish = || finish(config, &tally, context.clone());
    let text = match asked.format {
        Format::ExportJsonl => tally.export(&context, asked.k).jsonl(),
        Format::ExportCsv => tally.export(&context, asked.k).csv(),
        Format::Text => report::text(&finish()),
        Format::Html => report::html(&finish()),
        Format::Csv => report::csv(&finish()),
        Format::Json => {
            let json = serde_json::to_string_pretty(&finish());
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

/// The days (UTC) that lie whole between two times and are over: when the first begins, and when the last ends. Without a first
/// time it is as many as are told by default.
fn whole_days((from, to): (Option<i64>, i64), now: i64) -> Option<(i64, i64)> {
    let to = to.min(now).div_euclid(DAY_MICROS) * DAY_MICROS;
    let from = match from {
        Some(from) => -(-from).div_euclid(DAY_MICROS) * DAY_MICROS,
        None => to - SPAN_DEFAULT.as_micros() as i64,
    };
    (from < to).then_some((from, to))
}

/// A client as it is recorded, however its address or network is written.
fn recorded(client: &str) -> String {
    let address = client.parse::<IpAddr>().map(|address| address.to_canonical().to_string());
    let network = || client.parse::<IpNet>().map(|network| network.trunc().to_string());
    address.or_else(|_| network()).unwrap_or_else(|_| client.to_owned())
}

/// Makes the report itself, with what is known of the lists. An export has no need of them, and compiling them takes its
/// time.
fn finish(config: &Config, tally: &Tally, context: Context) -> Report {
    // With the rules: what a server tells of its lists has none.
    let loaded = Lists::load(Arc::new(config.clone()), app::embedded_files(), app::Outside::real().chance());
    let (loaded, mut all) = match loaded {
        Ok(loaded) => (Some(loaded.published()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let lists = known_lists(config, loaded.as_deref());
    let policy = loaded.as_ref().and_then(|published| published.policy.load_full());
    if policy.is_none() {
        all.get_or_insert_with(|| "none of them is of use".to_owned());
    }
    let unread = Unread { lists: policy.as_deref().map_or_else(Vec::new, |policy| unread(policy, &lists)), all };
    let never_hit = policy.as_ref().map_or_else(Vec::new, |policy| never_hit(policy, tally));
    tally.finish(&Context { lists, unread, varying: varying(config), ..context }).with_never_hit(never_hit)
}

/// Programs whose modes aren't the same for all clients at all times.
fn varying(config: &Config) -> Vec<Varying> {
    let of_group = |program: &Program, group: &Group| {
        let own = group.programs.get(&program.name).is_some_and(|mode| *mode != program.mode);
        let mut services = group.services.iter().filter(|((of, _), _)| *of == program.name);
        own || services.any(|((_, service), mode)| *mode != *program.services.get(service).unwrap_or(&program.mode))
    };
    let varying = config.programs.iter().map(|program| Varying {
        program: program.name.clone(),
        by_group: config.groups.iter().any(|group| of_group(program, group)),
        by_time: program.schedule.is_some(),
    });
    varying.filter(|varying| varying.by_group || varying.by_time).collect()
}

/// Lists that aren't off, and whose text isn't here: those of a server that has others, or may read more.
fn unread(policy: &Policy, lists: &[KnownList]) -> Vec<String> {
    let here: BTreeSet<(&str, &str, &str, String)> = policy
        .lists()
        .iter()
        .filter_map(|list| {
            let program = &policy.programs()[list.program()?].name;
            Some((&**program, &*list.service, &*list.name, format!("{:016x}", list.version)))
        })
        .collect();
    let is_here =
        |list: &&KnownList| here.contains(&(&*list.program, &*list.service, &*list.list, list.version.clone()));
    let missing = lists.iter().filter(|list| list.mode != Mode::Off.word() && !is_here(list));
    missing.map(|list| format!("{}/{} {}", list.program, list.service, list.list)).collect()
}

/// Refuses a program that there isn't: a report on it would say that nothing was blocked.
fn is_known(program: &str, config: &Config) -> Result<(), Failure> {
    let known: BTreeSet<&str> = config.programs.iter().map(|program| &*program.name).collect();
    if known.is_empty() || known.contains(program) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failure::Usage(format!(
        "--program: there is no program {program}, and nothing recorded is of one; there are {known}"
    )))
}

/// The rules that never hit, of all lists that aren't off, as they lie here now.
fn never_hit<'p>(policy: &'p Policy, tally: &Tally) -> Vec<NeverHit> {
    let lists = policy.lists().iter().enumerate().filter(|(at, _)| policy.list_mode(*at) != Mode::Off);
    let of_list = |(_, list): (usize, &'p ListSpec)| {
        let version = format!("{:016x}", list.version);
        let (program, service) = (&policy.programs()[list.program()?].name, &list.service);
        let text = ListText { program, service, list: &list.name, version: &version };
        tally.never_hit(text, list.rules.iter().map(|(_, rule)| report::candidate(rule)))
    };
    lists.filter_map(of_list).collect()
}

/// All lists: those of the running server, or else those that it would have.
fn known_lists(config: &Config, loaded: Option<&Published>) -> Vec<KnownList> {
    let view = fetch::<ListsView>(config, "/api/v1/lists", &[]).ok();
    let view = view.or_else(|| loaded.map(|published| lists(&published.status.load())));
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

#[cfg(test)]
mod tests {
    use super::{super::records::read_lines, *};

    #[test]
    fn clients_are_meant_however_their_addresses_are_written() {
        for (typed, expected) in [
            ("192.168.1.7", "192.168.1.7"),
            ("::ffff:192.168.1.7", "192.168.1.7"),
            ("FD00:0::07", "fd00::7"),
            ("192.168.1.7/24", "192.168.1.0/24"),
            ("FD00:1:2:3::/48", "fd00:1:2::/48"),
            ("0a1b2c3d4e5f6071", "0a1b2c3d4e5f6071"),
        ] {
            assert_eq!(recorded(typed), expected);
        }
    }

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
        let read = read_lines(&path, None, (from, to), &mut |seen| tally.add(seen))
            .unwrap_or_else(|_| panic!("it can't be read"));
        assert_eq!(read.unreadable_lines, 2);
        let context = Context {
            from,
            to,
            made_at: to,
            instance: String::new(),
            source: read.source,
            privacy: read.origin.privacy,
            held: Held { unreadable_lines: read.unreadable_lines, ..Held::default() },
            ..Context::default()
        };
        let report = tally.finish(&context);
        assert_eq!(report.totals.queries, 2);
        let page = report::text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains("2 lines could not be read as queries"), "{page}");
    }

    /// At two servers one address may be of two clients.
    #[test]
    fn what_several_servers_recorded_is_told_as_that() {
        let row = |instance: &str| {
            format!(
                r#"{{"time":"2026-11-28T21:12:44Z","instance":"{instance}","client":"10.0.0.1","transport":"udp","name":"a.example","type":"A","rcode":"NOERROR","micros":1,"fate":"passed"}}"#
            )
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.json");
        std::fs::write(&path, format!("{}\n{}\n", row("one"), row("two"))).unwrap();
        for (asked, several) in [(None, true), (Some("one"), false)] {
            let mut tally = Tally::new(Filter::default());
            let read = read_lines(&path, asked, (0, i64::MAX), &mut |seen| tally.add(seen))
                .unwrap_or_else(|_| panic!("it can't be read"));
            assert_eq!(read.several_servers, several);
            let context = Context {
                to: 1,
                held: Held { several_servers: read.several_servers, ..Held::default() },
                ..Context::default()
            };
            let page = report::text(&tally.finish(&context)).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(page.contains("Several servers may have recorded this"), several, "{page}");
        }
    }

    #[test]
    fn an_export_is_of_whole_days_that_are_over() {
        let at = |days: f64| (days * DAY_MICROS as f64) as i64;
        let now = at(30.5);
        for (from, to, expected) in [
            (None, 30.5, Some((23, 30))),
            (None, 30.4, Some((23, 30))),
            (None, 20.0, Some((13, 20))),
            (Some(27.0), 30.5, Some((27, 30))),
            (Some(27.01), 30.5, Some((28, 30))),
            // A day to come, and parts of one.
            (Some(27.0), 33.0, Some((27, 30))),
            (Some(29.1), 30.5, None),
            (Some(30.0), 30.5, None),
            (Some(3.1), 3.9, None),
            (Some(3.0), 4.0, Some((3, 4))),
        ] {
            let expected = expected.map(|(from, to)| (from * DAY_MICROS, to * DAY_MICROS));
            assert_eq!(whole_days((from.map(at), at(to)), now), expected, "{from:?} {to}");
        }
    }
}
