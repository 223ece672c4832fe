//! What becomes of kept answers, and of those who wait for one, when the process ends.

use super::*;
use std::time::Instant;

/// Who asks the same as others is waited for, too, when it is time to leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leaving_waits_for_all_who_wait_for_one_answer() {
    let internet = Internet::start().await;
    let server = serve(&internet, "").await;
    server.ask("www.signed.org", RrType::A).await;
    internet.set_delay(Duration::from_millis(400));
    let (address, packet) = (server.dns(), Ask::new("api.signed.org", RrType::TXT).packet());
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let packet = packet.clone();
            tokio::spawn(async move { over_udp(address, &packet).await })
        })
        .collect();
    eventually("all wait", || async { server.running.pipeline.misses_free() + 50 == cleandns::query::MISSES_MAX })
        .await;
    let Server { running, folder: _kept, .. } = server;
    running.stop().await;
    for one in asking {
        assert!(one.await.unwrap().is_some());
    }
}

/// What was kept outlasts the process, if the owner wants it, and is as old as it is; a file that is damaged or of other
/// settings is as good as none, and one of which nobody knows how old it is serves for want of better answers alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_outlast_the_process() {
    const SAVE: &str = "[cache]\nsave = true\n";
    let internet = Internet::start().await;
    let stop = async |server: Server| {
        let Server { running, folder, .. } = server;
        running.stop().await;
        folder
    };
    let began = Instant::now();
    let server = start(folder(), Some(&internet), SAVE).await;
    let first = ttl(&server.ask("www.signed.org", RrType::A).await);
    server.ask("no-such-name.signed.org", RrType::A).await;
    server.clock.fetch_sub(7, Ordering::Relaxed);
    let mut kept = stop(server).await;
    let file = kept.path().join("state/answers");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let whole = std::fs::read(&file).unwrap();
    // Seven seconds later, and what the process before and this one took.
    let server = start(kept, Some(&internet), SAVE).await;
    assert!(!file.exists(), "it is read once");
    internet.set_silent(true);
    let again = server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
    // The tests' clock stands still while a server runs, so that this time may count twice; each is rounded.
    let most = 7 + 2 * (began.elapsed().as_secs() as u32 + 1);
    assert!((7..=most).contains(&(first - ttl(&again))), "{first}, then {}", ttl(&again));
    assert!(again.ad, "validated once");
    assert_eq!(server.ask("no-such-name.signed.org", RrType::A).await.rcode, Rcode::NXDOMAIN);
    assert_eq!(server.ask("other.signed.org", RrType::A).await.rcode, Rcode::SERVFAIL, "nobody can be asked");
    // What a process before left meanwhile goes with a flush.
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(server.post("/api/v1/cache/flush", "{}").await.0, 200);
    assert!(!file.exists(), "flushed");
    internet.set_silent(false);
    kept = stop(server).await;
    let text = whole.iter().position(|octet| *octet == b'\n').unwrap();
    let line = std::str::from_utf8(&whole[..text]).unwrap();
    let (words, seconds) = line.rsplit_once(" this ").unwrap();
    let answers = &whole[text..whole.len() - 32];
    let signed = |line: &str, answers: &[u8]| {
        let content = [line.as_bytes(), answers].concat();
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        [&content, digest.as_ref()].concat()
    };
    let changed = |at: usize| {
        let mut octets = whole.clone();
        octets[at] ^= 1;
        octets
    };
    let later = seconds.parse::<u64>().unwrap() + 1_000_000;
    let others =
        "[resolve]\nroot_hints = \"root.hints\"\ntrust_anchors = \"root.ds\"\nipv6 = false\nvalidate = false\n";
    for (what, octets, more, found) in [
        ("as it was", whole.clone(), "", 2),
        ("damaged", changed(whole.len() / 2), "", 0),
        ("longer", [&whole[..], b"x"].concat(), "", 0),
        ("cut", whole[..whole.len() - 40].to_vec(), "", 0),
        ("empty", Vec::new(), "", 0),
        ("of other settings", whole.clone(), others, 0),
        ("another boot", signed(&format!("{words} other {seconds}"), answers), "", 2),
        ("no time", signed(&format!("{words} this soon"), answers), "", 2),
        ("later than now", signed(&format!("{words} this {later}"), answers), "", 2),
        ("older than the clock", signed(&format!("{words} this 0"), answers), "", 0),
        ("another version", signed(&line.replace("answers 0", "answers 9"), answers), "", 0),
        ("no boot", signed(words, answers), "", 0),
        ("an answer without end", signed(line, b"\n\xff\xff\xff\xff"), "", 0),
        ("an answer cut off", signed(line, b"\n\x00\x00\x00\x09x"), "", 0),
        ("an answer of nothing", signed(line, b"\n\x00\x00\x00\x00"), "", 0),
    ] {
        std::fs::write(&file, octets).unwrap();
        let server = start(kept, Some(&internet), &format!("{SAVE}{more}")).await;
        let entries = server.json("/api/v1/cache").await["entries"].as_u64();
        assert_eq!(entries, Some(found), "{what}");
        assert!(!file.exists(), "{what}");
        if ["another boot", "no time", "later than now"].contains(&what) {
            internet.set_silent(true);
            let stale = server.ask_with(&Ask { ad: true, ..Ask::new("www.signed.org", RrType::A) }).await;
            assert_eq!((stale.rcode, stale.ede_code(), stale.ad), (Rcode::NOERROR, 3, false), "{what}");
            internet.set_silent(false);
        }
        kept = stop(server).await;
    }
    // Without the option nothing is written, and what was is gone.
    let server = start(kept, Some(&internet), "").await;
    assert!(!file.exists());
    server.ask("www.signed.org", RrType::A).await;
    let _kept = stop(server).await;
    assert!(!file.exists());
}

/// Who can't start takes nothing from who comes next.
#[test]
fn a_failed_start_leaves_kept_answers() {
    // By the program itself: the harness removes a folder with its server.
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let file = folder.path().join("state/answers");
    std::fs::write(&file, "left by another").unwrap();
    let toml = format!(
        "[listen]\ndo53 = [\"127.0.0.1:0\"]\n[state]\ndir = \"state\"\n[cache]\nsave = true\n[admin]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(folder.path().join("own.toml"), toml).unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_cleandns"))
        .args(["serve", "--config", "own.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert!(file.exists(), "{}", String::from_utf8_lossy(&ended.stderr));
}
