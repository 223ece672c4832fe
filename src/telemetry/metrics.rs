//! The counters as Prometheus text (exposition format 0.0.4). Labels are closed sets; no client and no name asked is one.

use super::{
    Telemetry,
    counters::{CACHE_STATES, EDES, HeaderRefused, LATENCY_BOUNDS_MICROS, RCODES, Reload},
};
use crate::{
    cache::Stats,
    dns::{Rcode, Transport},
    policy::{Mode, Outcome, Trigger},
    query::CacheUse,
    query_log::{Fate, SinkCount},
    resolve::Security,
};
use std::fmt::{Display, Write};

/// What stands now, read from elsewhere when metrics are asked for.
#[derive(Default)]
pub struct Gauges {
    pub policy_epoch: u64,
    /// Seconds since the policy came into force.
    pub policy_age_seconds: f64,
    pub policy_rules: usize,
    pub policy_bytes: usize,
    pub upstream_asked: u64,
    pub upstream_answered: u64,
    pub cache: Stats,
    /// Packets that the kernel dropped before they were read.
    pub packets_lost: u64,
    /// Resolutions in flight, and how many may be.
    pub misses_in_flight: usize,
    pub misses_max: usize,
    pub ready: bool,
    /// Reasons for concern.
    pub concerns: usize,
    /// Pauses that hold.
    pub pauses: usize,
    pub lists: Vec<ListGauge>,
    pub process: ProcessGauge,
}

pub struct ListGauge {
    pub program: String,
    pub service: String,
    pub list: String,
    pub mode: Mode,
    pub rules: usize,
    pub skipped_lines: usize,
    /// Rules that the safety gate held back.
    pub held_rules: usize,
    /// False while a last good state is in force instead of what is on disk.
    pub healthy: bool,
    /// Seconds since the list's content last changed; `None`: it is as old as this program, or nothing is in force.
    pub age_seconds: Option<f64>,
    /// Seconds since this process took it in.
    pub loaded_seconds: f64,
    /// Of a list with a url: seconds since its server last gave it or said that it is still the same.
    pub download_age_seconds: Option<f64>,
}

/// What the system says of this process; `None` is what it doesn't say.
#[derive(Default, Debug)]
pub struct ProcessGauge {
    /// Seconds since 1970.
    pub started_at: Option<f64>,
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_files: Option<u64>,
    pub open_files_max: Option<u64>,
}

/// Renders everything.
pub fn render(telemetry: &Telemetry, gauges: &Gauges) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    queries(&mut page, telemetry, gauges);
    durations(&mut page, telemetry);
    verdicts(&mut page, telemetry);
    answers(&mut page, telemetry, gauges);
    state(&mut page, telemetry, gauges);
    lists(&mut page, &gauges.lists);
    sinks(&mut page, telemetry);
    process(&mut page, &gauges.process);
    page.0
}

