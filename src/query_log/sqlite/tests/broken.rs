//! Files that can't be used, that go, and places where nothing can be written.

use super::*;

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let (_folder, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "not a database, but a letter to a friend, and long enough to be taken for one".repeat(20))
        .unwrap();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = traffic(10, 1);
    assert_eq!(write(&mut writer, &rows), 0);
    assert_eq!(read(&path, 0, i64::MAX), rows);
    let aside = path.with_file_name("queries.db.unusable-1");
    assert!(fs::read_to_string(aside).unwrap().starts_with("not a database"));
}

#[test]
fn a_database_of_another_version_is_put_aside_whole_while_somebody_writes_to_it() {
    let (_folder, path) = place();
    let mut old = Writer::new(&path, LIMITS, origin());
    let rows = traffic(30, 1);
    assert_eq!(write(&mut old, &rows[..10]), 0);
    open(&path).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let mut new = Writer::new(&path, LIMITS, origin());
    assert_eq!(write(&mut new, &rows[20..]), 0);
    assert_eq!(write(&mut old, &rows[10..20]), 0, "who had it open goes on");
    drop(old);
    assert_eq!(read(&path, 0, i64::MAX), rows[20..]);
    let aside = path.with_file_name("queries.db.unusable-1");
    let there: i64 = rusqlite::Connection::open(aside)
        .unwrap()
        .query_row("SELECT count(*) FROM queries", [], |row| row.get(0))
        .unwrap();
    assert_eq!(there, 20);
}

#[test]
fn of_files_that_are_put_aside_so_many_are_kept() {
    let (_folder, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for time in 0..super::super::ASIDE_MAX + 3 {
        fs::write(&path, format!("no database {time}").repeat(100)).unwrap();
        assert_eq!(write(&mut Writer::new(&path, LIMITS, origin()), &traffic(1, 1)), 0, "{time}");
    }
    let aside = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = aside.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("unusable")).count(), super::super::ASIDE_MAX as usize);
}

#[test]
fn where_nothing_can_be_written_rows_are_dropped_and_later_ones_are_not() {
    let (folder, path) = place();
    // A file where the folder should be.
    fs::write(folder.path().join("state"), "").unwrap();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = traffic(10, 1);
    assert_eq!(write(&mut writer, &rows), 10);
    fs::remove_file(folder.path().join("state")).unwrap();
    assert_eq!(write(&mut writer, &rows), 0);
    assert_eq!(read(&path, 0, i64::MAX), rows);
    assert!(matches!(Reader::open(&path.with_file_name("other.db")), Err(super::super::ReadError::None(_))));
}

#[test]
fn a_database_that_is_removed_or_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.db");
    let mut writer = Writer::new(&path, LIMITS, origin());
    let passed = Arc::default();
    let look = |writer: &mut Writer| {
        writer.tick();
        writer.has_lost_file()
    };
    let names = |path: &Path| read(path, 0, i64::MAX).into_iter().map(|row| row.name).collect::<Vec<_>>();
    let put = |writer: &mut Writer, name: &str| assert_eq!(write(writer, &[row(now(), "c", name, &passed)]), 0);
    put(&mut writer, "a.example");
    assert!(!look(&mut writer));
    // Removed, its journal left where it is.
    fs::remove_file(&path).unwrap();
    assert!(look(&mut writer));
    assert!(!bounds::journal(&path).exists(), "another would take it for its own");
    put(&mut writer, "b.example");
    assert!(!look(&mut writer));
    assert_eq!(names(&path), ["b.example"]);
    // Moved away with all that belongs to it.
    for ending in ["", "-wal", "-shm"] {
        let moved = |name: &str| folder.path().join(format!("{name}{ending}"));
        fs::rename(moved("queries.db"), moved("moved.db")).unwrap();
    }
    assert!(look(&mut writer));
    put(&mut writer, "c.example");
    assert_eq!(names(&path), ["c.example"]);
    assert_eq!(names(&folder.path().join("moved.db")), ["b.example"]);
    // Only its journal is gone, in which the last rows are.
    put(&mut writer, "d.example");
    fs::remove_file(bounds::journal(&path)).unwrap();
    assert!(look(&mut writer), "without its journal nothing would be found");
    put(&mut writer, "e.example");
    assert_eq!(names(&path), ["c.example", "d.example", "e.example"]);
}
