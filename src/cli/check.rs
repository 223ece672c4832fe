//! `cleandns check`: reads everything that a start would read, and says what is wrong with it.

use super::{Failure, Outcome, say, say_json};
use crate::{
    admin::{self, ListsView},
    app,
    config::{Config, Examined, Origin, Problems},
    lists::{ListPath, ListState, ListStatus, Lists, Published},
    policy::parse::Told,
    query_log,
    settings::OverlayFile,
};
use serde::Serialize;
use std::sync::Arc;

/// All that a check finds, as JSON.
#[derive(Serialize, Default)]
struct Checked {
    /// Why a server wouldn't start: a line each, as people are told them.
    problems: Vec<String>,
    /// The configuration's file; `None`: the one built in.
    configuration: Option<String>,
    /// Files and variables of the environment that are read after it.
    besides: Vec<String>,
    warnings: Vec<String>,
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

/// What was found in one go, whatever is wrong with some of it.
#[derive(Default)]
struct Looked {
    /// Why a server wouldn't start.
    problems: Vec<String>,
    configuration: Option<String>,
    /// What is read after it.
    besides: Vec<String>,
    warnings: Vec<String>,
    /// Why nothing of what pages and API changed would be in force.
    overlay: Vec<String>,
    /// Which of its addresses a cleandns has already.
    running: Vec<String>,
    /// `None`: the lists could not be read, or it isn't known which there are.
    published: Option<Arc<Published>>,
}

/// Sums over all lists.
#[derive(Default)]
struct Sums {
    skipped: usize,
    held: usize,
    unusable: usize,
}

/// Reads all that a start would read, as far as it is known what that is.
fn look(found: Examined) -> Looked {
    let Examined { config, problems, warnings, sources } = found;
    // What is wrong in one section is no reason not to look at what others name.
    let is_whole = |sections: &[&str]| {
        let is_of = |option: &str| sections.iter().any(|section| option.split('.').next() == Some(section));
        !problems.iter().any(|problem| problem.option.is_empty() || is_of(&problem.option))
    };
    let mut looked = Looked {
        problems: problems.iter().map(ToString::to_string).collect(),
        besides: sources.into_iter().skip(1).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        ..Looked::default()
    };
    let Some(config) = config else { return looked };
    if let Origin::File(path) = &config.origin {
        looked.configuration = Some(path.display().to_string());
    }
    let (problems_of_files, of_names) = look_at_files(&config, &is_whole);
    looked.problems.extend(problems_of_files);
    looked.warnings.extend(of_names);
    if is_whole(&["listen", "admin"]) {
        // Addresses that a server could not have now are no error: a service may have rights that whoever checks has not,
        // and another program may be about to leave.
        let (in_the_way, own) = app::obstacles(&config, &app::Passed::default());
        looked.warnings.extend(in_the_way.iter().map(ToString::to_string));
        let own = own.iter().filter(|obstacle| obstacle.protocol != "HTTP");
        looked.running.extend(own.map(|own| format!("{}: a cleandns answers on {} now", own.option, own.address)));
    }
    if !is_whole(&["policy", "program", "group", "state"]) {
        return looked;
    }
    let outside = app::Outside::real();
    let overlay = OverlayFile::open(config.state_dir.as_deref(), outside.clock.clone());
    looked.overlay.extend(overlay.troubles().0.iter().flat_map(|why| why.lines()).map(str::to_owned));
    match overlay.tried(&overlay.overlay(), config.clone()) {
        Ok(applied) => looked.warnings.extend(applied.resting.into_iter().map(|resting| resting.why)),
        Err(Problems(problems)) => looked.overlay.extend(problems.iter().map(ToString::to_string)),
    }
    // A check leaves no trace: it neither writes last good copies nor falls back to them.
    match Lists::load(Arc::new(config), app::embedded_files(), outside.chance()) {
        Ok(lists) => looked.published = Some(lists.published()),
        Err(error) => looked.problems.extend(error.to_string().lines().map(str::to_owned)),
    }
    looked
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
    if is_whole(&["log"]) {
        problems.extend(super::serve::filter(&config.log).err().map(|why| format!("log.filter: {why}")));
    }
    (problems, of_names)
}

impl Looked {
    fn rule_count(&self) -> usize {
        let policy = self.published.as_ref().and_then(|published| published.policy.load_full());
        policy.map_or(0, |policy| policy.rule_count())
    }

    /// What a server would leave out of what pages and API changed, and would start without.
    fn overlay_told(&self) -> impl Iterator<Item = String> {
        self.overlay.iter().map(|why| format!("{why}; nothing that pages and API changed is in force so"))
    }

    /// What is to be made of all that was found.
    fn judge(&self, sums: &Sums, strict: bool) -> Outcome {
        if !self.problems.is_empty() {
            return Err(Failure::Configuration(self.problems.join("\n")));
        }
        let Sums { skipped, unusable, .. } = sums;
        if strict && (*skipped > 0 || *unusable > 0 || !self.overlay.is_empty()) {
            let overlay = if self.overlay.is_empty() { "" } else { ", and an overlay of no use" };
            let text = format!("{skipped} skipped lines and {unusable} unusable lists{overlay} (--strict)");
            return Err(Failure::Configuration(text));
        }
        Ok(())
    }
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
}

/// Checks configuration and lists, and tells programs.
pub fn as_json(found: Examined, strict: bool) -> Outcome {
    let looked = look(found);
    let status = looked.published.as_ref().map(|published| published.status.load_full());
    let sums = status.as_deref().map(Sums::of).unwrap_or_default();
    say_json(&Checked {
        problems: looked.problems.clone(),
        configuration: looked.configuration.clone(),
        besides: looked.besides.clone(),
        warnings: looked.overlay_told().chain(looked.warnings.iter().cloned()).collect(),
        running: looked.running.clone(),
        lists: status.as_deref().map(admin::lists),
        rules: looked.rule_count(),
        skipped: sums.skipped,
        held: sums.held,
        unusable: sums.unusable,
    })?;
    looked.judge(&sums, strict)
}

/// Checks configuration and lists, and tells a person.
pub fn check(found: Examined, verbose: bool, strict: bool) -> Outcome {
    let looked = look(found);
    match &looked.configuration {
        Some(path) => say(format!("configuration: {path}\n")),
        None if looked.problems.is_empty() => say("configuration: built in, no file was found\n"),
        None => {}
    }
    looked.besides.iter().for_each(|source| say(format!("besides: {source}\n")));
    looked.overlay_told().for_each(|why| say(format!("warning: {why}\n")));
    looked.warnings.iter().for_each(|warning| say(format!("warning: {warning}\n")));
    looked.running.iter().for_each(|running| say(format!("{running}\n")));
    let Some(published) = &looked.published else { return looked.judge(&Sums::default(), strict) };
    let status = published.status.load();
    status.lists.iter().for_each(|list| show(list, verbose));
    status.folders.iter().for_each(|(program, why)| say(format!("{program}: {why}\n")));
    for service in &status.unknown_services {
        say(format!("warning: {service}: the configuration names a service that no list has\n"));
    }
    status.database_troubles().iter().for_each(|why| say(format!("warning: {why}\n")));
    for (place, until) in &status.expired_exceptions {
        say(format!("warning: {place}: the exception ended on {until} and no longer holds\n"));
    }
    let (lists, sums, rules) = (status.lists.len(), Sums::of(&status), looked.rule_count());
    let Sums { skipped, held, unusable } = sums;
    say(format!(
        "{lists} lists, {rules} rules in force, {skipped} lines skipped, {held} rules held back, {unusable} lists unusable\n"
    ));
    looked.judge(&sums, strict)
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
