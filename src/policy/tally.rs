//! The order of precedence inside a program, written once: which of the rules that match decides.
//!
//! Over all its lists: important exception > important block > exception > block or rewrite. Among equals the most
//! specific explains (exact name > longer suffix > anything else; longer prefix), then list order, then line.
//!
//! Lists that are response policy zones keep RPZ's order among themselves: the first zone with a match decides, and in
//! it client address, name, answer address, name server's name, name server's address; passthru included. What they
//! decide stands beside the other lists as an exception or a block.
//!
//! Everything is tallied twice: over enforcing rules, which gives what happens, and over all, which gives what would.

use super::{Cause, Effect, Mode, Outcome, ProgramVerdict, Verdict, verdict::Passed};
use smallvec::SmallVec;
use std::cmp::Reverse;

/// The strongest rules found, by program.
#[derive(Default)]
pub struct Tally {
    /// The first rule found, while it is the only one: so it is for nearly all names that any rule is found for.
    only: Option<Found>,
    sides: SmallVec<[Side; 4]>,
}

#[derive(Clone, Copy)]
struct Found {
    program: u8,
    mode: Mode,
    is_rpz: bool,
    cause: Cause,
}

/// What a program's lists of one kind say: its response policy zones, or all others.
#[derive(Clone, Copy)]
struct Side {
    program: u8,
    is_rpz: bool,
    /// The strongest, by the order that holds among them: of enforcing rules, and of all.
    enforce: Option<Cause>,
    all: Option<Cause>,
    /// The strongest that blocks, of enforcing rules and of all, and that excepts, whatever is stronger.
    block: Option<Cause>,
    would_block: Option<Cause>,
    except: Option<Cause>,
}

impl Tally {
    /// True if no rule matched.
    pub fn is_empty(&self) -> bool {
        self.only.is_none() && self.sides.is_empty()
    }

    /// Notes a rule that matched; `mode` is that of its list, and not off.
    #[inline]
    pub fn add(&mut self, program: u8, mode: Mode, is_rpz: bool, cause: Cause) {
        if self.is_empty() {
            self.only = Some(Found { program, mode, is_rpz, cause });
        } else {
            self.add_another(&Found { program, mode, is_rpz, cause });
        }
    }

    #[inline(never)]
    fn add_another(&mut self, found: &Found) {
        self.spread();
        self.side(found.program, found.is_rpz).add(found);
    }

    /// Puts the only rule on its side, where others will be weighed against it.
    fn spread(&mut self) {
        if let Some(only) = self.only.take() {
            self.side(only.program, only.is_rpz).add(&only);
        }
    }

    /// Takes over what response policy zones said of one link of an answer: among zones, all links are one.
    pub fn take_rpz(&mut self, link: &mut Self) {
        link.spread();
        self.spread();
        let (zones, mut lists): (SmallVec<[Side; 4]>, SmallVec<[Side; 4]>) =
            std::mem::take(&mut link.sides).into_iter().partition(|side| side.is_rpz);
        for mut zones in zones {
            if let Some(lists) = lists.iter_mut().find(|lists| lists.program == zones.program) {
                settle(&mut lists.enforce, &mut zones.enforce);
                settle(&mut lists.all, &mut zones.all);
            }
            self.side(zones.program, true).take(&zones);
        }
        link.sides = lists;
    }

    /// Adds what was found to `verdict`, unless the program said something stronger before. `ignored` programs have
    /// nothing to say; `passed` ones let pass what was found.
    pub fn finish(&self, ignored: u32, passed: Passed, verdict: &mut Verdict) {
        if let Some(Found { program, mode, cause, .. }) = &self.only {
            let enforce = (*mode == Mode::Enforce).then_some(cause);
            conclude(*program, enforce, Some(cause), None, ignored, passed, verdict);
        }
        for (at, side) in self.sides.iter().enumerate() {
            let is_own = |other: &&Side| other.program == side.program;
            if self.sides[..at].iter().any(|other| is_own(&other)) {
                continue;
            }
            let both = [side, self.sides[at + 1..].iter().find(is_own).unwrap_or(side)];
            let (enforce, all) = (strongest(&both, |own| &own.enforce), strongest(&both, |own| &own.all));
            conclude(side.program, enforce, all, Some(&both), ignored, passed, verdict);
        }
    }

    fn side(&mut self, program: u8, is_rpz: bool) -> &mut Side {
        let is_own = |side: &Side| side.program == program && side.is_rpz == is_rpz;
        let at = self.sides.iter().position(is_own).unwrap_or_else(|| {
            self.sides.push(Side::new(program, is_rpz));
            self.sides.len() - 1
        });
        &mut self.sides[at]
    }
}

