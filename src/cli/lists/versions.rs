//! `cleandns lists versions`, `rollback`, `release`: the texts of a list that the running server keeps, and which of them
//! counts.

use super::super::{Failure, Outcome, ask_server, fetch, say, say_json};
use crate::{
    admin::{Done, ListView, ReleaseAsked, RollbackAsked, VersionView, encoded},
    config::Config,
    policy::shown_time,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is read of one list.
#[derive(Serialize, Deserialize)]
struct OneList {
    #[serde(flatten)]
    list: ListView,
    versions: Vec<VersionView>,
}

/// What is read of a difference.
#[derive(Deserialize)]
struct Difference {
    from: Text,
    to: Text,
    added: Side,
    removed: Side,
    #[serde(default)]
    asked: Option<Asked>,
    #[serde(default)]
    why_not: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    version: String,
}

#[derive(Deserialize)]
struct Side {
    count: usize,
    rules: Vec<String>,
    #[serde(default)]
    would_hit: Option<Hits>,
}

#[derive(Deserialize)]
struct Hits {
    queries: u64,
    names: usize,
    clients: usize,
    /// A server of another version doesn't tell.
    #[serde(default)]
    upper_bound: bool,
}

#[derive(Deserialize)]
struct Asked {
    hours: u32,
    queries: u64,
}

/// Shows the texts of a list, or what differs between two of them.
pub fn versions(config: &Config, list: &str, diff: Option<(&str, &str)>, json: bool) -> Outcome {
    let path = path_of(list)?;
    if let Some((from, to)) = diff {
        let query = [("from", from), ("to", to)];
        let told: Value = fetch(config, &format!("{path}/diff"), &query)?;
        return if json { say_json(&told) } else { show_difference(told) };
    }
    let one: OneList = fetch(config, &path, &[])?;
    if json {
        return say_json(&one);
    }
    if one.versions.is_empty() {
        say("no versions are kept: the server has no state folder ([state] dir)\n");
    }
    for version in &one.versions {
        let words = [
            (version.in_force, "in force"),
            (version.pinned, "pinned"),
            (version.newest && !version.in_force, "newest, waits"),
            (version.bytes.is_none(), "not kept"),
        ];
        let words: Vec<&str> = words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
        let (id, since, rules) = (&version.version, shown_time(version.since), version.rules);
        say(format!("{id}\t{since}\t{rules} rules\t{}\n", words.join(", ")));
    }
    Ok(())
}

fn show_difference(told: Value) -> Outcome {
    let difference: Difference =
        serde_json::from_value(told).map_err(|error| Failure::Other(format!("the answer can't be read: {error}")))?;
    let Difference { from, to, added, removed, asked, why_not } = difference;
    say(format!("{} to {}: {} added, {} removed\n", from.version, to.version, added.count, removed.count));
    for (sign, side) in [('-', &removed), ('+', &added)] {
        side.rules.iter().for_each(|rule| say(format!("{sign} {rule}\n")));
        if side.rules.len() < side.count {
            say(format!("{sign} and {} more\n", side.count - side.rules.len()));
        }
    }
    if let Some(asked) = asked {
        say(format!("of {} queries recorded in the last {} hours:\n", asked.queries, asked.hours));
        for (what, side) in [("new", &added), ("removed", &removed)] {
            if let Some(hits) = side.would_hit.as_ref().filter(|_| side.count > 0) {
                let Hits { queries, names, clients, upper_bound } = hits;
                let count = side.count;
                let most = if *upper_bound { "at most " } else { "" };
                say(format!(
                    "{count} {what} rules match {most}{queries} queries for {names} names by {clients} clients\n"
                ));
            }
        }
    }
    why_not.iter().for_each(|why| say(format!("whom it would have hit isn't known: {why}\n")));
    Ok(())
}

/// Pins a list at a text, by default the one that came before that in force.
pub fn roll_back(config: &Config, list: &str, version: Option<&str>, reason: &str, json: bool) -> Outcome {
    let version = match version {
        Some(version) => version.to_owned(),
        None => {
            let one: OneList = fetch(config, &path_of(list)?, &[])?;
            let before = one.versions.iter().skip_while(|version| !version.in_force).nth(1);
            let none = || Failure::Other(format!("no version of {list} before the one in force is kept"));
            before.map(|before| before.version.clone()).ok_or_else(none)?
        }
    };
    let asked = RollbackAsked { list: list.to_owned(), version, reason: reason.to_owned() };
    tell(&ask_server(config, "/api/v1/lists/rollback", &[], Some(&asked))?, json)
}

/// Lets a list be what it is now.
pub fn release(config: &Config, list: &str, json: bool) -> Outcome {
    let asked = ReleaseAsked { list: list.to_owned() };
    tell(&ask_server(config, "/api/v1/lists/release", &[], Some(&asked))?, json)
}

fn tell(done: &Done, json: bool) -> Outcome {
    if json {
        return say_json(done);
    }
    let still = if done.in_force { "" } else { "; it is not in force yet" };
    say(format!("{}{still}\n", done.summary));
    Ok(())
}

/// Where the API tells of a list.
fn path_of(list: &str) -> Result<String, Failure> {
    let none = || {
        Failure::Usage(format!("`{list}` is no list; write its program and its name, such as clean-store/tiktok.list"))
    };
    let (program, name) = list.split_once('/').ok_or_else(none)?;
    Ok(format!("/api/v1/lists/{}/{}", encoded(program), encoded(name)))
}
