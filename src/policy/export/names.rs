//! Rules on names by the names that they stand for, with the order of precedence among them worked out: what others need
//! who know only "this name" and "everything below it".
//!
//! A rule stands for up to two *places*: the name itself, and everything below it. At each place the strongest of all
//! rules that cover it decides, and that is what is written. Whoever then takes the longest place that matches a name
//! comes to the same as the rules do: what covers a name covers its longest place too.

use super::{ExportError, chosen::Chosen, told::Telling};
use crate::{
    dns::{Name, Rcode},
    policy::{Action, Effect, Matcher, Rule, RuleView, Scope, What},
};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

/// Why rules are left out of every form of names.
pub const PATTERN: &str = "patterns can't be said";
pub const CONDITIONS: &str = "conditions (type, client, tag, names not meant) can't be said";
pub const ADDRESSES: &str = "rules on addresses, name servers and clients can't be said";
pub const ANSWER: &str = "their own answer can't be said";
pub const ODD_NAME: &str = "the name can't be said";
pub const TAKEN_FROM: &str =
    "an exception or an answer of its own below or above can't be said, and without it more would be blocked";

/// What a place is: a name, or everything below one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub name: Name,
    pub is_below: bool,
}

impl Place {
    pub fn of(scope: Scope, name: Name) -> impl Iterator<Item = Self> {
        let (itself, below) = (scope != Scope::Below, scope != Scope::Exact);
        let itself = itself.then_some(Self { name, is_below: false });
        itself.into_iter().chain(below.then_some(Self { name, is_below: true }))
    }
}

/// The order of precedence, ascending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rank {
    Block,
    Except,
    ImportantBlock,
    ImportantExcept,
    Owner,
}

impl Rank {
    pub fn of(effect: Effect, important: bool) -> Self {
        match (effect, important) {
            (Effect::Block, false) => Self::Block,
            (Effect::Except, false) => Self::Except,
            (Effect::Block, true) => Self::ImportantBlock,
            (Effect::Except, true) => Self::ImportantExcept,
        }
    }

    pub fn is_exception(self) -> bool {
        matches!(self, Self::Except | Self::ImportantExcept | Self::Owner)
    }
}

/// How strong a rule is where it covers: its rank; among equals an exact name, then the longer; then what came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Strength {
    rank: Rank,
    is_exact: bool,
    labels: usize,
    /// Counted down.
    order: u64,
}

impl Strength {
    pub fn new(rank: Rank, scope: Scope, name: &Name, order: u64) -> Self {
        Self { rank, is_exact: scope == Scope::Exact, labels: name.label_count(), order: u64::MAX - order }
    }
}

/// A rule that isn't a plain block.
#[derive(Clone, Debug)]
pub struct Special {
    pub scope: Scope,
    pub rank: Rank,
    pub strength: Strength,
    /// It holds for every question and client.
    pub is_whole: bool,
    pub action: Action,
}

/// Rules by their names. Only the few that aren't plain blocks are kept.
#[derive(Default)]
pub struct Specials {
    at: HashMap<Name, Vec<Special>>,
    /// The highest rank of what stands below a name.
    below: HashMap<Name, Rank>,
}

