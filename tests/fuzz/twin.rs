//! The policy's decision once more, the plain way: every rule of every list is looked at for everything that is asked
//! or answered, and the order of precedence is followed word by word. Slow, and shares nothing with the index.

use cleandns::{
    dns::Name,
    policy::{
        Action, AliasTarget, Anchor, Asking, Client, ClientIs, ClientKey, Conditions, Effect, GroupSpec, Link, Matcher,
        Mode, Outcome, Pattern, Place, PolicySpec, Reached, Role, Rule, Scope, Trigger, Verdict,
    },
};
use ipnet::IpNet;
use std::{cmp::Reverse, net::IpAddr};

/// Networks whose addresses are outside nothing, since no public host has them.
const NOT_GLOBAL: [&str; 9] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/0",
];
/// But for these.
const GLOBAL: &str = "2000::/3";

/// All rules of a policy, one by one.
pub struct Twin<'s> {
    spec: &'s PolicySpec,
    /// By list, those taken back left out; after them the names of each of the owner's exceptions.
    lists: Vec<(Role, Vec<Rule>)>,
}

/// A verdict as far as it can be foretold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// The exception, and whether it passes everything.
    pub owner: Option<(u16, bool)>,
    /// Program, outcome, and the list, line and link that decided.
    pub programs: Vec<(usize, Outcome, usize, u32, usize)>,
    pub group: u16,
    pub answer_seen: bool,
    pub bypass: bool,
}

/// A rule that matched and holds.
#[derive(Clone, Copy)]
struct Match {
    program: usize,
    list: usize,
    line: u32,
    mode: Mode,
    effect: Effect,
    important: bool,
    specificity: (u8, u16),
    trigger: Trigger,
    link: usize,
}

/// What one piece of a query matched.
#[derive(Default)]
struct Found {
    all: Vec<Match>,
    /// Owner's exceptions that hold.
    owner: Vec<usize>,
    bypass: bool,
}

/// What a program says of the question, needed to judge the answer.
#[derive(Clone, Copy, Default)]
struct Level {
    enforce: Option<Match>,
    all: Option<Match>,
}

impl<'s> Twin<'s> {
    pub fn new(spec: &'s PolicySpec) -> Self {
        let mut lists = Vec::new();
        for (at, list) in spec.lists.iter().enumerate() {
            let is_gone = |identity: u64| {
                let mut takers = spec.lists.iter().enumerate();
                takers.any(|(taker, other)| {
                    list.program().is_some()
                        && other.role == list.role
                        && other.rules.disabled().contains(&identity)
                        && goes_as_far(spec, taker, at)
                })
            };
            let own = list.rules.iter().filter(|(_, rule)| !is_gone(rule.identity()));
            lists.push((list.role, own.map(|(_, rule)| rule.unpack()).collect()));
        }
        for (at, exception) in spec.owner_exceptions.iter().enumerate() {
            let own = exception.names.iter();
            let rules = own.map(|(name, scope)| Rule::on_name(Effect::Except, *scope, *name, 0)).collect();
            lists.push((Role::Owner(at), rules));
        }
        Self { spec, lists }
    }

    pub fn on_question(&self, asking: &Asking<'_>) -> Said {
        let mut said = Said { group: self.group(&asking.client), ..Said::default() };
        let found = self.found_for_question(asking);
        said.bypass = found.bypass;
        said.owner = self.owners_word(&found.owner);
        if said.owner.is_some_and(|(_, whole)| whole) {
            return said;
        }
        for program in 0..self.spec.programs.len() {
            let level = self.of_question(program, &found);
            if let Some((outcome, cause)) = outcome(level, Level::default()).filter(|_| !self.ignores(&found, program))
            {
                said.programs.push((program, outcome, cause.list, cause.line, cause.link));
            }
        }
        said
    }

