//! Decides on a query: what the programs say of its question, and then of what its answer leads to.
//!
//! For one query, from strongest to weakest:
//!
//! 1. Admission (access list, rate): before this module.
//! 2. The owner's local data and special-use names: before this module.
//! 3. The owner's exceptions: one that matches the name asked or anything its answer leads to passes the whole answer;
//!    one limited to some programs does so for them.
//! 4. Each program by itself, over all its lists: in `tally`. An exception on the question passes all that the answer
//!    holds too; one on an alias, an address or a name server passes that alone.
//! 5. Across programs: an exception in one never reaches another. The first enforcing program, in the order of
//!    configuration, that blocks sets the action; the verdicts of all are recorded. A question that is blocked is not
//!    resolved, so what rules on its answer would say is not seen.
//!
//! A program is judged twice: over its enforcing rules, which gives what happens, and over all its rules, which gives
//! what would. So a list in shadow never changes an octet, not even by an exception.

use super::{
    AliasTarget, Cause, Client, ClientIs, Conditions, Effect, Extra, Foreseen, Link, Mode, Needs, OwnerPass, Pause,
    Policy, Reached, Role, RuleHead, RuleView, Trigger, Verdict, index::Hit, tally::Tally, verdict::Passed,
};
use crate::dns::{Name, RrType};

/// A question and who asks it, when.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub name: &'a Name,
    pub rr_type: RrType,
    pub client: Client<'a>,
    /// Seconds since 1970 (UTC).
    pub now: i64,
    pub pauses: &'a [Pause],
}

/// A rule that matched, whether or not it decided anything: what `explain` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MatchedRule {
    /// `None`: one of the owner's exceptions.
    pub program: Option<usize>,
    pub mode: Mode,
    pub cause: Cause,
}

/// What holds for one query.
struct Situation<'p, 'a> {
    asking: &'a Asking<'a>,
    group: u16,
    /// Modes of all lists.
    modes: &'p [Mode],
    /// Programs outside their schedule, as a mask.
    off: u32,
    /// Nothing is more than shadow.
    paused: bool,
}

/// All programs, as a mask.
const ALL: u32 = u32::MAX;

/// What the rules that match come to.
#[derive(Default)]
struct Noted {
    tally: Tally,
    owner: OwnersWord,
    /// One is of the program that watches for ways round this resolver.
    bypass: bool,
}

/// What the owner's exceptions say of one query.
#[derive(Default)]
struct OwnersWord {
    /// The first, in the order of configuration, that passes everything.
    whole: Option<u16>,
    /// The first that is limited to programs.
    limited: Option<u16>,
    /// Those programs, as a mask.
    ignored: u32,
}

impl Policy {
    /// Begins to decide on a question for this name. Whoever has several does this for all of them, then `foresee_rules`
    /// for all, and waits for memory once instead of once for each. More than some dozens fall out of the processor's
    /// cache again before they are decided.
    #[inline]
    pub fn foresee(&self, name: &Name, foreseen: &mut Foreseen) {
        self.index.foresee(name, foreseen);
    }

    /// Goes on with a name that `foresee` of this very policy was told of.
    #[inline]
    pub fn foresee_rules(&self, foreseen: &mut Foreseen) {
        self.index.foresee_rules(foreseen);
    }

    /// Decides on the question.
    pub fn on_question(&self, asking: &Asking<'_>) -> Verdict {
        let (mut foreseen, mut verdict) = (Foreseen::NOTHING, Verdict::default());
        self.foresee(asking.name, &mut foreseen);
        self.foresee_rules(&mut foreseen);
        self.on_question_foreseen(asking, &foreseen, &mut verdict);
        verdict
    }

