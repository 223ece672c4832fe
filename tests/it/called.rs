//! What clients are called on pages and over the API, and whether the device that looks asks here.

use crate::{
    forwarding::forward,
    harness::{Answer, Ask, Server, configure, eventually, folder, over_tcp, over_udp, start, start_near},
    internet::{answer_to, scripted},
    pages::{Response, check, get, request, text},
};
use cleandns::{
    dns::{self, Class, Rcode, RrType, presentation},
    pause::Pauses,
    query::{AccessList, Keeping, LocalData, Pipeline, Reverse, SpecialNames, Surroundings, Terms, Unanswered},
    resolve::{Resolution, Resolve, Security, Wanted},
};
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::PTR},
};
use serde_json::{Value, json};
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the router calls 127.0.0.9: more than text if it were put into a page as it is.
const HOSTILE: &str = "\\<script\\>alert\\(1\\)\\</script\\>.\\\"\\>\\<b\\>.lan";

/// A router that has names for addresses of 127.0.0.0/8, and how often it was asked for one.
async fn router() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move |question: &Message| {
        let query = &question.queries[0];
        if query.query_type() != RecordType::PTR {
            return Some(answer_to(question, ResponseCode::ServFail));
        }
        counted.fetch_add(1, SeqCst);
        let target = match query.name().to_ascii().as_str() {
            "9.0.0.127.in-addr.arpa." => {
                Name::from_labels([&b"<script>alert(1)</script>"[..], b"\"><b>", b"lan"]).unwrap()
            }
            "8.0.0.127.in-addr.arpa." => Name::from_ascii("Tablet.LAN.").unwrap(),
            "7.0.0.127.in-addr.arpa." => Name::from_ascii("not-this.lan.").unwrap(),
            _ => return Some(answer_to(question, ResponseCode::NXDomain)),
        };
        let mut answer = answer_to(question, ResponseCode::NoError);
        answer.answers = vec![Record::from_rdata(query.name().clone(), 300, RData::PTR(PTR(target)))];
        Some(answer)
    };
    (scripted(answer).await.0, asked)
}

async fn serve(router: SocketAddr, more: &str) -> Server {
    let folder = folder();
    std::fs::write(folder.path().join("own.list"), "#! cleandns\nblocked.example\n").unwrap();
    start_near(folder, None, &[router], &toml(router, more)).await
}

fn toml(router: SocketAddr, more: &str) -> String {
    format!(
        "{more}[local]\nrecords = [\"kid.lan. A 127.0.0.7\"]\n{}[[program]]\nname = \"own\"\nlists = [{{ path = \"own.list\" }}]\n",
        forward("127.in-addr.arpa", &[format!("udp://{router}")])
    )
}

/// Has three clients ask for a name that is blocked.
async fn ask(server: &Server) {
    for client in ["127.0.0.7", "127.0.0.8", "127.0.0.9"] {
        server.ask_from(client, &Ask::new("www.blocked.example", RrType::A)).await;
    }
    eventually("all is recorded", || async { server.json("/api/v1/log").await["rows"].as_array().unwrap().len() == 3 })
        .await;
}

