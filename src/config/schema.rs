//! The configuration's JSON Schema (2020-12), for editors: what options there are is written here, what they mean is taken
//! from the comments of the shipped configuration.

mod comments;
mod options;

use self::{
    comments::Comments,
    options::{Kind, OPTIONS, TABLES},
};
use super::file::defaults;
use serde_json::{Map, Value, json};

/// The schema. `template`: the shipped configuration.
pub fn schema(template: &str) -> Value {
    let (comments, defaults) = (Comments::of(template), defaults(template));
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cleandns",
        "description": "The configuration of cleandns, as TOML or JSON has it.",
    });
    describe(&mut root, "", &comments, &defaults);
    root
}

/// The options that the schema knows, by their dotted names.
#[cfg(test)]
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(option, _)| *option)
}

/// Makes a table of `schema`, with all options that lie in `table` itself or deeper.
fn describe(schema: &mut Value, table: &str, comments: &Comments, defaults: &Value) {
    let mut properties = Map::new();
    let below = |option: &'static str| match table {
        "" => Some(option),
        table => option.strip_prefix(table)?.strip_prefix('.'),
    };
    for (option, kind) in OPTIONS {
        let Some(key) = below(option) else { continue };
        if key.contains('.') {
            continue;
        }
        let mut property = kind.schema();
        if let Kind::Table | Kind::Tables = kind {
            let own = if *kind == Kind::Table { &mut property } else { &mut property["items"] };
            describe(own, option, comments, &defaults[key]);
        } else if let Some(default) = defaults.get(key) {
            property["default"] = default.clone();
        }
        if let Some(text) = comments.of_option(option) {
            property["description"] = text.into();
        }
        properties.insert(key.to_owned(), property);
    }
    schema["type"] = "object".into();
    schema["additionalProperties"] = false.into();
    schema["properties"] = Value::Object(properties);
    if let Some((_, required)) = TABLES.iter().find(|(own, _)| *own == table) {
        schema["required"] = json!(required);
    }
}
