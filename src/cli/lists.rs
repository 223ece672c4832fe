//! `cleandns lists`: the running server's lists.

use super::{Failure, Outcome, ask_server, fetch, say};
use crate::{
    admin::{ListView, ListsView, UpdateView},
    config::Config,
    lists::{self, ServiceDiff},
    policy::parse::{Extent, Format},
};
use std::path::Path;

/// Shows every list.
pub fn status(config: &Config, verbose: bool) -> Outcome {
    let view: ListsView = fetch(config, "/api/v1/lists", &[])?;
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
    say(format!(
        "{program}/{service}\t{mode}\t{blocking} rules\t{exceptions} exceptions\t{skipped_count} lines skipped\t{version}\t{path}\n"
    ));
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
pub fn update(config: &Config) -> Outcome {
    let _: UpdateView = ask_server(config, "/api/v1/lists/update", &[], Some(&serde_json::json!({})))?;
    say("asked; `cleandns lists status` tells what comes of it\n");
    Ok(())
}

/// Compares two files or folders of lists.
pub fn compare(old: &Path, new: &Path, format: Format, extent: Extent, count: bool) -> Outcome {
    let diffs = lists::diff(old, new, format, extent).map_err(|error| Failure::Other(error.to_string()))?;
    for ServiceDiff { service, added, removed } in &diffs {
        say(format!("{service}: {} added, {} removed\n", added.len(), removed.len()));
        if !count {
            removed.iter().for_each(|rule| say(format!("- {rule}\n")));
            added.iter().for_each(|rule| say(format!("+ {rule}\n")));
        }
    }
    if diffs.is_empty() {
        say("no rule differs\n");
    }
    Ok(())
}
