//! The log over HTTP: what was asked is found, explained and shown as it comes.

use crate::harness::{Ask, DEADLINE, Server, eventually, folder, start, write_list};
use cleandns::dns::RrType;
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PROGRAMS: &str = r#"
[[policy.exception]]
names = ["=allowed.blocked.example"]
reason = "we need it"
[[program]]
name = "strict"
lists = [{ path = "strict.list", service = "shop" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watching.list", service = "cloud" }]
[[group]]
name = "guests"
clients = ["127.0.0.9"]
"#;

async fn serve(more: &str) -> Server {
    let folder = folder();
    write_list(&folder.path().join("strict.list"), &["blocked.example # it is", "@pass.blocked.example"]);
    write_list(&folder.path().join("watching.list"), &["*.blocked.example", "watched.example"]);
    start(folder, None, &format!("{more}{PROGRAMS}")).await
}

/// Asks what each kind of verdict is about, from two clients: 2 blocked, 1 that would be, 2 excepted, 1 passed.
async fn ask(server: &Server) {
    for (client, name, rr_type) in [
        ("127.0.0.1", "a.blocked.example", RrType::AAAA),
        ("127.0.0.9", "b.blocked.example", RrType::A),
        ("127.0.0.9", "watched.example", RrType::A),
        ("127.0.0.1", "pass.blocked.example", RrType::HTTPS),
        ("127.0.0.1", "allowed.blocked.example", RrType::A),
        ("127.0.0.1", "localhost", RrType::A),
    ] {
        server.ask_from(client, &Ask::new(name, rr_type)).await;
    }
    eventually("all recorded", || async { names(server, "").await.len() >= 6 }).await;
}

/// Names of the rows that a search finds, the newest first.
async fn names(server: &Server, query: &str) -> Vec<String> {
    let view = server.json(&format!("/api/v1/log{query}")).await;
    view["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_found_by_all_that_is_kept_of_them() {
    let server = serve("").await;
    assert_eq!(names(&server, "").await.len(), 0, "nothing was asked yet");
    ask(&server).await;
    for (query, expected) in [
        ("?verdict=blocked", &["b.blocked.example", "a.blocked.example"][..]),
        ("?verdict=would-block", &["pass.blocked.example", "watched.example"]),
        ("?verdict=excepted,passed", &["localhost", "allowed.blocked.example"]),
        ("?client=127.0.0.9", &["watched.example", "b.blocked.example"]),
        ("?client=127.0.0.8/31", &["watched.example", "b.blocked.example"]),
        ("?service=watching/cloud&client=127.0.0.9", &["watched.example", "b.blocked.example"]),
        ("?program=strict&verdict=blocked&type=AAAA", &["a.blocked.example"]),
        ("?name=.blocked.example&type=HTTPS", &["pass.blocked.example"]),
        ("?name=%3Dwatched.example&from=1h", &["watched.example"]),
        ("?name=local&to=1h", &[]),
    ] {
        let (mut found, mut expected) = (names(&server, query).await, expected.to_vec());
        // Two workers answer, and what is resolved is noted when its time comes.
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    // Page by page, and back.
    let first = server.json("/api/v1/log?limit=4").await;
    assert_eq!((first["rows"].as_array().unwrap().len(), first.get("previous")), (4, None));
    let next = first["next"].as_str().unwrap();
    let second = server.json(&format!("/api/v1/log?limit=4&before={next}")).await;
    assert_eq!(second["rows"].as_array().unwrap().len(), 2, "{second}");
    assert!(second.get("next").is_none() && second.get("scanned_until").is_none(), "{second}");
    let back = format!("/api/v1/log?limit=4&after={}", second["previous"].as_str().unwrap());
    assert_eq!(server.json(&back).await["rows"], first["rows"]);
    // One, with its line.
    let row = &server.json("/api/v1/log?name=a.blocked.example").await["rows"][0];
    let one = server.json(&format!("/api/v1/log/{}", row["id"])).await;
    assert_eq!((&one["name"], &one["fate"], &one["type"]), (&row["name"], &json!("blocked"), &json!("AAAA")));
    assert_eq!(one["verdicts"][0]["acted"], true);
    let lines = one["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{one}");
    assert_eq!((&lines[0]["text"], &lines[0]["is_current"]), (&json!("blocked.example # it is"), &json!(true)));
    // When the list is another, the line is that of its text then, if that is kept.
    let epoch = server.metric("cleandns_policy_epoch", &[]).await;
    write_list(&server.path("strict.list"), &["other.example", "blocked.example"]);
    eventually("a reload", || async { server.metric("cleandns_policy_epoch", &[]).await > epoch }).await;
    let one = server.json(&format!("/api/v1/log/{}", row["id"])).await;
    let line = &one["lines"][0];
    assert_eq!((&line["text"], &line["is_current"]), (&json!("blocked.example # it is"), &json!(false)), "{one}");
    server.running.stop().await;
}

/// What exceptions did is in the row: by which rule and why, what would be blocked but for them, and what was stronger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_tells_which_exceptions_were_considered() {
    let more = "[[policy.exception]]\nnames = [\"needless.example\", \"other.example\"]\nreason = \"<b>old\"\n";
    let server = serve(more).await;
    ask(&server).await;
    for name in ["www.needless.example", "x.watched.example"] {
        server.ask(name, RrType::A).await;
    }
    eventually("all recorded", || async { names(&server, "").await.len() >= 8 }).await;
    let row = async |name: &str| server.json(&format!("/api/v1/log?name=%3D{name}")).await["rows"][0].clone();
    let said = |row: &Value| -> Vec<String> {
        let all = row["overruled"].as_array().into_iter().flatten();
        let told = |own: &Value| {
            ["outcome", "program", "service", "list", "rule"].map(|field| own[field].as_str().unwrap().to_owned())
        };
        all.map(|own| told(own).join(" ")).collect()
    };
    // The owner's exception for all: what both programs would have done.
    let allowed = row("allowed.blocked.example").await;
    assert_eq!(allowed["fate"], "excepted", "{allowed}");
    assert_eq!(
        (&allowed["owner_rule"], &allowed["owner_reason"]),
        (&json!("=allowed.blocked.example"), &json!("we need it"))
    );
    let expected =
        ["block strict shop strict.list blocked.example", "would-block watching cloud watching.list *.blocked.example"];
    assert_eq!(said(&allowed), expected);
    // So it is found by what would have blocked it.
    for query in ["?service=strict/shop&verdict=excepted", "?program=watching&verdict=excepted"] {
        assert_eq!(names(&server, query).await, ["allowed.blocked.example"], "{query}");
    }
    // Of its own page, with the lines; in the API as in the page.
    let one = server.json(&format!("/api/v1/log/{}", allowed["id"])).await;
    assert_eq!(one["lines"][0]["text"], "blocked.example # it is", "{one}");
    assert_eq!(one["lines"].as_array().unwrap().len(), 2);
    let (_, page) = server.get(&format!("/log/{}", allowed["id"])).await;
    for part in [
        "let it pass; but for it, strict/shop would have blocked it.",
        "is for <code>=allowed.blocked.example</code>: we need it",
        "strict/shop would block it, but for an exception",
        "blocked.example # it is",
        "/log?service=strict%2Fshop",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // A list's own exception: its program's rule is told, and another program is not passed by it.
    let pass = row("pass.blocked.example").await;
    assert_eq!(
        (&pass["fate"], said(&pass)),
        (&json!("would-block"), vec!["block strict shop strict.list blocked.example".to_owned()])
    );
    // One that nothing would have blocked is no exception made.
    let needless = row("www.needless.example").await;
    assert_eq!((&needless["fate"], said(&needless).len()), (&json!("passed"), 0), "{needless}");
    assert_eq!((&needless["owner_rule"], &needless["owner_reason"]), (&json!("needless.example"), &json!("<b>old")));
    let (_, page) = server.get(&format!("/log/{}", needless["id"])).await;
    assert!(page.contains("Nothing would block it; your exception at ") && page.contains("&#60;b&#62;old"), "{page}");
    assert_eq!(names(&server, "?verdict=excepted").await, ["allowed.blocked.example"]);
    assert_eq!(server.metric("cleandns_query_fates_total", &["fate=\"excepted\""]).await, 1.0);
    assert_eq!(server.json("/api/v1/overview").await["totals"]["excepted"]["part"], 1);
    server.running.stop().await;
}

/// An opened row says what the policy of now says to it, and why each exception that it considers counts or doesn't, from
/// what is kept: nothing is asked of anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_tells_what_the_policy_of_now_says() {
    let more = r#"
[[policy.exception]]
names = ["a.blocked.example"]
groups = ["guests"]
reason = "<b>guests"
[[policy.exception]]
names = ["a.blocked.example"]
until = "2020-01-31"
"#;
    let server = serve(more).await;
    ask(&server).await;
    let row = async |name: &str| server.json(&format!("/api/v1/log?name=%3D{name}")).await["rows"][0].clone();
    let opened = async |row: &Value| server.json(&format!("/api/v1/log/{}", row["id"])).await["as_of_now"].clone();
    let told = |now: &Value| -> Vec<(bool, String)> {
        let all = now["exceptions"].as_array().unwrap().iter();
        all.map(|own| (own["counts"].as_bool().unwrap(), own["why"].as_str().unwrap().to_owned())).collect()
    };
    let blocked = row("a.blocked.example").await;
    let now = opened(&blocked).await;
    assert_eq!((&now["action"], &now["client"], &now["type"]), (&json!("block"), &json!("127.0.0.1"), &json!("AAAA")));
    let expected =
        [(false, "it is for guests, and this client is in no group".to_owned()), (false, "it has ended".to_owned())];
    assert_eq!(told(&now), expected, "{now}");
    assert_eq!((&now["exceptions"][0]["reason"], now.get("answer")), (&json!("<b>guests"), Some(&Value::Null)));
    assert_eq!(now["unknown"], json!([]), "of a blocked question nothing leads anywhere");
    let (_, page) = server.get(&format!("/log/{}", blocked["id"])).await;
    for part in [
        "By the policy of now",
        "a.blocked.example is blocked by strict/shop",
        "doesn&#39;t count",
        "(&#60;b&#62;guests): it is for guests, and this client is in no group.",
        "it has ended.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // The same words as of the function that explains.
    let explained = server.json("/api/v1/explain?name=a.blocked.example&type=AAAA&client=127.0.0.1").await;
    assert_eq!((&explained["exceptions"], &explained["summary"]), (&now["exceptions"], &now["summary"]));
    let (_, page) = server.get("/explain?name=a.blocked.example&type=AAAA&client=127.0.0.1").await;
    assert!(page.contains("it is for guests, and this client is in no group."), "{page}");
    // One program's exception is no other's, and what isn't kept isn't made up.
    let pass = opened(&row("pass.blocked.example").await).await;
    let all = told(&pass);
    assert_eq!(all.len(), 1, "{pass}");
    assert!(all[0].0 && all[0].1.ends_with("an exception of strict is for no other program"), "{all:?}");
    assert!(pass["unknown"][0].as_str().unwrap().starts_with("The log doesn't have where the name led"), "{pass}");
    // It is of now: what was blocked passes by an exception made since.
    let made = json!({ "names": ["=a.blocked.example"], "reason": "since" }).to_string();
    assert_eq!(server.post("/api/v1/exceptions", &made).await.0, 201);
    let now = opened(&blocked).await;
    assert_eq!((&now["action"], &blocked["fate"]), (&json!("pass"), &json!("blocked")));
    assert!(
        told(&now).iter().any(|(counts, why)| *counts && why.starts_with("it lets the whole answer pass")),
        "{now}"
    );
    server.running.stop().await;
}

/// It is no answer, though no list said anything against it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_is_told_as_refused() {
    let server = serve("[access]\nallow = [\"127.0.0.1\"]\n").await;
    server.ask_from("127.0.0.9", &Ask::new("a.blocked.example", RrType::A)).await;
    eventually("it to be recorded", || async { server.get("/log/1").await.0 == 200 }).await;
    let (_, page) = server.get("/log/1").await;
    for part in [">refused</span>", "Refused: 127.0.0.9 is outside [access] allow, so no list was asked."] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, page) = server.get("/log").await;
    assert!(page.contains("refused</span>") && !page.contains("passed</span>"), "{page}");
    let (_, page) = server.get("/explain?name=a.blocked.example&client=127.0.0.9").await;
    assert!(page.contains("Refused") && !page.contains("Blocked"), "{page}");
    // So are those that can't be answered, each with why, and none of them passed.
    server.ask_from("127.0.0.1", &Ask { rd: false, ..Ask::new("c.example", RrType::A) }).await;
    server.ask_from("127.0.0.1", &Ask::new("d.example", RrType::AXFR)).await;
    server.ask_from("127.0.0.1", &Ask::new("localhost", RrType::A)).await;
    let rows = async || server.json("/api/v1/log").await["rows"].as_array().unwrap().clone();
    eventually("they are recorded", || async { rows().await.len() == 4 }).await;
    for (name, why) in [
        (
            "c.example",
            "Answered with REFUSED at once: it asked for no recursion (RD), and nothing here is authoritative.",
        ),
        ("", "Answered with REFUSED at once: queries of this kind aren"),
    ] {
        let rows = rows().await;
        let row = rows.iter().find(|row| row["name"].as_str().unwrap_or_default() == name).unwrap();
        assert_eq!(row["fate"], "refused", "{row}");
        let (_, page) = server.get(&format!("/log/{}", row["id"])).await;
        assert!(page.contains(why), "{why}: {page}");
    }
    let view = server.json("/api/v1/overview").await;
    let part = |of: &str| view["totals"][of]["part"].as_u64();
    assert_eq!((view["totals"]["queries"].as_u64(), part("passed"), part("refused")), (Some(4), Some(1), Some(3)));
    let line = server.json("/api/v1/overview/time_line").await;
    let sum = |of: &str| line["buckets"].as_array().unwrap().iter().map(|at| at[of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("passed"), sum("refused")), (1, 3), "{line}");
    assert_eq!(server.metric("cleandns_query_fates_total", &["fate=\"refused\""]).await, 3.0);
    assert_eq!(server.metric("cleandns_query_fates_total", &["fate=\"passed\""]).await, 1.0);
    let found = server.json("/api/v1/log?verdict=refused").await["rows"].as_array().unwrap().len();
    assert_eq!(found, 3);
    assert_eq!(names(&server, "?verdict=passed").await, ["localhost"]);
    let clients = server.json("/api/v1/clients").await["clients"].clone();
    let refused: u64 = clients.as_array().unwrap().iter().map(|client| client["refused"].as_u64().unwrap()).sum();
    assert_eq!(refused, 3, "{clients}");
    let (_, page) = server.get("/").await;
    assert!(page.contains("<a href=\"/log?verdict=refused\">3 refused</a>"), "{page}");
    let (_, page) = server.get("/log?verdict=refused").await;
    assert!(page.contains("<option value=\"refused\" selected>"), "{page}");
    server.running.stop().await;
}

/// Where privacy keeps no address the group of then stands for who asked, and that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_its_client_is_judged_for_its_group() {
    for (privacy, group, action) in [("hashed", "guests", "pass"), ("prefix", "guests", "pass"), ("none", "", "block")]
    {
        let more = format!(
            "[query_log]\nprivacy = \"{privacy}\"\n[[policy.exception]]\nnames = [\"b.blocked.example\"]\ngroups = [\"guests\"]\n"
        );
        let server = serve(&more).await;
        ask(&server).await;
        let row = server.json("/api/v1/log?name=%3Db.blocked.example").await["rows"][0].clone();
        let now = server.json(&format!("/api/v1/log/{}", row["id"])).await["as_of_now"].clone();
        assert_eq!(now["action"], action, "{privacy}: {now}");
        assert_eq!(now["client"], row["client"].as_str().unwrap_or_default(), "nobody is made up");
        let told = now["unknown"][0].as_str().unwrap();
        let who = if group.is_empty() { "somebody in no group" } else { "somebody in the group guests" };
        assert!(told.starts_with("Who asked isn't kept as an address") && told.contains(who), "{privacy}: {told}");
        server.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_for_is_a_problem() {
    let server = serve("").await;
    for (path, status) in [
        ("/api/v1/log?verdict=maybe", 422),
        ("/api/v1/log?type=NONSENSE", 422),
        ("/api/v1/log?from=yesterday", 422),
        ("/api/v1/log?before=x", 422),
        ("/api/v1/log?before=1&after=1", 422),
        ("/api/v1/log?limit=501", 422),
        ("/api/v1/log?nmae=x", 400),
        ("/api/v1/log/7", 404),
        ("/api/v1/log/x", 404),
        ("/api/v1/log/tail?verdict=maybe", 422),
        ("/api/v1/log/tail?nmae=x", 400),
        ("/api/v1/overview/top", 400),
        ("/api/v1/overview/top?of=things", 422),
        ("/api/v1/overview/top?of=names&hours=0", 422),
        ("/api/v1/overview/top?of=names&limit=101", 422),
    ] {
        let (got, body) = server.get(path).await;
        assert_eq!(got, status, "{path}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{path}: {body}");
    }
    let asked = "/log?verdict=maybe";
    assert_eq!(server.get(asked).await.0, 422);
    assert_eq!((server.get("/log/7").await.0, server.get("/log/why?time=x").await.0), (404, 422));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_blocked_most_is_counted_from_the_log() {
    let server = serve("").await;
    ask(&server).await;
    let top = async |of: &str| server.json(&format!("/api/v1/overview/top?of={of}&hours=24")).await;
    let services = top("services").await;
    assert_eq!(services["queries"], 6, "{services}");
    let row = |key: &str, blocked, would_block, excepted, clients| json!({ "key": key, "blocked": blocked, "would_block": would_block, "excepted": excepted, "clients": clients });
    assert_eq!(services["rows"], json!([row("watching/cloud", 0, 4, 1, 2), row("strict/shop", 2, 0, 2, 2)]));
    let names = top("names").await;
    assert_eq!((&names["there_are"], &names["rows"][0]), (&json!(5), &row("a.blocked.example", 1, 0, 0, 1)));
    assert_eq!(top("clients").await["rows"][0], row("127.0.0.1", 1, 1, 1, 1));
    // The pages show it, and lead to the queries.
    let page = server.get("/").await.1;
    assert!(page.contains("/log?service=watching%2Fcloud&#38;verdict=blocked%2Cwould-block&#38;from=24h"), "{page}");
    let page = server.get("/programs").await.1;
    assert!(page.contains("/log?service=strict%2Fshop&amp;from=24h") && page.contains("2 blocked"), "{page}");
    server.running.stop().await;
}

/// Queries as they come, read from a connection.
struct Tail(TcpStream, String);

impl Tail {
    async fn open(server: &Server, query: &str) -> Self {
        let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
        let head = format!("GET /api/v1/log/tail{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut tail = Self(stream, String::new());
        tail.until("what comes from now on").await;
        tail
    }

    /// Reads until something is said.
    async fn until(&mut self, what: &str) -> &str {
        let reading = async {
            while !self.1.contains(what) {
                let mut octets = [0; 4096];
                let length = self.0.read(&mut octets).await.unwrap();
                assert!(length > 0, "it ended without {what}: {}", self.1);
                self.1.push_str(&String::from_utf8_lossy(&octets[..length]));
            }
        };
        tokio::time::timeout(DEADLINE, reading).await.unwrap_or_else(|_| panic!("never said: {what}"));
        &self.1
    }

    /// Reads to the end.
    async fn end(mut self) -> String {
        let mut rest = Vec::new();
        tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut rest)).await.unwrap().unwrap();
        self.1 + &String::from_utf8_lossy(&rest)
    }
}

/// Whether there is a database or not, whoever looks sees queries come, those that are looked for alone, and as much of
/// clients as may be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_seen_as_they_come() {
    for more in ["", "[query_log]\nenabled = false\nprivacy = \"prefix\"\n"] {
        let server = serve(more).await;
        if more.is_empty() {
            server.ask("before.blocked.example", RrType::A).await;
            // What waits to be written when somebody begins to look is new to them.
            eventually("it is recorded", || async { names(&server, "").await.len() == 1 }).await;
        }
        let (mut all, mut blocked) = (Tail::open(&server, "").await, Tail::open(&server, "?verdict=blocked").await);
        server.ask("localhost", RrType::A).await;
        server.ask("a.blocked.example", RrType::AAAA).await;
        let said = blocked.until("}\n\n").await.to_owned();
        let event = said.split("event: query\ndata: ").nth(1).unwrap().lines().next().unwrap();
        let row: Value = serde_json::from_str(event).unwrap();
        assert_eq!(
            (&row["name"], &row["fate"], &row["type"]),
            (&json!("a.blocked.example"), &json!("blocked"), &json!("AAAA"))
        );
        assert_eq!(row["client"], if more.is_empty() { "127.0.0.1" } else { "127.0.0.0/24" });
        assert_eq!(row["verdicts"][0]["line"], 2);
        assert!(!said.contains("localhost"), "{said}");
        let all = all.until("a.blocked.example").await;
        assert!(all.contains("localhost") && !all.contains("before"), "{all}");
        assert_eq!(server.get("/api/v1/log").await.0, if more.is_empty() { 200 } else { 404 });
        if more.is_empty() {
            // It has a page of its own as soon as it is written.
            let text = |field: &str| row[field].as_str().unwrap().replace(':', "%3A");
            let path = format!("/log/why?time={}&name={}&client={}", text("time"), text("name"), text("client"));
            eventually("a page of it", || async { server.get(&path).await.0 == 200 }).await;
            assert!(server.get(&path).await.1.contains("Blocked by strict/shop."));
        } else {
            let page = server.get("/log").await.1;
            assert!(
                page.contains("What was asked isn&#39;t kept") || page.contains("What was asked isn't kept"),
                "{page}"
            );
            assert!(page.contains("data-tail=\"/api/v1/log/tail\""), "{page}");
            assert_eq!(server.get("/api/v1/overview/top?of=names").await.0, 404);
            assert!(server.get("/").await.1.contains("That isn't known: nothing is recorded"));
            // Nothing is counted of what keeps nothing.
            assert_eq!(server.metric("cleandns_query_log", &[]).await, 0.0);
        }
        // When the server leaves, they end as they should.
        let rest = tokio::spawn(blocked.end());
        server.running.stop().await;
        assert!(rest.await.unwrap().ends_with("0\r\n\r\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tails_are_so_many_and_no_more() {
    let server = serve("").await;
    let mut all = Vec::new();
    for _ in 0..32 {
        all.push(Tail::open(&server, "").await);
    }
    let (status, body) = server.get("/api/v1/log/tail").await;
    assert_eq!(status, 503, "{body}");
    all.pop();
    eventually("a place is free", || async {
        let tail = Tail::open(&server, "");
        tokio::time::timeout(Duration::from_millis(500), tail).await.is_ok()
    })
    .await;
    // Who is given too much is told how much was left out.
    let mut tail = all.pop().unwrap();
    let asking = async {
        loop {
            server.ask("localhost", RrType::A).await;
        }
    };
    tokio::select! {
        () = asking => {}
        said = tail.until("event: missed\ndata: {\"rows\":") => assert!(said.contains("event: query")),
    }
    drop((all, tail));
    server.running.stop().await;
}

/// What was asked before a start is in the graph of the first page, if it is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_of_a_day_go_on_over_a_start() {
    let server = serve("").await;
    ask(&server).await;
    let folder = server.folder;
    server.running.stop().await;
    let again = start(folder, None, PROGRAMS).await;
    let totals = &again.json("/api/v1/overview").await["totals"];
    assert_eq!((&totals["queries"], &totals["blocked"]["part"]), (&json!(6), &json!(2)), "{totals}");
    again.ask("a.blocked.example", RrType::A).await;
    eventually("one more", || async { again.json("/api/v1/overview").await["totals"]["queries"] == 7 }).await;
    // Of days before there is nothing, and that is told too.
    let week =
        again.json("/api/v1/overview/time_line?from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z&step=3600").await;
    assert_eq!(week["buckets"].as_array().unwrap().len(), 168);
    assert!(fs::exists(again.path("state/queries.db")).unwrap());
    again.running.stop().await;
}
