//! The report as one page that needs nothing else: no script, no file beside it. To read, and to print on A4.
//!
//! Names and rules come from strangers. Everything that isn't written here goes through [`escape`], and the page
//! forbids itself to load anything.

use super::{
    form::{Matrix, ProgramRow, Report},
    plot, summary,
    tables::{self, Column, Table},
    words::{Moment, Share, count, counted, kept, queries, visible},
};
use std::fmt::{Error, Write as _};

/// Rows of a table on the page; the JSON and CSV forms have more.
const ROWS_MAX: usize = 40;
/// How strong the strongest colour of the matrix is: numbers stay legible on it.
const HEAT_MAX: f64 = 0.45;
const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// What the words mean, and what the numbers can't say.
const NOTES: [&str; 5] = [
    "Blocked: a program that is enforced blocked the query. Would be blocked: a program or list in shadow would have. \
     Hit: one or the other. Excepted: an exception let it pass. Passed: nobody said anything. Refused: \
     it got an error, and no answer was looked for.",
    "A query that several programs hit is in the numbers of each, and once in the sums.",
    "A question that is blocked isn't resolved. So what rules on its answer would have said isn't known, and what it \
     shares with other names only from times when it was resolved, as in shadow.",
    "To share an alias target or address says that two names stand on the same infrastructure, no more: large networks \
     put thousands of strangers on one address.",
    "Devices keep answers for a while, so queries are not visits, and a client is an address, not a person.",
];

/// Writes the report as an HTML page.
pub fn html(report: &Report) -> String {
    let mut page = String::with_capacity(1 << 16);
    write_page(&mut page, report).expect("writing to a string doesn't fail");
    page
}

/// A foreign text as it may stand in HTML, between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in visible(text).chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(sign),
        }
    }
    safe
}

