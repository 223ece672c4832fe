//! Finds every rule that matches, over all lists at once.
//!
//! Names, of which there are millions, lie in one open-addressing table over the suffixes that rules name: for each rule
//! two octets of its hash and where the rule lies. A query's suffixes are looked up by those octets, and what fits is
//! compared octet by octet, so a match is never a guess. Equal names of several lists sit near each other.
//! The lists' memory is shared with the policy before and after this one. Rules on anything else have indexes of
//! their own beside it.

use super::{
    geo::Geo,
    pattern::{Compiled, Patterns},
    places::{By, Places, RuleRef},
    rule::Scope,
    set::{OtherMatcher, RuleSet, RuleView, What},
};
use crate::dns::{LABELS_MAX, NAME_BYTES_MAX, Name};
use foldhash::fast::FixedState;
use smallvec::SmallVec;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    sync::Arc,
};

/// Lists one policy can hold.
pub const LISTS_MAX: usize = u16::MAX as usize;
/// Places for each seven rules.
const PLACES_PER_RULE: (usize, usize) = (8, 7);
/// Places that share a line of the cache.
const GROUP: usize = 10;
/// Suffixes looked up at once: hardly any name has more.
const AT_ONCE: usize = 8;
/// Octets that the C library always maps by themselves.
const MAPPED_BYTES: usize = 33 << 20;
/// A table that is not worth it.
const SMALL_TABLE_BYTES: usize = 1 << 19;
/// Tag of a place where nothing lies.
const EMPTY: u16 = 0;