    pub fn on_answer(&self, asking: &Asking<'_>, links: &[Link]) -> Said {
        let mut said = self.on_question(asking);
        let whole = |said: &Said| said.owner.is_some_and(|(_, whole)| whole);
        if whole(&said) || said.programs.iter().any(|(_, outcome, ..)| *outcome == Outcome::Block) {
            return said;
        }
        said.answer_seen = true;
        let of_question = self.found_for_question(asking);
        let of_links: Vec<Found> = links
            .iter()
            .enumerate()
            .map(|(at, link)| {
                let mut found = Found::default();
                self.look(asking, &link.what, link.trigger, at + 1, &mut found);
                found
            })
            .collect();
        said.bypass |= of_links.iter().any(|found| found.bypass);
        let owner: Vec<usize> = of_links.iter().flat_map(|found| found.owner.iter().copied()).collect();
        let word = self.owners_word(&owner);
        if word.is_some_and(|(_, whole)| whole) {
            return Said { owner: word, programs: Vec::new(), ..said };
        }
        said.owner = said.owner.or(word);
        let links_owner = Found { owner, ..Found::default() };
        let mut programs = Vec::new();
        for program in 0..self.spec.programs.len() {
            if self.ignores(&of_question, program) || self.ignores(&links_owner, program) {
                continue;
            }
            let question = self.of_question(program, &of_question);
            let first = outcome(question, Level::default());
            let of_answer = self.of_answer(program, &of_links).into_iter().filter_map(|level| outcome(level, question));
            // The strongest, and among those the first.
            let strongest = first
                .into_iter()
                .chain(of_answer)
                .reduce(|best, next| if strength(next.0) > strength(best.0) { next } else { best });
            if let Some((outcome, cause)) = strongest {
                programs.push((program, outcome, cause.list, cause.line, cause.link));
            }
        }
        Said { programs, ..said }
    }

    fn found_for_question(&self, asking: &Asking<'_>) -> Found {
        let mut found = Found::default();
        self.look(asking, &Reached::Address(asking.client.address), Trigger::Client, 0, &mut found);
        self.look(asking, &Reached::Name(*asking.name), Trigger::Qname, 0, &mut found);
        found
    }

    /// Looks through all rules for those that match something and hold.
    fn look(&self, asking: &Asking<'_>, what: &Reached, trigger: Trigger, link: usize, found: &mut Found) {
        for (list, (role, rules)) in self.lists.iter().enumerate() {
            for rule in rules {
                let Some(specificity) = looks_at(&rule.matcher, what, trigger) else { continue };
                let name = match what {
                    Reached::Name(name) => Some(name),
                    Reached::Address(_) => None,
                };
                if !rule.conditions.as_ref().is_none_or(|own| self.all_hold(own, asking, name)) {
                    continue;
                }
                match *role {
                    Role::Owner(exception) => self.note_owner(exception, asking, found),
                    Role::Program(program) => {
                        found.bypass |= self.spec.programs.iter().position(|own| own.name == "bypass") == Some(program);
                        let mode = self.mode(asking, list, program);
                        let tcp_passes = rule.action == Action::TcpOnly && asking.client.tcp;
                        let leads_to_itself = match (&rule.action, name) {
                            (Action::Rewrite(data), Some(name)) => {
                                matches!(&data.alias, Some(AliasTarget::Name(target)) if **target == *name)
                            }
                            _ => false,
                        };
                        let effect = if tcp_passes || leads_to_itself { Effect::Except } else { rule.effect };
                        let (line, important) = (rule.line, rule.important);
                        if mode != Mode::Off {
                            let one =
                                Match { program, list, line, mode, effect, important, specificity, trigger, link };
                            found.all.push(one);
                        }
                    }
                }
            }
        }
    }

    fn note_owner(&self, index: usize, asking: &Asking<'_>, found: &mut Found) {
        let exception = &self.spec.owner_exceptions[index];
        let is_over = exception.until.is_some_and(|until| until <= asking.now);
        let is_for = exception.groups.is_empty() || exception.groups.contains(&self.group(&asking.client));
        if !is_over && is_for {
            found.owner.push(index);
        }
    }

    /// The first exception for all programs, else the first for some.
    fn owners_word(&self, holding: &[usize]) -> Option<(u16, bool)> {
        let is_whole = |index: &usize| self.spec.owner_exceptions[*index].programs.is_empty();
        let whole = holding.iter().copied().filter(is_whole).min();
        let limited = holding.iter().copied().filter(|index| !is_whole(index)).min();
        whole.map(|index| (index as u16, true)).or(limited.map(|index| (index as u16, false)))
    }

    fn ignores(&self, found: &Found, program: usize) -> bool {
        found.owner.iter().any(|&index| self.spec.owner_exceptions[index].programs.contains(&program))
    }

