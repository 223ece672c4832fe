//! `cleandns lists`: the running server's lists.

mod diff;
mod versions;

pub use diff::{Shown, compare};
pub use versions::{release, roll_back, versions};

use super::{Outcome, ask_server, fetch, say, say_json};
use crate::{
    admin::{ListView, ListsView, UpdateView},
    config::Config,
    policy::shown_time,
};

/// Shows every list.
pub fn status(config: &Config, verbose: bool, json: bool) -> Outcome {
    let view: ListsView = fetch(config, "/api/v1/lists", &[])?;
    if json {
        return say_json(&view);
    }
    say(format!("policy {}\n", view.epoch));
    for list in &view.lists {
        show(list, verbose);
    }
    for (place, until) in &view.expired_exceptions {
        say(format!("! {place}: the exception ended on {until} and no longer holds\n"));
    }
    view.folder_troubles.iter().for_each(|(program, why)| say(format!("! {program}: {why}\n")));
    view.databases.iter().for_each(|why| say(format!("! {why}\n")));
    Ok(())
}

fn show(list: &ListView, verbose: bool) {
    let blocking = list.rules - list.exceptions;
    let ListView { program, service, mode, exceptions, skipped_count, path, version, .. } = list;
    let changed = list.changed_at.and_then(|seconds| i64::try_from(seconds).ok()).map(shown_time);
    let changed = changed.map_or_else(String::new, |time| format!("changed {time}\t"));
    say(format!(
        "{program}/{service}\t{mode}\t{blocking} rules\t{exceptions} exceptions\t{skipped_count} lines skipped\t{version}\t{changed}{path}\n"
    ));
    if let Some(pinned) = &list.pinned {
        let why = if pinned.reason.is_empty() { String::new() } else { format!(": {}", pinned.reason) };
        say(format!("  pinned at {}{why}\n", pinned.version));
        pinned.trouble.iter().for_each(|trouble| say(format!("  ! {trouble}; as it is now, it is in force\n")));
        pinned.waiting.iter().for_each(|version| say(format!("  version {version} waits\n")));
    }
    list.trouble.iter().for_each(|trouble| say(format!("  ! {trouble}\n")));
    list.doubt.iter().for_each(|doubt| say(format!("  ! in force, but look at it: {doubt}\n")));
    let tell = |what: &str, told: &[(u32, String)], count: usize| {
        told.iter().for_each(|(line, reason)| say(format!("  {path}:{line}: {what}: {reason}\n")));
        if told.len() < count {
            say(format!("  {path}: {what}: and {} lines more\n", count - told.len()));
        }
    };
    tell("held back", &list.held, list.held_count);
    tell("warning", &list.warned, list.warned_count);
    if verbose {
        tell("skipped", &list.skipped, list.skipped_count);
    }
}

/// Has the running server look at its lists, and download those with a url.
pub fn update(config: &Config, json: bool) -> Outcome {
    let view: UpdateView = ask_server(config, "/api/v1/lists/update", &[], Some(&serde_json::json!({})))?;
    if json {
        return say_json(&view);
    }
    say("asked; `cleandns lists status` tells what comes of it\n");
    Ok(())
}
