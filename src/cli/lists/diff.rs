//! `cleandns lists diff`: what differs between two states of lists, and whom that would have hit.

use super::super::{Failure, Outcome, records::Records, say, say_json};
use crate::{
    dns::{Name, RrType},
    lists::{self, Before, ServiceDiff, Trial},
    policy::parse::{Extent, Format},
    query_log::{Lead, shown_micros},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// How it is told.
#[derive(Clone, Copy)]
pub struct Shown {
    /// Only how many.
    pub count: bool,
    pub json: bool,
}

/// All that is told, as JSON.
#[derive(Serialize)]
struct Told {
    /// Those with a difference.
    services: Vec<Service>,
    /// What was looked at to tell whom that would have hit, if that was asked for.
    asked: Option<Asked>,
}

#[derive(Serialize)]
struct Service {
    service: String,
    added: Side,
    removed: Side,
}

/// Rules that one state has and the other hasn't.
#[derive(Serialize)]
struct Side {
    count: usize,
    /// Left out with `--count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    /// What they would have hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    hit: Option<Hits>,
}

/// How much some rules would have hit.
#[derive(Serialize, Clone, Copy, Default)]
struct Hits {
    queries: u64,
    names: usize,
    clients: usize,
}

/// What was looked at.
#[derive(Serialize)]
struct Asked {
    source: String,
    /// RFC 3339.
    since: String,
    queries: u64,
    /// Of them, those of which only sums are left: they don't tell the type asked for.
    without_type: u64,
}

/// Compares two files or folders of lists. `asked`: where queries are recorded, and how far back they are looked at.
pub fn compare(
    old: &Path,
    new: &Path,
    (format, extent): (Format, Extent),
    shown: Shown,
    asked: Option<(Records, Duration)>,
) -> Outcome {
    let diffs = lists::diff(old, new, format, extent).map_err(|error| Failure::Other(error.to_string()))?;
    let tried = match asked {
        Some((mut records, asked)) if !diffs.is_empty() => Some(hits(&diffs, &mut records, asked)?),
        _ => None,
    };
    let told = told(diffs, shown.count, tried);
    if shown.json {
        return say_json(&told);
    }
    say(text(&told));
    Ok(())
}

fn told(diffs: Vec<ServiceDiff>, count: bool, tried: Option<(Found, Asked)>) -> Told {
    let (found, asked) = tried.map_or((None, None), |(found, asked)| (Some(found), Some(asked)));
    let service = |diff: ServiceDiff| {
        let side = |rules: Vec<String>, is_added: bool| {
            let hit = found.as_ref().map(|found| {
                found.get(&(diff.service.clone(), is_added)).map_or_else(Hits::default, |hit| Hits {
                    queries: hit.queries,
                    names: hit.names.len(),
                    clients: hit.clients.len(),
                })
            });
            Side { count: rules.len(), rules: (!count).then_some(rules), hit }
        };
        let (added, removed) = (side(diff.added, true), side(diff.removed, false));
        Service { service: diff.service, added, removed }
    };
    Told { services: diffs.into_iter().map(service).collect(), asked }
}

/// The same for a person.
fn text(told: &Told) -> String {
    let mut text = String::new();
    for Service { service, added, removed } in &told.services {
        text += &format!("{service}: {} added, {} removed\n", added.count, removed.count);
        for (sign, side) in [('-', removed), ('+', added)] {
            side.rules.iter().flatten().for_each(|rule| text += &format!("{sign} {rule}\n"));
        }
    }
    if told.services.is_empty() {
        text += "no rule differs\n";
    }
    let Some(asked) = &told.asked else { return text };
    text += &format!("of {} queries recorded since {}:\n", asked.queries, asked.since);
    if asked.without_type > 0 {
        text += &format!(
            "of {} of them only sums are left, which don't tell the type asked for: rules for some types alone aren't tried \
             on these\n",
            asked.without_type
        );
    }
    for Service { service, added, removed } in &told.services {
        for (side, what) in [(added, "new"), (removed, "removed")] {
            if let Some(Hits { queries, names, clients }) = side.hit.filter(|_| side.count > 0) {
                text += &format!(
                    "{service}: {} {what} rules match {queries} queries for {names} names by {clients} clients\n",
                    side.count
                );
            }
        }
    }
    text
}

/// Whom some rules would have hit.
#[derive(Default)]
struct Hit {
    queries: u64,
    names: HashSet<String>,
    clients: HashSet<String>,
}

/// By service, and whether its rules are new.
type Found = BTreeMap<(String, bool), Hit>;

/// Where a name led.
#[derive(Default)]
struct Led {
    aliases: Vec<Name>,
    addresses: Vec<IpAddr>,
}

/// Where names led since a time, or a day before it: sums may begin earlier.
fn leads(records: &Records, from: i64, to: i64) -> Result<HashMap<String, Led>, Failure> {
    let mut leads: HashMap<String, Led> = HashMap::new();
    records.leads((from.saturating_sub(DAY_MICROS), to), &mut |name, lead| {
        let led = leads.entry(name.to_owned()).or_default();
        match lead {
            Lead::Address(address) => led.addresses.push(address),
            Lead::Alias(alias) => led.aliases.extend(alias.parse::<Name>().ok()),
        }
    })?;
    Ok(leads)
}

/// Tries the rules that differ on what was recorded.
fn hits(diffs: &[ServiceDiff], records: &mut Records, asked: Duration) -> Result<(Found, Asked), Failure> {
    let trial = Trial::new(diffs).map_err(|error| Failure::Other(error.to_string()))?;
    let to = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let from = to - i64::try_from(asked.as_micros()).unwrap_or(i64::MAX).min(to);
    let leads = leads(records, from, to)?;
    let (mut found, mut queries, mut without_type) = (Found::new(), 0, 0);
    let read = records.for_each((from, to), &mut |seen| {
        queries += seen.count;
        let row = seen.row;
        let Ok(name) = row.name.parse::<Name>() else { return };
        let is_without_type = row.rr_type == RrType(0);
        without_type += if is_without_type { seen.count } else { 0 };
        // Sums don't say where each of their queries led; that is kept beside them.
        let led = leads.get(&row.name).filter(|_| is_without_type || seen.count > 1);
        let own: Vec<Name> = match led {
            Some(_) => Vec::new(),
            None => row.aliases.iter().filter_map(|alias| alias.parse().ok()).collect(),
        };
        let (aliases, addresses) = led.map_or((&own, &row.addresses), |led| (&led.aliases, &led.addresses));
        let client = row.client.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (rr_type, time) = (row.rr_type, row.time / 1_000_000);
        let before = Before { name: &name, rr_type, client, time, aliases, addresses };
        trial.judge(&before, |service, is_added| {
            let hit = found.entry((service.to_owned(), is_added)).or_default();
            hit.queries += seen.count;
            hit.names.insert(row.name.clone());
            hit.clients.extend(Some(row.client.clone()).filter(|client| !client.is_empty()));
        });
    })?;
    let asked = Asked { source: read.source, since: shown_micros(read.from), queries, without_type };
    Ok((found, asked))
}
