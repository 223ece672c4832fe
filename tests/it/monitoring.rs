//! What others watch cleandns with: `/metrics`, the dashboard for Grafana and the alerts, which must all mean the same
//! metrics. `tests/full` has Prometheus's own tool look at them too.

use crate::{
    exposition::{self, Families},
    harness::{Server, eventually, folder, start, write_list},
};
use cleandns::{
    config,
    dns::RrType,
    policy::Mode,
    query_log::Privacy,
    telemetry::{Gauges, ListGauge, Telemetry, render},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What Prometheus itself adds to every series.
const OF_TARGET: [&str; 2] = ["instance", "job"];
/// Metrics that the dashboard doesn't show, and why.
const NOT_SHOWN: [(&str, &str); 3] = [
    ("process_virtual_memory_bytes", "addresses cost nothing; it is there for others"),
    ("cleandns_list_loaded_seconds", "the age of its content says more; it is there for who looks for a reload"),
    ("cleandns_query_log_files_gone_total", "whoever removes a file knows, and health tells everybody else"),
];
/// Labels and the values they may have; `None`: names out of the configuration, which are as many as the owner wrote.
const LABELS: [(&str, Option<&[&str]>); 17] = [
    ("cache", Some(&["hit", "stale", "miss", "none"])),
    ("code", Some(&["3", "6", "7", "8", "9", "10", "12", "14", "15", "18", "19", "20", "22", "23", "other"])),
    ("fate", Some(&["blocked", "would-block", "excepted", "passed", "refused"])),
    ("le", None),
    ("list", None),
    ("mode", Some(&["off", "shadow", "enforce"])),
    ("outcome", Some(&["clean", "held"])),
    ("program", None),
    ("rcode", Some(&["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"])),
    ("reason", Some(&["missing", "malformed", "stranger"])),
    ("security", Some(&["secure", "insecure", "bogus", "unchecked"])),
    ("service", None),
    ("sink", Some(&["sqlite", "json", "dnstap", "clickhouse"])),
    ("state", Some(&["hit", "stale", "miss"])),
    ("transport", Some(&["udp", "tcp"])),
    (
        "trigger",
        Some(&["client", "qname", "cname", "dname", "svcb-target", "address", "address-hint", "ns-name", "ns-address"]),
    ),
    ("version", None),
];

/// A server with a program of each kind, which was asked something of each kind.
async fn serve() -> Server {
    let folder = folder();
    write_list(&folder.path().join("block.list"), &["blocked.example", "@pass.blocked.example # ours", "com"]);
    write_list(&folder.path().join("watch.list"), &["watched.example"]);
    let tap = folder.path().join("x.dnstap");
    let tap = format!("[query_log.dnstap]\nto = \"{}\"\nclient = false\nresolver = true\n", tap.display());
    let toml = "[query_log.json]\nto = \"queries.json\"\n\
        [[program]]\nname = \"strict\"\nlists = [{ path = \"block.list\", gate = \"hold\" }]\n\
        [[program]]\nname = \"watching\"\nmode = \"shadow\"\nlists = [{ path = \"watch.list\" }]\n";
    let server = start(folder, None, &(tap + toml)).await;
    let asked = ["x.blocked.example", "pass.blocked.example", "watched.example", "localhost"];
    for name in asked {
        server.ask(name, RrType::ANY).await;
    }
    // Counted after the answer went out.
    let count = asked.len() as f64;
    eventually("all counted", || async { server.metric("cleandns_queries_total", &[]).await >= count }).await;
    server
}

/// A page of a server, with what only a list with a url would add.
async fn page() -> Families {
    let server = serve().await;
    let mut page = exposition::read(&server.get("/metrics").await.1).unwrap();
    server.running.stop().await;
    let list = ListGauge {
        program: "p".into(),
        service: "s".into(),
        list: "l".into(),
        mode: Mode::Enforce,
        rules: 1,
        skipped_lines: 0,
        held_rules: 0,
        healthy: true,
        age_seconds: Some(1.0),
        loaded_seconds: 1.0,
        download_age_seconds: Some(1.0),
    };
    let gauges = Gauges { lists: vec![list], ..Gauges::default() };
    let with_url =
        exposition::read(&render(&Telemetry::new(false, Privacy::new(config::Privacy::Full), None), &gauges)).unwrap();
    for (name, family) in with_url {
        page.entry(name).or_default().samples.extend(family.samples);
    }
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_closed_sets_of_labels() {
    let page = page().await;
    for (name, family) in &page {
        assert!(!family.samples.is_empty(), "{name} has no series");
        for sample in &family.samples {
            for (label, value) in &sample.labels {
                let known = LABELS.iter().find(|(known, _)| known == label);
                let (_, values) = known.unwrap_or_else(|| panic!("{name} has a label {label}"));
                assert!(values.is_none_or(|values| values.contains(&value.as_str())), "{name}: {label}=\"{value}\"");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_what_happened() {
    let server = serve().await;
    let page = exposition::read(&server.get("/metrics").await.1).unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let samples = page.values().flat_map(|family| &family.samples).filter(|sample| sample.name == name);
        let own = samples.filter(|sample| {
            labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|own| own == value))
        });
        own.map(|sample| sample.value).sum::<f64>()
    };
    for (name, labels, expected) in [
        ("cleandns_blocked_total", &[("program", "strict"), ("trigger", "qname")] as &[_], 1.0),
        ("cleandns_would_block_total", &[("program", "watching")], 1.0),
        ("cleandns_would_block_total", &[("program", "strict")], 0.0),
        ("cleandns_excepted_total", &[("program", "strict")], 1.0),
        // Each query once: localhost is the one that nothing was said of.
        ("cleandns_query_fates_total", &[("fate", "blocked")], 1.0),
        ("cleandns_query_fates_total", &[("fate", "would-block")], 1.0),
        ("cleandns_query_fates_total", &[("fate", "excepted")], 1.0),
        ("cleandns_query_fates_total", &[("fate", "passed")], 1.0),
        ("cleandns_query_fates_total", &[("fate", "refused")], 0.0),
        ("cleandns_extended_errors_total", &[("code", "15")], 1.0),
        // No answer was looked for to what is blocked by name, to localhost, and to ANY, which is answered minimally.
        ("cleandns_query_duration_seconds_count", &[], 4.0),
        ("cleandns_query_duration_seconds_count", &[("cache", "none")], 4.0),
        ("cleandns_query_duration_seconds_bucket", &[("cache", "none"), ("le", "+Inf")], 4.0),
        ("cleandns_queries_total", &[("rcode", "NXDOMAIN")], 1.0),
        ("cleandns_list_held_rules", &[("list", "block.list")], 1.0),
        ("cleandns_list_healthy", &[], 2.0),
        ("cleandns_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ("cleandns_pauses", &[], 0.0),
    ] {
        assert_eq!(value(name, labels), expected, "{name} {labels:?}");
    }
    assert!(page.contains_key("process_resident_memory_bytes"));
    // Usual codes are there before they occur, so that their first increase is seen.
    let rcodes: BTreeSet<&str> =
        page["cleandns_queries_total"].samples.iter().map(|own| &*own.labels["rcode"]).collect();
    assert!(rcodes.contains("SERVFAIL") && !rcodes.contains("BADVERS"), "{rcodes:?}");
    // A pause is seen, and is a reason for concern.
    server.post("/api/v1/pause", r#"{"seconds": 60}"#).await;
    assert_eq!(server.metric("cleandns_pauses", &[]).await, 1.0);
    assert!(server.metric("cleandns_concerns", &[]).await >= 1.0);
    // What is recorded is counted by where.
    eventually("the queries to be written", || async {
        let page = exposition::read(&server.get("/metrics").await.1).unwrap();
        page["cleandns_query_log_rows_total"].samples.iter().filter(|sample| sample.value == 4.0).count() == 2
    })
    .await;
    for name in ["cleandns_query_log_dropped_total", "cleandns_query_log_exchanges_dropped_total"] {
        assert_eq!(server.metric(name, &[]).await, 0.0);
    }
    // Who takes no queries counts none.
    let page = exposition::read(&server.get("/metrics").await.1).unwrap();
    let sinks = |name: &str| page[name].samples.iter().map(|own| own.labels["sink"].clone()).collect::<Vec<_>>();
    assert_eq!(sinks("cleandns_query_log_rows_total"), ["sqlite", "json"]);
    assert_eq!(sinks("cleandns_query_log_exchanges_total"), ["dnstap"]);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_what_there_is() {
    let page = page().await;
    let dashboard = dashboard();
    let mut shown = BTreeSet::new();
    let mut wrong = Vec::new();
    for panel in panels(&dashboard) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (expression, legend) = (text(&target["expr"]), target["legendFormat"].as_str().unwrap_or_default());
            shown.extend(check(expression, &labels_named(legend, "{{"), &page, &mut wrong));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        let labels = labels_named(text(&annotation["textFormat"]), "{{");
        shown.extend(check(text(&annotation["expr"]), &labels, &page, &mut wrong));
    }
    for variable in variables(&dashboard).filter(|variable| variable["type"] == "query") {
        let query = text(&variable["query"]["query"]);
        let inner = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')')).expect(query);
        let (expression, label) = inner.rsplit_once(", ").expect(query);
        check(expression, &[label.to_owned()].into(), &page, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let left_out: BTreeSet<&str> = NOT_SHOWN.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = page.keys().map(String::as_str).filter(|name| !left_out.contains(name)).collect();
    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(there.difference(&shown).collect::<Vec<_>>(), Vec::<&&str>::new(), "nothing shows these");
    assert_eq!(shown.intersection(&left_out).count(), 0, "shown after all");
}

#[test]
fn the_dashboard_is_tidy() {
    let dashboard = dashboard();
    let names: Vec<&str> = variables(&dashboard).map(|variable| text(&variable["name"])).collect();
    assert_eq!(names, ["DS_PROMETHEUS", "instance", "program"]);
    let (mut ids, mut titles, mut taken) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for panel in panels(&dashboard) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: an id that another has");
        assert!(titles.insert(title), "{title}: a title that another has");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap_or_else(|| panic!("{title}: no {side}"));
        assert!(place("w") > 0 && place("h") > 0 && place("x") + place("w") <= 24, "{title} lies outside");
        for (x, y) in (place("x")..place("x") + place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            let other = taken.insert((x, place("y") + y), title);
            assert!(other.is_none(), "{title} lies on {other:?}");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(&panel["description"]).ends_with('.'), "{title}: no description");
        // These are part of Grafana: no plugin is needed.
        let kinds = ["bargauge", "heatmap", "stat", "table", "timeseries"];
        assert!(kinds.contains(&text(&panel["type"])), "{title}: {}", panel["type"]);
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<&str> = targets.iter().map(|target| text(&target["refId"])).collect();
        assert_eq!(names.len(), targets.len(), "{title}: two queries of one name");
        for part in targets.iter().chain([panel]) {
            assert_eq!(part["datasource"]["uid"], "${DS_PROMETHEUS}", "{title}: of no chosen data source");
        }
    }
    // Rows are filled from side to side, so that nothing moves when Grafana packs them.
    let height = taken.keys().map(|(_, y)| y + 1).max().unwrap();
    assert_eq!(taken.len() as u64, 24 * height, "there are gaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_look_at_what_there_is_and_say_what_to_do() {
    let page = page().await;
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for alert in alerts(&project_file("config/prometheus-alerts.yml")) {
        let name = &alert["alert"];
        assert!(names.insert(name.clone()), "{name} twice");
        assert!(["critical", "warning", "info"].contains(&alert["severity"].as_str()), "{name}: severity");
        for field in ["summary", "description"] {
            let said = &alert[field];
            assert!(said.split_whitespace().count() >= 4, "{name}: {field}: {said}");
            check(&alert["expr"], &labels_named(said, "$labels."), &page, &mut wrong);
        }
        assert!(alert["description"].ends_with('.') || alert["description"].ends_with(".\""), "{name}: description");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(names.len() > 15, "{names:?}");
    // Those that are tried out are alerts, and what they are tried with are metrics.
    let trials = project_file("tests/data/alerts-test.yml");
    let tried: BTreeSet<&str> =
        trials.split("alertname=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(tried.len() > 8 && tried.iter().all(|name| names.contains(*name)), "{tried:?}");
    for series in trials.lines().filter_map(|line| line.trim().strip_prefix("- series: ")) {
        for used in uses(series).into_iter().filter(|used| used.name != "up") {
            let own = family(&used.name, &page).unwrap_or_else(|| panic!("no metric {}", used.name));
            let labels = labels_of(own, &page, &used.name);
            assert!(used.labels.iter().all(|label| labels.contains(label)), "{series}");
        }
    }
}

fn project_file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&project_file("config/grafana-dashboard.json")).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

fn variables(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["templating"]["list"].as_array().unwrap().iter()
}

/// The alerts of a file of rules: their fields by name. It reads YAML as far as that file uses it: fields with a text
/// in or below their line.
fn alerts(yaml: &str) -> Vec<BTreeMap<String, String>> {
    let mut alerts: Vec<BTreeMap<String, String>> = Vec::new();
    let mut field = String::new();
    for line in yaml.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let is_new = line.starts_with("- ");
        let line = line.trim_start_matches("- ");
        let fields = ["alert", "expr", "for", "labels", "severity", "annotations", "summary", "description", "name"];
        let begins = line.split_once(':').filter(|(name, _)| fields.contains(name));
        if is_new && line.starts_with("alert:") {
            alerts.push(BTreeMap::new());
        }
        let Some(alert) = alerts.last_mut() else { continue };
        let text = match begins {
            Some((name, text)) => {
                field = name.to_owned();
                text.trim().trim_matches(['|', '"'])
            }
            None => line,
        };
        let own = alert.entry(field.clone()).or_default();
        *own = format!("{own} {text}").trim().to_owned();
    }
    alerts
}

/// The labels that a text for people shows, such as `{{list}}` or `{{ $labels.list }}`.
fn labels_named(text: &str, before: &str) -> BTreeSet<String> {
    let named = text.split(before).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest[..end].to_owned()
    });
    named.collect()
}

/// A metric in an expression, and the labels that it must have.
#[derive(Debug, PartialEq)]
struct Use {
    name: String,
    labels: BTreeSet<String>,
    /// Counters are looked at by how much they grow.
    is_of_growth: bool,
}

/// Notes what is wrong with an expression of which `shown` are labels in a text; returns the metrics in it.
fn check(expression: &str, shown: &BTreeSet<String>, page: &Families, wrong: &mut Vec<String>) -> BTreeSet<String> {
    let uses = uses(expression);
    let mut families = BTreeSet::new();
    let mut known: BTreeSet<String> = OF_TARGET.map(str::to_owned).into();
    if uses.is_empty() {
        wrong.push(format!("no metric: {expression}"));
    }
    for used in uses.iter().filter(|used| used.name != "up") {
        let Some(family) = family(&used.name, page) else {
            wrong.push(format!("there is no {}: {expression}", used.name));
            continue;
        };
        let labels = labels_of(family, page, &used.name);
        for label in used.labels.difference(&labels) {
            wrong.push(format!("{} has no label {label}: {expression}", used.name));
        }
        if used.is_of_growth != (page[family].kind != "gauge") {
            wrong.push(format!("{} is a {}: {expression}", used.name, page[family].kind));
        }
        // What an aggregation leaves, or all there is.
        known.extend(if expression.contains(" by (") { used.labels.clone() } else { labels });
        families.insert(family.to_owned());
    }
    wrong.extend(shown.difference(&known).map(|label| format!("nothing has the label {label}: {expression}")));
    families
}

/// The metric that a name belongs to.
fn family<'p>(name: &str, page: &'p Families) -> Option<&'p str> {
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
    let of_histogram = stem.and_then(|stem| page.get_key_value(stem)).filter(|(_, family)| family.kind == "histogram");
    let plain = page.get_key_value(name).filter(|(_, family)| family.kind != "histogram");
    of_histogram.or(plain).map(|(name, _)| name.as_str())
}

/// Labels that series of this name have in a metric, with those of every target.
fn labels_of(family: &str, page: &Families, name: &str) -> BTreeSet<String> {
    let samples = page[family].samples.iter().filter(|sample| sample.name == name);
    samples.flat_map(|sample| sample.labels.keys().cloned()).chain(OF_TARGET.map(str::to_owned)).collect()
}

/// The metrics in an expression of PromQL, each with the labels it is chosen and grouped by.
fn uses(expression: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    // Where an expression is grouped, and by what.
    let mut groups: Vec<(std::ops::Range<usize>, BTreeSet<String>)> = Vec::new();
    let mut places = Vec::new();
    let mut at = 0;
    while at < expression.len() {
        let rest = &expression[at..];
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_:$".contains(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(word);
        let inner = after.trim_start();
        match name {
            "" => {
                // Texts hold no metric.
                at += match rest.strip_prefix('"').map(|text| text.find('"').expect(expression)) {
                    Some(end) => end + 2,
                    None => rest.chars().next().map_or(1, char::len_utf8),
                };
                continue;
            }
            "by" | "on" | "ignoring" | "group_left" | "group_right" | "without" => {
                let list = inner.strip_prefix('(').and_then(|list| list.split_once(')')).expect(expression).0;
                let labels = list.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
                let end = at + word + (after.len() - inner.len()) + list.len() + 2;
                let scope = match name {
                    "by" => {
                        let body = expression[end..].trim_start();
                        assert!(body.starts_with('('), "write `sum by (…) (…)`: {expression}");
                        let start = expression.len() - body.len();
                        start..start + closing(body)
                    }
                    "on" => 0..expression.len(),
                    _ => 0..0,
                };
                groups.push((scope, labels.collect()));
                at = end;
                continue;
            }
            _ => {}
        }
        if name.starts_with("cleandns_") || name.starts_with("process_") || name == "up" {
            let selector = after.strip_prefix('{').map(|selector| {
                let mut quoted = false;
                let end = selector.find(|c| {
                    quoted ^= c == '"';
                    c == '}' && !quoted
                });
                &selector[..end.expect(expression)]
            });
            let labels = selector.into_iter().flat_map(|selector| selector.split("\",")).map(|matcher| {
                let end = matcher.find(['=', '!']).expect(expression);
                matcher[..end].trim().to_owned()
            });
            let before = &expression[..at];
            let is_of_growth = before.ends_with("rate(") || before.ends_with("increase(");
            places.push(at);
            uses.push(Use { name: name.to_owned(), labels: labels.collect(), is_of_growth });
            at += selector.map_or(0, |selector| selector.len() + 2);
        }
        at += word;
    }
    for (place, used) in places.into_iter().zip(&mut uses) {
        let around = groups.iter().filter(|(scope, _)| scope.contains(&place));
        used.labels.extend(around.flat_map(|(_, labels)| labels.iter().cloned()));
    }
    uses
}

/// How long a text in parentheses is, with them.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    end.expect(text) + 1
}

