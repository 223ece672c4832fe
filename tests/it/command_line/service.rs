//! Under a service manager: sockets it passes, and what it is told. A socket of this test stands in for systemd's.

use super::*;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::{
    net::TcpListener,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixDatagram,
    },
};

/// Where a service manager is told things.
struct Manager {
    socket: UnixDatagram,
    said: Vec<String>,
}

impl Manager {
    fn new(place: &Place) -> Self {
        let socket = UnixDatagram::bind(place.path("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, said: Vec::new() }
    }

    /// The next message with that line.
    fn hears(&mut self, line: &str) -> String {
        let mut octets = [0; 4096];
        loop {
            let length = self.socket.recv(&mut octets).unwrap_or_else(|_| panic!("no {line} after {:?}", self.said));
            let message = String::from_utf8(octets[..length].to_vec()).unwrap();
            self.said.push(message.clone());
            if message.lines().any(|found| found == line) {
                return message;
            }
        }
    }

    /// All so far.
    fn said(&self) -> String {
        self.said.concat()
    }
}

/// Sockets as a socket unit has them.
struct Passed {
    udp: UdpSocket,
    tcp: TcpListener,
    http: TcpListener,
}

impl Passed {
    fn new() -> Self {
        loop {
            let (tcp, http) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                return Self { udp, tcp, http };
            }
        }
    }

    /// A command that gets them at the usual place, under these names.
    fn to(&self, command: &Command, names: &str) -> Command {
        passing(&[&self.udp, &self.tcp, &self.http], names, command)
    }
}

/// A command that gets sockets at the usual place, under these names.
fn passing(sockets: &[&dyn AsFd], names: &str, command: &Command) -> Command {
    // First out of the way, since they may stand in each other's places.
    let (mut aside, mut there, mut closed) = (String::new(), String::new(), String::new());
    for (index, socket) in sockets.iter().enumerate() {
        fcntl(socket.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let own = socket.as_fd().as_raw_fd();
        aside += &format!(" {}<&{own}", 200 + index);
        there += &format!(" {}<&{}", 3 + index, 200 + index);
        closed += &format!(" {}<&-", 200 + index);
    }
    let count = sockets.len();
    let script = format!(
        "exec{aside}; exec{there}{closed}; \
         LISTEN_FDS={count} LISTEN_FDNAMES={names} LISTEN_PID=$$ exec \"$0\" \"$@\""
    );
    let mut passing = Command::new("bash");
    passing.arg("-c").arg(script).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    passing.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => passing.env(name, value),
            None => passing.env_remove(name),
        };
    }
    passing
}

