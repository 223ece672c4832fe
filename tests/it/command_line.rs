//! The program as a person starts it: what it prints, and the code it leaves with.
//!
//! No server here may reach the Internet: all questions are forwarded to a port of this machine where nobody is.

mod absent;
mod admin;
mod asking;
mod beside;
mod checking;
mod configuration;
mod confined;
mod installing;
mod json;
mod measuring;
mod overlaid;
mod running;
mod service;
mod taken_over;
mod told;

use crate::harness::{DEADLINE, folder, free_address, measured, write_list};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PROGRAM: &str = r#"
[[program]]
name = "test-program"
lists = [{ path = "lists" }]
services = { idle = "off", watched = "shadow" }
"#;
/// How often a start is tried again when another process was faster at taking the ports.
const STARTS_MAX: usize = 5;

/// What a command printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A folder with lists, and a configuration made for it.
struct Place {
    folder: TempDir,
    dns: SocketAddr,
    admin: SocketAddr,
    /// Keeps the port of the forwarder that isn't there.
    nobody: UdpSocket,
}

impl Place {
    /// `extra` is TOML to add.
    fn new(extra: &str) -> Self {
        let folder = folder();
        let lists = folder.path().join("lists");
        fs::create_dir(&lists).unwrap();
        let blocking = ["#: title: A list", "# a comment", "blocked.example", "@pass.blocked.example # a reason"];
        write_list(&lists.join("blocking.list"), &blocking);
        write_list(&lists.join("idle.list"), &["idle.example", "idle2.example"]);
        write_list(&lists.join("watched.list"), &["watched.example"]);
        // Should the forward below ever be passed over, these are nobody either.
        fs::write(folder.path().join("root.hints"), ". 3600 IN NS a.\na. 3600 IN A 127.213.7.53\n").unwrap();
        let (dns, admin, nobody) = (free_address(), free_address(), UdpSocket::bind("127.0.0.1:0").unwrap());
        // Connected elsewhere, it takes nothing from others, who get an error at once.
        nobody.connect("127.0.0.1:9").unwrap();
        let place = Self { folder, dns, admin, nobody };
        place.configure(extra);
        place
    }

