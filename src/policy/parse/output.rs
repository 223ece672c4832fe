//! Where rules go: through the safety gate into the set, or among those that are told of.

use super::{Admission, Admit, Candidate, Format, Header, Parsed, Sink, Skipped, TOLD_KEPT, Told, Unusable};
use crate::{
    dns::Name,
    policy::{Effect, Matcher, PushError, Rule, RuleSet, Scope},
};
use std::collections::{HashMap, HashSet};

/// Rules held back that are looked at again at the end of the list; a list with more is not one that was looked over.
const HELD_MAX: usize = 1000;
/// Exceptions remembered for that.
const EXCEPTIONS_MAX: usize = 20_000;

/// Gathers what a list holds.
pub struct Output<'a> {
    admit: Option<&'a dyn Admit>,
    rules: RuleSet,
    skipped: Told,
    held: Told,
    warned: Told,
    /// Held rules with their reasons, for the second look.
    pending: Vec<(Rule, String)>,
    /// Rules that were taken with a warning, likewise.
    doubtful: Vec<Rule>,
    /// Exceptions on names that hold for everybody and every type, with their scopes and whether they are important:
    /// wanted for that second look alone.
    exceptions: HashMap<Name, Vec<(Scope, bool)>>,
    remembered: usize,
    /// A bound was met, and told of.
    is_full: Vec<PushError>,
}

impl<'a> Output<'a> {
    pub fn new(admit: Option<&'a dyn Admit>, text_bytes: usize) -> Self {
        Self {
            admit,
            rules: RuleSet::for_text(text_bytes),
            skipped: Told::default(),
            held: Told::default(),
            warned: Told::default(),
            pending: Vec::new(),
            doubtful: Vec::new(),
            exceptions: HashMap::new(),
            remembered: 0,
            is_full: Vec::new(),
        }
    }

    pub fn set_zone(&mut self, zone: Name) {
        self.rules.set_zone(zone);
    }

    /// The list as it came out; `lines` is how many it has.
    pub fn finish(mut self, format: Format, header: Header, lines: u32) -> Result<Parsed, Unusable> {
        self.settle();
        self.rules.shrink();
        let Self { rules, mut skipped, mut held, mut warned, .. } = self;
        [&mut skipped, &mut held, &mut warned].into_iter().for_each(Told::sort);
        if rules.is_empty() && rules.disabled().is_empty() {
            let first = |told: &Told| told.first.first().map(|first| (first.line, first.reason.clone()));
            return Err(match (first(&held), first(&skipped)) {
                (Some((first_line, first_reason)), _) => Unusable::AllHeld { first_line, first_reason },
                (None, Some((first_line, first_reason))) => Unusable::NoRule { lines, first_line, first_reason },
                (None, None) => Unusable::OnlyComments,
            });
        }
        Ok(Parsed { format, header, rules, skipped, held, warned })
    }

    /// Has the gate look again at what it held, now that all exceptions are known.
    fn settle(&mut self) {
        let Some(admit) = self.admit else { return };
        let mut exceptions = std::mem::take(&mut self.exceptions);
        if !self.rules.disabled().is_empty() {
            // What the list takes back itself excepts nothing.
            let disabled: HashSet<u64> = self.rules.disabled().iter().copied().collect();
            let is_gone = |name: &Name, scope: Scope, important: bool| {
                let rule = Rule { important, ..Rule::on_name(Effect::Except, scope, *name, 0) };
                RuleSet::identity_of(rule).is_some_and(|identity| disabled.contains(&identity))
            };
            for (name, own) in &mut exceptions {
                own.retain(|&(scope, important)| !is_gone(name, scope, important));
            }
        }
        // An important block gives way to important exceptions alone.
        let excepted = |name: &Name, is_block_important: bool| {
            (0..=name.label_count()).any(|above| {
                let own = exceptions.get(&name.ancestor(above));
                own.into_iter()
                    .flatten()
                    .any(|(scope, important)| scope.covers(above) && (*important || !is_block_important))
            })
        };
        for rule in std::mem::take(&mut self.doubtful) {
            let excepted = |name: &Name| excepted(name, rule.important);
            if let Admission::Warn(reason) | Admission::Hold(reason) = admit.settle(&rule, &excepted) {
                self.warned.tell(rule.line, reason);
            }
        }
        for (rule, reason) in std::mem::take(&mut self.pending) {
            let line = rule.line;
            let excepted = |name: &Name| excepted(name, rule.important);
            match admit.settle(&rule, &excepted) {
                Admission::Hold(_) => self.held.tell_held(line, reason, || admit.passes_by(&rule)),
                Admission::Warn(reason) => {
                    self.warned.tell(line, reason);
                    self.push(rule);
                }
                Admission::Take => self.push(rule),
            }
        }
    }

