//! Finds the rules on a name and on every name above it, among millions.
//!
//! One open-addressing table over the names of all lists: for each rule nine bits of its name's hash and where the rule
//! lies. A name's suffixes are looked up by those bits, and what fits is compared octet by octet, so a match is never a
//! guess. Equal names of several lists sit near each other.
//!
//! A table of millions lies beyond the processor's caches, and there one access to memory takes as long as all the rest
//! of a decision; a name that is found takes two in a row, to its group and to the rule. So looking up goes in three
//! steps, each for several names before the next: `hash` asks for the groups, `look` reads them and asks for the rules
//! that fit, `matches` compares. Whoever has several names pays the wait once for all.

use super::{
    places::RuleRef,
    set::{RuleHead, RuleSet},
};
use crate::{
    dns::{LABELS_MAX, Name},
    prefetch::{lay_out_large, prefetch_at},
};
use foldhash::fast::FixedState;
use std::{hash::BuildHasher, sync::Arc};

/// Places for each three rules. Of as many rules one in thirty finds its group full; with eight places for each seven it
/// is one in twelve, and each of those costs whoever looks for it one more wait for memory.
const PLACES_PER_RULE: (usize, usize) = (4, 3);
/// Places that share a line of the cache.
const GROUP: usize = 2 * LANES;
/// Places whose tags share a word.
const LANES: usize = 6;
/// Bits of a tag. Of the names that aren't there one in fifty fits some rule of its group and is compared with it, and as
/// many go on to the next group; with a bit more or less for tags, and less or more for the overflow, it is more of them.
const TAG_BITS: usize = 9;
/// Bits of each word that are for the overflow, of the ten that tags leave.
const OVERFLOW_BITS: usize = 8;
/// Suffixes looked up at once: hardly any name has more.
const AT_ONCE: usize = 8;
/// Octets that the C library always maps by themselves.
const MAPPED_BYTES: usize = 33 << 20;
/// A table that is not worth it.
const SMALL_TABLE_BYTES: usize = 1 << 19;
/// Tag of a place where nothing lies.
const EMPTY: u16 = 0;

/// The table over names.
pub struct Table {
    groups: Vec<Group>,
    /// For each list the number that its first rule has; ascending.
    bases: Vec<u32>,
    keys: Keys,
    /// For each number of labels which of 256 hashes rules' names have: hardly any rule is on a name of one label or of
    /// seven, so most such suffixes need not be looked up.
    depths: Box<[[u64; 4]; LABELS_MAX + 1]>,
    /// The most labels that a rule's name has.
    deepest: usize,
}

/// What the table says of a name's suffixes, as far as it was read ahead.
#[derive(Clone, Copy)]
pub struct Foreseen {
    suffixes: [Suffix; AT_ONCE],
    count: u8,
    /// Suffixes of so many labels, and shorter ones, were looked at.
    done: u8,
    /// Labels of the name.
    labels: u8,
    /// Octets of the name's wire form.
    wire_bytes: u8,
}

/// A rule whose name is a name that was looked up, or above it.
pub struct NameMatch<'a> {
    pub rule: RuleRef,
    pub head: RuleHead<'a>,
    /// Labels of the rule's name.
    pub labels: u8,
    /// Labels that the name looked up has more.
    pub below: usize,
}

/// A suffix that may stand in the table.
#[derive(Clone, Copy)]
struct Suffix {
    hash: u64,
    /// Places of its group that fit.
    fitting: Fitting,
    group: u32,
    /// Where the rule in the first of those lies.
    first: RuleRef,
    /// More may lie in the next group.
    goes_on: bool,
    /// Where it begins in the name's wire form.
    start: u8,
    labels: u8,
}

impl Suffix {
    const NOTHING: Self =
        Self { hash: 0, fitting: 0, group: 0, first: RuleRef { list: 0, id: 0 }, goes_on: false, start: 0, labels: 0 };
}

impl Foreseen {
    /// Of a name that nothing is known of yet.
    pub const NOTHING: Self =
        Self { suffixes: [Suffix::NOTHING; AT_ONCE], count: 0, done: 0, labels: 0, wire_bytes: 0 };

