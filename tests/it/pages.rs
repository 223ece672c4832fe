//! The pages: what they show after some traffic, what hostile text comes to, what every response tells a browser.

mod browsers;

use crate::harness::{Server, eventually, folder, start};
use cleandns::dns::RrType;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Every page without what is typed, and pages that are no page.
const PAGES: [&str; 15] = [
    "/",
    "/programs",
    "/programs?group=kids",
    "/log",
    "/log?name=.example&client=127.0.0.0%2F8&verdict=any&service=strict%2F&type=A&from=1h",
    "/explain",
    "/explain?name=x.watched.example&type=AAAA&client=127.0.0.7",
    "/lists",
    "/lists/strict/block.list",
    "/setup",
    "/changes",
    "/programs/preview?program=watching&service=watch&group=kids",
    "/except",
    "/clients",
    "/except?verb=block&name=%22%3E%3Cb%3E",
];
/// Text that would be more than text if it were put into a page as it is.
const HOSTILE: &str = "\"'><img src=x onerror=alert(1)></title><script>alert(2)</script>";
/// Turns the direction of what follows.
const TURN: char = '\u{202e}';

/// A response taken apart.
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Sends a request written by hand, as a browser would.
pub async fn request(server: &Server, line: &str, headers: &str, body: &str) -> Response {
    let mut stream = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    let text = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut octets = Vec::new();
    // Who sends too much may find the connection reset after the response.
    let _ = stream.read_to_end(&mut octets).await;
    let response = String::from_utf8(octets).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{line}: {response}"));
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Response {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

pub async fn get(server: &Server, path: &str) -> Response {
    request(server, &format!("GET {path}"), "Host: localhost\r\nAccept: text/html,*/*\r\n", "").await
}

/// A server with a program of each kind, a group, and a list whose name, header and lines are hostile.
pub async fn serve(more: &str) -> Server {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let block = "#! cleandns\n#: title: The blocked\n#: breaks: what it says\nblocked.example\n@pass.blocked.example\n";
    fs::write(path("block.list"), block).unwrap();
    fs::write(path("watch.list"), "#! cleandns\nwatched.example\n").unwrap();
    let hostile = format!(
        "#! cleandns\n#: service: odd\n#: title: {HOSTILE}{TURN}\n#: note: {HOSTILE}\nodd.example # {HOSTILE}{TURN}\n{HOSTILE} {TURN}\n"
    );
    fs::write(path("'><img src=x onerror=alert(3)>.list"), hostile).unwrap();
    fs::write(path("token"), "s3cret-of-the-owner\n").unwrap();
    let toml = format!(
        "{more}\n[[program]]\nname = \"strict\"\nlists = [{{ path = \"block.list\" }}]\n\
         [[program]]\nname = \"watching\"\nmode = \"shadow\"\nlists = [{{ path = \"watch.list\" }}]\n\
         [[program]]\nname = \"odd\"\nlists = [{{ path = \"'><img src=x onerror=alert(3)>.list\" }}]\n\
         [[group]]\nname = \"kids\"\nclients = [\"127.0.0.7\"]\nprograms = {{ watching = \"enforce\" }}\n"
    );
    start(folder, None, &toml).await
}

/// Asks what each kind of verdict is about: 3 blocked, 2 that would be, 1 excepted, 4 passed.
async fn ask(server: &Server) {
    let names = ["a.blocked.example", "b.blocked.example", "<img\\032src=x>.blocked.example", "pass.blocked.example"];
    let passed = ["watched.example", "x.watched.example", "localhost", "localhost", "localhost", "localhost"];
    for name in names.iter().chain(&passed) {
        server.ask(name, RrType::ANY).await;
    }
    // Counted after the answer went out.
    eventually("all counted", || async { server.metric("cleandns_query_fates_total", &[]).await >= 10.0 }).await;
    eventually("all recorded", || async { server.json("/api/v1/log").await["rows"].as_array().unwrap().len() >= 10 })
        .await;
}

/// The parts of a page: tags with their attributes, and the text between them.
fn tags(body: &str) -> Vec<&str> {
    body.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag).collect()
}

/// What a page is made of and what it may not have in it.
pub fn check(path: &str, body: &str) {
    const KNOWN: [&str; 61] = [
        "fieldset",
        "legend",
        "!doctype",
        "a",
        "b",
        "body",
        "br",
        "button",
        "caption",
        "code",
        "datalist",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "head",
        "header",
        "html",
        "input",
        "label",
        "li",
        "line",
        "link",
        "main",
        "meta",
        "nav",
        "ol",
        "option",
        "p",
        "path",
        "rect",
        "section",
        "select",
        "small",
        "span",
        "summary",
        "svg",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "time",
        "title",
        "tr",
        "ul",
        "text",
        "em",
        "script",
        "optgroup",
        "template",
        "noscript",
        "g",
        "h3",
    ];
    assert!(body.starts_with("<!doctype html>") && body.trim_end().ends_with("</html>"), "{path}: {body}");
    for tag in tags(body) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        assert!(KNOWN.contains(&name), "{path}: <{tag}>");
        // Our own script, and nothing in it.
        assert!(name != "script" || tag == "/script" || tag.starts_with("script src=\"/app.js?v="), "{path}: <{tag}>");
        // Values are quoted, and no quote in them is left as it is.
        let outside: String = tag.split('"').step_by(2).collect();
        let bare = |word: &str| outside.contains(&format!(" {word}"));
        assert!(tag.matches('"').count() % 2 == 0 && !bare("on") && !bare("style"), "{path}: <{tag}>");
    }
    let hidden = |sign: char| sign.is_control() && sign != '\n' || sign == TURN;
    assert!(!body.contains(hidden), "{path}: {body}");
    // Labels, one heading, ids that are unique.
    assert_eq!(body.matches("<h1").count(), 1, "{path}");
    let ids: Vec<&str> = attributes(body, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
}

/// The values of an attribute, as they are written.
pub fn attributes<'b>(body: &'b str, name: &str) -> Vec<&'b str> {
    let before = format!(" {name}=\"");
    let values = tags(body).into_iter().flat_map(|tag| tag.split(&before).skip(1).collect::<Vec<_>>());
    values.filter_map(|rest| rest.split('"').next()).collect()
}

