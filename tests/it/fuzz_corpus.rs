//! Every file of the fuzzers' corpora, and changed copies of it, through the very functions that are fuzzed.

#[path = "../fuzz/targets.rs"]
pub mod targets;

use crate::names::Random;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Changed copies of each file.
const COPIES: usize = 300;
/// No target takes longer over changed copies, slow machines included.
const COPIES_WITHIN: Duration = Duration::from_secs(4);
/// Files of each corpus: fewer say too little.
const FILES_MIN: usize = 10;
/// Text that means something in some format.
const WORDS: [&[u8]; 24] = [
    b"\n",
    b"\r",
    b"\0",
    b"*",
    b".",
    b"||",
    b"^",
    b"@@",
    b"$important",
    b"$badfilter",
    b"/",
    b"\\",
    b"#",
    b" ",
    b"\t",
    b"\"",
    b"(",
    b"0.0.0.0 ",
    b"rpz-ip",
    b" CNAME .",
    b"$ORIGIN ",
    b"address=/",
    b"===\n",
    b"\xc3\xbc",
];

#[test]
fn every_file_and_changed_copies_are_taken() {
    for (name, run) in targets::TARGETS {
        let files = corpus(name);
        assert!(files.len() >= FILES_MIN, "{name} has {} files", files.len());
        for (path, data) in &files {
            announce(path, data, run);
        }
        let mut random = Random::new(42);
        let until = Instant::now() + COPIES_WITHIN;
        'copies: for _ in 0..COPIES {
            for (path, data) in &files {
                if Instant::now() > until {
                    break 'copies;
                }
                announce(path, &changed(data, &files, &mut random), run);
            }
        }
    }
}

/// Runs a target; what made it panic is said.
fn announce(path: &Path, data: &[u8], run: fn(&[u8])) {
    let outcome = std::panic::catch_unwind(|| run(data));
    assert!(outcome.is_ok(), "from {}: {:?}", path.display(), String::from_utf8_lossy(data));
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|item| item.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A copy with some octets and words put in, taken out, doubled, or exchanged with those of another file.
fn changed(data: &[u8], files: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut copy = data.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(copy.len() + 1);
        let end = (at + random.below(12)).min(copy.len());
        match random.below(6) {
            0 => drop(copy.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            1 => drop(copy.drain(at..end)),
            2 => drop(copy.splice(at..at, copy[at..end].to_vec())),
            3 if at < copy.len() => copy[at] ^= 1 << random.below(8),
            4 => copy.truncate(at),
            _ => {
                let other = &files[random.below(files.len())].1;
                let from = random.below(other.len() + 1);
                let piece = &other[from..(from + random.below(40)).min(other.len())];
                drop(copy.splice(at..end, piece.iter().copied()));
            }
        }
    }
    copy
}
