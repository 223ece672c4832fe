//! Others come in the place of sinks, or don't.

use super::*;
use crate::{
    config::JsonTarget,
    dns::Transport,
    query::QueryRecord,
    query_log::{Packing, Writing},
};
use std::{fs, net::IpAddr, time::Instant};

fn lines(path: PathBuf, bytes: u64) -> config::QueryLog {
    config::QueryLog {
        database: None,
        keep: Duration::ZERO,
        keep_sums: Duration::ZERO,
        bytes: 0,
        privacy: config::Privacy::Full,
        answers: true,
        instance: "a".to_owned(),
        json: Some(JsonLines { to: JsonTarget::File(path), bytes, files: 2 }),
        dnstap: None,
        clickhouse: None,
    }
}

fn start(config: &config::QueryLog) -> (Arc<QueryLog>, Writing) {
    let (log, writing) = QueryLog::start(config, &Privacy::new(config.privacy), None, Arc::default(), None).unwrap();
    writing.begin();
    (log, writing)
}

fn push(log: &QueryLog) {
    let client: IpAddr = "192.0.2.77".parse().unwrap();
    log.place().push(&QueryRecord::new(client, Transport::Udp, Instant::now()), &Packing::default());
}

fn change(log: &Arc<QueryLog>, config: &config::QueryLog) {
    log.prepare(config, None).unwrap().put_in_force();
}

/// The counts of the one sink there is.
fn counts(log: &QueryLog) -> Arc<drain::SinkCounts> {
    let counts = log.counts.load();
    assert_eq!(counts.len(), 1);
    counts[0].clone()
}

#[test]
fn each_row_goes_where_it_was_meant_to_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let first = lines(path("a.json"), 1 << 20);
    let (log, writing) = start(&first);
    let counted = counts(&log);
    push(&log);
    // The same again disturbs nothing.
    change(&log, &first);
    push(&log);
    // The same file by other bounds, told otherwise: numbers go on.
    let private = config::QueryLog { privacy: config::Privacy::Prefix, ..lines(path("a.json"), 2 << 20) };
    change(&log, &private);
    assert!(Arc::ptr_eq(&counts(&log), &counted));
    push(&log);
    change(&log, &lines(path("b.json"), 2 << 20));
    push(&log);
    assert!(log.is_wanted());
    change(&log, &config::QueryLog { json: None, ..first });
    assert!(!log.is_wanted() && log.counts().is_empty());
    push(&log);
    writing.stop();
    let clients = |name: &str| {
        let text = fs::read_to_string(path(name)).unwrap();
        let client = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["client"].as_str().unwrap().to_owned()
        };
        text.lines().map(client).collect::<Vec<_>>()
    };
    assert_eq!(clients("a.json"), ["192.0.2.77", "192.0.2.77", "192.0.2.0/24"]);
    assert_eq!(clients("b.json"), ["192.0.2.77"]);
    let written = counted.now(super::super::rings::Dropped::default()).queries.unwrap();
    assert_eq!((written.written, written.dropped), (4, 0));
}

#[test]
fn what_is_not_put_in_force_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (log, writing) = start(&lines(path("a.json"), 1 << 20));
    let counted = counts(&log);
    drop(log.prepare(&lines(path("b.json"), 1 << 20), None).unwrap());
    let error = log.prepare(&lines(path("nowhere/c.json"), 1 << 20), None).err().unwrap().to_string();
    assert!(error.starts_with("query_log.json.to: "), "{error}");
    assert!(Arc::ptr_eq(&counts(&log), &counted));
    push(&log);
    writing.stop();
    assert_eq!(fs::read_to_string(path("a.json")).unwrap().lines().count(), 1);
    assert_eq!(fs::read_to_string(path("b.json")).unwrap(), "");
}
