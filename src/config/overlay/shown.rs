//! What an overlay makes of the values that a configuration shows.

use super::{
    super::{DEFAULT_GROUP, Shown},
    Entry, Key, OWN_PROGRAM, Overlay, OwnException,
};
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
                (Key::Exception(_), Entry::Exception(exception)) => {
                    let has_blocks = self.entries().any(|(key, _)| matches!(key, Key::Block(_)));
                    let programs = those_there(all, "program", &exception.programs, has_blocks.then_some(OWN_PROGRAM));
                    let groups = those_there(all, "group", &exception.groups, Some(DEFAULT_GROUP));
                    if let (Some(programs), Some(groups)) = (programs, groups) {
                        add_exception(all, &OwnException { programs, groups, ..exception.clone() }, &from);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Those of some names that tables have, or `besides`; `None`: there are some, and all of them are gone.
fn those_there(all: &mut Options, array: &str, names: &[String], besides: Option<&str>) -> Option<Vec<String>> {
    let mut is_there = |name: &&String| besides == Some(name.as_str()) || named(all, array, name).is_some();
    let there: Vec<String> = names.iter().filter(|name| is_there(name)).cloned().collect();
    (names.is_empty() || !there.is_empty()).then_some(there)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The exceptions that are shown of programs `a` and group `g`, as options with their values.
    fn exceptions(overlay: &str) -> Vec<Vec<(String, Value)>> {
        let table = |name: &str| Shown::Tables(vec![vec![("name".to_owned(), text(name, "cleandns.toml:1"))]]);
        let mut all = vec![("program".to_owned(), table("a")), ("group".to_owned(), table("g"))];
        Overlay::read(overlay).unwrap().show("overlay.toml", &mut all);
        let Some((_, Shown::Table(policy))) = all.iter().find(|(name, _)| name == "policy") else { return Vec::new() };
        let Some((_, Shown::Tables(tables))) = policy.first() else { return Vec::new() };
        let value = |shown: &Shown| match shown {
            Shown::Value { json, .. } => json.clone(),
            _ => Value::Null,
        };
        tables.iter().map(|own| own.iter().map(|(name, shown)| (name.clone(), value(shown))).collect()).collect()
    }

    #[test]
    fn what_an_exception_names_is_shown_as_far_as_it_is_there() {
        let one =
            |more: &str| exceptions(&format!("version = 1\n[[exception]]\nid = 'e1'\nnames = ['x.example']\n{more}"));
        let names = || ("names".to_owned(), serde_json::json!(["x.example"]));
        let limit = |option: &str, to: &str| (option.to_owned(), serde_json::json!([to]));
        for (more, expected) in [
            ("", vec![vec![names()]]),
            ("programs = ['a', 'gone']\n", vec![vec![names(), limit("programs", "a")]]),
            ("groups = ['default', 'gone']\n", vec![vec![names(), limit("groups", "default")]]),
            // It passes nothing until one of them is there again.
            ("programs = ['gone']\n", vec![]),
            ("groups = ['gone']\n", vec![]),
            ("programs = ['own']\n", vec![]),
            (
                "programs = ['own']\n[[block]]\nid = 'b2'\nname = 'y.example'\n",
                vec![vec![names(), limit("programs", "own")]],
            ),
        ] {
            assert_eq!(one(more), expected, "{more}");
        }
    }
}
