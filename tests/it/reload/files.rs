//! The configuration's files change while questions are asked, in every way that real systems change files; and what can't
//! be used of them changes nothing, and is told with its place.

use super::*;
use crate::{
    harness::{config_text, start_following},
    internet::{answer_to, scripted},
};
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{RData, Record},
};

const P: &str = "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n";

/// A way to make a file have another text.
type Way = fn(&Path, &str);

/// A server that follows its files, with two lists of which the first counts, under load.
async fn following() -> Scene {
    let folder = folder();
    fs::create_dir(folder.path().join("lists")).unwrap();
    write_list(&folder.path().join("lists/a.list"), &[STEADY, OLD]);
    write_list(&folder.path().join("b.list"), &[NEW]);
    Scene::of(start_following(folder, None, &[], P).await).await
}

impl Scene {
    /// The text of a configuration that has program `q` with the second list too, whose `options` are these.
    fn with_b(&self, options: &str) -> String {
        let q = "[[program]]\nname = \"q\"\nlists = [{ path = \"b.list\" }]\n";
        config_text(&self.server.folder, None, &format!("{P}{q}{options}\n"))
    }

    fn without_b(&self) -> String {
        config_text(&self.server.folder, None, P)
    }

    fn file(&self) -> PathBuf {
        self.path("cleandns.toml")
    }

    fn replace(&self, text: &str) {
        fs::write(self.path("new.toml"), text).unwrap();
        fs::rename(self.path("new.toml"), self.file()).unwrap();
    }

