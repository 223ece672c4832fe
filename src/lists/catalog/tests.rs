use super::*;
use crate::lists::read::version_of;
use std::fs;

/// A catalog of one list at `path`.
fn catalog(path: &Path, gate: Option<config::Gate>) -> Catalog {
    let world = config::World {
        current_folder: "/".into(),
        ..config::World::of_process(config::Embedded { read: &|_| None, paths: &Vec::new }).unwrap()
    };
    let list = ListSource { gate, ..ListSource::plain(Location::File(path.to_owned())) };
    let mut config = config::Config::default_for(&world);
    config.programs.truncate(1);
    config.programs[0].lists = vec![list];
    let embedded = Embedded { read: |_| None, paths: Vec::new };
    Catalog::new(&config, None, embedded, Downloading::No { copies: None })
}

/// Writes a list of so many rules, and has it read.
fn look(catalog: &mut Catalog, path: &Path, rules: usize) -> Findings {
    let text: String = (0..rules).map(|index| format!("n{index}.example\n")).collect();
    fs::write(path, text).unwrap();
    catalog.refresh(&Occasion { all: true, ..Occasion::default() }, Instant::now())
}

#[test]
fn an_owners_file_is_obeyed_however_much_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    for (gate, warnings) in
        [(None, 1), (Some(config::Gate::Hold), 1), (Some(config::Gate::Warn), 1), (Some(config::Gate::Off), 0)]
    {
        let mut catalog = catalog(&path, gate);
        for (rules, warnings) in [(100, 0), (10, warnings), (12, 0), (1200, warnings), (1200, 0)] {
            let before = catalog.entries.first().and_then(|entry| Some(entry.loaded.as_ref()?.rules.len()));
            let findings = look(&mut catalog, &path, rules);
            assert_eq!(findings.warnings.len(), warnings, "{gate:?} {rules}: {:?}", findings.warnings);
            assert_eq!(catalog.entries[0].loaded.as_ref().unwrap().rules.len(), rules);
            let is_new = before != Some(rules);
            assert_eq!((findings.changed.len(), findings.to_store.len()), (is_new.into(), is_new.into()));
        }
    }
}

#[test]
fn what_is_as_long_as_before_may_be_another_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let mut catalog = catalog(&path, None);
    let mut versions = HashSet::new();
    for (text, is_new) in [("one.example\n", true), ("two.example\n", true), ("two.example\n", false)] {
        fs::write(&path, text).unwrap();
        let findings = catalog.refresh(&Occasion { all: true, ..Occasion::default() }, Instant::now());
        assert_eq!(findings.changed.len(), usize::from(is_new), "{text}");
        let version = catalog.entries[0].loaded.as_ref().unwrap().version;
        assert_eq!(version, version_of(text.as_bytes()));
        assert_eq!(versions.insert(version), is_new);
    }
}

#[test]
fn which_files_of_a_folder_are_lists() {
    for (name, expected) in [
        ("tiktok.list", true),
        ("a.txt", true),
        ("a.hosts", true),
        ("a.rpz", true),
        ("a.zone", true),
        ("a.list~", false),
        ("a.list.swp", false),
        (".a.list", false),
        (".a.list.swp", false),
        ("#a.list#", false),
        (".#a.list", false),
        ("~a.txt", false),
        ("README.txt", false),
        ("readme.list", false),
        ("4913", false),
        ("a.list.bak", false),
        ("a.conf", false),
        ("..data", false),
    ] {
        assert_eq!(is_list_name(name), expected, "{name}");
    }
}
