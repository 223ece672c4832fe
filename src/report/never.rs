//! Rules that never decided anything, by name.

use super::Tally;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Rules that are named of one list: whoever wants to clear up begins somewhere, and reads the list.
const RULES_MAX: usize = 100;

/// Rules of a list that never decided anything, though others of it did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NeverHit {
    pub program: String,
    pub service: String,
    pub list: String,
    pub version: String,
    pub there_are: u64,
    /// The first of them.
    pub rules: Vec<QuietRule>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct QuietRule {
    pub line: u32,
    /// As in verdicts.
    pub rule: String,
}

/// What tells the text of a list from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListText<'l> {
    pub program: &'l str,
    pub service: &'l str,
    pub list: &'l str,
    pub version: &'l str,
}

/// Those of some rules that aren't among those that hit, by line: how many, and the first of them.
pub(super) fn others<T: FnOnce() -> String>(
    hit: &HashMap<u32, HashSet<&str>>,
    rules: impl Iterator<Item = (u32, T)>,
) -> (u64, Vec<QuietRule>) {
    let (mut there_are, mut quiet) = (0, Vec::new());
    for (line, text) in rules {
        let rule = match hit.get(&line) {
            // Of a line that names several, only some may have hit.
            Some(texts) => match text() {
                rule if texts.contains(&*rule) => continue,
                rule => (quiet.len() < RULES_MAX).then_some(rule),
            },
            None => (quiet.len() < RULES_MAX).then(text),
        };
        there_are += 1;
        quiet.extend(rule.map(|rule| QuietRule { line, rule }));
    }
    quiet.sort();
    (there_are, quiet)
}

impl Tally {
    /// The rules of a list of which nothing that was counted tells. `rules`: all of them, with their lines and a way to
    /// have their texts. `None` if the list never hit at all, which is told as one thing, or if all of its rules did.
    pub fn never_hit<T: FnOnce() -> String>(
        &self,
        list: ListText<'_>,
        rules: impl Iterator<Item = (u32, T)>,
    ) -> Option<NeverHit> {
        let mut hit: HashMap<u32, HashSet<&str>> = HashMap::new();
        let said = self.opinions.kept.iter().flat_map(|opinion| &opinion.verdicts.said);
        for said in said.filter(|said| {
            (&*said.program, &*said.service, &*said.list, &*said.version)
                == (list.program, list.service, list.list, list.version)
        }) {
            hit.entry(said.line).or_default().insert(&said.rule);
        }
        if hit.is_empty() {
            return None;
        }
        let (there_are, quiet) = others(&hit, rules);
        let ListText { program, service, list, version } = list;
        let [program, service, list, version] = [program, service, list, version].map(str::to_owned);
        (there_are > 0).then_some(NeverHit { program, service, list, version, there_are, rules: quiet })
    }
}
