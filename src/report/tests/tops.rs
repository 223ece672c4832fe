//! The first rows are those of the whole report, and of a plain count.

use super::made::{context, counted, tally, traffic};
use crate::{
    policy::Outcome,
    query_log::Fate,
    report::{Filter, ListRule, TopRow},
};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn tops_say_what_the_report_says() {
    let rows = traffic(7, 4_000, 12);
    let tally = tally(&rows, Filter::default());
    let (report, tops) = (tally.finish(&context()), tally.tops((1, 2), 3));
    assert_eq!((tops.from.0, tops.to.0, tops.made_at.0, tops.queries), (1, 2, 3, report.totals.queries));

    let services: BTreeMap<String, [u64; 4]> = report
        .services
        .iter()
        .map(|row| {
            let hits = &row.hits;
            let counts = [hits.blocked, hits.would_block, hits.excepted, hits.clients.part];
            (format!("{}/{}", row.program, row.service), counts)
        })
        .collect();
    let counts = |row: &TopRow| [row.blocked, row.would_block, row.excepted, row.clients];
    assert_eq!(
        tops.services.rows.iter().map(|row| (row.key.clone(), counts(row))).collect::<BTreeMap<_, _>>(),
        services
    );

    for row in &tops.clients.rows {
        let whole = report.clients.rows.iter().find(|client| client.client == row.key).unwrap();
        assert_eq!([row.blocked, row.would_block, row.excepted], [whole.blocked, whole.would_block, whole.excepted]);
    }
    assert!(tops.clients.rows.iter().all(|row| !row.key.is_empty()));

    // Names, counted in the plainest way.
    let mut names: BTreeMap<&str, ([u64; 3], BTreeSet<&str>)> = BTreeMap::new();
    for row in &rows {
        let fate = row.verdicts.fate();
        if fate != Fate::Passed && !row.name.is_empty() {
            let (counts, clients) = names.entry(&row.name).or_default();
            counts[fate as usize] += 1;
            clients.extend(Some(&*row.client).filter(|client| !client.is_empty() && fate != Fate::Excepted));
        }
    }
    assert_eq!(tops.names.there_are, names.len() as u64);
    assert!(tops.names.rows.len() >= 50);
    for row in &tops.names.rows {
        let (expected, clients) = &names[row.key.as_str()];
        assert_eq!(([row.blocked, row.would_block, row.excepted], row.clients), (*expected, clients.len() as u64));
    }
    // Lists and their rules, likewise.
    type Rules<'r> = BTreeSet<(u32, &'r str)>;
    let mut lists: BTreeMap<[&str; 4], ([u64; 3], Rules<'_>)> = BTreeMap::new();
    for row in &report.lists {
        let hits = &row.hits;
        let counts = [hits.blocked, hits.would_block, hits.excepted];
        lists.insert([&row.program, &row.service, &row.list, &row.version], (counts, BTreeSet::new()));
    }
    for (said, _) in rows.iter().flat_map(counted) {
        if let Some((_, rules)) = lists.get_mut(&[&*said.program, &said.service, &said.list, &said.version]) {
            rules.insert((said.line, &said.rule));
        }
    }
    lists.retain(|_, (counts, _)| counts.iter().any(|&queries| queries > 0));
    assert!(lists.len() > 2);
    assert_eq!(tops.lists.len(), lists.len());
    for list in &tops.lists {
        let (counts, rules) = &lists[&[&*list.program, &list.service, &list.list, &list.version]];
        assert_eq!([list.blocked, list.would_block, list.excepted], *counts);
        // One more rule than those that hit is the one that never did.
        let all =
            rules.iter().map(|(line, rule)| (*line, (*rule).to_owned())).chain([(7_777, "quiet.example".to_owned())]);
        let (there_are, quiet) = list
            .never_hit(all.map(|(line, rule)| crate::report::Candidate {
                line,
                is_by_client: false,
                text: move || rule,
            }))
            .unwrap();
        assert_eq!((there_are, quiet[0].line, quiet[0].rule.as_str()), (1, 7_777, "quiet.example"));
    }
    for table in [&tops.services, &tops.names, &tops.clients] {
        assert!(table.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.hits())));
    }
    // Exceptions, likewise.
    let (mut owners, mut excepting) = (BTreeMap::new(), BTreeMap::new());
    for row in rows.iter().filter(|row| !row.name.is_empty()) {
        if let Some(owner) = &row.verdicts.owner {
            *owners.entry(owner.place.to_string()).or_insert(0) += 1;
        }
        for said in row.verdicts.said.iter().filter(|said| said.outcome == Outcome::Except) {
            let [program, list, rule] = [&said.program, &said.list, &said.rule].map(|text| text.to_string());
            *excepting.entry(ListRule { program, list, rule }).or_insert(0) += 1;
        }
    }
    assert_eq!((&tops.owners, &tops.excepting), (&owners, &excepting));
    assert!(!owners.is_empty() && !excepting.is_empty());
    assert!(rows.iter().flat_map(|row| &row.verdicts.said).any(|said| said.outcome == Outcome::Except));
}
