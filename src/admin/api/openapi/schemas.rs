//! Schemas of what is read and of what is written. The one is read as serde reads it, where much may be left out; the
//! other is written as serde writes it, where what is empty is left out.

use super::operation::Made;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

/// How the source says that there is none, and how that is sent.
const NONE: &str = "`None`";
const LEFT_OUT: &str = "Left out";
const NULL: &str = "`null`";

/// Where the document keeps them.
const PLACE: &str = "/components/schemas";

/// Schemas as they are found to be needed.
pub struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = PLACE.into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    /// The schema of what is sent to this server.
    pub fn read(&mut self, made: Made) -> Value {
        let mut schema = made(&mut self.read).to_value();
        tell_read(&mut schema);
        schema
    }

    /// The schema of what it answers.
    pub fn written(&mut self, made: Made) -> Value {
        made(&mut self.written).to_value()
    }

    /// A reference to the schema of a type that is written.
    pub fn reference<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// All that are referred to, by name. A name is of a type that is read, or of one that is written.
    pub fn into_all(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.values_mut().for_each(tell_read);
        for (name, mut schema) in self.written.take_definitions(true) {
            tell_written(&mut schema);
            all.insert(name, schema);
        }
        all
    }
}

/// Tells of what is sent to this server how it is left out.
fn tell_read(schema: &mut Value) {
    for property in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        tell_none(property.1, LEFT_OUT);
    }
}

/// What may be left out of what is written is left out where there is none: it is never `null`.
fn tell_written(schema: &mut Value) {
    let required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required.iter().any(|own| own == name) {
            tell_none(property, NULL);
        } else {
            not_null(property);
            tell_none(property, LEFT_OUT);
        }
    }
}

fn tell_none(property: &mut Value, word: &str) {
    if let Some(Value::String(told)) = property.get_mut("description")
        && told.contains(NONE)
    {
        *told = told.replace(NONE, word);
    }
}

/// Has numbers be of the sizes that OpenAPI has words for, the least that all of a type fit in; that none is negative is
/// told by `minimum`. Addresses are of either family, for which there is no word.
pub fn usual_formats(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(usual_formats),
        Value::Object(all) => {
            let usual = match all.get("format").and_then(Value::as_str) {
                Some("uint8" | "uint16" | "int8" | "int16") => Some("int32"),
                Some("uint32" | "uint64" | "uint" | "int") => Some("int64"),
                _ => None,
            };
            if let Some(usual) = usual {
                all.insert("format".to_owned(), usual.into());
            } else if all.get("format").is_some_and(|format| format == "ip") {
                all.remove("format");
            }
            all.values_mut().for_each(usual_formats);
        }
        _ => {}
    }
}

/// The schema without `null` among its types.
pub fn not_null(schema: &mut Value) {
    let is_null = |schema: &Value| schema["type"] == "null";
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|own| own != "null");
        if let [one] = types.as_slice() {
            schema["type"] = one.clone();
        }
    }
    if let Some(Value::Array(all)) = schema.get_mut("anyOf") {
        all.retain(|own| !is_null(own));
        if let [Value::Object(one)] = all.as_slice() {
            let one = one.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.remove("anyOf");
                schema.extend(one);
            }
        }
    }
}
