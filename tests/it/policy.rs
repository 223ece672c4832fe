//! The policy as clients meet it: what blocked questions get, what of a query triggers rules, for whom they hold, and how
//! all that is explained.

mod adblock;
mod answers;
mod databases;
mod groups;
mod measured;
mod pauses;
mod rpz;
mod triggers;

use crate::{
    harness::{Answer, Ask, DEADLINE, Server, eventually, folder, framed, list_text, name, read_framed, start},
    internet::Internet,
    recursion::question,
};
use cleandns::dns::{Rcode, Record, RrType};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Starts a server whose folder has these lists, each the name of its file and its text.
async fn serve(internet: Option<&Internet>, lists: &[(&str, &str)], toml: &str) -> Server {
    let folder = folder();
    for (file, text) in lists {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    start(folder, internet, toml).await
}

/// A list in our own format; its rules begin in line 2.
fn ours(rules: &[&str]) -> String {
    list_text(rules)
}

/// A program of one list, `NAME.list`, whose service is called like it.
fn program(name: &str, more: &str) -> String {
    format!("[[program]]\nname = \"{name}\"\nlists = [{{ path = \"{name}.list\" }}]\n{more}\n")
}

/// The records of an answer section: owner, TTL, type and data.
fn records(answer: &Answer) -> Vec<String> {
    answer
        .answer
        .iter()
        .map(|record| record.to_string().replace(".\t", " ").replace("\tIN\t", " ").replace('\t', " "))
        .collect()
}

/// Code and records without their TTLs: `NOERROR www.x A 192.0.2.1, www.x A 192.0.2.2`.
fn shown(answer: &Answer) -> String {
    let timeless = |record: &Record| {
        let text = record.to_string();
        let fields: Vec<&str> = text.split('\t').collect();
        format!("{} {} {}", fields[0].trim_end_matches('.'), fields[3], fields[4].trim_end_matches('.'))
    };
    let all: Vec<String> = answer.answer.iter().map(timeless).collect();
    format!("{} {}", answer.rcode, all.join(", ")).trim_end().to_owned()
}

/// The text of the Extended DNS Error; nothing without one.
fn reason(answer: &Answer) -> &str {
    answer.ede.as_ref().map_or("", |ede| ede.text.as_str())
}

/// What every answer of a program's own has: RA, neither AA nor AD, RD and CD as asked; one OPT for those who sent one,
/// with code and text of the Extended DNS Error.
fn assert_own(ask: &Ask, answer: &Answer, code: u16, text: &str) {
    assert!(answer.ra && !answer.authoritative && !answer.ad && !answer.truncated, "{ask:?}: {answer:?}");
    assert_eq!((answer.octets[2] & 1 == 1, answer.cd), (ask.rd, ask.cd), "{ask:?}");
    assert_eq!(answer.octets[10..12], [0, u8::from(ask.edns)], "{ask:?}: OPT");
    let told = answer.ede.as_ref().map(|ede| (ede.code, ede.text.as_str()));
    assert_eq!(told, ask.edns.then_some((code, text)), "{ask:?}");
}

/// A denial has no answer and one SOA record, whose TTL and MINIMUM are `block_ttl`.
fn assert_denied(ask: &Ask, answer: &Answer, rcode: Rcode, owner: &str) {
    assert_eq!((answer.rcode, answer.answer.len()), (rcode, 0), "{ask:?}: {answer:?}");
    let [soa] = answer.authority.as_slice() else { panic!("{ask:?}: {:?}", answer.authority) };
    assert_eq!((soa.rr_type, soa.owner, soa.ttl), (RrType::SOA, name(owner), 30), "{ask:?}");
    assert_eq!(soa.data.last_chunk(), Some(&30_u32.to_be_bytes()), "{ask:?}: MINIMUM");
}

/// Asks over UDP with EDNS.
async fn ask(server: &Server, text: &str) -> Answer {
    let (name, rr_type) = question(text);
    server.ask(name, rr_type).await
}

/// What `explain` says of a question, with more of the request, such as `&client=127.0.0.2`.
async fn explain(server: &Server, text: &str, more: &str) -> Value {
    let (name, rr_type) = question(text);
    server.json(&format!("/api/v1/explain?name={name}&type={rr_type}{more}")).await
}

/// What blocks a question, by word of `explain`: `trigger list:line matched`; nothing if it passes.
fn blocker(explained: &Value) -> String {
    let is_block = |said: &&Value| said["outcome"] == "block";
    let Some(said) = explained["verdicts"].as_array().unwrap().iter().find(is_block) else {
        assert_eq!(explained["action"], "pass", "{explained}");
        return String::new();
    };
    assert_eq!(explained["action"], "block", "{explained}");
    let rule = |key: &str| said["rule"][key].as_str().unwrap();
    format!("{} {}:{} {}", rule("trigger"), rule("list"), said["rule"]["line"], rule("matched"))
}

/// Asks over UDP, over TCP and of `explain`, which must agree; returns what `blocker` does.
async fn verdict(server: &Server, text: &str) -> String {
    let (name, rr_type) = question(text);
    let explained = explain(server, text, "").await;
    let found = blocker(&explained);
    for tcp in [false, true] {
        let answer = server.ask_with(&Ask { tcp, ..Ask::new(name, rr_type) }).await;
        let rule = explained["verdicts"].as_array().unwrap().iter().find(|said| said["outcome"] == "block");
        let expected = rule.map(|said| {
            let part = |key: &str| said["rule"][key].as_str().unwrap();
            format!("{}/{} {}:{}", part("program"), part("service"), part("list"), said["rule"]["line"])
        });
        let told = answer.ede.as_ref().filter(|ede| ede.code == 15).map(|ede| ede.text.clone());
        assert_eq!(told, expected, "{text}: {explained}");
    }
    found
}

/// Asks each question in turn, and compares what blocks it.
async fn assert_verdicts(server: &Server, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(verdict(server, text).await, *expected, "{text}");
    }
}

/// Sums up a counter until it is what it should be.
async fn assert_counted(server: &Server, metric: &str, labels: &[&str], expected: u32) {
    let what = format!("{metric} {labels:?} = {expected}");
    eventually(&what, || async { server.metric(metric, labels).await == f64::from(expected) }).await;
}

/// Asks what gets no answer, and then, over the same socket or connection, what gets one: the first answer is the
/// second question's.
async fn assert_dropped(server: &Server, unanswered: &Ask, answered: &Ask) {
    const DROPPED: &str = "cleandns_queries_dropped_total";
    let before = server.metric(DROPPED, &[]).await as u32;
    let (first, mut second) = (Ask { tcp: false, ..unanswered.clone() }.packet(), answered.packet());
    second[..2].copy_from_slice(&[0x56, 0x78]);
    let octets = if unanswered.tcp {
        let mut stream = TcpStream::connect(server.dns()).await.unwrap();
        stream.write_all(&framed(&first)).await.unwrap();
        assert_counted(server, DROPPED, &[], before + 1).await;
        stream.write_all(&framed(&second)).await.unwrap();
        read_framed(&mut stream).await
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.dns()).await.unwrap();
        socket.send(&first).await.unwrap();
        assert_counted(server, DROPPED, &[], before + 1).await;
        socket.send(&second).await.unwrap();
        let mut octets = vec![0; 65_535];
        let length = timeout(DEADLINE, socket.recv(&mut octets)).await.unwrap().unwrap();
        Some(octets[..length].to_vec())
    };
    let octets = octets.unwrap_or_else(|| panic!("nothing after {unanswered:?}"));
    assert_eq!(octets[..2], [0x56, 0x78], "{unanswered:?} was answered");
}