    /// The rule that decides on the question, of enforcing rules and of all.
    fn of_question(&self, program: usize, found: &Found) -> Level {
        let decide = |enforcing| {
            let (plain, zones) = self.split(program, found, enforcing);
            strongest(first_of_zones(zones).into_iter().chain(strongest(plain)))
        };
        Level { enforce: decide(true), all: decide(false) }
    }

    /// The rules that decide on each link, and then what response policy zones say of them all.
    fn of_answer(&self, program: usize, links: &[Found]) -> Vec<Level> {
        let decide = |enforcing| {
            let (mut by_link, mut zones) = (Vec::new(), Vec::new());
            for found in links {
                let (plain, of_zones) = self.split(program, found, enforcing);
                let (mut plain, mut zone) = (strongest(plain), first_of_zones(of_zones));
                // Beside each other, an exception of one takes a weaker block of the other away.
                if let (Some(p), Some(z)) = (plain, zone) {
                    if p.effect == Effect::Except && z.effect == Effect::Block && class(&p) > class(&z) {
                        zone = None;
                    }
                    if z.effect == Effect::Except && p.effect == Effect::Block && class(&z) > class(&p) {
                        plain = zone;
                    }
                }
                by_link.push(plain);
                zones.extend(zone);
            }
            by_link.push(first_of_zones(zones));
            by_link
        };
        let pairs = decide(true).into_iter().zip(decide(false));
        pairs.map(|(enforce, all)| Level { enforce, all }).collect()
    }

    /// A program's matches: of ordinary lists, and of zones.
    fn split(&self, program: usize, found: &Found, enforcing: bool) -> (Vec<Match>, Vec<Match>) {
        let own = found.all.iter().filter(|one| one.program == program);
        let counted = own.filter(|one| !enforcing || one.mode == Mode::Enforce);
        counted.partition(|one| self.spec.lists[one.list].rules.zone().is_none())
    }

    /// min(ceiling, P, S), unless the program's schedule or a pause says less.
    fn mode(&self, asking: &Asking<'_>, list: usize, program: usize) -> Mode {
        if self.spec.programs[program].schedule.as_ref().is_some_and(|schedule| !schedule.is_on(asking.now)) {
            return Mode::Off;
        }
        let group = self.group(&asking.client).checked_sub(1).map(|at| &self.spec.groups[usize::from(at)]);
        let in_force = |group: &&GroupSpec| group.schedule.as_ref().is_none_or(|schedule| schedule.is_on(asking.now));
        let mode = mode_of(self.spec, list, group.filter(in_force));
        let name = group.map_or("default", |group| group.name.as_str());
        let for_us = |group: Option<&str>| group.is_none() || group == Some(name);
        let is_paused = asking.pauses.iter().any(|pause| for_us(pause.group.as_deref()) && pause.until > asking.now);
        if is_paused { mode.min(Mode::Shadow) } else { mode }
    }

    fn group(&self, client: &Client<'_>) -> u16 {
        let keys = || {
            let groups = (1..).zip(&self.spec.groups);
            groups.flat_map(|(number, group)| group.clients.iter().map(move |key| (number, key)))
        };
        let by = |is_it: &dyn Fn(&ClientKey) -> bool| keys().find(|(_, key)| is_it(key)).map(|(number, _)| number);
        let mut longest: Option<(u8, u16)> = None;
        for (number, key) in keys() {
            if let ClientKey::Net(net) = key
                && net.contains(&client.address.to_canonical())
                && longest.is_none_or(|(bits, _)| net.prefix_len() > bits)
            {
                longest = Some((net.prefix_len(), number));
            }
        }
        by(&|key| client.id.is_some_and(|id| *key == ClientKey::Id(id.to_owned())))
            .or(by(&|key| client.mac.is_some_and(|mac| *key == ClientKey::Mac(mac))))
            .or(longest.map(|(_, number)| number))
            .unwrap_or(0)
    }