/// A matching rule.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    pub rule: RuleRef,
    pub view: RuleView<'a>,
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
    names: Names,
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
        let mut names = Names::new(&lists, count, seed);
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
        self.names.groups.len() * size_of::<Group>()
    }

    /// Calls `found` for every rule that matches a name asked or an alias: suffixes from the shortest, then patterns.
    pub fn on_name<'a>(&'a self, name: &Name, mut found: impl FnMut(Hit<'a>)) {
        self.names.matches(name, &self.lists, |rule, wire_bytes, labels, below| {
            let view = self.lists[usize::from(rule.list)].view_of_name(rule.id, wire_bytes);
            let scope = view.flags.scope();
            if scope.covers(below) {
                let specificity = match scope {
                    Scope::Exact => 3 << 8 | u16::from(labels),
                    Scope::Subtree | Scope::Below => 2 << 8 | u16::from(labels),
                };
                found(Hit { rule, view, specificity, labels, scope });
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
        let (hash, _) = hash_whole(&self.names.hasher, wire);
        self.names.probe(hash, wire, &self.lists, |own| found = found || is_same(own));
        found
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
        Hit { rule, view: self.view(rule), specificity, labels: 0, scope: Scope::Exact }
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

/// The table over names.
struct Names {
    groups: Vec<Group>,
    /// For each list the number that its first rule has; ascending.
    bases: Vec<u32>,
    hasher: FixedState,
    /// Labels of the longest rule: names are not looked up any deeper.
    labels_max: usize,
    /// A rule names the root.
    has_root: bool,
}

/// Places for rules in one line of the processor's cache, so that looking into a group costs one access to memory.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Group {
    /// Lanes of 16 bits, the lowest first: ten tags, each part of its rule's hash or `EMPTY` where no rule lies; then
    /// `overflow` in two.
    lanes: [u64; 3],
    /// Where each rule lies, in the numbering of `bases`.
    refs: [u32; GROUP],
}

/// A bit for each place of a group, as `place_of` numbers them.
type Fitting = u64;

impl Group {
    const EMPTY: Self = Self { lanes: [0; 3], refs: [0; GROUP] };

    /// The places whose tag is `tag`.
    #[inline]
    fn fitting(&self, tag: u16) -> Fitting {
        let wanted = u64::from(tag) * LOW_BITS;
        let [first, second, third] = self.lanes.map(|lanes| zero_lanes(lanes ^ wanted));
        first | second >> 1 | (third & u64::from(u32::MAX)) >> 2
    }

    /// For each rule that belongs here and lies further on, because the group was full, a bit of its hash: who looks for
    /// a rule that isn't there hardly ever looks further.
    #[inline]
    fn overflow(&self) -> u32 {
        (self.lanes[2] >> 32) as u32
    }

    fn put(&mut self, place: usize, tag: u16, number: u32) {
        self.lanes[place / 4] |= u64::from(tag) << (place % 4 * 16);
        self.refs[place] = number;
    }

    fn add_overflow(&mut self, bit: u32) {
        self.lanes[2] |= u64::from(bit) << 32;
    }
}

/// What a group says to a hash: the places that fit, and whether more may lie in the next.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: usize,
    fitting: Fitting,
    goes_on: bool,
}

impl Mark {
    fn is_any(self) -> bool {
        self.fitting != 0 || self.goes_on
    }
}

/// The place that the lowest bit stands for.
#[inline]
fn place_of(fitting: Fitting) -> usize {
    let bit = fitting.trailing_zeros() as usize;
    (15 - bit % 16) * 4 + bit / 16
}

impl Names {
    fn new(lists: &[Arc<RuleSet>], count: usize, seed: u64) -> Self {
        let groups = count * PLACES_PER_RULE.0 / PLACES_PER_RULE.1 / GROUP + 1;
        let mut next = 0u32;
        let base = |set: &Arc<RuleSet>| {
            let base = next;
            // The builder refuses what goes beyond.
            next = next.saturating_add(set.id_end());
            base
        };
        Self {
            groups: given_back(groups, Group::EMPTY),
            bases: lists.iter().map(base).collect(),
            hasher: FixedState::with_seed(seed),
            labels_max: 0,
            has_root: false,
        }
    }

    fn insert(&mut self, wire: &[u8], list: u16, id: u32) {
        let (hash, labels) = hash_whole(&self.hasher, wire);
        self.labels_max = self.labels_max.max(labels);
        self.has_root |= labels == 0;
        let mut at = home(hash, self.groups.len());
        loop {
            let group = &mut self.groups[at];
            let free = group.fitting(EMPTY);
            if free != 0 {
                return group.put(place_of(free), tag(hash), self.bases[usize::from(list)] + id);
            }
            group.add_overflow(overflow_bit(hash));
            at = self.after(at);
        }
    }

    /// Calls `found` for every rule whose name is `name` or above it, with the octets and the labels of the rule's name and
    /// how many labels `name` has more; shortest suffix first.
    #[inline]
    fn matches(&self, name: &Name, lists: &[Arc<RuleSet>], mut found: impl FnMut(RuleRef, usize, u8, usize)) {
        let wire = name.as_wire();
        let mut offsets = [0; LABELS_MAX];
        let count = name.label_offsets(&mut offsets);
        let mut hasher = self.hasher.build_hasher();
        if self.has_root {
            self.probe(hasher.clone().finish(), &wire[wire.len() - 1..], lists, |rule| found(rule, 1, 0, count));
        }
        // Suffixes are looked up several at a time, step by step: so the processor waits for the groups of all of them
        // at once, not for one after the other.
        let (mut end, first) = (count, count.saturating_sub(self.labels_max));
        while end > first {
            let begin = end.saturating_sub(AT_ONCE).max(first);
            let (mut hashes, mut marks) = ([0u64; AT_ONCE], [Mark::default(); AT_ONCE]);
            for (hash, &start) in hashes.iter_mut().zip(offsets[begin..end].iter().rev()) {
                let start = usize::from(start);
                hasher.write(&wire[start..start + 1 + usize::from(wire[start])]);
                *hash = hasher.clone().finish();
            }
            let mut any = false;
            for (mark, &hash) in marks.iter_mut().zip(&hashes[..end - begin]) {
                *mark = self.look(home(hash, self.groups.len()), hash);
                any |= mark.is_any();
            }
            if any {
                for at in (0..end - begin).filter(|&at| marks[at].is_any()) {
                    let below = end - 1 - at;
                    let suffix = &wire[usize::from(offsets[below])..];
                    let labels = (count - below) as u8;
                    let found = |rule| found(rule, suffix.len(), labels, below);
                    self.follow(marks[at], hashes[at], suffix, lists, found);
                }
            }
            end = begin;
        }
    }

    /// Calls `found` for every rule whose name is exactly the wire name `suffix`.
    fn probe(&self, hash: u64, suffix: &[u8], lists: &[Arc<RuleSet>], found: impl FnMut(RuleRef)) {
        self.follow(self.look(home(hash, self.groups.len()), hash), hash, suffix, lists, found);
    }

    /// What a group says to a hash.
    #[inline]
    fn look(&self, at: usize, hash: u64) -> Mark {
        let group = &self.groups[at];
        Mark { at, fitting: group.fitting(tag(hash)), goes_on: group.overflow() & overflow_bit(hash) != 0 }
    }

    /// Compares the names of the rules that fit, from the group of the mark on.
    #[inline]
    fn follow(&self, mut mark: Mark, hash: u64, suffix: &[u8], lists: &[Arc<RuleSet>], mut found: impl FnMut(RuleRef)) {
        loop {
            while mark.fitting != 0 {
                let rule = self.locate(self.groups[mark.at].refs[place_of(mark.fitting)]);
                mark.fitting &= mark.fitting - 1;
                if lists[usize::from(rule.list)].name_is(rule.id, suffix) {
                    found(rule);
                }
            }
            if !mark.goes_on {
                return;
            }
            mark = self.look(self.after(mark.at), hash);
        }
    }

    fn locate(&self, number: u32) -> RuleRef {
        let list = self.bases.partition_point(|&base| base <= number) - 1;
        RuleRef { list: list as u16, id: number - self.bases[list] }
    }

    fn after(&self, group: usize) -> usize {
        if group + 1 == self.groups.len() { 0 } else { group + 1 }
    }
}

/// A table that goes back to the system when it is dropped. The C library maps what is larger than 32 MiB by itself, and
/// keeps for later what is smaller, once something as large was freed: then each reload of a long list would leave its
/// table behind. What is reserved and never touched takes no memory.
fn given_back<T: Clone>(places: usize, empty: T) -> Vec<T> {
    let reserved = if places * size_of::<T>() < SMALL_TABLE_BYTES { 0 } else { MAPPED_BYTES / size_of::<T>() };
    let mut table = Vec::with_capacity(places.max(reserved));
    table.resize(places, empty);
    table
}

/// Hashes a wire name label by label from the right, as `matches` does on its way; with the number of labels.
fn hash_whole(state: &FixedState, wire: &[u8]) -> (u64, usize) {
    let (mut starts, mut count, mut at) = ([0u8; LABELS_MAX], 0, 0usize);
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
    (hasher.finish(), count)
}

/// The group where a hash belongs: its high bits scaled to the number of groups, which need not be a power of two.
fn home(hash: u64, groups: usize) -> usize {
    ((u128::from(hash) * groups as u128) >> 64) as usize
}

/// The lowest bit of each lane.
const LOW_BITS: u64 = 0x0001_0001_0001_0001;

/// The highest bit of each lane of 16 bits that is zero, and no other.
#[inline]
fn zero_lanes(lanes: u64) -> u64 {
    const ALL_BUT_HIGH: u64 = LOW_BITS * 0x7fff;
    !(((lanes & ALL_BUT_HIGH) + ALL_BUT_HIGH) | lanes | ALL_BUT_HIGH)
}

/// The low octets, which `home` hardly uses; never `EMPTY`.
fn tag(hash: u64) -> u16 {
    (hash as u16).max(1)
}

/// One of 32 bits, told by octets of the hash that neither `tag` nor, for any table there can be, `home` uses.
fn overflow_bit(hash: u64) -> u32 {
    1 << (hash >> 16 & 31)
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
            let Matcher::Name { name, .. } = hit.view.unpack().matcher else { panic!("a rule on a name") };
            assert_eq!(usize::from(hit.labels), name.label_count());
            found.push((hit.rule.list, hit.view.line));
        });
        found.sort_unstable();
        found
    }

    /// Names over a tiny alphabet, so that suffixes are shared all the time.
    fn any_name() -> impl Strategy<Value = Name> {
        prop::collection::vec("[ab]{1,2}", 0..6).prop_map(|labels| match labels.join(".") {
            text if text.is_empty() => Name::ROOT,
            text => text.parse().unwrap(),
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
