//! What is told of recorded queries.

use super::*;

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
