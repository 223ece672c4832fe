//! The documents: links lead somewhere, and every block of text says what it is. Their commands are run by
//! `tests/full.d/documents.sh`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What a block may be.
const LANGUAGES: [&str; 8] = ["lua", "sh", "console", "toml", "yaml", "sql", "ini", "text"];
/// What stands after the language of commands that aren't run, before the reason.
const NOT_RUN: &str = "not run: ";
/// What stands there of one that goes on until somebody ends it.
const ENDLESS: &str = "for a moment";
/// Signs of the shortest reason.
const REASON_MIN: usize = 10;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![project().join("README.md")];
    let mut folders = vec![project().join("config"), project().join("blocklists")];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 15, "{paths:?}");
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The lines outside blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        (!inside && !is_fence).then_some((index + 1, line))
    })
}

/// What a link to a heading is called: lower case, hyphens for spaces, nothing else but letters, digits and underscores.
fn anchor(heading: &str) -> String {
    let kept = |sign: char| match sign {
        ' ' | '-' => Some('-'),
        sign if sign.is_alphanumeric() || sign == '_' => Some(sign),
        _ => None,
    };
    heading.trim_start_matches('#').trim().to_lowercase().chars().filter_map(kept).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| anchor(line)).collect()
}

#[test]
fn links_lead_somewhere() {
    let (mut wrong, mut links) = (Vec::new(), 0);
    for (path, text) in documents() {
        for (number, line) in prose(&text) {
            for part in line.split("](").skip(1) {
                let target = part.split(')').next().unwrap_or_default();
                if target.contains("://") {
                    continue;
                }
                links += 1;
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                let is_there = file.exists()
                    && (heading.is_empty() || anchors(&fs::read_to_string(&file).unwrap()).contains(heading));
                if !is_there {
                    wrong.push(format!("{}:{number}: {target}", path.display()));
                }
            }
        }
    }
    assert!(links > 80, "{links}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn blocks_say_what_they_are() {
    let (mut wrong, mut commands) = (Vec::new(), 0);
    for (path, text) in documents() {
        let mut inside = false;
        for (index, line) in text.lines().enumerate() {
            let Some(said) = line.trim_start().strip_prefix("```") else { continue };
            inside = !inside;
            if !inside {
                continue;
            }
            let (language, more) = said.split_once(' ').unwrap_or((said, ""));
            let is_command = ["sh", "console"].contains(&language);
            commands += usize::from(is_command);
            let reason = more.strip_prefix(NOT_RUN);
            let is_right = LANGUAGES.contains(&language)
                && (more.is_empty()
                    || is_command && (more == ENDLESS || reason.is_some_and(|reason| reason.len() >= REASON_MIN)));
            if !is_right {
                wrong.push(format!("{}:{}: ```{said}", path.display(), index + 1));
            }
        }
        assert!(!inside, "{}: a block has no end", path.display());
    }
    assert!(commands > 20, "{commands}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn headings_are_found_as_links_name_them() {
    for (heading, expected) in [
        ("## What it can't do", "what-it-cant-do"),
        ("# Fritz!Box and the like", "fritzbox-and-the-like"),
        ("## What changed: `lists diff`", "what-changed-lists-diff"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
}
