//! The command line: what a person types, and what they read. `args` is what may be typed; each command has a file.
//!
//! Exit codes: 0 fine, 64 wrong usage, 78 wrong configuration (both as in sysexits.h), 1 anything else.

mod admin;
mod args;
mod ask;
mod cache;
mod check;
mod config;
mod explain;
mod export;
mod http;
mod lists;
mod manual;
mod overlay;
mod pause;
mod progress;
mod records;
mod replay;
mod report;
mod saying;
mod serve;
mod to_ask;
mod wire_client;

use crate::{
    config::{Embedded, KeptLists, Loaded, Origin, Problems, World, examine, load},
    embedded,
    lists::kept_location,
};
use args::{Args, CacheCommand, Command, ConfigCommand, ListsCommand};
use clap::Parser;
use http::{ask_server, fetch};
use saying::{finish_saying, said, say, say_json, warn};
use std::{
    borrow::Cow,
    cell::Cell,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

/// Why a command did not do what it was asked.
pub enum Failure {
    Usage(String),
    Configuration(String),
    Other(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Configuration(_) => 78,
            Self::Other(_) => 1,
        }
    }

    /// The same, with what else may be the matter, unless all is told already.
    fn besides(self, what: Option<String>) -> Self {
        match (self, what) {
            (Self::Other(text), Some(what)) if !text.is_empty() => Self::Other(format!("{text}\n{what}")),
            (failure, _) => failure,
        }
    }

    /// What a person is told; empty: it was told already.
    fn text(&self) -> &str {
        let (Self::Usage(text) | Self::Configuration(text) | Self::Other(text)) = self;
        text
    }
}

type Outcome = Result<(), Failure>;

/// Runs a command line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let _ = error.print();
            return ExitCode::from(64);
        }
        // What was asked for: help, or the version.
        Err(asked) => return told(said(asked.print().and_then(|()| io::stdout().flush()))),
    };
    told(run_command(args).and_then(|()| finish_saying()))
}