    fn push(&mut self, rule: Rule) {
        let line = rule.line;
        if let Err(error) = self.rules.push(rule) {
            self.refused(line, error);
        }
    }

    /// Tells of a rule that the set doesn't take; of a bound only once.
    fn refused(&mut self, line: u32, error: PushError) {
        match error {
            PushError::Pattern(error) => self.skipped.tell(line, error.to_string()),
            bound if self.is_full.contains(&bound) => self.skipped.count += 1,
            bound => {
                self.skipped.tell(line, bound.to_string());
                self.is_full.push(bound);
            }
        }
    }

    fn remember_exception(&mut self, scope: Scope, name: &Name, important: bool) {
        if self.admit.is_some() && self.remembered < EXCEPTIONS_MAX {
            self.remembered += 1;
            self.exceptions.entry(*name).or_default().push((scope, important));
        }
    }

    fn doubt(&mut self, rule: Rule, reason: String) {
        if self.doubtful.len() < HELD_MAX {
            self.doubtful.push(rule);
        } else {
            self.warned.tell(rule.line, reason);
        }
    }

    fn hold(&mut self, rule: Rule, reason: String) {
        if self.pending.len() < HELD_MAX {
            self.pending.push((rule, reason));
        } else {
            self.held.tell(rule.line, reason);
        }
    }
}

impl Sink for Output<'_> {
    #[inline]
    fn name(&mut self, effect: Effect, scope: Scope, name: &Name, line: u32) {
        if effect == Effect::Except {
            self.remember_exception(scope, name, false);
        }
        if let Some(admit) = self.admit {
            match admit.admit(Candidate::Name(effect, scope, name)) {
                Admission::Take => {}
                Admission::Warn(reason) => self.doubt(Rule::on_name(effect, scope, *name, line), reason),
                Admission::Hold(reason) => return self.hold(Rule::on_name(effect, scope, *name, line), reason),
            }
        }
        if let Err(error) = self.rules.push_name(effect, scope, name, line) {
            self.refused(line, error);
        }
    }

    fn rule(&mut self, rule: Rule) {
        if let (Effect::Except, Matcher::Name { scope, name }, None) = (rule.effect, &rule.matcher, &rule.conditions) {
            self.remember_exception(*scope, name, rule.important);
        }
        // What isn't taken anyway need not be judged, which takes its time for patterns.
        if matches!(rule.matcher, Matcher::Pattern(_)) && self.is_full.contains(&PushError::Patterns) {
            return self.refused(rule.line, PushError::Patterns);
        }
        if let Some(admit) = self.admit {
            match admit.admit(Candidate::Rule(&rule)) {
                Admission::Take => {}
                Admission::Warn(reason) => self.doubt(rule.clone(), reason),
                Admission::Hold(reason) => return self.hold(rule, reason),
            }
        }
        self.push(rule);
    }

    fn disable(&mut self, rule: Rule) {
        self.rules.disable(rule);
    }

    fn skip(&mut self, line: u32, reason: &'static str, detail: String) {
        let reason = if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
        self.skipped.tell(line, reason);
    }
}

impl Told {
    fn tell(&mut self, line: u32, reason: String) {
        self.count += 1;
        if self.first.len() < TOLD_KEPT {
            self.first.push(Skipped { line, reason, passes_by: Vec::new() });
        }
    }

    /// The same of a rule that is held back, with the names by which it is let through.
    fn tell_held(&mut self, line: u32, reason: String, passes_by: impl FnOnce() -> Vec<Name>) {
        let kept = self.first.len();
        self.tell(line, reason);
        if let Some(told) = self.first.get_mut(kept) {
            told.passes_by = passes_by().iter().map(Name::to_string).collect();
        }
    }

    fn sort(&mut self) {
        self.first.sort_by_key(|told| told.line);
    }
}