#[test]
fn a_service_manager_is_told_how_it_goes() {
    let place = Place::new("");
    let mut manager = Manager::new(&place);
    let mut command = place.command(&[]);
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "900000");
    let mut serving = Serving::start(command).expect("the ports were taken");
    let ready = manager.hears("READY=1");
    has(&ready, &[&format!("STATUS=Answers on {}; ", place.dns), "rules of 3 lists in force; blocks for test-program"]);
    // More time was asked for before.
    has(&manager.said(), &["EXTEND_TIMEOUT_USEC="]);
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    let reloads = || {
        let page = ureq::get(format!("http://{}/metrics", place.admin)).call().unwrap().body_mut().read_to_string();
        let page = page.unwrap();
        let counts = page.lines().filter(|line| line.starts_with("cleandns_reloads_total"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    let before = reloads();
    serving.signal("-HUP");
    let reloading = manager.hears("RELOADING=1");
    let at = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("a time");
    assert!(at.parse::<u64>().unwrap() > 0);
    has(&manager.hears("READY=1"), &["STATUS=Answers on"]);
    assert_eq!(reloads(), before + 1.0, "ready before the reload was done");
    // What changes without anybody's asking is told too.
    fs::write(place.path("lists/blocking.list"), "<html>").unwrap();
    while !manager.said().contains("degraded: ") {
        let mut octets = [0; 4096];
        let length = manager.socket.recv(&mut octets).unwrap();
        manager.said.push(String::from_utf8(octets[..length].to_vec()).unwrap());
    }
    serving.signal("-TERM");
    manager.hears("STOPPING=1");
    assert_eq!(serving.code(), Some(0));
    assert!(!serving.stderr.text().contains("no sign of life"), "{}", serving.stderr.text());
}

/// The sockets outlive the process: what is asked before it starts waits in them, also before it starts again.
#[test]
fn sockets_are_passed_from_one_process_to_the_next() {
    let place = Place::new("");
    let passed = Passed::new();
    let (dns, http) = (passed.udp.local_addr().unwrap(), passed.http.local_addr().unwrap());
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let text = text.replace("workers = 1", "workers = 3").replace(&place.admin.to_string(), &http.to_string());
    fs::write(place.path("cleandns.toml"), text.replace(&place.dns.to_string(), &dns.to_string())).unwrap();
    for _ in 0..2 {
        let early = UdpSocket::bind("127.0.0.1:0").unwrap();
        early.set_read_timeout(Some(DEADLINE)).unwrap();
        let query = crate::harness::Ask::new("blocked.example", cleandns::dns::RrType::A).packet();
        early.send_to(&query, dns).unwrap();
        let mut serving = Serving::start(passed.to(&place.command(&[]), "dns:dns:admin")).expect("it starts");
        let mut octets = [0; 512];
        assert_eq!(early.recv_from(&mut octets).unwrap().1, dns);
        serving.stderr.until("sockets were passed: listen.do53 is not used");
        for args in [&["query", "blocked.example"][..], &["query", "blocked.example", "--tcp"]] {
            has(&place.run(args).stdout, &["NXDOMAIN", "test-program/blocking"]);
        }
        has(&place.run(&["health"]).stdout, &["answers"]);
        serving.signal("-TERM");
        assert_eq!(serving.code(), Some(0));
    }
}

/// Where HTTP alone has a socket that was passed, it stands on the address of the configuration mostly, and DNS has those
/// that the configuration says.
#[test]
fn http_alone_may_be_passed() {
    let place = Place::new("");
    let http = TcpListener::bind(place.admin).unwrap();
    let mut serving = Serving::start(passing(&[&http], "admin", &place.command(&[]))).expect("the ports were taken");
    for args in [&["query", "blocked.example"][..], &["query", "blocked.example", "--tcp"]] {
        has(&place.run(args).stdout, &["NXDOMAIN", "test-program/blocking"]);
    }
    has(&place.run(&["health"]).stdout, &["answers"]);
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    // An address for DNS that somebody has is told of all the same.
    let _taken = TcpListener::bind(place.dns).unwrap();
    let ended = ended(&mut passing(&[&http], "admin", &place.command(&[])));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["listen.do53", &place.dns.to_string()]);
}

#[test]
fn sockets_that_will_not_do() {
    let place = Place::new("");
    let passed = Passed::new();
    let run = |names: &str| ended(&mut passed.to(&place.command(&[]), names));
    let ended = run("admin:dns:dns");
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["socket 0 (admin) was passed for HTTP, which takes one TCP socket"]);
    let ended = run("dns:dns:dns");
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &[&format!("{} for TCP alone", passed.http.local_addr().unwrap()), "ListenDatagram="]);
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), text.replace(&place.admin.to_string(), "")).unwrap();
    let ended = run("dns:dns:admin");
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["a socket for HTTP on ", "admin.listen is \"\""]);
}

/// The configuration knows nothing of passed addresses, and strangers may reach them.
#[test]
fn passed_sockets_open_no_resolver_by_mistake() {
    let place = Place::new("[access]\nallow = [\"0.0.0.0/0\"]\n");
    let mut passed = Passed::new();
    loop {
        passed.tcp = TcpListener::bind("0.0.0.0:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(passed.tcp.local_addr().unwrap()) {
            passed.udp = udp;
            break;
        }
    }
    let ended = ended(&mut passed.to(&place.command(&[]), "dns:dns:admin"));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    has(&ended.stderr, &["access.allow: strangers", "i_know_this_is_open = true"]);
}
