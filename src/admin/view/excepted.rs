//! What exceptions have to do with what becomes of a question.

use crate::policy::{Asking, MatchedRule, Outcome, OwnerException, Policy, ProgramVerdict, Role, Verdict};

/// Which exceptions matched, and whose is needed.
pub struct Excepted<'a> {
    /// The owner's that matched; of several the one that let something pass.
    pub owner: Option<&'a OwnerException>,
    /// Whose let pass what would be blocked but for it.
    pub by: Option<&'static str>,
    /// Index of the program whose exception did, among those that said something.
    pub said: Option<usize>,
}

impl<'a> Excepted<'a> {
    pub fn of(policy: &'a Policy, asking: &Asking<'_>, verdict: &Verdict, matched: &[MatchedRule]) -> Self {
        let is_block = |said: &&ProgramVerdict| said.outcome != Outcome::Except;
        let lost = || verdict.overruled.iter().filter(is_block);
        let mut held = verdict.owner.iter().map(|pass| &policy.owner_exceptions()[usize::from(pass.exception)]);
        let others = matched.iter().filter_map(|matched| match policy.list_role(matched.cause.list()) {
            Role::Owner(index) => policy.owner_exceptions().get(index),
            Role::Program(_) => None,
        });
        let others = others.filter(|exception| exception.holds(asking.now, verdict.group));
        let is_of = |exception: &OwnerException, lost: &ProgramVerdict| {
            exception.programs.is_empty() || exception.programs.contains(&usize::from(lost.program))
        };
        // One that acted before one that would only in shadow.
        let lifts = |outcome: Outcome| {
            let mut all = held.clone().chain(others.clone());
            all.find(|exception| lost().any(|lost| lost.outcome == outcome && is_of(exception, lost)))
        };
        let (acted, would) = (lifts(Outcome::Block), lifts(Outcome::WouldBlock));
        let says = |outcome: Outcome| verdict.programs.iter().any(|said| said.outcome == outcome);
        let is_why = !says(Outcome::Block) && (acted.is_some() || would.is_some() && !says(Outcome::WouldBlock));
        let said = verdict
            .programs
            .iter()
            .position(|said| said.outcome == Outcome::Except && lost().any(|lost| lost.program == said.program));
        let by = match (is_why, said) {
            (true, _) => Some("owner"),
            (false, Some(_)) if verdict.needs_exception() => Some("program"),
            (false, _) => None,
        };
        Self { owner: acted.or(would).or_else(|| held.next()), by, said }
    }
}
