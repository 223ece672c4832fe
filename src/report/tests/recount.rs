//! Every number of a report, counted again in the plainest way.

use super::made::{context, counted, report, tally, traffic};
use crate::{
    dns::Rcode,
    policy::Outcome,
    query::CacheUse,
    query_log::{Fate, Row, Said},
    report::{Filter, Report, Share, form::Hits, registrable},
};
use std::collections::{BTreeMap, BTreeSet};

/// The plain twin of a group.
#[derive(Default)]
struct Plain<'r> {
    counts: [u64; 3],
    names: BTreeSet<&'r str>,
    clients: BTreeSet<&'r str>,
    times: Vec<i64>,
}

impl<'r> Plain<'r> {
    fn add(&mut self, row: &'r Row, kind: usize) {
        self.counts[kind] += 1;
        self.times.push(row.time);
        if kind < 2 {
            self.names.extend(Some(&*row.name).filter(|name| !name.is_empty()));
            self.clients.extend(Some(&*row.client).filter(|client| !client.is_empty()));
        }
    }

    #[track_caller]
    fn is(&self, hits: &Hits, report: &Report, what: &str) {
        let [blocked, would_block, excepted] = self.counts;
        assert_eq!([hits.blocked, hits.would_block, hits.excepted], self.counts, "{what}");
        let totals = &report.totals;
        assert_eq!(hits.queries, Share::new(blocked + would_block, totals.queries), "{what}");
        assert_eq!(hits.names, Share::new(self.names.len() as u64, totals.names), "{what}");
        assert_eq!(hits.clients, Share::new(self.clients.len() as u64, totals.clients), "{what}");
        assert_eq!(hits.first.map(|time| time.0), self.times.iter().min().copied(), "{what}, with {excepted} excepted");
        assert_eq!(hits.last.map(|time| time.0), self.times.iter().max().copied(), "{what}");
    }
}

fn kind(outcome: Outcome) -> usize {
    Outcome::ALL.iter().position(|one| *one == outcome).unwrap()
}

/// Groups what programs said by something.
fn by<'r, K: Ord>(rows: &'r [Row], key: impl Fn(&'r Row, &'r Said) -> K) -> BTreeMap<K, Plain<'r>> {
    let mut groups: BTreeMap<K, Plain<'r>> = BTreeMap::new();
    for row in rows {
        for (said, outcome) in counted(row) {
            groups.entry(key(row, said)).or_default().add(row, kind(outcome));
        }
    }
    groups
}

fn count(rows: &[Row], which: impl Fn(&Row) -> bool) -> u64 {
    rows.iter().filter(|row| which(row)).count() as u64
}

fn distinct<'r>(texts: impl Iterator<Item = &'r str>) -> u64 {
    texts.filter(|text| !text.is_empty()).collect::<BTreeSet<_>>().len() as u64
}

fn is_hit(row: &Row) -> bool {
    matches!(row.verdicts.fate(), Fate::Blocked | Fate::WouldBlock)
}

fn shown(client: &str) -> &str {
    if client.is_empty() { "(not kept)" } else { client }
}

#[test]
fn sums() {
    for seed in 1..5 {
        let rows = traffic(seed, 3000, 12);
        let totals = report(&rows).totals;
        let all = rows.len() as u64;
        let names = distinct(rows.iter().map(|row| &*row.name));
        let clients = distinct(rows.iter().map(|row| &*row.client));
        let domains = distinct(rows.iter().map(|row| registrable(&row.name)));
        assert_eq!((totals.queries, totals.names, totals.clients, totals.domains), (all, names, clients, domains));
        let fate = |fate| Share::new(count(&rows, |row| row.fate() == fate), all);
        assert_eq!(totals.blocked, fate(Fate::Blocked));
        assert_eq!(totals.would_block, fate(Fate::WouldBlock));
        assert_eq!(totals.excepted, fate(Fate::Excepted));
        assert_eq!(totals.passed, fate(Fate::Passed));
        assert_eq!(totals.refused, fate(Fate::Refused));
        let hit = || rows.iter().filter(|row| is_hit(row));
        assert_eq!(totals.names_hit, Share::new(distinct(hit().map(|row| &*row.name)), names));
        assert_eq!(totals.clients_hit, Share::new(distinct(hit().map(|row| &*row.client)), clients));
        assert_eq!(totals.domains_hit, Share::new(distinct(hit().map(|row| registrable(&row.name))), domains));
        assert_eq!(totals.dropped, Share::new(count(&rows, |row| row.dropped), all));
        assert_eq!(totals.failed, Share::new(count(&rows, |row| row.rcode == Rcode::SERVFAIL), all));
        assert_eq!(totals.bypass, Share::new(count(&rows, |row| row.bypass), all));
        assert_eq!(totals.unreadable, Share::new(count(&rows, |row| row.name.is_empty()), all));
        let looked_up = count(&rows, |row| row.cache.is_some());
        let cache = |kind| Share::new(count(&rows, |row| row.cache == Some(kind)), looked_up);
        assert_eq!((totals.cache_hits, totals.cache_stale), (cache(CacheUse::Hit), cache(CacheUse::Stale)));
    }
}

