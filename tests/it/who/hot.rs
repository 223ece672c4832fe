//! Another `[admin]` while the server runs.

use super::*;
use crate::{
    harness::{configure, eventually, start_following},
    who::tls::{agent, certificate, with},
};

/// The configuration of `serve`, with another `[admin]`.
async fn says(server: &Server, admin: &str) -> Vec<&'static str> {
    let toml = format!(
        "[admin]\n{admin}\n[policy]\ntime_zone = \"Europe/Berlin\"\n[[program]]\nname = \"strict\"\n\
         lists = [{{ path = \"block.list\" }}]\n[[group]]\nname = \"kids\"\nclients = [\"127.0.0.7\"]\n"
    );
    let config = configure(&server.folder, None, &toml);
    server.running.changing.files_say(config).await.unwrap().waiting
}

async fn status_by(server: &Server, token: &str) -> u16 {
    send(server, "GET /api/v1/lists", &format!("Authorization: Bearer {token}\r\n"), "").await.status
}

const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_tokens_and_users_count_at_once_and_end_what_others_began() {
    let server = serve("").await;
    let (anna, by_token) =
        (Browser::new(&server, "anna", "correct horse").await, Browser::new(&server, "", "s3cret-of-the-owner").await);
    assert_eq!((anna.get(&server, "/").await.status, by_token.get(&server, "/").await.status), (200, 200));
    fs::write(server.path("new-token"), "n3w-one-of-the-owner\n").unwrap();
    let same_users = format!("{LISTEN}token_file = \"new-token\"\nusers_file = \"users\"\n");
    assert_eq!(says(&server, &same_users).await, [""; 0]);
    assert_eq!(
        [status_by(&server, "s3cret-of-the-owner").await, status_by(&server, "l00k-and-no-more").await],
        [401, 401]
    );
    assert_eq!(status_by(&server, "n3w-one-of-the-owner").await, 200);
    // Who signed in by a password is still who they were; a token that is gone opens nothing.
    assert_eq!(anna.get(&server, "/").await.status, 200);
    assert_ne!(by_token.get(&server, "/").await.status, 200);
    assert_eq!(says(&server, &format!("{LISTEN}token_file = \"new-token\"\n")).await, [""; 0]);
    assert_ne!(anna.get(&server, "/").await.status, 200);
    // Without any secret it is open to this machine, as it would be after a start.
    assert_eq!(says(&server, LISTEN).await, [""; 0]);
    assert_eq!(send(&server, "GET /api/v1/lists", "", "").await.status, 200);
    // A file that is of no use changes nothing.
    fs::write(server.path("bad"), "nobody\n").unwrap();
    let config = configure(&server.folder, None, &format!("[admin]\n{LISTEN}users_file = \"bad\"\n"));
    let why = server.running.changing.files_say(config).await.unwrap_err().to_string();
    assert!(why.contains("bad:1: "), "{why}");
    assert_eq!(send(&server, "GET /api/v1/lists", "", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_certificate_and_audit_log_follow() {
    let server = serve("").await;
    let by_name = async |host: &str| request(&server, "GET /sign-in", &format!("Host: {host}\r\n"), "").await.status;
    assert_eq!(by_name("dns.corp.example").await, 421);
    let own = format!("{LISTEN}token_file = \"token\"\n");
    assert_eq!(
        says(&server, &format!("{own}names = [\"dns.corp.example\"]\naudit = \"elsewhere.jsonl\"\n")).await,
        [""; 0]
    );
    assert_eq!(by_name("dns.corp.example").await, 200);
    assert_eq!(sign_in(&server, "", "s3cret-of-the-owner").await.status, 303);
    let told = fs::read_to_string(server.path("elsewhere.jsonl")).unwrap();
    assert!(told.contains("\"sign-in\"") && !audit(&server).iter().any(|line| line.contains("sign-in")), "{told}");
    let cert = certificate(&server.path("cert.pem"), &server.path("key.pem"));
    assert_eq!(says(&server, &format!("{own}tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n")).await, [""; 0]);
    let url = format!("{}/healthz", server.running.admin.unwrap());
    let at = url.clone();
    assert!(with(move || agent(&cert).get(format!("https://{at}")).call().is_ok()).await);
    let at = url.clone();
    assert!(with(move || ureq::get(format!("http://{at}")).call().is_err()).await);
    assert_eq!(says(&server, &own).await, [""; 0]);
    assert!(with(move || ureq::get(format!("http://{url}")).call().is_ok()).await);
    // The address stays, and is told.
    assert_eq!(says(&server, "listen = \"127.0.0.2:0\"\ntoken_file = \"token\"\n").await, ["admin.listen"]);
}

/// A secret is part of the configuration, though it has a file of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_written_anew_counts() {
    let folder = folder();
    fs::write(folder.path().join("token"), "s3cret-of-the-owner\n").unwrap();
    let server = start_following(folder, None, &[], &format!("[admin]\n{LISTEN}token_file = \"token\"\n")).await;
    assert_eq!(status_by(&server, "s3cret-of-the-owner").await, 200);
    fs::write(server.path("token.new"), "n3w-one-of-the-owner\n").unwrap();
    fs::rename(server.path("token.new"), server.path("token")).unwrap();
    eventually("the new token counts", || async { status_by(&server, "n3w-one-of-the-owner").await == 200 }).await;
    // The new one was tried before it counted, more often than one may be wrong.
    assert!([401, 429].contains(&status_by(&server, "s3cret-of-the-owner").await));
    server.running.stop().await;
}
