//! Asks two policies, by batches, and counts where they differ.

use super::{
    answers::Answers,
    count::{Counts, NO_REASON},
    input::{Answer, Asked, Beaten, Format, Place, Source, Step},
    summary::{self, Skips, Summary},
};
use crate::{
    dns::{Name, Record},
    policy::{Asking, Client, Foreseen, Link, Mode, OtherMatcher, Outcome, OwnerPass, Policy, Trigger, Verdict},
    query::{FORESEEN_MAX, LocalAnswer, LocalData, LocalEnd, SpecialNames},
    query_log::Fate,
};
use foldhash::fast::RandomState;
use std::{
    borrow::Cow,
    collections::HashMap,
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
    local: LocalData,
    special: SpecialNames,
    /// Groups by name.
    groups: HashMap<String, Group, RandomState>,
}

/// A group of a policy.
#[derive(Clone, Copy)]
struct Group {
    number: u16,
    /// Addresses don't tell all who are in it.
    is_told_by_more: bool,
}

/// By what a query's client is in the group that it was judged in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupBy {
    /// Its address, or there is but one group.
    Address,
    /// The file names it.
    Recorded,
    /// Nothing is told that would put it into one.
    Nothing,
}

/// What is known of a name before any policy is asked.
enum Own {
    Nothing,
    /// It is answered here.
    Answered,
    /// The owner's aliases lead elsewhere: their targets that the file doesn't tell.
    Leads(Vec<Link>),
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
    /// How much of the batch is filled.
    filled: usize,
    answers: Answers,
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
    /// Queries of which only sums are left.
    pub(super) only_sums: u64,
    pub(super) broken: Option<String>,
    /// Microseconds since 1970 of the first query and the last by time.
    pub(super) times: Option<(i64, i64)>,
    /// Queries without a client's address, with something of their answers, with a verdict that can't be asked again.
    pub(super) without_client: u64,
    pub(super) with_answer: u64,
    /// Queries answered from the cache: where that led is known from another, or not at all.
    pub(super) remembered: u64,
    pub(super) without_answer: u64,
    pub(super) unaskable: u64,
    /// Queries of which the file tells too little to compare what it says of them.
    pub(super) incomparable: u64,
    /// Queries whose group the file names, those of which nothing tells it, and those of the latter that changed.
    pub(super) recorded_group: u64,
    pub(super) without_group: u64,
    pub(super) changed_without_group: u64,
}

/// What became of a query, and by what.
struct Judged {
    fate: Fate,
    by: By,
    group_by: GroupBy,
    /// An exception matched, and nothing would be blocked without it, as far as rules could be asked.
    is_needless: bool,
    /// The question is blocked, and an exception of the owner's holds for what its answer led to.
    is_owners_behind: bool,
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
    pub fn new(policy: Arc<Policy>, local: LocalData, special: SpecialNames) -> Self {
        let group = |number: u16| {
            let group = Group { number, is_told_by_more: policy.is_told_by_more(number) };
            (policy.group_name(number).to_owned(), group)
        };
        let groups = (0..=policy.groups().len()).map(|number| group(number as u16)).collect();
        Self { policy, local, special, groups }
    }

    /// The group that the file names, where it is needed, and by what the client is in its group.
    fn group(&self, asked: &Asked) -> (Option<u16>, GroupBy) {
        // Nobody's is one too.
        if self.groups.len() == 1 {
            return (None, GroupBy::Address);
        }
        let recorded = if asked.group.is_empty() { None } else { self.groups.get(&asked.group) };
        match (asked.client, recorded) {
            (Some(_), Some(group)) if group.is_told_by_more && asked.client_id.is_empty() => {
                (Some(group.number), GroupBy::Recorded)
            }
            (Some(_), _) => (None, GroupBy::Address),
            (None, Some(group)) => (Some(group.number), GroupBy::Recorded),
            (None, None) if !asked.client_id.is_empty() => (None, GroupBy::Address),
            (None, None) => (None, GroupBy::Nothing),
        }
    }

    /// Begins with a batch of names.
    fn foresee(&self, batch: &[Asked], foreseen: &mut [Foreseen]) {
        batch.iter().zip(foreseen.iter_mut()).for_each(|(asked, foreseen)| self.policy.foresee(&asked.name, foreseen));
        foreseen.iter_mut().take(batch.len()).for_each(|foreseen| self.policy.foresee_rules(foreseen));
    }

