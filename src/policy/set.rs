//! A list's rules packed into little memory: about 28 octets for a name of average length.
//!
//! Plain rules on names, of which there are millions, lie one after the other in one piece. What few rules have besides
//! (conditions, an answer of their own) and rules on anything but names lie beside it.

mod view;

pub use view::{Flags, PackedRule, RuleHead, RuleView, What};

use super::{
    pattern::{Compiled, PatternError},
    rule::{Action, Conditions, Effect, LocalData, Matcher, Place, Rule, Scope},
};
use crate::{
    dns::{Name, Rcode},
    prefetch::{lay_out_large, prefetch_at},
};
use ipnet::IpNet;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};
use view::state;

/// The largest line number a packed rule can carry; lines after it are skipped and reported.
pub const LINES_MAX: u32 = (1 << 24) - 1;
/// The most octets the packed rules of one list may take, since their places are 31-bit numbers. The longest list that is
/// read has fewer.
const PACKED_BYTES_MAX: usize = OTHER as usize - 1024;
/// Rules of one list on anything but a plain name: patterns, networks. A database of networks has fewer.
const OTHERS_MAX: usize = 1_000_000;
/// Patterns of one list. Each is compiled to some kilobytes, and some are tried on every name.
const PATTERNS_MAX: usize = 10_000;
/// Records of one answer that a list gives: more don't fit into a response that anybody sends.
const LOCAL_RECORDS_MAX: usize = 256;
/// Rules looked ahead where two versions of a list differ: a screen of lines that somebody added or removed.
const LOOK_AHEAD: usize = 64;
/// Octets before each packed name: one for the flags, three for the line.
const PREFIX_BYTES: usize = 4;
/// Set in the id of a rule that doesn't lie in the packed memory.
const OTHER: u32 = 1 << 31;

/// The rules of one list. Immutable once built, shared between policies.
#[derive(Default, Clone, Debug)]
pub struct RuleSet {
    packed: Vec<u8>,
    names: usize,
    exceptions: usize,
    /// What packed rules have besides, by their ids, ascending.
    extras: Vec<(u32, Extra)>,
    others: Vec<Other>,
    patterns: usize,
    /// Identities of rules that `$badfilter` lines take back.
    disabled: Vec<u64>,
    /// The zone, if the list is one: then its rules have RPZ's order among themselves.
    zone: Option<Box<Name>>,
    /// While the list is read: rules with answers of their own, to which more records may come.
    rewrites: HashMap<u64, u32>,
}

/// What few rules have.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Extra {
    pub rewrite: Option<Arc<LocalData>>,
    /// A code that has no flag of its own.
    pub code: Option<Rcode>,
    pub conditions: Option<Box<Conditions>>,
}

/// A rule on anything but a plain name.
#[derive(Clone, Debug)]
struct Other {
    flags: Flags,
    line: u32,
    matcher: OtherMatcher,
    extra: Option<Box<Extra>>,
}

/// What such a rule looks at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum OtherMatcher {
    Pattern(Arc<Compiled>),
    Address(Place),
    NsName(Scope, Box<Name>),
    NsAddress(Place),
    Client(IpNet),
}

/// What of an answer rules look at, so that nothing is looked for in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    pub addresses: bool,
    pub ns_names: bool,
    pub ns_addresses: bool,
}

impl Needs {
    /// What either needs.
    pub fn and(self, other: Self) -> Self {
        Self {
            addresses: self.addresses || other.addresses,
            ns_names: self.ns_names || other.ns_names,
            ns_addresses: self.ns_addresses || other.ns_addresses,
        }
    }
}