    fn all_hold(&self, conditions: &Conditions, asking: &Asking<'_>, name: Option<&Name>) -> bool {
        let Conditions { types, clients, tags, denyallow } = conditions;
        let group = self.group(&asking.client).checked_sub(1).map(|at| &self.spec.groups[usize::from(at)]);
        let is_type = types.as_ref().is_none_or(|(only, types)| match only {
            true => types.contains(&asking.rr_type),
            false => !types.contains(&asking.rr_type),
        });
        let is_client = |who: &ClientIs| match who {
            ClientIs::Net(net) => net.contains(&asking.client.address.to_canonical()),
            ClientIs::Id(id) => asking.client.id == Some(id) || group.is_some_and(|group| group.name == *id),
        };
        let has_tag = |tag: &String| group.is_some_and(|group| group.tags.contains(tag));
        let names_it = |own: &Name| name.is_some_and(|name| is_below(name, own).is_some());
        is_type && wanted(clients, is_client) && wanted(tags, has_tag) && !denyallow.iter().any(names_it)
    }
}

/// A verdict of the policy's in the same words.
pub fn said(verdict: &Verdict) -> Said {
    let programs = verdict.programs.iter().map(|said| {
        let cause = &said.cause;
        (usize::from(said.program), said.outcome, cause.list(), cause.line, usize::from(cause.link))
    });
    Said {
        owner: verdict.owner.map(|pass| (pass.exception, pass.whole)),
        programs: programs.collect(),
        group: verdict.group,
        answer_seen: verdict.answer_seen,
        bypass: verdict.bypass,
    }
}

/// True if a list never does less than another of its program, in whatever group.
fn goes_as_far(spec: &PolicySpec, list: usize, other: usize) -> bool {
    let groups = std::iter::once(None).chain(spec.groups.iter().map(Some));
    groups.into_iter().all(|group| mode_of(spec, list, group) >= mode_of(spec, other, group))
}

fn mode_of(spec: &PolicySpec, list: usize, group: Option<&GroupSpec>) -> Mode {
    let list = &spec.lists[list];
    let Some(program) = list.program() else { return Mode::Enforce };
    let own = &spec.programs[program];
    let p = group.and_then(|group| group.programs.get(&program)).unwrap_or(&own.mode);
    let s = group
        .and_then(|group| group.services.get(&(program, list.service.clone())))
        .or(own.services.get(&list.service))
        .or(list.default.as_ref())
        .or(own.services.get("*"))
        .unwrap_or(&Mode::Enforce);
    let mode = spec.mode.min(*p).min(*s);
    if list.never_acts { mode.min(Mode::Shadow) } else { mode }
}

/// What a program says, given what it said of the question: an exception there passes what follows.
fn outcome(level: Level, question: Level) -> Option<(Outcome, Match)> {
    let is = |one: Option<Match>, effect| one.filter(|one| one.effect == effect);
    let passes = |one: Option<Match>| is(one, Effect::Except).is_some();
    let block = is(level.enforce, Effect::Block).filter(|_| !passes(question.enforce));
    let would_block = is(level.all, Effect::Block).filter(|_| !passes(question.all));
    let except = is(level.enforce, Effect::Except).or(is(level.all, Effect::Except));
    block
        .map(|cause| (Outcome::Block, cause))
        .or(would_block.map(|cause| (Outcome::WouldBlock, cause)))
        .or(except.map(|cause| (Outcome::Except, cause)))
}

fn strength(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Except => 0,
        Outcome::WouldBlock => 1,
        Outcome::Block => 2,
    }
}

/// Important exception, important block, exception, block; then how specific; then list; then line.
fn strongest(matches: impl IntoIterator<Item = Match>) -> Option<Match> {
    first_by(matches, |one| (class(one), one.specificity, Reverse(one.list), Reverse(one.line)))
}

/// The first zone with a match; in it client, name, address, name server's name, name server's address.
fn first_of_zones(matches: impl IntoIterator<Item = Match>) -> Option<Match> {
    first_by(matches, |one| {
        let order = match one.trigger {
            Trigger::Client => 0,
            Trigger::Qname | Trigger::Cname | Trigger::Dname | Trigger::SvcbTarget => 1,
            Trigger::Address | Trigger::Hint => 2,
            Trigger::NsName => 3,
            Trigger::NsAddress => 4,
        };
        (Reverse(one.list), Reverse(order), one.specificity, Reverse(one.line))
    })
}

/// The greatest, and the first of those that are alike.
fn first_by<K: Ord>(matches: impl IntoIterator<Item = Match>, key: impl Fn(&Match) -> K) -> Option<Match> {
    matches.into_iter().reduce(|best, next| if key(&next) > key(&best) { next } else { best })
}

