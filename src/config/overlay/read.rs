//! Reads an overlay from its text, with the readers of the configuration.

use super::{
    super::{
        Problem, Problems,
        file::{
            names, read_mode,
            reader::{Table, Value, read_documents},
            text,
        },
        report::{Document, Report},
    },
    BLOCKS_MAX, EXCEPTIONS_MAX, Entry, FILE_NAME, Key, LET_THROUGH_MAX, NAMES_MAX, Numbered, OVERLAY_BYTES_MAX,
    Overlay, OwnBlock, OwnException, OwnLetThrough, OwnPin, PINS_MAX, REASON_BYTES_MAX, SETTINGS_MAX, written,
};
use crate::policy::{Zone, parse::Extent};

const NAME_EXAMPLE: &str = "\"www.example.com\"";

impl Overlay {
    /// Reads the text of the file; an empty one changes nothing.
    pub fn read(text: &str) -> Result<Self, Problems> {
        if text.len() as u64 > OVERLAY_BYTES_MAX {
            let message = format!("is larger than {OVERLAY_BYTES_MAX} octets");
            return Err(Problems(vec![Problem::whole_file(FILE_NAME, message)]));
        }
        let documents = [Document::file(FILE_NAME, text)];
        let report = Report::new(&documents);
        let overlay = read_documents(&report, |root| {
            let mut overlay = Self::default();
            overlay.read_all(root);
            overlay
        });
        report.finish().map(|_| overlay)
    }

    fn read_all(&mut self, root: &Table<'_>) {
        if let Some(value) = root.value("version") {
            value.integer(1..=1);
        }
        root.section("modes", |table| {
            table.section("everybody", |table| self.read_modes(None, table));
            table.section("group", |table| {
                for (group, key, value) in table.entries() {
                    match text::word(group) {
                        Err(message) => table.problem_at(key, group, message),
                        Ok(group) => {
                            let example = format!("[modes.group.{group}] on a line of its own");
                            value.read_table(&example, |table| self.read_modes(Some(&group), table));
                        }
                    }
                }
            });
        });
        root.section("schedules", |table| self.read_schedules(table));
        if self.entries.len() > SETTINGS_MAX {
            root.problem(format!("there are more than {SETTINGS_MAX} modes and schedules; remove some"));
        }
        let exceptions = root.sections("exception", |table| {
            self.take(table, read_exception(table));
        });
        let blocks = root.sections("block", |table| {
            self.take(table, read_block(table));
        });
        let pins = root.sections("pin", |table| self.take_pin(table));
        let let_through = root.sections("let_through", |table| {
            self.take(table, read_let_through(table));
        });
        let counted = [
            (exceptions, EXCEPTIONS_MAX, "exceptions"),
            (blocks, BLOCKS_MAX, "blocks"),
            (pins, PINS_MAX, "lists held at a version"),
            (let_through, LET_THROUGH_MAX, "rules let through"),
        ];
        for (read, most, what) in counted {
            if read.is_some_and(|read| read.len() > most) {
                root.problem(format!("there are more than {most} {what}; remove some"));
            }
        }
    }

    /// Modes by `program` and `program/service`.
    fn read_modes(&mut self, group: Option<&str>, table: &Table<'_>) {
        for (both, at, value) in table.entries() {
            let mode = value.parse("shadow", read_mode);
            let (program, service) = both.split_once('/').map_or((both, None), |(program, own)| (program, Some(own)));
            let service = service.map(text::service).transpose();
            match (text::word(program), service) {
                (Err(message), _) | (_, Err(message)) => table.problem_at(at, both, message),
                (Ok(program), Ok(service)) => {
                    let key = Key::Mode { group: group.map(str::to_owned), program, service };
                    drop(mode.map(|mode| self.entries.insert(key, Entry::Mode(mode))));
                }
            }
        }
    }

    /// Schedules by `group/name` and `program/name`.
    fn read_schedules(&mut self, table: &Table<'_>) {
        for (what, at, value) in table.entries() {
            // A zone that isn't named is the configuration's; which one that is changes nothing of what can be read.
            let schedule = value.parse("Mon-Fri 08:00-17:00", |written| match written {
                "" => Ok(String::new()),
                written => {
                    text::schedule(written, &Zone::utc())?;
                    // A long one may stand on several lines.
                    Ok(written.split_whitespace().collect::<Vec<_>>().join(" "))
                }
            });
            let (kind, name) = what.split_once('/').unwrap_or((what, ""));
            let key = match (kind, text::word(name)) {
                ("group", Ok(name)) => Key::GroupSchedule(name),
                ("program", Ok(name)) => Key::ProgramSchedule(name),
                ("group" | "program", Err(message)) => {
                    table.problem_at(at, what, message);
                    continue;
                }
                _ => {
                    table.problem_at(at, what, "write \"group/…\" or \"program/…\", with a name");
                    continue;
                }
            };
            drop(schedule.map(|schedule| self.entries.insert(key, Entry::Schedule(schedule))));
        }
    }

