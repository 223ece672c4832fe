//! `cleandns check`: reads everything that a start would read, and says what is wrong with it.

use super::{Failure, Outcome, overlay, say, say_json};
use crate::{
    admin::{self, ListsView},
    app::{self, Obstacles},
    config::{Config, Examined, Origin},
    confine::{ConfineError, foresee},
    lists::{ListPath, ListState, Lists, Published, kept_location},
    policy::parse::Told,
    query_log,
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What was found in one go, whatever is wrong with some of it.
#[derive(Serialize, Default)]
struct Checked {
    /// Why a server wouldn't start: a line each, as people are told them.
    problems: Vec<String>,
    /// The configuration's file; `None`: the one built in.
    configuration: Option<String>,
    /// Files and variables of the environment that are read after it.
    besides: Vec<String>,
    warnings: Vec<String>,
    /// Why what pages and API changed can't be in force as it is written, and what is instead.
    overlay: Option<String>,
    /// How many addresses are another's now, or can't be had by whoever checks.
    #[serde(skip)]
    in_the_way: usize,
    /// Which of its addresses a cleandns has already, in words.
    running: Vec<String>,
    /// The file of the token that a start would make; `None`: it is there, or none is asked for.
    token_to_make: Option<String>,
    /// `None`: the lists could not be read, or it isn't known which there are.
    #[serde(flatten)]
    lists: Option<ListsView>,
    #[serde(flatten)]
    sums: Sums,
    /// What `lists` and `sums` are of.
    #[serde(skip)]
    published: Option<Arc<Published>>,
    /// Where a start finds last good copies.
    #[serde(skip)]
    state_dir: Option<PathBuf>,
}

/// Sums over all lists.
#[derive(Serialize, Default)]
struct Sums {
    /// In force.
    rules: usize,
    /// Lines that gave no rule.
    skipped: usize,
    /// Rules held back.
    held: usize,
    /// Lists and folders that can't be used.
    unusable: usize,
}

/// Reads all that a start would read, as far as it is known what that is.
fn look(found: Examined) -> Checked {
    let Examined { config, problems, warnings, sources, places } = found;
    // What is wrong in one section is no reason not to look at what others name.
    let is_whole = |sections: &[&str]| {
        let is_of = |option: &str| sections.iter().any(|section| option.split('.').next() == Some(section));
        !problems.iter().any(|problem| problem.option.is_empty() || is_of(&problem.option))
    };
    let mut checked = Checked {
        problems: problems.iter().map(ToString::to_string).collect(),
        besides: sources.into_iter().skip(1).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        ..Checked::default()
    };
    let Some(config) = config else { return checked };
    if let Origin::File(path) = &config.origin {
        checked.configuration = Some(path.display().to_string());
    }
    let (problems_of_files, of_names) = look_at_files(&config, &is_whole);
    checked.problems.extend(problems_of_files);
    checked.warnings.extend(of_names);
    if is_whole(&["process", "state"]) {
        let placed = |found: ConfineError| match places.get(found.option()) {
            Some(place) => format!("{place}: {found}"),
            None => found.to_string(),
        };
        match foresee(&config) {
            Ok(found) => checked.warnings.extend(found.map(placed)),
            Err(found) => checked.problems.push(placed(found)),
        }
    }
    let to_make =
        config.admin.as_ref().filter(|_| is_whole(&["admin", "state"])).and_then(|admin| admin.token_to_make());
    checked.token_to_make = to_make.map(|file| file.display().to_string());
    if is_whole(&["listen", "admin"]) {
        // Addresses that a server could not have now are no error: a service may have rights that whoever checks has not,
        // and another program may be about to leave.
        let Obstacles { in_the_way, own, left_out } = app::obstacles(&config, &app::Passed::default());
        checked.warnings.extend(left_out);
        checked.in_the_way = in_the_way.len();
        checked.warnings.extend(in_the_way.iter().map(ToString::to_string));
        let own = own.iter().filter(|obstacle| obstacle.protocol != "HTTP");
        checked.running.extend(own.map(|own| format!("{}: a cleandns answers on {} now", own.option, own.address)));
    }
    if !is_whole(&["policy", "program", "group", "state"]) {
        return checked;
    }
    checked.state_dir.clone_from(&config.state_dir);
    let overlay::Laid { config, trouble, resting, pinned, file, .. } = overlay::lay(config);
    checked.overlay = trouble;
    checked.besides.extend(file.map(|file| file.display().to_string()));
    checked.warnings.extend(pinned);
    checked.warnings.extend(resting.into_iter().map(|why| format!("{why}; this change does nothing")));
    // A check leaves no trace: it writes no last good copies, and tells how lists are now, whatever serves in their place.
    match Lists::foresee(Arc::new(config), app::embedded_files(), app::Outside::real().chance()) {
        Ok(lists) => {
            let published = lists.published();
            checked.lists = Some(admin::lists(&published.status.load()));
            checked.sums = Sums::of(&published);
            checked.published = Some(published);
        }
        Err(error) => checked.problems.extend(error.to_string().lines().map(str::to_owned)),
    }
    checked
}

/// What a start would stumble over in what the configuration names besides lists: all of it, a line each.
pub fn problems(config: &Config) -> Vec<String> {
    look_at_files(config, &|_| true).0
}

/// The same of sections that are whole, and what in the owner's hosts files can't be used.
fn look_at_files(config: &Config, is_whole: &dyn Fn(&[&str]) -> bool) -> (Vec<String>, Vec<String>) {
    let (mut problems, mut of_names) = (Vec::new(), Vec::new());
    if is_whole(&["resolve"]) {
        problems.extend(app::check_resolver(config).err().map(|error| error.to_string()));
    }
    if is_whole(&["admin"]) {
        problems.extend(app::check_admin(config));
    }
    if is_whole(&["query_log", "state"]) {
        problems.extend(query_log::check(&config.query_log).iter().map(ToString::to_string));
    }
    if is_whole(&["local"]) {
        match app::local_data(config) {
            Ok((_, told)) => of_names = told,
            Err(error) => problems.push(error.to_string()),
        }
    }
    (problems, of_names)
}

impl Checked {
    /// What is to be made of all that was found.
    fn judge(&self, strict: bool) -> Outcome {
        if !self.problems.is_empty() {
            return Err(Failure::Configuration(self.problems.join("\n")));
        }
        if let Some(why) = self.overlay.as_ref().filter(|_| strict) {
            return Err(Failure::Configuration(format!("{why} (--strict)")));
        }
        if strict && self.in_the_way > 0 {
            return Err(Failure::Configuration(format!(
                "{} addresses can't be listened on now (--strict)",
                self.in_the_way
            )));
        }
        let Sums { skipped, unusable, .. } = self.sums;
        if strict && (skipped > 0 || unusable > 0) {
            let text = format!("{skipped} skipped lines and {unusable} unusable lists (--strict)");
            return Err(Failure::Configuration(text));
        }
        Ok(())
    }
}

impl Sums {
    fn of(published: &Published) -> Self {
        let (policy, status) = (published.policy.load(), published.status.load());
        let rules = policy.as_ref().map_or(0, |policy| policy.rule_count());
        let mut sums = Self { rules, unusable: status.folders.len(), ..Self::default() };
        for list in &status.lists {
            sums.skipped += list.skipped.count;
            sums.held += list.held.count;
            sums.unusable += usize::from(list.is_held());
        }
        sums
    }
}

/// Checks configuration and lists, and tells programs.
pub fn as_json(found: Examined, strict: bool) -> Outcome {
    let checked = look(found);
    say_json(&checked)?;
    checked.judge(strict)
}

/// Checks configuration and lists, and tells a person.
pub fn check(found: Examined, verbose: bool, strict: bool) -> Outcome {
    let checked = look(found);
    match &checked.configuration {
        Some(path) => say(format!("configuration: {path}\n")),
        None if checked.problems.is_empty() => say("configuration: built in, no file was found\n"),
        None => {}
    }
    checked.besides.iter().for_each(|source| say(format!("besides: {source}\n")));
    checked.warnings.iter().for_each(|warning| say(format!("warning: {warning}\n")));
    checked.overlay.iter().for_each(|why| say(format!("warning: {why}\n")));
    checked.running.iter().for_each(|running| say(format!("{running}\n")));
    let to_make = checked.token_to_make.iter();
    to_make.for_each(|file| {
        say(format!("admin.token_file: {file} isn't there; a start with these surroundings makes it\n"))
    });
    let Some(published) = &checked.published else { return checked.judge(strict) };
    let status = published.status.load();
    status.lists.iter().for_each(|list| show(list, verbose, checked.state_dir.as_deref()));
    status.folders.iter().for_each(|(program, why)| say(format!("{program}: {why}\n")));
    for service in &status.unknown_services {
        say(format!("warning: {service}: the configuration names a service that no list has\n"));
    }
    status.database_troubles().iter().for_each(|why| say(format!("warning: {why}\n")));
    for (place, until) in &status.expired_exceptions {
        say(format!("warning: {place}: the exception ended on {until} and no longer holds\n"));
    }
    let (lists, Sums { rules, skipped, held, unusable }) = (status.lists.len(), &checked.sums);
    say(format!(
        "{lists} lists, {rules} rules in force, {skipped} lines skipped, {held} rules held back, {unusable} lists unusable\n"
    ));
    checked.judge(strict)
}

/// `state_dir`: where a start finds last good copies.
fn show(list: &ListState, verbose: bool, state_dir: Option<&Path>) {
    let ListState { program, service, path, mode, rules, exceptions, .. } = list;
    let skipped_count = list.skipped.count;
    let is_remote = matches!(path, ListPath::Url { .. });
    if let Some(trouble) = &list.trouble {
        let is_kept = |file: &Path| state_dir.is_some_and(|state| kept_location(state, file).is_some());
        let copy = match path {
            ListPath::File(file) if is_kept(file) => "; a start goes by its last good copy",
            _ => "",
        };
        say(format!("{path}: unusable: {trouble}{copy}\n"));
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