fn queries(page: &mut Page, telemetry: &Telemetry, gauges: &Gauges) {
    let counters = &telemetry.counters;
    page.head("cleandns_queries_total", "counter", "Queries answered, by transport and response code.");
    for transport in Transport::ALL {
        for rcode in 0..RCODES {
            let count = counters.sum(|own| &own.queries[transport as usize][rcode]);
            // Codes that never occurred would only be noise; those of every day are there from the start, so that their
            // first increase is seen.
            if count > 0 || rcode <= usize::from(Rcode::REFUSED.0) {
                let rcode = Rcode(rcode as u16).to_string();
                page.line("cleandns_queries_total", &[("transport", transport.label()), ("rcode", &rcode)], count);
            }
        }
    }
    page.head("cleandns_packets_dropped_total", "counter", "Packets that are no queries and got no answer.");
    for transport in Transport::ALL {
        let count = counters.sum(|own| &own.silent[transport as usize]);
        page.line("cleandns_packets_dropped_total", &[("transport", transport.label())], count);
    }
    page.single(
        "cleandns_responses_unsent_total",
        "counter",
        "Responses the system refused to send.",
        counters.sum(|own| &own.unsent),
    );
    page.single(
        "cleandns_packets_lost_total",
        "counter",
        "Packets that the kernel dropped because they came faster than they were read.",
        gauges.packets_lost,
    );
    page.single(
        "cleandns_faults_total",
        "counter",
        "Queries whose handling broke off: a fault of this program, with a report in its log.",
        counters.sum(|own| &own.faults),
    );
    let refused = counters.sum(|own| &own.connections_refused);
    page.single("cleandns_tcp_connections_refused_total", "counter", "TCP connections beyond a bound.", refused);
    let help = "Packets and connections dropped for their PROXY header, or for the lack of one.";
    page.head("cleandns_proxy_headers_refused_total", "counter", help);
    for why in HeaderRefused::ALL {
        let count = counters.sum(|own| &own.headers_refused[why as usize]);
        page.line("cleandns_proxy_headers_refused_total", &[("reason", why.word())], count);
    }
    let help = "Answers with an Extended DNS Error (RFC 8914), by its code; clients without EDNS don't see it.";
    page.head("cleandns_extended_errors_total", "counter", help);
    for code in 0..EDES {
        let count = counters.sum(|own| &own.extended_errors[code]);
        if count > 0 {
            let code = if code == EDES - 1 { "other".to_owned() } else { code.to_string() };
            page.line("cleandns_extended_errors_total", &[("code", &code)], count);
        }
    }
}

fn durations(page: &mut Page, telemetry: &Telemetry) {
    let counters = &telemetry.counters;
    let help = "From reception of a query to its finished response, by what the cache had to say; none: no answer was \
                looked for.";
    page.head("cleandns_query_duration_seconds", "histogram", help);
    let words = CacheUse::ALL.map(CacheUse::word).into_iter().chain(["none"]);
    for (state, cache) in (0..CACHE_STATES).zip(words) {
        let mut cumulative = 0;
        let bounds = LATENCY_BOUNDS_MICROS.iter().map(|&bound| (bound as f64 / 1e6).to_string());
        for (place, bound) in bounds.chain(["+Inf".to_owned()]).enumerate() {
            cumulative += counters.sum(|own| &own.latency[state][place]);
            page.line("cleandns_query_duration_seconds_bucket", &[("cache", cache), ("le", &bound)], cumulative);
        }
        let sum = counters.sum(|own| &own.latency_sum_micros[state]) as f64 / 1e6;
        page.line("cleandns_query_duration_seconds_sum", &[("cache", cache)], sum);
        page.line("cleandns_query_duration_seconds_count", &[("cache", cache)], cumulative);
    }
}

fn verdicts(page: &mut Page, telemetry: &Telemetry) {
    let help = "Queries by what became of them, each counted once; the metrics below count them by list.";
    page.head("cleandns_query_fates_total", "counter", help);
    for fate in Fate::ALL {
        let count = telemetry.counters.sum(|own| &own.fates[fate as usize]);
        page.line("cleandns_query_fates_total", &[("fate", fate.word())], count);
    }
    for (outcome, name, help) in [
        (
            Outcome::Block,
            "cleandns_blocked_total",
            "Queries that a rule of this list blocked: its mode for the client was enforce.",
        ),
        (
            Outcome::WouldBlock,
            "cleandns_would_block_total",
            "Queries that a rule of this list would have blocked: its mode for the client was shadow.",
        ),
        (
            Outcome::Except,
            "cleandns_excepted_total",
            "Queries that an exception of this list matched, needed or not; the owner's are in cleandns_owner_excepted_total.",
        ),
    ] {
        page.head(name, "counter", help);
        telemetry.hits.for_each(|(program, service, list), hits| {
            for trigger in Trigger::ALL {
                let count = hits.of(outcome, trigger);
                if count > 0 || trigger == Trigger::Qname {
                    let labels = [
                        ("program", program.as_str()),
                        ("service", service),
                        ("list", list),
                        ("trigger", trigger.word()),
                    ];
                    page.line(name, &labels, count);
                }
            }
        });
    }
    let dropped = telemetry.counters.sum(|own| &own.dropped);
    page.single("cleandns_queries_dropped_total", "counter", "Queries that a program left without an answer.", dropped);
    let bypass = telemetry.counters.sum(|own| &own.bypass);
    page.single(
        "cleandns_bypass_questions_total",
        "counter",
        "Questions that look for a way round this resolver.",
        bypass,
    );
    let passed = telemetry.counters.sum(|own| &own.owner_passed);
    let help = "Queries that an exception of the owner's matched, needed or not.";
    page.single("cleandns_owner_excepted_total", "counter", help, passed);
}

