//! How it is done: a server that is asked all the time while its lists change.

use super::*;

/// The list as it is after a change.
pub(super) fn new_text() -> String {
    list_text(&[STEADY, NEW])
}

/// Starts with a list of OLD, named or found in its folder, and has `change` make it one of NEW.
pub(super) async fn replaced(way: &str, change: impl Fn(&Path)) {
    for configured in ["lists/a.list", "lists"] {
        let scene = Scene::start(configured).await;
        change(&scene.path("lists/a.list"));
        scene.in_time(&format!("{way}, {configured}"), NEW);
        assert!(!scene.is_blocked(OLD), "{way}, {configured}: old rules stay");
        scene.end().await;
    }
}

/// A server under load.
pub(super) struct Scene {
    pub(super) server: Server,
    load: Load,
    probe: Probe,
}

impl Scene {
    /// `lists/a.list` blocks STEADY and OLD; `configured` is what the configuration names.
    pub(super) async fn start(configured: &str) -> Self {
        let folder = folder();
        fs::create_dir(folder.path().join("lists")).unwrap();
        write_list(&folder.path().join("lists/a.list"), &[STEADY, OLD]);
        Self::start_in(folder, configured).await
    }

    pub(super) async fn start_in(folder: tempfile::TempDir, configured: &str) -> Self {
        Self::start_with(folder, &format!("[{{ path = \"{configured}\" }}]")).await
    }

    pub(super) async fn start_with(folder: tempfile::TempDir, lists: &str) -> Self {
        let server = start(folder, None, &format!("[[program]]\nname = \"p\"\nlists = {lists}\n")).await;
        Self::of(server).await
    }

