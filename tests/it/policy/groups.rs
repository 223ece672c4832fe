//! For whom and when: groups, schedules, exceptions.

use super::{assert_counted, explain, ours, program, reason, serve, shown};
use crate::{
    harness::{Ask, Server, eventually},
    internet::Internet,
};
use cleandns::{
    admin::explained,
    dns::{Rcode, RrType, Transport},
    pause::{Kept, PauseError},
    policy::Client,
    query::{Asked, Now, Surroundings},
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Monday, 2030-01-07, 00:00 UTC.
const MONDAY: u64 = 1_893_974_400;
const HOUR: u64 = 3600;

/// Which of the names a client finds blocked, in their order; `explain` must agree.
async fn blocked<'a>(server: &Server, client: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut blocked = Vec::new();
    for &name in names {
        let answer = server.ask_from(client, &Ask::new(name, RrType::A)).await;
        let is_blocked = answer.ede_code() == 15;
        let explained = explain(server, &format!("{name} A"), &format!("&client={client}")).await;
        assert_eq!(explained["action"] == "block", is_blocked, "{client} {name}: {explained}");
        blocked.extend(is_blocked.then_some(name));
    }
    blocked
}

/// The group of a client, and the mode that a question's first rule has for it, by word of `explain`.
async fn group_and_mode(server: &Server, client: &str, text: &str) -> (String, String) {
    let explained = explain(server, text, &format!("&client={client}")).await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&explained["group"]), text(&explained["considered"][0]["mode"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_get_the_modes_of_their_smallest_network() {
    let internet = Internet::start().await;
    let names = ["www.signed.org", "www.target.org", "www.secure.test", "www.plain.test"];
    let list = |name: &str| ours(&[name]);
    let optional = ours(&["#: default: off", names[3]]);
    let lists = [
        ("one.list", &*list(names[0])),
        ("two.list", &list(names[1])),
        ("three.list", &list(names[2])),
        ("four.list", &optional),
    ];
    let toml = [
        program("one", ""),
        program("two", "mode = \"shadow\""),
        program("three", "mode = \"off\""),
        program("four", ""),
        "[[group]]\nname = \"wide\"\nclients = [\"127.0.0.0/24\"]\nprograms = { one = \"off\", four = \"enforce\" }\n\
         [[group]]\nname = \"narrow\"\nclients = [\"127.0.0.16/28\", \"127.0.2.1\"]\nprograms = { two = \"enforce\", three = \"shadow\" }\n\
         [[group]]\nname = \"single\"\nclients = [\"127.0.0.17\"]\nprograms = { three = \"enforce\" }\n\
         services = { \"one/one\" = \"shadow\", \"four/four\" = \"enforce\", \"two/two\" = \"enforce\" }\n"
            .to_owned(),
    ]
    .concat();
    let server = serve(Some(&internet), &lists, &toml).await;
    for (client, group, expected) in [
        ("127.0.1.1", "default", &[names[0]][..]),
        ("127.0.0.1", "wide", &[]),
        ("127.0.0.15", "wide", &[]),
        ("127.0.0.16", "narrow", &[names[0], names[1]]),
        ("127.0.0.31", "narrow", &[names[0], names[1]]),
        ("127.0.2.1", "narrow", &[names[0], names[1]]),
        ("127.0.0.32", "wide", &[]),
        // A service goes no further than its program; one that is off at first is switched on by its own name alone.
        ("127.0.0.17", "single", &[names[2], names[3]]),
    ] {
        assert_eq!(blocked(&server, client, &names).await, expected, "{client}");
        assert_eq!(group_and_mode(&server, client, "www.signed.org A").await.0, group, "{client}");
    }
    for (client, text, expected) in [
        ("127.0.1.1", "www.target.org A", "shadow"),
        ("127.0.0.16", "www.target.org A", "enforce"),
        ("127.0.0.16", "www.secure.test A", "shadow"),
        ("127.0.0.17", "www.signed.org A", "shadow"),
        ("127.0.0.1", "www.signed.org A", "off"),
    ] {
        assert_eq!(group_and_mode(&server, client, text).await.1, expected, "{client} {text}");
    }
    // The ceiling is above them all.
    let server = serve(Some(&internet), &lists, &format!("{toml}[policy]\nmode = \"shadow\"\n")).await;
    for client in ["127.0.1.1", "127.0.0.16", "127.0.0.17"] {
        assert_eq!(blocked(&server, client, &names).await, [""; 0], "{client}");
    }
    let server = serve(Some(&internet), &lists, &format!("{toml}[policy]\nmode = \"off\"\n")).await;
    assert_eq!(blocked(&server, "127.0.0.17", &names).await, [""; 0]);
    assert_counted(&server, "cleandns_would_block_total", &[], 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_a_program_have_modes_of_their_own() {
    let internet = Internet::start().await;
    let lists = [("tiktok.list", ours(&["www.signed.org"])), ("wechat.list", ours(&["www.target.org"]))];
    let lists = [("tiktok.list", &*lists[0].1), ("wechat.list", &lists[1].1)];
    let toml = "[[program]]\nname = \"mine\"\nlists = [{ path = \"tiktok.list\" }, { path = \"wechat.list\" }]\n\
                services = { \"*\" = \"shadow\", tiktok = \"enforce\" }\n";
    let server = serve(Some(&internet), &lists, toml).await;
    let names = ["www.signed.org", "www.target.org"];
    assert_eq!(blocked(&server, "127.0.0.1", &names).await, ["www.signed.org"]);
    assert_counted(&server, "cleandns_would_block_total", &["service=\"wechat\""], 1).await;
}

/// Outside its schedule a group has the modes of everybody, and a program is off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedules_switch_groups_and_programs() {
    let internet = Internet::start().await;
    let names = ["www.signed.org", "www.target.org", "www.plain.test", "only-a.signed.org"];
    // The group's hours change what of an answer must be known.
    let lists = [
        ("name.list", &*ours(&["www.signed.org"])),
        ("office.list", &ours(&["www.target.org"])),
        ("server.list", &ours(&["ns:ns1.plain.test", "203.0.113.22"])),
    ];
    let toml = [
        program("name", ""),
        program("office", "schedule = \"Mon-Fri 09:00-17:00 Europe/Berlin\""),
        program("server", ""),
        "[[group]]\nname = \"kids\"\nclients = [\"127.0.0.8/29\"]\nprograms = { name = \"shadow\", server = \"off\" }\n\
         schedule = \"Mon-Sun 18:00-20:00 UTC\"\n"
            .to_owned(),
    ]
    .concat();
    let server = serve(Some(&internet), &lists, &toml).await;
    let (everyday, office) = ([names[0], names[2], names[3]], [names[0], names[1], names[2], names[3]]);
    for (time, others, kids) in [
        (MONDAY + 7 * HOUR, &everyday[..], &everyday[..]),
        // Nine o'clock in Berlin.
        (MONDAY + 8 * HOUR - 1, &everyday, &everyday),
        (MONDAY + 8 * HOUR, &office, &office),
        (MONDAY + 16 * HOUR - 1, &office, &office),
        (MONDAY + 16 * HOUR, &everyday, &everyday),
        (MONDAY + 18 * HOUR, &everyday, &[]),
        (MONDAY + 20 * HOUR - 1, &everyday, &[]),
        (MONDAY + 20 * HOUR, &everyday, &everyday),
        // Saturday.
        (MONDAY + (5 * 24 + 10) * HOUR, &everyday, &everyday),
        (MONDAY + (5 * 24 + 19) * HOUR, &everyday, &[]),
    ] {
        server.clock.store(time, Ordering::Relaxed);
        assert_eq!(blocked(&server, "127.0.0.1", &names).await, others, "others at {time}");
        assert_eq!(blocked(&server, "127.0.0.9", &names).await, kids, "kids at {time}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owners_exceptions_hold_for_whom_and_what_they_say() {
    const FEBRUARY_2030: u64 = 1_896_134_400;
    let internet = Internet::start().await;
    let one = ours(&["signed.org", "target.org", "secure.test", "plain.test", "tiktok.com", "203.0.113.11"]);
    let two = ours(&["signed.org", "target.org"]);
    let passes = "www.target.org\nmail.example.com\n";
    let lists = [("one.list", &*one), ("two.list", &two), ("passes.txt", passes)];
    let toml = [
        program("one", ""),
        program("two", ""),
        "[[group]]\nname = \"kids\"\nclients = [\"127.0.0.8/29\"]\n\
         [[policy.exception]]\nnames = [\"www.signed.org\"]\nprograms = [\"one\"]\nreason = \"of one program\"\n\
         [[policy.exception]]\nnames = [\"=secure.test\", \"www.secure.test\"]\ngroups = [\"kids\"]\nreason = \"of one group\"\n\
         [[policy.exception]]\nnames = [\"=plain.test\"]\ngroups = [\"default\"]\nreason = \"of nobody's group\"\n\
         [[policy.exception]]\nlists = [\"passes.txt\"]\nreason = \"a file\"\n\
         [[policy.exception]]\nnames = [\"alias.example.com\"]\nreason = \"an alias\"\n\
         [[policy.exception]]\nnames = [\"to-blocked.example.com\"]\nprograms = [\"one\", \"two\"]\nuntil = \"2030-01-31\"\nreason = \"for a while\"\n"
            .to_owned(),
    ]
    .concat();
    let server = serve(Some(&internet), &lists, &toml).await;
    server.clock.store(FEBRUARY_2030 - 1, Ordering::Relaxed);
    for (client, name, expected) in [
        ("127.0.0.1", "www.signed.org", "two/two two.list:2"),
        ("127.0.0.1", "only-a.signed.org", "one/one one.list:2"),
        ("127.0.0.1", "www.target.org", ""),
        ("127.0.0.1", "x.www.target.org", "one/one one.list:3"),
        ("127.0.0.1", "secure.test", "one/one one.list:4"),
        ("127.0.0.8", "secure.test", ""),
        ("127.0.0.8", "www.secure.test", ""),
        ("127.0.0.8", "ns1.secure.test", "one/one one.list:4"),
        ("127.0.0.1", "plain.test", ""),
        ("127.0.0.8", "plain.test", "one/one one.list:5"),
        // What it leads to passes too, if the question is excepted; asked for by itself it doesn't.
        ("127.0.0.1", "alias.example.com", ""),
        ("127.0.0.1", "www.example.com", "one/one one.list:7"),
        ("127.0.0.1", "to-blocked.example.com", ""),
    ] {
        for tcp in [false, true] {
            let answer = server.ask_from(client, &Ask { tcp, ..Ask::new(name, RrType::A) }).await;
            assert_eq!(reason(&answer), expected, "{client} {name}");
        }
    }
    // An exception on what an answer leads to passes all of it.
    assert_eq!(
        shown(&super::ask(&server, "alias-out.signed.org A").await),
        "NXDOMAIN",
        "the question is blocked before it leads anywhere"
    );
    let explained = explain(&server, "alias.example.com A", "").await;
    assert_eq!(explained["owner_exception"][1], "an alias");
    assert_eq!(explained["action"], "pass");
    let explained = explain(&server, "www.signed.org A", "").await;
    assert_eq!((&explained["owner_exception"][1], &explained["action"]), (&"of one program".into(), &"block".into()));
    let standing = |explained: &serde_json::Value| -> Vec<String> {
        let considered = explained["considered"].as_array().unwrap().iter();
        let own = considered.filter(|rule| rule["list"] == "policy.exception");
        own.map(|rule| format!("{} {}", rule["name"].as_str().unwrap(), rule["mode"].as_str().unwrap())).collect()
    };
    for (text, from, expected) in [
        ("secure.test A", "127.0.0.8", "=secure.test holds"),
        ("secure.test A", "127.0.0.1", "=secure.test other groups"),
        ("to-blocked.example.com A", "127.0.0.1", "to-blocked.example.com holds"),
    ] {
        let explained = explain(&server, text, &format!("&client={from}")).await;
        assert_eq!(standing(&explained), [expected], "{text} {from}: {explained}");
    }
    assert_eq!(server.json("/api/v1/lists").await["expired_exceptions"], serde_json::json!([]));
    server.clock.store(FEBRUARY_2030, Ordering::Relaxed);
    let answer = super::ask(&server, "to-blocked.example.com A").await;
    assert_eq!(reason(&answer), "one/one one.list:6", "over by itself");
    let explained = explain(&server, "to-blocked.example.com A", "").await;
    assert_eq!(standing(&explained), ["to-blocked.example.com ended"], "{explained}");
    assert_eq!(explained["action"], "block");
    server.running.reload();
    eventually("the report of the exception that is over", || async {
        let lists = server.json("/api/v1/lists").await;
        lists["expired_exceptions"].as_array().is_some_and(|ended| ended.len() == 1 && ended[0][1] == "2030-01-31")
    })
    .await;
}

/// An exception on an alias or address of the answer, which the question itself doesn't show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owners_exception_on_a_link_passes_the_whole_answer() {
    let internet = Internet::start().await;
    let toml = program("one", "") + "[[policy.exception]]\nnames = [\"edge.example.com\"]\nreason = \"edge\"\n";
    let list = ours(&["tiktokv.com", "203.0.113.42"]);
    let server = serve(Some(&internet), &[("one.list", &list)], &toml).await;
    let answer = super::ask(&server, "to-blocked2.example.com A").await;
    assert_eq!(answer.shape(), "to-blocked2.example.com CNAME, edge.example.com CNAME, api.tiktokv.com A");
    assert_eq!(super::ask(&server, "api.tiktokv.com A").await.ede_code(), 15);
}

/// An exception is told as the reason only where it let something pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_is_the_reason_of_what_it_let_pass() {
    let internet = Internet::start().await;
    let lists = [
        ("one.list", &*ours(&["www.signed.org", "www.plain.test", "www.secure.test", "@www.example.com"])),
        ("two.list", &ours(&["www.target.org", "www.plain.test"])),
        ("three.list", &ours(&["www.secure.test"])),
    ];
    let limited = |name: &str, program: &str| {
        format!("[[policy.exception]]\nnames = [\"{name}\"]\nprograms = [\"{program}\"]\nreason = \"for {program}\"\n")
    };
    let toml = [
        program("one", ""),
        program("two", "mode = \"shadow\""),
        program("three", "mode = \"off\""),
        limited("www.target.org", "one"),
        limited("www.signed.org", "two"),
        limited("www.signed.org", "one"),
        limited("www.plain.test", "one"),
        limited("www.secure.test", "three"),
        "[[policy.exception]]\nnames = [\"only-a.signed.org\"]\nreason = \"for all\"\n".to_owned(),
    ]
    .concat();
    let server = serve(Some(&internet), &lists, &toml).await;
    for (name, action, by, parts) in [
        // For another program than the one in shadow that would block.
        ("www.target.org", "pass", None, &["passes; two/two (two.list line 2) would block it if it were enforced"][..]),
        // Of two that match the one that was needed.
        ("www.signed.org", "pass", Some("owner"), &["passes: the owner's exception at ", ": for one"]),
        ("www.plain.test", "pass", Some("owner"), &["passes: the owner's exception at ", ": for one; and two/two "]),
        ("www.secure.test", "block", None, &["is blocked by one/one"]),
        ("only-a.signed.org", "pass", None, &["passes: nothing would block it (the owner's exception at ", "for all"]),
        ("www.example.com", "pass", None, &["passes: nothing would block it (an exception of one/one"]),
    ] {
        let explained = explain(&server, &format!("{name} A"), "").await;
        let summary = explained["summary"].as_str().unwrap();
        assert!(parts.iter().all(|part| summary.contains(part)), "{summary}");
        assert_eq!((&explained["action"], explained["excepted_by"].as_str()), (&action.into(), by), "{explained}");
    }
}

/// Rules that match and are off for who asks are told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_says_what_is_off() {
    let toml = program("mine", "")
        + "[[group]]\nname = \"kids\"\nclients = [\"127.0.0.8/29\"]\nprograms = { mine = \"off\" }\n";
    let internet = Internet::start().await;
    let server = serve(Some(&internet), &[("mine.list", &ours(&["signed.org"]))], &toml).await;
    let explained = explain(&server, "www.signed.org A", "&client=127.0.0.8").await;
    assert_eq!(
        explained["summary"], "www.signed.org passes: mine/mine is off for this client at this time",
        "{explained}"
    );
    assert_eq!((&explained["considered"][0]["mode"], &explained["verdicts"]), (&"off".into(), &serde_json::json!([])));
    let explained = explain(&server, "www.signed.org A", "&client=8.8.8.8").await;
    assert!(explained["summary"].as_str().unwrap().starts_with("this client is outside [access] allow"), "{explained}");
}

/// What the neighbour table says of a client's address goes before its network, in answers and explanations alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hardware_address_goes_before_a_network() {
    let toml = program("mine", "")
        + "[[group]]\nname = \"wide\"\nclients = [\"127.0.0.0/8\"]\nprograms = { mine = \"shadow\" }\n\
           [[group]]\nname = \"laptop\"\nclients = [\"mac:02:00:00:00:00:01\"]\n";
    let server = serve(None, &[("mine.list", &ours(&["signed.org"]))], &toml).await;
    // The server's own policy, on a machine that knows one neighbour.
    let published = server.running.published.clone();
    let neighbour: IpAddr = "127.0.0.7".parse().unwrap();
    let pipeline = server.pipeline_in(Surroundings {
        now: Arc::new(|| 0),
        uptime: Arc::new(|| Duration::ZERO),
        mac: Arc::new(move |client| (client == neighbour).then_some([2, 0, 0, 0, 0, 1])),
        knows_macs: Arc::new(|| true),
    });
    for (address, group, mode) in [("127.0.0.7", "laptop", "enforce"), ("127.0.0.8", "wide", "shadow")] {
        let address: IpAddr = address.parse().unwrap();
        let packet = Ask { rd: false, ..Ask::new("signed.org", RrType::A) }.packet();
        let mut asked = Asked::default();
        asked.read(&packet, address, Transport::Udp, Instant::now());
        let turn = pipeline.turn();
        pipeline.foresee(&turn, std::slice::from_mut(&mut asked), None);
        let mut record = pipeline.record(&asked);
        let now = pipeline.answer_now(&turn, &asked, &packet, None, &mut record, &mut Vec::new());
        let Now::Answered = now else { panic!("{address} has to wait") };
        let expected = if mode == "enforce" { Rcode::NXDOMAIN } else { Rcode::REFUSED };
        assert_eq!((record.rcode, record.verdict.block().is_some()), (expected, mode == "enforce"), "{address}");
        let client = Client { address, id: None, mac: None, tcp: false, group: None };
        let explanation = pipeline.explain(crate::harness::name("signed.org"), RrType::A, client).await.unwrap();
        let view = explained(&explanation, RrType::A, client, true, &published.status.load());
        assert_eq!((view.group.as_str(), view.considered[0].mode.as_str()), (group, mode), "{address}");
        assert_eq!(view.verdicts[0].rule.mode, mode, "{address}");
    }
}

/// A pause of a hardware address finds its client where no group is told by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hardware_address_is_paused() {
    let server = serve(None, &[("mine.list", &ours(&["signed.org"]))], &program("mine", "")).await;
    let neighbour: IpAddr = "127.0.0.7".parse().unwrap();
    let is_known = Arc::new(AtomicBool::new(true));
    let knows_macs = is_known.clone();
    let pipeline = server.pipeline_in(Surroundings {
        now: Arc::new(|| 0),
        mac: Arc::new(move |client| (client == neighbour).then_some([2, 0, 0, 0, 0, 1])),
        knows_macs: Arc::new(move || knows_macs.load(Ordering::Relaxed)),
        uptime: Arc::new(|| Duration::ZERO),
    });
    let rcode = |address: &str| {
        let packet = Ask { rd: false, ..Ask::new("signed.org", RrType::A) }.packet();
        let mut asked = Asked::default();
        asked.read(&packet, address.parse().unwrap(), Transport::Udp, Instant::now());
        let turn = pipeline.turn();
        pipeline.foresee(&turn, std::slice::from_mut(&mut asked), None);
        let mut record = pipeline.record(&asked);
        let now = pipeline.answer_now(&turn, &asked, &packet, None, &mut record, &mut Vec::new());
        assert!(matches!(now, Now::Answered), "{address} has to wait");
        record.rcode
    };
    assert_eq!((rcode("127.0.0.7"), rcode("127.0.0.8")), (Rcode::NXDOMAIN, Rcode::NXDOMAIN));
    let pause = |until| Kept { client: Some("mac:02:00:00:00:00:01".parse().unwrap()), ..Kept::new(None, until) };
    pipeline.pause(pause(60)).unwrap();
    // What isn't blocked is refused, since recursion isn't desired.
    assert_eq!((rcode("127.0.0.7"), rcode("127.0.0.8")), (Rcode::REFUSED, Rcode::NXDOMAIN));
    // Where nobody's hardware address can be known such a pause would hold for nobody; one that holds can be ended.
    is_known.store(false, Ordering::Relaxed);
    assert!(matches!(pipeline.pause(pause(90)), Err(PauseError::NoHardware)));
    assert!(matches!(pipeline.check_pause(&pause(90)), Err(PauseError::NoHardware)));
    pipeline.pause(pause(0)).unwrap();
    assert_eq!(rcode("127.0.0.7"), Rcode::NXDOMAIN);
}