#[test]
fn the_time_line_has_every_query() {
    let rows = traffic(7, 3000, 12);
    let line = report(&rows).time_line;
    assert_eq!((line.bucket_seconds, line.buckets.len()), (3600, 168));
    for bucket in &line.buckets {
        let within = |row: &Row| (row.time - bucket.start.0).div_euclid(3_600_000_000) == 0;
        let fate = |fate| count(&rows, |row| within(row) && row.fate() == fate);
        assert_eq!(
            [bucket.blocked, bucket.would_block, bucket.excepted, bucket.passed, bucket.refused],
            Fate::ALL.map(fate),
            "{}",
            bucket.start
        );
    }
}

#[test]
fn programs_services_lists_and_rules() {
    let rows = traffic(11, 3000, 12);
    let report = report(&rows);

    let programs = by(&rows, |_, said| &*said.program);
    for row in &report.programs {
        let Some(plain) = programs.get(&*row.program) else {
            assert_eq!((&*row.program, row.hits.queries.part, row.hits.first), ("clean-cable", 0, None));
            continue;
        };
        plain.is(&row.hits, &report, &row.program);
        let domains: BTreeSet<&str> = plain.names.iter().map(|name| registrable(name)).collect();
        assert_eq!(row.domains_hit, Share::new(domains.len() as u64, report.totals.domains));
        for at in &row.triggers {
            let is_it = |(said, outcome): &(&Said, Outcome)| {
                (&*said.program, said.trigger.word(), outcome.word()) == (row.program.as_str(), at.trigger, at.outcome)
            };
            assert_eq!(at.queries, rows.iter().flat_map(counted).filter(is_it).count() as u64);
        }
        assert_eq!(row.triggers.iter().map(|at| at.queries).sum::<u64>(), plain.counts.iter().sum::<u64>());
        for at in &row.domains {
            let is_it = |said: &&Said| *said.program == row.program && said.outcome != Outcome::Except;
            let of =
                |row: &Row| registrable(&row.name) == at.domain && row.verdicts.said.iter().any(|said| is_it(&said));
            assert_eq!(at.queries, count(&rows, of));
            assert_eq!(at.names, distinct(rows.iter().filter(|row| of(row)).map(|row| &*row.name)));
            assert_eq!(at.clients, distinct(rows.iter().filter(|row| of(row)).map(|row| &*row.client)));
        }
    }
    assert_eq!(report.programs.len(), programs.len() + 1, "clean-cable is in shadow without a hit, clean-carrier off");

    let services = by(&rows, |_, said| (&*said.program, &*said.service));
    assert_eq!(report.services.len(), services.len());
    report.services.iter().for_each(|row| {
        services[&(&*row.program, &*row.service)].is(&row.hits, &report, &row.service);
    });

    let lists = by(&rows, |_, said| (&*said.list, &*said.version));
    assert_eq!(report.lists.len(), lists.len());
    for row in &report.lists {
        lists[&(&*row.list, &*row.version)].is(&row.hits, &report, &row.list);
        let rules = rows.iter().flat_map(counted).map(|(said, _)| said).filter(|said| *said.list == row.list);
        let rules = rules.map(|said| (said.line, &*said.rule)).collect::<BTreeSet<_>>();
        let (are_named, rules) = (rules.iter().all(|(_, rule)| !rule.is_empty()), rules.len() as u64);
        let known = context().lists.into_iter().find(|known| known.list == row.list).unwrap().rules;
        let never = are_named.then_some(known - rules);
        assert_eq!((row.rules_hit, row.rules, row.rules_never_hit), (rules, Some(known), never));
    }
    let never: Vec<&str> = report.lists_never_hit.iter().map(|list| &*list.list).collect();
    assert_eq!(never, ["hmn.list"]);

    let rules = by(&rows, |_, said| (&*said.list, said.line, &*said.rule));
    assert_eq!((report.rules.there_are, report.rules.rows.len()), (rules.len() as u64, rules.len()));
    for row in &report.rules.rows {
        rules[&(&*row.list, row.line, &*row.rule)].is(&row.hits, &report, &row.rule);
    }
    assert!(report.rules.rows.is_sorted_by(|a, b| a.hits.queries.part >= b.hits.queries.part));
}

