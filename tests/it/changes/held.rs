//! Rules that the safety gate holds back: looked at, let through, held back again.

use super::{
    forms::{browse, csrf, page},
    *,
};
use crate::pages;

const LIST: &str = "/api/v1/lists/others/wide.list";
const LET_THROUGH: &str = "POST /api/v1/let-through";
/// A list of somebody else's, as it were.
const HOLDING: &str = "[[program]]\nname = \"others\"\nlists = [{ path = \"wide.list\", gate = \"hold\" }]\n";
const WIDE: [&str; 4] = ["narrow.example", "zip", "/\\.(mov|co\\.uk)$/", "*"];

async fn serve_wide(rules: &[&str]) -> Server {
    let folder = lists();
    write_list(&folder.path().join("wide.list"), rules);
    start(folder, None, &format!("{HOLDING}{PROGRAMS}")).await
}

fn asked(names: &[&str]) -> Value {
    json!({ "list": "others/wide.list", "names": names, "reason": "we mean it", "confirmed": true })
}

/// How many of its rules are held back, and how many are in force.
async fn standing(server: &Server) -> (u64, u64) {
    let one = server.json(LIST).await;
    (one["held_count"].as_u64().unwrap(), one["rules"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_held_back_is_let_through_at_once() {
    let server = serve_wide(&WIDE).await;
    assert!(is_blocked(&server, "narrow.example").await && !is_blocked(&server, "a.zip").await);
    let one = server.json(LIST).await;
    assert_eq!(standing(&server).await, (3, 1));
    assert_eq!(
        one["passes_by"],
        json!([{ "line": 3, "names": ["zip"] }, { "line": 4, "names": ["co.uk", "mov"] }]),
        "what covers everything can't be: {one}"
    );
    eventually("what was asked is recorded", || async {
        server.json(&format!("{LIST}/held?names=zip")).await["rules"]["would_hit"]["queries"] == 1
    })
    .await;
    let would = server.json(&format!("{LIST}/held?names=zip")).await;
    assert_eq!((&would["rules"]["count"], &would["rules"]["rules"]), (&json!(1), &json!(["zip"])), "{would}");
    assert_eq!(would["rules"]["would_hit"], json!({ "queries": 1, "names": 1, "clients": 1, "upper_bound": false }));
    // Whoever hasn't looked is told to; and to try changes nothing.
    let unconfirmed = json!({ "list": "others/wide.list", "names": ["zip"] });
    let (status, kind, _) = refused(&server, LET_THROUGH, unconfirmed.clone()).await;
    assert_eq!((status, kind.as_str()), (409, "confirm"));
    assert_eq!(send(&server, &format!("{LET_THROUGH}?dry_run=true"), "", Some(&unconfirmed)).await.0, 200);
    assert_eq!((file(&server), standing(&server).await), (String::new(), (3, 1)));
    let since = one["since"].clone();
    let told = done(&server, LET_THROUGH, asked(&["ZIP."])).await;
    assert!(is_blocked(&server, "a.zip").await && is_blocked(&server, "narrow.example").await);
    assert!(!is_blocked(&server, "a.mov").await);
    assert_eq!(told["summary"], "let rules on zip of others/wide.list through (l1): we mean it");
    let written =
        "[[let_through]]\nid = \"l1\"\nlist = \"others/wide.list\"\nnames = [\"zip\"]\nreason = \"we mean it\"\n";
    assert!(file(&server).contains(written), "{}", file(&server));
    let line = audit(&server).pop().unwrap();
    assert_eq!((&line["what"], &line["key"]), (&json!("let_through"), &json!("let_through/l1")));
    let one = server.json(LIST).await;
    assert_eq!((standing(&server).await, &one["since"]), ((2, 2), &since), "the text is the same");
    let all = server.json("/api/v1/let-through").await;
    assert_eq!(all["let_through"], one["let_through"]);
    assert_eq!(all["let_through"][0]["names"], json!(["zip"]));
    // The verdict has the line as ever.
    let explained = server.json("/api/v1/explain?name=a.zip").await;
    assert!(explained["summary"].as_str().unwrap().contains("wide.list line 3"), "{explained}");
    // It holds in the texts that come, and after a restart.
    write_list(&server.path("wide.list"), &["*", "other.example", "zip"]);
    eventually("the new text is in force", || is_blocked(&server, "other.example")).await;
    assert!(is_blocked(&server, "b.zip").await);
    let server = again(server).await;
    assert!(is_blocked(&server, "c.zip").await);
    // Two at once, which is one change, and undone like any other.
    write_list(&server.path("wide.list"), &WIDE);
    eventually("the old text is in force", || is_blocked(&server, "narrow.example")).await;
    let second = done(&server, LET_THROUGH, asked(&["mov", "co.uk"])).await;
    assert!(is_blocked(&server, "a.mov").await && is_blocked(&server, "a.co.uk").await);
    done(&server, &format!("POST {}", second["undo"].as_str().unwrap()), json!({})).await;
    assert!(!is_blocked(&server, "a.mov").await && is_blocked(&server, "a.zip").await);
    let removed = done(&server, "DELETE /api/v1/let-through/l1", json!({})).await;
    assert_eq!(removed["summary"], "had rules on zip of others/wide.list held back again (l1)");
    assert!(!is_blocked(&server, "a.zip").await && is_blocked(&server, "narrow.example").await);
    assert_eq!((file(&server), standing(&server).await), (String::new(), (3, 1)));
    server.running.stop().await;
}

/// The same server over the same folder, as after a restart.
async fn again(server: Server) -> Server {
    let Server { running, folder, .. } = server;
    running.stop().await;
    start(folder, None, &format!("{HOLDING}{PROGRAMS}")).await
}

/// A list of which nothing is left without them is of use with them, and no longer when they are held back again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_held_back_as_a_whole_comes_into_force() {
    let server = serve_wide(&["zip"]).await;
    let trouble = async || server.json(LIST).await["trouble"].clone();
    assert!(trouble().await.as_str().unwrap().contains("all of its rules are held back"));
    done(&server, LET_THROUGH, asked(&["zip"])).await;
    assert!(is_blocked(&server, "a.zip").await);
    assert_eq!((trouble().await, standing(&server).await), (Value::Null, (0, 1)));
    let server = again(server).await;
    assert!(is_blocked(&server, "a.zip").await);
    assert_eq!(trouble_of(&server).await, Value::Null, "nothing is wrong with it at a start either");
    done(&server, "DELETE /api/v1/let-through/l1", json!({})).await;
    assert!(!is_blocked(&server, "a.zip").await);
    assert!(trouble_of(&server).await.as_str().unwrap().contains("all of its rules are held back"));
    server.running.stop().await;
}

async fn trouble_of(server: &Server) -> Value {
    server.json(LIST).await["trouble"].clone()
}

/// A pinned text is read so too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_a_pinned_text_are_let_through() {
    let server = serve_wide(&["narrow.example", "zip"]).await;
    eventually("its text is kept", || async { server.json(LIST).await["versions"][0]["bytes"].is_number() }).await;
    let version = server.json(LIST).await["version"].clone();
    done(&server, "POST /api/v1/lists/rollback", json!({ "list": "others/wide.list", "version": version })).await;
    write_list(&server.path("wide.list"), &["other.example"]);
    eventually("the newer one waits", || async { server.json(LIST).await["pinned"]["waiting"].is_string() }).await;
    done(&server, LET_THROUGH, asked(&["zip"])).await;
    assert!(is_blocked(&server, "a.zip").await && !is_blocked(&server, "other.example").await);
    done(&server, "DELETE /api/v1/let-through/l2", json!({})).await;
    assert!(!is_blocked(&server, "a.zip").await && is_blocked(&server, "narrow.example").await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_held_back_is_not_let_through() {
    let server = serve_wide(&WIDE).await;
    for (list, names, field, message) in [
        (
            "others/wide.list",
            &["narrow.example"][..],
            "names",
            "no rule of others/wide.list is held back for narrow.example",
        ),
        ("others/wide.list", &["."], "names", "no rule on every name there is"),
        ("others/wide.list", &[], "names", "write 1 to 100"),
        ("others/wide.list", &["*.zip"], "names", "is not a name"),
        ("others/wide.list", &["<script>"], "names", "is not a name"),
        ("others/none.list", &["zip"], "list", "there is no list others/none.list"),
        ("x", &["zip"], "list", "there is no list x"),
        // The owner's own file is obeyed, and warned of.
        ("strict/block.list", &["com"], "names", "no rule of strict/block.list is held back for com"),
    ] {
        let body = json!({ "list": list, "names": names, "confirmed": true });
        let (status, kind, told) = refused(&server, LET_THROUGH, body).await;
        assert_eq!((status, kind.as_str(), &told["problems"][0]["field"]), (422, "invalid", &json!(field)), "{told}");
        assert!(told["problems"][0]["message"].as_str().unwrap().contains(message), "{names:?}: {told}");
    }
    let long = json!({ "list": "others/wide.list", "names": ["zip"], "confirmed": true, "reason": "x".repeat(301) });
    assert_eq!(refused(&server, LET_THROUGH, long).await.0, 422);
    assert_eq!(refused(&server, "DELETE /api/v1/let-through/l1", json!({})).await.0, 404);
    assert_eq!((file(&server), audit(&server)), (String::new(), Vec::new()));
    // By hand, for a list that isn't there: said, and nothing else.
    let overlay = "[[let_through]]\nid = 'l1'\nlist = 'others/gone.list'\nnames = ['zip']\n";
    fs::write(server.path("state/overlay.toml"), overlay).unwrap();
    eventually("it is told", || async {
        let notes = server.json("/api/v1/overview").await["notes"].to_string();
        notes.contains("overlay.toml:l1: there is no list others/gone.list")
    })
    .await;
    server.running.stop().await;
}

/// The page asks before it does it, and says what that would cover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_rules_are_let_through_on_the_page() {
    let server = serve_wide(&WIDE).await;
    let shown = page(&server, "/lists/others/wide.list").await;
    pages::check("held", &shown);
    assert!(shown.contains("line 3: covers all of .zip"), "{shown}");
    assert!(shown.contains("/lists/others/wide.list?let_through=co.uk%20mov#let-through"), "{shown}");
    assert_eq!(shown.matches(">Let it through…<").count(), 2, "what covers everything can't be: {shown}");
    let question = page(&server, "/lists/others/wide.list?let_through=mov%20co.uk").await;
    pages::check("question", &question);
    assert!(
        question.contains("Let 1 rule through?") && question.contains("they block from the next query on"),
        "{question}"
    );
    assert!(question.contains("name=\"names\" value=\"mov co.uk\""), "{question}");
    let wrong = page(&server, "/lists/others/wide.list?let_through=%3Cb%3E").await;
    pages::check("wrong", &wrong);
    assert!(wrong.contains("is not a name"), "{wrong}");
    let form = |rest: &str| format!("csrf={}&list=others%2Fwide.list&{rest}", csrf(&shown));
    let (status, _) = browse(&server, "POST /do/let-through", &form("names=zip&reason=%3Cb%3E")).await;
    assert!(status.starts_with("409"), "nobody was asked: {status}");
    let long = "x".repeat(301);
    let (status, again) =
        browse(&server, "POST /do/let-through", &form(&format!("names=zip&confirmed=yes&reason={long}"))).await;
    assert!(status.starts_with("422") && again.contains(&long), "what was typed is kept: {status} {again}");
    let (status, _) = browse(&server, "POST /do/let-through", &form("names=zip&confirmed=yes&reason=%3Cb%3E")).await;
    assert_eq!(status, "303 /lists/others/wide.list?done=1");
    assert!(is_blocked(&server, "a.zip").await);
    let told = page(&server, "/lists/others/wide.list?done=1").await;
    pages::check("let through", &told);
    assert!(
        told.contains("Let through by hand") && told.contains("Hold back again") && told.contains("&#60;b&#62;"),
        "{told}"
    );
    let (status, _) = browse(&server, "POST /do/let-through", &form("remove=l1")).await;
    assert_eq!(status, "303 /lists/others/wide.list?done=2");
    assert!(!is_blocked(&server, "a.zip").await);
    let (status, _) = browse(&server, "POST /do/let-through", "list=others%2Fwide.list&names=zip&confirmed=yes").await;
    assert!(status.starts_with("403"), "without the token: {status}");
    server.running.stop().await;
}