    fn judge(&self, asked: &Asked, foreseen: &Foreseen, now: i64) -> Judged {
        let own = self.own(asked);
        if let Own::Answered = own {
            return Judged::PASSED;
        }
        let (group, group_by) = self.group(asked);
        let client = Client {
            address: asked.client.unwrap_or(NOBODY),
            id: Some(asked.client_id.as_str()).filter(|id| !id.is_empty()),
            mac: None,
            tcp: asked.tcp,
            group,
        };
        let now = asked.time.map_or(now, |micros| micros.div_euclid(1_000_000));
        let asking = Asking { name: &asked.name, rr_type: asked.rr_type, client, now, pauses: &[] };
        let mut verdict = Verdict::default();
        let behind;
        let links = match own {
            // Of the owner's own name no rule is asked, but of all that its aliases lead to.
            Own::Leads(aliases) => {
                verdict = Verdict::of_group(self.policy.group_of(&asking.client));
                behind = [aliases, asked.links.clone()].concat();
                &behind
            }
            Own::Nothing | Own::Answered => {
                self.policy.on_question_foreseen(&asking, foreseen, &mut verdict);
                &asked.links
            }
        };
        // What the owner lets pass is asked on as well: an exception counts only where something would be blocked without it.
        let looks_on = verdict.block().is_none();
        if looks_on && links.iter().any(|link| self.policy.touches(link)) {
            verdict = self.policy.on_answer(&verdict, &asking, links);
        }
        let is_owners_behind = !looks_on && may_hide_exception(asked) && {
            let question = Verdict::of_group(self.policy.group_of(&asking.client));
            self.policy.on_answer(&question, &asking, links).owner.is_some()
        };
        Judged { group_by, is_owners_behind, ..judged(&verdict) }
    }

