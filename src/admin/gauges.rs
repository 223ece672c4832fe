//! What stands now, for metrics.

use super::{AdminState, process::process};
use crate::{
    lists::ListState,
    query::MISSES_MAX,
    telemetry::{Gauges, ListGauge},
};
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Gathers the gauges.
pub fn gauges(state: &AdminState) -> Gauges {
    let AdminState { health, pipeline, packets_lost, .. } = state;
    let status = health.published.status.load();
    let policy = health.published.policy.load();
    let (readiness, reasons) = health.look();
    Gauges {
        policy_epoch: status.epoch,
        policy_age_seconds: status.since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
        policy_rules: policy.as_ref().map_or(0, |policy| policy.rule_count()),
        policy_bytes: policy.as_ref().map_or(0, |policy| policy.bytes()),
        upstream_asked: health.counters.asked.load(Relaxed),
        upstream_answered: health.counters.answered.load(Relaxed),
        cache: pipeline.finder().cache.stats(),
        packets_lost: packets_lost(),
        misses_in_flight: MISSES_MAX - pipeline.misses_free(),
        misses_max: MISSES_MAX,
        ready: readiness.serves(),
        concerns: reasons.len(),
        pauses: health.pauses_told().len(),
        lists: status.lists.iter().map(list_gauge).collect(),
        process: process(),
    }
}

fn list_gauge(list: &ListState) -> ListGauge {
    let now = SystemTime::now();
    let since = |time: SystemTime| now.duration_since(time).unwrap_or_default().as_secs_f64();
    let confirmed = list.confirmed_at.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    // What comes from the future is as good as new.
    ListGauge {
        program: list.program.clone(),
        service: list.service.clone(),
        list: list.name.clone(),
        mode: list.mode,
        rules: list.rules,
        skipped_lines: list.skipped.count,
        held_rules: list.held.count,
        healthy: !list.is_held(),
        age_seconds: list.changed_at.map(since),
        loaded_seconds: list.since.map_or(0.0, since),
        download_age_seconds: confirmed.map(since),
    }
}
