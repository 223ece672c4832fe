//! Rules: what one line of a list means, and a list's rules packed into one piece of memory.

use crate::dns::{Name, NameError};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// What a matching rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    Block,
    /// Lets pass what other rules of the same program block.
    Except,
}

/// Which names a rule's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// That name alone.
    Exact,
    /// That name and every name below it.
    Subtree,
    /// Every name below it, not the name itself.
    Below,
}

impl Scope {
    /// True if a rule of this scope matches a name that has `below` labels more than the rule's own.
    pub fn covers(self, below: usize) -> bool {
        match self {
            Self::Exact => below == 0,
            Self::Subtree => true,
            Self::Below => below > 0,
        }
    }
}

/// One rule, as it stands on one line of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    pub effect: Effect,
    pub scope: Scope,
    pub name: Name,
    /// Line number in the list, from 1.
    pub line: u32,
}

/// The largest line number a packed rule can carry; lines after it are skipped and reported.
pub const LINES_MAX: u32 = (1 << 24) - 1;
/// The most octets the packed rules of one list may take, since their offsets are 32-bit.
const PACKED_BYTES_MAX: usize = u32::MAX as usize - 1024;
/// Octets before each packed name: one for effect and scope, three for the line.
const PREFIX_BYTES: usize = 4;

/// The rules of one list, packed: about 28 octets a name. Immutable once built, shared between policies.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    packed: Vec<u8>,
    count: usize,
    exceptions: usize,
}

/// A list has more rules than one `RuleSet` holds, or a line beyond `LINES_MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list is too long: at most {LINES_MAX} lines and 4 GiB of rules")]
pub struct TooLong;

impl RuleSet {
    /// Appends a rule.
    pub fn push(&mut self, rule: &Rule) -> Result<(), TooLong> {
        if rule.line > LINES_MAX || self.packed.len() > PACKED_BYTES_MAX {
            return Err(TooLong);
        }
        let flags = (rule.effect == Effect::Except) as u8 | (rule.scope as u8) << 1;
        let [a, b, c, _] = rule.line.to_le_bytes();
        self.packed.extend_from_slice(&[flags, a, b, c]);
        self.packed.extend_from_slice(rule.name.as_wire());
        self.count += 1;
        self.exceptions += usize::from(rule.effect == Effect::Except);
        Ok(())
    }

    /// An empty set with room for the rules of a list of `text_bytes` octets, so that a long list is not copied about
    /// while it is read.
    pub fn for_text(text_bytes: usize) -> Self {
        // A line of twenty-two octets and its end become a rule of twenty-eight.
        Self { packed: Vec::with_capacity(text_bytes + text_bytes / 4), ..Self::default() }
    }

    /// The same rules, every one an exception.
    pub fn into_exceptions(mut self) -> Self {
        let offsets: Vec<u32> = self.iter().map(|(offset, _)| offset).collect();
        offsets.into_iter().for_each(|offset| self.packed[offset as usize] |= 1);
        self.exceptions = self.count;
        self
    }

    /// Gives back memory reserved but not used.
    pub fn shrink(&mut self) {
        self.packed.shrink_to_fit();
    }

    /// How many rules there are, exceptions included.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many of the rules are exceptions.
    pub fn exceptions(&self) -> usize {
        self.exceptions
    }

    /// Octets of memory held.
    pub fn bytes(&self) -> usize {
        self.packed.capacity()
    }

    /// All rules with their offsets, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = (u32, PackedRule<'_>)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rule = (at < self.packed.len()).then(|| self.at(at as u32))?;
            let offset = at as u32;
            at += PREFIX_BYTES + rule.name.len();
            Some((offset, rule))
        })
    }

    /// The rule at an offset that `iter` gave.
    pub fn at(&self, offset: u32) -> PackedRule<'_> {
        let entry = &self.packed[offset as usize..];
        let flags = entry[0];
        let name = &entry[PREFIX_BYTES..];
        let mut end = 0;
        while name[end] != 0 {
            end += 1 + usize::from(name[end]);
        }
        PackedRule { flags, line: [entry[1], entry[2], entry[3]], name: &name[..=end] }
    }
}

/// A rule where it lies.
#[derive(Clone, Copy, Debug)]
pub struct PackedRule<'a> {
    flags: u8,
    line: [u8; 3],
    /// The wire form of the rule's name.
    pub name: &'a [u8],
}

impl PackedRule<'_> {
    pub fn effect(&self) -> Effect {
        if self.flags & 1 == 0 { Effect::Block } else { Effect::Except }
    }

    pub fn scope(&self) -> Scope {
        match self.flags >> 1 {
            0 => Scope::Exact,
            1 => Scope::Subtree,
            _ => Scope::Below,
        }
    }

    pub fn line(&self) -> u32 {
        u32::from_le_bytes([self.line[0], self.line[1], self.line[2], 0])
    }

    /// A hash of what the rule says, not of where: equal rules have equal ones.
    pub fn identity(&self) -> u64 {
        FixedState::with_seed(0).hash_one((self.flags, self.name))
    }

    /// The rule with a name of its own.
    pub fn unpack(&self) -> Result<Rule, NameError> {
        let name = Name::from_wire(self.name)?;
        Ok(Rule { effect: self.effect(), scope: self.scope(), name, line: self.line() })
    }
}
