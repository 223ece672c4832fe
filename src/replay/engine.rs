//! Asks two policies, by batches, and counts where they differ.

use super::{
    count::{Counts, NO_REASON},
    input::{Asked, Format, Source, Step},
    summary::{self, Skips, Summary},
};
use crate::{
    policy::{Asking, Client, Foreseen, Mode, OtherMatcher, Outcome, OwnerPass, Policy, Verdict},
    query::{FORESEEN_MAX, LocalData, SpecialNames},
    query_log::Fate,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Lines or packets after which progress is told.
const TICK_STEPS: u64 = 1 << 13;
/// Who asks if the file doesn't tell: an address that no client has.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A policy, with what is answered before it is asked.
pub struct Judge {
    pub policy: Arc<Policy>,
    /// The owner's own names.
    pub local: LocalData,
    pub special: SpecialNames,
}

/// What is compared with.
pub enum Before {
    /// No policy: everything passed.
    Nothing,
    /// What the file says of its queries.
    Recorded,
    Policy(Judge),
}

/// Two policies and what was counted so far.
pub struct Comparison {
    before: Before,
    after: Judge,
    /// Seconds since 1970 (UTC) for queries without a time.
    now: i64,
    batch: Vec<Asked>,
    foreseen: [Vec<Foreseen>; 2],
    tally: Tally,
}

/// All that is counted.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    pub(super) skips: Skips,
    /// Lines and packets that hold no query.
    pub(super) ignored: u64,
    pub(super) between_servers: u64,
    pub(super) broken: Option<String>,
    /// Microseconds since 1970 of the first query and the last by time.
    pub(super) times: Option<(i64, i64)>,
    /// Queries without a client's address, with something of their answers, with a verdict that can't be asked again.
    pub(super) without_client: u64,
    pub(super) with_answer: u64,
    pub(super) unaskable: u64,
}

/// What became of a query, and by what.
struct Judged {
    fate: Fate,
    by: By,
}

#[derive(Clone, Copy)]
enum By {
    Nothing,
    /// A list and a line.
    Rule(u16, u32),
    /// One of the owner's exceptions.
    Owner(u16),
    /// What the file says.
    Told,
}

impl Judge {
    /// Begins with a batch of names.
    fn foresee(&self, batch: &[Asked], foreseen: &mut [Foreseen]) {
        batch.iter().zip(foreseen.iter_mut()).for_each(|(asked, foreseen)| self.policy.foresee(&asked.name, foreseen));
        foreseen.iter_mut().take(batch.len()).for_each(|foreseen| self.policy.foresee_rules(foreseen));
    }

    fn judge(&self, asked: &Asked, foreseen: &Foreseen, now: i64) -> Judged {
        let is_own = self.special.find(&asked.name).is_some() || self.local.find(&asked.name, asked.rr_type).is_some();
        if is_own {
            return Judged { fate: Fate::Passed, by: By::Nothing };
        }
        let client = Client {
            address: asked.client.unwrap_or(NOBODY),
            id: Some(asked.client_id.as_str()).filter(|id| !id.is_empty()),
            mac: None,
            tcp: asked.tcp,
        };
        let now = asked.time.map_or(now, |micros| micros.div_euclid(1_000_000));
        let asking = Asking { name: &asked.name, rr_type: asked.rr_type, client, now, pauses: &[] };
        let mut verdict = Verdict::default();
        self.policy.on_question_foreseen(&asking, foreseen, &mut verdict);
        let looks_on = verdict.block().is_none() && !verdict.is_owners();
        if looks_on && asked.links.iter().any(|link| self.policy.touches(link)) {
            verdict = self.policy.on_answer(&verdict, &asking, &asked.links);
        }
        judged(&verdict)
    }

    /// Program, service and place of what decided.
    fn show(&self, by: By) -> (String, String, String) {
        match by {
            By::Rule(list, line) => {
                let list = &self.policy.lists()[usize::from(list)];
                let program = list.program().map_or("", |program| &self.policy.programs()[program].name);
                (program.to_owned(), list.service.clone(), format!("{}:{line}", list.name))
            }
            By::Owner(exception) => {
                let place = &self.policy.owner_exceptions()[usize::from(exception)].place;
                (String::new(), String::new(), format!("exception {place}"))
            }
            By::Nothing | By::Told => Default::default(),
        }
    }

    /// Rules on what an answer leads to, of lists that are not off, besides those on names.
    fn rules_on_answers(&self) -> u64 {
        let lists = self.policy.lists().iter().enumerate();
        let in_force = lists.filter(|(index, _)| self.policy.list_mode(*index) != Mode::Off);
        let is_on_answers = |matcher: &OtherMatcher| {
            matches!(matcher, OtherMatcher::Address(_) | OtherMatcher::NsName(..) | OtherMatcher::NsAddress(_))
        };
        in_force
            .map(|(_, list)| list.rules.iter_others().filter(|(_, other)| is_on_answers(other)).count() as u64)
            .sum()
    }
}

