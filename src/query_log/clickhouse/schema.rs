//! The tables, and what was done to them so far.

use super::server::{Failure, Server};
use std::time::Instant;

/// The table that rows go to.
pub(super) const QUERIES: &str = "queries";
/// Number and text of what is done to an empty database, in order. Each notes itself in the table `migrations`.
pub(super) const MIGRATIONS: [(u32, &str); 2] = [
    (1, include_str!("../../../config/clickhouse/001-queries.sql")),
    (2, include_str!("../../../config/clickhouse/002-overruled.sql")),
];

/// Whether what `queries` holds lies in other tables, which a migration of it would leave as they are.
const IS_DISTRIBUTED: &str = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'queries' \
                              AND engine = 'Distributed' FORMAT TabSeparated";

/// What the server says of a column that is there, which is no error in words that old servers don't know (`IF NOT EXISTS`).
const ALREADY: &str = "already exists";

/// Does what has not been done yet. Where all has been, nothing but reading `migrations` is asked of the server, so
/// that a user without the right to make tables will do. Several servers may do it at once: statements may be repeated.
pub(super) fn apply(server: &Server, until: Instant) -> Result<(), Failure> {
    let known = match server.numbers("SELECT DISTINCT number FROM migrations FORMAT TabSeparated", until) {
        Ok(known) => known,
        Err(Failure::Absent(_)) => {
            server.run(&format!("CREATE DATABASE IF NOT EXISTS `{}`", server.database()), false, until)?;
            Vec::new()
        }
        Err(other) => return Err(other),
    };
    for (number, text) in MIGRATIONS.iter().filter(|(number, _)| !known.contains(number)) {
        if *number > 1 && server.numbers(IS_DISTRIBUTED, until)?.iter().any(|tables| *tables > 0) {
            return Err(Failure::Distributed(*number));
        }
        for statement in statements(text) {
            match server.run(statement, true, until) {
                // Another server was quicker, or this one before it could note it: all columns come at once.
                Err(Failure::Refused(why)) if statement.contains("ADD COLUMN") && why.contains(ALREADY) => {}
                // Not the data that waits is at fault, whatever the server says.
                Err(Failure::Rejected(why)) => return Err(Failure::Refused(format!("migration {number}: {why}"))),
                done => done?,
            }
        }
        tracing::info!(
            url = server.url(),
            database = server.database(),
            number,
            "query_log.clickhouse: tables are made"
        );
    }
    Ok(())
}

/// The statements of a file: each ends with a semicolon at the end of a line.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_whole_and_note_themselves() {
        for (index, (number, text)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(*number as usize, index + 1);
            let last = statements(text).last().unwrap();
            assert!(
                last.starts_with("INSERT INTO migrations") && last.contains(&format!("VALUES ({number}, ")),
                "{last}"
            );
            for line in text.lines().filter(|line| line.trim_start().starts_with("--")) {
                assert!(!line.ends_with(';'), "{line}");
            }
        }
        let starts: Vec<&str> = statements(MIGRATIONS[0].1).filter_map(|text| text.lines().last()).collect();
        assert_eq!(starts.len(), 3, "{starts:?}");
    }

    /// Whoever alters a table below a distributed one by the document has the columns of the file.
    #[test]
    fn the_document_has_the_columns_of_the_file_for_distributed_tables() {
        let columns = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.trim().trim_end_matches([',', ';']).to_owned());
            lines.filter(|line| line.starts_with("ADD COLUMN")).collect()
        };
        let document = include_str!("../../../config/clickhouse/README.md");
        assert_eq!(columns(document), columns(MIGRATIONS[1].1));
        assert_eq!(columns(document).len(), 11);
    }
}