fn class(one: &Match) -> u8 {
    match (one.important, one.effect) {
        (true, Effect::Except) => 3,
        (true, Effect::Block) => 2,
        (false, Effect::Except) => 1,
        (false, Effect::Block) => 0,
    }
}

/// How closely a rule describes something; `None`: it doesn't match it.
fn looks_at(matcher: &Matcher, what: &Reached, trigger: Trigger) -> Option<(u8, u16)> {
    match (matcher, what, trigger) {
        (Matcher::NsName { scope, name }, Reached::Name(own), Trigger::NsName) => covers(*scope, name, own),
        (_, Reached::Name(_), Trigger::NsName) => None,
        (Matcher::Name { scope, name }, Reached::Name(own), _) => covers(*scope, name, own),
        (Matcher::Pattern(pattern), Reached::Name(own), _) => finds(pattern, own).then_some((1, 0)),
        (Matcher::Client(net), Reached::Address(own), Trigger::Client) => lies_in(&Place::Net(*net), *own),
        (_, Reached::Address(_), Trigger::Client) => None,
        (Matcher::NsAddress(place), Reached::Address(own), Trigger::NsAddress) => lies_in(place, *own),
        (_, Reached::Address(_), Trigger::NsAddress) => None,
        (Matcher::Address(place), Reached::Address(own), _) => lies_in(place, *own),
        _ => None,
    }
}

fn covers(scope: Scope, rule: &Name, name: &Name) -> Option<(u8, u16)> {
    let (labels, below) = (rule.labels().count() as u16, is_below(name, rule)?);
    match scope {
        Scope::Exact => (below == 0).then_some((3, labels)),
        Scope::Subtree => Some((2, labels)),
        Scope::Below => (below > 0).then_some((2, labels)),
    }
}

/// How many labels a name has more than another that it is or lies below.
fn is_below(name: &Name, other: &Name) -> Option<usize> {
    let (labels, tail): (Vec<&[u8]>, Vec<&[u8]>) = (name.labels().collect(), other.labels().collect());
    labels.ends_with(&tail).then(|| labels.len() - tail.len())
}

fn finds(pattern: &Pattern, name: &Name) -> bool {
    let text = name.labels().collect::<Vec<_>>().join(&b'.');
    match pattern {
        Pattern::Glob { start, text: glob, end } => {
            let is_start = |&at: &usize| match start {
                Anchor::Anywhere => true,
                Anchor::Start => at == 0,
                Anchor::Label => at == 0 || text[at - 1] == b'.',
            };
            (0..=text.len()).filter(is_start).any(|at| glob_here(glob.as_bytes(), &text[at..], *end))
        }
        Pattern::Regex(regex) => {
            let regex = regex::bytes::RegexBuilder::new(regex).case_insensitive(true).unicode(false).build();
            regex.is_ok_and(|regex| regex.is_match(&text))
        }
    }
}

fn glob_here(glob: &[u8], text: &[u8], end: bool) -> bool {
    match glob.split_first() {
        None => !end || text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| glob_here(rest, &text[at..], end)),
        Some((sign, rest)) => text.first() == Some(sign) && glob_here(rest, &text[1..], end),
    }
}

/// There are no databases here, so only networks are known.
fn lies_in(place: &Place, address: IpAddr) -> Option<(u8, u16)> {
    let address = address.to_canonical();
    match place {
        Place::Net(net) => net.contains(&address).then_some((2, u16::from(net.prefix_len()))),
        Place::Asn(_) | Place::Country(_) => None,
        Place::Outside(places) => {
            let is_in = |net: &str| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address));
            let is_global = is_in(GLOBAL) || !NOT_GLOBAL.into_iter().any(is_in);
            let is_out = |place: &Place| matches!(place, Place::Net(net) if !net.contains(&address));
            (is_global && places.iter().all(is_out)).then_some((1, 0))
        }
    }
}

/// One of the items with true is so, if there are any, and none of those with false.
fn wanted<T>(items: &[(bool, T)], is_so: impl Fn(&T) -> bool) -> bool {
    let (for_it, against): (Vec<_>, Vec<_>) = items.iter().partition(|(want, _)| *want);
    (for_it.is_empty() || for_it.iter().any(|(_, item)| is_so(item))) && !against.iter().any(|(_, item)| is_so(item))
}
