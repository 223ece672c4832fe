//! Lists change on disk while questions are asked, in every way that real systems change files: within a second the
//! change is in force, and no question is lost or answered by two policies. What became useless changes nothing.
//!
//! Questions have the type ANY here: a name that passes is then answered at once, without anything being resolved.

mod writers;

mod kept;

use crate::{
    harness::{Answer, Ask, DEADLINE, Server, eventually, folder, list_text, measured, start, write_list},
    internet::Internet,
};
use cleandns::dns::{Rcode, RrType};
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

// ---- How it is done ------------------------------------------------------------------------------------------------

/// The list as it is after a change.
fn new_text() -> String {
    list_text(&[STEADY, NEW])
}

/// Starts with a list of OLD, named or found in its folder, and has `change` make it one of NEW.
async fn replaced(way: &str, change: impl Fn(&Path)) {
    for configured in ["lists/a.list", "lists"] {
        let scene = Scene::start(configured).await;
        change(&scene.path("lists/a.list"));
        scene.in_time(&format!("{way}, {configured}"), NEW);
        assert!(!scene.is_blocked(OLD), "{way}, {configured}: old rules stay");
        scene.end().await;
    }
}

/// A server under load.
struct Scene {
    server: Server,
    load: Load,
    probe: Probe,
}

impl Scene {
    /// `lists/a.list` blocks STEADY and OLD; `configured` is what the configuration names.
    async fn start(configured: &str) -> Self {
        let folder = folder();
        fs::create_dir(folder.path().join("lists")).unwrap();
        write_list(&folder.path().join("lists/a.list"), &[STEADY, OLD]);
        Self::start_in(folder, configured).await
    }

    async fn start_in(folder: tempfile::TempDir, configured: &str) -> Self {
        Self::start_with(folder, &format!("[{{ path = \"{configured}\" }}]")).await
    }