#[test]
fn expressions_are_read() {
    for (expression, expected) in [
        ("up", "up"),
        ("cleandns_a", "cleandns_a"),
        ("rate(cleandns_a_total[5m])", "+cleandns_a_total"),
        ("a_cleandns_a + process_b / 2", "process_b"),
        ("cleandns_a{x=\"cleandns_b by (z)\", y!~\"}\"}", "cleandns_a{x,y}"),
        ("cleandns_a{x=\"1\",y=~\"2\"} == bool 0", "cleandns_a{x,y}"),
        ("sum by (x) (increase(cleandns_a{y=\"$v\"}[$__range])) - cleandns_b", "+cleandns_a{x,y} cleandns_b"),
        (
            "topk(3, max by (x, le) ((cleandns_a + (cleandns_b)) > 0)) * cleandns_c",
            "cleandns_a{le,x} cleandns_b{le,x} cleandns_c",
        ),
        ("cleandns_a / on (x) group_left () cleandns_b", "cleandns_a{x} cleandns_b{x}"),
    ] {
        let shown = |used: &Use| {
            let labels: Vec<&str> = used.labels.iter().map(String::as_str).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            format!("{}{}{labels}", if used.is_of_growth { "+" } else { "" }, used.name)
        };
        let found: Vec<String> = uses(expression).iter().map(shown).collect();
        assert_eq!(found.join(" "), expected, "{expression}");
    }
}
