//! The report as one long table, for spreadsheets: a number a line, with all it is about in columns of its own.
//!
//! RFC 4180. A cell that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-` or `@`, has an
//! apostrophe before it: rules on exact names begin with `=`.

use super::{
    form::{Hits, Report, TriggerRow},
    words::{Moment, Share, visible},
};

/// All columns, in order. New ones go to the end.
pub(super) const COLUMNS: [&str; 19] = [
    "section", "program", "service", "list", "version", "line", "rule", "trigger", "outcome", "domain", "name",
    "other", "target", "client", "time", "measure", "value", "of", "kind",
];

/// Column and text.
type Key<'k> = (&'static str, &'k str);

/// Writes the report as CSV.
pub fn csv(report: &Report) -> String {
    let mut sheet = Sheet::new();
    sheet.about(report);
    sheet.totals(report);
    sheet.times(report);
    sheet.programs(report);
    sheet.lists(report);
    sheet.people(report);
    sheet.kinds(report);
    sheet.collateral(report);
    sheet.text
}

/// A record's cells, quoted and harmless.
pub(super) fn record<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let text = visible(text);
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

struct Sheet {
    text: String,
}

impl Sheet {
    fn new() -> Self {
        Self { text: record(COLUMNS) }
    }

    fn line(&mut self, section: &str, keys: &[Key<'_>], measure: &str, value: &str, of: &str) {
        debug_assert!(keys.iter().all(|(column, _)| COLUMNS.contains(column)), "no such column");
        let cells = COLUMNS.map(|column| match column {
            "section" => section,
            "measure" => measure,
            "value" => value,
            "of" => of,
            _ => keys.iter().find(|(key, _)| *key == column).map_or("", |(_, text)| text),
        });
        self.text += &record(cells);
    }

    fn count(&mut self, section: &str, keys: &[Key<'_>], measure: &str, count: u64) {
        self.line(section, keys, measure, &count.to_string(), "");
    }

    fn share(&mut self, section: &str, keys: &[Key<'_>], measure: &str, share: &Share) {
        self.line(section, keys, measure, &share.part.to_string(), &share.of.to_string());
    }

    fn time(&mut self, section: &str, keys: &[Key<'_>], measure: &str, time: Option<Moment>) {
        if let Some(time) = time {
            self.line(section, keys, measure, &time.to_string(), "");
        }
    }

    fn hits(&mut self, section: &str, keys: &[Key<'_>], hits: &Hits) {
        self.count(section, keys, "blocked", hits.blocked);
        self.count(section, keys, "would_block", hits.would_block);
        self.count(section, keys, "excepted", hits.excepted);
        self.share(section, keys, "queries", &hits.queries);
        self.share(section, keys, "names", &hits.names);
        self.share(section, keys, "clients", &hits.clients);
        self.time(section, keys, "first", hits.first);
        self.time(section, keys, "last", hits.last);
    }

    fn triggers(&mut self, section: &str, keys: &[Key<'_>], rows: &[TriggerRow]) {
        for row in rows {
            let keys = [keys, &[("trigger", row.trigger), ("outcome", row.outcome)]].concat();
            self.count(section, &keys, "queries", row.queries);
        }
    }

    fn about(&mut self, report: &Report) {
        let privacy = report.privacy.join(" ");
        let (from, to, made_at) = (report.from.to_string(), report.to.to_string(), report.made_at.to_string());
        for (measure, value) in [
            ("schema", report.schema),
            ("instance", &report.instance),
            ("source", &report.source),
            ("privacy", &privacy),
            ("from", &from),
            ("to", &to),
            ("made_at", &made_at),
            ("only_program", report.only_program.as_deref().unwrap_or_default()),
            ("only_client", report.only_client.as_deref().unwrap_or_default()),
        ] {
            self.line("report", &[], measure, value, "");
        }
        self.time("report", &[], "held_first", report.held.first);
        self.time("report", &[], "removed_early", report.held.removed_early);
        self.count("report", &[], "unreadable_lines", report.held.unreadable_lines);
        self.count("report", &[], "several_servers", report.held.several_servers.into());
        self.count("report", &[], "known_lists", report.known_lists);
        if let Some(why) = &report.unread.all {
            self.line("report", &[], "lists_unread", why, "");
        }
        let limits = &report.limits;
        self.count("limit", &[], "queries_without_tables", limits.queries_without_tables);
        self.count("limit", &[], "queries_without_time", limits.queries_without_time);
        self.count("limit", &[], "answers_without_look", limits.answers_without_look);
        self.count("limit", &[], "queries_without_retries", limits.queries_without_retries);
        self.count("limit", &[], "queries_without_kinds", limits.queries_without_kinds);
    }

    fn totals(&mut self, report: &Report) {
        let totals = &report.totals;
        for (measure, count) in [
            ("queries", totals.queries),
            ("names", totals.names),
            ("clients", totals.clients),
            ("domains", totals.domains),
        ] {
            self.count("total", &[], measure, count);
        }
        for (measure, _, share, _) in totals.shares() {
            self.share("total", &[], measure, &share);
        }
    }

    fn times(&mut self, report: &Report) {
        self.count("time_line", &[], "bucket_seconds", report.time_line.bucket_seconds);
        for bucket in &report.time_line.buckets {
            let start = bucket.start.to_string();
            let keys = [("time", &*start)];
            self.count("time_line", &keys, "blocked", bucket.blocked);
            self.count("time_line", &keys, "would_block", bucket.would_block);
            self.count("time_line", &keys, "excepted", bucket.excepted);
            self.count("time_line", &keys, "passed", bucket.passed);
            self.count("time_line", &keys, "refused", bucket.refused);
        }
    }

    fn programs(&mut self, report: &Report) {
        for row in &report.programs {
            self.count("program", &[("program", &row.program)], "would_block_until_named", row.would_block_until_named);
            let keys = [("program", &*row.program)];
            self.line("program", &keys, "modes", &row.modes.join(" "), "");
            self.hits("program", &keys, &row.hits);
            self.share("program", &keys, "domains", &row.domains_hit);
            self.share("program", &keys, "names_with_answer", &row.names_with_answer);
            self.count("program", &keys, "names_retried", row.names_retried);
            self.count("program", &keys, "sharing_names", row.sharing.names);
            self.count("program", &keys, "sharing_queries", row.sharing.queries);
            self.count("program", &keys, "sharing_clients", row.sharing.clients);
            self.triggers("program_trigger", &keys, &row.triggers);
            for at in &row.domains {
                let keys = [("program", &*row.program), ("domain", &at.domain)];
                self.count("program_domain", &keys, "queries", at.queries);
                self.count("program_domain", &keys, "names", at.names);
                self.count("program_domain", &keys, "clients", at.clients);
            }
        }
        for row in &report.services {
            self.hits("service", &[("program", &row.program), ("service", &row.service)], &row.hits);
        }
    }

    fn lists(&mut self, report: &Report) {
        for row in &report.lists {
            let keys =
                [("program", &*row.program), ("service", &row.service), ("list", &row.list), ("version", &row.version)];
            self.hits("list", &keys, &row.hits);
            self.count("list", &keys, "versions", row.versions.there_are);
            self.line("list", &keys, "rules_hit", &row.rules_hit.to_string(), &or_empty(row.rules));
            self.line("list", &keys, "rules_never_hit", &or_empty(row.rules_never_hit), &or_empty(row.rules));
            self.triggers("list_trigger", &keys, &row.triggers);
        }
        for list in &report.unread.lists {
            self.line("list_unread", &[("list", list)], "rules", "", "");
        }
        for row in &report.lists_never_hit {
            let keys =
                [("program", &*row.program), ("service", &row.service), ("list", &row.list), ("version", &row.version)];
            self.line("list_never_hit", &keys, "mode", &row.mode, "");
            self.count("list_never_hit", &keys, "rules", row.rules);
        }
        for list in &report.rules_never_hit {
            let keys = [
                ("program", &*list.program),
                ("service", &list.service),
                ("list", &list.list),
                ("version", &list.version),
            ];
            self.count("rule_never_hit", &keys, "there_are", list.there_are);
            for rule in &list.rules {
                let line = rule.line.to_string();
                let keys = [&keys[..], &[("line", &*line), ("rule", &rule.rule)]].concat();
                self.count("rule_never_hit", &keys, "queries", 0);
            }
        }
        self.count("rule", &[], "there_are", report.rules.there_are);
        for row in &report.rules.rows {
            let line = row.line.to_string();
            let keys = [
                ("program", &*row.program),
                ("service", &row.service),
                ("list", &row.list),
                ("version", &row.version),
                ("line", &line),
                ("rule", &row.rule),
            ];
            self.hits("rule", &keys, &row.hits);
            self.triggers("rule_trigger", &keys, &row.triggers);
        }
    }

    fn people(&mut self, report: &Report) {
        self.count("domain", &[], "there_are", report.domains.there_are);
        for row in &report.domains.rows {
            let keys = [("domain", &*row.domain)];
            self.hits("domain", &keys, &row.hits);
            self.count("domain", &keys, "asked_queries", row.asked_queries);
            self.count("domain", &keys, "asked_names", row.asked_names);
            self.count("domain", &keys, "asked_clients", row.asked_clients);
        }
        self.count("client", &[], "there_are", report.clients.there_are);
        for row in &report.clients.rows {
            let keys = [("client", &*row.client)];
            self.share("client", &keys, "queries", &row.queries);
            self.share("client", &keys, "names", &row.names);
            self.count("client", &keys, "blocked", row.blocked);
            self.count("client", &keys, "would_block", row.would_block);
            self.count("client", &keys, "excepted", row.excepted);
            self.share("client", &keys, "hit", &row.hit);
            self.count("client", &keys, "bypass", row.bypass);
            self.time("client", &keys, "first", Some(row.first));
            self.time("client", &keys, "last", Some(row.last));
        }
        self.count("matrix", &[], "clients_there_are", report.matrix.clients_there_are);
        for (client, cells) in report.matrix.clients.iter().zip(&report.matrix.cells) {
            for (program, cell) in report.matrix.programs.iter().zip(cells) {
                let keys = [("program", &**program), ("client", client)];
                self.count("matrix", &keys, "blocked", cell.blocked);
                self.count("matrix", &keys, "would_block", cell.would_block);
                self.count("matrix", &keys, "excepted", cell.excepted);
            }
        }
        self.count("bypass", &[], "there_are", report.bypass.there_are);
        for row in &report.bypass.rows {
            let keys = [("client", &*row.client)];
            self.share("bypass", &keys, "attempts", &row.attempts);
            self.count("bypass", &keys, "names", row.names);
            self.line("bypass", &keys, "most_asked", &row.most_asked, "");
        }
    }

    fn kinds(&mut self, report: &Report) {
        let kinds = &report.kinds;
        self.share("kinds", &[], "covered", &kinds.covered);
        self.time("kinds", &[], "first", kinds.first);
        self.time("kinds", &[], "last", kinds.last);
        for (section, of) in [("group", &kinds.groups), ("type", &kinds.types), ("transport", &kinds.transports)] {
            self.count(section, &[], "there_are", of.there_are);
            for row in &of.rows {
                let keys = [("kind", &*row.what)];
                self.share(section, &keys, "queries", &row.queries);
                self.count(section, &keys, "blocked", row.blocked);
                self.count(section, &keys, "would_block", row.would_block);
                self.count(section, &keys, "excepted", row.excepted);
                self.share(section, &keys, "hit", &row.hit);
            }
        }
    }

    fn collateral(&mut self, report: &Report) {
        for row in &report.exceptions {
            let keys = [("rule", &*row.place)];
            self.share("exception", &keys, "queries", &row.queries);
            self.time("exception", &keys, "first", row.first);
            self.time("exception", &keys, "last", row.last);
        }
        self.count("name", &[], "there_are", report.collateral.names.there_are);
        for row in &report.collateral.names.rows {
            let programs = row.programs.join(" ");
            let keys = [("program", &*programs), ("domain", &row.domain), ("name", &row.name)];
            self.count("name", &keys, "blocked", row.blocked);
            self.count("name", &keys, "would_block", row.would_block);
            self.count("name", &keys, "excepted", row.excepted);
            self.share("name", &keys, "clients", &row.clients);
            for (measure, count) in [
                ("targets", row.targets),
                ("sharing_names", row.sharing.names),
                ("sharing_queries", row.sharing.queries),
                ("sharing_clients", row.sharing.clients),
                ("own_domain_names", row.own_domain.names),
                ("own_domain_queries", row.own_domain.queries),
                ("own_domain_clients", row.own_domain.clients),
                ("retry_rows", row.retries.rows),
                ("retry_queries", row.retries.queries),
                ("retry_clients", row.retries.clients),
            ] {
                self.count("name", &keys, measure, count);
            }
            for place in &row.exceptions {
                self.line("name", &keys, "exception", place, "");
            }
            for other in &row.neighbours {
                let keys = [("name", &*row.name), ("other", &other.name), ("target", &other.target)];
                self.line("neighbour", &keys, "via", other.via, "");
                self.count("neighbour", &keys, "same_domain", other.same_domain.into());
                self.count("neighbour", &keys, "queries", other.queries);
                self.count("neighbour", &keys, "clients", other.clients);
            }
        }
    }
}

fn or_empty(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_harmless() {
        for (text, written) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("=exact.example", "'=exact.example"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@rule", "'@rule"),
            ("\tx\r\ny", "\\u{9}x\\u{d}\\u{a}y"),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