/// A verdict in one word, as `Verdicts::fate` has it, and the rule that gave it.
fn judged(verdict: &Verdict) -> Judged {
    let first = |outcome| verdict.programs.iter().find(|said| said.outcome == outcome);
    let by = |outcome| first(outcome).map(|said| By::Rule(said.cause.rule.list, said.cause.line));
    if let Some(by) = by(Outcome::Block) {
        return Judged { fate: Fate::Blocked, by };
    }
    if let Some(by) = by(Outcome::WouldBlock) {
        return Judged { fate: Fate::WouldBlock, by };
    }
    let owner = verdict.owner.map(|OwnerPass { exception, .. }| By::Owner(exception));
    match owner.or_else(|| by(Outcome::Except)) {
        Some(by) => Judged { fate: Fate::Excepted, by },
        None => Judged { fate: Fate::Passed, by: By::Nothing },
    }
}

impl Comparison {
    /// `now`: seconds since 1970 (UTC), for queries without a time.
    pub fn new(before: Before, after: Judge, now: i64) -> Self {
        Self {
            before,
            after,
            now,
            batch: vec![Asked::default(); FORESEEN_MAX],
            foreseen: [vec![Foreseen::NOTHING; FORESEEN_MAX], vec![Foreseen::NOTHING; FORESEEN_MAX]],
            tally: Tally::default(),
        }
    }

    /// Asks everything that a file holds. `tick` is told now and then how many queries that were.
    pub fn run(&mut self, source: &mut dyn Source, tick: &mut dyn FnMut(u64)) -> io::Result<()> {
        let (mut filled, mut steps) = (0, 0u64);
        loop {
            let step = source.advance(&mut self.batch[filled])?;
            steps += 1;
            if steps.is_multiple_of(TICK_STEPS) {
                tick(self.tally.counts.queries);
            }
            match step {
                Step::Asked => filled += 1,
                Step::Ignored => self.tally.ignored += 1,
                Step::BetweenServers => self.tally.between_servers += 1,
                Step::Skipped(reason) => self.tally.skips.add(source.place(), reason),
                Step::Broken(reason) => {
                    self.tally.broken = Some(format!("{}: {}", source.place(), summary::short(reason)));
                    break;
                }
                Step::End => break,
            }
            if filled == FORESEEN_MAX {
                self.decide(filled);
                filled = 0;
            }
        }
        self.decide(filled);
        Ok(())
    }

    /// Decides on the first queries of the batch.
    fn decide(&mut self, filled: usize) {
        let Self { before, after, now, batch, foreseen: [foreseen_before, foreseen_after], tally } = self;
        let batch = &batch[..filled];
        after.foresee(batch, foreseen_after);
        if let Before::Policy(judge) = before {
            judge.foresee(batch, foreseen_before);
        }
        for (index, asked) in batch.iter().enumerate() {
            let judged_before = match before {
                Before::Nothing => Judged { fate: Fate::Passed, by: By::Nothing },
                Before::Recorded => Judged { fate: asked.recorded.unwrap_or(Fate::Passed), by: By::Told },
                Before::Policy(judge) => judge.judge(asked, &foreseen_before[index], *now),
            };
            let judged_after = after.judge(asked, &foreseen_after[index], *now);
            tally.note(asked);
            let fates = (judged_before.fate, judged_after.fate);
            let client = (asked.client, asked.client_text.as_str());
            let counted = tally.counts.query(&asked.name, client, fates);
            if fates.0 != fates.1 {
                let reason = reason(before, after, &judged_before, &judged_after, asked, tally);
                tally.counts.changed(&asked.name, counted, fates, reason);
            }
        }
    }

    /// What was found: the first `top` rows of each table.
    pub fn summary(&self, format: Format, top: usize) -> Summary {
        let rules = |judge: &Judge| judge.rules_on_answers();
        let before = match &self.before {
            Before::Policy(judge) => rules(judge),
            Before::Nothing | Before::Recorded => 0,
        };
        summary::summarize(&self.tally, format, top, (before, rules(&self.after)))
    }
}

/// The number of the rule that explains a change: the one that decides now, else the one that no longer does.
fn reason(before: &Before, after: &Judge, was: &Judged, is: &Judged, asked: &Asked, tally: &mut Tally) -> u32 {
    let reasons = &mut tally.counts.reasons;
    match (is.by, before) {
        (By::Nothing, Before::Policy(judge)) => {
            key(was.by, true).map(|key| reasons.of_rule(key, || judge.show(was.by)))
        }
        (By::Nothing, _) => Some(reasons.of_told(&asked.told)),
        (by, _) => key(by, false).map(|key| reasons.of_rule(key, || after.show(by))),
    }
    .unwrap_or(NO_REASON)
}

/// What tells one rule, or one exception of the owner's, from another.
fn key(by: By, is_of_before: bool) -> Option<(bool, u16, u32)> {
    match by {
        By::Rule(list, line) => Some((is_of_before, list, line)),
        // Lines are counted from 1.
        By::Owner(exception) => Some((is_of_before, exception, 0)),
        By::Nothing | By::Told => None,
    }
}

impl Tally {
    fn note(&mut self, asked: &Asked) {
        self.without_client += u64::from(asked.client.is_none());
        self.with_answer += u64::from(!asked.links.is_empty());
        self.unaskable += u64::from(asked.unaskable);
        if let Some(time) = asked.time {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
    }
}

#[cfg(test)]
mod tests;