/// A page without its tags, with single spaces.
pub fn text(body: &str) -> String {
    let parts = body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_what_happened() {
    let server = serve("").await;
    ask(&server).await;
    let page = text(&get(&server, "/").await.body);
    for part in [
        "Queries 10 ",
        "Blocked 3 30.0 % of all",
        "Would be blocked 2 20.0 %, in shadow",
        "Excepted 1 10.0 %",
        "Rules in force 4 ",
        "10 queries; 3 blocked, 2 would be, 1 excepted",
        "odd/&#39;&#62;&#60;img src=x onerror=alert(3)&#62;.list: 1 line gave no rule",
    ] {
        assert!(page.contains(part), "no \"{part}\" in {page}");
    }
    let page = text(&get(&server, "/programs").await.body);
    for part in [
        "strict enforce the whole program off shadow enforce 3 blocked 1 excepted",
        "watching shadow the whole program off shadow enforce 2 would be",
        "1 service: 1 in shadow",
        "The blocked Breaks what it says. block.list off shadow enforce 2 ",
        "watch watch.list off shadow enforce 1 2 would be blocked 2 would be blocked",
    ] {
        assert!(page.contains(part), "no \"{part}\" in {page}");
    }
    // The group has it enforced.
    assert!(text(&get(&server, "/programs?group=kids").await.body).contains("watching enforce the whole program"));
    assert_eq!(get(&server, "/programs?group=nobody").await.status, 404);
    let page = text(&get(&server, "/lists").await.body);
    for part in ["Lists 3 all as they are meant", "block.list The blocked enforce 2 4 ", "1 line skipped"] {
        assert!(page.contains(part), "no \"{part}\" in {page}");
    }
    let page = text(&get(&server, "/lists/strict/block.list").await.body);
    for part in ["Rules 2 of which 1 exception", "Blocked 3 ", "Excepted 1 ", "breaks what it says"] {
        assert!(page.contains(part), "no \"{part}\" in {page}");
    }
    assert_eq!(get(&server, "/lists/strict/other.list").await.status, 404);
    let (page, dns) = (text(&get(&server, "/setup").await.body), server.dns());
    for part in [
        format!("Only this machine can ask It answers on {dns}"),
        "[listen] do53 = [&#34;".to_owned(),
        format!("dig @{} -p {} www.tiktok.com", dns.ip(), dns.port()),
        format!("DNS={dns}"),
    ] {
        assert!(page.contains(&part), "no \"{part}\" in {page}");
    }
    let setup = server.json("/api/v1/setup").await;
    assert_eq!(setup["loopback"], serde_json::json!([dns.to_string()]), "{setup}");
    assert_eq!(setup["to_change"]["why"], "only_this_machine", "{setup}");
    // Where this machine has a network, the instructions for others stand there, with its address.
    if let Some(own) = setup["ipv4"].as_str() {
        assert!(page.contains(&format!("Write {own} as the only DNS server")), "{own}: {page}");
        for address in [dns.to_string(), format!("{own}:53")] {
            assert!(setup["to_change"]["values"].as_array().unwrap().contains(&address.into()), "{setup}");
        }
    }
    // The same as data.
    let view = server.json("/api/v1/overview").await;
    assert_eq!(view["totals"]["queries"], 10, "{view}");
    assert_eq!(view["totals"]["blocked"], serde_json::json!({ "part": 3, "of": 10, "share": 0.3 }), "{view}");
    assert_eq!((&view["lists"]["count"], &view["policy"]["rules"]), (&3.into(), &4.into()), "{view}");
    assert_eq!(view["notes"][0]["code"], "lines", "{view}");
    let line = server.json("/api/v1/overview/time_line").await;
    assert_eq!(line["bucket_seconds"], 900);
    let buckets = line["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 96);
    assert_eq!((&buckets[95]["blocked"], &buckets[95]["passed"]), (&3.into(), &4.into()), "{line}");
    let finer =
        server.json("/api/v1/overview/time_line?step=3600&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z").await;
    assert_eq!(finer["buckets"].as_array().unwrap().len(), 24);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_explained() {
    let limited = "[[policy.exception]]\nnames = [\"watched.example\"]\nprograms = [\"strict\"]\nreason = \"mine\"\n";
    let server = serve(limited).await;
    let explained = async |query: &str| text(&get(&server, &format!("/explain?{query}")).await.body);
    let blocked = explained("name=x.blocked.example&type=&client=").await;
    for part in [
        "Blocked x.blocked.example is blocked by strict/block (block.list line 4).",
        "127.0.0.1 is answered: it is in [access] allow. Its group is default.",
        "strict/block : blocks by blocked.example ( block.list line 4), which matches the name asked x.blocked.example This decides.",
        "It was not resolved",
    ] {
        assert!(blocked.contains(part), "no \"{part}\" in {blocked}");
    }
    let kids = explained("name=watched.example&client=127.0.0.7").await;
    assert!(kids.contains("Its group is kids.") && kids.contains("Blocked watched.example is blocked by"), "{kids}");
    // An exception that is for another program decides nothing.
    let watched = explained("name=watched.example").await;
    for part in [
        "Would be blocked watched.example passes; watching/watch (watch.list line 2) would block it if it were enforced.",
        ": mine watching/watch : would block by",
    ] {
        assert!(watched.contains(part), "no \"{part}\" in {watched}");
    }
    let own = explained("name=localhost").await;
    assert!(own.contains("Passes localhost: ") && own.matches("This decides.").count() == 1, "{own}");
    let far = explained("name=blocked.example&client=192.0.2.1").await;
    assert!(
        far.contains("192.0.2.1 is refused: it is outside [access] allow. Were it admitted: This decides."),
        "{far}"
    );
    // Pasted, as people have it.
    for pasted in ["https%3A%2F%2Fx.blocked.example%2Fx", "x.blocked.example%3A443", "x.blocked.example%2F"] {
        let told = explained(&format!("name={pasted}")).await;
        assert!(told.contains("Blocked x.blocked.example is blocked by") && told.contains("The host of "), "{told}");
    }
    assert!(explained("name=b%C3%BCcher.example").await.contains("xn--bcher-kva.example passes"));
    for (typed, told) in [
        ("name=a.example&client=laptop.lan", "client: no client is known as `laptop.lan`"),
        ("name=a%20b", "there is a space in it"),
    ] {
        assert!(explained(typed).await.contains(told), "{typed}");
    }
    for wrong in ["name=a..example", "name=a.example&type=NONSENSE", "name=a.example&client=me"] {
        let response = get(&server, &format!("/explain?{wrong}")).await;
        assert_eq!(response.status, 422, "{wrong}");
        assert!(text(&response.body).contains("That can't be explained"), "{}", response.body);
        // What was typed is still there.
        assert!(attributes(&response.body, "value").iter().any(|value| wrong.contains(&format!("name={value}"))));
    }
    // Looking is not asking.
    assert_eq!(server.metric("cleandns_query_fates_total", &[]).await, 0.0);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_text_stays_text() {
    let server = serve("").await;
    ask(&server).await;
    let typed = "%22%27%3E%3Cscript%3Ealert(4)%3C%2Fscript%3E%E2%80%AE%1b";
    let list = "%27%3E%3Cimg%20src%3Dx%20onerror%3Dalert%283%29%3E.list";
    for path in PAGES.map(str::to_owned).into_iter().chain([
        format!("/lists/odd/{list}"),
        "/explain?name=odd.example".to_owned(),
        "/explain?name=%3Cimg%5C032src=x%3E.blocked.example".to_owned(),
        format!("/explain?name={typed}&type={typed}&client={typed}"),
        format!("/explain?name=a.example&type={typed}"),
        format!("/explain?name=a.example&client={typed}"),
        format!("/programs?group={typed}"),
        format!("/lists/{typed}/{typed}"),
        format!("/{typed}"),
    ]) {
        let response = get(&server, &path).await;
        assert!(response.header("content-type").starts_with("text/html"), "{path}");
        check(&path, &response.body);
    }
    // It is there, as text.
    let page = get(&server, &format!("/lists/odd/{list}")).await.body;
    let shown =
        "&#34;&#39;&#62;&#60;img src=x onerror=alert(1)&#62;&#60;/title&#62;&#60;script&#62;alert(2)&#60;/script&#62;";
    assert!(page.contains(&format!("{shown}\\u{{202e}}")), "{page}");
    let page = get(&server, "/explain?name=odd.example").await.body;
    assert!(page.contains(&format!("odd.example # {shown}\\u{{202e}}")), "{page}");
    server.running.stop().await;
}

/// What a page names is there: links, style, pictures, and the places in pages that links lead to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_names_what_is_not_there() {
    let server = serve("").await;
    ask(&server).await;
    let mut seen: BTreeMap<String, Response> = BTreeMap::new();
    let mut wanted: Vec<String> = PAGES.map(str::to_owned).into();
    let mut places = Vec::new();
    while let Some(path) = wanted.pop() {
        let response = get(&server, &path).await;
        assert_eq!(response.status, 200, "{path}");
        if response.header("content-type").starts_with("text/html") {
            check(&path, &response.body);
            let names = ["href", "src", "action"].map(|name| attributes(&response.body, name)).concat();
            for named in names {
                let named = named.replace("&#38;", "&");
                // What forms are sent to can't be looked at; a name by which a device finds out whether it asks here leads
                // to this server, if it does.
                let is_check = named.starts_with("//t-") && named.ends_with(".check.cleandns.home.arpa/seen");
                if named.starts_with("/do/") || is_check {
                    continue;
                }
                let (page, place) = named.split_once('#').unwrap_or((&named, ""));
                let page = if page.is_empty() { path.clone() } else { page.to_owned() };
                assert!(page.starts_with('/') && !page.starts_with("//"), "{path} names {named}");
                if !place.is_empty() {
                    places.push((page.clone(), place.to_owned()));
                }
                if !seen.contains_key(&page) && !wanted.contains(&page) && page != path {
                    wanted.push(page);
                }
            }
        }
        seen.insert(path, response);
    }
    for (page, place) in places {
        assert!(attributes(&seen[&page].body, "id").contains(&place.as_str()), "{page} has no {place}");
    }
    assert!(seen.len() >= PAGES.len() + 5, "{:?}", seen.keys());
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_api_are_problems() {
    let server = serve("").await;
    let json = "Content-Type: application/json\r\n";
    for (line, headers, body, status, word) in [
        ("GET /api", "", "", 404, "no_such_thing"),
        ("GET /api/v1/nothing?x=1", "", "", 404, "no_such_thing"),
        ("DELETE /api/v1/lists", "", "", 405, "method"),
        ("GET /api/v1/explain", "", "", 400, "bad_request"),
        ("GET /api/v1/explain?name=a..example", "", "", 400, "bad_request"),
        ("GET /api/v1/overview/time_line?step=61", "", "", 422, "invalid"),
        ("GET /api/v1/overview/time_line?from=yesterday", "", "", 422, "invalid"),
        ("GET /api/v1/overview/time_line?from=1970-01-01T00:00:00Z&step=60", "", "", 422, "invalid"),
        ("GET /api/v1/overview/time_line?other=1", "", "", 400, "bad_request"),
        ("POST /api/v1/pause", "Content-Length: 2\r\n", "{}", 415, "not_json"),
        ("POST /api/v1/pause", "Content-Length: 2\r\n", "{}", 422, "invalid"),
        ("POST /api/v1/pause", "Content-Length: 1\r\n", "{", 400, "bad_request"),
        ("POST /api/v1/pause", "Content-Length: 65537\r\n", "", 413, "too_large"),
        ("GET /api/v1/changes?before=x", "", "", 400, "bad_request"),
        ("GET /api/v1/lists", "Host: evil.example\r\n", "", 421, "other_host"),
    ] {
        let host = if headers.contains("Host") { "" } else { "Host: localhost\r\nAccept: text/html\r\n" };
        let kind = if status == 415 { "" } else { json };
        let response = request(&server, line, &format!("{host}{kind}{headers}"), body).await;
        assert_eq!(response.status, status, "{line}: {}", response.body);
        assert_eq!(response.header("content-type"), "application/problem+json", "{line}");
        let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(problem["type"], format!("https://cleandns.invalid/problems/{word}"), "{line}");
        assert_eq!(problem["status"], status, "{line}");
        assert!(problem["title"].as_str().is_some_and(|title| title.len() > 5), "{line}");
        let path = line.split([' ', '?']).nth(1).unwrap();
        assert_eq!(problem["instance"], path, "{line}");
    }
    let response = request(&server, "PUT /api/v1/lists", "Host: localhost\r\n", "").await;
    assert_eq!(response.header("allow"), "GET,HEAD");
    // What can't be read is told in our words on pages too.
    let page = get(&server, "/changes?before=x").await;
    assert_eq!(page.status, 400);
    assert!(text(&page.body).contains("before: write a whole number"), "{}", page.body);
    // Elsewhere browsers get a page, and others a line.
    let page = get(&server, "/nothing").await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    check("/nothing", &page.body);
    let line = request(&server, "GET /nothing", "Host: localhost\r\n", "").await;
    assert_eq!((line.status, line.body.as_str()), (404, "nothing is at this address\n"));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_at_the_address_of_a_page() {
    let server = serve("").await;
    for path in PAGES {
        let path = path.split('?').next().unwrap();
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let line = format!("{method} {path}");
            let response = request(&server, &line, "Host: localhost\r\nContent-Length: 0\r\n", "").await;
            assert_eq!(response.status, 405, "{line}");
        }
        // Forms that change something are sent to addresses of their own, and show that they were meant.
        let body = get(&server, path).await.body;
        for form in body.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let is_change = form.contains("method=\"post\" action=\"/do/") && form.contains(" name=\"csrf\" value=\"");
            assert!(is_change || form.contains("method=\"get\""), "{path}: {form}");
        }
    }
    // More than fits is refused, and the next is served.
    let long = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(17 << 10));
    assert_eq!(request(&server, "GET /", &long, "").await.status, 431);
    assert_eq!(get(&server, "/").await.status, 200);
    server.running.stop().await;
}
