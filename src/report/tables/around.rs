//! Tables of clients, ways round, exceptions and collateral.

use super::{Table, number, or_dash, text, time, with_percent};
use crate::report::{
    form::{MatrixCell, Report, Sharing},
    words::{count, counted, kept, queries},
};

/// By client.
pub(in crate::report) fn clients(report: &Report) -> Table {
    let rows = &report.clients.rows;
    Table {
        id: "clients",
        title: "By client",
        caption: format!(
            "Shares of queries and names are of all {} and {}; those hit are of the client's own queries. \
             Clients are kept: {}.",
            queries(report.totals.queries),
            counted(report.totals.names, "name", "names"),
            kept(&report.privacy)
        ),
        columns: vec![
            text("client"),
            number("queries"),
            number("names"),
            number("blocked"),
            number("would block"),
            number("excepted"),
            number("hit of its own"),
            number("bypass"),
            text("first"),
            text("last"),
        ],
        rows: rows
            .iter()
            .map(|row| {
                let mut cells = vec![row.client.clone(), with_percent(&row.queries), with_percent(&row.names)];
                cells.extend([row.blocked, row.would_block, row.excepted].map(count));
                cells.extend([row.hit.percent(), count(row.bypass), row.first.minute(), row.last.minute()]);
                cells
            })
            .collect(),
        there_are: report.clients.there_are,
        bars: rows.iter().map(|row| [row.blocked, row.would_block, row.excepted]).collect(),
        empty: "Nobody asked anything.".into(),
    }
}

/// Clients by programs, as rows of client, program and counts.
pub(in crate::report) fn matrix(report: &Report) -> Table {
    let matrix = &report.matrix;
    let mut rows = Vec::new();
    for (client, cells) in matrix.clients.iter().zip(&matrix.cells) {
        for (program, cell) in matrix.programs.iter().zip(cells).filter(|(_, cell)| **cell != MatrixCell::default()) {
            let counts = [cell.blocked, cell.would_block, cell.excepted].map(count);
            rows.push([vec![client.clone(), program.clone()], counts.to_vec()].concat());
        }
    }
    Table {
        id: "matrix",
        title: "Clients by programs",
        caption: format!(
            "Queries of clients that a program said something of: the first {} of {}.",
            count(matrix.clients.len() as u64),
            count(matrix.clients_there_are)
        ),
        columns: vec![text("client"), text("program"), number("blocked"), number("would block"), number("excepted")],
        there_are: rows.len() as u64,
        rows,
        bars: Vec::new(),
        empty: "No program said anything of any client's queries.".into(),
    }
}

/// Ways round, by client.
pub(in crate::report) fn bypass(report: &Report) -> Table {
    let rows = &report.bypass.rows;
    Table {
        id: "bypass",
        title: "Ways round this resolver",
        caption:
            "Queries by which a client looks for another resolver, of its own queries. Browsers and phones make some \
                  by themselves; nobody need have meant to."
                .to_owned(),
        columns: vec![text("client"), number("attempts"), number("of"), number("names"), text("asked most")],
        rows: rows
            .iter()
            .map(|row| {
                let (attempts, of) = (with_percent(&row.attempts), count(row.attempts.of));
                vec![row.client.clone(), attempts, of, count(row.names), or_dash(&row.most_asked)]
            })
            .collect(),
        there_are: report.bypass.there_are,
        bars: Vec::new(),
        empty: "No client was seen to look for a way round.".into(),
    }
}

/// The owner's exceptions.
pub(in crate::report) fn exceptions(report: &Report) -> Table {
    let rows = &report.exceptions;
    Table {
        id: "exceptions",
        title: "Your exceptions",
        caption: format!("Queries that they matched, of all {}.", queries(report.totals.queries)),
        columns: vec![text("exception"), number("queries"), text("first"), text("last")],
        rows: rows
            .iter()
            .map(|row| vec![row.place.clone(), with_percent(&row.queries), time(row.first), time(row.last)])
            .collect(),
        there_are: rows.len() as u64,
        bars: Vec::new(),
        empty: "None matched anything.".into(),
    }
}

/// What names that are hit share with others, and who asks again.
pub(in crate::report) fn collateral(report: &Report) -> Table {
    let collateral = &report.collateral;
    let names = &collateral.names;
    let sharing = |sharing: &Sharing, targets: u64| match targets {
        0 if sharing.names == 0 => "no answer seen".to_owned(),
        _ => format!("{} / {} / {}", count(sharing.names), count(sharing.queries), count(sharing.clients)),
    };
    Table {
        id: "collateral",
        title: "Collateral",
        caption: format!(
            "Names that are hit, and names never hit that share an alias target or address with them: names / \
             queries / clients. Where a name leads is known only if it was resolved. Retries are a guess at what \
             somebody misses: a client asked the same again at least {} times, each within {} seconds of the time \
             before; programs do so by themselves too. Exceptions are those that matched names of the same registrable \
             domain. Clients are of {}.",
            collateral.retries_min,
            collateral.retry_seconds,
            count(report.totals.clients)
        ),
        columns: vec![
            text("name"),
            text("program"),
            number("blocked"),
            number("would block"),
            number("excepted"),
            number("clients"),
            number("targets"),
            number("shares with others"),
            number("with its own domain"),
            number("retries"),
            number("by clients"),
            text("exceptions"),
        ],
        rows: names
            .rows
            .iter()
            .map(|row| {
                let mut cells = vec![row.name.clone(), row.programs.join(", ")];
                cells.extend([row.blocked, row.would_block, row.excepted].map(count));
                cells.extend([with_percent(&row.clients), count(row.targets)]);
                cells.extend([sharing(&row.sharing, row.targets), sharing(&row.own_domain, row.targets)]);
                cells.extend([row.retries.rows, row.retries.clients].map(count));
                cells.push(or_dash(&row.exceptions.join(", ")));
                cells
            })
            .collect(),
        there_are: names.there_are,
        bars: names.rows.iter().map(|row| [row.blocked, row.would_block, row.excepted]).collect(),
        empty: "Nothing was blocked or would have been.".into(),
    }
}

/// The neighbours by name.
pub(in crate::report) fn neighbours(report: &Report) -> Table {
    let mut rows = Vec::new();
    for row in &report.collateral.names.rows {
        for neighbour in &row.neighbours {
            rows.push(vec![
                row.name.clone(),
                neighbour.name.clone(),
                if neighbour.same_domain { "yes" } else { "no" }.to_owned(),
                format!("{} {}", neighbour.via, neighbour.target),
                count(neighbour.queries),
                count(neighbour.clients),
            ]);
        }
    }
    Table {
        id: "neighbours",
        title: "Neighbours",
        caption:
            "Names never hit that share a target with one that is: the most asked of each. Counts are of all queries \
                  for the neighbour."
                .to_owned(),
        columns: vec![
            text("name hit"),
            text("neighbour"),
            text("same domain"),
            text("shared"),
            number("queries"),
            number("clients"),
        ],
        there_are: rows.len() as u64,
        rows,
        bars: Vec::new(),
        empty: "No name was seen to share anything with a name that is hit.".into(),
    }
}
