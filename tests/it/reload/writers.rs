//! Files that are being written: half of one is never in force.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_file_is_never_in_force() {
    for configured in ["lists/a.list", "lists"] {
        let scene = Scene::start(configured).await;
        let epoch = scene.settled_epoch();
        let mut writer = HalfWriter::begin(&scene.path("lists/a.list"));
        scene.during(Duration::from_millis(600), |scene| scene.assert_half_unseen(epoch));
        writer.finish();
        scene.in_time(&format!("slow writer, {configured}"), NEW);
        assert!(!scene.is_blocked(OLD));
        scene.end().await;
    }
}

/// The look every five seconds, for file systems without events, must not see what events say is not finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_file_is_never_in_force_however_long_it_takes() {
    let scene = Scene::start("lists").await;
    let epoch = scene.settled_epoch();
    let mut writer = HalfWriter::begin(&scene.path("lists/a.list"));
    for _ in 0..2 {
        scene.during(Duration::from_secs(4), |scene| scene.assert_half_unseen(epoch));
        writer.go_on();
    }
    writer.finish();
    scene.in_time("very slow writer", NEW);
    scene.end().await;
}

/// Neither must a reload that somebody asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_file_is_never_in_force_when_a_reload_is_asked_for() {
    let scene = Scene::start("lists").await;
    scene.settled_epoch();
    let reloads = scene.reloads().await;
    let mut writer = HalfWriter::begin(&scene.path("lists/a.list"));
    // Until the write was heard of; nothing outside tells when.
    thread::sleep(Duration::from_millis(100));
    scene.server.running.reload();
    eventually("the reload", || async { scene.reloads().await > reloads }).await;
    assert!(scene.is_blocked(OLD) && !scene.is_blocked("half.example"), "half a file came into force");
    writer.finish();
    scene.in_time("reload asked for while a file is written", NEW);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_is_read_when_it_is_finished() {
    let scene = Scene::start("lists").await;
    let path = scene.path("lists/b.list");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"#! cleandns\nhalf.example\n").unwrap();
    scene.during(Duration::from_millis(600), |scene| assert!(!scene.is_blocked("half.example")));
    file.write_all(format!("{NEW}\n").as_bytes()).unwrap();
    drop(file);
    scene.in_time("slowly written new file", NEW);
    scene.end().await;
}

/// A slow writer of one list holds up no other list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_writer_holds_up_its_own_list_alone() {
    held_up_by("lists/slow.list", "b.example\n").await;
}

/// Nor does something else that is written all the time where lists are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_beside_lists_holds_up_none() {
    held_up_by("lists/updates.log", "fetched\n").await;
}

async fn held_up_by(busy: &str, line: &'static str) {
    let scene = Scene::start("lists").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut file = File::create(scene.path(busy)).unwrap();
    file.write_all(b"#! cleandns\n").unwrap();
    let stopped = stop.clone();
    let writer = thread::spawn(move || {
        while !stopped.load(Relaxed) {
            file.write_all(line.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(300));
        }
    });
    fs::write(scene.path("lists/.new"), new_text()).unwrap();
    fs::rename(scene.path("lists/.new"), scene.path("lists/a.list")).unwrap();
    let took = scene.until(NEW, true);
    stop.store(true, Relaxed);
    writer.join().unwrap();
    scene.promised(&format!("rename while {busy} is written"), took);
    scene.end().await;
}

// ---- What becomes useless ------------------------------------------------------------------------------------------
