//! What a program or service would do if it were enforced: what it hit, or would have, in the last day and week.

use super::{
    super::{AdminState, live::Unread},
    called::{Called, called, client_at},
    programs::{ModeView, Program, Service, programs},
    recorded_until,
};
use crate::{
    config::{
        DEFAULT_GROUP, Privacy,
        overlay::{Entry, Key},
    },
    policy::{Mode, Modes, Outcome, Policy, Trigger},
    query::Pipeline,
    query_log::{
        Fate, Said, Seen,
        sqlite::{ReadError, Reader},
    },
    report::{Filter, Moment, Share, Tally, Tops, counted},
};
use foldhash::{HashSet, HashSetExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

/// Clients told apart, as in a report.
const CLIENTS_MAX: usize = 200_000;
/// Rows of each table: what a person looks through before they decide.
const ROWS_MAX: usize = 20;
/// How long one waits for the count of each.
const WITHIN: Duration = Duration::from_secs(5);
/// Hours that are looked at.
const SPANS: [u32; 2] = [24, 7 * 24];

/// What is asked for.
#[derive(Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct PreviewAsked {
    #[serde(default)]
    pub program: String,
    /// Empty: the program as a whole.
    #[serde(default)]
    pub service: String,
    /// Empty: everybody.
    #[serde(default)]
    pub group: String,
    /// What it is to be set to: `enforce`, also if it isn't said, or `configured`, back to what the configuration says.
    /// Nothing else needs a preview.
    #[serde(default)]
    pub mode: String,
}

/// That it is given back to the configuration.
pub const CONFIGURED: &str = "configured";

/// What is known of what a mode would do.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Preview {
    pub program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub group: String,
    /// What holds now.
    pub now: ModeView,
    /// What was seen in the last day and week; none if nothing can be.
    pub seen: Vec<Measured>,
    /// Why nothing is seen, or not all.
    pub caveats: Vec<String>,
    /// What breaks, as its lists say, by service.
    pub breaks: Vec<(String, String)>,
    /// In sentences.
    pub text: Vec<String>,
}

