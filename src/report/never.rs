//! Rules that never decided anything, by name.

use super::Tally;
use crate::{policy::RuleView, query_log::Verdicts};
use schemars::JsonSchema;
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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
pub struct QuietRule {
    pub line: u32,
    /// As in verdicts.
    pub rule: String,
}

/// A rule that may never have hit.
pub struct Candidate<T> {
    pub line: u32,
    /// It looks at who asks.
    pub is_by_client: bool,
    /// Has its text.
    pub text: T,
}

/// A rule of a policy as one.
pub fn candidate(rule: RuleView<'_>) -> Candidate<impl FnOnce() -> String> {
    Candidate { line: rule.head.line, is_by_client: rule.is_by_client(), text: move || rule.told() }
}

/// What tells the text of a list from others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListText<'l> {
    pub program: &'l str,
    pub service: &'l str,
    pub list: &'l str,
    pub version: &'l str,
}

/// Those of some rules that aren't among those that hit, by line, and in other texts of the list: how many, and the first of
/// them.
pub(super) fn others<T: FnOnce() -> String>(
    hit: &HashMap<u32, HashSet<&str>>,
    elsewhere: &HashSet<&str>,
    rules: impl Iterator<Item = Candidate<T>>,
) -> (u64, Vec<QuietRule>) {
    // Those that look at who asks have no lines where privacy keeps them out.
    let are_withheld = hit.contains_key(&0);
    let (mut there_are, mut quiet) = (0, Vec::new());
    for Candidate { line, text, .. } in rules.filter(|rule| !(are_withheld && rule.is_by_client)) {
        let rule = match hit.get(&line) {
            // Which of the line's rules it was isn't known.
            Some(texts) if texts.contains("") => continue,
            None if elsewhere.is_empty() => (quiet.len() < RULES_MAX).then(text),
            // Of a line that names several, only some may have hit.
            texts => match text() {
                rule if texts.is_some_and(|texts| texts.contains(&*rule)) || elsewhere.contains(&*rule) => continue,
                rule => (quiet.len() < RULES_MAX).then_some(rule),
            },
        };
        there_are += 1;
        quiet.extend(rule.map(|rule| QuietRule { line, rule }));
    }
    quiet.sort();
    (there_are, quiet)
}

impl Tally {
    /// The rules of a list of which nothing that was counted tells, whatever its text was then. `rules`: all of them. `None` if
    /// the list never hit at all, which is told as one thing, if all of its rules did, or if those of another text aren't named.
    /// Rules of which the log wouldn't tell are left out.
    pub fn never_hit<'t, T: FnOnce() -> String>(
        &'t self,
        list: ListText<'_>,
        rules: impl Iterator<Item = Candidate<T>>,
    ) -> Option<NeverHit> {
        let (mut hit, mut elsewhere): (HashMap<u32, HashSet<&str>>, HashSet<&str>) = Default::default();
        // What the owner's exceptions beat would have decided.
        let said_by = |verdicts: &'t Verdicts| verdicts.said.iter().chain(verdicts.beaten());
        let said = self.opinions.kept.iter().flat_map(|opinion| said_by(&opinion.verdicts));
        for said in
            said.filter(|said| (&*said.program, &*said.service, &*said.list) == (list.program, list.service, list.list))
        {
            if *said.version == *list.version || said.line == 0 {
                hit.entry(said.line).or_default().insert(&said.rule);
            } else {
                elsewhere.insert(&said.rule);
            }
        }
        if hit.is_empty() && elsewhere.is_empty() || elsewhere.contains("") {
            return None;
        }
        let (there_are, quiet) = others(&hit, &elsewhere, rules);
        let ListText { program, service, list, version } = list;
        let [program, service, list, version] = [program, service, list, version].map(str::to_owned);
        (there_are > 0).then_some(NeverHit { program, service, list, version, there_are, rules: quiet })
    }
}
