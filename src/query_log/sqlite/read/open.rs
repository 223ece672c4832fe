//! Opens a database for reading, also where nothing can be written beside it.

use super::super::{bounds::journal, index};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};

/// How long one waits for another that writes.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// Opens a database for reading, ours or another program's. Where SQLite can't make the files beside it that it wants, because
/// the disk is full or nobody may write there, and there is no journal, it is read as a file that nobody changes.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Whoever reads makes an index of the journal, if nobody else has.
    let error = match index::has_room(path).and_then(|()| looked_at(Connection::open_with_flags(path, flags)?)) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    // With a journal it isn't whole without it.
    if !is_for_want_of_files(&error) || has_journal(path) { Err(error) } else { unchanging(path, flags) }
}

/// True if a database has a journal that must be read with it, and can't be.
pub(super) fn wants_its_journal(path: &Path, error: &rusqlite::Error) -> bool {
    is_for_want_of_files(error) && has_journal(path)
}

fn has_journal(path: &Path) -> bool {
    fs::metadata(journal(path)).is_ok_and(|journal| journal.len() > 0)
}

/// Opens a database as a file that nobody changes: nothing is made beside it.
fn unchanging(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = percent_encode(path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    looked_at(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)?)
}

/// True if a database can't be read because of the files beside it: there is no room for them, or no right to make them.
fn is_for_want_of_files(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(CannotOpen | DiskFull | PermissionDenied | ReadOnly | SystemIoFailure))
}

/// What can't be opened shows when something is read.
fn looked_at(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.query_row("PRAGMA user_version", [], |_| Ok(()))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nobody_changes_is_read_with_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a copy?50%#1.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t AS SELECT 7 x")
            .unwrap();
        let connection = unchanging(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let read: i64 = connection.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(read, 7);
        let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(beside, ["a copy?50%#1.db"]);
    }
}