fn of<'v>(rows: &'v Value, client: &str) -> &'v Value {
    rows.as_array().unwrap().iter().find(|row| row["client"] == client || row["key"] == client).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_the_owners_or_what_the_router_claims_and_stay_text() {
    let (router, asked) = router().await;
    let server = serve(router, "").await;
    let mut tail = TcpStream::connect(server.running.admin.unwrap()).await.unwrap();
    tail.write_all(b"GET /api/v1/log/tail HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut came = [0; 1024];
    assert!(tail.read(&mut came).await.unwrap() > 0);
    ask(&server).await;
    // Nobody waits for names: they are there after a while.
    eventually("names are known", || async {
        let clients = server.json("/api/v1/clients").await["clients"].clone();
        !of(&clients, "127.0.0.8")["name"].is_null() && !of(&clients, "127.0.0.9")["name"].is_null()
    })
    .await;
    let clients = server.json("/api/v1/clients").await["clients"].clone();
    for (client, name, by) in
        [("127.0.0.7", "kid.lan", "owner"), ("127.0.0.8", "tablet.lan", "ptr"), ("127.0.0.9", HOSTILE, "ptr")]
    {
        let row = of(&clients, client);
        assert_eq!((&row["name"], &row["name_by"]), (&json!(name), &json!(by)), "{clients}");
        let log = server.json("/api/v1/log").await["rows"].clone();
        let row = of(&log, client);
        assert_eq!((&row["client_name"], &row["client_name_by"]), (&json!(name), &json!(by)), "{log}");
        let tops = server.json("/api/v1/overview/top?of=clients").await["rows"].clone();
        assert_eq!(of(&tops, client)["name"], name, "{tops}");
    }
    // Whoever knows a client by its name finds it by that, or by a part of it.
    for (typed, client) in [("kid.lan", "127.0.0.7"), ("Tablet", "127.0.0.8"), ("script", "127.0.0.9")] {
        let log = server.json(&format!("/api/v1/log?client={typed}")).await["rows"].clone();
        let found: Vec<_> = log.as_array().unwrap().iter().map(|row| &row["client"]).collect();
        assert_eq!(found, [client], "{typed}");
    }
    assert_eq!(server.json("/api/v1/log?client=nobody").await["rows"], json!([]));
    // And what would become of their questions, if one alone is meant.
    for (typed, client) in
        [("kid.lan.", "127.0.0.7"), ("KID", "127.0.0.7"), ("Tablet", "127.0.0.8"), ("script", "127.0.0.9")]
    {
        let told = server.json(&format!("/api/v1/explain?name=www.blocked.example&client={typed}")).await;
        assert_eq!((&told["client"], &told["action"]), (&json!(client), &json!("block")), "{typed}: {told}");
    }
    for (typed, why) in [
        ("a", "client: `a` may be any of 127.0.0.7 (kid.lan), 127.0.0.8 (tablet.lan by PTR), 127.0.0.9 ("),
        ("nobody", "client: no client is known as `nobody`, "),
        ("02:00:5e:10:00:0d", "client: no client is known as `02:00:5e:10:00:0d`, "),
    ] {
        let (status, told) = server.get(&format!("/api/v1/explain?name=www.blocked.example&client={typed}")).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(status, 400, "{told}");
        assert!(told["detail"].as_str().unwrap().starts_with(why), "{told}");
    }
    let escaped = "\\&#60;script\\&#62;alert\\(1\\)\\&#60;/script\\&#62;.\\&#34;\\&#62;\\&#60;b\\&#62;.lan by PTR";
    for path in ["/", "/clients", "/log", "/log/1", "/setup"] {
        let page = get(&server, path).await.body;
        check(path, &page);
        assert!(path == "/log/1" || path == "/setup" || page.contains(escaped), "{path}: {page}");
    }
    assert!(text(&get(&server, "/log/1").await.body).contains("127.0.0.7 (kid.lan)"));
    // Whoever comes now is named as it comes.
    server.ask_from("127.0.0.9", &Ask::new("later.blocked.example", RrType::A)).await;
    let mut told = String::new();
    while !told.contains("later.blocked.example") {
        let length = tail.read(&mut came).await.unwrap();
        told.push_str(&String::from_utf8_lossy(&came[..length]));
    }
    let line = told.lines().find(|line| line.contains("later.blocked.example")).unwrap();
    let row: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&row["client_name"], &row["client_name_by"]), (&json!(HOSTILE), &json!("ptr")), "{line}");
    // Two were asked for once, one has a name of the owner's, and one that looks at the pages has none.
    assert!(asked.load(SeqCst) <= 3, "{asked:?}");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_where_names_would_tell_more_than_the_log_does() {
    for (more, is_full) in [
        ("[query_log]\nprivacy = \"prefix\"\n", false),
        ("[query_log]\nprivacy = \"hashed\"\n", false),
        ("[query_log]\nprivacy = \"none\"\n", false),
        ("[admin]\nlisten = \"127.0.0.1:0\"\nclient_names = \"own\"\n", true),
    ] {
        let (router, asked) = router().await;
        let server = serve(router, more).await;
        ask(&server).await;
        for path in ["/api/v1/clients", "/api/v1/log", "/api/v1/overview/top?of=clients", "/api/v1/setup/seen"] {
            let told = server.json(path).await.to_string();
            assert!(
                !told.contains("tablet") && told.contains("kid.lan") == (is_full && !path.contains("seen")),
                "{told}"
            );
        }
        for path in ["/", "/clients", "/log", "/log/1"] {
            let page = get(&server, path).await.body;
            assert!(!page.contains("by PTR") && (is_full || !page.contains("kid.lan")), "{more}{path}: {page}");
        }
        let found = server.json("/api/v1/log?client=kid").await["rows"].as_array().unwrap().len();
        assert_eq!(found, usize::from(is_full), "{more}");
        let (status, told) = server.get("/api/v1/explain?name=www.blocked.example&client=kid.lan").await;
        assert_eq!(status, if is_full { 200 } else { 400 }, "{more}: {told}");
        assert!(is_full || told.contains("[query_log] privacy withholds"), "{told}");
        assert_eq!(asked.load(SeqCst), 0, "{more}");
        server.running.stop().await;
    }
}