impl Specials {
    pub fn push(&mut self, name: Name, special: Special) {
        for count in 1..=name.label_count() {
            let highest = self.below.entry(name.ancestor(count)).or_insert(special.rank);
            *highest = special.rank.max(*highest);
        }
        self.at.entry(name).or_default().push(special);
    }

    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub fn is_at(&self, name: &Name) -> bool {
        self.at.contains_key(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Special)> {
        self.at.iter().flat_map(|(name, specials)| specials.iter().map(move |special| (name, special)))
    }

    /// The strongest that covers a whole place.
    pub fn strongest(&self, place: &Place) -> Option<&Special> {
        if self.at.is_empty() {
            return None;
        }
        let ancestors = (0..=place.name.label_count()).map(|count| (count, place.name.ancestor(count)));
        let found = ancestors.filter_map(|(count, name)| Some((count, self.at.get(&name)?)));
        let covers = |special: &Special, count: usize| match place.is_below {
            false => special.scope.covers(count),
            true => special.scope != Scope::Exact,
        };
        let covering = found.flat_map(|(count, specials)| specials.iter().filter(move |&one| covers(one, count)));
        covering.max_by_key(|special| special.strength)
    }

    /// True if an exception takes all of a place, so that a rule isn't in force there.
    pub fn beats(&self, place: &Place, own: Strength) -> bool {
        let is_beaten = |special: &Special| special.is_whole && special.rank.is_exception() && special.strength > own;
        self.strongest(place).is_some_and(is_beaten)
    }

    /// True if something this strong or stronger stands inside a place, or covers it and is stronger.
    pub fn takes_from(&self, place: &Place, own: Strength) -> bool {
        let inside = || place.is_below && self.below.get(&place.name).is_some_and(|&rank| rank >= own.rank);
        self.strongest(place).is_some_and(|special| special.strength > own) || inside()
    }
}

/// What a form can say.
pub struct Able {
    /// Exceptions.
    pub exceptions: bool,
    /// An action as something that blocks, whatever the program's own is.
    pub action: fn(&Action) -> bool,
    /// A name.
    pub name: fn(&Name) -> bool,
}

/// The rules of a program on names, sorted.
pub struct Sorted {
    /// What the form says, but for plain blocks.
    pub said: Specials,
    /// What it can't say and others are to stay clear of.
    pub unsaid: Specials,
}

/// A plain block on a name: millions of rules are.
pub fn is_plain_block(rule: &RuleView<'_>) -> bool {
    let flags = rule.head.flags;
    matches!(rule.what, What::Name(_))
        && flags.effect() == Effect::Block
        && !flags.is_important()
        && rule.head.extra.is_none()
        && rule.head.action() == Action::Given
}

/// Goes through all rules once and sorts those that aren't plain.
pub fn sort(chosen: &Chosen<'_>, able: &Able, telling: &mut Telling) -> Result<Sorted, ExportError> {
    let mut sorted = Sorted { said: Specials::default(), unsaid: Specials::default() };
    for (place, rule) in chosen.owners() {
        put_aside(&mut sorted, able, &rule, Rank::Owner, 0, &place)?;
    }
    for (order, (list, view)) in (0..).zip(chosen.rules()) {
        if is_plain_block(&view) {
            continue;
        }
        let rule = view.unpack();
        let rank = Rank::of(rule.effect, rule.important);
        let place = || chosen.place(list, rule.line);
        if !rank.is_exception() && !chosen.is_asked_for(list) {
            continue;
        }
        if !rank.is_exception()
            && let Some(why) = unsayable(&rule, able)
        {
            telling.leave(why, place);
        }
        put_aside(&mut sorted, able, &rule, rank, order, &place())?;
    }
    Ok(sorted)
}

/// Why a rule that blocks can't be said.
fn unsayable(rule: &Rule, able: &Able) -> Option<&'static str> {
    match &rule.matcher {
        Matcher::Pattern(_) => Some(PATTERN),
        Matcher::Name { .. } if rule.conditions.is_some() => Some(CONDITIONS),
        Matcher::Name { name, .. } if !(able.name)(name) => Some(ODD_NAME),
        Matcher::Name { .. } => (!(able.action)(&rule.action)).then_some(ANSWER),
        // Those on networks may find a place of their own.
        _ => None,
    }
}

/// True if a rule gives something instead of the real answer, and is no block.
pub fn has_own_answer(action: &Action) -> bool {
    matches!(action, Action::Rewrite(_) | Action::TcpOnly)
}

/// Keeps what is to be written, and what the rest has to stay clear of.
fn put_aside(
    sorted: &mut Sorted,
    able: &Able,
    rule: &Rule,
    rank: Rank,
    order: u64,
    place: &str,
) -> Result<(), ExportError> {
    let (scope, name) = match &rule.matcher {
        Matcher::Name { scope, name } => (*scope, *name),
        Matcher::Pattern(_) | Matcher::Client(_) if rank.is_exception() => {
            return Err(ExportError::Exception(place.to_owned()));
        }
        // A name beats a pattern, unless that is important.
        Matcher::Pattern(_) if rule.important && has_own_answer(&rule.action) => {
            return Err(ExportError::Exception(place.to_owned()));
        }
        // What is said of addresses and name servers passes no name.
        _ => return Ok(()),
    };
    let strength = Strength::new(rank, scope, &name, order);
    let is_whole = rule.conditions.is_none();
    let special = Special { scope, rank, strength, is_whole, action: rule.action.clone() };
    let is_said = if rank.is_exception() { able.exceptions } else { (able.action)(&rule.action) };
    match (is_whole && is_said && (able.name)(&name), rank.is_exception()) {
        (true, _) => sorted.said.push(name, special),
        (false, true) => sorted.unsaid.push(name, special),
        // Where it doesn't hold or isn't said, what lies around it blocks as it does here; but an answer of its own is
        // no block.
        (false, false) if has_own_answer(&rule.action) => {
            sorted.unsaid.push(name, special);
        }
        (false, false) => {}
    }
    Ok(())
}

