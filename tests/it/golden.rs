//! A report on traffic whose true counts are known: made up from a seed, asked over sockets, read from what was recorded.

use crate::{
    harness::{Ask, Server, eventually, folder, over_udp, start, write_list},
    internet::Internet,
};
use cleandns::{
    dns::{Rcode, RrType},
    query_log::sqlite::Reader,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

const CONFIG: &str = r#"
[[policy.exception]]
names = ["=allowed.example.com"]
reason = "we need it"
[[program]]
name = "strict"
lists = [{ path = "strict.list", service = "shop" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watching.list", service = "cloud" }]
[[program]]
name = "silent"
block = "drop"
lists = [{ path = "silent.list", service = "quiet" }]
"#;
const QUERIES: usize = 900;
const CLIENTS: [&str; 5] = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];

/// What a program is known to say of a question.
#[derive(Clone, Copy)]
struct Says {
    program: &'static str,
    service: &'static str,
    line: u64,
    trigger: &'static str,
    /// `block`, `would-block` or `except`.
    outcome: &'static str,
}

const SHOP: Says = Says { program: "strict", service: "shop", line: 2, trigger: "qname", outcome: "block" };
const SHOP_PASSES: Says = Says { line: 3, outcome: "except", ..SHOP };
const CLOUD: Says = Says { program: "watching", service: "cloud", line: 2, trigger: "qname", outcome: "would-block" };
const CLOUD_ZONE: Says = Says { line: 3, ..CLOUD };
const CLOUD_ALIAS: Says = Says { trigger: "cname", ..CLOUD_ZONE };
const QUIET: Says = Says { program: "silent", service: "quiet", line: 2, trigger: "qname", outcome: "block" };

/// A kind of question, and what is known to come of it.
struct Kind {
    /// `#` stands for a number.
    name: &'static str,
    domain: &'static str,
    says: &'static [Says],
    is_owners: bool,
    is_bypass: bool,
}

const PLAIN: Kind = Kind { name: "", domain: "", says: &[], is_owners: false, is_bypass: false };
const KINDS: [Kind; 9] = [
    Kind { name: "n#.example.com", domain: "example.com", ..PLAIN },
    Kind { name: "a#.blocked.com", domain: "blocked.com", says: &[SHOP, CLOUD], ..PLAIN },
    Kind { name: "blocked.com", domain: "blocked.com", says: &[SHOP], ..PLAIN },
    Kind { name: "w#.signed.org", domain: "signed.org", says: &[CLOUD_ZONE], ..PLAIN },
    Kind { name: "alias2.example.com", domain: "example.com", says: &[CLOUD_ALIAS], ..PLAIN },
    Kind { name: "ok#.passed.com", domain: "passed.com", says: &[SHOP_PASSES], ..PLAIN },
    Kind { name: "allowed.example.com", domain: "example.com", is_owners: true, ..PLAIN },
    Kind { name: "use-application-dns.net", domain: "use-application-dns.net", is_bypass: true, ..PLAIN },
    Kind { name: "dropped.com", domain: "dropped.com", says: &[QUIET], ..PLAIN },
];
/// Index of the kind that gets no answer.
const DROPPED: usize = 8;

/// A question that was asked.
struct Asked {
    kind: &'static Kind,
    name: String,
    rr_type: RrType,
    client: &'static str,
    tcp: bool,
    /// Whether the answer said that there is no such name.
    is_denied: bool,
}

impl Asked {
    /// Place among blocked, would be, excepted, passed.
    fn fate(&self) -> usize {
        let has = |outcome| self.kind.says.iter().any(|says| says.outcome == outcome);
        match () {
            () if has("block") => 0,
            () if has("would-block") => 1,
            // Without the owner's exception nothing would be blocked.
            () if has("except") => 2,
            () => 3,
        }
    }
}

/// Marsaglia's xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// True counts of what has something in common.
#[derive(Default)]
struct Counts {
    by_fate: [u64; 3],
    names: BTreeSet<String>,
    clients: BTreeSet<&'static str>,
}

impl Counts {
    fn add(&mut self, asked: &Asked, fate: usize) {
        self.by_fate[fate] += 1;
        if fate < 2 {
            self.names.insert(asked.name.clone());
            self.clients.insert(asked.client);
        }
    }

    /// Compares a row of the report.
    fn are_those_of(&self, row: &Value, totals: &Totals, what: &str) {
        let told = ["blocked", "would_block", "excepted"].map(|field| row[field].as_u64().unwrap());
        assert_eq!(told, self.by_fate, "{what}");
        let hits = self.by_fate[0] + self.by_fate[1];
        for (field, part, of) in [
            ("queries", hits, totals.queries),
            ("names", self.names.len() as u64, totals.names),
            ("clients", self.clients.len() as u64, CLIENTS.len() as u64),
        ] {
            share(&row[field], part, of, &format!("{field} of {what}"));
        }
        assert!(row["first"].as_str() <= row["last"].as_str() && row["first"].is_string(), "{what}");
    }
}

/// Denominators.
struct Totals {
    queries: u64,
    names: u64,
}

#[track_caller]
fn share(told: &Value, part: u64, of: u64, what: &str) {
    assert_eq!((told["part"].as_u64(), told["of"].as_u64()), (Some(part), Some(of)), "{what}: {told}");
    let exact = if of == 0 { 0.0 } else { part as f64 / of as f64 };
    assert!((told["share"].as_f64().unwrap() - exact).abs() < 1e-6, "{what}: {told}");
}

/// Compares all rows of a table; `key` tells one from the others.
fn table(rows: &Value, key: impl Fn(&Value) -> String, expected: &BTreeMap<String, Counts>, totals: &Totals) {
    let rows = rows.as_array().unwrap();
    let keys: BTreeSet<String> = rows.iter().map(&key).collect();
    assert_eq!(keys, expected.keys().cloned().collect::<BTreeSet<_>>());
    assert_eq!(rows.len(), keys.len(), "each stands there once");
    rows.iter().for_each(|row| expected[&key(row)].are_those_of(row, totals, &key(row)));
}

/// Asks, and returns what was asked; one question in thirty can't be read.
async fn traffic(server: &Server) -> (Vec<Asked>, u64) {
    let (mut dice, mut all, mut unreadable) = (Dice(2026), Vec::new(), 0);
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..QUERIES {
        if dice.below(30) == 0 {
            unreadable += 1;
            over_udp(server.dns(), b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07no-zero").await.unwrap();
            continue;
        }
        let at = dice.below(KINDS.len());
        let kind = &KINDS[at];
        let name = kind.name.replace('#', &dice.below(12).to_string());
        let rr_type = [RrType::A, RrType::AAAA][dice.below(2)];
        let client = if at == DROPPED { CLIENTS[0] } else { CLIENTS[dice.below(CLIENTS.len())] };
        let ask = Ask { tcp: at != DROPPED && dice.below(10) == 0, ..Ask::new(&name, rr_type) };
        let is_denied = match at {
            DROPPED => silent.send_to(&ask.packet(), server.dns()).await.unwrap() == 0,
            _ => server.ask_from(client, &ask).await.rcode == Rcode::NXDOMAIN,
        };
        all.push(Asked { kind, name, rr_type, client, tcp: ask.tcp, is_denied });
    }
    (all, unreadable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_number_of_a_report_is_that_of_the_traffic() {
    let internet = Internet::start().await;
    let folder = folder();
    write_list(
        &folder.path().join("strict.list"),
        &["blocked.com", "@passed.com", "=unasked.example", "192.0.2.0/24", "passed.com"],
    );
    write_list(&folder.path().join("watching.list"), &["*.blocked.com", "signed.org"]);
    write_list(&folder.path().join("silent.list"), &["=dropped.com"]);
    let server = start(folder, Some(&internet), CONFIG).await;
    let (asked, unreadable) = traffic(&server).await;
    let database = server.path("state/queries.db");
    eventually("the queries to be recorded", || async {
        let mut count = 0;
        let read = Reader::open(&database).and_then(|mut reader| reader.for_each(0, i64::MAX, |_| count += 1));
        read.is_ok() && count == QUERIES
    })
    .await;
    let (config, source) = (server.path("cleandns.toml"), database.clone());
    let report = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cleandns"));
        command.arg("--config").arg(config).args(["report", "--format", "json", "--source"]).arg(source);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    })
    .await
    .unwrap();

    check_totals(&report["totals"], &asked, unreadable);
    let names: BTreeSet<&str> = asked.iter().map(|asked| &*asked.name).collect();
    let totals = Totals { queries: QUERIES as u64, names: names.len() as u64 };
    check_tables(&report, &asked, &totals);
    check_kinds(&report["kinds"], &asked, unreadable);
    let never: serde_json::Value = serde_json::json!([
        { "line": 4, "rule": "=unasked.example" },
        { "line": 5, "rule": "192.0.2.0/24" },
        { "line": 6, "rule": "passed.com" },
    ]);
    assert_eq!(report["rules_never_hit"].as_array().map(Vec::len), Some(1), "{}", report["rules_never_hit"]);
    let of_list = &report["rules_never_hit"][0];
    assert_eq!(
        (&of_list["list"], &of_list["there_are"], &of_list["rules"]),
        (&"strict.list".into(), &3.into(), &never)
    );
    check_clients(&report, &asked, unreadable, &totals);
    server.running.stop().await;
}

fn count(asked: &[Asked], which: impl Fn(&Asked) -> bool) -> u64 {
    asked.iter().filter(|asked| which(asked)).count() as u64
}

fn distinct<'a, T: Ord>(asked: &'a [Asked], which: impl Fn(&Asked) -> bool, of: impl Fn(&'a Asked) -> T) -> u64 {
    asked.iter().filter(|asked| which(asked)).map(of).collect::<BTreeSet<T>>().len() as u64
}

fn check_totals(totals: &Value, asked: &[Asked], unreadable: u64) {
    let is_hit = |asked: &Asked| asked.fate() < 2;
    let all = QUERIES as u64;
    let (names, domains) =
        (distinct(asked, |_| true, |asked| &*asked.name), distinct(asked, |_| true, |a| a.kind.domain));
    let clients = CLIENTS.len() as u64;
    // What was blocked by its name is not looked for; the rest is, and found from the second time on. A name that doesn't
    // exist has one answer for all types (RFC 2308 §5).
    let is_looked_for = |asked: &Asked| asked.fate() != 0;
    let looked_for = count(asked, is_looked_for);
    let missed = distinct(asked, is_looked_for, |asked| (&*asked.name, (!asked.is_denied).then_some(asked.rr_type.0)));
    for (field, part, of) in [
        ("blocked", count(asked, |asked| asked.fate() == 0), all),
        ("would_block", count(asked, |asked| asked.fate() == 1), all),
        ("excepted", count(asked, |asked| asked.fate() == 2), all),
        ("passed", count(asked, |asked| asked.fate() == 3), all),
        ("refused", unreadable, all),
        ("names_hit", distinct(asked, is_hit, |asked| &*asked.name), names),
        ("domains_hit", distinct(asked, is_hit, |asked| asked.kind.domain), domains),
        ("clients_hit", distinct(asked, is_hit, |asked| asked.client), clients),
        ("clients_with_bypass", distinct(asked, |asked| asked.kind.is_bypass, |asked| asked.client), clients),
        ("bypass", count(asked, |asked| asked.kind.is_bypass), all),
        ("dropped", count(asked, |asked| asked.name == "dropped.com"), all),
        ("failed", 0, all),
        ("unreadable", unreadable, all),
        ("cache_hits", looked_for - missed, looked_for),
        ("cache_stale", 0, looked_for),
    ] {
        share(&totals[field], part, of, field);
    }
    let plain = [("queries", all), ("names", names), ("clients", clients), ("domains", domains)];
    plain.iter().for_each(|(field, number)| assert_eq!(totals[field].as_u64(), Some(*number), "{field}"));
}

/// Groups what programs said by something.
fn by(asked: &[Asked], key: impl Fn(&Asked, &Says) -> String) -> BTreeMap<String, Counts> {
    let mut groups: BTreeMap<String, Counts> = BTreeMap::new();
    for one in asked {
        for says in one.kind.says {
            let fate = ["block", "would-block", "except"].iter().position(|word| *word == says.outcome).unwrap();
            groups.entry(key(one, says)).or_default().add(one, fate);
        }
    }
    groups
}

fn text(row: &Value, fields: &[&str]) -> String {
    let text = |field: &&str| row[*field].as_str().map_or_else(|| row[*field].to_string(), str::to_owned);
    fields.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn check_tables(report: &Value, asked: &[Asked], totals: &Totals) {
    table(&report["programs"], |row| text(row, &["program"]), &by(asked, |_, says| says.program.into()), totals);
    let services = by(asked, |_, says| format!("{} {}", says.program, says.service));
    table(&report["services"], |row| text(row, &["program", "service"]), &services, totals);
    let lists = by(asked, |_, says| format!("{0} {1} {0}.list", says.program, says.service));
    table(&report["lists"], |row| text(row, &["program", "service", "list"]), &lists, totals);
    let rules = by(asked, |_, says| format!("{} {}", says.program, says.line));
    table(&report["rules"]["rows"], |row| text(row, &["program", "line"]), &rules, totals);
    for row in report["programs"].as_array().unwrap() {
        let program = text(row, &["program"]);
        for at in row["triggers"].as_array().unwrap() {
            let is_it = |says: &&Says| {
                (says.program, says.trigger, says.outcome)
                    == (&*program, at["trigger"].as_str().unwrap(), at["outcome"].as_str().unwrap())
            };
            let true_count = asked.iter().flat_map(|asked| asked.kind.says).filter(is_it).count() as u64;
            assert_eq!(at["queries"].as_u64(), Some(true_count), "{program} {at}");
        }
    }
    let mut domains: BTreeMap<String, Counts> = BTreeMap::new();
    for one in asked.iter().filter(|one| one.fate() < 3) {
        domains.entry(one.kind.domain.to_owned()).or_default().add(one, one.fate());
    }
    table(&report["domains"]["rows"], |row| text(row, &["domain"]), &domains, totals);
    for row in report["domains"]["rows"].as_array().unwrap() {
        let of = |asked: &Asked| asked.kind.domain == text(row, &["domain"]);
        assert_eq!(row["asked_queries"].as_u64(), Some(count(asked, of)), "{row}");
        assert_eq!(row["asked_names"].as_u64(), Some(distinct(asked, of, |asked| &*asked.name)), "{row}");
        assert_eq!(row["asked_clients"].as_u64(), Some(distinct(asked, of, |asked| asked.client)), "{row}");
    }
    let owners = count(asked, |asked| asked.kind.is_owners);
    assert_eq!(report["exceptions"].as_array().unwrap().len(), 1);
    share(&report["exceptions"][0]["queries"], owners, totals.queries, "the owner's exception");
    let buckets = report["time_line"]["buckets"].as_array().unwrap();
    for (field, fate) in [("blocked", 0), ("would_block", 1), ("excepted", 2)] {
        let sum: u64 = buckets.iter().map(|bucket| bucket[field].as_u64().unwrap()).sum();
        assert_eq!(sum, count(asked, |asked| asked.fate() == fate), "{field} by time");
    }
}

/// By group, type and transport: all queries are there, one by one.
fn check_kinds(kinds: &Value, asked: &[Asked], unreadable: u64) {
    let all = QUERIES as u64;
    share(&kinds["covered"], all, all, "queries that are told apart");
    let rows = |table: &str| kinds[table]["rows"].as_array().unwrap().clone();
    let [group] = &rows("groups")[..] else { panic!("{kinds}") };
    assert_eq!(group["what"], "default");
    share(&group["queries"], all, all, "nobody's group");
    for row in rows("types") {
        let of = |asked: &Asked| asked.rr_type.to_string() == row["what"].as_str().unwrap();
        let expected = if row["what"] == "" { unreadable } else { count(asked, of) };
        share(&row["queries"], expected, all, "a type");
        share(&row["hit"], count(asked, |asked| of(asked) && asked.fate() < 2), expected, "a type's hits");
    }
    for row in rows("transports") {
        let is_tcp = row["what"] == "tcp";
        let more = if is_tcp { 0 } else { unreadable };
        share(&row["queries"], count(asked, |asked| asked.tcp == is_tcp) + more, all, "a transport");
    }
}

fn check_clients(report: &Value, asked: &[Asked], unreadable: u64, totals: &Totals) {
    let rows = report["clients"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), CLIENTS.len());
    for row in rows {
        let client = text(row, &["client"]);
        // What can't be read comes from the first.
        let more = if client == CLIENTS[0] { unreadable } else { 0 };
        let own = |asked: &Asked| asked.client == client;
        let all = count(asked, own) + more;
        share(&row["queries"], all, totals.queries, &client);
        share(&row["names"], distinct(asked, own, |asked| &*asked.name), totals.names, &client);
        share(&row["hit"], count(asked, |asked| own(asked) && asked.fate() < 2), all, &client);
        let by_fate = [0, 1, 2].map(|fate| Some(count(asked, |asked| own(asked) && asked.fate() == fate)));
        assert_eq!(["blocked", "would_block", "excepted"].map(|field| row[field].as_u64()), by_fate, "{client}");
        assert_eq!(row["bypass"].as_u64(), Some(count(asked, |asked| own(asked) && asked.kind.is_bypass)), "{client}");
    }
    let matrix = &report["matrix"];
    let texts = |field: &str| matrix[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    let cells = by(asked, |asked, says| format!("{} {}", asked.client, says.program));
    let mut told = 0;
    for (client, row) in texts("clients").zip(matrix["cells"].as_array().unwrap()) {
        for (program, cell) in texts("programs").zip(row.as_array().unwrap()) {
            let expected = cells.get(&format!("{client} {program}")).map_or([0; 3], |counts| counts.by_fate);
            let cell = ["blocked", "would_block", "excepted"].map(|field| cell[field].as_u64().unwrap());
            assert_eq!(cell, expected, "{client} {program}");
            told += usize::from(cell != [0; 3]);
        }
    }
    assert_eq!(told, cells.len());
    let bypassing = distinct(asked, |asked| asked.kind.is_bypass, |asked| asked.client);
    let bypass = report["bypass"]["rows"].as_array().unwrap();
    assert_eq!(bypass.len() as u64, bypassing);
    for row in bypass {
        let own = |asked: &Asked| asked.client == text(row, &["client"]) && asked.kind.is_bypass;
        assert_eq!(row["attempts"]["part"].as_u64(), Some(count(asked, own)), "{row}");
    }
}
