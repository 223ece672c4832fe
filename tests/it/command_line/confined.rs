//! What the process has given up when it serves, and what works all the same.

use super::*;
use std::os::unix::fs::symlink;

/// Waits until the server blocks a name.
pub fn until_blocked(place: &Place, name: &str) {
    until(name, || place.run(&["query", name]).stdout.contains("NXDOMAIN"));
}

#[test]
fn files_and_calls_are_out_of_reach() {
    let elsewhere = folder();
    write_list(&elsewhere.path().join("far.list"), &["far.example"]);
    for (extra, is_in_reach) in [
        (String::new(), false),
        (format!("[process]\nread = [\"{}\"]\n", elsewhere.path().display()), true),
        ("[process]\nsandbox = false\n".to_owned(), true),
    ] {
        let (place, serving) = Place::serve(&extra);
        let status = fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
        let is_off = extra.contains("sandbox = false");
        let (no_new, filters) =
            if is_off { ("NoNewPrivs:\t0", "Seccomp:\t0") } else { ("NoNewPrivs:\t1", "Seccomp:\t2") };
        has(&status, &[no_new, filters]);
        let said = serving.stderr.text();
        match is_off {
            true => has(&said, &["[process] sandbox is off"]),
            false => has(&said, &["and no others (Landlock", "system calls are refused (seccomp)"]),
        }
        // Every thread is within the same bounds; those that do a piece of work may have done it meanwhile.
        let tasks = fs::read_dir(format!("/proc/{}/task", serving.child.id())).unwrap();
        let statuses: Vec<String> =
            tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok()).collect();
        assert!(statuses.len() > 3, "{statuses:?}");
        statuses.iter().for_each(|status| has(status, &[no_new, filters]));
        symlink(elsewhere.path().join("far.list"), place.path("lists/far.list")).unwrap();
        write_list(&place.path("lists/near.list"), &["near.example"]);
        until_blocked(&place, "near.example");
        match is_in_reach {
            true => until_blocked(&place, "far.example"),
            false => until("the trouble", || {
                place.run(&["lists", "status"]).stdout.contains("far.list\n  ! it can't be read: Permission denied")
            }),
        }
    }
}

/// Whatever way lists are replaced, they are read; what is recorded is written.
#[test]
fn lists_are_followed_and_queries_recorded() {
    let place = Place::new("");
    let json = place.path("log/queries.jsonl");
    fs::create_dir(place.path("log")).unwrap();
    // A list behind links, as a deployment by versions and a ConfigMap have it.
    for version in ["v1", "v2"] {
        fs::create_dir_all(place.path(&format!("releases/{version}/lists"))).unwrap();
        let rule = format!("{version}.example");
        write_list(&place.path(&format!("releases/{version}/lists/versions.list")), &[&rule]);
    }
    symlink("releases/v1", place.path("current")).unwrap();
    fs::create_dir_all(place.path("map/..v1")).unwrap();
    write_list(&place.path("map/..v1/map.list"), &["map1.example"]);
    symlink("..v1", place.path("map/..data")).unwrap();
    symlink("..data/map.list", place.path("map/map.list")).unwrap();
    fs::create_dir(place.path("swapped")).unwrap();
    write_list(&place.path("swapped/a.list"), &["swapped1.example"]);
    place.configure(&format!(
        "[query_log.json]\nto = \"{}\"\n[[program]]\nname = \"more\"\nlists = [{{ path = \"current/lists/versions.list\" }}, \
         {{ path = \"map\" }}, {{ path = \"swapped\" }}]\n",
        json.display()
    ));
    let mut serving = Serving::start(place.command(&[])).expect("the ports were taken");
    ["v1.example", "map1.example", "swapped1.example"].iter().for_each(|name| until_blocked(&place, name));

    symlink("releases/v2", place.path("next")).unwrap();
    fs::rename(place.path("next"), place.path("current")).unwrap();
    until_blocked(&place, "v2.example");
    fs::create_dir(place.path("map/..v2")).unwrap();
    write_list(&place.path("map/..v2/map.list"), &["map2.example"]);
    symlink("..v2", place.path("map/..next")).unwrap();
    fs::rename(place.path("map/..next"), place.path("map/..data")).unwrap();
    until_blocked(&place, "map2.example");
    fs::create_dir(place.path("new")).unwrap();
    write_list(&place.path("new/a.list"), &["swapped2.example"]);
    fs::rename(place.path("swapped"), place.path("old")).unwrap();
    fs::rename(place.path("new"), place.path("swapped")).unwrap();
    until_blocked(&place, "swapped2.example");

    assert_eq!(place.run(&["pause", "--for", "1m"]).code, Some(0));
    assert_eq!(place.run(&["pause", "--end"]).code, Some(0));
    until("lines of JSON", || fs::read_to_string(&json).is_ok_and(|text| text.contains("swapped2.example")));
    // What is read of the system is within reach: without it these would be gone.
    let page =
        ureq::get(format!("http://{}/metrics", place.admin)).call().unwrap().body_mut().read_to_string().unwrap();
    for metric in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(page.lines().any(|line| line.starts_with(metric)), "no {metric}");
    }
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    for file in ["state/queries.db", "state/lists"] {
        assert!(place.path(file).exists(), "{file}");
    }
    let said = serving.stderr.text();
    assert!(!said.to_lowercase().contains("denied") && !said.contains("not permitted"), "{said}");
}

#[test]
fn who_is_not_root_can_become_nobody_else() {
    let place = Place::new("[process]\nuser = \"no-such-user\"\n");
    let ended = place.run(&[]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["process.user: there is no user no-such-user", "useradd"]);
}
