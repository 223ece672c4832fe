//! What browsers are told, what they load, and what a key does in a form.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_tells_browsers_what_they_may_do() {
    let server = serve("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n").await;
    let token = "Authorization: Bearer s3cret-of-the-owner\r\n";
    let host = "Host: localhost\r\n";
    let large = "Content-Length: 65537\r\nContent-Type: application/json\r\n";
    for (line, headers, status) in [
        ("GET /", format!("{host}{token}"), 200),
        ("HEAD /lists", format!("{host}{token}"), 200),
        ("GET /metrics", format!("{host}{token}"), 200),
        ("GET /api/v1/overview", format!("{host}{token}"), 200),
        ("GET /healthz", "Host: any.name\r\n".to_owned(), 200),
        ("GET /style.css", host.to_owned(), 200),
        ("GET /icon.svg", host.to_owned(), 200),
        ("GET /nothing", format!("{host}{token}"), 404),
        ("GET /nothing", host.to_owned(), 401),
        ("GET /", host.to_owned(), 401),
        ("GET /api/v1/overview", host.to_owned(), 401),
        ("GET /api/v1/nothing", format!("{host}{token}"), 404),
        ("POST /", format!("{host}{token}"), 405),
        ("GET /", "Host: evil.example\r\n".to_owned(), 421),
        ("GET /style.css", "Host: evil.example\r\n".to_owned(), 421),
        ("POST /api/v1/pause", format!("{host}{token}{large}"), 413),
    ] {
        let response = request(&server, line, &headers, "").await;
        assert_eq!(response.status, status, "{line} {headers}");
        let policy = response.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{line}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.header(name), value, "{line} {status}: {name}");
        }
        assert!(!response.headers.contains_key("access-control-allow-origin"));
    }
    // Browsers heed it of servers that they trust, and complain of it elsewhere.
    for (host, policy) in [
        ("localhost:8053", "same-origin"),
        ("127.0.0.1", "same-origin"),
        ("[::1]:8053", "same-origin"),
        ("192.168.1.2:8053", ""),
        ("192.168.1.2\r\nSec-Fetch-Site: none", "same-origin"),
    ] {
        let response = request(&server, "GET /sign-in", &format!("Host: {host}\r\n"), "").await;
        assert_eq!((response.status, response.header("cross-origin-opener-policy")), (200, policy), "{host}");
    }
    // A browser without the token is sent to a page where one signs in, with its style.
    let response = get(&server, "/").await;
    assert_eq!((response.status, response.header("location")), (303, "/sign-in"));
    assert_eq!(get(&server, "/lists?a=b").await.header("location"), "/sign-in?back=%2Flists%3Fa%3Db");
    let response = get(&server, "/sign-in").await;
    assert_eq!(response.status, 200);
    check("/sign-in", &response.body);
    assert!(!response.body.contains("strict"), "{}", response.body);
    let style = attributes(&response.body, "href").into_iter().find(|named| named.starts_with("/style.css")).unwrap();
    let style = get(&server, style).await;
    assert_eq!((style.status, style.header("cache-control")), (200, "public, max-age=31536000, immutable"));
    assert_eq!(get(&server, "/style.css?v=0").await.header("cache-control"), "no-store");
    assert_eq!((style.header("vary"), style.header("content-encoding")), ("accept-encoding", ""));
    for (takes, encoding) in
        [("gzip, deflate, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", ""), ("br", "")]
    {
        let head = request(&server, "HEAD /style.css", &format!("{host}Accept-Encoding: {takes}\r\n"), "").await;
        assert_eq!((head.header("content-encoding"), head.header("vary")), (encoding, "accept-encoding"), "{takes}");
        assert_eq!(
            head.header("content-length").parse::<usize>().unwrap() < style.body.len() / 2,
            !encoding.is_empty()
        );
    }
    server.running.stop().await;
}

/// The longest page of all, with what is shipped: more than a hundred services, each with its switch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_programs_are_a_small_page() {
    let server = start(folder(), None, "").await;
    let body = get(&server, "/programs").await.body;
    assert!(body.matches("<tr><th scope=\"row\">").count() > 100, "{body}");
    // Nothing else is chosen in a switch than one mode.
    let (switches, chosen) =
        (body.matches("<span class=\"switch\"").count(), body.matches(" aria-current=\"true\"").count());
    assert!(switches > 110 && switches == chosen, "{switches} and {chosen}");
    assert!(body.len() < 100_000, "{}", body.len());
    server.running.stop().await;
}

/// What a browser loads for the longest page there can be of what comes with the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_page_is_loaded_soon() {
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists");
    let folders = fs::read_dir(&lists).unwrap().map(|item| item.unwrap().path()).filter(|path| path.is_dir());
    let program = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        format!("[[program]]\nname = \"{name}\"\nmode = \"shadow\"\nlists = [{{ path = \"{}\" }}]\n", path.display())
    };
    let programs: Vec<String> = folders.map(program).collect();
    assert!(programs.len() >= 8, "{programs:?}");
    let server = start(folder(), None, &programs.concat()).await;
    let page = get(&server, "/programs").await.body;
    let mut octets = page.len();
    for named in attributes(&page, "href").into_iter().chain(attributes(&page, "src")).collect::<BTreeSet<_>>() {
        if named.contains("?v=") {
            let line = format!("HEAD {named}");
            let head = request(&server, &line, "Host: localhost\r\nAccept-Encoding: gzip\r\n", "").await;
            octets += head.header("content-length").parse::<usize>().unwrap();
        }
    }
    assert!(octets < 150_000, "{octets}, the page {}", page.len());
    server.running.stop().await;
}

/// Who types a reason and presses Enter has chosen nothing yet: where there are several things to choose, none is done.
#[test]
fn enter_chooses_nothing_among_several() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/pages/templates");
    let mut guarded = 0;
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for form in text.split("<form ").skip(1).filter_map(|rest| rest.split_once("</form>")).map(|(form, _)| form) {
            // Buttons that stand elsewhere belong to a form by its id.
            let id =
                form.split(" id=\"").nth(1).or_else(|| form.strip_prefix("id=\"")).and_then(|id| id.split('"').next());
            let elsewhere = id.map_or(0, |id| text.matches(&format!("<button form=\"{id}\"")).count());
            let choices = form.matches("<button name=\"").count() + elsewhere;
            let is_typed = form.contains("name=\"reason\"") || form.contains("type=\"text\"");
            if is_typed && choices > 0 {
                let first = form.split("<button").nth(1).unwrap();
                assert!(first.starts_with(" disabled hidden>"), "{}: {form}", path.display());
                guarded += 1;
            }
        }
    }
    assert_eq!(guarded, 2, "the versions of a list, and the pause");
}

/// They are loaded by every device on a slow network too.
#[test]
fn pages_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/pages");
    let templates = fs::read_dir(folder.join("templates")).unwrap().map(|item| item.unwrap().path());
    let all = templates.chain(["style.css", "icon.svg"].map(|name| folder.join(name)));
    let octets: u64 = all.map(|path| fs::metadata(path).unwrap().len()).sum();
    let script = fs::metadata(folder.join("app.js")).unwrap().len();
    assert!(script < 20_000, "{script}");
    // The templates of all pages, though each page is made of two or three.
    assert!(octets + script < 110_000, "{octets} and {script}");
}
