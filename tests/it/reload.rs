//! Lists change on disk while questions are asked, in every way that real systems change files: within a second the
//! change is in force, and no question is lost or answered by two policies. What became useless changes nothing.
//!
//! Questions have the type ANY here: a name that passes is then answered at once, without anything being resolved.

mod beside;
mod configured;
mod files;
mod kept;
mod scene;
mod writers;

use crate::{
    harness::{Answer, Ask, DEADLINE, Server, eventually, folder, list_text, measured, start, write_list},
    internet::Internet,
};
use cleandns::dns::{Rcode, RrType};
use scene::{HalfWriter, Probe, Scene, new_text, replaced};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    net::{SocketAddr, UdpSocket},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Blocked by the list that is changed, before and after: questions for it never stop.
const STEADY: &str = "steady.example";
/// Blocked before, and by the list that is changed.
const OLD: &str = "old.example";
/// Blocked after.
const NEW: &str = "new.example";
/// Never blocked, and answered without asking anybody.
const PASSING: &str = "localhost";

/// What the product promises is one second after the writer is done. Machines that run tests are noisy, so what is
/// asserted is this, and what was measured is printed.
const PROMISE_AND_NOISE: Duration = Duration::from_secs(3);
/// How long the owner waits at most for what he promised himself nothing for, such as a deletion.
const PATIENCE: Duration = Duration::from_secs(6);
/// No answer after so long is a lost one.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// How long a file of a folder must be gone to count as deleted.
const DELETED_AFTER: Duration = Duration::from_secs(2);

