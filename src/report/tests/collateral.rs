//! What shares what, and who asks again, against a naive search.

use super::made::{DAY, SECOND, START, context, known, report, row, said, tally, traffic, verdicts};
use crate::{
    dns::RrType,
    policy::{Outcome, Trigger},
    query_log::{Fate, Row, Said, Seen, Verdicts},
    report::{Filter, KnownList, Tally, form::Sharing, registrable},
};
use std::{collections::BTreeSet, sync::Arc};

fn is_hit(row: &Row) -> bool {
    matches!(row.verdicts.fate(), Fate::Blocked | Fate::WouldBlock)
}

/// All that a name leads to, itself included.
fn targets(rows: &[Row], name: &str) -> BTreeSet<String> {
    let own = rows.iter().filter(|row| row.name == name);
    let of_row = |row: &Row| {
        let addresses = row.addresses.iter().map(|address| address.to_string());
        row.aliases.iter().cloned().chain(addresses).collect::<Vec<_>>()
    };
    own.flat_map(of_row).chain([name.to_owned()]).collect()
}

fn sharing(rows: &[Row], names: &BTreeSet<&str>) -> Sharing {
    let own = || rows.iter().filter(|row| names.contains(&*row.name));
    let clients: BTreeSet<&str> = own().map(|row| &*row.client).filter(|client| !client.is_empty()).collect();
    Sharing { names: names.len() as u64, queries: own().count() as u64, clients: clients.len() as u64 }
}

#[test]
fn neighbours_are_those_of_a_naive_search() {
    let rows = traffic(23, 900, 9);
    let report = report(&rows);
    let hit: BTreeSet<&str> =
        rows.iter().filter(|row| is_hit(row) && !row.name.is_empty()).map(|row| &*row.name).collect();
    let never: BTreeSet<&str> = rows.iter().map(|row| &*row.name).filter(|name| !hit.contains(name)).collect();
    let neighbours = |name: &str| -> BTreeSet<&str> {
        let own = targets(&rows, name);
        never.iter().copied().filter(|other| !other.is_empty() && !targets(&rows, other).is_disjoint(&own)).collect()
    };
    let collateral = &report.collateral.names;
    assert_eq!((collateral.there_are, collateral.rows.len()), (hit.len() as u64, hit.len().min(50)));
    let mut with_neighbours = 0;
    for row in &collateral.rows {
        let found = neighbours(&row.name);
        let (own, others): (BTreeSet<&str>, _) = found.iter().partition(|name| registrable(name) == row.domain);
        assert_eq!(row.sharing, sharing(&rows, &others), "{}", row.name);
        assert_eq!(row.own_domain, sharing(&rows, &own), "{}", row.name);
        assert_eq!(row.targets, targets(&rows, &row.name).len() as u64 - 1);
        let asked = rows.iter().filter(|one| one.name == row.name && is_hit(one));
        let clients: BTreeSet<&str> = asked.map(|row| &*row.client).filter(|client| !client.is_empty()).collect();
        assert_eq!(row.clients.part, clients.len() as u64);
        for neighbour in &row.neighbours {
            assert!(found.contains(&*neighbour.name));
            assert!(targets(&rows, &neighbour.name).contains(&neighbour.target));
            assert_eq!(neighbour.queries, rows.iter().filter(|row| row.name == neighbour.name).count() as u64);
        }
        assert_eq!(row.neighbours.len(), others.len().min(10) + own.len().min(3));
        with_neighbours += usize::from(!row.neighbours.is_empty());
    }
    assert!(with_neighbours > 10, "or this tests nothing");

    for program in report.programs.iter().filter(|row| row.hits.queries.part > 0) {
        let is_its = |row: &&Row| {
            row.verdicts.said.iter().any(|said| *said.program == program.program && said.outcome != Outcome::Except)
        };
        let names: BTreeSet<&str> = rows.iter().filter(is_its).map(|row| &*row.name).collect();
        let all: BTreeSet<&str> = names.iter().flat_map(|name| neighbours(name)).collect();
        assert_eq!(program.sharing, sharing(&rows, &all), "{}", program.program);
        let with_answer = names.iter().filter(|name| targets(&rows, name).len() > 1).count() as u64;
        assert_eq!(program.names_with_answer.part, with_answer);
    }
}

