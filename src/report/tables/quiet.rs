//! Tables of what never hit, and of queries by group, type and transport.

use super::{Table, number, or_dash, start, text, with_percent};
use crate::report::{
    form::{Report, Top},
    kinds::KindRow,
    words::{count, counted, queries},
};

/// Rules of one list in a table; JSON and CSV have more.
const RULES_OF_LIST: usize = 8;

/// Rules that never hit, of lists that did.
pub(in crate::report) fn rules_never_hit(report: &Report) -> Table {
    let mut rows = Vec::new();
    for list in &report.rules_never_hit {
        let name = format!("{}/{} {}", list.program, list.service, list.list);
        for (at, rule) in list.rules.iter().take(RULES_OF_LIST).enumerate() {
            let of = if at == 0 { count(list.there_are) } else { String::new() };
            rows.push(vec![name.clone(), of, rule.line.to_string(), or_dash(&rule.rule)]);
        }
    }
    Table {
        id: "never-rules",
        title: "Rules that never hit",
        caption: format!(
            "Of lists that hit something, rules that decided nothing, the first {RULES_OF_LIST} of each list: {} in all.{}",
            counted(report.rules_never_hit.iter().map(|list| list.there_are).sum(), "rule", "rules"),
            left_out(report)
        ),
        columns: vec![text("list"), number("never hit"), number("line"), text("rule")],
        rows,
        there_are: report.rules_never_hit.iter().map(|list| list.there_are).sum(),
        bars: Vec::new(),
        empty: match &report.unread.all {
            Some(why) => not_known("rules", why),
            None => format!(
                "No list that hit something, and is as it was then, has a rule that didn't.{}",
                left_out(report)
            ),
        }
        .into(),
    }
}

/// Which rules nothing is said of, though they may never have hit.
fn left_out(report: &Report) -> String {
    let mut text = String::new();
    let unread = &report.unread.lists;
    if !unread.is_empty() {
        let few: Vec<&str> = unread.iter().take(RULES_OF_LIST).map(String::as_str).collect();
        let more = if few.len() < unread.len() { ", …" } else { "" };
        let lists = counted(unread.len() as u64, "list", "lists");
        text += &format!(" Nothing is said of {lists} that could not be read here: {}{more}.", few.join(", "));
    }
    if report.limits.queries_without_tables > 0 {
        let beyond = queries(report.limits.queries_without_tables);
        text += &format!(" {beyond} found no room here, so one of these may have hit all the same.");
    }
    text
}

fn not_known(what: &str, why: &str) -> String {
    format!("Which {what} never hit isn't known: the lists could not be read here ({why}).")
}

/// Lists without a hit.
pub(in crate::report) fn lists_never_hit(report: &Report) -> Table {
    let lists = &report.lists_never_hit;
    Table {
        id: "never",
        title: "Lists that never hit",
        caption: "Lists in force, or in shadow, of which no rule decided anything.".to_owned(),
        columns: vec![text("list"), text("version"), text("mode"), number("rules")],
        rows: lists
            .iter()
            .map(|list| {
                let name = format!("{}/{} {}", list.program, list.service, list.list);
                vec![name, start(&list.version), list.mode.clone(), count(list.rules)]
            })
            .collect(),
        there_are: lists.len() as u64,
        bars: Vec::new(),
        empty: match &report.unread.all {
            Some(why) if report.known_lists == 0 => not_known("lists", why).into(),
            _ => "Every list that is known here hit something.".into(),
        },
    }
}

/// By group, by type and by transport.
pub(in crate::report) fn kinds(report: &Report) -> [Table; 3] {
    let kinds = &report.kinds;
    [
        of_kinds(report, ("groups", "By group", "group"), &kinds.groups),
        of_kinds(report, ("types", "By type", "type"), &kinds.types),
        of_kinds(report, ("transports", "By transport", "transport"), &kinds.transports),
    ]
}

fn of_kinds(
    report: &Report,
    (id, title, head): (&'static str, &'static str, &'static str),
    of: &Top<KindRow>,
) -> Table {
    let row = |row: &KindRow| {
        let counts = [row.blocked, row.would_block, row.excepted].map(count);
        [vec![or_dash(&row.what), with_percent(&row.queries)], counts.to_vec(), vec![row.hit.percent()]].concat()
    };
    Table {
        id,
        title,
        caption: format!("Shares are of {}; those hit are of the row's own queries.", covered(report)),
        columns: vec![
            text(head),
            number("queries"),
            number("blocked"),
            number("would block"),
            number("excepted"),
            number("hit of its own"),
        ],
        rows: of.rows.iter().map(row).collect(),
        there_are: of.there_are,
        bars: of.rows.iter().map(|row| [row.blocked, row.would_block, row.excepted]).collect(),
        empty: "Nothing is recorded that tells this: of all queries only sums are left.".into(),
    }
}

/// Which queries that is about.
fn covered(report: &Report) -> String {
    let kinds = &report.kinds;
    let part = queries(kinds.covered.part);
    if kinds.covered.part == kinds.covered.of {
        return format!("all {part}");
    }
    let moment = |moment: Option<crate::report::Moment>| moment.map_or_else(String::new, |moment| moment.minute());
    format!(
        "the {part} from {} to {} ({} of all): of the others only sums are left, which don't tell this",
        moment(kinds.first),
        moment(kinds.last),
        kinds.covered.percent()
    )
}
