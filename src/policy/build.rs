//! The policy itself: programs and lists compiled, and the order of precedence, written once.
//!
//! For one query, from strongest to weakest:
//!
//! 1. Admission (access list, rate): before this module.
//! 2. Special-use names and the owner's local data: before this module.
//! 3. The owner's exceptions: one that matches the name asked or an alias passes the whole answer; one limited to some
//!    programs does so for them.
//! 4. Each program by itself, over all its lists: an exception beats a block. Among equals the most specific explains
//!    (exact name, then the longer suffix), then list order, then line. An exception on the name asked passes what
//!    the answer holds too; one on an alias passes that alias alone.
//! 5. Across programs: an exception in one never reaches another. The first enforcing program, in the order of
//!    configuration, that blocks sets the action; the verdicts of all are recorded.
//!
//! A list's mode is min(ceiling, program, service). A program is judged twice: over its enforcing rules, which gives
//! what happens, and over all its rules, which gives what would. So a list in shadow never changes an octet, not even
//! by an exception.

use super::{
    BlockAnswer, Cause, Effect, Mode, Outcome, OwnerPass, ProgramVerdict, RuleSet, Scope, Trigger, Verdict,
    index::{Hit, Index, LISTS_MAX},
    verdict::Passed,
};
use crate::dns::Name;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Programs one policy can hold: sets of them are 32-bit masks.
pub const PROGRAMS_MAX: usize = 32;

/// Everything a policy is built from.
#[derive(Clone)]
pub struct PolicySpec {
    /// Number of this policy; grows with each one published.
    pub epoch: u64,
    /// Ceiling for every program's mode.
    pub mode: Mode,
    pub block_ttl: Duration,
    pub programs: Vec<ProgramSpec>,
    pub lists: Vec<ListSpec>,
    pub owner_exceptions: Vec<OwnerException>,
    /// Keys the index.
    pub seed: u64,
}

#[derive(Clone, Debug)]
pub struct ProgramSpec {
    pub name: String,
    pub mode: Mode,
    pub block: BlockAnswer,
    /// Extended DNS Error code of its blocks (RFC 8914).
    pub ede: u16,
    /// Modes by service; `*` is the default for those that neither this table nor their list names.
    pub services: BTreeMap<String, Mode>,
}

#[derive(Clone)]
pub struct ListSpec {
    /// Index into the programs.
    pub program: usize,
    pub service: String,
    /// The mode the list itself asks for.
    pub default: Option<Mode>,
    /// Short name shown to people: the file's name.
    pub name: String,
    /// Tells one reading of the list from another.
    pub version: u64,
    pub rules: Arc<RuleSet>,
}

/// The owner's own exception.
#[derive(Clone, Debug)]
pub struct OwnerException {
    pub names: Vec<(Name, Scope)>,
    /// Indexes of the programs it is limited to; empty: all.
    pub programs: Vec<usize>,
    /// Day since 1970-01-01 (UTC) through which it holds.
    pub until_day: Option<i64>,
    pub reason: String,
    /// Where it stands in the configuration.
    pub place: String,
}

/// A spec that no policy can be built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("more than {PROGRAMS_MAX} programs")]
    TooManyPrograms,
    #[error("more than {LISTS_MAX} lists")]
    TooManyLists,
}

/// A compiled policy, ready to decide.
pub struct Policy {
    spec: PolicySpec,
    /// Mode of each list.
    modes: Vec<Mode>,
    /// `program/service list:` of each list, for the text of an Extended DNS Error.
    labels: Vec<String>,
    index: Index,
}

/// A name that the answer leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alias {
    pub name: Name,
    pub trigger: Trigger,
}

/// A rule that matched, whether or not it decided anything: what `explain` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MatchedRule {
    pub program: usize,
    pub mode: Mode,
    pub cause: Cause,
}

impl Policy {
    /// Compiles a policy. Lists whose mode is off are held, counted and not looked at.
    pub fn build(spec: PolicySpec) -> Result<Self, BuildError> {
        if spec.programs.len() > PROGRAMS_MAX {
            return Err(BuildError::TooManyPrograms);
        }
        if spec.lists.len() > LISTS_MAX {
            return Err(BuildError::TooManyLists);
        }
        let modes: Vec<Mode> = spec.lists.iter().map(|list| mode_of(&spec, list)).collect();
        let label = |list: &ListSpec| format!("{}/{} {}:", spec.programs[list.program].name, list.service, list.name);
        let labels = spec.lists.iter().map(label).collect();
        let sets = spec.lists.iter().map(|list| list.rules.clone()).collect();
        let index = Index::build(sets, |list| modes[list] != Mode::Off, spec.seed);
        Ok(Self { spec, modes, labels, index })
    }

