//! What is told of recorded queries.

use super::*;
use notify::{Event, EventKind, RecursiveMode, Watcher, event::AccessKind};
use std::sync::{Arc, Mutex};

/// Asks a running server for names, and waits until that is recorded.
fn record(place: &Place, names: &[&str]) {
    for name in names {
        place.run(&["query", name]);
    }
    let database = place.path("state/queries.db");
    until("the queries to be recorded", || {
        let count = |database: &Path| {
            let mut count = 0;
            let mut reader = cleandns::query_log::sqlite::Reader::open(database).ok()?;
            reader.for_each(0, i64::MAX, |_| count += 1).ok()?;
            Some(count)
        };
        count(&database) == Some(names.len())
    });
}

#[test]
fn rules_that_differ_are_told_with_whom_they_would_have_hit() {
    let (place, _serving) = Place::serve("");
    record(&place, &["a.new.example", "b.new.example", "a.new.example", "blocked.example", "other.example"]);
    write_list(&place.path("after.list"), &["new.example", "unasked.example", "@pass.blocked.example"]);
    let files = ["lists/blocking.list", "after.list"].map(|file| place.path(file).display().to_string());
    let ended = place.run(&["lists", "diff", &files[0], &files[1], "--asked", "1d"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let service = "after";
    has(
        &ended.stdout,
        &[
            "of 5 queries recorded since ",
            &format!("{service}: 2 new rules match 3 queries for 2 names by 1 clients"),
            &format!("{service}: 1 removed rules match 1 queries for 1 names by 1 clients"),
        ],
    );
    let ended = place.run(&["lists", "diff", &files[0], &files[1], "--asked", "soon"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
}

#[test]
fn a_report_tells_what_was_asked_in_a_time() {
    let (place, _serving) = Place::serve("[query_log.json]\nto = \"queries.json\"\n");
    record(&place, &["www.blocked.example", "blocked.example", "pass.blocked.example", "other.example"]);
    for source in ["state/queries.db", "queries.json"] {
        let source = place.path(source).display().to_string();
        let report = |more: &[&str]| {
            let ended = place.run(&[&["report", "--format", "json", "--source", &source], more].concat());
            assert_eq!(ended.code, Some(0), "{ended:?}");
            serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
        };
        let totals = &report(&[])["totals"];
        assert_eq!((&totals["queries"], &totals["blocked"]["part"]), (&4.into(), &2.into()), "{source}");
        assert_eq!(totals["excepted"]["part"], 1, "{source}");
        assert_eq!(report(&["--from", "2d", "--to", "1d"])["totals"]["queries"], 0, "{source}");
        assert_eq!(report(&["--client", "127.0.0.1"])["totals"]["queries"], 4, "{source}");
        assert_eq!(report(&["--client", "127.0.0.2"])["totals"]["queries"], 0, "{source}");
        assert_eq!(report(&["--program", "test-program"])["totals"]["blocked"]["part"], 2, "{source}");
        let before = report(&["--to", "2d"]);
        assert_eq!(before["totals"]["queries"], 0, "{source}");
        assert!(
            before["from"].as_str() < before["to"].as_str(),
            "the time asked for, though nothing was recorded then"
        );
        // The database knows how clients were kept, lines of JSON don't.
        let privacy = if source.ends_with(".db") { serde_json::json!(["full"]) } else { serde_json::json!([]) };
        let whole = report(&[]);
        assert_eq!(whole["privacy"], privacy, "{source}");
        let instance = whole["instance"].as_str().unwrap();
        assert_eq!(report(&["--instance", instance])["totals"]["queries"], 4, "{source}");
    }
    let (page, lines) =
        (place.path("report.html").display().to_string(), place.path("queries.json").display().to_string());
    assert_eq!(place.run(&["report", "--format", "html", "--output", &page]).code, Some(0));
    has(&fs::read_to_string(&page).unwrap(), &["<!doctype html>", "blocked.example", "</html>"]);
    for (more, code, why) in [
        (&["--from", "yesterday"][..], 64, "--from: `yesterday` is no time"),
        (&["--from", "1d", "--to", "2d"], 64, "--from is not before --to"),
        (&["--source", "nowhere.db"], 1, "nowhere.db"),
        (
            &["--source", "clickhouse"],
            78,
            "--source clickhouse: no server is configured; set url in [query_log.clickhouse]",
        ),
        (&["--format", "pdf"], 64, "pdf"),
        (&["--program", "other"], 64, "--program: there is no program other"),
        (&["--instance", "another"], 64, "has what one server recorded, "),
        (&["--source", &lines, "--instance", "another"], 1, "holds no recorded queries of another"),
        (&["--format", "export-csv", "--client", "127.0.0.1"], 64, "--client: an export of one client"),
        (&["--format", "export-csv", "--from", "1h"], 64, "an export is of whole days (UTC) that are over"),
    ] {
        let ended = place.run(&[&["report"], more].concat());
        assert_eq!(ended.code, Some(code), "{more:?}: {ended:?}");
        has(&ended.stderr, &[why]);
    }
}

/// An export tells aggregates of what is recorded, and lists say nothing of that: so they aren't even opened.
#[test]
fn an_export_reads_no_list() {
    let (place, serving) = Place::serve("");
    record(&place, &["www.blocked.example"]);
    drop(serving);
    let opened = Arc::new(Mutex::new(Vec::new()));
    let names = opened.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(Event { kind: EventKind::Access(AccessKind::Open(_)), paths, .. }) = event else { return };
        names.lock().unwrap().extend(paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())));
    })
    .unwrap();
    let lists = place.path("lists");
    watcher.watch(&lists, RecursiveMode::NonRecursive).unwrap();
    for (format, program) in [("export-jsonl", None), ("export-csv", Some("test-program"))] {
        let program = program.map_or_else(Vec::new, |program| vec!["--program", program]);
        let ended = place.run(&[&["report", "--format", format, "--k", "0"], &*program].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        has(&ended.stdout, &["blocked.example"]);
    }
    // Events come in their order.
    fs::read(lists.join("idle.list")).unwrap();
    let saw = |name: &str| opened.lock().unwrap().iter().any(|opened| opened == name);
    until("this test itself to be seen", || saw("idle.list"));
    assert!(!saw("blocking.list"), "the exports read it");
    assert_eq!(place.run(&["report"]).code, Some(0));
    until("a report to have read it", || saw("blocking.list"));
}