#[test]
fn an_alias_asked_by_itself_is_a_neighbour_and_so_is_who_is_an_alias_of_a_blocked_name() {
    let would = verdicts([said("clean-cloud/alibaba-hosting", (1, ""), Trigger::Qname, Outcome::WouldBlock)]);
    let mut hit = row("c1", "shop.bad.example", START);
    hit.verdicts = would;
    hit.aliases = vec!["edge.cdn.example".to_owned()];
    hit.addresses = vec!["0.0.0.0".parse().unwrap()];
    let alias = row("c2", "edge.cdn.example", START);
    let mut other = row("c3", "www.good.example", START);
    other.aliases = vec!["shop.bad.example".to_owned()];
    let mut nowhere = row("c3", "nowhere.example", START);
    nowhere.addresses = vec!["0.0.0.0".parse().unwrap(), "::1".parse().unwrap()];
    let report = report(&[hit, alias, other, nowhere]);
    let name = &report.collateral.names.rows[0];
    let told: Vec<(&str, &str, &str)> =
        name.neighbours.iter().map(|other| (&*other.name, other.via, &*other.target)).collect();
    assert_eq!(
        told,
        [("edge.cdn.example", "alias", "edge.cdn.example"), ("www.good.example", "alias", "shop.bad.example")]
    );
    assert_eq!((name.targets, name.sharing.clients), (1, 2));
}

/// Rows, queries and clients of retries of blocked questions at these seconds, by client.
fn retries(asked: &[(&str, i64)]) -> (u64, u64, u64) {
    let rows: Vec<Row> = asked
        .iter()
        .map(|(client, second)| Row {
            verdicts: verdicts([said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block)]),
            ..row(client, "t.example", START + second * SECOND)
        })
        .collect();
    let retries = report(&rows).collateral.names.rows[0].retries;
    (retries.rows, retries.queries, retries.clients)
}

#[test]
fn retries_are_rows_of_at_least_three_within_ten_seconds_each() {
    for (seconds, rows, queries) in [
        (&[0][..], 0, 0),
        (&[0, 5, 10], 0, 0),
        (&[0, 5, 10, 15], 1, 3),
        (&[0, 10, 20, 30, 40], 1, 4),
        (&[0, 10, 20, 31], 0, 0),
        (&[0, 1, 2, 3, 100, 101, 102, 103, 104], 2, 7),
        (&[0, 0, 0, 0], 1, 3),
    ] {
        let asked: Vec<(&str, i64)> = seconds.iter().map(|second| ("c1", *second)).collect();
        assert_eq!(retries(&asked), (rows, queries, rows.min(1)), "{seconds:?}");
    }
    let two: Vec<(&str, i64)> = (0..8).map(|second| (["c1", "c2"][second % 2], second as i64)).collect();
    assert_eq!(retries(&two), (2, 6, 2));
    assert_eq!(retries(&two[..6]), (0, 0, 0), "two clients are no one client");
}

/// Lines of JSON stand in the order in which they were written, which is that of time but for some milliseconds.
#[test]
fn retries_are_the_same_in_whatever_order_some_milliseconds_are_read() {
    let seconds = [0, 1, 2, 3, 4, 30, 31, 32, 33];
    let blocked = |micros: i64| Row {
        verdicts: verdicts([said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block)]),
        ..row("c1", "t.example", START + micros)
    };
    let rows: Vec<Row> =
        seconds.iter().flat_map(|second| [0, 4_000, 9_000].map(|own| blocked(second * SECOND + own))).collect();
    let of = |rows: &[Row]| report(rows).collateral.names.rows[0].retries;
    let expected = of(&rows);
    assert_eq!((expected.rows, expected.queries), (2, 14 + 11));
    for order in [[2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let shuffled: Vec<Row> = rows.chunks(3).flat_map(|three| order.map(|at| three[at].clone())).collect();
        assert_eq!(of(&shuffled), expected, "{order:?}");
    }
}

#[test]
fn other_types_and_shadow_are_no_retries() {
    let verdict = |outcome| verdicts([said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, outcome)]);
    let types = [RrType::A, RrType::AAAA, RrType::HTTPS, RrType::TXT];
    let of_types =
        types.map(|rr_type| Row { rr_type, verdicts: verdict(Outcome::Block), ..row("c1", "t.example", START) });
    let in_shadow = [0, 1, 2, 3, 4].map(|second| Row {
        verdicts: verdict(Outcome::WouldBlock),
        ..row("c1", "t.example", START + second * SECOND)
    });
    for rows in [&of_types[..], &in_shadow] {
        assert_eq!(report(rows).collateral.names.rows[0].retries, Default::default());
    }
}