/// It is asked each time what is configured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_any_more_once_that_is_said() {
    let (router, asked) = router().await;
    let server = serve(router, "").await;
    let own = toml(router, "[admin]\nlisten = \"127.0.0.1:0\"\nclient_names = \"own\"\n");
    let applied = server.running.changing.files_say(configure(&server.folder, None, &own)).await.unwrap();
    assert_eq!(applied.waiting, [""; 0]);
    ask(&server).await;
    let told = server.json("/api/v1/clients").await.to_string();
    assert!(told.contains("kid.lan") && !told.contains("tablet"), "{told}");
    assert_eq!(asked.load(SeqCst), 0);
    server.running.stop().await;
}

/// Looks by another name than an address.
async fn by_host(server: &Server, line: &str, host: &str) -> Response {
    request(server, line, &format!("Host: {host}\r\nAccept: text/html\r\n"), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_finds_out_whether_it_asks_here() {
    let folder = folder();
    std::fs::write(folder.path().join("own.list"), "#! cleandns\nblocked.example\n").unwrap();
    let toml = "[[program]]\nname = \"own\"\nlists = [{ path = \"own.list\" }]\n";
    let server = start(folder, None, toml).await;
    let began = server.json("/api/v1/setup/seen").await;
    let (nonce, name) = (began["check"]["nonce"].as_str().unwrap(), began["check"]["name"].as_str().unwrap());
    assert_eq!(name, format!("t-{nonce}.check.cleandns.home.arpa"));
    assert_eq!((&began["client"], &began["queries_10m"]), (&json!("127.0.0.1"), &json!(0)), "{began}");
    assert_eq!((&began["check"]["state"], &began["check"]["from"]), (&json!("waiting"), &json!([])), "{began}");
    assert!(began["addresses"].as_array().unwrap().contains(&json!(server.dns().to_string())), "{began}");
    let look = format!("/api/v1/setup/seen?nonce={nonce}");
    // The name is answered with where the device reached the pages, for nobody to keep.
    let answer = server.ask_from("127.0.0.5", &Ask::new(name, RrType::A)).await;
    assert_eq!((answer.rcode, answer.answer[0].data.as_slice()), (Rcode::NOERROR, &[127, 0, 0, 1][..]));
    assert_eq!(answer.answer[0].ttl, 0);
    assert_eq!(server.ask(name, RrType::AAAA).await.shape(), "");
    let seen = server.json(&look).await;
    assert_eq!(seen["check"]["state"], "arrived", "{seen}");
    assert_eq!(seen["check"]["from"], json!(["127.0.0.5", "127.0.0.1"]), "{seen}");
    eventually("what was asked of late is counted", || async { server.json(&look).await["queries_10m"] == 1 }).await;
    assert!(server.json(&look).await["last"].is_string());
    for other in ["?nonce=0", "?nonce=%3Cb%3E"] {
        let seen = server.json(&format!("/api/v1/setup/seen{other}")).await;
        assert_eq!(seen["check"]["state"], "unknown", "{seen}");
    }
    assert_eq!(server.get("/api/v1/setup/seen?once=1").await.0, 400);
    // A name that doesn't come, after a while.
    let silent = server.json("/api/v1/setup/seen").await["check"]["nonce"].as_str().unwrap().to_owned();
    let now = server.clock.load(SeqCst);
    server.clock.store(now + 4, SeqCst);
    assert_eq!(server.json(&format!("/api/v1/setup/seen?nonce={silent}")).await["check"]["state"], "not_arrived");
    let page = get(&server, &format!("/setup?nonce={silent}")).await;
    assert!(text(&page.body).contains("This device doesn't ask here"), "{}", page.body);
    check("/setup", &page.body);
    // On the page: the script may ask for this one name, and whoever has none follows a link.
    let page = get(&server, "/setup").await;
    let (_, rest) = page.body.split_once("data-check=\"//").unwrap();
    let host = rest.split("/seen").next().unwrap();
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("connect-src 'self' {host};")), "{policy}");
    assert!(page.body.contains(&format!("href=\"//{host}/seen\"")), "{}", page.body);
    assert!(!get(&server, "/").await.header("content-security-policy").contains("home.arpa"));
    let nonce = host.strip_prefix("t-").unwrap().split('.').next().unwrap();
    server.ask(&format!("t-{nonce}.check.cleandns.home.arpa"), RrType::A).await;
    let page = get(&server, &format!("/setup?nonce={nonce}")).await;
    assert!(text(&page.body).contains("This device asks here") && !page.body.contains("data-check"), "{}", page.body);
    // By a router: from elsewhere than the device that looks.
    let routed = server.json("/api/v1/setup/seen").await["check"]["nonce"].as_str().unwrap().to_owned();
    server.ask_from("127.0.0.3", &Ask::new(&format!("t-{routed}.check.cleandns.home.arpa"), RrType::A)).await;
    let page = get(&server, &format!("/setup?nonce={routed}")).await;
    assert!(text(&page.body).contains("This device asks here, by way of 127.0.0.3"), "{}", page.body);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_name_of_a_check_there_is_one_word_and_nothing_else() {
    let folder = folder();
    std::fs::write(folder.path().join("own.list"), "#! cleandns\nblocked.example\n").unwrap();
    std::fs::write(folder.path().join("token"), "s3cret-of-the-owner\n").unwrap();
    let toml = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n[[program]]\nname = \"own\"\nlists = [{ path = \"own.list\" }]\n";
    let server = start(folder, None, toml).await;
    let host = "t-0123.check.cleandns.home.arpa:8053";
    // Without any secret, whoever asks.
    let seen = by_host(&server, "GET /seen", host).await;
    assert_eq!((seen.status, seen.body.as_str()), (200, "yes\n"));
    assert_eq!((seen.header("access-control-allow-origin"), seen.header("cache-control")), ("*", "no-store"));
    for line in
        ["GET /", "GET /setup", "GET /api/v1/setup/seen", "GET /metrics", "POST /seen", "GET /seen/", "GET /sign-in"]
    {
        let refused = by_host(&server, line, host).await;
        assert_eq!(refused.status, 421, "{line}");
        assert!(!refused.body.contains("csrf") && refused.header("access-control-allow-origin").is_empty(), "{line}");
    }
    for host in ["check.cleandns.home.arpa", "x.cleandns.home.arpa", "t-0.check.cleandns.home.arpa.evil.example"] {
        assert_eq!(by_host(&server, "GET /seen", host).await.status, 421, "{host}");
    }
    // By this server's own name it is a page like others: there is none.
    assert_eq!(
        request(&server, "GET /seen", "Host: localhost\r\nAuthorization: Bearer s3cret-of-the-owner\r\n", "")
            .await
            .status,
        404
    );
    assert_eq!(by_host(&server, "GET /api/v1/setup/seen", "localhost").await.status, 401);
    // Asked for at an address, the name of the zone tells that address, over UDP and TCP.
    for tcp in [false, true] {
        let ask = Ask { tcp, ..Ask::new("check.cleandns.home.arpa", RrType::A) };
        let answer = server.ask_with(&ask).await;
        assert_eq!(answer.answer[0].data, [127, 0, 0, 1], "{tcp}");
    }
    assert_eq!(server.ask("cleandns.home.arpa", RrType::A).await.rcode, Rcode::NXDOMAIN);
    server.running.stop().await;
}

/// Bound to all addresses at once, each is told as the one that was asked, over UDP and TCP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_was_asked_is_told() {
    let folder = folder();
    std::fs::write(folder.path().join("own.list"), "#! cleandns\nblocked.example\n").unwrap();
    let toml = "[listen]\ndo53 = [\"0.0.0.0:0\"]\nworkers = 1\n[[program]]\nname = \"own\"\nlists = [{ path = \"own.list\" }]\n";
    let server = start(folder, None, toml).await;
    let packet = Ask::new("any.check.cleandns.home.arpa", RrType::A).packet();
    for address in ["127.0.0.1", "127.0.0.2", "127.9.8.7"] {
        let at = SocketAddr::new(address.parse().unwrap(), server.dns().port());
        for octets in [over_udp(at, &packet).await, over_tcp(at, &packet).await] {
            let answer = Answer::read(octets.unwrap());
            let told = <[u8; 4]>::try_from(answer.answer[0].data.as_slice()).unwrap();
            assert_eq!(std::net::Ipv4Addr::from(told).to_string(), address);
            assert!(!answer.ad && answer.ra);
        }
    }
    server.running.stop().await;
}