    /// Decides on the name asked. `day` is the day since 1970-01-01 (UTC).
    pub fn on_question(&self, name: &Name, day: i64) -> Verdict {
        let mut ignored = 0u32;
        let owner = self.owner_pass(name, day, &mut ignored);
        let mut verdict = Verdict { owner, ..Verdict::default() };
        if verdict.is_owners() {
            return verdict;
        }
        let mut tally = Tally::new(ignored, Passed::default());
        self.judge(name, 0, Trigger::Qname, &mut tally);
        tally.finish(&mut verdict);
        verdict.passed = verdict.passed.and(ignored);
        verdict
    }

    /// Decides on what the answer leads to, after `on_question` let the question pass. `question` must come from this
    /// very policy. Returns the verdict on both.
    pub fn on_answer(&self, question: &Verdict, aliases: &[Alias], day: i64) -> Verdict {
        let mut verdict = question.clone();
        if question.is_owners() || question.block().is_some() || aliases.is_empty() {
            return verdict;
        }
        // The owner's word on any alias is for the whole answer, so all are looked at before any is judged.
        let mut ignored = 0u32;
        for alias in aliases {
            match self.owner_pass(&alias.name, day, &mut ignored) {
                Some(pass) if pass.whole => return Verdict { owner: Some(pass), ..Verdict::default() },
                limited => verdict.owner = verdict.owner.or(limited),
            }
        }
        let passed = question.passed.and(ignored);
        verdict.programs.retain(|said| ignored & 1 << said.program == 0);
        for (index, alias) in aliases.iter().enumerate() {
            let mut tally = Tally::new(ignored, passed);
            self.judge(&alias.name, (index + 1).min(255) as u8, alias.trigger, &mut tally);
            tally.finish(&mut verdict);
        }
        // What several aliases said is kept in the order of configuration, like everything across programs.
        verdict.programs.sort_by_key(|program| program.program);
        verdict
    }

    /// Every rule in force that matches `name`, shortest suffix first.
    pub fn matching_rules(&self, name: &Name, link: u8, trigger: Trigger) -> Vec<MatchedRule> {
        let mut matched = Vec::new();
        self.index.matches(name, |hit| {
            let list = usize::from(hit.list);
            matched.push(MatchedRule {
                program: self.spec.lists[list].program,
                mode: self.modes[list],
                cause: cause_of(&hit, link, trigger),
            });
        });
        matched
    }

    pub fn epoch(&self) -> u64 {
        self.spec.epoch
    }

    pub fn programs(&self) -> &[ProgramSpec] {
        &self.spec.programs
    }

    pub fn lists(&self) -> &[ListSpec] {
        &self.spec.lists
    }

    pub fn owner_exceptions(&self) -> &[OwnerException] {
        &self.spec.owner_exceptions
    }

    /// The mode that a list has.
    pub fn list_mode(&self, list: usize) -> Mode {
        self.modes[list]
    }

    /// The mode that a program has under the ceiling.
    pub fn program_mode(&self, program: usize) -> Mode {
        self.spec.mode.min(self.spec.programs[program].mode)
    }

    /// `program/service list:`, to which an Extended DNS Error's text appends the line.
    pub fn list_label(&self, list: u16) -> &str {
        &self.labels[usize::from(list)]
    }

    /// TTL of blocked answers, in seconds.
    pub fn block_ttl_seconds(&self) -> u32 {
        self.spec.block_ttl.as_secs() as u32
    }

    /// Rules in force.
    pub fn rule_count(&self) -> usize {
        self.index.len()
    }

    /// Octets held by the index and the lists.
    pub fn bytes(&self) -> usize {
        self.index.table_bytes() + self.spec.lists.iter().map(|list| list.rules.bytes()).sum::<usize>()
    }

    /// The owner's exception that passes `name` whole, else the first that is limited to programs; those programs go
    /// to `ignored`.
    fn owner_pass(&self, name: &Name, day: i64, ignored: &mut u32) -> Option<OwnerPass> {
        let mut limited = None;
        for (index, exception) in self.spec.owner_exceptions.iter().enumerate() {
            let in_force = exception.until_day.is_none_or(|until| day <= until);
            let matches = |(own, scope): &(Name, Scope)| {
                name.is_at_or_below(own) && scope.covers(name.label_count() - own.label_count())
            };
            if in_force && exception.names.iter().any(matches) {
                let pass = OwnerPass { exception: index as u16, whole: exception.programs.is_empty() };
                if pass.whole {
                    return Some(pass);
                }
                limited.get_or_insert(pass);
                exception.programs.iter().for_each(|&program| *ignored |= 1 << program);
            }
        }
        limited
    }

