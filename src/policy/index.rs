//! Finds every rule that matches a name, over all lists at once.
//!
//! One open-addressing table over the suffixes that rules name. A slot holds where the rule lies (list, offset) and
//! sixteen bits of its hash; a hit is compared octet by octet, so a match is never a guess. Equal names of several
//! lists sit in the same run of slots. The lists' memory is shared with the policy before and after this one.

use super::rule::{PackedRule, RuleSet};
use crate::dns::Name;
use foldhash::fast::FixedState;
use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

/// Lists one policy can hold: a slot has sixteen bits for it.
pub const LISTS_MAX: usize = u16::MAX as usize;
/// Slots for each four rules: a table three quarters full keeps runs short at ten to eleven octets a rule.
const SLOTS_PER_RULE: (usize, usize) = (4, 3);

/// A matching rule.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// Index of the list.
    pub list: u16,
    /// Labels of the rule's own name.
    pub labels: u8,
    pub rule: PackedRule<'a>,
}

/// The compiled form of all rules that are in force.
pub struct Index {
    /// 0, or list << 48 | fragment << 32 | offset + 1.
    slots: Vec<u64>,
    hasher: FixedState,
    lists: Vec<Arc<RuleSet>>,
    rules: usize,
}

impl Index {
    /// Builds the table over the lists for which `in_force` says true. `seed` keys the hash, so that nobody can write
    /// a list whose names collide on purpose.
    pub fn build(lists: Vec<Arc<RuleSet>>, in_force: impl Fn(usize) -> bool, seed: u64) -> Self {
        assert!(lists.len() <= LISTS_MAX, "the builder refuses more than {LISTS_MAX} lists");
        let rules: usize = lists.iter().enumerate().filter(|(i, _)| in_force(*i)).map(|(_, list)| list.len()).sum();
        let slots = vec![0u64; rules * SLOTS_PER_RULE.0 / SLOTS_PER_RULE.1 + 1];
        let mut index = Self { slots, hasher: FixedState::with_seed(seed), lists, rules };
        for (list, set) in index.lists.iter().enumerate().filter(|(i, _)| in_force(*i)) {
            for (offset, rule) in set.iter() {
                let hash = hash_whole(&index.hasher, rule.name);
                let mut at = home(hash, index.slots.len());
                while index.slots[at] != 0 {
                    at = if at + 1 == index.slots.len() { 0 } else { at + 1 };
                }
                index.slots[at] = (list as u64) << 48 | u64::from(fragment(hash)) << 32 | u64::from(offset + 1);
            }
        }
        index
    }

    /// Rules in force.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Octets of the table, without the lists' own.
    pub fn table_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    /// Calls `found` for every rule that matches `name`, shortest suffix first.
    pub fn matches<'a>(&'a self, name: &Name, mut found: impl FnMut(Hit<'a>)) {
        if self.rules == 0 {
            return;
        }
        let wire = name.as_wire();
        let (offsets, count) = name.label_offsets();
        let mut hasher = self.hasher.build_hasher();
        for index in (0..count).rev() {
            let start = usize::from(offsets[index]);
            let end = start + 1 + usize::from(wire[start]);
            hasher.write(&wire[start..end]);
            let hash = hasher.clone().finish();
            self.probe(hash, &wire[start..], |list, rule| {
                if rule.scope().covers(index) {
                    found(Hit { list, labels: (count - index) as u8, rule });
                }
            });
        }
    }

    /// Calls `found` for every rule whose name is exactly the wire name `suffix`.
    fn probe<'a>(&'a self, hash: u64, suffix: &[u8], mut found: impl FnMut(u16, PackedRule<'a>)) {
        let mut at = home(hash, self.slots.len());
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return;
            }
            if (slot >> 32) as u16 == fragment(hash) {
                let list = (slot >> 48) as u16;
                let rule = self.lists[usize::from(list)].at(slot as u32 - 1);
                if rule.name == suffix {
                    found(list, rule);
                }
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }
}

