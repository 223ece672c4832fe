//! One test a bug that once was, each of which failed before its fix.

use crate::{
    forwarding::forward,
    harness::{Ask, eventually, folder, over_udp, start, start_near, write_list},
    internet::{Internet, answer_to, scripted},
};
use cleandns::dns::{Rcode, RrType};
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, rdata::CNAME},
};
use std::{net::SocketAddr, process::Command, time::Instant};

/// A socket bound to every address answered from the address that the routes chose, not from the one asked; clients
/// drop such answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_socket_answers_from_the_address_asked() {
    for (listen, asked) in
        [("0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.9.8.7"][..]), ("[::]:0", &["127.0.0.1", "127.0.0.2", "::1"])]
    {
        let server = start(folder(), None, &format!("[listen]\ndo53 = [\"{listen}\"]\n")).await;
        for address in asked {
            let to = SocketAddr::new(address.parse().unwrap(), server.dns().port());
            // The client's socket is connected: it hears nobody but whom it asked.
            let answer = over_udp(to, &Ask::new("localhost", RrType::A).packet()).await;
            assert!(answer.is_some(), "{listen}: no answer from {address}");
        }
        server.running.stop().await;
    }
}

/// A pipe named like a list stopped the thread that reads lists, and with it every later reload and the shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_among_lists_holds_up_nothing() {
    let folder = folder();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    write_list(&lists.join("a.list"), &["old.example"]);
    let pipe = |name: &str| assert!(Command::new("mkfifo").arg(lists.join(name)).status().unwrap().success());
    pipe("before.list");
    let server = start(folder, None, "[[program]]\nname = \"p\"\nlists = [{ path = \"lists\" }]\n").await;
    pipe("after.list");
    write_list(&lists.join("a.list"), &["new.example"]);
    let blocked = || async { server.ask("new.example", RrType::A).await.ede_code() == 15 };
    eventually("the changed list", blocked).await;
    server.running.stop().await;
}

/// tokio doesn't wake a reader for an ICMP error, so a closed port cost as much as a silent server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_whose_udp_port_is_closed_fails_at_once() {
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = start_near(folder(), None, &[closed], &forward("corp.example", &[format!("udp://{closed}")])).await;
    let started = Instant::now();
    let answer = server.ask("host.corp.example", RrType::A).await;
    let took = started.elapsed();
    assert_eq!(answer.rcode, Rcode::SERVFAIL);
    assert!([22, 23].contains(&answer.ede_code()), "{:?}", answer.ede);
    // Less than the patience with a silent server, by far.
    assert!(took.as_millis() < 600, "{took:?}");
}

/// An alias into a blocked zone gave SERVFAIL instead of the block when no server of that zone answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_into_a_blocked_zone_is_blocked_even_if_nobody_serves_it() {
    let internet = Internet::start().await;
    let (address, _serving) = scripted(|question| {
        let mut answer = answer_to(question, ResponseCode::NoError);
        let target = Name::from_ascii("www.lame.net.").unwrap();
        let owner = question.queries[0].name().clone();
        answer.add_answer(Record::from_rdata(owner, 300, RData::CNAME(CNAME(target))));
        Some(answer)
    })
    .await;
    let folder = folder();
    write_list(&folder.path().join("own.list"), &["lame.net"]);
    let program = "[[program]]\nname = \"p\"\nlists = [{ path = \"own.list\" }]\n";
    let toml = format!("{program}{}", forward("corp.example", &[address.to_string()]));
    let server = start_near(folder, Some(&internet), &[address], &toml).await;
    let answer = server.ask("alias.corp.example", RrType::A).await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15), "{:?}", answer.ede);
}

/// An answer that breaks DNSSEC was refused, yet told and counted as a block if it led to a blocked name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bogus_answer_is_no_block() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(&folder.path().join("own.list"), &["bogus-sig.org"]);
    let program = "[[program]]\nname = \"p\"\nlists = [{ path = \"own.list\" }]\n";
    let server = start(folder, Some(&internet), program).await;
    let answer = server.ask("to-bogus.signed.org", RrType::A).await;
    assert_eq!((answer.rcode, answer.ede_code()), (Rcode::SERVFAIL, 6), "{:?}", answer.ede);
    let (_, explained) = server.get("/api/v1/explain?name=to-bogus.signed.org").await;
    assert!(explained.contains("\"action\":\"pass\"") && explained.contains("breaks DNSSEC"), "{explained}");
    assert!(server.metric("cleandns_blocked_total", &[]).await == 0.0);
}

/// A denial behind an alias within one zone carried the zone's SOA record once for each link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_behind_an_alias_has_one_soa_record() {
    let internet = Internet::start().await;
    let server = start(folder(), Some(&internet), "").await;
    for (name, rr_type) in [("alias-nodata.signed.org", RrType::AAAA), ("alias.signed.org", RrType::SOA)] {
        let answer = server.ask_with(&Ask { dnssec_ok: true, ..Ask::new(name, rr_type) }).await;
        let shown: Vec<String> = answer.authority.iter().map(ToString::to_string).collect();
        let mut once = shown.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), shown.len(), "{name}: {shown:#?}");
    }
}

/// A file renamed into place was held back as long as somebody still wrote to the one it replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_of_a_replaced_file_holds_up_nothing() {
    use std::io::Write;
    let folder = folder();
    let list = folder.path().join("own.list");
    write_list(&list, &["old.example"]);
    let server = start(folder, None, "[[program]]\nname = \"p\"\nlists = [{ path = \"own.list\" }]\n").await;
    let blocks = async |name| server.ask(name, RrType::A).await.ede_code() == 15;
    let mut old = std::fs::File::options().append(true).open(&list).unwrap();
    writeln!(old, "half.example").unwrap();
    let new = list.with_extension("new");
    write_list(&new, &["new.example"]);
    std::fs::rename(&new, &list).unwrap();
    writeln!(old, "more.example").unwrap();
    // Somebody who never closes a file is waited for far longer than this waits.
    eventually("the renamed list", || blocks("new.example")).await;
    writeln!(old, "still.example").unwrap();
    assert!(!blocks("old.example").await && !blocks("half.example").await);
    server.running.stop().await;
}
