//! Who may: every route by everybody, what browsers are believed, how one signs in, and what is written down of it.

mod hot;
mod limits;
mod matrix;
mod meant;
mod proxies;
mod recorded;
mod session;
mod tls;

use crate::{
    harness::{Server, folder, start},
    pages::{Response, attributes, request},
};
use cleandns::admin::{Role, Users};
use std::fs;

const HOST: &str = "Host: localhost\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
/// What a browser says of a page of this server.
const SAME: &str = "Origin: http://localhost\r\n";

/// A server with two tokens, two users, a program, a list and a group.
async fn serve(more: &str) -> Server {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("token"), "s3cret-of-the-owner\n").unwrap();
    fs::write(path("read"), "l00k-and-no-more\n").unwrap();
    fs::write(path("block.list"), "#! cleandns\nblocked.example\n").unwrap();
    users(&path("users"));
    let toml = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\nread_token_file = \"read\"\nusers_file = \"users\"\n{more}\n\
         [policy]\ntime_zone = \"Europe/Berlin\"\n\
         [[program]]\nname = \"strict\"\nlists = [{{ path = \"block.list\" }}]\n\
         [[group]]\nname = \"kids\"\nclients = [\"127.0.0.7\"]\n"
    );
    start(folder, None, &toml).await
}

/// Anna may change things, Bob may look.
fn users(path: &std::path::Path) {
    let mut users = Users::default();
    users.set("anna", Role::Operator, "correct horse").unwrap();
    users.set("bob", Role::ReadOnly, "battery staple").unwrap();
    users.write(path, None).unwrap();
}

/// Sends a body with its length.
async fn send(server: &Server, line: &str, headers: &str, body: &str) -> Response {
    let length = if line.starts_with("GET") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    request(server, line, &format!("{HOST}{headers}{length}"), body).await
}

/// A browser that has signed in.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    /// Signs in with a user's password, or with a token if the user is empty.
    async fn new(server: &Server, user: &str, password: &str) -> Self {
        let response = sign_in(server, user, password).await;
        assert_eq!(response.status, 303, "{}", response.body);
        let cookie = response.header("set-cookie").split(';').next().unwrap().to_owned();
        let session = send(server, "GET /api/v1/session", &format!("Cookie: {cookie}\r\n"), "").await;
        let session: serde_json::Value = serde_json::from_str(&session.body).unwrap();
        Self { csrf: session["csrf"].as_str().unwrap().to_owned(), cookie }
    }

    fn headers(&self) -> String {
        format!("Cookie: {}\r\nAccept: text/html\r\n{SAME}", self.cookie)
    }

    async fn get(&self, server: &Server, path: &str) -> Response {
        send(server, &format!("GET {path}"), &format!("Cookie: {}\r\nAccept: text/html\r\n", self.cookie), "").await
    }

    /// Sends a form as its page would.
    async fn post(&self, server: &Server, path: &str, fields: &str) -> Response {
        let body = format!("csrf={}&{fields}", self.csrf);
        send(server, &format!("POST {path}"), &format!("{}{FORM}", self.headers()), &body).await
    }
}

/// Fills in the form of `/sign-in`.
async fn sign_in(server: &Server, user: &str, password: &str) -> Response {
    sign_in_to(server, user, password, "/").await
}

async fn sign_in_to(server: &Server, user: &str, password: &str, back: &str) -> Response {
    let page = send(server, "GET /sign-in", "Accept: text/html\r\n", "").await;
    let token = form_token(&page.body);
    let body = format!("csrf={token}&back={back}&user={user}&password={}", password.replace(' ', "+"));
    send(server, "POST /do/sign-in", &format!("Accept: text/html\r\n{SAME}{FORM}"), &body).await
}

/// The token of a page's first form.
fn form_token(body: &str) -> String {
    let values = attributes(body, "value");
    (*values.iter().find(|value| value.len() == 64).unwrap_or_else(|| panic!("no token in {body}"))).to_owned()
}

/// The audit log, with times and numbers left out: who, what, key, outcome.
fn audit(server: &Server) -> Vec<String> {
    let text = fs::read_to_string(server.path("state/audit.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let part = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        [part("who"), part("role"), part("by"), part("what"), part("key"), part("outcome")].join(" ")
    };
    text.lines().map(line).collect()
}
