//! The page: whole, harmless, and with the numbers of the report.

use super::{
    made::{START, context, report, row, said, tally, traffic, verdicts},
    sheets::small,
};
use crate::{
    policy::{Outcome, Trigger},
    query_log::Row,
    report::{Filter, Report, html, text},
};
use std::{collections::BTreeSet, fs};

/// Elements that HTML has no end of.
const VOID: [&str; 1] = ["meta"];

/// Checks that every element ends where it may, and gives their names with their attributes.
fn elements(page: &str) -> Vec<(String, String)> {
    let body = page.strip_prefix("<!doctype html>\n").unwrap();
    let (before, rest) = body.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    let body = format!("{before}{after}");
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = body.as_str();
    while let Some((before, from)) = rest.split_once('<') {
        assert!(!before.contains('>'), "a bare > before <{}", &from[..from.len().min(40)]);
        let (tag, after) = from.split_once('>').unwrap();
        assert!(!tag.contains('<'), "a tag in a tag: {tag}");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {}", &after[..after.len().min(60)]);
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let ends = attributes.ends_with('/') || VOID.contains(&name);
        if !ends {
            open.push(name.to_owned());
        }
        all.push((name.to_owned(), attributes.to_owned()));
    }
    assert!(open.is_empty(), "{open:?} never end");
    all
}

fn hostile() -> Report {
    let script = "<script>alert(1)</script>";
    let mut one = row("\"><img src=x onerror=alert(1)>", "a\"b.<b>.example", START);
    one.verdicts = verdicts([said(&format!("{script}/{script}"), (1, script), Trigger::Qname, Outcome::Block)]);
    one.addresses = vec!["203.0.113.7".parse().unwrap()];
    one.bypass = true;
    let mut two = row("c&amp;", "'</td>.example", START);
    two.addresses = one.addresses.clone();
    let mut context = context();
    context.instance = "</title><script>".to_owned();
    context.source = "<!-- ".to_owned();
    context.privacy = vec!["<i>".to_owned()];
    context.lists[0].program = "<u>".to_owned();
    context.lists[0].list = "]]>".to_owned();
    tally(&[one, two], Filter { program: None, ..Filter::default() }).finish(&context)
}

#[test]
fn hostile_texts_stay_text() {
    let page = html(&hostile());
    let names: BTreeSet<String> = elements(&page).into_iter().map(|(name, _)| name).collect();
    for name in ["script", "img", "b", "i", "u", "iframe", "link", "object", "form", "base"] {
        assert!(!names.contains(name), "{name}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(elements(&page).iter().all(|(_, attributes)| !attributes.contains(" on")));
}

#[test]
fn the_page_needs_nothing_else() {
    for report in [small(), report(&[]), report(&traffic(43, 1500, 12))] {
        let page = html(&report);
        let all = elements(&page);
        assert!(!all.is_empty());
        for (name, attributes) in &all {
            let links =
                attributes.contains("src=") || attributes.contains("url(") || attributes.contains("href=\"http");
            assert!(!links, "{name} {attributes}");
        }
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
        let ids: Vec<&str> = all.iter().filter_map(|(_, at)| at.split("id=\"").nth(1)?.split('"').next()).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "ids are unique");
        for (_, at) in all.iter().filter(|(name, _)| name == "a") {
            let target = at.split("href=\"#").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            assert!(ids.contains(&target), "{target}");
        }
        let tables = all.iter().filter(|(name, _)| name == "table").count();
        assert_eq!(all.iter().filter(|(name, _)| name == "caption").count(), tables);
        assert!(all.iter().filter(|(name, _)| name == "th").all(|(_, at)| at.contains("scope=")));
        let plots = all.iter().filter(|(name, _)| name == "svg");
        assert!(plots.into_iter().all(|(_, at)| at.contains("aria-hidden") || at.contains("aria-labelledby")));
    }
}

#[test]
fn the_page_has_the_numbers_of_the_report() {
    let report = report(&traffic(47, 2500, 12));
    let page = html(&report);
    let cell = |text: &str| page.contains(&format!(">{text}<"));
    for row in
        report.services.iter().map(|row| &row.hits).chain(report.domains.rows.iter().take(40).map(|row| &row.hits))
    {
        assert!(cell(&format!("{} ({})", row.queries.part, row.queries.percent())), "{row:?}");
    }
    for row in report.clients.rows.iter().take(40) {
        assert!(cell(&row.client) && cell(&row.blocked.to_string()) && cell(&row.hit.percent()));
    }
    for row in report.collateral.names.rows.iter().take(40) {
        assert!(cell(&row.name));
    }
    for sentence in ["Of all 2,500 queries", "of all 2,500 queries", "of 2,500 queries"] {
        assert!(page.contains(sentence) || sentence.starts_with("Of"), "{sentence}");
    }
    for row in &report.matrix.cells {
        assert!(row.iter().all(|at| page.contains(&format!("\">{}</td>", at.blocked + at.would_block))));
    }
}

#[test]
fn an_owner_can_decide_on_a_program_in_shadow() {
    let page = text(&report(&traffic(53, 2500, 12)));
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("clean-cloud is in shadow: it counts, and blocks nothing."));
    assert!(words.contains("Enforced, it would have blocked") || words.contains("Enforced as a whole"));
    assert!(words.contains("only because of where the name leads"));
    assert!(words.contains("names that nothing hits share an alias target or address with what it hits"));
    assert!(words.contains("clean-cable is in shadow: it counts, and blocks nothing. It hit none of 2,500 queries."));
}

/// Writes a page of made-up traffic where an environment variable says, to be looked at.
#[test]
fn a_sample_to_look_at() {
    let Some(folder) = std::env::var_os("CLEANDNS_REPORT_SAMPLE") else { return };
    let mut rows = traffic(59, 34_201, 24);
    let names = [
        "api16-core-c-useast1a.tiktokv.example",
        "extremely-long-label-that-somebody-made-up-for-a-content-network.region-cn-hangzhou.customer7.example",
    ];
    for (index, row) in rows.iter_mut().enumerate().filter(|(_, row)| row.name.starts_with("api0.")) {
        row.name = names[index % 2].to_owned();
    }
    let blocked = rows.iter().find(|row| row.name == names[0] && !row.verdicts.said.is_empty()).cloned().unwrap();
    rows.extend((0..5).map(|second| Row { time: START + second * 1_000_000, ..blocked.clone() }));
    let made = report(&rows);
    let folder = std::path::PathBuf::from(folder);
    fs::write(folder.join("sample.html"), html(&made)).unwrap();
    fs::write(folder.join("sample.txt"), text(&made)).unwrap();
    fs::write(folder.join("sample.csv"), crate::report::csv(&made)).unwrap();
    fs::write(folder.join("sample.json"), serde_json::to_string_pretty(&made).unwrap()).unwrap();
    fs::write(folder.join("small.txt"), text(&small())).unwrap();
    let export = tally(&rows, Filter::default()).export(&context(), 5);
    fs::write(folder.join("export.jsonl"), export.jsonl()).unwrap();
}
