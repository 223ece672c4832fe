//! The report for a terminal: aligned columns that stay where they are.

use super::{
    form::Report,
    summary,
    tables::{self, Table},
    words::{count, kept, visible},
};
use std::fmt::{Error, Write as _};

/// Rows of each table: a screen.
const ROWS_MAX: usize = 24;
/// Columns that sentences are broken at.
const WIDTH: usize = 110;

/// Writes the report as text, in UTF-8, without control characters but newlines.
pub fn text(report: &Report) -> String {
    let mut page = String::new();
    write_all(&mut page, report).expect("writing to a string doesn't fail");
    page
}

fn write_all(page: &mut String, report: &Report) -> Result<(), Error> {
    writeln!(page, "cleandns report of {}, made {} UTC", visible(&report.instance), report.made_at)?;
    writeln!(page, "from {}; clients are kept: {}\n", visible(&report.source), kept(&report.privacy))?;
    summary::headline(report).iter().try_for_each(|line| paragraph(page, line, ""))?;
    for row in &report.programs {
        writeln!(page, "\n{}", visible(&row.program))?;
        summary::decision(report, row).iter().try_for_each(|line| paragraph(page, line, "  "))?;
    }
    let [groups, types, transports] = tables::kinds(report);
    let tables = [
        tables::totals(report),
        tables::time_line(report, ROWS_MAX),
        tables::programs(report),
        tables::services(report),
        tables::lists(report),
        tables::lists_never_hit(report),
        tables::rules(report),
        tables::rules_never_hit(report),
        tables::domains(report),
        groups,
        tables::clients(report),
        tables::matrix(report),
        tables::bypass(report),
        types,
        transports,
        tables::exceptions(report),
        tables::collateral(report),
        tables::neighbours(report),
    ];
    tables.iter().try_for_each(|table| write_table(page, table))
}

/// A sentence, broken between words.
fn paragraph(page: &mut String, text: &str, indent: &str) -> Result<(), Error> {
    let text = visible(text);
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column == 0 {
            write!(page, "{indent}{word}")?;
            column = indent.len() + length;
        } else if column + 1 + length > WIDTH {
            write!(page, "\n{indent}  {word}")?;
            column = indent.len() + 2 + length;
        } else {
            write!(page, " {word}")?;
            column += 1 + length;
        }
    }
    writeln!(page)
}

fn write_table(page: &mut String, table: &Table) -> Result<(), Error> {
    writeln!(page, "\n{}", table.title.to_uppercase())?;
    if table.rows.is_empty() {
        return paragraph(page, &table.empty, "");
    }
    paragraph(page, &table.caption, "")?;
    let rows: Vec<Vec<String>> = table.rows.iter().take(ROWS_MAX).map(|row| shown(row)).collect();
    let widths: Vec<usize> = (table.columns.iter().enumerate())
        .map(|(at, column)| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([column.head.len()]).max().unwrap_or(0)
        })
        .collect();
    let heads: Vec<String> = table.columns.iter().map(|column| column.head.to_owned()).collect();
    for row in [&heads].into_iter().chain(&rows) {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(&table.columns).zip(&widths) {
            let pad = " ".repeat(width - cell.chars().count());
            let (before, after) = if column.is_number { (pad, String::new()) } else { (String::new(), pad) };
            write!(line, "{before}{cell}{after}  ")?;
        }
        writeln!(page, "{}", line.trim_end())?;
    }
    if table.there_are > rows.len() as u64 {
        writeln!(page, "… the first {} of {} rows", count(rows.len() as u64), count(table.there_are))?;
    }
    Ok(())
}

fn shown(row: &[String]) -> Vec<String> {
    row.iter().map(|cell| visible(cell).into_owned()).collect()
}