    /// What is known without the policy, as the server's flow has it: local data first, and what its aliases lead to.
    fn own(&self, asked: &Asked) -> Own {
        let is_special = |name: &Name| self.special.find(name).is_some();
        match self.local.find(&asked.name, asked.rr_type) {
            Some(LocalAnswer { records, name, end: LocalEnd::Elsewhere }) if !is_special(&name) => {
                let targets = records.iter().filter_map(Record::target);
                let links = targets.map(|target| Link::name(target, Trigger::Cname));
                let is_new = |link: &Link| asked.links.iter().all(|told| told.what != link.what);
                Own::Leads(links.filter(is_new).collect())
            }
            Some(_) => Own::Answered,
            None if is_special(&asked.name) => Own::Answered,
            None => Own::Nothing,
        }
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

impl Judged {
    /// Nobody said anything, and nobody had to know who asked.
    const PASSED: Self = Self {
        fate: Fate::Passed,
        by: By::Nothing,
        group_by: GroupBy::Address,
        is_needless: false,
        is_owners_behind: false,
    };
}

/// A verdict in one word, and the rule that gave it.
fn judged(verdict: &Verdict) -> Judged {
    let first = |outcome| verdict.programs.iter().find(|said| said.outcome == outcome);
    let by = |outcome| first(outcome).map(|said| By::Rule(said.cause.rule.list, said.cause.line));
    let fate = Fate::of(verdict);
    let owner = verdict.owner.map(|OwnerPass { exception, .. }| By::Owner(exception));
    let excepts = owner.or_else(|| by(Outcome::Except));
    let is_needless = fate == Fate::Passed && excepts.is_some();
    let by = match fate {
        Fate::Blocked => by(Outcome::Block),
        Fate::WouldBlock => by(Outcome::WouldBlock),
        Fate::Excepted => excepts,
        Fate::Passed | Fate::Refused => None,
    };
    Judged { fate, by: by.unwrap_or(By::Nothing), is_needless, ..Judged::PASSED }
}

/// Whether a rule on clients, which is withheld, may have let the question pass before the owner's exception took the place of
/// that for all that the file tells: of what lost against it only what would block is kept.
fn may_hide_exception(asked: &Asked) -> bool {
    // Where nothing was beaten, it is told as passed.
    let is_untold = asked.beaten == Beaten::Untold && asked.recorded == Some(Fate::Excepted);
    asked.client.is_none() && asked.by_owner && (asked.beat_on_question || is_untold)
}

/// What the file says of a query. Where it tells too little to say whether that is what is said of it now, it is, and false
/// is returned.
fn recorded(asked: &Asked, is: &Judged) -> (Judged, bool) {
    let recorded = asked.recorded.unwrap_or(Fate::Passed);
    let strongest = asked.unaskable.map_or(recorded, |other| other.min(recorded));
    // They are ordered from the strongest. What blocks leaves the answer unseen, and with it exceptions for what it leads to.
    let may_have_hidden = strongest == Fate::Blocked && is.fate == Fate::Excepted;
    let may_be_left_out = may_have_hidden || (strongest..=recorded).contains(&is.fate);
    let may_beat_nothing = recorded == Fate::Excepted && asked.beaten == Beaten::Untold && is.is_needless;
    let fate = if may_be_left_out || may_beat_nothing || is.is_owners_behind { is.fate } else { recorded };
    (Judged { fate, by: By::Told, ..Judged::PASSED }, fate == recorded)
}

impl Comparison {
    /// `now`: seconds since 1970 (UTC), for queries without a time.
    pub fn new(before: Before, after: Judge, now: i64) -> Self {
        Self {
            before,
            after,
            now,
            batch: vec![Asked::default(); FORESEEN_MAX],
            filled: 0,
            answers: Answers::default(),
            foreseen: [vec![Foreseen::NOTHING; FORESEEN_MAX], vec![Foreseen::NOTHING; FORESEEN_MAX]],
            tally: Tally::default(),
        }
    }

    /// Asks everything that a file holds, as far as it can be read: the summary says where that ends. `tick` is told now and
    /// then how many queries that were.
    pub fn run(&mut self, source: &mut dyn Source, tick: &mut dyn FnMut(u64)) {
        let (mut freed, mut steps) = (Vec::new(), 0u64);
        self.tally.only_sums += source.only_sums();
        loop {
            let step = source.advance(&mut self.batch[self.filled]);
            steps += 1;
            if steps.is_multiple_of(TICK_STEPS) {
                tick(self.tally.counts.queries);
            }
            match step.unwrap_or_else(|error| Step::Broken(format!("it can't be read on: {error}").into())) {
                Step::Asked => {
                    if self.answers.complete(&mut self.batch[self.filled], &mut freed) {
                        self.filled();
                    }
                    self.take(&mut freed);
                }
                Step::Ignored => self.tally.ignored += 1,
                Step::BetweenServers => self.tally.between_servers += 1,
                // What came before it may still be to come.
                Step::Skipped(reason) if source.is_cut() => {
                    self.tally.broken = Some(broken(source.place(), format!("the file ends in it: {reason}").into()));
                }
                Step::Skipped(reason) => self.tally.skips.add(source.place(), reason),
                Step::Broken(reason) => {
                    self.tally.broken = Some(broken(source.place(), reason));
                    break;
                }
                Step::End => break,
            }
        }
        self.answers.end(&mut freed);
        self.take(&mut freed);
        self.decide();
    }

    /// Takes queries into the batch that had been put aside.
    fn take(&mut self, freed: &mut Vec<Asked>) {
        for asked in freed.drain(..) {
            self.batch[self.filled] = asked;
            self.filled();
        }
    }

    /// One more place of the batch is filled.
    fn filled(&mut self) {
        self.filled += 1;
        if self.filled == FORESEEN_MAX {
            self.decide();
        }
    }

    /// Decides on the queries of the batch, and empties it.
    fn decide(&mut self) {
        let Self { before, after, now, batch, filled, foreseen: [foreseen_before, foreseen_after], tally, .. } = self;
        let batch = &batch[..std::mem::take(filled)];
        after.foresee(batch, foreseen_after);
        if let Before::Policy(judge) = before {
            judge.foresee(batch, foreseen_before);
        }
        for (index, asked) in batch.iter().enumerate() {
            let judged_after = after.judge(asked, &foreseen_after[index], *now);
            let judged_before = match before {
                Before::Nothing => Judged::PASSED,
                Before::Recorded => {
                    let (judged, is_comparable) = recorded(asked, &judged_after);
                    tally.incomparable += u64::from(!is_comparable);
                    judged
                }
                Before::Policy(judge) => judge.judge(asked, &foreseen_before[index], *now),
            };
            let fates = (judged_before.fate, judged_after.fate);
            tally.note(asked);
            tally.note_groups([judged_before.group_by, judged_after.group_by], fates.0 != fates.1);
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

/// Where a file can't be read on, and why.
fn broken(place: Place, reason: Cow<'static, str>) -> String {
    format!("{place}: {}", summary::short(reason))
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
        self.remembered += u64::from(asked.answer == Answer::Remembered);
        self.without_answer += u64::from(asked.answer == Answer::FromCache && asked.links.is_empty());
        self.unaskable += u64::from(asked.unaskable.is_some());
        if let Some(time) = asked.time {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
    }

    /// `by`: before and after.
    fn note_groups(&mut self, by: [GroupBy; 2], has_changed: bool) {
        if by.contains(&GroupBy::Nothing) {
            self.without_group += 1;
            self.changed_without_group += u64::from(has_changed);
        } else if by.contains(&GroupBy::Recorded) {
            self.recorded_group += 1;
        }
    }
}

#[cfg(test)]
mod tests;
