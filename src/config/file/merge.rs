//! Several documents made into one: each is read by itself, and what a later one says goes before what an earlier one
//! said. Every value keeps its place.

use super::super::report::{DocumentKind, Report, Source};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

/// Arrays of tables whose tables are the same ones where this key has the same text, in whatever files they stand.
const BY_KEY: [(&str, &str); 3] = [("program", "name"), ("group", "name"), ("resolve.forward", "zone")];
/// Arrays of tables that have no names: those of all files count.
const ALL_COUNT: [&str; 1] = ["policy.exception"];

/// Puts what a later document says over what the earlier ones said: tables key by key, named tables by their names, and
/// anything else whole. `option`: the dotted name of both.
pub fn merge<'a>(earlier: &mut DeTable<'a>, later: DeTable<'a>, option: &str) {
    for (key, value) in later {
        let dotted = match option {
            "" => key.get_ref().to_string(),
            option => format!("{option}.{}", key.get_ref()),
        };
        match earlier.get_mut(key.get_ref().as_ref()) {
            Some(own) => join(own, value, &dotted),
            None => {
                earlier.insert(key, value);
            }
        }
    }
}

fn join<'a>(own: &mut Spanned<DeValue<'a>>, later: Spanned<DeValue<'a>>, option: &str) {
    let at = later.span();
    match (own.get_mut(), later.into_inner()) {
        (DeValue::Table(own), DeValue::Table(later)) => merge(own, later, option),
        (DeValue::Array(own), DeValue::Array(later)) if ALL_COUNT.contains(&option) => {
            later.into_iter().for_each(|table| own.push(table));
        }
        (DeValue::Array(own), DeValue::Array(later)) if BY_KEY.iter().any(|(array, _)| *array == option) => {
            join_named(own, later, option);
        }
        (_, later) => *own = Spanned::new(at, later),
    }
}

/// Joins tables with names. Two of one name in one document are a mistake that is told of later.
fn join_named<'a>(own: &mut DeArray<'a>, later: DeArray<'a>, option: &str) {
    let key = BY_KEY.iter().find(|(array, _)| *array == option).map_or("", |(_, key)| key);
    let earlier = own.len();
    // Those that this document has said something of: a second time is a mistake of its own.
    let mut joined = Vec::new();
    for table in later {
        let name = name_of(&table, key);
        let is_twin = |known: &Spanned<DeValue<'a>>| name.is_some() && name_of(known, key) == name;
        let twin = own.iter().take(earlier).position(is_twin).filter(|twin| !joined.contains(twin));
        let Some(twin) = twin else {
            own.push(table);
            continue;
        };
        joined.push(twin);
        if let Some(known) = own.get_mut(twin) {
            join(known, table, &format!("{option}[]"));
        }
    }
}

/// True for the dotted names of arrays of tables.
pub fn is_of_tables(option: &str) -> bool {
    BY_KEY.iter().any(|(array, _)| *array == option) || ALL_COUNT.contains(&option)
}

/// Sets what isn't set to what `defaults` say. Programs are those that are written, if any is; one that isn't among the
/// defaults has what all of these have.
pub fn fill<'a>(own: &mut DeTable<'a>, defaults: &DeTable<'a>) {
    let programs = defaults.get("program").and_then(|programs| programs.get_ref().as_array());
    if let (Some(programs), Some(DeValue::Array(written))) = (programs, own.get_mut("program").map(Spanned::get_mut)) {
        written.iter_mut().for_each(|program| fill_program(program, programs));
    }
    for (key, value) in defaults {
        match (own.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (None, _) => drop(own.insert(key.clone(), value.clone())),
            (Some(DeValue::Table(own)), DeValue::Table(defaults)) => fill(own, defaults),
            _ => {}
        }
    }
}