// ---- The ways ------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edited_in_place() {
    replaced("truncate and write", |list| fs::write(list, new_text()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appended() {
    for configured in ["lists/a.list", "lists"] {
        let scene = Scene::start(configured).await;
        let mut file = OpenOptions::new().append(true).open(scene.path("lists/a.list")).unwrap();
        writeln!(file, "{NEW}").unwrap();
        drop(file);
        scene.in_time(&format!("append, {configured}"), NEW);
        assert!(scene.is_blocked(OLD));
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn written_new_and_renamed() {
    replaced("rename within the folder", |list| {
        let new = list.with_file_name(".a.list.new");
        fs::write(&new, new_text()).unwrap();
        fs::rename(new, list).unwrap();
    })
    .await;
    replaced("rename from elsewhere", |list| {
        let new = list.parent().unwrap().with_file_name("download");
        fs::write(&new, new_text()).unwrap();
        fs::rename(new, list).unwrap();
    })
    .await;
    // As vim does with `backupcopy=no`, and others with a backup beside the file.
    replaced("backup and new file", |list| {
        fs::rename(list, list.with_file_name("a.list~")).unwrap();
        fs::write(list, new_text()).unwrap();
        fs::remove_file(list.with_file_name("a.list~")).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_and_as_old_as_before() {
    // `cp -p`, rsync and tar set the time of modification back; only the change and the inode tell.
    replaced("rename with an old time", |list| {
        let new = list.with_file_name(".a.list.new");
        fs::write(&new, new_text()).unwrap();
        let modified = list.metadata().unwrap().modified().unwrap();
        OpenOptions::new().write(true).open(&new).unwrap().set_modified(modified).unwrap();
        fs::rename(new, list).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_and_recreated() {
    for pause in [Duration::ZERO, Duration::from_millis(600), Duration::from_millis(1500)] {
        // The load would notice a moment in which STEADY passes.
        replaced(&format!("delete, {pause:?}, recreate"), |list| {
            fs::remove_file(list).unwrap();
            thread::sleep(pause);
            fs::write(list, new_text()).unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_added_to_a_folder() {
    let scene = Scene::start("lists").await;
    write_list(&scene.path("lists/b.list"), &[NEW]);
    scene.in_time("add a file", NEW);
    // By a rename, by a link, and with each of the endings.
    for (index, ending) in ["txt", "hosts", "rpz", "zone", "list"].into_iter().enumerate() {
        let name = format!("added{index}.example");
        write_list(&scene.path("new"), &[&name]);
        fs::rename(scene.path("new"), scene.path(&format!("lists/added{index}.{ending}"))).unwrap();
        scene.in_time(&format!("add a file ({ending})"), &name);
    }
    write_list(&scene.path("linked"), &["linked.example"]);
    symlink(scene.path("linked"), scene.path("lists/linked.list")).unwrap();
    scene.in_time("add a link", "linked.example");
    write_list(&scene.path("linked"), &["linked2.example"]);
    scene.in_time("edit what a link leads to", "linked2.example");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_folder_is_deleted() {
    let scene = Scene::start("lists").await;
    write_list(&scene.path("lists/b.list"), &[NEW]);
    scene.in_time("add a file", NEW);
    let deleted = Instant::now();
    fs::remove_file(scene.path("lists/b.list")).unwrap();
    scene.until(NEW, false);
    let took = deleted.elapsed();
    measured(&format!("reload: delete a file of a folder: {took:?}"));
    assert!((DELETED_AFTER..PATIENCE).contains(&took), "gone after {took:?}");
    assert!(scene.is_blocked(OLD));
    assert_eq!(scene.list_reasons("b.list").await, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_links_of_a_config_map_are_swapped() {
    for configured in ["lists/a.list", "lists"] {
        let folder = folder();
        let lists = folder.path().join("lists");
        fs::create_dir_all(lists.join("..v0")).unwrap();
        fs::write(lists.join("..v0/a.list"), list_text(&[STEADY, OLD])).unwrap();
        symlink("..v0", lists.join("..data")).unwrap();
        symlink("..data/a.list", lists.join("a.list")).unwrap();
        let scene = Scene::start_in(folder, configured).await;
        // Twice: the second time only a watch that followed the first swap sees it.
        for round in 1..=2 {
            let version = format!("..v{round}");
            fs::create_dir(lists.join(&version)).unwrap();
            let name = format!("round{round}.example");
            fs::write(lists.join(&version).join("a.list"), list_text(&[STEADY, &name])).unwrap();
            symlink(&version, lists.join("..data_tmp")).unwrap();
            fs::rename(lists.join("..data_tmp"), lists.join("..data")).unwrap();
            fs::remove_dir_all(lists.join(format!("..v{}", round - 1))).unwrap();
            scene.in_time(&format!("ConfigMap swap {round}, {configured}"), &name);
            assert!(!scene.is_blocked(OLD));
        }
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_replaced_by_a_rename() {
    replace_folder("lists").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_a_named_file_is_replaced_by_a_rename() {
    replace_folder("lists/a.list").await;
}

async fn replace_folder(configured: &str) {
    let scene = Scene::start(configured).await;
    let (lists, next) = (scene.path("lists"), scene.path("next"));
    fs::create_dir(&next).unwrap();
    fs::write(next.join("a.list"), new_text()).unwrap();
    fs::rename(&lists, scene.path("before")).unwrap();
    fs::rename(&next, &lists).unwrap();
    scene.in_time(&format!("folder replaced, {configured}"), NEW);
    assert!(!scene.is_blocked(OLD));
    // The folder that is watched now is the new one.
    fs::write(lists.join("a.list"), list_text(&[STEADY, "later.example"])).unwrap();
    scene.in_time(&format!("edit in the new folder, {configured}"), "later.example");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_folder() {
    for configured in ["lists/a.list", "lists"] {
        let folder = folder();
        for (version, rule) in [("real1", OLD), ("real2", "second.example")] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("a.list"), list_text(&[STEADY, rule])).unwrap();
        }
        symlink("real1", folder.path().join("lists")).unwrap();
        let scene = Scene::start_in(folder, configured).await;
        fs::write(scene.path("real1/a.list"), new_text()).unwrap();
        scene.in_time(&format!("edit in a linked folder, {configured}"), NEW);
        symlink("real2", scene.path("link")).unwrap();
        fs::rename(scene.path("link"), scene.path("lists")).unwrap();
        scene.in_time(&format!("swap a folder's link, {configured}"), "second.example");
        fs::write(scene.path("real2/a.list"), list_text(&[STEADY, "third.example"])).unwrap();
        scene.in_time(&format!("edit behind the new link, {configured}"), "third.example");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files_are_rewritten_at_once() {
    let folder = folder();
    let lists = folder.path().join("lists");
    fs::create_dir(&lists).unwrap();
    write_list(&lists.join("a.list"), &[STEADY, OLD]);
    let file = |index: usize| lists.join(format!("f{index}.list"));
    (0..50).for_each(|index| write_list(&file(index), &[&format!("before{index}.example")]));
    let scene = Scene::start_in(folder, "lists").await;
    scene.until("before49.example", true);
    let epoch = scene.settled_epoch();
    for index in 0..50 {
        // As git does: gone, then there again.
        fs::remove_file(file(index)).unwrap();
        write_list(&file(index), &[&format!("after{index}.example")]);
    }
    scene.in_time("rewrite of 50 files", "after49.example");
    for index in 0..50 {
        scene.until(&format!("after{index}.example"), true);
        assert!(!scene.is_blocked(&format!("before{index}.example")));
    }
    let reloads = scene.settled_epoch() - epoch;
    measured(&format!("reload: 50 files rewritten: {reloads} reloads"));
    assert!(reloads <= 3, "{reloads} reloads");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_are_one_reload() {
    let scene = Scene::start("lists").await;
    let epoch = scene.settled_epoch();
    for round in 0..200 {
        fs::write(scene.path("lists/a.list"), list_text(&[STEADY, &format!("round{round}.example")])).unwrap();
    }
    scene.in_time("200 writes in a row", "round199.example");
    let reloads = scene.settled_epoch() - epoch;
    measured(&format!("reload: 200 writes in a row: {reloads} reloads"));
    assert!(reloads <= 3, "{reloads} reloads");
    scene.end().await;
}

// ---- Writers that are not done -------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_can_be_asked_for() {
    let scene = Scene::start("lists").await;
    let (epoch, reloads) = (scene.settled_epoch(), scene.reloads().await);
    scene.server.running.reload();
    eventually("a reload", || async { scene.reloads().await > reloads }).await;
    assert_eq!(scene.epoch(), epoch, "nothing changed, so the policy is the same");
    scene.write_unheard(&new_text());
    scene.server.running.reload();
    scene.in_time("asked for", NEW);
    assert!(!scene.is_blocked(OLD));
    scene.end().await;
}

/// As on NFS and some mounts of containers: nobody says that a file changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_event_tells_of_is_seen_all_the_same() {
    for configured in ["lists/a.list", "lists"] {
        let scene = Scene::start(configured).await;
        scene.write_unheard(&new_text());
        let took = scene.until(NEW, true);
        measured(&format!("reload: change without events, {configured}: {} ms", took.as_millis()));
        assert!(took < Duration::from_secs(5) + PROMISE_AND_NOISE, "{took:?}");
        assert!(!scene.is_blocked(OLD));
        scene.end().await;
    }
}

/// The list blocks now the name asked, now the name it leads to: whichever policy answers blocks the question. Only
/// one answered by two of them would pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_answered_by_one_policy() {
    const QUESTION: &str = "alias-out.signed.org";
    let internet = Internet::start().await;
    let folder = folder();
    let list = folder.path().join("a.list");
    // The line in the explanation tells the two apart.
    let texts = ["#! cleandns\n=alias-out.signed.org\n", "#! cleandns\n# other\n=www.target.org\n"];
    fs::write(&list, texts[0]).unwrap();
    let server = start(folder, Some(&internet), "[[program]]\nname = \"p\"\nlists = [{ path = \"a.list\" }]\n").await;
    let stop = Arc::new(AtomicBool::new(false));
    let askers: Vec<JoinHandle<[u64; 2]>> = (0..3)
        .map(|_| {
            let (address, stop) = (server.dns(), stop.clone());
            thread::spawn(move || {
                let probe = Probe::new(address);
                let mut by_line = [0u64; 2];
                while !stop.load(Relaxed) {
                    let answer = probe.ask(QUESTION, RrType::A).expect("an answer");
                    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15), "{answer:?}");
                    match answer.ede.unwrap().text.as_str() {
                        "p/a a.list:2" => by_line[0] += 1,
                        "p/a a.list:3" => by_line[1] += 1,
                        other => panic!("neither line: {other}"),
                    }
                }
                by_line
            })
        })
        .collect();
    let epoch = || server.running.published.status.load().epoch;
    for round in 1..=200 {
        let (before, new) = (epoch(), list.with_file_name(".new"));
        fs::write(&new, texts[round % 2]).unwrap();
        fs::rename(&new, &list).unwrap();
        server.running.reload();
        eventually("the next policy", || async { epoch() > before }).await;
    }
    stop.store(true, Relaxed);
    let counts: Vec<[u64; 2]> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
    measured(&format!("reload: 200 swaps, answers by each of the two policies: {counts:?}"));
    assert!((0..2).all(|line| counts.iter().any(|count| count[line] > 0)), "{counts:?}");
    server.running.stop().await;
}
