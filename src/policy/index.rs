//! Finds every rule that matches, over all lists at once.
//!
//! Names, of which there are millions, lie in one `table`. The lists' memory is shared with the policy before and after
//! this one. Rules on anything else have indexes of their own beside it.

use super::{
    geo::Geo,
    pattern::{Compiled, Patterns},
    places::{By, Places, RuleRef},
    rule::Scope,
    set::{OtherMatcher, RuleHead, RuleSet, RuleView, What},
    table::{Foreseen, NameMatch, Table},
};
use crate::dns::{LABELS_MAX, NAME_BYTES_MAX, Name};
use smallvec::SmallVec;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Lists one policy can hold.
pub const LISTS_MAX: usize = u16::MAX as usize;
/// A matching rule.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    pub rule: RuleRef,
    pub head: RuleHead<'a>,
    /// Grows with how closely the rule describes what it matched: exact names, then longer suffixes or prefixes, then
    /// all else.
    pub specificity: u16,
    /// Labels of the rule's own name; 0 for rules on anything else.
    pub labels: u8,
    /// Of the rule's own name; exact for rules on anything else.
    pub scope: Scope,
}

/// Rules on name servers by the wire form of their names.
type NsNames = HashMap<Box<[u8]>, SmallVec<[(Scope, RuleRef); 1]>>;

/// The compiled form of all rules that are in force.
pub struct Index {
    names: Table,
    patterns: Patterns<RuleRef>,
    addresses: Places,
    ns_names: NsNames,
    ns_addresses: Places,
    clients: Places,
    lists: Vec<Arc<RuleSet>>,
    rules: usize,
}

impl Index {
    /// Builds the index over the lists for which `in_force` says true; `is_disabled` says which of their rules are taken
    /// back. `seed` keys the hash, so that nobody can write a list whose names collide on purpose.
    pub fn build(
        lists: Vec<Arc<RuleSet>>,
        in_force: impl Fn(usize) -> bool,
        is_disabled: impl Fn(usize, &RuleView<'_>) -> bool,
        seed: u64,
    ) -> Self {
        assert!(lists.len() <= LISTS_MAX, "the builder refuses more than {LISTS_MAX} lists");
        let used = |index: &usize| in_force(*index);
        let count: usize = (0..lists.len()).filter(used).map(|index| lists[index].name_count()).sum();
        let mut names = Table::new(&lists, count, seed);
        let mut patterns: Vec<(Arc<Compiled>, RuleRef)> = Vec::new();
        let (mut addresses, mut ns_addresses, mut clients) = <(Places, Places, Places)>::default();
        let mut ns_names = NsNames::new();
        let mut rules = 0;
        for index in (0..lists.len()).filter(used) {
            let (set, list) = (&lists[index], index as u16);
            let is_gone = |id: u32| is_disabled(index, &set.view(id));
            let checks = (0..lists.len()).any(|other| !lists[other].disabled().is_empty());
            for (id, rule) in set.iter_names() {
                if !(checks && is_gone(id)) {
                    names.insert(rule.name, list, id);
                    rules += 1;
                }
            }
            for (id, matcher) in set.iter_others() {
                if checks && is_gone(id) {
                    continue;
                }
                let rule = RuleRef { list, id };
                rules += 1;
                match matcher {
                    OtherMatcher::Pattern(compiled) => patterns.push((compiled.clone(), rule)),
                    OtherMatcher::Address(place) => addresses.insert(place, rule),
                    OtherMatcher::NsAddress(place) => ns_addresses.insert(place, rule),
                    OtherMatcher::Client(net) => clients.insert(&super::Place::Net(*net), rule),
                    OtherMatcher::NsName(scope, name) => {
                        ns_names.entry(name.as_wire().into()).or_default().push((*scope, rule));
                    }
                }
            }
        }
        Self { names, patterns: Patterns::new(patterns), addresses, ns_names, ns_addresses, clients, lists, rules }
    }

    /// Rules in force.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Octets of the table over names, without the lists' own.
    pub fn table_bytes(&self) -> usize {
        self.names.bytes()
    }

    /// Begins to look a name up.
    #[inline]
    pub fn foresee(&self, name: &Name, foreseen: &mut Foreseen) {
        self.names.hash(name, 0, foreseen);
    }

    /// Goes on with a name that `foresee` was told of.
    #[inline]
    pub fn foresee_rules(&self, foreseen: &mut Foreseen) {
        self.names.look(foreseen, &self.lists);
    }

    /// Calls `found` for every rule that matches a name asked or an alias: suffixes from the shortest, then patterns.
    pub fn on_name<'a>(&'a self, name: &Name, found: impl FnMut(Hit<'a>)) {
        let mut foreseen = Foreseen::NOTHING;
        self.foresee(name, &mut foreseen);
        self.foresee_rules(&mut foreseen);
        self.on_name_foreseen(name, &foreseen, found);
    }

    /// The same for a name that `foresee`, and then `foresee_rules`, was told of.
    #[inline]
    pub fn on_name_foreseen<'a>(&'a self, name: &Name, foreseen: &Foreseen, mut found: impl FnMut(Hit<'a>)) {
        self.names.matches(name, foreseen, &self.lists, |NameMatch { rule, head, labels, below }| {
            let scope = head.flags.scope();
            if scope.covers(below) {
                let specificity = match scope {
                    Scope::Exact => 3 << 8 | u16::from(labels),
                    Scope::Subtree | Scope::Below => 2 << 8 | u16::from(labels),
                };
                found(Hit { rule, head, specificity, labels, scope });
            }
        });
        if !self.patterns.is_empty() {
            let mut text = [0u8; NAME_BYTES_MAX];
            let length = write_text(name, &mut text);
            self.patterns.matches(&text[..length], |rule| found(self.hit(rule, 1)));
        }
    }

    /// Calls `found` for every rule that matches an address in an answer.
    pub fn on_address<'a>(&'a self, address: IpAddr, geo: &Geo, found: impl FnMut(Hit<'a>)) {
        self.on_place(&self.addresses, address, geo, found);
    }

    /// Calls `found` for every rule that matches a name server's address.
    pub fn on_ns_address<'a>(&'a self, address: IpAddr, geo: &Geo, found: impl FnMut(Hit<'a>)) {
        self.on_place(&self.ns_addresses, address, geo, found);
    }

    /// Calls `found` for every rule that matches the client's address.
    pub fn on_client<'a>(&'a self, address: IpAddr, found: impl FnMut(Hit<'a>)) {
        if !self.clients.is_empty() {
            self.on_place(&self.clients, address, &Geo::default(), found);
        }
    }

    /// Calls `found` for every rule that matches a name server's name.
    pub fn on_ns_name<'a>(&'a self, name: &Name, mut found: impl FnMut(Hit<'a>)) {
        if self.ns_names.is_empty() {
            return;
        }
        let wire = name.as_wire();
        let mut offsets = [0; LABELS_MAX];
        let count = name.label_offsets(&mut offsets);
        for below in (0..=count).rev() {
            let start = if below == count { wire.len() - 1 } else { usize::from(offsets[below]) };
            let labels = (count - below) as u8;
            for (scope, rule) in self.ns_names.get(&wire[start..]).into_iter().flatten() {
                if scope.covers(below) {
                    let class = if *scope == Scope::Exact { 3 } else { 2 };
                    found(Hit { labels, scope: *scope, ..self.hit(*rule, class << 8 | u16::from(labels)) });
                }
            }
        }
    }

    /// True if a rule on a name of one of the lists says the same. Lists that are in force for nobody have none.
    pub fn has(&self, rule: &RuleView<'_>, is_list: impl Fn(usize) -> bool) -> bool {
        let What::Name(wire) = rule.what else { return false };
        let identity = rule.identity();
        let is_same = |own: RuleRef| is_list(usize::from(own.list)) && self.view(own).identity() == identity;
        let mut found = false;
        self.names.named(wire, &self.lists, |own, _| found = found || is_same(own));
        found
    }

    /// What the rule says.
    pub fn head(&self, rule: RuleRef) -> RuleHead<'_> {
        self.lists[usize::from(rule.list)].head(rule.id)
    }

