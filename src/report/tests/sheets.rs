//! CSV and text read again.

use super::made::{SECOND, START, context, known, report, row, said, tally, traffic, verdicts};
use crate::{
    policy::{Outcome, Trigger},
    query_log::{Row, Verdicts},
    report::{Filter, Moment, Report, csv, html, text},
};
use std::{collections::BTreeMap, sync::Arc};

/// Reads CSV (RFC 4180), and takes guards against formulas off.
pub(super) fn read(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut is_quoted = false;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        let record = records.last_mut().unwrap();
        match sign {
            '"' if is_quoted && signs.peek() == Some(&'"') => record.last_mut().unwrap().push(signs.next().unwrap()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(String::new()),
            '\r' if !is_quoted && signs.next_if_eq(&'\n').is_some() => records.push(vec![String::new()]),
            _ => record.last_mut().unwrap().push(sign),
        }
    }
    assert_eq!(records.pop(), Some(vec![String::new()]), "it ends with a line end");
    let unguarded = |cell: String| match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest.to_owned(),
        _ => cell,
    };
    records.into_iter().map(|record| record.into_iter().map(unguarded).collect()).collect()
}

/// Each line by head.
fn lines(report: &Report) -> Vec<BTreeMap<String, String>> {
    let mut records = read(&csv(report)).into_iter();
    let heads = records.next().unwrap();
    records
        .map(|record| {
            assert_eq!(record.len(), heads.len());
            heads.iter().cloned().zip(record).filter(|(_, cell)| !cell.is_empty()).collect()
        })
        .collect()
}

fn value(lines: &[BTreeMap<String, String>], keys: &[(&str, &str)]) -> (u64, Option<u64>) {
    let fits = |line: &&BTreeMap<String, String>| {
        keys.iter().all(|(head, cell)| line.get(*head).is_some_and(|text| text == cell))
    };
    let found: Vec<_> = lines.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{keys:?} are one line");
    (found[0]["value"].parse().unwrap(), found[0].get("of").map(|of| of.parse().unwrap()))
}

#[test]
fn the_sheet_has_the_numbers_of_the_report() {
    let report = report(&traffic(41, 2000, 12));
    let lines = lines(&report);
    for row in &report.programs {
        let at = |measure| value(&lines, &[("section", "program"), ("program", &row.program), ("measure", measure)]);
        assert_eq!(at("blocked").0, row.hits.blocked);
        assert_eq!(at("queries"), (row.hits.queries.part, Some(row.hits.queries.of)));
        assert_eq!(at("clients"), (row.hits.clients.part, Some(report.totals.clients)));
    }
    for row in &report.rules.rows {
        let line = row.line.to_string();
        let keys = [("section", "rule"), ("list", &*row.list), ("line", &line), ("measure", "would_block")];
        assert_eq!(value(&lines, &keys).0, row.hits.would_block);
    }
    for row in &report.domains.rows {
        let at = |measure| value(&lines, &[("section", "domain"), ("domain", &row.domain), ("measure", measure)]).0;
        assert_eq!((at("blocked"), at("asked_clients")), (row.hits.blocked, row.asked_clients));
    }
    for row in &report.clients.rows {
        let at = |measure| value(&lines, &[("section", "client"), ("client", &row.client), ("measure", measure)]);
        assert_eq!((at("hit"), at("bypass").0), ((row.hit.part, Some(row.hit.of)), row.bypass));
    }
    for row in &report.collateral.names.rows {
        let at = |measure| value(&lines, &[("section", "name"), ("name", &row.name), ("measure", measure)]).0;
        assert_eq!((at("sharing_names"), at("retry_rows")), (row.sharing.names, row.retries.rows));
    }
    let buckets = lines.iter().filter(|line| line["section"] == "time_line").count();
    assert_eq!(buckets, 1 + 5 * report.time_line.buckets.len());
}