fn fill_program<'a>(own: &mut Spanned<DeValue<'a>>, programs: &DeArray<'a>) {
    let name = name_of(own, "name");
    let twin = programs.iter().find(|program| name_of(program, "name") == name);
    let Some(DeValue::Table(defaults)) = twin.or(programs.first()).map(|program| program.get_ref()) else { return };
    let DeValue::Table(own) = own.get_mut() else { return };
    for (key, value) in defaults {
        let is_its_own = twin.is_some() || !["name", "lists"].contains(&key.get_ref().as_ref());
        if is_its_own && !own.contains_key(key.get_ref().as_ref()) {
            own.insert(key.clone(), value.clone());
        }
    }
}

/// The documents of a report that lie in `range` as one table, as far as they can be read.
pub fn tree<'a>(report: &Report<'a>, range: Range<usize>) -> DeTable<'a> {
    let mut whole = DeTable::new();
    for source in &report.sources()[range] {
        let table = match source.kind {
            DocumentKind::Variable(variable) => overriding(source, variable),
            DocumentKind::File => moved(DeTable::parse_recoverable(source.text).0.into_inner(), source.start),
        };
        merge(&mut whole, table, "");
    }
    whole
}

/// What a table is called. A zone is the same with and without its last dot.
fn name_of(table: &Spanned<DeValue<'_>>, key: &str) -> Option<String> {
    let name = table.get_ref().as_table()?.get(key)?.get_ref().as_str()?;
    let name = name.trim().to_ascii_lowercase();
    Some(if name.len() > 1 { name.trim_end_matches('.').to_owned() } else { name })
}

/// The table with all its places moved to where its document begins.
pub fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| (at(key, by, |key| key), at(value, by, |value| moved_value(value, by))))
        .collect()
}

fn moved_value(value: DeValue<'_>, by: usize) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        DeValue::Array(array) => {
            let mut all = DeArray::new();
            array.into_iter().for_each(|element| all.push(at(element, by, |value| moved_value(value, by))));
            DeValue::Array(all)
        }
        other => other,
    }
}

fn at<T, U>(value: Spanned<T>, by: usize, inner: impl FnOnce(T) -> U) -> Spanned<U> {
    let Range { start, end } = value.span();
    Spanned::new(start + by..end + by, inner(value.into_inner()))
}

/// The dotted name of the option that a variable sets.
pub fn option_of(variable: &str) -> String {
    keys_of(variable).replace("__", ".").to_ascii_lowercase()
}

/// The variable without what all of them begin with.
fn keys_of(variable: &str) -> &str {
    variable.strip_prefix(super::world::OVERRIDES).unwrap_or(variable)
}

/// What a variable of the environment says: `CLEANDNS_SECTION__KEY`, a value as TOML has it, or else just text.
pub fn overriding<'a>(source: &Source<'a>, variable: &'a str) -> DeTable<'a> {
    let at = source.start..source.start + source.text.len();
    let value = DeValue::parse(source.text).map_or(DeValue::String(source.text.into()), Spanned::into_inner);
    // All of it is at one place, which has no lines.
    let value = everywhere(value, &at);
    let keys: Vec<&str> = keys_of(variable).split("__").collect();
    let mut table = DeTable::new();
    let mut inner = Some(value);
    for key in keys.into_iter().rev() {
        let value = match inner.take() {
            Some(value) => value,
            None => DeValue::Table(std::mem::take(&mut table)),
        };
        table = DeTable::new();
        table.insert(Spanned::new(at.clone(), key.to_ascii_lowercase().into()), Spanned::new(at.clone(), value));
    }
    table
}

fn everywhere<'a>(value: DeValue<'a>, place: &Range<usize>) -> DeValue<'a> {
    let inner = |value: Spanned<DeValue<'a>>| Spanned::new(place.clone(), everywhere(value.into_inner(), place));
    match value {
        DeValue::Table(table) => {
            let entries = table.into_iter();
            DeValue::Table(
                entries.map(|(key, value)| (Spanned::new(place.clone(), key.into_inner()), inner(value))).collect(),
            )
        }
        DeValue::Array(array) => {
            let mut all = DeArray::new();
            array.into_iter().for_each(|element| all.push(inner(element)));
            DeValue::Array(all)
        }
        other => other,
    }
}
