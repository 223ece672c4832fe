//! `cleandns config`: what is configured, where that comes from, and what could be.

use super::{
    Failure, Outcome,
    overlay::{self, Laid},
    say, say_json, warn,
};
use crate::{
    config::{
        CONFIG_PATH, Config, Problems, Shown,
        overlay::{Key, Overlay, told},
        schema, show,
    },
    embedded,
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Columns of a line before its place.
const PLACE_COLUMN: usize = 48;

/// Shows every option's value and where it comes from, with what was changed by pages or API upon it.
pub fn show_all(file: Option<&Path>, json: bool) -> Outcome {
    let shown = super::with_world(super::Absent::Kept, |world| show(file, world));
    let (config, mut all) = shown.map_err(|problems: Problems| Failure::Configuration(problems.to_string()))?;
    let Laid { overlay, trouble, resting, file, .. } = overlay::lay(config.clone());
    trouble.iter().for_each(|why| warn(why));
    resting.iter().for_each(|why| warn(&format!("{why}; this change does nothing")));
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    overlay.show(&file, &mut all);
    if json {
        let mut value = as_json(&all, "", &config);
        if !overlay.is_empty() {
            value["overlay"] = json!({ "file": file, "changes": changes(&overlay, |_| true) });
        }
        return say_json(&value);
    }
    let mut text = String::new();
    write_table(&all, "", &config, &mut text);
    // What is no option, so that the rest can be used as it is.
    let beside = changes(&overlay, |key| matches!(key, Key::Block(_) | Key::Pin { .. } | Key::LetThrough(_)));
    if !beside.is_empty() {
        text += &format!("\n# By pages or API, in {file}:\n");
    }
    beside.iter().for_each(|change| text += &format!("# - {change}\n"));
    say(text);
    Ok(())
}

/// What pages and API changed, in words.
fn changes(overlay: &Overlay, counts: impl Fn(&Key) -> bool) -> Vec<String> {
    let entries = overlay.entries().filter(|(key, _)| counts(key));
    entries.map(|(key, entry)| told(key, None, Some(entry))).collect()
}

/// Prints the JSON Schema of the configuration.
pub fn print_schema() -> Outcome {
    let template = embedded::read(CONFIG_PATH).unwrap_or_default();
    say_json(&schema(&String::from_utf8_lossy(&template)))
}

/// What an option that is left empty comes to, if that can't be seen from it.
fn in_effect(option: &str, config: &Config) -> Option<String> {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    match option {
        "state.dir" => Some(path(&config.state_dir)),
        "query_log.path" => Some(path(&config.query_log.database)),
        _ => None,
    }
}

/// Writes a table as TOML, with the place of each value behind it.
fn write_table(table: &[(String, Shown)], name: &str, config: &Config, text: &mut String) {
    let dotted = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    for (key, shown) in table {
        if let Shown::Value { toml, from, .. } = shown {
            let line = format!("{key} = {toml}");
            let effect = in_effect(&dotted(key), config).filter(|_| toml == "\"\"");
            let effect = effect.map_or_else(String::new, |effect| format!("; in effect: {effect}"));
            *text += &format!("{line:PLACE_COLUMN$}  # {from}{effect}\n");
        }
    }
    for (key, shown) in table {
        let dotted = dotted(key);
        match shown {
            Shown::Value { .. } => {}
            Shown::Table(own) => {
                *text += &format!("\n[{dotted}]\n");
                write_table(own, &dotted, config, text);
            }
            Shown::Tables(all) => {
                for own in all {
                    *text += &format!("\n[[{dotted}]]\n");
                    write_table(own, &format!("{dotted}[]"), config, text);
                }
            }
        }
    }
}

/// The same as JSON: each value as an object that says from where it is.
fn as_json(table: &[(String, Shown)], name: &str, config: &Config) -> Value {
    let dotted = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    let entries = table.iter().map(|(key, shown)| {
        let value = match shown {
            Shown::Value { json, from, .. } => {
                let mut value = json!({ "value": json, "from": from });
                if let Some(effect) = in_effect(&dotted(key), config).filter(|_| json == "") {
                    value["in_effect"] = effect.into();
                }
                value
            }
            Shown::Table(own) => as_json(own, &dotted(key), config),
            Shown::Tables(all) => all.iter().map(|own| as_json(own, &format!("{}[]", dotted(key)), config)).collect(),
        };
        (key.clone(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}
