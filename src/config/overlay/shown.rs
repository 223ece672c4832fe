//! What an overlay makes of the values that a configuration shows.

use super::{super::Shown, Entry, Key, Overlay, OwnException};
use serde_json::{Map, Value};

/// The options of a table.
type Options = Vec<(String, Shown)>;

impl Overlay {
    /// Puts what lies upon a configuration into all its values, each with `file` and its key as where it comes from. What
    /// names something that isn't there changes nothing; blocks, pins and what is let through are no options.
    pub fn show(&self, file: &str, all: &mut Options) {
        for (key, entry) in self.entries() {
            let from = format!("{file}: {key}");
            match (key, entry) {
                (Key::Mode { group, program, service }, Entry::Mode(mode)) => {
                    if named(all, "program", program).is_none() {
                        continue;
                    }
                    let (array, name, within) = match (group, service) {
                        (None, None) => ("program", program, None),
                        (None, Some(service)) => ("program", program, Some(("services", service.clone()))),
                        (Some(group), None) => ("group", group, Some(("programs", program.clone()))),
                        (Some(group), Some(service)) => {
                            ("group", group, Some(("services", format!("{program}/{service}"))))
                        }
                    };
                    let Some(table) = named(all, array, name) else { continue };
                    match within {
                        None => set(table, "mode", text(mode.word(), &from)),
                        Some((option, key)) => set_within(table, option, key, mode.word(), &from),
                    }
                }
                (Key::GroupSchedule(name), Entry::Schedule(schedule)) => {
                    named(all, "group", name).into_iter().for_each(|own| set(own, "schedule", text(schedule, &from)));
                }
                (Key::ProgramSchedule(name), Entry::Schedule(schedule)) => {
                    named(all, "program", name).into_iter().for_each(|own| set(own, "schedule", text(schedule, &from)));
                }
                (Key::Exception(_), Entry::Exception(exception)) => add_exception(all, exception, &from),
                _ => {}
            }
        }
    }
}

/// The table in double brackets that has this name.
fn named<'a>(all: &'a mut Options, array: &str, name: &str) -> Option<&'a mut Options> {
    let is_named = |table: &Options| {
        let is_name = |(option, shown): &(String, Shown)| {
            option == "name" && matches!(shown, Shown::Value { json: Value::String(own), .. } if own == name)
        };
        table.iter().any(is_name)
    };
    let (_, shown) = all.iter_mut().find(|(option, _)| option == array)?;
    match shown {
        Shown::Tables(tables) => tables.iter_mut().find(|table| is_named(table)),
        Shown::Value { .. } | Shown::Table(_) => None,
    }
}

fn set(table: &mut Options, option: &str, value: Shown) {
    match table.iter_mut().find(|(own, _)| own == option) {
        Some((_, shown)) => *shown = value,
        None => table.push((option.to_owned(), value)),
    }
}

/// Sets a key of a table that is one value. What else is in it comes from where it came.
fn set_within(table: &mut Options, option: &str, key: String, mode: &str, from: &str) {
    let written = table.iter().find(|(own, _)| own == option).map(|(_, shown)| shown);
    let (mut entries, from) = match written {
        Some(Shown::Value { json: Value::Object(entries), from: before, .. }) if !entries.is_empty() => {
            (entries.clone(), format!("{before}, {from}"))
        }
        _ => (Map::new(), from.to_owned()),
    };
    entries.insert(key, mode.into());
    let words = entries.iter().map(|(key, mode)| {
        let mode = mode.as_str().unwrap_or_default().to_owned();
        (key.clone(), toml::Value::String(mode))
    });
    let toml = toml::Value::Table(words.collect()).to_string();
    set(table, option, Shown::Value { toml, json: Value::Object(entries), from });
}

fn add_exception(all: &mut Options, own: &OwnException, from: &str) {
    let lists = [("names", &own.names), ("programs", &own.programs), ("groups", &own.groups)];
    let lists = lists.into_iter().filter(|(_, texts)| !texts.is_empty());
    let texts = [("reason", &own.reason), ("until", &own.until)];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let lists = lists.map(|(option, texts)| (option.to_owned(), list(texts, from)));
    let table: Options = lists.chain(texts.map(|(option, own)| (option.to_owned(), text(own, from)))).collect();
    if !all.iter().any(|(section, _)| section == "policy") {
        all.push(("policy".to_owned(), Shown::Table(Vec::new())));
    }
    let Some((_, Shown::Table(policy))) = all.iter_mut().find(|(section, _)| section == "policy") else { return };
    match policy.iter_mut().find(|(option, _)| option == "exception") {
        Some((_, Shown::Tables(exceptions))) => exceptions.push(table),
        _ => set(policy, "exception", Shown::Tables(vec![table])),
    }
}

fn text(text: &str, from: &str) -> Shown {
    let toml = toml::Value::String(text.to_owned()).to_string();
    Shown::Value { toml, json: text.into(), from: from.to_owned() }
}

fn list(texts: &[String], from: &str) -> Shown {
    let toml = toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect()).to_string();
    Shown::Value { toml, json: texts.into(), from: from.to_owned() }
}