    /// Decides on a question for a name that `foresee` and `foresee_rules` were told of. `verdict` is a fresh one, to be
    /// filled in where it stays.
    pub fn on_question_foreseen(&self, asking: &Asking<'_>, foreseen: &Foreseen, verdict: &mut Verdict) {
        let situation = self.situation(asking);
        verdict.group = situation.group;
        let mut noted = Noted::default();
        self.index.on_client(asking.client.address, |hit| {
            self.note(&situation, hit, None, 0, Trigger::Client, &mut noted);
        });
        self.index.on_name_foreseen(asking.name, foreseen, |hit| {
            self.note(&situation, hit, Some(asking.name), 0, Trigger::Qname, &mut noted);
        });
        // Not taken apart: the tally is large, and would be moved.
        let owner = &noted.owner;
        verdict.bypass = noted.bypass;
        verdict.owner = owner.pass();
        if verdict.is_owners() {
            noted.tally.finish(ALL, Passed::default(), verdict);
            return;
        }
        noted.tally.finish(owner.ignored, Passed::default(), verdict);
        // What several programs said is kept in the order of configuration.
        if verdict.programs.len() > 1 {
            verdict.programs.sort_unstable_by_key(|said| said.program);
        }
        verdict.passed = verdict.passed.and(owner.ignored);
    }

    /// Decides on what the answer leads to, after `on_question` let the question pass. `question` must come from this
    /// very policy and the same asking. Returns the verdict on both.
    pub fn on_answer(&self, question: &Verdict, asking: &Asking<'_>, links: &[Link]) -> Verdict {
        let mut verdict = question.clone();
        if question.block().is_some() {
            return verdict;
        }
        verdict.answer_seen = !question.is_owners();
        if links.is_empty() {
            return verdict;
        }
        let situation = self.situation(asking);
        verdict.group = situation.group;
        let mut noted = Noted::default();
        // The owner's word on any link is for the whole answer, so all are looked at before any is judged.
        let mut tallies: Vec<Tally> = Vec::new();
        for (at, link) in links.iter().enumerate() {
            let number = (at + 1).min(255) as u8;
            self.each_match(link, |hit, name| self.note(&situation, hit, name, number, link.trigger, &mut noted));
            if !noted.tally.is_empty() {
                tallies.push(std::mem::take(&mut noted.tally));
            }
        }
        let Noted { owner, bypass, .. } = noted;
        verdict.bypass |= bypass && !question.is_owners();
        let ignored = if question.is_owners() {
            ALL
        } else if let Some(pass) = owner.pass().filter(|pass| pass.whole) {
            (verdict.owner, verdict.passed) = (Some(pass), Passed::default());
            ALL
        } else {
            verdict.owner = verdict.owner.or(owner.pass());
            owner.ignored
        };
        let passed = question.passed.and(ignored);
        if ignored != 0 {
            verdict.ignore(ignored);
        }
        let mut zones = Tally::default();
        for mut tally in tallies {
            zones.take_rpz(&mut tally);
            tally.finish(ignored, passed, &mut verdict);
        }
        zones.finish(ignored, passed, &mut verdict);
        verdict.programs.sort_by_key(|said| said.program);
        verdict
    }

    /// What must be known of the answer to a question for `on_answer` to decide.
    pub fn needs_for(&self, question: &Verdict) -> Needs {
        let needs = self.needs[usize::from(question.group)];
        // What the owner passes waits for nothing but its answer.
        if question.is_owners() { Needs { addresses: needs.addresses, ..Needs::default() } } else { needs }
    }

    /// Every rule that matches the question (link 0) or a link of the answer, and whose conditions hold; its mode is off
    /// where the client's group or a schedule says so.
    pub fn matching_rules(&self, asking: &Asking<'_>, number: u8, link: &Link) -> Vec<MatchedRule> {
        let situation = self.situation(asking);
        let mut matched = Vec::new();
        self.each_match(link, |hit, name| {
            let mode = situation.mode(self, usize::from(hit.rule.list));
            if self.holds(&situation, &hit, name) {
                let program = match self.roles[usize::from(hit.rule.list)] {
                    Role::Program(program) => Some(program),
                    Role::Owner(_) => None,
                };
                let cause = cause_of(&situation, &hit, name, number, link.trigger);
                matched.push(MatchedRule { program, mode, cause });
            }
        });
        matched
    }

    /// Whether any rule at all looks at this link, whatever its conditions, mode and program. What none does needs no
    /// decision, by any client, while this policy is in force.
    pub fn touches(&self, link: &Link) -> bool {
        let mut found = false;
        self.each_match(link, |_, _| found = true);
        found
    }

