//! What an export of few clients tells.

use super::made::{DAY, START, context, report, row, said, tally, traffic, verdicts};
use crate::{
    policy::{Outcome, Trigger},
    query_log::Row,
    report::{CLIENTS_MIN, Export, Filter, export::DayTotals, registrable},
};
use std::collections::{BTreeMap, BTreeSet};

/// Queries, names and clients.
type Plain<'r> = (u64, BTreeSet<&'r str>, BTreeSet<&'r str>);

const MERGED: &str = "(fewer than k clients)";

/// `clients` clients ask for a name that a list would block.
fn asked(name: &str, path: &str, clients: std::ops::Range<u32>, day: i64) -> Vec<Row> {
    let verdicts = verdicts([said(path, (1, ""), Trigger::Qname, Outcome::WouldBlock)]);
    let row = |client: u32| Row { verdicts: verdicts.clone(), ..row(&format!("c{client}"), name, START + day * DAY) };
    clients.map(row).collect()
}

fn export(rows: &[Row], k: u64) -> Export {
    tally(rows, Filter::default()).export(&context(), k)
}

/// Service, list, domain and clients of every aggregate.
fn told(export: &Export) -> Vec<(&str, &str, &str, u64)> {
    export.aggregates.iter().map(|row| (&*row.program, &*row.service, &*row.domain, row.clients)).collect()
}

#[test]
fn who_is_fewer_than_k_is_merged_until_it_is_enough() {
    let big = asked("a.one.example", "p/s", 0..6, 0);
    let [few, others] = [asked("two.example", "p/s", 0..3, 0), asked("three.example", "p/s", 3..5, 0)];
    let elsewhere = asked("four.example", "p/t", 5..9, 0);
    let program = asked("five.example", "q/u", 9..10, 0);
    let table = [
        (vec![&big], vec![("p", "s", "one.example", 6)], Some(0)),
        (vec![&big, &few], vec![("p", "s", "one.example", 6)], None),
        (vec![&few, &others], vec![("p", "s", MERGED, 5)], Some(0)),
        (vec![&big, &few, &others], vec![("p", "s", MERGED, 5), ("p", "s", "one.example", 6)], Some(0)),
        (vec![&few, &elsewhere], vec![("p", MERGED, MERGED, 7)], Some(0)),
        (vec![&elsewhere, &program], vec![(MERGED, MERGED, MERGED, 5)], Some(0)),
        // Too few for any number of that day.
        (vec![&program], vec![], Some(0)),
        (vec![], vec![], Some(0)),
    ];
    for (rows, aggregates, left_out) in table {
        let rows: Vec<Row> = rows.into_iter().flatten().cloned().collect();
        let export = export(&rows, 5);
        assert_eq!((told(&export), export.header.left_out), (aggregates, left_out));
    }
}

#[test]
fn days_stand_for_themselves() {
    let mut rows = asked("one.example", "p/s", 0..5, 0);
    rows.extend(asked("one.example", "p/s", 0..4, 1));
    let export = export(&rows, 5);
    let days: Vec<(&str, u64, u64)> = export.days.iter().map(|day| (&*day.day, day.queries, day.clients)).collect();
    assert_eq!(days, [("2026-11-21", 5, 5)]);
    let header = &export.header;
    assert_eq!((export.aggregates.len(), header.queries, header.left_out), (1, 5, Some(0)));
}

/// So no two of them tell by their difference what a single one doesn't.
#[test]
fn several_days_are_each_of_them_and_a_program_is_a_part_of_all() {
    let mut rows = traffic(41, 900, 12);
    // What it takes two programs for, and a day on which somebody asks for what nobody else does.
    rows.extend(asked("alone.example", "p/s", 0..2, 2).into_iter().chain(asked("lone.example", "q/t", 2..4, 2)));
    rows.extend(asked("new.example", "p/s", 90..91, 3));
    let all = export(&rows, 4);
    let (mut days, mut aggregates) = (Vec::new(), Vec::new());
    for day in 0..7 {
        let own: Vec<Row> = rows.iter().filter(|row| (row.time - START) / DAY == day).cloned().collect();
        let own = export(&own, 4);
        days.extend(own.days);
        aggregates.extend(own.aggregates);
    }
    assert_eq!((&days, &aggregates), (&all.days, &all.aggregates));
    assert!(days.len() == 7 && days.iter().any(|day| day.left_out.is_none()), "{days:?}");
    let sums = [days.iter().map(|day| day.queries).sum(), days.iter().map(|day| day.without_room).sum::<u64>()];
    assert_eq!([all.header.queries, all.header.without_room], sums);
    let programs: BTreeSet<&str> =
        all.aggregates.iter().map(|row| &*row.program).filter(|own| *own != MERGED).collect();
    assert!(programs.len() > 1 && all.aggregates.iter().any(|row| row.program == MERGED), "{programs:?}");
    for program in programs {
        let filter = Filter { program: Some(program.to_owned()), ..Filter::default() };
        let one = tally(&rows, filter).export(&context(), 4);
        let of_all: Vec<_> = all.aggregates.iter().filter(|row| row.program == program).cloned().collect();
        assert_eq!(one.aggregates, of_all);
        let untold: Vec<_> = days.iter().map(|day| DayTotals { left_out: None, ..day.clone() }).collect();
        assert_eq!((one.days, one.header.left_out), (untold, None));
    }
}