    fn suffixes(&self) -> &[Suffix] {
        &self.suffixes[..usize::from(self.count).min(AT_ONCE)]
    }
}

/// Places for rules in one line of the processor's cache, so that looking into a group costs one access to memory.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Group {
    /// The tags, six lanes of nine bits in a word, the lowest first: each is part of its rule's hash, or `EMPTY` where no
    /// rule lies. Above them, in both words together, the bits that `goes_on` reads.
    words: [u64; 2],
    /// Where each rule lies, in the numbering of `bases`.
    refs: [u32; GROUP],
}

/// A bit for each place of a group, as `place_of` numbers them.
type Fitting = u64;

impl Group {
    const EMPTY: Self = Self { words: [0; 2], refs: [0; GROUP] };

    /// The places whose tag is `tag`.
    #[inline]
    fn fitting(&self, tag: u16) -> Fitting {
        let wanted = u64::from(tag) * LOW_BITS;
        let [first, second] = self.words.map(|word| zero_lanes(word ^ wanted));
        first | second >> 1
    }

    /// True if a rule with this hash may lie further on: for each that does, because the group was full, a bit of its
    /// hash is kept, so that who looks for a rule that isn't there hardly ever looks further.
    #[inline]
    fn goes_on(&self, hash: u64) -> bool {
        let (word, bit) = overflow_bit(hash);
        self.words[word] & bit != 0
    }

    fn put(&mut self, place: usize, tag: u16, number: u32) {
        self.words[place / LANES] |= u64::from(tag) << (place % LANES * TAG_BITS);
        self.refs[place] = number;
    }

    fn go_on(&mut self, hash: u64) {
        let (word, bit) = overflow_bit(hash);
        self.words[word] |= bit;
    }
}

/// The place that the lowest bit stands for.
#[inline]
fn place_of(fitting: Fitting) -> usize {
    let bit = fitting.trailing_zeros() as usize;
    (TAG_BITS - 1 - bit % TAG_BITS) * LANES + bit / TAG_BITS
}

