//! Writes an overlay so that `read` reads the same, and a person understands it.

use super::{Entry, FILE_NAME, Key, Overlay};
use crate::{dns::Name, policy::parse::Extent};
use std::fmt::{self, Write};

/// What stands at the top. Comments of other hands are not kept: the file is written anew with each change.
const HEAD: &str = "# Written by cleandns when something is changed by its pages or API. Stronger than the configuration.\n\
                    # Delete an entry to undo it, or the file to undo everything; either counts at once.\nversion = 1\n";

impl fmt::Display for Overlay {
    /// The whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        let mut section = String::new();
        for (key, entry) in &self.entries {
            let own = section_of(key);
            let is_table = own.starts_with("[[");
            if own != section || is_table {
                write!(f, "\n{own}\n")?;
                section = own;
            }
            write_entry(f, key, entry)?;
        }
        Ok(())
    }
}

/// The header under which an entry stands.
fn section_of(key: &Key) -> String {
    match key {
        Key::Mode { group: None, .. } => "[modes.everybody]".to_owned(),
        Key::Mode { group: Some(group), .. } => format!("[modes.group.{group}]"),
        Key::GroupSchedule(_) | Key::ProgramSchedule(_) => "[schedules]".to_owned(),
        Key::Exception(_) => "[[exception]]".to_owned(),
        Key::Block(_) => "[[block]]".to_owned(),
        Key::Pin { .. } => "[[pin]]".to_owned(),
        Key::LetThrough(_) => "[[let_through]]".to_owned(),
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, key: &Key, entry: &Entry) -> fmt::Result {
    let id = quoted(&key.id());
    let kind = match key {
        Key::GroupSchedule(_) => "group/",
        Key::ProgramSchedule(_) => "program/",
        Key::Mode { .. } | Key::Exception(_) | Key::Block(_) | Key::Pin { .. } | Key::LetThrough(_) => "",
    };
    match entry {
        Entry::Mode(mode) => writeln!(f, "{id} = \"{mode}\""),
        Entry::Schedule(schedule) => writeln!(f, "{} = {}", quoted(&format!("{kind}{}", key.id())), quoted(schedule)),
        Entry::Exception(exception) => {
            write!(f, "id = {id}\nnames = {}\n", list(&exception.names))?;
            write_list(f, "programs", &exception.programs)?;
            write_list(f, "groups", &exception.groups)?;
            write_rest(f, &exception.reason, &exception.until)
        }
        Entry::Block(block) => {
            write!(f, "id = {id}\nname = {}\n", quoted(&block.name))?;
            write_list(f, "groups", &block.groups)?;
            write_rest(f, &block.reason, &block.until)
        }
        Entry::Pin(pin) => {
            write!(f, "list = {id}\nversion = {}\n", quoted(&pin.version))?;
            write_rest(f, &pin.reason, "")
        }
        Entry::LetThrough(own) => {
            write!(f, "id = {id}\nlist = {}\nnames = {}\n", quoted(&own.list), list(&own.names))?;
            write_rest(f, &own.reason, "")
        }
    }
}

fn write_rest(f: &mut fmt::Formatter<'_>, reason: &str, until: &str) -> fmt::Result {
    for (option, text) in [("reason", reason), ("until", until)] {
        if !text.is_empty() {
            writeln!(f, "{option} = {}", quoted(text))?;
        }
    }
    Ok(())
}

fn write_list(f: &mut fmt::Formatter<'_>, option: &str, texts: &[String]) -> fmt::Result {
    if texts.is_empty() { Ok(()) } else { writeln!(f, "{option} = {}", list(texts)) }
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A basic string of TOML: on one line, whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for sign in text.chars() {
        match sign {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            sign if sign.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(sign));
            }
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}

/// Where an entry stands, for people: it is the same place however the file is written anew.
pub fn place(key: &Key) -> String {
    match key {
        Key::Exception(_) | Key::Block(_) | Key::LetThrough(_) => format!("{FILE_NAME}:{}", key.id()),
        Key::Mode { .. } | Key::GroupSchedule(_) | Key::ProgramSchedule(_) | Key::Pin { .. } => {
            format!("{FILE_NAME}: {key}")
        }
    }
}

/// A name as entries have it: `=name` is that name alone.
pub fn written(name: &Name, extent: Extent) -> String {
    match extent {
        Extent::Exact => format!("={name}"),
        Extent::Subtree => name.to_string(),
    }
}

/// Which names such a text means, for people.
pub fn name_told(name: &str) -> String {
    name.strip_prefix('=').map_or_else(|| format!("{name} and all below it"), |name| format!("{name} alone"))
}