    /// The rule itself.
    pub fn view(&self, rule: RuleRef) -> RuleView<'_> {
        self.lists[usize::from(rule.list)].view(rule.id)
    }

    fn on_place<'a>(&'a self, places: &'a Places, address: IpAddr, geo: &Geo, mut found: impl FnMut(Hit<'a>)) {
        places.matches(address, geo, |rule, by| {
            let specificity = match by {
                By::Prefix(bits) => 2 << 8 | u16::from(bits),
                By::Asn => 1 << 8 | 2,
                By::Country => 1 << 8 | 1,
                By::Outside => 1 << 8,
            };
            found(self.hit(rule, specificity));
        });
    }

    fn hit(&self, rule: RuleRef, specificity: u16) -> Hit<'_> {
        Hit { rule, head: self.head(rule), specificity, labels: 0, scope: Scope::Exact }
    }
}

/// A name's text without the final dot, octets as they are; returns its length.
fn write_text(name: &Name, text: &mut [u8; NAME_BYTES_MAX]) -> usize {
    let wire = name.as_wire();
    // The wire form with each length octet but the first in place of a dot.
    let length = wire.len().saturating_sub(2);
    text[..length].copy_from_slice(&wire[1..1 + length]);
    let mut at = 0;
    while wire[at] != 0 {
        let next = at + 1 + usize::from(wire[at]);
        if wire[next] != 0 {
            text[next - 1] = b'.';
        }
        at = next;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Effect, Matcher, Rule};
    use proptest::prelude::*;

    /// Lists of every rule on a name that matches, by a scan.
    fn naive(lists: &[Vec<Rule>], name: &Name) -> Vec<(u16, u32)> {
        let mut found = Vec::new();
        for (list, rules) in lists.iter().enumerate() {
            for rule in rules {
                let Matcher::Name { scope, name: own } = &rule.matcher else { continue };
                if name.is_at_or_below(own) && scope.covers(name.label_count() - own.label_count()) {
                    found.push((list as u16, rule.line));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn index(lists: &[Vec<Rule>], seed: u64) -> Index {
        let sets = lists.iter().map(|rules| {
            let mut set = RuleSet::default();
            rules.iter().for_each(|rule| set.push(rule.clone()).unwrap());
            set.shrink();
            Arc::new(set)
        });
        Index::build(sets.collect(), |_| true, |_, _| false, seed)
    }

    fn compiled(lists: &[Vec<Rule>], name: &Name, seed: u64) -> Vec<(u16, u32)> {
        let index = index(lists, seed);
        let mut found = Vec::new();
        index.on_name(name, |hit| {
            let Matcher::Name { name, .. } = index.view(hit.rule).unpack().matcher else { panic!("a rule on a name") };
            assert_eq!(usize::from(hit.labels), name.label_count());
            found.push((hit.rule.list, hit.head.line));
        });
        found.sort_unstable();
        found
    }

    /// Names over a tiny alphabet, so that suffixes are shared all the time.
    fn any_name() -> impl Strategy<Value = Name> {
        let labels = prop_oneof![8 => "[ab]{1,2}", 1 => "[ab]{15,17}"];
        let count = prop_oneof![4 => 0..6usize, 1 => 6..13usize];
        count.prop_flat_map(move |count| prop::collection::vec(labels.clone(), count)).prop_map(|labels| {
            match labels.join(".") {
                text if text.is_empty() => Name::ROOT,
                text => text.parse().unwrap(),
            }
        })
    }

    fn any_lists() -> impl Strategy<Value = Vec<Vec<Rule>>> {
        let scope = prop_oneof![Just(Scope::Exact), Just(Scope::Subtree), Just(Scope::Below)];
        let effect = prop_oneof![Just(Effect::Block), Just(Effect::Except)];
        let rules = prop::collection::vec((effect, scope, any_name()), 0..40).prop_map(|rules| {
            let lines = rules.into_iter().enumerate();
            lines.map(|(i, (effect, scope, name))| Rule::on_name(effect, scope, name, i as u32 + 1)).collect()
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

        #[test]
        fn together_is_as_one_by_one(lists in any_lists(), names in prop::collection::vec(any_name(), 1..9), seed: u64) {
            let index = index(&lists, seed);
            let mut foreseen = vec![Foreseen::NOTHING; names.len()];
            names.iter().zip(&mut foreseen).for_each(|(name, foreseen)| index.foresee(name, foreseen));
            foreseen.iter_mut().for_each(|foreseen| index.foresee_rules(foreseen));
            for (name, foreseen) in names.iter().zip(&foreseen) {
                let (mut together, mut alone) = (Vec::new(), Vec::new());
                index.on_name_foreseen(name, foreseen, |hit| together.push((hit.rule, hit.labels)));
                index.on_name(name, |hit| alone.push((hit.rule, hit.labels)));
                prop_assert_eq!(together, alone);
            }
        }

        #[test]
        fn a_names_text_is_its_labels_with_dots(name in any_name()) {
            let mut text = [0; NAME_BYTES_MAX];
            let length = write_text(&name, &mut text);
            let expected = if name.is_root() { String::new() } else { name.to_string() };
            prop_assert_eq!(std::str::from_utf8(&text[..length]).unwrap(), expected);
        }
    }

    #[test]
    fn a_name_never_covers_one_that_only_ends_alike() {
        let lists = [vec![Rule::on_name(Effect::Block, Scope::Subtree, "example.com".parse().unwrap(), 1)]];
        for (name, expected) in [
            ("example.com", 1),
            ("a.b.example.com", 1),
            ("notexample.com", 0),
            ("com", 0),
            ("example.com.x", 0),
            ("example.comx", 0),
        ] {
            assert_eq!(compiled(&lists, &name.parse().unwrap(), 7).len(), expected, "{name}");
        }
    }

    #[test]
    fn a_million_names_stay_small() {
        let mut set = RuleSet::default();
        for i in 0..100_000u32 {
            let name = format!("n{i}.example-{}.com", i % 977).parse().unwrap();
            set.push_name(Effect::Block, Scope::Subtree, &name, i).unwrap();
        }
        set.shrink();
        let text: usize = set.iter_names().map(|(_, rule)| rule.name.len() - 1).sum();
        let bytes = set.bytes();
        let index = Index::build(vec![Arc::new(set)], |_| true, |_, _| false, 1);
        // DESIGN's ceiling of 60 MB for a million names of 22 octets, everything else included.
        assert!((bytes + index.table_bytes()) < text + 100_000 * 13, "{} + {}", bytes, index.table_bytes());
    }
}
