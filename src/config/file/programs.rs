//! `[[program]]`: named purposes, each with its lists.

use super::{
    super::{Gate, ListSource, Location, Program},
    names,
    policy::{read_block, read_mode},
    reader::{Table, Value},
    sections::Reading,
    text::{self, shown},
};
use crate::policy::{
    BlockAnswer, Mode, PROGRAMS_MAX, Schedule, Zone,
    parse::{Extent, Format},
};
use std::{collections::BTreeMap, ops::RangeInclusive, path::Path, time::Duration};

/// The programs there are when no `[[program]]` names any, each with the lists in `blocklists/<name>`. Also what
/// `mode` and `lists` default to where a `[[program]]` has one of these names.
const SHIPPED_PROGRAMS: [(&str, Mode); 7] = [
    ("clean-store", Mode::Enforce),
    ("clean-apps", Mode::Enforce),
    // These hit much that nobody means, or tell of a device without mending it: first measured, then enforced.
    ("clean-cloud", Mode::Shadow),
    ("clean-carrier", Mode::Shadow),
    ("clean-path", Mode::Shadow),
    ("clean-cable", Mode::Shadow),
    ("bypass", Mode::Shadow),
];

/// EDE code "Blocked" (RFC 8914 §4.16).
const EDE_BLOCKED: u16 = 15;
/// Between downloads: more often is a burden to who serves the list, and after a month it is a list of the past.
const REFRESH_RANGE: RangeInclusive<Duration> = Duration::from_secs(15 * 60)..=Duration::from_secs(30 * 86_400);

/// The words of `format`.
const FORMATS: [(&str, Option<Format>); 10] = [
    ("auto", Some(Format::Auto)),
    ("ours", Some(Format::Ours)),
    ("domains", Some(Format::Domains)),
    ("hosts", Some(Format::Hosts)),
    ("wildcard", Some(Format::Wildcard)),
    ("adblock", Some(Format::Adblock)),
    ("regex", Some(Format::Regex)),
    ("rpz", Some(Format::Rpz)),
    ("dnsmasq", Some(Format::Dnsmasq)),
    ("unbound", Some(Format::Unbound)),
];
/// The words of `match`.
const EXTENTS: [(&str, Option<Extent>); 2] =
    [(Extent::Exact.word(), Some(Extent::Exact)), (Extent::Subtree.word(), Some(Extent::Subtree))];
/// The words of `gate`.
const GATES: [(&str, Option<Gate>); 3] =
    [("hold", Some(Gate::Hold)), ("warn", Some(Gate::Warn)), ("off", Some(Gate::Off))];

const LIST_EXAMPLE: &str = "{ path = \"blocklists/clean-store\" }";
const SCHEDULE_EXAMPLE: &str = "Mon-Fri 08:00-17:00";

