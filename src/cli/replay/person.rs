//! What came of replaying, for a person who reads it on a terminal. Files hold what anybody sent: foreign texts are shown
//! as what they are, and change nothing around them.

use super::{Shown, format};
use crate::{
    replay::{Because, Change, Counted, Format, Reason, Summary},
    report::visible,
};
use std::fmt::Write as _;

/// All of it, as a page.
pub(super) fn page(shown: &Shown<'_>) -> String {
    let Shown { file, before, after, summary, .. } = shown;
    let counted = |counted: Counted| format!("{}{}", if counted.exact { "" } else { "at least " }, counted.count);
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!(
        "{file}: {}, {} queries for {} names from {} clients",
        summary.format,
        summary.queries,
        counted(summary.names),
        counted(summary.clients)
    ));
    if let (Some(first), Some(last)) = (&summary.first, &summary.last) {
        line(&format!("from:   {first} to {last}"));
    }
    line(&format!("before: {before}"));
    line(&format!("after:  {after}"));
    line("");
    let fates = summary.fates.iter().map(|fate| (vec![fate.before, fate.after], fate.fate.to_owned()));
    line(&table(&["before", "after"], "queries", fates));
    match summary.changed {
        0 => line("nothing changes: every query fares as before"),
        changed => line(&format!(
            "{changed} queries change: {} newly blocked, {} newly passed",
            summary.newly_blocked, summary.newly_passed
        )),
    }
    if summary.changed == 0 && before == after {
        line("both sides are the same policy; `--before none` shows all that it does");
    }
    summary.changes.iter().for_each(|change| line(&shown_change(change)));
    line("");
    notes(summary, file).iter().for_each(|note| line(note));
    broken(shown).iter().for_each(|broken| line(broken));
    line(&format!("{} queries a second, in {:.1} seconds", shown.queries_per_second, shown.seconds));
    text
}