    async fn start_with(folder: tempfile::TempDir, lists: &str) -> Self {
        let server = start(folder, None, &format!("[[program]]\nname = \"p\"\nlists = {lists}\n")).await;
        let (load, probe) = (Load::start(server.dns()), Probe::new(server.dns()));
        let scene = Self { server, load, probe };
        // The first look comes right after the start, without any event, and would find what a test is about to do. It
        // is over once another has been asked for and was taken; the next without an event is five seconds away.
        let reloads = scene.reloads().await;
        scene.server.running.reload();
        eventually("the look after the start", || async { scene.reloads().await > reloads }).await;
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    /// Writes the list through another name of its, in a folder that nobody watches: inotify then says nothing
    /// (inotify(7), "Limitations and caveats").
    fn write_unheard(&self, text: &str) {
        fs::create_dir_all(self.path("outside")).unwrap();
        let other_name = self.path("outside/other-name");
        fs::hard_link(self.path("lists/a.list"), &other_name).unwrap();
        // Linking is heard of, as a change of metadata: what follows must not ride on that.
        self.settled_epoch();
        fs::write(other_name, text).unwrap();
    }

    fn epoch(&self) -> u64 {
        self.server.running.published.status.load().epoch
    }

    /// Reloads so far, with or without a change.
    async fn reloads(&self) -> f64 {
        self.server.metric("cleandns_reloads_total", &[]).await
    }

    /// The epoch once nothing is left to be noticed from before: none has come for longer than a reload takes.
    fn settled_epoch(&self) -> u64 {
        let (mut epoch, mut since) = (self.epoch(), Instant::now());
        while since.elapsed() < Duration::from_millis(700) {
            thread::sleep(Duration::from_millis(5));
            if self.epoch() != epoch {
                (epoch, since) = (self.epoch(), Instant::now());
            }
        }
        epoch
    }

    fn is_blocked(&self, name: &str) -> bool {
        let answer = self.probe.ask(name, RrType::ANY).unwrap_or_else(|| panic!("no answer for {name}"));
        match (answer.rcode, answer.ede_code()) {
            (Rcode::NXDOMAIN, 15) => true,
            (Rcode::NOERROR, 0) => false,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Asks until the answer is right; returns how long that took.
    fn until(&self, name: &str, blocked: bool) -> Duration {
        let started = Instant::now();
        while self.is_blocked(name) != blocked {
            assert!(started.elapsed() < DEADLINE, "{name} never became blocked = {blocked}");
            thread::sleep(Duration::from_millis(2));
        }
        started.elapsed()
    }

    /// The writer is done: `name` is blocked as soon as promised.
    fn in_time(&self, way: &str, name: &str) {
        self.promised(way, self.until(name, true));
    }

    fn promised(&self, way: &str, took: Duration) {
        measured(&format!("reload: {way}: {} ms", took.as_millis()));
        assert!(took < PROMISE_AND_NOISE, "{way}: in force only after {took:?}");
    }

    /// Checks something over and over for a while, in which a writer does nothing.
    fn during(&self, pause: Duration, check: impl Fn(&Self)) {
        let started = Instant::now();
        while started.elapsed() < pause {
            check(self);
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn assert_half_unseen(&self, epoch: u64) {
        assert!(self.is_blocked(OLD), "the list lost what half a file doesn't have yet");
        assert!(!self.is_blocked("half.example"), "half a file is in force");
        assert_eq!(self.epoch(), epoch, "a reload while a file is being written");
    }

    /// What `/readyz` says of a list.
    async fn list_reasons(&self, list: &str) -> Vec<String> {
        let (status, body) = self.server.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let reasons = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned());
        let reasons: Vec<String> = reasons.filter(|reason| reason.contains(list)).collect();
        assert!(reasons.is_empty() || body["status"] == "degraded", "{body}");
        reasons
    }

    async fn until_reason(&self, reason: &str) {
        eventually(&format!("a reason: {reason}"), || async { !self.list_reasons(reason).await.is_empty() }).await;
    }

    /// The list is held at its last good state, and everybody is told why.
    async fn held(&mut self, kind: &str, reason: &str) {
        let path = self.path("lists/a.list").display().to_string();
        eventually(&format!("{kind}: held with a reason: {reason}"), || async {
            self.list_reasons(&path).await.iter().any(|said| said.contains(reason))
        })
        .await;
        assert!(self.is_blocked(OLD) && self.is_blocked(STEADY), "{kind}: old rules are gone");
        assert_eq!(self.server.metric("cleandns_list_healthy", &["list=\"a.list\""]).await, 0.0, "{kind}");
        let shown = self.server.get("/api/v1/lists").await.1;
        assert!(shown.contains(reason), "{kind}: {shown}");
    }

    /// The list is well again.
    async fn healed(&mut self, kind: &str, name: &str) {
        measured(&format!("reload: repaired after {kind}: {} ms", self.until(name, true).as_millis()));
        eventually(&format!("{kind}: no complaint"), || async { self.list_reasons("lists").await.is_empty() }).await;
        assert_eq!(self.server.metric("cleandns_list_healthy", &["list=\"a.list\""]).await, 1.0, "{kind}");
    }

    /// Ends the load: no question may have been lost or answered wrongly.
    async fn finish(self) -> Server {
        let tally = self.load.end();
        assert!(tally.asked > 0);
        assert_eq!((tally.lost, &tally.wrong), (0, &Vec::new()), "of {} questions", tally.asked);
        self.server
    }

    async fn end(self) {
        self.finish().await.running.stop().await;
    }
}

/// Writes a list in place, takes its time, and keeps it open meanwhile.
struct HalfWriter(Option<File>);

impl HalfWriter {
    fn begin(path: &Path) -> Self {
        let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
        file.write_all(b"#! cleandns\nhalf.example\n").unwrap();
        Self(Some(file))
    }

    fn go_on(&mut self) {
        self.0.as_mut().unwrap().write_all(b"more.example\n").unwrap();
    }

    fn finish(&mut self) {
        self.0.take().unwrap().write_all(format!("{STEADY}\n{NEW}\n").as_bytes()).unwrap();
    }
}

/// Asks one question after the other from one socket.
struct Probe(UdpSocket);

impl Probe {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        Self(socket)
    }

    /// `None` if there is no answer in time.
    fn ask(&self, name: &str, rr_type: RrType) -> Option<Answer> {
        let packet = Ask::new(name, rr_type).packet();
        let until = Instant::now() + LOST_AFTER;
        // An answer that comes too late must not be taken for the next question's.
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 512]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
        self.0.send(&packet).unwrap();
        let mut octets = vec![0; 4096];
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return None;
            }
            self.0.set_read_timeout(Some(rest)).unwrap();
            match self.0.recv(&mut octets) {
                Ok(length) if octets[12..length].starts_with(question(&packet)) => {
                    octets.truncate(length);
                    return Some(Answer::read(octets));
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The name and type in a query's question section.
fn question(packet: &[u8]) -> &[u8] {
    let end = 12 + packet[12..].iter().position(|&octet| octet == 0).unwrap() + 3;
    &packet[12..end]
}

/// Questions without end for a name that is always blocked and one that always passes.
struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

#[derive(Default)]
struct Tally {
    asked: u64,
    lost: u64,
    wrong: Vec<String>,
}

impl Load {
    fn start(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (probe, mut tally) = (Probe::new(server), Tally::default());
            while !stopped.load(Relaxed) {
                tally.ask(&probe, STEADY, RrType::A, Rcode::NXDOMAIN, 15);
                tally.ask(&probe, PASSING, RrType::A, Rcode::NOERROR, 0);
                // Leaves the processor to the reload and to other tests now and then.
                thread::sleep(Duration::from_micros(200));
            }
            tally
        });
        Self { stop, thread }
    }

    fn end(self) -> Tally {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

impl Tally {
    fn ask(&mut self, probe: &Probe, name: &str, rr_type: RrType, rcode: Rcode, ede: u16) {
        self.asked += 1;
        match probe.ask(name, rr_type) {
            None => self.lost += 1,
            Some(answer) if (answer.rcode, answer.ede_code()) == (rcode, ede) => {}
            Some(answer) if self.wrong.len() < 3 => self.wrong.push(format!("{name}: {answer:?}")),
            Some(_) => {}
        }
    }
}