/// Why a rule is not taken into a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    #[error("the list is too long: at most {LINES_MAX} lines and 2 GiB of rules are read")]
    TooLong,
    #[error("the list has more than {PATTERNS_MAX} patterns; the rest is skipped")]
    Patterns,
    #[error("the list has more than {OTHERS_MAX} rules on other things than names; the rest is skipped")]
    Others,
    #[error("the answer has more than {LOCAL_RECORDS_MAX} records; the rest is skipped")]
    Records,
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl RuleSet {
    /// An empty set with room for the rules of a list of `text_bytes` octets, so that a long list is not copied about
    /// while it is read.
    pub fn for_text(text_bytes: usize) -> Self {
        // A line of twenty-two octets and its end become a rule of twenty-eight. What isn't needed is never touched,
        // so it takes no memory, and is given back at the end.
        let mut packed = Vec::with_capacity((text_bytes + text_bytes / 3).min(PACKED_BYTES_MAX));
        lay_out_large(packed.spare_capacity_mut());
        Self { packed, ..Self::default() }
    }

    /// Makes the set a response policy zone, whose rules have RPZ's order.
    pub fn set_zone(&mut self, zone: Name) {
        self.zone = Some(Box::new(zone));
    }

    /// The zone, if the list is a response policy zone.
    pub fn zone(&self) -> Option<&Name> {
        self.zone.as_deref()
    }

    /// Appends a plain rule on a name.
    pub fn push_name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32) -> Result<(), PushError> {
        self.push_packed(Flags::new(effect, scope, false, &Action::Given), name, line)
    }

    /// Appends a rule. Answers of a list's own for the same thing become one rule.
    pub fn push(&mut self, rule: Rule) -> Result<(), PushError> {
        if rule.line > LINES_MAX {
            return Err(PushError::TooLong);
        }
        let Rule { effect, important, action, matcher, conditions, line } = rule;
        let is_rewrite = matches!(action, Action::Rewrite(_));
        let scope = match &matcher {
            Matcher::Name { scope, .. } => *scope,
            _ => Scope::Exact,
        };
        let flags = Flags::new(effect, scope, important, &action);
        let extra = Extra::of(action, conditions);
        let merge_key = is_rewrite.then(|| {
            let mut hasher = state().build_hasher();
            (flags.identity(), &matcher).hash(&mut hasher);
            extra.as_ref().and_then(|extra| extra.conditions.as_ref()).hash(&mut hasher);
            hasher.finish()
        });
        if let Some(id) = merge_key.and_then(|key| self.rewrites.get(&key).copied()) {
            return self.extend_rewrite(id, extra);
        }
        let id = match matcher {
            Matcher::Name { name, .. } => {
                let id = self.packed.len() as u32;
                let with_extra = if extra.is_some() { flags.0 | Flags::EXTRA } else { flags.0 };
                self.push_packed(Flags(with_extra), &name, line)?;
                self.extras.extend(extra.map(|extra| (id, extra)));
                id
            }
            matcher => {
                let is_pattern = matches!(matcher, Matcher::Pattern(_));
                if is_pattern && self.patterns == PATTERNS_MAX {
                    return Err(PushError::Patterns);
                }
                if self.others.len() == OTHERS_MAX {
                    return Err(PushError::Others);
                }
                let matcher = OtherMatcher::new(matcher)?;
                self.patterns += usize::from(is_pattern);
                self.exceptions += usize::from(effect == Effect::Except);
                self.others.push(Other { flags, line, matcher, extra: extra.map(Box::new) });
                (self.others.len() - 1) as u32 | OTHER
            }
        };
        if let Some(key) = merge_key {
            self.rewrites.insert(key, id);
        }
        Ok(())
    }

    /// Takes back every rule that says the same as this one, in this list and in others of its program
    /// (`$badfilter`).
    pub fn disable(&mut self, rule: Rule) {
        self.disabled.extend(Self::identity_of(rule));
    }

    /// What `RuleView::identity` would say of a rule; `None` for one that no set takes.
    pub fn identity_of(rule: Rule) -> Option<u64> {
        let mut one = Self::default();
        one.push(rule).ok()?;
        one.iter().next().map(|(_, view)| view.identity())
    }

    /// What of an answer the rules look at.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for other in &self.others {
            match other.matcher {
                OtherMatcher::Address(_) => needs.addresses = true,
                OtherMatcher::NsName(..) => needs.ns_names = true,
                OtherMatcher::NsAddress(_) => needs.ns_addresses = true,
                OtherMatcher::Pattern(_) | OtherMatcher::Client(_) => {}
            }
        }
        needs
    }

    /// How many rules need a database of autonomous systems, and how many one of countries.
    pub fn places_by_database(&self) -> (usize, usize) {
        let (mut asns, mut countries) = (0, 0);
        for other in &self.others {
            if let OtherMatcher::Address(place) | OtherMatcher::NsAddress(place) = &other.matcher {
                let (asn, country) = place.databases();
                asns += usize::from(asn);
                countries += usize::from(country);
            }
        }
        (asns, countries)
    }

    /// Identities of the rules that are taken back.
    pub fn disabled(&self) -> &[u64] {
        &self.disabled
    }

    /// The same rules, every one an exception.
    pub fn into_exceptions(mut self) -> Self {
        let ids: Vec<u32> = self.packed_ids().collect();
        ids.into_iter().for_each(|id| self.packed[id as usize] |= Flags::EXCEPT);
        self.others.iter_mut().for_each(|other| other.flags.0 |= Flags::EXCEPT);
        self.exceptions = self.len();
        self
    }

    /// The same rules, every one with this effect and action instead of its own (RPZ's per-zone override).
    pub fn with_action(mut self, effect: Effect, action: &Action) -> Self {
        let replaced = |old: Flags| {
            let has_extra = old.0 & Flags::EXTRA;
            Flags(Flags::new(effect, old.scope(), old.is_important(), action).0 | has_extra)
        };
        let own_extra = Extra::of(action.clone(), None);
        let changed = |extra: Option<Extra>| {
            let conditions = extra.and_then(|extra| extra.conditions);
            let base = own_extra.clone();
            match (base, conditions) {
                (None, None) => None,
                (base, conditions) => Some(Extra { conditions, ..base.unwrap_or_default() }),
            }
        };
        let mut old_extras: HashMap<u32, Extra> = std::mem::take(&mut self.extras).into_iter().collect();
        let ids: Vec<u32> = self.packed_ids().collect();
        for id in ids {
            let extra = changed(old_extras.remove(&id));
            let flags = replaced(Flags(self.packed[id as usize])).0 & !Flags::EXTRA;
            self.packed[id as usize] = if extra.is_some() { flags | Flags::EXTRA } else { flags };
            self.extras.extend(extra.map(|extra| (id, extra)));
        }
        for other in &mut self.others {
            other.flags = replaced(other.flags);
            other.extra = changed(other.extra.take().map(|extra| *extra)).map(Box::new);
        }
        self.exceptions = if effect == Effect::Except { self.len() } else { 0 };
        self
    }

    /// Ends the reading: gives back memory reserved but not used.
    pub fn shrink(&mut self) {
        self.packed.shrink_to_fit();
        self.extras.shrink_to_fit();
        self.others.shrink_to_fit();
        self.rewrites = HashMap::new();
    }

    /// How many rules there are, exceptions included.
    pub fn len(&self) -> usize {
        self.names + self.others.len()
    }

    /// How many of them are on plain names.
    pub fn name_count(&self) -> usize {
        self.names
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the rules are exceptions.
    pub fn exceptions(&self) -> usize {
        self.exceptions
    }

    /// Octets of memory held.
    pub fn bytes(&self) -> usize {
        self.packed.capacity()
            + self.extras.capacity() * size_of::<(u32, Extra)>()
            + self.others.capacity() * (size_of::<Other>() + size_of::<Extra>())
    }

    /// All rules with their ids: first those on names, then the others, each in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = (u32, RuleView<'_>)> {
        let others = (0..self.others.len() as u32).map(|index| index | OTHER);
        self.packed_ids().chain(others).map(|id| (id, self.view(id)))
    }

    /// The rules on plain names with their ids.
    pub fn iter_names(&self) -> impl Iterator<Item = (u32, PackedRule<'_>)> {
        self.packed_ids().map(|id| (id, self.packed_at(id)))
    }

    /// The rules on anything else with their ids.
    pub fn iter_others(&self) -> impl Iterator<Item = (u32, &OtherMatcher)> {
        self.others.iter().enumerate().map(|(index, other)| (index as u32 | OTHER, &other.matcher))
    }

    /// The rules on anything else.
    pub fn iter_others_views(&self) -> impl Iterator<Item = RuleView<'_>> {
        (0..self.others.len() as u32).map(|index| self.view(index | OTHER))
    }

    /// What the rule on a name with this id says, if it has exactly this wire name.
    #[inline]
    pub fn named(&self, id: u32, wire: &[u8]) -> Option<RuleHead<'_>> {
        let start = id as usize;
        let (head, name) = self.packed.get(start..start + PREFIX_BYTES + wire.len())?.split_first_chunk()?;
        // The final zero is part of both, so nothing longer has the same octets.
        (name == wire).then(|| self.unpacked(id, *head))
    }

    /// What the rule with this id says.
    pub fn head(&self, id: u32) -> RuleHead<'_> {
        if id & OTHER != 0 {
            let other = &self.others[(id & !OTHER) as usize];
            return RuleHead { flags: other.flags, line: other.line, extra: other.extra.as_deref() };
        }
        self.unpacked(id, self.packed_head(id))
    }

    fn packed_head(&self, id: u32) -> [u8; PREFIX_BYTES] {
        *self.packed[id as usize..].first_chunk().expect("a rule is never shorter")
    }

    #[inline]
    fn unpacked(&self, id: u32, packed: [u8; PREFIX_BYTES]) -> RuleHead<'_> {
        let flags = Flags(packed[0]);
        let extra = if flags.has_extra() { self.extra(id) } else { None };
        RuleHead { flags, line: u32::from_le_bytes(packed) >> 8, extra }
    }

    /// Asks for the memory that `named` reads for a name of so many octets.
    #[inline]
    pub fn prefetch(&self, id: u32, wire_bytes: usize) {
        let start = id as usize;
        prefetch_at(&self.packed, start);
        prefetch_at(&self.packed, start + PREFIX_BYTES + wire_bytes - 1);
    }

    /// Ids are below this, but for those of rules on anything but names.
    pub fn id_end(&self) -> u32 {
        self.packed.len() as u32
    }

    /// Ids of the rules on names, of this set and of another, that don't stand in both in the same order, as far as a look
    /// ahead tells. A list's next version is mostly the same list with some lines more or less; then these are few.
    pub fn unpaired_names(&self, other: &Self) -> (Vec<u32>, Vec<u32>) {
        let (mut own, mut others) = (self.packed_ids(), other.packed_ids());
        let (mut own_ahead, mut others_ahead) = (VecDeque::new(), VecDeque::new());
        let (mut own_unpaired, mut others_unpaired) = (Vec::new(), Vec::new());
        loop {
            own_ahead.extend(own.by_ref().take(LOOK_AHEAD - own_ahead.len()));
            others_ahead.extend(others.by_ref().take(LOOK_AHEAD - others_ahead.len()));
            let (Some(&first), Some(&others_first)) = (own_ahead.front(), others_ahead.front()) else { break };
            let is_same = |own: u32, twin: u32| self.says_the_same(own, other, twin);
            if is_same(first, others_first) {
                own_ahead.pop_front();
                others_ahead.pop_front();
            } else if let Some(missing) = others_ahead.iter().position(|&twin| is_same(first, twin)) {
                others_unpaired.extend(others_ahead.drain(..missing));
            } else if let Some(added) = own_ahead.iter().position(|&own| is_same(own, others_first)) {
                own_unpaired.extend(own_ahead.drain(..added));
            } else {
                own_unpaired.extend(own_ahead.pop_front());
                others_unpaired.extend(others_ahead.pop_front());
            }
        }
        own_unpaired.extend(own_ahead.into_iter().chain(own));
        others_unpaired.extend(others_ahead.into_iter().chain(others));
        (own_unpaired, others_unpaired)
    }

    /// True if a rule on a name says what another set's says, wherever they stand.
    fn says_the_same(&self, id: u32, other: &Self, twin: u32) -> bool {
        let (own, twin_rule) = (self.packed_at(id), other.packed_at(twin));
        own.name == twin_rule.name
            && own.flags().identity() == twin_rule.flags().identity()
            && (!own.flags().has_extra() && !twin_rule.flags().has_extra() || self.extra(id) == other.extra(twin))
    }

    /// The rule on a name with this id.
    pub fn packed_at(&self, id: u32) -> PackedRule<'_> {
        let entry = &self.packed[id as usize..];
        let name = &entry[PREFIX_BYTES..];
        let mut end = 0;
        while name[end] != 0 {
            end += 1 + usize::from(name[end]);
        }
        PackedRule { head: self.packed_head(id), name: &name[..=end] }
    }

    /// What a rule has besides its flags.
    pub fn extra(&self, id: u32) -> Option<&Extra> {
        if id & OTHER != 0 {
            return self.others[(id & !OTHER) as usize].extra.as_deref();
        }
        let at = self.extras.binary_search_by_key(&id, |(own, _)| *own).ok()?;
        Some(&self.extras[at].1)
    }

    /// The rule with an id that `iter` gave.
    pub fn view(&self, id: u32) -> RuleView<'_> {
        let what = match id & OTHER {
            0 => What::Name(self.packed_at(id).name),
            _ => What::Other(&self.others[(id & !OTHER) as usize].matcher),
        };
        RuleView { head: self.head(id), what }
    }

    fn packed_ids(&self) -> impl Iterator<Item = u32> + use<'_> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let id = (at < self.packed.len()).then_some(at as u32)?;
            at += PREFIX_BYTES + self.packed_at(id).name.len();
            Some(id)
        })
    }

    fn push_packed(&mut self, flags: Flags, name: &Name, line: u32) -> Result<(), PushError> {
        if line > LINES_MAX || self.packed.len() > PACKED_BYTES_MAX {
            return Err(PushError::TooLong);
        }
        let [a, b, c, _] = line.to_le_bytes();
        self.packed.extend_from_slice(&[flags.0, a, b, c]);
        self.packed.extend_from_slice(name.as_wire());
        self.names += 1;
        self.exceptions += usize::from(flags.effect() == Effect::Except);
        Ok(())
    }

    /// Adds records to the answer of a rule that is there already.
    fn extend_rewrite(&mut self, id: u32, extra: Option<Extra>) -> Result<(), PushError> {
        let own = match id & OTHER {
            0 => match self.extras.binary_search_by_key(&id, |(own, _)| *own) {
                Ok(at) => Some(&mut self.extras[at].1),
                Err(_) => None,
            },
            _ => self.others[(id & !OTHER) as usize].extra.as_deref_mut(),
        };
        if let (Some(own), Some(more)) = (own.and_then(|own| own.rewrite.as_mut()), extra.and_then(|more| more.rewrite))
        {
            let own = Arc::make_mut(own);
            for record in &more.records {
                if own.records.len() == LOCAL_RECORDS_MAX {
                    return Err(PushError::Records);
                }
                if !own.records.contains(record) {
                    own.records.push(record.clone());
                }
            }
            if own.alias.is_none() {
                (own.alias, own.alias_ttl) = (more.alias.clone(), more.alias_ttl);
            }
        }
        Ok(())
    }
}

impl Extra {
    fn of(action: Action, conditions: Option<Box<Conditions>>) -> Option<Self> {
        let mut extra = Self { conditions, ..Self::default() };
        match action {
            Action::Rewrite(data) => extra.rewrite = Some(data),
            Action::Code(code) if !matches!(code, Rcode::NXDOMAIN | Rcode::REFUSED) => extra.code = Some(code),
            _ => {}
        }
        (extra != Self::default()).then_some(extra)
    }
}

impl OtherMatcher {
    /// `matcher` is not a plain name, which is packed.
    fn new(matcher: Matcher) -> Result<Self, PatternError> {
        Ok(match matcher {
            Matcher::Pattern(pattern) => Self::Pattern(Arc::new(Compiled::new(pattern)?)),
            Matcher::Address(place) => Self::Address(place),
            Matcher::NsName { scope, name } => Self::NsName(scope, name),
            Matcher::NsAddress(place) => Self::NsAddress(place),
            Matcher::Client(net) => Self::Client(net),
            Matcher::Name { .. } => unreachable!("names are packed"),
        })
    }
}
