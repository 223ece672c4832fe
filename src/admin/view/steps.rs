//! An explanation as the steps that were taken, in the order of precedence.

use super::{explain::Explained, weighed::Rule};
use crate::{
    policy::{Mode, Outcome},
    resolve::Security,
};

/// A step on the way to a verdict.
pub struct Step {
    pub what: String,
    /// What a rule says, and which it is.
    pub rule: Option<(Outcome, Rule)>,
    /// Nothing after it could change what became of the question.
    pub decides: bool,
}

impl Step {
    fn plain(what: String) -> Self {
        Self { what, rule: None, decides: false }
    }
}

/// The steps; exactly one decides. Takes the verdicts out of the explanation.
pub fn steps(explained: &mut Explained) -> Vec<Step> {
    let mut steps = Vec::new();
    let Explained { client, group, admitted, .. } = &*explained;
    steps.push(match admitted {
        true => Step::plain(format!("{client} is answered: it is in [access] allow. Its group is {group}.")),
        false => {
            let what = format!("{client} is refused: it is outside [access] allow. Were it admitted:");
            Step { decides: true, ..Step::plain(what) }
        }
    });
    let is_blocked = explained.action == "block";
    // What breaks DNSSEC fails, whoever lets it pass.
    let passes = !is_blocked && !is_bogus(explained);
    // Whatever isn't blocked is resolved, unless the answer is known here.
    let is_own = !is_blocked && explained.answer.is_none();
    if is_own {
        steps.push(Step { decides: true, ..Step::plain(explained.summary.clone()) });
    }
    if let Some(paused) = &explained.paused {
        steps.push(Step::plain(capital(paused)));
    }
    if let Some((place, reason)) = &explained.owner_exception {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let what = format!("Your exception at {place} matches{because}");
        let decides = passes && explained.excepted_by.as_deref() == Some("owner");
        steps.push(Step { decides, ..Step::plain(what) });
    }
    for said in std::mem::take(&mut explained.verdicts) {
        let Some(outcome) = Outcome::ALL.into_iter().find(|outcome| outcome.word() == said.outcome) else { continue };
        let what = format!("{}/{}", said.rule.program, said.rule.service);
        let is_excepted = explained.excepted_by.is_some();
        let decides = match outcome {
            Outcome::Block => is_blocked,
            Outcome::Except => passes && is_excepted && said.rule.mode == Mode::Enforce.word(),
            Outcome::WouldBlock => false,
        };
        steps.push(Step { what, rule: Some((outcome, said.rule)), decides });
    }
    if let Some(answer) = &explained.answer {
        let records = crate::report::counted(answer.records as u64, "record", "records");
        let ede = answer.ede.as_ref().map(|(code, text)| format!(", EDE {code} {text}")).unwrap_or_default();
        let what = format!("The answer: {}, {records}, {}{ede}.", answer.rcode, answer.security);
        steps.push(Step { decides: true, ..Step::plain(what) });
    }
    // The first that decides is the one that did.
    let first = steps.iter().position(|step| step.decides);
    steps.iter_mut().enumerate().for_each(|(index, step)| step.decides = Some(index) == first);
    steps
}

/// True if the answer breaks DNSSEC.
pub fn is_bogus(explained: &Explained) -> bool {
    explained.answer.as_ref().is_some_and(|answer| answer.security == Security::Bogus.word())
}

fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), signs.as_str()))
}
