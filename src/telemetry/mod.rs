//! Counts and tells, and never blocks: everything here is atomic counters or a bounded, lossy queue.

mod counters;
mod metrics;
mod query_line;
mod sums;

pub use counters::{HeaderRefused, ListKey, Reload};
pub use metrics::{Gauges, ListGauge, ProcessGauge, render};
pub use sums::{Latency, Sums};

use crate::{
    dns::Transport,
    policy::Policy,
    query::{CacheUse, QueryRecord},
    query_log::{Fate, Place, Privacy, QueryLog, SinkCount},
    resolve::Security,
};
use arc_swap::{ArcSwap, Guard};
use counters::{BypassCounts, Counters, EDES, HitTable, Hits, Own, Shards};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// All counters of the program.
pub struct Telemetry {
    counters: Shards<Counters>,
    hits: Hits,
    bypass: BypassCounts,
    /// One line a query in the program's own log.
    log_queries: AtomicBool,
    /// How much of a client is told.
    privacy: ArcSwap<Privacy>,
    /// Where queries are kept, if they are.
    query_log: Option<Arc<QueryLog>>,
}

impl Telemetry {
    pub fn new(log_queries: bool, privacy: Privacy, query_log: Option<Arc<QueryLog>>) -> Self {
        let (counters, hits, bypass) = Default::default();
        let (log_queries, privacy) = (AtomicBool::new(log_queries), ArcSwap::from_pointee(privacy));
        Self { counters, hits, bypass, log_queries, privacy, query_log }
    }

    /// Has each query told in the program's own log from now on, or not.
    pub fn log_queries(&self, are_logged: bool) {
        self.log_queries.store(are_logged, Relaxed);
    }

    /// Tells so much of a client from now on.
    pub fn tell_clients(&self, privacy: Privacy) {
        self.privacy.store(Arc::new(privacy));
    }

    /// Whether somebody wants the packets themselves.
    pub fn wants_packets(&self) -> bool {
        self.query_log.as_ref().is_some_and(|log| log.wants_packets())
    }

    /// What was written where.
    pub fn sinks(&self) -> Vec<SinkCount> {
        self.query_log.as_ref().map(|log| log.counts()).unwrap_or_default()
    }

    /// Begins to count queries: what it takes is found once for all that are counted together.
    pub fn recorder(&self) -> Recorder<'_> {
        let place = self.query_log.as_ref().filter(|log| log.is_wanted()).map(|log| log.place());
        Recorder { telemetry: self, counters: self.counters.own(), hits: self.hits.table(), place }
    }

    /// Questions to which the cache had this to say.
    pub fn cache_uses(&self, cache: CacheUse) -> u64 {
        let count = |security| self.counters.sum(|own| &own.answers[cache as usize][security as usize]);
        Security::ALL.into_iter().map(count).sum()
    }

    /// Counts a packet that got no answer on purpose.
    pub fn silent(&self, transport: Transport) {
        self.counters.own().add(|own| &own.silent[transport as usize]);
    }

    /// Counts a response that the system didn't take.
    pub fn unsent(&self) {
        self.counters.own().add(|own| &own.unsent);
    }

    /// Counts a query whose handling broke off, which is a fault of this program.
    pub fn fault(&self) {
        self.counters.own().add(|own| &own.faults);
    }

    /// Counts a TCP connection beyond a bound.
    pub fn connection_refused(&self) {
        self.counters.own().add(|own| &own.connections_refused);
    }

    /// Counts a packet, or a connection, that wasn't heard for its PROXY header or for the lack of one.
    pub fn header_refused(&self, why: HeaderRefused) {
        self.counters.own().add(|own| &own.headers_refused[why as usize]);
    }

    /// Counts a reload.
    pub fn reloaded(&self, outcome: Reload) {
        self.counters.own().add(|own| &own.reloads[outcome as usize]);
    }

    /// Makes ready for counting by the lists of a policy that is about to be in force.
    pub fn policy_comes(&self, policy: &Policy) {
        self.hits.follow(policy);
        if let Some(log) = &self.query_log {
            log.follow(policy);
        }
    }

    /// Clients that look for ways round this resolver, as far as they may be told at `now` (seconds since 1970), with
    /// the number of their questions, most first. Those that are told alike are one.
    pub fn bypass_by_client(&self, now: i64) -> Vec<(String, u64)> {
        let privacy = self.privacy.load();
        self.bypass.list(|client| privacy.tell(client, now))
    }
}

/// Counts queries. It is not kept: a reload changes what is counted in.
pub struct Recorder<'t> {
    telemetry: &'t Telemetry,
    counters: Own<'t, Counters>,
    hits: Guard<Arc<HitTable>>,
    place: Option<Place<'t>>,
}

impl Recorder<'_> {
    /// Counts a query, after its answer went out, and keeps it, unless it is a probe. `packets`: the query and its
    /// response, if they are at hand.
    pub fn record(&mut self, record: &QueryRecord<'_>, packets: Option<(&[u8], &[u8])>) {
        let counters = &self.counters;
        if record.dropped {
            counters.add(|own| &own.dropped);
        } else {
            counters.answered(record.transport, record.rcode, record.cache, record.latency);
            if let Some(code) = record.ede {
                counters.add(|own| &own.extended_errors[usize::from(code).min(EDES - 1)]);
            }
        }
        if let Some(cache) = record.cache {
            let security = record.security.unwrap_or(Security::Unchecked);
            counters.add(|own| &own.answers[cache as usize][security as usize]);
        }
        if record.bypass {
            counters.add(|own| &own.bypass);
            self.telemetry.bypass.add(record.client);
        }
        let fate = Fate::of(&record.verdict).answered(record.rcode, record.cache);
        counters.add(|own| &own.fates[fate as usize]);
        if let Some(policy) = record.policy {
            if record.verdict.owner.is_some() {
                counters.add(|own| &own.owner_passed);
            }
            for said in &record.verdict.programs {
                self.hits.count(policy, said.cause.list(), said.outcome, said.cause.trigger);
            }
        }
        if record.is_probe {
            return;
        }
        if let (Some(place), Some(log)) = (&mut self.place, &self.telemetry.query_log) {
            place.push(record, &log.packing(packets));
        }
        if self.telemetry.log_queries.load(Relaxed) {
            query_line::log(record, &self.telemetry.privacy.load());
        }
    }
}
