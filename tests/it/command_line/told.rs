//! What the server's user says of where it runs, and whoever may read more than that user asks.

use super::*;
use std::{
    io::Write,
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown, symlink},
};

/// Whoever listens in a server's stead, keeps what it is told, and asks for a token.
struct Listening {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Listening {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                kept.lock().unwrap().push(head.join("\n"));
                let _ = stream.write_all(b"HTTP/1.1 401 U\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, heads }
    }

    /// What one command told it.
    fn heard(&self) -> String {
        let heads = std::mem::take(&mut *self.heads.lock().unwrap());
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads.concat().to_ascii_lowercase()
    }
}

const SECRET: &str = "s3cret-of-somebody-else";

/// A folder of state with a token, and files beside it that are none of the server's.
fn place_with_secrets() -> Place {
    let place = Place::new("");
    fs::create_dir(place.path("state")).unwrap();
    for name in ["state/own", "key"] {
        fs::write(place.path(name), format!("{SECRET}\n")).unwrap();
    }
    fs::write(place.path("lines"), format!("{SECRET}\n{SECRET}\n")).unwrap();
    fs::write(place.path("long"), SECRET.repeat(1000)).unwrap();
    symlink(place.path("key"), place.path("state/link")).unwrap();
    nix::unistd::mkfifo(&place.path("state/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    place
}

/// Shown nowhere and sent nowhere: not by what asks, nor by what prints it.
fn is_kept(place: &Place, listening: &Listening, why: &str) {
    let ended = place.run(&["lists", "status"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    has(&ended.stderr, &["the server answered 401", why]);
    let heard = listening.heard();
    assert!(!heard.contains("authorization") && !heard.contains(SECRET), "{heard}");
    let ended = place.run(&["admin", "token", "show"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    has(&ended.stderr, &[why]);
    assert!(!ended.stderr.contains(SECRET), "{ended:?}");
}

#[test]
fn a_file_that_the_server_names_is_sent_only_if_it_is_a_token_of_its_own() {
    let (place, listening) = (place_with_secrets(), Listening::begin());
    let running = place.path("state/running.json");
    let tell = |name: &str| {
        let token_file = place.path(name);
        let http = serde_json::json!({ "listen": listening.address, "tls": null, "token_file": token_file });
        let (config, dns) = (place.path("cleandns.toml"), [place.dns]);
        let told = serde_json::json!({ "start": "1", "config": config, "dns": dns, "http": http });
        fs::write(&running, told.to_string()).unwrap();
    };
    tell("state/own");
    assert_eq!(place.run(&["lists", "status"]).code, Some(1));
    has(&listening.heard(), &[&format!("authorization: bearer {SECRET}")]);
    assert_eq!(place.run(&["admin", "token", "show"]).stdout, format!("{SECRET}\n"));
    for (name, why) in [
        ("state/link", "state/link isn't read: it is a link"),
        ("state/pipe", "state/pipe isn't read: it is no plain file"),
        ("lists", "lists isn't read: it is no plain file"),
        ("lines", "lines holds no token"),
        ("long", "long isn't read: it is larger than 4096 octets"),
    ] {
        tell(name);
        is_kept(&place, &listening, why);
    }
    // Root alone can give what is told to another user.
    if running.metadata().unwrap().uid() == 0 {
        tell("key");
        chown(&running, Some(65_533), None).unwrap();
        is_kept(&place, &listening, "key isn't read: it is root (0)'s, and what names it is user 65533's");
    }
    // Nothing is told by what leads elsewhere or never ends.
    fs::rename(&running, place.path("elsewhere.json")).unwrap();
    symlink(place.path("elsewhere.json"), &running).unwrap();
    assert!(place.run(&["lists", "status"]).stderr.contains("no server answers"));
    fs::remove_file(&running).unwrap();
    nix::unistd::mkfifo(&running, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(place.run(&["lists", "status"]).stderr.contains("no server answers"));
    assert_eq!(*listening.heads.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn what_lies_in_the_state_folder_is_sent_only_if_it_is_a_token_of_the_folders_owner() {
    let (place, listening) = (place_with_secrets(), Listening::begin());
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    // Where others reach it a token is asked for, and no option says where it is.
    let reached = format!("listen = \"0.0.0.0:{}\"", listening.address.port());
    let text = text.replace(&format!("listen = \"{}\"", place.admin), &reached);
    fs::write(place.path("cleandns.toml"), &text).unwrap();
    let token = place.path("state/token");
    fs::copy(place.path("state/own"), &token).unwrap();
    assert_eq!(place.run(&["lists", "status"]).code, Some(1));
    has(&listening.heard(), &[&format!("authorization: bearer {SECRET}")]);
    for (name, why) in [
        ("state/link", "state/token isn't read: it is a link"),
        ("state/pipe", "state/token isn't read: it is no plain file"),
        ("lines", "state/token holds no token"),
    ] {
        fs::remove_file(&token).unwrap();
        fs::rename(place.path(name), &token).unwrap();
        is_kept(&place, &listening, why);
    }
    if token.metadata().unwrap().uid() == 0 {
        fs::write(&token, SECRET).unwrap();
        chown(place.path("state"), Some(65_533), None).unwrap();
        is_kept(&place, &listening, "state/token isn't read: it is root (0)'s, and what names it is user 65533's");
    }
    // What the configuration names is its writer's choice.
    let named = text.replace("[admin]\n", "[admin]\ntoken_file = \"linked\"\n");
    symlink(place.path("key"), place.path("linked")).unwrap();
    fs::write(place.path("cleandns.toml"), named).unwrap();
    assert_eq!(place.run(&["lists", "status"]).code, Some(1));
    has(&listening.heard(), &[&format!("authorization: bearer {SECRET}")]);
}

#[test]
fn a_database_that_the_server_alone_names_is_read_only_if_it_is_its_own() {
    let place = Place::new("");
    fs::create_dir(place.path("state")).unwrap();
    fs::write(place.path("state/own.db"), "").unwrap();
    symlink(place.path("state/own.db"), place.path("state/link")).unwrap();
    nix::unistd::mkfifo(&place.path("state/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let running = place.path("state/running.json");
    let tell = |name: &str| {
        let (config, dns, database) = (place.path("cleandns.toml"), [place.dns], place.path(name));
        let told =
            serde_json::json!({ "start": "1", "config": config, "dns": dns, "http": null, "database": database });
        fs::write(&running, told.to_string()).unwrap();
    };
    let report = |more: &[&str], why: &str| {
        for command in [&["report", "--json"][..], &["lists", "diff", "lists", "lists", "--asked", "1d"]] {
            let ended = place.run(&[command, more].concat());
            assert_eq!(ended.code, Some(1), "{ended:?}");
            has(&ended.stderr, &[why]);
        }
    };
    // As far as to the file itself.
    let there_is_none = "there is no query log at ";
    for name in ["state/own.db", "state/none.db"] {
        tell(name);
        report(&[], there_is_none);
    }
    for (name, why) in [
        (
            "state/link",
            "state/link isn't read: it is a link, which could lead to any file; if it is meant, name it by --source",
        ),
        ("state/pipe", "state/pipe isn't read: it is no plain file"),
        ("lists", "lists isn't read: it is no plain file"),
    ] {
        tell(name);
        report(&[], why);
    }
    // Root alone can give what is told to another user.
    if running.metadata().unwrap().uid() == 0 {
        tell("state/own.db");
        chown(&running, Some(65_533), None).unwrap();
        report(&[], "state/own.db isn't read: it is root (0)'s, and what names it is user 65533's");
        chown(place.path("state/own.db"), Some(65_533), None).unwrap();
        report(&[], there_is_none);
    }
    // What the configuration names, or who asks, is their own choice.
    tell("state/link");
    let text = fs::read_to_string(place.path("cleandns.toml")).unwrap();
    fs::write(place.path("cleandns.toml"), format!("{text}\n[query_log]\npath = \"state/link\"\n")).unwrap();
    report(&[], there_is_none);
    tell("state/pipe");
    assert_eq!(place.run(&["report", "--source", "state/link"]).code, Some(0));
}