fn write_page(page: &mut String, report: &Report) -> Result<(), Error> {
    let instance = escape(&report.instance);
    writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>cleandns report: {instance}, {} to {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        report.from.day(),
        report.to.day()
    )?;
    header(page, report, &instance)?;
    page.push_str("<main>\n");
    overview(page, report)?;
    programs(page, report)?;
    let [groups, types, transports] = tables::kinds(report);
    for table in [tables::services(report), tables::domains(report), groups, tables::clients(report)] {
        section(page, report, &table)?;
    }
    matrix(page, &report.matrix)?;
    for table in [
        tables::bypass(report),
        tables::collateral(report),
        tables::neighbours(report),
        tables::lists(report),
        tables::lists_never_hit(report),
        tables::rules(report),
        tables::rules_never_hit(report),
        types,
        transports,
        tables::exceptions(report),
    ] {
        section(page, report, &table)?;
    }
    page.push_str("</main>\n");
    footer(page, report)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

fn header(page: &mut String, report: &Report, instance: &str) -> Result<(), Error> {
    writeln!(
        page,
        "<header>\n<h1>What {instance} blocked, and would have</h1>\n\
         <p class=\"soft\">{} to {} UTC. Made {} UTC from {}. Clients are kept: {}.</p>",
        report.from.minute(),
        report.to.minute(),
        report.made_at.minute(),
        escape(&report.source),
        escape(&kept(&report.privacy))
    )?;
    page.push_str("<div class=\"summary\">\n");
    summary::headline(report).iter().try_for_each(|line| writeln!(page, "<p>{}</p>", escape(line)))?;
    page.push_str("</div>\n<nav aria-label=\"Sections\"><ul>\n");
    for (id, title) in [
        ("time", "Time line"),
        ("programs", "Programs"),
        ("services", "Services"),
        ("domains", "Domains"),
        ("clients", "Clients"),
        ("matrix", "Clients by programs"),
        ("bypass", "Ways round"),
        ("collateral", "Collateral"),
        ("lists", "Lists"),
        ("rules", "Rules"),
        ("exceptions", "Exceptions"),
        ("method", "How to read this"),
    ] {
        writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>")?;
    }
    page.push_str("</ul></nav>\n</header>\n");
    Ok(())
}

/// The sums and the time line.
fn overview(page: &mut String, report: &Report) -> Result<(), Error> {
    let totals = &report.totals;
    page.push_str("<section aria-label=\"Sums\">\n<dl class=\"tiles\">\n");
    for (class, title, share) in [
        ("b", "blocked", &totals.blocked),
        ("w", "would be blocked", &totals.would_block),
        ("e", "let pass by exceptions", &totals.excepted),
        ("p", "passed", &totals.passed),
    ] {
        tile(page, class, title, share, &queries(share.of))?;
    }
    tile(page, "p", "names hit", &totals.names_hit, &counted(totals.names, "name", "names"))?;
    tile(page, "p", "clients hit", &totals.clients_hit, &counted(totals.clients, "client", "clients"))?;
    page.push_str("</dl>\n</section>\n<section id=\"time\">\n<h2>Time line</h2>\n<figure>\n");
    writeln!(
        page,
        "<figcaption>Each step {}; times are UTC. {}</figcaption>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Time line\">\n{}</div>\n</figure>",
        super::words::span(report.time_line.bucket_seconds as i64 * 1_000_000),
        legend(),
        plot::time_line(&report.time_line)
    )?;
    page.push_str("<details><summary>The time line as numbers</summary>\n");
    write_table(page, report, &tables::time_line(report, ROWS_MAX))?;
    page.push_str("</details>\n<details><summary>All sums</summary>\n");
    write_table(page, report, &tables::totals(report))?;
    page.push_str("</details>\n</section>\n");
    Ok(())
}

/// What the colours mean.
fn legend() -> String {
    let key = |(class, text): (&str, &str)| {
        let square = format!("<rect class=\"{class}\" width=\"1\" height=\"1\"/>");
        format!("<span class=\"key\"><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\">{square}</svg>{text}</span>")
    };
    [("b", "blocked"), ("w", "would be blocked"), ("e", "excepted")].map(key).concat()
}

fn tile(page: &mut String, class: &str, title: &str, share: &Share, of: &str) -> Result<(), Error> {
    writeln!(
        page,
        "<div class=\"{class}\"><dt>{title}</dt><dd>{}</dd><dd class=\"soft\">{} of {of}</dd></div>",
        count(share.part),
        share.percent()
    )
}

/// What an owner decides by, program by program.
fn programs(page: &mut String, report: &Report) -> Result<(), Error> {
    page.push_str("<section id=\"programs\">\n<h2>Programs: what to decide by</h2>\n<div class=\"programs\">\n");
    report.programs.iter().try_for_each(|row| program(page, report, row))?;
    page.push_str("</div>\n");
    write_table(page, report, &tables::programs(report))?;
    page.push_str("</section>\n");
    Ok(())
}

fn program(page: &mut String, report: &Report, row: &ProgramRow) -> Result<(), Error> {
    let mode = if row.modes.is_empty() { "no lists".to_owned() } else { row.modes.join(", ") };
    writeln!(page, "<article>\n<h3>{} <span class=\"mode\">{}</span></h3>", escape(&row.program), escape(&mode))?;
    summary::decision(report, row).iter().try_for_each(|line| writeln!(page, "<p>{}</p>", escape(line)))?;
    page.push_str("</article>\n");
    Ok(())
}

/// A table under a heading of its own.
fn section(page: &mut String, report: &Report, table: &Table) -> Result<(), Error> {
    writeln!(page, "<section id=\"{}\">\n<h2>{}</h2>", table.id, table.title)?;
    write_table(page, report, table)?;
    page.push_str("</section>\n");
    Ok(())
}

fn write_table(page: &mut String, report: &Report, table: &Table) -> Result<(), Error> {
    if table.rows.is_empty() {
        return writeln!(page, "<p>{}</p>", escape(&table.empty));
    }
    let most = table.bars.iter().map(|parts| parts.iter().sum::<u64>()).max().unwrap_or(0);
    let shown = table.rows.len().min(ROWS_MAX);
    let year = one_year(report);
    let year = year.as_deref();
    writeln!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n\
         <table>\n<caption><span>{}{}</span></caption>\n<thead><tr>",
        table.title,
        escape(&table.caption),
        if table.there_are > shown as u64 {
            format!(" These are the first {} of {}.", count(shown as u64), count(table.there_are))
        } else {
            String::new()
        }
    )?;
    for (at, column) in table.columns.iter().enumerate() {
        let class = if column.is_number { " class=\"number\"" } else { "" };
        writeln!(page, "<th scope=\"col\"{class}>{}</th>", column.head)?;
        if at == 0 && !table.bars.is_empty() {
            page.push_str("<td class=\"bars\"></td>\n");
        }
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (index, row) in table.rows.iter().take(shown).enumerate() {
        page.push_str("<tr>");
        for (at, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
            let class = class(column, cell);
            // The heading says which year it is, where it is one.
            let text = year.filter(|_| class == "time").and_then(|year| cell.strip_prefix(year)).unwrap_or(cell);
            let tag = if at == 0 { "th scope=\"row\"" } else { "td" };
            write!(page, "<{tag} class=\"{class}\">{}</{}>", escape(text), &tag[..2])?;
            if let (0, Some(parts)) = (at, table.bars.get(index)) {
                write!(page, "<td class=\"bars\">{}</td>", plot::row_bar(*parts, most))?;
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

/// The year of all times, and what parts it from the month, if it is one.
fn one_year(report: &Report) -> Option<String> {
    let year = |time: Moment| time.shown("%Y-");
    let last = Moment(report.to.0.saturating_sub(1));
    (year(report.from) == year(last)).then(|| year(report.from))
}

/// How a cell may be broken.
fn class(column: &Column, cell: &str) -> &'static str {
    /// Characters of what may stand on one line.
    const SHORT: usize = 24;
    match column.head {
        _ if column.is_number => "number",
        "first" | "last" | "from" => "time",
        "matched" => "words",
        "program" | "service" | "mode" | "client" if cell.len() <= SHORT => "short",
        _ => "text",
    }
}

/// Clients by programs, the more the darker.
fn matrix(page: &mut String, matrix: &Matrix) -> Result<(), Error> {
    page.push_str("<section id=\"matrix\">\n<h2>Clients by programs</h2>\n");
    if matrix.clients.is_empty() {
        page.push_str("<p>No program said anything of any client's queries.</p>\n</section>\n");
        return Ok(());
    }
    let shown = matrix.clients.len().min(ROWS_MAX);
    writeln!(
        page,
        "<div class=\"scroll heat\" tabindex=\"0\" role=\"region\" aria-label=\"Clients by programs\">\n<table>\n\
         <caption><span>Queries hit, of clients that a program said something of: the first {} of {}.</span>\
         </caption>\n\
         <thead><tr><th scope=\"col\">client</th>",
        count(shown as u64),
        count(matrix.clients_there_are)
    )?;
    matrix.programs.iter().try_for_each(|program| write!(page, "<th scope=\"col\">{}</th>", escape(program)))?;
    page.push_str("</tr></thead>\n<tbody>\n");
    let most = matrix.cells.iter().flatten().map(|cell| cell.blocked + cell.would_block).max().unwrap_or(0);
    for (client, cells) in matrix.clients.iter().zip(&matrix.cells).take(shown) {
        write!(page, "<tr><th scope=\"row\">{}</th>", escape(client))?;
        for cell in cells {
            let hits = cell.blocked + cell.would_block;
            // By the logarithm: one client with a thousand would leave all others white.
            let heat = HEAT_MAX * (hits as f64).ln_1p() / (most.max(1) as f64).ln_1p();
            write!(page, "<td style=\"--i:{heat:.2}\">{}</td>", count(hits))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    Ok(())
}

/// [`NOTES`].
fn footer(page: &mut String, report: &Report) -> Result<(), Error> {
    page.push_str("<footer id=\"method\">\n<h2>How to read this</h2>\n<ul>\n");
    let collateral = &report.collateral;
    let retries = format!(
        "A retry is a guess: the same client asked for the same blocked name and type at least {} times again, each \
         within {} seconds of the time before. Programs retry by themselves.",
        collateral.retries_min, collateral.retry_seconds
    );
    for line in NOTES.into_iter().chain([retries.as_str()]) {
        writeln!(page, "<li>{line}</li>")?;
    }
    page.push_str("</ul>\n</footer>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        for (text, safe) in [
            ("plain.example", "plain.example"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload='x'", "&quot; onload=&#39;x&#39;"),
            ("a&lt;b", "a&amp;lt;b"),
            ("\u{202e}txt\0", "\\u{202e}txt\\u{0}"),
        ] {
            assert_eq!(escape(text), safe);
        }
    }
}
