//! The same by the forms of pages, as a browser without script sends them.

use super::*;

/// A page as a browser gets it.
pub async fn page(server: &Server, path: &str) -> String {
    let (status, body) = browse(server, &format!("GET {path}"), "").await;
    assert!(status.starts_with("200"), "{path}: {status}");
    body
}

/// A request of a browser: status with location, and body.
pub async fn browse(server: &Server, line: &str, form: &str) -> (String, String) {
    let address = server.running.admin.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().split_once(' ').unwrap().1;
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
    (format!("{} {location}", &status[..3]), body.to_owned())
}

/// The token that the forms of a page show.
pub fn csrf(page: &str) -> String {
    let (_, after) = page.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    after.split('"').next().unwrap().to_owned()
}

/// What is blocked without it isn't what it would bring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_tells_apart_what_is_blocked_already() {
    let server = serve("").await;
    for _ in 0..2 {
        assert!(is_blocked(&server, "blocked.example").await);
    }
    eventually("what is blocked is recorded", || async {
        server.json("/api/v1/programs/strict/preview").await["text"][0]
            == "In the last day it would have blocked 2 of 2 queries: 1 name, asked by 1 of 1 client. All of these were \
                blocked as it is."
    })
    .await;
    let whole = server.json("/api/v1/programs/strict/preview").await;
    assert_eq!(whole["seen"][0]["blocked_already"], 2, "{whole}");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_a_form_and_enforcing_leads_past_the_preview() {
    let server = serve("").await;
    server.ask("watched.example", RrType::ANY).await;
    let programs = page(&server, "/programs").await;
    let token = csrf(&programs);
    let form = |rest: &str| format!("csrf={token}&{rest}");
    let (status, _) = browse(&server, "POST /do/mode", &form("program=strict&group=&set=%3Dshadow")).await;
    assert_eq!(status, "303 /programs?done=1#strict");
    assert!(!is_blocked(&server, "blocked.example").await);
    let told = page(&server, "/programs?done=1").await;
    assert!(told.contains("set strict to shadow for everybody"), "{told}");
    assert!(told.contains("as configured"), "{told}");
    let (status, _) = browse(&server, "POST /do/mode", &form("program=watching&group=kids&set=seen%3Denforce")).await;
    assert_eq!(status, "303 /programs/preview?program=watching&service=seen&group=kids&mode=enforce");
    let preview = page(&server, status.split_once(' ').unwrap().1).await;
    assert!(preview.contains("Enforce watching/seen for kids"), "{preview}");
    assert!(preview.contains("watching holds its services down"), "{preview}");
    let asked = "/api/v1/programs/watching/preview";
    eventually("what it would have blocked is recorded", || async {
        server.json(asked).await["text"][0]
            == "In the last day it would have blocked 1 of 2 queries: 1 name, asked by 1 of 1 client."
    })
    .await;
    let whole = server.json(asked).await;
    assert_eq!(whole["breaks"], json!([["What is seen", "nothing"]]), "{whole}");
    assert_eq!(whole["seen"][1]["by_name"], json!([{ "key": "watched.example", "queries": 1 }]), "{whole}");
    assert_eq!(whole["seen"][0]["triggers"], json!([["qname", 1]]), "{whole}");
    let kids = server.json(&format!("{asked}?group=kids")).await;
    assert_eq!(kids["text"][0], "In the last day it would have blocked none of 0 queries of kids.", "{kids}");
    let confirmed = "program=watching&service=seen&group=kids&mode=enforce&confirmed=yes";
    let (status, _) = browse(&server, "POST /do/mode", &form(confirmed)).await;
    assert_eq!(status, "303 /programs?group=kids&done=2#watching");
    let (status, body) = browse(&server, "POST /do/mode", &form("program=nope&set=%3Doff")).await;
    assert!(status.starts_with("422") && body.contains("there is no program &#34;nope&#34;"), "{status} {body}");
    let (status, _) = browse(&server, "POST /do/mode", "program=strict&set=%3Doff").await;
    assert!(status.starts_with("403"), "without the token: {status}");
    // Undone on the page of changes.
    let changes = page(&server, "/changes").await;
    assert!(
        changes.contains("set strict to shadow for everybody") || changes.contains("modes/everybody/strict"),
        "{changes}"
    );
    assert!(changes.contains("name=\"change\" value=\"1\""), "{changes}");
    // What it would block is shown before, as it is for who gives the mode back to the configuration.
    for (line, asked, query) in [
        ("POST /do/undo", "change=1", "undo=1"),
        ("POST /do/mode", "program=strict&group=&set=%3D", "program=strict&mode=configured"),
    ] {
        let (status, _) = browse(&server, line, &form(asked)).await;
        assert_eq!(status, format!("303 /programs/preview?{query}"));
        assert!(!is_blocked(&server, "blocked.example").await);
        let preview = page(&server, status.split_once(' ').unwrap().1).await;
        assert!(preview.contains("<h1>strict as configured</h1>"), "{preview}");
        assert!(!preview.contains("Nothing would be blocked"), "{preview}");
        let button = if query == "undo=1" { "name=\"change\" value=\"1\"" } else { "name=\"mode\" value=\"\"" };
        assert!(preview.contains(button), "{preview}");
    }
    let (status, _) = browse(&server, "POST /do/undo", &form("change=1&confirmed=yes")).await;
    assert_eq!(status, "303 /changes?done=3");
    assert!(is_blocked(&server, "blocked.example").await);
    // Likewise of a group's mode.
    let (status, _) = browse(&server, "POST /do/mode", &form("program=watching&group=kids&set=%3Doff")).await;
    assert_eq!(status, "303 /programs?group=kids&done=4#watching");
    let (status, _) = browse(&server, "POST /do/mode", &form("program=watching&group=kids&set=%3D")).await;
    assert!(!status.contains("preview"), "{status}: its service would still be held down");
    let (status, _) = browse(&server, "POST /do/mode", &form("program=strict&group=kids&set=%3Doff")).await;
    assert_eq!(status, "303 /programs?group=kids&done=6#strict");
    let (status, _) = browse(&server, "POST /do/mode", &form("program=strict&group=kids&set=%3D")).await;
    assert_eq!(status, "303 /programs/preview?program=strict&group=kids&mode=configured");
    let confirmed = "program=strict&group=kids&mode=&confirmed=yes";
    let (status, _) = browse(&server, "POST /do/mode", &form(confirmed)).await;
    assert_eq!(status, "303 /programs?group=kids&done=7#strict");
    assert!(is_blocked_for(&server, KID, "blocked.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_and_blocks_are_made_changed_and_removed_by_forms() {
    let server = serve("").await;
    let token = csrf(&page(&server, "/except?name=shop.blocked.example").await);
    let form = |rest: &str| format!("csrf={token}&{rest}");
    let typed = "names=shop.blocked.example+b.blocked.example&match=exact&programs=strict&groups=kids&groups=default&reason=%3Cb%3E&until=";
    let (status, _) = browse(&server, "POST /do/except", &form(typed)).await;
    assert_eq!(status, "303 /except?done=1");
    assert!(!is_blocked(&server, "b.blocked.example").await);
    let shown = page(&server, "/except?id=e1").await;
    assert!(
        shown.contains("Change exception e1") && shown.contains("=shop.blocked.example =b.blocked.example"),
        "{shown}"
    );
    assert!(shown.contains("&#60;b&#62;") && !shown.contains("<b>\""), "{shown}");
    // What is wrong is told beside what was typed.
    let (status, body) =
        browse(&server, "POST /do/except", &form("names=http%3A%2F%2F192.0.2.7&until=2027-01-31")).await;
    assert!(status.starts_with("422"), "{status}");
    assert!(
        body.contains("leads to an address, not to a name")
            && body.contains("value=\"http://192.0.2.7\"")
            && body.contains("2027-01-31"),
        "{body}"
    );
    let (status, _) = browse(&server, "POST /do/block", &form("name=game.example&groups=kids&reason=")).await;
    assert_eq!(status, "303 /except?done=2");
    assert!(is_blocked_for(&server, KID, "www.game.example").await && !is_blocked(&server, "game.example").await);
    let (status, _) = browse(&server, "POST /do/block", &form("id=b2&name=game.example&reason=")).await;
    assert_eq!(status, "303 /except?done=3");
    assert!(is_blocked(&server, "game.example").await, "for everybody now");
    assert_eq!(browse(&server, "POST /do/except", &form("remove=e1")).await.0, "303 /except?done=4");
    assert_eq!(browse(&server, "POST /do/block", &form("remove=b2")).await.0, "303 /except?done=5");
    assert!(is_blocked(&server, "b.blocked.example").await && !is_blocked(&server, "game.example").await);
    server.running.stop().await;
}

/// Of a list that isn't here nothing is known, which isn't that it would block nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_of_a_list_that_is_not_here_says_so() {
    let folder = lists();
    fs::write(folder.path().join("late.list"), "").unwrap();
    let program =
        |mode: &str| format!("[[program]]\nname = \"late\"\nmode = \"{mode}\"\nlists = [{{ path = \"late.list\" }}]\n");
    let held =
        "[[program]]\nname = \"held\"\nmode = \"shadow\"\nlists = [{ path = \"late.list\", service = \"down\" }]\n";
    let server = start(folder, None, &format!("{}{held}{}", program("shadow"), super::PROGRAMS)).await;
    for asked in ["program=late", "program=late&service=late&group=kids", "program=late&mode=configured"] {
        let (program, query) = asked.split_once('&').unwrap_or((asked, ""));
        let api = format!("/api/v1/programs/{}/preview?{query}", program.strip_prefix("program=").unwrap());
        let view = server.json(&api).await;
        let caveats: Vec<&str> =
            view["caveats"].as_array().unwrap().iter().map(|caveat| caveat.as_str().unwrap()).collect();
        let is_told = caveats
            .iter()
            .any(|own| own.starts_with("Nothing of late.list is here yet (it is empty), so it isn't known"));
        // The service as a whole; by itself its program holds it down, and given back to the configuration it is in shadow.
        assert_eq!(is_told, asked == "program=late", "{view}");
        assert_eq!(caveats.iter().any(|own| own.starts_with("Nothing would be blocked yet")), !is_told, "{view}");
        assert!(!is_told || view["text"] == json!([]), "{view}");
    }
    let preview = page(&server, "/programs/preview?program=late").await;
    assert!(
        preview.contains("Nothing of late.list is here yet") && !preview.contains("would have blocked none"),
        "{preview}"
    );
    // Once it is here, what it would do is known.
    write_list(&server.path("late.list"), &["late.example"]);
    eventually("the list", async || {
        let view = server.json("/api/v1/programs/late/preview").await;
        !view["caveats"].to_string().contains("late.list")
    })
    .await;
    server.running.stop().await;
}

/// Whoever confirms an undo sees what that undo does, whatever the address says besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_before_an_undo_shows_what_it_undoes_and_nothing_else() {
    let server = serve("").await;
    let kids = json!({ "program": "strict", "group": "kids", "mode": "off" });
    assert_eq!(done(&server, "PUT /api/v1/modes", kids).await["change"], 1);
    let seen = |mode: &str| json!({ "program": "watching", "service": "seen", "mode": mode, "confirmed": true });
    done(&server, "PUT /api/v1/modes", seen("enforce")).await;
    done(&server, "PUT /api/v1/modes", seen("off")).await;
    done(&server, "PUT /api/v1/modes", seen("shadow")).await;
    for (other, change, title) in [
        ("program=watching&", 1, "<h1>strict as configured for kids</h1>"),
        ("program=watching&service=seen&mode=enforce&", 1, "<h1>strict as configured for kids</h1>"),
        ("program=nope&", 1, "<h1>strict as configured for kids</h1>"),
        ("program=strict&group=kids&mode=configured&", 3, "<h1>Enforce watching/seen</h1>"),
    ] {
        let shown = page(&server, &format!("/programs/preview?{other}undo={change}")).await;
        assert!(shown.contains(title), "{other}: {shown}");
        assert!(shown.contains(&format!("name=\"change\" value=\"{change}\"")), "{other}: {shown}");
    }
    // What there isn't, and what enforces nothing.
    for (change, expected) in [(99, "404"), (4, "422")] {
        let line = format!("GET /programs/preview?program=strict&undo={change}");
        let (status, body) = browse(&server, &line, "").await;
        assert!(status.starts_with(expected) && !body.contains("/do/undo"), "{change}: {status} {body}");
    }
    server.running.stop().await;
}