/// Tells a failure, and makes the process's exit code of an outcome.
fn told(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text().is_empty() {
                let _ = writeln!(std::io::stderr(), "{}", failure.text());
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run_command(args: Args) -> Outcome {
    let unseen = Cell::new(None);
    run_asking(args, &unseen).map_err(|failure| failure.besides(unseen.take()))
}

/// `unseen`: takes why the running server may not have been found where it is.
fn run_asking(args: Args, unseen: &Cell<Option<String>>) -> Outcome {
    let load = |absent| load_config(args.config.as_deref(), absent);
    // Whoever asks the running server must be answered even while a list is gone, or while the configuration is wrong.
    let find = || to_ask::find(args.config.as_deref()).inspect(|asked| unseen.set(asked.unseen.clone()));
    let running = || find().map(|asked| asked.config);
    // And whoever reads what it records, which it says too, unless they name a source.
    let recording = |source: Option<&Path>| match source {
        None => find()?.into_readable(),
        Some(_) => running(),
    };
    match args.command.unwrap_or(Command::Serve { take_over: false }) {
        Command::Serve { take_over } => {
            let loaded = load(Absent::Kept)?;
            // Another file must not come in its place because this one is gone for a moment.
            let file = match &loaded.config.origin {
                Origin::File(path) => Some(path.clone()),
                Origin::Embedded => args.config,
            };
            serve::serve(loaded, Arc::new(move || read_config(file.as_deref(), Absent::Kept)), take_over)
        }
        Command::Check { verbose, strict, json } => {
            let found = with_world(Absent::Kept, |world| Ok(examine(args.config.as_deref(), world)));
            let found = found.map_err(|problems| Failure::Configuration(problems.to_string()))?;
            if json { check::as_json(found, strict) } else { check::check(found, verbose, strict) }
        }
        Command::Query { name, rr_type, tcp, dnssec, cd, json } => {
            ask::ask(&running()?, &name, &rr_type, ask::Options { tcp, dnssec, cd, json })
        }
        Command::Explain { name, rr_type, client, json, offline, no_overlay } => {
            let config = if offline { load(Absent::Wrong)?.config } else { running()? };
            explain::explain(config, &explain::Asked { name, rr_type, client, json, offline, no_overlay })
        }
        Command::Lists { command: ListsCommand::Status { verbose, json } } => lists::status(&running()?, verbose, json),
        Command::Lists { command: ListsCommand::Update { json } } => lists::update(&running()?, json),
        Command::Lists { command: ListsCommand::Versions { list, diff, to, json } } => {
            lists::versions(&running()?, &list, diff.as_deref().map(|from| (from, to.as_str())), json)
        }
        Command::Lists { command: ListsCommand::Rollback { list, version, reason, json } } => {
            lists::roll_back(&running()?, &list, version.as_deref(), &reason, json)
        }
        Command::Lists { command: ListsCommand::Release { list, json } } => lists::release(&running()?, &list, json),
        // Two files can be compared whatever is wrong with the configuration.
        Command::Lists { command: ListsCommand::Diff { old, new, format, extent, count, asked, source, json } } => {
            let asked = asked.map(|asked| {
                let records = records::Records::open(&recording(source.as_deref())?, source.as_deref(), None)?;
                Ok::<_, Failure>((records, asked))
            });
            let shown = lists::Shown { count, json };
            lists::compare(&old, &new, (format, extent), shown, asked.transpose()?)
        }
        Command::Lists { command: ListsCommand::Export { format, program, services, mode, output, json } } => {
            export::export(
                load(Absent::Wrong)?.config,
                &export::Asked { format, program, services, mode, output, json },
            )
        }
        Command::Pause { length, group, client, end, json } => {
            pause::pause(&running()?, &pause::Asked { length, group, client, end, json })
        }
        Command::Cache { command: CacheCommand::Stats { json } } => cache::stats(&running()?, json),
        Command::Cache { command: CacheCommand::Flush { name, subtree, json } } => {
            cache::flush(&running()?, name, subtree, json)
        }
        Command::Report { from, to, program, client, format, json, output, source, instance, k } => {
            let format = if json { report::Format::Json } else { format };
            let config = recording(source.as_deref())?;
            report::report(&config, &report::Asked { from, to, program, client, format, output, source, instance, k })
        }
        Command::Replay { file, against, before, format, port, no_overlay, top, json } => {
            let config = args.config;
            replay::replay(&replay::Asked { config, file, against, before, format, port, no_overlay, top, json })
        }
        Command::Admin { command } => {
            let file = args.config.as_deref();
            admin::admin(command, file, || to_ask::read_section(file, "admin"))
        }
        Command::Config { command: ConfigCommand::Show { json } } => config::show_all(args.config.as_deref(), json),
        Command::Config { command: ConfigCommand::Schema { json: _ } } => config::print_schema(),
        Command::Health { live, json } => ask::health(find(), live, json),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::man(folder.as_deref()),
    }
}

/// What becomes of files that a configuration names and that aren't there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// They are not going to be read.
    Fine,
    /// Of lists, copies that are kept serve, as at a start.
    Kept,
    /// They are needed as they are now.
    Wrong,
}

fn load_config(file: Option<&Path>, absent: Absent) -> Result<Loaded, Failure> {
    read_config(file, absent).map_err(|problems| Failure::Configuration(problems.to_string()))
}

fn read_config(file: Option<&Path>, absent: Absent) -> Result<Loaded, Problems> {
    with_world(absent, |world| load(file, world))
}

/// Calls with the surroundings that a configuration is read in.
fn with_world<T>(absent: Absent, read: impl FnOnce(&World<'_>) -> Result<T, Problems>) -> Result<T, Problems> {
    let paths = || embedded::paths().into_iter().map(Cow::Owned).collect();
    let embedded = Embedded { read: &embedded::read, paths: &paths };
    let kept_lists: KeptLists<'_> = if absent == Absent::Kept { &kept_location } else { &|_, _| None };
    read(&World { may_lack_files: absent == Absent::Fine, kept_lists, ..World::of_process(embedded)? })
}
