//! Lists on a share that isn't there when the server starts: copies that are kept serve until it is.

use super::{confined::until_blocked, *};

/// Lists that lie elsewhere: a folder of them, one that is required, and one of exceptions.
fn with_a_share() -> (Place, TempDir) {
    let (place, far) = (Place::new(""), folder());
    let share = far.path().join("share");
    fs::create_dir_all(share.join("lists")).unwrap();
    write_list(&share.join("lists/a.list"), &["far.example"]);
    write_list(&share.join("one.list"), &["one.example"]);
    write_list(&share.join("passed.list"), &["pass.far.example"]);
    place.configure(&format!(
        "[[program]]\nname = \"far\"\nlists = [{{ path = {:?} }}, {{ path = {:?}, required = true }}]\nexceptions = [{:?}]\n",
        share.join("lists"),
        share.join("one.list"),
        share.join("passed.list")
    ));
    (place, far)
}

/// Starts, and stops: then copies are kept.
fn ran_once(place: &Place) {
    let mut serving = Serving::start(place.command(&[])).expect("the ports were taken");
    until_blocked(place, "far.example");
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
}

fn get(place: &Place, path: &str) -> String {
    let page = ureq::get(format!("http://{}{path}", place.admin)).call();
    page.unwrap().body_mut().read_to_string().unwrap()
}

#[test]
fn a_start_goes_by_copies_of_lists_that_are_not_there() {
    let (place, far) = with_a_share();
    let (share, away) = (far.path().join("share"), far.path().join("away"));
    ran_once(&place);
    fs::rename(&share, &away).unwrap();

    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "there is no such file or folder; looked for ";
    for (option, path) in
        [("lists.path", "share/lists"), ("lists.path", "share/one.list"), ("exceptions", "share/passed.list")]
    {
        let line = ended.stdout.lines().find(|line| line.contains(path) && line.contains(told));
        let line = line.unwrap_or_else(|| panic!("no {path} in {}", ended.stdout));
        has(line, &["warning: ", "cleandns.toml:", option, "until it is back, a server goes by the last good copy"]);
    }
    has(
        &ended.stdout,
        &["one.list: unusable: it can't be read: ", "; a start goes by its last good copy", "3 lists unusable"],
    );
    assert_eq!(place.run(&["check", "--strict"]).code, Some(78));
    // Who is to tell of the lists as they are now has none.
    for args in
        [&["explain", "far.example", "--offline"][..], &["lists", "export", "--program", "far", "--format", "domains"]]
    {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{args:?}: {ended:?}");
        has(&ended.stderr, &[told]);
    }

    let serving = Serving::start(place.command(&[])).expect("the ports were taken");
    ["far.example", "one.example", "blocked.example"].iter().for_each(|name| until_blocked(&place, name));
    assert!(!place.run(&["query", "pass.far.example"]).stdout.contains("NXDOMAIN"), "exceptions are in force, too");
    has(&serving.stderr.text(), &[told, "until it is back", "its last good state stays in force"]);
    let ready = get(&place, "/readyz");
    has(&ready, &["\"degraded\"", "the folder can't be read", "one.list", "passed.list"]);
    has(&get(&place, "/"), &["the folder can", "one.list"]);
    let metrics = get(&place, "/metrics");
    let healthy = metrics.lines().filter(|line| line.starts_with("cleandns_list_healthy{") && line.contains("\"far\""));
    assert!(healthy.clone().count() == 3 && healthy.clone().all(|line| line.ends_with(" 0")), "{metrics}");

    // To be asked to read all again changes nothing of it.
    let reloads = || serving.stderr.text().matches("policy in force").count();
    let before = reloads();
    write_list(&place.path("lists/blocking.list"), &["other.example"]);
    serving.signal("-HUP");
    until("a reload", || reloads() > before);
    until_blocked(&place, "far.example");
    assert!(!serving.stderr.text().contains("is not used as it is now; the one before"), "{}", serving.stderr.text());

    // It comes back, with something new.
    fs::rename(&away, &share).unwrap();
    write_list(&share.join("lists/b.list"), &["new.example"]);
    until_blocked(&place, "new.example");
    until("nothing is told of it any more", || !get(&place, "/readyz").contains(far.path().to_str().unwrap()));
}

#[test]
fn without_a_copy_of_use_lists_that_are_not_there_are_a_mistake() {
    let (place, far) = with_a_share();
    let refused = |said: &[&str]| {
        let ended = place.run(&[]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, said);
    };
    let share = far.path().join("share");
    fs::rename(&share, far.path().join("away")).unwrap();
    refused(&["there is no such file or folder", "share/lists", "share/one.list", "share/passed.list"]);
    fs::rename(far.path().join("away"), &share).unwrap();
    ran_once(&place);
    fs::rename(&share, far.path().join("away")).unwrap();
    // Copies that something has happened to serve nobody.
    let copies: Vec<_> = fs::read_dir(place.path("state/lists")).unwrap().map(|copy| copy.unwrap().path()).collect();
    let damaged =
        |name: &str| copies.iter().filter(|copy| copy.to_str().unwrap().contains(name)).cloned().collect::<Vec<_>>();
    damaged("/passed.list.").iter().for_each(|copy| fs::write(copy, b"\0\0\0").unwrap());
    refused(&["share/passed.list: it isn't there, and no copy in the state folder is of use; put it back"]);
    // And none of them is another list's: of a folder with none left nothing is known.
    damaged("/a.list.").iter().for_each(|copy| fs::remove_file(copy).unwrap());
    refused(&["there is no such file or folder", "share/lists"]);
}
