//! How it goes: what is wrong, how many queries there were, how fast they were answered.

use super::{
    super::{
        AdminState,
        live::{self, DAY_SECONDS, Unread},
    },
    moment,
};
use crate::{
    health::Concern,
    query::{CacheUse, MISSES_MAX},
    query_log::Fate,
    report::{Moment, Share, form::TimeLine},
    telemetry::{Latency, Sums},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime};

/// Seconds of a step of the time line, unless asked for otherwise: 96 in a day.
pub const STEP_SECONDS: i64 = 900;

/// What the first page shows. Counts of queries are those of the last 24 hours, or since the start if that is less; what
/// is said of answers and of the cache is since the start.
#[derive(Serialize, JsonSchema, Debug)]
pub struct Overview {
    pub now: Now,
    /// As in `/readyz`.
    #[schemars(extend("enum" = ["starting", "ready", "degraded", "draining"]))]
    pub state: &'static str,
    pub concerns: Vec<Concern>,
    /// What is worth a look and no reason for concern.
    pub notes: Vec<Concern>,
    pub totals: Totals,
    pub latency: LatencyView,
    pub cache: CacheShare,
    pub resolutions: Resolutions,
    pub policy: PolicyView,
    pub lists: ListsShare,
    pub lost: Lost,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct Now {
    pub time: Moment,
    /// Queries a second over the last minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct Totals {
    pub since: Moment,
    pub queries: u64,
    pub blocked: Share,
    pub would_block: Share,
    pub excepted: Share,
    pub passed: Share,
    /// Answered with an error at once: who asked isn't admitted, the query isn't understood or of a kind that isn't served, or
    /// there was no room for it. What was recorded by a version that didn't tell these apart passed.
    pub refused: Share,
}

/// Bounds that answers kept: half of them took at most `median_micros`.
#[derive(Serialize, JsonSchema, Debug)]
pub struct LatencyView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_micros: Option<u64>,
    pub by_cache: Vec<ByCache>,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct ByCache {
    /// What the cache had to say, as in the metrics: hit, stale, miss; none: no answer was looked for.
    #[schemars(extend("enum" = ["hit", "stale", "miss", "none"]))]
    pub cache: &'static str,
    pub share: Share,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_micros: Option<u64>,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct CacheShare {
    pub entries: usize,
    pub bytes: u64,
    pub size: u64,
    /// Of the answers that were looked for.
    pub hit_share: Share,
    pub stale_share: Share,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct Resolutions {
    pub in_flight: usize,
    pub max: usize,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct PolicyView {
    pub epoch: u64,
    pub rules: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct ListsShare {
    pub count: usize,
    /// Of which something else is in force than what is meant.
    pub held: usize,
    /// How long ago the content of the list changed that changed last, and of the one longest unchanged; as far as they are
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_change_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_change_seconds: Option<u64>,
    /// Of downloaded lists: how long ago the server of the one longest unheard of said what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<u64>,
}

#[derive(Serialize, JsonSchema, Debug)]
pub struct Lost {
    /// Packets that came faster than they were read.
    pub packets: u64,
    /// Queries that could not be recorded.
    pub rows: u64,
}

/// How long the start waits for what was recorded before it.
const RECALL_WITHIN: Duration = Duration::from_secs(2);

/// Looks at the counters now, so that what is shown is of now.
pub fn look(state: &AdminState) {
    state.minutes.note(state.pipeline.now(), Instant::now(), state.telemetry.fates());
}

/// Gathers it.
pub fn overview(state: &AdminState) -> Overview {
    look(state);
    let (readiness, concerns) = state.health.look();
    let status = state.health.published.status.load();
    let policy = state.health.published.policy.load();
    let now = state.pipeline.now();
    let cache = state.pipeline.finder().cache.stats();
    let uses = CacheUse::ALL.map(|cache| state.telemetry.cache_uses(cache));
    let looked_for = uses.iter().sum();
    let time = SystemTime::now();
    let confirmed = status.lists.iter().filter_map(|list| list.confirmed_at);
    let changed = || status.lists.iter().filter_map(|list| list.changed_at);
    let age = |changed: SystemTime| time.duration_since(changed).unwrap_or_default().as_secs();
    Overview {
        now: Now { time: Moment(now.saturating_mul(1_000_000)), rate: state.minutes.rate() },
        state: readiness.word(),
        concerns,
        notes: state.notes().into_iter().chain(state.health.notes()).collect(),
        totals: totals(state, now),
        latency: latency(&state.telemetry.sums()),
        cache: CacheShare {
            entries: cache.entries,
            bytes: cache.bytes,
            size: cache.size,
            hit_share: Share::new(uses[CacheUse::Hit as usize], looked_for),
            stale_share: Share::new(uses[CacheUse::Stale as usize], looked_for),
        },
        resolutions: Resolutions { in_flight: MISSES_MAX - state.pipeline.misses_free(), max: MISSES_MAX },
        policy: PolicyView {
            epoch: status.epoch,
            rules: policy.as_ref().map_or(0, |policy| policy.rule_count()),
            since: status.since.and_then(|since| time.checked_sub(since.elapsed())).map(moment),
        },
        lists: ListsShare {
            count: status.lists.len(),
            held: status.lists.iter().filter(|list| list.is_held()).count(),
            newest_change_seconds: changed().max().map(age),
            oldest_change_seconds: changed().min().map(age),
            oldest_seconds: confirmed.min().map(|oldest| u64::try_from(now).unwrap_or(0).saturating_sub(oldest)),
        },
        lost: Lost {
            packets: (state.packets_lost)(),
            rows: state.telemetry.sinks().iter().map(|sink| sink.queries.map_or(0, |kept| kept.dropped)).sum(),
        },
    }
}

fn totals(state: &AdminState, now: i64) -> Totals {
    let line = time_line(state, None, None, STEP_SECONDS);
    let sum = |of: fn(&crate::report::form::Bucket) -> u64| line.buckets.iter().map(of).sum::<u64>();
    let fates = [
        sum(|at| at.blocked),
        sum(|at| at.would_block),
        sum(|at| at.excepted),
        sum(|at| at.passed),
        sum(|at| at.refused),
    ];
    let queries = fates.iter().sum();
    let share = |fate: Fate| Share::new(fates[fate as usize], queries);
    Totals {
        since: Moment(state.minutes.since(now).saturating_mul(1_000_000)),
        queries,
        blocked: share(Fate::Blocked),
        would_block: share(Fate::WouldBlock),
        excepted: share(Fate::Excepted),
        passed: share(Fate::Passed),
        refused: share(Fate::Refused),
    }
}

fn latency(sums: &Sums) -> LatencyView {
    let by_cache = CacheUse::ALL.map(|cache| (cache.word(), sums.of_cache(cache)));
    let by_cache: Vec<(&str, Latency)> = by_cache.into_iter().chain([("none", sums.of_none())]).collect();
    let all = by_cache.iter().fold(Latency::default(), |all, (_, own)| all.and(*own));
    let view = |(cache, own): (&'static str, Latency)| ByCache {
        cache,
        share: Share::new(own.count(), all.count()),
        median_micros: own.within(0.5),
        p95_micros: own.within(0.95),
    };
    LatencyView { median_micros: all.within(0.5), by_cache: by_cache.into_iter().map(view).collect() }
}

/// Queries in steps of `step` seconds, between two times in seconds since 1970; else the last 24 hours, of which the last
/// step is the present one.
pub fn time_line(state: &AdminState, from: Option<i64>, to: Option<i64>, step: i64) -> TimeLine {
    look(state);
    let now = state.pipeline.now();
    let to = to.unwrap_or((now.div_euclid(step) + 1) * step);
    let from = from.unwrap_or(to - DAY_SECONDS);
    state.minutes.time_line(from, to, step)
}

/// The same, of times before the last 24 hours too, as far as they are recorded.
pub async fn time_line_of(
    state: &AdminState,
    from: Option<i64>,
    to: Option<i64>,
    step: i64,
) -> Result<TimeLine, Unread> {
    let now = state.pipeline.now();
    match from {
        Some(from) if from < now - DAY_SECONDS && state.recorded.is_somewhere() => {
            let to = to.unwrap_or(now);
            let micros = |seconds: i64| seconds.saturating_mul(1_000_000);
            let minutes = state.recorded.look(move |reader| reader.minutes(micros(from), micros(to))).await;
            let minutes = if minutes == Err(Unread::NotYet) { Vec::new() } else { minutes? };
            Ok(live::time_line(minutes, from, to, step))
        }
        _ => Ok(time_line(state, from, to, step)),
    }
}

/// Takes in the last 24 hours as they were recorded before this process began to count.
pub async fn recall(state: &AdminState) {
    let now = state.pipeline.now();
    let (from, to) = (now - DAY_SECONDS, now + 60);
    let look = state.recorded.look(move |reader| {
        Ok((reader.first()?, reader.minutes(from.saturating_mul(1_000_000), to.saturating_mul(1_000_000))?))
    });
    // A start doesn't wait for a slow disk: these hours are missing then, as without a database.
    if let Ok(Ok((Some(first), minutes))) = tokio::time::timeout(RECALL_WITHIN, look).await {
        state.minutes.recall(first.div_euclid(1_000_000).max(from), minutes);
    }
}
