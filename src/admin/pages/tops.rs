//! What is blocked most, as tables whose rows lead into the log.

use super::{
    super::{
        AdminState,
        view::{called::called, tops::Counts},
    },
    words::{ago, count, encoded},
};
use crate::report::{Moment, TopRow, Tops};
use std::fmt::Write as _;

/// Rows of a table.
const ROWS: usize = 8;
/// Rows that are counted; there may be more.
const TOLD_MAX: u64 = 100;

/// One table.
pub struct Table {
    pub title: &'static str,
    /// What stands above the names.
    pub of: &'static str,
    /// What is counted, and when it was.
    pub told: String,
    pub rows: Vec<TableRow>,
    /// How many of all there are these are, if there are more.
    pub more: Option<String>,
}

pub struct TableRow {
    pub text: String,
    /// What a client is called.
    pub small: Option<String>,
    /// The log of it.
    pub address: String,
    /// Blocked, and would be.
    pub counts: [String; 2],
    /// As a drawing.
    pub bar: String,
}

/// The tables of a page, or why there are none.
pub enum Tables {
    Known(Vec<Table>),
    None(String),
}

impl Tables {
    pub fn of(state: &AdminState, counts: Counts) -> Self {
        match counts.known() {
            Some(tops) => Self::Known(tables(state, tops)),
            None => Self::None(counts.why_not().unwrap_or_default()),
        }
    }
}

fn tables(state: &AdminState, tops: &Tops) -> Vec<Table> {
    let search = |word: &'static str, sign: &'static str| {
        move |row: &TopRow| {
            format!("/log?{word}={}&verdict=blocked%2Cwould-block&from=24h", encoded(&format!("{sign}{}", row.key)))
        }
    };
    let now = Moment(state.pipeline.now().saturating_mul(1_000_000));
    let told = format!("blocked most, or would be; counted {}", ago(tops.made_at, now));
    let table = |title, of, rows: &[TopRow], word, sign| Table {
        told: told.clone(),
        ..table(title, of, rows, search(word, sign))
    };
    let mut clients = table("Clients", "client", &tops.clients.rows, "client", "");
    clients.rows.iter_mut().for_each(|row| row.small = called(state, &row.text).name_told());
    vec![
        table("Services", "program/service", &tops.services.rows, "service", ""),
        table("Names", "name", &tops.names.rows, "name", "="),
        clients,
    ]
}

fn table(title: &'static str, of: &'static str, rows: &[TopRow], address: impl Fn(&TopRow) -> String) -> Table {
    let hit = || rows.iter().filter(|row| row.hits() > 0);
    let most = hit().map(TopRow::hits).max().unwrap_or(0);
    let row = |row: &TopRow| TableRow {
        text: row.key.clone(),
        small: None,
        address: address(row),
        counts: [row.blocked, row.would_block].map(count),
        bar: bar(row, most),
    };
    let rows: Vec<TableRow> = hit().take(ROWS).map(row).collect();
    let (shown, there_are) = (rows.len() as u64, hit().count() as u64);
    // More aren't told apart.
    let or_more = if there_are == TOLD_MAX { " or more" } else { "" };
    let more = (there_are > shown).then(|| format!("{} of {}{or_more}", count(shown), count(there_are)));
    Table { title, of, told: String::new(), rows, more }
}

/// What goes into an `svg` of 100 by 4: blocked, then would be.
fn bar(row: &TopRow, most: u64) -> String {
    let width = |number: u64| (1000.0 * number as f64 / most.max(1) as f64).round() / 10.0;
    let (blocked, would) = (width(row.blocked), width(row.would_block));
    let mut svg = String::new();
    for (class, x, width) in [("b", 0.0, blocked), ("w", blocked, would)] {
        if width > 0.0 {
            let _ = write!(svg, "<rect class=\"{class}\" x=\"{x}\" width=\"{width}\" height=\"4\"/>");
        }
    }
    svg
}