/// Whoever has reverse zones, and which names were asked for.
#[derive(Default)]
struct Reverses(Mutex<Vec<String>>);

impl Resolve for Reverses {
    fn resolve(&self, name: dns::Name, _: RrType, _: Wanted) -> Pin<Box<dyn Future<Output = Resolution> + Send>> {
        self.0.lock().unwrap().push(name.to_string());
        let mut resolution = Resolution {
            rcode: Rcode::NOERROR,
            answer: vec![presentation::record(&format!("{name}. 60 PTR Host.example.")).unwrap()],
            authority: Vec::new(),
            security: Security::Insecure,
            ede: None,
            delegations: Vec::new(),
            unheard: false,
            server: None,
        };
        match name.labels().next() {
            Some(b"1") => resolution.rcode = Rcode::NXDOMAIN,
            Some(b"2") => resolution.rcode = Rcode::SERVFAIL,
            Some(b"3") => resolution.security = Security::Bogus,
            Some(b"4") => resolution.answer.clear(),
            _ => {}
        }
        if resolution.rcode != Rcode::NOERROR {
            resolution.answer.clear();
        }
        Box::pin(async move { resolution })
    }
}

/// A pipeline of no policy with such a resolver, that knows one neighbour.
fn pipeline(resolver: Arc<Reverses>) -> Pipeline {
    let records = ["nas.lan. A 192.168.1.9", "8.1.168.192.in-addr.arpa. CNAME eight.example."];
    let records: Vec<_> = records.iter().map(|text| presentation::record(text).unwrap()).collect();
    assert!(records.iter().all(|record| record.class == Class::IN));
    let forwarded = ["168.192.in-addr.arpa"].map(|zone| zone.parse().unwrap());
    Pipeline::new(
        Arc::default(),
        Terms {
            access: AccessList::new(Vec::new()),
            local: LocalData::new(&records),
            special: SpecialNames::new(forwarded.into_iter()),
            tells_chains: false,
        },
        resolver,
        Keeping { bytes: 1 << 20, seed: 1, stale: Duration::ZERO, refresh: false },
        Arc::new(Pauses::load(None, 0)),
        Surroundings {
            now: Arc::new(|| 0),
            mac: Arc::new(|_| Some([2, 0, 0, 0, 0, 1])),
            knows_macs: Arc::new(|| true),
            uptime: Arc::new(|| Duration::ZERO),
        },
    )
}

