//! What a configuration says in all, and where each value comes from: for people who wonder.

use super::{
    super::{
        Config, Origin, Problems,
        report::{Document, Report},
    },
    CONFIG_PATH, documents, find_config,
    merge::{fill, tree},
    read_all,
    world::World,
};
use std::path::Path;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What stands for the shipped defaults as a source.
const DEFAULT: &str = "default";

/// An option's value, or a table of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// As TOML writes it and as JSON does, and `file:line`, a variable of the environment, or `default`.
    Value { toml: String, json: serde_json::Value, from: String },
    /// In the order of the shipped configuration.
    Table(Vec<(String, Shown)>),
    /// Tables in double brackets.
    Tables(Vec<Vec<(String, Shown)>>),
}

/// A configuration, and all options with their values, and where each comes from. Of tables in double brackets only a program's defaults are
/// known; what else is left out in one isn't shown.
pub fn show(requested: Option<&Path>, world: &World<'_>) -> Result<(Config, Vec<(String, Shown)>), Problems> {
    let origin = find_config(requested, world)?;
    // Read once: what is shown is of the moment at which it was checked.
    let own = documents(&origin, world)?;
    // With anything wrong in it nothing would be in force.
    let config = read_all(&own, origin, world)?.config;
    let template = (world.embedded.read)(CONFIG_PATH).unwrap_or_default();
    let template = Document::file(DEFAULT, String::from_utf8_lossy(&template));
    let mut all = vec![template];
    // The copy inside the binary is the defaults.
    all.extend(own.into_iter().skip(usize::from(config.origin == Origin::Embedded)));
    let report = Report::new(&all);
    let sources = report.sources().len();
    let defaults = tree(&report, 0..1);
    let mut written = tree(&report, 1..sources);
    fill(&mut written, &defaults);
    let shown = table(&written, Some(&defaults), &report, "").collect();
    Ok((config, shown))
}

/// The values that stand in a configuration, as JSON.
pub fn defaults(template: &str) -> serde_json::Value {
    json_of(&DeValue::Table(DeTable::parse_recoverable(template).0.into_inner()))
}

/// The options of a table in the order of the shipped configuration, then in the order in which they are written.
fn table<'a>(
    written: &'a DeTable<'a>,
    defaults: Option<&'a DeTable<'a>>,
    report: &'a Report<'a>,
    option: &'a str,
) -> impl Iterator<Item = (String, Shown)> + 'a {
    let mut entries: Vec<_> = written.iter().collect();
    let place = |key: &Spanned<_>| {
        let known = defaults.and_then(|defaults| defaults.get_key_value(AsRef::<str>::as_ref(key.get_ref())));
        known.map_or((1, key.span().start), |(known, _)| (0, known.span().start))
    };
    entries.sort_by_key(|(key, _)| place(key));
    entries.into_iter().map(move |(key, value)| {
        let dotted = if option.is_empty() { key.get_ref().to_string() } else { format!("{option}.{}", key.get_ref()) };
        let default = defaults.and_then(|defaults| defaults.get(AsRef::<str>::as_ref(key.get_ref())));
        let default = default.and_then(|default| default.get_ref().as_table());
        (key.get_ref().to_string(), shown(value, default, report, &dotted))
    })
}

fn shown(value: &Spanned<DeValue<'_>>, defaults: Option<&DeTable<'_>>, report: &Report<'_>, option: &str) -> Shown {
    match value.get_ref() {
        // Inside of tables in double brackets, tables are values.
        DeValue::Table(own) if !option.contains("[]") => Shown::Table(table(own, defaults, report, option).collect()),
        DeValue::Array(array) if super::merge::is_of_tables(option) => {
            let option = format!("{option}[]");
            let tables = array.iter().filter_map(|element| element.get_ref().as_table());
            Shown::Tables(tables.map(|own| table(own, None, report, &option).collect()).collect())
        }
        other => {
            let from = report.place(value.span().start);
            let from = if from.starts_with(&format!("{DEFAULT}:")) { DEFAULT.to_owned() } else { from };
            Shown::Value { toml: toml_of(other), json: json_of(other), from }
        }
    }
}

/// A value on one line.
fn toml_of(value: &DeValue<'_>) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match value {
        DeValue::String(own) => text(own),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(own) => own.to_string(),
        DeValue::Datetime(day) => day.to_string(),
        DeValue::Array(array) => {
            let all: Vec<String> = array.iter().map(|element| toml_of(element.get_ref())).collect();
            format!("[{}]", all.join(", "))
        }
        DeValue::Table(table) => {
            let is_bare = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let key = |key: &str| if is_bare(key) && !key.is_empty() { key.to_owned() } else { text(key) };
            let entries =
                table.iter().map(|(name, value)| format!("{} = {}", key(name.get_ref()), toml_of(value.get_ref())));
            let all: Vec<String> = entries.collect();
            if all.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", all.join(", ")) }
        }
    }
}

fn json_of(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            let whole = i64::from_str_radix(number.as_str(), number.radix());
            whole.map_or_else(|_| number.to_string().into(), Into::into)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| number.to_string().into(), Into::into),
        DeValue::Boolean(own) => (*own).into(),
        DeValue::Datetime(day) => day.to_string().into(),
        DeValue::Array(array) => array.iter().map(|element| json_of(element.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())));
            serde_json::Value::Object(entries.collect())
        }
    }
}