/// A few rows of everything.
pub(super) fn small() -> Report {
    let at = |minute: i64| START + minute * 60 * SECOND;
    let mut rows = vec![
        row("192.168.1.5", "www.example.org", at(1)),
        row("192.168.1.5", "shop.neighbour.example", at(2)),
        row("192.168.1.6", "use-application-dns.net", at(3)),
        row("192.168.1.7", "news.example.net", at(4)),
    ];
    rows[1].addresses = vec!["203.0.113.7".parse().unwrap()];
    rows[2].bypass = true;
    let block = |line, rule| verdicts([said("clean-store/tiktok", (line, rule), Trigger::Qname, Outcome::Block)]);
    let again = (0..5).map(|second| Row {
        verdicts: block(12, "tiktokv.example"),
        ..row("192.168.1.5", "api.tiktokv.example", at(10) + second * SECOND)
    });
    rows.extend(again);
    rows.push(Row { verdicts: block(14, "=log.tiktokv.example"), ..row("192.168.1.6", "log.tiktokv.example", at(11)) });
    let would = said("clean-cloud/alibaba-hosting", (9, "203.0.113.0/24"), Trigger::Address, Outcome::WouldBlock);
    rows.push(Row {
        verdicts: verdicts([would]),
        addresses: vec!["203.0.113.7".parse().unwrap()],
        ..row("192.168.1.7", "static.customer.example", at(90))
    });
    let owner = Arc::new(Verdicts { owner: Some("cleandns.toml:12".into()), ..Verdicts::default() });
    rows.push(Row { verdicts: owner.clone(), ..row("192.168.1.7", "wanted.example", at(100)) });
    rows.push(Row { verdicts: owner, ..row("192.168.1.7", "www.customer.example", at(101)) });
    let mut context = context();
    context.to = START + 2 * 3600 * SECOND;
    tally(&rows, Filter::default()).finish(&context)
}

#[test]
fn the_text_of_a_small_report() {
    let written = text(&small());
    let golden = include_str!("small.txt");
    assert!(written == golden, "the text changed; if it is meant, tests/small.txt is to be:\n{written}");
}

#[test]
fn text_has_no_control_characters() {
    let mut hostile = row("\x1b[2J", "a.example", START);
    hostile.verdicts = verdicts([said("p\u{202e}/s", (1, "=\r\nx"), Trigger::Qname, Outcome::Block)]);
    let mut context = context();
    context.instance = "\x07home".to_owned();
    context.lists.push(known("q/\x1b]0;title", "shadow", 1));
    let report = tally(&[hostile], Filter::default()).finish(&context);
    assert!(!text(&report).contains(|sign: char| sign.is_control() && sign != '\n'));
    assert!(!text(&report).contains('\u{202e}'));
    assert!(!csv(&report).replace("\r\n", "").contains(char::is_control));
}

#[test]
fn nothing_at_all_is_a_report_too() {
    let nothing = report(&[]);
    assert_eq!((nothing.totals.queries, nothing.totals.blocked.share), (0, 0.0));
    assert!(text(&nothing).contains("Nothing was blocked, and nothing would have been."));
    assert!(nothing.lists_never_hit.len() == 5);
    lines(&nothing);
}

#[test]
fn json_has_every_share_with_its_parts() {
    let json = serde_json::to_value(small()).unwrap();
    assert_eq!(json["schema"], "cleandns.report/1");
    assert_eq!(json["from"], "2026-11-21T00:00:00Z");
    let share = &json["programs"][0]["queries"];
    assert_eq!((&share["part"], &share["of"], &share["share"]), (&6.into(), &13.into(), &0.461538.into()));
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert!(keys.iter().all(|key| key.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_')));
}

/// Where there was no room for all, whoever reads a report learns of it, in whichever form.
#[test]
fn that_queries_were_removed_early_is_told() {
    let rows = [row("192.168.1.5", "a.example", START + SECOND)];
    let told = |removed_early: Option<i64>| {
        let mut context = context();
        context.held.removed_early = removed_early.map(Moment);
        let report = tally(&rows, Filter::default()).finish(&context);
        let page = text(&report).split_whitespace().collect::<Vec<_>>().join(" ");
        [page, html(&report), csv(&report), serde_json::to_string(&report).unwrap()]
    };
    let early = context().from + SECOND;
    let minute = Moment(early).minute();
    let sentence = format!("of those until {minute} at most sums are left");
    let [page, html, csv, json] = told(Some(early));
    assert!(page.contains(&sentence) && html.contains(&sentence), "{page}");
    assert!(csv.contains(&format!(",removed_early,{},", Moment(early))), "{csv}");
    let as_json = serde_json::to_string(&Moment(early)).unwrap();
    assert!(json.contains(&format!("\"removed_early\":{as_json}")), "{json}");
    let before = told(Some(context().from));
    assert!(before.iter().all(|page| !page.contains("at most sums")), "of what nobody asks for nothing is said");
    assert!(told(None)[3].contains("\"removed_early\":null"));
}