/// Names of private addresses don't get to the Internet, nor those of others unless the owner wants it.
#[tokio::test]
async fn only_who_may_be_asked_is_asked() {
    for (address, reverse, own, claimed, asked) in [
        ("192.168.1.7", Reverse::Forwarded, None, Ok(Some("host.example")), Some("7.1.168.192.in-addr.arpa")),
        ("::ffff:192.168.1.7", Reverse::Any, None, Ok(Some("host.example")), Some("7.1.168.192.in-addr.arpa")),
        ("192.168.1.1", Reverse::Forwarded, None, Ok(None), Some("1.1.168.192.in-addr.arpa")),
        ("192.168.1.2", Reverse::Forwarded, None, Err(Unanswered), Some("2.1.168.192.in-addr.arpa")),
        ("192.168.1.3", Reverse::Forwarded, None, Err(Unanswered), Some("3.1.168.192.in-addr.arpa")),
        ("192.168.1.4", Reverse::Forwarded, None, Ok(None), Some("4.1.168.192.in-addr.arpa")),
        ("192.168.1.9", Reverse::Any, Some("nas.lan"), Ok(None), None),
        ("192.168.1.8", Reverse::Any, None, Ok(Some("host.example")), Some("eight.example")),
        ("192.168.1.8", Reverse::Forwarded, None, Ok(None), None),
        ("10.0.0.7", Reverse::Any, None, Ok(None), None),
        ("fd00::7", Reverse::Any, None, Ok(None), None),
        ("fe80::7", Reverse::Any, None, Ok(None), None),
        ("127.0.0.1", Reverse::Any, None, Ok(None), None),
        ("198.18.0.7", Reverse::Forwarded, None, Ok(None), None),
        ("198.18.0.7", Reverse::Any, None, Ok(Some("host.example")), Some("7.0.18.198.in-addr.arpa")),
    ] {
        let resolver = Arc::new(Reverses::default());
        let (pipeline, address) = (pipeline(resolver.clone()), address.parse().unwrap());
        assert_eq!(pipeline.own_name(address).map(|name| name.to_string()).as_deref(), own, "{address}");
        let told = pipeline.claimed_name(address, reverse).await.map(|name| name.map(|name| name.to_string()));
        assert_eq!(told, claimed.map(|name| name.map(str::to_owned)), "{address} {reverse:?}");
        assert_eq!(resolver.0.lock().unwrap().first().map(String::as_str), asked, "{address} {reverse:?}");
    }
}