fn answers(page: &mut Page, telemetry: &Telemetry, gauges: &Gauges) {
    page.single(
        "cleandns_upstream_questions_total",
        "counter",
        "Questions sent to name servers.",
        gauges.upstream_asked,
    );
    let answered = gauges.upstream_answered;
    page.single("cleandns_upstream_answers_total", "counter", "Answers received from name servers.", answered);
    let help = "Questions whose answer was kept, was kept and given past its time, or was resolved.";
    page.head("cleandns_cache_lookups_total", "counter", help);
    for cache in CacheUse::ALL {
        page.line("cleandns_cache_lookups_total", &[("state", cache.word())], telemetry.cache_uses(cache));
    }
    let help = "Questions whose answer was looked for, by what DNSSEC says of it; who didn't ask for bogus ones gets SERVFAIL.";
    page.head("cleandns_dnssec_answers_total", "counter", help);
    for security in Security::ALL {
        let count = |cache| telemetry.counters.sum(|own| &own.answers[cache as usize][security as usize]);
        let count: u64 = CacheUse::ALL.into_iter().map(count).sum();
        page.line("cleandns_dnssec_answers_total", &[("security", security.word())], count);
    }
    page.single("cleandns_cache_entries", "gauge", "Answers kept.", gauges.cache.entries);
    page.single("cleandns_cache_bytes", "gauge", "Memory that kept answers take.", gauges.cache.bytes);
    page.single("cleandns_cache_size_bytes", "gauge", "Memory that kept answers may take.", gauges.cache.size);
    page.single("cleandns_cache_stored_total", "counter", "Answers stored.", gauges.cache.stored);
    page.single(
        "cleandns_resolutions_in_flight",
        "gauge",
        "Queries that wait for a resolution.",
        gauges.misses_in_flight,
    );
    page.single("cleandns_resolutions_max", "gauge", "Queries that may wait for a resolution.", gauges.misses_max);
}

