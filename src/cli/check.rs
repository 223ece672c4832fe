//! `cleandns check`: reads everything that a start would read, and says what is wrong with it.

use super::{Failure, Outcome, overlay, say, say_json};
use crate::{
    admin::{self, ListsView},
    app,
    config::{Loaded, Origin},
    lists::{ListPath, ListState, ListStatus, Lists, Published},
    policy::parse::Told,
    query_log,
};
use serde::Serialize;
use std::sync::Arc;

/// All that a check finds, as JSON.
#[derive(Serialize, Default)]
struct Checked {
    /// Why a server wouldn't start: a line each, as people are told them. With these there is nothing else.
    problems: Vec<String>,
    /// The configuration's file; `None`: the one built in.
    configuration: Option<String>,
    /// Files and variables of the environment that are read after it.
    besides: Vec<String>,
    warnings: Vec<String>,
    /// Why what pages and API changed can't be in force as it is written, and what is instead.
    overlay: Option<String>,
    /// Which of its addresses a cleandns has already, in words.
    running: Vec<String>,
    #[serde(flatten)]
    lists: Option<ListsView>,
    /// Rules in force, lines skipped, rules held back, lists and folders that can't be used.
    rules: usize,
    skipped: usize,
    held: usize,
    unusable: usize,
}

/// What there is when everything was read.
struct Looked {
    configuration: Option<String>,
    /// What is read after it.
    besides: Vec<String>,
    warnings: Vec<String>,
    /// Why what pages and API changed can't be in force.
    overlay: Option<String>,
    /// Which of its addresses a cleandns has already.
    running: Vec<String>,
    published: Arc<Published>,
}

/// Sums over all lists.
#[derive(Default)]
struct Sums {
    skipped: usize,
    held: usize,
    unusable: usize,
}

/// Reads all that a start would read. Wrong configuration never gets here: it was reported while it was read.
fn look(loaded: Loaded) -> Result<Looked, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Configuration(error.to_string());
    let Loaded { config, warnings, sources } = loaded;
    let mut besides: Vec<String> = sources.into_iter().skip(1).collect();
    let configuration = match &config.origin {
        Origin::File(path) => Some(path.display().to_string()),
        Origin::Embedded => None,
    };
    let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    app::check_resolver(&config).map_err(|error| wrong(&error))?;
    app::check_admin(&config).map_err(|error| wrong(&error))?;
    query_log::check(&config.query_log).map_err(|error| wrong(&error))?;
    let (_, of_names) = app::local_data(&config).map_err(|error| wrong(&error))?;
    warnings.extend(of_names);
    let overlay::Laid { config, trouble, resting, file } = overlay::lay(config);
    besides.extend(file.map(|file| file.display().to_string()));
    warnings.extend(resting.into_iter().map(|why| format!("{why}; this change does nothing")));
    // Addresses that a server could not have now are no error: a service may have rights that whoever checks has not, and
    // another program may be about to leave.
    let (in_the_way, own) = app::obstacles(&config);
    warnings.extend(in_the_way.iter().map(ToString::to_string));
    let own = own.iter().filter(|obstacle| obstacle.protocol != "HTTP");
    let running = own.map(|own| format!("{}: a cleandns answers on {} now", own.option, own.address)).collect();
    // A check leaves no trace: it neither writes last good copies nor falls back to them.
    let lists = Lists::load(Arc::new(config), app::embedded_files(), app::Outside::real().chance())
        .map_err(|error| wrong(&error))?;
    Ok(Looked { configuration, besides, warnings, overlay: trouble, running, published: lists.published() })
}

impl Sums {
    fn of(status: &ListStatus) -> Self {
        let mut sums = Self { unusable: status.folders.len(), ..Self::default() };
        for list in &status.lists {
            sums.skipped += list.skipped.count;
            sums.held += list.held.count;
            sums.unusable += usize::from(list.is_held());
        }
        sums
    }

    /// What `--strict` makes of them.
    fn judge(&self, strict: bool, overlay: Option<&str>) -> Outcome {
        let Self { skipped, unusable, .. } = self;
        if let Some(why) = overlay.filter(|_| strict) {
            return Err(Failure::Configuration(format!("{why} (--strict)")));
        }
        if strict && (*skipped > 0 || *unusable > 0) {
            return Err(Failure::Configuration(format!(
                "{skipped} skipped lines and {unusable} unusable lists (--strict)"
            )));
        }
        Ok(())
    }
}

/// Checks configuration and lists, and tells programs.
pub fn as_json(loaded: Result<Loaded, Failure>, strict: bool) -> Outcome {
    let looked = match loaded.and_then(look) {
        Ok(looked) => looked,
        Err(Failure::Configuration(text)) => {
            let problems = text.lines().map(str::to_owned).collect();
            say_json(&Checked { problems, ..Checked::default() })?;
            return Err(Failure::Configuration(text));
        }
        Err(other) => return Err(other),
    };
    let status = looked.published.status.load();
    let sums = Sums::of(&status);
    say_json(&Checked {
        problems: Vec::new(),
        configuration: looked.configuration,
        besides: looked.besides,
        warnings: looked.warnings,
        overlay: looked.overlay.clone(),
        running: looked.running,
        lists: Some(admin::lists(&status)),
        rules: looked.published.policy.load().as_ref().map_or(0, |policy| policy.rule_count()),
        skipped: sums.skipped,
        held: sums.held,
        unusable: sums.unusable,
    })?;
    sums.judge(strict, looked.overlay.as_deref())
}

/// Checks configuration and lists, and tells a person.
pub fn check(loaded: Loaded, verbose: bool, strict: bool) -> Outcome {
    let looked = look(loaded)?;
    match &looked.configuration {
        Some(path) => say(format!("configuration: {path}\n")),
        None => say("configuration: built in, no file was found\n"),
    }
    looked.besides.iter().for_each(|source| say(format!("besides: {source}\n")));
    looked.warnings.iter().for_each(|warning| say(format!("warning: {warning}\n")));
    looked.overlay.iter().for_each(|why| say(format!("warning: {why}\n")));
    looked.running.iter().for_each(|running| say(format!("{running}\n")));
    let status = looked.published.status.load();
    status.lists.iter().for_each(|list| show(list, verbose));
    status.folders.iter().for_each(|(program, why)| say(format!("{program}: {why}\n")));
    for service in &status.unknown_services {
        say(format!("warning: {service}: the configuration names a service that no list has\n"));
    }
    status.database_troubles().iter().for_each(|why| say(format!("warning: {why}\n")));
    for (place, until) in &status.expired_exceptions {
        say(format!("warning: {place}: the exception ended on {until} and no longer holds\n"));
    }
    let rules: usize = looked.published.policy.load().as_ref().map_or(0, |policy| policy.rule_count());
    let (lists, sums) = (status.lists.len(), Sums::of(&status));
    let Sums { skipped, held, unusable } = sums;
    say(format!(
        "{lists} lists, {rules} rules in force, {skipped} lines skipped, {held} rules held back, {unusable} lists unusable\n"
    ));
    sums.judge(strict, looked.overlay.as_deref())
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
