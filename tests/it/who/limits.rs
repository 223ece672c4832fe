//! Whoever tries and tries: passwords, tokens, connections. Nobody keeps the others out.

use super::{HOST, JSON, audit, send, serve, sign_in, users};
use crate::{harness::Server, pages::Response};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

async fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    socket.connect(server.running.admin.unwrap()).await.unwrap()
}

/// A request from another address of this machine.
pub async fn send_from(server: &Server, from: &str, line: &str, headers: &str, body: &str) -> Response {
    let mut stream = connect(server, from).await;
    let length = body.len();
    let text = format!("{line} HTTP/1.1\r\n{HOST}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let headers: BTreeMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Response { status: head.split(' ').nth(1).unwrap().parse().unwrap(), headers, body: body.to_owned() }
}

async fn sign_in_from(server: &Server, from: &str, user: &str, password: &str) -> u16 {
    let body = json!({ "user": user, "password": password }).to_string();
    send_from(server, from, "POST /api/v1/session", JSON, &body).await.status
}

/// Somebody guesses one user's password from many places; its owner can sign in all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_guessed_from_many_places() {
    let server = serve("").await;
    users(&server.path("users"));
    assert_eq!(sign_in_from(&server, "127.0.0.77", "bob", "battery staple").await, 200);
    for host in 10..14 {
        for _ in 0..5 {
            assert_eq!(sign_in_from(&server, &format!("127.0.0.{host}"), "bob", "guess guess").await, 401);
        }
    }
    assert_eq!(sign_in_from(&server, "127.0.0.10", "bob", "battery staple").await, 429, "that address has to wait");
    let began = Instant::now();
    assert_eq!(sign_in_from(&server, "127.0.0.20", "bob", "guess guess").await, 401);
    assert!(began.elapsed() >= Duration::from_secs(2), "guesses take their time: {:?}", began.elapsed());
    // From where he signed in before he does so at once, from elsewhere too, and others aren't touched by it.
    for (from, user, password) in [
        ("127.0.0.77", "bob", "battery staple"),
        ("127.0.0.21", "bob", "battery staple"),
        ("127.0.0.22", "anna", "correct horse"),
        ("127.0.0.23", "", "s3cret-of-the-owner"),
    ] {
        assert_eq!(sign_in_from(&server, from, user, password).await, 200, "{from} {user}");
    }
    // One address doesn't guess all day.
    server.clock.fetch_add(3600, Relaxed);
    for _ in 0..2 {
        for _ in 0..5 {
            assert_eq!(sign_in_from(&server, "127.0.0.30", "bob", "guess guess").await, 401);
        }
        server.clock.fetch_add(300, Relaxed);
    }
    assert_eq!(sign_in_from(&server, "127.0.0.30", "bob", "battery staple").await, 429);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_typed_are_kept_in_part() {
    let server = serve("").await;
    assert_eq!(sign_in(&server, &"ä".repeat(1000), "guess guess").await.status, 401);
    let lines = audit(&server);
    assert_eq!(lines, [format!("{} - page sign-in session refused", "ä".repeat(32))]);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_tokens_wait_and_the_right_one_never_does() {
    let server = serve("").await;
    let shown =
        async |token: &str| send(&server, "GET /api/v1/lists", &format!("Authorization: Bearer {token}\r\n"), "").await;
    for _ in 0..5 {
        assert_eq!(shown("guess-guess-guess").await.status, 401);
    }
    let response = shown("guess-guess-guess").await;
    assert_eq!((response.status, response.header("retry-after")), (429, "300"));
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(problem["type"], "https://cleandns.invalid/problems/too_many");
    assert_eq!(shown("s3cret-of-the-owner").await.status, 200);
    assert_eq!(shown("l00k-and-no-more").await.status, 200);
    assert_eq!(sign_in(&server, "anna", "correct horse").await.status, 303, "to sign in is another matter");
    let other = send_from(&server, "127.0.0.9", "GET /api/v1/lists", "Authorization: Bearer guess\r\n", "").await;
    assert_eq!(other.status, 401, "from elsewhere");
    server.clock.fetch_add(300, Relaxed);
    assert_eq!(shown("guess-guess-guess").await.status, 401);
    let wrong = " - api token bearer refused";
    let lines = audit(&server);
    assert_eq!(lines.iter().filter(|line| *line == wrong).count(), 3, "the first of each place and time: {lines:?}");
    let page = send(&server, "GET /api/v1/changes", "Authorization: Bearer s3cret-of-the-owner\r\n", "").await.body;
    assert!(page.contains("showed a wrong token") && !page.contains("guess-guess"), "{page}");
    server.running.stop().await;
}

/// One address can't take all places for connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_leaves_places_for_others() {
    let server = serve("").await;
    let mut held = Vec::new();
    for _ in 0..96 {
        held.push(connect(&server, "127.0.0.50").await);
    }
    // Connections are accepted in order, so those before have their places when this one is looked at.
    let mut beyond = connect(&server, "127.0.0.50").await;
    let ended = tokio::time::timeout(Duration::from_secs(30), beyond.read(&mut [0])).await.expect("it is closed");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert_eq!(send(&server, "GET /sign-in", "", "").await.status, 200);
    drop(held);
    server.running.stop().await;
}