    /// True if some list of a program's service has a rule on a name that says the same.
    pub fn has_name_rule(&self, program: &str, service: &str, rule: &RuleView<'_>) -> bool {
        let is_own = |list: usize| {
            let Some(spec) = self.spec.lists.get(list) else { return false };
            let own = spec.program().map(|program| self.spec.programs[program].name.as_str());
            own == Some(program) && spec.service == service
        };
        self.index.has(rule, is_own)
    }

    /// The group of a client: 0 for nobody's.
    pub fn group_of(&self, client: &Client<'_>) -> u16 {
        self.groups.find(client)
    }

    /// When the pause that holds for this query ends, in seconds since 1970 (UTC); `None` if none does.
    pub fn paused_until(&self, asking: &Asking<'_>) -> Option<i64> {
        let group = self.group_name(self.group_of(&asking.client));
        let holds = |pause: &&Pause| pause.holds_for(asking.now, group, &asking.client);
        asking.pauses.iter().filter(holds).map(|pause| pause.until).max()
    }

    /// The mode that a list has for this query.
    pub fn mode_for(&self, asking: &Asking<'_>, list: usize) -> Mode {
        self.situation(asking).mode(self, list)
    }

    /// Calls `found` for every rule that looks at what the link is, with the name it matched, if it is one.
    fn each_match<'a>(&'a self, link: &Link, mut found: impl FnMut(Hit<'a>, Option<&Name>)) {
        match (&link.what, link.trigger) {
            (Reached::Name(name), Trigger::NsName) => self.index.on_ns_name(name, |hit| found(hit, Some(name))),
            (Reached::Name(name), _) => self.index.on_name(name, |hit| found(hit, Some(name))),
            (Reached::Address(address), Trigger::NsAddress) => {
                self.index.on_ns_address(*address, &self.spec.geo, |hit| found(hit, None));
            }
            (Reached::Address(address), Trigger::Client) => self.index.on_client(*address, |hit| found(hit, None)),
            (Reached::Address(address), _) => self.index.on_address(*address, &self.spec.geo, |hit| found(hit, None)),
        }
    }

    #[inline]
    fn situation<'p, 'a>(&'p self, asking: &'a Asking<'a>) -> Situation<'p, 'a> {
        let group = self.groups.find(&asking.client);
        let schedule = match group {
            0 => None,
            group => self.spec.groups[usize::from(group) - 1].schedule.as_ref(),
        };
        let applies = schedule.is_none_or(|schedule| schedule.is_on(asking.now));
        let is_off = |&program: &u8| {
            let schedule = self.spec.programs[usize::from(program)].schedule.as_ref();
            schedule.is_some_and(|schedule| !schedule.is_on(asking.now))
        };
        let off = self.scheduled.iter().filter(|&program| is_off(program)).fold(0, |off, program| off | 1 << program);
        let modes = &self.modes[if applies { usize::from(group) } else { 0 }];
        Situation {
            asking,
            group,
            modes,
            off,
            paused: asking
                .pauses
                .iter()
                .any(|pause| pause.holds_for(asking.now, self.group_name(group), &asking.client)),
        }
    }

    /// Notes a rule that matched, if it holds.
    #[inline(always)]
    fn note(
        &self,
        situation: &Situation<'_, '_>,
        hit: Hit<'_>,
        name: Option<&Name>,
        link: u8,
        trigger: Trigger,
        noted: &mut Noted,
    ) {
        let list = usize::from(hit.rule.list);
        if !self.holds(situation, &hit, name) {
            return;
        }
        match self.roles[list] {
            Role::Owner(exception) => self.note_owner(exception, situation, &mut noted.owner),
            Role::Program(program) => {
                noted.bypass |= Some(program) == self.bypass;
                let mode = situation.mode(self, list);
                if mode != Mode::Off {
                    let cause = cause_of(situation, &hit, name, link, trigger);
                    noted.tally.add(program as u8, mode, self.zones[list], cause);
                }
            }
        }
    }

