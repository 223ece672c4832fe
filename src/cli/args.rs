//! What may be typed. Help, man pages and completions are made of it.

use super::{admin, export, replay, report};
use crate::policy::{
    Mode,
    parse::{Extent, Format},
};
use clap::{Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// A recursive, validating DNS resolver that applies program blocklists and explains every verdict.
#[derive(Parser)]
#[command(name = "cleandns", version, about, disable_help_subcommand = true)]
pub struct Args {
    /// The configuration file; without it, config/cleandns.toml is looked for here and beside the program.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Answer queries until told to stop (the default).
    Serve {
        /// Share the addresses with a cleandns that runs already, which is to be stopped once this one is ready.
        #[arg(long)]
        take_over: bool,
    },
    /// Read the configuration and all lists, and say what is wrong.
    Check {
        /// Show every list, and every line that gave no rule.
        #[arg(long)]
        verbose: bool,
        /// Treat a skipped line, an unusable list, an address that can't be listened on now, or an overlay.toml that can't be in
        /// force as an error.
        #[arg(long)]
        strict: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask the running server a question, as dig would.
    Query {
        name: String,
        /// The record type.
        #[arg(default_value = "A", value_name = "TYPE")]
        rr_type: String,
        /// Over TCP.
        #[arg(long)]
        tcp: bool,
        /// With signatures and proofs (DO).
        #[arg(long)]
        dnssec: bool,
        /// Even if it fails validation (CD).
        #[arg(long)]
        cd: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what would happen to a name, and why.
    Explain {
        name: String,
        /// The record type.
        #[arg(long = "type", default_value = "A", value_name = "TYPE")]
        rr_type: String,
        /// As if this client asked: an address, or what it is called on the page Clients.
        #[arg(long, default_value = "127.0.0.1")]
        client: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Compile the lists from their files instead of asking the running server.
        #[arg(long)]
        offline: bool,
        /// Leave out what pages and API changed (overlay.toml in [state] dir).
        #[arg(long, requires = "offline")]
        no_overlay: bool,
    },
    /// Look at the lists of the running server.
    Lists {
        #[command(subcommand)]
        command: ListsCommand,
    },
    /// Have the running server block nothing for a while, for everybody, one group or one client; without options, tell what is
    /// paused.
    Pause {
        /// How long, such as 30m or 2h.
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        length: Option<Duration>,
        /// Only this group; `default` for clients in none.
        #[arg(long)]
        group: Option<String>,
        /// Only this client: an address, a network, or mac:aa:bb:cc:dd:ee:ff.
        #[arg(long, conflicts_with = "group")]
        client: Option<String>,
        /// End the pause.
        #[arg(long, conflicts_with = "length")]
        end: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at the answers that the running server keeps, or have it forget some.
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Tell what was and would have been blocked, by what is recorded.
    Report {
        /// From when on: a day such as 2026-11-28 (UTC), a time such as 2026-11-28T21:00:00Z, or 7d for seven days ago, which
        /// it is if nothing is said.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until when, in the same forms, a day not included; now, if nothing is said.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Only what this program said.
        #[arg(long)]
        program: Option<String>,
        /// Only this client's questions, as the client is recorded.
        #[arg(long)]
        client: Option<String>,
        #[arg(long, value_enum, default_value = "text")]
        format: report::Format,
        /// The same as --format json.
        #[arg(long, conflicts_with = "format")]
        json: bool,
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// A query log, or a file of lines of JSON, other than the configuration's; "clickhouse": the ClickHouse server of
        /// the configuration.
        #[arg(long, value_name = "FILE")]
        source: Option<PathBuf>,
        /// Only what this server recorded, where several write to one place.
        #[arg(long)]
        instance: Option<String>,
        /// For an export: an aggregate of fewer clients than this is merged with others, and only whole days (UTC) that are
        /// over are looked at; 0 or 1 for neither.
        #[arg(long, default_value_t = crate::report::CLIENTS_MIN)]
        k: u64,
    },
    /// Put recorded queries through a policy without a server, and show what it would change.
    Replay {
        /// Our query log (its database, lines of JSON or dnstap), dnstap of another server, a capture (pcap, pcapng), a
        /// query file of dnsperf, AdGuard Home's querylog.json, or Pi-hole's pihole.log or pihole-FTL.db; `-` for
        /// standard input, which can't be a database. Queries between servers (without RD) in a capture are left out.
        file: PathBuf,
        /// The configuration to try; `shipped` for the one inside this program.
        #[arg(long, default_value = "shipped", value_name = "CONFIG")]
        against: PathBuf,
        /// The configuration to compare with; or `recorded` for what the file says of its queries, `shipped`, or `none` for
        /// no policy. Without it: recorded, if the file says so, else the configuration that a server here would have, if
        /// there is a file of one, else none.
        #[arg(long, value_name = "CONFIG")]
        before: Option<PathBuf>,
        /// What the file is: ours (lines of JSON), pcap, dnsperf, adguard, pihole (its text log), dnstap or sqlite (our
        /// database or Pi-hole's). Without it, its beginning tells.
        #[arg(long, value_parser = replay::format)]
        format: Option<crate::replay::Format>,
        /// The port that queries are sent to, in a capture.
        #[arg(long, default_value_t = crate::replay::DNS_PORT, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// Leave out what pages and API changed (overlay.toml in the [state] dir of a configuration).
        #[arg(long)]
        no_overlay: bool,
        /// Rows of each table.
        #[arg(long, default_value_t = 10, value_name = "N")]
        top: usize,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say who may use the pages and the API.
    Admin {
        #[command(subcommand)]
        command: admin::Command,
    },
    /// Ask the running server whether it answers and serves, and leave with 0 if so.
    Health {
        /// Whether it answers is enough: for who starts it anew if it doesn't. One that leaves by itself needs no help.
        #[arg(long)]
        live: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print what a shell needs to complete these commands.
    Completions { shell: clap_complete::Shell },
    /// Print the man page, or write those of all commands into a folder.
    Man {
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Show the value of every option, and where it comes from: a file and its line, the environment, or the default.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration, for editors.
    Schema {
        /// It is JSON without this word too.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub enum CacheCommand {
    /// Show how many answers are kept, and how often they were of use.
    Stats {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forget what is known of a name, so that the next question for it is resolved anew; of all names, without one.
    Flush {
        name: Option<String>,
        /// All names below it too.
        #[arg(long, requires = "name")]
        subtree: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub enum ListsCommand {
    /// Show every list: rules, mode, and what is wrong with it.
    Status {
        /// Show lines that gave no rule.
        #[arg(long)]
        verbose: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have the running server read every list again, and download those with a url.
    Update {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the last texts of a list, which it can be rolled back to, and what differs between two of them.
    Versions {
        /// Its program and its name, such as clean-store/tiktok.list.
        list: String,
        /// What differs from the version before; or from this one, by its first digits.
        #[arg(long, value_name = "VERSION", num_args = 0..=1, default_missing_value = "")]
        diff: Option<String>,
        /// Compare with this version, instead of the one in force.
        #[arg(long, value_name = "VERSION", requires = "diff", default_value = "")]
        to: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Pin a list at an earlier text: it stays at that version, whatever it becomes, until it is released.
    Rollback {
        /// Its program and its name, such as clean-store/tiktok.list.
        list: String,
        /// The first digits of the version; without it, the one before that in force.
        version: Option<String>,
        /// Why, for whoever wonders later.
        #[arg(long, default_value = "")]
        reason: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a pinned list be what it is now.
    Release {
        /// Its program and its name, such as clean-store/tiktok.list.
        list: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare two list files, or two folders of them: rules added and removed, by service.
    Diff {
        old: PathBuf,
        new: PathBuf,
        /// How the files are to be read, as in the configuration; `auto` looks at the text.
        #[arg(long, default_value = "auto", value_parser = format)]
        format: Format,
        /// What a bare name covers, as in the configuration: `exact` or `subtree`.
        #[arg(long = "match", default_value = "exact", value_parser = extent)]
        extent: Extent,
        /// Only how many.
        #[arg(long)]
        count: bool,
        /// Also tell whom the rules that differ would have hit, by what was recorded so long, such as 7d.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        asked: Option<Duration>,
        /// Where these are recorded, if not where the configuration has them: a file, or `clickhouse`.
        #[arg(long, value_name = "FILE", requires = "asked")]
        source: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a program's rules in a form that others read; what the form can't say is left out and told.
    Export {
        /// text, json, nftables: addresses, for firewalls. domains, rpz, adblock: names, for other resolvers. Without it,
        /// text; json with --json.
        #[arg(long, value_enum)]
        format: Option<export::Format>,
        /// Of this program; without it, addresses are those of `bypass`.
        #[arg(long)]
        program: Option<String>,
        /// Only of this service of it; may be given several times.
        #[arg(long = "service", value_name = "SERVICE")]
        services: Vec<String>,
        /// The least mode that a service must have: enforce, shadow or off. Without it, addresses are taken from all
        /// services, names from those that enforce.
        #[arg(long)]
        mode: Option<Mode>,
        /// Write it to this file, which is put in its place whole.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Tell of the export as JSON: what was left out and why, and, without --output, the export itself.
        #[arg(long)]
        json: bool,
    },
}

/// A duration as in the configuration.
fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
}

/// A list format as in the configuration.
fn format(text: &str) -> Result<Format, String> {
    let words = || Format::ALL.map(Format::word).join(", ");
    Format::ALL.into_iter().find(|format| format.word() == text).ok_or_else(|| format!("is none of {}", words()))
}

/// What a bare name covers, as in the configuration.
fn extent(text: &str) -> Result<Extent, String> {
    let words = || Extent::ALL.map(Extent::word).join(", ");
    Extent::ALL.into_iter().find(|extent| extent.word() == text).ok_or_else(|| format!("is none of {}", words()))
}