#[test]
fn a_retry_is_of_the_program_that_blocked() {
    let both = verdicts([
        said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block),
        said("clean-cloud/alibaba-hosting", (1, ""), Trigger::Address, Outcome::WouldBlock),
    ]);
    let rows: Vec<Row> = (0..5)
        .map(|second| Row { verdicts: both.clone(), ..row("c1", "t.example", START + second * SECOND) })
        .collect();
    let report = report(&rows);
    let retried = |program: &str| report.programs.iter().find(|row| row.program == program).unwrap().names_retried;
    assert_eq!((retried("clean-store"), retried("clean-cloud")), (1, 0));
}

#[test]
fn sums_of_any_type_tell_nothing_of_retries() {
    let blocked = verdicts([said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block)]);
    let one = Row { rr_type: RrType(0), verdicts: blocked, ..row("c1", "t.example", START) };
    let mut tally = Tally::new(Filter::default());
    // A client asks for A, AAAA and HTTPS twice, within a second.
    tally.add(&Seen { row: &one, count: 6, first: START, last: START + SECOND, has_details: false });
    let report = tally.finish(&context());
    assert_eq!(report.collateral.names.rows[0].retries, Default::default());
    assert_eq!(report.limits.queries_without_retries, 6);
}

#[test]
fn what_waits_to_be_named_is_told_apart() {
    let one = |number: u32, service: &str| Row {
        verdicts: verdicts([said(&format!("p/{service}"), (1, ""), Trigger::Qname, Outcome::WouldBlock)]),
        ..row("c1", &format!("n{number}.example"), START + i64::from(number) * SECOND)
    };
    let rows: Vec<Row> = (0..5).map(|at| one(at, "hosting")).chain((5..7).map(|at| one(at, "own"))).collect();
    let mut context = context();
    context.lists = [("hosting", true), ("own", false)]
        .map(|(service, until_named)| KnownList { until_named, ..known(&format!("p/{service}"), "shadow", 1) })
        .into();
    let report = tally(&rows, Filter::default()).finish(&context);
    let program = &report.programs[0];
    assert_eq!((program.hits.would_block, program.would_block_until_named), (7, 5));
    assert_eq!(program.until_named, ["hosting"]);
    let text = crate::report::text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "asked 7 times for what p would block if all of its services were enforced, and 2 times if it were",
        "With all of its services enforced, it would have blocked 7 of 7 queries",
        "Of these 5 are hit by services that stay in shadow until the configuration names them (hosting)",
        "for the program alone would have blocked 2.",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn exceptions_stand_beside_names_of_their_domain() {
    let one = |name: &str, said: Said| Row { verdicts: verdicts([said]), ..row("c1", name, START) };
    let rows = [
        one("a.t.example", said("p/s", (1, "t.example"), Trigger::Qname, Outcome::Block)),
        one("a.t.example", said("p/s", (7, "a.t.example"), Trigger::Qname, Outcome::Except)),
        one("other.example", said("p/s", (9, "other.example"), Trigger::Qname, Outcome::Except)),
    ];
    let names = report(&rows).collateral.names;
    assert_eq!(names.there_are, 1);
    let row = &names.rows[0];
    assert_eq!((row.blocked, row.excepted, &row.exceptions[..]), (1, 1, &["p/s s.list:7".to_owned()][..]));
}

#[test]
fn alike_queries_put_together_count_as_they_would_apart() {
    let blocked = verdicts([said("clean-store/tiktok", (1, "t.example"), Trigger::Qname, Outcome::Block)]);
    let one = Row { verdicts: blocked, ..row("c1", "t.example", START) };
    let mut together = Tally::new(Filter::default());
    let mut apart = Tally::new(Filter::default());
    for (count, seconds) in [(6, 5 * 9), (3, 2 * DAY / SECOND)] {
        together.add(&Seen { row: &one, count, first: START, last: START + seconds * SECOND, has_details: false });
        for step in 0..count as i64 {
            let time = START + seconds * SECOND * step / (count as i64 - 1);
            apart.add(&Seen::one(&Row { time, ..one.clone() }));
        }
    }
    let [together, apart] = [together, apart].map(|tally| tally.finish(&context()));
    assert_eq!(together.collateral, apart.collateral);
    assert_eq!(together.totals, apart.totals);
    assert_eq!(together.time_line, apart.time_line);
    assert_eq!(together.domains, apart.domains);
    let nothing = Seen { row: &one, count: 0, first: START, last: START, has_details: false };
    let mut empty = Tally::new(Filter::default());
    empty.add(&nothing);
    assert_eq!(empty.finish(&context()).totals.queries, 0);
    assert_eq!(Arc::<Verdicts>::default().fate(), Fate::Passed);
}