/// Adds what a program says, by the strongest of its enforcing rules and of all. `sides` is what else there is, if there is
/// more than one rule.
#[inline]
fn conclude(
    program: u8,
    enforce: Option<&Cause>,
    all: Option<&Cause>,
    sides: Option<&[&Side; 2]>,
    ignored: u32,
    passed: Passed,
    verdict: &mut Verdict,
) {
    let bit = 1u32 << program;
    // What passes at both levels was told of with the question, or the owner wants none of it.
    if (ignored | passed.enforce & passed.all) & bit != 0 {
        return overrule(blocks(program, enforce, all, sides), verdict);
    }
    let is = |cause: Option<&Cause>, effect| cause.is_some_and(|cause| cause.effect == effect);
    let (outcome, cause) = match (enforce, all) {
        (Some(block), _) if block.effect == Effect::Block && passed.enforce & bit == 0 => (Outcome::Block, block),
        (_, Some(block)) if block.effect == Effect::Block && passed.all & bit == 0 => (Outcome::WouldBlock, block),
        (Some(except), _) if except.effect == Effect::Except => (Outcome::Except, except),
        (_, Some(except)) if except.effect == Effect::Except => (Outcome::Except, except),
        _ => return overrule(blocks(program, enforce, all, sides), verdict),
    };
    if is(enforce, Effect::Except) {
        verdict.passed.enforce |= bit;
    }
    if is(all, Effect::Except) {
        verdict.passed.all |= bit;
    }
    let said = ProgramVerdict { program, outcome, cause: *cause };
    match verdict.programs.iter_mut().find(|other| other.program == said.program) {
        // A block further down the answer outweighs an exception or a would-be block before it.
        Some(before) if strength(outcome) > strength(before.outcome) => {
            let before = std::mem::replace(before, said);
            // What it was stronger than before it is stronger than no more.
            verdict.overruled.retain(|other| other.program != program);
            overrule(Some(before).filter(|before| before.outcome == Outcome::Except), verdict);
        }
        // An exception further down the answer has lost itself.
        Some(before) if outcome == Outcome::Except && before.outcome != Outcome::Except => {
            return overrule(Some(said), verdict);
        }
        Some(_) => {}
        None => verdict.programs.push(said),
    }
    match (outcome, sides) {
        (Outcome::Except, _) => overrule(blocks(program, enforce, all, sides), verdict),
        (_, None) => {}
        (_, Some(sides)) => overrule(excepts(program, sides), verdict),
    }
}

/// What a program would do if there were no exceptions.
#[cold]
fn blocks(
    program: u8,
    enforce: Option<&Cause>,
    all: Option<&Cause>,
    sides: Option<&[&Side; 2]>,
) -> Option<ProgramVerdict> {
    let said = |outcome| move |cause: &Cause| ProgramVerdict { program, outcome, cause: *cause };
    let side = |of: fn(&Side) -> &Option<Cause>| sides.and_then(|sides| strongest(sides, of));
    let is_block = |cause: &&Cause| cause.effect == Effect::Block;
    let block = enforce.filter(is_block).or_else(|| side(|own| &own.block)).map(said(Outcome::Block));
    let would = || all.filter(is_block).or_else(|| side(|own| &own.would_block)).map(said(Outcome::WouldBlock));
    block.or_else(would)
}

/// The strongest exception of a program.
fn excepts(program: u8, sides: &[&Side; 2]) -> Option<ProgramVerdict> {
    let cause = *strongest(sides, |own| &own.except)?;
    Some(ProgramVerdict { program, outcome: Outcome::Except, cause })
}

impl Verdict {
    /// Takes what these programs said for nothing.
    pub(super) fn ignore(&mut self, programs: u32) {
        let (ignored, kept): (SmallVec<[ProgramVerdict; 4]>, _) =
            std::mem::take(&mut self.programs).into_iter().partition(|said| programs & 1 << said.program != 0);
        self.programs = kept;
        ignored.into_iter().for_each(|said| overrule(Some(said).filter(|said| said.outcome != Outcome::Except), self));
    }
}

/// Notes what was weighed against what a program says; of one program what is strongest.
fn overrule(said: Option<ProgramVerdict>, verdict: &mut Verdict) {
    let Some(said) = said else { return };
    match verdict.overruled.iter_mut().find(|other| other.program == said.program) {
        Some(before) if strength(said.outcome) > strength(before.outcome) => *before = said,
        Some(_) => {}
        None => verdict.overruled.push(said),
    }
}