/// The tables of one change.
fn shown_change(change: &Change) -> String {
    let Change { before, after, queries, names, clients, by_name, by_client, by_service } = change;
    let mut text = format!("\n{before} → {after}: {queries} queries, {names} names, {clients} clients\n");
    let width = by_name.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let names = by_name
        .iter()
        .map(|row| (vec![row.queries, row.clients], format!("{:<width$}  {}", row.name, shown_because(&row.because))));
    text += &table(&["queries", "clients"], &format!("{:<width$}  by", "name"), names);
    let services = by_service
        .iter()
        .map(|row| (vec![row.queries, row.names, row.clients], shown_service(&row.program, &row.service)));
    text += &("\n".to_owned() + &table(&["queries", "names", "clients"], "program/service", services));
    if !by_client.is_empty() {
        let clients = by_client.iter().map(|row| (vec![row.queries, row.names], row.client.clone()));
        text += &("\n".to_owned() + &table(&["queries", "names"], "client", clients));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The rule, and that it is one of the policy before, if so.
fn shown_because(because: &Because) -> String {
    let Because { program, service, rule, of } = because;
    let before = if *of == "before" { " (before)" } else { "" };
    match program.is_empty() && service.is_empty() {
        true => format!("{rule}{before}"),
        false if rule.is_empty() => format!("{}{before}", shown_service(program, service)),
        false => format!("{} {rule}{before}", shown_service(program, service)),
    }
}

fn shown_service(program: &str, service: &str) -> String {
    match (program, service) {
        ("", "") => "the owner's exceptions".to_owned(),
        // No program's: what all rules beyond the bound are counted as.
        ("", words) => words.to_owned(),
        _ => format!("{program}/{service}"),
    }
}

/// Numbers in columns, then a text.
fn table(numbers: &[&str], last: &str, rows: impl Iterator<Item = (Vec<u64>, String)>) -> String {
    /// Digits of a number that fits its column.
    const WIDTH: usize = 10;
    let mut text = String::new();
    let mut line = |cells: Vec<String>, last: &str| {
        for cell in cells {
            // Writing to memory doesn't fail.
            let _ = write!(text, "{cell:>WIDTH$}  ");
        }
        text.push_str(visible(last).trim_end());
        text.push('\n');
    };
    line(numbers.iter().map(|&number| number.to_owned()).collect(), last);
    rows.for_each(|(numbers, last)| line(numbers.iter().map(u64::to_string).collect(), &last));
    text
}

/// What must be known to read the numbers rightly.
fn notes(summary: &Summary, file: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let not_asked = summary.not_asked;
    if not_asked.only_sums > 0 {
        notes.push(format!(
            "of {} more queries only sums are left: they can't be asked again, and are in no number here",
            not_asked.only_sums
        ));
    }
    notes.push(format!(
        "rules on answers were not asked, but for aliases and addresses that the file tells ({} queries): {} rules \
         before, {} after, and rules on names as aliases",
        not_asked.queries_with_answer, not_asked.answer_rules_before, not_asked.answer_rules_after
    ));
    let change_without_group = format!(
        "were judged as in no group, since neither their address is told nor a group of that name is there; {} of them \
         change, perhaps for that reason alone",
        not_asked.changed_without_group
    );
    let counted = [
        (
            not_asked.queries_with_remembered_answer,
            "were answered from the cache: they count as leading where the one did that it was resolved for",
        ),
        (
            not_asked.queries_without_answer,
            "were answered from the cache, and nothing in the file tells where they led: what rules on aliases and \
             addresses match is a lower bound",
        ),
        (
            not_asked.verdicts_left_out,
            "have a recorded verdict that was left out: the file doesn't tell what its rule looked at",
        ),
        (
            not_asked.queries_not_comparable,
            "count as unchanged, because the file doesn't tell enough to compare what it says of them",
        ),
        (not_asked.queries_without_client, "tell no client's whole address: rules by client don't hold for them"),
        (
            not_asked.queries_by_recorded_group,
            "were judged in the group that the file names, since their address doesn't tell it",
        ),
        (not_asked.queries_without_group, &*change_without_group),
    ];
    let told = counted.iter().filter(|(queries, _)| *queries > 0);
    notes.extend(told.map(|(queries, what)| format!("{queries} queries {what}")));
    if !summary.exact {
        notes.push("there was more than can be counted: numbers of names and clients are lower bounds".to_owned());
    }
    if summary.ignored > 0 {
        let parts = format(summary.format).map_or("lines", Format::parts);
        notes.push(format!("{} {parts} hold no query", summary.ignored));
    }
    if summary.between_servers > 0 {
        notes.push(between_servers(summary.between_servers));
    }
    let skipped = &summary.skipped;
    if skipped.count > 0 {
        notes.push(format!("{} could not be read and were skipped:", skipped.count));
        let reason = |reason: &Reason| {
            format!("  {file}: {}: {} ({} of them)", reason.first, visible(&reason.reason), reason.count)
        };
        notes.extend(skipped.reasons.iter().map(reason));
    }
    notes
}

/// Where the file could not be read on, if so.
pub(super) fn broken(shown: &Shown<'_>) -> Option<String> {
    let broken = shown.summary.broken.as_ref()?;
    Some(format!("{}: {}; the numbers are of what stands before", shown.file, visible(broken)))
}

fn between_servers(count: u64) -> String {
    format!("{count} queries between servers (they ask for no recursion) were left out")
}

/// Why a file was of no use.
pub(super) fn nothing_read(name: &str, summary: &Summary) -> String {
    let mut text = format!("{name}: holds no query that could be read as {}", summary.format);
    for reason in &summary.skipped.reasons {
        let _ = write!(text, "\n  {}: {} ({} of them)", reason.first, visible(&reason.reason), reason.count);
    }
    if let Some(broken) = &summary.broken {
        let _ = write!(text, "\n  {}", visible(broken));
    }
    if summary.between_servers > 0 {
        let _ = write!(text, "\n  {}", between_servers(summary.between_servers));
    }
    if format(summary.format).is_ok_and(|format| format == Format::Pcap) {
        text += "\n  of a capture only what is sent to port 53 is looked at";
        return text;
    }
    text + "\n  is it another format? name it with --format"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_named_by_whose_they_are() {
        for (program, service, rule, of, expected) in [
            ("p", "s", "s.list:7", "after", "p/s s.list:7"),
            ("p", "s", "s.list:7", "before", "p/s s.list:7 (before)"),
            ("Pi-hole", "gravity", "", "before", "Pi-hole/gravity (before)"),
            ("", "", "exception c:1", "after", "exception c:1"),
            ("", "rules without room", "", "", "rules without room"),
        ] {
            let (program, service, rule) = (program.to_owned(), service.to_owned(), rule.to_owned());
            assert_eq!(shown_because(&Because { program, service, rule, of }), expected);
        }
        assert_eq!(shown_service("", ""), "the owner's exceptions");
    }

    #[test]
    fn nothing_foreign_steers_the_terminal() {
        let foreign = "a\u{1b}[2Jb\u{202e}c\u{2066}d\n";
        let shown = table(&["queries"], "client", [(vec![1], foreign.to_owned())].into_iter());
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        assert_eq!(lines, ["queries  client", "1  a\\u{1b}[2Jb\\u{202e}c\\u{2066}d\\u{a}"]);
    }
}