#[test]
fn the_whole_is_held_to_k_too() {
    let told = |rows: &[Row]| {
        let Export { header, days, .. } = export(rows, 5);
        (days.len(), header.queries, header.left_out)
    };
    assert_eq!(told(&asked("one.example", "p/s", 0..4, 0)), (0, 0, Some(0)));
    // What four days leave out, each of another client or two, is of five clients in all.
    let mut rows = asked("one.example", "p/s", 0..2, 0);
    (1..4).for_each(|day| rows.extend(asked("one.example", "p/s", day + 1..day + 2, day.into())));
    assert_eq!(told(&rows), (0, 0, Some(0)));
    // Of a day that is told, what is left out is too if enough have a part in it.
    let mut rows = asked("one.example", "p/s", 0..5, 0);
    for (outcome, clients) in [(Outcome::Block, 5..8), (Outcome::Except, 8..10)] {
        let verdicts = verdicts([said("p/s", (1, ""), Trigger::Qname, outcome)]);
        let own = asked("two.example", "p/s", clients, 0).into_iter();
        rows.extend(own.map(|row| Row { verdicts: verdicts.clone(), ..row }));
        assert_eq!(told(&rows), (1, rows.len() as u64, Some(5).filter(|_| outcome == Outcome::Except)));
    }
}

#[test]
fn unknown_clients_are_nobody() {
    let rows: Vec<Row> =
        asked("one.example", "p/s", 0..9, 0).into_iter().map(|row| Row { client: String::new(), ..row }).collect();
    assert_eq!((export(&rows, 1).aggregates.len(), export(&rows, 1).days.len()), (0, 0));
    assert_eq!(told(&export(&rows, 0)), [("p", "s", "one.example", 0)], "without a threshold all of it is there");
}

#[test]
fn aggregates_are_those_of_a_naive_count_and_no_verdict_is_lost() {
    let rows = traffic(31, 3000, 14);
    let whole = export(&rows, 0);
    let mut plain: BTreeMap<[String; 7], Plain<'_>> = BTreeMap::new();
    for row in &rows {
        for said in &row.verdicts.said {
            let day = format!("2026-11-{}", 21 + (row.time - START) / DAY);
            let domain = registrable(&row.name).to_owned();
            let (trigger, outcome) = (said.trigger.word().to_owned(), said.outcome.word().to_owned());
            let [program, service, list] = [&said.program, &said.service, &said.list].map(|text| text.to_string());
            let key = [day, program, service, list, trigger, outcome, domain];
            let group = plain.entry(key).or_default();
            group.0 += 1;
            group.1.insert(&row.name);
            group.2.extend(Some(&*row.client).filter(|client| !client.is_empty()));
        }
    }
    assert_eq!(whole.aggregates.len(), plain.len());
    for row in &whole.aggregates {
        let key = [&row.day, &row.program, &row.service, &row.list, &row.trigger, &row.outcome, &row.domain]
            .map(Clone::clone);
        let (queries, names, clients) = &plain[&key];
        assert_eq!((row.queries, row.names, row.clients), (*queries, names.len() as u64, clients.len() as u64));
    }
    assert_eq!(whole.header.queries, report(&rows).totals.queries);
    let of = |day: &str| -> Vec<&Row> {
        rows.iter().filter(|row| format!("2026-11-{}", 21 + (row.time - START) / DAY) == day).collect()
    };
    for k in [0, 2, CLIENTS_MIN, 9, 100] {
        let export = export(&rows, k);
        assert!(export.aggregates.iter().all(|row| row.clients >= k));
        for day in &export.days {
            let rows = of(&day.day);
            let distinct = |of: fn(&Row) -> &str| {
                let all: BTreeSet<&str> = rows.iter().map(|row| of(row)).filter(|text| !text.is_empty()).collect();
                all.len() as u64
            };
            assert_eq!((day.queries, day.clients), (rows.len() as u64, distinct(|row| &row.client)));
            let asked = [distinct(|row| &row.name), distinct(|row| registrable(&row.name))];
            assert_eq!([day.names, day.domains], asked.map(Some));
            let verdicts: u64 = rows.iter().map(|row| row.verdicts.said.len() as u64).sum();
            let sum: u64 = export.aggregates.iter().filter(|own| own.day == day.day).map(|own| own.queries).sum();
            match day.left_out {
                Some(left_out) => assert_eq!(sum + left_out, verdicts, "{k}"),
                None => assert!(sum < verdicts, "{k}"),
            }
        }
    }
}

#[test]
fn both_forms_say_the_same() {
    let rows = traffic(37, 800, 9);
    let export = export(&rows, 3);
    let lines: Vec<serde_json::Value> =
        export.jsonl().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sheet = super::sheets::read(&export.csv());
    assert_eq!(lines.len(), 1 + export.days.len() + export.aggregates.len());
    assert_eq!(sheet.len(), lines.len() + 1, "and the heads");
    for (line, cells) in lines.iter().zip(&sheet[1..]) {
        for (head, cell) in sheet[0].iter().zip(cells).filter(|(head, _)| *head != "note") {
            let value = &line[head];
            let text = value
                .as_str()
                .map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
            if line["record"] != "header" || value.is_number() {
                assert_eq!(&text, cell, "{head} of {line}");
            }
        }
    }
    assert_eq!(lines[0]["schema"], "cleandns.export/2");
    let documented = include_str!("../../../config/EXPORT.md");
    for head in &sheet[0] {
        assert!(documented.contains(&format!("`{head}`")), "{head} is in config/EXPORT.md");
    }
}
