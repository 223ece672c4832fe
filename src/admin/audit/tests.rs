//! The audit log's file: its lines, its numbers, its bounds.

use super::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

const NOW: i64 = 1_795_900_855;

fn who(name: &str) -> Who {
    Who { name: name.to_owned(), role: Role::Operator, by: By::Page, from: Some("192.168.1.23".parse().unwrap()) }
}

fn entry(key: &str) -> Entry {
    Entry { after: Some(json!({ "seconds": 300 })), policy: 40, ..Entry::new(&who("anna"), "pause", key) }
}

fn changes(lines: &[Line]) -> Vec<u64> {
    lines.iter().map(|line| line.change).collect()
}

#[test]
fn lines_have_their_shape_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/audit.jsonl");
    let audit = Audit::start(Some(path.clone()));
    assert_eq!(audit.write(entry("pause/everybody"), NOW).unwrap(), 1);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        concat!(
            r#"{"change":1,"time":"2026-11-28T21:20:55Z","who":"anna","role":"operator","by":"page","from":"192.168.1.23","#,
            r#""what":"pause","key":"pause/everybody","before":null,"after":{"seconds":300},"undoes":null,"policy":40,"#,
            "\"outcome\":\"done\"}\n"
        )
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let failed = Entry { is_known: false, outcome: Outcome::Refused, ..entry("user/x") };
    assert_eq!(audit.write(failed, NOW).unwrap(), 2);
    assert_eq!(audit.find(2).unwrap().role, None);
    // Half a line is left by itself.
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"change\":9").unwrap();
    let audit = Audit::start(Some(path.clone()));
    assert_eq!(audit.write(entry("pause/kids"), NOW).unwrap(), 3);
    let (lines, is_more) = audit.before(None, 10);
    assert_eq!((changes(&lines), is_more), (vec![3, 2, 1], false));
    let (lines, is_more) = audit.before(Some(3), 1);
    assert_eq!((changes(&lines), is_more), (vec![2], true));
}

#[test]
fn a_full_file_is_put_aside_and_five_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::bounded(Some(path.clone()), 1);
    for change in 1..=8 {
        assert_eq!(audit.write(entry("k"), NOW).unwrap(), change);
    }
    let count = |number| fs::read_to_string(aside(&path, number)).map(|text| text.lines().count()).ok();
    assert_eq!((0..=6).map(count).collect::<Vec<_>>(), [vec![Some(1); 6], vec![None]].concat());
    // Even what is no longer at hand is found.
    let (lines, is_more) = Audit::start(Some(path.clone())).before(None, 100);
    assert_eq!((changes(&lines), is_more), (vec![8, 7, 6, 5, 4, 3], false));
    // Right after one was put aside the numbers go on too.
    fs::rename(&path, aside(&path, 1)).unwrap();
    assert_eq!(Audit::start(Some(path)).write(entry("k"), NOW).unwrap(), 9);
}

#[test]
fn who_puts_it_aside_or_writes_to_it_too_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (audit, other) = (Audit::start(Some(path.clone())), Audit::start(Some(path.clone())));
    assert_eq!(audit.write(entry("a"), NOW).unwrap(), 1);
    assert_eq!(other.write(entry("b"), NOW).unwrap(), 2);
    assert_eq!(audit.write(entry("c"), NOW).unwrap(), 3);
    assert_eq!(changes(&audit.before(None, 10).0), [3, 2, 1]);
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    assert_eq!(audit.write(entry("d"), NOW).unwrap(), 4);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    fs::create_dir(&path).unwrap();
    let audit = Audit::start(Some(path.clone()));
    let error = audit.write(entry("a"), NOW).unwrap_err().to_string();
    assert!(error.contains("audit.jsonl can't be written") && error.contains("nothing is changed"), "{error}");
    fs::remove_dir(&path).unwrap();
    assert_eq!(audit.write(entry("a"), NOW).unwrap(), 1, "and it is tried again");
}

#[test]
fn without_a_file_the_last_are_in_memory() {
    let audit = Audit::start(None);
    for change in 1..=300 {
        assert_eq!(audit.write(entry("a"), NOW).unwrap(), change);
    }
    let (lines, is_more) = audit.before(None, 1000);
    assert_eq!((lines.len(), lines[0].change, is_more), (AT_HAND, 300, false));
    assert!(audit.find(1).is_none() && audit.find(300).is_some());
}

fn refused() -> Entry {
    Entry { outcome: Outcome::Refused, ..entry("a") }
}

#[test]
fn refusals_fill_no_disk() {
    let audit = Audit::start(None);
    let written = (0..100).filter(|_| audit.write(refused(), NOW).is_ok()).count();
    assert_eq!(written, REFUSALS_A_MINUTE);
    assert!(audit.write(entry("a"), NOW).is_ok(), "changes are written all the same");
    assert!(audit.write(refused(), NOW + 60).is_ok());
    // Nor do they by patience.
    let day = (0..DAY - 200).step_by(10);
    assert_eq!(day.filter(|second| audit.write(refused(), NOW + 120 + second).is_ok()).count(), REFUSALS_A_DAY - 61);
    assert!(audit.write(refused(), NOW + 2 * DAY).is_ok());
}

#[test]
fn refusals_are_short_and_push_no_change_out_of_memory() {
    let audit = Audit::start(None);
    let change = audit.write(entry("pause/everybody"), NOW).unwrap();
    let long = Entry {
        who: who(&"\u{1f600}".repeat(1000)),
        key: "POST /".to_owned() + &"x".repeat(10_000),
        after: Some(json!("x".repeat(10_000))),
        ..refused()
    };
    let number = audit.write(long, NOW).unwrap();
    let line = audit.find(number).unwrap();
    assert_eq!((line.who.len(), line.key.len(), line.after), (256, 256, None));
    for second in 0..900 {
        audit.write(refused(), NOW + 2 * second).unwrap();
    }
    assert!(audit.find(change).is_some());
    assert_eq!(audit.lock().at_hand.len(), AT_HAND);
    for _ in 0..AT_HAND {
        audit.write(entry("k"), NOW).unwrap();
    }
    assert!(audit.find(change).is_none(), "changes do");
}

#[test]
fn what_is_no_longer_at_hand_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = Audit::bounded(Some(path), 40_000);
    for _ in 0..300 {
        audit.write(entry("k"), NOW).unwrap();
    }
    for second in 0..300 {
        audit.write(refused(), NOW + 2 * second).unwrap();
    }
    assert!(folder.path().join("audit.jsonl.2").exists(), "there are several");
    assert_eq!((audit.find(2), audit.find_in_files(2).map(|line| line.change)), (None, Some(2)));
    assert_eq!(audit.find_in_files(601), None);
    assert_eq!(audit.find_in_files(600).map(|line| line.change), Some(600));
    // Those that memory has let go are shown from the files.
    let (lines, is_more) = audit.before(Some(400), 200);
    assert_eq!((changes(&lines), is_more), ((200..400).rev().collect(), true));
}
