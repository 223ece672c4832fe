//! The JSON Schema says the same as the code that reads configurations.

use super::{
    super::{super::schema, reader::read_documents, sections::read_config, show::defaults},
    *,
};
use jsonschema::Validator;
use serde_json::Value;
use std::sync::LazyLock;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema::schema(TEMPLATE)).unwrap());

/// What the schema has against a configuration.
fn objections(text: &str) -> Vec<String> {
    let objection = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    VALIDATOR.iter_errors(&defaults(text)).map(objection).collect()
}

/// Asserts that the schema has nothing against a configuration.
#[track_caller]
pub(super) fn assert_valid(text: &str) {
    assert_eq!(objections(text), Vec::<String>::new(), "{text}");
}

#[test]
fn the_schema_knows_exactly_the_options_that_are_read() {
    let (_folder, world) = clone();
    let origin = Origin::File(world.current_folder.join("config/c.toml"));
    let documents = [Document::file("c.toml", uncommented())];
    let report = Report::new(&documents);
    read_documents(&report, |root| read_config(root, origin, &world));
    let known: Vec<String> = schema::known().map(str::to_owned).collect();
    let mut sorted = known.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted, report.asked().into_iter().collect::<Vec<_>>());
    assert_eq!(sorted.len(), known.len(), "an option stands there twice");
}

#[test]
fn the_shipped_configuration_keeps_to_the_schema() {
    assert_valid(TEMPLATE);
    // One example has a list with a path and a url, which no schema minds; else all of them are valid.
    assert_valid(&uncommented());
    assert_valid("");
}

#[test]
fn what_is_wrong_is_wrong_by_the_schema_too() {
    for text in [
        "nonsense = 1",
        "[log]\nnonsense = true",
        "[resolve]\nvalidate = 'yes'",
        "[listen]\ndo53 = '127.0.0.1:53'",
        "[listen]\nworkers = 1025",
        "[listen]\ndot = ['127.0.0.1:853']",
        "[cache]\nsize = 1.5",
        "[cache]\nsize = '1 week'",
        "[cache]\nstale = '1 week'",
        "[policy]\nmode = 'enforced'",
        "[policy]\nblock = 'nxdomian'",
        "[policy]\nblock = []",
        "[[program]]\nmode = 'off'",
        "[[program]]\nname = 'x'\nservices = { a = 'on' }",
        "[[program]]\nname = 'x'\nlists = [{ path = 'own.list', format = 'zone' }]",
        "[[program]]\nname = 'x'\nlists = [{ path = 'own.list', change_max = '101%' }]",
        "[[group]]\nname = 'x'",
        "[[resolve.forward]]\nzone = 'x'",
    ] {
        assert_ne!(objections(text), Vec::<String>::new(), "{text}");
    }
}

/// Each option, or the table that it is in, is described in the words of the shipped configuration.
#[test]
fn every_option_is_described() {
    fn undescribed(schema: &Value, name: &str, is_described: bool, found: &mut Vec<String>) {
        let is_described = is_described || schema["description"].as_str().is_some_and(|text| text.len() > 10);
        let own = if schema["items"]["properties"].is_object() { &schema["items"] } else { schema };
        match own["properties"].as_object() {
            None if !is_described => found.push(name.to_owned()),
            None => {}
            Some(properties) => {
                for (key, property) in properties {
                    // The root's description says nothing of an option.
                    undescribed(property, &format!("{name}.{key}"), is_described && !name.is_empty(), found);
                }
            }
        }
    }
    let schema = schema::schema(TEMPLATE);
    let mut found = Vec::new();
    undescribed(&schema, "", false, &mut found);
    assert_eq!(found, Vec::<String>::new());
    let of = |pointer: &str| schema.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let list = "/properties/program/items/properties/lists/items/properties";
    for (pointer, text) in [
        ("/properties/cache/properties/stale/description", "How long an answer may be given after its time"),
        ("/properties/program/items/properties/ede/description", "15 is \"Blocked\", 16 \"Censored\", 17 \"Filtered\""),
        (
            &format!("{list}/allow_empty/description"),
            "true: an empty list is fine. Else the last good state stays in force",
        ),
        (&format!("{list}/ca_file/description"), "that of a server of your own"),
        ("/properties/group/items/properties/tags/description", "what AdBlock lists may call these clients ($ctag)"),
    ] {
        assert!(
            of(pointer).contains(text) && !of(pointer).contains("Memory for answers"),
            "{pointer}: {:?}",
            of(pointer)
        );
    }
}