/// What was seen in some hours.
#[derive(Clone, Serialize, JsonSchema, Debug)]
pub struct Measured {
    pub hours: u32,
    pub from: Moment,
    pub to: Moment,
    /// The first query that is recorded at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_since: Option<Moment>,
    /// Hit of all queries.
    pub queries: Share,
    /// Of those hit: blocked as it is, by something else or for a group.
    pub blocked_already: u64,
    /// Clients that were hit, of all.
    pub clients: Share,
    /// Who was hit most.
    pub by_client: Vec<Hit>,
    /// Names that were hit, how many, and the first of them.
    pub names: u64,
    pub by_name: Vec<Hit>,
    /// By what about them.
    pub triggers: Vec<(&'static str, u64)>,
    /// Hit by their aliases or addresses alone: names that nobody would think of.
    pub by_answer_alone: u64,
}

/// A client or a name that was hit.
#[derive(Clone, Serialize, JsonSchema, Debug)]
pub struct Hit {
    pub key: String,
    pub queries: u64,
    /// What a client is called.
    #[serde(flatten)]
    pub called: Called,
}

/// What is to be looked at.
pub struct Sought {
    policy: Arc<Policy>,
    program: Program,
    service: Option<String>,
    group: String,
    /// What holds now.
    now: ModeView,
    /// What would be set, and to what.
    pub key: Key,
    pub entry: Option<Entry>,
}

/// Finds what is asked for. `None`: there is no such thing.
pub fn sought(state: &AdminState, asked: &PreviewAsked) -> Option<Sought> {
    let entry = match asked.mode.as_str() {
        "" | "enforce" => Some(Entry::Mode(Mode::Enforce)),
        CONFIGURED => None,
        _ => return None,
    };
    let policy = state.health.published.policy.load_full()?;
    let all = programs(state, &asked.group)?;
    let program = all.programs.into_iter().find(|own| own.name == asked.program)?;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let service = some(&asked.service);
    let now = match &service {
        None => program.mode.clone(),
        Some(name) => program.services.iter().find(|own| own.name == *name)?.modes.first()?.clone(),
    };
    let group = some(&asked.group).filter(|group| group != DEFAULT_GROUP);
    let key = Key::Mode { group, program: program.name.clone(), service: service.clone() };
    Some(Sought { policy, program, service, group: asked.group.clone(), now, key, entry })
}

/// Looks at what was recorded. `modes`: how far everything would go.
pub async fn preview(state: &AdminState, sought: Sought, modes: &Modes) -> Preview {
    let Sought { policy, program, service, group, now, .. } = sought;
    let enforced = enforced(&policy, modes, &program, service.as_deref(), &group);
    let missing = missing(state, &policy, modes, &program, service.as_deref(), &group);
    let mut caveats = caveats(state, &program, service.as_deref(), &enforced, &missing, &group);
    let mut seen = Vec::new();
    // Of lists that aren't here nothing was recorded, which says nothing of what they will block.
    let spans = if enforced.is_empty() && !missing.is_empty() { &[][..] } else { &SPANS[..] };
    for hours in spans {
        match measured(state, &policy, &program.name, &enforced, &group, *hours).await {
            Ok(measured) => seen.push(measured),
            Err(why) => {
                caveats.push(format!("What it would have blocked isn't known: {why}."));
                break;
            }
        }
    }
    if let Some(since) = seen.last().and_then(|longest| longest.recorded_since.filter(|since| *since > longest.from)) {
        caveats.push(format!("It is recorded only since {} UTC.", since.minute()));
    }
    let is_meant = |own: &&Service| enforced.contains(&own.name) || missing.contains_key(&own.name);
    let breaks = program.services.iter().filter(is_meant).filter_map(|own| {
        let title = own.title.clone().unwrap_or_else(|| own.name.clone());
        Some((title, own.breaks.clone()?))
    });
    Preview {
        breaks: breaks.collect(),
        text: seen.iter().map(|measured| sentence(measured, &group)).collect(),
        program: program.name,
        service,
        group,
        now,
        seen,
        caveats,
    }
}

/// Lists that would be enforced and aren't here, for clients of a group, or without one of any: by service, each with what
/// is the matter.
fn missing(
    state: &AdminState,
    policy: &Policy,
    modes: &Modes,
    program: &Program,
    service: Option<&str>,
    group: &str,
) -> BTreeMap<String, Vec<(String, Option<String>)>> {
    let mut missing: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let status = state.health.published.status.load();
    let own = status.lists.iter().filter(|list| list.program == program.name && list.since.is_none());
    for list in own.filter(|list| service.is_none_or(|service| service == list.service)) {
        let acts = policy.would_act_once_there(modes, &program.name, &list.service);
        if acts.iter().any(|own| group.is_empty() || policy.group_name(*own) == group) {
            missing.entry(list.service.clone()).or_default().push((list.name.clone(), list.trouble.clone()));
        }
    }
    missing
}

/// The services that would be enforced, for clients of a group; without one: of any.
fn enforced(policy: &Policy, modes: &Modes, program: &Program, service: Option<&str>, group: &str) -> BTreeSet<String> {
    let acting = policy.would_act(modes).into_iter().filter(|&(list, own)| {
        let list = &policy.lists()[list];
        list.program().is_some_and(|at| policy.programs()[at].name == program.name)
            && service.is_none_or(|service| service == list.service)
            && (group.is_empty() || policy.group_name(own) == group)
    });
    acting.map(|(list, _)| policy.lists()[list].service.clone()).collect()
}

/// What the numbers can't say, and what would stay as it is.
fn caveats(
    state: &AdminState,
    program: &Program,
    service: Option<&str>,
    enforced: &BTreeSet<String>,
    missing: &BTreeMap<String, Vec<(String, Option<String>)>>,
    group: &str,
) -> Vec<String> {
    let mut caveats = Vec::new();
    for (list, trouble) in missing.values().flatten() {
        let why = trouble.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        caveats.push(format!(
            "Nothing of {list} is here yet{why}, so it isn't known what it would block. It blocks as soon as it is here."
        ));
    }
    let names = |is: &dyn Fn(&Service) -> bool| -> Vec<&str> {
        program.services.iter().filter(|own| is(own)).map(|own| own.name.as_str()).collect()
    };
    if enforced.is_empty() && missing.is_empty() {
        caveats.push(match service {
            Some(_) => format!("Nothing would be blocked yet: {} holds its services down.", program.name),
            None => "Nothing would be blocked yet: [policy] mode, or its services, are less.".to_owned(),
        });
    }
    let stays = |own: &Service| !enforced.contains(&own.name) && !missing.contains_key(&own.name);
    let staying = names(&|own| stays(own) && own.modes.iter().any(|mode| mode.mode != Mode::Off));
    if service.is_none() && !(enforced.is_empty() && missing.is_empty()) && !staying.is_empty() {
        caveats.push(format!("These stay as they are until they are set by themselves: {}.", staying.join(", ")));
    }
    let unseen = names(&|own| enforced.contains(&own.name) && own.modes.iter().all(|mode| mode.mode == Mode::Off));
    if !unseen.is_empty() {
        caveats.push(format!(
            "Of what is off nothing is recorded: {}. Set it to shadow first, and look again later.",
            unseen.join(", ")
        ));
    }
    if !group.is_empty() && state.settings.config().query_log.privacy != Privacy::Full {
        caveats.push("Clients aren't recorded by their addresses, so the numbers are of all clients.".to_owned());
    }
    caveats
}

/// Counts what some services of a program said in the last hours.
async fn measured(
    state: &AdminState,
    policy: &Arc<Policy>,
    program: &str,
    services: &BTreeSet<String>,
    group: &str,
    hours: u32,
) -> Result<Measured, Unread> {
    let members = Members { pipeline: state.pipeline.clone(), policy: policy.clone(), group: group.to_owned() };
    let counted = Counted::new(program, services.clone());
    let now = recorded_until();
    // Other lists and groups make other numbers.
    let what = format!("preview {} {program} {services:?} {group:?} {hours}", policy.epoch());
    let counting = state.recorded.counted(what, WITHIN, move |reader| count(reader, counted, &members, hours, now));
    let mut measured = counting.await?.map(|measured| Measured::clone(&measured)).ok_or(Unread::Coming)?;
    measured.by_client.iter_mut().for_each(|hit| hit.called = called(state, &hit.key));
    Ok(measured)
}

/// Whose queries count.
struct Members {
    pipeline: Arc<Pipeline>,
    policy: Arc<Policy>,
    /// Empty: everybody's.
    group: String,
}

impl Members {
    /// A client that isn't known by its address counts.
    fn have(&self, client: &str) -> bool {
        let Ok(address) = client.parse::<IpAddr>() else { return true };
        let client = || client_at(&self.pipeline, &self.policy, address);
        self.group.is_empty() || self.policy.group_name(self.policy.group_of(&client())) == self.group
    }
}

fn count(
    reader: &mut Reader,
    mut counted: Counted,
    members: &Members,
    hours: u32,
    now: i64,
) -> Result<Measured, ReadError> {
    let from = now - i64::from(hours) * 3_600_000_000;
    let mut tally = Tally::new(Filter { program: Some(counted.program.clone()), ..Filter::default() });
    let between = reader.for_each(from, now, |seen| {
        if members.have(&seen.row.client) && counted.add(&seen) {
            tally.add(&seen);
        }
    })?;
    let recorded_since = reader.first()?.map(Moment);
    Ok(Measured { recorded_since, ..counted.told(&tally.tops(between, now), hours) })
}

/// What is counted beside the tally, which sees only what was hit.
struct Counted {
    program: String,
    services: BTreeSet<String>,
    queries: u64,
    clients: HashSet<String>,
    triggers: BTreeMap<&'static str, u64>,
    blocked_already: u64,
    by_answer_alone: u64,
}

impl Counted {
    fn new(program: &str, services: BTreeSet<String>) -> Self {
        let (clients, triggers) = (HashSet::new(), BTreeMap::new());
        let (queries, blocked_already, by_answer_alone) = (0, 0, 0);
        Self { program: program.to_owned(), services, queries, clients, triggers, blocked_already, by_answer_alone }
    }