impl Reading<'_> {
    /// Those that are named, or else the shipped ones.
    pub fn programs(&self, root: &Table<'_>, zone: &Zone) -> Vec<Program> {
        let (mut names, mut places) = (Vec::new(), Vec::new());
        let programs = root.sections("program", |table| {
            places.push(table.of_later_file().filter(|_| table.value("lists").is_none()));
            self.program(table, &mut names, zone)
        });
        let programs = match programs {
            Some(programs) if !programs.is_empty() => programs,
            _ => return SHIPPED_PROGRAMS.iter().map(|&(name, mode)| self.shipped_program(name, mode)).collect(),
        };
        // Who changes a shipped program from beside a file that names none has mostly not meant to do without the others.
        let left_out = SHIPPED_PROGRAMS.iter().map(|(name, _)| *name);
        let left_out: Vec<&str> =
            left_out.filter(|name| !programs.iter().any(|program| program.name == *name)).collect();
        if let (Some(places), false) = (places.into_iter().collect::<Option<Vec<_>>>(), left_out.is_empty())
            && let Some(first) = places.into_iter().next()
        {
            root.warn_at(
                first,
                "program",
                format!(
                    "there are only the programs that are named, and the first file names none: {} are left out; name those \
                     that you want, too, by [[program]] and name alone",
                    left_out.join(", ")
                ),
            );
        }
        programs
    }

    /// Reads a program, and adds its name to those there are.
    fn program(&self, table: &Table<'_>, names: &mut Vec<String>, zone: &Zone) -> Program {
        if names.len() == PROGRAMS_MAX {
            table.problem(format!(
                "there are more than {PROGRAMS_MAX} programs, and each query carries a verdict of each; put lists \
                 that share a purpose into one program"
            ));
        }
        let name = read_program_name(table, names);
        let shipped = SHIPPED_PROGRAMS.iter().find(|(shipped, _)| *shipped == name);
        let services = table
            .value("services")
            .and_then(|value| value.read_table("services = { tiktok = \"enforce\" }", read_services));
        Program {
            mode: table.parse("mode", shipped.map_or(Mode::Enforce, |&(_, mode)| mode), "enforce", read_mode),
            block: read_own_block(table),
            ede: table.integer("ede", EDE_BLOCKED.into(), 0..=u16::MAX.into()) as u16,
            lists: match table.value("lists") {
                Some(value) => self.lists(&value),
                None if shipped.is_some() => vec![self.shipped_list(&name)],
                None => {
                    table.missing("lists", format!("a program needs a list; write lists = [{LIST_EXAMPLE}]"));
                    Vec::new()
                }
            },
            services: services.unwrap_or_default(),
            exceptions: table.value("exceptions").map(|value| self.plain_lists(&value)).unwrap_or_default(),
            schedule: read_schedule(table, zone),
            name,
        }
    }

    fn lists(&self, value: &Value<'_>) -> Vec<ListSource> {
        if value.is_empty_list() {
            value.problem(format!("a program needs a list; write lists = [{LIST_EXAMPLE}]"));
        }
        let lists = value.list(LIST_EXAMPLE);
        lists.iter().filter_map(|list| list.read_table(LIST_EXAMPLE, |table| self.list(table))?).collect()
    }

    /// One entry of `lists`; `None` if it doesn't say where the list is.
    fn list(&self, table: &Table<'_>) -> Option<ListSource> {
        let (path, url) = (table.value("path"), table.set_text("url", "https://lists.example/hosts.txt"));
        match (&path, &url) {
            (Some(_), Some(url)) => url.problem("a list has a path or a url; remove one of them"),
            (None, None) => table.missing("path", format!("a list needs a path or a url; write {LIST_EXAMPLE}")),
            _ => {}
        }
        let format = table.choose("format", ("auto", Format::Auto), &FORMATS);
        let options = ListSource {
            format,
            name: table.value("name").and_then(|value| value.parse("my list", text::title)),
            service: table.value("service").and_then(|value| value.parse("tiktok", text::word)),
            extent: table.choose("match", ("exact", Extent::Exact), &EXTENTS),
            allow_empty: table.boolean("allow_empty", false),
            required: table.boolean("required", false),
            rpz_override: table.set_text("override", "nxdomain").and_then(|value| {
                let given = value.parse("", names::rpz_override)?;
                if given.is_some() && !matches!(format, Format::Auto | Format::Rpz) {
                    value.problem("only rpz lists have an override; remove it, or write format = \"rpz\"");
                }
                given
            }),
            gate: table.value("gate").and_then(|value| value.choose(&GATES, "\"hold\"")),
            release: table
                .value("release")
                .map(|value| value.parse_list("\"zip\"", names::name).into_iter().map(|(_, name)| name).collect())
                .unwrap_or_default(),
            refresh: table.parse("refresh", ListSource::REFRESH, "24h", read_refresh),
            change_max: table.parse("change_max", ListSource::CHANGE_MAX, "50%", text::percent),
            ca_file: self.optional_file(table, "ca_file"),
            // Filled in below, so that an unusable place doesn't hide what is wrong with the other options.
            location: Location::Embedded(String::new()),
        };
        let location = match (path, url) {
            (Some(path), _) => {
                let found = path.parse("blocklists/clean-store", |path| match path.contains("://") {
                    true => Err(format!("a URL is no path; write url = {}", shown(path))),
                    false => self.find_list(path),
                });
                found?.told(&path)
            }
            (None, url) => url?.parse("", |url| names::list_url(url).map(Location::Url))?,
        };
        Some(ListSource { location, ..options })
    }

    /// Where a list or a folder of them is. One that isn't there is where it was, if copies of it are kept: a share that comes
    /// up late takes nobody's DNS down.
    pub(super) fn find_list(&self, path: &str) -> Result<Found, String> {
        self.base.find(path).map(|location| Found { location, warning: None }).or_else(|why| {
            let kept = self.state_dir.as_deref().and_then(|state| {
                let kept = |candidate: &Path| (self.world.kept_lists)(state, candidate);
                Some((self.base.find_kept(path, kept)?, state.display()))
            });
            let (location, state) = kept.ok_or_else(|| why.clone())?;
            let warning = format!("{why}; until it is back, a server goes by the last good copy, kept in {state}");
            Ok(Found { location, warning: Some(warning) })
        })
    }

    fn shipped_program(&self, name: &str, mode: Mode) -> Program {
        Program {
            name: name.to_owned(),
            mode,
            block: None,
            ede: EDE_BLOCKED,
            lists: vec![self.shipped_list(name)],
            services: BTreeMap::new(),
            exceptions: Vec::new(),
            schedule: None,
        }
    }

    /// A shipped program's list, beside the file if it is there, where the owner may have changed it; else built in.
    fn shipped_list(&self, program: &str) -> ListSource {
        let path = format!("blocklists/{program}");
        ListSource::plain(self.base.find(&path).unwrap_or(Location::Embedded(path)))
    }
}

