//! The API's document: it names every route, is a document by its own rules, and what the server answers is what it says.

mod answers;
mod document;
mod errors;
mod generated;

use crate::{
    harness::{Server, folder, start, write_list},
    internet::Internet,
    pages::{Response, request},
};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::{cell::RefCell, collections::HashMap, fs, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PATH: &str = "/api/v1/openapi.json";
const JSON: &str = "Content-Type: application/json\r\n";
/// Octets of a stream after which is enough known of it.
const ENOUGH_BYTES: usize = 16 << 10;

const TOML: &str = r#"
[[policy.exception]]
names = ["=allowed.blocked.example"]
groups = ["kids"]
reason = "we need it"
until = "2099-01-31"
[[policy.exception]]
names = ["old.example"]
until = "2020-01-31"
[[program]]
name = "strict"
lists = [{ path = "block.list", service = "shop", gate = "hold" }]
[[program]]
name = "watching"
mode = "shadow"
schedule = "Mon-Sun 00:00-24:00 Europe/Berlin"
services = { "seen" = "shadow", "nowhere" = "off" }
lists = [{ path = "watch.list", service = "seen" }, { path = "gone.list" }]
[[group]]
name = "kids"
clients = ["127.0.0.7"]
programs = { watching = "enforce" }
schedule = "Mon-Sun 00:00-24:00"
"#;

/// A server with whatever a view can show.
async fn serve(internet: Option<&Internet>, more: &str) -> Server {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write_list(
        &path("block.list"),
        &[
            "#: title: Shops",
            "#: breaks: shopping",
            "blocked.example # it is",
            "@pass.blocked.example",
            "two words",
            "com",
        ],
    );
    write_list(&path("watch.list"), &["watched.example", "192.0.2.0/24"]);
    fs::write(path("gone.list"), "<html><body>no list</body></html>\n").unwrap();
    fs::write(path("token"), "s3cret-of-the-owner\n").unwrap();
    fs::write(path("read"), "l00k-and-no-more\n").unwrap();
    start(folder, internet, &format!("{more}{TOML}")).await
}

/// What both tokens are needed for.
const TOKENS: &str = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\nread_token_file = \"read\"\n";

/// Sends a request, and reads its response; of one that goes on, the beginning.
async fn send(server: &Server, line: &str, headers: &str, body: &str) -> Response {
    let (length, body) = match line.starts_with("GET") {
        true => (String::new(), ""),
        false => (format!("Content-Length: {}\r\n", body.len()), body),
    };
    let headers = format!("Host: localhost\r\n{headers}{length}");
    if !line.contains("/log/tail") {
        return request(server, line, &headers, body).await;
    }
    let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    stream.write_all(format!("{line} HTTP/1.1\r\n{headers}\r\n{body}").as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("\r\n\r\n") && text.len() < ENOUGH_BYTES {
        let mut octets = [0; 4096];
        let read = stream.read(&mut octets).await.unwrap();
        assert!(read > 0, "{line}: {text}");
        text.push_str(std::str::from_utf8(&octets[..read]).unwrap());
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let mut body = body.as_bytes().to_vec();
    let rest = length.unwrap_or_default().saturating_sub(body.len());
    let mut octets = vec![0; rest];
    stream.read_exact(&mut octets).await.unwrap();
    body.extend(octets);
    Response {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: String::from_utf8(body).unwrap(),
    }
}

/// The document, with what checks by it.
struct Api {
    document: Value,
    /// By what of the document they check, which has no unknown fields for them.
    validators: RefCell<HashMap<String, Arc<Validator>>>,
}

/// One method at one path.
#[derive(Clone, Copy)]
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    told: &'a Value,
}

impl Api {
    async fn of(server: &Server, headers: &str) -> Self {
        let response = send(server, &format!("GET {PATH}"), headers, "").await;
        assert_eq!((response.status, response.header("content-type")), (200, "application/json"), "{}", response.body);
        let document = serde_json::from_str(&response.body).unwrap();
        Self { document, validators: RefCell::default() }
    }

    fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, told)| Operation { path, method, told })
        })
    }

    fn operation(&self, method: &str, path: &str) -> Operation<'_> {
        let found = self.operations().find(|own| own.method.eq_ignore_ascii_case(method) && own.path == path);
        found.unwrap_or_else(|| panic!("{method} {path} isn't described"))
    }

    /// What stands at a pointer, or where it refers to; with that pointer.
    fn at(&self, pointer: &str) -> (String, &Value) {
        let value = self.document.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}"));
        match value["$ref"].as_str() {
            Some(reference) => self.at(reference.strip_prefix('#').unwrap()),
            None => (pointer.to_owned(), value),
        }
    }

    /// Checks a response by what the document says of it; nothing may be in it that isn't described.
    fn check(&self, operation: Operation<'_>, line: &str, response: &Response) {
        let (path, method) = (operation.path.replace('~', "~0").replace('/', "~1"), operation.method);
        let status = response.status.to_string();
        let told = operation.told["responses"].get(&status);
        assert!(told.is_some(), "{line}: {status} isn't described: {}", response.body);
        let (place, told) = self.at(&format!("/paths/{path}/{method}/responses/{status}"));
        let kind = response.header("content-type").split(';').next().unwrap_or_default();
        let Some(content) = told.get("content") else {
            // Outside the API errors are sentences.
            assert!(response.body.is_empty() || response.status >= 400, "{line}: {}", response.body);
            return;
        };
        assert!(content.get(kind).is_some(), "{line}: `{kind}` isn't among {content}");
        if !kind.ends_with("json") {
            return;
        }
        let body: Value = serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{line}: {error}"));
        let schema = format!("{place}/content/{}/schema", kind.replace('/', "~1"));
        if let Some(wrong) = self.wrong(&schema, &body) {
            panic!("{line}: {status} {wrong}\n{body}");
        }
    }

    /// What is wrong with a value by the schema at a place.
    fn wrong(&self, place: &str, value: &Value) -> Option<String> {
        let validator = {
            let mut all = self.validators.borrow_mut();
            let validator = all.entry(place.to_owned()).or_insert_with(|| {
                // Braces aren't signs of an address.
                let address = place.replace('{', "%7B").replace('}', "%7D");
                let mut schema = json!({ "$ref": format!("#{address}") });
                for part in ["paths", "components"] {
                    schema[part] = self.document[part].clone();
                    close(&mut schema[part]);
                }
                let options = jsonschema::draft202012::options().should_validate_formats(true);
                Arc::new(options.build(&schema).unwrap())
            });
            validator.clone()
        };
        let wrong: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        Some(wrong.join("; ")).filter(|wrong| !wrong.is_empty())
    }
}

/// Has schemas of objects take no other fields than those that they name.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Object(all) => {
            all.values_mut().for_each(close);
            let is_object = all.get("type").is_some_and(|kind| kind == "object" || kind == &json!(["object", "null"]));
            if is_object && all.get("properties").is_some_and(Value::is_object) {
                all.entry("unevaluatedProperties").or_insert(false.into());
            }
        }
        _ => {}
    }
}

/// The last part of a problem's type.
fn word(response: &Response) -> String {
    let body: Value = serde_json::from_str(&response.body).unwrap_or_default();
    body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned()
}