    #[cold]
    fn note_owner(&self, index: usize, situation: &Situation<'_, '_>, owner: &mut OwnersWord) {
        let exception = &self.spec.owner_exceptions[index];
        if !exception.holds(situation.asking.now, situation.group) {
            return;
        }
        let index = index as u16;
        if exception.programs.is_empty() {
            owner.whole = Some(owner.whole.map_or(index, |first| first.min(index)));
        } else {
            owner.limited = Some(owner.limited.map_or(index, |first| first.min(index)));
            exception.programs.iter().for_each(|&program| owner.ignored |= 1 << program);
        }
    }

    fn holds(&self, situation: &Situation<'_, '_>, hit: &Hit<'_>, name: Option<&Name>) -> bool {
        let conditions = hit.head.extra.and_then(|extra| extra.conditions.as_deref());
        conditions.is_none_or(|conditions| self.all_hold(situation, conditions, name))
    }

    #[inline(never)]
    fn all_hold(&self, situation: &Situation<'_, '_>, conditions: &Conditions, name: Option<&Name>) -> bool {
        let Asking { rr_type, client, .. } = situation.asking;
        let of_type = |(only, types): &(bool, Vec<RrType>)| types.contains(rr_type) == *only;
        if !conditions.types.as_ref().is_none_or(of_type) {
            return false;
        }
        let group = match situation.group {
            0 => None,
            group => Some(&self.spec.groups[usize::from(group) - 1]),
        };
        let is_client = |who: &ClientIs| match who {
            ClientIs::Net(net) => net.contains(&client.address.to_canonical()),
            ClientIs::Id(id) => client.id.is_some_and(|own| own == id) || group.is_some_and(|group| group.name == *id),
        };
        let has_tag = |tag: &String| group.is_some_and(|group| group.tags.contains(tag));
        any_and_none(&conditions.clients, is_client)
            && any_and_none(&conditions.tags, has_tag)
            && !name.is_some_and(|name| conditions.denyallow.iter().any(|own| name.is_at_or_below(own)))
    }
}

impl Situation<'_, '_> {
    #[inline]
    fn mode(&self, policy: &Policy, list: usize) -> Mode {
        match policy.roles[list] {
            Role::Owner(_) => Mode::Enforce,
            Role::Program(program) if self.off & 1 << program != 0 => Mode::Off,
            Role::Program(_) if self.paused => self.modes[list].min(Mode::Shadow),
            Role::Program(_) => self.modes[list],
        }
    }
}

impl OwnersWord {
    fn pass(&self) -> Option<OwnerPass> {
        let whole = self.whole.map(|exception| OwnerPass { exception, whole: true });
        whole.or(self.limited.map(|exception| OwnerPass { exception, whole: false }))
    }
}

/// True if none of the items with false is so, and one of those with true, if there are any.
fn any_and_none<T>(items: &[(bool, T)], is_so: impl Fn(&T) -> bool) -> bool {
    let mut wanted = items.iter().filter(|(want, _)| *want).peekable();
    let some = wanted.peek().is_none() || wanted.any(|(_, item)| is_so(item));
    some && !items.iter().any(|(want, item)| !want && is_so(item))
}

fn cause_of(situation: &Situation<'_, '_>, hit: &Hit<'_>, name: Option<&Name>, link: u8, trigger: Trigger) -> Cause {
    let RuleHead { flags, line, extra } = hit.head;
    // Over TCP a rule that lets only TCP through lets pass; and what a list answers with an alias to itself passes: an
    // alias of every name below one, such as to the safe version of a site, may lead to one of them.
    let is_own_alias = |extra: &Extra| {
        let alias = extra.rewrite.as_ref().and_then(|data| data.alias.as_ref());
        matches!((alias, name), (Some(AliasTarget::Name(target)), Some(name)) if **target == *name)
    };
    let passes = flags.is_tcp_only() && situation.asking.client.tcp || extra.is_some_and(is_own_alias);
    let of_some_types = |extra: &Extra| extra.conditions.as_ref().is_some_and(|own| own.types.is_some());
    Cause {
        rule: hit.rule,
        line,
        effect: if passes { Effect::Except } else { flags.effect() },
        important: flags.is_important(),
        scope: hit.scope,
        labels: hit.labels,
        trigger,
        link,
        by_type: extra.is_some_and(of_some_types) || trigger.depends_on_type(),
        by_client: trigger == Trigger::Client || hit.head.is_by_client(),
        specificity: hit.specificity,
    }
}