/// Writes every place that a plain block or a special decides: `put` gets the place, and the special or `None` for a plain
/// block. Returns how many rules are said.
pub fn each_place(
    chosen: &Chosen<'_>,
    able: &Able,
    sorted: &Sorted,
    telling: &mut Telling,
    mut put: impl FnMut(&Place, Option<&Special>),
) -> usize {
    let mut said = 0;
    // Places at the names of specials that plain blocks have taken.
    let mut taken = HashSet::new();
    for (order, (list, view)) in (0..).zip(chosen.rules()) {
        let What::Name(wire) = view.what else { continue };
        if !is_plain_block(&view) || !chosen.is_asked_for(list) {
            continue;
        }
        let Ok(name) = Name::from_wire(wire) else { continue };
        let scope = view.head.flags.scope();
        if !(able.name)(&name) {
            telling.leave(ODD_NAME, || chosen.place(list, view.head.line));
            continue;
        }
        let own = Strength::new(Rank::Block, scope, &name, order);
        let (mut is_said, mut is_taken_from) = (false, false);
        for place in Place::of(scope, name) {
            // Something stronger decides here, and is written in its own place.
            if sorted.said.strongest(&place).is_some_and(|special| special.strength > own) {
                continue;
            }
            if sorted.unsaid.takes_from(&place, own) {
                is_taken_from |= !sorted.unsaid.beats(&place, own);
                continue;
            }
            if sorted.said.is_at(&name) {
                taken.insert(place);
            }
            put(&place, None);
            is_said = true;
        }
        said += usize::from(is_said);
        if is_taken_from {
            telling.leave(TAKEN_FROM, || chosen.place(list, view.head.line));
        }
    }
    let mut specials: Vec<(&Name, &Special)> = sorted.said.iter().collect();
    specials.sort_by_key(|(_, special)| Reverse(special.strength.order));
    for (name, special) in specials {
        let mut is_said = false;
        for place in Place::of(special.scope, *name).filter(|place| !taken.contains(place)) {
            let decides = sorted.said.strongest(&place).is_some_and(|other| other.strength == special.strength);
            let is_clear = special.rank.is_exception() || !sorted.unsaid.takes_from(&place, special.strength);
            if decides && is_clear {
                put(&place, Some(special));
                is_said = true;
            } else if decides && !sorted.unsaid.beats(&place, special.strength) {
                telling.leave(TAKEN_FROM, || name.to_string());
            }
        }
        said += usize::from(is_said);
    }
    said
}

/// True for names that every reader of names takes for what they are.
fn is_host_name(name: &Name) -> bool {
    let is_plain = |octet: &u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'_');
    let is_number = name.labels().all(|label| label.iter().all(u8::is_ascii_digit));
    !name.is_root() && !is_number && name.labels().all(|label| label.iter().all(is_plain))
}

/// Names that are blocked, one a line.
pub fn domains(chosen: &Chosen<'_>, telling: &mut Telling, put: &mut dyn FnMut(&str)) -> Result<usize, ExportError> {
    let blocks = |action: &Action| match action {
        Action::Given | Action::NoData | Action::Drop => true,
        Action::Code(code) => *code != Rcode::NOERROR,
        Action::TcpOnly | Action::Rewrite(_) => false,
    };
    let able = Able { exceptions: false, action: blocks, name: is_host_name };
    let sorted = sort(chosen, &able, telling)?;
    super::networks::leave_all(chosen, ADDRESSES, telling);
    put(&chosen.head("names", "#"));
    put("# a name alone is that name; *.name is everything below it\n");
    Ok(each_place(chosen, &able, &sorted, telling, |place, _| {
        let Place { name, is_below } = place;
        put(&format!("{}{name}\n", if *is_below { "*." } else { "" }));
    }))
}
