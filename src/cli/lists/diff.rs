//! `cleandns lists diff`: what differs between two states of lists, and whom that would have hit.

use super::super::{Failure, Outcome, records::Records, say, say_json};
use crate::{
    admin::Tried,
    lists::{self, ServiceDiff, Trial},
    policy::parse::{Extent, Format},
    query_log::shown_micros,
};
use serde::Serialize;
use std::{
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
    /// Some of them are sums, of which rules on aliases and addresses match what the name ever led to: there may be fewer.
    upper_bound: bool,
}

/// What was looked at.
#[derive(Serialize)]
struct Asked {
    source: String,
    /// RFC 3339.
    since: String,
    queries: u64,
    /// Of them, those of which only sums are left: they don't tell the type asked for, nor where each of
    /// them led: what rules on aliases and addresses match of them is an upper bound.
    without_type: u64,
    /// Of them, those that were answered from the cache, and nothing tells where they led.
    without_answer: u64,
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

fn told(diffs: Vec<ServiceDiff>, count: bool, tried: Option<(Tried, Asked)>) -> Told {
    let (found, asked) = tried.map_or((None, None), |(found, asked)| (Some(found), Some(asked)));
    let service = |diff: ServiceDiff| {
        let side = |rules: Vec<String>, is_added: bool| {
            let hit = found.as_ref().map(|found| {
                found.hit(&diff.service, is_added).map_or_else(Hits::default, |hit| Hits {
                    queries: hit.queries,
                    names: hit.names.len(),
                    clients: hit.clients.len(),
                    upper_bound: hit.is_upper_bound,
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
            "of {} of them only sums are left, which don't tell the type asked for, nor where each of them led: rules for \
             some types alone aren't tried on these, and what rules on aliases and addresses match of them is an upper \
             bound\n",
            asked.without_type
        );
    }
    if asked.without_answer > 0 {
        text += &format!(
            "{} of them were answered from the cache, and nothing tells where they led: what rules on aliases and addresses \
             match is a lower bound\n",
            asked.without_answer
        );
    }
    for Service { service, added, removed } in &told.services {
        for (side, what) in [(added, "new"), (removed, "removed")] {
            if let Some(Hits { queries, names, clients, upper_bound }) = side.hit.filter(|_| side.count > 0) {
                let most = if upper_bound { "at most " } else { "" };
                text += &format!(
                    "{service}: {} {what} rules match {most}{queries} queries for {names} names by {clients} clients\n",
                    side.count
                );
            }
        }
    }
    text
}

/// Tries the rules that differ on what was recorded.
fn hits(diffs: &[ServiceDiff], records: &mut Records, asked: Duration) -> Result<(Tried, Asked), Failure> {
    let trial = Trial::new(diffs).map_err(|error| Failure::Other(error.to_string()))?;
    let to = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let from = to - i64::try_from(asked.as_micros()).unwrap_or(i64::MAX).min(to);
    let mut tried = Tried::new(trial);
    // Sums may begin a day earlier.
    records.leads((from.saturating_sub(DAY_MICROS), to), &mut |name, lead| tried.add_lead(name, lead))?;
    let read = records.for_each((from, to), &mut |seen| tried.add(seen))?;
    let Tried { queries, without_type, without_answer, .. } = tried;
    Ok((tried, Asked { source: read.source, since: shown_micros(read.from), queries, without_type, without_answer }))
}