    /// A server that is asked all the time from now on.
    pub(super) async fn of(server: Server) -> Self {
        let (load, probe) = (Load::start(server.dns()), Probe::new(server.dns()));
        let scene = Self { server, load, probe };
        // The first look comes right after the start, without any event, and would find what a test is about to do. It
        // is over once another has been asked for and was taken; the next without an event is five seconds away.
        let reloads = scene.reloads().await;
        scene.server.running.reload();
        eventually("the look after the start", || async { scene.reloads().await > reloads }).await;
        scene
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    /// Writes the list through another name of its, in a folder that nobody watches: inotify then says nothing
    /// (inotify(7), "Limitations and caveats").
    pub(super) fn write_unheard(&self, text: &str) {
        fs::create_dir_all(self.path("outside")).unwrap();
        let other_name = self.path("outside/other-name");
        fs::hard_link(self.path("lists/a.list"), &other_name).unwrap();
        // Linking is heard of, as a change of metadata: what follows must not ride on that.
        self.settled_epoch();
        fs::write(other_name, text).unwrap();
    }

    pub(super) fn epoch(&self) -> u64 {
        self.server.epoch()
    }

    /// Reloads so far, with or without a change.
    pub(super) async fn reloads(&self) -> f64 {
        self.server.metric("cleandns_reloads_total", &[]).await
    }

    /// The epoch once nothing is left to be noticed from before: none has come for longer than a reload takes.
    pub(super) fn settled_epoch(&self) -> u64 {
        let (mut epoch, mut since) = (self.epoch(), Instant::now());
        while since.elapsed() < Duration::from_millis(700) {
            thread::sleep(Duration::from_millis(5));
            if self.epoch() != epoch {
                (epoch, since) = (self.epoch(), Instant::now());
            }
        }
        epoch
    }

    pub(super) fn is_blocked(&self, name: &str) -> bool {
        let answer = self.probe.ask(name, RrType::ANY).unwrap_or_else(|| panic!("no answer for {name}"));
        match (answer.rcode, answer.ede_code()) {
            (Rcode::NXDOMAIN, 15) => true,
            (Rcode::NOERROR, 0) => false,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Asks until the answer is right; returns how long that took.
    pub(super) fn until(&self, name: &str, blocked: bool) -> Duration {
        let started = Instant::now();
        while self.is_blocked(name) != blocked {
            assert!(started.elapsed() < DEADLINE, "{name} never became blocked = {blocked}");
            thread::sleep(Duration::from_millis(2));
        }
        started.elapsed()
    }

    /// The writer is done: `name` is blocked as soon as promised.
    pub(super) fn in_time(&self, way: &str, name: &str) {
        self.promised(way, self.until(name, true));
    }

    pub(super) fn promised(&self, way: &str, took: Duration) {
        measured(&format!("reload: {way}: {} ms", took.as_millis()));
        assert!(took < PROMISE_AND_NOISE, "{way}: in force only after {took:?}");
    }

    /// Checks something over and over for a while, in which a writer does nothing.
    pub(super) fn during(&self, pause: Duration, check: impl Fn(&Self)) {
        let started = Instant::now();
        while started.elapsed() < pause {
            check(self);
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn assert_half_unseen(&self, epoch: u64) {
        assert!(self.is_blocked(OLD), "the list lost what half a file doesn't have yet");
        assert!(!self.is_blocked("half.example"), "half a file is in force");
        assert_eq!(self.epoch(), epoch, "a reload while a file is being written");
    }

    /// What `/readyz` says of a list.
    pub(super) async fn list_reasons(&self, list: &str) -> Vec<String> {
        let (status, body) = self.server.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let reasons = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned());
        let reasons: Vec<String> = reasons.filter(|reason| reason.contains(list)).collect();
        assert!(reasons.is_empty() || body["status"] == "degraded", "{body}");
        reasons
    }

    pub(super) async fn until_reason(&self, reason: &str) {
        eventually(&format!("a reason: {reason}"), || async { !self.list_reasons(reason).await.is_empty() }).await;
    }

    /// The list is held at its last good state, and everybody is told why.
    pub(super) async fn held(&mut self, kind: &str, reason: &str) {
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
    pub(super) async fn healed(&mut self, kind: &str, name: &str) {
        measured(&format!("reload: repaired after {kind}: {} ms", self.until(name, true).as_millis()));
        eventually(&format!("{kind}: no complaint"), || async { self.list_reasons("lists").await.is_empty() }).await;
        assert_eq!(self.server.metric("cleandns_list_healthy", &["list=\"a.list\""]).await, 1.0, "{kind}");
    }

    /// Ends the load: no question may have been lost or answered wrongly.
    pub(super) async fn finish(self) -> Server {
        let tally = self.load.end();
        assert!(tally.asked > 0);
        assert_eq!((tally.lost, &tally.wrong), (0, &Vec::new()), "of {} questions", tally.asked);
        self.server
    }

    pub(super) async fn end(self) {
        self.finish().await.running.stop().await;
    }
}

/// Writes a list in place, takes its time, and keeps it open meanwhile.
pub(super) struct HalfWriter(Option<File>);

impl HalfWriter {
    pub(super) fn begin(path: &Path) -> Self {
        let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
        file.write_all(b"#! cleandns\nhalf.example\n").unwrap();
        Self(Some(file))
    }

    pub(super) fn go_on(&mut self) {
        self.0.as_mut().unwrap().write_all(b"more.example\n").unwrap();
    }

    pub(super) fn finish(&mut self) {
        self.0.take().unwrap().write_all(format!("{STEADY}\n{NEW}\n").as_bytes()).unwrap();
    }
}

/// Asks one question after the other from one socket.
pub(super) struct Probe(UdpSocket);

impl Probe {
    pub(super) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        Self(socket)
    }

    /// `None` if there is no answer in time.
    pub(super) fn ask(&self, name: &str, rr_type: RrType) -> Option<Answer> {
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
pub(super) fn question(packet: &[u8]) -> &[u8] {
    let end = 12 + packet[12..].iter().position(|&octet| octet == 0).unwrap() + 3;
    &packet[12..end]
}

/// Questions without end for a name that is always blocked and one that always passes.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

#[derive(Default)]
pub(super) struct Tally {
    asked: u64,
    lost: u64,
    wrong: Vec<String>,
}

impl Load {
    pub(super) fn start(server: SocketAddr) -> Self {
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

    pub(super) fn end(self) -> Tally {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

impl Tally {
    pub(super) fn ask(&mut self, probe: &Probe, name: &str, rr_type: RrType, rcode: Rcode, ede: u16) {
        self.asked += 1;
        match probe.ask(name, rr_type) {
            None => self.lost += 1,
            Some(answer) if (answer.rcode, answer.ede_code()) == (rcode, ede) => {}
            Some(answer) if self.wrong.len() < 3 => self.wrong.push(format!("{name}: {answer:?}")),
            Some(_) => {}
        }
    }
}