#[test]
fn domains_clients_matrix_and_exceptions() {
    let rows = traffic(13, 3000, 12);
    let report = report(&rows);

    let mut domains: BTreeMap<&str, Plain<'_>> = BTreeMap::new();
    for row in &rows {
        let fate = Fate::ALL.iter().position(|fate| *fate == row.verdicts.fate()).unwrap();
        if fate < 3 {
            domains.entry(registrable(&row.name)).or_default().add(row, fate);
        }
    }
    assert_eq!(report.domains.there_are, domains.len() as u64);
    for row in &report.domains.rows {
        domains[&*row.domain].is(&row.hits, &report, &row.domain);
        let asked = || rows.iter().filter(|one| registrable(&one.name) == row.domain);
        assert_eq!(row.asked_queries, asked().count() as u64);
        assert_eq!(row.asked_names, distinct(asked().map(|row| &*row.name)));
        assert_eq!(row.asked_clients, distinct(asked().map(|row| &*row.client)));
    }

    let clients: BTreeSet<&str> = rows.iter().map(|row| &*row.client).collect();
    assert_eq!(report.clients.there_are, clients.len() as u64);
    for row in &report.clients.rows {
        let own: Vec<Row> = rows.iter().filter(|one| shown(&one.client) == row.client).cloned().collect();
        let fate = |fate| count(&own, |row| row.verdicts.fate() == fate);
        assert_eq!(row.queries, Share::new(own.len() as u64, report.totals.queries));
        assert_eq!(row.names, Share::new(distinct(own.iter().map(|row| &*row.name)), report.totals.names));
        assert_eq!(
            [row.blocked, row.would_block, row.excepted],
            [Fate::Blocked, Fate::WouldBlock, Fate::Excepted].map(fate)
        );
        assert_eq!(row.hit, Share::new(count(&own, is_hit), own.len() as u64));
        assert_eq!(row.bypass, count(&own, |row| row.bypass));
        assert_eq!(Some(row.first.0), own.iter().map(|row| row.time).min());
        assert_eq!(Some(row.last.0), own.iter().map(|row| row.time).max());
    }
    for row in &report.bypass.rows {
        let own = || rows.iter().filter(|one| shown(&one.client) == row.client);
        let attempts = || own().filter(|row| row.bypass);
        assert_eq!(row.attempts, Share::new(attempts().count() as u64, own().count() as u64));
        assert_eq!(row.names, distinct(attempts().map(|row| &*row.name)));
        let times = |name: &str| attempts().filter(|row| row.name == name).count();
        assert_eq!(attempts().map(|row| times(&row.name)).max(), Some(times(&row.most_asked)));
    }

    let cells = by(&rows, |row, said| (shown(&row.client), &*said.program));
    let matrix = &report.matrix;
    for (client, row) in matrix.clients.iter().zip(&matrix.cells) {
        for (program, cell) in matrix.programs.iter().zip(row) {
            let counts = cells.get(&(&**client, &**program)).map_or([0; 3], |plain| plain.counts);
            assert_eq!([cell.blocked, cell.would_block, cell.excepted], counts, "{client} {program}");
        }
    }
    let sum: u64 = matrix.cells.iter().flatten().map(|cell| cell.blocked + cell.would_block + cell.excepted).sum();
    assert_eq!(sum, cells.values().map(|plain| plain.counts.iter().sum::<u64>()).sum::<u64>());

    let owner = rows.iter().filter(|row| row.verdicts.owner.is_some()).count() as u64;
    assert_eq!(report.exceptions.len(), 1);
    assert_eq!((&*report.exceptions[0].place, report.exceptions[0].queries.part), ("cleandns.toml:12", owner));
}

#[test]
fn a_filter_counts_as_if_the_rest_were_not_there() {
    let rows = traffic(17, 2000, 8);
    let client = "192.168.1.11";
    let own: Vec<Row> = rows.iter().filter(|row| row.client == client).cloned().collect();
    let filter = Filter { client: Some(client.to_owned()), ..Filter::default() };
    let only = tally(&rows, filter).finish(&context());
    assert_eq!((only.totals.queries, only.totals.clients), (own.len() as u64, 1));
    assert_eq!(Report { only_client: None, ..only }, report(&own));

    let filter = Filter { program: Some("clean-cloud".to_owned()), ..Filter::default() };
    let only = tally(&rows, filter).finish(&context());
    let whole = report(&rows);
    assert_eq!((only.totals.queries, only.totals.names), (whole.totals.queries, whole.totals.names));
    assert_eq!(only.programs.len(), 1);
    let hits = |report: &Report| report.programs.iter().find(|row| row.program == "clean-cloud").unwrap().hits.clone();
    assert_eq!(hits(&only), hits(&whole));
    assert_eq!((only.totals.blocked.part, only.totals.would_block), (0, hits(&only).queries));
    assert!(whole.totals.dropped.part > 0);
    assert_eq!(only.totals.dropped.part, 0, "another program left them without an answer");
}

#[test]
fn registrable_domains() {
    for (name, domain) in [
        ("a.b.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("com", "com"),
        (".", "."),
        ("", ""),
        ("printer.lan", "printer.lan"),
        ("a.me.github.io", "me.github.io"),
        ("x.evil\\.com.example", "evil\\.com.example"),
        ("x.evil\\\\.com", "evil\\\\.com"),
        ("x\\\\\\.evil.com", "x\\\\\\.evil.com"),
    ] {
        assert_eq!(registrable(name), domain, "{name}");
    }
}
