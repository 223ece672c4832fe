//! Rules on autonomous systems and countries, and the databases that they need.

use super::{ask, assert_verdicts, ours, program, reason, serve, verdict};
use crate::{
    harness::{Server, eventually, folder, start},
    internet::Internet,
    mmdb::{Value, database},
};
use serde_json::Value as Json;
use std::{fs, path::Path};

const OPTIONS: &str = "[policy]\nasn_db = \"asn.mmdb\"\ncountry_db = \"country.mmdb\"\n";

/// A database of autonomous systems.
fn systems(entries: &[(&str, u32)]) -> Vec<u8> {
    let maps: Vec<[(&str, Value<'_>); 2]> = entries
        .iter()
        .map(|(_, number)| {
            [("autonomous_system_number", Value::U32(*number)), ("autonomous_system_organization", Value::Text("Test"))]
        })
        .collect();
    let all: Vec<(&str, &[(&str, Value<'_>)])> =
        entries.iter().zip(&maps).map(|((net, _), map)| (*net, &map[..])).collect();
    database(&all)
}

/// A database of countries, shaped as MaxMind's.
fn countries(entries: &[(&str, &str)]) -> Vec<u8> {
    let codes: Vec<[(&str, Value<'_>); 1]> =
        entries.iter().map(|(_, code)| [("iso_code", Value::Text(code))]).collect();
    let maps: Vec<[(&str, Value<'_>); 1]> = codes.iter().map(|code| [("country", Value::Map(&code[..]))]).collect();
    let all: Vec<(&str, &[(&str, Value<'_>)])> =
        entries.iter().zip(&maps).map(|((net, _), map)| (*net, &map[..])).collect();
    database(&all)
}

/// Puts a file in place as careful people do.
fn put(path: &Path, octets: &[u8]) {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, octets).unwrap();
    fs::rename(unfinished, path).unwrap();
}

/// What is wrong, by word of `/readyz`, of this file.
async fn reasons(server: &Server, file: &str) -> Vec<String> {
    let (status, body) = server.get("/readyz").await;
    assert_eq!(status, 200, "{body}");
    let body: Json = serde_json::from_str(&body).unwrap();
    let all = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned());
    all.filter(|reason| reason.contains(file)).collect()
}

/// What is wrong, by word of the list view, which `lists status` shows.
async fn database_troubles(server: &Server) -> String {
    server.json("/api/v1/lists").await["databases"].to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_found_by_system_and_country() {
    let internet = Internet::start().await;
    let folder = folder();
    put(
        &folder.path().join("asn.mmdb"),
        &systems(&[
            ("203.0.113.20/31", 64496),
            ("203.0.113.31/32", 64497),
            ("2001:db8::21/128", 64496),
            ("185.49.140.9/32", 64500),
            ("203.0.113.77/32", 64499),
        ]),
    );
    put(
        &folder.path().join("country.mmdb"),
        &countries(&[
            ("203.0.113.0/28", "CN"),
            ("203.0.113.26/32", "RU"),
            ("185.49.140.7/32", "CN"),
            ("2001:db8::/124", "RU"),
        ]),
    );
    let rules = [
        "AS64496",
        "country:cn",
        "ns:AS64500",
        "ns:country:CN",
        "AS64499",
        "203.0.113.20/32",
        "country:RU",
        "@AS64497",
    ];
    fs::write(folder.path().join("mine.list"), ours(&rules)).unwrap();
    let server = start(folder, Some(&internet), &format!("{OPTIONS}{}", program("mine", ""))).await;
    assert_verdicts(
        &server,
        &[
            ("www.signed.org A", "address mine.list:2 203.0.113.21"),
            ("www.signed.org AAAA", "address mine.list:2 2001:db8::21"),
            ("alias2.example.com AAAA", "address mine.list:2 2001:db8::21"),
            ("signed.org A", "address mine.list:7 203.0.113.20"),
            ("www.example.com A", "address mine.list:3 203.0.113.11"),
            ("alias.example.com A", "address mine.list:3 203.0.113.11"),
            ("www.signed3.com A", "address mine.list:8 203.0.113.26"),
            ("hints.example.com HTTPS", "address-hint mine.list:6 203.0.113.77"),
            ("hints.example.com A", ""),
            ("www.secure.test TXT", "ns-address mine.list:4 185.49.140.9"),
            ("www.child.signed3.com TXT", "ns-address mine.list:5 185.49.140.7"),
            ("www.target.org A", ""),
            ("only-a.signed.org A", ""),
        ],
    )
    .await;
    assert_eq!(database_troubles(&server).await, "[]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_outside_only_if_that_is_known() {
    let internet = Internet::start().await;
    let folder = folder();
    put(&folder.path().join("asn.mmdb"), &systems(&[("203.0.113.21/32", 64496), ("203.0.113.11/32", 64497)]));
    let nets = [("203.0.113.20/32", "US"), ("203.0.113.21/32", "CN"), ("203.0.113.11/32", "CN"), ("10.0.0.0/8", "CN")];
    put(&folder.path().join("country.mmdb"), &countries(&nets));
    for (list, rule) in [("a", "!country:US"), ("b", "!country:US,AS64496"), ("c", "!country:US,203.0.113.8/29")] {
        fs::write(folder.path().join(format!("{list}.list")), ours(&[rule])).unwrap();
    }
    let shadow = |name| program(name, "mode = \"shadow\"");
    let toml = format!("{OPTIONS}{}{}{}", shadow("a"), shadow("b"), shadow("c"));
    let server = start(folder, Some(&internet), &toml).await;
    for (text, expected) in [
        ("signed.org A", ""),
        ("www.signed.org A", "ac"),
        ("www.example.com A", "ab"),
        // In neither database.
        ("only-a.signed.org A", ""),
        // Nobody has it on the Internet, whatever the database says.
        ("private.example.com A", ""),
        ("www.signed.org AAAA", ""),
    ] {
        let explained = super::explain(&server, text, "").await;
        let would = explained["verdicts"].as_array().unwrap().iter();
        let would: String = would.map(|said| said["rule"]["program"].as_str().unwrap()).collect();
        assert_eq!(would, expected, "{text}: {explained}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_database_is_used_and_a_bad_one_is_not() {
    let internet = Internet::start().await;
    let folder = folder();
    let (asn, country) = (folder.path().join("asn.mmdb"), folder.path().join("country.mmdb"));
    fs::write(&asn, "no database").unwrap();
    put(&country, &countries(&[("203.0.113.11/32", "CN")]));
    fs::write(folder.path().join("mine.list"), ours(&["AS64496", "country:CN"])).unwrap();
    let server = start(folder, Some(&internet), &format!("{OPTIONS}{}", program("mine", ""))).await;
    // What can't be read makes its own rules inactive, and nothing else.
    assert_verdicts(&server, &[("www.signed.org A", ""), ("www.example.com A", "address mine.list:3 203.0.113.11")])
        .await;
    let said = reasons(&server, "asn.mmdb").await;
    let whole = |said: &str| {
        ["policy.asn_db", "not a database", "its rules are inactive"].iter().all(|part| said.contains(part))
    };
    assert!(matches!(said.as_slice(), [said] if whole(said)), "{said:?}");
    assert!(database_troubles(&server).await.contains("asn.mmdb"));
    assert_eq!(reasons(&server, "country.mmdb").await, Vec::<String>::new());

    put(&asn, &systems(&[("203.0.113.21/32", 64496)]));
    let blocks = async |text: &str| !reason(&ask(&server, text).await).is_empty();
    eventually("the repaired database is used", || blocks("www.signed.org A")).await;
    assert_eq!(reasons(&server, "asn.mmdb").await, Vec::<String>::new());
    assert_eq!(database_troubles(&server).await, "[]");

    put(&asn, &systems(&[("203.0.113.22/32", 64496)]));
    eventually("the changed database is used", || blocks("only-a.signed.org A")).await;
    assert_eq!(verdict(&server, "www.signed.org A").await, "");

    for spoil in ["spoilt", "gone"] {
        if spoil == "gone" {
            fs::rename(&asn, asn.with_extension("away")).unwrap();
        } else {
            put(&asn, b"\xab\xcd\xefMaxMind.com");
        }
        eventually("the trouble is told", || async {
            let said = reasons(&server, "asn.mmdb").await;
            said.iter().any(|said| {
                said.contains("last good state serves") && said.contains("can't be read") == (spoil == "gone")
            })
        })
        .await;
        assert!(blocks("only-a.signed.org A").await, "{spoil}");
    }
    // The very file that could not be read for a while is good again.
    put(&asn, &systems(&[("203.0.113.21/32", 64496)]));
    eventually("the new database is used", || blocks("www.signed.org A")).await;
    assert_eq!(reasons(&server, "asn.mmdb").await, Vec::<String>::new());
}

/// Without the option nothing is broken; that the rules do nothing is told where lists are shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_without_a_database_are_inactive_and_told() {
    let internet = Internet::start().await;
    let list = ours(&["AS64496", "country:CN", "!country:US", "!AS64500", "www.target.org"]);
    let server = serve(Some(&internet), &[("mine.list", &list)], &program("mine", "")).await;
    assert_verdicts(&server, &[("www.signed.org A", ""), ("www.target.org A", "qname mine.list:6 www.target.org")])
        .await;
    let told = database_troubles(&server).await;
    assert!(told.contains("2 rules on AS numbers") && told.contains("policy.asn_db"), "{told}");
    assert!(told.contains("2 rules on countries") && told.contains("policy.country_db"), "{told}");
    assert_eq!(reasons(&server, "_db").await, Vec::<String>::new());
}

/// A database of another kind would match nothing, in silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_kind_is_told_of() {
    let folder = folder();
    put(&folder.path().join("asn.mmdb"), &countries(&[("203.0.113.0/28", "CN")]));
    put(&folder.path().join("country.mmdb"), &systems(&[("203.0.113.20/31", 64496)]));
    fs::write(folder.path().join("mine.list"), ours(&["AS64496", "country:CN"])).unwrap();
    let server = start(folder, None, &format!("{OPTIONS}{}", program("mine", ""))).await;
    let troubles = database_troubles(&server).await;
    for part in ["it tells of no AS numbers", "it tells of no countries", "1 rules on AS numbers are inactive"] {
        assert!(troubles.contains(part), "no `{part}` in {troubles}");
    }
    assert_eq!(reasons(&server, ".mmdb").await.len(), 2);
    // The right one, as soon as it is there.
    put(&server.folder.path().join("asn.mmdb"), &systems(&[("203.0.113.20/31", 64496)]));
    eventually("one is right", || async { reasons(&server, ".mmdb").await.len() == 1 }).await;
}
