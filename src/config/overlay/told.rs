//! Changes in words.

use super::{Entry, Key, Numbered, OwnBlock, OwnException, OwnLetThrough, name_told};

/// The kind of what stands at a key, as the audit log has it.
pub fn kind(key: &Key) -> &'static str {
    match key {
        Key::Mode { .. } => "mode",
        Key::GroupSchedule(_) | Key::ProgramSchedule(_) => "schedule",
        Key::Exception(_) => "exception",
        Key::Block(_) => "block",
        Key::Pin { .. } => "rollback",
        Key::LetThrough(_) => OwnLetThrough::WORD,
    }
}

/// What a change does, as what somebody did: `set clean-store to shadow for everybody`.
pub fn told(key: &Key, was: Option<&Entry>, entry: Option<&Entry>) -> String {
    let id = key.id();
    match (key, was, entry) {
        (Key::Mode { group, .. }, _, entry) => {
            let whom = group.as_ref().map_or("everybody".to_owned(), |group| format!("clients of {group}"));
            match entry {
                Some(Entry::Mode(mode)) => format!("set {id} to {mode} for {whom}"),
                _ => format!("gave {id} back to the configuration for {whom}"),
            }
        }
        (Key::GroupSchedule(_), _, entry) => schedule_told("the modes of", &id, entry),
        (Key::ProgramSchedule(_), _, entry) => schedule_told("the program", &id, entry),
        (_, None, Some(Entry::Exception(own))) => format!("let {} ({id})", exception_told(own)),
        (_, Some(_), Some(Entry::Exception(own))) => format!("changed exception {id}, to let {}", exception_told(own)),
        (_, Some(Entry::Exception(own)), _) => format!("removed exception {id} of {}", names_told(&own.names)),
        (_, None, Some(Entry::Block(own))) => format!("blocked {} ({id})", block_told(own)),
        (_, Some(_), Some(Entry::Block(own))) => format!("changed block {id}, to block {}", block_told(own)),
        (_, Some(Entry::Block(own)), _) => format!("removed block {id} of {}", name_told(&own.name)),
        (_, _, Some(Entry::Pin(own))) => {
            let why = if own.reason.is_empty() { String::new() } else { format!(": {}", own.reason) };
            format!("pinned {id} at version {}{why}", own.version)
        }
        (_, Some(Entry::Pin(own)), _) => format!("released {id} from version {}", own.version),
        (_, _, Some(Entry::LetThrough(own))) => {
            let why = if own.reason.is_empty() { String::new() } else { format!(": {}", own.reason) };
            format!("let rules on {} of {} through ({id}){why}", own.names.join(", "), own.list)
        }
        (_, Some(Entry::LetThrough(own)), _) => {
            format!("had rules on {} of {} held back again ({id})", own.names.join(", "), own.list)
        }
        _ => format!("left {id} as it is"),
    }
}

fn schedule_told(what: &str, name: &str, entry: Option<&Entry>) -> String {
    match entry {
        Some(Entry::Schedule(always)) if always.is_empty() => format!("had {what} {name} hold always"),
        Some(Entry::Schedule(schedule)) => format!("had {what} {name} hold {schedule}"),
        _ => format!("gave the schedule of {what} {name} back to the configuration"),
    }
}

fn exception_told(own: &OwnException) -> String {
    let past = if own.programs.is_empty() { "every program".to_owned() } else { own.programs.join(", ") };
    format!("{} pass {past} for {}{}", names_told(&own.names), whom(&own.groups), until(&own.until))
}

fn block_told(own: &OwnBlock) -> String {
    format!("{} for {}{}", name_told(&own.name), whom(&own.groups), until(&own.until))
}

fn names_told(names: &[String]) -> String {
    names.iter().map(|name| name_told(name)).collect::<Vec<_>>().join(", ")
}

fn whom(groups: &[String]) -> String {
    if groups.is_empty() { "everybody".to_owned() } else { format!("clients of {}", groups.join(", ")) }
}

fn until(day: &str) -> String {
    if day.is_empty() { String::new() } else { format!(" through {day}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::overlay::Overlay;

    #[test]
    fn changes_are_told_in_a_sentence() {
        let overlay = Overlay::read(
            "[modes.everybody]\n'a/s' = 'shadow'\n[modes.group.kids]\na = 'enforce'\n[schedules]\n'group/kids' = ''\n\
             'program/a' = 'daily 08:00-09:00'\n[[exception]]\nid = 'e1'\nnames = ['=x.example', 'y.example']\n\
             groups = ['kids']\nuntil = '2027-01-31'\n[[block]]\nid = 'b2'\nname = 'z.example'\n\
             [[pin]]\nlist = 'a/x.list'\nversion = '77ae1290c3d4e5f6'\nreason = 'too broad'\n\
             [[let_through]]\nid = 'l3'\nlist = 'a/x.list'\nnames = ['zip', 'mov']\nreason = 'we mean it'\n",
        )
        .unwrap();
        let all = |told: &dyn Fn(&Key, &Entry) -> String| -> Vec<String> {
            overlay.entries().map(|(key, entry)| told(key, entry)).collect()
        };
        let names = "x.example alone, y.example and all below it";
        assert_eq!(
            all(&|key, entry| told(key, None, Some(entry))),
            [
                "set a/s to shadow for everybody",
                "set a to enforce for clients of kids",
                "had the modes of kids hold always",
                "had the program a hold daily 08:00-09:00",
                &format!("let {names} pass every program for clients of kids through 2027-01-31 (e1)"),
                "blocked z.example and all below it for everybody (b2)",
                "pinned a/x.list at version 77ae1290c3d4e5f6: too broad",
                "let rules on zip, mov of a/x.list through (l3): we mean it",
            ]
        );
        assert_eq!(
            all(&|key, entry| told(key, Some(entry), None)),
            [
                "gave a/s back to the configuration for everybody",
                "gave a back to the configuration for clients of kids",
                "gave the schedule of the modes of kids back to the configuration",
                "gave the schedule of the program a back to the configuration",
                &format!("removed exception e1 of {names}"),
                "removed block b2 of z.example and all below it",
                "released a/x.list from version 77ae1290c3d4e5f6",
                "had rules on zip, mov of a/x.list held back again (l3)",
            ]
        );
        assert!(
            all(&|key, entry| told(key, Some(entry), Some(entry)))[4].starts_with("changed exception e1, to let x.ex")
        );
        let kinds: Vec<&str> = overlay.entries().map(|(key, _)| kind(key)).collect();
        assert_eq!(kinds, ["mode", "mode", "schedule", "schedule", "exception", "block", "rollback", "let_through"]);
    }
}
