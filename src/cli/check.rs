//! `cleandns check`: reads everything that a start would read, and says what is wrong with it.

use super::{Failure, Outcome, say};
use crate::{
    app,
    config::{Loaded, Origin},
    lists::{ListState, Lists},
};
use std::sync::Arc;

/// Checks configuration and lists. Wrong configuration never gets here: it was reported while it was read.
pub fn check(loaded: Loaded, verbose: bool, strict: bool) -> Outcome {
    let mut config = loaded.config;
    match &config.origin {
        Origin::File(path) => say(format!("configuration: {}\n", path.display())),
        Origin::Embedded => say("configuration: built in, no file was found\n"),
    }
    for warning in &loaded.warnings {
        say(format!("warning: {warning}\n"));
    }
    app::check_resolver(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    let (_, warnings) = app::local_data(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    warnings.iter().for_each(|warning| say(format!("warning: {warning}\n")));
    // A check leaves no trace: it neither writes last good copies nor falls back to them.
    config.state_dir = None;
    let lists = Lists::load(Arc::new(config), app::embedded_files(), 0, Box::new(|_, _| {}))
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    let status = published.status.load();
    let (mut skipped, mut unusable) = (0, 0);
    for list in &status.lists {
        skipped += list.skipped_count;
        unusable += usize::from(list.is_held());
        show(list, verbose);
    }
    for (program, why) in &status.folders {
        unusable += 1;
        say(format!("{program}: {why}\n"));
    }
    for service in &status.unknown_services {
        say(format!("warning: {service}: the configuration names a service that no list has\n"));
    }
    let rules: usize = published.policy.load().as_ref().map_or(0, |policy| policy.rule_count());
    let lists = status.lists.len();
    say(format!("{lists} lists, {rules} rules in force, {skipped} lines skipped, {unusable} lists unusable\n"));
    if strict && (skipped > 0 || unusable > 0) {
        return Err(Failure::Configuration(format!(
            "{skipped} skipped lines and {unusable} unusable lists (--strict)"
        )));
    }
    Ok(())
}

fn show(list: &ListState, verbose: bool) {
    let ListState { program, service, path, mode, rules, exceptions, skipped_count, .. } = list;
    if let Some(trouble) = &list.trouble {
        say(format!("{path}: unusable: {trouble}\n"));
    } else if verbose {
        let names = rules - exceptions;
        say(format!(
            "{program}/{service}: {mode}, {names} names, {exceptions} exceptions, {skipped_count} lines skipped: {path}\n"
        ));
    }
    if verbose {
        list.skipped.iter().for_each(|skipped| say(format!("{path}:{}: {}\n", skipped.line, skipped.reason)));
        if list.skipped.len() < *skipped_count {
            say(format!("{path}: and {} lines more\n", skipped_count - list.skipped.len()));
        }
    }
}
