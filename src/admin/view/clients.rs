//! Who asks: clients seen of late with their groups and what became of their queries, and the groups that there are.

use super::{
    super::{AdminState, live::Unread},
    called::{Called, called, client_at},
    programs::ScheduleView,
    recorded_until,
};
use crate::{
    config::{
        DEFAULT_GROUP,
        overlay::{Key, Overlay},
    },
    policy::Policy,
    query_log::{Fate, Seen, sqlite::Reader},
    report::Moment,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

/// Clients told apart; of any beyond them only the queries are counted.
const CLIENTS_MAX: usize = 20_000;
/// Clients shown: those that asked most.
const ROWS_MAX: usize = 200;
/// Hours that are looked at, unless it is said.
const HOURS: u32 = 24;
const HOURS_MAX: u32 = 31 * 24;
/// How long one waits for the count.
const WITHIN: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Deserialize, JsonSchema, Clone, Copy, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct ClientsAsked {
    #[serde(default)]
    pub hours: Option<u32>,
}

/// The clients of late.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ClientsView {
    pub hours: u32,
    pub clients: Vec<ClientView>,
    pub there_are: usize,
    /// Why nothing, or not all, is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
}

/// One client.
#[derive(Serialize, JsonSchema, Debug)]
pub struct ClientView {
    /// As far as `[query_log] privacy` lets it be told.
    pub client: String,
    #[serde(flatten)]
    pub called: Called,
    /// Its group now, if its address is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub queries: u64,
    pub blocked: u64,
    pub would_block: u64,
    pub excepted: u64,
    /// Answered with an error at once, as all are where `[access] allow` doesn't have it.
    pub refused: u64,
    /// Questions that looked for a way round this resolver, since the start.
    pub bypass: u64,
    pub last: Moment,
}

/// A group, clients in none among them.
#[derive(Serialize, JsonSchema, Debug)]
pub struct GroupView {
    pub name: String,
    /// What tells its clients: addresses, networks, MAC addresses. Empty: those that no other group has.
    pub clients: Vec<String>,
    /// Its own modes, by `program` and `program/service`.
    pub modes: Vec<(String, &'static str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleView>,
    /// The schedule was changed here.
    pub changed: bool,
    /// Where it stands in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What became of a client's queries.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// In the order of [`Fate::ALL`].
    fates: [u64; Fate::ALL.len()],
    last: i64,
}

/// Looks who asked of late.
pub async fn clients(state: &AdminState, asked: ClientsAsked) -> ClientsView {
    let hours = asked.hours.unwrap_or(HOURS).clamp(1, HOURS_MAX);
    let (all, caveat) = match counted(state, hours).await {
        Ok(Some(all)) => (all, None),
        Ok(None) => (Arc::default(), Some(format!("Nobody is known: {}.", Unread::Coming))),
        Err(why @ (Unread::Nowhere | Unread::NotYet)) => (Arc::default(), Some(format!("Nobody is known: {why}."))),
        Err(why) => (Arc::default(), Some(why.to_string())),
    };
    let policy = state.health.published.policy.load_full();
    let bypass: HashMap<String, u64> = state.telemetry.bypass_by_client(state.pipeline.now()).into_iter().collect();
    let there_are = all.len();
    let mut clients: Vec<ClientView> = all
        .iter()
        .map(|(client, &Counts { fates: [blocked, would_block, excepted, passed, refused], last })| ClientView {
            called: Called::default(),
            group: None,
            queries: blocked + would_block + excepted + passed + refused,
            blocked,
            would_block,
            excepted,
            refused,
            bypass: bypass.get(client).copied().unwrap_or(0),
            last: Moment(last),
            client: client.clone(),
        })
        .collect();
    clients.sort_by(|a, b| (b.queries, &a.client).cmp(&(a.queries, &b.client)));
    clients.truncate(ROWS_MAX);
    for own in &mut clients {
        own.group = policy.as_ref().and_then(|policy| group_of(state, policy, &own.client));
        own.called = called(state, &own.client);
    }
    ClientsView { hours, clients, there_are, caveat }
}

/// Addresses of who asked in the last day, as far as they are recorded.
pub async fn addresses_seen(state: &AdminState) -> Vec<IpAddr> {
    let seen = counted(state, HOURS).await.ok().flatten().unwrap_or_default();
    seen.keys().filter_map(|client| client.parse().ok()).collect()
}

/// What became of each client's queries in the last so many hours.
async fn counted(state: &AdminState, hours: u32) -> Result<Option<Arc<HashMap<String, Counts>>>, Unread> {
    let to = recorded_until();
    let from = to - i64::from(hours) * 3_600_000_000;
    state.recorded.counted(format!("clients {hours}"), WITHIN, move |reader| count(reader, from, to)).await
}

fn count(
    reader: &mut Reader,
    from: i64,
    to: i64,
) -> Result<HashMap<String, Counts>, crate::query_log::sqlite::ReadError> {
    let mut all: HashMap<String, Counts> = HashMap::new();
    reader.for_each(from, to, |Seen { row, count, last, .. }| {
        let is_full = all.len() >= CLIENTS_MAX;
        let counts = match all.entry(row.client.clone()) {
            Entry::Vacant(_) if is_full || row.client.is_empty() => return,
            Entry::Vacant(entry) => entry.insert(Counts::default()),
            Entry::Occupied(entry) => entry.into_mut(),
        };
        counts.fates[row.fate() as usize] += count;
        counts.last = counts.last.max(last);
    })?;
    Ok(all)
}

/// The group of a client that is known by its address.
fn group_of(state: &AdminState, policy: &Policy, client: &str) -> Option<String> {
    let client = client_at(&state.pipeline, policy, client.parse::<IpAddr>().ok()?);
    Some(policy.group_name(policy.group_of(&client)).to_owned())
}

/// The groups; clients in none come last.
pub fn groups(state: &AdminState) -> Vec<GroupView> {
    let (config, overlay, now) = (state.settings.config(), state.desk.overlay(), state.pipeline.now());
    let changed = |overlay: &Overlay, name: &str| overlay.entry(&Key::GroupSchedule(name.to_owned())).is_some();
    let groups = config.groups.iter().map(|group| GroupView {
        name: group.name.clone(),
        clients: group.clients.iter().map(ToString::to_string).collect(),
        modes: {
            let programs = group.programs.iter().map(|(program, mode)| (program.clone(), mode.word()));
            let of = |((program, service), mode): (&(String, String), &crate::policy::Mode)| {
                (format!("{program}/{service}"), mode.word())
            };
            programs.chain(group.services.iter().map(of)).collect()
        },
        schedule: group.schedule.as_ref().map(|schedule| ScheduleView::new(schedule, now)),
        changed: changed(&overlay, &group.name),
        place: Some(group.place.clone()),
    });
    let nobodys = GroupView {
        name: DEFAULT_GROUP.to_owned(),
        clients: Vec::new(),
        modes: Vec::new(),
        schedule: None,
        changed: false,
        place: None,
    };
    groups.chain([nobodys]).collect()
}