fn strength(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Block => 2,
        Outcome::WouldBlock => 1,
        Outcome::Except => 0,
    }
}

impl Side {
    fn new(program: u8, is_rpz: bool) -> Self {
        Self { program, is_rpz, enforce: None, all: None, block: None, would_block: None, except: None }
    }

    fn add(&mut self, Found { mode, cause, .. }: &Found) {
        let (rank, enforces) = (self.rank(), *mode == Mode::Enforce);
        keep_stronger(&mut self.all, cause, rank);
        if enforces {
            keep_stronger(&mut self.enforce, cause, rank);
        }
        match cause.effect {
            Effect::Except => keep_stronger(&mut self.except, cause, plain_rank),
            Effect::Block => {
                keep_stronger(&mut self.would_block, cause, plain_rank);
                if enforces {
                    keep_stronger(&mut self.block, cause, plain_rank);
                }
            }
        }
    }

    /// Takes over what the same side said of another link.
    fn take(&mut self, from: &Self) {
        let rank = self.rank();
        for (place, from, rank) in [
            (&mut self.enforce, &from.enforce, rank),
            (&mut self.all, &from.all, rank),
            (&mut self.block, &from.block, plain_rank),
            (&mut self.would_block, &from.would_block, plain_rank),
            (&mut self.except, &from.except, plain_rank),
        ] {
            from.iter().for_each(|cause| keep_stronger(place, cause, rank));
        }
    }

    /// The order that holds among its rules.
    fn rank(&self) -> fn(&Cause) -> Rank {
        if self.is_rpz { rpz_rank } else { plain_rank }
    }
}

fn keep_stronger(place: &mut Option<Cause>, cause: &Cause, rank: fn(&Cause) -> Rank) {
    if place.as_ref().is_none_or(|old| rank(cause) > rank(old)) {
        *place = Some(*cause);
    }
}

/// The one that decides, whichever side it is on.
fn strongest<'s>(sides: &[&'s Side; 2], of: fn(&Side) -> &Option<Cause>) -> Option<&'s Cause> {
    sides.iter().filter_map(|side| of(side).as_ref()).max_by_key(|cause| plain_rank(cause))
}

/// Has each side's exception take the other's weaker block away.
fn settle(plain: &mut Option<Cause>, rpz: &mut Option<Cause>) {
    if let (Some(list), Some(zone)) = (*plain, *rpz)
        && list.effect != zone.effect
    {
        if class(&list) > class(&zone) {
            if list.effect == Effect::Except {
                *rpz = None;
            }
        } else if zone.effect == Effect::Except {
            *plain = Some(zone);
        }
    }
}

/// Larger is stronger. Of what one line says of several links, the first link explains. What tells two rules of one line
/// apart comes last, so that no order of finding them matters.
type Rank = (u16, u16, u16, Reverse<u16>, Reverse<(u32, u8, u32)>);

fn plain_rank(cause: &Cause) -> Rank {
    (class(cause), cause.specificity, 0, Reverse(cause.rule.list), Reverse(place(cause)))
}

fn rpz_rank(cause: &Cause) -> Rank {
    let place = Reverse(place(cause));
    (u16::MAX - cause.rule.list, cause.trigger.rpz_rank().into(), cause.specificity, Reverse(0), place)
}

fn place(cause: &Cause) -> (u32, u8, u32) {
    (cause.line, cause.link, cause.rule.id)
}

fn class(cause: &Cause) -> u16 {
    match (cause.important, cause.effect) {
        (true, Effect::Except) => 3,
        (true, Effect::Block) => 2,
        (false, Effect::Except) => 1,
        (false, Effect::Block) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Scope, Trigger, places::RuleRef};

    /// Two patterns of one line of a zone, of which the first is found with a later link: a property found it.
    #[test]
    fn of_one_line_the_first_link_explains() {
        let cause = |id, link| Cause {
            rule: RuleRef { list: 0, id },
            line: 4,
            effect: Effect::Block,
            important: false,
            scope: Scope::Subtree,
            labels: 0,
            trigger: Trigger::Cname,
            link,
            by_type: false,
            by_client: false,
            specificity: 1,
        };
        let mut zones = Tally::default();
        for (id, link) in [(8, 2), (7, 3)] {
            let mut tally = Tally::default();
            tally.add(0, Mode::Enforce, true, cause(id, link));
            zones.take_rpz(&mut tally);
        }
        let mut verdict = Verdict::default();
        zones.finish(0, Passed::default(), &mut verdict);
        assert_eq!(verdict.programs[0].cause.link, 2);
    }
}