    fn configure(&self, extra: &str) {
        let text = format!(
            "[listen]\ndo53 = [\"{}\"]\nworkers = 1\n[admin]\nlisten = \"{}\"\n[state]\ndir = \"state\"\n[resolve]\n\
             root_hints = \"root.hints\"\nipv6 = false\ndo_not_query = []\n[[resolve.forward]]\nzone = \".\"\nservers = \
             [\"udp://{}\"]\n{extra}{PROGRAM}",
            self.dns,
            self.admin,
            self.nobody.local_addr().unwrap()
        );
        fs::write(self.path("cleandns.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with this configuration.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(Path::new(env!("CARGO_BIN_EXE_cleandns")), self.folder.path());
        command.arg("--config").arg(self.path("cleandns.toml")).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    /// A running server. Ports may have been taken meanwhile; then others are.
    fn serve(extra: &str) -> (Self, Serving) {
        for _ in 0..STARTS_MAX {
            let place = Self::new(extra);
            if let Some(serving) = Serving::start(place.command(&[])) {
                return (place, serving);
            }
        }
        panic!("the ports were always taken");
    }

    /// The same with a server whose API asks for a token, which lies in the file `token`.
    fn serve_with_token() -> (Self, Serving) {
        // Where one has just served, the next finds its ports free.
        let (place, serving) = Self::serve("");
        drop(serving);
        fs::write(place.path("token"), "s3cret-of-the-owner\n").unwrap();
        let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
        let text = text.replace("[admin]\n", "[admin]\ntoken_file = \"token\"\n");
        fs::write(place.path("cleandns.toml"), text).unwrap();
        let Some(serving) = Serving::start(place.command(&["serve"])) else {
            panic!("the port this process just left was taken");
        };
        (place, serving)
    }
}

/// A command in a folder, with nothing of this process's surroundings that it would look at.
fn bare(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("HOME")
        .env_remove("STATE_DIRECTORY")
        .env_remove("RUST_LOG")
        .env_remove("SUDO_USER");
    command.env("XDG_STATE_HOME", folder.join("xdg-state")).stdin(Stdio::null());
    command
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A server in a process of its own; ended when dropped.
struct Serving {
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
}

/// What a process has written so far.
#[derive(Clone, Default)]
struct Gathered(Arc<Mutex<String>>);

impl Gathered {
    fn from(pipe: impl Read + Send + 'static) -> Self {
        let gathered = Self::default();
        let own = gathered.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                own.0.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        gathered
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn until(&self, what: &str) {
        until(&format!("`{what}` in the output"), || self.text().contains(what));
    }
}

impl Serving {
    /// `None` if a port was taken.
    fn start(mut command: Command) -> Option<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Gathered::from(child.stdout.take().unwrap());
        let stderr = Gathered::from(child.stderr.take().unwrap());
        let mut serving = Self { child, stdout, stderr };
        let started = Instant::now();
        // The last line of what is printed at the start.
        while ![&serving.stdout, &serving.stderr].iter().any(|told| told.text().contains("cleandns explain")) {
            if let Some(status) = serving.child.try_wait().unwrap() {
                until("its last words", || !serving.stderr.text().is_empty());
                let said = serving.stderr.text();
                assert!(said.contains("another program has port"), "{status}: {said}");
                return None;
            }
            assert!(started.elapsed() < DEADLINE, "not ready: {}", serving.stderr.text());
            thread::sleep(Duration::from_millis(5));
        }
        Some(serving)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; returns the exit code.
    fn code(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < DEADLINE, "does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "never came true: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Every part stands in the text.
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

// ---- usage ---------------------------------------------------------------------------------------------------------

#[test]
fn wrong_usage() {
    let place = Place::new("");
    for args in [
        &["--verbos"][..],
        &["serv"],
        &["check", "--stric"],
        &["query"],
        &["query", "a..example"],
        &["query", "a.example", "NONSENSE"],
        &["explain", "a..example"],
        &["explain", "a.example", "--type", "NONSENSE"],
        &["explain", "a.example", "--offline", "--client", "here"],
        &["explain", "a..example", "--offline"],
        &["lists"],
        &["health", "extra"],
    ] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{args:?}: {ended:?}");
    }
}

#[test]
fn version_and_help() {
    let folder = folder();
    let program = Path::new(env!("CARGO_BIN_EXE_cleandns"));
    let version = ended(bare(program, folder.path()).arg("--version"));
    assert_eq!((version.code, version.stdout), (Some(0), format!("cleandns {}\n", env!("CARGO_PKG_VERSION"))));
    let help = ended(bare(program, folder.path()).arg("--help"));
    assert_eq!(help.code, Some(0));
    has(&help.stdout, &["serve", "check", "query", "explain", "lists", "health", "--config"]);
}

/// A pipe that is closed early, as by `| head`, is no crash.
#[test]
fn nobody_reads_on() {
    let place = Place::new("");
    let mut child = place.command(&["check", "--verbose"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// ---- serve, query, health ------------------------------------------------------------------------------------------

#[test]
fn what_a_person_sees_at_the_start() {
    // A program of which nothing is in force, since what it names holds no rule.
    let (place, mut serving) =
        Place::serve("[[program]]\nname = \"idle\"\nlists = [{ path = \"root.hints\", format = \"ours\" }]\n");
    let text = serving.stdout.text();
    let config = place.path("cleandns.toml").display().to_string();
    let (dns, admin) = (place.dns.to_string(), format!("http://{}", place.admin));
    has(&text, &[env!("CARGO_PKG_VERSION"), &dns, "UDP and TCP", &admin, &config]);
    let program = text.lines().find(|line| line.trim_start().starts_with("test-program")).unwrap();
    has(program, &["enforce", "1 rules in 1 lists enforced", "1 rules in 1 lists watched", "1 lists switched off"]);
    let idle = text.lines().find(|line| line.trim_start().starts_with("idle")).unwrap();
    has(idle, &["enforce", "none of its lists is in force"]);
    has(&text, &[&format!("dig @127.0.0.1 -p {} ", place.dns.port()), "cleandns explain"]);
    // The log has a line of the policy, and goes elsewhere.
    serving.stderr.until("policy in force");
    assert!(!text.contains("policy in force"));
    // The forwarder never answers: that is said, with what to do.
    (0..3).for_each(|index| drop(place.run(&["query", &format!("n{index}.example")])));
    serving.stdout.until("outbound port 53 seems blocked");
    has(&serving.stdout.text(), &["[[resolve.forward]]"]);
    let started = Instant::now();
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    measured(&format!("command line: SIGTERM to exit: {:?}", started.elapsed()));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn an_interrupt_ends_it_too() {
    let (_place, mut serving) = Place::serve("");
    serving.signal("-INT");
    assert_eq!(serving.code(), Some(0));
}

#[test]
fn query_and_health() {
    let (place, mut serving) = Place::serve("");
    for args in
        [&["query", "blocked.example"][..], &["query", "x.blocked.example", "HTTPS", "--tcp", "--dnssec", "--cd"]]
    {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        has(&ended.stdout, &["NXDOMAIN", "EDE 15", "test-program/blocking blocking.list:4", "SOA"]);
    }
    let ended = place.run(&["query", "localhost"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["NOERROR", "127.0.0.1", "flags: qr"]);
    // Every question is answered, even if nobody else answers.
    let started = Instant::now();
    let ended = place.run(&["query", "nobody-knows.example"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["SERVFAIL", "EDE "]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(place.run(&["health"]).code, Some(0));
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    for args in [&["health"][..], &["query", "localhost"], &["explain", "blocked.example"], &["lists", "status"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        has(&ended.stderr, &["cleandns serve"]);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let (place, serving) = Place::serve("");
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("listen.do53")).collect();
    assert_eq!(said.len(), 1, "{ended:?}");
    let holder = format!("another program has port {}: cleandns (PID {})", place.dns.port(), serving.child.id());
    has(said[0], &[&place.dns.to_string(), &holder, "serve --take-over"]);
    assert_eq!(ended.stdout, "", "nothing is ready");
    // To whoever checks, it is what is to be expected.
    let ended = place.run(&["check", "--strict"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &[&format!("listen.do53: a cleandns answers on {} now", place.dns)]);
    assert!(!ended.stdout.contains("another program"), "{ended:?}");
}

/// What isn't cleandns is not taken over from, and told by its name before the process loses sight of it.
#[test]
fn another_program_is_not_taken_over_from() {
    let place = Place::new("");
    let _other = UdpSocket::bind(place.dns).unwrap();
    let ended = place.run(&["serve", "--take-over"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    let own = format!("(PID {}); stop it", std::process::id());
    has(
        &ended.stderr,
        &["listen.do53: can't listen on", "another program has port", &own, "--take-over is for a cleandns"],
    );
    assert_eq!(ended.stdout, "");
}

/// What would be in the way of a server is told before there is one.
#[test]
fn check_tells_who_has_the_ports() {
    let place = Place::new("");
    let _other = UdpSocket::bind(place.dns).unwrap();
    let _another = std::net::TcpListener::bind(place.admin).unwrap();
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let own = format!("(PID {}); stop it", std::process::id());
    for option in ["listen.do53", "admin.listen"] {
        let said = ended.stdout.lines().find(|line| line.starts_with(&format!("warning: {option}: can't listen on ")));
        has(said.unwrap_or_else(|| panic!("{ended:?}")), &["another program has port", &own, option]);
    }
}

#[test]
fn a_required_list_that_is_useless_is_one_clear_line() {
    let place = Place::new("");
    fs::write(place.path("lists/blocking.list"), "").unwrap();
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    let text = text.replace("{ path = \"lists\" }", "{ path = \"lists\", required = true }");
    fs::write(place.path("cleandns.toml"), text).unwrap();
    for args in [&["serve"][..], &["check"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, &["blocking.list", "required", "it is empty"]);
    }
}

/// Two files can be compared in any format, whatever is wrong with the configuration.
#[test]
fn lists_are_compared_in_their_format() {
    let place = Place::new("");
    fs::write(place.path("cleandns.toml"), "nonsense = [\n").unwrap();
    fs::write(place.path("old.txt"), "a.example\nb.example\n").unwrap();
    fs::write(place.path("new.txt"), "*.a.example\nb.example\n").unwrap();
    let diff = |more: &[&str]| {
        let files = [place.path("old.txt"), place.path("new.txt")].map(|path| path.to_str().unwrap().to_owned());
        place.run(&[&["lists", "diff", &files[0], &files[1]], more].concat())
    };
    let ended = diff(&["--format", "wildcard"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    has(&ended.stdout, &["1 added, 1 removed", "- =a.example", "+ *.a.example"]);
    has(&diff(&["--format", "domains", "--match", "subtree"]).stdout, &["- a.example"]);
    fs::write(place.path("old.txt"), "||a.example^\n||b.example^$client=10.0.0.1|10.0.0.2\n").unwrap();
    let withdrawn = "||a.example^\n||a.example^$badfilter\n||b.example^$client=10.0.0.1|10.0.0.2\n";
    fs::write(place.path("new.txt"), format!("{withdrawn}||b.example^$client=10.0.0.2|10.0.0.1,badfilter\n")).unwrap();
    has(&diff(&[]).stdout, &["0 added, 2 removed", "- a.example", "- ||b.example^$client="]);
    let ended = diff(&["--format", "tables"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    has(&ended.stderr, &["is none of auto, ours, domains"]);
}

// ---- alone ---------------------------------------------------------------------------------------------------------

/// A binary with no file beside it has its configuration and lists inside.
#[test]
fn a_bare_binary() {
    let folder = folder();
    let program = folder.path().join("a/b/c/d/cleandns");
    let empty = folder.path().join("empty");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::create_dir(&empty).unwrap();
    // By another process: a file that this one has open for writing, or a child it is just about to start has inherited,
    // can't be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_cleandns")).arg(&program).status().unwrap();
    assert!(copied.success());
    let check = ended(bare(&program, &empty).args(["check", "--strict"]));
    assert_eq!(check.code, Some(0), "{check:?}");
    has(&check.stdout, &["configuration: built in", "0 lines skipped, 0 rules held back, 0 lists unusable"]);
    let explain = ended(bare(&program, &empty).args(["explain", "www.tiktok.com", "--offline"]));
    assert_eq!(explain.code, Some(0), "{explain:?}");
    let built_in = "blocklists/clean-store/tiktok.list (built in)";
    has(&explain.stdout, &["is blocked by clean-store/tiktok", built_in, ": tiktok.com"]);
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0, "it left something behind");
}

/// Lists without a configuration are meant all the same.
#[test]
fn lists_where_it_is_started() {
    let folder = folder();
    let program = folder.path().join("a/b/c/d/cleandns");
    let work = folder.path().join("work");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::create_dir_all(work.join("blocklists/clean-store")).unwrap();
    write_list(&work.join("blocklists/clean-store/mine.list"), &["mine.example"]);
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_cleandns")).arg(&program).status().unwrap().success());
    let explain = |name: &str| ended(bare(&program, &work).args(["explain", name, "--offline"])).stdout;
    has(&explain("mine.example"), &["is blocked by clean-store/mine"]);
    has(&explain("www.tiktok.com"), &["no rule matches"]);
    has(&explain("appgallery.huawei.com"), &["is blocked by clean-apps/huawei-appgallery", "(built in)"]);
}

/// It finds what stands where it is started, and lists beside the configuration's folder.
#[test]
fn files_where_it_is_started() {
    let folder = folder();
    let lists = folder.path().join("blocklists/clean-store");
    fs::create_dir_all(&lists).unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    write_list(&lists.join("mine.list"), &["mine.example"]);
    fs::write(folder.path().join("config/cleandns.toml"), "[policy]\nblock = \"nodata\"\n").unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_cleandns"));
    let explain = |name: &str| ended(bare(program, folder.path()).args(["explain", name, "--offline"])).stdout;
    has(&explain("mine.example"), &["is blocked by clean-store/mine", "mine.list:2: mine.example"]);
    has(&explain("www.tiktok.com"), &["no rule matches"]);
    // What isn't there is built in.
    has(&explain("appgallery.huawei.com"), &["is blocked by clean-apps/huawei-appgallery", "(built in)"]);
    let check = ended(bare(program, folder.path()).arg("check"));
    has(&check.stdout, &["config/cleandns.toml"]);
}

// ---- log -----------------------------------------------------------------------------------------------------------

#[test]
fn one_line_a_query_when_asked_for() {
    let group = "[[group]]\nname = \"here\"\nclients = [\"127.0.0.1\"]\n";
    let (place, mut serving) = Place::serve(&format!("[log]\nqueries = true\n{group}"));
    for args in [
        &["query", "other.example", "ANY"][..],
        &["query", "blocked.example"][..],
        &["query", "watched.example", "ANY", "--tcp"],
        &["query", "pass.blocked.example", "ANY"],
        &["query", "localhost", "AAAA"],
    ] {
        assert_eq!(place.run(args).code, Some(0));
    }
    let lines = || -> Vec<String> {
        serving.stderr.text().lines().filter(|line| line.contains("cleandns::queries")).map(str::to_owned).collect()
    };
    until("five lines", || lines().len() >= 5);
    let lines = lines();
    let of = |name: &str| -> &str {
        let own: Vec<&String> = lines.iter().filter(|line| line.contains(&format!("name=\"{name}\""))).collect();
        assert_eq!(own.len(), 1, "{name}: {lines:#?}");
        own[0]
    };
    has(of("blocked.example"), &["client=127.0.0.1", "NXDOMAIN", "udp", "type=\"A\"", "ede=15", "micros="]);
    has(of("blocked.example"), &["block test-program/blocking blocking.list:4 (qname)"]);
    has(of("watched.example"), &["tcp", "NOERROR", "would-block test-program/watched watched.list:2 (qname)"]);
    has(of("pass.blocked.example"), &["except test-program/blocking blocking.list:5 (qname)"]);
    has(of("other.example"), &["verdict=\"pass\"", "group=\"here\""]);
    has(of("localhost"), &["type=\"AAAA\"", "NOERROR", "verdict=\"pass\""]);
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    // And none unless asked for.
    let (place, serving) = Place::serve("");
    place.run(&["query", "blocked.example"]);
    drop(place);
    assert!(!serving.stderr.text().contains("cleandns::queries"));
}

#[test]
fn a_line_tells_as_much_of_a_client_as_may_be_kept() {
    for (privacy, expected) in [("prefix", "client=127.0.0.0/24"), ("none", "transport=\"udp\"")] {
        let toml = format!("[log]\nqueries = true\n[query_log]\nprivacy = \"{privacy}\"\n");
        let (place, mut serving) = Place::serve(&toml);
        place.run(&["query", "blocked.example"]);
        serving.stderr.until("cleandns::queries");
        serving.signal("-TERM");
        assert_eq!(serving.code(), Some(0));
        let text = serving.stderr.text();
        let line = text.lines().find(|line| line.contains("cleandns::queries")).unwrap();
        assert!(line.contains(expected) && !line.contains("client=127.0.0.1") && !line.contains("client=\""), "{line}");
    }
}

#[test]
fn the_log_as_json() {
    let (place, mut serving) = Place::serve("[log]\nqueries = true\njson = true\n");
    place.run(&["query", "blocked.example"]);
    serving.stderr.until("cleandns::queries");
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    let text = serving.stderr.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let query = lines.iter().find(|line| line["target"] == "cleandns::queries").unwrap();
    assert_eq!(query["fields"]["name"], "blocked.example", "{query}");
    assert_eq!(query["fields"]["verdict"], "block test-program/blocking blocking.list:4 (qname)", "{query}");
}