/// With a script a time is the moment that the browser's clock makes of it; without one it is of the policy's zone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_lasts_until_a_time_by_the_clock_of_whoever_typed_it() {
    let server = serve("[policy]\ntime_zone = \"Asia/Tokyo\"\n").await;
    // 2026-11-28T12:00:00Z
    const NOON: u64 = 1_795_867_200;
    server.clock.store(NOON, Relaxed);
    let token = csrf(&page(&server, "/").await);
    let until = async |typed: &str| {
        let form = format!("csrf={token}&back=%2F&reason=&until=2026-11-28T22%3A00&seconds={typed}");
        let (status, body) = browse(&server, "POST /do/pause", &form).await;
        assert!(status.starts_with("303"), "{status}: {body}");
        server.json("/api/v1/pause").await["pauses"][0]["until"].as_u64().unwrap() - NOON
    };
    // Ten in the evening of Tokyo, an hour away; and of Berlin, as its browser says.
    assert_eq!(until("").await, 3600);
    assert_eq!(until("&at=").await, 3600);
    assert_eq!(until("&at=2026-11-28T21%3A00%3A00.000Z").await, 9 * 3600);
    // Both are told.
    let told = page(&server, "/").await;
    assert!(told.contains("until 2026-11-29 06:00 Asia/Tokyo"), "{told}");
    let here =
        "<small data-here hidden> (here <time datetime=\"2026-11-28T21:00:00Z\" data-t=\"minute\"></time>)</small>";
    assert!(told.contains(here), "{told}");
    server.running.stop().await;
}