/// Where a list is, or was.
pub(super) struct Found {
    location: Location,
    /// Why it is none that is there.
    warning: Option<String>,
}

impl Found {
    /// Tells what is to be told of it, at the value that names it.
    pub(super) fn told(self, value: &Value<'_>) -> Location {
        self.warning.into_iter().for_each(|warning| value.warn(warning));
        self.location
    }
}

/// A program's name. Each has one of its own.
fn read_program_name(table: &Table<'_>, names: &mut Vec<String>) -> String {
    let Some(value) = table.value("name") else {
        table.missing("name", "a program needs a name; write name = \"my-program\"");
        return String::new();
    };
    let name = value.parse("my-program", text::word).unwrap_or_default();
    if names.contains(&name) && !name.is_empty() {
        value.problem(format!("there is a program {} already; put the lists of both into one", shown(&name)));
    }
    names.push(name.clone());
    name
}

/// Modes by service; `*` is any other.
fn read_services(table: &Table<'_>) -> BTreeMap<String, Mode> {
    let mut services = BTreeMap::new();
    for (service, key, value) in table.entries() {
        let mode = value.parse("enforce", read_mode);
        match text::word(service) {
            Err(message) if service != "*" => table.problem_at(key, service, message),
            _ => drop(mode.map(|mode| services.insert(service.to_owned(), mode))),
        }
    }
    services
}

/// A program's own `block`; empty: it has none.
fn read_own_block(table: &Table<'_>) -> Option<BlockAnswer> {
    let value = table.value("block")?;
    if value.is_text() && value.text("")?.is_empty() { None } else { read_block(&value) }
}

/// The `schedule` of a program or group; empty: it has none.
pub fn read_schedule(table: &Table<'_>, zone: &Zone) -> Option<Schedule> {
    table.set_text("schedule", SCHEDULE_EXAMPLE)?.parse("", |text| text::schedule(text, zone))
}

fn read_refresh(text: &str) -> Result<Duration, String> {
    match text::duration(text)? {
        refresh if REFRESH_RANGE.contains(&refresh) => Ok(refresh),
        _ => Err(format!("{} is out of range; write \"15m\" to \"30d\"", shown(text))),
    }
}
