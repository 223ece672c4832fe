//! How many rules a new policy has that the one before hadn't, and the other way round: for the line that tells of a
//! reload.

use crate::policy::{ListSpec, Policy, RuleView};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Rules by `program/service`.
pub(super) type RuleCounts = BTreeMap<String, usize>;

/// How many rules came and went, by service. Lists that are the same in both are not looked into; of others only what
/// two versions don't have in common is looked up, so nothing is copied.
pub(super) fn differences(before: &Policy, after: &Policy) -> (RuleCounts, RuleCounts) {
    let (mut added, mut removed) = (RuleCounts::new(), RuleCounts::new());
    for list in changed(after, before) {
        let unpaired = twin(list, after, before).map(|twin| list.rules.unpaired_names(&twin.rules).0);
        count_news(list, unpaired, after, before, &mut added);
    }
    for list in changed(before, after) {
        let unpaired = twin(list, before, after).map(|twin| list.rules.unpaired_names(&twin.rules).0);
        count_news(list, unpaired, before, after, &mut removed);
    }
    (added, removed)
}

/// The lists of a policy that another doesn't have, as they are.
fn changed<'a>(policy: &'a Policy, other: &'a Policy) -> impl Iterator<Item = &'a ListSpec> {
    let is_same = |list: &ListSpec, twin: &ListSpec| Arc::ptr_eq(&twin.rules, &list.rules);
    policy.lists().iter().filter(move |list| !other.lists().iter().any(|twin| is_same(list, twin)))
}

/// The same list in another policy.
fn twin<'a>(list: &ListSpec, policy: &Policy, other: &'a Policy) -> Option<&'a ListSpec> {
    let program = program_of(list, policy)?;
    let is_twin = |twin: &&ListSpec| {
        program_of(twin, other) == Some(program) && twin.service == list.service && twin.name == list.name
    };
    other.lists().iter().find(is_twin)
}

fn program_of<'a>(list: &ListSpec, policy: &'a Policy) -> Option<&'a str> {
    list.program().map(|program| policy.programs()[program].name.as_str())
}

/// Counts the rules of a list of `policy` that are not in `other`; `unpaired`: the only rules on names that may not be.
fn count_news(list: &ListSpec, unpaired: Option<Vec<u32>>, policy: &Policy, other: &Policy, counts: &mut RuleCounts) {
    let Some(program) = program_of(list, policy) else { return };
    let is_new = |rule: &RuleView<'_>| !other.has_name_rule(program, &list.service, rule);
    let names = match unpaired {
        Some(ids) => ids.into_iter().filter(|id| is_new(&list.rules.view(*id))).count(),
        None => list.rules.iter_names().filter(|(id, _)| is_new(&list.rules.view(*id))).count(),
    };
    // Rules on anything but names are few, so they may be gathered.
    let of_service = |twin: &&ListSpec| program_of(twin, other) == Some(program) && twin.service == list.service;
    let twins = other.lists().iter().filter(of_service);
    let known: HashSet<u64> =
        twins.flat_map(|twin| twin.rules.iter_others_views()).map(|rule| rule.identity()).collect();
    let others = list.rules.iter_others_views().filter(|rule| !known.contains(&rule.identity())).count();
    if names + others > 0 {
        *counts.entry(format!("{program}/{}", list.service)).or_default() += names + others;
    }
}

pub(super) fn by_service(counts: &RuleCounts) -> String {
    let all: Vec<String> = counts.iter().map(|(service, count)| format!("{service} {count}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
