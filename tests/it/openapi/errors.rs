//! What is refused is refused as a problem (RFC 9457) that the document names, in words of ours.

use super::{Api, JSON, Operation, TOKENS, send, serve, word};
use crate::pages::{Response, request};
use serde_json::{Value, json};

/// What the framework, or what it reads with, says of itself.
const WORDS_OF_OTHERS: [&str; 6] = [
    "Failed to deserialize",
    "Failed to parse the request body",
    "Expected request with",
    "Cannot parse",
    "Invalid URL",
    "target type",
];

/// A path with something in its variables.
fn filled(path: &str) -> String {
    let part = |part: &str| match part {
        "{program}" => "strict".to_owned(),
        part if part.starts_with('{') => "1".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Checks an error of the API, and returns its word.
fn problem(line: &str, response: &Response) -> String {
    let body: Value =
        serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{line}: {error}: {}", response.body));
    assert_eq!(response.header("content-type"), "application/problem+json", "{line}");
    assert_eq!(body["status"], response.status, "{line}: {body}");
    let path = line.split(' ').nth(1).unwrap().split('?').next().unwrap();
    assert_eq!(body["instance"], path, "{line}: {body}");
    assert!(!body["title"].as_str().unwrap().is_empty(), "{line}: {body}");
    let kind = body["type"].as_str().unwrap();
    assert!(kind.starts_with("https://cleandns.invalid/problems/"), "{line}: {body}");
    for words in WORDS_OF_OTHERS {
        assert!(!response.body.contains(words), "{line}: {body}");
    }
    word(response)
}

fn interfaces(api: &Api) -> impl Iterator<Item = (Operation<'_>, String)> {
    let all = api.operations().filter(|own| own.path.starts_with("/api/"));
    all.map(|own| (own, format!("{} {}", own.method.to_uppercase(), filled(own.path))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cant_be_read_is_a_problem_that_is_described() {
    let server = serve(None, "").await;
    let api = Api::of(&server, "").await;
    for (own, line) in interfaces(&api) {
        let is_read = own.method == "get";
        let refused = async |line: &str, headers: &str, body: &str, expected: &[(u16, &str)]| -> Value {
            let response = send(&server, line, headers, body).await;
            let word = problem(line, &response);
            assert!(expected.contains(&(response.status, word.as_str())), "{line} {body}: {}", response.body);
            api.check(own, line, &response);
            serde_json::from_str(&response.body).unwrap()
        };
        let unknown = (400, "bad_request");
        // Who misspells a word doesn't get something else than what was meant. What isn't there is told first, or likewise.
        let told = refused(&format!("{line}?no_such_word=1"), JSON, "{}", &[unknown, (404, "no_such_thing")]).await;
        assert!(told["status"] == 404 || told["problems"][0]["field"] == "no_such_word", "{line}: {told}");
        if !is_read {
            if own.told["parameters"].to_string().contains("dry_run") {
                let told = refused(&format!("{line}?dry_run=perhaps"), JSON, "{}", &[unknown]).await;
                assert_eq!(told["problems"][0]["field"], "dry_run", "{line}: {told}");
            }
            let form = "Content-Type: application/x-www-form-urlencoded\r\n";
            refused(&line, form, "a=1", &[(415, "not_json")]).await;
            refused(&line, "", "{}", &[(415, "not_json")]).await;
            refused(&line, JSON, &" ".repeat((64 << 10) + 1), &[(413, "too_large")]).await;
            let foreign = format!("{JSON}Origin: http://evil.example\r\n");
            refused(&line, &foreign, "{}", &[(403, "csrf")]).await;
        }
        if own.told.get("requestBody").is_some() {
            let is_required = own.told["requestBody"]["required"] == true;
            assert_eq!(is_required, !own.path.ends_with("/undo"), "{line}: its body");
            for body in ["", "{", "[1,", "\"\u{1}\"", "{,"].into_iter().filter(|body| is_required || !body.is_empty()) {
                refused(&line, JSON, body, &[unknown]).await;
            }
            for body in ["[[]]", "1", "null", "\"text\""] {
                refused(&line, JSON, body, &[(422, "invalid")]).await;
            }
            let told = refused(&line, JSON, r#"{ "no_such_field": 1 }"#, &[(422, "invalid")]).await;
            assert_eq!(told["problems"][0]["field"], "no_such_field", "{line}: {told}");
        }
        // Without a Host, by a foreign one, and by a method that there isn't.
        let head = format!("{JSON}Content-Length: 2\r\n");
        let response = request(&server, &line, &head, "{}").await;
        assert_eq!((response.status, problem(&line, &response).as_str()), (400, "bad_request"));
        let response = request(&server, &line, &format!("Host: evil.example\r\n{head}"), "{}").await;
        assert_eq!((response.status, problem(&line, &response).as_str()), (421, "other_host"));
        api.check(own, &line, &response);
        let other = format!("TRACE {}", filled(own.path));
        let response = send(&server, &other, JSON, "{}").await;
        assert_eq!((response.status, problem(&other, &response).as_str()), (405, "method"));
        assert!(response.header("allow").to_lowercase().contains(own.method), "{other}: {}", response.header("allow"));
    }
    for line in
        ["GET /api", "GET /api/", "GET /api/v1", "GET /api/v2/log", "POST /api/v1/nothing", "GET /api/v1/lists/"]
    {
        let response = send(&server, line, JSON, if line.starts_with("POST") { "{}" } else { "" }).await;
        assert_eq!((response.status, problem(line, &response).as_str()), (404, "no_such_thing"), "{line}");
    }
    server.running.stop().await;
}

/// Fields that don't fit are named, in queries, bodies and paths.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_dont_fit_are_named() {
    let server = serve(None, "").await;
    for (line, body, status, field) in [
        ("GET /api/v1/overview/top?of=everything", "", 422, "of"),
        ("GET /api/v1/overview/top", "", 400, "of"),
        ("GET /api/v1/overview/top?of=names&hours=many", "", 400, "hours"),
        ("GET /api/v1/overview/top?of=names&hours=0", "", 422, "hours"),
        ("GET /api/v1/overview/top?of=names&limit=101", "", 422, "limit"),
        ("GET /api/v1/overview/time_line?step=61", "", 422, "step"),
        ("GET /api/v1/overview/time_line?from=yesterday", "", 422, "from"),
        ("GET /api/v1/overview/time_line?from=0001-01-01T00:00:00Z&step=60", "", 422, "from"),
        ("GET /api/v1/clients?hours=-1", "", 400, "hours"),
        ("GET /api/v1/log?verdict=maybe", "", 422, "verdict"),
        ("GET /api/v1/log?limit=many", "", 422, "limit"),
        ("GET /api/v1/log/tail?type=NONSENSE", "", 422, "type"),
        ("GET /api/v1/changes?before=x", "", 400, "before"),
        ("GET /api/v1/explain", "", 400, "name"),
        ("POST /api/v1/pause", r#"{ "seconds": "many" }"#, 422, "seconds"),
        ("POST /api/v1/pause", "{}", 422, "seconds"),
        ("POST /api/v1/pause", r#"{ "group": "nobody", "seconds": 1 }"#, 422, "group"),
        ("POST /api/v1/cache/flush", r#"{ "name": "a..example" }"#, 422, "name"),
        ("POST /api/v1/cache/flush", r#"{ "subtree": 1 }"#, 422, "subtree"),
        ("POST /api/v1/lists/update", r#"{ "list": "x" }"#, 422, "list"),
        ("PUT /api/v1/modes", r#"{ "program": "strict", "mode": "loud" }"#, 422, "mode"),
        ("PUT /api/v1/modes", r#"{ "mode": "off" }"#, 422, "program"),
        ("PUT /api/v1/schedules", r#"{ "group": "kids", "schedule": "sometimes" }"#, 422, "schedule"),
        ("POST /api/v1/exceptions", r#"{ "names": ["a.example", 1] }"#, 422, "names[1]"),
        ("POST /api/v1/exceptions", r#"{ "names": ["a..example"] }"#, 422, "names"),
        ("POST /api/v1/blocks", r#"{ "name": "a.example", "until": "soon" }"#, 422, "until"),
    ] {
        let response = send(&server, line, JSON, body).await;
        let word = problem(line, &response);
        let told: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!((response.status, &told["problems"][0]["field"]), (status, &json!(field)), "{line} {body}: {told}");
        assert_eq!(word, if status == 400 { "bad_request" } else { "invalid" }, "{line}");
        assert!(told["detail"].as_str().unwrap().contains(field), "{line}: {told}");
    }
    for line in [
        "GET /api/v1/log/x",
        "GET /api/v1/log/99999999999999999999",
        "POST /api/v1/changes/x/undo",
        "DELETE /api/v1/blocks/%00",
    ] {
        let response = send(&server, line, JSON, if line.starts_with("GET") { "" } else { "{}" }).await;
        assert_eq!((response.status, problem(line, &response).as_str()), (404, "no_such_thing"), "{line}");
    }
    server.running.stop().await;
}

/// Who isn't known, who may only look, and who tries too often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_so() {
    let server = serve(None, TOKENS).await;
    let read = "Authorization: Bearer l00k-and-no-more\r\n";
    let api = Api::of(&server, read).await;
    for (own, line) in interfaces(&api) {
        let is_to_sign_in = line == "POST /api/v1/session";
        if !is_to_sign_in {
            let response = send(&server, &line, JSON, "{}").await;
            assert_eq!((response.status, problem(&line, &response).as_str()), (401, "not_signed_in"));
            assert_eq!(response.header("www-authenticate"), "Bearer", "{line}");
            api.check(own, &line, &response);
        }
        if own.told["x-role"] == "operator" {
            let response = send(&server, &line, &format!("{read}{JSON}"), "{}").await;
            assert_eq!((response.status, problem(&line, &response).as_str()), (403, "read_only"));
            api.check(own, &line, &response);
        }
    }
    let (line, own) = ("POST /api/v1/session", api.operation("post", "/api/v1/session"));
    let right = send(&server, line, JSON, r#"{ "password": "s3cret-of-the-owner" }"#).await;
    assert_eq!(right.status, 200, "{}", right.body);
    api.check(own, line, &right);
    let cookie = right.header("set-cookie").split(';').next().unwrap().to_owned();
    let session = send(&server, "GET /api/v1/session", &format!("Cookie: {cookie}\r\n"), "").await;
    assert!(session.body.contains("\"expires\""), "{}", session.body);
    api.check(api.operation("get", "/api/v1/session"), "GET /api/v1/session", &session);
    let mut words = Vec::new();
    for _ in 0..8 {
        let wrong = send(&server, line, JSON, r#"{ "password": "other" }"#).await;
        words.push(problem(line, &wrong));
        api.check(own, line, &wrong);
        if wrong.status == 429 {
            assert!(wrong.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }
    assert_eq!((words.first().unwrap().as_str(), words.last().unwrap().as_str()), ("not_signed_in", "too_many"));
    server.running.stop().await;
}

/// Where nothing can be kept, and where nothing is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_no_place_for_is_a_problem() {
    let server = serve(None, "[query_log]\nenabled = false\n").await;
    let api = Api::of(&server, "").await;
    for line in ["GET /api/v1/log", "GET /api/v1/overview/top?of=names"] {
        let response = send(&server, line, "", "").await;
        let path = line.split([' ', '?']).nth(1).unwrap();
        assert_eq!((response.status, problem(line, &response).as_str()), (404, "no_such_thing"), "{line}");
        api.check(api.operation("get", path), line, &response);
    }
    server.running.stop().await;
}