    /// Counts a query; true if it was hit.
    fn add(&mut self, seen: &Seen<'_>) -> bool {
        self.queries += seen.count;
        if !seen.row.client.is_empty() && self.clients.len() < CLIENTS_MAX && !self.clients.contains(&seen.row.client) {
            self.clients.insert(seen.row.client.clone());
        }
        let is_of = |said: &&Said| {
            *said.program == *self.program && self.services.contains(&*said.service) && said.outcome != Outcome::Except
        };
        let Some(said) = seen.row.verdicts.said.iter().find(is_of) else { return false };
        *self.triggers.entry(said.trigger.word()).or_default() += seen.count;
        if seen.row.fate() == Fate::Blocked {
            self.blocked_already += seen.count;
        }
        if !matches!(said.trigger, Trigger::Qname | Trigger::Client) {
            self.by_answer_alone += seen.count;
        }
        true
    }

    fn told(self, tops: &Tops, hours: u32) -> Measured {
        let hits = |rows: &[crate::report::TopRow]| -> Vec<Hit> {
            let hit = rows.iter().filter(|row| row.hits() > 0).take(ROWS_MAX);
            hit.map(|row| Hit { key: row.key.clone(), queries: row.hits(), called: Called::default() }).collect()
        };
        let mut triggers: Vec<(&'static str, u64)> = self.triggers.into_iter().collect();
        triggers.sort_by_key(|&(_, queries)| std::cmp::Reverse(queries));
        let hit = triggers.iter().map(|(_, queries)| queries).sum();
        Measured {
            hours,
            from: tops.from,
            to: tops.to,
            recorded_since: None,
            queries: Share::new(hit, self.queries),
            blocked_already: self.blocked_already,
            clients: Share::new(tops.clients.there_are, self.clients.len() as u64),
            by_client: hits(&tops.clients.rows),
            names: tops.names.there_are,
            by_name: hits(&tops.names.rows),
            triggers,
            by_answer_alone: self.by_answer_alone,
        }
    }
}

/// What was seen in some hours, for people.
fn sentence(measured: &Measured, group: &str) -> String {
    let span = if measured.hours == 24 { "day".to_owned() } else { format!("{} days", measured.hours / 24) };
    let whose = if group.is_empty() { String::new() } else { format!(" of {group}") };
    let all = counted(measured.queries.of, "query", "queries");
    if measured.queries.part == 0 {
        return format!("In the last {span} it would have blocked none of {all}{whose}.");
    }
    let clients = match measured.clients.of {
        0 => String::new(),
        of => format!(", asked by {} of {}", measured.clients.part, counted(of, "client", "clients")),
    };
    let names = counted(measured.names, "name", "names");
    let hit = crate::report::count(measured.queries.part);
    let told = format!("In the last {span} it would have blocked {hit} of {all}{whose}: {names}{clients}.");
    match (measured.blocked_already, measured.queries.part - measured.blocked_already) {
        (0, _) => told,
        (_, 0) => format!("{told} All of these were blocked as it is."),
        (already, new) => {
            let (already, new) = (crate::report::count(already), crate::report::count(new));
            format!("{told} {new} of these on top of the {already} that were blocked as it is.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_on_top_is_told_apart() {
        let told = |blocked_already| {
            let measured = Measured {
                hours: 24,
                from: Moment(0),
                to: Moment(1),
                recorded_since: None,
                queries: Share::new(10, 40),
                blocked_already,
                clients: Share::new(0, 0),
                by_client: Vec::new(),
                names: 2,
                by_name: Vec::new(),
                triggers: Vec::new(),
                by_answer_alone: 0,
            };
            sentence(&measured, "")
        };
        let hit = "In the last day it would have blocked 10 of 40 queries: 2 names.";
        assert_eq!(told(0), hit);
        assert_eq!(told(7), format!("{hit} 3 of these on top of the 7 that were blocked as it is."));
        assert_eq!(told(10), format!("{hit} All of these were blocked as it is."));
    }
}
