//! `cleandns lists`: the running server's lists.

use super::{Failure, Outcome, ask_server, fetch, say, say_json};
use crate::{
    admin::{ListView, ListsView, UpdateView},
    config::Config,
    dns::{Name, RrType},
    lists::{self, Before, ServiceDiff, Trial},
    policy::parse::{Extent, Format},
    query_log::{
        Lead, shown_micros,
        sqlite::{ReadError, Reader},
    },
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
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
pub fn update(config: &Config, json: bool) -> Outcome {
    let view: UpdateView = ask_server(config, "/api/v1/lists/update", &[], Some(&serde_json::json!({})))?;
    if json {
        return say_json(&view);
    }
    say("asked; `cleandns lists status` tells what comes of it\n");
    Ok(())
}

/// Compares two files or folders of lists. `asked`: where queries are recorded, and how far back they are looked at.
pub fn compare(
    old: &Path,
    new: &Path,
    format: Format,
    extent: Extent,
    count: bool,
    asked: Option<(Config, Duration)>,
) -> Outcome {
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
    match asked {
        Some((config, asked)) if !diffs.is_empty() => tell_hits(&diffs, &config, asked),
        _ => Ok(()),
    }
}

/// Whom some rules would have hit.
#[derive(Default)]
struct Hit {
    queries: u64,
    names: HashSet<String>,
    clients: HashSet<String>,
}

/// Where a name led.
#[derive(Default)]
struct Led {
    aliases: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// Where names led since a time, or a day before it: sums may begin earlier.
fn leads(reader: &Reader, from: i64) -> Result<HashMap<String, Led>, ReadError> {
    const DAY_MICROS: i64 = 86_400_000_000;
    let mut leads: HashMap<String, Led> = HashMap::new();
    reader.leads(from.saturating_sub(DAY_MICROS), |name, lead| {
        let led = leads.entry(name.to_owned()).or_default();
        match lead {
            Lead::Address(address) => led.addresses.push(address),
            Lead::Alias(alias) => led.aliases.push(alias.to_owned()),
        }
    })?;
    Ok(leads)
}

/// Tells whom the rules that differ would have hit, by what was recorded.
fn tell_hits(diffs: &[ServiceDiff], config: &Config, asked: Duration) -> Outcome {
    let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let Some(path) = &config.query_log.database else {
        return Err(Failure::Configuration(
            "nothing is recorded: [query_log] is off, or there is no state folder".into(),
        ));
    };
    let trial = Trial::new(diffs).map_err(|error| other(&error))?;
    let mut reader = Reader::open(path).map_err(|error| other(&error))?;
    let to = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let from = to - i64::try_from(asked.as_micros()).unwrap_or(i64::MAX).min(to);
    let leads = leads(&reader, from).map_err(|error| other(&error))?;
    let (mut hits, mut queries, mut without_type) = (BTreeMap::<(String, bool), Hit>::new(), 0, 0);
    let read = reader.for_each(from, to, |seen| {
        queries += seen.count;
        let row = seen.row;
        let Ok(name) = row.name.parse::<Name>() else { return };
        let is_sum = row.rr_type == RrType(0);
        without_type += if is_sum { seen.count } else { 0 };
        // Sums don't say where a name led; that is kept beside them.
        let led = leads.get(&row.name).filter(|_| is_sum);
        let (aliases, addresses) = led.map_or((&row.aliases, &row.addresses), |led| (&led.aliases, &led.addresses));
        let aliases: Vec<Name> = aliases.iter().filter_map(|alias| alias.parse().ok()).collect();
        let client = row.client.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (rr_type, time) = (row.rr_type, row.time / 1_000_000);
        let before = Before { name: &name, rr_type, client, time, aliases: &aliases, addresses };
        trial.judge(&before, |service, is_added| {
            let hit = hits.entry((service.to_owned(), is_added)).or_default();
            hit.queries += seen.count;
            hit.names.insert(row.name.clone());
            hit.clients.extend(Some(row.client.clone()).filter(|client| !client.is_empty()));
        });
    });
    let (from, _) = read.map_err(|error| other(&error))?;
    say(format!("of {queries} queries recorded since {}:\n", shown_micros(from)));
    if without_type > 0 {
        say(format!(
            "of {without_type} of them only sums are left, which don't tell the type asked for: rules for some types \
             alone aren't tried on these\n"
        ));
    }
    for ServiceDiff { service, added, removed } in diffs {
        for (rules, is_added, what) in [(added, true, "new"), (removed, false, "removed")] {
            let none = Hit::default();
            let hit = hits.get(&(service.clone(), is_added)).unwrap_or(&none);
            let Hit { queries, names, clients } = hit;
            if !rules.is_empty() {
                say(format!(
                    "{service}: {} {what} rules match {queries} queries for {} names by {} clients\n",
                    rules.len(),
                    names.len(),
                    clients.len()
                ));
            }
        }
    }
    Ok(())
}