    fn judge(&self, name: &Name, link: u8, trigger: Trigger, tally: &mut Tally) {
        self.index.matches(name, |hit| {
            let list = usize::from(hit.list);
            tally.add(self.spec.lists[list].program, self.modes[list], cause_of(&hit, link, trigger));
        });
    }
}

/// min(ceiling, P, S): P is the program's mode; S the program's word on the service, else the list's own, else the
/// program's `*`, else enforce.
fn mode_of(spec: &PolicySpec, list: &ListSpec) -> Mode {
    let program = &spec.programs[list.program];
    let service = program.services.get(&list.service).copied();
    let service = service.or(list.default).or_else(|| program.services.get("*").copied()).unwrap_or(Mode::Enforce);
    spec.mode.min(program.mode).min(service)
}

fn cause_of(hit: &Hit<'_>, link: u8, trigger: Trigger) -> Cause {
    let rule = &hit.rule;
    let (effect, scope) = (rule.effect(), rule.scope());
    Cause { list: hit.list, line: rule.line(), effect, scope, labels: hit.labels, trigger, link }
}

/// The strongest rules on one name, by program and level.
struct Tally {
    /// Programs that matched, as a mask, so that finishing touches no others.
    seen: u32,
    ignored: u32,
    passed: Passed,
    programs: [Strongest; PROGRAMS_MAX],
}

/// Of one program: enforcing rules, and all rules.
#[derive(Clone, Copy, Default)]
struct Strongest {
    enforce: Pair,
    all: Pair,
}

#[derive(Clone, Copy, Default)]
struct Pair {
    block: Option<Cause>,
    except: Option<Cause>,
}

impl Tally {
    fn new(ignored: u32, passed: Passed) -> Self {
        Self { seen: 0, ignored, passed, programs: [Strongest::default(); PROGRAMS_MAX] }
    }

    fn add(&mut self, program: usize, mode: Mode, cause: Cause) {
        let bit = 1 << program;
        if self.ignored & bit != 0 {
            return;
        }
        self.seen |= bit;
        let strongest = &mut self.programs[program];
        strongest.all.add(cause);
        if mode == Mode::Enforce {
            strongest.enforce.add(cause);
        }
    }

    /// Adds what was found to `verdict`, unless the program said something stronger before.
    fn finish(&self, verdict: &mut Verdict) {
        let mut rest = self.seen;
        while rest != 0 {
            let program = rest.trailing_zeros();
            rest &= rest - 1;
            let bit = 1u32 << program;
            let Strongest { enforce, all } = self.programs[program as usize];
            let passed = (self.passed.enforce & bit != 0, self.passed.all & bit != 0);
            let (outcome, cause) = match (enforce.except, enforce.block, all.except, all.block) {
                (None, Some(block), _, _) if !passed.0 => (Outcome::Block, block),
                (_, _, None, Some(block)) if !passed.1 => (Outcome::WouldBlock, block),
                (Some(except), ..) | (None, _, Some(except), _) => (Outcome::Except, except),
                _ => continue,
            };
            if enforce.except.is_some() {
                verdict.passed.enforce |= bit;
            }
            if all.except.is_some() {
                verdict.passed.all |= bit;
            }
            let said = ProgramVerdict { program: program as u8, outcome, cause };
            match verdict.programs.iter_mut().find(|other| other.program == said.program) {
                // A block further down the answer outweighs an exception or a would-be block before it.
                Some(before) if strength(outcome) > strength(before.outcome) => *before = said,
                Some(_) => {}
                None => verdict.programs.push(said),
            }
        }
    }
}

fn strength(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Block => 2,
        Outcome::WouldBlock => 1,
        Outcome::Except => 0,
    }
}

impl Pair {
    fn add(&mut self, cause: Cause) {
        let place = match cause.effect {
            Effect::Block => &mut self.block,
            Effect::Except => &mut self.except,
        };
        let explains_better = |old: &Cause| specificity(&cause) > specificity(old);
        if place.as_ref().is_none_or(explains_better) {
            *place = Some(cause);
        }
    }
}

/// Exact names first, then longer suffixes, then the earlier list, then the earlier line.
fn specificity(cause: &Cause) -> (bool, u8, std::cmp::Reverse<u16>, std::cmp::Reverse<u32>) {
    let (list, line) = (std::cmp::Reverse(cause.list), std::cmp::Reverse(cause.line));
    (cause.scope == Scope::Exact, cause.labels, list, line)
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