    /// Takes in the version that a list is held at.
    fn take_pin(&mut self, table: &Table<'_>) {
        let version = |text: &str| match text.len() == 16 && u64::from_str_radix(text, 16).is_ok() {
            true => Ok(text.to_ascii_lowercase()),
            false => Err(format!("{} is no version; write sixteen hexadecimal digits", text::shown(text))),
        };
        let version = table.parse("version", String::new(), "77ae1290c3d4e5f6", version);
        let reason = read_reason(table);
        let Some(list) = table.value("list") else {
            table.missing("list", "a list is missing; write list = \"clean-store/tiktok.list\"".to_owned());
            return;
        };
        let Some(key) = list.parse("clean-store/tiktok.list", Key::of_list) else { return };
        if version.is_empty() {
            table.missing("version", "a version is missing; write version = \"77ae1290c3d4e5f6\"".to_owned());
        }
        if self.entries.insert(key, Entry::Pin(OwnPin { version, reason })).is_some() {
            list.problem("it is held at another version already; write one of them".to_owned());
        }
    }

    /// Takes a numbered entry in. Each has a number of its own.
    fn take<T: Numbered>(&mut self, table: &Table<'_>, own: T) {
        let letter = T::LETTER;
        let Some(id) = table.value("id") else {
            table.missing("id", format!("an id is missing; write id = \"{letter}1\""));
            return;
        };
        let number = id.parse(&format!("{letter}1"), |text| {
            Key::numbered(text, letter)
                .ok_or_else(|| format!("{} is no id; write such as \"{letter}1\"", text::shown(text)))
        });
        let Some(number) = number else { return };
        if self.entries.insert(T::key(number), own.entry()).is_some() {
            id.problem(format!("there is another {letter}{number}; write another number"));
        }
    }
}

fn read_exception(table: &Table<'_>) -> OwnException {
    let names = table.value("names");
    match &names {
        None => table.missing("names", format!("an exception needs names; write names = [{NAME_EXAMPLE}]")),
        Some(value) if value.is_empty_list() => {
            value.problem(format!("an exception needs names; write names = [{NAME_EXAMPLE}]"));
        }
        Some(_) => {}
    }
    let read = names.map(|value| value.parse_list(NAME_EXAMPLE, names::exception_name)).unwrap_or_default();
    if let Some((beyond, _)) = read.get(NAMES_MAX) {
        beyond.problem(format!("there are more than {NAMES_MAX} names; write another exception for the others"));
    }
    for (element, (name, extent)) in &read {
        if name.is_root() && *extent == Extent::Subtree {
            element.problem("passes every name there is; a pause does that for a time, and modes do it for longer");
        }
    }
    OwnException {
        names: read.iter().map(|(_, (name, extent))| written(name, *extent)).collect(),
        programs: words(table, "programs", "\"clean-store\""),
        groups: words(table, "groups", "\"guests\""),
        reason: read_reason(table),
        until: read_until(table),
    }
}

fn read_block(table: &Table<'_>) -> OwnBlock {
    let name = table.value("name");
    if name.is_none() {
        table.missing("name", format!("a block needs a name; write name = {NAME_EXAMPLE}"));
    }
    let name = name.and_then(|value: Value<'_>| {
        let (name, extent) = value.parse("www.example.com", names::exception_name)?;
        if name.is_root() {
            value.problem("blocks every name there is; write one of them");
        }
        Some(written(&name, extent))
    });
    OwnBlock {
        name: name.unwrap_or_default(),
        groups: words(table, "groups", "\"guests\""),
        reason: read_reason(table),
        until: read_until(table),
    }
}

fn read_let_through(table: &Table<'_>) -> OwnLetThrough {
    let (list, names) = (table.value("list"), table.value("names"));
    if list.is_none() {
        table.missing("list", "a list is missing; write list = \"clean-store/tiktok.list\"".to_owned());
    }
    match &names {
        None => table.missing("names", "names are missing; write names = [\"zip\"]".to_owned()),
        Some(value) if value.is_empty_list() => value.problem("names are missing; write names = [\"zip\"]"),
        Some(_) => {}
    }
    let read = names.map(|value| value.parse_list("\"zip\"", names::name)).unwrap_or_default();
    if let Some((beyond, _)) = read.get(NAMES_MAX) {
        beyond.problem(format!("there are more than {NAMES_MAX} names; write another entry for the others"));
    }
    for (element, _) in read.iter().filter(|(_, name)| name.is_root()) {
        element.problem("no rule on every name there is can be let through here; write release = [\".\"] on the list");
    }
    OwnLetThrough {
        list: list
            .and_then(|value| value.parse("clean-store/tiktok.list", |both| Key::of_list(both).map(|key| key.id())))
            .unwrap_or_default(),
        names: read.iter().map(|(_, name)| name.to_string()).collect(),
        reason: read_reason(table),
    }
}

/// Names of programs or groups; whether they are there is another question. Each counts once.
fn words(table: &Table<'_>, key: &'static str, example: &str) -> Vec<String> {
    let read = table.value(key).map(|value| value.parse_list(example, text::word)).unwrap_or_default();
    let mut words = Vec::new();
    for (_, word) in read {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn read_reason(table: &Table<'_>) -> String {
    let reason = |text: &str| match text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control) {
        true => Err(format!("is no reason; write at most {REASON_BYTES_MAX} octets on one line")),
        false => Ok(text.trim().to_owned()),
    };
    table.parse("reason", String::new(), "", reason)
}

/// A last day; empty: there is none.
fn read_until(table: &Table<'_>) -> String {
    let day = |day: &str| match day {
        "" => Ok(String::new()),
        day => text::end_of_day(day, &Zone::utc()).map(|_| day.to_owned()),
    };
    table.value("until").and_then(|value| value.parse_date("2027-01-31", day)).unwrap_or_default()
}
