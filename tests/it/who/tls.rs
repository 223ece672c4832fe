//! The same over TLS.

use super::serve;
use crate::harness::{Server, eventually};
use std::fs;
use ureq::tls::{RootCerts, TlsConfig};

/// Writes a certificate of its own for 127.0.0.1 and its key; returns the certificate.
pub(super) fn certificate(cert: &std::path::Path, key: &std::path::Path) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(key, made.signing_key.serialize_pem()).unwrap();
    fs::write(cert, made.cert.pem()).unwrap();
    made.cert.pem()
}

/// A client that trusts one certificate and nothing else.
pub(super) fn agent(cert: &str) -> ureq::Agent {
    let cert = ureq::tls::Certificate::from_pem(cert.as_bytes()).unwrap();
    let roots = RootCerts::new_with_certs(&[cert]);
    let tls = TlsConfig::builder().root_certs(roots).build();
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).tls_config(tls).build().into()
}

pub(super) async fn with<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn start() -> (Server, String) {
    let folder = crate::harness::folder();
    let cert = certificate(&folder.path().join("cert.pem"), &folder.path().join("key.pem"));
    let toml = format!(
        "tls_cert = \"{}\"\ntls_key = \"{}\"\n",
        folder.path().join("cert.pem").display(),
        folder.path().join("key.pem").display()
    );
    // The folder stays: the files are read again.
    let _ = folder.keep();
    (serve(&toml).await, cert)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_over_tls_are_for_tls_alone() {
    let (server, cert) = start().await;
    let address = server.running.admin.unwrap();
    let url = format!("https://{address}");
    let own_cert = cert.clone();
    let (status, cookie, page) = with(move || {
        let agent = agent(&own_cert);
        let page = agent.get(format!("{url}/sign-in")).call().unwrap().body_mut().read_to_string().unwrap();
        let body = format!("csrf={}&password=s3cret-of-the-owner", super::form_token(&page));
        let form = agent.post(format!("{url}/do/sign-in")).header("Content-Type", "application/x-www-form-urlencoded");
        let response = form.header("Origin", &url).send(&body).unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        let pair = cookie.split(';').next().unwrap().to_owned();
        let page = agent.get(format!("{url}/")).header("Cookie", &pair).call().unwrap();
        (response.status().as_u16(), cookie, page.status().as_u16())
    })
    .await;
    assert_eq!((status, page), (303, 200));
    assert!(
        cookie.starts_with("__Host-cleandns=") && cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Secure"),
        "{cookie}"
    );
    // Who speaks plainly is told, and disturbs nobody.
    let plain = with(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("http://{address}/healthz")).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    });
    assert_eq!(plain.await, (400, "This is an HTTPS port: ask it by https://.\n".to_owned()));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_up() {
    let (server, old) = start().await;
    let url = format!("https://{}/healthz", server.running.admin.unwrap());
    let (first, at) = (old.clone(), url.clone());
    assert!(with(move || agent(&first).get(at).call().is_ok()).await);
    let (cert, key) = files(&server);
    let new = certificate(&cert, &key);
    let taken = async || {
        let (new, at) = (new.clone(), url.clone());
        with(move || agent(&new).get(at).call().is_ok()).await
    };
    eventually("the new certificate is used", taken).await;
    assert!(with(move || agent(&old).get(url).call().is_err()).await);
    server.running.stop().await;
}

/// Certificate and key, as the configuration of the server names them.
fn files(server: &Server) -> (std::path::PathBuf, std::path::PathBuf) {
    let text = fs::read_to_string(server.path("cleandns.toml")).unwrap();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split('"').nth(1).unwrap().into()
    };
    (value("tls_cert"), value("tls_key"))
}
