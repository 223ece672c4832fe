//! `cleandns check`: reads everything that a start would read, and says what is wrong with it.

use super::{Failure, Outcome, say};
use crate::{
    app,
    config::{Config, Loaded, Origin},
    lists::{ListPath, ListState, Lists},
    policy::parse::Told,
};
use std::sync::Arc;

/// Checks configuration and lists. Wrong configuration never gets here: it was reported while it was read.
pub fn check(loaded: Loaded, verbose: bool, strict: bool) -> Outcome {
    let config = loaded.config;
    match &config.origin {
        Origin::File(path) => say(format!("configuration: {}\n", path.display())),
        Origin::Embedded => say("configuration: built in, no file was found\n"),
    }
    for warning in &loaded.warnings {
        say(format!("warning: {warning}\n"));
    }
    app::check_resolver(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    app::check_admin(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    let (_, warnings) = app::local_data(&config).map_err(|error| Failure::Configuration(error.to_string()))?;
    warnings.iter().for_each(|warning| say(format!("warning: {warning}\n")));
    tell_of_addresses(&config);
    // A check leaves no trace: it neither writes last good copies nor falls back to them.
    let lists = Lists::load(Arc::new(config), app::embedded_files(), app::Outside::real().chance())
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    let status = published.status.load();
    let (mut skipped, mut held, mut unusable) = (0, 0, 0);
    for list in &status.lists {
        skipped += list.skipped.count;
        held += list.held.count;
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
    for why in &status.database_troubles() {
        say(format!("warning: {why}\n"));
    }
    let rules: usize = published.policy.load().as_ref().map_or(0, |policy| policy.rule_count());
    let lists = status.lists.len();
    for (place, until) in &status.expired_exceptions {
        say(format!("warning: {place}: the exception ended on {until} and no longer holds\n"));
    }
    say(format!(
        "{lists} lists, {rules} rules in force, {skipped} lines skipped, {held} rules held back, {unusable} lists unusable\n"
    ));
    if strict && (skipped > 0 || unusable > 0) {
        return Err(Failure::Configuration(format!(
            "{skipped} skipped lines and {unusable} unusable lists (--strict)"
        )));
    }
    Ok(())
}

/// Tells of addresses that a server could not have now. A service may have rights that whoever checks has not, and another
/// program may be about to leave: so they are no error.
fn tell_of_addresses(config: &Config) {
    let (in_the_way, own) = app::obstacles(config);
    in_the_way.iter().for_each(|obstacle| say(format!("warning: {obstacle}\n")));
    for obstacle in own.iter().filter(|obstacle| obstacle.protocol != "HTTP") {
        say(format!("{}: a cleandns answers on {} now\n", obstacle.option, obstacle.address));
    }
}

fn show(list: &ListState, verbose: bool) {
    let ListState { program, service, path, mode, rules, exceptions, .. } = list;
    let skipped_count = list.skipped.count;
    let is_remote = matches!(path, ListPath::Url { .. });
    if let Some(trouble) = &list.trouble {
        say(format!("{path}: unusable: {trouble}\n"));
    } else if is_remote && list.since.is_none() {
        say(format!("{path}: not downloaded yet, so it is not checked; a server downloads it\n"));
    } else if verbose {
        let blocking = rules - exceptions;
        let copy = if is_remote { ", as downloaded before" } else { "" };
        say(format!(
            "{program}/{service}: {mode}, {blocking} rules, {exceptions} exceptions, {skipped_count} lines skipped: \
             {path}{copy}\n"
        ));
    }
    // What a gate holds or warns of is for everybody to see; what is no rule, for those who ask.
    tell(path, "held back", &list.held);
    tell(path, "warning", &list.warned);
    if verbose {
        tell(path, "skipped", &list.skipped);
    }
}

/// Tells of lines with their reasons.
fn tell(path: &ListPath, what: &str, told: &Told) {
    told.first.iter().for_each(|line| say(format!("{path}:{}: {what}: {}\n", line.line, line.reason)));
    if told.first.len() < told.count {
        say(format!("{path}: {what}: and {} lines more\n", told.count - told.first.len()));
    }
}