fn state(page: &mut Page, telemetry: &Telemetry, gauges: &Gauges) {
    page.head("cleandns_build_info", "gauge", "1, with the version of this program.");
    page.line("cleandns_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.single("cleandns_policy_epoch", "gauge", "Number of the policy in force.", gauges.policy_epoch);
    page.single("cleandns_policy_age_seconds", "gauge", "Age of the policy in force.", gauges.policy_age_seconds);
    page.single("cleandns_policy_rules", "gauge", "Rules in force.", gauges.policy_rules);
    page.single("cleandns_policy_bytes", "gauge", "Memory held by the policy in force.", gauges.policy_bytes);
    page.single(
        "cleandns_ready",
        "gauge",
        "1 while a policy is in force and nobody asked to stop.",
        u8::from(gauges.ready),
    );
    page.single("cleandns_concerns", "gauge", "Reasons for concern that /readyz tells.", gauges.concerns);
    page.single("cleandns_pauses", "gauge", "Pauses that hold: nothing is blocked meanwhile.", gauges.pauses);
    page.head("cleandns_reloads_total", "counter", "Policies built after a change, by outcome.");
    for reload in Reload::ALL {
        let count = telemetry.counters.sum(|own| &own.reloads[reload as usize]);
        page.line("cleandns_reloads_total", &[("outcome", reload.word())], count);
    }
}

fn lists(page: &mut Page, lists: &[ListGauge]) {
    type Value = fn(&ListGauge) -> Option<f64>;
    let metrics: [(&str, &str, Value); 7] = [
        ("cleandns_list_rules", "Rules of a list.", |list| Some(list.rules as f64)),
        ("cleandns_list_skipped_lines", "Lines of a list that gave no rule.", |list| Some(list.skipped_lines as f64)),
        ("cleandns_list_held_rules", "Rules of a list that the safety gate held back.", |list| {
            Some(list.held_rules as f64)
        }),
        ("cleandns_list_healthy", "0 while a last good state stands in for a list.", |list| {
            Some(f64::from(u8::from(list.healthy)))
        }),
        (
            "cleandns_list_age_seconds",
            "Age of a list's content: since its file was written, or since it changed by its server's word.",
            |list| list.age_seconds,
        ),
        ("cleandns_list_loaded_seconds", "Time since this process took in a list's present content.", |list| {
            Some(list.loaded_seconds)
        }),
        (
            "cleandns_list_download_age_seconds",
            "Time since the server of a list with a url last gave it or said that it is still the same.",
            |list| list.download_age_seconds,
        ),
    ];
    for (name, help, value) in metrics {
        page.head(name, "gauge", help);
        for list in lists {
            let labels = [
                ("program", list.program.as_str()),
                ("service", &list.service),
                ("list", &list.list),
                ("mode", list.mode.word()),
            ];
            if let Some(value) = value(list) {
                page.line(name, &labels, value);
            }
        }
    }
}

fn sinks(page: &mut Page, telemetry: &Telemetry) {
    let sinks = telemetry.sinks();
    type Value = fn(&SinkCount) -> Option<u64>;
    let metrics: [(&str, &str, Value); 5] = [
        ("cleandns_query_log_rows_total", "Queries recorded, by where.", |sink| Some(sink.queries?.written)),
        (
            "cleandns_query_log_dropped_total",
            "Queries that could not be recorded, by where: there was no room, or it was too slow.",
            |sink| Some(sink.queries?.dropped),
        ),
        ("cleandns_query_log_exchanges_total", "Questions to name servers recorded, by where.", |sink| {
            Some(sink.exchanges?.written)
        }),
        (
            "cleandns_query_log_exchanges_dropped_total",
            "Questions to name servers that could not be recorded, by where: there was no room, or it was too slow.",
            |sink| Some(sink.exchanges?.dropped),
        ),
        (
            "cleandns_query_log_files_gone_total",
            "How often a file of the query log was removed or moved away, so that another was begun, by where.",
            |sink| Some(sink.files_gone),
        ),
    ];
    for (name, help, value) in metrics {
        page.head(name, "counter", help);
        for (sink, value) in sinks.iter().filter_map(|sink| Some((sink.sink, value(sink)?))) {
            page.line(name, &[("sink", sink)], value);
        }
    }
}

/// The names are those that all programs have for this.
fn process(page: &mut Page, process: &ProcessGauge) {
    let float = |value: Option<u64>| value.map(|value| value as f64);
    for (name, kind, help, value) in [
        ("process_start_time_seconds", "gauge", "When this process started, since 1970.", process.started_at),
        ("process_cpu_seconds_total", "counter", "Time on processors.", process.cpu_seconds),
        ("process_resident_memory_bytes", "gauge", "Memory in use.", float(process.resident_bytes)),
        ("process_virtual_memory_bytes", "gauge", "Addresses in use.", float(process.virtual_bytes)),
        ("process_open_fds", "gauge", "Open files and sockets.", float(process.open_files)),
        ("process_max_fds", "gauge", "Files and sockets that may be open.", float(process.open_files_max)),
    ] {
        if let Some(value) = value {
            page.single(name, kind, help, value);
        }
    }
}

/// Text under construction.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}
