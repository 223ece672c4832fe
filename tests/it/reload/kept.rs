//! What became useless, or is no list, changes nothing.

use super::*;

/// What may stand in a list's place, and what is said of it.
const USELESS: [(&str, &[u8], &str); 8] = [
    ("empty", b"", "it is empty"),
    ("blank", b" \n\n\t\n", "it is empty"),
    ("only comments", b"#! cleandns\n#: service: x\n# nothing\n", "only comments"),
    ("NULs", b"#! cleandns\na.example\n\0\0\0\0\0\0", "binary"),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\xd4\x4b\xad\x48\xcc\x2d\xc8\x49\x05\x00", "binary"),
    ("a web page", b"<!DOCTYPE html>\n<html><body>\nlogin.example\n</body></html>\n", "web page"),
    ("a web page without a doctype", b"\n\n <HTML><head><title>502</title></head></HTML>\n", "web page"),
    ("no rule", b"#! cleandns\n((nonsense))\n!!\ntwo words\n", "valid rule"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_useless_changes_nothing() {
    for configured in ["lists/a.list", "lists"] {
        let mut scene = Scene::start(configured).await;
        let list = scene.path("lists/a.list");
        for (round, (kind, text, reason)) in USELESS.into_iter().enumerate() {
            fs::write(&list, text).unwrap();
            scene.held(kind, reason).await;
            let name = format!("repaired{round}.example");
            fs::write(&list, list_text(&[STEADY, OLD, &name])).unwrap();
            scene.healed(kind, &name).await;
        }
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_changes_nothing() {
    let mut scene = Scene::start("lists/a.list").await;
    let list = scene.path("lists/a.list");
    for (round, (kind, spoil)) in SPOILT.into_iter().enumerate() {
        fs::remove_file(&list).unwrap();
        spoil(&list);
        scene.held(kind, "can't be read").await;
        remove(&list);
        let name = format!("repaired{round}.example");
        write_list(&list, &[STEADY, OLD, &name]);
        scene.healed(kind, &name).await;
    }
    // The very same text again: it heals too, although no rule changes.
    fs::write(&list, "").unwrap();
    scene.held("emptied", "it is empty").await;
    write_list(&list, &[STEADY, OLD, "repaired2.example"]);
    scene.healed("the same text again", "repaired2.example").await;
    scene.end().await;
}

/// Puts something in a file's place.
type Spoil = fn(&Path);

/// What nobody can read, root included.
const SPOILT: [(&str, Spoil); 3] = [
    ("a folder in its place", |list| fs::create_dir(list).unwrap()),
    ("a link to nowhere", |list| symlink("/nowhere/at/all", list).unwrap()),
    ("gone", |_| ()),
];

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// In a folder too a link to nowhere is a list that can't be read, not one that was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_nowhere_in_a_folder_changes_nothing() {
    let mut scene = Scene::start("lists").await;
    let list = scene.path("lists/a.list");
    fs::remove_file(&list).unwrap();
    symlink("/nowhere/at/all", &list).unwrap();
    scene.held("a link to nowhere", "can't be read").await;
    scene.during(DELETED_AFTER + Duration::from_secs(1), |scene| assert!(scene.is_blocked(OLD)));
    fs::remove_file(&list).unwrap();
    write_list(&list, &[STEADY, OLD, NEW]);
    scene.healed("a link to nowhere", NEW).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_file_never_counts_as_deleted() {
    let mut scene = Scene::start("lists/a.list").await;
    let list = scene.path("lists/a.list");
    fs::remove_file(&list).unwrap();
    scene.held("deleted", "can't be read").await;
    scene.during(DELETED_AFTER + Duration::from_secs(1), |scene| assert!(scene.is_blocked(OLD)));
    // With its folder, too.
    fs::remove_dir(scene.path("lists")).unwrap();
    scene.during(DELETED_AFTER + Duration::from_secs(1), |scene| assert!(scene.is_blocked(OLD)));
    fs::create_dir(scene.path("lists")).unwrap();
    write_list(&list, &[STEADY, OLD, NEW]);
    scene.healed("deleted with its folder", NEW).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_vanished_changes_nothing() {
    let mut scene = Scene::start("lists").await;
    for (round, vanish) in [(|lists: &Path| fs::remove_dir_all(lists).unwrap()) as fn(&Path), |lists| {
        fs::rename(lists, lists.with_file_name("elsewhere")).unwrap()
    }]
    .into_iter()
    .enumerate()
    {
        let lists = scene.path("lists");
        vanish(&lists);
        scene.until_reason("the folder can't be read").await;
        scene.during(DELETED_AFTER + Duration::from_secs(1), |scene| assert!(scene.is_blocked(OLD)));
        fs::create_dir(&lists).unwrap();
        let name = format!("back{round}.example");
        write_list(&lists.join("a.list"), &[STEADY, OLD, &name]);
        scene.healed("folder vanished", &name).await;
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_may_be_allowed() {
    let folder = folder();
    write_list(&folder.path().join("steady.list"), &[STEADY]);
    write_list(&folder.path().join("a.list"), &[OLD]);
    let lists = r#"[{ path = "steady.list" }, { path = "a.list", allow_empty = true }]"#;
    let scene = Scene::start_with(folder, lists).await;
    let list = scene.path("a.list");
    for text in ["", "#! cleandns\n# nothing today\n"] {
        fs::write(&list, text).unwrap();
        scene.until(OLD, false);
        assert_eq!(scene.list_reasons("a.list").await, Vec::<String>::new());
        write_list(&list, &[OLD]);
        scene.until(OLD, true);
    }
    // What is useless in another way is useless all the same.
    fs::write(&list, "<html></html>").unwrap();
    eventually("held", || async { !scene.list_reasons("a.list").await.is_empty() }).await;
    assert!(scene.is_blocked(OLD));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_never_counts() {
    let scene = Scene::start("lists").await;
    let leftovers = [
        "README.txt",
        "readme.list",
        "README",
        ".hidden.list",
        "b.list~",
        "b.list.swp",
        ".b.list.swp",
        "#b.list#",
        ".#b.list",
        "b.list.bak",
        "b.conf",
        "4913",
    ];
    for name in leftovers {
        write_list(&scene.path("lists").join(name), &["never.example"]);
    }
    // A folder in a folder, whatever its name.
    fs::create_dir(scene.path("lists/inner.list")).unwrap();
    write_list(&scene.path("lists/inner.list/c.list"), &["never.example"]);
    write_list(&scene.path("lists/z.list"), &[NEW]);
    scene.in_time("a list among leftovers", NEW);
    assert!(!scene.is_blocked("never.example"));
    // What is told of the lists follows on what they block.
    let lists = || scene.server.running.published.status.load().lists.len();
    eventually("a.list and z.list", || async { lists() == 2 }).await;
    // Nor when the server starts.
    let Server { running, folder, .. } = scene.finish().await;
    running.stop().await;
    let scene = Scene::start_in(folder, "lists").await;
    assert!(scene.is_blocked(NEW) && !scene.is_blocked("never.example"));
    scene.end().await;
}

// ---- All together --------------------------------------------------------------------------------------------------