    /// What `/readyz` says, but that there is no Internet in these tests.
    async fn reasons(&self) -> Vec<String> {
        let (status, body) = self.server.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let reasons = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned());
        let reasons: Vec<String> = reasons.filter(|reason| !reason.starts_with("no root server")).collect();
        assert!(reasons.is_empty() || body["status"] == "degraded", "{body}");
        reasons
    }

    async fn until_ready(&self) {
        eventually("no reason for concern", || async { self.reasons().await.is_empty() }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_followed_however_it_changes() {
    let scene = following().await;
    let ways: [(&str, Way); 4] = [
        ("edited in place", |file, text| fs::write(file, text).unwrap()),
        ("renamed", |file, text| {
            fs::write(file.with_file_name("new"), text).unwrap();
            fs::rename(file.with_file_name("new"), file).unwrap();
        }),
        ("put aside and written", |file, text| {
            fs::rename(file, file.with_file_name("cleandns.toml~")).unwrap();
            fs::write(file, text).unwrap();
        }),
        ("deleted and written later", |file, text| {
            fs::remove_file(file).unwrap();
            thread::sleep(Duration::from_millis(700));
            fs::write(file, text).unwrap();
        }),
    ];
    for (way, change) in ways {
        change(&scene.file(), &scene.with_b(""));
        scene.promised(&format!("configuration {way}"), scene.until(NEW, true));
        change(&scene.file(), &scene.without_b());
        scene.until(NEW, false);
        assert!(scene.is_blocked(OLD));
        assert_eq!(scene.reasons().await, Vec::<String>::new(), "{way}");
    }
    scene.end().await;
}

/// As Kubernetes changes a ConfigMap: all files lead through one link, which is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_is_followed() {
    let scene = following().await;
    let (version, current) = (|number: u8| scene.path(&format!("..{number}")), scene.path("..data"));
    for number in 1..=3 {
        fs::create_dir(version(number)).unwrap();
        let text = if number == 2 { scene.with_b("") } else { scene.without_b() };
        fs::write(version(number).join("cleandns.toml"), text).unwrap();
    }
    symlink(version(1), &current).unwrap();
    symlink("..data/cleandns.toml", scene.path("link")).unwrap();
    fs::rename(scene.path("link"), scene.file()).unwrap();
    for (number, blocked) in [(2, true), (3, false)] {
        symlink(version(number), scene.path("..data_tmp")).unwrap();
        fs::rename(scene.path("..data_tmp"), &current).unwrap();
        fs::remove_dir_all(version(number - 1)).unwrap();
        scene.until(NEW, blocked);
    }
    scene.until_ready().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_no_use_is_told_with_its_place_and_changes_nothing() {
    let scene = following().await;
    let epoch = scene.epoch();
    let line = |text: &str, word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let (mode, broken) = (scene.with_b("mode = \"enforced\""), scene.with_b("mode \"enforce\""));
    let gone = scene.with_b("exceptions = [\"gone.list\"]");
    for (text, word) in [(&mode, "enforced"), (&broken, "mode \""), (&gone, "gone")] {
        scene.replace(text);
        let place = format!("cleandns.toml:{}:", line(text, word));
        let is_told = async || scene.reasons().await.iter().any(|reason| reason.contains(&place));
        eventually(&format!("a reason at {place}"), is_told).await;
        let reason = scene.reasons().await.remove(0);
        assert!(reason.ends_with("; the configuration before stays in force"), "{reason}");
        assert!(scene.is_blocked(OLD) && !scene.is_blocked(NEW));
        assert_eq!(scene.epoch(), epoch);
    }
    // Lists are read meanwhile, and a good configuration is taken at once.
    write_list(&scene.path("lists/c.list"), &["newer.example"]);
    scene.in_time("a list beside a bad configuration", "newer.example");
    scene.replace(&scene.with_b(""));
    scene.until(NEW, true);
    scene.until_ready().await;
    // One that is gone is none, and the one before stays.
    fs::remove_file(scene.file()).unwrap();
    eventually("a reason", || async { scene.reasons().await.concat().contains("there is no such file") }).await;
    assert!(scene.is_blocked(NEW));
    scene.replace(&scene.without_b());
    scene.until(NEW, false);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_being_written_is_left_alone() {
    let scene = following().await;
    let epoch = scene.epoch();
    let text = scene.with_b("");
    let (first, rest) = text.split_at(text.find("[[program]]").unwrap());
    let mut file = OpenOptions::new().write(true).truncate(true).open(scene.file()).unwrap();
    // So far it is a configuration as well: of the shipped programs.
    file.write_all(first.as_bytes()).unwrap();
    scene.during(Duration::from_millis(900), |scene| {
        assert_eq!(scene.epoch(), epoch, "half a configuration is in force");
        assert!(scene.is_blocked(OLD));
    });
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    scene.in_time("a configuration whose writer took its time", NEW);
    scene.end().await;
}

/// The files that it names are followed too, and whoever asks has everything read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_files_are_read_again() {
    let scene = following().await;
    fs::write(scene.path("hosts"), "192.0.2.7 nas.example\n").unwrap();
    let text = config_text(&scene.server.folder, None, &format!("[local]\nhosts = [\"hosts\"]\n{P}"));
    scene.replace(&text);
    let address = async || scene.server.ask("nas.example", RrType::A).await.answer.first().map(|record| record.data[3]);
    eventually("the name", async || address().await == Some(7)).await;
    fs::write(scene.path("hosts"), "192.0.2.8 nas.example\n").unwrap();
    eventually("the other address", async || address().await == Some(8)).await;
    let reloads = scene.reloads().await;
    scene.server.running.reload();
    eventually("lists read again", async || scene.reloads().await >= reloads + 1.0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_told() {
    let scene = following().await;
    scene.replace(&scene.with_b("[process]\nsandbox = false\nread = [\"lists\"]\n"));
    scene.until(NEW, true);
    let reason = "written, and waiting for a restart: process.sandbox, process.read; the values of the start hold";
    assert_eq!(scene.reasons().await, [reason]);
    scene.replace(&scene.with_b(""));
    scene.until_ready().await;
    scene.end().await;
}

/// Zones are forwarded elsewhere from the next question on; what the servers before said is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarders_change_while_it_runs() {
    let server_of = async |last: u8| {
        scripted(move |question| {
            let mut answer = answer_to(question, ResponseCode::NoError);
            let owner = question.queries[0].name().clone();
            answer.answers =
                vec![Record::from_rdata(owner, 300, RData::A(std::net::Ipv4Addr::new(192, 0, 2, last).into()))];
            Some(answer)
        })
        .await
    };
    let ((one, _one), (two, _two)) = (server_of(1).await, server_of(2).await);
    let folder = folder();
    write_list(&folder.path().join("a.list"), &[STEADY]);
    let toml = |servers: &[(&str, SocketAddr)]| {
        let forward = |(zone, server): &(&str, SocketAddr)| {
            format!("[[resolve.forward]]\nzone = \"{zone}\"\nservers = [\"udp://{server}\"]\n")
        };
        let forwards: String = servers.iter().map(forward).collect();
        format!("{forwards}[[program]]\nname = \"p\"\nlists = [{{ path = \"a.list\" }}]\n")
    };
    let server = start_following(folder, None, &[one, two], &toml(&[("corp.example", one)])).await;
    let last = async |name: &str| server.ask(name, RrType::A).await.answer.first().map(|record| record.data[3]);
    assert_eq!(last("host.corp.example").await, Some(1));
    // Special-use names are left to their forwarder.
    assert_eq!(last("x.local").await, None);
    let write = |toml: &str| fs::write(server.path("cleandns.toml"), config_text(&server.folder, None, toml)).unwrap();
    write(&toml(&[("corp.example", two), ("local", one)]));
    eventually("the other server", async || last("host.corp.example").await == Some(2)).await;
    assert_eq!(last("x.local").await, Some(1));
    server.running.stop().await;
}