impl Table {
    /// An empty table with room for `count` rules of these lists. `seed` keys the hash.
    pub fn new(lists: &[Arc<RuleSet>], count: usize, seed: u64) -> Self {
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
            keys: Keys::new(seed),
            depths: Box::new([[0; 4]; LABELS_MAX + 1]),
            deepest: 0,
        }
    }

    /// Octets of the table, without the lists' own.
    pub fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>()
    }

    /// Adds a rule by the wire form of its name.
    pub fn insert(&mut self, wire: &[u8], list: u16, id: u32) {
        let (hash, labels) = self.keys.hash_name(wire);
        self.deepest = self.deepest.max(labels);
        let (word, bit) = depth_bit(hash);
        self.depths[labels][word] |= bit;
        let mut at = home(hash, self.groups.len());
        loop {
            let group = &mut self.groups[at];
            let free = group.fitting(EMPTY);
            if free != 0 {
                return group.put(place_of(free), tag(hash), self.bases[usize::from(list)] + id);
            }
            group.go_on(hash);
            at = self.after(at);
        }
    }

    /// The first step for a name: its suffixes of more than `done` labels, the shortest first, as many as there is room
    /// for.
    #[inline]
    pub fn hash(&self, name: &Name, done: usize, foreseen: &mut Foreseen) {
        let mut offsets = [0; LABELS_MAX];
        let labels = name.label_offsets(&mut offsets);
        let (before, rest) = offsets[..labels].split_at(labels - done);
        let mut state =
            rest.iter().rev().fold(self.keys.start, |state, &at| self.keys.label(state, name.octets_at(at)));
        let more = before.len().min(self.deepest.saturating_sub(done)).min(AT_ONCE);
        let starts = before[before.len() - more..].iter().rev();
        // Hashed first, and then looked at: together they are more than the processor's registers hold.
        let mut hashes = [0; AT_ONCE];
        for (&start, hash) in starts.clone().zip(&mut hashes) {
            state = self.keys.label(state, name.octets_at(start));
            *hash = state;
        }
        let seen = done + more;
        let mut count = 0;
        for (((&start, &hash), depth), labels) in
            starts.zip(&hashes).zip(&self.depths[done + 1..]).zip(done as u8 + 1..)
        {
            // Written in any case and counted if it may be there, because a branch would be foretold wrongly too often.
            let Some(suffix) = foreseen.suffixes.get_mut(count) else { break };
            let group = home(hash, self.groups.len());
            prefetch_at(&self.groups, group);
            (suffix.hash, suffix.group, suffix.start, suffix.labels) = (hash, group as u32, start, labels);
            let (word, bit) = depth_bit(hash);
            count += usize::from(depth[word] & bit != 0);
        }
        foreseen.count = count as u8;
        foreseen.done = seen as u8;
        foreseen.labels = labels as u8;
        foreseen.wire_bytes = name.as_wire().len() as u8;
    }

    /// The second step: what the groups say. Suffixes that no rule can be on are left out.
    #[inline]
    pub fn look(&self, foreseen: &mut Foreseen, lists: &[Arc<RuleSet>]) {
        let Foreseen { suffixes, count, wire_bytes, .. } = foreseen;
        let mut kept = 0;
        for at in 0..usize::from(*count).min(AT_ONCE) {
            let suffix = suffixes[at];
            let group = &self.groups[suffix.group as usize];
            let (fitting, goes_on) = (group.fitting(tag(suffix.hash)), group.goes_on(suffix.hash));
            // As in `hash`: which of a name's suffixes there is a rule on can't be foretold.
            suffixes[kept] = Suffix { fitting, goes_on, ..suffix };
            kept += usize::from((fitting != 0) | goes_on);
        }
        *count = kept as u8;
        for suffix in &mut suffixes[..kept] {
            if suffix.goes_on {
                prefetch_at(&self.groups, suffix.group as usize + 1);
            }
            let mut fitting = suffix.fitting;
            while fitting != 0 {
                let rule = self.locate(self.groups[suffix.group as usize].refs[place_of(fitting)]);
                let suffix_bytes = wire_bytes.saturating_sub(suffix.start);
                lists[usize::from(rule.list)].prefetch(rule.id, usize::from(suffix_bytes));
                if fitting == suffix.fitting {
                    suffix.first = rule;
                }
                fitting &= fitting - 1;
            }
        }
    }

    /// The last step: calls `found` for every rule whose name is `name` or above it; shortest suffix first. `foreseen`
    /// comes from the steps before, for this name and from 0 labels on.
    #[inline]
    pub fn matches<'a>(
        &self,
        name: &Name,
        foreseen: &Foreseen,
        lists: &'a [Arc<RuleSet>],
        mut found: impl FnMut(NameMatch<'a>),
    ) {
        if self.depths[0] != [0; 4] {
            let below = usize::from(foreseen.labels);
            self.named(&[0], lists, |rule, head| found(NameMatch { rule, head, labels: 0, below }));
        }
        if foreseen.count > 0 {
            self.follow_all(name, foreseen, lists, &mut found);
        }
        let last = usize::from(foreseen.labels).min(self.deepest);
        if usize::from(foreseen.done) < last {
            self.match_longer(name, usize::from(foreseen.done), last, lists, &mut found);
        }
    }

    /// Goes on with the suffixes that there was no room for: those of more than `done` labels, and of `last` at most.
    #[cold]
    fn match_longer<'a>(
        &self,
        name: &Name,
        mut done: usize,
        last: usize,
        lists: &'a [Arc<RuleSet>],
        found: &mut impl FnMut(NameMatch<'a>),
    ) {
        while done < last {
            let mut next = Foreseen::NOTHING;
            self.hash(name, done, &mut next);
            self.look(&mut next, lists);
            self.follow_all(name, &next, lists, found);
            done = usize::from(next.done);
        }
    }

    /// Calls `found` for every rule whose name is exactly the wire name `wire`.
    pub fn named<'a>(&self, wire: &[u8], lists: &'a [Arc<RuleSet>], mut found: impl FnMut(RuleRef, RuleHead<'a>)) {
        let (hash, _) = self.keys.hash_name(wire);
        self.search(hash, home(hash, self.groups.len()), wire, lists, &mut found);
    }

    #[inline]
    fn follow_all<'a>(
        &self,
        name: &Name,
        foreseen: &Foreseen,
        lists: &'a [Arc<RuleSet>],
        found: &mut impl FnMut(NameMatch<'a>),
    ) {
        for suffix in foreseen.suffixes() {
            let wire = &name.as_wire()[usize::from(suffix.start)..];
            let (labels, below) = (suffix.labels, usize::from(foreseen.labels - suffix.labels));
            let mut found = |rule, head| found(NameMatch { rule, head, labels, below });
            if suffix.fitting != 0 {
                // Nearly always there is one, and it was found before: neither its group nor its list is searched again.
                let Suffix { first, fitting, .. } = *suffix;
                if let Some(head) = lists[usize::from(first.list)].named(first.id, wire) {
                    found(first, head);
                }
                let others = fitting & (fitting - 1);
                if others != 0 {
                    self.compare(suffix.group as usize, others, wire, lists, &mut found);
                }
            }
            if suffix.goes_on {
                self.search(suffix.hash, self.after(suffix.group as usize), wire, lists, &mut found);
            }
        }
    }

    /// Looks into a group, and into those after it as long as it goes on.
    fn search<'a>(
        &self,
        hash: u64,
        mut group: usize,
        wire: &[u8],
        lists: &'a [Arc<RuleSet>],
        found: &mut impl FnMut(RuleRef, RuleHead<'a>),
    ) {
        loop {
            self.compare(group, self.groups[group].fitting(tag(hash)), wire, lists, found);
            if !self.groups[group].goes_on(hash) {
                return;
            }
            group = self.after(group);
        }
    }

    /// Compares the names of the rules in these places of a group.
    #[inline]
    fn compare<'a>(
        &self,
        group: usize,
        mut places: Fitting,
        wire: &[u8],
        lists: &'a [Arc<RuleSet>],
        found: &mut impl FnMut(RuleRef, RuleHead<'a>),
    ) {
        while places != 0 {
            let rule = self.locate(self.groups[group].refs[place_of(places)]);
            places &= places - 1;
            if let Some(head) = lists[usize::from(rule.list)].named(rule.id, wire) {
                found(rule, head);
            }
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
    lay_out_large(&mut table.spare_capacity_mut()[..places]);
    table.resize(places, empty);
    table
}

/// A keyed hash of names, label by label from the right. Labels of up to fifteen octets, almost all there are, take the
/// same few steps whatever their length, since a wrongly foretold branch costs as much as hashing three of them.
struct Keys {
    start: u64,
    label: u64,
}

/// Octets taken at once.
const BLOCK: usize = 16;
/// For each number of octets, the bits that they are of a block's two halves.
const OF_BLOCK: [[u64; 2]; BLOCK + 1] = {
    let (mut all, mut length) = ([[0; 2]; BLOCK + 1], 1);
    while length <= BLOCK {
        let bits = u128::MAX >> ((BLOCK - length) * 8);
        all[length] = [bits as u64, (bits >> 64) as u64];
        length += 1;
    }
    all
};

impl Keys {
    fn new(seed: u64) -> Self {
        let [start, label] = [0u8, 1].map(|key| FixedState::with_seed(seed).hash_one(key));
        Self { start, label }
    }

    /// Goes on with a label; `octets` begin with its length octet.
    #[inline]
    fn label(&self, state: u64, octets: &[u8]) -> u64 {
        match octets.first_chunk::<BLOCK>() {
            Some(block) if usize::from(block[0]) < BLOCK => self.block(state, *block, 1 + usize::from(block[0])),
            _ => self.blocks(state, octets),
        }
    }

    /// The same for a label that is longer than a block, or whose octets end before one does.
    #[cold]
    fn blocks(&self, state: u64, octets: &[u8]) -> u64 {
        let label = &octets[..1 + usize::from(octets[0])];
        label.chunks(BLOCK).fold(state, |state, part| {
            let mut block = [0; BLOCK];
            block[..part.len()].copy_from_slice(part);
            self.block(state, block, part.len())
        })
    }

    /// Mixes in the first `length` octets of a block.
    #[inline]
    fn block(&self, state: u64, block: [u8; BLOCK], length: usize) -> u64 {
        let all = u128::from_le_bytes(block);
        let [low, high] = OF_BLOCK[length];
        folded(state ^ all as u64 & low, self.label ^ (all >> 64) as u64 & high)
    }

    /// Hashes a whole wire name; with the number of its labels.
    fn hash_name(&self, wire: &[u8]) -> (u64, usize) {
        let (mut starts, mut count, mut at) = ([0u8; LABELS_MAX], 0, 0usize);
        while wire[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(wire[at]);
        }
        let label = |state, &start: &u8| self.label(state, &wire[usize::from(start)..]);
        (starts[..count].iter().rev().fold(self.start, label), count)
    }
}

/// The halves of a product, mixed: each bit of the result depends on all of both.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The group where a hash belongs: its high bits scaled to the number of groups, which need not be a power of two.
fn home(hash: u64, groups: usize) -> usize {
    ((u128::from(hash) * groups as u128) >> 64) as usize
}

/// The lowest bit of each lane.
const LOW_BITS: u64 = {
    let (mut bits, mut lane) = (0, 0);
    while lane < LANES {
        bits |= 1 << (lane * TAG_BITS);
        lane += 1;
    }
    bits
};

/// The highest bit of each lane that is zero, and no other.
#[inline]
fn zero_lanes(lanes: u64) -> u64 {
    const HIGH_BITS: u64 = LOW_BITS << (TAG_BITS - 1);
    const ALL_BUT_HIGH: u64 = HIGH_BITS - LOW_BITS;
    !(((lanes & ALL_BUT_HIGH) + ALL_BUT_HIGH) | lanes) & HIGH_BITS
}

/// The lowest bits, which `home` hardly uses; never `EMPTY`.
fn tag(hash: u64) -> u16 {
    (hash as u16 & ((1 << TAG_BITS) - 1)).max(EMPTY + 1)
}

/// One of the bits of a depth: its word and its value.
fn depth_bit(hash: u64) -> (usize, u64) {
    ((hash >> 30 & 3) as usize, 1 << (hash >> 24 & 63))
}

/// One of the bits of a group's overflow: its word and its value. Told by bits of the hash that neither `tag` nor, for any
/// table there can be, `home` uses.
fn overflow_bit(hash: u64) -> (usize, u64) {
    ((hash >> 19 & 1) as usize, 1 << (64 - OVERFLOW_BITS + (hash >> 16) as usize % OVERFLOW_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_places_and_overflow_are_told_apart() {
        const TAGS_END: u16 = 1 << TAG_BITS;
        for first in [1, 2, TAGS_END / 2, TAGS_END - GROUP as u16] {
            let (mut group, tags) = (Group::EMPTY, first..first + GROUP as u16);
            for (taken, tag) in tags.clone().enumerate() {
                let free = group.fitting(EMPTY);
                assert_eq!(free.count_ones() as usize, GROUP - taken);
                group.put(place_of(free), tag, u32::from(tag));
            }
            for hash in (0..2 * OVERFLOW_BITS as u64).map(|bits| bits << 16) {
                assert!(!group.goes_on(hash), "{hash:x}");
                group.go_on(hash);
                assert!(group.goes_on(hash), "{hash:x}");
                for tag in 0..TAGS_END {
                    let fitting = group.fitting(tag);
                    assert_eq!(fitting.count_ones(), u32::from(tags.contains(&tag)), "{tag}");
                    assert!(fitting == 0 || group.refs[place_of(fitting)] == u32::from(tag), "{tag}");
                }
            }
        }
    }
}