/// Hashes a wire name label by label from the right, as `matches` does on its way.
fn hash_whole(state: &FixedState, wire: &[u8]) -> u64 {
    let (mut starts, mut count, mut at) = ([0u8; crate::dns::LABELS_MAX], 0, 0usize);
    while wire[at] != 0 {
        starts[count] = at as u8;
        count += 1;
        at += 1 + usize::from(wire[at]);
    }
    let mut hasher = state.build_hasher();
    for &start in starts[..count].iter().rev() {
        let start = usize::from(start);
        hasher.write(&wire[start..start + 1 + usize::from(wire[start])]);
    }
    hasher.finish()
}

/// The slot where a hash belongs: the high bits scaled to the table's length, which need not be a power of two.
fn home(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

/// The low bits, which `home` hardly uses.
fn fragment(hash: u64) -> u16 {
    hash as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::{Effect, Rule, Scope};
    use proptest::prelude::*;

    /// What `matches` must find, the slow way: every rule of every list tried in turn.
    fn naive(lists: &[Vec<Rule>], name: &Name) -> Vec<(u16, u32)> {
        let mut found = Vec::new();
        for (list, rules) in lists.iter().enumerate() {
            for rule in rules {
                let below = name.label_count().wrapping_sub(rule.name.label_count());
                if name.is_at_or_below(&rule.name) && rule.scope.covers(below) {
                    found.push((list as u16, rule.line));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn compiled(lists: &[Vec<Rule>], name: &Name, seed: u64) -> Vec<(u16, u32)> {
        let sets = lists.iter().map(|rules| {
            let mut set = RuleSet::default();
            rules.iter().for_each(|rule| set.push(rule).unwrap());
            Arc::new(set)
        });
        let index = Index::build(sets.collect(), |_| true, seed);
        let mut found = Vec::new();
        index.matches(name, |hit| {
            let rule = hit.rule.unpack().unwrap();
            assert_eq!(usize::from(hit.labels), rule.name.label_count());
            found.push((hit.list, rule.line));
        });
        found.sort_unstable();
        found
    }

    /// Names over a tiny alphabet, so that suffixes are shared all the time.
    fn any_name() -> impl Strategy<Value = Name> {
        prop::collection::vec("[ab]{1,2}", 1..6).prop_map(|labels| labels.join(".").parse().unwrap())
    }

    fn any_lists() -> impl Strategy<Value = Vec<Vec<Rule>>> {
        let scope = prop_oneof![Just(Scope::Exact), Just(Scope::Subtree), Just(Scope::Below)];
        let effect = prop_oneof![Just(Effect::Block), Just(Effect::Except)];
        let rules = prop::collection::vec((effect, scope, any_name()), 0..40).prop_map(|rules| {
            let lines = rules.into_iter().enumerate();
            lines.map(|(i, (effect, scope, name))| Rule { effect, scope, name, line: i as u32 + 1 }).collect()
        });
        prop::collection::vec(rules, 0..5)
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_scan(lists in any_lists(), names in prop::collection::vec(any_name(), 1..20), seed: u64) {
            for name in &names {
                prop_assert_eq!(compiled(&lists, name, seed), naive(&lists, name), "{}", name);
            }
        }
    }

    #[test]
    fn a_million_names_stay_small() {
        let mut set = RuleSet::default();
        for i in 0..100_000u32 {
            let name = format!("n{i}.example-{}.com", i % 977).parse().unwrap();
            set.push(&Rule { effect: Effect::Block, scope: Scope::Subtree, name, line: i }).unwrap();
        }
        set.shrink();
        let text: usize = set.iter().map(|(_, rule)| rule.name.len() - 1).sum();
        let bytes = set.bytes();
        let index = Index::build(vec![Arc::new(set)], |_| true, 1);
        // DESIGN's ceiling of 60 MB for a million names of 22 octets, everything else included.
        assert!((bytes + index.table_bytes()) < text + 100_000 * 17, "{} + {}", bytes, index.table_bytes());
    }
}
